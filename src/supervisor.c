/* SPDX-License-Identifier: MIT */
/*
 * supervisor.c - one loop over signals, the channels of the roles, and times; it never waits for
 * anything else.
 *
 * Start: deliver and compose, then receive, so that no call is taken before there is somebody to
 * take the fax over. End: receive drains and ends, deliver finishes what is in flight and ends,
 * compose ends.
 */
#include "src/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "src/child.h"
#include "src/ports.h"
#include "src/role.h"

enum {
    START_LIMIT_MS = 300000, /* recovery of a large spool takes its time */
    PING_EVERY_MS = 15000,
    PONG_LIMIT_MS = 60000,
    CHANNEL_GRACE_MS = 5000, /* a role that closed its channel ends by itself in this time */
    RECEIVE_STOP_MS = 20000, /* to end all calls in order */
    DELIVER_STOP_MS = 60000, /* to finish what is being sent */
    COMPOSE_STOP_MS = 10000,
    PROBLEM_BYTES_MAX = ROLE_TEXT_MAX - 1,
};

enum phase {
    PHASE_STARTING, /* until all roles were ready once: a role that cannot start ends us */
    PHASE_RUNNING,
    PHASE_DRAINING, /* calls go on until drain_until_ms */
    PHASE_STOP_RECEIVE,
    PHASE_STOP_DELIVER,
    PHASE_STOP_COMPOSE,
    PHASE_END,
};

struct supervisor {
    const struct supervisor_options *options;
    struct settings *settings;
    struct loop *loop;
    struct child child[ROLE_COUNT];
    struct ports ports;
    struct loop_watch signals;
    enum phase phase;
    int64_t drain_until_ms;
    int64_t watchdog_every_ms; /* 0: systemd wants none */
    int64_t watchdog_at_ms;
    int64_t ping_at_ms;
    int64_t calls;
    bool deliver_anew; /* within a reload */
    int exit_code;
};

static int64_t now(void)
{
    return clock_monotonic_ms();
}

/* ---- one role ------------------------------------------------------------------------------- */

static void channel_close(struct supervisor *s, struct child *child)
{
    if (child->channel < 0)
        return;
    loop_remove(s->loop, &child->watch);
    close(child->channel);
    child->channel = -1;
}

static void role_stop(struct supervisor *s, enum role role, int limit_ms)
{
    child_stop(&s->child[role], now() + limit_ms);
}

/* Both ends of a new socket pair, whenever deliver or compose is new. */
static void give_compose_socket(struct supervisor *s)
{
    struct child *deliver = &s->child[ROLE_DELIVER];
    struct child *compose = &s->child[ROLE_COMPOSE];
    int pair[2];

    if (deliver->state != CHILD_READY || compose->state != CHILD_READY)
        return;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        log_error("no socket between deliver and compose: %s", strerror(errno));
        return;
    }
    role_send(compose->channel, ROLE_COMPOSE_SOCKET, 0, NULL, &pair[0], 1);
    role_send(deliver->channel, ROLE_COMPOSE_SOCKET, 0, NULL, &pair[1], 1);
    close(pair[0]);
    close(pair[1]);
}

/* ---- reload --------------------------------------------------------------------------------- */

static void collect_problem(void *user, const char *file, int line, const char *what)
{
    enum log_level level = LOG_LEVEL_ERROR;
    struct buffer *all = user;

    settings_log_problem(&level, file, line, what);
    if (line > 0)
        buffer_format(all, "%s:%d: %s\n", file, line, what);
    else
        buffer_format(all, "%s: %s\n", file, what);
}

