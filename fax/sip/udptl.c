/* SPDX-License-Identifier: MIT */
/*
 * udptl.c - the UDPTL packet of T.38 clause 9.1 in aligned PER, and what its redundancy and forward
 * error correction give back.
 *
 *   seq-number            2 octets
 *   primary-ifp-packet    length, octets
 *   error-recovery        0x00: secondary-ifp-packets: count, { length, octets }, newest first
 *                         0x80: fec-info: fec-npackets (1, span), count, { length, octets }
 *
 * FEC entry m of n in packet s is the XOR of the primaries s+m-n, s+m-2n, … s+m-span*n: neighbours
 * are protected by different entries, so that a burst of up to n lost packets can be mended.
 */
#include "fax/sip/udptl.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum {
    HISTORY_SLOTS = 64, /* packets remembered; a power of two above span * entries */
    HISTORY_BYTES = 8192,
    FEC_SPAN = 3,
    SEQ_JUMP = 2000, /* farther away than this is a new sequence, as the T.38 core sees it */
    PER_SHORT_MAX = 127,
    PER_LONG_MAX = 16383,
};

/* The last IFP packets by sequence number. Their octets lie one after the other in a ring, so that
 * a call costs 8 kB and not 64 times the longest packet. */
struct history {
    struct {
        uint64_t at; /* position in the endless run of octets written */
        uint16_t seq, length;
    } slot[HISTORY_SLOTS]; /* length 0: empty */
    uint64_t written;
    uint8_t octets[HISTORY_BYTES];
};

struct udptl {
    enum udptl_correction correction;
    int entries;
    size_t datagram_max;
    uint16_t tx_seq;
    uint64_t tx_count;
    bool rx_started;
    uint16_t rx_next; /* the sequence number after the newest handed on */
    struct udptl_counts counts;
    struct history tx, rx;
};

/* ---- history -------------------------------------------------------------------------------- */

static void history_add(struct history *history, uint16_t seq, const uint8_t *ifp, size_t length)
{
    size_t offset = history->written % HISTORY_BYTES;

    if (offset + length > HISTORY_BYTES) {
        history->written += HISTORY_BYTES - offset;
        offset = 0;
    }
    memcpy(history->octets + offset, ifp, length);
    history->slot[seq % HISTORY_SLOTS].at = history->written;
    history->slot[seq % HISTORY_SLOTS].seq = seq;
    history->slot[seq % HISTORY_SLOTS].length = (uint16_t)length;
    history->written += length;
}

static const uint8_t *history_find(const struct history *history, uint16_t seq, size_t *out_length)
{
    size_t i = seq % HISTORY_SLOTS;

    if (history->slot[i].length == 0 || history->slot[i].seq != seq ||
        history->written - history->slot[i].at > HISTORY_BYTES)
        return NULL;
    *out_length = history->slot[i].length;
    return history->octets + history->slot[i].at % HISTORY_BYTES;
}

/* ---- PER ------------------------------------------------------------------------------------ */

struct reader {
    const uint8_t *at, *end;
};

/* X.691 10.9: a length below 128 is one octet, below 16384 two with the first bit set; what begins
 * with two set bits is a fragment of 16 k and more, which no UDP packet holds. */
static int per_read_length(struct reader *reader, size_t *out)
{
    if (reader->at == reader->end)
        return ERROR_FORMAT;
    if ((reader->at[0] & 0x80) == 0) {
        *out = *reader->at++;
        return 0;
    }
    if ((reader->at[0] & 0x40) != 0)
        return ERROR_LIMIT;
    if (reader->end - reader->at < 2)
        return ERROR_FORMAT;
    *out = (size_t)(reader->at[0] & 0x3f) << 8 | reader->at[1];
    reader->at += 2;
    return 0;
}

