/* SPDX-License-Identifier: MIT */
/*
 * modem_setup.c - the machine: sends a command, gathers its answer, keeps the time. What is said,
 * and in which order, stands in modem_phases.c.
 *
 * Modems answer late, twice, or with noise before the answer. A question that is answered by OK
 * alone is given a moment more; after a command without answer all is thrown away until it is quiet
 * and the modem answers to AT, so that no answer is taken for that of a later command.
 */
#include "fax/modem/modem_setup.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "fax/modem/modem_answers.h"
#include "fax/modem/modem_setup_internal.h"

enum { RESYNC_TRIES = 3, RESYNC_MS = 2000, OUT_MAX = MODEM_COMMAND_MAX + 8 };

/* ---- words for people ----------------------------------------------------------------------- */

void setup_trace(struct modem_setup *setup, const char *direction, const char *text)
{
    if (setup->hooks.trace != NULL)
        setup->hooks.trace(setup->hooks.user, direction, text);
}

void setup_advise(struct modem_setup *setup, const char *format, ...)
{
    struct modem_found *found = &setup->found;
    char text[MODEM_ADVICE_TEXT];
    va_list ap;
    int i;

    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    for (i = 0; i < found->advice_count; i++)
        if (strcmp(found->advice[i], text) == 0)
            return;
    if (found->advice_count == MODEM_ADVICE_MAX)
        return;
    text_copy(found->advice[found->advice_count++], MODEM_ADVICE_TEXT, text);
    setup_trace(setup, "!", text);
}

void setup_fail(struct modem_setup *setup, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(setup->found.problem, sizeof setup->found.problem, format, ap);
    va_end(ap);
    setup_trace(setup, "!", setup->found.problem);
    setup->state = MODEM_SETUP_FAILED;
    setup->wait = WAIT_NOT;
    setup->was_ready = false;
}

/* ---- saying something ----------------------------------------------------------------------- */

static void send_command(struct modem_setup *setup)
{
    uint8_t out[OUT_MAX];
    int length = snprintf((char *)out, sizeof out, "%s\r", setup->command);

    setup_trace(setup, ">", setup->command);
    setup->hooks.send_octets(setup->hooks.user, out, (size_t)length);
}

static void wait_for_answer(struct modem_setup *setup, int limit_ms, bool silence)
{
    setup->line_count = 0;
    setup->echo_at = 0;
    setup->has_ok = false;
    setup->may_be_silent = silence;
    setup->wait = WAIT_ANSWER;
    setup->due_ms = setup->now_ms + limit_ms;
}

void setup_command(struct modem_setup *setup, const char *command, int limit_ms, bool silence)
{
    snprintf(setup->command, sizeof setup->command, "AT%s", command);
    setup->commands++;
    wait_for_answer(setup, limit_ms, silence);
    send_command(setup);
}

void setup_raw(struct modem_setup *setup, const char *octets, size_t length, int limit_ms)
{
    text_copy(setup->command, sizeof setup->command, "+++"); /* whose echo may come */
    wait_for_answer(setup, limit_ms, true);
    setup->hooks.send_octets(setup->hooks.user, (const uint8_t *)octets, length);
}

void setup_wait_ms(struct modem_setup *setup, int wait_ms)
{
    setup->wait = WAIT_PAUSE;
    setup->pending = EVENT_WAITED;
    setup->due_ms = setup->now_ms + wait_ms;
}

/* ---- phases --------------------------------------------------------------------------------- */

static void begin(struct modem_setup *setup, bool quick)
{
    if (!quick) {
        setup->found = (struct modem_found){.speed = setup->wish.speed,
                                            .model = modem_models_generic(setup->models)};
        setup->answer_count = 0;
        setup->class_asked = false;
        setup->candidate_at = 0;
        setup->flow_taken = setup->caller_id_taken = NULL;
    }
    setup->was_ready = setup->was_ready && quick;
    setup->phases = quick ? modem_phases_quick : modem_phases_full;
    setup->at = setup->step = setup->tries = 0;
    setup->rest = NULL;
    setup->commands = setup->errors = setup->resyncs = 0;
    setup->octets_in = setup->answers_in = 0;
    setup->echo_in = false;
    setup->found.problem[0] = '\0';
    at_stream_command(&setup->stream);
}

static void go_to(struct modem_setup *setup, int at)
{
    setup->at = at;
    setup->step = setup->tries = 0;
    setup->rest = NULL;
}

