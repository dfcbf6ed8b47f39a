/* SPDX-License-Identifier: MIT */
/* The PDF: strips inside octet for octet, pixels as an independent reader sees them, sizes. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "message/pdf.h"
#include "test/unit/message_rig.h"

enum { NONE = 1, RLE = 2, G3 = 3, G4 = 4 };

static struct tiff_page *open_page(const char *name)
{
    struct tiff_page *page;
    int fd = open(rig_folder, O_RDONLY | O_DIRECTORY);

    assert_int_equal(tiff_page_open(&page, fd, name), 0);
    close(fd);
    return page;
}

/* FOLDER/out.pdf of these page files. */
static void make_pdf(const char *const *names, int count)
{
    char path[2 * RIG_PATH_MAX];
    struct pdf *pdf;
    int64_t bytes = 0;
    int fd;

    snprintf(path, sizeof path, "%s/out.pdf", rig_folder);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pdf_new(&pdf, fd, "Fax from (Köhler) \\ 😀", 1795256174000), 0);
    for (int i = 0; i < count; i++) {
        struct tiff_page *page = open_page(names[i]);

        assert_int_equal(pdf_add_page(pdf, page), 0);
        tiff_page_close(page);
    }
    assert_int_equal(pdf_finish(pdf, &bytes), 0);
    assert_int_equal(bytes, lseek(fd, 0, SEEK_END));
    pdf_free(pdf);
    close(fd);
}

/* The i-th image: its dictionary ends at the stream, whose octets are given. */
static const uint8_t *find_image(const uint8_t *pdf, size_t length, int i, char dictionary[512],
                                 size_t *out_length)
{
    const uint8_t *p = pdf, *end = pdf + length;

    for (;; i--) {
        const uint8_t *start = memmem(p, (size_t)(end - p), "/Subtype/Image", 14);
        const uint8_t *stream;

        if (start == NULL)
            return NULL;
        stream = memmem(start, (size_t)(end - start), "stream\n", 7);
        assert_non_null(stream);
        snprintf(dictionary, 512, "%.*s", (int)(stream - start), start);
        *out_length = strtoul(strstr(dictionary, "/Length ") + 8, NULL, 10);
        if (i == 0)
            return stream + 7;
        p = stream + 7 + *out_length;
    }
}

static uint8_t reverse(uint8_t octet)
{
    uint8_t out = 0;

    for (int i = 0; i < 8; i++)
        out |= (uint8_t)((octet >> i & 1) << (7 - i));
    return out;
}

/* What poppler decodes must be what was drawn. */
static void check_pixels(const struct rig_page *page, int images)
{
    char pdf[2 * RIG_PATH_MAX], stem[2 * RIG_PATH_MAX], name[64], header[64];
    uint8_t *expected = rig_page_pixels(page);
    size_t bytes = ((size_t)page->width + 7) / 8, row = 0;

    snprintf(pdf, sizeof pdf, "%s/out.pdf", rig_folder);
    snprintf(stem, sizeof stem, "%s/image", rig_folder);
    if (rig_run_program((const char *const[]){"pdfimages", pdf, stem, NULL}) == -1) {
        free(expected);
        return;
    }
    for (int i = 0; i < images; i++) {
        size_t length;
        uint8_t *data;
        int rows = page->rows_per_strip > 0 && images > 1 ? page->rows_per_strip : page->rows;

        if (row + (size_t)rows > (size_t)page->rows)
            rows = page->rows - (int)row;
        snprintf(name, sizeof name, "image-%03d.pbm", i);
        data = rig_file_read(rig_folder, name, &length);
        snprintf(header, sizeof header, "P4\n%d %d\n", page->width, rows);
        assert_memory_equal(data, header, strlen(header));
        assert_int_equal(length, strlen(header) + (size_t)rows * bytes);
        for (int y = 0; y < rows; y++) {
            uint8_t *got = data + strlen(header) + (size_t)y * bytes;

            if (page->width % 8 != 0)
                got[bytes - 1] &= (uint8_t)(0xff00u >> page->width % 8);
            assert_memory_equal(got, expected + (row + (size_t)y) * bytes, bytes);
        }
        row += (size_t)rows;
        free(data);
    }
    assert_int_equal(row, page->rows);
    free(expected);
}

