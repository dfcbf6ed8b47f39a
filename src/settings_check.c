/* SPDX-License-Identifier: MIT */
/*
 * settings_check.c - what one key cannot know of another: checked before anything starts, so that a
 * mistake is told at the desk and not by a caller.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "message/message.h"
#include "policy/route.h"
#include "smtp/dispatch.h"
#include "src/settings.h"

enum { STATION_MAX = 20 }; /* T.30 5.3.6.2.4 */

#define CONTROL_SOCKET "/control.sock"

struct check {
    const struct conf *conf; /* faxpost.ini */
    conf_problem_handler *problem;
    void *user;
    int problems;
};

static void problem_at(struct check *check, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void problem_at(struct check *check, int line, const char *format, ...)
{
    char what[600];
    va_list ap;

    check->problems++;
    if (check->problem == NULL)
        return;
    va_start(ap, format);
    vsnprintf(what, sizeof what, format, ap);
    va_end(ap);
    check->problem(check->user, conf_file(check->conf), line, what);
}

static bool host_is_valid(const char *text)
{
    size_t i;

    for (i = 0; text[i] != '\0'; i++)
        if (i >= 253 || (!isalnum((unsigned char)text[i]) && strchr(".-[]:", text[i]) == NULL))
            return false;
    return i > 0;
}

static void check_gateway(struct check *check)
{
    const struct conf *conf = check->conf;
    const char *hostname = conf_text(conf, "gateway", NULL, "hostname");
    const char *user = conf_text(conf, "gateway", NULL, "user");
    const char *run_dir = conf_text(conf, "gateway", NULL, "run_dir");
    struct sockaddr_un address;

    if (hostname != NULL && !host_is_valid(hostname))
        problem_at(check, conf_line(conf, "gateway", NULL, "hostname"),
                   "hostname = %s is no host name: write e.g. fax.example.com",
                   LOG_ESCAPED(hostname));
    if (geteuid() == 0 && user != NULL && user[0] != '\0' && getpwnam(user) == NULL)
        problem_at(check, conf_line(conf, "gateway", NULL, "user"),
                   "user = %s: there is no such account: make it (useradd --system), or name "
                   "another",
                   LOG_ESCAPED(user));
    if (strlen(run_dir) + sizeof CONTROL_SOCKET > sizeof address.sun_path)
        problem_at(check, conf_line(conf, "gateway", NULL, "run_dir"),
                   "run_dir is too long for a socket in it: at most %zu characters, it has %zu",
                   sizeof address.sun_path - sizeof CONTROL_SOCKET, strlen(run_dir));
    if (strlen(conf_text(conf, "gateway", NULL, "state_dir")) > SPOOL_PATH_MAX - 120)
        problem_at(check, conf_line(conf, "gateway", NULL, "state_dir"),
                   "state_dir is too long: at most %d characters", SPOOL_PATH_MAX - 120);
}

/* T.30 5.3.6.2.4, table 3: digits, plus and space. */
static void check_station(struct check *check, const char *name)
{
    const char *station = conf_text(check->conf, "line", name, "station");
    int line = conf_line(check->conf, "line", name, "station");

    if (station == NULL)
        return;
    if (strlen(station) > STATION_MAX)
        problem_at(check, line, "[line %s] station is too long: at most %d characters", name,
                   STATION_MAX);
    if (station[strspn(station, "0123456789+ ")] != '\0')
        problem_at(check, line,
                   "[line %s] station = %s: T.30 knows only digits, '+' and space here", name,
                   LOG_ESCAPED(station));
}

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
        if (strcmp(listen, conf_text(conf, "line", before, "listen")) == 0 &&
            strcmp(strrchr(listen, ':'), ":0") != 0 && share_transport(conf, name, before))
            problem_at(check, conf_line(conf, "line", name, "listen"),
                       "[line %s] listens on %s as [line %s] does: give it another port", name,
                       listen, before);
    }
}

