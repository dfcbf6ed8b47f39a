/* SPDX-License-Identifier: MIT */
/*
 * test_take_over.c - from incoming/ into the records: verdicts by what is on disk, hostile folders,
 * and every instant at which the work may have been cut off.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "spool/inside.h"
#include "test/unit/spool_rig.h"

static const char *in_incoming(const char *fax_id, const char *name)
{
    static char path[300];

    snprintf(path, sizeof path, "incoming/%s%s%s", fax_id, name[0] != '\0' ? "/" : "", name);
    return path;
}

static const char *in_fax(const char *fax_id, const char *name)
{
    static char path[300];
    int n;

    assert_int_equal(fax_id_folder(path, sizeof path, fax_id), 0);
    n = (int)strlen(path);
    snprintf(path + n, sizeof path - (size_t)n, "%s%s", name[0] != '\0' ? "/" : "", name);
    return path;
}

/* The name of what lies in incoming/ too long, "" for nothing. */
static const char *stale(struct spool *spool)
{
    static char name[300];
    int error = spool_incoming_stale(spool, 0, name, sizeof name);

    assert_true(error == 0 || error == ERROR_NOT_FOUND);
    return error == 0 ? name : "";
}

static void whole_fax(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    struct spool_fax fax;
    struct spool_fax list[2];
    char id[FAX_ID_MAX];
    char mode[8];
    struct stat st;

    rig_fax(rig, CALL_COMPLETE, 3, id);
    assert_string_equal(stale(spool), id);
    assert_int_equal(spool_take_over(spool, 10), 1);
    assert_int_equal(spool_take_over(spool, 10), 0);
    assert_string_equal(stale(spool), "");
    assert_int_equal(spool_fax_get(spool, id, &fax), 0);
    assert_string_equal(fax.call.fax_id, id);
    assert_string_equal(fax.call.caller, "+15551000");
    assert_int_equal(fax.call.pages, 3);
    assert_int_equal(fax.call.verdict, CALL_COMPLETE);
    assert_string_equal(fax.call.error, "");
    assert_int_equal(fax.state, SPOOL_FAX_TAKEN);
    assert_string_equal(fax.folder, rig_path(rig, in_fax(id, "")));
    assert_true(rig_page_is_whole(rig, in_fax(id, ""), id, 1));
    assert_true(rig_page_is_whole(rig, in_fax(id, ""), id, 2));
    assert_true(rig_page_is_whole(rig, in_fax(id, ""), id, 3));
    assert_true(rig_exists(rig, in_fax(id, "call.ini")));
    assert_false(rig_exists(rig, in_incoming(id, "")));
    assert_int_equal(stat(fax.folder, &st), 0);
    snprintf(mode, sizeof mode, "%03o", (unsigned)(st.st_mode & 0777));
    assert_string_equal(mode, "700");
    assert_int_equal(spool_fax_list(spool, NULL, list, 2), 1);
    assert_string_equal(list[0].call.fax_id, id);
    assert_int_equal(spool_fax_list(spool, id, list, 2), 0);
    assert_int_equal(spool_fax_get(spool, "20260101T000000000-000000000000", &fax),
                     ERROR_NOT_FOUND);
    spool_close(spool);
}

static void live_call_is_left_alone(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    struct call_info info;
    struct call_info live[2];
    struct incoming *incoming = rig_call(rig, &info);

    info.pages = 1;
    assert_int_equal(incoming_store_page(incoming, 1, "x", 1), 0);
    assert_int_equal(incoming_write_info(incoming, &info, 0), 0);
    assert_int_equal(spool_take_over(spool, 10), 0);
    assert_string_equal(stale(spool), "");
    assert_int_equal(spool_live_calls(spool, live, 2), 1);
    assert_string_equal(live[0].fax_id, info.fax_id);
    assert_int_equal(live[0].pages, 1);
    assert_string_equal(live[0].caller, "+15551000");
    assert_int_equal(spool_live_calls(spool, live, 0), 0);
    incoming_close(incoming);
    assert_int_equal(spool_live_calls(spool, live, 2), 0);
    assert_int_equal(spool_take_over(spool, 10), 1);
    spool_close(spool);
}

