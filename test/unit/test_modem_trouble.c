/* SPDX-License-Identifier: MIT */
/*
 * test_modem_trouble.c - modems that do not become ready, and what is wrong is said; modems after a
 * call; calls that come meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "test/unit/setup_rig.h"

/* ---- modems that do not ---------------------------------------------------------------------- */

static void test_bad(void **state)
{
    static const struct {
        const char *name;
        struct modem_wish wish;
        struct setup_row rows[SETUP_ROWS_MAX];
        struct setup_traits traits;
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

        if (setup_run(m, setup, false) != MODEM_SETUP_FAILED ||
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
    static const struct setup_row none[] = {{NULL, NULL}};
    static const struct setup_row lost[] = {{"+FCLASS=1.0", "ERROR"}, {NULL, NULL}};
    static const struct setup_row other_flow[] = {{"&K3", "ERROR"}, {"&H1", "OK"}, {NULL, NULL}};
    const struct modem_wish wish = {.init = "&F1"};
    struct modem *m = modem_new(none, &(struct setup_traits){0});
    struct modem_setup *setup = setup_for(m, &wish, NULL);

    (void)state;
    assert_int_equal(setup_run(m, setup, true), MODEM_SETUP_READY); /* the first is a full one */
    assert_null(missing_word(m->log, "ATZ\n|AT+FCLASS=?\n"));
    m->log[0] = '\0';
    assert_int_equal(setup_run(m, setup, true), MODEM_SETUP_READY);
    assert_null(missing_word(m->log, "AT\n|ATE0V1Q0\n|ATS0=0\n|AT+FCLASS=1.0\n|AT+FAR=1\n|AT&K3\n|"
                                     "AT+VCID=1\n|!ATZ|!ATI0|!FCLASS=?"));
    assert_int_equal(modem_setup_found(setup)->traits.class, MODEM_CLASS_1_0);
    assert_true(modem_setup_found(setup)->traits.far);

    /* What it does not take any more leads to the full form, which finds the next best. */
    m->log[0] = '\0';
    m->rows = lost;
    assert_int_equal(setup_run(m, setup, true), MODEM_SETUP_READY);
    assert_null(missing_word(m->log, "AT+FCLASS=1.0\n|ATZ\n|AT+FCLASS=1\n"));
    assert_int_equal(modem_setup_found(setup)->traits.class, MODEM_CLASS_1);

    m->rows = other_flow; /* another modem was plugged in, say */
    assert_int_equal(setup_run(m, setup, true), MODEM_SETUP_READY);
    assert_string_equal(modem_setup_found(setup)->flow, "&H1");

    /* One that hangs gets all of the full form; one that stays dead has failed. */
    m->traits.dead = true;
    assert_int_equal(setup_run(m, setup, true), MODEM_SETUP_FAILED);
    m->traits.dead = false;
    m->log[0] = '\0';
    assert_int_equal(setup_run(m, setup, true), MODEM_SETUP_READY);
    assert_null(missing_word(m->log, "ATZ\n"));
    assert_string_equal(modem_setup_found(setup)->problem, "");
    modem_setup_free(setup);
    free(m);
}

/* What a model needs after a call is in the quick form. */
static void test_quick_waits(void **state)
{
    static const struct setup_row rows[] = {SAYS("spandsp"), {NULL, NULL}};
    struct modem *m = modem_new(rows, &(struct setup_traits){0});
    struct modem_setup *setup = setup_for(m, &(struct modem_wish){0}, NULL);
    int64_t begin_ms;

    (void)state;
    assert_int_equal(setup_run(m, setup, false), MODEM_SETUP_READY);
    begin_ms = m->now_ms;
    assert_int_equal(setup_run(m, setup, true), MODEM_SETUP_READY);
    assert_true(m->now_ms - begin_ms >= 5000);
    modem_setup_free(setup);
    free(m);
}

/* Calls that come while it is set up are not lost. */
static void test_rings(void **state)
{
    struct modem *m = modem_new(NULL, &(struct setup_traits){.rings_every = 5});
    struct modem_setup *setup = setup_for(m, &(struct modem_wish){0}, NULL);

    (void)state;
    assert_int_equal(setup_run(m, setup, false), MODEM_SETUP_READY);
    assert_non_null(strstr(m->rings, "RING;NMBR = 5551234;"));
    modem_setup_free(setup);
    free(m);
}

static void test_words(void **state)
{
    static const struct setup_row rows[] = {{"+FMI?", "+FMI: \"U.S. Robotics\"|OK"},
                                            {"+FMM?", "+FMM: 5637|OK"},
                                            {"+FMR?", "1.2.23|OK"},
                                            {NULL, NULL}};
    struct modem *m = modem_new(rows, &(struct setup_traits){0});
    struct modem_setup *setup = setup_for(m, &(struct modem_wish){0}, NULL);
    const struct modem_found *found = modem_setup_found(setup);

    (void)state;
    assert_int_equal(setup_run(m, setup, false), MODEM_SETUP_READY);
    assert_string_equal(found->maker, "U.S. Robotics");
    assert_string_equal(found->product, "5637");
    assert_string_equal(found->firmware, "1.2.23");
    assert_string_equal(found->model->name, "usr-5637");
    modem_setup_free(setup);
    free(m);
}

static void send_nothing(void *user, const uint8_t *octets, size_t length)
{
    (void)user;
    (void)octets;
    (void)length;
}

static void test_wrong_wishes(void **state)
{
    static const char *const wrong[] = {
        "AT\r\nATDT0190", "\x80", "a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p|q",
        "0123456789012345678901234567890123456789012345678901234567890123"};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const struct modem_setup_hooks hooks = {.send_octets = send_nothing};
        struct modem_setup *setup = NULL;

        assert_int_equal(modem_setup_new(&setup, setup_models,
                                         &(struct modem_wish){.init = wrong[i]}, NULL, &hooks),
                         ERROR_FORMAT);
        assert_int_equal(modem_setup_new(&setup, setup_models,
                                         &(struct modem_wish){.caller_id = wrong[i]}, NULL, &hooks),
                         ERROR_FORMAT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad),         cmocka_unit_test(test_quick),
        cmocka_unit_test(test_quick_waits), cmocka_unit_test(test_rings),
        cmocka_unit_test(test_words),       cmocka_unit_test(test_wrong_wishes),
    };

    return cmocka_run_group_tests(tests, setup_rig_open, setup_rig_close);
}
