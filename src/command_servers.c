/* SPDX-License-Identifier: MIT */
/*
 * command_servers.c - faxpost servers: shows and rewrites the list of SMTP servers.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "policy/rank.h"
#include "policy/server.h"
#include "src/control_commands.h"
#include "src/control_json.h"
#include "src/server_probe.h"
#include "src/table.h"

enum { RANK_MOST = 10000, KEY_MAX = 64, WHAT_MAX = 200, PROBE_STEP_MS = 30000 };

static const char usage[] =
    "usage: faxpost servers list\n"
    "       faxpost servers add NAME host=HOST [KEY=VALUE]...   behind the others, or with rank=N\n"
    "       faxpost servers set NAME KEY=VALUE...               KEY= goes back to the default\n"
    "       faxpost servers move NAME RANK                      others make room\n"
    "       faxpost servers remove NAME\n"
    "       faxpost servers check [NAME]                        talks to them, sends no mail\n"
    "Keys: see faxpost-servers.ini(5).\n";

static struct ini_place place_of(const char *name, const char *key)
{
    return (struct ini_place){"server", name, key, false};
}

static json_t *no_such_server(const struct table *table, const char *name)
{
    char why[300];

    snprintf(why, sizeof why,
             "there is no [server %s] in %.120s; 'faxpost servers list' shows them",
             LOG_ESCAPED(name), table->path);
    return control_failure(ERROR_NOT_FOUND, why);
}

/* The list as it is, the caller's. NULL, or the failure. */
static json_t *list_of(const struct table *table, struct server_list **out)
{
    if (table->settings == NULL ||
        server_list_load(out, table->settings->file[SETTINGS_SERVERS], NULL, NULL) < 0)
        return table_unusable(table);
    return NULL;
}

/* ---- list ----------------------------------------------------------------------------------- */

/* What the daemon says of a server, or NULL. */
static const json_t *known(const json_t *status, const char *name)
{
    const json_t *server;
    size_t i;

    json_array_foreach(json_object_get(status, "servers"), i, server)
    {
        if (strcmp(member_text(server, "name"), name) == 0)
            return server;
    }
    return NULL;
}

static json_t *describe(const struct table *table, const struct server *server,
                        const json_t *status)
{
    const struct conf *conf = table->settings->file[SETTINGS_SERVERS];
    const json_t *health = known(status, server->name);
    char address[SERVER_TEXT_MAX + 16];
    json_t *object;

    snprintf(address, sizeof address, strchr(server->host, ':') != NULL ? "[%s]:%d" : "%s:%d",
             server->host, server->port);
    object = json_pack("{s:s, s:i, s:s, s:s, s:i, s:s, s:s, s:s, s:i, s:i}", "name", server->name,
                       "rank", server->rank, "address", address, "host", server->host, "port",
                       server->port, "tls", conf_text(conf, "server", server->name, "tls"), "auth",
                       conf_text(conf, "server", server->name, "auth"), "user", server->user,
                       "connections", server->connections, "authority", server->authority);
    if (object == NULL || status == NULL)
        return object;
    json_object_set_new(object, "in_force", json_boolean(health != NULL));
    if (health != NULL)
        json_object_set(object, "health", (json_t *)health);
    return object;
}

static void print_state(const json_t *server)
{
    const json_t *health = json_object_get(server, "health");
    char time[CELL_MAX];

    if (json_object_get(server, "in_force") == NULL)
        printf("-\n");
    else if (health == NULL)
        printf("not in force: see the daemon's log, or reload\n");
    else if (json_is_true(json_object_get(health, "up")))
        printf("up\n");
    else
        printf("down since %s: %s\n", member_time(time, health, "down_since", true) + 11,
               line_of((char[CELL_MAX]){0}, member_text(health, "last_error")));
}

