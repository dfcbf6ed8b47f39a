/* SPDX-License-Identifier: MIT */
/*
 * softmodem_options.c - the command line of softmodem, and the words that describe a call.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "test/tools/softmodem.h"

static const char help[] =
    "softmodem --pty PATH [--pty PATH] [OPTION...]\n"
    "One or two Class 1 fax modems on ptys (PATH becomes a symlink to the pty), and the telephone\n"
    "line between them. What one dials makes the other ring. With one modem the tool's own fax\n"
    "machine is at the other end. The line's time waits for whoever is late on a busy machine.\n"
    "\n"
    "The line\n"
    "  --ring-every MS       between the beginnings of RING (6000)\n"
    "  --delay MS            each way (0)\n"
    "  --noise DBM0          all the time, as -45\n"
    "  --drop EVERY,MS       a gap of MS about every EVERY ms\n"
    "  --burst EVERY,MS      a burst of noise\n"
    "  --seed N              of these chances (1)\n"
    "  --deaf                modems do not notice that the other side hangs up\n"
    "  --patience MS         how long the line waits for a host to read what a modem says (300)\n"
    "\n"
    "The first modem\n"
    "  --latency MS          its port delivers later, each way (0)\n"
    "  --xonxoff             asks its host to wait by XOFF too, not only by not reading\n"
    "  --mode-bits OCTAL     rights of the pty (666)\n"
    "  --mode MODE           well; error: says ERROR to everything; mute; garbage: says anything;\n"
    "                        self: answers without being asked; stuck: ATA finds no line\n"
    "\n"
    "Calls\n"
    "  --call WORDS          call the first modem, as the command \"call\" below\n"
    "  --answer TIFF         what dials with nobody at the other end reaches a fax machine\n"
    "  --once                end after one call; exit code 1 when it failed\n"
    "  --json FILE           a line for each call of the own fax machine, as faxcall gives it\n"
    "  --trace FILE          what modems and hosts say: ms of the line, modem, direction, text\n"
    "  --control             read commands from standard input, until its end; say what happens\n"
    "                        on standard output, an object of JSON a line: {\"event\": \"ring\"},\n"
    "                        …, and for each call its report as faxcall gives it\n"
    "\n"
    "Commands\n"
    "  call WORDS            calls of which one is under way wait for its end. WORDS are "
    "KEY=VALUE\n"
    "                        (%XX stands for any octet):\n"
    "                        file=TIFF ecm=yes|no modems=v17,v29,v27ter compressions=1d,2d,t6\n"
    "                        station= subaddress= number= name= (said as NMBR= and NAME=)\n"
    "                        line=TEXT (said instead, may come again) rings=N (then it gives up)\n"
    "                        forge=KIND (as faxcall does it)\n"
    "                        abort_after_page=N abort_in_page=N sound=none|voice|data (without\n"
    "                        file) hangup_after=MS\n"
    "  hangup                the far end hangs up\n"
    "  drop MS, burst MS     a gap, a burst, now\n"
    "  unplug, plug          pty and symlink vanish, and come again; mode MODE; quit\n";

__attribute__((format(printf, 1, 2), noreturn)) static void complain(const char *format, ...)
{
    va_list arguments;

    fputs("softmodem: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputs(" (softmodem --help says more)\n", stderr);
    exit(2);
}

/* ---- the words of a call -------------------------------------------------------------------- */

static int index_of(const char *text, const char *const *words)
{
    for (int i = 0; words[i] != NULL; i++)
        if (strcmp(text, words[i]) == 0)
            return i;
    return -1;
}

/* "v17,v29" → bits, the first word being bit `first`; 0 when one is unknown. */
static int bits_of(const char *text, const char *const *words, int first)
{
    char word[20];
    int bits = 0;

    while (text_list_next(&text, word, sizeof word)) {
        if (index_of(word, words) < 0)
            return 0;
        bits |= first << index_of(word, words);
    }
    return bits;
}

static bool call_line_add(struct call_options *call, const char *before, const char *text)
{
    if (call->line_count == CALLER_LINES_MAX)
        return false;
    snprintf(call->lines[call->line_count++], FAXCALL_TEXT_MAX, "%s%s", before, text);
    return true;
}

