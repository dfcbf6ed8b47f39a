/* SPDX-License-Identifier: MIT */
/*
 * test_session.c - whole calls on virtual time: what the sender was told, what was stored, and the
 * verdict. The tests that spec/gate.md names are all here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fax/t30/frames.h"
#include "test/unit/session_rig.h"

enum { OK = 0, T4_1D = 0x02, T4_2D = 0x04, V27TER = 1, V29 = 2 };

struct expected {
    struct rig_case c;
    bool sender_is_content;
    int sender_pages;
    enum call_verdict verdict;
    int confirmed;
    int unconfirmed; /* pages or pieces stored, not confirmed */
    int rnr;         /* least number of RNR that went out */
};

#define T38   SESSION_T38
#define AUDIO SESSION_AUDIO

/* clang-format off */
static const struct expected calls[] = {
    /* ---- every way a page can come in */
    {{.name = "T.38, ECM", .media = T38, .ecm = true, .pages = 2}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{.name = "T.38, no ECM", .media = T38, .pages = 2}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{.name = "audio, ECM", .media = AUDIO, .ecm = true, .pages = 2}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{.name = "audio, no ECM", .media = AUDIO, .pages = 2}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{.name = "audio, T.4 1-D", .media = AUDIO, .pages = 1, .compression = T4_1D}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{.name = "audio, T.4 2-D", .media = AUDIO, .pages = 1, .compression = T4_2D}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{.name = "ECM, T.4 1-D", .media = T38, .ecm = true, .pages = 1, .compression = T4_1D}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{.name = "ECM, T.4 2-D", .media = T38, .ecm = true, .pages = 1, .compression = T4_2D}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{.name = "audio, V.29", .media = AUDIO, .ecm = true, .pages = 1, .modems = V29}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{.name = "audio, V.27ter", .media = AUDIO, .ecm = true, .pages = 1, .modems = V27TER}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{.name = "204x98", .media = T38, .ecm = true, .pages = 1, .y_dpi = 98, .rows = 150}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{.name = "204x391", .media = T38, .ecm = true, .pages = 1, .y_dpi = 391}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{.name = "300x300", .media = T38, .ecm = true, .pages = 1, .x_dpi = 300, .y_dpi = 300, .width = 2592}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{.name = "408x391", .media = T38, .ecm = true, .pages = 1, .x_dpi = 408, .y_dpi = 391, .width = 3456}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{.name = "B4", .media = T38, .ecm = true, .pages = 1, .width = 2048}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{.name = "A3", .media = T38, .ecm = true, .pages = 1, .width = 2432}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{.name = "several ECM blocks", .media = T38, .ecm = true, .pages = 1, .rows = 3000}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{.name = "audio, then T.38", .media = AUDIO, .ecm = true, .pages = 2, .switch_ms = 3000}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{.name = "a gap in the audio of a page", .media = AUDIO, .ecm = true, .pages = 2, .rows = 2200, .gap_ms = 240}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{.name = "a gap, no ECM", .media = AUDIO, .pages = 2, .rows = 1100, .gap_ms = 240}, true, 2, CALL_COMPLETE, 2, 1, 0},
    {{.name = "a gap, no ECM, not sent again", .media = AUDIO, .pages = 1, .rows = 1100, .gap_ms = 240, .never_repeats = true}, true, 0, CALL_EMPTY, 0, 1, 0},
    /* ---- the store takes its time, or fails */
    {{.name = "2 s, T.38 ECM", .media = T38, .ecm = true, .pages = 2, .store_ms = 2000}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{.name = "2 s, T.38", .media = T38, .pages = 2, .store_ms = 2000}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{.name = "2 s, audio ECM", .media = AUDIO, .ecm = true, .pages = 2, .store_ms = 2000}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{.name = "2 s, audio", .media = AUDIO, .pages = 2, .store_ms = 2000}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{.name = "3.5 s, T.38 ECM", .media = T38, .ecm = true, .pages = 2, .store_ms = 3500}, true, 2, CALL_COMPLETE, 2, 0, 2},
    {{.name = "3.5 s, T.38", .media = T38, .pages = 2, .store_ms = 3500}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{.name = "3.5 s, audio ECM", .media = AUDIO, .ecm = true, .pages = 2, .store_ms = 3500}, true, 2, CALL_COMPLETE, 2, 0, 2},
    {{.name = "3.5 s, audio", .media = AUDIO, .pages = 2, .store_ms = 3500}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{.name = "10 s, T.38 ECM", .media = T38, .ecm = true, .pages = 2, .store_ms = 10000}, true, 2, CALL_COMPLETE, 2, 0, 4},
    {{.name = "10 s, audio ECM", .media = AUDIO, .ecm = true, .pages = 2, .store_ms = 10000}, true, 2, CALL_COMPLETE, 2, 0, 4},
    {{.name = "30 s, T.38 ECM", .media = T38, .ecm = true, .pages = 2, .store_ms = 30000}, true, 2, CALL_COMPLETE, 2, 0, 10},
    {{.name = "30 s, audio ECM", .media = AUDIO, .ecm = true, .pages = 2, .store_ms = 30000}, true, 2, CALL_COMPLETE, 2, 0, 10},
    {{.name = "30 s, T.38", .media = T38, .pages = 2, .store_ms = 30000}, false, 0, CALL_EMPTY, 0, 1, 0},
    {{.name = "30 s, audio", .media = AUDIO, .pages = 2, .store_ms = 30000}, false, 0, CALL_EMPTY, 0, 1, 0},
    {{.name = "70 s, T.38 ECM", .media = T38, .ecm = true, .pages = 2, .store_ms = 70000}, false, 0, CALL_EMPTY, 0, 1, 10},
    {{.name = "fails, T.38 ECM", .media = T38, .ecm = true, .pages = 3, .store_fails_at = 2}, false, 1, CALL_PARTIAL, 1, 1, 0},
    {{.name = "fails, T.38", .media = T38, .pages = 3, .store_fails_at = 2}, false, 1, CALL_PARTIAL, 1, 1, 0},
    {{.name = "fails, audio ECM", .media = AUDIO, .ecm = true, .pages = 3, .store_fails_at = 2}, false, 1, CALL_PARTIAL, 1, 1, 0},
    {{.name = "fails, audio", .media = AUDIO, .pages = 3, .store_fails_at = 2}, false, 1, CALL_PARTIAL, 1, 1, 0},
    /* ---- the line loses an answer, or the end */
    {{.name = "MCF lost, last ECM page", .media = T38, .ecm = true, .pages = 2, .lose_mcf = 2}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{.name = "MCF lost, last ECM page, audio", .media = AUDIO, .ecm = true, .pages = 2, .lose_mcf = 2}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{.name = "MCF lost, first page", .media = T38, .ecm = true, .pages = 2, .lose_mcf = 1}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{.name = "MCF lost, no ECM", .media = AUDIO, .pages = 2, .lose_mcf = 1}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{.name = "MCF lost, no ECM, last page", .media = T38, .pages = 2, .lose_mcf = 2}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{.name = "DCN lost, ECM", .media = T38, .ecm = true, .pages = 2, .lose_dcn = true}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{.name = "DCN lost", .media = AUDIO, .pages = 2, .lose_dcn = true}, true, 2, CALL_COMPLETE, 2, 0, 0},
    /* ---- the sender goes */
    {{.name = "gone between pages", .media = T38, .ecm = true, .pages = 3, .hangup_page = 2, .hangup_ms = 100}, false, 0, CALL_PARTIAL, 2, 0, 0},
    {{.name = "gone in a page, ECM", .media = T38, .ecm = true, .pages = 3, .rows = 1200, .hangup_page = 2, .hangup_ms = 9000}, false, 0, CALL_PARTIAL, 2, 1, 0},
    {{.name = "gone in a page", .media = AUDIO, .pages = 3, .rows = 1200, .hangup_page = 2, .hangup_ms = 8000}, false, 0, CALL_PARTIAL, 2, 1, 0},
    /* ---- a page that was refused comes again */
    {{.name = "RTN and a repeat", .media = T38, .pages = 2, .noisy_page = true}, true, 2, CALL_COMPLETE, 2, 1, 0},
};
/* clang-format on */