static void check_qpdf(void)
{
    char path[2 * RIG_PATH_MAX];
    int status;

    snprintf(path, sizeof path, "%s/out.pdf", rig_folder);
    status = rig_run_program((const char *const[]){"qpdf", "--check", path, NULL});
    if (status == -1)
        print_message("qpdf is not installed: not checked\n");
    else
        assert_int_equal(status, 0);
}

static const struct {
    const char *name;
    struct rig_page page;
    const char *parameters; /* that the dictionary must hold; NULL: recoded */
} codings[] = {
    {"T.6", {1728, 300, G4, 0, .x = 204, .y = 196}, "/K -1"},
    {"T.6 LSB first", {1728, 300, G4, 0, true, .x = 204, .y = 196}, "/K -1"},
    {"T.6 min-is-black", {1728, 300, G4, 0, false, true, .x = 204, .y = 196}, "/BlackIs1 true"},
    {"T.6 odd width", {1731, 77, G4, 0, .x = 204, .y = 196}, "/Columns 1731"},
    {"T.6 7 strips", {1728, 300, G4, 0, .rows_per_strip = 47, .x = 204, .y = 196}, "/K -1"},
    {"T.4 1-D", {1728, 300, G3, 0, .x = 204, .y = 196}, "/K 0"},
    {"T.4 1-D aligned LSB", {1728, 300, G3, 4, true, .x = 204, .y = 196}, "/K 0"},
    {"T.4 2-D", {1728, 300, G3, 1, .x = 204, .y = 196}, "/K 1"},
    {"T.4 2-D aligned", {1728, 300, G3, 5, .x = 204, .y = 196}, "/K 1"},
    {"T.4 2-D low LSB", {2432, 300, G3, 1, true, .x = 204, .y = 98}, "/K 1"},
    {"T.4 2-D strips", {1728, 300, G3, 1, .rows_per_strip = 100, .x = 204, .y = 196}, "/K 1"},
    {"RLE", {1728, 300, RLE, 0, .x = 204, .y = 196}, "/EncodedByteAlign true"},
    {"none", {1728, 300, NONE, 0, .x = 204, .y = 196}, NULL},
    {"many strips", {1728, 300, G4, 0, .rows_per_strip = 2, .x = 204, .y = 196}, NULL},
    {"one row", {1728, 1, G4, 0, .x = 204, .y = 196}, "/Rows 1"},
};

static void strips_pass_untouched(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof codings / sizeof codings[0]; i++) {
        const struct rig_page *page = &codings[i].page;
        int strips = page->rows_per_strip > 0
                         ? (page->rows + page->rows_per_strip - 1) / page->rows_per_strip
                         : 1;
        int images = codings[i].parameters != NULL ? strips : 1;
        char path[2 * RIG_PATH_MAX], dictionary[512];
        size_t length, image_length;
        uint8_t *pdf;

        print_message("%s\n", codings[i].name);
        snprintf(path, sizeof path, "%s/page.tif", rig_folder);
        rig_page_write(rig_folder, "page.tif", page);
        make_pdf((const char *const[]){"page.tif"}, 1);
        pdf = rig_file_read(rig_folder, "out.pdf", &length);
        for (int s = 0; s < images && codings[i].parameters != NULL; s++) {
            size_t strip_length;
            uint8_t *strip = rig_tiff_strip(path, 0, s, &strip_length);
            const uint8_t *image = find_image(pdf, length, s, dictionary, &image_length);

            assert_non_null(image);
            assert_non_null(strstr(dictionary, codings[i].parameters));
            assert_int_equal(image_length, strip_length);
            for (size_t k = 0; k < strip_length; k++)
                assert_int_equal(image[k], page->lsb_first ? reverse(strip[k]) : strip[k]);
            free(strip);
        }
        assert_null(find_image(pdf, length, images, dictionary, &image_length));
        check_qpdf();
        check_pixels(page, images);
        free(pdf);
    }
}

