/* SPDX-License-Identifier: MIT */
/*
 * role_receive.c - the telephone side in its process: fax/receive.h, with the number of live calls
 * told to the supervisor.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"
#include "fax/modem/serial.h"
#include "fax/receive.h"
#include "spool/call_info.h"
#include "src/role.h"

/* The main thread's; wake is also written by the hook, from any thread. */
static struct {
    struct loop *loop;
    struct receive *receive;
    struct loop_watch wake;
    char notes[ROLE_TEXT_MAX]; /* as told last */
} self = {.wake = {.fd = -1}};

static void lines_changed(void *user)
{
    (void)user;
    thread_wake(self.wake.fd);
}

/* The lines, when they are not as told last. */
static void notes_tell(void)
{
    char text[ROLE_TEXT_MAX];

    receive_lines_text(self.receive, text, sizeof text);
    if (strcmp(text, self.notes) == 0)
        return;
    memcpy(self.notes, text, sizeof text);
    role_tell(ROLE_NOTES, 0, text);
}

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
    notes_tell();
}

/* The supervisor opens ports: privilege.h. */
static void port_wanted(void *user, const char *line)
{
    (void)user;
    role_tell(ROLE_PORT_WANTED, 0, line);
}

static void port_closed(void *user, const char *line)
{
    (void)user;
    role_tell(ROLE_PORT_CLOSED, 0, line);
}

static void port(int fd, const char *text)
{
    char line[CALL_NAME_MAX], usb_id[SERIAL_USB_ID_MAX];
    const char *usb = strchr(text, '\t');
    const char *why = usb != NULL ? strchr(usb + 1, '\t') : NULL;

    if (why == NULL || (size_t)(usb - text) >= sizeof line || (size_t)(why - usb) > sizeof usb_id) {
        log_error("malformed answer for a port from the supervisor");
        serial_close(fd);
        return;
    }
    snprintf(line, sizeof line, "%.*s", (int)(usb - text), text);
    snprintf(usb_id, sizeof usb_id, "%.*s", (int)(why - usb - 1), usb + 1);
    receive_port(self.receive, line, fd, usb_id, why + 1);
}

static int start(struct loop *loop, const struct settings *settings)
{
    const struct receive_hooks hooks = {.calls_changed = calls_changed,
                                        .lines_changed = lines_changed,
                                        .port_wanted = port_wanted,
                                        .port_closed = port_closed};
    int error;

    self.loop = loop;
    self.wake = (struct loop_watch){thread_wake_new(), wake_ready, NULL};
    if (self.wake.fd < 0)
        return self.wake.fd;
    error = receive_start(&self.receive, settings->file[SETTINGS_FAXPOST],
                          settings->file[SETTINGS_MODEMS], &hooks);
    if (error < 0)
        return error;
    notes_tell();
    return loop_add(loop, &self.wake, EPOLLIN);
}

static int reload(const struct settings *settings)
{
    receive_reload(self.receive, settings->file[SETTINGS_FAXPOST], settings->file[SETTINGS_MODEMS]);
    notes_tell();
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
    .port = port,
    .drain = drain,
    .stop = stop,
};
