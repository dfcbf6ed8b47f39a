/* SPDX-License-Identifier: MIT */
/*
 * faxcall_options.c - the command line of faxcall.
 */
#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/text.h"
#include "test/tools/faxcall.h"

static const char help[] =
    "faxcall --to sip:NUMBER@HOST[:PORT] --file TIFF [OPTION...]\n"
    "faxcall --answer --listen IP:PORT --out DIR [OPTION...]\n"
    "faxcall --to sip:NUMBER@HOST[:PORT] --scripts FILE [OPTION...]\n"
    "Sends a TIFF by fax over SIP, or answers fax calls, with the fax machine of spandsp.\n"
    "HOST and IP are literal addresses. An IPv6 address stands in brackets.\n"
    "\n"
    "Calls\n"
    "  --to URI              whom to call, once for each call\n"
    "  --from NUMBER[/NAME]  caller's number and display name (5551000)\n"
    "  --transport udp|tcp   of SIP (udp)\n"
    "  --local-ip IP         own address (the one the system takes for that target)\n"
    "  --calls N             number of calls (1; with --answer 0: for ever)\n"
    "  --rate R              new calls a second, at most (10)\n"
    "  --concurrent N        calls at once, at most (as many as --calls)\n"
    "  --timeout S           a call is ended after so many seconds (600)\n"
    "  --hangup bye|none|silent  after the fax: BYE; wait for the other side's BYE; vanish (bye)\n"
    "  --refresh S           session refresh every S seconds, as session timers do it; the call\n"
    "                        fails when it is refused\n"
    "  --refresh-by invite|update  (invite)\n"
    "  --threads N           media threads (1)\n"
    "\n"
    "Media\n"
    "  --t38 redundancy|fec|none  begin with T.38, with this error correction (redundancy)\n"
    "  --audio alaw|ulaw     begin with G.711\n"
    "  --switch self         then ask for T.38 by re-INVITE (--t38 says with what correction)\n"
    "  --switch peer         then take the other side's re-INVITE to T.38\n"
    "  --switch refuse       then answer it with 488 (this, when --switch is not given)\n"
    "  --switch-after MS     when to ask, counted from the ACK (1000)\n"
    "  --expect t38|audio    a call that ends in other media is a failure\n"
    "  --t38-version 0..3    highest version offered or answered (0)\n"
    "  --entries N           redundancy: earlier packets repeated; FEC: entries (3)\n"
    "\n"
    "Fax\n"
    "  --file TIFF           the pages to send\n"
    "  --ecm | --no-ecm      error correction of T.30 (--ecm)\n"
    "  --modems LIST         of v17,v29,v27ter (all)\n"
    "  --compressions LIST   of 1d,2d,t6 (all)\n"
    "  --station ID          own number in TSI or CSI\n"
    "  --subaddress SUB --sender SID --password PWD\n"
    "\n"
    "A bad network, applied to UDPTL and RTP packets in both directions\n"
    "  --loss P              each packet is lost with probability P, 0 to 1, or P%\n"
    "  --double P            arrives twice\n"
    "  --reorder P           is overtaken by those behind it (held back 35 to 65 ms)\n"
    "  --delay MS            all arrive later\n"
    "  --seed N              of these chances (1)\n"
    "\n"
    "A hostile far end\n"
    "  --forge KIND          frames of the fax machine are changed before they go out: dcs-width,\n"
    "                        dcs-rate, dcs-long, fcd-short, fcd-rows (T.6 of V0 only), pps-short,\n"
    "                        ctc-short, ctc-rate (in place of PPS), eor-short (in place of PPS)\n"
    "  --mutate-ifp P        so many of the IFP packets sent are cut, lengthened, garbled\n"
    "  --mutate-udptl P      the same with UDP packets\n"
    "  --scripts FILE        no fax machine: each call plays a line of FILE by T.38; how they are\n"
    "                        written stands in faxcall_script.c. --calls is the number of lines;\n"
    "                        the caller's number gets that of the call behind it\n"
    "\n"
    "Giving up on purpose; such a call is a success when it came that far\n"
    "  --abort-after-page N  BYE as soon as page N is confirmed\n"
    "  --abort-in-page N     BYE about two thirds into page N\n"
    "  --abort silent        no BYE: the media fall silent and nothing more is said\n"
    "\n"
    "Output\n"
    "  --json FILE|-         one JSON object a line for each call: call, called, caller, ok,\n"
    "                        aborted, pages_in_file, pages_sent, pages_confirmed, pages_received,\n"
    "                        error, seconds, media (t38|audio, at the end), t38, bit_rate, ecm,\n"
    "                        retransmits, trainings, sip (code of the INVITE), far_station,\n"
    "                        mcf_ms (per page: post-message command begun until its MCF was "
    "heard),\n"
    "                        heard (of a script: the final frames)\n"
    "  --sip-trace           SIP messages on standard error\n"
    "\n"
    "Answering: --answer takes every call; pages go to DIR/call-NNNN.tif. --switch, --t38, "
    "--audio,\n"
    "--ecm and the bad network work as above; a first offer with T.38 is taken at once.\n"
    "\n"
    "Exit code: 0 when every call went as asked, 1 when one did not, 2 for a bad command line.\n"
    "SIGINT or SIGTERM ends all calls with BYE.\n";

