/* SPDX-License-Identifier: MIT */
/*
 * modem_port.c - opening, set-up, writing, and trouble that is told once.
 */
#include "fax/modem/modem_port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

enum {
    ASK_AGAIN_MS = 30000,    /* when nobody answers for the port */
    BACKOFF_LEAST_MS = 1000, /* until a port is asked for again */
    BACKOFF_MOST_MS = 30000,
    REMIND_MS = 3600000, /* trouble that lasts is told again */
};

static int64_t now(void)
{
    return clock_monotonic_ms();
}

/* ---- the line ----------------------------------------------------------------------------------
 */

struct modem_line *modem_line_new(const struct modem_line_settings *line,
                                  const struct call_limits *limits, struct modem_models *models)
{
    struct modem_line *copy = calloc(1, sizeof *copy);

    if (copy == NULL)
        return NULL;
    if (modem_line_settings_copy(&copy->line, line) < 0) {
        free(copy);
        return NULL;
    }
    copy->limits = *limits;
    copy->models = modem_models_ref(models);
    return copy;
}

void modem_line_free(struct modem_line *line)
{
    if (line == NULL)
        return;
    modem_models_unref(line->models);
    modem_line_settings_clear(&line->line);
    free(line);
}

bool modem_line_is_same_port(const struct modem_line *a, const struct modem_line *b)
{
    const struct modem_line_settings *one = &a->line;
    const struct modem_line_settings *two = &b->line;

    return strcmp(one->device, two->device) == 0 && strcmp(one->init, two->init) == 0 &&
           strcmp(one->caller_id, two->caller_id) == 0 && one->port.speed == two->port.speed &&
           one->port.flow == two->port.flow && one->class == two->class;
}

void modem_port_trace(const struct modem_port *port, const char *direction, const char *text)
{
    if (port->line->line.trace)
        log_info("modem line=%s trace=\"%s\" %s", LOG_ESCAPED(port->name), direction,
                 LOG_ESCAPED(text));
}

/* ---- trouble -----------------------------------------------------------------------------------
 */

/* What goes on is told once an hour, not at every try. */
static void tell_trouble(struct modem_port *port, const char *why)
{
    if (strcmp(why, port->trouble) == 0 && now() - port->trouble_ms < REMIND_MS)
        return;
    text_copy(port->trouble, sizeof port->trouble, why);
    port->trouble_ms = now();
    port->revision++;
    log_error("modem line does not work line=%s device=%s: %s; it is tried again by itself",
              LOG_ESCAPED(port->name), LOG_ESCAPED(port->line->line.device), why);
}

/* Tries again in a while, which grows. */
static void retry(struct modem_port *port)
{
    if (port->backoff_ms == 0)
        port->backoff_ms = BACKOFF_LEAST_MS;
    port->due_ms = now() + port->backoff_ms;
    port->backoff_ms =
        port->backoff_ms * 2 > BACKOFF_MOST_MS ? BACKOFF_MOST_MS : port->backoff_ms * 2;
}

/* ---- opening and closing -----------------------------------------------------------------------
 */

void modem_port_ask(struct modem_port *port)
{
    port->due_ms = now() + ASK_AGAIN_MS;
    if (port->hooks->port_wanted != NULL)
        port->hooks->port_wanted(port->hooks->user, port->name);
}

void modem_port_close(struct modem_port *port)
{
    port->state = MODEM_PORT_NONE;
    port->due_ms = INT64_MAX;
    port->out_length = 0;
    port->was_ready = false;
    port->revision++;
    modem_setup_free(port->setup);
    port->setup = NULL;
    if (port->fd < 0)
        return;
    serial_close(port->fd);
    port->fd = -1;
    if (port->hooks->port_closed != NULL)
        port->hooks->port_closed(port->hooks->user, port->name);
}

void modem_port_lost(struct modem_port *port)
{
    tell_trouble(port, "the modem has gone from its port: was it unplugged, or switched off?");
    modem_port_close(port);
    port->backoff_ms = 0;
    retry(port);
}

static void fail(struct modem_port *port, const char *why)
{
    tell_trouble(port, why);
    modem_port_close(port);
    retry(port);
}

/* ---- set-up ------------------------------------------------------------------------------------
 */

static void setup_send(void *user, const uint8_t *octets, size_t length)
{
    modem_port_send(user, octets, length);
}

static void setup_trace(void *user, const char *direction, const char *text)
{
    modem_port_trace(user, direction, text);
}

static void setup_dtr(void *user, bool on)
{
    modem_port_dtr(user, on);
}

static void setup_speed(void *user, int speed)
{
    struct modem_port *port = user;
    struct serial_settings settings = port->line->line.port;
    char why[SERIAL_WHY_MAX];

    settings.speed = speed;
    if (serial_setup(port->fd, &settings, why, sizeof why) < 0)
        log_warning("port cannot be set line=%s: %s", LOG_ESCAPED(port->name), why);
}

static void setup_line(void *user, const char *text)
{
    struct modem_port *port = user;

    port->on_line(port->user, text);
}

