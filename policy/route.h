/* SPDX-License-Identifier: MIT */
/*
 * route.h - which fax goes to whom: the first [route] whose patterns all fit wins, and what no
 * route matches goes to the operator.
 */
#ifndef FAXPOST_POLICY_ROUTE_H
#define FAXPOST_POLICY_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/conf.h"
#include "policy/bypass.h"

enum {
    ROUTE_NAME_MAX = 64,
    ROUTE_ADDRESS_MAX = 256, /* RFC 5321 4.5.3.1.3: 254 and the NUL */
    ROUTE_TO_MAX = 16,
};

enum route_attach { ROUTE_ATTACH_PDF, ROUTE_ATTACH_TIFF, ROUTE_ATTACH_BOTH };
enum route_profile { ROUTE_PROFILE_F, ROUTE_PROFILE_S }; /* RFC 3949 */

struct route {
    char name[ROUTE_NAME_MAX]; /* "operator" where no route matched */
    char to[ROUTE_TO_MAX][ROUTE_ADDRESS_MAX];
    int to_count; /* at least 1 */
    enum route_attach attach;
    enum route_profile profile;
    enum bypass_decision bypass;
};

/* What is known of a fax; NULL reads as "". */
struct route_query {
    const char *line, *called, *caller, *station, *subaddress;
};

struct route_list;

/* Reads and checks the routes of faxpost.ini, the operator's address included. Every problem is
 * reported (the handler may be NULL). ERROR_CONFIG when there was one. Keeps nothing of conf. */
int route_list_load(struct route_list **out, const struct conf *conf, conf_problem_handler *problem,
                    void *user);
void route_list_free(struct route_list *list);

/* The route of a fax. Cannot fail: the operator is always there. A pattern of '*' alone matches an
 * empty value too. */
void route_choose(struct route *out, const struct route_list *list,
                  const struct route_query *query);

/* The operator's addresses, as a route named "operator". */
const struct route *route_list_operator(const struct route_list *list);

/* True for a mail address that may stand in an envelope and a header: printable ASCII without
 * space, quotes, brackets, commas, semicolons and backslashes, exactly one '@' with something on
 * both sides, at most 254 octets. */
bool route_address_is_valid(const char *address);

#endif
