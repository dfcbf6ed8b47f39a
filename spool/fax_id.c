/* SPDX-License-Identifier: MIT */
/*
 * fax_id.c - fax identities: 20261121T101530123-k7f3a9c2d1e4, time in UTC and 60 random bits.
 */
#include "spool/incoming.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"

enum {
    TIME_LENGTH = 18, /* YYYYMMDDThhmmssmmm */
    RANDOM_LENGTH = 12,
    ID_LENGTH = TIME_LENGTH + 1 + RANDOM_LENGTH,
    MESSAGE_MARK = 'w', /* beyond the digits of a fax */
};

void fax_id_new(char out[FAX_ID_MAX], int64_t wall_ms)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuv"; /* 32: no bias */
    unsigned char random[RANDOM_LENGTH];
    char letters[RANDOM_LENGTH + 1];
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    int i;

    /* Up to 256 octets always come whole, once the kernel's pool is filled: getrandom(2). */
    while (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        ;
    for (i = 0; i < RANDOM_LENGTH; i++)
        letters[i] = digits[random[i] % 32];
    letters[RANDOM_LENGTH] = '\0';
    memset(&tm, 0, sizeof tm);
    gmtime_r(&seconds, &tm);
    snprintf(out, FAX_ID_MAX, "%04u%02u%02uT%02u%02u%02u%03u-%s",
             (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
             (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
             (unsigned)tm.tm_sec % 100, (unsigned)(wall_ms % 1000) % 1000, letters);
}

void message_id_new(char out[FAX_ID_MAX], int64_t wall_ms)
{
    fax_id_new(out, wall_ms);
    out[TIME_LENGTH + 1] = MESSAGE_MARK;
}

static int digits_value(const char *text, int count)
{
    int n = 0;

    while (count-- > 0)
        n = n * 10 + (*text++ - '0');
    return n;
}

/* The form alone; the date is judged by fax_id_time(). */
static bool form_is_right(const char *text)
{
    int i;

    for (i = 0; i < ID_LENGTH; i++) {
        unsigned char c = (unsigned char)text[i];

        if (i == 8 ? c != 'T' : i == TIME_LENGTH ? c != '-' : i < TIME_LENGTH ? !isdigit(c) : false)
            return false;
        if (i > TIME_LENGTH && !isdigit(c) && (c < 'a' || c > 'z'))
            return false;
    }
    return text[ID_LENGTH] == '\0';
}

static bool fax_id_time(struct tm *out, int *out_ms, const char *text)
{
    struct tm tm;
    struct tm again;

    if (text == NULL || !form_is_right(text))
        return false;
    memset(&tm, 0, sizeof tm);
    tm.tm_year = digits_value(text, 4) - 1900;
    tm.tm_mon = digits_value(text + 4, 2) - 1;
    tm.tm_mday = digits_value(text + 6, 2);
    tm.tm_hour = digits_value(text + 9, 2);
    tm.tm_min = digits_value(text + 11, 2);
    tm.tm_sec = digits_value(text + 13, 2);
    again = tm;
    timegm(&again); /* 31 February would become another day */
    if (again.tm_mday != tm.tm_mday || again.tm_mon != tm.tm_mon || again.tm_hour != tm.tm_hour ||
        again.tm_min != tm.tm_min || again.tm_sec != tm.tm_sec)
        return false;
    *out = tm;
    *out_ms = digits_value(text + 15, 3);
    return true;
}

int fax_id_is_valid(const char *text)
{
    struct tm tm;
    int ms;

    return fax_id_time(&tm, &ms, text);
}

int64_t fax_id_wall_ms(const char *text)
{
    struct tm tm;
    int ms;

    return fax_id_time(&tm, &ms, text) ? (int64_t)timegm(&tm) * 1000 + ms : 0;
}

int fax_id_folder(char *out, size_t size, const char *fax_id)
{
    int n;

    if (!fax_id_is_valid(fax_id))
        return ERROR_FORMAT;
    n = snprintf(out, size, "%s/%.4s/%.2s/%.2s/%s",
                 fax_id[TIME_LENGTH + 1] == MESSAGE_MARK ? "mail" : "fax", fax_id, fax_id + 4,
                 fax_id + 6, fax_id);
    return n < 0 || (size_t)n >= size ? ERROR_LIMIT : 0;
}
