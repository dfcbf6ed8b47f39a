/* SPDX-License-Identifier: MIT */
/*
 * settings_check_lines.c - [line NAME]: which keys go with which type, and what two lines cannot
 * share.
 */
#include <arpa/inet.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/log.h"
#include "base/text.h"
#include "fax/callers.h"
#include "fax/modem/modem_models.h"
#include "fax/modem/serial.h"
#include "src/settings.h"

enum { STATION_MAX = 20 }; /* T.30 5.3.6.2.4 */

enum line_type { LINE_SIP, LINE_MODEM }; /* in the order of the choices of type */

struct check {
    const struct conf *conf; /* faxpost.ini */
    conf_problem_handler *problem;
    void *user;
    int problems;
};

/* About a key of a line: what begins with "[line NAME] ". */
static void problem_at(struct check *check, const char *name, const char *key, const char *format,
                       ...) __attribute__((format(printf, 4, 5)));

static void problem_at(struct check *check, const char *name, const char *key, const char *format,
                       ...)
{
    char what[600];
    size_t used;
    va_list ap;

    check->problems++;
    if (check->problem == NULL)
        return;
    used = (size_t)snprintf(what, sizeof what, "[line %s] ", name);
    va_start(ap, format);
    vsnprintf(what + used, sizeof what - used, format, ap);
    va_end(ap);
    check->problem(check->user, conf_file(check->conf), conf_line(check->conf, "line", name, key),
                   what);
}

static enum line_type type_of(const struct check *check, const char *name)
{
    return (enum line_type)conf_choice(check->conf, "line", name, "type");
}

/* ---- all ------------------------------------------------------------------------------------ */

/* T.30 5.3.6.2.4, table 3: digits, plus and space. */
static void check_station(struct check *check, const char *name)
{
    const char *station = conf_text(check->conf, "line", name, "station");

    if (station == NULL)
        return;
    if (strlen(station) > STATION_MAX)
        problem_at(check, name, "station", "station is too long: at most %d characters",
                   STATION_MAX);
    if (station[strspn(station, "0123456789+ ")] != '\0')
        problem_at(check, name, "station",
                   "station = %s: T.30 knows only digits, '+' and space here",
                   LOG_ESCAPED(station));
}

static const char *fallback_of(const char *key)
{
    const struct conf_key *k;

    for (k = conf_keys_faxpost; k->section != NULL; k++)
        if (strcmp(k->section, "line") == 0 && strcmp(k->key, key) == 0)
            return k->fallback;
    return NULL;
}

/* A key of the other type does nothing, so it was not meant like this. One that only says what is
 * the default anyway stands in every dump (-T), and is let pass. */
static void check_type(struct check *check, const char *name)
{
    static const struct {
        const char *key;
        enum line_type type;
    } keys[] = {
        {"listen", LINE_SIP},      {"transport", LINE_SIP},   {"media_address", LINE_SIP},
        {"media_ports", LINE_SIP}, {"t38", LINE_SIP},         {"peers", LINE_SIP},
        {"max_calls", LINE_SIP},   {"device", LINE_MODEM},    {"speed", LINE_MODEM},
        {"flow", LINE_MODEM},      {"init", LINE_MODEM},      {"rings", LINE_MODEM},
        {"class", LINE_MODEM},     {"caller_id", LINE_MODEM}, {"called", LINE_MODEM},
    };
    enum line_type type = type_of(check, name);
    size_t i;

    for (i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const char *fallback = fallback_of(keys[i].key);

        if (keys[i].type == type || conf_line(check->conf, "line", name, keys[i].key) == 0)
            continue;
        if (fallback != NULL &&
            strcmp(fallback, conf_text(check->conf, "line", name, keys[i].key)) == 0)
            continue;
        problem_at(check, name, keys[i].key,
                   "%s is for type = %s, this line has type = %s: take it out, or change the type",
                   keys[i].key, keys[i].type == LINE_SIP ? "sip" : "modem",
                   type == LINE_SIP ? "sip" : "modem");
    }
}

static void check_callers(struct check *check, const char *name, const char *key)
{
    const char *text = conf_text(check->conf, "line", name, key);
    struct caller_list list;

    if (caller_list_parse(&list, text) != 0) {
        problem_at(check, name, key,
                   "%s = %s is no list of networks and numbers: write e.g. 192.0.2.0/24, +1555*",
                   key, LOG_ESCAPED(text));
        return;
    }
    if (type_of(check, name) == LINE_MODEM && list.networks.count > 0)
        problem_at(check, name, key,
                   "%s = %s has a network, and a modem knows only numbers: write e.g. +1555*", key,
                   LOG_ESCAPED(text));
    caller_list_free(&list);
}

/* ---- type = sip ----------------------------------------------------------------------------- */

static bool share_transport(const struct conf *conf, const char *a, const char *b)
{
    char one[8];
    char two[8];
    const char *rest = conf_text(conf, "line", a, "transport");

    while (text_list_next(&rest, one, sizeof one)) {
        const char *other = conf_text(conf, "line", b, "transport");

        while (text_list_next(&other, two, sizeof two))
            if (strcmp(one, two) == 0)
                return true;
    }
    return false;
}

