/* SPDX-License-Identifier: MIT */
/*
 * table.c - the way of a change: lock, read, (the command edits), check, replace, reload.
 *
 * The lock is a file of its own, because the table itself becomes another file at each change.
 */
#include "src/table.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "smtp/dispatch.h"
#include "src/control_commands.h"
#include "src/privilege.h"

enum {
    LOCK_WAIT_MS = 10000,
    LOCK_LOOK_US = 20000,
    FILE_BYTES_MAX = 1 << 20, /* as the settings' reader */
    PROBLEM_BYTES_MAX = 65536,
};

#define LOCK_NAME ".faxpost-tables.lock"

static json_t *__attribute__((format(printf, 2, 3))) failure(int error, const char *format, ...)
{
    char *why = NULL;
    json_t *reply;
    va_list ap;

    va_start(ap, format);
    if (vasprintf(&why, format, ap) < 0)
        why = NULL;
    va_end(ap);
    reply = control_failure(error, why != NULL ? why : error_text(ERROR_MEMORY));
    free(why);
    return reply;
}

static void note_problem(void *user, const char *file, int line, const char *what)
{
    struct buffer *all = user;

    if (line > 0)
        buffer_format(all, "%s:%d: %s\n", file, line, what);
    else
        buffer_format(all, "%s: %s\n", file, what);
}

/* The folder that a path lies in, malloced. */
static char *folder_of(const char *path)
{
    char *copy = strdup(path);
    char *folder = copy != NULL ? strdup(dirname(copy)) : NULL;

    free(copy);
    return folder;
}

/* ---- lock and read -------------------------------------------------------------------------- */

