/* SPDX-License-Identifier: MIT */
/* Templates: what they make of ordinary and of hostile calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/error.h"
#include "message/message.h"
#include "message/template.h"
#include "message/words.h"

static const struct call_info ordinary = {
    .fax_id = "20261121T101530123-k7f3a9c2d1e4",
    .line = "trunk",
    .called = "5552000",
    .caller = "+15551234",
    .caller_name = "Köhler & Söhne",
    .station = "+1 555 1234",
    .subaddress = "12",
    .sender = "SID1",
    .answered_ms = 1795256102000,
    .ended_ms = 1795256174000, /* 2026-11-21 10:16:14 UTC */
    .verdict = CALL_COMPLETE,
};

static struct template_facts facts_of(const struct call_info *call, int pages)
{
    return (struct template_facts){.call = call,
                                   .pages = pages,
                                   .date_ms = 1795256174000,
                                   .route = "sales",
                                   .hostname = "fax.example.com"};
}

static void expands(void **state)
{
    static const struct {
        const char *template, *expected;
        enum template_use use;
    } rows[] = {
        {MESSAGE_SUBJECT_DEFAULT, "Fax from +15551234, 2 pages", TEMPLATE_SUBJECT},
        {MESSAGE_FILE_NAME_DEFAULT, "fax-15551234-2026-11-21-10-16", TEMPLATE_FILE_NAME},
        {"{caller_name}", "Köhler & Söhne", TEMPLATE_SUBJECT},
        {"{called} {line} {station} {subaddress} {sender}", "5552000 trunk +1 555 1234 12 SID1",
         TEMPLATE_SUBJECT},
        {"{pages}/{pages_text}/{verdict}/{partial_note}", "2/2 pages/complete/", TEMPLATE_SUBJECT},
        {"{date} {time} {duration}", "2026-11-21 10:16 1 min 12 s", TEMPLATE_SUBJECT},
        {"{route}@{hostname} {fax_id}", "sales@fax.example.com 20261121T101530123-k7f3a9c2d1e4",
         TEMPLATE_SUBJECT},
        {"{caller_fax_address}", "FAX=+15551234@fax.example.com", TEMPLATE_SUBJECT},
        {"{called_fax_address}", "FAX=5552000/T33S=12@fax.example.com", TEMPLATE_SUBJECT},
        {"{{caller}} }}{{", "{caller} }{", TEMPLATE_SUBJECT},
        {"", "Fax", TEMPLATE_SUBJECT},
        {"   ", "Fax", TEMPLATE_SUBJECT},
        {"a\r\nBcc: x", "a??Bcc: x", TEMPLATE_SUBJECT},
        {"../../{caller}", "15551234", TEMPLATE_FILE_NAME},
        {"///", "fax", TEMPLATE_FILE_NAME},
        {"{caller_name}.v2", "K--hler---S--hne.v2", TEMPLATE_FILE_NAME},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct template_facts facts = facts_of(&ordinary, 2);
        char out[TEMPLATE_TEXT_MAX];
        char expected[TEMPLATE_TEXT_MAX];

        assert_int_equal(template_expand(out, sizeof out, rows[i].template, rows[i].use, &facts),
                         0);
        /* runs of dashes are one */
        strcpy(expected, rows[i].expected);
        for (char *p; rows[i].use == TEMPLATE_FILE_NAME && (p = strstr(expected, "--")) != NULL;)
            memmove(p, p + 1, strlen(p));
        assert_string_equal(out, expected);
    }
}

