/* SPDX-License-Identifier: MIT */
/*
 * server.c - reads [server NAME], checks each against itself and the others, sorts by rank.
 */
#include "policy/server.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

struct checker {
    const struct conf *conf;
    conf_problem_handler *problem;
    void *user;
    int problems;
};

static void complain(struct checker *checker, const char *name, const char *key, const char *what)
{
    checker->problems++;
    if (checker->problem != NULL)
        checker->problem(checker->user, conf_file(checker->conf),
                         conf_line(checker->conf, "server", name, key), what);
}

/* Names stand in the deliveries' memory and in logs: no octet in them may mean anything there. */
static bool name_is_valid(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    return n > 0 && name[n] == '\0' && n < SERVER_NAME_MAX;
}

/* A host name (letters, digits, '-', '_', '.'), IPv4 or IPv6 address with or without brackets. */
static bool read_host(struct server *server, const char *text)
{
    size_t length = strlen(text);
    unsigned char address[16];

    if (length > 2 && text[0] == '[' && text[length - 1] == ']') {
        if (length - 2 >= sizeof server->host)
            return false;
        memcpy(server->host, text + 1, length - 2);
        server->host[length - 2] = '\0';
        return inet_pton(AF_INET6, server->host, address) == 1;
    }
    if (length == 0 || !text_copy(server->host, sizeof server->host, text))
        return false;
    if (strchr(text, ':') != NULL)
        return inet_pton(AF_INET6, text, address) == 1;
    return text[0] != '-' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               length;
}

/* SHA-256 with or without colons, in any case. */
static bool read_fingerprint(char out[65], const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++) {
        if (*text == ':' || *text == ' ')
            continue;
        if (!isxdigit((unsigned char)*text) || n == 64)
            return false;
        out[n++] = (char)tolower((unsigned char)*text);
    }
    out[n] = '\0';
    return n == 64;
}

static const char *text_of(const struct checker *checker, const char *name, const char *key)
{
    const char *text = conf_text(checker->conf, "server", name, key);

    return text != NULL ? text : "";
}

static void check_token(struct checker *checker, const struct server *server, const char *name)
{
    if (server->tls == SERVER_TLS_NONE)
        complain(checker, name, "tls", "auth = xoauth2 needs tls = starttls or implicit");
    if (server->user[0] == '\0')
        complain(checker, name, "user", "auth needs a user");
    if (server->password_file[0] != '\0')
        complain(checker, name, "password_file", "auth = xoauth2 takes a token, not a password");
    if ((server->token_file[0] != '\0') == (server->token_command[0] != '\0'))
        complain(checker, name, "auth", "auth = xoauth2 needs a token_file or a token_command");
}

static void check_login(struct checker *checker, const struct server *server, const char *name)
{
    if (server->auth == SERVER_AUTH_XOAUTH2) {
        check_token(checker, server, name);
        return;
    }
    if (server->token_file[0] != '\0' || server->token_command[0] != '\0')
        complain(checker, name, "auth", "a token without auth = xoauth2");
    if (server->auth == SERVER_AUTH_NONE) {
        if (server->user[0] != '\0' || server->password_file[0] != '\0')
            complain(checker, name, "user", "a login without auth; set auth = plain or login");
        return;
    }
    /* libesmtp looks for its plugin under a name that no package installs. */
    if (server->auth == SERVER_AUTH_CRAM_MD5)
        complain(checker, name, "auth", "auth = cram-md5 is not built in; use plain with starttls");
    if (server->user[0] == '\0')
        complain(checker, name, "user", "auth needs a user");
    if (server->password_file[0] == '\0')
        complain(checker, name, "password_file", "auth needs a password_file");
}

