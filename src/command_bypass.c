/* SPDX-License-Identifier: MIT */
/*
 * command_bypass.c - faxpost bypass: shows, rewrites and explains the table of who may use other
 * servers than the first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "policy/bypass.h"
#include "policy/server.h"
#include "src/control_commands.h"
#include "src/table.h"

enum { WHAT_MAX = 400, FIELD_MAX = 256 };

static const char usage[] =
    "usage: faxpost bypass list\n"
    "       faxpost bypass allow sender PATTERN [AUTHORITY]\n"
    "       faxpost bypass allow destination PATTERN\n"
    "       faxpost bypass deny|remove sender|destination PATTERN\n"
    "       faxpost bypass explain SENDER DESTINATION\n"
    "A PATTERN is exact or has '*' in it. SENDER is a line, a calling number, a station or an\n"
    "envelope sender, or several: "
    "line=trunk,caller=+15552100,station=+15552101,from=a@example.com\n";

/* The section of a kind of rows, NULL for none. */
static const char *section_of(const char *kind)
{
    static const char *const sections[] = {"sender", "destination"};
    size_t i;

    for (i = 0; i < 2; i++)
        if (strcmp(kind, sections[i]) == 0)
            return sections[i];
    return NULL;
}

static const struct conf *conf_of(const struct table *table)
{
    return table->settings != NULL ? table->settings->file[SETTINGS_BYPASS] : NULL;
}

static const char *word_of(const struct table *table, const char *key, const char *fallback)
{
    const struct conf *conf = conf_of(table);

    return conf != NULL ? conf_text(conf, "bypass", NULL, key) : fallback;
}

/* The rows of a section that cover one of the values (NULL: all rows), with their lines. */
static json_t *rows_of(const struct table *table, const char *section, const char *const *values,
                       size_t value_count)
{
    const struct conf *conf = conf_of(table);
    json_t *rows = json_array();
    const char *pattern;
    const char *answer;
    size_t i;
    size_t n;
    int line;

    for (i = 0; conf != NULL && conf_entry(conf, section, i, &pattern, &answer, &line) == 0; i++) {
        bool fits = values == NULL;

        for (n = 0; n < value_count && !fits; n++)
            fits = values[n] != NULL && values[n][0] != '\0' && text_match(pattern, values[n]);
        if (fits)
            json_array_append_new(rows,
                                  json_pack("{s:s, s:s, s:s, s:i}", "kind", section, "pattern",
                                            pattern, "answer", answer, "line", line));
    }
    return rows;
}

/* ---- list ----------------------------------------------------------------------------------- */

static void print_rows(const json_t *rows)
{
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        print_cell(member_text(row, "kind"), 12);
        print_cell(member_text(row, "pattern"), 32);
        printf("%s\n", line_of((char[CELL_MAX]){0}, member_text(row, "answer")));
    }
}

static int run_list(struct table *table, char *const *word, int count)
{
    json_t *rows;
    json_t *reply;

    (void)word;
    (void)count;
    if (table->settings == NULL)
        return table_print(table->options, table_unusable(table), "");
    rows = rows_of(table, "sender", NULL, 0);
    reply = rows_of(table, "destination", NULL, 0);
    json_array_extend(rows, reply);
    json_decref(reply);
    reply = json_pack("{s:b, s:s, s:b, s:s, s:s, s:o}", "ok", 1, "file", table->path, "exists",
                      table->before != NULL, "combine", word_of(table, "combine", "any"), "default",
                      word_of(table, "default", "deny"), "rows", rows);
    if (table->options->json) {
        command_print_json(reply);
    } else if (table->before == NULL) {
        printf("there is no %s: nobody may use another server than the first\n", table->path);
    } else {
        printf("combine %s, default %s\n", member_text(reply, "combine"),
               member_text(reply, "default"));
        print_rows(rows);
    }
    json_decref(reply);
    return EXIT_FINE;
}

/* ---- allow, deny, remove -------------------------------------------------------------------- */

/* Letters match without case, so a row that differs in nothing else is the same. */
static void spell_as_there(const struct table *table, const char *section, const char **pattern)
{
    const struct conf *conf = conf_of(table);
    const char *key;
    const char *answer;
    size_t i;
    int line;

    for (i = 0; conf != NULL && conf_entry(conf, section, i, &key, &answer, &line) == 0; i++)
        if (strcasecmp(key, *pattern) == 0)
            *pattern = key;
}

