/* SPDX-License-Identifier: MIT */
/*
 * submit_curl.c - sending by libcurl: TLS from the first octet, and XOAUTH2 with either kind of
 * TLS.
 *
 * - Its socket is ours: it gets a second descriptor of the ready one and connects nowhere.
 * - Its time-outs are set beyond our own, which shut the socket down.
 * - What was said is known from the debug callback, line by line, before libcurl acts on it; so
 * both transports are judged by the same dialogue, and what libcurl says itself is only used where
 *   the dialogue has nothing to say. None of these lines is logged.
 * - How much of the message went out is counted from outside (smtp/outflow.h).
 */
#include "smtp/submit.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include <curl/curl.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "smtp/login.h"
#include "smtp/outflow.h"
#include "smtp/submit_session.h"
#include "smtp/transmission.h"
#include "smtp/trust.h"

enum {
    URL_MAX = 1200,
    LIBRARY_TIMEOUT_S = 86400, /* beyond all of ours */
};

/* One transmission. */
struct curl_transmission {
    struct transmission core; /* first: the callback of transmission_run() gets its address */
    struct submit_session *session;
    struct login_token token;
    struct outflow flow;
    bool handed_over; /* libcurl has its socket */
    char words[CURL_ERROR_SIZE];
};

/* ---- getting ready ----------------------------------------------------------------------------
 */

static const char *unusable; /* why; written by prepare() only */

static void prepare_once(void)
{
    const curl_version_info_data *info;

    signal(SIGPIPE, SIG_IGN); /* with CURLOPT_NOSIGNAL it leaves that to us */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        unusable = "libcurl cannot be initialized";
        return;
    }
    info = curl_version_info(CURLVERSION_NOW);
    if (info->ssl_version == NULL || strncmp(info->ssl_version, "OpenSSL", 7) != 0)
        unusable = "libcurl is not the one built with OpenSSL: install libcurl4";
    if (unusable != NULL)
        log_warning("tls = implicit and auth = xoauth2 are not possible: %s", unusable);
}

static int prepare(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, prepare_once);
    return 0; /* who does not use it need not care */
}

/* ---- what is kept for a server ----------------------------------------------------------------
 */

static int open_session(struct submit_session **out, const struct server *server, char *why,
                        size_t why_size)
{
    if (unusable != NULL) {
        text_copy(why, why_size, unusable);
        return ERROR_CONFIG;
    }
    return submit_session_open(out, server, why, why_size);
}

/* ---- the socket and TLS -----------------------------------------------------------------------
 */

static curl_socket_t hand_over(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct curl_transmission *transmission = arg;

    (void)address;
    if (purpose != CURLSOCKTYPE_IPCXN || transmission->handed_over)
        return CURL_SOCKET_BAD;
    transmission->handed_over = true;
    return fcntl(transmission->core.fd, F_DUPFD_CLOEXEC, 3); /* libcurl closes it */
}

static int say_connected(void *arg, curl_socket_t fd, curlsocktype purpose)
{
    (void)arg;
    (void)fd;
    (void)purpose;
    return CURL_SOCKOPT_ALREADY_CONNECTED;
}

/* The certificate was verified by then. TLS 1.3 tells of later messages in the same way. */
static void note_handshake(const SSL *ssl, int where, int result)
{
    struct transmission *core = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    (void)result;
    if ((where & SSL_CB_HANDSHAKE_DONE) != 0 && !core->dialogue.tls)
        transmission_tls_started(core);
}

/* libcurl made a context for this connection and set its own: ours goes over it. */
static CURLcode set_trust(CURL *easy, void *context, void *arg)
{
    struct curl_transmission *transmission = arg;

    (void)easy;
    if (trust_apply(transmission->session->trust, context) < 0)
        return CURLE_SSL_CERTPROBLEM;
    SSL_CTX_set_app_data((SSL_CTX *)context, &transmission->core);
    SSL_CTX_set_info_callback(context, note_handshake);
    return CURLE_OK;
}

/* ---- the dialogue -----------------------------------------------------------------------------
 */

