/* SPDX-License-Identifier: MIT */
/*
 * picture.h - a page as a small grey PNG, for the eye: every pixel of the page counts, by area, and
 * the shape is that of the paper.
 */
#ifndef FAXPOST_MESSAGE_PICTURE_H
#define FAXPOST_MESSAGE_PICTURE_H

#include <stddef.h>
#include <stdint.h>

#include "message/tiff_page.h"

enum {
    PICTURE_WIDTH = 480,
    PICTURE_HEIGHT_MAX = 960,       /* of a longer page the beginning is shown */
    PICTURE_BYTES_GOOD = 60 * 1024, /* more: fewer shades of grey */
    PICTURE_BYTES_MAX = 512 * 1024,
};

struct picture {
    uint8_t *png; /* malloced, the caller's */
    size_t length;
    int width, height;
};

/* Row by row; what is held is the picture, not the page. ERROR_FORMAT when the page's data end
 * early, ERROR_LIMIT when the picture would be larger than PICTURE_BYTES_MAX. */
int picture_make(struct picture *out, struct tiff_page *page);

/* Eight-bit grey (0 black) to a PNG of 1 << bits shades, bits 1, 2, 4 or 8. *out is malloced. */
int picture_png(uint8_t **out, size_t *out_length, const uint8_t *grey, int width, int height,
                int bits);

void picture_free(struct picture *picture);

#endif
