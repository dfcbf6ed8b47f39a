/* SPDX-License-Identifier: MIT */
/*
 * door.c - accept(), recv() and recvfrom() as the SIP library finds them.
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
#include "fax/sip/framing.h"

enum {
    ADDRESSES_MAX = 1024,
    DROPS_MOST = 32,        /* datagrams dropped before the library's loop goes on */
    QUEUE_OCTETS = 1 << 20, /* wished for: what waits in a SIP socket while we are busy */
    BUSY_MS = 5000,         /* a connection heard within this time is in use */
    EMPTY_LINES_MOST = 4,   /* CR LF CR LF: each is answered */
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

static const char *const turned_words[TURNED_COUNT] = {
    [TURNED_NO_SIP] = "what is no SIP message is dropped",
    [TURNED_SOURCE_FULL] = "connections refused: [limits] connections_per_source",
    [TURNED_FULL] = "connections refused: [limits] connections",
    [TURNED_SILENT] = "connections ended that brought no message",
    [TURNED_UNFINISHED] = "connections ended in the middle of a message",
    [TURNED_PUSHED_OUT] = "idle connections ended, others come: [limits] connections",
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
    struct net_address addresses[ADDRESSES_MAX];
    int address_count;
    struct slot *slots; /* by descriptor */
    int slot_count;
    int reserve; /* a descriptor to accept with when there is none left; -1: none */
    struct turned_count turned[TURNED_COUNT];
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

static void turn_away(struct door *door, enum turned what, const struct net_address *source)
{
    struct turned_count *turned = &door->turned[what];

    if (turned->count++ == 0)
        turned->source = *source;
    tell(door, what, clock_monotonic_ms());
}

/* ---- sockets -----------------------------------------------------------------------------------
 */

static ino_t inode_of(int fd)
{
    struct stat about;

    return fstat(fd, &about) == 0 ? about.st_ino : 0;
}

static void slot_clear(struct slot *slot)
{
    free(slot->held);
    *slot = (struct slot){.inode = 0};
}

static int slots_grow(struct door *door, int fd)
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
    ino_t inode = fd < 0 ? 0 : inode_of(fd);
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

static ssize_t plain_receive(int fd, void *buffer, size_t size, int *flags,
                             struct sockaddr *address, socklen_t *length)
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
    return length == 0 || (length <= EMPTY_LINES_MOST &&
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
    turn_away(door, TURNED_NO_SIP, source);
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

/* ---- connections -------------------------------------------------------------------------------
 */

struct census {
    int all, of_source;
    struct slot *silent; /* the oldest that brought no message */
    struct slot *idle;   /* of those that did, of newcomers: longest unheard */
    int silent_fd, idle_fd;
};

static void census_take(struct door *door, struct census *census, int fd,
                        const struct net_address *source)
{
    struct slot *slot = &door->slots[fd];

    if (slot->kind != SOCKET_STREAM || slot->is_ended)
        return;
    if (inode_of(fd) != slot->inode) {
        slot_clear(slot);
        return;
    }
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
    turn_away(door, TURNED_PUSHED_OUT, &victim->source);
    connection_end(victim, fd);
    return true;
}

static bool takes_connection(struct door *door, const struct net_address *source)
{
    const struct door_limits *limits = &door->limits;
    struct census census = {.all = 0};

    if (!door->handlers.may_ask(door->handlers.user, source, SOURCE_BY_CONNECTION))
        return false;
    for (int fd = 0; fd < door->slot_count; fd++)
        census_take(door, &census, fd, source);
    if (limits->connections_per_source > 0 && census.of_source >= limits->connections_per_source) {
        turn_away(door, TURNED_SOURCE_FULL, source);
        return false;
    }
    if (limits->connections_max <= 0 || census.all < limits->connections_max ||
        make_room(door, &census, source, clock_monotonic_ms()))
        return true;
    turn_away(door, TURNED_FULL, source);
    return false;
}

static void connection_begin(struct door *door, int fd, const struct net_address *source)
{
    struct slot *slot;

    if (slots_grow(door, fd) != 0)
        return; /* it is unwatched: the library has limits of its own */
    slot = &door->slots[fd];
    slot_clear(slot);
    slot->inode = inode_of(fd);
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

static int connection_accept(struct door *door, int fd, struct sockaddr *address, socklen_t *length)
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
            turn_away(door, TURNED_NO_SIP, &slot->source);
            return rc;
        }
        if (rc == 0)
            break;
        if (octets[done] == '\r' || octets[done] == '\n') {
            int kept = rc < EMPTY_LINES_MOST ? rc : EMPTY_LINES_MOST;

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

static ssize_t stream_receive(struct door *door, struct slot *slot, int fd, uint8_t *buffer,
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
    return stream_receive(here, slot, fd, buffer, size);
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
    if (door->address_count == ADDRESSES_MAX)
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

static void connection_look(struct door *door, int fd, int64_t now_ms)
{
    struct slot *slot = &door->slots[fd];
    bool is_late = slot->held_length > 0 && now_ms - slot->begun_ms > DOOR_UNFINISHED_S * 1000;
    bool is_silent = !slot->has_spoken && now_ms - slot->since_ms > DOOR_SILENT_S * 1000;

    if (slot->kind != SOCKET_STREAM || slot->is_ended || (!is_late && !is_silent))
        return;
    if (inode_of(fd) != slot->inode) {
        slot_clear(slot);
        return;
    }
    turn_away(door, is_late ? TURNED_UNFINISHED : TURNED_SILENT, &slot->source);
    connection_end(slot, fd);
}

void door_look(struct door *door, int64_t now_ms)
{
    for (int fd = 0; fd < door->slot_count; fd++)
        connection_look(door, fd, now_ms);
    for (int what = 0; what < TURNED_COUNT; what++)
        tell(door, (enum turned)what, now_ms);
}
