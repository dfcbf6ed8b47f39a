/* SPDX-License-Identifier: MIT */
/*
 * test_dispatch_many.c - many faxes at once: who gets which connection, what goes through one, and
 * the dispatcher stopped and given new settings among them.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "test/unit/dispatch_rig.h"

/* More faxes than workers, more workers than connections: each mail once. */
static void test_many(void **state)
{
    enum { FAXES = 60 };
    struct smtp_script *server = smtp_script_start(any_script, SMTP_SCRIPT_ANY, NULL);
    struct world world;
    char complaint[200];
    int mails;
    int recipients;
    int connections;
    int i;

    (void)state;
    world_open(&world);
    for (i = 0; i < FAXES / 2; i++)
        receive_fax(&world, "5552000", NULL);
    world_start(&world, SETTINGS "[mail]\nmailbox = yes\n",
                servers_for(smtp_script_port(server), 0, 1), NULL);
    for (i = 0; i < FAXES / 2; i++)
        receive_fax(&world, "5552000", NULL);
    wait_count(&world, FAXES, 0);
    assert_int_equal(count_mails(&world, "sales@example.com"), FAXES);
    smtp_script_counts(server, &mails, &recipients, &connections);
    assert_int_equal(mails, FAXES);
    /* how many are shared depends on how fast they come; test_shared has them all at once */
    assert_in_range(connections, 2, FAXES);
    smtp_script_stop(server, NULL, NULL, complaint, sizeof complaint, NULL, 0);
    assert_string_equal(complaint, "");
    world_close(&world);
}

#define SETTINGS_PATIENT SETTINGS_OF("[retry]\nwait = 1s\n", "6", "60s")

/* A listener of the test's own: how many come, and what they hear, is for the test to say. */
static int open_listener(int *out_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 32), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *out_port = ntohs(address.sin_port);
    return fd;
}

/* The next connection, or -1 when none comes for so long. */
static int next_connection(int listener, int wait_ms)
{
    struct pollfd poll_fd = {.fd = listener, .events = POLLIN};

    return poll(&poll_fd, 1, wait_ms) > 0 ? accept(listener, NULL, NULL) : -1;
}

/* A server that has not said a word holds one worker; once it greets, all connections are used. */
static void test_silent_at_first(void **state)
{
    struct dispatch_status status;
    struct world world;
    int connection[4];
    int listener;
    int port;
    int i;

    (void)state;
    listener = open_listener(&port);
    world_open(&world);
    for (i = 0; i < 8; i++)
        receive_fax(&world, "5552000", NULL);
    world_start(&world, SETTINGS_PATIENT, servers_for(port, 0, 4), NULL);
    connection[0] = next_connection(listener, PATIENCE_MS);
    assert_true(connection[0] >= 0);
    for (i = 0; i < PATIENCE_MS / 5; i++) { /* the others are parked: no worker is on them */
        dispatch_status(world.dispatch, &status);
        if (status.queued == 7 && status.workers_busy == 1)
            break;
        usleep(5000);
    }
    assert_int_equal(status.workers_busy, 1);
    assert_int_equal(next_connection(listener, 300), -1);
    assert_int_equal(status.server[0].connections, 1);
    assert_int_equal(send(connection[0], "220 x\r\n", 7, MSG_NOSIGNAL), 7);
    for (i = 1; i < 4; i++) { /* while the first goes no further */
        connection[i] = next_connection(listener, PATIENCE_MS);
        assert_true(connection[i] >= 0);
    }
    assert_int_equal(next_connection(listener, 300), -1);
    dispatch_stop(world.dispatch, 100);
    world.dispatch = NULL;
    for (i = 0; i < 4; i++)
        close(connection[i]);
    close(listener);
    world_close(&world);
}