static int take_debug(CURL *easy, curl_infotype type, char *data, size_t length, void *arg)
{
    struct curl_transmission *transmission = arg;

    (void)easy;
    if (transmission->core.broken)
        return 0;
    if (type == CURLINFO_HEADER_OUT)
        transmission_sent(&transmission->core, data, length);
    else if (type == CURLINFO_HEADER_IN)
        outflow_received(&transmission->flow, data, length);
    else if (type == CURLINFO_DATA_OUT)
        outflow_sent(&transmission->flow, length);
    return 0;
}

/* ---- the message ------------------------------------------------------------------------------
 */

static size_t give_message(char *out, size_t size, size_t count, void *arg)
{
    struct curl_transmission *transmission = arg;
    ssize_t n = outflow_read(&transmission->flow, out, size * count);

    return n < 0 ? CURL_READFUNC_ABORT : (size_t)n;
}

static size_t ignore_output(char *data, size_t size, size_t count, void *arg)
{
    (void)data;
    (void)arg;
    return size * count;
}

/* ---- setting libcurl up -----------------------------------------------------------------------
 */

#define SET(option, value) (curl_easy_setopt(easy, option, value) == CURLE_OK)

/* The address that the socket is connected to already: so no name is looked up again. */
static bool describe_peer(char *out, size_t size, int fd)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    char text[INET6_ADDRSTRLEN];

    if (getpeername(fd, (struct sockaddr *)&peer, &length) < 0)
        return false;
    if (peer.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&peer;

        inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text);
        snprintf(out, size, "::[%s]:%u", text, ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&peer;

        inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
        snprintf(out, size, "::%s:%u", text, ntohs(in->sin_port));
    }
    return true;
}

/* The name for SNI and EHLO's argument come in by the URL. */
static bool set_place(CURL *easy, const struct curl_transmission *transmission)
{
    const struct server *server = &transmission->session->server;
    bool is_ipv6 = strchr(server->host, ':') != NULL;
    char *hello = curl_easy_escape(easy, transmission->core.request->hello, 0);
    char url[URL_MAX];
    int length;

    if (hello == NULL)
        return false;
    length = snprintf(url, sizeof url, "%s://%s%s%s:%d/%s",
                      server->tls == SERVER_TLS_IMPLICIT ? "smtps" : "smtp", is_ipv6 ? "[" : "",
                      server->host, is_ipv6 ? "]" : "", server->port, hello);
    curl_free(hello);
    return length < (int)sizeof url && SET(CURLOPT_URL, url);
}

static bool set_connection(CURL *easy, struct curl_transmission *transmission,
                           struct curl_slist *peer)
{
    return set_place(easy, transmission) && SET(CURLOPT_CONNECT_TO, peer) &&
           SET(CURLOPT_PROTOCOLS_STR, "smtp,smtps") && SET(CURLOPT_PROXY, "") &&
           SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) && SET(CURLOPT_NOSIGNAL, 1L) &&
           SET(CURLOPT_FRESH_CONNECT, 1L) && SET(CURLOPT_FORBID_REUSE, 1L) &&
           SET(CURLOPT_CONNECTTIMEOUT, (long)LIBRARY_TIMEOUT_S) &&
           SET(CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)LIBRARY_TIMEOUT_S) &&
           SET(CURLOPT_OPENSOCKETFUNCTION, hand_over) &&
           SET(CURLOPT_OPENSOCKETDATA, transmission) &&
           SET(CURLOPT_SOCKOPTFUNCTION, say_connected) && SET(CURLOPT_VERBOSE, 1L) &&
           SET(CURLOPT_DEBUGFUNCTION, take_debug) && SET(CURLOPT_DEBUGDATA, transmission) &&
           SET(CURLOPT_WRITEFUNCTION, ignore_output) &&
           SET(CURLOPT_ERRORBUFFER, transmission->words);
}

/* libcurl verifies too, by what set_trust() puts in; a pinned certificate may bear any name. */
static bool set_tls(CURL *easy, struct curl_transmission *transmission)
{
    const struct trust *trust = transmission->session->trust;

    if (trust == NULL)
        return SET(CURLOPT_USE_SSL, (long)CURLUSESSL_NONE);
    return SET(CURLOPT_USE_SSL, (long)CURLUSESSL_ALL) &&
           SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) &&
           SET(CURLOPT_SSL_VERIFYPEER, 1L) &&
           SET(CURLOPT_SSL_VERIFYHOST, trust_is_pinned(trust) ? 0L : 2L) &&
           SET(CURLOPT_CAINFO, (char *)NULL) && SET(CURLOPT_CAPATH, (char *)NULL) &&
           SET(CURLOPT_SSL_SESSIONID_CACHE, 0L) && SET(CURLOPT_SSL_CTX_FUNCTION, set_trust) &&
           SET(CURLOPT_SSL_CTX_DATA, transmission);
}

