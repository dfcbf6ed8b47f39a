/* SPDX-License-Identifier: MIT */
/*
 * fuzz_server_reply.c - any octets as what a server says to `faxpost servers check`, in pieces of
 * any size: the first octet says how they are cut. Body for libFuzzer and for replay.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "src/server_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct source {
    const uint8_t *data;
    size_t at, size, cut;
};

static void check(int good)
{
    if (!good)
        abort();
}

static ssize_t give(void *user, char *out, size_t size)
{
    struct source *source = user;
    size_t n = 1 + (source->cut * (source->at + 1)) % 61;

    if (n > size)
        n = size;
    if (n > source->size - source->at)
        n = source->size - source->at;
    memcpy(out, source->data + source->at, n);
    source->at += n;
    return (ssize_t)n;
}

static void check_reply(const struct server_reply *reply, int error)
{
    const char *p;

    check(memchr(reply->text, '\0', sizeof reply->text) != NULL);
    check(reply->text[0] != '\0');
    for (p = reply->text; *p != '\0'; p++)
        check(*p >= 0x20 && *p <= 0x7e);
    if (error == 0)
        check(reply->code >= 0 && reply->code <= 999 && atoi(reply->text) / 1000 == 0);
    else
        check(reply->code == 0 &&
              (error == ERROR_IO || error == ERROR_FORMAT || error == ERROR_LIMIT));
    check(reply->in_at <= reply->in_length && reply->in_length <= sizeof reply->in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct source source = {.data = data, .at = 1, .size = size, .cut = size > 0 ? data[0] : 0};
    struct server_reply *reply = calloc(1, sizeof *reply);
    int error;

    if (reply == NULL || size == 0) {
        free(reply);
        return 0;
    }
    reply->fill = give;
    reply->user = &source;
    do {
        error = server_reply_read(reply);
        check_reply(reply, error);
    } while (error == 0);
    check(error != ERROR_IO || (source.at == size && !server_reply_is_ahead(reply)));
    free(reply);
    return 0;
}
