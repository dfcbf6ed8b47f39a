/* SPDX-License-Identifier: MIT */
/*
 * fuzz_rtp.c - a run of RTP packets into one stream, with a tick after each: two octets of length,
 * then so many octets. Body for libFuzzer and for replay.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fax/sip/rtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rtp *rtp = rtp_new(RTP_PCMA, 3);
    int16_t samples[RTP_TICK_SAMPLES];

    while (rtp != NULL && size > 1) {
        size_t length = (size_t)data[0] << 8 | data[1];
        uint8_t *packet;
        int due;

        if (length > size - 2)
            length = size - 2;
        if ((packet = malloc(length + 1)) == NULL)
            break;
        memcpy(packet + 1, data + 2, length);
        if (rtp_is_plausible(rtp, packet + 1, length) !=
            (rtp_receive(rtp, packet + 1, length) == 0))
            abort();
        free(packet);
        due = rtp_due(rtp);
        if (due < 0 || due > 10)
            abort();
        for (; due > 0; due--)
            if (rtp_pull(rtp, samples) < 0)
                abort();
        data += 2 + length;
        size -= 2 + length;
    }
    rtp_free(rtp);
    return 0;
}
