/* SPDX-License-Identifier: MIT */
/*
 * queue.c - deliveries and the transmission log: each call of spool.h as one change for the group
 * commit, or one look through the reading connection.
 */
#include "spool/inside.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "spool/incoming.h"

static void complete_delivery(const struct spool *spool, struct spool_delivery *delivery)
{
    char below[SPOOL_PATH_MAX - SPOOL_STATE_DIR_MAX - 16] = "";

    fax_id_folder(below, sizeof below, delivery->fax_id);
    snprintf(delivery->message_path, sizeof delivery->message_path, "%s/%s/message.eml",
             spool->state_dir, below);
}

/* ---- a worker's turn ---------------------------------------------------------------------------
 */

struct claim {
    int64_t now_ms, lease_ms;
    struct spool_delivery *out;
    int most;
};

static int claim(struct db *db, void *arg)
{
    const struct claim *c = arg;
    int ended = db_uncertain(db, c->now_ms, c->now_ms, "no result came within the lease");

    if (ended < 0)
        return ended;
    if (ended > 0)
        log_alert("deliveries without a result in time: count=%d (a worker hangs? they are marked "
                  "uncertain and sent again)",
                  ended);
    return db_claim(db, c->now_ms, c->now_ms + c->lease_ms, c->out, c->most);
}

int spool_claim(struct spool *spool, int64_t now_ms, int64_t lease_ms, struct spool_delivery *out,
                int most)
{
    struct claim c = {now_ms, lease_ms, out, most};
    int count;
    int i;

    if (spool->mode != SPOOL_OWN)
        return ERROR_STATE;
    if (most < 1 || spool_next_due(spool) > now_ms)
        return 0; /* nothing to write, so no fsync */
    count = spool_change(spool, claim, &c);
    for (i = 0; i < count; i++)
        complete_delivery(spool, &out[i]);
    return count;
}

struct extension {
    int64_t delivery_id, until_ms;
};

static int extend(struct db *db, void *arg)
{
    const struct extension *extension = arg;

    return db_extend(db, extension->delivery_id, extension->until_ms);
}

int spool_extend(struct spool *spool, int64_t delivery_id, int64_t until_ms)
{
    struct extension extension = {delivery_id, until_ms};

    return spool_change(spool, extend, &extension);
}

static int check_result(const struct spool_result *result)
{
    if ((unsigned)result->state > SPOOL_CANCELLED || result->state == SPOOL_SENDING)
        return ERROR_STATE;
    if (result->policy != NULL &&
        strlen(result->policy) >= sizeof(((struct spool_delivery *)NULL)->policy))
        return ERROR_LIMIT; /* half a memory would be worse than none */
    return 0;
}

static int finish(struct db *db, void *arg)
{
    const struct spool_result *result = arg;
    struct spool_result copy = *result;
    struct spool_attempt attempt;
    char reply[SPOOL_REPLY_MAX];

    if (result->reply != NULL) {
        text_copy(reply, sizeof reply, result->reply);
        copy.reply = text_printable(reply);
    }
    if (result->attempt != NULL) {
        attempt = *result->attempt;
        text_printable(attempt.reply);
        copy.attempt = &attempt;
    }
    return db_finish(db, &copy);
}

int spool_finish(struct spool *spool, const struct spool_result *result)
{
    int error = check_result(result);

    return error < 0 ? error : spool_change(spool, finish, (void *)(uintptr_t)result);
}

static int pass_on(struct db *db, void *arg)
{
    const struct spool_relay *relay = arg;
    int error = 0;
    int i;

    for (i = 0; i < relay->result_count && error == 0; i++) {
        error = finish(db, (void *)(uintptr_t)&relay->results[i]);
        if (error == ERROR_STATE || error == ERROR_NOT_FOUND) {
            log_error("result of a delivery that is not being sent delivery=%lld",
                      (long long)relay->results[i].delivery_id);
            error = 0; /* that one has an end already; it does not take the others along */
        }
    }
    for (i = 0; i < relay->row_count && error == 0; i++) {
        struct spool_attempt row = relay->rows[i];

        text_printable(row.reply);
        error = db_attempt_insert(db, &row);
    }
    for (i = 0; i < relay->begun_count && error == 0; i++)
        error = db_begun(db, relay->begun[i], relay->server);
    return error;
}

int spool_pass_on(struct spool *spool, const struct spool_relay *relay)
{
    int error = 0;
    int i;

    for (i = 0; i < relay->result_count && error == 0; i++)
        error = check_result(&relay->results[i]);
    return error < 0 ? error : spool_change(spool, pass_on, (void *)(uintptr_t)relay);
}

static int add_attempt(struct db *db, void *arg)
{
    return db_attempt_insert(db, arg);
}

int spool_attempt_add(struct spool *spool, const struct spool_attempt *attempt)
{
    struct spool_attempt copy = *attempt;

    text_printable(copy.reply);
    return spool_change(spool, add_attempt, &copy);
}

