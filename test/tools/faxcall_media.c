/* SPDX-License-Identifier: MIT */
/*
 * faxcall_media.c - media threads: every 20 ms each call reads its sockets, lets its fax machine
 * run for 20 ms and sends what came of it, over a wire that loses, doubles, reorders and delays.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "test/tools/faxcall.h"

enum { RTP_DELAY_TICKS = 4, CATCH_UP_TICKS_MAX = 50 };

/* ---- one call ------------------------------------------------------------------------------- */

struct media {
    struct media_pool *pool;
    struct media_thread *thread;
    const struct options *options;
    void *call;
    int fd[2]; /* by kind */
    unsigned port[2];
    struct sockaddr_storage peer[2];
    bool has_peer[2];
    bool running, dead, done_told; /* dead: aborted, nothing is sent any more */
    enum kind kind;
    struct rtp *rtp;
    struct udptl *udptl;
    struct terminal *terminal; /* one of the two */
    struct script *script;
    struct wire in, out;
    int64_t now_ms;
    struct media *next; /* of those its thread runs */
};

static const struct outcome *outcome_of(const struct media *media)
{
    return media->script != NULL ? script_outcome(media->script)
                                 : terminal_outcome(media->terminal);
}

static void packet_send(void *user, const uint8_t *packet, size_t length)
{
    struct media *media = user;
    const struct sockaddr_storage *peer = &media->peer[media->kind];
    uint8_t damaged[UDPTL_PACKET_MAX];

    if (media->options->mutate_udptl > 0) {
        length = wire_mutate(&media->out, media->options->mutate_udptl, packet, length, damaged,
                             sizeof damaged);
        packet = damaged;
    }

    /* What the kernel does not take is a lost packet. */
    if (media->has_peer[media->kind])
        (void)!sendto(media->fd[media->kind], packet, length, MSG_NOSIGNAL,
                      (const struct sockaddr *)peer, address_size(peer));
}

/* The library asks for indicators three times: the same packet again, as gateways do it. */
static void ifp_send(void *user, const uint8_t *ifp, size_t length, int copies)
{
    struct media *media = user;
    uint8_t packet[UDPTL_PACKET_MAX], damaged[UDPTL_IFP_MAX];
    int packet_length;

    if (media->dead || media->udptl == NULL)
        return;
    if (media->options->mutate_ifp > 0) {
        length = wire_mutate(&media->out, media->options->mutate_ifp, ifp, length, damaged,
                             sizeof damaged);
        ifp = damaged;
    }
    packet_length = udptl_send(media->udptl, ifp, length, packet, sizeof packet);
    for (; packet_length > 0 && copies > 0; copies--)
        wire_put(&media->out, packet, (size_t)packet_length, media->now_ms, packet_send, media);
}

static void ifp_take(void *user, const uint8_t *ifp, size_t length, uint16_t seq)
{
    struct media *media = user;

    if (media->script != NULL)
        script_take_ifp(media->script, ifp, length, seq);
    else
        terminal_take_ifp(media->terminal, ifp, length, seq);
}

static void packet_take(void *user, const uint8_t *packet, size_t length)
{
    struct media *media = user;

    if (media->kind == KIND_AUDIO)
        rtp_receive(media->rtp, packet, length);
    else
        udptl_receive(media->udptl, packet, length, ifp_take, media);
}

/* What stands in the socket of the kind that is not in use is read over. */
static void sockets_read(struct media *media)
{
    for (int kind = KIND_AUDIO; kind <= KIND_T38; kind++) {
        uint8_t packet[2048];
        ssize_t length;

        while ((length = recv(media->fd[kind], packet, sizeof packet, MSG_DONTWAIT)) >= 0)
            if ((int)media->kind == kind)
                wire_put(&media->in, packet, (size_t)length, media->now_ms, packet_take, media);
    }
    wire_release(&media->in, media->now_ms, packet_take, media);
}

static void audio_tick(struct media *media)
{
    int16_t in[RTP_TICK_SAMPLES], out[RTP_TICK_SAMPLES];
    uint8_t packet[RTP_PACKET_MAX];
    int length;

    for (int due = rtp_due(media->rtp); due > 0; due--) {
        rtp_pull(media->rtp, in);
        terminal_hear(media->terminal, in);
    }
    terminal_tick_audio(media->terminal, out);
    length = rtp_make(media->rtp, out, packet, sizeof packet);
    if (length > 0 && !media->dead)
        wire_put(&media->out, packet, (size_t)length, media->now_ms, packet_send, media);
}

/* True when the page to give up at is reached. */
static bool abort_is_due(struct media *media)
{
    const struct options *options = media->options;
    double fraction;
    int page;

    if (media->script != NULL)
        return false;
    if (options->abort_after_page > 0 &&
        terminal_outcome(media->terminal)->pages_confirmed >= options->abort_after_page)
        return true;
    if (options->abort_in_page == 0)
        return false;
    page = terminal_page(media->terminal, &fraction);
    return page > options->abort_in_page || (page == options->abort_in_page && fraction >= 0.66);
}

