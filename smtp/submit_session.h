/* SPDX-License-Identifier: MIT */
/*
 * submit_session.h - what either transport keeps for a server: its settings, whom it trusts, how it
 * logs in. For the transports only.
 */
#ifndef FAXPOST_SMTP_SUBMIT_SESSION_H
#define FAXPOST_SMTP_SUBMIT_SESSION_H

#include <stddef.h>

#include "policy/server.h"
#include "smtp/login.h"
#include "smtp/trust.h"

struct submit_session {
    struct server server;
    struct trust *trust; /* NULL without TLS */
    struct login *login;
};

/* As submit_transport.open and .close say. */
int submit_session_open(struct submit_session **out, const struct server *server, char *why,
                        size_t why_size);
void submit_session_close(struct submit_session *session);

#endif
