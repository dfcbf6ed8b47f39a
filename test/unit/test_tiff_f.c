/* SPDX-License-Identifier: MIT */
/* The TIFF-F document: both profiles, read back by libtiff, and pages that are no pages. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <tiff.h>

#include "base/error.h"
#include "message/tiff_f.h"
#include "test/unit/message_rig.h"

static char out_path[2 * RIG_PATH_MAX];

static int set_up(void **state)
{
    rig_set_up(state);
    snprintf(out_path, sizeof out_path, "%s/out.tif", rig_folder);
    return 0;
}

static const struct rig_page pages[] = {
    {1728, 300, 4, 0, .x = 204, .y = 196, .quality = true},
    {1728, 301, 4, 0, true, .x = 204, .y = 98, .seed = 1},
    {1728, 300, 3, 0, .x = 203.2, .y = 97.8, .seed = 2},
    {1728, 300, 3, 4, true, .x = 200, .y = 100, .seed = 3},
    {1728, 300, 3, 1, .rows_per_strip = 70, .x = 204, .y = 196, .seed = 4},
    {2048, 300, 3, 5, true, .x = 204, .y = 391, .seed = 5},
    {2432, 300, 4, 0, false, true, .x = 204, .y = 196, .seed = 6},
    {3456, 200, 4, 0, .rows_per_strip = 9, .x = 160.63, .y = 154, .centimetres = true, .seed = 7},
    {1733, 10, 2, 0, .x = 204, .y = 196, .seed = 8},
    {1728, 20, 1, 0, .x = 204, .y = 196, .seed = 9},
};

enum { PAGES = sizeof pages / sizeof pages[0] };

static char *page_name(char out[32], int i)
{
    snprintf(out, 32, "p%d.tif", i);
    return out;
}

static void make_document(enum tiff_profile profile)
{
    struct tiff_f *document;
    int64_t bytes;
    int fd = open(out_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    int dir_fd = open(rig_folder, O_RDONLY | O_DIRECTORY);

    assert_int_equal(tiff_f_new(&document, fd, profile, PAGES), 0);
    for (int i = 0; i < PAGES; i++) {
        struct tiff_page *page;
        char name[32];

        assert_int_equal(tiff_f_finish(document, &bytes), ERROR_STATE);
        rig_page_write(rig_folder, page_name(name, i), &pages[i]);
        assert_int_equal(tiff_page_open(&page, dir_fd, name), 0);
        assert_int_equal(tiff_f_add_page(document, page), 0);
        tiff_page_close(page);
    }
    assert_int_equal(tiff_f_finish(document, &bytes), 0);
    assert_int_equal(bytes, lseek(fd, 0, SEEK_END));
    tiff_f_free(document);
    close(dir_fd);
    close(fd);
}

static void check_pixels(void)
{
    assert_int_equal(rig_tiff_pages(out_path), PAGES);
    for (int i = 0; i < PAGES; i++) {
        uint8_t *expected = rig_page_pixels(&pages[i]);
        int width, rows;
        uint8_t *got = rig_tiff_pixels(out_path, i, &width, &rows);

        assert_non_null(got);
        assert_int_equal(width, pages[i].width);
        assert_int_equal(rows, pages[i].rows);
        assert_memory_equal(got, expected, (size_t)rows * (((size_t)width + 7) / 8));
        assert_int_equal(rig_tiff_u32(out_path, i, TIFFTAG_SUBFILETYPE), FILETYPE_PAGE);
        assert_int_equal(rig_tiff_u16(out_path, i, TIFFTAG_PAGENUMBER), i);
        assert_int_equal(rig_tiff_u16(out_path, i, TIFFTAG_RESOLUTIONUNIT), RESUNIT_INCH);
        free(expected);
        free(got);
    }
}

static void profile_f_passes_strips(void **state)
{
    (void)state;
    make_document(TIFF_PROFILE_F);
    check_pixels();
    for (int i = 0; i < 8; i++) {
        int strips = pages[i].rows_per_strip == 0
                         ? 1
                         : (pages[i].rows + pages[i].rows_per_strip - 1) / pages[i].rows_per_strip;
        char name[32], path[2 * RIG_PATH_MAX + 40];

        snprintf(path, sizeof path, "%s/%s", rig_folder, page_name(name, i));
        for (int s = 0; s < strips; s++) {
            size_t length, expected_length;
            uint8_t *expected = rig_tiff_strip(path, 0, s, &expected_length);
            uint8_t *got = rig_tiff_strip(out_path, i, s, &length);

            assert_int_equal(length, expected_length);
            assert_memory_equal(got, expected, length);
            free(expected);
            free(got);
        }
        assert_int_equal(rig_tiff_u16(out_path, i, TIFFTAG_COMPRESSION), pages[i].compression);
    }
    assert_int_equal(rig_tiff_u32(out_path, 4, TIFFTAG_GROUP3OPTIONS), 1);
    assert_int_equal(rig_tiff_u32(out_path, 5, TIFFTAG_GROUP3OPTIONS), 5);
    assert_int_equal(rig_tiff_u32(out_path, 0, TIFFTAG_BADFAXLINES), 3);
    assert_int_equal(rig_tiff_u16(out_path, 0, TIFFTAG_CLEANFAXDATA), CLEANFAXDATA_REGENERATED);
    assert_int_equal(rig_tiff_u32(out_path, 0, TIFFTAG_CONSECUTIVEBADFAXLINES), 2);
    assert_float_equal(rig_tiff_float(out_path, 2, TIFFTAG_XRESOLUTION), 203.2, 0.01);
    assert_float_equal(rig_tiff_float(out_path, 7, TIFFTAG_XRESOLUTION), 408, 0.01);
}

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* RFC 3949 3: little-endian, first directory behind the header, directories before their one strip
 * and in order, MH, LSB first, black is one, no RTC. */