static int per_read_octets(struct reader *reader, const uint8_t **out, size_t *out_length)
{
    size_t length;
    int error = per_read_length(reader, &length);

    if (error < 0)
        return error;
    if (length > (size_t)(reader->end - reader->at))
        return ERROR_FORMAT;
    if (length > UDPTL_IFP_MAX)
        return ERROR_LIMIT;
    *out = reader->at;
    *out_length = length;
    reader->at += length;
    return 0;
}

static size_t per_octets_size(size_t length)
{
    return length + (length > PER_SHORT_MAX ? 2 : 1);
}

static uint8_t *per_write_octets(uint8_t *at, const uint8_t *octets, size_t length)
{
    if (length > PER_SHORT_MAX)
        *at++ = (uint8_t)(0x80 | length >> 8);
    *at++ = (uint8_t)length;
    memcpy(at, octets, length);
    return at + length;
}

/* ---- receiving ------------------------------------------------------------------------------ */

struct entry {
    const uint8_t *octets;
    size_t length;
};

struct parsed {
    uint16_t seq;
    struct entry primary;
    bool fec;
    int span, count; /* count: entries kept; more than HISTORY_SLOTS are read over */
    struct entry entry[HISTORY_SLOTS];
};

static int packet_read_entries(struct reader *reader, struct parsed *out)
{
    size_t count;
    int error = per_read_length(reader, &count);

    if (error < 0)
        return error;
    out->count = 0;
    for (size_t i = 0; i < count; i++) {
        struct entry entry;

        if ((error = per_read_octets(reader, &entry.octets, &entry.length)) < 0)
            return error;
        if (i < HISTORY_SLOTS)
            out->entry[out->count++] = entry;
    }
    return 0;
}

static int packet_parse(struct parsed *out, const uint8_t *packet, size_t length)
{
    struct reader reader = {packet, packet + length};
    const uint8_t *span;
    size_t span_length;
    int error;

    if (length > UDPTL_PACKET_MAX)
        return ERROR_LIMIT;
    if (length < 2)
        return ERROR_FORMAT;
    out->seq = (uint16_t)(packet[0] << 8 | packet[1]);
    reader.at += 2;
    if ((error = per_read_octets(&reader, &out->primary.octets, &out->primary.length)) < 0)
        return error;
    if (out->primary.length == 0)
        return ERROR_FORMAT;
    out->fec = false;
    out->count = 0;
    if (reader.at == reader.end) /* some senders leave out an empty error-recovery */
        return 0;
    out->fec = (*reader.at++ & 0x80) != 0;
    if (!out->fec)
        return packet_read_entries(&reader, out);
    if ((error = per_read_octets(&reader, &span, &span_length)) < 0)
        return error;
    if (span_length < 1 || span_length > 2 || (span_length == 2 && span[0] != 0))
        return ERROR_LIMIT;
    out->span = span[span_length - 1];
    return packet_read_entries(&reader, out);
}

/* Mends the packet that one FEC entry protects and we lack, when it is the only one and after the
 * newest handed on. True when a packet came out of it. */
static bool fec_mend(struct udptl *udptl, const struct parsed *packet, int m)
{
    uint8_t octets[UDPTL_IFP_MAX] = {0};
    const struct entry *fec = &packet->entry[m];
    int missing = 0, missing_back = 0;

    for (int k = 1; k <= packet->span; k++) {
        int back = k * packet->count - m;
        size_t length;

        if (history_find(&udptl->rx, (uint16_t)(packet->seq - back), &length) == NULL) {
            missing++;
            missing_back = back;
        }
    }
    if (missing != 1 || fec->length == 0 || missing_back > (uint16_t)(packet->seq - udptl->rx_next))
        return false;
    memcpy(octets, fec->octets, fec->length);
    for (int k = 1; k <= packet->span; k++) {
        size_t length;
        const uint8_t *other =
            history_find(&udptl->rx, (uint16_t)(packet->seq - k * packet->count + m), &length);

        for (size_t i = 0; other != NULL && i < length && i < fec->length; i++)
            octets[i] ^= other[i];
    }
    history_add(&udptl->rx, (uint16_t)(packet->seq - missing_back), octets, fec->length);
    return true;
}