static int settings_reload(struct supervisor *s, struct buffer *problems)
{
    struct settings *new;
    const char *reason;
    int error = settings_load(&new, s->options->conf_path, collect_problem, problems);
    int i;

    if (error < 0)
        return error;
    reason = settings_restart_reason(s->settings, new);
    if (reason != NULL) {
        collect_problem(problems, s->options->conf_path, 0, reason);
        settings_free(new);
        return ERROR_STATE;
    }
    s->deliver_anew = !sandbox_covers(ROLE_DELIVER, s->settings, new);
    settings_free(s->settings);
    s->settings = new;
    log_open("supervisor", (enum log_level)conf_choice(new->file[SETTINGS_FAXPOST], "gateway", NULL,
                                                       "log_level"));
    for (i = 0; i < ROLE_COUNT; i++)
        if (child_lives(&s->child[i]) && (i != ROLE_DELIVER || !s->deliver_anew))
            child_give_settings(&s->child[i], s->settings);
    return 0;
}

/* No sandbox can be widened: where new settings name a program, or a file in another folder,
 * deliver begins anew with them. */
static void deliver_restart(struct supervisor *s)
{
    s->deliver_anew = false;
    if (!child_lives(&s->child[ROLE_DELIVER]))
        return;
    log_info("role is started again role=deliver: the new settings need another sandbox");
    role_stop(s, ROLE_DELIVER, DELIVER_STOP_MS);
}

/* asked: the operator waits for the outcome at the control socket. */
static void reload(struct supervisor *s, bool asked)
{
    struct child *deliver = &s->child[ROLE_DELIVER];
    struct buffer problems;
    int error;

    buffer_init(&problems, PROBLEM_BYTES_MAX);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)now() * 1000);
    log_info("reload file=%s", s->options->conf_path);
    error = s->phase == PHASE_RUNNING ? settings_reload(s, &problems) : ERROR_STATE;
    if (s->phase != PHASE_RUNNING)
        buffer_text(&problems, "faxpostd is starting or ending: not now\n");
    if (error < 0)
        log_error("reload failed: %s; the old settings stay in force", error_text(error));
    else
        log_info("reload done: new settings are in force");
    sd_notify(0, "READY=1");
    if (s->deliver_anew) /* once the operator is told, nothing begins with the old settings */
        child_say(&s->child[ROLE_DELIVER], ROLE_DRAIN);
    if (asked && deliver->channel >= 0)
        role_send(deliver->channel, ROLE_RELOAD_RESULT, error, buffer_string(&problems), NULL, 0);
    buffer_free(&problems);
    if (s->deliver_anew)
        deliver_restart(s);
}

/* ---- phases --------------------------------------------------------------------------------- */

/* One line for all roles: what this kernel lacks it lacks for each of them. */
static void warn_of_sandbox(const struct supervisor *s)
{
    int i;

    for (i = 0; i < ROLE_COUNT; i++) {
        if (strncmp(s->child[i].sandbox, SANDBOX_WHOLE, strlen(SANDBOX_WHOLE)) == 0)
            continue;
        log_warning("the sandbox of the roles is %s; faxpost status shows each",
                    LOG_ESCAPED(s->child[i].sandbox));
        return;
    }
}

static void all_ready(struct supervisor *s)
{
    s->phase = PHASE_RUNNING;
    warn_of_sandbox(s);
    log_info("started pid=%d state_dir=%s", (int)getpid(),
             conf_text(s->settings->file[SETTINGS_FAXPOST], "gateway", NULL, "state_dir"));
    child_say(&s->child[ROLE_DELIVER], ROLE_RUNNING);
    sd_notify(0, "READY=1\nSTATUS=taking calls");
    if (s->options->started_fd >= 0)
        file_write_all(s->options->started_fd, "+", 1);
}

static void phase_next(struct supervisor *s)
{
    switch (s->phase) {
    case PHASE_STARTING:
    case PHASE_RUNNING:
    case PHASE_DRAINING:
        s->phase = PHASE_STOP_RECEIVE;
        role_stop(s, ROLE_RECEIVE, RECEIVE_STOP_MS);
        break;
    case PHASE_STOP_RECEIVE:
        s->phase = PHASE_STOP_DELIVER;
        role_stop(s, ROLE_DELIVER, DELIVER_STOP_MS);
        break;
    case PHASE_STOP_DELIVER:
        s->phase = PHASE_STOP_COMPOSE;
        role_stop(s, ROLE_COMPOSE, COMPOSE_STOP_MS);
        break;
    case PHASE_STOP_COMPOSE:
    case PHASE_END: s->phase = PHASE_END; break;
    }
}

