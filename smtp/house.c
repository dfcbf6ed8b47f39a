/* SPDX-License-Identifier: MIT */
/*
 * house.c - one check after the other; what lasts is said again every hour.
 */
#include "smtp/house.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

enum {
    HOUSE_MS = 60000,
    AGAIN_MS = 3600000, /* an alarm that lasts */
    EXPIRE_MOST = 100,
    TURN_ALARM_MS = 12 * 3600 * 1000, /* several attempts, each within DEADLINE_MOST_MS */
    CLOCK_SLACK_MS = 60000,
};

struct house {
    struct engine *engine;
    struct pool *pool;
    int64_t house_ms, stale_alarm_ms, space_alarm_ms; /* the dispatcher's own */
    pthread_mutex_t lock;                             /* all below */
    bool space_low;
    int64_t free_bytes;
    char stale[HOUSE_STALE_MAX];
};

int house_new(struct house **out, struct engine *engine, struct pool *pool)
{
    struct house *house = calloc(1, sizeof *house);

    if (house == NULL)
        return ERROR_MEMORY;
    house->engine = engine;
    house->pool = pool;
    pthread_mutex_init(&house->lock, NULL);
    *out = house;
    return 0;
}

void house_free(struct house *house)
{
    if (house == NULL)
        return;
    pthread_mutex_destroy(&house->lock);
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

static void check_stale(struct house *house, const struct tables *tables, int64_t now_ms)
{
    char name[sizeof house->stale] = "";
    char what[256];

    if (spool_incoming_stale(house->engine->spool, tables->stale_ms, name, sizeof name) < 0)
        name[0] = '\0';
    pthread_mutex_lock(&house->lock);
    if (strcmp(name, house->stale) != 0)
        house->stale_alarm_ms = 0;
    text_copy(house->stale, sizeof house->stale, name);
    pthread_mutex_unlock(&house->lock);
    if (name[0] == '\0' ||
        (house->stale_alarm_ms != 0 && now_ms - house->stale_alarm_ms < AGAIN_MS))
        return;
    house->stale_alarm_ms = now_ms;
    log_alert("something lies in incoming/ that cannot be taken over name=%s do=\"look into "
              "%s/incoming, and move what is no fax away\"",
              LOG_ESCAPED(name), spool_state_dir(house->engine->spool));
    snprintf(what, sizeof what, "something lies in incoming/ that cannot be taken over: %s", name);
    report_add(house->engine->report, what, "look into incoming/, and move what is no fax away");
}

static void check_space(struct house *house, const struct tables *tables, int64_t now_ms)
{
    int64_t bytes = 0;
    int64_t files = 0;
    char what[120];
    bool low;

    if (spool_space(house->engine->spool, &bytes, &files) < 0)
        return;
    low = bytes < tables->min_free_bytes;
    pthread_mutex_lock(&house->lock);
    house->space_low = low;
    house->free_bytes = bytes;
    pthread_mutex_unlock(&house->lock);
    if (!low && house->space_alarm_ms != 0) {
        house->space_alarm_ms = 0;
        log_info("there is room again free=%lld", (long long)bytes);
        snprintf(what, sizeof what, "there is room again where the spool lies: %lld MB free",
                 (long long)bytes >> 20);
        report_add(house->engine->report, what, "");
    }
    if (low && (house->space_alarm_ms == 0 || now_ms - house->space_alarm_ms >= AGAIN_MS)) {
        house->space_alarm_ms = now_ms;
        log_alert("disk space is low free=%lld least=%lld do=\"make room below %s, or shorten "
                  "[spool] keep\"",
                  (long long)bytes, (long long)tables->min_free_bytes,
                  spool_state_dir(house->engine->spool));
        snprintf(what, sizeof what, "disk space is low: %lld MB free, %lld MB is the least",
                 (long long)bytes >> 20, (long long)tables->min_free_bytes >> 20);
        report_add(house->engine->report, what,
                   "make room where the spool lies, or shorten [spool] keep");
    }
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
    check_stale(house, tables, now_ms);
    check_space(house, tables, now_ms);
    check_workers(house);
    check_clock(house, tables);
    removed =
        spool_fax_expire(house->engine->spool, clock_wall_ms() - tables->keep_ms, EXPIRE_MOST);
    if (removed > 0)
        log_info("old faxes removed count=%d", removed);
    tables_leave(tables);
}

void house_status(struct house *house, struct house_status *out)
{
    pthread_mutex_lock(&house->lock);
    out->space_low = house->space_low;
    out->free_bytes = house->free_bytes;
    text_copy(out->stale, sizeof out->stale, house->stale);
    pthread_mutex_unlock(&house->lock);
}
