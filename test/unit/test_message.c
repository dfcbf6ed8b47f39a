/* SPDX-License-Identifier: MIT */
/* The whole mail: composed from a folder, read back by GMime's parser, taken apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <gmime/gmime.h>

#include "base/error.h"
#include "base/thread.h"
#include "message/message.h"
#include "test/unit/message_rig.h"

/* A sanitizer holds freed memory back. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED 0
#endif

static struct message_request request; /* of the test at hand */
static const struct rig_page standard = {1728, 300, 4, 0, .x = 204, .y = 196};

static int set_up(void **state)
{
    (void)state;
    request = (struct message_request){
        .to = {"sales@example.com", "copy@example.com"},
        .to_count = 2,
        .attach = MESSAGE_ATTACH_BOTH,
        .hostname = "fax.example.com",
        .route = "sales",
        .call = {.fax_id = "20261121T101530123-k7f3a9c2d1e4",
                 .line = "trunk",
                 .called = "5552000",
                 .caller = "+15551234",
                 .station = "+1 555 1234",
                 .answered_ms = 1795256102000,
                 .ended_ms = 1795256174000,
                 .verdict = CALL_COMPLETE},
    };
    rig_folder_new(request.folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_folder_remove(request.folder);
    return 0;
}

/* ---- a mail taken apart --------------------------------------------------------------------- */

struct mail {
    uint8_t *raw;
    size_t length;
    GMimeMessage *message;
    char shape[512]; /* "mixed(alternative(plain,related(html,png)),pdf,tiff)" */
    char *plain, *html;
    GMimePart *parts[64]; /* attachments, owned by message */
    int part_count;
    GMimePart *picture;
};

static void walk(struct mail *mail, GMimeObject *object)
{
    GMimeContentType *type = g_mime_object_get_content_type(object);
    size_t length = strlen(mail->shape);
    const char *disposition = g_mime_object_get_disposition(object);

    snprintf(mail->shape + length, sizeof mail->shape - length, "%s",
             g_mime_content_type_get_media_subtype(type));
    if (GMIME_IS_MULTIPART(object)) {
        GMimeMultipart *multipart = GMIME_MULTIPART(object);

        strcat(mail->shape, "(");
        for (int i = 0; i < g_mime_multipart_get_count(multipart); i++) {
            if (i > 0)
                strcat(mail->shape, ",");
            walk(mail, g_mime_multipart_get_part(multipart, i));
        }
        strcat(mail->shape, ")");
    } else if (disposition != NULL && strcmp(disposition, "attachment") == 0) {
        mail->parts[mail->part_count++] = GMIME_PART(object);
    } else if (g_mime_content_type_is_type(type, "text", "*")) {
        char *text = g_mime_text_part_get_text(GMIME_TEXT_PART(object));

        assert_string_equal(g_mime_content_type_get_parameter(type, "charset"), "utf-8");
        for (char *p; (p = strchr(text, '\r')) != NULL;)
            memmove(p, p + 1, strlen(p));
        if (g_mime_content_type_is_type(type, "text", "html"))
            mail->html = text;
        else
            mail->plain = text;
    } else {
        mail->picture = GMIME_PART(object);
    }
}

/* SMTP as it stands: CRLF, seven bit, no long line, no NUL (RFC 5321 2.3.8, 4.5.3.1.6). */
static void check_wire(const struct mail *mail)
{
    size_t column = 0;

    for (size_t i = 0; i < mail->length; i++) {
        uint8_t c = mail->raw[i];

        assert_true(c < 0x80 && c != 0);
        assert_true(c != '\n' || (i > 0 && mail->raw[i - 1] == '\r'));
        assert_true(c != '\r' || (i + 1 < mail->length && mail->raw[i + 1] == '\n'));
        column = c == '\n' ? 0 : column + 1;
        assert_true(column <= 998 + 1);
    }
    assert_memory_equal(mail->raw + mail->length - 2, "\r\n", 2);
}

static struct mail compose(void)
{
    struct mail mail = {0};
    struct message_result result;
    char why[MESSAGE_WHY_MAX] = "";
    GMimeStream *stream;
    GMimeParser *parser;
    struct stat status;
    char path[2 * RIG_PATH_MAX];

    assert_int_equal(message_compose(&request, &result, why, sizeof why), 0);
    mail.raw = rig_file_read(request.folder, "message.eml", &mail.length);
    assert_int_equal(result.bytes, mail.length);
    check_wire(&mail);
    stream = g_mime_stream_mem_new_with_buffer((const char *)mail.raw, mail.length);
    parser = g_mime_parser_new_with_stream(stream);
    mail.message = g_mime_parser_construct_message(parser, NULL);
    assert_non_null(mail.message);
    g_object_unref(parser);
    g_object_unref(stream);
    walk(&mail, g_mime_message_get_mime_part(mail.message));
    snprintf(path, sizeof path, "%s/message.eml", request.folder);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 077, 0);
    snprintf(path, sizeof path, "%s/.message.tmp", request.folder);
    assert_int_equal(access(path, F_OK), -1);
    snprintf(path, sizeof path, "%s/.documents.tmp", request.folder);
    assert_int_equal(access(path, F_OK), -1);
    return mail;
}

