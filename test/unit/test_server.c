/* SPDX-License-Identifier: MIT */
/*
 * test_server.c - servers.ini: order by rank, and what it may not say.
 */
#include "policy/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

static char problems[4000];

static void note_problem(void *user, const char *file, int line, const char *what)
{
    size_t used = strlen(problems);

    (void)user;
    snprintf(problems + used, sizeof problems - used, "%s:%d: %s\n", file, line, what);
}

static int load(struct server_list **out, const char *text)
{
    struct conf *conf = NULL;
    int error;

    problems[0] = '\0';
    error = conf_parse(&conf, text, "servers.ini", "/etc", conf_keys_servers, note_problem, NULL);
    if (error < 0)
        return error;
    error = server_list_load(out, conf, note_problem, NULL);
    conf_free(conf);
    return error;
}

static void test_order(void **state)
{
    struct server_list *list = NULL;

    (void)state;
    assert_int_equal(load(&list, "[server c]\nrank = 30\nhost = 192.0.2.3\n"
                                 "[server a]\nrank = 1\nhost = [2001:db8::1]\nport = 2525\n"
                                 "[server b]\nrank = 2\nhost = mail.example.com\nauthority = 2\n"
                                 "tls = starttls\nauth = plain\nuser = u\npassword-file = pw\n"
                                 "fingerprint = "
                                 "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:"
                                 "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\n"),
                     0);
    assert_true(list->configured);
    assert_int_equal(list->count, 3);
    assert_string_equal(list->server[0].name, "a");
    assert_string_equal(list->server[0].host, "2001:db8::1");
    assert_int_equal(list->server[0].port, 2525);
    assert_string_equal(list->server[1].name, "b");
    assert_int_equal(list->server[1].tls, SERVER_TLS_STARTTLS);
    assert_int_equal(list->server[1].auth, SERVER_AUTH_PLAIN);
    assert_string_equal(list->server[1].password_file, "/etc/pw");
    assert_string_equal(list->server[1].fingerprint,
                        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
    assert_string_equal(list->server[2].name, "c");
    assert_int_equal(list->server[2].port, 25);
    assert_int_equal(server_list_find(list, "c"), 2);
    assert_int_equal(server_list_find(list, "d"), -1);
    assert_int_equal(server_list_find(list, NULL), -1);
    server_list_free(list);
}

static void test_none(void **state)
{
    struct server_list *list = NULL;

    (void)state;
    assert_int_equal(server_list_load(&list, NULL, NULL, NULL), 0);
    assert_false(list->configured);
    assert_int_equal(list->count, 0);
    server_list_free(list);
    assert_int_equal(load(&list, "# all removed\n"), 0);
    assert_true(list->configured);
    assert_int_equal(list->count, 0);
    server_list_free(list);
}

static void test_problems(void **state)
{
    static const struct {
        const char *name, *text, *problem;
    } rows[] = {
        {"a rank twice", "[server a]\nrank = 1\nhost = a\n[server b]\nrank = 1\nhost = b\n",
         "rank 1 is taken by [server "},
        {"authority at rank 1", "[server a]\nrank = 1\nhost = a\nauthority = 1\n",
         "servers.ini:4: the first server is for everybody"},
        {"authority at the lowest rank", "[server a]\nrank = 5\nhost = a\nauthority = 1\n",
         "the first server is for everybody"},
        {"a name with a plus", "[server a+b]\nrank = 1\nhost = a\n", "a server's name is"},
        {"a name too long", "[server a23456789012345678901234567890123]\nrank = 1\nhost = a\n",
         "a server's name is"},
        {"a host with a blank", "[server a]\nrank = 1\nhost = a b\n", "host is a name"},
        {"a host like an option", "[server a]\nrank = 1\nhost = -a\n", "host is a name"},
        {"a bad IPv6 address", "[server a]\nrank = 1\nhost = 2001:db8:::1\n", "host is a name"},
        {"a bad bracket", "[server a]\nrank = 1\nhost = [mail]\n", "host is a name"},
        {"implicit TLS at the wrong port", "[server a]\nrank = 1\nhost = a\ntls = implicit\n",
         "set port = 465"},
        {"XOAUTH2 in clear",
         "[server a]\nrank = 1\nhost = a\nauth = xoauth2\nuser = u\ntoken_file = t\n",
         "auth = xoauth2 needs tls"},
        {"XOAUTH2 without a token",
         "[server a]\nrank = 1\nhost = a\ntls = starttls\nauth = xoauth2\nuser = u\n",
         "needs a token_file or a token_command"},
        {"XOAUTH2 with two tokens",
         "[server a]\nrank = 1\nhost = a\ntls = starttls\nauth = xoauth2\nuser = u\n"
         "token_file = t\ntoken_command = c\n",
         "needs a token_file or a token_command"},
        {"XOAUTH2 with a password",
         "[server a]\nrank = 1\nhost = a\ntls = starttls\nauth = xoauth2\nuser = u\n"
         "token_file = t\npassword_file = p\n",
         "takes a token, not a password"},
        {"a token without XOAUTH2",
         "[server a]\nrank = 1\nhost = a\ntls = starttls\nauth = plain\nuser = u\n"
         "password_file = p\ntoken_file = t\n",
         "a token without auth = xoauth2"},
        {"auth without user", "[server a]\nrank = 1\nhost = a\nauth = plain\n",
         "auth needs a user"},
        {"auth without password", "[server a]\nrank = 1\nhost = a\nauth = plain\nuser = u\n",
         "auth needs a password_file"},
        {"CRAM-MD5",
         "[server a]\nrank = 1\nhost = a\nauth = cram-md5\nuser = u\n"
         "password_file = p\n",
         "cram-md5 is not built in"},
        {"user without auth", "[server a]\nrank = 1\nhost = a\nuser = u\n", "a login without auth"},
        {"a short fingerprint",
         "[server a]\nrank = 1\nhost = a\ntls = starttls\n"
         "fingerprint = 00:11\n",
         "fingerprint is 64"},
        {"trust without TLS", "[server a]\nrank = 1\nhost = a\nca_file = /x\n", "no TLS"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct server_list *list = NULL;

        print_message("  %s\n", rows[i].name);
        assert_int_equal(load(&list, rows[i].text), ERROR_CONFIG);
        assert_null(list);
        if (strstr(problems, rows[i].problem) == NULL)
            fail_msg("'%s' lacks '%s'", problems, rows[i].problem);
    }
}

static void test_too_many(void **state)
{
    struct server_list *list = NULL;
    char text[4000] = "";
    size_t used = 0;
    int i;

    (void)state;
    for (i = 1; i <= SERVER_COUNT_MAX + 1; i++)
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "[server s%d]\nrank = %d\nhost = h\n", i, i);
    assert_int_equal(load(&list, text), ERROR_CONFIG);
    assert_non_null(strstr(problems, "more than 32 servers"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
