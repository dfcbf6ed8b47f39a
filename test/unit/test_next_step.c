/* SPDX-License-Identifier: MIT */
/*
 * test_next_step.c - the flow of spec/failover.md on virtual time: scenarios as scripts, the
 * memory's text, and a generated walk over everything at once.
 */
#include "policy/next_step.h"

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

enum { WAIT = 180000, MINUTE = 60000, HOUR = 3600000 };

static const struct policy_settings usual = {
    .wait_ms = WAIT,
    .wait_max_ms = HOUR,
    .expire_ms = 5 * 24 * (int64_t)HOUR,
    .limit = 10,
    .same_server_limit = 3,
};

/* A world: settings, servers, health, one delivery. */
struct world {
    struct policy_settings settings;
    struct server_list servers;
    struct policy_health_entry health[SERVER_COUNT_MAX];
    struct policy_memory memory;
    struct policy_result result;
    bool permitted, forced, had_servers;
    int authority;
    int64_t now_ms;
};

static void world_begin(struct world *world, int servers, bool permitted)
{
    static const char *const names[] = {"one", "two", "three", "four"};
    int i;

    memset(world, 0, sizeof *world);
    world->settings = usual;
    world->servers.configured = true;
    world->servers.count = servers;
    world->permitted = permitted;
    for (i = 0; i < servers; i++) {
        text_copy(world->servers.server[i].name, SERVER_NAME_MAX, names[i]);
        world->servers.server[i].rank = i + 1;
        world->health[i].probe_ms = INT64_MAX;
    }
}

/* Asks; goes through the memory's text each time, as the spool does. */
static const struct policy_result *ask(struct world *world, enum policy_event event,
                                       const char *server, enum failure_class class)
{
    struct policy_input input = {
        .settings = &world->settings,
        .servers = &world->servers,
        .health = world->health,
        .had_servers = world->had_servers,
        .memory = &world->memory,
        .now_ms = world->now_ms,
        .forced = world->forced,
        .permitted = world->permitted,
        .authority = world->authority,
        .event = event,
        .server = server,
        .class = class,
    };
    char text[POLICY_MEMORY_TEXT_MAX];

    policy_next_step(&world->result, &input);
    assert_int_equal(policy_memory_format(text, &world->result.memory), 0);
    assert_int_equal(policy_memory_parse(&world->memory, text), 0);
    world->forced = false;
    return &world->result;
}

/* ---- scripts ----------------------------------------------------------------------------------
 * A line of a script: what happens, and the step, action and server (or wait) that must follow.
 *   begin              the delivery is taken up when its wait is over
 *   early              the same, woken now
 *   forced             made due by the operator
 *   CLASS              the attempt just made failed so
 *   down N, up N, probe N, allow, deny    change the world
 */
struct line {
    const char *event;
    const char *expected; /* "S1 one", "S7 wait 180000", "S4 done", "S6 fail", "S13 wait … warn" */
};

static const struct {
    const char *word;
    enum failure_class class;
} classes[] = {
    {"connection", FAILURE_CONNECTION}, {"server", FAILURE_SERVER},
    {"temporary", FAILURE_TEMPORARY},   {"destination", FAILURE_DESTINATION},
    {"refused", FAILURE_REFUSED},       {"large", FAILURE_TOO_LARGE},
    {"uncertain", FAILURE_UNCERTAIN},   {"more", FAILURE_MORE},
};

static void describe(char *out, size_t size, const struct world *world)
{
    const struct policy_result *result = &world->result;
    const char *step = policy_step_text(result->step);

    switch (result->action) {
    case POLICY_CONNECT: snprintf(out, size, "%s %s", step, result->server); break;
    case POLICY_WAIT:
        snprintf(out, size, "%s wait %lld%s%s", step, (long long)(result->due_ms - world->now_ms),
                 result->warn ? " warn" : "", result->no_server ? " no_server" : "");
        break;
    case POLICY_MAILBOX: snprintf(out, size, "%s mailbox", step); break;
    case POLICY_DONE: snprintf(out, size, "%s done", step); break;
    case POLICY_FAIL: snprintf(out, size, "%s fail", step); break;
    }
}

