/* SPDX-License-Identifier: MIT */
/*
 * message_rig.c - see message_rig.h. Anything that fails here ends the test program.
 */
#include "test/unit/message_rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tiffio.h>

#include "message/tiff_page.h"

extern char **environ;

static void must(bool fine, const char *what)
{
    if (fine)
        return;
    fprintf(stderr, "message_rig: %s failed\n", what);
    abort();
}

/* ---- files ---------------------------------------------------------------------------------- */

char rig_folder[RIG_PATH_MAX];

void rig_folder_new(char path[RIG_PATH_MAX])
{
    const char *base = getenv("TMPDIR");

    snprintf(path, RIG_PATH_MAX, "%s/faxpost-message-XXXXXX", base != NULL ? base : "/tmp");
    must(mkdtemp(path) != NULL, "mkdtemp");
}

void rig_folder_remove(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;

    must(dir != NULL, "opendir");
    while ((entry = readdir(dir)) != NULL)
        unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    must(rmdir(path) == 0, "rmdir");
}

int rig_set_up(void **state)
{
    (void)state;
    tiff_page_library_init();
    rig_folder_new(rig_folder);
    return 0;
}

int rig_tear_down(void **state)
{
    (void)state;
    rig_folder_remove(rig_folder);
    return 0;
}

static void join(char out[2 * RIG_PATH_MAX], const char *folder, const char *name)
{
    snprintf(out, (size_t)2 * RIG_PATH_MAX, "%s/%s", folder, name);
}

void rig_file_write(const char *folder, const char *name, const void *data, size_t length)
{
    char path[2 * RIG_PATH_MAX];
    FILE *file;

    join(path, folder, name);
    file = fopen(path, "wb");
    must(file != NULL && (length == 0 || fwrite(data, 1, length, file) == length) &&
             fclose(file) == 0,
         "write");
}

uint8_t *rig_file_read(const char *folder, const char *name, size_t *out_length)
{
    char path[2 * RIG_PATH_MAX];
    FILE *file;
    uint8_t *data;
    long length = -1;

    join(path, folder, name);
    file = fopen(path, "rb");
    must(file != NULL && fseek(file, 0, SEEK_END) == 0 && (length = ftell(file)) >= 0, "open");
    rewind(file);
    data = malloc((size_t)length + 1);
    must(data != NULL && fread(data, 1, (size_t)length, file) == (size_t)length, "read");
    data[length] = '\0';
    fclose(file);
    *out_length = (size_t)length;
    return data;
}

int rig_run_program(const char *const *argv)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    status = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (status != 0)
        return -1;
    must(waitpid(pid, &status, 0) == pid, "waitpid");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* ---- pages ---------------------------------------------------------------------------------- */

/* Something like writing: cells of ink, a frame, and single pixels. */
static bool is_black(const struct rig_page *page, int x, int y)
{
    uint32_t cell = (uint32_t)(x / 7) * 2654435761u ^ (uint32_t)(y / 4) * 2246822519u ^ page->seed;

    if (x < 3 || x >= page->width - 2 || y == 0 || y == page->rows - 1)
        return true;
    cell ^= cell >> 15;
    cell *= 2246822519u;
    cell ^= cell >> 13;
    return (y / 16) % 2 == 0 ? cell % 4 == 0 : (x * 31 + y * 17) % 401 == 0;
}

static size_t row_bytes(int width)
{
    return ((size_t)width + 7) / 8;
}

uint8_t *rig_page_pixels(const struct rig_page *page)
{
    uint8_t *pixels = calloc((size_t)page->rows, row_bytes(page->width));

    must(pixels != NULL, "calloc");
    for (int y = 0; y < page->rows; y++)
        for (int x = 0; x < page->width; x++)
            if (is_black(page, x, y))
                pixels[(size_t)y * row_bytes(page->width) + (size_t)x / 8] |=
                    (uint8_t)(0x80 >> x % 8);
    return pixels;
}

