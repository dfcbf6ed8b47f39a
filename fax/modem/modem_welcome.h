/* SPDX-License-Identifier: MIT */
/*
 * modem_welcome.h - whose calls a modem line answers, by [line] allow and deny, and whose it lets
 * ring.
 */
#ifndef FAXPOST_FAX_MODEM_WELCOME_H
#define FAXPOST_FAX_MODEM_WELCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "fax/modem/modem_ring.h"
#include "fax/receive_settings.h"

/* The call that was told of last, so that it is told of once: {0} to begin with. */
struct modem_told {
    int64_t first_ms;
    char number[CALL_NUMBER_MAX];
};

/* True once for each call, and caller. */
bool modem_told_first(struct modem_told *told, const struct modem_ring *ring);

/* By what the modem has said so far; logged once. */
bool modem_caller_is_blocked(const struct modem_line_settings *line, const struct modem_ring *ring,
                             struct modem_told *told);

/* How many rings it takes until a call may be answered. */
int modem_rings_wanted(const struct modem_line_settings *line, const struct modem_ring *ring);

#endif
