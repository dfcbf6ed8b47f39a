/* SPDX-License-Identifier: MIT */
/*
 * spool_rig.c - state folders and faxes for the tests of the spool.
 */
#include "test/unit/spool_rig.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

int rig_setup(void **state)
{
    struct spool_rig *rig = calloc(1, sizeof *rig);
    const char *tmp = getenv("TMPDIR");

    if (rig == NULL)
        return -1;
    log_open("test", getenv("TEST_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ALERT);
    snprintf(rig->state_dir, sizeof rig->state_dir, "%.40s/spool-XXXXXX",
             tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(rig->state_dir) == NULL) {
        free(rig);
        return -1;
    }
    mkdir(rig_path(rig, "incoming"), 0700);
    *state = rig;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

int rig_teardown(void **state)
{
    struct spool_rig *rig = *state;

    nftw(rig->state_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(rig);
    return 0;
}

const char *rig_path(const struct spool_rig *rig, const char *name)
{
    static char paths[4][512];
    static int next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", rig->state_dir, name);
    return path;
}

struct spool *rig_open(const struct spool_rig *rig)
{
    struct spool *spool = NULL;

    assert_int_equal(spool_open(&spool, rig->state_dir, SPOOL_OWN), 0);
    return spool;
}

void rig_fax_id(char out[FAX_ID_MAX])
{
    static int64_t last_ms;

    last_ms = last_ms == 0 ? clock_wall_ms() : last_ms + 3;
    fax_id_new(out, last_ms);
}

struct incoming *rig_call(const struct spool_rig *rig, struct call_info *out)
{
    struct incoming *incoming = NULL;

    memset(out, 0, sizeof *out);
    rig_fax_id(out->fax_id);
    out->started_ms = clock_wall_ms();
    strcpy(out->line, "trunk");
    strcpy(out->caller, "+15551000");
    assert_int_equal(incoming_new(&incoming, rig->state_dir, out), 0);
    return incoming;
}

void rig_fax(const struct spool_rig *rig, enum call_verdict verdict, int count,
             char out[FAX_ID_MAX])
{
    struct call_info info;
    struct incoming *incoming = rig_call(rig, &info);
    size_t length;
    int i;

    for (i = 1; i <= count; i++) {
        const char *page = rig_page(info.fax_id, i, &length);

        assert_int_equal(incoming_store_page(incoming, i, page, length), 0);
    }
    info.pages = count;
    info.verdict = verdict;
    info.ended_ms = clock_wall_ms();
    assert_int_equal(incoming_write_info(incoming, &info, 1), 0);
    incoming_close(incoming);
    memcpy(out, info.fax_id, FAX_ID_MAX);
}

void rig_delivery(const struct spool_rig *rig, struct spool *spool, int recipients, int64_t now_ms,
                  char out[FAX_ID_MAX])
{
    struct spool_recipient *to = calloc((size_t)recipients, sizeof *to);
    int i;

    rig_fax(rig, CALL_COMPLETE, 1, out);
    assert_int_equal(spool_take_over(spool, 1), 1);
    for (i = 0; i < recipients; i++)
        snprintf(to[i].address, sizeof to[i].address, "user%d@example.com", i);
    assert_int_equal(spool_fax_composed(spool, out, "sales", "id@example.com", "op@example.com",
                                        1000, to, recipients, now_ms),
                     0);
    free(to);
}

enum { PAGE_BYTES = 3000 };

const char *rig_page(const char *fax_id, int number, size_t *out_length)
{
    static char page[PAGE_BYTES + 64];
    int used = snprintf(page, sizeof page, "II*. page %d of %s: ", number, fax_id);
    int i;

    for (i = used; i < PAGE_BYTES; i++)
        page[i] = (char)('a' + (i * 7 + number) % 26);
    *out_length = PAGE_BYTES;
    return page;
}

int rig_page_is_whole(const struct spool_rig *rig, const char *folder, const char *fax_id,
                      int number)
{
    char name[200];
    char *data;
    size_t length;
    size_t expected_length;
    const char *expected = rig_page(fax_id, number, &expected_length);
    int whole;

    snprintf(name, sizeof name, "%s/page-%04d.tif", folder, number);
    if (file_read(-100, rig_path(rig, name), 1000000, &data, &length) < 0) /* AT_FDCWD */
        return 0;
    whole = length == expected_length && memcmp(data, expected, length) == 0;
    free(data);
    return whole;
}

int rig_exists(const struct spool_rig *rig, const char *name)
{
    struct stat st;

    return lstat(rig_path(rig, name), &st) == 0;
}

void rig_write(const struct spool_rig *rig, const char *name, const char *text)
{
    FILE *file = fopen(rig_path(rig, name), "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}