static bool change_world(struct world *world, const char *event)
{
    int index = 0;

    if (sscanf(event, "down %d", &index) == 1) {
        world->health[index - 1] = (struct policy_health_entry){POLICY_DOWN, world->now_ms + 10000};
    } else if (sscanf(event, "probe %d", &index) == 1) {
        world->health[index - 1].health = POLICY_PROBE;
    } else if (sscanf(event, "up %d", &index) == 1) {
        world->health[index - 1] = (struct policy_health_entry){POLICY_UP, INT64_MAX};
    } else if (strcmp(event, "allow") == 0) {
        world->permitted = true;
    } else if (strcmp(event, "deny") == 0) {
        world->permitted = false;
    } else {
        return false;
    }
    return true;
}

static void play_event(struct world *world, const char *event)
{
    size_t i;

    if (strcmp(event, "begin") == 0) {
        if (world->result.action == POLICY_WAIT && world->now_ms < world->result.due_ms)
            world->now_ms = world->result.due_ms;
        ask(world, POLICY_BEGIN, NULL, FAILURE_NONE);
    } else if (strcmp(event, "early") == 0) {
        world->now_ms += 1000;
        ask(world, POLICY_BEGIN, NULL, FAILURE_NONE);
    } else if (strcmp(event, "forced") == 0) {
        world->now_ms += 1000;
        world->forced = true;
        ask(world, POLICY_BEGIN, NULL, FAILURE_NONE);
    } else if (strcmp(event, "sent") == 0) {
        ask(world, POLICY_SENT, world->memory.at, FAILURE_NONE);
    } else if (strncmp(event, "crash", 5) == 0) {
        ask(world, POLICY_CRASHED, event[5] == ' ' ? event + 6 : "", FAILURE_NONE);
    } else if (strcmp(event, "taken") == 0) {
        ask(world, POLICY_NOT_TRIED, world->memory.at, FAILURE_NONE);
    } else {
        for (i = 0; i < sizeof classes / sizeof classes[0]; i++) {
            if (strcmp(classes[i].word, event) == 0) {
                ask(world, POLICY_FAILED, world->memory.at, classes[i].class);
                return;
            }
        }
        fail_msg("no such event: %s", event);
    }
}

static void play(struct world *world, const char *name, const struct line *script)
{
    char got[120];
    int i;

    print_message("  %s\n", name);
    for (i = 0; script[i].event != NULL; i++) {
        if (change_world(world, script[i].event))
            continue;
        play_event(world, script[i].event);
        describe(got, sizeof got, world);
        if (strcmp(got, script[i].expected) != 0)
            fail_msg("%s, line %d (%s): got '%s' (%s), expected '%s'", name, i, script[i].event,
                     got, world->result.reason, script[i].expected);
    }
}

#define END                                                                                        \
    {                                                                                              \
        NULL, NULL                                                                                 \
    }

