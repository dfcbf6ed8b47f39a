/* SPDX-License-Identifier: MIT */
/*
 * command_modem.c - faxpost modem: what modem is at a port and how to make a line of it; the modems
 * that are known.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "fax/modem/modem_models.h"
#include "src/command.h"
#include "src/control_commands.h"
#include "src/modem_probe.h"
#include "src/settings.h"

enum { SECTION_MAX = 2048, RATES_MAX = 80 };

static const char usage[] =
    "usage: faxpost modem probe DEVICE [--speed N] [--flow rtscts|xonxoff|none] [--trace]\n"
    "       faxpost modem models\n"
    "A DEVICE is a serial port, as /dev/ttyACM0 or /dev/serial/by-id/...\n";

static int wrong_usage(const char *what)
{
    if (what != NULL)
        fprintf(stderr, "faxpost: %s\n", what);
    fputs(usage, stderr);
    return EXIT_USAGE;
}

static void print_problem(void *user, const char *file, int line, const char *what)
{
    (void)user;
    fprintf(stderr, line > 0 ? "%s:%d: %s\n" : "%s:%.0d %s\n", file, line, what);
}

/* The table, with modems.ini beside the settings where there is one. */
static int models_load(const struct command_options *options, struct modem_models **out)
{
    char *path = settings_path(options->conf_path, SETTINGS_MODEMS);
    struct conf *conf = NULL;
    int error = path != NULL ? 0 : ERROR_MEMORY;

    if (error == 0 && (access(path, F_OK) == 0 || errno != ENOENT))
        error = conf_load(&conf, path, conf_keys_modems, print_problem, NULL);
    if (error == 0)
        error = modem_models_read(out, conf, print_problem, NULL);
    conf_free(conf);
    free(path);
    return error;
}

/* ---- models --------------------------------------------------------------------------------- */

static int run_models(const struct command_options *options, const struct modem_models *models)
{
    json_t *list = json_array();
    const struct modem_model *m;
    size_t i;

    if (!options->json) {
        print_cell("MODEL", 14);
        print_cell("USB", 20);
        printf("MODEM\n");
    }
    for (i = 0; (m = modem_models_at(models, i)) != NULL; i++) {
        if (options->json) {
            json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s*}", "name", m->name, "text",
                                                  m->text, "usb", m->usb != NULL ? m->usb : "",
                                                  "note", m->note));
            continue;
        }
        print_cell(m->name, 14);
        print_cell(m->usb != NULL ? m->usb : "-", 20);
        print_clean(stdout, m->text);
        printf("\n");
    }
    if (options->json)
        command_print_json(list);
    json_decref(list);
    return EXIT_FINE;
}

/* ---- what to put into the settings ---------------------------------------------------------- */

/* A line that has this port already, or NULL. */
static const char *line_with(const struct conf *conf, const char *device)
{
    const char *name;
    size_t i;

    for (i = 0; (name = conf_section_name(conf, "line", i)) != NULL; i++) {
        const char *other = conf_text(conf, "line", name, "device");
        char *one = realpath(device, NULL);
        char *two = other != NULL ? realpath(other, NULL) : NULL;
        bool same = one != NULL && two != NULL && strcmp(one, two) == 0;

        free(one);
        free(two);
        if (same)
            return name;
    }
    return NULL;
}

/* [line NAME] with what differs from the defaults. */
static void section_of(char out[SECTION_MAX], const struct modem_probe *probe)
{
    const struct modem_found *found = modem_setup_found(probe->setup);
    char by_id[SERIAL_PATH_MAX];
    struct buffer text;

    if (!serial_by_id(by_id, probe->device))
        text_copy(by_id, sizeof by_id, probe->device);
    buffer_init(&text, SECTION_MAX);
    buffer_format(&text, "[line modem]\ntype = modem\ndevice = %s\n", by_id);
    if (found->speed != 115200)
        buffer_format(&text, "speed = %d\n", found->speed);
    if (probe->port.flow != SERIAL_FLOW_RTSCTS)
        buffer_format(&text, "flow = %s\n", serial_flow_text(probe->port.flow));
    if (found->caller_id[0] != '\0')
        buffer_text(&text, "rings = 2\n");
    buffer_text(&text,
                "; the fax number of this line, which senders see:\n;station = +1 555 0100\n");
    text_copy(out, SECTION_MAX, buffer_string(&text));
    buffer_free(&text);
}

/* ---- printing ------------------------------------------------------------------------------- */

