/* SPDX-License-Identifier: MIT */
/*
 * genpage - makes TIFF-F test documents: every page different, its number drawn large, so that a
 * person sees at once which page is missing or came twice.
 *
 *   genpage -o OUT.tif [-p PAGES] [-k letter|text|dither|dense|blank|mixed] [-w 1728|2048|2432]
 *           [-r 98|196|391] [-l ROWS] [-c 1d|2d|t6] [-s SEED] [-f lsb|msb]
 *
 * Everything is drawn in units of a 204 x 196 dpi page 1728 wide; the canvas stretches rows for the
 * other resolutions, so the picture has the same size on paper.
 */
#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tiffio.h>

#include "test/tools/font.h"

struct settings {
    const char *path, *kind;
    int pages, width, dpi, rows, compression, options, fill_order;
    unsigned seed;
};

struct canvas {
    int width, rows, octets;
    double stretch; /* rows of the canvas per unit of height */
    uint8_t *bits;  /* MSB first, 1 is black */
};

/* Numbers that are the same on every machine (xorshift). */
static uint32_t random_state;

static uint32_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

static int random_below(int limit)
{
    return (int)(random_next() % (uint32_t)limit);
}

/* ---- drawing ------------------------------------------------------------------------------------
 */

static void canvas_dot(struct canvas *canvas, int x, int row, bool black)
{
    if (x < 0 || x >= canvas->width || row < 0 || row >= canvas->rows)
        return;
    uint8_t *octet = &canvas->bits[(size_t)row * (size_t)canvas->octets + (size_t)(x / 8)];
    uint8_t mask = (uint8_t)(0x80 >> x % 8);
    *octet = (uint8_t)(black ? *octet | mask : *octet & ~mask);
}

static int canvas_row(const struct canvas *canvas, double y)
{
    return (int)lround(y * canvas->stretch);
}

static void draw_box(struct canvas *canvas, int x, int y, int width, int height)
{
    for (int row = canvas_row(canvas, y); row < canvas_row(canvas, y + height); row++) {
        for (int dx = 0; dx < width; dx++)
            canvas_dot(canvas, x + dx, row, true);
    }
}

static void draw_disc(struct canvas *canvas, int x, int y, int radius, bool black)
{
    for (int row = canvas_row(canvas, y - radius); row <= canvas_row(canvas, y + radius); row++) {
        double dy = row / canvas->stretch - y;
        for (int dx = -radius; dx <= radius; dx++) {
            if (dx * dx + dy * dy <= (double)radius * radius)
                canvas_dot(canvas, x + dx, row, black);
        }
    }
}

enum { GLYPH_FINE = 8, GLYPH_W = (FONT_WIDTH + 2) * GLYPH_FINE, GLYPH_H = (FONT_HEIGHT + 2) * 8 };

struct glyph {
    int width, height;
    bool dot[GLYPH_H][GLYPH_W];
};

static bool glyph_at(const struct glyph *glyph, int x, int y)
{
    return x >= 0 && y >= 0 && x < glyph->width && y < glyph->height && glyph->dot[y][x];
}

/* Doubles a glyph, rounding its corners: each dot takes the colour of two equal neighbours. */
static void glyph_double(struct glyph *out, const struct glyph *in)
{
    out->width = in->width * 2;
    out->height = in->height * 2;
    for (int y = 0; y < in->height; y++) {
        for (int x = 0; x < in->width; x++) {
            bool self = in->dot[y][x], above = glyph_at(in, x, y - 1),
                 below = glyph_at(in, x, y + 1), left = glyph_at(in, x - 1, y),
                 right = glyph_at(in, x + 1, y);
            bool corner = left != right && above != below;
            out->dot[2 * y][2 * x] = corner && left == above ? left : self;
            out->dot[2 * y][2 * x + 1] = corner && above == right ? right : self;
            out->dot[2 * y + 1][2 * x] = corner && left == below ? left : self;
            out->dot[2 * y + 1][2 * x + 1] = corner && below == right ? right : self;
        }
    }
}

/* The glyph of a character at eight times the font's size. */
static const struct glyph *glyph_get(char character)
{
    static struct glyph fine[FONT_COUNT], half, quarter;
    int index = character >= FONT_FIRST && character < FONT_FIRST + FONT_COUNT
                    ? character - FONT_FIRST
                    : '?' - FONT_FIRST;
    struct glyph *glyph = &fine[index];
    if (glyph->width == 0) {
        static struct glyph plain;
        plain.width = FONT_WIDTH;
        plain.height = FONT_HEIGHT;
        for (int y = 0; y < FONT_HEIGHT; y++) {
            for (int x = 0; x < FONT_WIDTH; x++)
                plain.dot[y][x] = font_rows[index][y] >> (FONT_WIDTH - 1 - x) & 1;
        }
        glyph_double(&half, &plain);
        glyph_double(&quarter, &half);
        glyph_double(glyph, &quarter);
    }
    return glyph;
}

