/* SPDX-License-Identifier: MIT */
/*
 * test_dispatch.c - from a folder in incoming/ to a server or a mailbox: what becomes of one fax.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "smtp/mailbox.h"
#include "test/unit/dispatch_rig.h"

/* A newcomer: no server list; the mailbox is the way. */
static void test_mailbox_only(void **state)
{
    struct world world;
    struct dispatch_status status;
    char first[FAX_ID_MAX];

    (void)state;
    world_open(&world);
    receive_fax(&world, "5552000", first);
    world_start(&world, SETTINGS, NULL, NULL);
    receive_fax(&world, "5553000", NULL);
    receive_fax(&world, "900", NULL);
    wait_count(&world, 4, 0);
    assert_int_equal(count_mails(&world, "sales@example.com"), 1);
    assert_int_equal(count_mails(&world, "a@example.com"), 1);
    assert_int_equal(count_mails(&world, "b@example.com"), 1);
    assert_int_equal(count_mails(&world, "op@example.com"), 1);
    expect_log(&world, first, "S4 mailbox mailbox");
    dispatch_status(world.dispatch, &status);
    assert_true(status.mailbox_only);
    assert_int_equal(status.workers, 4);
    world_close(&world);
}

static void test_sent(void **state)
{
    struct smtp_script *server = smtp_script_start(good_script, 1, NULL);
    struct world world;
    char fax_id[FAX_ID_MAX];
    char expected[100];
    char *message = NULL;
    size_t length = 0;

    (void)state;
    world_open(&world);
    world_start(&world, SETTINGS, servers_for(smtp_script_port(server), 0, 4), NULL);
    receive_fax(&world, "5552000", fax_id);
    wait_count(&world, 1, 0);
    expect_log(&world, fax_id, "S1 one TCP OK|S4 one SMTP OK");
    assert_int_equal(count_mails(&world, "sales@example.com"), 1); /* besides being sent */
    smtp_script_stop(server, &message, &length, NULL, 0, NULL, 0);
    snprintf(expected, sizeof expected, "Message-ID: <%s@gw.example.com>\r\n", fax_id);
    assert_non_null(strstr(message, expected));
    free(message);
    world_close(&world);
}

/* The first server is dead, the second one takes it at once; without permission nothing does. */
static void test_failover(void **state)
{
    struct smtp_script *server = smtp_script_start(good_script, 1, NULL);
    struct world world;
    struct dispatch_status status;
    char fax_id[FAX_ID_MAX];
    char denied[FAX_ID_MAX];

    (void)state;
    world_open(&world);
    world_start(&world, SETTINGS "[mail]\nmailbox = no\n",
                servers_for(1, smtp_script_port(server), 4),
                "[destination]\nsales@example.com = allow\n");
    receive_fax(&world, "5552000", fax_id);
    wait_count(&world, 1, 0);
    expect_log(&world, fax_id, "S1 one TCP error|S10 two TCP OK|S4 two SMTP OK");
    assert_int_equal(count_mails(&world, "sales@example.com"), 0);
    receive_fax(&world, "900", denied);
    usleep(500000);
    expect_log(&world, denied, ""); /* it waits for the probe */
    dispatch_status(world.dispatch, &status);
    assert_int_equal(status.server_count, 2);
    assert_false(status.server[0].up);
    assert_true(status.server[1].up);
    smtp_script_stop(server, NULL, NULL, NULL, 0, NULL, 0);
    world_close(&world);
}

