/* SPDX-License-Identifier: MIT */
/*
 * line_modem.c - the list of modem lines, as the settings have them.
 */
#include "fax/modem/line_modem.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "fax/modem/modem_thread.h"

struct line_modems {
    struct call_shared *shared;
    struct modem_thread *threads[MODEM_LINES_MAX];
    size_t count;
    struct modem_thread *ending[2 * MODEM_LINES_MAX]; /* of lines that are gone */
    size_t ending_count;
};

static struct modem_thread *find(const struct line_modems *lines, const char *name)
{
    for (size_t i = 0; i < lines->count; i++)
        if (strcmp(modem_thread_name(lines->threads[i]), name) == 0)
            return lines->threads[i];
    return NULL;
}

static int add(struct line_modems *lines, struct modem_line *line)
{
    int error;

    if (lines->count == MODEM_LINES_MAX) {
        modem_line_free(line);
        return ERROR_LIMIT;
    }
    error = modem_thread_start(&lines->threads[lines->count], lines->shared, line);
    if (error == 0)
        lines->count++;
    return error;
}

static bool is_wanted(const struct receive_settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->modem_count; i++)
        if (strcmp(settings->modems[i].name, name) == 0)
            return true;
    return false;
}

static void join_ended(struct line_modems *lines)
{
    size_t kept = 0;

    for (size_t i = 0; i < lines->ending_count; i++) {
        if (modem_thread_has_ended(lines->ending[i]))
            modem_thread_join(lines->ending[i]);
        else
            lines->ending[kept++] = lines->ending[i];
    }
    lines->ending_count = kept;
}

static void remove_gone(struct line_modems *lines, const struct receive_settings *settings)
{
    size_t kept = 0;

    join_ended(lines);
    for (size_t i = 0; i < lines->count; i++) {
        struct modem_thread *thread = lines->threads[i];

        if (is_wanted(settings, modem_thread_name(thread)) ||
            lines->ending_count == MODEM_LINES_MAX) {
            lines->threads[kept++] = thread;
            continue;
        }
        log_info("modem line removed line=%s", LOG_ESCAPED(modem_thread_name(thread)));
        modem_thread_end(thread);
        lines->ending[lines->ending_count++] = thread;
    }
    lines->count = kept;
}

int line_modems_reload(struct line_modems *lines, const struct receive_settings *settings,
                       struct modem_models *models)
{
    int result = 0;

    remove_gone(lines, settings);
    for (size_t i = 0; i < settings->modem_count; i++) {
        const struct modem_line_settings *wanted = &settings->modems[i];
        struct modem_thread *thread = find(lines, wanted->name);
        struct modem_line *line = modem_line_new(wanted, &settings->limits, models);
        int error = 0;

        if (line == NULL)
            error = ERROR_MEMORY;
        else if (thread != NULL)
            modem_thread_reload(thread, line);
        else
            error = add(lines, line);
        if (error != 0) {
            log_error("modem line cannot be started line=%s: %s", LOG_ESCAPED(wanted->name),
                      error_text(error));
            result = error;
        }
    }
    return result;
}

int line_modems_start(struct line_modems **out, struct call_shared *shared,
                      const struct receive_settings *settings, struct modem_models *models)
{
    struct line_modems *lines = calloc(1, sizeof *lines);
    int error;

    if (lines == NULL)
        return ERROR_MEMORY;
    lines->shared = shared;
    error = line_modems_reload(lines, settings, models);
    if (error != 0)
        line_modems_stop(lines);
    else
        *out = lines;
    return error;
}

void line_modems_port(struct line_modems *lines, const char *name, int fd, const char *usb_id,
                      const char *why)
{
    struct modem_thread *thread = find(lines, name);

    if (thread != NULL)
        modem_thread_port(thread, fd, usb_id, why);
    else if (fd >= 0)
        close(fd);
}

size_t line_modems_text(struct line_modems *lines, char *out, size_t size)
{
    size_t length = 0;

    out[0] = '\0';
    for (size_t i = 0; i < lines->count; i++)
        length += modem_thread_text(lines->threads[i], out + length, size - length);
    return length;
}

void line_modems_drain(struct line_modems *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        modem_thread_drain(lines->threads[i]);
}

void line_modems_hang_up(struct line_modems *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        modem_thread_hang_up(lines->threads[i]);
}

void line_modems_stop(struct line_modems *lines)
{
    if (lines == NULL)
        return;
    for (size_t i = 0; i < lines->count; i++) {
        modem_thread_end(lines->threads[i]);
        lines->ending[lines->ending_count++] = lines->threads[i];
    }
    for (size_t i = 0; i < lines->ending_count; i++)
        modem_thread_join(lines->ending[i]);
    free(lines);
}