__attribute__((format(printf, 1, 2), noreturn)) static void complain(const char *format, ...)
{
    va_list arguments;

    fputs("faxcall: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputs(" (faxcall --help says more)\n", stderr);
    exit(2);
}

/* ---- values --------------------------------------------------------------------------------- */

static int number_of(const char *name, const char *text, int least, int most)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (end == text || *end != '\0' || value < least || value > most)
        complain("--%s takes a number from %d to %d, not \"%s\"", name, least, most, text);
    return (int)value;
}

static double chance_of(const char *name, const char *text)
{
    char *end;
    double value = strtod(text, &end);

    if (*end == '%') {
        value /= 100;
        end++;
    }
    if (end == text || *end != '\0' || !(value >= 0 && value <= 1))
        complain("--%s takes a probability from 0 to 1 or a percentage, not \"%s\"", name, text);
    return value;
}

/* The place of text in a list of words. */
static int word_of(const char *name, const char *text, const char *const *words)
{
    for (int i = 0; words[i] != NULL; i++)
        if (strcasecmp(text, words[i]) == 0)
            return i;
    complain("--%s does not know \"%s\"", name, text);
}

/* "v17,v29" → bits, the first word being bit `first`. */
static int words_of(const char *name, const char *text, const char *const *words, int first)
{
    char copy[100], *rest = copy, *word;
    int bits = 0;

    snprintf(copy, sizeof copy, "%s", text);
    while ((word = strsep(&rest, ",")) != NULL)
        bits |= first << word_of(name, word, words);
    return bits;
}

static void from_read(struct options *options, char *text)
{
    char *name = strchr(text, '/');

    if (name != NULL) {
        *name = '\0';
        options->from_name = name + 1;
    }
    options->from = text;
}

/* "192.0.2.1:5060", "[2001:db8::1]:5060" */
static void listen_read(struct options *options, const char *text)
{
    char copy[100], *address = copy, *colon;

    snprintf(copy, sizeof copy, "%s", text);
    colon = strrchr(copy, ':');
    if (colon == NULL)
        complain("--listen takes IP:PORT, not \"%s\"", text);
    *colon = '\0';
    if (address[0] == '[') {
        address++;
        address[strcspn(address, "]")] = '\0';
    }
    if (!address_make(&options->listen, address,
                      (unsigned)number_of("listen", colon + 1, 0, 65535)))
        complain("--listen takes IP:PORT, not \"%s\"", text);
    if (options->local_ip[0] == '\0')
        text_copy(options->local_ip, sizeof options->local_ip, address);
}

