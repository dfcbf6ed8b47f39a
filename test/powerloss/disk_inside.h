/* SPDX-License-Identifier: MIT */
/*
 * disk_inside.h - what the files of the shim share.
 */
#ifndef FAXPOST_TEST_DISK_INSIDE_H
#define FAXPOST_TEST_DISK_INSIDE_H

#include <sys/types.h>

#include "test/powerloss/disk_shim.h"

/* Something is recorded or may fail. */
bool disk_is_on(void);

/* On the file system that is watched. */
bool disk_is_ours(dev_t device);

/* ---- the log: disk_log.c ----------------------------------------------------------------------
 */

/* Takes the lock, across threads and processes, and is the descriptor to write to; -1: nothing is
 * recorded. Leaves errno alone. */
int disk_lock(void);
void disk_unlock(int lock);

/* Writes a record; names are counted here. lock -1 is fine. */
void disk_tell(int lock, struct disk_record *record, const char *name, const char *name2,
               const void *data);

/* ---- faults: disk_fault.c ---------------------------------------------------------------------
 */

enum disk_call {
    DISK_CALL_OPEN,
    DISK_CALL_WRITE,
    DISK_CALL_FSYNC,
    DISK_CALL_RENAME,
    DISK_CALL_LINK,
    DISK_CALL_UNLINK,
    DISK_CALL_MKDIR,
    DISK_CALL_TRUNCATE,
};

/* True, with errno set: the call is to fail. */
bool disk_fault_path(enum disk_call call, int dir_fd, const char *path);
bool disk_fault_fd(enum disk_call call, int fd);

/* Faults are looked for. */
bool disk_fault_is_on(void);

#endif