static void read_texts(struct checker *checker, struct server *server, const char *name)
{
    const char *fingerprint = text_of(checker, name, "fingerprint");

    if (!name_is_valid(name))
        complain(checker, name, "rank",
                 "a server's name is 1 to 32 letters, digits, '.', '_' and '-'; rename [server …]");
    text_copy(server->name, sizeof server->name, name);
    if (!read_host(server, text_of(checker, name, "host")))
        complain(checker, name, "host", "host is a name, an IPv4 or an IPv6 address");
    /* libesmtp copies name and password into a buffer for 255 octets each (RFC 4616). */
    if (!text_copy(server->user, sizeof server->user, text_of(checker, name, "user")))
        complain(checker, name, "user", "user is longer than 255 octets");
    if (!text_copy(server->password_file, sizeof server->password_file,
                   text_of(checker, name, "password_file")))
        complain(checker, name, "password_file", "path too long");
    if (!text_copy(server->token_file, sizeof server->token_file,
                   text_of(checker, name, "token_file")))
        complain(checker, name, "token_file", "path too long");
    if (!text_copy(server->token_command, sizeof server->token_command,
                   text_of(checker, name, "token_command")))
        complain(checker, name, "token_command", "longer than 511 octets; put it into a script");
    if (!text_copy(server->ca_file, sizeof server->ca_file, text_of(checker, name, "ca_file")))
        complain(checker, name, "ca_file", "path too long");
    if (fingerprint[0] != '\0' && !read_fingerprint(server->fingerprint, fingerprint))
        complain(checker, name, "fingerprint",
                 "fingerprint is 64 hexadecimal digits: openssl x509 -fingerprint -sha256");
}

static void read_server(struct checker *checker, struct server *server, const char *name)
{
    read_texts(checker, server, name);
    server->rank = (int)conf_number(checker->conf, "server", name, "rank");
    server->port = (int)conf_number(checker->conf, "server", name, "port");
    server->tls = (enum server_tls)conf_choice(checker->conf, "server", name, "tls");
    server->auth = (enum server_auth)conf_choice(checker->conf, "server", name, "auth");
    server->connections = (int)conf_number(checker->conf, "server", name, "connections");
    server->authority = (int)conf_number(checker->conf, "server", name, "authority");
    if (server->tls == SERVER_TLS_IMPLICIT && server->port == 25)
        complain(checker, name, "port", "tls = implicit is not spoken on port 25; set port = 465");
    if (server->tls == SERVER_TLS_NONE &&
        (server->ca_file[0] != '\0' || server->fingerprint[0] != '\0'))
        complain(checker, name, "tls", "a certificate to trust but no TLS; set tls = starttls");
    check_login(checker, server, name);
}

static int by_rank(const void *a, const void *b)
{
    const struct server *left = a;
    const struct server *right = b;

    return (left->rank > right->rank) - (left->rank < right->rank);
}

static void check_ranks(struct checker *checker, const struct server_list *list)
{
    char what[160];
    int i;

    for (i = 1; i < list->count; i++) {
        if (list->server[i].rank != list->server[i - 1].rank)
            continue;
        snprintf(what, sizeof what, "rank %d is taken by [server %s]; each rank stands once",
                 list->server[i].rank, list->server[i - 1].name);
        complain(checker, list->server[i].name, "rank", what);
    }
    if (list->count > 0 && list->server[0].authority > 0)
        complain(checker, list->server[0].name, "authority",
                 "the first server is for everybody and cannot demand an authority");
}

int server_list_load(struct server_list **out, const struct conf *conf,
                     conf_problem_handler *problem, void *user)
{
    struct checker checker = {.conf = conf, .problem = problem, .user = user};
    struct server_list *list = calloc(1, sizeof *list);
    const char *name;
    size_t i;

    if (list == NULL)
        return ERROR_MEMORY;
    list->configured = conf != NULL;
    for (i = 0; conf != NULL && (name = conf_section_name(conf, "server", i)) != NULL; i++) {
        if (list->count == SERVER_COUNT_MAX) {
            complain(&checker, name, "rank", "more than 32 servers");
            break;
        }
        read_server(&checker, &list->server[list->count++], name);
    }
    qsort(list->server, (size_t)list->count, sizeof list->server[0], by_rank);
    if (conf != NULL)
        check_ranks(&checker, list);
    if (checker.problems > 0) {
        server_list_free(list);
        return ERROR_CONFIG;
    }
    *out = list;
    return 0;
}

void server_list_free(struct server_list *list)
{
    free(list);
}

int server_list_find(const struct server_list *list, const char *name)
{
    int i;

    for (i = 0; name != NULL && i < list->count; i++)
        if (strcmp(list->server[i].name, name) == 0)
            return i;
    return -1;
}
