/* SPDX-License-Identifier: MIT */
/*
 * db_queue.c - deliveries, the transmission log, and counts.
 */
#include "spool/db.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "spool/db_statement.h"

/* ---- deliveries --------------------------------------------------------------------------------
 */

static const char *const delivery_states[] = {
    [SPOOL_DUE] = "due",   [SPOOL_SENDING] = "sending", [SPOOL_HELD] = "held",
    [SPOOL_DONE] = "done", [SPOOL_FAILED] = "failed",   [SPOOL_CANCELLED] = "cancelled",
};

enum { DELIVERY_STATES = sizeof delivery_states / sizeof delivery_states[0] };

const char *db_delivery_state_word(enum spool_delivery_state state)
{
    return delivery_states[state];
}

enum spool_delivery_state db_delivery_state_parse(const char *word)
{
    int i;

    for (i = DELIVERY_STATES - 1; i > 0; i--)
        if (strcmp(delivery_states[i], word) == 0)
            break;
    return (enum spool_delivery_state)i;
}

/* Gives the number of rows changed. */
static int insert_delivery(struct db *db, enum query query, const char *fax_id,
                           const char *recipient, int64_t now_ms, enum spool_bypass bypass)
{
    struct sqlite3_stmt *statement;
    int64_t id = 0;
    int error = db_counter_next(db, "delivery", &id);

    if (error < 0)
        return error;
    statement = db_fetch(db, query);
    db_bind_number(db, statement, 1, id);
    db_bind_text(db, statement, 2, fax_id);
    db_bind_text(db, statement, 3, recipient);
    db_bind_number(db, statement, 4, now_ms);
    db_bind_text(db, statement, 5, db_bypass_word(bypass));
    return db_change(db, statement);
}

int db_delivery_insert(struct db *db, const char *fax_id, const char *recipient, int64_t now_ms,
                       enum spool_bypass bypass)
{
    int changed = insert_delivery(db, Q_DELIVERY_INSERT, fax_id, recipient, now_ms, bypass);

    return changed < 0 ? changed : 0;
}

int db_delivery_again(struct db *db, const char *fax_id, const char *recipient, int64_t now_ms,
                      enum spool_bypass bypass)
{
    int changed = insert_delivery(db, Q_DELIVERY_AGAIN, fax_id, recipient, now_ms, bypass);

    return changed < 0 ? changed : changed == 0 ? ERROR_EXISTS : 0;
}

/* The columns of DELIVERY_COLUMNS. */
static void read_delivery(struct sqlite3_stmt *row, struct spool_delivery *out)
{
    memset(out, 0, sizeof *out);
    out->id = db_column_number(row, 0);
    db_column_text(row, 1, out->fax_id, sizeof out->fax_id);
    db_column_text(row, 2, out->recipient, sizeof out->recipient);
    db_column_text(row, 3, out->envelope_from, sizeof out->envelope_from);
    out->message_bytes = db_column_number(row, 4);
    out->state = db_delivery_state_parse(db_column_word(row, 5));
    out->created_ms = db_column_number(row, 6);
    out->due_ms = db_column_number(row, 7);
    out->attempts = (int)db_column_number(row, 8);
    db_column_text(row, 9, out->last_server, sizeof out->last_server);
    db_column_text(row, 10, out->last_reply, sizeof out->last_reply);
    db_column_text(row, 11, out->policy, sizeof out->policy);
    out->uncertain = db_column_number(row, 12) != 0;
    out->kind = db_kind_parse(db_column_word(row, 13));
    out->bypass = db_bypass_parse(db_column_word(row, 14));
}

static int read_deliveries(struct db *db, struct sqlite3_stmt *statement,
                           struct spool_delivery *out, int most)
{
    int count = 0;
    int got;

    while ((got = db_next_row(db, statement)) > 0)
        if (count < most)
            read_delivery(statement, &out[count++]);
    return got < 0 ? got : count;
}

int db_delivery_list(struct db *db, const char *fax_id, struct spool_delivery *out, int most)
{
    struct sqlite3_stmt *statement = db_fetch(db, Q_DELIVERY_LIST);

    db_bind_text(db, statement, 1, fax_id);
    db_bind_number(db, statement, 2, most);
    return read_deliveries(db, statement, out, most);
}