/* clang-format off */
static const struct {
    const char *name;
    int servers;
    bool permitted;
    struct line script[16];
} scripts[] = {
    {"S1 to S4", 1, false, {{"begin", "S1 one"}, {"sent", "S4 done"}, END}},
    {"no server list", 0, false, {{"begin", "S4 mailbox"}, END}},
    {"connection failure, no bypass: S12, a new round", 2, false,
     {{"begin", "S1 one"}, {"connection", "S12 wait 180000"}, {"begin", "S1 one"},
      {"sent", "S4 done"}, END}},
    {"connection failure, bypass: S10 without waiting", 3, true,
     {{"begin", "S1 one"}, {"connection", "S10 two"}, {"server", "S10 three"},
      {"connection", "S12 wait 180000"}, {"begin", "S1 one"}, END}},
    {"only one server, bypass permitted", 1, true,
     {{"begin", "S1 one"}, {"server", "S12 wait 180000"}, END}},
    {"S6: no other server is asked", 2, true, {{"begin", "S1 one"}, {"destination", "S6 fail"}, END}},
    {"S7: the same server, three times, then the next", 2, true,
     {{"begin", "S1 one"}, {"temporary", "S7 wait 180000"}, {"begin", "S7 one"},
      {"temporary", "S7 wait 180000"}, {"begin", "S7 one"}, {"temporary", "S10 two"}, END}},
    {"S7 at the second server stays there", 2, true,
     {{"begin", "S1 one"}, {"connection", "S10 two"}, {"temporary", "S7 wait 180000"},
      {"begin", "S7 two"}, {"sent", "S4 done"}, END}},
    {"temporary errors are cleared by any other outcome", 1, false,
     {{"begin", "S1 one"}, {"temporary", "S7 wait 180000"}, {"begin", "S7 one"},
      {"temporary", "S7 wait 180000"}, {"begin", "S7 one"}, {"server", "S12 wait 180000"},
      {"begin", "S1 one"}, {"temporary", "S7 wait 180000"}, {"begin", "S7 one"},
      {"temporary", "S7 wait 180000"}, {"begin", "S7 one"}, {"temporary", "S12 wait 180000"}, END}},
    {"counted per server: the pass over a down one clears nothing", 2, true,
     {{"begin", "S1 one"}, {"temporary", "S7 wait 180000"}, {"begin", "S7 one"},
      {"temporary", "S7 wait 180000"}, {"down 1", ""}, {"begin", "S10 two"},
      {"server", "S12 wait 180000"}, {"up 1", ""}, {"begin", "S1 one"}, {"temporary", "S10 two"},
      END}},
    {"refused: struck off, then the next; all struck: the end", 2, true,
     {{"begin", "S1 one"}, {"refused", "S10 two"}, {"large", "S6 fail"}, END}},
    {"refused without bypass: the end at once", 2, false,
     {{"begin", "S1 one"}, {"large", "S6 fail"}, END}},
    {"struck off: not tried again in the next round", 2, true,
     {{"begin", "S1 one"}, {"refused", "S10 two"}, {"connection", "S12 wait 180000"},
      {"begin", "S10 two"}, {"refused", "S6 fail"}, END}},
    {"struck off, then the permission is withdrawn: the end", 2, true,
     {{"begin", "S1 one"}, {"refused", "S10 two"}, {"connection", "S12 wait 180000"}, {"deny", ""},
      {"begin", "S6 fail"}, END}},
    {"uncertain: pinned, even while down", 2, true,
     {{"begin", "S1 one"}, {"uncertain", "S7 wait 180000"}, {"begin", "S7 one"},
      {"connection", "S12 wait 180000"}, {"down 1", ""}, {"begin", "S12 wait 10"},
      {"up 1", ""}, {"begin", "S1 one"}, {"sent", "S4 done"}, END}},
    {"uncertain at the second: never the first again", 2, true,
     {{"begin", "S1 one"}, {"connection", "S10 two"}, {"uncertain", "S7 wait 180000"},
      {"begin", "S7 two"}, {"server", "S12 wait 180000"}, {"begin", "S10 two"},
      {"sent", "S4 done"}, END}},
    {"uncertain, then refused: nothing else may be tried", 2, true,
     {{"begin", "S1 one"}, {"uncertain", "S7 wait 180000"}, {"begin", "S7 one"},
      {"refused", "S6 fail"}, END}},
    {"a crash pins to the server of the last row", 2, true,
     {{"crash two", "S7 wait 180000"}, {"begin", "S7 two"}, {"sent", "S4 done"}, END}},
    {"a crash without a row: the first server", 2, true,
     {{"crash", "S7 wait 180000"}, {"begin", "S7 one"}, END}},
    {"permission is asked again after every wait", 2, false,
     {{"begin", "S1 one"}, {"connection", "S12 wait 180000"}, {"allow", ""}, {"begin", "S1 one"},
      {"connection", "S10 two"}, {"temporary", "S7 wait 180000"}, {"deny", ""},
      {"begin", "S1 one"}, END}},
    {"down: passed over without an attempt", 3, true,
     {{"down 1", ""}, {"begin", "S10 two"}, {"down 2", ""}, {"connection", "S10 three"}, END}},
    {"all down, bypass permitted: the round has failed", 2, true,
     {{"down 1", ""}, {"down 2", ""}, {"begin", "S12 wait 180000"}, END}},
    {"down, no bypass: waits for the probe, then until the wait is over", 2, false,
     {{"down 1", ""}, {"begin", "S12 wait 10000"}, {"early", "S12 wait 9000"},
      {"probe 1", ""}, {"begin", "S1 one"}, {"sent", "S4 done"}, END}},
    {"the probe is another's", 2, false,
     {{"probe 1", ""}, {"begin", "S1 one"}, {"down 1", ""}, {"taken", "S12 wait 10000"}, END}},
    {"the probe is another's, bypass permitted", 2, true,
     {{"probe 1", ""}, {"begin", "S1 one"}, {"down 1", ""}, {"taken", "S10 two"}, END}},
    {"a server came back: a waiting round begins at once", 1, false,
     {{"begin", "S1 one"}, {"down 1", ""}, {"connection", "S12 wait 180000"}, {"up 1", ""},
      {"early", "S1 one"}, END}},
    {"woken early for nothing: the wait goes on", 1, false,
     {{"begin", "S1 one"}, {"temporary", "S7 wait 180000"}, {"early", "S7 wait 179000"},
      {"early", "S7 wait 178000"}, {"begin", "S7 one"}, END}},
    {"the operator cuts a wait short", 1, false,
     {{"begin", "S1 one"}, {"temporary", "S7 wait 180000"}, {"forced", "S7 one"},
      {"server", "S12 wait 180000"}, {"forced", "S1 one"}, END}},
    {"too many recipients: at once again, but not for ever", 1, false,
     {{"begin", "S1 one"}, {"more", "S10 one"}, {"more", "S10 one"}, {"more", "S10 one"},
      {"more", "S7 wait 180000"}, END}},
};
/* clang-format on */

