/* SPDX-License-Identifier: MIT */
/*
 * class2_states.c - the talk with a Class 2, 2.0 or 2.1 modem, state by state; the picture is in
 * front_class2.c.
 */
#include <stdio.h>
#include <string.h>

#include "fax/modem/class2_front.h"
#include "fax/t30/frames.h"

enum {
    COMMAND_MS = 3000,
    COMMANDS_LOST_MOST = 2, /* commands without any answer, one after the other */
    ANSWER_MS = 75000,    /* to each report: CED, T1 of 35 s, a training, or a data call's tones */
    WAIT_MS = 75000,      /* the next page: MCF, perhaps EOM, DIS and training */
    DATA_MS = 30000,      /* silence within a page */
    DATA_ECM_MS = 240000, /* the modem asks for a whole block again: 218 s at 2400 bit/s */
    AFTER_MS = 60000,
    NO_REPORT_MS = 6000, /* a page's end that is no more than an OK */
    NO_OK_MS = 1500,     /* reports without an OK behind them */
    STOP_MS = 5000,
    KILL_MS = 10000,
    MODEM_MCF = 1, /* AT+FPTS=n */
    MODEM_RTN = 2,
    MODEM_RTP = 3,
    EARLY_MS = 2000, /* no call is answered so soon: an OK still belongs to what was before */
    FDR_MOST = 3,
    OK_ALONE_MS = 5000, /* an OK to AT+FDR, and nothing behind it */
    DC1 = 0x11,
    PARTIAL_PAGE = 3, /* +FET:3, PPS-NULL */
};

/* ---- to the modem --------------------------------------------------------------------------- */

static void enter(struct front_class2 *front, enum class2_state state, int ms)
{
    front->state = state;
    front->left_ms = ms;
}

static void send_text(struct front_class2 *front, const char *text)
{
    char line[80];
    int length = snprintf(line, sizeof line, "%s\r", text);

    session_trace_modem(front->base.session, "modem >", text);
    session_octets_out(front->base.session, (const uint8_t *)line, (size_t)length);
}

static void send_octet(struct front_class2 *front, uint8_t octet, const char *name)
{
    session_trace_modem(front->base.session, "modem >", name);
    session_octets_out(front->base.session, &octet, 1);
}

static void send_command(struct front_class2 *front, enum class2_word word, const char *arguments)
{
    char text[64];

    snprintf(text, sizeof text, "AT%s%s", class2_name(word, front->class), arguments);
    send_text(front, text);
}

static void fail(struct front_class2 *front, const char *why)
{
    if (front->state == CLASS2_OVER)
        return;
    enter(front, CLASS2_OVER, 0);
    front->base.responding = false;
    session_front_failed(front->base.session, why);
}

/* ---- before the call ------------------------------------------------------------------------ */

static void prepare_next(struct front_class2 *front)
{
    char command[CLASS2_COMMAND_MAX];

    if (!class2_prepare_next(&front->prepare, command))
        return;
    send_text(front, command);
    if (strcmp(command, "ATA") == 0)
        enter(front, CLASS2_ANSWERING, ANSWER_MS);
    else
        enter(front, CLASS2_PREPARING, COMMAND_MS);
}

void class2_start(struct front_class2 *front)
{
    prepare_next(front);
}

static void line_while_preparing(struct front_class2 *front, const char *line)
{
    if (!class2_prepare_line(&front->prepare, line))
        return;
    front->lost = 0;
    prepare_next(front);
}

/* ---- phase B -------------------------------------------------------------------------------- */

static void take_parameters(struct front_class2 *front, const char *arguments)
{
    struct class2_parameters read;

    if (!class2_parameters_read(&read, arguments))
        return;
    if (!front->has_parameters || !class2_parameters_are_same(&read, &front->parameters))
        front->training_due = true;
    front->parameters = read;
    front->has_parameters = true;
}

/* Reports of the sender come before the OK to ATA, or between AT+FDR and CONNECT. */
static void take_report(struct front_class2 *front, enum class2_word word, const char *arguments)
{
    switch (word) {
    case CLASS2_FAX: front->is_fax = true; break;
    case CLASS2_SENDER: class2_station(front->sender, arguments); break;
    case CLASS2_SUBADDRESS: class2_station(front->subaddress, arguments); break;
    case CLASS2_PARAMETERS: take_parameters(front, arguments); break;
    default: break;
    }
}