static void drain(struct supervisor *s, int signal_number)
{
    int64_t limit_ms = conf_number(s->settings->file[SETTINGS_FAXPOST], "limits", NULL, "drain");

    sd_notifyf(0, "STOPPING=1\nSTATUS=ending calls\nEXTEND_TIMEOUT_USEC=%lld",
               (long long)(limit_ms + RECEIVE_STOP_MS + DELIVER_STOP_MS) * 1000);
    if (s->phase != PHASE_RUNNING || s->child[ROLE_RECEIVE].state != CHILD_READY) {
        log_info("ending signal=%s", strsignal(signal_number));
        phase_next(s);
        return;
    }
    log_info("draining signal=%s calls=%lld limit=%llds: no new calls, those that live go on; a "
             "second signal ends them",
             strsignal(signal_number), (long long)s->calls, (long long)limit_ms / 1000);
    s->phase = PHASE_DRAINING;
    s->drain_until_ms = now() + limit_ms;
    child_say(&s->child[ROLE_RECEIVE], ROLE_DRAIN);
    s->calls = -1; /* receive tells the number anew, when it takes no more */
}

static void stop_asked(struct supervisor *s, int signal_number)
{
    if (s->phase == PHASE_STARTING || s->phase == PHASE_RUNNING) {
        drain(s, signal_number);
    } else if (s->phase == PHASE_DRAINING) {
        log_warning("second signal: calls are ended now");
        phase_next(s);
    }
}

/* What the present phase waits for may have come. */
static void phase_check(struct supervisor *s)
{
    if (s->phase == PHASE_DRAINING &&
        (s->calls == 0 || now() >= s->drain_until_ms || s->child[ROLE_RECEIVE].pid == 0)) {
        if (s->calls > 0)
            log_warning("time to drain is over: %lld calls are ended", (long long)s->calls);
        phase_next(s);
    }
    if (s->phase == PHASE_STOP_RECEIVE && s->child[ROLE_RECEIVE].pid == 0)
        phase_next(s);
    if (s->phase == PHASE_STOP_DELIVER && s->child[ROLE_DELIVER].pid == 0)
        phase_next(s);
    if (s->phase == PHASE_STOP_COMPOSE && s->child[ROLE_COMPOSE].pid == 0)
        phase_next(s);
}

/* ---- notes ------------------------------------------------------------------------------------
 */

/* To deliver, which answers `faxpost status`: what a role says of itself, and how its sandbox is.
 */
static void notes_show(struct supervisor *s, const struct child *child)
{
    const struct child *deliver = &s->child[ROLE_DELIVER];
    char text[ROLE_TEXT_MAX] = "";

    if (deliver->state != CHILD_READY)
        return;
    if (child->state == CHILD_READY)
        snprintf(text, sizeof text, "sandbox\t%s\t%s\t\n%s", role_text(child->role), child->sandbox,
                 child->notes != NULL ? child->notes : "");
    role_send(deliver->channel, ROLE_NOTES_OF, child->role, text, NULL, 0);
}

/* text: NULL when the role is gone. */
static void notes_take(struct supervisor *s, struct child *child, const char *text)
{
    free(child->notes);
    child->notes = text != NULL ? strdup(text) : NULL;
    notes_show(s, child);
}

/* ---- ports of modems --------------------------------------------------------------------------
 */

