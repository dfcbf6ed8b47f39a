/* SPDX-License-Identifier: MIT */
/*
 * ledger.c - counting pages, and keeping what would otherwise be lost of them.
 */
#include "fax/t30/ledger.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"

void ledger_free(struct ledger *ledger)
{
    while (ledger->waiting_count > 0)
        ledger_drop(ledger);
    page_print_free(&ledger->rejected);
    free(ledger->salvaged_rows);
    ledger->salvaged_rows = NULL;
}

/* Encodes a page and puts it behind those that wait. */
static int put(struct ledger *ledger, const struct page_bitmap *bitmap, int number,
               bool unconfirmed)
{
    struct session_page *page = &ledger->waiting[ledger->waiting_count];
    int error;

    if (ledger->waiting_count == LEDGER_WAITING_MOST)
        return ERROR_FULL;
    *page = (struct session_page){.number = number, .unconfirmed = unconfirmed};
    error = page_image_encode(&page->tiff, &page->length, bitmap, number);
    if (error < 0) {
        log_error("page number=%d error=\"cannot be encoded: %s\"", number, error_text(error));
        return error;
    }
    ledger->waiting_count++;
    ledger->unconfirmed += unconfirmed;
    return 0;
}

static void forget_rejected(struct ledger *ledger)
{
    ledger->rejected_waits = false;
    page_print_free(&ledger->rejected);
}

/* Has the page that was refused come again? Behind the last page nothing else can come. */
static void compare_with_rejected(struct ledger *ledger, const struct page_bitmap *page)
{
    struct page_print print;

    if (ledger->rejected_waits && ledger->rejected_is_last) {
        forget_rejected(ledger);
        return;
    }
    if (!ledger->rejected_waits || ledger->rejected.rows == NULL ||
        page_print_take(&print, page) < 0)
        return;
    if (page_print_is_like(&ledger->rejected, &print))
        forget_rejected(ledger);
    page_print_free(&print);
}

void ledger_add(struct ledger *ledger, const struct page_bitmap *page)
{
    ledger->is_new = true;
    ledger->produced++;
    compare_with_rejected(ledger, page);
    ledger->failed = put(ledger, page, ledger->produced, false) < 0;
}

void ledger_hold(struct ledger *ledger, uint32_t generation)
{
    ledger->waiting[ledger->waiting_count - 1].generation = generation;
}

void ledger_drop(struct ledger *ledger)
{
    free(ledger->waiting[--ledger->waiting_count].tiff);
}

void ledger_reject(struct ledger *ledger, const struct page_bitmap *page)
{
    ledger->rejected_waits = true;
    page_print_free(&ledger->rejected);
    if (page_print_take(&ledger->rejected, page) < 0)
        return; /* without a print it stays doubtful */
    put(ledger, page, ledger->produced + 1, true);
}

void ledger_refuse(struct ledger *ledger, bool last)
{
    ledger->rejected_waits = true;
    ledger->rejected_is_last = last;
}

void ledger_encode_salvaged(struct ledger *ledger)
{
    put(ledger, &ledger->salvaged, ledger->produced + 1, true);
    free(ledger->salvaged_rows);
    ledger->salvaged_rows = NULL;
}

void ledger_confirm(struct ledger *ledger, bool last)
{
    ledger->confirmed = ledger->produced;
    if (last)
        ledger->complete = true;
}

bool ledger_take(struct ledger *ledger, struct session_page *out)
{
    if (ledger->waiting_count == 0)
        return false;
    *out = ledger->waiting[0];
    ledger->waiting_count--;
    memmove(ledger->waiting, ledger->waiting + 1,
            sizeof ledger->waiting[0] * (size_t)ledger->waiting_count);
    return true;
}

enum call_verdict ledger_verdict(const struct ledger *ledger)
{
    if (ledger->complete)
        return ledger->rejected_waits ? CALL_DOUBTFUL : CALL_COMPLETE;
    return ledger->confirmed > 0 ? CALL_PARTIAL : CALL_EMPTY;
}
