/* SPDX-License-Identifier: MIT */
/*
 * modem_phases.c - what is said to a modem before calls, in the order in which it is said: wake up,
 * reset, who are you, set up. Choosing a class and what comes with it is in modem_class.c.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "fax/modem/modem_answers.h"
#include "fax/modem/modem_setup_internal.h"

/* ---- wake up -------------------------------------------------------------------------------- */

enum wake_kind {
    WAKE_CALL,
    WAKE_ESCAPE,
    WAKE_GUARD,
    WAKE_PLUS,
    WAKE_HANG_UP,
    WAKE_DTR_OFF,
    WAKE_DTR_ON
};

enum { SPEED_CALL_MS = 700, SPEED_CALLS = 2, ERRORS_MOST = 4, WAKE_DRAINED = 1000 };

/* The first octet of AT ends a reception; what else a modem may be in: no answers (Q1), a page that
 * it sends or hands over, a data call, a call that only DTR ends. */
static const struct {
    enum wake_kind kind;
    int wait_ms;
} wake_plan[] = {
    {WAKE_CALL, 1000}, {WAKE_CALL, 1000},   {WAKE_CALL, 1500},   {WAKE_ESCAPE, 1000},
    {WAKE_CALL, 1000}, {WAKE_GUARD, 1200},  {WAKE_PLUS, 1200},   {WAKE_HANG_UP, 3000},
    {WAKE_CALL, 1000}, {WAKE_DTR_OFF, 500}, {WAKE_DTR_ON, 2600}, {WAKE_CALL, 1000},
    {WAKE_CALL, 1000},
};

enum { WAKE_STEPS = sizeof wake_plan / sizeof wake_plan[0] };

static const int wake_speeds[] = {115200, 57600, 38400, 19200, 9600};

enum { WAKE_SPEEDS = sizeof wake_speeds / sizeof wake_speeds[0] };

static void wake_failed(struct modem_setup *setup)
{
    int speed = setup->wish.speed;

    if (setup->hooks.set_speed != NULL)
        setup->hooks.set_speed(setup->hooks.user, speed);
    if (setup->octets_in == 0)
        setup_fail(setup,
                   "does not answer to AT, at %d or any other speed: is it on, is it at this port, "
                   "and does no other program have it?",
                   speed);
    else if (setup->echo_in)
        setup_fail(setup,
                   "repeats what it is sent and does not answer: what is at this port is no modem, "
                   "or it hangs: switch it off and on");
    else
        setup_fail(setup,
                   "sends something, but no answer to AT: it hangs, or its speed is fixed at "
                   "one that was not tried: switch it off and on, or set speed");
}

/* Calls it at the speeds that ports have, twice at each. */
static enum phase_result wake_at_speeds(struct modem_setup *setup)
{
    int at = setup->step - WAKE_STEPS;

    if (setup->hooks.set_speed == NULL || at >= WAKE_SPEEDS * SPEED_CALLS) {
        wake_failed(setup);
        return PHASE_GOES_ON;
    }
    setup->step++;
    setup->found.speed = wake_speeds[at / SPEED_CALLS];
    if (at % SPEED_CALLS == 0)
        setup->hooks.set_speed(setup->hooks.user, setup->found.speed);
    setup_command(setup, at % SPEED_CALLS == 0 ? "" : "Q0V1E0", SPEED_CALL_MS, true);
    return PHASE_GOES_ON;
}

static void wake_step(struct modem_setup *setup, enum wake_kind kind, int wait_ms)
{
    switch (kind) {
    case WAKE_CALL: setup_command(setup, setup->tries++ == 0 ? "" : "Q0V1E0", wait_ms, true); break;
    case WAKE_ESCAPE:
        setup_trace(setup, ">", "CAN DLE ETX");
        setup_raw(setup, "\x18\x10\x03", 3, wait_ms);
        break;
    case WAKE_GUARD: setup_wait_ms(setup, wait_ms); break;
    case WAKE_PLUS:
        setup_trace(setup, ">", "+++");
        setup_raw(setup, "+++", 3, wait_ms);
        break;
    case WAKE_HANG_UP: setup_command(setup, "H0", wait_ms, true); break;
    case WAKE_DTR_OFF:
    case WAKE_DTR_ON:
        if (setup->hooks.set_dtr != NULL)
            setup->hooks.set_dtr(setup->hooks.user, kind == WAKE_DTR_ON);
        setup_wait_ms(setup, setup->hooks.set_dtr != NULL ? wait_ms : 0);
        break;
    }
}

