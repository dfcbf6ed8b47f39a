/* SPDX-License-Identifier: MIT */
/*
 * take_over.c - from incoming/ to a recorded fax: copy, fsync, commit, delete the source. The
 * source is the record of intent: until the row is committed every step is simply done again.
 */
#include "spool/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "spool/incoming.h"

/* Adds a sentence to what is known of the end of the call. */
static void __attribute__((format(printf, 2, 3)))
add_error(struct call_info *call, const char *format, ...)
{
    size_t used = strlen(call->error);
    va_list ap;

    if (used > 0 && used + 3 < sizeof call->error) {
        memcpy(call->error + used, "; ", 3);
        used += 2;
    }
    va_start(ap, format);
    vsnprintf(call->error + used, sizeof call->error - used, format, ap);
    va_end(ap);
}

/* The number of confirmed pages that are missing up to the last one, and the first of them. */
static int count_gaps(const struct copied *copied, int *out_first)
{
    int expected = 1;
    int gaps = 0;
    int i;

    for (i = 0; i < copied->count; i++) {
        if (!copied->pages[i].confirmed)
            continue;
        if (copied->pages[i].number > expected && gaps == 0)
            *out_first = expected;
        gaps += copied->pages[i].number - expected;
        expected = copied->pages[i].number + 1;
    }
    return gaps;
}

/* The verdict by what is on disk; call.ini is believed only where the pages agree with it. */
static void judge(struct call_info *call, const struct copied *copied, bool info_read)
{
    int claimed = call->pages;
    enum call_verdict told = call->verdict;
    int first_gap = 0;
    int gaps = count_gaps(copied, &first_gap);

    call->pages = copied->confirmed;
    call->unconfirmed = copied->unconfirmed;
    if (!info_read)
        add_error(call, "call.ini was not readable");
    else if (told == CALL_LIVE)
        add_error(call, "the receiving process died");
    if (told == CALL_COMPLETE || told == CALL_DOUBTFUL) {
        if (copied->confirmed < claimed) {
            call->verdict = CALL_PARTIAL;
            add_error(call, "only %d of %d pages are there", copied->confirmed, claimed);
        }
    } else {
        call->verdict = CALL_PARTIAL;
    }
    if (copied->left > 0) {
        call->verdict = CALL_PARTIAL;
        add_error(call, "%d page file%s could not be taken over", copied->left,
                  copied->left == 1 ? "" : "s");
    }
    if (copied->confirmed == 0)
        call->verdict = CALL_EMPTY;
    if (gaps > 0)
        add_error(call, "page numbers have %d gap%s, the first at %d", gaps, gaps == 1 ? "" : "s",
                  first_gap);
}

/* What is known of the call, from call.ini if it can be read, from the folder else. */
static void describe(struct call_info *out, int from_fd, int copy_fd, const char *fax_id,
                     const struct copied *copied)
{
    int64_t changed_ms = 0;
    int error;

    memset(out, 0, sizeof *out);
    error = scan_call_info(copy_fd, out);
    if (error < 0)
        log_warning("call.ini not readable: fax=%s error=\"%s\" (the fax goes on with its pages)",
                    fax_id, error_text(error));
    text_copy(out->fax_id, sizeof out->fax_id, fax_id);
    if (out->started_ms == 0)
        out->started_ms = fax_id_wall_ms(fax_id);
    if (out->ended_ms == 0 && scan_changed_ms(from_fd, ".", &changed_ms) == 0)
        out->ended_ms = changed_ms;
    judge(out, copied, error == 0);
}

/* Half of a copy, of which there is no row. errno stays. */
static int remove_copy(struct spool *spool, const char *fax_id)
{
    char below[SPOOL_PATH_MAX];
    int error = fax_id_folder(below, sizeof below, fax_id);
    int saved_errno = errno;

    if (error == 0)
        error = file_remove_folder(spool->state_fd, below);
    errno = saved_errno;
    return error == ERROR_NOT_FOUND ? 0 : error;
}

static int make_folder(struct spool *spool, const char *path)
{
    int error;

    pthread_mutex_lock(&spool->folders_lock);
    error = file_make_folders(path);
    pthread_mutex_unlock(&spool->folders_lock);
    return error;
}

/* An empty folder for the copy: what stands there without a row is half of an older try. */
static int make_copy_folder(struct spool *spool, const char *fax_id)
{
    char path[SPOOL_PATH_MAX];
    char below[SPOOL_PATH_MAX - SPOOL_STATE_DIR_MAX];
    int error = fax_id_folder(below, sizeof below, fax_id);

    if (error < 0)
        return error;
    snprintf(path, sizeof path, "%s/%s", spool->state_dir, below);
    error = remove_copy(spool, fax_id);
    if (error < 0)
        return error;
    error = make_folder(spool, path);
    return error < 0 ? error : file_open_folder(AT_FDCWD, path);
}

struct insertion {
    const struct spool_fax *fax;
    const struct copied *copied;
};

static int insert_fax(struct db *db, void *arg)
{
    const struct insertion *insertion = arg;

    return db_fax_insert(db, insertion->fax, insertion->copied->pages, insertion->copied->count);
}

