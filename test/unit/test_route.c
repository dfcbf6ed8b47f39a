/* SPDX-License-Identifier: MIT */
/*
 * test_route.c - which fax goes to whom, and what a route may not say.
 */
#include "policy/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

#define GATEWAY "[gateway]\noperator = op@example.com\nhostname = gw.example.com\n"

static char problems[2000];

static void note_problem(void *user, const char *file, int line, const char *what)
{
    size_t used = strlen(problems);

    (void)user;
    snprintf(problems + used, sizeof problems - used, "%s:%d: %s\n", file, line, what);
}

static int load(struct route_list **out, const char *text)
{
    struct conf *conf = NULL;
    int error;

    problems[0] = '\0';
    error = conf_parse(&conf, text, "test.ini", NULL, conf_keys_faxpost, note_problem, NULL);
    if (error < 0)
        return error;
    error = route_list_load(out, conf, note_problem, NULL);
    conf_free(conf);
    return error;
}

static const char table_text[] =
    GATEWAY "[route sales]\nline = *\ncalled = 5552*\nto = sales@example.com, boss@example.com\n"
            "attach = both\nprofile = S\n"
            "[route night]\nline = isdn\ncaller = +49*\nsubaddress = 77\nto = night@example.com\n"
            "[route known]\nstation = +1555*\nto = known@example.com\nattach = tiff\n"
            "[route empty]\ncalled = 900\nsubaddress = *\nto = empty@example.com\n";

static void test_choose(void **state)
{
    static const struct {
        const char *name;
        struct route_query query;
        const char *route, *to;
        int to_count;
    } rows[] = {
        {"first match", {"trunk", "5552000", "1", "x", ""}, "sales", "sales@example.com", 2},
        {"earlier of two",
         {"isdn", "5552000", "+4930", "x", "77"},
         "sales",
         "sales@example.com",
         2},
        {"all fields fit", {"isdn", "1", "+4930", "", "77"}, "night", "night@example.com", 1},
        {"case of letters", {"ISDN", "1", "+4930", "", "77"}, "night", "night@example.com", 1},
        {"one field does not", {"isdn", "1", "+4930", "", "78"}, "operator", "op@example.com", 1},
        {"empty is not 77", {"isdn", "1", "+4930", "", NULL}, "operator", "op@example.com", 1},
        {"station", {"trunk", "1", "", "+1555 2", ""}, "known", "known@example.com", 1},
        {"star covers empty", {NULL, "900", NULL, NULL, NULL}, "empty", "empty@example.com", 1},
        {"nothing known", {NULL, NULL, NULL, NULL, NULL}, "operator", "op@example.com", 1},
        {"a star in a value is text", {"*", "*", "*", "*", "*"}, "operator", "op@example.com", 1},
    };
    struct route_list *list = NULL;
    size_t i;

    (void)state;
    assert_int_equal(load(&list, table_text), 0);
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct route route;

        print_message("  %s\n", rows[i].name);
        route_choose(&route, list, &rows[i].query);
        assert_string_equal(route.name, rows[i].route);
        assert_string_equal(route.to[0], rows[i].to);
        assert_int_equal(route.to_count, rows[i].to_count);
    }
    route_list_free(list);
}

static void test_attach_and_profile(void **state)
{
    struct route_list *list = NULL;
    struct route route;

    (void)state;
    assert_int_equal(load(&list, table_text), 0);
    route_choose(&route, list, &(struct route_query){.called = "5552"});
    assert_int_equal(route.attach, ROUTE_ATTACH_BOTH);
    assert_int_equal(route.profile, ROUTE_PROFILE_S);
    assert_string_equal(route.to[1], "boss@example.com");
    route_choose(&route, list, &(struct route_query){.station = "+1555"});
    assert_int_equal(route.attach, ROUTE_ATTACH_TIFF);
    assert_int_equal(route.profile, ROUTE_PROFILE_F);
    assert_int_equal(route_list_operator(list)->attach, ROUTE_ATTACH_PDF);
    route_list_free(list);
}

static void test_operator_without_domain(void **state)
{
    struct route_list *list = NULL;

    (void)state;
    assert_int_equal(load(&list, "[gateway]\noperator = root\nhostname = gw.example.com\n"), 0);
    assert_string_equal(route_list_operator(list)->to[0], "root@gw.example.com");
    route_list_free(list);
}

static void test_problems(void **state)
{
    static const struct {
        const char *name, *text, *problem;
    } rows[] = {
        {"no '@'", GATEWAY "[route a]\nto = sales\n", "test.ini:5: 'sales' is no mail address"},
        {"two '@'", GATEWAY "[route a]\nto = a@b@c\n", "'a@b@c' is no mail address"},
        {"space within", GATEWAY "[route a]\nto = a b@c\n", "no mail address"},
        {"angle brackets", GATEWAY "[route a]\nto = A <a@b.c>\n", "no mail address"},
        {"control character", GATEWAY "[route a]\nto = a\001b@c\n", "test.ini:5: "},
        {"8-bit", GATEWAY "[route a]\nto = m\303\274@c\n", "no mail address"},
        {"bad operator", "[gateway]\noperator = a@b@c\n", "test.ini:2: 'a@b@c'"},
        {"second of two is bad", GATEWAY "[route a]\nto = a@b, c\n", "'c' is no mail address"},
        {"too many",
         GATEWAY "[route a]\nto = a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,a@b,"
                 "a@b\n",
         "more than 16 addresses"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct route_list *list = NULL;

        print_message("  %s\n", rows[i].name);
        assert_int_equal(load(&list, rows[i].text), ERROR_CONFIG);
        assert_null(list);
        if (strstr(problems, rows[i].problem) == NULL)
            fail_msg("'%s' lacks '%s'", problems, rows[i].problem);
    }
}

static void test_address(void **state)
{
    static const struct {
        const char *address;
        bool valid;
    } rows[] = {
        {"a@b", true},
        {"a.b+c=d/e@example.com", true},
        {"fax@[192.0.2.1]", true},
        {"x@[IPv6:::1]", true},
        {"@b", false},
        {"a@", false},
        {"", false},
        {"a", false},
        {"a@b@c", false},
        {"a\nb@c", false},
        {"a@b\r\nRCPT", false},
        {"<a@b>", false},
        {"a,b@c", false},
        {"\"a b\"@c", false},
        {"a[1]@c", false},
        {"a\\b@c", false},
        {"a@b;c", false},
        {"a\177@b", false},
    };
    char longest[300];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (route_address_is_valid(rows[i].address) != rows[i].valid)
            fail_msg("'%s' should be %s", rows[i].address, rows[i].valid ? "valid" : "refused");
    memset(longest, 'a', sizeof longest);
    longest[1] = '@';
    longest[254] = '\0';
    assert_true(route_address_is_valid(longest));
    longest[254] = 'a';
    longest[255] = '\0';
    assert_false(route_address_is_valid(longest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choose),
        cmocka_unit_test(test_attach_and_profile),
        cmocka_unit_test(test_operator_without_domain),
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
