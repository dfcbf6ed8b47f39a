/* SPDX-License-Identifier: MIT */
/*
 * pdf.c - objects in the order in which they are known: per page its images, contents and page
 * object; at the end the tree of pages, the cross-reference table and the trailer. Nothing is
 * written twice, so that the document streams to a descriptor.
 */
#include "message/pdf.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "base/error.h"
#include "message/sink.h"

enum {
    OBJECT_CATALOG = 1,
    OBJECT_PAGES = 2,
    OBJECT_INFO = 3,
    WRAPPED_STRIPS_MAX = 64, /* a page of more is coded anew as one */
    PAGE_POINTS_MAX = 14400, /* ISO 32000-1 annex C: a page's edge in the default unit */
    OBJECTS_MAX = 2000000,
};

struct pdf {
    int64_t *offsets; /* [number of object], 0: not written */
    int objects;      /* highest number used */
    int capacity;
    int *pages; /* their object numbers */
    int page_count, page_capacity;
    int error; /* sticks */
    struct sink sink;
};

/* One image: a strip, or the whole page. */
struct image {
    uint8_t *data;
    size_t length;
    int width, rows;
    int k;             /* -1 T.6, 0 T.4 1-D, 1 T.4 2-D */
    bool aligned_rows; /* TIFF compression 2 */
    bool end_of_block; /* EOFB stands at the end */
    bool black_is_one; /* of struct tiff_page_facts */
};

/* ---- objects -------------------------------------------------------------------------------- */

static int object_reserve(struct pdf *pdf)
{
    if (pdf->objects + 1 >= pdf->capacity) {
        int capacity = pdf->capacity == 0 ? 64 : pdf->capacity * 2;
        int64_t *grown =
            capacity > OBJECTS_MAX ? NULL : realloc(pdf->offsets, (size_t)capacity * sizeof *grown);

        if (grown == NULL) {
            pdf->error = ERROR_MEMORY;
            return 0;
        }
        memset(grown + pdf->capacity, 0, (size_t)(capacity - pdf->capacity) * sizeof *grown);
        pdf->offsets = grown;
        pdf->capacity = capacity;
    }
    return ++pdf->objects;
}

static void object_begin(struct pdf *pdf, int number)
{
    pdf->offsets[number] = pdf->sink.position;
    sink_format(&pdf->sink, "%d 0 obj\n", number);
}

static void object_end(struct pdf *pdf)
{
    sink_text(&pdf->sink, "\nendobj\n");
}

/* Text as UTF-16BE in hexadecimal digits: nothing in it can end the string. */
static void write_text_string(struct pdf *pdf, const char *text)
{
    const uint8_t *p = (const uint8_t *)text;

    sink_text(&pdf->sink, "<FEFF");
    while (*p != '\0') {
        int more = *p < 0x80 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
        uint32_t code = more == 0 ? *p : *p & (0x3fu >> more);

        for (p++; more > 0 && (*p & 0xc0) == 0x80; more--, p++)
            code = code << 6 | (*p & 0x3fu);
        if (more > 0 || code > 0x10ffff)
            code = 0xfffd;
        if (code >= 0x10000)
            sink_format(&pdf->sink, "%04X%04X", 0xd800u + ((code - 0x10000) >> 10),
                        0xdc00u + ((code - 0x10000) & 0x3ff));
        else
            sink_format(&pdf->sink, "%04X", (unsigned)code);
    }
    sink_text(&pdf->sink, ">");
}

static void write_info(struct pdf *pdf, const char *title, int64_t created_ms)
{
    time_t seconds = (time_t)(created_ms / 1000);
    struct tm utc = {0};
    char date[32];

    gmtime_r(&seconds, &utc);
    strftime(date, sizeof date, "D:%Y%m%d%H%M%SZ", &utc);
    object_begin(pdf, OBJECT_INFO);
    sink_text(&pdf->sink, "<</Title ");
    write_text_string(pdf, title);
    sink_format(&pdf->sink, "/Creator(faxpost)/Producer(faxpost)/CreationDate(%s)/ModDate(%s)>>",
                date, date);
    object_end(pdf);
}

