/* SPDX-License-Identifier: MIT */
/*
 * test_ends.c - every call ends: far ends that fall silent at any point, or go on for ever in any
 * way. By the core's timers, by the watchdog, at the latest by the limit of its length; and what
 * was confirmed is kept.
 *
 * FAXPOST_ENDS=1 prints the table; FAXPOST_CAMPAIGN=1 runs all of it, and six hours, in all media.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/unit/ends_far.h"

/* ---- the table ------------------------------------------------------------------------------- */

enum {
    ALL,
    SOUND,
    TALK
}; /* SOUND: not by T.38; TALK: frames that are the same in all media, so by T.38 alone */
enum { IDLE = 4 * 90 + 60 }; /* what a sender has that gets nowhere, and a page before */

static const struct {
    const char *name;
    void (*far_end)(struct far *far);
    int seconds_most; /* 0: as long as a call may last */
    enum call_verdict verdict;
    int pages_least;
    int media;
    int store_ms;
} table[] = {
    {"silent", far_end_silent, 120, CALL_EMPTY, 0, ALL, 0},
    {"silent after DCS", far_end_silent_after_dcs, 120, CALL_EMPTY, 0, ALL, 0},
    {"silent after CFR", far_end_silent_after_cfr, 120, CALL_EMPTY, 0, ALL, 0},
    {"silent in a page", far_end_silent_in_page, 150, CALL_EMPTY, 0, ALL, 0},
    {"silent after a page", far_end_silent_after_page, 150, CALL_PARTIAL, 1, ALL, 0},
    {"silent after the last page", far_end_silent_after_last_page, 60, CALL_COMPLETE, 1, ALL, 0},
    {"flags", far_end_flags, 120, CALL_EMPTY, 0, ALL, 0},
    {"flags after DIS", far_end_flags_after_dis, 120, CALL_EMPTY, 0, ALL, 0},
    {"flags after CFR", far_end_flags_after_cfr, IDLE, CALL_EMPTY, 0, ALL, 0},
    {"flags after a page", far_end_flags_after_page, IDLE, CALL_PARTIAL, 1, ALL, 0},
    {"flags after the last page", far_end_flags_after_last_page, 180, CALL_COMPLETE, 1, ALL, 0},
    {"training check without an end", far_end_training_check, IDLE, CALL_EMPTY, 0, ALL, 0},
    {"training that fails", far_end_failing_training, IDLE, CALL_EMPTY, 0, TALK, 0},
    {"training again and again", far_end_training, IDLE, CALL_EMPTY, 0, TALK, 0},
    {"CTC", far_end_ctc, IDLE, CALL_EMPTY, 0, TALK, 0},
    {"EOR", far_end_eor, IDLE, CALL_EMPTY, 0, TALK, 0},
    {"RR", far_end_rr, IDLE, CALL_EMPTY, 0, TALK, 0},
    {"RNR", far_end_rnr, IDLE, CALL_EMPTY, 0, TALK, 0},
    {"CRP", far_end_crp, IDLE, CALL_EMPTY, 0, ALL, 0},
    {"CRP after a page", far_end_crp_after_page, IDLE, CALL_PARTIAL, 1, TALK, 0},
    {"DIS", far_end_dis, IDLE, CALL_EMPTY, 0, ALL, 0},
    {"TSI", far_end_tsi, IDLE, CALL_EMPTY, 0, ALL, 0},
    {"frames of noise", far_end_frames_of_noise, IDLE, CALL_EMPTY, 0, ALL, 0},
    {"frames that are missing", far_end_missing_frames, IDLE, CALL_EMPTY, 0, TALK, 0},
    {"EOP again and again", far_end_repeated_eop, 120, CALL_COMPLETE, 1, TALK, 0},
    {"MPS again and again", far_end_repeated_mps, IDLE, CALL_PARTIAL, 1, TALK, 0},
    {"RR to a disk that says nothing", far_end_rr_to_a_slow_disk, 120, CALL_EMPTY, 0, ALL, -1},
    {"MPS without a page", far_end_mps_without_page, IDLE, CALL_EMPTY, 0, TALK, 0},
    {"bad pages", far_end_bad_pages, 0, CALL_EMPTY, 0, TALK, 0},
    {"image frames without an end", far_end_frames_without_end, IDLE, CALL_EMPTY, 0, TALK, 0},
    {"fill without an end", far_end_fill_without_end, IDLE, CALL_EMPTY, 0, ALL, 0},
    {"rows without an end", far_end_rows_without_end, 0, CALL_EMPTY, 0, ALL, 0},
    {"rubbish without an end", far_end_rubbish_without_end, 0, CALL_EMPTY, 0, ALL, 0},
    {"pages", far_end_pages, 0, CALL_PARTIAL, 10, ALL, 0},
    {"long pages", far_end_long_pages, 0, CALL_PARTIAL, 4, ALL, 0},
    {"blocks of a page", far_end_blocks, 0, CALL_EMPTY, 0, TALK, 0},
    {"2100 Hz", far_end_tone_2100, 120, CALL_EMPTY, 0, SOUND, 0},
    {"1100 Hz", far_end_tone_1100, 120, CALL_EMPTY, 0, SOUND, 0},
    {"noise", far_end_noise, 120, CALL_EMPTY, 0, SOUND, 0},
    {"noise after CFR", far_end_noise_after_cfr, IDLE, CALL_EMPTY, 0, SOUND, 0},
    {"noise after a page", far_end_noise_after_page, IDLE, CALL_PARTIAL, 1, SOUND, 0},
};

