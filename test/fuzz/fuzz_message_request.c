/* SPDX-License-Identifier: MIT */
/*
 * fuzz_message_request.c - any octets as a request to the compose role: what is accepted is written
 * again and read back the same, and its templates expand to clean text. Body for libFuzzer and for
 * replay.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "message/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expand(const struct message_request *request)
{
    const struct template_facts facts = {
        .call = &request->call, .pages = 1, .hostname = request->hostname};
    char text[TEMPLATE_TEXT_MAX], clean[TEMPLATE_TEXT_MAX], address[TEMPLATE_ADDRESS_MAX];

    if (template_expand(text, sizeof text, request->subject, TEMPLATE_SUBJECT, &facts) == 0 &&
        strcmp(text, template_clean_text(clean, sizeof clean, text, sizeof clean)) != 0)
        abort();
    if (template_expand(text, sizeof text, request->file_name, TEMPLATE_FILE_NAME, &facts) == 0 &&
        strpbrk(text, "/\\ \r\n\"") != NULL)
        abort();
    if (template_expand_from(text, address, request->from, &facts) == 0 &&
        !template_address_is_plain(address))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message_request *request = malloc(2 * sizeof *request);
    char *text, *again;
    size_t length, again_length;

    if (request == NULL)
        return 0;
    if (message_request_parse(&request[0], (const char *)data, size) == 0) {
        expand(&request[0]);
        if (message_request_format(&text, &length, &request[0]) == 0) {
            if (message_request_parse(&request[1], text, length) != 0 ||
                message_request_format(&again, &again_length, &request[1]) != 0 ||
                strcmp(text, again) != 0)
                abort();
            free(text);
            free(again);
        }
    }
    free(request);
    return 0;
}
