/* SPDX-License-Identifier: MIT */
/*
 * fuzz_sip.c - SIP as it reaches us: the lines' own thread with libre's stack and our handlers,
 * real sockets on the loopback, and a far end that says what the input tells. The library's clock
 * is virtual: it moves only while nothing is left to do, so that retransmissions and time-outs of
 * an input are over when it ends. Workers and media threads are pretended here.
 *
 * An input is text. A line that begins with '!' is an order:
 *
 *   !u  what follows, up to the next order, is sent as a datagram; LF becomes CRLF
 *   !t  the same, as octets of a TCP connection;  !x closes it
 *   !w  half a second passes;  !W  ten seconds
 *   !o  the next calls' folders are opened at once (so it is at the beginning);  !O  late;
 *   !f  the disk is full;      !e  the disk fails
 *   !a  a session asks for T.38;  !n  a session ends;  !s  a switch to T.38 failed
 *
 * In what is sent, $x stands for something of this call: $T our side's To tag, $V $F $O $I $Q
 * values of the last request that came from us (Via, From, To, Call-ID, CSeq), $C its Contact, $P
 * the port of the far end and $S that of the line, $L the length of the body. Body for libFuzzer
 * and for replay.
 */
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "fax/sip/channel.h"
#include "fax/sip/line_sip.h"
#include "fax/sip/media.h"
#include "fax/worker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    PACKET_MAX = 8192,
    VALUE_MAX = 300,
    LIVE_MAX = 64,
    GOODBYE_MS = 100000, /* virtual: longer than any transaction, and than a call that rings */
    TURNS_MAX = 200000,  /* of the loop for one input: more is an endless loop */
};

static void promise(bool kept, const char *what)
{
    if (kept)
        return;
    /* stderr itself is the agent's: libre writes to it */
    dprintf(STDERR_FILENO, "promise broken: %s\n", what);
    abort();
}

/* ---- the stage ----------------------------------------------------------------------------------
 */

/* Between the two threads: one of them waits. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static atomic_bool has_script;
static const char *script;
static size_t script_size;

/* The SIP thread's alone from here on. */
static struct {
    size_t at; /* in the script */
    int64_t wait_until_ms, end_ms;
    bool is_ending;
    int turns;
    int udp_fd, tcp_fd; /* of the far end */
    unsigned own_port, line_port;
    enum { OPEN_AT_ONCE, OPEN_LATE, OPEN_FULL, OPEN_FAILS } open_how;
    struct call *opening[LIVE_MAX];
    int opening_count;
    struct channel *live[LIVE_MAX];
    int live_count;
    char tag[VALUE_MAX], via[VALUE_MAX], from[VALUE_MAX], to[VALUE_MAX], call_id[VALUE_MAX],
        cseq[VALUE_MAX], contact[VALUE_MAX];
    bool tells;
} stage;

static struct call_shared shared = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                    .calls_changed = PTHREAD_COND_INITIALIZER,
                                    .state_dir = "/nowhere"};
static struct line_sip *lines;
static pthread_t main_thread;
static int64_t now_ms = 1000000; /* written by the SIP thread */

uint64_t tmr_jiffies(void); /* libre's own, for which this one steps in */
uint64_t tmr_jiffies(void)
{
    return (uint64_t)__atomic_load_n(&now_ms, __ATOMIC_RELAXED);
}

/* ---- workers and media threads, as far as signalling sees them ----------------------------------
 */

void workers_submit(struct workers *workers, struct worker_job *job, enum worker_kind kind,
                    struct call *call)
{
    (void)workers;
    (void)job;
    if (kind == WORKER_FINISH) {
        call_unref(call);
        return;
    }
    promise(kind == WORKER_OPEN, "signalling asks for opening and finishing only");
    promise(stage.opening_count < LIVE_MAX, "calls are limited by [limits] sessions");
    stage.opening[stage.opening_count++] = call;
}

bool workers_are_idle(struct workers *workers)
{
    (void)workers;
    return true;
}

static void open_one(void)
{
    struct call *call = stage.opening[0];
    int error = stage.open_how == OPEN_FULL    ? ERROR_FULL
                : stage.open_how == OPEN_FAILS ? ERROR_IO
                                               : 0;

    stage.opening_count--;
    memmove(stage.opening, stage.opening + 1,
            sizeof stage.opening[0] * (size_t)stage.opening_count);
    if (error == 0)
        error = call->driver->session_new(call);
    call->driver->opened(call, error);
}

