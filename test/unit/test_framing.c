/* SPDX-License-Identifier: MIT */
/*
 * test_framing.c - which octets are a SIP message, and where it ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "fax/sip/framing.h"

#define COUNT(table) (sizeof(table) / sizeof(table)[0])
#define START        "INVITE sip:5550100@192.0.2.1 SIP/2.0\r\n"
#define REST         "Via: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1\r\nCSeq: 1 INVITE\r\n"

enum { ALL = -1000 }; /* the row's whole length */

/* Both ways; NONE: not asked. */
static const struct row {
    const char *text;
    int datagram, stream;
} rows[] = {
    {START REST "Content-Length: 0\r\n\r\n", ALL, ALL},
    {START REST "\r\n", ALL, ERROR_FORMAT}, /* a stream must tell the length */
    {START REST "Content-Length: 4\r\n\r\nbody", ALL, ALL},
    {START REST "l: 4\r\n\r\nbodyOPTIONS", ALL, sizeof(START REST "l: 4\r\n\r\nbody") - 1},
    {START REST "Content-Length : 4 \r\n\r\nbod", ALL, 0},
    {START REST "Content-Length: 4\r\n", ERROR_FORMAT, 0},
    {START REST "Content-Length: 4", ERROR_FORMAT, 0},
    {"INVITE sip:a", ERROR_FORMAT, 0},
    {"I", ERROR_FORMAT, 0},
    {"INVITE sip:a SIP/2.0\r", ERROR_FORMAT, 0},
    {"\x16\x03\x01\x02", ERROR_FORMAT, ERROR_FORMAT},
    {"I\x16\x03\x01\x02", ERROR_FORMAT, ERROR_FORMAT},
    {"I\rNVITE", ERROR_FORMAT, ERROR_FORMAT},
    {"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", ALL, ALL},
    {"SIP/2.0 200 \r\nContent-Length: 0\r\n\r\n", ALL, ALL},
    {"OPTIONS sip:a SIP/2.0\nl:0\n\n", ALL, ALL},
    {"OPTIONS sip:a SIP/2.0\r\nX: a\r\n b\r\n\tc\r\nl: 0\r\n\r\n", ALL, ALL}, /* folded */
    {"OPTIONS sip:a SIP/2.0\r\nl: 1\r\n\r\n ", ALL, ALL},                     /* body of a blank */
    {"\r\n\r\n", ERROR_FORMAT, 4},
    {"\r\n\r\nOPTIONS", ERROR_FORMAT, 4},
    {"OPTIONS sip:a SIP/2.0\r\n\r\n", ALL, ERROR_FORMAT},
    /* no SIP */
    {"GET / HTTP/1.1\r\n\r\n", ERROR_FORMAT, ERROR_FORMAT},
    {"OPTIONS  sip:a SIP/2.0\r\nl: 0\r\n\r\n", ERROR_FORMAT, ERROR_FORMAT},
    {"OPTIONS sip:a  SIP/2.0\r\nl: 0\r\n\r\n", ERROR_FORMAT, ERROR_FORMAT},
    {"OPTIONS sip:a SIP/2.0 \r\nl: 0\r\n\r\n", ERROR_FORMAT, ERROR_FORMAT},
    {"OPTIONS sip:a\tb SIP/2.0\r\nl: 0\r\n\r\n", ERROR_FORMAT, ERROR_FORMAT},
    {"OPT(ONS sip:a SIP/2.0\r\nl: 0\r\n\r\n", ERROR_FORMAT, ERROR_FORMAT},
    {"OPTIONS SIP/2.0\r\nl: 0\r\n\r\n", ERROR_FORMAT, ERROR_FORMAT},
    {"OPTIONS\r\nl: 0\r\n\r\n", ERROR_FORMAT, ERROR_FORMAT},
    {" OPTIONS sip:a SIP/2.0\r\nl: 0\r\n\r\n", ERROR_FORMAT, ERROR_FORMAT},
    {"SIP/2.0 2\r\nl: 0\r\n\r\n", ERROR_FORMAT, ERROR_FORMAT},
    {"OPTIONS sip:a SIP/2.0\r\nl: 0\r\nno colon\r\n\r\n", ERROR_FORMAT, ERROR_FORMAT},
    {"OPTIONS sip:a SIP/2.0\r\nl: 0\rX: 1\r\n\r\n", ERROR_FORMAT, ERROR_FORMAT},
    /* lengths that two could read in two ways */
    {START "Content-Length: 4\r\nl: 5\r\n\r\nbody", ERROR_FORMAT, ERROR_FORMAT},
    {START "Content-Length: 4\r\nl: 4\r\n\r\nbody", ALL, ALL},
    {START "Content-Length: -4\r\n\r\nbody", ERROR_FORMAT, ERROR_FORMAT},
    {START "Content-Length: 0x4\r\n\r\nbody", ERROR_FORMAT, ERROR_FORMAT},
    {START "Content-Length: \r\n\r\nbody", ERROR_FORMAT, ERROR_FORMAT},
    {START "Content-Length: 99999999999999999999\r\n\r\nbody", ERROR_FORMAT, ERROR_FORMAT},
    {START "Content-Length: 8192\r\n\r\nbody", ALL, ERROR_LIMIT},
};

