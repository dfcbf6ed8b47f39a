/* SPDX-License-Identifier: MIT */
/*
 * modem_class.c - chooses how to drive a modem, and sets what goes with it. Flow control and caller
 * ID come after +FCLASS, which makes many modems forget them.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "fax/modem/modem_answers.h"
#include "fax/modem/modem_setup_internal.h"

enum { RATES_ALL = MODEM_V27TER | MODEM_V29 | MODEM_V17, LEAST_SPEED_V17 = 19200 };

static bool is_class_1(enum modem_class class)
{
    return class == MODEM_CLASS_1 || class == MODEM_CLASS_1_0;
}

static bool is_class_2x(enum modem_class class)
{
    return class == MODEM_CLASS_2_0 || class == MODEM_CLASS_2_1;
}

/* ---- which class ---------------------------------------------------------------------------- */

/* "1, 1.0" */
static void class_words(char *out, size_t size, unsigned classes)
{
    size_t used = 0;
    int i;

    text_copy(out, size, "none");
    for (i = MODEM_CLASS_1; i <= MODEM_CLASS_2_1 && used < size; i++)
        if ((classes & 1u << i) != 0)
            used += (size_t)snprintf(out + used, size - used, "%s%s", used > 0 ? ", " : "",
                                     modem_class_text((enum modem_class)i));
}

/* The wished one; else those of the model that the modem says it has. */
static void make_candidates(struct modem_setup *setup)
{
    const enum modem_class *c = setup->found.model->classes;
    char words[40];
    int i;

    setup->candidate_count = setup->candidate_at = 0;
    class_words(words, sizeof words, setup->found.classes);
    if (setup->wish.class != MODEM_CLASS_AUTO) {
        setup->candidate[setup->candidate_count++] = setup->wish.class;
        if (setup->found.classes != 0 && (setup->found.classes & 1u << setup->wish.class) == 0)
            setup_advise(setup, "does not list class %s, which is wished; it lists: %s",
                         modem_class_text(setup->wish.class), words);
        return;
    }
    for (i = 0; i < MODEM_CLASS_WISHES && c[i] != MODEM_CLASS_AUTO; i++)
        if (!setup->class_asked || (setup->found.classes & 1u << c[i]) != 0)
            setup->candidate[setup->candidate_count++] = c[i];
    /* The table may be wrong about a modem, which may be another than it seems. */
    if (setup->candidate_count > 0)
        return;
    for (i = MODEM_CLASS_1; i <= MODEM_CLASS_2_1; i++)
        if ((setup->found.classes & 1u << i) != 0)
            setup->candidate[setup->candidate_count++] = (enum modem_class)i;
}

enum phase_result modem_phase_classes(struct modem_setup *setup, enum setup_event event)
{
    bool any = false;
    int i;

    if (event == EVENT_ENTER) {
        setup_command(setup, "+FCLASS=?", ANSWER_MS, false);
        return PHASE_GOES_ON;
    }
    for (i = 0; event == EVENT_OK && i < setup->line_count; i++) {
        setup->found.classes |= modem_answer_classes(setup->line[i], &any);
        setup->class_asked |= any;
    }
    if (setup->class_asked && setup->found.classes == 0 && setup->wish.class == MODEM_CLASS_AUTO) {
        setup_fail(setup, "has no fax: it lists no class for it (AT+FCLASS=?); take another modem");
        return PHASE_GOES_ON;
    }
    if (!setup->class_asked)
        setup_advise(setup, "does not list its classes (AT+FCLASS=?): they are tried");
    make_candidates(setup);
    return PHASE_DONE;
}

static void choose_failed(struct modem_setup *setup)
{
    char words[40];

    class_words(words, sizeof words, setup->found.classes);
    if (setup->wish.class != MODEM_CLASS_AUTO)
        setup_fail(setup, "does not take AT+FCLASS=%s, which class = %s asks for; it lists: %s",
                   modem_class_text(setup->wish.class), modem_class_text(setup->wish.class), words);
    else if (setup->errors >= setup->commands - 4)
        setup_fail(setup, "says ERROR to everything but AT: it is no fax modem, or it hangs: "
                          "switch it off and on");
    else
        setup_fail(setup, "takes no fax class (AT+FCLASS=): it lists: %s", words);
}

