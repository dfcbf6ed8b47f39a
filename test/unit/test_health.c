/* SPDX-License-Identifier: MIT */
/*
 * test_health.c - down after a failure, one probe at a time with growing distance, back at once;
 * connections are counted; and many threads at the same time.
 */
#include "smtp/health.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

enum { FIRST_MS = 100, MOST_MS = 300, PROOF_MS = 3600000 };

static const struct health_times times = {FIRST_MS, MOST_MS, PROOF_MS};
static const struct health_hold plain; /* neither a probe nor greeted */

static void describe(struct server_list *list, int count, int connections)
{
    int i;

    memset(list, 0, sizeof *list);
    list->count = count;
    for (i = 0; i < count; i++) {
        snprintf(list->server[i].name, SERVER_NAME_MAX, "s%d", i + 1);
        list->server[i].connections = connections;
    }
}

static enum policy_health state_of(struct health *health, const struct server_list *list, int index)
{
    struct policy_health_entry entry[SERVER_COUNT_MAX];

    health_snapshot(health, list, 1000000, entry);
    if (entry[index].health == POLICY_DOWN)
        assert_true(entry[index].probe_ms > 1000000);
    return entry[index].health;
}

static void test_probes(void **state)
{
    struct server_list list;
    struct health *health = NULL;
    struct health_status status;
    struct health_hold hold = {.probe = true};
    enum policy_health state_is;
    int64_t down_ms;

    (void)state;
    describe(&list, 2, 5);
    assert_int_equal(health_new(&health, &times), 0);
    health_set_servers(health, &list);
    assert_int_equal(state_of(health, &list, 0), POLICY_UP);
    assert_int_equal(health_acquire(health, &list.server[0], &hold), HEALTH_GO);
    assert_false(hold.probe);
    assert_false(health_release(health, "s1", &plain, HEALTH_BROKEN, "refused"));
    assert_int_equal(state_of(health, &list, 0), POLICY_DOWN);
    assert_int_equal(state_of(health, &list, 1), POLICY_UP);
    assert_int_equal(health_acquire(health, &list.server[0], &hold), HEALTH_TAKEN);
    assert_true(health_status(health, "s1", 1000000, &status));
    assert_false(status.up);
    assert_string_equal(status.reason, "refused");
    /* The first probe is one delivery's; it fails: the next is twice as far. */
    usleep((FIRST_MS + 30) * 1000);
    assert_int_equal(state_of(health, &list, 0), POLICY_PROBE);
    assert_int_equal(health_acquire(health, &list.server[0], &hold), HEALTH_GO);
    assert_true(hold.probe);
    assert_int_equal(state_of(health, &list, 0), POLICY_DOWN);
    assert_int_equal(health_acquire(health, &list.server[0], &(struct health_hold){.probe = false}),
                     HEALTH_TAKEN);
    down_ms = clock_monotonic_ms();
    assert_false(health_release(health, "s1", &hold, HEALTH_BROKEN, "refused"));
    usleep((FIRST_MS + 30) * 1000);
    state_is = state_of(health, &list, 0);
    if (clock_monotonic_ms() - down_ms < 2 * FIRST_MS) /* a machine may stand still */
        assert_int_equal(state_is, POLICY_DOWN);
    usleep((FIRST_MS + 30) * 1000);
    assert_int_equal(health_acquire(health, &list.server[0], &hold), HEALTH_GO);
    assert_true(health_release(health, "s1", &hold, HEALTH_WORKED, ""));
    assert_int_equal(state_of(health, &list, 0), POLICY_UP);
    assert_false(health_status(health, "none", 0, &status));
    health_free(health);
}

static void test_connections(void **state)
{
    struct server_list list;
    struct health *health = NULL;
    struct health_hold hold[3];

    (void)state;
    describe(&list, 1, 2);
    assert_int_equal(health_new(&health, &times), 0);
    health_set_servers(health, &list);
    assert_int_equal(health_acquire(health, &list.server[0], &hold[0]), HEALTH_GO);
    health_greeted(health, "s1", &hold[0]);
    assert_int_equal(health_acquire(health, &list.server[0], &hold[1]), HEALTH_GO);
    assert_false(health_has_room(health, "s1"));
    assert_int_equal(health_acquire(health, &list.server[0], &hold[2]), HEALTH_FULL);
    health_release(health, "s1", &hold[0], HEALTH_WORKED, "");
    assert_true(health_has_room(health, "s1"));
    assert_int_equal(health_acquire(health, &list.server[0], &hold[0]), HEALTH_GO);
    /* A change of the list keeps what is known. */
    health_release(health, "s1", &hold[0], HEALTH_BROKEN, "x");
    describe(&list, 2, 1);
    health_set_servers(health, &list);
    assert_int_equal(state_of(health, &list, 0), POLICY_DOWN);
    assert_int_equal(state_of(health, &list, 1), POLICY_UP);
    health_free(health);
}

