/* SPDX-License-Identifier: MIT */
/*
 * test_gaps.c - calls over audio with a gap of a tenth of a second or so, at one moment of the call
 * after the other: what became of them.
 *
 * FAXPOST_CAMPAIGN=N tries every N ms of the call with gaps of many lengths and prints a table; so
 * does FAXPOST_CAMPAIGN=N,R with pages of R rows. Without it a few moments are tried.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/unit/session_rig.h"

enum { ALL_MODEMS = 0, V27TER = 1, V29 = 2 };

enum outcome { COMPLETE, DOUBTFUL, PARTIAL, EMPTY, CUT, OUTCOMES };

static const char *const outcome_names[OUTCOMES] = {
    "complete", "doubtful", "partial", "empty", "confirmed but not whole",
};

static const char *const gap_names[] = {"to us", "from us", "both ways"};

struct sweep {
    const char *name;
    struct rig_case c;
    int step_ms[3]; /* by direction of the gap, in the short form */
};

static const struct sweep ecm_sweeps[] = {
    {"ECM, V.17", {.media = SESSION_AUDIO, .ecm = true, .pages = 2}, {690, 2900, 2900}},
    {"ECM, V.29",
     {.media = SESSION_AUDIO, .ecm = true, .pages = 2, .modems = V29},
     {1700, 5300, 5300}},
    {"ECM, V.27ter",
     {.media = SESSION_AUDIO, .ecm = true, .pages = 1, .modems = V27TER},
     {4300, 9100, 9100}},
};

static const struct sweep plain_sweeps[] = {
    {"plain, V.17", {.media = SESSION_AUDIO, .pages = 2}, {690, 4900, 4900}},
    {"plain, V.29", {.media = SESSION_AUDIO, .pages = 2, .modems = V29}, {1700, 5300, 5300}},
};

static const struct sweep t38_ecm_sweeps[] = {
    {"T.38, ECM", {.media = SESSION_T38, .ecm = true, .pages = 2}, {690, 0, 0}},
};

static const struct sweep t38_plain_sweeps[] = {
    {"T.38, plain", {.media = SESSION_T38, .pages = 2}, {690, 0, 0}},
};

static enum outcome judge(const struct rig_case *c, const struct rig_result *result)
{
    for (int page = 1; page <= result->info.pages; page++)
        if (result->page_hash[page] != rig_page_hash(c, page))
            return CUT;
    switch (result->info.verdict) {
    case CALL_COMPLETE: return result->info.pages == c->pages ? COMPLETE : CUT;
    case CALL_DOUBTFUL: return DOUBTFUL;
    case CALL_PARTIAL: return PARTIAL;
    default: return EMPTY;
    }
}

struct tally {
    int calls, outcomes[OUTCOMES];
    int unsure;  /* complete here, but the sender was not told */
    int refused; /* pages answered with RTN */
    int64_t seconds;
};

static enum outcome try(struct tally *tally, const struct rig_case *c)
{
    static struct rig_result result;
    enum outcome outcome;

    rig_run(&result, c);
    outcome = judge(c, &result);
    tally->calls++;
    tally->outcomes[outcome]++;
    tally->unsure += outcome == COMPLETE && result.sender_code != 0;
    tally->refused += result.rtn;
    tally->seconds += result.seconds;
    if ((outcome != COMPLETE && outcome != DOUBTFUL) || result.sender_code != 0)
        print_message("%s: gap of %d ms %s at %d ms: %s, sender %d, %d pages, \"%s\"\n%s", c->name,
                      c->gap_ms, gap_names[c->gap], c->gap_at_ms, outcome_names[outcome],
                      result.sender_code, result.info.pages, result.info.error,
                      getenv("FAXPOST_CAMPAIGN") == NULL ? result.trace : "");
    return outcome;
}

static int length_of(const struct rig_case *c)
{
    static struct rig_result result;

    rig_run(&result, c);
    assert_int_equal(result.info.verdict, CALL_COMPLETE);
    return (int)result.seconds * 1000;
}

/* One direction of a sweep, with gaps of `gap_ms`, or of all lengths in turn for 0. */
static void sweep_direction(struct tally *tally, const struct rig_case *sweep, enum rig_gap gap,
                            int step_ms, int gap_ms)
{
    static const int lengths[] = {60, 120, 200, 300, 400};
    struct rig_case c = *sweep;
    int length_ms = length_of(&c);
    int n = 0;

    c.gap = gap;
    if (step_ms == 0)
        return;
    for (c.gap_at_ms = step_ms; c.gap_at_ms < length_ms; c.gap_at_ms += step_ms) {
        c.gap_ms = gap_ms > 0 ? gap_ms : lengths[n++ % 5];
        try(tally, &c);
    }
}

