/* SPDX-License-Identifier: MIT */
/*
 * modem_answers.h - what modems answer when asked what they can: lists with or without parentheses,
 * prefixes, quotes and ranges.
 */
#ifndef FAXPOST_FAX_MODEM_ANSWERS_H
#define FAXPOST_FAX_MODEM_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>

#include "fax/t30/modem_traits.h"

/* "OK" or "ERROR", also behind octets that were no text ('.'). False: neither. */
bool modem_answer_is_final(const char *line, bool *out_ok);

/* Classes in an answer to +FCLASS=? or +FCLASS?: bits 1u << enum modem_class; *out_any is set when
 * there were classes at all, were it only 0 (data) or 8 (voice). */
unsigned modem_answer_classes(const char *line, bool *out_any);

/* enum modem_rates in an answer to +FRM=?; 0: nothing of the kind. */
unsigned modem_answer_carriers(const char *line);

/* enum modem_rates in an answer to +FCC=? or +FDCC=?, by its second field; 0: nothing of the kind.
 */
unsigned modem_answer_bit_rates(const char *line);

/* The text of an answer without "+FMI:" before it, quotes and blanks around it, in out[size]. */
void modem_answer_text(char *out, size_t size, const char *line);

#endif
