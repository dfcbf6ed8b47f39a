/* SPDX-License-Identifier: MIT */
/*
 * call_info.h - what is known of a call: numbers, identities, pages, verdict.
 *
 * receive writes it as call.ini beside the pages, deliver reads it back. Page files are the truth,
 * this is commentary: a missing or broken call.ini loses no page. Text from outside is kept as it
 * came but printable (text_printable_utf8) and bounded; whoever shows it escapes it for the place.
 */
#ifndef FAXPOST_SPOOL_CALL_INFO_H
#define FAXPOST_SPOOL_CALL_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FAX_ID_MAX = 40, /* with NUL */
    CALL_NUMBER_MAX = 64,
    CALL_IDENT_MAX = 24, /* T.30: 20 characters, with NUL and room */
    CALL_NAME_MAX = 64,
    CALL_PEER_MAX = 64,
    CALL_ERROR_MAX = 160,
};

enum call_verdict {
    CALL_LIVE,     /* not ended */
    CALL_COMPLETE, /* the last page was confirmed after an EOP */
    CALL_PARTIAL,  /* some pages confirmed, then the call broke */
    CALL_DOUBTFUL, /* complete, but a page answered with RTN was not sent again */
    CALL_EMPTY,    /* no page confirmed: voice, data, or broken before the first page */
};

enum call_media { CALL_MEDIA_NONE, CALL_MEDIA_AUDIO, CALL_MEDIA_T38, CALL_MEDIA_MODEM };

struct call_info {
    char fax_id[FAX_ID_MAX];
    char line[CALL_NAME_MAX];     /* [line NAME] */
    char called[CALL_NUMBER_MAX]; /* the number that was dialled */
    char caller[CALL_NUMBER_MAX]; /* calling number; can be forged */
    char caller_name[CALL_NAME_MAX];
    char peer[CALL_PEER_MAX];                  /* network address of the signalling peer */
    char call_ref[CALL_PEER_MAX];              /* SIP Call-ID, cut */
    int64_t started_ms, answered_ms, ended_ms; /* wall clock; 0: not yet */
    enum call_media media;                     /* what carried the pages last */
    char station[CALL_IDENT_MAX];              /* TSI: the sender's identity (T.30 5.3.6.2.6) */
    char subaddress[CALL_IDENT_MAX];           /* SUB */
    char sender[CALL_IDENT_MAX];               /* SID */
    char password[CALL_IDENT_MAX];             /* PWD; never logged or mailed */
    char own_station[CALL_IDENT_MAX];          /* CSI we sent */
    int bit_rate;                              /* of the image modem, 0 unknown */
    bool ecm;
    char compression[12];        /* "T.4 1-D", "T.4 2-D", "T.6" */
    int pages;                   /* confirmed */
    int unconfirmed;             /* stored but not confirmed (salvaged) */
    int rows;                    /* of the page coming in, for the progress bar */
    int width, x_per_m, y_per_m; /* of the page coming in: pixels, pixels per metre */
    enum call_verdict verdict;
    char error[CALL_ERROR_MAX]; /* why it ended otherwise than well, in words */
};

/* Words as written to call.ini and shown to people: "complete" … "t38" … */
const char *call_verdict_text(enum call_verdict verdict);
const char *call_media_text(enum call_media media);
int call_verdict_parse(enum call_verdict *out, const char *text); /* ERROR_FORMAT */
int call_media_parse(enum call_media *out, const char *text);     /* ERROR_FORMAT */

/* The content of call.ini, malloced into *out. Lossless with call_info_parse() for printable text.
 */
int call_info_format(char **out, size_t *out_length, const struct call_info *info);

/* Reads call.ini. Unknown keys are ignored, numbers clamped, text made printable. ERROR_FORMAT when
 * nothing of a call is in it. The text may come from a stranger. */
int call_info_parse(struct call_info *out, const char *text);

#endif