static void mail_free(struct mail *mail)
{
    g_object_unref(mail->message);
    g_free(mail->plain);
    g_free(mail->html);
    free(mail->raw);
}

/* Decodes a part into FOLDER/name; gives its length. */
static size_t save_part(GMimePart *part, const char *name)
{
    GMimeStream *memory = g_mime_stream_mem_new();
    GByteArray *octets;
    size_t length;

    g_mime_data_wrapper_write_to_stream(g_mime_part_get_content(part), memory);
    octets = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(memory));
    length = octets->len;
    rig_file_write(request.folder, name, octets->data, length);
    g_object_unref(memory);
    return length;
}

static const char *header(const struct mail *mail, const char *name)
{
    return g_mime_object_get_header(GMIME_OBJECT(mail->message), name);
}

static const char *only_address(InternetAddressList *list, int i)
{
    return internet_address_mailbox_get_addr(
        INTERNET_ADDRESS_MAILBOX(internet_address_list_get_address(list, i)));
}

/* The TIFF attachment holds these pages, pixel for pixel. */
static void check_tiff(GMimePart *part, const struct rig_page *pages, int count)
{
    char path[2 * RIG_PATH_MAX];

    save_part(part, "got.tif");
    snprintf(path, sizeof path, "%s/got.tif", request.folder);
    assert_int_equal(rig_tiff_pages(path), count);
    for (int i = 0; i < count; i++) {
        uint8_t *expected = rig_page_pixels(&pages[i]), *got;
        int width, rows;

        got = rig_tiff_pixels(path, i, &width, &rows);
        assert_non_null(got);
        assert_int_equal(width, pages[i].width);
        assert_int_equal(rows, pages[i].rows);
        assert_memory_equal(got, expected, (size_t)rows * (((size_t)width + 7) / 8));
        free(got);
        free(expected);
    }
}

static void add_pages(const struct rig_page *pages, int count)
{
    for (int i = 0; i < count; i++) {
        char name[32];

        snprintf(name, sizeof name, "page-%04d.tif", i + 1);
        rig_page_write(request.folder, name, &pages[i]);
    }
}

/* ---- what a good fax gives --------------------------------------------------------------------
 */