/* One that has not spoken yet is asked by one connection; its greeting opens it for all at once,
 * and what is being sent then does not count against the next question. */
static void test_proof(void **state)
{
    static const struct health_times brief = {FIRST_MS, MOST_MS, FIRST_MS};
    struct server_list list;
    struct health *health = NULL;
    struct health_hold hold[5];
    int i;

    (void)state;
    describe(&list, 1, 4);
    assert_int_equal(health_new(&health, &times), 0);
    health_set_servers(health, &list);
    assert_true(health_has_room(health, "s1"));
    assert_int_equal(health_acquire(health, &list.server[0], &hold[0]), HEALTH_GO);
    assert_false(health_has_room(health, "s1"));
    assert_int_equal(health_acquire(health, &list.server[0], &hold[1]), HEALTH_FULL);
    assert_true(health_greeted(health, "s1", &hold[0]));
    for (i = 1; i < 4; i++)
        assert_int_equal(health_acquire(health, &list.server[0], &hold[i]), HEALTH_GO);
    assert_int_equal(health_acquire(health, &list.server[0], &hold[4]), HEALTH_FULL);
    assert_false(health_greeted(health, "s1", &hold[0])); /* nothing new */
    assert_false(health_greeted(health, "s1", &hold[1]));
    /* It goes down, and the proof with it: when it is back after a probe it is open for all. */
    for (i = 0; i < 4; i++)
        health_release(health, "s1", &hold[i], HEALTH_BROKEN, "x");
    assert_int_equal(health_acquire(health, &list.server[0], &hold[0]), HEALTH_TAKEN);
    usleep((FIRST_MS + 30) * 1000);
    assert_int_equal(health_acquire(health, &list.server[0], &hold[0]), HEALTH_GO);
    assert_true(hold[0].probe);
    assert_true(health_release(health, "s1", &hold[0], HEALTH_WORKED, ""));
    for (i = 0; i < 4; i++)
        assert_int_equal(health_acquire(health, &list.server[0], &hold[i]), HEALTH_GO);
    health_free(health);

    /* The proof grows old: one in the middle of a long message does not stand in the way. */
    assert_int_equal(health_new(&health, &brief), 0);
    health_set_servers(health, &list);
    assert_int_equal(health_acquire(health, &list.server[0], &hold[0]), HEALTH_GO);
    assert_true(health_greeted(health, "s1", &hold[0]));
    usleep((FIRST_MS + 30) * 1000);
    assert_int_equal(health_acquire(health, &list.server[0], &hold[1]), HEALTH_GO);
    assert_int_equal(health_acquire(health, &list.server[0], &hold[2]), HEALTH_FULL);
    /* Given back without a word, on our side: the next one may ask. */
    health_release(health, "s1", &hold[1], HEALTH_NEITHER, "");
    assert_int_equal(health_acquire(health, &list.server[0], &hold[2]), HEALTH_GO);
    assert_int_equal(health_acquire(health, &list.server[0], &hold[3]), HEALTH_FULL);
    health_free(health);
}

struct race {
    struct health *health;
    struct server_list list;
    int inside, most; /* by atomic builtins */
};

static void *run_race(void *arg)
{
    struct race *race = arg;
    int i;

    for (i = 0; i < 300; i++) {
        struct health_hold hold;
        int inside;

        if (health_acquire(race->health, &race->list.server[0], &hold) != HEALTH_GO)
            continue;
        inside = __atomic_add_fetch(&race->inside, 1, __ATOMIC_SEQ_CST);
        if (inside > __atomic_load_n(&race->most, __ATOMIC_SEQ_CST))
            __atomic_store_n(&race->most, inside, __ATOMIC_SEQ_CST);
        if (i % 7 != 0)
            health_greeted(race->health, "s1", &hold);
        __atomic_sub_fetch(&race->inside, 1, __ATOMIC_SEQ_CST);
        health_release(race->health, "s1", &hold, i % 7 == 0 ? HEALTH_BROKEN : HEALTH_WORKED, "x");
        if (i % 7 == 0)
            usleep(1500);
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    static struct race race;
    pthread_t threads[8];
    struct health_status status;
    int i;

    (void)state;
    describe(&race.list, 1, 3);
    assert_int_equal(health_new(&race.health, &(struct health_times){1, 2, 1000}), 0);
    health_set_servers(race.health, &race.list);
    for (i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, run_race, &race);
    for (i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_in_range(race.most, 1, 3);
    assert_true(health_status(race.health, "s1", 0, &status));
    assert_int_equal(status.connections, 0);
    assert_false(status.probing);
    health_free(race.health);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probes),
        cmocka_unit_test(test_connections),
        cmocka_unit_test(test_proof),
        cmocka_unit_test(test_many_threads),
    };

    log_open("test", LOG_LEVEL_ALERT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