static void print_list(const json_t *servers)
{
    const json_t *server;
    char number[32];
    size_t i;

    print_cell("RANK", -5);
    print_cell("SERVER", 12);
    print_cell("ADDRESS", 28);
    print_cell("TLS", 8);
    print_cell("AUTH", 8);
    printf("STATE\n");
    json_array_foreach(servers, i, server)
    {
        snprintf(number, sizeof number, "%lld", (long long)member_number(server, "rank"));
        print_cell(number, -5);
        print_cell(member_text(server, "name"), 12);
        print_cell(member_text(server, "address"), 28);
        print_cell(member_text(server, "tls"), 8);
        print_cell(member_text(server, "auth"), 8);
        print_state(server);
    }
}

static void print_none(const struct table *table)
{
    if (table->before == NULL)
        printf("there is no %s: mail is delivered into the mailbox\n", table->path);
    else
        printf("%s names no server: deliveries wait\n", table->path);
}

static int run_list(struct table *table, char *const *word, int count)
{
    struct server_list *list = NULL;
    json_t *failed = list_of(table, &list);
    json_t *status = NULL;
    json_t *servers = json_array();
    int i;

    (void)word;
    (void)count;
    if (failed == NULL && command_daemon_runs(table->options))
        status = command_ask(table->options, "status", NULL);
    if (status != NULL && !json_is_true(json_object_get(status, "ok"))) {
        failed = status;
        status = NULL;
    }
    for (i = 0; failed == NULL && i < list->count; i++)
        json_array_append_new(servers, describe(table, &list->server[i], status));
    if (failed == NULL && table->options->json) {
        json_t *reply =
            json_pack("{s:b, s:s, s:b, s:b, s:O}", "ok", 1, "file", table->path, "exists",
                      table->before != NULL, "daemon", status != NULL, "servers", servers);

        command_print_json(reply);
        json_decref(reply);
    } else if (failed == NULL && list->count == 0) {
        print_none(table);
    } else if (failed == NULL) {
        print_list(servers);
    }
    json_decref(servers);
    json_decref(status);
    server_list_free(list);
    return failed != NULL ? table_print(table->options, failed, "") : EXIT_FINE;
}

/* ---- add, set, move, remove ----------------------------------------------------------------- */

/* KEY=VALUE words, into the section of a server. */
static json_t *set_words(struct table *table, const char *name, char *const *word, int count)
{
    json_t *failed = NULL;
    int i;

    for (i = 0; i < count && failed == NULL; i++) {
        const char *split = strchr(word[i], '=');
        char key[KEY_MAX];
        struct ini_place place = place_of(name, key);
        char why[300];

        if (split == NULL || split == word[i] || split - word[i] >= KEY_MAX) {
            snprintf(why, sizeof why, "%s is not KEY=VALUE; nothing is changed",
                     LOG_ESCAPED(word[i]));
            return control_failure(ERROR_FORMAT, why);
        }
        snprintf(key, sizeof key, "%.*s", (int)(split - word[i]), word[i]);
        failed = table_set(table, &place, split + 1);
    }
    return failed;
}

static bool names_rank(char *const *word, int count)
{
    int i;

    for (i = 0; i < count; i++)
        if (strncmp(word[i], "rank=", 5) == 0)
            return true;
    return false;
}

static json_t *set_rank(struct table *table, const char *name, int rank)
{
    struct ini_place place = place_of(name, "rank");
    char number[16];

    snprintf(number, sizeof number, "%d", rank);
    return table_set(table, &place, number);
}

