/* SPDX-License-Identifier: MIT */
/*
 * server_reply.h - reads the replies of a mail server (RFC 5321 4.2.1) for server_probe.c: every
 * octet is a stranger's, and what comes out can be shown to people as it is.
 */
#ifndef FAXPOST_SRC_SERVER_REPLY_H
#define FAXPOST_SRC_SERVER_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "policy/failure.h"

enum {
    SERVER_REPLY_LINE_MAX = 1000,   /* octets; RFC 5321 allows 512 */
    SERVER_REPLY_BYTES_MAX = 65536, /* of all lines of a reply */
};

struct server_reply {
    /* set by the owner: more octets, as read() gives them; 0 or negative at the end */
    ssize_t (*fill)(void *user, char *out, size_t size);
    void *user;

    /* the last reply */
    int code;                    /* 0: it was none */
    char text[FAILURE_TEXT_MAX]; /* its lines joined, printable; or why it is none */
    bool offers_starttls, offers_plain, offers_login, offers_xoauth2;

    /* received and not read yet */
    char in[4096];
    size_t in_at, in_length;
};

/* A whole reply. 0; ERROR_IO: the connection ended before; ERROR_LIMIT: a line, or the whole,
 * without end; ERROR_FORMAT: this is no SMTP. */
int server_reply_read(struct server_reply *reply);

/* Octets came that belong to no reply read so far. */
bool server_reply_is_ahead(const struct server_reply *reply);

#endif
