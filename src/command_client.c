/* SPDX-License-Identifier: MIT */
/*
 * command_client.c - asks the daemon by its control socket; while none runs, opens the spool and
 * answers from it with the same code.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "src/command.h"
#include "src/control.h"
#include "src/control_commands.h"
#include "src/privilege.h"

enum { REPLY_WAIT_S = 60 };

/* The process has one connection or one spool. */
static struct {
    int fd;
    struct spool *spool;
    enum spool_mode mode;
} open_now = {.fd = -1};

static void __attribute__((format(printf, 2, 3))) set_failure(json_t **out, const char *format, ...)
{
    char why[700];
    va_list ap;

    va_start(ap, format);
    vsnprintf(why, sizeof why, format, ap);
    va_end(ap);
    *out = control_failure(ERROR_IO, why);
}

/* ---- the daemon ----------------------------------------------------------------------------- */

/* 0, or errno of the failure. */
static int connect_daemon(const char *run_dir)
{
    const struct timeval wait = {.tv_sec = REPLY_WAIT_S};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return errno;
    if (strlen(run_dir) + sizeof "/control.sock" > sizeof address.sun_path) {
        close(fd);
        return ENAMETOOLONG;
    }
    sprintf(address.sun_path, "%s/control.sock", run_dir);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        int saved = errno;

        close(fd);
        return saved;
    }
    open_now.fd = fd;
    return 0;
}

/* fd, if not negative, goes along with the first octet. */
static ssize_t send_first(const char *text, size_t length, int fd)
{
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {.room = {0}};
    struct iovec octets = {(char *)(uintptr_t)text, length};
    struct msghdr message = {.msg_iov = &octets, .msg_iovlen = 1};
    struct cmsghdr *part;

    if (fd >= 0) {
        message.msg_control = control.room;
        message.msg_controllen = sizeof control.room;
        part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(part), &fd, sizeof fd);
    }
    return sendmsg(open_now.fd, &message, MSG_NOSIGNAL);
}