static void structure_and_headers(void **state)
{
    struct mail mail;
    GMimeContentType *type;
    InternetAddressList *list;
    char cid[256];

    (void)state;
    add_pages((const struct rig_page[]){standard, standard}, 2);
    mail = compose();
    assert_string_equal(mail.shape, "mixed(alternative(plain,related(html,png)),pdf,tiff)");
    assert_string_equal(header(&mail, "Message-Id"),
                        "<20261121T101530123-k7f3a9c2d1e4@fax.example.com>");
    assert_string_equal(header(&mail, "Auto-Submitted"), "auto-generated");
    assert_string_equal(header(&mail, "MIME-Version"), "1.0");
    assert_string_equal(header(&mail, "Date"), "Sat, 21 Nov 2026 11:16:14 +0100");
    assert_string_equal(header(&mail, "X-Faxpost-Fax-ID"), request.call.fax_id);
    assert_string_equal(header(&mail, "X-Faxpost-Caller"), "+15551234");
    assert_string_equal(header(&mail, "X-Faxpost-Pages"), "2");
    assert_string_equal(header(&mail, "X-Faxpost-Verdict"), "complete");
    assert_string_equal(g_mime_message_get_subject(mail.message), "Fax from +15551234, 2 pages");
    list = g_mime_message_get_from(mail.message);
    assert_int_equal(internet_address_list_length(list), 1);
    assert_string_equal(only_address(list, 0), "faxpost@fax.example.com");
    assert_string_equal(internet_address_get_name(internet_address_list_get_address(list, 0)),
                        "Fax from +15551234");
    list = g_mime_message_get_to(mail.message);
    assert_int_equal(internet_address_list_length(list), 2);
    assert_string_equal(only_address(list, 1), "copy@example.com");

    assert_int_equal(mail.part_count, 2);
    assert_string_equal(g_mime_part_get_filename(mail.parts[0]),
                        "fax-15551234-2026-11-21-11-16.pdf");
    assert_string_equal(g_mime_part_get_filename(mail.parts[1]),
                        "fax-15551234-2026-11-21-11-16.tif");
    type = g_mime_object_get_content_type(GMIME_OBJECT(mail.parts[1]));
    assert_true(g_mime_content_type_is_type(type, "image", "tiff"));
    assert_string_equal(g_mime_content_type_get_parameter(type, "application"), "faxbw");
    assert_string_equal(g_mime_object_get_disposition(GMIME_OBJECT(mail.picture)), "inline");
    snprintf(cid, sizeof cid, "src=\"cid:%s\"", g_mime_part_get_content_id(mail.picture));
    assert_non_null(strstr(mail.html, cid));
    check_tiff(mail.parts[1], (const struct rig_page[]){standard, standard}, 2);
    mail_free(&mail);
}

static void text_tells_all(void **state)
{
    static const char *const said[] = {
        "Fax from +15551234, 2 pages\n",
        "+15551234 (Köhler & Söhne)",
        "5552000 (line trunk)",
        "+1 555 1234",
        "Saturday, 21 November 2026, 11:16 (UTC+01:00)",
        "1 min 12 s",
        "complete, every page was confirmed",
        "fax-15551234-2026-11-21-11-16.pdf",
    };
    struct mail mail;

    (void)state;
    strcpy(request.call.caller_name, "Köhler & Söhne");
    request.attach = MESSAGE_ATTACH_PDF;
    add_pages((const struct rig_page[]){standard, standard}, 2);
    mail = compose();
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++)
        if (strstr(mail.plain, said[i]) == NULL)
            fail_msg("missing: %s in\n%s", said[i], mail.plain);
    assert_null(strstr(mail.plain, "broke off"));
    assert_non_null(strstr(mail.html, "Köhler &amp; Söhne"));
    assert_string_equal(mail.shape, "mixed(alternative(plain,related(html,png)),pdf)");
    mail_free(&mail);
}

static void attachments_as_asked(void **state)
{
    static const struct {
        enum message_attach attach;
        const char *shape;
    } rows[] = {
        {MESSAGE_ATTACH_PDF, "mixed(alternative(plain,related(html,png)),pdf)"},
        {MESSAGE_ATTACH_TIFF, "mixed(alternative(plain,related(html,png)),tiff)"},
        {MESSAGE_ATTACH_BOTH, "mixed(alternative(plain,related(html,png)),pdf,tiff)"},
    };

    (void)state;
    add_pages(&standard, 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mail mail;

        request.attach = rows[i].attach;
        request.profile = MESSAGE_PROFILE_S;
        mail = compose();
        assert_string_equal(mail.shape, rows[i].shape);
        if (rows[i].attach == MESSAGE_ATTACH_TIFF)
            check_tiff(mail.parts[0], &standard, 1);
        mail_free(&mail);
    }
}

