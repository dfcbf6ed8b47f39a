/* SPDX-License-Identifier: MIT */
/*
 * pool.c - one lock, three lists: ready for any worker, parked until a server has room, at work.
 */
#include "smtp/pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "base/thread.h"
#include "smtp/submit.h"

enum {
    TAKE_LOOK = 16, /* jobs of the queue that a worker looks at for its connection */
    IDLE_MS = 60000,
};

struct queue {
    struct job *first, **last;
    int count;
};

struct pool {
    struct engine *engine;
    int queue_most;
    pthread_t worker[POOL_WORKERS_MAX]; /* of who starts and frees it */
    pthread_mutex_t lock;               /* all below */
    pthread_cond_t work;
    int workers;
    struct queue ready, parked, at_work;
    bool draining, stopping;
};

/* ---- the lists, under the lock ----------------------------------------------------------------
 */

static void queue_init(struct queue *queue)
{
    queue->last = &queue->first;
}

static void queue_push(struct queue *queue, struct job *job)
{
    job->next = NULL;
    *queue->last = job;
    queue->last = &job->next;
    queue->count++;
}

static void queue_push_first(struct queue *queue, struct job *job)
{
    job->next = queue->first;
    queue->first = job;
    if (queue->last == &queue->first)
        queue->last = &job->next;
    queue->count++;
}

static struct job *queue_take(struct queue *queue, struct job **link)
{
    struct job *job = *link;

    *link = job->next;
    if (queue->last == &job->next)
        queue->last = link;
    queue->count--;
    return job;
}

static void queue_remove(struct queue *queue, struct job *job)
{
    struct job **link = &queue->first;

    while (*link != job)
        link = &(*link)->next;
    queue_take(queue, link);
}

/* Moves others of the same message from a queue to the job's mates. */
static void find_mates(struct queue *queue, struct job *job)
{
    struct job **link = &queue->first;
    struct job **end = &job->mates;
    int left = SUBMIT_RECIPIENTS_MAX - 1;

    while (*end != NULL)
        end = &(*end)->next;
    while (*link != NULL && left > 0) {
        if (strcmp((*link)->delivery.fax_id, job->delivery.fax_id) != 0 ||
            strcmp((*link)->waits_for, job->waits_for) != 0) {
            link = &(*link)->next;
            continue;
        }
        *end = queue_take(queue, link);
        end = &(*end)->next;
        *end = NULL;
        left--;
    }
}

/* What goes with a job that was taken from a queue: parked ones wait for the same server. */
static struct job *with_mates(struct pool *pool, struct job *job)
{
    job->next = NULL;
    find_mates(job->waits_for[0] != '\0' ? &pool->parked : &pool->ready, job);
    return job;
}

/* A job that can go on: one that waited for a connection that is free now, else the next. */
static struct job *next_job(struct pool *pool)
{
    struct job **link;

    for (link = &pool->parked.first; *link != NULL; link = &(*link)->next)
        if (health_has_room(pool->engine->health, (*link)->waits_for))
            return with_mates(pool, queue_take(&pool->parked, link));
    if (pool->ready.first != NULL)
        return with_mates(pool, queue_take(&pool->ready, &pool->ready.first));
    return NULL;
}

/* For a connection to this server that is open; those that wait for it come first. */
static struct job *job_for(struct pool *pool, const char *server)
{
    struct job **link;
    int looked = 0;

    for (link = &pool->parked.first; *link != NULL; link = &(*link)->next)
        if (strcmp((*link)->waits_for, server) == 0)
            return with_mates(pool, queue_take(&pool->parked, link));
    for (link = &pool->ready.first; *link != NULL && looked++ < TAKE_LOOK; link = &(*link)->next)
        if ((*link)->tables == NULL || strcmp((*link)->step.server, server) == 0)
            return with_mates(pool, queue_take(&pool->ready, link));
    return NULL;
}

/* ---- for the engine ---------------------------------------------------------------------------
 */

/* engine.take */
static struct job *take_job(void *arg, const char *server)
{
    struct pool *pool = arg;
    struct job *job = NULL;

    pthread_mutex_lock(&pool->lock);
    if (!pool->draining && !pool->stopping) {
        job = job_for(pool, server);
        if (pool->ready.count <= 2 * pool->workers)
            thread_wake(pool->engine->wake_fd); /* to claim more */
    }
    pthread_mutex_unlock(&pool->lock);
    return job;
}

/* engine.put: begun by one worker, to be gone on with by any. */
static void put_job(void *arg, struct job *job)
{
    struct pool *pool = arg;
    bool back;

    job->waits_for[0] = '\0';
    job->next = NULL;
    pthread_mutex_lock(&pool->lock);
    back = pool->draining || pool->stopping;
    if (!back) {
        queue_push_first(&pool->ready, job); /* it was before the others */
        pthread_cond_signal(&pool->work);
    }
    pthread_mutex_unlock(&pool->lock);
    if (back)
        worker_give_back(pool->engine, job);
}

