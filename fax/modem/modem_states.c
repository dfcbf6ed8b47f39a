/* SPDX-License-Identifier: MIT */
/*
 * modem_states.c - a modem line: its modem, its rings and its calls, one at a time.
 */
#include "fax/modem/modem_states.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

enum {
    READS_MOST = 4,    /* per wake-up: who sends more waits, and the call goes on */
    ALIVE_MS = 600000, /* an idle modem is asked whether it lives */
    HANG_UPS = 2,
    HANG_UP_OK_MS = 3000,
    DTR_LOW_MS = 1000,
};

static int64_t now(void)
{
    return clock_monotonic_ms();
}

static void state_set(struct modem_states *states, enum modem_state state, int64_t due_ms)
{
    states->state = state;
    states->due_ms = due_ms;
}

/* ---- the port ----------------------------------------------------------------------------------
 */

static bool has_modem(const struct modem_states *states)
{
    return states->port.state == MODEM_PORT_READY;
}

/* Until there is a modem that is ready. */
static void wait_begin(struct modem_states *states)
{
    state_set(states, MODEM_WAITING, INT64_MAX);
}

/* A call that lives is driven to its end without its modem. */
static void port_lost(struct modem_states *states)
{
    modem_port_lost(&states->port);
    if (states->state == MODEM_CALL)
        call_hang_up(&states->call->call, "the modem has gone from its port", now());
    else if (states->state != MODEM_OPENING)
        wait_begin(states);
}

static void setup_begin(struct modem_states *states, bool quick)
{
    modem_port_setup(&states->port, quick);
    wait_begin(states);
}

/* New settings, when no call lives: the port is opened anew where the modem is set up by them. A
 * new table of models counts from the next opening on. */
static void line_take(struct modem_states *states)
{
    struct modem_line *old = states->line;
    bool is_same = modem_line_is_same_port(old, states->next_line);

    states->line = states->next_line;
    states->port.line = states->line;
    states->next_line = NULL;
    states->revision++;
    modem_line_free(old);
    if (is_same)
        return;
    modem_port_close(&states->port);
    states->port.backoff_ms = 0;
    modem_port_ask(&states->port);
    wait_begin(states);
}

/* ---- hanging up --------------------------------------------------------------------------------
 */

/* Twice: what comes first may only end a reception that is still on (T.31 8.3.1, any octet does),
 * with an OK for that. */
static void hang_up(struct modem_states *states)
{
    states->hang_ups++;
    states->is_answering = false;
    modem_port_command(&states->port, "ATH0");
    state_set(states, MODEM_HANGING_UP, now() + HANG_UP_OK_MS);
}

static void hang_up_begin(struct modem_states *states)
{
    at_stream_command(&states->stream);
    modem_ring_clear(&states->ring); /* what rings from now on is the next call */
    states->hang_ups = 0;
    hang_up(states);
}

/* The modem said that it has hung up, or nothing: then DTR may tell it, and the full set-up does.
 */
static void hang_up_ended(struct modem_states *states)
{
    const struct modem_model *model = modem_port_found(&states->port)->model;
    int wait_ms = model->hang_up_wait_ms;

    if (!states->is_answering) {
        modem_port_dtr(&states->port, false);
        wait_ms += DTR_LOW_MS;
    }
    state_set(states, MODEM_HUNG_UP, now() + wait_ms);
}

static void hung_up(struct modem_states *states)
{
    if (!states->is_answering)
        modem_port_dtr(&states->port, true);
    setup_begin(states, states->is_answering);
}

/* ---- the call ----------------------------------------------------------------------------------
 */

static bool is_blocked(struct modem_states *states)
{
    return modem_caller_is_blocked(&states->line->line, &states->ring, &states->told);
}

static void call_gone(struct modem_states *states)
{
    states->call = NULL;
    states->revision++;
    if (has_modem(states))
        hang_up_begin(states);
    else
        wait_begin(states);
}