static bool was_call(const struct modem_setup *setup)
{
    return setup->step > 0 &&
           (setup->step > WAKE_STEPS || wake_plan[setup->step - 1].kind == WAKE_CALL);
}

/* Called several times, a slow modem still owes answers, and they are not to what is asked next. */
static enum phase_result wake_done(struct modem_setup *setup)
{
    if (setup->found.speed != setup->wish.speed)
        setup_advise(setup, "answers at %d, not at speed = %d: set speed = %d", setup->found.speed,
                     setup->wish.speed, setup->found.speed);
    if (setup->step == 1)
        return PHASE_DONE;
    setup->step = WAKE_DRAINED;
    setup_wait_ms(setup, ANSWER_MS);
    return PHASE_GOES_ON;
}

static enum phase_result wake(struct modem_setup *setup, enum setup_event event)
{
    if (setup->step == WAKE_DRAINED)
        return PHASE_DONE;
    if (event == EVENT_OK && was_call(setup))
        return wake_done(setup);
    if (event == EVENT_ERROR && setup->errors >= ERRORS_MOST) {
        setup_fail(setup, "says ERROR to everything, even to AT alone: it is no modem, or it "
                          "hangs: switch it off and on");
        return PHASE_GOES_ON;
    }
    if (setup->step >= WAKE_STEPS)
        return wake_at_speeds(setup);
    setup->step++;
    wake_step(setup, wake_plan[setup->step - 1].kind, wake_plan[setup->step - 1].wait_ms);
    return PHASE_GOES_ON;
}

/* After a call: one that does not answer at once needs more than the quick form. */
static enum phase_result call_it(struct modem_setup *setup, enum setup_event event)
{
    if (event == EVENT_OK)
        return PHASE_DONE;
    if (event == EVENT_ENTER && setup->found.model->hang_up_wait_ms > 0) {
        setup_wait_ms(setup, setup->found.model->hang_up_wait_ms);
        return PHASE_GOES_ON;
    }
    if (setup->tries++ == 3)
        return PHASE_FULL;
    setup_command(setup, "", 1000, true);
    return PHASE_GOES_ON;
}

/* ---- reset ---------------------------------------------------------------------------------- */

/* By what is known of it so far: its USB id, or nothing. */
static const struct modem_model *first_model(const struct modem_setup *setup)
{
    const struct modem_model *model = NULL;

    if (setup->usb_id[0] != '\0')
        model = modem_models_by_usb(setup->models, setup->usb_id);
    return model != NULL ? model : modem_models_generic(setup->models);
}

static enum phase_result reset(struct modem_setup *setup, enum setup_event event)
{
    switch (event) {
    case EVENT_ENTER:
        setup->found.model = first_model(setup);
        setup_command(setup, setup->found.model->reset, RESET_MS, true);
        return PHASE_GOES_ON;
    case EVENT_ERROR:
        setup_advise(setup, "says ERROR to its reset (%s): its stored settings may be in the way",
                     setup->command);
        return PHASE_DONE;
    case EVENT_SILENCE:
        setup_advise(setup, "did not answer to its reset (%s) within %d s", setup->command,
                     RESET_MS / 1000);
        return PHASE_DONE;
    case EVENT_OK: setup_wait_ms(setup, setup->found.model->reset_wait_ms); return PHASE_GOES_ON;
    case EVENT_WAITED: at_stream_command(&setup->stream); break;
    }
    return PHASE_DONE;
}

static enum phase_result basics(struct modem_setup *setup, enum setup_event event)
{
    if (event == EVENT_ENTER) {
        setup_command(setup, "E0V1Q0", ANSWER_MS, false);
        return PHASE_GOES_ON;
    }
    if (event == EVENT_ERROR)
        setup_advise(setup, "says ERROR to ATE0V1Q0: it may repeat commands in its answers");
    return PHASE_DONE;
}

/* ---- who are you ---------------------------------------------------------------------------- */

static const struct {
    const char *command, *query;
} questions[] = {
    {"I0", "I0"},        {"I3", "I3"},        {"I4", "I4"},        {"I6", "I6"},
    {"I7", "I7"},        {"+FMI?", "+FMI"},   {"+FMM?", "+FMM"},   {"+FMR?", "+FMR"},
    {"+FMFR?", "+FMFR"}, {"+FMDL?", "+FMDL"}, {"+FREV?", "+FREV"}, {"+GMM", "+GMM"},
};

enum { QUESTIONS = sizeof questions / sizeof questions[0] };

