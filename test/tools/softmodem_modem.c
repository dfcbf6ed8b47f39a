/* SPDX-License-Identifier: MIT */
/*
 * softmodem_modem.c - a Class 1 modem on a pty: spandsp's T.31 and what stands between it and its
 * host. A pty has no circuits: clear to send is played by not reading, data terminal ready by
 * whether somebody has the port open at a speed other than 0.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define SPANDSP_EXPOSE_INTERNAL_STRUCTURES 1 /* for S0, +VCID, a queue */
#include <spandsp.h>

#include "base/clock.h"
#include "test/tools/softmodem.h"

enum {
    READ_MAX = 512,       /* T.31 asks to stop with 1024 octets of room left */
    QUEUE_MAX = 1 << 16,  /* octets that a host may leave unread */
    STUCK_AFTER_MS = 2000 /* MODE_STUCK: ATA ends without a line */
};

struct chunk {
    struct chunk *next;
    int64_t due_ms;
    size_t length, done;
    uint8_t octets[];
};

struct queue {
    struct chunk *first, **last;
    size_t octets;
};

struct modem {
    const struct softmodem_options *options;
    int socket;
    FILE *trace;
    struct modem_hooks hooks;
    enum mode mode;
    int latency_ms;
    t31_state_t *t31;
    int master;        /* -1: unplugged */
    int slave;         /* open while the host has the port, to see what it has not read; or -1 */
    bool host_open;    /* somebody has the port open */
    bool clear;        /* to send */
    bool off_hook;     /* the host has taken the line */
    int stuck_left_ms; /* MODE_STUCK: until NO CARRIER */
    int64_t step;
    struct queue to_host, from_host;
};

/* ---- queues --------------------------------------------------------------------------------- */

static void queue_clear(struct queue *queue)
{
    while (queue->first != NULL) {
        struct chunk *chunk = queue->first;

        queue->first = chunk->next;
        free(chunk);
    }
    queue->last = &queue->first;
    queue->octets = 0;
}

static void queue_put(struct queue *queue, int64_t due_ms, const void *octets, size_t length)
{
    struct chunk *chunk;

    if (queue->octets + length > QUEUE_MAX) {
        event_say("overrun", NULL, NULL);
        return;
    }
    chunk = malloc(sizeof *chunk + length);
    if (chunk == NULL)
        abort();
    *chunk = (struct chunk){.due_ms = due_ms, .length = length};
    memcpy(chunk->octets, octets, length);
    *queue->last = chunk;
    queue->last = &chunk->next;
    queue->octets += length;
}

static void queue_drop_first(struct queue *queue)
{
    struct chunk *chunk = queue->first;

    queue->first = chunk->next;
    if (queue->first == NULL)
        queue->last = &queue->first;
    queue->octets -= chunk->length;
    free(chunk);
}

/* ---- trace ---------------------------------------------------------------------------------- */

/* "12340 1< AT+FTH=3": milliseconds of the line, socket, direction as the modem sees it. */
static void trace(struct modem *modem, char direction, const uint8_t *octets, size_t length)
{
    bool text = true, empty = true;

    if (modem->trace == NULL)
        return;
    for (size_t i = 0; i < length; i++) {
        bool end = octets[i] == '\r' || octets[i] == '\n';

        text = text && (end || (octets[i] >= 0x20 && octets[i] < 0x7f));
        empty = empty && end;
    }
    if (empty)
        return;
    fprintf(modem->trace, "%lld %d%c ", (long long)modem->step * STEP_MS, modem->socket, direction);
    for (size_t i = 0; i < length && (text || i < 24); i++)
        if (!text)
            fprintf(modem->trace, "%02x ", octets[i]);
        else if (octets[i] != '\r' && octets[i] != '\n')
            fputc(octets[i], modem->trace);
    if (!text)
        fprintf(modem->trace, "(%zu octets)", length);
    fputc('\n', modem->trace);
    fflush(modem->trace);
}

