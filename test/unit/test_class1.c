/* SPDX-License-Identifier: MIT */
/*
 * test_class1.c - whole calls over a Class 1 modem on virtual time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fax/t30/frames.h"
#include "test/unit/modem_rig.h"

enum { OK = 0, T4_1D = 0x02, T4_2D = 0x04, V27TER = 1, V29 = 2 };

struct expected {
    struct modem_case c;
    bool sender_is_content;
    int sender_pages;
    enum call_verdict verdict;
    int confirmed;
    int unconfirmed; /* pages or pieces stored, not confirmed */
    int rnr;         /* least number of RNR that went out */
};

/* clang-format off */
#define CALL(...) .call = {__VA_ARGS__}
static const struct expected calls[] = {
    /* ---- every way a page can come in */
    {{CALL(.name = "ECM", .ecm = true, .pages = 2)}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "no ECM", .pages = 2)}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "ECM, T.4 1-D", .ecm = true, .pages = 1, .compression = T4_1D)}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{CALL(.name = "ECM, T.4 2-D", .ecm = true, .pages = 1, .compression = T4_2D)}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{CALL(.name = "T.4 1-D", .pages = 1, .compression = T4_1D)}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{CALL(.name = "T.4 2-D", .pages = 1, .compression = T4_2D)}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{CALL(.name = "ECM, standard", .ecm = true, .pages = 1, .y_dpi = 98, .rows = 150)}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{CALL(.name = "standard", .pages = 1, .y_dpi = 98, .rows = 150)}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{CALL(.name = "ECM, 204x391", .ecm = true, .pages = 1, .y_dpi = 391)}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{CALL(.name = "several ECM blocks", .ecm = true, .pages = 1, .rows = 3000)}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{CALL(.name = "six pages", .ecm = true, .pages = 6)}, true, 6, CALL_COMPLETE, 6, 0, 0},
    {{CALL(.name = "six pages, no ECM", .pages = 6)}, true, 6, CALL_COMPLETE, 6, 0, 0},
    /* ---- the modem or the sender lack a modulation */
    {{CALL(.name = "sender V.29, ECM", .ecm = true, .pages = 1, .modems = V29)}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{CALL(.name = "sender V.27ter, ECM", .ecm = true, .pages = 1, .modems = V27TER)}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{CALL(.name = "modem V.29, ECM", .ecm = true, .pages = 1), .rates = MODEM_V27TER | MODEM_V29}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{CALL(.name = "modem V.29", .pages = 1), .rates = MODEM_V27TER | MODEM_V29}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{CALL(.name = "modem V.27ter, ECM", .ecm = true, .pages = 1), .rates = MODEM_V27TER}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{CALL(.name = "modem V.27ter", .pages = 1), .rates = MODEM_V27TER}, true, 1, CALL_COMPLETE, 1, 0, 0},
    /* ---- the serial line */
    {{CALL(.name = "10 ms, ECM", .ecm = true, .pages = 2), .latency_ms = 10}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "10 ms", .pages = 2), .latency_ms = 10}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "25 ms, ECM", .ecm = true, .pages = 2), .latency_ms = 25}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "25 ms", .pages = 2), .latency_ms = 25}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "40 ms, ECM", .ecm = true, .pages = 2), .latency_ms = 40}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "40 ms", .pages = 2), .latency_ms = 40}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "10 to 35 ms, ECM", .ecm = true, .pages = 2), .latency_ms = 10, .jitter_ms = 25}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "10 to 35 ms", .pages = 2), .latency_ms = 10, .jitter_ms = 25, .worker_ms = 50}, true, 2, CALL_COMPLETE, 2, 0, 0},
    /* ---- the store takes its time, or fails */
    {{CALL(.name = "store 2 s, ECM", .ecm = true, .pages = 2, .store_ms = 2000), .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "store 2 s", .pages = 2, .store_ms = 2000), .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "store 3.5 s, ECM", .ecm = true, .pages = 2, .store_ms = 3500), .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 2},
    {{CALL(.name = "store 3.5 s", .pages = 2, .store_ms = 3500), .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "store 10 s, ECM", .ecm = true, .pages = 2, .store_ms = 10000), .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 4},
    {{CALL(.name = "store 30 s, ECM", .ecm = true, .pages = 2, .store_ms = 30000), .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 10},
    {{CALL(.name = "store 30 s", .pages = 2, .store_ms = 30000), .latency_ms = 16}, false, 0, CALL_EMPTY, 0, 1, 0},
    {{CALL(.name = "store 70 s, ECM", .ecm = true, .pages = 2, .store_ms = 70000), .latency_ms = 16}, false, 0, CALL_EMPTY, 0, 1, 10},
    {{CALL(.name = "store fails, ECM", .ecm = true, .pages = 3, .store_fails_at = 2)}, false, 1, CALL_PARTIAL, 1, 1, 0},
    {{CALL(.name = "store fails", .pages = 3, .store_fails_at = 2)}, false, 1, CALL_PARTIAL, 1, 1, 0},
    /* ---- the line loses an answer, or the end */
    {{CALL(.name = "MCF lost, last ECM page", .ecm = true, .pages = 2, .lose_mcf = 2), .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "MCF lost, first ECM page", .ecm = true, .pages = 2, .lose_mcf = 1), .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "MCF lost, last page", .pages = 2, .lose_mcf = 2), .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "MCF lost, first page", .pages = 2, .lose_mcf = 1), .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "DCN lost, ECM", .ecm = true, .pages = 2, .lose_dcn = true)}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "DCN lost", .pages = 2, .lose_dcn = true)}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "CFR lost, ECM", .ecm = true, .pages = 2), .lose_cfr = true, .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "CFR lost", .pages = 2), .lose_cfr = true, .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "CFR lost, +FAR=1", .ecm = true, .pages = 2), .lose_cfr = true, .far = true, .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "TCF lost, ECM", .ecm = true, .pages = 1), .lose_tcf = true, .latency_ms = 16}, true, 1, CALL_COMPLETE, 1, 0, 0},
    {{CALL(.name = "TCF lost, +FAR=1", .pages = 1), .lose_tcf = true, .far = true, .latency_ms = 16}, true, 1, CALL_COMPLETE, 1, 0, 0},
    /* ---- a page that was refused comes again */
    {{CALL(.name = "RTN and a repeat", .pages = 2, .rows = 600, .noisy_page = true), .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 1, 0},
    /* ---- the sender goes */
    {{CALL(.name = "gone between pages", .ecm = true, .pages = 3, .hangup_page = 2, .hangup_ms = 100)}, false, 0, CALL_PARTIAL, 2, 0, 0},
    {{CALL(.name = "gone in a page, ECM", .ecm = true, .pages = 3, .rows = 1200, .hangup_page = 2, .hangup_ms = 9000)}, false, 0, CALL_PARTIAL, 2, 1, 0},
    {{CALL(.name = "gone in a page", .pages = 3, .rows = 1200, .hangup_page = 2, .hangup_ms = 8000)}, false, 0, CALL_PARTIAL, 2, 1, 0},
    {{CALL(.name = "gone before DCS", .ecm = true, .pages = 1), .hangup_at_ms = 5000}, false, 0, CALL_EMPTY, 0, 0, 0},
};
/* clang-format on */

