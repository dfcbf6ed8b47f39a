/* SPDX-License-Identifier: MIT */
/*
 * thread.h - threads with a name, all signals blocked, always joined; and an eventfd to wake them.
 */
#ifndef FAXPOST_BASE_THREAD_H
#define FAXPOST_BASE_THREAD_H

#include <pthread.h>

/* Starts a joinable thread named name (at most 15 characters) with every signal blocked: signals
 * belong to the main thread. ERROR_MEMORY when the system has no thread left. */
int thread_start(pthread_t *out, const char *name, void *(*run)(void *), void *arg);

/* Waits for the end of a thread that was started. */
void thread_join(pthread_t thread);

/* A condition variable whose timed waits count on the monotonic clock. */
void thread_condition_init(pthread_cond_t *condition);

/* Waits at most wait_ms; spurious wake-ups happen, so call it in a predicate loop. 0 or
 * ERROR_TIMEOUT. */
int thread_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int wait_ms);

/* An eventfd for epoll loops: a descriptor or a negative error; wake from any thread or signal
 * handler; clear in the loop. */
int thread_wake_new(void);
void thread_wake(int wake_fd);
void thread_wake_clear(int wake_fd);

#endif
