/* SPDX-License-Identifier: MIT */
/*
 * control_json.c - records of the spool as JSON.
 */
#include "src/control_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "src/control_commands.h"

json_t *json_text(const char *text)
{
    json_t *value = json_string(text);
    char *copy;

    if (value != NULL)
        return value;
    copy = strdup(text);
    if (copy == NULL)
        return json_null();
    value = json_string(text_printable_utf8(copy));
    free(copy);
    return value;
}

void json_set_time(json_t *object, const char *key, int64_t wall_ms)
{
    char text[CLOCK_TEXT_MAX];
    char key_ms[40];

    snprintf(key_ms, sizeof key_ms, "%s_ms", key);
    json_object_set_new(object, key,
                        wall_ms > 0 ? json_string(clock_text(text, wall_ms)) : json_null());
    json_object_set_new(object, key_ms, wall_ms > 0 ? json_integer(wall_ms) : json_null());
}

static void set_text(json_t *object, const char *key, const char *text)
{
    json_object_set_new(object, key, json_text(text));
}

static void set_number(json_t *object, const char *key, int64_t number)
{
    json_object_set_new(object, key, json_integer(number));
}

json_t *json_call(const struct call_info *call)
{
    json_t *object = json_object();

    set_text(object, "id", call->fax_id);
    set_text(object, "line", call->line);
    set_text(object, "called", call->called);
    set_text(object, "caller", call->caller);
    set_text(object, "caller_name", call->caller_name);
    set_text(object, "station", call->station);
    set_text(object, "subaddress", call->subaddress);
    set_text(object, "sender", call->sender);
    set_text(object, "own_station", call->own_station);
    set_text(object, "peer", call->peer);
    set_text(object, "call_ref", call->call_ref);
    json_set_time(object, "started", call->started_ms);
    json_set_time(object, "answered", call->answered_ms);
    json_set_time(object, "ended", call->ended_ms);
    set_text(object, "media", call_media_text(call->media));
    set_number(object, "bit_rate", call->bit_rate);
    json_object_set_new(object, "ecm", json_boolean(call->ecm));
    set_text(object, "compression", call->compression);
    set_number(object, "pages", call->pages);
    set_number(object, "unconfirmed", call->unconfirmed);
    set_number(object, "rows", call->rows);
    set_number(object, "width", call->width);
    set_number(object, "x_per_m", call->x_per_m);
    set_number(object, "y_per_m", call->y_per_m);
    set_text(object, "verdict", call_verdict_text(call->verdict));
    set_text(object, "call_error", call->error);
    return object;
}

json_t *json_fax(const struct spool_fax *fax)
{
    static const char *const states[] = {[SPOOL_FAX_TAKEN] = "taken",
                                         [SPOOL_FAX_COMPOSED] = "composed",
                                         [SPOOL_FAX_EMPTY] = "empty"};
    json_t *object = json_call(&fax->call);

    set_text(object, "kind",
             fax->kind == SPOOL_KIND_FAX       ? "fax"
             : fax->kind == SPOOL_KIND_MESSAGE ? "message"
                                               : "report");
    set_text(object, "subject", fax->subject);
    set_text(object, "envelope_from", fax->envelope_from);
    set_text(object, "state",
             fax->state >= 0 && fax->state <= SPOOL_FAX_EMPTY ? states[fax->state] : "unknown");
    set_text(object, "route", fax->route);
    set_text(object, "message_id", fax->message_id);
    set_text(object, "folder", fax->folder);
    set_number(object, "compose_failures", fax->compose_failures);
    set_text(object, "error", fax->error);
    json_set_time(object, "taken", fax->taken_ms);
    return object;
}