/* T.30 table 2: every width at every resolution the library can do. */
static void every_size_is_pixel_identical(void **state)
{
    static const struct {
        int width;
        double x, y;
    } sizes[] = {
        {1728, 204, 98},  {1728, 204, 196}, {1728, 204, 391}, {2048, 204, 98},  {2048, 204, 196},
        {2048, 204, 391}, {2432, 204, 98},  {2432, 204, 196}, {2432, 204, 391}, {3456, 408, 391},
        {4096, 408, 391}, {4864, 408, 391}, {1728, 200, 100}, {1728, 200, 200}, {2592, 300, 300},
        {3072, 300, 300}, {3648, 300, 300}, {3456, 400, 400}, {5184, 600, 600}, {10368, 1200, 1200},
    };
    enum { SIZES = sizeof sizes / sizeof sizes[0] };
    struct rig_page pages[SIZES];
    struct mail mail;

    (void)state;
    for (int i = 0; i < SIZES; i++)
        pages[i] = (struct rig_page){
            sizes[i].width, 64 + i,          i % 2 == 0 ? 4 : 3, i % 3 == 0,
            i % 2 != 0,     .x = sizes[i].x, .y = sizes[i].y,    .seed = (unsigned)i};
    add_pages(pages, SIZES);
    for (int profile = MESSAGE_PROFILE_F; profile <= MESSAGE_PROFILE_S; profile++) {
        request.profile = (enum message_profile)profile;
        mail = compose();
        assert_int_equal(mail.part_count, 2);
        check_tiff(mail.parts[1], pages, SIZES);
        mail_free(&mail);
    }
}

static void numbers_of_pages(void **state)
{
    struct rig_page pages[30];
    struct mail mail;

    (void)state;
    request.call.verdict = CALL_EMPTY;
    mail = compose();
    assert_string_equal(mail.shape, "mixed(alternative(plain,html))");
    assert_non_null(strstr(mail.plain, "no pages"));
    assert_non_null(strstr(mail.plain, "broke off before a page was complete"));
    mail_free(&mail);

    request.call.verdict = CALL_COMPLETE;
    for (int i = 0; i < 30; i++) {
        pages[i] = standard;
        pages[i].seed = (unsigned)i;
    }
    add_pages(pages, 1);
    mail = compose();
    assert_string_equal(g_mime_message_get_subject(mail.message), "Fax from +15551234, 1 page");
    check_tiff(mail.parts[1], pages, 1);
    mail_free(&mail);

    add_pages(pages, 30);
    mail = compose();
    assert_string_equal(g_mime_message_get_subject(mail.message), "Fax from +15551234, 30 pages");
    check_tiff(mail.parts[1], pages, 30);
    mail_free(&mail);
}

/* ---- faxes that are not whole ------------------------------------------------------------------
 */

/* The plain text with line ends as spaces, to look for sentences. */
static char *unwrapped(const struct mail *mail)
{
    static char text[8192];

    snprintf(text, sizeof text, "%s", mail->plain);
    for (char *p = text; *p != '\0'; p++)
        *p = *p == '\n' ? ' ' : *p;
    return text;
}

