/* SPDX-License-Identifier: MIT */
/*
 * class2_words.c - tables of names, codes and bits, and the small parsers around them.
 */
#include "fax/modem/class2_words.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fax/t30/frames.h"

/* ---- names ---------------------------------------------------------------------------------- */

/* One row for each thing: its name in Class 2 and in Class 2.0/2.1. Either is understood. */
static const struct {
    enum class2_word word;
    const char *name2;
    const char *name20;
} names[] = {
    {CLASS2_OK, "OK", NULL},
    {CLASS2_ERROR, "ERROR", "+FCERROR"},
    {CLASS2_CONNECT, "CONNECT", NULL},
    {CLASS2_GONE, "NO CARRIER", NULL},
    {CLASS2_GONE, "NO ANSWER", "NO DIALTONE"},
    {CLASS2_GONE, "NO DIAL TONE", "BUSY"},
    {CLASS2_DATA, "DATA", "+FDM"},
    {CLASS2_VOICE, "VOICE", "VCON"},
    {CLASS2_VOICE, "+FVOICE", "+FVO"},
    {CLASS2_FAX, "+FCON", "+FCO"},
    {CLASS2_SENDER, "+FTSI", "+FTI"},
    {CLASS2_SUBADDRESS, "+FSA", NULL},
    {CLASS2_PARAMETERS, "+FDCS", "+FCS"},
    {CLASS2_PAGE_STATUS, "+FPTS", "+FPS"},
    {CLASS2_PAGE_END, "+FET", NULL},
    {CLASS2_HANGUP, "+FHNG", "+FHS"},
    {CLASS2_CAPABILITIES, "+FDCC", "+FCC"},
    {CLASS2_OWN_STATION, "+FLID", "+FLI"},
    {CLASS2_BIT_ORDER, "+FBOR", "+FBO"},
    {CLASS2_ABORT, "+FK", "+FKS"},
};

/* True when the line is this name, or this name with something behind it that is no part of one. */
static bool is_name(const char *line, const char *name)
{
    size_t length = name != NULL ? strlen(name) : 0;

    return length > 0 && strncasecmp(line, name, length) == 0 &&
           !isalnum((unsigned char)line[length]);
}

enum class2_word class2_word_of(const char *line, const char **arguments)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *name = is_name(line, names[i].name2) ? names[i].name2 : names[i].name20;

        if (!is_name(line, name))
            continue;
        line += strlen(name);
        *arguments = line + strspn(line, ":= ");
        return names[i].word;
    }
    *arguments = "";
    return CLASS2_OTHER;
}

const char *class2_name(enum class2_word word, enum modem_class class)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].word == word)
            return class >= MODEM_CLASS_2_0 && names[i].name20 != NULL ? names[i].name20
                                                                       : names[i].name2;
    return "";
}

/* ---- numbers and strings -------------------------------------------------------------------- */

/* A hexadecimal number, with or without quotes; *text moves behind it. -1: none is there. */
static int take_number(const char **text)
{
    const char *at = *text + strspn(*text, " \"");
    int value = -1;

    for (; isxdigit((unsigned char)*at); at++) {
        int digit = isdigit((unsigned char)*at) ? *at - '0' : (*at | 0x20) - 'a' + 10;

        value = value < 0 ? digit : value < 0xfff ? value * 16 + digit : value;
    }
    *text = at + strspn(at, " \"");
    return value;
}

int class2_number(const char *arguments)
{
    return take_number(&arguments);
}

int class2_page_lines(const char *arguments, enum modem_class class)
{
    const char *comma = strchr(arguments, ',');
    long lines;

    if (comma == NULL)
        return 0;
    lines = strtol(comma + 1 + strspn(comma + 1, " \""), NULL, class < MODEM_CLASS_2_0 ? 10 : 16);
    return lines > 0 && lines < 65535 ? (int)lines : 0;
}

void class2_station(char out[CLASS2_STATION_MAX], const char *arguments)
{
    const char *begin = arguments + strspn(arguments, " \"");
    size_t length = strlen(begin);

    while (length > 0 && (begin[length - 1] == ' ' || begin[length - 1] == '"'))
        length--;
    if (length >= CLASS2_STATION_MAX)
        length = CLASS2_STATION_MAX - 1;
    memcpy(out, begin, length);
    out[length] = '\0';
}

/* By what is written: 70 is the same error in the draft, where it is decimal, and in T.32, where it
 * is not. Receive phase D is 100 or A0. Others by their tens. */
