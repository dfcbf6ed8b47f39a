/* SPDX-License-Identifier: MIT */
/*
 * test_class2_forever.c - modems that speak T.30 themselves and go on for ever, or let a sender do
 * so: each call ends, and what was confirmed is kept. The other media: test_ends.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fax/modem/front_modem.h"
#include "fax/t30/session.h"

enum {
    BEGIN_MS = 1000,
    CALL_MS = 1200000,
    MORE_MS = 60000, /* for the modem to be given up */
    STALL_MS = 90000,
    OCTETS_A_TICK = 36, /* 14400 bit/s */
    DC2 = 0x12,
    CAN = 0x18,
    DLE = 0x10,
};

struct modem {
    const struct forever *c;
    struct session *session;
    int64_t now_ms, due_ms;
    bool is_over;
    char command[200];
    size_t length;
    bool sends; /* a page, behind CONNECT and DC2 */
    int sent, stored;
    uint32_t random;
};

struct forever {
    const char *name;
    const char *to_ata, *to_fdr;      /* lines; NULL: as it should be */
    const char *again;                /* octets that come ten times a second, whatever is asked */
    int (*next)(struct modem *modem); /* octets of a page; negative: its end */
    int seconds_most;
    enum call_verdict verdict;
    int pages_least;
};

/* ---- pages ----------------------------------------------------------------------------------- */

/* EOL, white 1728, white 0, the first bit lowest. */
static const uint8_t white_row[] = {0x00, 0x28, 0x9b, 0x15};

static int next_row(struct modem *modem)
{
    return white_row[modem->sent++ % (int)sizeof white_row];
}

static int next_zero(struct modem *modem)
{
    (void)modem;
    return 0;
}

static int next_rubbish(struct modem *modem)
{
    modem->random = modem->random * 1664525u + 1013904223u;
    return (int)(modem->random >> 24);
}

/* A whole page of 100 rows. */
static int next_page(struct modem *modem)
{
    return modem->sent < 100 * (int)sizeof white_row ? next_row(modem) : -1;
}

/* ---- the modem ------------------------------------------------------------------------------- */

static void say(struct modem *modem, const void *octets, size_t length)
{
    if (!modem->is_over)
        session_post_octets(modem->session, octets, length);
}

static void say_text(struct modem *modem, const char *text)
{
    say(modem, text, strlen(text));
}

static void take_command(struct modem *modem)
{
    const struct forever *c = modem->c;

    if (strcmp(modem->command, "ATA") == 0)
        say_text(modem, c->to_ata != NULL ? c->to_ata
                                          : "\r\n+FCON\r\n\r\n+FTSI: \"1\"\r\n"
                                            "\r\n+FDCS: 1,5,0,2,0,0,0,0\r\n\r\nOK\r\n");
    else if (strcmp(modem->command, "AT+FDR") == 0)
        say_text(modem, c->to_fdr != NULL ? c->to_fdr : "\r\nCONNECT\r\n");
    else if (strstr(modem->command, "=?") != NULL)
        say_text(modem, "\r\n(0,1),(0-5),(0-2),(0-2),(0,1),(0-2),(0),(0-7)\r\n\r\nOK\r\n");
    else
        say_text(modem, "\r\nOK\r\n");
}

static void on_octets(void *user, const uint8_t *octets, size_t length)
{
    struct modem *modem = user;

    for (size_t i = 0; i < length; i++) {
        if (octets[i] == DC2) {
            modem->sends = modem->c->next != NULL;
            modem->sent = 0;
        } else if (octets[i] == CAN) {
            if (modem->sends)
                say(modem, (const uint8_t[]){DLE, 0x03}, 2);
            modem->sends = false;
            say_text(modem, "\r\nOK\r\n");
        } else if (octets[i] == '\r') {
            modem->command[modem->length] = '\0';
            modem->length = 0;
            take_command(modem);
        } else if (modem->length < sizeof modem->command - 1) {
            modem->command[modem->length++] = (char)octets[i];
        }
    }
}

static void send_page(struct modem *modem)
{
    for (int i = 0; i < OCTETS_A_TICK && modem->sends; i++) {
        int octet = modem->c->next(modem);
        uint8_t octets[2] = {(uint8_t)octet, (uint8_t)octet};

        if (octet >= 0) {
            say(modem, octets, octet == DLE ? 2 : 1);
            continue;
        }
        modem->sends = false;
        say(modem, (const uint8_t[]){DLE, 0x03}, 2);
        say_text(modem, "\r\n+FPTS: 1,100\r\n\r\n+FET: 0\r\n\r\nOK\r\n");
    }
}

static void take_pages(struct modem *modem)
{
    struct session_page page;

    while (session_take_page(modem->session, &page)) {
        if (!page.unconfirmed) {
            modem->stored++;
            session_post_stored(modem->session, page.generation, 0);
        }
        free(page.tiff);
    }
}

