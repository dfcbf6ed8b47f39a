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
static const struct expected calls[] = {
    {{.call = {.name = "ECM", .ecm = true, .pages = 2}}, true, 2, CALL_COMPLETE, 2, 0, 0},
    {{.call = {.name = "no ECM", .pages = 2}}, true, 2, CALL_COMPLETE, 2, 0, 0},
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
                "%d, command state %d, %s, \"%s\"\n%s",
                e->c.call.name, rig->sender_ended, rig->sender_code, rig->sender_pages,
                call_verdict_text(rig->info.verdict), rig->info.pages, rig->info.unconfirmed,
                rig->rnr, result->confirmed_early, result->in_command_state,
                same ? "same" : "DIFFERENT", rig->info.error, rig->trace);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
