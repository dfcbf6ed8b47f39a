/* SPDX-License-Identifier: MIT */
/*
 * submit.h - a submission transport: a few functions that send one message over a socket that is
 * connected already. Name, time-out, address and TCP_NODELAY are the caller's (smtp/connect.h).
 *
 * Every stage has an absolute deadline; a transfer that stalls never becomes a shorter message; an
 * end is either known or called uncertain; nothing is sent in clear that the settings want
 * encrypted.
 */
#ifndef FAXPOST_SMTP_SUBMIT_H
#define FAXPOST_SMTP_SUBMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/failure.h"
#include "policy/server.h"
#include "smtp/deadline.h"

enum { SUBMIT_RECIPIENTS_MAX = 100 };

struct submit_timeouts { /* [timeouts], milliseconds */
    int64_t connect, greeting, command, data, final;
};

struct submit_recipient {
    const char *address;
    struct failure failure; /* set: EVENT_NONE, the server takes the message for this recipient */
};

struct submit_result;

struct submit_request {
    const char *message_path; /* lines end in CRLF; sent as it is */
    int message_fd;           /* the same where message_path is NULL; stays the caller's */
    int64_t message_bytes;    /* what the file must have; 0: unknown */
    const char *envelope_from;
    const char *hello; /* for EHLO */
    struct submit_recipient *recipients;
    int recipient_count;
    const struct submit_timeouts *timeouts;
    /* Called at once when a greeting came that welcomes us. NULL is fine. */
    void (*greeted)(void *user);
    /* Several messages by one connection: called when this one was taken and the connection is good
     * for another. True: the request was filled with the next message. NULL, or a transport that
     * never calls it: one message. Only message, sender and recipients may change. */
    bool (*next)(void *user, const struct submit_result *result);
    void *user;
};

struct submit_result {
    /* The transaction as a whole. EVENT_NONE: at least one recipient's message was taken, and text
     * is the server's reply. Recipients are judged by their own replies first:
     * submit_failure_of(). */
    struct failure failure;
    int local_error; /* negative: it failed on our side (file, memory), no server is to blame */
    bool greeted;    /* the server gave a greeting: it lives */
    bool not_begun;  /* a further message whose connection had ended before: no failure of it */
    bool again;      /* a token was out of date and there is a newer one: connect once more */
};

/* What a transport keeps for a server: TLS context, password. */
struct submit_session;

struct submit_transport {
    const char *name;
    /* Makes the library ready; once, before other threads exist. */
    int (*prepare)(void);
    /* Reads password and certificates. ERROR_CONFIG or another negative error, why[] says what is
     * wrong. */
    int (*open)(struct submit_session **out, const struct server *server, char *why,
                size_t why_size);
    void (*close)(struct submit_session *session); /* NULL is fine */
    /* Sends. fd stays the caller's. Any number of threads at once with the same session. */
    void (*send)(struct submit_session *session, int fd, struct deadline_thread *deadlines,
                 struct submit_request *request, struct submit_result *out);
};

/* The transport that serves a server. */
const struct submit_transport *submit_transport_for(const struct server *server);

/* prepare() of all of them. */
int submit_prepare(void);

extern const struct submit_transport submit_esmtp; /* plain and STARTTLS */
extern const struct submit_transport submit_curl;  /* TLS from the first octet; XOAUTH2 */

/* How it went for one recipient: its own reply where that was a refusal, else the whole. */
const struct failure *submit_failure_of(const struct submit_request *request,
                                        const struct submit_result *result, int recipient);

#endif