/* A role is answered in any case: it asks again when it likes. */
static void port_wanted(struct supervisor *s, struct child *child, const char *line)
{
    char usb_id[SERIAL_USB_ID_MAX], why[SERIAL_WHY_MAX];
    char text[ROLE_TEXT_MAX];
    int fd = ports_open(&s->ports, s->settings, line, usb_id, why);

    snprintf(text, sizeof text, "%s\t%s\t%s", line, usb_id, why);
    if (role_send(child->channel, ROLE_PORT, 0, text, &fd, fd >= 0) < 0) {
        log_error("port cannot be handed over line=%s", LOG_ESCAPED(line));
        ports_close(&s->ports, line);
    }
    if (fd >= 0)
        close(fd);
}

/* ---- what roles say ---------------------------------------------------------------------------
 */

static void start_failed(struct supervisor *s, const struct child *child)
{
    log_error("role cannot start role=%s: faxpostd ends; see the lines above for what to do",
              role_text(child->role));
    s->exit_code = EXIT_TROUBLE;
    phase_next(s);
}

static void child_is_ready(struct supervisor *s, struct child *child, const char *sandbox)
{
    int i;

    if (child->state != CHILD_STARTING)
        return;
    child->state = CHILD_READY;
    text_copy(child->sandbox, sizeof child->sandbox, sandbox);
    log_info("role ready role=%s pid=%d sandbox=%s", role_text(child->role), (int)child->pid,
             LOG_ESCAPED(child->sandbox));
    if (child->role == ROLE_DELIVER && s->phase != PHASE_STARTING)
        child_say(&s->child[ROLE_DELIVER], ROLE_RUNNING);
    for (i = 0; i < ROLE_COUNT; i++)
        if (child->role == ROLE_DELIVER || (int)child->role == i)
            notes_show(s, &s->child[i]);
    if (child->role != ROLE_RECEIVE)
        give_compose_socket(s);
    else if (s->phase == PHASE_DRAINING)
        child_say(&s->child[ROLE_RECEIVE], ROLE_DRAIN);
    for (i = 0; s->phase == PHASE_STARTING && i < ROLE_COUNT; i++)
        if (s->child[i].state != CHILD_READY)
            return;
    if (s->phase == PHASE_STARTING)
        all_ready(s);
}

static void message_came(struct supervisor *s, struct child *child, struct role_message *message)
{
    while (message->fd_count > 0) /* none are expected from a role */
        close(message->fd[--message->fd_count]);
    switch (message->type) {
    case ROLE_READY: child_is_ready(s, child, message->text); break;
    case ROLE_FAILED:
        log_error("role failed role=%s why=%s", role_text(child->role), LOG_ESCAPED(message->text));
        break;
    case ROLE_PONG: child->pinged_ms = 0; break;
    case ROLE_CALLS:
        if (child->role == ROLE_RECEIVE)
            s->calls = message->number;
        break;
    case ROLE_APPLIED: log_debug("settings in force role=%s", role_text(child->role)); break;
    case ROLE_REFUSED:
        log_error("role keeps its old settings role=%s why=%s", role_text(child->role),
                  LOG_ESCAPED(message->text));
        break;
    case ROLE_RELOAD:
        if (child->role == ROLE_DELIVER)
            reload(s, true);
        break;
    case ROLE_COMPOSE_STUCK:
        if (child->role == ROLE_DELIVER && s->child[ROLE_COMPOSE].state == CHILD_READY) {
            log_error("compose does not answer deliver: it is started again");
            kill(s->child[ROLE_COMPOSE].pid, SIGKILL);
        }
        break;
    case ROLE_NOTES: notes_take(s, child, message->text); break;
    case ROLE_PORT_WANTED:
        if (child->role == ROLE_RECEIVE && strchr(message->text, '\t') == NULL)
            port_wanted(s, child, message->text);
        break;
    case ROLE_PORT_CLOSED:
        if (child->role == ROLE_RECEIVE)
            ports_close(&s->ports, message->text);
        break;
    default: log_error("unexpected message role=%s", role_text(child->role));
    }
}

