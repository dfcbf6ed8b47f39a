/* SPDX-License-Identifier: MIT */
/*
 * front_t38.c - spandsp's T.38 terminal with our handlers before its T.30 core.
 *
 * Events from the network go to the terminal at once, but for a frame that ends a page: that one
 * and all behind it wait in a queue until a worker has handed it over. While the front end is
 * frozen only the end of the sender's signal reaches the terminal; frames are put together here and
 * shown to the session.
 */
#define SPANDSP_EXPOSE_INTERNAL_STRUCTURES 1

#include "fax/t30/front.h"

#include <stdlib.h>
#include <string.h>

#include <spandsp.h>

#include "fax/t30/core.h"
#include "fax/t30/frames.h"

enum {
    QUEUE_EVENTS = 64,
    QUEUE_OCTETS = 4096,
    SAMPLES_PER_MS = 8,
    PREAMBLE_MS = 1000, /* V.21 flags before a frame: 1 s ± 15 % (T.30 5.3.1) */
    TAIL_MS = 100,
    LOST_OCTETS_MOST = 1 << 24,
    TICK_PACKETS_MOST = 50,   /* sent in one tick; a handful is what it takes */
    LOST_PAGE_PACKETS = 10,   /* between pages: they may have been a page */
    LOST_PACKETS_MOST = 1000, /* what the numbers say is lost may be a sender's mistake */
};

enum event_kind { EVENT_INDICATOR, EVENT_DATA };

struct event {
    enum event_kind kind;
    int type; /* indicator, or data type */
    int field;
    int length;
    const uint8_t *octets; /* into the pool */
    /* what the T.38 core had at that moment; its terminal looks at them */
    int was_indicator, was_type, was_field;
};

/* The frame of our own that goes out: preamble, data, end. */
enum respond_step { RESPOND_IDLE, RESPOND_PREAMBLE, RESPOND_DATA, RESPOND_END };

struct front_t38 {
    struct front base;
    t38_terminal_state_t *terminal;
    t38_rx_indicator_handler_t *indicator;
    t38_rx_data_handler_t *data;
    struct event queue[QUEUE_EVENTS];
    int queued;
    uint8_t pool[QUEUE_OCTETS];
    size_t pool_used;
    bool missed;      /* packets before the one that is being taken */
    int tick_packets; /* sent in this tick */
    int image_missed; /* packets, since data of a page came outside ECM */
    /* a frame being put together while frozen */
    uint8_t frame[FRAME_MAX];
    size_t frame_length;
    bool frame_damaged;
    enum respond_step step;
    int step_left_ms;
    uint8_t answer[FRAME_MAX];
    size_t answer_length;
};

static t38_core_state_t *t38_of(struct front_t38 *front)
{
    return &front->terminal->t38_fe.t38;
}

/* ---- events in ------------------------------------------------------------------------------ */

static void enqueue(struct front_t38 *front, enum event_kind kind, int type, int field,
                    const uint8_t *octets, int length)
{
    const t38_core_state_t *t38 = t38_of(front);
    struct event *event;

    /* One IFP packet cannot hold more than this; what could is no fax. */
    if (front->queued == QUEUE_EVENTS || front->pool_used + (size_t)length > QUEUE_OCTETS)
        return;
    event = &front->queue[front->queued++];
    *event = (struct event){
        .kind = kind,
        .type = type,
        .field = field,
        .length = length,
        .octets = front->pool + front->pool_used,
        .was_indicator = t38->current_rx_indicator,
        .was_type = t38->current_rx_data_type,
        .was_field = t38->current_rx_field_type,
    };
    if (length > 0)
        memcpy(front->pool + front->pool_used, octets, (size_t)length);
    front->pool_used += (size_t)length;
}

static bool field_ends_frame(int field)
{
    return field == T38_FIELD_HDLC_FCS_OK || field == T38_FIELD_HDLC_FCS_OK_SIG_END;
}

static bool field_ends_signal(int field)
{
    return field == T38_FIELD_HDLC_FCS_OK_SIG_END || field == T38_FIELD_HDLC_FCS_BAD_SIG_END ||
           field == T38_FIELD_HDLC_SIG_END;
}

static void add_octets(struct front_t38 *front, const uint8_t *octets, int length)
{
    if (length < 0 || front->frame_length + (size_t)length > sizeof front->frame) {
        front->frame_damaged = true;
        return;
    }
    bit_reverse(front->frame + front->frame_length, octets, length);
    front->frame_length += (size_t)length;
}