struct media_pool {
    const struct options *options;
    media_event_handler *handler;
    void *user;
    int count, next_thread;
    struct media_thread *threads;
};

static void media_tell(struct media *media, enum media_event event)
{
    media->pool->handler(media->pool->user, media->call, event);
}

static void media_tick(struct media *media, int64_t now_ms)
{
    media->now_ms = now_ms;
    sockets_read(media);
    if (media->script != NULL)
        script_tick(media->script);
    else if (media->kind == KIND_AUDIO)
        audio_tick(media);
    else
        terminal_tick_t38(media->terminal);
    wire_release(&media->out, now_ms, media->dead ? NULL : packet_send, media);
    if (media->dead)
        return;
    if (abort_is_due(media)) {
        media->dead = true;
        media_tell(media, MEDIA_ABORT);
    } else if (!media->done_told && outcome_of(media)->done) {
        media->done_told = true;
        media_tell(media, MEDIA_DONE);
    }
}

/* ---- messages to a thread ------------------------------------------------------------------- */

struct message {
    struct message *next;
    enum { MESSAGE_RUN, MESSAGE_STOP, MESSAGE_END } what;
    struct media *media;
    enum kind kind;
    struct sockaddr_storage peer;
    enum rtp_law law;
    struct sdp_t38 agreed;
};

struct media_thread {
    pthread_t thread;
    int timer;
    struct media *running; /* this thread's alone */
    pthread_mutex_t lock;
    struct message *first, **last; /* lock */
};

static void message_post(struct media_thread *thread, const struct message *message)
{
    struct message *copy = malloc(sizeof *copy);

    if (copy == NULL)
        abort(); /* a test tool without memory has no result worth having */
    *copy = *message;
    copy->next = NULL;
    pthread_mutex_lock(&thread->lock);
    *thread->last = copy;
    thread->last = &copy->next;
    pthread_mutex_unlock(&thread->lock);
}

/* MESSAGE_RUN: the first one starts the call, a later one may change it to T.38. */
static void media_apply(struct media *media, const struct message *message)
{
    const struct options *options = media->options;
    bool change = media->running && message->kind == KIND_T38 && media->kind == KIND_AUDIO;

    media->peer[message->kind] = message->peer;
    media->has_peer[message->kind] = true;
    if (media->running && !change)
        return;
    if (message->kind == KIND_T38) {
        media->udptl =
            udptl_new(message->agreed.correction, options->entries, message->agreed.max_datagram);
        if (media->udptl == NULL ||
            (media->terminal != NULL &&
             !terminal_switch_t38(media->terminal, message->agreed.version)))
            abort();
    } else {
        media->rtp = rtp_new(message->law, RTP_DELAY_TICKS);
        if (media->rtp == NULL)
            abort();
    }
    if (change) { /* audio that is still on its way is lost */
        wire_clear(&media->in);
        wire_clear(&media->out);
    }
    media->kind = message->kind;
    if (!media->running) {
        media->running = true;
        media->next = media->thread->running;
        media->thread->running = media;
    }
}

static void media_leave(struct media *media)
{
    struct media **place = &media->thread->running;

    while (*place != NULL && *place != media)
        place = &(*place)->next;
    if (*place != NULL)
        *place = media->next;
    media->dead = true;
    if (media->running && media->terminal != NULL)
        terminal_stop(media->terminal);
    media->running = false;
    media_tell(media, MEDIA_STOPPED);
}

/* False: the thread is to end. */
static bool messages_take(struct media_thread *thread)
{
    struct message *first;
    bool goes_on = true;

    pthread_mutex_lock(&thread->lock);
    first = thread->first;
    thread->first = NULL;
    thread->last = &thread->first;
    pthread_mutex_unlock(&thread->lock);
    while (first != NULL) {
        struct message *message = first;

        first = message->next;
        if (message->what == MESSAGE_RUN)
            media_apply(message->media, message);
        else if (message->what == MESSAGE_STOP)
            media_leave(message->media);
        else
            goes_on = false;
        free(message);
    }
    return goes_on;
}

static void *media_thread(void *user)
{
    struct media_thread *thread = user;

    while (messages_take(thread)) {
        uint64_t ticks;

        if (read(thread->timer, &ticks, sizeof ticks) != (ssize_t)sizeof ticks)
            continue; /* EINTR */
        if (ticks > CATCH_UP_TICKS_MAX)
            ticks = CATCH_UP_TICKS_MAX;
        for (; ticks > 0; ticks--) {
            struct media *next;

            for (struct media *media = thread->running; media != NULL; media = next) {
                next = media->next;
                media_tick(media, clock_monotonic_ms());
            }
        }
    }
    return NULL;
}

/* ---- the pool ------------------------------------------------------------------------------- */

