/* SPDX-License-Identifier: MIT */
/*
 * fuzz_smtp.c - a mail server's replies through both transports, libesmtp and libcurl, with all
 * that stands around them. The first octet chooses transport, TLS, login and recipients; the rest
 * are replies, divided by an empty line: the first is the greeting, each further one comes when the
 * client has sent a line, or the end of the message. Then the server is gone. Body for libFuzzer
 * and for replay.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "smtp/submit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    CURL = 0x01,
    STARTTLS = 0x02,
    AUTH = 0x04, /* two bits: none, PLAIN, LOGIN */
    TWO = 0x10,
    XOAUTH2 = 0x20, /* curl only */
    MODES = 0x40,
    LIMIT_MS = 20000, /* of each stage; nothing has to wait for it */
    PATIENCE_MS = 25,
    SENT_MAX = 65536,
};

static const char message[] = "From: <op@example.com>\r\nTo: <a@example.com>\r\nSubject: x\r\n"
                              "Date: Sat, 21 Nov 2026 10:15:30 +0000\r\n"
                              "Message-ID: <x@example.com>\r\n\r\n"
                              ".\r\n..\r\n.dot\r\n\r\ntext\r\n";

/* … as it goes over the wire, to its end */
static const char stuffed[] = "\r\n\r\n..\r\n...\r\n..dot\r\n\r\ntext\r\n.\r\n";

static struct deadline_thread *deadlines;
static struct submit_session *sessions[MODES];
static char folder[] = "/tmp/fuzz-smtp.XXXXXX";
static char message_path[64], password_path[64];

static void promise(bool kept, const char *what)
{
    if (kept)
        return;
    fprintf(stderr, "promise broken: %s\n", what);
    abort();
}

/* ---- the server ---------------------------------------------------------------------------------
 */

struct server_side {
    int fd, client_fd;
    const uint8_t *replies;
    size_t size;
    bool takes_message;  /* a line of the last reply began with 354 */
    char sent[SENT_MAX]; /* by the client, all of it */
    size_t used, seen;   /* … and so much of it was answered */
};

static bool says_354(const uint8_t *reply, size_t length)
{
    for (size_t i = 0; i + 3 <= length; i++)
        if (memcmp(reply + i, "354", 3) == 0 && (i == 0 || reply[i - 1] == '\n'))
            return true;
    return false;
}

/* Sends up to the next empty line. False: there is no more. */
static bool reply(struct server_side *side)
{
    const uint8_t *end = memmem(side->replies, side->size, "\n\n", 2);
    size_t length = end == NULL ? side->size : (size_t)(end + 1 - side->replies);

    if (side->size == 0)
        return false;
    side->takes_message = says_354(side->replies, length);
    if (send(side->fd, side->replies, length, MSG_NOSIGNAL) != (ssize_t)length)
        return false;
    side->replies += end == NULL ? length : length + 1;
    side->size -= end == NULL ? length : length + 1;
    return true;
}

/* Passes over what the client has said, a line or a message, that a reply is due to. */
static bool hear(struct server_side *side)
{
    const char *said = side->sent + side->seen;
    size_t length = side->used - side->seen;
    const char *end =
        side->takes_message ? memmem(said, length, "\r\n.\r\n", 5) : memchr(said, '\n', length);

    if (end == NULL)
        return false;
    side->seen += (size_t)(end - said) + (side->takes_message ? 5 : 1);
    return true;
}

/* Waits for the client; when neither it has anything to say nor anything to read, a server that
 * nobody asks says its next reply all the same: else both would wait. */
static bool is_asked(struct server_side *side)
{
    struct pollfd poller = {.fd = side->fd, .events = POLLIN};
    int unread = 0;

    while (poll(&poller, 1, PATIENCE_MS) == 0)
        if (ioctl(side->client_fd, FIONREAD, &unread) != 0 || unread == 0)
            return false;
    return true;
}

static bool listen_to(struct server_side *side)
{
    ssize_t count;

    if (!is_asked(side))
        return reply(side);
    count = recv(side->fd, side->sent + side->used, sizeof side->sent - side->used, 0);
    if (count <= 0)
        return false;
    side->used += (size_t)count;
    while (hear(side))
        if (!reply(side))
            return false;
    return side->used < sizeof side->sent;
}

static void *serve(void *arg)
{
    struct server_side *side = arg;
    ssize_t count = 1;

    if (reply(side))
        while (listen_to(side))
            continue;
    shutdown(side->fd, SHUT_WR);
    while (count > 0 && side->used < sizeof side->sent) { /* until the client is gone, too */
        count = recv(side->fd, side->sent + side->used, sizeof side->sent - side->used, 0);
        if (count > 0)
            side->used += (size_t)count;
    }
    return NULL;
}

/* ---- the client ---------------------------------------------------------------------------------
 */

static void remove_files(void)
{
    unlink(message_path);
    unlink(password_path);
    rmdir(folder);
}

static void make_file(char path[64], const char *name, const char *text)
{
    FILE *file;

    snprintf(path, 64, "%s/%s", folder, name);
    file = fopen(path, "w");
    promise(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0, "a file is made");
}

