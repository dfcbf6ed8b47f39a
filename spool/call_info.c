/* SPDX-License-Identifier: MIT */
/*
 * call_info.c - call.ini: one table of keys that feeds the writer and the reader. The one file of
 * this folder that includes inih.
 *
 * Text is written with %XX for whatever an INI reader could take for its own, and cut into pieces
 * that stay under inih's line limit: a key that comes again goes on where the last one ended.
 */
#include "spool/call_info.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"

enum {
    PIECE_MAX = 120, /* octets of a value on one line; inih's lines hold 197 */
    INI_BYTES_MAX = 64 * 1024,
};

static const int64_t TIME_MOST = INT64_C(253402300799999); /* the end of the year 9999 */

enum field_type { FIELD_TEXT, FIELD_INT, FIELD_TIME, FIELD_BOOL, FIELD_MEDIA, FIELD_VERDICT };

struct field {
    const char *key;
    enum field_type type;
    size_t offset;
    size_t size;
};

#define FIELD(type, name)                                                                          \
    {                                                                                              \
#name, type, offsetof(struct call_info, name), sizeof(((struct call_info *)NULL)->name)    \
    }

static const struct field fields[] = {
    FIELD(FIELD_TEXT, fax_id),      FIELD(FIELD_TEXT, line),        FIELD(FIELD_TEXT, called),
    FIELD(FIELD_TEXT, caller),      FIELD(FIELD_TEXT, caller_name), FIELD(FIELD_TEXT, peer),
    FIELD(FIELD_TEXT, call_ref),    FIELD(FIELD_TIME, started_ms),  FIELD(FIELD_TIME, answered_ms),
    FIELD(FIELD_TIME, ended_ms),    FIELD(FIELD_MEDIA, media),      FIELD(FIELD_TEXT, station),
    FIELD(FIELD_TEXT, subaddress),  FIELD(FIELD_TEXT, sender),      FIELD(FIELD_TEXT, password),
    FIELD(FIELD_TEXT, own_station), FIELD(FIELD_INT, bit_rate),     FIELD(FIELD_BOOL, ecm),
    FIELD(FIELD_TEXT, compression), FIELD(FIELD_INT, pages),        FIELD(FIELD_INT, unconfirmed),
    FIELD(FIELD_INT, rows),         FIELD(FIELD_INT, width),        FIELD(FIELD_INT, x_per_m),
    FIELD(FIELD_INT, y_per_m),      FIELD(FIELD_VERDICT, verdict),  FIELD(FIELD_TEXT, error),
};

enum { FIELD_COUNT = sizeof fields / sizeof fields[0] };

static const char *const verdict_texts[] = {
    [CALL_LIVE] = "live",         [CALL_COMPLETE] = "complete", [CALL_PARTIAL] = "partial",
    [CALL_DOUBTFUL] = "doubtful", [CALL_EMPTY] = "empty",
};

static const char *const media_texts[] = {
    [CALL_MEDIA_NONE] = "none",
    [CALL_MEDIA_AUDIO] = "audio",
    [CALL_MEDIA_T38] = "t38",
    [CALL_MEDIA_MODEM] = "modem",
};

enum {
    VERDICT_COUNT = sizeof verdict_texts / sizeof verdict_texts[0],
    MEDIA_COUNT = sizeof media_texts / sizeof media_texts[0],
};

const char *call_verdict_text(enum call_verdict verdict)
{
    return (unsigned)verdict < VERDICT_COUNT ? verdict_texts[verdict] : "unknown";
}

const char *call_media_text(enum call_media media)
{
    return (unsigned)media < MEDIA_COUNT ? media_texts[media] : "unknown";
}

static int word_find(const char *const *words, int count, const char *text)
{
    int i;

    for (i = 0; i < count; i++)
        if (strcmp(words[i], text) == 0)
            return i;
    return ERROR_FORMAT;
}

int call_verdict_parse(enum call_verdict *out, const char *text)
{
    int i = word_find(verdict_texts, VERDICT_COUNT, text);

    if (i < 0)
        return i;
    *out = (enum call_verdict)i;
    return 0;
}

int call_media_parse(enum call_media *out, const char *text)
{
    int i = word_find(media_texts, MEDIA_COUNT, text);

    if (i < 0)
        return i;
    *out = (enum call_media)i;
    return 0;
}

/* ---- writing ----------------------------------------------------------------------------------
 */

/* True for what must not stand as it is at this place of a value: our own escape, inih's comments,
 * white space that it would trim, and whatever is not printable. */
static bool must_escape(const char *text, size_t i, bool at_edge)
{
    unsigned char c = (unsigned char)text[i];

    return c < 0x20 || c > 0x7e || c == '%' || c == ';' || c == '#' || (c == ' ' && at_edge);
}

static void format_text(struct buffer *buffer, const char *key, const char *text, size_t length)
{
    size_t i = 0;

    do {
        size_t begin = buffer->length;

        buffer_format(buffer, "%s = ", key);
        begin = buffer->length;
        for (; i < length && buffer->length - begin < PIECE_MAX && buffer->error == 0; i++) {
            bool at_edge = buffer->length == begin || i + 1 == length ||
                           buffer->length - begin >= PIECE_MAX - 3;

            if (must_escape(text, i, at_edge))
                buffer_format(buffer, "%%%02X", (unsigned char)text[i]);
            else
                buffer_add(buffer, &text[i], 1);
        }
        buffer_text(buffer, "\n");
    } while (i < length && buffer->error == 0);
}