/* engine.room */
static void look_at_parked(void *arg)
{
    struct pool *pool = arg;

    pthread_mutex_lock(&pool->lock);
    if (pool->parked.first != NULL)
        pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

/* ---- the workers ------------------------------------------------------------------------------
 */

static void *work(void *arg)
{
    struct pool *pool = arg;

    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        struct job *job = next_job(pool);
        enum worker_end end;

        if (job == NULL) {
            thread_condition_wait(&pool->work, &pool->lock, IDLE_MS);
            continue;
        }
        job->turn_ms = clock_monotonic_ms();
        queue_push(&pool->at_work, job);
        pthread_mutex_unlock(&pool->lock);
        end = worker_turn(pool->engine, job);
        pthread_mutex_lock(&pool->lock);
        queue_remove(&pool->at_work, job);
        if (end == WORKER_PARK) /* there may be room by now: this thread looks next */
            queue_push(&pool->parked, job);
        pthread_mutex_unlock(&pool->lock);
        if (end == WORKER_DONE)
            worker_free(job);
        pthread_mutex_lock(&pool->lock);
        thread_wake(pool->engine->wake_fd);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

int pool_new(struct pool **out, struct engine *engine, int queue_most)
{
    struct pool *pool = calloc(1, sizeof *pool);

    if (pool == NULL)
        return ERROR_MEMORY;
    pool->engine = engine;
    pool->queue_most = queue_most;
    queue_init(&pool->ready);
    queue_init(&pool->parked);
    queue_init(&pool->at_work);
    pthread_mutex_init(&pool->lock, NULL);
    thread_condition_init(&pool->work);
    engine->take = take_job;
    engine->put = put_job;
    engine->room = look_at_parked;
    engine->pool = pool;
    *out = pool;
    return 0;
}

int pool_start(struct pool *pool, int workers)
{
    int error = 0;
    int i;

    if (workers > POOL_WORKERS_MAX)
        workers = POOL_WORKERS_MAX;
    for (i = 0; i < workers && error == 0; i++) {
        error = thread_start(&pool->worker[i], "mail", work, pool);
        pthread_mutex_lock(&pool->lock);
        pool->workers += error == 0;
        pthread_mutex_unlock(&pool->lock);
    }
    return error;
}

/* ---- for the dispatcher -----------------------------------------------------------------------
 */

/* What waits for a connection does not keep others from being claimed. */
int pool_wanted(struct pool *pool)
{
    int wanted;
    int left;

    pthread_mutex_lock(&pool->lock);
    wanted = 4 * pool->workers - pool->ready.count;
    if (wanted < 2 * pool->workers)
        wanted = 0; /* many at once: each claim is a commit */
    left = pool->queue_most - pool->ready.count - pool->parked.count;
    if (pool->draining)
        left = 0;
    pthread_mutex_unlock(&pool->lock);
    if (wanted > left)
        wanted = left;
    return wanted > 0 ? wanted : 0;
}

void pool_push(struct pool *pool, struct job **jobs, int count)
{
    int i;

    pthread_mutex_lock(&pool->lock);
    for (i = 0; i < count; i++)
        queue_push(&pool->ready, jobs[i]);
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

/* Jobs that have not begun go back to the disk. */
static void give_back(struct pool *pool, struct queue *queue)
{
    struct job *job;

    for (;;) {
        pthread_mutex_lock(&pool->lock);
        job = queue->first != NULL ? queue_take(queue, &queue->first) : NULL;
        pthread_mutex_unlock(&pool->lock);
        if (job == NULL)
            return;
        worker_give_back(pool->engine, job);
    }
}

void pool_drain(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->draining = true;
    pthread_mutex_unlock(&pool->lock);
    give_back(pool, &pool->ready);
    give_back(pool, &pool->parked);
}

bool pool_is_draining(struct pool *pool)
{
    bool draining;

    pthread_mutex_lock(&pool->lock);
    draining = pool->draining;
    pthread_mutex_unlock(&pool->lock);
    return draining;
}

void pool_status(struct pool *pool, struct pool_status *out)
{
    pthread_mutex_lock(&pool->lock);
    out->workers = pool->workers;
    out->busy = pool->at_work.count;
    out->queued = pool->ready.count + pool->parked.count;
    out->draining = pool->draining;
    pthread_mutex_unlock(&pool->lock);
}

bool pool_is_idle(struct pool *pool)
{
    struct pool_status status;

    pool_status(pool, &status);
    return status.busy == 0 && status.queued == 0;
}

bool pool_is_stuck(struct pool *pool, int64_t longest_ms, char fax_id[FAX_ID_MAX])
{
    int64_t now_ms = clock_monotonic_ms();
    const struct job *job;
    bool stuck = false;

    pthread_mutex_lock(&pool->lock);
    for (job = pool->at_work.first; job != NULL; job = job->next)
        if (now_ms - job->turn_ms > longest_ms) {
            text_copy(fax_id, FAX_ID_MAX, job->delivery.fax_id);
            stuck = true;
        }
    pthread_mutex_unlock(&pool->lock);
    return stuck;
}

void pool_halt(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true; /* before the wake-up: who wakes looks at it */
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

void pool_free(struct pool *pool)
{
    int i;

    if (pool == NULL)
        return;
    for (i = 0; i < pool->workers; i++)
        thread_join(pool->worker[i]);
    give_back(pool, &pool->ready);
    give_back(pool, &pool->parked);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
