/* SPDX-License-Identifier: MIT */
/*
 * role_receive.c - the telephone side in its process: fax/receive.h, with the number of live calls
 * told to the supervisor.
 */
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"
#include "fax/receive.h"
#include "src/role.h"

/* The main thread's; wake is also written by the hook, from any thread. */
static struct {
    struct loop *loop;
    struct receive *receive;
    struct loop_watch wake;
} self = {.wake = {.fd = -1}};

static void calls_changed(void *user, int calls)
{
    (void)user;
    (void)calls;
    thread_wake(self.wake.fd);
}

static void wake_ready(void *user, uint32_t events)
{
    (void)user;
    (void)events;
    thread_wake_clear(self.wake.fd);
    role_tell(ROLE_CALLS, receive_calls(self.receive), NULL);
}

static int start(struct loop *loop, const struct settings *settings)
{
    const struct receive_hooks hooks = {.calls_changed = calls_changed};
    int error;

    self.loop = loop;
    self.wake = (struct loop_watch){thread_wake_new(), wake_ready, NULL};
    if (self.wake.fd < 0)
        return self.wake.fd;
    error = receive_start(&self.receive, settings->file[SETTINGS_FAXPOST], &hooks);
    if (error < 0)
        return error;
    return loop_add(loop, &self.wake, EPOLLIN);
}

static int reload(const struct settings *settings)
{
    receive_reload(self.receive, settings->file[SETTINGS_FAXPOST]);
    return 0;
}

static void drain(void)
{
    receive_drain(self.receive);
    role_tell(ROLE_CALLS, receive_calls(self.receive), NULL);
}

static void stop(void)
{
    receive_stop(self.receive);
    self.receive = NULL;
    if (self.wake.fd < 0)
        return;
    loop_remove(self.loop, &self.wake);
    close(self.wake.fd);
    self.wake.fd = -1;
}

const struct role_actions role_receive_actions = {
    .start = start,
    .reload = reload,
    .drain = drain,
    .stop = stop,
};
