/* SPDX-License-Identifier: MIT */
/*
 * channel.c - making and freeing of a call's parts, its socket, and the session's hooks.
 */
#include "fax/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "fax/line_sip.h"

/* ---- socket ------------------------------------------------------------------------------------
 */

static unsigned random_below(unsigned limit)
{
    unsigned value = 0;

    if (getrandom(&value, sizeof value, 0) != (ssize_t)sizeof value)
        value = (unsigned)clock_monotonic_ms();
    return value % limit;
}

static int bind_one(struct net_address *local, unsigned port)
{
    int fd = socket(local->u.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return error_from_errno(errno);
    net_set_port(local, port);
    if (bind(fd, &local->u.any, net_length(local)) == 0)
        return fd;
    if (errno == EADDRNOTAVAIL) { /* an address of the NAT before us: listen on all of ours */
        if (local->u.any.sa_family == AF_INET6)
            local->u.v6.sin6_addr = in6addr_any;
        else
            local->u.v4.sin_addr.s_addr = INADDR_ANY;
        if (bind(fd, &local->u.any, net_length(local)) == 0)
            return fd;
    }
    close(fd);
    return errno == EADDRINUSE || errno == EACCES ? ERROR_BUSY : ERROR_IO;
}

int channel_socket(const struct net_address *local, unsigned least, unsigned most,
                   unsigned *out_port)
{
    unsigned first = (least + 1) & ~1u;
    unsigned count = (most - first) / 2 + 1;
    unsigned start = random_below(count);

    for (unsigned i = 0; i < count; i++) {
        unsigned port = first + (start + i) % count * 2;
        struct net_address address = *local;
        int fd = bind_one(&address, port);

        if (fd >= 0)
            *out_port = port;
        if (fd != ERROR_BUSY)
            return fd;
    }
    return ERROR_FULL;
}

void channel_send(struct channel *channel, const uint8_t *packet, size_t length)
{
    const struct net_address *peer = &channel->latch.peer;

    if (!channel->latch.is_latched && !atomic_load(&channel->is_acknowledged))
        return;
    if (!latch_can_send(&channel->latch))
        return;
    /* A full socket or an unreachable peer loses a packet, as the network does. */
    if (sendto(channel->fd, packet, length, MSG_DONTWAIT, &peer->u.any, net_length(peer)) >= 0)
        channel->packets_out++;
}

/* ---- life --------------------------------------------------------------------------------------
 */

static void calls_add(struct channel_shared *shared, int change)
{
    int calls;

    pthread_mutex_lock(&shared->lock);
    calls = shared->calls += change;
    pthread_cond_broadcast(&shared->calls_changed);
    pthread_mutex_unlock(&shared->lock);
    if (shared->hooks.calls_changed != NULL)
        shared->hooks.calls_changed(shared->hooks.user, calls);
}

int channel_new(struct channel **out, struct channel_shared *shared,
                const struct receive_settings *settings, const struct line_settings *line,
                const struct net_address *local)
{
    struct channel *channel = calloc(1, sizeof *channel);
    int fd;

    if (channel == NULL)
        return ERROR_MEMORY;
    fd = channel_socket(local, line->port_least, line->port_most, &channel->port);
    if (fd < 0) {
        free(channel);
        return fd;
    }
    atomic_init(&channel->references, 2);
    atomic_init(&channel->is_acknowledged, false);
    channel->fd = fd;
    channel->shared = shared;
    channel->ecm = line->ecm;
    channel->trace = line->trace;
    channel->pages_max = settings->pages_max;
    channel->rows_max = settings->rows_max;
    channel->session_ms_max = settings->session_ms_max;
    channel->stall_ms_max = settings->stall_ms_max;
    channel->free_bytes_min = settings->free_bytes_min;
    channel->info.started_ms = clock_wall_ms();
    fax_id_new(channel->info.fax_id, channel->info.started_ms);
    text_copy(channel->fax_id, sizeof channel->fax_id, channel->info.fax_id);
    text_copy(channel->info.line, sizeof channel->info.line, line->name);
    text_copy(channel->info.own_station, sizeof channel->info.own_station, line->station);
    calls_add(shared, 1);
    *out = channel;
    return 0;
}

void channel_ref(struct channel *channel)
{
    atomic_fetch_add(&channel->references, 1);
}

void channel_unref(struct channel *channel)
{
    struct channel_shared *shared;

    if (channel == NULL || atomic_fetch_sub(&channel->references, 1) != 1)
        return;
    shared = channel->shared;
    session_free(channel->session);
    incoming_close(channel->incoming);
    udptl_free(channel->udptl);
    rtp_free(channel->rtp);
    close(channel->fd);
    free(channel);
    calls_add(shared, -1);
}

/* ---- the session's hooks: on the thread that owns the session ----------------------------------
 */

static void hook_send_ifp(void *user, const uint8_t *ifp, size_t length, int copies)
{
    struct channel *channel = user;
    uint8_t packet[UDPTL_PACKET_MAX];
    int size;

    if (channel->udptl == NULL)
        return;
    for (int i = 0; i < copies; i++) {
        size = udptl_send(channel->udptl, ifp, length, packet, sizeof packet);
        if (size > 0)
            channel_send(channel, packet, (size_t)size);
    }
}

static void hook_ask_t38(void *user)
{
    struct channel *channel = user;

    line_sip_post(channel->shared->lines, LINE_ASK_T38, channel, 0);
}

static void hook_trace(void *user, const char *line)
{
    struct channel *channel = user;

    log_info("t30 fax=%s call=%s trace=%s", channel->fax_id, LOG_ESCAPED(channel->call_ref),
             LOG_ESCAPED(line));
}

int channel_session_new(struct channel *channel)
{
    struct session_settings settings = {
        .media = channel->plan.kind == SDP_T38 ? SESSION_T38 : SESSION_AUDIO,
        .station = channel->info.own_station,
        .ecm = channel->ecm,
        .pages_max = channel->pages_max,
        .rows_max = channel->rows_max,
        .session_ms_max = channel->session_ms_max,
        .stall_ms_max = channel->stall_ms_max,
        .t38_version = channel->plan.t38_version,
        .t38_max_datagram = channel->plan.datagram_max,
        .t38_transferred_tcf = channel->plan.transferred_tcf,
    };
    struct session_hooks hooks = {
        .user = channel,
        .send_ifp = hook_send_ifp,
        .ask_t38 = hook_ask_t38,
        .trace = channel->trace ? hook_trace : NULL,
    };

    return session_new(&channel->session, &settings, &hooks);
}
