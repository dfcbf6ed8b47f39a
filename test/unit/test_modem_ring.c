/* SPDX-License-Identifier: MIT */
/*
 * test_modem_ring.c - rings and caller ID in all the forms that modems give them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fax/modem/modem_ring.h"
#include "fax/modem/modem_welcome.h"

enum { LINES_MAX = 16 };

static void test_calls(void **state)
{
    static const struct {
        const char *name;
        const char *lines[LINES_MAX]; /* a second between them */
        int rings;
        const char *number, *caller, *called, *distinctive;
        char withheld;
    } table[] = {
        {"rings alone", {"RING", "RING"}, 2, "", "", "", "", 0},
        {"USR5637, MT5634ZBA",
         {"RING", "DATE=1122", "TIME=0231", "NMBR=5551234", "NAME=ACME LTD", "RING"},
         2,
         "5551234",
         "ACME LTD",
         "",
         "",
         0},
        {"Courier, Conexant, Rockwell",
         {"RING", "DATE = 1122", "TIME = 0231", "NMBR = +49 30 1234", "NAME = J. Doe"},
         1,
         "+49 30 1234",
         "J. Doe",
         "",
         "",
         0},
        {"before the first ring (UK, France)", {"NMBR = 0123", "RING"}, 1, "0123", "", "", "", 0},
        {"Patton", {"RING", "NMBR=0123", "NDID=4711"}, 1, "0123", "", "4711", "", 0},
        {"DDN", {"RING", "NMBR=0123", "DDN_NMBR=4712"}, 1, "0123", "", "4712", "", 0},
        {"Diva", {"RING", "CID: 0301234", "DAD: 99"}, 1, "0301234", "", "99", "", 0},
        {"iaxmodem",
         {"RING", "NMBR=100", "NAME=Anna", "ANID=200", "NDID=300"},
         1,
         "100",
         "Anna",
         "300",
         "",
         0},
        {"ANID for want of a number", {"RING", "NMBR=", "ANID=200"}, 1, "200", "", "", "", 0},
        {"t38modem", {"RING", "NMBR = 12", "NDID = 34"}, 1, "12", "", "34", "", 0},
        {"quoted, small letters",
         {"RING", "nmbr = \"77\"", "name: \" x \""},
         1,
         "77",
         "x",
         "",
         "",
         0},
        {"private", {"RING", "NMBR = P", "NAME = P"}, 1, "", "", "", "", 'P'},
        {"out of area", {"RING", "NMBR=O"}, 1, "", "", "", "", 'O'},
        {"in words", {"RING", "NMBR = OUT OF AREA"}, 1, "", "", "", "", 'O'},
        {"withheld first, then known", {"RING", "NMBR=O", "NMBR=12"}, 1, "12", "", "", "", 0},
        {"known, then nothing", {"RING", "NMBR=12", "NMBR="}, 1, "12", "", "", "", 0},
        {"the same said after each ring",
         {"RING", "NMBR=12", "NAME=A", "RING", "NMBR=12", "NAME=A", "RING"},
         3,
         "12",
         "A",
         "",
         "",
         0},
        {"somebody else at the heels of who gave up",
         {"RING", "NMBR=12", "NAME=A", "NDID=1", "RING", "RING", "NMBR=13", "RING"},
         2,
         "13",
         "",
         "",
         "",
         0},
        {"one who tells no number at their heels",
         {"RING", "NMBR=12", "NAME=A", "RING", "RING", "NMBR=P", "NAME=P"},
         1,
         "",
         "",
         "",
         "",
         'P'},
        {"one with a number at the heels of one without",
         {"RING", "NMBR=P", "RING", "RING", "NMBR=13"},
         1,
         "13",
         "",
         "",
         "",
         0},
        {"distinctive by number", {"RING 1", "RING 1"}, 2, "", "", "", "1", 0},
        {"distinctive by letter", {"RING B"}, 1, "", "", "", "B", 0},
        {"a single ring by cadence",
         {"DROF=120", "DRON=20", "DROF=40", "DRON=20", "DROF=40"},
         2,
         "",
         "",
         "",
         "20",
         0},
        {"a double ring by cadence, its first pause ignored",
         {"DROF=4", "DRON=8", "DROF=4", "DRON=8", "DROF=40", "DRON=8", "DROF=4", "DRON=8"},
         2,
         "",
         "",
         "",
         "8-4-8",
         0},
        {"cadence and RING: a ring counts once",
         {"DRON=20", "RING", "DROF=40", "DRON=20", "RING"},
         2,
         "",
         "",
         "",
         "20",
         0},
        {"what is no ring",
         {"RINGING", "NO CARRIER", "OK", "NUMBER=1", "CIDER=2"},
         0,
         "",
         "",
         "",
         "",
         0},
    };
    size_t i;
    int j;

    (void)state;
    for (i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct modem_ring ring;

        modem_ring_clear(&ring);
        for (j = 0; j < LINES_MAX && table[i].lines[j] != NULL; j++)
            modem_ring_line(&ring, table[i].lines[j], 1000 * j);
        if (ring.rings != table[i].rings || strcmp(ring.number, table[i].number) != 0 ||
            strcmp(ring.name, table[i].caller) != 0 || strcmp(ring.called, table[i].called) != 0 ||
            strcmp(ring.distinctive, table[i].distinctive) != 0 ||
            ring.withheld != table[i].withheld)
            fail_msg("%s: %d rings from '%s' '%s' to '%s', distinctive '%s', withheld %d",
                     table[i].name, ring.rings, ring.number, ring.name, ring.called,
                     ring.distinctive, ring.withheld);
    }
}