static void unknown_callers_read_well(void **state)
{
    static const char *const withheld[] = {"", "anonymous", "Anonymous", "unknown", "restricted"};

    (void)state;
    for (size_t i = 0; i < sizeof withheld / sizeof withheld[0]; i++) {
        struct call_info call = {.verdict = CALL_PARTIAL};
        struct template_facts facts = facts_of(&call, 1);
        char out[TEMPLATE_TEXT_MAX], address[TEMPLATE_ADDRESS_MAX];

        strcpy(call.caller, withheld[i]);
        template_expand(out, sizeof out, MESSAGE_SUBJECT_DEFAULT, TEMPLATE_SUBJECT, &facts);
        assert_string_equal(out, "Fax from unknown number, 1 page (incomplete)");
        template_expand(out, sizeof out, MESSAGE_FILE_NAME_DEFAULT, TEMPLATE_FILE_NAME, &facts);
        assert_string_equal(out, "fax-unknown-number-2026-11-21-10-16");
        assert_int_equal(template_expand_from(out, address, MESSAGE_FROM_DEFAULT, &facts), 0);
        assert_string_equal(out, "Fax from unknown number");
        assert_string_equal(address, "faxpost@fax.example.com");
        assert_int_equal(template_expand_from(out, address, "<{caller_fax_address}>", &facts), 0);
        assert_string_equal(address, "faxpost@fax.example.com");
    }
}

/* What a caller can send must not get out of its place. */
static const char *const hostile[] = {
    "x\r\nBcc: victim@example.com",
    "x\nSubject: y",
    "\"><script>alert(1)</script>",
    "a@b, c@d",
    "<evil@example.com>",
    "\" <evil@example.com>, \"",
    "../../etc/passwd",
    "..\\..\\x",
    "con.exe",
    "invoice.pdf.exe",
    "$(reboot)`reboot`;|&",
    "=?utf-8?q?=0aBcc:_x?=",
    "\xff\xfe\x80",
    "\xe2\x80\xae"
    "fdp.exe", /* right-to-left override */
    "\xc2\x85next line",
    "\xe2\x80\xa8line separator",
    "\xed\xa0\x80surrogate",
    "\xf4\x90\x80\x80"
    "too high",
    "\xc0\xafoverlong",
    "{caller}{{",
    "%s%n",
    "\x1b[31m",
    "\x7f",
};

static bool has_only(const char *text, const char *allowed)
{
    return text[strspn(text, allowed)] == '\0';
}

static void hostile_text_stays_in_place(void **state)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";

    (void)state;
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        struct call_info call = {.fax_id = "f"};
        struct template_facts facts = facts_of(&call, 1);
        char out[TEMPLATE_TEXT_MAX], address[TEMPLATE_ADDRESS_MAX], clean[TEMPLATE_TEXT_MAX];

        strncpy(call.caller, hostile[i], sizeof call.caller - 1);
        strncpy(call.caller_name, hostile[i], sizeof call.caller_name - 1);
        strncpy(call.station, hostile[i], sizeof call.station - 1);

        template_expand(out, sizeof out, "Fax {caller} {caller_name} {station}", TEMPLATE_SUBJECT,
                        &facts);
        for (const char *p = out; *p != '\0'; p++)
            assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
        /* clean text is a fixed point: it was valid and printable */
        assert_string_equal(template_clean_text(clean, sizeof clean, out, 500), out);

        template_expand(out, sizeof out, "{caller}-{station}-{caller_name}", TEMPLATE_FILE_NAME,
                        &facts);
        assert_true(has_only(out, letters));
        assert_null(strchr(out, '.'));
        assert_true(strlen(out) <= 80 && out[0] != '-');

        assert_int_equal(template_expand_from(out, address,
                                              "{caller_name} <fax-{caller}.{station}@{hostname}>",
                                              &facts),
                         0);
        assert_true(template_address_is_plain(address));
        assert_non_null(strstr(address, "@fax.example.com"));
        assert_int_equal(template_expand_from(out, address, "<{caller_fax_address}>", &facts), 0);
        assert_true(template_address_is_plain(address));
    }
}

