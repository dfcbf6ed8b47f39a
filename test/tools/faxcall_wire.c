/* SPDX-License-Identifier: MIT */
/*
 * faxcall_wire.c - one direction of a network that loses, doubles, reorders and delays packets,
 * and a hand that damages them.
 */
#include <stdlib.h>
#include <string.h>

#include "test/tools/faxcall.h"

enum { HELD_MAX = 500 };

struct held {
    struct held *next;
    int64_t due_ms;
    size_t length;
    uint8_t octets[];
};

void wire_init(struct wire *wire, const struct wire_options *options, uint64_t seed)
{
    *wire = (struct wire){.options = options, .random = seed | 1};
}

/* xorshift64*: the same wire for the same seed. */
static double wire_random(struct wire *wire)
{
    wire->random ^= wire->random >> 12;
    wire->random ^= wire->random << 25;
    wire->random ^= wire->random >> 27;
    return (double)(wire->random * UINT64_C(2685821657736338717) >> 11) / 9007199254740992.0;
}

static void wire_hold(struct wire *wire, const uint8_t *packet, size_t length, int64_t due_ms)
{
    struct held *held = malloc(sizeof *held + length), **place = &wire->first;

    if (held == NULL || wire->held >= HELD_MAX) {
        free(held); /* a full wire loses packets */
        return;
    }
    held->due_ms = due_ms;
    held->length = length;
    memcpy(held->octets, packet, length);
    while (*place != NULL && (*place)->due_ms <= due_ms)
        place = &(*place)->next;
    held->next = *place;
    *place = held;
    wire->held++;
}

void wire_put(struct wire *wire, const uint8_t *packet, size_t length, int64_t now_ms,
              wire_handler *handler, void *user)
{
    const struct wire_options *options = wire->options;
    bool lost = options->loss > 0 && wire_random(wire) < options->loss;
    int copies = options->twice > 0 && wire_random(wire) < options->twice ? 2 : 1;

    for (; copies > 0 && !lost; copies--) {
        int delay_ms = options->delay_ms;

        /* Held back so long that one or two packets behind it come first. */
        if (options->reorder > 0 && wire_random(wire) < options->reorder)
            delay_ms += 35 + (int)(wire_random(wire) * 30);
        if (delay_ms == 0)
            handler(user, packet, length);
        else
            wire_hold(wire, packet, length, now_ms + delay_ms);
    }
}

size_t wire_mutate(struct wire *wire, double share, const uint8_t *packet, size_t length,
                   uint8_t *out, size_t size)
{
    if (length > size)
        length = size;
    memcpy(out, packet, length);
    if (share <= 0 || wire_random(wire) >= share)
        return length;
    switch ((int)(wire_random(wire) * 3)) {
    case 0: length = (size_t)(wire_random(wire) * (double)(length + 1)); break;
    case 1:
        for (int more = (int)(wire_random(wire) * 300); more > 0 && length < size; more--)
            out[length++] = (uint8_t)(wire_random(wire) * 256);
        break;
    default: break;
    }
    for (int flips = (int)(wire_random(wire) * 4); flips > 0 && length > 0; flips--)
        out[(size_t)(wire_random(wire) * (double)length)] = (uint8_t)(wire_random(wire) * 256);
    return length;
}

void wire_release(struct wire *wire, int64_t now_ms, wire_handler *handler, void *user)
{
    while (wire->first != NULL && wire->first->due_ms <= now_ms) {
        struct held *held = wire->first;

        wire->first = held->next;
        wire->held--;
        if (handler != NULL)
            handler(user, held->octets, held->length);
        free(held);
    }
}

void wire_clear(struct wire *wire)
{
    wire_release(wire, INT64_MAX, NULL, NULL);
}
