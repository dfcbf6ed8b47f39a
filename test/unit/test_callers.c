/* SPDX-License-Identifier: MIT */
/*
 * test_callers.c - who may call, and how much one source may ask for.
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

/* Of so many requests at one moment, how many get through? */
static int taken(struct caller_rates *rates, const char *source, int requests, int64_t now_ms,
                 int *told)
{
    struct net_address from = address(source);
    int count = 0;
    bool first;
    int i;

    for (i = 0; i < requests; i++) {
        count += caller_rates_take(rates, &from, 10, now_ms, &first);
        *told += first;
    }
    return count;
}

static void test_rates(void **state)
{
    struct net_address source = address("192.0.2.1");
    struct caller_rates *rates;
    int told = 0;
    bool first;
    int i;

    (void)state;
    assert_int_equal(caller_rates_new(&rates), 0);
    assert_int_equal(taken(rates, "192.0.2.1", 100, 1000, &told), 10 * CALLER_BURST_S);
    assert_int_equal(told, 1);
    assert_int_equal(taken(rates, "192.0.2.1", 100, 1500, &told), 5);
    assert_int_equal(told, 1); /* once a second */
    assert_int_equal(taken(rates, "192.0.2.1", 100, 2500, &told), 10);
    assert_int_equal(told, 2);
    assert_int_equal(taken(rates, "192.0.2.1", 1, 2550, &told), 0);
    assert_int_equal(taken(rates, "192.0.2.1", 1, 2600, &told), 1); /* parts of one add up */
    assert_int_equal(taken(rates, "192.0.2.1", 1000, 2600 + 3600000, &told), 10 * CALLER_BURST_S);
    /* The whole /64 is one caller. */
    assert_int_equal(taken(rates, "2001:db8::1", 30, 1000, &told), 30);
    assert_int_equal(taken(rates, "2001:db8::2", 30, 1000, &told), 20);
    for (i = 0; i < 1000; i++) /* no limit */
        assert_true(caller_rates_take(rates, &source, 0, 2600 + 3600000, &first));
    caller_rates_free(rates);
}

/* Others go on while one floods: the places are shared by few. */
static void test_flood_leaves_others_alone(void **state)
{
    struct caller_rates *rates;
    char text[32];
    int told = 0;
    int lost = 0;
    int i;

    (void)state;
    assert_int_equal(caller_rates_new(&rates), 0);
    for (i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "198.51.100.%d", i);
        (void)taken(rates, "192.0.2.1", 10, 1000, &told);
        lost += 5 - taken(rates, text, 5, 1000, &told);
    }
    assert_int_equal(lost, 0);
    caller_rates_free(rates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_judgement),
        cmocka_unit_test(test_the_rule_is_told),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_flood_leaves_others_alone),
    };

    return cmocka_run_group_tests_name("callers", tests, NULL, NULL);
}
