/* SPDX-License-Identifier: MIT */
/*
 * test_sources.c - how much a source may have, and what strangers can do to those we know.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "fax/sip/sources.h"

enum { PER_SECOND = 10, BURST = PER_SECOND * SOURCE_BURST_S, NEWCOMERS = 100 };

static int setup(void **state)
{
    return sources_new((struct sources **)state);
}

static int teardown(void **state)
{
    sources_free(*state);
    return 0;
}

static struct net_address address(const char *text)
{
    struct net_address out;

    assert_int_equal(net_parse(&out, text, 5060), 0);
    return out;
}

/* The nth stranger: 10.0.0.0/8 has room for all. */
static struct net_address stranger(unsigned n)
{
    struct net_address out = address("10.0.0.0");

    out.u.v4.sin_addr.s_addr = htonl(0x0a000000U + n);
    return out;
}

/* Of so many requests at one moment, how many get through? */
static int taken_of(struct sources *sources, const struct net_address *from, int requests,
                    int64_t now_ms)
{
    int count = 0;

    while (requests-- > 0)
        count += sources_take(sources, from, SOURCE_BY_DATAGRAM, PER_SECOND, now_ms);
    return count;
}

static int taken(struct sources *sources, const char *from, int requests, int64_t now_ms)
{
    struct net_address source = address(from);

    return taken_of(sources, &source, requests, now_ms);
}

static enum source_verdict judge(struct sources *sources, const struct net_address *from,
                                 int per_source)
{
    struct source_limits limits = {per_source, NEWCOMERS};

    return sources_judge(sources, from, SOURCE_BY_DATAGRAM, "one", 3, &limits, 1000);
}

static void begin(struct sources *sources, struct source_call *call, const struct net_address *from)
{
    sources_call_begin(sources, call, from, SOURCE_BY_DATAGRAM, 1000);
}

static void make_known(struct sources *sources, const struct net_address *source, int64_t now_ms)
{
    struct source_call call;

    sources_call_begin(sources, &call, source, SOURCE_BY_DATAGRAM, now_ms);
    sources_call_acknowledged(sources, &call);
    sources_call_over(sources, &call);
}

static void test_rates(void **state)
{
    struct sources *sources = *state;
    struct net_address source = address("192.0.2.1");

    assert_int_equal(taken(sources, "192.0.2.1", 100, 10000), BURST);
    assert_int_equal(taken(sources, "192.0.2.1", 100, 10500), 5);
    assert_int_equal(taken(sources, "192.0.2.1", 100, 11500), 10);
    assert_int_equal(taken(sources, "192.0.2.1", 1, 11550), 0);
    assert_int_equal(taken(sources, "192.0.2.1", 1, 11600), 1); /* parts of one add up */
    assert_int_equal(taken(sources, "192.0.2.1", 1000, 11600 + 3600000), BURST);
    /* The whole /64 is one source. */
    assert_int_equal(taken(sources, "2001:db8::1", 30, 7200000), 30);
    assert_int_equal(taken(sources, "2001:db8::2", 30, 7200000), 20);
    assert_int_equal(taken(sources, "2001:db8:0:1::2", 30, 7200000), 30);
    for (int i = 0; i < 1000; i++) /* no limit */
        assert_true(sources_take(sources, &source, SOURCE_BY_DATAGRAM, 0, 7200000));
}

static void test_newcomers_share(void **state)
{
    struct sources *sources = *state;
    struct net_address known = address("192.0.2.1");
    int all = 0;

    make_known(sources, &known, 1000);
    assert_true(sources_know(sources, &known));
    for (unsigned i = 0; i < 1000; i++) {
        struct net_address one = stranger(i);

        all += taken_of(sources, &one, 3, 10000);
    }
    assert_int_equal(all, BURST * SOURCE_NEWCOMERS);
    assert_int_equal(taken(sources, "192.0.2.1", 100, 10000), BURST); /* does not notice */
    assert_int_equal(taken(sources, "198.51.100.1", 1, 10000), 0);
    {
        struct net_address by_tcp = address("198.51.100.2");

        assert_true(sources_take(sources, &by_tcp, SOURCE_BY_CONNECTION, PER_SECOND, 10000));
    }
    assert_int_equal(taken(sources, "198.51.100.1", 1, 10100), 1); /* their share comes again */
}

