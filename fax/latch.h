/* SPDX-License-Identifier: MIT */
/*
 * latch.h - whose packets are a call's media, and where ours go: a decision without I/O.
 *
 * The SDP address of a caller behind a NAT is not where its packets come from. So we hold on
 * ("latch") to the source of the first packet that looks like media of this call:
 *   - from the offered address, or its host with another port: at once;
 *   - from elsewhere when the offered address is private or none: at once;
 *   - from elsewhere although a public address was offered (NATs with a public address in their SDP
 *     exist): when nothing came from the offered address for LATCH_PATIENCE_MS.
 * Once latched, all other sources are strangers. A new description of the far side begins anew.
 *
 * Anybody can write anybody's address into SDP. Where nothing ever came from, only the first
 * packets go, as many as it takes until our DIS was heard; then we wait for a sign of life.
 */
#ifndef FAXPOST_FAX_LATCH_H
#define FAXPOST_FAX_LATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "fax/net.h"

enum {
    LATCH_PATIENCE_MS = 2000,
    LATCH_UNHEARD_MOST = 750, /* packets: 15 s of audio, CED and two DIS */
};

struct latch {
    struct net_address offered; /* from SDP */
    struct net_address peer;    /* where our packets go: the offered one until latched */
    bool is_latched;
    int unheard; /* packets sent to an address that nothing came from yet */
    int64_t since_ms;
};

enum latch_verdict {
    LATCH_TAKE,  /* from the peer */
    LATCH_FIRST, /* may be the first: if it looks like media, latch_to() its source and take it */
    LATCH_DROP,  /* a stranger's */
};

void latch_begin(struct latch *latch, const struct net_address *offered, int64_t now_ms);
enum latch_verdict latch_judge(const struct latch *latch, const struct net_address *source,
                               int64_t now_ms);
void latch_to(struct latch *latch, const struct net_address *source);

/* True when a packet can be sent: there is an address and a port, and somebody there for all we
 * know. Counts the packet. */
bool latch_can_send(struct latch *latch);

/* The far side agreed to another medium: it may wait for our word again. */
void latch_renew(struct latch *latch);

#endif
