/* SPDX-License-Identifier: MIT */
/*
 * db.c - all SQL of faxpost, and the one file that includes sqlite3.h.
 *
 * The statements keep to what PostgreSQL understands too: parameters $1, $2 … in the order of their
 * first use, RETURNING, ON CONFLICT, ids from a table of counters instead of rowids, words for
 * states. What is SQLite's own stands in db_open() and in the transaction statements.
 */
#include "spool/db.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

enum { BUSY_WAIT_MS = 5000 };

/* ---- schema ------------------------------------------------------------------------------------
 */

/* The ladder: entry i leads from version i to i + 1. What has been released is never changed. */
static const char *const migrations[] = {
    "CREATE TABLE counter (name TEXT PRIMARY KEY, value BIGINT NOT NULL);"
    "INSERT INTO counter VALUES ('delivery', 0), ('attempt', 0);"
    "CREATE TABLE fax ("
    " fax_id TEXT PRIMARY KEY,"
    " state TEXT NOT NULL,"
    " taken_ms BIGINT NOT NULL,"
    " line TEXT NOT NULL, called TEXT NOT NULL, caller TEXT NOT NULL, caller_name TEXT NOT NULL,"
    " peer TEXT NOT NULL, call_ref TEXT NOT NULL,"
    " started_ms BIGINT NOT NULL, answered_ms BIGINT NOT NULL, ended_ms BIGINT NOT NULL,"
    " media TEXT NOT NULL, station TEXT NOT NULL, subaddress TEXT NOT NULL, sender TEXT NOT NULL,"
    " own_station TEXT NOT NULL, bit_rate INTEGER NOT NULL, ecm INTEGER NOT NULL,"
    " compression TEXT NOT NULL, pages INTEGER NOT NULL, unconfirmed INTEGER NOT NULL,"
    " verdict TEXT NOT NULL, call_error TEXT NOT NULL,"
    " route TEXT NOT NULL, message_id TEXT NOT NULL, envelope_from TEXT NOT NULL,"
    " message_bytes BIGINT NOT NULL, compose_failures INTEGER NOT NULL,"
    " compose_due_ms BIGINT NOT NULL, error TEXT NOT NULL);"
    "CREATE INDEX fax_state ON fax (state, compose_due_ms);"
    "CREATE INDEX fax_taken ON fax (taken_ms);"
    "CREATE TABLE page ("
    " fax_id TEXT NOT NULL REFERENCES fax ON DELETE CASCADE,"
    " name TEXT NOT NULL, number INTEGER NOT NULL, confirmed INTEGER NOT NULL,"
    " bytes BIGINT NOT NULL,"
    " PRIMARY KEY (fax_id, name));"
    "CREATE TABLE delivery ("
    " id BIGINT PRIMARY KEY,"
    " fax_id TEXT NOT NULL REFERENCES fax ON DELETE CASCADE,"
    " recipient TEXT NOT NULL,"
    " state TEXT NOT NULL,"
    " wish TEXT NOT NULL," /* what the operator asked for while it was being sent: cancel, hold */
    " created_ms BIGINT NOT NULL, due_ms BIGINT NOT NULL, lease_ms BIGINT NOT NULL,"
    " attempts INTEGER NOT NULL,"
    " last_server TEXT NOT NULL, last_reply TEXT NOT NULL, policy TEXT NOT NULL,"
    " uncertain INTEGER NOT NULL,"
    " UNIQUE (fax_id, recipient));"
    "CREATE INDEX delivery_due ON delivery (state, due_ms, id);"
    "CREATE TABLE attempt ("
    " id BIGINT PRIMARY KEY,"
    " delivery_id BIGINT NOT NULL REFERENCES delivery ON DELETE CASCADE,"
    " fax_id TEXT NOT NULL,"
    " time_ms BIGINT NOT NULL,"
    " server TEXT NOT NULL, address TEXT NOT NULL, step TEXT NOT NULL, result TEXT NOT NULL,"
    " reply TEXT NOT NULL);"
    "CREATE INDEX attempt_delivery ON attempt (delivery_id, id);"
    "CREATE INDEX attempt_fax ON attempt (fax_id, id);"
    "CREATE TABLE removal (fax_id TEXT PRIMARY KEY);" /* folders of faxes no longer recorded */
};

enum { SCHEMA_VERSION = sizeof migrations / sizeof migrations[0] };

/* ---- statements --------------------------------------------------------------------------------
 */

#define FAX_COLUMNS                                                                                \
    "fax_id, state, taken_ms, line, called, caller, caller_name, peer, call_ref, started_ms,"      \
    " answered_ms, ended_ms, media, station, subaddress, sender, own_station, bit_rate, ecm,"      \
    " compression, pages, unconfirmed, verdict, call_error, route, message_id, compose_failures,"  \
    " error"

#define DELIVERY_COLUMNS                                                                           \
    "d.id, d.fax_id, d.recipient, f.envelope_from, f.message_bytes, d.state, d.created_ms,"        \
    " d.due_ms, d.attempts, d.last_server, d.last_reply, d.policy, d.uncertain"

#define ATTEMPT_COLUMNS                                                                            \
    "a.id, a.delivery_id, a.time_ms, a.fax_id, d.recipient, a.server, a.address, a.step, "         \
    "a.result,"                                                                                    \
    " a.reply"

