/* SPDX-License-Identifier: MIT */
/*
 * submit_rig.h - what the tests of both transports share: a folder with messages and certificates,
 * and tables of rows that run some at a time, each with a scripted server and a client of its own.
 */
#ifndef FAXPOST_TEST_SUBMIT_RIG_H
#define FAXPOST_TEST_SUBMIT_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "smtp/deadline.h"
#include "smtp/resolve.h"
#include "smtp/submit.h"

enum { RIG_SHORT_MS = 400, SUBMIT_WORDS_MAX = 40 };

struct submit_rig {
    const struct submit_transport *transport; /* that is tested */
    enum server_tls tls;                      /* of rows that do not say starttls */
    int command_ms;                           /* [timeouts] command where it is to run out */
    char folder[100]; /* small, big, ascii, password, token, long; the certificates of smtp_script.h
                       */
    struct deadline_thread *deadlines;
    struct resolver *resolver;
    char *small, *big; /* the messages: dots, long lines, 8-bit text */
    size_t small_length, big_length;
    char self_print[65], wrong_print[65]; /* SHA-256 of these certificates */
};
extern struct submit_rig rig;

int submit_rig_open(const struct submit_transport *transport, enum server_tls tls, int command_ms);
int submit_rig_close(void);

struct submit_row {
    const char *name;
    const char *script[SUBMIT_WORDS_MAX];
    enum failure_stage stage;
    enum failure_event event;
    int code;
    const char *text; /* within the failure's text */
    enum failure_class class;
    enum server_auth auth;
    const char
        *trust;    /* NULL: the test authority; "none": the system's; else a fingerprint's file */
    bool big, two; /* message, recipients */
    bool ascii;    /* another message: one line, 7-bit */
    bool received; /* the server got the whole message, octet for octet */
    bool starttls;
    bool any_event; /* versions of a library differ; the class does not */
    const char *host;
    const char *token; /* file in the folder, or a command behind a '!' */
};

/* What a row that succeeds has for stage and event; and whose message arrives. */
#define OK_  STAGE_FINAL, EVENT_NONE
#define GOOD .class = FAILURE_NONE, .received = true

/* Parts of scripts. */
#define GREET "S:220 fake ESMTP", "C:EHLO gw.example.com"
#define HELLO GREET, "S:250-fake", "S:250-ENHANCEDSTATUSCODES", "S:250 SIZE 1000000"
#define MAIL  "C:MAIL FROM:<op@example.com>", "S:250 2.1.0 ok"
#define RCPT  "C:RCPT TO:<a@example.com>", "S:250 2.1.5 ok"
#define DATA_ "C:DATA", "S:354 go", "DATA"
#define BYE   "C:QUIT", "S:221 bye", "CLOSE"

/* Rows for both transports; where TLS is implicit its handshake comes before each script. */
extern const struct submit_row submit_common_rows[];
extern const size_t submit_common_row_count;

/* Runs these rows and the common ones; prints a line for each and fails the test when one is wrong.
 */
void submit_rig_run(const struct submit_row *rows, size_t count);

/* Sends a file of the folder, of so many octets (0: not said), by a connection, or by none (-1). */
void submit_rig_send(struct submit_session *session, int fd, const char *name, int64_t bytes,
                     const char *recipient, struct submit_result *result);

/* The settings of a row's server. */
void submit_rig_describe(struct server *server, const struct submit_row *row, int port);

#endif
