/* SPDX-License-Identifier: MIT */
/*
 * connect.c - non-blocking connect() with poll(); what is left of the time is shared by the
 * addresses that are left, so that one that is silent does not keep the others from being tried.
 */
#include "smtp/connect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"

static void describe(char out[CONNECT_ADDRESS_MAX], const struct sockaddr_storage *storage)
{
    char text[INET6_ADDRSTRLEN] = "?";

    if (storage->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)storage;

        inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text);
        snprintf(out, CONNECT_ADDRESS_MAX, "[%s]:%u", text, ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)storage;

        inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
        snprintf(out, CONNECT_ADDRESS_MAX, "%s:%u", text, ntohs(in->sin_port));
    }
}

static void explain(struct failure *why, enum failure_stage stage, enum failure_event event,
                    const char *words)
{
    *why = (struct failure){.stage = stage, .event = event};
    text_copy(why->text, sizeof why->text, words);
}

static void explain_errno(struct failure *why, int error)
{
    static const struct {
        int error;
        const char *words;
    } table[] = {
        {ECONNREFUSED, "connection refused"},       {ETIMEDOUT, "connection timed out"},
        {EHOSTUNREACH, "host unreachable"},         {ENETUNREACH, "network unreachable"},
        {ECONNRESET, "connection reset"},           {EACCES, "not permitted here"},
        {EADDRNOTAVAIL, "no local address for it"},
    };
    char words[100];
    size_t i;

    snprintf(words, sizeof words, "error %d", error);
    for (i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].error == error)
            text_copy(words, sizeof words, table[i].words);
    explain(why, STAGE_TCP, error == ETIMEDOUT ? EVENT_TIMEOUT : EVENT_REFUSED, words);
}

/* 0, or an errno. */
static int wait_connected(int fd, int64_t limit_ms, int stop_fd)
{
    struct pollfd fds[2] = {{.fd = fd, .events = POLLOUT}, {.fd = stop_fd, .events = POLLIN}};
    int64_t until_ms = clock_monotonic_ms() + limit_ms;
    socklen_t length = sizeof(int);
    int error = 0;
    int n;

    do {
        int64_t left_ms = until_ms - clock_monotonic_ms();

        n = poll(fds, 2, left_ms > 0 ? (int)left_ms : 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno;
    if (n == 0 || fds[0].revents == 0)
        return ETIMEDOUT;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        return errno;
    return error;
}

/* A connected socket, or a negative errno. */
static int connect_one(const struct sockaddr_storage *storage, socklen_t length, int64_t limit_ms,
                       int stop_fd)
{
    int fd = socket(storage->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error = 0;
    int one = 1;

    if (fd < 0)
        return -errno;
    /* Without it every message waits 40 ms for a delayed acknowledgement. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (const struct sockaddr *)storage, length) < 0)
        error = errno == EINPROGRESS ? wait_connected(fd, limit_ms, stop_fd) : errno;
    if (error != 0) {
        close(fd);
        return -error;
    }
    return fd;
}

static int resolve(struct resolver *resolver, const char *host, int port, int64_t limit_ms,
                   struct resolve_result *out, struct failure *why)
{
    int error = resolver_resolve(resolver, host, port, limit_ms, out);

    if (error == ERROR_NOT_FOUND)
        explain(why, STAGE_NAME, EVENT_NO_NAME, "the name does not exist");
    else if (error == ERROR_TIMEOUT)
        explain(why, STAGE_NAME, EVENT_TIMEOUT, "the resolver does not answer");
    else if (error < 0)
        explain(why, STAGE_NAME, EVENT_RESOLVER, "the name gives no address");
    return error;
}

int connect_open(struct resolver *resolver, const char *host, int port, int64_t limit_ms,
                 int stop_fd, char address[CONNECT_ADDRESS_MAX], struct failure *why)
{
    int64_t until_ms = clock_monotonic_ms() + limit_ms;
    struct resolve_result found;
    int error;
    int fd;
    int i;

    snprintf(address, CONNECT_ADDRESS_MAX, strchr(host, ':') != NULL ? "[%.50s]:%d" : "%.50s:%d",
             host, port);
    error = resolve(resolver, host, port, limit_ms, &found, why);
    if (error < 0)
        return error;
    for (i = 0; i < found.count; i++) {
        int64_t left_ms = until_ms - clock_monotonic_ms();

        if (left_ms <= 0 && i > 0)
            break;
        describe(address, &found.address[i].storage);
        fd = connect_one(&found.address[i].storage, found.address[i].length,
                         left_ms / (found.count - i), stop_fd);
        if (fd >= 0)
            return fd;
        explain_errno(why, -fd);
    }
    return why->event == EVENT_TIMEOUT ? ERROR_TIMEOUT : ERROR_CLOSED;
}
