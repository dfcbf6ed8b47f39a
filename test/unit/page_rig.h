/* SPDX-License-Identifier: MIT */
/*
 * page_rig.h - pages that are drawn, and what is seen on a page that came out, as a number.
 */
#ifndef FAXPOST_TEST_PAGE_RIG_H
#define FAXPOST_TEST_PAGE_RIG_H

#include <stddef.h>
#include <stdint.h>

/* A drawn page has so many pixels a row at the most. */
enum { PAGE_RIG_WIDTH_MAX = 8192 };

/* Row y of page n: each page and row different, most rows repeating the one above as text does. */
void page_draw_row(uint8_t *row, int width, int page, int y);

/* The pixels of page n, or of its first rows. */
uint64_t page_hash(int width, int rows, int page);

/* The pixels of the first page of a TIFF; 0 when it is none. */
uint64_t page_tiff_hash(const uint8_t *tiff, size_t length);

#endif
