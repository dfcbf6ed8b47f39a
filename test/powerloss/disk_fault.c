/* SPDX-License-Identifier: MIT */
/*
 * disk_fault.c - which calls fail: the control file is read before each, so that faults come and go
 * while a program runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "test/powerloss/disk_inside.h"

enum { CONTROL_MAX = 2048, RULES_MAX = 8, TARGET_MAX = 4096 };

static const char *const call_names[] = {
    [DISK_CALL_OPEN] = "open",     [DISK_CALL_WRITE] = "write",       [DISK_CALL_FSYNC] = "fsync",
    [DISK_CALL_RENAME] = "rename", [DISK_CALL_LINK] = "link",         [DISK_CALL_UNLINK] = "unlink",
    [DISK_CALL_MKDIR] = "mkdir",   [DISK_CALL_TRUNCATE] = "truncate",
};

static struct {
    char control[512], folder[512];
    _Atomic long met[RULES_MAX]; /* calls that a rule spoke of, by its line */
    _Atomic long made;
} self;

bool disk_fault_is_on(void)
{
    return self.control[0] != '\0';
}

void disk_faults(const char *control_path, const char *folder)
{
    int i;

    snprintf(self.control, sizeof self.control, "%s", control_path != NULL ? control_path : "");
    snprintf(self.folder, sizeof self.folder, "%s", folder != NULL ? folder : "");
    for (i = 0; i < RULES_MAX; i++)
        self.met[i] = 0;
    self.made = 0;
}

long disk_faults_made(void)
{
    return self.made;
}

static int errno_of(const char *word)
{
    return strcmp(word, "ENOSPC") == 0   ? ENOSPC
           : strcmp(word, "EDQUOT") == 0 ? EDQUOT
           : strcmp(word, "EROFS") == 0  ? EROFS
                                         : EIO;
}

static bool names_call(const char *calls, enum disk_call call)
{
    const char *name = call_names[call];
    const char *at = strstr(calls, name);
    size_t length = strlen(name);

    if (strcmp(calls, "all") == 0)
        return true;
    return at != NULL && (at == calls || at[-1] == ',') &&
           (at[length] == '\0' || at[length] == ',');
}

/* Where a descriptor leads: /proc knows. */
static bool path_of(int fd, char out[TARGET_MAX])
{
    char link[64];
    long n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = syscall(SYS_readlinkat, AT_FDCWD, link, out, TARGET_MAX - 1);
    if (n < 0)
        return false;
    out[n] = '\0';
    return true;
}

static bool fails(enum disk_call call, const char *path)
{
    char text[CONTROL_MAX];
    size_t length = strlen(self.folder);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, self.control, O_RDONLY | O_CLOEXEC, 0);
    long n = fd < 0 ? -1 : syscall(SYS_read, fd, text, sizeof text - 1);
    char *line;
    char *rest = NULL;
    int i = 0;

    if (fd >= 0)
        syscall(SYS_close, fd);
    if (n <= 0 || strncmp(path, self.folder, length) != 0 || path[length] != '/')
        return false;
    text[n] = '\0';
    for (line = strtok_r(text, "\n", &rest); line != NULL && i < RULES_MAX;
         line = strtok_r(NULL, "\n", &rest), i++) {
        char calls[64];
        char word[16];
        char pattern[256];
        long skip = 0;
        long count = -1;
        long met;

        if (sscanf(line, "%63s %15s %255s %ld %ld", calls, word, pattern, &skip, &count) < 3 ||
            !names_call(calls, call) || fnmatch(pattern, path + length + 1, 0) != 0)
            continue;
        met = atomic_fetch_add(&self.met[i], 1);
        if (met < skip || (count >= 0 && met >= skip + count))
            continue;
        atomic_fetch_add(&self.made, 1);
        errno = errno_of(word);
        return true;
    }
    return false;
}

bool disk_fault_path(enum disk_call call, int dir_fd, const char *path)
{
    char whole[TARGET_MAX * 2];
    char above[TARGET_MAX];
    int saved_errno = errno;

    if (!disk_fault_is_on())
        return false;
    if (path[0] == '/')
        snprintf(whole, sizeof whole, "%s", path);
    else if (dir_fd == AT_FDCWD || !path_of(dir_fd, above))
        return false;
    else
        snprintf(whole, sizeof whole, "%s/%s", above, path);
    if (fails(call, whole))
        return true;
    errno = saved_errno;
    return false;
}

bool disk_fault_fd(enum disk_call call, int fd)
{
    char path[TARGET_MAX];
    int saved_errno = errno;

    if (!disk_fault_is_on())
        return false;
    if (path_of(fd, path) && fails(call, path))
        return true;
    errno = saved_errno;
    return false;
}
