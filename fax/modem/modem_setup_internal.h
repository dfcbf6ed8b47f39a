/* SPDX-License-Identifier: MIT */
/*
 * modem_setup_internal.h - what modem_setup.c (commands, answers, time) and modem_phases.c (what to
 * say, in which order) share. Nobody else includes it.
 */
#ifndef FAXPOST_FAX_MODEM_SETUP_INTERNAL_H
#define FAXPOST_FAX_MODEM_SETUP_INTERNAL_H

#include "fax/modem/at_stream.h"
#include "fax/modem/modem_ring.h"
#include "fax/modem/modem_setup.h"

enum {
    ANSWER_MS = 3000,    /* of a command that does little; some modems take two seconds */
    RESET_MS = 30000,    /* of ATZ */
    GRACE_MS = 300,      /* after an OK to a question without an answer: one of a command before */
    QUIET_MS = 1000,     /* after a command without answer: what comes now is late */
    ANSWERS_MAX = 40,    /* lines in all */
    ANSWER_LINES_MAX = 4 /* of one question */
};

enum setup_event {
    EVENT_ENTER,   /* the phase begins */
    EVENT_OK,      /* to the last command */
    EVENT_ERROR,   /* likewise */
    EVENT_SILENCE, /* no answer in time */
    EVENT_WAITED,
};

enum phase_result {
    PHASE_GOES_ON, /* it sent a command, or waits, or failed */
    PHASE_DONE,
    PHASE_CHOOSE, /* back to where a class is chosen: the next one */
    PHASE_FULL,   /* the quick form does not do: the full one */
};

typedef enum phase_result phase(struct modem_setup *setup, enum setup_event event);

enum setup_wait { WAIT_NOT, WAIT_ANSWER, WAIT_PAUSE, WAIT_QUIET, WAIT_RESYNC };

struct modem_setup {
    struct modem_models *models;
    struct modem_wish wish; /* texts: the two below */
    char *init, *caller_id; /* owned */
    char usb_id[SERIAL_USB_ID_MAX];
    struct modem_setup_hooks hooks;
    struct at_stream stream;
    struct modem_found found;
    enum modem_setup_state state;
    bool was_ready; /* found is that of a full set-up */

    /* time */
    int64_t now_ms, began_ms, due_ms;
    enum setup_wait wait;
    enum setup_event pending; /* to be told after WAIT_PAUSE */
    bool may_be_silent;       /* the phase deals with silence itself */
    bool has_ok;              /* within GRACE_MS */
    int resyncs;              /* tries in a row */

    /* the last command */
    char command[MODEM_COMMAND_MAX + 4];
    int line_count;
    char line[ANSWER_LINES_MAX][MODEM_FOUND_TEXT];
    int commands, errors;         /* in all */
    size_t octets_in, answers_in; /* since the begin: is there anybody? */
    size_t echo_at;               /* how much of the command came back */
    bool echo_in;

    /* where it is: of a phase, 0 at its begin */
    phase *const *phases;
    int at;
    int step;
    int tries;
    const char *rest;                         /* of a list of commands */
    const char *flow_taken, *caller_id_taken; /* lists; NULL: none */

    /* what was asked */
    int answer_count;
    struct modem_answer answer[ANSWERS_MAX];
    char answer_text[ANSWERS_MAX][MODEM_FOUND_TEXT];
    bool class_asked; /* it said which classes it has */
    enum modem_class candidate[MODEM_CLASS_WISHES + 1];
    int candidate_count, candidate_at;
};

/* Ended by NULL. */
extern phase *const modem_phases_full[];
extern phase *const modem_phases_quick[];

/* In modem_class.c, in their order. */
phase modem_phase_classes, modem_phase_choose, modem_phase_choose_again, modem_phase_rates,
    modem_phase_silences, modem_phase_far, modem_phase_adaptive, modem_phase_flow,
    modem_phase_caller_id, modem_phase_verify;

/* Sends AT and the command, and waits for its answer; `silence` of it is told to the phase, else
 * the modem is called again first. */
void setup_command(struct modem_setup *setup, const char *command, int limit_ms, bool silence);

/* Sends octets as they are and waits: an answer comes as EVENT_OK or EVENT_ERROR. */
void setup_raw(struct modem_setup *setup, const char *octets, size_t length, int limit_ms);

/* Lets time pass: EVENT_WAITED. */
void setup_wait_ms(struct modem_setup *setup, int wait_ms);

void setup_trace(struct modem_setup *setup, const char *direction, const char *text);

/* Adds a sentence for people, once. */
void setup_advise(struct modem_setup *setup, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Ends it. */
void setup_fail(struct modem_setup *setup, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
