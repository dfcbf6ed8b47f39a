/* SPDX-License-Identifier: MIT */
/* Requests as JSON, and the role that answers them over a socket. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/thread.h"
#include "message/compose_loop.h"
#include "test/unit/message_rig.h"

static struct message_request full_request(void)
{
    struct message_request request = {
        .folder = "/var/lib/faxpost/fax/x",
        .route = "sales",
        .to = {"a@example.com", "b@example.com"},
        .to_count = 2,
        .attach = MESSAGE_ATTACH_BOTH,
        .profile = MESSAGE_PROFILE_S,
        .from = "Fax {caller} <f@{hostname}>",
        .subject = "S \"quoted\" {pages}",
        .file_name = "n",
        .hostname = "fax.example.com",
        .message_id = "x@fax.example.com",
        .date_ms = 1795256174123,
        .plain = true,
        .call = {.fax_id = "20261121T101530123-k7f3a9c2d1e4",
                 .line = "trunk",
                 .called = "5552000",
                 .caller = "+15551234",
                 .caller_name = "Köhler",
                 .peer = "192.0.2.1:5060",
                 .station = "ST",
                 .subaddress = "12",
                 .sender = "SID",
                 .own_station = "OWN",
                 .compression = "T.6",
                 .error = "the sender hung up",
                 .started_ms = 1,
                 .answered_ms = 2,
                 .ended_ms = 1795256174123,
                 .bit_rate = 14400,
                 .ecm = true,
                 .pages = 3,
                 .unconfirmed = 1,
                 .media = CALL_MEDIA_T38,
                 .verdict = CALL_DOUBTFUL},
    };

    return request;
}

static void comes_back_as_it_went(void **state)
{
    struct message_request request = full_request();
    struct message_request *back = malloc(sizeof *back);
    char *text, *again;
    size_t length, again_length;

    (void)state;
    memset(back, 0xaa, sizeof *back);
    assert_int_equal(message_request_format(&text, &length, &request), 0);
    assert_int_equal(message_request_parse(back, text, length), 0);
    assert_int_equal(message_request_format(&again, &again_length, back), 0);
    assert_string_equal(text, again);
    assert_string_equal(back->folder, request.folder);
    assert_string_equal(back->to[1], "b@example.com");
    assert_int_equal(back->to_count, 2);
    assert_int_equal(back->attach, MESSAGE_ATTACH_BOTH);
    assert_int_equal(back->profile, MESSAGE_PROFILE_S);
    assert_int_equal(back->date_ms, request.date_ms);
    assert_true(back->plain && back->call.ecm);
    assert_string_equal(back->call.caller_name, "Köhler");
    assert_int_equal(back->call.verdict, CALL_DOUBTFUL);
    assert_int_equal(back->call.ended_ms, request.call.ended_ms);
    assert_int_equal(back->call.pages, 3);
    free(text);
    free(again);
    free(back);
}

static void the_password_stays(void **state)
{
    struct message_request request = full_request();
    char *text;
    size_t length;

    (void)state;
    strcpy(request.call.password, "sesame");
    assert_int_equal(message_request_format(&text, &length, &request), 0);
    assert_null(strstr(text, "sesame"));
    free(text);
}

static void text_that_is_no_utf8_passes(void **state)
{
    struct message_request request = full_request();
    struct message_request *back = malloc(sizeof *back);
    char *text;
    size_t length;

    (void)state;
    strcpy(request.call.caller_name, "K\xf6hler");
    assert_int_equal(message_request_format(&text, &length, &request), 0);
    assert_int_equal(message_request_parse(back, text, length), 0);
    assert_string_equal(back->call.caller_name, "K?hler");
    free(text);
    free(back);
}

static void the_largest_request_fits(void **state)
{
    static struct message_request request;
    char *text;
    size_t length;

    (void)state;
    memset(request.folder, '/', sizeof request.folder - 1);
    memset(request.from, 'x', sizeof request.from - 1);
    memset(request.subject, '"', sizeof request.subject - 1);
    memset(request.hostname, 'x', sizeof request.hostname - 1);
    request.to_count = MESSAGE_TO_MAX;
    for (int i = 0; i < MESSAGE_TO_MAX; i++)
        memset(request.to[i], 'x', MESSAGE_ADDRESS_MAX - 1);
    assert_int_equal(message_request_format(&text, &length, &request), 0);
    assert_true(length < MESSAGE_REQUEST_MAX);
    free(text);
}

static void bad_requests_are_refused(void **state)
{
    static const struct {
        const char *text;
        int expected;
    } rows[] = {
        {"", ERROR_FORMAT},
        {"x", ERROR_FORMAT},
        {"[]", ERROR_FORMAT},
        {"{\"folder\":", ERROR_FORMAT},
        {"{\"folder\":1}", ERROR_FORMAT},
        {"{\"folder\":\"a\\u0000b\"}", ERROR_FORMAT},
        {"{\"folder\":\"a\",\"folder\":\"b\"}", ERROR_FORMAT},
        {"{\"route\":\"0123456789012345678901234567890123456789012345678901234567890123\"}",
         ERROR_LIMIT},
        {"{\"attach\":3}", ERROR_LIMIT},
        {"{\"attach\":-1}", ERROR_LIMIT},
        {"{\"attach\":\"pdf\"}", ERROR_FORMAT},
        {"{\"attach\":1e300}", ERROR_FORMAT},
        {"{\"verdict\":99}", ERROR_LIMIT},
        {"{\"date_ms\":99999999999999999}", ERROR_LIMIT},
        {"{\"plain\":1}", ERROR_FORMAT},
        {"{\"to\":\"a@b\"}", ERROR_FORMAT},
        {"{\"to\":[1]}", ERROR_FORMAT},
        {"{}", 0},
        {"{\"new_key\":[1,2]}", 0},
    };
    struct message_request *request = malloc(sizeof *request);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(message_request_parse(request, rows[i].text, strlen(rows[i].text)),
                         rows[i].expected);
    free(request);
}

static void message_ids(void **state)
{
    static const struct {
        const char *fax_id, *hostname, *expected;
    } rows[] = {
        {"20261121T101530123-k7f3", "h.example", "20261121T101530123-k7f3@h.example"},
        {"a>b c\r\n", "h.example", "a-b-c--@h.example"},
        {"", "h.example", "fax@h.example"},
        {"x", "", "x@localhost"},
        {"x", "bad host>", "x@localhost"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[MESSAGE_ID_MAX];

        message_id_make(out, rows[i].fax_id, rows[i].hostname);
        assert_string_equal(out, rows[i].expected);
    }
}

/* ---- the role ---------------------------------------------------------------------------------
 */

