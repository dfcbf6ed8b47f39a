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

enum { FIRST_MS = 10000, MOST_MS = 300000 };

struct row {
    char name[SERVER_NAME_MAX];
    bool listed; /* among the servers now */
    bool down, probing;
    int connections, limit;
    int64_t since_ms, probe_ms, interval_ms; /* monotonic, while down */
    char reason[HEALTH_REASON_MAX];
};

struct health {
    pthread_mutex_t lock; /* all below */
    int64_t first_ms, most_ms;
    int count;
    struct row row[2 * SERVER_COUNT_MAX]; /* also removed ones that still have connections */
};

int health_new(struct health **out, int64_t first_ms, int64_t most_ms)
{
    struct health *health = calloc(1, sizeof *health);

    if (health == NULL)
        return ERROR_MEMORY;
    pthread_mutex_init(&health->lock, NULL);
    health->first_ms = first_ms > 0 ? first_ms : FIRST_MS;
    health->most_ms = most_ms > 0 ? most_ms : MOST_MS;
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

enum health_grant health_acquire(struct health *health, const struct server *server,
                                 bool *out_probe)
{
    enum health_grant grant = HEALTH_GO;
    struct row *row;

    *out_probe = false;
    pthread_mutex_lock(&health->lock);
    row = find_or_add(health, server->name);
    if (row != NULL) {
        if (row->down && (row->probing || row->probe_ms > clock_monotonic_ms()))
            grant = HEALTH_TAKEN;
        else if (row->connections >= row->limit)
            grant = HEALTH_FULL;
    }
    if (row != NULL && grant == HEALTH_GO) {
        row->connections++;
        row->probing = *out_probe = row->down;
    }
    pthread_mutex_unlock(&health->lock);
    return grant;
}

/* Under the lock. */
static void mark_down(struct health *health, struct row *row, bool probe, const char *reason)
{
    int64_t now_ms = clock_monotonic_ms();

    if (!row->down) {
        row->down = true;
        row->since_ms = now_ms;
        row->interval_ms = health->first_ms;
    } else if (probe) {
        row->interval_ms *= 2;
        if (row->interval_ms > health->most_ms)
            row->interval_ms = health->most_ms;
    } else {
        return; /* one that began before it was known: nothing new */
    }
    row->probe_ms = now_ms + row->interval_ms;
    text_copy(row->reason, sizeof row->reason, reason);
}

bool health_release(struct health *health, const char *name, bool probe,
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
        if (probe)
            row->probing = false;
        if (verdict == HEALTH_WORKED)
            row->down = false;
        else if (verdict == HEALTH_BROKEN)
            mark_down(health, row, probe, reason);
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
    room = row == NULL || row->connections < row->limit;
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
