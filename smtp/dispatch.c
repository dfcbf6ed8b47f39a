/* SPDX-License-Identifier: MIT */
/*
 * dispatch.c - the dispatcher's thread looks at incoming/, claims what is due for the pool
 * (smtp/pool.c) and keeps house (smtp/house.c). What waits, waits on disk.
 */
#include "smtp/dispatch.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "base/thread.h"
#include "smtp/composer.h"
#include "smtp/house.h"
#include "smtp/pool.h"
#include "smtp/report_direct.h"
#include "smtp/submit.h"
#include "smtp/worker.h"

enum {
    CLAIM_MOST = 64,
    TAKE_MOST = 32,
    SCAN_MS = 5000,
    REST_MS = 20,          /* between two looks: a burst of events is one */
    CLAIM_AGAIN_MS = 5000, /* after a failure: it will hardly go away sooner */
};

#define LOOK_AT_DISK "look at the disk of the state folder"

struct dispatch {
    struct engine engine;
    struct composer *composer;
    struct pool *pool;
    struct house *house;
    int inotify_fd;
    atomic_bool look; /* into incoming/, at once */
    pthread_t thread;
    bool thread_started;
    int64_t claim_again_ms, offset_ms; /* the dispatcher's own */
};

/* ---- the dispatcher ---------------------------------------------------------------------------
 */

static void take_over(struct dispatch *dispatch)
{
    int taken;

    do {
        taken = spool_take_over(dispatch->engine.spool, TAKE_MOST);
        if (taken < 0)
            trouble_begin(dispatch->engine.troubles, "take over", LOOK_AT_DISK,
                          "faxes cannot be taken over from incoming/: %s", error_text(taken));
        else
            trouble_end(dispatch->engine.troubles, "take over");
        if (taken > 0)
            log_info("faxes taken over count=%d", taken);
    } while (taken == TAKE_MOST);
    composer_kick(dispatch->composer);
}

/* Jobs for what is to be claimed, before it is: a delivery that was claimed and has none would wait
 * for the next start. Gives the number. */
static int new_jobs(struct job **jobs, int most)
{
    int count = 0;

    while (count < most && (jobs[count] = calloc(1, sizeof **jobs)) != NULL)
        count++;
    if (count < most)
        log_error("out of memory: deliveries wait");
    return count;
}

/* Before a claim, so that what is claimed has an age by the clock as it is now. */
static void look_at_clock(struct dispatch *dispatch)
{
    int64_t wall_ms = clock_wall_ms();
    int64_t boot_ms = clock_boot_ms();

    if (spool_clock_look(dispatch->engine.spool, wall_ms, boot_ms) >= 0)
        dispatch->offset_ms = wall_ms - boot_ms;
}

/* Gives the number claimed. */
static int claim(struct dispatch *dispatch, struct spool_delivery *claimed)
{
    struct job *jobs[CLAIM_MOST];
    int most = pool_wanted(dispatch->pool);
    int count;
    int i;

    if (most <= 0 || clock_monotonic_ms() < dispatch->claim_again_ms ||
        spool_next_due(dispatch->engine.spool) > clock_wall_ms())
        return 0;
    most = new_jobs(jobs, most < CLAIM_MOST ? most : CLAIM_MOST);
    count = most > 0 ? spool_claim(dispatch->engine.spool, clock_wall_ms(), ENGINE_LEASE_MS,
                                   claimed, most)
                     : ERROR_MEMORY;
    if (count < 0)
        trouble_begin(dispatch->engine.troubles, "claim", LOOK_AT_DISK,
                      "deliveries cannot be claimed: %s", error_text(count));
    else
        trouble_end(dispatch->engine.troubles, "claim");
    if (count < 0) {
        dispatch->claim_again_ms = clock_monotonic_ms() + CLAIM_AGAIN_MS;
        count = 0;
    }
    for (i = 0; i < count; i++) {
        jobs[i]->delivery = claimed[i];
        jobs[i]->offset_ms = dispatch->offset_ms;
    }
    pool_push(dispatch->pool, jobs, count);
    for (i = count; i < most; i++)
        worker_free(jobs[i]);
    return count;
}

/* Until the next delivery is due, something happens, or it is time for the slow scan. True when
 * something happened in incoming/. */