static int claim_one(struct db *db, int64_t id, int64_t lease_ms, struct spool_delivery *out)
{
    struct sqlite3_stmt *statement = db_fetch(db, Q_CLAIM);
    int error;

    db_bind_number(db, statement, 1, lease_ms);
    db_bind_number(db, statement, 2, id);
    error = db_change_one(db, statement, ERROR_STATE);
    if (error < 0)
        return error;
    statement = db_fetch(db, Q_DELIVERY_GET);
    db_bind_number(db, statement, 1, id);
    return db_one_or_not_found(read_deliveries(db, statement, out, 1));
}

int db_claim(struct db *db, int64_t now_ms, int64_t lease_ms, struct spool_delivery *out, int most)
{
    struct sqlite3_stmt *statement = db_fetch(db, Q_CLAIM_FIND);
    int count = 0;
    int error = 0;
    int got;
    int i;

    db_bind_number(db, statement, 1, now_ms);
    db_bind_number(db, statement, 2, most);
    while ((got = db_next_row(db, statement)) > 0)
        if (count < most)
            out[count++].id = db_column_number(statement, 0);
    if (got < 0)
        return got;
    for (i = 0; i < count && error == 0; i++)
        error = claim_one(db, out[i].id, lease_ms, &out[i]);
    return error < 0 ? error : count;
}

int db_extend(struct db *db, int64_t delivery_id, int64_t until_ms)
{
    struct sqlite3_stmt *statement = db_fetch(db, Q_EXTEND);

    db_bind_number(db, statement, 1, until_ms);
    db_bind_number(db, statement, 2, delivery_id);
    return db_change_one(db, statement, ERROR_STATE);
}

int db_finish(struct db *db, const struct spool_result *result)
{
    struct sqlite3_stmt *statement = db_fetch(db, Q_FINISH);
    struct spool_attempt attempt;
    int error;

    db_bind_text(db, statement, 1, db_delivery_state_word(result->state));
    db_bind_number(db, statement, 2, result->due_ms);
    db_bind_text(db, statement, 3, result->policy);
    db_bind_text(db, statement, 4, result->server);
    db_bind_text(db, statement, 5, result->reply);
    db_bind_number(db, statement, 6, result->uncertain);
    db_bind_number(db, statement, 7, result->delivery_id);
    error = db_change_one(db, statement, ERROR_STATE);
    if (error < 0 || result->attempt == NULL)
        return error;
    attempt = *result->attempt;
    attempt.delivery_id = result->delivery_id;
    return db_attempt_insert(db, &attempt);
}

int db_begun(struct db *db, int64_t delivery_id, const char *server)
{
    struct sqlite3_stmt *statement = db_fetch(db, Q_BEGUN);

    db_bind_text(db, statement, 1, server);
    db_bind_number(db, statement, 2, delivery_id);
    return db_change_one(db, statement, ERROR_STATE);
}

static int uncertain_one(struct db *db, const struct spool_attempt *attempt)
{
    struct sqlite3_stmt *statement;
    int error = db_attempt_insert(db, attempt);

    if (error < 0)
        return error;
    statement = db_fetch(db, Q_UNCERTAIN);
    db_bind_number(db, statement, 1, attempt->time_ms);
    db_bind_number(db, statement, 2, attempt->delivery_id);
    return db_change_one(db, statement, ERROR_STATE);
}

/* Nothing of these had been sent: due as before. */
static int end_unbegun(struct db *db, int64_t lease_ms)
{
    struct sqlite3_stmt *statement = db_fetch(db, Q_UNBEGUN);
    int count;

    db_bind_number(db, statement, 1, lease_ms);
    count = db_change(db, statement);
    if (count > 0)
        log_info("deliveries that were claimed and not begun are due again count=%d", count);
    return count;
}

int db_uncertain(struct db *db, int64_t lease_ms, int64_t now_ms, const char *why)
{
    struct spool_attempt attempt;
    int count = 0;
    int error = 0;
    int unbegun;

    unbegun = end_unbegun(db, lease_ms);
    if (unbegun < 0)
        return unbegun;
    memset(&attempt, 0, sizeof attempt);
    attempt.time_ms = now_ms;
    text_copy(attempt.step, sizeof attempt.step, "S5");
    text_copy(attempt.result, sizeof attempt.result, "uncertain");
    text_copy(attempt.reply, sizeof attempt.reply, why);
    while (error == 0) {
        struct sqlite3_stmt *statement = db_fetch(db, Q_LEASE_OVER);
        int got;

        db_bind_number(db, statement, 1, lease_ms);
        db_bind_number(db, statement, 2, 1); /* the row leaves this set in the next step */
        got = db_next_row(db, statement);
        if (got <= 0)
            return got < 0 ? got : count;
        attempt.delivery_id = db_column_number(statement, 0);
        db_column_text(statement, 1, attempt.server, sizeof attempt.server);
        db_reset(statement);
        error = uncertain_one(db, &attempt);
        count++;
    }
    return error;
}

