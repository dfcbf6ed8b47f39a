/* SPDX-License-Identifier: MIT */
/*
 * spool.c - opening and closing the spool, and its faxes. Deliveries and the log: queue.c; taking
 * over: take_over.c.
 */
#include "spool/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "spool/incoming.h"
#include "spool/inside.h"

enum { LOCK_TRIES = 10, LOCK_WAIT_MS = 50, EXPIRE_BATCH = 64 };

int spool_change(struct spool *spool, commit_change *change, void *arg)
{
    if (spool->mode != SPOOL_OWN)
        return ERROR_STATE;
    return commit_run(spool->commit, change, arg);
}

/* ---- opening -----------------------------------------------------------------------------------
 */

static int open_state(struct spool *spool, const char *state_dir)
{
    char resolved[PATH_MAX];
    int error = spool->mode == SPOOL_OWN ? file_make_folders(state_dir) : 0;

    if (error < 0)
        return error;
    if (realpath(state_dir, resolved) == NULL)
        return error_from_errno(errno);
    if (!text_copy(spool->state_dir, sizeof spool->state_dir, resolved))
        return ERROR_LIMIT;
    error = spool->state_fd = file_open_folder(AT_FDCWD, resolved);
    return error < 0 ? error : 0;
}

/* faxpost.lock: whoever holds it owns the spool. It is never removed: a lock on a file that lost
 * its name would hold nobody off. Only an owner makes it: what root's command made while the daemon
 * starts would be root's. */
