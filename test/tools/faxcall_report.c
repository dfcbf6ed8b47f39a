/* SPDX-License-Identifier: MIT */
/*
 * faxcall_report.c - what is said about a call: one JSON object in one line, or one line to read.
 */
#include <jansson.h>

#include "test/tools/faxcall.h"

static const char *kind_text(enum kind kind)
{
    return kind == KIND_T38 ? "t38" : "audio";
}

static json_t *text_or_null(const char *text)
{
    json_t *value = json_string(text); /* NULL for what is no UTF-8 */

    return value != NULL ? value : json_null();
}

void result_json(FILE *out, const struct result *result)
{
    const struct outcome *outcome = &result->outcome;
    json_t *mcf = json_array(), *object;
    char *text;

    for (int i = 0; i < outcome->pages_confirmed && i < FAXCALL_PAGES_MAX; i++)
        json_array_append_new(mcf, json_integer(outcome->mcf_ms[i]));
    object = json_pack(
        "{s:i, s:o, s:o, s:b, s:b, s:i, s:i, s:i, s:i, s:o, s:f, s:s, s:b, s:i, s:b, s:i, s:i, "
        "s:i, "
        "s:o, s:s, s:o}",
        "call", result->number, "called", text_or_null(result->called), "caller",
        text_or_null(result->caller), "ok", result->ok, "aborted", result->aborted, "pages_in_file",
        outcome->pages_in_file, "pages_sent", outcome->pages_sent, "pages_confirmed",
        outcome->pages_confirmed, "pages_received", outcome->pages_received, "error",
        text_or_null(result->error), "seconds", result->seconds, "media", kind_text(result->kind),
        "t38", result->kind == KIND_T38, "bit_rate", outcome->bit_rate, "ecm", outcome->ecm,
        "retransmits", outcome->retransmits, "trainings", outcome->trainings, "sip",
        result->sip_code, "far_station", text_or_null(outcome->far_station), "heard",
        outcome->heard, "mcf_ms", mcf);
    text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(6));
    fprintf(out, "%s\n", text != NULL ? text : "{}");
    fflush(out);
    free(text);
    json_decref(object);
}

void result_text(FILE *out, const struct result *result)
{
    const struct outcome *outcome = &result->outcome;

    fprintf(out, "call %d to %s: %s%s, %d of %d pages, %s, %d bit/s%s, %.1f s%s%s\n",
            result->number, result->called, result->ok ? "ok" : "FAILED",
            result->aborted ? " (given up on purpose)" : "",
            outcome->pages_received > 0 ? outcome->pages_received : outcome->pages_confirmed,
            outcome->pages_in_file, kind_text(result->kind), outcome->bit_rate,
            outcome->ecm ? " ECM" : "", result->seconds, result->error[0] != '\0' ? ": " : "",
            result->error);
    fflush(out);
}
