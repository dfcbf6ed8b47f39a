/* SPDX-License-Identifier: MIT */
/*
 * next_step.h - what a delivery does next: spec/failover.md S1 to S13 as one pure function.
 *
 * The worker asks when it has taken up a delivery and after every attempt, and obeys. All that a
 * delivery remembers from turn to turn is struct policy_memory, kept as text in the spool.
 */
#ifndef FAXPOST_POLICY_NEXT_STEP_H
#define FAXPOST_POLICY_NEXT_STEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/failure.h"
#include "policy/server.h"

enum {
    POLICY_MEMORY_TEXT_MAX = 2048,
    POLICY_REASON_MAX = 200,
    POLICY_REPEAT_MAX = 3, /* further transactions at once, then it is a temporary error */
};

enum policy_wait {
    POLICY_WAIT_NONE,  /* nothing was tried yet */
    POLICY_WAIT_SAME,  /* S7: then the same server again */
    POLICY_WAIT_ROUND, /* S12, S13: then a new round */
    POLICY_WAIT_DOWN,  /* every server that it may use is known to be down */
};

/* A server that this delivery has something to remember of. */
struct policy_note {
    char server[SERVER_NAME_MAX];
    int temporary; /* temporary errors in a row */
    bool struck;   /* refused the message for good */
};

struct policy_memory {
    char at[SERVER_NAME_MAX];     /* the server tried last; "" before the first */
    char pinned[SERVER_NAME_MAX]; /* an uncertain end there; "" else */
    bool uncertain;               /* some attempt ended uncertain */
    int rounds;                   /* failed ones */
    bool warned;                  /* S13 is behind it */
    int doublings;                /* of the wait, since S13 */
    int repeats;                  /* further transactions at once */
    enum policy_wait wait;
    bool wait_down;   /* a server it may use was down when the wait began */
    int64_t since_ms; /* when the wait began */
    int64_t until_ms; /* when it ends */
    int64_t due_ms;   /* when to look again, at the latest when it ends */
    int note_count;
    struct policy_note note[SERVER_COUNT_MAX];
};

/* Text for the spool and back. The parse never fails: what cannot be read (NULL, "" or damaged)
 * gives an empty memory, ERROR_FORMAT where it was not empty. */
int policy_memory_format(char out[POLICY_MEMORY_TEXT_MAX], const struct policy_memory *memory);
int policy_memory_parse(struct policy_memory *out, const char *text);

struct policy_settings { /* [retry] */
    int64_t wait_ms, wait_max_ms, expire_ms;
    int limit, same_server_limit;
    bool uncertain_next;
};

enum policy_health {
    POLICY_UP,
    POLICY_DOWN,  /* not to be tried before probe_ms */
    POLICY_PROBE, /* down, but this delivery may try it now */
};

struct policy_health_entry {
    enum policy_health health;
    int64_t probe_ms; /* when it may be tried again, where it is down */
};

enum policy_event {
    POLICY_BEGIN,     /* the delivery was taken up */
    POLICY_SENT,      /* the server took the message */
    POLICY_FAILED,    /* the attempt at `server` failed with `class` */
    POLICY_CRASHED,   /* the process died while it was being sent by `server` ("" unknown) */
    POLICY_LOCAL,     /* it failed on our side (file, memory): no server is to blame */
    POLICY_NOT_TRIED, /* the probe or the slot was taken by another: no attempt was made */
};

struct policy_input {
    const struct policy_settings *settings;
    const struct server_list *servers;
    const struct policy_health_entry *health; /* one for each server of the list */
    bool had_servers;                         /* there were servers before: the list was emptied */
    const struct policy_memory *memory;
    int64_t created_ms, now_ms;
    bool forced;    /* made due by the operator or a change of the tables: a wait is cut short */
    bool permitted; /* the bypass table's answer now */
    int authority;
    enum policy_event event;
    const char *server; /* of the event; NULL for POLICY_BEGIN */
    enum failure_class class;
};

enum policy_step { /* step numbers of spec/failover.md */
                   POLICY_S1 = 1,
                   POLICY_S4 = 4,
                   POLICY_S6 = 6,
                   POLICY_S7 = 7,
                   POLICY_S10 = 10,
                   POLICY_S12 = 12,
                   POLICY_S13 = 13,
};

enum policy_action {
    POLICY_CONNECT, /* to `server`, now */
    POLICY_WAIT,    /* until due_ms */
    POLICY_MAILBOX, /* there is no server list: the mailbox is the way */
    POLICY_DONE,    /* S4 */
    POLICY_FAIL,    /* an end that is not S4: report, copy in the mailbox */
};

struct policy_result {
    enum policy_step step;
    enum policy_action action;
    char server[SERVER_NAME_MAX];
    int64_t due_ms;
    bool warn;      /* S13 is reached: tell the operator, once, and put a copy in the mailbox */
    bool no_server; /* the list was emptied: alarm */
    int passed;     /* servers passed over because they are down: one log line */
    char reason[POLICY_REASON_MAX];
    struct policy_memory memory; /* what to remember */
};

/* The next step. Total: every input gives a step. */
void policy_next_step(struct policy_result *out, const struct policy_input *input);

/* "S10" */
const char *policy_step_text(enum policy_step step);

#endif