/* Frozen: the core sees only that the sender's signal ends, and only if it saw it begin. */
static void data_while_frozen(struct front_t38 *front, int type, int field, const uint8_t *octets,
                              int length)
{
    if (field == T38_FIELD_HDLC_DATA || field_ends_frame(field))
        add_octets(front, octets, length);
    if (field_ends_frame(field) && front->frame_length > 0 && !front->frame_damaged)
        session_frame_in(front->base.session, front->frame, front->frame_length);
    if (field != T38_FIELD_HDLC_DATA) {
        front->frame_length = 0;
        front->frame_damaged = false;
    }
    if (field_ends_signal(field) && front->base.t30->rx_signal_present)
        front->data(t38_of(front), front->terminal, type, T38_FIELD_HDLC_SIG_END, NULL, 0);
}

static void deliver_data(struct front_t38 *front, int type, int field, const uint8_t *octets,
                         int length)
{
    t38_terminal_front_end_state_t *fe = &front->terminal->t38_fe;

    if (field_ends_frame(field) && length > 0) {
        /* some gateways put the last octets here */
        front->data(t38_of(front), front->terminal, type, T38_FIELD_HDLC_DATA, octets, length);
        length = 0;
    }
    if (field_ends_frame(field) && fe->hdlc_rx.len > 0 && !fe->rx_data_missing) {
        switch (session_frame_in(front->base.session, fe->hdlc_rx.buf, (size_t)fe->hdlc_rx.len)) {
        case FRONT_TO_CORE: break;
        case FRONT_TO_WORKER:
            front->base.needs_worker = true;
            enqueue(front, EVENT_DATA, type, field, NULL, 0);
            return;
        case FRONT_SWALLOW: fe->hdlc_rx.len = 0; break;
        case FRONT_BAD:
            field = field == T38_FIELD_HDLC_FCS_OK ? T38_FIELD_HDLC_FCS_BAD
                                                   : T38_FIELD_HDLC_FCS_BAD_SIG_END;
            break;
        }
    }
    if ((field == T38_FIELD_T4_NON_ECM_DATA || field == T38_FIELD_T4_NON_ECM_SIG_END) &&
        length > 0) {
        if (front->base.lost_octets < LOST_OCTETS_MOST)
            front->base.lost_octets += front->image_missed * length;
        front->image_missed = 0;
        session_image_in(front->base.session);
    }
    front->data(t38_of(front), front->terminal, type, field, octets, length);
}

static int on_data(t38_core_state_t *t38, void *user, int type, int field, const uint8_t *octets,
                   int length)
{
    struct front_t38 *front = user;

    (void)t38;
    if (front->queued > 0)
        enqueue(front, EVENT_DATA, type, field, octets, length);
    else if (front->base.frozen || front->base.responding)
        data_while_frozen(front, type, field, octets, length);
    else
        deliver_data(front, type, field, octets, length);
    return 0;
}

static void deliver_indicator(struct front_t38 *front, int indicator)
{
    if (front->base.frozen || front->base.responding) {
        front->frame_length = 0;
        front->frame_damaged = false;
        if (indicator != T38_IND_NO_SIGNAL || !front->base.t30->rx_signal_present)
            return;
    }
    /* The terminal takes a second preamble for a repeated packet. When packets were lost it may
     * well be a new command, and the old one is what lacks its end. */
    if (indicator == T38_IND_V21_PREAMBLE && front->missed &&
        t38_of(front)->current_rx_indicator == indicator) {
        front->indicator(t38_of(front), front->terminal, T38_IND_NO_SIGNAL);
        t38_of(front)->current_rx_indicator = T38_IND_NO_SIGNAL;
    }
    /* The terminal tells its core of a page's carrier only when data come; a page of which nothing
     * came would be confirmed as if the sender had asked for the last answer again. */
    if (indicator >= T38_IND_V27TER_2400_TRAINING && indicator <= T38_IND_V17_14400_LONG_TRAINING) {
        front->base.t30->image_carrier_attempted = TRUE;
        front->base.lost_octets = front->image_missed = 0;
    }
    front->indicator(t38_of(front), front->terminal, indicator);
}