/* Draws text whose capitals are size units high; gives the x behind it. */
static int draw_text(struct canvas *canvas, int x, int y, int size, const char *text)
{
    double fine = 7.0 * GLYPH_FINE / size; /* glyph dots per unit: capitals are 7 rows high */
    int advance = size * (FONT_WIDTH + 1) / 7;
    for (; *text != '\0'; text++, x += advance) {
        const struct glyph *glyph = glyph_get(*text);
        int first = canvas_row(canvas, y),
            last = canvas_row(canvas, y + size * FONT_HEIGHT / 7.0 + 1);
        for (int row = first; row < last; row++) {
            int gy = (int)((row + 0.5 - first) / canvas->stretch * fine);
            for (int dx = 0; dx < advance; dx++) {
                if (glyph_at(glyph, (int)((dx + 0.5) * fine), gy))
                    canvas_dot(canvas, x + dx, row, true);
            }
        }
    }
    return x;
}

/* A thick line through points that a function of t in 0..1 gives: a signature. */
static void draw_signature(struct canvas *canvas, int x, int y)
{
    for (int i = 0; i < 1600; i++) {
        double t = i / 1600.0;
        double dx = 360 * t + 26 * sin(t * 41), dy = 42 * sin(t * 29) * (1.1 - t) - 18 * t;
        draw_disc(canvas, x + (int)dx, y + (int)dy, 3, true);
    }
}

/* ---- pages --------------------------------------------------------------------------------------
 */

static const char *const words[] = {
    "the",     "order",   "of",       "delivery", "with", "our",      "invoice", "number",
    "please",  "confirm", "received", "goods",    "by",   "return",   "and",     "your",
    "letter",  "on",      "price",    "terms",    "as",   "agreed",   "for",     "pieces",
    "will",    "be",      "shipped",  "next",     "week", "we",       "have",    "enclosed",
    "drawing", "copy",    "signed",   "contract", "in",   "regards",  "to",      "telephone",
    "office",  "thank",   "you",      "quantity", "is",   "expected", "before",  "customs",
};

enum { WORDS = sizeof(words) / sizeof(words[0]) };

/* Lines of words drawn by lot from y on; gives the y below. */
static int draw_paragraph(struct canvas *canvas, int y, int size, int lines)
{
    int right = canvas->width - 140;
    bool first = true;
    for (int line = 0; line < lines; line++, y += size * 2) {
        int x = 140;
        while (line < lines - 1 || x < right / 2) {
            char word[24];
            snprintf(word, sizeof(word), "%s", words[random_below(WORDS)]);
            if (x + (int)strlen(word) * size > right)
                break;
            if (first)
                word[0] = (char)toupper((unsigned char)word[0]);
            first = false;
            x = draw_text(canvas, x, y, size, word) + size;
        }
    }
    return y + size;
}

/* The same for a text, broken into lines. */
static int draw_sentences(struct canvas *canvas, int y, int size, const char *text)
{
    int x = 140;
    while (*text != '\0') {
        char word[32] = "";
        size_t length = strcspn(text, " ");
        snprintf(word, sizeof(word), "%.*s", (int)length, text);
        text += length + (text[length] == ' ');
        if (x + (int)strlen(word) * size > canvas->width - 140) {
            x = 140;
            y += size * 2;
        }
        x = draw_text(canvas, x, y, size, word) + size;
    }
    return y + size * 3;
}

static void draw_number(struct canvas *canvas, int number, int x, int y, int size)
{
    char text[16];
    snprintf(text, sizeof(text), "%d", number);
    draw_text(canvas, x, y, size, text);
}

static int canvas_height(const struct canvas *canvas)
{
    return (int)(canvas->rows / canvas->stretch);
}

static void draw_field(struct canvas *canvas, int y, const char *name, const char *value)
{
    draw_text(canvas, 140, y, 28, name);
    draw_text(canvas, 400, y, 35, value);
    draw_box(canvas, 390, y + 52, canvas->width - 390 - 560, 3);
}

