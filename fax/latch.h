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
 */
#ifndef FAXPOST_FAX_LATCH_H
#define FAXPOST_FAX_LATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "fax/net.h"

enum { LATCH_PATIENCE_MS = 2000 };

struct latch {
    struct net_address offered; /* from SDP */
    struct net_address peer;    /* where our packets go: the offered one until latched */
    bool is_latched;
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

/* True when packets can be sent: there is an address and a port. */
bool latch_can_send(const struct latch *latch);

#endif
