/* SPDX-License-Identifier: MIT */
/*
 * guard.c - the rules, one function a kind of frame.
 */
#include "fax/t30/guard.h"

#include <stdbool.h>
#include <string.h>

#include "fax/t30/frames.h"

enum {
    DCS_LENGTH_LEAST = 6,
    DCS_LENGTH_MOST = 25, /* 3 + 22: the core's rx_dcs_string has room for no more */
    FCD_LENGTH_LEAST = 5, /* shorter: memcpy of a negative length */
    FCD_LENGTH_MOST = 260,
    PPS_LENGTH_LEAST = 7, /* shorter: all the core's timers stop */
    CTC_LENGTH_LEAST = 5,
    CONTROL_LENGTH_MOST = 100, /* 2.55 s of V.21 hold about 95 octets (T.30 5.4.2 note) */
    WIDTH_BITS = 0x03,         /* octet 5: bits 17 and 18 of the DCS */
    RATE_BITS = 0x3c,          /* octet 4: bits 11 to 14 */
};

void guard_offer(struct guard *guard, const uint8_t *frame, size_t length)
{
    if (length > sizeof guard->dis)
        length = sizeof guard->dis;
    memcpy(guard->dis, frame, length);
    guard->dis_length = length;
}

/* T.30 table 2, bits 11 to 14 of a DCS, without V.34's and the reserved ones: any other code makes
 * the core read fallback_sequence[-1]. */
static bool rate_is_known(uint8_t octet)
{
    switch (octet & RATE_BITS) {
    case 0x00: /* V.27 ter 2400 */
    case 0x08: /* V.27 ter 4800 */
    case 0x04: /* V.29 9600 */
    case 0x0c: /* V.29 7200 */
    case 0x20: /* V.17 14400 */
    case 0x28: /* V.17 12000 */
    case 0x24: /* V.17 9600 */
    case 0x2c: /* V.17 7200 */ return true;
    default: return false;
    }
}

/* Bit n of a DIS or DCS, counted from 1 as T.30 table 2 does. */
static bool table_bit(const uint8_t *frame, size_t length, unsigned n)
{
    size_t octet = 3 + (n - 1) / 8;

    return octet < length && (frame[octet] & (1u << ((n - 1) % 8))) != 0;
}

/* Bits that may stand in a DCS only when the DIS had them. */
static const uint8_t asked_bits[] = {
    15,  /* 200 lines/inch */
    16,  /* T.4 2-D */
    27,  /* error correction */
    31,  /* T.6 */
    36,  /* T.43 */
    41,  /* R8 x 15.4 */
    42,  /* 300 x 300 */
    43,  /* R16 x 15.4 */
    68,  /* T.81 */
    69,  /* full colour */
    78,  /* T.85 */
    79,  /* T.85 with L0 */
    92,  /* T.44 */
    105, /* 600 x 600 */
    106, /* 1200 x 1200 */
    107, /* 300 x 600 */
    108, /* 400 x 800 */
    109, /* 600 x 1200 */
};

static enum guard_verdict judge_dcs(const struct guard *guard, const uint8_t *frame, size_t length,
                                    const char **why)
{
    size_t i;

    if (length < DCS_LENGTH_LEAST || length > DCS_LENGTH_MOST) {
        *why = "DCS of a wrong length";
        return GUARD_DROP;
    }
    if ((frame[5] & WIDTH_BITS) == WIDTH_BITS) {
        *why = "DCS with an impossible width"; /* width -1: SIGSEGV after TCF */
        return GUARD_REFUSE;
    }
    if (!rate_is_known(frame[4])) {
        *why = "DCS with an unknown rate";
        return GUARD_REFUSE;
    }
    if (guard->dis_length == 0) {
        *why = "DCS before our DIS";
        return GUARD_DROP;
    }
    for (i = 0; i < sizeof asked_bits; i++) {
        if (table_bit(frame, length, asked_bits[i]) &&
            !table_bit(guard->dis, guard->dis_length, asked_bits[i])) {
            *why = "DCS asks for what was not offered";
            return GUARD_REFUSE;
        }
    }
    if (table_bit(frame, length, 31) && !table_bit(frame, length, 27)) {
        *why = "DCS asks for T.6 without error correction";
        return GUARD_REFUSE;
    }
    return GUARD_PASS;
}

static bool next_step_is_known(uint8_t fcf)
{
    return (fcf & FCF_MASK) == FCF_NULL || fcf_ends_page(fcf & FCF_MASK);
}

enum guard_verdict guard_frame(const struct guard *guard, const uint8_t *frame, size_t length,
                               const char **why)
{
    if (length < 3 || length > FRAME_MAX) {
        *why = "frame of a wrong length";
        return GUARD_DROP;
    }
    switch (frame_fcf(frame, length)) {
    case FCF_FCD:
        if (length >= FCD_LENGTH_LEAST && length <= FCD_LENGTH_MOST)
            return GUARD_PASS;
        *why = "FCD of a wrong length";
        return GUARD_DROP;
    case FCF_DCS: return judge_dcs(guard, frame, length, why);
    case FCF_PPS:
        if (length >= PPS_LENGTH_LEAST && length <= CONTROL_LENGTH_MOST &&
            next_step_is_known(frame[FRAME_FCF2]))
            return GUARD_PASS;
        *why = "malformed PPS";
        return GUARD_DROP;
    case FCF_CTC:
        if (length >= CTC_LENGTH_LEAST && length <= CONTROL_LENGTH_MOST && rate_is_known(frame[4]))
            return GUARD_PASS;
        *why = "malformed CTC";
        return GUARD_DROP;
    case FCF_EOR:
        if (length == 4 && next_step_is_known(frame[FRAME_FCF2]))
            return GUARD_PASS;
        *why = "malformed EOR";
        return GUARD_DROP;
    case FCF_NSF:
    case FCF_NSS:
        *why = "non-standard frame"; /* the core keeps a copy of each, and frees none */
        return GUARD_IGNORE;
    /* Only a receiver says these, and that is us: an echo, at which the core would hang up. */
    case FCF_CFR:
    case FCF_FTT:
    case FCF_CTR:
    case FCF_MCF:
    case FCF_RTP:
    case FCF_RTN:
    case FCF_PIP:
    case FCF_PIN:
    case FCF_PPR:
    case FCF_RNR:
    case FCF_ERR:
    case FCF_FDM: *why = "a receiver's answer, maybe an echo of ours"; return GUARD_IGNORE;
    default:
        if (length <= CONTROL_LENGTH_MOST)
            return GUARD_PASS;
        *why = "control frame of a wrong length";
        return GUARD_DROP;
    }
}
