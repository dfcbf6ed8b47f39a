/* SPDX-License-Identifier: MIT */
/*
 * class2_rig.h - a session over a scripted Class 2, 2.0 or 2.1 modem, in virtual time: a dialogue
 * as it could be recorded, with real pages in it.
 */
#ifndef FAXPOST_TEST_CLASS2_RIG_H
#define FAXPOST_TEST_CLASS2_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fax/t30/session.h"

enum { CLASS2_PAGES_MAX = 8 };

/* What is sent to the modem, and what it says to that. Commands without CR; "DC2", "DC1" and "CAN"
 * are single octets. A response is made of items divided by '|':
 *   text    a line, <CR><LF>text<CR><LF>
 *   @n      the octets of page n up to DLE ETX
 *   @n<     the first half of them, no DLE ETX
 *   @n>     the other half, DLE ETX
 *   @n%     the page with damage in every row, DLE ETX
 *   @0      DLE ETX alone
 *   ~ms     silence
 *   !...    octets as they are, without a line's end
 * A command of NULL ends the script; nothing may be left of it at the end of the call. */
struct exchange {
    const char *command;
    const char *response;
};

struct class2_case {
    const char *name;
    const struct exchange *script;
    enum modem_class class;
    enum modem_bit_order bit_order;
    uint8_t page_start; /* 0: DC2 */
    bool no_ecm;
    const char *station; /* NULL: +49 30 1 */
    bool two_d, reversed, no_rtc, sub;
    int fill;        /* octets of zeros before each EOL */
    int rows, width; /* 0: 200, 1728 */
    int store_ms;
    int store_fails_at;
    int rows_max;  /* 0: 20000 */
    int hangup_ms; /* so long after its begin the call is ended from above; 0: never */
};

struct class2_result {
    bool ended;
    int64_t ms;
    char fault[200]; /* the dialogue went another way; "" when it did not */
    struct call_info info;
    int stored, unconfirmed;
    uint64_t page_hash[CLASS2_PAGES_MAX]; /* of what was stored, by number */
    uint64_t rest_hash;                   /* of the last unconfirmed piece */
    int64_t answered_ms; /* when the command after the last page's end came, from that end on */
    char trace[16384];
};

/* Runs one call, at most 600 virtual seconds. */
void class2_run(struct class2_result *out, const struct class2_case *class2_case);

/* A call and what it has to come to. */
struct class2_row {
    struct class2_case c;
    enum call_verdict verdict;
    int pages, unconfirmed;
    const char *error; /* must be in the error text; NULL: there is none */
};

/* Runs it; fails the test with the dialogue when it comes to anything else. FAXPOST_SHOW prints
 * every dialogue. */
void class2_check(const struct class2_row *row);

/* The pixels of page n, or of its first rows. */
uint64_t class2_page_hash(const struct class2_case *class2_case, int number);

#endif
