/* SPDX-License-Identifier: MIT */
/*
 * line_sip.c - the SIP lines: which calls are taken, and the way of a call from INVITE to BYE.
 *
 * A line has an agent for each of its addresses. All that follows runs on the SIP thread, but for
 * the functions that start, stop and post.
 */
#include "fax/sip/line_sip.h"

#include <ifaddrs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "base/thread.h"
#include "fax/mailbox.h"
#include "fax/sip/agent.h"
#include "fax/sip/channel.h"
#include "fax/sip/line_call.h"

enum {
    AGENTS_MAX = 32,
    NO_ANSWER = -1,
    EVENTS_MOST = 1 << 20,
    GOODBYE_MS = 2000,
    GOODBYE_STEP_MS = 20
};

struct line_sip {
    struct call_shared *shared; /* constant */
    struct mailbox *events;
    pthread_t thread;

    /* Set and cleared by the SIP thread under the lock, so that who wakes it finds it or nothing.
     */
    struct agent_loop *loop;
    pthread_mutex_t loop_lock;

    /* The SIP thread's alone, but for the beginning. */
    struct receive_settings *settings;
    struct line *lines;
    struct sources *sources;
    bool is_draining, is_stopping;
    int64_t stop_ms;

    pthread_mutex_t lock; /* of the two below: the outcome of the start */
    pthread_cond_t started;
    bool has_started;
    int start_error;
};

/* Beside those of line_sip.h. */
enum own_event { EVENT_SETTINGS = LINE_ENDED + 1, EVENT_DRAIN, EVENT_HANG_UP, EVENT_STOP };

struct event {
    int kind;
    struct channel *channel; /* with a reference */
    int error;
    struct receive_settings *settings; /* EVENT_SETTINGS: handed over */
};

struct line {
    struct line *next;
    struct line_sip *lines;
    struct line_settings settings;
    struct agent *agents[AGENTS_MAX];
    struct net_address addresses[AGENTS_MAX]; /* of the agents */
    int agent_count;
    struct line_calls calls;
    bool is_gone; /* not in the settings any more: takes no calls, ends with its last one */
};

/* ---- from other threads ------------------------------------------------------------------------
 */

/* The reference that came with it; events of our own have no channel. */
static void event_done(const struct event *event)
{
    if (event->channel != NULL)
        call_unref(&event->channel->call);
}

static void event_post(struct line_sip *lines, const struct event *event)
{
    int rc = mailbox_post(lines->events, event);

    if (rc == 0)
        return;
    log_alert("SIP thread cannot be told kind=%d: %s; restart faxpostd", event->kind,
              error_text(rc));
    receive_settings_free(event->settings);
    event_done(event);
}

void line_sip_post(struct line_sip *lines, enum line_event kind, struct channel *channel, int error)
{
    struct event event = {.kind = (int)kind, .channel = channel, .error = error};

    call_ref(&channel->call);
    event_post(lines, &event);
}

void line_sip_reload(struct line_sip *lines, struct receive_settings *settings)
{
    struct event event = {.kind = EVENT_SETTINGS, .settings = settings};

    event_post(lines, &event);
}

void line_sip_drain(struct line_sip *lines)
{
    struct event event = {.kind = EVENT_DRAIN};

    event_post(lines, &event);
}

void line_sip_hang_up(struct line_sip *lines)
{
    struct event event = {.kind = EVENT_HANG_UP};

    event_post(lines, &event);
}

/* ---- whose calls are taken ---------------------------------------------------------------------
 */

static bool on_welcome(void *user, const struct net_address *source)
{
    const struct line *line = user;

    return net_list_holds(&line->settings.peers, source);
}

static bool on_may_ask(void *user, const struct net_address *source, enum source_way way)
{
    struct line_sip *lines = user;

    return sources_take(lines->sources, source, way, lines->settings->requests_max,
                        clock_monotonic_ms());
}

static bool on_is_known(void *user, const struct net_address *source)
{
    return sources_know(((struct line_sip *)user)->sources, source);
}

static void on_turned_away(void *user, const struct door_event *event)
{
    char text[NET_TEXT_MAX];

    (void)user;
    log_warning("%s peer=%s count=%llu", event->what, net_text(text, &event->source),
                (unsigned long long)event->count);
}

