/* SPDX-License-Identifier: MIT */
/*
 * test_handin.c - messages of one's own: what is changed, what is refused, what becomes of them in
 * the spool, and a spool of version 1 that is brought up to date.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/clock.h"
#include "base/error.h"
#include "smtp/handin.h"
#include "test/unit/spool_rig.h"

static const struct handin_settings settings = {
    .message_bytes = 20000,
    .hostname = "fax.example.com",
    .envelope_from = "operator@example.com",
};

#define ID "20261121T101530123-wabcdefghijk"

static int memory_file(const char *octets, size_t length, bool sealed)
{
    int fd = memfd_create("message", MFD_ALLOW_SEALING | MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, octets, length), (ssize_t)length);
    if (sealed)
        assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW), 0);
    return fd;
}

/* Converts; the result, static, or NULL with *out_error. */
static const char *convert(const char *octets, size_t length, struct handin_message *out,
                           int *out_error, char *why)
{
    static char result[40000];
    int from = memory_file(octets, length, false);
    int to = memory_file("", 0, false);
    ssize_t n;

    *out_error = handin_convert(from, to, &settings, ID, "me@example.com", out, why);
    n = pread(to, result, sizeof result - 1, 0);
    assert_true(n >= 0);
    result[n] = '\0';
    close(from);
    close(to);
    return *out_error == 0 ? result : NULL;
}

#define DATE "Date: Sat, 21 Nov 2026 10:15:30 +0000"
#define HEAD DATE "\r\nFrom: <a@example.com>\r\nMessage-ID: <1@x>\r\n"

static void changes(void **state)
{
    static const struct {
        const char *name, *in, *out;
    } table[] = {
        {"nothing", HEAD "\r\nbody\r\n", HEAD "\r\nbody\r\n"},
        {"bare LF", DATE "\nFrom: <a@example.com>\nMessage-ID: <1@x>\n\nbody\n",
         HEAD "\r\nbody\r\n"},
        {"no last line end", HEAD "\r\nbody", HEAD "\r\nbody\r\n"},
        {"header only", HEAD, HEAD "\r\n"},
        {"an empty body", HEAD "\r\n", HEAD "\r\n"},
        {"Bcc", "bcc: s@example.com,\r\n t@example.com\r\n" HEAD "\r\nx\r\n", HEAD "\r\nx\r\n"},
        {"Resent-Bcc", HEAD "RESENT-BCC: s@example.com\r\n\r\nx\r\n", HEAD "\r\nx\r\n"},
        {"Bcc in the body stays", HEAD "\r\nBcc: x\r\n", HEAD "\r\nBcc: x\r\n"},
        {"folded", HEAD "Subject: a\r\n\tb\r\n\r\nx\r\n", HEAD "Subject: a\r\n\tb\r\n\r\nx\r\n"},
        {"From", DATE "\nMessage-ID: <1@x>\n\nx\n",
         DATE "\r\nMessage-ID: <1@x>\r\nFrom: <me@example.com>\r\n\r\nx\r\n"},
        {"Message-ID", DATE "\nFrom: <a@example.com>\n\nx\n",
         DATE "\r\nFrom: <a@example.com>\r\nMessage-ID: <" ID "@fax.example.com>\r\n\r\nx\r\n"},
        {"dots stay", HEAD "\r\n.\r\n..\r\n", HEAD "\r\n.\r\n..\r\n"},
    };
    struct handin_message message;
    char why[HANDIN_WHY_MAX] = "";
    const char *got;
    size_t i;
    int error;

    (void)state;
    for (i = 0; i < sizeof table / sizeof table[0]; i++) {
        got = convert(table[i].in, strlen(table[i].in), &message, &error, why);
        if (got == NULL || strcmp(got, table[i].out) != 0)
            fail_msg("%s: %s\n%s", table[i].name, why, got != NULL ? got : "refused");
        assert_int_equal(message.bytes, strlen(got));
    }
    got = convert("Subject: s\n\nx\n", 14, &message, &error, why);
    assert_non_null(got);
    assert_non_null(strstr(got, "\r\nDate: "));
    assert_string_equal(message.subject, "s");
    assert_string_equal(message.message_id, ID "@fax.example.com");
}

