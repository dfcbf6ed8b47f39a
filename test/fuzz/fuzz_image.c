/* SPDX-License-Identifier: MIT */
/*
 * fuzz_image.c - any octets as the image of a page: T.4 one- and two-dimensional, T.6, with error
 * correction and without, in each width and resolution. The first two octets choose; ff 00 ff 00
 * within the data ends a page. What is stored must be bounded and readable (far_end.c). Body for
 * libFuzzer and for replay.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fax/t30/frames.h"
#include "test/fuzz/far_end.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bits of a DCS (T.30 table 2), as octets of the frame. */
enum {
    OCTET4_V17 = 0x20,
    OCTET4_FINE = 0x40,
    OCTET4_2D = 0x80,
    OCTET5_MORE = 0x80,
    OCTET5_NO_SCAN_TIME = 0x70,
    OCTET6_ECM = 0x04,
    OCTET6_T6 = 0x40,
    OCTET6_MORE = 0x80,
    OCTET8_R8 = 0x01, /* and R16, 300, in the two bits above */
};

enum { T4_1D, T4_2D, T6 };

static const uint8_t page_end[] = {0xff, 0x00, 0xff, 0x00};

static size_t make_dcs(uint8_t out[10], unsigned coding, bool ecm, unsigned width, unsigned finer)
{
    memset(out, 0, 10);
    out[0] = 0xff;
    out[1] = FRAME_FINAL;
    out[2] = FCF_DCS | 1;
    out[4] = OCTET4_V17 | 0x02 | (finer > 0 ? OCTET4_FINE : 0) | (coding == T4_2D ? OCTET4_2D : 0);
    out[5] = (uint8_t)(OCTET5_NO_SCAN_TIME | width | OCTET5_MORE);
    out[6] = (uint8_t)((ecm ? OCTET6_ECM : 0) | (coding == T6 ? OCTET6_T6 : 0) | OCTET6_MORE);
    out[7] = 0x80;
    out[8] = finer < 2 ? 0 : (uint8_t)(OCTET8_R8 << (finer - 2));
    return 9;
}

static bool command(struct far_end *far_end, bool ecm, bool last, uint8_t page, size_t frames)
{
    const uint8_t pps[] = {0xff, 0x13, FCF_PPS | 1,          last ? FCF_EOP : FCF_MPS,
                           page, 0,    (uint8_t)(frames - 1)};
    const uint8_t plain[] = {0xff, 0x13, (last ? FCF_EOP : FCF_MPS) | 1};
    uint8_t answer;

    far_end_wait(far_end, 100);
    if (ecm)
        far_end_v21(far_end, pps, sizeof pps, true);
    else
        far_end_v21(far_end, plain, sizeof plain, true);
    answer = far_end_expect(far_end, 8000);
    far_end_wait(far_end, 100);
    return answer == FCF_MCF || answer == FCF_RTP || answer == FCF_RTN;
}

/* A block of at most 256 frames; the rest of a longer page is left out. */
static size_t send_block(struct far_end *far_end, const uint8_t *image, size_t length,
                         size_t frame_size)
{
    static const uint8_t rcp[] = {0xff, 0x03, FCF_RCP};
    uint8_t frame[260] = {0xff, 0x03, FCF_FCD};
    size_t frames = 0;

    do {
        size_t part = length < frame_size ? length : frame_size;

        memset(frame + 4, 0, frame_size);
        memcpy(frame + 4, image, part);
        frame[3] = (uint8_t)frames++;
        far_end_image_frame(far_end, frame, 4 + frame_size, false);
        image += part;
        length -= part;
    } while (length > 0 && frames < 256);
    far_end_image_frame(far_end, rcp, sizeof rcp, true);
    return frames;
}

static size_t page_length(const uint8_t *data, size_t size)
{
    const uint8_t *end = memmem(data, size, page_end, sizeof page_end);

    return end == NULL ? size : (size_t)(end - data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct far_end_options options = {.media = SESSION_T38};
    struct far_end *far_end;
    uint8_t dcs[10];
    unsigned coding;
    size_t frame_size;

    if (size < 3)
        return 0;
    coding = data[0] % 3;
    options.ecm = coding == T6 || (data[0] & 0x10) != 0;
    frame_size = (data[0] & 0x20) != 0 ? 64 : 256;
    options.rows_max = (data[0] & 0x40) != 0 ? 100 : 0;
    far_end = far_end_new(&options);
    far_end_expect(far_end, 20000);
    if (far_end_train(far_end, dcs,
                      make_dcs(dcs, coding, options.ecm, data[1] % 3, data[1] / 4 % 5))) {
        far_end_wait(far_end, 300);
        data += 2;
        size -= 2;
        for (uint8_t page = 0; size > 0 && !far_end_is_over(far_end); page++) {
            size_t length = page_length(data, size);
            size_t frames = 0;
            bool last = length == size;

            if (options.ecm)
                frames = send_block(far_end, data, length, frame_size);
            else
                far_end_image_octets(far_end, data, length, true);
            if (!command(far_end, options.ecm, last, page, frames))
                break;
            data += last ? length : length + sizeof page_end;
            size -= last ? length : length + sizeof page_end;
        }
    }
    far_end_finish(far_end);
    return 0;
}
