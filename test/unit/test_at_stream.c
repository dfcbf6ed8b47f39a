/* SPDX-License-Identifier: MIT */
/*
 * test_at_stream.c - lines and data of a modem, in pieces of every size.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fax/modem/at_stream.h"

struct row {
    const char *name;
    const char *octets; /* 'data' begins behind the line CONNECT */
    size_t length;
    const char
        *expected; /* lines in <>, data as it is with unprintable octets in hex, . at its end */
};

#define OCTETS(text) text, sizeof(text) - 1

static const struct row rows[] = {
    {"a response", OCTETS("\r\nOK\r\n"), "<OK>"},
    {"without CR", OCTETS("OK\n"), "<OK>"},
    {"two", OCTETS("\r\n+FRH:3\r\n\r\nNO CARRIER\r\n"), "<+FRH:3><NO CARRIER>"},
    {"empty lines", OCTETS("\r\n\r\n \r\n\r\n"), ""},
    {"spaces around it", OCTETS("  OK  \r\n"), "<OK>"},
    {"rubbish", OCTETS("\x01\x80OK\r\n"), "<..OK>"},
    {"a line cut off", OCTETS("\r\nO"), ""},
    {"data", OCTETS("CONNECT\r\n\xff\x03z\x10\x03OK\r\n"), "<CONNECT>[ff][03]z.<OK>"},
    {"the LF is no data", OCTETS("\r\nCONNECT\r\nz\x10\x03"), "<CONNECT>z."},
    {"DLE", OCTETS("CONNECT\r\na\x10\x10z\x10\x03"), "<CONNECT>a[10]z."},
    {"DLE SUB is two", OCTETS("CONNECT\r\na\x10\x1az\x10\x03"), "<CONNECT>a[10][10]z."},
    {"others are dropped", OCTETS("CONNECT\r\na\x10qz\x10\x03"), "<CONNECT>az."},
    {"data like a response", OCTETS("CONNECT\r\n\r\nOK\r\n\x10\x03"),
     "<CONNECT>[0d][0a]OK[0d][0a]."},
    {"NO CARRIER without DLE ETX", OCTETS("CONNECT\r\n\r\nNO CARRIER\r\n"),
     "<CONNECT>[0d][0a]NO CARRIER[0d][0a]<NO CARRIER>"},
    {"the same behind a CR", OCTETS("CONNECT\r\nz\r\r\nNO CARRIER\r\n"),
     "<CONNECT>z[0d][0d][0a]NO CARRIER[0d][0a]<NO CARRIER>"},
    {"nearly that", OCTETS("CONNECT\r\n\r\nNO CARRIES\r\n\x10\x03"),
     "<CONNECT>[0d][0a]NO CARRIES[0d][0a]."},
};

struct heard {
    struct at_stream stream;
    char text[1024];
};

static void add(struct heard *heard, const char *text)
{
    size_t used = strlen(heard->text);

    snprintf(heard->text + used, sizeof heard->text - used, "%s", text);
}

static void on_line(void *user, const char *line)
{
    struct heard *heard = user;

    add(heard, "<");
    add(heard, line);
    add(heard, ">");
    if (strcmp(line, "CONNECT") == 0)
        at_stream_data(&heard->stream);
}

static void on_data(void *user, const uint8_t *octets, size_t length)
{
    char text[8];

    for (size_t i = 0; i < length; i++) {
        bool plain = octets[i] >= 0x20 && octets[i] < 0x7f;

        snprintf(text, sizeof text, plain ? "%c" : "[%02x]", octets[i]);
        add(user, text);
    }
}

static void on_data_end(void *user)
{
    add(user, ".");
}

static void test_rows(void **state)
{
    static struct heard heard;
    const struct at_stream_hooks hooks = {&heard, on_line, on_data, on_data_end};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t piece = 1; piece <= rows[i].length; piece++) {
            heard.text[0] = '\0';
            at_stream_init(&heard.stream, &hooks);
            for (size_t at = 0; at < rows[i].length; at += piece) {
                size_t n = rows[i].length - at < piece ? rows[i].length - at : piece;

                at_stream_feed(&heard.stream, (const uint8_t *)rows[i].octets + at, n);
            }
            if (strcmp(heard.text, rows[i].expected) != 0)
                fail_msg("%s, pieces of %zu: %s", rows[i].name, piece, heard.text);
        }
    }
}

/* A line without end is cut, and the next one is whole. */
static void test_long_line(void **state)
{
    static struct heard heard;
    const struct at_stream_hooks hooks = {&heard, on_line, on_data, on_data_end};

    (void)state;
    heard.text[0] = '\0';
    at_stream_init(&heard.stream, &hooks);
    for (int i = 0; i < 5000; i++)
        at_stream_feed(&heard.stream, (const uint8_t *)"x", 1);
    at_stream_feed(&heard.stream, (const uint8_t *)"\r\nOK\r\n", 6);
    assert_int_equal(strlen(heard.text), 2 + AT_LINE_MAX - 1 + 4);
    assert_string_equal(heard.text + strlen(heard.text) - 4, "<OK>");
}

static void test_stuffing(void **state)
{
    static const uint8_t frame[] = {0xff, 0x13, 0x10, 0x03, 0x10};
    static const uint8_t stuffed[] = {0xff, 0x13, 0x10, 0x10, 0x03, 0x10, 0x10, 0x10, 0x03};
    uint8_t out[12];

    (void)state;
    assert_int_equal(at_stuff(out, sizeof out, frame, sizeof frame, true), sizeof stuffed);
    assert_memory_equal(out, stuffed, sizeof stuffed);
    assert_int_equal(at_stuff(out, sizeof out, frame, sizeof frame, false), sizeof stuffed - 2);
    assert_int_equal(at_stuff(out, sizeof out - 1, frame, sizeof frame, true), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_stuffing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
