/* SPDX-License-Identifier: MIT */
/*
 * channel_tick.c - one channel on its media thread: receive, step, send, report, end.
 */
#include "fax/sip/channel_tick.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "fax/sip/channel.h"
#include "fax/sip/line_sip.h"
#include "fax/sip/media_thread.h"

enum {
    BATCH = 8,           /* packets per system call */
    BATCHES_MOST = 8,    /* per tick: who sends more loses packets, not the other calls */
    RTP_DELAY_TICKS = 3, /* kept back to mend the order */
    UDPTL_ENTRIES = 3,   /* earlier packets repeated in each */
    REDIRECTS_LOGGED = 20,
    RTP_STRAYS_MS = 5000, /* how long audio may dribble in after a switch to T.38 */
    STRANGERS_MOST = 50,  /* packets; then the kernel keeps them away */
};

struct packets {
    uint8_t octets[BATCH][UDPTL_PACKET_MAX + 1];
    struct sockaddr_storage sources[BATCH];
    struct iovec places[BATCH];
    struct mmsghdr headers[BATCH];
};

struct packets *packets_new(void)
{
    struct packets *packets = calloc(1, sizeof *packets);

    if (packets == NULL)
        return NULL;
    for (int i = 0; i < BATCH; i++) {
        packets->places[i] = (struct iovec){packets->octets[i], sizeof packets->octets[i]};
        packets->headers[i].msg_hdr.msg_iov = &packets->places[i];
        packets->headers[i].msg_hdr.msg_iovlen = 1;
        packets->headers[i].msg_hdr.msg_name = &packets->sources[i];
    }
    return packets;
}

void packets_free(struct packets *packets)
{
    free(packets);
}

/* ---- packets in --------------------------------------------------------------------------------
 */

static void no_ifp(void *user, const uint8_t *ifp, size_t length, uint16_t seq)
{
    (void)user, (void)ifp, (void)length, (void)seq;
}

static void take_ifp(void *user, const uint8_t *ifp, size_t length, uint16_t seq)
{
    session_post_ifp(((struct call *)user)->session, ifp, length, seq);
}

/* RTP that was still on its way when the call went over to T.38: as UDPTL it would read as sequence
 * number 32768 and something, and make the real packets look old. */
static bool is_stray_rtp(const struct channel *channel, const uint8_t *packet, size_t length,
                         int64_t now_ms)
{
    return channel->switched_ms != 0 && now_ms - channel->switched_ms < RTP_STRAYS_MS &&
           length > 12 && (packet[0] & 0xc0) == 0x80 &&
           ((packet[1] & 0x7f) <= 8 || (packet[1] & 0x7f) == 13 || (packet[1] & 0x7f) >= 96);
}

static bool is_plausible(const struct media_thread *thread, const struct channel *channel,
                         const uint8_t *packet, size_t length)
{
    if (channel->plan.kind == SDP_T38)
        return udptl_receive(thread->scratch, packet, length, no_ifp, NULL) >= 0;
    return rtp_is_plausible(channel->rtp, packet, length);
}

static void latch_on(struct channel *channel, const struct net_address *source)
{
    char from[NET_TEXT_MAX];
    char offered[NET_TEXT_MAX];

    latch_to(&channel->latch, source);
    if (!net_equal(source, &channel->latch.offered))
        log_info("latched fax=%s call=%s media=%s offered=%s", channel->call.fax_id,
                 LOG_ESCAPED(channel->call.call_ref), net_text(from, source),
                 net_text(offered, &channel->latch.offered));
}

/* Strangers who send without a pause fill the socket, and the peer's packets find no room. A
 * connected socket takes those of the peer alone. */
static void shut_out(struct channel *channel)
{
    const struct net_address *peer = &channel->latch.peer;
    char text[NET_TEXT_MAX];

    if (channel->is_shut || !channel->latch.is_latched ||
        channel->strangers - channel->strangers_before < STRANGERS_MOST)
        return;
    channel->is_shut = true; /* tried once */
    if (connect(channel->fd, &peer->u.any, net_length(peer)) != 0)
        return;
    log_warning("flood: packets of strangers come to the media port fax=%s call=%s port=%u: it is "
                "open to peer=%s alone now",
                channel->call.fax_id, LOG_ESCAPED(channel->call.call_ref), channel->port,
                net_text(text, peer));
}