static void begin(void)
{
    log_open("fuzz", LOG_LEVEL_ALERT);
    promise(submit_prepare() == 0 && deadline_start(&deadlines) == 0, "the transports are ready");
    promise(mkdtemp(folder) != NULL && atexit(remove_files) == 0, "a folder is made");
    make_file(message_path, "message", message);
    make_file(password_path, "password", "p4ssword\n");
}

/* Two ends of a connection over the loopback: that is where a password may go in clear. */
static void connect_pair(int pair[2])
{
    static int listener = -1;
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listener < 0) {
        listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        promise(bind(listener, (struct sockaddr *)&address, length) == 0 &&
                    listen(listener, 1) == 0,
                "a server listens");
    }
    promise(getsockname(listener, (struct sockaddr *)&address, &length) == 0, "… somewhere");
    pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)connect(pair[0], (struct sockaddr *)&address,
                  length); /* EINPROGRESS, as connect_open() */
    pair[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    promise(pair[1] >= 0, "a client is taken");
    setsockopt(pair[0], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    setsockopt(pair[1], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

static struct submit_session *session_for(const struct submit_transport *transport, unsigned mode)
{
    struct server server = {.port = 25, .tls = SERVER_TLS_NONE};
    char why[200];

    if (sessions[mode] != NULL)
        return sessions[mode];
    text_copy(server.name, sizeof server.name, "one");
    text_copy(server.host, sizeof server.host, "127.0.0.1");
    text_copy(server.user, sizeof server.user, "user");
    text_copy(server.password_file, sizeof server.password_file, password_path);
    text_copy(server.token_file, sizeof server.token_file, password_path);
    if ((mode & STARTTLS) != 0)
        server.tls = SERVER_TLS_STARTTLS;
    server.auth = (enum server_auth)(mode / AUTH % 3);
    if ((mode & XOAUTH2) != 0 && (mode & CURL) != 0)
        server.auth = SERVER_AUTH_XOAUTH2;
    promise(transport->open(&sessions[mode], &server, why, sizeof why) == 0, why);
    return sessions[mode];
}

static void judge(const struct server_side *side, const struct submit_request *request,
                  const struct submit_result *result)
{
    bool some = false;

    promise(result->local_error == 0, "nothing fails on our side");

    if (getenv("FAR_END_TRACE") != NULL)
        fprintf(stderr, "%s, event %d, code %d, \"%s\", local error %d, greeted %d\n",
                failure_stage_text(result->failure.stage), (int)result->failure.event,
                result->failure.code, result->failure.text, result->local_error,
                (int)result->greeted);
    for (int i = 0; i < request->recipient_count; i++) {
        const struct failure *failure = submit_failure_of(request, result, i);
        enum failure_class class = failure_classify(failure, NULL);

        promise(failure->stage < STAGE_COUNT && failure->event < EVENT_COUNT, "an end has a name");
        promise((failure->event == EVENT_NONE) == (class == FAILURE_NONE),
                "only a success is called one");
        for (const char *p = failure->text; *p != '\0'; p++)
            promise(*p >= 0x20 && *p <= 0x7e, "what a server said is printable");
        some = some || class == FAILURE_NONE;
    }
    if (!some)
        return;
    promise(result->greeted, "nothing is sent before a greeting");
    promise(memmem(side->sent, side->used, stuffed, sizeof stuffed - 1) != NULL,
            "a message that counts as sent was sent whole");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct server_side side;
    const struct linger no_wait = {.l_onoff = 1}; /* no port is kept after its connection */
    struct submit_timeouts timeouts = {LIMIT_MS, LIMIT_MS, LIMIT_MS, LIMIT_MS, LIMIT_MS};
    struct submit_recipient recipients[2] = {{.address = "a@example.com"},
                                             {.address = "b@example.com"}};
    struct submit_request request = {
        .message_path = message_path,
        .message_bytes = sizeof message - 1,
        .envelope_from = "op@example.com",
        .hello = "gw.example.com",
        .recipients = recipients,
        .timeouts = &timeouts,
    };
    struct submit_result result;
    const struct submit_transport *transport;
    int pair[2];
    pthread_t thread;

    if (size < 2)
        return 0;
    if (deadlines == NULL)
        begin();
    transport = (data[0] & CURL) != 0 ? &submit_curl : &submit_esmtp;
    request.recipient_count = (data[0] & TWO) != 0 ? 2 : 1;
    connect_pair(pair);
    side.fd = pair[1];
    side.client_fd = pair[0];
    side.replies = data + 1;
    side.size = size - 1;
    side.used = side.seen = 0;
    side.takes_message = false;
    promise(pthread_create(&thread, NULL, serve, &side) == 0, "a thread");
    transport->send(session_for(transport, data[0] % MODES), pair[0], deadlines, &request, &result);
    shutdown(pair[0], SHUT_RDWR);
    pthread_join(thread, NULL);
    setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &no_wait, sizeof no_wait);
    close(pair[0]);
    close(pair[1]);
    judge(&side, &request, &result);
    return 0;
}
