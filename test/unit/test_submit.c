/* SPDX-License-Identifier: MIT */
/*
 * test_submit.c - the guarded libesmtp against a server that fails on demand. The rows run some at
 * a time, each with a server and a client of its own, with time-outs of some hundred milliseconds.
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
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "smtp/connect.h"
#include "test/unit/smtp_script.h"
#include "test/unit/submit_rig.h"

#define TLS_ GREET, "S:250-fake", "S:250 STARTTLS", "C:STARTTLS", "S:220 go"

/* clang-format off */
static const struct submit_row rows[] = {
    {"pipelining", {GREET, "S:250-fake", "S:250 PIPELINING", MAIL, "C:RCPT", "C:RCPT", "C:DATA",
     "S:250 a", "S:250 b", "S:354 go", "DATA", "S:250 ok", BYE, NULL},
     OK_, 250, "250 ok", .class = FAILURE_NONE, .two = true, .received = true},
    {"CHUNKING is not used", {GREET, "S:250-fake", "S:250-CHUNKING", "S:250 8BITMIME", MAIL, RCPT,
     DATA_, "S:250 ok", BYE, NULL}, OK_, 250, "250 ok", .class = FAILURE_NONE, .received = true},
    {"CHUNKING in pieces is not used", {GREET, "S:250-fake", "R:250-CHUN", "SLEEP 50",
     "R:KING\r\n250 x\r\n", MAIL, RCPT, DATA_, "S:250 ok", BYE, NULL},
     OK_, 250, "250 ok", .class = FAILURE_NONE, .received = true},
    {"CHUNKING behind blanks is not used", {GREET, "S:250-fake", "S:250-  CHUNKING",
     "S:250 \tCHUNKING", MAIL, RCPT, DATA_, "S:250 ok", BYE, NULL},
     OK_, 250, "250 ok", .class = FAILURE_NONE, .received = true},
    {"CHUNKING behind a CR", {GREET, "S:250-fake", "R:250 \rCHUNKING\r\n", "HANG", NULL},
     STAGE_EHLO, EVENT_LOST, 0, "a CR that ends no line", .class = FAILURE_TEMPORARY},
    {"AUTH of another form is no offer", {GREET, "S:250-fake", "S:250-AUTH\tCRAM-MD5",
     "S:250-  AUTH NTLM", "S:250 AUTH PLAIN", "C:AUTH PLAIN", "S:235 in", MAIL, RCPT, DATA_,
     "S:250 ok", BYE, NULL}, OK_, 250, "250 ok", .class = FAILURE_NONE, .auth = SERVER_AUTH_PLAIN,
     .received = true},
    {"8-bit is announced", {GREET, "S:250-fake", "S:250-8BITMIME", "S:250 x",
     "C:MAIL FROM:<op@example.com> BODY=8BITMIME\r\n", "S:250 ok", RCPT, DATA_, "S:250 ok", BYE,
     NULL}, OK_, 250, "250 ok", .class = FAILURE_NONE, .received = true},
    {"7-bit is not announced", {GREET, "S:250-fake", "S:250-8BITMIME", "S:250 x",
     "C:MAIL FROM:<op@example.com>\r\n", "S:250 ok", RCPT, DATA_, "S:250 ok", BYE,
     NULL}, OK_, 250, "250 ok", .class = FAILURE_NONE, .ascii = true},
    {"8-bit is not announced unasked", {GREET, "S:250-fake", "S:250 x",
     "C:MAIL FROM:<op@example.com>\r\n", "S:250 ok", RCPT, DATA_, "S:250 ok", BYE, NULL},
     OK_, 250, "250 ok", .class = FAILURE_NONE, .received = true},
    {"8-bit, offered in clear only", {GREET, "S:250-fake", "S:250-8BITMIME", "S:250 STARTTLS",
     "C:STARTTLS", "S:220 go", "TLS good", "C:EHLO", "S:250 fake",
     "C:MAIL FROM:<op@example.com>\r\n", "S:250 ok", RCPT, DATA_, "S:250 ok", BYE, NULL},
     OK_, 250, "250 ok", .class = FAILURE_NONE, .received = true, .starttls = true},
    {"8-bit, offered in TLS", {TLS_, "TLS good", "C:EHLO", "S:250-fake", "S:250 8BITMIME",
     "C:MAIL FROM:<op@example.com> BODY=8BITMIME\r\n", "S:250 ok", RCPT, DATA_, "S:250 ok", BYE,
     NULL}, OK_, 250, "250 ok", .class = FAILURE_NONE, .received = true, .starttls = true},

    {"a megabyte", {GREET, "MEGA", "HANG", NULL}, STAGE_EHLO, EVENT_LOST, 0, "line without end",
     .class = FAILURE_TEMPORARY},
    {"550 on RCPT", {HELLO, MAIL, "C:RCPT", "S:550 5.1.1 no such user", "C:DATA",
     "S:554 no valid recipients", "HANG", NULL},
     STAGE_RCPT, EVENT_REPLY, 550, "550 5.1.1 no such user", .class = FAILURE_DESTINATION},
    {"450 on all RCPT", {HELLO, MAIL, "C:RCPT", "S:450 4.2.0 grey", "C:RCPT", "S:450 4.2.0 grey",
     "C:DATA", "S:554 no valid recipients", "HANG", NULL},
     STAGE_RCPT, EVENT_REPLY, 450, "450 4.2.0 grey", .class = FAILURE_TEMPORARY, .two = true},
    {"354 without recipients", {HELLO, MAIL, "C:RCPT", "S:550 no", "C:DATA", "S:354 go", "C:.",
     "S:554 no valid recipients", "HANG", NULL},
     STAGE_RCPT, EVENT_REPLY, 550, "550 no", .class = FAILURE_DESTINATION},
    {"too many recipients", {HELLO, MAIL, "C:RCPT", "S:452 4.5.3 too many", "C:DATA", "S:554 x",
     "HANG", NULL}, STAGE_RCPT, EVENT_REPLY, 452, "452 4.5.3", .class = FAILURE_MORE},
    {"relaying denied", {HELLO, MAIL, "C:RCPT", "S:554 5.7.1 Relay access denied", "C:DATA",
     "S:554 x", "HANG", NULL}, STAGE_RCPT, EVENT_REPLY, 554, "Relay", .class = FAILURE_SERVER},
    {"taken before it was sent", {GREET, "S:250 x", MAIL, RCPT, "C:DATA", "R:354 go\r\n250 ok\r\n", "HANG",
     NULL}, STAGE_CONTENT, EVENT_LOST, 0, "before the message", .class = FAILURE_TEMPORARY, .big = true},

    {"STARTTLS", {TLS_, "TLS good", "C:EHLO", "S:250 fake", MAIL, RCPT, DATA_, "S:250 ok", BYE,
     NULL}, OK_, 250, "250 ok", .class = FAILURE_NONE, .starttls = true, .big = true, .received = true,
     .host = "localhost"},
    {"STARTTLS by address", {TLS_, "TLS good", "C:EHLO", "S:250 fake", MAIL, RCPT, DATA_,
     "S:250 ok", BYE, NULL}, OK_, 250, "250 ok", .class = FAILURE_NONE, .starttls = true,
     .received = true},
    {"STARTTLS with a fingerprint", {TLS_, "TLS self", "C:EHLO", "S:250 fake", MAIL, RCPT, DATA_,
     "S:250 ok", BYE, NULL}, OK_, 250, "250 ok", .class = FAILURE_NONE, .starttls = true,
     .trust = "self", .received = true},
    {"another fingerprint", {TLS_, "TLS good", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0,
     "fingerprint", .class = FAILURE_SERVER, .starttls = true, .trust = "self"},
    {"STARTTLS not offered", {HELLO, "HANG", NULL}, STAGE_STARTTLS, EVENT_NOT_OFFERED, 0,
     "does not offer STARTTLS", .class = FAILURE_SERVER, .starttls = true},
    {"STARTTLS 454", {GREET, "S:250-x", "S:250 STARTTLS", "C:STARTTLS", "S:454 4.7.0 no", "HANG",
     NULL}, STAGE_STARTTLS, EVENT_REPLY, 454, "454", .class = FAILURE_SERVER, .starttls = true},
    {"STARTTLS but only HELO", {GREET, "S:502 x", "C:HELO", "S:250 x", "HANG", NULL},
     STAGE_STARTTLS, EVENT_NOT_OFFERED, 0, "", .class = FAILURE_SERVER, .starttls = true},
    {"garbage for a handshake", {TLS_, "SLEEP 50", "S:what is this", "HANG", NULL},
     STAGE_STARTTLS, EVENT_TLS, 0, "TLS handshake failed", .class = FAILURE_SERVER, .starttls = true},
    {"no handshake", {TLS_, "HANG", NULL}, STAGE_STARTTLS, EVENT_TIMEOUT, 0, "", .class = FAILURE_SERVER,
     .starttls = true},
    {"replies put in before TLS", {GREET, "S:250-x", "S:250 STARTTLS", "C:STARTTLS",
     "R:220 go\r\n250 x\r\n250 x\r\n", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0,
     "before the TLS handshake", .class = FAILURE_SERVER, .starttls = true},
    {"wrong name", {TLS_, "TLS wrong", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0,
     "certificate: ", .class = FAILURE_SERVER, .starttls = true, .host = "localhost"},
    {"wrong address", {TLS_, "TLS wrong", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0,
     "certificate: IP address mismatch", .class = FAILURE_SERVER, .starttls = true},
    {"self-signed", {TLS_, "TLS self", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0,
     "certificate: self-signed", .class = FAILURE_SERVER, .starttls = true},
    {"expired", {TLS_, "TLS expired", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0,
     "certificate: certificate has expired", .class = FAILURE_SERVER, .starttls = true},
    {"unknown authority", {TLS_, "TLS good", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0,
     "certificate: unable to get local issuer", .class = FAILURE_SERVER, .starttls = true,
     .trust = "none"},
    {"AUTH in TLS", {TLS_, "TLS good", "C:EHLO", "S:250-fake", "S:250 AUTH CRAM-MD5 PLAIN LOGIN",
     "C:AUTH PLAIN AHVzZXIAcDRzcyB3b3Jk", "S:235 2.7.0 in", MAIL, RCPT, DATA_, "S:250 ok", BYE,
     NULL}, OK_, 250, "250 ok", .class = FAILURE_NONE, .starttls = true, .auth = SERVER_AUTH_PLAIN,
     .received = true},
};
/* clang-format on */

static void test_rows(void **state)
{
    (void)state;
    submit_rig_run(rows, sizeof rows / sizeof rows[0]);
}

/* ---- by itself --------------------------------------------------------------------------------
 */

/* One of two recipients is refused: the other one has the mail. */
static void test_one_of_two(void **state)
{
    static const char *const script[] = {
        HELLO,
        MAIL,
        "C:RCPT TO:<a",
        "S:550 5.1.1 no",
        "C:RCPT TO:<b",
        "S:250 ok",
        DATA_,
        "S:250 2.0.0 ok",
        BYE,
        NULL,
    };
    struct smtp_script *server = smtp_script_start(script, 1, rig.folder);
    struct submit_session *session = NULL;
    struct server settings;
    struct submit_timeouts timeouts = {5000, 5000, 5000, 5000, 5000};
    struct submit_recipient recipients[2] = {{.address = "a@example.com"},
                                             {.address = "b@example.com"}};
    char path[200];
    struct submit_request request = {
        .message_path = path,
        .envelope_from = "op@example.com",
        .hello = "gw.example.com",
        .recipients = recipients,
        .recipient_count = 2,
        .timeouts = &timeouts,
    };
    struct submit_result result;
    char address[CONNECT_ADDRESS_MAX];
    char why[200];
    struct failure failure;
    int fd;

    (void)state;
    snprintf(path, sizeof path, "%s/small", rig.folder);
    submit_rig_describe(&settings, &(struct submit_row){.name = "x"}, smtp_script_port(server));
    assert_int_equal(submit_esmtp.open(&session, &settings, why, sizeof why), 0);
    fd = connect_open(rig.resolver, "localhost", settings.port, 5000, -1, address, &failure);
    assert_true(fd >= 0);
    submit_esmtp.send(session, fd, rig.deadlines, &request, &result);
    close(fd);
    submit_esmtp.close(session);
    smtp_script_stop(server, NULL, NULL, why, sizeof why, NULL, 0);
    assert_string_equal(why, "");
    assert_int_equal(failure_classify(submit_failure_of(&request, &result, 0), NULL),
                     FAILURE_DESTINATION);
    assert_int_equal(failure_classify(submit_failure_of(&request, &result, 1), NULL), FAILURE_NONE);
    assert_string_equal(submit_failure_of(&request, &result, 1)->text, "250 2.0.0 ok");
}

/* A message that is not what it was: nothing is sent. */
static void test_damaged_message(void **state)
{
    static const struct {
        const char *name;
        int64_t bytes;
    } cases[] = {{"missing", 0}, {"small", 7}};
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        struct submit_session *session = NULL;
        struct server settings;
        struct submit_result result;
        char why[200];

        submit_rig_describe(&settings, &(struct submit_row){.name = "x"}, 1);
        assert_int_equal(submit_esmtp.open(&session, &settings, why, sizeof why), 0);
        submit_rig_send(session, -1, cases[i].name, cases[i].bytes, "a@example.com", &result);
        assert_true(result.local_error < 0);
        submit_esmtp.close(session);
    }
}

/* A password does not go over the network in clear; here: to an address that is not known to be
 * this machine. */
static void test_password_in_clear(void **state)
{
    struct submit_session *session = NULL;
    struct server settings;
    struct submit_result result;
    char why[200];

    (void)state;
    submit_rig_describe(&settings, &(struct submit_row){.auth = SERVER_AUTH_LOGIN}, 1);
    assert_int_equal(submit_esmtp.open(&session, &settings, why, sizeof why), 0);
    submit_rig_send(session, -1, "small", 0, "a@example.com", &result);
    assert_int_equal(result.failure.stage, STAGE_AUTH);
    submit_esmtp.close(session);
    settings.password_file[0] = 'x';
    assert_int_equal(submit_esmtp.open(&session, &settings, why, sizeof why), ERROR_CONFIG);
}

/* ---- several messages by one connection -------------------------------------------------------
 */

#define AGAIN MAIL, RCPT, DATA_

/* What becomes of each message; the last one's outcome is that of send(). */
static const struct shared_row {
    const char *name;
    const char *script[60];
    int messages; /* there are */
    int asked;    /* how many of them were taken up */
    enum failure_stage stage;
    enum failure_event event;
    int code;
    enum failure_class class;
    bool not_begun, two, big_last;
    const char *first; /* of the reply to the first, NULL: it was taken */
} shared_rows[] = {
    {"three",
     {HELLO, AGAIN, "S:250 one", AGAIN, "S:250 two", AGAIN, "S:250 three", BYE, NULL},
     3,
     3,
     OK_,
     250,
     FAILURE_NONE,
     .not_begun = false},
    {"three, pipelined",
     {GREET, "S:250-fake", "S:250 PIPELINING", AGAIN, "S:250 one", AGAIN, "S:250 two", AGAIN,
      "S:250 three", BYE, NULL},
     3,
     3,
     OK_,
     250,
     FAILURE_NONE,
     .not_begun = false},
    {"two, 8-bit is announced for each",
     {GREET, "S:250-fake", "S:250 8BITMIME", "C:MAIL FROM:<op@example.com> BODY=8BITMIME\r\n",
      "S:250 ok", RCPT, DATA_, "S:250 one", "C:MAIL FROM:<op@example.com> BODY=8BITMIME\r\n",
      "S:250 ok", RCPT, DATA_, "S:250 two", BYE, NULL},
     2,
     2,
     OK_,
     250,
     FAILURE_NONE,
     .not_begun = false},
    {"421 with the first",
     {HELLO, AGAIN, "R:250 one\r\n421 4.3.2 enough\r\n", "HANG", NULL},
     3,
     1,
     OK_,
     250,
     FAILURE_NONE,
     .not_begun = false},
    {"421 between two",
     {HELLO, AGAIN, "S:250 one", "SLEEP 50", "C:MAIL", "S:421 4.3.2 enough", "CLOSE", NULL},
     3,
     2,
     STAGE_MAIL,
     EVENT_REPLY,
     421,
     FAILURE_SERVER,
     .not_begun = true},
    {"421 unasked between two",
     {HELLO, AGAIN, "S:250 one", "SLEEP 50", "S:421 4.3.2 enough", "HANG", NULL},
     3,
     2,
     STAGE_MAIL,
     EVENT_REPLY,
     421,
     FAILURE_SERVER,
     .not_begun = true},
    {"dropped between two",
     {HELLO, AGAIN, "S:250 one", "C:MAIL", "CLOSE", NULL},
     3,
     2,
     STAGE_MAIL,
     EVENT_LOST,
     0,
     FAILURE_TEMPORARY,
     .not_begun = true},
    {"reset after the first",
     {HELLO, AGAIN, "S:250 one", "RESET", NULL},
     3,
     2,
     STAGE_MAIL,
     EVENT_LOST,
     0,
     FAILURE_TEMPORARY,
     .not_begun = true},
    {"dropped after RCPT of the second",
     {HELLO, AGAIN, "S:250 one", MAIL, "C:RCPT", "CLOSE", NULL},
     3,
     2,
     STAGE_RCPT,
     EVENT_LOST,
     0,
     FAILURE_TEMPORARY,
     .not_begun = false},
    {"dropped after the dot of the second",
     {HELLO, AGAIN, "S:250 one", AGAIN, "CLOSE", NULL},
     3,
     2,
     STAGE_FINAL,
     EVENT_LOST,
     0,
     FAILURE_UNCERTAIN,
     .not_begun = false},
    {"the second refused",
     {HELLO, AGAIN, "S:250 one", AGAIN, "S:554 5.7.1 spam", BYE, NULL},
     3,
     2,
     STAGE_FINAL,
     EVENT_REPLY,
     554,
     FAILURE_REFUSED,
     .not_begun = false},
    {"MAIL of the second refused",
     {HELLO, AGAIN, "S:250 one", "C:MAIL", "S:451 no", BYE, NULL},
     3,
     2,
     STAGE_MAIL,
     EVENT_REPLY,
     451,
     FAILURE_TEMPORARY,
     .not_begun = false},
    {"the second silent",
     {HELLO, AGAIN, "S:250 one", MAIL, "C:RCPT", "HANG", NULL},
     2,
     2,
     STAGE_RCPT,
     EVENT_TIMEOUT,
     0,
     FAILURE_TEMPORARY,
     .not_begun = false},
    {"the second stalls",
     {GREET, "S:250 x", AGAIN, "S:250 one", MAIL, RCPT, "C:DATA", "S:354 go", "SOME 50000", "STALL",
      NULL},
     2,
     2,
     STAGE_CONTENT,
     EVENT_TIMEOUT,
     0,
     FAILURE_TEMPORARY,
     .big_last = true},
    {"the second too large",
     {GREET, "S:250-fake", "S:250 SIZE 100000", AGAIN, "S:250 one", BYE, NULL},
     2,
     2,
     STAGE_MAIL,
     EVENT_TOO_LARGE,
     0,
     FAILURE_TOO_LARGE,
     .big_last = true},
    {"one of two refused, then another",
     {HELLO, MAIL, RCPT, "C:RCPT TO:<b", "S:550 5.1.1 no", DATA_, "S:250 one", MAIL, RCPT, "C:RCPT",
      "S:250 ok", DATA_, "S:250 two", BYE, NULL},
     2,
     2,
     OK_,
     250,
     FAILURE_NONE,
     .two = true},
};

struct shared_trial {
    const struct shared_row *row;
    pthread_t thread;
    struct submit_request *request;
    char *path;
    int asked;
    char complaint[600];
};

static bool give_next(void *user, const struct submit_result *result)
{
    struct shared_trial *trial = user;

    if (result->failure.event != EVENT_NONE || result->failure.code != 250 || result->not_begun)
        text_copy(trial->complaint, sizeof trial->complaint, "a message before was not taken; ");
    if (trial->asked == trial->row->messages)
        return false;
    trial->asked++;
    if (trial->row->big_last && trial->asked == trial->row->messages) {
        snprintf(trial->path, 200, "%s/big", rig.folder);
        trial->request->message_bytes = (int64_t)rig.big_length;
    }
    return true;
}

static void *run_shared(void *arg)
{
    struct shared_trial *trial = arg;
    const struct shared_row *row = trial->row;
    struct smtp_script *script = smtp_script_start(row->script, 1, rig.folder);
    struct submit_timeouts timeouts = {60000, 60000, 60000, 60000, 60000};
    struct submit_recipient recipients[2] = {{.address = "a@example.com"},
                                             {.address = "b@example.com"}};
    struct submit_session *session = NULL;
    struct submit_result result = {0};
    struct submit_request request = {.envelope_from = "op@example.com",
                                     .hello = "gw.example.com",
                                     .recipients = recipients,
                                     .recipient_count = row->two ? 2 : 1,
                                     .timeouts = &timeouts,
                                     .next = give_next,
                                     .user = trial};
    const struct failure *failure;
    struct server server;
    struct failure why;
    char path[200];
    char text[200];
    char address[CONNECT_ADDRESS_MAX];
    int fd;

    if (row->event == EVENT_TIMEOUT) /* only the one that the row is about */
        *(row->stage == STAGE_CONTENT ? &timeouts.data : &timeouts.command) = rig.command_ms;
    snprintf(path, sizeof path, "%s/small", rig.folder);
    request.message_path = trial->path = path;
    trial->request = &request;
    trial->asked = 1;
    submit_rig_describe(&server, &(struct submit_row){.name = "x"}, smtp_script_port(script));
    submit_esmtp.open(&session, &server, text, sizeof text);
    fd = connect_open(rig.resolver, "127.0.0.1", smtp_script_port(script), 5000, -1, address, &why);
    submit_esmtp.send(session, fd, rig.deadlines, &request, &result);
    close(fd);
    submit_esmtp.close(session);
    failure = submit_failure_of(&request, &result, 0);
    smtp_script_stop(script, NULL, NULL, text, sizeof text, NULL, 0);
    if (trial->asked != row->asked || failure->stage != row->stage ||
        failure->event != row->event || failure->code != row->code ||
        failure_classify(failure, NULL) != row->class || result.not_begun != row->not_begun ||
        result.local_error != 0 || text[0] != '\0' || !result.greeted)
        snprintf(trial->complaint, sizeof trial->complaint,
                 "asked %d stage %s event %d code %d '%.200s' begun %d local %d; server: %s",
                 trial->asked, failure_stage_text(failure->stage), failure->event, failure->code,
                 failure->text, !result.not_begun, result.local_error, text);
    return NULL;
}

static void test_shared(void **state)
{
    enum { COUNT = sizeof shared_rows / sizeof shared_rows[0] };
    static struct shared_trial trials[COUNT];
    int failed = 0;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT; i++) {
        trials[i].row = &shared_rows[i];
        assert_int_equal(pthread_create(&trials[i].thread, NULL, run_shared, &trials[i]), 0);
    }
    for (i = 0; i < COUNT; i++) {
        pthread_join(trials[i].thread, NULL);
        print_message("  %s%s%s\n", shared_rows[i].name, trials[i].complaint[0] != '\0' ? ": " : "",
                      trials[i].complaint);
        failed += trials[i].complaint[0] != '\0';
    }
    assert_int_equal(failed, 0);
}

/* Every address is tried, in time; a name that does not exist is told apart. */
static void test_connect(void **state)
{
    static const char *const script[] = {"CLOSE", NULL};
    struct smtp_script *server = smtp_script_start(script, 1, rig.folder);
    char address[CONNECT_ADDRESS_MAX];
    struct failure why;
    int64_t begin_ms;
    int fd;

    (void)state;
    fd = connect_open(rig.resolver, "localhost", smtp_script_port(server), 5000, -1, address, &why);
    assert_true(fd >= 0); /* by 127.0.0.1, whether or not ::1 was tried before */
    assert_non_null(strstr(address, "127.0.0.1:"));
    close(fd);
    smtp_script_stop(server, NULL, NULL, NULL, 0, NULL, 0);
    assert_true(connect_open(rig.resolver, "127.0.0.1", 1, 1000, -1, address, &why) < 0);
    assert_int_equal(why.stage, STAGE_TCP);
    assert_string_equal(why.text, "connection refused");
    assert_true(connect_open(rig.resolver, "::1", 1, 1000, -1, address, &why) < 0);
    assert_string_equal(address, "[::1]:1");
    begin_ms = clock_monotonic_ms();
    assert_true(connect_open(rig.resolver, "no.such.name.invalid", 25, 300, -1, address, &why) < 0);
    assert_int_equal(why.stage, STAGE_NAME);
    assert_true(clock_monotonic_ms() - begin_ms < 3000);
}

static int set_up(void **state)
{
    (void)state;
    return submit_rig_open(&submit_esmtp, SERVER_TLS_NONE, 3000);
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
        cmocka_unit_test(test_shared),
        cmocka_unit_test(test_one_of_two),
        cmocka_unit_test(test_damaged_message),
        cmocka_unit_test(test_password_in_clear),
        cmocka_unit_test(test_connect),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