int pdf_new(struct pdf **out, int fd, const char *title, int64_t created_ms)
{
    struct pdf *pdf = calloc(1, sizeof *pdf);

    if (pdf == NULL)
        return ERROR_MEMORY;
    sink_init(&pdf->sink, fd);
    for (int i = 0; i < OBJECT_INFO; i++)
        object_reserve(pdf);
    if (pdf->error < 0) {
        pdf_free(pdf);
        return ERROR_MEMORY;
    }
    sink_text(&pdf->sink, "%PDF-1.4\n%\xe2\xe3\xcf\xd3\n");
    write_info(pdf, title, created_ms);
    *out = pdf;
    return 0;
}

void pdf_free(struct pdf *pdf)
{
    if (pdf == NULL)
        return;
    free(pdf->offsets);
    free(pdf->pages);
    free(pdf);
}

/* ---- a page --------------------------------------------------------------------------------- */

/* EOFB, twice 000000000001, then at most seven bits of padding (T.6 2.4.1). */
static bool ends_with_eofb(const uint8_t *data, size_t length)
{
    uint32_t tail = 0;

    if (length < 4)
        return false;
    for (size_t i = length - 4; i < length; i++)
        tail = tail << 8 | data[i];
    for (int shift = 0; shift < 8; shift++)
        if ((tail >> shift & 0xffffff) == 0x001001)
            return true;
    return false;
}

/* EndOfBlock false: the data end with the last row, as TIFF has it (no RTC is needed). Fill bits
 * before an EOL (T4Options) need no word here, for zeros before EOL are always accepted;
 * EncodedByteAlign means rows that begin on an octet, which TIFF's compression 2 has. */
static void write_image(struct pdf *pdf, int number, const struct image *image)
{
    object_begin(pdf, number);
    sink_format(&pdf->sink,
                "<</Type/XObject/Subtype/Image/Width %d/Height %d/BitsPerComponent 1"
                "/ColorSpace/DeviceGray/Filter/CCITTFaxDecode/DecodeParms"
                "<</K %d/Columns %d/Rows %d/BlackIs1 %s%s%s>>/Length %zu>>\nstream\n",
                image->width, image->rows, image->k, image->width, image->rows,
                image->black_is_one ? "false" : "true",
                image->aligned_rows ? "/EncodedByteAlign true" : "",
                image->end_of_block ? "" : "/EndOfBlock false", image->length);
    sink_write(&pdf->sink, image->data, image->length);
    sink_text(&pdf->sink, "\nendstream");
    object_end(pdf);
}

/* Hundredths of a point; printf's %f would follow the locale. */
static void add_points(struct buffer *text, int64_t hundredths)
{
    buffer_format(text, "%lld.%02d", (long long)(hundredths / 100), (int)(hundredths % 100));
}

struct paper {
    int64_t width, height; /* hundredths of a point */
};

static struct paper paper_size(const struct tiff_page_facts *facts)
{
    double width = facts->width * 72.0 / facts->x_dpi;
    double height = facts->rows * 72.0 / facts->y_dpi;
    double most = width > height ? width : height;
    double shrink = most > PAGE_POINTS_MAX ? PAGE_POINTS_MAX / most : 1.0;
    struct paper paper = {(int64_t)(width * shrink * 100 + 0.5),
                          (int64_t)(height * shrink * 100 + 0.5)};

    paper.width = paper.width < 100 ? 100 : paper.width;
    paper.height = paper.height < 100 ? 100 : paper.height;
    return paper;
}

