/* SPDX-License-Identifier: MIT */
/*
 * modem_ring.h - what a modem says while the telephone rings: rings, and who calls.
 *
 * Lines come from at_stream.h in any order: caller ID stands between the first ring and the second,
 * or before the first (UK, France). All that is kept is bounded and printable.
 */
#ifndef FAXPOST_FAX_MODEM_RING_H
#define FAXPOST_FAX_MODEM_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "spool/call_info.h"

enum {
    MODEM_RING_GAP_MS = 12000, /* a ring comes each 6 s: two missed, and the caller gave up */
    MODEM_RING_CADENCE_MAX = 24,
};

struct modem_ring {
    int rings;
    char number[CALL_NUMBER_MAX]; /* "": not known */
    char name[CALL_NAME_MAX];
    char called[CALL_NUMBER_MAX];             /* number that was dialled (DID) */
    char distinctive[MODEM_RING_CADENCE_MAX]; /* "1", "A"; "8-4-8" tenths of a second on and off */
    char withheld;   /* 'P': the caller wished so; 'O': out of area; or 0 */
    bool is_ringing; /* something was heard: the two times are valid */
    int64_t first_ms, last_ms;

    int number_rings;     /* how many there were when the number came */
    bool rings_are_lines; /* RING comes: DRON is not counted */
    bool pause_was_long;  /* since the last DRON: the next begins a ring */
};

enum modem_ring_event {
    MODEM_RING_NOTHING, /* the line is not about ringing */
    MODEM_RING_INFO,    /* caller ID */
    MODEM_RING_RANG,    /* one more ring */
};

void modem_ring_clear(struct modem_ring *ring);

/* A line of the modem. What was kept is forgotten first when it is older than MODEM_RING_GAP_MS, or
 * when another number comes after a further ring: somebody else calls at the heels of who gave up.
 */
enum modem_ring_event modem_ring_line(struct modem_ring *ring, const char *line, int64_t now_ms);

/* The caller gave up: something was heard, and nothing for MODEM_RING_GAP_MS. */
bool modem_ring_is_over(const struct modem_ring *ring, int64_t now_ms);

#endif
