/* SPDX-License-Identifier: MIT */
/*
 * framing.h - is this a SIP message, and where does it end? Looked at before the library reads it.
 *
 * The library's own reading is quadratic in places (8 kB of "a a a a" keep it busy for 100 ms), and
 * it reads an unfinished message of a stream anew with every octet that comes. So it is given whole
 * messages only, of a form that it reads in well under a millisecond. Pure, and linear.
 */
#ifndef FAXPOST_FAX_FRAMING_H
#define FAXPOST_FAX_FRAMING_H

#include <stddef.h>
#include <stdint.h>

enum {
    FRAME_MAX = 8192,        /* octets of a message */
    FRAME_START_MAX = 1024,  /* of its first line */
    FRAME_FIELDS_MAX = 256,  /* header fields, those divided by commas counted one by one */
    FRAME_BLANKS_MAX = 32,   /* white space in one place */
    FRAME_NUMBERS_MAX = 256, /* octets of CSeq and of Content-Type */
};

/* A datagram: its whole length, or ERROR_FORMAT (no SIP message, or an unfinished one), ERROR_LIMIT
 * (one that is too much). */
int frame_datagram(const uint8_t *octets, size_t length);

/* The beginning of a stream: how many octets the message at its head has, 0 while it is not there
 * as a whole, or an error as above: then nothing sensible can come any more. Empty lines before it
 * are a message of their own (RFC 5626 4.4.1). */
int frame_stream(const uint8_t *octets, size_t length);

#endif
