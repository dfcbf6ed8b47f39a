/* SPDX-License-Identifier: MIT */
/*
 * test_callers.c - who may call.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "fax/callers.h"

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static struct net_address address(const char *text)
{
    struct net_address out;

    assert_int_equal(net_parse(&out, text, 5060), 0);
    return out;
}

static void test_lists(void **state)
{
    static const struct {
        const char *text;
        int rc;
        size_t networks, patterns;
    } table[] = {
        {NULL, 0, 0, 0},
        {"", 0, 0, 0},
        {"192.0.2.0/24", 0, 1, 0},
        {"192.0.2.0/24, 2001:db8::/32,198.51.100.7", 0, 3, 0},
        {"+1555*", 0, 0, 1},
        {"5550100, 192.0.2.1, *99, anonymous", 0, 1, 3},
        {"192.0.2.0/33", ERROR_FORMAT, 0, 0},
        {"192.0.2", ERROR_FORMAT, 0, 0},
        {"5550100/8", ERROR_FORMAT, 0, 0},
        {"1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111",
         ERROR_LIMIT, 0, 0},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(table); i++) {
        struct caller_list list;
        struct caller_list copy;
        int rc = caller_list_parse(&list, table[i].text);

        if (rc != table[i].rc)
            fail_msg("row %zu: %d", i, rc);
        if (rc != 0)
            continue;
        assert_int_equal(list.networks.count, table[i].networks);
        assert_int_equal(list.pattern_count, table[i].patterns);
        assert_int_equal(caller_list_copy(&copy, &list), 0);
        caller_list_free(&list);
        assert_int_equal(copy.pattern_count, table[i].patterns);
        caller_list_free(&copy);
    }
}

static void test_judgement(void **state)
{
    static const struct {
        const char *allow, *deny, *source, *number;
        enum caller_verdict verdict;
    } table[] = {
        {"", "", "192.0.2.1", "5550100", CALLER_WELCOME},
        {"", "", "192.0.2.1", "", CALLER_WELCOME},
        {"", "5550100", "192.0.2.1", "5550100", CALLER_BLOCKED},
        {"", "5550100", "192.0.2.1", "15550100", CALLER_WELCOME},
        {"", "*0100", "192.0.2.1", "15550100", CALLER_BLOCKED},
        {"", "+1900*", "192.0.2.1", "+19005550100", CALLER_BLOCKED},
        {"", "192.0.2.0/25", "192.0.2.1", "5550100", CALLER_SOURCE_BLOCKED},
        {"", "192.0.2.0/25", "192.0.2.129", "5550100", CALLER_WELCOME},
        {"", "2001:db8::/32", "2001:db8::1", "5550100", CALLER_SOURCE_BLOCKED},
        {"192.0.2.0/24", "", "192.0.2.1", "", CALLER_WELCOME},
        {"192.0.2.0/24", "", "198.51.100.1", "5550100", CALLER_SOURCE_BLOCKED},
        {"5550*", "", "192.0.2.1", "5550100", CALLER_WELCOME},
        {"5550*", "", "192.0.2.1", "5551100", CALLER_BLOCKED},
        {"5550*", "", "192.0.2.1", "", CALLER_BLOCKED},
        {"192.0.2.0/24,5550*", "", "192.0.2.1", "", CALLER_WELCOME},
        {"192.0.2.0/24,5550*", "", "198.51.100.1", "5550100", CALLER_WELCOME},
        {"192.0.2.0/24,5550*", "", "198.51.100.1", "5551100", CALLER_BLOCKED},
        {"5550*", "5550100", "192.0.2.1", "5550100", CALLER_BLOCKED},
        {"5550100", "192.0.2.1", "192.0.2.1", "5550100", CALLER_SOURCE_BLOCKED},
        /* Who does not tell a number is "anonymous", by whatever way. */
        {"", "anonymous", "192.0.2.1", "", CALLER_BLOCKED},
        {"", "anonymous", "192.0.2.1", "anonymous", CALLER_BLOCKED},
        {"", "anonymous", "192.0.2.1", "5550100", CALLER_WELCOME},
        {"5550*, anonymous", "", "192.0.2.1", "", CALLER_WELCOME},
        {"*", "anonymous", "192.0.2.1", "", CALLER_BLOCKED},
        {"*", "", "192.0.2.1", "", CALLER_WELCOME},
        /* A modem line has no addresses. */
        {"", "", NULL, "", CALLER_WELCOME},
        {"", "5550*", NULL, "5550100", CALLER_BLOCKED},
        {"", "5550*", NULL, "", CALLER_WELCOME},
        {"", "anonymous", NULL, "", CALLER_BLOCKED},
        {"5550*", "", NULL, "5550100", CALLER_WELCOME},
        {"5550*", "", NULL, "5551100", CALLER_BLOCKED},
        {"5550*", "", NULL, "", CALLER_BLOCKED},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(table); i++) {
        struct net_address source = {0};
        struct caller_list allow;
        struct caller_list deny;

        assert_int_equal(caller_list_parse(&allow, table[i].allow), 0);
        assert_int_equal(caller_list_parse(&deny, table[i].deny), 0);
        if (table[i].source != NULL)
            source = address(table[i].source);
        if (caller_judge(&allow, &deny, table[i].source != NULL ? &source : NULL,
                         table[i].number) != table[i].verdict)
            fail_msg("row %zu", i);
        caller_list_free(&allow);
        caller_list_free(&deny);
    }
}

static void test_the_rule_is_told(void **state)
{
    struct caller_list list;

    (void)state;
    assert_int_equal(caller_list_parse(&list, "5550100, 555*, anonymous"), 0);
    assert_string_equal(caller_list_find(&list, "5550100"), "5550100");
    assert_string_equal(caller_list_find(&list, "5550101"), "555*");
    assert_string_equal(caller_list_find(&list, ""), "anonymous");
    assert_null(caller_list_find(&list, "15550100"));
    caller_list_free(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_judgement),
        cmocka_unit_test(test_the_rule_is_told),
    };

    return cmocka_run_group_tests_name("callers", tests, NULL, NULL);
}
