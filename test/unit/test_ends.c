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

#include "fax/t30/frames.h"
#include "test/unit/ends_rig.h"

/* ---- far ends that get somewhere ------------------------------------------------------------- */

static const uint8_t dcs_ecm[] = {0xff, 0x13, FCF_DCS | 1, 0x00, 0x62, 0xf8, 0x44};
static const uint8_t dcs_plain[] = {0xff, 0x13, FCF_DCS | 1, 0x00, 0x62, 0x78};

enum { TCF_OCTETS = 2700, TRAINED = 100, PAGE_FRAMES = 4 };

/* How much of what is being sent has gone; no two far ends run at once. */
static int sent, wanted;

static int next_zero(struct far *far)
{
    (void)far;
    return sent++ < wanted ? 0 : -1;
}

static void send_zeros(struct far *far, int octets, bool is_check)
{
    sent = 0;
    wanted = octets;
    far_octets(far, next_zero, is_check);
}

/* DIS, DCS, TCF, CFR. True when that is done; the step is TRAINED then, for one's own use. */
static bool is_trained(struct far *far, const uint8_t *dcs, size_t length)
{
    int *step = far_step(far);

    if (*step >= TRAINED)
        return true;
    if (far_is_busy(far))
        return false;
    if (*step == 0 && far_heard(far) == FCF_DIS) {
        far_v21(far, dcs, length);
        *step = 1;
    } else if (*step == 1) {
        send_zeros(far, TCF_OCTETS, true);
        *step = 2;
    } else if (*step == 2 && far_heard(far) == FCF_CFR) {
        *step = TRAINED;
        return true;
    }
    return false;
}

static bool is_trained_ecm(struct far *far)
{
    return is_trained(far, dcs_ecm, sizeof dcs_ecm);
}

static bool is_trained_plain(struct far *far)
{
    return is_trained(far, dcs_plain, sizeof dcs_plain);
}

/* FCD frames with rows in them, then RCP. */
static size_t next_frame(struct far *far, uint8_t frame[300])
{
    (void)far;
    memset(frame, 0x35, 260);
    frame[0] = 0xff;
    frame[1] = 0x03;
    frame[2] = sent < wanted ? FCF_FCD : FCF_RCP;
    frame[3] = (uint8_t)sent;
    if (sent >= wanted + 3)
        return 0;
    return sent++ < wanted ? 260 : 3;
}

static void send_page(struct far *far, int frames)
{
    sent = 0;
    wanted = frames;
    far_frames(far, next_frame);
}

static void send_pps(struct far *far, uint8_t next, int page, int block, int frames)
{
    const uint8_t pps[] = {0xff,          0x13,           FCF_PPS | 1,          next,
                           (uint8_t)page, (uint8_t)block, (uint8_t)(frames - 1)};

    far_v21(far, pps, sizeof pps);
}

static void send_command(struct far *far, uint8_t fcf)
{
    const uint8_t frame[] = {0xff, 0x13, fcf | 1};

    far_v21(far, frame, sizeof frame);
}

/* A page with what follows it, confirmed. True once it is. */
static bool has_sent_page(struct far *far, uint8_t next)
{
    int *step = far_step(far);

    if (!is_trained_ecm(far) || far_is_busy(far))
        return false;
    if (*step == TRAINED) {
        send_page(far, PAGE_FRAMES);
        ++*step;
    } else if (*step == TRAINED + 1) {
        send_pps(far, next, 0, 0, PAGE_FRAMES);
        ++*step;
    } else if (*step == TRAINED + 2 && far_heard(far) == FCF_MCF) {
        ++*step;
    }
    return *step > TRAINED + 2;
}

/* ---- silence --------------------------------------------------------------------------------- */

static void silent(struct far *far)
{
    (void)far;
}

static void silent_after_dcs(struct far *far)
{
    if (*far_step(far) < 2)
        is_trained_ecm(far);
}

static void silent_after_cfr(struct far *far)
{
    is_trained_ecm(far);
}

/* The carrier goes on, though nothing more is in it: in audio it is heard. */
static void silent_in_page(struct far *far)
{
    if (is_trained_ecm(far) && *far_step(far) == TRAINED) {
        sent = -100000; /* never RCP */
        wanted = 0;
        send_page(far, 2);
        ++*far_step(far);
    }
    if (*far_step(far) > TRAINED && sent >= 2)
        wanted = sent = -1000; /* ends without RCP: next_frame() gives 0 */
}

