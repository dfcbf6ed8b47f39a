/* SPDX-License-Identifier: MIT */
/*
 * control_commands.h - what the operator may ask and order, on an open spool: JSON in, JSON out.
 * The deliver role answers its control socket with it, the command uses it itself while no daemon
 * runs.
 *
 *   {"command": "status"}
 *   {"command": "list", "limit": 20, "before": "FAX-ID"}
 *   {"command": "show", "id": "FAX-ID or a unique part of one"}
 *   {"command": "log", "after": 17, "limit": 100, "id": …, "server": …}    after -1: the last ones
 *   {"command": "retry"|"cancel"|"hold"|"release", "id": …}
 *   {"command": "retry", "id": …, "bypass": "allow"|"deny"|"table"}
 *   {"command": "resend", "id": …, "to": [ADDRESS, …], "bypass": …}
 *   {"command": "send", "from": ADDRESS, "to": [ADDRESS, …], "bypass": …}    with the message as a
 *       sealed memfd (SCM_RIGHTS); whoever may only look may send too, but only by the table
 *   {"command": "version"}
 * A reply is {"ok": true, …} or {"ok": false, "error": CODE, "why": "in words"}.
 */
#ifndef FAXPOST_SRC_CONTROL_COMMANDS_H
#define FAXPOST_SRC_CONTROL_COMMANDS_H

#include <stdbool.h>

#include <jansson.h>

#include "smtp/dispatch.h"
#include "smtp/handin.h"
#include "spool/spool.h"

enum { CONTROL_LIST_MAX = 1000, CONTROL_CALLS_MAX = 2000, CONTROL_SEARCH_MAX = 20000 };

struct control_context {
    struct spool *spool;
    bool may_change;
    int message_fd; /* that came with the request; 0 or less: none */
    /* NULL where no daemon runs */
    void (*status)(void *user, struct dispatch_status *out);
    const char *(*notes)(void *user, int role); /* of the i-th role (ROLE_NOTES); NULL: no more */
    void (*kick)(void *user);
    void *user;
    const struct handin_settings *handin; /* for send */
};

/* The reply to a request, the caller's; never NULL but without memory. */
json_t *control_run(const struct control_context *context, const json_t *request);

json_t *control_failure(int error, const char *why);

/* True when the text an operator typed stands for this fax: a part of its identity, in any case. */
bool control_id_matches(const char *fax_id, const char *text);

/* The end of an identity that people see in lists: unique enough, and accepted by every command. */
const char *control_id_short(const char *fax_id);

#endif
