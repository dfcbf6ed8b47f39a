/* SPDX-License-Identifier: MIT */
/*
 * smtp_script.c - plays the server's part of a dialogue.
 */
#include "test/unit/smtp_script.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/buffer.h"
#include "base/text.h"

struct smtp_script {
    pthread_t thread;
    const char *const *script, *const *second;
    const char *certificates;
    int connections;
    int listen_fd, fd, port;
    SSL *ssl;
    struct buffer message;
    atomic_bool stop;
    atomic_int mails, recipients, served;
    char complaint[200];
    char server_name[100];
    unsigned char read_buffer[4096];
    int read_at, read_count;
};

/* ---- certificates -----------------------------------------------------------------------------
 */

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static X509 *make_certificate(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *issuer_key,
                              const char *alternative, int days)
{
    static long serial;
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_get_subject_name(certificate);

    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -10 * 86400);
    X509_gmtime_adj(X509_getm_notAfter(certificate), days * 86400L);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate, issuer != NULL ? X509_get_subject_name(issuer) : subject);
    X509_set_pubkey(certificate, key);
    if (alternative == NULL)
        add_extension(certificate, issuer != NULL ? issuer : certificate, NID_basic_constraints,
                      "critical,CA:TRUE");
    else
        add_extension(certificate, issuer != NULL ? issuer : certificate, NID_subject_alt_name,
                      alternative);
    X509_sign(certificate, issuer_key != NULL ? issuer_key : key, EVP_sha256());
    return certificate;
}

static void write_pem(const char *folder, const char *name, X509 *certificate, EVP_PKEY *key)
{
    char path[300];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s.pem", folder, name);
    file = fopen(path, "w");
    PEM_write_X509(file, certificate);
    if (key != NULL)
        PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
}

void smtp_script_certificates(const char *folder)
{
    static const struct {
        const char *name, *alternative;
        int days;
        bool self;
    } rows[] = {
        {"good", "DNS:localhost,IP:127.0.0.1", 10, false},
        {"wrong", "DNS:elsewhere.example", 10, false},
        {"expired", "DNS:localhost,IP:127.0.0.1", -1, false},
        {"self", "DNS:localhost,IP:127.0.0.1", 10, true},
    };
    EVP_PKEY *ca_key = EVP_EC_gen("P-256");
    X509 *ca = make_certificate(ca_key, "Test CA", NULL, NULL, NULL, 10);
    size_t i;

    write_pem(folder, "ca", ca, NULL);
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        EVP_PKEY *key = EVP_EC_gen("P-256");
        X509 *certificate =
            make_certificate(key, rows[i].name, rows[i].self ? NULL : ca,
                             rows[i].self ? NULL : ca_key, rows[i].alternative, rows[i].days);

        write_pem(folder, rows[i].name, certificate, key);
        X509_free(certificate);
        EVP_PKEY_free(key);
    }
    X509_free(ca);
    EVP_PKEY_free(ca_key);
}

/* ---- octets -----------------------------------------------------------------------------------
 */

