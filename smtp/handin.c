/* SPDX-License-Identifier: MIT */
/*
 * handin.c - line by line: the header with what is dropped and added, then the body.
 */
#include "smtp/handin.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "smtp/tables.h"

enum { BLOCK = 65536 };

/* Fields that RFC 5322 3.6 allows once. Two of them could say two things to two readers. */
enum field { FIELD_DATE, FIELD_MESSAGE_ID, FIELD_FROM, FIELD_SUBJECT, FIELDS_ONCE };

static const char *const field_names[FIELDS_ONCE] = {"Date", "Message-ID", "From", "Subject"};

struct conversion {
    const struct handin_settings *settings;
    const char *id, *from;
    struct handin_message *out;
    char *why;
    int from_fd, to_fd;
    int64_t offset;
    int64_t line_number;
    size_t in_used, in_at, out_used;
    size_t header_bytes;
    bool at_end; /* of the input */
    bool in_header;
    bool dropping; /* continuation lines of a field that goes */
    int field;     /* whose value goes on in continuation lines; FIELDS_ONCE: of no interest */
    bool seen[FIELDS_ONCE];
    char value[FIELDS_ONCE][SPOOL_MESSAGE_ID_MAX]; /* unfolded, cut */
    char line[HANDIN_LINE_MAX + 1];
    size_t length;
    char in[BLOCK], block[BLOCK];
};

static int __attribute__((format(printf, 3, 4)))
refuse(struct conversion *c, int error, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(c->why, HANDIN_WHY_MAX, format, ap);
    va_end(ap);
    return error;
}

/* ---- octets -----------------------------------------------------------------------------------
 */

static int flush(struct conversion *c)
{
    int error = file_write_all(c->to_fd, c->block, c->out_used);

    c->out_used = 0;
    return error < 0 ? refuse(c, error, "the spool cannot take it: %s", error_text(error)) : 0;
}

static int put(struct conversion *c, const char *octets, size_t length)
{
    c->out->bytes += (int64_t)length;
    if (c->out->bytes > c->settings->message_bytes)
        return refuse(c, ERROR_LIMIT,
                      "the message is larger than %lld octets ([limits] "
                      "message_bytes)",
                      (long long)c->settings->message_bytes);
    if (c->out_used + length > sizeof c->block && flush(c) < 0)
        return ERROR_IO;
    memcpy(c->block + c->out_used, octets, length);
    c->out_used += length;
    return 0;
}

static int put_line(struct conversion *c, const char *text, size_t length)
{
    int error = put(c, text, length);

    return error < 0 ? error : put(c, "\r\n", 2);
}

/* The next octet, -1 at the end, or a lower error. */
static int next_octet(struct conversion *c)
{
    ssize_t n;

    if (c->in_at < c->in_used)
        return (unsigned char)c->in[c->in_at++];
    do
        n = pread(c->from_fd, c->in, sizeof c->in, c->offset);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n < 0 ? refuse(c, ERROR_IO, "the message cannot be read: %s", strerror(errno)) : -1;
    c->offset += n;
    c->in_used = (size_t)n;
    c->in_at = 1;
    return (unsigned char)c->in[0];
}

/* The next line without its end into c->line: 1; 0 at the end of the message. */
static int next_line(struct conversion *c)
{
    int octet = 0;

    c->length = 0;
    c->line_number++;
    while ((octet = next_octet(c)) >= 0 && octet != '\n') {
        if (octet == '\r') {
            octet = next_octet(c);
            if (octet == '\n')
                break;
            return refuse(c, ERROR_FORMAT, "line %lld holds a CR that ends no line",
                          (long long)c->line_number);
        }
        if (octet == '\0')
            return refuse(c, ERROR_FORMAT, "line %lld holds a NUL", (long long)c->line_number);
        if (c->length == HANDIN_LINE_MAX)
            return refuse(c, ERROR_LIMIT,
                          "line %lld is longer than %d octets (RFC 5322 2.1.1): encode it as "
                          "quoted-printable or base64",
                          (long long)c->line_number, HANDIN_LINE_MAX);
        c->line[c->length++] = (char)octet;
    }
    c->line[c->length] = '\0';
    if (octet < -1)
        return octet;
    if (octet == -1)
        c->at_end = true;
    return octet == '\n' || c->length > 0;
}

/* ---- the header -------------------------------------------------------------------------------
 */

char *handin_date(char out[HANDIN_DATE_MAX], int64_t wall_ms)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;

    memset(&tm, 0, sizeof tm);
    gmtime_r(&seconds, &tm);
    snprintf(out, HANDIN_DATE_MAX, "%.3s, %d %.3s %d %02d:%02d:%02d +0000", days + 3 * tm.tm_wday,
             tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
             tm.tm_sec);
    return out;
}

