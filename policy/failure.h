/* SPDX-License-Identifier: MIT */
/*
 * failure.h - how a transmission ended, and the class of its failure: the table of
 * spec/failover.md, first match.
 */
#ifndef FAXPOST_POLICY_FAILURE_H
#define FAXPOST_POLICY_FAILURE_H

#include <stdbool.h>

/* How far a transmission had come. */
enum failure_stage {
    STAGE_NAME, /* resolving the server's name */
    STAGE_TCP,
    STAGE_GREETING,
    STAGE_EHLO,
    STAGE_STARTTLS, /* the command and the handshake */
    STAGE_AUTH,
    STAGE_MAIL,
    STAGE_RCPT,
    STAGE_DATA,    /* the command: 354 expected */
    STAGE_CONTENT, /* the message, before its final dot was sent */
    STAGE_FINAL,   /* the dot was sent */
    STAGE_COUNT,
};

enum failure_event {
    EVENT_NONE,        /* success */
    EVENT_REPLY,       /* the server answered with `code` */
    EVENT_NO_NAME,     /* the name does not exist */
    EVENT_RESOLVER,    /* no address, or the resolver is silent */
    EVENT_REFUSED,     /* TCP: refused, unreachable */
    EVENT_TIMEOUT,     /* nothing in time */
    EVENT_LOST,        /* closed or reset by the other side, or a reply that is none */
    EVENT_NOT_OFFERED, /* STARTTLS or AUTH is needed and the server does not offer it */
    EVENT_TLS,         /* handshake, certificate or name */
    EVENT_TOO_LARGE,   /* larger than the announced SIZE: not tried */
    EVENT_COUNT,
};

enum failure_class {
    FAILURE_NONE,        /* success */
    FAILURE_CONNECTION,  /* S2: next server at once */
    FAILURE_SERVER,      /* S8 */
    FAILURE_TEMPORARY,   /* S7: same server after a wait */
    FAILURE_DESTINATION, /* S6: the end */
    FAILURE_REFUSED,     /* the message: this server is struck off */
    FAILURE_TOO_LARGE,   /* the same */
    FAILURE_UNCERTAIN,   /* the server may have it */
    FAILURE_MORE,        /* no failure: the rest goes in a further transaction */
    FAILURE_CLASS_COUNT,
};

enum { FAILURE_TEXT_MAX = 512 };

struct failure {
    enum failure_stage stage;
    enum failure_event event;
    int code;                    /* three digits, 0 without a reply */
    int enhanced[3];             /* RFC 3463; 0.0.0 without */
    char text[FAILURE_TEXT_MAX]; /* the server's reply with its code, or our words; printable */
};

/* The class of a failure; *out_alarm (may be NULL) says whether the settings are probably wrong. */
enum failure_class failure_classify(const struct failure *failure, bool *out_alarm);

/* Words for log and transmission log: "temporary error", "RCPT". Never NULL. */
const char *failure_class_text(enum failure_class class);
const char *failure_stage_text(enum failure_stage stage);

#endif
