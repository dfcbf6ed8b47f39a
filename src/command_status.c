/* SPDX-License-Identifier: MIT */
/*
 * command_status.c - faxpost status: live calls, counts, workers, servers, alarms.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "message/template.h"
#include "src/command.h"
#include "src/control_commands.h"
#include "src/settings.h"

enum { WATCH_EVERY_S = 1, BAR_CELLS = 10 };

/* A path from the daemon; until the next call. */
static const char *clean(const char *text)
{
    static char out[1024];

    return template_clean_text(out, sizeof out, text, 250);
}

static void print_counts(const json_t *reply)
{
    const json_t *counts = json_object_get(reply, "counts");
    const json_t *workers = json_object_get(reply, "workers");

    printf("calls       %zu\n", json_array_size(json_object_get(reply, "calls")));
    printf("faxes       %lld, %lld of them without a message yet\n",
           (long long)member_number(counts, "faxes"), (long long)member_number(counts, "taken"));
    printf("deliveries  %lld waiting, %lld sending, %lld held, %lld failed, %lld done\n",
           (long long)member_number(counts, "waiting"), (long long)member_number(counts, "sending"),
           (long long)member_number(counts, "held"), (long long)member_number(counts, "failed"),
           (long long)member_number(counts, "done"));
    if (workers != NULL)
        printf("workers     %lld of %lld busy%s%s\n", (long long)member_number(workers, "busy"),
               (long long)member_number(workers, "count"),
               json_is_true(json_object_get(workers, "composing")) ? ", a message is being made"
                                                                   : "",
               json_is_true(json_object_get(workers, "draining")) ? ", draining" : "");
}

static bool is_kind(const json_t *note, const char *kind)
{
    return strcmp(member_text(note, "kind"), kind) == 0;
}

/* One line where all roles say the same. */
static void print_sandbox(const json_t *notes)
{
    char line[CELL_MAX];
    char name[CELL_MAX];
    const char *first = NULL;
    const json_t *note;
    bool is_same = true;
    size_t i;

    json_array_foreach(notes, i, note)
    {
        if (!is_kind(note, "sandbox"))
            continue;
        if (first == NULL)
            first = member_text(note, "state");
        is_same = is_same && strcmp(first, member_text(note, "state")) == 0;
    }
    if (first != NULL && is_same)
        printf("sandbox     %s\n", line_of(line, first));
    json_array_foreach(notes, i, note)
    {
        if (!is_same && is_kind(note, "sandbox"))
            printf("sandbox     %s: %s\n", line_of(name, member_text(note, "name")),
                   line_of(line, member_text(note, "state")));
    }
}

/* The page that comes in, e.g. "[####------] 41%". */
static void print_page(const json_t *call)
{
    int percent =
        progress_percent((int)member_number(call, "rows"), (int)member_number(call, "y_per_m"));
    char bar[BAR_MAX];
    char text[CELL_MAX] = "-";

    if (member_number(call, "rows") > 0)
        snprintf(text, sizeof text, "%s %2d%%", progress_bar(bar, percent, BAR_CELLS), percent);
    print_cell(text, BAR_CELLS + 6);
}

static void print_calls(const json_t *calls)
{
    const json_t *call;
    char number[32];
    size_t i;

    if (json_array_size(calls) == 0)
        return;
    printf("\n");
    print_cell("CALL", 12);
    print_cell("LINE", 8);
    print_cell("FROM", 15);
    print_cell("TO", 12);
    print_cell("PAGES", -5);
    printf("PAGE COMING IN\n");
    json_array_foreach(calls, i, call)
    {
        const char *caller = member_text(call, "caller");

        print_cell(control_id_short(member_text(call, "id")), 12);
        print_cell(member_text(call, "line"), 8);
        print_cell(caller[0] != '\0' ? caller : member_text(call, "station"), 15);
        print_cell(member_text(call, "called"), 12);
        snprintf(number, sizeof number, "%lld", (long long)member_number(call, "pages"));
        print_cell(number, -5);
        print_page(call);
        printf("%s\n", line_of((char[CELL_MAX]){0}, member_text(call, "media")));
    }
}

