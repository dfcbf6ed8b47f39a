/* SPDX-License-Identifier: MIT */
/*
 * report_direct.c - connect and send, without the spool and its ways to try again: whoever wants it
 * sent asks again.
 */
#include "smtp/report_direct.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "smtp/connect.h"
#include "smtp/submit.h"
#include "smtp/worker.h"

static int try_server(struct engine *engine, const struct tables *tables, int index,
                      struct submit_request *request)
{
    const struct server *server = &tables->servers->server[index];
    char address[CONNECT_ADDRESS_MAX];
    struct submit_result result;
    struct failure why;
    int fd = connect_open(engine->resolver, server->host, server->port, tables->timeouts.connect,
                          engine->stop_fd, address, &why);

    if (fd < 0) {
        log_warning("report not sent server=%s address=%s: %s", server->name, address,
                    LOG_ESCAPED(why.text));
        return fd;
    }
    submit_transport_for(server)->send(tables->session[index], fd, engine->deadlines, request,
                                       &result);
    close(fd);
    if (result.local_error != 0)
        return result.local_error;
    if (result.failure.event == EVENT_NONE) {
        log_info("report sent past the spool server=%s address=%s reply=%s", server->name, address,
                 LOG_ESCAPED(result.failure.text));
        return 0;
    }
    log_warning("report not sent server=%s address=%s stage=%s reply=%s", server->name, address,
                failure_stage_text(result.failure.stage), LOG_ESCAPED(result.failure.text));
    return ERROR_IO;
}

int report_direct_send(void *user, const struct tables *tables, int message_fd,
                       int64_t message_bytes)
{
    const struct route *people = route_list_operator(tables->routes);
    struct submit_recipient to[ROUTE_TO_MAX];
    int error = ERROR_NOT_FOUND;

    for (int i = 0; error < 0 && i < tables->servers->count; i++) {
        struct submit_request request = {.message_fd = message_fd,
                                         .message_bytes = message_bytes,
                                         .envelope_from = tables->envelope_from,
                                         .hello = tables->hello,
                                         .recipients = to,
                                         .recipient_count = people->to_count,
                                         .timeouts = &tables->timeouts};

        for (int j = 0; j < people->to_count; j++)
            to[j] = (struct submit_recipient){.address = people->to[j]};
        error = try_server(user, tables, i, &request);
    }
    return error;
}
