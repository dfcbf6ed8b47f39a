/* SPDX-License-Identifier: MIT */
/*
 * front_class1.c - a Class 1 or 1.0 modem (T.31) before the T.30 core.
 *
 * The core says what it wants: to send frames, to hear V.21, to hear an image carrier. steer()
 * brings the modem there step by step (class1_commands.h). While the core stands still, because a
 * worker has it or the gate holds its answer, the carrier for that answer is opened already; when
 * no answer comes in time, it is dropped and the modem listens for the sender asking again.
 */
#include "fax/front.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spandsp.h>

#include "fax/class1_commands.h"
#include "fax/core.h"
#include "fax/frames.h"

enum {
    SAMPLES_PER_MS = 8,
    FRAMES_QUEUED = 8, /* the core hands over one and waits */
    ECHOES = 4,        /* frames that one of our carriers has: NSF, CSI, DIS */
    FCS_OCTETS = 2,
    FRAMING_OK_FLAGS = 5,
    HOLD_MS = 2300,     /* flags for 3 s make senders give up; the gate is done after 2.2 s */
    EARLY_MS = 600,     /* V.21 so soon is the tail of the command before (T.30: 75 ms) */
    LISTEN_MS = 12000,  /* three repeats of a command (T4), or a TCF and the next DCS */
    GAP_MS = 1200,      /* between a page and the CONNECT of its command */
    AGAIN_MS = 4800,    /* T4 is 3 s ± 15 %, the CONNECT comes 1 s later at most */
    TORN_MS = 45000,    /* what a sender that does not know still has to send of a block */
    RESPOND_MS = 12000, /* carrier, preamble and frame, with a try that fails */
    REST_MS = 2500,
    NO_FCS_SURE = 3, /* good frames in a row without a good FCS: that modem keeps it back */
};

/* What the core wants of the modem. */
enum wish { WISH_NOTHING, WISH_ANSWER, WISH_SEND, WISH_LISTEN, WISH_IMAGE };

/* What the modem is to do now. */
enum aim { AIM_WAIT, AIM_ANSWER, AIM_SEND, AIM_HOLD, AIM_LISTEN, AIM_IMAGE, AIM_REST };

struct frame {
    size_t length;
    uint8_t octets[FRAME_MAX];
};

struct front_class1 {
    struct front base;
    struct modem_traits traits;
    struct class1 modem;
    enum wish wish;
    int image_code; /* of +FRM */
    bool image_hdlc;
    int64_t image_ms; /* since when the core wants it */
    int frm_tries;    /* left */
    bool excursion;   /* V.21 came in its place: hear that first … */
    int64_t excursion_until_ms;

    struct frame queue[FRAMES_QUEUED]; /* to be sent */
    int queued;
    bool step_due;     /* the core is to be told that a step is done */
    int pause_left_ms; /* the core's own pause; 0: none */

    struct frame pending; /* for the worker */
    bool holding;         /* the carrier is opened before there is a frame */
    int64_t hold_ms;
    struct frame answer; /* of respond() */
    bool answer_in_flight, said_dcn;
    int64_t respond_ms;
    bool resting;
    int64_t rest_ms;

    hdlc_rx_state_t *hdlc_rx; /* of the image carrier */
    bool hdlc;                /* the carrier that is there is HDLC */
    bool ended_cleanly;       /* RCP came */
    int64_t command_ms;       /* the last command behind a page; 0: none */
    int64_t image_end_ms;     /* 0: a command came since */
    int64_t torn_until_ms;
    struct frame echoes[ECHOES];
    int echo;
    int without_fcs; /* negative: the modem gives the FCS */
};

static int64_t now_of(const struct front_class1 *front)
{
    return front->modem.now_ms;
}

/* The core may be called. */
static bool core_is_free(const struct front_class1 *front)
{
    return !front->base.frozen && !front->base.needs_worker && !front->base.responding;
}

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
        front->image_ms = now_of(front);
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
        return front->queued > 0 && core_is_free(front) ? AIM_SEND : AIM_HOLD;
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

    if (front->holding && core_is_free(front) && front->wish != WISH_SEND && !front->step_due)
        front->holding = false; /* the core does not answer after all */
    for (int i = 0; i < STEPS_MOST && front->step_due && core_is_free(front); i++) {
        front->step_due = false;
        t30_front_end_status(front->base.t30, T30_FRONT_END_SEND_STEP_COMPLETE);
    }
    steer(front);
}

