/* SPDX-License-Identifier: MIT */
/*
 * resolve.c - look-ups are shared by all that ask for the same name at the same time, so that a
 * silent resolver is asked once for each name and not once for each delivery.
 */
#include "smtp/resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "base/thread.h"

enum { THREADS = 4, HOST_MAX = 256, JOBS_MAX = 64, LEAVE_MS = 1000 };

struct job {
    char host[HOST_MAX];
    int port;
    int users;        /* those who wait, and the thread that works on it */
    bool taken, done; /* by a thread; */
    int error;        /* then valid, with the result */
    struct resolve_result result;
    struct job *next;
};

struct resolver {
    pthread_t thread[THREADS];
    int threads;
    pthread_mutex_t lock; /* all below and all jobs */
    pthread_cond_t work, finished;
    struct job *jobs; /* not done ones, newest first */
    int job_count;
    int busy; /* threads within a look-up */
    bool stopping, cancelled;
};

static int keep_addresses(struct resolve_result *out, const struct addrinfo *list)
{
    out->count = 0;
    for (; list != NULL && out->count < RESOLVE_ADDRESSES_MAX; list = list->ai_next) {
        if (list->ai_family != AF_INET && list->ai_family != AF_INET6)
            continue;
        memcpy(&out->address[out->count].storage, list->ai_addr, list->ai_addrlen);
        out->address[out->count++].length = list->ai_addrlen;
    }
    return out->count > 0 ? 0 : ERROR_IO;
}

static int look_up(struct resolve_result *out, const char *host, int port, int flags)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char service[16];
    int error;

    hints.ai_flags = flags | AI_NUMERICSERV;
    snprintf(service, sizeof service, "%d", port);
    switch (getaddrinfo(host, service, &hints, &list)) {
    case 0: break;
    case EAI_NONAME:
#ifdef EAI_NODATA
    case EAI_NODATA:
#endif
        return ERROR_NOT_FOUND;
    case EAI_MEMORY: return ERROR_MEMORY;
    default: return ERROR_IO;
    }
    error = keep_addresses(out, list);
    freeaddrinfo(list);
    return error;
}

/* Under the lock: the last user frees. */
static void release(struct job *job)
{
    if (--job->users == 0)
        free(job);
}

static void unlink_job(struct resolver *resolver, struct job *job)
{
    struct job **link = &resolver->jobs;

    while (*link != job)
        link = &(*link)->next;
    *link = job->next;
    resolver->job_count--;
}

static struct job *next_job(struct resolver *resolver)
{
    struct job *job;
    struct job *oldest = NULL;

    for (job = resolver->jobs; job != NULL; job = job->next)
        if (!job->taken)
            oldest = job;
    return oldest;
}

static void *run(void *arg)
{
    struct resolver *resolver = arg;

    pthread_mutex_lock(&resolver->lock);
    while (!resolver->stopping) {
        struct job *job = next_job(resolver);
        struct resolve_result result;
        char host[HOST_MAX];
        int port;
        int error;

        if (job == NULL) {
            pthread_cond_wait(&resolver->work, &resolver->lock);
            continue;
        }
        job->taken = true;
        job->users++;
        resolver->busy++;
        text_copy(host, sizeof host, job->host);
        port = job->port;
        pthread_mutex_unlock(&resolver->lock);
        error = look_up(&result, host, port, 0);
        pthread_mutex_lock(&resolver->lock);
        resolver->busy--;
        job->done = true;
        job->error = error;
        if (error == 0)
            job->result = result;
        unlink_job(resolver, job);
        release(job);
        pthread_cond_broadcast(&resolver->finished);
    }
    pthread_mutex_unlock(&resolver->lock);
    return NULL;
}

int resolver_start(struct resolver **out)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);
    int error = 0;

    if (resolver == NULL)
        return ERROR_MEMORY;
    pthread_mutex_init(&resolver->lock, NULL);
    thread_condition_init(&resolver->work);
    thread_condition_init(&resolver->finished);
    while (error == 0 && resolver->threads < THREADS) {
        error = thread_start(&resolver->thread[resolver->threads], "resolver", run, resolver);
        resolver->threads += error == 0;
    }
    if (error < 0) {
        resolver_stop(resolver);
        return error;
    }
    *out = resolver;
    return 0;
}

