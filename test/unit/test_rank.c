/* SPDX-License-Identifier: MIT */
/*
 * test_rank.c - a server gets another rank: unique ranks, the others' order, few changes.
 */
#include "policy/rank.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_table(void **state)
{
    static const struct {
        int count;
        int before[5];
        int index, rank;
        int after[5];
    } table[] = {
        {1, {1}, 0, 1, {1}},
        {1, {1}, 0, 7, {7}},
        {2, {1, 2}, 1, 1, {2, 1}},
        {2, {1, 2}, 0, 2, {2, 1}},
        {3, {1, 2, 3}, 2, 1, {2, 3, 1}},
        {3, {1, 2, 3}, 0, 3, {3, 1, 2}},
        {3, {1, 2, 3}, 1, 2, {1, 2, 3}},
        {3, {1, 2, 3}, 0, 4, {4, 2, 3}},
        {3, {10, 20, 30}, 2, 10, {11, 20, 10}},
        {3, {10, 20, 30}, 0, 30, {30, 20, 29}},
        {3, {10, 20, 30}, 2, 15, {10, 20, 15}},
        {3, {10, 20, 30}, 2, 1, {10, 20, 1}},
        {4, {1, 2, 4, 9}, 3, 1, {2, 3, 4, 1}}, /* the gap at 3 ends it */
        {5, {1, 2, 3, 4, 5}, 4, 2, {1, 3, 4, 5, 2}},
        {5, {1, 2, 3, 4, 5}, 1, 4, {1, 4, 2, 3, 5}},
    };
    size_t n;
    int i;

    (void)state;
    for (n = 0; n < sizeof table / sizeof table[0]; n++) {
        struct server_list list = {.count = table[n].count};
        int out[SERVER_COUNT_MAX];

        for (i = 0; i < list.count; i++)
            list.server[i].rank = table[n].before[i];
        rank_move(out, &list, table[n].index, table[n].rank);
        for (i = 0; i < list.count; i++)
            if (out[i] != table[n].after[i])
                fail_msg("row %zu: server %d gets %d instead of %d", n, i, out[i],
                         table[n].after[i]);
    }
}

static void test_last(void **state)
{
    struct server_list list = {.count = 0};

    (void)state;
    assert_int_equal(rank_last(&list), 1);
    list.count = 2;
    list.server[1].rank = 20;
    assert_int_equal(rank_last(&list), 21);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_last)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