static void test_events(void **state)
{
    static const struct {
        const char *line;
        enum modem_ring_event event;
    } table[] = {
        {"RING", MODEM_RING_RANG},       {"RING A", MODEM_RING_RANG},
        {"NMBR=1", MODEM_RING_INFO},     {"DATE=1", MODEM_RING_INFO},
        {"DROF=9", MODEM_RING_INFO},     {"DRON=9", MODEM_RING_RANG},
        {"OK", MODEM_RING_NOTHING},      {"", MODEM_RING_NOTHING},
        {"NMBR", MODEM_RING_NOTHING},    {"RINGS", MODEM_RING_NOTHING},
        {"CONNECT", MODEM_RING_NOTHING}, {"=", MODEM_RING_NOTHING},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct modem_ring ring;

        modem_ring_clear(&ring);
        if (modem_ring_line(&ring, table[i].line, 5) != table[i].event)
            fail_msg("'%s'", table[i].line);
        assert_int_equal(ring.is_ringing, table[i].event != MODEM_RING_NOTHING);
    }
}

/* A call that nobody took is not mixed with the next. */
static void test_time(void **state)
{
    struct modem_ring ring;

    (void)state;
    modem_ring_clear(&ring);
    assert_false(modem_ring_is_over(&ring, 1000000));
    modem_ring_line(&ring, "RING", 0);
    modem_ring_line(&ring, "NMBR=1", 1000);
    assert_false(modem_ring_is_over(&ring, 1000 + MODEM_RING_GAP_MS));
    assert_true(modem_ring_is_over(&ring, 1001 + MODEM_RING_GAP_MS));
    modem_ring_line(&ring, "OK", 50000); /* says nothing about it */
    assert_string_equal(ring.number, "1");
    modem_ring_line(&ring, "RING", 60000);
    assert_int_equal(ring.rings, 1);
    assert_string_equal(ring.number, "");
    assert_int_equal(ring.first_ms, 60000);
    modem_ring_line(&ring, "RING", 66000);
    assert_int_equal(ring.rings, 2);
    assert_int_equal(ring.last_ms, 66000);
    modem_ring_line(&ring, "NMBR=2", 67000);
    modem_ring_line(&ring, "RING", 72000);
    assert_int_equal(ring.first_ms, 60000);
    modem_ring_line(&ring, "NMBR=3", 73000);
    assert_int_equal(ring.first_ms, 73000);
    assert_true(ring.is_ringing);
}

/* Who is judged by a number is not answered before it may have come. */
static void test_welcome(void **state)
{
    static const struct {
        const char *allow, *deny, *number;
        char withheld;
        int rings, wanted;
        bool is_blocked;
    } table[] = {
        {"", "", "", 0, 1, 1, false},         {"", "", "", 'P', 4, 4, false},
        {"", "12*", "", 0, 1, 2, false},      {"", "12*", "123", 0, 1, 1, true},
        {"", "12*", "13", 0, 1, 1, false},    {"", "anonymous", "", 'P', 1, 1, true},
        {"", "anonymous", "", 0, 1, 2, true}, {"12*", "", "", 0, 1, 2, true},
        {"12*", "", "123", 0, 3, 3, false},   {"12*", "", "13", 0, 3, 3, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct modem_line_settings line = {.name = "desk", .rings = table[i].rings};
        struct modem_ring ring = {.withheld = table[i].withheld, .first_ms = 5};
        struct modem_told told = {.first_ms = 0};

        assert_int_equal(caller_list_parse(&line.allow, table[i].allow), 0);
        assert_int_equal(caller_list_parse(&line.deny, table[i].deny), 0);
        snprintf(ring.number, sizeof ring.number, "%s", table[i].number);
        if (modem_rings_wanted(&line, &ring) != table[i].wanted ||
            modem_caller_is_blocked(&line, &ring, &told) != table[i].is_blocked)
            fail_msg("row %zu", i);
        assert_int_equal(modem_told_first(&told, &ring), !table[i].is_blocked);
        modem_line_settings_clear(&line);
    }
}

/* Long and strange values are cut and made harmless. */
static void test_bounds(void **state)
{
    struct modem_ring ring;
    char line[300];
    int i;

    (void)state;
    modem_ring_clear(&ring);
    memset(line, '9', sizeof line);
    line[sizeof line - 1] = '\0';
    memcpy(line, "NMBR=", 5);
    modem_ring_line(&ring, line, 0);
    assert_int_equal(strlen(ring.number), CALL_NUMBER_MAX - 1);
    modem_ring_line(&ring, "NAME=\x1b[2J\x01\xff", 0);
    assert_string_equal(ring.name, "?[2J??");
    for (i = 0; i < 100; i++) {
        modem_ring_line(&ring, "DRON=8", i);
        modem_ring_line(&ring, "DROF=4", i);
    }
    assert_true(strlen(ring.distinctive) < sizeof ring.distinctive);
    modem_ring_line(&ring, "RING AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 0);
    assert_true(strlen(ring.distinctive) < sizeof ring.distinctive);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),  cmocka_unit_test(test_events),  cmocka_unit_test(test_time),
        cmocka_unit_test(test_bounds), cmocka_unit_test(test_welcome),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
