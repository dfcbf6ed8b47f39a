/* SPDX-License-Identifier: MIT */
/*
 * modem_traits.h - what a front end has to know of the modem it drives: found out when the port was
 * opened, from the modem's own answers, the table of models and the line's settings.
 */
#ifndef FAXPOST_FAX_MODEM_TRAITS_H
#define FAXPOST_FAX_MODEM_TRAITS_H

#include <stdbool.h>
#include <stdint.h>

enum modem_class {
    MODEM_CLASS_AUTO, /* a wish only: the best that the modem has */
    MODEM_CLASS_1,    /* T.31 1995 */
    MODEM_CLASS_1_0,  /* T.31 2002 */
    MODEM_CLASS_2,    /* SP-2388-A, a draft */
    MODEM_CLASS_2_0,  /* T.32 */
    MODEM_CLASS_2_1,  /* T.32 2002: V.34 rates */
};

/* Image modems, as in answers to +FRM=?. */
enum modem_rates { MODEM_V27TER = 1, MODEM_V29 = 2, MODEM_V17 = 4 };

enum modem_bit_order {
    MODEM_BITS_AUTO, /* look for the EOL codes in either order */
    MODEM_BITS_NORMAL,
    MODEM_BITS_REVERSED,
};

struct modem_traits {
    enum modem_class class; /* never AUTO */
    unsigned rates;         /* enum modem_rates; at least V.27 ter */
    /* Class 1 */
    bool has_frs, has_fts; /* +FRS and +FTS may be used; else a pause of pause_ms does it */
    int pause_ms;
    bool far;          /* +FAR=1 is set: V.21 in place of an image carrier says +FRH:3 (T.31 B) */
    int connect_tries; /* repeats of +FRH=3 after a false CONNECT or NO CARRIER in one wait */
    int frm_tries;     /* repeats of +FRM after an early +FCERROR before +FRH=3 */
    /* Class 2.x */
    enum modem_bit_order bit_order;
    uint8_t page_start; /* octet that starts a page after CONNECT: DC2; DC1 for the first draft */
};

#endif
