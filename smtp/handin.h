/* SPDX-License-Identifier: MIT */
/*
 * handin.h - a message of one's own into the spool: RFC 5322 text is checked and brought into the
 * form in which it is sent, byte by byte the same at every attempt.
 */
#ifndef FAXPOST_SMTP_HANDIN_H
#define FAXPOST_SMTP_HANDIN_H

#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "policy/route.h"
#include "spool/spool.h"

enum {
    HANDIN_TO_MAX = 64,
    HANDIN_LINE_MAX = 998,                /* RFC 5322 2.1.1, without CRLF */
    HANDIN_HEADER_BYTES_MAX = 256 * 1024, /* of all fields */
    HANDIN_WHY_MAX = 300,
};

/* Settings it goes by. */
struct handin_settings {
    int64_t message_bytes;                 /* [limits] */
    char hostname[256];                    /* behind the '@' of a Message-ID */
    char envelope_from[ROUTE_ADDRESS_MAX]; /* where the request names none */
};

int handin_settings_load(struct handin_settings *out, const struct conf *faxpost);

/* What was found in a message, or added to it. */
struct handin_message {
    char message_id[SPOOL_MESSAGE_ID_MAX]; /* without <> */
    char subject[SPOOL_SUBJECT_MAX];
    int64_t bytes;
};

/* Reads a message from the beginning of from_fd (a file, not a pipe) and writes it to to_fd: line
 * ends become CRLF, Bcc fields go, Date, Message-ID (made of id) and From (made of from) are added
 * where missing. ERROR_FORMAT or ERROR_LIMIT with why[] for people: no header, a line over 998
 * octets, NUL or a bare CR, fields that may stand once only standing twice, too large. */
int handin_convert(int from_fd, int to_fd, const struct handin_settings *settings, const char *id,
                   const char *from, struct handin_message *out, char why[HANDIN_WHY_MAX]);

struct handin_request {
    const char *from; /* envelope sender; NULL: that of the settings */
    const char *const *to;
    int to_count;
    enum spool_bypass bypass;
};

/* The whole: durable in the spool with its deliveries when it returns 0; then its identity is in
 * out_id. fd must be a memfd sealed against changes, so that reading can neither block nor see two
 * contents. Not closed. */
int handin_accept(struct spool *spool, const struct handin_settings *settings, int fd,
                  const struct handin_request *request, char out_id[FAX_ID_MAX],
                  char why[HANDIN_WHY_MAX]);

/* "Sat, 21 Nov 2026 10:15:30 +0000" (RFC 5322 3.3) */
enum { HANDIN_DATE_MAX = 40 };
char *handin_date(char out[HANDIN_DATE_MAX], int64_t wall_ms);

#endif