static void rates_text(char out[RATES_MAX], unsigned rates)
{
    snprintf(out, RATES_MAX, "V.27 ter%s%s, up to %d bit/s",
             (rates & MODEM_V29) != 0 ? ", V.29" : "", (rates & MODEM_V17) != 0 ? ", V.17" : "",
             (rates & MODEM_V17) != 0   ? 14400
             : (rates & MODEM_V29) != 0 ? 9600
                                        : 4800);
}

static void print_pair(const char *key, const char *value)
{
    print_cell(key, 10);
    print_clean(stdout, value);
    printf("\n");
}

static void print_classes(const struct modem_found *found)
{
    int i;

    print_cell("classes", 10);
    for (i = MODEM_CLASS_1; i <= MODEM_CLASS_2_1; i++)
        if ((found->classes & 1u << i) != 0)
            printf("%s ", modem_class_text((enum modem_class)i));
    if (found->traits.class != MODEM_CLASS_AUTO)
        printf("- driven by class %s", modem_class_text(found->traits.class));
    printf("\n");
}

static void print_notes(const struct modem_probe *probe, const struct modem_found *found)
{
    int i;

    if (probe->port_note[0] != '\0')
        print_pair("note", probe->port_note);
    for (i = 0; i < found->advice_count; i++)
        print_pair("note", found->advice[i]);
}

static void says_text(char *out, size_t size, const struct modem_found *found)
{
    const char *const parts[] = {found->maker, found->product, found->firmware};
    size_t used = 0;
    size_t i;

    text_copy(out, size, "nothing of itself");
    for (i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (parts[i][0] != '\0' && used < size)
            used +=
                (size_t)snprintf(out + used, size - used, "%s%s", used > 0 ? " / " : "", parts[i]);
}

/* What it says of itself; a modem that failed may have said a part. */
static void print_found(const struct modem_probe *probe)
{
    const struct modem_found *found = modem_setup_found(probe->setup);
    char text[3 * MODEM_FOUND_TEXT + 8];

    snprintf(text, sizeof text, "%s  [model %s]", found->model->text, found->model->name);
    print_pair("modem", text);
    if (probe->usb_id[0] != '\0')
        print_pair("USB id", probe->usb_id);
    says_text(text, sizeof text, found);
    print_pair("says", text);
    print_classes(found);
}

static void print_ready(const struct command_options *options, const struct modem_probe *probe)
{
    const struct modem_found *found = modem_setup_found(probe->setup);
    const char *line = line_with(options->conf, probe->device);
    char section[SECTION_MAX];
    char text[RATES_MAX + MODEM_COMMAND_MAX];

    print_found(probe);
    rates_text(text, found->traits.rates);
    print_pair("receives", text);
    snprintf(text, sizeof text, "%s, by AT%s", serial_flow_text(probe->port.flow), found->flow);
    print_pair("flow", found->flow[0] != '\0' ? text : "no command for it is taken");
    snprintf(text, sizeof text, "by AT%s", found->caller_id);
    print_pair("caller ID", found->caller_id[0] != '\0' ? text : "none");
    print_notes(probe, found);
    section_of(section, probe);
    if (line != NULL)
        printf("\nThe settings have it already, as [line %s].\n", line);
    else
        printf("\nTo be put into %s:\n\n%s", options->conf_path, section);
}

static json_t *json_of(const struct modem_probe *probe)
{
    const struct modem_found *found = modem_setup_found(probe->setup);
    json_t *classes = json_array();
    json_t *notes = json_array();
    char section[SECTION_MAX];
    char rates[RATES_MAX];
    int i;

    for (i = MODEM_CLASS_1; i <= MODEM_CLASS_2_1; i++)
        if ((found->classes & 1u << i) != 0)
            json_array_append_new(classes, json_string(modem_class_text((enum modem_class)i)));
    if (probe->port_note[0] != '\0')
        json_array_append_new(notes, json_string(probe->port_note));
    for (i = 0; i < found->advice_count; i++)
        json_array_append_new(notes, json_string(found->advice[i]));
    rates_text(rates, found->traits.rates);
    section_of(section, probe);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:s, s:i, s:s, s:s, s:o, s:s}",
                     "device", probe->device, "model", found->model->name, "text",
                     found->model->text, "usb", probe->usb_id, "maker", found->maker, "product",
                     found->product, "firmware", found->firmware, "classes", classes, "class",
                     modem_class_text(found->traits.class), "rates", rates, "speed", found->speed,
                     "flow_command", found->flow, "caller_id_command", found->caller_id, "notes",
                     notes, "settings", section);
}