/* What comes of a delivery that would be due again, if the operator asked for something else while
 * it was being sent. */
#define WISHED_STATE(state)                                                                        \
    "CASE WHEN " state " = 'due' AND wish = 'cancel' THEN 'cancelled'"                             \
    " WHEN " state " = 'due' AND wish = 'hold' THEN 'held' ELSE " state " END"

enum query {
    Q_BEGIN,
    Q_COMMIT,
    Q_ROLLBACK,
    Q_PART_BEGIN,
    Q_PART_KEEP,
    Q_PART_UNDO,
    Q_COUNTER_NEXT,
    Q_FAX_INSERT,
    Q_PAGE_INSERT,
    Q_FAX_GET,
    Q_FAX_LIST,
    Q_FAX_TO_COMPOSE,
    Q_FAX_COMPOSE_FAILED,
    Q_FAX_COMPOSED,
    Q_FAX_EXPIRED,
    Q_FAX_DELETE,
    Q_REMOVAL_INSERT,
    Q_REMOVAL_LIST,
    Q_REMOVAL_DONE,
    Q_DELIVERY_INSERT,
    Q_DELIVERY_LIST,
    Q_DELIVERY_GET,
    Q_CLAIM_FIND,
    Q_CLAIM,
    Q_EXTEND,
    Q_FINISH,
    Q_LEASE_OVER,
    Q_UNCERTAIN,
    Q_RETRY_WAITING,
    Q_RETRY_ENDED,
    Q_CANCEL,
    Q_HOLD,
    Q_RELEASE,
    Q_WAKE_ALL,
    Q_NEXT_DUE,
    Q_ATTEMPT_INSERT,
    Q_ATTEMPT_COUNTED,
    Q_ATTEMPT_LIST,
    Q_ATTEMPT_LIST_FAX,
    Q_ATTEMPT_TAIL,
    Q_COUNT_FAXES,
    Q_COUNT_DELIVERIES,
    Q_COUNT
};

