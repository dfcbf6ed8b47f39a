/* SPDX-License-Identifier: MIT */
/*
 * mime.h - a mail out of its parts: the only place of message/ that knows GMime.
 *
 * All texts are UTF-8 and already clean (template_clean_text()); GMime codes and folds them
 * (RFC 2047, RFC 2231) and streams the attachments out of a descriptor.
 */
#ifndef FAXPOST_MESSAGE_MIME_H
#define FAXPOST_MESSAGE_MIME_H

#include <stddef.h>
#include <stdint.h>

struct mime_header {
    const char *name, *value;
};

struct mime_document {
    const char *type, *subtype; /* "application", "pdf" */
    const char *application;    /* the parameter of image/tiff, or NULL */
    const char *name;           /* file name: safe characters only */
    int64_t from, to;           /* its octets within documents_fd */
};

struct mime_mail {
    const char *from_name, *from_address;
    const char (*to)[256];
    int to_count;
    const char *subject;
    const char *message_id; /* without <> */
    int64_t date_ms;
    const struct mime_header *headers;
    int header_count;
    const char *text, *html;
    const uint8_t *picture; /* PNG, or NULL */
    size_t picture_length;
    const char *picture_cid; /* without <> */
    int documents_fd;        /* a file; its position is moved */
    const struct mime_document *documents;
    int document_count;
};

/* Before the first thread. */
void mime_library_init(void);
void mime_library_end(void);

/* Writes the mail to fd: CRLF line ends, no line above 998 octets, seven bit. out_bytes is what was
 * written. ERROR_FULL, ERROR_IO, ERROR_LIBRARY. */
int mime_write(int fd, const struct mime_mail *mail, int64_t *out_bytes);

#endif
