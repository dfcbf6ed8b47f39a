/* SPDX-License-Identifier: MIT */
/*
 * test_dispatch.c - from a folder in incoming/ to a server or a mailbox: the dispatcher with its
 * threads, a real spool, and scripted servers.
 */
#include "smtp/dispatch.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
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
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "spool/incoming.h"
#include "test/unit/smtp_script.h"

enum { PATIENCE_MS = 20000 };

#define HELLO "S:220 fake", "C:EHLO", "S:250 fake"
#define GOOD                                                                                       \
    HELLO, "C:MAIL", "S:250 ok", "C:RCPT", "S:250 ok", "C:DATA", "S:354 go", "DATA",               \
        "S:250 2.0.0 queued", "C:QUIT", "S:221 bye", "CLOSE"

static const char *const good_script[] = {GOOD, NULL};
static const char *const any_script[] = {HELLO, "MAILS", NULL};

/* A spool, a dispatcher, and what the compose role is told to do. */
struct world {
    char state_dir[100];
    struct spool *spool;
    struct dispatch *dispatch;
    atomic_int compose_failures; /* of the next calls */
    atomic_int compose_error;    /* theirs; 0: ERROR_LIBRARY */
    atomic_int composed, plain;
};

static int compose(void *user, const struct spool_fax *fax, const struct route *route,
                   const char *message_id, bool plain, int64_t *out_bytes, char *why, size_t size)
{
    struct world *world = user;
    char text[1000];
    int error;
    int fd;

    if (atomic_load(&world->compose_failures) > 0) {
        atomic_fetch_sub(&world->compose_failures, 1);
        text_copy(why, size, "told to fail");
        return atomic_load(&world->compose_error) < 0 ? atomic_load(&world->compose_error)
                                                      : ERROR_LIBRARY;
    }
    atomic_fetch_add(plain ? &world->plain : &world->composed, 1);
    fd = file_open_folder(AT_FDCWD, fax->folder);
    if (fd < 0)
        return fd;
    snprintf(text, sizeof text,
             "From: <op@example.com>\r\nTo: <%s>\r\nSubject: fax %s\r\nMessage-ID: <%s>\r\n"
             "Date: Sat, 21 Nov 2026 10:15:30 +0000\r\n\r\nroute %s\r\n.\r\n",
             route->to[0], fax->call.fax_id, message_id, route->name);
    *out_bytes = (int64_t)strlen(text);
    error = file_write_atomic(fd, "message.eml", text, strlen(text), FILE_DURABLE);
    close(fd);
    return error;
}

static struct conf *parse(const char *text, const char *name, const struct conf_key *keys)
{
    struct conf *conf = NULL;

    assert_int_equal(conf_parse(&conf, text, name, NULL, keys, NULL, NULL), 0);
    return conf;
}

#define SETTINGS_OF(retry, workers, greeting)                                                      \
    "[gateway]\noperator = op@example.com\nhostname = gw.example.com\n"                            \
    "[route sales]\ncalled = 5552*\nto = sales@example.com\n"                                      \
    "[route both]\ncalled = 5553*\nto = a@example.com, b@example.com\n" retry                      \
    "[timeouts]\nconnect = 2s\ngreeting = " greeting "\ncommand = 5s\ndata = 5s\nfinal = 5s\n"     \
    "[limits]\nworkers = " workers "\n[spool]\nmin_free = 0\n"
#define SETTINGS_FOR(retry, workers) SETTINGS_OF(retry, workers, "5s")
#define SETTINGS_BUT(retry)          SETTINGS_FOR(retry, "4")
#define SETTINGS                     SETTINGS_BUT("[retry]\nwait = 1s\n")

static void world_open(struct world *world)
{
    memset(world, 0, sizeof *world);
    snprintf(world->state_dir, sizeof world->state_dir, "/tmp/test_dispatch.XXXXXX");
    assert_non_null(mkdtemp(world->state_dir));
    assert_int_equal(spool_open(&world->spool, world->state_dir, SPOOL_OWN), 0);
}

static void world_start(struct world *world, const char *faxpost, const char *servers,
                        const char *bypass)
{
    struct dispatch_hooks hooks = {.user = world, .compose = compose};
    struct conf *conf[3] = {parse(faxpost, "faxpost.ini", conf_keys_faxpost), NULL, NULL};

    if (servers != NULL)
        conf[1] = parse(servers, "servers.ini", conf_keys_servers);
    if (bypass != NULL)
        conf[2] = parse(bypass, "bypass.ini", conf_keys_bypass);
    assert_int_equal(
        dispatch_start(&world->dispatch, world->spool, conf[0], conf[1], conf[2], &hooks), 0);
    conf_free(conf[0]);
    conf_free(conf[1]);
    conf_free(conf[2]);
}

static void world_close(struct world *world)
{
    char command[200];

    dispatch_stop(world->dispatch, 2000);
    spool_close(world->spool);
    snprintf(command, sizeof command, "rm -rf '%s'", world->state_dir);
    assert_int_equal(system(command), 0);
}