/* ---- to the host ---------------------------------------------------------------------------- */

/* What is due and finds room; nothing is kept for a host that is not there. */
static void host_write_due(struct modem *modem)
{
    struct chunk *chunk;

    while ((chunk = modem->to_host.first) != NULL && chunk->due_ms <= clock_monotonic_ms()) {
        ssize_t written;

        if (modem->master < 0 || !modem->host_open) {
            queue_drop_first(&modem->to_host);
            continue;
        }
        written = write(modem->master, chunk->octets + chunk->done, chunk->length - chunk->done);
        if (written > 0)
            chunk->done += (size_t)written;
        if (chunk->done < chunk->length)
            return;
        queue_drop_first(&modem->to_host);
    }
}

static void host_write(struct modem *modem, const void *octets, size_t length)
{
    trace(modem, '>', octets, length);
    queue_put(&modem->to_host, clock_monotonic_ms() + modem->latency_ms, octets, length);
    host_write_due(modem);
}

static void host_write_garbage(struct modem *modem)
{
    uint8_t octets[64];

    for (size_t i = 0; i < sizeof octets; i++)
        octets[i] = (uint8_t)random();
    host_write(modem, octets, sizeof octets);
}

/* ---- what T.31 calls ------------------------------------------------------------------------ */

static int on_at_output(at_state_t *at, void *user, const uint8_t *octets, size_t length)
{
    (void)at;
    host_write(user, octets, length);
    return 0;
}

static void clear_to_send(struct modem *modem, bool clear)
{
    static const uint8_t xon = 0x11, xoff = 0x13;

    if (clear != modem->clear && modem->options->xonxoff)
        host_write(modem, clear ? &xon : &xoff, 1);
    modem->clear = clear;
}

static int on_control(t31_state_t *t31, void *user, int operation, const char *number)
{
    struct modem *modem = user;

    (void)t31;
    switch (operation) {
    case AT_MODEM_CONTROL_CTS: clear_to_send(modem, number != NULL); break;
    case AT_MODEM_CONTROL_CALL:
        modem->off_hook = true;
        modem->hooks.dial(modem->hooks.user, modem->socket, number);
        break;
    case AT_MODEM_CONTROL_ANSWER:
        if (modem->mode == MODE_STUCK) {
            modem->stuck_left_ms = STUCK_AFTER_MS;
            break;
        }
        modem->off_hook = true;
        modem->hooks.answer(modem->hooks.user, modem->socket);
        break;
    case AT_MODEM_CONTROL_HANGUP:
        modem->off_hook = false;
        modem->hooks.hangup(modem->hooks.user, modem->socket);
        break;
    default: break;
    }
    return 0;
}

/* ---- the port ------------------------------------------------------------------------------- */

