/* SPDX-License-Identifier: MIT */
/*
 * sources.c - a table of sources: tokens, calls, and whether they are known.
 *
 * An address has its place in one set of WAYS entries. Who needs one takes, in this order: a free
 * one, that of the newcomer longest unheard of. A source that has calls keeps its entry, and so
 * does a known one; but one way of each set is never given to the known.
 */
#include "fax/sip/sources.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"

enum {
    SETS = 512, /* a power of two */
    WAYS = 8,
    KNOWN_MOST = WAYS - 1,
    OCTETS_MAX = 8,
    CROWD_SHARE = 4, /* with so many of the calls that newcomers may have it is a crowd */
    HEARD = 8192,    /* INVITEs that are to come again; a power of two */
    HEARD_MS = 5000, /* so long after the first: RFC 3261 17.1.1.2 says 500 ms, 1 s, 2 s … */
};

struct heard {
    uint32_t key;
    int64_t at_ms; /* 0: free */
};

struct bucket {
    int64_t seen_ms; /* when tokens were last counted */
    int64_t tokens;  /* thousandths */
};

struct source {
    uint8_t octets[OCTETS_MAX]; /* of the address, or of the network */
    uint8_t length;             /* 0: free */
    bool is_known;
    struct bucket bucket;
    int calls, unacknowledged;
};

struct sources {
    uint32_t seed;
    struct source table[SETS][WAYS];
    struct bucket newcomers;
    int newcomers_unacknowledged; /* calls by datagram whose source is no known one */
    struct heard heard[HEARD];
    struct sources_report report;
    int64_t report_ms; /* of the last one; 0: never */
};

/* ---- the table --------------------------------------------------------------------------------
 */

int sources_new(struct sources **out)
{
    struct sources *sources = calloc(1, sizeof *sources);

    if (sources == NULL)
        return ERROR_MEMORY;
    if (getrandom(&sources->seed, sizeof sources->seed, GRND_NONBLOCK) < 0)
        sources->seed = 0; /* who knows it can choose whom to share a set with, no more */
    *out = sources;
    return 0;
}

void sources_free(struct sources *sources)
{
    free(sources);
}

static uint8_t octets_of(uint8_t out[OCTETS_MAX], const struct net_address *source)
{
    memset(out, 0, OCTETS_MAX);
    if (source->u.any.sa_family == AF_INET6) {
        memcpy(out, &source->u.v6.sin6_addr, 8);
        return 8;
    }
    memcpy(out, &source->u.v4.sin_addr, 4);
    return 4;
}

bool sources_same(const struct net_address *a, const struct net_address *b)
{
    uint8_t octets_a[OCTETS_MAX];
    uint8_t octets_b[OCTETS_MAX];

    return octets_of(octets_a, a) == octets_of(octets_b, b) &&
           memcmp(octets_a, octets_b, OCTETS_MAX) == 0;
}

/* FNV-1a. */
static uint32_t hash_of(uint32_t hash, const void *octets, size_t length)
{
    const uint8_t *at = octets;

    while (length-- > 0)
        hash = (hash ^ *at++) * 16777619U;
    return hash;
}

static unsigned set_of(const struct sources *sources, const uint8_t octets[OCTETS_MAX])
{
    uint32_t hash = hash_of(2166136261U ^ sources->seed, octets, OCTETS_MAX);

    return (hash ^ hash >> 16) & (SETS - 1);
}

static struct source *find(const struct sources *sources, const struct net_address *address)
{
    uint8_t octets[OCTETS_MAX];
    uint8_t length = octets_of(octets, address);
    const struct source *set = sources->table[set_of(sources, octets)];

    for (int i = 0; i < WAYS; i++)
        if (set[i].length == length && memcmp(set[i].octets, octets, sizeof octets) == 0)
            return (struct source *)(uintptr_t)&set[i];
    return NULL;
}

/* NULL: all of its set have calls or are known. */
static struct source *find_or_make(struct sources *sources, const struct net_address *address,
                                   int64_t now_ms, int64_t tokens)
{
    struct source *found = find(sources, address);
    uint8_t octets[OCTETS_MAX];
    uint8_t length = octets_of(octets, address);
    struct source *set = sources->table[set_of(sources, octets)];

    if (found != NULL)
        return found;
    for (int i = 0; i < WAYS; i++) {
        if (set[i].length != 0 && (set[i].is_known || set[i].calls > 0))
            continue;
        if (found == NULL || set[i].length == 0 ||
            (found->length != 0 && set[i].bucket.seen_ms < found->bucket.seen_ms))
            found = &set[i];
    }
    if (found == NULL)
        return NULL;
    *found = (struct source){.length = length, .bucket = {now_ms, tokens}};
    memcpy(found->octets, octets, sizeof octets);
    return found;
}

bool sources_know(const struct sources *sources, const struct net_address *address)
{
    const struct source *source = find(sources, address);

    return source != NULL && source->is_known;
}

/* ---- requests a second ------------------------------------------------------------------------
 */

static bool bucket_take(struct bucket *bucket, int64_t per_second, int64_t now_ms)
{
    int64_t full = per_second * SOURCE_BURST_S * 1000;
    int64_t passed_ms = now_ms - bucket->seen_ms;

    if (passed_ms < 0)
        passed_ms = 0;
    if (passed_ms > SOURCE_BURST_S * 1000)
        passed_ms = SOURCE_BURST_S * 1000;
    bucket->seen_ms = now_ms;
    bucket->tokens += passed_ms * per_second;
    if (bucket->tokens > full)
        bucket->tokens = full;
    if (bucket->tokens < 1000)
        return false;
    bucket->tokens -= 1000;
    return true;
}