/* The address that the system would use towards HOST of sip:NUMBER@HOST:PORT. */
static void local_ip_find(struct options *options, const char *uri)
{
    char host[200];
    const char *begin = strchr(uri, '@');
    struct sockaddr_storage address, local;
    socklen_t size = sizeof local;
    int fd;

    if (strncmp(uri, "sip:", 4) != 0 || begin == NULL)
        complain("--to takes sip:NUMBER@HOST:PORT, not \"%s\"", uri);
    begin++;
    if (*begin == '[')
        snprintf(host, sizeof host, "%.*s", (int)strcspn(begin + 1, "]"), begin + 1);
    else
        snprintf(host, sizeof host, "%.*s", (int)strcspn(begin, ":;"), begin);
    if (!address_make(&address, host, 9))
        complain("--to needs a literal address, not \"%s\"", host);
    fd = socket(address.ss_family, SOCK_DGRAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, address_size(&address)) != 0 ||
        getsockname(fd, (struct sockaddr *)&local, &size) != 0 ||
        getnameinfo((struct sockaddr *)&local, size, options->local_ip, sizeof options->local_ip,
                    NULL, 0, NI_NUMERICHOST) != 0)
        complain("there is no way to %s; --local-ip helps", host);
    close(fd);
}

/* ---- the line ------------------------------------------------------------------------------- */

enum {
    O_TO = 1000,
    O_FROM,
    O_TRANSPORT,
    O_LOCAL_IP,
    O_CALLS,
    O_RATE,
    O_CONCURRENT,
    O_TIMEOUT,
    O_HANGUP,
    O_THREADS,
    O_REFRESH,
    O_REFRESH_BY,
    O_T38,
    O_AUDIO,
    O_SWITCH,
    O_SWITCH_AFTER,
    O_EXPECT,
    O_VERSION,
    O_ENTRIES,
    O_FILE,
    O_ECM,
    O_NO_ECM,
    O_MODEMS,
    O_COMPRESSIONS,
    O_STATION,
    O_SUBADDRESS,
    O_SENDER,
    O_PASSWORD,
    O_LOSS,
    O_DOUBLE,
    O_REORDER,
    O_DELAY,
    O_SEED,
    O_FORGE,
    O_MUTATE_IFP,
    O_MUTATE_UDPTL,
    O_SCRIPTS,
    O_ABORT_AFTER,
    O_ABORT_IN,
    O_ABORT,
    O_JSON,
    O_SIP_TRACE,
    O_ANSWER,
    O_LISTEN,
    O_OUT,
    O_HELP,
};

static const struct option names[] = {
    {"to", 1, NULL, O_TO},
    {"from", 1, NULL, O_FROM},
    {"transport", 1, NULL, O_TRANSPORT},
    {"local-ip", 1, NULL, O_LOCAL_IP},
    {"calls", 1, NULL, O_CALLS},
    {"rate", 1, NULL, O_RATE},
    {"concurrent", 1, NULL, O_CONCURRENT},
    {"timeout", 1, NULL, O_TIMEOUT},
    {"hangup", 1, NULL, O_HANGUP},
    {"threads", 1, NULL, O_THREADS},
    {"refresh", 1, NULL, O_REFRESH},
    {"refresh-by", 1, NULL, O_REFRESH_BY},
    {"t38", 1, NULL, O_T38},
    {"audio", 1, NULL, O_AUDIO},
    {"switch", 1, NULL, O_SWITCH},
    {"switch-after", 1, NULL, O_SWITCH_AFTER},
    {"expect", 1, NULL, O_EXPECT},
    {"t38-version", 1, NULL, O_VERSION},
    {"entries", 1, NULL, O_ENTRIES},
    {"file", 1, NULL, O_FILE},
    {"ecm", 0, NULL, O_ECM},
    {"no-ecm", 0, NULL, O_NO_ECM},
    {"modems", 1, NULL, O_MODEMS},
    {"compressions", 1, NULL, O_COMPRESSIONS},
    {"station", 1, NULL, O_STATION},
    {"subaddress", 1, NULL, O_SUBADDRESS},
    {"sender", 1, NULL, O_SENDER},
    {"password", 1, NULL, O_PASSWORD},
    {"loss", 1, NULL, O_LOSS},
    {"double", 1, NULL, O_DOUBLE},
    {"reorder", 1, NULL, O_REORDER},
    {"delay", 1, NULL, O_DELAY},
    {"seed", 1, NULL, O_SEED},
    {"forge", 1, NULL, O_FORGE},
    {"mutate-ifp", 1, NULL, O_MUTATE_IFP},
    {"mutate-udptl", 1, NULL, O_MUTATE_UDPTL},
    {"scripts", 1, NULL, O_SCRIPTS},
    {"abort-after-page", 1, NULL, O_ABORT_AFTER},
    {"abort-in-page", 1, NULL, O_ABORT_IN},
    {"abort", 1, NULL, O_ABORT},
    {"json", 1, NULL, O_JSON},
    {"sip-trace", 0, NULL, O_SIP_TRACE},
    {"answer", 0, NULL, O_ANSWER},
    {"listen", 1, NULL, O_LISTEN},
    {"out", 1, NULL, O_OUT},
    {"help", 0, NULL, O_HELP},
    {NULL, 0, NULL, 0},
};

