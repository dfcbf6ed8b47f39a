/* SPDX-License-Identifier: MIT */
/*
 * modem_models.h - the table of known modems: what each needs, beyond what it says of itself.
 *
 * The table that comes with faxpost (etc/modems.ini) is built in; modems.ini beside faxpost.ini
 * adds models, and replaces those of the same name. Never changes after it was read; whoever keeps
 * one across a reload holds a reference.
 */
#ifndef FAXPOST_FAX_MODEM_MODELS_H
#define FAXPOST_FAX_MODEM_MODELS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/conf.h"
#include "fax/modem/serial.h"
#include "fax/t30/modem_traits.h"

enum {
    MODEM_COMMAND_MAX = 64,  /* one command with NUL, without AT */
    MODEM_COMMANDS_MAX = 16, /* in one list */
    MODEM_CLASS_WISHES = 5,  /* classes in order of preference */
};

enum modem_tri { MODEM_ASK, MODEM_YES, MODEM_NO }; /* ASK: the modem itself says */

/* Texts belong to the table. Command lists are divided by '|'; NULL: not said, the generic way. */
struct modem_model {
    const char *name;        /* [model NAME]; "generic" for a modem that nobody knows */
    const char *text;        /* for people; never NULL */
    const char *usb;         /* list of VVVV:PPPP, or NULL */
    const char *match;       /* list of [QUERY:]PATTERN, or NULL */
    const char *init;        /* list of commands */
    const char *flow[3];     /* command for each enum serial_flow */
    const char *caller_id;   /* command; "none": it has none */
    const char *reset;       /* Z */
    int reset_wait_ms;       /* after its OK */
    int command_pause_ms;    /* between two commands of the set-up */
    int hang_up_wait_ms;     /* after a call, until it takes commands again */
    int speed;               /* of the port that it needs; 0: any */
    bool has_dtr;            /* DTR off hangs up */
    enum modem_tri frs, fts; /* +FRS, +FTS may be used */
    enum modem_tri far;
    int pause_ms;
    int connect_tries, frm_tries;
    enum modem_class classes[MODEM_CLASS_WISHES]; /* in order of preference; AUTO ends the list */
    enum modem_bit_order bit_order;
    unsigned char page_start;
    const char *note; /* what people should know, or NULL */
};

struct modem_models;

/* conf: modems.ini as read with conf_keys_modems, or NULL. Problems that the table of keys does not
 * see are told (the handler may be NULL) and give ERROR_CONFIG. ERROR_MEMORY. conf is copied. */
int modem_models_read(struct modem_models **out, const struct conf *conf,
                      conf_problem_handler *problem, void *user);

/* References; from any thread. */
struct modem_models *modem_models_ref(struct modem_models *models);
void modem_models_unref(struct modem_models *models);

/* The i-th, the administrator's first; NULL at the end. */
const struct modem_model *modem_models_at(const struct modem_models *models, size_t i);

/* The one for modems that match none. Never NULL. */
const struct modem_model *modem_models_generic(const struct modem_models *models);

/* The one with this USB id ("0572:1329"), or NULL. */
const struct modem_model *modem_models_by_usb(const struct modem_models *models, const char *usb);

/* An answer of a modem to a query: {"I3", "CX93001-EIS_V0.2002-V92"}. */
struct modem_answer {
    const char *query; /* "I0" … "I7", "+FMI", "+FMM", "+FMR", "+FMFR", "+FMDL", "+FREV", "+GMM" */
    const char *line;
};

/* The one whose pattern says most of any of the answers, the administrator's before those that were
 * shipped; or NULL. */
const struct modem_model *modem_models_by_answers(const struct modem_models *models,
                                                  const struct modem_answer *answers, size_t count);

/* Takes the next command of a list divided by '|'; *rest moves on. False at the end. */
bool modem_command_next(const char **rest, char out[MODEM_COMMAND_MAX]);

/* NULL when a list of commands may be sent to a modem, else what is wrong with it. */
const char *modem_commands_fault(const char *list);

/* "1", "1.0", "2", "2.0", "2.1", "auto" */
const char *modem_class_text(enum modem_class class);
bool modem_class_parse(enum modem_class *out, const char *text);

#endif
