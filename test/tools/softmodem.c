/* SPDX-License-Identifier: MIT */
/*
 * softmodem.c - fax modems that nobody needs to buy: Class 1 modems on ptys in real time, with the
 * telephone line between them. softmodem --help says how.
 *
 *   softmodem --pty /tmp/desk --pty /tmp/sender        # efax -d /tmp/sender -t 5552100 page.tif
 *   softmodem --pty /tmp/desk --call 'file=letter.tif number=5551000' --once
 *
 * Here: the clock. A step of the line is 20 ms. When the tool is late, or a host has not yet read
 * what its modem said, the line's time stands still for both sides, so that a busy machine makes a
 * call longer but not worse.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "test/tools/softmodem.h"

enum { LATE_MS = 2 * STEP_MS, COMMAND_MAX = 4096, LATENCY_POLL_MS = 2 };

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

struct clock {
    const struct softmodem_options *options;
    struct exchange *exchange;
    int64_t next_ms;      /* of the next step */
    int64_t waited_ms;    /* for a host, in this step */
    int64_t stretched_ms; /* altogether */
    char command[COMMAND_MAX];
    size_t command_length;
};

/* Reads commands; false at their end. */
static bool commands_take(struct clock *clock)
{
    ssize_t length = read(STDIN_FILENO, clock->command + clock->command_length,
                          sizeof clock->command - clock->command_length);
    char *end;

    if (length <= 0)
        return length < 0 && (errno == EINTR || errno == EAGAIN);
    clock->command_length += (size_t)length;
    while ((end = memchr(clock->command, '\n', clock->command_length)) != NULL) {
        size_t used = (size_t)(end - clock->command) + 1;

        *end = '\0';
        if (!exchange_command(clock->exchange, clock->command))
            return false;
        clock->command_length -= used;
        memmove(clock->command, end + 1, clock->command_length);
    }
    return clock->command_length < sizeof clock->command;
}

/* Serves ports and commands until the time is over; false when it is to end. */
static bool serve_until(struct clock *clock, int64_t until_ms)
{
    for (;;) {
        struct pollfd wanted[3] = {{.fd = -1}, {.fd = -1}, {.fd = -1}};
        int64_t left_ms = until_ms - clock_monotonic_ms();

        for (int i = 0; i < 2; i++) {
            struct modem *modem = exchange_modem(clock->exchange, i);

            if (modem == NULL)
                continue;
            modem_serve(modem);
            wanted[i] = (struct pollfd){.fd = modem_port(modem), .events = POLLIN};
        }
        if (left_ms <= 0 || stop)
            return !stop;
        if (clock->options->latency_ms > 0 && left_ms > LATENCY_POLL_MS)
            left_ms = LATENCY_POLL_MS;
        if (clock->options->control)
            wanted[2] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
        if (poll(wanted, 3, (int)left_ms) > 0) {
            if (wanted[2].revents != 0 && !commands_take(clock))
                return false;
            for (int i = 0; i < 2; i++) /* a port that was closed is noticed in the next step */
                if ((wanted[i].revents & POLLHUP) != 0)
                    poll(NULL, 0, left_ms > 1 ? 1 : 0);
        }
    }
}

/* Is there reason to let the line stand still for a moment? */
static bool host_is_waited_for(struct clock *clock)
{
    if (!exchange_is_talking(clock->exchange) || clock->waited_ms >= clock->options->patience_ms)
        return false;
    for (int i = 0; i < 2; i++) {
        struct modem *modem = exchange_modem(clock->exchange, i);

        if (modem != NULL && modem_host_is_behind(modem))
            return true;
    }
    return false;
}

static void run(struct clock *clock)
{
    clock->next_ms = clock_monotonic_ms();
    while (serve_until(clock, clock->next_ms)) {
        int64_t late_ms = clock_monotonic_ms() - clock->next_ms;

        if (late_ms > LATE_MS) {
            clock->stretched_ms += late_ms;
            clock->next_ms += late_ms;
        }
        if (host_is_waited_for(clock)) {
            clock->next_ms++;
            clock->waited_ms++;
            clock->stretched_ms++;
            continue;
        }
        clock->waited_ms = 0;
        exchange_step(clock->exchange);
        clock->next_ms += STEP_MS;
        if (clock->options->once && exchange_calls_over(clock->exchange) > 0)
            return;
    }
}

static FILE *file_open(const char *path)
{
    FILE *file = path != NULL ? fopen(path, "w") : NULL;

    if (path != NULL && file == NULL) {
        fprintf(stderr, "softmodem: %s: %s\n", path, strerror(errno));
        exit(2);
    }
    return file;
}

int main(int argc, char **argv)
{
    struct softmodem_options options;
    struct sigaction action = {.sa_handler = on_signal};
    struct clock clock = {.options = &options};
    FILE *json, *trace;
    char stretched[24];
    int failed;

    softmodem_options_read(&options, argc, argv);
    json = file_open(options.json);
    trace = file_open(options.trace);
    signal(SIGPIPE, SIG_IGN);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    clock.exchange = exchange_new(&options, json, trace);
    if (options.call_now)
        exchange_call(clock.exchange, &options.call);
    run(&clock);
    failed = exchange_calls_failed(clock.exchange);
    exchange_free(clock.exchange);
    snprintf(stretched, sizeof stretched, "%lld", (long long)clock.stretched_ms);
    event_say("end", "stretched_ms", stretched);
    if (json != NULL)
        fclose(json);
    if (trace != NULL)
        fclose(trace);
    return options.once && failed > 0;
}