static void silent_after_page(struct far *far)
{
    has_sent_page(far, FCF_MPS);
}

static void silent_after_last_page(struct far *far)
{
    has_sent_page(far, FCF_EOP);
}

/* ---- the same for ever ----------------------------------------------------------------------- */

static void flags(struct far *far)
{
    if (!far_is_busy(far))
        far_flags(far);
}

static void flags_after_dis(struct far *far)
{
    if (*far_step(far) == 0 && far_heard(far) == FCF_DIS)
        *far_step(far) = 1;
    if (*far_step(far) == 1)
        flags(far);
}

static void flags_after_cfr(struct far *far)
{
    if (is_trained_ecm(far))
        flags(far);
}

static void flags_after_page(struct far *far)
{
    if (has_sent_page(far, FCF_MPS))
        flags(far);
}

static void flags_after_last_page(struct far *far)
{
    if (has_sent_page(far, FCF_EOP))
        flags(far);
}

static void training_check(struct far *far)
{
    if (*far_step(far) < 2)
        is_trained_ecm(far);
    if (*far_step(far) == 2)
        wanted = sent + 100; /* never enough */
}

static int next_one(struct far *far)
{
    (void)far;
    return sent++ < wanted ? 0xff : -1;
}

/* DCS and a TCF that fails, again and again. */
static void failing_training(struct far *far)
{
    int *step = far_step(far);

    if (far_is_busy(far))
        return;
    if (*step == 0 && far_heard(far) != FCF_DIS)
        return;
    if (*step % 2 == 0 && far_is_due(far, 5000)) {
        far_v21(far, dcs_ecm, sizeof dcs_ecm);
        ++*step;
    } else if (*step % 2 == 1) {
        sent = 0;
        wanted = TCF_OCTETS;
        far_octets(far, next_one, true);
        ++*step;
    }
}

/* DCS, TCF, CFR, and the same again. */
static void training(struct far *far)
{
    int *step = far_step(far);

    if (*step == TRAINED && far_is_due(far, 1000)) {
        far_v21(far, dcs_ecm, sizeof dcs_ecm);
        *step = 1;
    } else if (*step < TRAINED) {
        is_trained_ecm(far);
    }
}

static void ctc(struct far *far)
{
    const uint8_t frame[] = {0xff, 0x13, FCF_CTC | 1, 0x00, 0x20};

    if (is_trained_ecm(far) && far_is_due(far, 3000))
        far_v21(far, frame, sizeof frame);
}

static void eor(struct far *far)
{
    const uint8_t frame[] = {0xff, 0x13, FCF_EOR | 1, FCF_MPS};

    if (is_trained_ecm(far) && far_is_due(far, 3000))
        far_v21(far, frame, sizeof frame);
}

static void rr(struct far *far)
{
    if (is_trained_ecm(far) && far_is_due(far, 3000))
        send_command(far, FCF_RR);
}

static void rnr(struct far *far)
{
    if (is_trained_ecm(far) && far_is_due(far, 3000))
        send_command(far, FCF_RNR);
}

static void crp(struct far *far)
{
    if (is_trained_ecm(far) && far_is_due(far, 3000))
        send_command(far, FCF_CRP);
}

static void crp_after_page(struct far *far)
{
    if (has_sent_page(far, FCF_MPS) && far_is_due(far, 3000))
        send_command(far, FCF_CRP);
}

/* It calls as if it had a document and wanted none: DIS for our DIS. */
static void dis(struct far *far)
{
    const uint8_t frame[] = {0xff, 0x13, FCF_DIS, 0x00, 0xce, 0xf8, 0x44};

    if (far_is_due(far, 3000))
        far_v21(far, frame, sizeof frame);
}

/* TSI and no DCS behind it. */
static void tsi(struct far *far)
{
    uint8_t frame[23] = {0xff, 0x13, 0x43};

    memset(frame + 3, '1', 20);
    if (far_is_due(far, 3000))
        far_v21(far, frame, sizeof frame);
}