static void test_calls(void **state)
{
    static struct rig_result result;
    size_t failures = 0;

    (void)state;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        const struct expected *e = &calls[i];
        bool content;
        bool same = true;

        rig_run(&result, &e->c);
        content = result.sender_ended && result.sender_code == OK;
        for (int page = 1; page <= e->confirmed; page++)
            same = same && result.page_hash[page] == rig_page_hash(&e->c, page);
        if (content == e->sender_is_content && result.session_ended &&
            (!content || result.sender_pages == e->sender_pages) &&
            result.info.verdict == e->verdict && result.info.pages == e->confirmed &&
            result.info.unconfirmed == e->unconfirmed && result.rnr >= e->rnr && same)
            continue;
        failures++;
        print_error(
            "%s: sender %d/%d pages %d, verdict %s, pages %d, unconfirmed %d, RNR %d, %s\n%s",
            e->c.name, result.sender_ended, result.sender_code, result.sender_pages,
            call_verdict_text(result.info.verdict), result.info.pages, result.info.unconfirmed,
            result.rnr, same ? "same" : "DIFFERENT", result.trace);
    }
    assert_int_equal(failures, 0);
}

/* A caller's identities, and the question for T.38 that an audio call puts once. */
static void test_identities(void **state)
{
    static struct rig_result result;
    const struct rig_case c = {.name = "identities", .media = AUDIO, .ecm = true, .pages = 1};

    (void)state;
    rig_run(&result, &c);
    assert_string_equal(result.info.station, "+1 555 1234");
    assert_string_equal(result.info.subaddress, "42");
    assert_string_equal(result.info.sender, "SENDER");
    assert_int_equal(result.info.bit_rate, 14400);
    assert_true(result.info.ecm);
    assert_string_equal(result.info.compression, "T.6");
    assert_int_equal(result.asked_t38, 1);
}

