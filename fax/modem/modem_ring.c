/* SPDX-License-Identifier: MIT */
/*
 * modem_ring.c - rings, cadences and caller ID in all the forms that modems give them.
 */
#include "fax/modem/modem_ring.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"

enum {
    LONG_PAUSE = 10,    /* tenths of a second: more than within a double ring (8-4-8) */
    SAME_RING_MS = 3000 /* DRON and RING of one ring come within this */
};

void modem_ring_clear(struct modem_ring *ring)
{
    *ring = (struct modem_ring){.pause_was_long = true};
}

/* ---- rings ---------------------------------------------------------------------------------- */

/* "RING", "RING 1", "RING A" (not "RINGING", which is about a call out). */
static bool is_ring(const char *line, const char **out_kind)
{
    if (strncasecmp(line, "RING", 4) != 0 || (line[4] != '\0' && line[4] != ' '))
        return false;
    *out_kind = line + 4 + strspn(line + 4, " ");
    return true;
}

static void count_line(struct modem_ring *ring, const char *kind, bool was_just_counted)
{
    if (ring->rings_are_lines || !was_just_counted)
        ring->rings++;
    ring->rings_are_lines = true;
    if (kind[0] != '\0')
        text_copy(ring->distinctive, sizeof ring->distinctive, kind);
}

/* "DRON=8": the bell rang for 0.8 s. */
static enum modem_ring_event take_on(struct modem_ring *ring, const char *value)
{
    size_t used = strlen(ring->distinctive);

    if (!ring->pause_was_long && used + strlen(value) + 2 <= sizeof ring->distinctive) {
        text_copy(ring->distinctive + used, sizeof ring->distinctive - used, "-");
        text_copy(ring->distinctive + used + 1, sizeof ring->distinctive - used - 1, value);
    }
    if (!ring->pause_was_long)
        return MODEM_RING_INFO;
    ring->pause_was_long = false;
    text_copy(ring->distinctive, sizeof ring->distinctive, value);
    if (ring->rings_are_lines)
        return MODEM_RING_INFO;
    ring->rings++;
    return MODEM_RING_RANG;
}

/* "DROF=4": then it was silent for 0.4 s. The first one tells of the time before the call. */
static enum modem_ring_event take_off(struct modem_ring *ring, const char *value)
{
    int64_t tenths = 0;
    size_t used = strlen(ring->distinctive);

    if (ring->pause_was_long || text_number(&tenths, value) < 0)
        return MODEM_RING_INFO;
    if (tenths >= LONG_PAUSE) {
        ring->pause_was_long = true;
    } else if (used + strlen(value) + 2 <= sizeof ring->distinctive) {
        text_copy(ring->distinctive + used, sizeof ring->distinctive - used, "-");
        text_copy(ring->distinctive + used + 1, sizeof ring->distinctive - used - 1, value);
    }
    return MODEM_RING_INFO;
}

/* ---- caller ID ------------------------------------------------------------------------------ */

/* Why there is no number: 'P', 'O', or 0 when value is one. */
static char withheld_of(const char *value)
{
    static const struct {
        const char *word;
        char why;
    } words[] = {
        {"P", 'P'},           {"O", 'O'},       {"PRIVATE", 'P'},     {"ANONYMOUS", 'P'},
        {"OUT OF AREA", 'O'}, {"UNKNOWN", 'O'}, {"UNAVAILABLE", 'O'},
    };
    size_t i;

    for (i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(value, words[i].word) == 0)
            return words[i].why;
    return '\0';
}

/* The value of "KEY=value", "KEY = value", "KEY: value"; "" as well. False: another key. */
static bool value_of(char out[CALL_NUMBER_MAX], const char *line, const char *key)
{
    size_t n = strlen(key);
    char value[CALL_NUMBER_MAX];
    char *begin;
    size_t length;

    if (strncasecmp(line, key, n) != 0)
        return false;
    line += n + strspn(line + n, " ");
    if (*line != '=' && *line != ':')
        return false;
    text_copy(value, sizeof value, line + 1);
    begin = text_trim(text_printable_utf8(value));
    length = strlen(begin);
    if (length >= 2 && begin[0] == '"' && begin[length - 1] == '"') {
        begin[length - 1] = '\0';
        begin = text_trim(begin + 1);
    }
    text_copy(out, CALL_NUMBER_MAX, begin);
    return true;
}