static void partial_and_doubtful(void **state)
{
    static const struct {
        enum call_verdict verdict;
        int unconfirmed; /* pages 3 … */
        const char *said[3];
        const char *subject;
    } rows[] = {
        {CALL_PARTIAL,
         0,
         {"broke off after page 2. Nothing that came after it was received"},
         "Fax from +15551234, 2 pages (incomplete)"},
        {CALL_PARTIAL,
         1,
         {"broke off after page 2.",
          "Page 3 was received in part and was not "
          "confirmed to the sender: ask them to send it again.",
          "kept in the spool"},
         "Fax from +15551234, 2 pages (incomplete)"},
        {CALL_PARTIAL,
         2,
         {"Pages 3 and 4 were received in part"},
         "Fax from +15551234, 2 pages (incomplete)"},
        {CALL_LIVE, 0, {"broke off after page 2."}, "Fax from +15551234, 2 pages (incomplete)"},
        {CALL_DOUBTFUL, 0, {"transmission errors"}, "Fax from +15551234, 2 pages (doubtful)"},
    };

    (void)state;
    add_pages((const struct rig_page[]){standard, standard}, 2);
    strcpy(request.call.error, "the <line> dropped\r\nX");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mail mail;

        for (int n = 0; n < rows[i].unconfirmed; n++) {
            char name[32];

            snprintf(name, sizeof name, "unconfirmed-%04d.tif", 3 + n);
            rig_file_write(request.folder, name, "x", 1);
        }
        request.call.verdict = rows[i].verdict;
        mail = compose();
        for (int k = 0; k < 3 && rows[i].said[k] != NULL; k++)
            if (strstr(unwrapped(&mail), rows[i].said[k]) == NULL)
                fail_msg("missing: %s in\n%s", rows[i].said[k], mail.plain);
        assert_non_null(strstr(mail.plain, "Reason: the <line> dropped??X"));
        assert_non_null(strstr(mail.html, "the &lt;line&gt; dropped??X"));
        assert_string_equal(g_mime_message_get_subject(mail.message), rows[i].subject);
        mail_free(&mail);
        for (int n = 0; n < rows[i].unconfirmed; n++) {
            char path[2 * RIG_PATH_MAX];

            snprintf(path, sizeof path, "%s/unconfirmed-%04d.tif", request.folder, 3 + n);
            unlink(path);
        }
    }
}

static void damaged_pages_go_as_they_are(void **state)
{
    const struct rig_page kept[] = {standard, {1728, 200, 3, 1, .x = 204, .y = 98, .seed = 7}};
    static const char junk[] = "II*\0 this is no page";
    uint8_t *cut, *got;
    size_t length, got_length;
    struct mail mail;

    (void)state;
    rig_file_write(request.folder, "page-0001.tif", junk, sizeof junk - 1);
    rig_page_write(request.folder, "page-0002.tif", &kept[0]);
    rig_page_write(request.folder, "page-0003.tif", &kept[1]);
    cut = rig_file_read(request.folder, "page-0002.tif", &length);
    rig_file_write(request.folder, "page-0004.tif", cut, length / 2);
    rig_file_write(request.folder, "page-0005.tif", "", 0);
    /* none of these is a page of this fax */
    rig_file_write(request.folder, "page-1.tif", "x", 1);
    rig_file_write(request.folder, "page-0000.tif", "x", 1);
    rig_file_write(request.folder, "xpage-0009.tif", "x", 1);
    rig_file_write(request.folder, "page-0009.tiff", "x", 1);

    mail = compose();
    assert_string_equal(mail.shape, "mixed(alternative(plain,related(html,png)),pdf,tiff,"
                                    "octet-stream,octet-stream,octet-stream)");
    check_tiff(mail.parts[1], kept, 2);
    assert_string_equal(g_mime_part_get_filename(mail.parts[2]), "page-0001.tif");
    assert_string_equal(g_mime_part_get_filename(mail.parts[3]), "page-0004.tif");
    assert_int_equal(save_part(mail.parts[2], "got"), sizeof junk - 1);
    got = rig_file_read(request.folder, "got", &got_length);
    assert_memory_equal(got, junk, got_length);
    assert_int_equal(save_part(mail.parts[3], "got"), length / 2);
    assert_int_equal(save_part(mail.parts[4], "got"), 0);
    assert_non_null(
        strstr(unwrapped(&mail), "Pages 1, 4 and 5 could not be read and are attached"));
    free(got);
    free(cut);
    mail_free(&mail);
}

