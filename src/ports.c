/* SPDX-License-Identifier: MIT */
/*
 * ports.c - who holds the lock of which port.
 */
#include "src/ports.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

int ports_open(struct ports *ports, const struct settings *settings, const char *line,
               char usb_id[SERIAL_USB_ID_MAX], char why[SERIAL_WHY_MAX])
{
    const struct conf *conf = settings->file[SETTINGS_FAXPOST];
    const char *device = conf_text(conf, "line", line, "device"); /* NULL: no such modem line */
    struct serial_settings port;
    char lock[SERIAL_PATH_MAX];
    int fd;
    int error;

    usb_id[0] = '\0';
    ports_close(ports, line); /* whoever asks again has lost it */
    if (device == NULL || ports->count == MODEM_LINES_MAX) {
        text_copy(why, SERIAL_WHY_MAX, "the settings have no such modem line");
        return ERROR_NOT_FOUND;
    }
    port.speed = (int)conf_number(conf, "line", line, "speed");
    port.flow = (enum serial_flow)conf_choice(conf, "line", line, "flow");
    error = serial_lock(lock, device, conf_text(conf, "gateway", NULL, "lock_dir"), why,
                        SERIAL_WHY_MAX);
    if (error < 0)
        return error;
    error = serial_open(&fd, device, &port, why, SERIAL_WHY_MAX);
    if (error < 0) {
        serial_unlock(lock);
        return error;
    }
    (void)serial_usb_id(usb_id, device, NULL);
    text_copy(ports->held[ports->count].line, CALL_NAME_MAX, line);
    text_copy(ports->held[ports->count].lock, SERIAL_PATH_MAX, lock);
    ports->count++;
    return fd;
}

void ports_close(struct ports *ports, const char *line)
{
    for (size_t i = 0; i < ports->count; i++) {
        if (strcmp(ports->held[i].line, line) != 0)
            continue;
        serial_unlock(ports->held[i].lock);
        ports->held[i] = ports->held[--ports->count];
        return;
    }
}

void ports_close_all(struct ports *ports)
{
    while (ports->count > 0)
        serial_unlock(ports->held[--ports->count].lock);
}
