/* SPDX-License-Identifier: MIT */
/*
 * body.h - the part of the mail that a person reads, as text and as HTML from the same lines.
 */
#ifndef FAXPOST_MESSAGE_BODY_H
#define FAXPOST_MESSAGE_BODY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "message/folder.h"
#include "spool/call_info.h"

struct body_facts {
    const struct call_info *call;
    int64_t date_ms;
    const struct folder_list *pages;       /* found */
    const struct folder_list *unconfirmed; /* found */
    const struct folder_list *unreadable;  /* of the pages */
    const struct folder_list *damaged;     /* of the pages: with rows that were mended */
    bool plain;                            /* the page files are attached as they are */
    const char *documents;                 /* names of the documents attached, one a line */
    const char *picture_cid;               /* Content-ID without <>, NULL: no picture */
    int picture_width, picture_height;
};

/* Printable UTF-8, lines of at most 78 characters or so, LF line ends. Give buffers of 64 kB. */
int body_text(struct buffer *out, const struct body_facts *facts);
int body_html(struct buffer *out, const struct body_facts *facts);

#endif
