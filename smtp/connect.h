/* SPDX-License-Identifier: MIT */
/*
 * connect.h - S1: resolve a server's name and connect by TCP, every address of the name, within one
 * time limit.
 */
#ifndef FAXPOST_SMTP_CONNECT_H
#define FAXPOST_SMTP_CONNECT_H

#include <stddef.h>
#include <stdint.h>

#include "policy/failure.h"
#include "smtp/resolve.h"

enum { CONNECT_ADDRESS_MAX = 64 }; /* "[2001:db8::1]:25" */

/* A connected socket (non-blocking, close-on-exec, TCP_NODELAY), the caller's to close, and the
 * address that took it. On failure a negative error, *why says what happened, and address holds
 * the last one tried, or host:port where the name gave none. stop_fd (-1: none) becoming readable
 * ends the wait. */
int connect_open(struct resolver *resolver, const char *host, int port, int64_t limit_ms,
                 int stop_fd, char address[CONNECT_ADDRESS_MAX], struct failure *why);

#endif
