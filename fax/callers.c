/* SPDX-License-Identifier: MIT */
/*
 * callers.c - lists of callers, and a bucket of tokens for each source.
 */
#include "fax/callers.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"
#include "base/text.h"

enum {
    ITEM_MAX = 128,
    SOURCES = 4096, /* a power of two; two that meet in a place begin anew by turns */
    SOURCE_OCTETS_MAX = 8,
};

/* ---- lists -------------------------------------------------------------------------------------
 */

static int add_pattern(struct caller_list *list, const char *item)
{
    char(*more)[CALL_NUMBER_MAX] =
        realloc(list->patterns, (list->pattern_count + 1) * sizeof *list->patterns);

    if (more == NULL)
        return ERROR_MEMORY;
    list->patterns = more;
    return text_copy(more[list->pattern_count++], CALL_NUMBER_MAX, item) ? 0 : ERROR_LIMIT;
}

/* Sorts the items: numbers into the list, networks into a text of their own. */
static int sort_items(struct caller_list *list, const char *text, char *networks)
{
    const char *rest = text;
    char item[ITEM_MAX];
    int rc = 0;

    while (rc == 0 && text_list_next(&rest, item, sizeof item)) {
        if (strpbrk(item, ".:/") == NULL) {
            rc = add_pattern(list, item);
            continue;
        }
        if (networks[0] != '\0')
            strcat(networks, ",");
        strcat(networks, item); /* no longer than the text, which it is a part of */
    }
    return rc;
}

int caller_list_parse(struct caller_list *out, const char *text)
{
    struct caller_list list = {.patterns = NULL};
    char *networks = calloc(1, text != NULL ? strlen(text) + 1 : 1);
    int rc = networks == NULL ? ERROR_MEMORY : 0;

    if (rc == 0 && text != NULL)
        rc = sort_items(&list, text, networks);
    if (rc == 0)
        rc = net_list_parse(&list.networks, networks);
    free(networks);
    if (rc != 0)
        caller_list_free(&list);
    else
        *out = list;
    return rc;
}

int caller_list_copy(struct caller_list *out, const struct caller_list *from)
{
    struct caller_list list = {.pattern_count = from->pattern_count};
    int rc = net_list_copy(&list.networks, &from->networks);

    if (rc == 0 && from->pattern_count > 0) {
        list.patterns = malloc(from->pattern_count * sizeof *list.patterns);
        if (list.patterns == NULL)
            rc = ERROR_MEMORY;
        else
            memcpy(list.patterns, from->patterns, from->pattern_count * sizeof *list.patterns);
    }
    if (rc != 0)
        caller_list_free(&list);
    else
        *out = list;
    return rc;
}

void caller_list_free(struct caller_list *list)
{
    net_list_free(&list->networks);
    free(list->patterns);
    list->patterns = NULL;
    list->pattern_count = 0;
}

const char *caller_list_find(const struct caller_list *list, const char *number)
{
    size_t i;

    if (number[0] == '\0')
        number = CALLER_ANONYMOUS;
    for (i = 0; i < list->pattern_count; i++)
        if (text_match(list->patterns[i], number))
            return list->patterns[i];
    return NULL;
}

static bool holds_source(const struct caller_list *list, const struct net_address *source)
{
    return source != NULL && net_list_holds(&list->networks, source);
}

enum caller_verdict caller_judge(const struct caller_list *allow, const struct caller_list *deny,
                                 const struct net_address *source, const char *number)
{
    if (holds_source(deny, source))
        return CALLER_SOURCE_BLOCKED;
    if (caller_list_find(deny, number) != NULL)
        return CALLER_BLOCKED;
    if (allow->networks.count == 0 && allow->pattern_count == 0)
        return CALLER_WELCOME;
    if (holds_source(allow, source) || caller_list_find(allow, number) != NULL)
        return CALLER_WELCOME;
    return allow->pattern_count > 0 ? CALLER_BLOCKED : CALLER_SOURCE_BLOCKED;
}

/* ---- requests a second --------------------------------------------------------------------------
 */

struct source {
    uint8_t octets[SOURCE_OCTETS_MAX]; /* of the address, or of the network */
    uint8_t length;                    /* 0: free */
    int64_t seen_ms;                   /* when tokens were last counted */
    int64_t refused_ms;                /* when it was last turned away; 0: never */
    int64_t tokens;                    /* thousandths */
};

struct caller_rates {
    uint32_t seed;
    struct source sources[SOURCES];
};

int caller_rates_new(struct caller_rates **out)
{
    struct caller_rates *rates = calloc(1, sizeof *rates);

    if (rates == NULL)
        return ERROR_MEMORY;
    if (getrandom(&rates->seed, sizeof rates->seed, GRND_NONBLOCK) < 0)
        rates->seed = 0; /* who knows it can share a place with another, no more */
    *out = rates;
    return 0;
}

void caller_rates_free(struct caller_rates *rates)
{
    free(rates);
}

static uint8_t source_of(uint8_t out[SOURCE_OCTETS_MAX], const struct net_address *source)
{
    memset(out, 0, SOURCE_OCTETS_MAX);
    if (source->u.any.sa_family == AF_INET6) {
        memcpy(out, &source->u.v6.sin6_addr, 8);
        return 8;
    }
    memcpy(out, &source->u.v4.sin_addr, 4);
    return 4;
}

/* FNV-1a. */
static struct source *place_of(struct caller_rates *rates, const uint8_t *octets)
{
    uint32_t hash = 2166136261U ^ rates->seed;
    size_t i;

    for (i = 0; i < SOURCE_OCTETS_MAX; i++)
        hash = (hash ^ octets[i]) * 16777619U;
    return &rates->sources[(hash ^ hash >> 16) & (SOURCES - 1)];
}

bool caller_rates_take(struct caller_rates *rates, const struct net_address *source, int per_second,
                       int64_t now_ms, bool *first)
{
    int64_t full = (int64_t)per_second * CALLER_BURST_S * 1000;
    uint8_t octets[SOURCE_OCTETS_MAX];
    uint8_t length = source_of(octets, source);
    struct source *place = place_of(rates, octets);
    int64_t passed_ms;

    *first = false;
    if (per_second <= 0)
        return true;
    if (place->length != length || memcmp(place->octets, octets, sizeof octets) != 0) {
        *place = (struct source){.length = length, .seen_ms = now_ms, .tokens = full};
        memcpy(place->octets, octets, sizeof octets);
    }
    passed_ms = now_ms - place->seen_ms;
    if (passed_ms > CALLER_BURST_S * 1000)
        passed_ms = CALLER_BURST_S * 1000;
    place->seen_ms = now_ms;
    place->tokens += passed_ms * per_second;
    if (place->tokens > full)
        place->tokens = full;
    if (place->tokens >= 1000) {
        place->tokens -= 1000;
        return true;
    }
    *first = place->refused_ms == 0 || now_ms - place->refused_ms >= 1000;
    if (*first)
        place->refused_ms = now_ms;
    return false;
}
