/* SPDX-License-Identifier: MIT */
/*
 * inbox.c - records of kind, sequence number, length and octets, one behind the other in a ring.
 */
#include "fax/t30/inbox.h"

#include <string.h>

struct header {
    uint16_t kind, seq, length;
};

static void ring_write(struct inbox *inbox, const void *data, size_t length)
{
    size_t at = (inbox->head + inbox->used) % INBOX_BYTES;
    size_t first = length < INBOX_BYTES - at ? length : INBOX_BYTES - at;

    memcpy(inbox->ring + at, data, first);
    memcpy(inbox->ring, (const uint8_t *)data + first, length - first);
    inbox->used += length;
}

static void ring_read(struct inbox *inbox, void *data, size_t length)
{
    size_t first = length < INBOX_BYTES - inbox->head ? length : INBOX_BYTES - inbox->head;

    memcpy(data, inbox->ring + inbox->head, first);
    memcpy((uint8_t *)data + first, inbox->ring, length - first);
    inbox->head = (inbox->head + length) % INBOX_BYTES;
    inbox->used -= length;
}

bool inbox_put(struct inbox *inbox, enum inbox_kind kind, uint16_t seq, const void *data,
               size_t length)
{
    struct header header = {(uint16_t)kind, seq, (uint16_t)length};

    if (length > INBOX_RECORD_MAX || inbox->used + sizeof header + length > INBOX_BYTES) {
        inbox->dropped++;
        return false;
    }
    ring_write(inbox, &header, sizeof header);
    ring_write(inbox, data, length);
    return true;
}

bool inbox_take(struct inbox *inbox, struct inbox_record *out)
{
    struct header header;

    if (inbox->used == 0)
        return false;
    ring_read(inbox, &header, sizeof header);
    out->kind = header.kind;
    out->seq = header.seq;
    out->length = header.length;
    ring_read(inbox, out->data, header.length);
    return true;
}
