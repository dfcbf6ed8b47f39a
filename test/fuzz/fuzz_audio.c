/* SPDX-License-Identifier: MIT */
/*
 * fuzz_audio.c - a caller in audio: RTP packets through the buffer and the front end. The first
 * octet chooses (enum option); then come orders. Octets taken for sound are noise to a modem, so
 * most orders are modulated here: V.21 frames and image carriers with any content. Body for
 * libFuzzer and for replay.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <spandsp.h>

#include "fax/sip/rtp.h"
#include "fax/t30/frames.h"
#include "test/fuzz/far_end.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum option { OPTION_ECM = 1, OPTION_FAILS = 2, OPTION_SLOW = 4, OPTION_STAYS = 8 };

enum order {
    V21 = 0x00,   /* a frame: length, octets from the control field on; odd: the last of several */
    IMAGE = 0x10, /* an image carrier: length in 8 octets, octets; +1: V.29, +2: V.17, … */
    IMAGE_FRAMES = 0x14, /* … the same, as FCD frames of ECM, then RCP */
    TRAIN = 0x18,        /* TCF */
    RAW = 0x20,          /* 20 ms for each of 1 to 16: 160 octets of A-law as they are */
    LOST = 0x30,         /* so many packets do not come */
    SILENCE = 0x40,      /* 1 to 16 times 100 ms */
    LISTEN = 0x50,       /* until the session is silent */
    STORED = 0x60,
    HANG_UP,
    SWITCH,
    PACKET, /* length, and a whole RTP packet as it is */
};

enum { TICK = SESSION_TICK_SAMPLES, MOST_TICKS = 3000 };

struct caller {
    struct far_end *far_end;
    struct rtp *far, *rtp; /* the caller's stream, and ours */
    int ticks;
    const uint8_t *octets; /* being modulated */
    size_t count;
    int bit;
    bool has_ended; /* hdlc: the last frame is out */
    hdlc_tx_state_t *hdlc;
};

/* ---- the way of 20 ms ---------------------------------------------------------------------------
 */

static void pull(struct caller *caller)
{
    int16_t heard[TICK];

    for (int due = rtp_due(caller->rtp); due > 0; due--)
        if (rtp_pull(caller->rtp, heard) == TICK)
            far_end_audio(caller->far_end, heard);
        else
            far_end_no_audio(caller->far_end, heard);
    caller->ticks++;
}

static void play(struct caller *caller, const int16_t samples[TICK])
{
    uint8_t packet[RTP_PACKET_MAX];
    int length = rtp_make(caller->far, samples, packet, sizeof packet);

    if (length < 0 || rtp_receive(caller->rtp, packet, (size_t)length) != 0)
        abort();
    pull(caller);
}

static bool goes_on(const struct caller *caller)
{
    return caller->ticks < MOST_TICKS && !far_end_is_over(caller->far_end);
}

static void be_silent(struct caller *caller, int ticks)
{
    static const int16_t silence[TICK];

    for (; ticks > 0 && goes_on(caller); ticks--)
        play(caller, silence);
}

/* ---- modulation ---------------------------------------------------------------------------------
 */

static int next_bit(void *user)
{
    struct caller *caller = user;
    int bit;

    if (caller->count == 0)
        return SIG_STATUS_END_OF_DATA;
    bit = *caller->octets >> caller->bit & 1;
    if (++caller->bit == 8) {
        caller->bit = 0;
        caller->octets++;
        caller->count--;
    }
    return bit;
}

static void on_underflow(void *user)
{
    struct caller *caller = user;

    if (!caller->has_ended)
        hdlc_tx_frame(caller->hdlc, NULL, 0);
    caller->has_ended = true;
}

static void begin_frames(struct caller *caller, int flags)
{
    caller->has_ended = false;
    caller->hdlc = hdlc_tx_init(caller->hdlc, FALSE, 2, FALSE, on_underflow, caller);
    hdlc_tx_flags(caller->hdlc, flags);
}

static void send_v21(struct caller *caller, const uint8_t *content, size_t length, bool final)
{
    uint8_t frame[258] = {0xff, final ? FRAME_FINAL : 0x03};
    int16_t samples[TICK];
    fsk_tx_state_t *fsk;
    int count = TICK;

    memcpy(frame + 2, content, length);
    begin_frames(caller, 38);
    hdlc_tx_frame(caller->hdlc, frame, length + 2);
    fsk = fsk_tx_init(NULL, &preset_fsk_specs[FSK_V21CH2], (get_bit_func_t)hdlc_tx_get_bit,
                      caller->hdlc);
    while (count == TICK && goes_on(caller)) {
        count = fsk_tx(fsk, samples, TICK);
        memset(samples + count, 0, sizeof samples[0] * (size_t)(TICK - count));
        play(caller, samples);
    }
    fsk_tx_free(fsk);
    be_silent(caller, 4);
}

static int carrier_tx(void *modem, int kind, int16_t samples[TICK])
{
    return kind == 0   ? v27ter_tx(modem, samples, TICK)
           : kind == 1 ? v29_tx(modem, samples, TICK)
                       : v17_tx(modem, samples, TICK);
}

