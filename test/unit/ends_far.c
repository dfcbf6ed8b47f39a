/* SPDX-License-Identifier: MIT */
/*
 * ends_far.c - far ends that fall silent at some point, or go on for ever in some way.
 */
#include "test/unit/ends_far.h"

#include <string.h>

#include "fax/t30/frames.h"

/* ---- far ends that get somewhere ------------------------------------------------------------- */

static const uint8_t dcs_ecm[] = {0xff, 0x13, FCF_DCS | 1, 0x00, 0x62, 0xf8, 0x44};
static const uint8_t dcs_plain[] = {0xff, 0x13, FCF_DCS | 1, 0x00, 0x62, 0x78};

enum { TCF_OCTETS = 2700, TRAINED = 100, PAGE_FRAMES = 4 };

/* How much of what is being sent has gone; no two far ends run at once. */
static int sent, wanted;

static int next_zero(struct far *far)
{
    (void)far;
    return sent++ < wanted ? 0 : -1;
}

static void send_zeros(struct far *far, int octets, bool is_check)
{
    sent = 0;
    wanted = octets;
    far_octets(far, next_zero, is_check);
}

/* DIS, DCS, TCF, CFR. True when that is done; the step is TRAINED then, for one's own use. */
static bool is_trained(struct far *far, const uint8_t *dcs, size_t length)
{
    int *step = far_step(far);

    if (*step >= TRAINED)
        return true;
    if (far_is_busy(far))
        return false;
    if (*step == 0 && far_heard(far) == FCF_DIS) {
        far_v21(far, dcs, length);
        *step = 1;
    } else if (*step == 1) {
        send_zeros(far, TCF_OCTETS, true);
        *step = 2;
    } else if (*step == 2 && far_heard(far) == FCF_CFR) {
        *step = TRAINED;
        return true;
    }
    return false;
}

static bool is_trained_ecm(struct far *far)
{
    return is_trained(far, dcs_ecm, sizeof dcs_ecm);
}

static bool is_trained_plain(struct far *far)
{
    return is_trained(far, dcs_plain, sizeof dcs_plain);
}

/* FCD frames with rows in them, then RCP. */
static size_t next_frame(struct far *far, uint8_t frame[300])
{
    (void)far;
    memset(frame, 0x35, 260);
    frame[0] = 0xff;
    frame[1] = 0x03;
    frame[2] = sent < wanted ? FCF_FCD : FCF_RCP;
    frame[3] = (uint8_t)sent;
    if (sent >= wanted + 3)
        return 0;
    return sent++ < wanted ? 260 : 3;
}

static void send_page(struct far *far, int frames)
{
    sent = 0;
    wanted = frames;
    far_frames(far, next_frame);
}

static void send_pps(struct far *far, uint8_t next, int page, int block, int frames)
{
    const uint8_t pps[] = {0xff,          0x13,           FCF_PPS | 1,          next,
                           (uint8_t)page, (uint8_t)block, (uint8_t)(frames - 1)};

    far_v21(far, pps, sizeof pps);
}

static void send_command(struct far *far, uint8_t fcf)
{
    const uint8_t frame[] = {0xff, 0x13, fcf | 1};

    far_v21(far, frame, sizeof frame);
}

/* A page with what follows it, confirmed. True once it is. */
static bool has_sent_page(struct far *far, uint8_t next)
{
    int *step = far_step(far);

    if (!is_trained_ecm(far) || far_is_busy(far))
        return false;
    if (*step == TRAINED) {
        send_page(far, PAGE_FRAMES);
        ++*step;
    } else if (*step == TRAINED + 1) {
        send_pps(far, next, 0, 0, PAGE_FRAMES);
        ++*step;
    } else if (*step == TRAINED + 2 && far_heard(far) == FCF_MCF) {
        ++*step;
    }
    return *step > TRAINED + 2;
}

/* ---- silence --------------------------------------------------------------------------------- */

void far_end_silent(struct far *far)
{
    (void)far;
}

void far_end_silent_after_dcs(struct far *far)
{
    if (*far_step(far) < 2)
        is_trained_ecm(far);
}

