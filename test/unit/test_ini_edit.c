/* SPDX-License-Identifier: MIT */
/*
 * test_ini_edit.c - changes of a file's text: the line that is meant, and nothing else.
 */
#include "base/ini_edit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/conf.h"
#include "base/error.h"

enum edit { SET, REMOVE, ADD_SECTION, REMOVE_SECTION, MOVE_SECTION };

struct row {
    enum edit edit;
    const char *before;
    struct ini_place place;
    const char *value; /* of SET; of MOVE_SECTION the name it goes before */
    const char *after; /* NULL: ERROR is expected, and the text as it was */
    int error;
};

#define ONE(key_)                                                                                  \
    {                                                                                              \
        "server", "one", key_, false                                                               \
    }
#define TWO(key_)                                                                                  \
    {                                                                                              \
        "server", "two", key_, false                                                               \
    }
#define FREE(key_)                                                                                 \
    {                                                                                              \
        "sender", NULL, key_, true                                                                 \
    }

static int edit(char **text, const struct row *row)
{
    const struct ini_place before = {"server", row->value, NULL, false};

    switch (row->edit) {
    case SET: return ini_edit_set(text, &row->place, row->value);
    case REMOVE: return ini_edit_remove(text, &row->place);
    case ADD_SECTION: return ini_edit_add_section(text, &row->place);
    case REMOVE_SECTION: return ini_edit_remove_section(text, &row->place);
    case MOVE_SECTION:
        return ini_edit_move_section(text, &row->place, row->value != NULL ? &before : NULL);
    }
    return ERROR_UNSUPPORTED;
}

static void run(const struct row *rows, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        const struct row *row = &rows[i];
        const char *expected = row->after != NULL ? row->after : row->before;
        char *text = strdup(row->before);
        int error = edit(&text, row);

        if (error != row->error || strcmp(text, expected) != 0)
            fail_msg("row %zu gives %d, expected %d, and:\n<%s>\nexpected:\n<%s>", i, error,
                     row->error, text, expected);
        free(text);
    }
}

static void test_set(void **state)
{
    static const struct row rows[] = {
        /* in its line */
        {SET, "[server one]\nport = 25\n", ONE("port"), "26", "[server one]\nport = 26\n", 0},
        {SET, "[server one]\nport = 25  ; usual\n", ONE("port"), "2525",
         "[server one]\nport = 2525  ; usual\n", 0},
        {SET, "[server one]\n  port=25\t;x\n", ONE("port"), "1", "[server one]\n  port=1\t;x\n", 0},
        {SET, "[server one]\nport : 25\n", ONE("port"), "1", "[server one]\nport : 1\n", 0},
        {SET, "[server one]\nport =\nhost = a\n", ONE("port"), "1",
         "[server one]\nport = 1\nhost = a\n", 0},
        {SET, "[server one]\nport = ; none\n", ONE("port"), "1", "[server one]\nport = 1 ; none\n",
         0},
        {SET, "[server one]\nuser = a=b:c;d\n", ONE("user"), "x", "[server one]\nuser = x\n", 0},
        {SET, "[server one]\nport = 25", ONE("port"), "26", "[server one]\nport = 26", 0},
        {SET, "[server one]\r\nport = 25\r\n", ONE("port"), "26", "[server one]\r\nport = 26\r\n",
         0},
        {SET, "\xef\xbb\xbf[server one]\nport = 25\n", ONE("port"), "26",
         "\xef\xbb\xbf[server one]\nport = 26\n", 0},
        {SET, "[ server \t one ] ; first\nport = 25\n", ONE("port"), "26",
         "[ server \t one ] ; first\nport = 26\n", 0},
        {SET, "[server one]\npassword-file = a\n", ONE("password_file"), "b",
         "[server one]\npassword-file = b\n", 0},
        {SET, "[server one]\n; port = 25\n# port = 1\nport = 2\n", ONE("port"), "3",
         "[server one]\n; port = 25\n# port = 1\nport = 3\n", 0},
        {SET, "[server two]\nport = 1\n[server one]\nport = 2\n[server three]\nport = 3\n",
         ONE("port"), "9",
         "[server two]\nport = 1\n[server one]\nport = 9\n[server three]\nport = 3\n", 0},
        /* a new line */
        {SET, "[server one]\nhost = a\n\n# next\n[server two]\n", ONE("port"), "26",
         "[server one]\nhost = a\nport = 26\n\n# next\n[server two]\n", 0},
        {SET, "[server one]\n# nothing yet\n", ONE("port"), "26",
         "[server one]\nport = 26\n# nothing yet\n", 0},
        {SET, "[server one]\n\thost = a", ONE("port"), "26",
         "[server one]\n\thost = a\n\tport = 26\n", 0},
        {SET, "[server one]\r\nhost = a", ONE("port"), "26",
         "[server one]\r\nhost = a\r\nport = 26\r\n", 0},
        {SET, "[server one]\nhost = a\n\n\n", ONE("port"), "26",
         "[server one]\nhost = a\nport = 26\n\n\n", 0},
        {SET, "[server ones]\n[servers one]\n[server]\n", ONE("port"), "26",
         "[server ones]\n[servers one]\n[server]\n\n[server one]\nport = 26\n", 0},
        {SET, "", FREE("*"), "deny", "[sender]\n* = deny\n", 0},
        {SET, "# only words", FREE("*"), "deny", "# only words\n\n[sender]\n* = deny\n", 0},
        {SET, "\xef\xbb\xbf", FREE("*"), "deny", "\xef\xbb\xbf[sender]\n* = deny\n", 0},
        {SET, "[sender]\na-b = allow\n", FREE("a_b"), "deny", "[sender]\na-b = allow\na_b = deny\n",
         0},
        {SET, "[sender]\n+49 (30) * = allow\n", FREE("+49 (30) *"), "allow 2",
         "[sender]\n+49 (30) * = allow 2\n", 0},
        /* what no line can hold */
        {SET, "[sender]\n", FREE("a=b"), "allow", NULL, ERROR_FORMAT},
        {SET, "[sender]\n", FREE("sip:a"), "allow", NULL, ERROR_FORMAT},
        {SET, "[sender]\n", FREE("a ;b"), "allow", NULL, ERROR_FORMAT},
        {SET, "[sender]\n", FREE(";b"), "allow", NULL, ERROR_FORMAT},
        {SET, "[sender]\n", FREE("#b"), "allow", NULL, ERROR_FORMAT},
        {SET, "[sender]\n", FREE("[b]"), "allow", NULL, ERROR_FORMAT},
        {SET, "[sender]\n", FREE(" b"), "allow", NULL, ERROR_FORMAT},
        {SET, "[sender]\n", FREE(""), "allow", NULL, ERROR_FORMAT},
        {SET, "[sender]\n", FREE("b\n[sender]\nc"), "allow", NULL, ERROR_FORMAT},
        {SET, "[sender]\n", FREE("b"), "allow\nc = allow", NULL, ERROR_FORMAT},
        {SET, "[sender]\n", FREE("b"), "allow\r", NULL, ERROR_FORMAT},
        {SET, "[sender]\n", FREE("b"), "allow ", NULL, ERROR_FORMAT},
        {SET, "[sender]\n", FREE("b"), "a ; b", NULL, ERROR_FORMAT},
        {SET, "[sender]\n", FREE("b"), ";b", NULL, ERROR_FORMAT},
        {SET, "", {"server", "a]b", "port", false}, "1", NULL, ERROR_FORMAT},
        {SET, "", {"server", "a\nb", "port", false}, "1", NULL, ERROR_FORMAT},
        {SET, "", {"server", "", "port", false}, "1", NULL, ERROR_FORMAT},
        {SET, "", {"a b", NULL, "port", false}, "1", NULL, ERROR_FORMAT},
    };

    (void)state;
    run(rows, sizeof rows / sizeof rows[0]);
}

