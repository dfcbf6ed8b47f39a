/* SPDX-License-Identifier: MIT */
/*
 * softmodem_exchange.c - the telephone exchange: two sockets and one call at a time. In a socket is
 * a modem; or, for the time of a call, the tool's own fax machine, or a sound.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "test/tools/softmodem.h"

enum {
    QUEUE_MAX = 16,
    FIRST_RING_MS = 200,
    OWN_ANSWER_MS = 1000,    /* the tool's fax machine answers */
    LINGER_MS = 500,         /* from the end of T.30 to hanging up */
    UNDER_WAY_MS = 100,      /* what was said last arrives before the end of the call does */
    BETWEEN_CALLS_MS = 1000, /* on hook */
    DROP_MS = 300,
};

enum state { IDLE, RINGING, TALKING };

struct exchange {
    const struct softmodem_options *options;
    FILE *json;
    struct modem *modems[2];
    struct line *wires[2]; /* to socket 0, 1 */
    int16_t arriving[2][STEP_SAMPLES];
    enum state state;
    int caller;              /* socket */
    int own;                 /* socket of the tool's own party; -1: both are modems */
    int64_t now_ms, idle_ms; /* of the line; when the last call ended */
    int64_t ring_ms, tell_ms, began_ms, answered_ms, done_ms;
    int64_t hang_up_ms; /* when it is known that modem `hung_up` did; 0: none did */
    int hung_up;
    int rings, page;          /* page: of which was told */
    struct call_options call; /* what the own party is; its words are freed at the end */
    struct terminal *terminal;
    struct sound_state sound;
    bool aborted, is_told; /* is_told: the own party's outcome is reported */
    struct call_options queue[QUEUE_MAX];
    int queued, over, failed;
    /* Noted by the hooks, for the next step. */
    bool wants_answer[2], wants_hangup[2], wants_dial[2];
    char number[FAXCALL_TEXT_MAX];
};

static bool events_wanted;

void event_say(const char *name, const char *key, const char *text)
{
    json_t *event;
    char *line;

    if (!events_wanted)
        return;
    event = json_pack("{s:s}", "event", name);
    if (key != NULL)
        json_object_set_new(event, key, json_string(text));
    line = json_dumps(event, JSON_COMPACT);
    printf("%s\n", line != NULL ? line : "{}");
    fflush(stdout);
    free(line);
    json_decref(event);
}

/* ---- hooks of the modems -------------------------------------------------------------------- */

static void on_dial(void *user, int socket, const char *number)
{
    struct exchange *exchange = user;

    exchange->wants_dial[socket] = true;
    text_copy(exchange->number, sizeof exchange->number, number);
}

static void on_answer(void *user, int socket)
{
    ((struct exchange *)user)->wants_answer[socket] = true;
}

static void on_hangup(void *user, int socket)
{
    ((struct exchange *)user)->wants_hangup[socket] = true;
}

/* ---- a call --------------------------------------------------------------------------------- */

static struct modem *called_modem(const struct exchange *exchange)
{
    int called = 1 - exchange->caller;

    return called != exchange->own ? exchange->modems[called] : NULL;
}

static void call_begin(struct exchange *exchange, int caller, int own)
{
    exchange->state = RINGING;
    exchange->caller = caller;
    exchange->own = own;
    exchange->rings = exchange->page = 0;
    exchange->ring_ms = exchange->now_ms + FIRST_RING_MS;
    exchange->tell_ms = INT64_MAX;
    exchange->began_ms = exchange->now_ms;
    exchange->answered_ms = exchange->done_ms = exchange->hang_up_ms = 0;
    exchange->aborted = false;
    exchange->is_told = true;
}

static void own_party_begin(struct exchange *exchange)
{
    struct call_options *call = &exchange->call;

    exchange->sound = (struct sound_state){.sound = call->sound};
    if (call->fax.file == NULL)
        return;
    exchange->terminal = terminal_new(&call->fax, KIND_AUDIO, call->fax.file, NULL, NULL);
    if (exchange->terminal == NULL)
        abort();
}

static void call_connect(struct exchange *exchange)
{
    struct modem *called = called_modem(exchange);

    exchange->state = TALKING;
    exchange->answered_ms = exchange->now_ms;
    memset(exchange->arriving, 0, sizeof exchange->arriving);
    for (int i = 0; i < 2; i++)
        line_clear(exchange->wires[i]);
    if (exchange->own >= 0)
        own_party_begin(exchange);
    if (called != NULL)
        modem_answered(called);
    if (exchange->caller != exchange->own && exchange->modems[exchange->caller] != NULL)
        modem_connected(exchange->modems[exchange->caller]);
    event_say("answered", NULL, NULL);
}

