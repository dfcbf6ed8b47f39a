/* SPDX-License-Identifier: MIT */
/*
 * page_image.c - libtiff writing to memory; rows hashed to tell one page from another.
 */
#include "fax/t30/page_image.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tiffio.h>

#include "base/error.h"

enum { OUTPUT_MAX_BYTES = 64 * 1024 * 1024 };

static void be_silent(const char *module, const char *format, va_list ap)
{
    (void)module;
    (void)format;
    (void)ap;
}

void page_image_library_init(void)
{
    TIFFSetErrorHandler(be_silent);
    TIFFSetWarningHandler(be_silent);
}

/* ---- a TIFF in memory ----------------------------------------------------------------------- */

struct memory_file {
    uint8_t *data;
    size_t length, capacity;
    size_t position;
};

static tmsize_t memory_read(thandle_t handle, void *data, tmsize_t size)
{
    struct memory_file *file = handle;
    size_t left = file->position < file->length ? file->length - file->position : 0;
    size_t take = (size_t)size < left ? (size_t)size : left;

    if (take > 0)
        memcpy(data, file->data + file->position, take);
    file->position += take;
    return (tmsize_t)take;
}

static tmsize_t memory_write(thandle_t handle, void *data, tmsize_t size)
{
    struct memory_file *file = handle;
    size_t end = file->position + (size_t)size;

    if (end > OUTPUT_MAX_BYTES)
        return -1;
    if (end > file->capacity) {
        size_t capacity = end * 2 > 32768 ? end * 2 : 32768;
        uint8_t *data_new = realloc(file->data, capacity);

        if (data_new == NULL)
            return -1;
        file->data = data_new;
        file->capacity = capacity;
    }
    if (file->position > file->length)
        memset(file->data + file->length, 0, file->position - file->length);
    memcpy(file->data + file->position, data, (size_t)size);
    file->position = end;
    if (end > file->length)
        file->length = end;
    return size;
}

static toff_t memory_seek(thandle_t handle, toff_t offset, int whence)
{
    struct memory_file *file = handle;
    toff_t base = whence == SEEK_CUR ? file->position : whence == SEEK_END ? file->length : 0;

    if (base + offset > OUTPUT_MAX_BYTES)
        return (toff_t)-1;
    file->position = (size_t)(base + offset);
    return file->position;
}

static int memory_close(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t memory_size(thandle_t handle)
{
    return ((struct memory_file *)handle)->length;
}

/* Pixels per metre to the pixels per inch that TIFF-F writes: 8031 → 204, 3850 → 98 (RFC
 * 3949 2.2.1) */
static double per_inch(int per_m)
{
    return (double)(long)(per_m * 0.0254 + 0.5);
}

/* What a page without ECM has suffered (RFC 3949 2.2.3): the decoder puts the row before in the
 * place of one that it cannot read. */
static void set_quality(TIFF *tiff, const struct page_bitmap *page)
{
    int run = page->longest_bad_run;

    TIFFSetField(tiff, TIFFTAG_CLEANFAXDATA,
                 page->bad_rows > 0 ? CLEANFAXDATA_REGENERATED : CLEANFAXDATA_CLEAN);
    if (page->bad_rows <= 0)
        return;
    TIFFSetField(tiff, TIFFTAG_BADFAXLINES, (uint32_t)page->bad_rows);
    TIFFSetField(tiff, TIFFTAG_CONSECUTIVEBADFAXLINES, run > 0 ? (uint32_t)run : 1u);
}

static void set_tags(TIFF *tiff, const struct page_bitmap *page, int number)
{
    TIFFSetField(tiff, TIFFTAG_SUBFILETYPE, (uint32_t)FILETYPE_PAGE);
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, (uint32_t)page->width);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, (uint32_t)page->length);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 1);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, COMPRESSION_CCITTFAX4);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISWHITE);
    TIFFSetField(tiff, TIFFTAG_FILLORDER, FILLORDER_MSB2LSB);
    TIFFSetField(tiff, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, (uint32_t)page->length);
    TIFFSetField(tiff, TIFFTAG_XRESOLUTION, per_inch(page->x_per_m));
    TIFFSetField(tiff, TIFFTAG_YRESOLUTION, per_inch(page->y_per_m));
    TIFFSetField(tiff, TIFFTAG_RESOLUTIONUNIT, RESUNIT_INCH);
    TIFFSetField(tiff, TIFFTAG_PAGENUMBER, number > 0 ? number - 1 : 0, 0);
    TIFFSetField(tiff, TIFFTAG_SOFTWARE, "faxpost");
    set_quality(tiff, page);
}

int page_image_encode(uint8_t **out, size_t *out_length, const struct page_bitmap *page, int number)
{
    struct memory_file file = {0};
    TIFF *tiff;
    bool written;

    if (page->length <= 0 || page->width <= 0)
        return ERROR_FORMAT;
    tiff = TIFFClientOpen("page", "wl", &file, memory_read, memory_write, memory_seek, memory_close,
                          memory_size, NULL, NULL);
    if (tiff == NULL)
        return ERROR_LIBRARY;
    set_tags(tiff, page, number);
    /* the T.6 encoder does not change its input, the parameter only lacks the const */
    written = TIFFWriteEncodedStrip(tiff, 0, (void *)(uintptr_t)page->rows,
                                    (tmsize_t)page->length * page->bytes_per_row) >= 0 &&
              TIFFWriteDirectory(tiff);
    TIFFClose(tiff);
    if (!written || file.length == 0) {
        free(file.data);
        return ERROR_LIBRARY;
    }
    *out = file.data;
    *out_length = file.length;
    return 0;
}

/* ---- prints --------------------------------------------------------------------------------- */

static int compare_hashes(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

int page_print_take(struct page_print *out, const struct page_bitmap *page)
{
    uint32_t *rows = malloc(sizeof *rows * (size_t)(page->length > 0 ? page->length : 1));
    int count = 0;
    int distinct = 0;
    int y;

    if (rows == NULL)
        return ERROR_MEMORY;
    for (y = 0; y < page->length; y++) {
        const uint8_t *row = page->rows + (size_t)y * (size_t)page->bytes_per_row;
        uint32_t hash = 2166136261u; /* FNV-1a */
        uint8_t ink = 0;
        int i;

        for (i = 0; i < page->bytes_per_row; i++) {
            ink |= row[i];
            hash = (hash ^ row[i]) * 16777619u;
        }
        if (ink != 0)
            rows[count++] = hash;
    }
    qsort(rows, (size_t)count, sizeof *rows, compare_hashes);
    /* Each once: rulings and frames, which all pages of a form have on most of their rows, would
     * outweigh what is written on it. */
    for (y = 1; y < count; y++)
        if (rows[y] != rows[distinct])
            rows[++distinct] = rows[y];
    *out = (struct page_print){.rows = rows, .count = count > 0 ? distinct + 1 : 0};
    return 0;
}

void page_print_free(struct page_print *print)
{
    if (print == NULL)
        return;
    free(print->rows);
    *print = (struct page_print){0};
}

int page_print_is_like(const struct page_print *a, const struct page_print *b)
{
    int shorter = a->count < b->count ? a->count : b->count;
    int common = 0;
    int i = 0;
    int j = 0;

    while (i < a->count && j < b->count) {
        if (a->rows[i] == b->rows[j]) {
            common++;
            i++;
            j++;
        } else if (a->rows[i] < b->rows[j]) {
            i++;
        } else {
            j++;
        }
    }
    if (shorter == 0)
        return a->count == b->count;
    return common * 2 >= shorter;
}