static const char *const queries[Q_COUNT] = {
    [Q_BEGIN] = "BEGIN",
    [Q_COMMIT] = "COMMIT",
    [Q_ROLLBACK] = "ROLLBACK",
    [Q_PART_BEGIN] = "SAVEPOINT part",
    [Q_PART_KEEP] = "RELEASE SAVEPOINT part",
    [Q_PART_UNDO] = "ROLLBACK TO SAVEPOINT part",
    [Q_COUNTER_NEXT] = "UPDATE counter SET value = value + 1 WHERE name = $1 RETURNING value",

    [Q_FAX_INSERT] =
        "INSERT INTO fax (" FAX_COLUMNS ", envelope_from, message_bytes, compose_due_ms) VALUES"
        " ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,"
        " $20, $21, $22, $23, $24, '', '', 0, '', '', 0, 0)",
    [Q_PAGE_INSERT] = "INSERT INTO page (fax_id, name, number, confirmed, bytes)"
                      " VALUES ($1, $2, $3, $4, $5)",
    [Q_FAX_GET] = "SELECT " FAX_COLUMNS " FROM fax WHERE fax_id = $1",
    [Q_FAX_LIST] = "SELECT " FAX_COLUMNS " FROM fax WHERE fax_id < $1"
                   " ORDER BY fax_id DESC LIMIT $2",
    [Q_FAX_TO_COMPOSE] = "SELECT " FAX_COLUMNS " FROM fax"
                         " WHERE state = 'taken' AND compose_due_ms <= $1 ORDER BY fax_id LIMIT 1",
    [Q_FAX_COMPOSE_FAILED] = "UPDATE fax SET compose_failures = compose_failures + 1, error = $1,"
                             " compose_due_ms = $2 WHERE fax_id = $3 AND state = 'taken'",
    [Q_FAX_COMPOSED] = "UPDATE fax SET state = 'composed', route = $1, message_id = $2,"
                       " envelope_from = $3, message_bytes = $4"
                       " WHERE fax_id = $5 AND state = 'taken'",
    [Q_FAX_EXPIRED] = "SELECT fax_id FROM fax WHERE taken_ms < $1 AND state <> 'taken'"
                      " AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.fax_id = fax.fax_id"
                      " AND delivery.state IN ('due', 'sending', 'held'))"
                      " ORDER BY taken_ms LIMIT $2",
    [Q_FAX_DELETE] = "DELETE FROM fax WHERE fax_id = $1",
    [Q_REMOVAL_INSERT] = "INSERT INTO removal (fax_id) VALUES ($1) ON CONFLICT DO NOTHING",
    [Q_REMOVAL_LIST] = "SELECT fax_id FROM removal ORDER BY fax_id LIMIT $1",
    [Q_REMOVAL_DONE] = "DELETE FROM removal WHERE fax_id = $1",

    [Q_DELIVERY_INSERT] =
        "INSERT INTO delivery (id, fax_id, recipient, state, wish, created_ms, due_ms, lease_ms,"
        " attempts, last_server, last_reply, policy, uncertain)"
        " VALUES ($1, $2, $3, 'due', '', $4, $4, 0, 0, '', '', '', 0)"
        " ON CONFLICT (fax_id, recipient) DO NOTHING",
    [Q_DELIVERY_LIST] = "SELECT " DELIVERY_COLUMNS " FROM delivery d"
                        " JOIN fax f ON f.fax_id = d.fax_id WHERE d.fax_id = $1"
                        " ORDER BY d.id LIMIT $2",
    [Q_DELIVERY_GET] = "SELECT " DELIVERY_COLUMNS " FROM delivery d"
                       " JOIN fax f ON f.fax_id = d.fax_id WHERE d.id = $1",
    [Q_CLAIM_FIND] = "SELECT id FROM delivery WHERE state = 'due' AND due_ms <= $1"
                     " ORDER BY due_ms, id LIMIT $2",
    [Q_CLAIM] = "UPDATE delivery SET state = 'sending', lease_ms = $1"
                " WHERE id = $2 AND state = 'due'",
    [Q_EXTEND] = "UPDATE delivery SET lease_ms = $1 WHERE id = $2 AND state = 'sending'",
    [Q_FINISH] = "UPDATE delivery SET state = " WISHED_STATE(
        "$1") ", due_ms = $2,"
              " policy = COALESCE($3, policy), last_server = COALESCE($4, last_server),"
              " last_reply = COALESCE($5, last_reply),"
              " uncertain = CASE WHEN $6 = 1 THEN 1 ELSE uncertain END, wish = '', lease_ms = 0"
              " WHERE id = $7 AND (state = 'sending' OR ($1 = 'done' AND state <> 'done'))",
    [Q_LEASE_OVER] = "SELECT id, last_server FROM delivery WHERE state = 'sending'"
                     " AND lease_ms <= $1 ORDER BY id LIMIT $2",
    [Q_UNCERTAIN] = "UPDATE delivery SET state = " WISHED_STATE(
        "'due'") ", due_ms = $1,"
                 " uncertain = 1, wish = '', lease_ms = 0 WHERE id = $2",

    [Q_RETRY_WAITING] = "UPDATE delivery SET due_ms = $1 WHERE fax_id = $2 AND state = 'due'",
    [Q_RETRY_ENDED] =
        "UPDATE delivery SET state = 'due', due_ms = $1, created_ms = $1, policy = '',"
        " wish = '' WHERE fax_id = $2 AND state IN ('failed', 'cancelled')",
    [Q_CANCEL] = "UPDATE delivery SET"
                 " wish = CASE WHEN state = 'sending' THEN 'cancel' ELSE '' END,"
                 " state = CASE WHEN state = 'sending' THEN state ELSE 'cancelled' END"
                 " WHERE fax_id = $1 AND state IN ('due', 'held', 'sending')",
    [Q_HOLD] = "UPDATE delivery SET"
               " wish = CASE WHEN state = 'sending' THEN 'hold' ELSE '' END,"
               " state = CASE WHEN state = 'sending' THEN state ELSE 'held' END"
               " WHERE fax_id = $1 AND (state = 'due' OR (state = 'sending' AND wish <> 'cancel'))",
    [Q_RELEASE] = "UPDATE delivery SET wish = '',"
                  " due_ms = CASE WHEN state = 'held' THEN $1 ELSE due_ms END,"
                  " state = CASE WHEN state = 'held' THEN 'due' ELSE state END"
                  " WHERE fax_id = $2"
                  " AND (state = 'held' OR (state = 'sending' AND wish = 'hold'))",
    [Q_WAKE_ALL] = "UPDATE delivery SET due_ms = $1 WHERE state = 'due' AND due_ms > $1",
    [Q_NEXT_DUE] = "SELECT (SELECT MIN(due_ms) FROM delivery WHERE state = 'due'),"
                   " (SELECT MIN(lease_ms) FROM delivery WHERE state = 'sending')",

    [Q_ATTEMPT_INSERT] = "INSERT INTO attempt (id, delivery_id, fax_id, time_ms, server, address,"
                         " step, result, reply)"
                         " SELECT $1, id, fax_id, $2, $3, $4, $5, $6, $7"
                         " FROM delivery WHERE id = $8",
    [Q_ATTEMPT_COUNTED] = "UPDATE delivery SET attempts = attempts + 1,"
                          " last_server = CASE WHEN $1 = '' THEN last_server ELSE $1 END"
                          " WHERE id = $2",
    [Q_ATTEMPT_LIST] = "SELECT " ATTEMPT_COLUMNS " FROM attempt a"
                       " JOIN delivery d ON d.id = a.delivery_id"
                       " WHERE a.id > $1 AND ($2 = '' OR a.server = $2) ORDER BY a.id LIMIT $3",
    [Q_ATTEMPT_LIST_FAX] = "SELECT " ATTEMPT_COLUMNS " FROM attempt a"
                           " JOIN delivery d ON d.id = a.delivery_id"
                           " WHERE a.id > $1 AND ($2 = '' OR a.server = $2) AND a.fax_id = $3"
                           " ORDER BY a.id LIMIT $4",
    [Q_ATTEMPT_TAIL] = "SELECT id FROM attempt ORDER BY id DESC LIMIT 1 OFFSET $1",
    [Q_COUNT_FAXES] = "SELECT state, COUNT(*) FROM fax GROUP BY state",
    [Q_COUNT_DELIVERIES] = "SELECT state, COUNT(*) FROM delivery GROUP BY state",
};

/* ---- words -------------------------------------------------------------------------------------
 */

static const char *const fax_states[] = {
    [SPOOL_FAX_TAKEN] = "taken",
    [SPOOL_FAX_COMPOSED] = "composed",
    [SPOOL_FAX_EMPTY] = "empty",
};

