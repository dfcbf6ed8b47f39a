/* SPDX-License-Identifier: MIT */
/*
 * agent_loop.c - libre's loop on the SIP thread: how it is woken, what stands before it, and where
 * its own words go.
 */
#include "fax/sip/agent_internal.h"

#define DEBUG_MODULE "agent" /* asked for by the next header */
#define DEBUG_LEVEL  0
#include <re_dbg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

enum { FILES_MOST = 65536, SECOND_MS = 1000 };

static void queue_handler(int id, void *data, void *arg)
{
    struct agent_loop *loop = arg;

    (void)id, (void)data;
    loop->handlers.woken(loop->handlers.user);
}

static void debug_handler(int level, const char *text, size_t length, void *arg)
{
    char line[LOG_ESCAPE_MAX];

    (void)arg;
    if (level > DBG_WARNING)
        return;
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r'))
        length--;
    if (length >= sizeof line)
        length = sizeof line - 1;
    memcpy(line, text, length);
    line[length] = '\0';
    log_debug("sip library says=%s", LOG_ESCAPED(line));
}

static ssize_t stray_write(void *cookie, const char *text, size_t length)
{
    debug_handler(DBG_WARNING, text, length, cookie);
    return (ssize_t)length;
}

/* libre writes a line to stderr for every packet that it cannot read: a stranger could fill the log
 * with them. Our own log does not go through stdio. */
static void catch_stderr(struct agent_loop *loop)
{
    cookie_io_functions_t functions = {.write = stray_write};

    loop->caught = fopencookie(NULL, "w", functions);
    if (loop->caught == NULL)
        return;
    setvbuf(loop->caught, NULL, _IOLBF, BUFSIZ);
    loop->stderr_before = stderr;
    stderr = loop->caught;
}

static void release_stderr(struct agent_loop *loop)
{
    if (loop->caught == NULL)
        return;
    stderr = loop->stderr_before;
    fclose(loop->caught);
}

/* The library must see the same struct sa as we do; compiled with other flags it has another size.
 */
static int check_layout(void)
{
    struct {
        struct sa sa;
        uint8_t guard[64];
    } probe;

    memset(&probe, 0x5a, sizeof probe);
    sa_init(&probe.sa, AF_INET6);
    for (size_t i = 0; i < sizeof probe.guard; i++)
        if (probe.guard[i] != 0x5a)
            return ERROR_LIBRARY;
    if (sa_set_str(&probe.sa, "2001:db8::1", 5060) != 0 || sa_af(&probe.sa) != AF_INET6 ||
        probe.sa.u.in6.sin6_port != htons(5060))
        return ERROR_LIBRARY;
    return 0;
}

/* Callers may name their host in Contact. Without a resolver such calls still work; only our BYE
 * and re-INVITE do not reach them. */
static void open_resolver(struct agent_loop *loop)
{
    struct sa servers[4];
    uint32_t count = 4;
    char domain[256];

    if (dns_srv_get(domain, sizeof domain, servers, &count) != 0 || count == 0 ||
        dnsc_alloc(&loop->resolver, NULL, servers, count) != 0)
        log_debug("no name servers known: Contact addresses must be numeric");
}

static void second_handler(void *arg)
{
    struct agent_loop *loop = arg;

    tmr_start(&loop->second, SECOND_MS, second_handler, loop);
    door_look(loop->door, clock_monotonic_ms());
    loop->handlers.second(loop->handlers.user);
}

static int open_door(struct agent_loop *loop)
{
    struct door_handlers handlers = loop->handlers.door;

    handlers.user = loop->handlers.user;
    return door_open(&loop->door, &handlers);
}

int agent_loop_open(struct agent_loop **out, const struct agent_loop_handlers *handlers)
{
    struct agent_loop *loop = calloc(1, sizeof *loop);
    struct rlimit files;

    if (loop == NULL)
        return ERROR_MEMORY;
    loop->handlers = *handlers;
    tmr_init(&loop->timer);
    tmr_init(&loop->second);
    dbg_init(DBG_WARNING, DBG_NONE);
    dbg_handler_set(debug_handler, NULL);
    if (libre_init() != 0)
        goto fail;
    /* libre's tables are indexed by descriptor, and the calls' sockets take numbers too. */
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur > FILES_MOST)
        files.rlim_cur = FILES_MOST;
    if (check_layout() != 0 || fd_setsize((int)files.rlim_cur) != 0 ||
        poll_method_set(METHOD_EPOLL) != 0 ||
        mqueue_alloc(&loop->queue, queue_handler, loop) != 0 || open_door(loop) != 0) {
        mem_deref(loop->queue);
        libre_close();
        goto fail;
    }
    tmr_start(&loop->second, SECOND_MS, second_handler, loop);
    open_resolver(loop);
    catch_stderr(loop);
    *out = loop;
    return 0;
fail:
    log_error("the SIP library cannot be used: is it the one this was built with?");
    free(loop);
    return ERROR_LIBRARY;
}

void agent_loop_set_limits(struct agent_loop *loop, const struct door_limits *limits)
{
    door_set_limits(loop->door, limits);
}

void agent_loop_run(struct agent_loop *loop)
{
    int err = re_main(NULL);

    (void)loop;
    if (err != 0)
        log_alert("the SIP loop ended: %s", strerror(err));
}

void agent_loop_quit(struct agent_loop *loop)
{
    (void)loop;
    re_cancel();
}

void agent_loop_wake(struct agent_loop *loop)
{
    (void)mqueue_push(loop->queue, 0, NULL);
}

static void timer_handler(void *arg)
{
    queue_handler(0, NULL, arg);
}

void agent_loop_wake_in(struct agent_loop *loop, int ms)
{
    tmr_start(&loop->timer, (uint64_t)ms, timer_handler, loop);
}

void agent_loop_close(struct agent_loop *loop)
{
    if (loop == NULL)
        return;
    tmr_cancel(&loop->timer);
    tmr_cancel(&loop->second);
    mem_deref(loop->queue);
    mem_deref(loop->resolver);
    libre_close();
    door_close(loop->door);
    dbg_handler_set(NULL, NULL);
    release_stderr(loop);
    free(loop);
}
