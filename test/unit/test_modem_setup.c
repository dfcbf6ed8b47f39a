/* SPDX-License-Identifier: MIT */
/*
 * test_modem_setup.c - modems as modems.md tells of them, played by a script on virtual time: each
 * is woken, identified and set up, or it is said what is wrong.
 */
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
#include "base/text.h"
#include "fax/modem/modem_setup.h"

enum { QUEUE_MAX = 64, ROWS_MAX = 28, LOG_SIZE = 16384, EXPECT_MAX = 8 };

#define C1   (1u << MODEM_CLASS_1)
#define C1_0 (1u << MODEM_CLASS_1_0)
#define C2   (1u << MODEM_CLASS_2)
#define C2_0 (1u << MODEM_CLASS_2_0)
#define C2_1 (1u << MODEM_CLASS_2_1)

/* ---- the scripted modem ---------------------------------------------------------------------- */

/* Command without AT ('*' stands for any text); lines of its answer divided by '|', NULL: none. */
struct row {
    const char *command, *answer;
};

struct traits {
    int delay_ms; /* of each answer */
    int speed;    /* at which it understands; 0: any */
    bool dead, echoes, twice, noisy;
    bool quiet;           /* Q1 until Q0 */
    bool numeric;         /* V0 until V1 */
    const char *stuck_in; /* octets that get it out of its data state: "\x10\x03", "+++" */
    bool needs_dtr;       /* hangs until DTR was off */
    int dies_after;       /* commands; 0: never */
    int rings_every;      /* puts a RING before every n-th answer */
};

static const struct row usual[] = {
    {"", "OK"},
    {"Z", "OK"},
    {"E0V1Q0", "OK"},
    {"Q0V1E0", "OK"},
    {"S0=0", "OK"},
    {"H0", "OK"},
    {"&C1&D2", "OK"},
    {"I0", "4711|OK"},
    {"I3", "Rev. 1.5|OK"},
    {"+FMI?", "ACME|OK"},
    {"+FCLASS=?", "0,1,1.0|OK"},
    {"+FCLASS=1", "OK"},
    {"+FCLASS=1.0", "OK"},
    {"+FRM=?", "24,48,72,73,74,96,97,98,121,122,145,146|OK"},
    {"+FRS=?", "0-255|OK"},
    {"+FTS=?", "0-255|OK"},
    {"+FAR=1", "OK"},
    {"&K3", "OK"},
    {"&K4", "OK"},
    {"&K0", "OK"},
    {"+VCID=1", "OK"},
};

struct modem {
    const struct row *rows;
    struct traits traits;
    int64_t now_ms;
    struct {
        int64_t due_ms;
        char text[400];
    } queue[QUEUE_MAX];
    int queued;
    char command[200];
    size_t length;
    char tail[8]; /* last octets, for stuck_in */
    bool is_stuck, is_quiet, is_numeric, hangs;
    int port_speed, commands;
    char log[LOG_SIZE];   /* commands that came, a line each */
    char trace[LOG_SIZE]; /* what the set-up said of it */
    char rings[400];
};

static void note(char *log, const char *a, const char *b)
{
    size_t used = strlen(log);

    snprintf(log + used, LOG_SIZE - used, "%s%s\n", a, b);
}

static void answer_text(struct modem *m, const char *text)
{
    if (m->queued == QUEUE_MAX)
        fail_msg("the script's queue is full");
    m->queue[m->queued].due_ms = m->now_ms + m->traits.delay_ms;
    text_copy(m->queue[m->queued++].text, sizeof m->queue[0].text, text);
}

/* "a|OK" as the octets of it. */
static void answer(struct modem *m, const char *lines)
{
    char out[400] = "";
    size_t used = 0;

    if (m->traits.noisy)
        used += (size_t)snprintf(out, sizeof out, "\xfe\x80%c\xff\x01", 0x7f);
    if (m->traits.rings_every > 0 && m->commands % m->traits.rings_every == 0)
        used +=
            (size_t)snprintf(out + used, sizeof out - used, "\r\nRING\r\n\r\nNMBR = 5551234\r\n");
    while (lines[0] != '\0') {
        size_t n = strcspn(lines, "|");

        used += (size_t)snprintf(out + used, sizeof out - used, "\r\n%.*s\r\n", (int)n, lines);
        lines += n + (lines[n] == '|');
    }
    answer_text(m, out);
}