/* S7 and S6; a message that is refused ends in the mailbox. */
static void test_classes(void **state)
{
    static const char *const grey[] = {
        HELLO,    "C:MAIL",  "S:250 ok", "C:RCPT", "S:450 4.2.0 grey", "C:DATA", "S:554 x",
        "C:QUIT", "S:221 x", "CLOSE",    NULL,
    };
    static const char *const unknown[] = {
        HELLO,    "C:MAIL",  "S:250 ok", "C:RCPT", "S:550 5.1.1 no such user", "C:DATA", "S:554 x",
        "C:QUIT", "S:221 x", "CLOSE",    NULL,
    };
    struct smtp_script *first = smtp_script_start(grey, 3, NULL);
    struct smtp_script *second = smtp_script_start(unknown, 1, NULL);
    struct world world;
    char fax_id[FAX_ID_MAX];

    (void)state;
    world_open(&world);
    world_start(&world, SETTINGS "[mail]\nmailbox = no\n",
                servers_for(smtp_script_port(first), smtp_script_port(second), 4),
                "[bypass]\ndefault = allow\n");
    receive_fax(&world, "5552000", fax_id);
    wait_count(&world, 0, 1);
    expect_log(&world, fax_id,
               "S1 one TCP OK|S7 one temporary error|S7 one TCP OK|S7 one temporary error|"
               "S7 one TCP OK|S10 one temporary error|S10 two TCP OK|S6 two destination error");
    assert_int_equal(count_mails(&world, "sales@example.com"), 1);
    smtp_script_stop(first, NULL, NULL, NULL, 0, NULL, 0);
    smtp_script_stop(second, NULL, NULL, NULL, 0, NULL, 0);
    world_close(&world);
}

/* No reply after the dot: pinned, sent again to the same server, marked for good. */
static void test_uncertain(void **state)
{
    static const char *const dropped[] = {
        HELLO,    "C:MAIL",   "S:250 ok", "C:RCPT", "S:250 ok",
        "C:DATA", "S:354 go", "DATA",     "CLOSE",  NULL,
    };
    struct smtp_script *first = smtp_script_start(dropped, 2, NULL);
    struct smtp_script *second = smtp_script_start(good_script, 1, NULL);
    struct spool_delivery delivery;
    struct world world;
    char fax_id[FAX_ID_MAX];
    char log[1000] = "";
    int i;

    (void)state;
    world_open(&world);
    world_start(&world, SETTINGS, servers_for(smtp_script_port(first), smtp_script_port(second), 4),
                "[bypass]\ndefault = allow\n");
    receive_fax(&world, "5552000", fax_id);
    for (i = 0; i < PATIENCE_MS / 5 && strstr(log, "S7 one TCP OK|S7 one uncertain") == NULL; i++) {
        usleep(5000);
        read_log(&world, fax_id, log, sizeof log);
    }
    assert_string_equal(log, "S1 one TCP OK|S7 one uncertain|S7 one TCP OK|S7 one uncertain");
    assert_int_equal(spool_delivery_list(world.spool, fax_id, &delivery, 1), 1);
    assert_true(delivery.uncertain);
    smtp_script_stop(first, NULL, NULL, NULL, 0, NULL, 0);
    dispatch_stop(world.dispatch, 2000);
    /* Back again, the first server is gone: it is still not the second's. */
    world_start(&world, SETTINGS, servers_for(1, smtp_script_port(second), 4),
                "[bypass]\ndefault = allow\n");
    usleep(1500000);
    assert_int_equal(spool_delivery_list(world.spool, fax_id, &delivery, 1), 1);
    assert_int_equal(delivery.state, SPOOL_DUE);
    assert_string_equal(delivery.last_server, "one");
    receive_fax(&world, "900", NULL); /* the second is all right */
    wait_count(&world, 1, 0);
    smtp_script_stop(second, NULL, NULL, NULL, 0, NULL, 0);
    world_close(&world);
}