static void send_class(struct modem_setup *setup, enum modem_class class)
{
    char command[MODEM_COMMAND_MAX];

    snprintf(command, sizeof command, "+FCLASS=%s", modem_class_text(class));
    setup_command(setup, command, ANSWER_MS * 2, false);
}

/* Entered again, it takes the next candidate. */
enum phase_result modem_phase_choose(struct modem_setup *setup, enum setup_event event)
{
    enum modem_class class;

    if (event == EVENT_OK) {
        class = setup->candidate[setup->candidate_at - 1];
        setup->found.traits.class = class;
        setup->found.classes |= 1u << class;
        return PHASE_DONE;
    }
    if (event != EVENT_ENTER && setup->class_asked)
        setup_advise(setup, "lists class %s, but does not take it",
                     modem_class_text(setup->candidate[setup->candidate_at - 1]));
    if (setup->candidate_at == setup->candidate_count) {
        choose_failed(setup);
        return PHASE_GOES_ON;
    }
    send_class(setup, setup->candidate[setup->candidate_at++]);
    return PHASE_GOES_ON;
}

enum phase_result modem_phase_choose_again(struct modem_setup *setup, enum setup_event event)
{
    if (event == EVENT_OK)
        return PHASE_DONE;
    if (event != EVENT_ENTER)
        return PHASE_FULL;
    send_class(setup, setup->found.traits.class);
    return PHASE_GOES_ON;
}

/* ---- what it can ---------------------------------------------------------------------------- */

static void rates_known(struct modem_setup *setup, const char *question)
{
    struct modem_traits *traits = &setup->found.traits;

    if (traits->rates == 0) {
        setup_advise(setup, "does not list its rates (%s): all up to V.17 are tried", question);
        traits->rates = RATES_ALL;
    }
    traits->rates |= MODEM_V27TER; /* T.30 has no receiver without */
    if ((traits->rates & MODEM_V17) == 0)
        setup_advise(setup, "receives at 9600 bit/s at most: it has no V.17");
    else if (setup->found.speed < LEAST_SPEED_V17)
        setup_advise(setup, "speed = %d is slower than faxes at 14400 bit/s: set 38400 or more",
                     setup->found.speed);
}

enum phase_result modem_phase_rates(struct modem_setup *setup, enum setup_event event)
{
    enum modem_class class = setup->found.traits.class;
    const char *question = is_class_1(class)        ? "+FRM=?"
                           : class == MODEM_CLASS_2 ? "+FDCC=?"
                                                    : "+FCC=?";
    unsigned rates = 0;
    int i;

    if (event == EVENT_ENTER) {
        setup_command(setup, question, ANSWER_MS, false);
        return PHASE_GOES_ON;
    }
    for (i = 0; event == EVENT_OK && i < setup->line_count; i++)
        rates |= is_class_1(class) ? modem_answer_carriers(setup->line[i])
                                   : modem_answer_bit_rates(setup->line[i]);
    setup->found.traits.rates = rates;
    rates_known(setup, question);
    return PHASE_DONE;
}

/* +FRS and +FTS wait for silence and make it: some modems have none, or hang up with it. */
enum phase_result modem_phase_silences(struct modem_setup *setup, enum setup_event event)
{
    const struct modem_model *model = setup->found.model;
    struct modem_traits *traits = &setup->found.traits;
    bool is_class = is_class_1(traits->class);