/* Puts image i (rows first_row…) where it belongs: PDF counts from below. */
static void place_image(struct buffer *contents, const struct paper *paper, int total_rows,
                        int first_row, int rows, int i)
{
    int64_t top = paper->height - paper->height * first_row / total_rows;
    int64_t bottom = paper->height - paper->height * (first_row + rows) / total_rows;

    buffer_text(contents, "q ");
    add_points(contents, paper->width);
    buffer_text(contents, " 0 0 ");
    add_points(contents, top - bottom);
    buffer_text(contents, " 0 ");
    add_points(contents, bottom);
    buffer_format(contents, " cm /I%d Do Q\n", i);
}

static void write_page(struct pdf *pdf, const struct paper *paper, int first_image, int images,
                       const struct buffer *contents)
{
    struct buffer box;
    int contents_object = object_reserve(pdf);
    int page_object = object_reserve(pdf);

    if (pdf->error < 0)
        return;
    object_begin(pdf, contents_object);
    sink_format(&pdf->sink, "<</Length %zu>>\nstream\n", contents->length);
    sink_write(&pdf->sink, contents->data, contents->length);
    sink_text(&pdf->sink, "endstream");
    object_end(pdf);

    buffer_init(&box, 64);
    add_points(&box, paper->width);
    buffer_text(&box, " ");
    add_points(&box, paper->height);
    object_begin(pdf, page_object);
    sink_format(&pdf->sink, "<</Type/Page/Parent %d 0 R/MediaBox[0 0 %s]/Contents %d 0 R",
                OBJECT_PAGES, buffer_string(&box), contents_object);
    sink_text(&pdf->sink, "/Resources<</XObject<<");
    for (int i = 0; i < images; i++)
        sink_format(&pdf->sink, "/I%d %d 0 R", i, first_image + i);
    sink_text(&pdf->sink, ">>>>>>");
    object_end(pdf);
    if (box.error < 0)
        pdf->error = box.error;
    buffer_free(&box);
    pdf->pages[pdf->page_count++] = page_object;
}

static int page_reserve(struct pdf *pdf)
{
    if (pdf->page_count == pdf->page_capacity) {
        int capacity = pdf->page_capacity == 0 ? 16 : pdf->page_capacity * 2;
        int *grown = realloc(pdf->pages, (size_t)capacity * sizeof *grown);

        if (grown == NULL)
            return pdf->error = ERROR_MEMORY;
        pdf->pages = grown;
        pdf->page_capacity = capacity;
    }
    return 0;
}

/* The strips of the page, each an image of its own. All are read once before the first is written:
 * a damaged page must leave nothing behind. */
static int add_wrapped(struct pdf *pdf, struct tiff_page *page, struct buffer *contents,
                       int *out_first)
{
    const struct tiff_page_facts *facts = tiff_page_facts(page);
    struct paper paper = paper_size(facts);
    struct image image = {
        .width = facts->width,
        .k = facts->coding == TIFF_CODING_T6 ? -1 : facts->coding == TIFF_CODING_T4_2D,
        .aligned_rows = facts->coding == TIFF_CODING_RLE,
        .black_is_one = facts->black_is_one,
    };
    int error = 0;

    for (int i = 0; i < facts->strips && error == 0; i++)
        error = tiff_page_strip(page, i, &image.data, &image.length, &image.rows);
    for (int i = 0; i < facts->strips && error == 0; i++) {
        int number = object_reserve(pdf);

        error = pdf->error < 0 ? pdf->error
                               : tiff_page_strip(page, i, &image.data, &image.length, &image.rows);
        if (error < 0)
            break;
        if (i == 0)
            *out_first = number;
        if (facts->lsb_first)
            tiff_page_reverse_bits(image.data, image.length);
        image.end_of_block = image.k < 0 && ends_with_eofb(image.data, image.length);
        write_image(pdf, number, &image);
        place_image(contents, &paper, facts->rows, i * facts->rows_per_strip, image.rows, i);
    }
    return error;
}

