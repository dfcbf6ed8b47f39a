/* SPDX-License-Identifier: MIT */
/*
 * server_reply.c - octets, lines, a reply.
 */
#include "src/server_reply.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/text.h"

/* The next octet, or -1. */
static int octet(struct server_reply *reply)
{
    if (reply->in_at == reply->in_length) {
        ssize_t n = reply->fill(reply->user, reply->in, sizeof reply->in);

        if (n <= 0)
            return -1;
        reply->in_at = 0;
        reply->in_length = (size_t)n;
    }
    return (unsigned char)reply->in[reply->in_at++];
}

static int read_line(struct server_reply *reply, char out[SERVER_REPLY_LINE_MAX])
{
    size_t used = 0;
    int c;

    while ((c = octet(reply)) >= 0) {
        if (c == '\n') {
            out[used] = '\0';
            return 0;
        }
        if (c == '\r')
            continue;
        if (used + 1 == SERVER_REPLY_LINE_MAX)
            return ERROR_LIMIT;
        out[used++] = c != '\0' ? (char)c : '?';
    }
    return ERROR_IO;
}

/* "AUTH PLAIN LOGIN", "STARTTLS" */
static void note_offer(struct server_reply *reply, const char *line)
{
    char word[64];

    if (strcasecmp(line, "STARTTLS") == 0)
        reply->offers_starttls = true;
    if (strncasecmp(line, "AUTH", 4) != 0 || (line[4] != ' ' && line[4] != '='))
        return;
    for (line += 5; *line != '\0'; line += strspn(line, " ")) {
        size_t n = strcspn(line, " ");

        snprintf(word, sizeof word, "%.*s", (int)n, line);
        reply->offers_plain = reply->offers_plain || strcasecmp(word, "PLAIN") == 0;
        reply->offers_login = reply->offers_login || strcasecmp(word, "LOGIN") == 0;
        reply->offers_xoauth2 = reply->offers_xoauth2 || strcasecmp(word, "XOAUTH2") == 0;
        line += n;
    }
}

static bool is_reply_line(const char *line)
{
    return isdigit((unsigned char)line[0]) && isdigit((unsigned char)line[1]) &&
           isdigit((unsigned char)line[2]) && (line[3] == '\0' || line[3] == ' ' || line[3] == '-');
}

static int refuse(struct server_reply *reply, int error, const char *words)
{
    text_copy(reply->text, sizeof reply->text, words);
    return error;
}

static int take_line(struct server_reply *reply, char *line)
{
    size_t used = strlen(reply->text);

    if (!is_reply_line(line)) {
        snprintf(reply->text, sizeof reply->text, "this is no SMTP: %.100s", text_printable(line));
        return ERROR_FORMAT;
    }
    snprintf(reply->text + used, sizeof reply->text - used, "%s%s", used > 0 ? " / " : "",
             text_printable(line));
    if (line[3] != '\0')
        note_offer(reply, line + 4);
    return 0;
}

int server_reply_read(struct server_reply *reply)
{
    char line[SERVER_REPLY_LINE_MAX];
    size_t total = 0;
    int error;

    reply->code = 0;
    reply->text[0] = '\0';
    reply->offers_starttls = reply->offers_plain = false;
    reply->offers_login = reply->offers_xoauth2 = false;
    do {
        error = read_line(reply, line);
        if (error == ERROR_IO)
            return refuse(reply, error, "the server closed the connection");
        if (error == 0)
            total += strlen(line) + 1;
        if (error == ERROR_LIMIT || total > SERVER_REPLY_BYTES_MAX)
            return refuse(reply, ERROR_LIMIT,
                          error < 0 ? "a line without end" : "a reply without end");
        error = take_line(reply, line);
        if (error < 0)
            return error;
    } while (line[3] == '-');
    reply->code = atoi(line);
    return 0;
}

bool server_reply_is_ahead(const struct server_reply *reply)
{
    return reply->in_at < reply->in_length;
}