static void set_fields(TIFF *tiff, const struct rig_page *page)
{
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, page->width);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, page->rows);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 1);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC,
                 page->black_is_zero ? PHOTOMETRIC_MINISBLACK : PHOTOMETRIC_MINISWHITE);
    TIFFSetField(tiff, TIFFTAG_FILLORDER, page->lsb_first ? FILLORDER_LSB2MSB : FILLORDER_MSB2LSB);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, page->compression);
    if (page->compression == COMPRESSION_CCITTFAX3)
        TIFFSetField(tiff, TIFFTAG_GROUP3OPTIONS, page->options);
    TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP,
                 page->rows_per_strip > 0 ? page->rows_per_strip : page->rows);
    if (page->x > 0)
        TIFFSetField(tiff, TIFFTAG_XRESOLUTION, page->x);
    if (page->y > 0)
        TIFFSetField(tiff, TIFFTAG_YRESOLUTION, page->y);
    TIFFSetField(tiff, TIFFTAG_RESOLUTIONUNIT,
                 page->centimetres ? RESUNIT_CENTIMETER : RESUNIT_INCH);
    if (page->quality) {
        TIFFSetField(tiff, TIFFTAG_BADFAXLINES, 3);
        TIFFSetField(tiff, TIFFTAG_CLEANFAXDATA, CLEANFAXDATA_REGENERATED);
        TIFFSetField(tiff, TIFFTAG_CONSECUTIVEBADFAXLINES, 2);
    }
}

void rig_page_write(const char *folder, const char *name, const struct rig_page *page)
{
    char path[2 * RIG_PATH_MAX];
    uint8_t *pixels = rig_page_pixels(page);
    size_t bytes = row_bytes(page->width);
    TIFF *tiff;

    join(path, folder, name);
    tiff = TIFFOpen(path, "w");
    must(tiff != NULL, "TIFFOpen");
    set_fields(tiff, page);
    for (int y = 0; y < page->rows; y++) {
        uint8_t *row = pixels + (size_t)y * bytes;

        for (size_t i = 0; i < bytes && page->black_is_zero; i++)
            row[i] = (uint8_t)~row[i];
        must(TIFFWriteScanline(tiff, row, (uint32_t)y, 0) == 1, "TIFFWriteScanline");
    }
    TIFFClose(tiff);
    free(pixels);
}

static TIFF *open_page(const char *path, int index)
{
    TIFF *tiff = TIFFOpen(path, "r");

    must(tiff != NULL && TIFFSetDirectory(tiff, (uint16_t)index), "TIFFSetDirectory");
    return tiff;
}

uint8_t *rig_tiff_pixels(const char *path, int index, int *out_width, int *out_rows)
{
    TIFF *tiff = open_page(path, index);
    uint32_t width = 0, rows = 0;
    uint16_t photometric = 0;
    size_t bytes;
    uint8_t *pixels;
    bool fine = true;

    TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &rows);
    TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &photometric);
    bytes = row_bytes((int)width);
    pixels = calloc(rows, bytes);
    must(pixels != NULL, "calloc");
    for (uint32_t y = 0; y < rows && fine; y++) {
        uint8_t *row = pixels + y * bytes;

        fine = TIFFReadScanline(tiff, row, y, 0) == 1;
        for (size_t i = 0; i < bytes && photometric == PHOTOMETRIC_MINISBLACK; i++)
            row[i] = (uint8_t)~row[i];
        if (width % 8 != 0)
            row[bytes - 1] &= (uint8_t)(0xff00u >> width % 8);
    }
    TIFFClose(tiff);
    if (!fine) {
        free(pixels);
        return NULL;
    }
    *out_width = (int)width;
    *out_rows = (int)rows;
    return pixels;
}

uint8_t *rig_tiff_strip(const char *path, int index, int strip, size_t *out_length)
{
    TIFF *tiff = open_page(path, index);
    tmsize_t length = (tmsize_t)TIFFRawStripSize(tiff, (uint32_t)strip);
    uint8_t *data = malloc((size_t)length + 1);

    must(data != NULL && TIFFReadRawStrip(tiff, (uint32_t)strip, data, length) == length, "strip");
    TIFFClose(tiff);
    *out_length = (size_t)length;
    return data;
}

int rig_tiff_pages(const char *path)
{
    TIFF *tiff = open_page(path, 0);
    int pages = TIFFNumberOfDirectories(tiff);

    TIFFClose(tiff);
    return pages;
}

uint32_t rig_tiff_u32(const char *path, int index, uint32_t tag)
{
    TIFF *tiff = open_page(path, index);
    uint32_t value = UINT32_MAX;

    TIFFGetField(tiff, tag, &value);
    TIFFClose(tiff);
    return value;
}

uint16_t rig_tiff_u16(const char *path, int index, uint32_t tag)
{
    TIFF *tiff = open_page(path, index);
    uint16_t value = UINT16_MAX, second = 0;

    TIFFGetField(tiff, tag, &value, &second);
    TIFFClose(tiff);
    return value;
}

double rig_tiff_float(const char *path, int index, uint32_t tag)
{
    TIFF *tiff = open_page(path, index);
    float value = -1;

    TIFFGetField(tiff, tag, &value);
    TIFFClose(tiff);
    return (double)value;
}
