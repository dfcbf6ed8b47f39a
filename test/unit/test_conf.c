/* SPDX-License-Identifier: MIT */
/*
 * test_conf.c - the INI table: what is taken, what is refused, and what is said about it.
 */
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

#include "base/conf.h"
#include "base/error.h"

/* clang-format off */
static const struct conf_key keys[] = {
    {"one", false, "text", CONF_TEXT, NULL, false, 0, 0, NULL, "a text"},
    {"one", false, "number", CONF_NUMBER, "7", false, 1, 100, NULL, "a number"},
    {"one", false, "wait", CONF_DURATION, "3s", false, 100, 60000, NULL, "a duration"},
    {"one", false, "most_seconds", CONF_DURATION, "1h", false, 1000, 86400000, NULL, "seconds"},
    {"one", false, "size", CONF_SIZE, "64kB", false, 0, 1048576, NULL, "a size"},
    {"one", false, "flag", CONF_BOOL, "no", false, 0, 0, NULL, "a flag"},
    {"one", false, "pick", CONF_CHOICE, "ask", false, 0, 0, "ask|accept|never", "a choice"},
    {"one", false, "path", CONF_PATH, "/nowhere", false, 0, 0, NULL, "a path"},
    {"one", false, "list", CONF_LIST, NULL, false, 0, 0, NULL, "a list"},
    {"one", false, "words", CONF_LIST, "udp", false, 0, 0, "udp|tcp", "a list of words"},
    {"one", false, "address", CONF_ADDRESS, NULL, false, 0, 0, NULL, "an address"},
    {"one", false, "ports", CONF_RANGE, "1-2", false, 0, 0, NULL, "ports"},
    {"one", false, "nets", CONF_NETWORKS, NULL, false, 0, 0, NULL, "networks"},
    {"one", false, "pattern", CONF_PATTERN, "*", false, 0, 0, NULL, "a pattern"},
    {"named", true, "must", CONF_TEXT, NULL, true, 0, 0, NULL, "needed"},
    {"named", true, "rank_file", CONF_TEXT, NULL, false, 0, 0, NULL, "not needed"},
    {"free", false, NULL, CONF_CHOICE, NULL, false, 0, 0, "deny|allow", "rows"},
    {NULL, false, NULL, CONF_TEXT, NULL, false, 0, 0, NULL, NULL},
};
static const struct conf_key needing[] = {
    {"top", false, "must", CONF_TEXT, NULL, true, 0, 0, NULL, "needed"},
    {NULL, false, NULL, CONF_TEXT, NULL, false, 0, 0, NULL, NULL},
};
/* clang-format on */

struct problems {
    char text[8192];
    int count;
};

static void note(void *user, const char *file, int line, const char *what)
{
    struct problems *p = user;
    size_t used = strlen(p->text);

    snprintf(p->text + used, sizeof p->text - used, "%s:%d: %s\n", file, line, what);
    p->count++;
}

static int parse(struct conf **out, const char *text, struct problems *p)
{
    *p = (struct problems){0};
    return conf_parse(out, text, "t.ini", "/folder", keys, note, p);
}

