/* SPDX-License-Identifier: MIT */
/* The small picture: shape, greys by area, size; its PNG inflated by hand. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/error.h"
#include "message/picture.h"
#include "test/unit/message_rig.h"

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The pixels of a PNG as picture_png() writes it, in shades 0 … most; chunks checked. */
static uint8_t *read_png(const uint8_t *png, size_t length, int *width, int *height, int *bits)
{
    uLongf raw_length;
    uint8_t *raw, *pixels;
    size_t at = 8, row_bytes;

    assert_memory_equal(png, "\x89PNG\r\n\x1a\n", 8);
    *width = (int)read_u32(png + 16);
    *height = (int)read_u32(png + 20);
    *bits = png[24];
    assert_memory_equal(png + 25, "\0\0\0\0", 4);
    row_bytes = ((size_t)*width * (size_t)*bits + 7) / 8 + 1;
    raw_length = row_bytes * (size_t)*height;
    raw = malloc(raw_length);
    while (at < length) {
        uint32_t chunk = read_u32(png + at);

        assert_true(chunk <= length - at - 12);
        assert_int_equal(read_u32(png + at + 8 + chunk), crc32(0, png + at + 4, chunk + 4));
        if (memcmp(png + at + 4, "IDAT", 4) == 0)
            assert_int_equal(uncompress(raw, &raw_length, png + at + 8, chunk), Z_OK);
        at += chunk + 12;
    }
    assert_int_equal(at, length);
    assert_memory_equal(png + length - 8, "IEND", 4);
    assert_int_equal(raw_length, row_bytes * (size_t)*height);
    pixels = malloc((size_t)*width * (size_t)*height);
    for (int y = 0; y < *height; y++)
        for (int x = 0; x < *width; x++)
            pixels[y * *width + x] =
                (uint8_t)(raw[(size_t)y * row_bytes + 1 + (size_t)(x * *bits) / 8] >>
                              (8 - *bits - x * *bits % 8) &
                          ((1 << *bits) - 1));
    free(raw);
    return pixels;
}

static int make(struct picture *picture, const struct rig_page *page)
{
    struct tiff_page *opened;
    int dir_fd = open(rig_folder, O_RDONLY | O_DIRECTORY);
    int error;

    rig_page_write(rig_folder, "page.tif", page);
    assert_int_equal(tiff_page_open(&opened, dir_fd, "page.tif"), 0);
    close(dir_fd);
    error = picture_make(picture, opened);
    tiff_page_close(opened);
    return error;
}