void resolver_cancel(struct resolver *resolver)
{
    pthread_mutex_lock(&resolver->lock);
    resolver->cancelled = true;
    pthread_cond_broadcast(&resolver->finished);
    pthread_mutex_unlock(&resolver->lock);
}

/* Nothing ends a look-up that nobody answers, and the C library may take a minute for it. True when
 * no thread is in one any more. */
static bool wait_for_threads(struct resolver *resolver)
{
    int64_t until_ms = clock_monotonic_ms() + LEAVE_MS;
    bool idle;

    pthread_mutex_lock(&resolver->lock);
    resolver->stopping = true;
    pthread_cond_broadcast(&resolver->work);
    while (resolver->busy > 0 && clock_monotonic_ms() < until_ms)
        thread_condition_wait(&resolver->finished, &resolver->lock, LEAVE_MS);
    idle = resolver->busy == 0;
    pthread_mutex_unlock(&resolver->lock);
    return idle;
}

void resolver_stop(struct resolver *resolver)
{
    struct job *job;
    int i;

    if (resolver == NULL)
        return;
    if (!wait_for_threads(resolver)) {
        log_info(
            "a look-up of a name goes on until the process ends: the resolver does not answer");
        for (i = 0; i < resolver->threads; i++)
            pthread_detach(resolver->thread[i]); /* what they use is left to them */
        return;
    }
    for (i = 0; i < resolver->threads; i++)
        thread_join(resolver->thread[i]);
    while ((job = resolver->jobs) != NULL) {
        resolver->jobs = job->next;
        free(job);
    }
    pthread_cond_destroy(&resolver->finished);
    pthread_cond_destroy(&resolver->work);
    pthread_mutex_destroy(&resolver->lock);
    free(resolver);
}

/* Under the lock: the job for this name, a new one where there is none. NULL: too many. */
static struct job *join_job(struct resolver *resolver, const char *host, int port)
{
    struct job *job;

    for (job = resolver->jobs; job != NULL; job = job->next) {
        if (job->port == port && strcmp(job->host, host) == 0) {
            job->users++;
            return job;
        }
    }
    if (resolver->job_count >= JOBS_MAX || (job = calloc(1, sizeof *job)) == NULL)
        return NULL;
    text_copy(job->host, sizeof job->host, host);
    job->port = port;
    job->users = 1;
    job->next = resolver->jobs;
    resolver->jobs = job;
    resolver->job_count++;
    pthread_cond_signal(&resolver->work);
    return job;
}

/* Nobody waits for it and no thread has begun: it is not needed. */
static void leave_job(struct resolver *resolver, struct job *job)
{
    if (job->users == 1 && !job->taken)
        unlink_job(resolver, job);
    release(job);
}

int resolver_resolve(struct resolver *resolver, const char *host, int port, int64_t wait_ms,
                     struct resolve_result *out)
{
    int64_t until_ms = clock_monotonic_ms() + wait_ms;
    struct job *job;
    int error = 0;

    if (look_up(out, host, port, AI_NUMERICHOST) == 0)
        return 0;
    pthread_mutex_lock(&resolver->lock);
    job = join_job(resolver, host, port);
    if (job == NULL) {
        pthread_mutex_unlock(&resolver->lock);
        return ERROR_MEMORY;
    }
    while (!job->done && !resolver->cancelled) {
        int64_t left_ms = until_ms - clock_monotonic_ms();

        if (left_ms <= 0)
            break;
        thread_condition_wait(&resolver->finished, &resolver->lock,
                              left_ms > 60000 ? 60000 : (int)left_ms);
    }
    if (!job->done)
        error = ERROR_TIMEOUT;
    else if (job->error < 0)
        error = job->error;
    else
        *out = job->result;
    leave_job(resolver, job);
    pthread_mutex_unlock(&resolver->lock);
    return error;
}
