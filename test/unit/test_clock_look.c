/* SPDX-License-Identifier: MIT */
/*
 * test_clock_look.c - the clock is set while deliveries wait: none ends before its age, none waits
 * for ever, no name comes twice. Time is told by the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "test/unit/spool_rig.h"

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define YEAR   (365 * DAY)

/* What happens between the claim of a delivery that waits for 10 minutes and a look at it. */
static const struct row {
    const char *name;
    struct {
        int64_t wall, boot; /* how far each clock goes on; boot -1: another owner begins */
    } steps[5];
    int64_t age;  /* at the end, as the policy sees it; of the day that it had before */
    int64_t left; /* until it is due */
} rows[] = {
    {"time passes", {{2 * MINUTE, 2 * MINUTE}}, DAY + 2 * MINUTE, 8 * MINUTE},
    {"ten days forward", {{10 * DAY + MINUTE, MINUTE}}, DAY + MINUTE, 9 * MINUTE},
    {"ten years back", {{-10 * YEAR, 0}}, DAY, 10 * MINUTE},
    {"wrong and right again",
     {{10 * YEAR, 0}, {MINUTE, MINUTE}, {-10 * YEAR + MINUTE, MINUTE}},
     DAY + 2 * MINUTE,
     8 * MINUTE},
    {"some seconds are no jump", {{30000, 0}, {MINUTE, MINUTE}}, DAY + MINUTE + 30000, 510000},
    {"suspended for a week: time passes", {{7 * DAY, 7 * DAY}}, 8 * DAY, 10 * MINUTE - 7 * DAY},
    {"two that are no jumps, soon after each other, are one",
     {{30000 + MINUTE, MINUTE}, {31000 + 4 * MINUTE, 4 * MINUTE}},
     DAY + 5 * MINUTE,
     5 * MINUTE},
    {"slewed by a minute in an hour",
     {{40000 + HOUR, HOUR}, {40000 + HOUR, HOUR}},
     DAY + 2 * HOUR + 80000,
     10 * MINUTE - 2 * HOUR - 80000},
    {"off for five minutes: time passes", {{5 * MINUTE, -1}}, DAY + 5 * MINUTE, 5 * MINUTE},
    {"off for six days", {{6 * DAY, -1}}, DAY, 10 * MINUTE - 6 * DAY},
    {"begins in 1970, then the network tells",
     {{-56 * YEAR, -1}, {MINUTE, MINUTE}, {56 * YEAR, 0}},
     DAY + MINUTE,
     9 * MINUTE},
    {"begins ten years ahead, then the network tells",
     {{10 * YEAR, -1}, {-10 * YEAR + MINUTE, MINUTE}},
     DAY + MINUTE,
     9 * MINUTE - 10 * YEAR},
};

static void try_row(const struct row *row, const struct spool_rig *rig)
{
    struct spool *spool = rig_open(rig);
    int64_t wall = 1795300000000;
    int64_t boot = HOUR;
    struct spool_delivery got;
    struct spool_result wait = {.state = SPOOL_DUE, .due_ms = wall + 10 * MINUTE};
    char id[FAX_ID_MAX];
    size_t i;

    assert_true(spool_clock_look(spool, wall, boot) >= 0);
    rig_delivery(rig, spool, 1, wall - DAY, id);
    assert_int_equal(spool_claim(spool, wall, 1000 * YEAR, &got, 1), 1);
    wait.delivery_id = got.id;
    assert_int_equal(spool_finish(spool, &wait), 0);
    for (i = 0; i < 5 && (row->steps[i].wall != 0 || row->steps[i].boot != 0); i++) {
        wall += row->steps[i].wall;
        if (row->steps[i].boot == -1) {
            spool_close(spool);
            spool = rig_open(rig);
            boot = MINUTE;
        } else {
            boot += row->steps[i].boot;
        }
        assert_true(spool_clock_look(spool, wall, boot) >= 0);
    }
    assert_int_equal(spool_delivery_list(spool, id, &got, 1), 1);
    if (wall - got.created_ms != row->age || got.due_ms - wall != row->left)
        fail_msg("%s: age %lld s, due in %lld s", row->name,
                 (long long)(wall - got.created_ms) / 1000, (long long)(got.due_ms - wall) / 1000);
    spool_close(spool);
}

