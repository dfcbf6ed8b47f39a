/* SPDX-License-Identifier: MIT */
/*
 * worker.h - one turn of one delivery: asks policy_next_step() and obeys, until the delivery waits
 * or has come to its end. Runs on any thread of the pool.
 */
#ifndef FAXPOST_SMTP_WORKER_H
#define FAXPOST_SMTP_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "policy/bypass.h"
#include "policy/next_step.h"
#include "smtp/deadline.h"
#include "smtp/health.h"
#include "smtp/report.h"
#include "smtp/resolve.h"
#include "smtp/tables.h"
#include "smtp/trouble.h"
#include "spool/spool.h"

enum { ENGINE_COMEBACKS = 8, ENGINE_ALARM_MAX = 200, ENGINE_ALARMS_SAID = 64 };

/* A hundred years. The spool has one owner, and opening it ends all leases: one that ran out while
 * its job is still here (a slow server, a long queue, a clock set forward) would have the same
 * delivery sent by two. */
#define ENGINE_LEASE_MS INT64_C(3153600000000)

/* What all threads of the dispatcher share. */
struct engine {
    struct spool *spool;
    struct health *health;
    struct deadline_thread *deadlines;
    struct resolver *resolver;
    int stop_fd;           /* readable once connecting is to be given up */
    int wake_fd;           /* wakes the dispatcher */
    struct report *report; /* NULL: the log alone tells */
    struct troubles *troubles;
    /* The pool's queue. take: a job that has not begun or wants this server, with its mates, for a
     * connection that is open; NULL: none, or the daemon drains. put: a job of ours goes back, and
     * is somebody else's from then on. room: a server may have room for parked ones. */
    struct job *(*take)(void *pool, const char *server);
    void (*put)(void *pool, struct job *job);
    void (*room)(void *pool);
    void *pool;
    atomic_bool stopping;
    pthread_mutex_t lock; /* all below */
    struct tables *tables;
    char alarm[ENGINE_ALARM_MAX]; /* the last thing that needs a person */
    struct {
        char text[ENGINE_ALARM_MAX];
        int64_t at_ms;
    } said[ENGINE_ALARMS_SAID]; /* alarms of late: several workers have one each */
    unsigned said_next;
    int64_t comeback_ms[ENGINE_COMEBACKS]; /* wall times at which a server came back */
    unsigned comebacks;
};

struct tables *engine_tables(struct engine *engine); /* for use; tables_leave() them */

/* Logs at the level that monitoring looks for; the same text at most once in ten minutes. */
void engine_alarm(struct engine *engine, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A delivery in the hands of the dispatcher. */
struct job {
    struct spool_delivery delivery;
    struct tables *tables;       /* of this turn; NULL before it has begun */
    struct policy_result step;   /* to obey next */
    struct spool_attempt row;    /* a log row that waits for its step; row.delivery_id 0: none */
    struct bypass_answer bypass; /* of this turn, where bypass_known */
    bool bypass_known;
    int64_t turn_ms;                 /* monotonic: when a worker took it up */
    int64_t offset_ms;               /* wall less boot clock, when it was claimed */
    bool over;                       /* the turn was recorded */
    bool fresh;                      /* nothing was tried before this turn */
    char waits_for[SERVER_NAME_MAX]; /* parked until this server has room */
    struct job *mates; /* in hand: others of the same message, for the same transaction */
    char memory[POLICY_MEMORY_TEXT_MAX]; /* as it is recorded */
    struct job *next;
};

enum worker_end {
    WORKER_DONE, /* the turn is over and recorded */
    WORKER_PARK, /* job->waits_for gives no connection now: call again when it has room */
};

/* Its mates are dealt with too: they share its transaction where they want the same server, or go
 * back to the queue; so do others that are sent by its connection. */
enum worker_end worker_turn(struct engine *engine, struct job *job);

/* Gives back a delivery whose turn has not begun or is parked: due at once. Frees. */
void worker_give_back(struct engine *engine, struct job *job);
void worker_free(struct job *job);

/* ---- the parts of a turn, for attempt.c -------------------------------------------------------
 * By the one thread that has the job in hand; it stays the caller's.
 */

/* What follows on this thread is for this job: where it is a report to the operator, an alarm makes
 * no further report. */
void turn_hold(const struct job *job);

/* Holds the job, begins its turn where it has not begun, and obeys: until it is over, or to
 * connect. */
void turn_go_on(struct engine *engine, struct job *job);

/* The job's pending log row, of the time that is now; without its step. */
void turn_set_row(struct job *job, const char *server, const char *address, const char *result,
                  const char *reply);

/* The pending row into the transmission log; none is pending afterwards, whatever came of it. */
int turn_write_row(struct engine *engine, struct job *job);

/* The next step into job->step. The pending row gets its step, and is written when another attempt
 * follows in this turn. server: NULL or not in job->step, which is overwritten. */
void turn_ask(struct engine *engine, struct job *job, enum policy_event event, const char *server,
              enum failure_class class);

/* Records the end of the turn, with the pending row; tries until the daemon stops. */
void turn_record(struct engine *engine, struct job *job, enum spool_delivery_state state,
                 int64_t due_ms, bool remember);

/* The same for a commit of the caller's: what is to be recorded (it points into the job), and that
 * it was. */
struct spool_result turn_result(struct job *job, enum spool_delivery_state state, int64_t due_ms,
                                bool remember);
void turn_recorded(struct job *job);

#endif
