/* SPDX-License-Identifier: MIT */
/*
 * fuzz_ini.c - any octets as faxpost.ini, servers.ini, bypass.ini and modems.ini, divided by NUL,
 * through the whole check that the program makes before it starts, and what the roles make of them
 * then; and servers.ini through the editing that `faxpost servers` does. What passes the check must
 * be usable; what is edited must change in the place that is meant and nowhere else. Body for
 * libFuzzer and for replay.
 */
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/ini_edit.h"
#include "base/log.h"
#include "fax/receive_settings.h"
#include "src/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void promise(bool kept, const char *what)
{
    if (kept)
        return;
    fprintf(stderr, "promise broken: %s\n", what);
    abort();
}

/* Settings name commands: what only looks at settings must run none. */
int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
    (void)pid, (void)path, (void)actions, (void)attributes, (void)argv, (void)envp;
    promise(false, "a check starts no program");
    return 1;
}

static void on_problem(void *user, const char *file, int line, const char *what)
{
    (void)user;
    promise(file != NULL && line >= 0 && what[0] != '\0', "a problem is told with file and words");
}

/* ---- what passes the check ----------------------------------------------------------------------
 */

/* Each role gets its parts as text, and reads the same out of them. */
static void check_parts(const struct settings *settings)
{
    for (int role = 0; role < ROLE_COUNT; role++) {
        char *parts[SETTINGS_FILES] = {NULL};
        struct settings *theirs = NULL;

        for (int file = 0; file < SETTINGS_FILES; file++)
            promise(settings_part(settings, (enum role)role, (enum settings_file)file,
                                  &parts[file]) == 0,
                    "a part can be made");
        if (parts[SETTINGS_FAXPOST] != NULL)
            promise(settings_from_parts(&theirs, parts) == 0, "a part can be read");
        settings_free(theirs);
        for (int file = 0; file < SETTINGS_FILES; file++)
            free(parts[file]);
    }
}

static void use(const struct settings *settings)
{
    struct receive_settings *receive;
    char name[256];

    settings_warn(settings, on_problem, NULL);
    settings_hostname(settings, name, sizeof name);
    check_parts(settings);
    promise(settings_restart_reason(settings, settings) == NULL, "the same needs no restart");
    promise(receive_settings_read(&receive, settings->file[SETTINGS_FAXPOST]) == 0,
            "the receive role can read what was checked");
    receive_settings_free(receive);
}

/* ---- editing ------------------------------------------------------------------------------------
 */

static char *dump_of(const char *text)
{
    struct conf *conf;
    char *dump = NULL;

    if (conf_parse(&conf, text, "servers.ini", "/", conf_keys_servers, NULL, NULL) == 0) {
        promise(conf_dump(conf, NULL, &dump) == 0, "servers can be dumped");
        conf_free(conf);
    }
    return dump;
}

static void expect_dump(const char *text, const char *expected, const char *what)
{
    char *dump = dump_of(text);

    promise(dump != NULL && strcmp(dump, expected) == 0, what);
    free(dump);
}

/* Writes what is there already, adds a section, moves it, takes it away again: all as before. */
static void edit(const char *original)
{
    static const struct ini_place added = {"server", "zz-added", NULL, false};
    static const struct ini_place added_host = {"server", "zz-added", "host", false};
    struct conf *conf;
    char *expected = dump_of(original);
    char *text;
    const char *name;

    if (expected == NULL || strstr(original, added.name) != NULL) {
        free(expected);
        return;
    }
    if (conf_parse(&conf, original, "servers.ini", "/", conf_keys_servers, NULL, NULL) != 0 ||
        (text = strdup(original)) == NULL)
        abort();
    name = conf_section_name(conf, "server", 0);
    if (name != NULL) {
        const struct ini_place port = {"server", name, "port", false};
        const struct ini_place first = {"server", name, NULL, false};
        char value[32];

        promise(ini_edit_has_section(text, &first), "a section that was read is found");
        snprintf(value, sizeof value, "%lld", (long long)conf_number(conf, "server", name, "port"));
        promise(ini_edit_set(&text, &port, value) == 0, "a key can be set");
        expect_dump(text, expected, "a key that is set to what it was changes nothing");
        promise(ini_edit_add_section(&text, &added) == 0, "a section can be added");
        promise(ini_edit_set(&text, &added_host, "host.example") == 0, "… and filled");
        promise(ini_edit_move_section(&text, &added, &first) == 0, "… and moved");
        promise(ini_edit_remove_section(&text, &added) == 0, "… and removed");
        expect_dump(text, expected, "what was added and removed leaves nothing");
        promise(ini_edit_remove_section(&text, &first) == 0, "a section can be removed");
        promise(!ini_edit_has_section(text, &first), "what was removed is gone");
    }
    free(text);
    free(expected);
    conf_free(conf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    char *parts[SETTINGS_FILES] = {NULL};
    struct settings *settings;
    size_t begin = 0;

    if (text == NULL)
        return 0;
    log_open("fuzz", LOG_LEVEL_ALERT);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    for (int i = 0; i < SETTINGS_FILES && begin <= size; i++) {
        parts[i] = text + begin;
        begin += strlen(text + begin) + 1;
    }
    if (settings_from_parts(&settings, parts) == 0) {
        if (settings_check(settings, on_problem, NULL) == 0)
            use(settings);
        settings_free(settings);
    }
    if (parts[SETTINGS_SERVERS] != NULL)
        edit(parts[SETTINGS_SERVERS]);
    free(text);
    return 0;
}
