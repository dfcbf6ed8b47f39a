/* SPDX-License-Identifier: MIT */
/*
 * submit.c - what all transports have in common.
 */
#include "smtp/submit.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/text.h"
#include "smtp/submit_session.h"

const struct submit_transport *submit_transport_for(const struct server *server)
{
    if (server->tls == SERVER_TLS_IMPLICIT || server->auth == SERVER_AUTH_XOAUTH2)
        return &submit_curl;
    return &submit_esmtp;
}

int submit_prepare(void)
{
    int error = submit_esmtp.prepare();

    return error == 0 ? submit_curl.prepare() : error;
}

const struct failure *submit_failure_of(const struct submit_request *request,
                                        const struct submit_result *result, int recipient)
{
    const struct failure *own = &request->recipients[recipient].failure;

    return own->event == EVENT_REPLY ? own : &result->failure;
}

int submit_session_open(struct submit_session **out, const struct server *server, char *why,
                        size_t why_size)
{
    struct submit_session *session = calloc(1, sizeof *session);
    int error;

    text_copy(why, why_size, "out of memory");
    if (session == NULL)
        return ERROR_MEMORY;
    session->server = *server;
    error = login_new(&session->login, server, why, why_size);
    if (error == 0 && server->tls != SERVER_TLS_NONE)
        error = trust_new(&session->trust, server, why, why_size);
    if (error < 0) {
        submit_session_close(session);
        return error;
    }
    *out = session;
    return 0;
}

void submit_session_close(struct submit_session *session)
{
    if (session == NULL)
        return;
    trust_free(session->trust);
    login_free(session->login);
    free(session);
}