static void receive_fax(struct world *world, const char *called, char *out_id)
{
    struct call_info info = {.verdict = CALL_COMPLETE, .pages = 1};
    struct incoming *incoming = NULL;

    info.started_ms = clock_wall_ms();
    fax_id_new(info.fax_id, info.started_ms);
    text_copy(info.line, sizeof info.line, "trunk");
    text_copy(info.called, sizeof info.called, called);
    assert_int_equal(incoming_new(&incoming, world->state_dir, &info), 0);
    assert_int_equal(incoming_store_page(incoming, 1, "II*\0not a real page", 20), 0);
    assert_int_equal(incoming_write_info(incoming, &info, 1), 0);
    incoming_close(incoming);
    if (out_id != NULL)
        text_copy(out_id, FAX_ID_MAX, info.fax_id);
}

/* Waits until so many deliveries are done, or failed, ... */
static void wait_count(struct world *world, int64_t done, int64_t failed)
{
    int64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
    struct spool_counts counts = {0};

    while (clock_monotonic_ms() < until_ms) {
        assert_int_equal(spool_count(world->spool, &counts), 0);
        if (counts.done == done && counts.failed == failed)
            return;
        usleep(5000);
    }
    fail_msg("done %lld failed %lld due %lld sending %lld taken %lld", (long long)counts.done,
             (long long)counts.failed, (long long)counts.due, (long long)counts.sending,
             (long long)counts.taken);
}

static int count_mails(const struct world *world, const char *recipient)
{
    char path[300];
    struct dirent *entry;
    int count = 0;
    DIR *folder;

    snprintf(path, sizeof path, "%s/mailbox/%s/new", world->state_dir, recipient);
    folder = opendir(path);
    if (folder == NULL)
        return 0;
    while ((entry = readdir(folder)) != NULL)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

/* The transmission log of a fax as "step result|step result|…". */
static void read_log(struct world *world, const char *fax_id, char *out, size_t size)
{
    struct spool_attempt *rows = calloc(50, sizeof *rows);
    int count = spool_attempt_list(world->spool, 0, fax_id, NULL, rows, 50);
    size_t used = 0;
    int i;

    out[0] = '\0';
    for (i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s %s %s", i > 0 ? "|" : "",
                                 rows[i].step, rows[i].server, rows[i].result);
    free(rows);
}

static void expect_log(struct world *world, const char *fax_id, const char *expected)
{
    char log[1000];

    read_log(world, fax_id, log, sizeof log);
    assert_string_equal(log, expected);
}

/* ---- tests ------------------------------------------------------------------------------------
 */

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

static char servers_text[1000];

static const char *servers_for(int one, int two, int connections)
{
    size_t used = (size_t)snprintf(servers_text, sizeof servers_text,
                                   "[server one]\nrank = 1\nhost = 127.0.0.1\nport = %d\n"
                                   "connections = %d\n",
                                   one, connections);

    if (two > 0)
        snprintf(servers_text + used, sizeof servers_text - used,
                 "[server two]\nrank = 2\nhost = 127.0.0.1\nport = %d\n", two);
    return servers_text;
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
    for (i = 0; i < 2000 && strstr(log, "S7 one TCP OK|S7 one uncertain") == NULL; i++) {
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
    assert_int_equal(compose(world, fax, &route, "x@y", false, &bytes, why, sizeof why), 0);
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
    for (i = 0; i < 2000 && count_mails(&world, "sales@example.com") == 0; i++)
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

    (void)state;
    world_open(&world);
    world_start(&world, SETTINGS, servers_for(smtp_script_port(silent), 0, 1), NULL);
    receive_fax(&world, "5553000", NULL); /* two recipients, one connection: one is parked */
    usleep(600000);
    assert_int_equal(spool_count(world.spool, &counts), 0);
    assert_int_equal(counts.sending, 2);
    assert_int_equal(spool_claim(world.spool, clock_wall_ms() + year_ms, 1000, again, 2), 0);
    dispatch_stop(world.dispatch, 100);
    world.dispatch = NULL;
    smtp_script_stop(silent, NULL, NULL, NULL, 0, NULL, 0);
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
    assert_int_equal(compose(world, fax, &route, fax_id, false, &bytes, why, sizeof why), 0);
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
    usleep(600000);
    begin_ms = clock_monotonic_ms();
    dispatch_stop(world.dispatch, 100);
    assert_true(clock_monotonic_ms() - begin_ms < 3000);
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
    struct spool_counts counts;

    (void)state;
    world_open(&world);
    world_start(&world, SETTINGS "[mail]\nmailbox = no\n", servers_for(1, 0, 4), NULL);
    receive_fax(&world, "5552000", fax_id);
    usleep(500000);
    assert_int_equal(dispatch_reload(world.dispatch, faxpost, bad, NULL), ERROR_CONFIG);
    assert_int_equal(dispatch_reload(world.dispatch, faxpost, none, NULL), 0);
    usleep(300000);
    assert_int_equal(spool_count(world.spool, &counts), 0);
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
        cmocka_unit_test(test_mailbox_only),
        cmocka_unit_test(test_sent),
        cmocka_unit_test(test_failover),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_uncertain),
        cmocka_unit_test(test_warning),
        cmocka_unit_test(test_compose_failures),
        cmocka_unit_test(test_compose_full),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_silent_at_first),
        cmocka_unit_test(test_silent),
        cmocka_unit_test(test_shared),
        cmocka_unit_test(test_claimed_once),
        cmocka_unit_test(test_clock_set_back),
        cmocka_unit_test(test_stop_and_go_on),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_crash),
    };

    log_open("test", getenv("VERBOSE") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ALERT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
