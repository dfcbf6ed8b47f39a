/* SPDX-License-Identifier: MIT */
/*
 * party.c - numbers and names out of SIP header values.
 */
#include "fax/sip/party.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"

struct span {
    const char *at, *end;
};

static void span_trim(struct span *span)
{
    while (span->at < span->end && (*span->at == ' ' || *span->at == '\t'))
        span->at++;
    while (span->end > span->at && (span->end[-1] == ' ' || span->end[-1] == '\t'))
        span->end--;
}

/* A quoted string up to its closing quote, escapes undone; the rest of the value stays in span. */
static void take_quoted(struct span *value, char name[CALL_NAME_MAX])
{
    size_t length = 0;

    for (value->at++; value->at < value->end && *value->at != '"'; value->at++) {
        if (*value->at == '\\' && value->at + 1 < value->end)
            value->at++;
        if (name != NULL && length + 1 < CALL_NAME_MAX)
            name[length++] = *value->at;
    }
    if (value->at < value->end)
        value->at++;
    if (name != NULL)
        name[length] = '\0';
}

static void take_tokens(struct span *value, const char *end, char name[CALL_NAME_MAX])
{
    struct span words = {value->at, end};
    size_t length;

    span_trim(&words);
    value->at = end;
    if (name == NULL)
        return;
    length = (size_t)(words.end - words.at);
    if (length >= CALL_NAME_MAX)
        length = CALL_NAME_MAX - 1;
    memcpy(name, words.at, length);
    name[length] = '\0';
}

/* Leaves the URI in value: what stands in <>, or all up to the header's own parameters. */
static void take_name(struct span *value, char name[CALL_NAME_MAX])
{
    const char *open;
    const char *close;

    span_trim(value);
    if (value->at < value->end && *value->at == '"')
        take_quoted(value, name);
    open = memchr(value->at, '<', (size_t)(value->end - value->at));
    if (open == NULL) {
        close = memchr(value->at, ';', (size_t)(value->end - value->at));
        if (close != NULL)
            value->end = close;
        span_trim(value);
        return;
    }
    if (name != NULL && name[0] == '\0')
        take_tokens(value, open, name);
    value->at = open + 1;
    close = memchr(value->at, '>', (size_t)(value->end - value->at));
    if (close != NULL)
        value->end = close;
}

static bool take_scheme(struct span *uri, bool *out_is_tel)
{
    static const char *const schemes[] = {"sip:", "sips:", "tel:"};

    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t length = strlen(schemes[i]);

        if ((size_t)(uri->end - uri->at) < length || strncasecmp(uri->at, schemes[i], length) != 0)
            continue;
        uri->at += length;
        *out_is_tel = i == 2;
        return true;
    }
    return false;
}

static void cut_at(struct span *span, char c)
{
    const char *found = memchr(span->at, c, (size_t)(span->end - span->at));

    if (found != NULL)
        span->end = found;
}

static int hex_value(char c)
{
    const char *digits = "0123456789abcdef";
    const char *found = c == '\0' ? NULL : strchr(digits, c | 0x20);

    if (c >= '0' && c <= '9')
        return c - '0';
    return found == NULL || (c | 0x20) < 'a' ? -1 : (int)(found - digits);
}

static void unescape(const struct span *user, char number[CALL_NUMBER_MAX])
{
    size_t length = 0;

    for (const char *at = user->at; at < user->end && length + 1 < CALL_NUMBER_MAX; at++) {
        char c = *at;

        if (c == '%' && user->end - at > 2 && hex_value(at[1]) >= 0 && hex_value(at[2]) >= 0) {
            c = (char)(hex_value(at[1]) * 16 + hex_value(at[2]));
            at += 2;
        }
        number[length++] = c == '\0' ? '?' : c;
    }
    number[length] = '\0';
}

/* RFC 3966 5.1.1: "-.()" in a telephone number are for the eye only. */
static void drop_separators(char *number)
{
    char *to = number;

    if (strspn(number, "+0123456789-.()*# ") != strlen(number))
        return;
    for (const char *from = number; *from != '\0'; from++)
        if (strchr("-.() ", *from) == NULL)
            *to++ = *from;
    *to = '\0';
}

bool party_parse(const char *value, size_t length, char number[CALL_NUMBER_MAX],
                 char name[CALL_NAME_MAX])
{
    struct span span = {value, value + length};
    const char *at;
    bool is_tel;

    number[0] = '\0';
    if (name != NULL)
        name[0] = '\0';
    take_name(&span, name);
    if (!take_scheme(&span, &is_tel)) {
        if (name != NULL)
            name[0] = '\0';
        return false;
    }
    if (name != NULL)
        text_printable_utf8(name);
    if (!is_tel) {
        at = memchr(span.at, '@', (size_t)(span.end - span.at));
        if (at == NULL)
            return true; /* sip:host names nobody */
        span.end = at;
        cut_at(&span, ':');
    }
    cut_at(&span, ';');
    unescape(&span, number);
    text_printable(number);
    drop_separators(number);
    return true;
}
