/* SPDX-License-Identifier: MIT */
/*
 * negotiation.h - offer and answer of one call (RFC 3264): what was agreed on, what we write next.
 *
 * Pure: text in, text and a media_plan out. The SIP thread's alone.
 */
#ifndef FAXPOST_FAX_NEGOTIATION_H
#define FAXPOST_FAX_NEGOTIATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fax/receive_settings.h"
#include "fax/sip/media.h"
#include "fax/sip/sdp.h"

struct negotiation {
    enum t38_policy policy;
    struct net_address local; /* our media address and port */
    bool is_from_afar;        /* whose loopback is not ours: their packets will tell */
    uint64_t id, version;     /* of our o= line */
    struct sdp before;        /* the far side's last description: the m= lines keep their places */
    int place;                /* of ours among them */
    enum sdp_kind now;        /* what runs; SDP_NOTHING: nothing was agreed on yet */
    enum rtp_law law;
    struct sdp_t38 t38;    /* ours, as last said */
    enum sdp_kind offered; /* in an offer of ours that waits for its answer */
};

void negotiation_begin(struct negotiation *talk, enum t38_policy policy,
                       const struct net_address *local, uint64_t id);

/* Which of the far side's addresses media would go to, before there is a socket of ours: to choose
 * the family. Same errors as negotiation_answer(). */
int negotiation_look(const char *offer, size_t length, enum t38_policy policy,
                     struct net_address *out_remote);

/* Answers an offer: the text's length, and what is agreed on. ERROR_FORMAT or ERROR_LIMIT: no SDP;
 * ERROR_UNSUPPORTED: nothing in it that we take now (488). Then nothing changed. can_switch: the
 * session can still go from audio to T.38. */
int negotiation_answer(struct negotiation *talk, const char *offer, size_t length, bool can_switch,
                       char *out, size_t size, struct media_plan *plan);

/* Writes an offer of ours: what runs, or T.38 to ask for it, or audio at the beginning. The text's
 * length, or ERROR_LIMIT. */
int negotiation_offer(struct negotiation *talk, enum sdp_kind kind, char *out, size_t size);

/* Takes the answer to it. ERROR_FORMAT, ERROR_LIMIT; ERROR_UNSUPPORTED: refused in the answer;
 * ERROR_STATE: there is no offer of ours. The offer is settled in any case. */
int negotiation_take_answer(struct negotiation *talk, const char *answer, size_t length,
                            struct media_plan *plan);

#endif
