/* SPDX-License-Identifier: MIT */
/*
 * test_class2.c - dialogues with modems that speak T.30 themselves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fax/class2_words.h"
#include "test/unit/class2_rig.h"

#define OFFER "(0,1),(0-5),(0-2),(0-2),(0,1),(0-2),(0),(0-7)"

/* The way to ATA. */
#define PREPARE_2                                                                                  \
    {"AT+FCR=1", "OK"}, {"AT+FLID=\"+49 30 1\"", "OK"}, {"AT+FDCC=?", OFFER "|OK"},                \
        {"AT+FDCC=1,5,2,2,1,2,0,0", "OK"},                                                         \
    {                                                                                              \
        "AT+FBOR=0", "OK"                                                                          \
    }
#define PREPARE_20                                                                                 \
    {"AT+FCR=1", "OK"}, {"AT+FLI=\"+49 30 1\"", "OK"}, {"AT+FCC=?", "+FCC:" OFFER "|OK"},          \
        {"AT+FCC=1,5,2,2,1,1,0,0", "OK"}, {"AT+FBO=0", "OK"},                                      \
    {                                                                                              \
        "AT+FNR=1,1,1,0", "OK"                                                                     \
    }
#define ANSWER_2                                                                                   \
    {                                                                                              \
        "ATA", "~3000|+FCON|~1500|+FTSI: \"     +1 555 1234    \"|~600|+FDCS: 1,5,0,2,0,0,0,0|OK"  \
    }
#define ANSWER_20                                                                                  \
    {                                                                                              \
        "ATA", "~3000|+FCO|~1500|+FTI:\"     +1 555 1234    \"|~600|+FCS:1,5,0,2,0,0,0,0,0|OK"     \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, NULL                                                                                 \
    }

static const struct exchange one_page_2[] = {PREPARE_2,
                                             ANSWER_2,
                                             {"AT+FDR", "+FCFR|CONNECT"},
                                             {"DC2", "@1|+FPTS: 1,200|+FET: 2|OK"},
                                             {"AT+FDR", "~1200|+FHNG: 0|OK"},
                                             END};
static const struct exchange one_page_20[] = {PREPARE_20,
                                              ANSWER_20,
                                              {"AT+FDR", "CONNECT"},
                                              {"DC2", "@1|+FPS:1,C8,0,0,0|+FET:2|OK"},
                                              {"AT+FDR", "~1200|+FHS:00|OK"},
                                              END};

struct row {
    struct class2_case c;
    enum call_verdict verdict;
    int pages, unconfirmed;
    const char *error; /* must be in the error text; NULL: there is none */
};

static const struct row rows[] = {
    {{.name = "Class 2, a page", .script = one_page_2, .class = MODEM_CLASS_2},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "Class 2.0, a page", .script = one_page_20, .class = MODEM_CLASS_2_0},
     CALL_COMPLETE,
     1,
     0,
     NULL},
};

static void run_row(const struct row *row)
{
    static struct class2_result result;
    const struct class2_case *c = &row->c;

    class2_run(&result, c);
    if (!result.ended || result.fault[0] != '\0')
        fail_msg("%s: ended %d, %s\n%s", c->name, result.ended, result.fault, result.trace);
    if (result.info.verdict != row->verdict || result.info.pages != row->pages ||
        result.info.unconfirmed != row->unconfirmed || result.stored < row->pages)
        fail_msg("%s: verdict %d, %d pages, %d unconfirmed, %d stored, error \"%s\"\n%s", c->name,
                 result.info.verdict, result.info.pages, result.info.unconfirmed, result.stored,
                 result.info.error, result.trace);
    if (row->error == NULL ? result.info.error[0] != '\0'
                           : strstr(result.info.error, row->error) == NULL)
        fail_msg("%s: error \"%s\"\n%s", c->name, result.info.error, result.trace);
    for (int i = 1; i <= row->pages; i++)
        if (result.page_hash[i] != class2_page_hash(c, i))
            fail_msg("%s: page %d is not what was sent\n%s", c->name, i, result.trace);
}

static void test_dialogues(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        run_row(&rows[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dialogues),
    };

    return cmocka_run_group_tests_name("class2", tests, NULL, NULL);
}
