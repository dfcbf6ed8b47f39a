/* SPDX-License-Identifier: MIT */
/*
 * test_party.c - numbers and names out of SIP headers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "fax/sip/party.h"

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

#define TEN         "0123456789"
#define SEVENTY     TEN TEN TEN TEN TEN TEN TEN
#define SIXTY_THREE TEN TEN TEN TEN TEN TEN "012"

static void test_parse(void **state)
{
    static const struct {
        const char *value, *number, *name;
        bool is_party;
    } table[] = {
        {"<sip:+15551234@192.0.2.1>;tag=x", "+15551234", "", true},
        {"\"Fax Man\" <sip:5551234@host:5060;user=phone>", "5551234", "Fax Man", true},
        {"Fax Man <sip:5551234@host>", "5551234", "Fax Man", true},
        {"\"a \\\"b\\\" c\" <sip:1@h>", "1", "a \"b\" c", true},
        {"sip:5551234@host;tag=abc", "5551234", "", true},
        {"sips:5551234@host", "5551234", "", true},
        {"SIP:5551234@host", "5551234", "", true},
        {"<tel:+1-555-(01)00.7;phone-context=example.com>", "+155501007", "", true},
        {"<sip:+1-555-0100@host>", "+15550100", "", true},
        {"<sip:john-smith@host>", "john-smith", "", true},
        {"<sip:5551234;phone-context=x@host>", "5551234", "", true},
        {"<sip:5551234:secret@host>", "5551234", "", true},
        {"<sip:%2B1555%20@host>", "+1555", "", true},
        {"<sip:a%00b@host>", "a?b", "", true},
        {"<sip:a%zzb%4@host>", "a%zzb%4", "", true},
        {"<sip:\x01\xff"
         "5@host>",
         "??5", "", true},
        {"\"\x01\xc3\xa4\xc3\" <sip:5@host>", "5", "?\xc3\xa4?", true},
        {"<sip:host>", "", "", true},
        {"\"Anonymous\" <sip:anonymous@anonymous.invalid>", "anonymous", "Anonymous", true},
        {"<sip:" SEVENTY "@host>", SIXTY_THREE, "", true},
        {"\"" SEVENTY "\" <sip:5@host>", "5", SIXTY_THREE, true},
        {"\"open <sip:5@host>", "", "", false},
        {"<mailto:a@b>", "", "", false},
        {"<sip", "", "", false},
        {"<>", "", "", false},
        {"", "", "", false},
        {"   ", "", "", false},
        {"\\", "", "", false},
        {"\"\\", "", "", false},
    };
    char number[CALL_NUMBER_MAX];
    char name[CALL_NAME_MAX];

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        print_message("%s\n", table[i].value);
        assert_int_equal(party_parse(table[i].value, strlen(table[i].value), number, name),
                         table[i].is_party);
        assert_string_equal(number, table[i].number);
        assert_string_equal(name, table[i].name);
        assert_int_equal(party_parse(table[i].value, strlen(table[i].value), number, NULL),
                         table[i].is_party);
        assert_string_equal(number, table[i].number);
    }
}

/* Every beginning of a value, ended anywhere: nothing is read beyond. */
static void test_cut(void **state)
{
    static const char value[] = "\"Fax \\\"Man\" <sip:%2B1555;x=y:z@host>;tag=a";
    char number[CALL_NUMBER_MAX];
    char name[CALL_NAME_MAX];
    char copy[sizeof value];

    (void)state;
    for (size_t length = 0; length < sizeof value; length++) {
        memset(copy, '@', sizeof copy);
        memcpy(copy, value, length);
        (void)party_parse(copy, length, number, name);
        assert_true(strlen(number) < sizeof number && strlen(name) < sizeof name);
        if (length == sizeof value - 1)
            assert_string_equal(number, "+1555");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
