/* SPDX-License-Identifier: MIT */
/*
 * tiff_page.h - one stored page, read as foreign: the only place of message/ that knows libtiff.
 *
 * The file is read whole into memory first (bounded), so that nothing changes under the reader;
 * dimensions, strips and lengths are checked against it before anything is allocated for them.
 */
#ifndef FAXPOST_MESSAGE_TIFF_PAGE_H
#define FAXPOST_MESSAGE_TIFF_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TIFF_PAGE_FILE_MAX = 32 * 1024 * 1024, /* octets of a page file */
    TIFF_PAGE_WIDTH_MAX = 16384,           /* A3 at 1200 dpi is 14592 */
    TIFF_PAGE_ROWS_MAX = 100000,
    TIFF_PAGE_STRIPS_MAX = 8192,
};

enum tiff_coding {
    TIFF_CODING_RLE,   /* TIFF compression 2: T.4 1-D, no EOL, rows begin on octets */
    TIFF_CODING_T4_1D, /* MH */
    TIFF_CODING_T4_2D, /* MR */
    TIFF_CODING_T6,    /* MMR */
    TIFF_CODING_OTHER, /* readable, but its strips cannot be passed on */
};

struct tiff_page_facts {
    int width, rows; /* pixels */
    int strips;
    int rows_per_strip; /* of all but the last */
    enum tiff_coding coding;
    bool aligned_eols;   /* T4Options: fill bits before EOL */
    bool lsb_first;      /* fill order of the strips */
    bool black_is_one;   /* BlackIsZero is false: what the coding calls black is black */
    double x_dpi, y_dpi; /* always sensible: guessed where the file says nothing */
    int bad_lines;       /* BadFaxLines, -1: no such tag */
    int clean_data;      /* CleanFaxData, -1: no such tag */
    int bad_run;         /* ConsecutiveBadFaxLines, -1: no such tag */
};

struct tiff_page;

/* Silences libtiff's own messages for the whole process; once, before the first thread. */
void tiff_page_library_init(void);

/* Opens the first page of a file. ERROR_FORMAT, ERROR_LIMIT, ERROR_UNSUPPORTED (not black and
 * white), or what file_read() gives. */
int tiff_page_open(struct tiff_page **out, int dir_fd, const char *name);

/* The same for a file in memory, which is copied. */
int tiff_page_open_memory(struct tiff_page **out, const void *data, size_t length);

void tiff_page_close(struct tiff_page *page);

const struct tiff_page_facts *tiff_page_facts(const struct tiff_page *page);

/* Decodes row after row from the top, MSB first, 1 is black, to out[tiff_page_row_bytes()]; the
 * bits behind the width are 0. Rows come in rising order; row 0 begins anew. ERROR_FORMAT when the
 * data end early. */
int tiff_page_row(struct tiff_page *page, int row, uint8_t *out);
size_t tiff_page_row_bytes(const struct tiff_page *page);

/* Decodes all rows for the answer whether that works. */
int tiff_page_check(struct tiff_page *page);

/* The octets of a strip as stored, valid until the next call for this page; the caller may change
 * them. ERROR_FORMAT when they are not there. */
int tiff_page_strip(struct tiff_page *page, int strip, uint8_t **out, size_t *out_length,
                    int *out_rows);

/* Codes the whole page anew as one strip: T.6 MSB first, or T.4 1-D with aligned EOLs, without RTC
 * and LSB first; black is what the coding calls black. *out is malloced. */
int tiff_page_recode(struct tiff_page *page, enum tiff_coding coding, uint8_t **out,
                     size_t *out_length);

/* The same strip octets in the other fill order, in place. */
void tiff_page_reverse_bits(uint8_t *data, size_t length);

#endif