    if (event == EVENT_ENTER) {
        traits->pause_ms = model->pause_ms;
        traits->connect_tries = model->connect_tries;
        traits->frm_tries = model->frm_tries;
        traits->bit_order = model->bit_order;
        traits->page_start = model->page_start;
        traits->has_frs = model->frs == MODEM_YES;
        traits->has_fts = model->fts == MODEM_YES;
    } else if (setup->step == 1) {
        traits->has_frs = event == EVENT_OK;
    } else {
        traits->has_fts = event == EVENT_OK;
    }
    if (setup->step++ == 0 && is_class && model->frs == MODEM_ASK) {
        setup_command(setup, "+FRS=?", ANSWER_MS, false);
        return PHASE_GOES_ON;
    }
    if (setup->step <= 2 && is_class && model->fts == MODEM_ASK) {
        setup->step = 3;
        setup_command(setup, "+FTS=?", ANSWER_MS, false);
        return PHASE_GOES_ON;
    }
    return PHASE_DONE;
}

/* ---- what goes with it ---------------------------------------------------------------------- */

static bool class_1_is_left(const struct modem_setup *setup)
{
    int i;

    for (i = setup->candidate_at; i < setup->candidate_count; i++)
        if (setup->candidate[i] == MODEM_CLASS_1)
            return true;
    return false;
}

/* +FAR=1 (T.31 8.5.3): a frame in place of a page says so, instead of +FCERROR. It is what makes
 * class 1.0 better than 1; without it the older one is the better known. */
enum phase_result modem_phase_far(struct modem_setup *setup, enum setup_event event)
{
    struct modem_traits *traits = &setup->found.traits;
    enum modem_tri far = setup->found.model->far;

    if (event == EVENT_ENTER) {
        if (!is_class_1(traits->class) || far == MODEM_NO ||
            (far == MODEM_ASK && traits->class != MODEM_CLASS_1_0) ||
            (setup->was_ready && !traits->far))
            return PHASE_DONE;
        setup_command(setup, "+FAR=1", ANSWER_MS, false);
        return PHASE_GOES_ON;
    }
    traits->far = event == EVENT_OK;
    if (!traits->far && traits->class == MODEM_CLASS_1_0 && class_1_is_left(setup))
        return PHASE_CHOOSE;
    return PHASE_DONE;
}

/* It shall not find out by itself whether a call is fax or data, which takes 6 to 8 s. Those that
 * do not know the command do not do it. */
enum phase_result modem_phase_adaptive(struct modem_setup *setup, enum setup_event event)
{
    if (event != EVENT_ENTER)
        return PHASE_DONE;
    setup_command(setup, is_class_1(setup->found.traits.class) ? "+FAE=0" : "+FAA=0", ANSWER_MS,
                  false);
    return PHASE_GOES_ON;
}

/* Tries lists of commands in turn, `first` before the others, until all commands of one are taken.
 * The phase sends the next command: PHASE_GOES_ON; PHASE_DONE with *out_taken, NULL for none. */
static enum phase_result try_lists(struct modem_setup *setup, enum setup_event event,
                                   const char *first, const char *const *others,
                                   const char **out_taken)
{
    char command[MODEM_COMMAND_MAX];
    const char *list;

    if (event == EVENT_ENTER)
        setup->tries = first != NULL ? 0 : 1;
    for (;; setup->tries++) {
        list = setup->tries == 0 ? first : others != NULL ? others[setup->tries - 1] : NULL;
        *out_taken = list;
        if (list == NULL)
            return PHASE_DONE;
        if (event == EVENT_ENTER)
            setup->rest = list;
        if (event == EVENT_ENTER || event == EVENT_OK) {
            if (!modem_command_next(&setup->rest, command))
                return PHASE_DONE;
            setup_command(setup, command, ANSWER_MS, false);
            return PHASE_GOES_ON;
        }
        event = EVENT_ENTER; /* refused: the next list from its begin */
    }
}

/* T.32 8.5.12: classes 2.0 and 2.1 have a command of their own. */
static const char *const flo_commands[] = {[SERIAL_FLOW_RTSCTS] = "+FLO=2",
                                           [SERIAL_FLOW_XONXOFF] = "+FLO=1",
                                           [SERIAL_FLOW_NONE] = "+FLO=0"};