/* Puts into the history what this packet gives back of the `gap` packets before it. */
static void packet_recover(struct udptl *udptl, const struct parsed *packet, int gap)
{
    bool mended = true;

    if (packet->fec) {
        if (packet->span * packet->count >= HISTORY_SLOTS)
            return;
        /* What one entry mends may be what another still lacked. */
        for (int round = 0; mended && round < packet->count; round++) {
            mended = false;
            for (int m = 0; m < packet->count; m++)
                mended |= fec_mend(udptl, packet, m);
        }
        return;
    }
    for (int back = packet->count < gap ? packet->count : gap; back >= 1; back--)
        if (packet->entry[back - 1].length > 0)
            history_add(&udptl->rx, (uint16_t)(packet->seq - back), packet->entry[back - 1].octets,
                        packet->entry[back - 1].length);
}

/* How many packets lie between the newest handed on and seq: -1 for repeats and stale ones. */
static int seq_gap(struct udptl *udptl, uint16_t seq)
{
    int ahead = (int16_t)(uint16_t)(seq - udptl->rx_next);

    if (!udptl->rx_started)
        return seq < HISTORY_SLOTS ? seq : 0; /* numbers begin at 0 */
    if (ahead > SEQ_JUMP || ahead < -SEQ_JUMP) {
        memset(udptl->rx.slot, 0, sizeof udptl->rx.slot);
        return 0;
    }
    return ahead < 0 ? -1 : ahead;
}

int udptl_receive(struct udptl *udptl, const uint8_t *packet, size_t length,
                  udptl_ifp_handler *handler, void *user)
{
    struct parsed parsed;
    int error = packet_parse(&parsed, packet, length), handed = 0, gap;

    if (error < 0) {
        udptl->counts.malformed++;
        return error;
    }
    gap = seq_gap(udptl, parsed.seq);
    if (gap < 0) {
        udptl->counts.repeated++;
        return 0;
    }
    if (!udptl->rx_started)
        udptl->rx_next = (uint16_t)(parsed.seq - gap);
    udptl->rx_started = true;
    udptl->counts.received++;
    if (gap > 0)
        packet_recover(udptl, &parsed, gap);
    history_add(&udptl->rx, parsed.seq, parsed.primary.octets, parsed.primary.length);
    for (int back = gap < HISTORY_SLOTS ? gap : HISTORY_SLOTS - 1; back > 0; back--) {
        uint16_t seq = (uint16_t)(parsed.seq - back);
        uint8_t copy[UDPTL_IFP_MAX];
        size_t ifp_length;
        const uint8_t *ifp = history_find(&udptl->rx, seq, &ifp_length);

        if (ifp == NULL)
            continue;
        memcpy(copy, ifp, ifp_length); /* whatever the handler calls, it keeps its packet */
        handler(user, copy, ifp_length, seq);
        handed++;
    }
    udptl->counts.recovered += (uint64_t)handed;
    udptl->counts.lost += (uint64_t)(gap - handed);
    udptl->rx_next = (uint16_t)(parsed.seq + 1);
    handler(user, parsed.primary.octets, parsed.primary.length, parsed.seq);
    return handed + 1;
}

/* ---- sending -------------------------------------------------------------------------------- */

static size_t redundancy_write(const struct udptl *udptl, uint8_t *out, size_t room)
{
    uint8_t *at = out + 2;
    int count = 0;

    while (count < udptl->entries) {
        size_t length;
        const uint8_t *ifp =
            history_find(&udptl->tx, (uint16_t)(udptl->tx_seq - count - 1), &length);

        if (ifp == NULL || (size_t)(at - out) + per_octets_size(length) > room)
            break;
        at = per_write_octets(at, ifp, length);
        count++;
    }
    out[0] = 0x00;
    out[1] = (uint8_t)count;
    return (size_t)(at - out);
}

