/* SPDX-License-Identifier: MIT */
/*
 * mime.c - builds GMime's tree from the leaves up and lets it write itself. All objects of a mail
 * live and die in one call, on one thread.
 */
#include "message/mime.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <gmime/gmime.h>

#include "base/error.h"
#include "base/log.h"

enum { LINE_MAX_7BIT = 78 };

void mime_library_init(void)
{
    g_mime_init();
    tzset();
}

void mime_library_end(void)
{
    g_mime_shutdown();
}

/* ---- leaves --------------------------------------------------------------------------------- */

static void set_content(GMimePart *part, GMimeStream *stream)
{
    GMimeDataWrapper *content =
        g_mime_data_wrapper_new_with_stream(stream, GMIME_CONTENT_ENCODING_DEFAULT);

    g_mime_part_set_content(part, content);
    g_object_unref(content);
    g_object_unref(stream);
}

/* Text that may go as it is: ASCII, short lines. */
static bool text_is_seven_bit(const char *text)
{
    size_t column = 0;

    for (; *text != '\0'; text++) {
        column = *text == '\n' ? 0 : column + 1;
        if ((unsigned char)*text > 0x7e || column > LINE_MAX_7BIT)
            return false;
    }
    return true;
}

/* GMime writes UTF-8 as iso-8859-1 where no charset is set: the content goes in as octets, with
 * charset and encoding said here. */
static GMimeObject *text_part(const char *subtype, const char *text)
{
    GMimePart *part = g_mime_part_new_with_type("text", subtype);
    bool seven_bit = text_is_seven_bit(text);

    g_mime_object_set_content_type_parameter(GMIME_OBJECT(part), "charset", "utf-8");
    g_mime_part_set_content_encoding(part, seven_bit ? GMIME_CONTENT_ENCODING_7BIT
                                                     : GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE);
    set_content(part, g_mime_stream_mem_new_with_buffer(text, strlen(text)));
    return GMIME_OBJECT(part);
}

static GMimeObject *picture_part(const struct mime_mail *mail)
{
    GMimePart *part = g_mime_part_new_with_type("image", "png");

    g_mime_object_set_disposition(GMIME_OBJECT(part), GMIME_DISPOSITION_INLINE);
    g_mime_part_set_filename(part, "first-page.png");
    g_mime_part_set_content_id(part, mail->picture_cid);
    g_mime_part_set_content_encoding(part, GMIME_CONTENT_ENCODING_BASE64);
    set_content(
        part, g_mime_stream_mem_new_with_buffer((const char *)mail->picture, mail->picture_length));
    return GMIME_OBJECT(part);
}

static GMimeObject *document_part(const struct mime_mail *mail, GMimeStream *documents, int i)
{
    const struct mime_document *document = &mail->documents[i];
    GMimePart *part = g_mime_part_new_with_type(document->type, document->subtype);

    if (document->application != NULL)
        g_mime_object_set_content_type_parameter(GMIME_OBJECT(part), "application",
                                                 document->application);
    g_mime_object_set_disposition(GMIME_OBJECT(part), GMIME_DISPOSITION_ATTACHMENT);
    g_mime_part_set_filename(part, document->name);
    g_mime_part_set_content_encoding(part, GMIME_CONTENT_ENCODING_BASE64);
    set_content(part, g_mime_stream_substream(documents, document->from, document->to));
    return GMIME_OBJECT(part);
}

/* ---- the tree ------------------------------------------------------------------------------- */

static void add_part(GMimeMultipart *parent, GMimeObject *child)
{
    g_mime_multipart_add(parent, child);
    g_object_unref(child);
}

static GMimeObject *html_with_picture(const struct mime_mail *mail)
{
    GMimeMultipart *related;

    if (mail->picture == NULL)
        return text_part("html", mail->html);
    related = g_mime_multipart_new_with_subtype("related");
    g_mime_object_set_content_type_parameter(GMIME_OBJECT(related), "type", "text/html");
    add_part(related, text_part("html", mail->html));
    add_part(related, picture_part(mail));
    return GMIME_OBJECT(related);
}

