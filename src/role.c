/* SPDX-License-Identifier: MIT */
/*
 * role.c - the frame of a role: sandbox, channel to the supervisor, main loop, and the guard that
 * lets no role outlive its supervisor.
 */
#include "src/role.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/thread.h"
#include "src/privilege.h"

enum { ORPHAN_GRACE_MS = 20000, FIRST_SETTINGS_MS = 60000 };

static const struct role_actions *const actions_of[ROLE_COUNT] = {
    [ROLE_RECEIVE] = &role_receive_actions,
    [ROLE_COMPOSE] = &role_compose_actions,
    [ROLE_DELIVER] = &role_deliver_actions,
};

/* The main thread's alone. */
struct side {
    enum role role;
    const struct role_actions *actions;
    struct loop *loop;
    struct settings *settings; /* in force; NULL before the first came */
    int done_fd;               /* tells the guard that the end has come */
    pthread_t guard;
    bool guarded;
    bool started;
    bool ends;
    int exit_code;
};

void role_tell(enum role_message_type type, int64_t number, const char *text)
{
    int error = role_send(ROLE_CHANNEL_FD, type, number, text, NULL, 0);

    if (error == ERROR_FULL)
        log_error("supervisor does not read: a message of type %d is lost", (int)type);
}

/* Watches the channel from a thread of its own: when the supervisor is gone and the main thread
 * does not come to its end in time, the process ends here. */
static void *guard_run(void *arg)
{
    const int *done_fd = arg;
    struct pollfd both[2] = {{.fd = ROLE_CHANNEL_FD, .events = 0},
                             {.fd = *done_fd, .events = POLLIN}};

    while (poll(both, 2, -1) < 0 && errno == EINTR)
        ;
    if (both[1].revents != 0)
        return NULL;
    if (poll(&both[1], 1, ORPHAN_GRACE_MS) == 0) {
        log_alert("supervisor is gone and this role does not end in order: it ends now");
        _exit(EXIT_TROUBLE);
    }
    return NULL;
}

static void apply_log_level(const struct side *side)
{
    log_open(role_text(side->role),
             (enum log_level)conf_choice(side->settings->file[SETTINGS_FAXPOST], "gateway", NULL,
                                         "log_level"));
}

static int guard_start(struct side *side)
{
    int error = thread_start(&side->guard, "guard", guard_run, &side->done_fd);

    if (error < 0) {
        log_error("no thread to watch the supervisor");
        return error;
    }
    side->guarded = true;
    prctl(PR_SET_PDEATHSIG, 0); /* from here on the guard does it, in order */
    return 0;
}

/* Everything that reads what strangers write begins within the sandbox; the first thread too, since
 * Landlock holds for threads that are started later only. */
static int begin(struct side *side, const struct settings *settings, char state[SANDBOX_TEXT_MAX])
{
    int error = side->actions->prepare != NULL ? side->actions->prepare(settings) : 0;

    if (error == 0)
        error = role_sandbox(side->role, settings, state);
    if (error == 0)
        error = guard_start(side);
    return error == 0 ? side->actions->start(side->loop, settings) : error;
}

static void first_settings(struct side *side, struct settings *settings)
{
    char state[SANDBOX_TEXT_MAX];

    side->settings = settings;
    apply_log_level(side); /* no thread of the role runs yet that logs */
    if (begin(side, settings, state) < 0) {
        role_tell(ROLE_FAILED, 0, "see the log lines above");
        side->exit_code = EXIT_TROUBLE;
        side->ends = true;
        return;
    }
    side->started = true;
    role_tell(ROLE_READY, 0, state);
}

static void settings_came(struct side *side, struct role_message *message)
{
    struct settings *settings;
    int error = role_take_settings(&settings, message);

    if (error < 0) {
        log_error("settings from the supervisor cannot be read: %s", error_text(error));
        role_tell(side->started ? ROLE_REFUSED : ROLE_FAILED, 0, error_text(error));
        side->ends = !side->started;
        side->exit_code = EXIT_TROUBLE;
        return;
    }
    if (side->settings == NULL) {
        first_settings(side, settings);
        return;
    }
    error = side->actions->reload != NULL ? side->actions->reload(settings) : 0;
    if (error < 0) {
        settings_free(settings);
        role_tell(ROLE_REFUSED, error, error_text(error));
        return;
    }
    settings_free(side->settings);
    side->settings = settings;
    role_tell(ROLE_APPLIED, 0, NULL);
}

