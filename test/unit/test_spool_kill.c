/* SPDX-License-Identifier: MIT */
/*
 * test_spool_kill.c - processes killed at any moment: whatever they reported as stored or committed
 * is there afterwards, whole, and nothing is lost or delivered as if it had never been sent.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "test/unit/spool_rig.h"

enum { NOW = 1000000, LEASE = 60000, RECEIVE_ROUNDS = 25, DELIVER_ROUNDS = 25, FAXES = 40 };

/* What a child reports, once it is durable; smaller than PIPE_BUF, so it comes whole. */
struct report {
    char what; /* 'P' page stored, 'C' composed, 'D' delivered, 'S' about to be sent */
    char fax_id[FAX_ID_MAX];
    int number;
};

static void report(int fd, char what, const char *fax_id, int number)
{
    struct report r = {.what = what, .number = number};

    snprintf(r.fax_id, sizeof r.fax_id, "%s", fax_id);
    if (write(fd, &r, sizeof r) != (ssize_t)sizeof r)
        _exit(2);
}

/* Runs a child, kills it after so many microseconds, and gives all of its reports: malloced. */
static int run_and_kill(void (*child)(const struct spool_rig *rig, int fd),
                        const struct spool_rig *rig, long after_us, struct report **out)
{
    struct timespec wait = {.tv_sec = after_us / 1000000, .tv_nsec = after_us % 1000000 * 1000};
    struct report *reports = NULL;
    struct report r;
    int count = 0;
    int ends[2];
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        child(rig, ends[1]);
        _exit(0);
    }
    close(ends[1]);
    nanosleep(&wait, NULL);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    while (read(ends[0], &r, sizeof r) == (ssize_t)sizeof r) {
        reports = realloc(reports, (size_t)(count + 1) * sizeof *reports);
        assert_non_null(reports);
        reports[count++] = r;
    }
    close(ends[0]);
    *out = reports;
    return count;
}

/* ---- receiving ---------------------------------------------------------------------------------
 */

/* Calls of five pages, one after the other. The pipe holds all reports of a round. */
static void receive_child(const struct spool_rig *rig, int fd)
{
    for (;;) {
        struct call_info info = {.verdict = CALL_LIVE};
        struct incoming *incoming;
        int i;

        fax_id_new(info.fax_id, clock_wall_ms());
        if (incoming_new(&incoming, rig->state_dir, &info) != 0)
            _exit(3);
        for (i = 1; i <= 5; i++) {
            size_t length;
            const char *page = rig_page(info.fax_id, i, &length);

            if (incoming_store_page(incoming, i, page, length) != 0)
                _exit(3);
            report(fd, 'P', info.fax_id, i);
            info.pages = i;
            info.verdict = i == 5 ? CALL_COMPLETE : CALL_LIVE;
            incoming_write_info(incoming, &info, 0);
        }
        incoming_close(incoming);
    }
}

static void receive_killed(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    int pages = 0;
    int partial = 0;
    int round;

    for (round = 0; round < RECEIVE_ROUNDS; round++) {
        struct report *reports;
        int count = run_and_kill(receive_child, rig, 2000 + random() % 20000, &reports);
        int i;

        while (spool_take_over(spool, 100) > 0)
            ;
        for (i = 0; i < count; i++) {
            struct spool_fax fax;
            char folder[80];

            assert_int_equal(spool_fax_get(spool, reports[i].fax_id, &fax), 0);
            assert_true(fax.call.pages >= reports[i].number);
            assert_true(fax.call.verdict == CALL_COMPLETE || fax.call.verdict == CALL_PARTIAL);
            assert_int_equal(fax_id_folder(folder, sizeof folder, reports[i].fax_id), 0);
            assert_true(rig_page_is_whole(rig, folder, reports[i].fax_id, reports[i].number));
            partial += fax.call.verdict == CALL_PARTIAL;
        }
        pages += count;
        free(reports);
    }
    print_message("    %d pages reported, %d of them in faxes cut off\n", pages, partial);
    assert_true(pages > 0);
    assert_true(partial > 0);
    spool_close(spool);
}

/* ---- delivering --------------------------------------------------------------------------------
 */

