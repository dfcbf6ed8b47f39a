/* SPDX-License-Identifier: MIT */
/*
 * composer.c - three tries, then plain (the pages as they are), then an alarm and again every hour:
 * a fax that cannot be made into a mail stays in the spool.
 */
#include "smtp/composer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "base/thread.h"

enum {
    TRIES = 3,
    AGAIN_MS = 5000,       /* after the first failure; doubles */
    AGAIN_FULL_MS = 60000, /* no space */
    AGAIN_PLAIN_MS = 3600000,
    REST_MS = 60000,
};

struct composer {
    struct engine *engine;
    struct dispatch_hooks hooks;
    pthread_t thread;
    pthread_mutex_t lock; /* all below */
    pthread_cond_t changed;
    bool kicked, draining, stopping, busy;
    int64_t again_ms; /* monotonic: when the last failure is due again; INT64_MAX: none */
    int64_t pause_ms; /* monotonic: nothing is composed before */
};

static void choose_route(const struct tables *tables, const struct spool_fax *fax,
                         struct route *out)
{
    const struct route_query query = {
        .line = fax->call.line,
        .called = fax->call.called,
        .caller = fax->call.caller,
        .station = fax->call.station,
        .subaddress = fax->call.subaddress,
    };

    route_choose(out, tables->routes, &query);
}

static int make_deliveries(struct composer *composer, const struct tables *tables,
                           const struct spool_fax *fax, const struct route *route,
                           const char *message_id, int64_t message_bytes)
{
    struct spool_recipient recipients[ROUTE_TO_MAX];
    int i;

    for (i = 0; i < route->to_count; i++)
        text_copy(recipients[i].address, sizeof recipients[i].address, route->to[i]);
    return spool_fax_composed_as(composer->engine->spool, fax->call.fax_id, route->name, message_id,
                                 tables->envelope_from, message_bytes, recipients, route->to_count,
                                 clock_wall_ms(), (enum spool_bypass)route->bypass);
}

/* False where it is no fault of the fax: no space, a busy database, compose does not run. It must
 * not end in a plain mail only because that lasted a while. */
static bool is_own_fault(int error)
{
    return error != ERROR_FULL && error != ERROR_BUSY && error != ERROR_STATE;
}

static void note_failure(struct composer *composer, const struct tables *tables,
                         const struct spool_fax *fax, bool plain, int error, const char *why)
{
    int64_t again_ms = (int64_t)AGAIN_MS
                       << (fax->compose_failures < TRIES ? fax->compose_failures : TRIES);

    bool counts = is_own_fault(error);
    int recorded;

    if (error == ERROR_FULL)
        again_ms = AGAIN_FULL_MS;
    if (again_ms > tables->retry.wait_ms)
        again_ms = tables->retry.wait_ms;
    if (plain && counts)
        again_ms = AGAIN_PLAIN_MS;
    log_error("message not composed fax=%s plain=%s failures=%d: %s: %s", fax->call.fax_id,
              plain ? "yes" : "no", fax->compose_failures + counts, error_text(error),
              LOG_ESCAPED(why));
    if (!counts)
        trouble_begin(composer->engine->troubles, "compose",
                      error == ERROR_FULL ? "look at the disk of the state folder" : "",
                      "faxes wait, no mail can be made of them now: %s: %.100s", error_text(error),
                      why);
    else if (plain)
        engine_alarm(composer->engine,
                     "a fax cannot be made into a mail, its pages lie in %s; after mending the "
                     "cause: faxpost retry %s",
                     fax->folder, fax->call.fax_id);
    recorded = spool_fax_compose_failed(composer->engine->spool, fax->call.fax_id, why,
                                        clock_wall_ms() + again_ms, counts);
    pthread_mutex_lock(&composer->lock);
    if (recorded < 0) /* it is still due: without a pause it would be tried without end */
        composer->pause_ms = clock_monotonic_ms() + again_ms;
    if (clock_monotonic_ms() + again_ms < composer->again_ms)
        composer->again_ms = clock_monotonic_ms() + again_ms;
    pthread_mutex_unlock(&composer->lock);
}

