/* SPDX-License-Identifier: MIT */
/*
 * modem_thread.c - a modem line: its rings and its calls, one at a time.
 */
#include "fax/modem/modem_thread.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "base/thread.h"
#include "fax/modem/at_stream.h"
#include "fax/modem/modem_call.h"
#include "fax/modem/modem_port.h"
#include "fax/modem/modem_ring.h"

enum {
    MESSAGES_MOST = 4096,
    READS_MOST = 4,    /* per wake-up: who sends more waits, and the call goes on */
    ALIVE_MS = 600000, /* an idle modem is asked whether it lives */
    HANG_UPS = 2,
    HANG_UP_OK_MS = 3000,
    DTR_LOW_MS = 1000,
    SHOWN_MAX = CALL_NAME_MAX + SERIAL_PATH_MAX + SERIAL_WHY_MAX,
};

enum state { WAITING, IDLE, OPENING, CALL, HANGING_UP, HUNG_UP };

struct modem_thread {
    /* Constant while the thread runs. */
    struct call_shared *shared;
    char name[CALL_NAME_MAX];
    struct mailbox *mailbox;
    int wake_fd;
    pthread_t id;

    atomic_bool has_ended;

    pthread_mutex_t lock; /* of shown */
    char shown[SHOWN_MAX];

    /* The thread's. */
    struct modem_line *line;
    struct modem_line *next_line; /* takes effect when no call lives */
    struct modem_port port;
    enum state state;
    int64_t due_ms;    /* when the state has something to do without input */
    int hang_ups;      /* ATH0 sent */
    bool is_answering; /* the modem answered to the last of them */
    struct at_stream stream;
    struct modem_ring ring;
    struct modem_call *call;
    int64_t tick_ms; /* of the call */
    int calls_out;   /* calls that workers still speak of */
    bool is_draining, is_ending;
    /* The call that is not answered, which was said. */
    int64_t let_ring_ms;
    char let_ring_number[CALL_NUMBER_MAX];
};

static int64_t now(void)
{
    return clock_monotonic_ms();
}

static void state_set(struct modem_thread *thread, enum state state, int64_t due_ms)
{
    thread->state = state;
    thread->due_ms = due_ms;
}

/* ---- the port ----------------------------------------------------------------------------------
 */

/* Until there is a modem that is ready. */
static void wait_begin(struct modem_thread *thread)
{
    state_set(thread, WAITING, INT64_MAX);
}

/* A call that lives is driven to its end without its modem. */
static void port_lost(struct modem_thread *thread)
{
    modem_port_lost(&thread->port);
    if (thread->state == CALL)
        call_hang_up(&thread->call->call, "the modem has gone from its port", now());
    else if (thread->state != OPENING)
        wait_begin(thread);
}

static void setup_begin(struct modem_thread *thread, bool quick)
{
    modem_port_setup(&thread->port, quick);
    wait_begin(thread);
}

/* New settings, when no call lives: the port is opened anew where the modem is set up by them. A
 * new table of models counts from the next opening on. */
static void line_take(struct modem_thread *thread)
{
    struct modem_line *old = thread->line;
    bool is_same = modem_line_is_same_port(old, thread->next_line);

    thread->line = thread->next_line;
    thread->port.line = thread->line;
    thread->next_line = NULL;
    modem_line_free(old);
    if (is_same)
        return;
    modem_port_close(&thread->port);
    thread->port.backoff_ms = 0;
    modem_port_ask(&thread->port);
    wait_begin(thread);
}

/* ---- hanging up --------------------------------------------------------------------------------
 */

/* Twice: what comes first may only end a reception that is still on (T.31 8.3.1, any octet does),
 * with an OK for that. */
static void hang_up(struct modem_thread *thread)
{
    thread->hang_ups++;
    thread->is_answering = false;
    modem_port_command(&thread->port, "ATH0");
    state_set(thread, HANGING_UP, now() + HANG_UP_OK_MS);
}

static void hang_up_begin(struct modem_thread *thread)
{
    at_stream_command(&thread->stream);
    modem_ring_clear(&thread->ring); /* what rings from now on is the next call */
    thread->hang_ups = 0;
    hang_up(thread);
}

/* The modem said that it has hung up, or nothing: then DTR may tell it, and the full set-up does.
 */
static void hang_up_ended(struct modem_thread *thread)
{
    const struct modem_model *model = modem_port_found(&thread->port)->model;
    int wait_ms = model->hang_up_wait_ms;

    if (!thread->is_answering) {
        modem_port_dtr(&thread->port, false);
        wait_ms += DTR_LOW_MS;
    }
    state_set(thread, HUNG_UP, now() + wait_ms);
}

