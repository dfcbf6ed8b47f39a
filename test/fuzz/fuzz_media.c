/* SPDX-License-Identifier: MIT */
/*
 * fuzz_media.c - packets at a call's media port, from the caller and from strangers, tick by tick:
 * latch, allowance, RTP and UDPTL, switches and redirects, with a living session behind. Its
 * network is pretended: no packet leaves. The first octet says how the call begins; then come
 * orders (enum order). Body for libFuzzer and for replay.
 */
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "fax/sip/channel.h"
#include "fax/sip/channel_tick.h"
#include "fax/sip/line_sip.h"
#include "fax/sip/media_thread.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum order {
    PACKETS = 0xa0, /* below: from one of five sources; bits 0 and 1: as RTP, as UDPTL, or raw */
    TICKS = 0xc0,   /* below: 1 to 32 */
    ACKNOWLEDGED = TICKS,
    REDIRECT,
    SWITCH,
    HANG_UP,
    FLOOD, /* a hundred packets of a stranger */
};

enum { WAITING_MAX = 128, STALL_MS = 4000, ENDS_MS = 60000, SOURCES = 5 };

static const char *const hosts[SOURCES] = {"198.51.100.7", "198.51.100.7", "203.0.113.9",
                                           "192.168.7.7", "2001:db8::7"};
static const unsigned ports[SOURCES] = {30000, 31000, 30000, 4000, 30000};

static void promise(bool kept, const char *what)
{
    if (kept)
        return;
    fprintf(stderr, "promise broken: %s\n", what);
    abort();
}

/* ---- the network --------------------------------------------------------------------------------
 */

static struct {
    uint8_t octets[WAITING_MAX][256];
    size_t length[WAITING_MAX];
    int source[WAITING_MAX];
    int first, count;
} waiting;
static bool is_known[SOURCES]; /* said in a description, or heard from */
static int sent;

static struct net_address address_of(int source)
{
    struct net_address address;

    promise(net_parse(&address, hosts[source], ports[source]) == 0, "an address can be read");
    return address;
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned most, int flags, struct timespec *timeout)
{
    unsigned count = 0;

    (void)fd, (void)flags, (void)timeout;
    for (; count < most && waiting.count > 0; count++) {
        int i = waiting.first++ % WAITING_MAX;
        struct net_address source = address_of(waiting.source[i]);
        struct msghdr *message = &messages[count].msg_hdr;

        waiting.count--;
        promise(waiting.length[i] <= message->msg_iov[0].iov_len, "there is room for a packet");
        memcpy(message->msg_iov[0].iov_base, waiting.octets[i], waiting.length[i]);
        memcpy(message->msg_name, &source.u.any, net_length(&source));
        message->msg_namelen = net_length(&source);
        messages[count].msg_len = (unsigned)waiting.length[i];
        is_known[waiting.source[i]] = true;
    }
    return (int)count;
}

ssize_t sendto(int fd, const void *packet, size_t length, int flags, __CONST_SOCKADDR_ARG to,
               socklen_t to_length)
{
    struct net_address peer;
    bool known = false;

    (void)fd, (void)packet, (void)flags, (void)to_length;
    promise(net_from_sockaddr(&peer, to.__sockaddr__) == 0, "a packet goes to an address");
    for (int i = 0; i < SOURCES; i++) {
        struct net_address address = address_of(i);

        known = known || (is_known[i] && net_equal(&peer, &address));
    }
    promise(known, "packets go only to whom the caller named or who spoke");
    sent++;
    return (ssize_t)length;
}

/* ---- the other threads --------------------------------------------------------------------------
 */

static struct call_shared shared = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                    .calls_changed = PTHREAD_COND_INITIALIZER,
                                    .state_dir = "/nowhere"};
static bool work_waits, info_waits, finish_waits, is_over;

