/* SPDX-License-Identifier: MIT */
/*
 * frames.h - T.30 frames as octets: facsimile control fields (T.30 5.3.6.1) and where things stand.
 *
 * Octets are as the core has them, least significant bit first on the line. A frame is address FF,
 * control 03 (more follow) or 13 (final), control field, information field; the FCS is gone.
 */
#ifndef FAXPOST_FAX_FRAMES_H
#define FAXPOST_FAX_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The lowest bit is T.30's X (set by the side that has received a DIS): mask it with FCF_MASK. */
enum fcf {
    FCF_MASK = 0xfe,
    FCF_NULL = 0x00,
    FCF_NSF = 0x20, /* NSC too */
    FCF_NSS = 0x22,
    FCF_DIS = 0x80,
    FCF_DCS = 0x82,
    FCF_CTC = 0x12,
    FCF_CFR = 0x84,
    FCF_FTT = 0x44,
    FCF_CTR = 0xc4,
    FCF_EOM = 0x8e,
    FCF_MPS = 0x4e,
    FCF_EOP = 0x2e,
    FCF_EOS = 0x1e,
    FCF_PRI_EOM = 0x9e,
    FCF_PRI_MPS = 0x5e,
    FCF_PRI_EOP = 0x3e,
    FCF_PPS = 0xbe,
    FCF_EOR = 0xce,
    FCF_RR = 0x6e,
    FCF_MCF = 0x8c,
    FCF_RTP = 0xcc,
    FCF_RTN = 0x4c,
    FCF_PIP = 0xac,
    FCF_PIN = 0x2c,
    FCF_PPR = 0xbc,
    FCF_RNR = 0xec,
    FCF_ERR = 0x1c,
    FCF_FDM = 0xfc,
    FCF_DCN = 0xfa,
    FCF_CRP = 0x1a,
    FCF_FCD = 0x06, /* T.4 annex A: image data in error correction mode */
    FCF_RCP = 0x86,
};

enum {
    FRAME_FCF = 2,  /* octet of the control field */
    FRAME_FCF2 = 3, /* PPS, EOR: the post-message command inside */
    FRAME_PPS_PAGE = 4,
    FRAME_PPS_BLOCK = 5,
    FRAME_PPS_FRAMES = 6, /* frames in the block, less one */
    FRAME_MAX = 260,      /* FCD: 4 octets and 256 of image */
    FRAME_FINAL = 0x13,
};

/* The control field without its X bit; FCF_NULL for what is too short to have one. */
static inline uint8_t frame_fcf(const uint8_t *frame, size_t length)
{
    return length > FRAME_FCF ? (uint8_t)(frame[FRAME_FCF] & FCF_MASK) : FCF_NULL;
}

/* What follows a page, as a command of its own or within a PPS (T.30 5.3.6.1.6). fcf: masked. */
static inline bool fcf_ends_page(uint8_t fcf)
{
    switch (fcf) {
    case FCF_EOM:
    case FCF_MPS:
    case FCF_EOP:
    case FCF_EOS:
    case FCF_PRI_EOM:
    case FCF_PRI_MPS:
    case FCF_PRI_EOP: return true;
    default: return false;
    }
}

/* A command that ends a page or a block of one (T.30 5.3.6.1.6): the sender waits for an answer. */
static inline bool frame_is_post_message(const uint8_t *frame, size_t length)
{
    uint8_t fcf = frame_fcf(frame, length);

    return fcf == FCF_PPS || fcf_ends_page(fcf);
}

/* What the command says comes next: FCF_EOP, FCF_MPS …, PRI forms folded into the plain ones; the
 * inner command of a PPS, FCF_NULL for a block within a page. */
static inline uint8_t frame_next_step(const uint8_t *frame, size_t length)
{
    uint8_t fcf = frame_fcf(frame, length);

    if (fcf == FCF_PPS)
        fcf = length > FRAME_FCF2 ? (uint8_t)(frame[FRAME_FCF2] & FCF_MASK) : FCF_NULL;
    switch (fcf) {
    case FCF_PRI_EOM: return FCF_EOM;
    case FCF_PRI_MPS: return FCF_MPS;
    case FCF_PRI_EOP: return FCF_EOP;
    default: return fcf;
    }
}

/* The short name, "MCF", "PPS-EOP" …, "?" for others; for logs and traces. out holds 16. */
const char *frame_name(char out[16], const uint8_t *frame, size_t length);

#endif