/* ---- frames that no real sender makes ------------------------------------------------------- */

static const uint8_t rcp[] = {0xff, 0x03, FCF_RCP};

/* One FCD frame; `fill` in all 256 octets of image. */
static void send_fcd(struct manual *manual, uint8_t number, uint8_t fill, size_t octets)
{
    uint8_t frame[260];

    memset(frame, fill, sizeof frame);
    frame[0] = 0xff;
    frame[1] = 0x03;
    frame[2] = FCF_FCD;
    frame[3] = number;
    manual_image_frame(manual, frame, 4 + octets, false);
}

static uint8_t send_pps(struct manual *manual, uint8_t next, uint8_t page, uint8_t block,
                        uint8_t frames)
{
    const uint8_t pps[] = {0xff, 0x13, FCF_PPS | 1, next, page, block, (uint8_t)(frames - 1)};

    manual_image_frame(manual, rcp, sizeof rcp, true);
    manual_wait(manual, 100);
    manual_v21(manual, pps, sizeof pps, true);
    return manual_expect(manual, 8000);
}

static struct manual *ecm_call(void)
{
    struct manual *manual = manual_new(true);

    manual_begin(manual, NULL, 0);
    assert_int_equal(manual_expect(manual, 5000), FCF_CFR);
    manual_wait(manual, 500);
    return manual;
}

static enum call_verdict verdict_of(struct manual *manual)
{
    struct call_info info = {0};

    session_describe(manual_session(manual), &info);
    return info.verdict;
}

static void test_page_without_rows(void **state)
{
    struct manual *manual = ecm_call();

    (void)state;
    /* EOFB and nothing else: T.6 of a page without a row */
    uint8_t frame[260] = {0xff, 0x03, FCF_FCD, 0, 0x00, 0x08, 0x80};

    manual_image_frame(manual, frame, sizeof frame, false);
    assert_int_equal(send_pps(manual, FCF_EOP, 0, 0, 1), FCF_DCN);
    manual_wait(manual, 5000);
    assert_true(manual_ended(manual));
    assert_int_equal(manual_stored(manual), 0);
    assert_int_equal(verdict_of(manual), CALL_EMPTY);
    manual_free(manual);
}

