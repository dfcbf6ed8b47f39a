/* SPDX-License-Identifier: MIT */
/*
 * channel.c - making and freeing of a call's parts, its socket, and the session's hooks.
 */
#include "fax/sip/channel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "fax/sip/line_sip.h"

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
    /* A full socket or an unreachable peer loses a packet, as the network does. But an error of an
     * earlier packet, which a connected socket tells of, is no reason to lose this one. */
    for (int tries = 0; tries < 2; tries++) {
        if (sendto(channel->fd, packet, length, MSG_DONTWAIT, &peer->u.any, net_length(peer)) >=
            0) {
            channel->packets_out++;
            return;
        }
        if (errno != ECONNREFUSED)
            return;
    }
}

/* ---- life --------------------------------------------------------------------------------------
 */

static const struct call_driver driver;

int channel_new(struct channel **out, struct call_shared *shared,
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
    atomic_init(&channel->is_acknowledged, false);
    channel->fd = fd;
    channel->packets_max = settings->media_packets_max;
    channel->octets_max = settings->media_octets_max;
    call_init(&channel->call, &driver, shared, &settings->limits,
              &(struct call_line){line->name, line->station, line->ecm, line->trace}, 2);
    *out = channel;
    return 0;
}

static void channel_free(struct call *call)
{
    struct channel *channel = (struct channel *)call;

    udptl_free(channel->udptl);
    rtp_free(channel->rtp);
    close(channel->fd);
    free(channel);
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

    line_sip_post(channel->call.shared->lines, LINE_ASK_T38, channel, 0);
}

static int channel_session_new(struct call *call)
{
    struct channel *channel = (struct channel *)call;
    struct session_settings settings = call_session_settings(call);
    struct session_hooks hooks = call_session_hooks(call);

    settings.media = channel->plan.kind == SDP_T38 ? SESSION_T38 : SESSION_AUDIO;
    settings.t38_version = channel->plan.t38_version;
    settings.t38_max_datagram = channel->plan.datagram_max;
    settings.t38_transferred_tcf = channel->plan.transferred_tcf;
    hooks.send_ifp = hook_send_ifp;
    hooks.ask_t38 = hook_ask_t38;
    return session_new(&call->session, &settings, &hooks);
}

/* ---- what workers say --------------------------------------------------------------------------
 */

static void channel_opened(struct call *call, int error)
{
    line_sip_post(call->shared->lines, LINE_OPENED, (struct channel *)call, error);
}

static void channel_end_text(const struct call *call, char *out, size_t size)
{
    const struct channel *channel = (const struct channel *)call;

    snprintf(out, size, " packets_in=%llu packets_out=%llu strangers=%llu surplus=%llu",
             (unsigned long long)channel->packets_in, (unsigned long long)channel->packets_out,
             (unsigned long long)channel->strangers, (unsigned long long)channel->surplus);
}

static const struct call_driver driver = {
    .session_new = channel_session_new,
    .opened = channel_opened,
    .worked = media_worked,
    .stored = media_stored,
    .info_written = media_info_written,
    .end_text = channel_end_text,
    .free = channel_free,
};
