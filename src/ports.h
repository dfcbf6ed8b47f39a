/* SPDX-License-Identifier: MIT */
/*
 * ports.h - the serial ports of modem lines, opened by the supervisor, which has the right to, for
 * the receive role, which has not.
 *
 * A role gets only what the settings name. The lock of a port is held while the role has it, and
 * given back when it says so or dies.
 */
#ifndef FAXPOST_SRC_PORTS_H
#define FAXPOST_SRC_PORTS_H

#include <stddef.h>

#include "fax/modem/serial.h"
#include "fax/receive_settings.h"
#include "src/settings.h"

struct ports {
    struct {
        char line[CALL_NAME_MAX];
        char lock[SERIAL_PATH_MAX];
    } held[MODEM_LINES_MAX];
    size_t count;
};

/* Locks and opens the port of a line. A descriptor, the caller's, or a negative error; why then
 * says what to do, else what is odd, or "". */
int ports_open(struct ports *ports, const struct settings *settings, const char *line,
               char usb_id[SERIAL_USB_ID_MAX], char why[SERIAL_WHY_MAX]);

/* Gives the lock of a line's port back; of all lines. */
void ports_close(struct ports *ports, const char *line);
void ports_close_all(struct ports *ports);

#endif
