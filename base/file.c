/* SPDX-License-Identifier: MIT */
/*
 * file.c - the one place that knows in which order to write, fsync and rename.
 */
#include "base/file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"

enum { COPY_CHUNK_BYTES = 65536, PATH_BYTES = 4096 };

static int failure(void)
{
    return error_from_errno(errno);
}

int file_write_all(int fd, const void *data, size_t length)
{
    const char *p = data;

    while (length > 0) {
        ssize_t n = write(fd, p, length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failure();
        p += n;
        length -= (size_t)n;
    }
    return 0;
}

/* A temporary name beside the final one: hidden, and unlike any that faxpost reads. */
static void temporary_name(char *out, size_t size, const char *name)
{
    static _Atomic unsigned counter;

    snprintf(out, size, ".%.100s.%ld-%u.tmp", name, (long)getpid(), counter++);
}

static int write_atomic(int dir_fd, const char *name, const void *data, size_t length,
                        enum file_sync sync, const struct stat *like)
{
    char temporary[160];
    int error = 0;
    int saved_errno;
    int fd;

    temporary_name(temporary, sizeof temporary, name);
    fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return failure();
    if (like != NULL &&
        (fchown(fd, like->st_uid, like->st_gid) < 0 || fchmod(fd, like->st_mode & 07777) < 0))
        error = failure();
    if (error == 0)
        error = file_write_all(fd, data, length);
    if (error == 0 && sync == FILE_DURABLE && fsync(fd) < 0)
        error = failure();
    if (close(fd) < 0 && error == 0)
        error = failure();
    if (error == 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
        error = failure();
    if (error < 0) {
        saved_errno = errno;
        unlinkat(dir_fd, temporary, 0);
        errno = saved_errno;
        return error;
    }
    return sync == FILE_DURABLE ? file_sync_folder(dir_fd) : 0;
}

int file_write_atomic(int dir_fd, const char *name, const void *data, size_t length,
                      enum file_sync sync)
{
    return write_atomic(dir_fd, name, data, length, sync, NULL);
}

int file_replace(int dir_fd, const char *name, const void *data, size_t length,
                 const struct stat *like)
{
    return write_atomic(dir_fd, name, data, length, FILE_DURABLE, like);
}

/* Opens a regular file that has exactly one name; a link planted by another is refused. */
static int open_regular(int dir_fd, const char *name, int64_t limit, int64_t *out_size)
{
    struct stat st;
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int error = 0;

    if (fd < 0)
        return errno == ELOOP ? ERROR_FORMAT : failure();
    if (fstat(fd, &st) < 0)
        error = failure();
    else if (!S_ISREG(st.st_mode) || st.st_nlink > 1)
        error = ERROR_FORMAT;
    else if (st.st_size > limit)
        error = ERROR_LIMIT;
    if (error < 0) {
        close(fd);
        return error;
    }
    *out_size = st.st_size;
    return fd;
}

int file_read(int dir_fd, const char *name, size_t limit, char **out_data, size_t *out_length)
{
    int64_t size = 0;
    size_t used = 0;
    char *data;
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    int error = 0;

    if (fd < 0)
        return errno == ELOOP ? ERROR_FORMAT : failure();
    if (fstat(fd, &st) < 0)
        error = failure();
    else if (!S_ISREG(st.st_mode))
        error = ERROR_FORMAT;
    else if ((uint64_t)st.st_size > limit)
        error = ERROR_LIMIT;
    if (error < 0) {
        close(fd);
        return error;
    }
    size = st.st_size;
    data = malloc((size_t)size + 1);
    if (data == NULL) {
        close(fd);
        return ERROR_MEMORY;
    }
    while (used < (size_t)size) {
        ssize_t n = read(fd, data + used, (size_t)size - used);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            error = failure();
            free(data);
            close(fd);
            return error;
        }
        if (n == 0)
            break;
        used += (size_t)n;
    }
    close(fd);
    data[used] = '\0';
    *out_data = data;
    *out_length = used;
    return 0;
}

/* One folder, durable in the one above. Whoever finds it there may take it for durable: so one
 * thread at a time makes folders, and one that could not be synced does not stay. */
static int make_folder(const char *path, const char *above)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    int saved_errno;
    int error = 0;

    pthread_mutex_lock(&lock);
    if (mkdir(path, 0700) == 0) {
        error = file_sync_folder_path(above);
        if (error < 0) {
            saved_errno = errno;
            rmdir(path);
            errno = saved_errno;
        }
    } else if (errno != EEXIST) {
        error = failure();
    }
    pthread_mutex_unlock(&lock);
    return error;
}

