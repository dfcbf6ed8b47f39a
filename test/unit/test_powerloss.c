/* SPDX-License-Identifier: MIT */
/*
 * test_powerloss.c - the power is cut between any two changes of the disk: work on a spool is
 * recorded, and for each moment states are made in which a disk may be then; each is opened by the
 * real code, and every promise made before that moment must hold.
 *
 * By itself it looks at about a thousand states. test_powerloss --states N --seed S --only TEST
 * looks at more: test/campaign-powerloss.
 */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "test/powerloss/disk_replay.h"
#include "test/powerloss/disk_shim.h"
#include "test/powerloss/powerloss_work.h"

enum { NOTES_MOST = 256, STATES_PER_KILL = 20, SYNCS_MOST = 1000 };

static long states_wanted = 1000;
static uint64_t seed;

typedef void work(const char *state);

struct rig {
    char base[64], state[80], log[80], cut[80];
};

struct notes {
    const char *list[NOTES_MOST];
    char *text[NOTES_MOST];
    int count;
};

/* ---- folders -----------------------------------------------------------------------------------
 */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    return where->level == 0 ? 0 : remove(path);
}

static void empty_folder(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* In memory where that can be: states come and go by the thousand. */
static void rig_make(struct rig *rig)
{
    const char *tmp = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";

    snprintf(rig->base, sizeof rig->base, "%.40s/powerloss-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : tmp);
    assert_non_null(mkdtemp(rig->base));
    snprintf(rig->state, sizeof rig->state, "%s/state", rig->base);
    snprintf(rig->log, sizeof rig->log, "%s/log", rig->base);
    snprintf(rig->cut, sizeof rig->cut, "%s/cut", rig->base);
    assert_int_equal(mkdir(rig->state, 0700), 0);
    assert_int_equal(mkdir(rig->cut, 0700), 0);
}

static void rig_remove(const struct rig *rig)
{
    empty_folder(rig->base);
    rmdir(rig->base);
}

/* ---- recording ---------------------------------------------------------------------------------
 */

/* Works in a process of its own; killed at a change of the disk, unless that is 0. Gives the number
 * of changes when it came to its end, -1 when it was killed. */
static long record(const struct rig *rig, work *todo, bool begin, long kill_at)
{
    long changes = -1;
    int ends[2];
    int status;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (begin)
            disk_record_start(rig->log, rig->state);
        else
            disk_record_continue(rig->log, rig->state);
        disk_kill_at(kill_at);
        todo(rig->state);
        changes = disk_changes();
        disk_record_stop();
        if (write(ends[1], &changes, sizeof changes) != (ssize_t)sizeof changes)
            _exit(2);
        _exit(0);
    }
    close(ends[1]);
    if (read(ends[0], &changes, sizeof changes) != (ssize_t)sizeof changes)
        changes = -1;
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (kill_at == 0)
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return changes;
}

static struct disk_replay *replay_begin(const struct rig *rig)
{
    struct stat st;

    assert_int_equal(stat(rig->state, &st), 0);
    return disk_replay_new_empty(rig->log, st.st_ino);
}

/* ---- states ------------------------------------------------------------------------------------
 */

static void take_note(struct notes *notes, const struct disk_record *record, const char *data)
{
    if (record->kind != DISK_NOTE)
        return;
    assert_true(notes->count < NOTES_MOST);
    notes->text[notes->count] = strndup(data, record->data_length);
    notes->list[notes->count] = notes->text[notes->count];
    notes->count++;
}

static void free_notes(struct notes *notes)
{
    while (notes->count > 0)
        free(notes->text[--notes->count]);
}

/* One state at one moment. */
static void try_state(const struct rig *rig, struct disk_replay *replay, const struct notes *notes,
                      int choice, uint64_t lot, long moment)
{
    const char *wrong;

    empty_folder(rig->cut);
    disk_replay_choose(replay, choice, lot);
    disk_replay_build(replay, rig->cut);
    wrong = check_promises(rig->cut, notes->list, notes->count);
    if (wrong != NULL)
        fail_msg("moment %ld, choice %d of %d changes in the air, seed %llu: %s", moment, choice,
                 disk_replay_pending(replay), (unsigned long long)seed, wrong);
}

/* Every subset where they are few enough, else the fixed ones and some by lot. Gives the number. */
static long try_moment(const struct rig *rig, struct disk_replay *replay, const struct notes *notes,
                       long most, long moment)
{
    long all = disk_replay_is_small(replay) ? 1L << disk_replay_pending(replay) : most;
    long count = all < most ? all : most;
    long i;

    for (i = 0; i < count; i++) {
        uint64_t lot = seed * 1000003 + (uint64_t)moment * 131 + (uint64_t)i;
        int choice = (int)i;

        if (count < all) /* of all subsets some: another part of them at each moment */
            choice = (int)(((uint64_t)i * 7 + lot) % (uint64_t)all);
        else if (!disk_replay_is_small(replay) && most < DISK_CHOICE_FIXED + 2)
            choice = (int)(lot % (DISK_CHOICE_FIXED + 2));
        try_state(rig, replay, notes, choice, lot, moment);
    }
    return count;
}

/* All moments from `from` (in records) on; about `states` states in all. */
static long try_all(const struct rig *rig, long from, long states)
{
    struct disk_replay *replay = replay_begin(rig);
    const struct disk_record *record;
    struct notes notes = {.count = 0};
    const char *data;
    long records = 0;
    long tried = 0;
    long moment = 0;
    long each;

    while (disk_replay_step(replay, NULL, NULL))
        records++;
    disk_replay_free(replay);
    assert_true(records > from);
    each = states / (records - from) + 1;
    replay = replay_begin(rig);
    while (disk_replay_step(replay, &record, &data)) {
        take_note(&notes, record, data);
        moment++;
        /* With fewer states than moments some moments are passed over: by lot, and never those
         * that follow a promise. */
        if (moment < from || (record->kind != DISK_NOTE && each == 1 &&
                              (seed + (uint64_t)moment * 2654435761u) % (uint64_t)(records - from) >
                                  (uint64_t)states))
            continue;
        tried += try_moment(rig, replay, &notes, each, moment);
    }
    disk_replay_free(replay);
    free_notes(&notes);
    return tried;
}

static void try_work(work *todo, const char *name, long states)
{
    struct rig rig;
    long changes;
    long tried;

    rig_make(&rig);
    changes = record(&rig, todo, true, 0);
    tried = try_all(&rig, 0, states);
    print_message("    %s: %ld changes, %ld states\n", name, changes, tried);
    assert_true(tried > 0);
    rig_remove(&rig);
}

/* ---- tests -------------------------------------------------------------------------------------
 */

static void life(void **state)
{
    (void)state;
    try_work(work_life, "calls, mails, deliveries", states_wanted * 4 / 10);
}

static void handed_in(void **state)
{
    (void)state;
    try_work(work_hand_in, "messages handed in, old faxes", states_wanted * 2 / 10);
}

static void settings(void **state)
{
    (void)state;
    try_work(work_settings, "settings", states_wanted / 10);
}

/* Where a process is killed with something in the air: the changes that are an fsync. Gives how
 * many there are of the first `most`. */
static int list_syncs(const struct rig *rig, long *at, int most)
{
    struct disk_replay *replay = replay_begin(rig);
    const struct disk_record *record;
    long change = 0;
    int count = 0;

    while (disk_replay_step(replay, &record, NULL)) {
        change++;
        if (record->kind == DISK_SYNC && count < most)
            at[count++] = change;
    }
    disk_replay_free(replay);
    return count;
}

/* First a process is killed; another finds what it left, goes on, and then the power is cut. What
 * the first had not synced is still not synced. */
static void killed_before(void **state)
{
    long syncs[SYNCS_MOST];
    int count;
    long tried = 0;
    long kills = states_wanted * 3 / 10 / STATES_PER_KILL + 1;
    struct rig rig;
    long i;

    (void)state;
    rig_make(&rig);
    record(&rig, work_life, true, 0);
    count = list_syncs(&rig, syncs, SYNCS_MOST);
    assert_true(count > 0);
    rig_remove(&rig);
    for (i = 0; i < kills; i++) {
        long at = syncs[(seed + (uint64_t)i * 7) % (uint64_t)count];
        struct disk_replay *replay;
        long before = 0;

        rig_make(&rig);
        if (record(&rig, work_life, true, at) < 0) {
            replay = replay_begin(&rig);
            while (disk_replay_step(replay, NULL, NULL))
                before++;
            disk_replay_free(replay);
            record(&rig, work_go_on, false, 0);
            tried += try_all(&rig, before, STATES_PER_KILL);
        }
        rig_remove(&rig);
    }
    print_message("    killed before the cut: %ld times, %ld states\n", kills, tried);
    assert_true(tried > 0);
}

/* The tools themselves: what is not synced can be lost, what is synced cannot. */
static void work_careless(const char *state)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/servers.ini", state);
    file = fopen(path, "w");
    if (file == NULL || fclose(file) != 0 || truncate(path, 0) < 0)
        _exit(3);
    disk_note("settings 0");
}

static void tools_find_what_is_careless(void **state)
{
    static const char *const notes[] = {"settings 0"};
    struct rig rig;

    (void)state;
    rig_make(&rig);
    record(&rig, work_careless, true, 0);
    assert_non_null(check_promises(rig.cut, notes, 1));
    rig_remove(&rig);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tools_find_what_is_careless),
        cmocka_unit_test(life),
        cmocka_unit_test(handed_in),
        cmocka_unit_test(settings),
        cmocka_unit_test(killed_before),
    };
    int i;

    seed = (uint64_t)time(NULL) ^ (uint64_t)getpid() << 16;
    for (i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--states") == 0)
            states_wanted = atol(argv[i + 1]);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--only") == 0)
            cmocka_set_test_filter(argv[i + 1]);
    }
    log_open("test", getenv("TEST_LOG") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ALERT);
    print_message("    seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
