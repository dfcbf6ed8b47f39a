/* SPDX-License-Identifier: MIT */
/*
 * disk_shim.h - what a process does to its files, seen and disturbed: every change below a folder
 * is written to a log that a replayer reads, and calls fail where a control file says so.
 *
 * The shim stands in for the functions of the C library. Linked into a test it needs no more; as
 * disk_shim.so it comes before other programs by LD_PRELOAD, told by the environment.
 */
#ifndef FAXPOST_TEST_DISK_SHIM_H
#define FAXPOST_TEST_DISK_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum disk_kind {
    DISK_CREATE = 1, /* a new file `name` in `folder` is `inode` */
    DISK_MKDIR,      /* the same, a folder */
    DISK_WRITE,      /* `data` at `offset` of `inode` */
    DISK_TRUNCATE,   /* `inode` is `offset` octets long */
    DISK_RENAME,     /* `name` in `folder` becomes `name2` in `folder2` */
    DISK_LINK,       /* `name` in `folder` is `inode` too */
    DISK_UNLINK,     /* of a file or an empty folder */
    DISK_SYNC,       /* `inode`, file or folder, and what is in it: not in folders below */
    DISK_SYNC_ALL,   /* syncfs() */
    DISK_NOTE,       /* `data` is what somebody wants to be known of this moment */
};

/* One record of the log, followed by name, name2 and data. */
struct disk_record {
    uint32_t kind;
    uint32_t name_length, name2_length, data_length;
    uint64_t folder, folder2, inode;
    int64_t offset;
    int64_t time_ns; /* monotonic */
};

/* Records what this process, and those that it forks, change on the file system of `folder` into a
 * new log file. disk_shim.so: FAXPOST_DISK_LOG and FAXPOST_DISK_FOLDER. */
void disk_record_start(const char *log_path, const char *folder);
/* Goes on with a log that another process began. */
void disk_record_continue(const char *log_path, const char *folder);
void disk_record_stop(void);

/* Into the log, if there is one. */
void disk_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Kills this process with SIGKILL instead of its change number `count` from now; 0: never. */
void disk_kill_at(long count);

/* Changes so far, of this process. */
long disk_changes(void);

/*
 * Faults: a file of lines "CALLS ERRNO PATTERN [SKIP [COUNT]]", looked at before each call.
 *   CALLS    of open write fsync rename link unlink mkdir truncate, parted by commas, or "all";
 *            open: for writing
 *   ERRNO    ENOSPC EDQUOT EROFS EIO
 *   PATTERN  of fnmatch(3) for the path below the folder
 *   SKIP     so many go well before (in each process), COUNT then fail (default: all)
 * No file, no faults. disk_shim.so: FAXPOST_DISK_FAULTS.
 */
void disk_faults(const char *control_path, const char *folder);

/* Faults so far, of this process. */
long disk_faults_made(void);

#endif
