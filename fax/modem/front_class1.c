/* SPDX-License-Identifier: MIT */
/*
 * front_class1.c - a Class 1 or 1.0 modem (T.31) before the T.30 core.
 *
 * The core says what it wants: to send frames, to hear V.21, to hear an image carrier. steer()
 * brings the modem there step by step (class1_commands.h). While the core stands still, because a
 * worker has it or the gate holds its answer, the carrier for that answer is opened already; when
 * no answer comes in time, it is dropped and the modem listens for the sender asking again.
 */
#include "fax/modem/front_class1.h"

#include <stdlib.h>
#include <string.h>

#include <spandsp.h>

#include "fax/modem/front_modem.h"
#include "fax/t30/core.h"

enum {
    SAMPLES_PER_MS = 8,
    HOLD_MS = 2300,     /* flags for 3 s make senders give up; the gate is done after 2.2 s */
    RESPOND_MS = 12000, /* carrier, preamble and frame, with a try that fails */
    REST_MS = 2500,
};

/* What the modem is to do now. */
enum aim { AIM_WAIT, AIM_ANSWER, AIM_SEND, AIM_HOLD, AIM_LISTEN, AIM_IMAGE, AIM_REST };

/* ---- what the core wants (t30.h) ------------------------------------------------------------ */

/* T.31 table 1: 24 48 72 96; V.17 has a second code for short training. */
static int code_of(int type, int rate, bool short_train)
{
    if (type != T30_MODEM_V17)
        return rate / 100;
    switch (rate) {
    case 7200: return 73 + short_train;
    case 9600: return 97 + short_train;
    case 12000: return 121 + short_train;
    default: return 145 + short_train;
    }
}

static void on_set_rx_type(void *user, int type, int rate, int short_train, int hdlc)
{
    struct front_class1 *front = user;

    switch (type) {
    case T30_MODEM_V21: front->wish = WISH_LISTEN; break;
    case T30_MODEM_V27TER:
    case T30_MODEM_V29:
    case T30_MODEM_V17:
        front->wish = WISH_IMAGE;
        front->image_code = code_of(type, rate, short_train != 0);
        front->image_hdlc = hdlc != 0;
        front->image_ms = class1_now(front);
        front->frm_tries = front->traits.frm_tries;
        front->excursion = false;
        break;
    case T30_MODEM_DONE: front->wish = WISH_NOTHING; break;
    default: break; /* NONE: a transmitter or another receiver follows */
    }
}

static void on_set_tx_type(void *user, int type, int rate, int short_train, int hdlc)
{
    struct front_class1 *front = user;

    (void)rate;
    (void)hdlc;
    switch (type) {
    case T30_MODEM_CED: front->wish = WISH_ANSWER; break;
    case T30_MODEM_V21: front->wish = WISH_SEND; break;
    case T30_MODEM_PAUSE:
        front->wish = WISH_NOTHING;
        front->pause_left_ms = short_train > 0 ? short_train : 1;
        break;
    default: break; /* NONE comes behind every receiver */
    }
}

static void on_send_hdlc(void *user, const uint8_t *frame, int length)
{
    struct front_class1 *front = user;
    struct frame *next;

    if (length < 0) {
        front->queued = 0;
        front->step_due = false;
        return;
    }
    if (length == 0) { /* no more frames: told from outside the core's own call */
        front->step_due = true;
        return;
    }
    if (front->queued == FRAMES_QUEUED || length > FRAME_MAX)
        return;
    next = &front->queue[front->queued++];
    next->length = (size_t)length;
    memcpy(next->octets, frame, next->length);
}

/* ---- steering ------------------------------------------------------------------------------- */

static enum aim aim_of(const struct front_class1 *front)
{
    if (front->resting)
        return AIM_REST;
    if (front->base.responding)
        return AIM_SEND;
    if (front->holding)
        return front->queued > 0 && class1_core_is_free(front) ? AIM_SEND : AIM_HOLD;
    if (front->base.frozen)
        return front->said_dcn ? AIM_REST : AIM_LISTEN;
    switch (front->wish) {
    case WISH_ANSWER: return AIM_ANSWER;
    case WISH_SEND: return front->queued > 0 ? AIM_SEND : AIM_WAIT;
    case WISH_LISTEN: return AIM_LISTEN;
    case WISH_IMAGE: return front->excursion ? AIM_LISTEN : AIM_IMAGE;
    default: return AIM_WAIT;
    }
}

