/* SPDX-License-Identifier: MIT */
/*
 * framing.c - one walk over the header of a SIP message (RFC 3261 7, 18.3).
 */
#include "fax/sip/framing.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"

struct span {
    const uint8_t *at, *end;
};

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* ---- the first line --------------------------------------------------------------------------
 */

static bool is_token(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-.!%*_+`'~", c) != NULL);
}

static const uint8_t *find_octet(const struct span *span, uint8_t c)
{
    return memchr(span->at, c, (size_t)(span->end - span->at));
}

static bool begins_with(const struct span *span, const char *text)
{
    size_t length = strlen(text);

    return (size_t)(span->end - span->at) >= length && memcmp(span->at, text, length) == 0;
}

/* "METHOD URI SIP/2.0" or "SIP/2.0 200 anything", one blank each. */
static bool is_start_line(struct span line)
{
    const uint8_t *end;

    if (begins_with(&line, "SIP/2.0 "))
        return line.end - line.at > 11 && line.at[11] == ' ';
    while (line.at < line.end && is_token(*line.at))
        line.at++;
    if (line.at == line.end || *line.at++ != ' ')
        return false;
    end = find_octet(&line, ' ');
    if (end == NULL || end == line.at || find_octet(&line, '\t') != NULL)
        return false;
    line.at = end;
    return line.end - line.at == 8 && begins_with(&line, " SIP/2.0");
}

/* ---- header fields ---------------------------------------------------------------------------
 */

struct header {
    int fields;
    int blanks;         /* in one place, so far */
    int content_length; /* -1: not told */
};

static bool is_named(const struct span *line, const char *name, char compact)
{
    const uint8_t *colon = find_octet(line, ':');
    size_t length;

    if (colon == NULL)
        return false;
    while (colon > line->at && is_blank(colon[-1]))
        colon--;
    length = (size_t)(colon - line->at);
    if (length == 1)
        return compact != '\0' && (line->at[0] | 0x20) == compact;
    return length == strlen(name) && strncasecmp((const char *)line->at, name, length) == 0;
}

/* Digits alone: what the library makes of others is its own idea. */
static int read_content_length(struct header *header, const struct span *line)
{
    const uint8_t *at = find_octet(line, ':') + 1;
    int value = 0;
    int digits = 0;

    while (at < line->end && is_blank(*at))
        at++;
    for (; at < line->end && *at >= '0' && *at <= '9' && digits < 9; at++, digits++)
        value = value * 10 + (*at - '0');
    while (at < line->end && is_blank(*at))
        at++;
    if (at != line->end || digits == 0 ||
        (header->content_length >= 0 && header->content_length != value))
        return ERROR_FORMAT;
    header->content_length = value;
    return 0;
}

/* A line with all that is folded into it. */
static int take_field(struct header *header, const struct span *line)
{
    size_t length = (size_t)(line->end - line->at);

    for (const uint8_t *at = line->at; at < line->end; at++) {
        header->blanks = is_blank(*at) || *at == '\r' || *at == '\n' ? header->blanks + 1 : 0;
        header->fields += *at == ',';
        if (*at == '\0' || (*at == '\r' && (at + 1 == line->end || at[1] != '\n')))
            return ERROR_FORMAT;
        if (header->blanks > FRAME_BLANKS_MAX)
            return ERROR_LIMIT;
    }
    header->blanks = 0;
    if (find_octet(line, ':') == NULL)
        return ERROR_FORMAT;
    if (++header->fields > FRAME_FIELDS_MAX)
        return ERROR_LIMIT;
    if (length > FRAME_NUMBERS_MAX &&
        (is_named(line, "CSeq", '\0') || is_named(line, "Content-Type", 'c')))
        return ERROR_LIMIT;
    return is_named(line, "Content-Length", 'l') ? read_content_length(header, line) : 0;
}

static bool is_empty(const uint8_t *at, const uint8_t *lf)
{
    return lf == at || (lf - at == 1 && *at == '\r');
}

/* Up to CR LF or LF, with what is folded into it; *out_next is what follows. False: the line is not
 * there yet. */
static bool next_line(struct span rest, bool folded, struct span *out, const uint8_t **out_next)
{
    const uint8_t *begin = rest.at;
    const uint8_t *lf;

    do {
        lf = find_octet(&rest, '\n');
        if (lf == NULL)
            return false;
        rest.at = lf + 1;
        if (is_empty(begin, lf))
            break;
        if (folded && rest.at == rest.end)
            return false; /* a blank may follow, then the line goes on */
    } while (folded && is_blank(*rest.at));
    *out_next = rest.at;
    *out = (struct span){begin, lf > begin && lf[-1] == '\r' ? lf - 1 : lf};
    return true;
}

/* It may become one: what is TLS, or another game, is no text. */
static bool may_be_start_line(const uint8_t *octets, size_t length)
{
    if (length > FRAME_START_MAX || (length > 0 && !is_token(octets[0])))
        return false;
    for (size_t i = 0; i < length; i++)
        if (octets[i] < ' ' && (octets[i] != '\r' || i + 1 < length))
            return false;
    return true;
}

/* The header's length with its empty line, 0: it is not there as a whole. */
static int read_header(struct header *header, const uint8_t *octets, size_t length)
{
    struct span rest = {octets, octets + length};
    struct span line;
    int rc;

    if (!next_line(rest, false, &line, &rest.at))
        return may_be_start_line(octets, length) ? 0 : ERROR_FORMAT;
    if (line.end - line.at > FRAME_START_MAX || !is_start_line(line))
        return ERROR_FORMAT;
    while (next_line(rest, true, &line, &rest.at)) {
        if (line.at == line.end)
            return (int)(rest.at - octets);
        rc = take_field(header, &line);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* ---- messages --------------------------------------------------------------------------------
 */

int frame_datagram(const uint8_t *octets, size_t length)
{
    struct header header = {.content_length = -1};
    int rc;

    if (length > FRAME_MAX)
        return ERROR_LIMIT;
    rc = read_header(&header, octets, length);
    if (rc <= 0)
        return rc < 0 ? rc : ERROR_FORMAT;
    return (int)length;
}

int frame_stream(const uint8_t *octets, size_t length)
{
    struct header header = {.content_length = -1};
    size_t empty = 0;
    int rc;

    while (empty < length && (octets[empty] == '\r' || octets[empty] == '\n'))
        empty++;
    if (empty > 0)
        return (int)empty;
    rc = read_header(&header, octets, length);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return length >= FRAME_MAX ? ERROR_LIMIT : 0;
    if (header.content_length < 0)
        return ERROR_FORMAT; /* RFC 3261 18.3: there it must be told */
    if (header.content_length > FRAME_MAX - rc)
        return ERROR_LIMIT;
    return length >= (size_t)rc + (size_t)header.content_length ? rc + header.content_length : 0;
}
