/* SPDX-License-Identifier: MIT */
/*
 * thread.c - the few pthread calls that everyone would otherwise repeat.
 */
#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"

struct birth {
    char name[16];
    void *(*run)(void *);
    void *arg;
};

/* A thread names itself: to name another one is to write a file in /proc, which the sandbox of the
 * roles does not let them open. */
static void *born(void *arg)
{
    struct birth birth = *(struct birth *)arg;

    free(arg);
    pthread_setname_np(pthread_self(), birth.name);
    return birth.run(birth.arg);
}

int thread_start(pthread_t *out, const char *name, void *(*run)(void *), void *arg)
{
    struct birth *birth = malloc(sizeof *birth);
    sigset_t all;
    sigset_t before;
    int rc;

    if (birth == NULL)
        return ERROR_MEMORY;
    text_copy(birth->name, sizeof birth->name, name);
    birth->run = run;
    birth->arg = arg;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(out, NULL, born, birth);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        free(birth);
    return rc != 0 ? ERROR_MEMORY : 0;
}

void thread_join(pthread_t thread)
{
    pthread_join(thread, NULL);
}

void thread_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

int thread_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int wait_ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    return pthread_cond_timedwait(condition, lock, &until) == ETIMEDOUT ? ERROR_TIMEOUT : 0;
}

int thread_wake_new(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    return fd < 0 ? error_from_errno(errno) : fd;
}

void thread_wake(int wake_fd)
{
    uint64_t one = 1;
    int saved_errno = errno;

    while (write(wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    errno = saved_errno;
}

void thread_wake_clear(int wake_fd)
{
    uint64_t count;

    while (read(wake_fd, &count, sizeof count) < 0 && errno == EINTR)
        ;
}
