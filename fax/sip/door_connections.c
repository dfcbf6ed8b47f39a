/* SPDX-License-Identifier: MIT */
/*
 * door_connections.c - which connections the SIP library gets, and what it reads of them.
 *
 * Of a message that is not whole the door keeps the octets, so the library never has one in hands
 * that it would read anew with each octet more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"
#include "fax/sip/door_internal.h"
#include "fax/sip/framing.h"

enum {
    BUSY_MS = 5000, /* a connection heard within this time is in use */
    SWEEP_MS = 50,  /* not more often is it asked which connections are still there */
};

/* ---- how many -------------------------------------------------------------------------------
 */

struct census {
    int all, of_source;
    struct slot *silent; /* the oldest that brought no message */
    struct slot *idle;   /* of those that did, of newcomers: longest unheard */
    int silent_fd, idle_fd;
};

static void census_add(const struct door *door, struct census *census, int fd,
                       const struct net_address *source)
{
    struct slot *slot = &door->slots[fd];

    if (slot->kind != SOCKET_STREAM || slot->is_ended)
        return;
    census->all++;
    census->of_source += sources_same(&slot->source, source);
    if (!slot->has_spoken) {
        if (census->silent == NULL || slot->since_ms < census->silent->since_ms) {
            census->silent = slot;
            census->silent_fd = fd;
        }
    } else if (!door->handlers.is_known(door->handlers.user, &slot->source) &&
               (census->idle == NULL || slot->since_ms < census->idle->since_ms)) {
        census->idle = slot;
        census->idle_fd = fd;
    }
}

/* The library sees its end at its next look. */
static void connection_end(struct slot *slot, int fd)
{
    slot->is_ended = true;
    (void)shutdown(fd, SHUT_RDWR);
}

/* All places are taken: who said nothing goes first, then who has been idle longest. */
static bool make_room(struct door *door, const struct census *census,
                      const struct net_address *source, int64_t now_ms)
{
    struct slot *victim = census->silent;
    int fd = census->silent_fd;

    if (victim == NULL && census->idle != NULL &&
        (now_ms - census->idle->since_ms > BUSY_MS ||
         door->handlers.is_known(door->handlers.user, source))) {
        victim = census->idle;
        fd = census->idle_fd;
    }
    if (victim == NULL)
        return false;
    door_turn_away(door, TURNED_PUSHED_OUT, &victim->source);
    connection_end(victim, fd);
    return true;
}

static void census_take(const struct door *door, struct census *census,
                        const struct net_address *source)
{
    *census = (struct census){.all = 0};
    for (int fd = 0; fd < door->slot_count; fd++)
        census_add(door, census, fd, source);
}

/* Forgets connections that the library has closed. */
static bool sweep(struct door *door)
{
    int64_t now_ms = clock_monotonic_ms();

    if (now_ms - door->swept_ms < SWEEP_MS)
        return false;
    door->swept_ms = now_ms;
    for (int fd = 0; fd < door->slot_count; fd++)
        if (door->slots[fd].kind == SOCKET_STREAM && socket_inode(fd) != door->slots[fd].inode)
            slot_clear(&door->slots[fd]);
    return true;
}

static bool is_full(const struct door *door, const struct census *census)
{
    const struct door_limits *limits = &door->limits;

    return (limits->connections_max > 0 && census->all >= limits->connections_max) ||
           (limits->connections_per_source > 0 &&
            census->of_source >= limits->connections_per_source);
}

static bool takes_connection(struct door *door, const struct net_address *source)
{
    const struct door_limits *limits = &door->limits;
    struct census census;

    if (!door->handlers.may_ask(door->handlers.user, source, SOURCE_BY_CONNECTION))
        return false;
    census_take(door, &census, source);
    if (is_full(door, &census) && sweep(door))
        census_take(door, &census, source);
    if (limits->connections_per_source > 0 && census.of_source >= limits->connections_per_source) {
        door_turn_away(door, TURNED_SOURCE_FULL, source);
        return false;
    }
    if (limits->connections_max <= 0 || census.all < limits->connections_max ||
        make_room(door, &census, source, clock_monotonic_ms()))
        return true;
    door_turn_away(door, TURNED_FULL, source);
    return false;
}

static void connection_begin(struct door *door, int fd, const struct net_address *source)
{
    struct slot *slot;

    if (slots_grow(door, fd) != 0)
        return; /* it is unwatched: the library has limits of its own */
    slot = &door->slots[fd];
    slot_clear(slot);
    slot->inode = socket_inode(fd);
    slot->kind = SOCKET_STREAM;
    slot->source = *source;
    slot->since_ms = clock_monotonic_ms();
}

