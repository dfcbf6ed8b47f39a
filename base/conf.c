/* SPDX-License-Identifier: MIT */
/*
 * conf.c - settings: reads a file into a list of items, each checked against the table at once.
 *
 * inih splits a line into key and value and takes comments off. What it does not tell (where a
 * section begins, which line it is at, that a line was too long or continued the one before) is
 * seen by the reader that hands it the lines: no line begins with white space when inih gets it, so
 * there are no continuation lines, and one that was meant as such is an error with its line number.
 */
#include "base/conf.h"

#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ini.h>

#include "base/buffer.h"
#include "base/conf_internal.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

/* Debian's inih has its limits as variables, upstream's has them built in (199 characters). */
#pragma weak ini_use_stack
#pragma weak ini_max_line
#pragma weak ini_initial_alloc

enum {
    ITEMS_MAX = 20000,
    PROBLEMS_MAX = 50,    /* a file of another kind shall not fill the screen */
    LINE_MAX_OURS = 4096, /* octets, with the two of the line end and the NUL */
};

/* ---- reading -------------------------------------------------------------------------------- */

struct parser {
    struct conf *conf;
    const char *folder;
    const char *at;               /* the rest of the text */
    int line;                     /* number of the line that inih has */
    bool wants_pair;              /* this line should reach the handler */
    char shown[64];               /* beginning of that line, for messages */
    struct conf_section *section; /* the current one; NULL before the first */
    bool section_is_bad;          /* its keys are not looked at: one message is enough */
    int problems;
    int error; /* ERROR_MEMORY, or 0 */
    conf_problem_handler *problem;
    void *user;
};

