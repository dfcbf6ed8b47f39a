/* SPDX-License-Identifier: MIT */
/*
 * class2_prepare.c - the list of commands, and what is tried instead of one that was refused.
 */
#include "fax/modem/class2_prepare.h"

#include <stdio.h>
#include <string.h>

enum {
    STEP_RECEIVE = 1, /* +FCR=1: the default is not to receive */
    STEP_STATION,
    STEP_OFFER, /* +FDCC=? */
    STEP_WISH,  /* +FDCC=… */
    STEP_BIT_ORDER,
    STEP_REPORTS, /* +FNR: without it T.32 modems say nothing of the sender */
    STEP_ATA,
    WISHES = 3,
};

/* A name is sent between quotes. `digits`: only what T.30 table 3 has, for modems that take no
 * other. */
static void take_station(char out[CLASS2_STATION_MAX], const char *station, bool digits)
{
    size_t n = 0;

    for (; *station != '\0' && n < CLASS2_STATION_MAX - 1; station++)
        if (digits ? strchr("+0123456789 ", *station) != NULL
                   : *station >= ' ' && *station < 0x7f && *station != '"' && *station != ';')
            out[n++] = *station;
    out[n] = '\0';
}

void class2_prepare_init(struct class2_prepare *prepare, enum modem_class class,
                         const char *station, bool ecm)
{
    *prepare = (struct class2_prepare){.class = class, .ecm = ecm};
    take_station(prepare->station, station != NULL ? station : "", false);
}

static void set(char out[CLASS2_COMMAND_MAX], const struct class2_prepare *prepare,
                enum class2_word word, const char *value)
{
    snprintf(out, CLASS2_COMMAND_MAX, "AT%s=%s", class2_name(word, prepare->class), value);
}

/* What the modem is to offer to senders; the more it refuses, the less. */
static void set_wish(char out[CLASS2_COMMAND_MAX], const struct class2_prepare *prepare)
{
    char wish[CLASS2_WISH_MAX] = "1,3,0,2,0,0,0,0";

    if (prepare->tries < WISHES - 1)
        class2_wish(wish, prepare->has_offer ? &prepare->offer : NULL, prepare->class,
                    prepare->ecm && prepare->tries == 0);
    set(out, prepare, CLASS2_CAPABILITIES, wish);
}

bool class2_prepare_next(struct class2_prepare *prepare, char out[CLASS2_COMMAND_MAX])
{
    char quoted[CLASS2_STATION_MAX + 2];

    if (prepare->tries == 0)
        prepare->step++;
    if (prepare->step == STEP_STATION && prepare->station[0] == '\0') {
        prepare->tries = 0;
        prepare->step++;
    }
    if (prepare->step == STEP_REPORTS && prepare->class < MODEM_CLASS_2_0)
        prepare->step++;
    switch (prepare->step) {
    case STEP_RECEIVE: snprintf(out, CLASS2_COMMAND_MAX, "AT+FCR=1"); return true;
    case STEP_STATION:
        snprintf(quoted, sizeof quoted, "\"%s\"", prepare->station);
        set(out, prepare, CLASS2_OWN_STATION, quoted);
        return true;
    case STEP_OFFER: set(out, prepare, CLASS2_CAPABILITIES, "?"); return true;
    case STEP_WISH: set_wish(out, prepare); return true;
    case STEP_BIT_ORDER: set(out, prepare, CLASS2_BIT_ORDER, "0"); return true;
    case STEP_REPORTS: snprintf(out, CLASS2_COMMAND_MAX, "AT+FNR=1,1,1,0"); return true;
    case STEP_ATA: snprintf(out, CLASS2_COMMAND_MAX, "ATA"); return true;
    default: return false;
    }
}

/* Is there something else to try in the place of the command that was refused? */
static bool tries_again(struct class2_prepare *prepare)
{
    prepare->tries++;
    if (prepare->step == STEP_STATION && prepare->tries == 1) {
        take_station(prepare->station, prepare->station, true);
        return true;
    }
    return prepare->step == STEP_WISH && prepare->tries < WISHES;
}

bool class2_prepare_line(struct class2_prepare *prepare, const char *line)
{
    const char *arguments;

    switch (class2_word_of(line, &arguments)) {
    case CLASS2_ERROR:
        if (!tries_again(prepare))
            prepare->tries = 0;
        return true;
    case CLASS2_OK: prepare->tries = 0; return true;
    default:
        if (prepare->step == STEP_OFFER && class2_offer_read(&prepare->offer, line))
            prepare->has_offer = true;
        return false;
    }
}