int file_make_folders(const char *path)
{
    char part[PATH_BYTES];
    char above[PATH_BYTES];
    size_t i;
    size_t length = strlen(path);
    int error;

    if (length >= sizeof part)
        return ERROR_LIMIT;
    strcpy(above, path[0] == '/' ? "/" : ".");
    for (i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        error = make_folder(part, above);
        if (error < 0)
            return error;
        strcpy(above, part);
    }
    return 0;
}

int file_sync_folder(int dir_fd)
{
    return fsync(dir_fd) < 0 ? failure() : 0;
}

int file_sync_folder_path(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error;

    if (fd < 0)
        return failure();
    error = file_sync_folder(fd);
    close(fd);
    return error;
}

int file_open_folder(int dir_fd, const char *path)
{
    int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 ? failure() : fd;
}

static int copy_octets(int from, int to, int64_t limit)
{
    char chunk[COPY_CHUNK_BYTES];
    int64_t total = 0;

    for (;;) {
        ssize_t n = read(from, chunk, sizeof chunk);
        int error;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failure();
        if (n == 0)
            return 0;
        total += n;
        if (total > limit)
            return ERROR_LIMIT; /* it grew while we read */
        error = file_write_all(to, chunk, (size_t)n);
        if (error < 0)
            return error;
    }
}

int file_copy(int from_fd, int to_fd, const char *name, int64_t limit)
{
    char temporary[160];
    int64_t size;
    int from = open_regular(from_fd, name, limit, &size);
    int to;
    int error;
    int saved_errno;

    if (from < 0)
        return from;
    temporary_name(temporary, sizeof temporary, name);
    to = openat(to_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    error = to < 0 ? failure() : copy_octets(from, to, limit);
    if (error == 0 && fsync(to) < 0)
        error = failure();
    if (to >= 0 && close(to) < 0 && error == 0)
        error = failure();
    close(from);
    if (error == 0 && renameat(to_fd, temporary, to_fd, name) < 0)
        error = failure();
    if (error < 0) {
        saved_errno = errno;
        unlinkat(to_fd, temporary, 0);
        errno = saved_errno;
        return error;
    }
    return file_sync_folder(to_fd);
}

int file_remove_folder(int dir_fd, const char *name)
{
    int fd = file_open_folder(dir_fd, name);
    DIR *dir;
    struct dirent *entry;

    if (fd < 0)
        return fd;
    dir = fdopendir(fd);
    if (dir == NULL) {
        close(fd);
        return failure();
    }
    while ((entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(fd, entry->d_name, 0);
    closedir(dir);
    return unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 ? failure() : 0;
}

int file_free_bytes(int fd, int64_t *out_bytes)
{
    struct statvfs fs;

    if (fstatvfs(fd, &fs) < 0)
        return failure();
    *out_bytes = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
    return 0;
}

int file_in_memory(const char *name, const void *data, size_t length)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int error;

    if (fd < 0)
        return failure();
    error = file_write_all(fd, data, length);
    if (error == 0 &&
        (lseek(fd, 0, SEEK_SET) < 0 ||
         fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0))
        error = failure();
    if (error == 0)
        return fd;
    close(fd);
    return error;
}

int file_name_is_safe(const char *name)
{
    size_t i;

    if (name[0] == '\0' || name[0] == '.')
        return 0;
    for (i = 0; name[i] != '\0'; i++)
        if (i >= 100 || (!isalnum((unsigned char)name[i]) && strchr("._@+-=", name[i]) == NULL))
            return 0;
    return 1;
}
