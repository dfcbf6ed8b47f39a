/* SPDX-License-Identifier: MIT */
/*
 * modem_welcome.c - a caller's number and the lists of the line.
 */
#include "fax/modem/modem_welcome.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "fax/callers.h"

bool modem_told_first(struct modem_told *told, const struct modem_ring *ring)
{
    bool is_first = told->first_ms != ring->first_ms || strcmp(told->number, ring->number) != 0;

    told->first_ms = ring->first_ms;
    text_copy(told->number, sizeof told->number, ring->number);
    return is_first;
}

bool modem_caller_is_blocked(const struct modem_line_settings *line, const struct modem_ring *ring,
                             struct modem_told *told)
{
    const char *rule = caller_list_find(&line->deny, ring->number);

    if (caller_judge(&line->allow, &line->deny, NULL, ring->number) == CALLER_WELCOME)
        return false;
    if (modem_told_first(told, ring))
        log_warning("call not answered line=%s caller=%s name=%s: blocked by %s=%s",
                    LOG_ESCAPED(line->name),
                    LOG_ESCAPED(ring->number[0] != '\0' ? ring->number : CALLER_ANONYMOUS),
                    LOG_ESCAPED(ring->name), rule != NULL ? "deny" : "allow",
                    LOG_ESCAPED(rule != NULL ? rule : "(not in it)"));
    return true;
}

/* Who is judged by a number is not answered before the modem may have told it, and that is between
 * the first ring and the second. */
int modem_rings_wanted(const struct modem_line_settings *line, const struct modem_ring *ring)
{
    bool is_known = ring->number[0] != '\0' || ring->withheld != '\0';
    bool is_judged = line->allow.pattern_count + line->deny.pattern_count > 0;

    return is_judged && !is_known && line->rings < 2 ? 2 : line->rings;
}