static void on_second(void *user)
{
    struct line_sip *lines = user;
    struct sources_report report;
    char text[NET_TEXT_MAX];

    if (!sources_report(lines->sources, clock_monotonic_ms(), &report))
        return;
    log_warning("flood: requests of peer=%s%s are dropped, more than %d a second ([limits] "
                "requests) count=%llu",
                net_host_text(text, &report.source), report.of_others ? " and others" : "",
                lines->settings->requests_max, (unsigned long long)report.dropped);
}

/* A status to refuse a new call with, and why. */
struct refusal {
    int status; /* 0: it is welcome; NO_ANSWER */
    const char *why;
};

static struct refusal refusal_of_caller(const struct line *line, const struct agent_invite *invite)
{
    char number[CALL_NUMBER_MAX];
    int status = 0;

    line_call_caller(number, invite);
    switch (caller_judge(&line->settings.allow, &line->settings.deny, &invite->source, number)) {
    case CALLER_BLOCKED: status = 603; break;
    case CALLER_SOURCE_BLOCKED: status = 403; break;
    case CALLER_WELCOME: break;
    }
    return (struct refusal){status, "[line] allow and deny"};
}

/* Half of the sessions, at most, ring for those of whom nobody knows whether they are there. */
static struct refusal refusal_of_source(const struct line *line, const struct agent_invite *invite)
{
    const struct receive_settings *settings = line->lines->settings;
    struct source_limits limits = {settings->sessions_per_source, (settings->sessions_max + 1) / 2};

    switch (sources_judge(line->lines->sources, &invite->source,
                          invite->over_tcp ? SOURCE_BY_CONNECTION : SOURCE_BY_DATAGRAM,
                          invite->call_id.at, invite->call_id.length, &limits,
                          clock_monotonic_ms())) {
    case SOURCE_AGAIN: return (struct refusal){NO_ANSWER, NULL};
    case SOURCE_FULL: return (struct refusal){486, "[limits] sessions_per_source"};
    case SOURCE_CROWDED: return (struct refusal){503, "too many calls that nobody acknowledged"};
    case SOURCE_WELCOME: break;
    }
    return (struct refusal){0, NULL};
}

static struct refusal refusal_for_want(const struct line *line)
{
    struct line_sip *lines = line->lines;
    struct call_shared *shared = lines->shared;
    int calls;

    if (lines->is_draining || lines->is_stopping || line->is_gone)
        return (struct refusal){503, NULL};
    pthread_mutex_lock(&shared->lock);
    calls = shared->calls;
    pthread_mutex_unlock(&shared->lock);
    if (calls >= lines->settings->sessions_max)
        return (struct refusal){503, "[limits] sessions"};
    if (line->settings.calls_max > 0 && line->calls.count >= line->settings.calls_max)
        return (struct refusal){486, "[line] max_calls"};
    return (struct refusal){0, NULL};
}

static void on_invite(void *user, const struct agent_invite *invite)
{
    struct line *line = user;
    struct line_sip *lines = line->lines;
    struct refusal refusal = refusal_of_caller(line, invite);

    if (refusal.status == 0)
        refusal = refusal_for_want(line);
    if (refusal.status == 0)
        refusal = refusal_of_source(line, invite);
    if (refusal.status == 0)
        refusal.status =
            line_call_begin(&line->calls, lines->shared, lines->settings, &line->settings, invite);
    if (refusal.status == 0 || refusal.status == NO_ANSWER)
        return;
    line_call_log_refusal(&line->calls, line->settings.name, invite, refusal.status, refusal.why);
    agent_refuse(invite, refusal.status);
}

/* ---- lines -------------------------------------------------------------------------------------
 */

static bool line_listens_on(const struct line *line, const struct net_address *address)
{
    for (int i = 0; i < line->agent_count; i++)
        if (net_equal(&line->addresses[i], address))
            return true;
    return false;
}

