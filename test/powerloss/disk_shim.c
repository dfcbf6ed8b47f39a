/* SPDX-License-Identifier: MIT */
/*
 * disk_shim.c - the functions that change files: each first asks whether it is to fail
 * (disk_fault.c), then does its work and tells the log (disk_log.c) under one lock, so that the
 * order of the log is that of the changes. Work is done by system calls: nothing of the C library
 * is needed that might be somebody else's stand-in.
 *
 * Memory that is mapped from a file and written is not seen. SQLite does that with faxpost.db-shm
 * alone, which holds nothing that must outlive the last process that has the database open.
 */
/* The functions are defined here under their own names, not as headers would have them called. */
#undef _FORTIFY_SOURCE
#undef _FILE_OFFSET_BITS

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "test/powerloss/disk_inside.h"

/* "a/b/c" is name c in folder a/b, whose inode is given; 0: none. */
static uint64_t split(int dir_fd, const char *path, const char **out_name)
{
    char above[4096];
    const char *slash = strrchr(path, '/');
    struct stat st;
    size_t length = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);

    *out_name = slash == NULL ? path : slash + 1;
    if (length >= sizeof above)
        return 0;
    memcpy(above, path, length);
    above[length] = '\0';
    if (fstatat(dir_fd, length == 0 ? "." : above, &st, 0) < 0 || !disk_is_ours(st.st_dev))
        return 0;
    return st.st_ino;
}

static bool inode_at(int dir_fd, const char *path, uint64_t *out)
{
    struct stat st;

    if (fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || !disk_is_ours(st.st_dev))
        return false;
    *out = st.st_ino;
    return true;
}

static bool file_of(int fd, struct stat *st)
{
    int saved_errno = errno;
    bool ours = fstat(fd, st) == 0 && (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)) &&
                disk_is_ours(st->st_dev);

    errno = saved_errno;
    return ours;
}

/* ---- open --------------------------------------------------------------------------------------
 */

static int do_open(int dir_fd, const char *path, int flags, mode_t mode)
{
    bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
    struct disk_record record = {.kind = DISK_CREATE};
    const char *name = path;
    uint64_t old = 0;
    bool was_there;
    struct stat st;
    int lock;
    int fd;

    if (!writes)
        return (int)syscall(SYS_openat, dir_fd, path, flags, mode);
    if (disk_fault_path(DISK_CALL_OPEN, dir_fd, path))
        return -1;
    lock = disk_lock();
    if (lock < 0)
        return (int)syscall(SYS_openat, dir_fd, path, flags, mode);
    was_there = inode_at(dir_fd, path, &old);
    record.folder = split(dir_fd, path, &name);
    fd = (int)syscall(SYS_openat, dir_fd, path, flags, mode);
    if (fd >= 0 && file_of(fd, &st) && S_ISREG(st.st_mode)) {
        record.inode = st.st_ino;
        if (!was_there) {
            disk_tell(lock, &record, name, "", NULL);
        } else if ((flags & O_TRUNC) != 0 && record.folder != 0) {
            record.kind = DISK_TRUNCATE;
            disk_tell(lock, &record, "", "", NULL);
        }
    }
    disk_unlock(lock);
    return fd;
}

static mode_t mode_of(int flags, va_list ap)
{
    return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(ap, mode_t) : 0;
}

#define OPEN_BODY(dir_fd)                                                                          \
    va_list ap;                                                                                    \
    mode_t mode;                                                                                   \
    va_start(ap, flags);                                                                           \
    mode = mode_of(flags, ap);                                                                     \
    va_end(ap);                                                                                    \
    return do_open(dir_fd, path, flags, mode)

int open(const char *path, int flags, ...)
{
    OPEN_BODY(AT_FDCWD);
}

int open64(const char *path, int flags, ...)
{
    OPEN_BODY(AT_FDCWD);
}

int openat(int dir_fd, const char *path, int flags, ...)
{
    OPEN_BODY(dir_fd);
}

int openat64(int dir_fd, const char *path, int flags, ...)
{
    OPEN_BODY(dir_fd);
}

