/* SPDX-License-Identifier: MIT */
/*
 * front_audio.c - spandsp's audio fax terminal with our frame handler before its T.30 core.
 *
 * A frame that ends a page, and all HDLC events behind it in the same 20 ms, wait for a worker.
 * While an answer is held and the core has turned its receiver off, a V.21 receiver of our own
 * listens for the sender asking again; frames of our own go out through a V.21 transmitter of our
 * own.
 */
#define SPANDSP_EXPOSE_INTERNAL_STRUCTURES 1

#include "fax/t30/front.h"

#include <stdlib.h>
#include <string.h>

#include <spandsp.h>

#include "fax/t30/core.h"
#include "fax/t30/frames.h"

enum {
    QUEUE_EVENTS = 16,
    SAMPLES_PER_MS = 8,
    SILENCE_MS = 75,      /* before any V.21 transmission (T.30 5.3.2.2) */
    LOUD = 60,            /* mean amplitude of a signal, about -45 dBm0 */
    PREAMBLE_OCTETS = 38, /* flags: 1 s of V.21 */
    HELD_UP_MS = 300000,  /* for the rest of a page that cannot be read */
    MISSING_MS_MAX = 200, /* what is missing longer is silence, which some senders suppress */
    END_SAMPLES = 20,     /* of a tick: do they still belong to the carrier? */
    LOST_OCTETS_MOST = 1 << 24,
};

struct event {
    int length; /* negative: a status */
    int good;
    uint8_t frame[FRAME_MAX + 2];
};

struct front_audio {
    struct front base;
    fax_state_t *fax;
    t30_set_handler_t *set_rx_type;
    struct event queue[QUEUE_EVENTS];
    int queued;
    int held_up_ms; /* since the last whole frame */
    bool reads;     /* flags are coming in */
    int run_ms;     /* of a signal that is none of those known */
    bool was_loud;  /* the last that came */
    int missing_ms; /* since then */
    modem_connect_tones_rx_state_t *cng;
    /* our own V.21 receiver, while the core is frozen with its own receiver off */
    bool listening;
    fsk_rx_state_t *v21_rx;
    hdlc_rx_state_t *hdlc_rx;
    /* our own V.21 transmitter */
    fsk_tx_state_t *v21_tx;
    hdlc_tx_state_t *hdlc_tx;
    int silence_samples;
    bool answer_sent;
};

/* ---- frames in ------------------------------------------------------------------------------ */

static void enqueue(struct front_audio *front, const uint8_t *frame, int length, int good)
{
    struct event *event;

    if (front->queued == QUEUE_EVENTS || length > (int)sizeof event->frame)
        return; /* 20 ms hold a handful of events at most */
    event = &front->queue[front->queued++];
    event->length = length;
    event->good = good;
    if (length > 0)
        memcpy(event->frame, frame, (size_t)length);
}

static void deliver(struct front_audio *front, const uint8_t *frame, int length, int good)
{
    if (length >= 3 && good) {
        front->held_up_ms = 0;
        switch (session_frame_in(front->base.session, frame, (size_t)length)) {
        case FRONT_TO_CORE: break;
        case FRONT_TO_WORKER:
            front->base.needs_worker = true;
            enqueue(front, frame, length, good);
            return;
        case FRONT_SWALLOW: return;
        case FRONT_BAD: good = FALSE; break;
        }
    }
    t30_hdlc_accept(front->base.t30, frame, length, good);
}

/* The HDLC receiver's handler, in place of t30_hdlc_accept(). */
static void on_frame(void *user, const uint8_t *frame, int length, int good)
{
    struct front_audio *front = user;

    if (length == SIG_STATUS_FRAMING_OK) {
        front->reads = true;
        front->run_ms = 0; /* what was heard just now was the beginning of this */
    } else if (length == SIG_STATUS_CARRIER_DOWN) {
        front->reads = false;
    }
    if (front->queued > 0)
        enqueue(front, frame, length, good);
    else
        deliver(front, frame, length, good);
}

