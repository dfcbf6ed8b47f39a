/* SPDX-License-Identifier: MIT */
/*
 * message.c - the way of a fax folder to message.eml: look at the pages, make the documents into a
 * file without a name, make picture and texts, write the mail beside the pages.
 */
#include "message/message.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "message/body.h"
#include "message/folder.h"
#include "message/mime.h"
#include "message/pdf.h"
#include "message/picture.h"
#include "message/tiff_f.h"
#include "message/tiff_page.h"
#include "message/words.h"

#define DOCUMENTS_TEMPORARY ".documents.tmp"
#define MESSAGE_TEMPORARY   ".message.tmp"

enum {
    BODY_BYTES_MAX = 64 * 1024,
    DOCUMENT_NAME_MAX = TEMPLATE_FILE_MAX + 8,
    NAMED_DOCUMENTS = 2, /* PDF and TIFF; the others are pages as they are */
    HEADERS_MAX = 12,
    MESSAGE_RAW_PAGE_MAX = 256 * 1024 * 1024,
};

/* Everything about one mail in the making. */
struct compose {
    const struct message_request *request;
    struct template_facts facts;
    int dir_fd;
    struct folder_list pages, unconfirmed, unreadable, damaged;
    int readable;
    int documents_fd; /* the documents one behind the other, in a file without a name */
    int64_t documents_end;
    struct mime_document *documents;
    char (*document_names)[DOCUMENT_NAME_MAX];
    int document_count;
    struct picture picture;
    char picture_cid[MESSAGE_ID_MAX + 16];
    char file_name[TEMPLATE_FILE_MAX];
    char message_id[MESSAGE_ID_MAX];
    struct buffer text, html;
    char *why;
    size_t why_size;
};

int message_library_init(void)
{
    tiff_page_library_init();
    mime_library_init();
    return 0;
}

void message_library_end(void)
{
    mime_library_end();
}

/* Says in words what failed; gives the error on. */
static int __attribute__((format(printf, 3, 4)))
fail(struct compose *compose, int error, const char *format, ...)
{
    char what[300];
    va_list list;

    va_start(list, format);
    vsnprintf(what, sizeof what, format, list);
    va_end(list);
    if (compose->why_size > 0)
        snprintf(compose->why, compose->why_size, "%s: %s", what, error_text(error));
    log_error("compose_failed: fax=%s what=%s error=%s", LOG_ESCAPED(compose->request->call.fax_id),
              LOG_ESCAPED(what), LOG_ESCAPED(error_text(error)));
    return error;
}

/* ---- identity ----------------------------------------------------------------------------------
 */

void message_id_make(char out[MESSAGE_ID_MAX], const char *fax_id, const char *hostname)
{
    char left[FAX_ID_MAX], address[TEMPLATE_ADDRESS_MAX];

    text_copy(left, sizeof left, fax_id[0] != '\0' ? fax_id : "fax");
    for (char *p = left; *p != '\0'; p++)
        *p = isalnum((unsigned char)*p) ? *p : '-';
    snprintf(address, sizeof address, "%s@%.100s", left, hostname);
    if (template_address_is_plain(address))
        text_copy(out, MESSAGE_ID_MAX, address);
    else
        snprintf(out, MESSAGE_ID_MAX, "%s@localhost", left);
}

/* A Message-ID given by the asking side is taken when it is a plain one. */
static void choose_message_id(struct compose *compose)
{
    const struct message_request *request = compose->request;

    if (template_address_is_plain(request->message_id))
        text_copy(compose->message_id, MESSAGE_ID_MAX, request->message_id);
    else
        message_id_make(compose->message_id, request->call.fax_id, request->hostname);
    snprintf(compose->picture_cid, sizeof compose->picture_cid, "page1.%s", compose->message_id);
}

/* ---- the pages ---------------------------------------------------------------------------------
 */

/* What makes a page one that cannot be read, and not a failure of ours. */
static bool is_page_fault(int error)
{
    return error == ERROR_FORMAT || error == ERROR_LIMIT || error == ERROR_UNSUPPORTED;
}

