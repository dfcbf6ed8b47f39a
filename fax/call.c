/* SPDX-License-Identifier: MIT */
/*
 * call.c - a call between its driving thread and the workers.
 */
#include "fax/call.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

enum {
    INFO_EVERY_MS = 2000, /* progress of a live call */
    INFO_RETRY_MS = 500,
    HANG_UP_MS = 15000, /* for the session to end after it was told to */
};

/* ---- life --------------------------------------------------------------------------------------
 */

static void calls_add(struct call_shared *shared, int change)
{
    int calls;

    pthread_mutex_lock(&shared->lock);
    calls = shared->calls += change;
    pthread_cond_broadcast(&shared->calls_changed);
    pthread_mutex_unlock(&shared->lock);
    if (shared->hooks.calls_changed != NULL)
        shared->hooks.calls_changed(shared->hooks.user, calls);
}

void call_init(struct call *call, const struct call_driver *driver, struct call_shared *shared,
               const struct call_limits *limits, const struct call_line *line, int references)
{
    atomic_init(&call->references, references);
    call->driver = driver;
    call->shared = shared;
    call->ecm = line->ecm;
    call->trace = line->trace;
    call->limits = *limits;
    call->info.started_ms = clock_wall_ms();
    fax_id_new(call->info.fax_id, call->info.started_ms);
    text_copy(call->fax_id, sizeof call->fax_id, call->info.fax_id);
    text_copy(call->info.line, sizeof call->info.line, line->name);
    text_copy(call->info.own_station, sizeof call->info.own_station, line->station);
    calls_add(shared, 1);
}

void call_ref(struct call *call)
{
    atomic_fetch_add(&call->references, 1);
}

void call_unref(struct call *call)
{
    struct call_shared *shared;

    if (call == NULL || atomic_fetch_sub(&call->references, 1) != 1)
        return;
    shared = call->shared;
    session_free(call->session);
    incoming_close(call->incoming);
    call->driver->free(call);
    calls_add(shared, -1);
}

/* ---- the session -------------------------------------------------------------------------------
 */

struct session_settings call_session_settings(const struct call *call)
{
    return (struct session_settings){
        .station = call->info.own_station,
        .ecm = call->ecm,
        .pages_max = call->limits.pages_max,
        .rows_max = call->limits.rows_max,
        .session_ms_max = call->limits.session_ms_max,
        .stall_ms_max = call->limits.stall_ms_max,
    };
}

static void hook_trace(void *user, const char *line)
{
    struct call *call = user;

    log_info("t30 fax=%s call=%s trace=%s", call->fax_id, LOG_ESCAPED(call->call_ref),
             LOG_ESCAPED(line));
}

struct session_hooks call_session_hooks(struct call *call)
{
    return (struct session_hooks){.user = call, .trace = call->trace ? hook_trace : NULL};
}

/* ---- progress ----------------------------------------------------------------------------------
 */

void call_begin(struct call *call, int64_t now_ms)
{
    call->info_ms = now_ms + INFO_EVERY_MS;
}

void call_report(struct call *call, int64_t now_ms)
{
    uint32_t revision = session_revision(call->session);
    int pages = call->info.pages;

    if (call->info_is_out || (revision == call->revision && now_ms < call->info_ms))
        return;
    if (revision == call->revision && !workers_are_idle(call->shared->workers)) {
        call->info_ms = now_ms + INFO_RETRY_MS; /* pages first */
        return;
    }
    call->revision = revision;
    call->info_ms = now_ms + INFO_EVERY_MS;
    session_describe(call->session, &call->info);
    call->snapshot = call->info;
    call->snapshot_is_durable = call->info.pages != pages;
    call->info_is_out = true;
    workers_submit(call->shared->workers, &call->info_job, WORKER_INFO, call);
}

/* ---- to the workers and back -------------------------------------------------------------------
 */

void call_go_away(struct call *call)
{
    call->is_away = true;
    workers_submit(call->shared->workers, &call->work_job, WORKER_WORK, call);
}

/* The session is over and nothing of it is out any more: the last work is a disk worker's. */
static bool finish_if_done(struct call *call)
{
    if (!call->is_over || call->stores_out != 0 || call->info_is_out)
        return false;
    workers_submit(call->shared->workers, &call->life_job, WORKER_FINISH, call);
    return true;
}

void call_worked(struct call *call, int stores)
{
    call->is_away = false;
    call->stores_out += stores;
}

bool call_stored(struct call *call, uint32_t generation, int number, bool unconfirmed, int error)
{
    call->stores_out--;
    if (!unconfirmed) {
        if (error == 0 && number > call->stored_most)
            call->stored_most = number;
        session_post_stored(call->session, generation, error);
    }
    return finish_if_done(call);
}

bool call_info_written(struct call *call)
{
    call->info_is_out = false;
    return finish_if_done(call);
}

/* ---- the end -----------------------------------------------------------------------------------
 */

void call_hang_up(struct call *call, const char *why, int64_t now_ms)
{
    if (call->is_over || call->hang_up_ms != 0)
        return;
    call->hang_up_ms = now_ms;
    session_post_hangup(call->session, why);
}

bool call_is_stuck(const struct call *call, int64_t now_ms)
{
    if (call->hang_up_ms == 0 || now_ms - call->hang_up_ms < HANG_UP_MS)
        return false;
    log_error("session does not end fax=%s call=%s: the call is closed", call->fax_id,
              LOG_ESCAPED(call->call_ref));
    return true;
}

bool call_over(struct call *call)
{
    call->is_over = true;
    return finish_if_done(call);
}