static void missing_and_linked_pages(void **state)
{
    char path[2 * RIG_PATH_MAX];
    struct mail mail;

    (void)state;
    rig_page_write(request.folder, "page-0001.tif", &standard);
    rig_page_write(request.folder, "page-0004.tif", &standard);
    snprintf(path, sizeof path, "%s/page-0002.tif", request.folder);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    mail = compose();
    assert_non_null(strstr(unwrapped(&mail), "Pages 2 and 3 are missing"));
    assert_int_equal(mail.part_count, 2);
    assert_null(memmem(mail.raw, mail.length, "root:", 5));
    mail_free(&mail);
}

/* The call had three pages, the folder has two: not made, but for the plain form, the last resort.
 */
static void last_page_is_not_there(void **state)
{
    struct message_result result;
    char why[MESSAGE_WHY_MAX];
    struct mail mail;

    (void)state;
    add_pages((const struct rig_page[]){standard, standard}, 2);
    request.call.pages = 3;
    assert_int_equal(message_compose(&request, &result, why, sizeof why), ERROR_IO);
    assert_non_null(strstr(why, "only 2 of 3 pages"));
    request.plain = true;
    mail = compose();
    assert_non_null(strstr(unwrapped(&mail), "Page 3 is missing"));
    mail_free(&mail);
}

static void damaged_pages(void **state)
{
    struct rig_page damaged = standard;
    struct mail mail;

    (void)state;
    damaged.quality = true;
    add_pages((const struct rig_page[]){standard, damaged, standard}, 3);
    mail = compose();
    assert_non_null(strstr(unwrapped(&mail), "Page 2 came in damaged"));
    mail_free(&mail);
}

static void plain_decodes_nothing(void **state)
{
    static const char junk[] = "not even a TIFF";
    struct mail mail;
    GMimeContentType *type;

    (void)state;
    request.plain = true;
    rig_page_write(request.folder, "page-0001.tif", &standard);
    rig_file_write(request.folder, "page-0002.tif", junk, sizeof junk - 1);
    mail = compose();
    assert_string_equal(mail.shape, "mixed(alternative(plain,html),tiff,tiff)");
    type = g_mime_object_get_content_type(GMIME_OBJECT(mail.parts[0]));
    assert_string_equal(g_mime_content_type_get_parameter(type, "application"), "faxbw");
    assert_string_equal(g_mime_part_get_filename(mail.parts[1]), "page-0002.tif");
    check_tiff(mail.parts[0], &standard, 1);
    assert_non_null(strstr(unwrapped(&mail), "Each is attached as it was received"));
    mail_free(&mail);
}

/* ---- hostile and large -------------------------------------------------------------------------
 */

static const char *const hostile[] = {
    "x\r\nBcc: victim@example.com\r\n\r\nbody",
    "\" <evil@example.com>, \"",
    "a, b; c:d@e (f) \\ \"",
    "</title><script>alert(1)</script><img src=x onerror=y>",
    "=?utf-8?q?=0d=0aBcc:_x?=",
    "--=-boundary",
    "\xff\xfe",
    "\xe2\x80\xaegnp.exe",
    "../../../etc/passwd",
    ".\r\n.\r\nMAIL FROM:<x@y>",
};

