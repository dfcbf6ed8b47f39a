/* SPDX-License-Identifier: MIT */
/*
 * commit.h - group commit, for this folder only: changes that several threads ask for at the same
 * time share one transaction, and so one fsync.
 */
#ifndef FAXPOST_SPOOL_COMMIT_H
#define FAXPOST_SPOOL_COMMIT_H

#include "spool/db.h"

struct commit;

/* A change: 0 or a count, or a negative error that undoes this change alone. Called on the thread
 * of any asker, once per commit_run(), with nothing locked. */
typedef int commit_change(struct db *db, void *arg);

/* The connection stays the caller's and is used by nobody else until commit_free(). */
int commit_new(struct commit **out, struct db *db);
void commit_free(struct commit *commit);

/* Runs the change and returns what it returned once that is durable, or the error that kept it from
 * being so. Safe from any thread. */
int commit_run(struct commit *commit, commit_change *change, void *arg);

#endif