static void check_listen(struct check *check, size_t i)
{
    const struct conf *conf = check->conf;
    const char *name = conf_section_name(conf, "line", i);
    const char *listen = conf_text(conf, "line", name, "listen");
    const char *before;
    size_t j;

    for (j = 0; j < i; j++) {
        before = conf_section_name(conf, "line", j);
        if (type_of(check, before) == LINE_SIP &&
            strcmp(listen, conf_text(conf, "line", before, "listen")) == 0 &&
            strcmp(strrchr(listen, ':'), ":0") != 0 && share_transport(conf, name, before))
            problem_at(check, name, "listen",
                       "listens on %s as [line %s] does: give it another port", listen, before);
    }
}

static void check_sip(struct check *check, size_t i)
{
    const struct conf *conf = check->conf;
    const char *name = conf_section_name(conf, "line", i);
    const char *address = conf_text(conf, "line", name, "media_address");
    const char *ports = conf_text(conf, "line", name, "media_ports");
    unsigned char octets[16];
    int low = 0;
    int high = 0;

    check_listen(check, i);
    if (address != NULL && inet_pton(AF_INET, address, octets) != 1 &&
        inet_pton(AF_INET6, address, octets) != 1)
        problem_at(check, name, "media_address",
                   "media_address = %s is no IP address: write e.g. 192.0.2.1",
                   LOG_ESCAPED(address));
    if (sscanf(ports, "%d-%d", &low, &high) != 2 || high - low < 3)
        problem_at(check, name, "media_ports", "media_ports = %s are too few: give it at least 4",
                   ports);
}

/* ---- type = modem --------------------------------------------------------------------------- */

/* A port has several names. */
static bool same_device(const char *a, const char *b)
{
    char one[PATH_MAX];
    char two[PATH_MAX];

    if (realpath(a, one) == NULL || realpath(b, two) == NULL)
        return strcmp(a, b) == 0;
    return strcmp(one, two) == 0;
}

static void check_device(struct check *check, size_t i)
{
    const struct conf *conf = check->conf;
    const char *name = conf_section_name(conf, "line", i);
    const char *device = conf_text(conf, "line", name, "device");
    size_t j;

    if (device == NULL) {
        problem_at(check, name, "type",
                   "has no device: add a line 'device = …' with the port of its modem, as "
                   "/dev/ttyACM0");
        return;
    }
    for (j = 0; j < i; j++) {
        const char *before = conf_section_name(conf, "line", j);
        const char *other = conf_text(conf, "line", before, "device");

        if (type_of(check, before) == LINE_MODEM && other != NULL && same_device(device, other))
            problem_at(check, name, "device",
                       "device = %s is that of [line %s] too: a modem has one line",
                       LOG_ESCAPED(device), before);
    }
}

static void check_commands(struct check *check, const char *name, const char *key)
{
    const char *list = conf_text(check->conf, "line", name, key);
    const char *fault = list != NULL ? modem_commands_fault(list) : NULL;

    if (fault != NULL)
        problem_at(check, name, key, "%s %s", key, fault);
}

/* Lists of numbers on a line that never gets to know one. */
static void check_is_told(struct check *check, const char *name, const char *key)
{
    const char *caller_id = conf_text(check->conf, "line", name, "caller_id");

    if (conf_text(check->conf, "line", name, key) != NULL && caller_id != NULL &&
        strcmp(caller_id, "none") == 0)
        problem_at(check, name, key,
                   "%s needs the numbers of callers, and caller_id = none: take one of them out",
                   key);
}

static void check_modem(struct check *check, size_t i)
{
    const char *name = conf_section_name(check->conf, "line", i);
    const char *called = conf_text(check->conf, "line", name, "called");
    int64_t speed = conf_number(check->conf, "line", name, "speed");

    check_device(check, i);
    check_commands(check, name, "init");
    check_commands(check, name, "caller_id");
    if (!serial_speed_is_valid(speed))
        problem_at(check, name, "speed",
                   "speed = %lld is none that ports have: write 115200, 57600, 38400 or 19200",
                   (long long)speed);
    check_is_told(check, name, "allow");
    check_is_told(check, name, "deny");
    if (called != NULL && strlen(called) >= 64)
        problem_at(check, name, "called", "called is too long: at most 63 characters");
}

int settings_check_lines(const struct conf *faxpost, conf_problem_handler *problem, void *user)
{
    struct check check = {faxpost, problem, user, 0};
    const char *name;
    size_t i;

    for (i = 0; (name = conf_section_name(faxpost, "line", i)) != NULL; i++) {
        check_station(&check, name);
        check_type(&check, name);
        check_callers(&check, name, "allow");
        check_callers(&check, name, "deny");
        if (type_of(&check, name) == LINE_SIP)
            check_sip(&check, i);
        else
            check_modem(&check, i);
    }
    return check.problems;
}

void settings_warn_lines(const struct conf *faxpost, conf_problem_handler *warning, void *user)
{
    struct check check = {faxpost, warning, user, 0};
    char present[SERIAL_WHY_MAX / 2];
    const char *name;
    size_t i;

    for (i = 0; (name = conf_section_name(faxpost, "line", i)) != NULL; i++) {
        const char *device = conf_text(faxpost, "line", name, "device");

        if (type_of(&check, name) != LINE_MODEM || device == NULL || access(device, F_OK) == 0)
            continue;
        serial_present(present, sizeof present);
        problem_at(&check, name, "device",
                   "device = %s is not there now: is the modem plugged in? Present are: %s",
                   LOG_ESCAPED(device), present);
    }
}