/* ---- what the operator asks for ----------------------------------------------------------------
 */

static int change_at(struct db *db, enum query query, int64_t now_ms, const char *fax_id)
{
    struct sqlite3_stmt *statement = db_fetch(db, query);

    db_bind_number(db, statement, 1, now_ms);
    db_bind_text(db, statement, 2, fax_id);
    return db_change(db, statement);
}

static int change_fax(struct db *db, enum query query, const char *fax_id)
{
    struct sqlite3_stmt *statement = db_fetch(db, query);

    db_bind_text(db, statement, 1, fax_id);
    return db_change(db, statement);
}

int db_retry(struct db *db, const char *fax_id, int64_t now_ms)
{
    int waiting = change_at(db, Q_RETRY_WAITING, now_ms, fax_id);
    int ended;
    int composing;

    if (waiting < 0)
        return waiting;
    ended = change_at(db, Q_RETRY_ENDED, now_ms, fax_id);
    if (ended < 0)
        return ended;
    composing = change_at(db, Q_RETRY_COMPOSE, now_ms, fax_id);
    return composing < 0 ? composing : waiting + ended + composing;
}

int db_cancel(struct db *db, const char *fax_id)
{
    return change_fax(db, Q_CANCEL, fax_id);
}

int db_hold(struct db *db, const char *fax_id, bool hold, int64_t now_ms)
{
    return hold ? change_fax(db, Q_HOLD, fax_id) : change_at(db, Q_RELEASE, now_ms, fax_id);
}

int db_set_bypass(struct db *db, const char *fax_id, enum spool_bypass bypass)
{
    struct sqlite3_stmt *statement = db_fetch(db, Q_SET_BYPASS);

    db_bind_text(db, statement, 1, db_bypass_word(bypass));
    db_bind_text(db, statement, 2, fax_id);
    return db_change(db, statement);
}

int db_wake_beyond(struct db *db, int64_t now_ms, int64_t beyond_ms)
{
    struct sqlite3_stmt *statement = db_fetch(db, Q_WAKE_BEYOND);

    db_bind_number(db, statement, 1, now_ms);
    db_bind_number(db, statement, 2, beyond_ms);
    return db_change(db, statement);
}

int db_next_due(struct db *db, int64_t *out_ms)
{
    struct sqlite3_stmt *statement = db_fetch(db, Q_NEXT_DUE);
    int64_t due = INT64_MAX;
    int got = db_next_row(db, statement);
    int i;

    if (got <= 0)
        return got < 0 ? got : ERROR_LIBRARY;
    for (i = 0; i < 2; i++)
        if (!db_column_is_null(statement, i) && db_column_number(statement, i) < due)
            due = db_column_number(statement, i);
    *out_ms = due;
    db_reset(statement);
    return 0;
}

/* ---- the clock ---------------------------------------------------------------------------------
 */

int db_alive_get(struct db *db, int64_t *out_ms)
{
    struct sqlite3_stmt *statement = db_fetch(db, Q_ALIVE_GET);
    int got = db_next_row(db, statement);

    if (got < 0)
        return got;
    *out_ms = got > 0 ? db_column_number(statement, 0) : 0;
    if (got > 0)
        db_reset(statement);
    return 0;
}

int db_alive_set(struct db *db, int64_t now_ms)
{
    struct sqlite3_stmt *statement = db_fetch(db, Q_ALIVE_SET);

    db_bind_number(db, statement, 1, now_ms);
    return db_change(db, statement);
}

int db_clock_shift(struct db *db, int64_t shift_ms, int64_t made_ms, bool waits)
{
    struct sqlite3_stmt *statement = db_fetch(db, Q_CLOCK_DELIVERIES);
    int changed;

    db_bind_number(db, statement, 1, shift_ms);
    db_bind_number(db, statement, 2, waits);
    db_bind_number(db, statement, 3, made_ms);
    changed = db_change(db, statement);
    if (changed < 0 || !waits)
        return changed;
    statement = db_fetch(db, Q_CLOCK_FAXES);
    db_bind_number(db, statement, 1, shift_ms);
    db_bind_number(db, statement, 2, made_ms);
    return db_change(db, statement);
}