static const char *const transports[] = {"udp", "tcp", NULL};
static const char *const hangups[] = {"bye", "none", "silent", NULL};
static const char *const refreshes[] = {"invite", "update", NULL};
static const char *const corrections[] = {"none", "redundancy", "fec", NULL};
static const char *const laws[] = {"ulaw", "alaw", NULL};
static const char *const switchings[] = {"refuse", "peer", "self", NULL};
static const char *const kinds[] = {"audio", "t38", NULL};
static const char *const modems[] = {"v27ter", "v29", "v17", NULL}; /* T30_SUPPORT_V27TER: 1 */
static const char *const compressions[] = {"1d", "2d", "t6", NULL}; /* …_T4_1D_COMPRESSION: 2 */
static const char *const aborts[] = {"silent", NULL};

static bool call_option(struct options *options, int option, const char *name, char *value)
{
    switch (option) {
    case O_TO: options->to = value; return true;
    case O_FROM: from_read(options, value); return true;
    case O_TRANSPORT: options->tcp = word_of(name, value, transports) == 1; return true;
    case O_LOCAL_IP: text_copy(options->local_ip, sizeof options->local_ip, value); return true;
    case O_CALLS: options->calls = number_of(name, value, 0, 1000000); return true;
    case O_RATE: options->rate = strtod(value, NULL); return true;
    case O_CONCURRENT: options->concurrent = number_of(name, value, 1, 10000); return true;
    case O_TIMEOUT: options->timeout_s = number_of(name, value, 1, 86400); return true;
    case O_HANGUP: options->hangup = (enum hangup)word_of(name, value, hangups); return true;
    case O_THREADS: options->threads = number_of(name, value, 1, 64); return true;
    case O_REFRESH: options->refresh_ms = number_of(name, value, 1, 86400) * 1000; return true;
    case O_REFRESH_BY:
        options->refresh_by_update = word_of(name, value, refreshes) == 1;
        return true;
    case O_ABORT_AFTER: options->abort_after_page = number_of(name, value, 1, 1000); return true;
    case O_ABORT_IN: options->abort_in_page = number_of(name, value, 1, 1000); return true;
    case O_ABORT: options->abort_silent = word_of(name, value, aborts) == 0; return true;
    case O_JSON: options->json = value; return true;
    case O_SIP_TRACE: options->sip_trace = true; return true;
    case O_ANSWER: options->answer = true; return true;
    case O_LISTEN: listen_read(options, value); return true;
    case O_OUT: options->out = value; return true;
    default: return false;
    }
}