static void test_remove(void **state)
{
    static const struct row rows[] = {
        {REMOVE, "[server one]\nhost = a\nport = 1 ; x\n\n[server two]\nport = 2\n", ONE("port"),
         NULL, "[server one]\nhost = a\n\n[server two]\nport = 2\n", 0},
        {REMOVE, "[server one]\n# why\nport = 1\n", ONE("port"), NULL, "[server one]\n# why\n", 0},
        {REMOVE, "[server one]\r\nport = 1", ONE("port"), NULL, "[server one]\r\n", 0},
        {REMOVE, "[sender]\na = allow\nb = deny\n", FREE("a"), NULL, "[sender]\nb = deny\n", 0},
        {REMOVE, "[server two]\nport = 1\n", ONE("port"), NULL, NULL, ERROR_NOT_FOUND},
        {REMOVE, "[server one]\nhost = 1\n[server two]\nport = 1\n", ONE("port"), NULL, NULL,
         ERROR_NOT_FOUND},
        {REMOVE, "[sender]\nA = allow\n", FREE("a"), NULL, NULL, ERROR_NOT_FOUND},
        {REMOVE, "", FREE("a"), NULL, NULL, ERROR_NOT_FOUND},
    };

    (void)state;
    run(rows, sizeof rows / sizeof rows[0]);
}