static void problem(struct parser *p, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void problem(struct parser *p, int line, const char *format, ...)
{
    char what[CONF_WHAT_MAX];
    va_list ap;

    if (++p->problems > PROBLEMS_MAX || p->problem == NULL)
        return;
    va_start(ap, format);
    vsnprintf(what, sizeof what, format, ap);
    va_end(ap);
    if (p->problems == PROBLEMS_MAX)
        text_copy(what, sizeof what, "and more of this kind: not shown");
    p->problem(p->user, p->conf->file, line, what);
}

static bool same_word(const char *a, const char *b)
{
    for (; *a != '\0' && *b != '\0'; a++, b++)
        if ((*a == '-' ? '_' : *a) != (*b == '-' ? '_' : *b))
            return false;
    return *a == *b;
}

static bool same_name(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static const struct conf_key *find_section(const struct conf_key *keys, const char *section)
{
    for (; keys->section != NULL; keys++)
        if (strcmp(keys->section, section) == 0)
            return keys;
    return NULL;
}

const struct conf_key *conf_key_find(const struct conf_key *keys, const char *section,
                                     const char *key)
{
    for (; keys->section != NULL; keys++)
        if (strcmp(keys->section, section) == 0 && (keys->key == NULL || same_word(keys->key, key)))
            return keys;
    return NULL;
}

/* Words near to a wrong one: of the sections (section NULL) or of the keys of a section. */
static const char *nearest(const struct conf_key *keys, const char *section, const char *word)
{
    const char *best = NULL;
    int best_distance = ((int)strlen(word) + 1) / 3;

    for (; keys->section != NULL; keys++) {
        const char *candidate = section == NULL ? keys->section : keys->key;
        int distance;

        if (candidate == NULL || (section != NULL && strcmp(keys->section, section) != 0))
            continue;
        distance = conf_distance(candidate, word);
        if (distance <= best_distance && (best == NULL || distance < best_distance)) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

/* The names a section may have: they show up in logs, commands and file names. */
static bool name_is_valid(const char *name)
{
    return strlen(name) < CONF_NAME_MAX && file_name_is_safe(name);
}

struct conf_section *conf_section_find(const struct conf *conf, const char *section,
                                       const char *name)
{
    size_t i;

    for (i = 0; i < conf->section_count; i++)
        if (strcmp(conf->sections[i]->section, section) == 0 &&
            same_name(conf->sections[i]->name, name))
            return conf->sections[i];
    return NULL;
}

static struct conf_section *section_add(struct parser *p, const char *section, const char *name)
{
    struct conf *conf = p->conf;
    struct conf_section **grown =
        realloc(conf->sections, (conf->section_count + 1) * sizeof conf->sections[0]);
    struct conf_section *s = calloc(1, sizeof *s);

    if (grown != NULL)
        conf->sections = grown;
    if (grown == NULL || s == NULL || (s->section = strdup(section)) == NULL ||
        (name != NULL && (s->name = strdup(name)) == NULL)) {
        if (s != NULL)
            free(s->section);
        free(s);
        p->error = ERROR_MEMORY;
        return NULL;
    }
    s->line = p->line;
    conf->sections[conf->section_count++] = s;
    return s;
}

static void section_unknown(struct parser *p, const char *section)
{
    const char *near = nearest(p->conf->keys, NULL, section);
    struct buffer all;
    const struct conf_key *k;

    if (near != NULL) {
        problem(p, p->line, "no such section [%s]: did you mean [%s]?", section, near);
        return;
    }
    buffer_init(&all, 300);
    for (k = p->conf->keys; k->section != NULL; k++)
        if (k == p->conf->keys || strcmp(k->section, k[-1].section) != 0)
            buffer_format(&all, " [%s%s]", k->section, k->named ? " NAME" : "");
    problem(p, p->line, "no such section %s: this file may have%s", LOG_ESCAPED(section),
            buffer_string(&all));
    buffer_free(&all);
}

/* A line "[section]" or "[section NAME]". */
static void section_begin(struct parser *p, char *line)
{
    char *end = strchr(line, ']');
    char *section;
    char *name;
    const struct conf_key *key;
    const struct conf_section *before;

    p->section = NULL;
    p->section_is_bad = true;
    if (end == NULL || (end[1 + strspn(end + 1, " \t")] != '\0' &&
                        strchr(";#", end[1 + strspn(end + 1, " \t")]) == NULL)) {
        problem(p, p->line, "%s is no section: write [section] or [section NAME] on a line",
                LOG_ESCAPED(p->shown));
        return;
    }
    *end = '\0';
    section = text_trim(line + 1);
    name = section + strcspn(section, " \t");
    if (*name != '\0')
        *name++ = '\0';
    name = text_trim(name);
    key = find_section(p->conf->keys, section);
    if (key == NULL) {
        section_unknown(p, section);
    } else if (key->named && *name == '\0') {
        problem(p, p->line, "[%s] needs a name: write e.g. [%s one]", section, section);
    } else if (!key->named && *name != '\0') {
        problem(p, p->line, "[%s] takes no name: write [%s]", section, section);
    } else if (key->named && !name_is_valid(name)) {
        problem(p, p->line,
                "%s cannot be the name of a section: use up to %d of A-Z a-z 0-9 . _ @ + - =, "
                "the first one not a dot",
                LOG_ESCAPED(name), CONF_NAME_MAX - 1);
    } else if ((before = conf_section_find(p->conf, section, key->named ? name : NULL)) != NULL) {
        problem(p, p->line, "[%s%s%s] is there twice, first in line %d: put both together", section,
                *name != '\0' ? " " : "", name, before->line);
    } else {
        p->section = section_add(p, section, key->named ? name : NULL);
        p->section_is_bad = p->section == NULL;
    }
}

static bool octets_are_text(const char *text, size_t length)
{
    const unsigned char *s = (const unsigned char *)text;
    const unsigned char *end = s + length;

    while (s < end) {
        int more = *s < 0x80 ? 0 : *s >= 0xf0 ? 3 : *s >= 0xe0 ? 2 : 1;

        if ((*s < 0x20 && *s != '\t') || *s == 0x7f || (*s >= 0x80 && *s < 0xc2) || *s > 0xf4)
            return false;
        for (s++; more > 0; more--, s++)
            if (s >= end || (*s & 0xc0) != 0x80)
                return false;
    }
    return true;
}

/* The line before should have been "key = value", and inih found none in it. */
static void pair_missing(struct parser *p)
{
    if (p->wants_pair && !p->section_is_bad)
        problem(p, p->line,
                "%s is no 'key = value': a value stands on one line with its key, a comment begins "
                "with ';' or '#'",
                LOG_ESCAPED(p->shown));
    p->wants_pair = false;
}

/* Looks at the line in out (which it may empty) before inih does. */
static void line_check(struct parser *p, char *out, size_t length)
{
    if (!octets_are_text(out, length)) {
        problem(p, p->line, "holds octets that are no UTF-8 text: is this the right file?");
        out[0] = '\0';
    }
    text_copy(p->shown, sizeof p->shown, out);
    if (out[0] == '[') {
        section_begin(p, out);
        out[0] = '\0';
    } else if (out[0] != '\0' && out[0] != ';' && out[0] != '#') {
        p->wants_pair = true;
    }
}

/* inih's reader: the next line without its white space at both ends, in out[size]. */
static char *line_next(char *out, int size, void *user)
{
    struct parser *p = user;
    size_t length = strcspn(p->at, "\n");
    const char *begin = p->at;
    const char *end = begin + length;

    pair_missing(p);
    if (*p->at == '\0' || p->error < 0)
        return NULL;
    p->at += length + (p->at[length] == '\n');
    if (p->line++ == 0 && strncmp(begin, "\xef\xbb\xbf", 3) == 0)
        begin += 3;
    while (begin < end && strchr(" \t\r", *begin) != NULL)
        begin++;
    while (end > begin && strchr(" \t\r", end[-1]) != NULL)
        end--;
    length = (size_t)(end - begin);
    if (length + 3 > (size_t)size) {
        problem(p, p->line, "the line is too long: at most %d characters", size - 3);
        length = 0;
    }
    memcpy(out, begin, length);
    out[length] = '\0';
    line_check(p, out, length);
    strcat(out, "\n");
    return out;
}

static void key_unknown(struct parser *p, const char *key)
{
    const char *section = p->section->section;
    const char *near = nearest(p->conf->keys, section, key);
    const struct conf_key *k;

    for (k = p->conf->keys; k->section != NULL; k++)
        if (k->key != NULL && same_word(k->key, key)) {
            problem(p, p->line, "no such key in [%s]: %s belongs into [%s%s]", section, k->key,
                    k->section, k->named ? " NAME" : "");
            return;
        }
    if (near != NULL)
        problem(p, p->line, "no such key in [%s]: %s; did you mean %s?", section, LOG_ESCAPED(key),
                near);
    else
        problem(p, p->line, "no such key in [%s]: %s; see faxpost.ini(5) for those there are",
                section, LOG_ESCAPED(key));
}

struct conf_item *conf_item_find(const struct conf *conf, const struct conf_section *section,
                                 const char *key)
{
    size_t i;

    for (i = 0; i < conf->item_count; i++) {
        struct conf_item *e = &conf->items[i];

        if (e->section == section &&
            (e->free_key != NULL ? strcmp(e->free_key, key) == 0 : same_word(e->key->key, key)))
            return e;
    }
    return NULL;
}

static void item_add(struct parser *p, const struct conf_key *key, const char *name,
                     const char *value)
{
    struct conf *conf = p->conf;
    struct conf_item e = {.section = p->section, .key = key, .line = p->line};
    struct conf_item *grown;
    char what[CONF_WHAT_MAX];
    int error = conf_value_check(key, p->folder, value, &e.text, &e.number, what);

    if (error == ERROR_FORMAT)
        problem(p, p->line, "%s%s%s", key->key == NULL ? name : "", key->key == NULL ? ": " : "",
                what);
    else if (error < 0)
        p->error = error;
    if (p->error < 0)
        return;
    if (conf->item_count % 64 == 0) {
        grown = realloc(conf->items, (conf->item_count + 64) * sizeof conf->items[0]);
        if (grown == NULL)
            goto memory;
        conf->items = grown;
    }
    if (key->key == NULL && (e.free_key = strdup(name)) == NULL)
        goto memory;
    conf->items[conf->item_count++] = e;
    return;
memory:
    free(e.text);
    p->error = ERROR_MEMORY;
}

/* inih's handler. The section is what the reader saw: inih would cut a long one. */
static int pair_handle(void *user, const char *ignored, const char *name, const char *value)
{
    struct parser *p = user;
    const struct conf_key *key;
    const struct conf_item *before;

    (void)ignored;
    p->wants_pair = false;
    if (p->error < 0 || (p->section == NULL && p->section_is_bad))
        return 1;
    if (p->section == NULL) {
        problem(p, p->line, "%s stands before the first [section]", LOG_ESCAPED(name));
        return 1;
    }
    key = conf_key_find(p->conf->keys, p->section->section, name);
    before = conf_item_find(p->conf, p->section, name);
    if (key == NULL)
        key_unknown(p, name);
    else if (name[0] == '\0' || strlen(name) > 255)
        problem(p, p->line, "the key before '=' is empty or too long");
    else if (before != NULL)
        problem(p, p->line, "%s is there twice, first in line %d: keep one of them", name,
                before->line);
    else if (p->conf->item_count >= ITEMS_MAX)
        problem(p, p->line, "too many items: at most %d", ITEMS_MAX);
    else
        item_add(p, key, name, value);
    return 1;
}

/* Keys that must be there: in each section of a name, or in the one without. */
static void required_check(struct parser *p)
{
    const struct conf *conf = p->conf;
    const struct conf_key *k;
    size_t i;

    for (k = conf->keys; k->section != NULL; k++) {
        if (!k->required)
            continue;
        for (i = 0; i < conf->section_count; i++) {
            const struct conf_section *s = conf->sections[i];

            if (strcmp(s->section, k->section) == 0 && conf_item_find(conf, s, k->key) == NULL)
                problem(p, s->line, "[%s%s%s] has no %s: add a line '%s = …' to it", s->section,
                        s->name != NULL ? " " : "", s->name != NULL ? s->name : "", k->key, k->key);
        }
        if (!k->named && conf_section_find(conf, k->section, NULL) == NULL)
            problem(p, 0, "%s is missing: add a section [%s] with a line '%s = …'", k->key,
                    k->section, k->key);
    }
}

static void library_limits(void)
{
    if (&ini_use_stack == NULL || &ini_max_line == NULL || &ini_initial_alloc == NULL)
        return;
    ini_use_stack = false;
    ini_max_line = ini_initial_alloc = LINE_MAX_OURS;
}

static struct conf *conf_new(const char *file, const struct conf_key *keys)
{
    struct conf *conf = calloc(1, sizeof *conf);

    if (conf == NULL || (conf->file = strdup(file)) == NULL) {
        free(conf);
        return NULL;
    }
    conf->keys = keys;
    return conf;
}

int conf_parse(struct conf **out, const char *text, const char *name, const char *folder,
               const struct conf_key *keys, conf_problem_handler *handler, void *user)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    char current[PATH_MAX];
    struct parser p = {.at = text, .problem = handler, .user = user};
    struct conf *conf;

    pthread_once(&once, library_limits);
    if (folder == NULL)
        folder = getcwd(current, sizeof current);
    if (folder == NULL)
        return ERROR_IO;
    conf = conf_new(name, keys);
    if (conf == NULL)
        return ERROR_MEMORY;
    p.conf = conf;
    p.folder = folder;
    if (ini_parse_stream(line_next, &p, pair_handle, &p) == -2)
        p.error = ERROR_MEMORY;
    if (p.error == 0)
        required_check(&p);
    if (p.error < 0 || p.problems > 0) {
        conf_free(conf);
        return p.error < 0 ? p.error : ERROR_CONFIG;
    }
    *out = conf;
    return 0;
}

void conf_free(struct conf *conf)
{
    size_t i;

    if (conf == NULL)
        return;
    for (i = 0; i < conf->section_count; i++) {
        free(conf->sections[i]->section);
        free(conf->sections[i]->name);
        free(conf->sections[i]);
    }
    for (i = 0; i < conf->item_count; i++) {
        free(conf->items[i].free_key);
        free(conf->items[i].text);
    }
    free(conf->sections);
    free(conf->items);
    free(conf->file);
    free(conf);
}