static bool send_line(const char *text, int fd)
{
    size_t length = strlen(text);
    ssize_t first = send_first(text, length, fd);
    size_t at = first > 0 ? (size_t)first : 0;

    if (first <= 0)
        return false;

    while (at < length) {
        ssize_t n = send(open_now.fd, text + at, length - at, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

static json_t *receive_line(void)
{
    struct buffer line;
    char chunk[16384];
    json_t *reply = NULL;
    ssize_t n = 1;

    buffer_init(&line, CONTROL_REPLY_MAX + 16);
    while (n > 0 && (line.length == 0 || line.data[line.length - 1] != '\n')) {
        n = recv(open_now.fd, chunk, sizeof chunk, 0);
        if (n > 0 && buffer_add(&line, chunk, (size_t)n) < 0)
            break;
    }
    if (n > 0 && line.error == 0)
        reply = json_loadb((const char *)line.data, line.length, 0, NULL);
    buffer_free(&line);
    return reply;
}

static json_t *ask_daemon(const json_t *request, int fd)
{
    char *text = json_dumps(request, JSON_COMPACT);
    char *line = NULL;
    json_t *reply = NULL;

    if (text != NULL && asprintf(&line, "%s\n", text) >= 0 && send_line(line, fd))
        reply = receive_line();
    free(line);
    free(text);
    if (reply != NULL)
        return reply;
    close(open_now.fd);
    open_now.fd = -1;
    set_failure(&reply, "the daemon does not answer: it hangs or has just ended; look at its log, "
                        "or try again");
    return reply;
}

/* ---- the spool itself ----------------------------------------------------------------------- */

int command_become_account(const struct command_options *options)
{
    struct account account;
    struct stat st;
    int error = account_find(&account, options->conf);

    /* A folder that is root's although there is an account is one that the daemon makes now. */
    if (error == 0 && geteuid() == 0 &&
        stat(conf_text(options->conf, "gateway", NULL, "state_dir"), &st) == 0 &&
        (st.st_uid != 0 || !account.change))
        account = (struct account){.change = st.st_uid != 0, .uid = st.st_uid, .gid = st.st_gid};
    return error < 0 ? error : account_become(&account);
}

static void spool_failure(json_t **out, int error, const char *state_dir)
{
    if (error == ERROR_BUSY)
        set_failure(out,
                    "faxpostd uses the spool in %s, but does not listen yet or any more: try again",
                    state_dir);
    else if (error == ERROR_NOT_FOUND)
        set_failure(out, "no daemon is running, and there is no spool in %s yet: start faxpostd",
                    state_dir);
    else if (error == ERROR_DENIED)
        set_failure(out,
                    "no daemon is running, and the spool in %s is not yours: run this as root or "
                    "as the account that faxpost runs as",
                    state_dir);
    else
        set_failure(out, "no daemon is running, and the spool in %s cannot be opened: %s",
                    state_dir, error_text(error));
}

static json_t *ask_spool(const struct command_options *options, const json_t *request, int fd)
{
    const char *command = member_text(request, "command");
    const char *state_dir = conf_text(options->conf, "gateway", NULL, "state_dir");
    bool changes = strcmp(command, "retry") == 0 || strcmp(command, "cancel") == 0 ||
                   strcmp(command, "hold") == 0 || strcmp(command, "release") == 0 ||
                   strcmp(command, "send") == 0 || strcmp(command, "resend") == 0;
    struct handin_settings handin;
    struct control_context context = {.may_change = true, .message_fd = fd};
    json_t *reply = NULL;
    int error;

    if (strcmp(command, "reload") == 0) {
        set_failure(&reply, "no daemon is running: the settings are read when faxpostd starts");
        return reply;
    }
    if (open_now.spool == NULL) {
        if (access(state_dir, F_OK) < 0 && errno == ENOENT)
            error = ERROR_NOT_FOUND;
        else if ((error = command_become_account(options)) == 0)
            error = spool_open(&open_now.spool, state_dir, changes ? SPOOL_OWN : SPOOL_READ);
        if (error < 0) {
            open_now.spool = NULL;
            spool_failure(&reply, error, state_dir);
            return reply;
        }
    }
    context.spool = open_now.spool;
    if (handin_settings_load(&handin, options->conf) == 0)
        context.handin = &handin;
    return control_run(&context, request);
}

json_t *command_ask(const struct command_options *options, const char *command, json_t *extra)
{
    return command_ask_with(options, command, extra, -1);
}

json_t *command_ask_with(const struct command_options *options, const char *command, json_t *extra,
                         int fd)
{
    const char *run_dir = conf_text(options->conf, "gateway", NULL, "run_dir");
    json_t *request = extra != NULL ? extra : json_object();
    json_t *reply = NULL;
    int problem = open_now.fd >= 0 || open_now.spool != NULL ? 0 : connect_daemon(run_dir);

    json_object_set_new(request, "command", json_string(command));
    if (open_now.fd >= 0)
        reply = ask_daemon(request, fd);
    else if (problem == EACCES || problem == EPERM)
        set_failure(&reply,
                    "permission denied: %s/control.sock: run this as root, as the account that "
                    "faxpost runs as, or as a member of its group",
                    run_dir);
    else if (problem != 0 && problem != ENOENT && problem != ECONNREFUSED && problem != ENOTDIR)
        set_failure(&reply, "%s/control.sock: %s", run_dir, strerror(problem));
    else
        reply = ask_spool(options, request, fd);
    json_decref(request);
    return reply;
}

bool command_daemon_runs(const struct command_options *options)
{
    int problem;

    if (open_now.fd >= 0)
        return true;
    problem = connect_daemon(conf_text(options->conf, "gateway", NULL, "run_dir"));
    return problem != ENOENT && problem != ECONNREFUSED && problem != ENOTDIR;
}

void command_ask_end(void)
{
    if (open_now.fd >= 0)
        close(open_now.fd);
    spool_close(open_now.spool);
    open_now.fd = -1;
    open_now.spool = NULL;
}

void command_print_json(const json_t *value)
{
    json_dumpf(value, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    putchar('\n');
}

bool command_failed(const struct command_options *options, const json_t *reply)
{
    const char *why = member_text(reply, "why");

    if (json_is_true(json_object_get(reply, "ok")))
        return false;
    if (options->json)
        command_print_json(reply);
    if (options->json)
        return true;
    fputs("faxpost: ", stderr);
    print_clean(stderr, why[0] != '\0' ? why : "the daemon's answer is no answer");
    if (why[0] == '\0' || why[strlen(why) - 1] != '\n')
        fputc('\n', stderr);
    return true;
}
