/* SPDX-License-Identifier: MIT */
/*
 * class1_commands.h - a Class 1 or 1.0 modem (T.31): its commands, its answers, and what it is
 * doing at this moment. Knows nothing of T.30.
 *
 * A state machine without I/O, clock or library. A modem that is late, says ERROR, nothing, or
 * rubbish is brought back into command state; each state has a deadline. After too many failures in
 * a row the modem is given up.
 */
#ifndef FAXPOST_FAX_CLASS1_COMMANDS_H
#define FAXPOST_FAX_CLASS1_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fax/modem/at_stream.h"
#include "fax/t30/modem_traits.h"

enum { CLASS1_FRAME_MAX = 300 };

enum class1_state {
    CLASS1_COMMAND,       /* takes a command */
    CLASS1_ANSWERING,     /* ATA */
    CLASS1_QUIET,         /* before we send: +FRS, +FTS or a pause of our own */
    CLASS1_OPENING,       /* +FTH=3 */
    CLASS1_OPEN,          /* our V.21 carrier is there, flags go out: a frame may follow */
    CLASS1_SENDING,       /* a frame goes out */
    CLASS1_CLOSING,       /* the carrier goes without a frame */
    CLASS1_SEEKING_FRAME, /* +FRH=3 */
    CLASS1_FRAME,         /* CONNECT: a frame comes in */
    CLASS1_FRAME_END,     /* it is here, the verdict on it not yet */
    CLASS1_SEEKING_IMAGE, /* +FRM */
    CLASS1_IMAGE,
    CLASS1_IMAGE_END,
    CLASS1_LEAVING, /* told to stop what it did */
    CLASS1_GIVEN_UP,
};

struct class1_hooks {
    void *user;
    void (*send)(void *user, const uint8_t *octets, size_t length);
    void (*trace)(void *user, const char *direction, const char *text);
    /* ATA succeeded: the carrier for our first frame is open. */
    void (*answered)(void *user);
    /* The frame went out, or the modem will not say so. */
    void (*sent)(void *user);
    /* A frame came in, with its FCS; good: the modem says so. */
    void (*frame)(void *user, const uint8_t *frame, size_t length, bool good);
    /* The V.21 carrier went, or there was none. */
    void (*no_frame)(void *user);
    /* There was no image carrier, or the modem could not train to it. */
    void (*no_image)(void *user);
    void (*image_begins)(void *user);
    void (*image)(void *user, const uint8_t *octets, size_t length);
    void (*image_ends)(void *user);
    /* +FCERROR: V.21 is on the line where an image carrier was awaited. comes: the modem goes on
     * with +FRH=3 by itself. */
    void (*v21_instead)(void *user, bool comes);
    /* The modem cannot be used any more; why: a literal for people. */
    void (*given_up)(void *user, const char *why);
};

struct class1 {
    struct class1_hooks hooks;
    const struct modem_traits *traits; /* the owner's */
    struct at_stream stream;
    enum class1_state state;
    int64_t now_ms;
    int64_t deadline_ms; /* 0: none */
    int64_t ok_until_ms; /* the OK to the end of a reception may still come */
    int64_t begun_ms;    /* CONNECT of the last frame */
    int64_t again_ms;    /* not before this is a reception asked for again */
    int failures;        /* commands in a row that failed */
    int empty;           /* +FRH=3 in a row that ended without a frame */
    bool heard;          /* something was received since we sent last: keep quiet first */
    bool is_final;       /* the frame that goes out is the last */
    bool leaves_sending; /* LEAVING what would have opened our carrier */
    bool pausing;        /* QUIET is a pause of our own */
    bool has_answered;
    int image_code; /* of the last +FRM */
    uint8_t frame[CLASS1_FRAME_MAX];
    size_t frame_length;
    bool too_long;
    size_t image_octets;
};

/* In command state. hooks are copied, traits must outlive it. */
void class1_init(struct class1 *modem, const struct class1_hooks *hooks,
                 const struct modem_traits *traits);

/* Time passes; octets come from the modem. */
void class1_tick(struct class1 *modem, int elapsed_ms);
void class1_octets(struct class1 *modem, const uint8_t *octets, size_t length);

/* In CLASS1_COMMAND. answer and open lead to OPEN; seeking stays in COMMAND for a moment when the
 * modem is to be left in peace. */
void class1_answer(struct class1 *modem);
void class1_open(struct class1 *modem);
void class1_seek_frame(struct class1 *modem);
void class1_seek_image(struct class1 *modem, int code);

/* In CLASS1_OPEN: one frame without FCS, the carrier ends with it if it is final (T.31 8.3.4); or
 * the end of the carrier without a frame. */
void class1_send(struct class1 *modem, const uint8_t *frame, size_t length);
void class1_close(struct class1 *modem);

/* While receiving or seeking: leads to COMMAND. */
void class1_leave(struct class1 *modem);

#endif
