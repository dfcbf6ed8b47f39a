/* SPDX-License-Identifier: MIT */
/*
 * fuzz_sdp.c - any octets as an SDP offer; what is accepted is answered, and our answer is SDP with
 * as many media. Body for libFuzzer and for replay.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fax/sip/sdp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sdp_local local = {.address = "192.0.2.9", .port = 20000, .law = RTP_PCMA};
    struct sdp offer, answer;
    char text[SDP_TEXT_MAX], *copy = malloc(size + 1);
    int chosen, length;

    if (copy == NULL)
        return 0;
    if (size > 0)
        memcpy(copy + 1, data, size);
    if (sdp_parse(&offer, copy + 1, size) == 0) {
        chosen = sdp_choose(&offer, true);
        if (chosen >= offer.count)
            abort();
        if (chosen >= 0)
            sdp_t38_answer(&local.t38, &offer.media[chosen].t38);
        length = sdp_answer(text, sizeof text, &offer, chosen, &local);
        if (length < 0 || sdp_parse(&answer, text, (size_t)length) != 0 ||
            answer.count != offer.count || sdp_choose(&answer, true) != chosen)
            abort();
        if (sdp_offer(text, sizeof text, SDP_T38, &offer, chosen, &local) < 0)
            abort();
    }
    free(copy);
    return 0;
}
