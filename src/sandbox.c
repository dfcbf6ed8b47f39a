/* SPDX-License-Identifier: MIT */
/*
 * sandbox.c - what each role is left with.
 *
 *   receive  STATE/incoming; sockets of the Internet; no programs, no other processes
 *   compose  STATE/fax; no sockets but those it was given; no programs, no other processes
 *   deliver  STATE and RUN_DIR; reads the system's files and what servers.ini names; connects, does
 *            not listen; programs only where the settings name some
 *
 * Programs that deliver starts inherit its sandbox. What they need cannot be known, so with them
 * the rules are others: all may be read and run, and calls are forbidden by name, not allowed by
 * name.
 */
#include "src/sandbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "src/privilege.h"

/* ---- plans ---------------------------------------------------------------------------------- */

static int plan_add(struct sandbox_plan *plan, enum sandbox_right right, bool of_file,
                    const char *format, const char *path)
{
    struct sandbox_path *more = realloc(plan->paths, (plan->count + 1) * sizeof plan->paths[0]);
    char *text = NULL;

    if (more == NULL)
        return ERROR_MEMORY;
    plan->paths = more;
    if (asprintf(&text, format, path) < 0)
        return ERROR_MEMORY;
    plan->paths[plan->count++] = (struct sandbox_path){text, right, of_file};
    return 0;
}

/* A list that ends with NULL. */
static int plan_add_all(struct sandbox_plan *plan, enum sandbox_right right,
                        const char *const paths[])
{
    int error = 0;
    size_t i;

    for (i = 0; paths[i] != NULL && error == 0; i++)
        error = plan_add(plan, right, false, "%s", paths[i]);
    return error;
}

/* The time of day, chance (GMime's boundaries are all alike without it), what OpenSSL is to be
 * like, and how many processors there are. */
static const char *const everybody_reads[] = {
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/dev/urandom",
    "/dev/random",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/openssl.cnf",
    "/sys/devices/system/cpu",
    NULL,
};

/* Files of the resolver are read once, when the role starts. */
static const char *const receive_reads[] = {"/etc/resolv.conf", "/etc/host.conf", NULL};

/* Character sets (gconv) and locales. */
static const char *const compose_reads[] = {
    "/usr/lib",        "/lib", "/lib64", "/usr/lib64", "/usr/libexec", "/usr/share/locale",
    "/usr/share/i18n", NULL};

/* The resolver's plug-ins with what they read, certificates. */
static const char *const deliver_reads[] = {
    "/etc",
    "/usr",
    "/lib",
    "/lib64",
    "/run/systemd/resolve",
    "/run/NetworkManager",
    "/run/resolvconf",
    "/run/nscd",
    "/var/lib/sss",
    "/var/lib/ca-certificates",
    NULL,
};

static const char *const deliver_devices[] = {"/dev/null", NULL};

/* For programs that are started: what most of them expect to be able to write. */
static const char *const program_writes[] = {"/tmp", "/var/tmp", NULL};
static const char *const program_devices[] = {"/dev/zero", "/dev/full", "/dev/tty", NULL};

