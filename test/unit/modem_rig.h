/* SPDX-License-Identifier: MIT */
/*
 * modem_rig.h - a session that drives the library's soft modem (T.31) by AT commands, over a serial
 * line with latency and a telephone line with noise, with the library's own terminal as the sender
 * at the far end. All on virtual time.
 */
#ifndef FAXPOST_TEST_MODEM_RIG_H
#define FAXPOST_TEST_MODEM_RIG_H

#include "test/unit/session_rig.h"

/* What is odd about the modem; see modem_rig.c. */
enum modem_quirk {
    QUIRK_NONE,
    QUIRK_FALSE_CONNECT, /* +FRH=3: CONNECT, NO CARRIER, several times before it is true */
    QUIRK_NO_CARRIER,    /* +FRH=3: NO CARRIER, several times */
    QUIRK_EARLY_FCERROR, /* +FRM: +FCERROR at once, twice */
    QUIRK_ERROR_ON_FRM,  /* ERROR in place of +FCERROR */
    QUIRK_NO_FCERROR,    /* V.21 in place of an image carrier: NO CARRIER after some time */
    QUIRK_NO_FRS,        /* ERROR to +FRS and +FTS */
    QUIRK_NO_OK,         /* nothing is said to the end of a reception */
    QUIRK_LATE_OK,       /* … or so late that the next command has gone out */
    QUIRK_SLOW,          /* all responses come 30 ms late */
    QUIRK_ECHO,          /* the modem hears its own final frame */
    QUIRK_COMMAND_ECHO,  /* ATE1 */
    QUIRK_JUNK,          /* rubbish before each response */
    QUIRK_NO_FCS,        /* frames come without FCS */
    QUIRK_BAD_FCS,       /* an octet of one frame in five is lost on the way, OK all the same */
    QUIRK_LOSES,         /* one response in twelve is lost */
    QUIRK_HANGS,         /* says nothing any more, from the first page on */
    QUIRK_ERRORS,        /* says ERROR to everything but ATA */
    QUIRK_RESETS,        /* resets at the first page: RING */
    QUIRK_ATA_DATA,      /* ATA: CONNECT 33600 */
    QUIRK_ATA_FDM,       /* ATA: +FDM */
    QUIRK_ATA_VOICE,     /* ATA: NO CARRIER */
    QUIRK_ATA_ERROR,     /* ATA: ERROR */
    QUIRK_ATA_SILENT,    /* ATA: nothing */
};

struct modem_case {
    struct rig_case call; /* media, gaps and switches are left out */
    enum modem_quirk quirk;
    int latency_ms;       /* of the serial line, one way */
    int jitter_ms;        /* on top, for each write */
    unsigned rates;       /* of the modem, enum modem_rates; 0: all */
    bool no_frs, no_fts;  /* known to lack them */
    bool far;             /* +FAR=1 */
    int fail_tcf;         /* so many TCF are spoiled */
    bool lose_tcf;        /* the first TCF is not heard at all */
    int lose_training;    /* the page after the n-th MCF is not heard; 0: none */
    bool lose_cfr;        /* the first CFR is lost on the line */
    int worker_ms;        /* how long the worker has the session */
    int noise;            /* amplitude of white noise */
    int bursts, dropouts; /* how many, at random times in the call */
    int seed;             /* of all that is random */
    int ended_at_ms;      /* the line ends the session; 0: never */
    int hangup_at_ms;     /* the sender is gone; 0: never */
};

struct modem_result {
    struct rig_result rig;
    int stored_well;       /* pages whose store was a success */
    int confirmed_early;   /* confirmations before the page was stored: must be 0 */
    int aborts;            /* receptions that we ended */
    int64_t ending_ms;     /* from ended_at_ms to the end */
    bool in_command_state; /* the modem, at the end */
};

void modem_rig_run(struct modem_result *out, const struct modem_case *c);

#endif
