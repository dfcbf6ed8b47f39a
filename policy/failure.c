/* SPDX-License-Identifier: MIT */
/*
 * failure.c - the class table of spec/failover.md as a table, and nothing else.
 */
#include "policy/failure.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define AT(stage)   (1u << (stage))
#define ON(event)   (1u << (event))
#define ANY_STAGE   (~0u)
#define BEFORE_DOT  (AT(STAGE_CONTENT + 1) - 1)
#define NO_GREETING (ON(EVENT_TIMEOUT) | ON(EVENT_LOST))

/* A row fits when stage and event are among its own and everything else that it names fits too:
 * "or" in the spec makes two rows. */
struct row {
    unsigned stages, events;
    int least, most;    /* codes of a reply; 0, 0: any */
    int enhanced[3];    /* 0 in the first: any; -1 within: any */
    const char *phrase; /* within the reply's text; "": any */
    enum failure_class class;
    bool alarm;
};

#define REPLY ON(EVENT_REPLY)

/* clang-format off */
static const struct row table[] = {
    {AT(STAGE_NAME), ON(EVENT_NO_NAME), 0, 0, {0}, "", FAILURE_CONNECTION, true},
    {AT(STAGE_NAME) | AT(STAGE_TCP), ~REPLY, 0, 0, {0}, "", FAILURE_CONNECTION, false},
    {ANY_STAGE, REPLY, 421, 421, {0}, "", FAILURE_SERVER, false},
    {AT(STAGE_GREETING), NO_GREETING, 0, 0, {0}, "", FAILURE_TEMPORARY, false},
    {AT(STAGE_GREETING) | AT(STAGE_EHLO), REPLY, 400, 599, {0}, "", FAILURE_SERVER, false},
    {AT(STAGE_STARTTLS), ~0u, 0, 0, {0}, "", FAILURE_SERVER, true},
    {AT(STAGE_AUTH), REPLY, 400, 499, {0}, "", FAILURE_SERVER, false},
    {AT(STAGE_AUTH), REPLY, 500, 599, {0}, "", FAILURE_SERVER, true},
    {AT(STAGE_AUTH), ON(EVENT_NOT_OFFERED), 0, 0, {0}, "", FAILURE_SERVER, true},
    {ANY_STAGE, REPLY, 530, 530, {0}, "", FAILURE_SERVER, true},
    {AT(STAGE_MAIL), ON(EVENT_TOO_LARGE), 0, 0, {0}, "", FAILURE_TOO_LARGE, false},
    {AT(STAGE_MAIL), REPLY, 552, 552, {0}, "", FAILURE_TOO_LARGE, false},
    {AT(STAGE_MAIL), REPLY, 500, 599, {5, 3, 4}, "", FAILURE_TOO_LARGE, false},
    {AT(STAGE_MAIL), REPLY, 450, 451, {0}, "", FAILURE_TEMPORARY, false},
    {AT(STAGE_MAIL), REPLY, 400, 599, {0}, "", FAILURE_SERVER, false},
    {AT(STAGE_RCPT), REPLY, 452, 452, {4, 5, 3}, "", FAILURE_MORE, false},
    {AT(STAGE_RCPT), REPLY, 400, 499, {0}, "", FAILURE_TEMPORARY, false},
    {AT(STAGE_RCPT), REPLY, 500, 599, {5, 7, -1}, "", FAILURE_SERVER, true},
    {AT(STAGE_RCPT), REPLY, 554, 554, {0}, "", FAILURE_SERVER, true},
    {AT(STAGE_RCPT), REPLY, 504, 504, {0}, "", FAILURE_SERVER, true},
    {AT(STAGE_RCPT), REPLY, 500, 599, {0}, "relaying", FAILURE_SERVER, true}, /* Sendmail */
    {AT(STAGE_RCPT), REPLY, 500, 599, {0}, "relay access", FAILURE_SERVER, true}, /* Postfix */
    {AT(STAGE_RCPT), REPLY, 500, 599, {0}, "relay not permitted", FAILURE_SERVER, true}, /* Exim */
    {AT(STAGE_RCPT), REPLY, 500, 599, {0}, "unable to relay", FAILURE_SERVER, true}, /* Exchange */
    {AT(STAGE_RCPT), REPLY, 500, 599, {0}, "", FAILURE_DESTINATION, false},
    {AT(STAGE_DATA), REPLY, 452, 452, {0}, "", FAILURE_SERVER, false},
    {AT(STAGE_DATA), REPLY, 400, 499, {0}, "", FAILURE_TEMPORARY, false},
    {AT(STAGE_DATA), REPLY, 500, 599, {0}, "", FAILURE_REFUSED, false},
    {AT(STAGE_FINAL), REPLY, 452, 452, {0}, "", FAILURE_SERVER, false},
    {AT(STAGE_FINAL), REPLY, 552, 552, {0}, "", FAILURE_TOO_LARGE, false},
    {AT(STAGE_FINAL), REPLY, 500, 599, {5, 3, 4}, "", FAILURE_TOO_LARGE, false},
    {AT(STAGE_FINAL), REPLY, 400, 499, {0}, "", FAILURE_TEMPORARY, false},
    {AT(STAGE_FINAL), REPLY, 500, 599, {0}, "", FAILURE_REFUSED, false},
    /* Lost, stalled or out of order after the greeting and before the dot: "connection lost before
     * the final dot was sent". The same for a reply that fits no row (2yz where none may be). */
    {BEFORE_DOT, ~0u, 0, 0, {0}, "", FAILURE_TEMPORARY, false},
    {AT(STAGE_FINAL), ~0u, 0, 0, {0}, "", FAILURE_UNCERTAIN, false},
};
/* clang-format on */

