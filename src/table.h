/* SPDX-License-Identifier: MIT */
/*
 * table.h - servers.ini or bypass.ini under a command's hands: read under a lock, edited as text,
 * checked as the daemon would check it, replaced, and the daemon told.
 */
#ifndef FAXPOST_SRC_TABLE_H
#define FAXPOST_SRC_TABLE_H

#include "base/buffer.h"
#include "base/ini_edit.h"
#include "src/command.h"
#include "src/settings.h"

struct table {
    const struct command_options *options;
    enum settings_file file;
    char *path;                /* for messages */
    char *text;                /* to be edited; malloced */
    char *before;              /* as it was read; NULL: there is no such file */
    struct settings *settings; /* all three files as they are; NULL when they are wrong */
    struct buffer problems;    /* a line each: what is wrong with them */
    int lock_fd;               /* -1: only to look at */
    json_t *warnings;
};

/* Reads the table; with `change` nobody else changes one until table_close(). NULL, or the failure,
 * which is the caller's; table_close() is called in both cases. */
json_t *table_open(struct table *table, const struct command_options *options,
                   enum settings_file file, bool change);
void table_close(struct table *table);

/* Why the settings as they are cannot be used. */
json_t *table_unusable(const struct table *table);

/* Sets a key of the text, or removes it where value is "". NULL, or the failure. */
json_t *table_set(struct table *table, const struct ini_place *place, const char *value);

/* Something the operator should know; it goes into the reply. */
void table_warn(struct table *table, const char *text);

/* Checks the text, puts it in the place of the file, durable, and has the daemon take it. A change
 * that is refused leaves the file as it was. The reply says {"ok", "file", "changed", "daemon"}. */
json_t *table_commit(struct table *table);

/* Prints the outcome of a change, which is released: `what` for people, or the reply as JSON. Gives
 * the exit code. */
int table_print(const struct command_options *options, json_t *reply, const char *what);

/* What a command does with a table: its name, the words behind it, and whether it changes it. */
struct table_action {
    const char *name;
    int (*run)(struct table *table, char *const *word, int count);
    int least, most; /* words behind it */
    bool changes;
};

/* Runs the action that the words of the command name, with the table open; `usage` is printed where
 * there is none. Gives the exit code. */
int table_act(const struct command_options *options, enum settings_file file,
              const struct table_action *actions, size_t action_count, const char *usage);

#endif
