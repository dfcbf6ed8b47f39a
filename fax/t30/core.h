/* SPDX-License-Identifier: MIT */
/*
 * core.h - the library's T.30 core under our hands: what it may do, what it wants to send, and the
 * rows of the page it is decoding.
 */
#ifndef FAXPOST_FAX_CORE_H
#define FAXPOST_FAX_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fax/t30/page_image.h"
#include "fax/t30/session.h"

struct t30_state_s;

/* What happens inside a call of the core; all on the thread that made the call. */
struct core_hooks {
    void *user;
    /* The core wants to send a frame; false keeps it back (the gate has it). */
    bool (*sends)(void *user, const uint8_t *frame, size_t length);
    /* What was to be sent is no longer wanted. */
    void (*flushed)(void *user);
    /* A DCS was accepted: identities are known. */
    void (*begins)(void *user);
    /* A page ended with at least one row. The rows are the core's and go when the hook returns. */
    void (*page)(void *user, const struct page_bitmap *page);
    /* A page was judged too bad (RTN will follow). */
    void (*rejected)(void *user, const struct page_bitmap *page);
    /* The core is done; why: in words, NULL when it calls it a success. */
    void (*ended)(void *user, const char *why);
};

struct core {
    struct t30_state_s *t30; /* owned by the front end */
    struct core_hooks hooks;
    void (*send)(void *user, const uint8_t *frame, int length); /* the front end's own */
    void *send_user;
    void (*set_tx)(void *user, int type, int bit_rate, int short_train, int use_hdlc);
    void *set_tx_user;
    int delays;              /* of the end of a frame that seems to be endless */
    bool page_since_command; /* used by phase D to tell RTN from a page */
    /* outside ECM: */
    int refusals;     /* of this page, because its end was not seen */
    int refused_rows; /* the most rows that it had then */
    bool omits_rtc;   /* the sender ends its pages without an RTC */
    int bad_rows;     /* of the page being judged, as the decoder counted them */
};

/* Puts our handlers and settings into a core that a front end has just made. */
void core_attach(struct core *core, struct t30_state_s *t30,
                 const struct session_settings *settings, const struct core_hooks *hooks);

/* A frame that is no post-message command is about to be handed over. */
void core_note_frame(struct core *core, const uint8_t *frame, size_t length);

/* To be called after whatever makes the core's clock go, at least every 500 ms: a command that
 * broke off is waited for once more. */
void core_keep_waiting(struct core *core);

/* True while a page, or the command behind it, is what the core waits for. */
bool core_expects_page(const struct t30_state_s *t30);

/* True while the carrier of a page is being read and the page's own end was not. */
bool core_reads_page(const struct t30_state_s *t30);

/* A post-message command is about to be handed over. is_torn: the sender was heard between page and
 * command, but could not be read. lost_octets: of the page, as far as is known. */
void core_note_command(struct core *core, bool is_torn, int lost_octets);

/* Hands a frame to the front end's transmitter, as the core would. */
void core_send(struct core *core, const uint8_t *frame, size_t length);

/* True when the block that this PPS ends keeps the page within rows_max. One ECM block of T.6 can
 * be half a million rows, so they are counted on a copy of the decoder, frame by frame, before the
 * core takes the block. */
bool core_block_fits(struct core *core, const uint8_t *pps, size_t length, int rows_max);

/* Rows of the page so far; for ECM, where rows come in blocks, octets of the block so far. */
int core_rows(const struct core *core);
int core_block_octets(const struct core *core);

/* Pages the core counts as received. */
int core_pages(const struct core *core);
bool core_is_ecm(const struct core *core);

/* True when a carrier for a page outside ECM has come since the last answer, whether or not it
 * brought anything. */
bool core_page_attempted(const struct core *core);

/* What there is of the page that is coming in: ECM frames that are complete from the start of the
 * block are decoded too (up to rows_max). The rows are malloced into *out_rows, out->rows points to
 * them. ERROR_NOT_FOUND when there is nothing. Only once, at the end of a call. */
int core_salvage(struct core *core, struct page_bitmap *out, uint8_t **out_rows, int rows_max);

/* Fills identities, rate, ecm, compression, size. */
void core_describe(const struct core *core, struct call_info *info);

#endif