void workers_submit(struct workers *workers, struct worker_job *job, enum worker_kind kind,
                    struct call *call)
{
    (void)workers, (void)job, (void)call;
    promise(!finish_waits, "nothing comes after the last work");
    work_waits = work_waits || kind == WORKER_WORK;
    info_waits = info_waits || kind == WORKER_INFO;
    finish_waits = finish_waits || kind == WORKER_FINISH;
}

bool workers_are_idle(struct workers *workers)
{
    (void)workers;
    return true;
}

void line_sip_post(struct line_sip *lines, enum line_event event, struct channel *channel,
                   int error)
{
    (void)lines, (void)event, (void)channel, (void)error;
}

void media_thread_leave(struct media_thread *thread, struct channel *channel)
{
    (void)thread, (void)channel;
    promise(!is_over, "a channel leaves once");
    is_over = true;
}

void media_worked(struct call *call, int stores)
{
    call_worked(call, stores);
}

void media_stored(struct call *call, uint32_t generation, int number, bool unconfirmed, int error)
{
    call_stored(call, generation, number, unconfirmed, error);
}

void media_info_written(struct call *call)
{
    call_info_written(call);
}

static void work(struct call *call)
{
    struct session_page pages[8];
    int count = 0;

    session_work(call->session);
    while (count < 8 && session_take_page(call->session, &pages[count]))
        count++;
    media_worked(call, count);
    for (int i = 0; i < count; i++) {
        free(pages[i].tiff);
        media_stored(call, pages[i].generation, pages[i].number, pages[i].unconfirmed, 0);
    }
}

/* ---- the call -----------------------------------------------------------------------------------
 */

struct stage {
    struct media_thread thread;
    struct channel *channel;
    int64_t now_ms;
    uint16_t seq;
    bool finished;
};

static void tick(struct stage *stage)
{
    struct call *call = &stage->channel->call;

    stage->now_ms += SESSION_TICK_MS;
    if (!is_over)
        channel_tick(&stage->thread, stage->channel, stage->now_ms);
    if (work_waits) {
        work_waits = false;
        work(call);
    }
    if (info_waits) {
        info_waits = false;
        media_info_written(call);
    }
    if (finish_waits && !stage->finished) {
        stage->finished = true;
        call_unref(call); /* the chain's; ours is left */
    }
}

/* A packet with a head that continues the stream, or without one. */
static void put_packet(struct stage *stage, unsigned order, const uint8_t *octets, size_t length)
{
    enum { RTP = 1, UDPTL = 2, RTP_HEAD = 12, UDPTL_HEAD = 3, UDPTL_TAIL = 2, OCTETS = 160 };
    int i = (waiting.first + waiting.count) % WAITING_MAX;
    uint8_t *packet = waiting.octets[i];

    if (waiting.count == WAITING_MAX)
        return;
    if (length > OCTETS)
        length = OCTETS;
    memset(packet, 0, sizeof waiting.octets[i]);
    if ((order & 3) == RTP) {
        uint32_t stamp = stage->seq * OCTETS;

        packet[0] = 0x80;
        packet[1] = (uint8_t)stage->channel->plan.law;
        packet[2] = (uint8_t)(stage->seq >> 8);
        packet[3] = (uint8_t)stage->seq++;
        packet[5] = (uint8_t)(stamp >> 16);
        packet[6] = (uint8_t)(stamp >> 8);
        packet[7] = (uint8_t)stamp;
        memcpy(packet + RTP_HEAD, octets, length);
        waiting.length[i] = RTP_HEAD + OCTETS;
    } else if ((order & 3) == UDPTL) {
        packet[0] = (uint8_t)(stage->seq >> 8);
        packet[1] = (uint8_t)stage->seq++;
        packet[2] = (uint8_t)(length & 0x7f);
        memcpy(packet + UDPTL_HEAD, octets, length & 0x7f);
        waiting.length[i] = UDPTL_HEAD + (length & 0x7f) + UDPTL_TAIL;
    } else {
        memcpy(packet, octets, length);
        waiting.length[i] = length;
    }
    waiting.source[i] = (int)(order / 32) % SOURCES;
    waiting.count++;
}

