/* SPDX-License-Identifier: MIT */
/*
 * test_modem_models.c - the table of known modems: what is shipped is sound, what is added to it is
 * checked, and a modem finds its row.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/text.h"
#include "fax/modem/modem_answers.h"
#include "fax/modem/modem_models.h"

static void note(void *user, const char *file, int line, const char *what)
{
    char *text = user;
    size_t used = strlen(text);

    snprintf(text + used, 2000 - used, "%s:%d: %s\n", file, line, what);
}

/* The table with these models of the administrator; NULL: none. */
static int read_with(struct modem_models **out, const char *own, char problems[2000])
{
    struct conf *conf = NULL;
    int error = 0;

    problems[0] = '\0';
    if (own != NULL)
        error = conf_parse(&conf, own, "modems.ini", "/", conf_keys_modems, note, problems);
    if (error == 0)
        error = modem_models_read(out, conf, note, problems);
    conf_free(conf); /* the table lives on */
    return error;
}

static const struct modem_model *by_name(const struct modem_models *models, const char *name)
{
    const struct modem_model *m;
    size_t i;

    for (i = 0; (m = modem_models_at(models, i)) != NULL; i++)
        if (strcmp(m->name, name) == 0)
            return m;
    return NULL;
}

static void test_shipped(void **state)
{
    struct modem_models *models = NULL;
    const struct modem_model *m;
    char problems[2000];
    size_t i;

    (void)state;
    if (read_with(&models, NULL, problems) < 0)
        fail_msg("%s", problems);
    for (i = 0; (m = modem_models_at(models, i)) != NULL; i++) {
        assert_non_null(m->text);
        assert_non_null(m->reset);
        assert_true(m->classes[0] != MODEM_CLASS_AUTO);
        assert_true(m->page_start == 0x11 || m->page_start == 0x12);
        if (m != modem_models_generic(models) && m->usb == NULL && m->match == NULL)
            fail_msg("%s can never be found", m->name);
    }
    assert_true(i >= 15);
    assert_string_equal(modem_models_generic(models)->name, "generic");
    assert_null(modem_models_generic(models)->caller_id);
    m = by_name(models, "rockwell");
    assert_string_equal(m->caller_id, "#CID=1");
    assert_int_equal(m->bit_order, MODEM_BITS_REVERSED);
    assert_int_equal(by_name(models, "iaxmodem")->hang_up_wait_ms, 5000);
    assert_false(by_name(models, "iaxmodem")->has_dtr);
    modem_models_unref(models);
}

static void test_find(void **state)
{
    static const struct {
        const char *usb; /* or */
        struct modem_answer answer;
        const char *name; /* NULL: none */
    } table[] = {
        {"0baf:0303", {NULL, NULL}, "usr-5637"},
        {"0572:1329", {NULL, NULL}, "conexant-usb"},
        {"0572:1340", {NULL, NULL}, "conexant-usb"},
        {"06E0:0319", {NULL, NULL}, "mt9234zba"},
        {"0403:6001", {NULL, NULL}, NULL}, /* an FTDI cable says nothing of the modem */
        {NULL, {"I0", "56000"}, "rockwell"},
        {NULL, {"I0", "14400"}, "rockwell-old"},
        {NULL, {"I3", "56000"}, NULL}, /* only as the answer to ATI0 */
        {NULL, {"I0", "2886"}, "usr"},
        {NULL, {"I0", "3361"}, "usr"},
        {NULL, {"I0", "3367"}, "usr"},
        {NULL, {"I0", "5601"}, "usr"},
        {NULL, {"I0", "5607"}, "usr"},
        {NULL, {"I0", "LT V.90 Zoom"}, "agere"},
        {NULL, {"I0", "spandsp"}, "iaxmodem"},
        {NULL, {"I0", "www.soft-switch.org spandsp 0.0.6"}, "iaxmodem"},
        {NULL, {"I0", "Eicon Diva"}, "diva"},
        {NULL, {"I0", "T38FAX"}, "t38modem"},
        {NULL, {"I3", "CX93001-EIS_V0.2002-V92"}, "conexant-usb"},
        {NULL, {"+FMM", "MT5634ZBA-V92"}, "mt5634zba"},
        {NULL, {"I0", "something else"}, NULL},
        {NULL, {"I0", ""}, NULL},
    };
    struct modem_models *models = NULL;
    char problems[2000];
    size_t i;

    (void)state;
    assert_int_equal(read_with(&models, NULL, problems), 0);
    for (i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct modem_model *m = table[i].usb != NULL
                                          ? modem_models_by_usb(models, table[i].usb)
                                          : modem_models_by_answers(models, &table[i].answer, 1);

        if ((m == NULL) != (table[i].name == NULL) ||
            (m != NULL && strcmp(m->name, table[i].name) != 0))
            fail_msg("row %zu gives %s", i, m != NULL ? m->name : "none");
    }
    modem_models_unref(models);
}

