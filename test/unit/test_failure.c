/* SPDX-License-Identifier: MIT */
/*
 * test_failure.c - every row of the class table of spec/failover.md.
 */
#include "policy/failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

struct row {
    enum failure_stage stage;
    enum failure_event event;
    const char *reply; /* "550 5.1.1 no such user" */
    enum failure_class class;
    bool alarm;
};

#define REPLIED EVENT_REPLY

/* clang-format off */
static const struct row rows[] = {
    {STAGE_NAME, EVENT_NO_NAME, "", FAILURE_CONNECTION, true},
    {STAGE_NAME, EVENT_RESOLVER, "", FAILURE_CONNECTION, false},
    {STAGE_NAME, EVENT_TIMEOUT, "", FAILURE_CONNECTION, false},
    {STAGE_TCP, EVENT_REFUSED, "", FAILURE_CONNECTION, false},
    {STAGE_TCP, EVENT_TIMEOUT, "", FAILURE_CONNECTION, false},
    {STAGE_TCP, EVENT_LOST, "", FAILURE_CONNECTION, false},
    /* 421 anywhere */
    {STAGE_GREETING, REPLIED, "421 4.3.2 busy", FAILURE_SERVER, false},
    {STAGE_EHLO, REPLIED, "421 x", FAILURE_SERVER, false},
    {STAGE_STARTTLS, REPLIED, "421 x", FAILURE_SERVER, false},
    {STAGE_AUTH, REPLIED, "421 x", FAILURE_SERVER, false},
    {STAGE_MAIL, REPLIED, "421 x", FAILURE_SERVER, false},
    {STAGE_RCPT, REPLIED, "421 4.5.3 x", FAILURE_SERVER, false},
    {STAGE_DATA, REPLIED, "421 x", FAILURE_SERVER, false},
    {STAGE_CONTENT, REPLIED, "421 x", FAILURE_SERVER, false},
    {STAGE_FINAL, REPLIED, "421 4.3.0 shutting down", FAILURE_SERVER, false},
    {STAGE_GREETING, EVENT_TIMEOUT, "", FAILURE_TEMPORARY, false},
    {STAGE_GREETING, EVENT_LOST, "", FAILURE_TEMPORARY, false},
    {STAGE_GREETING, REPLIED, "450 x", FAILURE_SERVER, false},
    {STAGE_GREETING, REPLIED, "554 no service", FAILURE_SERVER, false},
    {STAGE_EHLO, REPLIED, "451 x", FAILURE_SERVER, false},
    {STAGE_EHLO, REPLIED, "504 5.5.2 rejected", FAILURE_SERVER, false},
    {STAGE_EHLO, EVENT_TIMEOUT, "", FAILURE_TEMPORARY, false},
    {STAGE_EHLO, EVENT_LOST, "", FAILURE_TEMPORARY, false},
    {STAGE_STARTTLS, EVENT_NOT_OFFERED, "", FAILURE_SERVER, true},
    {STAGE_STARTTLS, REPLIED, "454 4.7.0 x", FAILURE_SERVER, true},
    {STAGE_STARTTLS, REPLIED, "502 x", FAILURE_SERVER, true},
    {STAGE_STARTTLS, EVENT_TLS, "", FAILURE_SERVER, true},
    {STAGE_STARTTLS, EVENT_LOST, "", FAILURE_SERVER, true},
    {STAGE_STARTTLS, EVENT_TIMEOUT, "", FAILURE_SERVER, true},
    {STAGE_AUTH, REPLIED, "454 4.7.0 x", FAILURE_SERVER, false},
    {STAGE_AUTH, REPLIED, "535 5.7.8 bad", FAILURE_SERVER, true},
    {STAGE_AUTH, REPLIED, "504 x", FAILURE_SERVER, true},
    {STAGE_AUTH, EVENT_NOT_OFFERED, "", FAILURE_SERVER, true},
    {STAGE_AUTH, EVENT_LOST, "", FAILURE_TEMPORARY, false},
    {STAGE_MAIL, REPLIED, "530 5.7.0 login", FAILURE_SERVER, true},
    {STAGE_RCPT, REPLIED, "530 x", FAILURE_SERVER, true},
    {STAGE_DATA, REPLIED, "530 x", FAILURE_SERVER, true},
    {STAGE_FINAL, REPLIED, "530 x", FAILURE_SERVER, true},
    {STAGE_MAIL, REPLIED, "552 x", FAILURE_TOO_LARGE, false},
    {STAGE_MAIL, REPLIED, "554 5.3.4 x", FAILURE_TOO_LARGE, false},
    {STAGE_MAIL, EVENT_TOO_LARGE, "", FAILURE_TOO_LARGE, false},
    {STAGE_MAIL, REPLIED, "450 x", FAILURE_TEMPORARY, false},
    {STAGE_MAIL, REPLIED, "451 x", FAILURE_TEMPORARY, false},
    {STAGE_MAIL, REPLIED, "452 4.3.1 storage", FAILURE_SERVER, false},
    {STAGE_MAIL, REPLIED, "455 x", FAILURE_SERVER, false},
    {STAGE_MAIL, REPLIED, "501 x", FAILURE_SERVER, false},
    {STAGE_MAIL, REPLIED, "504 x", FAILURE_SERVER, false},
    {STAGE_MAIL, REPLIED, "550 x", FAILURE_SERVER, false},
    {STAGE_MAIL, EVENT_LOST, "", FAILURE_TEMPORARY, false},
    {STAGE_RCPT, REPLIED, "452 4.5.3 too many", FAILURE_MORE, false},
    {STAGE_RCPT, REPLIED, "452 4.2.2 full", FAILURE_TEMPORARY, false},
    {STAGE_RCPT, REPLIED, "451 4.5.3 x", FAILURE_TEMPORARY, false},
    {STAGE_RCPT, REPLIED, "450 4.2.0 greylisted", FAILURE_TEMPORARY, false},
    {STAGE_RCPT, REPLIED, "550 5.7.1 no", FAILURE_SERVER, true},
    {STAGE_RCPT, REPLIED, "554 x", FAILURE_SERVER, true},
    {STAGE_RCPT, REPLIED, "504 x", FAILURE_SERVER, true},
    {STAGE_RCPT, REPLIED, "550 <a@b>... Relaying denied", FAILURE_SERVER, true},
    {STAGE_RCPT, REPLIED, "550 relay not permitted", FAILURE_SERVER, true},
    {STAGE_RCPT, REPLIED, "553 Relay access denied", FAILURE_SERVER, true},
    {STAGE_RCPT, REPLIED, "450 Relaying denied", FAILURE_TEMPORARY, false},
    {STAGE_RCPT, REPLIED, "550 5.1.1 <relay@b>: no such user", FAILURE_DESTINATION, false},
    {STAGE_RCPT, REPLIED, "553 5.1.3 x", FAILURE_DESTINATION, false},
    {STAGE_RCPT, REPLIED, "552 5.2.2 over quota", FAILURE_DESTINATION, false},
    {STAGE_RCPT, EVENT_TIMEOUT, "", FAILURE_TEMPORARY, false},
    {STAGE_DATA, REPLIED, "452 x", FAILURE_SERVER, false},
    {STAGE_DATA, REPLIED, "451 x", FAILURE_TEMPORARY, false},
    {STAGE_DATA, REPLIED, "503 x", FAILURE_REFUSED, false},
    {STAGE_DATA, REPLIED, "250 x", FAILURE_TEMPORARY, false},
    {STAGE_DATA, EVENT_LOST, "", FAILURE_TEMPORARY, false},
    {STAGE_CONTENT, EVENT_LOST, "", FAILURE_TEMPORARY, false},
    {STAGE_CONTENT, EVENT_TIMEOUT, "", FAILURE_TEMPORARY, false},
    {STAGE_FINAL, REPLIED, "452 4.3.1 full", FAILURE_SERVER, false},
    {STAGE_FINAL, REPLIED, "552 x", FAILURE_TOO_LARGE, false},
    {STAGE_FINAL, REPLIED, "554 5.3.4 x", FAILURE_TOO_LARGE, false},
    {STAGE_FINAL, REPLIED, "451 x", FAILURE_TEMPORARY, false},
    {STAGE_FINAL, REPLIED, "554 5.7.1 spam", FAILURE_REFUSED, false},
    {STAGE_FINAL, REPLIED, "354 what", FAILURE_UNCERTAIN, false},
    {STAGE_FINAL, EVENT_TIMEOUT, "", FAILURE_UNCERTAIN, false},
    {STAGE_FINAL, EVENT_LOST, "", FAILURE_UNCERTAIN, false},
    {STAGE_FINAL, EVENT_NONE, "", FAILURE_NONE, false},
};
/* clang-format on */

