/* SPDX-License-Identifier: MIT */
/*
 * sources.h - where requests and calls come from, and how much each source may have of us.
 *
 * A source is an IPv4 address, or a network of IPv6 (/64), which one caller has. It is known once
 * one of its calls was acknowledged: then its address is no forged one. All others are newcomers.
 * In datagrams anybody can be as many newcomers as he likes, by forging addresses. So newcomers by
 * datagram share: what all of them may ask for is bounded, and when many of their calls wait for an
 * acknowledgement, their INVITE is heard only when it comes again, which forged ones do not. Known
 * sources need not care. The table is bounded too; newcomers push out newcomers only.
 *
 * One thread's, on the time that it is given.
 */
#ifndef FAXPOST_FAX_SOURCES_H
#define FAXPOST_FAX_SOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fax/net.h"

struct sources;

enum {
    SOURCE_BURST_S = 5,        /* so many seconds' worth may come at once */
    SOURCE_NEWCOMERS = 5,      /* newcomers together may ask for as much as so many sources */
    SOURCE_UNANSWERED_MAX = 32 /* calls of one newcomer that it has not acknowledged yet */
};

enum source_way { SOURCE_BY_DATAGRAM, SOURCE_BY_CONNECTION };

int sources_new(struct sources **out);
void sources_free(struct sources *sources);

bool sources_know(const struct sources *sources, const struct net_address *source);
bool sources_same(const struct net_address *a, const struct net_address *b); /* one source? */

/* ---- requests a second ------------------------------------------------------------------------
 */

/* One more request. False: it is too much, per_second being what one source may ask for (0: no
 * limit). */
bool sources_take(struct sources *sources, const struct net_address *source, enum source_way way,
                  int per_second, int64_t now_ms);

struct sources_report {
    uint64_t dropped;          /* requests, since the last report */
    struct net_address source; /* of the first of them */
    bool of_others;            /* and of other sources */
};

/* True when there is something to tell: at once, then every SOURCE_REPORT_MS. */
enum { SOURCE_REPORT_MS = 10000 };
bool sources_report(struct sources *sources, int64_t now_ms, struct sources_report *out);

/* ---- calls ------------------------------------------------------------------------------------
 */

enum source_verdict {
    SOURCE_WELCOME,
    SOURCE_FULL,    /* it has as many calls as one source may have */
    SOURCE_CROWDED, /* too many calls of newcomers were not acknowledged */
    SOURCE_AGAIN,   /* it is to say so again: no answer */
};

struct source_limits {
    int per_source;    /* calls; 0: no limit */
    int newcomers_max; /* unacknowledged calls of all newcomers by datagram */
};

/* May it have one more call, the one with this Call-ID? */
enum source_verdict sources_judge(struct sources *sources, const struct net_address *source,
                                  enum source_way way, const char *call_id, size_t call_id_length,
                                  const struct source_limits *limits, int64_t now_ms);

/* What is counted of a call, kept by whoever has the call. */
struct source_call {
    struct net_address source;
    enum source_way way;
    bool is_counted; /* by its source's entry */
    bool waits;      /* a newcomer's, not acknowledged yet */
};

void sources_call_begin(struct sources *sources, struct source_call *call,
                        const struct net_address *source, enum source_way way, int64_t now_ms);
void sources_call_acknowledged(struct sources *sources, struct source_call *call);
void sources_call_over(struct sources *sources, struct source_call *call);

#endif
