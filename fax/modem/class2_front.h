/* SPDX-License-Identifier: MIT */
/*
 * class2_front.h - what front_class2.c (the front end) and class2_states.c (the talk with the
 * modem) share. Nobody else includes it.
 */
#ifndef FAXPOST_FAX_CLASS2_FRONT_H
#define FAXPOST_FAX_CLASS2_FRONT_H

#include "fax/modem/at_stream.h"
#include "fax/modem/class2_prepare.h"
#include "fax/modem/class2_words.h"
#include "fax/t30/front.h"

/* We play the caller to our own core: frames, a perfect training, an image without ECM, all in no
 * time. */
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
    int lines;       /* … and how many rows it counted; 0: it does not say */
    int fdr_count;   /* AT+FDR for the same page */
    bool ok_alone;   /* that got no more than an OK */
    size_t octets;
};

/* ---- class2_states.c → front_class2.c: the caller ------------------------------------------- */

/* Phase B: SUB, TSI ("": none), DCS, TCF. width: pixels in a row. False when the DCS is not taken:
 * then the session is ending. */
bool class2_caller_begin(struct class2_caller *caller, const char *subaddress, const char *sender,
                         const uint8_t *dcs, size_t length, int width);

/* The answer to the last page has reached the sender, and a page's carrier is there. */
void class2_caller_page(struct class2_caller *caller);
void class2_caller_image(struct class2_caller *caller, const uint8_t *octets, size_t length);

/* The page's carrier is gone, and FCF_MPS, FCF_EOM or FCF_EOP came. is_whole: the modem saw the
 * page's end, but may have kept the RTC to itself; lines: that it counted, 0: unknown. True: the
 * core has to take the command on a worker, in pump(). */
bool class2_caller_page_end(struct class2_caller *caller, uint8_t command, bool is_whole,
                            int lines);

/* DCN came. */
void class2_caller_hangup(struct class2_caller *caller);

/* ---- front_class2.c → class2_states.c ------------------------------------------------------- */

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
