/* SPDX-License-Identifier: MIT */
/*
 * callers.h - who may call: the lists of [line] allow and deny. How much one source may ask for:
 * fax/sip/sources.h.
 */
#ifndef FAXPOST_FAX_CALLERS_H
#define FAXPOST_FAX_CALLERS_H

#include <stdbool.h>
#include <stddef.h>

#include "fax/net.h"
#include "spool/call_info.h"

/* Networks and patterns of numbers, in one list: "192.0.2.0/24, +1555*, 5550100". */
struct caller_list {
    struct net_list networks;          /* owned */
    char (*patterns)[CALL_NUMBER_MAX]; /* owned */
    size_t pattern_count;
};

/* NULL and "" are an empty list. What has a '.', ':' or '/' in it is a network. ERROR_FORMAT,
 * ERROR_LIMIT (a number is too long), ERROR_MEMORY. */
int caller_list_parse(struct caller_list *out, const char *text);
int caller_list_copy(struct caller_list *out, const struct caller_list *from);
void caller_list_free(struct caller_list *list);

enum caller_verdict {
    CALLER_WELCOME,
    CALLER_BLOCKED,        /* by the number */
    CALLER_SOURCE_BLOCKED, /* by the address */
};

/* The name of those who do not tell their number: RFC 3323 4.1, and our own for a number "". */
#define CALLER_ANONYMOUS "anonymous"

/* The pattern by which a list holds a number, or NULL. */
const char *caller_list_find(const struct caller_list *list, const char *number);

/* deny comes before allow; an empty allow lets everybody else in. source NULL: a line without
 * addresses. */
enum caller_verdict caller_judge(const struct caller_list *allow, const struct caller_list *deny,
                                 const struct net_address *source, const char *number);

#endif
