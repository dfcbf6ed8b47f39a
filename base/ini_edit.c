/* SPDX-License-Identifier: MIT */
/*
 * ini_edit.c - takes the text apart into lines, finds the octets that are meant, and puts others in
 * their place. Lines point into the text and are void after a change.
 */
#include "base/ini_edit.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define BLANKS " \t\r"

enum kind { LINE_BLANK, LINE_COMMENT, LINE_SECTION, LINE_PAIR, LINE_OTHER };

/* A part of the text. */
struct span {
    const char *at;
    size_t length;
};

struct line {
    enum kind kind;
    struct span whole; /* with its line end */
    struct span inner; /* without white space at both ends */
    struct span key;   /* of a pair; of a section its word */
    struct span value; /* of a pair; of a section its name */
};

struct lines {
    struct line *line;
    size_t count;
};

static const size_t NONE = SIZE_MAX;

/* ---- taking apart --------------------------------------------------------------------------- */

static struct span trimmed(const char *begin, const char *end)
{
    while (begin < end && strchr(BLANKS, *begin) != NULL)
        begin++;
    while (end > begin && strchr(BLANKS, end[-1]) != NULL)
        end--;
    return (struct span){begin, (size_t)(end - begin)};
}

/* As inih looks for it: one of stops (or NULL), or a comment, which is ';' behind white space. */
static const char *find_stop(const char *at, const char *end, const char *stops)
{
    bool blank_before = false;

    for (; at < end; at++) {
        if ((stops != NULL && strchr(stops, *at) != NULL) || (blank_before && *at == ';'))
            return at;
        blank_before = strchr(BLANKS, *at) != NULL;
    }
    return end;
}

static void read_pair(struct line *line)
{
    const char *end = line->inner.at + line->inner.length;
    const char *split = find_stop(line->inner.at, end, "=:");

    line->kind = LINE_OTHER;
    if (split == end || *split == ';')
        return;
    line->kind = LINE_PAIR;
    line->key = trimmed(line->inner.at, split);
    line->value = trimmed(split + 1, find_stop(split + 1, end, NULL));
    if (line->value.length == 0)
        line->value.at = split + 1;
}

/* "[ section  NAME ] ; comment" */
static void read_section(struct line *line)
{
    const char *begin = line->inner.at + 1;
    const char *end = memchr(begin, ']', line->inner.length - 1);
    struct span inside;
    size_t i = 0;

    line->kind = LINE_OTHER;
    if (end == NULL)
        return;
    line->kind = LINE_SECTION;
    inside = trimmed(begin, end);
    while (i < inside.length && inside.at[i] != ' ' && inside.at[i] != '\t')
        i++;
    line->key = (struct span){inside.at, i};
    line->value = trimmed(inside.at + i, inside.at + inside.length);
}

static void read_line(struct line *line)
{
    const char *begin = line->whole.at;
    size_t length = line->whole.length;

    if (length > 0 && begin[length - 1] == '\n')
        length--;
    line->inner = trimmed(begin, begin + length);
    if (line->inner.length == 0)
        line->kind = LINE_BLANK;
    else if (line->inner.at[0] == ';' || line->inner.at[0] == '#')
        line->kind = LINE_COMMENT;
    else if (line->inner.at[0] == '[')
        read_section(line);
    else
        read_pair(line);
}

static int lines_read(struct lines *out, const char *text)
{
    const char *at = text;
    size_t most = 1;
    size_t i;

    if (strncmp(at, "\xef\xbb\xbf", 3) == 0)
        at += 3;
    for (i = 0; at[i] != '\0'; i++)
        most += at[i] == '\n';
    out->line = calloc(most, sizeof *out->line);
    if (out->line == NULL)
        return ERROR_MEMORY;
    for (out->count = 0; *at != '\0'; out->count++) {
        struct line *line = &out->line[out->count];

        line->whole.at = at;
        line->whole.length = strcspn(at, "\n");
        line->whole.length += at[line->whole.length] == '\n';
        at += line->whole.length;
        read_line(line);
    }
    return 0;
}

