/* SPDX-License-Identifier: MIT */
/*
 * db_fax.c - faxes, their pages, and the folders that are still to be removed.
 */
#include "spool/db.h"

#include <string.h>

#include "base/error.h"
#include "spool/db_statement.h"

static const char *const fax_states[] = {
    [SPOOL_FAX_TAKEN] = "taken",
    [SPOOL_FAX_COMPOSED] = "composed",
    [SPOOL_FAX_EMPTY] = "empty",
};

enum { FAX_STATES = sizeof fax_states / sizeof fax_states[0] };

/* Nobody waits longer for another try: a time beyond it is from before the clock was set back. */
enum { COMPOSE_WAIT_MOST_MS = 24 * 3600 * 1000 };

const char *db_fax_state_word(int state)
{
    return fax_states[state];
}

int db_fax_state_parse(const char *word)
{
    int i;

    for (i = FAX_STATES - 1; i > 0; i--)
        if (strcmp(fax_states[i], word) == 0)
            break;
    return i;
}

static const char *const kinds[] = {"fax", "message", "report"};
static const char *const bypasses[] = {"table", "allow", "deny"};

static int find_word(const char *const *words, int count, const char *word)
{
    while (--count > 0)
        if (strcmp(words[count], word) == 0)
            break;
    return count;
}

const char *db_kind_word(enum spool_kind kind)
{
    return kinds[kind];
}

enum spool_kind db_kind_parse(const char *word)
{
    return (enum spool_kind)find_word(kinds, 3, word);
}

const char *db_bypass_word(enum spool_bypass bypass)
{
    return bypasses[bypass];
}

enum spool_bypass db_bypass_parse(const char *word)
{
    return (enum spool_bypass)find_word(bypasses, 3, word);
}

int db_message_insert(struct db *db, const char *id, const struct spool_message *message,
                      int64_t now_ms)
{
    struct sqlite3_stmt *statement = db_fetch(db, Q_MESSAGE_INSERT);

    db_bind_text(db, statement, 1, id);
    db_bind_number(db, statement, 2, now_ms);
    db_bind_text(db, statement, 3, message->message_id);
    db_bind_text(db, statement, 4, db_kind_word(message->kind));
    db_bind_text(db, statement, 5, message->subject);
    db_bind_text(db, statement, 6, message->envelope_from);
    db_bind_number(db, statement, 7, message->bytes);
    return db_change_one(db, statement, ERROR_LIBRARY);
}

int db_fax_insert(struct db *db, const struct spool_fax *fax, const struct db_page *pages,
                  int page_count)
{
    const struct call_info *call = &fax->call;
    struct sqlite3_stmt *statement = db_fetch(db, Q_FAX_INSERT);
    int error;
    int i;

    db_bind_text(db, statement, 1, call->fax_id);
    db_bind_text(db, statement, 2, db_fax_state_word(fax->state));
    db_bind_number(db, statement, 3, fax->taken_ms);
    db_bind_text(db, statement, 4, call->line);
    db_bind_text(db, statement, 5, call->called);
    db_bind_text(db, statement, 6, call->caller);
    db_bind_text(db, statement, 7, call->caller_name);
    db_bind_text(db, statement, 8, call->peer);
    db_bind_text(db, statement, 9, call->call_ref);
    db_bind_number(db, statement, 10, call->started_ms);
    db_bind_number(db, statement, 11, call->answered_ms);
    db_bind_number(db, statement, 12, call->ended_ms);
    db_bind_text(db, statement, 13, call_media_text(call->media));
    db_bind_text(db, statement, 14, call->station);
    db_bind_text(db, statement, 15, call->subaddress);
    db_bind_text(db, statement, 16, call->sender);
    db_bind_text(db, statement, 17, call->own_station);
    db_bind_number(db, statement, 18, call->bit_rate);
    db_bind_number(db, statement, 19, call->ecm);
    db_bind_text(db, statement, 20, call->compression);
    db_bind_number(db, statement, 21, call->pages);
    db_bind_number(db, statement, 22, call->unconfirmed);
    db_bind_text(db, statement, 23, call_verdict_text(call->verdict));
    db_bind_text(db, statement, 24, call->error);
    error = db_change_one(db, statement, ERROR_LIBRARY);
    for (i = 0; i < page_count && error == 0; i++) {
        statement = db_fetch(db, Q_PAGE_INSERT);
        db_bind_text(db, statement, 1, call->fax_id);
        db_bind_text(db, statement, 2, pages[i].name);
        db_bind_number(db, statement, 3, pages[i].number);
        db_bind_number(db, statement, 4, pages[i].confirmed);
        db_bind_number(db, statement, 5, pages[i].bytes);
        error = db_change_one(db, statement, ERROR_LIBRARY);
    }
    return error;
}