static bool is_as_expected(const struct modem_result *result, const struct expected *e)
{
    const struct rig_result *rig = &result->rig;
    bool content = rig->sender_ended && rig->sender_code == OK;
    bool same = true;

    for (int page = 1; page <= e->confirmed; page++)
        same = same && rig->page_hash[page] == rig_page_hash(&e->c.call, page);
    if (content == e->sender_is_content && rig->session_ended && result->in_command_state &&
        (!content || rig->sender_pages == e->sender_pages) && rig->info.verdict == e->verdict &&
        rig->info.pages == e->confirmed && rig->info.unconfirmed == e->unconfirmed &&
        rig->rnr >= e->rnr && same && result->confirmed_early == 0)
        return true;
    print_error("%s: sender %d/%d pages %d, verdict %s, pages %d, unconfirmed %d, RNR %d, early "
                "%d, command state %d, %s, \"%s\"\n",
                e->c.call.name, rig->sender_ended, rig->sender_code, rig->sender_pages,
                call_verdict_text(rig->info.verdict), rig->info.pages, rig->info.unconfirmed,
                rig->rnr, result->confirmed_early, result->in_command_state,
                same ? "same" : "DIFFERENT", rig->info.error);
    fputs(rig->trace, stderr); /* too long for cmocka */
    return false;
}