static int print_outcome(const struct command_options *options, const struct modem_probe *probe,
                         int error, const char *why)
{
    json_t *reply = error < 0 ? control_failure(error, why) : json_pack("{s:b}", "ok", 1);

    if (probe->setup != NULL && options->json) {
        json_t *found = json_of(probe);

        json_object_update(reply, found);
        json_decref(found);
    } else if (probe->setup != NULL && error == 0) {
        print_ready(options, probe);
    } else if (probe->setup != NULL && modem_setup_found(probe->setup)->classes != 0) {
        print_found(probe);
        print_notes(probe, modem_setup_found(probe->setup));
    } else if (probe->port_note[0] != '\0') {
        print_pair("note", probe->port_note);
    }
    if (error < 0)
        command_failed(options, reply);
    else if (options->json)
        command_print_json(reply);
    json_decref(reply);
    return error < 0 ? EXIT_TROUBLE : EXIT_FINE;
}

/* ---- probe ---------------------------------------------------------------------------------- */

/* On standard error, to be sent with a report. Octets that are no text came as dots. */
static void print_trace(int64_t ms, const char *direction, const char *text)
{
    char clean[LOG_ESCAPE_MAX];

    fprintf(stderr, "%4lld.%03lld %s %s\n", (long long)ms / 1000, (long long)ms % 1000, direction,
            text_printable((text_copy(clean, sizeof clean, text), clean)));
}

static bool flow_parse(enum serial_flow *out, const char *text)
{
    enum serial_flow flow;

    for (flow = SERIAL_FLOW_RTSCTS; flow <= SERIAL_FLOW_NONE; flow++)
        if (strcmp(text, serial_flow_text(flow)) == 0) {
            *out = flow;
            return true;
        }
    return false;
}

/* Where the settings have a line with this port, it is probed as that line would use it. */
static void wish_of(struct modem_probe *probe, const struct command_options *options)
{
    const struct conf *conf = options->conf;
    const char *line = line_with(conf, probe->device);

    probe->port = (struct serial_settings){.speed = 115200, .flow = SERIAL_FLOW_RTSCTS};
    if (line != NULL) {
        probe->port.speed = (int)conf_number(conf, "line", line, "speed");
        probe->port.flow = (enum serial_flow)conf_choice(conf, "line", line, "flow");
        probe->wish.class = (enum modem_class)conf_choice(conf, "line", line, "class");
        probe->wish.init = conf_text(conf, "line", line, "init");
        probe->wish.caller_id = conf_text(conf, "line", line, "caller_id");
    }
    if (options->speed != 0)
        probe->port.speed = options->speed;
}

static int run_probe(const struct command_options *options, struct modem_models *models,
                     const char *device)
{
    struct modem_probe probe = {.device = device,
                                .models = models,
                                .lock_dir = conf_text(options->conf, "gateway", NULL, "lock_dir"),
                                .trace = options->trace ? print_trace : NULL};
    char why[SERIAL_WHY_MAX] = "";
    int error;
    int code;

    wish_of(&probe, options);
    if (options->flow != NULL && !flow_parse(&probe.port.flow, options->flow))
        return wrong_usage("--flow is rtscts, xonxoff or none");
    if (!serial_speed_is_valid(probe.port.speed))
        return wrong_usage("--speed is none that ports have: try 115200, 57600, 38400 or 19200");
    if (!options->json && isatty(STDERR_FILENO) && !options->trace)
        fprintf(stderr, "asking the modem; this takes up to half a minute\n");
    error = modem_probe_run(&probe, why, sizeof why);
    code = print_outcome(options, &probe, error, why);
    modem_setup_free(probe.setup);
    return code;
}

int command_modem(const struct command_options *options)
{
    const char *what = options->word_count > 0 ? options->word[0] : "";
    struct modem_models *models = NULL;
    int code;

    if (strcmp(what, "probe") == 0 && options->word_count != 2)
        return wrong_usage("name a DEVICE");
    if (strcmp(what, "models") == 0 ? options->word_count != 1 : strcmp(what, "probe") != 0)
        return wrong_usage(what[0] != '\0' ? "no such command of modem" : NULL);
    if (models_load(options, &models) < 0)
        return EXIT_SETTINGS;
    code = strcmp(what, "models") == 0 ? run_models(options, models)
                                       : run_probe(options, models, options->word[1]);
    modem_models_unref(models);
    return code;
}