static int run_add(struct table *table, char *const *word, int count)
{
    struct ini_place place = place_of(word[0], NULL);
    struct server_list *list = NULL;
    json_t *failed = list_of(table, &list);
    char what[WHAT_MAX];
    int error;

    if (failed == NULL && ini_edit_has_section(table->text, &place)) {
        snprintf(what, sizeof what, "[server %.40s] is there already: change it by 'servers set'",
                 word[0]);
        failed = control_failure(ERROR_EXISTS, what);
    }
    if (failed == NULL && (error = ini_edit_add_section(&table->text, &place)) < 0)
        failed = control_failure(error, error == ERROR_FORMAT
                                            ? "a server's name is 1 to 32 letters, digits, '.', "
                                              "'_' and '-'; nothing is changed"
                                            : error_text(error));
    if (failed == NULL && !names_rank(word + 1, count - 1))
        failed = set_rank(table, word[0], rank_last(list));
    if (failed == NULL)
        failed = set_words(table, word[0], word + 1, count - 1);
    if (failed == NULL && table->before == NULL)
        table_warn(table, "mail goes by SMTP from now on; without a list of servers it went into "
                          "the mailbox");
    snprintf(what, sizeof what, "server %.40s added", word[0]);
    server_list_free(list);
    return table_print(table->options, failed != NULL ? failed : table_commit(table), what);
}

static int run_set(struct table *table, char *const *word, int count)
{
    struct ini_place place = place_of(word[0], NULL);
    char what[WHAT_MAX];
    json_t *failed = ini_edit_has_section(table->text, &place)
                         ? set_words(table, word[0], word + 1, count - 1)
                         : no_such_server(table, word[0]);

    snprintf(what, sizeof what, "server %.40s set", word[0]);
    return table_print(table->options, failed != NULL ? failed : table_commit(table), what);
}

static int run_move(struct table *table, char *const *word, int count)
{
    int rank[SERVER_COUNT_MAX];
    struct server_list *list = NULL;
    json_t *failed = list_of(table, &list);
    int64_t wanted = 0;
    char what[WHAT_MAX];
    int index;
    int i;

    (void)count;
    if (failed == NULL && (text_number(&wanted, word[1]) < 0 || wanted < 1 || wanted > RANK_MOST))
        failed = control_failure(ERROR_FORMAT, "a rank is a number from 1 to 10000");
    index = failed == NULL ? server_list_find(list, word[0]) : -1;
    if (failed == NULL && index < 0)
        failed = no_such_server(table, word[0]);
    if (failed == NULL)
        rank_move(rank, list, index, (int)wanted);
    for (i = 0; failed == NULL && i < list->count; i++)
        if (rank[i] != list->server[i].rank)
            failed = set_rank(table, list->server[i].name, rank[i]);
    server_list_free(list);
    snprintf(what, sizeof what, "server %.40s has rank %d", word[0], (int)wanted);
    return table_print(table->options, failed != NULL ? failed : table_commit(table), what);
}

/* A server is gone: was it the last one? */
static void warn_of_none(struct table *table)
{
    struct conf *conf = NULL;
    char text[WHAT_MAX + 200];

    if (conf_parse(&conf, table->text, table->path, "/", conf_keys_servers, NULL, NULL) < 0)
        return;
    if (conf_section_name(conf, "server", 0) == NULL) {
        snprintf(text, sizeof text,
                 "no server is left: deliveries wait, with an alarm, until one is added; they do "
                 "not go into the mailbox. To have it so from now on, remove %.120s and restart "
                 "faxpostd",
                 table->path);
        table_warn(table, text);
    }
    conf_free(conf);
}

static int run_remove(struct table *table, char *const *word, int count)
{
    struct ini_place place = place_of(word[0], NULL);
    char what[WHAT_MAX];
    json_t *failed = NULL;
    int error = ini_edit_remove_section(&table->text, &place);

    (void)count;
    if (error == ERROR_NOT_FOUND)
        failed = no_such_server(table, word[0]);
    else if (error < 0)
        failed = control_failure(error, error_text(error));
    else
        warn_of_none(table);
    snprintf(what, sizeof what, "server %.40s removed", word[0]);
    return table_print(table->options, failed != NULL ? failed : table_commit(table), what);
}

/* ---- check ---------------------------------------------------------------------------------- */

