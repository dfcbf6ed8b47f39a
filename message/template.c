/* SPDX-License-Identifier: MIT */
/*
 * template.c - one table of variables; one walk over the template that the check and every
 * expansion share; and what each place allows.
 */
#include "message/template.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "message/words.h"

enum { VALUE_MAX = 320, VALUE_CHARS = 100, FAX_DIGITS_MAX = 32 };

/* ---- foreign text --------------------------------------------------------------------------- */

char *template_clean_text(char *out, size_t size, const char *text, size_t chars)
{
    const unsigned char *p = (const unsigned char *)(text != NULL ? text : "");
    size_t length = 0;

    for (; *p != '\0' && chars > 0; chars--) {
        uint32_t code = 0;
        size_t bytes = text_character((const char *)p, &code);
        bool shown = bytes > 0 && text_character_is_shown(code);

        if (length + (shown ? bytes : 1) >= size)
            break;
        if (shown)
            memcpy(out + length, p, bytes);
        else
            out[length] = '?';
        length += shown ? bytes : 1;
        p += bytes > 0 ? bytes : 1;
    }
    if (size > 0)
        out[length] = '\0';
    return out;
}

/* ---- addresses ------------------------------------------------------------------------------ */

static bool is_atom_character(char c)
{
    return isalnum((unsigned char)c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* RFC 5321 4.1.2 Dot-string: atoms with single dots between. */
static bool is_dot_string(const char *text, size_t length, bool domain)
{
    bool atom = false;

    for (size_t i = 0; i < length; i++) {
        bool fits =
            domain ? isalnum((unsigned char)text[i]) || text[i] == '-' : is_atom_character(text[i]);

        if (text[i] == '.' ? !atom : !fits)
            return false;
        atom = text[i] != '.';
    }
    return atom;
}

static bool is_address_literal(const char *text, size_t length)
{
    if (length < 4 || text[0] != '[' || text[length - 1] != ']')
        return false;
    for (size_t i = 1; i + 1 < length; i++)
        if (!isalnum((unsigned char)text[i]) && text[i] != '.' && text[i] != ':')
            return false;
    return true;
}

int template_address_is_plain(const char *address)
{
    const char *at = strchr(address, '@');
    size_t local, domain;

    if (at == NULL || strlen(address) >= TEMPLATE_ADDRESS_MAX)
        return 0;
    local = (size_t)(at - address);
    domain = strlen(at + 1);
    return local <= 64 && is_dot_string(address, local, false) &&
           (is_dot_string(at + 1, domain, true) || is_address_literal(at + 1, domain));
}

/* The host as it may stand behind an @. */
static const char *safe_host(const char *hostname)
{
    size_t length = hostname == NULL ? 0 : strlen(hostname);

    if (length == 0 || length > 180 ||
        !(is_dot_string(hostname, length, true) || is_address_literal(hostname, length)))
        return "localhost";
    return hostname;
}

static size_t copy_digits(char *out, const char *text)
{
    size_t count = 0;

    for (; *text != '\0' && count < FAX_DIGITS_MAX; text++)
        if (isdigit((unsigned char)*text))
            out[count++] = *text;
    out[count] = '\0';
    return count;
}

int template_fax_address(char out[TEMPLATE_ADDRESS_MAX], const char *number, const char *subaddress,
                         const char *hostname)
{
    char digits[FAX_DIGITS_MAX + 1], sub[FAX_DIGITS_MAX + 1];
    bool global = number[strspn(number, " \t(")] == '+';

    if (copy_digits(digits, number) == 0)
        return ERROR_FORMAT;
    snprintf(out, TEMPLATE_ADDRESS_MAX, "FAX=%s%s%s%s@%s", global ? "+" : "", digits,
             copy_digits(sub, subaddress != NULL ? subaddress : "") > 0 ? "/T33S=" : "", sub,
             safe_host(hostname));
    return 0;
}

/* ---- variables ------------------------------------------------------------------------------ */

typedef void value_writer(char out[VALUE_MAX], const struct template_facts *facts);

static void value_caller(char out[VALUE_MAX], const struct template_facts *facts)
{
    text_copy(out, VALUE_MAX, words_caller(facts->call));
}

static void value_caller_name(char out[VALUE_MAX], const struct template_facts *facts)
{
    text_copy(out, VALUE_MAX, facts->call->caller_name);
}

static void value_called(char out[VALUE_MAX], const struct template_facts *facts)
{
    text_copy(out, VALUE_MAX, facts->call->called);
}

static void value_line(char out[VALUE_MAX], const struct template_facts *facts)
{
    text_copy(out, VALUE_MAX, facts->call->line);
}

static void value_station(char out[VALUE_MAX], const struct template_facts *facts)
{
    text_copy(out, VALUE_MAX, facts->call->station);
}

static void value_subaddress(char out[VALUE_MAX], const struct template_facts *facts)
{
    text_copy(out, VALUE_MAX, facts->call->subaddress);
}

static void value_sender(char out[VALUE_MAX], const struct template_facts *facts)
{
    text_copy(out, VALUE_MAX, facts->call->sender);
}

static void value_pages(char out[VALUE_MAX], const struct template_facts *facts)
{
    snprintf(out, VALUE_MAX, "%d", facts->pages);
}

static void value_pages_text(char out[VALUE_MAX], const struct template_facts *facts)
{
    words_pages(out, facts->pages);
}

static void value_verdict(char out[VALUE_MAX], const struct template_facts *facts)
{
    text_copy(out, VALUE_MAX, call_verdict_text(facts->call->verdict));
}

static void value_partial_note(char out[VALUE_MAX], const struct template_facts *facts)
{
    text_copy(out, VALUE_MAX, words_partial_note(facts->call->verdict));
}

static void value_date(char out[VALUE_MAX], const struct template_facts *facts)
{
    char text[CLOCK_TEXT_MAX];

    snprintf(out, VALUE_MAX, "%.10s", clock_local_text(text, facts->date_ms));
}

static void value_time(char out[VALUE_MAX], const struct template_facts *facts)
{
    char text[CLOCK_TEXT_MAX];

    clock_local_text(text, facts->date_ms);
    snprintf(out, VALUE_MAX, "%.5s", strlen(text) > 11 ? text + 11 : "");
}

static void value_duration(char out[VALUE_MAX], const struct template_facts *facts)
{
    words_duration(out, facts->call);
}

static void value_fax_id(char out[VALUE_MAX], const struct template_facts *facts)
{
    text_copy(out, VALUE_MAX, facts->call->fax_id);
}

static void value_route(char out[VALUE_MAX], const struct template_facts *facts)
{
    text_copy(out, VALUE_MAX, facts->route);
}

static void value_hostname(char out[VALUE_MAX], const struct template_facts *facts)
{
    text_copy(out, VALUE_MAX, safe_host(facts->hostname));
}

static void write_fax_address(char out[VALUE_MAX], const char *number, const char *subaddress,
                              const struct template_facts *facts)
{
    if (template_fax_address(out, number, subaddress, facts->hostname) < 0)
        snprintf(out, VALUE_MAX, "faxpost@%s", safe_host(facts->hostname));
}

static void value_caller_fax_address(char out[VALUE_MAX], const struct template_facts *facts)
{
    write_fax_address(out, facts->call->caller, NULL, facts);
}

/* The subaddress (SUB) is one behind the number that was dialled: T.33, RFC 3192 2.2. */
static void value_called_fax_address(char out[VALUE_MAX], const struct template_facts *facts)
{
    write_fax_address(out, facts->call->called, facts->call->subaddress, facts);
}

static const struct variable {
    const char *name;
    value_writer *write;
    bool address; /* made here, safe within an address as it is */
    const char *meaning;
} variables[] = {
    {"caller", value_caller, false, "the calling number, or \"unknown number\""},
    {"caller_name", value_caller_name, false, "the name the network gives for the caller"},
    {"called", value_called, false, "the number that was dialled"},
    {"line", value_line, false, "the line it came in on"},
    {"station", value_station, false, "the sender's station identity (TSI)"},
    {"subaddress", value_subaddress, false, "the subaddress (SUB)"},
    {"sender", value_sender, false, "the sender's own identification (SID)"},
    {"pages", value_pages, false, "the number of pages: 2"},
    {"pages_text", value_pages_text, false, "the number of pages in words: 2 pages"},
    {"verdict", value_verdict, false, "complete, partial, doubtful"},
    {"partial_note", value_partial_note, false,
     "nothing for a complete fax, else \" (incomplete)\" or \" (doubtful)\""},
    {"date", value_date, false, "the local date: 2026-11-21"},
    {"time", value_time, false, "the local time: 10:15"},
    {"duration", value_duration, false, "how long the call lasted: 1 min 12 s"},
    {"fax_id", value_fax_id, false, "the fax identity"},
    {"route", value_route, false, "the route that matched"},
    {"hostname", value_hostname, true, "the gateway's host name"},
    {"caller_fax_address", value_caller_fax_address, true,
     "the caller as a mail address (RFC 3192): FAX=+15551234@hostname"},
    {"called_fax_address", value_called_fax_address, true,
     "the dialled number and subaddress as a mail address: FAX=5552000/T33S=12@hostname"},
};

enum { VARIABLES = sizeof variables / sizeof variables[0] };

const char *template_variable(size_t i, const char **out_meaning)
{
    if (i >= VARIABLES)
        return NULL;
    if (out_meaning != NULL)
        *out_meaning = variables[i].meaning;
    return variables[i].name;
}

/* ---- the walk ---------------------------------------------------------------------------------
 */

struct part {
    const struct variable *variable; /* NULL: the literal character c */
    char c;
};

/* The next part of a template; *p moves on. 1: one was found, 0: the end, ERROR_FORMAT with what is
 * wrong in problem. */
static int next_part(struct part *out, const char **p, char *problem, size_t problem_size)
{
    const char *text = *p, *end;

    if (*text == '\0')
        return 0;
    if ((text[0] == '{' && text[1] == '{') || (text[0] == '}' && text[1] == '}')) {
        *out = (struct part){.c = text[0]};
        *p = text + 2;
        return 1;
    }
    if (*text != '{' && *text != '}') {
        *out = (struct part){.c = *text};
        *p = text + 1;
        return 1;
    }
    end = strchr(text, '}');
    if (*text == '}' || end == NULL) {
        snprintf(problem, problem_size, "a lone '%c': write '%c%c' for the character itself", *text,
                 *text, *text);
        return ERROR_FORMAT;
    }
    for (size_t i = 0; i < VARIABLES; i++) {
        size_t length = strlen(variables[i].name);

        if (length == (size_t)(end - text - 1) &&
            memcmp(text + 1, variables[i].name, length) == 0) {
            *out = (struct part){.variable = &variables[i]};
            *p = end + 1;
            return 1;
        }
    }
    snprintf(problem, problem_size,
             "unknown variable {%.*s}: known are {caller}, {pages_text} …, "
             "see the manual",
             (int)(end - text - 1 < 40 ? end - text - 1 : 40), text + 1);
    return ERROR_FORMAT;
}

/* What a variable may leave within an address: no character that ends or adds anything. */
static void make_address_value(char *value)
{
    for (; *value != '\0'; value++)
        if (!isalnum((unsigned char)*value) && strchr("+=._-", *value) == NULL)
            *value = '-';
}

enum place { PLACE_TEXT, PLACE_ADDRESS, PLACE_FILE };

static void add_value(struct buffer *out, const struct variable *variable, enum place place,
                      const struct template_facts *facts)
{
    char value[VALUE_MAX], clean[VALUE_MAX];

    variable->write(value, facts);
    template_clean_text(clean, sizeof clean, value, variable->address ? sizeof clean : VALUE_CHARS);
    if (place == PLACE_ADDRESS && !variable->address)
        make_address_value(clean);
    if (place == PLACE_FILE) /* dots are the template's: no second ending from a caller */
        for (char *p = clean; *p != '\0'; p++)
            *p = *p == '.' ? '-' : *p;
    buffer_text(out, clean);
}

/* Expands text[0 … length) with values as the place allows; buffer errors are cut text. */
static int expand(struct buffer *out, const char *text, enum place place,
                  const struct template_facts *facts)
{
    char problem[160];
    struct part part;
    int more;

    while ((more = next_part(&part, &text, problem, sizeof problem)) > 0) {
        /* behind the @ only the gateway's own name: no caller chooses a domain */
        if (part.variable != NULL && place == PLACE_ADDRESS && !part.variable->address &&
            strchr(buffer_string(out), '@') != NULL)
            buffer_text(out, "?");
        else if (part.variable != NULL)
            add_value(out, part.variable, place, facts);
        else
            buffer_add(out, &part.c, 1);
    }
    return more;
}

/* ---- From: name and address -------------------------------------------------------------------
 */

/* Parts a From template before anything is expanded, so that no value can move the border. */
static int split_from(const char *text, char name[TEMPLATE_MAX], char address[TEMPLATE_MAX])
{
    char copy[TEMPLATE_MAX];
    char *left, *trimmed;
    size_t length;

    if (!text_copy(copy, sizeof copy, text))
        return ERROR_FORMAT;
    trimmed = text_trim(copy);
    left = strrchr(trimmed, '<');
    if (left == NULL) {
        name[0] = '\0';
        text_copy(address, TEMPLATE_MAX, trimmed);
        return strchr(trimmed, '>') == NULL ? 0 : ERROR_FORMAT;
    }
    length = strlen(left);
    if (left[length - 1] != '>')
        return ERROR_FORMAT;
    left[length - 1] = '\0';
    text_copy(address, TEMPLATE_MAX, text_trim(left + 1));
    *left = '\0';
    trimmed = text_trim(trimmed);
    length = strlen(trimmed);
    if (length >= 2 && trimmed[0] == '"' && trimmed[length - 1] == '"') {
        trimmed[length - 1] = '\0';
        trimmed++;
    }
    text_copy(name, TEMPLATE_MAX, trimmed);
    return 0;
}

int template_expand_from(char name[TEMPLATE_TEXT_MAX], char address[TEMPLATE_ADDRESS_MAX],
                         const char *text, const struct template_facts *facts)
{
    char name_part[TEMPLATE_MAX], address_part[TEMPLATE_MAX];
    struct buffer name_text, address_text;
    int error = split_from(text, name_part, address_part);

    if (error < 0)
        return error;
    buffer_init(&name_text, 16384);
    buffer_init(&address_text, 16384);
    error = expand(&name_text, name_part, PLACE_TEXT, facts);
    if (error == 0)
        error = expand(&address_text, address_part, PLACE_ADDRESS, facts);
    if (error == 0) {
        const char *made = buffer_string(&address_text);

        template_clean_text(name, TEMPLATE_TEXT_MAX, buffer_string(&name_text),
                            TEMPLATE_TEXT_CHARS);
        if (template_address_is_plain(made))
            text_copy(address, TEMPLATE_ADDRESS_MAX, made);
        else
            snprintf(address, TEMPLATE_ADDRESS_MAX, "faxpost@%s", safe_host(facts->hostname));
    }
    buffer_free(&name_text);
    buffer_free(&address_text);
    return error;
}

/* ---- subject and file name ---------------------------------------------------------------------
 */

/* Letters, digits, dash, dot; runs of anything else become one dash, dots stay single; neither
 * stands first or last. */
static void make_file_name(char *out, size_t size, const char *text)
{
    size_t length = 0;

    for (; *text != '\0' && length + 1 < size && length + 1 < TEMPLATE_FILE_MAX; text++) {
        char last = length > 0 ? out[length - 1] : '-';
        char c = isalnum((unsigned char)*text) || *text == '.' ? *text : '-';

        if (isalnum((unsigned char)c) || (last != '-' && last != '.'))
            out[length++] = c;
    }
    while (length > 0 && !isalnum((unsigned char)out[length - 1]))
        length--;
    out[length] = '\0';
    if (length == 0)
        text_copy(out, size, "fax");
}

int template_expand(char *out, size_t size, const char *text, enum template_use use,
                    const struct template_facts *facts)
{
    struct buffer result;
    char clean[TEMPLATE_TEXT_MAX];
    int error;

    if (use == TEMPLATE_FROM || strlen(text) >= TEMPLATE_MAX)
        return ERROR_FORMAT;
    buffer_init(&result, 16384);
    error = expand(&result, text, use == TEMPLATE_FILE_NAME ? PLACE_FILE : PLACE_TEXT, facts);
    if (error == 0 && use == TEMPLATE_FILE_NAME) {
        make_file_name(out, size, buffer_string(&result));
    } else if (error == 0) {
        template_clean_text(clean, sizeof clean, buffer_string(&result), TEMPLATE_TEXT_CHARS);
        template_clean_text(out, size, text_trim(clean), TEMPLATE_TEXT_CHARS);
        if (out[0] == '\0')
            text_copy(out, size, "Fax");
    }
    buffer_free(&result);
    return error;
}

int template_check(const char *text, enum template_use use, char *problem, size_t problem_size)
{
    static const struct call_info call = {
        .fax_id = "20261121T101530123-k7f3a9c2d1e4",
        .line = "trunk",
        .called = "5552000",
        .caller = "+15551234",
        .caller_name = "name",
        .station = "station",
        .subaddress = "1",
        .sender = "sender",
        .verdict = CALL_PARTIAL,
        .answered_ms = 1000,
        .ended_ms = 61000,
    };
    const struct template_facts facts = {
        .call = &call, .pages = 1, .route = "route", .hostname = "host.example"};
    char name[TEMPLATE_TEXT_MAX], address[TEMPLATE_ADDRESS_MAX];
    char name_part[TEMPLATE_MAX], address_part[TEMPLATE_MAX];
    const char *p = text;
    struct part part;
    struct buffer made;
    int more;
    bool plain;

    if (strlen(text) >= TEMPLATE_MAX) {
        snprintf(problem, problem_size, "too long: at most %d characters", TEMPLATE_MAX - 1);
        return ERROR_FORMAT;
    }
    while ((more = next_part(&part, &p, problem, problem_size)) > 0)
        ;
    if (more < 0 || use != TEMPLATE_FROM)
        return more;
    if (split_from(text, name_part, address_part) < 0 ||
        template_expand_from(name, address, text, &facts) < 0) {
        snprintf(problem, problem_size, "not of the form: Name <address>");
        return ERROR_FORMAT;
    }
    buffer_init(&made, 16384);
    expand(&made, address_part, PLACE_ADDRESS, &facts);
    plain = template_address_is_plain(buffer_string(&made));
    buffer_free(&made);
    if (plain)
        return 0;
    snprintf(problem, problem_size,
             "'%s' gives no mail address: write Name <user@host>, "
             "for instance <faxpost@{hostname}>",
             address_part);
    return ERROR_FORMAT;
}