static struct failure make(enum failure_stage stage, enum failure_event event, const char *reply)
{
    struct failure failure = {.stage = stage, .event = event, .code = atoi(reply)};

    if (strlen(reply) > 4)
        sscanf(reply + 4, "%d.%d.%d", &failure.enhanced[0], &failure.enhanced[1],
               &failure.enhanced[2]);
    text_copy(failure.text, sizeof failure.text, reply);
    return failure;
}

static void test_table(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct failure failure = make(rows[i].stage, rows[i].event, rows[i].reply);
        bool alarm = !rows[i].alarm;
        enum failure_class class = failure_classify(&failure, &alarm);

        if (class != rows[i].class || alarm != rows[i].alarm)
            fail_msg("%s '%s' event %d: %s alarm %d, expected %s alarm %d",
                     failure_stage_text(rows[i].stage), rows[i].reply, rows[i].event,
                     failure_class_text(class), alarm, failure_class_text(rows[i].class),
                     rows[i].alarm);
    }
}

/* Any stage, event and code: a class, never success without EVENT_NONE; uncertain only after the
 * dot. */
static void test_total(void **state)
{
    int stage, event, code;

    (void)state;
    for (stage = 0; stage < STAGE_COUNT; stage++)
        for (event = EVENT_NONE + 1; event < EVENT_COUNT; event++)
            for (code = 0; code < 1000; code++) {
                struct failure failure = {.stage = (enum failure_stage)stage,
                                          .event = (enum failure_event)event,
                                          .code = event == EVENT_REPLY ? code : 0};
                enum failure_class class = failure_classify(&failure, NULL);

                assert_int_not_equal(class, FAILURE_NONE);
                if (class == FAILURE_UNCERTAIN)
                    assert_int_equal(stage, STAGE_FINAL);
                assert_string_not_equal(failure_class_text(class), "unknown");
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_total),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
