/* SPDX-License-Identifier: MIT */
/*
 * closer.c - a thread for each descriptor whose closing may last. Nobody waits for these threads,
 * not at the end of the process either, which closes all by itself.
 */
#include "src/closer.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"

enum { CLOSINGS_MAX = 32 };

static atomic_int closings; /* threads that are at it */

static void *close_it(void *arg)
{
    close((int)(intptr_t)arg);
    atomic_fetch_sub(&closings, 1);
    return NULL;
}

static void close_aside(int fd)
{
    pthread_t thread;

    atomic_fetch_add(&closings, 1);
    if (thread_start(&thread, "closer", close_it, (void *)(intptr_t)fd) == 0) {
        pthread_detach(thread);
        return;
    }
    log_error("no thread to close what a client sent: it is closed here");
    close_it((void *)(intptr_t)fd);
}

void closer_close(int fd)
{
    if (fd < 0)
        return;
    if (fcntl(fd, F_GET_SEALS) >= 0)
        close(fd); /* a file in memory: nothing to wait for */
    else
        close_aside(fd);
}

void closer_close_connection(int fd)
{
    int unread = -1;

    if (shutdown(fd, SHUT_RDWR) == 0 && ioctl(fd, FIONREAD, &unread) == 0 && unread == 0)
        close(fd);
    else
        close_aside(fd);
}

bool closer_is_busy(void)
{
    return atomic_load(&closings) >= CLOSINGS_MAX;
}