/* The columns of FAX_COLUMNS. */
static void read_fax(struct sqlite3_stmt *row, struct spool_fax *out)
{
    struct call_info *call = &out->call;

    memset(out, 0, sizeof *out);
    db_column_text(row, 0, call->fax_id, sizeof call->fax_id);
    out->state = db_fax_state_parse(db_column_word(row, 1));
    out->taken_ms = db_column_number(row, 2);
    db_column_text(row, 3, call->line, sizeof call->line);
    db_column_text(row, 4, call->called, sizeof call->called);
    db_column_text(row, 5, call->caller, sizeof call->caller);
    db_column_text(row, 6, call->caller_name, sizeof call->caller_name);
    db_column_text(row, 7, call->peer, sizeof call->peer);
    db_column_text(row, 8, call->call_ref, sizeof call->call_ref);
    call->started_ms = db_column_number(row, 9);
    call->answered_ms = db_column_number(row, 10);
    call->ended_ms = db_column_number(row, 11);
    call_media_parse(&call->media, db_column_word(row, 12));
    db_column_text(row, 13, call->station, sizeof call->station);
    db_column_text(row, 14, call->subaddress, sizeof call->subaddress);
    db_column_text(row, 15, call->sender, sizeof call->sender);
    db_column_text(row, 16, call->own_station, sizeof call->own_station);
    call->bit_rate = (int)db_column_number(row, 17);
    call->ecm = db_column_number(row, 18) != 0;
    db_column_text(row, 19, call->compression, sizeof call->compression);
    call->pages = (int)db_column_number(row, 20);
    call->unconfirmed = (int)db_column_number(row, 21);
    call_verdict_parse(&call->verdict, db_column_word(row, 22));
    db_column_text(row, 23, call->error, sizeof call->error);
    db_column_text(row, 24, out->route, sizeof out->route);
    db_column_text(row, 25, out->message_id, sizeof out->message_id);
    out->compose_failures = (int)db_column_number(row, 26);
    db_column_text(row, 27, out->error, sizeof out->error);
    out->kind = db_kind_parse(db_column_word(row, 28));
    db_column_text(row, 29, out->subject, sizeof out->subject);
    db_column_text(row, 30, out->envelope_from, sizeof out->envelope_from);
}

/* All rows of a statement of FAX_COLUMNS; gives the number. */
static int read_faxes(struct db *db, struct sqlite3_stmt *statement, struct spool_fax *out,
                      int most)
{
    int count = 0;
    int got;

    while ((got = db_next_row(db, statement)) > 0)
        if (count < most)
            read_fax(statement, &out[count++]);
    return got < 0 ? got : count;
}

int db_fax_get(struct db *db, const char *fax_id, struct spool_fax *out)
{
    struct sqlite3_stmt *statement = db_fetch(db, Q_FAX_GET);

    db_bind_text(db, statement, 1, fax_id);
    return db_one_or_not_found(read_faxes(db, statement, out, 1));
}