static int line_open_agent(struct line *line, const struct net_address *address)
{
    static const struct agent_handlers own = {.is_welcome = on_welcome, .invite = on_invite};
    struct agent_handlers handlers = own;
    const struct line_settings *settings = &line->settings;
    int rc;

    if (line_listens_on(line, address))
        return 0;
    if (line->agent_count == AGENTS_MAX) {
        log_warning("line %s: this machine has more addresses than can be listened on; name one "
                    "in listen",
                    LOG_ESCAPED(settings->name));
        return 0;
    }
    line_call_handlers(&handlers);
    rc = agent_open(&line->agents[line->agent_count], line->lines->loop, address, settings->udp,
                    settings->tcp, &handlers, line);
    if (rc != 0)
        return rc;
    line->addresses[line->agent_count] = *address;
    agent_set_trace(line->agents[line->agent_count++], settings->trace);
    return 0;
}

/* listen = 0.0.0.0: an agent for each address there is, so that each call's messages and media
 * leave by the address it came to. Addresses that come later need a reload. */
static int line_open_all(struct line *line)
{
    struct ifaddrs *interfaces;
    struct net_address address;
    int rc = 0;

    if (getifaddrs(&interfaces) != 0)
        return ERROR_IO;
    for (struct ifaddrs *each = interfaces; rc == 0 && each != NULL; each = each->ifa_next) {
        if (each->ifa_addr == NULL ||
            each->ifa_addr->sa_family != line->settings.listen.u.any.sa_family ||
            net_from_sockaddr(&address, each->ifa_addr) != 0)
            continue;
        if (address.u.any.sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&address.u.v6.sin6_addr))
            continue;
        net_set_port(&address, net_port(&line->settings.listen));
        rc = line_open_agent(line, &address);
    }
    freeifaddrs(interfaces);
    return rc;
}

static void line_close(struct line *line)
{
    for (int i = 0; i < line->agent_count; i++)
        agent_close(line->agents[i]);
    line_settings_clear(&line->settings);
    free(line);
}

static int line_open(struct line_sip *lines, const struct line_settings *settings)
{
    struct line *line = calloc(1, sizeof *line);
    char text[NET_TEXT_MAX];
    int rc;

    if (line == NULL)
        return ERROR_MEMORY;
    line->lines = lines;
    line->calls.sources = lines->sources;
    rc = line_settings_copy(&line->settings, settings);
    if (rc == 0)
        rc = net_is_any(&settings->listen) ? line_open_all(line)
                                           : line_open_agent(line, &settings->listen);
    if (rc == 0 && line->agent_count == 0)
        rc = ERROR_IO;
    if (rc != 0) {
        log_error("line %s cannot be opened: %s", LOG_ESCAPED(settings->name), error_text(rc));
        line_close(line);
        return rc;
    }
    log_info("line opened line=%s listen=%s transport=%s%s addresses=%d",
             LOG_ESCAPED(settings->name), net_text(text, &settings->listen),
             settings->udp ? "udp" : "",
             !settings->tcp  ? ""
             : settings->udp ? ",tcp"
                             : "tcp",
             line->agent_count);
    line->next = lines->lines;
    lines->lines = line;
    return 0;
}

static bool line_is_quiet(const struct line *line)
{
    for (int i = 0; i < line->agent_count; i++)
        if (!agent_is_quiet(line->agents[i]))
            return false;
    return line->calls.count == 0;
}

/* Lines that are gone from the settings end with their last call. True when one did. */
static bool lines_sweep(struct line_sip *lines)
{
    struct line **link = &lines->lines;
    bool swept = false;

    while (*link != NULL) {
        struct line *line = *link;

        if (!line->is_gone || !line_is_quiet(line)) {
            link = &line->next;
            continue;
        }
        *link = line->next;
        log_info("line closed line=%s", LOG_ESCAPED(line->settings.name));
        line_close(line);
        swept = true;
    }
    return swept;
}

/* ---- new settings ------------------------------------------------------------------------------
 */

static struct line *line_same(struct line_sip *lines, const struct line_settings *settings)
{
    for (struct line *line = lines->lines; line != NULL; line = line->next)
        if (!line->is_gone && strcmp(line->settings.name, settings->name) == 0 &&
            net_equal(&line->settings.listen, &settings->listen) &&
            line->settings.udp == settings->udp && line->settings.tcp == settings->tcp)
            return line;
    return NULL;
}