void far_end_silent_after_cfr(struct far *far)
{
    is_trained_ecm(far);
}

/* The carrier goes on, though nothing more is in it: in audio it is heard. */
void far_end_silent_in_page(struct far *far)
{
    if (is_trained_ecm(far) && *far_step(far) == TRAINED) {
        sent = -100000; /* never RCP */
        wanted = 0;
        send_page(far, 2);
        ++*far_step(far);
    }
    if (*far_step(far) > TRAINED && sent >= 2)
        wanted = sent = -1000; /* ends without RCP: next_frame() gives 0 */
}

void far_end_silent_after_page(struct far *far)
{
    has_sent_page(far, FCF_MPS);
}

void far_end_silent_after_last_page(struct far *far)
{
    has_sent_page(far, FCF_EOP);
}

/* ---- the same for ever ----------------------------------------------------------------------- */

void far_end_flags(struct far *far)
{
    if (!far_is_busy(far))
        far_flags(far);
}

void far_end_flags_after_dis(struct far *far)
{
    if (*far_step(far) == 0 && far_heard(far) == FCF_DIS)
        *far_step(far) = 1;
    if (*far_step(far) == 1)
        far_end_flags(far);
}

void far_end_flags_after_cfr(struct far *far)
{
    if (is_trained_ecm(far))
        far_end_flags(far);
}

void far_end_flags_after_page(struct far *far)
{
    if (has_sent_page(far, FCF_MPS))
        far_end_flags(far);
}

void far_end_flags_after_last_page(struct far *far)
{
    if (has_sent_page(far, FCF_EOP))
        far_end_flags(far);
}

void far_end_training_check(struct far *far)
{
    if (*far_step(far) < 2)
        is_trained_ecm(far);
    if (*far_step(far) == 2)
        wanted = sent + 100; /* never enough */
}

static int next_one(struct far *far)
{
    (void)far;
    return sent++ < wanted ? 0xff : -1;
}

/* DCS and a TCF that fails, again and again. */
void far_end_failing_training(struct far *far)
{
    int *step = far_step(far);

    if (far_is_busy(far))
        return;
    if (*step == 0 && far_heard(far) != FCF_DIS)
        return;
    if (*step % 2 == 0 && far_is_due(far, 5000)) {
        far_v21(far, dcs_ecm, sizeof dcs_ecm);
        ++*step;
    } else if (*step % 2 == 1) {
        sent = 0;
        wanted = TCF_OCTETS;
        far_octets(far, next_one, true);
        ++*step;
    }
}

/* DCS, TCF, CFR, and the same again. */
void far_end_training(struct far *far)
{
    int *step = far_step(far);

    if (*step == TRAINED && far_is_due(far, 1000)) {
        far_v21(far, dcs_ecm, sizeof dcs_ecm);
        *step = 1;
    } else if (*step < TRAINED) {
        is_trained_ecm(far);
    }
}

void far_end_ctc(struct far *far)
{
    const uint8_t frame[] = {0xff, 0x13, FCF_CTC | 1, 0x00, 0x20};

    if (is_trained_ecm(far) && far_is_due(far, 3000))
        far_v21(far, frame, sizeof frame);
}

void far_end_eor(struct far *far)
{
    const uint8_t frame[] = {0xff, 0x13, FCF_EOR | 1, FCF_MPS};

    if (is_trained_ecm(far) && far_is_due(far, 3000))
        far_v21(far, frame, sizeof frame);
}

void far_end_rr(struct far *far)
{
    if (is_trained_ecm(far) && far_is_due(far, 3000))
        send_command(far, FCF_RR);
}

void far_end_rnr(struct far *far)
{
    if (is_trained_ecm(far) && far_is_due(far, 3000))
        send_command(far, FCF_RNR);
}

void far_end_crp(struct far *far)
{
    if (is_trained_ecm(far) && far_is_due(far, 3000))
        send_command(far, FCF_CRP);
}

void far_end_crp_after_page(struct far *far)
{
    if (has_sent_page(far, FCF_MPS) && far_is_due(far, 3000))
        send_command(far, FCF_CRP);
}