static void test_scripts(void **state)
{
    struct world world;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        world_begin(&world, scripts[i].servers, scripts[i].permitted);
        play(&world, scripts[i].name, scripts[i].script);
    }
}

/* ---- limits -----------------------------------------------------------------------------------
 */

/* Ten failed rounds: S13 once; then rounds from rank 2, waits that double, to the end after 5 d. */
static void test_limit_and_expiry(void **state)
{
    static const int64_t minutes[] = {3, 6, 12, 24, 48, 60, 60, 60};
    struct world world;
    int round;
    int warnings = 0;

    (void)state;
    world_begin(&world, 2, true);
    for (round = 1; round <= 10; round++) {
        play_event(&world, "begin");
        assert_string_equal(world.result.server, "one");
        play_event(&world, "connection");
        assert_string_equal(world.result.server, "two");
        play_event(&world, "server");
        assert_int_equal(world.result.action, POLICY_WAIT);
        assert_int_equal(world.result.step, round < 10 ? POLICY_S12 : POLICY_S13);
        assert_int_equal(world.result.due_ms - world.now_ms, WAIT);
        warnings += world.result.warn;
    }
    assert_int_equal(warnings, 1);
    for (round = 0; round < 1000; round++) {
        if (round < 7)
            assert_int_equal(world.result.due_ms - world.now_ms, minutes[round] * MINUTE);
        assert_true(world.result.due_ms - world.now_ms <= HOUR);
        play_event(&world, "begin");
        if (world.result.action == POLICY_FAIL)
            break;
        assert_string_equal(world.result.server, "two");
        play_event(&world, "server");
        warnings += world.result.warn;
    }
    assert_int_equal(world.result.action, POLICY_FAIL);
    assert_int_equal(world.result.step, POLICY_S13);
    assert_int_equal(world.now_ms, usual.expire_ms);
    assert_int_equal(warnings, 1);
}

