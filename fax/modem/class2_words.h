/* SPDX-License-Identifier: MIT */
/*
 * class2_words.h - the language of modems that speak T.30 themselves: what their reports say, and
 * the T.30 frames that say the same.
 *
 * Class 2 (the draft SP-2388-A) and Class 2.0 (T.32) have other names for the same things; modems
 * mix them, and write numbers in decimal or hexadecimal, strings with or without quotes. Whatever
 * they write is bounded and taken for what it can mean.
 */
#ifndef FAXPOST_FAX_CLASS2_WORDS_H
#define FAXPOST_FAX_CLASS2_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fax/t30/modem_traits.h"

enum class2_word {
    CLASS2_OTHER, /* an echo, RING, a report nobody needs */
    /* results (V.250, T.32) */
    CLASS2_OK,
    CLASS2_ERROR,
    CLASS2_CONNECT,
    CLASS2_GONE, /* NO CARRIER, BUSY … */
    CLASS2_DATA, /* a data call */
    CLASS2_VOICE,
    /* reports; some are the names of commands too */
    CLASS2_FAX,         /* +FCON, +FCO: a fax machine is there */
    CLASS2_SENDER,      /* +FTSI, +FTI */
    CLASS2_SUBADDRESS,  /* +FSA */
    CLASS2_PARAMETERS,  /* +FDCS, +FCS */
    CLASS2_PAGE_STATUS, /* +FPTS, +FPS */
    CLASS2_PAGE_END,    /* +FET */
    CLASS2_HANGUP,      /* +FHNG, +FHS */
    /* commands only */
    CLASS2_CAPABILITIES, /* +FDCC, +FCC */
    CLASS2_OWN_STATION,  /* +FLID, +FLI */
    CLASS2_BIT_ORDER,    /* +FBOR, +FBO */
    CLASS2_ABORT,        /* +FK, +FKS */
};

/* What a line is. *arguments gets what stands behind the name, "" for nothing. */
enum class2_word class2_word_of(const char *line, const char **arguments);

/* The name of a command in this class: "+FDCC". */
const char *class2_name(enum class2_word word, enum modem_class class);

/* The first number of a report: hexadecimal, as all that are one digit are the same in decimal.
 * -1: there is none. */
int class2_number(const char *arguments);

/* The second of the numbers of +FPTS or +FPS, the rows of the page: decimal in Class 2, hexadecimal
 * in 2.0. 0: there is none. */
int class2_page_lines(const char *arguments, enum modem_class class);

/* A station's name without quotes and surrounding blanks, cut to 20 characters. */
enum { CLASS2_STATION_MAX = 21 };
void class2_station(char out[CLASS2_STATION_MAX], const char *arguments);

/* What a hang-up code says, as words for the operator; NULL for 0, a good end. */
const char *class2_hangup_text(const char *arguments);

/* Session parameters (T.32 +FCS): VR, BR, WD, LN, DF, EC, BF, ST, JP. */
enum class2_field {
    CLASS2_VR,
    CLASS2_BR,
    CLASS2_WD,
    CLASS2_LN,
    CLASS2_DF,
    CLASS2_EC,
    CLASS2_JP = 8
};
enum { CLASS2_FIELDS = 9, CLASS2_DF_2D = 1, CLASS2_DF_T6 = 3 };

struct class2_parameters {
    unsigned value[CLASS2_FIELDS];
};

/* False when there is no number at all. Missing ones are 0. */
bool class2_parameters_read(struct class2_parameters *out, const char *arguments);
bool class2_parameters_are_same(const struct class2_parameters *a,
                                const struct class2_parameters *b);

/* What a modem offers, from the answer to +FDCC=?: for each field the values below 32 as bits.
 * False when the line is none. VR: also *out_vr_most, the largest value. */
struct class2_offer {
    uint32_t values[CLASS2_FIELDS];
    unsigned vr_most;
};
bool class2_offer_read(struct class2_offer *out, const char *line);

/* The parameters to ask for, for +FDCC=: what the T.30 core can take, within what the modem offers
 * (offer: NULL when that is not known). 1-D and 2-D only: as the core knows nothing of ECM on this
 * line, it takes no T.6. */
enum { CLASS2_WISH_MAX = 32 };
void class2_wish(char out[CLASS2_WISH_MAX], const struct class2_offer *offer,
                 enum modem_class class, bool ecm);

/* ---- the frames of a caller ----------------------------------------------------------------- */

enum { CLASS2_FRAME_MAX = 24 };

/* DCS without ECM; 0 when the core cannot take such a page: *why gets a literal. */
size_t class2_dcs(uint8_t out[CLASS2_FRAME_MAX], const struct class2_parameters *parameters,
                  const char **why);
/* TSI, SUB: 20 characters, the last one first (T.30 5.3.6.2.4). Not the final frame. */
size_t class2_ident(uint8_t out[CLASS2_FRAME_MAX], uint8_t fcf, const char *text);
enum { CLASS2_FCF_TSI = 0x43, CLASS2_FCF_SUB = 0xc3 };

/* Pixels in a row. */
int class2_width(const struct class2_parameters *parameters);

/* bit/s of BR: 2400 … 33600. */
int class2_bit_rate(const struct class2_parameters *parameters);

#endif