static bool has_text(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* STATE, and what in it may be a link to another disk. */
static int plan_state(struct sandbox_plan *plan, const char *state)
{
    static const char *const parts[] = {"%s/fax", "%s/mail", "%s/mailbox"};
    int error = plan_add(plan, SANDBOX_WRITE, false, "%s", state);
    size_t i;

    for (i = 0; error == 0 && i < sizeof parts / sizeof parts[0]; i++)
        error = plan_add(plan, SANDBOX_WRITE_THERE, false, parts[i], state);
    return error;
}

/* What servers.ini names. */
static int plan_servers(struct sandbox_plan *plan, const struct conf *servers)
{
    static const char *const files[] = {"password_file", "token_file", "ca_file"};
    const char *name;
    int error = 0;
    size_t i;
    size_t k;

    for (i = 0; error == 0 && (name = conf_section_name(servers, "server", i)) != NULL; i++) {
        if (has_text(conf_text(servers, "server", name, "token_command")))
            plan->programs = true;
        for (k = 0; error == 0 && k < sizeof files / sizeof files[0]; k++) {
            const char *path = conf_text(servers, "server", name, files[k]);

            if (has_text(path))
                error = plan_add(plan, SANDBOX_READ, true, "%s", path);
        }
    }
    return error;
}

static int plan_deliver(struct sandbox_plan *plan, const struct settings *settings)
{
    static const char *const variables[] = {"SSL_CERT_FILE", "SSL_CERT_DIR"}; /* of OpenSSL */
    const struct conf *conf = settings->file[SETTINGS_FAXPOST];
    int error = plan_state(plan, conf_text(conf, "gateway", NULL, "state_dir"));
    size_t i;

    plan->programs = has_text(conf_text(conf, "gateway", NULL, "alarm_command"));
    if (error == 0)
        error =
            plan_add(plan, SANDBOX_WRITE, false, "%s", conf_text(conf, "gateway", NULL, "run_dir"));
    if (error == 0)
        error = plan_add_all(plan, SANDBOX_READ, deliver_reads);
    if (error == 0)
        error = plan_add_all(plan, SANDBOX_DEVICE, deliver_devices);
    for (i = 0; error == 0 && i < sizeof variables / sizeof variables[0]; i++)
        if (has_text(getenv(variables[i])))
            error = plan_add(plan, SANDBOX_READ, i == 0, "%s", getenv(variables[i]));
    if (error == 0 && settings->file[SETTINGS_SERVERS] != NULL)
        error = plan_servers(plan, settings->file[SETTINGS_SERVERS]);
    if (error < 0 || !plan->programs)
        return error;
    error = plan_add(plan, SANDBOX_RUN, false, "%s", "/");
    if (error == 0)
        error = plan_add_all(plan, SANDBOX_WRITE, program_writes);
    return error == 0 ? plan_add_all(plan, SANDBOX_DEVICE, program_devices) : error;
}

static int plan_fill(struct sandbox_plan *plan, const struct settings *settings)
{
    const char *state = conf_text(settings->file[SETTINGS_FAXPOST], "gateway", NULL, "state_dir");
    int error = plan_add_all(plan, SANDBOX_READ, everybody_reads);

    if (error < 0)
        return error;
    switch (plan->role) {
    case ROLE_RECEIVE:
        error = plan_add(plan, SANDBOX_WRITE, false, "%s/incoming", state);
        return error == 0 ? plan_add_all(plan, SANDBOX_READ, receive_reads) : error;
    case ROLE_COMPOSE:
        error = plan_add(plan, SANDBOX_WRITE, false, "%s/fax", state);
        return error == 0 ? plan_add_all(plan, SANDBOX_READ, compose_reads) : error;
    case ROLE_DELIVER: return plan_deliver(plan, settings);
    case ROLE_COUNT: break;
    }
    return ERROR_STATE;
}

int sandbox_plan_make(struct sandbox_plan **out, enum role role, const struct settings *settings)
{
    struct sandbox_plan *plan = calloc(1, sizeof *plan);
    int error;

    if (plan == NULL)
        return ERROR_MEMORY;
    plan->role = role;
    error = plan_fill(plan, settings);
    if (error < 0)
        sandbox_plan_free(plan);
    else
        *out = plan;
    return error;
}

void sandbox_plan_free(struct sandbox_plan *plan)
{
    size_t i;

    if (plan == NULL)
        return;
    for (i = 0; i < plan->count; i++)
        free(plan->paths[i].path);
    free(plan->paths);
    free(plan);
}

/* ---- new settings --------------------------------------------------------------------------- */

static size_t folder_length(const struct sandbox_path *path)
{
    const char *slash = path->of_file ? strrchr(path->path, '/') : NULL;

    return slash != NULL ? (size_t)(slash - path->path) : strlen(path->path);
}

static bool path_is_within(const struct sandbox_plan *plan, const struct sandbox_path *path)
{
    size_t length = folder_length(path);
    size_t i;

    for (i = 0; i < plan->count; i++) {
        const struct sandbox_path *has = &plan->paths[i];

        if (has->right == path->right && folder_length(has) == length &&
            strncmp(has->path, path->path, length) == 0)
            return true;
    }
    return false;
}

static bool plan_covers(const struct sandbox_plan *old, const struct sandbox_plan *new)
{
    size_t i;

    if (new->programs && !old->programs)
        return false;
    for (i = 0; i < new->count; i++)
        if (!path_is_within(old, &new->paths[i]))
            return false;
    return true;
}

bool sandbox_covers(enum role role, const struct settings *old, const struct settings *new)
{
    struct sandbox_plan *before = NULL;
    struct sandbox_plan *after = NULL;
    bool covers = sandbox_plan_make(&before, role, old) == 0 &&
                  sandbox_plan_make(&after, role, new) == 0 && plan_covers(before, after);

    sandbox_plan_free(before);
    sandbox_plan_free(after);
    return covers;
}

/* ---- going in -------------------------------------------------------------------------------- */

/* Rules are about folders that are there: those of the spool may be made right now by another role.
 */
static int make_folders(const struct sandbox_plan *plan)
{
    size_t i;

    for (i = 0; i < plan->count; i++) {
        struct stat st;
        int error = 0;

        if (plan->paths[i].right == SANDBOX_WRITE && stat(plan->paths[i].path, &st) < 0)
            error = file_make_folders(plan->paths[i].path);
        if (error < 0) {
            log_error("folder cannot be made: path=%s: %s", plan->paths[i].path, error_text(error));
            return error;
        }
    }
    return 0;
}

static void add_missing(char missing[SANDBOX_TEXT_MAX], const char *what)
{
    size_t used = strlen(missing);

    snprintf(missing + used, SANDBOX_TEXT_MAX - used, "%s%s", used > 0 ? "; " : "", what);
}

int sandbox_enter(const struct sandbox_plan *plan, char missing[SANDBOX_TEXT_MAX])
{
    int error = make_folders(plan);

    missing[0] = '\0';
    if (error < 0)
        return error;
#ifdef SANITIZED
    add_missing(missing, "all of it, in a build with a sanitizer");
#else
    if (landlock_enter(plan, landlock_abi()) < 0)
        add_missing(missing, "Landlock, limits on files (Linux 5.19, landlock in lsm=)");
    if (calls_enter(plan) < 0)
        add_missing(missing, "seccomp, limits on system calls (Linux 4.14)");
#endif
    return 0;
}