static int place_of(const struct modem_setup *setup, phase *wanted)
{
    int i;

    for (i = 0; setup->phases[i] != NULL; i++)
        if (setup->phases[i] == wanted)
            return i;
    return 0;
}

/* Tells the phase, and those behind it that have nothing to wait for. */
static void tell(struct modem_setup *setup, enum setup_event event)
{
    setup->wait = WAIT_NOT;
    while (setup->state == MODEM_SETUP_BUSY) {
        switch (setup->phases[setup->at](setup, event)) {
        case PHASE_GOES_ON: return;
        case PHASE_DONE: go_to(setup, setup->at + 1); break;
        case PHASE_CHOOSE: go_to(setup, place_of(setup, modem_phase_choose)); break;
        case PHASE_FULL:
            setup_trace(setup, "!", "it does not take the quick set-up: all over again");
            begin(setup, false);
            break;
        }
        if (setup->phases[setup->at] == NULL) {
            setup->state = MODEM_SETUP_READY;
            setup->was_ready = true;
            return;
        }
        event = EVENT_ENTER;
    }
}

/* A final answer to the command came, or none: the phase learns of it after a pause, in which a
 * second OK is nobody's. */
static void conclude(struct modem_setup *setup, enum setup_event event)
{
    setup->wait = WAIT_PAUSE;
    setup->pending = event;
    setup->due_ms = setup->now_ms + setup->found.model->command_pause_ms;
}

/* ---- hearing something ---------------------------------------------------------------------- */

static bool is_question(const struct modem_setup *setup)
{
    const char *c = setup->command;

    return strchr(c, '?') != NULL || strncmp(c, "ATI", 3) == 0 || strcmp(c, "AT+GMM") == 0;
}

static void take_final(struct modem_setup *setup, bool ok)
{
    setup->answers_in++;
    if (setup->wait == WAIT_RESYNC && ok) {
        setup->resyncs = 0;
        setup->wait = WAIT_PAUSE;
        setup->pending = EVENT_SILENCE;
        setup->due_ms = setup->now_ms + GRACE_MS;
    } else if (setup->wait == WAIT_QUIET) {
        setup->due_ms = setup->now_ms + QUIET_MS;
    } else if (setup->wait == WAIT_ANSWER && ok && is_question(setup) && setup->line_count == 0 &&
               !setup->has_ok) {
        setup->has_ok = true;
        setup->due_ms = setup->now_ms + GRACE_MS;
    } else if (setup->wait == WAIT_ANSWER) {
        setup->errors += !ok;
        setup->resyncs = 0;
        conclude(setup, ok ? EVENT_OK : EVENT_ERROR);
    }
}

/* The command as we sent it, perhaps with noise before. */
static bool is_echo(const struct modem_setup *setup, const char *line)
{
    size_t have = strlen(line);
    size_t want = strlen(setup->command);

    return want > 0 && have >= want && strcmp(line + have - want, setup->command) == 0;
}

static void line_came(void *user, const char *line)
{
    struct modem_setup *setup = user;
    struct modem_ring scratch = {0};
    bool ok;

    setup_trace(setup, "<", line);
    if (is_echo(setup, line))
        return;
    if (modem_answer_is_final(line, &ok)) {
        take_final(setup, ok);
    } else if (modem_ring_line(&scratch, line, setup->now_ms) != MODEM_RING_NOTHING) {
        if (setup->hooks.line != NULL)
            setup->hooks.line(setup->hooks.user, line);
    } else if (setup->wait == WAIT_ANSWER && setup->line_count < ANSWER_LINES_MAX) {
        text_copy(setup->line[setup->line_count++], MODEM_FOUND_TEXT, line);
    }
}

/* Never in data state. */
static void data_came(void *user, const uint8_t *octets, size_t length)
{
    (void)user;
    (void)octets;
    (void)length;
}

static void data_ended(void *user)
{
    (void)user;
}

/* One that only echoes sends no line ends, so no lines. */
static void look_for_echo(struct modem_setup *setup, const uint8_t *octets, size_t length)
{
    size_t i;

    for (i = 0; i < length && !setup->echo_in && setup->command[0] != '\0'; i++) {
        if (octets[i] != (uint8_t)setup->command[setup->echo_at])
            setup->echo_at = 0;
        if (octets[i] == (uint8_t)setup->command[setup->echo_at])
            setup->echo_at++;
        setup->echo_in = setup->echo_at > 0 && setup->command[setup->echo_at] == '\0';
    }
}

