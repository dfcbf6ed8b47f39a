/* SPDX-License-Identifier: MIT */
/*
 * ledger.h - the pages of a call: which ended, which were confirmed, what was refused or broke off,
 * and the verdict that follows.
 *
 * Pages that are ready to be stored wait here until a worker takes them.
 */
#ifndef FAXPOST_FAX_LEDGER_H
#define FAXPOST_FAX_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "fax/t30/page_image.h"
#include "fax/t30/session.h"
#include "spool/call_info.h"

enum { LEDGER_WAITING_MOST = 3 }; /* a page, a refused one and what was salvaged */

struct ledger {
    struct session_page waiting[LEDGER_WAITING_MOST];
    int waiting_count;
    bool is_new;     /* a page ended since the last command */
    bool failed;     /* it could not be encoded */
    int produced;    /* pages that ended with rows */
    int confirmed;   /* pages confirmed to the sender */
    int unconfirmed; /* pieces kept that were not */
    bool complete;   /* the last page was confirmed after an EOP */

    bool rejected_waits;        /* a page was answered with RTN and has not come again */
    bool rejected_is_last;      /* … it came with an EOP */
    struct page_print rejected; /* … and how to know it; rows NULL: nothing to know it by */

    struct page_bitmap salvaged; /* what there was of the page that broke off … */
    uint8_t *salvaged_rows;      /* … owned, until a worker has it encoded */
    bool is_salvaged;
};

/* Releases what it holds; the struct is the caller's. */
void ledger_free(struct ledger *ledger);

/* A page ended. It is encoded and waits to be stored; is_new, and failed when that did not work. */
void ledger_add(struct ledger *ledger, const struct page_bitmap *page);

/* The last page waiting is the one that the gate holds: the outcome of its store will name
 * `generation`. */
void ledger_hold(struct ledger *ledger, uint32_t generation);

/* The last page waiting is not wanted after all. */
void ledger_drop(struct ledger *ledger);

/* A page was judged too bad. What there is of it, is kept. */
void ledger_reject(struct ledger *ledger, const struct page_bitmap *page);

/* A page, of which there may be not even a row, is answered with RTN; `last`: it came with an EOP.
 */
void ledger_refuse(struct ledger *ledger, bool last);

/* Encodes what was salvaged; it waits as an unconfirmed page. */
void ledger_encode_salvaged(struct ledger *ledger);

/* The page that was held is confirmed to the sender; `last`: it came with an EOP. */
void ledger_confirm(struct ledger *ledger, bool last);

/* The oldest page waiting, the caller's from now on; false: none. */
bool ledger_take(struct ledger *ledger, struct session_page *out);

/* The verdict once the call has ended (DESIGN: complete, partial, doubtful, empty). */
enum call_verdict ledger_verdict(const struct ledger *ledger);

#endif