/* What the tool's own party makes of the call. */
static void own_report(struct exchange *exchange, const char *why)
{
    const struct options *fax = &exchange->call.fax;
    struct result result = {.number = exchange->over,
                            .kind = KIND_AUDIO,
                            .aborted = exchange->aborted,
                            .seconds = (double)(exchange->now_ms - exchange->began_ms) / 1000};
    const char *error = why;

    text_copy(result.called, sizeof result.called, exchange->number);
    text_copy(result.caller, sizeof result.caller, fax->from);
    if (exchange->terminal != NULL) {
        terminal_stop(exchange->terminal);
        result.outcome = *terminal_outcome(exchange->terminal);
        error = result.outcome.error;
        result.ok = result.outcome.ok &&
                    (fax->answer || result.outcome.pages_confirmed == result.outcome.pages_in_file);
    } else if (fax->file == NULL) {
        result.ok = exchange->answered_ms > 0;
    }
    if (fax->abort_in_page > 0 || fax->abort_after_page > 0)
        result.ok = exchange->aborted;
    if (!result.ok)
        text_copy(result.error, sizeof result.error, error[0] != '\0' ? error : why);
    exchange->failed += !result.ok;
    if (exchange->json != NULL)
        result_json(exchange->json, &result);
    if (events_wanted)
        result_json(stdout, &result);
    result_text(events_wanted ? stderr : stdout, &result);
}

/* by: the socket that hangs up; -1: the line breaks. */
static void call_end(struct exchange *exchange, int by, const char *why)
{
    exchange->state = IDLE;
    exchange->hang_up_ms = 0;
    exchange->idle_ms = exchange->now_ms;
    exchange->over++;
    event_say("over", "why", why);
    for (int i = 0; i < 2; i++)
        if (i != by && i != exchange->own && exchange->modems[i] != NULL &&
            (exchange->answered_ms > 0 || i == exchange->caller) && !exchange->options->deaf)
            modem_far_gone(exchange->modems[i]);
    if (exchange->own < 0)
        return;
    if (exchange->is_told)
        own_report(exchange, why);
    terminal_free(exchange->terminal);
    exchange->terminal = NULL;
    free(exchange->call.words);
    exchange->call.words = NULL;
}

/* ---- what the hosts want -------------------------------------------------------------------- */

static void host_dials(struct exchange *exchange, int socket)
{
    event_say("dialled", "number", exchange->number);
    if (exchange->state != IDLE) {
        modem_busy(exchange->modems[socket]);
        return;
    }
    call_begin(exchange, socket, -1);
    if (exchange->modems[1 - socket] != NULL)
        return;
    exchange->call = exchange->options->call;
    exchange->call.fax.answer = true;
    exchange->call.fax.file = exchange->options->answer_out;
    exchange->own = 1 - socket;
}

/* ATA with nobody on the line takes the line all the same: it is silent. */
static void host_answers(struct exchange *exchange, int socket)
{
    if (exchange->state == IDLE) {
        call_begin(exchange, 1 - socket, 1 - socket);
        exchange->call = exchange->options->call;
        exchange->call.fax.file = NULL;
        exchange->call.sound = SOUND_NONE;
        exchange->is_told = false;
    }
    if (exchange->state == RINGING && socket != exchange->caller)
        call_connect(exchange);
}

static void host_hangs_up(struct exchange *exchange, int socket)
{
    if (socket == exchange->own || exchange->hang_up_ms > 0)
        return;
    if (exchange->state == TALKING || (exchange->state == RINGING && socket == exchange->caller)) {
        exchange->hung_up = socket;
        exchange->hang_up_ms = exchange->now_ms + exchange->options->line.delay_ms + UNDER_WAY_MS;
    }
}

static void notes_take(struct exchange *exchange)
{
    for (int i = 0; i < 2; i++) {
        bool hangup = exchange->wants_hangup[i], dial = exchange->wants_dial[i],
             answer = exchange->wants_answer[i];

        exchange->wants_hangup[i] = exchange->wants_dial[i] = exchange->wants_answer[i] = false;
        if (hangup)
            host_hangs_up(exchange, i);
        if (dial)
            host_dials(exchange, i);
        if (answer)
            host_answers(exchange, i);
    }
}