static json_t *wrong_kind(const char *kind)
{
    char why[WHAT_MAX];

    snprintf(why, sizeof why, "%.80s is no kind of rows: write sender or destination",
             LOG_ESCAPED(kind));
    return control_failure(ERROR_FORMAT, why);
}

static json_t *set_row(struct table *table, const char *section, const char *pattern,
                       const char *answer)
{
    struct ini_place place = {section, NULL, pattern, true};

    spell_as_there(table, section, &place.key);
    return table_set(table, &place, answer);
}

static int answer_row(struct table *table, char *const *word, const char *answer)
{
    const char *section = section_of(word[0]);
    char what[WHAT_MAX];
    json_t *failed =
        section != NULL ? set_row(table, section, word[1], answer) : wrong_kind(word[0]);

    snprintf(what, sizeof what, "%.20s %.200s: %.40s", word[0], word[1], answer);
    return table_print(table->options, failed != NULL ? failed : table_commit(table), what);
}

static int run_allow(struct table *table, char *const *word, int count)
{
    char answer[64] = "allow";

    if (count > 2)
        snprintf(answer, sizeof answer, "allow %.40s", word[2]);
    return answer_row(table, word, answer);
}

static int run_deny(struct table *table, char *const *word, int count)
{
    (void)count;
    return answer_row(table, word, "deny");
}

static int run_remove(struct table *table, char *const *word, int count)
{
    struct ini_place place = {section_of(word[0]), NULL, word[1], true};
    json_t *failed = NULL;
    char what[WHAT_MAX];
    int error = 0;

    (void)count;
    if (place.section == NULL) {
        failed = wrong_kind(word[0]);
    } else {
        spell_as_there(table, place.section, &place.key);
        error = ini_edit_remove(&table->text, &place);
    }
    if (error == ERROR_NOT_FOUND) {
        snprintf(what, sizeof what, "there is no row for the %s %.100s; 'faxpost bypass list'",
                 place.section, LOG_ESCAPED(word[1]));
        failed = control_failure(error, what);
    } else if (error < 0) {
        failed = control_failure(error, error_text(error));
    }
    snprintf(what, sizeof what, "%.20s %.200s removed", word[0], word[1]);
    return table_print(table->options, failed != NULL ? failed : table_commit(table), what);
}

/* ---- explain -------------------------------------------------------------------------------- */

struct sender {
    char line[FIELD_MAX], caller[FIELD_MAX], station[FIELD_MAX], from[FIELD_MAX];
};

/* "line=trunk,caller=5551" into its fields; anything else is one value, whichever it is. */
static bool read_sender(struct sender *out, const char *text)
{
    const struct {
        const char *name;
        char *field;
    } fields[] = {{"line=", out->line},
                  {"caller=", out->caller},
                  {"station=", out->station},
                  {"from=", out->from}};
    char item[FIELD_MAX];
    size_t i;

    if (strchr(text, '=') == NULL)
        return text_copy(out->from, FIELD_MAX, text);
    while (text_list_next(&text, item, sizeof item)) {
        for (i = 0; i < 4; i++)
            if (strncmp(item, fields[i].name, strlen(fields[i].name)) == 0)
                break;
        if (i == 4)
            return false;
        text_copy(fields[i].field, FIELD_MAX, item + strlen(fields[i].name));
    }
    return true;
}

/* Marks the row that counts; says of each that fits whether it does. */
static json_t *marked(json_t *rows, const char *winner)
{
    json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        json_object_set_new(
            row, "counts",
            json_boolean(winner != NULL && strcmp(member_text(row, "pattern"), winner) == 0));
    }
    return rows;
}

static json_t *may_use(const struct server_list *list, const struct bypass_answer *answer)
{
    json_t *servers = json_array();
    char why[WHAT_MAX];
    int i;

    for (i = 0; i < list->count; i++) {
        const struct server *server = &list->server[i];
        bool may = i == 0 || (answer->permitted && answer->authority >= server->authority);

        if (i == 0)
            text_copy(why, sizeof why, "the first, for everybody");
        else if (!answer->permitted)
            text_copy(why, sizeof why, "bypass is denied");
        else
            snprintf(why, sizeof why, "authority %d %s %d", answer->authority,
                     may ? "is enough for" : "is less than", server->authority);
        json_array_append_new(servers, json_pack("{s:s, s:i, s:b, s:s}", "name", server->name,
                                                 "rank", server->rank, "may_use", may, "why", why));
    }
    return servers;
}

