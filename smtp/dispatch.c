/* SPDX-License-Identifier: MIT */
/*
 * dispatch.c - the dispatcher's thread looks at incoming/, claims what is due and keeps house; the
 * pool's threads take jobs from one queue. What waits, waits on disk.
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
#include "smtp/worker.h"

enum {
    WORKERS_MAX = 256,
    CLAIM_MOST = 64,
    TAKE_MOST = 32,
    TAKE_LOOK = 16, /* jobs of the queue that a worker looks at for its connection */
    SCAN_MS = 5000,
    REST_MS = 20, /* between two looks: a burst of events is one */
    HOUSE_MS = 60000,
    AGAIN_MS = 3600000, /* an alarm that lasts */
    EXPIRE_MOST = 100,
    CLAIM_AGAIN_MS = 5000,            /* after a failure: it will hardly go away sooner */
    TURN_ALARM_MS = 12 * 3600 * 1000, /* several attempts, each within DEADLINE_MOST_MS */
    CLOCK_SLACK_MS = 60000,
};

struct queue {
    struct job *first, **last;
    int count;
};

struct dispatch {
    struct engine engine;
    struct composer *composer;
    int inotify_fd;
    atomic_bool look; /* into incoming/, at once */
    pthread_t thread;
    bool thread_started;
    pthread_t worker[WORKERS_MAX];
    int workers;
    pthread_mutex_t lock; /* all below */
    pthread_cond_t work;
    struct queue ready, parked, at_work;
    int queue_most;
    bool draining, stopping;
    bool space_low;
    int64_t free_bytes;
    char stale[128];
    /* the dispatcher's own */
    int64_t house_ms, stale_alarm_ms, space_alarm_ms, claim_again_ms;
};

/* ---- the queue, under dispatch->lock ----------------------------------------------------------
 */

static void queue_push(struct queue *queue, struct job *job)
{
    job->next = NULL;
    *queue->last = job;
    queue->last = &job->next;
    queue->count++;
}

static struct job *queue_take(struct queue *queue, struct job **link)
{
    struct job *job = *link;

    *link = job->next;
    if (queue->last == &job->next)
        queue->last = link;
    queue->count--;
    return job;
}

static void queue_remove(struct queue *queue, struct job *job)
{
    struct job **link = &queue->first;

    while (*link != job)
        link = &(*link)->next;
    queue_take(queue, link);
}

/* Moves others of the same message from a queue to the job's mates. */
static void find_mates(struct queue *queue, struct job *job)
{
    struct job **link = &queue->first;
    struct job **end = &job->mates;
    int left = SUBMIT_RECIPIENTS_MAX - 1;

    while (*end != NULL)
        end = &(*end)->next;
    while (*link != NULL && left > 0) {
        if (strcmp((*link)->delivery.fax_id, job->delivery.fax_id) != 0 ||
            strcmp((*link)->waits_for, job->waits_for) != 0) {
            link = &(*link)->next;
            continue;
        }
        *end = queue_take(queue, link);
        end = &(*end)->next;
        *end = NULL;
        left--;
    }
}

/* What goes with a job that was taken from a queue: parked ones wait for the same server. */
static struct job *with_mates(struct dispatch *dispatch, struct job *job)
{
    job->next = NULL;
    find_mates(job->waits_for[0] != '\0' ? &dispatch->parked : &dispatch->ready, job);
    return job;
}

/* A job that can go on: one that waited for a connection that is free now, else the next. */
static struct job *next_job(struct dispatch *dispatch)
{
    struct job **link;

    for (link = &dispatch->parked.first; *link != NULL; link = &(*link)->next)
        if (health_has_room(dispatch->engine.health, (*link)->waits_for))
            return with_mates(dispatch, queue_take(&dispatch->parked, link));
    if (dispatch->ready.first != NULL)
        return with_mates(dispatch, queue_take(&dispatch->ready, &dispatch->ready.first));
    return NULL;
}

/* engine.take: for a connection that is open. Those that wait for it come first. */
static struct job *take_job(void *pool, const char *server)
{
    struct dispatch *dispatch = pool;
    struct job *job = NULL;
    struct job **link;
    int looked = 0;