static const char *look_up(const struct modem *m, const char *command)
{
    size_t i;

    for (i = 0; m->rows != NULL && m->rows[i].command != NULL; i++)
        if (text_match(m->rows[i].command, command))
            return m->rows[i].answer != NULL ? m->rows[i].answer : "";
    for (i = 0; i < sizeof usual / sizeof usual[0]; i++)
        if (strcmp(usual[i].command, command) == 0)
            return usual[i].answer;
    return "ERROR";
}

static void command_came(struct modem *m)
{
    const char *lines;
    char echo[210];

    note(m->log, m->command, "");
    m->commands++;
    if (m->traits.dies_after > 0 && m->commands > m->traits.dies_after)
        return;
    if (m->traits.echoes) {
        snprintf(echo, sizeof echo, "%s\r", m->command);
        answer_text(m, echo);
    }
    if (strncmp(m->command, "AT", 2) != 0)
        return;
    if (strstr(m->command, "Q0") != NULL)
        m->is_quiet = false;
    if (strstr(m->command, "V1") != NULL)
        m->is_numeric = false;
    lines = look_up(m, m->command + 2);
    if (lines[0] == '\0' || m->is_quiet)
        return;
    if (m->is_numeric) {
        answer_text(m, strcmp(lines, "OK") == 0 ? "0\r" : "4\r");
        return;
    }
    answer(m, lines);
    if (m->traits.twice)
        answer(m, "OK");
}

static bool is_deaf(struct modem *m, uint8_t octet)
{
    size_t n = sizeof m->tail - 1;

    memmove(m->tail, m->tail + 1, n - 1);
    m->tail[n - 1] = (char)octet;
    if (m->is_stuck && strcmp(m->tail + n - strlen(m->traits.stuck_in), m->traits.stuck_in) == 0) {
        m->is_stuck = false;
        m->length = 0;
        answer(m, "OK");
        return true;
    }
    return m->traits.dead || m->hangs || m->is_stuck ||
           (m->traits.speed != 0 && m->traits.speed != m->port_speed);
}

static void send_octets(void *user, const uint8_t *octets, size_t length)
{
    struct modem *m = user;
    size_t i;

    for (i = 0; i < length; i++) {
        if (is_deaf(m, octets[i]))
            continue;
        if (octets[i] != '\r' && m->length + 1 < sizeof m->command) {
            m->command[m->length++] = (char)octets[i];
            continue;
        }
        m->command[m->length] = '\0';
        m->length = 0;
        command_came(m);
    }
}

static void trace(void *user, const char *direction, const char *text)
{
    char line[400];

    snprintf(line, sizeof line, "%s %s", direction, text);
    note(((struct modem *)user)->trace, line, "");
}

static void set_dtr(void *user, bool on)
{
    struct modem *m = user;

    if (on)
        m->hangs = false;
}

static void set_speed(void *user, int speed)
{
    ((struct modem *)user)->port_speed = speed;
}

static void line(void *user, const char *text)
{
    struct modem *m = user;

    if (strlen(m->rings) + strlen(text) + 2 < sizeof m->rings) {
        strcat(m->rings, text);
        strcat(m->rings, ";");
    }
}

/* Gives what is due to the set-up, octet by octet so that nothing depends on how they come. */
static void deliver(struct modem *m, struct modem_setup *setup)
{
    int i;

    while (m->queued > 0 && m->queue[0].due_ms <= m->now_ms) {
        char text[400];
        size_t at;

        memcpy(text, m->queue[0].text, sizeof text);
        for (i = 1; i < m->queued; i++)
            m->queue[i - 1] = m->queue[i];
        m->queued--;
        for (at = 0; text[at] != '\0'; at++)
            modem_setup_octets(setup, (const uint8_t *)&text[at], 1, m->now_ms);
    }
}

