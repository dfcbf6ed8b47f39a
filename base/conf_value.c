/* SPDX-License-Identifier: MIT */
/*
 * conf_value.c - what a value of each type may look like, and what to tell when it does not.
 */
#include "base/conf_internal.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

enum { ITEM_MAX = 256, DISTANCE_MAX = 48 };

static int least_of(int a, int b, int c)
{
    int least = a < b ? a : b;

    return least < c ? least : c;
}

/* Levenshtein, without case, '-' and '_' alike. */
int conf_distance(const char *a, const char *b)
{
    int row[DISTANCE_MAX + 1];
    size_t n = strlen(b);
    size_t i;
    size_t j;

    if (n > DISTANCE_MAX || strlen(a) > DISTANCE_MAX)
        return DISTANCE_MAX;
    for (j = 0; j <= n; j++)
        row[j] = (int)j;
    for (i = 1; a[i - 1] != '\0'; i++) {
        int diagonal = row[0];

        row[0] = (int)i;
        for (j = 1; j <= n; j++) {
            int ca = a[i - 1] == '-' ? '_' : tolower((unsigned char)a[i - 1]);
            int cb = b[j - 1] == '-' ? '_' : tolower((unsigned char)b[j - 1]);
            int above = row[j];

            row[j] = least_of(diagonal + (ca != cb), above + 1, row[j - 1] + 1);
            diagonal = above;
        }
    }
    return row[n];
}

int conf_choice_index(const char *choices, const char *text)
{
    size_t length = strlen(text);
    int i;

    for (i = 0;; i++) {
        size_t n = strcspn(choices, "|");

        if (n == length && memcmp(choices, text, n) == 0)
            return i;
        if (choices[n] == '\0')
            return -1;
        choices += n + 1;
    }
}

/* "a|b|c" → "a, b or c" */
static void words_of(char *out, size_t size, const char *choices)
{
    size_t used = 0;

    while (used + 1 < size) {
        size_t n = strcspn(choices, "|");
        const char *joint = choices[n] == '\0'                     ? ""
                            : strchr(choices + n + 1, '|') != NULL ? ", "
                                                                   : " or ";

        used += (size_t)snprintf(out + used, size - used, "%.*s%s", (int)n, choices, joint);
        if (choices[n] == '\0')
            return;
        choices += n + 1;
    }
}

/* The number in a unit that people would write. */
static void quantity(char *out, size_t size, enum conf_type type, int64_t n)
{
    static const struct {
        enum conf_type type;
        int64_t factor;
        const char *unit;
    } units[] = {
        {CONF_DURATION, 86400000, "d"}, {CONF_DURATION, 3600000, "h"},
        {CONF_DURATION, 60000, "min"},  {CONF_DURATION, 1000, "s"},
        {CONF_DURATION, 1, "ms"},       {CONF_SIZE, 1073741824, "GB"},
        {CONF_SIZE, 1048576, "MB"},     {CONF_SIZE, 1024, "kB"},
    };
    size_t i;

    for (i = 0; n > 0 && i < sizeof units / sizeof units[0]; i++) {
        if (units[i].type != type || n % units[i].factor != 0)
            continue;
        snprintf(out, size, "%lld%s", (long long)(n / units[i].factor), units[i].unit);
        return;
    }
    snprintf(out, size, "%lld", (long long)n);
}

/* A '#' after a value is no comment in this format; people think so. */
static const char *hint_of(const char *text)
{
    return strstr(text, " #") != NULL ? " (a comment behind a value begins with ';')" : "";
}

