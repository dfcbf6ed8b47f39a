/* SPDX-License-Identifier: MIT */
/*
 * tiff_page.c - a page file in memory, libtiff reading from it; and libtiff coding to memory.
 */
#include "message/tiff_page.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tiffio.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"

/* Memory that libtiff sees as a file. */
struct memory_file {
    uint8_t *data;
    size_t length, capacity, limit; /* limit 0: read only */
    size_t position;
};

struct tiff_page {
    struct memory_file file;
    TIFF *tiff;
    struct tiff_page_facts facts;
    uint8_t *strip; /* of tiff_page_strip() */
};

/* ---- libtiff and memory --------------------------------------------------------------------- */

static tmsize_t memory_read(thandle_t handle, void *out, tmsize_t length)
{
    struct memory_file *file = handle;
    size_t rest = file->position < file->length ? file->length - file->position : 0;
    size_t part = (size_t)length < rest ? (size_t)length : rest;

    if (length <= 0)
        return 0;
    memcpy(out, file->data + file->position, part);
    file->position += part;
    return (tmsize_t)part;
}

static tmsize_t memory_write(thandle_t handle, void *data, tmsize_t length)
{
    struct memory_file *file = handle;
    size_t end;

    if (length <= 0 || file->position > file->limit ||
        (size_t)length > file->limit - file->position)
        return 0;
    end = file->position + (size_t)length;
    if (end > file->capacity) {
        size_t capacity = end * 2 < 65536 ? 65536 : end * 2;
        uint8_t *grown = realloc(file->data, capacity);

        if (grown == NULL)
            return 0;
        memset(grown + file->capacity, 0, capacity - file->capacity);
        file->data = grown;
        file->capacity = capacity;
    }
    memcpy(file->data + file->position, data, (size_t)length);
    file->position = end;
    if (end > file->length)
        file->length = end;
    return length;
}

static toff_t memory_seek(thandle_t handle, toff_t offset, int whence)
{
    struct memory_file *file = handle;
    toff_t base = whence == SEEK_CUR ? file->position : whence == SEEK_END ? file->length : 0;

    if (base + offset > SIZE_MAX / 2)
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

static TIFF *open_tiff(struct memory_file *file, const char *mode)
{
    return TIFFClientOpen("page", mode, file, memory_read, memory_write, memory_seek, memory_close,
                          memory_size, NULL, NULL);
}

/* libtiff's handlers are global and get no context: safe from every thread, one line of text. */
static void log_tiff_error(const char *module, const char *format, va_list list)
{
    char text[256];

    vsnprintf(text, sizeof text, format, list);
    log_debug("tiff: where=%s text=%s", LOG_ESCAPED(module), LOG_ESCAPED(text));
}

void tiff_page_library_init(void)
{
    TIFFSetErrorHandler(log_tiff_error);
    TIFFSetWarningHandler(NULL); /* one per damaged row would be a flood */
}

/* ---- opening -------------------------------------------------------------------------------- */

/* Resolutions of fax pages lie between 38 and 1200 dots an inch (T.30 table 2); anything else is
 * taken for the standard that the rows suggest. */
static void read_resolution(TIFF *tiff, struct tiff_page_facts *facts)
{
    float x = 0, y = 0;
    uint16_t unit = RESUNIT_INCH;
    double factor;

    TIFFGetField(tiff, TIFFTAG_XRESOLUTION, &x);
    TIFFGetField(tiff, TIFFTAG_YRESOLUTION, &y);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_RESOLUTIONUNIT, &unit);
    factor = unit == RESUNIT_CENTIMETER ? 2.54 : 1.0;
    facts->x_dpi = (double)x * factor;
    facts->y_dpi = (double)y * factor;
    if (!isfinite(facts->x_dpi) || facts->x_dpi < 30 || facts->x_dpi > 2500)
        facts->x_dpi = 204;
    if (!isfinite(facts->y_dpi) || facts->y_dpi < 30 || facts->y_dpi > 2500)
        facts->y_dpi = facts->rows < 1400 ? 98 : 196;
}