/* Runs a set-up to its end; time goes from event to event. */
static enum modem_setup_state run(struct modem *m, struct modem_setup *setup, bool quick)
{
    int64_t begin_ms = m->now_ms;
    enum modem_setup_state state;

    modem_setup_begin(setup, quick, m->now_ms);
    while ((state = modem_setup_step(setup, m->now_ms)) == MODEM_SETUP_BUSY) {
        int64_t next_ms = modem_setup_due_ms(setup);

        if (m->queued > 0 && m->queue[0].due_ms < next_ms)
            next_ms = m->queue[0].due_ms;
        if (next_ms - begin_ms > 2 * MODEM_SETUP_MOST_MS)
            fail_msg("it never ends:\n%s", m->trace);
        if (next_ms > m->now_ms)
            m->now_ms = next_ms;
        deliver(m, setup);
    }
    assert_true(modem_setup_due_ms(setup) == INT64_MAX);
    assert_true(m->now_ms - begin_ms <= MODEM_SETUP_MOST_MS);
    return state;
}

static struct modem_models *models;

static struct modem *modem_new(const struct row *rows, const struct traits *traits)
{
    struct modem *m = calloc(1, sizeof *m);

    assert_non_null(m);
    m->rows = rows;
    m->traits = *traits;
    m->is_stuck = traits->stuck_in != NULL;
    m->is_quiet = traits->quiet;
    m->is_numeric = traits->numeric;
    m->hangs = traits->needs_dtr;
    m->port_speed = 115200;
    return m;
}

static struct modem_setup *setup_for(struct modem *m, const struct modem_wish *wish,
                                     const char *usb)
{
    const struct modem_setup_hooks hooks = {m, send_octets, trace, set_dtr, set_speed, line};
    struct modem_wish whole = *wish;
    struct modem_setup *setup = NULL;

    if (whole.speed == 0)
        whole.speed = 115200;
    assert_int_equal(modem_setup_new(&setup, models, &whole, usb, &hooks), 0);
    return setup;
}

/* ---- modems that become ready ---------------------------------------------------------------- */

/* Words divided by '|' stand in this order in text; a word with '!' before is not in it at all. */
static const char *missing_word(const char *text, const char *words)
{
    static char word[100];
    const char *at = text;

    while (words != NULL && words[0] != '\0') {
        size_t n = strcspn(words, "|");

        snprintf(word, sizeof word, "%.*s", (int)n, words);
        words += n + (words[n] == '|');
        if (word[0] == '!') {
            if (strstr(text, word + 1) != NULL)
                return word;
            continue;
        }
        at = strstr(at, word);
        if (at == NULL)
            return word;
        at += strlen(word);
    }
    return NULL;
}

struct good {
    const char *name;
    struct modem_wish wish;
    const char *usb;
    struct row rows[ROWS_MAX];
    struct traits traits;
    const char *model; /* NULL: generic */
    enum modem_class class;
    unsigned classes; /* 0: not looked at */
    unsigned rates;   /* 0: all */
    bool no_frs, no_fts, far;
    const char *flow, *caller_id; /* NULL: not looked at */
    const char *commands;         /* in this order, see missing_word() */
    const char *advice;           /* all in one */
};

#define SAYS(i0)                                                                                   \
    {                                                                                              \
        "I0", i0 "|OK"                                                                             \
    }

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

        if (run(m, setup, false) != MODEM_SETUP_READY)
            fail_msg("%s: %s\n%s", g->name, modem_setup_found(setup)->problem, m->trace);
        check_good(g, m, modem_setup_found(setup));
        modem_setup_free(setup);
        free(m);
    }
}

/* ---- modems that do not ---------------------------------------------------------------------- */