static bool put(struct smtp_script *script, const char *data, size_t length)
{
    while (length > 0) {
        int n = script->ssl != NULL ? SSL_write(script->ssl, data, (int)length)
                                    : (int)send(script->fd, data, length, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        data += n;
        length -= (size_t)n;
    }
    return true;
}

/* The next octet, or -1. */
static int get(struct smtp_script *script)
{
    if (script->read_at == script->read_count) {
        script->read_at = 0;
        script->read_count =
            script->ssl != NULL
                ? SSL_read(script->ssl, script->read_buffer, sizeof script->read_buffer)
                : (int)recv(script->fd, script->read_buffer, sizeof script->read_buffer, 0);
        if (script->read_count <= 0) {
            script->read_count = 0;
            return -1;
        }
    }
    return script->read_buffer[script->read_at++];
}

static bool get_line(struct smtp_script *script, char *out, size_t size)
{
    size_t used = 0;
    int c;

    while ((c = get(script)) >= 0) {
        if (used < size - 1)
            out[used++] = (char)c;
        if (c == '\n')
            break;
    }
    out[used] = '\0';
    return c == '\n';
}

/* ---- words ------------------------------------------------------------------------------------
 */

static int server_name(SSL *ssl, int *alert, void *arg)
{
    struct smtp_script *script = arg;

    (void)alert;
    text_copy(script->server_name, sizeof script->server_name,
              SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
    return SSL_TLSEXT_ERR_OK;
}

static bool shake_hands(struct smtp_script *script, const char *name)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    char path[300];
    bool good;

    snprintf(path, sizeof path, "%s/%s.pem", script->certificates, name);
    SSL_CTX_use_certificate_file(context, path, SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM);
    SSL_CTX_set_tlsext_servername_callback(context, server_name);
    SSL_CTX_set_tlsext_servername_arg(context, script);
    script->ssl = SSL_new(context);
    SSL_CTX_free(context);
    SSL_set_fd(script->ssl, script->fd);
    good = SSL_accept(script->ssl) == 1;
    if (!good) {
        SSL_free(script->ssl);
        script->ssl = NULL;
    }
    return good;
}

static bool read_message(struct smtp_script *script)
{
    char line[2000];

    buffer_free(&script->message);
    while (get_line(script, line, sizeof line)) {
        if (strcmp(line, ".\r\n") == 0)
            return true;
        buffer_text(&script->message, line[0] == '.' ? line + 1 : line);
    }
    return false;
}

static void hang(struct smtp_script *script)
{
    struct pollfd poll_fd = {.fd = script->fd, .events = POLLIN};

    while (poll(&poll_fd, 1, 60000) > 0)
        if (get(script) < 0)
            return;
    text_copy(script->complaint, sizeof script->complaint, "the client never left");
}

static bool flood(struct smtp_script *script, const char *block, int times)
{
    while (times-- > 0)
        if (!put(script, block, strlen(block)))
            return false;
    return true;
}

static bool trickle(struct smtp_script *script, const char *text)
{
    for (; *text != '\0'; text++) {
        if (!put(script, text, 1))
            return false;
        usleep(20000);
    }
    return put(script, "\r\n", 2);
}

static bool expect(struct smtp_script *script, const char *verb)
{
    char line[2000];

    if (!get_line(script, line, sizeof line)) {
        snprintf(script->complaint, sizeof script->complaint, "no %.60s: the client is gone", verb);
        return false;
    }
    if (strncasecmp(line, verb, strlen(verb)) != 0) {
        snprintf(script->complaint, sizeof script->complaint, "not %.60s but %.80s", verb, line);
        return false;
    }
    return true;
}

static bool take_mails(struct smtp_script *script)
{
    char line[2000];

    while (get_line(script, line, sizeof line)) {
        bool data = strncasecmp(line, "DATA", 4) == 0;
        const char *reply = data ? "354 go\r\n" : "250 2.0.0 ok\r\n";

        if (strncasecmp(line, "QUIT", 4) == 0)
            return put(script, "221 bye\r\n", 9);
        if (strncasecmp(line, "RCPT", 4) == 0)
            atomic_fetch_add(&script->recipients, 1);
        if (!put(script, reply, strlen(reply)))
            return false;
        if (!data)
            continue;
        if (!read_message(script))
            return false;
        atomic_fetch_add(&script->mails, 1);
        if (!put(script, "250 2.0.0 queued\r\n", 18))
            return false;
    }
    return false;
}

static void reset(struct smtp_script *script)
{
    struct linger linger = {.l_onoff = 1};

    setsockopt(script->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

/* False ends the connection. */
static bool play(struct smtp_script *script, const char *word)
{
    char line[1200];

    if (strncmp(word, "S:", 2) == 0) {
        snprintf(line, sizeof line, "%s\r\n", word + 2);
        return put(script, line, strlen(line));
    }
    if (strncmp(word, "R:", 2) == 0)
        return put(script, word + 2, strlen(word + 2));
    if (strncmp(word, "C:", 2) == 0)
        return expect(script, word + 2);
    if (strncmp(word, "TRICKLE ", 8) == 0)
        return trickle(script, word + 8);
    if (strncmp(word, "SLEEP ", 6) == 0) {
        usleep((useconds_t)atoi(word + 6) * 1000);
    } else if (strncmp(word, "SOME ", 5) == 0) {
        int n = atoi(word + 5);

        while (n-- > 0)
            if (get(script) < 0)
                return false;
    } else if (strncmp(word, "TLS ", 4) == 0) {
        return shake_hands(script, word + 4);
    } else if (strcmp(word, "MAILS") == 0) {
        return take_mails(script);
    } else if (strcmp(word, "DATA") == 0) {
        return read_message(script);
    } else if (strcmp(word, "MEGA") == 0) {
        return flood(script, "250 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 20000);
    } else if (strcmp(word, "LINES") == 0) {
        return flood(script, "250-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", 20000);
    } else if (strcmp(word, "RESET") == 0) {
        reset(script);
        return false;
    } else if (strcmp(word, "CLOSE") == 0) {
        return false;
    } else if (strcmp(word, "HANG") == 0) {
        hang(script);
        return false;
    } else if (strcmp(word, "STALL") == 0) {
        int i;

        /* The client's end cannot be seen behind what was not read. */
        for (i = 0; i < 6000 && !atomic_load(&script->stop); i++)
            usleep(5000);
        return false;
    }
    return true;
}

static void *run(void *arg)
{
    struct smtp_script *script = arg;
    const char *const *words;
    int served;
    int i;

    for (served = 0; served != script->connections; served++) {
        struct pollfd poll_fd = {.fd = script->listen_fd, .events = POLLIN};

        while (!atomic_load(&script->stop) && poll(&poll_fd, 1, 50) <= 0)
            ;
        if (poll(&poll_fd, 1, 0) <= 0) { /* stopped */
            if (script->connections >= 0)
                text_copy(script->complaint, sizeof script->complaint, "nobody came");
            break;
        }
        script->fd = accept(script->listen_fd, NULL, NULL);
        if (script->fd < 0)
            break;
        atomic_fetch_add(&script->served, 1);
        script->read_at = script->read_count = 0;
        words = served == 1 && script->second != NULL ? script->second : script->script;
        for (i = 0; words[i] != NULL; i++)
            if (!play(script, words[i]))
                break;
        SSL_free(script->ssl);
        script->ssl = NULL;
        close(script->fd);
    }
    return NULL;
}

static struct smtp_script *start(const char *const *words, const char *const *second,
                                 int connections, const char *certificates)
{
    struct smtp_script *script = calloc(1, sizeof *script);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    int size = 4096;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    script->script = words;
    script->second = second;
    script->connections = connections;
    script->certificates = certificates;
    buffer_init(&script->message, 64 * 1024 * 1024);
    script->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* A small window: what is not read stops the sender soon. */
    setsockopt(script->listen_fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    bind(script->listen_fd, (struct sockaddr *)&address, sizeof address);
    listen(script->listen_fd, 16);
    getsockname(script->listen_fd, (struct sockaddr *)&address, &length);
    script->port = ntohs(address.sin_port);
    pthread_create(&script->thread, NULL, run, script);
    return script;
}

struct smtp_script *smtp_script_start(const char *const *words, int connections,
                                      const char *certificates)
{
    return start(words, NULL, connections, certificates);
}

struct smtp_script *smtp_script_start_two(const char *const *first, const char *const *second)
{
    return start(first, second, second[0] != NULL ? 2 : 1, NULL);
}

int smtp_script_port(const struct smtp_script *script)
{
    return script->port;
}

void smtp_script_counts(struct smtp_script *script, int *mails, int *recipients, int *connections)
{
    *mails = atomic_load(&script->mails);
    *recipients = atomic_load(&script->recipients);
    *connections = atomic_load(&script->served);
}

void smtp_script_stop(struct smtp_script *script, char **out_message, size_t *out_length,
                      char *complaint, size_t complaint_size, char *name, size_t name_size)
{
    atomic_store(&script->stop, true);
    pthread_join(script->thread, NULL);
    close(script->listen_fd);
    if (complaint != NULL)
        text_copy(complaint, complaint_size, script->complaint);
    if (name != NULL)
        text_copy(name, name_size, script->server_name);
    if (out_message != NULL) {
        *out_length = script->message.length;
        *out_message = (char *)script->message.data;
        script->message.data = NULL;
    }
    buffer_free(&script->message);
    free(script);
}
