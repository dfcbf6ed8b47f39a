/* SPDX-License-Identifier: MIT */
/*
 * db.c - the connection: opening, migrating, transactions, running statements. The one file that
 * includes sqlite3.h.
 */
#include "spool/db.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "spool/db_statement.h"

enum { BUSY_WAIT_MS = 5000, LOG_AGAIN_MS = 60000 };

/* ---- the connection ----------------------------------------------------------------------------
 */

struct db {
    sqlite3 *handle;
    bool read_only;
    int bind_rc; /* the first bind that failed since the statement was fetched */
    struct {     /* the failure logged last */
        int error;
        char what[61];
        int64_t at_ms;
    } logged;
    sqlite3_stmt *statements[Q_COUNT];
};

static int error_from_sqlite(int rc, int system_errno)
{
    switch (rc & 0xff) {
    case SQLITE_FULL: return ERROR_FULL;
    case SQLITE_NOMEM: return ERROR_MEMORY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return ERROR_BUSY;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH: return ERROR_DENIED;
    case SQLITE_CANTOPEN: return ERROR_IO;
    case SQLITE_TOOBIG: return ERROR_LIMIT;
    case SQLITE_CONSTRAINT:
        return rc == SQLITE_CONSTRAINT_FOREIGNKEY ? ERROR_NOT_FOUND : ERROR_EXISTS;
    case SQLITE_IOERR:
        /* A quota or a file size limit reads as an I/O error, and sqlite3_system_errno() does not
         * know of a COMMIT that failed; errno does, which was 0 before the call. */
        return error_from_errno(system_errno) == ERROR_FULL ? ERROR_FULL : ERROR_IO;
    default: return ERROR_LIBRARY;
    }
}

/* Whoever meets a full disk tries again and again: the same failure is logged once in a while. */
static bool was_logged(struct db *db, int error, const char *what)
{
    int64_t now_ms = clock_monotonic_ms();
    char begin[sizeof db->logged.what];

    text_copy(begin, sizeof begin, what);
    if (db->logged.error == error && strcmp(db->logged.what, begin) == 0 &&
        now_ms - db->logged.at_ms < LOG_AGAIN_MS)
        return true;
    db->logged.error = error;
    db->logged.at_ms = now_ms;
    memcpy(db->logged.what, begin, sizeof begin);
    return false;
}

static int db_failure(struct db *db, const char *what)
{
    int rc = sqlite3_extended_errcode(db->handle);
    int system_errno = errno;
    int error = error_from_sqlite(rc, system_errno);

    if (was_logged(db, error, what))
        return error;
    if (error == ERROR_FULL)
        log_alert(
            "spool database full: statement=\"%.60s\" error=\"%s\" (nothing is lost; make room "
            "where the state folder lies)",
            what, sqlite3_errmsg(db->handle));
    else if (error == ERROR_LIBRARY)
        log_alert("spool database refuses: statement=\"%.60s\" code=%d error=\"%s\" (if it is "
                  "damaged: stop faxpost, restore or move away faxpost.db, see doc/SPOOL.md)",
                  what, rc, sqlite3_errmsg(db->handle));
    else
        log_error("spool database: statement=\"%.60s\" code=%d error=\"%s: %s\" (%s)", what, rc,
                  sqlite3_errmsg(db->handle), strerror(system_errno),
                  error == ERROR_IO ? "look at the disk of the state folder" : "not changed");
    errno = system_errno;
    return error;
}

