/* SPDX-License-Identifier: MIT */
/*
 * child.c - fork and exec of a role, and the account of its death.
 */
#include "src/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "src/role.h"

/* In the child, between fork and exec; the supervisor has one thread, so all calls are safe. */
static void become_role(const struct child *child, const struct account *account, int channel)
{
    char option[32];
    char *const arguments[] = {"faxpostd", option, NULL};
    sigset_t none;
    int null = open("/dev/null", O_RDONLY);

    snprintf(option, sizeof option, "--role=%s", role_text(child->role));
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    umask(077);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    if (null < 0 || dup2(null, STDIN_FILENO) < 0)
        _exit(126);
    if (channel == ROLE_CHANNEL_FD)
        fcntl(channel, F_SETFD, 0);
    else if (dup2(channel, ROLE_CHANNEL_FD) < 0)
        _exit(126);
    close_range(ROLE_CHANNEL_FD + 1, ~0U, 0);
    if (account_become(account) < 0) {
        log_error("cannot become the account of the roles: user=%s: %s", account->name,
                  strerror(errno));
        _exit(126);
    }
    /* Until the role's own guard stands (role.c). After the change of the account, which clears
     * it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execv("/proc/self/exe", arguments);
    log_error("cannot execute the role %s: %s; is /proc mounted?", role_text(child->role),
              strerror(errno));
    _exit(127);
}

int child_start(struct child *child, const struct account *account, int64_t now_ms)
{
    int pair[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
        log_error("no socket for the role %s: %s", role_text(child->role), strerror(errno));
        return error_from_errno(errno);
    }
    pid = fork();
    if (pid == 0)
        become_role(child, account, pair[1]);
    close(pair[1]);
    if (pid < 0) {
        log_error("no process for the role %s: %s", role_text(child->role), strerror(errno));
        close(pair[0]);
        return ERROR_MEMORY;
    }
    child->pid = pid;
    child->channel = pair[0];
    child->state = CHILD_STARTING;
    child->is_told = false;
    child->started_ms = now_ms;
    child->kill_at_ms = INT64_MAX;
    child->pinged_ms = 0;
    child->starts++;
    return 0;
}

void child_say(struct child *child, enum role_message_type type)
{
    if (child->channel >= 0 && role_send(child->channel, type, 0, NULL, NULL, 0) == ERROR_FULL)
        log_warning("role does not read its channel role=%s", role_text(child->role));
}

void child_give_settings(struct child *child, const struct settings *settings)
{
    int error;

    if (child->channel < 0)
        return;
    error = role_send_settings(child->channel, child->role, settings);
    if (error < 0) {
        log_error("settings cannot be handed over role=%s: %s; it is started again",
                  role_text(child->role), error_text(error));
        kill(child->pid, SIGKILL);
    }
}

bool child_lives(const struct child *child)
{
    return child->state == CHILD_STARTING || child->state == CHILD_READY;
}

void child_stop(struct child *child, int64_t kill_at_ms)
{
    if (child->pid == 0) {
        child->state = CHILD_ENDED;
        return;
    }
    child_say(child, ROLE_STOP);
    child->state = CHILD_STOPPING;
    child->is_told = true;
    child->kill_at_ms = kill_at_ms;
}

const char *child_status_text(int status, char *out, size_t size)
{
    if (WIFSIGNALED(status))
        snprintf(out, size, "signal %d (%s)%s", WTERMSIG(status), strsignal(WTERMSIG(status)),
                 WCOREDUMP(status) ? ", core dumped" : "");
    else
        snprintf(out, size, "exit code %d", WEXITSTATUS(status));
    return out;
}

int child_backoff(int backoff_ms, int64_t life_ms)
{
    if (backoff_ms == 0 || life_ms >= CHILD_SETTLED_MS)
        return CHILD_BACKOFF_LEAST_MS;
    return backoff_ms > CHILD_BACKOFF_MOST_MS / 2 ? CHILD_BACKOFF_MOST_MS : backoff_ms * 2;
}

void child_ended(struct child *child, int status, int64_t now_ms)
{
    char text[80];
    bool expected = child->state == CHILD_STOPPING && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    int64_t life_ms = now_ms - child->started_ms;

    child->backoff_ms = expected && child->is_told ? 0 : child_backoff(child->backoff_ms, life_ms);
    child->start_at_ms = now_ms + child->backoff_ms;
    if (expected)
        log_info("role ended role=%s pid=%d", role_text(child->role), (int)child->pid);
    else
        log_error("role died role=%s pid=%d why=\"%s\" after=%lldms", role_text(child->role),
                  (int)child->pid, child_status_text(status, text, sizeof text),
                  (long long)life_ms);
    child->pid = 0;
    child->kill_at_ms = INT64_MAX;
    child->state = CHILD_DOWN;
}
