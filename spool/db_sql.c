/* SPDX-License-Identifier: MIT */
/*
 * db_sql.c - all SQL of faxpost.
 *
 * The statements keep to what PostgreSQL understands too: parameters $1, $2 … in the order of their
 * first use, RETURNING, ON CONFLICT, ids from a table of counters instead of rowids, words for
 * states. What is SQLite's own stands in db_open() and in the transaction statements.
 */
#include "spool/db_sql.h"

/* The ladder: entry i leads from version i to i + 1. What has been released is never changed. */
const char *const db_migrations[] = {
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
    "CREATE TABLE removal (fax_id TEXT PRIMARY KEY);", /* folders of faxes no longer recorded */

    /* begun: something may have gone out since it was claimed. */
    "ALTER TABLE delivery ADD COLUMN begun INTEGER NOT NULL DEFAULT 0;"
    "UPDATE delivery SET begun = 1 WHERE state = 'sending'",

    /* Messages without a call, and what a delivery says itself of bypass. */
    "ALTER TABLE fax ADD COLUMN kind TEXT NOT NULL DEFAULT 'fax';"
    "ALTER TABLE fax ADD COLUMN subject TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE delivery ADD COLUMN bypass TEXT NOT NULL DEFAULT 'table'",
};

const int db_schema_version = sizeof db_migrations / sizeof db_migrations[0];

#define FAX_COLUMNS                                                                                \
    "fax_id, state, taken_ms, line, called, caller, caller_name, peer, call_ref, started_ms,"      \
    " answered_ms, ended_ms, media, station, subaddress, sender, own_station, bit_rate, ecm,"      \
    " compression, pages, unconfirmed, verdict, call_error, route, message_id, compose_failures,"  \
    " error, kind, subject, envelope_from"

#define DELIVERY_COLUMNS                                                                           \
    "d.id, d.fax_id, d.recipient, f.envelope_from, f.message_bytes, d.state, d.created_ms,"        \
    " d.due_ms, d.attempts, d.last_server, d.last_reply, d.policy, d.uncertain, f.kind, d.bypass"

#define ATTEMPT_COLUMNS                                                                            \
    "a.id, a.delivery_id, a.time_ms, a.fax_id, d.recipient, a.server, a.address, a.step, "         \
    "a.result,"                                                                                    \
    " a.reply"

/* What comes of a delivery that would be due again, if the operator asked for something else while
 * it was being sent. */
#define WISHED_STATE(state)                                                                        \
    "CASE WHEN " state " = 'due' AND wish = 'cancel' THEN 'cancelled'"                             \
    " WHEN " state " = 'due' AND wish = 'hold' THEN 'held' ELSE " state " END"