static void compose(struct composer *composer, const struct spool_fax *fax)
{
    struct tables *tables = engine_tables(composer->engine);
    bool plain = fax->compose_failures >= TRIES;
    char message_id[SPOOL_MESSAGE_ID_MAX];
    char why[SPOOL_REPLY_MAX] = "";
    struct route *route = malloc(sizeof *route);
    int64_t bytes = 0;
    int error = ERROR_MEMORY;

    if (route != NULL) {
        choose_route(tables, fax, route);
        snprintf(message_id, sizeof message_id, "%s@%.100s", fax->call.fax_id, tables->hostname);
        error = composer->hooks.compose(composer->hooks.user, fax, route, message_id, plain, &bytes,
                                        why, sizeof why);
    }
    if (error == 0) {
        error = make_deliveries(composer, tables, fax, route, message_id, bytes);
        if (error < 0)
            snprintf(why, sizeof why, "the deliveries could not be recorded");
    }
    if (error == 0)
        trouble_end(composer->engine->troubles, "compose");
    if (error < 0)
        note_failure(composer, tables, fax, plain, error, why);
    else
        log_info("message composed fax=%s route=%s recipients=%d octets=%lld plain=%s",
                 fax->call.fax_id, route->name, route->to_count, (long long)bytes,
                 plain ? "yes" : "no");
    free(route);
    tables_leave(tables);
    thread_wake(composer->engine->wake_fd);
}

/* Under the lock: until there may be something to do. */
static void rest(struct composer *composer)
{
    int64_t left_ms = composer->again_ms - clock_monotonic_ms();

    if (left_ms <= 0 && !composer->draining) {
        composer->again_ms = INT64_MAX;
        composer->kicked = true;
        return;
    }
    thread_condition_wait(&composer->changed, &composer->lock,
                          left_ms > 0 && left_ms < REST_MS ? (int)left_ms + 1 : REST_MS);
}

static void *run(void *arg)
{
    struct composer *composer = arg;
    struct spool_fax *fax = malloc(sizeof *fax);

    pthread_mutex_lock(&composer->lock);
    while (fax != NULL && !composer->stopping) {
        int error;

        if (composer->draining || !composer->kicked || clock_monotonic_ms() < composer->pause_ms) {
            rest(composer);
            continue;
        }
        composer->kicked = false;
        composer->busy = true;
        pthread_mutex_unlock(&composer->lock);
        error = spool_fax_to_compose(composer->engine->spool, clock_wall_ms(), fax);
        if (error == 0)
            compose(composer, fax);
        pthread_mutex_lock(&composer->lock);
        composer->busy = false;
        if (error == 0)
            composer->kicked = true; /* there may be more */
    }
    pthread_mutex_unlock(&composer->lock);
    free(fax);
    return NULL;
}

int composer_start(struct composer **out, struct engine *engine, const struct dispatch_hooks *hooks)
{
    struct composer *composer = calloc(1, sizeof *composer);
    int error;

    if (composer == NULL)
        return ERROR_MEMORY;
    composer->engine = engine;
    composer->hooks = *hooks;
    composer->kicked = true;
    composer->again_ms = INT64_MAX;
    pthread_mutex_init(&composer->lock, NULL);
    thread_condition_init(&composer->changed);
    error = thread_start(&composer->thread, "composer", run, composer);
    if (error < 0) {
        pthread_cond_destroy(&composer->changed);
        pthread_mutex_destroy(&composer->lock);
        free(composer);
        return error;
    }
    *out = composer;
    return 0;
}

static void set(struct composer *composer, bool *flag)
{
    pthread_mutex_lock(&composer->lock);
    *flag = true;
    pthread_cond_signal(&composer->changed);
    pthread_mutex_unlock(&composer->lock);
}

void composer_kick(struct composer *composer)
{
    set(composer, &composer->kicked);
}

void composer_drain(struct composer *composer)
{
    set(composer, &composer->draining);
}

bool composer_is_busy(struct composer *composer)
{
    bool busy;

    pthread_mutex_lock(&composer->lock);
    busy = composer->busy;
    pthread_mutex_unlock(&composer->lock);
    return busy;
}

void composer_stop(struct composer *composer)
{
    if (composer == NULL)
        return;
    set(composer, &composer->stopping);
    thread_join(composer->thread);
    pthread_cond_destroy(&composer->changed);
    pthread_mutex_destroy(&composer->lock);
    free(composer);
}