struct channel_user {
    struct supervisor *supervisor;
    struct child *child;
};

static struct channel_user channel_users[ROLE_COUNT];

static void channel_ready(void *user, uint32_t events)
{
    static struct role_message message; /* large; this thread's */
    struct channel_user *channel = user;
    struct child *child = channel->child;
    int error = 0;
    int budget = 64; /* a role that never stops talking shall not have us alone */

    (void)events;
    while (budget-- > 0 && child->channel >= 0 &&
           (error = role_receive(child->channel, &message)) == 0)
        message_came(channel->supervisor, child, &message);
    if (error == ERROR_FORMAT)
        log_error("malformed message role=%s", role_text(child->role));
    if (error != ERROR_CLOSED)
        return;
    channel_close(channel->supervisor, child);
    child->state = CHILD_STOPPING;
    if (child->kill_at_ms == INT64_MAX)
        child->kill_at_ms = now() + CHANNEL_GRACE_MS;
}

/* ---- starting and reaping ----------------------------------------------------------------------
 */

/* receive waits for deliver the first time. */
static bool may_start(const struct supervisor *s, const struct child *child)
{
    if (child->state != CHILD_DOWN || child->start_at_ms > now())
        return false;
    if (child->role == ROLE_RECEIVE)
        return s->phase == PHASE_RUNNING ||
               (s->phase == PHASE_STARTING && s->child[ROLE_DELIVER].state == CHILD_READY);
    return s->phase <= PHASE_STOP_RECEIVE ||
           (s->phase == PHASE_STOP_DELIVER && child->role == ROLE_COMPOSE);
}

static void start_due(struct supervisor *s)
{
    int i;

    for (i = 0; i < ROLE_COUNT; i++) {
        struct child *child = &s->child[i];

        if (!may_start(s, child))
            continue;
        if (child_start(child, &s->options->account, now()) < 0) {
            child->backoff_ms = child_backoff(child->backoff_ms, 0);
            child->start_at_ms = now() + child->backoff_ms;
            continue;
        }
        if (child->starts > 1)
            log_warning("role started again role=%s pid=%d", role_text(child->role),
                        (int)child->pid);
        channel_users[i] = (struct channel_user){s, child};
        child->watch = (struct loop_watch){child->channel, channel_ready, &channel_users[i]};
        loop_add(s->loop, &child->watch, EPOLLIN);
        child_give_settings(child, s->settings);
    }
}

static void reap(struct supervisor *s)
{
    int status;
    pid_t pid;
    int i;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (i = 0; i < ROLE_COUNT && s->child[i].pid != pid; i++)
            ;
        if (i == ROLE_COUNT)
            continue;
        if (s->child[i].channel >= 0) /* its last words */
            channel_ready(&channel_users[i], EPOLLIN);
        channel_close(s, &s->child[i]);
        child_ended(&s->child[i], status, now());
        notes_take(s, &s->child[i], NULL);
        if (i == ROLE_RECEIVE) {
            s->calls = 0;
            ports_close_all(&s->ports);
        }
        if (s->phase == PHASE_STARTING)
            start_failed(s, &s->child[i]);
    }
}

