/* SPDX-License-Identifier: MIT */
/*
 * ini_edit.h - changes the text of an INI file as a careful person would: the line that is meant,
 * and nothing else. Comments, blank lines, order, indents and line ends (LF or CRLF) stay.
 *
 * All on text in memory; *text is malloced and replaced on success, untouched on failure. What is a
 * section, a key, a value and a comment is what base/conf.c takes for one. The result is not
 * checked against a table of keys: conf_parse() does that.
 */
#ifndef FAXPOST_BASE_INI_EDIT_H
#define FAXPOST_BASE_INI_EDIT_H

#include <stdbool.h>

struct ini_place {
    const char *section; /* "server" */
    const char *name;    /* of [section NAME]; NULL: a section without one */
    const char *key;     /* where a key is meant */
    bool exact;          /* the key is free text (bypass.ini): '-' and '_' are not the same */
};

/* Whether the section is there. */
bool ini_edit_has_section(const char *text, const struct ini_place *place);

/* Sets a key: in its line, keeping the comment behind it, or in a new line below the last key of
 * the section, which is added at the end when there is none. ERROR_FORMAT when section, key or
 * value could not be read back from a line. */
int ini_edit_set(char **text, const struct ini_place *place, const char *value);

/* Takes the line of a key out. ERROR_NOT_FOUND. */
int ini_edit_remove(char **text, const struct ini_place *place);

/* An empty section at the end. ERROR_EXISTS, ERROR_FORMAT. */
int ini_edit_add_section(char **text, const struct ini_place *place);

/* Takes a section out: its header, its keys, the comments among them and those that touch it:
 * directly above the header behind a blank line (not at the head of the file), directly below the
 * last key before a blank line. ERROR_NOT_FOUND. */
int ini_edit_remove_section(char **text, const struct ini_place *place);

/* Puts a section, with what ini_edit_remove_section() would take, before another one, or to the end
 * (before NULL). ERROR_NOT_FOUND when one of them is not there. */
int ini_edit_move_section(char **text, const struct ini_place *place,
                          const struct ini_place *before);

#endif