static void read_quality(TIFF *tiff, struct tiff_page_facts *facts)
{
    uint32_t lines;
    uint16_t clean;

    facts->bad_lines = facts->clean_data = facts->bad_run = -1;
    if (TIFFGetField(tiff, TIFFTAG_BADFAXLINES, &lines) && lines <= INT_MAX)
        facts->bad_lines = (int)lines;
    if (TIFFGetField(tiff, TIFFTAG_CLEANFAXDATA, &clean) && clean <= CLEANFAXDATA_UNCLEAN)
        facts->clean_data = clean;
    if (TIFFGetField(tiff, TIFFTAG_CONSECUTIVEBADFAXLINES, &lines) && lines <= INT_MAX)
        facts->bad_run = (int)lines;
}

/* Which of the codings of T.4 and T.6 the strips are in, or OTHER where they hold extensions (the
 * uncompressed mode) that a reader of the document may not know. */
static void read_coding(TIFF *tiff, struct tiff_page_facts *facts)
{
    uint16_t compression = COMPRESSION_NONE, fill_order = FILLORDER_MSB2LSB;
    uint32_t options = 0;

    TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &compression);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_FILLORDER, &fill_order);
    facts->lsb_first = fill_order == FILLORDER_LSB2MSB;
    facts->coding = TIFF_CODING_OTHER;
    if (compression == COMPRESSION_CCITTRLE) {
        facts->coding = TIFF_CODING_RLE;
    } else if (compression == COMPRESSION_CCITTFAX3) {
        TIFFGetField(tiff, TIFFTAG_GROUP3OPTIONS, &options);
        facts->aligned_eols = (options & GROUP3OPT_FILLBITS) != 0;
        if ((options & GROUP3OPT_UNCOMPRESSED) == 0)
            facts->coding =
                (options & GROUP3OPT_2DENCODING) ? TIFF_CODING_T4_2D : TIFF_CODING_T4_1D;
    } else if (compression == COMPRESSION_CCITTFAX4) {
        TIFFGetField(tiff, TIFFTAG_GROUP4OPTIONS, &options);
        if ((options & GROUP4OPT_UNCOMPRESSED) == 0)
            facts->coding = TIFF_CODING_T6;
    }
}

/* Strips that lie one over the other would make a document many times as long as the file. */
static bool strips_fit(TIFF *tiff, uint32_t strips, size_t length)
{
    uint64_t left = length;

    for (uint32_t i = 0; i < strips; i++) {
        tmsize_t size = TIFFRawStripSize(tiff, i);

        if (size < 0 || (uint64_t)size > left)
            return false;
        left -= (uint64_t)size;
    }
    return true;
}

static int read_facts(TIFF *tiff, size_t length, struct tiff_page_facts *facts)
{
    uint32_t width = 0, rows = 0, rows_per_strip = 0, strips;
    uint16_t bits = 1, samples = 1, photometric = PHOTOMETRIC_MINISWHITE;

    if (!TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width) ||
        !TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &rows))
        return ERROR_FORMAT;
    if (width == 0 || rows == 0)
        return ERROR_FORMAT;
    if (width > TIFF_PAGE_WIDTH_MAX || rows > TIFF_PAGE_ROWS_MAX)
        return ERROR_LIMIT;
    TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &bits);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
    TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &photometric);
    if (bits != 1 || samples != 1 || TIFFIsTiled(tiff) ||
        (photometric != PHOTOMETRIC_MINISWHITE && photometric != PHOTOMETRIC_MINISBLACK))
        return ERROR_UNSUPPORTED;
    strips = TIFFNumberOfStrips(tiff);
    if (strips == 0 || strips > TIFF_PAGE_STRIPS_MAX)
        return ERROR_LIMIT;
    TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &rows_per_strip);
    if (rows_per_strip == 0 || rows_per_strip > rows)
        rows_per_strip = rows;
    if ((rows + rows_per_strip - 1) / rows_per_strip != strips || !strips_fit(tiff, strips, length))
        return ERROR_FORMAT;
    facts->width = (int)width;
    facts->rows = (int)rows;
    facts->strips = (int)strips;
    facts->rows_per_strip = (int)rows_per_strip;
    facts->black_is_one = photometric == PHOTOMETRIC_MINISWHITE;
    read_coding(tiff, facts);
    read_resolution(tiff, facts);
    read_quality(tiff, facts);
    return 0;
}

