/* SPDX-License-Identifier: MIT */
/*
 * report.h - what the operator has to know, as mail by the same machinery as all other, and to a
 * command of the operator's own that needs no SMTP. Many reports are gathered in one.
 *
 * A thread of its own sends them. The log has had the alarm already when a report is added.
 */
#ifndef FAXPOST_SMTP_REPORT_H
#define FAXPOST_SMTP_REPORT_H

#include "smtp/tables.h"
#include "spool/spool.h"

enum { REPORT_ENTRIES_MAX = 100, REPORT_TEXT_MAX = 1000 };

struct report;

/* Starts the thread. tables(user) gives the settings in force, for tables_leave(); kick(user) is
 * called when a report was put into the spool. */
int report_start(struct report **out, struct spool *spool, struct tables *(*tables)(void *user),
                 void (*kick)(void *user), void *user);

/* One thing that happened, in one line of at most REPORT_TEXT_MAX, and what to do about it; words
 * from outside may stand in both, they are made printable. The same again is counted. report NULL
 * is fine. Any thread; never waits. */
void report_add(struct report *report, const char *what, const char *to_do);

/* Sends what was gathered, joins the thread, frees. NULL is fine. */
void report_stop(struct report *report);

#endif
