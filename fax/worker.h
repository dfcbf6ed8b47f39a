/* SPDX-License-Identifier: MIT */
/*
 * worker.h - the page workers: what is too slow for a media thread.
 *
 * Two kinds of threads, so that a stuck disk cannot hold up the others: core workers do
 * session_work() (CPU, no disk), disk workers all that touches files. On the disk side pages come
 * first, since a sender waits for their confirmation; then calls that open and finish; then the
 * progress of live calls.
 *
 * For tests, read once at the start and logged: FAXPOST_TEST_STORE_DELAY_MS delays each page's
 * store, FAXPOST_TEST_STORE_FAIL=N fails the N-th, FAXPOST_TEST_OPEN_DELAY_MS delays the opening of
 * a call.
 */
#ifndef FAXPOST_FAX_WORKER_H
#define FAXPOST_FAX_WORKER_H

#include <stdbool.h>

#include "fax/t30/session.h"

struct call;

enum worker_kind {
    WORKER_WORK,   /* session_work(); then the driver is told */
    WORKER_STORE,  /* a page of `page`; the job itself is freed */
    WORKER_OPEN,   /* folder and session */
    WORKER_FINISH, /* last call.ini, folder closed; drops the chain's reference */
    WORKER_INFO,   /* call.ini from call->snapshot */
};

/* Lies within the call (one of each kind at most), except for WORKER_STORE. */
struct worker_job {
    struct worker_job *next;
    struct call *call;
    enum worker_kind kind;
    struct session_page page; /* WORKER_STORE */
};

struct workers;

/* ERROR_MEMORY. */
int workers_start(struct workers **out, int core_threads, int disk_threads);

/* Does what is queued, then joins. NULL is fine. */
void workers_stop(struct workers *workers);

/* Queues a job that lies within its call. Never fails, never waits. */
void workers_submit(struct workers *workers, struct worker_job *job, enum worker_kind kind,
                    struct call *call);

/* True when no disk job waits: the time to write progress. */
bool workers_are_idle(struct workers *workers);

#endif
