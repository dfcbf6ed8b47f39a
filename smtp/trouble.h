/* SPDX-License-Identifier: MIT */
/*
 * trouble.h - what does not work now and may work again by itself: logged and reported to the
 * operator when it begins and when it is over, once an hour while it lasts, and shown by `faxpost
 * status` as long as it does.
 */
#ifndef FAXPOST_SMTP_TROUBLE_H
#define FAXPOST_SMTP_TROUBLE_H

#include <stddef.h>

#include "smtp/report.h"

enum { TROUBLE_NAME_MAX = 32, TROUBLE_TEXT_MAX = 400, TROUBLE_MOST = 16 };

struct troubles;

/* report may be NULL: the log alone tells. */
int troubles_new(struct troubles **out, struct report *report);
void troubles_free(struct troubles *troubles); /* NULL is fine */

/* Something that has this name does not work; all by itself it is told again only when the words
 * are others. What comes from outside is made printable. troubles NULL is fine. Any thread. */
void trouble_begin(struct troubles *troubles, const char *name, const char *to_do,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

/* It works: nothing happens where there was no trouble. Any thread. */
void trouble_end(struct troubles *troubles, const char *name);

/* The i-th of those that last, for people; false: there are no more. */
bool trouble_text(struct troubles *troubles, size_t i, char *out, size_t size);

#endif
