/* SPDX-License-Identifier: MIT */
/*
 * tiffpixels - what a person would see on each page of a TIFF, as one line of text, so that two
 * files can be compared whatever their coding, fill order or polarity.
 *
 *   tiffpixels [-s ROWS] FILE...  →  WIDTH LENGTH X-DPI Y-DPI BLACK HASH
 *
 * BLACK is the number of black pixels, HASH an FNV-1a of the rows, black as 1, padding as 0. With
 * -s pages begin after so many rows: efax sends blank ones in front of each page.
 */
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <tiffio.h>

struct page {
    uint32_t width, length;
    uint16_t photometric, unit, bits, samples;
    float x, y;
};

static uint32_t rows_skipped;

static void page_read(struct page *page, TIFF *tiff)
{
    *page = (struct page){.unit = RESUNIT_INCH, .bits = 1, .samples = 1};
    TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &page->width);
    TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &page->length);
    TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &page->photometric);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &page->bits);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &page->samples);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_RESOLUTIONUNIT, &page->unit);
    TIFFGetField(tiff, TIFFTAG_XRESOLUTION, &page->x);
    TIFFGetField(tiff, TIFFTAG_YRESOLUTION, &page->y);
    if (page->unit == RESUNIT_CENTIMETER) {
        page->x *= 2.54f;
        page->y *= 2.54f;
    }
}

/* Reads the rows of the open directory and prints its line. */
static int page_print(TIFF *tiff, const char *path)
{
    struct page page;
    page_read(&page, tiff);
    if (page.bits != 1 || page.samples != 1 || page.width == 0) {
        fprintf(stderr, "%s: not a bilevel page\n", path);
        return -1;
    }
    size_t octets = (page.width + 7) / 8;
    uint8_t *row = malloc((size_t)TIFFScanlineSize(tiff) + octets);
    if (row == NULL)
        return -1;
    uint8_t flip = page.photometric == PHOTOMETRIC_MINISBLACK ? 0xff : 0;
    uint8_t last = page.width % 8 ? (uint8_t)(0xff00 >> page.width % 8) : 0xff;
    uint64_t hash = 0xcbf29ce484222325u, black = 0;
    for (uint32_t y = 0; y < page.length; y++) {
        if (TIFFReadScanline(tiff, row, y, 0) < 0) {
            fprintf(stderr, "%s: row %" PRIu32 " cannot be read\n", path, y);
            free(row);
            return -1;
        }
        for (size_t i = 0; i < octets && y >= rows_skipped; i++) {
            uint8_t octet = (row[i] ^ flip) & (i + 1 == octets ? last : 0xff);
            black += (uint64_t)__builtin_popcount(octet);
            hash = (hash ^ octet) * 0x100000001b3u;
        }
    }
    free(row);
    printf("%" PRIu32 " %" PRIu32 " %ld %ld %" PRIu64 " %016" PRIx64 "\n", page.width,
           page.length > rows_skipped ? page.length - rows_skipped : 0, lroundf(page.x),
           lroundf(page.y), black, hash);
    return 0;
}

static int file_print(const char *path)
{
    TIFF *tiff = TIFFOpen(path, "r");
    if (tiff == NULL)
        return -1;
    int error = 0;
    do {
        error = page_print(tiff, path);
    } while (error == 0 && TIFFReadDirectory(tiff));
    TIFFClose(tiff);
    return error;
}

int main(int argc, char **argv)
{
    int option, failed = 0;
    while ((option = getopt(argc, argv, "s:")) == 's')
        rows_skipped = (uint32_t)strtoul(optarg, NULL, 10);
    if (option != -1 || optind == argc) {
        fprintf(stderr, "usage: tiffpixels [-s ROWS] FILE...\n");
        return 2;
    }
    for (int i = optind; i < argc; i++)
        failed |= file_print(argv[i]) != 0;
    return failed;
}