/* What call.ini tells, what is on disk, and what comes of it. */
static void verdicts(void **state)
{
    static const struct {
        const char *name;
        const char *call_ini; /* NULL: none */
        const char *files;    /* page numbers; with 'u': unconfirmed */
        enum call_verdict verdict;
        int pages, unconfirmed;
        int fax_state;
        const char *error;
    } rows[] = {
        {"as told", "verdict = complete\npages = 2", "1 2", CALL_COMPLETE, 2, 0, SPOOL_FAX_TAKEN,
         ""},
        {"died with pages", "verdict = live\npages = 1", "1 2", CALL_PARTIAL, 2, 0, SPOOL_FAX_TAKEN,
         "the receiving process died"},
        {"died without", "verdict = live", "", CALL_EMPTY, 0, 0, SPOOL_FAX_EMPTY,
         "the receiving process died"},
        {"died, said why before", "verdict = live\nerror = line noise", "1", CALL_PARTIAL, 1, 0,
         SPOOL_FAX_TAKEN, "line noise; the receiving process died"},
        {"no call.ini", NULL, "1", CALL_PARTIAL, 1, 0, SPOOL_FAX_TAKEN,
         "call.ini was not readable"},
        {"nothing at all", NULL, "", CALL_EMPTY, 0, 0, SPOOL_FAX_EMPTY,
         "call.ini was not readable"},
        {"broken call.ini", "\x01\x02\x03", "1 2", CALL_PARTIAL, 2, 0, SPOOL_FAX_TAKEN,
         "call.ini was not readable"},
        {"complete, page gone", "verdict = complete\npages = 3", "1 2", CALL_PARTIAL, 2, 0,
         SPOOL_FAX_TAKEN, "only 2 of 3 pages are there"},
        {"complete, none there", "verdict = complete\npages = 1", "", CALL_EMPTY, 0, 0,
         SPOOL_FAX_EMPTY, "only 0 of 1 pages are there"},
        {"doubtful stays", "verdict = doubtful\npages = 1", "1 u2", CALL_DOUBTFUL, 1, 1,
         SPOOL_FAX_TAKEN, ""},
        {"partial with half a page", "verdict = partial\npages = 2\nerror = dropped", "1 2 u3",
         CALL_PARTIAL, 2, 1, SPOOL_FAX_TAKEN, "dropped"},
        {"empty, but a page is there", "verdict = empty", "1", CALL_PARTIAL, 1, 0, SPOOL_FAX_TAKEN,
         ""},
        {"empty with half a page", "verdict = empty", "u1", CALL_EMPTY, 0, 1, SPOOL_FAX_EMPTY, ""},
        {"gaps", "verdict = complete\npages = 3", "1 3 6", CALL_COMPLETE, 3, 0, SPOOL_FAX_TAKEN,
         "page numbers have 3 gaps, the first at 2"},
        {"a claim of many", "verdict = complete\npages = 2147483647", "1", CALL_PARTIAL, 1, 0,
         SPOOL_FAX_TAKEN, "only 1 of 2147483647 pages are there"},
    };
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    size_t i;

    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct spool_fax fax;
        char id[FAX_ID_MAX];
        char name[40];
        char text[200];
        const char *p;

        print_message("    %s\n", rows[i].name);
        rig_fax_id(id);
        assert_int_equal(mkdir(rig_path(rig, in_incoming(id, "")), 0700), 0);
        for (p = rows[i].files; *p != '\0'; p++) {
            if (*p == ' ' || *p == 'u')
                continue;
            snprintf(name, sizeof name, "%s-000%c.tif",
                     p > rows[i].files && p[-1] == 'u' ? "unconfirmed" : "page", *p);
            rig_write(rig, in_incoming(id, name), "tiff");
        }
        if (rows[i].call_ini != NULL) {
            snprintf(text, sizeof text, "[call]\nfax_id = ../../evil\n%s\n", rows[i].call_ini);
            rig_write(rig, in_incoming(id, "call.ini"),
                      rows[i].call_ini[0] < ' ' ? rows[i].call_ini : text);
        }
        assert_int_equal(spool_take_over(spool, 1), 1);
        assert_int_equal(spool_fax_get(spool, id, &fax), 0);
        assert_int_equal(fax.call.verdict, rows[i].verdict);
        assert_int_equal(fax.call.pages, rows[i].pages);
        assert_int_equal(fax.call.unconfirmed, rows[i].unconfirmed);
        assert_int_equal(fax.state, rows[i].fax_state);
        assert_string_equal(fax.call.error, rows[i].error);
        assert_int_equal(fax.call.started_ms, fax_id_wall_ms(id));
        assert_true(fax.call.ended_ms > 0);
        assert_false(rig_exists(rig, in_incoming(id, "")));
    }
    assert_int_equal(spool_fax_to_compose(spool, clock_wall_ms(), &(struct spool_fax){0}), 0);
    spool_close(spool);
}

/* Whoever broke into the receiving process may put anything there: good pages are taken, the rest
 * stays and rings the alarm, and nothing outside is read. */
