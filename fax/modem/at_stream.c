/* SPDX-License-Identifier: MIT */
/*
 * at_stream.c - a byte at a time in command state, runs of octets in data state.
 */
#include "fax/modem/at_stream.h"

#include <string.h>

void at_stream_init(struct at_stream *stream, const struct at_stream_hooks *hooks)
{
    *stream = (struct at_stream){.hooks = *hooks};
}

void at_stream_data(struct at_stream *stream)
{
    stream->in_data = true;
    stream->after_dle = false;
    stream->lost = 0;
    stream->length = 0;
}

void at_stream_command(struct at_stream *stream)
{
    stream->in_data = false;
    stream->after_dle = false;
    stream->length = 0;
}

static void take_line(struct at_stream *stream)
{
    char line[AT_LINE_MAX];
    size_t length = stream->length;

    stream->length = 0;
    while (length > 0 && stream->line[length - 1] == ' ')
        length--;
    if (length == 0)
        return;
    memcpy(line, stream->line, length);
    line[length] = '\0';
    stream->hooks.line(stream->hooks.user, line);
}

static void take_character(struct at_stream *stream, uint8_t octet)
{
    if (octet == '\n') {
        take_line(stream);
        return;
    }
    if (octet == '\r' || octet == 0 || (octet == ' ' && stream->length == 0))
        return;
    if (stream->length < AT_LINE_MAX - 1)
        stream->line[stream->length++] = octet >= 0x20 && octet < 0x7f ? (char)octet : '.';
}

/* The octet behind a DLE: DLE DLE is one, DLE SUB two of them (T.31 A.3.1); others say nothing that
 * a receiver needs and are dropped, as T.31 6.3 asks. */
static void take_escape(struct at_stream *stream, uint8_t octet)
{
    static const uint8_t dle[] = {AT_DLE, AT_DLE};

    stream->after_dle = false;
    if (octet == AT_ETX) {
        at_stream_command(stream);
        stream->hooks.data_end(stream->hooks.user);
    } else if (octet == AT_DLE || octet == AT_SUB) {
        stream->hooks.data(stream->hooks.user, dle, octet == AT_DLE ? 1 : 2);
    }
}

/* True when NO CARRIER has come whole. Its octets were given as data as well; they are the tail of
 * something that is spoiled anyway. */
static bool ends_without_etx(struct at_stream *stream, const uint8_t *octets, size_t length)
{
    static const char lost[] = "\r\nNO CARRIER\r\n";
    enum { LOST_OCTETS = sizeof lost - 1 };

    for (size_t i = 0; i < length; i++) {
        if (octets[i] != (uint8_t)lost[stream->lost])
            stream->lost = 0;
        if (octets[i] == (uint8_t)lost[stream->lost])
            stream->lost++;
        if (stream->lost == LOST_OCTETS)
            return true;
    }
    return false;
}

void at_stream_feed(struct at_stream *stream, const uint8_t *octets, size_t length)
{
    size_t i = 0;

    while (i < length) {
        const uint8_t *dle;
        size_t run;

        if (!stream->in_data) {
            take_character(stream, octets[i++]);
            continue;
        }
        if (stream->after_dle) {
            take_escape(stream, octets[i++]);
            continue;
        }
        dle = memchr(octets + i, AT_DLE, length - i);
        run = dle == NULL ? length - i : (size_t)(dle - octets) - i;
        if (run > 0)
            stream->hooks.data(stream->hooks.user, octets + i, run);
        if (ends_without_etx(stream, octets + i, run)) {
            /* nothing of worth can follow before the next command */
            at_stream_command(stream);
            stream->hooks.line(stream->hooks.user, "NO CARRIER");
            return;
        }
        i += run;
        if (dle != NULL && stream->in_data) {
            stream->after_dle = true;
            i++;
        }
    }
}

size_t at_stuff(uint8_t *out, size_t size, const uint8_t *data, size_t length, bool end)
{
    size_t n = 0;

    if (size < 2 * length + 2)
        return 0;
    for (size_t i = 0; i < length; i++) {
        if (data[i] == AT_DLE)
            out[n++] = AT_DLE;
        out[n++] = data[i];
    }
    if (end) {
        out[n++] = AT_DLE;
        out[n++] = AT_ETX;
    }
    return n;
}
