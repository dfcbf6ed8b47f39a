/* SPDX-License-Identifier: MIT */
/*
 * page_rig.c - rows are drawn and hashed one after the other; a TIFF is read by libtiff itself.
 */
#include "test/unit/page_rig.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tiffio.h>

static const uint64_t hash_of_nothing = 14695981039346656037ull; /* FNV-1a */

void page_draw_row(uint8_t *row, int width, int page, int y)
{
    uint32_t seed = (uint32_t)(page * 7919 + y / 3 * 104729 + 1);
    int x = 0;

    memset(row, 0, (size_t)(width + 7) / 8);
    if (y % 24 < 8)
        return;
    while (x < width) {
        int run;

        seed = seed * 1664525u + 1013904223u;
        run = (int)(seed >> 24) % 40 + 2;
        if ((seed >> 16 & 1) != 0)
            for (int i = x; i < x + run && i < width; i++)
                row[i / 8] |= (uint8_t)(0x80 >> (i % 8));
        x += run * 2;
    }
}

static uint64_t hash_row(uint64_t hash, const uint8_t *row, int width)
{
    for (int i = 0; i < (width + 7) / 8; i++)
        hash = (hash ^ row[i]) * 1099511628211ull;
    return hash;
}

uint64_t page_hash(int width, int rows, int page)
{
    uint8_t row[PAGE_RIG_WIDTH_MAX / 8];
    uint64_t hash = hash_of_nothing;

    for (int y = 0; y < rows; y++) {
        page_draw_row(row, width, page, y);
        hash = hash_row(hash, row, width);
    }
    return hash;
}

uint64_t page_tiff_hash(const uint8_t *data, size_t length)
{
    char path[] = "/tmp/faxpost-page-XXXXXX";
    int fd = mkstemp(path);
    uint64_t hash = hash_of_nothing;
    uint8_t row[4096];
    uint32_t width = 0;
    uint32_t rows = 0;
    TIFF *tiff;

    if (fd < 0 || write(fd, data, length) != (ssize_t)length)
        abort();
    close(fd);
    tiff = TIFFOpen(path, "r");
    unlink(path);
    if (tiff == NULL)
        return 0;
    TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &rows);
    for (uint32_t y = 0; y < rows && TIFFScanlineSize(tiff) <= (tmsize_t)sizeof row; y++) {
        TIFFReadScanline(tiff, row, y, 0);
        hash = hash_row(hash, row, (int)width);
    }
    TIFFClose(tiff);
    return hash;
}
