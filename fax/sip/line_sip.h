/* SPDX-License-Identifier: MIT */
/*
 * line_sip.h - the SIP lines: one thread, one loop, one stack per [line] so that each has its own
 * addresses and its requests leave by the right one.
 *
 * The thread never touches a disk and never waits: what it wants from others it posts, and what
 * others want from it comes by line_sip_post().
 */
#ifndef FAXPOST_FAX_LINE_SIP_H
#define FAXPOST_FAX_LINE_SIP_H

#include "fax/receive_settings.h"

struct channel;
struct call_shared;
struct line_sip;

enum line_event {
    LINE_OPENED,        /* a worker made the folder (error 0) or could not */
    LINE_ASK_T38,       /* the session says: now */
    LINE_SWITCH_FAILED, /* the session had gone too far for T.38 */
    LINE_ENDED,         /* the session is over: hang up */
};

/* Starts the thread and opens the lines of `settings`, which it owns from then on, also when it
 * fails. Sets shared->lines. ERROR_IO (a line could not be opened; logged), ERROR_MEMORY,
 * ERROR_LIBRARY. */
int line_sip_start(struct line_sip **out, struct call_shared *shared,
                   struct receive_settings *settings);

/* Takes new settings, which it owns from then on. Returns at once. */
void line_sip_reload(struct line_sip *lines, struct receive_settings *settings);

/* New calls are refused from now on. */
void line_sip_drain(struct line_sip *lines);

/* Hangs up on all calls; new ones are refused. Returns at once. */
void line_sip_hang_up(struct line_sip *lines);

/* Waits for the answers to what was sent (two seconds at most) and joins. NULL is fine. */
void line_sip_stop(struct line_sip *lines);

/* From any thread. */
void line_sip_post(struct line_sip *lines, enum line_event event, struct channel *channel,
                   int error);

#endif
