/* SPDX-License-Identifier: MIT */
/*
 * message.h - a fax folder becomes a mail: message.eml beside the pages.
 *
 *   multipart/mixed
 *     multipart/alternative
 *       text/plain                        who called, when, what is missing
 *       multipart/related
 *         text/html, image/png            the same with a small picture of the first page
 *     application/pdf, image/tiff; application=faxbw
 *
 * CRLF line ends, lines of at most 998 octets, all seven bit: ready for SMTP as it stands.
 */
#ifndef FAXPOST_MESSAGE_MESSAGE_H
#define FAXPOST_MESSAGE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message/template.h"
#include "spool/call_info.h"

enum {
    MESSAGE_TO_MAX = 64, /* recipients in the To header; more are only in the envelope */
    MESSAGE_ADDRESS_MAX = 256,
    MESSAGE_PATH_MAX = 512,
    MESSAGE_ID_MAX = 160,
    MESSAGE_ROUTE_MAX = 64,
    MESSAGE_HOST_MAX = 256,
    MESSAGE_PAGES_MAX = 9999,        /* page-NNNN.tif */
    MESSAGE_REQUEST_MAX = 64 * 1024, /* octets of a request as JSON */
    MESSAGE_WHY_MAX = 512,
};

#define MESSAGE_FILE              "message.eml"
#define MESSAGE_FROM_DEFAULT      "Fax from {caller} <faxpost@{hostname}>"
#define MESSAGE_SUBJECT_DEFAULT   "Fax from {caller}, {pages_text}{partial_note}"
#define MESSAGE_FILE_NAME_DEFAULT "fax-{caller}-{date}-{time}"

enum message_attach { MESSAGE_ATTACH_PDF, MESSAGE_ATTACH_TIFF, MESSAGE_ATTACH_BOTH };
enum message_profile { MESSAGE_PROFILE_F, MESSAGE_PROFILE_S };

/* No pointers: it may be copied, and needs no freeing. Zeroed fields mean the defaults. */
struct message_request {
    char folder[MESSAGE_PATH_MAX]; /* absolute; page-NNNN.tif, unconfirmed-NNNN.tif are read */
    struct call_info call;         /* as deliver knows it; the password is not needed, not sent */
    char route[MESSAGE_ROUTE_MAX];
    char to[MESSAGE_TO_MAX][MESSAGE_ADDRESS_MAX];
    int to_count;
    enum message_attach attach;
    enum message_profile profile;
    char from[TEMPLATE_MAX]; /* templates; "": the default */
    char subject[TEMPLATE_MAX];
    char file_name[TEMPLATE_MAX];
    char hostname[MESSAGE_HOST_MAX];
    char message_id[MESSAGE_ID_MAX]; /* without <>; "": fax_id@hostname */
    int64_t date_ms;                 /* of the Date header; 0: the call's end */
    bool plain;                      /* attach the page files as they are, decode nothing */
};

struct message_result {
    int64_t bytes;  /* of message.eml */
    int pages;      /* page files found */
    int unreadable; /* of them attached as they were stored, because they could not be read */
};

/* Once per process, before the first thread and before the sandbox closes (loads zone data and
 * character tables). message_library_end() only matters to leak checkers. */
int message_library_init(void);
void message_library_end(void);

/* Writes FOLDER/message.eml, durable and whole when 0 is returned; an older one is replaced.
 * Several threads may compose different faxes. Memory needed is that of one page, not of the fax.
 * On failure the error is logged and why (size MESSAGE_WHY_MAX is enough) says it in words.
 * ERROR_NOT_FOUND: no folder; ERROR_FULL, ERROR_IO: the disk; ERROR_FORMAT: a bad request. A page
 * that cannot be read is no failure: it is attached as it was stored, and the text says so. */
int message_compose(const struct message_request *request, struct message_result *out, char *why,
                    size_t why_size);

/* The Message-ID of a fax, without <>: FAX-ID@hostname, only of safe characters. */
void message_id_make(char out[MESSAGE_ID_MAX], const char *fax_id, const char *hostname);

/* A request as JSON (malloced into *out) and back. Every text is bounded by its field: longer is
 * ERROR_LIMIT; unknown keys are ignored; ERROR_FORMAT when it is no such object. */
int message_request_format(char **out, size_t *out_length, const struct message_request *request);
int message_request_parse(struct message_request *out, const char *text, size_t length);

#endif
