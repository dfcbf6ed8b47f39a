/* SPDX-License-Identifier: MIT */
/*
 * faxpost.c - the operator's command: options, and the table of commands.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "src/command.h"
#include "src/settings.h"
#include "src/version.h"

static const char usage[] =
    "usage: faxpost [-c FILE] [--json] COMMAND\n"
    "  status [--watch]              live calls, counts, servers, alarms\n"
    "  list [--limit N]              the last faxes\n"
    "  show ID                       all about one\n"
    "  log [--fax ID] [--server NAME] [--limit N] [--follow]\n"
    "                                the transmission log\n"
    "  send [--from ADDR] --to ADDR ... [--bypass allow|deny|table] FILE\n"
    "                                hand in a mail (RFC 5322); - is standard input\n"
    "  resend ID --to ADDR ... [--bypass allow|deny|table]\n"
    "                                send its mail to somebody else too\n"
    "  retry ID [--bypass allow|deny|table]\n"
    "                                try its deliveries now, failed ones anew\n"
    "  cancel ID                     give its deliveries up\n"
    "  hold ID, release ID           stop trying; go on\n"
    "  export ID -o FILE [--format pdf|tiff|eml]\n"
    "                                its document or mail; - is standard output\n"
    "  servers list|add|set|move|remove|check\n"
    "                                the SMTP servers; 'faxpost servers' tells more\n"
    "  bypass list|allow|deny|remove|explain\n"
    "                                who may use others than the first; likewise\n"
    "  modem probe DEVICE [--speed N] [--flow rtscts|xonxoff|none] [--trace]\n"
    "                                what modem is there, and the settings for it\n"
    "  modem models                  the modems that faxpost knows\n"
    "  reload                        have the daemon read its settings again\n"
    "  version                       print the version\n"
    "An ID may be shortened to any part of it that only one fax has.\n"
    "settings: " DEFAULT_CONF_PATH "\n"
    "exit code: 0 fine, 1 trouble, 2 wrong usage, 78 wrong settings\n";

static const struct verb {
    const char *name;
    int (*run)(const struct command_options *options); /* NULL: command_change() */
    bool wants_id;
    bool takes_words; /* looks at the words behind it on its own */
    bool needs_no_settings;
} verbs[] = {
    {"status", command_status, false, false, false},
    {"list", command_list, false, false, false},
    {"show", command_show, true, false, false},
    {"log", command_log, false, false, false},
    {"retry", NULL, true, false, false},
    {"cancel", NULL, true, false, false},
    {"hold", NULL, true, false, false},
    {"release", NULL, true, false, false},
    {"export", command_export, true, false, false},
    {"reload", command_reload, false, false, false},
    {"send", command_send, false, true, false},
    {"resend", command_resend, true, false, false},
    {"servers", command_servers, false, true, false},
    {"bypass", command_bypass, false, true, false},
    {"modem", command_modem, false, true, true},
};

static void print_problem(void *user, const char *file, int line, const char *what)
{
    (void)user;
    if (line > 0)
        fprintf(stderr, "%s:%d: %s\n", file, line, what);
    else
        fprintf(stderr, "%s: %s\n", file, what);
}

static int wrong_usage(const char *what, const char *which)
{
    fprintf(stderr, "faxpost: %s%s%s\n%s", what, which != NULL ? ": " : "",
            which != NULL ? which : "", usage);
    return EXIT_USAGE;
}

/* Somebody may want to see what their modem is before there are settings at all. */
static int settings_read(const struct verb *verb, struct command_options *options,
                         const char *conf_path)
{
    if (verb->needs_no_settings && access(conf_path, F_OK) < 0 && errno == ENOENT)
        return conf_parse(&options->conf, "", conf_path, "/", conf_keys_faxpost, print_problem,
                          NULL);
    return conf_load(&options->conf, conf_path, conf_keys_faxpost, print_problem, NULL);
}

static int run(const struct verb *verb, struct command_options *options, const char *conf_path)
{
    int code;

    if (verb->run == command_export && options->output == NULL)
        return wrong_usage("export needs -o FILE", NULL);
    if ((verb->run == command_send || verb->run == command_resend) && options->to_count == 0)
        return wrong_usage("name a recipient: --to ADDR", NULL);
    if (verb->run == command_send && options->word_count != 1)
        return wrong_usage("send needs one FILE, - for standard input", NULL);
    if (settings_read(verb, options, conf_path) < 0)
        return EXIT_SETTINGS;
    log_open("faxpost", LOG_LEVEL_WARNING);
    code = verb->run != NULL ? verb->run(options) : command_change(options, verb->name);
    command_ask_end();
    conf_free(options->conf);
    return fflush(stdout) == 0 ? code : EXIT_TROUBLE;
}