static bool rest(struct dispatch *dispatch)
{
    struct pollfd fds[2] = {{.fd = dispatch->engine.wake_fd, .events = POLLIN},
                            {.fd = dispatch->inotify_fd, .events = POLLIN}};
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    int64_t wait_ms = SCAN_MS;
    int64_t due_ms = INT64_MAX;
    bool event = false;

    if (pool_wanted(dispatch->pool) > 0)
        due_ms = spool_next_due(dispatch->engine.spool);
    if (due_ms != INT64_MAX && due_ms - clock_wall_ms() < wait_ms)
        wait_ms = due_ms - clock_wall_ms();
    if (wait_ms < dispatch->claim_again_ms - clock_monotonic_ms())
        wait_ms = dispatch->claim_again_ms - clock_monotonic_ms();
    if (wait_ms < REST_MS)
        wait_ms = REST_MS;
    poll(fds, 2, (int)wait_ms);
    thread_wake_clear(dispatch->engine.wake_fd);
    while (read(dispatch->inotify_fd, events, sizeof events) > 0)
        event = true; /* what happened is seen by looking */
    return event;
}

static void *run(void *arg)
{
    struct dispatch *dispatch = arg;
    struct spool_delivery *claimed = calloc(CLAIM_MOST, sizeof *claimed);
    int64_t scan_ms = 0;
    bool event = true;

    while (claimed != NULL && !atomic_load(&dispatch->engine.stopping)) {
        if (!pool_is_draining(dispatch->pool)) {
            event = atomic_exchange(&dispatch->look, false) || event;
            if (event || clock_monotonic_ms() - scan_ms >= SCAN_MS) {
                take_over(dispatch);
                scan_ms = clock_monotonic_ms();
            }
            look_at_clock(dispatch);
            house_keep(dispatch->house);
            if (claim(dispatch, claimed) == CLAIM_MOST)
                continue;
        }
        event = rest(dispatch);
    }
    free(claimed);
    return NULL;
}

/* ---- settings ---------------------------------------------------------------------------------
 */

static void log_problem(void *user, const char *file, int line, const char *what)
{
    (void)user;
    if (line > 0)
        log_error("settings file=%s line=%d: %s", file, line, what);
    else
        log_error("settings file=%s: %s", file, what);
}

int dispatch_check(const struct conf *faxpost, const struct conf *servers,
                   const struct conf *bypass, conf_problem_handler *problem, void *user)
{
    struct tables *tables = NULL;
    int error = tables_load(&tables, faxpost, servers, bypass, problem, user);

    if (error == 0)
        tables_leave(tables);
    return error;
}

int dispatch_reload(struct dispatch *dispatch, const struct conf *faxpost,
                    const struct conf *servers, const struct conf *bypass)
{
    struct tables *tables = NULL;
    struct tables *old;
    int error = tables_load(&tables, faxpost, servers, bypass, log_problem, NULL);

    if (error < 0)
        return error;
    pthread_mutex_lock(&dispatch->engine.lock);
    old = dispatch->engine.tables;
    tables->had_servers = tables->had_servers || old->had_servers;
    dispatch->engine.tables = tables;
    dispatch->engine.alarm[0] = '\0';
    pthread_mutex_unlock(&dispatch->engine.lock);
    health_set_servers(dispatch->engine.health, tables->servers);
    tables_leave(old);
    spool_wake_all(dispatch->engine.spool, clock_wall_ms());
    dispatch->engine.room(dispatch->engine.pool); /* a server may have more connections now */
    dispatch_kick(dispatch);
    return 0;
}

/* ---- reports ----------------------------------------------------------------------------------
 */

static struct tables *tables_of(void *user)
{
    return engine_tables(user);
}

static void kick_engine(void *user)
{
    const struct engine *engine = user;

    thread_wake(engine->wake_fd);
}

static int start_report(struct engine *engine)
{
    const struct report_hooks hooks = {
        .user = engine, .tables = tables_of, .kick = kick_engine, .send = report_direct_send};
    int error = report_start(&engine->report, engine->spool, &hooks);

    return error == 0 ? troubles_new(&engine->troubles, engine->report) : error;
}