/* Opens a page and decodes all of it; the picture comes from the first that can be read. */
static int look_at_page(struct compose *compose, int number)
{
    char name[FOLDER_NAME_MAX];
    struct tiff_page *page;
    int error = tiff_page_open(&page, compose->dir_fd, folder_page_name(name, number));

    if (error == 0) {
        error = tiff_page_check(page);
        if (error == 0 && compose->picture.png == NULL && picture_make(&compose->picture, page) < 0)
            log_warning("picture_failed: fax=%s page=%d hint=\"the mail goes without it\"",
                        LOG_ESCAPED(compose->request->call.fax_id), number);
        if (error == 0 && tiff_page_facts(page)->bad_lines > 0)
            compose->damaged.numbers[compose->damaged.count++] = number;
        tiff_page_close(page);
    }
    if (!is_page_fault(error))
        return error < 0 ? fail(compose, error, "page %d cannot be read", number) : 0;
    log_warning("page_unreadable: fax=%s page=%d why=\"%s\" hint=\"attached as received\"",
                LOG_ESCAPED(compose->request->call.fax_id), number, error_text(error));
    compose->unreadable.numbers[compose->unreadable.count++] = number;
    return 0;
}

static int look_at_pages(struct compose *compose)
{
    int error = folder_scan(compose->dir_fd, &compose->pages, &compose->unconfirmed);
    size_t count = (size_t)compose->pages.count;

    if (error < 0)
        return fail(compose, error, "the folder cannot be listed");
    /* At last, plain, it goes out with what there is, and says so (body.c). */
    if (compose->pages.count < compose->request->call.pages && !compose->request->plain)
        return fail(compose, ERROR_IO, "only %d of %d pages are in the folder",
                    compose->pages.count, compose->request->call.pages);
    compose->unreadable.numbers = calloc(count + 1, sizeof(int));
    compose->damaged.numbers = calloc(count + 1, sizeof(int));
    compose->documents = calloc(count + NAMED_DOCUMENTS, sizeof *compose->documents);
    compose->document_names = calloc(count + NAMED_DOCUMENTS, sizeof *compose->document_names);
    if (compose->unreadable.numbers == NULL || compose->damaged.numbers == NULL ||
        compose->documents == NULL || compose->document_names == NULL)
        return fail(compose, ERROR_MEMORY, "no memory for %zu pages", count);
    for (int i = 0; i < compose->pages.count && error == 0 && !compose->request->plain; i++)
        error = look_at_page(compose, compose->pages.numbers[i]);
    compose->readable =
        compose->request->plain ? 0 : compose->pages.count - compose->unreadable.count;
    return error;
}

/* ---- documents ----------------------------------------------------------------------------------
 */