static const struct {
    const char *code;
    const char *text;
} hangups[] = {
    {"1", "the modem went off-hook, but no fax machine was there: perhaps a voice call"},
    {"2", "the call was ended by us (abort)"},
    {"3", "the modem found no current on the line: check the telephone cable"},
    {"70", "the modem and the sender could not agree (phase B)"},
    {"71", "the sender's response was not understood (phase B)"},
    {"72", "the sender's command was not understood (phase B)"},
    {"73", "the sender sent no page after the training: a bad line, try a lower rate"},
    {"74", "the sender said that more would follow, and then nothing came"},
    {"90", "the page broke off (phase C)"},
    {"91", "the page broke off: 5 seconds without an end of line"},
    {"93", "the modem's buffer ran over: check flow control and speed of the port"},
    {"94", "the page came in with errors (ECM)"},
    {"100", "the page's end went wrong (phase D)"},
    {"A0", "the page's end went wrong (phase D)"},
    {"101", "the sender's response was not understood (phase D)"},
    {"A1", "the sender's response was not understood (phase D)"},
    {"102", "the sender's command was not understood (phase D)"},
    {"A2", "the sender's command was not understood (phase D)"},
    {"7", "the modem ended the call before a page (phase B)"},
    {"8", "the modem ended the call before a page (phase B)"},
    {"9", "the modem ended the call within a page (phase C)"},
    {"10", "the modem ended the call before a fax machine was there (phase A)"},
    {"11", "no fax machine answered ours in time (phase A)"},
    {"A", "the modem ended the call after a page (phase D)"},
    {"B", "the modem ended the call after a page (phase D)"},
};

static const char *hangup_named(const char *code)
{
    for (size_t i = 0; i < sizeof hangups / sizeof hangups[0]; i++)
        if (strcasecmp(hangups[i].code, code) == 0)
            return hangups[i].text;
    return NULL;
}

/* The row that stands for all of ten or sixteen codes. */
static const char *hangup_group(char code[4])
{
    if (strlen(code) > 2)
        return "A"; /* 100 to 119 are what T.32 calls A0 to BF */
    if (code[0] == '1')
        return "10";
    code[1] = '\0';
    return strchr("789AaBb", code[0]) != NULL ? code : "";
}

const char *class2_hangup_text(const char *arguments)
{
    char code[4] = "";
    const char *text = arguments + strspn(arguments, " \"");
    size_t length;

    while (text[0] == '0' && isxdigit((unsigned char)text[1]))
        text++;
    length = strspn(text, "0123456789abcdefABCDEF");
    if (length == 0 || length >= sizeof code)
        return "the modem hung up and gave no reason";
    memcpy(code, text, length);
    if (strcmp(code, "0") == 0)
        return NULL;
    text = hangup_named(code);
    if (text == NULL && length > 1)
        text = hangup_named(hangup_group(code));
    return text != NULL ? text : "the modem ended the call; the trace has its code";
}

/* ---- session parameters --------------------------------------------------------------------- */

bool class2_parameters_read(struct class2_parameters *out, const char *arguments)
{
    struct class2_parameters read = {0};
    bool any = false;

    for (int i = 0; i < CLASS2_FIELDS; i++) {
        int value = take_number(&arguments);

        if (value >= 0) {
            read.value[i] = (unsigned)value;
            any = true;
        }
        if (*arguments != ',')
            break;
        arguments++;
    }
    if (any)
        *out = read;
    return any;
}