static int check_quantity(const struct conf_key *key, const char *text, int64_t *out, char *what)
{
    char least[32];
    char most[32];
    size_t length = strlen(key->key);
    bool seconds =
        key->type == CONF_DURATION && length > 8 && strcmp(key->key + length - 8, "_seconds") == 0;
    int64_t n = 0;
    int error;

    if (seconds && text[0] != '-' && text_number(&n, text) == 0) {
        error = n <= INT64_MAX / 1000 ? 0 : ERROR_LIMIT;
        n = error == 0 ? n * 1000 : 0;
    } else if (key->type == CONF_DURATION) {
        error = text_duration(&n, text);
    } else if (key->type == CONF_SIZE) {
        error = text_size(&n, text);
    } else {
        error = text_number(&n, text);
    }
    if (error == ERROR_FORMAT) {
        snprintf(what, CONF_WHAT_MAX, "%s = %s is no %s%s", key->key, LOG_ESCAPED(text),
                 seconds                      ? "duration: write e.g. 3600, 90s or 10min"
                 : key->type == CONF_DURATION ? "duration: write it with a unit, e.g. 300ms, 20s, "
                                                "3min, 1h or 30d"
                 : key->type == CONF_SIZE     ? "size: write e.g. 500, 64kB, 10MB or 2GB"
                                              : "number: write digits only",
                 hint_of(text));
        return ERROR_FORMAT;
    }
    if (error < 0 || n < key->least || n > key->most) {
        quantity(least, sizeof least, key->type, key->least);
        quantity(most, sizeof most, key->type, key->most);
        snprintf(what, CONF_WHAT_MAX, "%s = %s is out of range: write a value from %s to %s",
                 key->key, LOG_ESCAPED(text), least, most);
        return ERROR_FORMAT;
    }
    *out = n;
    return 0;
}

static int check_choice(const struct conf_key *key, const char *text, int64_t *out, char *what)
{
    const char *choices = key->type == CONF_BOOL ? "no|yes" : key->choices;
    char words[200] = "";
    int i = conf_choice_index(choices, text);

    if (i >= 0) {
        *out = i;
        return 0;
    }
    words_of(words, sizeof words, choices);
    snprintf(what, CONF_WHAT_MAX, "%s = %s is not possible: write %s%s",
             key->key != NULL ? key->key : "the value", LOG_ESCAPED(text), words, hint_of(text));
    return ERROR_FORMAT;
}

static bool port_is_valid(const char *text)
{
    int64_t n;

    return text_number(&n, text) == 0 && text[0] != '-' && n >= 0 && n <= 65535;
}

static bool address_is_valid(const char *text)
{
    char host[INET6_ADDRSTRLEN + 8];
    struct in6_addr in6;
    struct in_addr in4;
    const char *colon = strrchr(text, ':');
    size_t n = colon != NULL ? (size_t)(colon - text) : 0;

    if (n == 0 || n >= sizeof host || !port_is_valid(colon + 1))
        return false;
    memcpy(host, text, n);
    host[n] = '\0';
    if (host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = '\0';
        return inet_pton(AF_INET6, host + 1, &in6) == 1;
    }
    return inet_pton(AF_INET, host, &in4) == 1;
}

static bool range_is_valid(const char *text)
{
    char first[8];
    const char *dash = strchr(text, '-');
    int64_t low;
    int64_t high;

    if (dash == NULL || dash == text || (size_t)(dash - text) >= sizeof first)
        return false;
    memcpy(first, text, (size_t)(dash - text));
    first[dash - text] = '\0';
    return text_number(&low, first) == 0 && text_number(&high, dash + 1) == 0 && low >= 1 &&
           low <= high && high <= 65535;
}

static bool network_is_valid(const char *item)
{
    char host[INET6_ADDRSTRLEN];
    struct in6_addr in6;
    struct in_addr in4;
    const char *slash = strchr(item, '/');
    size_t n = slash != NULL ? (size_t)(slash - item) : strlen(item);
    int64_t bits = 0;

    if (n == 0 || n >= sizeof host || (slash != NULL && text_number(&bits, slash + 1) < 0))
        return false;
    memcpy(host, item, n);
    host[n] = '\0';
    if (inet_pton(AF_INET, host, &in4) == 1)
        return bits >= 0 && bits <= 32;
    return inet_pton(AF_INET6, host, &in6) == 1 && bits >= 0 && bits <= 128;
}

/* A comma with nothing before or behind it is more likely a slip than a wish. */
static bool list_has_empty_item(const char *text)
{
    bool empty = true;

    for (; *text != '\0'; text++) {
        if (*text == ',' && empty)
            return true;
        empty = *text == ',' || (empty && isspace((unsigned char)*text));
    }
    return empty;
}

