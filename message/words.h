/* SPDX-License-Identifier: MIT */
/*
 * words.h - what is known of a fax in words for people, shared by the templates and the text part.
 */
#ifndef FAXPOST_MESSAGE_WORDS_H
#define FAXPOST_MESSAGE_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spool/call_info.h"

enum { WORDS_MAX = 160 };

/* True when the number says no more than that there is none: "", "anonymous", "unknown" … */
bool words_number_is_withheld(const char *number);

/* The calling number, or "unknown number". */
const char *words_caller(const struct call_info *call);

/* "1 page", "3 pages", "no pages". Each writes to out[WORDS_MAX] and returns it. */
char *words_pages(char *out, int pages);

/* "45 s", "3 min 5 s", "1 h 2 min"; "" when the call's times are not known. */
char *words_duration(char *out, const struct call_info *call);

/* "Saturday, 21 November 2026, 10:15 (UTC+01:00)", in the local zone. */
char *words_time(char *out, int64_t wall_ms);

/* Behind a subject: "", " (incomplete)", " (doubtful)". */
const char *words_partial_note(enum call_verdict verdict);

/* Numbers in rising order: "3", "3 and 4", "3 to 7", "1, 3 and 5", at most some, then "…". */
char *words_list(char *out, const int *numbers, int count);

#endif
