/* SPDX-License-Identifier: MIT */
/*
 * request.c - struct message_request as JSON and back, by one table of fields for both ways.
 */
#include "message/message.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/error.h"

enum field_kind { FIELD_TEXT, FIELD_INT, FIELD_TIME, FIELD_BOOL };

struct field {
    const char *key;
    enum field_kind kind;
    size_t offset; /* within struct message_request */
    size_t size;   /* of a text, with NUL */
    json_int_t most;
};

#define AT(member)   offsetof(struct message_request, member)
#define SIZE(member) sizeof(((struct message_request *)0)->member)
#define TEXT(key, member)                                                                          \
    {                                                                                              \
        key, FIELD_TEXT, AT(member), SIZE(member), 0                                               \
    }
#define INT(key, member, most)                                                                     \
    {                                                                                              \
        key, FIELD_INT, AT(member), SIZE(member), most                                             \
    }
#define TIME(key, member)                                                                          \
    {                                                                                              \
        key, FIELD_TIME, AT(member), SIZE(member), 253402300799000                                 \
    }
#define BOOL(key, member)                                                                          \
    {                                                                                              \
        key, FIELD_BOOL, AT(member), SIZE(member), 1                                               \
    }

/* The password (PWD) is left out: nothing that composes a mail needs it. */
static const struct field fields[] = {
    TEXT("folder", folder),
    TEXT("route", route),
    INT("attach", attach, MESSAGE_ATTACH_BOTH),
    INT("profile", profile, MESSAGE_PROFILE_S),
    TEXT("from", from),
    TEXT("subject", subject),
    TEXT("file_name", file_name),
    TEXT("hostname", hostname),
    TEXT("message_id", message_id),
    TIME("date_ms", date_ms),
    BOOL("plain", plain),
    TEXT("fax_id", call.fax_id),
    TEXT("line", call.line),
    TEXT("called", call.called),
    TEXT("caller", call.caller),
    TEXT("caller_name", call.caller_name),
    TEXT("peer", call.peer),
    TEXT("station", call.station),
    TEXT("subaddress", call.subaddress),
    TEXT("sender", call.sender),
    TEXT("own_station", call.own_station),
    TEXT("compression", call.compression),
    TEXT("error", call.error),
    TIME("started_ms", call.started_ms),
    TIME("answered_ms", call.answered_ms),
    TIME("ended_ms", call.ended_ms),
    INT("bit_rate", call.bit_rate, 1000000),
    INT("pages", call.pages, 1000000),
    INT("unconfirmed", call.unconfirmed, 1000000),
    INT("media", call.media, CALL_MEDIA_MODEM),
    INT("verdict", call.verdict, CALL_EMPTY),
    BOOL("ecm", call.ecm),
};

enum { FIELDS = sizeof fields / sizeof fields[0] };

_Static_assert(sizeof(enum call_verdict) == sizeof(int), "enums are read and written as int");
_Static_assert(sizeof(enum message_attach) == sizeof(int), "enums are read and written as int");

/* ---- to JSON ----------------------------------------------------------------------------------
 */

static json_t *field_to_json(const struct field *field, const struct message_request *request)
{
    const char *at = (const char *)request + field->offset;
    int64_t time_ms;
    int number;
    bool flag;

    switch (field->kind) {
    case FIELD_TEXT: {
        json_t *text = json_string(at);

        /* text that is not UTF-8 is no reason to lose a mail: octets become characters */
        if (text == NULL) {
            char clean[TEMPLATE_TEXT_MAX];

            template_clean_text(clean, sizeof clean < field->size ? sizeof clean : field->size, at,
                                sizeof clean);
            text = json_string(clean);
        }
        return text;
    }
    case FIELD_INT: memcpy(&number, at, sizeof number); return json_integer(number);
    case FIELD_TIME: memcpy(&time_ms, at, sizeof time_ms); return json_integer(time_ms);
    case FIELD_BOOL: memcpy(&flag, at, sizeof flag); return json_boolean(flag);
    }
    return NULL;
}

int message_request_format(char **out, size_t *out_length, const struct message_request *request)
{
    json_t *root = json_object(), *to = json_array();
    char *text = NULL;
    bool fine = root != NULL && to != NULL;

    for (size_t i = 0; i < FIELDS && fine; i++)
        fine = json_object_set_new(root, fields[i].key, field_to_json(&fields[i], request)) == 0;
    for (int i = 0; i < request->to_count && i < MESSAGE_TO_MAX && fine; i++)
        fine = json_array_append_new(to, json_string(request->to[i])) == 0;
    fine = fine && json_object_set(root, "to", to) == 0;
    if (fine)
        text = json_dumps(root, JSON_COMPACT);
    json_decref(to);
    json_decref(root);
    if (text == NULL)
        return fine ? ERROR_MEMORY : ERROR_FORMAT;
    if (strlen(text) > MESSAGE_REQUEST_MAX) {
        free(text);
        return ERROR_LIMIT;
    }
    *out = text;
    *out_length = strlen(text);
    return 0;
}

/* ---- from JSON --------------------------------------------------------------------------------
 */

static int text_from_json(char *out, size_t size, const json_t *value)
{
    if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
        return ERROR_FORMAT;
    if (json_string_length(value) >= size)
        return ERROR_LIMIT;
    memcpy(out, json_string_value(value), json_string_length(value) + 1);
    return 0;
}

static int field_from_json(const struct field *field, struct message_request *request,
                           const json_t *value)
{
    char *at = (char *)request + field->offset;
    json_int_t number = json_integer_value(value);
    int64_t time_ms = number;
    bool flag = json_is_true(value);
    int small;

    if (value == NULL)
        return 0;
    if (field->kind == FIELD_TEXT)
        return text_from_json(at, field->size, value);
    if (field->kind == FIELD_BOOL) {
        memcpy(at, &flag, sizeof flag);
        return json_is_boolean(value) ? 0 : ERROR_FORMAT;
    }
    if (!json_is_integer(value))
        return ERROR_FORMAT;
    if (number < 0 || number > field->most)
        return ERROR_LIMIT;
    small = (int)(number & 0x7fffffff);
    if (field->kind == FIELD_TIME)
        memcpy(at, &time_ms, sizeof time_ms);
    else
        memcpy(at, &small, sizeof small);
    return 0;
}

static int recipients_from_json(struct message_request *request, const json_t *to)
{
    int error = 0;

    if (to == NULL)
        return 0;
    if (!json_is_array(to))
        return ERROR_FORMAT;
    if (json_array_size(to) > MESSAGE_TO_MAX)
        return ERROR_LIMIT;
    for (size_t i = 0; i < json_array_size(to) && error == 0; i++)
        error = text_from_json(request->to[i], MESSAGE_ADDRESS_MAX, json_array_get(to, i));
    request->to_count = (int)json_array_size(to);
    return error;
}

int message_request_parse(struct message_request *out, const char *text, size_t length)
{
    struct message_request *request;
    json_t *root;
    int error = 0;

    if (length > MESSAGE_REQUEST_MAX)
        return ERROR_LIMIT;
    root = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    request = calloc(1, sizeof *request);
    if (request == NULL)
        error = ERROR_MEMORY;
    else if (!json_is_object(root))
        error = ERROR_FORMAT;
    for (size_t i = 0; i < FIELDS && error == 0; i++)
        error = field_from_json(&fields[i], request, json_object_get(root, fields[i].key));
    if (error == 0)
        error = recipients_from_json(request, json_object_get(root, "to"));
    if (error == 0)
        *out = *request;
    json_decref(root);
    free(request);
    return error;
}
