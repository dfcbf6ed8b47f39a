/* SPDX-License-Identifier: MIT */
/*
 * tiff_f.c - header, then page after page: directory, the values that do not fit into it, strips.
 *
 * RFC 3949 3.3 wants profile S little-endian, the first directory right behind the header, each
 * directory before its strips, and all in the order of the pages; profile F is written the same
 * way. Every length is known before a page is written, so that the document streams.
 */
#include "message/tiff_f.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "message/sink.h"

/* Tags in the order of their numbers, as a directory must have them. */
enum tag {
    TAG_NEW_SUBFILE_TYPE = 254,
    TAG_IMAGE_WIDTH = 256,
    TAG_IMAGE_LENGTH = 257,
    TAG_BITS_PER_SAMPLE = 258,
    TAG_COMPRESSION = 259,
    TAG_PHOTOMETRIC = 262,
    TAG_FILL_ORDER = 266,
    TAG_STRIP_OFFSETS = 273,
    TAG_ORIENTATION = 274,
    TAG_SAMPLES_PER_PIXEL = 277,
    TAG_ROWS_PER_STRIP = 278,
    TAG_STRIP_BYTE_COUNTS = 279,
    TAG_X_RESOLUTION = 282,
    TAG_Y_RESOLUTION = 283,
    TAG_T4_OPTIONS = 292,
    TAG_T6_OPTIONS = 293,
    TAG_RESOLUTION_UNIT = 296,
    TAG_PAGE_NUMBER = 297,
    TAG_SOFTWARE = 305,
    TAG_BAD_FAX_LINES = 326,
    TAG_CLEAN_FAX_DATA = 327,
    TAG_CONSECUTIVE_BAD_LINES = 328,
};
enum type { TYPE_ASCII = 2, TYPE_SHORT = 3, TYPE_LONG = 4, TYPE_RATIONAL = 5 };
enum {
    ENTRIES_MAX = 24,
    ENTRY_BYTES = 12,
    VALUES_MAX = TIFF_PAGE_STRIPS_MAX * 8 + 256,
    DOCUMENT_BYTES_MAX = 2000000000, /* offsets have 32 bits */
};

struct tiff_f {
    enum tiff_profile profile;
    int pages, added;
    int error; /* sticks */
    struct sink sink;
};

struct entry {
    uint16_t tag, type;
    uint32_t count;
    uint32_t value; /* or the place within `values` where outside */
    bool outside;
};

/* What is to be written of one page. */
struct page_plan {
    struct tiff_page *page;
    uint8_t *recoded; /* the one strip, or NULL: the strips as stored */
    size_t recoded_length;
    struct entry entries[ENTRIES_MAX];
    int entry_count;
    struct buffer values; /* what stands behind the directory */
    uint32_t *strip_lengths;
    int strips;
    uint32_t data_bytes; /* of all strips together */
};

/* ---- a directory ---------------------------------------------------------------------------- */

static void put_u32(struct buffer *values, uint32_t value)
{
    buffer_add(values,
               (uint8_t[]){value & 0xff, value >> 8 & 0xff, value >> 16 & 0xff, value >> 24}, 4);
}

static struct entry *add_entry(struct page_plan *plan, enum tag tag, enum type type, uint32_t count,
                               uint32_t value)
{
    struct entry *entry = &plan->entries[plan->entry_count++];

    *entry = (struct entry){
        .tag = (uint16_t)tag, .type = (uint16_t)type, .count = count, .value = value};
    return entry;
}

static void add_short(struct page_plan *plan, enum tag tag, int value)
{
    add_entry(plan, tag, TYPE_SHORT, 1, (uint32_t)value);
}

static void add_long(struct page_plan *plan, enum tag tag, int value)
{
    add_entry(plan, tag, TYPE_LONG, 1, (uint32_t)value);
}

/* Resolutions of fax are whole numbers of dots per inch or nearly so: 204, 196, 203.2 … */
static void add_resolution(struct page_plan *plan, enum tag tag, double dpi)
{
    uint32_t hundredths = (uint32_t)(dpi * 100 + 0.5);
    bool whole = hundredths % 100 == 0;

    add_entry(plan, tag, TYPE_RATIONAL, 1, (uint32_t)plan->values.length)->outside = true;
    put_u32(&plan->values, whole ? hundredths / 100 : hundredths);
    put_u32(&plan->values, whole ? 1 : 100);
}

/* The array of strip offsets or lengths: in the entry when it is one, behind the directory else. */
static void add_strip_array(struct page_plan *plan, enum tag tag, const uint32_t *array)
{
    if (plan->strips == 1) {
        add_entry(plan, tag, TYPE_LONG, 1, array[0]);
        return;
    }
    add_entry(plan, tag, TYPE_LONG, (uint32_t)plan->strips, (uint32_t)plan->values.length)
        ->outside = true;
    for (int i = 0; i < plan->strips; i++)
        put_u32(&plan->values, array[i]);
}