static void no_caller_gets_out_of_place(void **state)
{
    (void)state;
    add_pages(&standard, 1);
    strcpy(request.from, "{caller_name} {station} <fax-{caller}@{hostname}>");
    strcpy(request.subject, "{caller} {caller_name} {station}");
    strcpy(request.file_name, "{caller}{station}");
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        struct mail mail;
        InternetAddressList *from;

        snprintf(request.call.caller, sizeof request.call.caller, "%s", hostile[i]);
        snprintf(request.call.caller_name, sizeof request.call.caller_name, "%s", hostile[i]);
        snprintf(request.call.station, sizeof request.call.station, "%s", hostile[i]);
        snprintf(request.call.called, sizeof request.call.called, "%s", hostile[i]);
        mail = compose();
        assert_string_equal(mail.shape, "mixed(alternative(plain,related(html,png)),pdf,tiff)");
        assert_null(header(&mail, "Bcc"));
        from = g_mime_message_get_from(mail.message);
        assert_int_equal(internet_address_list_length(from), 1);
        assert_non_null(strstr(only_address(from, 0), "@fax.example.com"));
        assert_null(strstr(only_address(from, 0), "evil@"));
        assert_int_equal(internet_address_list_length(g_mime_message_get_to(mail.message)), 2);
        assert_null(strstr(mail.html, "<script"));
        assert_null(strstr(mail.html, "<img src=x"));
        for (int k = 0; k < mail.part_count; k++)
            assert_null(strpbrk(g_mime_part_get_filename(mail.parts[k]), "/\\\"\r\n ;:<>"));
        mail_free(&mail);
    }
}

/* RFC 2047 by hand, word by word: GMime 3.2 itself reads neighbouring words as one run of base64
 * and stops at the first padding. */
static void decode_subject(const struct mail *mail, char *out, size_t size)
{
    const char *p = memmem(mail->raw, mail->length, "\nSubject: ", 10);
    size_t length = 0;
    bool after_word = false;

    assert_non_null(p);
    for (p += 10; !(p[0] == '\r' && p[2] != ' ' && p[2] != '\t');) {
        if (strncasecmp(p, "=?UTF-8?B?", 10) == 0) {
            const char *end = strstr(p + 10, "?=");
            char *word = g_strndup(p + 10, (gsize)(end - p - 10));
            gsize octets;
            guchar *text = g_base64_decode(word, &octets);

            while (after_word && length > 0 && strchr(" \t", out[length - 1]) != NULL)
                length--;
            assert_true(length + octets < size);
            memcpy(out + length, text, octets);
            length += octets;
            g_free(text);
            g_free(word);
            p = end + 2;
            after_word = true;
            continue;
        }
        if (*p != '\r' && *p != '\n') {
            after_word = after_word && strchr(" \t", *p) != NULL;
            out[length++] = *p;
        }
        p++;
    }
    out[length] = '\0';
}

static void long_and_foreign_subjects(void **state)
{
    struct mail mail;
    char long_name[CALL_NAME_MAX], subject[1024];

    (void)state;
    add_pages(&standard, 1);
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    strcpy(request.call.caller_name, long_name);
    strcpy(request.subject, "{caller_name}{caller_name}{caller_name}{caller_name}{caller_name}");
    mail = compose();
    assert_int_equal(strlen(g_mime_message_get_subject(mail.message)), TEMPLATE_TEXT_CHARS);
    mail_free(&mail);

    strcpy(request.call.caller_name, "日本語の名前 Ünïcödé 😀");
    strcpy(request.subject, "Fax {caller_name} {caller_name} {caller_name} {caller_name}");
    strcpy(request.from, "{caller_name}, \"Büro\" <fax@{hostname}>");
    mail = compose();
    decode_subject(&mail, subject, sizeof subject);
    assert_string_equal(subject, "Fax 日本語の名前 Ünïcödé 😀 日本語の名前 Ünïcödé 😀 日本語の名前 "
                                 "Ünïcödé 😀 日本語の名前 Ünïcödé 😀");
    assert_string_equal(internet_address_get_name(internet_address_list_get_address(
                            g_mime_message_get_from(mail.message), 0)),
                        "日本語の名前 Ünïcödé 😀, \"Büro\"");
    mail_free(&mail);
}

/* Peak of resident memory in kB since the last call with reset. */
static long memory_peak(bool reset)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long peak_kb = -1;

    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            peak_kb = atol(line + 6);
    fclose(file);
    if (reset && (file = fopen("/proc/self/clear_refs", "w")) != NULL) {
        fputs("5", file);
        fclose(file);
    }
    return peak_kb;
}