static void profile_s_is_minimal(void **state)
{
    size_t length;
    uint8_t *data;
    uint32_t directory = 8;

    (void)state;
    make_document(TIFF_PROFILE_S);
    check_pixels();
    data = rig_file_read(rig_folder, "out.tif", &length);
    assert_memory_equal(data, "II*\0\10\0\0\0", 8);
    for (int i = 0; i < PAGES; i++) {
        int entries = data[directory] | data[directory + 1] << 8;
        uint32_t next, strip = 0, last_tag = 0;

        for (int k = 0; k < entries; k++) {
            const uint8_t *entry = data + directory + 2 + 12 * k;
            uint32_t tag = (uint32_t)entry[0] | (uint32_t)entry[1] << 8;

            assert_true(tag > last_tag);
            last_tag = tag;
            if (tag == TIFFTAG_STRIPOFFSETS) {
                assert_int_equal(read_u32(entry + 4), 1);
                strip = read_u32(entry + 8);
            }
        }
        next = read_u32(data + directory + 2 + 12 * entries);
        assert_true(strip > directory && strip < length);
        assert_true(i == PAGES - 1 ? next == 0 : next > strip && next % 2 == 0);
        directory = next;
        assert_int_equal(rig_tiff_u16(out_path, i, TIFFTAG_COMPRESSION), COMPRESSION_CCITTFAX3);
        assert_int_equal(rig_tiff_u16(out_path, i, TIFFTAG_FILLORDER), FILLORDER_LSB2MSB);
        assert_int_equal(rig_tiff_u16(out_path, i, TIFFTAG_PHOTOMETRIC), PHOTOMETRIC_MINISWHITE);
        assert_int_equal(rig_tiff_u32(out_path, i, TIFFTAG_GROUP3OPTIONS), GROUP3OPT_FILLBITS);
        assert_int_equal(rig_tiff_u32(out_path, i, TIFFTAG_ROWSPERSTRIP), pages[i].rows);
    }
    assert_float_equal(rig_tiff_float(out_path, 2, TIFFTAG_XRESOLUTION), 204, 0.001);
    assert_float_equal(rig_tiff_float(out_path, 2, TIFFTAG_YRESOLUTION), 98, 0.001);
    free(data);
}

/* ---- pages that are none -------------------------------------------------------------------- */

/* A little-endian TIFF of one strip with these values, everything else in order. */
static size_t forge(uint8_t out[512], uint32_t width, uint32_t rows, uint32_t rows_per_strip,
                    uint32_t strip_at, uint32_t strip_bytes, uint16_t bits, uint16_t compression)
{
    const uint32_t entries[][3] = {
        {256, 4, width},       {257, 4, rows},     {258, 3, bits}, {259, 3, compression},
        {262, 3, 0},           {273, 4, strip_at}, {277, 3, 1},    {278, 4, rows_per_strip},
        {279, 4, strip_bytes},
    };
    size_t length = 0;

    memcpy(out, "II*\0\10\0\0\0\11\0", 10);
    length = 10;
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        const uint32_t values[] = {entries[i][0] | entries[i][1] << 16, 1, entries[i][2]};

        for (int k = 0; k < 3; k++)
            for (int b = 0; b < 4; b++)
                out[length++] = (uint8_t)(values[k] >> 8 * b);
    }
    memset(out + length, 0, 512 - length);
    return 200;
}

