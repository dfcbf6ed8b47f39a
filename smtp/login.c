/* SPDX-License-Identifier: MIT */
/*
 * login.c - the token command is the administrator's own: started without a shell, with nothing of
 * a call or a mail in its arguments, bounded in time and output.
 */
#include "smtp/login.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "base/thread.h"

enum { WORDS_MAX = 64, SLICE_MS = 100 };

struct login {
    char user[SERVER_TEXT_MAX];
    char password[LOGIN_PASSWORD_MAX];
    char token_file[SERVER_PATH_MAX], token_command[SERVER_PATH_MAX];
    pthread_mutex_t lock; /* all below */
    pthread_cond_t changed;
    bool fetching;    /* a thread runs the command; the others wait for it */
    unsigned refused; /* tokens up to this number are no good */
    unsigned number;  /* of the token that is kept; 0: none yet */
    char token[LOGIN_TOKEN_MAX];
};

extern char **environ;

/* ---- the password -----------------------------------------------------------------------------
 */

static int read_password(struct login *login, const char *path, char *why, size_t why_size)
{
    char *text = NULL;
    size_t length = 0;
    int error = file_read(AT_FDCWD, path, 4096, &text, &length);

    if (error < 0) {
        snprintf(why, why_size, "password_file %s: %s", path, error_text(error));
        return ERROR_CONFIG;
    }
    text[strcspn(text, "\r\n")] = '\0';
    /* libesmtp's plugins copy the password into 255 octets without looking. */
    if (text[0] == '\0' || !text_copy(login->password, sizeof login->password, text)) {
        snprintf(why, why_size, "password_file %s: its first line is the password, 1 to 255 octets",
                 path);
        error = ERROR_CONFIG;
    }
    explicit_bzero(text, length);
    free(text);
    return error;
}

int login_new(struct login **out, const struct server *server, char *why, size_t why_size)
{
    struct login *login = calloc(1, sizeof *login);
    int error = 0;

    text_copy(why, why_size, "out of memory");
    if (login == NULL)
        return ERROR_MEMORY;
    pthread_mutex_init(&login->lock, NULL);
    thread_condition_init(&login->changed);
    text_copy(login->user, sizeof login->user, server->user);
    text_copy(login->token_file, sizeof login->token_file, server->token_file);
    text_copy(login->token_command, sizeof login->token_command, server->token_command);
    if (server->auth != SERVER_AUTH_NONE && server->auth != SERVER_AUTH_XOAUTH2)
        error = read_password(login, server->password_file, why, why_size);
    if (error < 0) {
        login_free(login);
        return error;
    }
    *out = login;
    return 0;
}

void login_free(struct login *login)
{
    if (login == NULL)
        return;
    pthread_cond_destroy(&login->changed);
    pthread_mutex_destroy(&login->lock);
    explicit_bzero(login, sizeof *login);
    free(login);
}

const char *login_user(const struct login *login)
{
    return login->user;
}

const char *login_password(const struct login *login)
{
    return login->password;
}

/* ---- running the command ----------------------------------------------------------------------
 */

static bool split(char *text, char *words[WORDS_MAX + 1])
{
    char *rest = NULL;
    char *word;
    int count = 0;

    for (word = strtok_r(text, " \t", &rest); word != NULL; word = strtok_r(NULL, " \t", &rest)) {
        if (count == WORDS_MAX)
            return false;
        words[count++] = word;
    }
    words[count] = NULL;
    return count > 0;
}

/* In a process group of its own, so that what it starts ends with it; signals as usual; of our
 * descriptors it gets the pipe alone. */
static int spawn(pid_t *out, char *const words[], int output_fd)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, usual;
    int error;

    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    sigaddset(&usual, SIGTERM);
    sigaddset(&usual, SIGINT);
    sigaddset(&usual, SIGHUP);
    sigaddset(&usual, SIGCHLD);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETPGROUP);
    posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    error = posix_spawnp(out, words[0], &actions, &attributes, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return error == 0 ? 0 : error_from_errno(error);
}

/* Its output until the end; ERROR_TIMEOUT when it was not over in time. */
static int read_output(int fd, char *out, size_t size, bool (*is_over)(void *user), void *user)
{
    int64_t until_ms = clock_monotonic_ms() + LOGIN_COMMAND_MS;
    size_t used = 0;

    while (clock_monotonic_ms() < until_ms && (is_over == NULL || !is_over(user))) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        ssize_t n;

        if (poll(&poll_fd, 1, SLICE_MS) <= 0)
            continue;
        n = read(fd, out + used, size - 1 - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ERROR_IO;
        used += (size_t)n;
        out[used] = '\0';
        if (n == 0)
            return 0;
        if (used == size - 1)
            return ERROR_LIMIT;
    }
    return ERROR_TIMEOUT;
}

/* One that closed its output is given a moment to end by itself. */
static int reap(pid_t pid, bool at_once)
{
    int64_t until_ms = clock_monotonic_ms() + (at_once ? 0 : 2000);
    int status = 0;
    pid_t done;

    while ((done = waitpid(pid, &status, WNOHANG)) == 0 && clock_monotonic_ms() < until_ms)
        poll(NULL, 0, 5);
    kill(-pid, SIGKILL);
    if (done == 0)
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            continue;
    return status;
}