static int on_indicator(t38_core_state_t *t38, void *user, int indicator)
{
    struct front_t38 *front = user;

    (void)t38;
    if (front->queued > 0)
        enqueue(front, EVENT_INDICATOR, indicator, 0, NULL, 0);
    else
        deliver_indicator(front, indicator);
    return 0;
}

/* Called when a packet comes that is not the next one; -1 and -1 after a wild jump. */
static int on_missing(t38_core_state_t *t38, void *user, int expected, int seq)
{
    struct front_t38 *front = user;
    int lost = expected == seq ? 1 : (seq - expected) & 0xffff;

    (void)t38;
    if (core_expects_page(front->base.t30))
        front->image_missed += lost;
    /* A command that comes next is none repeated: a page went by that nothing was heard of. */
    if (core_expects_page(front->base.t30) && lost >= LOST_PAGE_PACKETS)
        front->base.t30->image_carrier_attempted = TRUE;
    if (front->image_missed > LOST_PACKETS_MOST)
        front->image_missed = LOST_PACKETS_MOST;
    front->missed = true;
    front->frame_damaged = true;
    front->terminal->t38_fe.rx_data_missing = TRUE;
    return 0;
}

static void t38_ifp(struct front *base, const uint8_t *ifp, size_t length, uint16_t seq)
{
    struct front_t38 *front = (struct front_t38 *)base;

    front->missed = false;
    t38_core_rx_ifp_packet(t38_of(front), ifp, (int)length, seq);
}

/* Gives one waiting event to the terminal as if it came just now. */
static void replay(struct front_t38 *front, const struct event *event, bool judged)
{
    t38_core_state_t *t38 = t38_of(front);
    int indicator = t38->current_rx_indicator;
    int type = t38->current_rx_data_type;
    int field = t38->current_rx_field_type;

    t38->current_rx_data_type = event->was_type;
    t38->current_rx_field_type = event->was_field;
    if (event->kind == EVENT_INDICATOR) {
        t38->current_rx_indicator = event->was_indicator;
        deliver_indicator(front, event->type);
        t38->current_rx_indicator = indicator;
    } else if (judged) {
        front->data(t38, front->terminal, event->type, event->field, event->octets, event->length);
    } else if (front->base.frozen || front->base.responding) {
        data_while_frozen(front, event->type, event->field, event->octets, event->length);
    } else {
        deliver_data(front, event->type, event->field, event->octets, event->length);
    }
    t38->current_rx_data_type = type;
    t38->current_rx_field_type = field;
}

static void t38_pump(struct front *base, bool on_worker)
{
    struct front_t38 *front = (struct front_t38 *)base;
    struct event queue[QUEUE_EVENTS];
    int count = front->queued;
    int i;

    if (count == 0 || (base->needs_worker && !on_worker))
        return;
    memcpy(queue, front->queue, sizeof queue[0] * (size_t)count);
    if (on_worker) {
        base->needs_worker = false;
        replay(front, &queue[0], true);
        memmove(front->queue, front->queue + 1, sizeof queue[0] * (size_t)(count - 1));
        front->queued = count - 1;
        return;
    }
    /* While they are replayed the queue counts as empty, so that a further frame for the worker can
     * stand at its head; the rest then goes behind it. The pool is not reused until all is through.
     */
    front->queued = 0;
    for (i = 0; i < count; i++) {
        if (front->queued > 0)
            front->queue[front->queued++] = queue[i];
        else
            replay(front, &queue[i], false);
    }
    if (front->queued == 0)
        front->pool_used = 0;
}

/* ---- time and sending ----------------------------------------------------------------------- */

static int on_packet(t38_core_state_t *t38, void *user, const uint8_t *ifp, int length, int copies)
{
    struct front_t38 *front = user;

    (void)t38;
    /* A frame of the sender's that comes while ours is going out can leave the core without a next
     * step; its terminal then ends empty frames in an endless loop. An error brings it back. */
    if (front->tick_packets++ >= TICK_PACKETS_MOST) {
        session_front_failed(front->base.session, "the sender spoke while we did");
        return -1;
    }
    if (length > 0)
        session_ifp_out(front->base.session, ifp, (size_t)length, copies);
    return 0;
}

static void t38_respond(struct front *base, const uint8_t *frame, size_t length)
{
    struct front_t38 *front = (struct front_t38 *)base;

    if (length > sizeof front->answer)
        return;
    memcpy(front->answer, frame, length);
    front->answer_length = length;
    front->step = RESPOND_PREAMBLE;
    front->step_left_ms = 0;
    base->responding = true;
}