static void print_fitting(const json_t *rows, const char *kind)
{
    const json_t *row;
    size_t i;

    if (json_array_size(rows) == 0)
        printf("%s: no row fits: no opinion\n", kind);
    json_array_foreach(rows, i, row)
    {
        char pattern[CELL_MAX];
        char answer[CELL_MAX];

        printf("%s: line %lld: %s = %s%s\n", kind, (long long)member_number(row, "line"),
               line_of(pattern, member_text(row, "pattern")),
               line_of(answer, member_text(row, "answer")),
               json_is_true(json_object_get(row, "counts")) ? "   <- counts" : "");
    }
}

static void print_explanation(const json_t *reply)
{
    const json_t *servers = json_object_get(reply, "servers");
    const json_t *server;
    size_t i;

    print_fitting(json_object_get(reply, "sender_rows"), "sender");
    print_fitting(json_object_get(reply, "destination_rows"), "destination");
    printf("combine: %s, default: %s\n", member_text(reply, "combine"),
           member_text(reply, "default"));
    printf("bypass: %s", json_is_true(json_object_get(reply, "permitted")) ? "allowed" : "denied");
    printf(", authority %lld\n", (long long)member_number(reply, "authority"));
    json_array_foreach(servers, i, server)
    {
        printf("server %s, rank %lld: %s (%s)\n", member_text(server, "name"),
               (long long)member_number(server, "rank"),
               json_is_true(json_object_get(server, "may_use")) ? "yes" : "no",
               member_text(server, "why"));
    }
    if (json_array_size(servers) == 0)
        printf("there is no server\n");
}

/* NULL when the tables cannot be used. */
static json_t *explain(const struct table *table, const struct sender *sender,
                       const char *destination)
{
    const struct bypass_query query = {.envelope_sender = sender->from,
                                       .line = sender->line,
                                       .caller = sender->caller,
                                       .station = sender->station,
                                       .destination = destination};
    const char *const values[] = {sender->from, sender->line, sender->caller, sender->station};
    struct bypass_answer answer;
    struct server_list *list = NULL;
    struct bypass *bypass = NULL;
    json_t *reply = NULL;

    if (table->settings == NULL ||
        server_list_load(&list, table->settings->file[SETTINGS_SERVERS], NULL, NULL) < 0 ||
        bypass_load(&bypass, table->settings->file[SETTINGS_BYPASS], NULL, NULL) < 0)
        goto out;
    bypass_decide(&answer, bypass, &query);
    reply = json_pack("{s:b, s:b, s:i, s:s, s:s, s:s}", "ok", 1, "permitted", answer.permitted,
                      "authority", answer.authority, "combine", word_of(table, "combine", "any"),
                      "default", word_of(table, "default", "deny"), "reason", answer.reason);
    json_object_set_new(reply, "sender_rows",
                        marked(rows_of(table, "sender", values, 4), answer.sender_row));
    json_object_set_new(
        reply, "destination_rows",
        marked(rows_of(table, "destination", &destination, 1), answer.destination_row));
    json_object_set_new(reply, "servers", may_use(list, &answer));
out:
    bypass_free(bypass);
    server_list_free(list);
    return reply;
}

static int run_explain(struct table *table, char *const *word, int count)
{
    struct sender sender = {0};
    json_t *reply;

    (void)count;
    if (!read_sender(&sender, word[0])) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    reply = explain(table, &sender, word[1]);
    if (reply == NULL)
        return table_print(table->options, table_unusable(table), "");
    if (table->options->json)
        command_print_json(reply);
    else
        print_explanation(reply);
    json_decref(reply);
    return EXIT_FINE;
}

static const struct table_action actions[] = {
    {"list", run_list, 0, 0, false},       {"allow", run_allow, 2, 3, true},
    {"deny", run_deny, 2, 2, true},        {"remove", run_remove, 2, 2, true},
    {"explain", run_explain, 2, 2, false},
};

int command_bypass(const struct command_options *options)
{
    return table_act(options, SETTINGS_BYPASS, actions, sizeof actions / sizeof actions[0], usage);
}