static struct media_plan plan_of(uint8_t choice)
{
    struct media_plan plan = {
        .kind = (choice & 1) != 0 ? SDP_T38 : SDP_AUDIO,
        .remote = address_of(choice / 2 % SOURCES),
        .law = (choice & 0x10) != 0 ? RTP_PCMU : RTP_PCMA,
        .correction = (enum udptl_correction)(choice / 32 % 3),
        .datagram_max = (choice & 0x80) != 0 ? 100 : 0,
        .transferred_tcf = true,
    };

    is_known[choice / 2 % SOURCES] = true;
    return plan;
}

static void change(struct stage *stage, bool to_t38, uint8_t choice)
{
    struct media_plan plan = plan_of(choice);

    if (to_t38) {
        plan.kind = SDP_T38;
        channel_want_switch(&stage->thread, stage->channel, &plan);
    } else {
        channel_want_redirect(stage->channel, &plan);
    }
}

static bool begin(struct stage *stage, uint8_t choice)
{
    struct receive_settings settings = {
        .limits = {.pages_max = 4,
                   .rows_max = 2000,
                   .session_ms_max = 600000,
                   .stall_ms_max = STALL_MS},
        .media_packets_max = 300,
        .media_octets_max = 64000,
    };
    struct line_settings line = {.port_least = 40000, .port_most = 49999, .ecm = true};
    struct net_address local;

    promise(session_library_init() == 0 && net_parse(&local, "127.0.0.1", 0) == 0, "it can begin");
    memset(&waiting, 0, sizeof waiting);
    memset(is_known, 0, sizeof is_known);
    work_waits = info_waits = finish_waits = is_over = false;
    if (channel_new(&stage->channel, &shared, &settings, &line, &local) != 0)
        return false;
    stage->channel->plan = plan_of(choice);
    stage->thread.packets = packets_new();
    stage->thread.scratch = udptl_new(UDPTL_NONE, 0, 0);
    promise(stage->thread.packets != NULL && stage->thread.scratch != NULL &&
                stage->channel->call.driver->session_new(&stage->channel->call) == 0,
            "there is memory");
    channel_begin(&stage->thread, stage->channel, stage->now_ms);
    return true;
}

static size_t obey(struct stage *stage, const uint8_t *data, size_t size)
{
    uint8_t order = data[0];
    size_t length = size > 1 ? data[1] : 0;

    if (order < PACKETS) {
        size_t left = size > 2 ? size - 2 : 0;

        if (length > left)
            length = left;
        put_packet(stage, order, data + 2, length);
        return 2 + length;
    }
    if (order < TICKS) {
        for (int i = PACKETS; i <= order; i++)
            tick(stage);
    } else if (order == ACKNOWLEDGED) {
        atomic_store(&stage->channel->is_acknowledged, true);
    } else if (order == REDIRECT || order == SWITCH) {
        change(stage, order == SWITCH, (uint8_t)length);
        return 2;
    } else if (order == HANG_UP) {
        call_hang_up(&stage->channel->call, NULL, stage->now_ms);
    } else if (order == FLOOD) {
        for (int i = 0; i < 100; i++)
            put_packet(stage, 2 * 32 + (unsigned)i % 3, data, size < 20 ? size : 20);
    }
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stage stage = {.now_ms = 1000};

    if (size < 2)
        return 0;
    log_open("fuzz", LOG_LEVEL_ALERT);
    if (!begin(&stage, data[0]))
        return 0;
    for (size_t at = 1; at < size && !is_over;)
        at += obey(&stage, data + at, size - at);
    for (int ms = 0; ms < ENDS_MS && !stage.finished; ms += SESSION_TICK_MS)
        tick(&stage);
    promise(is_over && stage.finished, "the call ends");
    call_unref(&stage.channel->call);
    packets_free(stage.thread.packets);
    udptl_free(stage.thread.scratch);
    promise(shared.calls == 0, "a call that ended is freed");
    return 0;
}
