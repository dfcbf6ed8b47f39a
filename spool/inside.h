/* SPDX-License-Identifier: MIT */
/*
 * inside.h - what the files behind spool.h share.
 */
#ifndef FAXPOST_SPOOL_INSIDE_H
#define FAXPOST_SPOOL_INSIDE_H

#include <dirent.h>
#include <pthread.h>

#include "spool/commit.h"
#include "spool/db.h"
#include "spool/spool.h"

enum {
    SPOOL_STATE_DIR_MAX = 400, /* leaves room in SPOOL_PATH_MAX for the longest path below it */
    INCOMING_NAME_MAX = 256,   /* any name a folder can have */
    INCOMING_LIST_MAX = 100000,
    SPOOL_LINK_WAIT_MS = 600000, /* for a second name of a page to go away, a backup's perhaps */
};

struct spool {
    char state_dir[SPOOL_STATE_DIR_MAX]; /* absolute, without links */
    enum spool_mode mode;
    int state_fd;
    int incoming_fd; /* -1 with SPOOL_READ and no such folder */
    int lock_fd;

    struct db *writer; /* used by commit alone; NULL with SPOOL_READ */
    struct commit *commit;

    pthread_mutex_t read_lock; /* reader */
    struct db *reader;

    /* Of the thread that calls spool_clock_look(). */
    int64_t clock_offset_ms; /* wall less boot, when it was looked at last */
    int64_t alive_ms;        /* wall, as it was recorded last; 0: not yet */

    /* Whoever makes folders below fax/ and mail/, or removes those of which there is a row: short.
     * Half a copy is nobody's but of who takes over. */
    pthread_mutex_t folders_lock;

    pthread_mutex_t taking_lock; /* whoever takes over, which can last, and all below */
    struct {
        char name[INCOMING_NAME_MAX];
        int error;
    } complaints[32]; /* folders that could not be taken over and were logged: once is enough */
    unsigned complaint_next;
    int64_t link_wait_ms; /* SPOOL_LINK_WAIT_MS; shorter in tests */
};

/* commit_run() for a spool that is ours; ERROR_STATE for one that is only read. */
int spool_change(struct spool *spool, commit_change *change, void *arg);

/* Fills in what the database does not know: folder and path. */
void spool_fax_complete(const struct spool *spool, struct spool_fax *fax);

/* Removes what a crash left of messages that were being handed in: message.c. */
void message_remove_unborn(struct spool *spool);

/* ---- incoming/ as deliver sees it: scan.c -----------------------------------------------------
 */

/* A stream over the names of an open folder, from the beginning; NULL with errno. */
DIR *scan_names(int dir_fd);

/* Names of all fax folders in incoming/, oldest first, malloced into *out; gives the number. */
int scan_fax_folders(int incoming_fd, char (**out)[FAX_ID_MAX]);

/* Opens a folder of incoming/ whose call has ended: a descriptor. ERROR_BUSY while the call lives,
 * ERROR_FORMAT for what is no folder. */
int scan_open_ended(int incoming_fd, const char *name);

/* Removes hidden folders that a receiving process left when it died before it could lock them. */
void scan_remove_unborn(int incoming_fd, int64_t now_ms);

/* Time of the last change to a file or folder, which nobody can set at will. */
int scan_changed_ms(int dir_fd, const char *name, int64_t *out_ms);

/* Reads call.ini of an open folder. */
int scan_call_info(int folder_fd, struct call_info *out);

/* ---- copying: copy.c ---------------------------------------------------------------------------
 */

/* What was found and copied. */
struct copied {
    struct db_page *pages; /* malloced */
    int count;
    int confirmed, unconfirmed; /* how many of each */
    int left;                   /* pages that had to be left where they are: links, too large */
};

void copied_free(struct copied *copied);

/* Copies the page files and call.ini of one folder into another, durable there, in the order of
 * their names. ERROR_FULL, ERROR_IO …: something is wrong with the disk, the copy is incomplete.
 * ERROR_BUSY: a page has got a second name less than link_wait_ms ago. */
int copy_fax(int from_fd, int to_fd, int64_t link_wait_ms, struct copied *out);

/* How many page files a folder holds. */
int copy_count_pages(int folder_fd);

/* Removes from a source folder the pages that the copy holds too, call.ini and what a killed writer
 * left; then the folder, when nothing else is in it. ERROR_EXISTS: something is left in it. */
int copy_remove_source(int incoming_fd, const char *fax_id, int copy_fd);

#endif
