/* SPDX-License-Identifier: MIT */
/*
 * pool.h - the queue of what was claimed, and the threads that send it. The dispatcher puts jobs
 * in; a worker takes one, and its connection takes more; what no worker has begun can go back to
 * the disk at any time.
 */
#ifndef FAXPOST_SMTP_POOL_H
#define FAXPOST_SMTP_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "smtp/worker.h"

enum { POOL_WORKERS_MAX = 256 };

struct pool;

/* The pool becomes engine->pool. queue_most: jobs that may wait in it. */
int pool_new(struct pool **out, struct engine *engine, int queue_most);

/* The rest of the engine must be ready. */
int pool_start(struct pool *pool, int workers);

/* How many more jobs it wants: enough to keep the workers at it, no more than the limit. 0: none
 * now; it wakes the dispatcher when that changes. */
int pool_wanted(struct pool *pool);

/* Takes the jobs over. */
void pool_push(struct pool *pool, struct job **jobs, int count);

/* Begins nothing new: what has not begun goes back to the disk, what is being sent goes on. */
void pool_drain(struct pool *pool);
bool pool_is_draining(struct pool *pool);
bool pool_is_idle(struct pool *pool);

struct pool_status {
    int workers, busy;
    int queued; /* claimed and waiting for a worker, or for a connection */
    bool draining;
};
void pool_status(struct pool *pool, struct pool_status *out);

/* True when a worker has been at one turn for longer than this; fax_id says whose. */
bool pool_is_stuck(struct pool *pool, int64_t longest_ms, char fax_id[FAX_ID_MAX]);

/* Every worker ends after the turn it is in; engine->stopping is set. */
void pool_halt(struct pool *pool);

/* After pool_halt(): joins the workers, gives the rest back and frees. NULL is fine. */
void pool_free(struct pool *pool);

#endif
