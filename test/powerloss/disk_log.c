/* SPDX-License-Identifier: MIT */
/*
 * disk_log.c - the log of changes: one write per record, under a lock that hangs on a descriptor of
 * its own each time, so that it holds between threads and processes alike.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "test/powerloss/disk_inside.h"

static struct {
    char path[512]; /* "": nothing is recorded */
    dev_t device;
    _Atomic long changes, kill_at;
} self;

bool disk_is_on(void)
{
    return self.path[0] != '\0' || disk_fault_is_on();
}

bool disk_is_ours(dev_t device)
{
    return self.path[0] == '\0' || device == self.device; /* faults go by the path */
}

void disk_record_continue(const char *log_path, const char *folder)
{
    struct stat st;

    if (stat(folder, &st) < 0)
        return;
    self.device = st.st_dev;
    snprintf(self.path, sizeof self.path, "%s", log_path);
}

void disk_record_start(const char *log_path, const char *folder)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_CREAT | O_TRUNC, 0666);

    if (fd < 0)
        return;
    fchmod(fd, 0666); /* for roles that are another user */
    syscall(SYS_close, fd);
    disk_record_continue(log_path, folder);
}

void disk_record_stop(void)
{
    self.path[0] = '\0';
}

void disk_kill_at(long count)
{
    self.kill_at = count == 0 ? 0 : self.changes + count;
}

long disk_changes(void)
{
    return self.changes;
}

int disk_lock(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int saved_errno = errno;
    int fd = -1;

    if (self.path[0] != '\0')
        fd = (int)syscall(SYS_openat, AT_FDCWD, self.path, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
    if (fd >= 0) {
        while (syscall(SYS_fcntl, fd, F_OFD_SETLKW, &lock) < 0 && errno == EINTR)
            ;
        if (atomic_fetch_add(&self.changes, 1) + 1 == self.kill_at)
            raise(SIGKILL);
    }
    errno = saved_errno;
    return fd;
}

void disk_unlock(int lock)
{
    int saved_errno = errno;

    if (lock >= 0)
        syscall(SYS_close, lock);
    errno = saved_errno;
}

void disk_tell(int lock, struct disk_record *record, const char *name, const char *name2,
               const void *data)
{
    int saved_errno = errno;
    struct timespec now;
    struct iovec parts[4];

    if (lock < 0)
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    record->time_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    record->name_length = (uint32_t)strlen(name);
    record->name2_length = (uint32_t)strlen(name2);
    parts[0] = (struct iovec){record, sizeof *record};
    parts[1] = (struct iovec){(void *)(uintptr_t)name, record->name_length};
    parts[2] = (struct iovec){(void *)(uintptr_t)name2, record->name2_length};
    parts[3] = (struct iovec){(void *)(uintptr_t)data, record->data_length};
    if (syscall(SYS_writev, lock, parts, 4) !=
        (long)(sizeof *record + record->name_length + record->name2_length + record->data_length))
        abort(); /* a log with a hole proves nothing */
    errno = saved_errno;
}

void disk_note(const char *format, ...)
{
    struct disk_record record = {.kind = DISK_NOTE};
    char text[512];
    va_list ap;
    int lock = disk_lock();

    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    record.data_length = (uint32_t)strlen(text);
    disk_tell(lock, &record, "", "", text);
    disk_unlock(lock);
}

__attribute__((constructor)) static void begin(void)
{
    const char *log_path = getenv("FAXPOST_DISK_LOG");
    const char *folder = getenv("FAXPOST_DISK_FOLDER");
    const char *faults = getenv("FAXPOST_DISK_FAULTS");

    if (log_path != NULL && folder != NULL)
        disk_record_continue(log_path, folder);
    if (faults != NULL && folder != NULL)
        disk_faults(faults, folder);
}
