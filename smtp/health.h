/* SPDX-License-Identifier: MIT */
/*
 * health.h - which servers are down, who may probe them, and how many connections each has: shared
 * by all workers (spec/failover.md, "Server health").
 */
#ifndef FAXPOST_SMTP_HEALTH_H
#define FAXPOST_SMTP_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/next_step.h"
#include "policy/server.h"

enum { HEALTH_REASON_MAX = 200 };

struct health;

/* Probes come after first_ms, doubling up to most_ms (0, 0: the usual 10 s and 5 min). */
int health_new(struct health **out, int64_t first_ms, int64_t most_ms);
void health_free(struct health *health);

/* The servers from now on; those that stay keep their state. */
void health_set_servers(struct health *health, const struct server_list *servers);

/* State of each server of the list, for policy_next_step(). now_ms is the wall clock. */
void health_snapshot(struct health *health, const struct server_list *servers, int64_t now_ms,
                     struct policy_health_entry *out);

enum health_grant {
    HEALTH_GO,    /* a connection is yours; *out_probe says whether it is the probe */
    HEALTH_FULL,  /* all its connections are in use: wait for health_has_room() */
    HEALTH_TAKEN, /* down, and not to be probed now or not by you */
};
enum health_grant health_acquire(struct health *health, const struct server *server,
                                 bool *out_probe);

enum health_verdict {
    HEALTH_WORKED, /* it greeted us, and TLS and login stood */
    HEALTH_BROKEN, /* connection failure, no greeting, TLS or login failure */
    HEALTH_NEITHER,
};

/* Gives the connection back. True when the server just came back. */
bool health_release(struct health *health, const char *name, bool probe,
                    enum health_verdict verdict, const char *reason);

/* False only while all its connections are in use. */
bool health_has_room(struct health *health, const char *name);

struct health_status {
    bool up, probing;
    int connections;
    int64_t down_since_ms, next_probe_ms; /* wall clock; 0 while up */
    char reason[HEALTH_REASON_MAX];
};

/* False when there is no such server. */
bool health_status(struct health *health, const char *name, int64_t now_ms,
                   struct health_status *out);

#endif
