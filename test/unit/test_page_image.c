/* SPDX-License-Identifier: MIT */
/* A page as TIFF-F: what readers find in it, and what it tells of damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <tiffio.h>

#include "base/error.h"
#include "fax/t30/page_image.h"

enum { WIDTH = 1728, ROWS = 20, ROW_BYTES = WIDTH / 8 };

static uint8_t rows[ROWS][ROW_BYTES];

static struct page_bitmap page(void)
{
    for (int y = 0; y < ROWS; y++)
        memset(rows[y] + y, 0xff, 40);
    return (struct page_bitmap){.rows = rows[0],
                                .width = WIDTH,
                                .length = ROWS,
                                .bytes_per_row = ROW_BYTES,
                                .x_per_m = 8031,
                                .y_per_m = 3850};
}

static TIFF *written(const struct page_bitmap *bitmap, int number)
{
    uint8_t *data;
    size_t length;
    int fd = memfd_create("page", MFD_CLOEXEC);
    TIFF *tiff;

    assert_true(fd >= 0);
    assert_int_equal(page_image_encode(&data, &length, bitmap, number), 0);
    assert_int_equal(pwrite(fd, data, length, 0), length);
    free(data);
    tiff = TIFFFdOpen(fd, "page", "r");
    assert_non_null(tiff);
    return tiff;
}

static void rows_come_back(void **state)
{
    struct page_bitmap bitmap = page();
    TIFF *tiff = written(&bitmap, 3);
    uint8_t row[ROW_BYTES];
    uint16_t number, of;
    float x, y;

    (void)state;
    for (int i = 0; i < ROWS; i++) {
        assert_int_equal(TIFFReadScanline(tiff, row, (uint32_t)i, 0), 1);
        assert_memory_equal(row, rows[i], sizeof row);
    }
    assert_int_equal(TIFFGetField(tiff, TIFFTAG_PAGENUMBER, &number, &of), 1);
    assert_int_equal(number, 2);
    assert_int_equal(TIFFGetField(tiff, TIFFTAG_XRESOLUTION, &x), 1);
    assert_int_equal(TIFFGetField(tiff, TIFFTAG_YRESOLUTION, &y), 1);
    assert_true(x > 203.5f && x < 204.5f && y > 97.5f && y < 98.5f);
    TIFFClose(tiff);
}

static const struct {
    int bad_rows, longest_bad_run;
    uint16_t clean;
    uint32_t run;
} damages[] = {
    {0, 0, CLEANFAXDATA_CLEAN, 0},
    {5, 3, CLEANFAXDATA_REGENERATED, 3},
    {5, 0, CLEANFAXDATA_REGENERATED, 1}, /* rows that never came */
};

static void damage_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        struct page_bitmap bitmap = page();
        uint32_t bad = 0, run = 0;
        uint16_t clean;
        TIFF *tiff;

        bitmap.bad_rows = damages[i].bad_rows;
        bitmap.longest_bad_run = damages[i].longest_bad_run;
        tiff = written(&bitmap, 1);
        assert_int_equal(TIFFGetField(tiff, TIFFTAG_CLEANFAXDATA, &clean), 1);
        assert_int_equal(clean, damages[i].clean);
        assert_int_equal(TIFFGetField(tiff, TIFFTAG_BADFAXLINES, &bad), damages[i].bad_rows > 0);
        assert_int_equal(bad, damages[i].bad_rows);
        TIFFGetField(tiff, TIFFTAG_CONSECUTIVEBADFAXLINES, &run);
        assert_int_equal(run, damages[i].run);
        TIFFClose(tiff);
    }
}

static void no_rows_no_page(void **state)
{
    struct page_bitmap bitmap = page();
    uint8_t *data;
    size_t length;

    (void)state;
    bitmap.length = 0;
    assert_int_equal(page_image_encode(&data, &length, &bitmap, 1), ERROR_FORMAT);
}

/* Two pages of one form: every row has the same ruling, three rows what is written. */
static void forms_are_told_apart(void **state)
{
    static uint8_t form[2][ROWS][ROW_BYTES];
    struct page_bitmap bitmap = page();
    struct page_print prints[3];

    (void)state;
    memset(form, 0x81, sizeof form);
    for (int n = 0; n < 2; n++) {
        for (int y = 5; y < 8; y++)
            form[n][y][10 + n] = (uint8_t)(0x10 + y);
        bitmap.rows = form[n][0];
        assert_int_equal(page_print_take(&prints[n], &bitmap), 0);
    }
    form[1][5][40] ^= 0xff; /* a row that came in damaged */
    assert_int_equal(page_print_take(&prints[2], &bitmap), 0);
    assert_false(page_print_is_like(&prints[0], &prints[1]));
    assert_true(page_print_is_like(&prints[1], &prints[2]));
    for (int n = 0; n < 3; n++)
        page_print_free(&prints[n]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back),
        cmocka_unit_test(damage_is_told),
        cmocka_unit_test(no_rows_no_page),
        cmocka_unit_test(forms_are_told_apart),
    };

    page_image_library_init();
    return cmocka_run_group_tests_name("page_image", tests, NULL, NULL);
}