static void shape_is_that_of_the_paper(void **state)
{
    static const struct {
        struct rig_page page;
        int width, height;
    } rows[] = {
        {{1728, 2290, 4, 0, .x = 204, .y = 196}, 480, 662},
        {{1728, 1145, 4, 0, .x = 204, .y = 98}, 480, 662},
        {{1728, 4580, 4, 0, .x = 204, .y = 391}, 480, 664},
        {{3456, 4580, 4, 0, .x = 408, .y = 391}, 480, 664},
        {{2592, 3508, 4, 0, .x = 300, .y = 300}, 480, 650},
        {{2432, 2290, 3, 1, .x = 204, .y = 196}, 480, 470},
        {{864, 1000, 4, 0, .x = 204, .y = 98}, 480, 960},    /* rows spread over more than one */
        {{100, 100, 4, 0, .x = 204, .y = 204}, 100, 100},    /* never made larger */
        {{1728, 20000, 4, 0, .x = 204, .y = 196}, 480, 960}, /* the beginning of a long one */
        {{1728, 1, 4, 0, .x = 204, .y = 196}, 480, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct picture picture;
        int width, height, bits;

        assert_int_equal(make(&picture, &rows[i].page), 0);
        assert_int_equal(picture.width, rows[i].width);
        assert_int_equal(picture.height, rows[i].height);
        free(read_png(picture.png, picture.length, &width, &height, &bits));
        assert_int_equal(width, rows[i].width);
        assert_int_equal(height, rows[i].height);
        assert_true(picture.length <= PICTURE_BYTES_GOOD);
        picture_free(&picture);
        picture_free(&picture);
    }
}

/* Ink in the picture is the share of black on the page, place by place. */
static void greys_are_areas(void **state)
{
    const struct rig_page page = {1728, 1146, 4, 0, .x = 204, .y = 98};
    uint8_t *pixels = rig_page_pixels(&page), *shades;
    struct picture picture;
    int width, height, bits, wrong = 0;

    (void)state;
    assert_int_equal(make(&picture, &page), 0);
    shades = read_png(picture.png, picture.length, &width, &height, &bits);
    for (int cell = 0; cell < 12 * 12; cell++) {
        double black = 0, ink = 0;
        int count = 0, shade_count = 0;

        for (int y = cell / 12 * page.rows / 12; y < (cell / 12 + 1) * page.rows / 12; y++)
            for (int x = cell % 12 * 144; x < (cell % 12 + 1) * 144; x++, count++)
                black += pixels[y * 216 + x / 8] >> (7 - x % 8) & 1;
        for (int y = cell / 12 * height / 12; y < (cell / 12 + 1) * height / 12; y++)
            for (int x = cell % 12 * 40; x < (cell % 12 + 1) * 40; x++, shade_count++)
                ink += 1 - shades[y * width + x] / (double)((1 << bits) - 1);
        black /= count;
        ink /= shade_count;
        /* darkened at most by half, never paler but for the rounding of shades */
        if (ink < black - 0.06 || ink > black * 1.5 + 0.06)
            wrong++;
    }
    assert_int_equal(wrong, 0);
    free(pixels);
    free(shades);
    picture_free(&picture);
}

static void shades_are_exact(void **state)
{
    static const uint8_t grey[] = {0, 85, 170, 255, 128, 255, 0, 17, 34, 51};

    (void)state;
    for (int bits = 1; bits <= 8; bits *= 2) {
        uint8_t *png, *shades;
        size_t length;
        int width, height, read_bits;

        assert_int_equal(picture_png(&png, &length, grey, 5, 2, bits), 0);
        shades = read_png(png, length, &width, &height, &read_bits);
        assert_int_equal(read_bits, bits);
        for (int i = 0; i < 10; i++)
            assert_int_equal(shades[i], (grey[i] * ((1 << bits) - 1) + 127) / 255);
        free(shades);
        free(png);
    }
}

static void damaged_pages_give_no_picture(void **state)
{
    const struct rig_page page = {1728, 500, 1, 0, .x = 204, .y = 196};
    struct picture picture;
    struct tiff_page *opened;
    size_t length;
    uint8_t *data;
    int error;

    (void)state;
    rig_page_write(rig_folder, "page.tif", &page);
    data = rig_file_read(rig_folder, "page.tif", &length);
    data[4] = data[5] = 0xff; /* the directory is not there */
    assert_int_equal(tiff_page_open_memory(&opened, data, length), ERROR_FORMAT);
    free(data);
    rig_page_write(rig_folder, "page.tif",
                   &(struct rig_page){1728, 500, 3, 0, .x = 204, .y = 196, .seed = 4});
    data = rig_file_read(rig_folder, "page.tif", &length);
    memset(data + 8, 0, length / 2); /* rows that never come */
    error = tiff_page_open_memory(&opened, data, length);
    if (error == 0) {
        error = picture_make(&picture, opened);
        if (error == 0)
            picture_free(&picture);
        tiff_page_close(opened);
    }
    assert_true(error == 0 || error == ERROR_FORMAT);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shape_is_that_of_the_paper),
        cmocka_unit_test(greys_are_areas),
        cmocka_unit_test(shades_are_exact),
        cmocka_unit_test(damaged_pages_give_no_picture),
    };

    return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
