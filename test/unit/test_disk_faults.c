/* SPDX-License-Identifier: MIT */
/*
 * test_disk_faults.c - the disk fails at any step of the way of a fax: at its Nth change, with each
 * error, once or until somebody mends it. What then says that it worked has worked; what says that
 * it failed works when the disk does again; and at the end every promise holds.
 *
 * By itself it takes some of all these; test_disk_faults --all takes every one and prints the table
 * of doc/FAULTS.md.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "smtp/mailbox.h"
#include "spool/incoming.h"
#include "spool/spool.h"
#include "test/powerloss/disk_shim.h"
#include "test/powerloss/powerloss_content.h"
#include "test/powerloss/powerloss_work.h"

enum { NOW = 1000000, LEASE = 60000, NOTES_MOST = 64, TRIES_MOST = 3, RUNS = 160 };

static const char *const errors[] = {"ENOSPC", "EDQUOT", "EROFS", "EIO"};
enum { ERRORS = sizeof errors / sizeof errors[0] };

enum step {
    STEP_OPEN,
    STEP_CALL,
    STEP_PAGE,
    STEP_INFO,
    STEP_TAKE_OVER,
    STEP_MESSAGE,
    STEP_COMPOSED,
    STEP_CLAIM,
    STEP_ATTEMPT,
    STEP_MAILBOX,
    STEP_FINISH,
    STEP_BEGIN,
    STEP_HAND_IN,
    STEP_EXPIRE,
    STEP_COUNT
};

static const char *const step_names[STEP_COUNT] = {
    [STEP_OPEN] = "spool opened",         [STEP_CALL] = "call begun",
    [STEP_PAGE] = "page stored",          [STEP_INFO] = "call.ini",
    [STEP_TAKE_OVER] = "taken over",      [STEP_MESSAGE] = "message.eml written",
    [STEP_COMPOSED] = "deliveries made",  [STEP_CLAIM] = "delivery claimed",
    [STEP_ATTEMPT] = "attempt logged",    [STEP_MAILBOX] = "filed in mailbox",
    [STEP_FINISH] = "result recorded",    [STEP_BEGIN] = "message begun",
    [STEP_HAND_IN] = "message handed in", [STEP_EXPIRE] = "old faxes removed",
};

/* What came of faults, for the table. */
static struct {
    int met, borne, refused; /* faults met; the step worked all the same; it failed */
    int codes[-ERROR_CONFIG + 1];
} outcome[STEP_COUNT][ERRORS];

static bool take_all;
static int loud_fd = -1; /* stderr, while the alerts of the spool go nowhere */

static void be_quiet(void)
{
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

    assert_true(nowhere >= 0);
    loud_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    dup2(nowhere, STDERR_FILENO);
    close(nowhere);
}

static void be_loud(void)
{
    if (loud_fd < 0)
        return;
    dup2(loud_fd, STDERR_FILENO);
    close(loud_fd);
    loud_fd = -1;
}

struct run {
    char state[96], control[96];
    int error; /* index of errors[] */
    long at;   /* the change that fails first */
    bool once;
    char *notes[NOTES_MOST];
    int count;
    long made; /* faults before this step */
};

static void __attribute__((format(printf, 2, 3))) note(struct run *run, const char *format, ...)
{
    va_list ap;

    assert_true(run->count < NOTES_MOST);
    va_start(ap, format);
    assert_true(vasprintf(&run->notes[run->count++], format, ap) >= 0);
    va_end(ap);
}

static void faults_on(struct run *run)
{
    FILE *file = fopen(run->control, "w");

    assert_non_null(file);
    fprintf(file, "all %s * %ld %d\n", errors[run->error], run->at, run->once ? 1 : -1);
    assert_int_equal(fclose(file), 0);
    disk_faults(run->control, run->state);
    run->made = 0;
}

static void faults_off(struct run *run)
{
    unlink(run->control);
}

/* The step gave this result: true when it worked. After a failure the disk is mended. */
static bool judge(struct run *run, enum step step, int result)
{
    bool met = disk_faults_made() > run->made;

    run->made = disk_faults_made();
    outcome[step][run->error].met += met;
    if (result >= 0) {
        outcome[step][run->error].borne += met;
        return true;
    }
    if (!met || (result != ERROR_FULL && result != ERROR_IO && result != ERROR_DENIED))
        be_loud();
    if (!met)
        fail_msg("%s failed without a fault: %s", step_names[step], error_text(result));
    if (result != ERROR_FULL && result != ERROR_IO && result != ERROR_DENIED)
        fail_msg("%s, %s: %s", step_names[step], errors[run->error], error_text(result));
    outcome[step][run->error].refused++;
    outcome[step][run->error].codes[-result]++;
    faults_off(run);
    return false;
}