/* A delivery as a dead process leaves it: composed, claimed, perhaps with a connection made. */
static void leave_claimed(struct world *world, bool connected, char *fax_id)
{
    struct spool_delivery *claimed = calloc(4, sizeof *claimed);
    struct spool_fax *fax = calloc(1, sizeof *fax);
    struct spool_recipient recipient = {"sales@example.com"};
    struct route route = {.name = "sales", .to = {"sales@example.com"}, .to_count = 1};
    struct spool_attempt row = {
        .server = "two", .address = "127.0.0.1:25", .step = "S10", .result = "TCP OK"};
    int64_t bytes = 0;
    char why[100];

    receive_fax(world, "5552000", fax_id);
    assert_int_equal(spool_take_over(world->spool, 10), 1);
    assert_int_equal(spool_fax_get(world->spool, fax_id, fax), 0);
    assert_int_equal(world_compose(world, fax, &route, "x@y", false, &bytes, why, sizeof why), 0);
    assert_int_equal(spool_fax_composed(world->spool, fax_id, "sales", "x@y", "op@example.com",
                                        bytes, &recipient, 1, clock_wall_ms()),
                     0);
    assert_int_equal(spool_claim(world->spool, clock_wall_ms(), 60000, claimed, 1), 1);
    row.delivery_id = claimed[0].id;
    if (connected)
        assert_int_equal(spool_attempt_add(world->spool, &row), 0);
    free(claimed);
    free(fax);
}

/* What was being sent at a crash is uncertain and stays with its server; what only waited for a
 * worker is not. */
static void test_crash(void **state)
{
    struct smtp_script *first = smtp_script_start(good_script, 1, NULL);
    struct smtp_script *second = smtp_script_start(good_script, 1, NULL);
    struct world world;
    char connected[FAX_ID_MAX];
    char waiting[FAX_ID_MAX];

    (void)state;
    world_open(&world);
    leave_claimed(&world, true, connected);
    leave_claimed(&world, false, waiting);
    spool_close(world.spool);
    assert_int_equal(spool_open(&world.spool, world.state_dir, SPOOL_OWN), 0);
    world_start(&world, SETTINGS, servers_for(smtp_script_port(first), smtp_script_port(second), 4),
                "[bypass]\ndefault = allow\n");
    wait_count(&world, 2, 0);
    expect_log(&world, connected, "S10 two TCP OK|S5 two uncertain|S7 two TCP OK|S4 two SMTP OK");
    expect_log(&world, waiting, "S1 one TCP OK|S4 one SMTP OK");
    smtp_script_stop(first, NULL, NULL, NULL, 0, NULL, 0);
    smtp_script_stop(second, NULL, NULL, NULL, 0, NULL, 0);
    world_close(&world);
}

/* The process died between the filing and its record, and somebody read the mail meanwhile: it is
 * not filed a second time. */
static void test_crash_after_filing(void **state)
{
    struct world world;
    struct spool_delivery delivery;
    char fax_id[FAX_ID_MAX];
    char from[400];
    char to[400];

    (void)state;
    world_open(&world);
    leave_claimed(&world, false, fax_id);
    assert_int_equal(spool_delivery_list(world.spool, fax_id, &delivery, 1), 1);
    assert_int_equal(mailbox_deliver(world.state_dir, delivery.recipient, fax_id,
                                     delivery.message_path, false, NULL),
                     0);
    snprintf(from, sizeof from, "%s/mailbox/%s/new/%s.faxpost", world.state_dir, delivery.recipient,
             fax_id);
    snprintf(to, sizeof to, "%s/mailbox/%s/cur/%s.faxpost:2,S", world.state_dir, delivery.recipient,
             fax_id);
    assert_int_equal(rename(from, to), 0);
    spool_close(world.spool);
    assert_int_equal(spool_open(&world.spool, world.state_dir, SPOOL_OWN), 0);
    world_start(&world, SETTINGS, NULL, NULL);
    wait_count(&world, 1, 0);
    assert_int_equal(count_mails(&world, "sales@example.com"), 0);
    world_close(&world);
}

/* S13: after the last round that is not warned of there is a copy, and the delivery stays due. */
static void test_warning(void **state)
{
    struct spool_delivery delivery;
    struct world world;
    char fax_id[FAX_ID_MAX];
    int i;

    (void)state;
    world_open(&world);
    world_start(&world, SETTINGS_BUT("[retry]\nwait = 1s\nlimit = 2\n[mail]\nmailbox = no\n"),
                servers_for(1, 0, 4), NULL);
    receive_fax(&world, "5552000", fax_id);
    for (i = 0; i < PATIENCE_MS / 5 && count_mails(&world, "sales@example.com") == 0; i++)
        usleep(5000);
    assert_int_equal(count_mails(&world, "sales@example.com"), 1);
    usleep(100000);
    assert_int_equal(spool_delivery_list(world.spool, fax_id, &delivery, 1), 1);
    assert_int_equal(delivery.state, SPOOL_DUE);
    world_close(&world);
}

