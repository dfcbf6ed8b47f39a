/* SPDX-License-Identifier: MIT */
/*
 * tiff_f.h - pages into one TIFF-F document of many pages, per RFC 3949.
 *
 * Profile F passes the strips as stored (MH, MR, MMR; RFC 3949 4); profile S, the one that every
 * receiver knows (RFC 3949 3), is coded anew: MH, least significant bit first, one strip a page. A
 * page that profile S has no width or resolution for keeps its own and is only coded likewise.
 */
#ifndef FAXPOST_MESSAGE_TIFF_F_H
#define FAXPOST_MESSAGE_TIFF_F_H

#include <stdbool.h>
#include <stdint.h>

#include "message/tiff_page.h"

enum tiff_profile { TIFF_PROFILE_F, TIFF_PROFILE_S };

struct tiff_f;

/* Begins a document of exactly `pages` pages on fd, at its present position. */
int tiff_f_new(struct tiff_f **out, int fd, enum tiff_profile profile, int pages);

/* Adds a page. ERROR_FORMAT, ERROR_LIMIT: the page cannot be read; nothing was added, and the
 * document has no way on: find out before (tiff_page_check()). */
int tiff_f_add_page(struct tiff_f *tiff_f, struct tiff_page *page);

/* out_bytes is the document's length. ERROR_STATE when pages are missing. */
int tiff_f_finish(struct tiff_f *tiff_f, int64_t *out_bytes);

/* NULL is fine. */
void tiff_f_free(struct tiff_f *tiff_f);

#endif