/* Tries until it works: at the latest when the disk is mended. */
#define UNTIL_WELL(run, step, expression)                                                          \
    do {                                                                                           \
        int tries_ = 0;                                                                            \
        while (!judge(run, step, expression))                                                      \
            assert_true(++tries_ < TRIES_MOST);                                                    \
    } while (0)

/* ---- the way of a fax --------------------------------------------------------------------------
 */

/* A call that was refused comes again as another. */
static int begin_call(struct run *run, struct call_info *info, struct incoming **out)
{
    fax_id_new(info->fax_id, clock_wall_ms());
    return incoming_new(out, run->state, info);
}

static void receive(struct run *run)
{
    struct call_info info = {.verdict = CALL_LIVE};
    struct incoming *incoming = NULL;
    char page[CONTENT_MAX];
    int number;

    UNTIL_WELL(run, STEP_CALL, begin_call(run, &info, &incoming));
    for (number = 1; number <= 2; number++) {
        size_t length = content_page(page, info.fax_id, number);

        UNTIL_WELL(run, STEP_PAGE, incoming_store_page(incoming, number, page, length));
        note(run, "page %s %d", info.fax_id, number);
        info.pages = number;
        info.verdict = number == 2 ? CALL_COMPLETE : CALL_LIVE;
        judge(run, STEP_INFO, incoming_write_info(incoming, &info, 1)); /* commentary */
    }
    incoming_close(incoming);
}

static int write_message(const char *folder_path, const char *fax_id)
{
    char text[CONTENT_MAX];
    size_t length = content_message(text, fax_id);
    int folder = file_open_folder(AT_FDCWD, folder_path);
    int error = folder;

    if (folder >= 0) {
        error = file_write_atomic(folder, "message.eml", text, length, FILE_DURABLE);
        close(folder);
    }
    return error;
}

static void compose(struct run *run, struct spool *spool)
{
    static const struct spool_recipient to[] = {{"a@example.com"}, {"b@example.com"}};
    struct spool_fax fax;

    while (spool_fax_to_compose(spool, NOW, &fax) == 0) {
        UNTIL_WELL(run, STEP_MESSAGE, write_message(fax.folder, fax.call.fax_id));
        UNTIL_WELL(run, STEP_COMPOSED,
                   spool_fax_composed(spool, fax.call.fax_id, "sales", "m@example.com",
                                      "op@example.com", 2300, to, 2, NOW));
        note(run, "composed %s", fax.call.fax_id);
    }
}

static void deliver(struct run *run, struct spool *spool)
{
    struct spool_delivery delivery;
    int claimed = 0;

    for (;;) {
        struct spool_attempt row = {.server = "first", .result = "TCP OK"};
        struct spool_result result = {.state = SPOOL_DONE};

        UNTIL_WELL(run, STEP_CLAIM,
                   claimed = spool_claim(spool, INT64_MAX - LEASE, LEASE, &delivery, 1));
        if (claimed == 0)
            return;
        row.delivery_id = result.delivery_id = delivery.id;
        UNTIL_WELL(run, STEP_ATTEMPT, spool_attempt_add(spool, &row));
        note(run, "begun %s %s", delivery.fax_id, delivery.recipient);
        if (delivery.recipient[0] == 'b') {
            UNTIL_WELL(run, STEP_MAILBOX,
                       mailbox_deliver(run->state, delivery.recipient, delivery.fax_id,
                                       delivery.message_path, false, NULL));
            note(run, "filed %s %s", delivery.fax_id, delivery.recipient);
        }
        UNTIL_WELL(run, STEP_FINISH, spool_finish(spool, &result));
        note(run, "ended %s %s", delivery.fax_id, delivery.recipient);
    }
}

/* One attempt at a message; a failure leaves nothing of it. */
static int hand_in_once(struct run *run, struct spool *spool)
{
    static const struct spool_recipient to[] = {{"a@example.com"}};
    struct spool_message message = {.kind = SPOOL_KIND_MESSAGE,
                                    .message_id = "m@example.com",
                                    .envelope_from = "op@example.com",
                                    .subject = "Report"};
    char text[CONTENT_MAX];
    char id[FAX_ID_MAX];
    size_t length;
    int error;
    int fd = spool_message_begin(spool, id);

    if (!judge(run, STEP_BEGIN, fd))
        return fd;
    length = content_message(text, id);
    message.bytes = (int64_t)length;
    error = file_write_all(fd, text, length);
    if (error < 0)
        spool_message_abort(spool, id);
    else
        error = spool_message_commit(spool, id, fd, &message, to, 1, NOW);
    close(fd);
    if (error == 0)
        note(run, "composed %s", id);
    judge(run, STEP_HAND_IN, error);
    return error;
}