/* A letter as an office would send it. */
static void page_letter(struct canvas *canvas, int number, int pages)
{
    char text[64];
    int right = canvas->width - 140;
    draw_disc(canvas, 210, 190, 70, true);
    draw_disc(canvas, 210, 190, 52, false);
    draw_text(canvas, 180, 155, 70, "N");
    draw_text(canvas, 320, 130, 56, "Northwind Instruments");
    draw_text(canvas, 320, 215, 28, "12 Harbour Road, Port Example   Tel. +1 555 2000");
    draw_box(canvas, 140, 290, right - 140, 8);
    draw_text(canvas, 140, 350, 112, "FAX");
    draw_number(canvas, number, right - (number > 9 ? 500 : 260), 350, 280);
    draw_field(canvas, 520, "To", "Sales department");
    draw_field(canvas, 600, "From", "J. Miller");
    draw_field(canvas, 680, "Subject", number == 1 ? "Order 4711" : "Order 4711, part list");
    snprintf(text, sizeof(text), "%d of %d", number, pages);
    draw_field(canvas, 760, "Page", text);
    int y = 900;
    draw_text(canvas, 140, y, 35, "Dear Sir or Madam,");
    y = draw_sentences(canvas, y + 90, 28,
                       "thank you for your offer of last week. We would like to order the "
                       "instruments below on the terms agreed, and ask you to confirm the date of "
                       "delivery by return fax. Please quote our order number on every letter.") +
        20;
    int rows = 3 + number % 3;
    for (int i = 0; i <= rows; i++, y += 60) {
        draw_box(canvas, 140, y - 14, right - 140, i < 2 ? 5 : 2);
        snprintf(text, sizeof(text), i == 0 ? "Item" : "%d", number * 100 + i);
        draw_text(canvas, 160, y, 28, text);
        snprintf(text, sizeof(text), i == 0 ? "Pieces" : "%d", 1 + random_below(90));
        draw_text(canvas, 480, y, 28, text);
        snprintf(text, sizeof(text), i == 0 ? "Price" : "%d.%02d", 5 + random_below(400),
                 random_below(100));
        draw_text(canvas, 800, y, 28, text);
        draw_text(canvas, 1120, y, 28, i == 0 ? "Remark" : words[random_below(WORDS)]);
    }
    draw_box(canvas, 140, y - 14, right - 140, 5);
    y = draw_sentences(canvas, y + 50, 28,
                       "Goods are expected at our office in Port Example. A signed copy of the "
                       "contract follows by post.");
    draw_text(canvas, 140, y + 30, 35, "Yours faithfully");
    draw_signature(canvas, 170, y + 170);
    int bottom = canvas_height(canvas) - 110;
    draw_box(canvas, 140, bottom - 24, right - 140, 3);
    snprintf(text, sizeof(text), "Northwind Instruments - a test document - page %d of %d", number,
             pages);
    draw_text(canvas, 140, bottom, 21, text);
}

/* Small print from top to bottom. */
static void page_text(struct canvas *canvas, int number)
{
    draw_number(canvas, number, 140, 80, 280);
    for (int y = 440; y < canvas_height(canvas) - 160;)
        y = draw_paragraph(canvas, y, 21, 6 + random_below(4));
}

/* A grey ramp in ordered dither, which codes badly without being noise. */
static void page_dither(struct canvas *canvas, int number)
{
    static const uint8_t bayer[4][4] = {
        {0, 8, 2, 10}, {12, 4, 14, 6}, {3, 11, 1, 9}, {15, 7, 13, 5}};
    int height = canvas_height(canvas);
    for (int row = canvas_row(canvas, 440); row < canvas_row(canvas, height - 100); row++) {
        for (int x = 140; x < canvas->width - 140; x++) {
            int grey = ((x - 140) * 17 / (canvas->width - 280) + number + row / 97) % 17;
            canvas_dot(canvas, x, row, bayer[row % 4][x % 4] < grey);
        }
    }
    draw_number(canvas, number, 140, 80, 280);
}

/* Noise, a quarter black: the worst a coder can meet. */
static void page_dense(struct canvas *canvas, int number)
{
    for (size_t i = 0; i < (size_t)canvas->octets * (size_t)canvas->rows; i++)
        canvas->bits[i] = (uint8_t)(random_next() & random_next());
    int right = 140 + 300 * (number > 9 ? 2 : 1);
    for (int row = canvas_row(canvas, 60); row < canvas_row(canvas, 400); row++) {
        for (int x = 120; x < right; x++)
            canvas_dot(canvas, x, row, false);
    }
    draw_number(canvas, number, 140, 80, 280);
}

static int page_draw(struct canvas *canvas, const struct settings *settings, int number)
{
    static const char *const mixed[] = {"letter", "text", "dither"};
    const char *kind = settings->kind;
    if (strcmp(kind, "mixed") == 0)
        kind = mixed[(number - 1) % 3];
    random_state = settings->seed * 2654435761u + (uint32_t)number * 40503u + 1;
    memset(canvas->bits, 0, (size_t)canvas->octets * (size_t)canvas->rows);
    if (strcmp(kind, "letter") == 0)
        page_letter(canvas, number, settings->pages);
    else if (strcmp(kind, "text") == 0)
        page_text(canvas, number);
    else if (strcmp(kind, "dither") == 0)
        page_dither(canvas, number);
    else if (strcmp(kind, "dense") == 0)
        page_dense(canvas, number);
    else if (strcmp(kind, "blank") != 0)
        return -1;
    return 0;
}

