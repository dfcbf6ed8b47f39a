/* SPDX-License-Identifier: MIT */
/*
 * sandbox_files.c - Landlock: everything is forbidden that no rule allows, to this thread and those
 * that it starts. The numbers of the kernel are written out here, because the headers of a
 * distribution are often older than its kernel.
 */
#include "src/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"

#ifndef SYS_landlock_create_ruleset /* the same on every architecture */
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif

enum { RULESET_VERSION = 1, RULE_PATH_BENEATH = 1 };

enum {
    MAY_EXECUTE = 1 << 0,
    MAY_WRITE_FILE = 1 << 1,
    MAY_READ_FILE = 1 << 2,
    MAY_READ_DIR = 1 << 3,
    MAY_REMOVE_DIR = 1 << 4,
    MAY_REMOVE_FILE = 1 << 5,
    MAY_MAKE_CHAR = 1 << 6,
    MAY_MAKE_DIR = 1 << 7,
    MAY_MAKE_REG = 1 << 8,
    MAY_MAKE_SOCK = 1 << 9,
    MAY_MAKE_FIFO = 1 << 10,
    MAY_MAKE_BLOCK = 1 << 11,
    MAY_MAKE_SYM = 1 << 12,
    MAY_REFER = 1 << 13,     /* ABI 2, Linux 5.19 */
    MAY_TRUNCATE = 1 << 14,  /* ABI 3, Linux 6.2 */
    MAY_IOCTL_DEV = 1 << 15, /* ABI 5, Linux 6.10; of devices opened from now on */
};

enum { MAY_BIND_TCP = 1 << 0, MAY_CONNECT_TCP = 1 << 1 };            /* ABI 4, Linux 6.7 */
enum { SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0, SCOPE_SIGNAL = 1 << 1 }; /* ABI 6, Linux 6.12 */

struct ruleset {
    uint64_t files;
    uint64_t network; /* from ABI 4 on */
    uint64_t scoped;  /* from ABI 6 on */
};

struct rule {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));

/* For a file as such, in the place of a folder. */
enum { OF_FILES = MAY_EXECUTE | MAY_WRITE_FILE | MAY_READ_FILE | MAY_TRUNCATE | MAY_IOCTL_DEV };

enum {
    TO_READ = MAY_READ_FILE | MAY_READ_DIR,
    TO_WRITE = TO_READ | MAY_WRITE_FILE | MAY_TRUNCATE | MAY_MAKE_DIR | MAY_MAKE_REG |
               MAY_MAKE_SOCK | MAY_REMOVE_DIR | MAY_REMOVE_FILE | MAY_REFER,
};

static const uint64_t rights[] = {
    [SANDBOX_READ] = TO_READ,
    [SANDBOX_RUN] = TO_READ | MAY_EXECUTE,
    [SANDBOX_WRITE] = TO_WRITE,
    [SANDBOX_WRITE_THERE] = TO_WRITE,
    [SANDBOX_DEVICE] = MAY_READ_FILE | MAY_WRITE_FILE | MAY_TRUNCATE | MAY_IOCTL_DEV,
};

int landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, RULESET_VERSION);

    return abi < 0 ? 0 : abi > LANDLOCK_ABI_MOST ? LANDLOCK_ABI_MOST : (int)abi;
}

/* What is ruled over: whatever this Landlock knows. deliver connects, receive listens too. */
static struct ruleset ruleset_of(const struct sandbox_plan *plan, int abi, size_t *size)
{
    struct ruleset out = {.files = (abi >= 5   ? MAY_IOCTL_DEV << 1
                                    : abi >= 3 ? MAY_TRUNCATE << 1
                                               : MAY_REFER << 1) -
                                   1};

    if (plan->role == ROLE_DELIVER)
        out.network = MAY_BIND_TCP;
    else if (plan->role == ROLE_COMPOSE)
        out.network = MAY_BIND_TCP | MAY_CONNECT_TCP;
    out.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
    *size = abi >= 6   ? sizeof out
            : abi >= 4 ? offsetof(struct ruleset, scoped)
                       : offsetof(struct ruleset, network);
    return out;
}

/* A path that is not there needs no rule. */
static int allow(int ruleset_fd, const char *path, uint64_t allowed)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    struct rule rule = {.allowed = allowed, .parent_fd = fd};
    struct stat st;
    int error = 0;

    if (fd < 0)
        return 0;
    if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rule.allowed &= OF_FILES;
    if (syscall(SYS_landlock_add_rule, ruleset_fd, RULE_PATH_BENEATH, &rule, 0) < 0) {
        log_error("sandbox: no rule for path=%s: %s", path, strerror(errno));
        error = error_from_errno(errno);
    }
    close(fd);
    return error;
}

/* The folder of a file, and the one where the file really lies, if it is a link. */
static int allow_folder(int ruleset_fd, const char *path, uint64_t allowed)
{
    char folder[PATH_MAX];
    char real[PATH_MAX];
    const char *name[2] = {path, realpath(path, real)};
    int error = 0;
    int i;

    for (i = 0; i < 2 && error == 0; i++) {
        const char *slash = name[i] != NULL ? strrchr(name[i], '/') : NULL;
        size_t length = slash != NULL ? (size_t)(slash - name[i]) : 0;

        if (length == 0 || length >= sizeof folder)
            continue;
        memcpy(folder, name[i], length);
        folder[length] = '\0';
        error = allow(ruleset_fd, folder, allowed);
    }
    return error;
}

static int allow_all(int ruleset_fd, const struct sandbox_plan *plan, uint64_t handled)
{
    int error = 0;
    size_t i;

    for (i = 0; i < plan->count && error == 0; i++) {
        const struct sandbox_path *path = &plan->paths[i];
        uint64_t allowed = rights[path->right] & handled;

        error = path->of_file ? allow_folder(ruleset_fd, path->path, allowed)
                              : allow(ruleset_fd, path->path, allowed);
    }
    return error;
}

int landlock_enter(const struct sandbox_plan *plan, int abi)
{
    size_t size;
    struct ruleset ruleset = ruleset_of(plan, abi, &size);
    int error;
    int fd;

    if (abi < LANDLOCK_ABI_LEAST)
        return ERROR_UNSUPPORTED;
    fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
    if (fd < 0) {
        log_error("sandbox: no Landlock rules: %s", strerror(errno));
        return error_from_errno(errno);
    }
    error = allow_all(fd, plan, ruleset.files);
    if (error == 0 && syscall(SYS_landlock_restrict_self, fd, 0) < 0) {
        log_error("sandbox: Landlock rules are not taken: %s", strerror(errno));
        error = error_from_errno(errno);
    }
    close(fd);
    return error;
}
