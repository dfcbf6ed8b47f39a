/* SPDX-License-Identifier: MIT */
/*
 * tables.c - reads what delivery needs from the three files.
 */
#include "smtp/tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"

struct checker {
    conf_problem_handler *problem;
    void *user;
    int problems;
};

static void count_problem(void *user, const char *file, int line, const char *what)
{
    struct checker *checker = user;

    checker->problems++;
    if (checker->problem != NULL)
        checker->problem(checker->user, file, line, what);
}

/* A name that may stand in EHLO and behind an '@'. */
static void read_name(struct checker *checker, const struct conf *conf, const char *section,
                      const char *key, const char *fallback, char *out, size_t size)
{
    const char *text = conf_text(conf, section, NULL, key);
    size_t length;

    if (text == NULL || text[0] == '\0')
        text = fallback;
    length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_[]:");
    if (text[length] != '\0' || length == 0 || !text_copy(out, size, text))
        count_problem(checker, conf_file(conf), conf_line(conf, section, NULL, key),
                      "no host name: use letters, digits, '-' and '.'");
}

static void read_mail(struct checker *checker, struct tables *tables, const struct conf *conf)
{
    const char *from = conf_text(conf, "mail", NULL, "envelope_from");
    char host[256] = "localhost";

    if (gethostname(host, sizeof host - 1) < 0 || host[0] == '\0')
        text_copy(host, sizeof host, "localhost");
    read_name(checker, conf, "gateway", "hostname", host, tables->hostname,
              sizeof tables->hostname);
    read_name(checker, conf, "mail", "hello", tables->hostname, tables->hello,
              sizeof tables->hello);
    tables->mailbox = conf_bool(conf, "mail", NULL, "mailbox");
    if (from == NULL || from[0] == '\0') {
        if (tables->routes != NULL)
            text_copy(tables->envelope_from, sizeof tables->envelope_from,
                      route_list_operator(tables->routes)->to[0]);
        return;
    }
    if (!route_address_is_valid(from))
        count_problem(checker, conf_file(conf), conf_line(conf, "mail", NULL, "envelope_from"),
                      "no mail address; write name@domain");
    text_copy(tables->envelope_from, sizeof tables->envelope_from, from);
}

/* A program by its whole path: no PATH decides what runs. */
static void read_reports(struct checker *checker, struct tables *tables, const struct conf *conf)
{
    const char *command = conf_text(conf, "gateway", NULL, "alarm_command");

    tables->report_mail = conf_bool(conf, "report", NULL, "mail");
    tables->report_every_ms = conf_number(conf, "report", NULL, "every");
    if (command == NULL || command[0] == '\0')
        return;
    if (command[0] != '/' ||
        !text_copy(tables->alarm_command, sizeof tables->alarm_command, command))
        count_problem(checker, conf_file(conf), conf_line(conf, "gateway", NULL, "alarm_command"),
                      "no program: begin with its whole path, words are split by spaces");
}

static void read_numbers(struct tables *tables, const struct conf *conf)
{
    tables->retry = (struct policy_settings){
        .wait_ms = conf_number(conf, "retry", NULL, "wait"),
        .wait_max_ms = conf_number(conf, "retry", NULL, "wait_max"),
        .expire_ms = conf_number(conf, "retry", NULL, "expire"),
        .limit = (int)conf_number(conf, "retry", NULL, "limit"),
        .same_server_limit = (int)conf_number(conf, "retry", NULL, "same_server_limit"),
        .uncertain_next = conf_choice(conf, "retry", NULL, "uncertain") == 1,
    };
    tables->timeouts = (struct submit_timeouts){
        .connect = conf_number(conf, "timeouts", NULL, "connect"),
        .greeting = conf_number(conf, "timeouts", NULL, "greeting"),
        .command = conf_number(conf, "timeouts", NULL, "command"),
        .data = conf_number(conf, "timeouts", NULL, "data"),
        .final = conf_number(conf, "timeouts", NULL, "final"),
    };
    tables->keep_ms = conf_number(conf, "spool", NULL, "keep");
    tables->stale_ms = conf_number(conf, "spool", NULL, "stale");
    tables->min_free_bytes = conf_number(conf, "spool", NULL, "min_free");
}

static void open_sessions(struct checker *checker, struct tables *tables, const struct conf *conf)
{
    char why[300];
    char what[400];
    int i;

    for (i = 0; i < tables->servers->count; i++) {
        const struct server *server = &tables->servers->server[i];

        if (submit_transport_for(server)->open(&tables->session[i], server, why, sizeof why) == 0)
            continue;
        snprintf(what, sizeof what, "[server %s]: %s", server->name, why);
        count_problem(checker, conf_file(conf), conf_line(conf, "server", server->name, "host"),
                      what);
    }
}

static void destroy(struct tables *tables)
{
    int i;

    for (i = 0; tables->servers != NULL && i < tables->servers->count; i++)
        submit_transport_for(&tables->servers->server[i])->close(tables->session[i]);
    route_list_free(tables->routes);
    server_list_free(tables->servers);
    bypass_free(tables->bypass);
    free(tables);
}

int tables_load(struct tables **out, const struct conf *faxpost, const struct conf *servers,
                const struct conf *bypass, conf_problem_handler *problem, void *user)
{
    struct checker checker = {.problem = problem, .user = user};
    struct tables *tables = calloc(1, sizeof *tables);
    int errors[3];
    int i;

    if (tables == NULL)
        return ERROR_MEMORY;
    atomic_init(&tables->users, 1);
    errors[0] = route_list_load(&tables->routes, faxpost, count_problem, &checker);
    errors[1] = server_list_load(&tables->servers, servers, count_problem, &checker);
    errors[2] = bypass_load(&tables->bypass, bypass, count_problem, &checker);
    read_mail(&checker, tables, faxpost);
    read_numbers(tables, faxpost);
    read_reports(&checker, tables, faxpost);
    if (errors[1] == 0) {
        tables->had_servers = tables->servers->count > 0;
        open_sessions(&checker, tables, servers);
    }
    for (i = 0; i < 3; i++) {
        if (errors[i] < 0) {
            destroy(tables);
            return errors[i];
        }
    }
    if (checker.problems > 0) {
        destroy(tables);
        return ERROR_CONFIG;
    }
    *out = tables;
    return 0;
}

struct tables *tables_use(struct tables *tables)
{
    atomic_fetch_add(&tables->users, 1);
    return tables;
}

void tables_leave(struct tables *tables)
{
    if (tables != NULL && atomic_fetch_sub(&tables->users, 1) == 1)
        destroy(tables);
}