static void line_update(struct line *line, const struct line_settings *settings)
{
    struct line_settings copy;

    if (line_settings_copy(&copy, settings) != 0) {
        log_error("line %s keeps its old settings: %s", LOG_ESCAPED(settings->name),
                  error_text(ERROR_MEMORY));
        return;
    }
    line_settings_clear(&line->settings);
    line->settings = copy;
    for (int i = 0; i < line->agent_count; i++)
        agent_set_trace(line->agents[i], copy.trace);
    if (net_is_any(&copy.listen))
        (void)line_open_all(line); /* addresses that came since; logged */
}

static bool settings_hold(const struct receive_settings *settings, const struct line *line)
{
    for (size_t i = 0; i < settings->line_count; i++)
        if (line_same(line->lines, &settings->lines[i]) == line)
            return true;
    return false;
}

/* A line that is gone keeps its addresses until its last call has ended: BYE comes there. */
static bool address_is_held(const struct line_sip *lines, const struct net_address *address)
{
    for (const struct line *line = lines->lines; line != NULL; line = line->next) {
        const struct net_address *listen = &line->settings.listen;

        if (line->is_gone && net_port(listen) == net_port(address) &&
            (net_is_any(listen) || net_is_any(address) || net_same_host(listen, address)))
            return true;
    }
    return false;
}

static void lines_open_missing(struct line_sip *lines)
{
    for (size_t i = 0; i < lines->settings->line_count; i++) {
        const struct line_settings *settings = &lines->settings->lines[i];

        if (line_same(lines, settings) != NULL)
            continue;
        if (address_is_held(lines, &settings->listen))
            log_warning(
                "line %s opens when the calls that its address still has are over: it takes "
                "none until then",
                LOG_ESCAPED(settings->name));
        else
            (void)line_open(lines, settings); /* logged; the others go on */
    }
}

static void set_limits(struct line_sip *lines)
{
    struct door_limits limits = {lines->settings->connections_max,
                                 lines->settings->connections_per_source};

    agent_loop_set_limits(lines->loop, &limits);
}

static void lines_reload(struct line_sip *lines, struct receive_settings *settings)
{
    struct line *line;

    for (line = lines->lines; line != NULL; line = line->next)
        if (!settings_hold(settings, line))
            line->is_gone = true;
    (void)lines_sweep(lines);
    for (size_t i = 0; i < settings->line_count; i++) {
        line = line_same(lines, &settings->lines[i]);
        if (line != NULL)
            line_update(line, &settings->lines[i]);
    }
    receive_settings_free(lines->settings);
    lines->settings = settings;
    set_limits(lines);
    lines_open_missing(lines);
    log_info("lines reloaded count=%zu", settings->line_count);
}

/* ---- events ------------------------------------------------------------------------------------
 */

static void lines_hang_up(struct line_sip *lines)
{
    lines->is_draining = true;
    for (struct line *line = lines->lines; line != NULL; line = line->next)
        line_calls_hang_up(&line->calls);
}

static void event_take(struct line_sip *lines, const struct event *event)
{
    switch (event->kind) {
    case LINE_OPENED: line_call_opened(event->channel, event->error); break;
    case LINE_ASK_T38: line_call_ask_t38(event->channel); break;
    case LINE_SWITCH_FAILED: line_call_switch_failed(event->channel); break;
    case LINE_ENDED: line_call_ended(event->channel); break;
    case EVENT_SETTINGS: lines_reload(lines, event->settings); break;
    case EVENT_DRAIN: lines->is_draining = true; break;
    case EVENT_HANG_UP: lines_hang_up(lines); break;
    case EVENT_STOP:
        lines_hang_up(lines);
        lines->is_stopping = true;
        lines->stop_ms = clock_monotonic_ms();
        break;
    default: break;
    }
    event_done(event);
}

static void lines_try_quit(struct line_sip *lines)
{
    bool is_quiet = true;

    for (struct line *line = lines->lines; line != NULL; line = line->next)
        is_quiet = is_quiet && line_is_quiet(line);
    if (is_quiet || clock_monotonic_ms() - lines->stop_ms >= GOODBYE_MS)
        agent_loop_quit(lines->loop);
    else
        agent_loop_wake_in(lines->loop, GOODBYE_STEP_MS);
}

