/* SPDX-License-Identifier: MIT */
/*
 * front_class1_rx.c - what a Class 1 modem hears: V.21 frames, and image carriers as raw octets, of
 * which HDLC frames are made in ECM.
 */
#include "fax/modem/front_class1.h"

#include <string.h>

#include <spandsp.h>

enum {
    FCS_OCTETS = 2,
    EARLY_MS = 600,    /* V.21 so soon is the tail of the command before (T.30: 75 ms) */
    LISTEN_MS = 12000, /* three repeats of a command (T4), or a TCF and the next DCS */
    GAP_MS = 1200,     /* between a page and the CONNECT of its command */
    AGAIN_MS =
        3780, /* T4 is 3.45 s at most, V.21 is known 200 ms later; a white page takes 3.8 s */
    PREAMBLE_MS = 1000,
    NO_FCS_SURE = 3, /* good frames in a row without a good FCS: that modem keeps it back */
};

/* ---- V.21 ----------------------------------------------------------------------------------- */

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
    int64_t heard_ms = front->modem.begun_ms;
    bool again;

    if (heard_ms - front->v21_ms < PREAMBLE_MS)
        heard_ms = front->v21_ms; /* the modem knew before it was asked to read it */
    again = front->command_ms > 0 && heard_ms - front->command_ms < AGAIN_MS;
    if (!frame_is_post_message(frame, length) || !class1_core_is_free(front))
        return;
    if (front->wish == WISH_IMAGE && !front->image_hdlc && !again)
        t30_non_ecm_put_bit(front->base.t30, SIG_STATUS_TRAINING_IN_PROGRESS);
    front->command_ms = class1_now(front);
}

void class1_hears_frame(void *user, const uint8_t *frame, size_t length, bool good)
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
        class1_hold(front);
        break;
    case FRONT_SWALLOW:
        if (front->base.frozen && !front->base.responding && final)
            class1_hold(front); /* the sender asks again: the answer may be ready soon */
        break;
    case FRONT_BAD: break;
    }
}

void class1_hears_no_frame(void *user)
{
    ((struct front_class1 *)user)->excursion = false;
}

static void make_excursion(struct front_class1 *front)
{
    front->excursion = true;
    front->excursion_until_ms = class1_now(front) + LISTEN_MS;
}

/* V.21 at once may be the tail of the command before: ask again. Later, or again and again, it is a
 * command repeated: hear it. The core takes frames in this phase too. */
void class1_hears_v21(void *user, bool comes)
{
    struct front_class1 *front = user;

    front->v21_ms = class1_now(front);
    if (!comes && front->frm_tries > 0 && class1_now(front) - front->image_ms < EARLY_MS)
        front->frm_tries--;
    else
        make_excursion(front);
}

/* What could not be trained to is lost, and some modems say so of V.21: the next thing to come is a
 * command. */
void class1_hears_no_image(void *user)
{
    struct front_class1 *front = user;

    if (class1_now(front) - front->image_ms >= EARLY_MS)
        make_excursion(front);
}

/* ---- the image carrier ---------------------------------------------------------------------- */

static void tell_carrier(struct front_class1 *front, int status)
{
    if (!class1_core_is_free(front))
        return;
    if (front->hdlc)
        t30_hdlc_accept(front->base.t30, NULL, status, TRUE);
    else
        t30_non_ecm_put_bit(front->base.t30, status);
}

/* T.4 annex A: FCD and RCP are all that an image carrier has. */
void class1_hears_image_frame(void *user, const uint8_t *frame, int length, int good)
{
    struct front_class1 *front = user;
    uint8_t fcf;

    if (!class1_core_is_free(front))
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

void class1_hears_image_begin(void *user)
{
    struct front_class1 *front = user;

    front->hdlc = front->image_hdlc;
    front->ended_cleanly = false;
    front->excursion = false;
    hdlc_rx_init(front->hdlc_rx, FALSE, TRUE, FRAMING_OK_FLAGS, class1_hears_image_frame, front);
    tell_carrier(front, SIG_STATUS_TRAINING_IN_PROGRESS);
    tell_carrier(front, SIG_STATUS_CARRIER_UP);
    tell_carrier(front, SIG_STATUS_TRAINING_SUCCEEDED);
}

void class1_hears_image(void *user, const uint8_t *octets, size_t length)
{
    struct front_class1 *front = user;

    if (!class1_core_is_free(front))
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
void class1_hears_image_end(void *user)
{
    struct front_class1 *front = user;

    front->image_end_ms = class1_now(front);
    if (!front->hdlc || !front->ended_cleanly)
        front->torn_until_ms = class1_now(front) + TORN_MS;
    tell_carrier(front, SIG_STATUS_CARRIER_DOWN);
}