static GMimeObject *whole_body(const struct mime_mail *mail, GMimeStream *documents)
{
    GMimeMultipart *mixed = g_mime_multipart_new_with_subtype("mixed");
    GMimeMultipart *alternative = g_mime_multipart_new_with_subtype("alternative");

    add_part(alternative, text_part("plain", mail->text));
    add_part(alternative, html_with_picture(mail));
    add_part(mixed, GMIME_OBJECT(alternative));
    for (int i = 0; i < mail->document_count; i++)
        add_part(mixed, document_part(mail, documents, i));
    return GMIME_OBJECT(mixed);
}

static void add_mailbox(GMimeMessage *message, GMimeAddressType type, const char *name,
                        const char *address)
{
    InternetAddress *mailbox =
        internet_address_mailbox_new(name != NULL && name[0] != '\0' ? name : NULL, address);

    internet_address_set_charset(mailbox, "utf-8");
    internet_address_list_add(g_mime_message_get_addresses(message, type), mailbox);
    g_object_unref(mailbox);
}

static GMimeMessage *whole_message(const struct mime_mail *mail, GMimeStream *documents)
{
    GMimeMessage *message = g_mime_message_new(TRUE);
    GDateTime *date = g_date_time_new_from_unix_local(mail->date_ms / 1000);
    GMimeObject *body;

    add_mailbox(message, GMIME_ADDRESS_TYPE_FROM, mail->from_name, mail->from_address);
    for (int i = 0; i < mail->to_count; i++)
        add_mailbox(message, GMIME_ADDRESS_TYPE_TO, NULL, mail->to[i]);
    g_mime_message_set_subject(message, mail->subject, "utf-8");
    if (date != NULL) {
        g_mime_message_set_date(message, date);
        g_date_time_unref(date);
    }
    g_mime_message_set_message_id(message, mail->message_id);
    for (int i = 0; i < mail->header_count; i++)
        g_mime_object_set_header(GMIME_OBJECT(message), mail->headers[i].name,
                                 mail->headers[i].value, "utf-8");
    body = whole_body(mail, documents);
    g_mime_message_set_mime_part(message, body);
    g_object_unref(body);
    return message;
}

/* ---- writing -------------------------------------------------------------------------------- */

int mime_write(int fd, const struct mime_mail *mail, int64_t *out_bytes)
{
    GMimeStream *documents = g_mime_stream_fs_new(mail->documents_fd);
    GMimeStream *file = g_mime_stream_fs_new(fd);
    GMimeStream *out = g_mime_stream_buffer_new(file, GMIME_STREAM_BUFFER_BLOCK_WRITE);
    GMimeFormatOptions *format = g_mime_format_options_new();
    GMimeMessage *message = whole_message(mail, documents);
    int error = 0;

    g_mime_stream_fs_set_owner(GMIME_STREAM_FS(documents), FALSE);
    g_mime_stream_fs_set_owner(GMIME_STREAM_FS(file), FALSE);
    g_mime_format_options_set_newline_format(format, GMIME_NEWLINE_FORMAT_DOS);
    errno = 0;
    if (g_mime_object_write_to_stream(GMIME_OBJECT(message), format, out) < 0 ||
        g_mime_stream_flush(out) < 0) {
        error = errno != 0 ? error_from_errno(errno) : ERROR_LIBRARY;
        log_error("mail_write_failed: what=%s errno=%d hint=\"see the disk of the spool\"",
                  error_text(error), errno);
    }
    *out_bytes = error == 0 ? g_mime_stream_tell(file) : 0;
    g_object_unref(message);
    g_mime_format_options_free(format);
    g_object_unref(out);
    g_object_unref(file);
    g_object_unref(documents);
    return error;
}