void media_add(struct media *media, struct channel *channel, const struct media_plan *plan)
{
    (void)media;
    promise(stage.live_count < LIVE_MAX, "calls are limited by [limits] sessions");
    promise(plan->kind != SDP_NOTHING, "a call that goes live has media");
    channel->plan = *plan;
    stage.live[stage.live_count++] = channel;
}

static int place_of(const struct channel *channel)
{
    for (int i = 0; i < stage.live_count; i++)
        if (stage.live[i] == channel)
            return i;
    return -1;
}

void media_switch_t38(struct channel *channel, const struct media_plan *plan)
{
    struct session_settings settings = {.t38_version = plan->t38_version,
                                        .t38_max_datagram = plan->datagram_max,
                                        .t38_transferred_tcf = plan->transferred_tcf};

    promise(plan->kind == SDP_T38, "a switch is one to T.38");
    if (place_of(channel) >= 0 && session_switch_t38(channel->call.session, &settings) != 0)
        line_sip_post(channel->call.shared->lines, LINE_SWITCH_FAILED, channel, 0);
}

void media_redirect(struct channel *channel, const struct media_plan *plan)
{
    if (place_of(channel) >= 0)
        channel->plan = *plan;
}

void media_hang_up(struct channel *channel, const char *why)
{
    int place = place_of(channel);

    (void)why;
    if (place < 0)
        return;
    stage.live[place] = stage.live[--stage.live_count];
    line_sip_post(channel->call.shared->lines, LINE_ENDED, channel, 0);
    call_unref(&channel->call); /* the chain's */
}

void media_worked(struct call *call, int stores)
{
    (void)call, (void)stores;
}

void media_stored(struct call *call, uint32_t generation, int number, bool unconfirmed, int error)
{
    (void)call, (void)generation, (void)number, (void)unconfirmed, (void)error;
}

void media_info_written(struct call *call)
{
    (void)call;
}

/* ---- the far end --------------------------------------------------------------------------------
 */

/* The value of a header line; the last of that name stays. */
static void take_value(char out[VALUE_MAX], const char *line, const char *end, const char *name)
{
    size_t length = strlen(name);

    if ((size_t)(end - line) <= length || strncasecmp(line, name, length) != 0)
        return;
    line += length;
    while (line < end && *line == ' ')
        line++;
    length = (size_t)(end - line) < VALUE_MAX ? (size_t)(end - line) : VALUE_MAX - 1;
    memcpy(out, line, length);
    out[length] = '\0';
}

static void take_tag(const char *line, const char *end)
{
    const char *tag = memmem(line, (size_t)(end - line), ";tag=", 5);

    if (tag != NULL && (strncasecmp(line, "To:", 3) == 0))
        take_value(stage.tag, tag, end, ";tag=");
}

static void take_message(char *text, size_t length)
{
    bool is_request = strncmp(text, "SIP/2.0 ", 8) != 0;
    char *end = text + length;

    if (stage.tells)
        dprintf(STDERR_FILENO, "<<< %.*s\n", (int)length, text);
    for (char *line = text; line < end;) {
        char *next = memchr(line, '\n', (size_t)(end - line));
        char *stop = next == NULL ? end : next;

        if (stop > line && stop[-1] == '\r')
            stop--;
        take_value(stage.contact, line, stop, "Contact:");
        if (is_request) {
            take_value(stage.via, line, stop, "Via:");
            take_value(stage.from, line, stop, "From:");
            take_value(stage.to, line, stop, "To:");
            take_value(stage.call_id, line, stop, "Call-ID:");
            take_value(stage.cseq, line, stop, "CSeq:");
        } else {
            take_tag(line, stop);
        }
        line = next == NULL ? end : next + 1;
    }
}

static void listen_to(int fd)
{
    static char packet[65536];
    ssize_t length;

    while (fd >= 0 && (length = recv(fd, packet, sizeof packet - 1, MSG_DONTWAIT)) > 0) {
        packet[length] = '\0';
        take_message(packet, (size_t)length);
    }
}

static const char *value_of(char letter, char port[8])
{
    switch (letter) {
    case 'T': return stage.tag;
    case 'V': return stage.via;
    case 'F': return stage.from;
    case 'O': return stage.to;
    case 'I': return stage.call_id;
    case 'Q': return stage.cseq;
    case 'C': return stage.contact;
    case 'P': snprintf(port, 8, "%u", stage.own_port); return port;
    case 'S': snprintf(port, 8, "%u", stage.line_port); return port;
    case 'L': return "00000";
    default: return NULL;
    }
}

