/* SPDX-License-Identifier: MIT */
/*
 * media_thread.h - what a media thread holds. For media.c and channel_tick.c.
 */
#ifndef FAXPOST_FAX_MEDIA_THREAD_H
#define FAXPOST_FAX_MEDIA_THREAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "fax/sip/udptl.h"

enum {
    MEDIA_SLOTS = 4,
    MEDIA_LATE_TICKS_MAX = 30, /* so much lost time is made up for, the rest is skipped */
};

struct channel;
struct mailbox;
struct packets;

struct media_thread {
    atomic_int load; /* channels of this thread, those on their way to it included */

    /* Constant while the thread runs. */
    pthread_t id;
    bool is_running;
    int epoll_fd, timer_fd, wake_fd;
    struct mailbox *mailbox;

    /* The thread's alone. */
    struct packets *packets; /* room to receive into */
    struct udptl *scratch;   /* to try whether something parses as UDPTL */
    struct channel *slots[MEDIA_SLOTS];
    int slot_counts[MEDIA_SLOTS];
    bool timer_is_on, is_stopping;
    int64_t steps;       /* of the timer, since ever */
    int64_t base_ms;     /* time of step 0, as it were */
    int64_t complain_ms; /* no complaint about being late before */

    /* Told when it stops: turns of the timer, how late the worst was, and how many were later than
     * a tick, and than what the buffers of audio bear. */
    int64_t turns, worst_late_ms, late_20_ms, late_60_ms;
};

/* Takes a channel out of its slot: it gets no more ticks. */
void media_thread_leave(struct media_thread *thread, struct channel *channel);

/* Room for one recvmmsg(). */
struct packets *packets_new(void);
void packets_free(struct packets *packets);

#endif