static void test_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t length = strlen(rows[i].text);
        uint8_t *exact = malloc(length); /* so that a sanitizer sees what is read behind it */
        int datagram = rows[i].datagram == ALL ? (int)length : rows[i].datagram;
        int stream = rows[i].stream == ALL ? (int)length : rows[i].stream;

        assert_non_null(exact);
        memcpy(exact, rows[i].text, length);
        if (frame_datagram(exact, length) != datagram)
            fail_msg("row %zu as a datagram: %d", i, frame_datagram(exact, length));
        if (frame_stream(exact, length) != stream)
            fail_msg("row %zu in a stream: %d", i, frame_stream(exact, length));
        free(exact);
    }
}

/* Octet by octet a message is never taken for whole too early, nor for wrong. */
static void test_octet_by_octet(void **state)
{
    static const char text[] = START REST "X: a\r\n b\r\nContent-Length: 6\r\n\r\n\r\nbody";
    size_t length = sizeof text - 1;

    (void)state;
    for (size_t n = 0; n < length; n++)
        if (frame_stream((const uint8_t *)text, n) != 0)
            fail_msg("after %zu octets: %d", n, frame_stream((const uint8_t *)text, n));
    assert_int_equal(frame_stream((const uint8_t *)text, length), length);
}

static size_t fill(char *out, const char *begin, const char *pattern, size_t size, const char *end)
{
    size_t length = strlen(begin);

    memcpy(out, begin, length);
    while (length + strlen(pattern) + strlen(end) <= size) {
        memcpy(out + length, pattern, strlen(pattern));
        length += strlen(pattern);
    }
    memcpy(out + length, end, strlen(end));
    return length + strlen(end);
}

/* What would keep the library busy. */
static void test_limits(void **state)
{
    static const struct {
        const char *begin, *pattern;
        size_t size;
        const char *end;
        int rc; /* ALL: it is let through */
    } table[] = {
        {"", "a", 8000, "", ERROR_FORMAT},
        {"", "a ", 8000, "", ERROR_FORMAT},
        {"INVITE sip:", "a", FRAME_START_MAX, " SIP/2.0\r\nl: 0\r\n\r\n", ALL},
        {"INVITE sip:", "a", 2000, " SIP/2.0\r\nl: 0\r\n\r\n", ERROR_FORMAT},
        {START "From: a", " ", 2000, "b\r\nl: 0\r\n\r\n", ERROR_LIMIT},
        {START "From: a", "\r\n ", 300, "b\r\nl: 0\r\n\r\n", ERROR_LIMIT},
        {START "From: a", " b", 2000, "\r\nl: 0\r\n\r\n", ALL},
        {START "CSeq: ", "1", 2000, " INVITE\r\nl: 0\r\n\r\n", ERROR_LIMIT},
        {START "Content-Type: a/b", ";c", 2000, "\r\nl: 0\r\n\r\n", ERROR_LIMIT},
        {START "c: a/b", ";c", 2000, "\r\nl: 0\r\n\r\n", ERROR_LIMIT},
        {START "c: a/b", ";c", 200, "\r\nl: 0\r\n\r\n", ALL},
        {START "Identity: ", "x", 4000, "\r\nl: 0\r\n\r\n", ALL},
        {START "Route: <sip:a>", ",<sip:a>", 1000, "\r\nl: 0\r\n\r\n", ALL},
        {START "Route: a", ",a", 2000, "\r\nl: 0\r\n\r\n", ERROR_LIMIT},
        {START, "a:b\r\n", 1000, "l: 0\r\n\r\n", ALL},
        {START, "a:b\r\n", 2000, "l: 0\r\n\r\n", ERROR_LIMIT},
        {START "X: ", "x", FRAME_MAX, "\r\nl: 0\r\n\r\n", ALL},
        {START "X: ", "x", FRAME_MAX + 1, "\r\nl: 0\r\n\r\n", ERROR_LIMIT},
        {START "X: ", "x", FRAME_MAX, "", ERROR_LIMIT}, /* in a stream it has no end */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        char text[FRAME_MAX + 64];
        size_t length = fill(text, table[i].begin, table[i].pattern, table[i].size, table[i].end);
        int rc = table[i].rc == ALL ? (int)length : table[i].rc;
        int datagram = frame_datagram((uint8_t *)text, length);

        if (table[i].end[0] == '\0' ? datagram >= 0 : datagram != rc)
            fail_msg("row %zu as a datagram: %d", i, datagram);
        if (length <= FRAME_MAX && frame_stream((uint8_t *)text, length) != rc)
            fail_msg("row %zu in a stream: %d", i, frame_stream((uint8_t *)text, length));
    }
    {
        static const uint8_t nul[] = START "X: a\0b\r\nl: 0\r\n\r\n";

        assert_int_equal(frame_datagram(nul, sizeof nul - 1), ERROR_FORMAT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_octet_by_octet),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests_name("framing", tests, NULL, NULL);
}
