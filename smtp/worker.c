/* SPDX-License-Identifier: MIT */
/*
 * worker.c - begin, then step by step: connect, send, wait, file, end; every attempt leaves its row
 * in the transmission log before the next one begins.
 */
#include "smtp/worker.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "base/thread.h"
#include "smtp/connect.h"
#include "smtp/mailbox.h"

enum {
    ALARM_AGAIN_MS = 600000,
    ROWS_AT_ONCE = 32,
    RECORD_AGAIN_MS = 1000,
    SHARED_MESSAGES_MAX = 50, /* by one connection; a further transaction may come on top */
    SHARED_MS = 60000,
    TAKE_TRIES = 8,
};

/* A report to the operator is in hand: what goes wrong with it makes no further one. */
static _Thread_local bool no_report;

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

static void make_row(struct job *job, const char *server, const char *address, const char *result,
                     const char *reply)
{
    struct spool_attempt *row = &job->row;

    *row = (struct spool_attempt){.delivery_id = job->delivery.id, .time_ms = clock_wall_ms()};
    text_copy(row->server, sizeof row->server, server);
    text_copy(row->address, sizeof row->address, address);
    text_copy(row->result, sizeof row->result, result);
    text_copy(row->reply, sizeof row->reply, reply);
}

static int write_row(struct engine *engine, struct job *job)
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

/* What is to be recorded; it points into the job. */
static struct spool_result make_result(struct job *job, enum spool_delivery_state state,
                                       int64_t due_ms, bool remember)
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

static void note_recorded(struct job *job)
{
    job->row.delivery_id = 0;
    job->over = true;
}

/* Records the end of a turn. What cannot be recorded now (disk full) is tried until the daemon
 * stops: a mail that was sent must not be sent again only because the disk was full. */