static void test_own(void **state)
{
    static const struct modem_answer acme[] = {{"I0", "33600"}, {"I4", "ACME 2000 fax"}};
    static const struct modem_answer k56[] = {{"I0", "56000"}};
    struct modem_models *models = NULL;
    const struct modem_model *m;
    char problems[2000];
    size_t i;
    int rockwells = 0;

    (void)state;
    if (read_with(&models,
                  "[model acme]\nmatch = I4:ACME*\nflow_rtscts = \\Q3|+IFC=2,2\nfrs = no\n"
                  "classes = 2, 1\npage_start = dc1\npause = 90ms\n"
                  "[model rockwell]\nmatch = I0:56000\ncaller_id = +VCID=1\n"
                  "[model generic]\ninit = &D2\nclasses = 1\n",
                  problems) < 0)
        fail_msg("%s", problems);
    m = modem_models_by_answers(models, acme, 2);
    assert_string_equal(m->name, "acme");
    assert_string_equal(m->flow[SERIAL_FLOW_RTSCTS], "\\Q3|+IFC=2,2");
    assert_int_equal(m->frs, MODEM_NO);
    assert_int_equal(m->fts, MODEM_ASK);
    assert_int_equal(m->classes[0], MODEM_CLASS_2);
    assert_int_equal(m->classes[1], MODEM_CLASS_1);
    assert_int_equal(m->classes[2], MODEM_CLASS_AUTO);
    assert_int_equal(m->page_start, 0x11);
    assert_int_equal(m->pause_ms, 90);
    assert_null(modem_models_by_answers(models, acme, 1)); /* the shipped one is replaced */
    m = modem_models_by_answers(models, k56, 1);
    assert_string_equal(m->caller_id, "+VCID=1");
    for (i = 0; (m = modem_models_at(models, i)) != NULL; i++)
        rockwells += strcmp(m->name, "rockwell") == 0;
    assert_int_equal(rockwells, 1);
    assert_string_equal(modem_models_generic(models)->init, "&D2");
    modem_models_unref(modem_models_ref(models));
    assert_non_null(modem_models_at(models, 0)); /* one reference is left */
    modem_models_unref(models);
    modem_models_unref(NULL);
}

