/* SPDX-License-Identifier: MIT */
/*
 * modem_port.h - a modem line's port: asked for, set up until the modem is ready, and asked for
 * again when the modem has gone or does not answer.
 *
 *   NONE ──the supervisor gives it──► SETUP ──► READY
 *     ▲                                │ fails    │ gone
 *     └── back-off ────────────────────┴──────────┘
 *
 * The line's thread's alone.
 */
#ifndef FAXPOST_FAX_MODEM_PORT_H
#define FAXPOST_FAX_MODEM_PORT_H

#include "fax/call.h"
#include "fax/modem/modem_models.h"
#include "fax/modem/modem_setup.h"
#include "fax/modem/serial.h"
#include "fax/receive_settings.h"

/* What a line goes by; whoever is given a pointer to one owns it. */
struct modem_line {
    struct modem_line_settings line;
    struct call_limits limits;
    struct modem_models *models; /* a reference */
};

struct modem_line *modem_line_new(const struct modem_line_settings *line,
                                  const struct call_limits *limits, struct modem_models *models);
void modem_line_free(struct modem_line *line);

/* Whether a port that was set up by one of them is as the other wants it. */
bool modem_line_is_same_port(const struct modem_line *a, const struct modem_line *b);

enum modem_port_state { MODEM_PORT_NONE, MODEM_PORT_SETUP, MODEM_PORT_READY };
enum { MODEM_PORT_OUT_MAX = 8192 };

struct modem_port {
    /* Constant. */
    const char *name;
    const struct receive_hooks *hooks;
    void (*on_line)(void *user, const char *text); /* what a modem in set-up says besides */
    void *user;

    const struct modem_line *line; /* in force; changed by the owner while the port is NONE */
    enum modem_port_state state;
    int fd;         /* -1: none */
    int64_t due_ms; /* when modem_port_step() has something to do; INT64_MAX: never */
    char usb_id[SERIAL_USB_ID_MAX];
    struct modem_setup *setup;
    bool was_ready; /* since it was opened */
    int backoff_ms;
    char trouble[SERIAL_WHY_MAX]; /* as told last */
    int64_t trouble_ms;
    uint32_t revision; /* of what people are shown: was_ready, trouble, modem_port_found() */
    uint8_t out[MODEM_PORT_OUT_MAX];
    size_t out_length;
};

/* Asks for the port, now. */
void modem_port_ask(struct modem_port *port);

/* The answer: fd is the port's; -1: why tells. A port that was not asked for is closed. */
void modem_port_take(struct modem_port *port, int fd, const char *usb_id, const char *why);

/* Closes it, and says so to the supervisor. Not asked for again by itself. */
void modem_port_close(struct modem_port *port);

/* The modem has gone: closed, and asked for again in a while. */
void modem_port_lost(struct modem_port *port);

/* Sets the modem up (again); quick: only what modems forget. The port is there. */
void modem_port_setup(struct modem_port *port, bool quick);

/* Octets of a modem in set-up. */
void modem_port_octets(struct modem_port *port, const uint8_t *octets, size_t length);

/* What is due. True when the modem has just become ready. */
bool modem_port_step(struct modem_port *port);

/* What is known of the modem; the port is there. */
const struct modem_found *modem_port_found(const struct modem_port *port);

/* Puts octets, or a command, where modem_port_flush() takes them. */
void modem_port_send(struct modem_port *port, const uint8_t *octets, size_t length);
void modem_port_command(struct modem_port *port, const char *command);

/* Writes what the port takes. ERROR_CLOSED: the modem has gone. */
int modem_port_flush(struct modem_port *port);

/* DTR, where there is one. */
void modem_port_dtr(struct modem_port *port, bool on);

/* A line for the trace, where the settings want one. */
void modem_port_trace(const struct modem_port *port, const char *direction, const char *text);

#endif
