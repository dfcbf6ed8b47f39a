/* SPDX-License-Identifier: MIT */
/*
 * submit_esmtp.c - sending by libesmtp 1.1, which is guarded on all sides because it cannot be
 * trusted alone (its return value says success for most failures).
 *
 * - Its socket is ours: connect() is interposed and hands over the ready one, on this thread only.
 * - Its time-outs are set beyond our own: one of its own in the middle of the message would drop
 *   what is buffered and go on, and the mail would arrive with a hole. Ours shut the socket down.
 * - What was said is known from the monitor callback (smtp/dialogue.h), not from its statuses.
 * - Errors stick: once the socket is shut down nothing that it still does can reach the server.
 */
#include "smtp/submit.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include <auth-client.h>
#include <libesmtp.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "smtp/dialogue.h"
#include "smtp/trust.h"

enum {
    CHUNK_BYTES = 16384,
    PASSWORD_MAX = 256,
    QUIT_MS = 3000,                /* a server's answer to QUIT changes nothing any more */
    LIBRARY_TIMEOUT_MS = 86400000, /* beyond all of ours */
};

struct submit_session {
    struct server server;
    struct trust *trust; /* NULL without TLS */
    char user[SERVER_TEXT_MAX];
    char password[PASSWORD_MAX];
};

/* One transmission. */
struct transmission {
    struct submit_session *session;
    const struct submit_request *request;
    struct deadline_thread *deadlines;
    struct deadline deadline;
    struct dialogue dialogue;
    enum dialogue_command timed; /* whose reply the deadline is set for */
    int awaited_count;
    int fd;
    int message_fd;
    int64_t offset, length; /* of the message */
    bool broken;            /* no further octet of the message may be handed over */
    int local_error;
    char chunk[CHUNK_BYTES];
};

/* ---- the socket -------------------------------------------------------------------------------
 */

/* Set while this thread is inside smtp_start_session(): the socket that its connect() is to get. */
static _Thread_local int handover_fd = -1;

static int (*real_connect)(int, const struct sockaddr *, socklen_t);
static pthread_once_t real_connect_once = PTHREAD_ONCE_INIT;

static void find_connect(void)
{
    real_connect = (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "connect");
}

/* In place of the C library's for the whole program; acts only on a thread that asked. libesmtp's
 * own descriptor becomes a second one of the ready socket; ours stays open, for the deadlines. */
int connect(int fd, const struct sockaddr *address, socklen_t length)
{
    if (handover_fd >= 0) {
        int error = dup2(handover_fd, fd);

        handover_fd = -1;
        return error < 0 ? -1 : 0;
    }
    pthread_once(&real_connect_once, find_connect);
    return real_connect(fd, address, length);
}

/* ---- getting ready ----------------------------------------------------------------------------
 */

static const char *empty_message(void **context, int *length, void *arg)
{
    (void)context;
    (void)arg;
    if (length != NULL)
        *length = 0;
    errno = 0;
    return NULL;
}

static void ignore_event(smtp_session_t session, int event, void *arg, ...)
{
    (void)session;
    (void)event;
    (void)arg;
}

/* libesmtp fills a table of characters at its first EHLO, without a lock: a dialogue with a script
 * in a socket's buffer does it now, before there are threads. */
static int warm_up(void)
{
    static const char script[] = "220 x\r\n250-x\r\n250 AUTH X\r\n421 x\r\n221 x\r\n";
    smtp_session_t session;
    smtp_message_t message;
    int pair[2];
    int error;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return ERROR_IO;
    error = file_write_all(pair[1], script, sizeof script - 1);
    session = smtp_create_session();
    if (session == NULL || error < 0) {
        close(pair[0]);
        close(pair[1]);
        return error < 0 ? error : ERROR_MEMORY;
    }
    smtp_set_server(session, "127.0.0.1:25");
    smtp_set_hostname(session, "localhost");
    smtp_set_eventcb(session, ignore_event, NULL);
    message = smtp_add_message(session);
    smtp_set_reverse_path(message, "x@localhost");
    smtp_add_recipient(message, "x@localhost");
    smtp_set_messagecb(message, empty_message, NULL);
    handover_fd = pair[0];
    smtp_start_session(session);
    handover_fd = -1;
    smtp_destroy_session(session);
    close(pair[0]);
    close(pair[1]);
    return 0;
}