static void check_lines(struct check *check)
{
    const struct conf *conf = check->conf;
    const char *name;
    size_t i;

    for (i = 0; (name = conf_section_name(conf, "line", i)) != NULL; i++) {
        const char *address = conf_text(conf, "line", name, "media_address");
        const char *ports = conf_text(conf, "line", name, "media_ports");
        unsigned char octets[16];
        int low = 0;
        int high = 0;

        check_station(check, name);
        check_listen(check, i);
        if (address != NULL && inet_pton(AF_INET, address, octets) != 1 &&
            inet_pton(AF_INET6, address, octets) != 1)
            problem_at(check, conf_line(conf, "line", name, "media_address"),
                       "[line %s] media_address = %s is no IP address: write e.g. 192.0.2.1", name,
                       LOG_ESCAPED(address));
        if (sscanf(ports, "%d-%d", &low, &high) != 2 || high - low < 3)
            problem_at(check, conf_line(conf, "line", name, "media_ports"),
                       "[line %s] media_ports = %s are too few: give it at least 4", name, ports);
    }
}

static void check_template(struct check *check, const char *key, enum template_use use)
{
    const char *text = conf_text(check->conf, "mail", NULL, key);
    char why[400] = "";

    if (text != NULL && template_check(text, use, why, sizeof why) < 0)
        problem_at(check, conf_line(check->conf, "mail", NULL, key), "[mail] %s: %s", key, why);
}

static void check_mail(struct check *check)
{
    const struct conf *conf = check->conf;
    const char *from = conf_text(conf, "mail", NULL, "envelope_from");
    const char *hello = conf_text(conf, "mail", NULL, "hello");

    check_template(check, "from", TEMPLATE_FROM);
    check_template(check, "subject", TEMPLATE_SUBJECT);
    check_template(check, "file_name", TEMPLATE_FILE_NAME);
    if (from != NULL && !route_address_is_valid(from))
        problem_at(check, conf_line(conf, "mail", NULL, "envelope_from"),
                   "envelope_from = %s is no mail address: write e.g. fax@example.com",
                   LOG_ESCAPED(from));
    if (hello != NULL && !host_is_valid(hello))
        problem_at(check, conf_line(conf, "mail", NULL, "hello"),
                   "hello = %s is no host name: write e.g. fax.example.com", LOG_ESCAPED(hello));
    if (conf_number(conf, "retry", NULL, "wait_max") < conf_number(conf, "retry", NULL, "wait"))
        problem_at(check, conf_line(conf, "retry", NULL, "wait_max"),
                   "[retry] wait_max is less than wait: make it at least as long");
}

static void count_problem(void *user, const char *file, int line, const char *what)
{
    struct check *check = user;

    check->problems++;
    if (check->problem != NULL)
        check->problem(check->user, file, line, what);
}

int settings_check(const struct settings *settings, conf_problem_handler *problem, void *user)
{
    struct check check = {settings->file[SETTINGS_FAXPOST], problem, user, 0};
    int before;

    check_gateway(&check);
    check_lines(&check);
    check_mail(&check);
    before = check.problems;
    if (dispatch_check(settings->file[SETTINGS_FAXPOST], settings->file[SETTINGS_SERVERS],
                       settings->file[SETTINGS_BYPASS], count_problem, &check) < 0 &&
        check.problems == before)
        problem_at(&check, 0, "routes, servers or bypass table cannot be used");
    return check.problems;
}

void settings_warn(const struct settings *settings, conf_problem_handler *warning, void *user)
{
    struct check check = {settings->file[SETTINGS_FAXPOST], warning, user, 0};
    const struct conf *conf = check.conf;
    const char *account = conf_text(conf, "gateway", NULL, "user");

    if (conf_section_name(conf, "line", 0) == NULL)
        problem_at(&check, 0, "no [line NAME]: no calls will be taken");
    if (conf_line(conf, "gateway", NULL, "operator") == 0)
        problem_at(&check, 0,
                   "[gateway] operator is not set: reports, and faxes that no route matches, go to "
                   "%s",
                   conf_text(conf, "gateway", NULL, "operator"));
    if (geteuid() == 0 && (account == NULL || account[0] == '\0'))
        problem_at(&check, 0,
                   "started by root without [gateway] user: the roles stay root, without "
                   "capabilities; name an account for them");
}
