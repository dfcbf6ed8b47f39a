/* SPDX-License-Identifier: MIT */
/*
 * serial_lock.c - lock files in the way of UUCP (FHS 5.9): LCK..ttyS0 holds the process id of who
 * uses the port, in ten digits. All programs that use modems look there: efax, minicom, mgetty,
 * pppd.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "fax/modem/serial.h"

enum {
    LOCK_TRIES = 20,
    BUSY_WAIT_MS = 20,
    EMPTY_LOCK_S = 60, /* a lock without a number is being written, unless it is as old as this */
};

/* Name of the lock of a real device: "/dev/pts/3" gives LCK..pts_3. */
static int lock_path(char out[SERIAL_PATH_MAX], const char *real, const char *lock_dir)
{
    const char *name = strncmp(real, "/dev/", 5) == 0 ? real + 5 : strrchr(real, '/') + 1;
    char clean[SERIAL_NAME_MAX];
    char *c;

    if (!text_copy(clean, sizeof clean, name))
        return ERROR_LIMIT;
    for (c = clean; *c != '\0'; c++)
        if (*c == '/' || *c < '!' || *c > '~')
            *c = '_';
    if ((size_t)snprintf(out, SERIAL_PATH_MAX, "%s/LCK..%s", lock_dir, clean) >= SERIAL_PATH_MAX)
        return ERROR_LIMIT;
    return 0;
}

/* Whose a lock is: 0 when that cannot be read from it. */
static pid_t read_owner(int fd, bool *out_is_old)
{
    char text[32] = "";
    struct stat st;
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    long pid = 0;
    int binary;

    *out_is_old = fstat(fd, &st) == 0 && time(NULL) - st.st_mtime > EMPTY_LOCK_S;
    if (n == (ssize_t)sizeof binary && strspn(text, " 0123456789\n") < (size_t)n) {
        memcpy(&binary, text, sizeof binary); /* as the first programs wrote it */
        pid = binary;
    } else if (n > 0) {
        pid = strtol(text, NULL, 10);
    }
    return pid > 0 && pid <= INT_MAX ? (pid_t)pid : 0;
}

static int open_lock(const char *path)
{
    return open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

/* False when there is no lock. One that we may not read counts as being written just now. */
static bool lock_owner(const char *path, pid_t *out_pid, bool *out_is_old)
{
    int fd = open_lock(path);

    *out_pid = 0;
    *out_is_old = false;
    if (fd < 0)
        return errno != ENOENT;
    *out_pid = read_owner(fd, out_is_old);
    close(fd);
    return true;
}

static bool process_lives(pid_t pid)
{
    return kill(pid, 0) == 0 || errno != ESRCH;
}

static int say_in_use(const char *device, const char *path, pid_t pid, char *why, size_t size)
{
    char name[32] = "";
    char comm[64];
    FILE *file;

    snprintf(comm, sizeof comm, "/proc/%d/comm", (int)pid);
    file = fopen(comm, "re");
    if (file != NULL) {
        if (fgets(name, sizeof name, file) != NULL)
            name[strcspn(name, "\n")] = '\0';
        fclose(file);
    }
    if (pid == getpid())
        snprintf(why, size, "%s is in use by this program already: is it the port of two lines?",
                 LOG_ESCAPED(device));
    else if (pid > 0)
        snprintf(why, size, "%s is in use by pid %d (%s): end that program, or take another port",
                 LOG_ESCAPED(device), (int)pid,
                 name[0] != '\0' ? text_printable(name) : "whose name is hidden");
    else
        snprintf(why, size,
                 "%s is locked by %s, in which no process id stands: remove it when no "
                 "program uses the port",
                 LOG_ESCAPED(device), path);
    return ERROR_BUSY;
}

/* The open file still is the lock, and still the dead program's. */
static bool is_still_stale(int fd, const char *path, pid_t dead)
{
    struct stat held;
    struct stat named;
    bool is_old;

    return fstat(fd, &held) == 0 && lstat(path, &named) == 0 && held.st_ino == named.st_ino &&
           held.st_dev == named.st_dev && read_owner(fd, &is_old) == dead && (dead != 0 || is_old);
}

/* Takes a dead program's lock away, but not one that another made in the meantime: who removes a
 * lock holds its file by flock. 0: gone, or try again. */
static int remove_stale(const char *path, pid_t dead, char *why, size_t size)
{
    int error = 0;
    int fd = open_lock(path);

    if (fd < 0)
        return 0;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        poll(NULL, 0, BUSY_WAIT_MS);
    } else if (is_still_stale(fd, path, dead)) {
        if (unlink(path) == 0) {
            log_info("lock of a dead program removed path=%s pid=%d", path, (int)dead);
        } else {
            snprintf(why, size,
                     "the lock %s of pid %d, which is dead, cannot be removed: %s: remove it", path,
                     (int)dead, strerror(errno));
            error = ERROR_DENIED;
        }
    }
    close(fd);
    return error;
}

