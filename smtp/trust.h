/* SPDX-License-Identifier: MIT */
/*
 * trust.h - the TLS context of a server: whom it trusts, under which name, and why it did not.
 */
#ifndef FAXPOST_SMTP_TRUST_H
#define FAXPOST_SMTP_TRUST_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "policy/server.h"

enum { TRUST_REASON_MAX = 200 };

struct trust;

/* Certificates of ca_file (a file or a folder) or the system's; with a fingerprint that one
 * certificate and no other. ERROR_CONFIG, ERROR_MEMORY; why[] says what is wrong. */
int trust_new(struct trust **out, const struct server *server, char *why, size_t why_size);
void trust_free(struct trust *trust);

/* The context; sets the server's name (SNI) and checks certificate and name in the handshake. */
SSL_CTX *trust_context(const struct trust *trust);

/* The same authorities and checks for a context that a library made; the server's name (SNI) is
 * that library's to send. trust must outlive it. ERROR_LIBRARY. */
int trust_apply(struct trust *trust, SSL_CTX *context);

/* One certificate by its fingerprint, whatever its names are. */
bool trust_is_pinned(const struct trust *trust);

/* Why the last handshake on this thread failed, after trust_forget() at its beginning. */
void trust_forget(void);
void trust_reason(char out[TRUST_REASON_MAX]);

#endif