/* ---- the file -----------------------------------------------------------------------------------
 */

static int page_write(TIFF *tiff, const struct canvas *canvas, const struct settings *settings,
                      int number)
{
    TIFFSetField(tiff, TIFFTAG_SUBFILETYPE, FILETYPE_PAGE);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, settings->compression);
    if (settings->compression == COMPRESSION_CCITTFAX3)
        TIFFSetField(tiff, TIFFTAG_GROUP3OPTIONS, settings->options);
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, canvas->width);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, canvas->rows);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 1);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
    TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, canvas->rows);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISWHITE);
    TIFFSetField(tiff, TIFFTAG_FILLORDER, settings->fill_order);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    TIFFSetField(tiff, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
    TIFFSetField(tiff, TIFFTAG_RESOLUTIONUNIT, RESUNIT_INCH);
    TIFFSetField(tiff, TIFFTAG_XRESOLUTION, 204.0);
    TIFFSetField(tiff, TIFFTAG_YRESOLUTION, (double)settings->dpi);
    TIFFSetField(tiff, TIFFTAG_PAGENUMBER, number - 1, settings->pages);
    TIFFSetField(tiff, TIFFTAG_SOFTWARE, "genpage");
    size_t size = (size_t)canvas->octets * (size_t)canvas->rows;
    bool ok = TIFFWriteEncodedStrip(tiff, 0, canvas->bits, (tmsize_t)size) >= 0 &&
              TIFFWriteDirectory(tiff);
    return ok ? 0 : -1;
}

static int document_write(const struct settings *settings)
{
    double stretch = settings->dpi / 196.0;
    int rows = settings->rows > 0 ? settings->rows : (int)lround(2200 * stretch);
    struct canvas canvas = {settings->width, rows, settings->width / 8, stretch, NULL};
    canvas.bits = malloc((size_t)canvas.octets * (size_t)rows);
    TIFF *tiff = TIFFOpen(settings->path, "w");
    int error = canvas.bits == NULL || tiff == NULL ? -1 : 0;
    for (int number = 1; error == 0 && number <= settings->pages; number++) {
        error = page_draw(&canvas, settings, number);
        if (error == 0)
            error = page_write(tiff, &canvas, settings, number);
    }
    if (tiff != NULL)
        TIFFClose(tiff);
    free(canvas.bits);
    return error;
}

static int settings_option(struct settings *settings, int option, const char *value)
{
    switch (option) {
    case 'o': settings->path = value; return 0;
    case 'k': settings->kind = value; return 0;
    case 'p': settings->pages = atoi(value); return settings->pages > 0 ? 0 : -1;
    case 'w':
        settings->width = atoi(value);
        return settings->width == 1728 || settings->width == 2048 || settings->width == 2432 ? 0
                                                                                             : -1;
    case 'r':
        settings->dpi = atoi(value);
        return settings->dpi == 98 || settings->dpi == 196 || settings->dpi == 391 ? 0 : -1;
    case 'l': settings->rows = atoi(value); return settings->rows > 0 ? 0 : -1;
    case 's': settings->seed = (unsigned)strtoul(value, NULL, 10); return 0;
    case 'f':
        settings->fill_order = strcmp(value, "msb") == 0 ? FILLORDER_MSB2LSB : FILLORDER_LSB2MSB;
        return 0;
    case 'c':
        settings->compression =
            strcmp(value, "t6") == 0 ? COMPRESSION_CCITTFAX4 : COMPRESSION_CCITTFAX3;
        settings->options = strcmp(value, "2d") == 0 ? GROUP3OPT_2DENCODING : 0;
        return 0;
    default: return -1;
    }
}

int main(int argc, char **argv)
{
    struct settings settings = {.kind = "letter",
                                .pages = 1,
                                .width = 1728,
                                .dpi = 196,
                                .compression = COMPRESSION_CCITTFAX4,
                                .fill_order = FILLORDER_LSB2MSB,
                                .seed = 1};
    int option, error = 0;
    while ((option = getopt(argc, argv, "o:k:p:w:r:l:s:f:c:")) != -1)
        error |= settings_option(&settings, option, optarg);
    if (error != 0 || settings.path == NULL || optind != argc) {
        fprintf(stderr, "usage: genpage -o OUT.tif [-p PAGES] [-k letter|text|dither|dense|blank|"
                        "mixed]\n               [-w 1728|2048|2432] [-r 98|196|391] [-l ROWS] "
                        "[-c 1d|2d|t6] [-s SEED] [-f lsb|msb]\n");
        return 2;
    }
    if (document_write(&settings) != 0) {
        fprintf(stderr, "genpage: %s was not written\n", settings.path);
        return 1;
    }
    return 0;
}