static void flow_known(struct modem_setup *setup)
{
    text_copy(setup->found.flow, sizeof setup->found.flow, setup->flow_taken);
    if (setup->flow_taken == NULL)
        setup_advise(setup,
                     "takes no command for flow = %s that is known: it keeps what it has; init may "
                     "hold the right one",
                     serial_flow_text(setup->wish.flow));
}

enum phase_result modem_phase_flow(struct modem_setup *setup, enum setup_event event)
{
    static const char *const usual[][5] = {
        [SERIAL_FLOW_RTSCTS] = {"&K3", "+IFC=2,2", "&H1", "\\Q3", NULL},
        [SERIAL_FLOW_XONXOFF] = {"&K4", "+IFC=1,1", "&H2", "\\Q1", NULL},
        [SERIAL_FLOW_NONE] = {"&K0", "+IFC=0,0", "&H0", "\\Q0", NULL},
    };
    enum serial_flow flow = setup->wish.flow;
    const char *first = setup->was_ready ? setup->flow_taken : setup->found.model->flow[flow];

    if (setup->was_ready && first == NULL)
        return PHASE_DONE;
    if (setup->step == 0) {
        if (try_lists(setup, event, first, usual[flow], &setup->flow_taken) == PHASE_GOES_ON)
            return PHASE_GOES_ON;
        if (is_class_2x(setup->found.traits.class)) {
            setup->step = 1;
            setup_command(setup, flo_commands[flow], ANSWER_MS, false);
            return PHASE_GOES_ON;
        }
    } else if (event == EVENT_OK && setup->flow_taken == NULL) {
        setup->flow_taken = flo_commands[flow];
    }
    flow_known(setup);
    return PHASE_DONE;
}

static void caller_id_known(struct modem_setup *setup, const char *wish)
{
    text_copy(setup->found.caller_id, sizeof setup->found.caller_id, setup->caller_id_taken);
    if (setup->caller_id_taken == NULL && wish != NULL)
        setup_advise(setup, "does not take caller_id = %s: callers stay unknown", wish);
    else if (setup->caller_id_taken == NULL)
        setup_advise(setup, "takes no command for caller ID that is known: callers stay unknown");
}

enum phase_result modem_phase_caller_id(struct modem_setup *setup, enum setup_event event)
{
    static const char *const usual[] = {"+VCID=1", "#CID=1", "#CID=10", "%CCID=1", NULL};
    const char *wish = setup->caller_id;
    const char *first = wish != NULL ? wish : setup->found.model->caller_id;
    bool quick = setup->was_ready;

    if (quick)
        first = setup->caller_id_taken;
    if ((quick && first == NULL) || (first != NULL && strcmp(first, "none") == 0))
        return PHASE_DONE;
    if (try_lists(setup, event, first, wish != NULL || quick ? NULL : usual,
                  &setup->caller_id_taken) == PHASE_GOES_ON)
        return PHASE_GOES_ON;
    if (quick && setup->caller_id_taken == NULL)
        return PHASE_FULL;
    caller_id_known(setup, wish);
    return PHASE_DONE;
}

/* Did one of these commands make it forget its class? */
enum phase_result modem_phase_verify(struct modem_setup *setup, enum setup_event event)
{
    enum modem_class class = setup->found.traits.class;
    unsigned is = 0;
    bool any = false;

    if (event == EVENT_ENTER) {
        setup_command(setup, "+FCLASS?", ANSWER_MS, false);
        return PHASE_GOES_ON;
    }
    if (setup->step == 1)
        return PHASE_DONE;
    if (event == EVENT_OK && setup->line_count > 0)
        is = modem_answer_classes(setup->line[0], &any);
    if (!any || (is & 1u << class) != 0)
        return PHASE_DONE;
    setup->step = 1;
    setup_advise(setup, "forgot its class (it says %s): it was set once more", setup->line[0]);
    send_class(setup, class);
    return PHASE_GOES_ON;
}