/* Takes over data, which is malloced, also on failure. */
static int open_owned(struct tiff_page **out, uint8_t *data, size_t length)
{
    struct tiff_page *page = calloc(1, sizeof *page);
    int error = ERROR_MEMORY;

    if (page == NULL) {
        free(data);
        return ERROR_MEMORY;
    }
    page->file = (struct memory_file){.data = data, .length = length, .capacity = length};
    page->tiff = open_tiff(&page->file, "rm");
    error = page->tiff == NULL ? ERROR_FORMAT : read_facts(page->tiff, length, &page->facts);
    if (error == 0 && TIFFScanlineSize(page->tiff) != (tmsize_t)tiff_page_row_bytes(page))
        error = ERROR_FORMAT;
    if (error < 0) {
        tiff_page_close(page);
        return error;
    }
    *out = page;
    return 0;
}

int tiff_page_open(struct tiff_page **out, int dir_fd, const char *name)
{
    char *data;
    size_t length;
    int error = file_read(dir_fd, name, TIFF_PAGE_FILE_MAX, &data, &length);

    return error < 0 ? error : open_owned(out, (uint8_t *)data, length);
}

int tiff_page_open_memory(struct tiff_page **out, const void *data, size_t length)
{
    uint8_t *copy;

    if (length > TIFF_PAGE_FILE_MAX)
        return ERROR_LIMIT;
    copy = malloc(length + 1);
    if (copy == NULL)
        return ERROR_MEMORY;
    memcpy(copy, data, length);
    return open_owned(out, copy, length);
}

void tiff_page_close(struct tiff_page *page)
{
    if (page == NULL)
        return;
    if (page->tiff != NULL)
        TIFFClose(page->tiff);
    free(page->strip);
    free(page->file.data);
    free(page);
}

const struct tiff_page_facts *tiff_page_facts(const struct tiff_page *page)
{
    return &page->facts;
}

/* ---- pixels --------------------------------------------------------------------------------- */

size_t tiff_page_row_bytes(const struct tiff_page *page)
{
    return ((size_t)page->facts.width + 7) / 8;
}

int tiff_page_row(struct tiff_page *page, int row, uint8_t *out)
{
    size_t bytes = tiff_page_row_bytes(page);

    if (row < 0 || row >= page->facts.rows)
        return ERROR_STATE;
    if (TIFFReadScanline(page->tiff, out, (uint32_t)row, 0) != 1)
        return ERROR_FORMAT;
    if (!page->facts.black_is_one)
        for (size_t i = 0; i < bytes; i++)
            out[i] = (uint8_t)~out[i];
    if (page->facts.width % 8 != 0)
        out[bytes - 1] &= (uint8_t)(0xff00u >> (page->facts.width % 8));
    return 0;
}

int tiff_page_check(struct tiff_page *page)
{
    uint8_t *row = malloc(tiff_page_row_bytes(page));
    int error = row == NULL ? ERROR_MEMORY : 0;

    for (int i = 0; error == 0 && i < page->facts.rows; i++)
        error = tiff_page_row(page, i, row);
    free(row);
    return error;
}

/* ---- strips --------------------------------------------------------------------------------- */