static void send_next(struct front_class1 *front)
{
    struct frame *echo = &front->echoes[front->echo++ % ECHOES];

    front->holding = false;
    front->base.unread_ms = 0;
    front->image_end_ms = 0;
    front->answer_in_flight = front->base.responding;
    if (front->answer_in_flight) {
        *echo = front->answer;
    } else {
        *echo = front->queue[0];
        front->queued--;
        memmove(front->queue, front->queue + 1, sizeof front->queue[0] * (size_t)front->queued);
    }
    class1_send(&front->modem, echo->octets, echo->length);
}

static void begin(struct front_class1 *front, enum aim aim)
{
    switch (aim) {
    case AIM_ANSWER: class1_answer(&front->modem); break;
    case AIM_SEND:
    case AIM_HOLD: class1_open(&front->modem); break;
    case AIM_LISTEN: class1_seek_frame(&front->modem); break;
    case AIM_IMAGE: class1_seek_image(&front->modem, front->image_code); break;
    case AIM_WAIT:
    case AIM_REST: break;
    }
}

/* Brings the modem a step nearer to what is wanted. */
static void steer(struct front_class1 *front)
{
    enum aim aim = aim_of(front);

    switch (front->modem.state) {
    case CLASS1_COMMAND: begin(front, aim); break;
    case CLASS1_OPEN:
        if (aim == AIM_SEND)
            send_next(front);
        else if (aim != AIM_HOLD && aim != AIM_WAIT)
            class1_close(&front->modem);
        break;
    case CLASS1_ANSWERING:
        if (aim == AIM_REST)
            class1_leave(&front->modem);
        break;
    case CLASS1_SEEKING_FRAME:
    case CLASS1_FRAME:
        if (aim != AIM_LISTEN && aim != AIM_WAIT)
            class1_leave(&front->modem);
        break;
    case CLASS1_SEEKING_IMAGE:
    case CLASS1_IMAGE:
        if (aim != AIM_WAIT && (aim != AIM_IMAGE || front->modem.image_code != front->image_code))
            class1_leave(&front->modem);
        break;
    default: break; /* an answer comes, or the deadline */
    }
}

/* Tells the core of steps that are done; each may bring the next frame. */
static void step(struct front_class1 *front)
{
    enum { STEPS_MOST = 4 };

    if (front->holding && class1_core_is_free(front) && front->wish != WISH_SEND &&
        !front->step_due)
        front->holding = false; /* the core does not answer after all */
    for (int i = 0; i < STEPS_MOST && front->step_due && class1_core_is_free(front); i++) {
        front->step_due = false;
        t30_front_end_status(front->base.t30, T30_FRONT_END_SEND_STEP_COMPLETE);
    }
    steer(front);
}

void class1_hold(struct front_class1 *front)
{
    front->holding = true;
    front->hold_ms = class1_now(front);
}

/* ---- what the modem reports (class1_commands.h) --------------------------------------------- */

static void on_octets_out(void *user, const uint8_t *octets, size_t length)
{
    session_octets_out(((struct front_class1 *)user)->base.session, octets, length);
}

static void on_trace(void *user, const char *direction, const char *text)
{
    session_trace_modem(((struct front_class1 *)user)->base.session, direction, text);
}

static void on_answered(void *user)
{
    ((struct front_class1 *)user)->step_due = true;
}

static void on_sent(void *user)
{
    struct front_class1 *front = user;

    if (front->answer_in_flight)
        front->base.responding = false;
    else
        front->step_due = true;
    front->answer_in_flight = false;
}

static void on_given_up(void *user, const char *why)
{
    struct front_class1 *front = user;

    front->base.responding = false;
    session_front_failed(front->base.session, why);
}

/* ---- the session's calls (front.h) ---------------------------------------------------------- */

static void class1_front_octets(struct front *base, const uint8_t *octets, size_t length)
{
    struct front_class1 *front = (struct front_class1 *)base;

    class1_octets(&front->modem, octets, length);
    step(front);
}

/* While the worker has the frame the modem works on the way to our answer; see step(). */
static void class1_pump(struct front *base, bool on_worker)
{
    struct front_class1 *front = (struct front_class1 *)base;

    if (!on_worker || !base->needs_worker)
        return;
    base->needs_worker = false;
    t30_hdlc_accept(base->t30, front->pending.octets, (int)front->pending.length, TRUE);
}

/* The rest of a page, or the command behind it, is awaited that the modem cannot hear, or has not
 * heard yet. The core would begin anew with a DIS into it. */
static bool is_held_up(const struct front_class1 *front)
{
    bool expects_page = core_expects_page(front->base.t30);

    switch (front->modem.state) {
    case CLASS1_SEEKING_FRAME:
        if (front->wish == WISH_IMAGE)
            return front->excursion && class1_now(front) < front->excursion_until_ms;
        return front->wish == WISH_LISTEN && expects_page &&
               class1_now(front) < front->torn_until_ms;
    case CLASS1_SEEKING_IMAGE:
        return front->wish == WISH_IMAGE && expects_page &&
               class1_now(front) - front->image_ms < TORN_MS;
    default: return false;
    }
}

