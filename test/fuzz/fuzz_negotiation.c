/* SPDX-License-Identifier: MIT */
/*
 * fuzz_negotiation.c - any octets as descriptions of the far side during a call: the first octet
 * says what happens, the descriptions are divided by NUL. What was agreed on is never undone by
 * what is refused, and T.38 is never left. Body for libFuzzer and for replay.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fax/sip/negotiation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void step(struct negotiation *talk, unsigned choice, const char *text, size_t length)
{
    char out[SDP_TEXT_MAX];
    struct media_plan plan;
    enum sdp_kind before = talk->now;
    int rc;

    if ((choice & 1) != 0 && before != SDP_NOTHING) {
        if (negotiation_offer(talk, (choice & 2) != 0 ? SDP_T38 : before, out, sizeof out) < 0)
            abort();
        rc = negotiation_take_answer(talk, text, length, &plan);
    } else {
        rc = negotiation_answer(talk, text, length, (choice & 4) != 0, out, sizeof out, &plan);
    }
    if (rc >= 0 && plan.kind != talk->now)
        abort();
    if (before == SDP_T38 && talk->now != SDP_T38)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct negotiation talk;
    struct net_address local;
    char *copy;
    size_t begin = 1;

    if (size < 2 || net_parse(&local, "192.0.2.9", 20000) != 0)
        return 0;
    copy = malloc(size);
    if (copy == NULL)
        return 0;
    memcpy(copy, data, size);
    negotiation_begin(&talk, (enum t38_policy)(data[0] % 3), &local, 1);
    for (unsigned choice = data[0] >> 2; begin < size; choice >>= 1) {
        const char *end = memchr(copy + begin, '\0', size - begin);
        size_t length = end == NULL ? size - begin : (size_t)(end - (copy + begin));

        step(&talk, choice, copy + begin, length);
        begin += length + 1;
    }
    free(copy);
    return 0;
}
