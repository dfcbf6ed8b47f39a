/* SPDX-License-Identifier: MIT */
/*
 * front.h - a T.30 front end as the session sees it: what carries the frames and the image.
 *
 * The audio and T.38 front ends are the library's own terminals with our handlers before and behind
 * the core. The modem front ends drive a modem by AT commands. All can also speak V.21 without the
 * core ("respond"), for RNR, for a repeated answer and for DCN, while the core stands still.
 */
#ifndef FAXPOST_FAX_FRONT_H
#define FAXPOST_FAX_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fax/t30/session.h"

struct t30_state_s; /* the library's T.30 core */
struct front;

struct front_ops {
    void (*free)(struct front *front);
    /* What comes in; those of other media are NULL. */
    void (*ifp)(struct front *front, const uint8_t *ifp, size_t length, uint16_t seq);
    void (*audio)(struct front *front, int16_t *samples, size_t count);
    void (*missing)(struct front *front, int16_t *samples, size_t count); /* a guess */
    void (*octets)(struct front *front, const uint8_t *octets, size_t length);
    /* Hands events that wait to the core. Stops at a frame that needs the worker, unless it was
     * called there: then exactly that frame is handed over. */
    void (*pump)(struct front *front, bool on_worker);
    /* Time passes: timers of the core, what is due to be sent. audio_out: 160 samples or NULL. When
     * the front end is frozen nothing of the core moves. */
    void (*tick)(struct front *front, int elapsed_ms, int16_t *audio_out);
    /* Leaves out phase A: DIS goes out at once, after a switch to this front end. NULL: cannot. */
    void (*begin_phase_b)(struct front *front);
    /* Sends one V.21 frame without the core, with preamble and all. */
    void (*respond)(struct front *front, const uint8_t *frame, size_t length);
    /* Sets right what the core does not know: rate, ecm. NULL: the core knows all. */
    void (*describe)(const struct front *front, struct call_info *info);
    /* Asked at the end of the session: true when what carries the call may be hung up. A modem is
     * brought back into command state first, in bounded time. NULL: always. */
    bool (*rest)(struct front *front);
};

enum { FRONT_UNREAD_MS = 500 }; /* more of unread_ms than a damaged command leaves: a page */

struct front {
    const struct front_ops *ops;
    struct session *session;
    struct t30_state_s *t30;
    bool frozen;       /* set by the session while the gate holds an answer */
    bool responding;   /* a frame of our own is going out */
    bool wants_cng;    /* listen for CNG: until our first DIS */
    bool is_held_up;   /* the sender is heard, though nothing can be made of it */
    int unread_ms;     /* … so long since our last answer */
    int lost_octets;   /* of a page outside ECM, in packets that did not come */
    bool needs_worker; /* the next waiting event is a frame for the worker */
    int patience_ms;   /* the modem itself keeps a sender waiting so long; 0: nobody does */
};

/* Makes a front end ready for session_attach_core(). NULL: out of memory. */
struct front *front_audio_new(struct session *session);
struct front *front_t38_new(struct session *session, const struct session_settings *settings);

/* ---- what front ends ask the session -------------------------------------------------------- */

enum front_frame {
    FRONT_TO_CORE,
    FRONT_TO_WORKER, /* hand it over in pump(on_worker) */
    FRONT_SWALLOW,   /* the core must not see it */
    FRONT_BAD,       /* the core is to see it as damaged */
};

/* A whole frame with a good FCS came in: where does it go? Asked once a frame. */
enum front_frame session_frame_in(struct session *session, const uint8_t *frame, size_t length);

/* Image data outside ECM frames came in. */
void session_image_in(struct session *session);

/* CNG was heard. */
void session_cng_in(struct session *session);

/* An IFP packet is ready to be sent. */
void session_ifp_out(struct session *session, const uint8_t *ifp, size_t length, int copies);

/* Octets for the modem. */
void session_octets_out(struct session *session, const uint8_t *octets, size_t length);

/* A line for the trace: "modem <", "modem >" and what was said. Costs nothing without a trace. */
void session_trace_modem(struct session *session, const char *direction, const char *text);

/* The front end cannot go on (the modem hung up, says ERROR to everything, is a data or voice
 * call): the call ends without a word on the line. why: a literal that tells people what to do. */
void session_front_failed(struct session *session, const char *why);

#endif