/* What RFC 3949 calls 204 x 98, 204 x 196, 200 x 100 and 200 x 200 comes in many spellings
 * (203.2 x 98 …): profile S knows these only. */
static double standard_resolution(double dpi)
{
    static const double standard[] = {98, 100, 196, 200, 204};

    for (size_t i = 0; i < sizeof standard / sizeof standard[0]; i++)
        if (dpi > standard[i] - 1 && dpi < standard[i] + 1)
            return standard[i];
    return dpi;
}

static void add_coding(struct page_plan *plan, const struct tiff_page_facts *facts)
{
    bool recoded = plan->recoded != NULL;
    uint32_t options =
        (facts->coding == TIFF_CODING_T4_2D ? 1u : 0) | (facts->aligned_eols ? 4u : 0);

    if (recoded)
        add_entry(plan, TAG_T4_OPTIONS, TYPE_LONG, 1, 4);
    else if (facts->coding == TIFF_CODING_T6)
        add_entry(plan, TAG_T6_OPTIONS, TYPE_LONG, 1, 0);
    else
        add_entry(plan, TAG_T4_OPTIONS, TYPE_LONG, 1, options);
}

static void add_quality(struct page_plan *plan, const struct tiff_page_facts *facts)
{
    if (facts->bad_lines >= 0)
        add_long(plan, TAG_BAD_FAX_LINES, facts->bad_lines);
    if (facts->clean_data >= 0)
        add_short(plan, TAG_CLEAN_FAX_DATA, facts->clean_data);
    if (facts->bad_run >= 0)
        add_long(plan, TAG_CONSECUTIVE_BAD_LINES, facts->bad_run);
}

/* All entries; offsets of strips are filled in with 0 and set when the size of the directory is
 * known. */
static void plan_entries(struct tiff_f *tiff_f, struct page_plan *plan, const uint32_t *offsets)
{
    static const char software[] = "faxpost";
    const struct tiff_page_facts *facts = tiff_page_facts(plan->page);
    bool recoded = plan->recoded != NULL;
    bool s = tiff_f->profile == TIFF_PROFILE_S;
    struct buffer *values = &plan->values;

    plan->entry_count = 0;
    values->length = 0;
    add_long(plan, TAG_NEW_SUBFILE_TYPE, 2);
    add_long(plan, TAG_IMAGE_WIDTH, facts->width);
    add_long(plan, TAG_IMAGE_LENGTH, facts->rows);
    add_short(plan, TAG_BITS_PER_SAMPLE, 1);
    add_short(plan, TAG_COMPRESSION, !recoded && facts->coding == TIFF_CODING_T6 ? 4 : 3);
    add_short(plan, TAG_PHOTOMETRIC, recoded || facts->black_is_one ? 0 : 1);
    add_short(plan, TAG_FILL_ORDER, recoded || facts->lsb_first ? 2 : 1);
    add_strip_array(plan, TAG_STRIP_OFFSETS, offsets);
    add_short(plan, TAG_ORIENTATION, 1);
    add_short(plan, TAG_SAMPLES_PER_PIXEL, 1);
    add_long(plan, TAG_ROWS_PER_STRIP, recoded ? facts->rows : facts->rows_per_strip);
    add_strip_array(plan, TAG_STRIP_BYTE_COUNTS, plan->strip_lengths);
    add_resolution(plan, TAG_X_RESOLUTION, s ? standard_resolution(facts->x_dpi) : facts->x_dpi);
    add_resolution(plan, TAG_Y_RESOLUTION, s ? standard_resolution(facts->y_dpi) : facts->y_dpi);
    add_coding(plan, facts);
    add_short(plan, TAG_RESOLUTION_UNIT, 2);
    /* two SHORTs in the entry: this page from 0, and of how many */
    add_entry(plan, TAG_PAGE_NUMBER, TYPE_SHORT, 2,
              (uint32_t)tiff_f->added | (uint32_t)tiff_f->pages << 16);
    add_entry(plan, TAG_SOFTWARE, TYPE_ASCII, sizeof software, (uint32_t)values->length)->outside =
        true;
    buffer_add(values, software, sizeof software);
    add_quality(plan, facts);
}

/* ---- a page --------------------------------------------------------------------------------- */

/* Reads every strip once: their lengths, and that they are there. */
static int plan_strips(struct page_plan *plan)
{
    const struct tiff_page_facts *facts = tiff_page_facts(plan->page);
    uint64_t total = 0;
    uint8_t *data;
    size_t length;
    int rows, error = 0;

    plan->strips = plan->recoded != NULL ? 1 : facts->strips;
    plan->strip_lengths = calloc((size_t)plan->strips, sizeof *plan->strip_lengths);
    if (plan->strip_lengths == NULL)
        return ERROR_MEMORY;
    for (int i = 0; i < plan->strips && error == 0; i++) {
        if (plan->recoded != NULL)
            length = plan->recoded_length;
        else
            error = tiff_page_strip(plan->page, i, &data, &length, &rows);
        if (error == 0) {
            plan->strip_lengths[i] = (uint32_t)length;
            total += length;
        }
    }
    if (error == 0 && total > TIFF_PAGE_FILE_MAX)
        error = ERROR_LIMIT;
    plan->data_bytes = (uint32_t)total;
    return error;
}

