/* SPDX-License-Identifier: MIT */
/*
 * page_image.h - one page: from the rows that the T.30 core decoded to a TIFF-F file in memory.
 */
#ifndef FAXPOST_FAX_PAGE_IMAGE_H
#define FAXPOST_FAX_PAGE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

/* Once per process, before any thread: libtiff's messages go nowhere, its results are checked. */
void page_image_library_init(void);

/* Rows of a page; one bit a pixel, most significant first, 1 is black. */
struct page_bitmap {
    const uint8_t *rows; /* not owned */
    int width;           /* pixels */
    int length;          /* rows */
    int bytes_per_row;
    int x_per_m, y_per_m; /* pixels per metre, as T.30 negotiates them */
    int bad_rows;         /* rows the decoder had to mend, and the longest run of them */
    int longest_bad_run;
};

/* Encodes the page as a TIFF-F file of one page (RFC 3949 profile F, T.6, one strip), number and
 * of-how-many 0 for unknown. *out is malloced. ERROR_MEMORY, ERROR_LIBRARY, ERROR_FORMAT for a page
 * without rows. */
int page_image_encode(uint8_t **out, size_t *out_length, const struct page_bitmap *page,
                      int number);

/* A page known again although a few rows differ: what a sender does after RTN. */
struct page_print {
    uint32_t *rows; /* owned: sorted hashes of the rows that are not white, each once */
    int count;
};

int page_print_take(struct page_print *out, const struct page_bitmap *page);
void page_print_free(struct page_print *print);

/* True when at least half of the different inked rows of the page with fewer are in the other one.
 * A page without ink is like another without ink only. */
int page_print_is_like(const struct page_print *a, const struct page_print *b);

#endif