static void test_calls(void **state)
{
    static struct modem_result result;
    size_t failures = 0;

    (void)state;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        modem_rig_run(&result, &calls[i].c);
        failures += !is_as_expected(&result, &calls[i]);
    }
    assert_int_equal(failures, 0);
}

/* A row a quirk: what is odd about modems (doc/modems), and what becomes of the call. */
/* clang-format off */
static const struct expected quirks[] = {
    {{CALL(.name = "false CONNECT, ECM", .ecm = true, .pages = 2), .quirk = QUIRK_FALSE_CONNECT, .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "false CONNECT", .pages = 2), .quirk = QUIRK_FALSE_CONNECT, .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "NO CARRIER to +FRH", .pages = 2), .quirk = QUIRK_NO_CARRIER, .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "early +FCERROR, ECM", .ecm = true, .pages = 2), .quirk = QUIRK_EARLY_FCERROR}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "early +FCERROR", .pages = 2), .quirk = QUIRK_EARLY_FCERROR}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "ERROR for +FCERROR, ECM", .ecm = true, .pages = 2), .quirk = QUIRK_ERROR_ON_FRM, .lose_cfr = true, .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "ERROR for +FCERROR", .pages = 2, .lose_mcf = 1), .quirk = QUIRK_ERROR_ON_FRM, .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "no +FCERROR, ECM", .ecm = true, .pages = 2, .lose_mcf = 1), .quirk = QUIRK_NO_FCERROR, .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "no +FCERROR", .pages = 2), .quirk = QUIRK_NO_FCERROR, .lose_cfr = true, .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "ERROR to +FRS", .ecm = true, .pages = 2), .quirk = QUIRK_NO_FRS, .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "no +FRS: +FTS", .ecm = true, .pages = 2), .no_frs = true, .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "neither: a pause", .ecm = true, .pages = 2, .store_ms = 3500), .no_frs = true, .no_fts = true, .quirk = QUIRK_NO_FRS, .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 2},
    {{CALL(.name = "no OK to an abort", .ecm = true, .pages = 2, .store_ms = 5000), .quirk = QUIRK_NO_OK, .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 1},
    {{CALL(.name = "late OK to an abort", .ecm = true, .pages = 2, .store_ms = 5000), .quirk = QUIRK_LATE_OK, .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 1},
    {{CALL(.name = "its own frames", .ecm = true, .pages = 2), .quirk = QUIRK_ECHO, .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "command echo", .ecm = true, .pages = 2), .quirk = QUIRK_COMMAND_ECHO, .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "junk before responses", .ecm = true, .pages = 2), .quirk = QUIRK_JUNK, .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "frames without FCS", .ecm = true, .pages = 2), .quirk = QUIRK_NO_FCS, .latency_ms = 16}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{CALL(.name = "octets lost in frames", .ecm = true, .pages = 3), .quirk = QUIRK_BAD_FCS, .latency_ms = 16, .seed = 3}, true, 3, CALL_COMPLETE, 3, 0, 0},
    /* ---- modems that cannot be helped: the call ends, and is not said to be good */
    {{CALL(.name = "hangs in the call", .ecm = true, .pages = 2), .quirk = QUIRK_HANGS}, false, 0, CALL_EMPTY, 0, 0, 0},
    {{CALL(.name = "ERROR to everything", .ecm = true, .pages = 2), .quirk = QUIRK_ERRORS}, false, 0, CALL_EMPTY, 0, 0, 0},
    {{CALL(.name = "resets itself", .ecm = true, .pages = 2), .quirk = QUIRK_RESETS}, false, 0, CALL_EMPTY, 0, 0, 0},
    {{CALL(.name = "data modem", .pages = 1), .quirk = QUIRK_ATA_DATA}, false, 0, CALL_EMPTY, 0, 0, 0},
    {{CALL(.name = "+FDM", .pages = 1), .quirk = QUIRK_ATA_FDM}, false, 0, CALL_EMPTY, 0, 0, 0},
    {{CALL(.name = "voice call", .pages = 1), .quirk = QUIRK_ATA_VOICE}, false, 0, CALL_EMPTY, 0, 0, 0},
    {{CALL(.name = "ERROR to ATA", .pages = 1), .quirk = QUIRK_ATA_ERROR}, false, 0, CALL_EMPTY, 0, 0, 0},
    {{CALL(.name = "nothing to ATA", .pages = 1), .quirk = QUIRK_ATA_SILENT}, false, 0, CALL_EMPTY, 0, 0, 0},
};
/* clang-format on */

