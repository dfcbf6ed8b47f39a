/* SPDX-License-Identifier: MIT */
/*
 * A commit whose sync failed stands in the database's log all the same. The process goes on, begins
 * the copy of the fax anew, and is killed there: the next one finds the fax recorded.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/unit/spool_rig.h"

enum { KILLED = 9, PAGES = 3 };

static int log_failures;  /* of syncs of the database's log */
static bool kills_at_two; /* when the second page is synced */

static bool is_of(int fd, const char *part)
{
    char link[64], path[500];
    ssize_t length;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    return strstr(path, part) != NULL;
}

static int sync_file(long call, int fd)
{
    if (kills_at_two && is_of(fd, "page-0002"))
        _exit(KILLED);
    if (log_failures > 0 && is_of(fd, ".db-wal")) {
        log_failures--;
        errno = EIO;
        return -1;
    }
    return (int)syscall(call, fd);
}

int fsync(int fd)
{
    return sync_file(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return sync_file(SYS_fdatasync, fd);
}

static void first_owner(const struct spool_rig *rig)
{
    struct spool *spool = rig_open(rig);

    log_failures = 1;
    if (spool_take_over(spool, 10) >= 0 || log_failures != 0)
        _exit(1);
    kills_at_two = true;
    spool_take_over(spool, 10);
    _exit(2);
}

static void pages_are_there(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool_fax fax;
    struct spool *spool;
    char id[FAX_ID_MAX], path[700];
    int status;
    pid_t pid;

    rig_fax(rig, CALL_COMPLETE, PAGES, id);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        first_owner(rig);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), KILLED);
    spool = rig_open(rig);
    assert_true(spool_take_over(spool, 10) >= 0);
    assert_int_equal(spool_fax_get(spool, id, &fax), 0);
    assert_int_equal(fax.call.pages, PAGES);
    for (int page = 1; page <= PAGES; page++) {
        snprintf(path, sizeof path, "%s/page-%04d.tif", fax.folder, page);
        assert_int_equal(access(path, F_OK), 0);
    }
    spool_close(spool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pages_are_there, rig_setup, rig_teardown),
    };

    return cmocka_run_group_tests_name("commit_comes_true", tests, NULL, NULL);
}
