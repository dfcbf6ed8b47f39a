/* SPDX-License-Identifier: MIT */
/*
 * db.h - the database behind spool.h, for this folder only. All SQL is in db_sql.c.
 *
 * A struct db is one connection; it belongs to one thread at a time. Functions that change
 * something are called between db_begin() and db_commit(). Failures are logged here. Folder and
 * path of what is read stay empty: the database knows no paths.
 */
#ifndef FAXPOST_SPOOL_DB_H
#define FAXPOST_SPOOL_DB_H

#include "spool/spool.h"

struct db;

/* One page file of a fax. */
struct db_page {
    char name[32]; /* page-0001.tif, unconfirmed-0002.tif */
    int number;
    bool confirmed;
    int64_t bytes;
};

/* Opens the file; makes it unless read_only. ERROR_NOT_FOUND (read_only), ERROR_LIBRARY when it is
 * no database or damaged. */
int db_open(struct db **out, const char *path, bool read_only);
void db_close(struct db *db);

/* Brings the schema to that of this program, step by step, each in a transaction of its own; with a
 * read_only connection only checks. ERROR_CONFIG: newer than this program; ERROR_STATE: older, and
 * read_only. */
int db_migrate(struct db *db);

/* ---- transactions --------------------------------------------------------------------------- */

int db_begin(struct db *db);
int db_commit(struct db *db); /* durable when it returns 0; rolled back otherwise */
void db_rollback(struct db *db);
/* One part of a transaction: undone alone when it fails. */
int db_part_begin(struct db *db);
int db_part_end(struct db *db, bool keep);
/* False after a failure that ended the whole transaction (disk full, I/O error). */
bool db_in_transaction(const struct db *db);

/* ---- faxes ---------------------------------------------------------------------------------- */

int db_fax_insert(struct db *db, const struct spool_fax *fax, const struct db_page *pages,
                  int page_count);
int db_fax_get(struct db *db, const char *fax_id, struct spool_fax *out);
int db_fax_list(struct db *db, const char *before, struct spool_fax *out, int most);
int db_fax_to_compose(struct db *db, int64_t now_ms, struct spool_fax *out);
int db_fax_compose_failed(struct db *db, const char *fax_id, const char *why, int64_t due_ms,
                          bool counts);
int db_fax_composed(struct db *db, const char *fax_id, const char *route, const char *message_id,
                    const char *envelope_from, int64_t message_bytes);

/* Identities of faxes taken before before_ms with nothing left to do; gives the number. */
int db_fax_expired(struct db *db, int64_t before_ms, char (*out)[FAX_ID_MAX], int most);
/* Moves a fax from the records to the list of folders to be removed, and off that list. */
int db_fax_delete(struct db *db, const char *fax_id);

/* A message with its state COMPOSED. */
int db_message_insert(struct db *db, const char *id, const struct spool_message *message,
                      int64_t now_ms);
int db_removal_list(struct db *db, char (*out)[FAX_ID_MAX], int most);
int db_removal_done(struct db *db, const char *fax_id);

/* ---- deliveries and attempts ------------------------------------------------------------------
 */

int db_delivery_insert(struct db *db, const char *fax_id, const char *recipient, int64_t now_ms,
                       enum spool_bypass bypass);
/* As db_delivery_insert(); one that has ended begins anew. ERROR_EXISTS when it is open. */
int db_delivery_again(struct db *db, const char *fax_id, const char *recipient, int64_t now_ms,
                      enum spool_bypass bypass);
int db_set_bypass(struct db *db, const char *fax_id, enum spool_bypass bypass);
int db_delivery_list(struct db *db, const char *fax_id, struct spool_delivery *out, int most);
int db_claim(struct db *db, int64_t now_ms, int64_t lease_ms, struct spool_delivery *out, int most);
int db_extend(struct db *db, int64_t delivery_id, int64_t until_ms);
int db_finish(struct db *db, const struct spool_result *result);

/* From now on something of it may go out to the server. */
int db_begun(struct db *db, int64_t delivery_id, const char *server);

/* Everything that is being sent with a lease that ends at or before lease_ms is due again: what had
 * begun at now_ms, uncertain, with a row in the log that says why, the rest as it was. Gives the
 * number of uncertain ones. */
int db_uncertain(struct db *db, int64_t lease_ms, int64_t now_ms, const char *why);

int db_retry(struct db *db, const char *fax_id, int64_t now_ms);
int db_cancel(struct db *db, const char *fax_id);
int db_hold(struct db *db, const char *fax_id, bool hold, int64_t now_ms);
int db_wake_beyond(struct db *db, int64_t now_ms, int64_t beyond_ms);
int db_next_due(struct db *db, int64_t *out_ms);

/* The wall time at which an owner last lived, 0: unknown; and what was made up to made_ms moved by
 * shift_ms: the age of open deliveries, and with waits their due times and the time of faxes. */
int db_alive_get(struct db *db, int64_t *out_ms);
int db_alive_set(struct db *db, int64_t now_ms);
int db_clock_shift(struct db *db, int64_t shift_ms, int64_t made_ms, bool waits);

int db_attempt_insert(struct db *db, const struct spool_attempt *attempt);
int db_attempt_list(struct db *db, int64_t after, const char *fax_id, const char *server,
                    struct spool_attempt *out, int most);
int db_attempt_tail(struct db *db, int count, int64_t *out_id);

int db_count(struct db *db, struct spool_counts *out);

#endif