/* T.38 clause 7.3: no signal, V.21 preamble, the frame, its end. */
static void respond_tick(struct front_t38 *front, int elapsed_ms)
{
    t38_core_state_t *t38 = t38_of(front);
    uint8_t reversed[FRAME_MAX];

    front->step_left_ms -= elapsed_ms;
    if (front->step_left_ms > 0)
        return;
    switch (front->step) {
    case RESPOND_IDLE: break;
    case RESPOND_PREAMBLE:
        t38_core_send_indicator(t38, T38_IND_NO_SIGNAL);
        t38_core_send_indicator(t38, T38_IND_V21_PREAMBLE);
        front->step = RESPOND_DATA;
        front->step_left_ms = PREAMBLE_MS;
        break;
    case RESPOND_DATA:
        bit_reverse(reversed, front->answer, (int)front->answer_length);
        t38_core_send_data(t38, T38_DATA_V21, T38_FIELD_HDLC_DATA, reversed,
                           (int)front->answer_length, T38_PACKET_CATEGORY_CONTROL_DATA);
        front->step = RESPOND_END;
        front->step_left_ms = (int)(front->answer_length + 3) * 8 * 1000 / 300;
        break;
    case RESPOND_END:
        t38_core_send_data(t38, T38_DATA_V21, T38_FIELD_HDLC_FCS_OK_SIG_END, NULL, 0,
                           T38_PACKET_CATEGORY_CONTROL_DATA_END);
        t38_core_send_indicator(t38, T38_IND_NO_SIGNAL);
        front->step = RESPOND_IDLE;
        front->base.responding = false;
        break;
    }
}

static void t38_tick(struct front *base, int elapsed_ms, int16_t *audio_out)
{
    struct front_t38 *front = (struct front_t38 *)base;

    if (audio_out != NULL)
        memset(audio_out, 0, sizeof *audio_out * SESSION_TICK_SAMPLES);
    front->tick_packets = 0;
    if (base->responding)
        respond_tick(front, elapsed_ms);
    else if (!base->frozen)
        t38_terminal_send_timeout(front->terminal, elapsed_ms * SAMPLES_PER_MS);
}

static void t38_begin_phase_b(struct front *base)
{
    struct front_t38 *front = (struct front_t38 *)base;

    /* the terminal has begun its CED; left running it would report its end a second time */
    front->terminal->t38_fe.timed_step = 0;
    t30_front_end_status(base->t30, T30_FRONT_END_SEND_STEP_COMPLETE);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void t38_free(struct front *base)
{
    struct front_t38 *front = (struct front_t38 *)base;

    if (front == NULL)
        return;
    if (front->terminal != NULL)
        t38_terminal_free(front->terminal);
    free(front);
}

static const struct front_ops ops = {
    .free = t38_free,
    .ifp = t38_ifp,
    .pump = t38_pump,
    .tick = t38_tick,
    .begin_phase_b = t38_begin_phase_b,
    .respond = t38_respond,
};

struct front *front_t38_new(struct session *session, const struct session_settings *settings)
{
    struct front_t38 *front = calloc(1, sizeof *front);
    t38_core_state_t *t38;

    if (front == NULL)
        return NULL;
    front->terminal = t38_terminal_init(NULL, FALSE, on_packet, front);
    if (front->terminal == NULL) {
        free(front);
        return NULL;
    }
    front->base = (struct front){
        .ops = &ops,
        .session = session,
        .t30 = &front->terminal->t30,
    };
    t38 = t38_of(front);
    t38_set_t38_version(t38, settings->t38_version);
    if (settings->t38_max_datagram > 0)
        t38_set_max_datagram_size(t38, settings->t38_max_datagram);
    t38_set_data_rate_management_method(t38, settings->t38_transferred_tcf
                                                 ? T38_DATA_RATE_MANAGEMENT_TRANSFERRED_TCF
                                                 : T38_DATA_RATE_MANAGEMENT_LOCAL_TCF);
    front->indicator = t38->rx_indicator_handler;
    front->data = t38->rx_data_handler;
    t38->rx_indicator_handler = on_indicator;
    t38->rx_data_handler = on_data;
    t38->rx_missing_handler = on_missing;
    t38->rx_user_data = front;
    return &front->base;
}
