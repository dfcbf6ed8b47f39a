/* SPDX-License-Identifier: MIT */
/*
 * test_call_info.c - call.ini: what is written comes back, and whatever is read stays in bounds.
 */
#include "spool/call_info.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

static void fill(char *out, size_t size, const char *pattern)
{
    size_t i;

    for (i = 0; i + 1 < size; i++)
        out[i] = pattern[i % strlen(pattern)];
    out[i] = '\0';
}

/* Every text field is filled to the brim with text that an INI reader could trip over. */
static void round_trip(void **state)
{
    static const char *const patterns[] = {
        "a",
        "%",
        ";",
        "#",
        " ",
        "= ",
        "[call]",
        " ; x",
        "%41",
        "\"'\\",
        "~!@$^&*()_+{}|:<>?,./",
        "pages = 7 ;",
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        struct call_info info;
        struct call_info back;
        char *text;
        size_t length;

        memset(&info, 0, sizeof info);
        memset(&back, 0xff, sizeof back);
        fill(info.fax_id, sizeof info.fax_id, patterns[i]);
        fill(info.line, sizeof info.line, patterns[i]);
        fill(info.called, sizeof info.called, patterns[i]);
        fill(info.caller, sizeof info.caller, patterns[i]);
        fill(info.caller_name, sizeof info.caller_name, patterns[i]);
        fill(info.peer, sizeof info.peer, patterns[i]);
        fill(info.call_ref, sizeof info.call_ref, patterns[i]);
        fill(info.station, sizeof info.station, patterns[i]);
        fill(info.subaddress, sizeof info.subaddress, patterns[i]);
        fill(info.sender, sizeof info.sender, patterns[i]);
        fill(info.password, sizeof info.password, patterns[i]);
        fill(info.own_station, sizeof info.own_station, patterns[i]);
        fill(info.compression, sizeof info.compression, patterns[i]);
        fill(info.error, sizeof info.error, patterns[i]);
        info.started_ms = 1795256130123;
        info.answered_ms = 1795256131000;
        info.ended_ms = 1795256190456;
        info.media = CALL_MEDIA_T38;
        info.bit_rate = 14400;
        info.ecm = true;
        info.pages = 3;
        info.unconfirmed = 1;
        info.rows = INT_MAX;
        info.width = 1728;
        info.x_per_m = 8031;
        info.y_per_m = 7700;
        info.verdict = CALL_DOUBTFUL;
        assert_int_equal(call_info_format(&text, &length, &info), 0);
        assert_int_equal(strlen(text), length);
        assert_int_equal(call_info_parse(&back, text), 0);
        assert_memory_equal(&back, &info, sizeof info);
        free(text);
    }
}

static void words(void **state)
{
    enum call_verdict verdict = CALL_LIVE;
    enum call_media media = CALL_MEDIA_NONE;
    int i;

    (void)state;
    for (i = CALL_LIVE; i <= CALL_EMPTY; i++) {
        assert_int_equal(call_verdict_parse(&verdict, call_verdict_text((enum call_verdict)i)), 0);
        assert_int_equal(verdict, i);
    }
    for (i = CALL_MEDIA_NONE; i <= CALL_MEDIA_MODEM; i++) {
        assert_int_equal(call_media_parse(&media, call_media_text((enum call_media)i)), 0);
        assert_int_equal(media, i);
    }
    assert_string_equal(call_verdict_text(CALL_COMPLETE), "complete");
    assert_string_equal(call_verdict_text((enum call_verdict)99), "unknown");
    assert_string_equal(call_media_text((enum call_media) - 1), "unknown");
    assert_int_equal(call_verdict_parse(&verdict, "Complete"), ERROR_FORMAT);
    assert_int_equal(call_media_parse(&media, ""), ERROR_FORMAT);
}

/* One hostile or broken line each; what is expected of the fields after it. */
static void hostile_text(void **state)
{
    static const struct {
        const char *name, *text;
        int result;
        int pages;
        const char *caller;
    } rows[] = {
        {"empty", "", ERROR_FORMAT, 0, ""},
        {"no INI",
         "\x7f"
         "ELF\x02\x01\x01",
         ERROR_FORMAT, 0, ""},
        {"other section", "[boot]\npages = 3\n", ERROR_FORMAT, 0, ""},
        {"section only", "[call]\n", ERROR_FORMAT, 0, ""},
        {"unknown key", "[call]\nroot = yes\npages = 3\n", 0, 3, ""},
        {"bad line first", "[call]\nnonsense\npages = 3\n", 0, 3, ""},
        {"negative", "[call]\npages = -3\n", 0, 0, ""},
        {"too large", "[call]\npages = 99999999999999999999\n", 0, INT_MAX, ""},
        {"too small", "[call]\npages = -99999999999999999999\n", 0, 0, ""},
        {"no number", "[call]\npages = many\n", 0, 0, ""},
        {"control characters", "[call]\ncaller = a%0Ab%00c%7Fd\n", 0, 0, "a?b?c?d"},
        {"UTF-8", "[call]\ncaller = caf\xc3\xa9\n", 0, 0, "caf\xc3\xa9"},
        {"eight bit", "[call]\ncaller = caf\xe9\n", 0, 0, "caf?"},
        {"turned around", "[call]\ncaller = a%E2%80%AEb\n", 0, 0, "a?b"},
        {"broken escape", "[call]\ncaller = 5%4 %zz %\n", 0, 0, "5%4 %zz %"},
        {"in pieces", "[call]\ncaller = ab\ncaller = cd\n", 0, 0, "abcd"},
        {"UTF-8 in pieces", "[call]\ncaller = caf%C3\ncaller = %A9s\n", 0, 0, "caf\xc3\xa9s"},
        {"cut off", "[call]\npages = 2\ncaller = 55", 0, 2, "55"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct call_info info;

        memset(&info, 0, sizeof info);
        print_message("    %s\n", rows[i].name);
        assert_int_equal(call_info_parse(&info, rows[i].text), rows[i].result);
        assert_int_equal(info.pages, rows[i].pages);
        assert_string_equal(info.caller, rows[i].caller);
    }
}

/* Nothing of what does not fit runs over. */
static void long_text(void **state)
{
    struct call_info info;
    char text[20000];
    size_t used = 0;
    int i;

    (void)state;
    used += (size_t)snprintf(text, sizeof text, "[call]\n");
    for (i = 0; i < 100; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "station = %s\n",
                                 "12345678901234567890123456789012345678901234567890");
    memset(text + used, 'x', sizeof text - used - 1); /* a line without end */
    text[sizeof text - 1] = '\0';
    assert_int_equal(call_info_parse(&info, text), 0);
    assert_int_equal(strlen(info.station), CALL_IDENT_MAX - 1);
    assert_string_equal(info.subaddress, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(words),
        cmocka_unit_test(hostile_text),
        cmocka_unit_test(long_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
