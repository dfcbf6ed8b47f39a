/* SPDX-License-Identifier: MIT */
/*
 * picture.c - black of each source row is spread over the columns and rows it covers, in 1/256 of a
 * column and as float rows; then grey levels, then PNG (ISO 15948) by zlib.
 */
#include "message/picture.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/buffer.h"
#include "base/error.h"

/* A page being made smaller. */
struct shrink {
    int source_width, width, height;
    double rows_per_row; /* picture rows that one row of the page covers */
    float *ink;          /* [height][width]: black, 0 … 1 */
    float *line;         /* [width]: black of the row at hand, 0 … 1 */
};

static void shrink_free(struct shrink *shrink)
{
    free(shrink->ink);
    free(shrink->line);
}

static int shrink_init(struct shrink *shrink, const struct tiff_page_facts *facts)
{
    double height;

    *shrink = (struct shrink){.source_width = facts->width};
    shrink->width = facts->width < PICTURE_WIDTH ? facts->width : PICTURE_WIDTH;
    shrink->rows_per_row = (double)shrink->width / facts->width * facts->x_dpi / facts->y_dpi;
    height = facts->rows * shrink->rows_per_row;
    shrink->height = height > PICTURE_HEIGHT_MAX ? PICTURE_HEIGHT_MAX : (int)(height + 0.5);
    shrink->height = shrink->height < 1 ? 1 : shrink->height;
    shrink->ink = calloc((size_t)shrink->width * (size_t)shrink->height, sizeof *shrink->ink);
    shrink->line = malloc((size_t)shrink->width * sizeof *shrink->line);
    if (shrink->ink == NULL || shrink->line == NULL) {
        shrink_free(shrink);
        return ERROR_MEMORY;
    }
    return 0;
}

/* Black per picture column. A pixel of the page may lie across two columns. */
static void shrink_line(struct shrink *shrink, const uint8_t *bits)
{
    float scale = (float)shrink->width / (float)shrink->source_width;

    for (int i = 0; i < shrink->width; i++)
        shrink->line[i] = 0;
    for (int x = 0; x < shrink->source_width; x++) {
        float left, right;
        int column;

        if (x % 8 == 0 && bits[x / 8] == 0) {
            x += 7;
            continue;
        }
        if ((bits[x / 8] & 0x80 >> x % 8) == 0)
            continue;
        left = (float)x * scale;
        right = left + scale;
        column = (int)left;
        if (column >= shrink->width)
            break;
        if (right <= (float)(column + 1) || column + 1 >= shrink->width) {
            shrink->line[column] += scale;
        } else {
            shrink->line[column] += (float)(column + 1) - left;
            shrink->line[column + 1] += right - (float)(column + 1);
        }
    }
}

/* Adds the line to the picture rows it covers, each by its share. False when the picture is full.
 */
static bool shrink_add(struct shrink *shrink, int row)
{
    double top = row * shrink->rows_per_row;
    double bottom = top + shrink->rows_per_row;

    if (top >= shrink->height)
        return false;
    for (int y = (int)top; y < shrink->height && y < bottom; y++) {
        double from = top > y ? top : y;
        double to = bottom < y + 1 ? bottom : y + 1;
        float share = (float)(to - from);
        float *ink = shrink->ink + (size_t)y * (size_t)shrink->width;

        for (int x = 0; x < shrink->width && share > 0; x++)
            ink[x] += shrink->line[x] * share;
    }
    return true;
}

/* Black to grey, somewhat darkened: thin strokes made smaller turn pale otherwise. */
static uint8_t *shrink_grey(const struct shrink *shrink)
{
    size_t count = (size_t)shrink->width * (size_t)shrink->height;
    uint8_t *grey = malloc(count);

    for (size_t i = 0; grey != NULL && i < count; i++) {
        float ink = shrink->ink[i] < 1 ? shrink->ink[i] : 1;

        ink = ink * (1.5f - 0.5f * ink);
        grey[i] = (uint8_t)(255.5f - 255.0f * (ink < 1 ? ink : 1));
    }
    return grey;
}