static void hung_up(struct modem_thread *thread)
{
    if (!thread->is_answering)
        modem_port_dtr(&thread->port, true);
    setup_begin(thread, thread->is_answering);
}

/* ---- who is let ring ---------------------------------------------------------------------------
 */

/* Once for each call, and caller. */
static bool is_first_word(struct modem_thread *thread)
{
    const struct modem_ring *ring = &thread->ring;
    bool is_first =
        thread->let_ring_ms != ring->first_ms || strcmp(thread->let_ring_number, ring->number) != 0;

    thread->let_ring_ms = ring->first_ms;
    text_copy(thread->let_ring_number, sizeof thread->let_ring_number, ring->number);
    return is_first;
}

/* By [line] allow and deny, with what the modem has said so far. */
static bool is_blocked(struct modem_thread *thread)
{
    const struct modem_line_settings *line = &thread->line->line;
    const struct modem_ring *ring = &thread->ring;
    const char *rule;

    if (caller_judge(&line->allow, &line->deny, NULL, ring->number) == CALLER_WELCOME)
        return false;
    rule = caller_list_find(&line->deny, ring->number);
    if (is_first_word(thread))
        log_warning("call not answered line=%s caller=%s name=%s: blocked by %s=%s",
                    LOG_ESCAPED(thread->name),
                    LOG_ESCAPED(ring->number[0] != '\0' ? ring->number : CALLER_ANONYMOUS),
                    LOG_ESCAPED(ring->name), rule != NULL ? "deny" : "allow",
                    LOG_ESCAPED(rule != NULL ? rule : "(not in it)"));
    return true;
}

/* Who is judged by a number is not answered before the modem may have told it, and that is between
 * the first ring and the second. */
static int rings_wanted(const struct modem_thread *thread)
{
    const struct modem_line_settings *line = &thread->line->line;
    bool is_known = thread->ring.number[0] != '\0' || thread->ring.withheld != '\0';
    bool is_judged = line->allow.pattern_count + line->deny.pattern_count > 0;

    return is_judged && !is_known && line->rings < 2 ? 2 : line->rings;
}

/* ---- the call ----------------------------------------------------------------------------------
 */

static void call_gone(struct modem_thread *thread)
{
    thread->call = NULL;
    if (thread->port.fd >= 0)
        hang_up_begin(thread);
    else
        wait_begin(thread);
}

/* A call whose session never ran goes to a worker for the last time. */
static void call_give_up(struct modem_thread *thread, const char *why)
{
    struct call *call = &thread->call->call;

    text_copy(call->info.error, sizeof call->info.error, why);
    thread->call = NULL;
    thread->calls_out--;
    workers_submit(call->shared->workers, &call->life_job, WORKER_FINISH, call);
}

static void call_open(struct modem_thread *thread)
{
    const struct modem_line_settings *settings = &thread->line->line;
    struct call_line line = {settings->name, settings->station, settings->ecm, settings->trace};
    struct call *call;

    if (modem_call_new(&thread->call, thread->mailbox, thread->shared, &thread->line->limits, &line,
                       &modem_port_found(&thread->port)->traits) < 0) {
        log_error("call not answered line=%s: out of memory", LOG_ESCAPED(thread->name));
        return;
    }
    call = &thread->call->call;
    modem_call_describe(thread->call, &thread->ring, settings->called);
    thread->calls_out++;
    log_info("call fax=%s line=%s caller=%s name=%s called=%s rings=%d", call->fax_id,
             LOG_ESCAPED(thread->name), LOG_ESCAPED(call->info.caller),
             LOG_ESCAPED(call->info.caller_name), LOG_ESCAPED(call->info.called),
             thread->ring.rings);
    state_set(thread, OPENING, INT64_MAX);
    workers_submit(thread->shared->workers, &call->life_job, WORKER_OPEN, call);
}

static void call_opened(struct modem_thread *thread, int error)
{
    struct call *call = &thread->call->call;

    modem_call_describe(thread->call, &thread->ring, thread->line->line.called);
    if (error != 0)
        call_give_up(thread, "the fax could not be stored");
    else if (thread->port.fd < 0)
        call_give_up(thread, "the modem has gone from its port");
    else if (thread->is_draining)
        call_give_up(thread, "the gateway is being stopped");
    else if (modem_ring_is_over(&thread->ring, now()))
        call_give_up(thread, "the caller gave up before the answer");
    else if (is_blocked(thread)) /* the number came late */
        call_give_up(thread, "the caller is blocked by [line] allow and deny");
    if (thread->call == NULL) {
        if (thread->port.fd < 0)
            wait_begin(thread);
        else
            state_set(thread, IDLE, now() + ALIVE_MS);
        return;
    }
    call->info.answered_ms = clock_wall_ms();
    log_info("answered fax=%s line=%s", call->fax_id, LOG_ESCAPED(thread->name));
    call_begin(call, now());
    thread->tick_ms = now();
    state_set(thread, CALL, INT64_MAX);
}

