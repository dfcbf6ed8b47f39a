/* SPDX-License-Identifier: MIT */
/*
 * settings_check.c - what one key cannot know of another: checked before anything starts, so that a
 * mistake is told at the desk and not by a caller.
 */
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
#include "fax/modem/modem_models.h"
#include "message/message.h"
#include "policy/route.h"
#include "smtp/dispatch.h"
#include "src/settings.h"

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

static void check_modems(const struct settings *settings, struct check *check)
{
    struct modem_models *models = NULL;

    modem_models_read(&models, settings->file[SETTINGS_MODEMS], count_problem, check);
    modem_models_unref(models);
}

int settings_check(const struct settings *settings, conf_problem_handler *problem, void *user)
{
    struct check check = {settings->file[SETTINGS_FAXPOST], problem, user, 0};
    int before;

    check_gateway(&check);
    settings_check_lines(settings->file[SETTINGS_FAXPOST], count_problem, &check);
    check_mail(&check);
    check_modems(settings, &check);
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
    settings_warn_lines(conf, warning, user);
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
