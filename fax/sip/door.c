/* SPDX-License-Identifier: MIT */
/*
 * door.c - accept(), recv() and recvfrom() as the SIP library finds them, and what comes in
 * datagrams.
 *
 * A socket is known again by its number and its inode: the library closes what it likes without a
 * word, and the number then belongs to another.
 */
#include "fax/sip/door.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"
#include "fax/sip/door_internal.h"
#include "fax/sip/framing.h"

enum {
    DROPS_MOST = 32,        /* datagrams dropped before the library's loop goes on */
    QUEUE_OCTETS = 1 << 20, /* wished for: what waits in a SIP socket while we are busy */
};

static const char *const turned_words[TURNED_COUNT] = {
    [TURNED_NO_SIP] = "what is no SIP message is dropped",
    [TURNED_SOURCE_FULL] = "connections refused: [limits] connections_per_source",
    [TURNED_FULL] = "connections refused: [limits] connections",
    [TURNED_SILENT] = "connections ended that brought no message",
    [TURNED_UNFINISHED] = "connections ended in the middle of a message",
    [TURNED_PUSHED_OUT] = "idle connections ended, others come: [limits] connections",
};

static _Thread_local struct door *here;

/* ---- telling -----------------------------------------------------------------------------------
 */

static void tell(struct door *door, enum turned what, int64_t now_ms)
{
    struct turned_count *turned = &door->turned[what];
    struct door_event event = {turned_words[what], turned->source, turned->count};

    if (turned->count == 0 || (turned->told_ms != 0 && now_ms - turned->told_ms < DOOR_TELL_MS))
        return;
    turned->count = 0;
    turned->told_ms = now_ms;
    door->handlers.turned_away(door->handlers.user, &event);
}

void door_turn_away(struct door *door, enum turned what, const struct net_address *source)
{
    struct turned_count *turned = &door->turned[what];

    if (turned->count++ == 0)
        turned->source = *source;
    tell(door, what, clock_monotonic_ms());
}

/* ---- sockets -----------------------------------------------------------------------------------
 */

ino_t socket_inode(int fd)
{
    struct stat about;

    return fstat(fd, &about) == 0 ? about.st_ino : 0;
}

void slot_clear(struct slot *slot)
{
    free(slot->held);
    *slot = (struct slot){.inode = 0};
}

int slots_grow(struct door *door, int fd)
{
    int count = (fd + 64) & ~63;
    struct slot *more;

    if (fd < door->slot_count)
        return 0;
    more = realloc(door->slots, (size_t)count * sizeof *more);
    if (more == NULL)
        return ERROR_MEMORY;
    memset(more + door->slot_count, 0, (size_t)(count - door->slot_count) * sizeof *more);
    door->slots = more;
    door->slot_count = count;
    return 0;
}

static bool is_sip_datagrams(const struct door *door, int fd)
{
    struct sockaddr_storage local = {.ss_family = AF_UNSPEC};
    struct net_address address;
    socklen_t length = sizeof local;

    if (getsockname(fd, (struct sockaddr *)&local, &length) != 0 ||
        net_from_sockaddr(&address, (struct sockaddr *)&local) != 0)
        return false;
    for (int i = 0; i < door->address_count; i++)
        if (net_equal(&door->addresses[i], &address))
            return true;
    return false;
}

/* NULL: no memory, or no such descriptor. */
static struct slot *slot_of(struct door *door, int fd)
{
    ino_t inode = fd < 0 ? 0 : socket_inode(fd);
    int octets = QUEUE_OCTETS;
    struct slot *slot;

    if (inode == 0 || slots_grow(door, fd) != 0)
        return NULL;
    slot = &door->slots[fd];
    if (slot->inode == inode)
        return slot;
    slot_clear(slot);
    slot->inode = inode;
    if (is_sip_datagrams(door, fd)) {
        slot->kind = SOCKET_DATAGRAMS;
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets);
    }
    return slot;
}

ssize_t plain_receive(int fd, void *buffer, size_t size, int *flags, struct sockaddr *address,
                      socklen_t *length)
{
    struct iovec place = {buffer, size};
    struct msghdr header = {.msg_name = address,
                            .msg_namelen = length != NULL && address != NULL ? *length : 0,
                            .msg_iov = &place,
                            .msg_iovlen = 1};
    ssize_t n = recvmsg(fd, &header, *flags);

    if (n >= 0 && length != NULL && address != NULL)
        *length = header.msg_namelen;
    *flags = header.msg_flags;
    return n;
}

/* ---- datagrams ---------------------------------------------------------------------------------
 */

