/* SPDX-License-Identifier: MIT */
/*
 * server_probe.h - what a person would try by hand when a server gives trouble: name, TCP,
 * greeting, EHLO, TLS, login, QUIT. No mail is sent.
 */
#ifndef FAXPOST_SRC_SERVER_PROBE_H
#define FAXPOST_SRC_SERVER_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/failure.h"
#include "policy/server.h"
#include "smtp/connect.h"
#include "smtp/deadline.h"
#include "smtp/resolve.h"

enum { PROBE_STEPS_MAX = 8 };

struct probe {
    bool fine; /* every step that was tried succeeded */
    char address[CONNECT_ADDRESS_MAX];
    int count;
    struct {
        enum failure_stage stage;
        bool fine;
        char text[FAILURE_TEXT_MAX]; /* the server's words or ours, printable */
    } step[PROBE_STEPS_MAX];
};

/* Talks to a server; each step has limit_ms. SIGPIPE must be ignored. */
void probe_server(struct probe *out, const struct server *server, const char *hello,
                  int64_t limit_ms, struct resolver *resolver, struct deadline_thread *deadlines);

#endif