/* The terminal sets its own handler whenever the core changes the receiver. */
static void on_set_rx_type(void *user, int type, int rate, int short_train, int hdlc)
{
    struct front_audio *front = user;

    front->set_rx_type(front->fax, type, rate, short_train, hdlc);
    hdlc_rx_set_frame_handler(&front->fax->modems.hdlc_rx, on_frame, front);
}

static void audio_pump(struct front *base, bool on_worker)
{
    struct front_audio *front = (struct front_audio *)base;
    struct event first;

    if (on_worker && front->queued > 0) {
        base->needs_worker = false;
        first = front->queue[0];
        t30_hdlc_accept(base->t30, first.frame, first.length, first.good);
        front->queued--;
        memmove(front->queue, front->queue + 1, sizeof first * (size_t)front->queued);
        return;
    }
    while (front->queued > 0 && !base->needs_worker) {
        first = front->queue[0];
        front->queued--;
        memmove(front->queue, front->queue + 1, sizeof first * (size_t)front->queued);
        if (first.length < 0 || !first.good) {
            t30_hdlc_accept(base->t30, first.frame, first.length, first.good);
        } else {
            int waiting = front->queued;

            deliver(front, first.frame, first.length, first.good);
            if (front->queued > waiting) { /* it went behind the others; it belongs before them */
                struct event again = front->queue[waiting];

                memmove(front->queue + 1, front->queue, sizeof first * (size_t)waiting);
                front->queue[0] = again;
            }
        }
    }
}

/* ---- audio in ------------------------------------------------------------------------------- */

static void on_own_frame(void *user, const uint8_t *frame, int length, int good)
{
    struct front_audio *front = user;

    if (length >= 3 && good)
        session_frame_in(front->base.session, frame, (size_t)length);
}

static void on_tone(void *user, int tone, int level, int delay)
{
    struct front_audio *front = user;

    (void)level;
    (void)delay;
    if (tone == MODEM_CONNECT_TONES_FAX_CNG)
        session_cng_in(front->base.session);
}

static bool listen_begin(struct front_audio *front)
{
    front->hdlc_rx = hdlc_rx_init(front->hdlc_rx, FALSE, TRUE, 5, on_own_frame, front);
    if (front->hdlc_rx == NULL)
        return false;
    front->v21_rx = fsk_rx_init(front->v21_rx, &preset_fsk_specs[FSK_V21CH2], FSK_FRAME_MODE_SYNC,
                                (put_bit_func_t)hdlc_rx_put_bit, front->hdlc_rx);
    if (front->v21_rx == NULL)
        return false;
    fsk_rx_signal_cutoff(front->v21_rx, -45.5f);
    front->listening = true;
    return true;
}

static bool is_loud(const int16_t *samples, size_t count)
{
    int32_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += abs(samples[i]);
    return sum > (int32_t)count * LOUD;
}

/* Counts the time in which a page, or what was left of one, went by unread. What is heard just
 * before flags is theirs: they take 300 ms to be known. */
static void count_unread(struct front_audio *front, bool loud, int ms)
{
    t30_state_t *t30 = front->base.t30;

    if (!core_expects_page(t30) || t30->rx_trained)
        front->base.unread_ms = front->run_ms = 0;
    else if (loud && !front->reads)
        front->run_ms += ms;
    if (!loud || front->run_ms > FRONT_UNREAD_MS) {
        front->base.unread_ms += front->run_ms;
        front->run_ms = 0;
    }
    /* A receiver for V.29 tries to train on V.21 too; the core would take the command for the end
     * of a page. */
    if (core_expects_page(t30) && !t30->rx_trained && front->base.unread_ms <= FRONT_UNREAD_MS)
        t30->image_carrier_attempted = FALSE;
}

static int octets_of(t30_state_t *t30, int ms)
{
    t30_stats_t stats;

    t30_get_transfer_statistics(t30, &stats);
    return stats.bit_rate / 8 * ms / 1000;
}

/* 20 ms in the middle of a page did not come. They are a whole number of bauds with V.17, V.29 and
 * V.27ter alike, so a receiver that lets its carrier and its clock run on by themselves is in step
 * behind them, and only octets are lost: ECM asks for them again, without it they count against the
 * page. */
