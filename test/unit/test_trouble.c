/* SPDX-License-Identifier: MIT */
/*
 * test_trouble.c - what does not work is on a list until it works.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/trouble.h"

/* All of them, each without its time. */
static const char *all(struct troubles *troubles)
{
    static char out[8192];
    char one[TROUBLE_TEXT_MAX + 64];

    out[0] = '\0';
    for (size_t i = 0; trouble_text(troubles, i, one, sizeof one); i++) {
        char *since = strstr(one, " (since 2");

        assert_non_null(since);
        *since = '\0';
        strcat(strcat(out, one), "|");
    }
    return out;
}

static void test_list(void **state)
{
    struct troubles *troubles;

    (void)state;
    assert_int_equal(troubles_new(&troubles, NULL), 0);
    assert_string_equal(all(troubles), "");
    trouble_begin(troubles, "a", "mend it", "%s is full", "disk");
    trouble_begin(troubles, "b", "mend it", "tape\nis\x1b torn");
    assert_string_equal(all(troubles), "disk is full|tape?is? torn|");
    trouble_begin(troubles, "a", "mend it", "disk is broken");
    assert_string_equal(all(troubles), "disk is broken|tape?is? torn|");
    trouble_end(troubles, "a");
    trouble_end(troubles, "a");
    trouble_end(troubles, "c");
    assert_string_equal(all(troubles), "tape?is? torn|");
    trouble_end(troubles, "b");
    assert_string_equal(all(troubles), "");
    troubles_free(troubles);
}

static void test_bounds(void **state)
{
    char name[TROUBLE_NAME_MAX * 2];
    char words[TROUBLE_TEXT_MAX * 2];
    char text[TROUBLE_TEXT_MAX + 64];
    struct troubles *troubles;

    (void)state;
    memset(words, 'x', sizeof words);
    words[sizeof words - 1] = '\0';
    assert_int_equal(troubles_new(&troubles, NULL), 0);
    for (int i = 0; i < TROUBLE_MOST * 2; i++) { /* more than are kept are logged at least */
        snprintf(name, sizeof name, "%d", i);
        trouble_begin(troubles, name, "", "%s", words);
    }
    assert_true(trouble_text(troubles, TROUBLE_MOST - 1, text, sizeof text));
    assert_false(trouble_text(troubles, TROUBLE_MOST, text, sizeof text));
    troubles_free(troubles);
    trouble_begin(NULL, "a", "", "b");
    trouble_end(NULL, "a");
    troubles_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests_name("trouble", tests, NULL, NULL);
}