/* ---- what the operator asks for ----------------------------------------------------------------
 */

struct command {
    const char *fax_id;
    int64_t now_ms, beyond_ms;
    bool hold;
};

static int retry(struct db *db, void *arg)
{
    const struct command *command = arg;

    return db_retry(db, command->fax_id, command->now_ms);
}

static int cancel(struct db *db, void *arg)
{
    const struct command *command = arg;

    return db_cancel(db, command->fax_id);
}

static int hold_or_release(struct db *db, void *arg)
{
    const struct command *command = arg;

    return db_hold(db, command->fax_id, command->hold, command->now_ms);
}

static int wake_beyond(struct db *db, void *arg)
{
    const struct command *command = arg;

    return db_wake_beyond(db, command->now_ms, command->beyond_ms);
}

int spool_retry(struct spool *spool, const char *fax_id, int64_t now_ms)
{
    struct command command = {.fax_id = fax_id, .now_ms = now_ms};

    return spool_change(spool, retry, &command);
}

int spool_cancel(struct spool *spool, const char *fax_id)
{
    struct command command = {.fax_id = fax_id};

    return spool_change(spool, cancel, &command);
}

int spool_hold(struct spool *spool, const char *fax_id, bool hold, int64_t now_ms)
{
    struct command command = {.fax_id = fax_id, .now_ms = now_ms, .hold = hold};

    return spool_change(spool, hold_or_release, &command);
}

struct decision {
    const char *fax_id, *recipient;
    enum spool_bypass bypass;
    int64_t now_ms;
};

static int set_bypass(struct db *db, void *arg)
{
    const struct decision *decision = arg;

    return db_set_bypass(db, decision->fax_id, decision->bypass);
}

static int resend(struct db *db, void *arg)
{
    const struct decision *decision = arg;
    struct spool_fax fax;
    int error = db_fax_get(db, decision->fax_id, &fax);

    if (error == 0 && fax.state != SPOOL_FAX_COMPOSED)
        error = ERROR_STATE;
    return error < 0 ? error
                     : db_delivery_again(db, decision->fax_id, decision->recipient,
                                         decision->now_ms, decision->bypass);
}

int spool_set_bypass(struct spool *spool, const char *fax_id, enum spool_bypass bypass)
{
    struct decision decision = {.fax_id = fax_id, .bypass = bypass};

    return spool_change(spool, set_bypass, &decision);
}

int spool_resend(struct spool *spool, const char *fax_id, const char *recipient,
                 enum spool_bypass bypass, int64_t now_ms)
{
    struct decision decision = {fax_id, recipient, bypass, now_ms};

    return spool_change(spool, resend, &decision);
}

int spool_wake_all(struct spool *spool, int64_t now_ms)
{
    return spool_wake_beyond(spool, now_ms, now_ms);
}

int spool_wake_beyond(struct spool *spool, int64_t now_ms, int64_t beyond_ms)
{
    struct command command = {.now_ms = now_ms, .beyond_ms = beyond_ms};

    return spool_change(spool, wake_beyond, &command);
}

/* ---- looking -----------------------------------------------------------------------------------
 */

int64_t spool_next_due(struct spool *spool)
{
    int64_t due_ms = INT64_MAX;

    pthread_mutex_lock(&spool->read_lock);
    if (db_next_due(spool->reader, &due_ms) < 0)
        due_ms = clock_wall_ms() + 1000; /* logged there; look again soon */
    pthread_mutex_unlock(&spool->read_lock);
    return due_ms;
}

int spool_delivery_list(struct spool *spool, const char *fax_id, struct spool_delivery *out,
                        int most)
{
    int count;
    int i;

    pthread_mutex_lock(&spool->read_lock);
    count = db_delivery_list(spool->reader, fax_id, out, most);
    pthread_mutex_unlock(&spool->read_lock);
    for (i = 0; i < count; i++)
        complete_delivery(spool, &out[i]);
    return count;
}

int spool_attempt_list(struct spool *spool, int64_t after, const char *fax_id, const char *server,
                       struct spool_attempt *out, int most)
{
    int count;

    pthread_mutex_lock(&spool->read_lock);
    count = db_attempt_list(spool->reader, after, fax_id, server, out, most);
    pthread_mutex_unlock(&spool->read_lock);
    return count;
}

int64_t spool_attempt_tail(struct spool *spool, int count)
{
    int64_t id = 0;

    pthread_mutex_lock(&spool->read_lock);
    db_attempt_tail(spool->reader, count, &id);
    pthread_mutex_unlock(&spool->read_lock);
    return id;
}

int spool_count(struct spool *spool, struct spool_counts *out)
{
    int error;

    pthread_mutex_lock(&spool->read_lock);
    error = db_count(spool->reader, out);
    pthread_mutex_unlock(&spool->read_lock);
    return error;
}
