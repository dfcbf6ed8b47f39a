/* SPDX-License-Identifier: MIT */
/*
 * media.c - the media threads.
 *
 * A thread sleeps in epoll on a timer and its mailbox. The timer goes off every SLOT_MS; each time
 * one slot of channels is ticked, so that every channel has its turn every 20 ms and they do not
 * all tick at once. Sockets are read at the tick, not when a packet comes: the session would not
 * look at it earlier anyway, and it saves a wake-up per packet.
 */
#include "fax/sip/media.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/thread.h"
#include "fax/mailbox.h"
#include "fax/sip/channel.h"
#include "fax/sip/channel_tick.h"
#include "fax/sip/line_sip.h"
#include "fax/sip/media_thread.h"

enum {
    SLOT_MS = SESSION_TICK_MS / MEDIA_SLOTS,
    LATE_SLOTS_MAX = MEDIA_LATE_TICKS_MAX * MEDIA_SLOTS,
    MESSAGES_MOST = 1 << 20,
    COMPLAIN_EVERY_MS = 10000,
};

struct media {
    struct media_thread *threads;
    int count;
};

enum message_kind {
    MESSAGE_ADD,
    MESSAGE_SWITCH,
    MESSAGE_REDIRECT,
    MESSAGE_HANG_UP,
    MESSAGE_WORKED,
    MESSAGE_STORED,
    MESSAGE_INFO_WRITTEN,
    MESSAGE_STOP,
};

struct message {
    enum message_kind kind;
    struct channel *channel;
    struct media_plan plan; /* SWITCH, REDIRECT */
    const char *why;        /* HANG_UP */
    uint32_t generation;    /* STORED */
    int number, error;      /* STORED; number of stores: WORKED */
    bool unconfirmed;       /* STORED */
};

/* ---- from other threads ------------------------------------------------------------------------
 */

/* Room is bounded by what can be on its way for each channel; a box that is full nevertheless is a
 * bug that must not go unseen. */
static void message_post(struct media_thread *thread, const struct message *message)
{
    int rc = mailbox_post(thread->mailbox, message);

    if (rc != 0)
        log_alert("media thread cannot be told kind=%d: %s; restart faxpostd", (int)message->kind,
                  error_text(rc));
}

static void message_post_counted(struct channel *channel, struct message *message)
{
    call_ref(&channel->call);
    message->channel = channel;
    message_post(channel->thread, message);
}

void media_add(struct media *media, struct channel *channel, const struct media_plan *plan)
{
    struct message message = {.kind = MESSAGE_ADD, .channel = channel};
    struct media_thread *best = &media->threads[0];

    for (int i = 1; i < media->count; i++)
        if (atomic_load(&media->threads[i].load) < atomic_load(&best->load))
            best = &media->threads[i];
    atomic_fetch_add(&best->load, 1);
    channel->thread = best;
    channel->plan = *plan;
    message_post(best, &message);
}

void media_switch_t38(struct channel *channel, const struct media_plan *plan)
{
    struct message message = {.kind = MESSAGE_SWITCH, .plan = *plan};

    message_post_counted(channel, &message);
}

void media_redirect(struct channel *channel, const struct media_plan *plan)
{
    struct message message = {.kind = MESSAGE_REDIRECT, .plan = *plan};

    message_post_counted(channel, &message);
}

void media_hang_up(struct channel *channel, const char *why)
{
    struct message message = {.kind = MESSAGE_HANG_UP, .why = why};

    message_post_counted(channel, &message);
}

/* The chain's reference covers these: the channel is not finished before they have come back. */

void media_worked(struct call *call, int stores)
{
    struct channel *channel = (struct channel *)call;
    struct message message = {.kind = MESSAGE_WORKED, .channel = channel, .number = stores};

    message_post(channel->thread, &message);
}

void media_stored(struct call *call, uint32_t generation, int number, bool unconfirmed, int error)
{
    struct channel *channel = (struct channel *)call;
    struct message message = {.kind = MESSAGE_STORED,
                              .channel = channel,
                              .generation = generation,
                              .number = number,
                              .unconfirmed = unconfirmed,
                              .error = error};

    message_post(channel->thread, &message);
}

