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

/* All get user, on the report's thread. */
struct report_hooks {
    void *user;
    struct tables *(*tables)(void *user); /* the settings in force, for tables_leave() */
    void (*kick)(void *user);             /* a report was put into the spool */
    /* Sends at once a message that the spool does not take. 0 or a negative error. */
    int (*send)(void *user, const struct tables *tables, int message_fd, int64_t message_bytes);
};

/* Starts the thread. hooks are copied. */
int report_start(struct report **out, struct spool *spool, const struct report_hooks *hooks);

/* One thing that happened, in one line of at most REPORT_TEXT_MAX, and what to do about it; words
 * from outside may stand in both, they are made printable. The same again is counted. report NULL
 * is fine. Any thread; never waits. */
void report_add(struct report *report, const char *what, const char *to_do);

/* Sends what was gathered, joins the thread, frees. NULL is fine. */
void report_stop(struct report *report);

#endif
