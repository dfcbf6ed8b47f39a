/* SPDX-License-Identifier: MIT */
/*
 * control_commands.c - one function for each command, and the table of them.
 */
#include "src/control_commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "src/control_json.h"
#include "src/version.h"

enum { DELIVERIES_MAX = 64, PAGE = 50, ID_LEAST = 3 };

json_t *control_failure(int error, const char *why)
{
    return json_pack("{s:b, s:i, s:o}", "ok", 0, "error", error, "why", json_text(why));
}

static json_t *success(void)
{
    return json_pack("{s:b}", "ok", 1);
}

static const char *text_of(const json_t *request, const char *key)
{
    return json_string_value(json_object_get(request, key));
}

static int64_t number_of(const json_t *request, const char *key, int64_t fallback, int64_t least,
                         int64_t most)
{
    const json_t *value = json_object_get(request, key);
    int64_t n = json_is_integer(value) ? json_integer_value(value) : fallback;

    return n < least ? least : n > most ? most : n;
}

/* ---- identities ----------------------------------------------------------------------------- */

bool control_id_matches(const char *fax_id, const char *text)
{
    return strlen(text) >= ID_LEAST && strcasestr(fax_id, text) != NULL;
}

const char *control_id_short(const char *fax_id)
{
    const char *dash = strrchr(fax_id, '-');

    return dash != NULL && dash[1] != '\0' ? dash + 1 : fax_id;
}

struct search {
    const char *text;
    int found;
    char id[FAX_ID_MAX];    /* the first one */
    char other[FAX_ID_MAX]; /* another one */
};

static void search_see(struct search *search, const char *fax_id)
{
    if (!control_id_matches(fax_id, search->text) || strcmp(search->id, fax_id) == 0)
        return;
    text_copy(search->found == 0 ? search->id : search->other, FAX_ID_MAX, fax_id);
    search->found++;
}

static void search_spool(struct spool *spool, struct search *search)
{
    struct spool_fax *page = calloc(PAGE, sizeof *page);
    char before[FAX_ID_MAX] = "";
    int seen;
    int n = PAGE;
    int i;

    for (seen = 0; page != NULL && n == PAGE && seen < CONTROL_SEARCH_MAX; seen += n) {
        n = spool_fax_list(spool, before[0] != '\0' ? before : NULL, page, PAGE);
        for (i = 0; i < n; i++)
            search_see(search, page[i].call.fax_id);
        if (n > 0)
            text_copy(before, sizeof before, page[n - 1].call.fax_id);
    }
    free(page);
}

static void search_live(struct spool *spool, struct search *search)
{
    struct call_info *calls = calloc(CONTROL_CALLS_MAX, sizeof *calls);
    int n = calls != NULL ? spool_live_calls(spool, calls, CONTROL_CALLS_MAX) : 0;
    int i;

    for (i = 0; i < n; i++)
        search_see(search, calls[i].fax_id);
    free(calls);
}

/* The fax that the request's "id" stands for. NULL when it is found, else the reply. */
static json_t *find(const struct control_context *context, const json_t *request,
                    char out[FAX_ID_MAX])
{
    struct spool_fax fax;
    struct search search = {.text = text_of(request, "id")};
    char why[300];

    if (search.text == NULL || strlen(search.text) < ID_LEAST)
        return control_failure(ERROR_FORMAT, "name a fax: its ID or a part of it, at least 3 "
                                             "characters; 'faxpost list' shows them");
    if (strlen(search.text) < FAX_ID_MAX && spool_fax_get(context->spool, search.text, &fax) == 0) {
        text_copy(out, FAX_ID_MAX, search.text);
        return NULL;
    }
    search_spool(context->spool, &search);
    search_live(context->spool, &search);
    if (search.found == 1) {
        text_copy(out, FAX_ID_MAX, search.id);
        return NULL;
    }
    if (search.found == 0)
        snprintf(why, sizeof why, "no fax is called %s; 'faxpost list' shows them",
                 LOG_ESCAPED(search.text));
    else
        snprintf(why, sizeof why, "%d faxes fit %s, e.g. %s and %s: write more of it", search.found,
                 LOG_ESCAPED(search.text), search.id, search.other);
    return control_failure(search.found == 0 ? ERROR_NOT_FOUND : ERROR_LIMIT, why);
}

/* ---- commands ------------------------------------------------------------------------------- */

