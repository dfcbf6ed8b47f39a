/* SPDX-License-Identifier: MIT */
/*
 * house.c - one check after the other.
 */
#include "smtp/house.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

enum {
    HOUSE_MS = 60000,
    STALE_NAME_MAX = 128,
    EXPIRE_MOST = 100,
    TURN_ALARM_MS = 12 * 3600 * 1000, /* several attempts, each within DEADLINE_MOST_MS */
    CLOCK_SLACK_MS = 60000,
};

struct house {
    struct engine *engine;
    struct pool *pool;
    int64_t house_ms; /* the dispatcher's own */
    atomic_int_least64_t free_bytes;
};

int house_new(struct house **out, struct engine *engine, struct pool *pool)
{
    struct house *house = calloc(1, sizeof *house);

    if (house == NULL)
        return ERROR_MEMORY;
    house->engine = engine;
    house->pool = pool;
    *out = house;
    return 0;
}

void house_free(struct house *house)
{
    free(house);
}

/* Nothing ends the lease of a worker that hangs, for it might send after all: a person must look.
 */
static void check_workers(struct house *house)
{
    char fax_id[FAX_ID_MAX];

    if (pool_is_stuck(house->pool, TURN_ALARM_MS, fax_id))
        engine_alarm(house->engine, "a worker does not come to an end with fax=%s: restart",
                     fax_id);
}

/* What is due later than anything can be was put off before the clock was set back. */
static void check_clock(struct house *house, const struct tables *tables)
{
    const struct policy_settings *retry = &tables->retry;
    int64_t most_ms = retry->wait_max_ms > retry->wait_ms ? retry->wait_max_ms : retry->wait_ms;
    int64_t now_ms = clock_wall_ms();
    int woken = spool_wake_beyond(house->engine->spool, now_ms, now_ms + most_ms + CLOCK_SLACK_MS);

    if (woken > 0)
        log_warning("the clock was set back: deliveries that would have waited too long are due "
                    "now count=%d",
                    woken);
}

static void check_stale(struct house *house, const struct tables *tables)
{
    struct engine *engine = house->engine;
    char name[STALE_NAME_MAX];

    if (spool_incoming_stale(engine->spool, tables->stale_ms, name, sizeof name) < 0)
        trouble_end(engine->troubles, "stale");
    else
        trouble_begin(engine->troubles, "stale",
                      "look into incoming/, and move what is no fax away",
                      "something lies in incoming/ that cannot be taken over: %s", name);
}

static void check_space(struct house *house, const struct tables *tables)
{
    struct engine *engine = house->engine;
    int64_t bytes;

    if (spool_free_bytes(engine->spool, &bytes) < 0)
        return;
    atomic_store(&house->free_bytes, bytes);
    if (bytes >= tables->min_free_bytes)
        trouble_end(engine->troubles, "space");
    else
        trouble_begin(engine->troubles, "space",
                      "make room where the spool lies, or shorten [spool] keep",
                      "disk space is low: less than %lld MB are free below %s",
                      (long long)tables->min_free_bytes >> 20, spool_state_dir(engine->spool));
}

void house_keep(struct house *house)
{
    int64_t now_ms = clock_monotonic_ms();
    struct tables *tables;
    int removed;

    if (house->house_ms != 0 && now_ms - house->house_ms < HOUSE_MS)
        return;
    house->house_ms = now_ms;
    tables = engine_tables(house->engine);
    check_stale(house, tables);
    check_space(house, tables);
    check_workers(house);
    check_clock(house, tables);
    removed =
        spool_fax_expire(house->engine->spool, clock_wall_ms() - tables->keep_ms, EXPIRE_MOST);
    if (removed > 0)
        log_info("old faxes removed count=%d", removed);
    tables_leave(tables);
}

int64_t house_free_bytes(struct house *house)
{
    return atomic_load(&house->free_bytes);
}
