/* SPDX-License-Identifier: MIT */
/*
 * class2_caller.h - plays the caller to our own T.30 core, for a modem that has spoken T.30 with
 * the real one: frames, a perfect training, an image without ECM, all in no time.
 *
 * No timer of the core is ever moved. Its owner is the session's; the answer to a page may be
 * written on a worker.
 */
#ifndef FAXPOST_FAX_CLASS2_CALLER_H
#define FAXPOST_FAX_CLASS2_CALLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fax/modem_traits.h"

struct session;
struct t30_state_s;

enum { CLASS2_SNIFF_OCTETS = 2048 };

struct class2_caller {
    struct session *session;
    struct t30_state_s *t30; /* owned */
    bool step_due;           /* the core waits until what it sends has arrived */
    bool restart_due;        /* the core believes that the document is over: phase B again */
    uint8_t answer;          /* FCF_MCF, FCF_RTP, FCF_RTN, FCF_DCN; FCF_NULL: none yet */
    bool is_2d;              /* the page's compression */
    int width;
    uint8_t command; /* FCF_EOP, FCF_MPS, FCF_EOM: what ended the last page */
    /* the order of bits in image octets */
    enum modem_bit_order bit_order;
    bool is_reversed, is_known;
    bool is_guessed;            /* nothing spoke for either order */
    size_t sniffed, sniff_next; /* octets kept; so many are to be looked at */
    uint8_t sniff[CLASS2_SNIFF_OCTETS];
};

/* False: out of memory. */
bool class2_caller_init(struct class2_caller *caller, struct session *session,
                        enum modem_bit_order bit_order);
void class2_caller_free(struct class2_caller *caller);

/* Phase B: SUB, TSI ("": none), DCS, TCF. width: pixels in a row. False when the DCS is not taken:
 * then the session is ending. */
bool class2_caller_begin(struct class2_caller *caller, const char *subaddress, const char *sender,
                         const uint8_t *dcs, size_t length, int width);

/* The answer to the last page has reached the sender, and a page's carrier is there. */
void class2_caller_page(struct class2_caller *caller);
void class2_caller_image(struct class2_caller *caller, const uint8_t *octets, size_t length);

/* The page's carrier is gone, and FCF_MPS, FCF_EOM or FCF_EOP came. is_whole: the modem saw the
 * page's end, but may have kept the RTC to itself. True: the core has to take the command on a
 * worker, by class2_caller_on_worker(). */
bool class2_caller_page_end(struct class2_caller *caller, uint8_t command, bool is_whole);
void class2_caller_on_worker(struct class2_caller *caller);

/* DCN came. */
void class2_caller_hangup(struct class2_caller *caller);

/* What the core sends has arrived. */
void class2_caller_arrived(struct class2_caller *caller);

#endif
