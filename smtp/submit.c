/* SPDX-License-Identifier: MIT */
/*
 * submit.c - what all transports have in common.
 */
#include "smtp/submit.h"

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