static int record(struct spool *spool, int from_fd, int copy_fd, const char *fax_id,
                  const struct copied *copied)
{
    struct spool_fax fax;
    struct insertion insertion = {&fax, copied};
    int error;

    memset(&fax, 0, sizeof fax);
    describe(&fax.call, from_fd, copy_fd, fax_id, copied);
    fax.taken_ms = clock_wall_ms();
    fax.state = fax.call.verdict == CALL_EMPTY ? SPOOL_FAX_EMPTY : SPOOL_FAX_TAKEN;
    error = spool_change(spool, insert_fax, &insertion);
    if (error == 0)
        log_info("fax taken over: fax=%s verdict=%s pages=%d unconfirmed=%d caller=%s station=%s "
                 "error=%s",
                 fax_id, call_verdict_text(fax.call.verdict), fax.call.pages, fax.call.unconfirmed,
                 LOG_ESCAPED(fax.call.caller), LOG_ESCAPED(fax.call.station),
                 LOG_ESCAPED(fax.call.error));
    return error;
}

/* 1 when there is a row, 0 when there is none. An error is neither: a fax that is recorded must not
 * be copied again over what was made of it. */
static int is_recorded(struct spool *spool, const char *fax_id, struct spool_fax *out)
{
    int error = spool_fax_get(spool, fax_id, out);

    return error == 0 ? 1 : error == ERROR_NOT_FOUND ? 0 : error;
}

/* A commit that failed may stand in the database's log all the same, and come true when the process
 * dies: while the copy, which was begun anew, is not whole. */
static int complete_copy(struct spool *spool, const struct spool_fax *fax, int from_fd)
{
    struct copied copied = {0};
    int error = make_folder(spool, fax->folder);
    int copy_fd = error < 0 ? error : file_open_folder(AT_FDCWD, fax->folder);
    int count = copy_fd < 0 ? copy_fd : copy_count_pages(copy_fd);

    error = count < 0 ? count : 0;
    if (error == 0 && count < fax->call.pages + fax->call.unconfirmed) {
        log_warning("copy of a fax completed: fax=%s", fax->call.fax_id);
        error = copy_fax(from_fd, copy_fd, spool->link_wait_ms, &copied);
    }
    copied_free(&copied);
    if (copy_fd >= 0)
        close(copy_fd);
    return error;
}

/* What is left in a source after this is reported by spool_incoming_stale(). */
static void remove_source(struct spool *spool, const char *fax_id)
{
    char below[SPOOL_PATH_MAX];
    int copy_fd = fax_id_folder(below, sizeof below, fax_id);

    if (copy_fd == 0)
        copy_fd = file_open_folder(spool->state_fd, below);
    if (copy_fd < 0)
        return;
    copy_remove_source(spool->incoming_fd, fax_id, copy_fd);
    close(copy_fd);
}

static int copy_and_record(struct spool *spool, const char *fax_id, int from_fd)
{
    struct copied copied = {0};
    int copy_fd = make_copy_folder(spool, fax_id);
    int error;

    if (copy_fd < 0)
        return copy_fd;
    error = copy_fax(from_fd, copy_fd, spool->link_wait_ms, &copied);
    if (error == 0)
        error = record(spool, from_fd, copy_fd, fax_id, &copied);
    else
        (void)remove_copy(spool, fax_id); /* others may need the room until the next try */
    copied_free(&copied);
    close(copy_fd);
    return error;
}

/* One folder whose call has ended. 1: taken over; 0: it was already, only its source was there. */
static int take_over_one(struct spool *spool, const char *fax_id, int from_fd)
{
    struct spool_fax fax;
    int recorded = is_recorded(spool, fax_id, &fax);
    int error = recorded < 0    ? recorded
                : recorded == 0 ? copy_and_record(spool, fax_id, from_fd)
                                : complete_copy(spool, &fax, from_fd);

    if (error < 0)
        return error;
    remove_source(spool, fax_id);
    return !recorded;
}

/* Once per folder and reason, not at every scan. Caller holds taking_lock. */
static void complain(struct spool *spool, const char *name, int error)
{
    size_t n = sizeof spool->complaints / sizeof spool->complaints[0];
    size_t i;

    for (i = 0; i < n; i++)
        if (spool->complaints[i].error == error && strcmp(spool->complaints[i].name, name) == 0)
            return;
    i = spool->complaint_next++ % n;
    text_copy(spool->complaints[i].name, sizeof spool->complaints[i].name, name);
    spool->complaints[i].error = error;
    log_error(
        "fax not taken over: fax=%s error=\"%s: %s\" (it stays in incoming and is tried again)",
        name, error_text(error), strerror(errno));
}

int spool_take_over(struct spool *spool, int most)
{
    char(*names)[FAX_ID_MAX] = NULL;
    int count;
    int taken = 0;
    int failed = 0;
    int i;

    if (spool->mode != SPOOL_OWN)
        return ERROR_STATE;
    scan_remove_unborn(spool->incoming_fd, clock_wall_ms());
    count = scan_fax_folders(spool->incoming_fd, &names);
    if (count < 0)
        return count;
    pthread_mutex_lock(&spool->taking_lock);
    for (i = 0; i < count && taken < most; i++) {
        int from_fd = scan_open_ended(spool->incoming_fd, names[i]);
        int got;

        if (from_fd == ERROR_BUSY || from_fd == ERROR_NOT_FOUND || from_fd == ERROR_FORMAT)
            continue; /* a living call, gone meanwhile, or no folder */
        errno = 0;
        got = from_fd < 0 ? from_fd : take_over_one(spool, names[i], from_fd);
        if (from_fd >= 0)
            close(from_fd);
        if (got < 0) {
            complain(spool, names[i], got);
            failed = got;
        } else {
            taken += got;
        }
        if (got == ERROR_FULL)
            break; /* the next would fare no better */
    }
    pthread_mutex_unlock(&spool->taking_lock);
    free(names);
    return taken > 0 ? taken : failed;
}
