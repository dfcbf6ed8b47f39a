/* SPDX-License-Identifier: MIT */
/*
 * settings.c - finds, reads and hands on the files of settings.
 */
#include "src/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

static const struct {
    const char *name;
    const struct conf_key *keys;
} files[SETTINGS_FILES] = {
    [SETTINGS_FAXPOST] = {"faxpost.ini", conf_keys_faxpost},
    [SETTINGS_SERVERS] = {"servers.ini", conf_keys_servers},
    [SETTINGS_BYPASS] = {"bypass.ini", conf_keys_bypass},
    [SETTINGS_MODEMS] = {"modems.ini", conf_keys_modems},
};

/* Sections of faxpost.ini, and other files, that a role may know: receive, which strangers reach,
 * gets nothing of the mail side, and compose gets no settings beyond what each request carries. */
static const struct {
    const char *name;
    const char *sections;
    bool files[SETTINGS_FILES];
} roles[ROLE_COUNT] = {
    [ROLE_RECEIVE] = {"receive",
                      "gateway,line,limits,spool",
                      {[SETTINGS_FAXPOST] = true, [SETTINGS_MODEMS] = true}},
    [ROLE_COMPOSE] = {"compose", "gateway,limits", {[SETTINGS_FAXPOST] = true}},
    [ROLE_DELIVER] =
        {"deliver",
         "gateway,route,mail,retry,report,timeouts,limits,spool",
         {[SETTINGS_FAXPOST] = true, [SETTINGS_SERVERS] = true, [SETTINGS_BYPASS] = true}},
};

const char *role_text(enum role role)
{
    return roles[role].name;
}

/* A file beside another. */
static char *path_beside(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    char *out;

    if (asprintf(&out, "%.*s%s", slash != NULL ? (int)(slash - path + 1) : 0, path, name) < 0)
        return NULL;
    return out;
}

/* Reads one of the others, where it is. */
static int load_beside(struct settings *settings, enum settings_file file, const char *path,
                       conf_problem_handler *problem, void *user)
{
    char *beside = path_beside(path, files[file].name);
    int error = 0;

    if (beside == NULL)
        return ERROR_MEMORY;
    if (access(beside, F_OK) == 0 || errno != ENOENT)
        error = conf_load(&settings->file[file], beside, files[file].keys, problem, user);
    free(beside);
    return error;
}

const char *settings_name(enum settings_file file)
{
    return files[file].name;
}

char *settings_path(const char *path, enum settings_file file)
{
    return file == SETTINGS_FAXPOST ? strdup(path) : path_beside(path, files[file].name);
}

/* Takes a text for one of the others. */
static int parse_beside(struct settings *settings, enum settings_file file, const char *path,
                        const char *text, conf_problem_handler *problem, void *user)
{
    char *beside = path_beside(path, files[file].name);
    char *here = path_beside(path, ".");
    char *folder = here != NULL ? realpath(here, NULL) : NULL;
    int error = ERROR_MEMORY;

    if (beside != NULL && folder != NULL)
        error = conf_parse(&settings->file[file], text, beside, folder, files[file].keys, problem,
                           user);
    free(folder);
    free(here);
    free(beside);
    return error;
}

int settings_load(struct settings **out, const char *path, conf_problem_handler *problem,
                  void *user)
{
    return settings_load_with(out, path, SETTINGS_FILES, NULL, problem, user);
}

int settings_load_with(struct settings **out, const char *path, enum settings_file file,
                       const char *text, conf_problem_handler *problem, void *user)
{
    struct settings *settings = calloc(1, sizeof *settings);
    int worst = 0;
    int i;

    if (settings == NULL)
        return ERROR_MEMORY;
    worst = conf_load(&settings->file[SETTINGS_FAXPOST], path, conf_keys_faxpost, problem, user);
    for (i = SETTINGS_SERVERS; i < SETTINGS_FILES && worst != ERROR_NOT_FOUND; i++) {
        int error = (enum settings_file)i == file
                        ? parse_beside(settings, file, path, text, problem, user)
                        : load_beside(settings, (enum settings_file)i, path, problem, user);

        if (error < 0)
            worst = error;
    }
    if (worst == 0 && settings_check(settings, problem, user) > 0)
        worst = ERROR_CONFIG;
    if (worst < 0) {
        settings_free(settings);
        return worst == ERROR_NOT_FOUND || worst == ERROR_DENIED ? ERROR_CONFIG : worst;
    }
    *out = settings;
    return 0;
}

void settings_free(struct settings *settings)
{
    int i;

    if (settings == NULL)
        return;
    for (i = 0; i < SETTINGS_FILES; i++)
        conf_free(settings->file[i]);
    free(settings);
}

int settings_part(const struct settings *settings, enum role role, enum settings_file file,
                  char **out)
{
    if (settings->file[file] == NULL || !roles[role].files[file]) {
        *out = NULL;
        return 0;
    }
    return conf_dump(settings->file[file], file == SETTINGS_FAXPOST ? roles[role].sections : NULL,
                     out);
}

int settings_from_parts(struct settings **out, char *const parts[SETTINGS_FILES])
{
    struct settings *settings = calloc(1, sizeof *settings);
    enum log_level level = LOG_LEVEL_ERROR;
    int error = 0;
    int i;

    if (settings == NULL)
        return ERROR_MEMORY;
    for (i = 0; i < SETTINGS_FILES && error == 0; i++)
        if (parts[i] != NULL)
            error = conf_parse(&settings->file[i], parts[i], files[i].name, "/", files[i].keys,
                               settings_log_problem, &level);
    if (error == 0 && settings->file[SETTINGS_FAXPOST] == NULL)
        error = ERROR_FORMAT;
    if (error < 0)
        settings_free(settings);
    else
        *out = settings;
    return error;
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

const char *settings_restart_reason(const struct settings *old, const struct settings *new)
{
    static const struct {
        const char *key;
        const char *reason;
    } fixed[] = {
        {"state_dir", "[gateway] state_dir cannot change while faxpostd runs: restart it"},
        {"run_dir", "[gateway] run_dir cannot change while faxpostd runs: restart it"},
        {"sandbox", "[gateway] sandbox cannot change while faxpostd runs: restart it"},
        {"user", "[gateway] user cannot change while faxpostd runs: restart it"},
    };
    size_t i;

    for (i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        if (!same_text(conf_text(old->file[SETTINGS_FAXPOST], "gateway", NULL, fixed[i].key),
                       conf_text(new->file[SETTINGS_FAXPOST], "gateway", NULL, fixed[i].key)))
            return fixed[i].reason;
    return NULL;
}

void settings_log_problem(void *user, const char *file, int line, const char *what)
{
    const enum log_level *level = user;

    if (line > 0)
        log_write(*level, "%s:%d: %s", file, line, what);
    else
        log_write(*level, "%s: %s", file, what);
}

void settings_hostname(const struct settings *settings, char *out, size_t size)
{
    const char *name = conf_text(settings->file[SETTINGS_FAXPOST], "gateway", NULL, "hostname");
    char system[256] = "";

    if (name == NULL || name[0] == '\0') {
        gethostname(system, sizeof system - 1);
        name = system[0] != '\0' ? system : "localhost";
    }
    text_copy(out, size, name);
}
