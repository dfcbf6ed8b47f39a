/* SPDX-License-Identifier: MIT */
/*
 * worker.c - begin, then step by step: connect (attempt.c), wait, file, end; every attempt leaves
 * its row in the transmission log before the next one begins.
 */
#include "smtp/worker.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "smtp/attempt.h"
#include "smtp/mailbox.h"

enum {
    ALARM_AGAIN_MS = 600000,
    ROWS_AT_ONCE = 32,
    RECORD_AGAIN_MS = 1000,
};

/* A report to the operator is in hand: what goes wrong with it makes no further one. */
static _Thread_local bool no_report;

void turn_hold(const struct job *job)
{
    no_report = job->delivery.kind == SPOOL_KIND_REPORT;
}

struct tables *engine_tables(struct engine *engine)
{
    struct tables *tables;

    pthread_mutex_lock(&engine->lock);
    tables = tables_use(engine->tables);
    pthread_mutex_unlock(&engine->lock);
    return tables;
}

/* Under the lock. */
static bool was_said(struct engine *engine, const char *text, int64_t now_ms)
{
    int i;

    for (i = 0; i < ENGINE_ALARMS_SAID; i++) {
        if (strcmp(text, engine->said[i].text) != 0)
            continue;
        if (now_ms - engine->said[i].at_ms < ALARM_AGAIN_MS)
            return true;
        engine->said[i].at_ms = now_ms;
        return false;
    }
    i = (int)(engine->said_next++ % ENGINE_ALARMS_SAID);
    text_copy(engine->said[i].text, ENGINE_ALARM_MAX, text);
    engine->said[i].at_ms = now_ms;
    return false;
}

void engine_alarm(struct engine *engine, const char *format, ...)
{
    char text[ENGINE_ALARM_MAX];
    int64_t now_ms = clock_monotonic_ms();
    bool again;
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (no_report) {
        log_alert("%s", text);
        return;
    }
    pthread_mutex_lock(&engine->lock);
    again = was_said(engine, text, now_ms);
    text_copy(engine->alarm, sizeof engine->alarm, text);
    pthread_mutex_unlock(&engine->lock);
    if (again)
        return;
    log_alert("%s", text);
    report_add(engine->report, text, "");
}

/* ---- the log row ------------------------------------------------------------------------------
 */

void turn_set_row(struct job *job, const char *server, const char *address, const char *result,
                  const char *reply)
{
    struct spool_attempt *row = &job->row;

    *row = (struct spool_attempt){.delivery_id = job->delivery.id, .time_ms = clock_wall_ms()};
    text_copy(row->server, sizeof row->server, server);
    text_copy(row->address, sizeof row->address, address);
    text_copy(row->result, sizeof row->result, result);
    text_copy(row->reply, sizeof row->reply, reply);
}

int turn_write_row(struct engine *engine, struct job *job)
{
    int error;

    if (job->row.delivery_id == 0)
        return 0;
    error = spool_attempt_add(engine->spool, &job->row);
    if (error < 0)
        log_error("transmission log not written fax=%s: %s", job->delivery.fax_id,
                  error_text(error));
    job->row.delivery_id = 0;
    return error;
}

/* ---- results ----------------------------------------------------------------------------------
 */

struct spool_result turn_result(struct job *job, enum spool_delivery_state state, int64_t due_ms,
                                bool remember)
{
    struct spool_result result = {
        .delivery_id = job->delivery.id,
        .state = state,
        .due_ms = due_ms,
        .uncertain = job->step.memory.uncertain && remember,
        .attempt = job->row.delivery_id != 0 ? &job->row : NULL,
    };

    if (remember && policy_memory_format(job->memory, &job->step.memory) == 0)
        result.policy = job->memory;
    if (result.attempt != NULL) {
        result.server = job->row.server;
        result.reply = job->row.reply;
    }
    return result;
}

void turn_recorded(struct job *job)
{
    job->row.delivery_id = 0;
    job->over = true;
}

/* What cannot be recorded now (disk full) is tried until the daemon stops: a mail that was sent
 * must not be sent again only because the disk was full. */
void turn_record(struct engine *engine, struct job *job, enum spool_delivery_state state,
                 int64_t due_ms, bool remember)
{
    struct spool_result result = turn_result(job, state, due_ms, remember);
    int error;

    while ((error = spool_finish(engine->spool, &result)) < 0 && error != ERROR_STATE &&
           error != ERROR_NOT_FOUND && !atomic_load(&engine->stopping)) {
        engine_alarm(engine, "result of a delivery cannot be recorded, look at the disk fax=%s: %s",
                     job->delivery.fax_id, error_text(error));
        usleep(RECORD_AGAIN_MS * 1000);
    }
    if (error < 0)
        log_error("result of a delivery was not recorded fax=%s recipient=%s: %s",
                  job->delivery.fax_id, LOG_ESCAPED(job->delivery.recipient), error_text(error));
    turn_recorded(job);
}

