/* SPDX-License-Identifier: MIT */
/*
 * class2_front.h - what front_class2.c (the front end) and class2_states.c (the talk with the
 * modem) share. Nobody else includes it.
 */
#ifndef FAXPOST_FAX_CLASS2_FRONT_H
#define FAXPOST_FAX_CLASS2_FRONT_H

#include "fax/at_stream.h"
#include "fax/class2_caller.h"
#include "fax/class2_prepare.h"
#include "fax/class2_words.h"
#include "fax/front.h"

enum class2_state {
    CLASS2_PREPARING,  /* commands before the call is answered, one at a time */
    CLASS2_ANSWERING,  /* ATA: reports of the sender, then OK */
    CLASS2_WAITING,    /* AT+FDR: CONNECT and a page, or the end */
    CLASS2_PAGE,       /* image data */
    CLASS2_AFTER,      /* reports about the page, OK; the core's answer */
    CLASS2_OVERRIDING, /* AT+FPTS=n: another answer than the modem would give */
    CLASS2_REFUSING,   /* AT+FPTS=2, then AT+FK */
    CLASS2_STOPPING,   /* CAN, then AT+FK */
    CLASS2_KILLING,    /* AT+FK: until the modem has hung up */
    CLASS2_OVER,
};

struct front_class2 {
    struct front base;
    struct at_stream stream;
    struct class2_caller caller;
    enum modem_class class;
    uint8_t page_start;
    enum class2_state state;
    int left_ms; /* until the state's deadline */
    bool begun;
    struct class2_prepare prepare;
    int lost; /* commands of it without an answer, one after the other */

    /* what the modem said of the sender */
    bool is_fax;
    bool asked; /* AT+FDCS? was sent */
    char sender[CLASS2_STATION_MAX], subaddress[CLASS2_STATION_MAX];
    struct class2_parameters parameters;
    bool has_parameters;
    bool training_due; /* the core has not been told */

    /* the page */
    bool is_partial; /* one more piece of the same page follows */
    bool ended;      /* DLE ETX and the reports were seen, the command is given */
    bool has_result; /* and the OK or ERROR behind them */
    bool was_bad;    /* ERROR: the modem would answer RTN */
    int status;      /* +FPTS, what the modem would answer */
    int fdr_count;   /* AT+FDR for the same page */
    bool ok_alone;   /* that got no more than an OK */
    size_t octets;
};

/* ---- front_class2.c → class2_states.c -------------------------------------------------------- */

/* The call came: the first command. */
void class2_start(struct front_class2 *front);

/* Hooks of the stream; user: the front end. */
void class2_line(void *user, const char *line);
void class2_data(void *user, const uint8_t *octets, size_t length);
void class2_data_end(void *user);

/* The modem is told to refuse what there is and to end the call; responding until that is done. */
void class2_refuse(struct front_class2 *front);

/* Time passes: the core's answer is told to the modem, or a state took too long. */
void class2_pass_time(struct front_class2 *front, int elapsed_ms);

#endif
