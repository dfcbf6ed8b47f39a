/* SPDX-License-Identifier: MIT */
/*
 * door_internal.h - what a door holds. For door.c and door_connections.c.
 */
#ifndef FAXPOST_FAX_DOOR_INTERNAL_H
#define FAXPOST_FAX_DOOR_INTERNAL_H

#include <stddef.h>
#include <sys/types.h>

#include "fax/sip/door.h"

enum {
    DOOR_ADDRESSES_MAX = 1024,
    DOOR_EMPTY_LINES_MOST = 4, /* octets: CR LF CR LF, which is answered */
};

enum turned {
    TURNED_NO_SIP,
    TURNED_SOURCE_FULL,
    TURNED_FULL,
    TURNED_SILENT,
    TURNED_UNFINISHED,
    TURNED_PUSHED_OUT,
    TURNED_COUNT,
};

enum kind { SOCKET_OTHER, SOCKET_DATAGRAMS, SOCKET_STREAM };

struct slot {
    ino_t inode; /* 0: nothing known */
    enum kind kind;

    /* Of a stream. */
    struct net_address source;
    bool has_spoken, is_ended;
    int64_t since_ms; /* accepted, or the last whole message */
    int64_t begun_ms; /* of the message that is not whole yet */
    uint8_t *held;    /* its octets so far; owned */
    size_t held_length;
};

struct turned_count {
    uint64_t count;
    struct net_address source;
    int64_t told_ms;
};

struct door {
    struct door_handlers handlers;
    struct door_limits limits;
    struct net_address addresses[DOOR_ADDRESSES_MAX];
    int address_count;
    struct slot *slots; /* by descriptor */
    int slot_count;
    int64_t swept_ms;
    int reserve; /* a descriptor to accept with when there is none left; -1: none */
    struct turned_count turned[TURNED_COUNT];
};

/* Turns somebody away, and tells of it if that was not told just now. */
void door_turn_away(struct door *door, enum turned what, const struct net_address *source);

/* ---- sockets, in door.c ------------------------------------------------------------------------
 */

ino_t socket_inode(int fd);
void slot_clear(struct slot *slot);
int slots_grow(struct door *door, int fd); /* ERROR_MEMORY */

/* recvfrom() as libc has it; flags: in and out, as of recvmsg(). */
ssize_t plain_receive(int fd, void *buffer, size_t size, int *flags, struct sockaddr *address,
                      socklen_t *length);

/* ---- connections, in door_connections.c --------------------------------------------------------
 */

/* As accept() and recv() of a socket that does not block. */
int connection_accept(struct door *door, int fd, struct sockaddr *address, socklen_t *length);
ssize_t connection_receive(struct door *door, struct slot *slot, int fd, uint8_t *buffer,
                           size_t size);

/* Ends it when it is late. */
void connection_look(struct door *door, int fd, int64_t now_ms);

#endif