static void write_directory(struct tiff_f *tiff_f, const struct page_plan *plan, uint32_t values_at,
                            uint32_t next)
{
    sink_u16(&tiff_f->sink, (uint16_t)plan->entry_count);
    for (int i = 0; i < plan->entry_count; i++) {
        const struct entry *entry = &plan->entries[i];

        sink_u16(&tiff_f->sink, entry->tag);
        sink_u16(&tiff_f->sink, entry->type);
        sink_u32(&tiff_f->sink, entry->count);
        sink_u32(&tiff_f->sink, entry->value + (entry->outside ? values_at : 0));
    }
    sink_u32(&tiff_f->sink, next);
    sink_write(&tiff_f->sink, plan->values.data, plan->values.length);
}

static int write_strips(struct tiff_f *tiff_f, struct page_plan *plan)
{
    uint8_t *data = plan->recoded;
    size_t length = plan->recoded_length;
    int rows, error = 0;

    for (int i = 0; i < plan->strips && error == 0; i++) {
        if (plan->recoded == NULL)
            error = tiff_page_strip(plan->page, i, &data, &length, &rows);
        if (error == 0)
            sink_write(&tiff_f->sink, data, length);
    }
    if (plan->data_bytes % 2 != 0)
        sink_write(&tiff_f->sink, "", 1);
    return error;
}

static int write_page(struct tiff_f *tiff_f, struct page_plan *plan)
{
    uint32_t *offsets = calloc((size_t)plan->strips, sizeof *offsets);
    uint32_t values_at, data_at, next;

    if (offsets == NULL)
        return ERROR_MEMORY;
    plan_entries(tiff_f, plan, offsets);
    values_at = (uint32_t)tiff_f->sink.position + 2 + (uint32_t)plan->entry_count * ENTRY_BYTES + 4;
    data_at = values_at + (uint32_t)plan->values.length;
    offsets[0] = data_at;
    for (int i = 1; i < plan->strips; i++)
        offsets[i] = offsets[i - 1] + plan->strip_lengths[i - 1];
    next = data_at + plan->data_bytes + plan->data_bytes % 2;
    plan_entries(tiff_f, plan, offsets);
    free(offsets);
    if (plan->values.error < 0)
        return plan->values.error;
    if (next > DOCUMENT_BYTES_MAX)
        return ERROR_LIMIT;
    write_directory(tiff_f, plan, values_at, tiff_f->added + 1 < tiff_f->pages ? next : 0);
    return write_strips(tiff_f, plan);
}

int tiff_f_add_page(struct tiff_f *tiff_f, struct tiff_page *page)
{
    const struct tiff_page_facts *facts = tiff_page_facts(page);
    struct page_plan plan = {.page = page};
    int error = tiff_f->error;

    if (error == 0 && tiff_f->added >= tiff_f->pages)
        error = ERROR_STATE;
    buffer_init(&plan.values, VALUES_MAX);
    if (error == 0 && (tiff_f->profile == TIFF_PROFILE_S || facts->coding == TIFF_CODING_OTHER ||
                       facts->coding == TIFF_CODING_RLE))
        error = tiff_page_recode(page, TIFF_CODING_T4_1D, &plan.recoded, &plan.recoded_length);
    if (error == 0)
        error = plan_strips(&plan);
    if (error == 0)
        error = tiff_f->error = write_page(tiff_f, &plan);
    if (error == 0)
        error = tiff_f->sink.error;
    if (error == 0)
        tiff_f->added++;
    buffer_free(&plan.values);
    free(plan.strip_lengths);
    free(plan.recoded);
    return error;
}

/* ---- the document --------------------------------------------------------------------------- */

int tiff_f_new(struct tiff_f **out, int fd, enum tiff_profile profile, int pages)
{
    struct tiff_f *tiff_f;

    if (pages <= 0 || pages > UINT16_MAX)
        return ERROR_LIMIT;
    tiff_f = calloc(1, sizeof *tiff_f);
    if (tiff_f == NULL)
        return ERROR_MEMORY;
    tiff_f->profile = profile;
    tiff_f->pages = pages;
    sink_init(&tiff_f->sink, fd);
    sink_write(&tiff_f->sink, "II*\0\10\0\0\0", 8);
    *out = tiff_f;
    return 0;
}

int tiff_f_finish(struct tiff_f *tiff_f, int64_t *out_bytes)
{
    int error = tiff_f->error;

    if (error == 0 && tiff_f->added != tiff_f->pages)
        error = ERROR_STATE;
    if (error == 0)
        error = sink_flush(&tiff_f->sink);
    if (error == 0)
        *out_bytes = tiff_f->sink.position;
    return error;
}

void tiff_f_free(struct tiff_f *tiff_f)
{
    free(tiff_f);
}
