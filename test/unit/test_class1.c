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

#include "fax/frames.h"
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

/* Each rate of each modulation: TCF fails until the sender has come down to it. */
static void test_rates(void **state)
{
    static const struct {
        int code; /* of +FRM, for a page */
        int bit_rate;
    } rates[] = {{146, 14400}, {122, 12000}, {98, 9600}, {96, 9600},
                 {74, 7200},   {72, 7200},   {48, 4800}, {24, 2400}};
    static struct modem_result result;
    char command[16];
    size_t failures = 0;

    (void)state;
    for (size_t i = 0; i < 2 * sizeof rates / sizeof rates[0]; i++) {
        const struct expected e = {{.call = {.name = "rate", .ecm = i % 2 == 0, .pages = 2},
                                    .fail_tcf = (int)i / 2,
                                    .latency_ms = 16},
                                   true,
                                   2,
                                   CALL_COMPLETE,
                                   2,
                                   0,
                                   0};

        modem_rig_run(&result, &e.c);
        failures += !is_as_expected(&result, &e);
        snprintf(command, sizeof command, "AT+FRM=%d\n", rates[i / 2].code);
        if (strstr(result.rig.trace, command) == NULL ||
            result.rig.info.bit_rate != rates[i / 2].bit_rate) {
            print_error("rate %d: %d\n", rates[i / 2].bit_rate, result.rig.info.bit_rate);
            fputs(result.rig.trace, stderr);
            failures++;
        }
    }
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_rates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
