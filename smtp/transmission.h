/* SPDX-License-Identifier: MIT */
/*
 * transmission.h - what every transport does around its library: the deadline of each reply, the
 * message file, and the judgement of how it ended.
 */
#ifndef FAXPOST_SMTP_TRANSMISSION_H
#define FAXPOST_SMTP_TRANSMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "smtp/deadline.h"
#include "smtp/dialogue.h"
#include "smtp/submit.h"

/* One message over one connection; belongs to the thread that sends. */
struct transmission {
    const struct server *server;
    struct submit_request *request;
    struct deadline_thread *deadlines;
    struct deadline deadline;
    struct dialogue dialogue;
    enum dialogue_command timed; /* whose reply the deadline is set for */
    int awaited_count;
    int fd; /* the caller's */
    int message_fd;
    int64_t offset, length; /* of the message */
    bool broken;            /* no further octet of the message may be handed over */
    bool told_greeting;
    bool has_8bit;       /* the message has octets beyond ASCII (RFC 6152) */
    bool announced_8bit; /* and the server was, or will be, told so in MAIL */
    int local_error;
};

/* The whole of a transport's send(): opens and checks the message, calls transmit(), fills *out and
 * the recipients' failures. transmission is zeroed (NULL: out of memory). */
void transmission_run(struct transmission *transmission, const struct server *server, int fd,
                      struct deadline_thread *deadlines, struct submit_request *request,
                      struct submit_result *out,
                      void (*transmit)(struct transmission *transmission));

/* transmit() is between these two: the socket is watched; conclude() takes it off and, where there
 * is no outcome yet, tells a deadline that fired from a connection that was lost. */
void transmission_begin(struct transmission *transmission);
void transmission_conclude(struct transmission *transmission);

/* The message was accepted: is there another for the same connection? True: it is open and the
 * dialogue awaits its MAIL. Once it gave false the library is to say QUIT. */
bool transmission_next(struct transmission *transmission);

/* Ends the connection: nothing that a library still writes reaches the server. */
void transmission_cut(struct transmission *transmission);

/* After each step of the dialogue: sets the deadline of the reply that is awaited, once for each,
 * so that a server that trickles octets gets no more time. */
void transmission_watch(struct transmission *transmission);

/* The octets are sent or were received: fed to the dialogue, which may cut it off. */
void transmission_sent(struct transmission *transmission, const char *data, size_t length);
void transmission_received(struct transmission *transmission, char *data, size_t length);

void transmission_tls_started(struct transmission *transmission);

/* The message has 8-bit octets and the server takes the announcement of them: BODY=8BITMIME. */
bool transmission_may_announce_8bit(const struct transmission *transmission);

/* A block of the message went out: the next one gets its own time. */
void transmission_block_done(struct transmission *transmission);

/* All of the message went out, or is about to: the dot may follow. */
void transmission_content_done(struct transmission *transmission);

/* The connection is good for more of the message. A server that closed its side will not answer. */
bool transmission_is_alive(struct transmission *transmission);

/* The next octets of the message; 0 at its end; negative: local_error is set. */
ssize_t transmission_read(struct transmission *transmission, char *out, size_t size);

#endif