/* ---- time ----------------------------------------------------------------------------------- */

static void ring_step(struct exchange *exchange)
{
    struct modem *called = called_modem(exchange);

    if (exchange->own == 1 - exchange->caller) {
        if (exchange->call.fax.file != NULL &&
            exchange->now_ms >= exchange->began_ms + OWN_ANSWER_MS)
            call_connect(exchange);
        return;
    }
    if (exchange->now_ms >= exchange->tell_ms && called != NULL) {
        modem_tell_caller(called, &exchange->call);
        exchange->tell_ms = INT64_MAX;
    }
    if (exchange->now_ms < exchange->ring_ms)
        return;
    if (exchange->own == exchange->caller && exchange->rings == exchange->call.rings) {
        call_end(exchange, exchange->caller, "no answer");
        return;
    }
    if (exchange->rings++ == 0)
        exchange->tell_ms = exchange->now_ms + exchange->options->ring_every_ms / 4;
    exchange->ring_ms += exchange->options->ring_every_ms;
    event_say("ring", NULL, NULL);
    if (called != NULL)
        modem_ring(called);
}

static bool abort_is_due(const struct exchange *exchange)
{
    const struct options *fax = &exchange->call.fax;
    double fraction;
    int page;

    if (exchange->terminal == NULL || exchange->aborted || fax->answer)
        return false;
    if (fax->abort_after_page > 0 &&
        terminal_outcome(exchange->terminal)->pages_confirmed >= fax->abort_after_page)
        return true;
    page = terminal_page(exchange->terminal, &fraction);
    return fax->abort_in_page > 0 &&
           (page > fax->abort_in_page || (page == fax->abort_in_page && fraction >= 0.66));
}

static void page_note(struct exchange *exchange)
{
    double fraction;
    int page = exchange->terminal != NULL ? terminal_page(exchange->terminal, &fraction) : 0;
    char number[16];

    if (page <= exchange->page || fraction < 0.3)
        return;
    exchange->page = page;
    snprintf(number, sizeof number, "%d", page);
    event_say("page", "number", number);
}

static void own_party_watch(struct exchange *exchange)
{
    int64_t now_ms = exchange->now_ms;

    page_note(exchange);
    if (exchange->terminal != NULL && exchange->done_ms == 0 &&
        terminal_outcome(exchange->terminal)->done)
        exchange->done_ms = now_ms;
    if (abort_is_due(exchange)) {
        exchange->aborted = true;
        call_end(exchange, exchange->own, "given up on purpose");
    } else if (exchange->done_ms > 0 && now_ms >= exchange->done_ms + LINGER_MS) {
        call_end(exchange, exchange->own, "the end");
    } else if (exchange->call.hangup_after_ms > 0 &&
               now_ms >= exchange->answered_ms + exchange->call.hangup_after_ms) {
        call_end(exchange, exchange->own, "the far end hung up");
    }
}

static void audio_step(struct exchange *exchange)
{
    int16_t out[2][STEP_SAMPLES], in[2][STEP_SAMPLES];
    bool talking = exchange->state == TALKING;

    memset(out, 0, sizeof out);
    memset(in, 0, sizeof in);
    if (talking)
        memcpy(in, exchange->arriving, sizeof in);
    for (int i = 0; i < 2; i++) {
        if (exchange->modems[i] != NULL && !(talking && i == exchange->own))
            modem_step(exchange->modems[i], in[i], out[i]);
        if (!talking || i != exchange->own)
            continue;
        if (exchange->terminal != NULL) {
            terminal_hear(exchange->terminal, in[i]);
            terminal_tick_audio(exchange->terminal, out[i]);
        } else {
            sound_step(&exchange->sound, out[i]);
        }
    }
    for (int i = 0; talking && i < 2; i++) {
        memcpy(exchange->arriving[i], out[1 - i], sizeof out[0]);
        line_step(exchange->wires[i], exchange->arriving[i]);
    }
}

static void queue_step(struct exchange *exchange)
{
    if (exchange->queued == 0 || exchange->state != IDLE ||
        modem_is_off_hook(exchange->modems[0]) ||
        (exchange->over > 0 && exchange->now_ms < exchange->idle_ms + BETWEEN_CALLS_MS))
        return;
    exchange->call = exchange->queue[0];
    exchange->queued--;
    memmove(exchange->queue, exchange->queue + 1,
            (size_t)exchange->queued * sizeof exchange->queue[0]);
    text_copy(exchange->number, sizeof exchange->number, basename(exchange->options->pty[0]));
    call_begin(exchange, 1, 1);
}