static void keep_answers(struct modem_setup *setup, const char *query)
{
    int i;

    for (i = 0; i < setup->line_count && setup->answer_count < ANSWERS_MAX; i++) {
        char *text = setup->answer_text[setup->answer_count];

        modem_answer_text(text, MODEM_FOUND_TEXT, setup->line[i]);
        if (text[0] != '\0')
            setup->answer[setup->answer_count++] = (struct modem_answer){query, text};
    }
}

/* The first answer to any of these. */
static void take_text(const struct modem_setup *setup, char *out, const char *const *queries)
{
    int i;

    for (; *queries != NULL; queries++)
        for (i = 0; i < setup->answer_count; i++)
            if (strcmp(setup->answer[i].query, *queries) == 0) {
                text_copy(out, MODEM_FOUND_TEXT, setup->answer[i].line);
                return;
            }
}

static void identify(struct modem_setup *setup)
{
    static const char *const makers[] = {"+FMI", "+FMFR", NULL};
    static const char *const products[] = {"+FMM", "+FMDL", "+GMM", "I4", "I0", NULL};
    static const char *const firmwares[] = {"+FMR", "+FREV", "I3", NULL};
    const struct modem_model *model = NULL;

    take_text(setup, setup->found.maker, makers);
    take_text(setup, setup->found.product, products);
    take_text(setup, setup->found.firmware, firmwares);
    if (setup->usb_id[0] != '\0')
        model = modem_models_by_usb(setup->models, setup->usb_id);
    if (model == NULL)
        model = modem_models_by_answers(setup->models, setup->answer, (size_t)setup->answer_count);
    if (model == NULL)
        model = modem_models_generic(setup->models);
    setup->found.model = model;
    setup_trace(setup, "!", model->text);
    if (model->note != NULL)
        setup_advise(setup, "%s: %s", model->text, model->note);
    if (model->speed != 0 && model->speed != setup->wish.speed)
        setup_advise(setup, "needs speed = %d, the line has speed = %d", model->speed,
                     setup->wish.speed);
}

static enum phase_result ask(struct modem_setup *setup, enum setup_event event)
{
    if (event == EVENT_OK)
        keep_answers(setup, questions[setup->step - 1].query);
    if (setup->step == QUESTIONS) {
        identify(setup);
        return PHASE_DONE;
    }
    setup_command(setup, questions[setup->step++].command, ANSWER_MS, false);
    return PHASE_GOES_ON;
}

/* ---- set up --------------------------------------------------------------------------------- */

static void init_refused(struct modem_setup *setup)
{
    if (setup->step == 1) /* the model's: it may be another one than we think */
        setup_trace(setup, "!", "a command of the table is not taken: no matter");
    else
        setup_advise(setup, "says ERROR to %s of init: take it out", setup->command);
}

/* Commands of the model, then the line's own. */
static enum phase_result init(struct modem_setup *setup, enum setup_event event)
{
    char command[MODEM_COMMAND_MAX];

    if (event == EVENT_ENTER) {
        setup->step = 1;
        setup->rest = setup->found.model->init;
    } else if (event != EVENT_OK) {
        init_refused(setup);
    }
    while (!modem_command_next(&setup->rest, command)) {
        if (setup->step++ == 2)
            return PHASE_DONE;
        setup->rest = setup->init;
    }
    setup_command(setup, command, ANSWER_MS, false);
    return PHASE_GOES_ON;
}

/* It is faxpost that answers: after everything that could have changed it. */
static enum phase_result no_own_answer(struct modem_setup *setup, enum setup_event event)
{
    if (event == EVENT_ENTER) {
        setup_command(setup, "S0=0", ANSWER_MS, false);
        return PHASE_GOES_ON;
    }
    if (event != EVENT_OK)
        setup_advise(setup, "does not take ATS0=0: if it answers calls by itself, they are lost");
    return PHASE_DONE;
}

phase *const modem_phases_full[] = {
    wake,
    reset,
    wake, /* its rate may have changed */
    basics,
    ask,
    init,
    no_own_answer,
    modem_phase_classes,
    modem_phase_choose,
    modem_phase_rates,
    modem_phase_silences,
    modem_phase_far,
    modem_phase_adaptive,
    modem_phase_flow,
    modem_phase_caller_id,
    modem_phase_verify,
    NULL,
};

phase *const modem_phases_quick[] = {
    call_it,
    basics,
    no_own_answer,
    modem_phase_choose_again,
    modem_phase_far,
    modem_phase_adaptive,
    modem_phase_flow,
    modem_phase_caller_id,
    NULL,
};
