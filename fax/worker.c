/* SPDX-License-Identifier: MIT */
/*
 * worker.c - core workers and disk workers.
 */
#include "fax/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "base/thread.h"
#include "fax/call.h"
#include "fax/storage.h"

enum { THREADS_MAX = 128 };

/* Queues in the order in which disk workers look: the place is the priority. */
enum queue { QUEUE_STORE, QUEUE_LIFE, QUEUE_INFO, QUEUE_CORE, QUEUE_COUNT };

struct queue_list {
    struct worker_job *first, **last;
};

struct workers {
    int open_delay_ms, store_delay_ms, store_fail; /* constant: for tests */
    atomic_int stores;                             /* pages stored so far, for store_fail */
    pthread_t threads[THREADS_MAX];                /* main thread only */
    int thread_count;

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t core_wanted, disk_wanted;
    struct queue_list queues[QUEUE_COUNT];
    bool is_stopping;
};

/* ---- queues ------------------------------------------------------------------------------------
 */

static const enum queue queue_of[] = {
    [WORKER_WORK] = QUEUE_CORE,   [WORKER_STORE] = QUEUE_STORE, [WORKER_OPEN] = QUEUE_LIFE,
    [WORKER_FINISH] = QUEUE_LIFE, [WORKER_INFO] = QUEUE_INFO,
};

void workers_submit(struct workers *workers, struct worker_job *job, enum worker_kind kind,
                    struct call *call)
{
    struct queue_list *list = &workers->queues[queue_of[kind]];

    job->kind = kind;
    job->call = call;
    job->next = NULL;
    pthread_mutex_lock(&workers->lock);
    *list->last = job;
    list->last = &job->next;
    pthread_cond_signal(kind == WORKER_WORK ? &workers->core_wanted : &workers->disk_wanted);
    pthread_mutex_unlock(&workers->lock);
}

bool workers_are_idle(struct workers *workers)
{
    bool idle = true;

    pthread_mutex_lock(&workers->lock);
    for (int i = QUEUE_STORE; i <= QUEUE_INFO; i++)
        idle = idle && workers->queues[i].first == NULL;
    pthread_mutex_unlock(&workers->lock);
    return idle;
}

/* The lock is held. */
static struct worker_job *queue_take(struct workers *workers, enum queue first, enum queue last)
{
    for (int i = (int)first; i <= (int)last; i++) {
        struct queue_list *list = &workers->queues[i];
        struct worker_job *job = list->first;

        if (job == NULL)
            continue;
        list->first = job->next;
        if (list->first == NULL)
            list->last = &list->first;
        return job;
    }
    return NULL;
}

static struct worker_job *workers_wait(struct workers *workers, bool core)
{
    struct worker_job *job;

    pthread_mutex_lock(&workers->lock);
    for (;;) {
        job = core ? queue_take(workers, QUEUE_CORE, QUEUE_CORE)
                   : queue_take(workers, QUEUE_STORE, QUEUE_INFO);
        if (job != NULL || workers->is_stopping)
            break;
        pthread_cond_wait(core ? &workers->core_wanted : &workers->disk_wanted, &workers->lock);
    }
    pthread_mutex_unlock(&workers->lock);
    return job;
}

/* ---- the end of a page -------------------------------------------------------------------------
 */

/* The pages that came out of the session, as jobs; one that finds no memory counts as not stored.
 */
static struct worker_job *take_pages(struct call *call, int *out_count)
{
    struct worker_job *first = NULL;
    struct worker_job **last = &first;
    struct session_page page;

    *out_count = 0;
    while (session_take_page(call->session, &page)) {
        struct worker_job *job = calloc(1, sizeof *job);

        ++*out_count;
        if (job == NULL) {
            log_error("page lost fax=%s page=%d: %s", call->fax_id, page.number,
                      error_text(ERROR_MEMORY));
            call->driver->stored(call, page.generation, page.number, page.unconfirmed,
                                 ERROR_MEMORY);
            free(page.tiff);
            continue;
        }
        job->page = page;
        *last = job;
        last = &job->next;
    }
    return first;
}

static void job_work(struct workers *workers, struct worker_job *job)
{
    struct call *call = job->call;
    struct worker_job *next;
    int count;

    session_work(call->session);
    next = take_pages(call, &count);
    /* The session goes back first: from here on it is not ours, and `job` lies within it. */
    call->driver->worked(call, count);
    while (next != NULL) {
        job = next;
        next = job->next;
        workers_submit(workers, job, WORKER_STORE, call);
    }
}