    pthread_mutex_lock(&dispatch->lock);
    if (dispatch->draining || dispatch->stopping)
        goto out;
    for (link = &dispatch->parked.first; *link != NULL && job == NULL; link = &(*link)->next)
        if (strcmp((*link)->waits_for, server) == 0) {
            job = with_mates(dispatch, queue_take(&dispatch->parked, link));
            goto out;
        }
    for (link = &dispatch->ready.first; *link != NULL && looked++ < TAKE_LOOK;
         link = &(*link)->next)
        if ((*link)->tables == NULL || strcmp((*link)->step.server, server) == 0) {
            job = with_mates(dispatch, queue_take(&dispatch->ready, link));
            goto out;
        }
out:
    if (dispatch->ready.count <= 2 * dispatch->workers)
        thread_wake(dispatch->engine.wake_fd); /* to claim more */
    pthread_mutex_unlock(&dispatch->lock);
    return job;
}

/* engine.put: begun by one worker, to be gone on with by any. */
static void put_job(void *pool, struct job *job)
{
    struct dispatch *dispatch = pool;
    bool back;

    job->waits_for[0] = '\0';
    job->next = NULL;
    pthread_mutex_lock(&dispatch->lock);
    back = dispatch->draining || dispatch->stopping;
    if (!back) {
        job->next = dispatch->ready.first; /* it was before the others */
        dispatch->ready.first = job;
        if (dispatch->ready.last == &dispatch->ready.first)
            dispatch->ready.last = &job->next;
        dispatch->ready.count++;
        pthread_cond_signal(&dispatch->work);
    }
    pthread_mutex_unlock(&dispatch->lock);
    if (back)
        worker_give_back(&dispatch->engine, job);
}

/* ---- the workers ------------------------------------------------------------------------------
 */

static void *work(void *arg)
{
    struct dispatch *dispatch = arg;

    pthread_mutex_lock(&dispatch->lock);
    while (!dispatch->stopping) {
        struct job *job = next_job(dispatch);
        enum worker_end end;

        if (job == NULL) {
            thread_condition_wait(&dispatch->work, &dispatch->lock, 60000);
            continue;
        }
        job->turn_ms = clock_monotonic_ms();
        queue_push(&dispatch->at_work, job);
        pthread_mutex_unlock(&dispatch->lock);
        end = worker_turn(&dispatch->engine, job);
        pthread_mutex_lock(&dispatch->lock);
        queue_remove(&dispatch->at_work, job);
        if (end == WORKER_PARK)
            queue_push(&dispatch->parked, job);
        else if (dispatch->parked.first != NULL)
            pthread_cond_broadcast(&dispatch->work);
        pthread_mutex_unlock(&dispatch->lock);
        if (end == WORKER_DONE)
            worker_free(job);
        pthread_mutex_lock(&dispatch->lock);
        thread_wake(dispatch->engine.wake_fd);
    }
    pthread_mutex_unlock(&dispatch->lock);
    return NULL;
}

/* ---- the dispatcher ---------------------------------------------------------------------------
 */

static bool is_draining(struct dispatch *dispatch)
{
    bool draining;

    pthread_mutex_lock(&dispatch->lock);
    draining = dispatch->draining;
    pthread_mutex_unlock(&dispatch->lock);
    return draining;
}

static void take_over(struct dispatch *dispatch)
{
    int taken;

    do {
        taken = spool_take_over(dispatch->engine.spool, TAKE_MOST);
        if (taken < 0)
            engine_alarm(&dispatch->engine, "faxes cannot be taken over from incoming/: %s",
                         error_text(taken));
        if (taken > 0)
            log_info("faxes taken over count=%d", taken);
    } while (taken == TAKE_MOST);
    composer_kick(dispatch->composer);
}

/* How many more deliveries to claim: enough to keep the workers at it, no more than the limit. What
 * waits for a connection does not keep others from being claimed. */
