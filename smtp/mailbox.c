/* SPDX-License-Identifier: MIT */
/*
 * mailbox.c - the message is a hard link to the spool's own, which is durable already; where that
 * cannot be, a copy by way of tmp/.
 */
#include "smtp/mailbox.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

enum { PLAIN_NAME_MAX = 200, FILE_NAME_MAX = 128, COPY_BYTES = 65536 };

/* FNV-1a: tells long names apart, no more. */
static uint64_t hash(const char *text)
{
    uint64_t value = 14695981039346656037u;

    for (; *text != '\0'; text++)
        value = (value ^ (unsigned char)tolower((unsigned char)*text)) * 1099511628211u;
    return value;
}

void mailbox_name(char out[MAILBOX_NAME_MAX], const char *recipient)
{
    const unsigned char *p = (const unsigned char *)recipient;
    size_t used = 0;

    for (; *p != '\0' && used < PLAIN_NAME_MAX; p++) {
        bool plain = isalnum(*p) || (strchr("@.+-_=", *p) != NULL && !(*p == '.' && used == 0));

        if (plain && *p < 0x80)
            out[used++] = (char)tolower(*p);
        else
            used += (size_t)sprintf(out + used, "%%%02X", *p);
    }
    if (*p != '\0')
        used += (size_t)sprintf(out + used, "%%%016llx", (unsigned long long)hash(recipient));
    else if (used == 0)
        out[used++] = '%';
    out[used] = '\0';
}

static int open_folders(const char *state_dir, const char *recipient, char *maildir, int *out_new)
{
    static const char *const names[] = {"tmp", "cur", "new"};
    char name[MAILBOX_NAME_MAX];
    char path[MAILBOX_PATH_MAX];
    size_t i;
    int error;

    mailbox_name(name, recipient);
    if (snprintf(maildir, MAILBOX_PATH_MAX, "%s/mailbox/%s", state_dir, name) >=
        MAILBOX_PATH_MAX - FILE_NAME_MAX - 8)
        return ERROR_LIMIT;
    for (i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%.800s/%s", maildir, names[i]);
        error = file_make_folders(path);
        if (error < 0)
            return error;
    }
    *out_new = file_open_folder(AT_FDCWD, path);
    return *out_new < 0 ? *out_new : 0;
}

/* It was filed before and read since: cur/NAME or cur/NAME:2,FLAGS. */
static bool was_read(const char *maildir, const char *name)
{
    char path[MAILBOX_PATH_MAX];
    size_t length = strlen(name);
    struct dirent *entry;
    bool found = false;
    DIR *folder;

    snprintf(path, sizeof path, "%.800s/cur", maildir);
    folder = opendir(path);
    if (folder == NULL)
        return false;
    while (!found && (entry = readdir(folder)) != NULL)
        found = strncmp(entry->d_name, name, length) == 0 &&
                (entry->d_name[length] == '\0' || entry->d_name[length] == ':');
    closedir(folder);
    return found;
}

static int copy_octets(int from, int to)
{
    static _Thread_local char block[COPY_BYTES];
    ssize_t n;

    while ((n = read(from, block, sizeof block)) != 0) {
        int error;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_from_errno(errno);
        error = file_write_all(to, block, (size_t)n);
        if (error < 0)
            return error;
    }
    return fsync(to) < 0 ? error_from_errno(errno) : 0;
}

/* By way of tmp/, as Maildir has it; link() and not rename(): a name that is there is kept. */
static int copy_message(const char *maildir, const char *name, const char *message_path, int new_fd)
{
    char path[MAILBOX_PATH_MAX];
    int from = open(message_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int to = -1;
    int error = from < 0 ? error_from_errno(errno) : 0;

    snprintf(path, sizeof path, "%.800s/tmp/%s.%ld.%ld", maildir, name, (long)getpid(),
             (long)gettid());
    if (error == 0) {
        unlink(path); /* of a process that died; it may have another name in new/ by now */
        to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        error = to < 0 ? error_from_errno(errno) : copy_octets(from, to);
    }
    if (error == 0 && linkat(AT_FDCWD, path, new_fd, name, 0) < 0)
        error = error_from_errno(errno);
    if (to >= 0) {
        close(to);
        unlink(path);
    }
    if (from >= 0)
        close(from);
    return error;
}

int mailbox_deliver(const char *state_dir, const char *recipient, const char *fax_id,
                    const char *message_path, bool repeat, char *path)
{
    char maildir[MAILBOX_PATH_MAX];
    char name[FILE_NAME_MAX];
    int new_fd = -1;
    int error;

    snprintf(name, sizeof name, "%.100s.faxpost", fax_id);
    if (!file_name_is_safe(name))
        return ERROR_FORMAT;
    error = open_folders(state_dir, recipient, maildir, &new_fd);
    if (error < 0)
        return error;
    if (path != NULL)
        snprintf(path, MAILBOX_PATH_MAX, "%.800s/new/%s", maildir, name);
    if (repeat && was_read(maildir, name))
        error = ERROR_EXISTS;
    else if (linkat(AT_FDCWD, message_path, new_fd, name, 0) < 0)
        error = error_from_errno(errno);
    if (error < 0 && error != ERROR_EXISTS && error != ERROR_NOT_FOUND)
        error = copy_message(maildir, name, message_path, new_fd);
    if (error == 0 || error == ERROR_EXISTS) {
        int synced = file_sync_folder(new_fd);

        error = synced < 0 ? synced : error == ERROR_EXISTS;
    }
    close(new_fd);
    return error;
}
