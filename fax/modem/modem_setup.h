/* SPDX-License-Identifier: MIT */
/*
 * modem_setup.h - makes a modem ready for calls, and finds out what it is: a state machine on the
 * caller's time, without any I/O of its own.
 *
 * Full form: wake it up (also out of a data state, or at another speed), reset it, ask what it is
 * and what it can, choose a class, set flow control and caller ID. Quick form, after a call: only
 * what modems forget. A modem that does not answer to the quick form gets the full one.
 *
 * One thread at a time. Hooks are called from within modem_setup_octets() and modem_setup_step().
 */
#ifndef FAXPOST_FAX_MODEM_SETUP_H
#define FAXPOST_FAX_MODEM_SETUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fax/modem/modem_models.h"
#include "fax/modem/serial.h"
#include "fax/t30/modem_traits.h"

struct modem_setup;

enum { MODEM_ADVICE_MAX = 16, MODEM_ADVICE_TEXT = 240, MODEM_FOUND_TEXT = 80 };

struct modem_setup_hooks {
    void *user;
    void (*send_octets)(void *user, const uint8_t *octets, size_t length);
    /* direction: "<" from the modem, ">" to it, "!" what we make of it. NULL: no trace. */
    void (*trace)(void *user, const char *direction, const char *text);
    /* DTR of the port, to get a modem out of a call. NULL: there is none. */
    void (*set_dtr)(void *user, bool on);
    /* Sets the port to another speed. NULL: it stays as it is. */
    void (*set_speed)(void *user, int speed);
    /* A line that is no answer: RING, caller ID. NULL: thrown away. */
    void (*line)(void *user, const char *line);
};

struct modem_wish {
    enum modem_class class;
    enum serial_flow flow;
    int speed;        /* of the port */
    const char *init; /* commands divided by '|', sent before the class is chosen; NULL: none */
    const char *caller_id; /* command; "none"; NULL: the model's */
};

struct modem_found {
    const struct modem_model *model; /* "generic" for an unknown one */
    char maker[MODEM_FOUND_TEXT], product[MODEM_FOUND_TEXT], firmware[MODEM_FOUND_TEXT];
    unsigned classes;                  /* 1u << enum modem_class, as it says */
    struct modem_traits traits;        /* once READY */
    int speed;                         /* of the port at which it answers */
    char flow[MODEM_COMMAND_MAX];      /* command that set it, "" */
    char caller_id[MODEM_COMMAND_MAX]; /* command that was taken; "": no caller ID */
    int advice_count;
    char advice[MODEM_ADVICE_MAX][MODEM_ADVICE_TEXT]; /* what is odd, a sentence each */
    char problem[MODEM_ADVICE_TEXT];                  /* after FAILED: what and what to do */
};

/* usb_id: "0572:1329" or NULL. models gets a reference; wish and hooks are copied. ERROR_MEMORY,
 * ERROR_FORMAT (init or caller_id cannot be sent). */
int modem_setup_new(struct modem_setup **out, struct modem_models *models,
                    const struct modem_wish *wish, const char *usb_id,
                    const struct modem_setup_hooks *hooks);
void modem_setup_free(struct modem_setup *setup);

/* Begins (again). quick is only obeyed after a full set-up that became READY. */
void modem_setup_begin(struct modem_setup *setup, bool quick, int64_t now_ms);

/* Octets from the port. */
void modem_setup_octets(struct modem_setup *setup, const uint8_t *octets, size_t length,
                        int64_t now_ms);

enum modem_setup_state { MODEM_SETUP_BUSY, MODEM_SETUP_READY, MODEM_SETUP_FAILED };

/* Time passes; to be called after octets and when modem_setup_due_ms() is reached. Ends at the
 * latest after MODEM_SETUP_MOST_MS. */
enum modem_setup_state modem_setup_step(struct modem_setup *setup, int64_t now_ms);

enum { MODEM_SETUP_MOST_MS = 240000 };

/* When there will be something to do without octets; INT64_MAX when it is over. */
int64_t modem_setup_due_ms(const struct modem_setup *setup);

/* What is known so far. Valid until the next call; never NULL. */
const struct modem_found *modem_setup_found(const struct modem_setup *setup);

#endif
