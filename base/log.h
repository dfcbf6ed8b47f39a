/* SPDX-License-Identifier: MIT */
/*
 * log.h - one line per change of state, on standard error.
 *
 * A line is `time level role: event key=value key="value with spaces"`. Whatever came from outside
 * (a caller, a server, a modem) goes through LOG_ESCAPED() or log_escape(), so that no stranger can
 * write a line of their own.
 */
#ifndef FAXPOST_BASE_LOG_H
#define FAXPOST_BASE_LOG_H

#include <stddef.h>

enum log_level {
    LOG_LEVEL_ALERT, /* somebody has to act: monitoring looks for this level */
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
};

/* Sets the role shown in every line (kept by reference: a literal) and the lowest level written.
 * Under systemd (JOURNAL_STREAM set) the line begins with the journal's <priority> and has no time
 * of its own. Call it before the first thread starts. */
void log_open(const char *role, enum log_level lowest);

/* Writes one line with a single write(2); safe from every thread. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_alert(...)   log_write(LOG_LEVEL_ALERT, __VA_ARGS__)
#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

enum { LOG_ESCAPE_MAX = 400 };

/* Writes remote text in quotes into out (size at least 8): control characters, quotes, backslashes
 * and octets above 0x7e become \xNN; what does not fit ends in "…". Returns out. NULL reads as "".
 */
const char *log_escape(char *out, size_t size, const char *text);

/* The same for use inside an argument list; lives until the end of the enclosing block. */
#define LOG_ESCAPED(text) log_escape((char[LOG_ESCAPE_MAX]){0}, LOG_ESCAPE_MAX, (text))

#endif
