/* SPDX-License-Identifier: MIT */
/*
 * net.c - IP addresses and lists of networks.
 */
#include "fax/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"

struct net_block {
    sa_family_t family;
    unsigned bits;
    uint8_t octets[16];
};

/* ---- one address -------------------------------------------------------------------------------
 */

static const uint8_t *net_octets(const struct net_address *address, size_t *out_length)
{
    if (address->u.any.sa_family == AF_INET6) {
        *out_length = 16;
        return address->u.v6.sin6_addr.s6_addr;
    }
    *out_length = 4;
    return (const uint8_t *)&address->u.v4.sin_addr;
}

static void net_set_v4(struct net_address *out, const void *octets, in_port_t port)
{
    memset(out, 0, sizeof *out);
    out->u.v4.sin_family = AF_INET;
    out->u.v4.sin_port = port;
    memcpy(&out->u.v4.sin_addr, octets, 4);
}

int net_from_sockaddr(struct net_address *out, const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;

        net_set_v4(out, &v4->sin_addr, v4->sin_port);
        return 0;
    }
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;

        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
            net_set_v4(out, v6->sin6_addr.s6_addr + 12, v6->sin6_port);
            return 0;
        }
        memset(out, 0, sizeof *out);
        out->u.v6 = *v6;
        return 0;
    }
    return ERROR_FORMAT;
}

int net_parse(struct net_address *out, const char *ip, unsigned port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    if (port > 65535)
        return ERROR_FORMAT;
    v4.sin_port = v6.sin6_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, ip, &v4.sin_addr) == 1)
        return net_from_sockaddr(out, (struct sockaddr *)&v4);
    if (inet_pton(AF_INET6, ip, &v6.sin6_addr) == 1)
        return net_from_sockaddr(out, (struct sockaddr *)&v6);
    return ERROR_FORMAT;
}

int net_parse_pair(struct net_address *out, const char *text)
{
    char host[NET_TEXT_MAX];
    const char *colon = strrchr(text, ':');
    const char *begin = text;
    const char *end = colon;
    int64_t port;

    if (colon == NULL || text_number(&port, colon + 1) != 0 || port < 0 || port > 65535)
        return ERROR_FORMAT;
    if (*text == '[') {
        if (colon - text < 2 || colon[-1] != ']')
            return ERROR_FORMAT;
        begin++;
        end--;
    } else if (memchr(text, ':', (size_t)(colon - text)) != NULL) {
        return ERROR_FORMAT; /* v6 without brackets: which colon is the port's? */
    }
    if ((size_t)(end - begin) >= sizeof host)
        return ERROR_FORMAT;
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = '\0';
    return net_parse(out, host, (unsigned)port);
}

socklen_t net_length(const struct net_address *address)
{
    return address->u.any.sa_family == AF_INET6 ? sizeof address->u.v6 : sizeof address->u.v4;
}

unsigned net_port(const struct net_address *address)
{
    return ntohs(address->u.any.sa_family == AF_INET6 ? address->u.v6.sin6_port
                                                      : address->u.v4.sin_port);
}

void net_set_port(struct net_address *address, unsigned port)
{
    if (address->u.any.sa_family == AF_INET6)
        address->u.v6.sin6_port = htons((uint16_t)port);
    else
        address->u.v4.sin_port = htons((uint16_t)port);
}

bool net_is_any(const struct net_address *address)
{
    static const uint8_t zero[16];
    size_t length;
    const uint8_t *octets = net_octets(address, &length);

    return memcmp(octets, zero, length) == 0;
}

bool net_same_host(const struct net_address *a, const struct net_address *b)
{
    size_t length_a;
    size_t length_b;
    const uint8_t *octets_a = net_octets(a, &length_a);
    const uint8_t *octets_b = net_octets(b, &length_b);

    return length_a == length_b && memcmp(octets_a, octets_b, length_a) == 0;
}

bool net_equal(const struct net_address *a, const struct net_address *b)
{
    return net_same_host(a, b) && net_port(a) == net_port(b);
}

bool net_is_private(const struct net_address *address)
{
    size_t length;
    const uint8_t *o = net_octets(address, &length);

    if (net_is_any(address))
        return true;
    if (length == 4)
        return o[0] == 10 || (o[0] == 172 && (o[1] & 0xf0) == 16) || (o[0] == 192 && o[1] == 168) ||
               (o[0] == 100 && (o[1] & 0xc0) == 64) || (o[0] == 169 && o[1] == 254);
    return (o[0] & 0xfe) == 0xfc || (o[0] == 0xfe && (o[1] & 0xc0) == 0x80);
}

