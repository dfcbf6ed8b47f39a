/* SPDX-License-Identifier: MIT */
/*
 * test_modem_setup.c - modems as modems.md tells of them are woken, identified and set up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/unit/setup_rig.h"

#define C1   (1u << MODEM_CLASS_1)
#define C1_0 (1u << MODEM_CLASS_1_0)
#define C2   (1u << MODEM_CLASS_2)
#define C2_0 (1u << MODEM_CLASS_2_0)
#define C2_1 (1u << MODEM_CLASS_2_1)

struct good {
    const char *name;
    struct modem_wish wish;
    const char *usb;
    struct setup_row rows[SETUP_ROWS_MAX];
    struct setup_traits traits;
    const char *model; /* NULL: generic */
    enum modem_class class;
    unsigned classes; /* 0: not looked at */
    unsigned rates;   /* 0: all */
    bool no_frs, no_fts, far;
    const char *flow, *caller_id; /* NULL: not looked at */
    const char *commands;         /* in this order, see missing_word() */
    const char *advice;           /* all in one */
};

static const struct good goods[] = {
    {.name = "one that can all",
     .class = MODEM_CLASS_1_0,
     .far = true,
     .classes = C1 | C1_0,
     .flow = "&K3",
     .caller_id = "+VCID=1",
     .commands = "AT\n|ATZ\n|ATE0V1Q0\n|ATI0\n|ATI3\n|AT&C1&D2\n|ATS0=0\n|AT+FCLASS=?\n|"
                 "AT+FCLASS=1.0\n|AT+FRM=?\n|AT+FAR=1\n|AT+FAE=0\n|AT&K3\n|AT+VCID=1\n|AT+FCLASS?"},
    {.name = "class 1.0 without +FAR: 1 is the better known",
     .rows = {{"+FAR=1", "ERROR"}},
     .class = MODEM_CLASS_1,
     .commands = "AT+FCLASS=1.0\n|AT+FAR=1\n|AT+FCLASS=1\n"},
    {.name = "class 1.0 as wished, without +FAR",
     .wish = {.class = MODEM_CLASS_1_0},
     .rows = {{"+FAR=1", "ERROR"}},
     .class = MODEM_CLASS_1_0},
    {.name = "only class 2.0",
     .rows = {{"+FCLASS=?", "0,2.0|OK"},
              {"+FCLASS=2.0", "OK"},
              {"+FCC=?", "(0,1),(0-5),(0-2),(0-2),(0-3),(0,1),(0),(0-7)|OK"},
              {"+FLO=2", "OK"},
              {"+FAA=0", "OK"}},
     .class = MODEM_CLASS_2_0,
     .commands = "AT+FCLASS=2.0\n|AT+FAA=0\n|AT&K3\n|AT+FLO=2\n|!AT+FAR|!AT+FRS|!AT+FAE"},
    {.name = "class 2.1, whose flow has a command of its own and no other",
     .wish = {.class = MODEM_CLASS_2_1, .flow = SERIAL_FLOW_XONXOFF},
     .rows = {{"+FCLASS=?", "(0,1,1.0,2,2.0,2.1,8)|OK"},
              {"+FCLASS=2.1", "OK"},
              {"+FLO=1", "OK"},
              {"&K4", "ERROR"}},
     .class = MODEM_CLASS_2_1,
     .classes = C1 | C1_0 | C2 | C2_0 | C2_1,
     .flow = "+FLO=1",
     .advice = "does not list its rates (+FCC=?)"},
    {.name = "class 2 with V.29 at most",
     .rows = {{"+FCLASS=?", "0,2|OK"},
              {"+FCLASS=2", "OK"},
              {"+FDCC=?", "(0,1),(0-3),(0-2),(0,1,2),(0),(0),(0),(0-7)|OK"}},
     .class = MODEM_CLASS_2,
     .rates = MODEM_V27TER | MODEM_V29,
     .advice = "it has no V.17"},
    {.name = "a list of classes with its name, quoted answers with prefix",
     .rows = {{"+FCLASS=?", "+FCLASS: (0-2)|OK"}, {"+FMI?", "+FMI: \"ACME Inc\"|OK"}},
     .class = MODEM_CLASS_1,
     .classes = C1 | C2},
    {.name = "no list of classes: they are tried",
     .rows = {{"+FCLASS=?", "OK"}, {"+FCLASS=1.0", "ERROR"}},
     .class = MODEM_CLASS_1,
     .advice = "does not list its classes"},
    {.name = "a list that is not true",
     .rows = {{"+FCLASS=1.0", "ERROR"}},
     .class = MODEM_CLASS_1,
     .advice = "lists class 1.0, but does not take it"},
    {.name = "no list of rates",
     .rows = {{"+FRM=?", "ERROR"}},
     .class = MODEM_CLASS_1_0,
     .far = true,
     .advice = "does not list its rates (+FRM=?)"},
    {.name = "rates in parentheses, 9600 at most",
     .rows = {{"+FRM=?", "(24,48,72,96)|OK"}},
     .class = MODEM_CLASS_1_0,
     .far = true,
     .rates = MODEM_V27TER | MODEM_V29,
     .advice = "it has no V.17"},
    {.name = "neither +FRS nor +FTS",
     .rows = {{"+FRS=?", "ERROR"}, {"+FTS=?", "ERROR"}},
     .class = MODEM_CLASS_1_0,
     .far = true,
     .no_frs = true,
     .no_fts = true},
    {.name = "flow by the second command that is usual",
     .rows = {{"&K3", "ERROR"}, {"+IFC=2,2", "OK"}},
     .class = MODEM_CLASS_1_0,
     .far = true,
     .flow = "+IFC=2,2"},
    {.name = "no flow control at all",
     .rows = {{"&K3", "ERROR"}},
     .class = MODEM_CLASS_1_0,
     .far = true,
     .flow = "",
     .commands = "AT&K3\n|AT+IFC=2,2\n|AT&H1\n|AT\\Q3\n",
     .advice = "takes no command for flow = rtscts"},
    {.name = "flow as wished: none",
     .wish = {.flow = SERIAL_FLOW_NONE},
     .class = MODEM_CLASS_1_0,
     .far = true,
     .flow = "&K0"},
    {.name = "no caller ID",
     .rows = {{"+VCID=1", "ERROR"}},
     .class = MODEM_CLASS_1_0,
     .far = true,
     .caller_id = "",
     .commands = "AT+VCID=1\n|AT#CID=1\n|AT#CID=10\n|AT%CCID=1\n",
     .advice = "callers stay unknown"},
    {.name = "caller ID is not wanted",
     .wish = {.caller_id = "none"},
     .class = MODEM_CLASS_1_0,
     .far = true,
     .caller_id = "",
     .commands = "!CID"},
    {.name = "caller ID by the line's command",
     .wish = {.caller_id = "*ID1"},
     .rows = {{"\\*ID1", "OK"}, {"*ID1", "OK"}},
     .class = MODEM_CLASS_1_0,
     .far = true,
     .caller_id = "*ID1",
     .commands = "!CID"},
    {.name = "commands of the line, with AT and blanks, one not taken",
     .wish = {.init = "AT&F1 | S7=60|X9"},
     .rows = {{"&F1", "OK"}, {"S7=60", "OK"}},
     .class = MODEM_CLASS_1_0,
     .far = true,
     .commands = "AT&C1&D2\n|AT&F1\n|ATS7=60\n|ATX9\n|ATS0=0\n",
     .advice = "says ERROR to ATX9 of init"},
    {.name = "does not take S0=0",
     .rows = {{"S0=0", "ERROR"}},
     .class = MODEM_CLASS_1_0,
     .far = true,
     .advice = "ATS0=0"},
    {.name = "forgets its class with caller ID",
     .rows = {{"+FCLASS?", "0|OK"}},
     .class = MODEM_CLASS_1_0,
     .far = true,
     .commands = "AT+FCLASS?\n|AT+FCLASS=1.0\n",
     .advice = "forgot its class"},
    {.name = "says its class",
     .rows = {{"+FCLASS?", "1.0|OK"}},
     .class = MODEM_CLASS_1_0,
     .far = true},
    /* ways to answer */
    {.name = "echoes all it is sent",
     .traits = {.echoes = true},
     .class = MODEM_CLASS_1_0,
     .far = true},
    {.name = "says OK twice to everything",
     .traits = {.twice = true},
     .class = MODEM_CLASS_1_0,
     .far = true,
     .classes = C1 | C1_0,
     .caller_id = "+VCID=1"},
    {.name = "says OK twice to its reset, late",
     .rows = {{"Z", "OK||OK"}},
     .class = MODEM_CLASS_1_0,
     .far = true},
    {.name = "noise before each answer",
     .traits = {.noisy = true},
     .class = MODEM_CLASS_1_0,
     .far = true},
    {.name = "slow: 2.5 s for every answer",
     .traits = {.delay_ms = 2500},
     .class = MODEM_CLASS_1_0,
     .far = true,
     .classes = C1 | C1_0},
    {.name = "answers nothing to questions it does not know",
     .rows = {{"I*", NULL}, {"+FM*", NULL}, {"+FREV?", NULL}, {"+GMM", NULL}},
     .class = MODEM_CLASS_1_0,
     .far = true},
    {.name = "no answer to its reset",
     .rows = {{"Z", NULL}},
     .class = MODEM_CLASS_1_0,
     .far = true,
     .advice = "did not answer to its reset (ATZ)"},
    {.name = "ERROR to its reset",
     .rows = {{"Z", "ERROR"}},
     .class = MODEM_CLASS_1_0,
     .far = true,
     .advice = "says ERROR to its reset (ATZ)"},
    {.name = "it rings all the time",
     .traits = {.rings_every = 3},
     .class = MODEM_CLASS_1_0,
     .far = true},
    /* asleep */
    {.name = "quiet (Q1)", .traits = {.quiet = true}, .class = MODEM_CLASS_1_0, .far = true},
    {.name = "numeric answers (V0)",
     .traits = {.numeric = true},
     .class = MODEM_CLASS_1_0,
     .far = true},
    {.name = "in the middle of a page",
     .traits = {.stuck_in = "\x10\x03"},
     .class = MODEM_CLASS_1_0,
     .far = true},
    {.name = "in a data call",
     .traits = {.stuck_in = "+++"},
     .class = MODEM_CLASS_1_0,
     .far = true,
     .commands = "ATH0\n"},
    {.name = "hangs until DTR goes off",
     .traits = {.needs_dtr = true},
     .class = MODEM_CLASS_1_0,
     .far = true},
    {.name = "speaks 19200 only",
     .traits = {.speed = 19200},
     .class = MODEM_CLASS_1_0,
     .far = true,
     .advice = "answers at 19200, not at speed = 115200: set speed = 19200"},
    {.name = "a port slower than the line",
     .wish = {.speed = 9600},
     .class = MODEM_CLASS_1_0,
     .far = true,
     .advice = "speed = 9600 is slower than faxes"},
    /* models */
    {.name = "USR5637",
     .usb = "0BAF:0303",
     .model = "usr-5637",
     .rows = {{"+FCLASS=?", "0,1|OK"}, {"&H1", "OK"}, {"+FAE=0", "OK"}},
     .class = MODEM_CLASS_1,
     .no_frs = true,
     .flow = "&H1",
     .commands = "AT+FCLASS=1\n|AT&H1\n|!AT+FRS=?|!AT&K3",
     .advice = "old firmware"},
    {.name = "USR Courier",
     .model = "usr",
     .rows = {SAYS("3366"),
              {"+FCLASS=?", "0,1,2.0|OK"},
              {"S13=1&D2", "OK"},
              {"&H1&I0&R2", "OK"},
              {"#CID=1", "OK"}},
     .class = MODEM_CLASS_1,
     .no_frs = true,
     .flow = "&H1&I0&R2",
     .caller_id = "#CID=1",
     .commands = "ATS13=1&D2\n|AT+FCLASS=1\n|AT&H1&I0&R2\n|AT#CID=1\n|!AT+VCID"},
    {.name = "StarTech USB56KEMH2",
     .usb = "0572:1329",
     .model = "conexant-usb",
     .rows = {SAYS("56000"), {"I3", "CX93001-EIS_V0.2002-V92|OK"}, {"+FCLASS=?", "0,1,8|OK"}},
     .class = MODEM_CLASS_1,
     .flow = "&K3",
     .caller_id = "+VCID=1",
     .commands = "ATZ\n|AT+FCLASS=1\n|AT&K3\n|AT+VCID=1\n",
     .advice = "+GCI"},
    {.name = "Conexant behind a USB id nobody knows",
     .usb = "1234:5678",
     .model = "conexant-usb",
     .rows = {SAYS("56000"), {"I3", "CX93001-EIS_V0.2002-V92|OK"}, {"+FCLASS=?", "0,1,8|OK"}},
     .class = MODEM_CLASS_1},
    {.name = "MT5634ZBA",
     .model = "mt5634zba",
     .rows = {{"I0", "MT5634ZBA|OK"}, {"+FCLASS=?", "0,1,1.0,2,2.0,2.1,8|OK"}},
     .class = MODEM_CLASS_1_0,
     .far = true,
     .advice = "XON/XOFF is broken"},
    {.name = "MT9234ZBA",
     .usb = "06e0:0319",
     .model = "mt9234zba",
     .rows = {{"+FCLASS=?", "0,2.0,2.1|OK"}, {"+FCLASS=2.0", "OK"}},
     .class = MODEM_CLASS_2_0,
     .advice = "mts_mt9234zba.fw"},
    {.name = "Agere (Zoom 2949L)",
     .model = "agere",
     .rows = {{"I0", "LT V.92 1.0 Zoom 2949L|OK"}, {"&C1&D3", "OK"}},
     .class = MODEM_CLASS_1_0,
     .far = true,
     .commands = "AT&C1&D3\n"},
    {.name = "Zoom 3049C",
     .model = "rockwell",
     .rows = {SAYS("56000"), {"#CID=1", "OK"}, {"+FCLASS=?", "0,1,1.0,2|OK"}},
     .class = MODEM_CLASS_1_0,
     .far = true,
     .caller_id = "#CID=1"},
    {.name = "an old Rockwell",
     .model = "rockwell-old",
     .rows = {SAYS("14400"), {"+FCLASS=?", "0,1,2|OK"}},
     .class = MODEM_CLASS_1,
     .advice = "needs speed = 19200"},
    {.name = "MT5600ZDX",
     .model = "mt5600zdx",
     .rows = {SAYS("56000"), {"I4", "MT5600ZDX|OK"}, {"#CID=1", "OK"}},
     .class = MODEM_CLASS_1_0,
     .far = true,
     .caller_id = "#CID=1"},
    {.name = "Mainpine IQ",
     .model = "mainpine",
     .rows = {{"I4", "Mainpine IQ Express|OK"}, {"&C1&D3", "OK"}},
     .class = MODEM_CLASS_1_0,
     .far = true},
    {.name = "Patton 2977",
     .model = "patton",
     .rows = {{"I3", "Patton 2977|OK"}, {"#CID=10", "OK"}, {"+FCLASS=?", "0,1,2,2.0|OK"}},
     .class = MODEM_CLASS_1,
     .caller_id = "#CID=10",
     .advice = "+FCERROR"},
    {.name = "Diva",
     .model = "diva",
     .rows = {{"I0", "Eicon Networks DIVA|OK"}, {"#CID=14", "OK"}, {"&D2", "OK"}},
     .class = MODEM_CLASS_1,
     .caller_id = "#CID=14"},
    {.name = "iaxmodem",
     .model = "iaxmodem",
     .rows = {SAYS("spandsp"), {"+FCLASS=?", "0,1,1.0|OK"}},
     .class = MODEM_CLASS_1,
     .far = true,
     .commands = "AT+FCLASS=1\n|AT+FAR=1\n|AT+VCID=1\n"},
    {.name = "t38modem",
     .model = "t38modem",
     .rows = {SAYS("T38FAX"), {"#CID=10", "OK"}, {"+FCLASS=?", "0,1|OK"}},
     .class = MODEM_CLASS_1,
     .caller_id = "#CID=10",
     .advice = "0.7.0"},
    {.name = "Hamlet",
     .model = "topic",
     .rows = {{"I3", "Hamlet HV90|OK"}, {"+FCLASS=?", "0,1|OK"}},
     .class = MODEM_CLASS_1,
     .no_frs = true,
     .no_fts = true,
     .commands = "!AT+FRS=?|!AT+FTS=?"},
    {.name = "Hayes",
     .model = "hayes",
     .rows = {{"I4", "Hayes Accura|OK"}, {"%CCID=1", "OK"}},
     .class = MODEM_CLASS_1_0,
     .far = true,
     .caller_id = "%CCID=1"},
};