/* After S13 with the others gone the first one is tried again. */
static void test_first_again_after_warning(void **state)
{
    static const struct line script[] = {
        {"down 2", ""},
        {"begin", "S1 one"},
        {"server", "S12 wait 180000"},
        {"up 2", ""},
        {"deny", ""},
        {"begin", "S1 one"},
        END,
    };
    struct world world;

    (void)state;
    world_begin(&world, 2, true);
    world.memory.warned = true;
    world.memory.rounds = 10;
    world.memory.wait = POLICY_WAIT_ROUND;
    play(&world, "first again", script);
}

/* What waits for a server that is down reaches S13 too: every retry.wait is a failed round. */
static void test_blocked_reaches_warning(void **state)
{
    struct world world;
    int warnings = 0;
    int64_t warned_ms = 0;

    (void)state;
    world_begin(&world, 2, false);
    world.health[0] = (struct policy_health_entry){POLICY_DOWN, INT64_MAX};
    while (world.now_ms < HOUR) {
        play_event(&world, "begin");
        assert_int_equal(world.result.action, POLICY_WAIT);
        if (world.result.warn) {
            warnings++;
            warned_ms = world.now_ms;
        }
    }
    assert_int_equal(warnings, 1);
    assert_int_equal(warned_ms, 10 * WAIT);
}

static void test_limit_of_one(void **state)
{
    struct world world;

    (void)state;
    world_begin(&world, 1, false);
    world.settings.limit = 1;
    world.settings.same_server_limit = 1;
    play_event(&world, "begin");
    play_event(&world, "temporary");
    assert_int_equal(world.result.step, POLICY_S13);
    assert_true(world.result.warn);
}

/* A delivery older than the limit that was never tried is tried once. */
static void test_expired_but_fresh(void **state)
{
    struct world world;

    (void)state;
    world_begin(&world, 1, false);
    world.now_ms = 2 * usual.expire_ms;
    play_event(&world, "begin");
    assert_int_equal(world.result.action, POLICY_CONNECT);
    play_event(&world, "connection");
    assert_int_equal(world.result.action, POLICY_FAIL);
}

static void test_uncertain_next(void **state)
{
    static const struct line script[] = {
        {"begin", "S1 one"},
        {"uncertain", "S10 two"},
        {"sent", "S4 done"},
        END,
    };
    struct world world;

    (void)state;
    world_begin(&world, 2, true);
    world.settings.uncertain_next = true;
    play(&world, "uncertain = next", script);
    assert_true(world.memory.uncertain);
}

/* The operator opens the way for what waits at a server that does not come back. */
static void test_pin_lifted(void **state)
{
    struct world world;

    (void)state;
    world_begin(&world, 2, true);
    ask(&world, POLICY_BEGIN, NULL, FAILURE_NONE);
    ask(&world, POLICY_FAILED, "one", FAILURE_UNCERTAIN);
    world.now_ms += WAIT;
    world.health[0] = (struct policy_health_entry){POLICY_DOWN, world.now_ms + 10000};
    ask(&world, POLICY_BEGIN, NULL, FAILURE_NONE);
    assert_int_equal(world.result.action, POLICY_WAIT);
    world.settings.uncertain_next = true;
    world.forced = true;
    ask(&world, POLICY_BEGIN, NULL, FAILURE_NONE);
    assert_int_equal(world.result.action, POLICY_CONNECT);
    assert_string_equal(world.result.server, "two");
}

static void test_authority(void **state)
{
    static const struct line script[] = {
        {"begin", "S1 one"},
        {"server", "S10 three"},
        {"server", "S12 wait 180000"},
        END,
    };
    struct world world;

    (void)state;
    world_begin(&world, 3, true);
    world.servers.server[1].authority = 2;
    world.servers.server[2].authority = 1;
    world.authority = 1;
    play(&world, "a server that demands more is skipped", script);
}

/* ---- changes of the list ----------------------------------------------------------------------
 */

static void test_removed_server(void **state)
{
    struct world world;

    (void)state;
    world_begin(&world, 2, true);
    play_event(&world, "begin");
    play_event(&world, "connection");
    play_event(&world, "temporary"); /* waits for "two" */
    world.servers.count = 1;
    play_event(&world, "begin");
    assert_string_equal(world.result.server, "one");
    /* Pinned to one that left the list: it waits, is warned of, and is not sent elsewhere. */
    world_begin(&world, 2, true);
    play_event(&world, "begin");
    play_event(&world, "uncertain");
    text_copy(world.servers.server[0].name, SERVER_NAME_MAX, "other");
    do {
        play_event(&world, "begin");
        assert_int_equal(world.result.action, POLICY_WAIT);
    } while (!world.result.warn);
}

