/* SPDX-License-Identifier: MIT */
/*
 * test_submit_curl.c - libcurl with TLS from the first octet, and XOAUTH2, against a server that
 * fails on demand. Rows run some at a time, each with a server and a client of its own.
 */
#include "smtp/submit.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "smtp/connect.h"
#include "smtp/login.h"
#include "test/unit/smtp_script.h"
#include "test/unit/submit_rig.h"

#define OPEN  "TLS good", GREET
#define OAUTH OPEN, "S:250-fake", "S:250 AUTH LOGIN XOAUTH2"
#define START "S:220 fake", "C:EHLO", "S:250-fake", "S:250 STARTTLS", "C:STARTTLS", "S:220 go"
/* "user=user^Aauth=Bearer first-token^A^A" */
#define FIRST  "C:AUTH XOAUTH2 dXNlcj11c2VyAWF1dGg9QmVhcmVyIGZpcnN0LXRva2VuAQE="
#define SECOND "C:AUTH XOAUTH2 dXNlcj11c2VyAWF1dGg9QmVhcmVyIHNlY29uZC10b2tlbgEB"

/* clang-format off */
static const struct submit_row rows[] = {
    {"by name", {"TLS good", HELLO, MAIL, RCPT, DATA_, "S:250 ok", BYE, NULL}, OK_, 250, "250 ok", GOOD,
     .host = "localhost"},
    {"two recipients", {"TLS good", HELLO, MAIL, RCPT, "C:RCPT TO:<b@example.com>", "S:250 b", DATA_,
     "S:250 ok", BYE, NULL}, OK_, 250, "250 ok", GOOD, .two = true},
    {"CHUNKING and PIPELINING are not used", {OPEN, "S:250-fake", "S:250-CHUNKING",
     "S:250 PIPELINING", MAIL, RCPT, DATA_, "S:250 ok", BYE, NULL}, OK_, 250, "250 ok", GOOD},

    {"a megabyte", {OPEN, "MEGA", "HANG", NULL}, STAGE_EHLO, EVENT_TIMEOUT, 0, "",
     .class = FAILURE_TEMPORARY, .any_event = true},
    {"550 on RCPT", {"TLS good", HELLO, MAIL, "C:RCPT", "S:550 5.1.1 no such user", "HANG", NULL},
     STAGE_RCPT, EVENT_REPLY, 550, "550 5.1.1 no such user", .class = FAILURE_DESTINATION},
    {"450 on all RCPT", {"TLS good", HELLO, MAIL, "C:RCPT", "S:450 4.2.0 grey", "C:RCPT", "S:450 4.2.0 grey",
     "HANG", NULL}, STAGE_RCPT, EVENT_REPLY, 450, "450 4.2.0 grey", .class = FAILURE_TEMPORARY,
     .two = true},
    {"one of two refused", {"TLS good", HELLO, MAIL, "C:RCPT TO:<a", "S:550 5.1.1 no", "C:RCPT TO:<b",
     "S:250 ok", DATA_, "S:250 2.0.0 ok", BYE, NULL},
     STAGE_RCPT, EVENT_REPLY, 550, "550 5.1.1 no", .class = FAILURE_DESTINATION, .two = true,
     .received = true},
    {"too many recipients", {"TLS good", HELLO, MAIL, "C:RCPT", "S:452 4.5.3 too many", "HANG", NULL},
     STAGE_RCPT, EVENT_REPLY, 452, "452 4.5.3", .class = FAILURE_MORE},
    {"relaying denied", {"TLS good", HELLO, MAIL, "C:RCPT", "S:554 5.7.1 Relay access denied", "HANG", NULL},
     STAGE_RCPT, EVENT_REPLY, 554, "Relay", .class = FAILURE_SERVER},
    {"taken before it was sent", {OPEN, "S:250 x", MAIL, RCPT, "C:DATA", "S:354 go", "SOME 50000",
     "S:250 ok", "HANG", NULL}, STAGE_CONTENT, EVENT_LOST, 0, "before the message",
     .class = FAILURE_TEMPORARY, .big = true},
    {"taken together with the 354", {OPEN, "S:250 x", MAIL, RCPT, "C:DATA",
     "R:354 go\r\n250 ok\r\n", "DATA", "HANG", NULL}, STAGE_FINAL, EVENT_LOST, 0,
     "before the message", .class = FAILURE_UNCERTAIN},
    {"reset after the dot", {"TLS good", HELLO, MAIL, RCPT, DATA_, "RESET", NULL},
     STAGE_FINAL, EVENT_LOST, 0, "", .class = FAILURE_UNCERTAIN, .received = true},

    {"a fingerprint", {"TLS self", "S:220 x", "C:EHLO", "S:250 x", MAIL, RCPT, DATA_, "S:250 ok",
     BYE, NULL}, OK_, 250, "250 ok", GOOD, .trust = "self"},
    {"a fingerprint under another name", {"TLS wrong", "S:220 x", "C:EHLO", "S:250 x", MAIL, RCPT,
     DATA_, "S:250 ok", BYE, NULL}, OK_, 250, "250 ok", GOOD, .trust = "wrong"},
    {"another fingerprint", {"TLS good", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0,
     "fingerprint", .class = FAILURE_SERVER, .trust = "self"},
    {"no TLS at all", {"S:220 fake ESMTP", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0,
     "TLS handshake failed", .class = FAILURE_SERVER},
    {"no handshake", {"HANG", NULL}, STAGE_STARTTLS, EVENT_TIMEOUT, 0, "", .class = FAILURE_SERVER},
    {"closed at once", {"CLOSE", NULL}, STAGE_STARTTLS, EVENT_TLS, 0, "", .class = FAILURE_SERVER},
    {"wrong name", {"TLS wrong", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0,
     "certificate: ", .class = FAILURE_SERVER, .host = "localhost"},
    {"wrong address", {"TLS wrong", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0,
     "certificate: IP address mismatch", .class = FAILURE_SERVER},
    {"self-signed", {"TLS self", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0,
     "certificate: self-signed", .class = FAILURE_SERVER},
    {"expired", {"TLS expired", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0,
     "certificate: certificate has expired", .class = FAILURE_SERVER},
    {"unknown authority", {"TLS good", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0,
     "certificate: unable to get local issuer", .class = FAILURE_SERVER, .trust = "none"},

    {"AUTH PLAIN", {OPEN, "S:250-fake", "S:250 AUTH CRAM-MD5 PLAIN LOGIN",
     "C:AUTH PLAIN AHVzZXIAcDRzcyB3b3Jk", "S:235 2.7.0 in", MAIL, RCPT, DATA_, "S:250 ok", BYE,
     NULL}, OK_, 250, "250 ok", GOOD, .auth = SERVER_AUTH_PLAIN},
    {"AUTH but only HELO", {OPEN, "S:502 x", "HANG", NULL}, STAGE_EHLO, EVENT_REPLY, 502, "502 x",
     .class = FAILURE_SERVER, .auth = SERVER_AUTH_PLAIN},

    {"XOAUTH2", {OAUTH, FIRST, "S:235 2.7.0 in", MAIL, RCPT, DATA_, "S:250 ok", BYE, NULL},
     OK_, 250, "250 ok", GOOD, .auth = SERVER_AUTH_XOAUTH2, .token = "token"},
    {"XOAUTH2 by command", {OAUTH, SECOND, "S:235 2.7.0 in", MAIL, RCPT, DATA_, "S:250 ok", BYE,
     NULL}, OK_, 250, "250 ok", GOOD, .auth = SERVER_AUTH_XOAUTH2, .token = "!/bin/echo second-token"},
    {"XOAUTH2 with a long token", {OAUTH, "C:AUTH XOAUTH2", "S:334 ", "C:dXNlcj11c2VyAWF1dGg9",
     "S:235 2.7.0 in", MAIL, RCPT, DATA_, "S:250 ok", BYE, NULL},
     OK_, 250, "250 ok", GOOD, .auth = SERVER_AUTH_XOAUTH2, .token = "long"},
    {"XOAUTH2 after STARTTLS", {START, "TLS good", "C:EHLO", "S:250 AUTH=XOAUTH2",
     "HANG", NULL}, STAGE_AUTH, EVENT_NOT_OFFERED, 0, "does not offer AUTH XOAUTH2",
     .class = FAILURE_SERVER, .auth = SERVER_AUTH_XOAUTH2, .token = "token", .starttls = true},
    {"XOAUTH2 and STARTTLS", {START, "TLS good", "C:EHLO", "S:250-x", "S:250 AUTH XOAUTH2",
     FIRST, "S:235 in", MAIL, RCPT, DATA_, "S:250 ok", BYE, NULL}, OK_, 250, "250 ok", GOOD,
     .auth = SERVER_AUTH_XOAUTH2, .token = "token", .starttls = true, .host = "localhost"},
    {"STARTTLS not offered", {"S:220 x", "C:EHLO", "S:250-x", "S:250 AUTH XOAUTH2", "HANG", NULL},
     STAGE_STARTTLS, EVENT_NOT_OFFERED, 0, "does not offer STARTTLS", .class = FAILURE_SERVER,
     .auth = SERVER_AUTH_XOAUTH2, .token = "token", .starttls = true},
    {"STARTTLS 454", {"S:220 x", "C:EHLO", "S:250-x", "S:250 STARTTLS", "C:STARTTLS",
     "S:454 4.7.0 no", "HANG", NULL}, STAGE_STARTTLS, EVENT_REPLY, 454, "454",
     .class = FAILURE_SERVER, .auth = SERVER_AUTH_XOAUTH2, .token = "token", .starttls = true},
    {"STARTTLS but only HELO", {"S:220 x", "C:EHLO", "S:502 x", "HANG", NULL},
     STAGE_EHLO, EVENT_REPLY, 502, "", .class = FAILURE_SERVER, .auth = SERVER_AUTH_XOAUTH2,
     .token = "token", .starttls = true},
    {"replies put in before TLS", {"S:220 x", "C:EHLO", "S:250-x", "S:250 STARTTLS", "C:STARTTLS",
     "R:220 go\r\n250 x\r\n250 x\r\n", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0, "",
     .class = FAILURE_SERVER, .auth = SERVER_AUTH_XOAUTH2, .token = "token", .starttls = true},
    {"wrong name after STARTTLS", {START, "TLS wrong", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0,
     "certificate: ", .class = FAILURE_SERVER, .auth = SERVER_AUTH_XOAUTH2, .token = "token",
     .starttls = true, .host = "localhost"},
    {"XOAUTH2 535", {OAUTH, FIRST, "S:535 5.7.3 Authentication unsuccessful", "HANG", NULL},
     STAGE_AUTH, EVENT_REPLY, 535, "535 5.7.3", .class = FAILURE_SERVER,
     .auth = SERVER_AUTH_XOAUTH2, .token = "token"},
    {"XOAUTH2 refused by a challenge", {OAUTH, FIRST,
     "S:334 eyJzdGF0dXMiOiI0MDAiLCJzY2hlbWVzIjoiQmVhcmVyIn0=", "HANG", NULL},
     STAGE_AUTH, EVENT_REPLY, 535, "334 {\"status\":\"400\",\"schemes\":\"Bearer\"}",
     .class = FAILURE_SERVER, .auth = SERVER_AUTH_XOAUTH2, .token = "token"},
    {"XOAUTH2 454", {OAUTH, FIRST, "S:454 4.7.0 later", "HANG", NULL},
     STAGE_AUTH, EVENT_REPLY, 454, "454", .class = FAILURE_SERVER,
     .auth = SERVER_AUTH_XOAUTH2, .token = "token"},
    {"XOAUTH2 unanswered", {OAUTH, FIRST, "HANG", NULL}, STAGE_AUTH, EVENT_TIMEOUT, 0, "",
     .class = FAILURE_TEMPORARY, .auth = SERVER_AUTH_XOAUTH2, .token = "token"},
    {"no token file", {"HANG", NULL}, STAGE_AUTH, EVENT_NOT_OFFERED, 0, "token_file",
     .class = FAILURE_SERVER, .auth = SERVER_AUTH_XOAUTH2, .token = "missing"},
    {"a token that is none", {"HANG", NULL}, STAGE_AUTH, EVENT_NOT_OFFERED, 0, "is no token",
     .class = FAILURE_SERVER, .auth = SERVER_AUTH_XOAUTH2, .token = "password"},
    {"a command that fails", {"HANG", NULL}, STAGE_AUTH, EVENT_NOT_OFFERED, 0, "status 1",
     .class = FAILURE_SERVER, .auth = SERVER_AUTH_XOAUTH2, .token = "!/bin/false"},
    {"a command that is not there", {"HANG", NULL}, STAGE_AUTH, EVENT_NOT_OFFERED, 0, "not found",
     .class = FAILURE_SERVER, .auth = SERVER_AUTH_XOAUTH2, .token = "!/nonexistent/x"},
    {"a command without end", {"HANG", NULL}, STAGE_AUTH, EVENT_NOT_OFFERED, 0, "too large",
     .class = FAILURE_SERVER, .auth = SERVER_AUTH_XOAUTH2, .token = "!yes"},
    {"no shell", {"HANG", NULL}, STAGE_AUTH, EVENT_NOT_OFFERED, 0, "is no token",
     .class = FAILURE_SERVER, .auth = SERVER_AUTH_XOAUTH2, .token = "!echo $(id) ; id"},
};
/* clang-format on */

static void test_rows(void **state)
{
    (void)state;
    submit_rig_run(rows, sizeof rows / sizeof rows[0]);
}

/* ---- tokens -----------------------------------------------------------------------------------
 */

/* One sending over a connection of its own. */
static void send_once(struct submit_session *session, const struct server *server,
                      struct submit_result *result)
{
    char address[CONNECT_ADDRESS_MAX];
    struct failure why;
    int fd = connect_open(rig.resolver, "127.0.0.1", server->port, 5000, -1, address, &why);

    assert_true(fd >= 0);
    submit_rig_send(session, fd, "small", 0, "a@example.com", result);
    close(fd);
}

static void write_token(const char *name, const char *token)
{
    int fd = file_open_folder(-100 /* AT_FDCWD */, rig.folder);

    assert_true(fd >= 0);
    assert_int_equal(file_write_atomic(fd, name, token, strlen(token), FILE_NO_SYNC), 0);
    close(fd);
}

/* The token command gives one token for ever and counts how often it ran: a refused one is fetched
 * anew once, and a second refusal is the end of it. */
static void test_command_is_asked_again(void **state)
{
    static const char *const refusal[] = {OAUTH, SECOND, "S:535 5.7.8 expired", "HANG", NULL};
    struct smtp_script *script = smtp_script_start(refusal, 3, rig.folder);
    struct submit_session *session = NULL;
    struct submit_result result;
    struct server server;
    char command[300];
    char why[200];
    struct stat st;

    (void)state;
    write_token("count", "");
    snprintf(command, sizeof command, "#!/bin/sh\necho run >>%s/count\necho second-token\n",
             rig.folder);
    write_token("command", command);
    snprintf(command, sizeof command, "!%s/command", rig.folder);
    snprintf(why, sizeof why, "%s/command", rig.folder);
    assert_int_equal(chmod(why, 0700), 0);
    submit_rig_describe(&server,
                        &(struct submit_row){.auth = SERVER_AUTH_XOAUTH2, .token = command},
                        smtp_script_port(script));
    assert_int_equal(submit_curl.open(&session, &server, why, sizeof why), 0);
    send_once(session, &server, &result);
    assert_int_equal(result.failure.code, 535);
    assert_false(result.again); /* it was fetched for this very mail */
    send_once(session, &server, &result);
    assert_false(result.again);
    send_once(session, &server, &result);
    submit_curl.close(session);
    smtp_script_stop(script, NULL, NULL, why, sizeof why, NULL, 0);
    assert_string_equal(why, "");
    snprintf(command, sizeof command, "%s/count", rig.folder);
    assert_int_equal(stat(command, &st), 0);
    assert_int_equal(st.st_size, 3 * 4);
}

/* A token that is kept is used again; when it is refused, once more is worth it. */
static void test_kept_token_runs_out(void **state)
{
    static const char *const good[] = {OAUTH, SECOND,     "S:235 in", MAIL, RCPT,
                                       DATA_, "S:250 ok", BYE,        NULL};
    static const char *const bad[] = {OAUTH, SECOND, "S:535 5.7.8 expired", "HANG", NULL};
    static const struct {
        const char *const *script;
        bool again;
    } steps[] = {{good, false}, {good, false}, {bad, true},
                 {good, false}, {bad, true},   {bad, false}};
    struct submit_session *session = NULL;
    struct submit_result result;
    struct server server;
    char why[200];
    size_t i;

    (void)state;
    submit_rig_describe(
        &server, &(struct submit_row){.auth = SERVER_AUTH_XOAUTH2, .token = "!echo second-token"},
        1);
    assert_int_equal(submit_curl.open(&session, &server, why, sizeof why), 0);
    for (i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct smtp_script *script = smtp_script_start(steps[i].script, 1, rig.folder);

        server.port = smtp_script_port(script);
        send_once(session, &server, &result);
        smtp_script_stop(script, NULL, NULL, why, sizeof why, NULL, 0);
        assert_string_equal(why, "");
        assert_int_equal(result.failure.event, steps[i].script == good ? EVENT_NONE : EVENT_REPLY);
        assert_int_equal(result.again, steps[i].again);
    }
    submit_curl.close(session);
}

/* The file is replaced while the server refuses what stood in it. */
static void test_token_file_is_refreshed(void **state)
{
    static const char *const refusal[] = {OAUTH, FIRST, "S:535 5.7.8 expired", "HANG", NULL};
    static const char *const good[] = {OAUTH, SECOND,     "S:235 in", MAIL, RCPT,
                                       DATA_, "S:250 ok", BYE,        NULL};
    struct submit_session *session = NULL;
    struct login_token token = {.text = "first-token"};
    struct smtp_script *script;
    struct submit_result result;
    struct server server;
    struct login *login = NULL;
    char why[200];

    (void)state;
    write_token("changing", "first-token\n");
    submit_rig_describe(&server,
                        &(struct submit_row){.auth = SERVER_AUTH_XOAUTH2, .token = "changing"}, 1);
    assert_int_equal(submit_curl.open(&session, &server, why, sizeof why), 0);
    script = smtp_script_start(refusal, 1, rig.folder);
    server.port = smtp_script_port(script);
    send_once(session, &server, &result);
    smtp_script_stop(script, NULL, NULL, why, sizeof why, NULL, 0);
    assert_string_equal(why, "");
    assert_int_equal(result.failure.code, 535);
    assert_false(result.again); /* there is no other one */

    write_token("changing", " second-token \r\nmore\n");
    assert_int_equal(login_new(&login, &server, why, sizeof why), 0);
    assert_true(login_token_refused(login, &token)); /* it was replaced meanwhile */
    assert_int_equal(login_token(login, &token, NULL, NULL, why, sizeof why), 0);
    assert_string_equal(token.text, "second-token");
    assert_false(login_token_refused(login, &token));
    login_free(login);

    script = smtp_script_start(good, 1, rig.folder);
    server.port = smtp_script_port(script);
    send_once(session, &server, &result);
    smtp_script_stop(script, NULL, NULL, why, sizeof why, NULL, 0);
    assert_string_equal(why, "");
    assert_int_equal(result.failure.event, EVENT_NONE);
    submit_curl.close(session);
}

static bool give_up(void *user)
{
    int *asked = user;

    return ++*asked > 2;
}

/* A command that hangs is ended together with what it started. */
static void test_hanging_command(void **state)
{
    struct server server = {.auth = SERVER_AUTH_XOAUTH2};
    struct login_token token;
    struct login *login = NULL;
    int64_t begin_ms = clock_monotonic_ms();
    char why[200];
    int asked = 0;

    (void)state;
    text_copy(server.token_command, sizeof server.token_command, "sleep 100");
    assert_int_equal(login_new(&login, &server, why, sizeof why), 0);
    assert_int_equal(login_token(login, &token, give_up, &asked, why, sizeof why), ERROR_TIMEOUT);
    assert_non_null(strstr(why, "token_command sleep"));
    assert_true(clock_monotonic_ms() - begin_ms < 10000);
    login_free(login);
}

/* Nothing that could become a command of its own is sent. */
static void test_address_with_a_line_end(void **state)
{
    static const char address[] = "a@example.com>\r\nRCPT TO:<b@example.com";
    struct submit_session *session = NULL;
    struct submit_result result;
    struct server server;
    char why[200];

    (void)state;
    submit_rig_describe(&server, &(struct submit_row){.name = "x"}, 1);
    assert_int_equal(submit_curl.open(&session, &server, why, sizeof why), 0);
    submit_rig_send(session, -1, "small", 0, address, &result);
    assert_int_equal(result.local_error, ERROR_FORMAT);
    submit_rig_send(session, -1, "missing", 0, "a@example.com", &result);
    assert_int_equal(result.local_error, ERROR_NOT_FOUND);
    submit_curl.close(session);
}

static int set_up(void **state)
{
    (void)state;
    return submit_rig_open(&submit_curl, SERVER_TLS_IMPLICIT,
                           5000 /* a handshake counts, on a slow machine too */);
}

static int tear_down(void **state)
{
    (void)state;
    return submit_rig_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_command_is_asked_again),
        cmocka_unit_test(test_kept_token_runs_out),
        cmocka_unit_test(test_token_file_is_refreshed),
        cmocka_unit_test(test_hanging_command),
        cmocka_unit_test(test_address_with_a_line_end),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
