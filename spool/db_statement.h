/* SPDX-License-Identifier: MIT */
/*
 * db_statement.h - running statements, for the files behind db.h only: db.c does it with SQLite,
 * the others map rows to structs and back.
 */
#ifndef FAXPOST_SPOOL_DB_STATEMENT_H
#define FAXPOST_SPOOL_DB_STATEMENT_H

#include "spool/db.h"
#include "spool/db_sql.h"

struct sqlite3_stmt; /* opaque here */

/* A statement ready for its parameters, kept for the life of the connection. NULL: logged, and the
 * functions below take it as a failure. */
struct sqlite3_stmt *db_fetch(struct db *db, enum query query);

/* Parameter `at` counts from 1. A text that is NULL is bound as NULL. Failures show in the run. */
void db_bind_number(struct db *db, struct sqlite3_stmt *statement, int at, int64_t value);
void db_bind_text(struct db *db, struct sqlite3_stmt *statement, int at, const char *text);

/* The next row: 1; none left: 0, and the statement is at rest; a negative error likewise. Who stops
 * before the end calls db_reset(). */
int db_next_row(struct db *db, struct sqlite3_stmt *statement);
void db_reset(struct sqlite3_stmt *statement);

/* Runs a change to its end: the number of rows changed, or 0 when exactly one must have been. */
int db_change(struct db *db, struct sqlite3_stmt *statement);
int db_change_one(struct db *db, struct sqlite3_stmt *statement, int error_when_none);

/* Columns of the row at hand, counted from 0. */
int64_t db_column_number(struct sqlite3_stmt *row, int at);
bool db_column_is_null(struct sqlite3_stmt *row, int at);
void db_column_text(struct sqlite3_stmt *row, int at, char *out, size_t size);
const char *db_column_word(struct sqlite3_stmt *row, int at); /* "" for NULL; until the next row */

/* ERROR_NOT_FOUND for a count of 0, 0 for more. */
int db_one_or_not_found(int count);

/* Ids rise for ever, also when the newest rows are gone. */
int db_counter_next(struct db *db, const char *name, int64_t *out);

/* States as they stand in the database. */
const char *db_kind_word(enum spool_kind kind);
enum spool_kind db_kind_parse(const char *word);
const char *db_bypass_word(enum spool_bypass bypass);
enum spool_bypass db_bypass_parse(const char *word);
const char *db_fax_state_word(int state);
int db_fax_state_parse(const char *word);
const char *db_delivery_state_word(enum spool_delivery_state state);
enum spool_delivery_state db_delivery_state_parse(const char *word);

#endif