int creat(const char *path, mode_t mode)
{
    return do_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

/* What the C library's headers make of calls without a mode where it checks them. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir_fd, const char *path, int flags);
int __openat64_2(int dir_fd, const char *path, int flags);

int __open_2(const char *path, int flags)
{
    return do_open(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
    return do_open(AT_FDCWD, path, flags, 0);
}

int __openat_2(int dir_fd, const char *path, int flags)
{
    return do_open(dir_fd, path, flags, 0);
}

int __openat64_2(int dir_fd, const char *path, int flags)
{
    return do_open(dir_fd, path, flags, 0);
}

/* ---- contents ----------------------------------------------------------------------------------
 */

/* offset -1: where the descriptor stands. */
static ssize_t do_write(int fd, const void *data, size_t length, int64_t offset)
{
    struct disk_record record = {.kind = DISK_WRITE, .offset = offset};
    struct stat st;
    ssize_t n;
    int lock;

    if (!disk_is_on() || !file_of(fd, &st))
        return offset < 0 ? syscall(SYS_write, fd, data, length)
                          : syscall(SYS_pwrite64, fd, data, length, offset);
    if (disk_fault_fd(DISK_CALL_WRITE, fd))
        return -1;
    lock = disk_lock();
    if (offset < 0 && lock >= 0 && file_of(fd, &st))
        record.offset = (fcntl(fd, F_GETFL) & O_APPEND) != 0 ? st.st_size : lseek(fd, 0, SEEK_CUR);
    n = offset < 0 ? syscall(SYS_write, fd, data, length)
                   : syscall(SYS_pwrite64, fd, data, length, offset);
    if (n > 0 && lock >= 0) {
        record.inode = st.st_ino;
        record.data_length = (uint32_t)n;
        disk_tell(lock, &record, "", "", data);
    }
    disk_unlock(lock);
    return n;
}

ssize_t write(int fd, const void *data, size_t length)
{
    return do_write(fd, data, length, -1);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset)
{
    return do_write(fd, data, length, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset)
{
    return do_write(fd, data, length, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    ssize_t total = 0;
    struct stat st;
    int i;

    if (!disk_is_on() || !file_of(fd, &st))
        return syscall(SYS_writev, fd, parts, count);
    for (i = 0; i < count; i++) {
        ssize_t n = do_write(fd, parts[i].iov_base, parts[i].iov_len, -1);

        if (n < 0)
            return total > 0 ? total : n;
        total += n;
        if ((size_t)n < parts[i].iov_len)
            break;
    }
    return total;
}

int ftruncate(int fd, off_t length)
{
    struct disk_record record = {.kind = DISK_TRUNCATE, .offset = length};
    struct stat st;
    int result;
    int lock;

    if (!disk_is_on() || !file_of(fd, &st))
        return (int)syscall(SYS_ftruncate, fd, length);
    if (disk_fault_fd(DISK_CALL_TRUNCATE, fd))
        return -1;
    lock = disk_lock();
    result = (int)syscall(SYS_ftruncate, fd, length);
    record.inode = st.st_ino;
    if (result == 0)
        disk_tell(lock, &record, "", "", NULL);
    disk_unlock(lock);
    return result;
}

int ftruncate64(int fd, off64_t length)
{
    return ftruncate(fd, length);
}

static int do_sync(int fd, long number)
{
    struct disk_record record = {.kind = number == SYS_syncfs ? DISK_SYNC_ALL : DISK_SYNC};
    struct stat st;
    int result;
    int lock;

    if (!disk_is_on() || !file_of(fd, &st))
        return (int)syscall(number, fd);
    if (disk_fault_fd(DISK_CALL_FSYNC, fd))
        return -1;
    lock = disk_lock();
    result = (int)syscall(number, fd);
    record.inode = st.st_ino;
    if (result == 0)
        disk_tell(lock, &record, "", "", NULL);
    disk_unlock(lock);
    return result;
}

int fsync(int fd)
{
    return do_sync(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return do_sync(fd, SYS_fdatasync);
}

int syncfs(int fd)
{
    return do_sync(fd, SYS_syncfs);
}

/* ---- names -------------------------------------------------------------------------------------
 */

int mkdirat(int dir_fd, const char *path, mode_t mode)
{
    struct disk_record record = {.kind = DISK_MKDIR};
    const char *name = path;
    int result;
    int lock;

    if (disk_fault_path(DISK_CALL_MKDIR, dir_fd, path))
        return -1;
    lock = disk_lock();
    result = (int)syscall(SYS_mkdirat, dir_fd, path, mode);
    if (result == 0 && lock >= 0 && inode_at(dir_fd, path, &record.inode)) {
        record.folder = split(dir_fd, path, &name);
        disk_tell(lock, &record, name, "", NULL);
    }
    disk_unlock(lock);
    return result;
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    struct disk_record record = {.kind = DISK_RENAME};
    const char *name = from;
    const char *name2 = to;
    int result;
    int lock;

    if (disk_fault_path(DISK_CALL_RENAME, to_fd, to))
        return -1;
    lock = disk_lock();
    if (lock >= 0 && inode_at(from_fd, from, &record.inode)) {
        record.folder = split(from_fd, from, &name);
        record.folder2 = split(to_fd, to, &name2);
    }
    result = (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
    if (result == 0)
        disk_tell(lock, &record, name, name2, NULL);
    disk_unlock(lock);
    return result;
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    return renameat2(from_fd, from, to_fd, to, 0);
}

int rename(const char *from, const char *to)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    struct disk_record record = {.kind = DISK_LINK};
    const char *name = to;
    int result;
    int lock;

    if (disk_fault_path(DISK_CALL_LINK, to_fd, to))
        return -1;
    lock = disk_lock();
    result = (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
    if (result == 0 && lock >= 0 && inode_at(to_fd, to, &record.inode)) {
        record.folder = split(to_fd, to, &name);
        disk_tell(lock, &record, name, "", NULL);
    }
    disk_unlock(lock);
    return result;
}

int link(const char *from, const char *to)
{
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int dir_fd, const char *path, int flags)
{
    struct disk_record record = {.kind = DISK_UNLINK};
    const char *name = path;
    int result;
    int lock;

    if (disk_fault_path(DISK_CALL_UNLINK, dir_fd, path))
        return -1;
    lock = disk_lock();
    if (lock >= 0)
        record.folder = split(dir_fd, path, &name);
    result = (int)syscall(SYS_unlinkat, dir_fd, path, flags);
    if (result == 0)
        disk_tell(lock, &record, name, "", NULL);
    disk_unlock(lock);
    return result;
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}
