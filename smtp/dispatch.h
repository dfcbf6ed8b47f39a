/* SPDX-License-Identifier: MIT */
/*
 * dispatch.h - the deliver role's engine: takes faxes over, has them composed, and sends what is
 * due with a bounded pool of workers.
 *
 * Threads of its own: the dispatcher (epoll), one for composing, W workers, one for deadlines and a
 * few that resolve names. Nothing waits in a worker: a delivery that waits is a row with a due
 * time.
 */
#ifndef FAXPOST_SMTP_DISPATCH_H
#define FAXPOST_SMTP_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "policy/route.h"
#include "policy/server.h"
#include "spool/spool.h"

struct dispatch;

struct dispatch_hooks {
    void *user;
    /* Makes fax->folder/message.eml, durable, and says how long it is. Called from the compose
     * thread only, one at a time; it may block, but must end within a time of its own (the compose
     * role hanging is ERROR_TIMEOUT). `plain`: attach the pages as they are, decode nothing. 0 or a
     * negative error, then why[] says what is wrong. */
    int (*compose)(void *user, const struct spool_fax *fax, const struct route *route,
                   const char *message_id, bool plain, int64_t *out_message_bytes, char *why,
                   size_t why_size);
};

/* Checks the settings the dispatcher will use: routes, servers with their passwords, bypass table.
 * Every problem is reported. servers and bypass may be NULL (no such file). 0 or ERROR_CONFIG. For
 * `faxpostd -t` and before a reload. */
int dispatch_check(const struct conf *faxpost, const struct conf *servers,
                   const struct conf *bypass, conf_problem_handler *problem, void *user);

/* Starts all threads. The spool stays the caller's and must outlive the dispatcher; the settings
 * are copied. ERROR_CONFIG when they are wrong (logged). Call it before other threads exist:
 * libraries are made ready for threads here. */
int dispatch_start(struct dispatch **out, struct spool *spool, const struct conf *faxpost,
                   const struct conf *servers, const struct conf *bypass,
                   const struct dispatch_hooks *hooks);

/* Something changed (the operator's command): look at once. Any thread. */
void dispatch_kick(struct dispatch *dispatch);

/* Something outside of delivery does not work (again, or in another way: what, and what to do), or
 * works again: what NULL. The operator is told once; text from outside may stand in it. Any thread.
 */
void dispatch_trouble(struct dispatch *dispatch, const char *name, const char *what,
                      const char *to_do);

/* New settings for all that begins from now on; waiting deliveries become due. On failure the old
 * ones stay in force. The number of workers and the queue's length stay as they were started. */
int dispatch_reload(struct dispatch *dispatch, const struct conf *faxpost,
                    const struct conf *servers, const struct conf *bypass);

/* Claims nothing new and composes nothing; what is being sent goes on. */
void dispatch_drain(struct dispatch *dispatch);

/* Nothing is being sent or composed any more. */
bool dispatch_is_idle(const struct dispatch *dispatch);

/* Drains, gives what is being sent grace_ms to finish, cuts it off then (it becomes uncertain or is
 * due again), joins every thread and frees. NULL is fine. */
void dispatch_stop(struct dispatch *dispatch, int grace_ms);

/* ---- for `faxpost status` ---------------------------------------------------------------------
 */

enum { DISPATCH_TROUBLES = 16, DISPATCH_TROUBLE_MAX = 450 };

struct dispatch_server_status {
    char name[SERVER_NAME_MAX];
    int rank;
    char address[SERVER_TEXT_MAX + 8]; /* host:port as configured */
    bool up;
    bool probing;
    int connections;       /* now */
    int64_t down_since_ms; /* wall clock, 0 while up */
    int64_t next_probe_ms; /* wall clock, 0 while up */
    char last_error[200];  /* why it is down, printable */
};

struct dispatch_status {
    int workers, workers_busy;
    int queued;     /* claimed and waiting for a worker */
    bool composing; /* a message is being made */
    bool draining;
    int64_t free_bytes;
    char alarm[200]; /* the last thing that needs a person; "" else */
    char trouble[DISPATCH_TROUBLES][DISPATCH_TROUBLE_MAX]; /* what does not work now */
    int trouble_count;
    bool mailbox_only; /* no server list: the mailbox is the way of delivery */
    int server_count;
    struct dispatch_server_status server[SERVER_COUNT_MAX];
};

/* A snapshot. Any thread; waits for no network. */
void dispatch_status(struct dispatch *dispatch, struct dispatch_status *out);

#endif