static int check_header_line(struct conversion *c)
{
    size_t i;

    c->header_bytes += c->length + 2;
    if (c->header_bytes > HANDIN_HEADER_BYTES_MAX)
        return refuse(c, ERROR_LIMIT, "the header is larger than %d octets",
                      HANDIN_HEADER_BYTES_MAX);
    for (i = 0; i < c->length; i++) {
        unsigned char octet = (unsigned char)c->line[i];

        if (octet > 0x7e || (octet < 0x20 && octet != '\t'))
            return refuse(c, ERROR_FORMAT,
                          "header line %lld holds something that is not ASCII: encode it (RFC "
                          "2047)",
                          (long long)c->line_number);
    }
    return 0;
}

static void keep_value(struct conversion *c, const char *text)
{
    char *value;
    size_t used;

    if (c->field >= FIELDS_ONCE)
        return;
    value = c->value[c->field];
    used = strlen(value);
    while (*text == ' ' || *text == '\t')
        text++;
    if (used > 0)
        value[used < SPOOL_MESSAGE_ID_MAX - 1 ? used++ : used] = ' ';
    text_copy(value + used, SPOOL_MESSAGE_ID_MAX - used, text);
}

static bool is_name(const char *line, size_t length, const char *name)
{
    return strlen(name) == length && strncasecmp(line, name, length) == 0;
}

static int begin_field(struct conversion *c)
{
    char *colon = strchr(c->line, ':');
    size_t length = colon != NULL ? (size_t)(colon - c->line) : 0;
    size_t i;

    for (i = 0; i < length; i++)
        if (c->line[i] <= 0x20)
            length = 0; /* RFC 5322 2.2: no blanks in a name; also "From " of a mailbox file */
    if (length == 0)
        return refuse(c, ERROR_FORMAT,
                      "line %lld is no header field: a message begins with 'Name: value' lines and "
                      "an empty line (RFC 5322)",
                      (long long)c->line_number);
    c->dropping = is_name(c->line, length, "Bcc") || is_name(c->line, length, "Resent-Bcc");
    for (c->field = 0; c->field < FIELDS_ONCE; c->field++)
        if (is_name(c->line, length, field_names[c->field]))
            break;
    if (c->field == FIELDS_ONCE)
        return 0;
    if (c->seen[c->field])
        return refuse(c, ERROR_FORMAT, "line %lld: a second %s field", (long long)c->line_number,
                      field_names[c->field]);
    c->seen[c->field] = true;
    keep_value(c, colon + 1);
    return 0;
}

/* <left@right> without blanks. */
static int take_message_id(struct conversion *c)
{
    char *value = text_trim(c->value[FIELD_MESSAGE_ID]);
    size_t length = strlen(value);

    if (length < 5 || value[0] != '<' || value[length - 1] != '>' || strchr(value, '@') == NULL ||
        strpbrk(value, " \t") != NULL)
        return refuse(c, ERROR_FORMAT,
                      "the Message-ID is not of the form <left@right> in up to %d characters",
                      SPOOL_MESSAGE_ID_MAX - 1);
    value[length - 1] = '\0';
    text_copy(c->out->message_id, sizeof c->out->message_id, value + 1);
    return 0;
}

static int end_header(struct conversion *c)
{
    char text[SPOOL_MESSAGE_ID_MAX + 400];
    char date[HANDIN_DATE_MAX];
    int error = 0;

    if (c->header_bytes == 0)
        return refuse(c, ERROR_FORMAT, "the message has no header");
    if (!c->seen[FIELD_DATE]) {
        snprintf(text, sizeof text, "Date: %s", handin_date(date, clock_wall_ms()));
        error = put_line(c, text, strlen(text));
    }
    if (error == 0 && !c->seen[FIELD_FROM]) {
        snprintf(text, sizeof text, "From: <%.300s>", c->from);
        error = put_line(c, text, strlen(text));
    }
    if (error == 0 && c->seen[FIELD_MESSAGE_ID])
        error = take_message_id(c);
    else if (error == 0) {
        snprintf(c->out->message_id, sizeof c->out->message_id, "%s@%.100s", c->id,
                 c->settings->hostname);
        snprintf(text, sizeof text, "Message-ID: <%s>", c->out->message_id);
        error = put_line(c, text, strlen(text));
    }
    text_copy(c->out->subject, sizeof c->out->subject, text_trim(c->value[FIELD_SUBJECT]));
    c->in_header = false;
    return error < 0 ? error : put(c, "\r\n", 2);
}

static int header_line(struct conversion *c)
{
    int error;

    if (c->length == 0)
        return end_header(c);
    error = check_header_line(c);
    if (error < 0)
        return error;
    if ((c->line[0] == ' ' || c->line[0] == '\t') && c->line_number > 1)
        keep_value(c, c->line);
    else if ((error = begin_field(c)) < 0)
        return error;
    return c->dropping ? 0 : put_line(c, c->line, c->length);
}

