/* SPDX-License-Identifier: MIT */
/*
 * buffer.c - growth by doubling, up to the limit.
 */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

void buffer_init(struct buffer *buffer, size_t limit)
{
    *buffer = (struct buffer){.limit = limit};
}

void buffer_free(struct buffer *buffer)
{
    if (buffer == NULL)
        return;
    free(buffer->data);
    buffer_init(buffer, buffer->limit);
}

/* Makes room for more octets and the NUL behind them. */
static int reserve(struct buffer *buffer, size_t more)
{
    size_t capacity = buffer->capacity > 0 ? buffer->capacity : 256;
    uint8_t *data;

    if (buffer->error < 0)
        return buffer->error;
    if (more > buffer->limit - buffer->length)
        return buffer->error = ERROR_LIMIT;
    if (buffer->length + more < buffer->capacity)
        return 0;
    while (capacity <= buffer->length + more)
        capacity *= 2;
    data = realloc(buffer->data, capacity);
    if (data == NULL)
        return buffer->error = ERROR_MEMORY;
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

int buffer_add(struct buffer *buffer, const void *data, size_t length)
{
    if (reserve(buffer, length) < 0)
        return buffer->error;
    if (length > 0)
        memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
    buffer->data[buffer->length] = '\0';
    return 0;
}

int buffer_text(struct buffer *buffer, const char *text)
{
    return buffer_add(buffer, text, strlen(text));
}

int buffer_format(struct buffer *buffer, const char *format, ...)
{
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    if (n < 0 || reserve(buffer, (size_t)n) < 0)
        return buffer->error;
    va_start(ap, format);
    vsnprintf((char *)buffer->data + buffer->length, (size_t)n + 1, format, ap);
    va_end(ap);
    buffer->length += (size_t)n;
    return 0;
}

const char *buffer_string(const struct buffer *buffer)
{
    return buffer->data != NULL ? (const char *)buffer->data : "";
}