static bool call_word(struct call_options *call, const char *key, const char *value)
{
    static const char *const modems[] = {"v27ter", "v29", "v17", NULL};  /* T30_SUPPORT_V27TER: 1 */
    static const char *const compressions[] = {"1d", "2d", "t6", NULL};  /* …_T4_1D_…: 2 */
    static const char *const sounds[] = {"none", "voice", "data", NULL}; /* enum sound */
    struct options *fax = &call->fax;

    if (strcmp(key, "file") == 0)
        fax->file = value;
    else if (strcmp(key, "ecm") == 0)
        fax->ecm = strcmp(value, "no") != 0;
    else if (strcmp(key, "modems") == 0)
        return (fax->modems = bits_of(value, modems, 1)) != 0;
    else if (strcmp(key, "compressions") == 0)
        return (fax->compressions = bits_of(value, compressions, 2)) != 0;
    else if (strcmp(key, "station") == 0)
        fax->station = value;
    else if (strcmp(key, "subaddress") == 0)
        fax->subaddress = value;
    else if (strcmp(key, "number") == 0) {
        fax->from = value;
        return call_line_add(call, "NMBR=", value);
    } else if (strcmp(key, "name") == 0)
        return call_line_add(call, "NAME=", value);
    else if (strcmp(key, "line") == 0)
        return call_line_add(call, "", value);
    else if (strcmp(key, "forge") == 0 && index_of(value, forge_words) >= 0)
        fax->forge = (enum forge)index_of(value, forge_words);
    else if (strcmp(key, "rings") == 0)
        call->rings = atoi(value);
    else if (strcmp(key, "abort_after_page") == 0)
        fax->abort_after_page = atoi(value);
    else if (strcmp(key, "abort_in_page") == 0)
        fax->abort_in_page = atoi(value);
    else if (strcmp(key, "hangup_after") == 0)
        call->hangup_after_ms = atoi(value);
    else if (strcmp(key, "sound") == 0 && index_of(value, sounds) >= 0)
        call->sound = (enum sound)index_of(value, sounds);
    else
        return false;
    return true;
}

/* %XX → the octet, in place. */
static void decode(char *text)
{
    char *out = text;
    unsigned octet;

    for (; *text != '\0'; text++)
        if (*text == '%' && sscanf(text + 1, "%2x", &octet) == 1 && text[2] != '\0') {
            *out++ = (char)octet;
            text += 2;
        } else {
            *out++ = *text;
        }
    *out = '\0';
}

bool call_options_read(struct call_options *call, char *words)
{
    char *word;

    while ((word = strsep(&words, " ")) != NULL) {
        char *value = strchr(word, '=');

        if (*word == '\0')
            continue;
        if (value != NULL) {
            *value++ = '\0';
            decode(value);
        }
        if (value == NULL || !call_word(call, word, value)) {
            fprintf(stderr, "softmodem: call: \"%s\" is not understood\n", word);
            return false;
        }
    }
    if (call->fax.file != NULL && access(call->fax.file, R_OK) != 0) {
        fprintf(stderr, "softmodem: call: cannot read %s\n", call->fax.file);
        return false;
    }
    return true;
}

/* ---- the command line ----------------------------------------------------------------------- */

enum {
    O_PTY = 1000,
    O_RING_EVERY,
    O_DELAY,
    O_NOISE,
    O_DROP,
    O_BURST,
    O_SEED,
    O_DEAF,
    O_PATIENCE,
    O_LATENCY,
    O_XONXOFF,
    O_MODE_BITS,
    O_MODE,
    O_CALL,
    O_ANSWER,
    O_ONCE,
    O_JSON,
    O_TRACE,
    O_CONTROL,
    O_HELP,
};