/* Takes over, composes and delivers until nothing is left. */
static void deliver_child(const struct spool_rig *rig, int fd)
{
    struct spool_recipient to = {"a@example.com"};
    struct spool_delivery delivery;
    struct spool_fax fax;
    struct spool *spool;

    if (spool_open(&spool, rig->state_dir, SPOOL_OWN) != 0)
        _exit(3);
    for (;;) {
        struct spool_attempt connected = {.server = "first", .result = "TCP OK"};
        struct spool_result result = {.state = SPOOL_DONE};

        if (spool_take_over(spool, 1) < 0)
            _exit(3);
        if (spool_fax_to_compose(spool, NOW, &fax) == 0) {
            if (spool_fax_composed(spool, fax.call.fax_id, "sales", "m", "op@example.com", 1, &to,
                                   1, NOW) != 0)
                _exit(3);
            report(fd, 'C', fax.call.fax_id, 0);
        }
        if (spool_claim(spool, INT64_MAX - LEASE, LEASE, &delivery, 1) != 1)
            break;
        connected.delivery_id = result.delivery_id = delivery.id;
        if (spool_attempt_add(spool, &connected) != 0)
            _exit(3);
        report(fd, 'S', delivery.fax_id, 0);
        if (spool_finish(spool, &result) != 0)
            _exit(3);
        report(fd, 'D', delivery.fax_id, 0);
    }
    spool_close(spool);
}

struct record {
    char fax_id[FAX_ID_MAX];
    bool composed, sent, done; /* as reported */
};

static struct record *record_of(struct record *records, const char *fax_id)
{
    int i;

    for (i = 0; i < FAXES; i++)
        if (strcmp(records[i].fax_id, fax_id) == 0)
            return &records[i];
    fail_msg("a fax that nobody sent");
    return NULL;
}

/* What was reported must be so now; and what was begun without an end must say that it is
 * uncertain. */
static void check_record(struct spool *spool, const struct record *record)
{
    struct spool_fax fax;
    struct spool_delivery delivery;

    if (!record->composed)
        return;
    assert_int_equal(spool_fax_get(spool, record->fax_id, &fax), 0);
    assert_int_equal(fax.state, SPOOL_FAX_COMPOSED);
    assert_int_equal(spool_delivery_list(spool, record->fax_id, &delivery, 1), 1);
    if (record->done)
        assert_int_equal(delivery.state, SPOOL_DONE);
    else if (record->sent && delivery.state != SPOOL_DONE)
        assert_true(delivery.uncertain);
    assert_int_not_equal(delivery.state, SPOOL_SENDING);
}

static void deliver_killed(void **state)
{
    const struct spool_rig *rig = *state;
    struct record records[FAXES] = {0};
    struct spool_counts counts = {0};
    struct spool *spool;
    int killed = 0;
    int round;
    int i;

    for (i = 0; i < FAXES; i++)
        rig_fax(rig, CALL_COMPLETE, 2, records[i].fax_id);
    for (round = 0; round < DELIVER_ROUNDS || counts.done < FAXES; round++) {
        /* Longer from round to round: whether the disk is fast or slow, some are killed in the
         * middle of their work, and in the end one comes to its end. */
        long wait_us = round < DELIVER_ROUNDS ? 500 + random() % (1500 * (round + 1)) : 500000;
        struct report *reports;
        int count = run_and_kill(deliver_child, rig, wait_us, &reports);

        for (i = 0; i < count; i++) {
            struct record *record = record_of(records, reports[i].fax_id);

            assert_false(record->done); /* what was delivered is never begun again */
            record->composed |= reports[i].what == 'C';
            record->sent |= reports[i].what == 'S';
            record->done |= reports[i].what == 'D';
        }
        free(reports);
        spool = rig_open(rig);
        for (i = 0; i < FAXES; i++)
            check_record(spool, &records[i]);
        assert_int_equal(spool_count(spool, &counts), 0);
        killed += counts.done < FAXES;
        spool_close(spool);
        assert_true(round < 10 * DELIVER_ROUNDS);
    }
    spool = rig_open(rig);
    assert_int_equal(spool_take_over(spool, 100), 0);
    for (i = 0; i < FAXES; i++) {
        char folder[80];
        struct spool_fax fax;

        assert_int_equal(spool_fax_get(spool, records[i].fax_id, &fax), 0);
        assert_int_equal(fax.call.verdict, CALL_COMPLETE);
        assert_int_equal(fax_id_folder(folder, sizeof folder, records[i].fax_id), 0);
        assert_true(rig_page_is_whole(rig, folder, records[i].fax_id, 1));
        assert_true(rig_page_is_whole(rig, folder, records[i].fax_id, 2));
    }
    assert_int_equal(spool_count(spool, &counts), 0);
    assert_int_equal(counts.faxes, FAXES);
    assert_int_equal(counts.done, FAXES);
    print_message("    %d faxes, killed %d times on the way\n", FAXES, killed);
    assert_true(killed > 0);
    spool_close(spool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(receive_killed, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(deliver_killed, rig_setup, rig_teardown),
    };
    unsigned seed = (unsigned)time(NULL) ^ (unsigned)getpid();

    print_message("    seed %u\n", seed);
    srandom(seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