static bool thread_start(struct media_thread *thread)
{
    struct itimerspec every = {{0, FAXCALL_TICK_MS * 1000000}, {0, FAXCALL_TICK_MS * 1000000}};

    thread->last = &thread->first;
    pthread_mutex_init(&thread->lock, NULL);
    thread->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    if (thread->timer < 0)
        return false;
    if (timerfd_settime(thread->timer, 0, &every, NULL) == 0 &&
        pthread_create(&thread->thread, NULL, media_thread, thread) == 0)
        return true;
    close(thread->timer);
    return false;
}

struct media_pool *media_pool_new(const struct options *options, int threads,
                                  media_event_handler *handler, void *user)
{
    struct media_pool *pool = calloc(1, sizeof *pool);

    if (pool == NULL || (pool->threads = calloc((size_t)threads, sizeof *pool->threads)) == NULL) {
        free(pool);
        return NULL;
    }
    pool->options = options;
    pool->handler = handler;
    pool->user = user;
    for (; pool->count < threads; pool->count++)
        if (!thread_start(&pool->threads[pool->count])) {
            media_pool_free(pool);
            return NULL;
        }
    return pool;
}

void media_pool_free(struct media_pool *pool)
{
    if (pool == NULL)
        return;
    for (int i = 0; i < pool->count; i++) {
        struct message end = {.what = MESSAGE_END};

        message_post(&pool->threads[i], &end);
        pthread_join(pool->threads[i].thread, NULL);
        pthread_mutex_destroy(&pool->threads[i].lock);
        close(pool->threads[i].timer);
    }
    free(pool->threads);
    free(pool);
}

/* ---- life of a call ------------------------------------------------------------------------- */

static bool socket_open(struct media *media, enum kind kind)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    int room = 262144;

    if (!address_make(&address, media->options->local_ip, 0))
        return false;
    media->fd[kind] = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (media->fd[kind] < 0)
        return false;
    (void)setsockopt(media->fd[kind], SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(media->fd[kind], (struct sockaddr *)&address, address_size(&address)) != 0 ||
        getsockname(media->fd[kind], (struct sockaddr *)&address, &size) != 0)
        return false;
    media->port[kind] =
        ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                            : ((struct sockaddr_in *)&address)->sin_port);
    return true;
}

struct media *media_new(struct media_pool *pool, int number, void *call, const char *file)
{
    struct media *media = calloc(1, sizeof *media);
    uint64_t seed = (uint64_t)pool->options->seed * 1000003 + (uint64_t)number;

    if (media == NULL)
        return NULL;
    media->pool = pool;
    media->options = pool->options;
    media->thread = &pool->threads[pool->next_thread++ % pool->count];
    media->call = call;
    media->kind = pool->options->start;
    media->fd[0] = media->fd[1] = -1;
    wire_init(&media->in, &pool->options->wire, seed * UINT64_C(0x9e3779b97f4a7c15));
    wire_init(&media->out, &pool->options->wire, seed * UINT64_C(0xbf58476d1ce4e5b9));
    /* A call that begins with T.38 is made so by the first media_run(). */
    if (scripts_count() > 0)
        media->script = script_new(number, pool->options->seed, ifp_send, packet_send, media);
    else
        media->terminal = terminal_new(pool->options, KIND_AUDIO, file, ifp_send, media);
    if ((media->terminal == NULL && media->script == NULL) || !socket_open(media, KIND_AUDIO) ||
        !socket_open(media, KIND_T38)) {
        media_free(media);
        return NULL;
    }
    return media;
}

unsigned media_port(const struct media *media, enum kind kind)
{
    return media->port[kind];
}

void media_run(struct media *media, enum kind kind, const char *address, unsigned port,
               enum rtp_law law, const struct sdp_t38 *agreed)
{
    struct message message = {.what = MESSAGE_RUN, .media = media, .kind = kind, .law = law};

    if (agreed != NULL)
        message.agreed = *agreed;
    if (address_make(&message.peer, address, port))
        message_post(media->thread, &message);
}

void media_stop(struct media *media)
{
    struct message message = {.what = MESSAGE_STOP, .media = media};

    message_post(media->thread, &message);
}

const struct outcome *media_outcome(const struct media *media, enum kind *kind)
{
    *kind = media->kind;
    return outcome_of(media);
}

void media_free(struct media *media)
{
    if (media == NULL)
        return;
    for (int kind = KIND_AUDIO; kind <= KIND_T38; kind++)
        if (media->fd[kind] >= 0)
            close(media->fd[kind]);
    wire_clear(&media->in);
    wire_clear(&media->out);
    terminal_free(media->terminal);
    script_free(media->script);
    udptl_free(media->udptl);
    rtp_free(media->rtp);
    free(media);
}

/* ---- addresses ------------------------------------------------------------------------------ */

bool address_make(struct sockaddr_storage *out, const char *address, unsigned port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        return true;
    }
    if (inet_pton(AF_INET6, address, &v6->sin6_addr) != 1)
        return false;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    return true;
}

socklen_t address_size(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in);
}
