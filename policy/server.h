/* SPDX-License-Identifier: MIT */
/*
 * server.h - the SMTP servers of servers.ini in order of rank (spec/failover.md, "server list").
 */
#ifndef FAXPOST_POLICY_SERVER_H
#define FAXPOST_POLICY_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/conf.h"

enum {
    SERVER_NAME_MAX = 33, /* with NUL */
    SERVER_TEXT_MAX = 256,
    SERVER_PATH_MAX = 512,
    SERVER_COUNT_MAX = 32,
};

enum server_tls { SERVER_TLS_NONE, SERVER_TLS_STARTTLS, SERVER_TLS_IMPLICIT };
enum server_auth {
    SERVER_AUTH_NONE,
    SERVER_AUTH_PLAIN,
    SERVER_AUTH_LOGIN,
    SERVER_AUTH_CRAM_MD5,
    SERVER_AUTH_XOAUTH2,
};

struct server {
    char name[SERVER_NAME_MAX]; /* letters, digits, '.', '_', '-': deliveries remember it */
    int rank;                   /* unique; the lowest is "rank 1" of the spec */
    char host[SERVER_TEXT_MAX]; /* name, IPv4 or IPv6 address, without brackets */
    int port;
    enum server_tls tls;
    enum server_auth auth;
    char user[SERVER_TEXT_MAX];
    char password_file[SERVER_PATH_MAX];
    char token_file[SERVER_PATH_MAX];    /* for XOAUTH2: one of the two */
    char token_command[SERVER_PATH_MAX]; /* program and arguments, divided by blanks */
    int connections;                     /* most at once */
    int authority;                       /* least a sender needs for bypass */
    char ca_file[SERVER_PATH_MAX];
    char fingerprint[65]; /* 64 hexadecimal digits in lower case, or "" */
};

struct server_list {
    bool configured; /* there is a servers.ini, even if no server is in it */
    int count;
    struct server server[SERVER_COUNT_MAX]; /* by rank */
};

/* Reads and checks servers.ini; conf NULL means that there is none: an empty list. Every problem is
 * reported (the handler may be NULL). ERROR_CONFIG when there was one. */
int server_list_load(struct server_list **out, const struct conf *conf,
                     conf_problem_handler *problem, void *user);
void server_list_free(struct server_list *list);

/* Place of a server in the list, or -1. */
int server_list_find(const struct server_list *list, const char *name);

#endif