/* A call whose session never ran goes to a worker for the last time. */
static void call_give_up(struct modem_states *states, const char *why)
{
    struct call *call = &states->call->call;

    text_copy(call->info.error, sizeof call->info.error, why);
    states->call = NULL;
    states->revision++;
    states->calls_out--;
    workers_submit(call->shared->workers, &call->life_job, WORKER_FINISH, call);
}

static void call_open(struct modem_states *states)
{
    const struct modem_line_settings *settings = &states->line->line;
    struct call_line line = {settings->name, settings->station, settings->ecm, settings->trace};
    struct call *call;

    if (modem_call_new(&states->call, states->mailbox, states->shared, &states->line->limits, &line,
                       &modem_port_found(&states->port)->traits) < 0) {
        log_error("call not answered line=%s: out of memory", LOG_ESCAPED(states->name));
        return;
    }
    call = &states->call->call;
    modem_call_describe(states->call, &states->ring, settings->called);
    states->calls_out++;
    states->revision++;
    log_info("call fax=%s line=%s caller=%s name=%s called=%s rings=%d", call->fax_id,
             LOG_ESCAPED(states->name), LOG_ESCAPED(call->info.caller),
             LOG_ESCAPED(call->info.caller_name), LOG_ESCAPED(call->info.called),
             states->ring.rings);
    state_set(states, MODEM_OPENING, INT64_MAX);
    workers_submit(states->shared->workers, &call->life_job, WORKER_OPEN, call);
}

static void call_opened(struct modem_states *states, int error)
{
    struct call *call = &states->call->call;

    modem_call_describe(states->call, &states->ring, states->line->line.called);
    if (error != 0)
        call_give_up(states, "the fax could not be stored");
    else if (!has_modem(states))
        call_give_up(states, "the modem has gone from its port");
    else if (states->is_draining)
        call_give_up(states, "the gateway is being stopped");
    else if (modem_ring_is_over(&states->ring, now()))
        call_give_up(states, "the caller gave up before the answer");
    else if (is_blocked(states)) /* the number came late */
        call_give_up(states, "the caller is blocked by [line] allow and deny");
    if (states->call == NULL) {
        if (!has_modem(states))
            wait_begin(states);
        else
            state_set(states, MODEM_IDLE, now() + ALIVE_MS);
        return;
    }
    call->info.answered_ms = clock_wall_ms();
    log_info("answered fax=%s line=%s", call->fax_id, LOG_ESCAPED(states->name));
    call_begin(call, now());
    states->tick_ms = now();
    state_set(states, MODEM_CALL, INT64_MAX);
}

static void call_run(struct modem_states *states)
{
    struct call *call = &states->call->call;
    int64_t at = now();
    enum session_need need;

    if (call->is_away)
        return;
    need = session_run(call->session, at, NULL);
    modem_port_send(&states->port, states->call->out, states->call->out_length);
    states->call->out_length = 0;
    states->tick_ms = at + SESSION_TICK_MS;
    if (need == SESSION_NEEDS_WORKER) {
        call_go_away(call);
    } else if (need == SESSION_ENDED || call_is_stuck(call, at)) {
        if (call_over(call))
            states->calls_out--;
        call_gone(states);
    } else {
        call_report(call, at);
    }
}

/* ---- ringing -----------------------------------------------------------------------------------
 */

/* Enough rings: the call is answered, unless we are going, or do not want it. */
static void ring_check(struct modem_states *states)
{
    if (states->state != MODEM_IDLE ||
        states->ring.rings < modem_rings_wanted(&states->line->line, &states->ring))
        return;
    if (states->is_draining || states->is_ending) {
        if (modem_told_first(&states->told, &states->ring))
            log_info("call not answered line=%s: the gateway is being stopped",
                     LOG_ESCAPED(states->name));
    } else if (!is_blocked(states)) {
        call_open(states);
    }
}