int picture_make(struct picture *out, struct tiff_page *page)
{
    static const int shades[] = {4, 2, 1};
    const struct tiff_page_facts *facts = tiff_page_facts(page);
    struct picture picture = {0};
    struct shrink shrink;
    uint8_t *bits, *grey = NULL;
    int error = shrink_init(&shrink, facts);

    if (error < 0)
        return error;
    bits = malloc(tiff_page_row_bytes(page));
    error = bits == NULL ? ERROR_MEMORY : 0;
    for (int row = 0; row < facts->rows && error == 0; row++) {
        error = tiff_page_row(page, row, bits);
        if (error == 0)
            shrink_line(&shrink, bits);
        if (error == 0 && !shrink_add(&shrink, row))
            break;
    }
    if (error == 0 && (grey = shrink_grey(&shrink)) == NULL)
        error = ERROR_MEMORY;
    for (size_t i = 0; i < sizeof shades / sizeof shades[0] && error == 0; i++) {
        free(picture.png);
        picture.png = NULL;
        error = picture_png(&picture.png, &picture.length, grey, shrink.width, shrink.height,
                            shades[i]);
        if (error == 0 && picture.length <= PICTURE_BYTES_GOOD)
            break;
    }
    if (error == 0) {
        picture.width = shrink.width;
        picture.height = shrink.height;
        *out = picture;
    }
    free(grey);
    free(bits);
    shrink_free(&shrink);
    return error;
}

void picture_free(struct picture *picture)
{
    if (picture == NULL)
        return;
    free(picture->png);
    *picture = (struct picture){0};
}

/* ---- PNG ------------------------------------------------------------------------------------ */

static void put_u32(uint8_t out[4], uint32_t value)
{
    out[0] = (uint8_t)(value >> 24);
    out[1] = (uint8_t)(value >> 16);
    out[2] = (uint8_t)(value >> 8);
    out[3] = (uint8_t)value;
}

static void add_chunk(struct buffer *png, const char *type, const uint8_t *data, size_t length)
{
    uint8_t number[4];
    uLong sum = crc32(0, (const Bytef *)type, 4);

    if (length > 0)
        sum = crc32(sum, data, (uInt)length);
    put_u32(number, (uint32_t)length);
    buffer_add(png, number, 4);
    buffer_add(png, type, 4);
    buffer_add(png, data, length);
    put_u32(number, (uint32_t)sum);
    buffer_add(png, number, 4);
}

/* Rows as PNG has them: filter 0, then pixels packed from the left. */
static uint8_t *pack_rows(const uint8_t *grey, int width, int height, int bits, size_t *out_length)
{
    size_t row_bytes = ((size_t)width * (size_t)bits + 7) / 8 + 1;
    uint8_t *packed = calloc((size_t)height, row_bytes);
    unsigned most = (1u << bits) - 1;

    for (int y = 0; packed != NULL && y < height; y++) {
        uint8_t *row = packed + (size_t)y * row_bytes + 1;

        for (int x = 0; x < width; x++) {
            unsigned level = (grey[(size_t)y * (size_t)width + (size_t)x] * most + 127) / 255;

            row[x * bits / 8] |= (uint8_t)(level << (8 - bits - x * bits % 8));
        }
    }
    *out_length = (size_t)height * row_bytes;
    return packed;
}

int picture_png(uint8_t **out, size_t *out_length, const uint8_t *grey, int width, int height,
                int bits)
{
    uint8_t header[13] = {[8] = (uint8_t)bits}; /* grey, deflate, no interlace */
    struct buffer png;
    size_t raw_length = 0;
    uint8_t *raw = pack_rows(grey, width, height, bits, &raw_length);
    uLongf length = compressBound((uLong)raw_length);
    uint8_t *packed = malloc(length);
    int error = raw == NULL || packed == NULL ? ERROR_MEMORY : 0;

    buffer_init(&png, PICTURE_BYTES_MAX);
    if (error == 0 && compress2(packed, &length, raw, (uLong)raw_length, 9) != Z_OK)
        error = ERROR_MEMORY;
    if (error == 0) {
        put_u32(header, (uint32_t)width);
        put_u32(header + 4, (uint32_t)height);
        buffer_add(&png, "\x89PNG\r\n\x1a\n", 8);
        add_chunk(&png, "IHDR", header, sizeof header);
        add_chunk(&png, "IDAT", packed, length);
        add_chunk(&png, "IEND", NULL, 0);
        error = png.error;
    }
    free(raw);
    free(packed);
    if (error < 0) {
        buffer_free(&png);
        return error;
    }
    *out = png.data;
    *out_length = png.length;
    return 0;
}
