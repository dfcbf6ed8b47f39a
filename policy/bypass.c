/* SPDX-License-Identifier: MIT */
/*
 * bypass.c - the most exact row for the sender, the most exact one for the destination, and what
 * they come to together.
 */
#include "policy/bypass.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

struct row {
    char pattern[200];
    bool allow;
    int authority;
};

struct rows {
    struct row *row;
    size_t count;
};

struct bypass {
    bool all;           /* combine = all */
    bool default_allow; /* default = allow */
    struct rows senders, destinations;
};

struct checker {
    const struct conf *conf;
    conf_problem_handler *problem;
    void *user;
    int problems;
};

static void complain(struct checker *checker, int line, const char *what)
{
    checker->problems++;
    if (checker->problem != NULL)
        checker->problem(checker->user, conf_file(checker->conf), line, what);
}

/* "allow", "deny", "allow 2" */
static bool read_value(struct row *row, const char *value)
{
    char word[16];
    char rest[32] = "";
    int64_t authority = 0;

    if (sscanf(value, "%15s %31s", word, rest) < 1)
        return false;
    if (rest[0] != '\0' && (text_number(&authority, rest) < 0 || authority < 0))
        return false;
    if (authority > INT_MAX)
        return false;
    row->allow = strcmp(word, "allow") == 0;
    row->authority = (int)authority;
    return row->allow || strcmp(word, "deny") == 0;
}

static int read_rows(struct checker *checker, struct rows *rows, const char *section)
{
    const char *key;
    const char *value;
    char what[160];
    int line;
    size_t i;

    for (i = 0; conf_entry(checker->conf, section, i, &key, &value, &line) == 0; i++)
        ;
    rows->row = calloc(i > 0 ? i : 1, sizeof *rows->row);
    if (rows->row == NULL)
        return ERROR_MEMORY;
    for (i = 0; conf_entry(checker->conf, section, i, &key, &value, &line) == 0; i++) {
        struct row *row = &rows->row[rows->count++];

        if (!text_copy(row->pattern, sizeof row->pattern, key))
            complain(checker, line, "pattern too long");
        if (!read_value(row, value)) {
            snprintf(what, sizeof what,
                     "'%.60s' is neither allow nor deny (a sender may have an authority: allow 2)",
                     value);
            complain(checker, line, what);
        }
    }
    return 0;
}

int bypass_load(struct bypass **out, const struct conf *conf, conf_problem_handler *problem,
                void *user)
{
    struct checker checker = {.conf = conf, .problem = problem, .user = user};
    struct bypass *bypass = calloc(1, sizeof *bypass);
    int error = 0;

    if (bypass == NULL)
        return ERROR_MEMORY;
    if (conf != NULL) {
        bypass->all = conf_choice(conf, "bypass", NULL, "combine") == 1;
        bypass->default_allow = conf_choice(conf, "bypass", NULL, "default") == 1;
        error = read_rows(&checker, &bypass->senders, "sender");
        if (error == 0)
            error = read_rows(&checker, &bypass->destinations, "destination");
    }
    if (error == 0 && checker.problems > 0)
        error = ERROR_CONFIG;
    if (error < 0) {
        bypass_free(bypass);
        return error;
    }
    *out = bypass;
    return 0;
}

void bypass_free(struct bypass *bypass)
{
    if (bypass == NULL)
        return;
    free(bypass->senders.row);
    free(bypass->destinations.row);
    free(bypass);
}

/* How exact a pattern is: any exact one beats any with '*'; then the longest literal part. */
static long exactness(const char *pattern)
{
    long weight = (long)text_match_weight(pattern);

    return strchr(pattern, '*') == NULL ? weight + 1000000 : weight;
}

/* The most exact row that covers one of the values; values come in the order that settles a tie. */
static const struct row *best_row(const struct rows *rows, const char *const *values, size_t count)
{
    const struct row *best = NULL;
    size_t value;
    size_t i;

    for (value = 0; value < count; value++) {
        if (values[value] == NULL || values[value][0] == '\0')
            continue;
        for (i = 0; i < rows->count; i++) {
            const struct row *row = &rows->row[i];

            if (!text_match(row->pattern, values[value]))
                continue;
            if (best == NULL || exactness(row->pattern) > exactness(best->pattern))
                best = row;
        }
    }
    return best;
}

static const char *opinion(const struct row *row)
{
    return row == NULL ? "no opinion" : row->allow ? "allow" : "deny";
}

void bypass_decide(struct bypass_answer *out, const struct bypass *bypass,
                   const struct bypass_query *query)
{
    const char *const senders[] = {query->envelope_sender, query->line, query->caller,
                                   query->station};
    const struct row *sender = best_row(&bypass->senders, senders, 4);
    const struct row *destination = best_row(&bypass->destinations, &query->destination, 1);
    bool allowed = (sender != NULL && sender->allow) || (destination != NULL && destination->allow);
    bool denied =
        (sender != NULL && !sender->allow) || (destination != NULL && !destination->allow);

    out->authority = sender != NULL ? sender->authority : 0;
    out->sender_row = sender != NULL ? sender->pattern : NULL;
    out->destination_row = destination != NULL ? destination->pattern : NULL;
    if (query->own != BYPASS_TABLE) {
        out->permitted = query->own == BYPASS_ALLOW;
        snprintf(out->reason, sizeof out->reason, "the message itself: %s",
                 out->permitted ? "allow" : "deny");
        return;
    }
    if (!allowed && !denied)
        out->permitted = bypass->default_allow;
    else
        out->permitted = allowed && !(bypass->all && denied);
    snprintf(out->reason, sizeof out->reason, "sender %.40s: %s, destination %.40s: %s%s",
             sender != NULL ? sender->pattern : "-", opinion(sender),
             destination != NULL ? destination->pattern : "-", opinion(destination),
             !allowed && !denied ? ", default" : "");
}