/* Files a copy in the recipient's mailbox; 0 when it lies there. */
static int file_copy_of(struct engine *engine, struct job *job, bool repeat)
{
    char path[MAILBOX_PATH_MAX];
    int error = mailbox_deliver(spool_state_dir(engine->spool), job->delivery.recipient,
                                job->delivery.fax_id, job->delivery.message_path, repeat, path);

    if (error < 0)
        engine_alarm(engine, "mail cannot be filed in the mailbox fax=%s recipient=%s: %s",
                     job->delivery.fax_id, LOG_ESCAPED(job->delivery.recipient), error_text(error));
    else if (error == 0)
        log_info("mail filed fax=%s path=%s", job->delivery.fax_id, LOG_ESCAPED(path));
    return error < 0 ? error : 0;
}

/* ---- asking -----------------------------------------------------------------------------------
 */

static enum bypass_decision own_decision(const struct spool_delivery *delivery)
{
    switch (delivery->bypass) {
    case SPOOL_BYPASS_ALLOW: return BYPASS_ALLOW;
    case SPOOL_BYPASS_DENY: return BYPASS_DENY;
    case SPOOL_BYPASS_TABLE: break;
    }
    return BYPASS_TABLE;
}

/* The bypass table's answer, once in a turn: so it is asked again after every wait. */
static void decide_bypass(struct engine *engine, struct job *job)
{
    struct spool_fax fax;
    struct bypass_query query = {.destination = job->delivery.recipient,
                                 .own = own_decision(&job->delivery)};

    if (job->bypass_known)
        return;
    job->bypass_known = true;
    if (job->tables->servers->count < 2)
        return;
    if (job->delivery.kind != SPOOL_KIND_FAX) {
        query.envelope_sender = job->delivery.envelope_from;
    } else if (spool_fax_get(engine->spool, job->delivery.fax_id, &fax) == 0) {
        query.line = fax.call.line;
        query.caller = fax.call.caller;
        query.station = fax.call.station;
    }
    bypass_decide(&job->bypass, job->tables->bypass, &query);
    log_debug("bypass fax=%s permitted=%s authority=%d reason=%s", job->delivery.fax_id,
              job->bypass.permitted ? "yes" : "no", job->bypass.authority,
              LOG_ESCAPED(job->bypass.reason));
}

/* Made due before its time by the operator or a change of the tables; those that only woke because
 * a server came back have exactly that time in their row. */
static bool is_forced(struct engine *engine, const struct job *job,
                      const struct policy_memory *memory)
{
    bool comeback = false;
    int i;

    if (memory->wait == POLICY_WAIT_NONE || job->delivery.due_ms >= memory->due_ms)
        return false;
    pthread_mutex_lock(&engine->lock);
    for (i = 0; i < ENGINE_COMEBACKS; i++)
        comeback |= engine->comeback_ms[i] == job->delivery.due_ms;
    pthread_mutex_unlock(&engine->lock);
    return !comeback;
}

static void log_step(const struct job *job, const struct policy_result *step)
{
    static const char *const actions[] = {
        [POLICY_CONNECT] = "connect", [POLICY_WAIT] = "wait", [POLICY_MAILBOX] = "mailbox",
        [POLICY_DONE] = "done",       [POLICY_FAIL] = "fail",
    };
    char due[CLOCK_TEXT_MAX] = "-";

    if (step->action == POLICY_WAIT)
        clock_text(due, step->due_ms);
    log_info("delivery step=%s action=%s fax=%s recipient=%s server=%s due=%s passed=%d "
             "reason=\"%s\"",
             policy_step_text(step->step), actions[step->action], job->delivery.fax_id,
             LOG_ESCAPED(job->delivery.recipient), step->server[0] != '\0' ? step->server : "-",
             due, step->passed, step->reason);
}

/* The spool shifts its times when the clock is set; a job in hand has those of before. */
static int64_t clock_shift_ms(const struct job *job)
{
    int64_t shift_ms = clock_wall_ms() - clock_boot_ms() - job->offset_ms;

    return shift_ms > CLOCK_JUMP_MS || shift_ms < -CLOCK_JUMP_MS ? shift_ms : 0;
}

