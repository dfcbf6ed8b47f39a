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

#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include <auth-client.h>
#include <libesmtp.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "smtp/login.h"
#include "smtp/submit_session.h"
#include "smtp/transmission.h"
#include "smtp/trust.h"

enum {
    CHUNK_BYTES = 16384,
    LIBRARY_TIMEOUT_MS = 86400000, /* beyond all of ours */
};

/* One transmission. */
struct esmtp_transmission {
    struct transmission core; /* first: the callback of transmission_run() gets its address */
    struct submit_session *session;
    smtp_message_t message; /* the one at hand */
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

/* ---- callbacks --------------------------------------------------------------------------------
 */

/* RFC 6152: a body with 8-bit octets is announced as such where the server wants to know. Not asked
 * of the library before the server's offer was heard, for without one it would not send at all. */
static void announce_body(struct esmtp_transmission *transmission)
{
    if (transmission->message == NULL || !transmission_may_announce_8bit(&transmission->core))
        return;
    smtp_8bitmime_set_body(transmission->message, E8bitmime_8BITMIME);
    transmission->core.announced_8bit = true;
}

/* Everything but the message comes by here before it is sent and after it was received. */
static void monitor(const char *data, int length, int writing, void *arg)
{
    struct transmission *core = arg;

    if (length <= 0 || writing == SMTP_CB_HEADERS)
        return;
    if (writing == SMTP_CB_WRITING)
        transmission_sent(core, data, (size_t)length);
    else /* the library's own read buffer: what it must not see is masked in place */
        transmission_received(core, (char *)(uintptr_t)data, (size_t)length);
    announce_body((struct esmtp_transmission *)core);
}

/* Ends the transfer for good: the socket first, for the library would send the rest and a dot. */
static const char *break_off(struct transmission *core, int *length)
{
    transmission_cut(core);
    *length = 0;
    errno = EPIPE;
    return NULL;
}

/* The library writes by 2 kB: with TCP_NODELAY each would be a packet of its own. */
static void hold_packets(struct transmission *core, int hold)
{
    setsockopt(core->fd, IPPROTO_TCP, TCP_CORK, &hold, sizeof hold);
}

static const char *next_chunk(void **context, int *length, void *arg)
{
    struct esmtp_transmission *transmission = arg;
    struct transmission *core = &transmission->core;
    ssize_t n;

    *context = NULL; /* it would free() what stands there */
    if (length == NULL) {
        core->offset = 0;
        return NULL;
    }
    if (core->broken || !transmission_is_alive(core))
        return break_off(core, length);
    if (core->offset == 0)
        hold_packets(core, 1);
    n = transmission_read(core, transmission->chunk, CHUNK_BYTES);
    if (n < 0)
        return break_off(core, length);
    if (n == 0) {
        hold_packets(core, 0);
        transmission_content_done(core);
    } else {
        transmission_block_done(core);
    }
    *length = (int)n;
    errno = 0;
    return n > 0 ? transmission->chunk : NULL;
}

/* The message of the request at hand; false: out of memory. */
static bool add_message(smtp_session_t session, struct esmtp_transmission *transmission)
{
    const struct submit_request *request = transmission->core.request;
    smtp_message_t message = smtp_add_message(session);
    int i;

    transmission->message = message;
    if (message == NULL || !smtp_set_reverse_path(message, request->envelope_from) ||
        !smtp_set_messagecb(message, next_chunk, transmission))
        return false;
    smtp_size_set_estimate(message, (unsigned long)transmission->core.length);
    for (i = 0; i < request->recipient_count; i++)
        if (smtp_add_recipient(message, request->recipients[i].address) == NULL)
            return false;
    announce_body(transmission);
    return true;
}

static void take_event(smtp_session_t session, int event, void *arg, ...)
{
    struct transmission *core = arg;
    va_list ap;

    va_start(ap, arg);
    if (event == SMTP_EV_STARTTLS_OK) {
        transmission_tls_started(core);
    } else if (event == SMTP_EV_MESSAGESENT) {
        /* What is added here goes out by the same connection. */
        if (transmission_next(core) && !add_message(session, (struct esmtp_transmission *)core)) {
            core->local_error = ERROR_MEMORY;
            transmission_cut(core); /* or it would go to some of its recipients */
        }
    } else if (event == SMTP_EV_WRONG_PEER_CERTIFICATE) {
        /* It compares with the address it was given; the configured name was verified in the
         * handshake, which would not stand otherwise. */
        int *accept = va_arg(ap, int *);

        *accept = 1;
    }
    va_end(ap);
}

static int give_login(auth_client_request_t request, char **result, int fields, void *arg)
{
    struct submit_session *session = arg;
    int i;

    for (i = 0; i < fields; i++) {
        if ((request[i].flags & AUTH_USER) != 0)
            result[i] = (char *)(uintptr_t)login_user(session->login);
        else if ((request[i].flags & AUTH_PASS) != 0)
            result[i] = (char *)(uintptr_t)login_password(session->login);
        else
            return 0;
    }
    return 1;
}

/* ---- sending ----------------------------------------------------------------------------------
 */

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
static smtp_session_t make_session(struct esmtp_transmission *transmission, auth_context_t *login)
{
    const struct submit_request *request = transmission->core.request;
    struct submit_session *own = transmission->session;
    smtp_session_t session = smtp_create_session();

    if (session == NULL)
        return NULL;
    /* An address that needs no look-up and is never connected to. */
    smtp_set_server(session, "127.0.0.1:25");
    smtp_set_hostname(session, request->hello);
    smtp_set_eventcb(session, take_event, transmission);
    smtp_set_monitorcb(session, monitor, transmission, 0);
    set_timeouts(session);
    if (!add_message(session, transmission) || set_login(session, login, own) < 0)
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

/* Whatever the library's results say, the dialogue knows how far it came. */
static void transmit(struct transmission *core)
{
    auth_context_t login = NULL;
    smtp_session_t session = make_session((struct esmtp_transmission *)core, &login);

    if (session == NULL) {
        core->local_error = ERROR_MEMORY;
        goto out;
    }
    transmission_begin(core);
    handover_fd = core->fd;
    smtp_start_session(session);
    handover_fd = -1;
    transmission_conclude(core);
    smtp_destroy_session(session);
out:
    if (login != NULL)
        auth_destroy_context(login);
}

static void send_message(struct submit_session *session, int fd, struct deadline_thread *deadlines,
                         struct submit_request *request, struct submit_result *out)
{
    struct esmtp_transmission *transmission = calloc(1, sizeof *transmission);

    if (transmission != NULL)
        transmission->session = session;
    transmission_run(transmission != NULL ? &transmission->core : NULL, &session->server, fd,
                     deadlines, request, out, transmit);
    free(transmission);
}

const struct submit_transport submit_esmtp = {
    .name = "libesmtp",
    .prepare = prepare,
    .open = submit_session_open,
    .close = submit_session_close,
    .send = send_message,
};
