/* SPDX-License-Identifier: MIT */
/*
 * receive.h - the telephone side as a whole: reads its settings, starts page workers, media threads
 * and lines, and takes calls until it is told to stop.
 *
 * The main thread of the receive role calls these, one at a time. Settings are copied: `conf` is
 * not used any more when a call returns. Sections read: [gateway] state_dir; [line *];
 * [limits] sessions, session_seconds, pages, rows, media_threads, page_workers, stall; [spool]
 * min_free.
 */
#ifndef FAXPOST_FAX_RECEIVE_H
#define FAXPOST_FAX_RECEIVE_H

#include <stddef.h>

#include "base/conf.h"

struct receive;

struct receive_hooks {
    void *user;
    /* The number of live calls changed. On any thread of receive: set a flag or write an eventfd,
     * nothing more. NULL: not wanted. */
    void (*calls_changed)(void *user, int calls);
    /* receive_lines_text() says something new. As above. */
    void (*lines_changed)(void *user);
    /* A modem line wants its port, which this process may not open: receive_port() is the answer.
     * And it has closed it. On any thread. NULL: there are no ports. */
    void (*port_wanted)(void *user, const char *line);
    void (*port_closed)(void *user, const char *line);
};

/* Starts all threads and opens all lines. A line that cannot be opened (address in use) is an
 * error, logged with what to do; a modem that is not there is waited for. modems: modems.ini, NULL
 * when there is none. ERROR_CONFIG, ERROR_IO, ERROR_MEMORY, ERROR_LIBRARY. hooks are copied; NULL:
 * none. */
int receive_start(struct receive **out, const struct conf *conf, const struct conf *modems,
                  const struct receive_hooks *hooks);

/* New settings for new calls; live calls keep theirs. Lines that are new are opened, lines that are
 * gone take no more calls. Numbers of threads stay. What fails is logged, the rest is in force. */
void receive_reload(struct receive *receive, const struct conf *conf, const struct conf *modems);

/* The answer to port_wanted: fd is ours from here on; -1: it cannot be had, why says what to do.
 * usb_id: "" when the port is none of USB. */
void receive_port(struct receive *receive, const char *line, int fd, const char *usb_id,
                  const char *why);

/* No new calls from now on (503); live ones go on. */
void receive_drain(struct receive *receive);

/* Calls that are not over, including the last writing of their files. From any thread. */
int receive_calls(const struct receive *receive);

/* What is wrong with the storage, and how the lines are, a line each: "trouble" or "line" TAB name
 * TAB state TAB words LF. What finds no room is left out. */
void receive_lines_text(struct receive *receive, char *out, size_t size);

/* Ends all calls in order (pages that were confirmed stay, BYE is sent, call.ini is final), joins
 * all threads and frees. NULL is fine. */
void receive_stop(struct receive *receive);

#endif