/* ---- finding -------------------------------------------------------------------------------- */

static bool span_is(struct span span, const char *text, bool exact)
{
    size_t i;

    for (i = 0; i < span.length; i++) {
        char a = !exact && span.at[i] == '-' ? '_' : span.at[i];
        char b = !exact && text[i] == '-' ? '_' : text[i];

        if (text[i] == '\0' || a != b)
            return false;
    }
    return text[i] == '\0';
}

static size_t find_section(const struct lines *lines, const struct ini_place *place)
{
    size_t i;

    for (i = 0; i < lines->count; i++)
        if (lines->line[i].kind == LINE_SECTION &&
            span_is(lines->line[i].key, place->section, true) &&
            span_is(lines->line[i].value, place->name != NULL ? place->name : "", true))
            return i;
    return NONE;
}

/* The line behind a section: of the next header, or the end. */
static size_t section_end(const struct lines *lines, size_t header)
{
    size_t i = header + 1;

    while (i < lines->count && lines->line[i].kind != LINE_SECTION)
        i++;
    return i;
}

static size_t find_key(const struct lines *lines, size_t header, const struct ini_place *place)
{
    size_t end = section_end(lines, header);
    size_t i;

    for (i = header + 1; i < end; i++)
        if (lines->line[i].kind == LINE_PAIR &&
            span_is(lines->line[i].key, place->key, place->exact))
            return i;
    return NONE;
}

/* The last line that a section has something to say in; its header when there is none. */
static size_t last_pair(const struct lines *lines, size_t header)
{
    size_t i = section_end(lines, header) - 1;

    while (i > header && lines->line[i].kind != LINE_PAIR && lines->line[i].kind != LINE_OTHER)
        i--;
    return i;
}

/* The lines [*begin, *end) that go with a section: see ini_edit_remove_section(). */
static void find_block(const struct lines *lines, size_t header, size_t *begin, size_t *end)
{
    size_t limit = section_end(lines, header);
    size_t i = header;

    while (i > 0 && lines->line[i - 1].kind == LINE_COMMENT)
        i--;
    *begin = i > 0 && lines->line[i - 1].kind == LINE_BLANK ? i : header;
    *end = last_pair(lines, header) + 1;
    for (i = *end; i < limit && lines->line[i].kind == LINE_COMMENT; i++)
        ;
    if (i == lines->count || lines->line[i].kind == LINE_BLANK)
        *end = i;
}

/* ---- what can stand in a line --------------------------------------------------------------- */

