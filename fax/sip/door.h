/* SPDX-License-Identifier: MIT */
/*
 * door.h - between the network and the SIP library: who comes in, and what.
 *
 * The library has no place where one could say no: it accepts every connection, keeps it as long as
 * it likes, and reads whatever comes before anybody is asked. So door.c defines accept(), recv()
 * and recvfrom(), which the library takes from the program before it takes them from libc. On the
 * thread of a door they let in
 *   - of datagrams, those that are whole SIP messages of a source that may ask;
 *   - of connections, as many as may be at once, in all and of one source;
 *   - of what comes by them, whole messages.
 * On other threads, and for other sockets, they are what they always were.
 *
 * A door belongs to one thread, the one that opened it.
 */
#ifndef FAXPOST_FAX_DOOR_H
#define FAXPOST_FAX_DOOR_H

#include <stdbool.h>
#include <stdint.h>

#include "fax/net.h"
#include "fax/sip/sources.h"

struct door;

enum {
    DOOR_SILENT_S = 30,    /* a connection has so long for its first message */
    DOOR_UNFINISHED_S = 10 /* and a message so long from its first octet to its last */
};

struct door_limits {
    int connections_max, connections_per_source; /* 0: no limit of its own */
};

/* What turned somebody away, in words for the log; dropped: how often since it was told last. */
struct door_event {
    const char *what; /* a literal */
    struct net_address source;
    uint64_t count;
};

struct door_handlers {
    void *user;
    /* One more request, or connection. False: it is too much. */
    bool (*may_ask)(void *user, const struct net_address *source, enum source_way way);
    /* Has this source been a caller before? Then others go first when there is no room. */
    bool (*is_known)(void *user, const struct net_address *source);
    /* Somebody was turned away; at most once in DOOR_TELL_MS for each `what`. */
    void (*turned_away)(void *user, const struct door_event *event);
};

enum { DOOR_TELL_MS = 10000 };

/* ERROR_MEMORY; ERROR_STATE: the library does not ask us, or this thread has a door. */
int door_open(struct door **out, const struct door_handlers *handlers);
void door_close(struct door *door);

void door_set_limits(struct door *door, const struct door_limits *limits);

/* SIP is spoken on this address from now on, or not any more; each as often as the other. */
int door_add(struct door *door, const struct net_address *address);
void door_remove(struct door *door, const struct net_address *address);

/* Once a second: connections that are late are ended, and what has to be told is told. */
void door_look(struct door *door, int64_t now_ms);

#endif