static void deliveries(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        void *rig = NULL;

        assert_int_equal(rig_setup(&rig), 0);
        try_row(&rows[i], rig);
        rig_teardown(&rig);
    }
}

/* One that is under way goes along, so that its next wait is judged by the right age; one that is
 * done stays as it was. */
static void under_way_and_done(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    const int64_t wall = 1795300000000;
    struct spool_delivery got[2];
    struct spool_result done = {.state = SPOOL_DONE};
    char id[FAX_ID_MAX];

    assert_int_equal(spool_clock_look(spool, wall, HOUR), 0);
    rig_delivery(rig, spool, 2, wall, id);
    assert_int_equal(spool_claim(spool, wall, 1000 * YEAR, got, 2), 2);
    done.delivery_id = got[0].id;
    assert_int_equal(spool_finish(spool, &done), 0);
    assert_int_equal(spool_clock_look(spool, wall + YEAR, HOUR), 1);
    assert_int_equal(spool_delivery_list(spool, id, got, 2), 2);
    assert_int_equal(got[0].created_ms, wall);
    assert_int_equal(got[1].created_ms, wall + YEAR);
    assert_int_equal(got[1].state, SPOOL_SENDING);
    spool_close(spool);
}

/* What is kept for 30 days is not removed because the clock went a year ahead. */
static void old_faxes_stay(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    const int64_t wall = clock_wall_ms();
    char id[FAX_ID_MAX];

    rig_fax(rig, CALL_EMPTY, 0, id);
    assert_int_equal(spool_clock_look(spool, wall, HOUR), 0);
    assert_int_equal(spool_take_over(spool, 10), 1);
    assert_int_equal(spool_clock_look(spool, wall + YEAR, HOUR), 1);
    assert_int_equal(spool_fax_expire(spool, wall + YEAR - 30 * DAY, 10), 0);
    assert_int_equal(spool_fax_expire(spool, wall + YEAR + DAY, 10), 1);
    spool_close(spool);
}

/* Two of the same moment, as when the clock is set back, have different names. */
static void names(void **state)
{
    char ids[2000][FAX_ID_MAX];
    int i;
    int k;

    (void)state;
    for (i = 0; i < 2000; i++) /* the same millisecond, again and again */
        fax_id_new(ids[i], 1795300000000);
    for (i = 0; i < 2000; i++)
        for (k = 0; k < i; k++)
            assert_string_not_equal(ids[i], ids[k]);
}

/* Names go by UTC, whatever the zone is, and by a calendar that has every day. */
static void zones_and_dates(void **state)
{
    static const struct {
        int64_t wall_ms;
        const char *begins;
    } dates[] = {
        {0, "19700101T000000000-"},
        {951782399999, "20000228T235959999-"},
        {951782400000, "20000229T000000000-"},
        {1798761599999, "20261231T235959999-"},
        {1798761600000, "20270101T000000000-"},
        {1774745999000, "20260329T005959000-"}, /* Europe: one second before summer time */
        {1774746000000, "20260329T010000000-"},
        {2147483648000, "20380119T031408000-"},
        {4102444800000, "21000101T000000000-"},
    };
    static const char *const zones[] = {"UTC", "Europe/Berlin", "Pacific/Kiritimati",
                                        "America/St_Johns"};
    size_t i;
    size_t z;

    (void)state;
    for (z = 0; z < sizeof zones / sizeof zones[0]; z++) {
        setenv("TZ", zones[z], 1);
        for (i = 0; i < sizeof dates / sizeof dates[0]; i++) {
            char id[FAX_ID_MAX];
            char folder[80];

            fax_id_new(id, dates[i].wall_ms);
            assert_memory_equal(id, dates[i].begins, strlen(dates[i].begins));
            assert_true(fax_id_is_valid(id));
            assert_int_equal(fax_id_wall_ms(id), dates[i].wall_ms);
            assert_int_equal(fax_id_folder(folder, sizeof folder, id), 0);
        }
    }
    unsetenv("TZ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deliveries),
        cmocka_unit_test_setup_teardown(under_way_and_done, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(old_faxes_stay, rig_setup, rig_teardown),
        cmocka_unit_test(names),
        cmocka_unit_test(zones_and_dates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