static void test_bad(void **state)
{
    static const struct {
        const char *name;
        struct modem_wish wish;
        struct row rows[ROWS_MAX];
        struct traits traits;
        const char *problem;
        int64_t most_ms; /* a line that waits for it tells its operator by then */
    } table[] = {
        {"dead", {0}, {{0}}, {.dead = true}, "does not answer to AT, at 115200", 30000},
        {"only echoes", {0}, {{"*", NULL}}, {.echoes = true}, "repeats what it is sent", 30000},
        {"babbles", {0}, {{"*", "~x~y"}}, {0}, "no answer to AT", 30000},
        {"ERROR to everything", {0}, {{"*", "ERROR"}}, {0}, "says ERROR to everything, even", 9000},
        {"ERROR to everything but AT",
         {0},
         {{"", "OK"}, {"Z", "OK"}, {"Q0V1E0", "OK"}, {"*", "ERROR"}},
         {0},
         "says ERROR to everything but AT",
         20000},
        {"ERROR, and noise before it", {0}, {{"*", "ERROR"}}, {.noisy = true}, "says ERROR", 9000},
        {"no fax", {0}, {{"+FCLASS=?", "0,8|OK"}}, {0}, "has no fax", 20000},
        {"not the wished class",
         {.class = MODEM_CLASS_2_1},
         {{0}},
         {0},
         "does not take AT+FCLASS=2.1, which class = 2.1 asks for; it lists: 1, 1.0",
         20000},
        {"none of its classes",
         {0},
         {{"+FCLASS=1*", "ERROR"}, {"I*", "x|OK"}, {"+FM*", "x|OK"}, {"+FREV?", "x|OK"}},
         {0},
         "takes no fax class",
         20000},
        {"stops answering", {0}, {{0}}, {.dies_after = 9}, "stopped answering", 60000},
        {"dies with its reset", {0}, {{0}}, {.dies_after = 1}, "no answer to AT", 90000},
        {"answers to nothing in time", {0}, {{0}}, {.delay_ms = 60000}, "answer", 240000},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct modem *m = modem_new(table[i].rows, &table[i].traits);
        struct modem_setup *setup = setup_for(m, &table[i].wish, NULL);
        const struct modem_found *found = modem_setup_found(setup);

        if (run(m, setup, false) != MODEM_SETUP_FAILED ||
            strstr(found->problem, table[i].problem) == NULL)
            fail_msg("%s: '%s'\n%s", table[i].name, found->problem, m->trace);
        if (m->now_ms > table[i].most_ms)
            fail_msg("%s: takes %lld ms\n%s", table[i].name, (long long)m->now_ms, m->trace);
        assert_int_equal(m->port_speed, 115200); /* as it was */
        modem_setup_free(setup);
        free(m);
    }
}

/* ---- after a call ---------------------------------------------------------------------------- */

static void test_quick(void **state)
{
    static const struct row none[] = {{NULL, NULL}};
    static const struct row lost[] = {{"+FCLASS=1.0", "ERROR"}, {NULL, NULL}};
    static const struct row other_flow[] = {{"&K3", "ERROR"}, {"&H1", "OK"}, {NULL, NULL}};
    const struct modem_wish wish = {.init = "&F1"};
    struct modem *m = modem_new(none, &(struct traits){0});
    struct modem_setup *setup = setup_for(m, &wish, NULL);

    (void)state;
    assert_int_equal(run(m, setup, true), MODEM_SETUP_READY); /* the first is a full one */
    assert_null(missing_word(m->log, "ATZ\n|AT+FCLASS=?\n"));
    m->log[0] = '\0';
    assert_int_equal(run(m, setup, true), MODEM_SETUP_READY);
    assert_null(missing_word(m->log, "AT\n|ATE0V1Q0\n|ATS0=0\n|AT+FCLASS=1.0\n|AT+FAR=1\n|AT&K3\n|"
                                     "AT+VCID=1\n|!ATZ|!ATI0|!FCLASS=?"));
    assert_int_equal(modem_setup_found(setup)->traits.class, MODEM_CLASS_1_0);
    assert_true(modem_setup_found(setup)->traits.far);

    /* What it does not take any more leads to the full form, which finds the next best. */
    m->log[0] = '\0';
    m->rows = lost;
    assert_int_equal(run(m, setup, true), MODEM_SETUP_READY);
    assert_null(missing_word(m->log, "AT+FCLASS=1.0\n|ATZ\n|AT+FCLASS=1\n"));
    assert_int_equal(modem_setup_found(setup)->traits.class, MODEM_CLASS_1);

    m->rows = other_flow; /* another modem was plugged in, say */
    assert_int_equal(run(m, setup, true), MODEM_SETUP_READY);
    assert_string_equal(modem_setup_found(setup)->flow, "&H1");

    /* One that hangs gets all of the full form; one that stays dead has failed. */
    m->traits.dead = true;
    assert_int_equal(run(m, setup, true), MODEM_SETUP_FAILED);
    m->traits.dead = false;
    m->log[0] = '\0';
    assert_int_equal(run(m, setup, true), MODEM_SETUP_READY);
    assert_null(missing_word(m->log, "ATZ\n"));
    assert_string_equal(modem_setup_found(setup)->problem, "");
    modem_setup_free(setup);
    free(m);
}

