/* SPDX-License-Identifier: MIT */
/*
 * incoming.c - the folder of a live call: made under a hidden name, locked, then shown; pages
 * stored durably; unlocked and touched at the end.
 */
#include "spool/incoming.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"

enum { PAGE_NUMBER_MOST = 9999, PAGE_NAME_MAX = 32 };

struct incoming {
    int above_fd;        /* STATE/incoming */
    int folder_fd;       /* the lock hangs on this descriptor */
    atomic_bool durable; /* the folder's own name has been fsynced into incoming/ */
    char fax_id[FAX_ID_MAX];
};

static int write_info(int folder_fd, const struct call_info *info, int durable)
{
    char *text;
    size_t length;
    int error = call_info_format(&text, &length, info);

    if (error < 0)
        return error;
    error = file_write_atomic(folder_fd, "call.ini", text, length,
                              durable ? FILE_DURABLE : FILE_NO_SYNC);
    free(text);
    return error;
}

static int open_above(const char *state_dir)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/incoming", state_dir);

    if (n < 0 || (size_t)n >= sizeof path)
        return ERROR_LIMIT;
    return file_open_folder(AT_FDCWD, path);
}

/* Folder, lock and call.ini under the hidden name, then the rename: deliver takes whatever is not
 * locked, so it must never see the name before the lock. */
static int make_folder(struct incoming *incoming, const struct call_info *info)
{
    char hidden[FAX_ID_MAX + 8];
    int error;

    snprintf(hidden, sizeof hidden, ".%s.new", incoming->fax_id);
    if (mkdirat(incoming->above_fd, hidden, 0700) < 0)
        return error_from_errno(errno);
    error = incoming->folder_fd = file_open_folder(incoming->above_fd, hidden);
    if (error >= 0 && flock(incoming->folder_fd, LOCK_EX | LOCK_NB) < 0)
        error = error_from_errno(errno);
    if (error >= 0)
        error = write_info(incoming->folder_fd, info, 0);
    if (error >= 0 &&
        renameat(incoming->above_fd, hidden, incoming->above_fd, incoming->fax_id) < 0)
        error = errno == ENOTEMPTY ? ERROR_EXISTS : error_from_errno(errno);
    if (error < 0)
        file_remove_folder(incoming->above_fd, hidden);
    return error < 0 ? error : 0;
}

int incoming_new(struct incoming **out, const char *state_dir, const struct call_info *info)
{
    struct incoming *incoming;
    int error;

    if (!fax_id_is_valid(info->fax_id))
        return ERROR_FORMAT;
    incoming = calloc(1, sizeof *incoming);
    if (incoming == NULL)
        return ERROR_MEMORY;
    memcpy(incoming->fax_id, info->fax_id, sizeof incoming->fax_id);
    incoming->folder_fd = -1;
    error = incoming->above_fd = open_above(state_dir);
    if (error >= 0)
        error = make_folder(incoming, info);
    if (error < 0) {
        log_error("incoming folder not made: fax=%s folder=%s/incoming error=\"%s: %s\" "
                  "(calls are refused until it works)",
                  info->fax_id, state_dir, error_text(error), strerror(errno));
        if (incoming->folder_fd >= 0)
            close(incoming->folder_fd);
        if (incoming->above_fd >= 0)
            close(incoming->above_fd);
        free(incoming);
        return error;
    }
    *out = incoming;
    return 0;
}

/* ---- pages -------------------------------------------------------------------------------------
 */

/* A page may only count as stored when the name of its folder will survive a power cut too. */
static int make_durable(struct incoming *incoming)
{
    int error;

    if (atomic_load(&incoming->durable))
        return 0;
    error = file_sync_folder(incoming->above_fd);
    if (error == 0)
        atomic_store(&incoming->durable, true);
    return error;
}

static bool name_exists(struct incoming *incoming, const char *name)
{
    return faccessat(incoming->folder_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int store(struct incoming *incoming, const char *name, const void *tiff, size_t length)
{
    bool was_there = name_exists(incoming, name);
    int error = file_write_atomic(incoming->folder_fd, name, tiff, length, FILE_DURABLE);
    int saved_errno;

    if (error == ERROR_IO) {
        /* After a failed fsync the kernel may have thrown the octets away and call the next fsync
         * of the same file a success: only a new file tells the truth. */
        log_warning("page written anew: fax=%s file=%s error=\"%s\"", incoming->fax_id, name,
                    strerror(errno));
        error = file_write_atomic(incoming->folder_fd, name, tiff, length, FILE_DURABLE);
    }
    if (error == 0)
        error = make_durable(incoming);
    if (error == 0)
        return 0;
    saved_errno = errno;
    log_error("page not stored: fax=%s file=%s bytes=%zu error=\"%s: %s\" (the page is not "
              "confirmed to the sender; look at the disk of the state folder)",
              incoming->fax_id, name, length, error_text(error), strerror(errno));
    /* It may stand there under its name after all; but the sender will hear that it is not. */
    if (!was_there)
        unlinkat(incoming->folder_fd, name, 0);
    errno = saved_errno;
    return error;
}

int incoming_store_page(struct incoming *incoming, int number, const void *tiff, size_t length)
{
    char name[PAGE_NAME_MAX];

    if (number < 1 || number > PAGE_NUMBER_MOST)
        return ERROR_LIMIT;
    snprintf(name, sizeof name, "page-%04d.tif", number);
    return store(incoming, name, tiff, length);
}

int incoming_store_unconfirmed(struct incoming *incoming, int number, const void *tiff,
                               size_t length)
{
    char name[PAGE_NAME_MAX];

    if (number < 1 || number > PAGE_NUMBER_MOST)
        return ERROR_LIMIT;
    snprintf(name, sizeof name, "unconfirmed-%04d.tif", number);
    return store(incoming, name, tiff, length);
}

int incoming_unconfirm_page(struct incoming *incoming, int number)
{
    char from[PAGE_NAME_MAX];
    char to[PAGE_NAME_MAX];

    if (number < 1 || number > PAGE_NUMBER_MOST)
        return ERROR_LIMIT;
    snprintf(from, sizeof from, "page-%04d.tif", number);
    snprintf(to, sizeof to, "unconfirmed-%04d.tif", number);
    if (renameat(incoming->folder_fd, from, incoming->folder_fd, to) < 0)
        return error_from_errno(errno);
    return file_sync_folder(incoming->folder_fd);
}

int incoming_write_info(struct incoming *incoming, const struct call_info *info, int durable)
{
    int error = write_info(incoming->folder_fd, info, durable);

    if (error < 0)
        log_warning("call.ini not written: fax=%s error=\"%s: %s\" (the pages are not affected)",
                    incoming->fax_id, error_text(error), strerror(errno));
    return error;
}

void incoming_close(struct incoming *incoming)
{
    if (incoming == NULL)
        return;
    /* Unlock first: whoever is woken by the touch (IN_ATTRIB on incoming/) must find it free. By
     * then it may be gone already, taken over by a scan; the touch does not mind. */
    flock(incoming->folder_fd, LOCK_UN);
    futimens(incoming->folder_fd, NULL);
    close(incoming->folder_fd);
    close(incoming->above_fd);
    free(incoming);
}