/* The words that are no options: a command and, for some, an ID. */
static int words(struct command_options *options, const char *conf_path, char **word, int count)
{
    const struct verb *verb = NULL;
    size_t i;

    if (count == 0)
        return wrong_usage("no command", NULL);
    if (strcmp(word[0], "version") == 0) {
        printf(options->json ? "{\"ok\": true, \"version\": \"%s\"}\n" : "faxpost %s\n",
               FAXPOST_VERSION);
        return EXIT_FINE;
    }
    if (strcmp(word[0], "help") == 0) {
        fputs(usage, stdout);
        return EXIT_FINE;
    }
    for (i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verbs[i].name, word[0]) == 0)
            verb = &verbs[i];
    if (verb == NULL)
        return wrong_usage("no such command", word[0]);
    if (verb->wants_id && count < 2)
        return wrong_usage("name a fax by its ID", word[0]);
    if (!verb->takes_words && count > (verb->wants_id ? 2 : 1))
        return wrong_usage("unexpected argument", word[verb->wants_id ? 2 : 1]);
    if (verb->wants_id)
        options->id = word[1];
    options->conf_path = conf_path;
    options->word = word + 1;
    options->word_count = count - 1;
    return run(verb, options, conf_path);
}

enum {
    OPTION_JSON = 256,
    OPTION_WATCH,
    OPTION_FOLLOW,
    OPTION_LIMIT,
    OPTION_FAX,
    OPTION_SERVER,
    OPTION_FORMAT,
    OPTION_FROM,
    OPTION_TO,
    OPTION_BYPASS,
    OPTION_SPEED,
    OPTION_FLOW,
    OPTION_TRACE
};

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"json", no_argument, NULL, OPTION_JSON},
        {"watch", no_argument, NULL, OPTION_WATCH},
        {"follow", no_argument, NULL, OPTION_FOLLOW},
        {"limit", required_argument, NULL, OPTION_LIMIT},
        {"fax", required_argument, NULL, OPTION_FAX},
        {"server", required_argument, NULL, OPTION_SERVER},
        {"format", required_argument, NULL, OPTION_FORMAT},
        {"from", required_argument, NULL, OPTION_FROM},
        {"to", required_argument, NULL, OPTION_TO},
        {"bypass", required_argument, NULL, OPTION_BYPASS},
        {"speed", required_argument, NULL, OPTION_SPEED},
        {"flow", required_argument, NULL, OPTION_FLOW},
        {"trace", no_argument, NULL, OPTION_TRACE},
        {"output", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    struct command_options options = {0};
    const char *conf_path = DEFAULT_CONF_PATH;
    int64_t limit; /* or another number */
    int option;

    while ((option = getopt_long(argc, argv, "c:o:hV", longs, NULL)) >= 0) {
        switch (option) {
        case 'c': conf_path = optarg; break;
        case 'o': options.output = optarg; break;
        case OPTION_JSON: options.json = true; break;
        case OPTION_WATCH: options.watch = true; break;
        case OPTION_FOLLOW: options.follow = true; break;
        case OPTION_LIMIT:
            if (text_number(&limit, optarg) < 0 || limit < 1 || limit > 1000)
                return wrong_usage("--limit takes a number from 1 to 1000", NULL);
            options.limit = (int)limit;
            break;
        case OPTION_FAX: options.id = optarg; break;
        case OPTION_SERVER: options.server = optarg; break;
        case OPTION_FORMAT: options.format = optarg; break;
        case OPTION_FROM: options.from = optarg; break;
        case OPTION_BYPASS: options.bypass = optarg; break;
        case OPTION_SPEED:
            if (text_number(&limit, optarg) < 0 || limit < 300 || limit > 921600)
                return wrong_usage("--speed takes bits a second, as 115200", NULL);
            options.speed = (int)limit;
            break;
        case OPTION_FLOW: options.flow = optarg; break;
        case OPTION_TRACE: options.trace = true; break;
        case OPTION_TO:
            if (options.to_count == COMMAND_TO_MAX)
                return wrong_usage("too many recipients: send it several times", NULL);
            options.to[options.to_count++] = optarg;
            break;
        case 'V': printf("faxpost %s\n", FAXPOST_VERSION); return EXIT_FINE;
        case 'h': fputs(usage, stdout); return EXIT_FINE;
        default: fputs(usage, stderr); return EXIT_USAGE;
        }
    }
    return words(&options, conf_path, argv + optind, argc - optind);
}