static void frames_of_noise(struct far *far)
{
    uint8_t frame[300] = {0xff, 0x13};
    size_t length = 2 + far_random(far) % 40;

    for (size_t i = 2; i < length; i++)
        frame[i] = (uint8_t)far_random(far);
    frame[2] &= 0x7f; /* what ends the call soon is not what is meant here: DCN */
    if (is_trained_ecm(far) && far_is_due(far, 500))
        far_v21(far, frame, length);
}

/* A block of which half is missing, always the same. */
static void missing_frames(struct far *far)
{
    int *step = far_step(far);

    if (!is_trained_ecm(far) || !far_is_due(far, 3000))
        return;
    if ((*step)++ % 2 == 0)
        send_page(far, PAGE_FRAMES);
    else
        send_pps(far, FCF_MPS, 0, 0, 2 * PAGE_FRAMES);
}

static void repeated_eop(struct far *far)
{
    if (has_sent_page(far, FCF_EOP) && far_is_due(far, 4000))
        send_pps(far, FCF_EOP, 0, 0, PAGE_FRAMES);
}

static void repeated_mps(struct far *far)
{
    if (has_sent_page(far, FCF_MPS) && far_is_due(far, 4000))
        send_pps(far, FCF_MPS, 0, 0, PAGE_FRAMES);
}

/* Asks and asks, while the disk says nothing. */
static void rr_to_a_slow_disk(struct far *far)
{
    has_sent_page(far, FCF_MPS);
    if (*far_step(far) == TRAINED + 2 && far_heard(far) == FCF_RNR)
        send_command(far, FCF_RR);
}

static void mps_without_page(struct far *far)
{
    if (is_trained_plain(far) && far_is_due(far, 4000))
        send_command(far, FCF_MPS);
}

/* Rows of nothing that is one. */
static int next_rubbish(struct far *far)
{
    if (sent++ >= wanted)
        return -1;
    return sent % 60 == 1 ? 0 : sent % 60 == 2 ? 0x80 : (int)(far_random(far) & 0xff);
}

static void bad_pages(struct far *far)
{
    int *step = far_step(far);

    if (!is_trained_plain(far) || !far_is_due(far, 3500))
        return;
    if ((*step)++ % 2 == 0) {
        sent = 0;
        wanted = 6000;
        far_octets(far, next_rubbish, false);
    } else {
        send_command(far, FCF_MPS);
    }
}

/* ---- pages without an end -------------------------------------------------------------------- */

static size_t next_frame_without_end(struct far *far, uint8_t frame[300])
{
    (void)far;
    memset(frame, 0x35, 260);
    frame[0] = 0xff;
    frame[1] = 0x03;
    frame[2] = FCF_FCD;
    frame[3] = (uint8_t)sent++;
    return 260;
}

static void frames_without_end(struct far *far)
{
    if (is_trained_ecm(far) && !far_is_busy(far)) {
        sent = 0;
        far_frames(far, next_frame_without_end);
    }
}

static void fill_without_end(struct far *far)
{
    if (is_trained_plain(far) && !far_is_busy(far))
        send_zeros(far, 1 << 30, false);
}

/* EOL, white 1728, white 0: 29 bits, and 3 of fill; the first bit is the lowest. */
static const uint8_t white_row[] = {0x00, 0x28, 0x9b, 0x15};

static int next_white(struct far *far)
{
    (void)far;
    return white_row[sent++ % (int)sizeof white_row];
}

static void rows_without_end(struct far *far)
{
    if (is_trained_plain(far) && !far_is_busy(far)) {
        sent = 0;
        far_octets(far, next_white, false);
    }
}

static void rubbish_without_end(struct far *far)
{
    if (is_trained_plain(far) && !far_is_busy(far)) {
        sent = 0;
        wanted = 1 << 30;
        far_octets(far, next_rubbish, false);
    }
}

/* Pages, or blocks of one, of so many frames and so long a pause, confirmed one by one. */
static void go_on(struct far *far, int frames, bool is_pages, int pause_ms)
{
    static int number;
    int *step = far_step(far);

    if (!is_trained_ecm(far) || far_is_busy(far))
        return;
    if (*step == TRAINED)
        number = 0;
    if (*step == TRAINED || (*step % 3 == TRAINED % 3 && far_is_due(far, pause_ms))) {
        far_is_due(far, pause_ms);
        send_page(far, frames);
        ++*step;
    } else if (*step % 3 == (TRAINED + 1) % 3) {
        if (is_pages)
            send_pps(far, FCF_MPS, number, 0, frames);
        else
            send_pps(far, FCF_NULL, 0, number, frames);
        ++*step;
    } else if (*step % 3 == (TRAINED + 2) % 3 && far_heard(far) == FCF_MCF) {
        number++;
        ++*step;
    }
}

