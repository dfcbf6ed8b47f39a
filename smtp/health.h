/* SPDX-License-Identifier: MIT */
/*
 * health.h - which servers are down, who may probe them, and how many connections each has: shared
 * by all workers (spec/failover.md, "Server health").
 *
 * A server that has said nothing of late, not since the start or since it was down, is not proven:
 * one connection at a time waits for its greeting, so that one that is mute or behind a firewall
 * holds one worker and not all that are permitted. The greeting opens it for all of them at once.
 */
#ifndef FAXPOST_SMTP_HEALTH_H
#define FAXPOST_SMTP_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/next_step.h"
#include "policy/server.h"

enum { HEALTH_REASON_MAX = 200 };

struct health;

struct health_times { /* 0: the usual */
    int64_t first_ms; /* until the first probe: 10 s */
    int64_t most_ms;  /* it doubles up to this: 5 min */
    int64_t proof_ms; /* for how long a greeting is proof that it speaks: 1 min */
};

int health_new(struct health **out, const struct health_times *times);
void health_free(struct health *health);

/* The servers from now on; those that stay keep their state. */
void health_set_servers(struct health *health, const struct server_list *servers);

/* State of each server of the list, for policy_next_step(). now_ms is the wall clock. */
void health_snapshot(struct health *health, const struct server_list *servers, int64_t now_ms,
                     struct policy_health_entry *out);

enum health_grant {
    HEALTH_GO,    /* a connection is yours, and *out says what it is */
    HEALTH_FULL,  /* none is to be had now: wait for health_has_room() */
    HEALTH_TAKEN, /* down, and not to be probed now or not by you */
};

struct health_hold { /* of one connection; belongs to who has it */
    bool probe;
    bool greeted;
};

enum health_grant health_acquire(struct health *health, const struct server *server,
                                 struct health_hold *out);

/* The greeting came. True when there may be room that was not there before. */
bool health_greeted(struct health *health, const char *name, struct health_hold *hold);

enum health_verdict {
    HEALTH_WORKED, /* it greeted us, and TLS and login stood */
    HEALTH_BROKEN, /* connection failure, no greeting, TLS or login failure */
    HEALTH_NEITHER,
};

/* Gives the connection back. True when the server just came back. */
bool health_release(struct health *health, const char *name, const struct health_hold *hold,
                    enum health_verdict verdict, const char *reason);

/* False while all its connections are in use, or one is to find out whether it speaks. */
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