int db_fax_list(struct db *db, const char *before, struct spool_fax *out, int most)
{
    struct sqlite3_stmt *statement = db_fetch(db, Q_FAX_LIST);

    db_bind_text(db, statement, 1, before != NULL ? before : "~"); /* above every identity */
    db_bind_number(db, statement, 2, most);
    return read_faxes(db, statement, out, most);
}

int db_fax_to_compose(struct db *db, int64_t now_ms, struct spool_fax *out)
{
    struct sqlite3_stmt *statement = db_fetch(db, Q_FAX_TO_COMPOSE);

    db_bind_number(db, statement, 1, now_ms);
    db_bind_number(db, statement, 2, now_ms + COMPOSE_WAIT_MOST_MS);
    return db_one_or_not_found(read_faxes(db, statement, out, 1));
}

int db_fax_compose_failed(struct db *db, const char *fax_id, const char *why, int64_t due_ms,
                          bool counts)
{
    struct sqlite3_stmt *statement = db_fetch(db, Q_FAX_COMPOSE_FAILED);

    db_bind_number(db, statement, 1, counts);
    db_bind_text(db, statement, 2, why);
    db_bind_number(db, statement, 3, due_ms);
    db_bind_text(db, statement, 4, fax_id);
    return db_change_one(db, statement, ERROR_NOT_FOUND);
}

int db_fax_composed(struct db *db, const char *fax_id, const char *route, const char *message_id,
                    const char *envelope_from, int64_t message_bytes)
{
    struct sqlite3_stmt *statement = db_fetch(db, Q_FAX_COMPOSED);
    struct spool_fax fax;
    int error;

    db_bind_text(db, statement, 1, route);
    db_bind_text(db, statement, 2, message_id);
    db_bind_text(db, statement, 3, envelope_from);
    db_bind_number(db, statement, 4, message_bytes);
    db_bind_text(db, statement, 5, fax_id);
    error = db_change_one(db, statement, ERROR_STATE);
    if (error == ERROR_STATE && db_fax_get(db, fax_id, &fax) == ERROR_NOT_FOUND)
        error = ERROR_NOT_FOUND;
    return error;
}

static int read_ids(struct db *db, struct sqlite3_stmt *statement, char (*out)[FAX_ID_MAX],
                    int most)
{
    int count = 0;
    int got;

    while ((got = db_next_row(db, statement)) > 0)
        if (count < most)
            db_column_text(statement, 0, out[count++], FAX_ID_MAX);
    return got < 0 ? got : count;
}

int db_fax_expired(struct db *db, int64_t before_ms, char (*out)[FAX_ID_MAX], int most)
{
    struct sqlite3_stmt *statement = db_fetch(db, Q_FAX_EXPIRED);

    db_bind_number(db, statement, 1, before_ms);
    db_bind_number(db, statement, 2, most);
    return read_ids(db, statement, out, most);
}

int db_fax_delete(struct db *db, const char *fax_id)
{
    struct sqlite3_stmt *statement = db_fetch(db, Q_FAX_DELETE);
    int error;

    db_bind_text(db, statement, 1, fax_id);
    error = db_change_one(db, statement, ERROR_NOT_FOUND);
    if (error < 0)
        return error;
    statement = db_fetch(db, Q_REMOVAL_INSERT);
    db_bind_text(db, statement, 1, fax_id);
    error = db_change(db, statement);
    return error < 0 ? error : 0;
}

int db_removal_list(struct db *db, char (*out)[FAX_ID_MAX], int most)
{
    struct sqlite3_stmt *statement = db_fetch(db, Q_REMOVAL_LIST);

    db_bind_number(db, statement, 1, most);
    return read_ids(db, statement, out, most);
}

int db_removal_done(struct db *db, const char *fax_id)
{
    struct sqlite3_stmt *statement = db_fetch(db, Q_REMOVAL_DONE);
    int error;

    db_bind_text(db, statement, 1, fax_id);
    error = db_change(db, statement);
    return error < 0 ? error : 0;
}