static void pages(struct far *far)
{
    go_on(far, PAGE_FRAMES, true, 100);
}

/* Rows with much fill between them (T.4 4.1.3), and an RTC. */
static int next_filled(struct far *far)
{
    enum { ROW = 254, ROWS = 700 };
    static const uint8_t rtc[] = {0, 0x08, 0x80, 0, 0x08, 0x80, 0, 0x08, 0x80, 0, 0};
    int at = sent++;

    if (at >= ROW * ROWS)
        return at - ROW * ROWS < (int)sizeof rtc ? rtc[at - ROW * ROWS] : -1;
    (void)far;
    return at % ROW < ROW - 4 ? 0 : white_row[at % ROW - (ROW - 4)];
}

/* 100 s each. */
static void long_pages(struct far *far)
{
    int *step = far_step(far);

    if (!is_trained_plain(far) || far_is_busy(far))
        return;
    if (*step == TRAINED && far_is_due(far, 300)) {
        sent = 0;
        far_octets(far, next_filled, false);
        ++*step;
    } else if (*step == TRAINED + 1) {
        send_command(far, FCF_MPS);
        ++*step;
    } else if (*step == TRAINED + 2 && far_heard(far) == FCF_MCF) {
        *step = TRAINED;
    }
}

static void blocks(struct far *far)
{
    go_on(far, 1, false, 100);
}

/* ---- sounds ---------------------------------------------------------------------------------- */

static void tone_2100(struct far *far)
{
    far_tone(far, 2100);
}

static void tone_1100(struct far *far)
{
    far_tone(far, 1100);
}

static void noise(struct far *far)
{
    far_noise(far, 3000);
}

static void noise_after_cfr(struct far *far)
{
    if (is_trained_plain(far))
        far_noise(far, 3000);
}

static void noise_after_page(struct far *far)
{
    if (has_sent_page(far, FCF_MPS))
        far_noise(far, 3000);
}

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
    {"silent", silent, 120, CALL_EMPTY, 0, ALL, 0},
    {"silent after DCS", silent_after_dcs, 120, CALL_EMPTY, 0, ALL, 0},
    {"silent after CFR", silent_after_cfr, 120, CALL_EMPTY, 0, ALL, 0},
    {"silent in a page", silent_in_page, 150, CALL_EMPTY, 0, ALL, 0},
    {"silent after a page", silent_after_page, 150, CALL_PARTIAL, 1, ALL, 0},
    {"silent after the last page", silent_after_last_page, 60, CALL_COMPLETE, 1, ALL, 0},
    {"flags", flags, 120, CALL_EMPTY, 0, ALL, 0},
    {"flags after DIS", flags_after_dis, 120, CALL_EMPTY, 0, ALL, 0},
    {"flags after CFR", flags_after_cfr, IDLE, CALL_EMPTY, 0, ALL, 0},
    {"flags after a page", flags_after_page, IDLE, CALL_PARTIAL, 1, ALL, 0},
    {"flags after the last page", flags_after_last_page, 180, CALL_COMPLETE, 1, ALL, 0},
    {"training check without an end", training_check, IDLE, CALL_EMPTY, 0, ALL, 0},
    {"training that fails", failing_training, IDLE, CALL_EMPTY, 0, TALK, 0},
    {"training again and again", training, IDLE, CALL_EMPTY, 0, TALK, 0},
    {"CTC", ctc, IDLE, CALL_EMPTY, 0, TALK, 0},
    {"EOR", eor, IDLE, CALL_EMPTY, 0, TALK, 0},
    {"RR", rr, IDLE, CALL_EMPTY, 0, TALK, 0},
    {"RNR", rnr, IDLE, CALL_EMPTY, 0, TALK, 0},
    {"CRP", crp, IDLE, CALL_EMPTY, 0, ALL, 0},
    {"CRP after a page", crp_after_page, IDLE, CALL_PARTIAL, 1, TALK, 0},
    {"DIS", dis, IDLE, CALL_EMPTY, 0, ALL, 0},
    {"TSI", tsi, IDLE, CALL_EMPTY, 0, ALL, 0},
    {"frames of noise", frames_of_noise, IDLE, CALL_EMPTY, 0, ALL, 0},
    {"frames that are missing", missing_frames, IDLE, CALL_EMPTY, 0, TALK, 0},
    {"EOP again and again", repeated_eop, 120, CALL_COMPLETE, 1, TALK, 0},
    {"MPS again and again", repeated_mps, IDLE, CALL_PARTIAL, 1, TALK, 0},
    {"RR to a disk that says nothing", rr_to_a_slow_disk, 120, CALL_EMPTY, 0, ALL, -1},
    {"MPS without a page", mps_without_page, IDLE, CALL_EMPTY, 0, TALK, 0},
    {"bad pages", bad_pages, 0, CALL_EMPTY, 0, TALK, 0},
    {"image frames without an end", frames_without_end, IDLE, CALL_EMPTY, 0, TALK, 0},
    {"fill without an end", fill_without_end, IDLE, CALL_EMPTY, 0, ALL, 0},
    {"rows without an end", rows_without_end, 0, CALL_EMPTY, 0, ALL, 0},
    {"rubbish without an end", rubbish_without_end, 0, CALL_EMPTY, 0, ALL, 0},
    {"pages", pages, 0, CALL_PARTIAL, 10, ALL, 0},
    {"long pages", long_pages, 0, CALL_PARTIAL, 4, ALL, 0},
    {"blocks of a page", blocks, 0, CALL_EMPTY, 0, TALK, 0},
    {"2100 Hz", tone_2100, 120, CALL_EMPTY, 0, SOUND, 0},
    {"1100 Hz", tone_1100, 120, CALL_EMPTY, 0, SOUND, 0},
    {"noise", noise, 120, CALL_EMPTY, 0, SOUND, 0},
    {"noise after CFR", noise_after_cfr, IDLE, CALL_EMPTY, 0, SOUND, 0},
    {"noise after a page", noise_after_page, IDLE, CALL_PARTIAL, 1, SOUND, 0},
};

