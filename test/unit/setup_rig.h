/* SPDX-License-Identifier: MIT */
/*
 * setup_rig.h - modems as modems.md tells of them, played by a script on virtual time, and their
 * set-up.
 */
#ifndef FAXPOST_TEST_SETUP_RIG_H
#define FAXPOST_TEST_SETUP_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fax/modem/modem_setup.h"

enum { SETUP_QUEUE_MAX = 64, SETUP_ROWS_MAX = 28, SETUP_LOG_SIZE = 16384 };

/* Command without AT ('*' stands for any text); lines of its answer divided by '|', NULL: none. */
struct setup_row {
    const char *command, *answer;
};

struct setup_traits {
    int delay_ms; /* of each answer */
    int speed;    /* at which it understands; 0: any */
    bool dead, echoes, twice, noisy;
    bool quiet;           /* Q1 until Q0 */
    bool numeric;         /* V0 until V1 */
    const char *stuck_in; /* octets that get it out of its data state: "\x10\x03", "+++" */
    bool needs_dtr;       /* hangs until DTR was off */
    int dies_after;       /* commands; 0: never */
    int rings_every;      /* puts a RING before every n-th answer */
};

/* ATI0 is answered by this. */
#define SAYS(i0)                                                                                   \
    {                                                                                              \
        "I0", i0 "|OK"                                                                             \
    }

struct modem {
    const struct setup_row *rows;
    struct setup_traits traits;
    int64_t now_ms;
    struct {
        int64_t due_ms;
        char text[400];
    } queue[SETUP_QUEUE_MAX];
    int queued;
    char command[200];
    size_t length;
    char tail[8]; /* last octets, for stuck_in */
    bool is_stuck, is_quiet, is_numeric, hangs;
    int port_speed, commands;
    char log[SETUP_LOG_SIZE];   /* commands that came, a line each */
    char trace[SETUP_LOG_SIZE]; /* what the set-up said of it */
    char rings[400];
};

/* The table of models as it is shipped: for cmocka's group of tests. */
extern struct modem_models *setup_models;
int setup_rig_open(void **state);
int setup_rig_close(void **state);

/* For free(). rows: in what it differs from a usual one, ended by a command of NULL; or NULL. */
struct modem *modem_new(const struct setup_row *rows, const struct setup_traits *traits);
/* With the models above. */
struct modem_setup *setup_for(struct modem *m, const struct modem_wish *wish, const char *usb);

/* Runs a set-up to its end; time goes from event to event. */
enum modem_setup_state setup_run(struct modem *m, struct modem_setup *setup, bool quick);

/* Words divided by '|' stand in this order in text; a word with '!' before is not in it at all.
 * The first that is not so, or NULL. */
const char *missing_word(const char *text, const char *words);

#endif