/* Some keep the way through a NAT open with empty datagrams. */
static bool is_empty(const uint8_t *octets, ssize_t length)
{
    return length == 0 || (length <= DOOR_EMPTY_LINES_MOST &&
                           (octets[0] == '\r' || octets[0] == '\n' || octets[0] == '\0'));
}

static bool lets_in(struct door *door, const struct net_address *source, const uint8_t *octets,
                    ssize_t length, bool is_cut)
{
    if (!door->handlers.may_ask(door->handlers.user, source, SOURCE_BY_DATAGRAM) ||
        is_empty(octets, length))
        return false;
    if (!is_cut && frame_datagram(octets, (size_t)length) > 0)
        return true;
    door_turn_away(door, TURNED_NO_SIP, source);
    return false;
}

static ssize_t datagram_receive(struct door *door, int fd, void *buffer, size_t size,
                                struct sockaddr *address, socklen_t *length)
{
    socklen_t room = *length;

    for (int i = 0; i < DROPS_MOST; i++) {
        struct net_address source;
        int flags = MSG_DONTWAIT;
        ssize_t n;

        *length = room;
        n = plain_receive(fd, buffer, size, &flags, address, length);
        if (n < 0)
            return n;
        if (net_from_sockaddr(&source, address) == 0 &&
            lets_in(door, &source, buffer, n, (flags & MSG_TRUNC) != 0))
            return n;
    }
    errno = EAGAIN;
    return -1;
}

/* ---- in the place of libc's --------------------------------------------------------------------
 */

/* By these names the library finds them: glibc's own declarations have arguments of a kind that
 * only glibc knows. */
int door_accept(int fd, struct sockaddr *address, socklen_t *length) __asm__("accept");
ssize_t door_recv(int fd, void *buffer, size_t size, int flags) __asm__("recv");
ssize_t door_recvfrom(int fd, void *buffer, size_t size, int flags, struct sockaddr *address,
                      socklen_t *length) __asm__("recvfrom");

int door_accept(int fd, struct sockaddr *address, socklen_t *length)
{
    if (here == NULL || address == NULL || length == NULL)
        return accept4(fd, address, length, 0);
    return connection_accept(here, fd, address, length);
}

ssize_t door_recv(int fd, void *buffer, size_t size, int flags)
{
    struct slot *slot = here == NULL || flags != 0 ? NULL : slot_of(here, fd);

    if (slot == NULL || slot->kind != SOCKET_STREAM)
        return plain_receive(fd, buffer, size, &flags, NULL, NULL);
    return connection_receive(here, slot, fd, buffer, size);
}

ssize_t door_recvfrom(int fd, void *buffer, size_t size, int flags, struct sockaddr *address,
                      socklen_t *length)
{
    struct slot *slot =
        here == NULL || flags != 0 || address == NULL || length == NULL ? NULL : slot_of(here, fd);

    if (slot == NULL || slot->kind != SOCKET_DATAGRAMS)
        return plain_receive(fd, buffer, size, &flags, address, length);
    return datagram_receive(here, fd, buffer, size, address, length);
}

/* ---- the door ----------------------------------------------------------------------------------
 */

int door_open(struct door **out, const struct door_handlers *handlers)
{
    struct door *door;

    /* Linked so that the library finds libc's first, it would be of no use. */
    if (here != NULL || dlsym(RTLD_DEFAULT, "recvfrom") != (void *)(uintptr_t)door_recvfrom)
        return ERROR_STATE;
    door = calloc(1, sizeof *door);
    if (door == NULL)
        return ERROR_MEMORY;
    door->handlers = *handlers;
    door->reserve = thread_wake_new();
    here = door;
    *out = door;
    return 0;
}

void door_close(struct door *door)
{
    if (door == NULL)
        return;
    here = NULL;
    for (int fd = 0; fd < door->slot_count; fd++)
        slot_clear(&door->slots[fd]);
    free(door->slots);
    if (door->reserve >= 0)
        close(door->reserve);
    free(door);
}

void door_set_limits(struct door *door, const struct door_limits *limits)
{
    door->limits = *limits;
}

int door_add(struct door *door, const struct net_address *address)
{
    if (door->address_count == DOOR_ADDRESSES_MAX)
        return ERROR_LIMIT;
    door->addresses[door->address_count++] = *address;
    return 0;
}

void door_remove(struct door *door, const struct net_address *address)
{
    for (int i = 0; i < door->address_count; i++)
        if (net_equal(&door->addresses[i], address)) {
            door->addresses[i] = door->addresses[--door->address_count];
            return;
        }
}

void door_look(struct door *door, int64_t now_ms)
{
    for (int fd = 0; fd < door->slot_count; fd++)
        connection_look(door, fd, now_ms);
    for (int what = 0; what < TURNED_COUNT; what++)
        tell(door, (enum turned)what, now_ms);
}
