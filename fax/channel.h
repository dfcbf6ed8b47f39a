/* SPDX-License-Identifier: MIT */
/*
 * channel.h - one call as the media threads and page workers see it. Who owns it when: media.h.
 *
 * For media.c, worker.c and line_sip.c; nobody else looks inside.
 */
#ifndef FAXPOST_FAX_CHANNEL_H
#define FAXPOST_FAX_CHANNEL_H

#include <pthread.h>
#include <stdatomic.h>

#include "fax/latch.h"
#include "fax/media.h"
#include "fax/receive.h"
#include "fax/receive_settings.h"
#include "fax/session.h"
#include "fax/worker.h"
#include "spool/call_info.h"
#include "spool/incoming.h"

struct line_sip;
struct media_thread;

/* What all channels share; lives longer than each of them. Constant but for the count. */
struct channel_shared {
    struct workers *workers;
    struct media *media;
    struct line_sip *lines;
    struct receive_hooks hooks;
    const char *state_dir;

    pthread_mutex_t lock; /* of calls */
    pthread_cond_t calls_changed;
    int calls; /* channels that live */
};

struct channel {
    atomic_int references;

    /* Constant from channel_new() on. */
    struct channel_shared *shared;
    int64_t free_bytes_min;
    bool ecm, trace;
    int pages_max, rows_max;
    int64_t session_ms_max, stall_ms_max;
    int fd;        /* UDP socket, non-blocking; closed with the last reference */
    unsigned port; /* its port */
    char fax_id[FAX_ID_MAX], call_ref[CALL_PEER_MAX];

    /* Set by the SIP thread with the ACK, read by the owner: the caller is where it says it is. */
    atomic_bool is_acknowledged;

    /* The SIP thread's alone. */
    void *call;
    struct media_thread *thread; /* set before media_add() hands over, constant afterwards */

    /* The owner's. */
    struct call_info info;
    struct incoming *incoming;
    struct session *session;
    struct media_plan plan;
    struct udptl *udptl;
    struct latch latch;
    uint64_t packets_in, packets_out, strangers;

    /* The media thread's alone. */
    struct channel *slot_next, **slot_link; /* list of its slot; link NULL: in none */
    int slot;
    struct rtp *rtp;
    bool is_away;     /* a worker has the session */
    bool is_over;     /* the session ended */
    bool info_is_out; /* snapshot is being written */
    bool switch_waits, redirect_waits;
    int redirects;               /* how often the far side moved: a few are logged */
    struct media_plan next_plan; /* of the two above */
    int stores_out;
    uint32_t revision; /* of the session, as in the last snapshot */
    int64_t info_ms, packet_ms, hang_up_ms, switched_ms;

    /* Filled by the media thread before WORKER_INFO, read by the worker. */
    struct call_info snapshot;
    bool snapshot_is_durable;
    /* Highest number of a stored page. Media thread until WORKER_FINISH, then the worker. */
    int stored_most;

    struct worker_job work_job, info_job, life_job;
};

/* Makes a channel with a socket bound to an even port of the line's range on `local`, and two
 * references: the caller's and the chain's. ERROR_MEMORY, ERROR_FULL (no port is free), ERROR_IO.
 */
int channel_new(struct channel **out, struct channel_shared *shared,
                const struct receive_settings *settings, const struct line_settings *line,
                const struct net_address *local);

void channel_ref(struct channel *channel);
void channel_unref(struct channel *channel);

/* Binds a UDP socket to an even port within the range, from a random one on. A descriptor, or
 * ERROR_FULL when all are taken, ERROR_IO. */
int channel_socket(const struct net_address *local, unsigned least, unsigned most,
                   unsigned *out_port);

/* A new session for how the call begins. On a worker. */
int channel_session_new(struct channel *channel);

/* Sends one datagram to the peer, if there is one. Before the ACK an INVITE may have come from
 * anywhere: until then only to where media came from. The owner. */
void channel_send(struct channel *channel, const uint8_t *packet, size_t length);

#endif