/* Emptied: deliveries wait with an alarm; from the beginning: the mailbox. */
static void test_no_servers(void **state)
{
    struct world world;

    (void)state;
    world_begin(&world, 0, true);
    world.had_servers = true;
    play_event(&world, "begin");
    assert_int_equal(world.result.action, POLICY_WAIT);
    assert_true(world.result.no_server);
    world_begin(&world, 1, true);
    play_event(&world, "begin");
    play_event(&world, "connection");
    world.servers.count = 0;
    play_event(&world, "begin");
    assert_int_equal(world.result.action, POLICY_WAIT);
    assert_true(world.result.no_server);
    world.servers.count = 1;
    world.forced = true;
    play_event(&world, "begin");
    assert_string_equal(world.result.server, "one");
}

/* ---- the memory's text ------------------------------------------------------------------------
 */

static void test_memory_text(void **state)
{
    static const char *const damaged[] = {
        "2 at=one",
        "x",
        "1 at",
        "1  at=one =",
        "\377",
        "1 note=::: note=a note=b:c:d",
        "1 rounds=-5 doublings=99999999999 wait=77 until=x",
    };
    struct policy_memory memory;
    struct policy_memory back;
    char text[POLICY_MEMORY_TEXT_MAX];
    char long_text[3 * POLICY_MEMORY_TEXT_MAX];
    size_t i;

    (void)state;
    memset(&memory, 0, sizeof memory);
    memset(memory.at, 'a', SERVER_NAME_MAX - 1);
    memset(memory.pinned, 'p', SERVER_NAME_MAX - 1);
    memory.rounds = 1000000;
    memory.since_ms = memory.until_ms = INT64_MAX;
    memory.wait = POLICY_WAIT_DOWN;
    memory.uncertain = memory.warned = memory.wait_down = true;
    memory.note_count = SERVER_COUNT_MAX;
    for (i = 0; i < SERVER_COUNT_MAX; i++) {
        memset(memory.note[i].server, 'A' + (int)i, SERVER_NAME_MAX - 1);
        memory.note[i].temporary = 100;
        memory.note[i].struck = i % 2 == 0;
    }
    assert_int_equal(policy_memory_format(text, &memory), 0);
    assert_int_equal(policy_memory_parse(&back, text), 0);
    assert_memory_equal(&memory, &back, sizeof memory);
    for (i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        policy_memory_parse(&back, damaged[i]);
        assert_true(back.rounds >= 0 && back.note_count <= SERVER_COUNT_MAX);
        assert_true(back.wait <= POLICY_WAIT_DOWN);
    }
    memset(long_text, '1', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    assert_int_equal(policy_memory_parse(&back, long_text), ERROR_FORMAT);
    assert_int_equal(policy_memory_parse(&back, ""), 0);
    assert_int_equal(policy_memory_parse(&back, NULL), 0);
}

/* ---- the walk ---------------------------------------------------------------------------------
 */

static uint64_t seed;

static unsigned draw(unsigned below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

static void shake_world(struct world *world)
{
    int i;

    for (i = 0; i < world->servers.count; i++) {
        if (draw(4) > 0)
            continue;
        world->health[i].health = (enum policy_health)draw(3);
        world->health[i].probe_ms = world->health[i].health == POLICY_UP
                                        ? INT64_MAX
                                        : world->now_ms + (int64_t)draw(300000) - 1000;
    }
    if (draw(8) == 0)
        world->permitted = !world->permitted;
    if (draw(20) == 0)
        world->authority = (int)draw(3);
    if (draw(40) == 0)
        world->forced = true;
}

/* What the spec says of a server that is about to be used, independent of the code under test. */
static void check_connect(const struct world *world, const char *pinned, const bool *struck)
{
    int index = server_list_find(&world->servers, world->result.server);

    assert_true(index >= 0);
    assert_false(struck[index]);
    assert_int_not_equal(world->health[index].health, POLICY_DOWN);
    if (pinned != NULL) {
        assert_string_equal(world->result.server, pinned);
    } else if (index > 0) {
        assert_true(world->permitted);
        assert_true(world->servers.server[index].authority <= world->authority);
    }
}

static void walk(unsigned number)
{
    struct world world;
    bool struck[SERVER_COUNT_MAX] = {false};
    const char *pinned = NULL;
    int warnings = 0;
    int turns = 0;
    int connects = 0;

    seed = number * 2654435761u + 1;
    world_begin(&world, 1 + (int)draw(4), draw(2));
    world.settings.uncertain_next = draw(4) == 0;
    world.settings.limit = 1 + (int)draw(5);
    world.settings.expire_ms = HOUR * (1 + draw(30));
    for (int i = 1; i < world.servers.count; i++)
        world.servers.server[i].authority = (int)draw(3);
    world.authority = (int)draw(3);
    play_event(&world, "begin");
    while (world.result.action == POLICY_CONNECT || world.result.action == POLICY_WAIT) {
        warnings += world.result.warn;
        assert_true(++turns < 100000); /* never for ever */
        if (world.result.action == POLICY_WAIT) {
            assert_true(world.result.due_ms > world.now_ms);
            assert_true(world.result.due_ms <= world.settings.expire_ms + 20);
            connects = 0;
            shake_world(&world);
            if (draw(10) == 0)
                world.now_ms += 1 + draw(1000);
            else
                world.now_ms = world.result.due_ms;
            ask(&world, POLICY_BEGIN, NULL, FAILURE_NONE);
            continue;
        }
        check_connect(&world, pinned, struck);
        assert_true(++connects < 40); /* a turn is bounded by servers and repeats */
        world.now_ms += draw(1000);
        {
            enum failure_class class = (enum failure_class)(1 + draw(FAILURE_CLASS_COUNT - 1));
            char server[SERVER_NAME_MAX];
            int index;

            text_copy(server, sizeof server, world.result.server);
            index = server_list_find(&world.servers, server);
            if (draw(30) == 0) {
                ask(&world, POLICY_SENT, server, FAILURE_NONE);
                break;
            }
            if (world.health[index].health == POLICY_PROBE && draw(3) == 0) {
                world.health[index].health = POLICY_DOWN;
                ask(&world, POLICY_NOT_TRIED, server, FAILURE_NONE);
                continue;
            }
            if (class == FAILURE_CONNECTION)
                world.health[index] =
                    (struct policy_health_entry){POLICY_DOWN, world.now_ms + 10000};
            if (class == FAILURE_REFUSED || class == FAILURE_TOO_LARGE)
                struck[index] = true;
            if (class == FAILURE_UNCERTAIN && !world.settings.uncertain_next)
                pinned = world.servers.server[index].name;
            ask(&world, POLICY_FAILED, server, class);
            if (class == FAILURE_DESTINATION)
                assert_int_equal(world.result.action, POLICY_FAIL);
        }
    }
    assert_true(world.result.action == POLICY_DONE || world.result.action == POLICY_FAIL);
    assert_true(warnings + world.result.warn <= 1);
}

static void test_walk(void **state)
{
    unsigned number;

    (void)state;
    for (number = 0; number < 20000; number++)
        walk(number);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_limit_and_expiry),
        cmocka_unit_test(test_first_again_after_warning),
        cmocka_unit_test(test_blocked_reaches_warning),
        cmocka_unit_test(test_limit_of_one),
        cmocka_unit_test(test_expired_but_fresh),
        cmocka_unit_test(test_uncertain_next),
        cmocka_unit_test(test_pin_lifted),
        cmocka_unit_test(test_authority),
        cmocka_unit_test(test_removed_server),
        cmocka_unit_test(test_no_servers),
        cmocka_unit_test(test_memory_text),
        cmocka_unit_test(test_walk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
