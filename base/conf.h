/* SPDX-License-Identifier: MIT */
/*
 * conf.h - settings: one table of keys that feeds the parser, the check, the dump and the man page.
 *
 * A file is read by inih into a list of entries, each checked against the table at once: unknown
 * and double keys, values out of type or range are errors with file, line and what to do. All
 * errors of a file are reported, not only the first. Loaded settings never change; a reload makes
 * new ones.
 */
#ifndef FAXPOST_BASE_CONF_H
#define FAXPOST_BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum conf_type {
    CONF_TEXT,
    CONF_NUMBER,   /* least..most */
    CONF_DURATION, /* milliseconds, least..most; written with a unit */
    CONF_SIZE,     /* octets, least..most */
    CONF_BOOL,     /* yes, no */
    CONF_CHOICE,   /* one word of `choices` */
    CONF_PATH,     /* relative ones count from the folder of the file that holds the key */
    CONF_LIST,     /* comma-separated text, each item not empty */
    CONF_ADDRESS,  /* ip:port, [ip6]:port */
    CONF_RANGE,    /* ports: 20000-29999 */
    CONF_NETWORKS, /* comma-separated CIDR blocks */
    CONF_PATTERN,  /* text with '*' */
};

struct conf_key {
    const char *section; /* "line" */
    bool named;          /* [line NAME] instead of [line] */
    const char *key;     /* NULL: any key of this section, the key itself being a pattern */
    enum conf_type type;
    const char *fallback; /* default as it would be written; NULL: none */
    bool required;        /* must be there (in every section of that name) */
    int64_t least, most;  /* for numbers, durations, sizes */
    const char *choices;  /* "ask|accept|never" */
    const char *text;     /* one line for the man page */
};

/* The tables of the four files, each ended by an entry with section NULL: conf_keys.c */
extern const struct conf_key conf_keys_faxpost[];
extern const struct conf_key conf_keys_servers[];
extern const struct conf_key conf_keys_bypass[];
extern const struct conf_key conf_keys_modems[];

struct conf;

/* One call per problem, in the order of the file. line is 0 when no line is to blame. what says
 * what is wrong and what to do. */
typedef void conf_problem_handler(void *user, const char *file, int line, const char *what);

/* Reads a file against a table. 0, ERROR_NOT_FOUND (no file: reported too), ERROR_CONFIG (problems
 * were reported), ERROR_MEMORY, ERROR_IO. The handler may be NULL. */
int conf_load(struct conf **out, const char *path, const struct conf_key *keys,
              conf_problem_handler *problem, void *user);

/* The same from text in memory (a dump handed to a role); name is used in messages, folder for
 * relative paths (NULL: the current one). */
int conf_parse(struct conf **out, const char *text, const char *name, const char *folder,
               const struct conf_key *keys, conf_problem_handler *problem, void *user);

void conf_free(struct conf *conf);

/* Names of the sections [section NAME] in the order of the file: the i-th, or NULL. Valid as long
 * as conf. */
const char *conf_section_name(const struct conf *conf, const char *section, size_t i);

/* Value of a key, the table's default where the file has none. name is NULL for a section without
 * one. A key that is not in the table is a bug and ends the program. conf_text gives NULL for a key
 * without value and without default; paths come absolute. */
const char *conf_text(const struct conf *conf, const char *section, const char *name,
                      const char *key);
int64_t conf_number(const struct conf *conf, const char *section, const char *name,
                    const char *key); /* also durations (ms), sizes (octets) */
bool conf_bool(const struct conf *conf, const char *section, const char *name, const char *key);
/* Index of the word within the table's choices: "ask|accept|never" → 0, 1, 2. */
int conf_choice(const struct conf *conf, const char *section, const char *name, const char *key);

/* Sections with free keys (bypass.ini): the i-th entry as written. ERROR_NOT_FOUND at the end. */
int conf_entry(const struct conf *conf, const char *section, size_t i, const char **out_key,
               const char **out_value, int *out_line);

/* Line of a key in its file, 0 where the default is in force: for messages of later checks. */
int conf_line(const struct conf *conf, const char *section, const char *name, const char *key);
const char *conf_file(const struct conf *conf);

/* Settings as INI text, defaults included, that conf_parse() reads back; `sections` limits it to a
 * comma-separated list (NULL: all). Passwords stand in files of their own, so none are in it.
 * *out is malloced. */
int conf_dump(const struct conf *conf, const char *sections, char **out);

#endif