static int take_lock(struct spool *spool)
{
    int how = spool->mode == SPOOL_OWN ? LOCK_EX : LOCK_SH;
    char owner[64] = "";
    int i;

    spool->lock_fd = openat(
        spool->state_fd, "faxpost.lock",
        (spool->mode == SPOOL_OWN ? O_RDWR | O_CREAT : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (spool->lock_fd < 0)
        return error_from_errno(errno);
    for (i = 0; flock(spool->lock_fd, how | LOCK_NB) < 0; i++) {
        struct timespec wait = {.tv_nsec = LOCK_WAIT_MS * 1000000L};

        if (errno != EWOULDBLOCK)
            return error_from_errno(errno);
        if (i == LOCK_TRIES) {
            if (pread(spool->lock_fd, owner, sizeof owner - 1, 0) < 0)
                owner[0] = '\0';
            owner[strcspn(owner, "\n")] = '\0';
            log_error("spool in use: folder=%s owner=%s (stop it, or speak to it)",
                      spool->state_dir, LOG_ESCAPED(owner));
            return ERROR_BUSY;
        }
        nanosleep(&wait, NULL); /* a command that only looks is gone in a moment */
    }
    if (spool->mode != SPOOL_OWN)
        return 0;
    snprintf(owner, sizeof owner, "%ld deliver\n", (long)getpid());
    if (ftruncate(spool->lock_fd, 0) < 0 ||
        pwrite(spool->lock_fd, owner, strlen(owner), 0) != (ssize_t)strlen(owner))
        log_warning("lock file not written: folder=%s error=\"%s\" (the lock itself holds)",
                    spool->state_dir, strerror(errno));
    return 0;
}

/* What an owner before us had written and not synced when it died may be read, and would be built
 * upon as if it were for good: a folder that is there, a commit that stands in the log. Now it is
 * made so; the file system knows what is left to do, we do not. */
static int settle_all(struct spool *spool)
{
    return syncfs(spool->state_fd) < 0 ? error_from_errno(errno) : 0;
}

static int open_incoming(struct spool *spool)
{
    int error;

    if (spool->mode == SPOOL_OWN) {
        char path[SPOOL_PATH_MAX];

        snprintf(path, sizeof path, "%s/incoming", spool->state_dir);
        error = file_make_folders(path);
        if (error < 0)
            return error;
    }
    error = spool->incoming_fd = file_open_folder(spool->state_fd, "incoming");
    return error < 0 ? error : 0;
}

static int open_database(struct spool *spool)
{
    char path[SPOOL_PATH_MAX];
    int error = 0;

    snprintf(path, sizeof path, "%s/faxpost.db", spool->state_dir);
    if (spool->mode == SPOOL_READ && access(path, F_OK) < 0)
        return error_from_errno(errno);
    if (spool->mode == SPOOL_OWN) {
        error = db_open(&spool->writer, path, false);
        if (error == 0)
            error = db_migrate(spool->writer);
        if (error == 0)
            error = file_sync_folder(spool->state_fd); /* the name of a new database */
        if (error == 0)
            error = commit_new(&spool->commit, spool->writer);
    }
    if (error == 0)
        error = db_open(&spool->reader, path, true);
    if (error == 0 && spool->mode == SPOOL_READ)
        error = db_migrate(spool->reader);
    return error;
}

static int end_leases(struct db *db, void *arg)
{
    (void)arg;
    return db_uncertain(db, INT64_MAX, clock_wall_ms(), "the gateway was stopped while sending");
}

static int finish_removals(struct spool *spool);

/* What another owner of this spool left half done. */
static int recover(struct spool *spool)
{
    int ended = spool_change(spool, end_leases, NULL);

    if (ended < 0)
        return ended;
    if (ended > 0)
        log_warning("deliveries were being sent when the gateway stopped: count=%d (each is marked "
                    "uncertain and sent again: it may arrive twice)",
                    ended);
    finish_removals(spool);
    message_remove_unborn(spool);
    return 0;
}

int spool_open(struct spool **out, const char *state_dir, enum spool_mode mode)
{
    struct spool *spool = calloc(1, sizeof *spool);
    int error;

    if (spool == NULL)
        return ERROR_MEMORY;
    spool->mode = mode;
    spool->state_fd = spool->incoming_fd = spool->lock_fd = -1;
    pthread_mutex_init(&spool->read_lock, NULL);
    pthread_mutex_init(&spool->folders_lock, NULL);
    pthread_mutex_init(&spool->taking_lock, NULL);
    spool->link_wait_ms = SPOOL_LINK_WAIT_MS;
    error = open_state(spool, state_dir);
    if (error == 0)
        error = take_lock(spool);
    if (error == 0 && mode == SPOOL_OWN)
        error = settle_all(spool);
    if (error == 0)
        error = open_incoming(spool);
    if (error == 0)
        error = open_database(spool);
    if (error == 0 && mode == SPOOL_OWN)
        error = recover(spool);
    if (error < 0) {
        if (error != ERROR_BUSY && !(mode == SPOOL_READ && error == ERROR_NOT_FOUND))
            log_error("spool not opened: folder=%s error=\"%s\"", state_dir, error_text(error));
        spool_close(spool);
        return error;
    }
    *out = spool;
    return 0;
}

void spool_close(struct spool *spool)
{
    if (spool == NULL)
        return;
    commit_free(spool->commit);
    db_close(spool->reader);
    db_close(spool->writer); /* the last one: brings the write-ahead log home */
    if (spool->incoming_fd >= 0)
        close(spool->incoming_fd);
    if (spool->lock_fd >= 0)
        close(spool->lock_fd);
    if (spool->state_fd >= 0)
        close(spool->state_fd);
    pthread_mutex_destroy(&spool->folders_lock);
    pthread_mutex_destroy(&spool->taking_lock);
    pthread_mutex_destroy(&spool->read_lock);
    free(spool);
}

const char *spool_state_dir(const struct spool *spool)
{
    return spool->state_dir;
}

int spool_free_bytes(struct spool *spool, int64_t *out_bytes)
{
    return file_free_bytes(spool->state_fd, out_bytes);
}

/* ---- faxes -------------------------------------------------------------------------------------
 */

void spool_fax_complete(const struct spool *spool, struct spool_fax *fax)
{
    char below[SPOOL_PATH_MAX - SPOOL_STATE_DIR_MAX] = "";

    fax_id_folder(below, sizeof below, fax->call.fax_id);
    snprintf(fax->folder, sizeof fax->folder, "%s/%s", spool->state_dir, below);
}

int spool_fax_get(struct spool *spool, const char *fax_id, struct spool_fax *out)
{
    int error;

    pthread_mutex_lock(&spool->read_lock);
    error = db_fax_get(spool->reader, fax_id, out);
    pthread_mutex_unlock(&spool->read_lock);
    if (error == 0)
        spool_fax_complete(spool, out);
    return error;
}

int spool_fax_list(struct spool *spool, const char *before, struct spool_fax *out, int most)
{
    int count;
    int i;

    pthread_mutex_lock(&spool->read_lock);
    count = db_fax_list(spool->reader, before, out, most);
    pthread_mutex_unlock(&spool->read_lock);
    for (i = 0; i < count; i++)
        spool_fax_complete(spool, &out[i]);
    return count;
}

int spool_fax_to_compose(struct spool *spool, int64_t now_ms, struct spool_fax *out)
{
    int error;

    pthread_mutex_lock(&spool->read_lock);
    error = db_fax_to_compose(spool->reader, now_ms, out);
    pthread_mutex_unlock(&spool->read_lock);
    if (error == 0)
        spool_fax_complete(spool, out);
    return error;
}

struct compose_failure {
    const char *fax_id;
    const char *why;
    int64_t due_ms;
    bool counts;
};

static int compose_failed(struct db *db, void *arg)
{
    const struct compose_failure *failure = arg;

    return db_fax_compose_failed(db, failure->fax_id, failure->why, failure->due_ms,
                                 failure->counts);
}

int spool_fax_compose_failed(struct spool *spool, const char *fax_id, const char *why,
                             int64_t due_ms, bool counts)
{
    char text[SPOOL_REPLY_MAX];
    struct compose_failure failure = {fax_id, text, due_ms, counts};

    text_copy(text, sizeof text, why);
    text_printable(text);
    return spool_change(spool, compose_failed, &failure);
}

struct composition {
    const char *fax_id, *route, *message_id, *envelope_from;
    int64_t message_bytes;
    const struct spool_recipient *recipients;
    int count;
    int64_t now_ms;
    enum spool_bypass bypass;
};

static int composed(struct db *db, void *arg)
{
    const struct composition *c = arg;
    int error =
        db_fax_composed(db, c->fax_id, c->route, c->message_id, c->envelope_from, c->message_bytes);
    int i;

    for (i = 0; i < c->count && error == 0; i++)
        error = db_delivery_insert(db, c->fax_id, c->recipients[i].address, c->now_ms, c->bypass);
    return error;
}

int spool_fax_composed(struct spool *spool, const char *fax_id, const char *route,
                       const char *message_id, const char *envelope_from, int64_t message_bytes,
                       const struct spool_recipient *recipients, int count, int64_t now_ms)
{
    return spool_fax_composed_as(spool, fax_id, route, message_id, envelope_from, message_bytes,
                                 recipients, count, now_ms, SPOOL_BYPASS_TABLE);
}

int spool_fax_composed_as(struct spool *spool, const char *fax_id, const char *route,
                          const char *message_id, const char *envelope_from, int64_t message_bytes,
                          const struct spool_recipient *recipients, int count, int64_t now_ms,
                          enum spool_bypass bypass)
{
    struct composition composition = {fax_id,     route, message_id, envelope_from, message_bytes,
                                      recipients, count, now_ms,     bypass};

    if (count < 1) /* it would be a fax that nobody ever gets */
        return ERROR_FORMAT;
    return spool_change(spool, composed, &composition);
}

/* ---- the end of faxes --------------------------------------------------------------------------
 */

struct expiry {
    int64_t before_ms;
    char (*ids)[FAX_ID_MAX];
    int most;
    int incoming_fd;
};

/* Faxes whose sources are gone from incoming/ for good. One that is still there, or that came back
 * after a power cut, would find no row and be taken for a new fax. */
static int keep_out_sources(const struct expiry *expiry, int count)
{
    int kept = 0;
    int i;

    if (count > 0) {
        int error = file_sync_folder(expiry->incoming_fd);

        if (error < 0)
            return error;
    }
    for (i = 0; i < count; i++)
        if (faccessat(expiry->incoming_fd, expiry->ids[i], F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
            errno == ENOENT)
            memmove(expiry->ids[kept++], expiry->ids[i], FAX_ID_MAX);
    return kept;
}

/* Rows go first, in one commit with the note that their folders are to go: a crash afterwards
 * leaves nothing that anybody could still see half of. */
static int expire_rows(struct db *db, void *arg)
{
    struct expiry *expiry = arg;
    int count = db_fax_expired(db, expiry->before_ms, expiry->ids, expiry->most);
    int error = 0;
    int i;

    count = keep_out_sources(expiry, count);
    for (i = 0; i < count && error == 0; i++)
        error = db_fax_delete(db, expiry->ids[i]);
    return error < 0 ? error : count;
}

static int removal_done(struct db *db, void *arg)
{
    const struct expiry *expiry = arg;
    int error = 0;
    int i;

    for (i = 0; i < expiry->most && error == 0; i++)
        error = db_removal_done(db, expiry->ids[i]);
    return error;
}

/* A fax's folder, and the folders of its day, month and year when they are empty then. Caller holds
 * folders_lock. */
static int remove_fax_folder(struct spool *spool, const char *fax_id)
{
    char below[SPOOL_PATH_MAX];
    int error = fax_id_folder(below, sizeof below, fax_id);
    int i;

    if (error == 0)
        error = file_remove_folder(spool->state_fd, below);
    if (error < 0 && error != ERROR_NOT_FOUND) {
        log_error("old fax not removed: fax=%s error=\"%s: %s\" (remove its folder by hand)",
                  fax_id, error_text(error), strerror(errno));
        return error;
    }
    for (i = 0; i < 3; i++) {
        *strrchr(below, '/') = '\0'; /* fax/2026/11/21, then 11, then 2026 */
        if (unlinkat(spool->state_fd, below, AT_REMOVEDIR) < 0)
            break; /* not empty */
    }
    return 0;
}

/* Makes it last that the folder of a fax is gone: fsync of the nearest folder above that is left,
 * unless that is `synced`, where the one before lay. Caller holds folders_lock. */
static int sync_removal(struct spool *spool, const char *fax_id, char synced[SPOOL_PATH_MAX])
{
    char below[SPOOL_PATH_MAX];
    int error = fax_id_folder(below, sizeof below, fax_id);
    char *end;
    int fd;

    if (error < 0)
        return error;
    do {
        end = strrchr(below, '/');
        strcpy(end != NULL ? end : below, end != NULL ? "" : ".");
        if (strcmp(below, synced) == 0)
            return 0;
        fd = file_open_folder(spool->state_fd, below);
    } while (fd == ERROR_NOT_FOUND);
    if (fd < 0)
        return fd;
    error = file_sync_folder(fd);
    close(fd);
    if (error == 0)
        memcpy(synced, below, strlen(below) + 1);
    return error;
}

/* Removes the folders of faxes that have no row any more. */
static int finish_removals(struct spool *spool)
{
    char ids[EXPIRE_BATCH][FAX_ID_MAX];
    char gone[EXPIRE_BATCH][FAX_ID_MAX];
    char synced[SPOOL_PATH_MAX] = "";
    struct expiry done = {.ids = gone};
    int error = 0;

    do {
        int count;
        int i;

        pthread_mutex_lock(&spool->read_lock);
        count = db_removal_list(spool->reader, ids, EXPIRE_BATCH);
        pthread_mutex_unlock(&spool->read_lock);
        if (count <= 0)
            return count;
        done.most = 0;
        pthread_mutex_lock(&spool->folders_lock);
        for (i = 0; i < count; i++)
            if (remove_fax_folder(spool, ids[i]) == 0)
                memcpy(gone[done.most++], ids[i], FAX_ID_MAX);
        /* The note goes when nothing can bring the folders back. */
        for (i = 0, count = done.most, done.most = 0; i < count; i++)
            if (sync_removal(spool, gone[i], synced) == 0)
                memmove(gone[done.most++], gone[i], FAX_ID_MAX);
        pthread_mutex_unlock(&spool->folders_lock);
        error = done.most == 0 ? ERROR_IO : spool_change(spool, removal_done, &done);
    } while (error == 0); /* what failed is done again at the next expiry or start */
    return error;
}

int spool_fax_expire(struct spool *spool, int64_t before_ms, int most)
{
    char ids[EXPIRE_BATCH][FAX_ID_MAX];
    int removed = 0;

    if (spool->mode != SPOOL_OWN)
        return ERROR_STATE;
    while (removed < most) {
        struct expiry expiry = {before_ms, ids,
                                most - removed < EXPIRE_BATCH ? most - removed : EXPIRE_BATCH,
                                spool->incoming_fd};
        int count = spool_change(spool, expire_rows, &expiry);

        if (count < 0)
            return removed > 0 ? removed : count;
        if (count == 0)
            break;
        removed += count;
    }
    finish_removals(spool);
    return removed;
}