static void idle_begin(struct modem_states *states)
{
    at_stream_command(&states->stream);
    state_set(states, MODEM_IDLE, now() + ALIVE_MS);
    if (states->next_line != NULL)
        line_take(states);
    ring_check(states);
}

/* CONNECT without having been asked: the modem answers calls by itself (S0 is not 0, or somebody
 * else spoke to it). */
static bool is_own_answer(const char *text)
{
    return strncmp(text, "CONNECT", 7) == 0 || strcmp(text, "DATA") == 0 ||
           strcmp(text, "FAX") == 0 || strncmp(text, "+FCO", 4) == 0;
}

/* A line of the modem outside calls and set-up, and those of the set-up that are not for it. */
static void on_line(void *user, const char *text)
{
    struct modem_states *states = user;

    if (states->state != MODEM_WAITING) /* the set-up has its own trace */
        modem_port_trace(&states->port, "<", text);
    if (states->state == MODEM_HANGING_UP &&
        (strcmp(text, "OK") == 0 || strcmp(text, "NO CARRIER") == 0)) {
        states->is_answering = true;
        if (states->hang_ups < HANG_UPS)
            hang_up(states);
        else
            hang_up_ended(states);
        return;
    }
    if (states->state == MODEM_IDLE && is_own_answer(text)) {
        log_warning("modem answered a call by itself line=%s: %s; it is hung up and set up again "
                    "(S0=0)",
                    LOG_ESCAPED(states->name), LOG_ESCAPED(text));
        hang_up_begin(states);
        return;
    }
    if (modem_ring_line(&states->ring, text, now()) == MODEM_RING_RANG) {
        log_debug("ring line=%s rings=%d", LOG_ESCAPED(states->name), states->ring.rings);
        ring_check(states);
    }
}

/* Data that nobody asked for: the state of the stream is data only within calls. */
static void no_data(void *user, const uint8_t *octets, size_t length)
{
    (void)user, (void)octets, (void)length;
}

static void no_data_end(void *user)
{
    (void)user;
}

/* ---- input, messages, time ---------------------------------------------------------------------
 */

static void octets_came(struct modem_states *states, const uint8_t *octets, size_t length)
{
    if (states->state == MODEM_CALL) {
        session_post_octets(states->call->call.session, octets, length);
        call_run(states);
    } else if (states->state == MODEM_WAITING) {
        modem_port_octets(&states->port, octets, length);
    } else {
        at_stream_feed(&states->stream, octets, length);
    }
}

void modem_states_read(struct modem_states *states)
{
    uint8_t octets[2048];

    for (int i = 0; i < READS_MOST && states->port.fd >= 0; i++) {
        ssize_t n = read(states->port.fd, octets, sizeof octets);

        if (n > 0)
            octets_came(states, octets, (size_t)n);
        else if (n == 0 || serial_error_is_gone(errno))
            port_lost(states);
        if (n < (ssize_t)sizeof octets)
            return;
    }
}

void modem_states_message(struct modem_states *states, struct modem_message *message)
{
    switch (message->kind) {
    case MODEM_OPENED: call_opened(states, message->error); break;
    case MODEM_WORKED:
        call_worked(message->call, message->number);
        if (states->call != NULL && &states->call->call == message->call)
            call_run(states);
        break;
    case MODEM_STORED:
        if (call_stored(message->call, message->generation, message->number, message->unconfirmed,
                        message->error))
            states->calls_out--;
        break;
    case MODEM_INFO_WRITTEN:
        if (call_info_written(message->call))
            states->calls_out--;
        break;
    case MODEM_PORT:
        modem_port_take(&states->port, message->fd, message->usb_id, message->why);
        break;
    case MODEM_SETTINGS:
        modem_line_free(states->next_line);
        states->next_line = message->settings;
        if (states->state == MODEM_IDLE || states->state == MODEM_WAITING)
            line_take(states);
        break;
    case MODEM_DRAIN: states->is_draining = true; break;
    case MODEM_HANG_UP:
        states->is_draining = true;
        if (states->state == MODEM_CALL)
            call_hang_up(&states->call->call, "the gateway is being stopped", now());
        break;
    case MODEM_STOP: states->is_ending = true; break;
    }
}

