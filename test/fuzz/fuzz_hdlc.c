/* SPDX-License-Identifier: MIT */
/*
 * fuzz_hdlc.c - frames through the guard, alone and before a living core in each phase of a call.
 * The first octet says where in the call the frames come (enum phase) and how the store goes; then
 * come orders: a frame's kind, its length, its octets from the control field on; or a wait. Body
 * for libFuzzer and for replay.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fax/t30/frames.h"
#include "fax/t30/guard.h"
#include "test/fuzz/far_end.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum phase {
    BEFORE_DIS,
    AFTER_DIS,
    TRAINED,
    IN_PAGE,    /* image is there */
    HELD,       /* the page has ended, and is being stored */
    ANSWERED,   /* … and confirmed */
    PHASES = 8, /* the two left: as TRAINED, as HELD */
};

enum order {
    V21 = 0, /* two bits of kind: more frames follow … */
    V21_FINAL,
    IMAGE,
    IMAGE_END,
    WAIT = 0x40, /* below: an answer is waited for, up to 8 s, or so many ticks */
    OTHER = 0x80,
    STORED = OTHER,
    FAILED,
    HANG_UP,
    OCTETS,
    RAW,
};

/* The guard's word on a frame must be sound by itself: no read beyond it, whatever was offered. */
static void judge(const uint8_t *frame, size_t length)
{
    static const uint8_t dis[] = {0xff, 0x13, 0x80, 0x00, 0xee, 0xf8, 0xc4, 0x80, 0x80, 0x83};
    const char *why = NULL;
    uint8_t *copy = malloc(length + 1);
    struct guard guard = {.dis_length = 0};

    if (copy == NULL)
        abort();
    memcpy(copy + 1, frame, length);
    for (int offered = 0; offered < 2; offered++) {
        enum guard_verdict verdict = guard_frame(&guard, copy + 1, length, &why);

        if (verdict == GUARD_PASS && (length < 3 || length > FRAME_MAX))
            abort();
        if (verdict != GUARD_PASS && why == NULL)
            abort();
        guard_offer(&guard, dis, sizeof dis);
    }
    free(copy);
}

static void send_page(struct far_end *far_end, bool ecm)
{
    /* of T.6: some rows; of T.4: EOL and white rows of 1728 */
    static const uint8_t t6[64] = {0xff, 0x13, 0x05, 0x35, 0x91, 0x43, 0x3b, 0x77, 0xff};
    static const uint8_t t4[] = {0x00, 0x80, 0xb2, 0x59, 0x00, 0x10, 0x36, 0xcb, 0x02, 0x20};
    uint8_t frame[260] = {0xff, 0x03, FCF_FCD, 0};

    if (!ecm) {
        for (int i = 0; i < 8; i++)
            far_end_image_octets(far_end, t4, sizeof t4, i == 7);
        return;
    }
    for (int i = 0; i < 3; i++) {
        frame[3] = (uint8_t)i;
        for (size_t j = 4; j < sizeof frame; j++)
            frame[j] = t6[j % sizeof t6];
        far_end_image_frame(far_end, frame, sizeof frame, false);
    }
}

static void end_page(struct far_end *far_end, bool ecm)
{
    static const uint8_t rcp[] = {0xff, 0x03, FCF_RCP};
    static const uint8_t pps[] = {0xff, 0x13, FCF_PPS | 1, FCF_MPS, 0, 0, 2};
    static const uint8_t mps[] = {0xff, 0x13, FCF_MPS | 1};

    if (ecm)
        far_end_image_frame(far_end, rcp, sizeof rcp, true);
    far_end_wait(far_end, 100);
    if (ecm)
        far_end_v21(far_end, pps, sizeof pps, true);
    else
        far_end_v21(far_end, mps, sizeof mps, true);
}

static void go_to(struct far_end *far_end, enum phase phase, bool ecm)
{
    if (phase >= ANSWERED + 1)
        phase = phase == ANSWERED + 1 ? TRAINED : HELD;
    if (phase >= AFTER_DIS)
        far_end_expect(far_end, 20000);
    if (phase >= TRAINED)
        far_end_train(far_end, NULL, 0);
    if (phase >= IN_PAGE)
        send_page(far_end, ecm);
    if (phase >= HELD) {
        end_page(far_end, ecm);
        far_end_wait(far_end, 100);
    }
    if (phase >= ANSWERED) {
        far_end_store(far_end, 0);
        far_end_expect(far_end, 5000);
    }
}

static void send(struct far_end *far_end, unsigned kind, const uint8_t *content, size_t length)
{
    uint8_t frame[2 + 300] = {0xff, (kind & 1) != 0 ? FRAME_FINAL : 0x03};

    memcpy(frame + 2, content, length);
    judge(frame, length + 2);
    if ((kind & 2) != 0)
        far_end_image_frame(far_end, frame, length + 2, (kind & 1) != 0);
    else
        far_end_v21(far_end, frame, length + 2, (kind & 1) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct far_end_options options = {.media = SESSION_T38, .store_ms = -1};
    struct far_end *far_end;

    if (size < 2)
        return 0;
    options.ecm = (data[0] & 8) != 0;
    options.store_ms = (data[0] & 16) != 0 ? 300 : -1;
    far_end = far_end_new(&options);
    go_to(far_end, (enum phase)(data[0] % PHASES), options.ecm);
    for (size_t at = 1; at < size && !far_end_is_over(far_end);) {
        uint8_t order = data[at++];
        size_t length = at < size ? data[at] : 0;

        if (order >= OTHER) {
            switch (order) {
            case STORED:
            case FAILED: far_end_store(far_end, order == STORED ? 0 : -3); continue;
            case HANG_UP: far_end_hang_up(far_end); continue;
            default: break;
            }
        } else if (order >= WAIT) {
            if (order < WAIT + 8)
                far_end_expect(far_end, (order - WAIT + 1) * 1000);
            else
                far_end_wait(far_end, (order - WAIT) * SESSION_TICK_MS);
            continue;
        }
        if (at < size)
            at++;
        if (length > size - at)
            length = size - at;
        if (order == OCTETS)
            far_end_image_octets(far_end, data + at, length, true);
        else if (order >= RAW)
            judge(data + at, length);
        else
            send(far_end, order, data + at, length);
        at += length;
    }
    far_end_finish(far_end);
    return 0;
}
