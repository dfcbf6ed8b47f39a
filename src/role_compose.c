/* SPDX-License-Identifier: MIT */
/*
 * role_compose.c - turns pages into messages: compose_serve() of message/ on a thread of its own,
 * for the socket that the supervisor gave last.
 */
#include <pthread.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/thread.h"
#include "message/compose_loop.h"
#include "message/message.h"
#include "src/privilege.h"
#include "src/role.h"

enum { MEMORY_MAX_MB = 1024 };

/* The main thread's; the serving thread reads socket_fd, which does not change while it runs. */
static struct {
    int socket_fd;
    bool serves;
    pthread_t thread;
} self = {.socket_fd = -1};

static void *serve_run(void *arg)
{
    int error = compose_serve(*(const int *)arg);

    if (error < 0)
        log_error("socket to deliver failed: %s", error_text(error));
    return NULL;
}

/* A page that wants more memory than this is made to be one. */
static void limit_memory(void)
{
#ifndef SANITIZED
    struct rlimit limit = {(rlim_t)MEMORY_MAX_MB << 20, (rlim_t)MEMORY_MAX_MB << 20};

    setrlimit(RLIMIT_DATA, &limit);
#endif
}

static int start(struct loop *loop, const struct settings *settings)
{
    (void)loop;
    (void)settings;
    limit_memory();
    return message_library_init();
}

/* Ends the serving of the present socket; what is being composed is finished first. */
static void serve_end(void)
{
    if (!self.serves)
        return;
    shutdown(self.socket_fd, SHUT_RDWR);
    thread_join(self.thread);
    close(self.socket_fd);
    self.serves = false;
}

static void compose_socket(int fd)
{
    serve_end();
    self.socket_fd = fd;
    if (thread_start(&self.thread, "compose", serve_run, &self.socket_fd) < 0) {
        log_error("no thread to compose: the supervisor starts this role again");
        _exit(EXIT_TROUBLE);
    }
    self.serves = true;
}

static void stop(void)
{
    serve_end();
    message_library_end();
}

const struct role_actions role_compose_actions = {
    .start = start,
    .compose_socket = compose_socket,
    .stop = stop,
};