static bool enhanced_fits(const int want[3], const int have[3])
{
    int i;

    for (i = 0; i < 3; i++)
        if (want[i] != -1 && want[i] != have[i])
            return false;
    return true;
}

static bool row_fits(const struct row *row, const struct failure *failure)
{
    if ((row->stages & AT(failure->stage)) == 0 || (row->events & ON(failure->event)) == 0)
        return false;
    if (row->least != 0 && (failure->code < row->least || failure->code > row->most))
        return false;
    if (row->enhanced[0] != 0 && !enhanced_fits(row->enhanced, failure->enhanced))
        return false;
    return strcasestr(failure->text, row->phrase) != NULL;
}

enum failure_class failure_classify(const struct failure *failure, bool *out_alarm)
{
    size_t i;

    if (out_alarm != NULL)
        *out_alarm = false;
    if (failure->event == EVENT_NONE)
        return FAILURE_NONE;
    for (i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (!row_fits(&table[i], failure))
            continue;
        if (out_alarm != NULL)
            *out_alarm = table[i].alarm;
        return table[i].class;
    }
    return FAILURE_TEMPORARY;
}

const char *failure_class_text(enum failure_class class)
{
    static const char *const texts[] = {
        [FAILURE_NONE] = "OK",
        [FAILURE_CONNECTION] = "connection failure",
        [FAILURE_SERVER] = "server error",
        [FAILURE_TEMPORARY] = "temporary error",
        [FAILURE_DESTINATION] = "destination error",
        [FAILURE_REFUSED] = "message refused",
        [FAILURE_TOO_LARGE] = "too large",
        [FAILURE_UNCERTAIN] = "uncertain",
        [FAILURE_MORE] = "further transaction",
    };

    return (unsigned)class < FAILURE_CLASS_COUNT ? texts[class] : "unknown";
}

const char *failure_stage_text(enum failure_stage stage)
{
    static const char *const texts[] = {
        [STAGE_NAME] = "name",    [STAGE_TCP] = "TCP",           [STAGE_GREETING] = "greeting",
        [STAGE_EHLO] = "EHLO",    [STAGE_STARTTLS] = "STARTTLS", [STAGE_AUTH] = "AUTH",
        [STAGE_MAIL] = "MAIL",    [STAGE_RCPT] = "RCPT",         [STAGE_DATA] = "DATA",
        [STAGE_CONTENT] = "data", [STAGE_FINAL] = "final reply",
    };

    return (unsigned)stage < STAGE_COUNT ? texts[stage] : "unknown";
}
