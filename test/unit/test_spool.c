/* SPDX-License-Identifier: MIT */
/*
 * test_spool.c - owner, schema, deliveries, leases, the transmission log, group commit, the end of
 * faxes.
 */
#include "spool/spool.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/error.h"
#include "base/file.h"
#include "test/unit/spool_rig.h"

static atomic_int syncs;
static atomic_bool syncs_fail;
static atomic_int sync_delay_us;

/* In place of the C library's: what the database waits for at every commit. */
int fdatasync(int fd)
{
    struct timespec wait = {.tv_nsec = atomic_load(&sync_delay_us) * 1000L};

    atomic_fetch_add(&syncs, 1);
    if (atomic_load(&syncs_fail)) {
        errno = EIO;
        return -1;
    }
    if (wait.tv_nsec > 0)
        nanosleep(&wait, NULL);
    return (int)syscall(SYS_fdatasync, fd);
}

enum { NOW = 1000000, LEASE = 60000 };

static struct spool_delivery delivery_of(struct spool *spool, const char *fax_id, int number)
{
    struct spool_delivery all[16];
    int count = spool_delivery_list(spool, fax_id, all, 16);

    assert_true(number < count);
    return all[number];
}

static void finish(struct spool *spool, int64_t id, enum spool_delivery_state state, int64_t due_ms)
{
    struct spool_result result = {.delivery_id = id, .state = state, .due_ms = due_ms};

    assert_int_equal(spool_finish(spool, &result), 0);
}

/* ---- owner and schema --------------------------------------------------------------------------
 */

static void one_owner(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool;
    struct spool *other;
    struct spool *another;
    char id[FAX_ID_MAX];
    struct spool_fax fax;
    int64_t bytes = 0;
    char *lock;
    size_t length;
    char pid[32];

    assert_int_equal(spool_open(&other, rig->state_dir, SPOOL_READ), ERROR_NOT_FOUND);
    assert_int_equal(access(rig_path(rig, "faxpost.lock"), F_OK), -1); /* a reader leaves nothing */
    assert_int_equal(spool_open(&other, "/proc/nowhere/at/all", SPOOL_OWN), ERROR_NOT_FOUND);
    spool = rig_open(rig);
    assert_string_equal(spool_state_dir(spool), rig->state_dir);
    assert_int_equal(spool_free_bytes(spool, &bytes), 0);
    assert_true(bytes > 0);
    rig_delivery(rig, spool, 1, NOW, id);
    assert_int_equal(spool_open(&other, rig->state_dir, SPOOL_OWN), ERROR_BUSY);
    assert_int_equal(spool_open(&other, rig->state_dir, SPOOL_READ), ERROR_BUSY);
    assert_int_equal(file_read(-100, rig_path(rig, "faxpost.lock"), 100, &lock, &length), 0);
    snprintf(pid, sizeof pid, "%ld deliver\n", (long)getpid());
    assert_string_equal(lock, pid);
    free(lock);
    spool_close(spool);

    assert_int_equal(spool_open(&other, rig->state_dir, SPOOL_READ), 0);
    assert_int_equal(spool_open(&another, rig->state_dir, SPOOL_READ), 0); /* readers share */
    assert_int_equal(spool_open(&spool, rig->state_dir, SPOOL_OWN), ERROR_BUSY);
    assert_int_equal(spool_fax_get(other, id, &fax), 0);
    assert_int_equal(spool_take_over(other, 1), ERROR_STATE);
    assert_int_equal(spool_retry(other, id, NOW), ERROR_STATE);
    assert_int_equal(spool_claim(other, NOW, LEASE, &(struct spool_delivery){0}, 1), ERROR_STATE);
    assert_int_equal(spool_fax_expire(other, INT64_MAX, 1), ERROR_STATE);
    spool_close(other);
    spool_close(another);
    spool_close(NULL);
}