/* One faulty file each: the line to blame and words that must be in the message. */
static void test_faults(void **state)
{
    static const struct {
        const char *text;
        const char *expect[3];
    } table[] = {
        {"[one]\nnumbr = 3\n", {"t.ini:2: ", "numbr", "did you mean number?"}},
        {"[one]\nNumber = 3\n", {"t.ini:2: ", "did you mean number?"}},
        {"[one]\nxyzzyx = 3\n", {"t.ini:2: ", "no such key", "xyzzyx"}},
        {"[one]\nmust = 3\n", {"t.ini:2: ", "must belongs into [named NAME]"}},
        {"[onee]\n", {"t.ini:1: ", "did you mean [one]?"}},
        {"[quite else]\n", {"t.ini:1: ", "[named NAME]", "[free]"}},
        {"[one x]\n", {"t.ini:1: ", "takes no name"}},
        {"[named]\n", {"t.ini:1: ", "needs a name"}},
        {"[named ../x]\n", {"t.ini:1: ", "cannot be the name"}},
        {"[named .x]\n", {"t.ini:1: ", "cannot be the name"}},
        {"[one\n", {"t.ini:1: ", "is no section"}},
        {"[one] number = 3\n", {"t.ini:1: ", "is no section"}},
        {"[one]\n[one]\n", {"t.ini:2: ", "twice", "line 1"}},
        {"[named a]\nmust=1\n\n[named a]\n", {"t.ini:4: ", "twice", "line 1"}},
        {"[one]\nnumber = 3\n\nnumber = 3\n", {"t.ini:4: ", "number is there twice", "line 2"}},
        {"[one]\nnumber = x\nnumber = 3\n", {"t.ini:2: ", "t.ini:3: number is there twice"}},
        {"[named a]\nmust=1\nrank_file=1\nrank-file=2\n", {"t.ini:4: ", "twice", "line 3"}},
        {"number = 3\n[one]\n", {"t.ini:1: ", "before the first [section]"}},
        {"[named a]\nrank_file = 3\n", {"t.ini:1: ", "[named a] has no must", "must = "}},
        {"[one]\nnumber = 3x\n", {"t.ini:2: ", "number = \"3x\"", "digits"}},
        {"[one]\nnumber =\n", {"t.ini:2: ", "has no value"}},
        {"[one]\nnumber = 0\n", {"t.ini:2: ", "out of range", "from 1 to 100"}},
        {"[one]\nnumber = 99999999999999999999\n", {"t.ini:2: ", "out of range"}},
        {"[one]\nnumber = 3 # three\n", {"t.ini:2: ", "begins with ';'"}},
        {"[one]\nwait = 20\n", {"t.ini:2: ", "with a unit", "3min"}},
        {"[one]\nwait = 2min\n", {"t.ini:2: ", "out of range", "from 100ms to 1min"}},
        {"[one]\nmost_seconds = -3\n", {"t.ini:2: ", "3600"}},
        {"[one]\nmost_seconds = 9223372036854775807\n", {"t.ini:2: ", "out of range"}},
        {"[one]\nsize = 3 apples\n", {"t.ini:2: ", "64kB"}},
        {"[one]\nsize = 2MB\n", {"t.ini:2: ", "from 0 to 1MB"}},
        {"[one]\nflag = true\n", {"t.ini:2: ", "write no or yes"}},
        {"[one]\npick = aks\n", {"t.ini:2: ", "ask, accept or never"}},
        {"[one]\npick = ask|accept\n", {"t.ini:2: ", "ask, accept or never"}},
        {"[one]\npath =\n", {"t.ini:2: ", "has no value"}},
        {"[one]\nlist = a,,b\n", {"t.ini:2: ", "empty item"}},
        {"[one]\nlist = a,\n", {"t.ini:2: ", "empty item"}},
        {"[one]\nwords = udp,sctp\n", {"t.ini:2: ", "\"sctp\"", "udp or tcp"}},
        {"[one]\naddress = 127.0.0.1\n", {"t.ini:2: ", "ip:port"}},
        {"[one]\naddress = host:25\n", {"t.ini:2: ", "ip:port"}},
        {"[one]\naddress = 1.2.3.4:65536\n", {"t.ini:2: ", "ip:port"}},
        {"[one]\naddress = ::1:25\n", {"t.ini:2: ", "[::]:5060"}},
        {"[one]\nports = 300-200\n", {"t.ini:2: ", "20000-29999"}},
        {"[one]\nports = 0-70000\n", {"t.ini:2: ", "20000-29999"}},
        {"[one]\nnets = 1.2.3.4/33\n", {"t.ini:2: ", "192.0.2.0/24"}},
        {"[one]\nnets = 1.2.3.4, x/8\n", {"t.ini:2: ", "\"x/8\""}},
        {"[free]\na = maybe\n", {"t.ini:2: ", "a: ", "deny or allow"}},
        {"[free]\na = deny\nb = allow\na = allow\n", {"t.ini:4: ", "a is there twice", "line 2"}},
        {"[one]\nlist = a,\n  b\n", {"t.ini:3: ", "stands on one line"}},
        {"[one]\nnumber\n", {"t.ini:2: ", "no 'key = value'"}},
        {"[one]\n= 3\n", {"t.ini:2: ", "no such key"}},
        {"[one]\nnumber = 3\nlost", {"t.ini:3: ", "\"lost\""}},
        {"[one]\ntext = a\x01"
         "b\n",
         {"t.ini:2: ", "no UTF-8 text"}},
        {"[one]\ntext = \xff\xfe\n", {"t.ini:2: ", "no UTF-8 text"}},
        {"[one]\ntext = \xc3\n", {"t.ini:2: ", "no UTF-8 text"}},
    };
    size_t i;
    size_t j;

    (void)state;
    for (i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct problems p;
        struct conf *conf = NULL;

        assert_int_equal(parse(&conf, table[i].text, &p), ERROR_CONFIG);
        assert_null(conf);
        for (j = 0; j < 3 && table[i].expect[j] != NULL; j++)
            if (strstr(p.text, table[i].expect[j]) == NULL)
                fail_msg("%s gives %s, without: %s", table[i].text, p.text, table[i].expect[j]);
    }
}

