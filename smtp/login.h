/* SPDX-License-Identifier: MIT */
/*
 * login.h - what a server wants to see at login: a password, or a token that somebody else keeps
 * fresh (XOAUTH2). Neither is ever logged.
 */
#ifndef FAXPOST_SMTP_LOGIN_H
#define FAXPOST_SMTP_LOGIN_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/server.h"

enum {
    LOGIN_PASSWORD_MAX = 256, /* with NUL */
    LOGIN_TOKEN_MAX = 8192,
    LOGIN_COMMAND_MS = 30000, /* token_command may take so long */
};

struct login; /* one for each server; any number of threads */

struct login_token {
    char text[LOGIN_TOKEN_MAX]; /* wipe it after use */
    unsigned number;            /* which token of this login it is */
    bool fresh;                 /* it was fetched for this very call */
};

/* Reads the password. ERROR_CONFIG, ERROR_MEMORY; why[] says what is wrong. A token is not fetched
 * before it is needed. */
int login_new(struct login **out, const struct server *server, char *why, size_t why_size);
void login_free(struct login *login); /* NULL is fine */

const char *login_user(const struct login *login);
const char *login_password(const struct login *login);

/* A token by file (read each time) or by command (kept until the server refuses it). Blocks at most
 * LOGIN_COMMAND_MS; is_over (may be NULL) is asked meanwhile whether to give up. why[] says what is
 * wrong, without any of the command's output. */
int login_token(struct login *login, struct login_token *out, bool (*is_over)(void *user),
                void *user, char *why, size_t why_size);

/* The server refused this token. True: there is or may be a newer one, so once more is worth it. */
bool login_token_refused(struct login *login, const struct login_token *token);

/* "PLAIN"; NULL without login. */
const char *login_mechanism(enum server_auth auth);

/* Without TLS a password goes no further than this machine: fd is the connected socket. */
bool login_is_safe(const struct server *server, int fd);

#endif