static int setup_new(struct modem_port *port)
{
    const struct modem_line_settings *line = &port->line->line;
    struct modem_wish wish = {
        .class = line->class,
        .flow = line->port.flow,
        .speed = line->port.speed,
        .init = line->init[0] != '\0' ? line->init : NULL,
        .caller_id = line->caller_id[0] != '\0' ? line->caller_id : NULL,
    };
    struct modem_setup_hooks hooks = {.user = port,
                                      .send_octets = setup_send,
                                      .trace = setup_trace,
                                      .set_dtr = setup_dtr,
                                      .set_speed = setup_speed,
                                      .line = setup_line};

    return modem_setup_new(&port->setup, port->line->models, &wish,
                           port->usb_id[0] != '\0' ? port->usb_id : NULL, &hooks);
}

void modem_port_take(struct modem_port *port, int fd, const char *usb_id, const char *why)
{
    int error;

    if (port->state != MODEM_PORT_NONE || port->fd >= 0) {
        serial_close(fd);
        return;
    }
    if (fd < 0) {
        tell_trouble(port, why);
        retry(port);
        return;
    }
    port->fd = fd;
    text_copy(port->usb_id, sizeof port->usb_id, usb_id);
    if (why[0] != '\0' && port->trouble[0] == '\0') /* at every try it would be too often */
        log_info("modem port opened line=%s device=%s note=%s", LOG_ESCAPED(port->name),
                 LOG_ESCAPED(port->line->line.device), LOG_ESCAPED(why));
    error = setup_new(port);
    if (error < 0)
        fail(port, error_text(error));
    else
        modem_port_setup(port, false);
}

void modem_port_setup(struct modem_port *port, bool quick)
{
    modem_setup_begin(port->setup, quick, now());
    port->state = MODEM_PORT_SETUP;
    port->due_ms = now();
}

void modem_port_octets(struct modem_port *port, const uint8_t *octets, size_t length)
{
    modem_setup_octets(port->setup, octets, length, now());
    port->due_ms = now();
}

static void tell_ready(struct modem_port *port)
{
    const struct modem_found *found = modem_port_found(port);

    port->backoff_ms = 0;
    if (port->was_ready)
        return;
    port->trouble[0] = '\0';
    port->was_ready = true;
    port->revision++;
    log_info("modem ready line=%s device=%s model=%s maker=%s product=%s firmware=%s class=%s "
             "speed=%d caller_id=%s",
             LOG_ESCAPED(port->name), LOG_ESCAPED(port->line->line.device),
             LOG_ESCAPED(found->model->name), LOG_ESCAPED(found->maker),
             LOG_ESCAPED(found->product), LOG_ESCAPED(found->firmware),
             modem_class_text(found->traits.class), found->speed,
             found->caller_id[0] != '\0' ? "yes" : "no");
    for (int i = 0; i < found->advice_count; i++)
        log_warning("modem line=%s: %s", LOG_ESCAPED(port->name), found->advice[i]);
    if (found->caller_id[0] == '\0' &&
        port->line->line.allow.pattern_count + port->line->line.deny.pattern_count > 0)
        log_warning("modem line=%s: it does not tell who calls: for [line] allow and deny all "
                    "callers are " CALLER_ANONYMOUS,
                    LOG_ESCAPED(port->name));
}

bool modem_port_step(struct modem_port *port)
{
    if (now() < port->due_ms)
        return false;
    if (port->state == MODEM_PORT_NONE) {
        modem_port_ask(port);
        return false;
    }
    if (port->state == MODEM_PORT_READY)
        return false;
    switch (modem_setup_step(port->setup, now())) {
    case MODEM_SETUP_BUSY: port->due_ms = modem_setup_due_ms(port->setup); break;
    case MODEM_SETUP_FAILED: fail(port, modem_port_found(port)->problem); break;
    case MODEM_SETUP_READY:
        port->state = MODEM_PORT_READY;
        port->due_ms = INT64_MAX;
        tell_ready(port);
        return true;
    }
    return false;
}

const struct modem_found *modem_port_found(const struct modem_port *port)
{
    return modem_setup_found(port->setup);
}

/* ---- output ------------------------------------------------------------------------------------
 */

void modem_port_send(struct modem_port *port, const uint8_t *octets, size_t length)
{
    if (length > sizeof port->out - port->out_length) {
        log_warning("modem takes nothing line=%s: what it was sent is lost; is the flow control "
                    "right?",
                    LOG_ESCAPED(port->name));
        port->out_length = 0;
        return;
    }
    memcpy(port->out + port->out_length, octets, length);
    port->out_length += length;
}

void modem_port_command(struct modem_port *port, const char *command)
{
    modem_port_trace(port, ">", command);
    modem_port_send(port, (const uint8_t *)command, strlen(command));
    modem_port_send(port, (const uint8_t *)"\r", 1);
}

int modem_port_flush(struct modem_port *port)
{
    ssize_t n;

    if (port->fd < 0 || port->out_length == 0)
        return 0;
    n = write(port->fd, port->out, port->out_length);
    if (n < 0)
        return serial_error_is_gone(errno) ? ERROR_CLOSED : 0;
    port->out_length -= (size_t)n;
    memmove(port->out, port->out + n, port->out_length);
    return 0;
}

/* A port without DTR: the modem is told by ATH0 and ATZ alone. */
void modem_port_dtr(struct modem_port *port, bool on)
{
    if (port->fd >= 0)
        (void)serial_set_dtr(port->fd, on);
}
