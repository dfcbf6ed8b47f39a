/* SPDX-License-Identifier: MIT */
/*
 * setup_rig.c - what the modem answers, how that comes to the set-up, and the clock of both.
 */
#include "test/unit/setup_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

static const struct setup_row usual[] = {
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

static void note(char *log, const char *a, const char *b)
{
    size_t used = strlen(log);

    snprintf(log + used, SETUP_LOG_SIZE - used, "%s%s\n", a, b);
}

static void answer_text(struct modem *m, const char *text)
{
    if (m->queued == SETUP_QUEUE_MAX)
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

enum modem_setup_state setup_run(struct modem *m, struct modem_setup *setup, bool quick)
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

struct modem_models *setup_models;

struct modem *modem_new(const struct setup_row *rows, const struct setup_traits *traits)
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

struct modem_setup *setup_for(struct modem *m, const struct modem_wish *wish, const char *usb)
{
    const struct modem_setup_hooks hooks = {m, send_octets, trace, set_dtr, set_speed, line};
    struct modem_wish whole = *wish;
    struct modem_setup *setup = NULL;

    if (whole.speed == 0)
        whole.speed = 115200;
    assert_int_equal(modem_setup_new(&setup, setup_models, &whole, usb, &hooks), 0);
    return setup;
}

const char *missing_word(const char *text, const char *words)
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

int setup_rig_open(void **state)
{
    (void)state;
    return modem_models_read(&setup_models, NULL, NULL, NULL);
}

int setup_rig_close(void **state)
{
    (void)state;
    modem_models_unref(setup_models);
    return 0;
}