static void *serve(void *arg)
{
    int *fd = arg;
    intptr_t error = compose_serve(*fd);

    close(*fd);
    return (void *)error;
}

static int ask(int fd, const char *text, size_t length, struct message_result *result, char *why)
{
    char reply[COMPOSE_REPLY_MAX];
    ssize_t got;

    assert_int_equal(send(fd, text, length, 0), length);
    got = recv(fd, reply, sizeof reply, 0);
    assert_true(got > 0);
    return compose_reply_parse(result, why, MESSAGE_WHY_MAX, reply, (size_t)got);
}

static void the_role_answers(void **state)
{
    struct message_request request = full_request();
    struct message_result result = {0};
    char why[MESSAGE_WHY_MAX], *text;
    pthread_t thread;
    size_t length;
    int sockets[2];

    (void)state;
    rig_folder_new(request.folder);
    rig_page_write(request.folder, "page-0001.tif",
                   &(struct rig_page){1728, 100, 4, 0, .x = 204, .y = 196});
    request.plain = false;
    request.call.pages = 1;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
    assert_int_equal(thread_start(&thread, "compose", serve, &sockets[1]), 0);

    assert_int_equal(message_request_format(&text, &length, &request), 0);
    assert_int_equal(ask(sockets[0], text, length, &result, why), 0);
    assert_int_equal(result.pages, 1);
    assert_int_equal(result.unreadable, 0);
    assert_true(result.bytes > 1000);
    free(rig_file_read(request.folder, "message.eml", &length));
    assert_int_equal(result.bytes, length);

    assert_int_equal(ask(sockets[0], "nonsense", 8, &result, why), ERROR_FORMAT);
    assert_string_equal(why, "the request cannot be read");
    rig_folder_remove(request.folder);
    length = strlen(text);
    assert_int_equal(ask(sockets[0], text, length, &result, why), ERROR_NOT_FOUND);
    assert_non_null(strstr(why, "cannot be opened"));
    free(text);
    text = calloc(1, MESSAGE_REQUEST_MAX + 500);
    assert_int_equal(ask(sockets[0], text, MESSAGE_REQUEST_MAX + 500, &result, why), ERROR_LIMIT);
    free(text);
    close(sockets[0]);
    {
        void *ended = (void *)1;

        pthread_join(thread, &ended);
        assert_null(ended);
    }
}

/* The deliver role died between its question and the answer: nothing is left of either. */
static void nobody_waits_for_the_answer(void **state)
{
    int sockets[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
    assert_int_equal(send(sockets[0], "nonsense", 8, 0), 8);
    close(sockets[0]);
    assert_int_equal(compose_serve(sockets[1]), 0);
    close(sockets[1]);
}

static void replies_are_checked(void **state)
{
    static const struct {
        const char *text;
        int expected;
    } rows[] = {
        {"{\"ok\":true,\"bytes\":5,\"pages\":1,\"unreadable\":0}", 0},
        {"{\"ok\":false,\"error\":-4,\"why\":\"x\\ny\"}", ERROR_FORMAT},
        {"{\"ok\":false,\"error\":0}", ERROR_FORMAT},
        {"{\"ok\":1}", ERROR_FORMAT},
        {"[]", ERROR_FORMAT},
        {"", ERROR_FORMAT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct message_result result;
        char why[MESSAGE_WHY_MAX] = "";

        assert_int_equal(
            compose_reply_parse(&result, why, sizeof why, rows[i].text, strlen(rows[i].text)),
            rows[i].expected);
        assert_null(strchr(why, '\n'));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_as_it_went),
        cmocka_unit_test(the_password_stays),
        cmocka_unit_test(text_that_is_no_utf8_passes),
        cmocka_unit_test(the_largest_request_fits),
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(message_ids),
        cmocka_unit_test(the_role_answers),
        cmocka_unit_test(nobody_waits_for_the_answer),
        cmocka_unit_test(replies_are_checked),
    };
    int failed;

    message_library_init();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    message_library_end();
    return failed;
}
