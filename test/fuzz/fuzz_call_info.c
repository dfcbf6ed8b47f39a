/* SPDX-License-Identifier: MIT */
/*
 * fuzz_call_info.c - any octets as call.ini; what is read must come back the same after it was
 * written again. Body for libFuzzer and for replay.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "spool/call_info.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct call_info info;
    struct call_info again;
    char *text = malloc(size + 1);
    size_t length;

    if (text == NULL)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    if (call_info_parse(&info, text) == 0) {
        char *written;
        char *written_again;

        if (call_info_format(&written, &length, &info) != 0 ||
            call_info_parse(&again, written) != 0 ||
            call_info_format(&written_again, &length, &again) != 0 ||
            strcmp(written, written_again) != 0)
            abort();
        free(written);
        free(written_again);
    }
    free(text);
    return 0;
}