static void advice_of(char *out, size_t size, const struct modem_found *found)
{
    size_t used = 0;
    int i;

    out[0] = '\0';
    for (i = 0; i < found->advice_count; i++)
        used += (size_t)snprintf(out + used, size - used, "%s\n", found->advice[i]);
}

static void check_good(const struct good *g, const struct modem *m, const struct modem_found *found)
{
    const char *model = g->model != NULL ? g->model : "generic";
    const struct modem_traits *t = &found->traits;
    unsigned rates = g->rates != 0 ? g->rates : MODEM_V27TER | MODEM_V29 | MODEM_V17;
    bool is_1 = g->class == MODEM_CLASS_1 || g->class == MODEM_CLASS_1_0;
    char advice[MODEM_ADVICE_MAX * MODEM_ADVICE_TEXT];
    const char *word;

    advice_of(advice, sizeof advice, found);
    if (strcmp(found->model->name, model) != 0)
        fail_msg("%s: model %s\n%s", g->name, found->model->name, m->trace);
    if (t->class != g->class || t->rates != rates || t->far != g->far)
        fail_msg("%s: class %s rates %u far %d\n%s", g->name, modem_class_text(t->class), t->rates,
                 t->far, m->trace);
    if (g->classes != 0 && found->classes != g->classes)
        fail_msg("%s: classes %x\n%s", g->name, found->classes, m->trace);
    if (is_1 && (t->has_frs == g->no_frs || t->has_fts == g->no_fts))
        fail_msg("%s: frs %d fts %d\n%s", g->name, t->has_frs, t->has_fts, m->trace);
    if (g->flow != NULL && strcmp(found->flow, g->flow) != 0)
        fail_msg("%s: flow by '%s'\n%s", g->name, found->flow, m->trace);
    if (g->caller_id != NULL && strcmp(found->caller_id, g->caller_id) != 0)
        fail_msg("%s: caller ID by '%s'\n%s", g->name, found->caller_id, m->trace);
    if ((word = missing_word(m->log, g->commands)) != NULL)
        fail_msg("%s: command: %s\n%s", g->name, word, m->log);
    if (g->advice != NULL && strstr(advice, g->advice) == NULL)
        fail_msg("%s: advice: %s", g->name, advice);
    if (g->advice == NULL && g->model == NULL && advice[0] != '\0')
        fail_msg("%s: needless advice: %s", g->name, advice);
}

static void test_good(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof goods / sizeof goods[0]; i++) {
        const struct good *g = &goods[i];
        struct modem *m = modem_new(g->rows, &g->traits);
        struct modem_setup *setup = setup_for(m, &g->wish, g->usb);

        if (setup_run(m, setup, false) != MODEM_SETUP_READY)
            fail_msg("%s: %s\n%s", g->name, modem_setup_found(setup)->problem, m->trace);
        check_good(g, m, modem_setup_found(setup));
        modem_setup_free(setup);
        free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
    };

    return cmocka_run_group_tests(tests, setup_rig_open, setup_rig_close);
}