/* Three failures, then plain; the fax is never lost. */
static void test_compose_failures(void **state)
{
    struct world world;
    char fax_id[FAX_ID_MAX];

    (void)state;
    world_open(&world);
    atomic_store(&world.compose_failures, 3);
    receive_fax(&world, "5552000", fax_id);
    world_start(&world, SETTINGS, NULL, NULL);
    wait_count(&world, 1, 0);
    assert_int_equal(atomic_load(&world.plain), 1);
    assert_int_equal(atomic_load(&world.composed), 0);
    world_close(&world);
}

/* A full disk is no fault of the fax: it does not become a plain mail for it. */
static void test_compose_full(void **state)
{
    struct world world;

    (void)state;
    world_open(&world);
    atomic_store(&world.compose_failures, 4);
    atomic_store(&world.compose_error, ERROR_FULL);
    receive_fax(&world, "5552000", NULL);
    world_start(&world, SETTINGS_BUT("[retry]\nwait = 100ms\n"), NULL, NULL);
    wait_count(&world, 1, 0);
    assert_int_equal(atomic_load(&world.plain), 0);
    assert_int_equal(atomic_load(&world.composed), 1);
    world_close(&world);
}

/* A wait that began before the clock was set back by a year does not last a year. */
static void test_clock_set_back(void **state)
{
    struct smtp_script *server = smtp_script_start(good_script, 1, NULL);
    struct world world;
    struct spool_delivery got;
    char fax_id[FAX_ID_MAX];
    const int64_t year_ms = INT64_C(365) * 86400 * 1000;
    struct spool_result later = {.state = SPOOL_DUE, .due_ms = clock_wall_ms() + year_ms};

    (void)state;
    world_open(&world);
    receive_fax(&world, "5552000", fax_id);
    world_start(&world, SETTINGS, servers_for(1, 0, 1), NULL);
    while (spool_delivery_list(world.spool, fax_id, &got, 1) < 1 || got.state != SPOOL_DUE)
        usleep(5000);
    dispatch_stop(world.dispatch, 2000);
    assert_int_equal(spool_claim(world.spool, INT64_MAX / 2, 1, &got, 1), 1);
    later.delivery_id = got.id;
    assert_int_equal(spool_finish(world.spool, &later), 0);
    world_start(&world, SETTINGS, servers_for(smtp_script_port(server), 0, 1), NULL);
    wait_count(&world, 1, 0);
    smtp_script_stop(server, NULL, NULL, NULL, 0, NULL, 0);
    world_close(&world);
}

static void test_check(void **state)
{
    struct conf *faxpost = parse(SETTINGS, "faxpost.ini", conf_keys_faxpost);
    struct conf *servers =
        parse("[server one]\nrank = 1\nhost = a\nauth = plain\nuser = u\npassword_file = /none\n",
              "servers.ini", conf_keys_servers);

    (void)state;
    assert_int_equal(dispatch_check(faxpost, NULL, NULL, NULL, NULL), 0);
    assert_int_equal(dispatch_check(faxpost, servers, NULL, NULL, NULL), ERROR_CONFIG);
    conf_free(faxpost);
    conf_free(servers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mailbox_only),       cmocka_unit_test(test_sent),
        cmocka_unit_test(test_failover),           cmocka_unit_test(test_classes),
        cmocka_unit_test(test_uncertain),          cmocka_unit_test(test_crash),
        cmocka_unit_test(test_crash_after_filing), cmocka_unit_test(test_warning),
        cmocka_unit_test(test_compose_failures),   cmocka_unit_test(test_compose_full),
        cmocka_unit_test(test_clock_set_back),     cmocka_unit_test(test_check),
    };

    log_open("test", getenv("VERBOSE") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ALERT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