static int prepared;

static void prepare_once(void)
{
    static const char *const mechanisms[] = {"PLAIN", "LOGIN"};
    auth_context_t context;
    char version[32] = "?";
    size_t i;

    signal(SIGPIPE, SIG_IGN);
    /* It would look for client certificates below $HOME and give up on what it may not read. */
    setenv("XDG_CONFIG_DIR", "/nonexistent", 1);
    smtp_version(version, sizeof version, Ver_VERSION);
    if (strncmp(version, "1.1", 3) != 0)
        log_warning("libesmtp is of another version than the one the guard was made for "
                    "version=%s",
                    version);
    /* Plugins are loaded now: later the sandbox may not allow it. */
    context = auth_create_context();
    for (i = 0; context != NULL && i < sizeof mechanisms / sizeof mechanisms[0]; i++) {
        auth_set_mechanism_flags(context, AUTH_PLUGIN_PLAIN, 0);
        if (!auth_set_mechanism(context, mechanisms[i]))
            log_warning("libesmtp cannot log in this way: its plugin is missing mechanism=%s",
                        mechanisms[i]);
    }
    if (context != NULL)
        auth_destroy_context(context);
    prepared = warm_up();
}

static int prepare(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, prepare_once);
    return prepared;
}

/* ---- what is kept for a server ----------------------------------------------------------------
 */

static const char *mechanism_name(enum server_auth auth)
{
    switch (auth) {
    case SERVER_AUTH_PLAIN: return "PLAIN";
    case SERVER_AUTH_LOGIN: return "LOGIN";
    default: return NULL;
    }
}

static int read_password(struct submit_session *session, char *why, size_t why_size)
{
    const char *path = session->server.password_file;
    char *text = NULL;
    size_t length = 0;
    int error = file_read(AT_FDCWD, path, 4096, &text, &length);

    if (error < 0) {
        snprintf(why, why_size, "password_file %s: %s", path, error_text(error));
        return ERROR_CONFIG;
    }
    text[strcspn(text, "\r\n")] = '\0';
    /* Its plugins copy the password into 255 octets without looking. */
    if (text[0] == '\0' || !text_copy(session->password, sizeof session->password, text)) {
        snprintf(why, why_size, "password_file %s: its first line is the password, 1 to 255 octets",
                 path);
        error = ERROR_CONFIG;
    }
    explicit_bzero(text, length);
    free(text);
    return error;
}

static void close_session(struct submit_session *session)
{
    if (session == NULL)
        return;
    trust_free(session->trust);
    explicit_bzero(session->password, sizeof session->password);
    free(session);
}

static int open_session(struct submit_session **out, const struct server *server, char *why,
                        size_t why_size)
{
    struct submit_session *session = calloc(1, sizeof *session);
    int error = 0;

    text_copy(why, why_size, "out of memory");
    if (session == NULL)
        return ERROR_MEMORY;
    session->server = *server;
    text_copy(session->user, sizeof session->user, server->user);
    if (server->auth != SERVER_AUTH_NONE)
        error = read_password(session, why, why_size);
    if (error == 0 && server->tls == SERVER_TLS_STARTTLS)
        error = trust_new(&session->trust, server, why, why_size);
    if (error < 0) {
        close_session(session);
        return error;
    }
    *out = session;
    return 0;
}

/* ---- callbacks --------------------------------------------------------------------------------
 */

static void cut(struct transmission *transmission)
{
    transmission->broken = true;
    deadline_cut(transmission->deadlines, &transmission->deadline);
}

/* Sets the deadline of the reply that is awaited, once for each: a server that trickles octets gets
 * no more time. */
