/* SPDX-License-Identifier: MIT */
/*
 * inbox.h - what a media thread has for a session: a ring of records without allocation.
 *
 * Written and read by the media thread only, so it needs no lock; a session that is with a worker
 * finds its records when it comes back. What does not fit is dropped and counted, as a network
 * would.
 */
#ifndef FAXPOST_FAX_INBOX_H
#define FAXPOST_FAX_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INBOX_BYTES = 16384, INBOX_RECORD_MAX = 2048 };

struct inbox {
    uint8_t ring[INBOX_BYTES];
    size_t head, used;
    uint64_t dropped;
};

enum inbox_kind { INBOX_IFP, INBOX_AUDIO, INBOX_MISSING, INBOX_OCTETS };

struct inbox_record {
    enum inbox_kind kind;
    uint16_t seq;
    size_t length;
    uint8_t data[INBOX_RECORD_MAX] __attribute__((aligned(8)));
};

/* False: it was too long or there was no room, and it is gone. */
bool inbox_put(struct inbox *inbox, enum inbox_kind kind, uint16_t seq, const void *data,
               size_t length);

/* Takes the oldest record; false when there is none. */
bool inbox_take(struct inbox *inbox, struct inbox_record *out);

#endif
