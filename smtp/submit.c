/* SPDX-License-Identifier: MIT */
/*
 * submit.c - what all transports have in common.
 */
#include "smtp/submit.h"

const struct submit_transport *submit_transport_for(const struct server *server)
{
    (void)server; /* implicit TLS and XOAUTH2 will have one of their own */
    return &submit_esmtp;
}

const struct failure *submit_failure_of(const struct submit_request *request,
                                        const struct submit_result *result, int recipient)
{
    const struct failure *own = &request->recipients[recipient].failure;

    return own->event == EVENT_REPLY ? own : &result->failure;
}
