/* SPDX-License-Identifier: MIT */
/*
 * test_storage.c - trouble with the storage lasts until a file can be written again.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "fax/storage.h"

enum { PATIENCE_MS = 60000 };

#define CALLS "trouble\tcalls\tdown\tcalls are refused, faxes could not be stored: "
#define PAGES                                                                                      \
    "trouble\tpages\tdown\tpages of faxes cannot be stored, senders are told that they failed: "

static char folder[] = "/tmp/test_storage.XXXXXX";
static char incoming[64], away[64];
static atomic_int changes;

static void changed(void *user)
{
    atomic_fetch_add((atomic_int *)user, 1);
}

static void wait_well(struct storage *storage)
{
    int64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
    char text[1024];

    while (storage_text(storage, text, sizeof text) > 0) {
        if (clock_monotonic_ms() > until_ms)
            fail_msg("still: %s", text);
        usleep(20000);
    }
}

static void test_until_it_works(void **state)
{
    struct storage *storage;
    char text[1024];

    (void)state;
    atomic_store(&changes, 0);
    assert_int_equal(storage_start(&storage, folder, 0, changed, &changes), 0);
    assert_int_equal(storage_text(storage, text, sizeof text), 0);
    assert_string_equal(text, "");
    assert_int_equal(rename(incoming, away), 0);
    storage_failed(storage, STORAGE_PAGES, ERROR_FULL);
    storage_failed(storage, STORAGE_PAGES, ERROR_FULL); /* nothing new */
    assert_int_equal(atomic_load(&changes), 1);
    storage_text(storage, text, sizeof text);
    assert_string_equal(text, PAGES "no space left\n");
    storage_failed(storage, STORAGE_CALLS, ERROR_IO);
    assert_int_equal(atomic_load(&changes), 2);
    storage_text(storage, text, sizeof text);
    assert_string_equal(text, CALLS "input/output error\n" PAGES "no space left\n");
    assert_int_equal(storage_text(storage, text, 100), strlen(CALLS "input/output error\n"));
    assert_int_equal(rename(away, incoming), 0);
    wait_well(storage);
    storage_stop(storage);
    assert_int_equal(atomic_load(&changes), 3);
    assert_int_equal(rmdir(incoming), 0); /* nothing is left in it */
    assert_int_equal(mkdir(incoming, 0700), 0);
}

static void test_from_the_start(void **state)
{
    struct storage *storage;
    char text[1024];

    (void)state;
    assert_int_equal(storage_start(&storage, folder, INT64_MAX, NULL, NULL), 0);
    storage_text(storage, text, sizeof text);
    assert_string_equal(text, CALLS "no space left\n");
    storage_set_least(storage, 1); /* a reload */
    wait_well(storage);
    storage_stop(storage);
    storage_failed(NULL, STORAGE_CALLS, ERROR_IO);
    storage_stop(NULL);
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(incoming, sizeof incoming, "%s/incoming", folder);
    snprintf(away, sizeof away, "%s/away", folder);
    return mkdir(incoming, 0700);
}

static int tear_down(void **state)
{
    (void)state;
    rmdir(incoming);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_until_it_works),
        cmocka_unit_test(test_from_the_start),
    };

    return cmocka_run_group_tests_name("storage", tests, set_up, tear_down);
}