static int add_recoded(struct pdf *pdf, struct tiff_page *page, struct buffer *contents,
                       int *out_first)
{
    const struct tiff_page_facts *facts = tiff_page_facts(page);
    struct paper paper = paper_size(facts);
    struct image image = {.width = facts->width, .rows = facts->rows, .k = -1};
    int error = tiff_page_recode(page, TIFF_CODING_T6, &image.data, &image.length);

    if (error < 0)
        return error;
    image.black_is_one = true;
    image.end_of_block = ends_with_eofb(image.data, image.length);
    *out_first = object_reserve(pdf);
    if (pdf->error == 0) {
        write_image(pdf, *out_first, &image);
        place_image(contents, &paper, facts->rows, 0, facts->rows, 0);
    }
    free(image.data);
    return pdf->error;
}

int pdf_add_page(struct pdf *pdf, struct tiff_page *page)
{
    const struct tiff_page_facts *facts = tiff_page_facts(page);
    bool wrap = facts->coding != TIFF_CODING_OTHER && facts->strips <= WRAPPED_STRIPS_MAX;
    struct paper paper = paper_size(facts);
    struct buffer contents;
    int first = 0;
    int error;

    if (pdf->error < 0 || page_reserve(pdf) < 0)
        return pdf->error;
    buffer_init(&contents, 64 * 1024);
    error = wrap ? add_wrapped(pdf, page, &contents, &first)
                 : add_recoded(pdf, page, &contents, &first);
    if (contents.error < 0)
        pdf->error = contents.error;
    if (error == 0 && pdf->error == 0)
        write_page(pdf, &paper, first, wrap ? facts->strips : 1, &contents);
    buffer_free(&contents);
    if (error == 0)
        error = pdf->error < 0 ? pdf->error : pdf->sink.error;
    return error;
}

/* ---- the end -------------------------------------------------------------------------------- */

static void write_trailer(struct pdf *pdf)
{
    int64_t xref = pdf->sink.position;
    struct sink *sink = &pdf->sink;

    sink_format(sink, "xref\n0 %d\n0000000000 65535 f \n", pdf->objects + 1);
    for (int i = 1; i <= pdf->objects; i++)
        if (pdf->offsets[i] > 0)
            sink_format(sink, "%010lld 00000 n \n", (long long)pdf->offsets[i]);
        else
            sink_text(sink, "0000000000 65535 f \n");
    sink_format(sink, "trailer\n<</Size %d/Root %d 0 R/Info %d 0 R", pdf->objects + 1,
                OBJECT_CATALOG, OBJECT_INFO);
    sink_format(sink, "/ID[<%016llX%016llX>", (unsigned long long)sink->sum[0],
                (unsigned long long)sink->sum[1]);
    sink_format(sink, "<%016llX%016llX>]>>\nstartxref\n%lld\n%%%%EOF\n",
                (unsigned long long)sink->sum[0], (unsigned long long)sink->sum[1],
                (long long)xref);
}

int pdf_finish(struct pdf *pdf, int64_t *out_bytes)
{
    int error;

    if (pdf->error < 0)
        return pdf->error;
    if (pdf->page_count == 0)
        return ERROR_STATE;
    object_begin(pdf, OBJECT_PAGES);
    sink_format(&pdf->sink, "<</Type/Pages/Count %d/Kids[", pdf->page_count);
    for (int i = 0; i < pdf->page_count; i++)
        sink_format(&pdf->sink, "%s%d 0 R", i % 10 == 9 ? "\n" : " ", pdf->pages[i]);
    sink_text(&pdf->sink, "]>>");
    object_end(pdf);
    object_begin(pdf, OBJECT_CATALOG);
    sink_format(&pdf->sink, "<</Type/Catalog/Pages %d 0 R>>", OBJECT_PAGES);
    object_end(pdf);
    write_trailer(pdf);
    error = sink_flush(&pdf->sink);
    if (error < 0)
        return error;
    *out_bytes = pdf->sink.position;
    return 0;
}