__attribute__((noreturn)) static void die(const char *what)
{
    fprintf(stderr, "softmodem: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* Opens and closes the other side, so that "nobody has it open" can be seen from here; what was
 * said to a host that has gone is thrown away. False when a host has left the port exclusive: on a
 * pty that outlives it. */
static bool port_touch(struct modem *modem)
{
    int slave = open(ptsname(modem->master), O_RDWR | O_NOCTTY | O_NONBLOCK);

    if (slave < 0)
        return false;
    tcflush(slave, TCIFLUSH);
    ioctl(slave, TIOCNXCL);
    close(slave);
    return true;
}

static void port_open(struct modem *modem)
{
    const char *link = modem->options->pty[modem->socket];
    struct termios settings;

    modem->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (modem->master < 0 || grantpt(modem->master) != 0 || unlockpt(modem->master) != 0 ||
        tcgetattr(modem->master, &settings) != 0)
        die("no pty");
    cfmakeraw(&settings);
    tcsetattr(modem->master, TCSANOW, &settings);
    fcntl(modem->master, F_SETFL, O_NONBLOCK);
    if (chmod(ptsname(modem->master), modem->options->pty_mode) != 0)
        die("rights of the pty");
    port_touch(modem);
    unlink(link);
    if (symlink(ptsname(modem->master), link) != 0)
        die(link);
}

void modem_plug(struct modem *modem)
{
    if (modem->master >= 0)
        return;
    port_open(modem);
    modem->t31 = t31_init(NULL, on_at_output, modem, on_control, modem, NULL, NULL);
    if (modem->t31 == NULL)
        die("T.31");
    t31_set_transmit_on_idle(modem->t31, TRUE);
    modem->clear = true;
    event_say("plugged", "device", ptsname(modem->master));
}

void modem_unplug(struct modem *modem)
{
    if (modem->master < 0)
        return;
    unlink(modem->options->pty[modem->socket]);
    close(modem->master);
    if (modem->slave >= 0)
        close(modem->slave);
    modem->master = modem->slave = -1;
    modem->host_open = modem->off_hook = false;
    queue_free(modem->t31->rx_queue); /* t31_free() of 0.0.6 leaves it */
    t31_free(modem->t31);
    modem->t31 = NULL;
    queue_clear(&modem->to_host);
    queue_clear(&modem->from_host);
    event_say("unplugged", NULL, NULL);
}

/* Has the host closed the port, or set its speed to 0, which is how a program hangs up? */
static void port_watch(struct modem *modem)
{
    struct pollfd port = {.fd = modem->master};
    struct termios settings;
    bool open_before = modem->host_open;

    if (modem->slave >= 0)
        close(modem->slave);
    modem->slave = -1;
    modem->host_open = poll(&port, 1, 0) >= 0 && (port.revents & POLLHUP) == 0;
    if (modem->host_open)
        modem->slave = open(ptsname(modem->master), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (open_before != modem->host_open) {
        event_say(modem->host_open ? "open" : "closed", NULL, NULL);
        if (!modem->host_open && !port_touch(modem)) {
            close(modem->master);
            port_open(modem);
        }
    }
    if (modem->off_hook && (!modem->host_open || (tcgetattr(modem->master, &settings) == 0 &&
                                                  cfgetospeed(&settings) == B0))) {
        modem->off_hook = false;
        modem->hooks.hangup(modem->hooks.user, modem->socket);
        modem_far_gone(modem);
    }
}

int modem_port(const struct modem *modem)
{
    return modem->host_open && modem->clear ? modem->master : -1;
}

bool modem_is_off_hook(const struct modem *modem)
{
    return modem->off_hook;
}

bool modem_host_is_behind(const struct modem *modem)
{
    int unread = 0;

    return modem->slave >= 0 && ioctl(modem->slave, FIONREAD, &unread) == 0 && unread > 0;
}

/* A modem that is not well only counts the ends of command lines. */
static void host_said(struct modem *modem, const uint8_t *octets, size_t length)
{
    trace(modem, '<', octets, length);
    if (modem->mode == MODE_WELL || modem->mode == MODE_SELF || modem->mode == MODE_STUCK) {
        t31_at_rx(modem->t31, (const char *)octets, (int)length);
        return;
    }
    for (size_t i = 0; i < length; i++)
        if (octets[i] == '\r' && modem->mode == MODE_ERROR)
            host_write(modem, "\r\nERROR\r\n", 9);
        else if (octets[i] == '\r' && modem->mode == MODE_GARBAGE)
            host_write_garbage(modem);
}

void modem_serve(struct modem *modem)
{
    uint8_t octets[READ_MAX];
    ssize_t length = 0;
    struct chunk *chunk;

    if (modem->master < 0)
        return;
    host_write_due(modem);
    while (modem->host_open && modem->clear &&
           (length = read(modem->master, octets, sizeof octets)) > 0) {
        if (modem->latency_ms == 0)
            host_said(modem, octets, (size_t)length);
        else
            queue_put(&modem->from_host, clock_monotonic_ms() + modem->latency_ms, octets,
                      (size_t)length);
    }
    while ((chunk = modem->from_host.first) != NULL && chunk->due_ms <= clock_monotonic_ms()) {
        host_said(modem, chunk->octets, chunk->length);
        queue_drop_first(&modem->from_host);
    }
}

/* ---- life ----------------------------------------------------------------------------------- */

struct modem *modem_new(const struct softmodem_options *options, int socket, FILE *trace_file,
                        const struct modem_hooks *hooks)
{
    struct modem *modem = calloc(1, sizeof *modem);

    if (modem == NULL)
        abort();
    modem->options = options;
    modem->socket = socket;
    modem->trace = trace_file;
    modem->hooks = *hooks;
    modem->mode = socket == 0 ? options->mode : MODE_WELL;
    modem->latency_ms = socket == 0 ? options->latency_ms : 0;
    modem->master = modem->slave = -1;
    queue_clear(&modem->to_host);
    queue_clear(&modem->from_host);
    modem_plug(modem);
    return modem;
}

void modem_free(struct modem *modem)
{
    if (modem == NULL)
        return;
    modem_unplug(modem);
    free(modem);
}

void modem_set_mode(struct modem *modem, enum mode mode)
{
    modem->mode = mode;
}

void modem_step(struct modem *modem, int16_t in[STEP_SAMPLES], int16_t out[STEP_SAMPLES])
{
    int made = 0;

    modem->step++;
    if (modem->master >= 0)
        port_watch(modem);
    if (modem->t31 != NULL) {
        made = t31_tx(modem->t31, out, STEP_SAMPLES);
        t31_rx(modem->t31, in, STEP_SAMPLES);
    }
    made = made < 0 ? 0 : made;
    memset(out + made, 0, (size_t)(STEP_SAMPLES - made) * sizeof out[0]);
    if (modem->t31 == NULL || modem->stuck_left_ms == 0)
        return;
    modem->stuck_left_ms -= STEP_MS;
    if (modem->stuck_left_ms == 0)
        at_put_response_code(&modem->t31->at_state, AT_RESPONSE_CODE_NO_CARRIER);
}

/* ---- what the line does --------------------------------------------------------------------- */

static bool is_sane(const struct modem *modem)
{
    return modem->t31 != NULL && modem->mode != MODE_MUTE && modem->mode != MODE_ERROR;
}

void modem_ring(struct modem *modem)
{
    if (!is_sane(modem))
        return;
    if (modem->mode == MODE_GARBAGE) {
        host_write_garbage(modem);
        return;
    }
    if (modem->mode == MODE_SELF)
        modem->t31->at_state.p.s_regs[0] = 1;
    t31_call_event(modem->t31, AT_CALL_EVENT_ALERTING);
}

/* As modems do it: between the first RING and the second, when +VCID=1 was said. */
void modem_tell_caller(struct modem *modem, const struct call_options *call)
{
    if (!is_sane(modem) || modem->mode == MODE_GARBAGE || !modem->t31->at_state.display_call_info)
        return;
    for (int i = 0; i < call->line_count; i++)
        at_put_response(&modem->t31->at_state, call->lines[i]);
}

static void call_event(struct modem *modem, int event)
{
    if (modem->t31 != NULL)
        t31_call_event(modem->t31, event);
}

void modem_far_gone(struct modem *modem)
{
    modem->off_hook = false;
    call_event(modem, AT_CALL_EVENT_HANGUP);
}

void modem_answered(struct modem *modem)
{
    call_event(modem, AT_CALL_EVENT_ANSWERED);
}

void modem_connected(struct modem *modem)
{
    call_event(modem, AT_CALL_EVENT_CONNECTED);
}

void modem_busy(struct modem *modem)
{
    modem->off_hook = false;
    call_event(modem, AT_CALL_EVENT_BUSY);
}