static bool set_login(CURL *easy, const struct curl_transmission *transmission)
{
    const struct login *login = transmission->session->login;
    const char *mechanism = login_mechanism(transmission->session->server.auth);
    char options[40];

    if (mechanism == NULL)
        return true;
    snprintf(options, sizeof options, "AUTH=%s", mechanism);
    if (!SET(CURLOPT_LOGIN_OPTIONS, options) || !SET(CURLOPT_SASL_IR, 1L) ||
        !SET(CURLOPT_USERNAME, login_user(login)))
        return false;
    if (transmission->session->server.auth == SERVER_AUTH_XOAUTH2)
        return SET(CURLOPT_XOAUTH2_BEARER, transmission->token.text);
    return SET(CURLOPT_PASSWORD, login_password(login));
}

static bool set_message(CURL *easy, struct curl_transmission *transmission,
                        struct curl_slist *recipients)
{
    return SET(CURLOPT_MAIL_FROM, transmission->core.request->envelope_from) &&
           SET(CURLOPT_MAIL_RCPT, recipients) && SET(CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L) &&
           SET(CURLOPT_UPLOAD, 1L) && SET(CURLOPT_UPLOAD_BUFFERSIZE, (long)OUTFLOW_BLOCK_BYTES) &&
           SET(CURLOPT_READFUNCTION, give_message) && SET(CURLOPT_READDATA, transmission) &&
           SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)transmission->core.length);
}

/* libcurl puts addresses into commands as they are. */
static bool address_is_safe(const char *address)
{
    for (; *address != '\0'; address++)
        if (iscntrl((unsigned char)*address) || *address == '<' || *address == '>')
            return false;
    return true;
}

static struct curl_slist *list_recipients(const struct submit_request *request)
{
    struct curl_slist *list = NULL;
    int i;

    for (i = 0; i < request->recipient_count; i++) {
        struct curl_slist *longer = curl_slist_append(list, request->recipients[i].address);

        if (longer == NULL) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = longer;
    }
    return list;
}

/* ---- sending ----------------------------------------------------------------------------------
 */

static bool is_cut(void *arg)
{
    const struct transmission *core = arg;

    return deadline_has_fired(core->deadlines, &core->deadline);
}

/* Gets the token before the dialogue begins; false: there is none, and the failure is set. */
static bool get_token(struct curl_transmission *transmission)
{
    struct transmission *core = &transmission->core;
    char why[400];
    int error;

    if (core->server->auth != SERVER_AUTH_XOAUTH2)
        return true;
    deadline_begin(core->deadlines, &core->deadline, core->fd); /* so that a stop ends it */
    error = login_token(transmission->session->login, &transmission->token, is_cut, core, why,
                        sizeof why);
    if (deadline_end(core->deadlines, &core->deadline))
        dialogue_fail(&core->dialogue, STAGE_AUTH, EVENT_TIMEOUT, "ended before the login");
    else if (error < 0)
        dialogue_fail(&core->dialogue, STAGE_AUTH, EVENT_NOT_OFFERED, why);
    return error == 0;
}

/* XOAUTH2 refuses with a challenge that tells why, in base64; its 535 would come after an empty
 * answer, which libcurl does not give. */
static void judge_challenge(struct dialogue *dialogue)
{
    const char *challenge = dialogue->last.text + 4;
    size_t length = strlen(dialogue->last.text) > 4 ? strlen(challenge) : 0;
    char words[FAILURE_TEXT_MAX] = "334 ";

    if (!dialogue->in_auth || dialogue->last.code != 334 || dialogue->failed)
        return;
    if (length % 4 != 0 || length > sizeof words - 8 ||
        EVP_DecodeBlock((unsigned char *)words + 4, (const unsigned char *)challenge, (int)length) <
            0)
        text_copy(words, sizeof words, dialogue->last.text);
    dialogue_fail(dialogue, STAGE_AUTH, EVENT_REPLY, words);
    dialogue->failure.code = 535;
}

