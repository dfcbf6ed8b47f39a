/* SPDX-License-Identifier: MIT */
/*
 * class1_internal.h - what class1_commands.c and class1_responses.c have of each other.
 */
#ifndef FAXPOST_FAX_CLASS1_INTERNAL_H
#define FAXPOST_FAX_CLASS1_INTERNAL_H

#include "fax/modem/class1_commands.h"

enum {
    CLASS1_HELD_MS = 4500,    /* the modem itself gives up after 5 s (T.31 8.3.4) */
    CLASS1_FRAME_MS = 10000,  /* CONNECT comes with the flags; senders hold these for 3 s at most */
    CLASS1_VERDICT_MS = 3000, /* OK comes when the carrier has gone */
    CLASS1_STALL_MS = 5000,   /* a carrier brings octets all the time */
    CLASS1_LEAVE_MS = 350,    /* OK in 200 ms, or none; and the port's delay both ways */
    CLASS1_PEACE_MS = 500,    /* between tries of a modem that finds nothing */
};

/* For people. */
extern const char class1_no_answers[];
extern const char class1_only_errors[];

/* A state and its deadline; 0: none. */
void class1_enter(struct class1 *modem, enum class1_state state, int deadline_ms);

/* A command did what it should; or failed: false when that was one too many. */
void class1_succeed(struct class1 *modem);
bool class1_fail(struct class1 *modem, const char *why);
void class1_give_up(struct class1 *modem, const char *why);

/* Our carrier, without a silence before it. */
void class1_open_carrier(struct class1 *modem);

void class1_trace_octets(struct class1 *modem, const char *direction, size_t octets);

/* A reception is over: into command state; and with what came. */
void class1_rest(struct class1 *modem);
void class1_frame_ends(struct class1 *modem, bool good);
void class1_image_over(struct class1 *modem);

/* at_stream's hooks. */
void class1_on_line(void *user, const char *line);
void class1_on_data(void *user, const uint8_t *octets, size_t length);
void class1_on_data_end(void *user);

#endif