static void note_drop(struct sources *sources, const struct net_address *address)
{
    struct sources_report *report = &sources->report;

    if (report->dropped++ == 0)
        report->source = *address;
    else if (!sources_same(&report->source, address))
        report->of_others = true;
}

bool sources_take(struct sources *sources, const struct net_address *address, enum source_way way,
                  int per_second, int64_t now_ms)
{
    int64_t full = (int64_t)per_second * SOURCE_BURST_S * 1000;
    struct source *source;
    bool taken;

    if (per_second <= 0)
        return true;
    source = find_or_make(sources, address, now_ms, full);
    taken = source == NULL || bucket_take(&source->bucket, per_second, now_ms);
    /* Who has no token of his own takes none of the others'. */
    if (taken && way == SOURCE_BY_DATAGRAM && (source == NULL || !source->is_known))
        taken = bucket_take(&sources->newcomers, (int64_t)per_second * SOURCE_NEWCOMERS, now_ms);
    if (!taken)
        note_drop(sources, address);
    return taken;
}

bool sources_report(struct sources *sources, int64_t now_ms, struct sources_report *out)
{
    if (sources->report.dropped == 0 ||
        (sources->report_ms != 0 && now_ms - sources->report_ms < SOURCE_REPORT_MS))
        return false;
    *out = sources->report;
    sources->report = (struct sources_report){.dropped = 0};
    sources->report_ms = now_ms;
    return true;
}

/* ---- calls ------------------------------------------------------------------------------------
 */

/* Has this INVITE come before? If not it has now. */
static bool comes_again(struct sources *sources, const struct net_address *address,
                        const char *call_id, size_t length, int64_t now_ms)
{
    uint8_t octets[OCTETS_MAX];
    struct heard *heard;
    uint32_t key;

    octets_of(octets, address);
    key = hash_of(hash_of(sources->seed, octets, sizeof octets), call_id, length);
    heard = &sources->heard[(key ^ key >> 16) & (HEARD - 1)];
    if (heard->at_ms != 0 && heard->key == key && now_ms - heard->at_ms <= HEARD_MS)
        return true;
    *heard = (struct heard){key, now_ms};
    return false;
}

enum source_verdict sources_judge(struct sources *sources, const struct net_address *address,
                                  enum source_way way, const char *call_id, size_t call_id_length,
                                  const struct source_limits *limits, int64_t now_ms)
{
    const struct source *source = find(sources, address);
    int crowd = sources->newcomers_unacknowledged;

    if (source != NULL && limits->per_source > 0 && source->calls >= limits->per_source)
        return SOURCE_FULL;
    if (source != NULL && source->is_known)
        return SOURCE_WELCOME;
    if (source != NULL && source->unacknowledged >= SOURCE_UNANSWERED_MAX)
        return SOURCE_CROWDED;
    if (way == SOURCE_BY_CONNECTION || crowd * CROWD_SHARE < limits->newcomers_max)
        return SOURCE_WELCOME;
    if (!comes_again(sources, address, call_id, call_id_length, now_ms))
        return SOURCE_AGAIN;
    return crowd < limits->newcomers_max ? SOURCE_WELCOME : SOURCE_CROWDED;
}

void sources_call_begin(struct sources *sources, struct source_call *call,
                        const struct net_address *address, enum source_way way, int64_t now_ms)
{
    struct source *source = find_or_make(sources, address, now_ms, 0);

    *call = (struct source_call){.source = *address,
                                 .way = way,
                                 .is_counted = source != NULL,
                                 .waits = source == NULL || !source->is_known};
    if (source != NULL)
        source->calls++;
    if (source != NULL && call->waits)
        source->unacknowledged++;
    sources->newcomers_unacknowledged += call->waits && way == SOURCE_BY_DATAGRAM;
}

static void wait_over(struct sources *sources, struct source_call *call, struct source *source)
{
    if (!call->waits)
        return;
    call->waits = false;
    sources->newcomers_unacknowledged -= call->way == SOURCE_BY_DATAGRAM;
    if (source != NULL)
        source->unacknowledged--;
}

/* An entry with calls stays where it is, so the call's is there. */
static struct source *source_of(const struct sources *sources, const struct source_call *call)
{
    return call->is_counted ? find(sources, &call->source) : NULL;
}

/* One more known source: of those in its set, one longest unheard of has to go. */
static void make_known(struct sources *sources, struct source *source)
{
    struct source *set = sources->table[set_of(sources, source->octets)];
    struct source *oldest = NULL;
    int known = 0;

    for (int i = 0; i < WAYS; i++) {
        if (!set[i].is_known)
            continue;
        known++;
        if (oldest == NULL || set[i].bucket.seen_ms < oldest->bucket.seen_ms)
            oldest = &set[i];
    }
    if (known == KNOWN_MOST)
        oldest->is_known = false;
    source->is_known = true;
}

void sources_call_acknowledged(struct sources *sources, struct source_call *call)
{
    struct source *source = source_of(sources, call);

    wait_over(sources, call, source);
    if (source != NULL && !source->is_known)
        make_known(sources, source);
}

void sources_call_over(struct sources *sources, struct source_call *call)
{
    struct source *source = source_of(sources, call);

    wait_over(sources, call, source);
    if (source != NULL)
        source->calls--;
    call->is_counted = false;
}
