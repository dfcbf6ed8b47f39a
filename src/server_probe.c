/* SPDX-License-Identifier: MIT */
/*
 * server_probe.c - a plain dialogue over a blocking socket; the deadline thread ends a step that
 * overstays, so that a server of one octet a minute holds nobody.
 */
#include "src/server_probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "smtp/trust.h"
#include "src/server_reply.h"

enum {
    PASSWORD_MAX = 256,
    COMMAND_MAX = 1200,
};

struct talk {
    struct probe *out;
    const struct server *server;
    const char *hello;
    int64_t limit_ms;
    struct deadline_thread *deadlines;
    struct deadline deadline;
    int fd;
    SSL *ssl; /* NULL: in clear */
    struct server_reply reply;
};

/* ---- steps ---------------------------------------------------------------------------------- */

static bool step(struct talk *talk, enum failure_stage stage, bool fine, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Notes a step and gives back whether it was fine. */
static bool step(struct talk *talk, enum failure_stage stage, bool fine, const char *format, ...)
{
    struct probe *out = talk->out;
    va_list ap;

    if (out->count < PROBE_STEPS_MAX) {
        va_start(ap, format);
        vsnprintf(out->step[out->count].text, FAILURE_TEXT_MAX, format, ap);
        va_end(ap);
        out->step[out->count].stage = stage;
        out->step[out->count++].fine = fine;
    }
    if (!fine)
        out->fine = false;
    return fine;
}

/* ---- octets --------------------------------------------------------------------------------- */

static bool send_text(struct talk *talk, const char *text)
{
    size_t length = strlen(text);

    deadline_set(talk->deadlines, &talk->deadline, talk->limit_ms);
    if (talk->ssl != NULL)
        return SSL_write(talk->ssl, text, (int)length) == (int)length;
    return file_write_all(talk->fd, text, length) == 0;
}

/* server_reply.fill */
static ssize_t receive(void *user, char *out, size_t size)
{
    struct talk *talk = user;
    ssize_t n;

    if (talk->ssl != NULL)
        return SSL_read(talk->ssl, out, (int)size);
    do
        n = read(talk->fd, out, size);
    while (n < 0 && errno == EINTR);
    return n;
}

static int read_reply(struct talk *talk)
{
    struct server_reply *reply = &talk->reply;
    int error = server_reply_read(reply);

    if (error == ERROR_IO && deadline_has_fired(talk->deadlines, &talk->deadline))
        text_copy(reply->text, sizeof reply->text, "no answer in time");
    return error;
}

/* Sends a command (NULL: only listens) and reads its reply: true when it has this code. */
static bool ask(struct talk *talk, const char *command, int wanted)
{
    if (command == NULL) {
        deadline_set(talk->deadlines, &talk->deadline, talk->limit_ms);
    } else if (!send_text(talk, command)) {
        text_copy(talk->reply.text, sizeof talk->reply.text, "the connection was lost");
        return false;
    }
    return read_reply(talk) == 0 && talk->reply.code == wanted;
}

/* ---- TLS ------------------------------------------------------------------------------------ */

static bool shake_hands(struct talk *talk, const struct trust *trust)
{
    char why[TRUST_REASON_MAX];

    talk->ssl = SSL_new(trust_context(trust));
    if (talk->ssl == NULL || SSL_set_fd(talk->ssl, talk->fd) != 1)
        return step(talk, STAGE_STARTTLS, false, "the TLS library refused");
    trust_forget();
    deadline_set(talk->deadlines, &talk->deadline, talk->limit_ms);
    if (SSL_connect(talk->ssl) == 1)
        return step(talk, STAGE_STARTTLS, true, "%s, %s, certificate trusted",
                    SSL_get_version(talk->ssl), SSL_get_cipher_name(talk->ssl));
    trust_reason(why);
    return step(talk, STAGE_STARTTLS, false, "%s",
                deadline_has_fired(talk->deadlines, &talk->deadline) ? "no answer in time" : why);
}

static bool start_tls(struct talk *talk, const struct trust *trust)
{
    if (!talk->reply.offers_starttls)
        return step(talk, STAGE_STARTTLS, false, "the server does not offer STARTTLS");
    if (!ask(talk, "STARTTLS\r\n", 220))
        return step(talk, STAGE_STARTTLS, false, "%s", talk->reply.text);
    if (server_reply_is_ahead(&talk->reply)) /* what came before TLS must not count behind it */
        return step(talk, STAGE_STARTTLS, false, "the server speaks out of turn before TLS");
    return shake_hands(talk, trust);
}

static bool greet(struct talk *talk)
{
    char command[COMMAND_MAX];

    snprintf(command, sizeof command, "EHLO %.255s\r\n", talk->hello);
    return ask(talk, command, 250);
}

/* ---- login ---------------------------------------------------------------------------------- */

/* A password in clear goes no further than this machine. */
static bool login_is_safe(const struct talk *talk)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;

    if (talk->ssl != NULL)
        return true;
    if (getpeername(talk->fd, (struct sockaddr *)&peer, &length) < 0)
        return false;
    if (peer.ss_family == AF_INET)
        return ntohl(((struct sockaddr_in *)&peer)->sin_addr.s_addr) >> 24 == 127;
    return peer.ss_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&peer)->sin6_addr);
}

static bool read_password(const struct server *server, char out[PASSWORD_MAX])
{
    char *text = NULL;
    size_t length = 0;
    bool fine;

    if (file_read(AT_FDCWD, server->password_file, 4096, &text, &length) < 0)
        return false;
    text[strcspn(text, "\r\n")] = '\0';
    fine = text[0] != '\0' && text_copy(out, PASSWORD_MAX, text);
    explicit_bzero(text, length);
    free(text);
    return fine;
}