static void watch(struct transmission *transmission)
{
    const struct submit_timeouts *timeouts = transmission->request->timeouts;
    enum dialogue_command awaited = dialogue_awaited(&transmission->dialogue);
    int count = transmission->dialogue.awaited_count;
    int64_t limit_ms = timeouts->command;

    if (awaited == transmission->timed && count >= transmission->awaited_count) {
        transmission->awaited_count = count;
        return;
    }
    transmission->timed = awaited;
    transmission->awaited_count = count;
    if (awaited == DIALOGUE_GREETING)
        limit_ms = timeouts->greeting;
    else if (awaited == DIALOGUE_FINAL)
        limit_ms = transmission->dialogue.content_done ? timeouts->final : timeouts->data;
    else if (transmission->dialogue.quit)
        limit_ms = timeouts->command < QUIT_MS ? timeouts->command : QUIT_MS;
    deadline_set(transmission->deadlines, &transmission->deadline, limit_ms);
}

/* Everything but the message comes by here before it is sent and after it was received. */
static void monitor(const char *data, int length, int writing, void *arg)
{
    struct transmission *transmission = arg;
    bool go_on;

    if (length <= 0 || writing == SMTP_CB_HEADERS)
        return;
    if (writing == SMTP_CB_WRITING)
        go_on = dialogue_sent(&transmission->dialogue, data, (size_t)length);
    else /* the library's own read buffer: what it must not see is masked in place */
        go_on = dialogue_received(&transmission->dialogue, (char *)(uintptr_t)data, (size_t)length);
    if (!go_on)
        cut(transmission);
    else
        watch(transmission);
}

static void take_event(smtp_session_t session, int event, void *arg, ...)
{
    struct transmission *transmission = arg;
    va_list ap;

    (void)session;
    va_start(ap, arg);
    if (event == SMTP_EV_STARTTLS_OK) {
        dialogue_tls_started(&transmission->dialogue);
        transmission->timed = DIALOGUE_NOTHING;
    } else if (event == SMTP_EV_WRONG_PEER_CERTIFICATE) {
        /* It compares with the address it was given; the configured name was verified in the
         * handshake, which would not stand otherwise. */
        int *accept = va_arg(ap, int *);

        *accept = 1;
    }
    va_end(ap);
}

/* The connection is good for more of the message. A server that closed its side will not answer. */
static bool is_alive(struct transmission *transmission)
{
    struct pollfd poll_fd = {.fd = transmission->fd, .events = POLLRDHUP};

    if (deadline_has_fired(transmission->deadlines, &transmission->deadline)) {
        dialogue_fail(&transmission->dialogue, STAGE_CONTENT, EVENT_TIMEOUT,
                      "the transfer of the message stalled");
        return false;
    }
    if (poll(&poll_fd, 1, 0) > 0 &&
        (poll_fd.revents & (POLLERR | POLLHUP | POLLRDHUP | POLLNVAL)) != 0) {
        dialogue_fail(&transmission->dialogue, STAGE_CONTENT, EVENT_LOST,
                      "the connection was lost within the message");
        return false;
    }
    return true;
}

/* Ends the transfer for good: the socket first, for the library would send the rest and a dot. */
static const char *break_off(struct transmission *transmission, int *length)
{
    cut(transmission);
    *length = 0;
    errno = EPIPE;
    return NULL;
}

static const char *next_chunk(void **context, int *length, void *arg)
{
    struct transmission *transmission = arg;
    ssize_t n;

    *context = NULL; /* it would free() what stands there */
    if (length == NULL) {
        transmission->offset = 0;
        return NULL;
    }
    if (transmission->broken || !is_alive(transmission))
        return break_off(transmission, length);
    do
        n = pread(transmission->message_fd, transmission->chunk, CHUNK_BYTES, transmission->offset);
    while (n < 0 && errno == EINTR);
    if (n < 0 || (n == 0 && transmission->offset != transmission->length)) {
        transmission->local_error = ERROR_IO;
        return break_off(transmission, length);
    }
    transmission->offset += n;
    if (n == 0) {
        dialogue_content_done(&transmission->dialogue);
        transmission->timed = DIALOGUE_NOTHING;
        watch(transmission);
    } else {
        /* Each chunk must go out within its time: slow links pass, stalls do not. */
        deadline_set(transmission->deadlines, &transmission->deadline,
                     transmission->request->timeouts->data);
    }
    *length = (int)n;
    errno = 0;
    return n > 0 ? transmission->chunk : NULL;
}