void turn_ask(struct engine *engine, struct job *job, enum policy_event event, const char *server,
              enum failure_class class)
{
    struct policy_health_entry health[SERVER_COUNT_MAX];
    struct policy_memory memory = job->step.memory;
    struct policy_input input = {
        .settings = &job->tables->retry,
        .servers = job->tables->servers,
        .health = health,
        .had_servers = job->tables->had_servers,
        .memory = &memory,
        .created_ms = job->delivery.created_ms + clock_shift_ms(job),
        .now_ms = clock_wall_ms(),
        .forced = event == POLICY_BEGIN && is_forced(engine, job, &memory),
        .event = event,
        .server = server,
        .class = class,
    };

    decide_bypass(engine, job);
    input.permitted = job->bypass.permitted;
    input.authority = job->bypass.authority;
    health_snapshot(engine->health, job->tables->servers, input.now_ms, health);
    policy_next_step(&job->step, &input);
    log_step(job, &job->step);
    if (job->row.delivery_id != 0 && job->row.step[0] == '\0')
        text_copy(job->row.step, sizeof job->row.step, policy_step_text(job->step.step));
    if (job->step.action == POLICY_CONNECT)
        turn_write_row(engine, job);
}

/* ---- beginning --------------------------------------------------------------------------------
 */

/* The spool found it under way when the process had died, and nothing was tried since. */
static bool was_in_flight(struct engine *engine, const struct job *job)
{
    struct spool_attempt *rows = calloc(ROWS_AT_ONCE, sizeof *rows);
    bool in_flight = false;
    int64_t after = 0;
    int count;
    int i;

    if (rows == NULL)
        return true;
    while ((count = spool_attempt_list(engine->spool, after, job->delivery.fax_id, NULL, rows,
                                       ROWS_AT_ONCE)) > 0) {
        for (i = 0; i < count; i++) {
            after = rows[i].id;
            if (rows[i].delivery_id == job->delivery.id)
                in_flight = strcmp(rows[i].result, "uncertain") == 0;
        }
    }
    free(rows);
    return in_flight;
}

/* The row says uncertain and the memory does not know: the process died in between. One that begins
 * anew by the operator's command has its age reset. */
static bool has_crashed(struct engine *engine, const struct job *job)
{
    if (!job->delivery.uncertain || job->step.memory.uncertain)
        return false;
    if (job->fresh && job->delivery.created_ms == job->delivery.due_ms)
        return false;
    return was_in_flight(engine, job);
}

static void begin(struct engine *engine, struct job *job)
{
    struct policy_memory *memory = &job->step.memory;

    job->tables = engine_tables(engine);
    if (policy_memory_parse(memory, job->delivery.policy) < 0)
        log_error("memory of a delivery is damaged, it begins anew fax=%s", job->delivery.fax_id);
    job->fresh = memory->wait == POLICY_WAIT_NONE && memory->at[0] == '\0';
    if (job->fresh && job->tables->mailbox && job->tables->servers->count > 0)
        file_copy_of(engine, job, job->delivery.uncertain || job->delivery.attempts > 0);
    if (has_crashed(engine, job))
        turn_ask(engine, job, POLICY_CRASHED, job->delivery.last_server, FAILURE_UNCERTAIN);
    else
        turn_ask(engine, job, POLICY_BEGIN, NULL, FAILURE_NONE);
}

/* ---- obeying ----------------------------------------------------------------------------------
 */

static enum worker_end do_connect(struct engine *engine, struct job *job)
{
    int index = server_list_find(job->tables->servers, job->step.server);
    struct health_hold hold;

    if (atomic_load(&engine->stopping)) {
        turn_record(engine, job, SPOOL_DUE, clock_wall_ms(), !job->fresh);
        return WORKER_DONE; /* begins here when the daemon is back */
    }
    switch (health_acquire(engine->health, &job->tables->servers->server[index], &hold)) {
    case HEALTH_FULL:
        text_copy(job->waits_for, sizeof job->waits_for, job->step.server);
        return WORKER_PARK;
    case HEALTH_TAKEN: {
        char server[SERVER_NAME_MAX];

        text_copy(server, sizeof server, job->step.server);
        turn_ask(engine, job, POLICY_NOT_TRIED, server, FAILURE_NONE);
        break;
    }
    case HEALTH_GO:
        job->fresh = false;
        attempt_run(engine, job, index, &hold);
        break;
    }
    return WORKER_DONE;
}