/* It calls as if it had a document and wanted none: DIS for our DIS. */
void far_end_dis(struct far *far)
{
    const uint8_t frame[] = {0xff, 0x13, FCF_DIS, 0x00, 0xce, 0xf8, 0x44};

    if (far_is_due(far, 3000))
        far_v21(far, frame, sizeof frame);
}

/* TSI and no DCS behind it. */
void far_end_tsi(struct far *far)
{
    uint8_t frame[23] = {0xff, 0x13, 0x43};

    memset(frame + 3, '1', 20);
    if (far_is_due(far, 3000))
        far_v21(far, frame, sizeof frame);
}

void far_end_frames_of_noise(struct far *far)
{
    uint8_t frame[300] = {0xff, 0x13};
    size_t length = 2 + far_random(far) % 40;

    for (size_t i = 2; i < length; i++)
        frame[i] = (uint8_t)far_random(far);
    frame[2] &= 0x7f; /* what ends the call soon is not what is meant here: DCN */
    if (is_trained_ecm(far) && far_is_due(far, 500))
        far_v21(far, frame, length);
}

/* A block of which half is missing, always the same. */
void far_end_missing_frames(struct far *far)
{
    int *step = far_step(far);

    if (!is_trained_ecm(far) || !far_is_due(far, 3000))
        return;
    if ((*step)++ % 2 == 0)
        send_page(far, PAGE_FRAMES);
    else
        send_pps(far, FCF_MPS, 0, 0, 2 * PAGE_FRAMES);
}

void far_end_repeated_eop(struct far *far)
{
    if (has_sent_page(far, FCF_EOP) && far_is_due(far, 4000))
        send_pps(far, FCF_EOP, 0, 0, PAGE_FRAMES);
}

void far_end_repeated_mps(struct far *far)
{
    if (has_sent_page(far, FCF_MPS) && far_is_due(far, 4000))
        send_pps(far, FCF_MPS, 0, 0, PAGE_FRAMES);
}

/* Asks and asks, while the disk says nothing. */
void far_end_rr_to_a_slow_disk(struct far *far)
{
    has_sent_page(far, FCF_MPS);
    if (*far_step(far) == TRAINED + 2 && far_heard(far) == FCF_RNR)
        send_command(far, FCF_RR);
}

void far_end_mps_without_page(struct far *far)
{
    if (is_trained_plain(far) && far_is_due(far, 4000))
        send_command(far, FCF_MPS);
}

/* Rows of nothing that is one. */
static int next_rubbish(struct far *far)
{
    if (sent++ >= wanted)
        return -1;
    return sent % 60 == 1 ? 0 : sent % 60 == 2 ? 0x80 : (int)(far_random(far) & 0xff);
}

void far_end_bad_pages(struct far *far)
{
    int *step = far_step(far);

    if (!is_trained_plain(far) || !far_is_due(far, 3500))
        return;
    if ((*step)++ % 2 == 0) {
        sent = 0;
        wanted = 6000;
        far_octets(far, next_rubbish, false);
    } else {
        send_command(far, FCF_MPS);
    }
}

/* ---- pages without an end -------------------------------------------------------------------- */

static size_t next_frame_without_end(struct far *far, uint8_t frame[300])
{
    (void)far;
    memset(frame, 0x35, 260);
    frame[0] = 0xff;
    frame[1] = 0x03;
    frame[2] = FCF_FCD;
    frame[3] = (uint8_t)sent++;
    return 260;
}

void far_end_frames_without_end(struct far *far)
{
    if (is_trained_ecm(far) && !far_is_busy(far)) {
        sent = 0;
        far_frames(far, next_frame_without_end);
    }
}

void far_end_fill_without_end(struct far *far)
{
    if (is_trained_plain(far) && !far_is_busy(far))
        send_zeros(far, 1 << 30, false);
}

/* EOL, white 1728, white 0: 29 bits, and 3 of fill; the first bit is the lowest. */
static const uint8_t white_row[] = {0x00, 0x28, 0x9b, 0x15};

static int next_white(struct far *far)
{
    (void)far;
    return white_row[sent++ % (int)sizeof white_row];
}

