/* SPDX-License-Identifier: MIT */
/*
 * text.c - bounded text helpers without allocation.
 */
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"

bool text_copy(char *out, size_t size, const char *text)
{
    size_t length = text != NULL ? strlen(text) : 0;
    size_t take = length < size ? length : size - 1;

    if (take > 0)
        memmove(out, text, take);
    out[take] = '\0';
    return take == length;
}

bool text_match(const char *pattern, const char *text)
{
    const char *star = NULL;  /* the last '*' seen, */
    const char *retry = NULL; /* and where the text it covers may end */

    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            retry = text;
        } else if (tolower((unsigned char)*pattern) == tolower((unsigned char)*text)) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

size_t text_match_weight(const char *pattern)
{
    size_t n = 0;

    for (; *pattern != '\0'; pattern++)
        n += *pattern != '*';
    return n;
}

struct unit {
    const char *name;
    int64_t factor;
};

static int number_with_unit(int64_t *out, const char *text, const struct unit *units)
{
    char *end;
    long long n;
    const struct unit *u;

    if (!isdigit((unsigned char)text[0]))
        return ERROR_FORMAT;
    errno = 0;
    n = strtoll(text, &end, 10);
    if (errno == ERANGE)
        return ERROR_LIMIT;
    while (*end == ' ')
        end++;
    for (u = units; u->name != NULL; u++) {
        if (strcasecmp(u->name, end) != 0)
            continue;
        if (n > INT64_MAX / u->factor)
            return ERROR_LIMIT;
        *out = n * u->factor;
        return 0;
    }
    return ERROR_FORMAT;
}

int text_duration(int64_t *out_ms, const char *text)
{
    static const struct unit units[] = {
        {"ms", 1},      {"s", 1000},     {"min", 60000}, {"m", 60000},
        {"h", 3600000}, {"d", 86400000}, {NULL, 0},
    };

    if (strcmp(text, "0") == 0) {
        *out_ms = 0;
        return 0;
    }
    return number_with_unit(out_ms, text, units);
}

int text_size(int64_t *out_bytes, const char *text)
{
    static const struct unit units[] = {
        {"", 1},         {"B", 1},          {"k", 1024},        {"kB", 1024}, {"M", 1048576},
        {"MB", 1048576}, {"G", 1073741824}, {"GB", 1073741824}, {NULL, 0},
    };

    return number_with_unit(out_bytes, text, units);
}

int text_number(int64_t *out, const char *text)
{
    char *end;
    long long n;

    if (!isdigit((unsigned char)text[0]) && !(text[0] == '-' && isdigit((unsigned char)text[1])))
        return ERROR_FORMAT;
    errno = 0;
    n = strtoll(text, &end, 10);
    if (errno == ERANGE)
        return ERROR_LIMIT;
    if (*end != '\0')
        return ERROR_FORMAT;
    *out = n;
    return 0;
}

char *text_printable(char *text)
{
    unsigned char *p;

    for (p = (unsigned char *)text; *p != '\0'; p++)
        if (*p < 0x20 || *p > 0x7e)
            *p = '?';
    return text;
}

size_t text_character(const char *text, uint32_t *out_code)
{
    const unsigned char *p = (const unsigned char *)text;
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    size_t more = *p < 0x80 ? 0 : *p < 0xc2 ? 4 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : *p < 0xf5 ? 3 : 4;
    uint32_t code;

    if (more == 4)
        return 0;
    code = more == 0 ? *p : *p & (0x3fu >> more);
    for (size_t i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3fu);
    }
    if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *out_code = code;
    return more + 1;
}

bool text_character_is_shown(uint32_t code)
{
    static const struct {
        uint32_t first, last;
    } hidden[] = {
        {0, 0x1f},           {0x7f, 0x9f},     {0xad, 0xad},     {0x61c, 0x61c},
        {0x180e, 0x180e},    {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f},
        {0xfe00, 0xfe0f},    {0xfeff, 0xfeff}, {0xfff9, 0xffff}, {0x1fffe, 0x1ffff},
        {0xe0000, 0x10ffff},
    };

    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
        if (code >= hidden[i].first && code <= hidden[i].last)
            return false;
    return true;
}

char *text_printable_utf8(char *text)
{
    char *p = text;

    while (*p != '\0') {
        uint32_t code;
        size_t length = text_character(p, &code);

        if (length > 0 && text_character_is_shown(code)) {
            p += length;
            continue;
        }
        /* a hidden character becomes one mark, its other octets go */
        *p++ = '?';
        if (length > 1)
            memmove(p, p + length - 1, strlen(p + length - 1) + 1);
    }
    return text;
}

char *text_trim(char *text)
{
    size_t n;

    while (isspace((unsigned char)*text))
        text++;
    for (n = strlen(text); n > 0 && isspace((unsigned char)text[n - 1]); n--)
        text[n - 1] = '\0';
    return text;
}

bool text_list_next(const char **rest, char *out, size_t size)
{
    const char *begin = *rest;
    const char *end;
    size_t n;

    while (*begin == ',' || isspace((unsigned char)*begin))
        begin++;
    if (*begin == '\0') {
        *rest = begin;
        return false;
    }
    end = begin + strcspn(begin, ",");
    *rest = *end == ',' ? end + 1 : end;
    while (end > begin && isspace((unsigned char)end[-1]))
        end--;
    n = (size_t)(end - begin);
    if (n >= size)
        n = size - 1;
    memcpy(out, begin, n);
    out[n] = '\0';
    return true;
}
