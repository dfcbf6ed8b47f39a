/* SPDX-License-Identifier: MIT */
/*
 * fuzz_ifp.c - IFP packets as they come, through front end, guard, core and gate, with times
 * between them. The first octet says what the session is told (enum option); then come orders: a
 * packet of so many octets, a wait, what the store and the line do. Body for libFuzzer and for
 * replay.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "test/fuzz/far_end.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum option { OPTION_ECM = 1, OPTION_LOCAL_TCF = 2, OPTION_FAILS = 4, OPTION_SLOW = 8 };

enum order {
    PACKETS = 0xc0,      /* below: a packet of so many octets */
    TICKS = 0xe0,        /* below: 1 to 32 ticks */
    WAITS = 0xf0,        /* below: 1 to 16 times 500 ms */
    LONG_PACKET = WAITS, /* two octets of length */
    STORED,
    FAILED,
    HANG_UP,
    LOST,
    REPEATED,
    JUMP,
};

static const int store_ms[] = {0, 1000, 5000, -1};

static size_t take_packet(struct far_end *far_end, const uint8_t *data, size_t size, size_t length,
                          uint16_t seq)
{
    if (length > size)
        length = size;
    far_end_ifp(far_end, data, length, seq);
    return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct far_end_options options = {.media = SESSION_T38};
    struct far_end *far_end;
    uint16_t seq = 0;

    if (size < 2)
        return 0;
    options.ecm = (data[0] & OPTION_ECM) != 0;
    options.local_tcf = (data[0] & OPTION_LOCAL_TCF) != 0;
    options.store_fails_at = (data[0] & OPTION_FAILS) != 0 ? 2 : 0;
    options.store_ms = store_ms[data[0] / OPTION_SLOW % 4];
    far_end = far_end_new(&options);
    for (size_t at = 1; at < size && !far_end_is_over(far_end);) {
        uint8_t order = data[at++];

        if (order < PACKETS) {
            at += take_packet(far_end, data + at, size - at, order, seq++);
        } else if (order < TICKS) {
            far_end_wait(far_end, (order - PACKETS + 1) * SESSION_TICK_MS);
        } else if (order < WAITS) {
            far_end_wait(far_end, (order - TICKS + 1) * 500);
        } else if (order == LONG_PACKET && size - at >= 2) {
            size_t length = ((size_t)data[at] << 8 | data[at + 1]) % 1500;

            at += 2;
            at += take_packet(far_end, data + at, size - at, length, seq++);
        } else if (order == STORED || order == FAILED) {
            far_end_store(far_end, order == STORED ? 0 : -3);
        } else if (order == HANG_UP) {
            far_end_hang_up(far_end);
        } else if (order == LOST) {
            seq++;
        } else if (order == REPEATED) {
            seq--;
        } else if (order == JUMP && at < size) {
            seq = (uint16_t)(seq + data[at++] * 257);
        }
    }
    far_end_finish(far_end);
    return 0;
}