void modem_setup_octets(struct modem_setup *setup, const uint8_t *octets, size_t length,
                        int64_t now_ms)
{
    setup->now_ms = now_ms;
    setup->octets_in += length;
    look_for_echo(setup, octets, length);
    if (setup->wait == WAIT_QUIET && length > 0)
        setup->due_ms = now_ms + QUIET_MS;
    at_stream_feed(&setup->stream, octets, length);
}

/* ---- time ----------------------------------------------------------------------------------- */

static void call_again(struct modem_setup *setup)
{
    if (setup->resyncs++ == RESYNC_TRIES) {
        setup_fail(setup,
                   "stopped answering: is it still on, and is flow = %s right for its cable?",
                   serial_flow_text(setup->wish.flow));
        return;
    }
    setup->wait = WAIT_RESYNC;
    setup->due_ms = setup->now_ms + RESYNC_MS;
    setup->echo_at = 0;
    text_copy(setup->command, sizeof setup->command, "AT");
    send_command(setup);
}

static void time_is_up(struct modem_setup *setup)
{
    switch (setup->wait) {
    case WAIT_NOT: tell(setup, EVENT_ENTER); break;
    case WAIT_PAUSE: tell(setup, setup->pending); break;
    case WAIT_ANSWER:
        if (setup->has_ok) {
            conclude(setup, EVENT_OK);
        } else if (setup->may_be_silent) {
            conclude(setup, EVENT_SILENCE);
        } else {
            setup_trace(setup, "!", "no answer");
            setup->wait = WAIT_QUIET;
            setup->due_ms = setup->now_ms + QUIET_MS;
        }
        break;
    case WAIT_QUIET:
    case WAIT_RESYNC: call_again(setup); break;
    }
}

enum modem_setup_state modem_setup_step(struct modem_setup *setup, int64_t now_ms)
{
    int rounds;

    setup->now_ms = now_ms;
    for (rounds = 0; rounds < 8 && setup->state == MODEM_SETUP_BUSY && now_ms >= setup->due_ms;
         rounds++)
        time_is_up(setup);
    if (setup->state == MODEM_SETUP_BUSY && now_ms - setup->began_ms >= MODEM_SETUP_MOST_MS)
        setup_fail(setup, "takes too long to answer: it was not ready after %d s",
                   MODEM_SETUP_MOST_MS / 1000);
    return setup->state;
}

int64_t modem_setup_due_ms(const struct modem_setup *setup)
{
    int64_t end_ms = setup->began_ms + MODEM_SETUP_MOST_MS;

    if (setup->state != MODEM_SETUP_BUSY)
        return INT64_MAX;
    return setup->due_ms < end_ms ? setup->due_ms : end_ms;
}

const struct modem_found *modem_setup_found(const struct modem_setup *setup)
{
    return &setup->found;
}

/* ---- life ----------------------------------------------------------------------------------- */

void modem_setup_begin(struct modem_setup *setup, bool quick, int64_t now_ms)
{
    setup->state = MODEM_SETUP_BUSY;
    setup->now_ms = setup->began_ms = setup->due_ms = now_ms;
    setup->wait = WAIT_NOT;
    begin(setup, quick && setup->was_ready);
}

static int keep_text(char **out, const char *commands)
{
    if (commands == NULL)
        return 0;
    if (modem_commands_fault(commands) != NULL)
        return ERROR_FORMAT;
    *out = strdup(commands);
    return *out != NULL ? 0 : ERROR_MEMORY;
}

int modem_setup_new(struct modem_setup **out, struct modem_models *models,
                    const struct modem_wish *wish, const char *usb_id,
                    const struct modem_setup_hooks *hooks)
{
    struct modem_setup *setup = calloc(1, sizeof *setup);
    int error;

    if (setup == NULL)
        return ERROR_MEMORY;
    setup->models = modem_models_ref(models);
    setup->wish = *wish;
    setup->hooks = *hooks;
    text_copy(setup->usb_id, sizeof setup->usb_id, usb_id);
    at_stream_init(&setup->stream,
                   &(struct at_stream_hooks){setup, line_came, data_came, data_ended});
    error = keep_text(&setup->init, wish->init);
    if (error == 0)
        error = keep_text(&setup->caller_id, wish->caller_id);
    if (error < 0) {
        modem_setup_free(setup);
        return error;
    }
    setup->wish.init = setup->init;
    setup->wish.caller_id = setup->caller_id;
    begin(setup, false);
    *out = setup;
    return 0;
}

void modem_setup_free(struct modem_setup *setup)
{
    if (setup == NULL)
        return;
    modem_models_unref(setup->models);
    free(setup->init);
    free(setup->caller_id);
    free(setup);
}