/* The latch begins anew: the peer may come from elsewhere now. */
static void let_in(struct channel *channel)
{
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};

    channel->strangers_before = channel->strangers;
    if (!channel->is_shut)
        return;
    channel->is_shut = false;
    (void)connect(channel->fd, &nobody, sizeof nobody);
}

static int64_t refill(int64_t left, int64_t per_second, int64_t passed_ms)
{
    int64_t full = per_second * 1000;

    left += passed_ms * per_second;
    return left > full ? full : left;
}

/* A second's worth may come at once: so much may have waited while this machine stood still. */
static bool is_surplus(struct channel *channel, size_t length, int64_t now_ms)
{
    struct allowance *allowance = &channel->allowance;
    int64_t passed_ms = allowance->at_ms == 0 ? 1000 : now_ms - allowance->at_ms;
    int64_t octets = (int64_t)length * 1000;

    if (passed_ms > 1000)
        passed_ms = 1000;
    allowance->at_ms = now_ms;
    allowance->packets = refill(allowance->packets, channel->packets_max, passed_ms);
    allowance->octets = refill(allowance->octets, channel->octets_max, passed_ms);
    if (allowance->packets >= 1000 && allowance->octets >= octets) {
        allowance->packets -= 1000;
        allowance->octets -= octets;
        return false;
    }
    if (channel->surplus++ == 0)
        log_warning("media dropped fax=%s call=%s: the caller sends more than %d packets or %lld "
                    "octets a second ([limits] media_packets, media_bytes)",
                    channel->call.fax_id, LOG_ESCAPED(channel->call.call_ref), channel->packets_max,
                    (long long)channel->octets_max);
    return true;
}

static void take_packet(struct media_thread *thread, struct channel *channel,
                        const struct sockaddr_storage *from, const uint8_t *packet, size_t length,
                        int64_t now_ms)
{
    struct net_address source;
    enum latch_verdict verdict = LATCH_DROP;

    if (net_from_sockaddr(&source, (const struct sockaddr *)from) == 0)
        verdict = latch_judge(&channel->latch, &source, now_ms);
    if (channel->plan.kind == SDP_T38 && is_stray_rtp(channel, packet, length, now_ms))
        return;
    if (verdict == LATCH_FIRST && is_plausible(thread, channel, packet, length)) {
        latch_on(channel, &source);
        verdict = LATCH_TAKE;
    }
    if (verdict != LATCH_TAKE) {
        channel->strangers++;
        return;
    }
    if (is_surplus(channel, length, now_ms))
        return;
    channel->packets_in++;
    channel->packet_ms = now_ms;
    /* What is malformed was counted there; the network may send anything. */
    if (channel->plan.kind == SDP_T38)
        (void)udptl_receive(channel->udptl, packet, length, take_ifp, &channel->call);
    else
        (void)rtp_receive(channel->rtp, packet, length);
}

static void receive_packets(struct media_thread *thread, struct channel *channel, int64_t now_ms)
{
    struct packets *packets = thread->packets;
    int count = BATCH;

    for (int batch = 0; batch < BATCHES_MOST && count == BATCH; batch++) {
        for (int i = 0; i < BATCH; i++)
            packets->headers[i].msg_hdr.msg_namelen = sizeof packets->sources[i];
        count = recvmmsg(channel->fd, packets->headers, BATCH, MSG_DONTWAIT, NULL);
        if (count < 0 && errno == ECONNREFUSED) {
            count = BATCH; /* it was about a packet of ours: there may be others behind it */
            continue;
        }
        for (int i = 0; i < count; i++) {
            size_t length = packets->headers[i].msg_len;

            if (length > 0 && length <= UDPTL_PACKET_MAX)
                take_packet(thread, channel, &packets->sources[i], packets->octets[i], length,
                            now_ms);
        }
    }
    shut_out(channel);
}