bool class2_parameters_are_same(const struct class2_parameters *a,
                                const struct class2_parameters *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* "(0,2-4)": the values as bits. *text moves behind it. */
static bool take_range(const char **text, uint32_t *out_values, unsigned *out_most)
{
    const char *at = *text + strspn(*text, " ");
    bool in_list = *at == '(';

    *out_values = 0;
    *out_most = 0;
    at += in_list;
    for (;;) {
        int first = take_number(&at);
        int last = first;

        if (first < 0)
            break;
        if (*at == '-') {
            at++;
            last = take_number(&at);
        }
        for (int i = first; i <= last && i < 32; i++)
            *out_values |= UINT32_C(1) << i;
        if (last > (int)*out_most)
            *out_most = (unsigned)last;
        if (!in_list || *at != ',')
            break;
        at++;
    }
    if (in_list && *at != ')')
        return false;
    *text = at + in_list;
    *text += strspn(*text, " ");
    return true;
}

bool class2_offer_read(struct class2_offer *out, const char *line)
{
    struct class2_offer read = {0};
    const char *arguments = line;
    unsigned most;
    int i;

    if (line[0] == '+' && class2_word_of(line, &arguments) != CLASS2_CAPABILITIES)
        return false;
    if (*arguments != '(')
        return false;
    for (i = 0; i < CLASS2_FIELDS; i++) {
        if (!take_range(&arguments, &read.values[i], i == CLASS2_VR ? &read.vr_most : &most))
            return false;
        if (*arguments != ',')
            break;
        arguments++;
    }
    if (i < CLASS2_DF)
        return false;
    *out = read;
    return true;
}

static unsigned highest(uint32_t values, unsigned most)
{
    while (most > 0 && (values & UINT32_C(1) << most) == 0)
        most--;
    return most;
}

void class2_wish(char out[CLASS2_WISH_MAX], const struct class2_offer *offer,
                 enum modem_class class, bool ecm)
{
    unsigned vr = 1;
    unsigned br = class == MODEM_CLASS_2_1 ? 0xd : 5;
    unsigned wd = 2;
    unsigned df = CLASS2_DF_2D;
    unsigned ec = 0;

    if (offer != NULL) {
        /* T.32: bits; 1 is 8 x 7.7, 2 is 8 x 15.4, 4 is 16 x 15.4 lines/mm. The draft's 0
         * and 1 are the same; what else it has differs from maker to maker. */
        vr = class >= MODEM_CLASS_2_0 ? offer->vr_most & 7 : offer->vr_most > 0;
        br = highest(offer->values[CLASS2_BR], br);
        wd = highest(offer->values[CLASS2_WD], 2);
        df = highest(offer->values[CLASS2_DF], CLASS2_DF_2D);
        /* The draft: 1 is ECM with 64, 2 with 256 octets a frame. T.32: 1 is ECM, 2 and 3 are
         * something else (T.30 annex C). Makers of the one sometimes mean the other (Eicon): 1 is
         * ECM in both. V.34 needs ECM, which the modem knows (T.30 annex F). */
        if (ecm)
            ec = class == MODEM_CLASS_2 && (offer->values[CLASS2_EC] & 4) != 0
                     ? 2
                     : highest(offer->values[CLASS2_EC], 1);
    }
    snprintf(out, CLASS2_WISH_MAX, "%X,%X,%X,2,%X,%X,0,0", vr, br, wd, df, ec);
}

/* ---- the frames of a caller ----------------------------------------------------------------- */

enum {
    DCS_OCTETS = 9, /* up to T.30 table 2, bit 48 */
    DCS_RECEIVE = 0x02,
    DCS_FINE = 0x40,
    DCS_2D = 0x80,
    DCS_NO_SCAN_TIME = 0x70,
    DCS_UNLIMITED = 0x08,
    DCS_EXTEND = 0x80,
    DCS_SUPERFINE = 0x01,
    DCS_300 = 0x02,
    DCS_R16 = 0x04,
};

int class2_bit_rate(const struct class2_parameters *parameters)
{
    unsigned br = parameters->value[CLASS2_BR];

    return (int)((br < 13 ? br : 13) + 1) * 2400;
}

int class2_width(const struct class2_parameters *parameters)
{
    /* 8 pixels/mm; 300 and 16 pixels/mm: T.30 table 2, bits 42 and 43 */
    static const int widths[3][3] = {{1728, 2048, 2432}, {2592, 3072, 3648}, {3456, 4096, 4864}};
    unsigned vr = parameters->value[CLASS2_VR];
    unsigned wd = parameters->value[CLASS2_WD];

    return widths[(vr & 0x40) != 0 ? 1 : (vr & 0x04) != 0 ? 2 : 0][wd < 3 ? wd : 0];
}

size_t class2_dcs(uint8_t out[CLASS2_FRAME_MAX], const struct class2_parameters *parameters,
                  const char **why)
{
    /* T.30 table 2, bits 11 to 14. Above 14400 it is V.34, which the core need not know of. */
    static const uint8_t rates[] = {0x00, 0x08, 0x0c, 0x04, 0x28, 0x20};
    const unsigned *value = parameters->value;
    unsigned vr = value[CLASS2_VR];
    unsigned br = value[CLASS2_BR] < 5 ? value[CLASS2_BR] : 5;

    if (value[CLASS2_DF] > CLASS2_DF_2D || value[CLASS2_JP] > 0) {
        *why =
            "the modem agreed on a compression that was not asked for: use class = 1 on this line";
        return 0;
    }
    if (value[CLASS2_WD] > 2) {
        *why =
            "the modem agreed on a page width that was not asked for: use class = 1 on this line";
        return 0;
    }
    memset(out, 0, CLASS2_FRAME_MAX);
    out[0] = 0xff;
    out[1] = FRAME_FINAL;
    out[2] = FCF_DCS | 1;
    out[4] = (uint8_t)(DCS_RECEIVE | rates[br] | (value[CLASS2_DF] == CLASS2_DF_2D ? DCS_2D : 0));
    out[5] = (uint8_t)(DCS_EXTEND | DCS_NO_SCAN_TIME | DCS_UNLIMITED | value[CLASS2_WD]);
    out[6] = out[7] = DCS_EXTEND;
    if ((vr & 0x40) != 0)
        out[8] = DCS_300;
    else if ((vr & 0x04) != 0)
        out[8] = DCS_R16;
    else if ((vr & 0x22) != 0) /* 8 x 15.4, 200 x 400 */
        out[8] = DCS_SUPERFINE;
    else if ((vr & 0x11) != 0) /* 8 x 7.7, 200 x 200 */
        out[4] |= DCS_FINE;
    return DCS_OCTETS;
}

size_t class2_ident(uint8_t out[CLASS2_FRAME_MAX], uint8_t fcf, const char *text)
{
    enum { DIGITS = 20, HEADER = 3 };
    size_t length = strnlen(text, DIGITS);
    size_t n = HEADER;

    out[0] = 0xff;
    out[1] = 0x03;
    out[2] = fcf;
    while (length > 0)
        out[n++] = (uint8_t)text[--length];
    while (n < HEADER + DIGITS)
        out[n++] = ' ';
    return n;
}
