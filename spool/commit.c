/* SPDX-License-Identifier: MIT */
/*
 * commit.c - group commit by leader and followers: whoever comes while nobody commits becomes the
 * leader and takes along all who wait; those who come meanwhile wait for the next turn.
 */
#include "spool/commit.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/error.h"

struct asked {
    commit_change *change;
    void *arg;
    int result;
    bool done;
    struct asked *next;
};

struct commit {
    pthread_mutex_t lock; /* first, last, leading, and result and done of all that wait */
    pthread_cond_t turn;
    struct asked *first, *last;
    bool leading;  /* a leader is at work; only it may use db */
    struct db *db; /* the leader's */
};

int commit_new(struct commit **out, struct db *db)
{
    struct commit *commit = calloc(1, sizeof *commit);

    if (commit == NULL)
        return ERROR_MEMORY;
    pthread_mutex_init(&commit->lock, NULL);
    pthread_cond_init(&commit->turn, NULL);
    commit->db = db;
    *out = commit;
    return 0;
}

void commit_free(struct commit *commit)
{
    if (commit == NULL)
        return;
    pthread_cond_destroy(&commit->turn);
    pthread_mutex_destroy(&commit->lock);
    free(commit);
}

static int run_part(struct db *db, struct asked *asked)
{
    int error = db_part_begin(db);

    if (error < 0)
        return error;
    asked->result = asked->change(db, asked->arg);
    if (!db_in_transaction(db))
        return asked->result < 0 ? asked->result
                                 : ERROR_IO; /* disk full and the like: all is off */
    error = db_part_end(db, asked->result >= 0);
    return error;
}

/* All changes in one transaction. A change that fails is undone alone; when the transaction fails,
 * all have failed. */
static void run_all(struct db *db, struct asked *first)
{
    struct asked *asked;
    int error = db_begin(db);

    for (asked = first; asked != NULL && error == 0; asked = asked->next)
        error = run_part(db, asked);
    if (error == 0)
        error = db_commit(db);
    else
        db_rollback(db);
    if (error < 0)
        for (asked = first; asked != NULL; asked = asked->next)
            asked->result = error;
}

int commit_run(struct commit *commit, commit_change *change, void *arg)
{
    struct asked mine = {.change = change, .arg = arg};
    struct asked *batch;
    struct asked *asked;
    struct asked *next;

    pthread_mutex_lock(&commit->lock);
    if (commit->first == NULL)
        commit->first = &mine;
    else
        commit->last->next = &mine;
    commit->last = &mine;
    while (!mine.done && commit->leading)
        pthread_cond_wait(&commit->turn, &commit->lock);
    if (!mine.done) {
        batch = commit->first;
        commit->first = commit->last = NULL;
        commit->leading = true;
        pthread_mutex_unlock(&commit->lock);
        run_all(commit->db, batch);
        pthread_mutex_lock(&commit->lock);
        commit->leading = false;
        for (asked = batch; asked != NULL; asked = next) {
            next = asked->next; /* it lies on the stack of a thread that may go on at once */
            asked->done = true;
        }
        pthread_cond_broadcast(&commit->turn);
    }
    pthread_mutex_unlock(&commit->lock);
    return mine.result;
}