int tiff_page_strip(struct tiff_page *page, int strip, uint8_t **out, size_t *out_length,
                    int *out_rows)
{
    const struct tiff_page_facts *facts = &page->facts;
    tmsize_t size;
    uint8_t *data;

    if (strip < 0 || strip >= facts->strips)
        return ERROR_STATE;
    size = TIFFRawStripSize(page->tiff, (uint32_t)strip);
    if (size <= 0 || (size_t)size > page->file.length)
        return ERROR_FORMAT;
    data = malloc((size_t)size);
    if (data == NULL)
        return ERROR_MEMORY;
    if (TIFFReadRawStrip(page->tiff, (uint32_t)strip, data, size) != size) {
        free(data);
        return ERROR_FORMAT;
    }
    free(page->strip);
    page->strip = data;
    *out = data;
    *out_length = (size_t)size;
    *out_rows = strip + 1 < facts->strips ? facts->rows_per_strip
                                          : facts->rows - strip * facts->rows_per_strip;
    return 0;
}

void tiff_page_reverse_bits(uint8_t *data, size_t length)
{
    TIFFReverseBits(data, (tmsize_t)length);
}

static void set_recode_fields(TIFF *tiff, const struct tiff_page_facts *facts,
                              enum tiff_coding coding)
{
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, (uint32_t)facts->width);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, (uint32_t)facts->rows);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 1);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
    TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, (uint32_t)facts->rows);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISWHITE);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    if (coding == TIFF_CODING_T6) {
        TIFFSetField(tiff, TIFFTAG_FILLORDER, FILLORDER_MSB2LSB);
        TIFFSetField(tiff, TIFFTAG_COMPRESSION, COMPRESSION_CCITTFAX4);
    } else {
        TIFFSetField(tiff, TIFFTAG_FILLORDER, FILLORDER_LSB2MSB);
        TIFFSetField(tiff, TIFFTAG_COMPRESSION, COMPRESSION_CCITTFAX3);
        TIFFSetField(tiff, TIFFTAG_GROUP3OPTIONS, (uint32_t)GROUP3OPT_FILLBITS);
        TIFFSetField(tiff, TIFFTAG_FAXMODE, FAXMODE_CLASSF);
    }
}

/* Where libtiff put its one strip within the file in memory. */
static int take_strip(TIFF *tiff, const struct memory_file *file, uint8_t **out, size_t *out_length)
{
    uint64_t *offsets = NULL, *lengths = NULL;
    uint8_t *copy;

    if (!TIFFGetField(tiff, TIFFTAG_STRIPOFFSETS, &offsets) ||
        !TIFFGetField(tiff, TIFFTAG_STRIPBYTECOUNTS, &lengths))
        return ERROR_LIBRARY;
    if (lengths[0] == 0 || offsets[0] > file->length || lengths[0] > file->length - offsets[0])
        return ERROR_LIBRARY;
    copy = malloc((size_t)lengths[0]);
    if (copy == NULL)
        return ERROR_MEMORY;
    memcpy(copy, file->data + offsets[0], (size_t)lengths[0]);
    *out = copy;
    *out_length = (size_t)lengths[0];
    return 0;
}

int tiff_page_recode(struct tiff_page *page, enum tiff_coding coding, uint8_t **out,
                     size_t *out_length)
{
    struct memory_file file = {.limit = TIFF_PAGE_FILE_MAX};
    TIFF *tiff = open_tiff(&file, "wl");
    uint8_t *row = malloc(tiff_page_row_bytes(page));
    int error = tiff == NULL || row == NULL ? ERROR_MEMORY : 0;

    if (error == 0)
        set_recode_fields(tiff, &page->facts, coding);
    for (int i = 0; error == 0 && i < page->facts.rows; i++) {
        error = tiff_page_row(page, i, row);
        if (error == 0 && TIFFWriteScanline(tiff, row, (uint32_t)i, 0) != 1)
            error = ERROR_LIBRARY;
    }
    if (error == 0 && !TIFFFlushData(tiff))
        error = ERROR_LIBRARY;
    if (error == 0)
        error = take_strip(tiff, &file, out, out_length);
    if (tiff != NULL)
        TIFFClose(tiff);
    free(row);
    free(file.data);
    return error;
}