static void signals_ready(void *user, uint32_t events)
{
    struct supervisor *s = user;
    struct signalfd_siginfo info;

    (void)events;
    while (read(s->signals.fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap(s);
        else if (info.ssi_signo == SIGHUP)
            reload(s, false);
        else
            stop_asked(s, (int)info.ssi_signo);
    }
}

/* ---- times ------------------------------------------------------------------------------------
 */

/* Roles that hang: late in starting, in answering, in ending. */
static void limits_check(struct supervisor *s)
{
    int64_t at = now();
    int i;

    for (i = 0; i < ROLE_COUNT; i++) {
        struct child *child = &s->child[i];
        const char *why = NULL;

        if (child->pid == 0)
            continue;
        if (child->state == CHILD_STARTING && at - child->started_ms > START_LIMIT_MS)
            why = "it did not get ready in time";
        else if (child->state == CHILD_READY && child->pinged_ms != 0 &&
                 at - child->pinged_ms > PONG_LIMIT_MS)
            why = "it does not answer";
        else if (at >= child->kill_at_ms)
            why = "it did not end in time";
        if (why == NULL)
            continue;
        log_alert("role is killed role=%s pid=%d: %s", role_text(child->role), (int)child->pid,
                  why);
        kill(child->pid, SIGKILL);
        child->kill_at_ms = INT64_MAX;
        child->pinged_ms = 0;
        child->started_ms = at;
    }
}

static void ping(struct supervisor *s)
{
    int i;

    s->ping_at_ms = now() + PING_EVERY_MS;
    for (i = 0; i < ROLE_COUNT; i++)
        if (s->child[i].state == CHILD_READY && s->child[i].pinged_ms == 0) {
            s->child[i].pinged_ms = now();
            child_say(&s->child[i], ROLE_PING);
        }
}

static int wait_ms(const struct supervisor *s)
{
    int64_t until = s->ping_at_ms;
    int64_t left;
    int i;

    if (s->watchdog_every_ms > 0 && s->watchdog_at_ms < until)
        until = s->watchdog_at_ms;
    if (s->phase == PHASE_DRAINING && s->drain_until_ms < until)
        until = s->drain_until_ms;
    for (i = 0; i < ROLE_COUNT; i++) {
        const struct child *child = &s->child[i];

        if (child->state == CHILD_DOWN && child->start_at_ms > now() && child->start_at_ms < until)
            until = child->start_at_ms;
        if (child->pid != 0 && child->kill_at_ms < until)
            until = child->kill_at_ms;
    }
    left = until - now();
    return left < 0 ? 0 : (int)left;
}

static void times_check(struct supervisor *s)
{
    if (now() >= s->ping_at_ms)
        ping(s);
    if (s->watchdog_every_ms > 0 && now() >= s->watchdog_at_ms) {
        sd_notify(0, "WATCHDOG=1");
        s->watchdog_at_ms = now() + s->watchdog_every_ms;
    }
    limits_check(s);
    phase_check(s);
    start_due(s);
}

static int signals_open(struct supervisor *s)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    s->signals =
        (struct loop_watch){signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), signals_ready, s};
    return s->signals.fd < 0 ? ERROR_IO : loop_add(s->loop, &s->signals, EPOLLIN);
}

int supervisor_run(struct settings *settings, const struct supervisor_options *options)
{
    struct supervisor s = {.options = options, .settings = settings, .exit_code = EXIT_FINE};
    uint64_t watchdog_us = 0;
    int i;

    if (sd_watchdog_enabled(0, &watchdog_us) > 0)
        s.watchdog_every_ms = (int64_t)(watchdog_us / 2000);
    for (i = 0; i < ROLE_COUNT; i++)
        s.child[i] = (struct child){.role = (enum role)i, .channel = -1, .kill_at_ms = INT64_MAX};
    s.signals.fd = -1;
    if (loop_new(&s.loop) < 0 || signals_open(&s) < 0) {
        s.exit_code = EXIT_TROUBLE;
        s.phase = PHASE_END;
    }
    s.ping_at_ms = now() + PING_EVERY_MS;
    s.watchdog_at_ms = now();
    while (s.phase != PHASE_END) {
        times_check(&s);
        if (s.phase != PHASE_END && loop_wait(s.loop, wait_ms(&s)) < 0)
            break;
    }
    if (s.loop != NULL)
        log_info("ended exit_code=%d", s.exit_code);
    ports_close_all(&s.ports);
    for (i = 0; i < ROLE_COUNT; i++)
        free(s.child[i].notes);
    if (s.signals.fd >= 0)
        close(s.signals.fd);
    loop_free(s.loop);
    settings_free(s.settings);
    return s.exit_code;
}
