/* SPDX-License-Identifier: MIT */
/*
 * modem_states.h - what a modem line does: waits for its modem, hears it ring, answers, drives the
 * call, hangs up. For modem_thread.c.
 *
 *   WAITING ──modem ready──► IDLE ──RING──► OPENING ──folder──► CALL ──over──► HANGING_UP, HUNG_UP
 *      ▲                                       │ gone, no room                    │
 *      └── unplugged; set-up after a call ─────┴──► IDLE                          └──► WAITING
 *
 * A call that lives when its modem is pulled out is driven to its end without the port.
 *
 * The line's thread's alone.
 */
#ifndef FAXPOST_FAX_MODEM_STATES_H
#define FAXPOST_FAX_MODEM_STATES_H

#include "fax/modem/at_stream.h"
#include "fax/modem/modem_call.h"
#include "fax/modem/modem_port.h"
#include "fax/modem/modem_ring.h"
#include "fax/modem/modem_welcome.h"

enum modem_state {
    MODEM_WAITING,
    MODEM_IDLE,
    MODEM_OPENING,
    MODEM_CALL,
    MODEM_HANGING_UP,
    MODEM_HUNG_UP,
};

enum { MODEM_SHOWN_MAX = CALL_NAME_MAX + SERIAL_PATH_MAX + SERIAL_WHY_MAX };

struct modem_states {
    /* Constant. */
    struct call_shared *shared;
    const char *name;        /* of the line */
    struct mailbox *mailbox; /* where workers post */

    struct modem_line *line;      /* owned */
    struct modem_line *next_line; /* owned; takes effect when no call lives */
    struct modem_port port;
    enum modem_state state;
    int64_t due_ms;    /* when the state has something to do without input */
    int hang_ups;      /* ATH0 sent */
    bool is_answering; /* the modem answered to the last of them */
    struct at_stream stream;
    struct modem_ring ring;
    struct modem_call *call;
    int64_t tick_ms;   /* of the call */
    int calls_out;     /* calls that workers still speak of */
    uint32_t revision; /* of what people are shown, but for the port's part; from 1 */
    bool is_draining, is_ending;
    struct modem_told told; /* a call that is not answered */
};

/* line is the states' from here on; all else must outlive them. */
void modem_states_init(struct modem_states *states, struct call_shared *shared,
                       struct mailbox *mailbox, struct modem_line *line, const char *name);
void modem_states_free(struct modem_states *states); /* what they own */

/* Asks for the port; closes it. */
void modem_states_begin(struct modem_states *states);
void modem_states_end(struct modem_states *states);

/* The port can be read, or has gone. */
void modem_states_read(struct modem_states *states);
void modem_states_port_gone(struct modem_states *states);

void modem_states_message(struct modem_states *states, struct modem_message *message);

/* What is due, and what the modem is to be sent. */
void modem_states_step(struct modem_states *states);

/* When the next step is due; INT64_MAX: never. */
int64_t modem_states_due_ms(const struct modem_states *states);

/* Told to end, and nothing is left to do. */
bool modem_states_are_over(const struct modem_states *states);

/* Another number when modem_states_text() may say something else; not 0. */
uint32_t modem_states_revision(const struct modem_states *states);

/* As in receive_lines_text(). */
void modem_states_text(const struct modem_states *states, char out[MODEM_SHOWN_MAX]);

#endif