static void idle_due(struct modem_states *states)
{
    if (modem_ring_is_over(&states->ring, now()))
        modem_ring_clear(&states->ring);
    if (states->ring.rings == 0)
        setup_begin(states, true);
    else
        states->due_ms = now() + MODEM_RING_GAP_MS;
}

static void time_passed(struct modem_states *states)
{
    if (modem_port_step(&states->port) && states->state == MODEM_WAITING)
        idle_begin(states);
    if (states->state == MODEM_CALL && now() >= states->tick_ms)
        call_run(states);
    if (now() < states->due_ms)
        return;
    switch (states->state) {
    case MODEM_IDLE: idle_due(states); break;
    case MODEM_HANGING_UP: hang_up_ended(states); break;
    case MODEM_HUNG_UP: hung_up(states); break;
    case MODEM_WAITING:
    case MODEM_OPENING:
    case MODEM_CALL: break;
    }
}

void modem_states_step(struct modem_states *states)
{
    time_passed(states);
    if (modem_port_flush(&states->port) < 0)
        port_lost(states);
}

void modem_states_port_gone(struct modem_states *states)
{
    port_lost(states);
}

int64_t modem_states_due_ms(const struct modem_states *states)
{
    int64_t due_ms = states->due_ms < states->port.due_ms ? states->due_ms : states->port.due_ms;

    if (states->state == MODEM_CALL && !states->call->call.is_away && states->tick_ms < due_ms)
        due_ms = states->tick_ms;
    return due_ms;
}

/* ---- life --------------------------------------------------------------------------------------
 */

void modem_states_init(struct modem_states *states, struct call_shared *shared,
                       struct mailbox *mailbox, struct modem_line *line, const char *name)
{
    *states = (struct modem_states){.shared = shared,
                                    .name = name,
                                    .mailbox = mailbox,
                                    .line = line,
                                    .due_ms = INT64_MAX,
                                    .revision = 1,
                                    .port = {.name = name,
                                             .hooks = &shared->hooks,
                                             .on_line = on_line,
                                             .user = states,
                                             .line = line,
                                             .fd = -1,
                                             .due_ms = INT64_MAX}};
    at_stream_init(&states->stream,
                   &(struct at_stream_hooks){
                       .user = states, .line = on_line, .data = no_data, .data_end = no_data_end});
}

void modem_states_begin(struct modem_states *states)
{
    modem_port_ask(&states->port);
}

bool modem_states_are_over(const struct modem_states *states)
{
    return states->is_ending && states->call == NULL && states->calls_out == 0 &&
           states->state != MODEM_HANGING_UP;
}

void modem_states_end(struct modem_states *states)
{
    modem_port_close(&states->port);
}

void modem_states_free(struct modem_states *states)
{
    modem_line_free(states->next_line);
    modem_line_free(states->line);
}

/* ---- what people are shown ---------------------------------------------------------------------
 */

uint32_t modem_states_revision(const struct modem_states *states)
{
    return states->revision + states->port.revision;
}

void modem_states_text(const struct modem_states *states, char out[MODEM_SHOWN_MAX])
{
    const struct modem_port *port = &states->port;
    const char *state = "ready";
    const char *words = "";

    if (states->call != NULL) {
        state = "call";
        words = states->call->call.fax_id;
    } else if (!port->was_ready) {
        state = port->trouble[0] != '\0' ? "DOWN" : "set-up";
        words = port->trouble;
    } else {
        const struct modem_found *found = modem_port_found(port);

        words = found->product[0] != '\0' ? found->product : found->model->name;
    }
    snprintf(out, MODEM_SHOWN_MAX, "line\t%s\t%s\tmodem %s %s\n", states->name, state,
             states->line->line.device, words);
}
