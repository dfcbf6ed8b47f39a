/* SPDX-License-Identifier: MIT */
/*
 * loop.h - epoll with one handler per descriptor: the main thread of the supervisor and of every
 * role runs on it. One thread only.
 */
#ifndef FAXPOST_SRC_LOOP_H
#define FAXPOST_SRC_LOOP_H

#include <stdint.h>

struct loop;

/* The owner's; stays in place from loop_add() to loop_remove(). */
struct loop_watch {
    int fd;
    void (*ready)(void *user, uint32_t events); /* EPOLLIN … */
    void *user;
};

int loop_new(struct loop **out);
void loop_free(struct loop *loop);

int loop_add(struct loop *loop, struct loop_watch *watch, uint32_t events);
int loop_change(struct loop *loop, struct loop_watch *watch, uint32_t events);

/* Also from within a handler, of any watch: its handler is not called any more. Before close(). */
void loop_remove(struct loop *loop, struct loop_watch *watch);

/* Waits at most wait_ms (-1: for ever) and calls the handlers of what is ready. ERROR_IO. */
int loop_wait(struct loop *loop, int wait_ms);

#endif