void far_end_rows_without_end(struct far *far)
{
    if (is_trained_plain(far) && !far_is_busy(far)) {
        sent = 0;
        far_octets(far, next_white, false);
    }
}

void far_end_rubbish_without_end(struct far *far)
{
    if (is_trained_plain(far) && !far_is_busy(far)) {
        sent = 0;
        wanted = 1 << 30;
        far_octets(far, next_rubbish, false);
    }
}

/* Pages, or blocks of one, of so many frames and so long a pause, confirmed one by one. */
static void go_on(struct far *far, int frames, bool is_pages, int pause_ms)
{
    static int number;
    int *step = far_step(far);

    if (!is_trained_ecm(far) || far_is_busy(far))
        return;
    if (*step == TRAINED)
        number = 0;
    if (*step == TRAINED || (*step % 3 == TRAINED % 3 && far_is_due(far, pause_ms))) {
        far_is_due(far, pause_ms);
        send_page(far, frames);
        ++*step;
    } else if (*step % 3 == (TRAINED + 1) % 3) {
        if (is_pages)
            send_pps(far, FCF_MPS, number, 0, frames);
        else
            send_pps(far, FCF_NULL, 0, number, frames);
        ++*step;
    } else if (*step % 3 == (TRAINED + 2) % 3 && far_heard(far) == FCF_MCF) {
        number++;
        ++*step;
    }
}

void far_end_pages(struct far *far)
{
    go_on(far, PAGE_FRAMES, true, 100);
}

/* Rows with much fill between them (T.4 4.1.3), and an RTC. */
static int next_filled(struct far *far)
{
    enum { ROW = 254, ROWS = 700 };
    static const uint8_t rtc[] = {0, 0x08, 0x80, 0, 0x08, 0x80, 0, 0x08, 0x80, 0, 0};
    int at = sent++;

    if (at >= ROW * ROWS)
        return at - ROW * ROWS < (int)sizeof rtc ? rtc[at - ROW * ROWS] : -1;
    (void)far;
    return at % ROW < ROW - 4 ? 0 : white_row[at % ROW - (ROW - 4)];
}

/* 100 s each. */
void far_end_long_pages(struct far *far)
{
    int *step = far_step(far);

    if (!is_trained_plain(far) || far_is_busy(far))
        return;
    if (*step == TRAINED && far_is_due(far, 300)) {
        sent = 0;
        far_octets(far, next_filled, false);
        ++*step;
    } else if (*step == TRAINED + 1) {
        send_command(far, FCF_MPS);
        ++*step;
    } else if (*step == TRAINED + 2 && far_heard(far) == FCF_MCF) {
        *step = TRAINED;
    }
}

void far_end_blocks(struct far *far)
{
    go_on(far, 1, false, 100);
}

/* ---- sounds ---------------------------------------------------------------------------------- */

void far_end_tone_2100(struct far *far)
{
    far_tone(far, 2100);
}

void far_end_tone_1100(struct far *far)
{
    far_tone(far, 1100);
}

void far_end_noise(struct far *far)
{
    far_noise(far, 3000);
}

void far_end_noise_after_cfr(struct far *far)
{
    if (is_trained_plain(far))
        far_noise(far, 3000);
}

void far_end_noise_after_page(struct far *far)
{
    if (has_sent_page(far, FCF_MPS))
        far_noise(far, 3000);
}

/* A caller whose first frame comes into our CED, too early to be taken. */
void far_end_early_caller(struct far *far)
{
    enum { BEFORE_DIS_MS = 1500 };
    int *step = far_step(far);

    if (*step == 0 && far_now_ms(far) < BEFORE_DIS_MS)
        return;
    if (*step == 0 && !far_is_busy(far)) {
        far_v21(far, dcs_ecm, sizeof dcs_ecm);
        *step = -1;
    } else if (*step == -1 && !far_is_busy(far)) {
        *step = -2;
    } else if (*step == -2 && far_heard(far) == FCF_DIS) {
        far_v21(far, dcs_ecm, sizeof dcs_ecm);
        *step = 1;
    } else if (*step > 0) {
        has_sent_page(far, FCF_EOP);
    }
}