static void record(struct engine *engine, struct job *job, enum spool_delivery_state state,
                   int64_t due_ms, bool remember)
{
    struct spool_result result = make_result(job, state, due_ms, remember);
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
    note_recorded(job);
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

/* The next step into job->step. The pending row gets its step, and is written when another attempt
 * follows in this turn. */
static void ask(struct engine *engine, struct job *job, enum policy_event event, const char *server,
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
        .created_ms = job->delivery.created_ms,
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
        write_row(engine, job);
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
        ask(engine, job, POLICY_CRASHED, job->delivery.last_server, FAILURE_UNCERTAIN);
    else
        ask(engine, job, POLICY_BEGIN, NULL, FAILURE_NONE);
}

/* ---- an attempt -------------------------------------------------------------------------------
 */

/* What an attempt says of the server's health. */
static enum health_verdict judge_server(const struct submit_result *result)
{
    if (result->local_error != 0)
        return HEALTH_NEITHER;
    if (!result->greeted)
        return HEALTH_BROKEN;
    if (result->failure.event == EVENT_NONE)
        return HEALTH_WORKED;
    if (result->failure.stage == STAGE_STARTTLS)
        return HEALTH_BROKEN;
    if (result->failure.stage == STAGE_AUTH)
        return result->failure.event == EVENT_LOST || result->failure.event == EVENT_TIMEOUT
                   ? HEALTH_NEITHER
                   : HEALTH_BROKEN;
    return HEALTH_WORKED;
}

/* A server came back: what waits for it is due at once. */
static void wake_waiting(struct engine *engine)
{
    int64_t now_ms = clock_wall_ms();

    pthread_mutex_lock(&engine->lock);
    engine->comeback_ms[engine->comebacks++ % ENGINE_COMEBACKS] = now_ms;
    pthread_mutex_unlock(&engine->lock);
    spool_wake_all(engine->spool, now_ms);
    thread_wake(engine->wake_fd);
}

/* The row of a transmission, and the alarm where the settings are probably wrong. */
static enum failure_class note_outcome(struct engine *engine, struct job *job, const char *server,
                                       const char *address, const struct submit_result *result)
{
    const struct failure *failure = &result->failure;
    bool alarm = false;
    enum failure_class class = failure_classify(failure, &alarm);
    char words[SPOOL_REPLY_MAX];

    if (class == FAILURE_NONE) {
        make_row(job, server, address, "SMTP OK", failure->text);
        return class;
    }
    snprintf(words, sizeof words, "%s: %.480s", failure_stage_text(failure->stage), failure->text);
    make_row(job, server, address, failure_class_text(class), words);
    log_warning(
        "transmission failed fax=%s recipient=%s server=%s address=%s class=\"%s\" reply=%s",
        job->delivery.fax_id, LOG_ESCAPED(job->delivery.recipient), server, address,
        failure_class_text(class), LOG_ESCAPED(words));
    if (alarm)
        engine_alarm(engine, "the settings of a server are probably wrong server=%s reply=%s",
                     server, LOG_ESCAPED(words));
    return class;
}

/* S1, S2: the name and TCP. A connected socket, or -1 after asking for the next step. */
static int open_connection(struct engine *engine, struct job *job, const struct server *server,
                           bool probe, char *address)
{
    struct failure why;
    bool alarm = false;
    int fd = connect_open(engine->resolver, server->host, server->port,
                          job->tables->timeouts.connect, engine->stop_fd, address, &why);

    make_row(job, server->name, address, fd < 0 ? "TCP error" : "TCP OK", fd < 0 ? why.text : "");
    text_copy(job->row.step, sizeof job->row.step, policy_step_text(job->step.step));
    /* Durable before the first octet: the spool marks it as begun. Where it cannot be (disk full),
     * nothing is sent: the result could not be recorded either. */
    if (fd >= 0) {
        int error = write_row(engine, job);

        if (error == 0)
            return fd;
        close(fd);
        health_release(engine->health, server->name, probe, HEALTH_NEITHER, "");
        make_row(job, server->name, address, "local error", error_text(error));
        ask(engine, job, POLICY_LOCAL, server->name, FAILURE_NONE);
        return -1;
    }
    if (atomic_load(&engine->stopping)) {
        health_release(engine->health, server->name, probe, HEALTH_NEITHER, "");
        record(engine, job, SPOOL_DUE, clock_wall_ms(), true);
        return -1;
    }
    failure_classify(&why, &alarm);
    if (alarm)
        engine_alarm(engine, "the name of a server does not exist server=%s host=%s", server->name,
                     LOG_ESCAPED(server->host));
    health_release(engine->health, server->name, probe, HEALTH_BROKEN, why.text);
    ask(engine, job, POLICY_FAILED, server->name, FAILURE_CONNECTION);
    return -1;
}

/* We ended it ourselves because the daemon stops, before the server could have the message. */
static bool was_cut_off(struct engine *engine, const struct submit_result *result)
{
    return atomic_load(&engine->stopping) && result->failure.stage != STAGE_FINAL &&
           (result->failure.event == EVENT_TIMEOUT || result->failure.event == EVENT_LOST);
}

/* A token ran out and there is a newer one: no failure of the server or of the settings yet. */
static void note_stale_token(struct engine *engine, struct job *job, const char *server,
                             const char *address, const struct failure *failure)
{
    char words[SPOOL_REPLY_MAX];

    snprintf(words, sizeof words, "%s: %.480s", failure_stage_text(failure->stage), failure->text);
    make_row(job, server, address, "token out of date", words);
    text_copy(job->row.step, sizeof job->row.step, policy_step_text(job->step.step));
    write_row(engine, job);
    log_info("a token is out of date, once more with a newer one fax=%s server=%s reply=%s",
             job->delivery.fax_id, server, LOG_ESCAPED(words));
}

/* ---- an attempt: all that goes by one connection ----------------------------------------------
 */

/* A connection and the deliveries that are in its message. */
struct passage {
    struct engine *engine;
    struct job *lead; /* whose turn it is; the others are the queue's again afterwards */
    const struct server *server;
    bool shared; /* other messages may follow */
    int messages;
    int64_t until_ms; /* monotonic: when the last one may begin */
    char address[CONNECT_ADDRESS_MAX];
    struct submit_request request;
    int count;
    struct job *job[SUBMIT_RECIPIENTS_MAX];
    struct submit_recipient recipient[SUBMIT_RECIPIENTS_MAX];
    struct spool_result result[SUBMIT_RECIPIENTS_MAX];
    int64_t begun[SUBMIT_RECIPIENTS_MAX];
};

static void obey(struct engine *engine, struct job *job);

/* A job that is not the lead leaves our hands. */
static void let_go(struct passage *passage, struct job *job)
{
    if (job == passage->lead)
        return;
    if (job->over)
        worker_free(job);
    else
        passage->engine->put(passage->engine->pool, job);
}

/* Wants this server now, by the same settings, and is of the same message as those before. */
static bool fits(const struct passage *passage, const struct job *job)
{
    return !job->over && job->step.action == POLICY_CONNECT &&
           job->tables == passage->lead->tables &&
           strcmp(job->step.server, passage->server->name) == 0 &&
           passage->count < SUBMIT_RECIPIENTS_MAX &&
           (passage->count == 0 ||
            strcmp(job->delivery.fax_id, passage->job[0]->delivery.fax_id) == 0);
}

/* Takes it up and into the message, or lets it go. */
static void gather_one(struct passage *passage, struct job *job)
{
    no_report = job->delivery.kind == SPOOL_KIND_REPORT;
    if (job->tables == NULL)
        begin(passage->engine, job);
    obey(passage->engine, job);
    if (fits(passage, job)) {
        job->waits_for[0] = '\0';
        passage->job[passage->count++] = job;
    } else {
        let_go(passage, job);
    }
}

static void gather(struct passage *passage, struct job *first)
{
    struct job *job;
    struct job *mates = first->mates;

    first->mates = NULL;
    gather_one(passage, first);
    while ((job = mates) != NULL) {
        mates = job->next;
        job->next = NULL;
        gather_one(passage, job);
    }
}

static void fill_request(struct passage *passage)
{
    struct submit_request *request = &passage->request;
    const struct job *first = passage->job[0];
    int i;

    request->message_path = first->delivery.message_path;
    request->message_bytes = first->delivery.message_bytes;
    request->envelope_from = first->delivery.envelope_from[0] != '\0'
                                 ? first->delivery.envelope_from
                                 : first->tables->envelope_from;
    request->recipients = passage->recipient;
    request->recipient_count = passage->count;
    for (i = 0; i < passage->count; i++) {
        passage->recipient[i].address = passage->job[i]->delivery.recipient;
        passage->job[i]->fresh = false;
    }
}

/* What the transmission was for one of its deliveries: the row, and the next step. */
static void judge(struct passage *passage, int index, const struct submit_result *whole)
{
    struct engine *engine = passage->engine;
    struct job *job = passage->job[index];
    const char *server = passage->server->name;
    struct submit_result result = *whole;
    enum failure_class class;

    no_report = job->delivery.kind == SPOOL_KIND_REPORT;
    if (result.local_error == 0)
        result.failure = *submit_failure_of(&passage->request, whole, index);
    if (was_cut_off(engine, &result)) {
        make_row(job, server, passage->address, "cut off", "faxpost stops; it is due again");
        text_copy(job->row.step, sizeof job->row.step, policy_step_text(job->step.step));
        record(engine, job, SPOOL_DUE, clock_wall_ms(), true);
    } else if (result.not_begun) {
        log_info("the connection ended before the message, at once by a new one fax=%s server=%s "
                 "reply=%s",
                 job->delivery.fax_id, server, LOG_ESCAPED(result.failure.text));
    } else if (result.local_error != 0) {
        make_row(job, server, passage->address, "local error", error_text(result.local_error));
        engine_alarm(engine, "a message cannot be read fax=%s path=%s: %s", job->delivery.fax_id,
                     LOG_ESCAPED(job->delivery.message_path), error_text(result.local_error));
        ask(engine, job, POLICY_LOCAL, server, FAILURE_NONE);
    } else {
        class = note_outcome(engine, job, server, passage->address, &result);
        ask(engine, job, class == FAILURE_NONE ? POLICY_SENT : POLICY_FAILED, server, class);
    }
}

/* In one commit: results of what was taken, and the beginning of what follows. False: it does not
 * begin. */
static bool pass_on(struct passage *passage, struct job **done, int done_count)
{
    struct spool_relay relay = {.results = passage->result,
                                .result_count = done_count,
                                .begun = passage->begun,
                                .begun_count = passage->count,
                                .server = passage->server->name};
    int error = 0;
    int i;

    for (i = 0; i < done_count; i++)
        passage->result[i] = make_result(done[i], SPOOL_DONE, 0, true);
    for (i = 0; i < passage->count; i++)
        passage->begun[i] = passage->job[i]->delivery.id;
    if (done_count > 0 || passage->count > 0)
        error = spool_pass_on(passage->engine->spool, &relay);
    for (i = 0; i < done_count; i++) {
        if (error == 0)
            note_recorded(done[i]);
        else
            record(passage->engine, done[i], SPOOL_DONE, 0, true);
        let_go(passage, done[i]);
    }
    if (error < 0)
        log_error("deliveries cannot begin server=%s: %s", passage->server->name,
                  error_text(error));
    for (i = 0; i < passage->count && error < 0; i++)
        let_go(passage, passage->job[i]);
    if (error < 0)
        passage->count = 0;
    return passage->count > 0;
}

/* From the queue, while there is something for this server. */
static void take_more(struct passage *passage)
{
    struct engine *engine = passage->engine;
    int tries = 0;

    while (passage->count == 0 && tries++ < TAKE_TRIES && passage->messages < SHARED_MESSAGES_MAX &&
           clock_monotonic_ms() < passage->until_ms && !atomic_load(&engine->stopping)) {
        struct job *job = engine->take(engine->pool, passage->server->name);

        if (job == NULL)
            return;
        gather(passage, job);
    }
}

/* A message was taken, and the connection is good for another. */
static bool next_message(void *user, const struct submit_result *result)
{
    struct passage *passage = user;
    struct job *done[SUBMIT_RECIPIENTS_MAX];
    struct job *rest[SUBMIT_RECIPIENTS_MAX];
    int done_count = 0;
    int rest_count = passage->count;
    bool lead_waits;
    int i;

    for (i = 0; i < passage->count; i++) {
        judge(passage, i, result);
        rest[i] = passage->job[i];
    }
    passage->count = 0;
    for (i = 0; i < rest_count; i++) {
        if (rest[i]->step.action == POLICY_DONE && !rest[i]->over)
            done[done_count++] = rest[i];
        else
            gather_one(passage, rest[i]); /* 452 4.5.3: a further transaction */
    }
    lead_waits = !passage->lead->over && passage->lead->step.action == POLICY_CONNECT &&
                 (passage->count == 0 || passage->job[0] != passage->lead);
    if (passage->shared && !lead_waits)
        take_more(passage);
    passage->messages++;
    if (!pass_on(passage, done, done_count))
        return false;
    fill_request(passage);
    return true;
}

/* Sends what there is to send by a connection that stands. */
static void transmit(struct passage *passage, int fd, struct submit_result *result)
{
    const struct tables *tables = passage->lead->tables;
    int index = (int)(passage->server - tables->servers->server);

    passage->until_ms = clock_monotonic_ms() + SHARED_MS;
    passage->request.hello = tables->hello;
    passage->request.timeouts = &tables->timeouts;
    passage->request.next = next_message;
    passage->request.user = passage;
    fill_request(passage);
    submit_transport_for(passage->server)
        ->send(tables->session[index], fd, passage->engine->deadlines, &passage->request, result);
    close(fd);
}

/* The connection is over: what was in its last message, and has not been judged. */
static void conclude(struct passage *passage, const struct submit_result *result)
{
    int count = passage->count;
    int i;

    for (i = 0; i < count; i++)
        judge(passage, i, result);
    passage->count = 0;
    for (i = 0; i < count; i++) {
        struct job *job = passage->job[i];

        if (job == passage->lead)
            continue; /* worker_turn() goes on with it */
        no_report = job->delivery.kind == SPOOL_KIND_REPORT;
        obey(passage->engine, job);
        let_go(passage, job);
    }
}

/* The lead, and the others of its message that want the same server now. */
static void embark(struct passage *passage)
{
    struct job *lead = passage->lead;
    struct job *mate;

    passage->job[0] = lead; /* its row has marked it as begun */
    passage->count = 1;
    while ((mate = lead->mates) != NULL) {
        lead->mates = mate->next;
        mate->next = NULL;
        gather_one(passage, mate);
    }
    no_report = lead->delivery.kind == SPOOL_KIND_REPORT;
}

/* Nothing was sent: the others are not the lead's any more. */
static void put_back(struct passage *passage)
{
    int i;

    for (i = 0; i < passage->count; i++)
        let_go(passage, passage->job[i]);
    passage->count = 0;
}

static void send_all(struct passage *passage, bool probe)
{
    struct engine *engine = passage->engine;
    struct job *lead = passage->lead;
    const char *server = passage->server->name;
    struct submit_result result;
    int fd = open_connection(engine, lead, passage->server, probe, passage->address);

    if (fd < 0)
        return;
    embark(passage);
    if (passage->count > 1 && !pass_on(passage, NULL, 0)) {
        passage->count = 1; /* the others went back */
        passage->job[0] = lead;
    }
    transmit(passage, fd, &result);
    if (result.again && !atomic_load(&engine->stopping)) {
        note_stale_token(engine, lead, server, passage->address, &result.failure);
        fd = open_connection(engine, lead, passage->server, probe, passage->address);
        if (fd < 0) {
            put_back(passage);
            return;
        }
        transmit(passage, fd, &result);
    }
    if (was_cut_off(engine, &result))
        health_release(engine->health, server, probe, HEALTH_NEITHER, "");
    else if (health_release(engine->health, server, probe, judge_server(&result),
                            result.failure.text))
        wake_waiting(engine);
    conclude(passage, &result);
}

static void attempt(struct engine *engine, struct job *job, int index, bool probe)
{
    struct passage *passage = calloc(1, sizeof *passage);

    if (passage == NULL) {
        health_release(engine->health, job->step.server, probe, HEALTH_NEITHER, "");
        make_row(job, job->step.server, "", "local error", error_text(ERROR_MEMORY));
        ask(engine, job, POLICY_LOCAL, job->row.server, FAILURE_NONE);
        return;
    }
    passage->engine = engine;
    passage->lead = job;
    passage->server = &job->tables->servers->server[index];
    passage->shared = !probe; /* those that wait for a probe are not to wait for others */
    send_all(passage, probe);
    free(passage);
}

/* ---- obeying ----------------------------------------------------------------------------------
 */

static enum worker_end do_connect(struct engine *engine, struct job *job)
{
    int index = server_list_find(job->tables->servers, job->step.server);
    bool probe = false;

    if (atomic_load(&engine->stopping)) {
        record(engine, job, SPOOL_DUE, clock_wall_ms(), !job->fresh);
        return WORKER_DONE; /* begins here when the daemon is back */
    }
    switch (health_acquire(engine->health, &job->tables->servers->server[index], &probe)) {
    case HEALTH_FULL:
        text_copy(job->waits_for, sizeof job->waits_for, job->step.server);
        return WORKER_PARK;
    case HEALTH_TAKEN: {
        char server[SERVER_NAME_MAX];

        text_copy(server, sizeof server, job->step.server);
        ask(engine, job, POLICY_NOT_TRIED, server, FAILURE_NONE);
        break;
    }
    case HEALTH_GO:
        job->fresh = false;
        attempt(engine, job, index, probe);
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
    record(engine, job, SPOOL_DUE, job->step.due_ms, true);
}

static void do_mailbox(struct engine *engine, struct job *job)
{
    char name[MAILBOX_NAME_MAX];

    if (file_copy_of(engine, job, !job->fresh || job->delivery.uncertain) < 0) {
        record(engine, job, SPOOL_DUE, clock_wall_ms() + job->tables->retry.wait_ms, false);
        return;
    }
    mailbox_name(name, job->delivery.recipient);
    make_row(job, "mailbox", "mailbox", "mailbox", name);
    text_copy(job->row.step, sizeof job->row.step, policy_step_text(job->step.step));
    record(engine, job, SPOOL_DONE, 0, false);
}

static void do_fail(struct engine *engine, struct job *job)
{
    /* Not in the mailbox, not ended: no fax is dropped. */
    if (!warn_operator(engine, job, "a fax was not delivered")) {
        record(engine, job, SPOOL_DUE, clock_wall_ms() + job->tables->retry.wait_ms, true);
        return;
    }
    record(engine, job, SPOOL_FAILED, 0, true);
}

/* Until it is over, or to connect. */
static void obey(struct engine *engine, struct job *job)
{
    while (!job->over) {
        switch (job->step.action) {
        case POLICY_CONNECT: return;
        case POLICY_WAIT: do_wait(engine, job); break;
        case POLICY_MAILBOX: do_mailbox(engine, job); break;
        case POLICY_DONE: record(engine, job, SPOOL_DONE, 0, true); break;
        case POLICY_FAIL: do_fail(engine, job); break;
        }
    }
}

enum worker_end worker_turn(struct engine *engine, struct job *job)
{
    enum worker_end end = WORKER_DONE;
    struct job *mate;

    no_report = job->delivery.kind == SPOOL_KIND_REPORT;
    job->waits_for[0] = '\0';
    if (job->tables == NULL)
        begin(engine, job);
    obey(engine, job);
    while (!job->over && end == WORKER_DONE) {
        end = do_connect(engine, job);
        no_report = job->delivery.kind == SPOOL_KIND_REPORT;
        if (end == WORKER_DONE)
            obey(engine, job);
    }
    while ((mate = job->mates) != NULL) {
        job->mates = mate->next;
        engine->put(engine->pool, mate);
    }
    return end;
}

void worker_give_back(struct engine *engine, struct job *job)
{
    record(engine, job, SPOOL_DUE, job->delivery.due_ms, job->tables != NULL && !job->fresh);
    worker_free(job);
}

void worker_free(struct job *job)
{
    if (job == NULL)
        return;
    tables_leave(job->tables);
    free(job);
}