/* A file in the folder that goes away with its descriptor: documents may be larger than memory. */
static int open_documents(struct compose *compose)
{
    unlinkat(compose->dir_fd, DOCUMENTS_TEMPORARY, 0);
    compose->documents_fd = openat(compose->dir_fd, DOCUMENTS_TEMPORARY,
                                   O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (compose->documents_fd < 0)
        return fail(compose, error_from_errno(errno), "no file for the documents in %s",
                    compose->request->folder);
    unlinkat(compose->dir_fd, DOCUMENTS_TEMPORARY, 0);
    return 0;
}

/* The octets that were written since the last document become one of this name and type. */
static struct mime_document *add_document(struct compose *compose, int64_t bytes, const char *stem,
                                          const char *ending)
{
    struct mime_document *document = &compose->documents[compose->document_count];
    char *name = compose->document_names[compose->document_count++];

    snprintf(name, DOCUMENT_NAME_MAX, "%s%s", stem, ending);
    document->name = name;
    document->from = compose->documents_end;
    document->to = compose->documents_end += bytes;
    return document;
}

/* Calls add() for every page that can be read. */
static int each_readable(struct compose *compose, int (*add)(void *, struct tiff_page *),
                         void *document)
{
    char name[FOLDER_NAME_MAX];
    int error = 0;

    for (int i = 0; i < compose->pages.count && error == 0; i++) {
        int number = compose->pages.numbers[i];
        struct tiff_page *page;

        if (folder_list_has(&compose->unreadable, number))
            continue;
        error = tiff_page_open(&page, compose->dir_fd, folder_page_name(name, number));
        if (error == 0) {
            error = add(document, page);
            tiff_page_close(page);
        }
        if (error < 0)
            fail(compose, error, "page %d does not go into the document", number);
    }
    return error;
}

static int add_to_pdf(void *pdf, struct tiff_page *page)
{
    return pdf_add_page(pdf, page);
}

static int add_to_tiff(void *tiff_f, struct tiff_page *page)
{
    return tiff_f_add_page(tiff_f, page);
}

static int make_pdf(struct compose *compose, const char *title)
{
    struct mime_document *document;
    struct pdf *pdf = NULL;
    int64_t bytes = 0;
    int error = pdf_new(&pdf, compose->documents_fd, title, compose->facts.date_ms);

    if (error == 0)
        error = each_readable(compose, add_to_pdf, pdf);
    if (error == 0)
        error = pdf_finish(pdf, &bytes);
    pdf_free(pdf);
    if (error < 0)
        return fail(compose, error, "the PDF cannot be written");
    document = add_document(compose, bytes, compose->file_name, ".pdf");
    document->type = "application";
    document->subtype = "pdf";
    return 0;
}

static int make_tiff(struct compose *compose)
{
    enum tiff_profile profile =
        compose->request->profile == MESSAGE_PROFILE_S ? TIFF_PROFILE_S : TIFF_PROFILE_F;
    struct mime_document *document;
    struct tiff_f *tiff_f = NULL;
    int64_t bytes = 0;
    int error = tiff_f_new(&tiff_f, compose->documents_fd, profile, compose->readable);

    if (error == 0)
        error = each_readable(compose, add_to_tiff, tiff_f);
    if (error == 0)
        error = tiff_f_finish(tiff_f, &bytes);
    tiff_f_free(tiff_f);
    if (error < 0)
        return fail(compose, error, "the TIFF document cannot be written");
    document = add_document(compose, bytes, compose->file_name, ".tif");
    document->type = "image";
    document->subtype = "tiff";
    document->application = "faxbw";
    return 0;
}

/* Copies a page file as it is behind the other documents. */
static int copy_page(struct compose *compose, int number, int64_t *out_bytes)
{
    char name[FOLDER_NAME_MAX], chunk[16 * 1024];
    int64_t bytes = 0;
    ssize_t got;
    int error = 0;
    int fd = openat(compose->dir_fd, folder_page_name(name, number),
                    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return error_from_errno(errno);
    while (error == 0 && (got = read(fd, chunk, sizeof chunk)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        error = got < 0 ? error_from_errno(errno)
                        : file_write_all(compose->documents_fd, chunk, (size_t)got);
        bytes += got > 0 ? got : 0;
        if (bytes > MESSAGE_RAW_PAGE_MAX)
            error = ERROR_LIMIT;
    }
    close(fd);
    *out_bytes = bytes;
    return error;
}

static int add_raw_pages(struct compose *compose)
{
    const struct message_request *request = compose->request;
    const struct folder_list *list = request->plain ? &compose->pages : &compose->unreadable;
    char name[FOLDER_NAME_MAX];

    for (int i = 0; i < list->count; i++) {
        struct mime_document *document;
        int64_t bytes;
        int error = copy_page(compose, list->numbers[i], &bytes);

        if (error < 0)
            return fail(compose, error, "page %d cannot be attached", list->numbers[i]);
        document = add_document(compose, bytes, folder_page_name(name, list->numbers[i]), "");
        document->type = request->plain ? "image" : "application";
        document->subtype = request->plain ? "tiff" : "octet-stream";
        document->application = request->plain ? "faxbw" : NULL;
    }
    return 0;
}

static int make_documents(struct compose *compose, const char *title)
{
    enum message_attach attach = compose->request->attach;
    int error = open_documents(compose);

    if (error == 0 && compose->readable > 0 && attach != MESSAGE_ATTACH_TIFF)
        error = make_pdf(compose, title);
    if (error == 0 && compose->readable > 0 && attach != MESSAGE_ATTACH_PDF)
        error = make_tiff(compose);
    if (error == 0)
        error = add_raw_pages(compose);
    return error;
}

/* ---- texts ---------------------------------------------------------------------------------- */

/* A template of the settings, or the default where it is empty or bad: settings are checked before
 * they come here, and a mail is not lost for them. */
static const char *usable_template(const char *text, enum template_use use, const char *fallback)
{
    char problem[200];

    if (text[0] == '\0')
        return fallback;
    if (template_check(text, use, problem, sizeof problem) == 0)
        return text;
    log_warning("template_bad: text=%s why=%s hint=\"the default is used; faxpostd -t tells more\"",
                LOG_ESCAPED(text), LOG_ESCAPED(problem));
    return fallback;
}

/* One name a line, of many the first ones. */
static void name_documents(const struct compose *compose, char *out, size_t size)
{
    size_t length = 0;

    out[0] = '\0';
    for (int i = 0; i < compose->document_count && i < 3 && length < size; i++)
        length += (size_t)snprintf(out + length, size - length, "%s%s", i > 0 ? "\n" : "",
                                   compose->document_names[i]);
    if (compose->document_count > 3 && length < size)
        snprintf(out + length, size - length, "\nand %d more", compose->document_count - 3);
}

static int make_texts(struct compose *compose)
{
    char documents[4 * DOCUMENT_NAME_MAX];
    const struct body_facts facts = {
        .call = &compose->request->call,
        .date_ms = compose->facts.date_ms,
        .pages = &compose->pages,
        .unconfirmed = &compose->unconfirmed,
        .unreadable = &compose->unreadable,
        .damaged = &compose->damaged,
        .plain = compose->request->plain,
        .documents = documents,
        .picture_cid = compose->picture.png != NULL ? compose->picture_cid : NULL,
        .picture_width = compose->picture.width,
        .picture_height = compose->picture.height,
    };
    int error;

    name_documents(compose, documents, sizeof documents);
    error = body_text(&compose->text, &facts);
    if (error == 0)
        error = body_html(&compose->html, &facts);
    return error < 0 ? fail(compose, error, "the text cannot be made") : 0;
}

/* ---- the mail ------------------------------------------------------------------------------- */

struct headers {
    struct mime_header list[HEADERS_MAX];
    char values[HEADERS_MAX][128];
    int count;
};

static void add_header(struct headers *headers, const char *name, const char *value)
{
    char *clean = headers->values[headers->count];

    if (value[0] == '\0')
        return;
    text_printable(template_clean_text(clean, sizeof headers->values[0], value, 100));
    headers->list[headers->count++] = (struct mime_header){name, clean};
}

static void make_headers(const struct compose *compose, struct headers *headers)
{
    const struct call_info *call = &compose->request->call;
    char pages[16];

    headers->count = 0;
    snprintf(pages, sizeof pages, "%d", compose->pages.count);
    add_header(headers, "Auto-Submitted", "auto-generated"); /* RFC 3834 5 */
    add_header(headers, "X-Faxpost-Fax-ID", call->fax_id);
    add_header(headers, "X-Faxpost-Line", call->line);
    add_header(headers, "X-Faxpost-Route", compose->request->route);
    add_header(headers, "X-Faxpost-Caller", call->caller);
    add_header(headers, "X-Faxpost-Called", call->called);
    add_header(headers, "X-Faxpost-Station", call->station);
    add_header(headers, "X-Faxpost-Pages", pages);
    add_header(headers, "X-Faxpost-Verdict", call_verdict_text(call->verdict));
}

/* Recipients that are no plain addresses (a quoted local part, say) stay in the envelope alone. */
static int choose_recipients(const struct message_request *request,
                             char (*out)[MESSAGE_ADDRESS_MAX])
{
    int count = 0;

    for (int i = 0; i < request->to_count && i < MESSAGE_TO_MAX; i++) {
        if (template_address_is_plain(request->to[i]))
            text_copy(out[count++], MESSAGE_ADDRESS_MAX, request->to[i]);
        else
            log_warning("recipient_not_shown: fax=%s to=%s hint=\"not a plain address\"",
                        LOG_ESCAPED(request->call.fax_id), LOG_ESCAPED(request->to[i]));
    }
    return count;
}

/* message.eml under a temporary name, then under its own: whole or not there at all. */
static int write_file(struct compose *compose, const struct mime_mail *mail, int64_t *out_bytes)
{
    int error, fd;

    unlinkat(compose->dir_fd, MESSAGE_TEMPORARY, 0);
    fd = openat(compose->dir_fd, MESSAGE_TEMPORARY,
                O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(compose, error_from_errno(errno), "no file for the mail");
    error = mime_write(fd, mail, out_bytes);
    if (error == 0 && fsync(fd) < 0)
        error = error_from_errno(errno);
    if (close(fd) < 0 && error == 0)
        error = error_from_errno(errno);
    if (error == 0 &&
        renameat(compose->dir_fd, MESSAGE_TEMPORARY, compose->dir_fd, MESSAGE_FILE) < 0)
        error = error_from_errno(errno);
    if (error == 0)
        error = file_sync_folder(compose->dir_fd);
    else
        unlinkat(compose->dir_fd, MESSAGE_TEMPORARY, 0);
    return error < 0 ? fail(compose, error, "the mail cannot be written") : 0;
}

static int write_mail(struct compose *compose, const char *subject, int64_t *out_bytes)
{
    const struct message_request *request = compose->request;
    char name[TEMPLATE_TEXT_MAX], address[TEMPLATE_ADDRESS_MAX];
    char(*to)[MESSAGE_ADDRESS_MAX] = calloc(MESSAGE_TO_MAX, sizeof *to);
    struct headers headers;
    struct mime_mail mail = {
        .from_name = name,
        .from_address = address,
        .to = (const char(*)[MESSAGE_ADDRESS_MAX])to,
        .subject = subject,
        .message_id = compose->message_id,
        .date_ms = compose->facts.date_ms,
        .headers = headers.list,
        .text = buffer_string(&compose->text),
        .html = buffer_string(&compose->html),
        .picture = compose->picture.png,
        .picture_length = compose->picture.length,
        .picture_cid = compose->picture_cid,
        .documents_fd = compose->documents_fd,
        .documents = compose->documents,
        .document_count = compose->document_count,
    };
    int error;

    if (to == NULL)
        return fail(compose, ERROR_MEMORY, "no memory for the recipients");
    mail.to_count = choose_recipients(request, to);
    make_headers(compose, &headers);
    mail.header_count = headers.count;
    error = template_expand_from(
        name, address, usable_template(request->from, TEMPLATE_FROM, MESSAGE_FROM_DEFAULT),
        &compose->facts);
    error = error < 0 ? fail(compose, error, "the From template cannot be used")
                      : write_file(compose, &mail, out_bytes);
    free(to);
    return error;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int compose_all(struct compose *compose, int64_t *out_bytes)
{
    const struct message_request *request = compose->request;
    char subject[TEMPLATE_TEXT_MAX];
    int error = look_at_pages(compose);

    if (error < 0)
        return error;
    compose->facts.pages = compose->pages.count;
    choose_message_id(compose);
    error = template_expand(
        subject, sizeof subject,
        usable_template(request->subject, TEMPLATE_SUBJECT, MESSAGE_SUBJECT_DEFAULT),
        TEMPLATE_SUBJECT, &compose->facts);
    if (error == 0)
        error = template_expand(
            compose->file_name, sizeof compose->file_name,
            usable_template(request->file_name, TEMPLATE_FILE_NAME, MESSAGE_FILE_NAME_DEFAULT),
            TEMPLATE_FILE_NAME, &compose->facts);
    if (error < 0)
        return fail(compose, error, "a template cannot be used");
    error = make_documents(compose, subject);
    if (error == 0)
        error = make_texts(compose);
    if (error == 0)
        error = write_mail(compose, subject, out_bytes);
    return error;
}

static void compose_free(struct compose *compose)
{
    if (compose->dir_fd >= 0)
        close(compose->dir_fd);
    if (compose->documents_fd >= 0)
        close(compose->documents_fd);
    folder_list_free(&compose->pages);
    folder_list_free(&compose->unconfirmed);
    folder_list_free(&compose->unreadable);
    folder_list_free(&compose->damaged);
    free(compose->documents);
    free(compose->document_names);
    picture_free(&compose->picture);
    buffer_free(&compose->text);
    buffer_free(&compose->html);
    free(compose);
}

/* The date of the mail: as asked, the call's end, or now. */
static int64_t choose_date(const struct message_request *request)
{
    if (request->date_ms > 0)
        return request->date_ms;
    return request->call.ended_ms > 0 ? request->call.ended_ms : clock_wall_ms();
}

int message_compose(const struct message_request *request, struct message_result *out, char *why,
                    size_t why_size)
{
    struct compose *compose = calloc(1, sizeof *compose);
    int64_t bytes = 0;
    int error;

    if (compose == NULL)
        return ERROR_MEMORY;
    compose->request = request;
    compose->facts = (struct template_facts){.call = &request->call,
                                             .date_ms = choose_date(request),
                                             .route = request->route,
                                             .hostname = request->hostname};
    compose->why = why;
    compose->why_size = why_size;
    compose->documents_fd = -1;
    buffer_init(&compose->text, BODY_BYTES_MAX);
    buffer_init(&compose->html, BODY_BYTES_MAX);
    compose->dir_fd = file_open_folder(AT_FDCWD, request->folder);
    if (request->folder[0] != '/')
        error = fail(compose, ERROR_FORMAT, "the folder's path is not absolute");
    else if (compose->dir_fd < 0)
        error = fail(compose, compose->dir_fd, "the folder %s cannot be opened", request->folder);
    else
        error = compose_all(compose, &bytes);
    if (error == 0 && out != NULL)
        *out = (struct message_result){bytes, compose->pages.count, compose->unreadable.count};
    compose_free(compose);
    return error;
}