void media_info_written(struct call *call)
{
    struct channel *channel = (struct channel *)call;
    struct message message = {.kind = MESSAGE_INFO_WRITTEN, .channel = channel};

    message_post(channel->thread, &message);
}

/* ---- timer -------------------------------------------------------------------------------------
 */

static void timer_set(struct media_thread *thread, bool on)
{
    struct itimerspec spec = {{0, 0}, {0, 0}};

    if (on) {
        spec.it_interval.tv_nsec = SLOT_MS * 1000000L;
        spec.it_value.tv_nsec = SLOT_MS * 1000000L;
        thread->base_ms = clock_monotonic_ms() - thread->steps * SLOT_MS;
    }
    timerfd_settime(thread->timer_fd, 0, &spec, NULL);
    thread->timer_is_on = on;
}

static void slot_tick(struct media_thread *thread, int slot, int64_t now_ms)
{
    struct channel *channel = thread->slots[slot];

    while (channel != NULL) {
        struct channel *next = channel->slot_next; /* a channel may leave during its tick */

        channel_tick(thread, channel, now_ms);
        channel = next;
    }
}

/* Of the oldest of the turns that are due now. */
static void note_lateness(struct media_thread *thread)
{
    int64_t due_ms = thread->base_ms + (thread->steps + 1) * SLOT_MS;
    int64_t late_ms = clock_monotonic_ms() - due_ms;

    thread->turns++;
    if (late_ms > thread->worst_late_ms)
        thread->worst_late_ms = late_ms;
    thread->late_20_ms += late_ms > SESSION_TICK_MS;
    thread->late_60_ms += late_ms > 3 * SESSION_TICK_MS;
}

static void timer_fired(struct media_thread *thread)
{
    uint64_t times = 0;

    if (read(thread->timer_fd, &times, sizeof times) != (ssize_t)sizeof times)
        return;
    note_lateness(thread);
    if (times > LATE_SLOTS_MAX) {
        uint64_t skipped = (times - LATE_SLOTS_MAX) / MEDIA_SLOTS * MEDIA_SLOTS;
        int64_t now_ms = clock_monotonic_ms();

        if (now_ms >= thread->complain_ms) {
            log_warning("media thread late ms=%llu: the machine is too busy, or was asleep",
                        (unsigned long long)times * SLOT_MS);
            thread->complain_ms = now_ms + COMPLAIN_EVERY_MS;
        }
        thread->steps += (int64_t)skipped;
        times -= skipped;
    }
    while (times-- > 0) {
        thread->steps++;
        slot_tick(thread, (int)(thread->steps % MEDIA_SLOTS),
                  thread->base_ms + thread->steps * SLOT_MS);
    }
}

/* ---- messages ----------------------------------------------------------------------------------
 */

static void take_add(struct media_thread *thread, struct channel *channel)
{
    int slot = 0;

    for (int i = 1; i < MEDIA_SLOTS; i++)
        if (thread->slot_counts[i] < thread->slot_counts[slot])
            slot = i;
    if (!thread->timer_is_on)
        timer_set(thread, true);
    channel->slot = slot;
    channel->slot_link = &thread->slots[slot];
    channel->slot_next = thread->slots[slot];
    if (channel->slot_next != NULL)
        channel->slot_next->slot_link = &channel->slot_next;
    thread->slots[slot] = channel;
    thread->slot_counts[slot]++;
    channel_begin(thread, channel, clock_monotonic_ms());
}

static void media_message(struct media_thread *thread, const struct message *message)
{
    struct channel *channel = message->channel;

    switch (message->kind) {
    case MESSAGE_ADD: take_add(thread, channel); break;
    case MESSAGE_SWITCH: channel_want_switch(thread, channel, &message->plan); break;
    case MESSAGE_REDIRECT: channel_want_redirect(channel, &message->plan); break;
    case MESSAGE_HANG_UP: call_hang_up(&channel->call, message->why, clock_monotonic_ms()); break;
    case MESSAGE_WORKED: call_worked(&channel->call, message->number); break;
    case MESSAGE_STORED:
        call_stored(&channel->call, message->generation, message->number, message->unconfirmed,
                    message->error);
        break;
    case MESSAGE_INFO_WRITTEN: call_info_written(&channel->call); break;
    case MESSAGE_STOP: thread->is_stopping = true; break;
    }
    if (message->kind == MESSAGE_SWITCH || message->kind == MESSAGE_REDIRECT ||
        message->kind == MESSAGE_HANG_UP)
        call_unref(&channel->call);
}