/* 200 pages: the memory used does not grow with them. */
static void large_faxes_need_little_memory(void **state)
{
    struct message_result result;
    struct rig_page page = {1728, 2290, 4, 0, .x = 204, .y = 196};
    char name[32], why[MESSAGE_WHY_MAX];
    size_t length;
    uint8_t *data;
    long before, after;

    (void)state;
    rig_page_write(request.folder, "page-0001.tif", &page);
    data = rig_file_read(request.folder, "page-0001.tif", &length);
    assert_int_equal(message_compose(&request, &result, why, sizeof why), 0);
    for (int i = 2; i <= 200; i++) {
        snprintf(name, sizeof name, "page-%04d.tif", i);
        rig_file_write(request.folder, name, data, length);
    }
    free(data);
    memory_peak(true);
    before = memory_peak(false);
    assert_int_equal(message_compose(&request, &result, why, sizeof why), 0);
    after = memory_peak(false);
    assert_int_equal(result.pages, 200);
    print_message("%lld octets of mail, %ld kB more memory\n", (long long)result.bytes,
                  after - before);
    assert_true(result.bytes > 20000000);
    if (!SANITIZED)
        assert_true(after - before < 4000);
}

static void *compose_in_thread(void *arg)
{
    struct message_result result;
    char why[MESSAGE_WHY_MAX];
    intptr_t error = 0;

    for (int i = 0; i < 5 && error == 0; i++)
        error = message_compose(arg, &result, why, sizeof why);
    return (void *)error;
}

static void threads_compose_side_by_side(void **state)
{
    struct message_request requests[4];
    pthread_t threads[4];

    (void)state;
    for (int i = 0; i < 4; i++) {
        requests[i] = request;
        rig_folder_new(requests[i].folder);
        rig_page_write(requests[i].folder, "page-0001.tif", &standard);
        rig_file_write(requests[i].folder, "page-0002.tif", "II*", 3);
        snprintf(requests[i].call.caller_name, CALL_NAME_MAX, "Köhler %d", i);
        assert_int_equal(thread_start(&threads[i], "compose", compose_in_thread, &requests[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *error = (void *)1;
        uint8_t *mail;
        size_t length;

        pthread_join(threads[i], &error);
        assert_null(error);
        mail = rig_file_read(requests[i].folder, "message.eml", &length);
        assert_non_null(strstr((const char *)mail, "K=C3=B6hler"));
        free(mail);
        rig_folder_remove(requests[i].folder);
    }
}

static void failures_are_said(void **state)
{
    struct message_result result;
    char why[MESSAGE_WHY_MAX];
    struct message_request other = request;

    (void)state;
    strcpy(other.folder, "relative");
    assert_int_equal(message_compose(&other, &result, why, sizeof why), ERROR_FORMAT);
    assert_non_null(strstr(why, "absolute"));
    strcpy(other.folder, "/nonexistent/folder");
    assert_int_equal(message_compose(&other, &result, why, sizeof why), ERROR_NOT_FOUND);
    assert_non_null(strstr(why, "/nonexistent/folder"));
    /* a bad template costs the template, not the mail */
    strcpy(request.subject, "{nonsense}");
    strcpy(request.from, "no address");
    add_pages(&standard, 1);
    assert_int_equal(message_compose(&request, &result, why, sizeof why), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(structure_and_headers),
        TEST(text_tells_all),
        TEST(attachments_as_asked),
        TEST(every_size_is_pixel_identical),
        TEST(numbers_of_pages),
        TEST(partial_and_doubtful),
        TEST(damaged_pages_go_as_they_are),
        TEST(missing_and_linked_pages),
        TEST(last_page_is_not_there),
        TEST(damaged_pages),
        TEST(plain_decodes_nothing),
        TEST(no_caller_gets_out_of_place),
        TEST(long_and_foreign_subjects),
        TEST(large_faxes_need_little_memory),
        TEST(threads_compose_side_by_side),
        TEST(failures_are_said),
    };
    int failed;

    setenv("TZ", "CET-1", 1); /* a zone without data files */
    message_library_init();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    message_library_end();
    return failed;
}