static void hand_in(struct run *run, struct spool *spool)
{
    int tries = 0;

    while (hand_in_once(run, spool) < 0)
        assert_true(++tries < TRIES_MOST);
}

/* A way of a fax with the faults of this run. Gives how many were made. */
static long walk(struct run *run)
{
    struct spool *spool = NULL;
    int taken = 0;

    if (getenv("TEST_LOG") == NULL)
        be_quiet();
    UNTIL_WELL(run, STEP_OPEN, spool_open(&spool, run->state, SPOOL_OWN));
    receive(run);
    UNTIL_WELL(run, STEP_TAKE_OVER, taken = spool_take_over(spool, 10));
    compose(run, spool);
    deliver(run, spool);
    hand_in(run, spool);
    deliver(run, spool);
    note(run, "expiring");
    /* What cannot be removed yet is removed at the next start: a failure is no failure here. */
    judge(run, STEP_EXPIRE, spool_fax_expire(spool, INT64_MAX, 10));
    spool_close(spool);
    faults_off(run);
    be_loud();
    return disk_faults_made();
}

/* ---- runs --------------------------------------------------------------------------------------
 */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

/* Gives whether a fault was met. */
static bool try_run(int error, long at, bool once)
{
    const char *tmp = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";
    struct run run = {.error = error, .at = at, .once = once};
    char base[64];
    const char *wrong;
    long made;

    snprintf(base, sizeof base, "%.40s/faults-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : tmp);
    assert_non_null(mkdtemp(base));
    snprintf(run.state, sizeof run.state, "%s/state", base);
    snprintf(run.control, sizeof run.control, "%s/control", base);
    assert_int_equal(mkdir(run.state, 0700), 0);
    snprintf(run.state, sizeof run.state, "%s/state/incoming", base);
    assert_int_equal(mkdir(run.state, 0700), 0);
    snprintf(run.state, sizeof run.state, "%s/state", base);
    faults_on(&run);
    made = walk(&run);
    disk_faults(NULL, NULL);
    wrong = check_promises(run.state, (const char *const *)run.notes, run.count);
    if (wrong != NULL)
        fail_msg("%s at change %ld%s: %s", errors[error], at, once ? ", once" : "", wrong);
    while (run.count > 0)
        free(run.notes[--run.count]);
    nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return made > 0;
}

static void print_table(void)
{
    int step;
    int error;
    int code;

    for (step = 0; step < STEP_COUNT; step++)
        for (error = 0; error < ERRORS; error++) {
            if (outcome[step][error].met == 0)
                continue;
            print_message("| %s | %s | %d | %d | %d |", step_names[step], errors[error],
                          outcome[step][error].met, outcome[step][error].borne,
                          outcome[step][error].refused);
            for (code = 0; code <= -ERROR_CONFIG; code++)
                if (outcome[step][error].codes[code] > 0)
                    print_message(" %s (%d)", error_text(-code), outcome[step][error].codes[code]);
            print_message(" |\n");
        }
}

/* How many changes the whole way has. */
static long count_changes(void)
{
    long most = 1;

    while (try_run(0, most, true))
        most *= 2;
    return most;
}

static void every_change(void **state)
{
    long most = count_changes();
    long stride = take_all ? 1 : most * 2 / RUNS + 1;
    long at = take_all ? 0 : random() % stride;
    long runs = 0;
    long met = 0;

    (void)state;
    for (; at < most; at += stride) {
        int error;

        for (error = 0; error < ERRORS; error++) {
            if (!take_all && error != (at / stride) % ERRORS)
                continue;
            met += try_run(error, at, false);
            met += try_run(error, at, true);
            runs += 2;
        }
    }
    print_message("    %ld runs, %ld of them met a fault\n", runs, met);
    if (take_all)
        print_table();
    assert_true(met > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_change)};
    unsigned seed = (unsigned)time(NULL) ^ (unsigned)getpid();

    if (argc > 4 &&
        strcmp(argv[1], "--one") == 0) { /* ERROR-INDEX CHANGE ONCE: as a failure says */
        log_open("test", LOG_LEVEL_DEBUG);
        printf("%d\n", try_run(atoi(argv[2]), atol(argv[3]), atoi(argv[4]) != 0));
        return 0;
    }
    take_all = argc > 1 && strcmp(argv[1], "--all") == 0;
    log_open("test", getenv("TEST_LOG") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ALERT);
    print_message("    seed %u\n", seed);
    srandom(seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
