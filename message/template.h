/* SPDX-License-Identifier: MIT */
/*
 * template.h - texts of the mail from templates: "Fax from {caller}, {pages_text}".
 *
 * Pure functions. What stands in the template is the operator's and trusted; what a variable holds
 * may come from a caller and is reduced to what is harmless at the place it goes to, so that it can
 * add no header, no address and no path.
 */
#ifndef FAXPOST_MESSAGE_TEMPLATE_H
#define FAXPOST_MESSAGE_TEMPLATE_H

#include <stddef.h>
#include <stdint.h>

#include "spool/call_info.h"

enum {
    TEMPLATE_MAX = 256,        /* a template, with NUL */
    TEMPLATE_TEXT_MAX = 600,   /* an expanded text: at most 200 characters of UTF-8 */
    TEMPLATE_TEXT_CHARS = 200, /* characters kept of an expanded text */
    TEMPLATE_ADDRESS_MAX = 256,
    TEMPLATE_FILE_MAX = 81, /* a file name without its ending, with NUL */
};

/* Where a text goes, and so what a variable may hold there. */
enum template_use {
    TEMPLATE_SUBJECT,   /* printable UTF-8 on one line */
    TEMPLATE_FROM,      /* "Display name <address>" or "address" */
    TEMPLATE_FILE_NAME, /* letters, digits, dash, dot */
};

/* What the variables are made from. Pointers are only read during the call; NULL reads as "". */
struct template_facts {
    const struct call_info *call;
    int pages;       /* in the document */
    int64_t date_ms; /* wall clock, shown in the local zone */
    const char *route;
    const char *hostname;
};

/* The variables, for the manual and for error texts: the i-th name without braces and what it
 * holds; NULL at the end. {{ and }} stand for braces. */
const char *template_variable(size_t i, const char **out_meaning);

/* Checks a template of the operator's: unknown variables, lone braces, too long, for TEMPLATE_FROM
 * the form. 0 or ERROR_FORMAT with what is wrong and what to do in problem. */
int template_check(const char *text, enum template_use use, char *problem, size_t problem_size);

/* Expands for a subject or a file name. The result is always usable: bounded, never empty, and
 * holds only what the place may hold. ERROR_FORMAT for a template that template_check() refuses. */
int template_expand(char *out, size_t size, const char *text, enum template_use use,
                    const struct template_facts *facts);

/* Expands a From template. The address is checked after expansion; one that came out unusable
 * becomes faxpost@HOSTNAME. name may come out empty. */
int template_expand_from(char name[TEMPLATE_TEXT_MAX], char address[TEMPLATE_ADDRESS_MAX],
                         const char *text, const struct template_facts *facts);

/* RFC 3192: FAX=+15551234@host, FAX=5551234/T33S=123@host. All but digits and a leading plus is
 * dropped from number, all but digits from subaddress (NULL or "": none). ERROR_FORMAT when no
 * digit is left. */
int template_fax_address(char out[TEMPLATE_ADDRESS_MAX], const char *number, const char *subaddress,
                         const char *hostname);

/* True for addr-spec of the plain kind: atoms, one @, a domain or an address literal; no quotes, no
 * comments, no white space. */
int template_address_is_plain(const char *address);

/* Copies what may be foreign text to out as valid, printable UTF-8 on one line of at most `chars`
 * characters: controls (also C1, bidirectional and invisible ones) become '?'. Returns out. */
char *template_clean_text(char *out, size_t size, const char *text, size_t chars);

#endif
