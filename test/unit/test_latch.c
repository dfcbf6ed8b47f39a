/* SPDX-License-Identifier: MIT */
/*
 * test_latch.c - whose packets are a call's media.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fax/latch.h"

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static struct net_address address(const char *text)
{
    struct net_address out;

    assert_int_equal(net_parse_pair(&out, text), 0);
    return out;
}

static void test_first(void **state)
{
    static const struct {
        const char *name, *offered, *source;
        int64_t after_ms;
        enum latch_verdict verdict;
    } table[] = {
        {"as offered", "192.0.2.1:4000", "192.0.2.1:4000", 0, LATCH_FIRST},
        {"the host, another port", "192.0.2.1:4000", "192.0.2.1:4002", 0, LATCH_FIRST},
        {"public, from elsewhere", "192.0.2.1:4000", "198.51.100.1:4000", 0, LATCH_DROP},
        {"the same, just too early", "192.0.2.1:4000", "198.51.100.1:4000", 1999, LATCH_DROP},
        {"the same, nothing else came", "192.0.2.1:4000", "198.51.100.1:4000", 2000, LATCH_FIRST},
        {"private, from elsewhere", "10.0.0.5:4000", "198.51.100.1:61000", 0, LATCH_FIRST},
        {"shared address space", "100.64.0.5:4000", "198.51.100.1:61000", 0, LATCH_FIRST},
        {"no address", "0.0.0.0:4000", "198.51.100.1:61000", 0, LATCH_FIRST},
        {"loopback is not private", "127.0.0.1:4000", "127.0.0.2:4000", 0, LATCH_DROP},
        {"unique local v6", "[fd00::1]:4000", "[2001:db8::1]:4000", 0, LATCH_FIRST},
    };
    struct latch latch;
    struct net_address offered;
    struct net_address source;

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        print_message("%s\n", table[i].name);
        offered = address(table[i].offered);
        source = address(table[i].source);
        latch_begin(&latch, &offered, 5000);
        assert_int_equal(latch_judge(&latch, &source, 5000 + table[i].after_ms), table[i].verdict);
        assert_true(net_equal(&latch.peer, &offered));
    }
}

static void test_latched(void **state)
{
    struct net_address offered = address("10.0.0.5:4000");
    struct net_address nat = address("198.51.100.1:61000");
    struct net_address other_port = address("198.51.100.1:61002");
    struct net_address stranger = address("203.0.113.9:4000");
    struct net_address moved = address("10.0.0.6:4000");
    struct latch latch;

    (void)state;
    latch_begin(&latch, &offered, 0);
    latch_to(&latch, &nat);
    assert_true(net_equal(&latch.peer, &nat));
    assert_int_equal(latch_judge(&latch, &nat, 60000), LATCH_TAKE);
    assert_int_equal(latch_judge(&latch, &other_port, 60000), LATCH_DROP);
    assert_int_equal(latch_judge(&latch, &stranger, 60000), LATCH_DROP);
    assert_int_equal(latch_judge(&latch, &offered, 60000), LATCH_DROP);
    /* A new description begins anew. */
    latch_begin(&latch, &moved, 60000);
    assert_true(net_equal(&latch.peer, &moved));
    assert_int_equal(latch_judge(&latch, &nat, 60000), LATCH_FIRST);
}

static void test_can_send(void **state)
{
    static const struct {
        const char *offered;
        bool can;
    } table[] = {
        {"192.0.2.1:4000", true},  {"192.0.2.1:0", false},    {"0.0.0.0:4000", false},
        {"[::]:4000", false},      {"224.0.0.1:4000", false}, {"255.255.255.255:4000", false},
        {"[ff02::1]:4000", false},
    };
    struct latch latch;
    struct net_address offered;

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        offered = address(table[i].offered);
        latch_begin(&latch, &offered, 0);
        assert_int_equal(latch_can_send(&latch), table[i].can);
    }
}

/* A victim's address in SDP gets some seconds of our packets, and then no more. */
static void test_unheard(void **state)
{
    struct net_address offered = address("192.0.2.1:4000");
    struct latch latch;

    (void)state;
    latch_begin(&latch, &offered, 0);
    for (int i = 0; i < LATCH_UNHEARD_MOST; i++)
        assert_true(latch_can_send(&latch));
    assert_false(latch_can_send(&latch));
    latch_renew(&latch);
    assert_true(latch_can_send(&latch));
    latch_to(&latch, &offered);
    for (int i = 0; i < 2 * LATCH_UNHEARD_MOST; i++)
        assert_true(latch_can_send(&latch));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first),
        cmocka_unit_test(test_latched),
        cmocka_unit_test(test_can_send),
        cmocka_unit_test(test_unheard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