static void sql(const struct spool_rig *rig, const char *statement)
{
    sqlite3 *handle;

    assert_int_equal(sqlite3_open(rig_path(rig, "faxpost.db"), &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, statement, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
}

static void schema(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool;

    spool_close(rig_open(rig));
    sql(rig, "UPDATE schema SET version = 99");
    assert_int_equal(spool_open(&spool, rig->state_dir, SPOOL_OWN), ERROR_CONFIG);
    assert_int_equal(spool_open(&spool, rig->state_dir, SPOOL_READ), ERROR_CONFIG);
    sql(rig, "UPDATE schema SET version = 3");
    spool_close(rig_open(rig)); /* it was not touched */
    sql(rig, "ALTER TABLE delivery DROP COLUMN begun; ALTER TABLE delivery DROP COLUMN bypass;"
             "ALTER TABLE fax DROP COLUMN kind; ALTER TABLE fax DROP COLUMN subject;"
             "UPDATE schema SET version = 1");
    assert_int_equal(spool_open(&spool, rig->state_dir, SPOOL_READ), ERROR_STATE);
    spool_close(rig_open(rig)); /* brought up to date */
    sql(rig, "DROP TABLE schema");
    assert_int_equal(spool_open(&spool, rig->state_dir, SPOOL_READ), ERROR_STATE);
    /* No version, but tables: whatever it is, it is not ours to build over. */
    assert_true(spool_open(&spool, rig->state_dir, SPOOL_OWN) < 0);
    rig_write(rig, "faxpost.db", "this is no database, but it is long enough to be looked at ....");
    assert_int_equal(spool_open(&spool, rig->state_dir, SPOOL_OWN), ERROR_LIBRARY);
    assert_int_equal(spool_open(&spool, rig->state_dir, SPOOL_READ), ERROR_LIBRARY);
}

/* ---- composing ---------------------------------------------------------------------------------
 */

static void composing(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    struct spool_recipient to[3] = {{"a@example.com"}, {"b@example.com"}, {"a@example.com"}};
    struct spool_fax fax;
    struct spool_delivery delivery;
    char first[FAX_ID_MAX];
    char second[FAX_ID_MAX];
    char path[600];

    rig_fax(rig, CALL_COMPLETE, 1, first);
    rig_fax(rig, CALL_PARTIAL, 1, second);
    assert_int_equal(spool_fax_to_compose(spool, NOW, &fax), ERROR_NOT_FOUND);
    assert_int_equal(spool_take_over(spool, 10), 2);
    assert_int_equal(spool_fax_to_compose(spool, NOW, &fax), 0);
    assert_string_equal(fax.call.fax_id, first);
    assert_int_equal(spool_fax_compose_failed(spool, first, "the decoder\ndied", NOW + 5000, true),
                     0);
    assert_int_equal(spool_fax_compose_failed(spool, "nothing", "x", NOW, true), ERROR_NOT_FOUND);
    assert_int_equal(spool_fax_to_compose(spool, NOW, &fax), 0);
    assert_string_equal(fax.call.fax_id, second);
    assert_int_equal(spool_fax_to_compose(spool, NOW + 5000, &fax), 0);
    assert_string_equal(fax.call.fax_id, first);
    assert_int_equal(fax.compose_failures, 1);
    assert_string_equal(fax.error, "the decoder?died");
    assert_int_equal(spool_retry(spool, first, NOW), 1); /* what the alarm tells the operator */
    assert_int_equal(spool_fax_to_compose(spool, NOW, &fax), 0);
    assert_string_equal(fax.call.fax_id, first);
    assert_int_equal(fax.compose_failures, 0);
    assert_int_equal(spool_fax_compose_failed(spool, first, "x", NOW + (INT64_C(1) << 40), false),
                     0);
    assert_int_equal(spool_fax_to_compose(spool, NOW, &fax), 0); /* the clock was set back */
    assert_string_equal(fax.call.fax_id, first);
    assert_int_equal(fax.compose_failures, 0);

    assert_int_equal(spool_fax_composed(spool, first, "r", "m", "e", 1, to, 0, NOW), ERROR_FORMAT);
    assert_int_equal(spool_fax_composed(spool, "nothing", "r", "m", "e", 1, to, 1, NOW),
                     ERROR_NOT_FOUND);
    assert_int_equal(
        spool_fax_composed(spool, first, "sales", "id@host", "op@example.com", 4711, to, 3, NOW),
        0);
    assert_int_equal(spool_fax_composed(spool, first, "r", "m", "e", 1, to, 1, NOW), ERROR_STATE);
    assert_int_equal(spool_fax_get(spool, first, &fax), 0);
    assert_int_equal(fax.state, SPOOL_FAX_COMPOSED);
    assert_string_equal(fax.route, "sales");
    assert_string_equal(fax.message_id, "id@host");
    delivery = delivery_of(spool, first, 1);
    assert_string_equal(delivery.recipient, "b@example.com");
    assert_string_equal(delivery.envelope_from, "op@example.com");
    assert_int_equal(delivery.message_bytes, 4711);
    assert_int_equal(delivery.state, SPOOL_DUE);
    assert_int_equal(delivery.due_ms, NOW);
    assert_false(delivery.uncertain);
    snprintf(path, sizeof path, "%s/message.eml", fax.folder);
    assert_string_equal(delivery.message_path, path);
    assert_int_equal(spool_delivery_list(spool, first, &delivery, 1), 1);
    assert_int_equal(spool_delivery_list(spool, first, (struct spool_delivery[3]){{0}}, 3), 2);
    spool_close(spool);
}

/* ---- claims and results ------------------------------------------------------------------------
 */

static void claims(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    struct spool_delivery got[8];
    struct spool_result result = {0};
    char early[FAX_ID_MAX];
    char late[FAX_ID_MAX];

    assert_int_equal(spool_next_due(spool), INT64_MAX);
    assert_int_equal(spool_claim(spool, NOW, LEASE, got, 8), 0);
    rig_delivery(rig, spool, 2, NOW + 10, late);
    rig_delivery(rig, spool, 2, NOW, early);
    assert_int_equal(spool_next_due(spool), NOW);
    assert_int_equal(spool_claim(spool, NOW - 1, LEASE, got, 8), 0);
    assert_int_equal(spool_claim(spool, NOW + 10, LEASE, got, 0), 0);
    assert_int_equal(spool_claim(spool, NOW + 10, LEASE, got, 3), 3);
    assert_string_equal(got[0].fax_id, early);
    assert_string_equal(got[0].recipient, "user0@example.com");
    assert_string_equal(got[1].recipient, "user1@example.com");
    assert_string_equal(got[2].fax_id, late);
    assert_int_equal(got[0].state, SPOOL_SENDING);
    assert_string_equal(strrchr(got[0].message_path, '/'), "/message.eml");
    assert_int_equal(spool_claim(spool, NOW + 10, LEASE, got + 3, 5), 1);
    assert_int_equal(spool_claim(spool, NOW + 10, LEASE, got + 4, 4), 0);
    assert_int_equal(spool_next_due(spool), NOW + 10 + LEASE);

    result = (struct spool_result){.delivery_id = got[0].id,
                                   .state = SPOOL_DUE,
                                   .due_ms = NOW + 99,
                                   .policy = "rounds=1",
                                   .server = "first",
                                   .reply = "450 4.2.0 later\r\n",
                                   .uncertain = true};
    assert_int_equal(spool_finish(spool, &result), 0);
    assert_int_equal(spool_finish(spool, &result), ERROR_STATE);
    result = (struct spool_result){.delivery_id = got[0].id, .state = SPOOL_SENDING};
    assert_int_equal(spool_finish(spool, &result), ERROR_STATE);
    finish(spool, got[1].id, SPOOL_FAILED, 0);
    finish(spool, got[2].id, SPOOL_DONE, 0);
    got[7] = delivery_of(spool, early, 0);
    assert_int_equal(got[7].state, SPOOL_DUE);
    assert_int_equal(got[7].due_ms, NOW + 99);
    assert_string_equal(got[7].policy, "rounds=1");
    assert_string_equal(got[7].last_server, "first");
    assert_string_equal(got[7].last_reply, "450 4.2.0 later??");
    assert_true(got[7].uncertain);

    /* What a result leaves out stays; the mark stays for good. */
    assert_int_equal(spool_claim(spool, NOW + 99, LEASE, got, 8), 1);
    assert_true(got[0].uncertain);
    finish(spool, got[0].id, SPOOL_DONE, 0);
    got[7] = delivery_of(spool, early, 0);
    assert_string_equal(got[7].policy, "rounds=1");
    assert_string_equal(got[7].last_server, "first");
    assert_true(got[7].uncertain);
    spool_close(spool);
}

static void long_memory(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    struct spool_delivery got;
    char memory[sizeof got.policy + 1];
    struct spool_result result = {.state = SPOOL_DUE, .due_ms = NOW, .policy = memory};
    char id[FAX_ID_MAX];

    rig_delivery(rig, spool, 1, NOW, id);
    assert_int_equal(spool_claim(spool, NOW, LEASE, &got, 1), 1);
    result.delivery_id = got.id;
    memset(memory, 'p', sizeof memory);
    memory[sizeof memory - 1] = '\0';
    assert_int_equal(spool_finish(spool, &result), ERROR_LIMIT);
    memory[sizeof got.policy - 1] = '\0';
    assert_int_equal(spool_finish(spool, &result), 0);
    assert_string_equal(delivery_of(spool, id, 0).policy, memory);
    spool_close(spool);
}

static void leases(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    struct spool_delivery got;
    struct spool_delivery again;
    struct spool_attempt rows[4];
    struct spool_attempt connected = {.server = "first", .result = "TCP OK"};
    char id[FAX_ID_MAX];

    rig_delivery(rig, spool, 1, NOW, id);
    assert_int_equal(spool_claim(spool, NOW, LEASE, &got, 1), 1);
    connected.delivery_id = got.id;
    assert_int_equal(spool_attempt_add(spool, &connected), 0);
    assert_int_equal(spool_extend(spool, got.id, NOW + 2 * LEASE), 0);
    assert_int_equal(spool_claim(spool, NOW + LEASE, LEASE, &again, 1), 0);
    assert_int_equal(spool_claim(spool, NOW + 2 * LEASE, LEASE, &again, 1), 1);
    assert_int_equal(again.id, got.id);
    assert_true(again.uncertain);
    assert_string_equal(again.last_server, "first");
    assert_int_equal(spool_attempt_list(spool, 0, id, NULL, rows, 4), 2);
    assert_string_equal(rows[1].result, "uncertain");
    assert_string_equal(rows[1].reply, "no result came within the lease");
    assert_string_equal(rows[1].server, "first");
    assert_string_equal(rows[1].step, "S5");
    assert_int_equal(rows[1].time_ms, NOW + 2 * LEASE);

    /* The slow worker comes back with a success: that is the truth, whoever has it now. */
    finish(spool, got.id, SPOOL_DONE, 0);
    assert_int_equal(spool_extend(spool, got.id, NOW + 9 * LEASE), ERROR_STATE);
    assert_int_equal(
        spool_finish(spool, &(struct spool_result){.delivery_id = got.id, .state = SPOOL_DUE}),
        ERROR_STATE);
    assert_int_equal(delivery_of(spool, id, 0).state, SPOOL_DONE);
    spool_close(spool);
}

/* What was being sent when the owner died is uncertain afterwards; the rest is as it was. */
static void recovery(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    struct spool_delivery got[3];
    struct spool_delivery delivery;
    struct spool_attempt rows[4];
    struct spool_attempt connected = {.server = "first", .result = "TCP OK"};
    char id[FAX_ID_MAX];

    rig_delivery(rig, spool, 3, NOW, id);
    assert_int_equal(spool_claim(spool, NOW, LEASE, got, 3), 3);
    finish(spool, got[0].id, SPOOL_DONE, 0);
    connected.delivery_id = got[1].id;
    assert_int_equal(spool_attempt_add(spool, &connected), 0);
    spool_close(spool); /* without a result for the second; the third waited in memory */
    spool = rig_open(rig);
    assert_int_equal(delivery_of(spool, id, 0).state, SPOOL_DONE);
    delivery = delivery_of(spool, id, 1);
    assert_int_equal(delivery.state, SPOOL_DUE);
    assert_true(delivery.uncertain);
    assert_int_equal(delivery.attempts, 2);
    assert_false(delivery_of(spool, id, 2).uncertain);
    assert_int_equal(delivery_of(spool, id, 2).state, SPOOL_DUE);
    assert_int_equal(delivery_of(spool, id, 2).due_ms, got[2].due_ms);
    assert_int_equal(spool_attempt_list(spool, 0, NULL, NULL, rows, 4), 2);
    assert_int_equal(rows[1].delivery_id, delivery.id);
    assert_string_equal(rows[1].result, "uncertain");
    assert_string_equal(rows[1].reply, "the gateway was stopped while sending");
    spool_close(spool);
}

/* Several messages by one connection: what was passed on and had no end is uncertain, what an
 * attempt ended without a further one is not. */
static void relay(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    struct spool_delivery got[4];
    struct spool_attempt row = {.server = "first", .result = "SMTP OK", .reply = "250 ok"};
    struct spool_attempt failed = {.server = "first", .result = "TCP error"};
    struct spool_result result = {.state = SPOOL_DONE, .attempt = &row};
    struct spool_relay relay = {
        .results = &result, .result_count = 1, .begun_count = 1, .server = "first"};
    int64_t nobody = 9999;
    char id[FAX_ID_MAX];

    rig_delivery(rig, spool, 4, NOW, id);
    assert_int_equal(spool_claim(spool, NOW, LEASE, got, 3), 3);
    result.delivery_id = got[0].id;
    relay.begun = &nobody;
    assert_int_equal(spool_pass_on(spool, &relay), ERROR_STATE);
    assert_int_equal(delivery_of(spool, id, 0).state, SPOOL_SENDING);
    relay.begun = &got[1].id;
    assert_int_equal(spool_pass_on(spool, &relay), 0);
    assert_int_equal(delivery_of(spool, id, 0).state, SPOOL_DONE);
    result.delivery_id = nobody; /* nobody's result does not keep the next from beginning */
    relay.begun = &got[2].id;
    assert_int_equal(spool_pass_on(spool, &relay), 0);
    failed.delivery_id = got[2].id;
    assert_int_equal(spool_attempt_add(spool, &failed), 0);
    spool_close(spool);
    spool = rig_open(rig);
    assert_false(delivery_of(spool, id, 0).uncertain);
    assert_true(delivery_of(spool, id, 1).uncertain);
    assert_string_equal(delivery_of(spool, id, 1).last_server, "first");
    assert_false(delivery_of(spool, id, 2).uncertain);
    assert_int_equal(delivery_of(spool, id, 2).state, SPOOL_DUE);
    spool_close(spool);
}

static void operator_commands(void **state)
{
    enum command { CANCEL, HOLD, RELEASE, RETRY, WAKE, WAKE_FAR, WAKE_FARTHER };
    static const struct {
        const char *name;
        enum spool_delivery_state before;
        enum command commands[2];
        int count;
        enum spool_delivery_state finish; /* for SPOOL_SENDING */
        enum spool_delivery_state after;
        int64_t due_ms;
        int changed; /* by the last command */
    } rows[] = {
        {"cancel waiting", SPOOL_DUE, {CANCEL}, 1, 0, SPOOL_CANCELLED, NOW + 500, 1},
        {"cancel held", SPOOL_HELD, {CANCEL}, 1, 0, SPOOL_CANCELLED, NOW + 500, 1},
        {"cancel done", SPOOL_DONE, {CANCEL}, 1, 0, SPOOL_DONE, 0, 0},
        {"cancel sending, fails", SPOOL_SENDING, {CANCEL}, 1, SPOOL_DUE, SPOOL_CANCELLED, 77, 1},
        {"cancel sending, done", SPOOL_SENDING, {CANCEL}, 1, SPOOL_DONE, SPOOL_DONE, 77, 1},
        {"hold waiting", SPOOL_DUE, {HOLD}, 1, 0, SPOOL_HELD, NOW + 500, 1},
        {"hold sending, fails", SPOOL_SENDING, {HOLD}, 1, SPOOL_DUE, SPOOL_HELD, 77, 1},
        {"hold and release", SPOOL_DUE, {HOLD, RELEASE}, 2, 0, SPOOL_DUE, NOW + 700, 1},
        {"hold, release sending", SPOOL_SENDING, {HOLD, RELEASE}, 2, SPOOL_DUE, SPOOL_DUE, 77, 1},
        {"hold does not undo cancel",
         SPOOL_SENDING,
         {CANCEL, HOLD},
         2,
         SPOOL_DUE,
         SPOOL_CANCELLED,
         77,
         0},
        {"retry waiting", SPOOL_DUE, {RETRY}, 1, 0, SPOOL_DUE, NOW + 700, 1},
        {"retry failed", SPOOL_FAILED, {RETRY}, 1, 0, SPOOL_DUE, NOW + 700, 1},
        {"retry cancelled", SPOOL_DUE, {CANCEL, RETRY}, 2, 0, SPOOL_DUE, NOW + 700, 1},
        {"retry held", SPOOL_HELD, {RETRY}, 1, 0, SPOOL_HELD, NOW + 500, 0},
        {"retry done", SPOOL_DONE, {RETRY}, 1, 0, SPOOL_DONE, 0, 0},
        {"wake waiting", SPOOL_DUE, {WAKE}, 1, 0, SPOOL_DUE, NOW + 700 - 300, 1},
        {"wake one far away", SPOOL_DUE, {WAKE_FAR}, 1, 0, SPOOL_DUE, NOW + 400, 1},
        {"not so far away", SPOOL_DUE, {WAKE_FARTHER}, 1, 0, SPOOL_DUE, NOW + 500, 0},
        {"wake held", SPOOL_HELD, {WAKE}, 1, 0, SPOOL_HELD, NOW + 500, 0},
    };
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    size_t i;
    int k;

    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char id[FAX_ID_MAX];
        struct spool_delivery got;
        int changed = -1;

        print_message("    %s\n", rows[i].name);
        rig_delivery(rig, spool, 1, NOW, id);
        assert_int_equal(spool_claim(spool, NOW, LEASE, &got, 1), 1);
        if (rows[i].before != SPOOL_SENDING) {
            bool open = rows[i].before == SPOOL_DUE || rows[i].before == SPOOL_HELD;

            finish(spool, got.id, open ? SPOOL_DUE : rows[i].before, open ? NOW + 500 : 0);
            if (rows[i].before == SPOOL_HELD)
                assert_int_equal(spool_hold(spool, id, true, NOW), 1);
        }
        for (k = 0; k < rows[i].count; k++)
            switch (rows[i].commands[k]) {
            case CANCEL: changed = spool_cancel(spool, id); break;
            case HOLD: changed = spool_hold(spool, id, true, NOW + 700); break;
            case RELEASE: changed = spool_hold(spool, id, false, NOW + 700); break;
            case RETRY: changed = spool_retry(spool, id, NOW + 700); break;
            case WAKE: changed = spool_wake_all(spool, NOW + 400); break;
            case WAKE_FAR: changed = spool_wake_beyond(spool, NOW + 400, NOW + 499); break;
            case WAKE_FARTHER: changed = spool_wake_beyond(spool, NOW + 400, NOW + 500); break;
            }
        assert_int_equal(changed, rows[i].changed);
        if (rows[i].before == SPOOL_SENDING)
            finish(spool, got.id, rows[i].finish, 77);
        got = delivery_of(spool, id, 0);
        assert_int_equal(got.state, rows[i].after);
        assert_int_equal(got.due_ms, rows[i].due_ms);
        if (got.state == SPOOL_DUE) /* out of the way of the next row */
            assert_int_equal(spool_cancel(spool, id), 1);
    }
    spool_close(spool);
}

/* ---- the transmission log ----------------------------------------------------------------------
 */

static void transmission_log(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    struct spool_attempt row = {.time_ms = NOW,
                                .server = "first",
                                .address = "192.0.2.10:25",
                                .step = "S2",
                                .result = "TCP error",
                                .reply = "connection refused"};
    struct spool_attempt last = {.server = "second",
                                 .step = "S4",
                                 .result = "SMTP OK",
                                 .reply = "250 2.0.0 queued\nas 7F3A"};
    struct spool_attempt rows[8];
    struct spool_delivery got[2];
    struct spool_result result = {.state = SPOOL_DONE, .attempt = &last};
    char id[FAX_ID_MAX];
    int64_t id_of_last;

    assert_int_equal(spool_attempt_tail(spool, 10), 0);
    assert_int_equal(spool_attempt_add(spool, &row), ERROR_NOT_FOUND);
    rig_delivery(rig, spool, 2, NOW, id);
    assert_int_equal(spool_claim(spool, NOW, LEASE, got, 2), 2);
    row.delivery_id = got[0].id;
    assert_int_equal(spool_attempt_add(spool, &row), 0);
    row.delivery_id = got[1].id;
    assert_int_equal(spool_attempt_add(spool, &row), 0);
    result.delivery_id = got[0].id;
    assert_int_equal(spool_finish(spool, &result), 0);
    assert_int_equal(spool_finish(spool, &result), ERROR_STATE); /* and logs nothing */

    assert_int_equal(spool_attempt_list(spool, 0, NULL, NULL, rows, 8), 3);
    assert_string_equal(rows[0].recipient, "user0@example.com");
    assert_string_equal(rows[0].fax_id, id);
    assert_string_equal(rows[0].address, "192.0.2.10:25");
    assert_string_equal(rows[0].step, "S2");
    assert_string_equal(rows[0].result, "TCP error");
    assert_string_equal(rows[0].reply, "connection refused");
    assert_int_equal(rows[0].time_ms, NOW);
    assert_string_equal(rows[2].result, "SMTP OK");
    assert_string_equal(rows[2].reply, "250 2.0.0 queued?as 7F3A");
    assert_true(rows[2].time_ms > NOW);
    assert_true(rows[0].id < rows[1].id && rows[1].id < rows[2].id);
    id_of_last = rows[2].id;
    assert_int_equal(spool_attempt_list(spool, 0, id, "second", rows, 8), 1);
    assert_int_equal(spool_attempt_list(spool, 0, NULL, "first", rows, 8), 2);
    assert_int_equal(spool_attempt_list(spool, 0, "nothing", NULL, rows, 8), 0);
    assert_int_equal(spool_attempt_list(spool, 0, NULL, NULL, rows, 2), 2);
    assert_int_equal(spool_attempt_list(spool, rows[1].id, NULL, NULL, rows, 2), 1);
    assert_int_equal(spool_attempt_list(spool, spool_attempt_tail(spool, 1), NULL, NULL, rows, 8),
                     1);
    assert_int_equal(rows[0].id, id_of_last);
    assert_int_equal(spool_attempt_tail(spool, 3), 0);
    got[0] = delivery_of(spool, id, 0);
    assert_int_equal(got[0].attempts, 2);
    assert_string_equal(got[0].last_server, "second");

    /* Ids never come again, also when the newest rows are gone. */
    finish(spool, got[1].id, SPOOL_DONE, 0);
    assert_int_equal(spool_fax_expire(spool, INT64_MAX, 10), 1);
    assert_int_equal(spool_attempt_list(spool, 0, NULL, NULL, rows, 8), 0);
    rig_delivery(rig, spool, 1, NOW, id);
    assert_int_equal(spool_claim(spool, NOW, LEASE, got, 1), 1);
    row.delivery_id = got[0].id;
    assert_int_equal(spool_attempt_add(spool, &row), 0);
    assert_int_equal(spool_attempt_list(spool, 0, NULL, NULL, rows, 8), 1);
    assert_true(rows[0].id > id_of_last);
    spool_close(spool);
}

/* ---- the end of faxes ---------------------------------------------------------------------------
 */

static void expire(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    struct spool_fax fax;
    struct spool_delivery got;
    struct spool_counts counts = {0};
    char waiting[FAX_ID_MAX];
    char open[FAX_ID_MAX];
    char done[FAX_ID_MAX];
    char empty[FAX_ID_MAX];
    char late[FAX_ID_MAX];
    struct spool_attempt last = {.time_ms = INT64_MAX, .result = "destination error"};
    char old[] = "20010203T040506789-000000000000";

    rig_delivery(rig, spool, 1, NOW, done);
    assert_int_equal(spool_claim(spool, NOW, LEASE, &got, 1), 1);
    finish(spool, got.id, SPOOL_DONE, 0);
    rig_delivery(rig, spool, 1, NOW, open);
    assert_int_equal(spool_hold(spool, open, true, NOW), 1);
    rig_fax(rig, CALL_EMPTY, 0, empty);
    rig_fax(rig, CALL_COMPLETE, 1, waiting);
    mkdir(rig_path(rig, "incoming/20010203T040506789-000000000000"), 0700);
    assert_int_equal(spool_take_over(spool, 10), 3);
    assert_int_equal(spool_count(spool, &counts), 0);
    assert_int_equal(counts.faxes, 5);
    assert_int_equal(counts.taken, 1);
    assert_int_equal(counts.held, 1);
    assert_int_equal(counts.done, 1);
    assert_int_equal(counts.due, 0);

    assert_int_equal(spool_fax_expire(spool, 1, 10), 0);
    /* Delivered late: kept from then on. */
    rig_delivery(rig, spool, 1, NOW, late);
    assert_int_equal(spool_claim(spool, NOW, LEASE, &got, 1), 1);
    assert_int_equal(spool_finish(spool, &(struct spool_result){.delivery_id = got.id,
                                                                .state = SPOOL_FAILED,
                                                                .attempt = &last}),
                     0);
    assert_true(rig_exists(rig, "fax/2001/02/03/20010203T040506789-000000000000"));
    assert_int_equal(spool_fax_expire(spool, INT64_MAX, 0), 0);
    assert_int_equal(spool_fax_expire(spool, INT64_MAX, 1), 1);
    assert_int_equal(spool_fax_expire(spool, INT64_MAX, 10), 2);
    assert_int_equal(spool_fax_get(spool, done, &fax), ERROR_NOT_FOUND);
    assert_int_equal(spool_fax_get(spool, empty, &fax), ERROR_NOT_FOUND);
    assert_int_equal(spool_fax_get(spool, old, &fax), ERROR_NOT_FOUND);
    assert_false(rig_exists(rig, "fax/2001"));
    assert_int_equal(spool_fax_get(spool, late, &fax), 0);
    assert_int_equal(spool_fax_get(spool, open, &fax), 0);
    assert_int_equal(access(fax.folder, F_OK), 0);
    assert_int_equal(spool_fax_get(spool, waiting, &fax), 0);
    assert_int_equal(access(fax.folder, F_OK), 0);
    assert_int_equal(spool_fax_expire(spool, INT64_MAX, 10), 0);
    spool_close(spool);
}

/* Killed between the commit and the removal of the folder: the next start removes it. */
static void expire_cut_off(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    char folder[100];
    char id[FAX_ID_MAX];
    char statement[200];

    rig_fax(rig, CALL_EMPTY, 0, id);
    assert_int_equal(spool_take_over(spool, 1), 1);
    spool_close(spool);
    snprintf(statement, sizeof statement,
             "DELETE FROM fax; INSERT INTO removal VALUES ('%s'),"
             "('20010203T040506789-000000000000');",
             id);
    sql(rig, statement);
    assert_int_equal(fax_id_folder(folder, sizeof folder, id), 0);
    assert_true(rig_exists(rig, folder));
    spool_close(rig_open(rig));
    assert_false(rig_exists(rig, folder));
    assert_true(rig_exists(rig, "fax"));
}

/* ---- several threads ----------------------------------------------------------------------------
 */

enum { WORKERS = 8, TURNS = 25 };

struct worker {
    struct spool *spool;
    atomic_int *seen; /* by delivery id */
    int failed;
    int done;
};

/* Claims, logs and finishes until nothing is due; every delivery fails once before it is done. */
static void *work(void *arg)
{
    struct worker *worker = arg;
    struct spool_delivery got[3];
    int count;
    int i;

    while ((count = spool_claim(worker->spool, NOW + 1, LEASE, got, 3)) != 0) {
        worker->failed += count < 0;
        for (i = 0; i < count; i++) {
            struct spool_attempt row = {
                .delivery_id = got[i].id, .server = "s", .result = "TCP OK"};
            struct spool_result result = {.delivery_id = got[i].id,
                                          .state = got[i].attempts == 0 ? SPOOL_DUE : SPOOL_DONE,
                                          .due_ms = NOW + 1,
                                          .attempt = got[i].attempts == 0 ? NULL : &row};

            /* Nobody else may hold it now. */
            worker->failed += atomic_fetch_add(&worker->seen[got[i].id], 1) != 0;
            if (got[i].attempts == 0)
                worker->failed += spool_attempt_add(worker->spool, &row) != 0;
            worker->done += result.state == SPOOL_DONE;
            atomic_fetch_sub(&worker->seen[got[i].id], 1);
            worker->failed += spool_finish(worker->spool, &result) != 0;
        }
        if (count < 0)
            break;
    }
    return NULL;
}

static void claimed_once(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    struct worker workers[WORKERS];
    pthread_t threads[WORKERS];
    struct spool_counts counts = {0};
    struct spool_attempt rows[400];
    static atomic_int seen[1000];
    char id[FAX_ID_MAX];
    int done = 0;
    int i;

    for (i = 0; i < 5; i++)
        rig_delivery(rig, spool, 30, NOW, id);
    for (i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.spool = spool, .seen = seen};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].failed, 0);
        done += workers[i].done;
    }
    assert_int_equal(done, 150);
    assert_int_equal(spool_count(spool, &counts), 0);
    assert_int_equal(counts.done, 150);
    assert_int_equal(counts.due + counts.sending + counts.failed, 0);
    assert_int_equal(spool_attempt_list(spool, 0, NULL, NULL, rows, 400), 300);
    spool_close(spool);
}