static int room(struct dispatch *dispatch)
{
    int wanted;
    int left;

    pthread_mutex_lock(&dispatch->lock);
    wanted = 4 * dispatch->workers - dispatch->ready.count;
    if (wanted < 2 * dispatch->workers)
        wanted = 0; /* many at once: each claim is a commit */
    left = dispatch->queue_most - dispatch->ready.count - dispatch->parked.count;
    pthread_mutex_unlock(&dispatch->lock);
    if (wanted > left)
        wanted = left;
    return wanted < CLAIM_MOST ? wanted : CLAIM_MOST;
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

/* Gives the number claimed. */
static int claim(struct dispatch *dispatch, struct spool_delivery *claimed)
{
    struct job *jobs[CLAIM_MOST];
    int most = room(dispatch);
    int count;
    int i;

    if (most <= 0 || clock_monotonic_ms() < dispatch->claim_again_ms ||
        spool_next_due(dispatch->engine.spool) > clock_wall_ms())
        return 0;
    most = new_jobs(jobs, most);
    count = most > 0 ? spool_claim(dispatch->engine.spool, clock_wall_ms(), ENGINE_LEASE_MS,
                                   claimed, most)
                     : ERROR_MEMORY;
    if (count < 0) {
        engine_alarm(&dispatch->engine, "deliveries cannot be claimed: %s", error_text(count));
        dispatch->claim_again_ms = clock_monotonic_ms() + CLAIM_AGAIN_MS;
        count = 0;
    }
    pthread_mutex_lock(&dispatch->lock);
    for (i = 0; i < count; i++) {
        jobs[i]->delivery = claimed[i];
        queue_push(&dispatch->ready, jobs[i]);
    }
    pthread_cond_broadcast(&dispatch->work);
    pthread_mutex_unlock(&dispatch->lock);
    for (i = count; i < most; i++)
        worker_free(jobs[i]);
    return count;
}

/* Nothing ends the lease of a worker that hangs, for it might send after all: a person must look.
 */
static void check_workers(struct dispatch *dispatch, int64_t now_ms)
{
    char fax_id[FAX_ID_MAX] = "";
    const struct job *job;

    pthread_mutex_lock(&dispatch->lock);
    for (job = dispatch->at_work.first; job != NULL; job = job->next)
        if (now_ms - job->turn_ms > TURN_ALARM_MS)
            text_copy(fax_id, sizeof fax_id, job->delivery.fax_id);
    pthread_mutex_unlock(&dispatch->lock);
    if (fax_id[0] != '\0')
        engine_alarm(&dispatch->engine, "a worker does not come to an end with fax=%s: restart",
                     fax_id);
}

/* What is due later than anything can be was put off before the clock was set back. */
static void check_clock(struct dispatch *dispatch, const struct tables *tables)
{
    const struct policy_settings *retry = &tables->retry;
    int64_t most_ms = retry->wait_max_ms > retry->wait_ms ? retry->wait_max_ms : retry->wait_ms;
    int64_t now_ms = clock_wall_ms();
    int woken =
        spool_wake_beyond(dispatch->engine.spool, now_ms, now_ms + most_ms + CLOCK_SLACK_MS);

    if (woken > 0)
        log_warning("the clock was set back: deliveries that would have waited too long are due "
                    "now count=%d",
                    woken);
}

static void check_stale(struct dispatch *dispatch, const struct tables *tables, int64_t now_ms)
{
    char name[sizeof dispatch->stale] = "";
    char what[256];

    if (spool_incoming_stale(dispatch->engine.spool, tables->stale_ms, name, sizeof name) < 0)
        name[0] = '\0';
    pthread_mutex_lock(&dispatch->lock);
    if (strcmp(name, dispatch->stale) != 0)
        dispatch->stale_alarm_ms = 0;
    text_copy(dispatch->stale, sizeof dispatch->stale, name);
    pthread_mutex_unlock(&dispatch->lock);
    if (name[0] == '\0' ||
        (dispatch->stale_alarm_ms != 0 && now_ms - dispatch->stale_alarm_ms < AGAIN_MS))
        return;
    dispatch->stale_alarm_ms = now_ms;
    log_alert("something lies in incoming/ that cannot be taken over name=%s do=\"look into "
              "%s/incoming, and move what is no fax away\"",
              LOG_ESCAPED(name), spool_state_dir(dispatch->engine.spool));
    snprintf(what, sizeof what, "something lies in incoming/ that cannot be taken over: %s", name);
    report_add(dispatch->engine.report, what, "look into incoming/, and move what is no fax away");
}

static void check_space(struct dispatch *dispatch, const struct tables *tables, int64_t now_ms)
{
    int64_t bytes = 0;
    int64_t files = 0;
    char what[120];
    bool low;

    if (spool_space(dispatch->engine.spool, &bytes, &files) < 0)
        return;
    low = bytes < tables->min_free_bytes;
    pthread_mutex_lock(&dispatch->lock);
    dispatch->space_low = low;
    dispatch->free_bytes = bytes;
    pthread_mutex_unlock(&dispatch->lock);
    if (!low)
        dispatch->space_alarm_ms = 0;
    else if (dispatch->space_alarm_ms == 0 || now_ms - dispatch->space_alarm_ms >= AGAIN_MS) {
        dispatch->space_alarm_ms = now_ms;
        log_alert("disk space is low free=%lld least=%lld do=\"make room below %s, or shorten "
                  "[spool] keep\"",
                  (long long)bytes, (long long)tables->min_free_bytes,
                  spool_state_dir(dispatch->engine.spool));
        snprintf(what, sizeof what, "disk space is low: %lld MB free, %lld MB is the least",
                 (long long)bytes >> 20, (long long)tables->min_free_bytes >> 20);
        report_add(dispatch->engine.report, what,
                   "make room where the spool lies, or shorten [spool] keep");
    }
}

static void keep_house(struct dispatch *dispatch)
{
    int64_t now_ms = clock_monotonic_ms();
    struct tables *tables;
    int removed;

    if (dispatch->house_ms != 0 && now_ms - dispatch->house_ms < HOUSE_MS)
        return;
    dispatch->house_ms = now_ms;
    tables = engine_tables(&dispatch->engine);
    check_stale(dispatch, tables, now_ms);
    check_space(dispatch, tables, now_ms);
    check_workers(dispatch, now_ms);
    check_clock(dispatch, tables);
    removed =
        spool_fax_expire(dispatch->engine.spool, clock_wall_ms() - tables->keep_ms, EXPIRE_MOST);
    if (removed > 0)
        log_info("old faxes removed count=%d", removed);
    tables_leave(tables);
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

    if (!is_draining(dispatch) && room(dispatch) > 0)
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

    for (;;) {
        bool stopping;

        pthread_mutex_lock(&dispatch->lock);
        stopping = dispatch->stopping;
        pthread_mutex_unlock(&dispatch->lock);
        if (stopping || claimed == NULL)
            break;
        if (!is_draining(dispatch)) {
            event = atomic_exchange(&dispatch->look, false) || event;
            if (event || clock_monotonic_ms() - scan_ms >= SCAN_MS) {
                take_over(dispatch);
                scan_ms = clock_monotonic_ms();
            }
            keep_house(dispatch);
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
    error = health_new(&engine->health, 0, 0);
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

    while (error == 0 && dispatch->workers < workers) {
        error = thread_start(&dispatch->worker[dispatch->workers], "mail", work, dispatch);
        pthread_mutex_lock(&dispatch->lock);
        dispatch->workers += error == 0;
        pthread_mutex_unlock(&dispatch->lock);
    }
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
    int64_t workers = conf_number(faxpost, "limits", NULL, "workers");
    int error;

    if (dispatch == NULL)
        return ERROR_MEMORY;
    dispatch->inotify_fd = dispatch->engine.wake_fd = dispatch->engine.stop_fd = -1;
    dispatch->engine.spool = spool;
    dispatch->engine.take = take_job;
    dispatch->engine.put = put_job;
    dispatch->engine.pool = dispatch;
    dispatch->ready.last = &dispatch->ready.first;
    dispatch->parked.last = &dispatch->parked.first;
    dispatch->at_work.last = &dispatch->at_work.first;
    dispatch->queue_most = (int)conf_number(faxpost, "limits", NULL, "queue");
    pthread_mutex_init(&dispatch->lock, NULL);
    pthread_mutex_init(&dispatch->engine.lock, NULL);
    thread_condition_init(&dispatch->work);
    error = submit_prepare();
    if (error == 0)
        error = tables_load(&dispatch->engine.tables, faxpost, servers, bypass, log_problem, NULL);
    if (error == 0)
        error = start_engine(&dispatch->engine);
    if (error == 0)
        error = open_inotify(dispatch);
    if (error == 0)
        error = report_start(&dispatch->engine.report, spool, tables_of, kick_engine,
                             &dispatch->engine);
    if (error == 0)
        error = start_threads(dispatch, hooks, workers > WORKERS_MAX ? WORKERS_MAX : (int)workers);
    if (error < 0) {
        dispatch_stop(dispatch, 0);
        return error;
    }
    log_info("delivery runs workers=%d servers=%d", dispatch->workers,
             dispatch->engine.tables->servers->count);
    *out = dispatch;
    return 0;
}

void dispatch_kick(struct dispatch *dispatch)
{
    atomic_store(&dispatch->look, true);
    thread_wake(dispatch->engine.wake_fd);
}

/* Jobs that have not begun go back to the disk. */
static void give_back(struct dispatch *dispatch, struct queue *queue)
{
    struct job *job;

    for (;;) {
        pthread_mutex_lock(&dispatch->lock);
        job = queue->first != NULL ? queue_take(queue, &queue->first) : NULL;
        pthread_mutex_unlock(&dispatch->lock);
        if (job == NULL)
            return;
        worker_give_back(&dispatch->engine, job);
    }
}

void dispatch_drain(struct dispatch *dispatch)
{
    pthread_mutex_lock(&dispatch->lock);
    dispatch->draining = true;
    pthread_mutex_unlock(&dispatch->lock);
    if (dispatch->composer != NULL)
        composer_drain(dispatch->composer);
    give_back(dispatch, &dispatch->ready);
    give_back(dispatch, &dispatch->parked);
}

bool dispatch_is_idle(const struct dispatch *dispatch)
{
    struct dispatch *own = (struct dispatch *)dispatch;
    bool idle;

    pthread_mutex_lock(&own->lock);
    idle = own->at_work.count == 0 && own->ready.count == 0 && own->parked.count == 0;
    pthread_mutex_unlock(&own->lock);
    return idle && !composer_is_busy(own->composer);
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
    pthread_mutex_lock(&dispatch->lock);
    dispatch->stopping = true; /* before the wake-ups: who wakes looks at it */
    pthread_cond_broadcast(&dispatch->work);
    pthread_mutex_unlock(&dispatch->lock);
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
    int i;

    if (dispatch == NULL)
        return;
    if (dispatch->thread_started) {
        dispatch_drain(dispatch);
        wait_idle(dispatch, grace_ms);
    }
    cut_off(dispatch);
    if (dispatch->thread_started)
        thread_join(dispatch->thread);
    for (i = 0; i < dispatch->workers; i++)
        thread_join(dispatch->worker[i]);
    composer_stop(dispatch->composer);
    report_stop(dispatch->engine.report);
    give_back(dispatch, &dispatch->ready);
    give_back(dispatch, &dispatch->parked);
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
    pthread_cond_destroy(&dispatch->work);
    pthread_mutex_destroy(&dispatch->engine.lock);
    pthread_mutex_destroy(&dispatch->lock);
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
    int i;

    *out = (struct dispatch_status){.composing = composer_is_busy(dispatch->composer)};
    pthread_mutex_lock(&dispatch->lock);
    out->workers = dispatch->workers;
    out->workers_busy = dispatch->at_work.count;
    out->queued = dispatch->ready.count + dispatch->parked.count;
    out->draining = dispatch->draining;
    out->space_low = dispatch->space_low;
    out->free_bytes = dispatch->free_bytes;
    text_copy(out->stale, sizeof out->stale, dispatch->stale);
    pthread_mutex_unlock(&dispatch->lock);
    pthread_mutex_lock(&dispatch->engine.lock);
    text_copy(out->alarm, sizeof out->alarm, dispatch->engine.alarm);
    pthread_mutex_unlock(&dispatch->engine.lock);
    out->mailbox_only = tables->servers->count == 0 && !tables->had_servers;
    out->server_count = tables->servers->count;
    for (i = 0; i < tables->servers->count; i++)
        describe_server(dispatch, &tables->servers->server[i], &out->server[i]);
    tables_leave(tables);
}
