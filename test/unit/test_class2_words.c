/* SPDX-License-Identifier: MIT */
/*
 * test_class2_words.c - what modems that speak T.30 themselves say, word by word.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fax/modem/class2_words.h"
#include "test/unit/class2_script.h"

static void test_words(void **state)
{
    static const struct {
        const char *line;
        enum class2_word word;
        const char *arguments;
    } table[] = {
        {"OK", CLASS2_OK, ""},
        {"ok", CLASS2_OK, ""},
        {"OKAY", CLASS2_OTHER, ""},
        {"+FCON", CLASS2_FAX, ""},
        {"+FCO", CLASS2_FAX, ""},
        {"+FCONE", CLASS2_OTHER, ""},
        {"+FCS:1,2", CLASS2_PARAMETERS, "1,2"},
        {"+FDCS : 1", CLASS2_PARAMETERS, "1"},
        {"+FDCC: (0)", CLASS2_CAPABILITIES, "(0)"},
        {"+FPS:1", CLASS2_PAGE_STATUS, "1"},
        {"+FPTS 1", CLASS2_PAGE_STATUS, "1"},
        {"+FHS:", CLASS2_HANGUP, ""},
        {"CONNECT 14400/ARQ", CLASS2_CONNECT, "14400/ARQ"},
        {"NO CARRIER", CLASS2_GONE, ""},
        {"NO CARRIER 3", CLASS2_GONE, "3"},
        {"NO DIAL TONE", CLASS2_GONE, ""},
        {"+FCERROR", CLASS2_ERROR, ""},
        {"AT+FDR", CLASS2_OTHER, ""},
        {"", CLASS2_OTHER, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const char *arguments;

        if (class2_word_of(table[i].line, &arguments) != table[i].word ||
            strcmp(arguments, table[i].arguments) != 0)
            fail_msg("\"%s\": \"%s\"", table[i].line, arguments);
    }
    assert_string_equal(class2_name(CLASS2_CAPABILITIES, MODEM_CLASS_2), "+FDCC");
    assert_string_equal(class2_name(CLASS2_CAPABILITIES, MODEM_CLASS_2_1), "+FCC");
    assert_int_equal(class2_number("\" 1a\",3"), 0x1a);
    assert_int_equal(class2_number("ffffffffffff"), 0xfff);
    assert_int_equal(class2_number("?"), -1);
    assert_int_equal(class2_number(""), -1);
}

static void test_hangups(void **state)
{
    static const struct {
        const char *code, *part; /* NULL: a good end */
    } table[] = {
        {"0", NULL},           {"00", NULL},           {"\"00\"", NULL},   {" 000", NULL},
        {"1", "off-hook"},     {"01", "off-hook"},     {"3", "cable"},     {"11", "no fax machine"},
        {"12", "phase A"},     {"70", "phase B"},      {"7F", "phase B"},  {"85", "phase B"},
        {"91", "end of line"}, {"9f", "phase C"},      {"A0", "phase D"},  {"a9", "phase D"},
        {"100", "phase D"},    {"119", "phase D"},     {"B1", "phase D"},  {"20", "its code"},
        {"", "no reason"},     {"70000", "no reason"}, {"?", "no reason"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const char *text = class2_hangup_text(table[i].code);

        if (table[i].part == NULL ? text != NULL
                                  : text == NULL || strstr(text, table[i].part) == NULL)
            fail_msg("\"%s\": %s", table[i].code, text != NULL ? text : "good");
    }
}

static void test_wishes(void **state)
{
    static const struct {
        const char *offer;
        enum modem_class class;
        bool ecm;
        const char *wish;
    } table[] = {
        {OFFER, MODEM_CLASS_2, true, "1,5,2,2,1,2,0,0"},
        {OFFER, MODEM_CLASS_2, false, "1,5,2,2,1,0,0,0"},
        {"(0-3),(0-5),(0-4),(0-2),(0-3),(0,1),(0),(0-7)", MODEM_CLASS_2, true, "1,5,2,2,1,1,0,0"},
        {"(0-5F),(0-5),(0-2),(0-2),(0-3),(0-2),0,0,0", MODEM_CLASS_2_0, true, "7,5,2,2,1,1,0,0"},
        {"+FCC: (00,01),(0-B),(0),(0),(0),(0),(0),(0)", MODEM_CLASS_2_1, true, "1,B,0,2,0,0,0,0"},
        {"(0,1),(0-3)", MODEM_CLASS_2, true, NULL},
        {"(0,1),(0-3),(0,(1", MODEM_CLASS_2, true, NULL},
        {"+FCLASS: (0,1),(0-3),(0),(0),(0)", MODEM_CLASS_2, true, NULL},
        {"0,1,2,2,1", MODEM_CLASS_2, true, NULL},
        {"", MODEM_CLASS_2, true, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct class2_offer offer;
        char wish[CLASS2_WISH_MAX] = "";
        bool has_offer = class2_offer_read(&offer, table[i].offer);

        if (has_offer)
            class2_wish(wish, &offer, table[i].class, table[i].ecm);
        if (has_offer != (table[i].wish != NULL) || (has_offer && strcmp(wish, table[i].wish) != 0))
            fail_msg("\"%s\": %s", table[i].offer, wish);
    }
}

static void test_dcs(void **state)
{
    static const struct {
        const char *parameters;
        uint8_t octets[6]; /* 3 to 8; all 0: refused */
    } table[] = {
        {"0,0,0,2,0,0,0,0", {0x00, 0x02, 0xf8, 0x80, 0x80, 0x00}},
        {"1,1,0,2,0,0,0,0", {0x00, 0x4a, 0xf8, 0x80, 0x80, 0x00}},
        {"1,2,1,2,1,2,0,0", {0x00, 0xce, 0xf9, 0x80, 0x80, 0x00}},
        {"2,3,2,2,0,0,0,0", {0x00, 0x06, 0xfa, 0x80, 0x80, 0x01}},
        {"4,4", {0x00, 0x2a, 0xf8, 0x80, 0x80, 0x04}},
        {"40,5", {0x00, 0x22, 0xf8, 0x80, 0x80, 0x02}},
        {"10,D,0,0,1,1", {0x00, 0xe2, 0xf8, 0x80, 0x80, 0x00}},
        {"0,0,3", {0}},
        {"0,0,0,0,2", {0}},
        {"0,0,0,0,3", {0}},
        {"0,0,0,0,0,0,0,0,1", {0}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct class2_parameters parameters;
        uint8_t frame[CLASS2_FRAME_MAX] = {0};
        const char *why = NULL;
        size_t length;

        assert_true(class2_parameters_read(&parameters, table[i].parameters));
        length = class2_dcs(frame, &parameters, &why);
        if (table[i].octets[1] == 0 ? length != 0 || why == NULL
                                    : length != 9 || memcmp(frame + 3, table[i].octets, 6) != 0)
            fail_msg("%s: %zu octets, %02x %02x %02x … %02x", table[i].parameters, length, frame[3],
                     frame[4], frame[5], frame[8]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_hangups),
        cmocka_unit_test(test_wishes),
        cmocka_unit_test(test_dcs),
    };

    return cmocka_run_group_tests_name("class2_words", tests, NULL, NULL);
}