/* To the operator, in the server's own words. The end of a report makes no report. */
static void report_delivery(struct engine *engine, const struct job *job, const char *what)
{
    char text[REPORT_TEXT_MAX];
    char to_do[200];
    const char *server = job->row.server[0] != '\0' ? job->row.server : job->delivery.last_server;
    const char *reply = job->row.reply[0] != '\0' ? job->row.reply : job->delivery.last_reply;

    if (job->delivery.kind == SPOOL_KIND_REPORT)
        return;
    snprintf(text, sizeof text, "%s: %s for %.254s; server %s said: %.400s (%.150s)", what,
             job->delivery.fax_id, job->delivery.recipient, server[0] != '\0' ? server : "-",
             reply[0] != '\0' ? reply : "-", job->step.reason);
    snprintf(to_do, sizeof to_do,
             "it lies in the mailbox; faxpost log --fax %s shows every attempt, faxpost retry or "
             "resend tries again",
             job->delivery.fax_id);
    report_add(engine->report, text, to_do);
}

/* S13 and ends that are not S4: the copy first, then the operator. */
static bool warn_operator(struct engine *engine, struct job *job, const char *what)
{
    if (file_copy_of(engine, job, true) < 0)
        return false;
    log_alert("%s fax=%s recipient=%s rounds=%d server=%s reply=%s reason=\"%s\" do=\"see faxpost "
              "log --fax %s; the fax lies in the mailbox\"",
              what, job->delivery.fax_id, LOG_ESCAPED(job->delivery.recipient),
              job->step.memory.rounds,
              job->row.server[0] != '\0' ? job->row.server : job->delivery.last_server,
              LOG_ESCAPED(job->row.reply[0] != '\0' ? job->row.reply : job->delivery.last_reply),
              job->step.reason, job->delivery.fax_id);
    report_delivery(engine, job, what);
    return true;
}

static void do_wait(struct engine *engine, struct job *job)
{
    if (job->step.no_server)
        engine_alarm(engine, "mail waits because the last server was removed: add one");
    if (job->step.warn &&
        !warn_operator(engine, job, "a fax cannot be delivered, settings are probably wrong"))
        job->step.memory.warned = false; /* the copy could not be made: again at the next round */
    turn_record(engine, job, SPOOL_DUE, job->step.due_ms, true);
}

static void do_mailbox(struct engine *engine, struct job *job)
{
    bool repeat = !job->fresh || job->delivery.uncertain || job->delivery.attempts > 0;
    char name[MAILBOX_NAME_MAX];

    if (file_copy_of(engine, job, repeat) < 0) {
        turn_record(engine, job, SPOOL_DUE, clock_wall_ms() + job->tables->retry.wait_ms, false);
        return;
    }
    mailbox_name(name, job->delivery.recipient);
    turn_set_row(job, "mailbox", "mailbox", "mailbox", name);
    text_copy(job->row.step, sizeof job->row.step, policy_step_text(job->step.step));
    turn_record(engine, job, SPOOL_DONE, 0, false);
}

static void do_fail(struct engine *engine, struct job *job)
{
    /* Not in the mailbox, not ended: no fax is dropped. */
    if (!warn_operator(engine, job, "a fax was not delivered")) {
        turn_record(engine, job, SPOOL_DUE, clock_wall_ms() + job->tables->retry.wait_ms, true);
        return;
    }
    turn_record(engine, job, SPOOL_FAILED, 0, true);
}

void turn_go_on(struct engine *engine, struct job *job)
{
    turn_hold(job);
    if (job->tables == NULL)
        begin(engine, job);
    while (!job->over) {
        switch (job->step.action) {
        case POLICY_CONNECT: return;
        case POLICY_WAIT: do_wait(engine, job); break;
        case POLICY_MAILBOX: do_mailbox(engine, job); break;
        case POLICY_DONE: turn_record(engine, job, SPOOL_DONE, 0, true); break;
        case POLICY_FAIL: do_fail(engine, job); break;
        }
    }
}

enum worker_end worker_turn(struct engine *engine, struct job *job)
{
    enum worker_end end = WORKER_DONE;
    struct job *mate;

    job->waits_for[0] = '\0';
    turn_go_on(engine, job);
    while (!job->over && end == WORKER_DONE) {
        end = do_connect(engine, job);
        if (end == WORKER_DONE)
            turn_go_on(engine, job);
    }
    while ((mate = job->mates) != NULL) {
        job->mates = mate->next;
        engine->put(engine->pool, mate);
    }
    return end;
}

void worker_give_back(struct engine *engine, struct job *job)
{
    turn_record(engine, job, SPOOL_DUE, job->delivery.due_ms, job->tables != NULL && !job->fresh);
    worker_free(job);
}

void worker_free(struct job *job)
{
    if (job == NULL)
        return;
    tables_leave(job->tables);
    free(job);
}
