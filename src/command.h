/* SPDX-License-Identifier: MIT */
/*
 * command.h - parts of the faxpost command: asking the daemon (or the spool itself while none
 * runs), and printing for people.
 */
#ifndef FAXPOST_SRC_COMMAND_H
#define FAXPOST_SRC_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "base/conf.h"

enum { COMMAND_TO_MAX = 64 };

struct command_options {
    struct conf *conf; /* faxpost.ini */
    bool json, watch, follow;
    int limit;                 /* 0: the command's own */
    const char *id;            /* NULL: none given */
    const char *from, *bypass; /* NULL: none given */
    const char *to[COMMAND_TO_MAX];
    int to_count;
    const char *server; /* NULL: all */
    const char *output;
    const char *format; /* NULL: by the name of the output */
    int speed;          /* 0: as the settings have it */
    const char *flow;   /* likewise NULL */
    bool trace;
    const char *conf_path;
    char *const *word; /* behind the command: servers, bypass, modem */
    int word_count;
};

/* Each prints its result and gives an exit code. */
int command_status(const struct command_options *options);
int command_list(const struct command_options *options);
int command_show(const struct command_options *options);
int command_log(const struct command_options *options);
int command_export(const struct command_options *options);
int command_change(const struct command_options *options, const char *command);
int command_reload(const struct command_options *options);
int command_send(const struct command_options *options);
int command_resend(const struct command_options *options);
int command_servers(const struct command_options *options);
int command_bypass(const struct command_options *options);
int command_modem(const struct command_options *options);

/* ---- asking (command_client.c) -----------------------------------------------------------------
 */

/* The daemon's reply to a request {"command": command, …extra}; extra (may be NULL) is taken over.
 * While no daemon runs the spool answers. A failure comes as a reply too; NULL never. The
 * connection stays open for the next one. */
json_t *command_ask(const struct command_options *options, const char *command, json_t *extra);

/* The same with a descriptor that goes along; it stays the caller's. */
json_t *command_ask_with(const struct command_options *options, const char *command, json_t *extra,
                         int fd);

/* Whether a daemon is there to be asked; also true when it is there and we may not. */
bool command_daemon_runs(const struct command_options *options);

/* Prints the reply's failure, as text or JSON, and gives true; false when it was none. */
bool command_failed(const struct command_options *options, const json_t *reply);

void command_ask_end(void);

/* Prints a document of JSON for --json. */
void command_print_json(const json_t *value);

/* When root asks: becomes whoever the spool belongs to (the daemon may have been started by another
 * account than the settings name), so that nothing it writes there is root's, and no page is read
 * with root's rights. */
int command_become_account(const struct command_options *options);

/* ---- text (command_text.c) ---------------------------------------------------------------------
 */

enum { CELL_MAX = 256, BAR_MAX = 64 };

/* Foreign text made harmless and cut to `width` characters, the last one '…' where it was longer;
 * negative: flush right in -width. Fills up with blanks. Returns out. */
char *cell(char out[CELL_MAX], const char *text, int width);

/* The same in up to 60 characters, without blanks behind. */
char *line_of(char out[CELL_MAX], const char *text);

/* Writes text of several lines that may be foreign, without anything that a terminal obeys. */
void print_clean(FILE *to, const char *text);

/* Prints such a cell, and two blanks. */
void print_cell(const char *text, int width);

/* Text of a member of a JSON object, "" where there is none; and its number, 0. */
const char *member_text(const json_t *object, const char *key);
int64_t member_number(const json_t *object, const char *key);

/* Local time of the member KEY_ms, "-" where there is none. with_seconds: 2026-11-21 10:15:30. */
char *member_time(char out[CELL_MAX], const json_t *object, const char *key, bool with_seconds);

/* How far a page has come, 0 to 99, against an A4 page of its resolution; 0 for none. A longer page
 * stays at 99. */
int progress_percent(int rows, int y_per_m);

/* "[#####-----]" of `cells` cells. */
char *progress_bar(char out[BAR_MAX], int percent, int cells);

/* A state in a word or two for a fax with its deliveries: "done", "waiting, 3 tried". */
char *fax_state(char out[CELL_MAX], const json_t *fax);

#endif