static size_t expand(char out[PACKET_MAX], const char *text, size_t size)
{
    size_t used = 0;
    char *length_at = NULL;
    char *body;
    char port[8];

    for (size_t i = 0; i < size && used + VALUE_MAX < PACKET_MAX; i++) {
        const char *value = text[i] == '$' && i + 1 < size ? value_of(text[i + 1], port) : NULL;

        if (value != NULL) {
            if (text[++i] == 'L')
                length_at = out + used;
            used += strlen(strcpy(out + used, value));
        } else {
            if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r'))
                out[used++] = '\r';
            out[used++] = text[i];
        }
    }
    body = memmem(out, used, "\r\n\r\n", 4);
    if (length_at != NULL && body != NULL) {
        snprintf(port, sizeof port, "%05zu", (size_t)(out + used - body - 4) % 100000);
        memcpy(length_at, port, 5);
    }
    return used;
}

static struct sockaddr_in address_of(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void say(bool over_tcp, const char *text, size_t size)
{
    static char packet[PACKET_MAX];
    struct sockaddr_in line = address_of(stage.line_port);
    size_t length = expand(packet, text, size);

    if (stage.tells)
        dprintf(STDERR_FILENO, ">>> %.*s\n", (int)length, packet);
    if (!over_tcp) {
        sendto(stage.udp_fd, packet, length, MSG_DONTWAIT, (struct sockaddr *)&line, sizeof line);
        return;
    }
    if (stage.tcp_fd < 0) {
        const struct linger no_wait = {.l_onoff = 1};

        stage.tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(stage.tcp_fd, SOL_SOCKET, SO_LINGER, &no_wait, sizeof no_wait);
        promise(connect(stage.tcp_fd, (struct sockaddr *)&line, sizeof line) == 0,
                "a TCP connection is taken");
    }
    send(stage.tcp_fd, packet, length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void close_tcp(void)
{
    if (stage.tcp_fd >= 0)
        close(stage.tcp_fd);
    stage.tcp_fd = -1;
}

/* ---- the script ---------------------------------------------------------------------------------
 */

static size_t order_end(size_t from)
{
    for (size_t i = from; i + 1 < script_size; i++)
        if (script[i] == '\n' && script[i + 1] == '!')
            return i + 1;
    return script_size;
}

static void obey(void)
{
    struct channel *first = stage.live_count > 0 ? stage.live[0] : NULL;
    size_t begin = stage.at;
    size_t end = order_end(begin);
    size_t text = begin + 3 < end ? begin + 3 : end; /* "!u" and the end of the line */
    char order = script_size - begin >= 2 && script[begin] == '!' ? script[begin + 1] : 'u';

    stage.at = end;
    if (script[begin] != '!')
        text = begin;
    switch (order) {
    case 't': say(true, script + text, end - text); break;
    case 'x': close_tcp(); break;
    case 'w': stage.wait_until_ms = now_ms + 500; break;
    case 'W': stage.wait_until_ms = now_ms + 10000; break;
    case 'o': stage.open_how = OPEN_AT_ONCE; break;
    case 'O': stage.open_how = OPEN_LATE; break;
    case 'f': stage.open_how = OPEN_FULL; break;
    case 'e': stage.open_how = OPEN_FAILS; break;
    case 'a':
        if (first != NULL)
            line_sip_post(lines, LINE_ASK_T38, first, 0);
        break;
    case 's':
        if (first != NULL)
            line_sip_post(lines, LINE_SWITCH_FAILED, first, 0);
        break;
    case 'n':
        if (first != NULL)
            media_hang_up(first, NULL);
        break;
    default: say(false, script + text, end - text); break;
    }
}

/* All is said: the calls that are left end. */
static void begin_goodbye(void)
{
    stage.is_ending = true;
    stage.end_ms = now_ms + GOODBYE_MS;
    stage.open_how = OPEN_AT_ONCE;
    close_tcp();
}

/* The next thing to do when the library has nothing to do; false: it may sleep. */
static bool next_event(void)
{
    listen_to(stage.udp_fd);
    listen_to(stage.tcp_fd);
    if (stage.opening_count > 0 && stage.open_how != OPEN_LATE) {
        open_one();
        return true;
    }
    if (now_ms < stage.wait_until_ms)
        return false;
    if (stage.at < script_size) {
        obey();
        return true;
    }
    if (!stage.is_ending) {
        begin_goodbye();
        return true;
    }
    if (stage.live_count > 0) {
        media_hang_up(stage.live[0], NULL);
        return true;
    }
    return false;
}

/* ---- the loop ----------------------------------------------------------------------------------
 */

static int poll_now(int epoll_fd, struct epoll_event *events, int most, int timeout)
{
    return (int)syscall(SYS_epoll_pwait, epoll_fd, events, most, timeout, NULL, 0);
}

static void finish_script(void)
{
    promise(stage.opening_count == 0 && stage.live_count == 0, "all calls have ended");
    pthread_mutex_lock(&shared.lock);
    promise(shared.calls == 0, "a call that ended is freed");
    pthread_mutex_unlock(&shared.lock);
    pthread_mutex_lock(&lock);
    has_script = false;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void await_script(void)
{
    pthread_mutex_lock(&lock);
    while (!has_script)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    stage.at = 0;
    stage.turns = 0;
    stage.wait_until_ms = 0;
    stage.is_ending = false;
    stage.open_how = OPEN_AT_ONCE;
    stage.tag[0] = stage.via[0] = stage.from[0] = stage.to[0] = '\0';
    stage.call_id[0] = stage.cseq[0] = stage.contact[0] = '\0';
}

/* The library sleeps here; in its sleep the script goes on, and time passes. */
int epoll_wait(int epoll_fd, struct epoll_event *events, int most, int timeout)
{
    if (pthread_equal(pthread_self(), main_thread))
        return poll_now(epoll_fd, events, most, timeout);
    for (;;) {
        int count = poll_now(epoll_fd, events, most, 0);
        int64_t until_ms = stage.is_ending ? stage.end_ms : stage.wait_until_ms;

        promise(++stage.turns < TURNS_MAX, "the loop comes to rest");
        if (count != 0)
            return count;
        if (!has_script) { /* at the beginning */
            await_script();
            continue;
        }
        if (next_event())
            continue;
        if (timeout >= 0 && now_ms + timeout < until_ms) {
            now_ms += timeout;
            return 0;
        }
        now_ms = until_ms > now_ms ? until_ms : now_ms;
        if (stage.is_ending) {
            finish_script();
            await_script();
        }
    }
}

/* ---- the beginning -----------------------------------------------------------------------------
 */

static unsigned bind_to(int fd, unsigned port)
{
    struct sockaddr_in address = address_of(port);
    socklen_t length = sizeof address;

    if (bind(fd, (struct sockaddr *)&address, length) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        return 0;
    return ntohs(address.sin_port);
}

/* A port that is free for UDP and TCP just now. */
static unsigned find_port(void)
{
    unsigned port = 0;

    for (int i = 0; i < 100; i++) {
        int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool fits;

        port = bind_to(udp, 0);
        fits = port != 0 && bind_to(tcp, port) == port;
        close(udp);
        close(tcp);
        if (fits)
            break;
    }
    return port;
}

static void read_settings(struct receive_settings **out, unsigned port)
{
    char text[1000];
    struct conf *conf;

    snprintf(text, sizeof text,
             "[gateway]\nstate_dir = /nowhere\n"
             "[limits]\nsessions = 20\n"
             "[line fuzz]\nlisten = 127.0.0.1:%u\nmedia_ports = 40000-49999\ntrace = yes\n"
             "station = +1 555 2000\ndeny = +666*\n",
             port);
    promise(conf_parse(&conf, text, "fuzz", "/", conf_keys_faxpost, NULL, NULL) == 0 &&
                receive_settings_read(out, conf) == 0,
            "the settings can be read");
    conf_free(conf);
    (*out)->requests_max = 0; /* by the real clock: another test's */
}

static void begin(void)
{
    struct receive_settings *settings;

    main_thread = pthread_self();
    log_open("fuzz", LOG_LEVEL_ALERT);
    stage.tells = getenv("FAR_END_TRACE") != NULL;
    stage.tcp_fd = -1;
    stage.udp_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    stage.own_port = bind_to(stage.udp_fd, 0);
    promise(stage.own_port != 0 && session_library_init() == 0, "the stage can be set");
    for (int i = 0; i < 10 && lines == NULL; i++) {
        stage.line_port = find_port();
        read_settings(&settings, stage.line_port);
        (void)line_sip_start(&lines, &shared, settings);
    }
    promise(lines != NULL, "the line opens");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (lines == NULL)
        begin();
    if (size == 0)
        return 0;
    pthread_mutex_lock(&lock);
    script = (const char *)data;
    script_size = size;
    has_script = true;
    pthread_cond_broadcast(&changed);
    while (has_script)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    return 0;
}