static void *add_attempts(void *arg)
{
    struct worker *worker = arg;
    struct spool_attempt row = {.delivery_id = 1, .server = "s", .result = "TCP OK"};
    int i;

    for (i = 0; i < TURNS; i++) {
        /* One of ten belongs to nothing: it must not spoil the commit it shares. */
        row.delivery_id = i % 10 == 9 ? 999 : 1;
        if (spool_attempt_add(worker->spool, &row) != (i % 10 == 9 ? ERROR_NOT_FOUND : 0))
            worker->failed++;
    }
    return NULL;
}

static void group_commit(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    struct worker workers[WORKERS];
    pthread_t threads[WORKERS];
    char id[FAX_ID_MAX];
    int before;
    int used;
    int i;

    rig_delivery(rig, spool, 1, NOW, id);
    atomic_store(&sync_delay_us, 2000); /* a disk */
    before = atomic_load(&syncs);
    for (i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.spool = spool};
        assert_int_equal(pthread_create(&threads[i], NULL, add_attempts, &workers[i]), 0);
    }
    for (i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].failed, 0);
    }
    atomic_store(&sync_delay_us, 0);
    used = atomic_load(&syncs) - before;
    assert_int_equal(delivery_of(spool, id, 0).attempts, WORKERS * (TURNS - 2));
    print_message("    %d results, %d fsyncs\n", WORKERS * TURNS, used);
    assert_true(used >= TURNS - 2);                 /* each was waited for */
    assert_true(used <= WORKERS * (TURNS - 2) / 2); /* and shared */
    spool_close(spool);
}

