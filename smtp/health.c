/* SPDX-License-Identifier: MIT */
/*
 * health.c - one lock around a few rows; kept on the monotonic clock, shown on the wall clock.
 */
#include "smtp/health.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

enum { FIRST_MS = 10000, MOST_MS = 300000, PROOF_MS = 60000 };

struct row {
    char name[SERVER_NAME_MAX];
    bool listed; /* among the servers now */
    bool down, probing;
    int connections, limit;
    int silent;        /* of the connections: not greeted yet */
    int64_t spoken_ms; /* monotonic: the last sign that it speaks; 0: none, or it went down since */
    int64_t since_ms, probe_ms, interval_ms; /* monotonic, while down */
    char reason[HEALTH_REASON_MAX];
};

struct health {
    pthread_mutex_t lock; /* all below */
    struct health_times times;
    int count;
    struct row row[2 * SERVER_COUNT_MAX]; /* also removed ones that still have connections */
};

int health_new(struct health **out, const struct health_times *times)
{
    struct health *health = calloc(1, sizeof *health);

    if (health == NULL)
        return ERROR_MEMORY;
    pthread_mutex_init(&health->lock, NULL);
    health->times = *times;
    if (times->first_ms == 0)
        health->times.first_ms = FIRST_MS;
    if (times->most_ms == 0)
        health->times.most_ms = MOST_MS;
    if (times->proof_ms == 0)
        health->times.proof_ms = PROOF_MS;
    *out = health;
    return 0;
}

void health_free(struct health *health)
{
    if (health == NULL)
        return;
    pthread_mutex_destroy(&health->lock);
    free(health);
}

/* Under the lock. */
static struct row *find(struct health *health, const char *name)
{
    int i;

    for (i = 0; i < health->count; i++)
        if (strcmp(health->row[i].name, name) == 0)
            return &health->row[i];
    return NULL;
}

/* Under the lock: the row of a server, a new one where there is none. NULL: no room, which only
 * many quick changes of the list can bring about; such a server counts as up. */
static struct row *find_or_add(struct health *health, const char *name)
{
    struct row *row = find(health, name);

    if (row != NULL)
        return row;
    if (health->count == 2 * SERVER_COUNT_MAX)
        return NULL;
    row = &health->row[health->count++];
    *row = (struct row){.limit = INT_MAX};
    text_copy(row->name, sizeof row->name, name);
    return row;
}

void health_set_servers(struct health *health, const struct server_list *servers)
{
    struct row *row;
    int i;
    int kept = 0;

    pthread_mutex_lock(&health->lock);
    for (i = 0; i < health->count; i++) {
        row = &health->row[i];
        row->listed = server_list_find(servers, row->name) >= 0;
        if (row->listed || row->connections > 0)
            health->row[kept++] = *row;
    }
    health->count = kept;
    for (i = 0; i < servers->count; i++) {
        row = find_or_add(health, servers->server[i].name);
        if (row == NULL)
            continue;
        row->listed = true;
        row->limit = servers->server[i].connections;
    }
    pthread_mutex_unlock(&health->lock);
}

void health_snapshot(struct health *health, const struct server_list *servers, int64_t now_ms,
                     struct policy_health_entry *out)
{
    int64_t monotonic_ms = clock_monotonic_ms();
    int i;

    pthread_mutex_lock(&health->lock);
    for (i = 0; i < servers->count; i++) {
        const struct row *row = find(health, servers->server[i].name);

        if (row == NULL || !row->down)
            out[i] = (struct policy_health_entry){POLICY_UP, INT64_MAX};
        else if (row->probing) /* if this probe fails, the next one is at least so far away */
            out[i] = (struct policy_health_entry){POLICY_DOWN, now_ms + row->interval_ms};
        else if (row->probe_ms <= monotonic_ms)
            out[i] = (struct policy_health_entry){POLICY_PROBE, now_ms};
        else
            out[i] =
                (struct policy_health_entry){POLICY_DOWN, now_ms + row->probe_ms - monotonic_ms};
    }
    pthread_mutex_unlock(&health->lock);
}

/* Under the lock. */
static bool is_proven(const struct health *health, const struct row *row, int64_t now_ms)
{
    return row->spoken_ms != 0 && now_ms - row->spoken_ms < health->times.proof_ms;
}

