/* SPDX-License-Identifier: MIT */
/*
 * front_class2.c - a Class 2, 2.0 or 2.1 modem (SP-2388-A, T.32), which speaks T.30 itself: we play
 * the caller to our own core.
 *
 * What the modem reports of the sender becomes the frames that a sender would have sent, and the
 * page's octets become an image without ECM, whatever was on the line. So a page goes the same way
 * through guard, core, gate and store as with any other front end. What the core answers is not
 * sent, but told to the modem: it keeps the sender waiting until the next AT+FDR, which sends MCF,
 * or RTN after AT+FPTS=2.
 *
 *   PREPARING ─► ANSWERING ─► WAITING ─► PAGE ─► AFTER ─► (OVERRIDING) ─► WAITING …
 *                   ATA        AT+FDR   CONNECT  DLE ETX    AT+FPTS=n      AT+FDR
 *
 * No timer of the core runs: the modem has its own. Every state has a deadline instead.
 */
#include "fax/front.h"

#include <stdlib.h>
#include <string.h>

#include "fax/class2_front.h"
#include "fax/frames.h"

enum {
    /* How long a modem can keep the sender waiting is not said anywhere; a sender repeats its
     * command three times, with 3 s and a frame of 1.5 s between (T.30 T4), and modems wait 30 s
     * for us (T.32 8.5.2.6 +FCT). */
    PATIENCE_MS = 25000,
    DC2 = 0x12,
};

static void class2_octets(struct front *base, const uint8_t *octets, size_t length)
{
    at_stream_feed(&((struct front_class2 *)base)->stream, octets, length);
}

static void class2_pump(struct front *base, bool on_worker)
{
    struct front_class2 *front = (struct front_class2 *)base;

    if (!on_worker || !base->needs_worker)
        return;
    base->needs_worker = false;
    class2_caller_on_worker(&front->caller);
}

static void class2_tick(struct front *base, int elapsed_ms, int16_t *audio_out)
{
    struct front_class2 *front = (struct front_class2 *)base;

    if (audio_out != NULL)
        memset(audio_out, 0, sizeof *audio_out * SESSION_TICK_SAMPLES);
    if (!front->begun) {
        front->begun = true;
        class2_start(front);
        return;
    }
    if (front->caller.answer == FCF_DCN) { /* the core wants no more of it */
        front->caller.answer = FCF_NULL;
        class2_refuse(front);
        class2_caller_arrived(&front->caller);
    }
    class2_pass_time(front, elapsed_ms);
}

static void class2_respond(struct front *base, const uint8_t *frame, size_t length)
{
    struct front_class2 *front = (struct front_class2 *)base;

    switch (frame_fcf(frame, length)) {
    case FCF_DCN: class2_refuse(front); break;
    case FCF_MCF:
    case FCF_RTP:
    case FCF_RTN: front->caller.answer = frame_fcf(frame, length); break; /* as before */
    default: break; /* RNR: the modem does that by itself, if it can */
    }
}

static void class2_describe(const struct front *base, struct call_info *info)
{
    const struct front_class2 *front = (const struct front_class2 *)base;

    if (!front->has_parameters)
        return;
    info->bit_rate = class2_bit_rate(&front->parameters);
    info->ecm = front->parameters.value[CLASS2_EC] > 0;
}

/* ---- life ----------------------------------------------------------------------------------- */

static void class2_free(struct front *base)
{
    struct front_class2 *front = (struct front_class2 *)base;

    if (front == NULL)
        return;
    class2_caller_free(&front->caller);
    free(front);
}

static const struct front_ops ops = {
    .free = class2_free,
    .octets = class2_octets,
    .pump = class2_pump,
    .tick = class2_tick,
    .respond = class2_respond,
    .describe = class2_describe,
};

struct front *front_class2_new(struct session *session, const struct session_settings *settings)
{
    struct front_class2 *front = calloc(1, sizeof *front);
    const struct at_stream_hooks hooks = {
        .user = front, .line = class2_line, .data = class2_data, .data_end = class2_data_end};

    if (front == NULL)
        return NULL;
    front->base = (struct front){.ops = &ops, .session = session, .patience_ms = PATIENCE_MS};
    front->class = settings->modem.class;
    front->page_start = settings->modem.page_start != 0 ? settings->modem.page_start : DC2;
    class2_prepare_init(&front->prepare, front->class, settings->station, settings->ecm);
    at_stream_init(&front->stream, &hooks);
    if (!class2_caller_init(&front->caller, session, settings->modem.bit_order)) {
        class2_free(&front->base);
        return NULL;
    }
    front->base.t30 = front->caller.t30;
    return &front->base;
}