/* ---- failing disk -------------------------------------------------------------------------------
 */

static void failing_disk(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    struct spool_delivery got;
    struct rlimit old;
    struct rlimit small;
    struct spool_result result = {.state = SPOOL_DONE};
    char id[FAX_ID_MAX];

    rig_delivery(rig, spool, 1, NOW, id);
    assert_int_equal(spool_claim(spool, NOW, LEASE, &got, 1), 1);
    result.delivery_id = got.id;
    atomic_store(&syncs_fail, true);
    assert_int_equal(spool_finish(spool, &result), ERROR_IO);
    assert_int_equal(delivery_of(spool, id, 0).state, SPOOL_SENDING);
    atomic_store(&syncs_fail, false);

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 100;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(spool_finish(spool, &result), ERROR_FULL);
    assert_int_equal(delivery_of(spool, id, 0).state, SPOOL_SENDING);
    setrlimit(RLIMIT_FSIZE, &old);

    assert_int_equal(spool_finish(spool, &result), 0);
    assert_int_equal(delivery_of(spool, id, 0).state, SPOOL_DONE);
    spool_close(spool);
    spool = rig_open(rig);
    assert_int_equal(delivery_of(spool, id, 0).state, SPOOL_DONE);
    spool_close(spool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_owner, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(schema, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(composing, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(claims, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(long_memory, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(leases, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(recovery, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(relay, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(operator_commands, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(transmission_log, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(expire, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(expire_cut_off, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(claimed_once, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(group_commit, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(failing_disk, rig_setup, rig_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
