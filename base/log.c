/* SPDX-License-Identifier: MIT */
/*
 * log.c - formats a line in one buffer and hands it to the kernel in one piece.
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

static struct {
    const char *role;
    enum log_level lowest;
    bool journal;
} state = {"faxpost", LOG_LEVEL_INFO, false}; /* written by log_open() only, before any thread */

static const struct {
    const char *name;
    int priority; /* sd-daemon(3) */
} levels[] = {
    [LOG_LEVEL_ALERT] = {"alert", 1},     [LOG_LEVEL_ERROR] = {"error", 3},
    [LOG_LEVEL_WARNING] = {"warning", 4}, [LOG_LEVEL_INFO] = {"info", 6},
    [LOG_LEVEL_DEBUG] = {"debug", 7},
};

void log_open(const char *role, enum log_level lowest)
{
    state.role = role;
    state.lowest = lowest;
    state.journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_write(enum log_level level, const char *format, ...)
{
    char line[4096];
    char time_text[CLOCK_TEXT_MAX];
    size_t used;
    int n;
    int saved_errno = errno;
    va_list ap;

    if (level > state.lowest)
        return;
    if (state.journal)
        n = snprintf(line, sizeof line, "<%d>%s: ", levels[level].priority, state.role);
    else
        n = snprintf(line, sizeof line, "%s %s %s: ", clock_text(time_text, clock_wall_ms()),
                     levels[level].name, state.role);
    used = (size_t)n;
    va_start(ap, format);
    n = vsnprintf(line + used, sizeof line - used - 1, format, ap);
    va_end(ap);
    used += n > 0 ? (size_t)n : 0;
    if (used > sizeof line - 2)
        used = sizeof line - 2;
    line[used++] = '\n';
    while (write(STDERR_FILENO, line, used) < 0 && errno == EINTR)
        ;
    errno = saved_errno;
}

const char *log_escape(char *out, size_t size, const char *text)
{
    static const char more[] = "…\"";
    size_t limit = size - sizeof more;
    size_t used = 0;
    const unsigned char *p;

    out[used++] = '"';
    for (p = (const unsigned char *)(text != NULL ? text : ""); *p != '\0'; p++) {
        bool plain = *p >= 0x20 && *p < 0x7f && *p != '"' && *p != '\\';

        if (used + (plain ? 1 : 4) > limit) {
            memcpy(out + used, more, sizeof more);
            return out;
        }
        if (plain)
            out[used++] = (char)*p;
        else
            used += (size_t)sprintf(out + used, "\\x%02x", *p);
    }
    out[used++] = '"';
    out[used] = '\0';
    return out;
}
