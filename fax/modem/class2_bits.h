/* SPDX-License-Identifier: MIT */
/*
 * class2_bits.h - in which order a modem gives the bits of image octets: found out from the image.
 *
 * In the right order T.4 pages have rows that are exactly as wide as the page; in the other one
 * there are none. (EOL codes alone say little: where there is fill, they look the same both ways.)
 */
#ifndef FAXPOST_FAX_CLASS2_BITS_H
#define FAXPOST_FAX_CLASS2_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows in T.4 one-dimensional coding between two EOL that are `width` pixels wide, at most `most`.
 * is_2d: a tag bit stands behind each EOL, and only rows with a 1 there are looked at. The first
 * bit on the line is the lowest of each octet; reversed: the highest. */
int class2_count_rows(const uint8_t *octets, size_t length, bool reversed, int width, bool is_2d,
                      int most);

void class2_reverse_bits(uint8_t *out, const uint8_t *octets, size_t length);

#endif
