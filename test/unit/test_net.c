/* SPDX-License-Identifier: MIT */
/*
 * test_net.c - addresses, networks, ports.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "fax/net.h"
#include "fax/receive_settings.h"
#include "fax/sip/channel.h"

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static void test_pair(void **state)
{
    static const struct {
        const char *text;
        int rc;
        const char *written;
    } table[] = {
        {"192.0.2.1:5060", 0, "192.0.2.1:5060"},
        {"[2001:db8::1]:5060", 0, "[2001:db8::1]:5060"},
        {"[::ffff:192.0.2.1]:5060", 0, "192.0.2.1:5060"},
        {"0.0.0.0:0", 0, "0.0.0.0:0"},
        {"192.0.2.1", ERROR_FORMAT, NULL},
        {"192.0.2.1:", ERROR_FORMAT, NULL},
        {"192.0.2.1:65536", ERROR_FORMAT, NULL},
        {"192.0.2.1:-1", ERROR_FORMAT, NULL},
        {"2001:db8::1:5060", ERROR_FORMAT, NULL},
        {"[2001:db8::1]5060", ERROR_FORMAT, NULL},
        {"[:5060", ERROR_FORMAT, NULL},
        {"]:5060", ERROR_FORMAT, NULL},
        {":5060", ERROR_FORMAT, NULL},
        {"host:5060", ERROR_FORMAT, NULL},
        {"", ERROR_FORMAT, NULL},
    };
    struct net_address address;
    char text[NET_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        print_message("%s\n", table[i].text);
        assert_int_equal(net_parse_pair(&address, table[i].text), table[i].rc);
        if (table[i].rc == 0)
            assert_string_equal(net_text(text, &address), table[i].written);
    }
}

static void test_private(void **state)
{
    static const struct {
        const char *ip;
        bool is_private;
    } table[] = {
        {"10.1.2.3", true},      {"172.15.255.255", false}, {"172.16.0.1", true},
        {"172.31.9.9", true},    {"172.32.0.1", false},     {"192.168.7.7", true},
        {"192.169.0.1", false},  {"100.64.0.1", true},      {"100.127.255.254", true},
        {"100.128.0.1", false},  {"169.254.1.1", true},     {"127.0.0.1", false},
        {"198.51.100.1", false}, {"0.0.0.0", true},         {"::", true},
        {"::1", false},          {"fd00::1", true},         {"fe80::1", true},
        {"fec0::1", false},      {"2001:db8::1", false},    {"::ffff:10.0.0.1", true},
    };
    struct net_address address;

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        print_message("%s\n", table[i].ip);
        assert_int_equal(net_parse(&address, table[i].ip, 1), 0);
        assert_int_equal(net_is_private(&address), table[i].is_private);
    }
}

static void test_equal(void **state)
{
    struct net_address a;
    struct net_address b;
    struct net_address c;
    struct net_address v6;

    (void)state;
    assert_int_equal(net_parse(&a, "192.0.2.1", 1000), 0);
    assert_int_equal(net_parse(&b, "192.0.2.1", 1001), 0);
    assert_int_equal(net_parse(&c, "192.0.2.2", 1000), 0);
    assert_int_equal(net_parse(&v6, "2001:db8::1", 1000), 0);
    assert_true(net_equal(&a, &a));
    assert_false(net_equal(&a, &b));
    assert_true(net_same_host(&a, &b));
    assert_false(net_same_host(&a, &c));
    assert_false(net_same_host(&a, &v6));
    assert_false(net_is_any(&a));
    net_set_port(&b, 1000);
    assert_true(net_equal(&a, &b));
}

static void test_networks(void **state)
{
    static const struct {
        const char *networks, *ip;
        bool holds;
    } table[] = {
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.77/24", "192.0.2.1", true}, /* the host part does not count */
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.128/25", "192.0.2.129", true},
        {"198.51.100.7", "198.51.100.7", true},
        {"198.51.100.7", "198.51.100.8", false},
        {"10.0.0.0/8, 192.0.2.0/24", "192.0.2.9", true},
        {"0.0.0.0/0", "203.0.113.5", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "192.0.2.1", false},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"192.0.2.0/24", "::ffff:192.0.2.5", true},
        {"", "192.0.2.1", false},
    };
    struct net_address address;
    struct net_list list;
    struct net_list copy;

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        print_message("%s in %s\n", table[i].ip, table[i].networks);
        assert_int_equal(net_parse(&address, table[i].ip, 0), 0);
        assert_int_equal(net_list_parse(&list, table[i].networks), 0);
        assert_int_equal(net_list_copy(&copy, &list), 0);
        net_list_free(&list);
        assert_int_equal(net_list_holds(&copy, &address), table[i].holds);
        net_list_free(&copy);
    }
}

static void test_networks_refused(void **state)
{
    static const char *const table[] = {"192.0.2.0/33", "2001:db8::/129", "192.0.2/24",
                                        "192.0.2.0/",   "192.0.2.0/-1",   "example.com",
                                        "10.0.0.0/8,x", "192.0.2.0/24/3"};
    struct net_list list;

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        print_message("%s\n", table[i]);
        assert_int_equal(net_list_parse(&list, table[i]), ERROR_FORMAT);
    }
}

static void test_port_range(void **state)
{
    static const struct {
        const char *text;
        int rc;
        unsigned least, most;
    } table[] = {
        {"20000-29999", 0, 20000, 29999},  {" 20000 - 29999", 0, 20000, 29999},
        {"20000-20000", 0, 20000, 20000},  {"20001-20001", ERROR_FORMAT, 0, 0},
        {"20001-20002", 0, 20001, 20002},  {"1023-2000", ERROR_FORMAT, 0, 0},
        {"3000-2000", ERROR_FORMAT, 0, 0}, {"20000-65536", ERROR_FORMAT, 0, 0},
        {"20000", ERROR_FORMAT, 0, 0},     {"-", ERROR_FORMAT, 0, 0},
        {"a-b", ERROR_FORMAT, 0, 0},
    };
    unsigned least;
    unsigned most;

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        print_message("%s\n", table[i].text);
        assert_int_equal(receive_ports_parse(&least, &most, table[i].text), table[i].rc);
        if (table[i].rc == 0) {
            assert_int_equal(least, table[i].least);
            assert_int_equal(most, table[i].most);
        }
    }
}

/* A port that the system finds free, for a range around it. */
static unsigned free_even_port(const struct net_address *local)
{
    unsigned port = 0;
    int fd = channel_socket(local, 20000, 60000, &port);

    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(port % 2, 0);
    return port;
}

static void test_port_allocation(void **state)
{
    struct net_address local;
    unsigned port;
    unsigned got = 0;
    int first;

    (void)state;
    assert_int_equal(net_parse(&local, "127.0.0.1", 0), 0);
    port = free_even_port(&local);
    first = channel_socket(&local, port - 1, port + 1, &got);
    assert_true(first >= 0);
    assert_int_equal(got, port);
    /* The only even port of the range is taken. */
    assert_int_equal(channel_socket(&local, port - 1, port + 1, &got), ERROR_FULL);
    close(first);
    first = channel_socket(&local, port - 1, port + 1, &got);
    assert_true(first >= 0);
    close(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pair),
        cmocka_unit_test(test_private),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_networks_refused),
        cmocka_unit_test(test_port_range),
        cmocka_unit_test(test_port_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
