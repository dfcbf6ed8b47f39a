/* SPDX-License-Identifier: MIT */
/*
 * modem_thread.h - one modem line and its thread. For line_modem.c.
 */
#ifndef FAXPOST_FAX_MODEM_THREAD_H
#define FAXPOST_FAX_MODEM_THREAD_H

#include "fax/call.h"
#include "fax/modem/modem_port.h"

struct modem_thread;

/* Starts a thread that first asks for its port. line is the thread's, also when this fails.
 * ERROR_MEMORY, ERROR_IO. */
int modem_thread_start(struct modem_thread **out, struct call_shared *shared,
                       struct modem_line *line);

/* Constant. */
const char *modem_thread_name(const struct modem_thread *thread);

/* "line" TAB name TAB state TAB words LF; nothing when it does not fit. Characters written. */
size_t modem_thread_text(struct modem_thread *thread, char *out, size_t size);

void modem_thread_port(struct modem_thread *thread, int fd, const char *usb_id, const char *why);
void modem_thread_reload(struct modem_thread *thread, struct modem_line *line);
void modem_thread_drain(struct modem_thread *thread);
void modem_thread_hang_up(struct modem_thread *thread);

/* Tells the thread to end after the call that lives, and whether it has; then it can be joined, or
 * waited for. */
void modem_thread_end(struct modem_thread *thread);
bool modem_thread_has_ended(const struct modem_thread *thread);
void modem_thread_join(struct modem_thread *thread);

#endif
