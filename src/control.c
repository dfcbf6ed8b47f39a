/* SPDX-License-Identifier: MIT */
/*
 * control.c - serves the control socket in the loop of the deliver role; nothing in it waits for a
 * client. One thread.
 */
#include "src/control.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "src/closer.h"

#define SOCKET_NAME "control.sock"
#define SOCKET_NEW  ".control.new" /* not longer */

enum {
    SWEEP_S = 5,
    DESCRIPTORS_MAX = 253, /* of one message: SCM_MAX_FD of the kernel */
};

struct client {
    struct control *control;
    struct loop_watch watch; /* fd -1: free */
    bool may_change;
    int message_fd; /* came with a request; -1: none */
    bool waits_for_reload;
    bool ends; /* when its reply is out */
    int64_t heard_ms;
    size_t in_used;
    char in[CONTROL_REQUEST_MAX];
    char *out; /* malloced; NULL: nothing to send */
    size_t out_length, out_at;
};

struct control {
    struct loop *loop;
    struct control_context context;
    void (*reload)(void);
    struct loop_watch listener;
    struct loop_watch timer;
    bool is_deaf; /* takes no connections while too many closings last */
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    struct client client[CONTROL_CLIENTS_MAX];
};

static void message_close(struct client *client)
{
    closer_close(client->message_fd);
    client->message_fd = -1;
}

static void client_close(struct client *client)
{
    message_close(client);
    loop_remove(client->control->loop, &client->watch);
    closer_close_connection(client->watch.fd);
    free(client->out);
    client->out = NULL;
    client->watch.fd = -1;
}

/* ---- replies -------------------------------------------------------------------------------- */

static void client_flush(struct client *client)
{
    while (client->out != NULL) {
        ssize_t n = send(client->watch.fd, client->out + client->out_at,
                         client->out_length - client->out_at, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            loop_change(client->control->loop, &client->watch, EPOLLOUT);
            return;
        }
        if (n < 0) {
            client_close(client);
            return;
        }
        client->heard_ms = clock_monotonic_ms();
        client->out_at += (size_t)n;
        if (client->out_at < client->out_length)
            continue;
        free(client->out);
        client->out = NULL;
    }
    if (client->ends)
        client_close(client);
    else
        loop_change(client->control->loop, &client->watch, EPOLLIN);
}

/* Takes the reply over. */
static void client_reply(struct client *client, json_t *reply)
{
    char *text = reply != NULL ? json_dumps(reply, JSON_COMPACT) : NULL;
    size_t length = text != NULL ? strlen(text) : 0;

    json_decref(reply);
    if (length > CONTROL_REPLY_MAX) {
        free(text);
        client_reply(client, control_failure(ERROR_LIMIT, "the answer is too long: ask for less"));
        return;
    }
    client->out = text != NULL ? realloc(text, length + 2) : NULL;
    if (client->out == NULL) {
        free(text);
        log_error("control: out of memory for a reply");
        client_close(client);
        return;
    }
    strcpy(client->out + length, "\n");
    client->out_length = length + 1;
    client->out_at = 0;
    client_flush(client);
}

/* ---- requests ------------------------------------------------------------------------------- */

static void reload_ask(struct client *client)
{
    if (!client->may_change) {
        client_reply(client, control_failure(ERROR_DENIED, "only root and the account that faxpost "
                                                           "runs as may do this"));
        return;
    }
    client->waits_for_reload = true;
    client->control->reload();
}

static void request_handle(struct client *client, const char *line, size_t length)
{
    struct control_context context = client->control->context;
    json_error_t error;
    json_t *request = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
    const char *command = json_string_value(json_object_get(request, "command"));

    context.may_change = client->may_change;
    context.message_fd = client->message_fd;
    if (!json_is_object(request))
        client_reply(client, control_failure(ERROR_FORMAT, "a request is a JSON object on a line"));
    else if (command != NULL && strcmp(command, "reload") == 0)
        reload_ask(client);
    else
        client_reply(client, control_run(&context, request));
    json_decref(request);
    message_close(client);
}