/* "PREFIX base64\r\n" */
static void encoded(char out[COMMAND_MAX], const char *prefix, const char *data, size_t length)
{
    unsigned char base64[COMMAND_MAX / 2 + 200];

    EVP_EncodeBlock(base64, (const unsigned char *)data, (int)length);
    snprintf(out, COMMAND_MAX, "%s%s\r\n", prefix, (const char *)base64);
    explicit_bzero(base64, sizeof base64);
}

static bool send_login(struct talk *talk, const char *password)
{
    const struct server *server = talk->server;
    char plain[SERVER_TEXT_MAX + PASSWORD_MAX + 2];
    char command[COMMAND_MAX];
    bool fine;
    int length;

    if (server->auth == SERVER_AUTH_PLAIN) {
        length = snprintf(plain, sizeof plain, "%c%s%c%s", '\0', server->user, '\0', password);
        encoded(command, "AUTH PLAIN ", plain, (size_t)length);
        explicit_bzero(plain, sizeof plain);
        fine = ask(talk, command, 235);
    } else {
        fine = ask(talk, "AUTH LOGIN\r\n", 334);
        encoded(command, "", server->user, strlen(server->user));
        fine = fine && ask(talk, command, 334);
        encoded(command, "", password, strlen(password));
        fine = fine && ask(talk, command, 235);
    }
    explicit_bzero(command, sizeof command);
    return fine;
}

static bool log_in(struct talk *talk)
{
    const struct server *server = talk->server;
    char password[PASSWORD_MAX];
    bool plain = server->auth == SERVER_AUTH_PLAIN;
    bool fine;

    if (server->auth != SERVER_AUTH_PLAIN && server->auth != SERVER_AUTH_LOGIN)
        return step(talk, STAGE_AUTH, talk->reply.offers_xoauth2,
                    "%s; the login itself is not tried",
                    talk->reply.offers_xoauth2 ? "the server offers XOAUTH2"
                                               : "the server does not offer XOAUTH2");
    if (!login_is_safe(talk))
        return step(talk, STAGE_AUTH, false,
                    "a password is not sent in clear over the network: set tls = starttls");
    if (plain ? !talk->reply.offers_plain : !talk->reply.offers_login)
        return step(talk, STAGE_AUTH, false, "the server does not offer AUTH %s",
                    plain ? "PLAIN" : "LOGIN");
    if (!read_password(server, password))
        return step(talk, STAGE_AUTH, false, "password_file cannot be read, or is empty");
    fine = send_login(talk, password);
    explicit_bzero(password, sizeof password);
    return step(talk, STAGE_AUTH, fine, "%s", talk->reply.text);
}

/* ---- the dialogue --------------------------------------------------------------------------- */

static void converse(struct talk *talk, const struct trust *trust)
{
    const struct server *server = talk->server;
    bool fine;

    if (server->tls == SERVER_TLS_IMPLICIT && !shake_hands(talk, trust))
        return;
    fine = ask(talk, NULL, 220);
    if (!step(talk, STAGE_GREETING, fine, "%s", talk->reply.text))
        return;
    fine = greet(talk);
    if (!step(talk, STAGE_EHLO, fine, "%s", talk->reply.text))
        return;
    if (server->tls == SERVER_TLS_STARTTLS) {
        if (!start_tls(talk, trust))
            return;
        if (!greet(talk)) {
            step(talk, STAGE_EHLO, false, "%s", talk->reply.text);
            return;
        }
    }
    if (server->tls == SERVER_TLS_NONE && talk->reply.offers_starttls)
        step(talk, STAGE_STARTTLS, true, "offered but not used: set tls = starttls");
    if (server->auth != SERVER_AUTH_NONE && !log_in(talk))
        return;
    ask(talk, "QUIT\r\n", 221); /* politeness: whatever it answers */
}

static bool open_socket(struct talk *talk, struct resolver *resolver)
{
    struct failure why = {.stage = STAGE_TCP};
    int flags;

    talk->fd = connect_open(resolver, talk->server->host, talk->server->port, talk->limit_ms, -1,
                            talk->out->address, &why);
    if (talk->fd < 0)
        return step(talk, why.stage, false, "%s", why.text);
    flags = fcntl(talk->fd, F_GETFL);
    if (flags < 0 || fcntl(talk->fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
        return step(talk, STAGE_TCP, false, "the socket cannot be used");
    return step(talk, STAGE_TCP, true, "connected to %s", talk->out->address);
}

void probe_server(struct probe *out, const struct server *server, const char *hello,
                  int64_t limit_ms, struct resolver *resolver, struct deadline_thread *deadlines)
{
    struct talk *talk = calloc(1, sizeof *talk);
    struct trust *trust = NULL;
    char why[300];

    *out = (struct probe){.fine = talk != NULL};
    if (talk == NULL)
        return;
    talk->out = out;
    talk->server = server;
    talk->hello = hello;
    talk->limit_ms = limit_ms;
    talk->deadlines = deadlines;
    talk->fd = -1;
    talk->reply.fill = receive;
    talk->reply.user = talk;
    if (server->tls != SERVER_TLS_NONE && trust_new(&trust, server, why, sizeof why) < 0) {
        step(talk, STAGE_STARTTLS, false, "%s", why);
    } else if (open_socket(talk, resolver)) {
        deadline_begin(deadlines, &talk->deadline, talk->fd);
        converse(talk, trust);
        deadline_end(deadlines, &talk->deadline);
    }
    SSL_free(talk->ssl);
    trust_free(trust);
    if (talk->fd >= 0)
        close(talk->fd);
    free(talk);
}