/* Whatever can end a call at any time. False: it was something else. */
static bool line_ends_call(struct front_class2 *front, enum class2_word word, const char *arguments)
{
    const char *why = NULL;
    bool is_fax = front->is_fax || front->has_parameters;

    switch (word) {
    case CLASS2_HANGUP:
        why = class2_hangup_text(arguments);
        if (why == NULL)
            why = "the sender hung up before the end";
        break;
    case CLASS2_GONE:
        why = is_fax ? "the line broke" : "no fax machine was there: the modem gave NO CARRIER";
        break;
    case CLASS2_DATA:
        why = "a data call: if that was not meant, set the modem to fax only (AT+FAA=0)";
        break;
    case CLASS2_VOICE: why = "a voice call: no fax machine was there"; break;
    default: return false;
    }
    fail(front, why);
    return true;
}

/* The core gets what a sender would have said. False: it cannot be, and the call is ending. */
static bool begin_document(struct front_class2 *front)
{
    uint8_t dcs[CLASS2_FRAME_MAX];
    const char *why = NULL;
    size_t length = class2_dcs(dcs, &front->parameters, &why);

    if (length == 0) {
        send_octet(front, AT_CAN, "CAN");
        fail(front, why);
        return false;
    }
    front->training_due = false;
    return class2_caller_begin(&front->caller, front->subaddress, front->sender, dcs, length,
                               class2_width(&front->parameters));
}

/* AT+FDR: gives what answers the last page, and asks for the next one. */
static void send_fdr(struct front_class2 *front)
{
    front->caller.answer = FCF_NULL;
    front->ended = front->ok_alone = false;
    front->fdr_count++;
    enter(front, CLASS2_WAITING, WAIT_MS);
    send_text(front, "AT+FDR");
}

static void line_while_answering(struct front_class2 *front, enum class2_word word,
                                 const char *arguments)
{
    bool is_result = word == CLASS2_OK || word == CLASS2_ERROR;

    if (is_result && !front->is_fax && !front->has_parameters &&
        front->left_ms > ANSWER_MS - EARLY_MS && (word == CLASS2_OK || front->lost > 0))
        return; /* to a command that we had given up */
    if (word == CLASS2_CONNECT)
        word = CLASS2_DATA;
    if (line_ends_call(front, word, arguments))
        return;
    take_report(front, word, arguments);
    if (word == CLASS2_ERROR && !front->asked) {
        fail(front, "the modem refused to answer (ATA gave ERROR): see faxpost modem probe");
    } else if (is_result && !front->has_parameters && !front->asked) {
        front->asked = true; /* reports may be off; T.32 modems remember the last DCS */
        enter(front, CLASS2_ANSWERING, COMMAND_MS);
        send_command(front, CLASS2_PARAMETERS, "?");
    } else if (is_result) {
        if (!front->training_due || begin_document(front))
            send_fdr(front);
    } else if (word != CLASS2_OTHER) {
        front->left_ms = ANSWER_MS;
    }
}

/* ---- a page --------------------------------------------------------------------------------- */

static void begin_page(struct front_class2 *front)
{
    if (!front->has_parameters) {
        send_octet(front, AT_CAN, "CAN");
        fail(front, "the modem does not say what kind of page is coming (+FDCS, +FCS): use "
                    "class = 1 on this line");
        return;
    }
    if (!front->is_partial) {
        if ((front->training_due || front->caller.restart_due) && !begin_document(front))
            return;
        class2_caller_page(&front->caller);
        front->octets = 0;
    }
    front->is_partial = false;
    front->fdr_count = 0;
    front->status = MODEM_MCF;
    front->lines = 0;
    front->has_result = front->was_bad = false;
    enter(front, CLASS2_PAGE, front->parameters.value[CLASS2_EC] > 0 ? DATA_ECM_MS : DATA_MS);
    at_stream_data(&front->stream);
    send_octet(front, front->page_start, front->page_start == DC1 ? "DC1" : "DC2");
}

void class2_data(void *user, const uint8_t *octets, size_t length)
{
    struct front_class2 *front = user;

    if (front->state != CLASS2_PAGE)
        return;
    front->left_ms = front->parameters.value[CLASS2_EC] > 0 ? DATA_ECM_MS : DATA_MS;
    front->octets += length;
    class2_caller_image(&front->caller, octets, length);
}

void class2_data_end(void *user)
{
    struct front_class2 *front = user;
    char text[48];

    snprintf(text, sizeof text, "page data, %zu octets, DLE ETX", front->octets);
    session_trace_modem(front->base.session, "modem <", text);
    if (front->state == CLASS2_PAGE)
        enter(front, CLASS2_AFTER, AFTER_MS);
}

