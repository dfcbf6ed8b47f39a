/* SPDX-License-Identifier: MIT */
/*
 * channel.h - one SIP call as the media threads see it. Who owns it when: media.h.
 *
 * For media.c, channel_tick.c and line_*.c; nobody else looks inside.
 */
#ifndef FAXPOST_FAX_CHANNEL_H
#define FAXPOST_FAX_CHANNEL_H

#include <stdatomic.h>

#include "fax/call.h"
#include "fax/latch.h"
#include "fax/sip/media.h"

struct line_call;
struct media_thread;

/* How much of the peer is taken at once: what a second brings. */
struct allowance {
    int64_t packets, octets; /* thousandths that are left */
    int64_t at_ms;           /* when they were counted */
};

struct channel {
    struct call call; /* first: its driver comes back from there */

    /* Constant from channel_new() on. */
    int fd;             /* UDP socket, non-blocking; closed with the last reference */
    unsigned port;      /* its port */
    int packets_max;    /* a second, from the peer */
    int64_t octets_max; /* the same */

    /* Set by the SIP thread with the ACK, read by the owner: the caller is where it says it is. */
    atomic_bool is_acknowledged;

    /* The SIP thread's alone. */
    struct line_call *sip;
    struct media_thread *thread; /* set before media_add() hands over, constant afterwards */

    /* The owner's. */
    struct media_plan plan;
    struct udptl *udptl;
    struct latch latch;
    uint64_t packets_in, packets_out, strangers;
    uint64_t surplus; /* packets of the peer that were too much */

    /* The media thread's alone. */
    struct channel *slot_next, **slot_link; /* list of its slot; link NULL: in none */
    int slot;
    struct rtp *rtp;
    bool switch_waits, redirect_waits;
    int redirects;               /* how often the far side moved: a few are logged */
    struct media_plan next_plan; /* of the two above */
    int64_t packet_ms, switched_ms;
    struct allowance allowance;
    bool is_shut;              /* the kernel lets in the peer alone */
    uint64_t strangers_before; /* of them, when the latch began */
};

/* Makes a channel with a socket bound to an even port of the line's range on `local`, and two
 * references: the caller's and the chain's. ERROR_MEMORY, ERROR_FULL (no port is free), ERROR_IO.
 */
int channel_new(struct channel **out, struct call_shared *shared,
                const struct receive_settings *settings, const struct line_settings *line,
                const struct net_address *local);

/* Binds a UDP socket to an even port within the range, from a random one on. A descriptor, or
 * ERROR_FULL when all are taken, ERROR_IO. */
int channel_socket(const struct net_address *local, unsigned least, unsigned most,
                   unsigned *out_port);

/* Sends one datagram to the peer, if there is one. Before the ACK an INVITE may have come from
 * anywhere: until then only to where media came from. The owner. */
void channel_send(struct channel *channel, const uint8_t *packet, size_t length);

#endif