/* One who asks for too much leaves the others' share alone. */
static void test_flood_leaves_others_alone(void **state)
{
    struct sources *sources = *state;
    int lost = 0;

    for (int i = 0; i < 40; i++) {
        char text[32];

        snprintf(text, sizeof text, "198.51.100.%d", i);
        (void)taken(sources, "192.0.2.1", 1000, 10000);
        lost += 5 - taken(sources, text, 5, 10000);
    }
    assert_int_equal(lost, 0);
}

static void test_strangers_push_out_strangers(void **state)
{
    struct sources *sources = *state;
    struct net_address one = address("203.0.113.9");
    struct source_call call;

    /* As many known ones as there may be, and more. */
    for (unsigned i = 0; i < 6000; i++) {
        struct net_address known = stranger(0x800000U + i);

        make_known(sources, &known, (int64_t)i + 1000);
    }
    sources_call_begin(sources, &call, &one, SOURCE_BY_DATAGRAM, 9000);
    for (unsigned i = 0; i < 100000; i++) {
        struct net_address other = stranger(i);

        (void)sources_take(sources, &other, SOURCE_BY_DATAGRAM, PER_SECOND, 10000 + i);
    }
    assert_true(call.is_counted);
    assert_int_equal(judge(sources, &one, 1), SOURCE_FULL); /* still there */
    sources_call_over(sources, &call);
    {
        struct net_address last = stranger(0x800000U + 5999);
        int known = 0;

        assert_true(sources_know(sources, &last));
        for (unsigned i = 0; i < 6000; i++) {
            struct net_address each = stranger(0x800000U + i);

            known += sources_know(sources, &each);
        }
        assert_in_range(known, 3000, 3584);
    }
}

static void test_calls_of_one_source(void **state)
{
    struct sources *sources = *state;
    struct net_address one = address("192.0.2.1");
    struct net_address other = address("192.0.2.2");
    struct source_call calls[3];

    for (int i = 0; i < 3; i++) {
        assert_int_equal(judge(sources, &one, 3), SOURCE_WELCOME);
        begin(sources, &calls[i], &one);
    }
    assert_int_equal(judge(sources, &one, 3), SOURCE_FULL);
    assert_int_equal(judge(sources, &one, 0), SOURCE_WELCOME);
    assert_int_equal(judge(sources, &other, 3), SOURCE_WELCOME);
    sources_call_acknowledged(sources, &calls[0]);
    sources_call_acknowledged(sources, &calls[0]); /* a second ACK */
    assert_int_equal(judge(sources, &one, 3), SOURCE_FULL);
    sources_call_over(sources, &calls[0]);
    assert_int_equal(judge(sources, &one, 3), SOURCE_WELCOME);
    sources_call_over(sources, &calls[1]);
    sources_call_over(sources, &calls[2]);
    assert_int_equal(judge(sources, &one, 1), SOURCE_WELCOME);
}

