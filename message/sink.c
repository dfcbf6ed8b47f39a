/* SPDX-License-Identifier: MIT */
/*
 * sink.c - see sink.h.
 */
#include "message/sink.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"

void sink_init(struct sink *sink, int fd)
{
    sink->fd = fd;
    sink->position = 0;
    sink->sum[0] = 0xcbf29ce484222325u;
    sink->sum[1] = 0x84222325cbf29ce4u;
    sink->filled = 0;
    sink->error = 0;
}

/* FNV-1a, twice from two beginnings. */
static void add_to_sum(struct sink *sink, const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        sink->sum[0] = (sink->sum[0] ^ data[i]) * 0x100000001b3u;
        sink->sum[1] = (sink->sum[1] ^ (uint8_t)~data[i]) * 0x100000001b3u;
    }
}

int sink_flush(struct sink *sink)
{
    if (sink->error == 0 && sink->filled > 0)
        sink->error = file_write_all(sink->fd, sink->buffer, sink->filled);
    sink->filled = 0;
    return sink->error;
}

void sink_write(struct sink *sink, const void *data, size_t length)
{
    const uint8_t *p = data;

    sink->position += (int64_t)length;
    if (sink->error < 0)
        return;
    add_to_sum(sink, p, length);
    while (length > 0) {
        size_t room = sizeof sink->buffer - sink->filled;
        size_t part = length < room ? length : room;

        memcpy(sink->buffer + sink->filled, p, part);
        sink->filled += part;
        p += part;
        length -= part;
        if (sink->filled == sizeof sink->buffer && sink_flush(sink) < 0)
            return;
    }
}

void sink_text(struct sink *sink, const char *text)
{
    sink_write(sink, text, strlen(text));
}

void sink_format(struct sink *sink, const char *format, ...)
{
    char text[512];
    va_list list;
    int length;

    va_start(list, format);
    length = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (length < 0 || (size_t)length >= sizeof text) {
        sink->error = sink->error < 0 ? sink->error : ERROR_LIMIT;
        return;
    }
    sink_write(sink, text, (size_t)length);
}

void sink_u16(struct sink *sink, uint16_t value)
{
    sink_write(sink, (uint8_t[]){value & 0xff, value >> 8}, 2);
}

void sink_u32(struct sink *sink, uint32_t value)
{
    sink_u16(sink, value & 0xffff);
    sink_u16(sink, value >> 16);
}
