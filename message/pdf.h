/* SPDX-License-Identifier: MIT */
/*
 * pdf.h - pages into a PDF, page by page, without decoding them: the strips are wrapped as they
 * stand (ISO 32000-1 7.4.6, CCITTFaxDecode), at their size on paper.
 */
#ifndef FAXPOST_MESSAGE_PDF_H
#define FAXPOST_MESSAGE_PDF_H

#include <stdint.h>

#include "message/tiff_page.h"

struct pdf;

/* Begins a document on fd, at its present position; title is UTF-8. The descriptor stays the
 * caller's. The same pages, title and time give the same octets. */
int pdf_new(struct pdf **out, int fd, const char *title, int64_t created_ms);

/* Adds a page. ERROR_FORMAT or ERROR_LIMIT: the page cannot be read, nothing was added; what else
 * goes wrong (disk, memory) sticks and comes back from pdf_finish() too. */
int pdf_add_page(struct pdf *pdf, struct tiff_page *page);

/* Ends the document; out_bytes is its length. ERROR_STATE when it has no page. */
int pdf_finish(struct pdf *pdf, int64_t *out_bytes);

/* NULL is fine. */
void pdf_free(struct pdf *pdf);

#endif