/* T.30's timers measure silence, so they stand still while something comes in. */
static bool timers_run(const struct front_class1 *front)
{
    if (!class1_core_is_free(front) || front->base.is_held_up)
        return false;
    switch (front->modem.state) {
    case CLASS1_FRAME:
    case CLASS1_FRAME_END:
    case CLASS1_IMAGE:
    case CLASS1_IMAGE_END: return false;
    default: return true;
    }
}

static void class1_front_tick(struct front *base, int elapsed_ms, int16_t *audio_out)
{
    struct front_class1 *front = (struct front_class1 *)base;

    (void)audio_out;
    class1_tick(&front->modem, elapsed_ms);
    if (front->holding && class1_now(front) - front->hold_ms > HOLD_MS)
        front->holding = false;
    if (class1_now(front) > front->excursion_until_ms && front->modem.state == CLASS1_SEEKING_FRAME)
        front->excursion = false;
    if (base->responding && class1_now(front) - front->respond_ms > RESPOND_MS)
        base->responding = false;
    if (front->pause_left_ms > 0 && class1_core_is_free(front)) {
        front->pause_left_ms -= elapsed_ms;
        if (front->pause_left_ms <= 0) {
            front->pause_left_ms = 0;
            front->step_due = true;
        }
    }
    base->is_held_up = is_held_up(front);
    if (timers_run(front))
        t30_timer_update(base->t30, elapsed_ms * SAMPLES_PER_MS);
    step(front);
}

static void class1_respond(struct front *base, const uint8_t *frame, size_t length)
{
    struct front_class1 *front = (struct front_class1 *)base;

    if (length > FRAME_MAX || front->modem.state == CLASS1_GIVEN_UP)
        return;
    front->answer.length = length;
    memcpy(front->answer.octets, frame, length);
    front->said_dcn = frame_fcf(frame, length) == FCF_DCN;
    front->respond_ms = class1_now(front);
    base->responding = true;
}

/* The call is over: the modem goes back into command state, so that it can hang up. */
static bool class1_rest(struct front *base)
{
    struct front_class1 *front = (struct front_class1 *)base;

    if (!front->resting) {
        front->resting = true;
        front->rest_ms = class1_now(front);
        steer(front);
    }
    return front->modem.state == CLASS1_COMMAND || front->modem.state == CLASS1_GIVEN_UP ||
           class1_now(front) - front->rest_ms > REST_MS;
}

/* ---- life ----------------------------------------------------------------------------------- */

static void class1_free(struct front *base)
{
    struct front_class1 *front = (struct front_class1 *)base;

    if (front == NULL)
        return;
    if (base->t30 != NULL)
        t30_free(base->t30);
    if (front->hdlc_rx != NULL)
        hdlc_rx_free(front->hdlc_rx);
    free(front);
}

static const struct front_ops ops = {
    .free = class1_free,
    .octets = class1_front_octets,
    .pump = class1_pump,
    .tick = class1_front_tick,
    .respond = class1_respond,
    .rest = class1_rest,
};

struct front *front_class1_new(struct session *session, const struct modem_traits *traits)
{
    struct front_class1 *front = calloc(1, sizeof *front);
    const struct class1_hooks hooks = {
        .user = front,
        .send = on_octets_out,
        .trace = on_trace,
        .answered = on_answered,
        .sent = on_sent,
        .frame = class1_hears_frame,
        .no_frame = class1_hears_no_frame,
        .no_image = class1_hears_no_image,
        .image_begins = class1_hears_image_begin,
        .image = class1_hears_image,
        .image_ends = class1_hears_image_end,
        .v21_instead = class1_hears_v21,
        .given_up = on_given_up,
    };

    if (front == NULL)
        return NULL;
    front->base = (struct front){.ops = &ops, .session = session};
    front->traits = *traits;
    class1_init(&front->modem, &hooks, &front->traits);
    front->hdlc_rx =
        hdlc_rx_init(NULL, FALSE, TRUE, FRAMING_OK_FLAGS, class1_hears_image_frame, front);
    /* begins in phase A: the handlers are called at once */
    front->base.t30 =
        t30_init(NULL, FALSE, on_set_rx_type, front, on_set_tx_type, front, on_send_hdlc, front);
    if (front->hdlc_rx == NULL || front->base.t30 == NULL) {
        class1_free(&front->base);
        return NULL;
    }
    return &front->base;
}