/* ---- audio -------------------------------------------------------------------------------------
 */

static void audio_in(struct channel *channel)
{
    int16_t samples[SESSION_TICK_SAMPLES];

    for (int due = rtp_due(channel->rtp); due > 0; due--)
        if (rtp_pull(channel->rtp, samples) == SESSION_TICK_SAMPLES)
            session_post_audio(channel->call.session, samples, SESSION_TICK_SAMPLES);
        else
            session_post_missing(channel->call.session, samples, SESSION_TICK_SAMPLES);
}

static void audio_out(struct channel *channel, const int16_t samples[SESSION_TICK_SAMPLES])
{
    uint8_t packet[RTP_PACKET_MAX];
    int size = rtp_make(channel->rtp, samples, packet, sizeof packet);

    if (size > 0)
        channel_send(channel, packet, (size_t)size);
}

/* ---- the end -----------------------------------------------------------------------------------
 */

static void channel_over(struct media_thread *thread, struct channel *channel)
{
    media_thread_leave(thread, channel);
    line_sip_post(channel->call.shared->lines, LINE_ENDED, channel, 0);
    call_over(&channel->call);
}

/* A caller that vanished without a word, and a session that does not end. True: it is over. */
static bool watch(struct channel *channel, int64_t now_ms)
{
    if (now_ms - channel->packet_ms > channel->call.limits.stall_ms_max)
        call_hang_up(&channel->call, "no media came any more", now_ms);
    return call_is_stuck(&channel->call, now_ms);
}

/* ---- change of media ---------------------------------------------------------------------------
 */

static void log_media(const struct channel *channel, const char *what)
{
    char remote[NET_TEXT_MAX];

    log_info("%s fax=%s call=%s kind=%s remote=%s port=%u", what, channel->call.fax_id,
             LOG_ESCAPED(channel->call.call_ref), channel->plan.kind == SDP_T38 ? "t38" : "audio",
             net_text(remote, &channel->plan.remote), channel->port);
}

/* The address did not change: what was learnt of it stays true, also when the medium changed. */
static void latch_again(struct channel *channel, const struct net_address *remote, int64_t now_ms)
{
    int unheard = channel->latch.is_latched ? 0 : channel->latch.unheard;

    if (net_equal(remote, &channel->latch.offered))
        return;
    latch_begin(&channel->latch, remote, now_ms);
    let_in(channel);
    channel->latch.unheard = unheard;
}

static int udptl_begin(struct channel *channel, const struct media_plan *plan)
{
    struct udptl *udptl = udptl_new(plan->correction, UDPTL_ENTRIES, plan->datagram_max);

    if (udptl == NULL)
        return ERROR_MEMORY;
    channel->udptl = udptl;
    return 0;
}

static int switch_t38(struct channel *channel, const struct media_plan *plan, int64_t now_ms)
{
    struct session_settings settings = {
        .media = SESSION_T38,
        .t38_version = plan->t38_version,
        .t38_max_datagram = plan->datagram_max,
        .t38_transferred_tcf = plan->transferred_tcf,
    };
    int rc;

    if (channel->plan.kind == SDP_T38)
        return ERROR_STATE;
    rc = udptl_begin(channel, plan);
    if (rc != 0)
        return rc;
    /* The core may send at once: from here on by UDPTL and to the new address. */
    channel->plan = *plan;
    channel->switched_ms = now_ms;
    latch_again(channel, &plan->remote, now_ms);
    latch_renew(&channel->latch); /* once a call */
    return session_switch_t38(channel->call.session, &settings);
}