json_t *json_delivery(const struct spool_delivery *delivery)
{
    static const char *const states[] = {
        [SPOOL_DUE] = "waiting", [SPOOL_SENDING] = "sending", [SPOOL_HELD] = "held",
        [SPOOL_DONE] = "done",   [SPOOL_FAILED] = "failed",   [SPOOL_CANCELLED] = "cancelled",
    };
    json_t *object = json_object();

    set_number(object, "delivery", delivery->id);
    set_text(object, "recipient", delivery->recipient);
    set_text(object, "state", states[delivery->state]);
    set_text(object, "envelope_from", delivery->envelope_from);
    set_number(object, "message_bytes", delivery->message_bytes);
    json_set_time(object, "created", delivery->created_ms);
    json_set_time(object, "due", delivery->state == SPOOL_DUE ? delivery->due_ms : 0);
    set_number(object, "attempts", delivery->attempts);
    set_text(object, "server", delivery->last_server);
    set_text(object, "reply", delivery->last_reply);
    json_object_set_new(object, "uncertain", json_boolean(delivery->uncertain));
    set_text(object, "bypass",
             delivery->bypass == SPOOL_BYPASS_ALLOW  ? "allow"
             : delivery->bypass == SPOOL_BYPASS_DENY ? "deny"
                                                     : "table");
    return object;
}

json_t *json_attempt(const struct spool_attempt *attempt)
{
    json_t *object = json_object();

    set_number(object, "row", attempt->id);
    json_set_time(object, "time", attempt->time_ms);
    set_text(object, "fax", attempt->fax_id);
    set_text(object, "recipient", attempt->recipient);
    set_text(object, "server", attempt->server);
    set_text(object, "address", attempt->address);
    set_text(object, "step", attempt->step);
    set_text(object, "result", attempt->result);
    set_text(object, "reply", attempt->reply);
    return object;
}

json_t *json_counts(const struct spool_counts *counts)
{
    json_t *object = json_object();

    set_number(object, "faxes", counts->faxes);
    set_number(object, "taken", counts->taken);
    set_number(object, "waiting", counts->due);
    set_number(object, "sending", counts->sending);
    set_number(object, "held", counts->held);
    set_number(object, "done", counts->done);
    set_number(object, "failed", counts->failed);
    return object;
}

static json_t *json_server(const struct dispatch_server_status *server)
{
    json_t *object = json_object();

    set_text(object, "name", server->name);
    set_number(object, "rank", server->rank);
    set_text(object, "address", server->address);
    json_object_set_new(object, "up", json_boolean(server->up));
    json_object_set_new(object, "probing", json_boolean(server->probing));
    set_number(object, "connections", server->connections);
    json_set_time(object, "down_since", server->down_since_ms);
    json_set_time(object, "next_probe", server->next_probe_ms);
    set_text(object, "last_error", server->last_error);
    return object;
}

/* What needs a person, each in one line. */
static json_t *json_alarms(const struct dispatch_status *status)
{
    json_t *alarms = json_array();

    if (status->alarm[0] != '\0')
        json_array_append_new(alarms, json_text(status->alarm));
    for (int i = 0; i < status->trouble_count; i++)
        json_array_append_new(alarms, json_text(status->trouble[i]));
    return alarms;
}

void json_notes_add(json_t *array, const char *text)
{
    static const char *const keys[] = {"kind", "name", "state", "text"};
    size_t part = 0;
    json_t *note = NULL;

    while (*text != '\0') {
        char word[1024];
        size_t length = strcspn(text, "\t\n");

        snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word ? length : sizeof word - 1),
                 text);
        if (note == NULL)
            note = json_object();
        if (part < sizeof keys / sizeof keys[0])
            json_object_set_new(note, keys[part++], json_text(word));
        text += length;
        if (*text != '\t') {
            json_array_append_new(array, note);
            note = NULL;
            part = 0;
        }
        if (*text != '\0')
            text++;
    }
    json_decref(note);
}

json_t *json_dispatch(const struct dispatch_status *status)
{
    json_t *object = json_object();
    json_t *servers = json_array();
    int i;

    for (i = 0; i < status->server_count; i++)
        json_array_append_new(servers, json_server(&status->server[i]));
    json_object_set_new(object, "servers", servers);
    json_object_set_new(object, "workers",
                        json_pack("{s:i, s:i, s:i, s:b, s:b}", "count", status->workers, "busy",
                                  status->workers_busy, "queued", status->queued, "composing",
                                  status->composing, "draining", status->draining));
    set_number(object, "free_bytes", status->free_bytes);
    json_object_set_new(object, "mailbox_only", json_boolean(status->mailbox_only));
    json_object_set_new(object, "alarms", json_alarms(status));
    return object;
}