/* It stays silent: one delivery has waited for it, the others go by the next without a try. */
static void test_silent(void **state)
{
    struct smtp_script *second = smtp_script_start(any_script, SMTP_SCRIPT_ANY, NULL);
    struct spool_attempt *rows = calloc(50, sizeof *rows);
    struct world world;
    int connection;
    int listener;
    int port;
    int i;

    (void)state;
    listener = open_listener(&port);
    world_open(&world);
    for (i = 0; i < 8; i++)
        receive_fax(&world, "5552000", NULL);
    world_start(&world, SETTINGS_PATIENT, servers_for(port, smtp_script_port(second), 4),
                "[bypass]\ndefault = allow\n");
    connection = next_connection(listener, PATIENCE_MS);
    assert_true(connection >= 0);
    assert_int_equal(next_connection(listener, 200), -1);
    close(connection); /* without a greeting */
    wait_count(&world, 8, 0);
    assert_int_equal(spool_attempt_list(world.spool, 0, NULL, "one", rows, 50), 2);
    assert_string_equal(rows[0].result, "TCP OK");
    assert_string_equal(rows[1].result, "temporary error");
    assert_string_equal(rows[1].step, "S7");
    free(rows);
    close(listener);
    smtp_script_stop(second, NULL, NULL, NULL, 0, NULL, 0);
    world_close(&world);
}

/* As long as a job is in our hands nobody else can have its delivery, whatever the clock says. */
static void test_claimed_once(void **state)
{
    static const char *const slow[] = {"SLEEP 300", "HANG", NULL};
    struct smtp_script *silent = smtp_script_start(slow, 1, NULL);
    struct spool_delivery again[2];
    struct spool_counts counts;
    struct world world;
    const int64_t year_ms = INT64_C(365) * 86400 * 1000;
    int i;

    (void)state;
    world_open(&world);
    world_start(&world, SETTINGS, servers_for(smtp_script_port(silent), 0, 1), NULL);
    receive_fax(&world, "5553000", NULL); /* two recipients, one connection: one is parked */
    for (i = 0; i < PATIENCE_MS / 5; i++) {
        assert_int_equal(spool_count(world.spool, &counts), 0);
        if (counts.sending == 2)
            break;
        usleep(5000);
    }
    assert_int_equal(counts.sending, 2);
    assert_int_equal(spool_claim(world.spool, clock_wall_ms() + year_ms, 1000, again, 2), 0);
    dispatch_stop(world.dispatch, 100);
    world.dispatch = NULL;
    smtp_script_stop(silent, NULL, NULL, NULL, 0, NULL, 0);
    world_close(&world);
}

#define ONE "C:MAIL", "S:250 ok", "C:RCPT", "S:250 ok", "C:DATA", "S:354 go", "DATA"
#define TWO "C:MAIL", "S:250 ok", "C:RCPT TO:<a", "S:250 ok", "C:RCPT TO:<b"
#define BYE "C:QUIT", "S:221 bye", "CLOSE"