static void hostile_pages_are_refused(void **state)
{
    static const struct {
        const char *name;
        uint32_t width, rows, rows_per_strip, strip_at, strip_bytes;
        uint16_t bits, compression;
    } rows[] = {
        {"zero width", 0, 100, 100, 130, 50, 1, 4},
        {"zero rows", 1728, 0, 100, 130, 50, 1, 4},
        {"huge width", 0x7fffffff, 100, 100, 130, 50, 1, 4},
        {"huge rows", 1728, 0xffffffff, 0xffffffff, 130, 50, 1, 4},
        {"four thousand million strips", 1728, 0xffffffff, 1, 130, 50, 1, 4},
        {"more strips than data", 1728, 100000, 1, 130, 50, 1, 4},
        {"strip behind the end", 1728, 100, 100, 100000, 50, 1, 4},
        {"strip longer than the file", 1728, 100, 100, 130, 0x7fffffff, 1, 4},
        {"empty strip", 1728, 100, 100, 130, 0, 1, 4},
        {"eight bits", 1728, 100, 100, 130, 50, 8, 4},
        {"JPEG", 1728, 100, 100, 130, 50, 1, 7},
        {"unknown compression", 1728, 100, 100, 130, 50, 1, 9999},
        {"data that end early", 1728, 60000, 60000, 130, 50, 1, 3},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t data[512];
        struct tiff_page *page = NULL;
        size_t length =
            forge(data, rows[i].width, rows[i].rows, rows[i].rows_per_strip, rows[i].strip_at,
                  rows[i].strip_bytes, rows[i].bits, rows[i].compression);
        int error = tiff_page_open_memory(&page, data, length);

        print_message("%s\n", rows[i].name);
        if (error == 0) {
            error = tiff_page_check(page);
            tiff_page_close(page);
        }
        assert_true(error == ERROR_FORMAT || error == ERROR_LIMIT || error == ERROR_UNSUPPORTED);
    }
}

/* Strips that share their octets: a document of such a page would be many times as long. */
static void strips_one_over_the_other_are_refused(void **state)
{
    enum { STRIPS = 32, AT = 8, BYTES = 4000, FIELDS = 9 };
    static const uint32_t fields[FIELDS][3] = {
        {256, 1, 1728},
        {257, 1, STRIPS},
        {258, 1, 1},
        {259, 1, 4},
        {262, 1, 0},
        {273, STRIPS, AT + BYTES + 2 + FIELDS * 12 + 4},
        {277, 1, 1},
        {278, 1, 1},
        {279, STRIPS, AT + BYTES + 2 + FIELDS * 12 + 4 + STRIPS * 4},
    };
    static uint8_t data[AT + BYTES + 2 + FIELDS * 12 + 4 + STRIPS * 8];
    struct tiff_page *page = NULL;
    uint8_t *at = data + AT + BYTES;
    int error;

    (void)state;
    memset(data, 0xff, sizeof data); /* of T.6: white rows */
    memcpy(data, "II*\0", 4);
    memcpy(data + 4, &(uint32_t){AT + BYTES}, 4);
    memcpy(at, &(uint16_t){FIELDS}, 2);
    at += 2;
    for (int i = 0; i < FIELDS; i++, at += 12) {
        memcpy(at, &(uint16_t){(uint16_t)fields[i][0]}, 2);
        memcpy(at + 2, &(uint16_t){4}, 2); /* LONG */
        memcpy(at + 4, &fields[i][1], 8);
    }
    memset(at, 0, 4);
    at += 4;
    for (int i = 0; i < STRIPS; i++, at += 4) {
        memcpy(at, &(uint32_t){AT}, 4);
        memcpy(at + STRIPS * 4, &(uint32_t){BYTES}, 4);
    }
    error = tiff_page_open_memory(&page, data, sizeof data);
    tiff_page_close(page);
    assert_int_equal(error, ERROR_FORMAT);
}

/* Every octet of a small page changed, and every length of it: no crash, bounded work. */
static void damaged_pages_do_no_harm(void **state)
{
    const struct rig_page small = {200, 12, 4, 0, .x = 204, .y = 196};
    size_t length;
    uint8_t *data;
    int opened = 0;

    (void)state;
    rig_page_write(rig_folder, "small.tif", &small);
    data = rig_file_read(rig_folder, "small.tif", &length);
    for (size_t i = 0; i < length * 3; i++) {
        static const uint8_t changes[] = {0xff, 0x01, 0x80};
        uint8_t before = data[i % length];
        size_t given = i < length ? i : length;
        struct tiff_page *page;
        uint8_t *strip;
        size_t strip_length;
        int rows;

        data[i % length] ^= changes[i % 3];
        if (tiff_page_open_memory(&page, data, given) == 0) {
            opened++;
            tiff_page_check(page);
            tiff_page_strip(page, 0, &strip, &strip_length, &rows);
            if (tiff_page_facts(page)->rows < 5000 &&
                tiff_page_recode(page, TIFF_CODING_T6, &strip, &strip_length) == 0)
                free(strip);
            tiff_page_close(page);
        }
        data[i % length] = before;
    }
    assert_true(opened > 10);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(profile_f_passes_strips),
        cmocka_unit_test(profile_s_is_minimal),
        cmocka_unit_test(hostile_pages_are_refused),
        cmocka_unit_test(strips_one_over_the_other_are_refused),
        cmocka_unit_test(damaged_pages_do_no_harm),
    };

    return cmocka_run_group_tests(tests, set_up, rig_tear_down);
}
