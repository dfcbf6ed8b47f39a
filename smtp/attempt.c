/* SPDX-License-Identifier: MIT */
/*
 * attempt.c - connect, log the TCP row, send; judge each message's outcome for each of its
 * deliveries, and while the connection is good take more from the queue.
 */
#include "smtp/attempt.h"

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
#include "smtp/submit.h"

enum {
    SHARED_MESSAGES_MAX = 50, /* by one connection; a further transaction may come on top */
    SHARED_MS = 60000,
    TAKE_TRIES = 8,
};

/* ---- the connection, and what it says of the server -------------------------------------------
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

/* Gives the connection back; who waits for one goes on. */
static void release(struct engine *engine, const char *server, const struct health_hold *hold,
                    enum health_verdict verdict, const char *reason)
{
    bool back = health_release(engine->health, server, hold, verdict, reason);

    engine->room(engine->pool);
    if (back)
        wake_waiting(engine);
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
        turn_set_row(job, server, address, "SMTP OK", failure->text);
        return class;
    }
    snprintf(words, sizeof words, "%s: %.480s", failure_stage_text(failure->stage), failure->text);
    turn_set_row(job, server, address, failure_class_text(class), words);
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
                           const struct health_hold *hold, char *address)
{
    struct failure why;
    bool alarm = false;
    int fd = connect_open(engine->resolver, server->host, server->port,
                          job->tables->timeouts.connect, engine->stop_fd, address, &why);

    turn_set_row(job, server->name, address, fd < 0 ? "TCP error" : "TCP OK",
                 fd < 0 ? why.text : "");
    text_copy(job->row.step, sizeof job->row.step, policy_step_text(job->step.step));
    /* Durable before the first octet: the spool marks it as begun. Where it cannot be (disk full),
     * nothing is sent: the result could not be recorded either. */
    if (fd >= 0) {
        int error = turn_write_row(engine, job);

        if (error == 0)
            return fd;
        close(fd);
        release(engine, server->name, hold, HEALTH_NEITHER, "");
        turn_set_row(job, server->name, address, "local error", error_text(error));
        turn_ask(engine, job, POLICY_LOCAL, server->name, FAILURE_NONE);
        return -1;
    }
    if (atomic_load(&engine->stopping)) {
        release(engine, server->name, hold, HEALTH_NEITHER, "");
        turn_record(engine, job, SPOOL_DUE, clock_wall_ms(), true);
        return -1;
    }
    failure_classify(&why, &alarm);
    if (alarm)
        engine_alarm(engine, "the name of a server does not exist server=%s host=%s", server->name,
                     LOG_ESCAPED(server->host));
    release(engine, server->name, hold, HEALTH_BROKEN, why.text);
    turn_ask(engine, job, POLICY_FAILED, server->name, FAILURE_CONNECTION);
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
    turn_set_row(job, server, address, "token out of date", words);
    text_copy(job->row.step, sizeof job->row.step, policy_step_text(job->step.step));
    turn_write_row(engine, job);
    log_info("a token is out of date, once more with a newer one fax=%s server=%s reply=%s",
             job->delivery.fax_id, server, LOG_ESCAPED(words));
}

/* ---- the message: whose it is, and who comes along ----------------------------------------------
 */

/* A connection and the deliveries that are in its message. */
struct passage {
    struct engine *engine;
    struct job *lead; /* whose turn it is; the others are the queue's again afterwards */
    const struct server *server;
    struct health_hold hold;
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
    turn_go_on(passage->engine, job);
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

