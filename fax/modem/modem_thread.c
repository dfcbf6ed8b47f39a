/* SPDX-License-Identifier: MIT */
/*
 * modem_thread.c - the thread of a modem line: what wakes it, and what others are shown.
 */
#include "fax/modem/modem_thread.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "base/thread.h"
#include "fax/modem/modem_states.h"

enum { MESSAGES_MOST = 4096, SLEEP_MOST_MS = 600000 };

struct modem_thread {
    /* Constant while the thread runs. */
    struct call_shared *shared;
    char name[CALL_NAME_MAX];
    struct mailbox *mailbox;
    int wake_fd;
    pthread_t id;

    atomic_bool has_ended;

    pthread_mutex_t lock; /* of shown */
    char shown[MODEM_SHOWN_MAX];

    /* The thread's. */
    struct modem_states states;
    uint32_t shown_revision;
};

/* ---- what people are shown ---------------------------------------------------------------------
 */

/* A call wakes the thread each 20 ms: only what changed is looked at. */
static void show(struct modem_thread *thread)
{
    const struct receive_hooks *hooks = &thread->shared->hooks;
    uint32_t revision = modem_states_revision(&thread->states);
    char text[MODEM_SHOWN_MAX] = "";
    bool is_new;

    if (revision == thread->shown_revision)
        return;
    thread->shown_revision = revision;
    modem_states_text(&thread->states, text);
    pthread_mutex_lock(&thread->lock);
    is_new = strcmp(text, thread->shown) != 0;
    memcpy(thread->shown, text, sizeof text);
    pthread_mutex_unlock(&thread->lock);
    if (is_new && hooks->lines_changed != NULL)
        hooks->lines_changed(hooks->user);
}

size_t modem_thread_text(struct modem_thread *thread, char *out, size_t size)
{
    size_t length;

    pthread_mutex_lock(&thread->lock);
    length = strlen(thread->shown);
    if (length < size)
        memcpy(out, thread->shown, length + 1);
    else
        length = 0;
    pthread_mutex_unlock(&thread->lock);
    return length;
}

/* ---- the thread --------------------------------------------------------------------------------
 */

static int wait_ms(const struct modem_thread *thread)
{
    int64_t due_ms = modem_states_due_ms(&thread->states);
    int64_t left_ms;

    if (due_ms == INT64_MAX)
        return -1;
    left_ms = due_ms - clock_monotonic_ms();
    return left_ms < 0 ? 0 : left_ms > SLEEP_MOST_MS ? SLEEP_MOST_MS : (int)left_ms;
}

static void *run(void *arg)
{
    struct modem_thread *thread = arg;
    struct modem_states *states = &thread->states;
    struct modem_message message;

    modem_states_begin(states);
    while (!modem_states_are_over(states)) {
        const struct modem_port *port = &states->port;
        struct pollfd polled[2] = {
            {.fd = thread->wake_fd, .events = POLLIN},
            {.fd = port->fd, .events = (short)(POLLIN | (port->out_length > 0 ? POLLOUT : 0))},
        };

        show(thread);
        if (poll(polled, 2, wait_ms(thread)) < 0 && errno != EINTR) {
            log_alert("modem thread cannot wait line=%s: %s", LOG_ESCAPED(thread->name),
                      strerror(errno));
            break;
        }
        thread_wake_clear(thread->wake_fd);
        if (port->fd >= 0 && (polled[1].revents & POLLIN) != 0)
            modem_states_read(states);
        else if (port->fd >= 0 && serial_poll_is_gone(polled[1].revents))
            modem_states_port_gone(states);
        while (mailbox_take(thread->mailbox, &message))
            modem_states_message(states, &message);
        modem_states_step(states);
    }
    modem_states_end(states);
    atomic_store(&thread->has_ended, true);
    return NULL;
}

/* ---- from the main thread ----------------------------------------------------------------------
 */

static void wake(void *user)
{
    thread_wake(((struct modem_thread *)user)->wake_fd);
}

static void thread_free(struct modem_thread *thread)
{
    struct modem_message message;

    while (thread->mailbox != NULL && mailbox_take(thread->mailbox, &message)) {
        if (message.kind == MODEM_PORT)
            serial_close(message.fd);
        if (message.kind == MODEM_SETTINGS)
            modem_line_free(message.settings);
    }
    mailbox_free(thread->mailbox);
    pthread_mutex_destroy(&thread->lock);
    if (thread->wake_fd >= 0)
        close(thread->wake_fd);
    modem_states_free(&thread->states);
    free(thread);
}

int modem_thread_start(struct modem_thread **out, struct call_shared *shared,
                       struct modem_line *line)
{
    struct modem_thread *thread = calloc(1, sizeof *thread);
    char name[16];
    int error = 0;

    if (thread == NULL) {
        modem_line_free(line);
        return ERROR_MEMORY;
    }
    pthread_mutex_init(&thread->lock, NULL);
    thread->shared = shared;
    text_copy(thread->name, sizeof thread->name, line->line.name);
    atomic_init(&thread->has_ended, false);
    thread->wake_fd = thread_wake_new();
    if (thread->wake_fd < 0)
        error = thread->wake_fd;
    if (error == 0)
        error = mailbox_new(&thread->mailbox, sizeof(struct modem_message), MESSAGES_MOST, wake,
                            thread);
    modem_states_init(&thread->states, shared, thread->mailbox, line, thread->name);
    snprintf(name, sizeof name, "m-%.12s", thread->name);
    if (error == 0)
        error = thread_start(&thread->id, name, run, thread);
    if (error != 0)
        thread_free(thread);
    else
        *out = thread;
    return error;
}

const char *modem_thread_name(const struct modem_thread *thread)
{
    return thread->name;
}

void modem_thread_port(struct modem_thread *thread, int fd, const char *usb_id, const char *why)
{
    struct modem_message message = {.kind = MODEM_PORT, .fd = fd};

    text_copy(message.usb_id, sizeof message.usb_id, usb_id);
    text_copy(message.why, sizeof message.why, why);
    if (!modem_message_post(thread->mailbox, &message))
        serial_close(fd);
}

void modem_thread_reload(struct modem_thread *thread, struct modem_line *line)
{
    struct modem_message message = {.kind = MODEM_SETTINGS, .settings = line};

    if (!modem_message_post(thread->mailbox, &message))
        modem_line_free(line);
}

static void tell(struct modem_thread *thread, enum modem_message_kind kind)
{
    struct modem_message message = {.kind = kind};

    modem_message_post(thread->mailbox, &message);
}

void modem_thread_drain(struct modem_thread *thread)
{
    tell(thread, MODEM_DRAIN);
}

void modem_thread_hang_up(struct modem_thread *thread)
{
    tell(thread, MODEM_HANG_UP);
}

void modem_thread_end(struct modem_thread *thread)
{
    tell(thread, MODEM_STOP);
}

bool modem_thread_has_ended(const struct modem_thread *thread)
{
    return atomic_load(&thread->has_ended);
}

void modem_thread_join(struct modem_thread *thread)
{
    thread_join(thread->id);
    thread_free(thread);
}
