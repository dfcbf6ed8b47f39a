/* SPDX-License-Identifier: MIT */
/*
 * conf_internal.h - what base/conf.c (reading), conf_value.c (types) and conf_get.c (access, dump)
 * share. Nobody else includes it.
 */
#ifndef FAXPOST_BASE_CONF_INTERNAL_H
#define FAXPOST_BASE_CONF_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"

enum {
    CONF_NAME_MAX = 64,   /* names of sections and keys, with NUL */
    CONF_WHAT_MAX = 512,  /* a problem in words */
    CONF_VALUE_MAX = 3900 /* also of a path made absolute: a dump must fit into a line */
};

struct conf_section {
    char *section;
    char *name; /* NULL for one without */
    int line;
};

struct conf_item {
    const struct conf_section *section;
    const struct conf_key *key;
    char *free_key; /* as written, in a section with free keys; else NULL */
    char *text;     /* NULL: the value was refused (only while reading) */
    int64_t number;
    int line;
};

struct conf {
    char *file;
    const struct conf_key *keys;
    struct conf_section **sections;
    size_t section_count;
    struct conf_item *items;
    size_t item_count;
};

/* The section, or NULL; name is NULL for one without. */
struct conf_section *conf_section_find(const struct conf *conf, const char *section,
                                       const char *name);

/* The key in the table ('-' and '_' are the same), or NULL. */
const struct conf_key *conf_key_find(const struct conf_key *keys, const char *section,
                                     const char *key);

/* The item in the file, or NULL. */
struct conf_item *conf_item_find(const struct conf *conf, const struct conf_section *section,
                                 const char *key);

/* Checks text as a value of key. *out_text is malloced (paths come absolute, counted from folder);
 * *out_number holds numbers, milliseconds, octets, 0 or 1, the index of a choice. ERROR_FORMAT with
 * `what` saying what is wrong and what would be right; ERROR_MEMORY. */
int conf_value_check(const struct conf_key *key, const char *folder, const char *text,
                     char **out_text, int64_t *out_number, char what[CONF_WHAT_MAX]);

/* How many letters have to change to make one of the other (for "did you mean"). */
int conf_distance(const char *a, const char *b);

/* Index of text in "a|b|c", or -1. */
int conf_choice_index(const char *choices, const char *text);

#endif
