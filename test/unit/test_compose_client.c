/* SPDX-License-Identifier: MIT */
/*
 * test_compose_client.c - asking compose: an answer, a refusal, a death, and a new socket.
 */
#include <pthread.h>
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

#include "base/error.h"
#include "base/text.h"
#include "base/thread.h"
#include "message/message.h"
#include "src/compose_client.h"

/* The far end of a socket: takes one request and answers with `reply`; NULL: dies over it. */
struct far {
    int fd;
    const char *reply;
    struct message_request request;
    int error;
    pthread_t thread;
};

static void *far_run(void *arg)
{
    struct far *far = arg;
    static char text[MESSAGE_REQUEST_MAX];
    ssize_t n = recv(far->fd, text, sizeof text, 0);

    far->error = n > 0 ? message_request_parse(&far->request, text, (size_t)n) : ERROR_CLOSED;
    if (n > 0 && far->reply != NULL)
        send(far->fd, far->reply, strlen(far->reply), MSG_NOSIGNAL);
    close(far->fd);
    return NULL;
}

static void far_start(struct far *far, struct compose_client *client, const char *reply)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    *far = (struct far){.fd = pair[0], .reply = reply};
    assert_int_equal(thread_start(&far->thread, "far", far_run, far), 0);
    compose_client_socket(client, pair[1]);
}

static void stuck(void)
{
}

static int ask(struct compose_client *client, int64_t *bytes, char *why, size_t why_size)
{
    static struct spool_fax fax; /* large */
    struct route route = {.to = {"a@example.com", "b@example.com"}, .to_count = 2};

    text_copy(route.name, sizeof route.name, "sales");
    route.attach = ROUTE_ATTACH_BOTH;
    text_copy(fax.folder, sizeof fax.folder, "/state/fax/x");
    text_copy(fax.call.fax_id, sizeof fax.call.fax_id, "20261121T101530123-k7f3a9c2d1e4");
    text_copy(fax.call.password, sizeof fax.call.password, "4711");
    return compose_client_ask(client, &fax, &route, "x@fax.example.com", true, bytes, why,
                              why_size);
}

static struct settings *settings_of(const char *text)
{
    char *parts[SETTINGS_FILES] = {strdup(text)};
    struct settings *settings;

    assert_int_equal(settings_from_parts(&settings, parts), 0);
    free(parts[0]);
    return settings;
}

static void test_asking(void **state)
{
    struct settings *settings = settings_of("[gateway]\nhostname = fax.example.com\n"
                                            "[mail]\nsubject = the subject\n");
    struct compose_client *client;
    static struct far far; /* large */
    int64_t bytes = 0;
    char why[300] = "";

    (void)state;
    assert_int_equal(compose_client_new(&client, settings, stuck), 0);
    settings_free(settings);

    far_start(&far, client, "{\"ok\": true, \"bytes\": 4711, \"pages\": 2, \"unreadable\": 0}");
    assert_int_equal(ask(client, &bytes, why, sizeof why), 0);
    thread_join(far.thread);
    assert_int_equal(bytes, 4711);
    assert_int_equal(far.error, 0);
    assert_string_equal(far.request.folder, "/state/fax/x");
    assert_string_equal(far.request.subject, "the subject");
    assert_string_equal(far.request.hostname, "fax.example.com");
    assert_string_equal(far.request.message_id, "x@fax.example.com");
    assert_string_equal(far.request.route, "sales");
    assert_int_equal(far.request.to_count, 2);
    assert_string_equal(far.request.to[1], "b@example.com");
    assert_int_equal(far.request.attach, MESSAGE_ATTACH_BOTH);
    assert_true(far.request.plain);
    assert_string_equal(far.request.call.password, "");

    /* That socket is dead: the next question finds out, the one after has a new one. */
    assert_int_equal(ask(client, &bytes, why, sizeof why), ERROR_CLOSED);
    assert_non_null(strstr(why, "died"));
    far_start(&far, client, "{\"ok\": false, \"error\": -3, \"why\": \"the disk is full\"}");
    assert_int_equal(ask(client, &bytes, why, sizeof why), ERROR_FULL);
    assert_string_equal(why, "the disk is full");
    thread_join(far.thread);

    far_start(&far, client, NULL);
    assert_int_equal(ask(client, &bytes, why, sizeof why), ERROR_CLOSED);
    thread_join(far.thread);

    far_start(&far, client, "nonsense");
    assert_int_equal(ask(client, &bytes, why, sizeof why), ERROR_FORMAT);
    thread_join(far.thread);
    assert_int_equal(bytes, 4711);
    compose_client_free(client);
}

static void *close_later(void *arg)
{
    usleep(100000);
    compose_client_close(arg);
    return NULL;
}

static void test_end_while_waiting(void **state)
{
    struct settings *settings = settings_of("");
    struct compose_client *client;
    pthread_t thread;
    int64_t bytes;
    char why[300];

    (void)state;
    assert_int_equal(compose_client_new(&client, settings, stuck), 0);
    assert_int_equal(thread_start(&thread, "close", close_later, client), 0);
    assert_int_equal(ask(client, &bytes, why, sizeof why), ERROR_STATE);
    assert_non_null(strstr(why, "not running"));
    thread_join(thread);
    compose_client_free(client);
    settings_free(settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_asking),
        cmocka_unit_test(test_end_while_waiting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
