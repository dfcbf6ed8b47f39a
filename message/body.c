/* SPDX-License-Identifier: MIT */
/*
 * body.c - collects a headline, notes and rows (label, value), then writes them as text or as HTML.
 * Everything from outside is made printable on the way in and escaped on the way into HTML.
 */
#include "message/body.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "message/template.h"
#include "message/words.h"

enum {
    VALUE_MAX = 400,
    NOTE_MAX = 700,
    ROWS_MAX = 16,
    NOTES_MAX = 6,
    WRAP_COLUMNS = 72,
    LABEL_COLUMNS = 12,
};

struct lines {
    char headline[VALUE_MAX];
    struct {
        const char *label;
        char value[VALUE_MAX];
    } rows[ROWS_MAX];
    int row_count;
    char notes[NOTES_MAX][NOTE_MAX];
    int note_count;
};

/* ---- what to say ---------------------------------------------------------------------------- */

static void add_row(struct lines *lines, const char *label, const char *value)
{
    if (value[0] == '\0' || lines->row_count == ROWS_MAX)
        return;
    lines->rows[lines->row_count].label = label;
    template_clean_text(lines->rows[lines->row_count++].value, VALUE_MAX, value, 160);
}

static void __attribute__((format(printf, 2, 3)))
add_note(struct lines *lines, const char *format, ...)
{
    char note[NOTE_MAX];
    va_list list;

    if (lines->note_count == NOTES_MAX)
        return;
    va_start(list, format);
    vsnprintf(note, sizeof note, format, list);
    va_end(list);
    template_clean_text(lines->notes[lines->note_count++], NOTE_MAX, note, NOTE_MAX);
}

static int last_number(const struct folder_list *list)
{
    return list->count > 0 ? list->numbers[list->count - 1] : 0;
}

static const char *plural(int count)
{
    return count == 1 ? "" : "s";
}

/* Pages that came in but were not confirmed: the sender knows that they failed, and we keep what
 * there is. */
static void note_unconfirmed(struct lines *lines, const struct body_facts *facts)
{
    int list[64], count = 0;
    char numbers[WORDS_MAX];
    bool one;

    /* One that was refused and then came well is there: nobody has to send it again. */
    for (int i = 0; i < facts->unconfirmed->count && count < 64; i++)
        if (facts->call->verdict != CALL_COMPLETE ||
            !folder_list_has(facts->pages, facts->unconfirmed->numbers[i]))
            list[count++] = facts->unconfirmed->numbers[i];
    one = count == 1;
    if (count == 0)
        return;
    add_note(lines,
             "Page%s %s %s received in part and %s not confirmed to the sender: ask them to send "
             "%s again. What arrived of %s is not attached; it is kept in the spool.",
             plural(count), words_list(numbers, list, count), one ? "was" : "were",
             one ? "was" : "were", one ? "it" : "them", one ? "it" : "them");
}

static void note_partial(struct lines *lines, const struct body_facts *facts)
{
    int last = last_number(facts->pages);

    if (last == 0)
        add_note(lines, "The call broke off before a page was complete.");
    else if (facts->unconfirmed->count > 0)
        add_note(lines, "The call broke off after page %d.", last);
    else
        add_note(lines,
                 "The call broke off after page %d. Nothing that came after it was received: ask "
                 "the sender whether there was more.",
                 last);
    note_unconfirmed(lines, facts);
}

static void note_verdict(struct lines *lines, const struct body_facts *facts)
{
    switch (facts->call->verdict) {
    case CALL_COMPLETE: note_unconfirmed(lines, facts); return;
    case CALL_DOUBTFUL:
        add_note(lines, "The call ended in good order, but a page came in with transmission errors "
                        "and was not sent again. Look whether all pages can be read; if not, ask "
                        "the sender to send the fax again.");
        note_unconfirmed(lines, facts);
        break;
    case CALL_PARTIAL:
    case CALL_LIVE:
    case CALL_EMPTY: note_partial(lines, facts); break;
    }
    if (facts->call->error[0] != '\0')
        add_note(lines, "Reason: %s", facts->call->error);
}

/* Page files that should be there, by the numbers of the others, and are not. */
static void note_missing(struct lines *lines, const struct body_facts *facts)
{
    int missing[64], count = 0;
    char numbers[WORDS_MAX];
    int last = last_number(facts->pages);

    if (last < facts->call->pages)
        last = facts->call->pages;
    for (int number = 1; number <= last && count < 64; number++)
        if (!folder_list_has(facts->pages, number) && !folder_list_has(facts->unconfirmed, number))
            missing[count++] = number;
    if (count > 0)
        add_note(lines, "Page%s %s %s missing: ask the operator to look into the spool.",
                 plural(count), words_list(numbers, missing, count), count == 1 ? "is" : "are");
}