static void sustain(struct front_audio *front)
{
    fax_rx_fillin(front->fax, SESSION_TICK_SAMPLES);
    if (!front->base.t30->error_correcting_mode && front->base.lost_octets < LOST_OCTETS_MOST)
        front->base.lost_octets += octets_of(front->base.t30, SESSION_TICK_MS);
}

/* Does what is missing belong to the carrier of a page? The end of the last samples that came
 * tells. Elsewhere, in V.21 and while a receiver trains, what is missing counts as silence: many
 * senders suppress theirs, and without the pause between two signals both would be lost. */
static bool is_within_page(struct front_audio *front, size_t count)
{
    t30_state_t *t30 = front->base.t30;

    front->missing_ms += (int)count / SAMPLES_PER_MS;
    return front->was_loud && count == SESSION_TICK_SAMPLES &&
           front->missing_ms <= MISSING_MS_MAX && core_reads_page(t30);
}

/* A carrier that tore in the middle of a page, or in its training, cannot be taken up again. The
 * sender does not know and goes on; the core waits for the command behind the page by T2 alone and
 * would then send a DIS into it. Its clock stands still as long as the sender is heard; the command
 * tells what is missing, with ECM frame by frame. */
static void receive(struct front_audio *front, int16_t *samples, size_t count, bool is_missing)
{
    t30_state_t *t30 = front->base.t30;
    bool loud = core_expects_page(t30) && (is_missing || is_loud(samples, count));
    int timer = t30->timer_t2_t4;

    if (is_missing)
        sustain(front);
    else
        fax_rx(front->fax, samples, (int)count);
    count_unread(front, loud, (int)count / SAMPLES_PER_MS);
    front->base.is_held_up = loud && timer > (int)count && front->held_up_ms < HELD_UP_MS &&
                             t30->timer_t2_t4 == timer - (int)count;
    if (!front->base.is_held_up)
        return;
    t30->timer_t2_t4 = timer;
    front->held_up_ms += (int)count / SAMPLES_PER_MS;
}

static void hear(struct front *base, int16_t *samples, size_t count, bool is_missing)
{
    struct front_audio *front = (struct front_audio *)base;
    int octets_before;
    bool receiver_is_off = front->fax->modems.current_rx_type == T30_MODEM_NONE;

    base->is_held_up = false;
    if (base->wants_cng)
        modem_connect_tones_rx(front->cng, samples, (int)count);
    if (base->responding)
        return; /* half duplex: what comes in now is our own echo */
    if (base->frozen && receiver_is_off) {
        if (!front->listening && !listen_begin(front))
            return;
        fsk_rx(front->v21_rx, samples, (int)count);
        return;
    }
    front->listening = false;
    if (!core_expects_page(base->t30))
        base->lost_octets = 0;
    octets_before = base->t30->t4.rx.line_image_size;
    receive(front, samples, count, is_missing);
    if (!base->t30->error_correcting_mode && base->t30->t4.rx.line_image_size > octets_before)
        session_image_in(base->session);
}

static void audio_audio(struct front *base, int16_t *samples, size_t count)
{
    struct front_audio *front = (struct front_audio *)base;

    front->missing_ms = 0;
    if (count >= END_SAMPLES)
        front->was_loud = is_loud(samples + count - END_SAMPLES, END_SAMPLES);
    hear(base, samples, count, false);
}

static void audio_missing(struct front *base, int16_t *samples, size_t count)
{
    hear(base, samples, count, is_within_page((struct front_audio *)base, count));
}

/* ---- audio out ------------------------------------------------------------------------------ */

static void on_underflow(void *user)
{
    struct front_audio *front = user;

    if (front->answer_sent)
        return;
    front->answer_sent = true;
    hdlc_tx_frame(front->hdlc_tx, NULL, 0); /* no more frames: the carrier goes after the flags */
}