/* The XOR of one FEC entry; gives its length, 0 when a packet is not remembered any more. */
static size_t fec_build(const struct udptl *udptl, int entries, int m, uint8_t out[UDPTL_IFP_MAX])
{
    size_t longest = 0;

    memset(out, 0, UDPTL_IFP_MAX);
    for (int k = 1; k <= FEC_SPAN; k++) {
        size_t length;
        const uint8_t *ifp =
            history_find(&udptl->tx, (uint16_t)(udptl->tx_seq + m - k * entries), &length);

        if (ifp == NULL)
            return 0;
        for (size_t i = 0; i < length; i++)
            out[i] ^= ifp[i];
        if (length > longest)
            longest = length;
    }
    return longest;
}

/* Writes fec-info with this many entries, or gives 0 when it does not fit. */
static size_t fec_write(const struct udptl *udptl, int entries, uint8_t *out, size_t room)
{
    uint8_t octets[UDPTL_IFP_MAX], *at = out + 4;

    out[0] = 0x80;
    out[1] = 1;
    out[2] = entries > 0 ? FEC_SPAN : 0;
    out[3] = (uint8_t)entries;
    for (int m = 0; m < entries; m++) {
        size_t length = fec_build(udptl, entries, m, octets);

        if (length == 0 || (size_t)(at - out) + per_octets_size(length) > room)
            return 0;
        at = per_write_octets(at, octets, length);
    }
    return (size_t)(at - out);
}

static size_t recovery_write(const struct udptl *udptl, uint8_t *out, size_t room)
{
    int entries = udptl->entries;
    size_t length = 0;

    if (udptl->correction != UDPTL_FEC)
        return redundancy_write(udptl, out, room);
    if (room < 4)
        return redundancy_write(udptl, out, 2);
    if ((uint64_t)entries > udptl->tx_count / FEC_SPAN) /* the first packets: not so far back */
        entries = (int)(udptl->tx_count / FEC_SPAN);
    while (length == 0)
        length = fec_write(udptl, entries--, out, room);
    return length;
}

int udptl_send(struct udptl *udptl, const uint8_t *ifp, size_t length, uint8_t *out, size_t size)
{
    size_t limit = size < udptl->datagram_max ? size : udptl->datagram_max;
    uint8_t *at = out;

    if (length == 0)
        return ERROR_FORMAT;
    if (length > UDPTL_IFP_MAX || 2 + per_octets_size(length) + 2 > limit)
        return ERROR_LIMIT;
    *at++ = (uint8_t)(udptl->tx_seq >> 8);
    *at++ = (uint8_t)udptl->tx_seq;
    at = per_write_octets(at, ifp, length);
    at += recovery_write(udptl, at, limit - (size_t)(at - out));
    history_add(&udptl->tx, udptl->tx_seq, ifp, length);
    udptl->tx_seq++;
    udptl->tx_count++;
    return (int)(at - out);
}

/* ---- life ----------------------------------------------------------------------------------- */

struct udptl *udptl_new(enum udptl_correction correction, int entries, int datagram_max)
{
    struct udptl *udptl = calloc(1, sizeof *udptl);

    if (udptl == NULL)
        return NULL;
    if (correction == UDPTL_NONE || entries < 0)
        entries = 0;
    udptl->correction = correction;
    udptl->entries = entries > UDPTL_ENTRIES_MAX ? UDPTL_ENTRIES_MAX : entries;
    udptl->datagram_max = datagram_max <= 0 || datagram_max > UDPTL_PACKET_MAX
                              ? UDPTL_PACKET_MAX
                              : (size_t)datagram_max;
    return udptl;
}

void udptl_free(struct udptl *udptl)
{
    free(udptl);
}

void udptl_counts(const struct udptl *udptl, struct udptl_counts *out)
{
    *out = udptl->counts;
}