_Static_assert((int)CALL_NAME_MAX >= (int)CALL_NUMBER_MAX, "a value fits into a name");

/* A number is told once in a call: another one after a further ring is another call's, which that
 * ring was of. */
static void look_for_other_call(struct modem_ring *ring, const char *number, char withheld)
{
    bool is_told = ring->number[0] != '\0' || ring->withheld != '\0';
    bool is_other = withheld != '\0' ? ring->number[0] != '\0'
                                     : number[0] != '\0' && strcmp(ring->number, number) != 0;

    if (is_told && is_other && ring->rings > ring->number_rings) {
        ring->number[0] = ring->name[0] = ring->called[0] = ring->withheld = '\0';
        ring->rings = 1;
        ring->is_ringing = false; /* it begins */
    }
    ring->number_rings = ring->rings;
}

static void keep(struct modem_ring *ring, char *out, const char *value, bool may_be_withheld)
{
    char withheld = may_be_withheld ? withheld_of(value) : '\0';

    if (out == ring->number)
        look_for_other_call(ring, value, withheld);
    if (withheld != '\0' && ring->number[0] == '\0')
        ring->withheld = withheld;
    if (withheld != '\0' || value[0] == '\0')
        return;
    text_copy(out, CALL_NUMBER_MAX, value);
    if (out == ring->number)
        ring->withheld = '\0';
}

static enum modem_ring_event take_pair(struct modem_ring *ring, const char *line)
{
    char value[CALL_NUMBER_MAX];

    if (value_of(value, line, "DRON"))
        return take_on(ring, value);
    if (value_of(value, line, "DROF"))
        return take_off(ring, value);
    if (value_of(value, line, "NMBR") || value_of(value, line, "CID"))
        keep(ring, ring->number, value, true);
    else if (value_of(value, line, "NAME"))
        keep(ring, ring->name, value, true);
    else if (value_of(value, line, "DDN_NMBR") || value_of(value, line, "NDID") ||
             value_of(value, line, "DAD"))
        keep(ring, ring->called, value, false);
    else if (value_of(value, line, "ANID") && ring->number[0] == '\0')
        keep(ring, ring->number, value, true); /* whose bill it is on: for want of a better */
    else if (!value_of(value, line, "ANID") && !value_of(value, line, "DATE") &&
             !value_of(value, line, "TIME") && !value_of(value, line, "MESG"))
        return MODEM_RING_NOTHING;
    return MODEM_RING_INFO;
}

enum modem_ring_event modem_ring_line(struct modem_ring *ring, const char *line, int64_t now_ms)
{
    const struct modem_ring before = *ring;
    enum modem_ring_event event;
    const char *kind;
    bool just;

    if (modem_ring_is_over(ring, now_ms) || !ring->is_ringing)
        modem_ring_clear(ring);
    just = ring->is_ringing && now_ms - ring->last_ms < SAME_RING_MS;
    if (is_ring(line, &kind)) {
        count_line(ring, kind, just && ring->rings > 0);
        event = MODEM_RING_RANG;
    } else {
        event = take_pair(ring, line);
    }
    if (event == MODEM_RING_NOTHING) {
        *ring = before;
        return event;
    }
    if (!ring->is_ringing)
        ring->first_ms = now_ms;
    ring->is_ringing = true;
    ring->last_ms = now_ms;
    return event;
}

bool modem_ring_is_over(const struct modem_ring *ring, int64_t now_ms)
{
    return ring->is_ringing && now_ms - ring->last_ms > MODEM_RING_GAP_MS;
}
