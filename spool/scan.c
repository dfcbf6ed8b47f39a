/* SPDX-License-Identifier: MIT */
/*
 * scan.c - incoming/ as deliver sees it: which calls live, which have ended, and what lies there
 * without being taken.
 */
#include "spool/inside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "spool/incoming.h"

enum {
    CALL_INI_BYTES_MAX = 64 * 1024,
    UNBORN_AGE_MS = 60 * 1000, /* a living process locks its folder within microseconds */
};

DIR *scan_names(int dir_fd)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (fd >= 0 && dir == NULL)
        close(fd);
    return dir;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

int scan_fax_folders(int incoming_fd, char (**out)[FAX_ID_MAX])
{
    char(*names)[FAX_ID_MAX] = NULL;
    char(*more)[FAX_ID_MAX];
    int count = 0;
    int room = 0;
    DIR *dir = scan_names(incoming_fd);
    struct dirent *entry;

    if (dir == NULL)
        return error_from_errno(errno);
    while (count < INCOMING_LIST_MAX && (entry = readdir(dir)) != NULL) {
        if (!fax_id_is_valid(entry->d_name))
            continue;
        if (count == room) {
            room = room == 0 ? 64 : room * 2;
            more = realloc(names, (size_t)room * sizeof *names);
            if (more == NULL) {
                free(names);
                closedir(dir);
                return ERROR_MEMORY;
            }
            names = more;
        }
        text_copy(names[count++], FAX_ID_MAX, entry->d_name);
    }
    closedir(dir);
    if (count > 0)
        qsort(names, (size_t)count, sizeof *names, compare_ids);
    *out = names;
    return count;
}

int scan_open_ended(int incoming_fd, const char *name)
{
    int fd = openat(incoming_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOTDIR || errno == ELOOP ? ERROR_FORMAT : error_from_errno(errno);
    /* Shared: two of our own threads may look at the same time. */
    if (flock(fd, LOCK_SH | LOCK_NB) < 0) {
        int error = error_from_errno(errno);

        close(fd);
        return error;
    }
    return fd;
}

int scan_changed_ms(int dir_fd, const char *name, int64_t *out_ms)
{
    struct stat st;

    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_from_errno(errno);
    *out_ms = (int64_t)st.st_ctim.tv_sec * 1000 + st.st_ctim.tv_nsec / 1000000;
    return 0;
}

/* True for .FAX-ID.new, the name a folder has until it is locked. */
static bool name_is_unborn(const char *name)
{
    char id[FAX_ID_MAX];
    size_t length = strlen(name);

    if (name[0] != '.' || length < 5 || length - 5 >= sizeof id ||
        strcmp(name + length - 4, ".new") != 0)
        return false;
    memcpy(id, name + 1, length - 5);
    id[length - 5] = '\0';
    return fax_id_is_valid(id);
}

/* How long ago, by a clock that may have been set back since: then it is as old as can be. */
static int64_t age_ms(int64_t changed_ms, int64_t now_ms)
{
    return changed_ms > now_ms + CLOCK_JUMP_MS ? INT64_MAX : now_ms - changed_ms;
}

void scan_remove_unborn(int incoming_fd, int64_t now_ms)
{
    DIR *dir = scan_names(incoming_fd);
    struct dirent *entry;
    int64_t changed_ms = 0;
    int fd;

    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL) {
        if (!name_is_unborn(entry->d_name) ||
            scan_changed_ms(incoming_fd, entry->d_name, &changed_ms) < 0 ||
            age_ms(changed_ms, now_ms) < UNBORN_AGE_MS)
            continue;
        fd = scan_open_ended(incoming_fd, entry->d_name);
        if (fd < 0)
            continue;
        close(fd);
        if (file_remove_folder(incoming_fd, entry->d_name) == 0)
            log_info("incoming folder of a call that never began removed: name=%s", entry->d_name);
    }
    closedir(dir);
}

int scan_call_info(int folder_fd, struct call_info *out)
{
    char *text;
    size_t length;
    int error = file_read(folder_fd, "call.ini", CALL_INI_BYTES_MAX, &text, &length);

    if (error < 0)
        return error;
    error = call_info_parse(out, text);
    free(text);
    return error;
}

/* ---- what spool.h promises ---------------------------------------------------------------------
 */

/* True when somebody holds the lock of this entry of incoming/: nothing to worry about. */
static bool is_live(int incoming_fd, const char *name)
{
    int fd = scan_open_ended(incoming_fd, name);

    if (fd >= 0)
        close(fd);
    return fd == ERROR_BUSY;
}

int spool_incoming_stale(struct spool *spool, int64_t least_ms, char *out, size_t size)
{
    char oldest[INCOMING_NAME_MAX] = "";
    int64_t now_ms = clock_wall_ms();
    int64_t oldest_ms = least_ms;
    int64_t changed_ms = 0;
    bool found = false;
    DIR *dir = scan_names(spool->incoming_fd);
    struct dirent *entry;

    if (dir == NULL)
        return error_from_errno(errno);
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            scan_changed_ms(spool->incoming_fd, entry->d_name, &changed_ms) < 0 ||
            age_ms(changed_ms, now_ms) < oldest_ms || is_live(spool->incoming_fd, entry->d_name))
            continue;
        oldest_ms = age_ms(changed_ms, now_ms);
        found = true;
        text_copy(oldest, sizeof oldest, entry->d_name);
    }
    closedir(dir);
    if (!found)
        return ERROR_NOT_FOUND;
    text_copy(out, size, text_printable(oldest));
    return 0;
}

int spool_live_calls(struct spool *spool, struct call_info *out, int most)
{
    char(*names)[FAX_ID_MAX] = NULL;
    int count = scan_fax_folders(spool->incoming_fd, &names);
    int live = 0;
    int i;

    if (count < 0)
        return count;
    for (i = 0; i < count && live < most; i++) {
        struct call_info *call = &out[live];
        int fd;

        if (!is_live(spool->incoming_fd, names[i]))
            continue;
        fd = file_open_folder(spool->incoming_fd, names[i]);
        if (fd < 0)
            continue; /* it ended and was taken over in between */
        memset(call, 0, sizeof *call);
        scan_call_info(fd, call); /* without it we know at least that there is a call */
        close(fd);
        text_copy(call->fax_id, sizeof call->fax_id, names[i]);
        if (call->started_ms == 0)
            call->started_ms = fax_id_wall_ms(names[i]);
        live++;
    }
    free(names);
    return live;
}
