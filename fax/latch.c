/* SPDX-License-Identifier: MIT */
/*
 * latch.c - see latch.h for the rules.
 */
#include "fax/latch.h"

void latch_begin(struct latch *latch, const struct net_address *offered, int64_t now_ms)
{
    latch->offered = *offered;
    latch->peer = *offered;
    latch->is_latched = false;
    latch->unheard = 0;
    latch->since_ms = now_ms;
}

enum latch_verdict latch_judge(const struct latch *latch, const struct net_address *source,
                               int64_t now_ms)
{
    if (latch->is_latched)
        return net_equal(source, &latch->peer) ? LATCH_TAKE : LATCH_DROP;
    if (net_same_host(source, &latch->offered) || net_is_private(&latch->offered))
        return LATCH_FIRST;
    return now_ms - latch->since_ms >= LATCH_PATIENCE_MS ? LATCH_FIRST : LATCH_DROP;
}

void latch_to(struct latch *latch, const struct net_address *source)
{
    latch->peer = *source;
    latch->is_latched = true;
}

bool latch_can_send(struct latch *latch)
{
    if (net_port(&latch->peer) == 0 || net_is_any(&latch->peer) || net_is_group(&latch->peer))
        return false;
    if (latch->is_latched)
        return true;
    if (latch->unheard >= LATCH_UNHEARD_MOST)
        return false;
    latch->unheard++;
    return true;
}

void latch_renew(struct latch *latch)
{
    latch->unheard = 0;
}