static void note_damaged(struct lines *lines, const struct body_facts *facts)
{
    const struct folder_list *list = facts->damaged;
    char numbers[WORDS_MAX];

    if (list->count > 0)
        add_note(lines,
                 "Page%s %s came in damaged: rows of %s could not be read or are missing. Look "
                 "whether small print and figures are right; if in doubt, ask the sender to send "
                 "the fax again.",
                 plural(list->count), words_list(numbers, list->numbers, list->count),
                 list->count == 1 ? "it" : "them");
}

static void note_attachments(struct lines *lines, const struct body_facts *facts)
{
    const struct folder_list *bad = facts->unreadable;
    char numbers[WORDS_MAX];

    if (facts->plain && facts->pages->count > 0)
        add_note(lines, "The pages could not be made into a document. Each is attached as it was "
                        "received, a TIFF file of its own.");
    else if (bad->count > 0)
        add_note(lines,
                 "Page%s %s could not be read and %s attached as received, apart from the "
                 "document.",
                 plural(bad->count), words_list(numbers, bad->numbers, bad->count),
                 bad->count == 1 ? "is" : "are");
}

static void with_brackets(char *out, size_t size, const char *text, const char *more)
{
    if (more[0] != '\0')
        snprintf(out, size, "%s (%s)", text, more);
    else
        text_copy(out, size, text);
}

/* One row for each line of names. */
static void add_documents(struct lines *lines, const char *names)
{
    char name[VALUE_MAX];
    bool first = true;

    while (*names != '\0') {
        size_t length = strcspn(names, "\n");

        snprintf(name, sizeof name, "%.*s", (int)length, names);
        add_row(lines, first ? "Attached" : "", name);
        first = false;
        names += length + (names[length] == '\n');
    }
}

static void add_rows(struct lines *lines, const struct body_facts *facts)
{
    static const char *const results[] = {
        [CALL_LIVE] = "incomplete",
        [CALL_COMPLETE] = "complete, every page was confirmed to the sender",
        [CALL_PARTIAL] = "incomplete",
        [CALL_DOUBTFUL] = "doubtful",
        [CALL_EMPTY] = "incomplete",
    };
    const struct call_info *call = facts->call;
    char text[WORDS_MAX + CALL_NAME_MAX + CALL_NUMBER_MAX], line[CALL_NAME_MAX + 8];

    with_brackets(text, sizeof text, words_caller(call), call->caller_name);
    add_row(lines, "From", text);
    add_row(lines, "Station", call->station);
    add_row(lines, "Sender", call->sender);
    snprintf(line, sizeof line, "%s%s", call->line[0] != '\0' ? "line " : "", call->line);
    if (call->called[0] != '\0')
        with_brackets(text, sizeof text, call->called, line);
    else
        text_copy(text, sizeof text, line);
    add_row(lines, "To", text);
    add_row(lines, "Subaddress", call->subaddress);
    add_row(lines, "Received", words_time(text, facts->date_ms));
    add_row(lines, "Duration", words_duration(text, call));
    snprintf(text, sizeof text, "%d", facts->pages->count);
    add_row(lines, "Pages", text);
    add_row(lines, "Result", results[call->verdict <= CALL_EMPTY ? call->verdict : CALL_EMPTY]);
    add_documents(lines, facts->documents);
}

static void collect(struct lines *lines, const struct body_facts *facts)
{
    const char *kind = facts->call->verdict == CALL_COMPLETE   ? "Fax"
                       : facts->call->verdict == CALL_DOUBTFUL ? "Doubtful fax"
                                                               : "Incomplete fax";
    char pages[WORDS_MAX], headline[VALUE_MAX];

    memset(lines, 0, sizeof *lines);
    snprintf(headline, sizeof headline, "%s from %s, %s", kind, words_caller(facts->call),
             words_pages(pages, facts->pages->count));
    template_clean_text(lines->headline, VALUE_MAX, headline, 160);
    note_verdict(lines, facts);
    note_missing(lines, facts);
    note_damaged(lines, facts);
    note_attachments(lines, facts);
    add_rows(lines, facts);
}

/* ---- text ----------------------------------------------------------------------------------- */

/* Characters, not octets, of a word. */
static size_t width_of(const char *text, size_t length)
{
    size_t width = 0;

    for (size_t i = 0; i < length; i++)
        width += ((unsigned char)text[i] & 0xc0) != 0x80;
    return width;
}

