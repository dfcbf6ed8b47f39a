/* SPDX-License-Identifier: MIT */
/*
 * settings.h - the files of settings as one thing: loaded, checked against each other, and
 * cut into the parts that the roles get. The check (-t), the start and a reload share it.
 */
#ifndef FAXPOST_SRC_SETTINGS_H
#define FAXPOST_SRC_SETTINGS_H

#include "base/conf.h"

enum {
    EXIT_FINE = 0,
    EXIT_TROUBLE = 1,
    EXIT_USAGE = 2,
    EXIT_SETTINGS = 78, /* EX_CONFIG of sysexits.h */
};

enum settings_file {
    SETTINGS_FAXPOST,
    SETTINGS_SERVERS,
    SETTINGS_BYPASS,
    SETTINGS_MODEMS,
    SETTINGS_FILES
};

struct settings {
    struct conf *file[SETTINGS_FILES]; /* all but the first: NULL when there is no such file */
};

enum role { ROLE_RECEIVE, ROLE_COMPOSE, ROLE_DELIVER, ROLE_COUNT };

/* Reads faxpost.ini at path, and servers.ini, bypass.ini and modems.ini beside it where they are,
 * and checks all of it. Every problem is reported. 0, ERROR_CONFIG (also for a missing
 * faxpost.ini), ERROR_MEMORY, ERROR_IO. */
int settings_load(struct settings **out, const char *path, conf_problem_handler *problem,
                  void *user);
void settings_free(struct settings *settings);

/* The same with this text in the place of one of the files beside: what it would be like. */
int settings_load_with(struct settings **out, const char *path, enum settings_file file,
                       const char *text, conf_problem_handler *problem, void *user);

/* Name of one of the files: "servers.ini". */
const char *settings_name(enum settings_file file);

/* Path of one of the files, given that of faxpost.ini; malloced. */
char *settings_path(const char *path, enum settings_file file);

/* The checks across keys and files that settings_load() makes after reading; gives the number of
 * problems. */
int settings_check(const struct settings *settings, conf_problem_handler *problem, void *user);

/* The part of settings_check() that is about [line NAME]. */
int settings_check_lines(const struct conf *faxpost, conf_problem_handler *problem, void *user);
void settings_warn_lines(const struct conf *faxpost, conf_problem_handler *warning, void *user);

/* What is allowed but probably not meant, e.g. no [line] at all. */
void settings_warn(const struct settings *settings, conf_problem_handler *warning, void *user);

/* Part of a file that a role may know, as INI text, malloced; *out is NULL when the role has no
 * business with that file or it is not there. */
int settings_part(const struct settings *settings, enum role role, enum settings_file file,
                  char **out);

/* Settings from such parts (NULL: none), in a role. */
int settings_from_parts(struct settings **out, char *const parts[SETTINGS_FILES]);

/* A change that needs a restart, in words; NULL when a reload will do. */
const char *settings_restart_reason(const struct settings *old, const struct settings *new);

/* Problem handler that logs: user is an enum log_level *. */
void settings_log_problem(void *user, const char *file, int line, const char *what);

const char *role_text(enum role role);

/* The name of this gateway: [gateway] hostname, else the system's. */
void settings_hostname(const struct settings *settings, char *out, size_t size);

#endif
