/* SPDX-License-Identifier: MIT */
/*
 * buffer.h - a growing run of octets with a limit; the first failure sticks, so that a writer
 * checks once at the end.
 */
#ifndef FAXPOST_BASE_BUFFER_H
#define FAXPOST_BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *data; /* owned; always followed by a NUL that does not count */
    size_t length;
    size_t capacity;
    size_t limit; /* most octets it may hold */
    int error;    /* 0, ERROR_MEMORY or ERROR_LIMIT; nothing is added once it is set */
};

/* An empty buffer that may grow to limit octets. No allocation yet. */
void buffer_init(struct buffer *buffer, size_t limit);

/* Releases the octets; the buffer is empty and usable again. NULL is fine. */
void buffer_free(struct buffer *buffer);

/* Each adds at the end and returns buffer->error. */
int buffer_add(struct buffer *buffer, const void *data, size_t length);
int buffer_text(struct buffer *buffer, const char *text);
int buffer_format(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The content as a C string, "" when nothing was added; valid until the next call. */
const char *buffer_string(const struct buffer *buffer);

#endif
