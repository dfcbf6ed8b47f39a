/* SPDX-License-Identifier: MIT */
/*
 * deadline.h - a thread that ends connections which overstay: at the deadline it calls shutdown()
 * on the socket, so that whatever a library does there comes to its end, and no octet that it still
 * writes reaches the other side.
 */
#ifndef FAXPOST_SMTP_DEADLINE_H
#define FAXPOST_SMTP_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

struct deadline_thread;

/* No connection lasts longer, however steadily its replies or blocks come in just in time. */
enum { DEADLINE_MOST_MS = 4 * 3600 * 1000 };

/* One for each connection; the owner keeps it in place between deadline_begin() and _end(). */
struct deadline {
    int fd;
    int64_t at_ms, last_ms; /* monotonic; at_ms never comes after last_ms */
    bool fired;
    struct deadline *next, *previous;
};

int deadline_start(struct deadline_thread **out);

/* Joins the thread. No connection may be watched any more. NULL is fine. */
void deadline_stop(struct deadline_thread *thread);

/* Watches fd, with no deadline yet but DEADLINE_MOST_MS. The socket stays the caller's and open
 * until _end(). */
void deadline_begin(struct deadline_thread *thread, struct deadline *deadline, int fd);

/* Sets or moves the deadline: in_ms from now. Nothing once it has fired. */
void deadline_set(struct deadline_thread *thread, struct deadline *deadline, int64_t in_ms);

/* Ends the connection now. */
void deadline_cut(struct deadline_thread *thread, struct deadline *deadline);

/* Ends all connections now (the process stops), and every one that begins later. */
void deadline_cut_all(struct deadline_thread *thread);

/* True when the deadline has passed or the connection was cut. */
bool deadline_has_fired(struct deadline_thread *thread, const struct deadline *deadline);

/* Watches it no longer; true when it had fired. */
bool deadline_end(struct deadline_thread *thread, struct deadline *deadline);

#endif
