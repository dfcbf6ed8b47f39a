/* SPDX-License-Identifier: MIT */
/*
 * words.c - see words.h.
 */
#include "message/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

bool words_number_is_withheld(const char *number)
{
    static const char *const withheld[] = {"",         "anonymous",        "unknown",
                                           "private",  "unavailable",      "restricted",
                                           "withheld", "anonymous.invalid"};

    for (size_t i = 0; i < sizeof withheld / sizeof withheld[0]; i++)
        if (strcasecmp(number, withheld[i]) == 0)
            return true;
    return false;
}

const char *words_caller(const struct call_info *call)
{
    return words_number_is_withheld(call->caller) ? "unknown number" : call->caller;
}

char *words_pages(char *out, int pages)
{
    if (pages <= 0)
        snprintf(out, WORDS_MAX, "no pages");
    else
        snprintf(out, WORDS_MAX, "%d page%s", pages, pages == 1 ? "" : "s");
    return out;
}

char *words_duration(char *out, const struct call_info *call)
{
    int64_t from_ms = call->answered_ms > 0 ? call->answered_ms : call->started_ms;
    long long seconds = (call->ended_ms - from_ms + 500) / 1000;

    if (from_ms <= 0 || call->ended_ms <= from_ms)
        out[0] = '\0';
    else if (seconds < 60)
        snprintf(out, WORDS_MAX, "%lld s", seconds);
    else if (seconds < 3600)
        snprintf(out, WORDS_MAX, "%lld min %lld s", seconds / 60, seconds % 60);
    else
        snprintf(out, WORDS_MAX, "%lld h %lld min", seconds / 3600, seconds / 60 % 60);
    return out;
}

char *words_time(char *out, int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm local = {0};
    char weekday[32], month[32], clock[16];
    long zone_min;

    localtime_r(&seconds, &local);
    strftime(weekday, sizeof weekday, "%A", &local);
    strftime(month, sizeof month, "%B %Y", &local);
    strftime(clock, sizeof clock, "%H:%M", &local);
    zone_min = local.tm_gmtoff / 60;
    snprintf(out, WORDS_MAX, "%s, %d %s, %s (UTC%c%02ld:%02ld)", weekday, local.tm_mday, month,
             clock, zone_min < 0 ? '-' : '+', labs(zone_min) / 60, labs(zone_min) % 60);
    return out;
}

const char *words_partial_note(enum call_verdict verdict)
{
    switch (verdict) {
    case CALL_COMPLETE: return "";
    case CALL_DOUBTFUL: return " (doubtful)";
    case CALL_PARTIAL:
    case CALL_LIVE:
    case CALL_EMPTY: break;
    }
    return " (incomplete)";
}

/* The last index of the run of neighbours that begins at i. */
static int run_end(const int *numbers, int count, int i)
{
    while (i + 1 < count && numbers[i + 1] == numbers[i] + 1)
        i++;
    return i;
}

char *words_list(char *out, const int *numbers, int count)
{
    size_t length = 0;
    int i = 0;

    out[0] = '\0';
    while (i < count) {
        int end = run_end(numbers, count, i);
        const char *between = i == 0 ? "" : end == count - 1 ? " and " : ", ";

        if (length + 40 >= WORDS_MAX) {
            snprintf(out + length, WORDS_MAX - length, ", …");
            break;
        }
        if (end > i + 1) {
            length += (size_t)snprintf(out + length, WORDS_MAX - length, "%s%d to %d", between,
                                       numbers[i], numbers[end]);
        } else {
            length += (size_t)snprintf(out + length, WORDS_MAX - length, "%s%d",
                                       i == 0           ? ""
                                       : i == count - 1 ? " and "
                                                        : ", ",
                                       numbers[i]);
            end = i;
        }
        i = end + 1;
    }
    return out;
}
