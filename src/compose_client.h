/* SPDX-License-Identifier: MIT */
/*
 * compose_client.h - deliver's end of the socket to compose: asks, waits, and gives up in time.
 */
#ifndef FAXPOST_SRC_COMPOSE_CLIENT_H
#define FAXPOST_SRC_COMPOSE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/route.h"
#include "spool/spool.h"
#include "src/settings.h"

struct compose_client;

/* stuck(): compose did not answer in time; called on the asking thread, has to lead to a new
 * compose and a new socket. */
int compose_client_new(struct compose_client **out, const struct settings *settings,
                       void (*stuck)(void));
void compose_client_free(struct compose_client *client);

/* Templates and names for requests from now on. Any thread. */
void compose_client_settings(struct compose_client *client, const struct settings *settings);

/* The socket to use from now on, which becomes the client's. Any thread. */
void compose_client_socket(struct compose_client *client, int fd);

/* The daemon ends: whoever waits for a socket gets ERROR_CLOSED. Any thread. */
void compose_client_close(struct compose_client *client);

/* The compose hook of dispatch.h; user is the client. One call at a time. */
int compose_client_ask(void *user, const struct spool_fax *fax, const struct route *route,
                       const char *message_id, bool plain, int64_t *out_message_bytes, char *why,
                       size_t why_size);

#endif