static void hold(struct front_class1 *front)
{
    front->holding = true;
    front->hold_ms = now_of(front);
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

/* Some modems hear their own frames. A DCN is the same from either side. */
static bool is_echo(const struct front_class1 *front, const uint8_t *frame, size_t length)
{
    if (frame_fcf(frame, length) == FCF_DCN)
        return false;
    for (int i = 0; i < ECHOES; i++)
        if (front->echoes[i].length == length &&
            memcmp(front->echoes[i].octets, frame, length) == 0)
            return true;
    return false;
}

/* Octets without the FCS; 0 when the frame is not to be trusted. A modem may call a frame good of
 * which octets were lost on the way to us, and some keep the FCS back. */
static size_t checked_length(struct front_class1 *front, const uint8_t *frame, size_t length)
{
    if (length < 3)
        return 0;
    if (length >= 3 + FCS_OCTETS && crc_itu16_check(frame, (int)length)) {
        front->without_fcs = -1;
        return length - FCS_OCTETS;
    }
    if (front->without_fcs >= 0 && ++front->without_fcs >= NO_FCS_SURE)
        return length;
    return 0;
}

/* A command follows its page in 75 ms (T.30 5.3.2.2); what lies between was not read. */
static void note_gap(struct front_class1 *front)
{
    int64_t gap_ms = front->modem.begun_ms - front->image_end_ms;

    front->base.unread_ms = front->image_end_ms > 0 && gap_ms > GAP_MS ? (int)gap_ms : 0;
    front->image_end_ms = 0;
    front->torn_until_ms = 0;
}

/* A command behind a page that the modem could not train to looks like the command before, asked
 * again because our answer was lost. That comes after T4, a page takes longer. In doubt a page was
 * there, so that it is refused and comes again. */
static void note_lost_page(struct front_class1 *front, const uint8_t *frame, size_t length)
{
    bool again = front->command_ms > 0 && front->modem.begun_ms - front->command_ms < AGAIN_MS;

    if (!frame_is_post_message(frame, length) || !core_is_free(front))
        return;
    if (front->wish == WISH_IMAGE && !front->image_hdlc && !again)
        t30_non_ecm_put_bit(front->base.t30, SIG_STATUS_TRAINING_IN_PROGRESS);
    front->command_ms = now_of(front);
}

static void on_frame(void *user, const uint8_t *frame, size_t length, bool good)
{
    struct front_class1 *front = user;
    bool final;

    if (good)
        length = checked_length(front, frame, length);
    if (!good || length == 0 || length > FRAME_MAX || front->resting || front->base.needs_worker) {
        front->image_end_ms = 0; /* it was the command behind the page */
        return;                  /* the sender asks again, and the core's timers run */
    }
    if (is_echo(front, frame, length))
        return;
    final = (frame[1] & (FRAME_FINAL ^ 0x03)) != 0;
    if (final)
        front->excursion = false;
    note_gap(front);
    note_lost_page(front, frame, length);
    switch (session_frame_in(front->base.session, frame, length)) {
    case FRONT_TO_CORE: t30_hdlc_accept(front->base.t30, frame, (int)length, TRUE); break;
    case FRONT_TO_WORKER:
        front->pending.length = length;
        memcpy(front->pending.octets, frame, length);
        front->base.needs_worker = true;
        hold(front);
        break;
    case FRONT_SWALLOW:
        if (front->base.frozen && !front->base.responding && final)
            hold(front); /* the sender asks again: the answer may be ready soon */
        break;
    case FRONT_BAD: break;
    }
}

static void on_no_frame(void *user)
{
    ((struct front_class1 *)user)->excursion = false;
}

static void make_excursion(struct front_class1 *front)
{
    front->excursion = true;
    front->excursion_until_ms = now_of(front) + LISTEN_MS;
}

/* V.21 at once may be the tail of the command before: ask again. Later, or again and again, it is a
 * command repeated: hear it. The core takes frames in this phase too. */
static void on_v21_instead(void *user, bool comes)
{
    struct front_class1 *front = user;

    if (!comes && front->frm_tries > 0 && now_of(front) - front->image_ms < EARLY_MS)
        front->frm_tries--;
    else
        make_excursion(front);
}

/* What could not be trained to is lost, and some modems say so of V.21: the next thing to come is a
 * command. */
static void on_no_image(void *user)
{
    struct front_class1 *front = user;

    if (now_of(front) - front->image_ms >= EARLY_MS)
        make_excursion(front);
}

/* ---- the image carrier ---------------------------------------------------------------------- */

static void tell_carrier(struct front_class1 *front, int status)
{
    if (!core_is_free(front))
        return;
    if (front->hdlc)
        t30_hdlc_accept(front->base.t30, NULL, status, TRUE);
    else
        t30_non_ecm_put_bit(front->base.t30, status);
}

/* T.4 annex A: FCD and RCP are all that an image carrier has. */
static void on_image_frame(void *user, const uint8_t *frame, int length, int good)
{
    struct front_class1 *front = user;
    uint8_t fcf;

    if (!core_is_free(front))
        return;
    if (length >= 0 && good) {
        fcf = frame_fcf(frame, (size_t)length);
        if (fcf != FCF_FCD && fcf != FCF_RCP)
            return;
        front->ended_cleanly = front->ended_cleanly || fcf == FCF_RCP;
        switch (session_frame_in(front->base.session, frame, (size_t)length)) {
        case FRONT_TO_CORE: break;
        case FRONT_BAD: good = FALSE; break;
        default: return;
        }
    }
    t30_hdlc_accept(front->base.t30, frame, length, good);
}

static void on_image_begins(void *user)
{
    struct front_class1 *front = user;

    front->hdlc = front->image_hdlc;
    front->ended_cleanly = false;
    front->excursion = false;
    hdlc_rx_init(front->hdlc_rx, FALSE, TRUE, FRAMING_OK_FLAGS, on_image_frame, front);
    tell_carrier(front, SIG_STATUS_TRAINING_IN_PROGRESS);
    tell_carrier(front, SIG_STATUS_CARRIER_UP);
    tell_carrier(front, SIG_STATUS_TRAINING_SUCCEEDED);
}

static void on_image(void *user, const uint8_t *octets, size_t length)
{
    struct front_class1 *front = user;

    if (!core_is_free(front))
        return;
    if (!front->hdlc) {
        session_image_in(front->base.session);
        for (size_t i = 0; i < length; i++)
            t30_non_ecm_put_byte(front->base.t30, octets[i]);
        return;
    }
    for (size_t i = 0; i < length; i++)
        for (int bit = 0; bit < 8; bit++)
            hdlc_rx_put_bit(front->hdlc_rx, (octets[i] >> bit) & 1);
}

/* A carrier that tore in the middle of a page: the sender does not know and goes on with it, and
 * the core would speak into it after T2. The command that comes in the end tells what is missing. A
 * modem does not say whether somebody still sends, so the time is given in any case. */
static void on_image_ends(void *user)
{
    struct front_class1 *front = user;

    front->image_end_ms = now_of(front);
    if (!front->hdlc || !front->ended_cleanly)
        front->torn_until_ms = now_of(front) + TORN_MS;
    tell_carrier(front, SIG_STATUS_CARRIER_DOWN);
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
            return front->excursion && now_of(front) < front->excursion_until_ms;
        return front->wish == WISH_LISTEN && expects_page && now_of(front) < front->torn_until_ms;
    case CLASS1_SEEKING_IMAGE:
        return front->wish == WISH_IMAGE && expects_page &&
               now_of(front) - front->image_ms < TORN_MS;
    default: return false;
    }
}