static void hostile_folder(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    struct spool_fax fax;
    char id[FAX_ID_MAX];
    size_t length;
    const char *page;
    char path[512];
    int i;

    spool->link_wait_ms = 0;
    rig_fax_id(id);
    mkdir(rig_path(rig, in_incoming(id, "")), 0700);
    rig_write(rig, "secret", "password");
    page = rig_page(id, 1, &length);
    rig_write(rig, in_incoming(id, "page-0001.tif"), page);
    assert_int_equal(symlink("../../secret", rig_path(rig, in_incoming(id, "page-0002.tif"))), 0);
    snprintf(path, sizeof path, "%s", rig_path(rig, "secret"));
    assert_int_equal(link(path, rig_path(rig, in_incoming(id, "page-0003.tif"))), 0);
    assert_int_equal(mkfifo(rig_path(rig, in_incoming(id, "page-0004.tif")), 0600), 0);
    assert_int_equal(mkdir(rig_path(rig, in_incoming(id, "page-0005.tif")), 0700), 0);
    rig_write(rig, in_incoming(id, "page-0006.tif"), "");
    assert_int_equal(
        truncate(rig_path(rig, in_incoming(id, "page-0006.tif")), SPOOL_PAGE_BYTES_MAX + 1), 0);
    rig_write(rig, in_incoming(id, "page-00007.tif"), "x");
    rig_write(rig, in_incoming(id, "page-0000.tif"), "x");
    rig_write(rig, in_incoming(id, "message.eml"), "x");
    rig_write(rig, in_incoming(id, ".page-0008.tif.77-1.tmp"), "half a pa");
    assert_int_equal(symlink("../../secret", rig_path(rig, in_incoming(id, "call.ini"))), 0);

    assert_int_equal(spool_take_over(spool, 10), 1);
    assert_int_equal(spool_fax_get(spool, id, &fax), 0);
    assert_int_equal(fax.call.verdict, CALL_PARTIAL);
    assert_int_equal(fax.call.pages, 1);
    assert_string_equal(fax.call.error,
                        "call.ini was not readable; 5 page files could not be taken over");
    assert_true(rig_page_is_whole(rig, in_fax(id, ""), id, 1));
    for (i = 2; i <= 6; i++) {
        char name[32];

        snprintf(name, sizeof name, "page-%04d.tif", i);
        assert_false(rig_exists(rig, in_fax(id, name)));
        assert_true(rig_exists(rig, in_incoming(id, name)));
    }
    assert_false(rig_exists(rig, in_fax(id, "message.eml")));
    assert_false(rig_exists(rig, in_fax(id, "call.ini")));
    assert_false(rig_exists(rig, in_incoming(id, "page-0001.tif")));
    assert_false(rig_exists(rig, in_incoming(id, ".page-0008.tif.77-1.tmp")));
    assert_true(rig_exists(rig, in_incoming(id, "message.eml")));
    assert_true(rig_exists(rig, "secret"));
    assert_int_equal(spool_take_over(spool, 10), 0);
    assert_string_equal(stale(spool), id);
    spool_close(spool);
}

/* A second name of a page, as a backup makes it, goes away: the fax waits for that, whole. */
static void linked_for_a_while(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    struct spool_fax fax;
    char id[FAX_ID_MAX];
    char other[512];

    snprintf(other, sizeof other, "%s", rig_path(rig, "backup.tif"));
    rig_fax(rig, CALL_COMPLETE, 2, id);
    assert_int_equal(link(rig_path(rig, in_incoming(id, "page-0002.tif")), other), 0);
    assert_int_equal(spool_take_over(spool, 10), ERROR_BUSY);
    assert_int_equal(spool_fax_get(spool, id, &fax), ERROR_NOT_FOUND);
    assert_int_equal(unlink(other), 0);
    assert_int_equal(spool_take_over(spool, 10), 1);
    assert_int_equal(spool_fax_get(spool, id, &fax), 0);
    assert_int_equal(fax.call.verdict, CALL_COMPLETE);
    assert_int_equal(fax.call.pages, 2);
    assert_false(rig_exists(rig, in_incoming(id, "")));
    spool_close(spool);
}