/* Without a descriptor to spare the connection would wait, and wake the library, for ever. */
static void refuse_for_want(struct door *door, int fd)
{
    int refused;

    if (door->reserve < 0)
        return;
    close(door->reserve);
    refused = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (refused >= 0)
        close(refused);
    door->reserve = thread_wake_new();
}

int connection_accept(struct door *door, int fd, struct sockaddr *address, socklen_t *length)
{
    struct linger at_once = {1, 0};
    struct net_address source;
    int taken = accept4(fd, address, length, SOCK_CLOEXEC);
    int error = errno;

    if (taken < 0) {
        if (error == EMFILE || error == ENFILE)
            refuse_for_want(door, fd);
        errno = error;
        return -1;
    }
    if (net_from_sockaddr(&source, address) == 0 && takes_connection(door, &source)) {
        connection_begin(door, taken, &source);
        return taken;
    }
    (void)setsockopt(taken, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(taken);
    errno = EAGAIN;
    return -1;
}

/* ---- what comes by a connection ----------------------------------------------------------------
 */

/* How many of the octets are whole messages, at most that many lines of them empty; or an error:
 * the connection is to be closed. */
static int whole_messages(struct door *door, struct slot *slot, uint8_t *octets, size_t *length)
{
    size_t done = 0;

    while (done < *length) {
        int rc = frame_stream(octets + done, *length - done);

        if (rc < 0) {
            door_turn_away(door, TURNED_NO_SIP, &slot->source);
            return rc;
        }
        if (rc == 0)
            break;
        if (octets[done] == '\r' || octets[done] == '\n') {
            int kept = rc < DOOR_EMPTY_LINES_MOST ? rc : DOOR_EMPTY_LINES_MOST;

            memmove(octets + done + kept, octets + done + rc, *length - done - (size_t)rc);
            *length -= (size_t)(rc - kept);
            rc = kept;
        } else if (door->handlers.may_ask(door->handlers.user, &slot->source,
                                          SOURCE_BY_CONNECTION)) {
            slot->has_spoken = true;
            slot->since_ms = clock_monotonic_ms();
        } else {
            return ERROR_LIMIT;
        }
        done += (size_t)rc;
    }
    return (int)done;
}

static int hold(struct slot *slot, const uint8_t *octets, size_t length, bool is_new)
{
    if (length == 0) {
        free(slot->held);
        slot->held = NULL;
    } else if (slot->held == NULL) {
        slot->held = malloc(FRAME_MAX);
        if (slot->held == NULL)
            return ERROR_MEMORY;
        is_new = true;
    }
    if (length > 0)
        memcpy(slot->held, octets, length);
    if (length > 0 && is_new)
        slot->begun_ms = clock_monotonic_ms();
    slot->held_length = length;
    return 0;
}

ssize_t connection_receive(struct door *door, struct slot *slot, int fd, uint8_t *buffer,
                           size_t size)
{
    size_t length = slot->held_length;
    int flags = MSG_DONTWAIT;
    ssize_t n;
    int whole;

    if (size > FRAME_MAX)
        size = FRAME_MAX;
    if (size <= length) {
        errno = EINVAL;
        return -1;
    }
    memcpy(buffer, slot->held != NULL ? slot->held : buffer, length);
    n = plain_receive(fd, buffer + length, size - length, &flags, NULL, NULL);
    if (n <= 0)
        return n;
    length += (size_t)n;
    whole = slot->is_ended ? ERROR_STATE : whole_messages(door, slot, buffer, &length);
    if (whole < 0 || hold(slot, buffer + whole, length - (size_t)whole, whole > 0) != 0)
        return 0; /* as if it had been closed: the library closes it too */
    if (whole > 0)
        return whole;
    errno = EAGAIN;
    return -1;
}

void connection_look(struct door *door, int fd, int64_t now_ms)
{
    struct slot *slot = &door->slots[fd];
    bool is_late = slot->held_length > 0 && now_ms - slot->begun_ms > DOOR_UNFINISHED_S * 1000;
    bool is_silent = !slot->has_spoken && now_ms - slot->since_ms > DOOR_SILENT_S * 1000;

    if (slot->kind != SOCKET_STREAM || slot->is_ended || (!is_late && !is_silent))
        return;
    if (socket_inode(fd) != slot->inode) {
        slot_clear(slot);
        return;
    }
    door_turn_away(door, is_late ? TURNED_UNFINISHED : TURNED_SILENT, &slot->source);
    connection_end(slot, fd);
}