/* What the modem itself would answer. */
static bool modem_confirms(const struct front_class2 *front)
{
    return !front->was_bad && (front->status == MODEM_MCF || front->status == MODEM_RTP);
}

/* The page is over: its command goes to the core, by way of a worker. next: +FET. */
static void end_page(struct front_class2 *front, int next)
{
    /* 4 to 6: PRI */
    static const uint8_t commands[] = {FCF_MPS, FCF_EOM, FCF_EOP, FCF_MPS,
                                       FCF_MPS, FCF_EOM, FCF_EOP};

    if (front->ended)
        return;
    front->ended = true;
    if (next == PARTIAL_PAGE) {
        front->is_partial = true;
        front->caller.answer = FCF_MCF;
        return;
    }
    if (class2_caller_page_end(&front->caller, next >= 0 && next <= 6 ? commands[next] : FCF_MPS,
                               modem_confirms(front), front->lines))
        front->base.needs_worker = true;
}

static void line_after_page(struct front_class2 *front, enum class2_word word,
                            const char *arguments)
{
    switch (word) {
    case CLASS2_PAGE_STATUS:
        front->status = class2_number(arguments);
        front->lines = class2_page_lines(arguments, front->class);
        break;
    case CLASS2_PAGE_END:
        front->has_result = false; /* some give one OK to the data, another to the reports */
        front->left_ms = AFTER_MS;
        end_page(front, class2_number(arguments));
        break;
    case CLASS2_OK:
    case CLASS2_ERROR:
        front->has_result = true;
        front->was_bad = word == CLASS2_ERROR;
        if (!front->ended)
            front->left_ms = NO_REPORT_MS;
        break;
    default: line_ends_call(front, word, arguments);
    }
}

/* The end of the call, as good as the core thinks it is. */
static void hang_up(struct front_class2 *front)
{
    enter(front, CLASS2_OVER, 0);
    class2_caller_hangup(&front->caller);
}

static void line_while_waiting(struct front_class2 *front, enum class2_word word,
                               const char *arguments)
{
    take_report(front, word, arguments);
    switch (word) {
    case CLASS2_CONNECT: begin_page(front); break;
    case CLASS2_OK: /* late, to the page before; or there is no page and +FHNG will follow */
        front->ok_alone = true;
        front->left_ms = OK_ALONE_MS;
        break;
    case CLASS2_ERROR:
        fail(front, front->octets > 0 ? "the modem refused to go on with the next page"
                                      : "the modem refused to receive (AT+FDR gave ERROR)");
        break;
    case CLASS2_HANGUP:
        if (class2_hangup_text(arguments) == NULL)
            hang_up(front);
        else
            line_ends_call(front, word, arguments);
        break;
    default:
        if (!line_ends_call(front, word, arguments) && word != CLASS2_OTHER) {
            front->ok_alone = false;
            front->left_ms = WAIT_MS;
        }
    }
}

/* ---- the answer to a page ------------------------------------------------------------------- */

/* The modem is told to refuse the page and to end the call. */
void class2_refuse(struct front_class2 *front)
{
    if (front->state == CLASS2_OVER || front->base.responding)
        return;
    front->base.responding = true;
    switch (front->state) {
    case CLASS2_AFTER:
    case CLASS2_OVERRIDING:
        /* RTN first: should the modem still answer the page before it ends the call */
        enter(front, CLASS2_REFUSING, COMMAND_MS);
        send_command(front, CLASS2_PAGE_STATUS, "=2");
        break;
    case CLASS2_ANSWERING:
    case CLASS2_WAITING:
    case CLASS2_PAGE: /* T.32: ends the reception; the modem may hang up by itself then */
        enter(front, CLASS2_STOPPING, STOP_MS);
        send_octet(front, AT_CAN, "CAN");
        break;
    default: enter(front, CLASS2_OVER, 0); front->base.responding = false;
    }
}

static void kill_call(struct front_class2 *front)
{
    at_stream_command(&front->stream);
    enter(front, CLASS2_KILLING, KILL_MS);
    send_command(front, CLASS2_ABORT, "");
}

static void refused(struct front_class2 *front)
{
    enter(front, CLASS2_OVER, 0);
    front->base.responding = false;
}

static void line_while_refusing(struct front_class2 *front, enum class2_word word)
{
    if (word == CLASS2_HANGUP || word == CLASS2_GONE)
        refused(front);
    else if (word == CLASS2_OK || word == CLASS2_ERROR)
        front->state == CLASS2_KILLING ? refused(front) : kill_call(front);
}

static void override(struct front_class2 *front, int status)
{
    char text[8];

    snprintf(text, sizeof text, "=%d", status);
    enter(front, CLASS2_OVERRIDING, COMMAND_MS);
    send_command(front, CLASS2_PAGE_STATUS, text);
}