/* Faxes that are there before the dispatcher begins, by one worker, and what their logs say. */
static const struct shared_row {
    const char *name;
    const char *called;
    int faxes;
    const char *first[60]; /* scripts of the first connection, and of the second */
    const char *second[40];
    int64_t done, failed;
    const char *log[3]; /* by fax, each delivery's rows after the other's */
} shared_rows[] = {
    {"three by one connection",
     "5552000",
     3,
     {HELLO, ONE, "S:250 1", ONE, "S:250 2", ONE, "S:250 3", BYE, NULL},
     {NULL},
     3,
     0,
     {"S1 one TCP OK|S4 one SMTP OK", "S4 one SMTP OK", "S4 one SMTP OK"}},
    {"421 after the first",
     "5552000",
     3,
     {HELLO, ONE, "S:250 1", "S:421 4.3.2 enough", "HANG", NULL},
     {HELLO, ONE, "S:250 2", ONE, "S:250 3", BYE, NULL},
     3,
     0,
     {"S1 one TCP OK|S4 one SMTP OK", "S1 one TCP OK|S4 one SMTP OK", "S4 one SMTP OK"}},
    {"dropped after the first",
     "5552000",
     2,
     {HELLO, ONE, "S:250 1", "C:MAIL", "CLOSE", NULL},
     {HELLO, ONE, "S:250 2", BYE, NULL},
     2,
     0,
     {"S1 one TCP OK|S4 one SMTP OK", "S1 one TCP OK|S4 one SMTP OK"}},
    {"the second refused",
     "5552000",
     3,
     {HELLO, ONE, "S:250 1", "C:MAIL", "S:250 ok", "C:RCPT", "S:550 5.1.1 no", "C:DATA", "S:554 x",
      BYE, NULL},
     {HELLO, ONE, "S:250 3", BYE, NULL},
     2,
     1,
     {"S1 one TCP OK|S4 one SMTP OK", "S6 one destination error", "S1 one TCP OK|S4 one SMTP OK"}},
    {"dropped after the dot of the second",
     "5552000",
     2,
     {HELLO, ONE, "S:250 1", ONE, "CLOSE", NULL},
     {HELLO, ONE, "S:250 2", BYE, NULL},
     2,
     0,
     {"S1 one TCP OK|S4 one SMTP OK", "S7 one uncertain|S7 one TCP OK|S4 one SMTP OK"}},
    {"two recipients in one transaction",
     "5553000",
     1,
     {HELLO, TWO, "S:250 ok", "C:DATA", "S:354 go", "DATA", "S:250 1", BYE, NULL},
     {NULL},
     2,
     0,
     {"S1 one TCP OK|S4 one SMTP OK|S4 one SMTP OK"}},
    {"one of two refused",
     "5553000",
     1,
     {HELLO, TWO, "S:550 5.1.1 no such user", "C:DATA", "S:354 go", "DATA", "S:250 1", BYE, NULL},
     {NULL},
     1,
     1,
     {"S1 one TCP OK|S6 one destination error|S4 one SMTP OK"}},
    {"452 4.5.3 on the second",
     "5553000",
     1,
     {HELLO, TWO, "S:452 4.5.3 too many", "C:DATA", "S:354 go", "DATA", "S:250 1", "C:MAIL",
      "S:250 ok", "C:RCPT TO:<b", "S:250 ok", "C:DATA", "S:354 go", "DATA", "S:250 2", BYE, NULL},
     {NULL},
     2,
     0,
     {"S1 one TCP OK|S10 one further transaction|S4 one SMTP OK|S4 one SMTP OK"}},
};

/* Composed and due before the dispatcher begins: all of them are claimed at once. */
static void leave_due(struct world *world, const char *called, char *fax_id)
{
    struct spool_fax *fax = calloc(1, sizeof *fax);
    struct spool_recipient recipients[2] = {{"a@example.com"}, {"b@example.com"}};
    struct route route = {.name = "both", .to = {"a@example.com"}, .to_count = 1};
    int count = strcmp(called, "5553000") == 0 ? 2 : 1;
    int64_t bytes = 0;
    char why[100];

    receive_fax(world, called, fax_id);
    assert_int_equal(spool_take_over(world->spool, 10), 1);
    assert_int_equal(spool_fax_get(world->spool, fax_id, fax), 0);
    assert_int_equal(world_compose(world, fax, &route, fax_id, false, &bytes, why, sizeof why), 0);
    assert_int_equal(spool_fax_composed(world->spool, fax_id, "both", fax_id, "op@example.com",
                                        bytes, recipients, count, clock_wall_ms()),
                     0);
    free(fax);
}

static void test_shared(void **state)
{
    size_t r;

    (void)state;
    for (r = 0; r < sizeof shared_rows / sizeof shared_rows[0]; r++) {
        const struct shared_row *row = &shared_rows[r];
        struct smtp_script *server = smtp_script_start_two(row->first, row->second);
        struct world world;
        char fax_id[3][FAX_ID_MAX];
        char complaint[200];
        char log[1000];
        int i;

        print_message("  %s\n", row->name);
        world_open(&world);
        for (i = 0; i < row->faxes; i++)
            leave_due(&world, row->called, fax_id[i]);
        world_start(&world, SETTINGS_FOR("[retry]\nwait = 1s\n[mail]\nmailbox = no\n", "1"),
                    servers_for(smtp_script_port(server), 0, 4), NULL);
        wait_count(&world, row->done, row->failed);
        smtp_script_stop(server, NULL, NULL, complaint, sizeof complaint, NULL, 0);
        assert_string_equal(complaint, "");
        for (i = 0; i < row->faxes; i++) {
            read_log(&world, fax_id[i], log, sizeof log);
            assert_string_equal(log, row->log[i]);
        }
        world_close(&world);
    }
}

