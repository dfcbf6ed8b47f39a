/* SPDX-License-Identifier: MIT */
/*
 * conf_get.c - access to settings that were read, and their dump.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/conf.h"
#include "base/conf_internal.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

enum { DUMP_BYTES_MAX = 8 << 20 };

const char *conf_file(const struct conf *conf)
{
    return conf->file;
}

const char *conf_section_name(const struct conf *conf, const char *section, size_t i)
{
    size_t at;

    for (at = 0; at < conf->section_count; at++)
        if (strcmp(conf->sections[at]->section, section) == 0 && i-- == 0)
            return conf->sections[at]->name;
    return NULL;
}

/* The key, which must be in the table, and its item, which is NULL where the default is in force.
 */
static const struct conf_key *look_up(const struct conf *conf, const char *section,
                                      const char *name, const char *key,
                                      const struct conf_item **out_item)
{
    const struct conf_key *k = conf_key_find(conf->keys, section, key);
    const struct conf_section *s = conf_section_find(conf, section, name);

    if (k == NULL || k->key == NULL) {
        log_alert("bug: no key in the table of settings: [%s] %s", section, key);
        abort();
    }
    *out_item = s != NULL ? conf_item_find(conf, s, key) : NULL;
    return k;
}

const char *conf_text(const struct conf *conf, const char *section, const char *name,
                      const char *key)
{
    const struct conf_item *item;
    const struct conf_key *k = look_up(conf, section, name, key, &item);

    return item != NULL ? item->text : k->fallback;
}

int64_t conf_number(const struct conf *conf, const char *section, const char *name, const char *key)
{
    const struct conf_item *item;
    const struct conf_key *k = look_up(conf, section, name, key, &item);
    char what[CONF_WHAT_MAX];
    char *text;
    int64_t number;

    if (item != NULL)
        return item->number;
    if (k->fallback == NULL)
        return 0;
    if (conf_value_check(k, "/", k->fallback, &text, &number, what) < 0) {
        log_alert("bug: default in the table of settings: [%s] %s: %s", section, key, what);
        abort();
    }
    free(text);
    return number;
}

bool conf_bool(const struct conf *conf, const char *section, const char *name, const char *key)
{
    return conf_number(conf, section, name, key) != 0;
}

int conf_choice(const struct conf *conf, const char *section, const char *name, const char *key)
{
    return (int)conf_number(conf, section, name, key);
}

int conf_entry(const struct conf *conf, const char *section, size_t i, const char **out_key,
               const char **out_value, int *out_line)
{
    size_t at;

    for (at = 0; at < conf->item_count; at++) {
        const struct conf_item *item = &conf->items[at];

        if (item->free_key == NULL || strcmp(item->section->section, section) != 0 || i-- > 0)
            continue;
        *out_key = item->free_key;
        *out_value = item->text;
        *out_line = item->line;
        return 0;
    }
    return ERROR_NOT_FOUND;
}

int conf_line(const struct conf *conf, const char *section, const char *name, const char *key)
{
    const struct conf_item *item;

    look_up(conf, section, name, key, &item);
    return item != NULL ? item->line : 0;
}

/* ---- dump ----------------------------------------------------------------------------------- */

/* ';' behind white space begins a comment: a value that begins with one stands at the '='. */
static void dump_pair(struct buffer *out, const char *key, const char *value)
{
    buffer_format(out, "%s =%s%s\n", key, value[0] == ';' || value[0] == '\0' ? "" : " ", value);
}

static void dump_keys(struct buffer *out, const struct conf *conf, const char *section,
                      const char *name)
{
    const struct conf_key *k;
    size_t i;

    for (k = conf->keys; k->section != NULL; k++) {
        const char *value;

        if (k->key == NULL || strcmp(k->section, section) != 0)
            continue;
        value = conf_text(conf, section, name, k->key);
        if (value != NULL)
            dump_pair(out, k->key, value);
    }
    for (i = 0; i < conf->item_count; i++) {
        const struct conf_item *item = &conf->items[i];

        if (item->free_key != NULL && strcmp(item->section->section, section) == 0)
            dump_pair(out, item->free_key, item->text);
    }
}

static bool is_wanted(const char *sections, const char *section)
{
    char item[CONF_NAME_MAX];
    const char *rest = sections;

    if (sections == NULL)
        return true;
    while (text_list_next(&rest, item, sizeof item))
        if (strcmp(item, section) == 0)
            return true;
    return false;
}

int conf_dump(const struct conf *conf, const char *sections, char **out)
{
    const struct conf_key *k;
    struct buffer buffer;
    int error;
    size_t i;

    buffer_init(&buffer, DUMP_BYTES_MAX);
    buffer_text(&buffer, "");
    for (k = conf->keys; k->section != NULL; k++) {
        if (k != conf->keys && strcmp(k[-1].section, k->section) == 0)
            continue;
        if (!is_wanted(sections, k->section))
            continue;
        if (!k->named) {
            buffer_format(&buffer, "%s[%s]\n", buffer.length > 0 ? "\n" : "", k->section);
            dump_keys(&buffer, conf, k->section, NULL);
        }
        for (i = 0; k->named && i < conf->section_count; i++) {
            const struct conf_section *s = conf->sections[i];

            if (strcmp(s->section, k->section) != 0)
                continue;
            buffer_format(&buffer, "%s[%s %s]\n", buffer.length > 0 ? "\n" : "", s->section,
                          s->name);
            dump_keys(&buffer, conf, s->section, s->name);
        }
    }
    error = buffer.error;
    if (error == 0 && (*out = strdup(buffer_string(&buffer))) == NULL)
        error = ERROR_MEMORY;
    buffer_free(&buffer);
    return error;
}
