/* SPDX-License-Identifier: MIT */
/*
 * db_sql.h - names for the statements of db_sql.c, for the files behind db.h only.
 */
#ifndef FAXPOST_SPOOL_DB_SQL_H
#define FAXPOST_SPOOL_DB_SQL_H

enum query {
    Q_BEGIN,
    Q_COMMIT,
    Q_ROLLBACK,
    Q_PART_BEGIN,
    Q_PART_KEEP,
    Q_PART_UNDO,
    Q_COUNTER_NEXT,
    Q_FAX_INSERT,
    Q_MESSAGE_INSERT,
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
    Q_DELIVERY_AGAIN,
    Q_DELIVERY_LIST,
    Q_DELIVERY_GET,
    Q_CLAIM_FIND,
    Q_CLAIM,
    Q_EXTEND,
    Q_FINISH,
    Q_BEGUN,
    Q_UNBEGUN,
    Q_LEASE_OVER,
    Q_UNCERTAIN,
    Q_RETRY_WAITING,
    Q_RETRY_ENDED,
    Q_RETRY_COMPOSE,
    Q_CANCEL,
    Q_HOLD,
    Q_RELEASE,
    Q_SET_BYPASS,
    Q_WAKE_BEYOND,
    Q_NEXT_DUE,
    Q_ALIVE_GET,
    Q_ALIVE_SET,
    Q_CLOCK_DELIVERIES,
    Q_CLOCK_FAXES,
    Q_ATTEMPT_INSERT,
    Q_ATTEMPT_COUNTED,
    Q_ATTEMPT_LIST,
    Q_ATTEMPT_LIST_FAX,
    Q_ATTEMPT_TAIL,
    Q_COUNT_FAXES,
    Q_COUNT_DELIVERIES,
    Q_COUNT
};

/* The text of each. */
extern const char *const db_queries[Q_COUNT];

/* The ladder of the schema: entry i leads from version i to i + 1. */
extern const char *const db_migrations[];
extern const int db_schema_version;

#endif
