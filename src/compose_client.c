/* SPDX-License-Identifier: MIT */
/*
 * compose_client.c - one request, one reply, with a time-out that grows with the pages.
 */
#include "src/compose_client.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "base/thread.h"
#include "message/compose_loop.h"
#include "message/message.h"

enum { SOCKET_WAIT_MS = 20000, REPLY_BASE_MS = 60000, REPLY_PAGE_MS = 2000 };

struct compose_client {
    void (*stuck)(void);
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* lock: */
    int fd; /* the newest socket; -1: none, or the asking thread has it */
    bool closed;
    char from[TEMPLATE_MAX];
    char subject[TEMPLATE_MAX];
    char file_name[TEMPLATE_MAX];
    char hostname[MESSAGE_HOST_MAX];
};

int compose_client_new(struct compose_client **out, const struct settings *settings,
                       void (*stuck)(void))
{
    struct compose_client *client = calloc(1, sizeof *client);

    if (client == NULL)
        return ERROR_MEMORY;
    client->stuck = stuck;
    client->fd = -1;
    pthread_mutex_init(&client->lock, NULL);
    thread_condition_init(&client->changed);
    compose_client_settings(client, settings);
    *out = client;
    return 0;
}

void compose_client_free(struct compose_client *client)
{
    if (client == NULL)
        return;
    if (client->fd >= 0)
        close(client->fd);
    pthread_cond_destroy(&client->changed);
    pthread_mutex_destroy(&client->lock);
    free(client);
}

void compose_client_settings(struct compose_client *client, const struct settings *settings)
{
    const struct conf *conf = settings->file[SETTINGS_FAXPOST];

    pthread_mutex_lock(&client->lock);
    text_copy(client->from, sizeof client->from, conf_text(conf, "mail", NULL, "from"));
    text_copy(client->subject, sizeof client->subject, conf_text(conf, "mail", NULL, "subject"));
    text_copy(client->file_name, sizeof client->file_name,
              conf_text(conf, "mail", NULL, "file_name"));
    settings_hostname(settings, client->hostname, sizeof client->hostname);
    pthread_mutex_unlock(&client->lock);
}

/* Makes fd the socket, or gives it back after use, when no newer one has come meanwhile. */
static void socket_put(struct compose_client *client, int fd, bool newer)
{
    int unused = fd;

    pthread_mutex_lock(&client->lock);
    if (newer || client->fd < 0) {
        unused = client->fd;
        client->fd = fd;
    }
    pthread_cond_signal(&client->changed);
    pthread_mutex_unlock(&client->lock);
    if (unused >= 0)
        close(unused);
}

void compose_client_socket(struct compose_client *client, int fd)
{
    socket_put(client, fd, true);
}

void compose_client_close(struct compose_client *client)
{
    pthread_mutex_lock(&client->lock);
    client->closed = true;
    pthread_cond_signal(&client->changed);
    pthread_mutex_unlock(&client->lock);
}

/* Takes the socket; waits while compose is being started. */
static int socket_take(struct compose_client *client)
{
    int64_t until_ms = clock_monotonic_ms() + SOCKET_WAIT_MS;
    int fd;

    pthread_mutex_lock(&client->lock);
    while (client->fd < 0 && !client->closed) {
        int64_t left = until_ms - clock_monotonic_ms();

        if (left <= 0)
            break;
        thread_condition_wait(&client->changed, &client->lock, (int)left);
    }
    fd = client->fd >= 0 ? client->fd : client->closed ? ERROR_CLOSED : ERROR_TIMEOUT;
    client->fd = -1;
    pthread_mutex_unlock(&client->lock);
    return fd;
}

static void request_fill(struct compose_client *client, struct message_request *request,
                         const struct spool_fax *fax, const struct route *route,
                         const char *message_id, bool plain)
{
    int i;

    text_copy(request->folder, sizeof request->folder, fax->folder);
    request->call = fax->call;
    memset(request->call.password, 0, sizeof request->call.password);
    text_copy(request->route, sizeof request->route, route->name);
    for (i = 0; i < route->to_count && i < MESSAGE_TO_MAX; i++)
        text_copy(request->to[i], sizeof request->to[i], route->to[i]);
    request->to_count = i;
    request->attach = (enum message_attach)route->attach;
    request->profile = (enum message_profile)route->profile;
    text_copy(request->message_id, sizeof request->message_id, message_id);
    request->plain = plain;
    pthread_mutex_lock(&client->lock);
    text_copy(request->from, sizeof request->from, client->from);
    text_copy(request->subject, sizeof request->subject, client->subject);
    text_copy(request->file_name, sizeof request->file_name, client->file_name);
    text_copy(request->hostname, sizeof request->hostname, client->hostname);
    pthread_mutex_unlock(&client->lock);
}

/* Sends a request and waits for its reply. ERROR_CLOSED: compose died over it. */
static int exchange(int fd, const char *request, size_t request_length, int limit_ms, char *reply,
                    size_t *reply_length)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    int64_t until_ms = clock_monotonic_ms() + limit_ms;
    ssize_t n;

    if (send(fd, request, request_length, MSG_NOSIGNAL) < 0)
        return ERROR_CLOSED;
    for (;;) {
        int64_t left = until_ms - clock_monotonic_ms();

        if (left <= 0)
            return ERROR_TIMEOUT;
        if (poll(&wait, 1, (int)left) > 0)
            break;
    }
    n = recv(fd, reply, COMPOSE_REPLY_MAX, 0);
    if (n <= 0)
        return ERROR_CLOSED;
    *reply_length = (size_t)n;
    return 0;
}

static int ask(struct compose_client *client, const char *text, size_t length, int pages,
               struct message_result *result, char *why, size_t why_size)
{
    char reply[COMPOSE_REPLY_MAX];
    size_t reply_length = 0;
    int fd = socket_take(client);
    int error;

    if (fd < 0) {
        text_copy(why, why_size, "the compose role is not running");
        if (fd == ERROR_TIMEOUT)
            client->stuck(); /* or it runs and has closed its end: only a new one brings a socket */
        return ERROR_STATE;  /* no fault of the fax */
    }
    error = exchange(fd, text, length, REPLY_BASE_MS + pages * REPLY_PAGE_MS, reply, &reply_length);
    if (error < 0) {
        close(fd);
        text_copy(why, why_size,
                  error == ERROR_TIMEOUT ? "the compose role did not answer in time"
                                         : "the compose role died over it");
        if (error == ERROR_TIMEOUT)
            client->stuck();
        return error;
    }
    socket_put(client, fd, false);
    return compose_reply_parse(result, why, why_size, reply, reply_length);
}

int compose_client_ask(void *user, const struct spool_fax *fax, const struct route *route,
                       const char *message_id, bool plain, int64_t *out_message_bytes, char *why,
                       size_t why_size)
{
    struct compose_client *client = user;
    struct message_request *request = calloc(1, sizeof *request);
    struct message_result result = {0};
    char *text = NULL;
    size_t length = 0;
    int error = request != NULL ? 0 : ERROR_MEMORY;

    if (error == 0) {
        request_fill(client, request, fax, route, message_id, plain);
        error = message_request_format(&text, &length, request);
    }
    if (error < 0)
        text_copy(why, why_size, error_text(error));
    else
        error = ask(client, text, length, fax->call.pages + fax->call.unconfirmed, &result, why,
                    why_size);
    if (error == 0)
        *out_message_bytes = result.bytes;
    free(text);
    free(request);
    return error;
}