const char *const db_queries[Q_COUNT] = {
    [Q_BEGIN] = "BEGIN",
    [Q_COMMIT] = "COMMIT",
    [Q_ROLLBACK] = "ROLLBACK",
    [Q_PART_BEGIN] = "SAVEPOINT part",
    [Q_PART_KEEP] = "RELEASE SAVEPOINT part",
    [Q_PART_UNDO] = "ROLLBACK TO SAVEPOINT part",
    [Q_COUNTER_NEXT] = "UPDATE counter SET value = value + 1 WHERE name = $1 RETURNING value",

    [Q_FAX_INSERT] =
        "INSERT INTO fax (" FAX_COLUMNS ", message_bytes, compose_due_ms) VALUES"
        " ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,"
        " $20, $21, $22, $23, $24, '', '', 0, '', 'fax', '', '', 0, 0)",
    [Q_MESSAGE_INSERT] =
        "INSERT INTO fax (" FAX_COLUMNS ", message_bytes, compose_due_ms) VALUES"
        " ($1, 'composed', $2, '', '', '', '', '', '', $2, 0, 0, 'none', '', '', '', '', 0, 0, '',"
        " 0, 0, 'complete', '', '', $3, 0, '', $4, $5, $6, $7, 0)",
    [Q_PAGE_INSERT] = "INSERT INTO page (fax_id, name, number, confirmed, bytes)"
                      " VALUES ($1, $2, $3, $4, $5)",
    [Q_FAX_GET] = "SELECT " FAX_COLUMNS " FROM fax WHERE fax_id = $1",
    [Q_FAX_LIST] = "SELECT " FAX_COLUMNS " FROM fax WHERE fax_id < $1"
                   " ORDER BY fax_id DESC LIMIT $2",
    [Q_FAX_TO_COMPOSE] = "SELECT " FAX_COLUMNS " FROM fax"
                         " WHERE state = 'taken' AND (compose_due_ms <= $1 OR compose_due_ms > $2)"
                         " ORDER BY fax_id LIMIT 1",
    [Q_FAX_COMPOSE_FAILED] = "UPDATE fax SET compose_failures = compose_failures + $1, error = $2,"
                             " compose_due_ms = $3 WHERE fax_id = $4 AND state = 'taken'",
    [Q_FAX_COMPOSED] = "UPDATE fax SET state = 'composed', route = $1, message_id = $2,"
                       " envelope_from = $3, message_bytes = $4"
                       " WHERE fax_id = $5 AND state = 'taken'",
    [Q_FAX_EXPIRED] = "SELECT fax_id FROM fax WHERE taken_ms < $1 AND state <> 'taken'"
                      " AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.fax_id = fax.fax_id"
                      " AND delivery.state IN ('due', 'sending', 'held'))"
                      " AND NOT EXISTS (SELECT 1 FROM attempt WHERE attempt.fax_id = fax.fax_id"
                      " AND attempt.time_ms >= $1)"
                      " ORDER BY taken_ms LIMIT $2",
    [Q_FAX_DELETE] = "DELETE FROM fax WHERE fax_id = $1",
    [Q_REMOVAL_INSERT] = "INSERT INTO removal (fax_id) VALUES ($1) ON CONFLICT DO NOTHING",
    [Q_REMOVAL_LIST] = "SELECT fax_id FROM removal ORDER BY fax_id LIMIT $1",
    [Q_REMOVAL_DONE] = "DELETE FROM removal WHERE fax_id = $1",

    [Q_DELIVERY_INSERT] =
        "INSERT INTO delivery (id, fax_id, recipient, state, wish, created_ms, due_ms, lease_ms,"
        " attempts, last_server, last_reply, policy, uncertain, bypass)"
        " VALUES ($1, $2, $3, 'due', '', $4, $4, 0, 0, '', '', '', 0, $5)"
        " ON CONFLICT (fax_id, recipient) DO NOTHING",
    [Q_DELIVERY_AGAIN] =
        "INSERT INTO delivery (id, fax_id, recipient, state, wish, created_ms, due_ms, lease_ms,"
        " attempts, last_server, last_reply, policy, uncertain, bypass)"
        " VALUES ($1, $2, $3, 'due', '', $4, $4, 0, 0, '', '', '', 0, $5)"
        " ON CONFLICT (fax_id, recipient) DO UPDATE SET state = 'due', wish = '', created_ms = $4,"
        " due_ms = $4, policy = '', bypass = $5"
        " WHERE delivery.state IN ('done', 'failed', 'cancelled')",
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
              " uncertain = CASE WHEN $6 = 1 THEN 1 ELSE uncertain END, wish = '', lease_ms = 0,"
              " begun = 0"
              " WHERE id = $7 AND (state = 'sending' OR ($1 = 'done' AND state <> 'done'))",
    [Q_BEGUN] = "UPDATE delivery SET begun = 1, last_server = $1"
                " WHERE id = $2 AND state = 'sending'",
    [Q_UNBEGUN] = "UPDATE delivery SET state = " WISHED_STATE(
        "'due'") ", wish = '', lease_ms = 0, attempts = attempts + 1" /* it may lie in a mailbox */
                 " WHERE state = 'sending' AND lease_ms <= $1 AND begun = 0",
    [Q_LEASE_OVER] = "SELECT id, last_server FROM delivery WHERE state = 'sending'"
                     " AND lease_ms <= $1 ORDER BY id LIMIT $2",
    [Q_UNCERTAIN] = "UPDATE delivery SET state = " WISHED_STATE(
        "'due'") ", due_ms = $1,"
                 " uncertain = 1, wish = '', lease_ms = 0, begun = 0 WHERE id = $2",

    [Q_RETRY_WAITING] = "UPDATE delivery SET due_ms = $1 WHERE fax_id = $2 AND state = 'due'",
    [Q_RETRY_ENDED] =
        "UPDATE delivery SET state = 'due', due_ms = $1, created_ms = $1, policy = '',"
        " wish = '' WHERE fax_id = $2 AND state IN ('failed', 'cancelled')",
    [Q_RETRY_COMPOSE] = "UPDATE fax SET compose_due_ms = $1, compose_failures = 0"
                        " WHERE fax_id = $2 AND state = 'taken'",
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
    [Q_SET_BYPASS] = "UPDATE delivery SET bypass = $1 WHERE fax_id = $2 AND state <> 'done'",
    [Q_WAKE_BEYOND] = "UPDATE delivery SET due_ms = $1 WHERE state = 'due' AND due_ms > $2",
    [Q_ALIVE_GET] = "SELECT value FROM counter WHERE name = 'alive'",
    [Q_ALIVE_SET] = "INSERT INTO counter (name, value) VALUES ('alive', $1)"
                    " ON CONFLICT (name) DO UPDATE SET value = $1",
    [Q_CLOCK_DELIVERIES] =
        "UPDATE delivery SET created_ms = created_ms + $1,"
        " due_ms = CASE WHEN $2 = 1 OR due_ms = created_ms THEN due_ms + $1 ELSE due_ms END"
        " WHERE state IN ('due', 'sending', 'held') AND created_ms <= $3",
    [Q_CLOCK_FAXES] = "UPDATE fax SET taken_ms = taken_ms + $1 WHERE taken_ms <= $2",
    [Q_NEXT_DUE] = "SELECT (SELECT MIN(due_ms) FROM delivery WHERE state = 'due'),"
                   " (SELECT MIN(lease_ms) FROM delivery WHERE state = 'sending')",

    [Q_ATTEMPT_INSERT] = "INSERT INTO attempt (id, delivery_id, fax_id, time_ms, server, address,"
                         " step, result, reply)"
                         " SELECT $1, id, fax_id, $2, $3, $4, $5, $6, $7"
                         " FROM delivery WHERE id = $8",
    [Q_ATTEMPT_COUNTED] = "UPDATE delivery SET attempts = attempts + 1,"
                          " last_server = CASE WHEN $1 = '' THEN last_server ELSE $1 END,"
                          " begun = CASE WHEN $2 = 'TCP OK' THEN 1 ELSE 0 END"
                          " WHERE id = $3",
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
