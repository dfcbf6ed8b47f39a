/* SPDX-License-Identifier: MIT */
/*
 * powerloss_daemon.c - the log of a whole faxpostd that ran under disk_shim.so: states as a power
 * cut would have left them, and in each what faxpostd had said in its own log by then.
 *
 *   powerloss_daemon LOG INODE STATE STATES SEED
 *
 * INODE is that of the state folder, which was empty at the beginning; STATE is how it is at the
 * end, with the right contents of all that was promised. Exit 0: every promise held in every state.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "spool/incoming.h"
#include "spool/spool.h"
#include "test/powerloss/disk_replay.h"

enum { PROMISES_MOST = 512, FILE_MOST = 4 << 20, PATH_BYTES = 1024, LINE_MOST = 2048 };

/* "page stored", "message composed": the file of a fax that must be there from now on. */
struct promise {
    char fax_id[FAX_ID_MAX];
    char file[32];
};

static struct promise promises[PROMISES_MOST];
static int promised;
static char cut[64] = "/dev/shm/powercut-XXXXXX";

static void die(const char *what, const char *more)
{
    fprintf(stderr, "%s%s\n", what, more);
    exit(1);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    return where->level == 0 ? 0 : remove(path);
}

static void promise(const char *line, const char *words, const char *file)
{
    const char *at = strstr(line, words);
    const char *id = at != NULL ? strstr(at, "fax=") : NULL;
    const char *page = at != NULL ? strstr(at, " page=") : NULL;
    struct promise *next = &promises[promised];

    if (id == NULL || promised == PROMISES_MOST)
        return;
    snprintf(next->fax_id, sizeof next->fax_id, "%.*s", (int)strcspn(id + 4, " \n"), id + 4);
    if (file != NULL)
        snprintf(next->file, sizeof next->file, "%s", file);
    else if (page != NULL)
        snprintf(next->file, sizeof next->file, "page-%04d.tif", atoi(page + 6) % 10000);
    else
        return;
    promised += fax_id_is_valid(next->fax_id);
}

/* faxpostd writes each line of its log at once, to a file that the shim sees too. */
static void listen(const struct disk_record *record, const char *data)
{
    char line[LINE_MOST];

    if (record->kind != DISK_WRITE || record->data_length >= sizeof line)
        return;
    memcpy(line, data, record->data_length);
    line[record->data_length] = '\0';
    promise(line, "page stored fax=", NULL);
    promise(line, "message composed fax=", "message.eml");
}

static bool same_file(const char *one, const char *two)
{
    char *a = NULL;
    char *b = NULL;
    size_t a_length = 0;
    size_t b_length = 1;
    bool same = file_read(AT_FDCWD, one, FILE_MOST, &a, &a_length) == 0 &&
                file_read(AT_FDCWD, two, FILE_MOST, &b, &b_length) == 0 && a_length == b_length &&
                memcmp(a, b, a_length) == 0;

    free(a);
    free(b);
    return same;
}

static bool holds(const struct promise *promise, const char *state)
{
    char below[128];
    char right[PATH_BYTES];
    char found[PATH_BYTES];

    if (fax_id_folder(below, sizeof below, promise->fax_id) < 0)
        return false;
    snprintf(right, sizeof right, "%s/%s/%s", state, below, promise->file);
    snprintf(found, sizeof found, "%s/%s/%s", cut, below, promise->file);
    return same_file(right, found);
}

static void try_state(const char *state, long moment, int choice, uint64_t seed)
{
    char where[PATH_BYTES];
    struct spool *spool = NULL;
    int error = spool_open(&spool, cut, SPOOL_OWN);
    int i;

    snprintf(where, sizeof where, "moment %ld, choice %d, seed %llu: ", moment, choice,
             (unsigned long long)seed);
    if (error < 0)
        die(where, "the spool cannot be opened");
    while ((error = spool_take_over(spool, 100)) > 0)
        ;
    if (error < 0)
        die(where, "not taken over");
    for (i = 0; i < promised; i++)
        if (!holds(&promises[i], state)) {
            fprintf(stderr, "%s of %s: ", promises[i].file, promises[i].fax_id);
            die(where, "lost");
        }
    spool_close(spool);
}

/* About so many states over all moments. */
static long replay_all(const char *log, uint64_t inode, const char *state, long states,
                       uint64_t seed)
{
    struct disk_replay *replay = disk_replay_new_empty(log, inode);
    const struct disk_record *record;
    const char *data;
    uint64_t lot = seed;
    long records = 0;
    long moment = 0;
    long tried = 0;

    while (disk_replay_step(replay, NULL, NULL))
        records++;
    disk_replay_free(replay);
    replay = disk_replay_new_empty(log, inode);
    while (disk_replay_step(replay, &record, &data)) {
        long i;

        moment++;
        listen(record, data);
        for (i = 0; i <= states / records && disk_replay_pending(replay) > 0; i++) {
            unsigned choices =
                disk_replay_is_small(replay) ? 1u << disk_replay_pending(replay) : 8u;
            int choice;

            lot = lot * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            choice = (int)((lot >> 33) % choices);
            nftw(cut, remove_one, 16, FTW_DEPTH | FTW_PHYS);
            disk_replay_choose(replay, choice, lot);
            disk_replay_build(replay, cut);
            try_state(state, moment, choice, seed);
            tried++;
        }
    }
    disk_replay_free(replay);
    printf("%ld records, %d promises, %ld states\n", records, promised, tried);
    return tried;
}

int main(int argc, char **argv)
{
    long tried;

    if (argc != 6)
        die("usage: powerloss_daemon LOG INODE STATE STATES SEED", "");
    log_open("replay", LOG_LEVEL_ALERT);
    if (access("/dev/shm", W_OK) < 0)
        strcpy(cut, "/tmp/powercut-XXXXXX");
    if (mkdtemp(cut) == NULL)
        die("no folder: ", cut);
    tried = replay_all(argv[1], strtoull(argv[2], NULL, 10), argv[3], atol(argv[4]),
                       strtoull(argv[5], NULL, 10));
    nftw(cut, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    rmdir(cut);
    return tried > 0 && promised > 0 ? 0 : 1;
}