/* The same medium from another address, or by the other law. */
static void redirect(struct channel *channel, const struct media_plan *plan, int64_t now_ms)
{
    bool has_moved = !net_equal(&plan->remote, &channel->plan.remote);
    bool has_other_law = plan->kind == SDP_AUDIO && plan->law != channel->plan.law;
    struct rtp *rtp;

    if (plan->kind != channel->plan.kind || (!has_moved && !has_other_law))
        return;
    if (has_other_law) {
        rtp = rtp_new(plan->law, RTP_DELAY_TICKS);
        if (rtp == NULL)
            return;
        rtp_free(channel->rtp);
        channel->rtp = rtp;
    }
    channel->plan.law = plan->law;
    channel->plan.remote = plan->remote;
    latch_again(channel, &plan->remote, now_ms);
    if (channel->redirects++ < REDIRECTS_LOGGED)
        log_media(channel, "redirected");
}

/* Between runs of the session, when it is here. */
static void apply_changes(struct channel *channel, int64_t now_ms)
{
    struct media_plan before = channel->plan;
    struct latch latch_before = channel->latch;
    int rc;

    if (channel->switch_waits) {
        channel->switch_waits = false;
        rc = switch_t38(channel, &channel->next_plan, now_ms);
        if (rc == 0) {
            log_media(channel, "switched");
            return;
        }
        if (before.kind == SDP_AUDIO) {
            udptl_free(channel->udptl);
            channel->udptl = NULL;
            channel->plan = before;
            channel->latch = latch_before;
        }
        log_warning("switch to T.38 failed fax=%s call=%s: %s", channel->call.fax_id,
                    LOG_ESCAPED(channel->call.call_ref), error_text(rc));
        line_sip_post(channel->call.shared->lines, LINE_SWITCH_FAILED, channel, rc);
    }
    if (channel->redirect_waits) {
        channel->redirect_waits = false;
        redirect(channel, &channel->next_plan, now_ms);
    }
}

void channel_want_switch(struct media_thread *thread, struct channel *channel,
                         const struct media_plan *plan)
{
    (void)thread;
    channel->next_plan = *plan;
    channel->switch_waits = true;
    channel->redirect_waits = false;
}

void channel_want_redirect(struct channel *channel, const struct media_plan *plan)
{
    if (channel->switch_waits && plan->kind != channel->next_plan.kind)
        return;
    channel->next_plan = *plan;
    channel->redirect_waits = !channel->switch_waits;
}

/* ---- beginning and tick ------------------------------------------------------------------------
 */

void channel_begin(struct media_thread *thread, struct channel *channel, int64_t now_ms)
{
    int rc = 0;

    channel->packet_ms = now_ms;
    call_begin(&channel->call, now_ms);
    latch_begin(&channel->latch, &channel->plan.remote, now_ms);
    if (channel->plan.kind == SDP_T38) {
        rc = udptl_begin(channel, &channel->plan);
    } else {
        channel->rtp = rtp_new(channel->plan.law, RTP_DELAY_TICKS);
        rc = channel->rtp == NULL ? ERROR_MEMORY : 0;
    }
    log_media(channel, "media");
    if (rc != 0) {
        log_error("call given up fax=%s: %s", channel->call.fax_id, error_text(rc));
        channel_over(thread, channel);
    }
}

void channel_tick(struct media_thread *thread, struct channel *channel, int64_t now_ms)
{
    int16_t audio[SESSION_TICK_SAMPLES] = {0};
    bool is_audio = channel->plan.kind == SDP_AUDIO;
    enum session_need need;

    if (is_audio || !channel->call.is_away)
        receive_packets(thread, channel, now_ms);
    if (is_audio)
        audio_in(channel);
    if (channel->call.is_away) {
        if (is_audio)
            audio_out(channel, audio); /* silence: the stream must not break */
        return;
    }
    if (channel->switch_waits || channel->redirect_waits) {
        apply_changes(channel, now_ms);
        is_audio = channel->plan.kind == SDP_AUDIO;
    }
    need = session_run(channel->call.session, now_ms, audio);
    if (is_audio)
        audio_out(channel, audio);
    if (need == SESSION_NEEDS_WORKER) {
        call_go_away(&channel->call);
    } else if (need == SESSION_ENDED || watch(channel, now_ms)) {
        channel_over(thread, channel);
    } else {
        call_report(&channel->call, now_ms);
    }
}