/* Handles the first whole line that is there; the next one when its reply is out. */
static void requests_check(struct client *client)
{
    char line[CONTROL_REQUEST_MAX];
    char *end;
    size_t length;

    while (client->watch.fd >= 0 && client->out == NULL && !client->waits_for_reload &&
           (end = memchr(client->in, '\n', client->in_used)) != NULL) {
        length = (size_t)(end - client->in);
        memcpy(line, client->in, length);
        client->in_used -= length + 1;
        memmove(client->in, end + 1, client->in_used);
        request_handle(client, line, length);
    }
    if (client->watch.fd < 0 || client->in_used < sizeof client->in || client->out != NULL)
        return;
    client->ends = true;
    client_reply(client, control_failure(ERROR_LIMIT, "the request is too long"));
}

/* Keeps the last one. */
static void take_descriptors(struct client *client, const struct cmsghdr *part)
{
    size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    size_t i;

    for (i = 0; i < count; i++) {
        message_close(client);
        memcpy(&client->message_fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
    }
}

/* As recv(), and keeps the descriptor that came along: of a message to be sent. There is room for
 * all that can come: the kernel would close the others, here. */
static ssize_t client_receive(struct client *client)
{
    union {
        char room[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec octets = {client->in + client->in_used, sizeof client->in - client->in_used};
    struct msghdr message = {.msg_iov = &octets,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof control.room};
    ssize_t n = recvmsg(client->watch.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *part;

    if (n < 0)
        return n;
    for (part = CMSG_FIRSTHDR(&message); part != NULL; part = CMSG_NXTHDR(&message, part))
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS)
            take_descriptors(client, part);
    return n;
}

static void client_ready(void *user, uint32_t events)
{
    struct client *client = user;
    ssize_t n;

    if ((events & EPOLLOUT) != 0) {
        client_flush(client);
        requests_check(client);
        return;
    }
    if (client->in_used == sizeof client->in) { /* while it waits for a reload */
        client_close(client);
        return;
    }
    n = client_receive(client);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        client_close(client);
        return;
    }
    client->heard_ms = clock_monotonic_ms();
    client->in_used += (size_t)n;
    requests_check(client);
}

void control_reload_result(struct control *control, int error, const char *text)
{
    size_t i;

    for (i = 0; control != NULL && i < CONTROL_CLIENTS_MAX; i++) {
        struct client *client = &control->client[i];

        if (client->watch.fd < 0 || !client->waits_for_reload)
            continue;
        client->waits_for_reload = false;
        client_reply(client,
                     error == 0 ? json_pack("{s:b}", "ok", 1) : control_failure(error, text));
        requests_check(client);
    }
}

/* ---- connections ---------------------------------------------------------------------------- */

static void client_accept(struct control *control, int fd)
{
    static const char full[] =
        "{\"ok\":false,\"error\":-3,\"why\":\"too many connections: try again later\"}\n";
    struct ucred who;
    socklen_t length = sizeof who;
    size_t i;

    for (i = 0; i < CONTROL_CLIENTS_MAX && control->client[i].watch.fd >= 0; i++)
        ;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) < 0 || i == CONTROL_CLIENTS_MAX) {
        if (i == CONTROL_CLIENTS_MAX) {
            log_warning("control: more than %d connections: one is refused", CONTROL_CLIENTS_MAX);
            send(fd, full, sizeof full - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        }
        closer_close_connection(fd);
        return;
    }
    control->client[i] = (struct client){
        .control = control,
        .watch = {fd, client_ready, &control->client[i]},
        .may_change = who.uid == 0 || who.uid == geteuid(),
        .message_fd = -1,
        .heard_ms = clock_monotonic_ms(),
    };
    if (loop_add(control->loop, &control->client[i].watch, EPOLLIN) < 0) {
        closer_close_connection(fd);
        control->client[i].watch.fd = -1;
    }
}

static void listener_ready(void *user, uint32_t events)
{
    struct control *control = user;
    int fd;

    (void)events;
    while (!closer_is_busy() &&
           (fd = accept4(control->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
        client_accept(control, fd);
    if (!closer_is_busy())
        return;
    log_warning("control: somebody sends descriptors whose closing lasts: no connection is taken "
                "for now");
    loop_remove(control->loop, &control->listener);
    control->is_deaf = true;
}

static void timer_ready(void *user, uint32_t events)
{
    struct control *control = user;
    int64_t now_ms = clock_monotonic_ms();
    uint64_t count;
    size_t i;

    (void)events;
    if (read(control->timer.fd, &count, sizeof count) < 0)
        return;
    for (i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (control->client[i].watch.fd >= 0 &&
            now_ms - control->client[i].heard_ms > CONTROL_IDLE_MS)
            client_close(&control->client[i]);
    if (control->is_deaf && !closer_is_busy())
        control->is_deaf = loop_add(control->loop, &control->listener, EPOLLIN) < 0;
}

int control_listen(const char *run_dir)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s/" SOCKET_NEW, run_dir);
    if (fd >= 0 && (unlink(address.sun_path) == 0 || errno == ENOENT) &&
        bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        chmod(address.sun_path, 0660) == 0 && listen(fd, 16) == 0)
        return fd;
    log_error("control socket cannot be made: path=%s: %s; the folder must belong to the account "
              "that faxpost runs as",
              address.sun_path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return ERROR_IO;
}

/* An old one, left by a crash, is replaced: the spool's lock says that nobody serves it. */
static int listener_name(struct control *control, const char *run_dir)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/" SOCKET_NEW, run_dir);
    snprintf(control->path, sizeof control->path, "%s/" SOCKET_NAME, run_dir);
    if (rename(path, control->path) == 0)
        return 0;
    log_error("control socket cannot get its name: path=%s: %s", control->path, strerror(errno));
    control->path[0] = '\0';
    return ERROR_IO;
}

int control_start(struct control **out, struct loop *loop, int listener, const char *run_dir,
                  const struct control_context *context, void (*reload)(void))
{
    const struct itimerspec every = {{SWEEP_S, 0}, {SWEEP_S, 0}};
    struct control *control = calloc(1, sizeof *control);
    size_t i;

    if (control == NULL) {
        close(listener);
        return ERROR_MEMORY;
    }
    control->loop = loop;
    control->context = *context;
    control->reload = reload;
    for (i = 0; i < CONTROL_CLIENTS_MAX; i++)
        control->client[i].watch.fd = -1;
    control->listener = (struct loop_watch){listener, listener_ready, control};
    control->timer = (struct loop_watch){
        timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), timer_ready, control};
    if (listener_name(control, run_dir) < 0 || control->timer.fd < 0 ||
        timerfd_settime(control->timer.fd, 0, &every, NULL) < 0 ||
        loop_add(loop, &control->timer, EPOLLIN) < 0) {
        control_stop(control);
        return ERROR_IO;
    }
    *out = control;
    return 0;
}

int control_open(struct control *control)
{
    return loop_add(control->loop, &control->listener, EPOLLIN);
}

static void watch_close(struct loop *loop, struct loop_watch *watch)
{
    if (watch->fd < 0)
        return;
    loop_remove(loop, watch);
    close(watch->fd);
}

void control_stop(struct control *control)
{
    size_t i;

    if (control == NULL)
        return;
    for (i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (control->client[i].watch.fd >= 0)
            client_close(&control->client[i]);
    if (control->path[0] != '\0')
        unlink(control->path);
    watch_close(control->loop, &control->listener);
    watch_close(control->loop, &control->timer);
    free(control);
}
