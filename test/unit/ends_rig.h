/* SPDX-License-Identifier: MIT */
/*
 * ends_rig.h - a far end that goes on for ever in some way, over T.38, audio or a Class 1 modem, on
 * virtual time: does the call end?
 *
 * The far end is a function that is called every 20 ms and sends by the functions below; what they
 * are given goes out as packets, or through the modulators of V.21 and V.17.
 */
#ifndef FAXPOST_TEST_ENDS_RIG_H
#define FAXPOST_TEST_ENDS_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fax/t30/session.h"

struct far;

struct end_case {
    const char *name;
    enum session_media media;
    void (*far_end)(struct far *far);
    int store_ms;           /* how long a store takes; -1: it never comes back */
    int64_t session_ms_max; /* 0: the rig's own, of that medium */
};

struct end_result {
    bool ended;
    int64_t ms;
    struct call_info info;
    int stored, pieces;    /* pages handed out; what is not confirmed */
    int frames_heard, mcf; /* by the far end */
};

/* Runs one call, for 10 s longer than the longest that it may last. */
void end_run(struct end_result *out, const struct end_case *end_case);

/* ---- for far ends ---------------------------------------------------------------------------- */

/* Virtual time; a state of one's own, 0 at first, to go on from the next time. */
int64_t far_now_ms(const struct far *far);
int *far_step(struct far *far);

/* Something is still going out. */
bool far_is_busy(const struct far *far);

/* The field of the last final frame that came since the question before, 0 for none. */
uint8_t far_heard(struct far *far);

/* True once in so many ms, and not while something goes out. */
bool far_is_due(struct far *far, int every_ms);

/* One frame by V.21; flags by V.21 without an end. */
void far_v21(struct far *far, const uint8_t *frame, size_t length);
void far_flags(struct far *far);

/* A carrier of V.17 at 14400 bit/s: octets until a negative one, or frames until one of no length.
 * is_check: a training check, whose own training is long. */
void far_octets(struct far *far, int (*next)(struct far *far), bool is_check);
void far_frames(struct far *far, size_t (*next)(struct far *far, uint8_t frame[300]));

/* Audio only: a tone or noise for as long as nothing else goes out. */
void far_tone(struct far *far, int hz);
void far_noise(struct far *far, int amplitude);

uint32_t far_random(struct far *far);

#endif