static void sleep_ms(int ms)
{
    struct timespec left = {ms / 1000, (long)(ms % 1000) * 1000000};

    while (ms > 0 && nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

static int store_confirmed(struct workers *workers, struct call *call,
                           const struct session_page *page)
{
    int rc = ERROR_IO;

    if (atomic_fetch_add(&workers->stores, 1) + 1 != workers->store_fail)
        rc = incoming_store_page(call->incoming, page->number, page->tiff, page->length);
    sleep_ms(workers->store_delay_ms);
    return rc;
}

static int page_store(struct workers *workers, struct call *call, const struct session_page *page)
{
    int64_t start_ms = clock_monotonic_ms();
    const char *kind = page->unconfirmed ? "unconfirmed" : "page";
    int rc;

    if (page->unconfirmed)
        rc = incoming_store_unconfirmed(call->incoming, page->number, page->tiff, page->length);
    else
        rc = store_confirmed(workers, call, page);
    if (rc != 0)
        storage_failed(call->shared->storage, STORAGE_PAGES, rc);
    if (rc != 0)
        log_alert("page not stored fax=%s call=%s %s=%d bytes=%zu: %s; look at the disk of the "
                  "state folder",
                  call->fax_id, LOG_ESCAPED(call->call_ref), kind, page->number, page->length,
                  error_text(rc));
    else
        log_info("page stored fax=%s call=%s %s=%d bytes=%zu ms=%lld", call->fax_id,
                 LOG_ESCAPED(call->call_ref), kind, page->number, page->length,
                 (long long)(clock_monotonic_ms() - start_ms));
    return rc;
}

static void job_store(struct workers *workers, struct worker_job *job)
{
    struct call *call = job->call;
    int rc = page_store(workers, call, &job->page);

    free(job->page.tiff);
    call->driver->stored(call, job->page.generation, job->page.number, job->page.unconfirmed, rc);
    free(job);
}

/* ---- a call's folder ---------------------------------------------------------------------------
 */

static int check_space(const struct call *call)
{
    int64_t free_bytes;
    int rc = storage_free_bytes(call->shared->state_dir, &free_bytes);

    if (rc < 0)
        log_alert("state folder unusable path=\"%s/incoming\": %s", call->shared->state_dir,
                  error_text(rc));
    if (rc < 0 || free_bytes >= call->limits.free_bytes_min)
        return rc;
    log_alert("call refused fax=%s: only %lld MB free for the state folder, [spool] min_free asks "
              "for more",
              call->fax_id, (long long)(free_bytes >> 20));
    return ERROR_FULL;
}

static int open_folder(struct call *call)
{
    int rc = check_space(call);

    if (rc == 0) {
        rc = incoming_new(&call->incoming, call->shared->state_dir, &call->info);
        if (rc != 0)
            log_alert("call refused fax=%s: no folder: %s; look at the state folder", call->fax_id,
                      error_text(rc));
    }
    if (rc != 0)
        storage_failed(call->shared->storage, STORAGE_CALLS, rc);
    return rc;
}

static void job_open(struct workers *workers, struct worker_job *job)
{
    struct call *call = job->call;
    int rc;

    sleep_ms(workers->open_delay_ms);
    rc = open_folder(call);
    if (rc == 0) {
        rc = call->driver->session_new(call);
        if (rc != 0)
            log_alert("call refused fax=%s: no session: %s", call->fax_id, error_text(rc));
    }
    call->driver->opened(call, rc);
}

static void job_info(struct worker_job *job)
{
    struct call *call = job->call;
    int rc =
        incoming_write_info(call->incoming, &call->snapshot, call->snapshot_is_durable ? 1 : 0);

    if (rc != 0)
        log_warning("call.ini not written fax=%s: %s", call->fax_id, error_text(rc));
    call->driver->info_written(call);
}

/* What the session still had, and pages whose confirmation did not go out after all. */
static void finish_pages(struct workers *workers, struct call *call)
{
    struct session_page page;

    while (session_take_page(call->session, &page)) {
        page.unconfirmed = true;
        page_store(workers, call, &page);
        free(page.tiff);
    }
    for (int number = 1; number <= call->stored_most; number++)
        if (session_page_is_unconfirmed(call->session, number)) {
            int rc = incoming_unconfirm_page(call->incoming, number);

            log_info("page unconfirmed fax=%s page=%d%s%s", call->fax_id, number,
                     rc == 0 ? "" : ": ", rc == 0 ? "" : error_text(rc));
        }
}

/* What of a call's frames never reached the T.30 core: no fax machine sends such. */
static void log_dropped(const struct call *call)
{
    const char *why = NULL;
    unsigned dropped = call->session != NULL ? session_dropped(call->session, &why) : 0;

    if (dropped > 0)
        log_info("frames dropped fax=%s call=%s count=%u last=\"%s\"", call->fax_id,
                 LOG_ESCAPED(call->call_ref), dropped, why);
}

static void log_end(const struct call *call)
{
    const struct call_info *info = &call->info;
    int64_t from_ms = info->answered_ms != 0 ? info->answered_ms : info->started_ms;
    char more[160] = "";

    if (call->driver->end_text != NULL)
        call->driver->end_text(call, more, sizeof more);
    log_info("call ended fax=%s call=%s verdict=%s pages=%d unconfirmed=%d media=%s station=%s "
             "seconds=%lld%s why=%s",
             call->fax_id, LOG_ESCAPED(call->call_ref), call_verdict_text(info->verdict),
             info->pages, info->unconfirmed, call_media_text(info->media),
             LOG_ESCAPED(info->station), (long long)(info->ended_ms - from_ms + 500) / 1000, more,
             LOG_ESCAPED(info->error));
}

static void job_finish(struct workers *workers, struct worker_job *job)
{
    struct call *call = job->call;
    char why[CALL_ERROR_MAX];
    int rc;

    text_copy(why, sizeof why, call->info.error); /* said by SIP before the session began */
    call->info.ended_ms = clock_wall_ms();
    if (call->session != NULL) {
        if (call->incoming != NULL)
            finish_pages(workers, call);
        session_describe(call->session, &call->info);
    }
    if (call->info.error[0] == '\0' || why[0] != '\0')
        text_copy(call->info.error, sizeof call->info.error, why);
    if (call->info.verdict == CALL_LIVE)
        call->info.verdict = CALL_EMPTY;
    if (call->incoming != NULL) {
        rc = incoming_write_info(call->incoming, &call->info, 1);
        if (rc != 0)
            log_error("call.ini not written fax=%s: %s; the pages are there", call->fax_id,
                      error_text(rc));
        incoming_close(call->incoming);
        call->incoming = NULL;
    }
    log_dropped(call);
    log_end(call);
    call_unref(call);
}

/* ---- threads -----------------------------------------------------------------------------------
 */

static void *core_run(void *arg)
{
    struct workers *workers = arg;
    struct worker_job *job;

    while ((job = workers_wait(workers, true)) != NULL)
        job_work(workers, job);
    return NULL;
}

static void *disk_run(void *arg)
{
    struct workers *workers = arg;
    struct worker_job *job;

    while ((job = workers_wait(workers, false)) != NULL) {
        switch (job->kind) {
        case WORKER_STORE: job_store(workers, job); break;
        case WORKER_OPEN: job_open(workers, job); break;
        case WORKER_FINISH: job_finish(workers, job); break;
        case WORKER_INFO: job_info(job); break;
        case WORKER_WORK: break; /* lies in the other queue */
        }
    }
    return NULL;
}

static int test_number(const char *name)
{
    const char *text = getenv(name);
    int64_t value;

    if (text == NULL || text_number(&value, text) != 0 || value <= 0 || value > 600000)
        return 0;
    log_warning("test hook active: %s=%lld", name, (long long)value);
    return (int)value;
}

int workers_start(struct workers **out, int core_threads, int disk_threads)
{
    struct workers *workers = calloc(1, sizeof *workers);
    int rc = 0;

    if (workers == NULL)
        return ERROR_MEMORY;
    pthread_mutex_init(&workers->lock, NULL);
    thread_condition_init(&workers->core_wanted);
    thread_condition_init(&workers->disk_wanted);
    for (int i = 0; i < QUEUE_COUNT; i++)
        workers->queues[i].last = &workers->queues[i].first;
    workers->open_delay_ms = test_number("FAXPOST_TEST_OPEN_DELAY_MS");
    workers->store_delay_ms = test_number("FAXPOST_TEST_STORE_DELAY_MS");
    workers->store_fail = test_number("FAXPOST_TEST_STORE_FAIL");
    for (int i = 0; rc == 0 && i < core_threads + disk_threads && i < THREADS_MAX; i++) {
        bool core = i < core_threads;

        rc = thread_start(&workers->threads[i], core ? "core" : "disk", core ? core_run : disk_run,
                          workers);
        if (rc == 0)
            workers->thread_count++;
    }
    if (rc != 0)
        workers_stop(workers);
    else
        *out = workers;
    return rc;
}

void workers_stop(struct workers *workers)
{
    if (workers == NULL)
        return;
    pthread_mutex_lock(&workers->lock);
    workers->is_stopping = true;
    pthread_cond_broadcast(&workers->core_wanted);
    pthread_cond_broadcast(&workers->disk_wanted);
    pthread_mutex_unlock(&workers->lock);
    for (int i = 0; i < workers->thread_count; i++)
        thread_join(workers->threads[i]);
    pthread_cond_destroy(&workers->core_wanted);
    pthread_cond_destroy(&workers->disk_wanted);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
}
