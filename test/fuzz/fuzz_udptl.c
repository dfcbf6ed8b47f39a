/* SPDX-License-Identifier: MIT */
/*
 * fuzz_udptl.c - a run of UDPTL packets into one receiver: each is one octet of length, then so
 * many octets. The same octets are also sent as IFP packets by a sender of ours, with redundancy or
 * FEC, over a line that loses some: what arrives must be what was sent. Body for libFuzzer and for
 * replay.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fax/sip/udptl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SENT_MAX = 64 };

static struct {
    uint8_t octets[256];
    size_t length;
} sent[SENT_MAX];

static void take(void *user, const uint8_t *ifp, size_t length, uint16_t seq)
{
    unsigned *sum = user;

    if (length == 0 || length > UDPTL_IFP_MAX)
        abort();
    for (size_t i = 0; i < length; i++)
        *sum += ifp[i] ^ seq;
}

/* FEC knows no lengths: zeros may follow. */
static void compare(void *user, const uint8_t *ifp, size_t length, uint16_t seq)
{
    unsigned count = *(unsigned *)user;

    if (seq >= count || length < sent[seq].length ||
        memcmp(ifp, sent[seq].octets, sent[seq].length) != 0)
        abort();
    for (size_t i = sent[seq].length; i < length; i++)
        if (ifp[i] != 0)
            abort();
}

static void receive_all(const uint8_t *data, size_t size)
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
}

/* The first octet: correction, entries and the far side's limit. Packets with a high bit in their
 * length are lost. */
static void send_all(const uint8_t *data, size_t size)
{
    struct udptl *sender =
        udptl_new((enum udptl_correction)(data[0] % 3), data[0] / 4 % 8, (data[0] & 0x80) * 2);
    struct udptl *receiver = udptl_new(UDPTL_NONE, 0, 0);
    unsigned count = 0;

    while (sender != NULL && receiver != NULL && size > 1 && count < SENT_MAX) {
        size_t length = data[0] < size - 1 ? data[0] : size - 1;
        uint8_t packet[UDPTL_PACKET_MAX];
        int made;

        memcpy(sent[count].octets, data + 1, length);
        sent[count].length = length;
        made = udptl_send(sender, data + 1, length, packet, sizeof packet);
        if (made >= 0)
            count++;
        if (made >= 0 && (data[0] & 0x40) == 0 &&
            udptl_receive(receiver, packet, (size_t)made, compare, &count) < 0)
            abort();
        data += 1 + length;
        size -= 1 + length;
    }
    udptl_free(sender);
    udptl_free(receiver);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    receive_all(data, size);
    if (size > 0)
        send_all(data, size);
    return 0;
}