static void step(struct modem *modem)
{
    if (modem->c->again != NULL && modem->now_ms >= modem->due_ms) {
        modem->due_ms = modem->now_ms + 100;
        say_text(modem, modem->c->again);
    }
    send_page(modem);
    switch (session_run(modem->session, modem->now_ms, NULL)) {
    case SESSION_GOES_ON: break;
    case SESSION_NEEDS_WORKER:
        session_work(modem->session);
        take_pages(modem);
        break;
    case SESSION_ENDED: modem->is_over = true; break;
    }
}

/* ---- the table ------------------------------------------------------------------------------- */

enum { IDLE = 4 * STALL_MS / 1000 + 60, CALL = (CALL_MS + MORE_MS) / 1000 };

static const struct forever table[] = {
    {"rows", NULL, NULL, NULL, next_row, 200, CALL_EMPTY, 0},
    {"fill", NULL, NULL, NULL, next_zero, IDLE, CALL_EMPTY, 0},
    {"rubbish", NULL, NULL, NULL, next_rubbish, CALL, CALL_EMPTY, 0},
    {"pages", NULL, NULL, NULL, next_page, CALL, CALL_PARTIAL, 100},
    {"ATA: +FTSI", "", NULL, "\r\n+FTSI: \"1\"\r\n", NULL, IDLE, CALL_EMPTY, 0},
    {"ATA: +FCON", "", NULL, "\r\n+FCON\r\n", NULL, IDLE, CALL_EMPTY, 0},
    {"ATA: RING", "", NULL, "\r\nRING\r\n", NULL, IDLE, CALL_EMPTY, 0},
    {"ATA: no end of line", "", NULL, "xxxxxxxxxxxxxxxxxxxx", NULL, IDLE, CALL_EMPTY, 0},
    {"ATA: ends of lines", "", NULL, "\r\n\r\n\r\n\r\n", NULL, IDLE, CALL_EMPTY, 0},
    {"AT+FDR: +FDCS", NULL, "", "\r\n+FDCS: 1,5,0,2,0,0,0,0\r\n", NULL, IDLE, CALL_EMPTY, 0},
    {"AT+FDR: +FPTS", NULL, "", "\r\n+FPTS: 1,100\r\n", NULL, IDLE, CALL_EMPTY, 0},
    {"AT+FDR: +FET", NULL, "\r\n+FPTS: 1,0\r\n\r\n+FET: 0\r\n\r\nOK\r\n", NULL, NULL, IDLE,
     CALL_EMPTY, 0},
    {"OK", "", "", "\r\nOK\r\n", NULL, IDLE, CALL_EMPTY, 0},
    {"CONNECT", "", "", "\r\nCONNECT\r\n", NULL, IDLE, CALL_EMPTY, 0},
    {"DLE", NULL, NULL, "\x10", NULL, IDLE, CALL_EMPTY, 0},
    {"DLE ETX", NULL, NULL, "\x10\x03", NULL, IDLE, CALL_EMPTY, 0},
    {"pages with RING between them", NULL, NULL, "\r\nRING\r\n", next_page, CALL, CALL_PARTIAL,
     100},
};

static bool is_as_expected(const struct forever *c)
{
    struct modem modem = {.c = c, .now_ms = BEGIN_MS, .random = 1};
    const struct session_settings settings = {
        .media = SESSION_MODEM,
        .front_new = front_modem_new,
        .ecm = true,
        .pages_max = 500,
        .rows_max = 30000,
        .session_ms_max = CALL_MS,
        .stall_ms_max = STALL_MS,
        .modem = {.class = MODEM_CLASS_2},
    };
    const struct session_hooks hooks = {.user = &modem, .send_octets = on_octets};
    struct call_info info = {0};
    int seconds;

    if (session_library_init() < 0 || session_new(&modem.session, &settings, &hooks) < 0)
        abort();
    while (!modem.is_over && modem.now_ms < BEGIN_MS + CALL_MS + 2 * MORE_MS) {
        step(&modem);
        modem.now_ms += SESSION_TICK_MS;
    }
    seconds = (int)(modem.now_ms - BEGIN_MS) / 1000;
    session_describe(modem.session, &info);
    session_free(modem.session);
    if (getenv("FAXPOST_ENDS") != NULL)
        print_message("| %s | Class 2 | %d s | %s, %d pages | %s |\n", c->name, seconds,
                      call_verdict_text(info.verdict), info.pages, info.error);
    if (modem.is_over && seconds <= c->seconds_most && info.verdict == c->verdict &&
        info.pages >= c->pages_least && info.pages <= modem.stored)
        return true;
    print_error("%s: over %d after %d s, %s, %d pages, %d stored, \"%s\"\n", c->name, modem.is_over,
                seconds, call_verdict_text(info.verdict), info.pages, modem.stored, info.error);
    return false;
}

static void test_every_call_ends(void **state)
{
    int failures = 0;

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        failures += !is_as_expected(&table[i]);
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_call_ends)};

    return cmocka_run_group_tests_name("class2_forever", tests, NULL, NULL);
}