static void refusals(void **state)
{
    char long_line[1200];
    char whole_line[1200];
    char *large = calloc(1, 30000);
    char *header = calloc(1, 400000);
    const struct {
        const char *name, *in;
        size_t length; /* 0: of the text */
        const char *why;
    } table[] = {
        {"nothing", "", 0, "no header"},
        {"no header", "\r\nbody\r\n", 0, "no header"},
        {"no field", "hello\r\n", 0, "no header field"},
        {"mailbox file", "From a@example.com Sat\r\nSubject: x\r\n\r\n", 0, "no header field"},
        {"continuation first", " x\r\nSubject: x\r\n\r\n", 0, "no header field"},
        {"a blank in the name", "Sub ject: x\r\n\r\n", 0, "no header field"},
        {"an empty name", ": x\r\n\r\n", 0, "no header field"},
        {"two From", HEAD "from: <b@example.com>\r\n\r\n", 0, "a second From"},
        {"two Date", HEAD DATE "\r\n\r\n", 0, "a second Date"},
        {"bare CR in the header", "Subject: x\rBcc: y\r\n\r\n", 0, "CR"},
        {"bare CR in the body", HEAD "\r\nx\r.\r\n", 0, "CR"},
        {"CR at the end", HEAD "\r\nx\r", 0, "CR"},
        {"NUL", HEAD "\r\nx\0y\r\n", sizeof HEAD + 6, "NUL"},
        {"a control character", "Subject: \x1b[2J\r\n\r\n", 0, "not ASCII"},
        {"8 bit", "Subject: \xc3\xa4\r\n\r\n", 0, "not ASCII"},
        {"Message-ID", "Message-ID: <a b@x>\r\n\r\n", 0, "Message-ID"},
        {"Message-ID empty", "Message-ID:\r\n\r\n", 0, "Message-ID"},
        {"999", long_line, 0, "longer than 998"},
        {"too large", large, 0, "larger than 20000"},
        {"a large header", header, 0, "header is larger"},
    };
    struct handin_message message;
    char why[HANDIN_WHY_MAX];
    size_t i;
    int error;

    (void)state;
    snprintf(long_line, sizeof long_line, HEAD "\r\n%0999d\r\n", 0);
    snprintf(whole_line, sizeof whole_line, HEAD "\r\n%0998d\r\n", 0);
    strcpy(large, HEAD "\r\n");
    for (i = strlen(large); i < 25000; i++)
        large[i] = i % 70 == 0 ? '\n' : 'x';
    for (i = 0; i < 399000; i++)
        header[i] = i % 90 == 89 ? '\n' : i % 90 == 1 ? ':' : 'x';
    assert_non_null(convert(whole_line, strlen(whole_line), &message, &error, why));
    for (i = 0; i < sizeof table / sizeof table[0]; i++) {
        const char *got;

        why[0] = '\0';
        got = convert(table[i].in, table[i].length != 0 ? table[i].length : strlen(table[i].in),
                      &message, &error, why);
        /* The header is larger than this message may be: either limit holds. */
        if (got != NULL || (strstr(why, table[i].why) == NULL && table[i].in != header))
            fail_msg("%s: \"%s\" %s", table[i].name, why, got != NULL ? "accepted" : "");
        assert_true(error == ERROR_FORMAT || error == ERROR_LIMIT);
    }
    free(large);
    free(header);
}