static json_t *live_calls(struct spool *spool)
{
    struct call_info *calls = calloc(CONTROL_CALLS_MAX, sizeof *calls);
    int n = calls != NULL ? spool_live_calls(spool, calls, CONTROL_CALLS_MAX) : 0;
    json_t *array = json_array();
    int i;

    for (i = 0; i < n; i++)
        json_array_append_new(array, json_call(&calls[i]));
    free(calls);
    return array;
}

static json_t *notes_of(const struct control_context *context)
{
    json_t *array = json_array();
    const char *text;

    for (int role = 0; (text = context->notes(context->user, role)) != NULL; role++)
        json_notes_add(array, text);
    return array;
}

static json_t *command_status(const struct control_context *context, const json_t *request)
{
    json_t *reply = success();
    struct spool_counts counts;

    (void)request;
    json_object_set_new(reply, "daemon", json_boolean(context->status != NULL));
    json_object_set_new(reply, "version", json_string(FAXPOST_VERSION));
    json_object_set_new(reply, "state_dir", json_text(spool_state_dir(context->spool)));
    json_set_time(reply, "now", clock_wall_ms());
    json_object_set_new(reply, "calls", live_calls(context->spool));
    if (spool_count(context->spool, &counts) == 0)
        json_object_set_new(reply, "counts", json_counts(&counts));
    if (context->notes != NULL)
        json_object_set_new(reply, "notes", notes_of(context));
    if (context->status != NULL) {
        struct dispatch_status *status = calloc(1, sizeof *status);
        json_t *more;

        if (status == NULL)
            return reply;
        context->status(context->user, status);
        more = json_dispatch(status);
        json_object_update(reply, more);
        json_decref(more);
        free(status);
    }
    return reply;
}

static json_t *deliveries_of(struct spool *spool, const char *fax_id)
{
    struct spool_delivery *list = calloc(DELIVERIES_MAX, sizeof *list);
    int n = list != NULL ? spool_delivery_list(spool, fax_id, list, DELIVERIES_MAX) : 0;
    json_t *array = json_array();
    int i;

    for (i = 0; i < n; i++)
        json_array_append_new(array, json_delivery(&list[i]));
    free(list);
    return array;
}

static json_t *fax_with_deliveries(struct spool *spool, const struct spool_fax *fax)
{
    json_t *object = json_fax(fax);

    json_object_set_new(object, "deliveries", deliveries_of(spool, fax->call.fax_id));
    return object;
}

static json_t *command_list(const struct control_context *context, const json_t *request)
{
    int limit = (int)number_of(request, "limit", 20, 1, CONTROL_LIST_MAX);
    const char *before = text_of(request, "before");
    struct spool_fax *list = calloc((size_t)limit, sizeof *list);
    json_t *array = json_array();
    json_t *reply;
    int n;
    int i;

    if (list == NULL)
        return control_failure(ERROR_MEMORY, error_text(ERROR_MEMORY));
    n = spool_fax_list(context->spool, before, list, limit);
    for (i = 0; i < n; i++)
        json_array_append_new(array, fax_with_deliveries(context->spool, &list[i]));
    free(list);
    reply = success();
    json_object_set_new(reply, "faxes", array);
    if (n < 0) {
        json_decref(reply);
        return control_failure(n, error_text(n));
    }
    return reply;
}

static json_t *log_rows(struct spool *spool, int64_t after, const char *fax_id, const char *server,
                        int limit)
{
    struct spool_attempt *rows = calloc((size_t)limit, sizeof *rows);
    int n = rows != NULL ? spool_attempt_list(spool, after, fax_id, server, rows, limit) : 0;
    json_t *array = json_array();
    int i;

    for (i = 0; i < n; i++)
        json_array_append_new(array, json_attempt(&rows[i]));
    free(rows);
    return array;
}

static json_t *command_show(const struct control_context *context, const json_t *request)
{
    char id[FAX_ID_MAX];
    struct spool_fax fax;
    json_t *reply = find(context, request, id);
    json_t *calls;
    json_t *call;
    size_t i;

    if (reply != NULL)
        return reply;
    reply = success();
    if (spool_fax_get(context->spool, id, &fax) == 0) {
        json_object_set_new(reply, "fax", fax_with_deliveries(context->spool, &fax));
        json_object_set_new(reply, "log", log_rows(context->spool, 0, id, NULL, 200));
        return reply;
    }
    calls = live_calls(context->spool);
    json_array_foreach(calls, i, call)
    {
        const char *call_id = json_string_value(json_object_get(call, "id"));

        if (call_id != NULL && strcmp(call_id, id) == 0)
            json_object_set(reply, "fax", call);
    }
    json_decref(calls);
    if (json_object_get(reply, "fax") != NULL)
        return reply;
    json_decref(reply);
    return control_failure(ERROR_NOT_FOUND, "the call has just ended: ask again");
}

