/* SPDX-License-Identifier: MIT */
/*
 * compose_loop.c - one datagram in, one mail composed, one datagram back.
 */
#include "message/compose_loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <jansson.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

static char *format_reply(int error, const struct message_result *result, const char *why)
{
    json_t *reply =
        error == 0 ? json_pack("{s:b, s:I, s:i, s:i}", "ok", 1, "bytes", (json_int_t)result->bytes,
                               "pages", result->pages, "unreadable", result->unreadable)
                   : json_pack("{s:b, s:i, s:s}", "ok", 0, "error", error, "why", why);
    char *text = reply == NULL ? NULL : json_dumps(reply, JSON_COMPACT | JSON_ENSURE_ASCII);

    json_decref(reply);
    return text;
}

static char *answer(const char *text, size_t length)
{
    struct message_request *request = calloc(1, sizeof *request);
    struct message_result result = {0};
    char why[MESSAGE_WHY_MAX] = "", clean[MESSAGE_WHY_MAX];
    char *reply;
    int error = request == NULL ? ERROR_MEMORY : message_request_parse(request, text, length);

    if (error < 0)
        text_copy(why, sizeof why, "the request cannot be read");
    else
        error = message_compose(request, &result, why, sizeof why);
    if (error == 0)
        log_info("composed: fax=%s bytes=%lld pages=%d unreadable=%d",
                 LOG_ESCAPED(request->call.fax_id), (long long)result.bytes, result.pages,
                 result.unreadable);
    reply =
        format_reply(error, &result, template_clean_text(clean, sizeof clean, why, sizeof clean));
    free(request);
    return reply;
}

/* Sends all of a reply, and frees it; false when the other side is gone. */
static bool send_reply(int socket_fd, char *reply)
{
    ssize_t sent;

    do
        sent = send(socket_fd, reply, strlen(reply), MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    free(reply);
    return sent >= 0;
}

int compose_serve(int socket_fd)
{
    char *text = malloc(MESSAGE_REQUEST_MAX + 1);
    int error = text == NULL ? ERROR_MEMORY : 0;

    while (error == 0) {
        ssize_t length = recv(socket_fd, text, MESSAGE_REQUEST_MAX + 1, 0);
        char *reply;

        if (length < 0 && errno == EINTR)
            continue;
        if (length == 0 || (length < 0 && errno == ECONNRESET))
            break;
        if (length < 0) {
            log_error("compose_socket_failed: errno=%d hint=\"the role ends and is restarted\"",
                      errno);
            error = ERROR_IO;
            break;
        }
        reply = answer(text, (size_t)length);
        if (reply == NULL)
            error = ERROR_MEMORY;
        else if (!send_reply(socket_fd, reply))
            break;
    }
    free(text);
    return error;
}

int compose_reply_parse(struct message_result *out, char *why, size_t why_size, const char *text,
                        size_t length)
{
    json_t *root = length > COMPOSE_REPLY_MAX ? NULL : json_loadb(text, length, 0, NULL);
    json_t *ok = json_object_get(root, "ok");
    json_int_t error = json_integer_value(json_object_get(root, "error"));
    const char *words = json_string_value(json_object_get(root, "why"));
    int result = 0;

    if (!json_is_boolean(ok) || (json_is_false(ok) && (error >= 0 || error < -1000))) {
        text_copy(why, why_size, "the compose role gave no proper reply");
        result = ERROR_FORMAT;
    } else if (json_is_false(ok)) {
        template_clean_text(why, why_size, words, why_size);
        result = (int)error;
    } else {
        out->bytes = json_integer_value(json_object_get(root, "bytes"));
        out->pages = (int)json_integer_value(json_object_get(root, "pages"));
        out->unreadable = (int)json_integer_value(json_object_get(root, "unreadable"));
    }
    json_decref(root);
    return result;
}