static void audio_respond(struct front *base, const uint8_t *frame, size_t length)
{
    struct front_audio *front = (struct front_audio *)base;

    front->hdlc_tx = hdlc_tx_init(front->hdlc_tx, FALSE, 2, FALSE, on_underflow, front);
    if (front->hdlc_tx == NULL)
        return;
    front->v21_tx = fsk_tx_init(front->v21_tx, &preset_fsk_specs[FSK_V21CH2],
                                (get_bit_func_t)hdlc_tx_get_bit, front->hdlc_tx);
    if (front->v21_tx == NULL)
        return;
    hdlc_tx_flags(front->hdlc_tx, PREAMBLE_OCTETS);
    hdlc_tx_frame(front->hdlc_tx, frame, length);
    front->answer_sent = false;
    front->silence_samples = SILENCE_MS * SAMPLES_PER_MS;
    front->listening = false;
    base->responding = true;
}

static void respond_tick(struct front_audio *front, int16_t *out)
{
    int used = front->silence_samples < SESSION_TICK_SAMPLES ? front->silence_samples
                                                             : SESSION_TICK_SAMPLES;

    memset(out, 0, sizeof *out * SESSION_TICK_SAMPLES);
    front->silence_samples -= used;
    if (used < SESSION_TICK_SAMPLES &&
        fsk_tx(front->v21_tx, out + used, SESSION_TICK_SAMPLES - used) <
            SESSION_TICK_SAMPLES - used)
        front->base.responding = false;
}

static void audio_tick(struct front *base, int elapsed_ms, int16_t *audio_out)
{
    struct front_audio *front = (struct front_audio *)base;
    int16_t unwanted[SESSION_TICK_SAMPLES];
    int16_t *out = audio_out != NULL ? audio_out : unwanted;
    int count;

    (void)elapsed_ms; /* the sound card's clock of this terminal is the count of samples */
    if (base->responding) {
        respond_tick(front, out);
        return;
    }
    count = base->frozen ? 0 : fax_tx(front->fax, out, SESSION_TICK_SAMPLES);
    if (count < SESSION_TICK_SAMPLES)
        memset(out + count, 0, sizeof *out * (size_t)(SESSION_TICK_SAMPLES - count));
}

/* ---- life ----------------------------------------------------------------------------------- */

static void audio_free(struct front *base)
{
    struct front_audio *front = (struct front_audio *)base;

    if (front == NULL)
        return;
    if (front->cng != NULL)
        modem_connect_tones_rx_free(front->cng);
    if (front->v21_rx != NULL)
        fsk_rx_free(front->v21_rx);
    if (front->hdlc_rx != NULL)
        hdlc_rx_free(front->hdlc_rx);
    if (front->v21_tx != NULL)
        fsk_tx_free(front->v21_tx);
    if (front->hdlc_tx != NULL)
        hdlc_tx_free(front->hdlc_tx);
    if (front->fax != NULL)
        fax_free(front->fax);
    free(front);
}

static const struct front_ops ops = {
    .free = audio_free,
    .audio = audio_audio,
    .missing = audio_missing,
    .pump = audio_pump,
    .tick = audio_tick,
    .respond = audio_respond,
};

struct front *front_audio_new(struct session *session)
{
    struct front_audio *front = calloc(1, sizeof *front);

    if (front == NULL)
        return NULL;
    front->base = (struct front){.ops = &ops, .session = session, .wants_cng = true};
    front->fax = fax_init(NULL, FALSE);
    front->cng = modem_connect_tones_rx_init(NULL, MODEM_CONNECT_TONES_FAX_CNG, on_tone, front);
    if (front->fax == NULL || front->cng == NULL) {
        audio_free(&front->base);
        return NULL;
    }
    fax_set_transmit_on_idle(front->fax, TRUE);
    front->base.t30 = &front->fax->t30;
    front->set_rx_type = front->base.t30->set_rx_type_handler;
    front->base.t30->set_rx_type_handler = on_set_rx_type;
    front->base.t30->set_rx_type_user_data = front;
    hdlc_rx_set_frame_handler(&front->fax->modems.hdlc_rx, on_frame, front);
    return &front->base;
}
