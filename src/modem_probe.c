/* SPDX-License-Identifier: MIT */
/*
 * modem_probe.c - the set-up of fax/modem/modem_setup.h with a real port and the real clock.
 */
#include "src/modem_probe.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

enum { PIECE = 512, OUT_MAX = 1024 };

struct run {
    struct modem_probe *probe;
    int fd;
    int64_t begin_ms;
    size_t out_length;
    uint8_t out[OUT_MAX]; /* not taken by the port yet */
    bool is_gone;
};

static volatile sig_atomic_t is_interrupted;

static void interrupted(int number)
{
    (void)number;
    is_interrupted = 1;
}

/* ---- hooks ---------------------------------------------------------------------------------- */

static void write_out(struct run *run)
{
    ssize_t n = write(run->fd, run->out, run->out_length);

    if (n < 0 && serial_error_is_gone(errno))
        run->is_gone = true;
    if (n <= 0)
        return;
    run->out_length -= (size_t)n;
    memmove(run->out, run->out + n, run->out_length);
}

/* What a port does not take (CTS is off) is not worth keeping beyond some commands. */
static void send_octets(void *user, const uint8_t *octets, size_t length)
{
    struct run *run = user;

    if (length > sizeof run->out - run->out_length)
        run->out_length = 0;
    memcpy(run->out + run->out_length, octets, length);
    run->out_length += length;
    write_out(run);
}

static void trace(void *user, const char *direction, const char *text)
{
    struct run *run = user;

    if (run->probe->trace != NULL)
        run->probe->trace(clock_monotonic_ms() - run->begin_ms, direction, text);
}

static void set_dtr(void *user, bool on)
{
    struct run *run = user;

    trace(user, "!", on ? "DTR on" : "DTR off");
    if (!on)
        serial_flush(run->fd);
    serial_set_dtr(run->fd, on);
}

static void set_speed(void *user, int speed)
{
    struct run *run = user;
    struct serial_settings settings = run->probe->port;
    char why[SERIAL_WHY_MAX];
    char text[40];

    snprintf(text, sizeof text, "the port at %d", speed);
    trace(user, "!", text);
    settings.speed = speed;
    run->out_length = 0;
    if (serial_setup(run->fd, &settings, why, sizeof why) < 0)
        trace(user, "!", why);
}

/* ---- the loop ------------------------------------------------------------------------------- */

static void read_in(struct run *run)
{
    uint8_t piece[PIECE];
    ssize_t n = read(run->fd, piece, sizeof piece);

    if (n > 0)
        modem_setup_octets(run->probe->setup, piece, (size_t)n, clock_monotonic_ms());
    else if (n == 0 || serial_error_is_gone(errno))
        run->is_gone = true;
}

static void wait_for_it(struct run *run)
{
    struct pollfd port = {.fd = run->fd, .events = POLLIN};
    int64_t wait_ms = modem_setup_due_ms(run->probe->setup) - clock_monotonic_ms();

    if (run->out_length > 0)
        port.events |= POLLOUT;
    if (poll(&port, 1, wait_ms < 0 ? 0 : wait_ms > 1000 ? 1000 : (int)wait_ms) <= 0)
        return;
    if ((port.revents & POLLIN) != 0)
        read_in(run);
    else if (serial_poll_is_gone(port.revents))
        run->is_gone = true;
    if ((port.revents & POLLOUT) != 0)
        write_out(run);
}

static int run_setup(struct run *run, char *why, size_t why_size)
{
    struct modem_setup *setup = run->probe->setup;
    enum modem_setup_state state;

    modem_setup_begin(setup, false, clock_monotonic_ms());
    while ((state = modem_setup_step(setup, clock_monotonic_ms())) == MODEM_SETUP_BUSY &&
           !run->is_gone && is_interrupted == 0)
        wait_for_it(run);
    if (is_interrupted != 0) {
        text_copy(why, why_size, "interrupted");
        return ERROR_STATE;
    }
    if (run->is_gone) {
        text_copy(why, why_size, "the port is gone: was the modem pulled out?");
        return ERROR_CLOSED;
    }
    if (state == MODEM_SETUP_READY)
        return 0;
    snprintf(why, why_size, "the modem %s", modem_setup_found(setup)->problem);
    return ERROR_TIMEOUT;
}

static int run_port(struct modem_probe *probe, char *why, size_t why_size)
{
    struct run run = {.probe = probe, .begin_ms = clock_monotonic_ms()};
    const struct modem_setup_hooks hooks = {.user = &run,
                                            .send_octets = send_octets,
                                            .trace = trace,
                                            .set_dtr = set_dtr,
                                            .set_speed = set_speed};
    int error = serial_open(&run.fd, probe->device, &probe->port, why, why_size);

    if (error < 0)
        return error;
    text_copy(probe->port_note, sizeof probe->port_note, why);
    probe->wish.speed = probe->port.speed;
    probe->wish.flow = probe->port.flow;
    error = modem_setup_new(&probe->setup, probe->models, &probe->wish,
                            probe->usb_id[0] != '\0' ? probe->usb_id : NULL, &hooks);
    if (error < 0)
        text_copy(why, why_size, error_text(error));
    else
        error = run_setup(&run, why, why_size);
    serial_close(run.fd);
    return error;
}

int modem_probe_run(struct modem_probe *probe, char *why, size_t why_size)
{
    const struct sigaction stop = {.sa_handler = interrupted};
    char lock[SERIAL_PATH_MAX] = "";
    int error;

    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGHUP, &stop, NULL);
    error = serial_lock(lock, probe->device, probe->lock_dir, why, why_size);
    if (error < 0)
        return error;
    if (!serial_usb_id(probe->usb_id, probe->device, NULL))
        probe->usb_id[0] = '\0';
    error = run_port(probe, why, why_size);
    serial_unlock(lock);
    return error;
}
