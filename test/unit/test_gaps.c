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

/* Packets that are lost, and our side standing still. */
static const struct sweep rtp_ecm_sweeps[] = {
    {"RTP, ECM, V.17", {.rtp = true, .ecm = true, .pages = 2}, {690, 0, 0}},
    {"RTP, ECM, V.29", {.rtp = true, .ecm = true, .pages = 2, .modems = V29}, {1700, 0, 0}},
    {"RTP, ECM, V.27ter", {.rtp = true, .ecm = true, .pages = 1, .modems = V27TER}, {1700, 0, 0}},
};

static const struct sweep rtp_plain_sweeps[] = {
    {"RTP, plain, V.17", {.rtp = true, .pages = 2}, {690, 0, 0}},
    {"RTP, plain, V.29", {.rtp = true, .pages = 2, .modems = V29}, {1700, 0, 0}},
    {"RTP, plain, V.27ter", {.rtp = true, .pages = 1, .modems = V27TER}, {1700, 0, 0}},
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

enum { LENGTHS = 5 };

/* Of gaps: silence is noticed when it is long, single packets are lost more often than ten. */
static const int *gap_lengths(const struct rig_case *c)
{
    static const int silence[LENGTHS] = {60, 120, 200, 300, 400};
    static const int packets[LENGTHS] = {20, 60, 100, 160, 200};

    return c->rtp ? packets : silence;
}

/* One direction of a sweep, with gaps of `gap_ms`, or of all lengths in turn for 0. */
static void sweep_direction(struct tally *tally, const struct rig_case *sweep, enum rig_gap gap,
                            int step_ms, int gap_ms)
{
    struct rig_case c = *sweep;
    int length_ms = length_of(&c);
    int n = 0;

    c.gap = gap;
    if (step_ms == 0)
        return;
    for (c.gap_at_ms = step_ms; c.gap_at_ms < length_ms; c.gap_at_ms += step_ms) {
        c.gap_ms = gap_ms > 0 ? gap_ms : gap_lengths(&c)[n++ % LENGTHS];
        try(tally, &c);
    }
}

static void campaign(struct tally *all, const struct sweep *sweep, int step_ms, int rows)
{
    struct rig_case c = sweep->c;
    const int *lengths = gap_lengths(&c);

    c.name = sweep->name;
    c.rows = rows;
    for (int gap = RIG_GAP_TO_US; gap <= RIG_GAP_BOTH; gap++) {
        if (sweep->step_ms[gap] == 0)
            continue;
        for (int i = 0; i < LENGTHS; i++) {
            struct tally tally = {0};

            sweep_direction(&tally, &c, (enum rig_gap)gap, step_ms, lengths[i]);
            print_message("TABLE %-19s %-9s %3d ms: calls %d", c.name, gap_names[gap], lengths[i],
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

/* Without ECM a page that lacks a packet is sent again. */
static void test_t38_plain(void **state)
{
    struct tally tally = {0};

    (void)state;
    sweep_all(&tally, t38_plain_sweeps, sizeof t38_plain_sweeps / sizeof t38_plain_sweeps[0]);
    assert_int_equal(tally.outcomes[EMPTY] + tally.outcomes[PARTIAL], 0);
    assert_int_equal(tally.outcomes[CUT], 0);
    assert_true(tally.refused * 8 > tally.calls);
}

/* With lost packets a call goes on as with silence, but its carriers do not tear. */
static void test_rtp_ecm(void **state)
{
    struct tally tally = {0};

    (void)state;
    sweep_all(&tally, rtp_ecm_sweeps, sizeof rtp_ecm_sweeps / sizeof rtp_ecm_sweeps[0]);
    assert_int_equal(tally.outcomes[COMPLETE], tally.calls);
    assert_int_equal(tally.unsure, 0);
}

/* Without ECM: as with T.38. */
static void test_rtp_plain(void **state)
{
    struct tally tally = {0};

    (void)state;
    sweep_all(&tally, rtp_plain_sweeps, sizeof rtp_plain_sweeps / sizeof rtp_plain_sweeps[0]);
    assert_int_equal(tally.outcomes[EMPTY] + tally.outcomes[PARTIAL], 0);
    assert_true(tally.outcomes[DOUBTFUL] * 20 < tally.calls);
    assert_int_equal(tally.outcomes[CUT], 0);
}

/* In the middle of a page of 1200 rows: how much longer a call takes for it. What is lost with a
 * carrier that tears is most of a block; of 200 ms, a handful of frames. */
static void test_carrier_holds(void **state)
{
    static const int modems[] = {ALL_MODEMS, V29, V27TER};
    static struct rig_result result;
    int worst_ms = 0;

    (void)state;
    for (size_t m = 0; m < sizeof modems / sizeof modems[0]; m++) {
        struct rig_case c = {
            .name = "", .rtp = true, .ecm = true, .pages = 1, .rows = 1200, .modems = modems[m]};
        int64_t whole_s;

        rig_run(&result, &c);
        whole_s = result.seconds;
        for (c.gap_ms = 20; c.gap_ms <= 200; c.gap_ms += 20) {
            rig_run(&result, &c);
            assert_int_equal(judge(&c, &result), COMPLETE);
            if ((result.seconds - whole_s) * 1000 > worst_ms)
                worst_ms = (int)(result.seconds - whole_s) * 1000;
        }
    }
    assert_in_range(worst_ms, 0, 8000);
}

/* A sender whose gateway suppresses silence: that is not taken for something lost. */
static void test_suppressed_silence(void **state)
{
    static const int modems[] = {ALL_MODEMS, V29, V27TER};
    static struct rig_result result;

    (void)state;
    for (size_t m = 0; m < 2 * (sizeof modems / sizeof modems[0]); m++) {
        struct rig_case c = {
            .name = "", .rtp = true, .ecm = m % 2 == 0, .pages = 2, .modems = modems[m / 2]};
        int64_t whole_s;

        rig_run(&result, &c);
        whole_s = result.seconds;
        c.suppresses = true;
        rig_run(&result, &c);
        assert_int_equal(judge(&c, &result), COMPLETE);
        assert_int_equal(result.rtn, 0);
        assert_null(strstr(result.trace, "PPR"));
        assert_in_range(result.seconds, whole_s, whole_s + 3);
    }
}

/* Nothing was asked for twice. */
static bool is_unharmed(const struct rig_case *c)
{
    static struct rig_result result;
    bool is_whole;

    rig_run(&result, c);
    is_whole =
        judge(c, &result) == COMPLETE && result.rtn == 0 && strstr(result.trace, "PPR") == NULL;
    if (!is_whole)
        print_message("%s: modems %d, ECM %d, %d ms at %d ms: %s, RTN %d\n%s", c->name, c->modems,
                      c->ecm, c->stall_ms + c->late_ms, c->gap_at_ms,
                      outcome_names[judge(c, &result)], result.rtn, result.trace);
    return is_whole;
}

/* Our side stands still; all packets wait for it in the socket, and none of them is lost to it. */
static void test_stall(void **state)
{
    static const int modems[] = {ALL_MODEMS, V29, V27TER};
    int damaged = 0;

    (void)state;
    for (size_t m = 0; m < 2 * (sizeof modems / sizeof modems[0]); m++) {
        struct rig_case c = {.name = "stall",
                             .rtp = true,
                             .pages = 1,
                             .rows = 1200,
                             .ecm = m % 2 == 0,
                             .modems = modems[m / 2]};

        for (c.stall_ms = 120; c.stall_ms <= 520; c.stall_ms += 130)
            damaged += !is_unharmed(&c);
    }
    assert_int_equal(damaged, 0);
}

/* The far side or the network stands still, and what was to come comes at once behind it: nothing
 * of a page is lost, whenever it happens. */
static void test_late(void **state)
{
    static const int modems[] = {ALL_MODEMS, V29, V27TER};
    int damaged = 0;

    (void)state;
    for (size_t m = 0; m < 2 * (sizeof modems / sizeof modems[0]); m++) {
        struct rig_case c = {
            .name = "late", .rtp = true, .pages = 2, .ecm = m % 2 == 0, .modems = modems[m / 2]};
        int length_ms = length_of(&c);

        c.late_ms = 80;
        for (c.gap_at_ms = 500; c.gap_at_ms < length_ms; c.gap_at_ms += 1170) {
            damaged += !is_unharmed(&c);
            c.late_ms = c.late_ms < 800 ? c.late_ms + 120 : 80;
        }
    }
    assert_int_equal(damaged, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ecm),           cmocka_unit_test(test_plain),
        cmocka_unit_test(test_rtp_ecm),       cmocka_unit_test(test_rtp_plain),
        cmocka_unit_test(test_carrier_holds), cmocka_unit_test(test_suppressed_silence),
        cmocka_unit_test(test_stall),         cmocka_unit_test(test_t38_ecm),
        cmocka_unit_test(test_t38_plain),     cmocka_unit_test(test_late),
    };

    return cmocka_run_group_tests_name("gaps", tests, NULL, NULL);
}
