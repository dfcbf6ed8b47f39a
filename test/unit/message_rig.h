/* SPDX-License-Identifier: MIT */
/*
 * message_rig.h - pages for the tests of message/: made by libtiff with known pixels, read back by
 * libtiff without any code of message/.
 */
#ifndef FAXPOST_TEST_MESSAGE_RIG_H
#define FAXPOST_TEST_MESSAGE_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RIG_PATH_MAX = 256 };

struct rig_page {
    int width, rows;
    int compression;  /* COMPRESSION_… of tiff.h: 2, 3, 4, 1 */
    unsigned options; /* T4Options */
    bool lsb_first;
    bool black_is_zero; /* photometric min-is-black */
    int rows_per_strip; /* 0: all */
    double x, y;        /* resolution, 0: no such tag */
    bool centimetres;
    bool quality; /* BadFaxLines 3, CleanFaxData 1, ConsecutiveBadFaxLines 2 */
    unsigned seed;
};

/* Before and after a group of tests: libtiff made ready, and a folder. */
extern char rig_folder[RIG_PATH_MAX];
int rig_set_up(void **state);
int rig_tear_down(void **state);

/* A folder of its own under TMPDIR; and away with it and all files in it. */
void rig_folder_new(char path[RIG_PATH_MAX]);
void rig_folder_remove(const char *path);

/* FOLDER/name with the page; its pixels, MSB first, 1 is black, malloced. */
void rig_page_write(const char *folder, const char *name, const struct rig_page *page);
uint8_t *rig_page_pixels(const struct rig_page *page);

/* Page `index` of a TIFF file as pixels of the same form, malloced; NULL when it cannot be read. */
uint8_t *rig_tiff_pixels(const char *path, int index, int *out_width, int *out_rows);

/* Strip `strip` of page `index` as stored, malloced; numbers of a tag. */
uint8_t *rig_tiff_strip(const char *path, int index, int strip, size_t *out_length);
int rig_tiff_pages(const char *path);
uint32_t rig_tiff_u32(const char *path, int index, uint32_t tag);
uint16_t rig_tiff_u16(const char *path, int index, uint32_t tag);
double rig_tiff_float(const char *path, int index, uint32_t tag);

void rig_file_write(const char *folder, const char *name, const void *data, size_t length);
uint8_t *rig_file_read(const char *folder, const char *name, size_t *out_length);

/* Runs a program found by PATH without output: its exit status, -1 when there is no such program.
 */
int rig_run_program(const char *const *argv);

#endif