/* Under the lock. One that is being asked whether it speaks has room when the answer is there. */
static bool has_room(const struct health *health, const struct row *row)
{
    if (row->connections >= row->limit)
        return false;
    return row->silent == 0 || is_proven(health, row, clock_monotonic_ms());
}

enum health_grant health_acquire(struct health *health, const struct server *server,
                                 struct health_hold *out)
{
    enum health_grant grant = HEALTH_GO;
    struct row *row;

    *out = (struct health_hold){.probe = false};
    pthread_mutex_lock(&health->lock);
    row = find_or_add(health, server->name);
    if (row != NULL) {
        if (row->down && (row->probing || row->probe_ms > clock_monotonic_ms()))
            grant = HEALTH_TAKEN;
        else if (!has_room(health, row))
            grant = HEALTH_FULL;
    }
    if (row != NULL && grant == HEALTH_GO) {
        row->connections++;
        row->silent++;
        row->probing = out->probe = row->down;
    }
    pthread_mutex_unlock(&health->lock);
    return grant;
}

bool health_greeted(struct health *health, const char *name, struct health_hold *hold)
{
    struct row *row;
    bool opened = false;

    if (hold->greeted)
        return false;
    hold->greeted = true;
    pthread_mutex_lock(&health->lock);
    row = find(health, name);
    if (row != NULL) {
        opened = !is_proven(health, row, clock_monotonic_ms());
        row->silent -= row->silent > 0;
        row->spoken_ms = clock_monotonic_ms();
    }
    pthread_mutex_unlock(&health->lock);
    return opened;
}

/* Under the lock. */
static void mark_down(struct health *health, struct row *row, bool probe, const char *reason)
{
    int64_t now_ms = clock_monotonic_ms();

    row->spoken_ms = 0;
    if (!row->down) {
        row->down = true;
        row->since_ms = now_ms;
        row->interval_ms = health->times.first_ms;
    } else if (probe) {
        row->interval_ms *= 2;
        if (row->interval_ms > health->times.most_ms)
            row->interval_ms = health->times.most_ms;
    } else {
        return; /* one that began before it was known: nothing new */
    }
    row->probe_ms = now_ms + row->interval_ms;
    text_copy(row->reason, sizeof row->reason, reason);
}

bool health_release(struct health *health, const char *name, const struct health_hold *hold,
                    enum health_verdict verdict, const char *reason)
{
    bool was_down = false;
    bool is_down = false;
    struct row *row;

    pthread_mutex_lock(&health->lock);
    row = find(health, name);
    if (row != NULL) {
        was_down = row->down;
        row->connections -= row->connections > 0;
        row->silent -= !hold->greeted && row->silent > 0;
        if (hold->probe)
            row->probing = false;
        if (verdict == HEALTH_WORKED) {
            row->down = false;
            row->spoken_ms = clock_monotonic_ms();
        } else if (verdict == HEALTH_BROKEN) {
            mark_down(health, row, hold->probe, reason);
        }
        is_down = row->down;
    }
    pthread_mutex_unlock(&health->lock);
    if (!was_down && is_down)
        log_warning("server is down server=%s reason=%s", name, LOG_ESCAPED(reason));
    if (was_down && !is_down)
        log_info("server is back server=%s", name);
    return was_down && !is_down;
}

bool health_has_room(struct health *health, const char *name)
{
    const struct row *row;
    bool room;

    pthread_mutex_lock(&health->lock);
    row = find(health, name);
    room = row == NULL || has_room(health, row);
    pthread_mutex_unlock(&health->lock);
    return room;
}

bool health_status(struct health *health, const char *name, int64_t now_ms,
                   struct health_status *out)
{
    int64_t monotonic_ms = clock_monotonic_ms();
    const struct row *row;

    pthread_mutex_lock(&health->lock);
    row = find(health, name);
    if (row != NULL) {
        *out = (struct health_status){
            .up = !row->down, .probing = row->probing, .connections = row->connections};
        if (row->down) {
            out->down_since_ms = now_ms - (monotonic_ms - row->since_ms);
            out->next_probe_ms = now_ms + (row->probe_ms - monotonic_ms);
            text_copy(out->reason, sizeof out->reason, row->reason);
        }
    }
    pthread_mutex_unlock(&health->lock);
    return row != NULL;
}