static void test_faults(void **state)
{
    static const struct {
        const char *text, *expect;
    } table[] = {
        {"[model a]\nusb = 572:1329\n", "modems.ini:2: [model a] usb = \"572:1329\" is no USB id"},
        {"[model a]\nmatch = ACME,*\n", "modems.ini:2: [model a] match = \"*\" fits too much"},
        {"[model a]\nmatch = I0:*\n", "fits too much"},
        {"[model a]\ninit = a|\xc2\xa0\n", "modems.ini:2: [model a] init has a character"},
        {"[model a]\nclasses = 1,1.0,2,2.0,2.1,1\n", "names a class twice"},
        {"[model a]\nclasses = 1,3\n", "modems.ini:2: classes: \"3\" is not possible"},
        {"[model a]\nspeed = 12345\n", "modems.ini:2: [model a] speed"},
        {"[model a]\npause = 80\n", "write it with a unit"},
        {"[model a]\ncaler_id = none\n", "did you mean caller_id"},
        {"[modem a]\n", "modems.ini:1: "},
        {"[model a]\ninit = 0123456789012345678901234567890123456789012345678901234567890123\n",
         "more than 63"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct modem_models *models = NULL;
        char problems[2000];

        if (read_with(&models, table[i].text, problems) != ERROR_CONFIG ||
            strstr(problems, table[i].expect) == NULL)
            fail_msg("row %zu: %s", i, problems);
        assert_null(models);
    }
}

static void test_commands(void **state)
{
    static const char *const expect[] = {"&F1", "S7=60", "+VCID=1", "\\N0"};
    const char *rest = " AT&F1 |S7=60|| |at+VCID=1|\\N0";
    char command[MODEM_COMMAND_MAX];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof expect / sizeof expect[0]; i++) {
        assert_true(modem_command_next(&rest, command));
        assert_string_equal(command, expect[i]);
    }
    assert_false(modem_command_next(&rest, command));
    rest = NULL;
    assert_false(modem_command_next(&rest, command));
    assert_null(modem_commands_fault(""));
    assert_null(modem_commands_fault("&F1|S7=60"));
    assert_non_null(modem_commands_fault("Z\rATDT1"));
}

/* Lists as modems write them. */
static void test_answers(void **state)
{
    enum {
        K1 = 1 << MODEM_CLASS_1,
        K10 = 1 << MODEM_CLASS_1_0,
        K2 = 1 << MODEM_CLASS_2,
        K20 = 1 << MODEM_CLASS_2_0,
        K21 = 1 << MODEM_CLASS_2_1
    };
    static const struct {
        char kind; /* c: +FCLASS=?, m: +FRM=?, b: +FCC=? */
        const char *line;
        unsigned value;
    } table[] = {
        {'c', "0,1,2", K1 | K2},
        {'c', "0,1,1.0,2,2.0,2.1,8,80", K1 | K10 | K2 | K20 | K21},
        {'c', "(0,1.0,2.0)", K10 | K20},
        {'c', "+FCLASS: \"0,1\"", K1},
        {'c', "0-2", K1 | K2},
        {'c', "(0),(1)", K1},
        {'c', "0, 8", 0},
        {'c', "10,20,21", 0},
        {'c', "99999999999999999999", 0},
        {'c', "", 0},
        {'c', "2.", K2},
        {'m', "3,24,48,72,96", MODEM_V27TER | MODEM_V29},
        {'m', "+FRM: (24,48,72,73,74,96,97,98,121,122,145,146)", 7},
        {'m', "24,48", MODEM_V27TER},
        {'m', "3", 0},
        {'m', "24-96", 7},
        {'b', "(0,1),(0-5),(0-2),(0-2),(0-3),(0,1),(0),(0-7)", 7},
        {'b', "+FCC: (0,1),(0-3),(0)", MODEM_V27TER | MODEM_V29},
        {'b', "(0,1),(0,1),(0)", MODEM_V27TER},
        {'b', "(0,1)", 0},
        {'b', "0,5,0,2", 0},
        {'b', "((", 0},
        {'b', "(0),(0,1,2,3,4,5,6,7,8,9,0A,0B,0C,0D,0E,0F,10,11,12)", 0},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof table / sizeof table[0]; i++) {
        bool any;
        unsigned value = table[i].kind == 'c'   ? modem_answer_classes(table[i].line, &any)
                         : table[i].kind == 'm' ? modem_answer_carriers(table[i].line)
                                                : modem_answer_bit_rates(table[i].line);

        if (value != table[i].value)
            fail_msg("%s gives %x", table[i].line, value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shipped),  cmocka_unit_test(test_find),
        cmocka_unit_test(test_own),      cmocka_unit_test(test_faults),
        cmocka_unit_test(test_commands), cmocka_unit_test(test_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
