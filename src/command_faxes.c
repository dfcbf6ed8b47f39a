/* SPDX-License-Identifier: MIT */
/*
 * command_faxes.c - faxpost list, show, and the commands that change deliveries.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "message/template.h"
#include "src/command.h"
#include "src/control_commands.h"
#include "src/control_json.h"
#include "src/settings.h"

enum { PAIR_CHARS = 200, PAIR_BYTES = 4 * PAIR_CHARS + 8 };

static void print_fax_line(const json_t *fax)
{
    const char *caller = member_text(fax, "caller");
    bool is_fax = strcmp(member_text(fax, "kind"), "message") != 0 &&
                  strcmp(member_text(fax, "kind"), "report") != 0;
    const json_t *first = json_array_get(json_object_get(fax, "deliveries"), 0);
    const char *verdict = member_text(fax, "verdict");
    char text[CELL_MAX];
    char number[32];

    print_cell(control_id_short(member_text(fax, "id")), 12);
    print_cell(member_time(text, fax, "started", false), 16);
    if (!is_fax)
        caller = member_text(fax, "envelope_from");
    print_cell(caller[0] != '\0' ? caller : member_text(fax, "station"), 15);
    print_cell(is_fax ? member_text(fax, "called") : member_text(first, "recipient"), 10);
    snprintf(number, sizeof number, "%lld", (long long)member_number(fax, "pages"));
    if (!is_fax)
        text_copy(number, sizeof number, "mail");
    print_cell(number, -5);
    printf("%s%s%s\n", fax_state(text, fax),
           strcmp(verdict, "complete") == 0 || strcmp(verdict, "empty") == 0 ? "" : ", ",
           strcmp(verdict, "complete") == 0 || strcmp(verdict, "empty") == 0 ? "" : verdict);
}

int command_list(const struct command_options *options)
{
    json_t *reply = command_ask(
        options, "list", json_pack("{s:i}", "limit", options->limit > 0 ? options->limit : 20));
    const json_t *faxes = json_object_get(reply, "faxes");
    const json_t *fax;
    size_t i;

    if (command_failed(options, reply)) {
        json_decref(reply);
        return EXIT_TROUBLE;
    }
    if (options->json) {
        command_print_json(reply);
    } else if (json_array_size(faxes) == 0) {
        printf("no faxes yet\n");
    } else {
        print_cell("ID", 12);
        print_cell("TIME", 16);
        print_cell("FROM", 15);
        print_cell("TO", 10);
        print_cell("PAGES", -5);
        printf("STATE\n");
        json_array_foreach(faxes, i, fax) print_fax_line(fax);
    }
    json_decref(reply);
    return EXIT_FINE;
}

/* One line of a record; nothing where there is nothing to say. */
static void print_pair(const char *name, const char *text)
{
    char clean[PAIR_BYTES];

    if (text[0] == '\0' || strcmp(text, "-") == 0)
        return;
    printf("%-13s %s\n", name, template_clean_text(clean, sizeof clean, text, PAIR_CHARS));
}

static void print_message(const json_t *fax)
{
    char text[CELL_MAX];

    print_pair(member_text(fax, "kind"), member_text(fax, "id"));
    print_pair("from", member_text(fax, "envelope_from"));
    print_pair("subject", member_text(fax, "subject"));
    print_pair("handed in", member_time(text, fax, "started", true));
}

static void print_call(const json_t *fax)
{
    char text[CELL_MAX];

    if (strcmp(member_text(fax, "kind"), "message") == 0 ||
        strcmp(member_text(fax, "kind"), "report") == 0) {
        print_message(fax);
        return;
    }
    print_pair("fax", member_text(fax, "id"));
    print_pair("from", member_text(fax, "caller"));
    print_pair("name", member_text(fax, "caller_name"));
    print_pair("station", member_text(fax, "station"));
    print_pair("to", member_text(fax, "called"));
    print_pair("subaddress", member_text(fax, "subaddress"));
    print_pair("line", member_text(fax, "line"));
    print_pair("peer", member_text(fax, "peer"));
    print_pair("began", member_time(text, fax, "started", true));
    print_pair("ended", member_time(text, fax, "ended", true));
    snprintf(text, sizeof text, "%lld%s", (long long)member_number(fax, "pages"),
             member_number(fax, "unconfirmed") > 0 ? ", and more that were not confirmed" : "");
    print_pair("pages", text);
    print_pair("verdict", member_text(fax, "verdict"));
    print_pair("call error", member_text(fax, "call_error"));
    snprintf(text, sizeof text, "%s, %lld bit/s, %s%s", member_text(fax, "media"),
             (long long)member_number(fax, "bit_rate"), member_text(fax, "compression"),
             json_is_true(json_object_get(fax, "ecm")) ? ", ECM" : "");
    print_pair("carried by", text);
}

static void print_deliveries(const json_t *fax)
{
    const json_t *deliveries = json_object_get(fax, "deliveries");
    const json_t *delivery;
    char text[CELL_MAX];
    char line[CELL_MAX];
    size_t i;

    print_pair("route", member_text(fax, "route"));
    print_pair("message", member_text(fax, "message_id"));
    print_pair("folder", member_text(fax, "folder"));
    print_pair("error", member_text(fax, "error"));
    json_array_foreach(deliveries, i, delivery)
    {
        snprintf(text, sizeof text, "%s%s", member_text(delivery, "state"),
                 json_is_true(json_object_get(delivery, "uncertain")) ? ", uncertain" : "");
        printf("\n");
        print_pair("recipient", member_text(delivery, "recipient"));
        print_pair("state", text);
        if (strcmp(member_text(delivery, "bypass"), "table") != 0)
            print_pair("bypass", member_text(delivery, "bypass"));
        print_pair("due", member_time(line, delivery, "due", true));
        snprintf(text, sizeof text, "%lld", (long long)member_number(delivery, "attempts"));
        print_pair("attempts", text);
        print_pair("last server", member_text(delivery, "server"));
        print_pair("last reply", member_text(delivery, "reply"));
    }
}

int command_show(const struct command_options *options)
{
    json_t *reply = command_ask(options, "show", json_pack("{s:s}", "id", options->id));
    const json_t *fax = json_object_get(reply, "fax");

    if (command_failed(options, reply)) {
        json_decref(reply);
        return EXIT_TROUBLE;
    }
    if (options->json) {
        command_print_json(reply);
    } else {
        print_call(fax);
        print_deliveries(fax);
    }
    json_decref(reply);
    return EXIT_FINE;
}

int command_change(const struct command_options *options, const char *command)
{
    json_t *request = json_pack("{s:s}", "id", options->id);
    json_t *reply;
    bool failed;
    char id[CELL_MAX];

    if (options->bypass != NULL)
        json_object_set_new(request, "bypass", json_text(options->bypass));
    reply = command_ask(options, command, request);
    failed = command_failed(options, reply);
    if (!failed && options->json)
        command_print_json(reply);
    else if (!failed)
        printf("%s: %s, %lld deliveries\n", line_of(id, member_text(reply, "id")), command,
               (long long)member_number(reply, "changed"));
    json_decref(reply);
    return failed ? EXIT_TROUBLE : EXIT_FINE;
}

int command_reload(const struct command_options *options)
{
    json_t *reply = command_ask(options, "reload", NULL);
    bool failed = command_failed(options, reply);

    if (!failed && options->json)
        command_print_json(reply);
    else if (!failed)
        printf("new settings are in force\n");
    else if (!options->json)
        fprintf(stderr, "faxpost: the old settings stay in force\n");
    json_decref(reply);
    return failed ? EXIT_TROUBLE : EXIT_FINE;
}
