/* SPDX-License-Identifier: MIT */
/*
 * deadline.c - one list, one lock, one condition; shutdown() does not block.
 */
#include "smtp/deadline.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"

struct deadline_thread {
    pthread_t thread;
    pthread_mutex_t lock; /* all below, and all fields of the deadlines in the list */
    pthread_cond_t changed;
    struct deadline *first;
    bool stopping, cut_all;
    int64_t wake_ms; /* when the thread looks next by itself */
};

static void fire(struct deadline *deadline)
{
    if (deadline->fired)
        return;
    deadline->fired = true;
    shutdown(deadline->fd, SHUT_RDWR);
}

static void *run(void *arg)
{
    struct deadline_thread *thread = arg;
    struct deadline *deadline;

    pthread_mutex_lock(&thread->lock);
    while (!thread->stopping) {
        int64_t now_ms = clock_monotonic_ms();
        int64_t next_ms = now_ms + 60000;

        for (deadline = thread->first; deadline != NULL; deadline = deadline->next) {
            if (deadline->at_ms <= now_ms)
                fire(deadline);
            else if (!deadline->fired && deadline->at_ms < next_ms)
                next_ms = deadline->at_ms;
        }
        thread->wake_ms = next_ms;
        thread_condition_wait(&thread->changed, &thread->lock, (int)(next_ms - now_ms));
    }
    pthread_mutex_unlock(&thread->lock);
    return NULL;
}

int deadline_start(struct deadline_thread **out)
{
    struct deadline_thread *thread = calloc(1, sizeof *thread);
    int error;

    if (thread == NULL)
        return ERROR_MEMORY;
    pthread_mutex_init(&thread->lock, NULL);
    thread_condition_init(&thread->changed);
    error = thread_start(&thread->thread, "deadline", run, thread);
    if (error < 0) {
        pthread_cond_destroy(&thread->changed);
        pthread_mutex_destroy(&thread->lock);
        free(thread);
        return error;
    }
    *out = thread;
    return 0;
}

void deadline_stop(struct deadline_thread *thread)
{
    if (thread == NULL)
        return;
    pthread_mutex_lock(&thread->lock);
    thread->stopping = true;
    pthread_cond_signal(&thread->changed);
    pthread_mutex_unlock(&thread->lock);
    thread_join(thread->thread);
    pthread_cond_destroy(&thread->changed);
    pthread_mutex_destroy(&thread->lock);
    free(thread);
}

void deadline_begin(struct deadline_thread *thread, struct deadline *deadline, int fd)
{
    int64_t last_ms = clock_monotonic_ms() + DEADLINE_MOST_MS;

    *deadline = (struct deadline){.fd = fd, .at_ms = last_ms, .last_ms = last_ms};
    pthread_mutex_lock(&thread->lock);
    deadline->next = thread->first;
    if (thread->first != NULL)
        thread->first->previous = deadline;
    thread->first = deadline;
    if (thread->cut_all)
        fire(deadline);
    pthread_mutex_unlock(&thread->lock);
}

void deadline_set(struct deadline_thread *thread, struct deadline *deadline, int64_t in_ms)
{
    pthread_mutex_lock(&thread->lock);
    /* The thread need not know of a deadline that comes after its next look. */
    int64_t at_ms = clock_monotonic_ms() + in_ms;
    bool sooner;

    if (at_ms > deadline->last_ms)
        at_ms = deadline->last_ms;
    sooner = at_ms < thread->wake_ms;
    deadline->at_ms = at_ms;
    if (sooner)
        pthread_cond_signal(&thread->changed);
    pthread_mutex_unlock(&thread->lock);
}

void deadline_cut(struct deadline_thread *thread, struct deadline *deadline)
{
    pthread_mutex_lock(&thread->lock);
    fire(deadline);
    pthread_mutex_unlock(&thread->lock);
}

void deadline_cut_all(struct deadline_thread *thread)
{
    struct deadline *deadline;

    pthread_mutex_lock(&thread->lock);
    thread->cut_all = true;
    for (deadline = thread->first; deadline != NULL; deadline = deadline->next)
        fire(deadline);
    pthread_mutex_unlock(&thread->lock);
}

bool deadline_has_fired(struct deadline_thread *thread, const struct deadline *deadline)
{
    bool fired;

    pthread_mutex_lock(&thread->lock);
    fired = deadline->fired;
    pthread_mutex_unlock(&thread->lock);
    return fired;
}

bool deadline_end(struct deadline_thread *thread, struct deadline *deadline)
{
    bool fired;

    pthread_mutex_lock(&thread->lock);
    if (deadline->previous != NULL)
        deadline->previous->next = deadline->next;
    else
        thread->first = deadline->next;
    if (deadline->next != NULL)
        deadline->next->previous = deadline->previous;
    fired = deadline->fired;
    pthread_mutex_unlock(&thread->lock);
    return fired;
}
