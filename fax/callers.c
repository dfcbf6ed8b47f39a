/* SPDX-License-Identifier: MIT */
/*
 * callers.c - lists of callers.
 */
#include "fax/callers.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

enum { ITEM_MAX = 128 };

/* ---- lists -------------------------------------------------------------------------------------
 */

static int add_pattern(struct caller_list *list, const char *item)
{
    char(*more)[CALL_NUMBER_MAX] =
        realloc(list->patterns, (list->pattern_count + 1) * sizeof *list->patterns);

    if (more == NULL)
        return ERROR_MEMORY;
    list->patterns = more;
    return text_copy(more[list->pattern_count++], CALL_NUMBER_MAX, item) ? 0 : ERROR_LIMIT;
}

/* Sorts the items: numbers into the list, networks into a text of their own. */
static int sort_items(struct caller_list *list, const char *text, char *networks)
{
    const char *rest = text;
    char item[ITEM_MAX];
    int rc = 0;

    while (rc == 0 && text_list_next(&rest, item, sizeof item)) {
        if (strpbrk(item, ".:/") == NULL) {
            rc = add_pattern(list, item);
            continue;
        }
        if (networks[0] != '\0')
            strcat(networks, ",");
        strcat(networks, item); /* no longer than the text, which it is a part of */
    }
    return rc;
}

int caller_list_parse(struct caller_list *out, const char *text)
{
    struct caller_list list = {.patterns = NULL};
    char *networks = calloc(1, text != NULL ? strlen(text) + 1 : 1);
    int rc = networks == NULL ? ERROR_MEMORY : 0;

    if (rc == 0 && text != NULL)
        rc = sort_items(&list, text, networks);
    if (rc == 0)
        rc = net_list_parse(&list.networks, networks);
    free(networks);
    if (rc != 0)
        caller_list_free(&list);
    else
        *out = list;
    return rc;
}

int caller_list_copy(struct caller_list *out, const struct caller_list *from)
{
    struct caller_list list = {.pattern_count = from->pattern_count};
    int rc = net_list_copy(&list.networks, &from->networks);

    if (rc == 0 && from->pattern_count > 0) {
        list.patterns = malloc(from->pattern_count * sizeof *list.patterns);
        if (list.patterns == NULL)
            rc = ERROR_MEMORY;
        else
            memcpy(list.patterns, from->patterns, from->pattern_count * sizeof *list.patterns);
    }
    if (rc != 0)
        caller_list_free(&list);
    else
        *out = list;
    return rc;
}

void caller_list_free(struct caller_list *list)
{
    net_list_free(&list->networks);
    free(list->patterns);
    list->patterns = NULL;
    list->pattern_count = 0;
}

const char *caller_list_find(const struct caller_list *list, const char *number)
{
    size_t i;

    if (number[0] == '\0')
        number = CALLER_ANONYMOUS;
    for (i = 0; i < list->pattern_count; i++)
        if (text_match(list->patterns[i], number))
            return list->patterns[i];
    return NULL;
}

static bool holds_source(const struct caller_list *list, const struct net_address *source)
{
    return source != NULL && net_list_holds(&list->networks, source);
}

enum caller_verdict caller_judge(const struct caller_list *allow, const struct caller_list *deny,
                                 const struct net_address *source, const char *number)
{
    if (holds_source(deny, source))
        return CALLER_SOURCE_BLOCKED;
    if (caller_list_find(deny, number) != NULL)
        return CALLER_BLOCKED;
    if (allow->networks.count == 0 && allow->pattern_count == 0)
        return CALLER_WELCOME;
    if (holds_source(allow, source) || caller_list_find(allow, number) != NULL)
        return CALLER_WELCOME;
    return allow->pattern_count > 0 ? CALLER_BLOCKED : CALLER_SOURCE_BLOCKED;
}
