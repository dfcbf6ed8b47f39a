/* SPDX-License-Identifier: MIT */
/*
 * tables.h - the settings that delivery goes by, checked and ready for use. They never change; a
 * reload makes new ones, and a turn that has begun keeps its own.
 */
#ifndef FAXPOST_SMTP_TABLES_H
#define FAXPOST_SMTP_TABLES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "policy/bypass.h"
#include "policy/next_step.h"
#include "policy/route.h"
#include "policy/server.h"
#include "smtp/submit.h"

struct tables {
    atomic_int users;
    struct route_list *routes;
    struct server_list *servers;
    struct submit_session *session[SERVER_COUNT_MAX]; /* of each server */
    struct bypass *bypass;
    struct policy_settings retry;
    struct submit_timeouts timeouts;
    bool had_servers; /* there were some since the start */
    bool mailbox;     /* every mail is filed besides being sent */
    char envelope_from[ROUTE_ADDRESS_MAX];
    char hello[256];
    char hostname[256];
    int64_t keep_ms, stale_ms, min_free_bytes;
    int64_t report_every_ms;
    bool report_mail;
    char alarm_command[512]; /* program and words by spaces; "": none */
};

/* Loads and checks all of it. servers and bypass may be NULL. Every problem is reported.
 * ERROR_CONFIG when there was one. The caller is the first user. */
int tables_load(struct tables **out, const struct conf *faxpost, const struct conf *servers,
                const struct conf *bypass, conf_problem_handler *problem, void *user);

struct tables *tables_use(struct tables *tables);
void tables_leave(struct tables *tables); /* the last user frees; NULL is fine */

#endif
