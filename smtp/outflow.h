/* SPDX-License-Identifier: MIT */
/*
 * outflow.h - for a library that buffers, stuffs dots and reads replies by itself: how much of the
 * message went out is counted after each write, so that the dot is known to be unsent until all
 * before it was sent; and a reply that came too early is told from an answer.
 */
#ifndef FAXPOST_SMTP_OUTFLOW_H
#define FAXPOST_SMTP_OUTFLOW_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "smtp/transmission.h"

enum { OUTFLOW_BLOCK_BYTES = 16384 }; /* what must go out within one [timeouts] data */

struct outflow {
    struct transmission *core;
    char last[2];      /* the last two octets that were handed over */
    int64_t dots;      /* that dot-stuffing adds to what was handed over (RFC 5321 4.5.2) */
    int64_t out;       /* octets of the message that were written */
    int64_t block_end; /* where the block that has a deadline ends */
    uint64_t heard;    /* octets received by TCP when nothing of a final reply may be there */
};

void outflow_begin(struct outflow *flow, struct transmission *core);

/* A line of a reply, before the library acts on it. */
void outflow_received(struct outflow *flow, const char *data, size_t length);

/* So many octets of the message, or the dot behind it, were written to the socket. */
void outflow_sent(struct outflow *flow, size_t length);

/* The next octets of the message for the library; 0 at its end. Negative: it was broken off, and
 * the connection is cut so that no dot can follow. */
ssize_t outflow_read(struct outflow *flow, char *out, size_t size);

#endif