static bool is_plain(const char *text)
{
    size_t length = strlen(text);
    size_t i;

    for (i = 0; i < length; i++)
        if (((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
            return false;
    return length == 0 ||
           (strchr(BLANKS, text[0]) == NULL && strchr(BLANKS, text[length - 1]) == NULL);
}

static bool section_is_valid(const struct ini_place *place)
{
    return place->section[0] != '\0' && is_plain(place->section) &&
           strpbrk(place->section, " \t]") == NULL &&
           (place->name == NULL ||
            (place->name[0] != '\0' && is_plain(place->name) && strchr(place->name, ']') == NULL));
}

static bool key_is_valid(const char *key)
{
    const char *end = key + strlen(key);

    return key[0] != '\0' && is_plain(key) && strchr("[;#", key[0]) == NULL &&
           find_stop(key, end, "=:") == end;
}

static bool value_is_valid(const char *value)
{
    const char *end = value + strlen(value);

    return is_plain(value) && value[0] != ';' && find_stop(value, end, NULL) == end;
}

/* ---- changing ------------------------------------------------------------------------------- */

/* Puts `with` in the place of `length` octets at `at`, which points into *text. */
static int splice(char **text, const char *at, size_t length, const char *with)
{
    size_t before = (size_t)(at - *text);
    size_t added = strlen(with);
    size_t rest = strlen(at + length) + 1;
    char *new = malloc(before + added + rest);

    if (new == NULL)
        return ERROR_MEMORY;
    memcpy(new, *text, before);
    memcpy(new + before, with, added);
    memcpy(new + before + added, at + length, rest);
    free(*text);
    *text = new;
    return 0;
}

static int cut_lines(char **text, const struct lines *lines, size_t begin, size_t end)
{
    const char *from = lines->line[begin].whole.at;
    const struct line *last = &lines->line[end - 1];

    return splice(text, from, (size_t)(last->whole.at + last->whole.length - from), "");
}

/* How lines of this file end: as its first one does. */
static const char *line_end_of(const struct lines *lines)
{
    const struct span *first = lines->count > 0 ? &lines->line[0].whole : NULL;

    return first != NULL && first->length >= 2 && first->at[first->length - 2] == '\r' &&
                   first->at[first->length - 1] == '\n'
               ? "\r\n"
               : "\n";
}

static bool is_ended(const struct line *line)
{
    return line->whole.at[line->whole.length - 1] == '\n';
}

static int add_key(char **text, const struct lines *lines, size_t header, const char *key,
                   const char *value)
{
    const struct line *after = &lines->line[last_pair(lines, header)];
    const char *end = line_end_of(lines);
    int indent = after->kind == LINE_PAIR ? (int)(after->inner.at - after->whole.at) : 0;
    char *new = NULL;
    int error;

    if (asprintf(&new, "%s%.*s%s = %s%s", is_ended(after) ? "" : end, indent, after->whole.at, key,
                 value, end) < 0)
        return ERROR_MEMORY;
    error = splice(text, after->whole.at + after->whole.length, 0, new);
    free(new);
    return error;
}

static int change_value(char **text, const struct line *line, const char *value)
{
    char *new = NULL;
    int error;

    if (line->value.length > 0)
        return splice(text, line->value.at, line->value.length, value);
    if (asprintf(&new, " %s", value) < 0)
        return ERROR_MEMORY;
    error = splice(text, line->value.at, 0, new);
    free(new);
    return error;
}

bool ini_edit_has_section(const char *text, const struct ini_place *place)
{
    struct lines lines;
    bool there = false;

    if (lines_read(&lines, text) == 0) {
        there = find_section(&lines, place) != NONE;
        free(lines.line);
    }
    return there;
}

int ini_edit_set(char **text, const struct ini_place *place, const char *value)
{
    char *copy = NULL;
    struct lines lines = {0};
    size_t header;
    size_t at;
    int error;

    if (!section_is_valid(place) || !key_is_valid(place->key) || !value_is_valid(value))
        return ERROR_FORMAT;
    copy = strdup(*text); /* so that *text is whole when the second step fails */
    if (copy == NULL)
        return ERROR_MEMORY;
    error = ini_edit_add_section(&copy, place);
    if (error == ERROR_EXISTS)
        error = 0;
    if (error == 0)
        error = lines_read(&lines, copy);
    if (error < 0)
        goto out;
    header = find_section(&lines, place);
    at = find_key(&lines, header, place);
    error = at == NONE ? add_key(&copy, &lines, header, place->key, value)
                       : change_value(&copy, &lines.line[at], value);
    if (error < 0)
        goto out;
    free(*text);
    *text = copy;
    copy = NULL;
out:
    free(lines.line);
    free(copy);
    return error;
}

int ini_edit_remove(char **text, const struct ini_place *place)
{
    struct lines lines;
    size_t header;
    size_t at;
    int error = lines_read(&lines, *text);

    if (error < 0)
        return error;
    header = find_section(&lines, place);
    at = header != NONE ? find_key(&lines, header, place) : NONE;
    error = at == NONE ? ERROR_NOT_FOUND : cut_lines(text, &lines, at, at + 1);
    free(lines.line);
    return error;
}

/* Puts a block of lines to the end, a blank line above it. */
static int append_block(char **text, const struct lines *lines, const char *block)
{
    const struct line *last = lines->count > 0 ? &lines->line[lines->count - 1] : NULL;
    const char *end = line_end_of(lines);
    char *new = NULL;
    int error;

    if (asprintf(&new, "%s%s%s", last != NULL && !is_ended(last) ? end : "",
                 last != NULL && last->kind != LINE_BLANK ? end : "", block) < 0)
        return ERROR_MEMORY;
    error = splice(text, *text + strlen(*text), 0, new);
    free(new);
    return error;
}

int ini_edit_add_section(char **text, const struct ini_place *place)
{
    struct lines lines;
    char *block = NULL;
    int error;

    if (!section_is_valid(place))
        return ERROR_FORMAT;
    error = lines_read(&lines, *text);
    if (error < 0)
        return error;
    if (find_section(&lines, place) != NONE)
        error = ERROR_EXISTS;
    else if (asprintf(&block, "[%s%s%s]%s", place->section, place->name != NULL ? " " : "",
                      place->name != NULL ? place->name : "", line_end_of(&lines)) < 0)
        error = ERROR_MEMORY;
    else
        error = append_block(text, &lines, block);
    free(block);
    free(lines.line);
    return error;
}

/* Cuts a section with the blank lines that would be left twice; *out_block (may be NULL) is its
 * text, malloced, ended by a line end; the caller frees it also after a failure. */
static int cut_section(char **text, const struct ini_place *place, char **out_block)
{
    struct lines lines;
    size_t header;
    size_t begin;
    size_t end;
    int error = lines_read(&lines, *text);

    if (error < 0)
        return error;
    header = find_section(&lines, place);
    if (header == NONE) {
        error = ERROR_NOT_FOUND;
        goto out;
    }
    find_block(&lines, header, &begin, &end);
    if (out_block != NULL) {
        const struct line *last = &lines.line[end - 1];
        const char *from = lines.line[begin].whole.at;

        if (asprintf(out_block, "%.*s%s", (int)(last->whole.at + last->whole.length - from), from,
                     is_ended(last) ? "" : line_end_of(&lines)) < 0) {
            error = ERROR_MEMORY;
            goto out;
        }
    }
    if (begin == 0 || lines.line[begin - 1].kind == LINE_BLANK)
        while (end < lines.count && lines.line[end].kind == LINE_BLANK)
            end++;
    if (end == lines.count)
        while (begin > 0 && lines.line[begin - 1].kind == LINE_BLANK)
            begin--;
    error = cut_lines(text, &lines, begin, end);
out:
    free(lines.line);
    return error;
}

int ini_edit_remove_section(char **text, const struct ini_place *place)
{
    return cut_section(text, place, NULL);
}

static int insert_before(char **text, const struct lines *lines, size_t header, const char *block)
{
    char *new = NULL;
    size_t begin;
    size_t end;
    int error;

    find_block(lines, header, &begin, &end);
    if (asprintf(&new, "%s%s", block, line_end_of(lines)) < 0)
        return ERROR_MEMORY;
    error = splice(text, lines->line[begin].whole.at, 0, new);
    free(new);
    return error;
}

int ini_edit_move_section(char **text, const struct ini_place *place,
                          const struct ini_place *before)
{
    struct lines lines = {0};
    char *block = NULL;
    char *copy = strdup(*text);
    size_t header;
    int error = copy == NULL ? ERROR_MEMORY : cut_section(&copy, place, &block);

    if (error < 0)
        goto out;
    error = lines_read(&lines, copy);
    if (error < 0)
        goto out;
    header = before != NULL ? find_section(&lines, before) : NONE;
    if (before == NULL)
        error = append_block(&copy, &lines, block);
    else
        error = header == NONE ? ERROR_NOT_FOUND : insert_before(&copy, &lines, header, block);
    if (error < 0)
        goto out;
    free(*text);
    *text = copy;
    copy = NULL;
out:
    free(lines.line);
    free(block);
    free(copy);
    return error;
}