/* What libcurl knows better than the dialogue. */
static void judge_result(struct curl_transmission *transmission, CURLcode result)
{
    struct transmission *core = &transmission->core;
    struct dialogue *dialogue = &core->dialogue;
    char words[TRUST_REASON_MAX + CURL_ERROR_SIZE];

    if (result == CURLE_OK || dialogue->failed || dialogue->accepted ||
        deadline_has_fired(core->deadlines, &core->deadline))
        return;
    if (result == CURLE_LOGIN_DENIED) {
        judge_challenge(dialogue);
    } else if (dialogue_stage(dialogue) == STAGE_STARTTLS ||
               result == CURLE_PEER_FAILED_VERIFICATION) {
        trust_reason(words);
        if (strcmp(words, "TLS handshake failed") == 0)
            snprintf(words + strlen(words), CURL_ERROR_SIZE, ": %s",
                     transmission->words[0] != '\0' ? transmission->words
                                                    : curl_easy_strerror(result));
        dialogue_fail(dialogue, STAGE_STARTTLS, EVENT_TLS, words);
    } else if (!dialogue->greeted && !transmission->handed_over) {
        log_error("libcurl did not begin server=%s: %s", core->server->name,
                  curl_easy_strerror(result));
        core->local_error = result == CURLE_OUT_OF_MEMORY ? ERROR_MEMORY : ERROR_LIBRARY;
    }
}

static void perform(struct curl_transmission *transmission, CURL *easy)
{
    CURLcode result;

    transmission_begin(&transmission->core);
    result = curl_easy_perform(easy);
    judge_result(transmission, result);
    transmission_conclude(&transmission->core);
}

static int check_addresses(const struct submit_request *request)
{
    bool safe = address_is_safe(request->envelope_from);
    int i;

    for (i = 0; i < request->recipient_count; i++)
        safe = safe && address_is_safe(request->recipients[i].address);
    return safe ? 0 : ERROR_FORMAT;
}

static void transmit(struct transmission *core)
{
    struct curl_transmission *transmission = (struct curl_transmission *)core;
    struct curl_slist *recipients = NULL;
    struct curl_slist *peer = NULL;
    CURL *easy = NULL;
    char place[100];

    core->local_error = check_addresses(core->request);
    if (core->local_error < 0 || !get_token(transmission))
        return;
    if (!describe_peer(place, sizeof place, core->fd)) {
        dialogue_end(&core->dialogue, EVENT_LOST, "the connection was lost");
        return;
    }
    outflow_begin(&transmission->flow, core);
    core->local_error = ERROR_MEMORY;
    easy = curl_easy_init();
    peer = curl_slist_append(NULL, place);
    recipients = list_recipients(core->request);
    if (easy == NULL || peer == NULL || recipients == NULL)
        goto out;
    core->local_error = ERROR_LIBRARY;
    if (!set_connection(easy, transmission, peer) || !set_tls(easy, transmission) ||
        !set_login(easy, transmission) || !set_message(easy, transmission, recipients))
        goto out;
    core->local_error = 0;
    perform(transmission, easy);
out:
    curl_easy_cleanup(easy);
    curl_slist_free_all(recipients);
    curl_slist_free_all(peer);
}

static bool is_refused_login(const struct submit_result *result)
{
    return result->local_error == 0 && result->failure.stage == STAGE_AUTH &&
           result->failure.event == EVENT_REPLY && result->failure.code / 100 == 5;
}

static void send_message(struct submit_session *session, int fd, struct deadline_thread *deadlines,
                         struct submit_request *request, struct submit_result *out)
{
    struct curl_transmission *transmission = calloc(1, sizeof *transmission);

    if (transmission != NULL)
        transmission->session = session;
    transmission_run(transmission != NULL ? &transmission->core : NULL, &session->server, fd,
                     deadlines, request, out, transmit);
    if (transmission == NULL)
        return;
    if (session->server.auth == SERVER_AUTH_XOAUTH2 && is_refused_login(out))
        out->again = login_token_refused(session->login, &transmission->token);
    explicit_bzero(&transmission->token, sizeof transmission->token);
    free(transmission);
}

const struct submit_transport submit_curl = {
    .name = "libcurl",
    .prepare = prepare,
    .open = open_session,
    .close = submit_session_close,
    .send = send_message,
};
