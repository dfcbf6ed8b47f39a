/* SPDX-License-Identifier: MIT */
/*
 * command_send.c - faxpost send and resend. The message goes to the daemon as a sealed file in
 * memory: nobody can change it while it is read, and no pipe or network file system of ours can
 * make the daemon wait.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "src/command.h"
#include "src/control_commands.h"
#include "src/control_json.h"
#include "src/settings.h"

enum { BLOCK = 65536, COMMAND_WHY_MAX = 600 };

static int __attribute__((format(printf, 3, 4)))
fail(const struct command_options *options, int error, const char *format, ...)
{
    char why[COMMAND_WHY_MAX];
    json_t *reply;
    va_list ap;

    va_start(ap, format);
    vsnprintf(why, sizeof why, format, ap);
    va_end(ap);
    reply = control_failure(error, why);
    command_failed(options, reply);
    json_decref(reply);
    return error;
}

/* 0 at the end of the input; most: octets. */
static int copy(const struct command_options *options, int from, int to, int64_t most)
{
    static char block[BLOCK];
    int64_t total = 0;
    ssize_t n;

    while ((n = read(from, block, sizeof block)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(options, ERROR_IO, "the message cannot be read: %s", strerror(errno));
        total += n;
        if (total > most)
            return fail(options, ERROR_LIMIT,
                        "the message is larger than %lld octets ([limits] message_bytes)",
                        (long long)most);
        if (file_write_all(to, block, (size_t)n) < 0)
            return fail(options, ERROR_MEMORY, "no memory for the message: %s", strerror(errno));
    }
    return 0;
}

/* The sealed file, or a negative error that was printed. */
static int take_message(const struct command_options *options)
{
    const char *path = options->word[0];
    int from = STDIN_FILENO;
    int to;
    int error = 0;

    if (strcmp(path, "-") != 0)
        from = open(path, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        return fail(options, ERROR_IO, "%s: %s", path, strerror(errno));
    to = memfd_create("faxpost-message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (to < 0)
        error = fail(options, ERROR_MEMORY, "no memory for the message: %s", strerror(errno));
    if (error == 0)
        error =
            copy(options, from, to, conf_number(options->conf, "limits", NULL, "message_bytes"));
    if (error == 0 &&
        fcntl(to, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        error = fail(options, ERROR_IO, "the message cannot be sealed: %s", strerror(errno));
    if (from != STDIN_FILENO)
        close(from);
    if (error < 0 && to >= 0)
        close(to);
    return error < 0 ? error : to;
}

static json_t *addressed(const struct command_options *options)
{
    json_t *request = json_object();
    json_t *to = json_array();
    int i;

    for (i = 0; i < options->to_count; i++)
        json_array_append_new(to, json_text(options->to[i]));
    json_object_set_new(request, "to", to);
    if (options->bypass != NULL)
        json_object_set_new(request, "bypass", json_text(options->bypass));
    return request;
}

static int print_outcome(const struct command_options *options, json_t *reply, const char *what)
{
    bool failed = command_failed(options, reply);
    char id[CELL_MAX];

    if (!failed && options->json)
        command_print_json(reply);
    else if (!failed)
        printf("%s: %s\n", line_of(id, member_text(reply, "id")), what);
    json_decref(reply);
    return failed ? EXIT_TROUBLE : EXIT_FINE;
}

int command_send(const struct command_options *options)
{
    int fd = take_message(options);
    json_t *request;
    int code;

    if (fd < 0)
        return EXIT_TROUBLE;
    request = addressed(options);
    if (options->from != NULL)
        json_object_set_new(request, "from", json_text(options->from));
    code = print_outcome(options, command_ask_with(options, "send", request, fd), "accepted");
    close(fd);
    return code;
}

int command_resend(const struct command_options *options)
{
    json_t *request = addressed(options);

    json_object_set_new(request, "id", json_text(options->id));
    return print_outcome(options, command_ask(options, "resend", request), "sent again");
}
