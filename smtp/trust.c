/* SPDX-License-Identifier: MIT */
/*
 * trust.c - everything is set in the context, because the libraries make the SSL object themselves:
 * the name to verify comes in by the context's parameters, and the name for SNI, which libesmtp
 * knows nothing of, by the info callback.
 */
#include "smtp/trust.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/error.h"
#include "base/text.h"

struct trust {
    SSL_CTX *context;
    char host[SERVER_TEXT_MAX];
    bool is_name; /* not an address: SNI is sent */
    bool pinned;  /* fingerprint is set */
    unsigned char fingerprint[32];
};

/* Why the handshake of this thread failed: the callbacks run on the thread that asked. */
static _Thread_local char last_reason[TRUST_REASON_MAX];

void trust_forget(void)
{
    last_reason[0] = '\0';
    ERR_clear_error();
}

void trust_reason(char out[TRUST_REASON_MAX])
{
    unsigned long code = ERR_peek_last_error();
    const char *words = code != 0 ? ERR_reason_error_string(code) : NULL;

    if (last_reason[0] != '\0')
        text_copy(out, TRUST_REASON_MAX, last_reason);
    else
        snprintf(out, TRUST_REASON_MAX, "TLS handshake failed%s%s", words != NULL ? ": " : "",
                 words != NULL ? words : "");
    ERR_clear_error();
}

static int note_verification(int ok, X509_STORE_CTX *store)
{
    if (!ok)
        snprintf(last_reason, sizeof last_reason, "certificate: %s",
                 X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
    return ok;
}

/* A pinned certificate needs no authority and no name. */
static int check_fingerprint(X509_STORE_CTX *store, void *arg)
{
    const struct trust *trust = arg;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    X509 *certificate = X509_STORE_CTX_get0_cert(store);

    if (certificate != NULL && X509_digest(certificate, EVP_sha256(), digest, &length) == 1 &&
        length == sizeof trust->fingerprint &&
        CRYPTO_memcmp(digest, trust->fingerprint, length) == 0) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    }
    text_copy(last_reason, sizeof last_reason, "certificate: not the one of the fingerprint");
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
    return 0;
}

/* The handshake begins: tell the server which name we came for (RFC 6066 3). */
static void set_name(const SSL *ssl, int where, int result)
{
    const struct trust *trust;

    (void)result;
    if ((where & SSL_CB_HANDSHAKE_START) == 0)
        return;
    trust = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    if (trust->is_name)
        SSL_set_tlsext_host_name((SSL *)ssl, trust->host);
}

static int load_authorities(SSL_CTX *context, const struct server *server, char *why,
                            size_t why_size)
{
    struct stat st;
    int ok;

    if (server->ca_file[0] == '\0')
        return SSL_CTX_set_default_verify_paths(context) == 1 ? 0 : ERROR_LIBRARY;
    if (stat(server->ca_file, &st) < 0) {
        snprintf(why, why_size, "ca_file %s cannot be read", server->ca_file);
        return ERROR_CONFIG;
    }
    ok = S_ISDIR(st.st_mode) ? SSL_CTX_load_verify_dir(context, server->ca_file)
                             : SSL_CTX_load_verify_file(context, server->ca_file);
    if (ok != 1) {
        snprintf(why, why_size, "ca_file %s holds no certificate that can be read (PEM)",
                 server->ca_file);
        return ERROR_CONFIG;
    }
    return 0;
}

static void read_host(struct trust *trust, const struct server *server)
{
    unsigned char address[16];
    size_t i;

    text_copy(trust->host, sizeof trust->host, server->host);
    trust->is_name = inet_pton(AF_INET, trust->host, address) != 1 &&
                     inet_pton(AF_INET6, trust->host, address) != 1;
    trust->pinned = server->fingerprint[0] != '\0';
    for (i = 0; trust->pinned && i < sizeof trust->fingerprint; i++)
        sscanf(server->fingerprint + 2 * i, "%2hhx", &trust->fingerprint[i]);
}

static int set_verification(struct trust *trust, SSL_CTX *context)
{
    X509_VERIFY_PARAM *parameters = SSL_CTX_get0_param(context);

    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, note_verification);
    if (trust->pinned) {
        SSL_CTX_set_cert_verify_callback(context, check_fingerprint, trust);
        return 0;
    }
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (trust->is_name)
        return X509_VERIFY_PARAM_set1_host(parameters, trust->host, 0) == 1 ? 0 : ERROR_LIBRARY;
    return X509_VERIFY_PARAM_set1_ip_asc(parameters, trust->host) == 1 ? 0 : ERROR_LIBRARY;
}

int trust_new(struct trust **out, const struct server *server, char *why, size_t why_size)
{
    struct trust *trust = calloc(1, sizeof *trust);
    int error = ERROR_LIBRARY;

    text_copy(why, why_size, "the TLS library refused its settings");
    if (trust == NULL)
        return ERROR_MEMORY;
    read_host(trust, server);
    trust->context = SSL_CTX_new(TLS_client_method());
    if (trust->context == NULL)
        goto out;
    SSL_CTX_set_app_data(trust->context, trust);
    SSL_CTX_set_info_callback(trust->context, set_name);
    /* libesmtp reads before it writes when a TLS 1.3 session ticket arrives just then, and waits
     * for an answer to an EHLO it has not sent: TLS 1.2 has no such tickets. */
    SSL_CTX_set_max_proto_version(trust->context, TLS1_2_VERSION);
    error = load_authorities(trust->context, server, why, why_size);
    if (error == 0)
        error = set_verification(trust, trust->context);
out:
    if (error < 0) {
        trust_free(trust);
        return error;
    }
    *out = trust;
    return 0;
}

void trust_free(struct trust *trust)
{
    if (trust == NULL)
        return;
    SSL_CTX_free(trust->context);
    free(trust);
}

SSL_CTX *trust_context(const struct trust *trust)
{
    return trust->context;
}

int trust_apply(struct trust *trust, SSL_CTX *context)
{
    SSL_CTX_set1_cert_store(context, SSL_CTX_get_cert_store(trust->context));
    return set_verification(trust, context);
}

bool trust_is_pinned(const struct trust *trust)
{
    return trust->pinned;
}