static void test_quirks(void **state)
{
    static struct modem_result result;
    size_t failures = 0;

    (void)state;
    for (size_t i = 0; i < sizeof quirks / sizeof quirks[0]; i++) {
        modem_rig_run(&result, &quirks[i].c);
        if (quirks[i].verdict == CALL_EMPTY) /* nobody cares what state it is in */
            result.in_command_state = true;
        failures += !is_as_expected(&result, &quirks[i]);
        if (quirks[i].verdict == CALL_EMPTY && strlen(result.rig.info.error) < 20) {
            print_error("%s: says only \"%s\"\n", quirks[i].c.call.name, result.rig.info.error);
            failures++;
        }
        if (getenv("FAXPOST_SAY") != NULL)
            print_message("%s: %ld s, %d aborts, \"%s\"\n", quirks[i].c.call.name,
                          (long)result.rig.seconds, result.aborts, result.rig.info.error);
    }
    assert_int_equal(failures, 0);
}

/* Each rate of each modulation, with each compression and resolution: TCF fails until the sender
 * has come down to the rate. */
static void test_rates(void **state)
{
    static const struct {
        int code; /* of +FRM, for a page */
        int bit_rate;
    } rates[] = {{146, 14400}, {122, 12000}, {98, 9600}, {96, 9600},
                 {74, 7200},   {72, 7200},   {48, 4800}, {24, 2400}};
    static const struct {
        bool ecm;
        int compression;
        const char *name;
    } codes[] = {{true, T4_1D, "T.4 1-D"},
                 {true, T4_1D | T4_2D, "T.4 2-D"},
                 {true, 0, "T.6"},
                 {false, T4_1D, "T.4 1-D"},
                 {false, T4_1D | T4_2D, "T.4 2-D"}};
    enum { RATES = 8, CODES = 5 };
    static struct modem_result result;
    char command[16];
    size_t failures = 0;

    (void)state;
    for (int i = 0; i < RATES * CODES * 2; i++) {
        int rate = i / (2 * CODES);
        int code = i / 2 % CODES;
        const struct expected e = {{.call = {.name = "rate",
                                             .ecm = codes[code].ecm,
                                             .pages = 1,
                                             .rows = i % 2 == 0 ? 80 : 40,
                                             .y_dpi = i % 2 == 0 ? 196 : 98,
                                             .compression = codes[code].compression},
                                    .fail_tcf = rate,
                                    .latency_ms = 16},
                                   true,
                                   1,
                                   CALL_COMPLETE,
                                   1,
                                   0,
                                   0};

        modem_rig_run(&result, &e.c);
        failures += !is_as_expected(&result, &e);
        snprintf(command, sizeof command, "AT+FRM=%d\n", rates[rate].code);
        if (strstr(result.rig.trace, command) == NULL ||
            result.rig.info.bit_rate != rates[rate].bit_rate ||
            result.rig.info.ecm != codes[code].ecm ||
            strcmp(result.rig.info.compression, codes[code].name) != 0) {
            print_error("%d, %s: %d, %s\n", rates[rate].bit_rate, codes[code].name,
                        result.rig.info.bit_rate, result.rig.info.compression);
            failures++;
        }
    }
    assert_int_equal(failures, 0);
}