void media_thread_leave(struct media_thread *thread, struct channel *channel)
{
    *channel->slot_link = channel->slot_next;
    if (channel->slot_next != NULL)
        channel->slot_next->slot_link = channel->slot_link;
    channel->slot_link = NULL;
    thread->slot_counts[channel->slot]--;
    if (atomic_fetch_sub(&thread->load, 1) == 1 && thread->timer_is_on)
        timer_set(thread, false);
}

static void *media_run(void *arg)
{
    struct media_thread *thread = arg;
    struct epoll_event events[2];
    struct message message;

    while (!thread->is_stopping) {
        int count = epoll_wait(thread->epoll_fd, events, 2, -1);

        if (count < 0 && errno != EINTR) {
            log_alert("media thread cannot wait: %s", strerror(errno));
            break;
        }
        thread_wake_clear(thread->wake_fd);
        while (mailbox_take(thread->mailbox, &message))
            media_message(thread, &message);
        if (thread->timer_is_on)
            timer_fired(thread);
    }
    return NULL;
}

/* ---- start and stop ----------------------------------------------------------------------------
 */

static void wake(void *user)
{
    thread_wake(((struct media_thread *)user)->wake_fd);
}

static int epoll_add(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : error_from_errno(errno);
}

static int media_thread_start(struct media_thread *thread, int number)
{
    char name[16];
    int rc;

    thread->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    thread->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    thread->wake_fd = thread_wake_new();
    if (thread->epoll_fd < 0 || thread->timer_fd < 0 || thread->wake_fd < 0)
        return ERROR_IO;
    thread->packets = packets_new();
    thread->scratch = udptl_new(UDPTL_NONE, 0, 0);
    if (thread->packets == NULL || thread->scratch == NULL)
        return ERROR_MEMORY;
    rc = mailbox_new(&thread->mailbox, sizeof(struct message), MESSAGES_MOST, wake, thread);
    if (rc == 0)
        rc = epoll_add(thread->epoll_fd, thread->timer_fd);
    if (rc == 0)
        rc = epoll_add(thread->epoll_fd, thread->wake_fd);
    snprintf(name, sizeof name, "media-%d", number % 1000);
    if (rc == 0)
        rc = thread_start(&thread->id, name, media_run, thread);
    thread->is_running = rc == 0;
    return rc;
}

static void media_thread_stop(struct media_thread *thread)
{
    struct message stop = {.kind = MESSAGE_STOP};

    if (thread->is_running) {
        message_post(thread, &stop);
        thread_join(thread->id);
        log_info("media thread ended turns=%lld worst_late_ms=%lld over_20_ms=%lld over_60_ms=%lld",
                 (long long)thread->turns, (long long)thread->worst_late_ms,
                 (long long)thread->late_20_ms, (long long)thread->late_60_ms);
    }
    mailbox_free(thread->mailbox);
    udptl_free(thread->scratch);
    packets_free(thread->packets);
    if (thread->epoll_fd >= 0)
        close(thread->epoll_fd);
    if (thread->timer_fd >= 0)
        close(thread->timer_fd);
    if (thread->wake_fd >= 0)
        close(thread->wake_fd);
}

int media_start(struct media **out, int threads)
{
    struct media *media = calloc(1, sizeof *media);
    int rc = 0;

    if (media == NULL)
        return ERROR_MEMORY;
    media->threads = calloc((size_t)threads, sizeof *media->threads);
    if (media->threads == NULL) {
        free(media);
        return ERROR_MEMORY;
    }
    for (int i = 0; rc == 0 && i < threads; i++) {
        rc = media_thread_start(&media->threads[i], i + 1);
        media->count++;
    }
    if (rc != 0) {
        log_error("media threads cannot be started: %s", error_text(rc));
        media_stop(media);
    } else {
        *out = media;
    }
    return rc;
}

void media_stop(struct media *media)
{
    if (media == NULL)
        return;
    for (int i = 0; i < media->count; i++)
        media_thread_stop(&media->threads[i]);
    free(media->threads);
    free(media);
}