static json_t *command_log(const struct control_context *context, const json_t *request)
{
    int limit = (int)number_of(request, "limit", 50, 1, CONTROL_LIST_MAX);
    int64_t after = number_of(request, "after", -1, -1, INT64_MAX);
    const char *server = text_of(request, "server");
    char id[FAX_ID_MAX] = "";
    json_t *reply;

    if (text_of(request, "id") != NULL && (reply = find(context, request, id)) != NULL)
        return reply;
    if (after < 0) /* the last ones of all; of one fax or server all that are kept */
        after = id[0] != '\0' || server != NULL ? 0 : spool_attempt_tail(context->spool, limit);
    reply = success();
    json_object_set_new(reply, "rows",
                        log_rows(context->spool, after, id[0] != '\0' ? id : NULL, server, limit));
    return reply;
}

/* retry, cancel, hold and release share all but one call. */
static json_t *change(const struct control_context *context, const json_t *request,
                      const char *nothing, int (*act)(struct spool *spool, const char *fax_id))
{
    char id[FAX_ID_MAX];
    json_t *reply = find(context, request, id);
    int n;

    if (reply != NULL)
        return reply;
    n = act(context->spool, id);
    if (n < 0)
        return control_failure(n, n == ERROR_NOT_FOUND ? "this call has not ended, or has no fax"
                                                       : error_text(n));
    if (n == 0)
        return control_failure(ERROR_STATE, nothing);
    if (context->kick != NULL)
        context->kick(context->user);
    reply = success();
    json_object_set_new(reply, "id", json_string(id));
    json_object_set_new(reply, "changed", json_integer(n));
    return reply;
}

static int act_retry(struct spool *spool, const char *fax_id)
{
    return spool_retry(spool, fax_id, clock_wall_ms());
}

static int act_hold(struct spool *spool, const char *fax_id)
{
    return spool_hold(spool, fax_id, true, clock_wall_ms());
}

static int act_release(struct spool *spool, const char *fax_id)
{
    return spool_hold(spool, fax_id, false, clock_wall_ms());
}

/* NULL, or the failure. */
static json_t *bypass_of(const struct control_context *context, const json_t *request,
                         enum spool_bypass *out)
{
    const char *word = text_of(request, "bypass");

    if (word == NULL || strcmp(word, "table") == 0)
        *out = SPOOL_BYPASS_TABLE;
    else if (strcmp(word, "allow") == 0)
        *out = SPOOL_BYPASS_ALLOW;
    else if (strcmp(word, "deny") == 0)
        *out = SPOOL_BYPASS_DENY;
    else
        return control_failure(ERROR_FORMAT, "bypass is one of allow, deny and table");
    if (*out != SPOOL_BYPASS_TABLE && !context->may_change)
        return control_failure(ERROR_DENIED, "only root and the account that faxpost runs as may "
                                             "decide on bypass; others send by the table");
    return NULL;
}

/* A new message: copied, durable, and only then accepted. */
static json_t *command_send(const struct control_context *context, const json_t *request)
{
    const char *to[HANDIN_TO_MAX];
    const json_t *list = json_object_get(request, "to");
    struct handin_request handin = {.from = text_of(request, "from"), .to = to};
    char id[FAX_ID_MAX];
    char why[HANDIN_WHY_MAX] = "";
    json_t *reply = bypass_of(context, request, &handin.bypass);
    const json_t *address;
    size_t i;
    int error;

    if (reply != NULL)
        return reply;
    if (context->message_fd <= 0 || context->handin == NULL)
        return control_failure(ERROR_FORMAT, "there is no message with the request");
    if (json_array_size(list) > HANDIN_TO_MAX)
        return control_failure(ERROR_LIMIT, "too many recipients: send it several times");
    json_array_foreach(list, i, address) to[handin.to_count++] =
        json_is_string(address) ? json_string_value(address) : "";
    error = handin_accept(context->spool, context->handin, context->message_fd, &handin, id, why);
    if (error < 0)
        return control_failure(error, why);
    if (context->kick != NULL)
        context->kick(context->user);
    reply = success();
    json_object_set_new(reply, "id", json_string(id));
    return reply;
}

