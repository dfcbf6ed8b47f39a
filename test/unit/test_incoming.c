/* SPDX-License-Identifier: MIT */
/*
 * test_incoming.c - the folder of a live call: identities, the lock, pages that are whole or not
 * there at all, also when the disk fails.
 */
#include "spool/incoming.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "test/unit/spool_rig.h"

/* In place of the C library's: the n-th call from now fails, and `fsync_failing` of them. */
static atomic_int fsync_fail_at;
static atomic_int fsync_failing;
static atomic_int fsync_calls;

int fsync(int fd)
{
    atomic_fetch_add(&fsync_calls, 1);
    if (atomic_load(&fsync_failing) > 0 && atomic_fetch_sub(&fsync_fail_at, 1) <= 1) {
        atomic_fetch_sub(&fsync_failing, 1);
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

static void fail_fsync(int at, int count)
{
    atomic_store(&fsync_fail_at, at);
    atomic_store(&fsync_failing, count);
}

static void fax_id_rows(void **state)
{
    static const struct {
        const char *id;
        int valid;
        int64_t wall_ms;
    } rows[] = {
        {"20261121T101530123-k7f3a9c2d1e4", 1, 1795256130123},
        {"20240229T000000000-000000000000", 1, 1709164800000},
        {"20230229T000000000-000000000000", 0, 0},
        {"20261321T101530123-k7f3a9c2d1e4", 0, 0},
        {"20261121T241530123-k7f3a9c2d1e4", 0, 0},
        {"20261121T101530123-k7f3a9c2d1e", 0, 0},
        {"20261121T101530123-k7f3a9c2d1e45", 0, 0},
        {"20261121T101530123-K7F3A9C2D1E4", 0, 0},
        {"20261121T101530123_k7f3a9c2d1e4", 0, 0},
        {"../../../../../../etc/passwd", 0, 0},
        {"2026112/T101530123-k7f3a9c2d1e4", 0, 0},
        {"20261121T101530123-../3a9c2d1e4", 0, 0},
        {"", 0, 0},
        {NULL, 0, 0},
    };
    char folder[64];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(fax_id_is_valid(rows[i].id), rows[i].valid);
        assert_int_equal(fax_id_wall_ms(rows[i].id), rows[i].wall_ms);
        assert_int_equal(fax_id_folder(folder, sizeof folder, rows[i].id),
                         rows[i].valid ? 0 : ERROR_FORMAT);
    }
    assert_int_equal(fax_id_folder(folder, sizeof folder, rows[0].id), 0);
    assert_string_equal(folder, "fax/2026/11/21/20261121T101530123-k7f3a9c2d1e4");
    assert_int_equal(fax_id_folder(folder, 20, rows[0].id), ERROR_LIMIT);
}

static void fax_id_new_ones(void **state)
{
    char a[FAX_ID_MAX];
    char b[FAX_ID_MAX];
    char later[FAX_ID_MAX];

    (void)state;
    fax_id_new(a, 1795256130123);
    fax_id_new(b, 1795256130123);
    fax_id_new(later, 1795256130124);
    assert_true(fax_id_is_valid(a));
    assert_int_equal(fax_id_wall_ms(a), 1795256130123);
    assert_true(file_name_is_safe(a));
    assert_string_not_equal(a, b);
    assert_true(strcmp(a, later) < 0 && strcmp(b, later) < 0);
}

static int try_lock(const struct spool_rig *rig, const char *fax_id)
{
    char name[80];
    int fd;
    int rc;

    snprintf(name, sizeof name, "incoming/%s", fax_id);
    fd = open(rig_path(rig, name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    rc = flock(fd, LOCK_SH | LOCK_NB);
    close(fd);
    return rc;
}

static void life_of_a_call(void **state)
{
    const struct spool_rig *rig = *state;
    struct call_info info;
    struct call_info twice;
    struct incoming *incoming = rig_call(rig, &info);
    struct incoming *second;
    char folder[80];
    size_t length;
    const char *page = rig_page(info.fax_id, 1, &length);

    snprintf(folder, sizeof folder, "incoming/%s", info.fax_id);
    assert_int_equal(try_lock(rig, info.fax_id), -1);
    twice = info;
    assert_int_equal(incoming_new(&second, rig->state_dir, &twice), ERROR_EXISTS);
    strcpy(twice.fax_id, "../../x");
    assert_int_equal(incoming_new(&second, rig->state_dir, &twice), ERROR_FORMAT);

    assert_int_equal(incoming_store_page(incoming, 1, "older", 5), 0);
    assert_false(rig_page_is_whole(rig, folder, info.fax_id, 1));
    assert_int_equal(incoming_store_page(incoming, 1, page, length), 0);
    assert_true(rig_page_is_whole(rig, folder, info.fax_id, 1));
    assert_int_equal(incoming_store_page(incoming, 0, page, length), ERROR_LIMIT);
    assert_int_equal(incoming_store_page(incoming, 10000, page, length), ERROR_LIMIT);

    assert_int_equal(incoming_store_page(incoming, 2, page, length), 0);
    assert_int_equal(incoming_unconfirm_page(incoming, 2), 0);
    assert_int_equal(incoming_unconfirm_page(incoming, 2), ERROR_NOT_FOUND);
    assert_int_equal(incoming_store_unconfirmed(incoming, 3, page, length), 0);
    snprintf(folder, sizeof folder, "incoming/%s/page-0002.tif", info.fax_id);
    assert_false(rig_exists(rig, folder));
    snprintf(folder, sizeof folder, "incoming/%s/unconfirmed-0002.tif", info.fax_id);
    assert_true(rig_exists(rig, folder));
    snprintf(folder, sizeof folder, "incoming/%s/unconfirmed-0003.tif", info.fax_id);
    assert_true(rig_exists(rig, folder));

    incoming_close(incoming);
    assert_int_equal(try_lock(rig, info.fax_id), 0);
    incoming_close(NULL);
}

/* The name of a call is never seen without its lock, and its end can be seen. */
static void watched(void **state)
{
    const struct spool_rig *rig = *state;
    int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    const struct inotify_event *event;
    struct call_info info;
    struct incoming *incoming;
    int moved = 0;
    int touched = 0;
    ssize_t n;
    ssize_t i;

    assert_true(inotify_add_watch(watch, rig_path(rig, "incoming"),
                                  IN_CREATE | IN_ATTRIB | IN_MOVED_TO | IN_ONLYDIR) >= 0);
    incoming = rig_call(rig, &info);
    n = read(watch, events, sizeof events);
    for (i = 0; i < n; i += (ssize_t)sizeof *event + event->len) {
        event = (const struct inotify_event *)(events + i);
        if (event->mask & IN_CREATE)
            assert_int_equal(event->name[0], '.');
        moved += (event->mask & IN_MOVED_TO) && strcmp(event->name, info.fax_id) == 0;
    }
    assert_int_equal(moved, 1);
    incoming_close(incoming);
    n = read(watch, events, sizeof events);
    for (i = 0; i < n; i += (ssize_t)sizeof *event + event->len) {
        event = (const struct inotify_event *)(events + i);
        touched += (event->mask & IN_ATTRIB) && strcmp(event->name, info.fax_id) == 0;
    }
    assert_int_equal(touched, 1);
    close(watch);
}

/* Files in a folder of incoming/ except call.ini. */
static int count_files(const struct spool_rig *rig, const char *fax_id)
{
    char name[80];
    struct dirent *entry;
    int count = 0;
    DIR *dir;

    snprintf(name, sizeof name, "incoming/%s", fax_id);
    dir = opendir(rig_path(rig, name));
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                 strcmp(entry->d_name, "call.ini") != 0;
    closedir(dir);
    return count;
}

static void failing_fsync(void **state)
{
    static const struct {
        const char *name;
        int at, count;
        int result;
        int files;
    } rows[] = {
        {"the file's first fsync fails: written anew", 1, 1, 0, 1},
        {"both tries fail", 1, 100, ERROR_IO, 0},
        {"the folder's fsync fails once: written anew", 2, 1, 0, 1},
        {"the fsync of incoming/ fails", 3, 1, ERROR_IO, 0},
    };
    const struct spool_rig *rig = *state;
    size_t i;

    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct call_info info;
        struct incoming *incoming = rig_call(rig, &info);
        size_t length;
        const char *page = rig_page(info.fax_id, 1, &length);

        print_message("    %s\n", rows[i].name);
        fail_fsync(rows[i].at, rows[i].count);
        assert_int_equal(incoming_store_page(incoming, 1, page, length), rows[i].result);
        fail_fsync(0, 0);
        assert_int_equal(count_files(rig, info.fax_id), rows[i].files);
        /* The disk is well again: so is the call. */
        assert_int_equal(incoming_store_page(incoming, 1, page, length), 0);
        assert_int_equal(count_files(rig, info.fax_id), 1);
        incoming_close(incoming);
    }
}

/* A new call costs the thread that answers calls no fsync. */
static void new_call_waits_for_no_disk(void **state)
{
    const struct spool_rig *rig = *state;
    struct call_info info;
    int before = atomic_load(&fsync_calls);
    struct incoming *incoming = rig_call(rig, &info);

    assert_int_equal(atomic_load(&fsync_calls), before);
    assert_int_equal(incoming_store_page(incoming, 1, "x", 1), 0);
    assert_int_equal(atomic_load(&fsync_calls), before + 3); /* file, its folder, incoming/ */
    assert_int_equal(incoming_store_page(incoming, 2, "x", 1), 0);
    assert_int_equal(atomic_load(&fsync_calls), before + 5);
    incoming_close(incoming);
}

static void full_disk(void **state)
{
    const struct spool_rig *rig = *state;
    struct call_info info;
    struct incoming *incoming = rig_call(rig, &info);
    struct rlimit old;
    struct rlimit small;
    size_t length;
    const char *page = rig_page(info.fax_id, 1, &length);

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 2000;
    assert_true(length > 2000);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(incoming_store_page(incoming, 1, page, length), ERROR_FULL);
    assert_int_equal(incoming_store_unconfirmed(incoming, 1, page, length), ERROR_FULL);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(count_files(rig, info.fax_id), 0);
    assert_int_equal(incoming_store_page(incoming, 1, page, length), 0);
    incoming_close(incoming);
}

struct writer {
    const struct spool_rig *rig;
    struct incoming *incoming;
    const char *fax_id;
    int first;
    int failed;
};

static void *write_pages(void *arg)
{
    struct writer *writer = arg;
    char page[64];
    int i;

    for (i = 0; i < 10; i++) {
        snprintf(page, sizeof page, "page %d of %s", writer->first + i, writer->fax_id);
        if (incoming_store_page(writer->incoming, writer->first + i, page, strlen(page)) != 0)
            writer->failed++;
    }
    return NULL;
}

static void several_threads(void **state)
{
    const struct spool_rig *rig = *state;
    struct call_info info;
    struct incoming *incoming = rig_call(rig, &info);
    struct writer writers[4];
    pthread_t threads[4];
    int i;

    for (i = 0; i < 4; i++) {
        writers[i] = (struct writer){rig, incoming, info.fax_id, i * 10 + 1, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, write_pages, &writers[i]), 0);
    }
    for (i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(writers[i].failed, 0);
    }
    assert_int_equal(count_files(rig, info.fax_id), 40);
    incoming_close(incoming);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fax_id_rows),
        cmocka_unit_test(fax_id_new_ones),
        cmocka_unit_test_setup_teardown(life_of_a_call, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(watched, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(failing_fsync, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(new_call_waits_for_no_disk, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(full_disk, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(several_threads, rig_setup, rig_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