/* ---- the transmission log ----------------------------------------------------------------------
 */

int db_attempt_insert(struct db *db, const struct spool_attempt *attempt)
{
    struct sqlite3_stmt *statement;
    int64_t id = 0;
    int error = db_counter_next(db, "attempt", &id);

    if (error < 0)
        return error;
    statement = db_fetch(db, Q_ATTEMPT_INSERT);
    db_bind_number(db, statement, 1, id);
    db_bind_number(db, statement, 2, attempt->time_ms != 0 ? attempt->time_ms : clock_wall_ms());
    db_bind_text(db, statement, 3, attempt->server);
    db_bind_text(db, statement, 4, attempt->address);
    db_bind_text(db, statement, 5, attempt->step);
    db_bind_text(db, statement, 6, attempt->result);
    db_bind_text(db, statement, 7, attempt->reply);
    db_bind_number(db, statement, 8, attempt->delivery_id);
    error = db_change_one(db, statement, ERROR_NOT_FOUND);
    if (error < 0)
        return error;
    statement = db_fetch(db, Q_ATTEMPT_COUNTED);
    db_bind_text(db, statement, 1, attempt->server);
    db_bind_text(db, statement, 2, attempt->result);
    db_bind_number(db, statement, 3, attempt->delivery_id);
    return db_change_one(db, statement, ERROR_NOT_FOUND);
}

int db_attempt_list(struct db *db, int64_t after, const char *fax_id, const char *server,
                    struct spool_attempt *out, int most)
{
    struct sqlite3_stmt *row = db_fetch(db, fax_id != NULL ? Q_ATTEMPT_LIST_FAX : Q_ATTEMPT_LIST);
    int count = 0;
    int got;

    db_bind_number(db, row, 1, after);
    db_bind_text(db, row, 2, server != NULL ? server : "");
    if (fax_id != NULL)
        db_bind_text(db, row, 3, fax_id);
    db_bind_number(db, row, fax_id != NULL ? 4 : 3, most);
    while ((got = db_next_row(db, row)) > 0) {
        struct spool_attempt *attempt = &out[count];

        if (count == most)
            continue;
        memset(attempt, 0, sizeof *attempt);
        attempt->id = db_column_number(row, 0);
        attempt->delivery_id = db_column_number(row, 1);
        attempt->time_ms = db_column_number(row, 2);
        db_column_text(row, 3, attempt->fax_id, sizeof attempt->fax_id);
        db_column_text(row, 4, attempt->recipient, sizeof attempt->recipient);
        db_column_text(row, 5, attempt->server, sizeof attempt->server);
        db_column_text(row, 6, attempt->address, sizeof attempt->address);
        db_column_text(row, 7, attempt->step, sizeof attempt->step);
        db_column_text(row, 8, attempt->result, sizeof attempt->result);
        db_column_text(row, 9, attempt->reply, sizeof attempt->reply);
        count++;
    }
    return got < 0 ? got : count;
}

int db_attempt_tail(struct db *db, int count, int64_t *out_id)
{
    struct sqlite3_stmt *statement = db_fetch(db, Q_ATTEMPT_TAIL);
    int64_t id = 0;
    int got;

    db_bind_number(db, statement, 1, count);
    while ((got = db_next_row(db, statement)) > 0)
        id = db_column_number(statement, 0);
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
    int64_t faxes[SPOOL_FAX_EMPTY + 1] = {0};
    struct sqlite3_stmt *row = db_fetch(db, Q_COUNT_FAXES);
    int got;
    int i;

    while ((got = db_next_row(db, row)) > 0)
        faxes[db_fax_state_parse(db_column_word(row, 0))] += db_column_number(row, 1);
    if (got < 0)
        return got;
    row = db_fetch(db, Q_COUNT_DELIVERIES);
    while ((got = db_next_row(db, row)) > 0)
        deliveries[db_delivery_state_parse(db_column_word(row, 0))] += db_column_number(row, 1);
    if (got < 0)
        return got;
    memset(out, 0, sizeof *out);
    for (i = 0; i <= SPOOL_FAX_EMPTY; i++)
        out->faxes += faxes[i];
    out->taken = faxes[SPOOL_FAX_TAKEN];
    out->due = deliveries[SPOOL_DUE];
    out->sending = deliveries[SPOOL_SENDING];
    out->held = deliveries[SPOOL_HELD];
    out->done = deliveries[SPOOL_DONE];
    out->failed = deliveries[SPOOL_FAILED];
    return 0;
}
