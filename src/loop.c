/* SPDX-License-Identifier: MIT */
/*
 * loop.c - epoll_wait() and a way for handlers to remove each other.
 */
#include "src/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/error.h"

enum { BATCH = 32 };

struct loop {
    int epoll;
    int count; /* of the batch that is being handled */
    struct epoll_event batch[BATCH];
};

int loop_new(struct loop **out)
{
    struct loop *loop = calloc(1, sizeof *loop);

    if (loop == NULL)
        return ERROR_MEMORY;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0) {
        free(loop);
        return ERROR_IO;
    }
    *out = loop;
    return 0;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    close(loop->epoll);
    free(loop);
}

int loop_add(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, watch->fd, &event) < 0 ? ERROR_IO : 0;
}

int loop_change(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    return epoll_ctl(loop->epoll, EPOLL_CTL_MOD, watch->fd, &event) < 0 ? ERROR_IO : 0;
}

void loop_remove(struct loop *loop, struct loop_watch *watch)
{
    int i;

    epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    for (i = 0; i < loop->count; i++)
        if (loop->batch[i].data.ptr == watch)
            loop->batch[i].data.ptr = NULL;
}

int loop_wait(struct loop *loop, int wait_ms)
{
    int n = epoll_wait(loop->epoll, loop->batch, BATCH, wait_ms);
    int i;

    if (n < 0)
        return errno == EINTR ? 0 : ERROR_IO;
    loop->count = n;
    for (i = 0; i < n; i++) {
        struct loop_watch *watch = loop->batch[i].data.ptr;

        if (watch != NULL)
            watch->ready(watch->user, loop->batch[i].events);
    }
    loop->count = 0;
    return 0;
}
