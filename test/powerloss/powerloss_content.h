/* SPDX-License-Identifier: MIT */
/*
 * powerloss_content.h - pages and messages that anybody can make again who knows whose they are.
 */
#ifndef FAXPOST_TEST_POWERLOSS_CONTENT_H
#define FAXPOST_TEST_POWERLOSS_CONTENT_H

#include <stdio.h>

enum { CONTENT_MAX = 8192 };

static inline size_t content_fill(char out[CONTENT_MAX], size_t used, size_t length, unsigned salt)
{
    while (used < length) {
        out[used] = (char)('a' + (used * 7 + salt + used / 512) % 26);
        used++;
    }
    return length;
}

/* Both give the length. */
static inline size_t content_page(char out[CONTENT_MAX], const char *fax_id, int number)
{
    int used = snprintf(out, CONTENT_MAX, "II*. page %d of %s: ", number, fax_id);

    return content_fill(out, (size_t)used, 1500 + (size_t)number * 400, (unsigned)number);
}

static inline size_t content_message(char out[CONTENT_MAX], const char *fax_id)
{
    int used = snprintf(out, CONTENT_MAX, "Message-ID: <%s@example.com>\r\n\r\n", fax_id);

    return content_fill(out, (size_t)used, 2300, 5);
}

#endif
