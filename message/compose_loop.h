/* SPDX-License-Identifier: MIT */
/*
 * compose_loop.h - the body of the compose role: requests come in by a socket, replies go back.
 *
 * The socket is of type SOCK_SEQPACKET. One datagram holds one request, the JSON of
 * message_request_format(), and is answered by one datagram:
 *   {"ok": true, "bytes": 12345, "pages": 3, "unreadable": 0}
 *   {"ok": false, "error": -4, "why": "in words"}          error: a code of base/error.h
 * Requests are answered one after the other, in order. The asking side sets a time-out and gives
 * the role a new socket, and a new process, when it does not answer.
 */
#ifndef FAXPOST_MESSAGE_COMPOSE_LOOP_H
#define FAXPOST_MESSAGE_COMPOSE_LOOP_H

#include <stddef.h>

#include "message/message.h"

enum { COMPOSE_REPLY_MAX = 4096 };

/* Serves until the other side closes the socket (0) or the socket fails (ERROR_IO). Call
 * message_library_init() before. */
int compose_serve(int socket_fd);

/* The asking side's half of the format: reads a reply. 0 when the message was composed, else the
 * error of the reply, with its words in why; ERROR_FORMAT when it is no reply at all. */
int compose_reply_parse(struct message_result *out, char *why, size_t why_size, const char *text,
                        size_t length);

#endif
