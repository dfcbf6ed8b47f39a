/* SPDX-License-Identifier: MIT */
/*
 * class2_prepare.h - the commands that a Class 2, 2.0 or 2.1 modem gets before it answers a call:
 * one at a time, each waits for its OK; most may be refused.
 *
 * What holds for all calls and classes (flow control, caller ID, +FCLASS) was set before.
 */
#ifndef FAXPOST_FAX_CLASS2_PREPARE_H
#define FAXPOST_FAX_CLASS2_PREPARE_H

#include <stdbool.h>

#include "fax/modem/class2_words.h"
#include "fax/t30/modem_traits.h"

struct class2_prepare {
    enum modem_class class;
    bool ecm;
    char station[CLASS2_STATION_MAX];
    int step;  /* of the command that was sent last, from 1 */
    int tries; /* of this step that were refused */
    bool has_offer;
    struct class2_offer offer;
};

/* station: NULL or "": the modem keeps what it has. */
void class2_prepare_init(struct class2_prepare *prepare, enum modem_class class,
                         const char *station, bool ecm);

/* The next command, with AT. False: all were sent. */
enum { CLASS2_COMMAND_MAX = 64 };
bool class2_prepare_next(struct class2_prepare *prepare, char out[CLASS2_COMMAND_MAX]);

/* A line came. True when it ends the command, so that the next one may be sent. */
bool class2_prepare_line(struct class2_prepare *prepare, const char *line);

#endif
