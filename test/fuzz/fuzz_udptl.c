/* SPDX-License-Identifier: MIT */
/*
 * fuzz_udptl.c - a run of UDPTL packets into one receiver: each is one octet of length, then so
 * many octets. Body for libFuzzer and for replay.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fax/sip/udptl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(void *user, const uint8_t *ifp, size_t length, uint16_t seq)
{
    unsigned *sum = user;

    if (length == 0 || length > UDPTL_IFP_MAX)
        abort();
    for (size_t i = 0; i < length; i++)
        *sum += ifp[i] ^ seq;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct udptl *udptl = udptl_new(UDPTL_NONE, 0, 0);
    unsigned sum = 0;

    while (udptl != NULL && size > 0) {
        size_t length = data[0] < size - 1 ? data[0] : size - 1;
        uint8_t *packet = malloc(length + 1); /* of its own, so that a read beyond it is seen */

        if (packet == NULL)
            break;
        memcpy(packet + 1, data + 1, length);
        udptl_receive(udptl, packet + 1, length, take, &sum);
        free(packet);
        data += 1 + length;
        size -= 1 + length;
    }
    udptl_free(udptl);
    return 0;
}