static void test_all_faults_are_told(void **state)
{
    struct problems p;
    struct conf *conf = NULL;

    (void)state;
    assert_int_equal(parse(&conf, "[one]\nnumber = x\nflag = x\n[two]\nwhat = ever\n", &p),
                     ERROR_CONFIG);
    assert_int_equal(p.count, 3); /* the keys of an unknown section are not told one by one */
}

static void test_faults_are_bounded(void **state)
{
    char text[20000] = "[one]\n";
    struct problems p;
    struct conf *conf = NULL;
    int i;

    (void)state;
    for (i = 0; i < 1000; i++)
        sprintf(text + strlen(text), "k%d = 1\n", i);
    assert_int_equal(parse(&conf, text, &p), ERROR_CONFIG);
    assert_int_equal(p.count, 50);
    assert_non_null(strstr(p.text, "not shown"));
}

static void test_values(void **state)
{
    static const char text[] = "\xef\xbb\xbf; a comment\r\n"
                               "# another\r\n"
                               "[one]\r\n"
                               "text = Gr\xc3\xbc\xc3\x9f"
                               "e; all ; comment\r\n"
                               "  number : 12\r\n"
                               "\twait = 300ms\r\n"
                               "most-seconds = 90\r\n"
                               "size = 10kB\r\n"
                               "flag=yes\r\n"
                               "pick = never ; comment\r\n"
                               "path = a/b\r\n"
                               "list = a@b , c@d\r\n"
                               "words = tcp\r\n"
                               "address = [::1]:0\r\n"
                               "nets = 192.0.2.0/24,::/0, 10.0.0.1\r\n"
                               "\r\n"
                               "[ named  b ] ; comment\r\n"
                               "must =\r\n"
                               "[named a]\r\n"
                               "must = 1\r\n"
                               "[free]\r\n"
                               "5552* = allow\r\n"
                               "*@x.example = deny";
    struct problems p;
    struct conf *conf = NULL;
    const char *key;
    const char *value;
    int line;

    (void)state;
    if (parse(&conf, text, &p) != 0)
        fail_msg("%s", p.text);
    assert_string_equal(conf_text(conf, "one", NULL, "text"), "Gr\xc3\xbc\xc3\x9f"
                                                              "e; all");
    assert_int_equal(conf_number(conf, "one", NULL, "number"), 12);
    assert_int_equal(conf_number(conf, "one", NULL, "wait"), 300);
    assert_int_equal(conf_number(conf, "one", NULL, "most_seconds"), 90000);
    assert_int_equal(conf_number(conf, "one", NULL, "size"), 10240);
    assert_true(conf_bool(conf, "one", NULL, "flag"));
    assert_int_equal(conf_choice(conf, "one", NULL, "pick"), 2);
    assert_string_equal(conf_text(conf, "one", NULL, "path"), "/folder/a/b");
    assert_string_equal(conf_text(conf, "one", NULL, "list"), "a@b , c@d");
    assert_string_equal(conf_text(conf, "one", NULL, "ports"), "1-2");
    assert_int_equal(conf_line(conf, "one", NULL, "number"), 5);
    assert_int_equal(conf_line(conf, "one", NULL, "ports"), 0);
    assert_string_equal(conf_section_name(conf, "named", 0), "b");
    assert_string_equal(conf_section_name(conf, "named", 1), "a");
    assert_null(conf_section_name(conf, "named", 2));
    assert_string_equal(conf_text(conf, "named", "b", "must"), "");
    assert_null(conf_text(conf, "named", "a", "rank_file"));
    assert_int_equal(conf_entry(conf, "free", 1, &key, &value, &line), 0);
    assert_string_equal(key, "*@x.example");
    assert_string_equal(value, "deny");
    assert_int_equal(line, 23);
    assert_int_equal(conf_entry(conf, "free", 2, &key, &value, &line), ERROR_NOT_FOUND);
    conf_free(conf);
}