static void call_run(struct modem_thread *thread)
{
    struct call *call = &thread->call->call;
    int64_t at = now();
    enum session_need need;

    if (call->is_away)
        return;
    need = session_run(call->session, at, NULL);
    modem_port_send(&thread->port, thread->call->out, thread->call->out_length);
    thread->call->out_length = 0;
    thread->tick_ms = at + SESSION_TICK_MS;
    if (need == SESSION_NEEDS_WORKER) {
        call_go_away(call);
    } else if (need == SESSION_ENDED || call_is_stuck(call, at)) {
        if (call_over(call))
            thread->calls_out--;
        call_gone(thread);
    } else {
        call_report(call, at);
    }
}

/* ---- ringing -----------------------------------------------------------------------------------
 */

/* Enough rings: the call is answered, unless we are going, or do not want it. */
static void ring_check(struct modem_thread *thread)
{
    if (thread->state != IDLE || thread->ring.rings < rings_wanted(thread))
        return;
    if (thread->is_draining || thread->is_ending) {
        if (is_first_word(thread))
            log_info("call not answered line=%s: the gateway is being stopped",
                     LOG_ESCAPED(thread->name));
    } else if (!is_blocked(thread)) {
        call_open(thread);
    }
}

static void idle_begin(struct modem_thread *thread)
{
    at_stream_command(&thread->stream);
    state_set(thread, IDLE, now() + ALIVE_MS);
    if (thread->next_line != NULL)
        line_take(thread);
    ring_check(thread);
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
    struct modem_thread *thread = user;

    if (thread->state != WAITING) /* the set-up has its own trace */
        modem_port_trace(&thread->port, "<", text);
    if (thread->state == HANGING_UP &&
        (strcmp(text, "OK") == 0 || strcmp(text, "NO CARRIER") == 0)) {
        thread->is_answering = true;
        if (thread->hang_ups < HANG_UPS)
            hang_up(thread);
        else
            hang_up_ended(thread);
        return;
    }
    if (thread->state == IDLE && is_own_answer(text)) {
        log_warning("modem answered a call by itself line=%s: %s; it is hung up and set up again "
                    "(S0=0)",
                    LOG_ESCAPED(thread->name), LOG_ESCAPED(text));
        hang_up_begin(thread);
        return;
    }
    if (modem_ring_line(&thread->ring, text, now()) == MODEM_RING_RANG) {
        log_debug("ring line=%s rings=%d", LOG_ESCAPED(thread->name), thread->ring.rings);
        ring_check(thread);
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

static void octets_came(struct modem_thread *thread, const uint8_t *octets, size_t length)
{
    if (thread->state == CALL) {
        session_post_octets(thread->call->call.session, octets, length);
        call_run(thread);
    } else if (thread->state == WAITING) {
        modem_port_octets(&thread->port, octets, length);
    } else {
        at_stream_feed(&thread->stream, octets, length);
    }
}

static void port_read(struct modem_thread *thread)
{
    uint8_t octets[2048];

    for (int i = 0; i < READS_MOST && thread->port.fd >= 0; i++) {
        ssize_t n = read(thread->port.fd, octets, sizeof octets);

        if (n > 0)
            octets_came(thread, octets, (size_t)n);
        else if (n == 0 || serial_error_is_gone(errno))
            port_lost(thread);
        if (n < (ssize_t)sizeof octets)
            return;
    }
}

static void message_came(struct modem_thread *thread, struct modem_message *message)
{
    switch (message->kind) {
    case MODEM_OPENED: call_opened(thread, message->error); break;
    case MODEM_WORKED:
        call_worked(message->call, message->number);
        if (thread->call != NULL && &thread->call->call == message->call)
            call_run(thread);
        break;
    case MODEM_STORED:
        if (call_stored(message->call, message->generation, message->number, message->unconfirmed,
                        message->error))
            thread->calls_out--;
        break;
    case MODEM_INFO_WRITTEN:
        if (call_info_written(message->call))
            thread->calls_out--;
        break;
    case MODEM_PORT:
        modem_port_take(&thread->port, message->fd, message->usb_id, message->why);
        break;
    case MODEM_SETTINGS:
        modem_line_free(thread->next_line);
        thread->next_line = message->settings;
        if (thread->state == IDLE || thread->state == WAITING)
            line_take(thread);
        break;
    case MODEM_DRAIN: thread->is_draining = true; break;
    case MODEM_HANG_UP:
        thread->is_draining = true;
        if (thread->state == CALL)
            call_hang_up(&thread->call->call, "the gateway is being stopped", now());
        break;
    case MODEM_STOP: thread->is_ending = true; break;
    }
}

static void idle_due(struct modem_thread *thread)
{
    if (modem_ring_is_over(&thread->ring, now()))
        modem_ring_clear(&thread->ring);
    if (thread->ring.rings == 0)
        setup_begin(thread, true);
    else
        thread->due_ms = now() + MODEM_RING_GAP_MS;
}

static void time_passed(struct modem_thread *thread)
{
    if (modem_port_step(&thread->port) && thread->state == WAITING)
        idle_begin(thread);
    if (thread->state == CALL && now() >= thread->tick_ms)
        call_run(thread);
    if (now() < thread->due_ms)
        return;
    switch (thread->state) {
    case IDLE: idle_due(thread); break;
    case HANGING_UP: hang_up_ended(thread); break;
    case HUNG_UP: hung_up(thread); break;
    case WAITING:
    case OPENING:
    case CALL: break;
    }
}

/* ---- what people are shown ---------------------------------------------------------------------
 */

static void show_text(const struct modem_thread *thread, char out[SHOWN_MAX])
{
    const struct modem_port *port = &thread->port;
    const char *state = "ready";
    const char *words = "";

    if (thread->call != NULL) {
        state = "call";
        words = thread->call->call.fax_id;
    } else if (!port->was_ready) {
        state = port->trouble[0] != '\0' ? "DOWN" : "set-up";
        words = port->trouble;
    } else {
        const struct modem_found *found = modem_port_found(port);

        words = found->product[0] != '\0' ? found->product : found->model->name;
    }
    snprintf(out, SHOWN_MAX, "line\t%s\t%s\tmodem %s %s\n", thread->name, state,
             thread->line->line.device, words);
}

static void show(struct modem_thread *thread)
{
    const struct receive_hooks *hooks = &thread->shared->hooks;
    char text[SHOWN_MAX] = "";
    bool is_new;

    show_text(thread, text);
    pthread_mutex_lock(&thread->lock);
    is_new = strcmp(text, thread->shown) != 0;
    memcpy(thread->shown, text, sizeof text);
    pthread_mutex_unlock(&thread->lock);
    if (is_new && hooks->lines_changed != NULL)
        hooks->lines_changed(hooks->user);
}

size_t modem_thread_text(struct modem_thread *thread, char *out, size_t size)
{
    size_t length;

    pthread_mutex_lock(&thread->lock);
    length = strlen(thread->shown);
    if (length < size)
        memcpy(out, thread->shown, length + 1);
    else
        length = 0;
    pthread_mutex_unlock(&thread->lock);
    return length;
}

/* ---- the thread --------------------------------------------------------------------------------
 */

static int wait_ms(const struct modem_thread *thread)
{
    int64_t due_ms = thread->due_ms;
    int64_t left_ms;

    if (thread->port.due_ms < due_ms)
        due_ms = thread->port.due_ms;
    if (thread->state == CALL && !thread->call->call.is_away && thread->tick_ms < due_ms)
        due_ms = thread->tick_ms;
    if (due_ms == INT64_MAX)
        return -1;
    left_ms = due_ms - now();
    return left_ms < 0 ? 0 : left_ms > ALIVE_MS ? ALIVE_MS : (int)left_ms;
}

static bool is_done(const struct modem_thread *thread)
{
    return thread->is_ending && thread->call == NULL && thread->calls_out == 0 &&
           thread->state != HANGING_UP;
}

static void *run(void *arg)
{
    struct modem_thread *thread = arg;
    struct modem_message message;

    modem_port_ask(&thread->port);
    while (!is_done(thread)) {
        struct pollfd polled[2] = {
            {.fd = thread->wake_fd, .events = POLLIN},
            {.fd = thread->port.fd,
             .events = (short)(POLLIN | (thread->port.out_length > 0 ? POLLOUT : 0))},
        };

        if (poll(polled, 2, wait_ms(thread)) < 0 && errno != EINTR) {
            log_alert("modem thread cannot wait line=%s: %s", LOG_ESCAPED(thread->name),
                      strerror(errno));
            break;
        }
        thread_wake_clear(thread->wake_fd);
        if (thread->port.fd >= 0 && (polled[1].revents & POLLIN) != 0)
            port_read(thread);
        else if (thread->port.fd >= 0 && serial_poll_is_gone(polled[1].revents))
            port_lost(thread);
        while (mailbox_take(thread->mailbox, &message))
            message_came(thread, &message);
        time_passed(thread);
        if (modem_port_flush(&thread->port) < 0)
            port_lost(thread);
        show(thread);
    }
    modem_port_close(&thread->port);
    atomic_store(&thread->has_ended, true);
    return NULL;
}

/* ---- from the main thread ----------------------------------------------------------------------
 */

static void wake(void *user)
{
    thread_wake(((struct modem_thread *)user)->wake_fd);
}

static void thread_free(struct modem_thread *thread)
{
    struct modem_message message;

    while (thread->mailbox != NULL && mailbox_take(thread->mailbox, &message)) {
        if (message.kind == MODEM_PORT)
            serial_close(message.fd);
        if (message.kind == MODEM_SETTINGS)
            modem_line_free(message.settings);
    }
    mailbox_free(thread->mailbox);
    pthread_mutex_destroy(&thread->lock);
    if (thread->wake_fd >= 0)
        close(thread->wake_fd);
    modem_line_free(thread->next_line);
    modem_line_free(thread->line);
    free(thread);
}

int modem_thread_start(struct modem_thread **out, struct call_shared *shared,
                       struct modem_line *line)
{
    struct modem_thread *thread = calloc(1, sizeof *thread);
    char name[16];
    int error = 0;

    if (thread == NULL) {
        modem_line_free(line);
        return ERROR_MEMORY;
    }
    pthread_mutex_init(&thread->lock, NULL);
    thread->shared = shared;
    thread->line = line;
    text_copy(thread->name, sizeof thread->name, line->line.name);
    thread->port = (struct modem_port){.name = thread->name,
                                       .hooks = &shared->hooks,
                                       .on_line = on_line,
                                       .user = thread,
                                       .line = line,
                                       .fd = -1,
                                       .due_ms = INT64_MAX};
    thread->due_ms = INT64_MAX;
    atomic_init(&thread->has_ended, false);
    at_stream_init(&thread->stream,
                   &(struct at_stream_hooks){
                       .user = thread, .line = on_line, .data = no_data, .data_end = no_data_end});
    thread->wake_fd = thread_wake_new();
    if (thread->wake_fd < 0)
        error = thread->wake_fd;
    if (error == 0)
        error = mailbox_new(&thread->mailbox, sizeof(struct modem_message), MESSAGES_MOST, wake,
                            thread);
    snprintf(name, sizeof name, "m-%.12s", line->line.name);
    if (error == 0)
        error = thread_start(&thread->id, name, run, thread);
    if (error != 0)
        thread_free(thread);
    else
        *out = thread;
    return error;
}

const char *modem_thread_name(const struct modem_thread *thread)
{
    return thread->name;
}

void modem_thread_port(struct modem_thread *thread, int fd, const char *usb_id, const char *why)
{
    struct modem_message message = {.kind = MODEM_PORT, .fd = fd};

    text_copy(message.usb_id, sizeof message.usb_id, usb_id);
    text_copy(message.why, sizeof message.why, why);
    if (!modem_message_post(thread->mailbox, &message))
        serial_close(fd);
}

void modem_thread_reload(struct modem_thread *thread, struct modem_line *line)
{
    struct modem_message message = {.kind = MODEM_SETTINGS, .settings = line};

    if (!modem_message_post(thread->mailbox, &message))
        modem_line_free(line);
}

static void tell(struct modem_thread *thread, enum modem_message_kind kind)
{
    struct modem_message message = {.kind = kind};

    modem_message_post(thread->mailbox, &message);
}

void modem_thread_drain(struct modem_thread *thread)
{
    tell(thread, MODEM_DRAIN);
}

void modem_thread_hang_up(struct modem_thread *thread)
{
    tell(thread, MODEM_HANG_UP);
}

void modem_thread_end(struct modem_thread *thread)
{
    tell(thread, MODEM_STOP);
}

bool modem_thread_has_ended(const struct modem_thread *thread)
{
    return atomic_load(&thread->has_ended);
}

void modem_thread_join(struct modem_thread *thread)
{
    thread_join(thread->id);
    thread_free(thread);
}