static const char *const media_names[] = {"audio", "T.38", "modem"};

static bool is_campaign(void)
{
    return getenv("FAXPOST_CAMPAIGN") != NULL;
}

static void tell(const struct end_case *c, const struct end_result *result)
{
    print_message("| %s | %s | %lld s | %s, %d pages, %d pieces | %s |\n", c->name,
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
        print_error("%s by %s: ended %d after %lld s, %s, %d pages, %d stored, \"%s\"; heard %d "
                    "frames, %d MCF\n",
                    c.name, media_names[media], result.ended, (long long)result.ms / 1000,
                    call_verdict_text(result.info.verdict), result.info.pages, result.stored,
                    result.info.error, result.frames_heard, result.mcf);
    }
    return failures;
}

/* Six hours of pages, as long as it is allowed: those that were confirmed are there. */
static void test_six_hours(void **state)
{
    static const enum session_media media[] = {SESSION_T38, SESSION_AUDIO, SESSION_MODEM};
    size_t count = is_campaign() ? 3 : 1;

    (void)state;
    for (size_t i = 0; i < count; i++) {
        const struct end_case c = {.name = "six hours of pages",
                                   .media = media[i],
                                   .far_end = long_pages,
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

/* A caller whose first frame comes into our CED, too early to be taken. */
static void early_caller(struct far *far)
{
    enum { BEFORE_DIS_MS = 1500 };
    int *step = far_step(far);

    if (*step == 0 && far_now_ms(far) < BEFORE_DIS_MS)
        return;
    if (*step == 0 && !far_is_busy(far)) {
        far_v21(far, dcs_ecm, sizeof dcs_ecm);
        *step = -1;
    } else if (*step == -1 && !far_is_busy(far)) {
        *step = -2;
    } else if (*step == -2 && far_heard(far) == FCF_DIS) {
        far_v21(far, dcs_ecm, sizeof dcs_ecm);
        *step = 1;
    } else if (*step > 0) {
        has_sent_page(far, FCF_EOP);
    }
}

static void test_early_caller(void **state)
{
    (void)state;
    for (int media = SESSION_AUDIO; media <= SESSION_MODEM; media++) {
        const struct end_case c = {
            .name = "early caller", .media = (enum session_media)media, .far_end = early_caller};
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