static void test_sections(void **state)
{
    static const struct row rows[] = {
        {ADD_SECTION, "", ONE(NULL), NULL, "[server one]\n", 0},
        {ADD_SECTION, "a = 1\n\n", ONE(NULL), NULL, "a = 1\n\n[server one]\n", 0},
        {ADD_SECTION, "# x\r\ny", ONE(NULL), NULL, "# x\r\ny\r\n\r\n[server one]\r\n", 0},
        {ADD_SECTION, "[server  one]\n", ONE(NULL), NULL, NULL, ERROR_EXISTS},

        {REMOVE_SECTION, "[server one]\nport = 1\n", ONE(NULL), NULL, "", 0},
        {REMOVE_SECTION, "[server one]\nport = 1\n\n[server two]\nport = 2\n", ONE(NULL), NULL,
         "[server two]\nport = 2\n", 0},
        {REMOVE_SECTION, "[server one]\nport = 1\n\n[server two]\nport = 2\n", TWO(NULL), NULL,
         "[server one]\nport = 1\n", 0},
        /* its own comments go, others stay */
        {REMOVE_SECTION,
         "# head\n\n# of one\n[server one]\n# in it\nport = 1\n# below\n\n# of two\n"
         "[server two]\nport = 2\n",
         ONE(NULL), NULL, "# head\n\n# of two\n[server two]\nport = 2\n", 0},
        {REMOVE_SECTION, "# head\n[server one]\nport = 1\n# of two\n[server two]\n", ONE(NULL),
         NULL, "# head\n# of two\n[server two]\n", 0},
        {REMOVE_SECTION, "[server one]\nport = 1\n# whose?\n[server two]\nport = 2\n", TWO(NULL),
         NULL, "[server one]\nport = 1\n# whose?\n", 0},
        {REMOVE_SECTION, "[server one]\nport = 1\n\n# an aside\n\n[server two]\n", ONE(NULL), NULL,
         "# an aside\n\n[server two]\n", 0},
        {REMOVE_SECTION, "[server one]\r\nport = 1\r\n\r\n[server two]", TWO(NULL), NULL,
         "[server one]\r\nport = 1\r\n", 0},
        {REMOVE_SECTION, "[server two]\n", ONE(NULL), NULL, NULL, ERROR_NOT_FOUND},

        {MOVE_SECTION, "# head\n\n[server one]\na = 1\n\n# of two\n[server two]\nb = 2", TWO(NULL),
         "one", "# head\n\n# of two\n[server two]\nb = 2\n\n[server one]\na = 1\n", 0},
        {MOVE_SECTION, "[server one]\na = 1\n\n[server two]\nb = 2\n", ONE(NULL), NULL,
         "[server two]\nb = 2\n\n[server one]\na = 1\n", 0},
        {MOVE_SECTION, "[server one]\na = 1\n", ONE(NULL), "two", NULL, ERROR_NOT_FOUND},
        {MOVE_SECTION, "[server one]\na = 1\n", ONE(NULL), "one", NULL, ERROR_NOT_FOUND},
        {MOVE_SECTION, "[server one]\na = 1\n", TWO(NULL), "one", NULL, ERROR_NOT_FOUND},
    };
    static const struct ini_place one = ONE(NULL);

    (void)state;
    run(rows, sizeof rows / sizeof rows[0]);
    assert_true(ini_edit_has_section("x\n [server one]\n", &one));
    assert_false(ini_edit_has_section("# [server one]\n[server One]\n", &one));
}

/* What the settings' own reader makes of a pattern; "" where it reads none. */
static void read_back(char out[64], const char *text, const char *pattern)
{
    struct conf *conf = NULL;
    const char *key;
    const char *value;
    int line;
    size_t i;

    out[0] = '\0';
    if (conf_parse(&conf, text, "bypass.ini", "/", conf_keys_bypass, NULL, NULL) < 0) {
        strcpy(out, "not readable");
        return;
    }
    for (i = 0; conf_entry(conf, "sender", i, &key, &value, &line) == 0; i++)
        if (strcmp(key, pattern) == 0)
            snprintf(out, 64, "%s", value);
    conf_free(conf);
}

/* Every file of four of these pieces that the settings' reader takes: a row that is set is
 * read back, the file stays readable, and a row that is removed is gone. */
static void test_agrees_with_the_reader(void **state)
{
    static const char *const pieces[] = {
        "\n",
        "# c\n",
        "[sender]\n",
        " [ sender ] ; c\r\n",
        "[destination]\n",
        "a = allow\n",
        "b:deny;x\n",
        "\ta=allow ; c\n",
        "[bypass]\ncombine = all\n",
        "d = deny",
    };
    enum { PIECES = sizeof pieces / sizeof pieces[0] };
    static const struct ini_place place = FREE("a");
    int readable = 0;
    int n;

    (void)state;
    for (n = 0; n < PIECES * PIECES * PIECES * PIECES; n++) {
        char before[200] = "";
        char value[64];
        char *text;
        int rest = n;
        int i;

        for (i = 0; i < 4; i++, rest /= PIECES)
            strcat(before, pieces[rest % PIECES]);
        read_back(value, before, "a");
        if (strcmp(value, "not readable") == 0)
            continue;
        readable++;
        text = strdup(before);
        assert_int_equal(ini_edit_set(&text, &place, "allow 7"), 0);
        read_back(value, text, "a");
        if (strcmp(value, "allow 7") != 0)
            fail_msg("<%s>\nbecame\n<%s>\nand is read as %s", before, text, value);
        assert_int_equal(ini_edit_remove(&text, &place), 0);
        read_back(value, text, "a");
        if (value[0] != '\0')
            fail_msg("<%s>\nbecame\n<%s>\nand is read as %s", before, text, value);
        free(text);
    }
    assert_true(readable > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_sections),
        cmocka_unit_test(test_agrees_with_the_reader),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