static json_t *lock(struct table *table)
{
    char *folder = folder_of(table->path);
    int64_t until_ms = clock_monotonic_ms() + LOCK_WAIT_MS;
    json_t *reply = NULL;
    int dir_fd = folder != NULL ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (dir_fd >= 0)
        table->lock_fd = openat(dir_fd, LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (table->lock_fd < 0)
        reply = failure(error_from_errno(errno),
                        "%s cannot be changed: %s/%s: %s; run this as who owns the settings",
                        table->path, folder != NULL ? folder : "", LOCK_NAME, strerror(errno));
    while (reply == NULL && flock(table->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            reply =
                failure(ERROR_IO, "%s/%s cannot be locked: %s", folder, LOCK_NAME, strerror(errno));
        else if (clock_monotonic_ms() > until_ms)
            reply = failure(ERROR_BUSY, "another command is changing the tables in %s: try again",
                            folder);
        else
            usleep(LOCK_LOOK_US);
    }
    if (dir_fd >= 0)
        close(dir_fd);
    free(folder);
    return reply;
}

static json_t *read_text(struct table *table)
{
    char *real = realpath(table->path, NULL);
    size_t length = 0;
    int error;

    if (real == NULL && errno == ENOENT) {
        table->text = strdup("");
        return table->text != NULL ? NULL : failure(ERROR_MEMORY, "%s", error_text(ERROR_MEMORY));
    }
    error = real != NULL ? file_read(AT_FDCWD, real, FILE_BYTES_MAX, &table->before, &length)
                         : error_from_errno(errno);
    free(real);
    if (error < 0) {
        table->before = NULL;
        return failure(error, "%s cannot be read: %s", table->path, error_text(error));
    }
    if (strlen(table->before) != length)
        return failure(ERROR_FORMAT, "%s holds octets that are no text: is this the right file?",
                       table->path);
    table->text = strdup(table->before);
    return table->text != NULL ? NULL : failure(ERROR_MEMORY, "%s", error_text(ERROR_MEMORY));
}

json_t *table_open(struct table *table, const struct command_options *options,
                   enum settings_file file, bool change)
{
    json_t *reply = NULL;

    *table = (struct table){.options = options, .file = file, .lock_fd = -1};
    buffer_init(&table->problems, PROBLEM_BYTES_MAX);
    table->warnings = json_array();
    table->path = settings_path(options->conf_path, file);
    if (table->path == NULL)
        return failure(ERROR_MEMORY, "%s", error_text(ERROR_MEMORY));
    if (change)
        reply = lock(table);
    if (reply == NULL)
        reply = read_text(table);
    if (reply == NULL &&
        settings_load(&table->settings, options->conf_path, note_problem, &table->problems) < 0)
        table->settings = NULL;
    return reply;
}

static void table_unlock(struct table *table)
{
    if (table->lock_fd >= 0)
        close(table->lock_fd);
    table->lock_fd = -1;
}

void table_close(struct table *table)
{
    table_unlock(table);
    settings_free(table->settings);
    buffer_free(&table->problems);
    json_decref(table->warnings);
    free(table->path);
    free(table->text);
    free(table->before);
}

json_t *table_unusable(const struct table *table)
{
    return failure(ERROR_CONFIG, "the settings are wrong; mend them first:\n%s",
                   buffer_string(&table->problems));
}

json_t *table_set(struct table *table, const struct ini_place *place, const char *value)
{
    int error = value[0] != '\0' ? ini_edit_set(&table->text, place, value)
                                 : ini_edit_remove(&table->text, place);

    if (error == ERROR_FORMAT)
        return failure(error,
                       "%s = %s cannot stand in %s: no control characters, no ';' behind a blank; "
                       "'=' and ':' not before the '='",
                       LOG_ESCAPED(place->key), LOG_ESCAPED(value), table->path);
    if (error < 0 && error != ERROR_NOT_FOUND)
        return failure(error, "%s", error_text(error));
    return NULL;
}

void table_warn(struct table *table, const char *text)
{
    json_array_append_new(table->warnings, json_string(text));
}

/* ---- check ---------------------------------------------------------------------------------- */

static void tell_problem(void *user, const char *file, int line, const char *what)
{
    const int *fd = user;

    if (line > 0)
        dprintf(*fd, "%s:%d: %s\n", file, line, what);
    else
        dprintf(*fd, "%s: %s\n", file, what);
}

/* What only the account of the roles can tell: whether it may read passwords and certificates. */
static void check_as_account(const struct settings *new, struct buffer *problems)
{
    struct account account;
    char chunk[2048];
    int ends[2];
    ssize_t n;
    pid_t child;

    if (account_find(&account, new->file[SETTINGS_FAXPOST]) < 0 || !account.change)
        return;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        buffer_format(problems, "cannot check as %s: %s\n", account.name, strerror(errno));
        return;
    }
    child = fork();
    if (child == 0) {
        close(ends[0]);
        if (account_become(&account) < 0)
            dprintf(ends[1], "cannot check as %s: not permitted\n", account.name);
        else
            dispatch_check(new->file[SETTINGS_FAXPOST], new->file[SETTINGS_SERVERS],
                           new->file[SETTINGS_BYPASS], tell_problem, &ends[1]);
        _exit(0);
    }
    if (child < 0)
        buffer_format(problems, "cannot check as %s: %s\n", account.name, strerror(errno));
    close(ends[1]);
    while (child > 0 && (n = read(ends[0], chunk, sizeof chunk)) != 0)
        if (n > 0)
            buffer_add(problems, chunk, (size_t)n);
        else if (errno != EINTR)
            break;
    close(ends[0]);
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
}

static json_t *check(struct table *table)
{
    struct buffer problems;
    struct settings *new = NULL;
    json_t *reply = NULL;
    int error;

    buffer_init(&problems, PROBLEM_BYTES_MAX);
    error = settings_load_with(&new, table->options->conf_path, table->file, table->text,
                               note_problem, &problems);
    if (error == 0)
        check_as_account(new, &problems);
    if (error < 0 || problems.length > 0)
        reply = failure(error < 0 ? error : ERROR_CONFIG, "refused, nothing is changed:\n%s",
                        problems.length > 0 ? buffer_string(&problems) : error_text(error));
    settings_free(new);
    buffer_free(&problems);
    return reply;
}

/* ---- replace and reload --------------------------------------------------------------------- */

/* The file itself where the path is a link to it; a new one looks like faxpost.ini. */
static json_t *replace(struct table *table)
{
    char *real = table->before != NULL ? realpath(table->path, NULL) : strdup(table->path);
    char *folder = real != NULL ? folder_of(real) : NULL;
    const char *name = real != NULL && strrchr(real, '/') != NULL ? strrchr(real, '/') + 1 : real;
    int dir_fd = folder != NULL ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    struct stat like;
    json_t *reply = NULL;
    int error = 0;

    if (dir_fd < 0 || stat(table->before != NULL ? real : table->options->conf_path, &like) < 0)
        error = error_from_errno(errno);
    else
        error = file_replace(dir_fd, name, table->text, strlen(table->text), &like);
    if (error < 0)
        reply = failure(error, "%s cannot be written, nothing is changed: %s%s", table->path,
                        strerror(errno),
                        errno == EPERM || errno == EACCES ? "; run this as who owns it" : "");
    if (dir_fd >= 0)
        close(dir_fd);
    free(folder);
    free(real);
    return reply;
}

/* true: the daemon goes by the new table; false: none runs. */
static json_t *reload(struct table *table, bool *out_runs)
{
    json_t *answer;
    json_t *reply = NULL;

    *out_runs = command_daemon_runs(table->options);
    if (!*out_runs)
        return NULL;
    answer = command_ask(table->options, "reload", NULL);
    if (!json_is_true(json_object_get(answer, "ok"))) {
        reply = failure((int)member_number(answer, "error"),
                        "%s is changed, but the daemon goes on with the old settings: %s",
                        table->path, member_text(answer, "why"));
        json_object_set_new(reply, "changed", json_true());
    }
    json_decref(answer);
    return reply;
}

json_t *table_commit(struct table *table)
{
    bool changed = table->before == NULL || strcmp(table->before, table->text) != 0;
    bool runs = false;
    json_t *reply = check(table);

    if (reply == NULL && changed)
        reply = replace(table);
    table_unlock(table); /* the daemon may take its time; it reads what is there by then */
    if (reply == NULL && changed)
        reply = reload(table, &runs);
    if (reply == NULL)
        reply = json_pack("{s:b, s:s, s:b, s:b, s:O}", "ok", 1, "file", table->path, "changed",
                          changed, "daemon", runs, "warnings", table->warnings);
    return reply != NULL ? reply : failure(ERROR_MEMORY, "%s", error_text(ERROR_MEMORY));
}

int table_print(const struct command_options *options, json_t *reply, const char *what)
{
    bool failed = command_failed(options, reply);
    const json_t *warning;
    size_t i;

    if (!failed && options->json) {
        command_print_json(reply);
    } else if (!failed) {
        print_clean(stdout, what);
        printf("%s\n", !json_is_true(json_object_get(reply, "changed")) ? ": nothing to change"
                       : json_is_true(json_object_get(reply, "daemon"))
                           ? ": in force"
                           : ": written; no daemon is running");
        fflush(stdout);
        json_array_foreach(json_object_get(reply, "warnings"), i, warning)
        {
            fputs("faxpost: warning: ", stderr);
            print_clean(stderr, json_string_value(warning));
            fputc('\n', stderr);
        }
    }
    json_decref(reply);
    return failed ? EXIT_TROUBLE : EXIT_FINE;
}

int table_act(const struct command_options *options, enum settings_file file,
              const struct table_action *actions, size_t action_count, const char *usage)
{
    struct table table;
    json_t *failed;
    size_t i;
    int code;

    for (i = 0; options->word_count > 0 && i < action_count; i++) {
        int count = options->word_count - 1;

        if (strcmp(options->word[0], actions[i].name) != 0 || count < actions[i].least ||
            count > actions[i].most)
            continue;
        failed = table_open(&table, options, file, actions[i].changes);
        code = failed != NULL ? table_print(options, failed, "")
                              : actions[i].run(&table, options->word + 1, count);
        table_close(&table);
        return code;
    }
    fputs(usage, stderr);
    return EXIT_USAGE;
}