/* T.30's timers measure silence, so they stand still while something comes in. */
static bool timers_run(const struct front_class1 *front)
{
    if (!core_is_free(front) || front->base.is_held_up)
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
    if (front->holding && now_of(front) - front->hold_ms > HOLD_MS)
        front->holding = false;
    if (now_of(front) > front->excursion_until_ms && front->modem.state == CLASS1_SEEKING_FRAME)
        front->excursion = false;
    if (base->responding && now_of(front) - front->respond_ms > RESPOND_MS)
        base->responding = false;
    if (front->pause_left_ms > 0 && core_is_free(front)) {
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
    front->respond_ms = now_of(front);
    base->responding = true;
}

/* The call is over: the modem goes back into command state, so that it can hang up. */
static bool class1_rest(struct front *base)
{
    struct front_class1 *front = (struct front_class1 *)base;

    if (!front->resting) {
        front->resting = true;
        front->rest_ms = now_of(front);
        steer(front);
    }
    return front->modem.state == CLASS1_COMMAND || front->modem.state == CLASS1_GIVEN_UP ||
           now_of(front) - front->rest_ms > REST_MS;
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
        .frame = on_frame,
        .no_frame = on_no_frame,
        .no_image = on_no_image,
        .image_begins = on_image_begins,
        .image = on_image,
        .image_ends = on_image_ends,
        .v21_instead = on_v21_instead,
        .given_up = on_given_up,
    };

    if (front == NULL)
        return NULL;
    front->base = (struct front){.ops = &ops, .session = session};
    front->traits = *traits;
    class1_init(&front->modem, &hooks, &front->traits);
    front->hdlc_rx = hdlc_rx_init(NULL, FALSE, TRUE, FRAMING_OK_FLAGS, on_image_frame, front);
    /* begins in phase A: the handlers are called at once */
    front->base.t30 =
        t30_init(NULL, FALSE, on_set_rx_type, front, on_set_tx_type, front, on_send_hdlc, front);
    if (front->hdlc_rx == NULL || front->base.t30 == NULL) {
        class1_free(&front->base);
        return NULL;
    }
    return &front->base;
}