static int give_login(auth_client_request_t request, char **result, int fields, void *arg)
{
    struct submit_session *session = arg;
    int i;

    for (i = 0; i < fields; i++) {
        if ((request[i].flags & AUTH_USER) != 0)
            result[i] = session->user;
        else if ((request[i].flags & AUTH_PASS) != 0)
            result[i] = session->password;
        else
            return 0;
    }
    return 1;
}

/* ---- sending ----------------------------------------------------------------------------------
 */

/* A password in clear goes no further than this machine. */
static bool login_is_safe(const struct submit_session *session, int fd)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;

    if (session->server.auth == SERVER_AUTH_NONE || session->server.tls != SERVER_TLS_NONE)
        return true;
    if (getpeername(fd, (struct sockaddr *)&peer, &length) < 0)
        return false;
    if (peer.ss_family == AF_INET)
        return ntohl(((struct sockaddr_in *)&peer)->sin_addr.s_addr) >> 24 == 127;
    return peer.ss_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&peer)->sin6_addr);
}

static int open_message(struct transmission *transmission)
{
    const struct submit_request *request = transmission->request;
    struct stat st;

    transmission->message_fd = open(request->message_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (transmission->message_fd < 0)
        return error_from_errno(errno);
    if (fstat(transmission->message_fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
        return ERROR_FORMAT;
    /* A file that is not as long as when it was made is damaged: no part of it is sent. */
    if (request->message_bytes > 0 && st.st_size != request->message_bytes)
        return ERROR_FORMAT;
    transmission->length = st.st_size;
    return 0;
}

static void set_timeouts(smtp_session_t session)
{
    static const int which[] = {Timeout_GREETING, Timeout_ENVELOPE, Timeout_DATA, Timeout_TRANSFER,
                                Timeout_DATA2};
    size_t i;

    for (i = 0; i < sizeof which / sizeof which[0]; i++)
        smtp_set_timeout(session, which[i] | Timeout_OVERRIDE_RFC2822_MINIMUM, LIBRARY_TIMEOUT_MS);
}

static int set_login(smtp_session_t session, auth_context_t *out, struct submit_session *own)
{
    auth_context_t context;

    if (own->server.auth == SERVER_AUTH_NONE)
        return 0;
    context = auth_create_context();
    if (context == NULL)
        return ERROR_MEMORY;
    auth_set_mechanism_flags(context, AUTH_PLUGIN_PLAIN, 0);
    auth_set_interact_cb(context, give_login, own);
    smtp_auth_set_context(session, context);
    *out = context;
    return 0;
}

/* Builds libesmtp's session; NULL when out of memory. */
static smtp_session_t make_session(struct transmission *transmission, auth_context_t *login)
{
    const struct submit_request *request = transmission->request;
    struct submit_session *own = transmission->session;
    smtp_session_t session = smtp_create_session();
    smtp_message_t message;
    int i;

    if (session == NULL)
        return NULL;
    /* An address that needs no look-up and is never connected to. */
    smtp_set_server(session, "127.0.0.1:25");
    smtp_set_hostname(session, request->hello);
    smtp_set_eventcb(session, take_event, transmission);
    smtp_set_monitorcb(session, monitor, transmission, 0);
    set_timeouts(session);
    message = smtp_add_message(session);
    if (message == NULL || !smtp_set_reverse_path(message, request->envelope_from) ||
        !smtp_set_messagecb(message, next_chunk, transmission) ||
        set_login(session, login, own) < 0)
        goto failed;
    smtp_size_set_estimate(message, (unsigned long)transmission->length);
    for (i = 0; i < request->recipient_count; i++)
        if (smtp_add_recipient(message, request->recipients[i].address) == NULL)
            goto failed;
    if (own->trust != NULL) {
        smtp_starttls_enable(session, Starttls_REQUIRED);
        smtp_starttls_set_ctx(session, trust_context(own->trust));
    }
    return session;
failed:
    smtp_destroy_session(session);
    return NULL;
}

/* The library has returned: whatever it says, the dialogue knows how far it came. */
static void conclude(struct transmission *transmission, bool fired)
{
    struct dialogue *dialogue = &transmission->dialogue;
    char reason[TRUST_REASON_MAX];

    if (dialogue_stage(dialogue) == STAGE_STARTTLS && !dialogue->failed && !fired) {
        trust_reason(reason);
        dialogue_end(dialogue, EVENT_TLS, reason);
    }
    if (fired)
        dialogue_end(dialogue, EVENT_TIMEOUT, "no answer in time");
    else
        dialogue_end(dialogue, EVENT_LOST, "the connection was lost");
}

static void transmit(struct transmission *transmission)
{
    auth_context_t login = NULL;
    smtp_session_t session = make_session(transmission, &login);

    if (session == NULL) {
        transmission->local_error = ERROR_MEMORY;
        goto out;
    }
    trust_forget();
    deadline_begin(transmission->deadlines, &transmission->deadline, transmission->fd);
    watch(transmission);
    handover_fd = transmission->fd;
    smtp_start_session(session);
    handover_fd = -1;
    conclude(transmission, deadline_end(transmission->deadlines, &transmission->deadline));
    smtp_destroy_session(session);
out:
    if (login != NULL)
        auth_destroy_context(login);
}

static void report(const struct transmission *transmission, struct submit_request *request,
                   struct submit_result *out)
{
    const struct dialogue *dialogue = &transmission->dialogue;
    int i;

    for (i = 0; i < request->recipient_count; i++)
        if (i < dialogue->recipients_judged)
            request->recipients[i].failure = dialogue->recipient[i];
    out->local_error = transmission->local_error;
    out->greeted = dialogue->greeted;
    if (dialogue->accepted) {
        out->failure = (struct failure){.stage = STAGE_FINAL, .code = dialogue->final.code};
        memcpy(out->failure.enhanced, dialogue->final.enhanced, sizeof out->failure.enhanced);
        text_copy(out->failure.text, sizeof out->failure.text, dialogue->final.text);
    } else {
        out->failure = dialogue->failure;
    }
}

static void send_message(struct submit_session *session, int fd, struct deadline_thread *deadlines,
                         struct submit_request *request, struct submit_result *out)
{
    struct transmission *transmission = calloc(1, sizeof *transmission);
    int i;

    *out = (struct submit_result){.local_error = ERROR_MEMORY};
    for (i = 0; i < request->recipient_count; i++)
        request->recipients[i].failure = (struct failure){.stage = STAGE_RCPT};
    if (transmission == NULL)
        return;
    transmission->session = session;
    transmission->request = request;
    transmission->deadlines = deadlines;
    transmission->fd = fd;
    transmission->message_fd = -1;
    transmission->dialogue.need_tls = session->server.tls != SERVER_TLS_NONE;
    transmission->dialogue.need_auth = session->server.auth != SERVER_AUTH_NONE;
    transmission->dialogue.mechanism = mechanism_name(session->server.auth);
    transmission->dialogue.recipients = request->recipient_count;
    dialogue_begin(&transmission->dialogue);
    if (request->recipient_count > SUBMIT_RECIPIENTS_MAX)
        transmission->local_error = ERROR_LIMIT;
    else
        transmission->local_error = open_message(transmission);
    transmission->dialogue.message_bytes = transmission->length;
    if (!login_is_safe(session, fd))
        dialogue_fail(&transmission->dialogue, STAGE_AUTH, EVENT_NOT_OFFERED,
                      "a password is not sent in clear over the network: set tls = starttls");
    else if (transmission->local_error == 0)
        transmit(transmission);
    report(transmission, request, out);
    if (transmission->message_fd >= 0)
        close(transmission->message_fd);
    free(transmission);
}

const struct submit_transport submit_esmtp = {
    .name = "libesmtp",
    .prepare = prepare,
    .open = open_session,
    .close = close_session,
    .send = send_message,
};