static void campaign(struct tally *all, const struct sweep *sweep, int step_ms, int rows)
{
    static const int lengths[] = {60, 120, 200, 300, 400};
    struct rig_case c = sweep->c;

    c.name = sweep->name;
    c.rows = rows;
    for (int gap = RIG_GAP_TO_US; gap <= RIG_GAP_BOTH; gap++) {
        if (sweep->step_ms[gap] == 0)
            continue;
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
            struct tally tally = {0};

            sweep_direction(&tally, &c, (enum rig_gap)gap, step_ms, lengths[i]);
            print_message("TABLE %-14s %-9s %3d ms: calls %d", c.name, gap_names[gap], lengths[i],
                          tally.calls);
            for (int k = 0; k < OUTCOMES; k++)
                print_message(", %s %d", outcome_names[k], tally.outcomes[k]);
            print_message(", sender unsure %d, RTN %d, mean %ld s\n", tally.unsure, tally.refused,
                          (long)(tally.seconds / tally.calls));
            all->calls += tally.calls;
            all->unsure += tally.unsure;
            all->refused += tally.refused;
            for (int k = 0; k < OUTCOMES; k++)
                all->outcomes[k] += tally.outcomes[k];
        }
    }
}

static void sweep_all(struct tally *tally, const struct sweep *sweeps, size_t count)
{
    const char *setting = getenv("FAXPOST_CAMPAIGN");

    for (size_t i = 0; i < count; i++) {
        struct rig_case c = sweeps[i].c;
        int step_ms;
        int rows = 0;

        c.name = sweeps[i].name;
        if (setting != NULL && sscanf(setting, "%d,%d", &step_ms, &rows) >= 1 && step_ms > 0) {
            campaign(tally, &sweeps[i], step_ms, rows);
            continue;
        }
        for (int gap = RIG_GAP_TO_US; gap <= RIG_GAP_BOTH; gap++)
            sweep_direction(tally, &c, (enum rig_gap)gap, sweeps[i].step_ms[gap], 0);
    }
}

/* With error correction no gap of this kind may cost a page, wherever it is. */
static void test_ecm(void **state)
{
    struct tally tally = {0};

    (void)state;
    sweep_all(&tally, ecm_sweeps, sizeof ecm_sweeps / sizeof ecm_sweeps[0]);
    assert_int_equal(tally.outcomes[COMPLETE], tally.calls);
    assert_int_equal(tally.unsure, 0);
}

/* Without it a page is sent again when something is missing, and never confirmed when it is. */
static void test_plain(void **state)
{
    struct tally tally = {0};

    (void)state;
    sweep_all(&tally, plain_sweeps, sizeof plain_sweeps / sizeof plain_sweeps[0]);
    assert_int_equal(tally.outcomes[CUT], 0);
    assert_int_equal(tally.outcomes[COMPLETE] + tally.outcomes[DOUBTFUL], tally.calls);
    assert_true(tally.outcomes[DOUBTFUL] * 20 < tally.calls);
}

/* Packets lost on T.38, more than its redundancy makes good. */
static void test_t38_ecm(void **state)
{
    struct tally tally = {0};

    (void)state;
    sweep_all(&tally, t38_ecm_sweeps, sizeof t38_ecm_sweeps / sizeof t38_ecm_sweeps[0]);
    assert_int_equal(tally.outcomes[COMPLETE], tally.calls);
}

/* Without ECM one or two packets, a few rows, are as good as noise on a line: a fifth of the gaps
 * here. More than that is sent again. */
static void test_t38_plain(void **state)
{
    struct tally tally = {0};

    (void)state;
    sweep_all(&tally, t38_plain_sweeps, sizeof t38_plain_sweeps / sizeof t38_plain_sweeps[0]);
    assert_int_equal(tally.outcomes[EMPTY] + tally.outcomes[PARTIAL], 0);
    assert_true(tally.outcomes[CUT] * 5 <= tally.calls + 5);
    assert_true(tally.refused * 8 > tally.calls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ecm),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_t38_ecm),
        cmocka_unit_test(test_t38_plain),
    };

    return cmocka_run_group_tests_name("gaps", tests, NULL, NULL);
}