static const struct option names[] = {
    {"pty", 1, NULL, O_PTY},
    {"ring-every", 1, NULL, O_RING_EVERY},
    {"delay", 1, NULL, O_DELAY},
    {"noise", 1, NULL, O_NOISE},
    {"drop", 1, NULL, O_DROP},
    {"burst", 1, NULL, O_BURST},
    {"seed", 1, NULL, O_SEED},
    {"deaf", 0, NULL, O_DEAF},
    {"patience", 1, NULL, O_PATIENCE},
    {"latency", 1, NULL, O_LATENCY},
    {"xonxoff", 0, NULL, O_XONXOFF},
    {"mode-bits", 1, NULL, O_MODE_BITS},
    {"mode", 1, NULL, O_MODE},
    {"call", 1, NULL, O_CALL},
    {"answer", 1, NULL, O_ANSWER},
    {"once", 0, NULL, O_ONCE},
    {"json", 1, NULL, O_JSON},
    {"trace", 1, NULL, O_TRACE},
    {"control", 0, NULL, O_CONTROL},
    {"help", 0, NULL, O_HELP},
    {NULL, 0, NULL, 0},
};

int softmodem_mode_of(const char *text)
{
    static const char *const modes[] = {"well", "error", "mute", "garbage", "self", "stuck", NULL};

    return index_of(text, modes); /* enum mode */
}

static int number_of(const char *text, int least, int most)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (end == text || *end != '\0' || value < least || value > most)
        complain("a number from %d to %d is needed, not \"%s\"", least, most, text);
    return (int)value;
}

static void pair_of(const char *text, int *every_ms, int *ms)
{
    if (sscanf(text, "%d,%d", every_ms, ms) != 2 || *every_ms < 1 || *ms < 1)
        complain("EVERY,MS is needed, not \"%s\"", text);
}

static void pty_option(struct softmodem_options *options, const char *path)
{
    if (options->pty[1] != NULL)
        complain("two modems are the most");
    options->pty[options->pty[0] != NULL] = path;
}

static void mode_option(struct softmodem_options *options, const char *text)
{
    int mode = softmodem_mode_of(text);

    if (mode < 0)
        complain("--mode does not know \"%s\"", text);
    options->mode = (enum mode)mode;
}

static bool line_option(struct softmodem_options *options, int option, const char *value)
{
    struct line_options *line = &options->line;

    switch (option) {
    case O_DELAY: line->delay_ms = number_of(value, 0, 2000); return true;
    case O_NOISE: line->noise_dbm0 = number_of(value, -90, -1); return true;
    case O_DROP: pair_of(value, &line->drop_every_ms, &line->drop_ms); return true;
    case O_BURST: pair_of(value, &line->burst_every_ms, &line->burst_ms); return true;
    case O_SEED: line->seed = (unsigned)number_of(value, 0, 1000000000); return true;
    case O_RING_EVERY: options->ring_every_ms = number_of(value, 100, 60000); return true;
    case O_DEAF: options->deaf = true; return true;
    case O_PATIENCE: options->patience_ms = number_of(value, 0, 60000); return true;
    default: return false;
    }
}

static void other_option(struct softmodem_options *options, int option, char *value)
{
    switch (option) {
    case O_PTY: pty_option(options, value); break;
    case O_LATENCY: options->latency_ms = number_of(value, 0, 1000); break;
    case O_XONXOFF: options->xonxoff = true; break;
    case O_MODE_BITS: options->pty_mode = (mode_t)strtol(value, NULL, 8); break;
    case O_MODE: mode_option(options, value); break;
    case O_CALL:
        options->call_now = true;
        if (!call_options_read(&options->call, value))
            exit(2);
        break;
    case O_ANSWER: options->answer_out = value; break;
    case O_ONCE: options->once = true; break;
    case O_JSON: options->json = value; break;
    case O_TRACE: options->trace = value; break;
    case O_CONTROL: options->control = true; break;
    case O_HELP: fputs(help, stdout); exit(0);
    default: complain("bad option");
    }
}

void softmodem_options_read(struct softmodem_options *out, int argc, char **argv)
{
    int option;

    *out = (struct softmodem_options){.pty_mode = 0666,
                                      .ring_every_ms = 6000,
                                      .patience_ms = 300,
                                      .line.seed = 1,
                                      .call = {.fax = {.from = "", .ecm = true}, .rings = 10}};
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1)
        if (!line_option(out, option, optarg))
            other_option(out, option, optarg);
    if (optind < argc)
        complain("\"%s\" belongs to no option", argv[optind]);
    if (out->pty[0] == NULL)
        complain("--pty is needed");
}