static void test_defaults(void **state)
{
    struct problems p;
    struct conf *conf = NULL;

    (void)state;
    assert_int_equal(parse(&conf, "", &p), 0);
    assert_int_equal(conf_number(conf, "one", NULL, "number"), 7);
    assert_int_equal(conf_number(conf, "one", NULL, "most_seconds"), 3600000);
    assert_string_equal(conf_text(conf, "one", NULL, "path"), "/nowhere");
    assert_int_equal(conf_choice(conf, "one", NULL, "pick"), 0);
    assert_false(conf_bool(conf, "one", NULL, "flag"));
    assert_null(conf_text(conf, "one", NULL, "text"));
    conf_free(conf);
    assert_int_equal(conf_parse(&conf, "", "t.ini", NULL, needing, note, &p), ERROR_CONFIG);
    assert_non_null(strstr(p.text, "t.ini:0: must is missing: add a section [top]"));
}

/* The same again after a dump, also with values that look like comments and very long ones. */
static void test_dump(void **state)
{
    char text[4096] = "[one]\nnumber=12\ntext =;x ;y\npath = ";
    struct problems p;
    struct conf *conf = NULL;
    struct conf *again = NULL;
    char *dump;
    char *dump_again;

    (void)state;
    memset(text + strlen(text), 'p', 3000);
    strcat(text, "\nwait = 2s\n[free]\nx = allow\n[named b]\nmust=\n[named a]\nmust=a\n");
    if (parse(&conf, text, &p) != 0)
        fail_msg("%s", p.text);
    assert_int_equal(conf_dump(conf, NULL, &dump), 0);
    if (parse(&again, dump, &p) != 0)
        fail_msg("%s", p.text);
    assert_int_equal(conf_dump(again, NULL, &dump_again), 0);
    assert_string_equal(dump, dump_again);
    assert_string_equal(conf_text(again, "one", NULL, "text"), ";x");
    assert_string_equal(conf_text(again, "one", NULL, "path"),
                        conf_text(conf, "one", NULL, "path"));
    assert_string_equal(conf_section_name(again, "named", 0), "b");
    free(dump);
    free(dump_again);
    assert_int_equal(conf_dump(conf, "free, named", &dump), 0);
    assert_null(strstr(dump, "[one]"));
    assert_non_null(strstr(dump, "[free]\nx = allow\n"));
    free(dump);
    conf_free(conf);
    conf_free(again);
}