static const char *const delivery_states[] = {
    [SPOOL_DUE] = "due",   [SPOOL_SENDING] = "sending", [SPOOL_HELD] = "held",
    [SPOOL_DONE] = "done", [SPOOL_FAILED] = "failed",   [SPOOL_CANCELLED] = "cancelled",
};

enum {
    FAX_STATES = sizeof fax_states / sizeof fax_states[0],
    DELIVERY_STATES = sizeof delivery_states / sizeof delivery_states[0],
};

static int word_index(const char *const *words, int count, const char *word)
{
    int i;

    for (i = 0; i < count; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    return 0;
}

/* ---- the connection ----------------------------------------------------------------------------
 */

struct db {
    sqlite3 *handle;
    bool read_only;
    int bind_rc; /* the first bind that failed since the statement was fetched */
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

static int db_failure(struct db *db, const char *what)
{
    int rc = sqlite3_extended_errcode(db->handle);
    int system_errno = errno;
    int error = error_from_sqlite(rc, system_errno);

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
        error = execute(db, migrations[version]);
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
    if (version > SCHEMA_VERSION) {
        log_error("spool schema is newer than this program: version=%d known=%d (install the newer "
                  "faxpost again)",
                  version, SCHEMA_VERSION);
        return ERROR_CONFIG;
    }
    if (version < SCHEMA_VERSION && db->read_only) {
        log_error("spool schema is older than this program: version=%d known=%d (start faxpostd "
                  "once, it brings it up to date)",
                  version, SCHEMA_VERSION);
        return ERROR_STATE;
    }
    for (; version < SCHEMA_VERSION && error == 0; version++)
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
static sqlite3_stmt *fetch(struct db *db, enum query query)
{
    sqlite3_stmt **at = &db->statements[query];

    db->bind_rc = SQLITE_OK;
    if (*at == NULL) {
        if (sqlite3_prepare_v3(db->handle, queries[query], -1, SQLITE_PREPARE_PERSISTENT, at,
                               NULL) != SQLITE_OK) {
            db_failure(db, queries[query]);
            *at = NULL;
            return NULL;
        }
        if (!parameters_in_order(*at)) {
            log_alert("statement with parameters out of order: %.60s", queries[query]);
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

static void bind_number(struct db *db, sqlite3_stmt *statement, int at, int64_t value)
{
    if (statement != NULL)
        bind_rc(db, sqlite3_bind_int64(statement, at, value));
}

/* NULL is bound as NULL. */
static void bind_text(struct db *db, sqlite3_stmt *statement, int at, const char *text)
{
    if (statement != NULL)
        bind_rc(db, sqlite3_bind_text(statement, at, text, -1, SQLITE_TRANSIENT));
}

static int finish_statement(struct db *db, sqlite3_stmt *statement, int result)
{
    if (result < 0 && statement != NULL)
        result = db_failure(db, sqlite3_sql(statement));
    if (statement != NULL) {
        sqlite3_reset(statement);
        sqlite3_clear_bindings(statement);
    }
    return result;
}

/* The next row: 1; none left: 0, and the statement is at rest; a negative error likewise. */
static int next_row(struct db *db, sqlite3_stmt *statement)
{
    int rc;

    if (statement == NULL)
        return ERROR_LIBRARY;
    if (db->bind_rc != SQLITE_OK)
        return finish_statement(db, statement, ERROR_MEMORY);
    errno = 0;
    rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW)
        return 1;
    return finish_statement(db, statement, rc == SQLITE_DONE ? 0 : ERROR_LIBRARY);
}

/* Runs a change to its end; gives the number of rows changed. */
static int change(struct db *db, sqlite3_stmt *statement)
{
    int error;

    do
        error = next_row(db, statement);
    while (error > 0);
    return error < 0 ? error : sqlite3_changes(db->handle);
}

static int run(struct db *db, enum query query)
{
    int error = change(db, fetch(db, query));

    return error < 0 ? error : 0;
}

/* A change that must hit exactly one row. */
static int change_one(struct db *db, sqlite3_stmt *statement, int error_when_none)
{
    int changed = change(db, statement);

    return changed < 0 ? changed : changed == 0 ? error_when_none : 0;
}

static void column_text(sqlite3_stmt *statement, int at, char *out, size_t size)
{
    text_copy(out, size, (const char *)sqlite3_column_text(statement, at));
}

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
static int counter_next(struct db *db, const char *name, int64_t *out)
{
    sqlite3_stmt *statement = fetch(db, Q_COUNTER_NEXT);
    int got;

    bind_text(db, statement, 1, name);
    got = next_row(db, statement);
    if (got <= 0)
        return got < 0 ? got : ERROR_LIBRARY;
    *out = sqlite3_column_int64(statement, 0);
    return finish_statement(db, statement, 0);
}

/* ---- faxes -------------------------------------------------------------------------------------
 */

int db_fax_insert(struct db *db, const struct spool_fax *fax, const struct db_page *pages,
                  int page_count)
{
    const struct call_info *call = &fax->call;
    sqlite3_stmt *statement = fetch(db, Q_FAX_INSERT);
    int error;
    int i;

    bind_text(db, statement, 1, call->fax_id);
    bind_text(db, statement, 2, fax_states[fax->state]);
    bind_number(db, statement, 3, fax->taken_ms);
    bind_text(db, statement, 4, call->line);
    bind_text(db, statement, 5, call->called);
    bind_text(db, statement, 6, call->caller);
    bind_text(db, statement, 7, call->caller_name);
    bind_text(db, statement, 8, call->peer);
    bind_text(db, statement, 9, call->call_ref);
    bind_number(db, statement, 10, call->started_ms);
    bind_number(db, statement, 11, call->answered_ms);
    bind_number(db, statement, 12, call->ended_ms);
    bind_text(db, statement, 13, call_media_text(call->media));
    bind_text(db, statement, 14, call->station);
    bind_text(db, statement, 15, call->subaddress);
    bind_text(db, statement, 16, call->sender);
    bind_text(db, statement, 17, call->own_station);
    bind_number(db, statement, 18, call->bit_rate);
    bind_number(db, statement, 19, call->ecm);
    bind_text(db, statement, 20, call->compression);
    bind_number(db, statement, 21, call->pages);
    bind_number(db, statement, 22, call->unconfirmed);
    bind_text(db, statement, 23, call_verdict_text(call->verdict));
    bind_text(db, statement, 24, call->error);
    error = change_one(db, statement, ERROR_LIBRARY);
    for (i = 0; i < page_count && error == 0; i++) {
        statement = fetch(db, Q_PAGE_INSERT);
        bind_text(db, statement, 1, call->fax_id);
        bind_text(db, statement, 2, pages[i].name);
        bind_number(db, statement, 3, pages[i].number);
        bind_number(db, statement, 4, pages[i].confirmed);
        bind_number(db, statement, 5, pages[i].bytes);
        error = change_one(db, statement, ERROR_LIBRARY);
    }
    return error;
}

/* The columns of FAX_COLUMNS. */
static void read_fax(sqlite3_stmt *row, struct spool_fax *out)
{
    struct call_info *call = &out->call;

    memset(out, 0, sizeof *out);
    column_text(row, 0, call->fax_id, sizeof call->fax_id);
    out->state = word_index(fax_states, FAX_STATES, (const char *)sqlite3_column_text(row, 1));
    out->taken_ms = sqlite3_column_int64(row, 2);
    column_text(row, 3, call->line, sizeof call->line);
    column_text(row, 4, call->called, sizeof call->called);
    column_text(row, 5, call->caller, sizeof call->caller);
    column_text(row, 6, call->caller_name, sizeof call->caller_name);
    column_text(row, 7, call->peer, sizeof call->peer);
    column_text(row, 8, call->call_ref, sizeof call->call_ref);
    call->started_ms = sqlite3_column_int64(row, 9);
    call->answered_ms = sqlite3_column_int64(row, 10);
    call->ended_ms = sqlite3_column_int64(row, 11);
    call_media_parse(&call->media, (const char *)sqlite3_column_text(row, 12));
    column_text(row, 13, call->station, sizeof call->station);
    column_text(row, 14, call->subaddress, sizeof call->subaddress);
    column_text(row, 15, call->sender, sizeof call->sender);
    column_text(row, 16, call->own_station, sizeof call->own_station);
    call->bit_rate = sqlite3_column_int(row, 17);
    call->ecm = sqlite3_column_int(row, 18) != 0;
    column_text(row, 19, call->compression, sizeof call->compression);
    call->pages = sqlite3_column_int(row, 20);
    call->unconfirmed = sqlite3_column_int(row, 21);
    call_verdict_parse(&call->verdict, (const char *)sqlite3_column_text(row, 22));
    column_text(row, 23, call->error, sizeof call->error);
    column_text(row, 24, out->route, sizeof out->route);
    column_text(row, 25, out->message_id, sizeof out->message_id);
    out->compose_failures = sqlite3_column_int(row, 26);
    column_text(row, 27, out->error, sizeof out->error);
}

/* All rows of a statement of FAX_COLUMNS; gives the number. */
static int read_faxes(struct db *db, sqlite3_stmt *statement, struct spool_fax *out, int most)
{
    int count = 0;
    int got;

    while ((got = next_row(db, statement)) > 0)
        if (count < most)
            read_fax(statement, &out[count++]);
    return got < 0 ? got : count;
}

static int one_or_not_found(int count)
{
    return count < 0 ? count : count == 0 ? ERROR_NOT_FOUND : 0;
}

int db_fax_get(struct db *db, const char *fax_id, struct spool_fax *out)
{
    sqlite3_stmt *statement = fetch(db, Q_FAX_GET);

    bind_text(db, statement, 1, fax_id);
    return one_or_not_found(read_faxes(db, statement, out, 1));
}

int db_fax_list(struct db *db, const char *before, struct spool_fax *out, int most)
{
    sqlite3_stmt *statement = fetch(db, Q_FAX_LIST);

    bind_text(db, statement, 1, before != NULL ? before : "~"); /* above every identity */
    bind_number(db, statement, 2, most);
    return read_faxes(db, statement, out, most);
}

int db_fax_to_compose(struct db *db, int64_t now_ms, struct spool_fax *out)
{
    sqlite3_stmt *statement = fetch(db, Q_FAX_TO_COMPOSE);

    bind_number(db, statement, 1, now_ms);
    return one_or_not_found(read_faxes(db, statement, out, 1));
}

int db_fax_compose_failed(struct db *db, const char *fax_id, const char *why, int64_t due_ms)
{
    sqlite3_stmt *statement = fetch(db, Q_FAX_COMPOSE_FAILED);

    bind_text(db, statement, 1, why);
    bind_number(db, statement, 2, due_ms);
    bind_text(db, statement, 3, fax_id);
    return change_one(db, statement, ERROR_NOT_FOUND);
}

int db_fax_composed(struct db *db, const char *fax_id, const char *route, const char *message_id,
                    const char *envelope_from, int64_t message_bytes)
{
    sqlite3_stmt *statement = fetch(db, Q_FAX_COMPOSED);
    struct spool_fax fax;
    int error;

    bind_text(db, statement, 1, route);
    bind_text(db, statement, 2, message_id);
    bind_text(db, statement, 3, envelope_from);
    bind_number(db, statement, 4, message_bytes);
    bind_text(db, statement, 5, fax_id);
    error = change_one(db, statement, ERROR_STATE);
    if (error == ERROR_STATE && db_fax_get(db, fax_id, &fax) == ERROR_NOT_FOUND)
        error = ERROR_NOT_FOUND;
    return error;
}

static int read_ids(struct db *db, sqlite3_stmt *statement, char (*out)[FAX_ID_MAX], int most)
{
    int count = 0;
    int got;

    while ((got = next_row(db, statement)) > 0)
        if (count < most)
            column_text(statement, 0, out[count++], FAX_ID_MAX);
    return got < 0 ? got : count;
}

int db_fax_expired(struct db *db, int64_t before_ms, char (*out)[FAX_ID_MAX], int most)
{
    sqlite3_stmt *statement = fetch(db, Q_FAX_EXPIRED);

    bind_number(db, statement, 1, before_ms);
    bind_number(db, statement, 2, most);
    return read_ids(db, statement, out, most);
}

int db_fax_delete(struct db *db, const char *fax_id)
{
    sqlite3_stmt *statement = fetch(db, Q_FAX_DELETE);
    int error;

    bind_text(db, statement, 1, fax_id);
    error = change_one(db, statement, ERROR_NOT_FOUND);
    if (error < 0)
        return error;
    statement = fetch(db, Q_REMOVAL_INSERT);
    bind_text(db, statement, 1, fax_id);
    error = change(db, statement);
    return error < 0 ? error : 0;
}

int db_removal_list(struct db *db, char (*out)[FAX_ID_MAX], int most)
{
    sqlite3_stmt *statement = fetch(db, Q_REMOVAL_LIST);

    bind_number(db, statement, 1, most);
    return read_ids(db, statement, out, most);
}

int db_removal_done(struct db *db, const char *fax_id)
{
    sqlite3_stmt *statement = fetch(db, Q_REMOVAL_DONE);
    int error;

    bind_text(db, statement, 1, fax_id);
    error = change(db, statement);
    return error < 0 ? error : 0;
}

/* ---- deliveries --------------------------------------------------------------------------------
 */

int db_delivery_insert(struct db *db, const char *fax_id, const char *recipient, int64_t now_ms)
{
    sqlite3_stmt *statement;
    int64_t id = 0;
    int error = counter_next(db, "delivery", &id);

    if (error < 0)
        return error;
    statement = fetch(db, Q_DELIVERY_INSERT);
    bind_number(db, statement, 1, id);
    bind_text(db, statement, 2, fax_id);
    bind_text(db, statement, 3, recipient);
    bind_number(db, statement, 4, now_ms);
    error = change(db, statement);
    return error < 0 ? error : 0;
}

/* The columns of DELIVERY_COLUMNS. */
static void read_delivery(sqlite3_stmt *row, struct spool_delivery *out)
{
    memset(out, 0, sizeof *out);
    out->id = sqlite3_column_int64(row, 0);
    column_text(row, 1, out->fax_id, sizeof out->fax_id);
    column_text(row, 2, out->recipient, sizeof out->recipient);
    column_text(row, 3, out->envelope_from, sizeof out->envelope_from);
    out->message_bytes = sqlite3_column_int64(row, 4);
    out->state = (enum spool_delivery_state)word_index(delivery_states, DELIVERY_STATES,
                                                       (const char *)sqlite3_column_text(row, 5));
    out->created_ms = sqlite3_column_int64(row, 6);
    out->due_ms = sqlite3_column_int64(row, 7);
    out->attempts = sqlite3_column_int(row, 8);
    column_text(row, 9, out->last_server, sizeof out->last_server);
    column_text(row, 10, out->last_reply, sizeof out->last_reply);
    column_text(row, 11, out->policy, sizeof out->policy);
    out->uncertain = sqlite3_column_int(row, 12) != 0;
}

static int read_deliveries(struct db *db, sqlite3_stmt *statement, struct spool_delivery *out,
                           int most)
{
    int count = 0;
    int got;

    while ((got = next_row(db, statement)) > 0)
        if (count < most)
            read_delivery(statement, &out[count++]);
    return got < 0 ? got : count;
}

int db_delivery_list(struct db *db, const char *fax_id, struct spool_delivery *out, int most)
{
    sqlite3_stmt *statement = fetch(db, Q_DELIVERY_LIST);

    bind_text(db, statement, 1, fax_id);
    bind_number(db, statement, 2, most);
    return read_deliveries(db, statement, out, most);
}

static int claim_one(struct db *db, int64_t id, int64_t lease_ms, struct spool_delivery *out)
{
    sqlite3_stmt *statement = fetch(db, Q_CLAIM);
    int error;

    bind_number(db, statement, 1, lease_ms);
    bind_number(db, statement, 2, id);
    error = change_one(db, statement, ERROR_STATE);
    if (error < 0)
        return error;
    statement = fetch(db, Q_DELIVERY_GET);
    bind_number(db, statement, 1, id);
    return one_or_not_found(read_deliveries(db, statement, out, 1));
}

int db_claim(struct db *db, int64_t now_ms, int64_t lease_ms, struct spool_delivery *out, int most)
{
    sqlite3_stmt *statement = fetch(db, Q_CLAIM_FIND);
    int count = 0;
    int error = 0;
    int got;
    int i;

    bind_number(db, statement, 1, now_ms);
    bind_number(db, statement, 2, most);
    while ((got = next_row(db, statement)) > 0)
        if (count < most)
            out[count++].id = sqlite3_column_int64(statement, 0);
    if (got < 0)
        return got;
    for (i = 0; i < count && error == 0; i++)
        error = claim_one(db, out[i].id, lease_ms, &out[i]);
    return error < 0 ? error : count;
}

int db_extend(struct db *db, int64_t delivery_id, int64_t until_ms)
{
    sqlite3_stmt *statement = fetch(db, Q_EXTEND);

    bind_number(db, statement, 1, until_ms);
    bind_number(db, statement, 2, delivery_id);
    return change_one(db, statement, ERROR_STATE);
}

int db_finish(struct db *db, const struct spool_result *result)
{
    sqlite3_stmt *statement = fetch(db, Q_FINISH);
    struct spool_attempt attempt;
    int error;

    bind_text(db, statement, 1, delivery_states[result->state]);
    bind_number(db, statement, 2, result->due_ms);
    bind_text(db, statement, 3, result->policy);
    bind_text(db, statement, 4, result->server);
    bind_text(db, statement, 5, result->reply);
    bind_number(db, statement, 6, result->uncertain);
    bind_number(db, statement, 7, result->delivery_id);
    error = change_one(db, statement, ERROR_STATE);
    if (error < 0 || result->attempt == NULL)
        return error;
    attempt = *result->attempt;
    attempt.delivery_id = result->delivery_id;
    return db_attempt_insert(db, &attempt);
}

static int uncertain_one(struct db *db, const struct spool_attempt *attempt)
{
    sqlite3_stmt *statement;
    int error = db_attempt_insert(db, attempt);

    if (error < 0)
        return error;
    statement = fetch(db, Q_UNCERTAIN);
    bind_number(db, statement, 1, attempt->time_ms);
    bind_number(db, statement, 2, attempt->delivery_id);
    return change_one(db, statement, ERROR_STATE);
}

int db_uncertain(struct db *db, int64_t lease_ms, int64_t now_ms, const char *why)
{
    struct spool_attempt attempt;
    int count = 0;
    int error = 0;

    memset(&attempt, 0, sizeof attempt);
    attempt.time_ms = now_ms;
    text_copy(attempt.step, sizeof attempt.step, "S5");
    text_copy(attempt.result, sizeof attempt.result, "uncertain");
    text_copy(attempt.reply, sizeof attempt.reply, why);
    while (error == 0) {
        sqlite3_stmt *statement = fetch(db, Q_LEASE_OVER);
        int got;

        bind_number(db, statement, 1, lease_ms);
        bind_number(db, statement, 2, 1); /* the row leaves this set in the next step */
        got = next_row(db, statement);
        if (got <= 0)
            return got < 0 ? got : count;
        attempt.delivery_id = sqlite3_column_int64(statement, 0);
        column_text(statement, 1, attempt.server, sizeof attempt.server);
        finish_statement(db, statement, 0);
        error = uncertain_one(db, &attempt);
        count++;
    }
    return error;
}

/* ---- what the operator asks for ----------------------------------------------------------------
 */

static int change_at(struct db *db, enum query query, int64_t now_ms, const char *fax_id)
{
    sqlite3_stmt *statement = fetch(db, query);

    bind_number(db, statement, 1, now_ms);
    bind_text(db, statement, 2, fax_id);
    return change(db, statement);
}

static int change_fax(struct db *db, enum query query, const char *fax_id)
{
    sqlite3_stmt *statement = fetch(db, query);

    bind_text(db, statement, 1, fax_id);
    return change(db, statement);
}

int db_retry(struct db *db, const char *fax_id, int64_t now_ms)
{
    int waiting = change_at(db, Q_RETRY_WAITING, now_ms, fax_id);
    int ended;

    if (waiting < 0)
        return waiting;
    ended = change_at(db, Q_RETRY_ENDED, now_ms, fax_id);
    return ended < 0 ? ended : waiting + ended;
}

int db_cancel(struct db *db, const char *fax_id)
{
    return change_fax(db, Q_CANCEL, fax_id);
}

int db_hold(struct db *db, const char *fax_id, bool hold, int64_t now_ms)
{
    return hold ? change_fax(db, Q_HOLD, fax_id) : change_at(db, Q_RELEASE, now_ms, fax_id);
}

int db_wake_all(struct db *db, int64_t now_ms)
{
    sqlite3_stmt *statement = fetch(db, Q_WAKE_ALL);

    bind_number(db, statement, 1, now_ms);
    return change(db, statement);
}

int db_next_due(struct db *db, int64_t *out_ms)
{
    sqlite3_stmt *statement = fetch(db, Q_NEXT_DUE);
    int64_t due = INT64_MAX;
    int got = next_row(db, statement);
    int i;

    if (got <= 0)
        return got < 0 ? got : ERROR_LIBRARY;
    for (i = 0; i < 2; i++)
        if (sqlite3_column_type(statement, i) != SQLITE_NULL &&
            sqlite3_column_int64(statement, i) < due)
            due = sqlite3_column_int64(statement, i);
    *out_ms = due;
    return finish_statement(db, statement, 0);
}

/* ---- the transmission log ----------------------------------------------------------------------
 */

int db_attempt_insert(struct db *db, const struct spool_attempt *attempt)
{
    sqlite3_stmt *statement;
    int64_t id = 0;
    int error = counter_next(db, "attempt", &id);

    if (error < 0)
        return error;
    statement = fetch(db, Q_ATTEMPT_INSERT);
    bind_number(db, statement, 1, id);
    bind_number(db, statement, 2, attempt->time_ms != 0 ? attempt->time_ms : clock_wall_ms());
    bind_text(db, statement, 3, attempt->server);
    bind_text(db, statement, 4, attempt->address);
    bind_text(db, statement, 5, attempt->step);
    bind_text(db, statement, 6, attempt->result);
    bind_text(db, statement, 7, attempt->reply);
    bind_number(db, statement, 8, attempt->delivery_id);
    error = change_one(db, statement, ERROR_NOT_FOUND);
    if (error < 0)
        return error;
    statement = fetch(db, Q_ATTEMPT_COUNTED);
    bind_text(db, statement, 1, attempt->server);
    bind_number(db, statement, 2, attempt->delivery_id);
    return change_one(db, statement, ERROR_NOT_FOUND);
}

int db_attempt_list(struct db *db, int64_t after, const char *fax_id, const char *server,
                    struct spool_attempt *out, int most)
{
    sqlite3_stmt *row = fetch(db, fax_id != NULL ? Q_ATTEMPT_LIST_FAX : Q_ATTEMPT_LIST);
    int count = 0;
    int got;

    bind_number(db, row, 1, after);
    bind_text(db, row, 2, server != NULL ? server : "");
    if (fax_id != NULL)
        bind_text(db, row, 3, fax_id);
    bind_number(db, row, fax_id != NULL ? 4 : 3, most);
    while ((got = next_row(db, row)) > 0) {
        struct spool_attempt *attempt = &out[count];

        if (count == most)
            continue;
        memset(attempt, 0, sizeof *attempt);
        attempt->id = sqlite3_column_int64(row, 0);
        attempt->delivery_id = sqlite3_column_int64(row, 1);
        attempt->time_ms = sqlite3_column_int64(row, 2);
        column_text(row, 3, attempt->fax_id, sizeof attempt->fax_id);
        column_text(row, 4, attempt->recipient, sizeof attempt->recipient);
        column_text(row, 5, attempt->server, sizeof attempt->server);
        column_text(row, 6, attempt->address, sizeof attempt->address);
        column_text(row, 7, attempt->step, sizeof attempt->step);
        column_text(row, 8, attempt->result, sizeof attempt->result);
        column_text(row, 9, attempt->reply, sizeof attempt->reply);
        count++;
    }
    return got < 0 ? got : count;
}

int db_attempt_tail(struct db *db, int count, int64_t *out_id)
{
    sqlite3_stmt *statement = fetch(db, Q_ATTEMPT_TAIL);
    int64_t id = 0;
    int got;

    bind_number(db, statement, 1, count);
    while ((got = next_row(db, statement)) > 0)
        id = sqlite3_column_int64(statement, 0);
    if (got < 0)
        return got;
    *out_id = id;
    return 0;
}

/* ---- counts ------------------------------------------------------------------------------------
 */

int db_count(struct db *db, struct spool_counts *out)
{
    int64_t deliveries[DELIVERY_STATES] = {0};
    int64_t faxes[FAX_STATES] = {0};
    sqlite3_stmt *row = fetch(db, Q_COUNT_FAXES);
    int got;
    int i;

    while ((got = next_row(db, row)) > 0)
        faxes[word_index(fax_states, FAX_STATES, (const char *)sqlite3_column_text(row, 0))] +=
            sqlite3_column_int64(row, 1);
    if (got < 0)
        return got;
    row = fetch(db, Q_COUNT_DELIVERIES);
    while ((got = next_row(db, row)) > 0)
        deliveries[word_index(delivery_states, DELIVERY_STATES,
                              (const char *)sqlite3_column_text(row, 0))] +=
            sqlite3_column_int64(row, 1);
    if (got < 0)
        return got;
    memset(out, 0, sizeof *out);
    for (i = 0; i < FAX_STATES; i++)
        out->faxes += faxes[i];
    out->taken = faxes[SPOOL_FAX_TAKEN];
    out->due = deliveries[SPOOL_DUE];
    out->sending = deliveries[SPOOL_SENDING];
    out->held = deliveries[SPOOL_HELD];
    out->done = deliveries[SPOOL_DONE];
    out->failed = deliveries[SPOOL_FAILED];
    return 0;
}