/* The line may end a session at any moment; the modem is then brought back into command state. */
static void test_ended_by_the_line(void **state)
{
    enum { REST_MOST_MS = 3000, FIRST_MS = 100, LAST_MS = 30000, STEP_MS = 615 };
    static struct modem_result result;

    (void)state;
    for (int ms = FIRST_MS; ms < LAST_MS; ms += STEP_MS) {
        const struct modem_case c = {
            .call = {.name = "ended", .ecm = ms % 2 == 0, .pages = 2, .store_ms = 2500},
            .latency_ms = 16,
            .ended_at_ms = ms};

        modem_rig_run(&result, &c);
        if (!result.rig.session_ended || result.ending_ms > REST_MOST_MS ||
            !result.in_command_state) {
            print_error("ended at %d ms: after %ld ms, command state %d\n", ms,
                        (long)result.ending_ms, result.in_command_state);
            fputs(result.rig.trace, stderr);
            fail();
        }
    }
}

/* A page that the modem cannot train to ends with the same command as the page before. It must not
 * be taken for that one asked again. */
static void test_page_lost_on_the_line(void **state)
{
    static struct modem_result result;
    static const struct modem_case c = {
        .call = {.name = "lost page", .pages = 3}, .lose_training = 1, .latency_ms = 16};

    (void)state;
    modem_rig_run(&result, &c);
    assert_true(result.rig.session_ended);
    assert_int_equal(result.rig.sender_code, OK);
    assert_int_equal(result.rig.sender_pages, 3);
    assert_int_equal(result.rig.info.pages, 3);
    assert_int_equal(result.rig.rtn, 1);
    for (int page = 1; page <= 3; page++)
        assert_true(result.rig.page_hash[page] == rig_page_hash(&c.call, page));
}

/* ---- a campaign: whatever the line, the port and the modem do ------------------------------- */

struct counts {
    int calls, complete, partial, doubtful, empty, twice, hung, wrong;
};

static uint32_t draw(uint32_t *random, uint32_t below)
{
    *random = *random * 1664525u + 1013904223u;
    return (*random >> 8) % below;
}

static void draw_case(struct modem_case *c, int seed)
{
    static const int stores_ms[] = {0, 0, 0, 300, 2000, 2600, 3500, 8000};
    static const enum modem_quirk quirks_drawn[] = {
        QUIRK_LOSES, QUIRK_LATE_OK,       QUIRK_NO_OK,        QUIRK_BAD_FCS,
        QUIRK_ECHO,  QUIRK_FALSE_CONNECT, QUIRK_ERROR_ON_FRM, QUIRK_SLOW,
    };
    uint32_t random = (uint32_t)seed * 40503u + 7;

    *c = (struct modem_case){.call = {.name = "campaign"}, .seed = seed};
    draw(&random, 2);
    c->call.ecm = draw(&random, 2) == 0;
    c->call.pages = 1 + (int)draw(&random, 3);
    c->call.rows = 100 + (int)draw(&random, 500);
    c->call.store_ms = stores_ms[draw(&random, 8)];
    c->call.store_fails_at = draw(&random, 20) == 0 ? 1 + (int)draw(&random, 3) : 0;
    c->call.lose_mcf = draw(&random, 8) == 0 ? 1 + (int)draw(&random, 3) : 0;
    c->latency_ms = (int)draw(&random, 41);
    c->jitter_ms = (int)draw(&random, 15);
    c->worker_ms = (int)draw(&random, 60);
    c->far = draw(&random, 4) == 0;
    c->no_frs = draw(&random, 4) == 0;
    c->no_fts = draw(&random, 2) == 0;
    c->noise = draw(&random, 4) == 0 ? (int)draw(&random, 120) : 0;
    c->bursts = (int)draw(&random, 7);
    c->dropouts = (int)draw(&random, 4);
    c->hangup_at_ms = draw(&random, 10) == 0 ? 1000 + (int)draw(&random, 60000) : 0;
    c->quirk = draw(&random, 3) == 0 ? quirks_drawn[draw(&random, 8)] : QUIRK_NONE;
}