static void pages_have_the_size_of_paper(void **state)
{
    static const struct {
        struct rig_page page;
        const char *box;
    } rows[] = {
        {{1728, 1145, G4, 0, .x = 204, .y = 98}, "[0 0 609.88 841.22]"},
        {{1728, 2290, G4, 0, .x = 204, .y = 196}, "[0 0 609.88 841.22]"},
        {{1728, 4580, G4, 0, .x = 204, .y = 391}, "[0 0 609.88 843.38]"},
        {{3456, 4580, G4, 0, .x = 408, .y = 391}, "[0 0 609.88 843.38]"},
        {{2592, 3300, G4, 0, .x = 300, .y = 300}, "[0 0 622.08 792.00]"},
        {{2048, 300, G4, 0, .x = 204, .y = 196}, "[0 0 722.82 110.20]"},
        {{2432, 300, G4, 0, .x = 204, .y = 196}, "[0 0 858.35 110.20]"},
        {{1728, 770, G4, 0, .x = 80, .y = 77, .centimetres = true}, "[0 0 612.28 283.46]"},
        {{1728, 100, G4, .x = 0}, "[0 0 609.88 73.47]"}, /* no resolution: 204 x 98 by its rows */
        {{1728, 2290, G4, .x = 0}, "[0 0 609.88 841.22]"},
        {{1728, 50000, G4, 0, .x = 204, .y = 98}, "[0 0 239.07 14400.00]"}, /* longest page */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char expected[64];
        size_t length;
        uint8_t *pdf;

        rig_page_write(rig_folder, "page.tif", &rows[i].page);
        make_pdf((const char *const[]){"page.tif"}, 1);
        pdf = rig_file_read(rig_folder, "out.pdf", &length);
        snprintf(expected, sizeof expected, "/MediaBox%s", rows[i].box);
        if (memmem(pdf, length, expected, strlen(expected)) == NULL)
            fail_msg("no %s", expected);
        free(pdf);
    }
}

static void many_pages_are_deterministic(void **state)
{
    const char *names[40];
    size_t length, again_length;
    uint8_t *pdf, *again;

    (void)state;
    rig_page_write(rig_folder, "a.tif", &codings[0].page);
    rig_page_write(rig_folder, "b.tif", &codings[7].page);
    for (int i = 0; i < 40; i++)
        names[i] = i % 2 == 0 ? "a.tif" : "b.tif";
    make_pdf(names, 40);
    check_qpdf();
    pdf = rig_file_read(rig_folder, "out.pdf", &length);
    make_pdf(names, 40);
    again = rig_file_read(rig_folder, "out.pdf", &again_length);
    assert_int_equal(length, again_length);
    assert_memory_equal(pdf, again, length);
    assert_non_null(memmem(pdf, length, "/Count 40", 9));
    /* (Köhler) \ and a character above U+FFFF as UTF-16 */
    assert_non_null(memmem(pdf, length, "0028004B00F60068006C006500720029", 32));
    assert_non_null(memmem(pdf, length, "005C0020D83DDE00>", 17));
    free(pdf);
    free(again);
}

static void no_page_is_no_document(void **state)
{
    struct pdf *pdf;
    int64_t bytes;
    int fd = open("/dev/null", O_WRONLY);

    (void)state;
    assert_int_equal(pdf_new(&pdf, fd, "x", 0), 0);
    assert_int_equal(pdf_finish(pdf, &bytes), ERROR_STATE);
    pdf_free(pdf);
    pdf_free(NULL);
    close(fd);
}

static void a_full_disk_is_noticed(void **state)
{
    struct tiff_page *page;
    struct pdf *pdf;
    int64_t bytes;
    int fd = open("/dev/full", O_WRONLY);

    (void)state;
    if (fd < 0)
        skip();
    rig_page_write(rig_folder, "page.tif", &codings[0].page);
    page = open_page("page.tif");
    assert_int_equal(pdf_new(&pdf, fd, "x", 0), 0);
    pdf_add_page(pdf, page);
    assert_int_equal(pdf_finish(pdf, &bytes), ERROR_FULL);
    pdf_free(pdf);
    tiff_page_close(page);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strips_pass_untouched),
        cmocka_unit_test(pages_have_the_size_of_paper),
        cmocka_unit_test(many_pages_are_deterministic),
        cmocka_unit_test(no_page_is_no_document),
        cmocka_unit_test(a_full_disk_is_noticed),
    };

    return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