static void print_lines(const json_t *notes)
{
    const json_t *note;
    bool any = false;
    size_t i;

    json_array_foreach(notes, i, note)
    {
        if (!is_kind(note, "line"))
            continue;
        if (!any) {
            printf("\n");
            print_cell("LINE", 12);
            print_cell("STATE", 12);
            printf("\n");
        }
        any = true;
        print_cell(member_text(note, "name"), 12);
        print_cell(member_text(note, "state"), 12);
        print_clean(stdout, member_text(note, "text"));
        printf("\n");
    }
}

static void print_servers(const json_t *reply)
{
    const json_t *servers = json_object_get(reply, "servers");
    const json_t *server;
    char time[CELL_MAX];
    char number[32];
    size_t i;

    if (json_is_true(json_object_get(reply, "mailbox_only")))
        printf("\nno servers.ini: faxes are delivered into %s/mailbox\n",
               clean(member_text(reply, "state_dir")));
    if (json_array_size(servers) == 0)
        return;
    printf("\n");
    print_cell("RANK", -4);
    print_cell("SERVER", 12);
    print_cell("ADDRESS", 26);
    print_cell("OPEN", -4);
    printf("STATE\n");
    json_array_foreach(servers, i, server)
    {
        snprintf(number, sizeof number, "%lld", (long long)member_number(server, "rank"));
        print_cell(number, -4);
        print_cell(member_text(server, "name"), 12);
        print_cell(member_text(server, "address"), 26);
        snprintf(number, sizeof number, "%lld", (long long)member_number(server, "connections"));
        print_cell(number, -4);
        if (json_is_true(json_object_get(server, "up")))
            printf("up\n");
        else
            printf("down since %s: %s\n", member_time(time, server, "down_since", true) + 11,
                   line_of((char[CELL_MAX]){0}, member_text(server, "last_error")));
    }
}

static void print_alarms(const json_t *alarms)
{
    const json_t *alarm;
    size_t i;

    if (json_array_size(alarms) > 0)
        printf("\n");
    json_array_foreach(alarms, i, alarm)
    {
        printf("ALARM: ");
        print_clean(stdout, json_string_value(alarm) != NULL ? json_string_value(alarm) : "");
        printf("\n");
    }
}

static void print_status(const json_t *reply)
{
    if (json_is_true(json_object_get(reply, "daemon")))
        printf("faxpostd %s runs, spool in %s\n",
               line_of((char[CELL_MAX]){0}, member_text(reply, "version")),
               clean(member_text(reply, "state_dir")));
    else
        printf("faxpostd is not running; spool in %s\n", clean(member_text(reply, "state_dir")));
    print_counts(reply);
    print_sandbox(json_object_get(reply, "notes"));
    print_calls(json_object_get(reply, "calls"));
    print_lines(json_object_get(reply, "notes"));
    print_servers(reply);
    print_alarms(json_object_get(reply, "alarms"));
    fflush(stdout);
}

int command_status(const struct command_options *options)
{
    bool runs;

    for (;;) {
        json_t *reply = command_ask(options, "status", NULL);

        if (options->watch && isatty(STDOUT_FILENO))
            printf("\033[H\033[J");
        if (command_failed(options, reply)) {
            json_decref(reply);
            return EXIT_TROUBLE;
        }
        if (options->json)
            command_print_json(reply);
        else
            print_status(reply);
        runs = json_is_true(json_object_get(reply, "daemon"));
        json_decref(reply);
        if (!options->watch || ferror(stdout))
            return runs ? EXIT_FINE : EXIT_TROUBLE;
        sleep(WATCH_EVERY_S);
        if (!isatty(STDOUT_FILENO) && !options->json)
            printf("\n");
    }
}
