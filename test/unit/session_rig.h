/* SPDX-License-Identifier: MIT */
/*
 * session_rig.h - a session on a line in virtual time, with the library's own terminal as the
 * sender at the far end, plain as the library has it.
 */
#ifndef FAXPOST_TEST_SESSION_RIG_H
#define FAXPOST_TEST_SESSION_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fax/t30/session.h"

enum { RIG_PAGES_MAX = 16 };

/* Who does not hear the other while the line is silent. */
enum rig_gap { RIG_GAP_TO_US, RIG_GAP_FROM_US, RIG_GAP_BOTH };

/* What the sender is to do, and what the line and the disk do to it. */
struct rig_case {
    const char *name;
    enum session_media media;
    bool ecm;
    int pages;
    int rows;                /* of each page; 0: 300 */
    int compression;         /* T30_SUPPORT_*; 0: all */
    int modems;              /* 0: all */
    int x_dpi, y_dpi, width; /* 0: 204, 196, 1728 */
    int store_ms;            /* how long a store takes */
    int store_fails_at;      /* the n-th store fails; 0: none */
    int lose_mcf;            /* the n-th MCF is lost on the line; 0: none */
    bool lose_dcn;           /* the sender's DCN is lost */
    int hangup_page;         /* the sender is gone after page n was confirmed … */
    int hangup_ms;           /* … and this many ms more */
    int switch_ms;           /* audio: a switch to T.38 at this time; 0: none */
    bool never_repeats;      /* the sender does not repeat a page that was refused */
    bool noisy_page;         /* the first page is damaged on the line: RTN */
    int gap_ms;              /* so long a silence, or packets lost … */
    int gap_at_ms;    /* … so long after the call began; 0: in the middle of the first page */
    enum rig_gap gap; /* … and whom it concerns */
    bool rtp;         /* audio comes to us as RTP: a gap are packets that are lost */
    bool suppresses;  /* the sender sends no packets while it is silent; needs rtp */
    int stall_ms;     /* our side stands still so long, at gap_at_ms; needs rtp */
    int late_ms;      /* what comes within so long, from gap_at_ms on, comes behind it; needs rtp */
    int mutate_seed;  /* T.38: packets are mutated … */
    int mutate_share; /* … so many of a thousand */
};

struct rig_result {
    bool sender_ended;
    int sender_code;  /* T30_ERR_* */
    int sender_pages; /* that it believes confirmed */
    bool session_ended;
    int64_t seconds; /* virtual */
    struct call_info info;
    int stored;                        /* pages handed out to be stored */
    int unconfirmed;                   /* pieces handed out as unconfirmed */
    uint64_t page_hash[RIG_PAGES_MAX]; /* of the pixels, by number */
    int asked_t38;
    int rnr, mcf, dcn, rtn; /* frames that went out */
    char trace[16384];
};

/* Runs one call to its end, at most 600 virtual seconds. */
void rig_run(struct rig_result *out, const struct rig_case *rig_case);

/* The pixels of page n (from 1) of the document that rig_run() sends. */
uint64_t rig_page_hash(const struct rig_case *rig_case, int number);

/* The parts of rig_run() that other rigs need: the document, and what a sender is told to do with
 * it. */
struct t30_state_s;
void rig_write_document(const char *path, const struct rig_case *rig_case);
void rig_prepare_sender(struct t30_state_s *t30, const char *path, const struct rig_case *rig_case);

/* A session fed frame by frame over T.38, for frames that no real sender makes. */
struct manual;
struct manual *manual_new(bool ecm);
void manual_free(struct manual *manual);
/* V.21 frames, or frames of the image carrier; `final` ends the signal. */
void manual_v21(struct manual *manual, const uint8_t *frame, size_t length, bool final);
void manual_image_frame(struct manual *manual, const uint8_t *frame, size_t length, bool end);
void manual_image_octets(struct manual *manual, const uint8_t *octets, size_t length, bool end);
/* DIS, DCS, TCF, CFR. dcs may be changed before: NULL takes V.17 14400, ECM and T.6 as asked. */
void manual_begin(struct manual *manual, const uint8_t *dcs, size_t length);
/* The same without a DIS before it. */
void manual_train(struct manual *manual, const uint8_t *dcs, size_t length);
/* Lets virtual time pass; store outcomes are posted at once. */
void manual_wait(struct manual *manual, int ms);
/* The last V.21 frame that came from the session, its length (0: none since the last call). */
size_t manual_heard(struct manual *manual, uint8_t *frame, size_t size);
/* Waits up to ms for a frame and gives its control field, 0 for none. */
uint8_t manual_expect(struct manual *manual, int ms);
bool manual_ended(const struct manual *manual);
struct session *manual_session(struct manual *manual);
int manual_stored(const struct manual *manual);
int manual_unconfirmed(const struct manual *manual);

#endif
