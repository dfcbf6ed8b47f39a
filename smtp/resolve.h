/* SPDX-License-Identifier: MIT */
/*
 * resolve.h - names to addresses within a bounded time: getaddrinfo() knows no time-out, so a few
 * threads of their own wait for it, and nobody else does.
 */
#ifndef FAXPOST_SMTP_RESOLVE_H
#define FAXPOST_SMTP_RESOLVE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { RESOLVE_ADDRESSES_MAX = 16 };

struct resolve_result {
    int count;
    struct {
        struct sockaddr_storage storage;
        socklen_t length;
    } address[RESOLVE_ADDRESSES_MAX];
};

struct resolver;

int resolver_start(struct resolver **out);

/* Those who wait get ERROR_TIMEOUT at once, also later. */
void resolver_cancel(struct resolver *resolver);

/* Joins the threads. One that is in a look-up is waited for a second; then it is left to the end of
 * the process, with what it uses. NULL is fine. */
void resolver_stop(struct resolver *resolver);

/* All addresses of a name, in the order of RFC 6724; an address in text needs no look-up. Waits at
 * most wait_ms. ERROR_NOT_FOUND when the name does not exist, ERROR_IO when the resolver failed or
 * gave no address, ERROR_TIMEOUT. */
int resolver_resolve(struct resolver *resolver, const char *host, int port, int64_t wait_ms,
                     struct resolve_result *out);

#endif