static int execute(struct db *db, const char *sql)
{
    errno = 0;
    return sqlite3_exec(db->handle, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_failure(db, sql);
}

int db_open(struct db **out, const char *path, bool read_only)
{
    struct db *db = calloc(1, sizeof *db);
    int flags = SQLITE_OPEN_FULLMUTEX |
                (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    int error = 0;

    if (db == NULL)
        return ERROR_MEMORY;
    db->read_only = read_only;
    if (sqlite3_open_v2(path, &db->handle, flags, NULL) != SQLITE_OK) {
        log_error("spool database not opened: file=%s error=\"%s\"", path,
                  db->handle != NULL ? sqlite3_errmsg(db->handle) : "out of memory");
        error = db->handle == NULL ? ERROR_MEMORY : ERROR_IO;
    }
    if (error == 0) {
        sqlite3_extended_result_codes(db->handle, 1);
        sqlite3_busy_timeout(db->handle, BUSY_WAIT_MS);
        /* temp_store: a temporary file could fill a disk that nobody watches. */
        error = execute(db, "PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = ON;");
    }
    if (error == 0 && !read_only)
        error = execute(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                            "PRAGMA journal_size_limit = 16777216;");
    if (error < 0) {
        db_close(db);
        return error;
    }
    *out = db;
    return 0;
}

void db_close(struct db *db)
{
    int i;

    if (db == NULL)
        return;
    for (i = 0; i < Q_COUNT; i++)
        sqlite3_finalize(db->statements[i]);
    if (db->handle != NULL && sqlite3_close(db->handle) != SQLITE_OK)
        log_error("spool database not closed: error=\"%s\"", sqlite3_errmsg(db->handle));
    free(db);
}

static int schema_version(struct db *db, int *out)
{
    sqlite3_stmt *statement;
    int rc = sqlite3_prepare_v2(db->handle, "SELECT version FROM schema", -1, &statement, NULL);

    if (rc == SQLITE_ERROR) { /* no such table: a new file */
        *out = 0;
        return 0;
    }
    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    if (rc != SQLITE_ROW) {
        int error = db_failure(db, "SELECT version FROM schema");

        sqlite3_finalize(statement);
        return error;
    }
    *out = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return 0;
}

static int migrate_one(struct db *db, int version)
{
    char set[160];
    int error = execute(db, "BEGIN IMMEDIATE");

    snprintf(set, sizeof set,
             version == 0 ? "CREATE TABLE schema (version INTEGER NOT NULL);"
                            "INSERT INTO schema (version) VALUES (%d)"
                          : "UPDATE schema SET version = %d",
             version + 1);
    if (error == 0)
        error = execute(db, db_migrations[version]);
    if (error == 0)
        error = execute(db, set);
    if (error == 0)
        error = execute(db, "COMMIT");
    if (error < 0 && sqlite3_get_autocommit(db->handle) == 0)
        execute(db, "ROLLBACK");
    if (error == 0)
        log_info("spool schema: version=%d", version + 1);
    return error;
}

int db_migrate(struct db *db)
{
    int version = 0;
    int error = schema_version(db, &version);

    if (error < 0)
        return error;
    if (version > db_schema_version) {
        log_error("spool schema is newer than this program: version=%d known=%d (install the newer "
                  "faxpost again)",
                  version, db_schema_version);
        return ERROR_CONFIG;
    }
    if (version < db_schema_version && db->read_only) {
        log_error("spool schema is older than this program: version=%d known=%d (start faxpostd "
                  "once, it brings it up to date)",
                  version, db_schema_version);
        return ERROR_STATE;
    }
    for (; version < db_schema_version && error == 0; version++)
        error = migrate_one(db, version);
    return error;
}

/* ---- running statements ------------------------------------------------------------------------
 */

/* $i must be parameter i: SQLite counts in the order of first use, PostgreSQL by the number. */
static bool parameters_in_order(sqlite3_stmt *statement)
{
    char expected[16];
    int i;

    for (i = 1; i <= sqlite3_bind_parameter_count(statement); i++) {
        const char *name = sqlite3_bind_parameter_name(statement, i);

        snprintf(expected, sizeof expected, "$%d", i);
        if (name == NULL || strcmp(name, expected) != 0)
            return false;
    }
    return true;
}

/* A statement ready for its parameters, kept for the life of the connection; NULL: logged. */
sqlite3_stmt *db_fetch(struct db *db, enum query query)
{
    sqlite3_stmt **at = &db->statements[query];

    db->bind_rc = SQLITE_OK;
    if (*at == NULL) {
        if (sqlite3_prepare_v3(db->handle, db_queries[query], -1, SQLITE_PREPARE_PERSISTENT, at,
                               NULL) != SQLITE_OK) {
            db_failure(db, db_queries[query]);
            *at = NULL;
            return NULL;
        }
        if (!parameters_in_order(*at)) {
            log_alert("statement with parameters out of order: %.60s", db_queries[query]);
            sqlite3_finalize(*at);
            *at = NULL;
        }
    }
    return *at;
}

static void bind_rc(struct db *db, int rc)
{
    if (db->bind_rc == SQLITE_OK)
        db->bind_rc = rc;
}

void db_bind_number(struct db *db, sqlite3_stmt *statement, int at, int64_t value)
{
    if (statement != NULL)
        bind_rc(db, sqlite3_bind_int64(statement, at, value));
}

/* NULL is bound as NULL. */
void db_bind_text(struct db *db, sqlite3_stmt *statement, int at, const char *text)
{
    if (statement != NULL)
        bind_rc(db, sqlite3_bind_text(statement, at, text, -1, SQLITE_TRANSIENT));
}

void db_reset(sqlite3_stmt *statement)
{
    if (statement == NULL)
        return;
    sqlite3_reset(statement); /* its return value is the failure of the last step, known by then */
    sqlite3_clear_bindings(statement);
}

static int end_statement(struct db *db, sqlite3_stmt *statement, int result)
{
    if (result < 0 && statement != NULL)
        result = db_failure(db, sqlite3_sql(statement));
    db_reset(statement);
    return result;
}

/* The next row: 1; none left: 0, and the statement is at rest; a negative error likewise. */
int db_next_row(struct db *db, sqlite3_stmt *statement)
{
    int rc;

    if (statement == NULL)
        return ERROR_LIBRARY;
    if (db->bind_rc != SQLITE_OK)
        return end_statement(db, statement, ERROR_MEMORY);
    errno = 0;
    rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW)
        return 1;
    return end_statement(db, statement, rc == SQLITE_DONE ? 0 : ERROR_LIBRARY);
}

/* Runs a change to its end; gives the number of rows changed. */
int db_change(struct db *db, sqlite3_stmt *statement)
{
    int error;

    do
        error = db_next_row(db, statement);
    while (error > 0);
    return error < 0 ? error : sqlite3_changes(db->handle);
}

static int run(struct db *db, enum query query)
{
    int error = db_change(db, db_fetch(db, query));

    return error < 0 ? error : 0;
}

/* A change that must hit exactly one row. */
int db_change_one(struct db *db, sqlite3_stmt *statement, int error_when_none)
{
    int changed = db_change(db, statement);

    return changed < 0 ? changed : changed == 0 ? error_when_none : 0;
}

int64_t db_column_number(sqlite3_stmt *row, int at)
{
    return sqlite3_column_int64(row, at);
}

bool db_column_is_null(sqlite3_stmt *row, int at)
{
    return sqlite3_column_type(row, at) == SQLITE_NULL;
}

void db_column_text(sqlite3_stmt *row, int at, char *out, size_t size)
{
    text_copy(out, size, (const char *)sqlite3_column_text(row, at));
}

const char *db_column_word(sqlite3_stmt *row, int at)
{
    const char *word = (const char *)sqlite3_column_text(row, at);

    return word != NULL ? word : "";
}

int db_one_or_not_found(int count)
{
    return count < 0 ? count : count == 0 ? ERROR_NOT_FOUND : 0;
}

/* ---- transactions ------------------------------------------------------------------------------
 */

int db_begin(struct db *db)
{
    return run(db, Q_BEGIN);
}

int db_commit(struct db *db)
{
    int error = run(db, Q_COMMIT);

    if (error < 0)
        db_rollback(db);
    return error;
}

void db_rollback(struct db *db)
{
    if (db_in_transaction(db))
        run(db, Q_ROLLBACK);
}

int db_part_begin(struct db *db)
{
    return run(db, Q_PART_BEGIN);
}

int db_part_end(struct db *db, bool keep)
{
    int error = keep ? 0 : run(db, Q_PART_UNDO);

    return error < 0 ? error : run(db, Q_PART_KEEP);
}

bool db_in_transaction(const struct db *db)
{
    return sqlite3_get_autocommit(db->handle) == 0;
}

/* Ids rise for ever, also when the newest rows are gone. */
int db_counter_next(struct db *db, const char *name, int64_t *out)
{
    sqlite3_stmt *statement = db_fetch(db, Q_COUNTER_NEXT);
    int got;

    db_bind_text(db, statement, 1, name);
    got = db_next_row(db, statement);
    if (got <= 0)
        return got < 0 ? got : ERROR_LIBRARY;
    *out = sqlite3_column_int64(statement, 0);
    db_reset(statement);
    return 0;
}