static void on_woken(void *user)
{
    struct line_sip *lines = user;
    struct event event;

    while (mailbox_take(lines->events, &event))
        event_take(lines, &event);
    if (lines_sweep(lines) && !lines->is_draining)
        lines_open_missing(lines);
    if (lines->is_stopping)
        lines_try_quit(lines);
}

/* ---- the thread --------------------------------------------------------------------------------
 */

static void wake(void *user)
{
    struct line_sip *lines = user;

    /* A write to a pipe; held so that the loop, told to stop by this very event, does not go away
     * underneath. */
    pthread_mutex_lock(&lines->loop_lock);
    if (lines->loop != NULL)
        agent_loop_wake(lines->loop);
    pthread_mutex_unlock(&lines->loop_lock);
}

static int lines_open(struct line_sip *lines)
{
    struct agent_loop_handlers handlers = {
        .user = lines,
        .woken = on_woken,
        .second = on_second,
        .door = {.may_ask = on_may_ask, .is_known = on_is_known, .turned_away = on_turned_away},
    };
    int rc = agent_loop_open(&lines->loop, &handlers);

    if (rc == 0)
        set_limits(lines);
    for (size_t i = 0; rc == 0 && i < lines->settings->line_count; i++)
        rc = line_open(lines, &lines->settings->lines[i]);
    return rc;
}

static void lines_close(struct line_sip *lines)
{
    struct agent_loop *loop = lines->loop;
    struct event event;

    while (lines->lines != NULL) {
        struct line *line = lines->lines;

        lines->lines = line->next;
        line_close(line);
    }
    pthread_mutex_lock(&lines->loop_lock);
    lines->loop = NULL;
    pthread_mutex_unlock(&lines->loop_lock);
    agent_loop_close(loop);
    while (mailbox_take(lines->events, &event)) {
        receive_settings_free(event.settings);
        event_done(&event);
    }
}

static void *lines_run(void *arg)
{
    struct line_sip *lines = arg;
    int rc = lines_open(lines);

    pthread_mutex_lock(&lines->lock);
    lines->has_started = true;
    lines->start_error = rc;
    pthread_cond_signal(&lines->started);
    pthread_mutex_unlock(&lines->lock);
    if (rc == 0)
        agent_loop_run(lines->loop);
    lines_close(lines);
    return NULL;
}

static void lines_free(struct line_sip *lines)
{
    mailbox_free(lines->events);
    pthread_cond_destroy(&lines->started);
    pthread_mutex_destroy(&lines->lock);
    pthread_mutex_destroy(&lines->loop_lock);
    receive_settings_free(lines->settings);
    sources_free(lines->sources);
    free(lines);
}

int line_sip_start(struct line_sip **out, struct call_shared *shared,
                   struct receive_settings *settings)
{
    struct line_sip *lines = calloc(1, sizeof *lines);
    int rc;

    if (lines == NULL) {
        receive_settings_free(settings);
        return ERROR_MEMORY;
    }
    lines->shared = shared;
    lines->settings = settings;
    pthread_mutex_init(&lines->lock, NULL);
    pthread_mutex_init(&lines->loop_lock, NULL);
    thread_condition_init(&lines->started);
    rc = sources_new(&lines->sources);
    if (rc == 0)
        rc = mailbox_new(&lines->events, sizeof(struct event), EVENTS_MOST, wake, lines);
    if (rc == 0) {
        shared->lines = lines;
        rc = thread_start(&lines->thread, "sip", lines_run, lines);
    }
    if (rc != 0) {
        lines_free(lines);
        return rc;
    }
    pthread_mutex_lock(&lines->lock);
    while (!lines->has_started)
        pthread_cond_wait(&lines->started, &lines->lock);
    rc = lines->start_error;
    pthread_mutex_unlock(&lines->lock);
    if (rc != 0) {
        thread_join(lines->thread);
        lines_free(lines);
    } else {
        *out = lines;
    }
    return rc;
}

void line_sip_stop(struct line_sip *lines)
{
    struct event event = {.kind = EVENT_STOP};

    if (lines == NULL)
        return;
    event_post(lines, &event);
    thread_join(lines->thread);
    lines_free(lines);
}