/* The core has answered, and the modem is ready for it: its own answer is made the same. */
static void act(struct front_class2 *front)
{
    switch (front->caller.answer) {
    case FCF_MCF:
    case FCF_RTP:
        if (modem_confirms(front) || front->is_partial)
            send_fdr(front);
        else
            override(front, MODEM_MCF);
        break;
    case FCF_RTN: override(front, MODEM_RTN); break;
    default: break;
    }
}

static void overridden(struct front_class2 *front, bool accepted)
{
    if (accepted || front->caller.answer != FCF_RTN) {
        /* not taken: it says RTN, and the sender sends again a page that we have: no loss */
        send_fdr(front);
        return;
    }
    /* The modem would confirm a page that we could not read. */
    front->base.responding = true;
    kill_call(front);
    session_front_failed(front->base.session, "a page came in badly, and the modem refused to say "
                                              "so (AT+FPTS=2 gave ERROR)");
}

/* ---- from the modem ------------------------------------------------------------------------- */

void class2_line(void *user, const char *line)
{
    struct front_class2 *front = user;
    const char *arguments;
    enum class2_word word = class2_word_of(line, &arguments);

    session_trace_modem(front->base.session, "modem <", line);
    switch (front->state) {
    case CLASS2_PREPARING: line_while_preparing(front, line); break;
    case CLASS2_ANSWERING: line_while_answering(front, word, arguments); break;
    case CLASS2_WAITING: line_while_waiting(front, word, arguments); break;
    case CLASS2_AFTER: line_after_page(front, word, arguments); break;
    case CLASS2_OVERRIDING:
        if (word == CLASS2_OK || word == CLASS2_ERROR)
            overridden(front, word == CLASS2_OK);
        else
            line_ends_call(front, word, arguments);
        break;
    case CLASS2_REFUSING:
    case CLASS2_STOPPING:
    case CLASS2_KILLING: line_while_refusing(front, word); break;
    case CLASS2_PAGE:
    case CLASS2_OVER: break;
    }
}

static void expire_waiting(struct front_class2 *front)
{
    if (front->ok_alone && front->caller.command == FCF_EOP) {
        hang_up(front);
    } else if (front->ok_alone && front->fdr_count < FDR_MOST) {
        send_fdr(front);
    } else {
        send_octet(front, AT_CAN, "CAN");
        fail(front, "the modem fell silent while a page was expected");
    }
}

/* The state took too long. */
static void expire(struct front_class2 *front)
{
    switch (front->state) {
    case CLASS2_PREPARING:
        if (++front->lost < COMMANDS_LOST_MOST)
            prepare_next(front);
        else
            fail(front, "the modem does not answer to commands: is it switched on? See faxpost "
                        "modem probe");
        break;
    case CLASS2_ANSWERING:
        if (front->asked) {
            send_fdr(front);
            break;
        }
        send_octet(front, AT_CAN, "CAN");
        fail(front, front->is_fax || front->has_parameters
                        ? "the modem fell silent while a page was expected"
                        : "no fax machine was there, and the modem did not say so");
        break;
    case CLASS2_WAITING: expire_waiting(front); break;
    case CLASS2_PAGE:
        send_octet(front, AT_CAN, "CAN");
        fail(front, "the modem fell silent in the middle of a page");
        break;
    case CLASS2_AFTER:
        if (!front->ended && front->has_result) {
            end_page(front, 0); /* OK alone: what follows is seen after AT+FDR */
            front->left_ms = AFTER_MS;
            break;
        }
        send_command(front, CLASS2_ABORT, "");
        fail(front, "the modem did not say how the page ended (+FET)");
        break;
    case CLASS2_OVERRIDING: overridden(front, false); break;
    case CLASS2_REFUSING:
    case CLASS2_STOPPING: kill_call(front); break;
    case CLASS2_KILLING: refused(front); break;
    case CLASS2_OVER: break;
    }
}

void class2_pass_time(struct front_class2 *front, int elapsed_ms)
{
    bool is_answered =
        front->state == CLASS2_AFTER && front->ended && front->caller.answer != FCF_NULL;

    if (is_answered && front->has_result) {
        act(front);
        return;
    }
    if (is_answered && front->left_ms > NO_OK_MS)
        front->left_ms = NO_OK_MS;
    front->left_ms -= elapsed_ms;
    if (front->left_ms > 0)
        return;
    if (is_answered)
        act(front); /* no OK came behind the reports */
    else
        expire(front);
}