static const char *const media_names[] = {"audio", "T.38", "modem"};

static bool is_campaign(void)
{
    return getenv("FAXPOST_CAMPAIGN") != NULL;
}

static void tell(const struct end_case *c, const struct end_result *result)
{
    print_message("| %s | %s | %lld s | %s, %d far_end_pages, %d pieces | %s |\n", c->name,
                  media_names[c->media], (long long)result->ms / 1000,
                  call_verdict_text(result->info.verdict), result->info.pages, result->pieces,
                  result->info.error);
}

static int run_all(enum session_media media)
{
    int failures = 0;

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct end_case c = {.name = table[i].name,
                                   .media = media,
                                   .far_end = table[i].far_end,
                                   .store_ms = table[i].store_ms};
        const char *only = getenv("FAXPOST_ONLY");
        struct end_result result;

        if ((media == SESSION_T38 && table[i].media == SOUND) ||
            (media != SESSION_T38 && table[i].media == TALK && !is_campaign()) ||
            (only != NULL && strcmp(only, table[i].name) != 0))
            continue;
        end_run(&result, &c);
        if (getenv("FAXPOST_ENDS") != NULL)
            tell(&c, &result);
        if (result.ended && result.info.verdict == table[i].verdict &&
            result.info.pages >= table[i].pages_least && result.info.pages <= result.stored &&
            (table[i].seconds_most == 0 || result.ms <= table[i].seconds_most * 1000))
            continue;
        failures++;
        print_error(
            "%s by %s: ended %d after %lld s, %s, %d far_end_pages, %d stored, \"%s\"; heard %d "
            "frames, %d MCF\n",
            c.name, media_names[media], result.ended, (long long)result.ms / 1000,
            call_verdict_text(result.info.verdict), result.info.pages, result.stored,
            result.info.error, result.frames_heard, result.mcf);
    }
    return failures;
}

/* Six hours of far_end_pages, as long as it is allowed: those that were confirmed are there. */
static void test_six_hours(void **state)
{
    static const enum session_media media[] = {SESSION_T38, SESSION_AUDIO, SESSION_MODEM};
    size_t count = is_campaign() ? 3 : 1;

    (void)state;
    for (size_t i = 0; i < count; i++) {
        const struct end_case c = {.name = "six hours of pages",
                                   .media = media[i],
                                   .far_end = far_end_long_pages,
                                   .session_ms_max = 6 * 3600000};
        struct end_result result;

        end_run(&result, &c);
        if (getenv("FAXPOST_ENDS") != NULL)
            tell(&c, &result);
        assert_true(result.ended);
        assert_in_range(result.ms, c.session_ms_max, c.session_ms_max + 15000);
        assert_int_equal(result.info.verdict, CALL_PARTIAL);
        assert_true(result.info.pages > 200 && result.info.pages <= result.stored &&
                    result.info.pages == result.mcf);
        assert_string_equal(result.info.error,
                            "the call lasted longer than limits.session_seconds allows");
    }
}

static void test_early_caller(void **state)
{
    (void)state;
    for (int media = SESSION_AUDIO; media <= SESSION_MODEM; media++) {
        const struct end_case c = {.name = "early caller",
                                   .media = (enum session_media)media,
                                   .far_end = far_end_early_caller};
        struct end_result result;

        end_run(&result, &c);
        if (result.info.verdict != CALL_COMPLETE)
            fail_msg("%s: %s, \"%s\"", media_names[media], call_verdict_text(result.info.verdict),
                     result.info.error);
    }
}

static void test_t38(void **state)
{
    (void)state;
    assert_int_equal(run_all(SESSION_T38), 0);
}

static void test_audio(void **state)
{
    (void)state;
    assert_int_equal(run_all(SESSION_AUDIO), 0);
}

static void test_class1(void **state)
{
    (void)state;
    assert_int_equal(run_all(SESSION_MODEM), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_t38),          cmocka_unit_test(test_audio),
        cmocka_unit_test(test_class1),       cmocka_unit_test(test_six_hours),
        cmocka_unit_test(test_early_caller),
    };

    return cmocka_run_group_tests_name("ends", tests, NULL, NULL);
}
