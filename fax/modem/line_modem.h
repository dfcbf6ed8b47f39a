/* SPDX-License-Identifier: MIT */
/*
 * line_modem.h - the modem lines: a thread for each, which owns the port and drives the calls.
 *
 * Ports are opened by the supervisor, since that takes rights which this role does not have: the
 * line asks by receive_hooks.port_wanted and gets its descriptor by line_modems_port(). A modem
 * that is not there, or does not answer, is asked for again and again.
 *
 * All functions are the main thread's; they post and return at once, but for stop.
 */
#ifndef FAXPOST_FAX_LINE_MODEM_H
#define FAXPOST_FAX_LINE_MODEM_H

#include "fax/call.h"
#include "fax/modem/modem_models.h"

struct line_modems;

/* models gets a reference; settings are copied. ERROR_MEMORY. */
int line_modems_start(struct line_modems **out, struct call_shared *shared,
                      const struct receive_settings *settings, struct modem_models *models);

/* Lines that are new begin, lines that are gone end after their call, others take their settings
 * when no call lives. ERROR_MEMORY: some could not; logged. */
int line_modems_reload(struct line_modems *lines, const struct receive_settings *settings,
                       struct modem_models *models);

/* The answer to port_wanted: fd is the line's from here on; -1: why tells what to do. usb_id may be
 * "". */
void line_modems_port(struct line_modems *lines, const char *name, int fd, const char *usb_id,
                      const char *why);

/* How they are, as in receive_lines_text(). Characters written. */
size_t line_modems_text(struct line_modems *lines, char *out, size_t size);

/* No new calls are answered. */
void line_modems_drain(struct line_modems *lines);

/* Ends all calls, answers none. */
void line_modems_hang_up(struct line_modems *lines);

/* Joins the threads; their calls are over. NULL is fine. */
void line_modems_stop(struct line_modems *lines);

#endif
