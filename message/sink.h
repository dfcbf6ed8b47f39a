/* SPDX-License-Identifier: MIT */
/*
 * sink.h - a buffered writer to a descriptor that counts what it wrote; the first failure sticks,
 * so that a writer of a document checks once at its end.
 */
#ifndef FAXPOST_MESSAGE_SINK_H
#define FAXPOST_MESSAGE_SINK_H

#include <stddef.h>
#include <stdint.h>

enum { SINK_BUFFER_BYTES = 32 * 1024 };

struct sink {
    int fd;           /* the caller's */
    int64_t position; /* octets taken so far, since sink_init() */
    uint64_t sum[2];  /* a running check sum of them: identity of a document, no protection */
    size_t filled;
    int error; /* 0 or what the first failed write gave */
    uint8_t buffer[SINK_BUFFER_BYTES];
};

/* Writes from the descriptor's present position on. */
void sink_init(struct sink *sink, int fd);

void sink_write(struct sink *sink, const void *data, size_t length);
void sink_text(struct sink *sink, const char *text);
void sink_format(struct sink *sink, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Little-endian numbers. */
void sink_u16(struct sink *sink, uint16_t value);
void sink_u32(struct sink *sink, uint32_t value);

/* Hands everything to the kernel; returns the first error of all writes. */
int sink_flush(struct sink *sink);

#endif
