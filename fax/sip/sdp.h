/* SPDX-License-Identifier: MIT */
/*
 * sdp.h - SDP (RFC 4566) as fax calls use it: offers read, answers and our own re-INVITE offers
 * written (RFC 3264; T.38 annex D).
 *
 * Pure functions on text. The parser takes any octets: line and media counts are bounded, numbers
 * clamped, nothing is allocated.
 */
#ifndef FAXPOST_FAX_SDP_H
#define FAXPOST_FAX_SDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fax/sip/rtp.h"
#include "fax/sip/udptl.h"

enum { SDP_MEDIA_MAX = 8, SDP_TEXT_MAX = 4096, SDP_ADDRESS_MAX = 64 };

struct sdp_t38 {
    int version;      /* T38FaxVersion, 0..3 */
    int max_bit_rate; /* T38MaxBitRate; 14400 when absent */
    bool fill_bit_removal, transcoding_mmr, transcoding_jbig;
    bool local_tcf;                   /* T38FaxRateManagement:localTCF (else transferredTCF) */
    int max_buffer;                   /* 0: not given */
    int max_datagram;                 /* 0: not given */
    enum udptl_correction correction; /* T38FaxUdpEC */
};

enum sdp_kind { SDP_NOTHING, SDP_AUDIO, SDP_T38 };

struct sdp_media {
    enum sdp_kind kind;                      /* SDP_NOTHING: something we do not take */
    char media[16], proto[24], formats[128]; /* as written, for the refusal in the answer */
    unsigned port;                           /* 0: refused or removed by the far side */
    char address[SDP_ADDRESS_MAX];           /* media-level c=, else session-level */
    bool alaw, ulaw;                         /* SDP_AUDIO: offered payload types 8, 0 */
    bool alaw_first;
    int ptime_ms;
    struct sdp_t38 t38;
};

struct sdp {
    struct sdp_media media[SDP_MEDIA_MAX];
    int count;
    uint64_t origin_id, origin_version;
};

/* Reads an offer or answer. ERROR_FORMAT for what is no SDP (answer 400 or 488), ERROR_LIMIT for
 * more than SDP_MEDIA_MAX media lines or SDP_TEXT_MAX octets. */
int sdp_parse(struct sdp *out, const char *text, size_t length);

/* The media line to answer: T.38 over UDPTL with a port, when t38 is allowed; else G.711 audio;
 * else -1 (answer 488). */
int sdp_choose(const struct sdp *offer, bool t38_allowed);

struct sdp_local {
    const char *address; /* our media address, v4 or v6 */
    unsigned port;
    uint64_t session_id, version; /* o= line; version rises with each description we send */
    enum rtp_law law;             /* for audio */
    struct sdp_t38 t38;           /* for T.38: what we put into it (sdp_t38_answer() for answers) */
};

/* What we answer to a T.38 offer: version min(theirs, 3→0..), rate, UDP EC as offered, our own
 * max_buffer and max_datagram. */
void sdp_t38_answer(struct sdp_t38 *out, const struct sdp_t38 *offer);
/* What we offer ourselves. */
void sdp_t38_offer(struct sdp_t38 *out);

/* Writes the answer: one m= line for each of the offer's, all but `chosen` with port 0. Gives the
 * length, or ERROR_LIMIT. */
int sdp_answer(char *out, size_t size, const struct sdp *offer, int chosen,
               const struct sdp_local *local);

/* Writes an offer of one medium (our re-INVITE). Where `before` (the last answered description) had
 * more m= lines, the others stay in place with port 0 (RFC 3264 8). */
int sdp_offer(char *out, size_t size, enum sdp_kind kind, const struct sdp *before, int place,
              const struct sdp_local *local);

#endif