void exchange_step(struct exchange *exchange)
{
    exchange->now_ms += STEP_MS;
    notes_take(exchange);
    if (exchange->hang_up_ms > 0 && exchange->now_ms >= exchange->hang_up_ms) {
        exchange->hang_up_ms = 0;
        call_end(exchange, exchange->hung_up,
                 exchange->hung_up == 0 ? "modem 0 hung up" : "modem 1 hung up");
    }
    queue_step(exchange);
    if (exchange->state == RINGING)
        ring_step(exchange);
    audio_step(exchange);
    if (exchange->state == TALKING && exchange->own >= 0)
        own_party_watch(exchange);
}

/* ---- commands ------------------------------------------------------------------------------- */

void exchange_call(struct exchange *exchange, const struct call_options *call)
{
    if (exchange->queued == QUEUE_MAX) {
        fprintf(stderr, "softmodem: too many calls wait\n");
        return;
    }
    exchange->queue[exchange->queued++] = *call;
}

static void call_command(struct exchange *exchange, const char *words)
{
    struct call_options call = exchange->options->call;

    call.words = strdup(words);
    if (call.words == NULL)
        abort();
    if (call_options_read(&call, call.words))
        exchange_call(exchange, &call);
    else
        free(call.words);
}

static void line_command(struct exchange *exchange, const char *words,
                         void (*action)(struct line *, int))
{
    int ms = atoi(words);

    for (int i = 0; i < 2; i++)
        action(exchange->wires[i], ms > 0 ? ms : DROP_MS);
}

bool exchange_command(struct exchange *exchange, char *text)
{
    char *words = text + strcspn(text, " ");
    struct modem *modem = exchange->modems[0];

    if (*words != '\0')
        *words++ = '\0';
    if (strcmp(text, "quit") == 0)
        return false;
    if (strcmp(text, "call") == 0)
        call_command(exchange, words);
    else if (strcmp(text, "plug") == 0)
        modem_plug(modem);
    else if (strcmp(text, "unplug") == 0) {
        modem_unplug(modem);
        if (exchange->state == TALKING) /* the socket is empty: the line breaks */
            call_end(exchange, 0, "modem 0 unplugged");
    } else if (strcmp(text, "hangup") == 0 && exchange->state != IDLE)
        call_end(exchange, 1, "the far end hung up");
    else if (strcmp(text, "drop") == 0)
        line_command(exchange, words, line_drop);
    else if (strcmp(text, "burst") == 0)
        line_command(exchange, words, line_burst);
    else if (strcmp(text, "mode") == 0 && softmodem_mode_of(words) >= 0)
        modem_set_mode(modem, (enum mode)softmodem_mode_of(words));
    else
        fprintf(stderr, "softmodem: \"%s\" is no command, or not now\n", text);
    return true;
}

/* ---- life ----------------------------------------------------------------------------------- */

struct exchange *exchange_new(const struct softmodem_options *options, FILE *json, FILE *trace)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);
    const struct modem_hooks hooks = {exchange, on_dial, on_answer, on_hangup};

    if (exchange == NULL)
        abort();
    events_wanted = options->control;
    exchange->options = options;
    exchange->json = json;
    exchange->own = -1;
    for (int i = 0; i < 2; i++) {
        exchange->wires[i] = line_new(&options->line, (unsigned)i);
        if (options->pty[i] != NULL)
            exchange->modems[i] = modem_new(options, i, trace, &hooks);
    }
    return exchange;
}

void exchange_free(struct exchange *exchange)
{
    if (exchange == NULL)
        return;
    if (exchange->state != IDLE)
        call_end(exchange, 1, "the tool was ended");
    for (int i = 0; i < 2; i++) {
        modem_free(exchange->modems[i]);
        line_free(exchange->wires[i]);
    }
    for (int i = 0; i < exchange->queued; i++)
        free(exchange->queue[i].words);
    free(exchange);
}

struct modem *exchange_modem(struct exchange *exchange, int socket)
{
    return exchange->modems[socket];
}

bool exchange_is_talking(const struct exchange *exchange)
{
    return exchange->state == TALKING;
}

int exchange_calls_over(const struct exchange *exchange)
{
    return exchange->over;
}

int exchange_calls_failed(const struct exchange *exchange)
{
    return exchange->failed;
}