static void test_page_255_first(void **state)
{
    struct manual *manual = ecm_call();

    (void)state;
    send_fcd(manual, 0, 0x55, 256);
    assert_int_equal(send_pps(manual, FCF_MPS, 255, 0, 1), FCF_DCN);
    assert_int_equal(manual_stored(manual), 0);
    manual_free(manual);
}

static void test_block_within_page(void **state)
{
    struct manual *manual = ecm_call();

    (void)state;
    for (int i = 0; i < 8; i++)
        send_fcd(manual, (uint8_t)i, 0x35, 256);
    assert_int_equal(send_pps(manual, FCF_NULL, 0, 0, 8), FCF_MCF); /* not gated */
    assert_int_equal(manual_stored(manual), 0);
    manual_wait(manual, 300);
    for (int i = 0; i < 8; i++)
        send_fcd(manual, (uint8_t)i, 0x35, 256);
    assert_int_equal(send_pps(manual, FCF_EOP, 0, 1, 8), FCF_MCF);
    assert_int_equal(manual_stored(manual), 1);
    manual_wait(manual, 60000);
    assert_true(manual_ended(manual));
    assert_int_equal(verdict_of(manual), CALL_COMPLETE);
    manual_free(manual);
}

/* Half a million rows in one block: refused before the core takes them. */
static void test_too_many_rows(void **state)
{
    struct manual *manual = ecm_call();

    (void)state;
    for (int i = 0; i < 256; i++)
        send_fcd(manual, (uint8_t)i, 0xff, 256);
    assert_int_equal(send_pps(manual, FCF_EOP, 0, 0, 0), FCF_DCN);
    assert_int_equal(manual_stored(manual), 0);
    manual_free(manual);
}

/* Frames that break the packaged core. None may be answered as if it were good, none may kill. */
static void test_hostile_frames(void **state)
{
    static const struct {
        const char *name;
        uint8_t frame[40];
        size_t length;
    } frames[] = {
        {"FCD of 3", {0xff, 0x03, FCF_FCD}, 3},
        {"FCD of 4", {0xff, 0x03, FCF_FCD, 1}, 4},
        {"PPS of 3", {0xff, 0x13, FCF_PPS | 1}, 3},
        {"PPS of 6", {0xff, 0x13, FCF_PPS | 1, FCF_EOP, 0, 0}, 6},
        {"CTC of 3", {0xff, 0x13, FCF_CTC | 1}, 3},
        {"CTC of an unknown rate", {0xff, 0x13, FCF_CTC | 1, 0, 0xff}, 5},
        {"EOR of 3", {0xff, 0x13, FCF_EOR | 1}, 3},
        {"DCS of 5", {0xff, 0x13, FCF_DCS | 1, 0, 0x62}, 5},
        {"DCS of 40", {0xff, 0x13, FCF_DCS | 1, 0, 0x62, 0xf8, 0xc4, 0x80, 0x80, 0x80}, 40},
    };

    (void)state;
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        struct manual *manual = ecm_call();

        manual_image_frame(manual, frames[i].frame, frames[i].length, false);
        manual_v21(manual, frames[i].frame, frames[i].length, true);
        /* the call goes on as if the frame had been damaged */
        manual_wait(manual, 200);
        for (int n = 0; n < 4; n++)
            send_fcd(manual, (uint8_t)n, 0x35, 256);
        if (send_pps(manual, FCF_EOP, 0, 0, 4) != FCF_MCF)
            fail_msg("%s: the page after it was not confirmed", frames[i].name);
        assert_int_equal(manual_stored(manual), 1);
        manual_free(manual);
    }
}

