/* SPDX-License-Identifier: MIT */
/*
 * fuzz_tiff_page.c - any octets as a stored page: what opens is decoded, wrapped into a PDF, put
 * into both kinds of TIFF-F and made a picture. Body for libFuzzer and for replay.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "message/pdf.h"
#include "message/picture.h"
#include "message/tiff_f.h"
#include "message/tiff_page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS_OF_INTEREST = 4000 }; /* taller ones cost time and show nothing new */

static void make_documents(struct tiff_page *page, int fd)
{
    struct pdf *pdf;
    struct picture picture;
    int64_t bytes;

    if (pdf_new(&pdf, fd, "fuzz", 0) == 0) {
        if (pdf_add_page(pdf, page) == 0 && pdf_finish(pdf, &bytes) < 0)
            abort();
        pdf_free(pdf);
    }
    for (int profile = TIFF_PROFILE_F; profile <= TIFF_PROFILE_S; profile++) {
        struct tiff_f *tiff_f;

        if (tiff_f_new(&tiff_f, fd, (enum tiff_profile)profile, 1) != 0)
            continue;
        if (tiff_f_add_page(tiff_f, page) == 0 && tiff_f_finish(tiff_f, &bytes) < 0)
            abort();
        tiff_f_free(tiff_f);
    }
    if (picture_make(&picture, page) == 0)
        picture_free(&picture);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    struct tiff_page *page;

    if (fd < 0) {
        tiff_page_library_init();
        fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    }
    if (tiff_page_open_memory(&page, data, size) != 0)
        return 0;
    if (tiff_page_facts(page)->rows <= ROWS_OF_INTEREST) {
        tiff_page_check(page);
        make_documents(page, fd);
    }
    tiff_page_close(page);
    return 0;
}
