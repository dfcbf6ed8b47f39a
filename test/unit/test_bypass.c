/* SPDX-License-Identifier: MIT */
/*
 * test_bypass.c - who may use the other servers: exactness, both ways to combine, the default,
 * authority, and a message's own decision.
 */
#include "policy/bypass.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

static char problems[2000];

static void note_problem(void *user, const char *file, int line, const char *what)
{
    size_t used = strlen(problems);

    (void)user;
    snprintf(problems + used, sizeof problems - used, "%s:%d: %s\n", file, line, what);
}

static int load(struct bypass **out, const char *text)
{
    struct conf *conf = NULL;
    int error;

    problems[0] = '\0';
    assert_int_equal(
        conf_parse(&conf, text, "bypass.ini", NULL, conf_keys_bypass, note_problem, NULL), 0);
    error = bypass_load(out, conf, note_problem, NULL);
    conf_free(conf);
    return error;
}

#define SENDERS                                                                                    \
    "[sender]\n"                                                                                   \
    "boss@example.com = allow 2\n"                                                                 \
    "*@example.com = deny\n"                                                                       \
    "trunk = allow\n"                                                                              \
    "trunk* = deny 7\n"                                                                            \
    "+4930* = allow 1\n"                                                                           \
    "+493099 = deny\n"                                                                             \
    "+1555* = deny\n"
#define DESTINATIONS                                                                               \
    "[destination]\n"                                                                              \
    "*@customer.example = allow\n"                                                                 \
    "secret@customer.example = deny\n"                                                             \
    "*@bank.example = deny\n"

struct row {
    const char *name;
    struct bypass_query query;
    bool permitted;
    int authority;
};

static void check(const char *text, const struct row *rows, size_t count)
{
    struct bypass *bypass = NULL;
    size_t i;

    assert_int_equal(load(&bypass, text), 0);
    for (i = 0; i < count; i++) {
        struct bypass_answer answer;

        print_message("  %s\n", rows[i].name);
        bypass_decide(&answer, bypass, &rows[i].query);
        if (answer.permitted != rows[i].permitted || answer.authority != rows[i].authority)
            fail_msg("permitted %d authority %d: %s", answer.permitted, answer.authority,
                     answer.reason);
    }
    bypass_free(bypass);
}

static void test_any(void **state)
{
    static const struct row rows[] = {
        {"sender allowed", {"boss@example.com", 0, 0, 0, "x@y", 0}, true, 2},
        {"case does not matter", {"Boss@Example.COM", 0, 0, 0, "x@y", 0}, true, 2},
        {"pattern denied", {"clerk@example.com", 0, 0, 0, "x@y", 0}, false, 0},
        {"one allow is enough", {"clerk@example.com", 0, 0, 0, "x@customer.example", 0}, true, 0},
        {"exact beats pattern", {0, "trunk", 0, 0, "x@y", 0}, true, 0},
        {"pattern only", {0, "trunk2", 0, 0, "x@y", 0}, false, 7},
        {"exact number beats line pattern", {0, "trunk2", "+493099", 0, "x@y", 0}, false, 0},
        {"longest literal part", {0, "trunk2", "+49301", 0, "x@y", 0}, false, 7},
        {"equal length: line before number", {0, "trunk2", "+15551", 0, "x@y", 0}, false, 7},
        {"caller", {0, "isdn", "+49301", 0, "x@y", 0}, true, 1},
        {"station", {0, "isdn", "", "+4930 1", "x@y", 0}, true, 1},
        {"no row: default", {0, "isdn", "1", "2", "x@y", 0}, false, 0},
        {"destination exact deny", {0, "isdn", 0, 0, "secret@customer.example", 0}, false, 0},
        {"destination deny, sender allow", {0, "trunk", 0, 0, "x@bank.example", 0}, true, 0},
        {"own allow beats",
         {"clerk@example.com", 0, 0, 0, "x@bank.example", BYPASS_ALLOW},
         true,
         0},
        {"own deny beats", {"boss@example.com", 0, 0, 0, "x@y", BYPASS_DENY}, false, 2},
        {"nothing known", {0, 0, 0, 0, 0, 0}, false, 0},
    };

    (void)state;
    check(SENDERS DESTINATIONS, rows, sizeof rows / sizeof rows[0]);
}

static void test_all(void **state)
{
    static const struct row rows[] = {
        {"one allow, no deny", {0, "trunk", 0, 0, "x@y", 0}, true, 0},
        {"allow and deny", {0, "trunk", 0, 0, "x@bank.example", 0}, false, 0},
        {"deny and allow", {"clerk@example.com", 0, 0, 0, "x@customer.example", 0}, false, 0},
        {"both allow", {0, "trunk", 0, 0, "x@customer.example", 0}, true, 0},
        {"destination alone allows", {0, "isdn", 0, 0, "x@customer.example", 0}, true, 0},
        {"no opinion: default allows", {0, "isdn", 0, 0, "x@y", 0}, true, 0},
        {"deny alone beats the default", {0, "isdn", 0, 0, "x@bank.example", 0}, false, 0},
    };

    (void)state;
    check("[bypass]\ncombine = all\ndefault = allow\n" SENDERS DESTINATIONS, rows,
          sizeof rows / sizeof rows[0]);
}

/* Every pair of opinions under both ways to combine and both defaults. */
static void test_matrix(void **state)
{
    static const char *const opinions[] = {"", "allow", "deny"};
    char text[300];
    int sender, destination, all, fallback;

    (void)state;
    for (sender = 0; sender < 3; sender++)
        for (destination = 0; destination < 3; destination++)
            for (all = 0; all < 2; all++)
                for (fallback = 0; fallback < 2; fallback++) {
                    bool allow = sender == 1 || destination == 1;
                    bool deny = sender == 2 || destination == 2;
                    bool expected = !allow && !deny ? fallback : allow && !(all && deny);
                    struct row row = {text, {0, "trunk", 0, 0, "x@y", 0}, expected, 0};

                    snprintf(text, sizeof text,
                             "[bypass]\ncombine = %s\ndefault = %s\n[sender]\n%s%s\n"
                             "[destination]\n%s%s\n",
                             all ? "all" : "any", fallback ? "allow" : "deny",
                             sender ? "trunk = " : "", opinions[sender],
                             destination ? "x@y = " : "", opinions[destination]);
                    check(text, &row, 1);
                }
}

static void test_without_file(void **state)
{
    struct bypass *bypass = NULL;
    struct bypass_answer answer;

    (void)state;
    assert_int_equal(bypass_load(&bypass, NULL, NULL, NULL), 0);
    bypass_decide(&answer, bypass, &(struct bypass_query){.line = "trunk", .destination = "x@y"});
    assert_false(answer.permitted);
    bypass_free(bypass);
}

static void test_problems(void **state)
{
    static const struct {
        const char *text, *problem;
    } rows[] = {
        {"[sender]\ntrunk = perhaps\n", "bypass.ini:2: 'perhaps' is neither allow nor deny"},
        {"[sender]\ntrunk = allow -1\n", "neither allow nor deny"},
        {"[sender]\ntrunk = allow x\n", "neither allow nor deny"},
        {"[sender]\ntrunk = allow 99999999999\n", "neither allow nor deny"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bypass *bypass = NULL;

        assert_int_equal(load(&bypass, rows[i].text), ERROR_CONFIG);
        if (strstr(problems, rows[i].problem) == NULL)
            fail_msg("'%s' lacks '%s'", problems, rows[i].problem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any),      cmocka_unit_test(test_all),
        cmocka_unit_test(test_matrix),   cmocka_unit_test(test_without_file),
        cmocka_unit_test(test_problems),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