/* What must hold for every call. NULL, or what does not. */
static const char *broken_rule(const struct modem_result *result, const struct modem_case *c)
{
    const struct rig_result *rig = &result->rig;

    if (!rig->session_ended)
        return "hung";
    if (!result->in_command_state && c->quirk == QUIRK_NONE)
        return "the modem was left somewhere";
    if (result->confirmed_early > 0 || rig->info.pages > result->stored_well)
        return "confirmed before it was stored";
    if (rig->sender_ended && rig->sender_pages > rig->info.pages)
        return "the sender believes in more pages than there are";
    if (rig->sender_ended && rig->info.pages > rig->sender_pages + 1)
        return "more than the last page is unknown to the sender";
    if (rig->info.verdict == CALL_COMPLETE && rig->info.pages < c->call.pages)
        return "complete, but not all pages";
    /* Outside ECM a page may come twice: a sender whose answer was lost more than once cannot be
     * told from one whose page was lost (note_lost_page()). */
    if (c->call.ecm && rig->info.pages > c->call.pages)
        return "a page was taken twice";
    for (int page = 1; page <= rig->info.pages && c->call.ecm; page++)
        if (rig->page_hash[page] != rig_page_hash(&c->call, page))
            return "a page differs though ECM was on";
    return NULL;
}

static void count_call(struct counts *counts, const struct modem_result *result)
{
    counts->calls++;
    switch (result->rig.info.verdict) {
    case CALL_COMPLETE: counts->complete++; break;
    case CALL_PARTIAL: counts->partial++; break;
    case CALL_DOUBTFUL: counts->doubtful++; break;
    default: counts->empty++; break;
    }
}

static void test_campaign(void **state)
{
    static struct modem_result result;
    const char *long_form = getenv("FAXPOST_CAMPAIGN");
    const char *one = getenv("FAXPOST_CAMPAIGN_SEED");
    int first = one != NULL ? atoi(one) : 1;
    int last = one != NULL ? first : long_form != NULL ? atoi(long_form) : 60;
    struct counts counts = {0};
    struct modem_case c;

    (void)state;
    for (int seed = first; seed <= last; seed++) {
        const char *broken;

        draw_case(&c, seed);
        modem_rig_run(&result, &c);
        broken = broken_rule(&result, &c);
        count_call(&counts, &result);
        counts.twice += result.rig.info.pages > c.call.pages;
        counts.hung += !result.rig.session_ended;
        counts.wrong += broken != NULL;
        if (getenv("FAXPOST_SAY") != NULL)
            print_message("call %d quirk %d ecm %d gone %d noise %d store %d/%d: %s, \"%s\"\n",
                          seed, c.quirk, c.call.ecm, c.hangup_at_ms, c.noise, c.call.store_ms,
                          c.call.store_fails_at, call_verdict_text(result.rig.info.verdict),
                          result.rig.info.error);
        if (broken != NULL || one != NULL) {
            print_error("seed %d: %s; sender %d/%d pages %d, %s, pages %d, stored well %d, %ld s, "
                        "\"%s\"\n",
                        seed, broken != NULL ? broken : "good", result.rig.sender_ended,
                        result.rig.sender_code, result.rig.sender_pages,
                        call_verdict_text(result.rig.info.verdict), result.rig.info.pages,
                        result.stored_well, (long)result.rig.seconds, result.rig.info.error);
            if (one != NULL)
                fputs(result.rig.trace, stderr);
        }
    }
    print_message("campaign: seeds %d to %d, calls %d, complete %d, partial %d, doubtful %d, empty "
                  "%d, a page twice %d, hung %d\n",
                  first, last, counts.calls, counts.complete, counts.partial, counts.doubtful,
                  counts.empty, counts.twice, counts.hung);
    assert_int_equal(counts.wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_quirks),
        cmocka_unit_test(test_page_lost_on_the_line),
        cmocka_unit_test(test_ended_by_the_line),
        cmocka_unit_test(test_campaign),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
