/* SPDX-License-Identifier: MIT */
/*
 * storage.c - a small file in incoming/ is written every few seconds while there is trouble.
 */
#include "fax/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"

enum {
    PROBE_EVERY_MS = 5000,
    PROBE_BYTES = 64 * 1024, /* about a page */
    IDLE_MS = 3600000,
};

#define PROBE_NAME ".probe"

static const struct {
    const char *name, *words;
} texts[STORAGE_TROUBLES] = {
    [STORAGE_CALLS] = {"calls", "calls are refused, faxes could not be stored"},
    [STORAGE_PAGES] = {"pages",
                       "pages of faxes cannot be stored, senders are told that they failed"},
};

struct storage {
    /* Constant. */
    const char *state_dir;
    void (*changed)(void *user);
    void *user;
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t wanted;
    int64_t least_bytes;
    int error[STORAGE_TROUBLES]; /* 0: all is well */
    unsigned failures;           /* since the start */
    bool is_stopping;
};

/* ---- whether it works --------------------------------------------------------------------------
 */

static int write_probe(int folder_fd)
{
    static const char octets[PROBE_BYTES];
    int fd =
        openat(folder_fd, PROBE_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    int error;

    if (fd < 0)
        return error_from_errno(errno);
    error = file_write_all(fd, octets, sizeof octets);
    if (error == 0 && fsync(fd) < 0)
        error = error_from_errno(errno);
    close(fd);
    if (unlinkat(folder_fd, PROBE_NAME, 0) < 0 && error == 0)
        error = error_from_errno(errno);
    return error;
}

/* A descriptor; the state folder itself is not ours to open. */
static int open_incoming(const char *state_dir)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/incoming", state_dir) >= (int)sizeof path)
        return ERROR_LIMIT;
    return file_open_folder(AT_FDCWD, path);
}

int storage_free_bytes(const char *state_dir, int64_t *out_bytes)
{
    int folder_fd = open_incoming(state_dir);
    int error = folder_fd < 0 ? folder_fd : file_free_bytes(folder_fd, out_bytes);

    if (folder_fd >= 0)
        close(folder_fd);
    return error;
}

static int probe(const char *state_dir, int64_t least_bytes)
{
    int64_t free_bytes;
    int folder_fd = open_incoming(state_dir);
    int error;

    if (folder_fd < 0)
        return folder_fd;
    error = file_free_bytes(folder_fd, &free_bytes);
    if (error == 0)
        error = free_bytes < least_bytes ? ERROR_FULL : write_probe(folder_fd);
    close(folder_fd);
    return error;
}

/* ---- what is known -----------------------------------------------------------------------------
 */

/* Under the lock. */
static bool is_well(const struct storage *storage)
{
    return storage->error[STORAGE_CALLS] == 0 && storage->error[STORAGE_PAGES] == 0;
}

static void tell(const struct storage *storage)
{
    if (storage->changed != NULL)
        storage->changed(storage->user);
}

void storage_failed(struct storage *storage, enum storage_trouble trouble, int error)
{
    bool is_new;

    if (storage == NULL)
        return;
    pthread_mutex_lock(&storage->lock);
    is_new = storage->error[trouble] != error;
    storage->error[trouble] = error;
    storage->failures++;
    pthread_cond_signal(&storage->wanted);
    pthread_mutex_unlock(&storage->lock);
    if (is_new)
        tell(storage);
}

void storage_set_least(struct storage *storage, int64_t least_bytes)
{
    pthread_mutex_lock(&storage->lock);
    storage->least_bytes = least_bytes;
    pthread_mutex_unlock(&storage->lock);
}

size_t storage_text(struct storage *storage, char *out, size_t size)
{
    int error[STORAGE_TROUBLES];
    size_t length = 0;

    pthread_mutex_lock(&storage->lock);
    memcpy(error, storage->error, sizeof error);
    pthread_mutex_unlock(&storage->lock);
    out[0] = '\0';
    for (int i = 0; i < STORAGE_TROUBLES; i++) {
        int n;

        if (error[i] == 0)
            continue;
        n = snprintf(out + length, size - length, "trouble\t%s\tdown\t%s: %s\n", texts[i].name,
                     texts[i].words, error_text(error[i]));
        if (n < 0 || (size_t)n >= size - length)
            break;
        length += (size_t)n;
    }
    out[length] = '\0';
    return length;
}

/* ---- the thread --------------------------------------------------------------------------------
 */

/* Under the lock, which is given away for the time it takes. */
static void try_again(struct storage *storage)
{
    int64_t least_bytes = storage->least_bytes;
    unsigned failures = storage->failures;
    int error;

    pthread_mutex_unlock(&storage->lock);
    error = probe(storage->state_dir, least_bytes);
    pthread_mutex_lock(&storage->lock);
    if (error != 0 || storage->failures != failures)
        return;
    memset(storage->error, 0, sizeof storage->error);
    pthread_mutex_unlock(&storage->lock);
    log_info("pages can be stored again path=\"%s/incoming\"", storage->state_dir);
    tell(storage);
    pthread_mutex_lock(&storage->lock);
}

static void *run(void *arg)
{
    struct storage *storage = arg;

    pthread_mutex_lock(&storage->lock);
    while (!storage->is_stopping) {
        bool was_well = is_well(storage);
        int waited = thread_condition_wait(&storage->wanted, &storage->lock,
                                           was_well ? IDLE_MS : PROBE_EVERY_MS);

        if (!was_well && waited == ERROR_TIMEOUT)
            try_again(storage);
    }
    pthread_mutex_unlock(&storage->lock);
    return NULL;
}

int storage_start(struct storage **out, const char *state_dir, int64_t least_bytes,
                  void (*changed)(void *user), void *user)
{
    struct storage *storage = calloc(1, sizeof *storage);
    int error;

    if (storage == NULL)
        return ERROR_MEMORY;
    storage->state_dir = state_dir;
    storage->least_bytes = least_bytes;
    storage->changed = changed;
    storage->user = user;
    pthread_mutex_init(&storage->lock, NULL);
    thread_condition_init(&storage->wanted);
    storage->error[STORAGE_CALLS] = probe(state_dir, least_bytes);
    if (storage->error[STORAGE_CALLS] != 0)
        log_alert(
            "faxes cannot be stored now path=\"%s/incoming\": %s; it is tried again by itself",
            state_dir, error_text(storage->error[STORAGE_CALLS]));
    error = thread_start(&storage->thread, "storage", run, storage);
    storage->has_thread = error == 0;
    if (error != 0)
        storage_stop(storage);
    else
        *out = storage;
    return error;
}

void storage_stop(struct storage *storage)
{
    if (storage == NULL)
        return;
    pthread_mutex_lock(&storage->lock);
    storage->is_stopping = true;
    pthread_cond_signal(&storage->wanted);
    pthread_mutex_unlock(&storage->lock);
    if (storage->has_thread)
        thread_join(storage->thread);
    pthread_cond_destroy(&storage->wanted);
    pthread_mutex_destroy(&storage->lock);
    free(storage);
}