static void test_dcs_that_asks_too_much(void **state)
{
    static const struct {
        const char *name;
        uint8_t dcs[12];
        size_t length;
    } frames[] = {
        {"both width bits", {0xff, 0x13, 0x83, 0x00, 0x62, 0xfb, 0x44}, 7},
        {"an unknown rate", {0xff, 0x13, 0x83, 0x00, 0x7e, 0xf8, 0x44}, 7},
        {"T.85, which we do not offer",
         {0xff, 0x13, 0x83, 0x00, 0x62, 0xf8, 0xc4, 0x80, 0x80, 0x80, 0x80, 0x80},
         12},
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct manual *manual = manual_new(true);

        manual_begin(manual, frames[i].dcs, frames[i].length);
        if (manual_expect(manual, 8000) != FCF_DCN)
            fail_msg("%s: not refused", frames[i].name);
        manual_wait(manual, 5000);
        assert_true(manual_ended(manual));
        manual_free(manual);
    }
}

/* Silence at any point ends the call in bounded time. */
/* A DCS while our CTR goes out: the core begins to send, and would look for a page for ever. */
static void test_asked_to_send(void **state)
{
    static const uint8_t ctc[] = {0xff, 0x13, FCF_CTC | 1, 0x00, 0x00};
    static const uint8_t dcs[] = {0xff, 0x13, 0x83, 0xf8, 0x44, 0x00};
    struct manual *manual = manual_new(true);

    (void)state;
    manual_begin(manual, NULL, 0);
    assert_int_equal(manual_expect(manual, 5000), FCF_CFR);
    send_fcd(manual, 0, 0x35, 40);
    manual_v21(manual, ctc, sizeof ctc, true);
    manual_v21(manual, dcs, sizeof dcs, true);
    manual_wait(manual, 180000);
    assert_true(manual_ended(manual));
    assert_int_equal(manual_stored(manual), 0);
    manual_free(manual);
}

static void test_silence_ends(void **state)
{
    (void)state;
    for (int stage = 0; stage < 4; stage++) {
        struct manual *manual = stage == 0 ? manual_new(true) : ecm_call();

        if (stage >= 2)
            send_fcd(manual, 0, 0x35, 256);
        if (stage == 3)
            send_pps(manual, FCF_MPS, 0, 0, 1);
        manual_wait(manual, 300000);
        assert_true(manual_ended(manual));
        assert_int_equal(manual_stored(manual), stage == 3);
        assert_int_equal(manual_unconfirmed(manual), stage == 2);
        manual_free(manual);
    }
}

/* A row of T.4 1-D, least significant bit first, `count` times. Gives the number of octets. */
static size_t write_rows(uint8_t *out, size_t size, const char *row, int count)
{
    size_t used = 0;

    memset(out, 0, size);
    for (int i = 0; i < count; i++)
        for (const char *bit = row; *bit != '\0' && used / 8 < size; bit++, used++)
            if (*bit == '1')
                out[used / 8] |= (uint8_t)(1u << (used % 8));
    return used / 8;
}

#define EOL "000000000001"

static const char rtc[] = EOL EOL EOL EOL EOL EOL;
static const char white[] = EOL "010011011"
                                "00110101"; /* 1728 + 0 */
static const char inked[] = EOL "011000"
                                "00110101" /* white 1664 + 0 */
                                "0000001111"
                                "0000110111"; /* black 64 + 0 */

static struct manual *plain_call(void)
{
    struct manual *manual = manual_new(false);

    manual_begin(manual, NULL, 0);
    assert_int_equal(manual_expect(manual, 5000), FCF_CFR);
    manual_wait(manual, 300);
    return manual;
}

/* A page of `rows` rows, a multiple of four so that they fill octets, with `end` behind them, then
 * a command; gives the answer. */
static uint8_t send_page(struct manual *manual, int rows, const char *end, uint8_t command)
{
    static uint8_t octets[6000];
    const uint8_t frame[] = {0xff, 0x13, command | 1};
    size_t used = write_rows(octets, sizeof octets, inked, rows);

    used += write_rows(octets + used, sizeof octets - used, end, 1) + 1;
    manual_image_octets(manual, octets, used, true);
    manual_wait(manual, 100);
    manual_v21(manual, frame, sizeof frame, true);
    return manual_expect(manual, 8000);
}