/* What a model needs after a call is in the quick form. */
static void test_quick_waits(void **state)
{
    static const struct row rows[] = {SAYS("spandsp"), {NULL, NULL}};
    struct modem *m = modem_new(rows, &(struct traits){0});
    struct modem_setup *setup = setup_for(m, &(struct modem_wish){0}, NULL);
    int64_t begin_ms;

    (void)state;
    assert_int_equal(run(m, setup, false), MODEM_SETUP_READY);
    begin_ms = m->now_ms;
    assert_int_equal(run(m, setup, true), MODEM_SETUP_READY);
    assert_true(m->now_ms - begin_ms >= 5000);
    modem_setup_free(setup);
    free(m);
}

/* Calls that come while it is set up are not lost. */
static void test_rings(void **state)
{
    struct modem *m = modem_new(NULL, &(struct traits){.rings_every = 5});
    struct modem_setup *setup = setup_for(m, &(struct modem_wish){0}, NULL);

    (void)state;
    assert_int_equal(run(m, setup, false), MODEM_SETUP_READY);
    assert_non_null(strstr(m->rings, "RING;NMBR = 5551234;"));
    modem_setup_free(setup);
    free(m);
}

static void test_words(void **state)
{
    static const struct row rows[] = {{"+FMI?", "+FMI: \"U.S. Robotics\"|OK"},
                                      {"+FMM?", "+FMM: 5637|OK"},
                                      {"+FMR?", "1.2.23|OK"},
                                      {NULL, NULL}};
    struct modem *m = modem_new(rows, &(struct traits){0});
    struct modem_setup *setup = setup_for(m, &(struct modem_wish){0}, NULL);
    const struct modem_found *found = modem_setup_found(setup);

    (void)state;
    assert_int_equal(run(m, setup, false), MODEM_SETUP_READY);
    assert_string_equal(found->maker, "U.S. Robotics");
    assert_string_equal(found->product, "5637");
    assert_string_equal(found->firmware, "1.2.23");
    assert_string_equal(found->model->name, "usr-5637");
    modem_setup_free(setup);
    free(m);
}

static void test_wrong_wishes(void **state)
{
    static const char *const wrong[] = {
        "AT\r\nATDT0190", "\x80", "a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p|q",
        "0123456789012345678901234567890123456789012345678901234567890123"};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const struct modem_setup_hooks hooks = {.send_octets = send_octets};
        struct modem_setup *setup = NULL;

        assert_int_equal(
            modem_setup_new(&setup, models, &(struct modem_wish){.init = wrong[i]}, NULL, &hooks),
            ERROR_FORMAT);
        assert_int_equal(modem_setup_new(&setup, models,
                                         &(struct modem_wish){.caller_id = wrong[i]}, NULL, &hooks),
                         ERROR_FORMAT);
    }
}

static int set_up(void **state)
{
    (void)state;
    return modem_models_read(&models, NULL, NULL, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    modem_models_unref(models);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),         cmocka_unit_test(test_bad),
        cmocka_unit_test(test_quick),        cmocka_unit_test(test_quick_waits),
        cmocka_unit_test(test_rings),        cmocka_unit_test(test_words),
        cmocka_unit_test(test_wrong_wishes),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