static void test_calls_nobody_acknowledges(void **state)
{
    struct sources *sources = *state;
    struct source_limits limits = {0, NEWCOMERS};
    struct net_address one = address("192.0.2.1");
    struct net_address known = address("192.0.2.2");
    struct net_address next = stranger(NEWCOMERS);
    struct source_call calls[NEWCOMERS];
    int count = 0;

    make_known(sources, &known, 1000);
    /* In a crowd an INVITE is heard when it comes again. */
    for (unsigned i = 0; count < NEWCOMERS / 4; i++) {
        struct net_address forged = stranger(i);

        assert_int_equal(judge(sources, &forged, 0), SOURCE_WELCOME);
        begin(sources, &calls[count++], &forged);
    }
    for (unsigned i = (unsigned)count; count < NEWCOMERS; i++) {
        struct net_address forged = stranger(i);

        assert_int_equal(judge(sources, &forged, 0), SOURCE_AGAIN);
        assert_int_equal(judge(sources, &forged, 0), SOURCE_WELCOME);
        begin(sources, &calls[count++], &forged);
    }
    /* Those who were heard twice are forged too. */
    assert_int_equal(judge(sources, &next, 0), SOURCE_AGAIN);
    assert_int_equal(judge(sources, &next, 0), SOURCE_CROWDED);
    assert_int_equal(judge(sources, &known, 0), SOURCE_WELCOME);
    assert_int_equal(sources_judge(sources, &next, SOURCE_BY_CONNECTION, "one", 3, &limits, 1000),
                     SOURCE_WELCOME);
    sources_call_over(sources, &calls[NEWCOMERS - 1]);
    assert_int_equal(judge(sources, &next, 0), SOURCE_WELCOME);
    for (int i = 0; i < NEWCOMERS - 1; i++)
        sources_call_over(sources, &calls[i]);
    /* One alone has a limit of its own, until it shows that it is there. */
    for (count = 0; judge(sources, &one, 0) != SOURCE_CROWDED; count++)
        sources_call_begin(sources, &calls[count], &one, SOURCE_BY_CONNECTION, 1000);
    assert_int_equal(count, SOURCE_UNANSWERED_MAX);
    sources_call_acknowledged(sources, &calls[0]);
    assert_int_equal(judge(sources, &one, 0), SOURCE_WELCOME);
    for (int i = 0; i < count; i++)
        sources_call_over(sources, &calls[i]);
}

static void test_invites_that_come_again(void **state)
{
    struct sources *sources = *state;
    struct source_limits limits = {0, 1};
    struct net_address one = address("192.0.2.1");
    struct net_address other = address("192.0.2.2");
    struct source_call call;
    static const struct {
        const char *call_id;
        int64_t at_ms;
        enum source_verdict verdict;
    } table[] = {
        {"a", 10000, SOURCE_AGAIN},  {"b", 10100, SOURCE_AGAIN},   {"a", 10500, SOURCE_CROWDED},
        {"a", 15001, SOURCE_AGAIN},  {"a", 16000, SOURCE_CROWDED}, {"b", 15000, SOURCE_CROWDED},
        {"ab", 16000, SOURCE_AGAIN},
    };

    sources_call_begin(sources, &call, &other, SOURCE_BY_DATAGRAM, 1000);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (sources_judge(sources, &one, SOURCE_BY_DATAGRAM, table[i].call_id,
                          strlen(table[i].call_id), &limits, table[i].at_ms) != table[i].verdict)
            fail_msg("row %zu", i);
    assert_int_equal(sources_judge(sources, &other, SOURCE_BY_DATAGRAM, "a", 1, &limits, 16000),
                     SOURCE_AGAIN);
    sources_call_over(sources, &call);
    assert_int_equal(sources_judge(sources, &one, SOURCE_BY_DATAGRAM, "new", 3, &limits, 16000),
                     SOURCE_WELCOME);
}

static void test_reports(void **state)
{
    struct sources *sources = *state;
    struct sources_report report;

    assert_false(sources_report(sources, 1000, &report));
    (void)taken(sources, "192.0.2.1", BURST + 7, 10000);
    assert_true(sources_report(sources, 10000, &report)); /* the first at once */
    assert_int_equal(report.dropped, 7);
    assert_false(report.of_others);
    (void)taken(sources, "192.0.2.1", 7, 10010);
    (void)taken(sources, "192.0.2.2", BURST + 3, 10010);
    assert_false(sources_report(sources, 10000 + SOURCE_REPORT_MS - 1, &report));
    assert_true(sources_report(sources, 10000 + SOURCE_REPORT_MS, &report));
    assert_int_equal(report.dropped, 10);
    assert_true(report.of_others);
    assert_false(sources_report(sources, 10000 + 10 * SOURCE_REPORT_MS, &report));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rates, setup, teardown),
        cmocka_unit_test_setup_teardown(test_newcomers_share, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flood_leaves_others_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_strangers_push_out_strangers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_calls_of_one_source, setup, teardown),
        cmocka_unit_test_setup_teardown(test_calls_nobody_acknowledges, setup, teardown),
        cmocka_unit_test_setup_teardown(test_invites_that_come_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reports, setup, teardown),
    };

    return cmocka_run_group_tests_name("sources", tests, NULL, NULL);
}
