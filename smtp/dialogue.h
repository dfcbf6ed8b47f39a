/* SPDX-License-Identifier: MIT */
/*
 * dialogue.h - listens to an SMTP dialogue (RFC 5321) and knows at every moment how far it has
 * come, what the server said, and whether it may go on.
 *
 * It is fed with what a transport library sends and receives, in order, up to the message itself.
 * No I/O and no clock: the transport asks what is awaited and sets its own deadlines.
 */
#ifndef FAXPOST_SMTP_DIALOGUE_H
#define FAXPOST_SMTP_DIALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/failure.h"

enum {
    DIALOGUE_RECIPIENTS_MAX = 100, /* RFC 5321 4.5.3.1.8 */
    DIALOGUE_LINE_MAX = 1000,      /* of a reply; RFC 5321 allows 512 */
    DIALOGUE_REPLY_MAX = 65536,    /* all lines of a reply */
};

/* What the next reply is an answer to. */
enum dialogue_command {
    DIALOGUE_NOTHING,
    DIALOGUE_GREETING,
    DIALOGUE_EHLO,
    DIALOGUE_HELO,
    DIALOGUE_STARTTLS,
    DIALOGUE_AUTH,
    DIALOGUE_MAIL,
    DIALOGUE_RCPT,
    DIALOGUE_DATA,
    DIALOGUE_FINAL,
    DIALOGUE_OTHER,
    DIALOGUE_QUIT,
};

struct dialogue_reply {
    int code;
    int enhanced[3];
    char text[FAILURE_TEXT_MAX]; /* with the code, lines joined, printable */
};

struct dialogue {
    /* set by the owner before the first octet */
    bool need_tls, need_auth;
    const char *mechanism; /* "PLAIN": the only one the library may see; NULL without login */
    int64_t message_bytes; /* 0: unknown */
    int recipients;

    /* what is known; read only for the owner */
    bool tls, authenticated;
    bool starttls_offered, auth_offered, mime8_offered;
    int64_t size_limit; /* announced SIZE, 0: none */
    bool content;       /* 354 was given */
    bool content_done;  /* all of the message was handed over: the dot goes or went out */
    bool accepted;      /* the final reply was 2yz */
    bool quit;          /* QUIT was sent: nothing that comes matters any more */
    bool greeted;       /* the server gave a greeting, good or bad */
    int accepted_recipients;
    bool later;       /* not the first message of the connection */
    bool mail_sent;   /* MAIL was sent, and */
    bool mail_judged; /* answered other than by the end of the connection */
    bool failed;      /* failure is set */
    struct failure failure;
    struct dialogue_reply last;                        /* the last complete reply */
    struct dialogue_reply final;                       /* the one that accepted the message */
    struct failure recipient[DIALOGUE_RECIPIENTS_MAX]; /* EVENT_NONE and text: accepted */
    int recipients_judged;

    /* inner state */
    enum dialogue_command awaited[DIALOGUE_RECIPIENTS_MAX + 16]; /* in order */
    int awaited_count;
    bool in_auth;       /* lines that we send are credentials */
    char sent_line[16]; /* its beginning */
    size_t sent_length;
    char line[DIALOGUE_LINE_MAX + 1];
    size_t line_length, reply_bytes;
    int reply_lines;
    size_t token_at; /* within an AUTH line: where the token began */
    bool token_fits;
    struct dialogue_reply building;
};

/* After the owner set its fields: awaits the greeting. */
void dialogue_begin(struct dialogue *dialogue);

/* After dialogue_begin(): the handshake comes first, then the greeting (RFC 8314 3). */
void dialogue_tls_first(struct dialogue *dialogue);

/* What is sent, what was received. False: it must not go on; the owner cuts the connection before
 * anything else is sent. dialogue_received() changes EHLO replies in place: extensions and login
 * mechanisms that the library must not use are made unrecognizable. */
bool dialogue_sent(struct dialogue *dialogue, const char *data, size_t length);
bool dialogue_received(struct dialogue *dialogue, char *data, size_t length);

/* TLS stands; what the server said before is void. */
void dialogue_tls_started(struct dialogue *dialogue);

/* A further message on the same connection, after one that was accepted. */
void dialogue_next(struct dialogue *dialogue, int recipients, int64_t message_bytes);

/* Of a further message nothing was begun when the connection ended. */
bool dialogue_is_unbegun(const struct dialogue *dialogue);

/* The whole message was handed over. */
void dialogue_content_done(struct dialogue *dialogue);

/* What is awaited now. */
enum dialogue_command dialogue_awaited(const struct dialogue *dialogue);

/* The stage it has reached. */
enum failure_stage dialogue_stage(const struct dialogue *dialogue);

/* The connection is over: where there is no outcome yet, it is this event, in these words. */
void dialogue_end(struct dialogue *dialogue, enum failure_event event, const char *words);

/* Our own end of it, once: the first failure counts. */
void dialogue_fail(struct dialogue *dialogue, enum failure_stage stage, enum failure_event event,
                   const char *words);

#endif
