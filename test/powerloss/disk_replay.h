/* SPDX-License-Identifier: MIT */
/*
 * disk_replay.h - the log of disk_shim.h played again, and for any moment the states in which a
 * disk may be after the power was cut.
 *
 * What is assumed of a file system: what fsync() of a file covered is there, octet for octet; what
 * fsync() of a folder covered of names in it is there; a rename never loses both names; 512 octets
 * are written wholly or not at all. Nothing else: of all that was not synced any part may be there
 * and any part not, in any order; names without contents, contents without names, lengths without
 * either, then with zeros or with what lay there before.
 */
#ifndef FAXPOST_TEST_DISK_REPLAY_H
#define FAXPOST_TEST_DISK_REPLAY_H

#include "test/powerloss/disk_shim.h"

struct disk_replay;

/* Reads a whole log. What stood in `folder` when it was begun (it must stand there unchanged now)
 * is taken for durable. Aborts where the log makes no sense: a test must not go on then. */
struct disk_replay *disk_replay_new(const char *log_path, const char *folder);

/* For a folder that was empty, by its inode alone. */
struct disk_replay *disk_replay_new_empty(const char *log_path, uint64_t inode);
void disk_replay_free(struct disk_replay *replay);

/* One record on; false at the end. *out may be NULL; it and what data gives last as long as the
 * replay. */
bool disk_replay_step(struct disk_replay *replay, const struct disk_record **out,
                      const char **out_data);

/* How much is in the air: changes (a write counts once per 512 octets) of which a cut may keep any.
 */
int disk_replay_pending(const struct disk_replay *replay);

/* Which of the pending changes a state keeps. Choice number 0 to DISK_CHOICE_FIXED - 1 are nothing,
 * all, names alone, contents alone; those above are drawn by lot with `seed`. With few changes in
 * the air, number N keeps those whose bit in N is set: see disk_replay_is_small(). */
enum { DISK_CHOICE_FIXED = 4, DISK_SMALL = 6 };
void disk_replay_choose(struct disk_replay *replay, int number, uint64_t seed);
static inline bool disk_replay_is_small(const struct disk_replay *replay)
{
    return disk_replay_pending(replay) <= DISK_SMALL;
}

/* Makes the chosen state in an empty folder. */
void disk_replay_build(const struct disk_replay *replay, const char *folder);

#endif