bool net_is_loopback(const struct net_address *address)
{
    size_t length;
    const uint8_t *o = net_octets(address, &length);

    return length == 4 ? o[0] == 127 : IN6_IS_ADDR_LOOPBACK(&address->u.v6.sin6_addr) != 0;
}

bool net_is_group(const struct net_address *address)
{
    size_t length;
    const uint8_t *o = net_octets(address, &length);

    if (length == 4)
        return (o[0] & 0xf0) == 224 || (o[0] & o[1] & o[2] & o[3]) == 255;
    return o[0] == 0xff;
}

char *net_host_text(char out[NET_TEXT_MAX], const struct net_address *address)
{
    size_t length;
    const uint8_t *octets = net_octets(address, &length);

    if (inet_ntop(length == 4 ? AF_INET : AF_INET6, octets, out, NET_TEXT_MAX) == NULL)
        text_copy(out, NET_TEXT_MAX, "?");
    return out;
}

char *net_text(char out[NET_TEXT_MAX], const struct net_address *address)
{
    char host[NET_TEXT_MAX];
    bool v6 = address->u.any.sa_family == AF_INET6;

    net_host_text(host, address);
    snprintf(out, NET_TEXT_MAX, v6 ? "[%.46s]:%u" : "%.46s:%u", host, net_port(address));
    return out;
}

int net_local_towards(struct net_address *out, const struct net_address *peer)
{
    struct sockaddr_storage local;
    socklen_t length = sizeof local;
    int rc = ERROR_IO;
    int fd = socket(peer->u.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return error_from_errno(errno);
    /* Connecting a UDP socket sends nothing, it only looks up the route. */
    if (connect(fd, &peer->u.any, net_length(peer)) == 0 &&
        getsockname(fd, (struct sockaddr *)&local, &length) == 0)
        rc = net_from_sockaddr(out, (struct sockaddr *)&local);
    if (rc == 0)
        net_set_port(out, 0);
    close(fd);
    return rc;
}

/* ---- networks ----------------------------------------------------------------------------------
 */

static int net_block_parse(struct net_block *out, char *text)
{
    struct net_address address;
    char *slash = strchr(text, '/');
    int64_t bits = -1;
    size_t length;
    const uint8_t *octets;

    if (slash != NULL) {
        *slash = '\0';
        if (text_number(&bits, slash + 1) != 0 || bits < 0)
            return ERROR_FORMAT;
    }
    if (net_parse(&address, text, 0) != 0)
        return ERROR_FORMAT;
    octets = net_octets(&address, &length);
    if (bits > (int64_t)length * 8)
        return ERROR_FORMAT;
    memset(out, 0, sizeof *out);
    out->family = address.u.any.sa_family;
    out->bits = bits < 0 ? (unsigned)length * 8 : (unsigned)bits;
    memcpy(out->octets, octets, length);
    return 0;
}

int net_list_parse(struct net_list *out, const char *text)
{
    struct net_list list = {NULL, 0};
    const char *rest = text;
    char item[NET_TEXT_MAX];
    int rc = 0;

    list.blocks = calloc(NET_BLOCKS_MAX, sizeof *list.blocks);
    if (list.blocks == NULL)
        return ERROR_MEMORY;
    while (rc == 0 && text_list_next(&rest, item, sizeof item)) {
        if (list.count == NET_BLOCKS_MAX)
            rc = ERROR_LIMIT;
        else
            rc = net_block_parse(&list.blocks[list.count++], item);
    }
    if (rc != 0)
        net_list_free(&list);
    else
        *out = list;
    return rc;
}

int net_list_copy(struct net_list *out, const struct net_list *from)
{
    struct net_block *blocks = calloc(from->count + 1, sizeof *blocks);

    if (blocks == NULL)
        return ERROR_MEMORY;
    memcpy(blocks, from->blocks, from->count * sizeof *blocks);
    out->blocks = blocks;
    out->count = from->count;
    return 0;
}

void net_list_free(struct net_list *list)
{
    if (list == NULL)
        return;
    free(list->blocks);
    list->blocks = NULL;
    list->count = 0;
}

static bool net_block_holds(const struct net_block *block, const uint8_t *octets)
{
    unsigned whole = block->bits / 8;
    unsigned rest = block->bits % 8;
    uint8_t mask = (uint8_t)(0xff00 >> rest);

    if (memcmp(block->octets, octets, whole) != 0)
        return false;
    return rest == 0 || (block->octets[whole] & mask) == (octets[whole] & mask);
}

bool net_list_holds(const struct net_list *list, const struct net_address *address)
{
    size_t length;
    const uint8_t *octets = net_octets(address, &length);

    for (size_t i = 0; i < list->count; i++)
        if (list->blocks[i].family == address->u.any.sa_family &&
            net_block_holds(&list->blocks[i], octets))
            return true;
    return false;
}