void dispatch_trouble(struct dispatch *dispatch, const char *name, const char *what,
                      const char *to_do)
{
    if (what != NULL)
        trouble_begin(dispatch->engine.troubles, name, to_do, "%s", what);
    else
        trouble_end(dispatch->engine.troubles, name);
}

/* ---- start and stop ---------------------------------------------------------------------------
 */

static int open_inotify(struct dispatch *dispatch)
{
    char path[SPOOL_PATH_MAX + 16];

    dispatch->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (dispatch->inotify_fd < 0)
        return error_from_errno(errno);
    snprintf(path, sizeof path, "%s/incoming", spool_state_dir(dispatch->engine.spool));
    if (inotify_add_watch(dispatch->inotify_fd, path,
                          IN_CREATE | IN_ATTRIB | IN_MOVED_TO | IN_ONLYDIR) < 0)
        log_warning("no notice of new faxes, they are seen within %d s path=%s errno=%d",
                    SCAN_MS / 1000, path, errno);
    return 0;
}

static int start_engine(struct engine *engine)
{
    int error;

    engine->wake_fd = thread_wake_new();
    engine->stop_fd = thread_wake_new();
    if (engine->wake_fd < 0 || engine->stop_fd < 0)
        return ERROR_IO;
    error = health_new(&engine->health, &(struct health_times){.first_ms = 0});
    if (error == 0)
        error = deadline_start(&engine->deadlines);
    if (error == 0)
        error = resolver_start(&engine->resolver);
    if (error == 0)
        health_set_servers(engine->health, engine->tables->servers);
    return error;
}

static int start_threads(struct dispatch *dispatch, const struct dispatch_hooks *hooks, int workers)
{
    int error = composer_start(&dispatch->composer, &dispatch->engine, hooks);

    if (error == 0)
        error = pool_start(dispatch->pool, workers);
    if (error == 0)
        error = thread_start(&dispatch->thread, "dispatcher", run, dispatch);
    dispatch->thread_started = error == 0;
    return error;
}

int dispatch_start(struct dispatch **out, struct spool *spool, const struct conf *faxpost,
                   const struct conf *servers, const struct conf *bypass,
                   const struct dispatch_hooks *hooks)
{
    struct dispatch *dispatch = calloc(1, sizeof *dispatch);
    int workers = (int)conf_number(faxpost, "limits", NULL, "workers");
    int queue_most = (int)conf_number(faxpost, "limits", NULL, "queue");
    int error;

    if (dispatch == NULL)
        return ERROR_MEMORY;
    dispatch->inotify_fd = dispatch->engine.wake_fd = dispatch->engine.stop_fd = -1;
    dispatch->engine.spool = spool;
    dispatch->offset_ms = clock_wall_ms() - clock_boot_ms();
    pthread_mutex_init(&dispatch->engine.lock, NULL);
    error = submit_prepare();
    if (error == 0)
        error = pool_new(&dispatch->pool, &dispatch->engine, queue_most);
    if (error == 0)
        error = house_new(&dispatch->house, &dispatch->engine, dispatch->pool);
    if (error == 0)
        error = tables_load(&dispatch->engine.tables, faxpost, servers, bypass, log_problem, NULL);
    if (error == 0)
        error = start_engine(&dispatch->engine);
    if (error == 0)
        error = open_inotify(dispatch);
    if (error == 0)
        error = start_report(&dispatch->engine);
    if (error == 0)
        error = start_threads(dispatch, hooks, workers);
    if (error < 0) {
        dispatch_stop(dispatch, 0);
        return error;
    }
    log_info("delivery runs workers=%d servers=%d", workers,
             dispatch->engine.tables->servers->count);
    *out = dispatch;
    return 0;
}

void dispatch_kick(struct dispatch *dispatch)
{
    atomic_store(&dispatch->look, true);
    thread_wake(dispatch->engine.wake_fd);
}

void dispatch_drain(struct dispatch *dispatch)
{
    if (dispatch->composer != NULL)
        composer_drain(dispatch->composer);
    pool_drain(dispatch->pool);
}

bool dispatch_is_idle(const struct dispatch *dispatch)
{
    return pool_is_idle(dispatch->pool) && !composer_is_busy(dispatch->composer);
}