static json_t *resend_to(const struct control_context *context, const char *id, const char *address,
                         enum spool_bypass bypass)
{
    char why[400];
    int error;

    if (!route_address_is_valid(address)) {
        snprintf(why, sizeof why, "%s is no mail address: write name@domain", LOG_ESCAPED(address));
        return control_failure(ERROR_FORMAT, why);
    }
    error = spool_resend(context->spool, id, address, bypass, clock_wall_ms());
    if (error == 0)
        return NULL;
    return control_failure(
        error, error == ERROR_EXISTS  ? "a delivery to this address is open already: see 'faxpost "
                                        "show', and 'faxpost retry'"
               : error == ERROR_STATE ? "it has no message yet, or is a call without a page"
                                      : error_text(error));
}

static json_t *command_resend(const struct control_context *context, const json_t *request)
{
    const json_t *list = json_object_get(request, "to");
    enum spool_bypass bypass;
    char id[FAX_ID_MAX];
    json_t *reply = bypass_of(context, request, &bypass);
    const json_t *address;
    size_t i;

    if (reply == NULL)
        reply = find(context, request, id);
    if (reply == NULL && json_array_size(list) == 0)
        reply = control_failure(ERROR_FORMAT, "name the recipient with --to");
    json_array_foreach(list, i, address) if (reply == NULL) reply =
        resend_to(context, id, json_is_string(address) ? json_string_value(address) : "", bypass);
    if (context->kick != NULL)
        context->kick(context->user);
    if (reply != NULL)
        return reply;
    reply = success();
    json_object_set_new(reply, "id", json_string(id));
    json_object_set_new(reply, "changed", json_integer((json_int_t)json_array_size(list)));
    return reply;
}

static json_t *command_retry(const struct control_context *context, const json_t *request)
{
    enum spool_bypass bypass;
    char id[FAX_ID_MAX];
    json_t *reply = bypass_of(context, request, &bypass);
    int set;

    if (reply == NULL && text_of(request, "bypass") != NULL) {
        reply = find(context, request, id);
        set = reply == NULL ? spool_set_bypass(context->spool, id, bypass) : 0;
        if (set < 0)
            reply = control_failure(set, error_text(set));
    }
    if (reply != NULL)
        return reply;
    return change(context, request,
                  "nothing to retry: no delivery of this fax waits, failed or was cancelled",
                  act_retry);
}

static json_t *command_cancel(const struct control_context *context, const json_t *request)
{
    return change(context, request, "nothing to cancel: no delivery of this fax is open",
                  spool_cancel);
}

static json_t *command_hold(const struct control_context *context, const json_t *request)
{
    return change(context, request, "nothing to hold: no delivery of this fax is open", act_hold);
}

static json_t *command_release(const struct control_context *context, const json_t *request)
{
    return change(context, request, "nothing to release: no delivery of this fax is held",
                  act_release);
}

static json_t *command_version(const struct control_context *context, const json_t *request)
{
    json_t *reply = success();

    (void)context;
    (void)request;
    json_object_set_new(reply, "version", json_string(FAXPOST_VERSION));
    return reply;
}

static const struct {
    const char *name;
    json_t *(*run)(const struct control_context *context, const json_t *request);
    bool changes;
} commands[] = {
    {"status", command_status, false},   {"list", command_list, false},
    {"show", command_show, false},       {"log", command_log, false},
    {"retry", command_retry, true},      {"cancel", command_cancel, true},
    {"hold", command_hold, true},        {"release", command_release, true},
    {"version", command_version, false}, {"send", command_send, false},
    {"resend", command_resend, true},
};

json_t *control_run(const struct control_context *context, const json_t *request)
{
    const char *name = text_of(request, "command");
    size_t i;

    for (i = 0; name != NULL && i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, name) != 0)
            continue;
        if (commands[i].changes && !context->may_change)
            return control_failure(ERROR_DENIED,
                                   "only root and the account that faxpost runs as may do this");
        return commands[i].run(context, request);
    }
    return control_failure(ERROR_UNSUPPORTED, "no such command");
}
