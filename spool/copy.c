/* SPDX-License-Identifier: MIT */
/*
 * copy.c - from incoming/ into deliver's own folder: page files and call.ini, nothing else, each
 * bounded and durable. The source belongs to the process that strangers can reach: it may hold
 * anything.
 */
#include "spool/inside.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

enum {
    PAGE_FILES_MAX = 2 * 9999, /* of one fax: every name that a page can have */
    CALL_INI_BYTES_MAX = 64 * 1024,
};

static const int64_t FAX_BYTES_MAX = INT64_C(1) << 30;

void copied_free(struct copied *copied)
{
    if (copied == NULL)
        return;
    free(copied->pages);
    memset(copied, 0, sizeof *copied);
}

/* page-NNNN.tif and unconfirmed-NNNN.tif, NNNN from 0001. */
static bool page_name_parse(struct db_page *out, const char *name)
{
    static const char *const stems[] = {"unconfirmed-", "page-"};
    int confirmed;

    for (confirmed = 0; confirmed < 2; confirmed++) {
        size_t stem = strlen(stems[confirmed]);
        const char *digits = name + stem;
        int i;

        if (strncmp(name, stems[confirmed], stem) != 0)
            continue;
        for (i = 0; i < 4; i++)
            if (!isdigit((unsigned char)digits[i]))
                return false;
        if (strcmp(digits + 4, ".tif") != 0 || strncmp(digits, "0000", 4) == 0)
            return false;
        memset(out, 0, sizeof *out);
        text_copy(out->name, sizeof out->name, name);
        out->number = atoi(digits);
        out->confirmed = confirmed != 0;
        return true;
    }
    return false;
}

/* .page-0001.tif.123-4.tmp: what a writer left that was killed before the rename. */
static bool name_is_leftover(const char *name)
{
    size_t length = strlen(name);

    return name[0] == '.' && length > 5 && strcmp(name + length - 4, ".tmp") == 0;
}

static int compare_pages(const void *a, const void *b)
{
    return strcmp(((const struct db_page *)a)->name, ((const struct db_page *)b)->name);
}

/* The page files of a folder by name. More than PAGE_FILES_MAX are left. */
static int list_pages(int folder_fd, struct copied *out)
{
    struct db_page page;
    struct db_page *more;
    struct dirent *entry;
    int room = 0;
    int error = 0;
    DIR *dir = scan_names(folder_fd);

    if (dir == NULL)
        return error_from_errno(errno);
    while (error == 0 && (entry = readdir(dir)) != NULL) {
        if (!page_name_parse(&page, entry->d_name))
            continue;
        if (out->count == PAGE_FILES_MAX) {
            out->left++;
            continue;
        }
        if (out->count == room) {
            room = room == 0 ? 32 : room * 2;
            more = realloc(out->pages, (size_t)room * sizeof *more);
            error = more == NULL ? ERROR_MEMORY : 0;
            out->pages = more != NULL ? more : out->pages;
        }
        if (error == 0)
            out->pages[out->count++] = page;
    }
    closedir(dir);
    if (out->count > 0)
        qsort(out->pages, (size_t)out->count, sizeof *out->pages, compare_pages);
    return error;
}

int copy_count_pages(int folder_fd)
{
    struct copied found = {0};
    int error = list_pages(folder_fd, &found);
    int count = found.count;

    copied_free(&found);
    return error < 0 ? error : count;
}

/* Made so that nobody may read it: nothing that a later try could mend. */
static bool is_closed(int from_fd, const char *name)
{
    return faccessat(from_fd, name, R_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) < 0 && errno == EACCES;
}

/* A file of a source. ERROR_FORMAT, ERROR_LIMIT: it is none that we would have written. */
static int copy_file(int from_fd, int to_fd, const char *name, int64_t limit)
{
    return is_closed(from_fd, name) ? ERROR_FORMAT : file_copy(from_fd, to_fd, name, limit);
}

/* Who makes a copy of the spool by links takes them away again, or goes on elsewhere. */
static bool is_newly_linked(int from_fd, const char *name, int64_t link_wait_ms)
{
    struct stat st;
    int64_t changed_ms;
    int64_t age_ms;

    if (fstatat(from_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
        st.st_nlink < 2 || scan_changed_ms(from_fd, name, &changed_ms) < 0)
        return false;
    age_ms = clock_wall_ms() - changed_ms;
    return age_ms < link_wait_ms && age_ms > -link_wait_ms;
}

/* One page. What cannot be a page of ours is left where it is: a link, a device, too large. */
static int copy_page(int from_fd, int to_fd, int64_t link_wait_ms, struct db_page *page,
                     int64_t *room, bool *copied)
{
    struct stat st;
    int64_t limit = *room < SPOOL_PAGE_BYTES_MAX ? *room : SPOOL_PAGE_BYTES_MAX;
    int error = copy_file(from_fd, to_fd, page->name, limit);

    *copied = error == 0;
    if (error == ERROR_FORMAT && is_newly_linked(from_fd, page->name, link_wait_ms)) {
        errno = EMLINK;
        return ERROR_BUSY;
    }
    if (error == ERROR_FORMAT || error == ERROR_LIMIT) {
        log_alert("page in incoming not taken over: file=%s error=\"%s\" (it stays where it is; "
                  "nothing that faxpost wrote looks so: look at it)",
                  page->name, error_text(error));
        return 0;
    }
    if (error < 0)
        return error;
    if (fstatat(to_fd, page->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_from_errno(errno);
    page->bytes = st.st_size;
    *room -= st.st_size;
    return 0;
}

int copy_fax(int from_fd, int to_fd, int64_t link_wait_ms, struct copied *out)
{
    struct copied found = {0};
    int64_t room = FAX_BYTES_MAX;
    int error = list_pages(from_fd, &found);
    int listed = found.count;
    int i;

    found.count = 0;
    for (i = 0; i < listed && error == 0; i++) {
        struct db_page page = found.pages[i];
        bool copied = false;

        error = copy_page(from_fd, to_fd, link_wait_ms, &page, &room, &copied);
        if (!copied) {
            found.left++;
            continue;
        }
        found.pages[found.count++] = page;
        found.confirmed += page.confirmed;
        found.unconfirmed += !page.confirmed;
    }
    if (error == 0) {
        error = copy_file(from_fd, to_fd, "call.ini", CALL_INI_BYTES_MAX);
        if (error == ERROR_NOT_FOUND || error == ERROR_FORMAT || error == ERROR_LIMIT)
            error = 0; /* commentary: the fax does not wait for it */
    }
    if (error < 0) {
        copied_free(&found);
        return error;
    }
    *out = found;
    return 0;
}

/* Ours by its name, and, if it is a page, safe in the copy. */
static bool may_remove(int copy_fd, const char *name)
{
    struct db_page page;

    if (strcmp(name, "call.ini") == 0 || name_is_leftover(name))
        return true;
    return page_name_parse(&page, name) && faccessat(copy_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int copy_remove_source(int incoming_fd, const char *fax_id, int copy_fd)
{
    int fd = file_open_folder(incoming_fd, fax_id);
    DIR *dir = fd < 0 ? NULL : scan_names(fd);
    struct dirent *entry;

    if (fd < 0)
        return fd;
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (may_remove(copy_fd, entry->d_name))
            unlinkat(fd, entry->d_name, 0);
    if (dir != NULL)
        closedir(dir);
    close(fd);
    if (unlinkat(incoming_fd, fax_id, AT_REMOVEDIR) < 0)
        return errno == ENOTEMPTY ? ERROR_EXISTS : error_from_errno(errno);
    return 0;
}