static void wait_idle(struct dispatch *dispatch, int grace_ms)
{
    int64_t until_ms = clock_monotonic_ms() + grace_ms;

    while (!dispatch_is_idle(dispatch) && clock_monotonic_ms() < until_ms)
        usleep(10000);
}

/* From here on nothing begins, and what is under way is cut off. */
static void cut_off(struct dispatch *dispatch)
{
    struct engine *engine = &dispatch->engine;

    atomic_store(&engine->stopping, true);
    if (dispatch->pool != NULL)
        pool_halt(dispatch->pool);
    if (engine->stop_fd >= 0)
        thread_wake(engine->stop_fd);
    if (engine->wake_fd >= 0)
        thread_wake(engine->wake_fd);
    if (engine->resolver != NULL)
        resolver_cancel(engine->resolver);
    if (engine->deadlines != NULL)
        deadline_cut_all(engine->deadlines);
}

void dispatch_stop(struct dispatch *dispatch, int grace_ms)
{
    if (dispatch == NULL)
        return;
    if (dispatch->thread_started) {
        dispatch_drain(dispatch);
        wait_idle(dispatch, grace_ms);
    }
    cut_off(dispatch);
    if (dispatch->thread_started)
        thread_join(dispatch->thread);
    pool_free(dispatch->pool);
    composer_stop(dispatch->composer);
    report_stop(dispatch->engine.report);
    troubles_free(dispatch->engine.troubles);
    house_free(dispatch->house);
    resolver_stop(dispatch->engine.resolver);
    deadline_stop(dispatch->engine.deadlines);
    health_free(dispatch->engine.health);
    tables_leave(dispatch->engine.tables);
    if (dispatch->inotify_fd >= 0)
        close(dispatch->inotify_fd);
    if (dispatch->engine.wake_fd >= 0)
        close(dispatch->engine.wake_fd);
    if (dispatch->engine.stop_fd >= 0)
        close(dispatch->engine.stop_fd);
    pthread_mutex_destroy(&dispatch->engine.lock);
    free(dispatch);
}

/* ---- status -----------------------------------------------------------------------------------
 */

static void describe_server(struct dispatch *dispatch, const struct server *server,
                            struct dispatch_server_status *out)
{
    struct health_status health;

    *out = (struct dispatch_server_status){.rank = server->rank, .up = true};
    text_copy(out->name, sizeof out->name, server->name);
    snprintf(out->address, sizeof out->address,
             strchr(server->host, ':') != NULL ? "[%.240s]:%d" : "%.240s:%d", server->host,
             server->port);
    if (!health_status(dispatch->engine.health, server->name, clock_wall_ms(), &health))
        return;
    out->up = health.up;
    out->probing = health.probing;
    out->connections = health.connections;
    out->down_since_ms = health.down_since_ms;
    out->next_probe_ms = health.next_probe_ms;
    text_copy(out->last_error, sizeof out->last_error, health.reason);
}

void dispatch_status(struct dispatch *dispatch, struct dispatch_status *out)
{
    struct tables *tables = engine_tables(&dispatch->engine);
    struct pool_status pool;
    int i;

    pool_status(dispatch->pool, &pool);
    *out = (struct dispatch_status){
        .workers = pool.workers,
        .workers_busy = pool.busy,
        .queued = pool.queued,
        .composing = composer_is_busy(dispatch->composer),
        .draining = pool.draining,
        .free_bytes = house_free_bytes(dispatch->house),
    };
    while (out->trouble_count < TROUBLE_MOST &&
           trouble_text(dispatch->engine.troubles, (size_t)out->trouble_count,
                        out->trouble[out->trouble_count], DISPATCH_TROUBLE_MAX))
        out->trouble_count++;
    pthread_mutex_lock(&dispatch->engine.lock);
    text_copy(out->alarm, sizeof out->alarm, dispatch->engine.alarm);
    pthread_mutex_unlock(&dispatch->engine.lock);
    out->mailbox_only = tables->servers->count == 0 && !tables->had_servers;
    out->server_count = tables->servers->count;
    for (i = 0; i < tables->servers->count; i++)
        describe_server(dispatch, &tables->servers->server[i], &out->server[i]);
    tables_leave(tables);
}