static void message_came(struct side *side, struct role_message *message)
{
    const struct role_actions *actions = side->actions;

    switch (message->type) {
    case ROLE_SETTINGS: settings_came(side, message); return;
    case ROLE_COMPOSE_SOCKET:
        if (message->fd_count == 1 && side->started && actions->compose_socket != NULL) {
            actions->compose_socket(message->fd[0]);
            message->fd_count = 0;
        }
        break;
    case ROLE_PING: role_tell(ROLE_PONG, 0, NULL); break;
    case ROLE_RUNNING:
        if (side->started && actions->running != NULL)
            actions->running();
        break;
    case ROLE_DRAIN:
        if (side->started && actions->drain != NULL)
            actions->drain();
        break;
    case ROLE_RELOAD_RESULT:
        if (side->started && actions->reload_result != NULL)
            actions->reload_result((int)message->number, message->text);
        break;
    case ROLE_NOTES_OF:
        if (side->started && actions->notes != NULL && message->number >= 0 &&
            message->number < ROLE_COUNT)
            actions->notes((enum role)message->number, message->text);
        break;
    case ROLE_PORT:
        if (message->fd_count <= 1 && side->started && actions->port != NULL) {
            actions->port(message->fd_count == 1 ? message->fd[0] : -1, message->text);
            message->fd_count = 0;
        }
        break;
    case ROLE_STOP: side->ends = true; break;
    default: log_error("unknown message of type %d from the supervisor", (int)message->type);
    }
    while (message->fd_count > 0)
        close(message->fd[--message->fd_count]);
}

static void channel_ready(void *user, uint32_t events)
{
    static struct role_message message; /* large; the main thread's */
    struct side *side = user;
    int error = 0;

    (void)events;
    while (!side->ends && (error = role_receive(ROLE_CHANNEL_FD, &message)) == 0)
        message_came(side, &message);
    if (error == ERROR_CLOSED) {
        log_warning("supervisor is gone: this role ends");
        side->ends = true;
    } else if (error == ERROR_FORMAT) {
        log_error("malformed message from the supervisor");
    }
}

/* What an operator sends to the whole group (Ctrl-C, kill) is the supervisor's business. */
static void ignore_signals(void)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGXFSZ};
    size_t i;

    for (i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        signal(ignored[i], SIG_IGN);
}

static int run(struct side *side)
{
    struct loop_watch channel = {ROLE_CHANNEL_FD, channel_ready, side};
    int error = loop_add(side->loop, &channel, EPOLLIN);

    while (error == 0 && !side->ends)
        error = loop_wait(side->loop, -1);
    side->actions->stop();
    loop_remove(side->loop, &channel);
    return error;
}

int role_main(enum role role)
{
    struct side side = {.role = role, .actions = actions_of[role], .done_fd = thread_wake_new()};

    log_open(role_text(role), LOG_LEVEL_INFO);
    fcntl(ROLE_CHANNEL_FD, F_SETFD, FD_CLOEXEC); /* not for alarm_command */
    ignore_signals();
    if (side.done_fd < 0 || loop_new(&side.loop) < 0) {
        log_error("out of memory");
        return EXIT_TROUBLE;
    }
    if (privileges_drop() < 0) {
        side.exit_code = EXIT_TROUBLE;
        role_tell(ROLE_FAILED, 0, "cannot give up privileges");
    } else if (run(&side) < 0) {
        side.exit_code = EXIT_TROUBLE;
    }
    thread_wake(side.done_fd);
    if (side.guarded)
        thread_join(side.guard);
    settings_free(side.settings);
    loop_free(side.loop);
    close(side.done_fd);
    return side.exit_code;
}
