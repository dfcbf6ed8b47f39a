/* SPDX-License-Identifier: MIT */
/*
 * message.c - messages that were handed in: written as STATE/mail/.new/ID.eml, and once complete
 * moved to STATE/mail/YYYY/MM/DD/ID/message.eml and recorded with their deliveries in one commit.
 * Before that nobody was told that the message was accepted.
 */
#include "spool/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "spool/incoming.h"

enum { UNBORN_MAX = FAX_ID_MAX + 24 };

static char *unborn_path(char out[UNBORN_MAX], const char *id)
{
    snprintf(out, UNBORN_MAX, "mail/.new/%.*s.eml", FAX_ID_MAX, id);
    return out;
}

void message_remove_unborn(struct spool *spool)
{
    int error = file_remove_folder(spool->state_fd, "mail/.new");

    if (error < 0 && error != ERROR_NOT_FOUND)
        log_warning("what was left of messages that were not accepted cannot be removed: "
                    "folder=%s/mail/.new error=\"%s\"",
                    spool->state_dir, error_text(error));
}

int spool_message_begin(struct spool *spool, char out_id[FAX_ID_MAX])
{
    char path[SPOOL_PATH_MAX];
    char id[FAX_ID_MAX];
    char name[UNBORN_MAX];
    int error;
    int fd;

    if (spool->mode != SPOOL_OWN)
        return ERROR_STATE;
    snprintf(path, sizeof path, "%s/mail/.new", spool->state_dir);
    error = file_make_folders(path);
    if (error < 0)
        return error;
    message_id_new(id, clock_wall_ms());
    fd = openat(spool->state_fd, unborn_path(name, id),
                O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_from_errno(errno);
    memcpy(out_id, id, FAX_ID_MAX);
    return fd;
}

void spool_message_abort(struct spool *spool, const char *id)
{
    char name[UNBORN_MAX];

    unlinkat(spool->state_fd, unborn_path(name, id), 0);
}

/* The file to where it stays, durable there. */
static int settle(struct spool *spool, const char *id, const char *below)
{
    char path[SPOOL_PATH_MAX];
    char unborn[UNBORN_MAX];
    int error;

    snprintf(path, sizeof path, "%s/%s", spool->state_dir, below);
    error = file_make_folders(path);
    if (error < 0)
        return error;
    snprintf(path, sizeof path, "%.400s/message.eml", below);
    if (renameat(spool->state_fd, unborn_path(unborn, id), spool->state_fd, path) < 0)
        return error_from_errno(errno);
    snprintf(path, sizeof path, "%s/%s", spool->state_dir, below);
    return file_sync_folder_path(path);
}

struct submission {
    const char *id;
    const struct spool_message *message;
    const struct spool_recipient *recipients;
    int count;
    int64_t now_ms;
};

static int insert(struct db *db, void *arg)
{
    const struct submission *s = arg;
    int error = db_message_insert(db, s->id, s->message, s->now_ms);
    int i;

    for (i = 0; i < s->count && error == 0; i++)
        error =
            db_delivery_insert(db, s->id, s->recipients[i].address, s->now_ms, s->message->bypass);
    return error;
}

int spool_message_commit(struct spool *spool, const char *id, int fd,
                         const struct spool_message *message,
                         const struct spool_recipient *recipients, int count, int64_t now_ms)
{
    char subject[SPOOL_SUBJECT_MAX];
    char below[SPOOL_PATH_MAX - SPOOL_STATE_DIR_MAX];
    struct spool_message copy = *message;
    struct submission submission = {id, &copy, recipients, count, now_ms};
    int error = fax_id_folder(below, sizeof below, id);

    text_copy(subject, sizeof subject, message->subject);
    copy.subject = text_printable_utf8(subject);
    if (count < 1)
        error = ERROR_FORMAT; /* it would be a message that nobody ever gets */
    if (error == 0 && fsync(fd) < 0)
        error = error_from_errno(errno);
    if (error < 0) {
        spool_message_abort(spool, id);
        return error;
    }
    pthread_mutex_lock(&spool->folders_lock);
    error = settle(spool, id, below);
    pthread_mutex_unlock(&spool->folders_lock);
    if (error == 0)
        error = spool_change(spool, insert, &submission);
    if (error < 0) {
        spool_message_abort(spool, id);
        pthread_mutex_lock(&spool->folders_lock);
        file_remove_folder(spool->state_fd, below);
        pthread_mutex_unlock(&spool->folders_lock);
    }
    return error;
}