static bool media_option(struct options *options, int option, const char *name, char *value)
{
    switch (option) {
    case O_T38:
        options->correction = (enum udptl_correction)word_of(name, value, corrections);
        return true;
    case O_AUDIO:
        options->law = word_of(name, value, laws) == 1 ? RTP_PCMA : RTP_PCMU;
        options->start = KIND_AUDIO;
        return true;
    case O_SWITCH:
        options->switching = (enum switching)word_of(name, value, switchings);
        return true;
    case O_SWITCH_AFTER: options->switch_after_ms = number_of(name, value, 0, 600000); return true;
    case O_EXPECT: options->expect = word_of(name, value, kinds); return true;
    case O_VERSION: options->t38_version = number_of(name, value, 0, 3); return true;
    case O_ENTRIES: options->entries = number_of(name, value, 0, UDPTL_ENTRIES_MAX); return true;
    case O_LOSS: options->wire.loss = chance_of(name, value); return true;
    case O_DOUBLE: options->wire.twice = chance_of(name, value); return true;
    case O_REORDER: options->wire.reorder = chance_of(name, value); return true;
    case O_DELAY: options->wire.delay_ms = number_of(name, value, 0, 10000); return true;
    case O_SEED: options->seed = (unsigned)number_of(name, value, 0, 2000000000); return true;
    default: return false;
    }
}

static void fax_option(struct options *options, int option, const char *name, char *value)
{
    switch (option) {
    case O_FILE: options->file = value; break;
    case O_ECM: options->ecm = true; break;
    case O_NO_ECM: options->ecm = false; break;
    case O_MODEMS: options->modems = words_of(name, value, modems, 1); break;
    case O_COMPRESSIONS: options->compressions = words_of(name, value, compressions, 2); break;
    case O_STATION: options->station = value; break;
    case O_SUBADDRESS: options->subaddress = value; break;
    case O_SENDER: options->sender = value; break;
    case O_PASSWORD: options->password = value; break;
    case O_FORGE: options->forge = (enum forge)word_of(name, value, forge_words); break;
    case O_MUTATE_IFP: options->mutate_ifp = chance_of(name, value); break;
    case O_MUTATE_UDPTL: options->mutate_udptl = chance_of(name, value); break;
    case O_SCRIPTS: options->scripts = value; break;
    case O_HELP: fputs(help, stdout); exit(0);
    default: complain("bad option");
    }
}

static void options_check(struct options *options)
{
    if (options->scripts != NULL && !scripts_load(options->scripts))
        complain("--scripts: no scripts in %s", options->scripts);
    if (options->calls < 0 && options->scripts != NULL)
        options->calls = scripts_count();
    if (options->calls < 0)
        options->calls = options->answer ? 0 : 1;
    if (options->concurrent == 0)
        options->concurrent = options->calls;
    if (!(options->rate > 0 && options->rate <= 1000))
        complain("--rate takes a number above 0, at most 1000");
    if (options->answer) {
        if (options->listen.ss_family == 0 || options->out == NULL)
            complain("--answer needs --listen and --out");
        if (access(options->out, W_OK) != 0)
            complain("--out: no folder to write to: %s", options->out);
        return;
    }
    if (options->to == NULL || (options->file == NULL && options->scripts == NULL))
        complain("--to and --file are needed");
    if (options->scripts != NULL && options->start != KIND_T38)
        complain("--scripts are played by T.38");
    if (options->file == NULL)
        options->file = "";
    else if (access(options->file, R_OK) != 0)
        complain("--file cannot be read: %s", options->file);
    if (options->calls == 0)
        complain("--calls 0 is for --answer");
    if (options->local_ip[0] == '\0')
        local_ip_find(options, options->to);
}

void options_read(struct options *out, int argc, char **argv)
{
    int option, which = 0;

    *out = (struct options){.from = "5551000",
                            .calls = -1,
                            .threads = 1,
                            .timeout_s = 600,
                            .rate = 10,
                            .start = KIND_T38,
                            .law = RTP_PCMA,
                            .correction = UDPTL_REDUNDANCY,
                            .entries = 3,
                            .switch_after_ms = 1000,
                            .expect = -1,
                            .ecm = true,
                            .seed = 1};
    while ((option = getopt_long(argc, argv, "", names, &which)) != -1) {
        const char *name = option >= O_TO ? names[which].name : "";

        if (!call_option(out, option, name, optarg) && !media_option(out, option, name, optarg))
            fax_option(out, option, name, optarg);
    }
    if (optind < argc)
        complain("\"%s\" belongs to no option", argv[optind]);
    options_check(out);
}