/* The counts, a moment later; who waits for some has the time limit of the program. */
static void look(struct world *world, struct spool_counts *counts)
{
    usleep(10000);
    assert_int_equal(spool_count(world->spool, counts), 0);
}

/* A stop in the middle: nothing half done, all of it goes out afterwards, nothing twice. */
static void test_stop_and_go_on(void **state)
{
    static const char *const slow[] = {"SLEEP 300", "HANG", NULL};
    struct smtp_script *silent = smtp_script_start(slow, 1, NULL);
    struct smtp_script *server;
    struct spool_counts counts;
    struct world world;
    int64_t begin_ms;

    (void)state;
    world_open(&world);
    world_start(&world, SETTINGS, servers_for(smtp_script_port(silent), 0, 1), NULL);
    receive_fax(&world, "5552000", NULL);
    receive_fax(&world, "5552000", NULL);
    do
        look(&world, &counts);
    while (counts.sending == 0 || counts.sending + counts.due < 2);
    begin_ms = clock_monotonic_ms();
    dispatch_stop(world.dispatch, 100);
    assert_true(clock_monotonic_ms() - begin_ms < 4500); /* the greeting's time is 5 s */
    smtp_script_stop(silent, NULL, NULL, NULL, 0, NULL, 0);
    assert_int_equal(spool_count(world.spool, &counts), 0);
    assert_int_equal(counts.due, 2);
    assert_int_equal(counts.sending, 0);
    server = smtp_script_start(good_script, 2, NULL);
    world_start(&world, SETTINGS, servers_for(smtp_script_port(server), 0, 1), NULL);
    wait_count(&world, 2, 0);
    smtp_script_stop(server, NULL, NULL, NULL, 0, NULL, 0);
    world_close(&world);
}

/* New tables make what waits due; a bad file changes nothing; the list emptied: it waits. */
static void test_reload(void **state)
{
    struct smtp_script *server = smtp_script_start(good_script, 1, NULL);
    struct conf *faxpost = parse(SETTINGS, "faxpost.ini", conf_keys_faxpost);
    struct conf *bad = parse("[server one]\nrank = 1\nhost = a b\n", "s", conf_keys_servers);
    struct conf *none = parse("# none\n", "s", conf_keys_servers);
    struct conf *good = parse(servers_for(smtp_script_port(server), 0, 4), "s", conf_keys_servers);
    struct world world;
    char fax_id[FAX_ID_MAX];
    char log[1000];
    struct spool_counts counts;

    (void)state;
    world_open(&world);
    world_start(&world, SETTINGS "[mail]\nmailbox = no\n", servers_for(1, 0, 4), NULL);
    receive_fax(&world, "5552000", fax_id);
    do {
        look(&world, &counts);
        read_log(&world, fax_id, log, sizeof log);
    } while (counts.due == 0 || log[0] == '\0'); /* it failed once, and waits */
    assert_int_equal(dispatch_reload(world.dispatch, faxpost, bad, NULL), ERROR_CONFIG);
    assert_int_equal(dispatch_reload(world.dispatch, faxpost, none, NULL), 0);
    usleep(300000);
    look(&world, &counts);
    assert_int_equal(counts.due, 1);
    assert_int_equal(dispatch_reload(world.dispatch, faxpost, good, NULL), 0);
    wait_count(&world, 1, 0);
    smtp_script_stop(server, NULL, NULL, NULL, 0, NULL, 0);
    conf_free(faxpost);
    conf_free(bad);
    conf_free(none);
    conf_free(good);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many),   cmocka_unit_test(test_silent_at_first),
        cmocka_unit_test(test_silent), cmocka_unit_test(test_claimed_once),
        cmocka_unit_test(test_shared), cmocka_unit_test(test_stop_and_go_on),
        cmocka_unit_test(test_reload),
    };

    log_open("test", getenv("VERBOSE") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ALERT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
