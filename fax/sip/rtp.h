/* SPDX-License-Identifier: MIT */
/*
 * rtp.h - RTP (RFC 3550) for one G.711 stream: parse, a small reorder buffer, gaps filled, and the
 * sending side.
 *
 * No allocation after rtp_new(), no I/O. Time is the caller's 20 ms tick: at each, rtp_due() says
 * how often rtp_pull() is to be called, which gives 20 ms of the stream.
 */
#ifndef FAXPOST_FAX_RTP_H
#define FAXPOST_FAX_RTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rtp_law { RTP_PCMU = 0, RTP_PCMA = 8 }; /* static payload types, RFC 3551 */

enum { RTP_TICK_SAMPLES = 160, RTP_PACKET_MAX = 1500 };

struct rtp;

/* A stream with this payload type; ssrc and first sequence number are random. delay_ticks: packets
 * kept back to mend the order (2 to 10). NULL: out of memory. */
struct rtp *rtp_new(enum rtp_law law, int delay_ticks);
void rtp_free(struct rtp *rtp);

/* Takes one UDP payload. 0, or ERROR_FORMAT (no RTP, other payload type, lengths that do not fit).
 * Repeats and packets that come too late are counted and dropped. A new SSRC, or a jump of the
 * sequence, restarts the buffer with its second packet in a row (RFC 3550 A.1), a jump of the time
 * stamp at once. Packets may hold 5 to 100 ms. */
int rtp_receive(struct rtp *rtp, const uint8_t *packet, size_t length);

/* True when the payload is a plausible RTP packet of this stream's type: for latching. */
bool rtp_is_plausible(const struct rtp *rtp, const uint8_t *packet, size_t length);

/* Once a tick: how many times 20 ms of the stream are due, 1 as a rule. 0 while the next packet of
 * a carrier is awaited, up to 800 ms; more behind that, up to 10, until the delay is what it was.
 * The skew of the far side's clock is absorbed in the same way, without a loss. */
int rtp_due(struct rtp *rtp);

/* Gives the next 160 linear samples, in order. Lost audio is filled in (repeat fading to silence;
 * length is always kept, since modems need the timing). Returns the number of samples that were
 * real. */
int rtp_pull(struct rtp *rtp, int16_t out[RTP_TICK_SAMPLES]);

/* Makes the next packet of 20 ms. Gives its length, or ERROR_LIMIT. (libre owns rtp_send.) */
int rtp_make(struct rtp *rtp, const int16_t samples[RTP_TICK_SAMPLES], uint8_t *out, size_t size);

struct rtp_counts {
    uint64_t received, malformed, repeated, late, lost, resyncs;
    uint64_t filled_samples, held_ticks, hastened_ticks;
};
void rtp_counts(const struct rtp *rtp, struct rtp_counts *out);

#endif