static int say_no_folder(const char *lock_dir, char *why, size_t size)
{
    int error_number = errno;

    if (error_number == ENOENT || error_number == ENOTDIR)
        snprintf(why, size,
                 "there is no folder %s for lock files: make it, or name another by "
                 "[gateway] lock_dir",
                 lock_dir);
    else
        snprintf(why, size,
                 "no lock file can be made in %s: %s: give this account the right to, or "
                 "name another folder by [gateway] lock_dir",
                 lock_dir, strerror(error_number));
    return error_from_errno(error_number);
}

/* A file with our process id, to be linked to the lock's name: that is atomic, O_EXCL on the name
 * itself would show an empty lock for a moment. */
static int write_id(char out[SERIAL_PATH_MAX], const char *lock_dir)
{
    static atomic_int count; /* no two threads have the same file */
    char text[16];
    int error;
    int fd;

    snprintf(out, SERIAL_PATH_MAX, "%s/LTMP.%d.%d", lock_dir, (int)getpid(),
             atomic_fetch_add(&count, 1));
    unlink(out);
    fd = open(out, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return -1;
    snprintf(text, sizeof text, "%10d\n", (int)getpid());
    error = file_write_all(fd, text, strlen(text));
    if (error == 0)
        fchmod(fd, 0644); /* others have to read it, whatever our umask */
    close(fd);
    if (error < 0)
        unlink(out);
    return error;
}

static int take(const char *device, const char *path, const char *mine, char *why, size_t size)
{
    int error = 0;
    int tries;

    for (tries = 0; tries < LOCK_TRIES && error == 0; tries++) {
        pid_t pid;
        bool is_old;

        if (link(mine, path) == 0)
            return 0;
        if (errno != EEXIST) {
            snprintf(why, size, "the lock %s cannot be made: %s", path, strerror(errno));
            return error_from_errno(errno);
        }
        if (!lock_owner(path, &pid, &is_old))
            continue;
        if (pid > 0 ? process_lives(pid) : !is_old)
            return say_in_use(device, path, pid, why, size);
        error = remove_stale(path, pid, why, size);
    }
    if (error < 0)
        return error;
    return say_in_use(device, path, 0, why, size);
}

int serial_lock(char out_path[SERIAL_PATH_MAX], const char *device, const char *lock_dir, char *why,
                size_t why_size)
{
    char real[PATH_MAX];
    char path[SERIAL_PATH_MAX];
    char mine[SERIAL_PATH_MAX];
    char present[SERIAL_WHY_MAX / 2];
    int error;

    text_copy(why, why_size, "");
    if (lock_dir == NULL)
        lock_dir = "/run/lock";
    if (realpath(device, real) == NULL) {
        error = error_from_errno(errno);
        serial_present(present, sizeof present);
        snprintf(why, why_size, "no such device: %s: is the modem plugged in? Present are: %s",
                 LOG_ESCAPED(device), present);
        return error == ERROR_IO ? ERROR_NOT_FOUND : error;
    }
    error = lock_path(path, real, lock_dir);
    if (error < 0 || strlen(lock_dir) + 32 > SERIAL_PATH_MAX) {
        snprintf(why, why_size, "the name of the lock of %s is too long", LOG_ESCAPED(device));
        return ERROR_LIMIT;
    }
    if (write_id(mine, lock_dir) < 0)
        return say_no_folder(lock_dir, why, why_size);
    error = take(device, path, mine, why, why_size);
    unlink(mine);
    if (error == 0)
        text_copy(out_path, SERIAL_PATH_MAX, path);
    return error;
}

void serial_unlock(const char *path)
{
    pid_t pid;
    bool is_old;

    if (path[0] != '\0' && lock_owner(path, &pid, &is_old) && pid == getpid())
        unlink(path);
}