/* The rows of a page can be good without being all: only its end tells. */
static void test_page_without_end(void **state)
{
    struct manual *manual = plain_call();

    (void)state;
    assert_int_equal(send_page(manual, 40, "", FCF_MPS), FCF_RTN);
    manual_wait(manual, 300);
    assert_int_equal(send_page(manual, 80, rtc, FCF_MPS), FCF_MCF);
    manual_wait(manual, 300);
    assert_int_equal(send_page(manual, 80, EOL EOL, FCF_MPS), FCF_MCF); /* a short RTC */
    manual_wait(manual, 300);
    assert_int_equal(send_page(manual, 120, "", FCF_EOP), FCF_RTN);
    manual_wait(manual, 300);
    manual_train(manual, NULL, 0);
    assert_int_equal(manual_expect(manual, 5000), FCF_CFR);
    manual_wait(manual, 300);
    assert_int_equal(send_page(manual, 160, rtc, FCF_EOP), FCF_MCF);
    manual_wait(manual, 60000);
    assert_true(manual_ended(manual));
    assert_int_equal(manual_stored(manual), 3);
    assert_int_equal(manual_unconfirmed(manual), 2);
    assert_int_equal(verdict_of(manual), CALL_COMPLETE);
    manual_free(manual);
}

/* A sender that never sends an RTC repeats its first page, no more. */
static void test_sender_without_rtc(void **state)
{
    static const struct {
        int rows;
        uint8_t answer;
    } table[][6] = {
        /* the same again; the next page is believed */
        {{120, FCF_RTN}, {120, FCF_MCF}, {40, FCF_MCF}},
        /* fewer rows than before are no end; the third time has to do */
        {{120, FCF_RTN}, {80, FCF_RTN}, {120, FCF_MCF}, {40, FCF_MCF}},
        {{120, FCF_RTN}, {80, FCF_RTN}, {80, FCF_MCF}, {40, FCF_MCF}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct manual *manual = plain_call();

        for (int page = 0; table[i][page].rows > 0; page++) {
            uint8_t answer = send_page(manual, table[i][page].rows, "", FCF_MPS);

            if (answer != table[i][page].answer)
                fail_msg("%d of %d: answered with %02x", page + 1, (int)i + 1, answer);
            manual_wait(manual, 300);
        }
        manual_free(manual);
    }
}

/* A command for a page of which nothing came, not even a carrier, is no command repeated. */
static void test_page_without_carrier(void **state)
{
    const uint8_t mps[] = {0xff, 0x13, FCF_MPS | 1};
    const uint8_t eop[] = {0xff, 0x13, FCF_EOP | 1};
    struct manual *manual = plain_call();

    (void)state;
    manual_v21(manual, mps, sizeof mps, true);
    assert_int_equal(manual_expect(manual, 8000), FCF_RTN);
    manual_wait(manual, 300);
    assert_int_equal(send_page(manual, 80, rtc, FCF_MPS), FCF_MCF);
    manual_wait(manual, 300);
    manual_v21(manual, eop, sizeof eop, true);
    assert_int_equal(manual_expect(manual, 8000), FCF_RTN);
    assert_int_equal(manual_stored(manual), 1);
    manual_free(manual);
}

/* RTN, and then the sender goes on with another page: the fax is doubtful. */
static void test_rtn_and_next_page(void **state)
{
    static uint8_t octets[6000];
    struct manual *manual = manual_new(false);
    const uint8_t mps[] = {0xff, 0x13, FCF_MPS | 1};
    size_t used;

    (void)state;
    manual_begin(manual, NULL, 0);
    assert_int_equal(manual_expect(manual, 5000), FCF_CFR);
    manual_wait(manual, 300);
    /* a few good rows, then noise with an end of line here and there */
    used = write_rows(octets, sizeof octets, white, 50);
    for (size_t i = used; i < sizeof octets; i++)
        octets[i] = i % 60 == 0 ? 0 : i % 60 == 1 ? 0x80 : (uint8_t)(i * 37);
    manual_image_octets(manual, octets, sizeof octets, true);
    manual_wait(manual, 100);
    manual_v21(manual, mps, sizeof mps, true);
    assert_int_equal(manual_expect(manual, 8000), FCF_RTN);
    manual_wait(manual, 300);
    assert_int_equal(send_page(manual, 80, rtc, FCF_MPS), FCF_MCF);
    manual_wait(manual, 300);
    assert_int_equal(send_page(manual, 80, rtc, FCF_EOP), FCF_MCF);
    manual_wait(manual, 60000);
    assert_true(manual_ended(manual));
    assert_int_equal(manual_stored(manual), 2);
    assert_int_equal(manual_unconfirmed(manual), 1);
    assert_int_equal(verdict_of(manual), CALL_DOUBTFUL);
    manual_free(manual);
}

/* The second page ends with the same command as the first, but its carrier brought nothing: that is
 * no sender who asks again. The page must be refused, and the third one taken. */
static void test_page_lost_on_the_line(void **state)
{
    static uint8_t octets[1];
    struct manual *manual = manual_new(false);
    const uint8_t mps[] = {0xff, 0x13, FCF_MPS | 1};

    (void)state;
    manual_begin(manual, NULL, 0);
    assert_int_equal(manual_expect(manual, 5000), FCF_CFR);
    manual_wait(manual, 300);
    assert_int_equal(send_page(manual, 80, rtc, FCF_MPS), FCF_MCF);
    manual_wait(manual, 1000);
    manual_v21(manual, mps, sizeof mps, true); /* our answer was lost: the same again */
    assert_int_equal(manual_expect(manual, 8000), FCF_MCF);
    manual_wait(manual, 300);
    manual_image_octets(manual, octets, 0, true);
    manual_wait(manual, 100);
    manual_v21(manual, mps, sizeof mps, true);
    assert_int_equal(manual_expect(manual, 8000), FCF_RTN);
    assert_int_equal(manual_stored(manual), 1);
    manual_free(manual);
}

/* EOM: the sender goes back to phase B, and a second document follows. The core takes a page number
 * that begins again at 0 for a repeat of the page before, whose content it throws away. */
static void test_second_document(void **state)
{
    static const struct {
        uint8_t page, answer;
        int stored;
        enum call_verdict verdict;
    } table[] = {
        {1, FCF_MCF, 2, CALL_COMPLETE},
        {0, FCF_DCN, 1, CALL_PARTIAL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct manual *manual = ecm_call();

        for (int n = 0; n < 4; n++)
            send_fcd(manual, (uint8_t)n, 0x35, 256);
        assert_int_equal(send_pps(manual, FCF_EOM, 0, 0, 4), FCF_MCF);
        assert_int_equal(manual_stored(manual), 1);
        manual_begin(manual, NULL, 0);
        assert_int_equal(manual_expect(manual, 5000), FCF_CFR);
        manual_wait(manual, 500);
        for (int n = 0; n < 4; n++)
            send_fcd(manual, (uint8_t)n, 0x53, 256);
        assert_int_equal(send_pps(manual, FCF_EOP, table[i].page, 0, 4), table[i].answer);
        assert_int_equal(manual_stored(manual), table[i].stored);
        manual_wait(manual, 60000);
        assert_true(manual_ended(manual));
        assert_int_equal(verdict_of(manual), table[i].verdict);
        manual_free(manual);
    }
}

/* A sender that does not count its pages: the second one looks like the first one repeated. */
static void test_page_number_stands_still(void **state)
{
    struct manual *manual = ecm_call();

    (void)state;
    for (int n = 0; n < 4; n++)
        send_fcd(manual, (uint8_t)n, 0x35, 256);
    assert_int_equal(send_pps(manual, FCF_MPS, 0, 0, 4), FCF_MCF);
    manual_wait(manual, 300);
    for (int n = 0; n < 4; n++)
        send_fcd(manual, (uint8_t)n, 0x53, 256);
    assert_int_equal(send_pps(manual, FCF_EOP, 0, 0, 4), FCF_DCN);
    assert_int_equal(manual_stored(manual), 1);
    manual_free(manual);
}

/* Pages that the sender has had MCF for, and that are not there. */
static int pages_lost(const struct rig_case *c, const struct rig_result *result)
{
    int whole = 0;

    for (int page = 1; page <= c->pages; page++)
        for (int n = 1; n < RIG_PAGES_MAX; n++)
            if (result->page_hash[n] == rig_page_hash(c, page)) {
                whole++;
                break;
            }
    return result->sender_pages - whole;
}

static int line_ms(const char *trace, const char *at)
{
    while (at > trace && at[-1] != '\n')
        at--;
    return (int)(strtod(at, NULL) * 1000);
}

/* The line is dead for as long as the second of three pages lasts, from its training to its end,
 * and its command is the same as the one before: that is no sender who asks again. */
static void test_page_never_heard(void **state)
{
    static const struct rig_case cases[] = {
        {.name = "T.38", .media = SESSION_T38, .pages = 3, .rows = 600},
        {.name = "RTP", .media = SESSION_AUDIO, .rtp = true, .pages = 3, .rows = 600},
        {.name = "audio", .media = SESSION_AUDIO, .pages = 3, .rows = 600},
        {.name = "T.38, a short page", .media = SESSION_T38, .pages = 3, .rows = 300},
    };
    static struct rig_result result;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig_case c = cases[i];
        const char *first;
        const char *second;
        int end_ms;

        rig_run(&result, &c);
        first = strstr(result.trace, "in MPS");
        second = first != NULL ? strstr(first + 1, "in MPS") : NULL;
        assert_non_null(second);
        c.gap_at_ms = line_ms(result.trace, first) + 700; /* while our MCF goes out */
        end_ms = line_ms(result.trace, second);
        for (int preamble_ms = 1000; preamble_ms <= 1700; preamble_ms += 100) {
            c.gap_ms = end_ms - preamble_ms - c.gap_at_ms;
            rig_run(&result, &c);
            if (pages_lost(&c, &result) > 0)
                fail_msg("%s: %d pages lost that the sender has had MCF for; verdict %s\n%s",
                         c.name, pages_lost(&c, &result), call_verdict_text(result.info.verdict),
                         result.trace);
        }
    }
}

/* Packets out of a stranger's hands: every call ends, and what is confirmed was stored. The
 * packaged core alone hangs in one of fifteen of these. FAXPOST_CAMPAIGN=N runs N seeds. */
static void test_mutated_packets(void **state)
{
    static struct rig_result result;
    const char *campaign = getenv("FAXPOST_CAMPAIGN");
    int seeds = campaign != NULL ? atoi(campaign) : 60;
    int pages = 0;

    (void)state;
    for (int seed = 1; seed <= seeds; seed++) {
        const struct rig_case c = {.name = "mutated",
                                   .media = T38,
                                   .ecm = seed % 2 == 0,
                                   .pages = 2,
                                   .mutate_seed = seed,
                                   .mutate_share = 1 << (seed % 9)};

        rig_run(&result, &c);
        if (!result.session_ended || result.info.pages > result.stored)
            fail_msg("seed %d: ended %d, %d pages confirmed, %d stored\n%s", seed,
                     result.session_ended, result.info.pages, result.stored, result.trace);
        pages += result.info.pages;
    }
    assert_true(pages > seeds / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_identities),
        cmocka_unit_test(test_page_without_rows),
        cmocka_unit_test(test_page_255_first),
        cmocka_unit_test(test_block_within_page),
        cmocka_unit_test(test_too_many_rows),
        cmocka_unit_test(test_hostile_frames),
        cmocka_unit_test(test_dcs_that_asks_too_much),
        cmocka_unit_test(test_asked_to_send),
        cmocka_unit_test(test_silence_ends),
        cmocka_unit_test(test_page_without_end),
        cmocka_unit_test(test_sender_without_rtc),
        cmocka_unit_test(test_page_without_carrier),
        cmocka_unit_test(test_rtn_and_next_page),
        cmocka_unit_test(test_page_lost_on_the_line),
        cmocka_unit_test(test_second_document),
        cmocka_unit_test(test_page_number_stands_still),
        cmocka_unit_test(test_page_never_heard),
        cmocka_unit_test(test_mutated_packets),
    };

    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
