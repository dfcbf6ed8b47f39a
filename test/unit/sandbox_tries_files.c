/* SPDX-License-Identifier: MIT */
/*
 * sandbox_tries_files.c - files: those of others, and one's own.
 */
#include "test/unit/sandbox_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- files ------------------------------------------------------------------------------------
 */

int read_database(void)
{
    return opened(in_top("state/faxpost.db"), O_RDONLY);
}

int write_database(void)
{
    return opened(in_top("state/faxpost.db"), O_WRONLY);
}

int cut_database_by_opening(void)
{
    return opened(in_top("state/faxpost.db"), O_RDONLY | O_TRUNC);
}

int cut_database(void)
{
    return done(truncate(in_top("state/faxpost.db"), 4));
}

int change_mode_of_database(void)
{
    return done(chmod(in_top("state/faxpost.db"), 0600));
}

int change_time_of_database(void)
{
    return done(utimensat(AT_FDCWD, in_top("state/faxpost.db"), NULL, 0));
}

int change_owner_of_database(void)
{
    return done(chown(in_top("state/faxpost.db"), getuid(), getgid()));
}

int set_attribute_of_database(void)
{
    return done(syscall(SYS_setxattr, in_top("state/faxpost.db"), "user.x", "y", 1, 0));
}

int read_password(void)
{
    return opened(in_top("secrets/password"), O_RDONLY);
}

int write_password(void)
{
    return opened(in_top("secrets/password"), O_WRONLY);
}

int read_other(void)
{
    return opened(in_top("other/file"), O_RDONLY);
}

int read_passwd(void)
{
    return opened("/etc/passwd", O_RDONLY);
}

int write_etc(void)
{
    return opened("/etc/faxpost-sandbox-test", O_WRONLY | O_CREAT);
}

int write_tmp(void)
{
    return opened("/tmp/faxpost-sandbox-test", O_WRONLY | O_CREAT);
}

int list_state(void)
{
    return opened(in_top("state"), O_RDONLY | O_DIRECTORY);
}

int read_fax(void)
{
    return opened(in_top("state/fax/page.tif"), O_RDONLY);
}

int read_incoming(void)
{
    return opened(in_top("state/incoming/old.tif"), O_RDONLY);
}

int make_in_state(void)
{
    return mkdir(in_top("state/new"), 0700) < 0 ? errno : done(rmdir(in_top("state/new")));
}

int out_of_incoming(void)
{
    return done(rename(in_top("state/incoming/old.tif"), in_top("other/old.tif")));
}

int link_the_password(void)
{
    return done(link(in_top("secrets/password"), in_top("state/incoming/password")));
}

int point_to_the_password(void)
{
    return done(symlink(in_top("secrets/password"), in_top("state/incoming/pointer")));
}

int make_device(void)
{
    return done(mknod(in_top("state/incoming/fifo"), S_IFIFO | 0600, 0));
}

int memory_of_parent(void)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/mem", (int)sandbox_parent);
    return opened(path, O_RDWR);
}

int environment_of_parent(void)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/environ", (int)sandbox_parent);
    return opened(path, O_RDONLY);
}

int terminal_by_name(void)
{
    return opened("/dev/tty", O_RDWR);
}

/* Standard error may be a file: a log that all write. */
int cut_an_open_file(void)
{
    int fd = memfd_create("log", MFD_CLOEXEC);

    return fd < 0 ? EXIT_BROKEN : done(ftruncate(fd, 0));
}

/* What receive does in incoming/, and compose in the folder of a fax. */
static int store(const char *folder)
{
    char path[300];
    char renamed[300];
    const char text[] = "page";
    struct statvfs space;
    struct stat st;
    int file;
    int dir;

    snprintf(path, sizeof path, "%s/.call-%d.new", folder, (int)getpid());
    snprintf(renamed, sizeof renamed, "%s/call-%d", folder, (int)getpid());
    if (mkdir(path, 0700) < 0 || (dir = open(path, O_RDONLY | O_DIRECTORY)) < 0 ||
        flock(dir, LOCK_EX | LOCK_NB) < 0)
        return errno;
    file = openat(dir, ".new.tmp", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0 || write(file, text, sizeof text) < 0 || fsync(file) < 0 ||
        renameat(dir, ".new.tmp", dir, "page-0001.tif") < 0 || fsync(dir) < 0)
        return errno;
    if (rename(path, renamed) < 0 || fstat(file, &st) < 0 || statvfs(folder, &space) < 0 ||
        faccessat(dir, "page-0001.tif", F_OK, AT_SYMLINK_NOFOLLOW) < 0 || futimens(dir, NULL) < 0 ||
        unlinkat(dir, "page-0001.tif", 0) < 0 || rmdir(renamed) < 0)
        return errno;
    return 0;
}

int store_in_incoming(void)
{
    return store(in_top("state/incoming"));
}

/* As store(), without a touch. */
int store_in_fax(void)
{
    int dir = open(in_top("state/fax"), O_RDONLY | O_DIRECTORY);
    int file;

    if (dir < 0)
        return errno;
    file = openat(dir, "message.eml.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0 || write(file, "x", 1) < 0 || fsync(file) < 0 ||
        renameat(dir, "message.eml.tmp", dir, "message.eml") < 0 || fsync(dir) < 0 ||
        unlinkat(dir, "message.eml", 0) < 0)
        return errno;
    return 0;
}

/* From tmp/ to new/, as a mail goes. */
int between_folders(void)
{
    char to[300];

    snprintf(to, sizeof to, "%s.%d", in_top("run/moved"), (int)getpid());
    if (opened(in_top("state/moving"), O_WRONLY | O_CREAT) != 0 ||
        rename(in_top("state/moving"), to) < 0 || unlink(to) < 0)
        return errno;
    return 0;
}

int memory_file_by_name(void)
{
    char path[64];
    int fd = memfd_create("sink", MFD_CLOEXEC);

    if (fd < 0)
        return errno;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return opened(path, O_RDWR | O_CREAT | O_TRUNC);
}

int random_device(void)
{
    return opened("/dev/urandom", O_RDONLY);
}

int zone(void)
{
    return access("/etc/localtime", F_OK) < 0 ? 0 : opened("/etc/localtime", O_RDONLY);
}

/* The mailboxes lie on another disk. */
int write_through_link(void)
{
    char path[300];

    snprintf(path, sizeof path, "%s.%d", in_top("state/mailbox/mail"), (int)getpid());
    return opened(path, O_WRONLY | O_CREAT) != 0 ? errno : done(unlink(path));
}
