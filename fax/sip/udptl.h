/* SPDX-License-Identifier: MIT */
/*
 * udptl.h - UDPTL: T.38 packets over UDP with redundancy or forward error correction (T.38 clause
 * 9.1 and annex).
 *
 * One struct udptl per call and direction pair; no allocation after udptl_new(), no I/O: packets go
 * in and out as octets. Not locked: the session's owner calls it.
 */
#ifndef FAXPOST_FAX_UDPTL_H
#define FAXPOST_FAX_UDPTL_H

#include <stddef.h>
#include <stdint.h>

enum udptl_correction { UDPTL_NONE, UDPTL_REDUNDANCY, UDPTL_FEC };

enum {
    UDPTL_PACKET_MAX = 1500, /* longest UDP payload taken or made */
    UDPTL_IFP_MAX = 1024,    /* longest IFP packet taken */
    UDPTL_ENTRIES_MAX = 15,  /* redundancy entries or FEC span */
};

struct udptl;

/* correction and datagram_max (the far side's T38FaxMaxDatagram, 0: UDPTL_PACKET_MAX) are for
 * sending; receiving takes all forms at any time. entries: earlier packets repeated in each
 * (redundancy), or FEC entries (span 3). NULL: out of memory. */
struct udptl *udptl_new(enum udptl_correction correction, int entries, int datagram_max);
void udptl_free(struct udptl *udptl);

/* Called for each IFP packet, oldest first, each sequence number once: those that arrived, and
 * those that could be recovered. seq is the 16-bit sequence number. What FEC brings back may have
 * zero octets behind its end (the XOR knows no length of its own); an IFP packet ends itself. */
typedef void udptl_ifp_handler(void *user, const uint8_t *ifp, size_t length, uint16_t seq);

/* Takes one UDP payload. Gives the number of IFP packets handed on (0 for repeats and stale ones),
 * or ERROR_FORMAT / ERROR_LIMIT (too long, or fragments of 16 k) for what is no UDPTL. Missing
 * packets that nothing can recover are skipped: the T.38 core sees the gap by the sequence number.
 * Late packets (older than the newest handed on) are not handed on. Nothing is delayed. */
int udptl_receive(struct udptl *udptl, const uint8_t *packet, size_t length,
                  udptl_ifp_handler *handler, void *user);

/* Makes the next packet around an IFP packet. Gives its length, or ERROR_LIMIT when ifp is too long
 * for the far side or for out[size] (the sequence number is not used up then). The redundancy is
 * cut to what fits into datagram_max. */
int udptl_send(struct udptl *udptl, const uint8_t *ifp, size_t length, uint8_t *out, size_t size);

struct udptl_counts {
    uint64_t received, malformed, repeated, recovered, lost;
};
void udptl_counts(const struct udptl *udptl, struct udptl_counts *out);

#endif
