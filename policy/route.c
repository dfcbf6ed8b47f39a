/* SPDX-License-Identifier: MIT */
/*
 * route.c - reads [route NAME] in the order of the file and picks the first that fits.
 */
#include "policy/route.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"

enum { PATTERN_MAX = 128, FIELDS = 5, HOST_MAX = 256 };

static const char *const fields[FIELDS] = {"line", "called", "caller", "station", "subaddress"};

struct row {
    struct route route;
    char pattern[FIELDS][PATTERN_MAX];
};

struct route_list {
    struct route fallback; /* the operator */
    size_t count;
    struct row *rows;
};

/* What a check needs to complain. */
struct checker {
    const struct conf *conf;
    conf_problem_handler *problem;
    void *user;
    int problems;
};

static void complain(struct checker *checker, const char *section, const char *name,
                     const char *key, const char *what)
{
    checker->problems++;
    if (checker->problem != NULL)
        checker->problem(checker->user, conf_file(checker->conf),
                         conf_line(checker->conf, section, name, key), what);
}

/* A local part or domain may hold what RFC 5321 allows without quotes, and '[' ']' ':' in an
 * address literal. */
bool route_address_is_valid(const char *address)
{
    const char *at = strchr(address, '@');
    const char *p;

    if (at == NULL || at == address || at[1] == '\0' || strchr(at + 1, '@') != NULL)
        return false;
    if (strlen(address) > ROUTE_ADDRESS_MAX - 2)
        return false;
    for (p = address; *p != '\0'; p++) {
        bool literal = p > at && (*p == '[' || *p == ']' || *p == ':');

        if (*p <= 0x20 || *p >= 0x7f || (!literal && strchr("<>()\"\\,;:[]", *p) != NULL))
            return false;
    }
    return true;
}

/* Takes the addresses of a list. domain, where not NULL, completes names without '@'. */
static void read_addresses(struct checker *checker, struct route *route, const char *section,
                           const char *key, const char *domain)
{
    const char *name = strcmp(section, "route") == 0 ? route->name : NULL;
    const char *rest = conf_text(checker->conf, section, name, key);
    char item[2 * ROUTE_ADDRESS_MAX];
    char what[200];

    route->to_count = 0;
    while (rest != NULL && text_list_next(&rest, item, sizeof item)) {
        size_t length = strlen(item);

        if (domain != NULL && strchr(item, '@') == NULL)
            snprintf(item + length, sizeof item - length, "@%s", domain);
        if (route->to_count == ROUTE_TO_MAX) {
            snprintf(what, sizeof what, "more than %d addresses; use a mailing list or two routes",
                     ROUTE_TO_MAX);
            complain(checker, section, name, key, what);
            return;
        }
        if (!route_address_is_valid(item)) {
            snprintf(what, sizeof what, "'%.100s' is no mail address; write name@domain",
                     text_printable(item));
            complain(checker, section, name, key, what);
            continue;
        }
        text_copy(route->to[route->to_count++], ROUTE_ADDRESS_MAX, item);
    }
    if (route->to_count == 0 && checker->problems == 0)
        complain(checker, section, name, key, "no address; write name@domain");
}

static void read_operator(struct checker *checker, struct route *route)
{
    char host[HOST_MAX] = "localhost";
    const char *configured = conf_text(checker->conf, "gateway", NULL, "hostname");

    if (configured != NULL && configured[0] != '\0')
        text_copy(host, sizeof host, configured);
    else if (gethostname(host, sizeof host - 1) < 0)
        text_copy(host, sizeof host, "localhost");
    *route = (struct route){.attach = ROUTE_ATTACH_PDF, .profile = ROUTE_PROFILE_F};
    text_copy(route->name, sizeof route->name, "operator");
    read_addresses(checker, route, "gateway", "operator", host);
}

static void read_row(struct checker *checker, struct row *row, const char *name)
{
    size_t i;

    text_copy(row->route.name, sizeof row->route.name, name);
    row->route.attach = (enum route_attach)conf_choice(checker->conf, "route", name, "attach");
    row->route.profile = (enum route_profile)conf_choice(checker->conf, "route", name, "profile");
    row->route.bypass = (enum bypass_decision)conf_choice(checker->conf, "route", name, "bypass");
    for (i = 0; i < FIELDS; i++) {
        const char *pattern = conf_text(checker->conf, "route", name, fields[i]);

        if (!text_copy(row->pattern[i], PATTERN_MAX, pattern != NULL ? pattern : "*"))
            complain(checker, "route", name, fields[i], "pattern too long");
    }
    read_addresses(checker, &row->route, "route", "to", NULL);
}

int route_list_load(struct route_list **out, const struct conf *conf, conf_problem_handler *problem,
                    void *user)
{
    struct checker checker = {.conf = conf, .problem = problem, .user = user};
    struct route_list *list = calloc(1, sizeof *list);
    size_t count = 0;
    size_t i;

    if (list == NULL)
        return ERROR_MEMORY;
    while (conf_section_name(conf, "route", count) != NULL)
        count++;
    list->rows = calloc(count > 0 ? count : 1, sizeof *list->rows);
    if (list->rows == NULL) {
        route_list_free(list);
        return ERROR_MEMORY;
    }
    list->count = count;
    read_operator(&checker, &list->fallback);
    for (i = 0; i < count; i++)
        read_row(&checker, &list->rows[i], conf_section_name(conf, "route", i));
    if (checker.problems > 0) {
        route_list_free(list);
        return ERROR_CONFIG;
    }
    *out = list;
    return 0;
}

void route_list_free(struct route_list *list)
{
    if (list == NULL)
        return;
    free(list->rows);
    free(list);
}

static bool fits(const struct row *row, const struct route_query *query)
{
    const char *value[FIELDS] = {query->line, query->called, query->caller, query->station,
                                 query->subaddress};
    size_t i;

    for (i = 0; i < FIELDS; i++)
        if (!text_match(row->pattern[i], value[i] != NULL ? value[i] : ""))
            return false;
    return true;
}

void route_choose(struct route *out, const struct route_list *list, const struct route_query *query)
{
    size_t i;

    for (i = 0; i < list->count; i++) {
        if (fits(&list->rows[i], query)) {
            *out = list->rows[i].route;
            return;
        }
    }
    *out = list->fallback;
}

const struct route *route_list_operator(const struct route_list *list)
{
    return &list->fallback;
}