static void long_text_is_cut(void **state)
{
    struct call_info call = {0};
    struct template_facts facts = facts_of(&call, 1);
    char many[TEMPLATE_MAX + 8], out[TEMPLATE_TEXT_MAX];

    (void)state;
    memset(call.caller_name, 'x', sizeof call.caller_name - 1);
    many[0] = '\0';
    for (int i = 0; i < 15; i++)
        strcat(many, "{caller_name}");
    assert_int_equal(template_expand(out, sizeof out, many, TEMPLATE_SUBJECT, &facts), 0);
    assert_int_equal(strlen(out), TEMPLATE_TEXT_CHARS);
    assert_int_equal(template_expand(out, sizeof out, many, TEMPLATE_FILE_NAME, &facts), 0);
    assert_int_equal(strlen(out), 80);
    assert_int_equal(template_expand(out, 10, many, TEMPLATE_FILE_NAME, &facts), 0);
    assert_int_equal(strlen(out), 9);
    memset(many, 'y', sizeof many);
    many[sizeof many - 1] = '\0';
    assert_int_equal(template_expand(out, sizeof out, many, TEMPLATE_SUBJECT, &facts),
                     ERROR_FORMAT);
}

static void checks(void **state)
{
    static const struct {
        const char *template;
        enum template_use use;
        int expected;
        const char *says;
    } rows[] = {
        {MESSAGE_FROM_DEFAULT, TEMPLATE_FROM, 0, ""},
        {MESSAGE_SUBJECT_DEFAULT, TEMPLATE_SUBJECT, 0, ""},
        {MESSAGE_FILE_NAME_DEFAULT, TEMPLATE_FILE_NAME, 0, ""},
        {"fax@example.com", TEMPLATE_FROM, 0, ""},
        {"\"Fax, {caller}\" <{caller_fax_address}>", TEMPLATE_FROM, 0, ""},
        {"{called_fax_address}", TEMPLATE_FROM, 0, ""},
        {"Fax {{x}} {caller}", TEMPLATE_SUBJECT, 0, ""},
        {"Fax {calller}", TEMPLATE_SUBJECT, ERROR_FORMAT, "{calller}"},
        {"Fax {}", TEMPLATE_SUBJECT, ERROR_FORMAT, "{}"},
        {"Fax {caller", TEMPLATE_SUBJECT, ERROR_FORMAT, "lone '{'"},
        {"Fax caller}", TEMPLATE_SUBJECT, ERROR_FORMAT, "lone '}'"},
        {"Fax <fax@example.com", TEMPLATE_FROM, ERROR_FORMAT, "form"},
        {"Fax fax@example.com>", TEMPLATE_FROM, ERROR_FORMAT, "form"},
        {"Fax <nowhere>", TEMPLATE_FROM, ERROR_FORMAT, "no mail address"},
        {"Fax <a b@example.com>", TEMPLATE_FROM, ERROR_FORMAT, "no mail address"},
        {"a@b, c@d", TEMPLATE_FROM, ERROR_FORMAT, "no mail address"},
        {"Fax <fax@{route}>", TEMPLATE_FROM, ERROR_FORMAT, "no mail address"},
        {"", TEMPLATE_FROM, ERROR_FORMAT, "no mail address"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char problem[300] = "";

        assert_int_equal(template_check(rows[i].template, rows[i].use, problem, sizeof problem),
                         rows[i].expected);
        assert_non_null(strstr(problem, rows[i].says));
    }
}

static void from_parts(void **state)
{
    static const struct {
        const char *template, *name, *address;
    } rows[] = {
        {MESSAGE_FROM_DEFAULT, "Fax from +15551234", "faxpost@fax.example.com"},
        {"\"Fax, {caller}\" <fax@example.com>", "Fax, +15551234", "fax@example.com"},
        {"fax@example.com", "", "fax@example.com"},
        {"<fax-{subaddress}@{hostname}>", "", "fax-12@fax.example.com"},
        {"{called_fax_address}", "", "FAX=5552000/T33S=12@fax.example.com"},
        {"F <{station}@{hostname}>", "F", "+1-555-1234@fax.example.com"},
        {"F <x@{caller_name}>", "F", "faxpost@fax.example.com"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct template_facts facts = facts_of(&ordinary, 2);
        char name[TEMPLATE_TEXT_MAX], address[TEMPLATE_ADDRESS_MAX];

        assert_int_equal(template_expand_from(name, address, rows[i].template, &facts), 0);
        assert_string_equal(name, rows[i].name);
        assert_string_equal(address, rows[i].address);
    }
}

static void fax_addresses(void **state)
{
    static const struct {
        const char *number, *subaddress, *host, *expected; /* NULL: refused */
    } rows[] = {
        {"+15551234", NULL, "h.example", "FAX=+15551234@h.example"},
        {"+1 (555) 12-34", "", "h.example", "FAX=+15551234@h.example"},
        {"5552000", "123", "h.example", "FAX=5552000/T33S=123@h.example"},
        {"5552000", "1#2*3", "h.example", "FAX=5552000/T33S=123@h.example"},
        {"5552000", "abc", "h.example", "FAX=5552000@h.example"},
        {"1\r\nBcc: 2", NULL, "h.example", "FAX=12@h.example"},
        {"5", NULL, "", "FAX=5@localhost"},
        {"5", NULL, "bad host", "FAX=5@localhost"},
        {"5", NULL, "[192.0.2.1]", "FAX=5@[192.0.2.1]"},
        {"", NULL, "h.example", NULL},
        {"anonymous", "1", "h.example", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[TEMPLATE_ADDRESS_MAX] = "";
        int error = template_fax_address(out, rows[i].number, rows[i].subaddress, rows[i].host);

        assert_int_equal(error, rows[i].expected != NULL ? 0 : ERROR_FORMAT);
        assert_string_equal(out, rows[i].expected != NULL ? rows[i].expected : "");
    }
}

static void plain_addresses(void **state)
{
    static const struct {
        const char *address;
        int plain;
    } rows[] = {
        {"a@b", 1},
        {"a.b+c@d.example", 1},
        {"FAX=+1/T33S=2@h", 1},
        {"a@[192.0.2.1]", 1},
        {"", 0},
        {"a", 0},
        {"@b", 0},
        {"a@", 0},
        {"a@@b", 0},
        {"a@b@c", 0},
        {".a@b", 0},
        {"a.@b", 0},
        {"a..b@c", 0},
        {"a b@c", 0},
        {"a@b c", 0},
        {"\"a\"@b", 0},
        {"a@b,c@d", 0},
        {"<a@b>", 0},
        {"a@b>", 0},
        {"a@b\r\n", 0},
        {"a(x)@b", 0},
        {"a@b_c", 0},
        {"\xc3\xa4@b", 0},
        {"a@[x y]", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(template_address_is_plain(rows[i].address), rows[i].plain);
}

static void variables_are_all_known(void **state)
{
    const char *name, *meaning;
    size_t i;

    (void)state;
    for (i = 0; (name = template_variable(i, &meaning)) != NULL; i++) {
        char text[64], problem[200];

        snprintf(text, sizeof text, "{%s}", name);
        assert_int_equal(template_check(text, TEMPLATE_SUBJECT, problem, sizeof problem), 0);
        assert_true(strlen(meaning) > 5);
    }
    assert_true(i >= 15);
}

static void lists_of_numbers(void **state)
{
    static const struct {
        int numbers[6], count;
        const char *expected;
    } rows[] = {
        {{0}, 0, ""},
        {{3}, 1, "3"},
        {{3, 4}, 2, "3 and 4"},
        {{3, 4, 5}, 3, "3 to 5"},
        {{1, 3, 5}, 3, "1, 3 and 5"},
        {{1, 3, 4, 5}, 4, "1 and 3 to 5"},
        {{1, 2, 3, 9}, 4, "1 to 3 and 9"},
        {{1, 2, 5, 6, 7, 9}, 6, "1, 2, 5 to 7 and 9"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[WORDS_MAX];

        assert_string_equal(words_list(out, rows[i].numbers, rows[i].count), rows[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expands),
        cmocka_unit_test(unknown_callers_read_well),
        cmocka_unit_test(hostile_text_stays_in_place),
        cmocka_unit_test(long_text_is_cut),
        cmocka_unit_test(checks),
        cmocka_unit_test(from_parts),
        cmocka_unit_test(fax_addresses),
        cmocka_unit_test(plain_addresses),
        cmocka_unit_test(variables_are_all_known),
        cmocka_unit_test(lists_of_numbers),
    };

    setenv("TZ", "UTC", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
