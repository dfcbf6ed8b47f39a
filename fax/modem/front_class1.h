/* SPDX-License-Identifier: MIT */
/*
 * front_class1.h - what front_class1.c (the core's wishes, steering) and front_class1_rx.c (what
 * the modem hears) share.
 */
#ifndef FAXPOST_FAX_FRONT_CLASS1_H
#define FAXPOST_FAX_FRONT_CLASS1_H

#include "fax/modem/class1_commands.h"
#include "fax/t30/frames.h"
#include "fax/t30/front.h"

struct hdlc_rx_state_s; /* the library's */

enum {
    FRAMES_QUEUED = 8, /* the core hands over one and waits */
    ECHOES = 4,        /* frames that one of our carriers has: NSF, CSI, DIS */
    FRAMING_OK_FLAGS = 5,
    TORN_MS = 45000, /* what a sender that does not know still has to send of a block */
};

/* What the core wants of the modem. */
enum wish { WISH_NOTHING, WISH_ANSWER, WISH_SEND, WISH_LISTEN, WISH_IMAGE };

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

    struct hdlc_rx_state_s *hdlc_rx; /* of the image carrier */
    bool hdlc;                       /* the carrier that is there is HDLC */
    bool ended_cleanly;              /* RCP came */
    int64_t v21_ms;                  /* when V.21 came in place of an image carrier */
    int64_t command_ms;              /* the last command behind a page; 0: none */
    int64_t image_end_ms;            /* 0: a command came since */
    int64_t torn_until_ms;
    struct frame echoes[ECHOES];
    int echo;
    int without_fcs; /* negative: the modem gives the FCS */
};

static inline int64_t class1_now(const struct front_class1 *front)
{
    return front->modem.now_ms;
}

/* The core may be called. */
static inline bool class1_core_is_free(const struct front_class1 *front)
{
    return !front->base.frozen && !front->base.needs_worker && !front->base.responding;
}

/* The carrier for an answer is opened before there is one. */
void class1_hold(struct front_class1 *front);

/* Hooks of class1_commands.h. */
void class1_hears_frame(void *user, const uint8_t *frame, size_t length, bool good);
void class1_hears_no_frame(void *user);
void class1_hears_v21(void *user, bool comes);
void class1_hears_no_image(void *user);
void class1_hears_image_begin(void *user);
void class1_hears_image(void *user, const uint8_t *octets, size_t length);
void class1_hears_image_end(void *user);

/* Handler of the image carrier's HDLC receiver. */
void class1_hears_image_frame(void *user, const uint8_t *frame, int length, int good);

#endif