/* Made with mode 000: the others are taken over all the same, and once. */
static void closed_files(void **state)
{
    static const char *const closed[] = {"page-0002.tif", "call.ini"};
    const struct spool_rig *rig = *state;
    bool is_root = geteuid() == 0; /* who may read all */
    struct spool *spool;
    struct spool_fax fax;
    char id[FAX_ID_MAX];
    size_t length;
    size_t i;

    if (is_root)
        assert_true(chown(rig->state_dir, 65534, 65534) == 0 &&
                    chown(rig_path(rig, "incoming"), 65534, 65534) == 0 && seteuid(65534) == 0);
    spool = rig_open(rig);
    rig_fax_id(id);
    assert_int_equal(mkdir(rig_path(rig, in_incoming(id, "")), 0700), 0);
    rig_write(rig, in_incoming(id, "page-0001.tif"), rig_page(id, 1, &length));
    for (i = 0; i < 2; i++) {
        rig_write(rig, in_incoming(id, closed[i]), "x");
        assert_int_equal(chmod(rig_path(rig, in_incoming(id, closed[i])), 0), 0);
    }
    assert_int_equal(spool_take_over(spool, 10), 1);
    assert_int_equal(spool_fax_get(spool, id, &fax), 0);
    assert_int_equal(fax.call.verdict, CALL_PARTIAL);
    assert_int_equal(fax.call.pages, 1);
    assert_int_equal(spool_take_over(spool, 10), 0);
    assert_string_equal(stale(spool), id);
    spool_close(spool);
    if (is_root)
        assert_int_equal(seteuid(0), 0);
}

static void foreign_names(void **state)
{
    static const char *const names[] = {"core", "not-a-fax", "20261321T101530123-k7f3a9c2d1e4",
                                        ".hidden", "new\nline"};
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    char name[64];
    char id[FAX_ID_MAX];
    size_t i;

    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(name, sizeof name, "incoming/%s", names[i]);
        assert_int_equal(mkdir(rig_path(rig, name), 0700), 0);
        assert_int_equal(spool_take_over(spool, 10), 0);
        assert_true(rig_exists(rig, name));
        assert_string_equal(stale(spool), i == 4 ? "new?line" : names[i]);
        rmdir(rig_path(rig, name));
    }
    /* A link or a file with the name of a fax is no fax either. */
    rig_fax_id(id);
    assert_int_equal(symlink("..", rig_path(rig, in_incoming(id, ""))), 0);
    assert_int_equal(spool_take_over(spool, 10), 0);
    assert_string_equal(stale(spool), id);
    unlink(rig_path(rig, in_incoming(id, "")));
    rig_write(rig, in_incoming(id, ""), "a file");
    assert_int_equal(spool_take_over(spool, 10), 0);
    assert_string_equal(stale(spool), id);
    assert_int_equal(spool_incoming_stale(spool, 60000, name, sizeof name), ERROR_NOT_FOUND);
    spool_close(spool);
}

static void most(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    struct spool_fax fax;
    char ids[5][FAX_ID_MAX];
    int i;

    for (i = 0; i < 5; i++)
        rig_fax(rig, CALL_COMPLETE, 1, ids[i]);
    assert_int_equal(spool_take_over(spool, 0), 0);
    assert_int_equal(spool_take_over(spool, 2), 2);
    assert_int_equal(spool_fax_get(spool, ids[1], &fax), 0); /* the oldest first */
    assert_int_equal(spool_fax_get(spool, ids[2], &fax), ERROR_NOT_FOUND);
    assert_int_equal(spool_take_over(spool, 10), 3);
    spool_close(spool);
}

/* ---- cut off at any instant --------------------------------------------------------------------
 */

enum instant {
    BEFORE_ANYTHING,
    FOLDER_MADE,
    COPY_HALF_DONE,
    COPY_DONE,
    COMMITTED,
    SOURCE_HALF_GONE,
    SOURCE_EMPTY,
    INSTANTS
};

static void write_page(const struct spool_rig *rig, const char *name, const char *id, int number)
{
    size_t length;
    const char *page = rig_page(id, number, &length);
    FILE *file = fopen(rig_path(rig, name), "w");

    assert_non_null(file);
    assert_int_equal(fwrite(page, 1, length, file), length);
    fclose(file);
}