    turn_hold(job);
    if (result.local_error == 0)
        result.failure = *submit_failure_of(&passage->request, whole, index);
    if (was_cut_off(engine, &result)) {
        turn_set_row(job, server, passage->address, "cut off", "faxpost stops; it is due again");
        text_copy(job->row.step, sizeof job->row.step, policy_step_text(job->step.step));
        turn_record(engine, job, SPOOL_DUE, clock_wall_ms(), true);
    } else if (result.not_begun) {
        log_info("the connection ended before the message, at once by a new one fax=%s server=%s "
                 "reply=%s",
                 job->delivery.fax_id, server, LOG_ESCAPED(result.failure.text));
    } else if (result.local_error != 0) {
        turn_set_row(job, server, passage->address, "local error", error_text(result.local_error));
        engine_alarm(engine, "a message cannot be read fax=%s path=%s: %s", job->delivery.fax_id,
                     LOG_ESCAPED(job->delivery.message_path), error_text(result.local_error));
        turn_ask(engine, job, POLICY_LOCAL, server, FAILURE_NONE);
    } else {
        class = note_outcome(engine, job, server, passage->address, &result);
        turn_ask(engine, job, class == FAILURE_NONE ? POLICY_SENT : POLICY_FAILED, server, class);
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
        passage->result[i] = turn_result(done[i], SPOOL_DONE, 0, true);
    for (i = 0; i < passage->count; i++)
        passage->begun[i] = passage->job[i]->delivery.id;
    if (done_count > 0 || passage->count > 0)
        error = spool_pass_on(passage->engine->spool, &relay);
    for (i = 0; i < done_count; i++) {
        if (error == 0)
            turn_recorded(done[i]);
        else
            turn_record(passage->engine, done[i], SPOOL_DONE, 0, true);
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

/* The server speaks: those that waited to see whether it does may come now. */
static void note_greeting(void *user)
{
    struct passage *passage = user;
    struct engine *engine = passage->engine;

    if (health_greeted(engine->health, passage->server->name, &passage->hold))
        engine->room(engine->pool);
}

/* Sends what there is to send by a connection that stands. */
static void transmit(struct passage *passage, int fd, struct submit_result *result)
{
    const struct tables *tables = passage->lead->tables;
    int index = (int)(passage->server - tables->servers->server);

    passage->until_ms = clock_monotonic_ms() + SHARED_MS;
    passage->request.hello = tables->hello;
    passage->request.timeouts = &tables->timeouts;
    passage->request.greeted = note_greeting;
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
        turn_go_on(passage->engine, job);
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
    turn_hold(lead);
}

/* Nothing was sent: the others are not the lead's any more. */
static void put_back(struct passage *passage)
{
    int i;

    for (i = 0; i < passage->count; i++)
        let_go(passage, passage->job[i]);
    passage->count = 0;
}

static void send_all(struct passage *passage)
{
    struct engine *engine = passage->engine;
    struct job *lead = passage->lead;
    const char *server = passage->server->name;
    struct submit_result result;
    int fd = open_connection(engine, lead, passage->server, &passage->hold, passage->address);

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
        fd = open_connection(engine, lead, passage->server, &passage->hold, passage->address);
        if (fd < 0) {
            put_back(passage);
            return;
        }
        transmit(passage, fd, &result);
    }
    if (was_cut_off(engine, &result))
        release(engine, server, &passage->hold, HEALTH_NEITHER, "");
    else
        release(engine, server, &passage->hold, judge_server(&result), result.failure.text);
    conclude(passage, &result);
}

void attempt_run(struct engine *engine, struct job *job, int index, const struct health_hold *hold)
{
    struct passage *passage = calloc(1, sizeof *passage);

    if (passage == NULL) {
        release(engine, job->step.server, hold, HEALTH_NEITHER, "");
        turn_set_row(job, job->step.server, "", "local error", error_text(ERROR_MEMORY));
        turn_ask(engine, job, POLICY_LOCAL, job->row.server, FAILURE_NONE);
        return;
    }
    passage->engine = engine;
    passage->lead = job;
    passage->server = &job->tables->servers->server[index];
    passage->hold = *hold;
    passage->shared = !hold->probe; /* those that wait for a probe are not to wait for others */
    send_all(passage);
    free(passage);
}