static void accepting(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    const char *to[] = {"x@example.com", "y@example.com", "x@example.com"};
    const char *bad[] = {"x"};
    struct handin_request request = {.to = to, .to_count = 3, .bypass = SPOOL_BYPASS_DENY};
    struct spool_delivery deliveries[4];
    struct spool_fax fax;
    char id[FAX_ID_MAX] = "";
    char why[HANDIN_WHY_MAX];
    int open_file = memory_file("Subject: s\n\nx\n", 14, false);
    int sealed = memory_file("Subject: s\n\nx\n", 14, true);

    assert_int_equal(handin_accept(spool, &settings, open_file, &request, id, why), ERROR_FORMAT);
    assert_int_equal(handin_accept(spool, &settings, STDIN_FILENO, &request, id, why),
                     ERROR_FORMAT);
    request.to = bad;
    request.to_count = 1;
    assert_int_equal(handin_accept(spool, &settings, sealed, &request, id, why), ERROR_FORMAT);
    request.to = to;
    request.to_count = 3;
    assert_string_equal(id, "");
    assert_int_equal(spool_fax_list(spool, NULL, &fax, 1), 0);
    assert_int_equal(handin_accept(spool, &settings, sealed, &request, id, why), 0);
    assert_int_equal(spool_fax_get(spool, id, &fax), 0);
    assert_int_equal(fax.kind, SPOOL_KIND_MESSAGE);
    assert_int_equal(fax.state, SPOOL_FAX_COMPOSED);
    assert_string_equal(fax.envelope_from, "operator@example.com");
    assert_non_null(strstr(fax.folder, "/mail/"));
    assert_int_equal(spool_delivery_list(spool, id, deliveries, 4), 2);
    assert_int_equal(deliveries[1].bypass, SPOOL_BYPASS_DENY);
    assert_int_equal(deliveries[1].kind, SPOOL_KIND_MESSAGE);
    assert_string_equal(deliveries[1].envelope_from, "operator@example.com");
    assert_int_equal(access(deliveries[0].message_path, R_OK), 0);
    /* The commands of a fax, and its end. */
    assert_int_equal(spool_hold(spool, id, true, 5), 2);
    assert_int_equal(spool_set_bypass(spool, id, SPOOL_BYPASS_ALLOW), 2);
    assert_int_equal(spool_resend(spool, id, "x@example.com", SPOOL_BYPASS_TABLE, 6), ERROR_EXISTS);
    assert_int_equal(spool_resend(spool, id, "z@example.com", SPOOL_BYPASS_TABLE, 6), 0);
    assert_int_equal(spool_cancel(spool, id), 3);
    assert_int_equal(spool_resend(spool, id, "x@example.com", SPOOL_BYPASS_TABLE, 7), 0);
    assert_int_equal(spool_delivery_list(spool, id, deliveries, 4), 3);
    assert_int_equal(deliveries[0].state, SPOOL_DUE);
    assert_int_equal(deliveries[0].due_ms, 7);
    assert_int_equal(deliveries[0].bypass, SPOOL_BYPASS_TABLE);
    assert_int_equal(deliveries[1].bypass, SPOOL_BYPASS_ALLOW);
    assert_int_equal(spool_resend(spool, "20261121T101530123-kabcdefghijk", "x@example.com",
                                  SPOOL_BYPASS_TABLE, 7),
                     ERROR_NOT_FOUND);
    assert_int_equal(spool_fax_expire(spool, INT64_MAX, 10), 0); /* one is due */
    assert_int_equal(spool_cancel(spool, id), 1);
    assert_int_equal(spool_fax_expire(spool, INT64_MAX, 10), 1);
    assert_int_not_equal(access(fax.folder, F_OK), 0);
    spool_close(spool);
    close(open_file);
    close(sealed);
}

/* What a crash left of a message that was never accepted is gone at the next start. */
static void crash(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    char id[FAX_ID_MAX];
    char path[128];
    int fd = spool_message_begin(spool, id);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
    spool_close(spool);
    snprintf(path, sizeof path, "mail/.new/%s.eml", id);
    assert_true(rig_exists(rig, path));
    spool_close(rig_open(rig));
    assert_false(rig_exists(rig, path));
}

/* A spool as version 1 left it, with a fax that waits: nothing is lost on the way. */
static void migration(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    struct spool_delivery delivery;
    struct spool_fax fax;
    char id[FAX_ID_MAX];
    sqlite3 *handle;

    rig_delivery(rig, spool, 1, 1000, id);
    spool_close(spool);
    assert_int_equal(sqlite3_open(rig_path(rig, "faxpost.db"), &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle,
                                  "ALTER TABLE delivery DROP COLUMN begun;"
                                  "ALTER TABLE delivery DROP COLUMN bypass;"
                                  "ALTER TABLE fax DROP COLUMN kind;"
                                  "ALTER TABLE fax DROP COLUMN subject;"
                                  "UPDATE schema SET version = 1",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(handle);
    spool = rig_open(rig);
    assert_int_equal(spool_fax_get(spool, id, &fax), 0);
    assert_int_equal(fax.kind, SPOOL_KIND_FAX);
    assert_int_equal(spool_claim(spool, clock_wall_ms(), 1000, &delivery, 1), 1);
    assert_string_equal(delivery.fax_id, id);
    assert_int_equal(delivery.bypass, SPOOL_BYPASS_TABLE);
    assert_int_equal(delivery.kind, SPOOL_KIND_FAX);
    assert_int_equal(delivery.due_ms, 1000);
    spool_close(spool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes),
        cmocka_unit_test(refusals),
        cmocka_unit_test_setup_teardown(accepting, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(crash, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(migration, rig_setup, rig_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