/* Puts the state folder into the shape it has when deliver is killed at that instant. */
static void cut_off(const struct spool_rig *rig, const char *id, enum instant instant)
{
    if (instant >= FOLDER_MADE && instant < COMMITTED)
        assert_int_equal(file_make_folders(rig_path(rig, in_fax(id, ""))), 0);
    if (instant == COPY_HALF_DONE) {
        rig_write(rig, in_fax(id, "page-0001.tif"), "half a page of an older try");
        rig_write(rig, in_fax(id, ".page-0002.tif.5-6.tmp"), "ha");
        rig_write(rig, in_fax(id, "page-0009.tif"), "of another world");
    }
    if (instant == COPY_DONE) {
        write_page(rig, in_fax(id, "page-0001.tif"), id, 1);
        write_page(rig, in_fax(id, "page-0002.tif"), id, 2);
    }
    if (instant >= COMMITTED) { /* taken over, and the source comes back as it was then */
        struct spool *spool = rig_open(rig);

        assert_int_equal(spool_take_over(spool, 1), 1);
        assert_int_equal(spool_fax_composed(spool, id, "sales", "m", "op@example.com", 10,
                                            &(struct spool_recipient){"a@example.com"}, 1, 0),
                         0);
        spool_close(spool);
        rig_write(rig, in_fax(id, "message.eml"), "mail");
        mkdir(rig_path(rig, in_incoming(id, "")), 0700);
        if (instant < SOURCE_EMPTY)
            write_page(rig, in_incoming(id, "page-0002.tif"), id, 2);
        if (instant == COMMITTED) {
            write_page(rig, in_incoming(id, "page-0001.tif"), id, 1);
            rig_write(rig, in_incoming(id, "call.ini"), "[call]\nverdict = complete\npages = 2\n");
        }
    }
}

static void crash_instants(void **state)
{
    const struct spool_rig *rig = *state;
    enum instant instant;

    for (instant = BEFORE_ANYTHING; instant < INSTANTS; instant++) {
        struct spool *spool;
        struct spool_fax fax;
        struct spool_counts before = {0};
        struct spool_counts after = {0};
        char id[FAX_ID_MAX];

        print_message("    instant %d\n", (int)instant);
        rig_fax(rig, CALL_COMPLETE, 2, id);
        cut_off(rig, id, instant);
        spool = rig_open(rig);
        assert_int_equal(spool_count(spool, &before), 0);
        assert_int_equal(spool_take_over(spool, 10), instant < COMMITTED ? 1 : 0);
        assert_int_equal(spool_take_over(spool, 10), 0);
        assert_int_equal(spool_count(spool, &after), 0);
        assert_int_equal(after.faxes, before.faxes + (instant < COMMITTED));
        assert_int_equal(spool_fax_get(spool, id, &fax), 0);
        assert_int_equal(fax.call.verdict, CALL_COMPLETE);
        assert_int_equal(fax.call.pages, 2);
        assert_true(rig_page_is_whole(rig, in_fax(id, ""), id, 1));
        assert_true(rig_page_is_whole(rig, in_fax(id, ""), id, 2));
        assert_false(rig_exists(rig, in_fax(id, "page-0009.tif")));
        assert_false(rig_exists(rig, in_fax(id, ".page-0002.tif.5-6.tmp")));
        assert_int_equal(rig_exists(rig, in_fax(id, "message.eml")), instant >= COMMITTED);
        assert_false(rig_exists(rig, in_incoming(id, "")));
        assert_string_equal(stale(spool), "");
        spool_close(spool);
    }
}

/* A folder that a receiving process left before it could lock it. */
static void unborn(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    char id[FAX_ID_MAX];
    char name[80];

    rig_fax_id(id);
    snprintf(name, sizeof name, "incoming/.%s.new", id);
    assert_int_equal(mkdir(rig_path(rig, name), 0700), 0);
    assert_int_equal(spool_take_over(spool, 10), 0);
    assert_true(rig_exists(rig, name)); /* it may be on its way */
    spool_close(spool);
}

/* A full disk costs nothing but time: the source stays until there is room. */
static void full_disk(void **state)
{
    const struct spool_rig *rig = *state;
    struct spool *spool = rig_open(rig);
    struct rlimit old;
    struct rlimit small;
    struct spool_fax fax;
    char id[FAX_ID_MAX];

    rig_fax(rig, CALL_COMPLETE, 2, id);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 1000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(spool_take_over(spool, 10), ERROR_FULL);
    assert_int_equal(spool_fax_get(spool, id, &fax), ERROR_NOT_FOUND);
    small.rlim_cur = 3500; /* room for the pages, not for the database */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(spool_take_over(spool, 10), ERROR_FULL);
    assert_int_equal(spool_fax_get(spool, id, &fax), ERROR_NOT_FOUND);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_true(rig_page_is_whole(rig, in_incoming(id, ""), id, 2));
    assert_int_equal(spool_take_over(spool, 10), 1);
    assert_true(rig_page_is_whole(rig, in_fax(id, ""), id, 2));
    assert_int_equal(spool_fax_get(spool, id, &fax), 0);
    assert_int_equal(fax.call.verdict, CALL_COMPLETE);
    spool_close(spool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whole_fax, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(live_call_is_left_alone, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(verdicts, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(hostile_folder, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(linked_for_a_while, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(closed_files, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(foreign_names, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(most, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(crash_instants, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(unborn, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(full_disk, rig_setup, rig_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