static json_t *probe_json(const struct server *server, const struct probe *probe)
{
    json_t *steps = json_array();
    int i;

    for (i = 0; i < probe->count; i++)
        json_array_append_new(
            steps, json_pack("{s:s, s:b, s:o}", "stage", failure_stage_text(probe->step[i].stage),
                             "ok", probe->step[i].fine, "text", json_text(probe->step[i].text)));
    return json_pack("{s:s, s:i, s:s, s:b, s:o}", "name", server->name, "rank", server->rank,
                     "address", probe->address, "ok", probe->fine, "steps", steps);
}

static void print_probe(const struct server *server, const struct probe *probe)
{
    char name[CELL_MAX];
    char stage[CELL_MAX];
    int i;

    printf("%s, rank %d: %s\n", line_of(name, server->name), server->rank,
           probe->fine ? "fine" : "TROUBLE");
    for (i = 0; i < probe->count; i++) {
        printf("  %s %s ", probe->step[i].fine ? "ok  " : "FAIL",
               cell(stage, failure_stage_text(probe->step[i].stage), 10));
        print_clean(stdout, probe->step[i].text);
        putchar('\n');
    }
    fflush(stdout);
}

/* Probes the one of that name, or all (NULL); true when all of them are fine. */
static bool probe_list(const struct table *table, const struct server_list *list, const char *name,
                       json_t *results)
{
    const struct conf *conf = table->settings->file[SETTINGS_FAXPOST];
    const char *hello = conf_text(conf, "mail", NULL, "hello");
    int64_t limit_ms = conf_number(conf, "timeouts", NULL, "command");
    struct resolver *resolver = NULL;
    struct deadline_thread *deadlines = NULL;
    char hostname[256];
    bool fine = resolver_start(&resolver) == 0 && deadline_start(&deadlines) == 0;
    int i;

    signal(SIGPIPE, SIG_IGN);
    settings_hostname(table->settings, hostname, sizeof hostname);
    for (i = 0; deadlines != NULL && i < list->count; i++) {
        const struct server *server = &list->server[i];
        struct probe probe;

        if (name != NULL && strcmp(name, server->name) != 0)
            continue;
        probe_server(&probe, server, hello != NULL ? hello : hostname,
                     limit_ms < PROBE_STEP_MS ? limit_ms : PROBE_STEP_MS, resolver, deadlines);
        fine = fine && probe.fine;
        json_array_append_new(results, probe_json(server, &probe));
        if (!table->options->json)
            print_probe(server, &probe);
    }
    deadline_stop(deadlines);
    resolver_stop(resolver);
    return fine;
}

static int run_check(struct table *table, char *const *word, int count)
{
    struct server_list *list = NULL;
    json_t *failed = list_of(table, &list);
    json_t *results = json_array();
    bool fine = false;

    if (failed == NULL && count > 0 && server_list_find(list, word[0]) < 0)
        failed = no_such_server(table, word[0]);
    /* As the account of the roles: it is what must be able to read passwords and certificates. */
    if (failed == NULL && command_become_account(table->options) < 0)
        failed = control_failure(ERROR_DENIED, "cannot become the account that faxpost runs as");
    if (failed == NULL) {
        fine = probe_list(table, list, count > 0 ? word[0] : NULL, results);
        if (table->options->json) {
            json_t *reply = json_pack("{s:b, s:O}", "ok", fine, "servers", results);

            command_print_json(reply);
            json_decref(reply);
        } else if (list->count == 0) {
            print_none(table);
        }
    }
    json_decref(results);
    server_list_free(list);
    if (failed != NULL)
        return table_print(table->options, failed, "");
    return fine ? EXIT_FINE : EXIT_TROUBLE;
}

static const struct table_action actions[] = {
    {"list", run_list, 0, 0, false},    {"add", run_add, 2, 64, true},
    {"set", run_set, 2, 64, true},      {"move", run_move, 2, 2, true},
    {"remove", run_remove, 1, 1, true}, {"check", run_check, 0, 1, false},
};

int command_servers(const struct command_options *options)
{
    return table_act(options, SETTINGS_SERVERS, actions, sizeof actions / sizeof actions[0], usage);
}