static int check_list(const struct conf_key *key, const char *text, char *what)
{
    char item[ITEM_MAX];
    char words[200] = "";
    const char *rest = text;

    if (list_has_empty_item(text)) {
        snprintf(what, CONF_WHAT_MAX,
                 "%s = %s has an empty item: write the items with one comma between them", key->key,
                 LOG_ESCAPED(text));
        return ERROR_FORMAT;
    }
    while (text_list_next(&rest, item, sizeof item)) {
        if (key->type == CONF_NETWORKS && !network_is_valid(item)) {
            snprintf(what, CONF_WHAT_MAX,
                     "%s: %s is no network: write e.g. 192.0.2.0/24 or ::1/128", key->key,
                     LOG_ESCAPED(item));
            return ERROR_FORMAT;
        }
        if (key->choices != NULL && conf_choice_index(key->choices, item) < 0) {
            words_of(words, sizeof words, key->choices);
            snprintf(what, CONF_WHAT_MAX, "%s: %s is not possible: write %s", key->key,
                     LOG_ESCAPED(item), words);
            return ERROR_FORMAT;
        }
        if (strlen(item) + 1 >= sizeof item) {
            snprintf(what, CONF_WHAT_MAX, "%s has an item that is too long: at most %d characters",
                     key->key, ITEM_MAX - 2);
            return ERROR_FORMAT;
        }
    }
    return 0;
}

static int check_form(const struct conf_key *key, const char *text, int64_t *number, char *what)
{
    const char *form = NULL;

    switch (key->type) {
    case CONF_NUMBER:
    case CONF_DURATION:
    case CONF_SIZE: return check_quantity(key, text, number, what);
    case CONF_BOOL:
    case CONF_CHOICE: return check_choice(key, text, number, what);
    case CONF_LIST:
    case CONF_NETWORKS: return check_list(key, text, what);
    case CONF_ADDRESS:
        if (!address_is_valid(text))
            form = "an address: write ip:port, e.g. 0.0.0.0:5060 or [::]:5060";
        break;
    case CONF_RANGE:
        if (!range_is_valid(text))
            form = "a range of ports: write e.g. 20000-29999";
        break;
    case CONF_PATTERN:
        if (strlen(text) >= ITEM_MAX)
            form = "a pattern: at most 255 characters";
        break;
    case CONF_TEXT:
    case CONF_PATH: break;
    }
    if (form == NULL)
        return 0;
    snprintf(what, CONF_WHAT_MAX, "%s = %s is not %s", key->key, LOG_ESCAPED(text), form);
    return ERROR_FORMAT;
}

static int absolute_path(const char *folder, const char *text, char **out)
{
    int n;

    if (text[0] == '/')
        n = asprintf(out, "%s", text);
    else
        n = asprintf(out, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, text);
    return n < 0 ? ERROR_MEMORY : 0;
}

int conf_value_check(const struct conf_key *key, const char *folder, const char *text,
                     char **out_text, int64_t *out_number, char what[CONF_WHAT_MAX])
{
    int64_t number = 0;
    char *copy = NULL;
    int error;

    if (text[0] == '\0' && key->type != CONF_TEXT) {
        snprintf(what, CONF_WHAT_MAX, "%s has no value: write one, or take the line out",
                 key->key != NULL ? key->key : "the key");
        return ERROR_FORMAT;
    }
    error = check_form(key, text, &number, what);
    if (error < 0)
        return error;
    if (key->type == CONF_PATH)
        error = absolute_path(folder, text, &copy);
    else
        error = (copy = strdup(text)) == NULL ? ERROR_MEMORY : 0;
    if (error < 0)
        return error;
    if (strlen(copy) > CONF_VALUE_MAX) {
        snprintf(what, CONF_WHAT_MAX, "%s is too long: at most %d characters",
                 key->key != NULL ? key->key : "the value", CONF_VALUE_MAX);
        free(copy);
        return ERROR_FORMAT;
    }
    *out_text = copy;
    *out_number = number;
    return 0;
}
