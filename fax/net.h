/* SPDX-License-Identifier: MIT */
/*
 * net.h - IP addresses with a port, v4 and v6: read, write, compare, and lists of networks.
 *
 * A v4 address that a v6 socket shows as ::ffff:a.b.c.d is kept as v4, so that comparisons and
 * lists see one form only.
 */
#ifndef FAXPOST_FAX_NET_H
#define FAXPOST_FAX_NET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { NET_TEXT_MAX = 64 };

struct net_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } u;
};

/* An IP address as text ("192.0.2.1", "2001:db8::1") and a port. No names. ERROR_FORMAT. */
int net_parse(struct net_address *out, const char *ip, unsigned port);

/* "192.0.2.1:5060" or "[2001:db8::1]:5060". ERROR_FORMAT. */
int net_parse_pair(struct net_address *out, const char *text);

/* From what the system gave; ERROR_FORMAT for another family. */
int net_from_sockaddr(struct net_address *out, const struct sockaddr *address);

socklen_t net_length(const struct net_address *address); /* for bind() and sendto() */
unsigned net_port(const struct net_address *address);
void net_set_port(struct net_address *address, unsigned port);
bool net_is_any(const struct net_address *address); /* 0.0.0.0, :: */
bool net_equal(const struct net_address *a, const struct net_address *b);
bool net_same_host(const struct net_address *a, const struct net_address *b);

/* True for addresses that mean something only behind a NAT: RFC 1918, RFC 6598, link-local, unique
 * local (RFC 4193), and the unspecified one. Loopback is not among them. */
bool net_is_private(const struct net_address *address);

bool net_is_loopback(const struct net_address *address);
bool net_is_group(const struct net_address *address); /* multicast, 255.255.255.255 */

/* "192.0.2.1:5060", "[2001:db8::1]:5060"; without port: "192.0.2.1". Both return out. */
char *net_text(char out[NET_TEXT_MAX], const struct net_address *address);
char *net_host_text(char out[NET_TEXT_MAX], const struct net_address *address);

/* The address of ours that the system would use towards `peer`, with port 0. ERROR_IO. */
int net_local_towards(struct net_address *out, const struct net_address *peer);

enum { NET_BLOCKS_MAX = 256 };

struct net_list {
    struct net_block *blocks; /* owned */
    size_t count;
};

/* "192.0.2.0/24, 2001:db8::/32, 198.51.100.7". ERROR_FORMAT, ERROR_LIMIT, ERROR_MEMORY. */
int net_list_parse(struct net_list *out, const char *text);
int net_list_copy(struct net_list *out, const struct net_list *from);
void net_list_free(struct net_list *list);
bool net_list_holds(const struct net_list *list, const struct net_address *address);

#endif
