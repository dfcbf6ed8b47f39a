/* SPDX-License-Identifier: MIT */
/*
 * command_log.c - faxpost log: the transmission log, and what comes to it.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "message/template.h"
#include "src/command.h"
#include "src/settings.h"

enum { FOLLOW_EVERY_S = 1, ROWS_AT_ONCE = 500, REPLY_CHARS = 200 };

/* all: where the rows of the one document of --json are gathered; NULL: each on a line. */
static void print_row(const struct command_options *options, json_t *row, json_t *all)
{
    char time[CELL_MAX];
    char reply[1000];
    char result[CELL_MAX];
    const char *address = member_text(row, "address");
    const char *words = member_text(row, "reply");

    if (all != NULL) {
        json_array_append(all, row);
        return;
    }
    if (options->json) {
        json_dumpf(row, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
        putchar('\n');
        return;
    }
    printf("%s  ", member_time(time, row, "time", true));
    print_cell(member_text(row, "recipient"), 24);
    print_cell(address[0] != '\0' ? address : member_text(row, "server"), 20);
    print_cell(member_text(row, "step"), 3);
    printf("%s%s%s\n", line_of(result, member_text(row, "result")), words[0] != '\0' ? ": " : "",
           words[0] != '\0' ? template_clean_text(reply, sizeof reply, words, REPLY_CHARS) : "");
}

/* Prints what comes after the row `after`, and moves it on. */
static int print_after(const struct command_options *options, int64_t *after, json_t *all,
                       size_t *out_count)
{
    json_t *request = json_pack("{s:I, s:i}", "after", (json_int_t)*after, "limit",
                                *after < 0 && options->limit > 0 ? options->limit
                                : *after < 0                     ? 50
                                                                 : ROWS_AT_ONCE);
    json_t *reply;
    json_t *row;
    size_t i;

    if (options->id != NULL)
        json_object_set_new(request, "id", json_string(options->id));
    if (options->server != NULL)
        json_object_set_new(request, "server", json_string(options->server));
    reply = command_ask(options, "log", request);
    if (command_failed(options, reply)) {
        json_decref(reply);
        return EXIT_TROUBLE;
    }
    *out_count = json_array_size(json_object_get(reply, "rows"));
    json_array_foreach(json_object_get(reply, "rows"), i, row)
    {
        print_row(options, row, all);
        *after = member_number(row, "row");
    }
    json_decref(reply);
    fflush(stdout);
    return EXIT_FINE;
}

int command_log(const struct command_options *options)
{
    json_t *all = options->json && !options->follow ? json_array() : NULL;
    int64_t after = -1;
    size_t count = 0;
    int code;

    while ((code = print_after(options, &after, all, &count)) == EXIT_FINE && !ferror(stdout)) {
        if (count > 0)
            continue; /* there may be more */
        if (!options->follow)
            break;
        if (after < 0)
            after = 0;
        sleep(FOLLOW_EVERY_S);
    }
    if (all != NULL && code == EXIT_FINE) {
        json_t *document = json_pack("{s:b, s:O}", "ok", 1, "rows", all);

        command_print_json(document);
        json_decref(document);
    }
    json_decref(all);
    return code;
}