static void test_long_lines(void **state)
{
    static char text[6000];
    struct problems p;
    struct conf *conf = NULL;

    (void)state;
    strcpy(text, "[one]\ntext = ");
    memset(text + strlen(text), 'x', 5000);
    strcat(text, "\nnumber = 3\n");
    assert_int_equal(parse(&conf, text, &p), ERROR_CONFIG);
    assert_int_equal(p.count, 1); /* the rest of the line is not taken for another */
    assert_non_null(strstr(p.text, "t.ini:2: the line is too long"));
    memset(text, 0, sizeof text);
    strcpy(text, "[one]\npath = ");
    memset(text + strlen(text), 'x', 3898);
    assert_int_equal(parse(&conf, text, &p), ERROR_CONFIG);
    assert_non_null(strstr(p.text, "t.ini:2: path is too long"));
}

static void test_files(void **state)
{
    char folder[] = "/tmp/test_conf.XXXXXX";
    char path[200];
    char expected[300];
    struct problems p = {0};
    struct conf *conf = NULL;
    FILE *f;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.ini", folder);
    assert_int_equal(conf_load(&conf, path, keys, note, &p), ERROR_NOT_FOUND);
    snprintf(expected, sizeof expected, "%s:0: there is no such file", path);
    assert_non_null(strstr(p.text, expected));
    assert_int_equal(conf_load(&conf, folder, keys, note, &p), ERROR_CONFIG);
    assert_non_null(strstr(p.text, "no regular file"));
    f = fopen(path, "w");
    fputs("[one]\npath = x\n", f);
    fclose(f);
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(conf_load(&conf, "a.ini", keys, note, &p), 0);
    snprintf(expected, sizeof expected, "%s/x", folder);
    assert_string_equal(conf_text(conf, "one", NULL, "path"), expected);
    conf_free(conf);
    f = fopen(path, "w");
    fwrite("[one]\ntext = a\0b\n", 1, 17, f);
    fclose(f);
    p = (struct problems){0};
    assert_int_equal(conf_load(&conf, path, keys, note, &p), ERROR_CONFIG);
    assert_non_null(strstr(p.text, "no text"));
    assert_int_equal(truncate(path, 2 << 20), 0);
    assert_int_equal(conf_load(&conf, path, keys, note, &p), ERROR_CONFIG);
    unlink(path);
    assert_int_equal(chdir("/"), 0);
    rmdir(folder);
}

/* Every default of the three real tables must pass its own check: conf_number() relies on it. */
static void test_real_tables(void **state)
{
    static const struct {
        const struct conf_key *keys;
        const char *text;
    } table[] = {
        {conf_keys_faxpost, "[line a]\n[route a]\nto=x\n"},
        {conf_keys_servers, "[server a]\nrank=1\nhost=x\n"},
        {conf_keys_bypass, "[sender]\n5* = allow\n[destination]\n*@x = deny\n"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct conf_key *k;
        struct problems p = {0};
        struct conf *conf = NULL;
        struct conf *again = NULL;
        char *dump;

        if (conf_parse(&conf, table[i].text, "t.ini", "/", table[i].keys, note, &p) != 0)
            fail_msg("%s", p.text);
        for (k = table[i].keys; k->section != NULL; k++) {
            assert_non_null(k->text);
            if (k->key != NULL)
                conf_number(conf, k->section, k->named ? "a" : NULL, k->key);
            if (k->type == CONF_PATH && k->fallback != NULL)
                assert_int_equal(k->fallback[0], '/');
        }
        assert_int_equal(conf_dump(conf, NULL, &dump), 0);
        if (conf_parse(&again, dump, "dump", "/", table[i].keys, note, &p) != 0)
            fail_msg("%s", p.text);
        free(dump);
        conf_free(again);
        conf_free(conf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_all_faults_are_told),
        cmocka_unit_test(test_faults_are_bounded),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_dump),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_real_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
