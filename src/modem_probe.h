/* SPDX-License-Identifier: MIT */
/*
 * modem_probe.h - what a person would try by hand with a new modem: the port, AT, what it says of
 * itself, classes, rates. It is left set up; no call is made or taken.
 */
#ifndef FAXPOST_SRC_MODEM_PROBE_H
#define FAXPOST_SRC_MODEM_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#include "fax/modem/modem_setup.h"
#include "fax/modem/serial.h"

struct modem_probe {
    const char *device, *lock_dir;
    struct serial_settings port;
    struct modem_wish wish;
    struct modem_models *models;
    /* Each thing said, with the time since the begin. NULL: none. */
    void (*trace)(int64_t ms, const char *direction, const char *text);

    /* what came out; setup is to be freed */
    char usb_id[SERIAL_USB_ID_MAX]; /* "": not at USB */
    char port_note[SERIAL_WHY_MAX]; /* of the port, "": nothing */
    struct modem_setup *setup;      /* NULL: the port could not be had */
};

/* Locks the port, opens it, runs the set-up in real time and lets go. 0 when the modem is ready for
 * calls; else a negative error and `why`. */
int modem_probe_run(struct modem_probe *probe, char *why, size_t why_size);

#endif