/* V.17 trains long before TCF only. */
static void send_carrier(struct caller *caller, int kind, bool trains, get_bit_func_t get_bit,
                         void *user)
{
    int16_t samples[TICK];
    int count = TICK;
    void *modem = kind == 0   ? (void *)v27ter_tx_init(NULL, 4800, FALSE, get_bit, user)
                  : kind == 1 ? (void *)v29_tx_init(NULL, 9600, FALSE, get_bit, user)
                              : (void *)v17_tx_init(NULL, 14400, FALSE, get_bit, user);

    if (modem == NULL)
        abort();
    if (kind == 2 && !trains)
        v17_tx_restart(modem, 14400, FALSE, TRUE);
    while (count == TICK && goes_on(caller)) {
        count = carrier_tx(modem, kind, samples);
        memset(samples + count, 0, sizeof samples[0] * (size_t)(TICK - count));
        play(caller, samples);
    }
    if (kind == 0)
        v27ter_tx_free(modem);
    else if (kind == 1)
        v29_tx_free(modem);
    else
        v17_tx_free(modem);
    be_silent(caller, 4);
}

static void send_octets(struct caller *caller, int kind, bool trains, const uint8_t *octets,
                        size_t count)
{
    caller->octets = octets;
    caller->count = count;
    caller->bit = 0;
    send_carrier(caller, kind, trains, next_bit, caller);
}

static void send_frames(struct caller *caller, int kind, const uint8_t *image, size_t length)
{
    uint8_t frame[260] = {0xff, 0x03, FCF_FCD};
    static const uint8_t rcp[] = {0xff, 0x03, FCF_RCP};

    begin_frames(caller, 8);
    /* one frame and RCP: the transmitter has room for one, and gets the other when it is out */
    memset(frame + 4, 0, sizeof frame - 4);
    memcpy(frame + 4, image, length < 256 ? length : 256);
    hdlc_tx_frame(caller->hdlc, frame, sizeof frame);
    hdlc_tx_frame(caller->hdlc, rcp, sizeof rcp);
    send_carrier(caller, kind, false, (get_bit_func_t)hdlc_tx_get_bit, caller->hdlc);
}

/* ---- orders -------------------------------------------------------------------------------------
 */

static void take_raw(struct caller *caller, const uint8_t *octets, size_t length)
{
    int16_t samples[TICK];

    for (int i = 0; i < TICK; i++)
        samples[i] = length > 0 ? alaw_to_linear(octets[(size_t)i % length]) : 0;
    play(caller, samples);
}

static void take_packet(struct caller *caller, const uint8_t *octets, size_t length)
{
    uint8_t *copy = malloc(length + 1);

    if (copy == NULL)
        abort();
    memcpy(copy + 1, octets, length);
    (void)rtp_receive(caller->rtp, copy + 1, length);
    free(copy);
    pull(caller);
}

/* Gives the octets used. */
static size_t obey(struct caller *caller, uint8_t order, const uint8_t *data, size_t size)
{
    static const uint8_t zeros[3000];
    size_t has_length = order < TRAIN || order == PACKET ? 1 : 0;
    size_t length = has_length > 0 && size > 0 ? data[0] : 0;
    size_t used = has_length < size ? has_length : size;

    if (order >= IMAGE && order < TRAIN)
        length *= 8;
    if (length > size - used)
        length = size - used;
    if (order < IMAGE)
        send_v21(caller, data + used, length, (order & 1) != 0);
    else if (order < IMAGE_FRAMES)
        send_octets(caller, order % 4 % 3, false, data + used, length);
    else if (order < TRAIN)
        send_frames(caller, order % 4 % 3, data + used, length);
    else if (order < RAW)
        send_octets(caller, order % 4 % 3, true, zeros,
                    order % 4 == 0   ? 900
                    : order % 4 == 1 ? 1800
                                     : 2700);
    else if (order < LOST)
        take_raw(caller, data, length = size < TICK ? size : TICK);
    else if (order < SILENCE)
        for (int i = LOST; i <= order && goes_on(caller); i++)
            pull(caller);
    else if (order < LISTEN)
        be_silent(caller, (order - SILENCE + 1) * 5);
    else if (order < STORED)
        far_end_listen(caller->far_end, 12000);
    else if (order == STORED)
        far_end_store(caller->far_end, 0);
    else if (order == HANG_UP)
        far_end_hang_up(caller->far_end);
    else if (order == SWITCH)
        far_end_switch_t38(caller->far_end);
    else if (order == PACKET)
        take_packet(caller, data + used, length);
    return used + length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct far_end_options options = {.media = SESSION_AUDIO};
    struct caller caller = {.ticks = 0};

    if (size < 2)
        return 0;
    options.ecm = (data[0] & OPTION_ECM) != 0;
    options.store_fails_at = (data[0] & OPTION_FAILS) != 0;
    options.store_ms = (data[0] & OPTION_SLOW) != 0 ? -1 : 100;
    caller.far_end = far_end_new(&options);
    caller.far = rtp_new(RTP_PCMA, 3);
    caller.rtp = rtp_new(RTP_PCMA, 3);
    if (caller.far == NULL || caller.rtp == NULL)
        abort();
    for (size_t at = 1; at < size && goes_on(&caller);) {
        uint8_t order = data[at++] & 0x7f;

        at += obey(&caller, order, data + at, size - at);
    }
    if ((data[0] & OPTION_STAYS) == 0)
        far_end_hang_up(caller.far_end);
    far_end_finish(caller.far_end);
    rtp_free(caller.far);
    rtp_free(caller.rtp);
    if (caller.hdlc != NULL)
        hdlc_tx_free(caller.hdlc);
    return 0;
}
