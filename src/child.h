/* SPDX-License-Identifier: MIT */
/*
 * child.h - one role as the supervisor sees it: a process, a channel, and when to start it again.
 */
#ifndef FAXPOST_SRC_CHILD_H
#define FAXPOST_SRC_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "src/loop.h"
#include "src/privilege.h"
#include "src/role.h"
#include "src/settings.h"

enum {
    CHILD_BACKOFF_LEAST_MS = 100,
    CHILD_BACKOFF_MOST_MS = 30000,
    CHILD_SETTLED_MS = 60000, /* it lived that long: the back-off begins anew */
};

enum child_state {
    CHILD_DOWN,     /* not running; to be started at start_at_ms */
    CHILD_STARTING, /* runs, has not said that it is ready */
    CHILD_READY,
    CHILD_STOPPING, /* was told to end, or its channel is closed */
    CHILD_ENDED,    /* not running, and not wanted any more */
};

struct child {
    enum role role;
    enum child_state state;
    pid_t pid;
    int channel; /* -1 while down */
    struct loop_watch watch;
    int64_t started_ms;
    int64_t start_at_ms;
    int64_t kill_at_ms; /* INT64_MAX: never */
    int64_t pinged_ms;  /* 0: no answer is due */
    bool is_told;       /* to end */
    int backoff_ms;
    int starts;
    char sandbox[SANDBOX_TEXT_MAX]; /* its state, in the role's words */
    char *notes;                    /* as it told last; NULL: nothing */
};

/* Starts the process; channel and pid are set, state is CHILD_STARTING. Logged. */
int child_start(struct child *child, const struct account *account, int64_t now_ms);

/* To its channel, if it is open; a role that does not read is logged. */
void child_say(struct child *child, enum role_message_type type);

/* Its part of them. A role that cannot have it is killed: it gets them when it is started again. */
void child_give_settings(struct child *child, const struct settings *settings);

/* It has settings, of an earlier reload when it has only just been started. */
bool child_lives(const struct child *child);

/* Tells it to end, until kill_at_ms. One that is down stays so: CHILD_ENDED. */
void child_stop(struct child *child, int64_t kill_at_ms);

/* The process has ended with this wait status: logs why and plans the next start, at once where it
 * was told to end and did. */
void child_ended(struct child *child, int status, int64_t now_ms);

/* How a process ended, in words: "exit code 1", "signal 11 (Segmentation fault)". */
const char *child_status_text(int status, char *out, size_t size);

/* The back-off after a life of life_ms with the back-off that was in force. */
int child_backoff(int backoff_ms, int64_t life_ms);

#endif
