/* SPDX-License-Identifier: MIT */
/*
 * at_stream.h - what a modem sends, cut into response lines and data.
 *
 * In command state a response is <CR><LF>text<CR><LF> (V.250 5.7.1): a line ends at LF, so that the
 * LF behind "CONNECT" is not taken for data. In data state octets are DLE-stuffed (T.31 6.3, T.32
 * 9.1) up to DLE ETX; a modem that loses a frame may leave that out, so the response NO CARRIER
 * ends data too. Whatever comes is bounded: a line that is too long is cut.
 */
#ifndef FAXPOST_FAX_AT_STREAM_H
#define FAXPOST_FAX_AT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AT_LINE_MAX = 256, AT_DLE = 0x10, AT_ETX = 0x03, AT_SUB = 0x1a, AT_CAN = 0x18 };

struct at_stream_hooks {
    void *user;
    /* A response or an echo: not empty, without line end, every octet printable ASCII (others come
     * as '.'). Valid during the call. The hook may change the mode: the next octet obeys. */
    void (*line)(void *user, const char *line);
    /* Data without its stuffing. */
    void (*data)(void *user, const uint8_t *octets, size_t length);
    /* DLE ETX: the stream is in command state again. Not called when NO CARRIER ends the data: that
     * is a line. */
    void (*data_end)(void *user);
};

struct at_stream {
    struct at_stream_hooks hooks;
    bool in_data;
    bool after_dle;
    size_t lost;   /* octets of CR LF NO CARRIER CR LF that came in a row */
    size_t length; /* of the line so far */
    char line[AT_LINE_MAX];
};

/* In command state. hooks are copied. */
void at_stream_init(struct at_stream *stream, const struct at_stream_hooks *hooks);

/* Octets as they come from the port. */
void at_stream_feed(struct at_stream *stream, const uint8_t *octets, size_t length);

/* From here on data, or lines again; what there is of a line or an escape is forgotten. */
void at_stream_data(struct at_stream *stream);
void at_stream_command(struct at_stream *stream);

/* Stuffs data for the modem, with DLE ETX behind it when `end`. Octets written; 0 when `size` does
 * not hold 2 * length + 2. */
size_t at_stuff(uint8_t *out, size_t size, const uint8_t *data, size_t length, bool end);

#endif