static void format_field(struct buffer *buffer, const struct field *field, const char *at)
{
    int number;
    int64_t time;
    bool yes;

    switch (field->type) {
    case FIELD_TEXT: format_text(buffer, field->key, at, strnlen(at, field->size)); return;
    case FIELD_TIME:
        memcpy(&time, at, sizeof time);
        buffer_format(buffer, "%s = %" PRId64 "\n", field->key, time);
        return;
    case FIELD_BOOL:
        memcpy(&yes, at, sizeof yes);
        buffer_format(buffer, "%s = %s\n", field->key, yes ? "yes" : "no");
        return;
    case FIELD_INT:
    case FIELD_MEDIA:
    case FIELD_VERDICT: break;
    }
    memcpy(&number, at, sizeof number);
    if (field->type == FIELD_MEDIA)
        buffer_format(buffer, "%s = %s\n", field->key, call_media_text((enum call_media)number));
    else if (field->type == FIELD_VERDICT)
        buffer_format(buffer, "%s = %s\n", field->key,
                      call_verdict_text((enum call_verdict)number));
    else
        buffer_format(buffer, "%s = %d\n", field->key, number);
}

int call_info_format(char **out, size_t *out_length, const struct call_info *info)
{
    struct buffer buffer;
    size_t i;

    buffer_init(&buffer, INI_BYTES_MAX);
    buffer_text(&buffer, "[call]\n");
    for (i = 0; i < FIELD_COUNT; i++)
        format_field(&buffer, &fields[i], (const char *)info + fields[i].offset);
    if (buffer.error < 0) {
        int error = buffer.error;

        buffer_free(&buffer);
        return error;
    }
    *out = (char *)buffer.data; /* malloced by the buffer, the caller's from here */
    *out_length = buffer.length;
    return 0;
}

/* ---- reading ----------------------------------------------------------------------------------
 */

struct reading {
    struct call_info info;
    int known; /* keys seen that are ours */
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Adds a piece to what the key holds already; what does not fit is cut. */
static void parse_text(char *at, size_t size, const char *value)
{
    size_t used = strlen(at);

    while (*value != '\0' && used + 1 < size) {
        unsigned char c = (unsigned char)*value++;

        if (c == '%' && hex_digit(value[0]) >= 0 && hex_digit(value[1]) >= 0) {
            c = (unsigned char)(hex_digit(value[0]) * 16 + hex_digit(value[1]));
            value += 2;
        }
        at[used++] = c == '\0' ? '?' : (char)c;
    }
    at[used] = '\0';
}

static int64_t parse_number(const char *value, int64_t most)
{
    int64_t n = 0;
    int error = text_number(&n, value);

    if (error == ERROR_LIMIT && value[0] != '-')
        return most;
    return error < 0 || n < 0 ? 0 : n < most ? n : most;
}

static void parse_field(const struct field *field, char *at, const char *value)
{
    int number = 0;
    int64_t time;
    bool yes;
    enum call_media media = CALL_MEDIA_NONE;
    enum call_verdict verdict = CALL_LIVE;

    switch (field->type) {
    case FIELD_TEXT: parse_text(at, field->size, value); return;
    case FIELD_TIME:
        time = parse_number(value, TIME_MOST);
        memcpy(at, &time, sizeof time);
        return;
    case FIELD_BOOL:
        yes = strcmp(value, "yes") == 0;
        memcpy(at, &yes, sizeof yes);
        return;
    case FIELD_INT:
        number = (int)parse_number(value, INT_MAX);
        memcpy(at, &number, sizeof number);
        return;
    case FIELD_MEDIA:
        call_media_parse(&media, value);
        memcpy(at, &media, sizeof media);
        return;
    case FIELD_VERDICT:
        call_verdict_parse(&verdict, value);
        memcpy(at, &verdict, sizeof verdict);
        return;
    }
}

/* Called by inih; it goes on whatever is returned, so all is said with 1. */
static int take_entry(void *user, const char *section, const char *name, const char *value)
{
    struct reading *reading = user;
    size_t i;

    if (name == NULL || value == NULL || strcmp(section, "call") != 0)
        return 1;
    for (i = 0; i < FIELD_COUNT; i++)
        if (strcmp(fields[i].key, name) == 0) {
            parse_field(&fields[i], (char *)&reading->info + fields[i].offset, value);
            reading->known++;
            break;
        }
    return 1;
}

int call_info_parse(struct call_info *out, const char *text)
{
    struct reading reading;

    memset(&reading, 0, sizeof reading);
    /* A line that is no INI is passed over: one bad line must not cost all others. */
    if (ini_parse_string(text, take_entry, &reading) == -2)
        return ERROR_MEMORY;
    if (reading.known == 0)
        return ERROR_FORMAT;
    /* Only now: a piece may end in the middle of a character. */
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (fields[i].type == FIELD_TEXT)
            text_printable_utf8((char *)&reading.info + fields[i].offset);
    *out = reading.info;
    return 0;
}
