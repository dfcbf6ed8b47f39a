/* SPDX-License-Identifier: MIT */
/*
 * bypass.h - who may send by a server other than the first (spec/failover.md, "Permission to
 * bypass").
 */
#ifndef FAXPOST_POLICY_BYPASS_H
#define FAXPOST_POLICY_BYPASS_H

#include <stdbool.h>

#include "base/conf.h"

enum bypass_decision { BYPASS_TABLE, BYPASS_ALLOW, BYPASS_DENY }; /* what a message says itself */

enum { BYPASS_REASON_MAX = 160 };

struct bypass;

struct bypass_query {
    const char *envelope_sender;         /* of a submitted mail; NULL for a fax */
    const char *line, *caller, *station; /* of a fax; NULL or "" where unknown */
    const char *destination;             /* the recipient */
    enum bypass_decision own;
};

struct bypass_answer {
    bool permitted;
    int authority;                            /* of the sender row that won, else 0 */
    char reason[BYPASS_REASON_MAX];           /* the rows that decided, in words */
    const char *sender_row, *destination_row; /* their patterns, NULL: none; the table's */
};

/* Reads and checks bypass.ini; conf NULL means that there is none: everything is denied. A sender
 * row is `PATTERN = allow`, `PATTERN = deny` or, with an authority, `PATTERN = allow 2`. Every
 * problem is reported. ERROR_CONFIG when there was one. */
int bypass_load(struct bypass **out, const struct conf *conf, conf_problem_handler *problem,
                void *user);
void bypass_free(struct bypass *bypass);

void bypass_decide(struct bypass_answer *out, const struct bypass *bypass,
                   const struct bypass_query *query);

#endif
