/* SPDX-License-Identifier: MIT */
/*
 * command_text.c - cells, times and bars for people.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "message/template.h"
#include "src/command.h"

enum { A4_LENGTH_MM = 297, ROWS_PER_M_FINE = 7700, LINE_WIDTH = 60 };

/* Characters of UTF-8 text, which is valid here. */
static size_t length_of(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

/* Keeps the first `chars` characters. */
static void cut(char *text, size_t chars)
{
    for (; *text != '\0'; text++) {
        if (((unsigned char)*text & 0xc0) == 0x80)
            continue;
        if (chars-- == 0) {
            *text = '\0';
            return;
        }
    }
}

char *cell(char out[CELL_MAX], const char *text, int width)
{
    char clean[CELL_MAX];
    size_t wanted = (size_t)abs(width);
    size_t length;
    size_t blanks;

    if (wanted > LINE_WIDTH)
        wanted = LINE_WIDTH;
    template_clean_text(clean, sizeof clean, text, wanted + 1);
    length = length_of(clean);
    if (length > wanted) {
        cut(clean, wanted - 1);
        strcat(clean, "…");
        length = wanted;
    }
    blanks = wanted - length;
    if (width < 0) {
        memset(out, ' ', blanks);
        strcpy(out + blanks, clean);
    } else {
        strcpy(out, clean);
        memset(out + strlen(clean), ' ', blanks);
        out[strlen(clean) + blanks] = '\0';
    }
    return out;
}

char *line_of(char out[CELL_MAX], const char *text)
{
    char *end;

    cell(out, text, LINE_WIDTH);
    for (end = out + strlen(out); end > out && end[-1] == ' ';)
        *--end = '\0';
    return out;
}

void print_clean(FILE *to, const char *text)
{
    while (*text != '\0') {
        uint32_t code = 0;
        size_t length = text_character(text, &code);

        if (length > 0 && (code == '\n' || text_character_is_shown(code)))
            fwrite(text, 1, length, to);
        else
            fputc('?', to);
        text += length > 0 ? length : 1;
    }
}

void print_cell(const char *text, int width)
{
    char out[CELL_MAX];

    printf("%s  ", cell(out, text, width));
}

const char *member_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

int64_t member_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

char *member_time(char out[CELL_MAX], const json_t *object, const char *key, bool with_seconds)
{
    char key_ms[40];
    char text[CLOCK_TEXT_MAX];
    int64_t ms;

    snprintf(key_ms, sizeof key_ms, "%s_ms", key);
    ms = member_number(object, key_ms);
    text_copy(out, with_seconds ? CELL_MAX : sizeof "2026-11-21 10:15",
              ms > 0 ? clock_local_text(text, ms) : "-");
    return out;
}

int progress_percent(int rows, int y_per_m)
{
    int64_t whole = (int64_t)(y_per_m > 0 ? y_per_m : ROWS_PER_M_FINE) * A4_LENGTH_MM / 1000;
    int64_t percent;

    if (rows <= 0 || whole == 0)
        return 0;
    percent = (int64_t)rows * 100 / whole;
    return percent > 99 ? 99 : (int)percent;
}

char *progress_bar(char out[BAR_MAX], int percent, int cells)
{
    int full;

    if (cells > BAR_MAX - 3)
        cells = BAR_MAX - 3;
    full = percent * cells / 100;
    out[0] = '[';
    memset(out + 1, '#', (size_t)full);
    memset(out + 1 + full, '-', (size_t)(cells - full));
    strcpy(out + 1 + cells, "]");
    return out;
}

char *fax_state(char out[CELL_MAX], const json_t *fax)
{
    /* What a person wants to know first. */
    static const char *const order[] = {"failed",  "held", "sending",
                                        "waiting", "done", "cancelled"};
    const json_t *deliveries = json_object_get(fax, "deliveries");
    const json_t *delivery;
    int64_t attempts = 0;
    bool uncertain = false;
    size_t i;
    size_t n;

    if (strcmp(member_text(fax, "state"), "empty") == 0)
        return text_copy(out, CELL_MAX, "no page"), out;
    text_copy(out, CELL_MAX,
              member_number(fax, "compose_failures") > 0 ? "not composed" : "taken over");
    for (i = sizeof order / sizeof order[0]; i-- > 0;)
        json_array_foreach(deliveries, n, delivery)
        {
            if (strcmp(member_text(delivery, "state"), order[i]) != 0)
                continue;
            attempts = member_number(delivery, "attempts");
            uncertain = uncertain || json_is_true(json_object_get(delivery, "uncertain"));
            if (strcmp(order[i], "waiting") == 0 && attempts > 0)
                snprintf(out, CELL_MAX, "waiting, %lld tried", (long long)attempts);
            else
                text_copy(out, CELL_MAX, order[i]);
        }
    if (uncertain)
        strcat(out, ", uncertain");
    return out;
}