/* Words until the line is full; a word that is too long stands alone. */
static void write_wrapped(struct buffer *out, const char *text)
{
    size_t column = 0;

    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        size_t width = width_of(text, length);

        if (column > 0 && column + 1 + width > WRAP_COLUMNS) {
            buffer_text(out, "\n");
            column = 0;
        } else if (column > 0) {
            buffer_text(out, " ");
            column++;
        }
        buffer_add(out, text, length);
        column += width;
        text += length;
        text += strspn(text, " ");
    }
    buffer_text(out, "\n");
}

int body_text(struct buffer *out, const struct body_facts *facts)
{
    struct lines lines;

    collect(&lines, facts);
    write_wrapped(out, lines.headline);
    buffer_text(out, "\n");
    for (int i = 0; i < lines.note_count; i++) {
        write_wrapped(out, lines.notes[i]);
        buffer_text(out, "\n");
    }
    for (int i = 0; i < lines.row_count; i++) {
        char label[LABEL_COLUMNS + 1];

        snprintf(label, sizeof label, "%s%s", lines.rows[i].label,
                 lines.rows[i].label[0] != '\0' ? ":" : "");
        buffer_format(out, "%-*s%s\n", LABEL_COLUMNS, label, lines.rows[i].value);
    }
    buffer_format(out, "\nFax ID: %s\n", facts->call->fax_id);
    return out->error;
}

/* ---- HTML ----------------------------------------------------------------------------------- */

static void write_escaped(struct buffer *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&': buffer_text(out, "&amp;"); break;
        case '<': buffer_text(out, "&lt;"); break;
        case '>': buffer_text(out, "&gt;"); break;
        case '"': buffer_text(out, "&quot;"); break;
        case '\'': buffer_text(out, "&#39;"); break;
        default: buffer_add(out, text, 1);
        }
    }
}

#define HTML_FONT "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"

static void write_html_head(struct buffer *out, const struct lines *lines)
{
    buffer_text(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                     "<title>");
    write_escaped(out, lines->headline);
    buffer_text(out,
                "</title>\n</head>\n"
                "<body style=\"margin:0;padding:0;background:#ffffff\">\n"
                "<div style=\"max-width:520px;padding:20px 16px;" HTML_FONT
                ";font-size:15px;line-height:1.45;color:#1f2933\">\n"
                "<h1 style=\"margin:0 0 14px;font-size:19px;line-height:1.3;font-weight:600\">");
    write_escaped(out, lines->headline);
    buffer_text(out, "</h1>\n");
}

static void write_html_notes(struct buffer *out, const struct lines *lines)
{
    if (lines->note_count == 0)
        return;
    buffer_text(out, "<div style=\"margin:0 0 14px;padding:10px 14px;background:#fff7e6;"
                     "border-left:4px solid #e2a100\">\n");
    for (int i = 0; i < lines->note_count; i++) {
        buffer_format(out, "<p style=\"margin:%s\">", i == 0 ? "0" : "8px 0 0");
        write_escaped(out, lines->notes[i]);
        buffer_text(out, "</p>\n");
    }
    buffer_text(out, "</div>\n");
}

static void write_html_rows(struct buffer *out, const struct lines *lines)
{
    buffer_text(out, "<table role=\"presentation\" cellspacing=\"0\" cellpadding=\"0\" "
                     "style=\"border-collapse:collapse;width:100%;font-size:15px\">\n");
    for (int i = 0; i < lines->row_count; i++) {
        buffer_text(out, "<tr><td style=\"padding:4px 16px 4px 0;color:#66727f;vertical-align:top;"
                         "white-space:nowrap;width:1%\">");
        write_escaped(out, lines->rows[i].label);
        buffer_text(out, "</td><td style=\"padding:4px 0;vertical-align:top;"
                         "overflow-wrap:anywhere;word-break:break-word\">");
        write_escaped(out, lines->rows[i].value);
        buffer_text(out, "</td></tr>\n");
    }
    buffer_text(out, "</table>\n");
}

int body_html(struct buffer *out, const struct body_facts *facts)
{
    struct lines lines;

    collect(&lines, facts);
    write_html_head(out, &lines);
    write_html_notes(out, &lines);
    write_html_rows(out, &lines);
    if (facts->picture_cid != NULL) {
        buffer_text(out, "<p style=\"margin:18px 0 0\"><img src=\"cid:");
        write_escaped(out, facts->picture_cid);
        buffer_format(out,
                      "\" width=\"%d\" height=\"%d\" alt=\"The first page\" style=\"display:block;"
                      "max-width:100%%;height:auto;border:1px solid #d5dae0;"
                      "background:#ffffff\"></p>\n",
                      facts->picture_width, facts->picture_height);
    }
    buffer_text(out, "<p style=\"margin:14px 0 0;font-size:12px;color:#8a949e\">Fax ID ");
    write_escaped(out, facts->call->fax_id);
    buffer_text(out, "</p>\n</div>\n</body>\n</html>\n");
    return out->error;
}