/* ---- the whole --------------------------------------------------------------------------------
 */

int handin_convert(int from_fd, int to_fd, const struct handin_settings *settings, const char *id,
                   const char *from, struct handin_message *out, char why[HANDIN_WHY_MAX])
{
    struct conversion *c = calloc(1, sizeof *c);
    struct handin_message message = {.bytes = 0};
    int error = 0;

    if (c == NULL) {
        snprintf(why, HANDIN_WHY_MAX, "out of memory");
        return ERROR_MEMORY;
    }
    c->settings = settings;
    c->id = id;
    c->from = from;
    c->out = &message;
    c->why = why;
    c->from_fd = from_fd;
    c->to_fd = to_fd;
    c->in_header = true;
    c->field = FIELDS_ONCE;
    while (error == 0 && !c->at_end && (error = next_line(c)) > 0)
        error = c->in_header ? header_line(c) : put_line(c, c->line, c->length);
    if (error == 0 && c->in_header)
        error = end_header(c);
    if (error == 0)
        error = flush(c);
    free(c);
    if (error == 0)
        *out = message;
    return error;
}

int handin_settings_load(struct handin_settings *out, const struct conf *faxpost)
{
    struct tables *tables = NULL;
    int error = tables_load(&tables, faxpost, NULL, NULL, NULL, NULL);

    if (error < 0)
        return error;
    *out = (struct handin_settings){.message_bytes =
                                        conf_number(faxpost, "limits", NULL, "message_bytes")};
    text_copy(out->hostname, sizeof out->hostname, tables->hostname);
    text_copy(out->envelope_from, sizeof out->envelope_from, tables->envelope_from);
    tables_leave(tables);
    return 0;
}

static int check_request(const struct handin_request *request, const char *from,
                         struct spool_recipient *to, char *why)
{
    int i;

    if (request->to_count < 1 || request->to_count > HANDIN_TO_MAX) {
        snprintf(why, HANDIN_WHY_MAX, "name one to %d recipients with --to", HANDIN_TO_MAX);
        return ERROR_FORMAT;
    }
    for (i = -1; i < request->to_count; i++) {
        const char *address = i < 0 ? from : request->to[i];

        if (!route_address_is_valid(address)) {
            snprintf(why, HANDIN_WHY_MAX, "%.150s is no mail address: write name@domain",
                     LOG_ESCAPED(address));
            return ERROR_FORMAT;
        }
        if (i >= 0)
            text_copy(to[i].address, sizeof to[i].address, address);
    }
    return 0;
}

/* Nobody can change or cut it any more, and it lies in memory. */
static bool is_sealed(int fd)
{
    int wanted = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
    int seals = fcntl(fd, F_GET_SEALS);

    return seals >= 0 && (seals & wanted) == wanted;
}

int handin_accept(struct spool *spool, const struct handin_settings *settings, int fd,
                  const struct handin_request *request, char out_id[FAX_ID_MAX],
                  char why[HANDIN_WHY_MAX])
{
    const char *from = request->from != NULL ? request->from : settings->envelope_from;
    struct spool_recipient to[HANDIN_TO_MAX];
    struct handin_message found;
    struct spool_message message = {.kind = SPOOL_KIND_MESSAGE};
    char id[FAX_ID_MAX];
    int error = check_request(request, from, to, why);
    int file;

    if (error < 0)
        return error;
    if (!is_sealed(fd)) {
        snprintf(why, HANDIN_WHY_MAX, "the message has to come as a sealed memfd");
        return ERROR_FORMAT;
    }
    file = spool_message_begin(spool, id);
    if (file < 0) {
        snprintf(why, HANDIN_WHY_MAX, "the spool cannot take it: %s", error_text(file));
        return file;
    }
    error = handin_convert(fd, file, settings, id, from, &found, why);
    if (error < 0) {
        spool_message_abort(spool, id);
    } else {
        message.message_id = found.message_id;
        message.envelope_from = from;
        message.subject = found.subject;
        message.bytes = found.bytes;
        message.bypass = request->bypass;
        error =
            spool_message_commit(spool, id, file, &message, to, request->to_count, clock_wall_ms());
        if (error < 0)
            snprintf(why, HANDIN_WHY_MAX, "the spool cannot take it: %s", error_text(error));
    }
    close(file);
    if (error < 0)
        return error;
    log_info("message handed in message=%s message_id=%s from=%s recipients=%d octets=%lld", id,
             LOG_ESCAPED(found.message_id), LOG_ESCAPED(from), request->to_count,
             (long long)found.bytes);
    memcpy(out_id, id, FAX_ID_MAX);
    return 0;
}
