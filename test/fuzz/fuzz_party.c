/* SPDX-License-Identifier: MIT */
/*
 * fuzz_party.c - any octets as the value of a SIP header with a party in it: what is read is
 * bounded, printable, and the same without the name. Body for libFuzzer and for replay.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "fax/sip/party.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bounded, and every character one that is shown. */
static void check(const char *text, size_t size)
{
    uint32_t code;
    size_t length;

    if (memchr(text, '\0', size) == NULL)
        abort();
    for (; *text != '\0'; text += length) {
        length = text_character(text, &code);
        if (length == 0 || !text_character_is_shown(code))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char number[CALL_NUMBER_MAX], again[CALL_NUMBER_MAX], name[CALL_NAME_MAX];
    char *copy = malloc(size + 1); /* of its own size, so that reading beyond is seen */

    if (copy == NULL)
        return 0;
    if (size > 0)
        memcpy(copy + 1, data, size);
    if (party_parse(copy + 1, size, number, name) != party_parse(copy + 1, size, again, NULL) ||
        strcmp(number, again) != 0)
        abort();
    check(number, sizeof number);
    for (const char *p = number; *p != '\0'; p++)
        if ((*p & 0x80) != 0)
            abort();
    check(name, sizeof name);
    free(copy);
    return 0;
}