static int run_command(const char *command, char *out, size_t size, bool (*is_over)(void *user),
                       void *user, char *why, size_t why_size)
{
    char *words[WORDS_MAX + 1];
    char text[SERVER_PATH_MAX];
    int pipe_fds[2];
    pid_t pid;
    int status;
    int error;

    text_copy(text, sizeof text, command);
    out[0] = '\0';
    snprintf(why, why_size, "token_command cannot be started");
    if (!split(text, words))
        return ERROR_CONFIG;
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return error_from_errno(errno);
    error = spawn(&pid, words, pipe_fds[1]);
    close(pipe_fds[1]);
    if (error < 0) {
        snprintf(why, why_size, "token_command %.200s: %s", words[0], error_text(error));
        goto out;
    }
    error = read_output(pipe_fds[0], out, size, is_over, user);
    status = reap(pid, error < 0);
    if (error < 0) {
        snprintf(why, why_size, "token_command %.200s: %s", words[0], error_text(error));
    } else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        snprintf(why, why_size, "token_command %.200s failed with status %d: run it by hand to see",
                 words[0], WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        error = ERROR_CLOSED;
    }
out:
    close(pipe_fds[0]);
    return error;
}

/* ---- the token --------------------------------------------------------------------------------
 */

/* The first line, which must look like a token (RFC 6750 2.1): nothing else is sent. */
static int check_token(char *text, const char *origin, char *why, size_t why_size)
{
    char *kept;
    size_t i;

    text[strcspn(text, "\r\n")] = '\0';
    kept = text_trim(text);
    memmove(text, kept, strlen(kept) + 1);
    for (i = 0; text[i] > ' ' && text[i] < 127; i++)
        continue;
    if (i > 0 && text[i] == '\0')
        return 0;
    snprintf(why, why_size, "%s: its first line is no token", origin);
    return ERROR_FORMAT;
}

static int read_token_file(const struct login *login, char *out, char *why, size_t why_size)
{
    char *text = NULL;
    size_t length = 0;
    int error = file_read(AT_FDCWD, login->token_file, LOGIN_TOKEN_MAX - 1, &text, &length);

    if (error < 0) {
        snprintf(why, why_size, "token_file %s: %s", login->token_file, error_text(error));
        return error;
    }
    text_copy(out, LOGIN_TOKEN_MAX, text);
    explicit_bzero(text, length);
    free(text);
    return check_token(out, "token_file", why, why_size);
}

/* The lock is held; it is released while the command runs. */
static int fetch(struct login *login, bool (*is_over)(void *user), void *user, char *why,
                 size_t why_size)
{
    char text[LOGIN_TOKEN_MAX];
    int error;

    login->fetching = true;
    pthread_mutex_unlock(&login->lock);
    error = run_command(login->token_command, text, sizeof text, is_over, user, why, why_size);
    if (error == 0)
        error = check_token(text, "token_command", why, why_size);
    pthread_mutex_lock(&login->lock);
    login->fetching = false;
    pthread_cond_broadcast(&login->changed);
    if (error == 0) {
        text_copy(login->token, sizeof login->token, text);
        login->number++;
    }
    explicit_bzero(text, sizeof text);
    return error;
}

int login_token(struct login *login, struct login_token *out, bool (*is_over)(void *user),
                void *user, char *why, size_t why_size)
{
    int error = 0;

    out->fresh = false;
    out->number = 0;
    if (login->token_file[0] != '\0')
        return read_token_file(login, out->text, why, why_size);
    pthread_mutex_lock(&login->lock);
    while (login->fetching)
        thread_condition_wait(&login->changed, &login->lock, SLICE_MS);
    if (login->number == login->refused) {
        error = fetch(login, is_over, user, why, why_size);
        out->fresh = error == 0;
    }
    if (error == 0) {
        text_copy(out->text, sizeof out->text, login->token);
        out->number = login->number;
    }
    pthread_mutex_unlock(&login->lock);
    return error;
}

bool login_token_refused(struct login *login, const struct login_token *token)
{
    char now[LOGIN_TOKEN_MAX];
    char why[200];
    bool newer;

    if (login->token_file[0] != '\0') {
        newer = read_token_file(login, now, why, sizeof why) == 0 && strcmp(now, token->text) != 0;
        explicit_bzero(now, sizeof now);
        return newer;
    }
    pthread_mutex_lock(&login->lock);
    if (token->number > login->refused)
        login->refused = token->number;
    pthread_mutex_unlock(&login->lock);
    return !token->fresh;
}

/* ---- how it is sent ---------------------------------------------------------------------------
 */

const char *login_mechanism(enum server_auth auth)
{
    switch (auth) {
    case SERVER_AUTH_PLAIN: return "PLAIN";
    case SERVER_AUTH_LOGIN: return "LOGIN";
    case SERVER_AUTH_XOAUTH2: return "XOAUTH2";
    default: return NULL;
    }
}

bool login_is_safe(const struct server *server, int fd)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;

    if (server->auth == SERVER_AUTH_NONE || server->tls != SERVER_TLS_NONE)
        return true;
    if (getpeername(fd, (struct sockaddr *)&peer, &length) < 0)
        return false;
    if (peer.ss_family == AF_INET)
        return ntohl(((struct sockaddr_in *)&peer)->sin_addr.s_addr) >> 24 == 127;
    return peer.ss_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&peer)->sin6_addr);
}
