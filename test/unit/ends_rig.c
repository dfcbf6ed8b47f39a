/* SPDX-License-Identifier: MIT */
/*
 * ends_rig.c - session, media and far end in 20 ms steps.
 */
#define SPANDSP_EXPOSE_INTERNAL_STRUCTURES 1

#include "test/unit/ends_rig.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spandsp.h>

#include "fax/modem/front_modem.h"
#include "fax/t30/frames.h"

enum {
    TICK = SESSION_TICK_SAMPLES,
    PART = TICK / 4,
    BEGIN_MS = 1000,
    MORE_MS = 30000,   /* for a call to end when its time is over */
    SILENCE_TICKS = 4, /* between two signals */
    PREAMBLE_OCTETS = 38,
    OCTETS_A_TICK = 36, /* of V.17 at 14400 */
    BIT_RATE = 14400,
};

/* What goes out. */
enum signal { SIGNAL_NONE, SIGNAL_FRAME, SIGNAL_FLAGS, SIGNAL_OCTETS, SIGNAL_FRAMES };

struct far {
    const struct end_case *c;
    struct end_result *out;
    struct session *session;
    bool over;
    int64_t now_ms, due_ms;
    int64_t store_ms;
    uint32_t store_generation;
    int step;
    uint32_t random;
    enum signal signal;
    int silence_ticks;
    uint8_t frame[300];
    size_t frame_length;
    int (*octets)(struct far *far);
    bool is_check; /* octets of a training check */
    size_t (*frames)(struct far *far, uint8_t frame[300]);
    uint8_t heard, coming[300];
    size_t coming_length;
    /* T.38 */
    t38_core_state_t *t38;
    int octets_left; /* of the frame, at the speed of the line */
    /* audio */
    fsk_tx_state_t *v21_tx;
    fsk_rx_state_t *v21_rx;
    hdlc_tx_state_t *hdlc_tx;
    hdlc_rx_state_t *hdlc_rx;
    v17_tx_state_t *v17_tx;
    int octet, bits_left;
    int tone_hz, noise;
    double phase;
    /* Class 1 */
    t31_state_t *t31;
    bool answered;
};

/* ---- for far ends ---------------------------------------------------------------------------- */

int64_t far_now_ms(const struct far *far)
{
    return far->now_ms;
}

int *far_step(struct far *far)
{
    return &far->step;
}

bool far_is_busy(const struct far *far)
{
    return far->signal != SIGNAL_NONE;
}

uint8_t far_heard(struct far *far)
{
    uint8_t heard = far->heard;

    far->heard = 0;
    return heard;
}

bool far_is_due(struct far *far, int every_ms)
{
    if (far_is_busy(far) || far->now_ms < far->due_ms)
        return false;
    far->due_ms = far->now_ms + every_ms;
    return true;
}

uint32_t far_random(struct far *far)
{
    far->random = far->random * 1664525u + 1013904223u;
    return far->random >> 8;
}

void far_tone(struct far *far, int hz)
{
    far->tone_hz = hz;
}

void far_noise(struct far *far, int amplitude)
{
    far->noise = amplitude;
}

static void begin(struct far *far, enum signal signal)
{
    far->signal = signal;
    far->silence_ticks = SILENCE_TICKS;
    far->bits_left = 0;
    far->octets_left = 0;
}

void far_v21(struct far *far, const uint8_t *frame, size_t length)
{
    memcpy(far->frame, frame, length);
    far->frame_length = length;
    begin(far, SIGNAL_FRAME);
}

void far_flags(struct far *far)
{
    begin(far, SIGNAL_FLAGS);
}

void far_octets(struct far *far, int (*next)(struct far *far), bool is_check)
{
    far->octets = next;
    far->is_check = is_check;
    begin(far, SIGNAL_OCTETS);
}

void far_frames(struct far *far, size_t (*next)(struct far *far, uint8_t frame[300]))
{
    far->frames = next;
    begin(far, SIGNAL_FRAMES);
}

static void hear(struct far *far, const uint8_t *frame, size_t length)
{
    if (length < 3 || frame[1] != FRAME_FINAL)
        return;
    far->heard = frame_fcf(frame, length);
    far->out->frames_heard++;
    far->out->mcf += far->heard == FCF_MCF;
}

/* ---- T.38 ------------------------------------------------------------------------------------ */

static int on_far_packet(t38_core_state_t *t38, void *user, const uint8_t *ifp, int length,
                         int copies)
{
    struct far *far = user;

    (void)copies;
    session_post_ifp(far->session, ifp, (size_t)length, (uint16_t)t38->tx_seq_no);
    return 0;
}

static int on_indicator(t38_core_state_t *t38, void *user, int indicator)
{
    (void)t38;
    (void)indicator;
    ((struct far *)user)->coming_length = 0;
    return 0;
}

static int on_data(t38_core_state_t *t38, void *user, int type, int field, const uint8_t *octets,
                   int length)
{
    struct far *far = user;

    (void)t38;
    (void)type;
    if (field == T38_FIELD_HDLC_DATA && far->coming_length + (size_t)length <= sizeof far->coming) {
        bit_reverse(far->coming + far->coming_length, octets, length);
        far->coming_length += (size_t)length;
    }
    if (field == T38_FIELD_HDLC_FCS_OK || field == T38_FIELD_HDLC_FCS_OK_SIG_END) {
        hear(far, far->coming, far->coming_length);
        far->coming_length = 0;
    }
    return 0;
}

static int on_missing(t38_core_state_t *t38, void *user, int expected, int seq)
{
    (void)t38;
    (void)user;
    (void)expected;
    (void)seq;
    return 0;
}

static void on_ifp(void *user, const uint8_t *ifp, size_t length, int copies)
{
    struct far *far = user;

    (void)copies;
    if (!far->over)
        t38_core_rx_ifp_packet(far->t38, ifp, (int)length, (uint16_t)far->t38->rx_expected_seq_no);
}

static void packets_frame(struct far *far, int type, bool ends)
{
    uint8_t reversed[300];

    bit_reverse(reversed, far->frame, (int)far->frame_length);
    t38_core_send_data(far->t38, type, T38_FIELD_HDLC_DATA, reversed, (int)far->frame_length, 1);
    t38_core_send_data(far->t38, type, ends ? T38_FIELD_HDLC_FCS_OK_SIG_END : T38_FIELD_HDLC_FCS_OK,
                       NULL, 0, 1);
}

static void packets_end(struct far *far)
{
    t38_core_send_indicator(far->t38, T38_IND_NO_SIGNAL);
    far->signal = SIGNAL_NONE;
}

/* A frame goes out at once, the next one when the line is through with it. */
static void packets_frames(struct far *far)
{
    far->octets_left -= OCTETS_A_TICK;
    while (far->signal == SIGNAL_FRAMES && far->octets_left <= 0) {
        far->frame_length = far->frames(far, far->frame);
        far->octets_left += (int)far->frame_length + 5;
        if (far->frame_length > 0) {
            packets_frame(far, T38_DATA_V17_14400, false);
            continue;
        }
        t38_core_send_data(far->t38, T38_DATA_V17_14400, T38_FIELD_HDLC_SIG_END, NULL, 0, 1);
        packets_end(far);
    }
}

static void packets_octets(struct far *far)
{
    uint8_t octets[OCTETS_A_TICK], reversed[OCTETS_A_TICK];
    int length = 0, octet = 0;

    while (length < OCTETS_A_TICK && (octet = far->octets(far)) >= 0)
        octets[length++] = (uint8_t)octet;
    bit_reverse(reversed, octets, length);
    t38_core_send_data(far->t38, T38_DATA_V17_14400,
                       octet < 0 ? T38_FIELD_T4_NON_ECM_SIG_END : T38_FIELD_T4_NON_ECM_DATA,
                       reversed, length, 1);
    if (octet < 0)
        packets_end(far);
}

static void step_packets(struct far *far)
{
    if (far->silence_ticks > 0 && --far->silence_ticks > 0)
        return;
    switch (far->signal) {
    case SIGNAL_NONE: break;
    case SIGNAL_FRAME:
        t38_core_send_indicator(far->t38, T38_IND_V21_PREAMBLE);
        packets_frame(far, T38_DATA_V21, true);
        packets_end(far);
        break;
    case SIGNAL_FLAGS: t38_core_send_indicator(far->t38, T38_IND_V21_PREAMBLE); break;
    case SIGNAL_FRAMES:
        t38_core_send_indicator(far->t38, T38_IND_V17_14400_SHORT_TRAINING);
        packets_frames(far);
        break;
    case SIGNAL_OCTETS:
        t38_core_send_indicator(far->t38, far->is_check ? T38_IND_V17_14400_LONG_TRAINING
                                                        : T38_IND_V17_14400_SHORT_TRAINING);
        packets_octets(far);
        break;
    }
}

/* ---- audio ----------------------------------------------------------------------------------- */

static void on_far_frame(void *user, const uint8_t *frame, int length, int good)
{
    if (length > 0 && good)
        hear(user, frame, (size_t)length);
}

static void on_underflow(void *user)
{
    struct far *far = user;
    size_t length;

    if (far->signal == SIGNAL_FLAGS) {
        hdlc_tx_flags(far->hdlc_tx, PREAMBLE_OCTETS);
        return;
    }
    if (far->signal == SIGNAL_FRAMES && (length = far->frames(far, far->frame)) > 0)
        hdlc_tx_frame(far->hdlc_tx, far->frame, length);
    else
        hdlc_tx_frame(far->hdlc_tx, NULL, 0); /* the carrier goes behind the flags */
}

static int octets_bit(void *user)
{
    struct far *far = user;

    if (far->bits_left == 0) {
        far->octet = far->octets(far);
        if (far->octet < 0)
            return SIG_STATUS_END_OF_DATA;
        far->bits_left = 8;
    }
    far->bits_left--;
    return far->octet >> (7 - far->bits_left) & 1;
}

static void begin_audio(struct far *far)
{
    bool is_v21 = far->signal == SIGNAL_FRAME || far->signal == SIGNAL_FLAGS;

    far->hdlc_tx = hdlc_tx_init(far->hdlc_tx, FALSE, 2, FALSE, on_underflow, far);
    if (is_v21) {
        far->v21_tx = fsk_tx_init(far->v21_tx, &preset_fsk_specs[FSK_V21CH2],
                                  (get_bit_func_t)hdlc_tx_get_bit, far->hdlc_tx);
        hdlc_tx_flags(far->hdlc_tx, PREAMBLE_OCTETS);
        if (far->signal == SIGNAL_FRAME)
            hdlc_tx_frame(far->hdlc_tx, far->frame, far->frame_length);
        return;
    }
    if (far->signal == SIGNAL_FRAMES) {
        v17_tx_set_get_bit(far->v17_tx, (get_bit_func_t)hdlc_tx_get_bit, far->hdlc_tx);
        hdlc_tx_flags(far->hdlc_tx, 8);
    } else {
        v17_tx_set_get_bit(far->v17_tx, octets_bit, far);
    }
    v17_tx_restart(far->v17_tx, BIT_RATE, FALSE, !far->is_check || far->signal == SIGNAL_FRAMES);
}

static void background(struct far *far, int16_t *samples, int count)
{
    for (int i = 0; i < count; i++) {
        far->phase += 2 * M_PI * far->tone_hz / 8000;
        samples[i] = (int16_t)(far->tone_hz > 0 ? 6000 * sin(far->phase) : 0);
        if (far->noise > 0)
            samples[i] =
                (int16_t)(samples[i] + (int)(far_random(far) % (uint32_t)(2 * far->noise)) -
                          far->noise);
    }
}

static void make_audio(struct far *far, int16_t *samples, int count)
{
    bool is_v21 = far->signal == SIGNAL_FRAME || far->signal == SIGNAL_FLAGS;
    int made;

    memset(samples, 0, sizeof *samples * (size_t)count);
    if (far->signal == SIGNAL_NONE) {
        background(far, samples, count);
        return;
    }
    if (far->silence_ticks > 0) {
        if (--far->silence_ticks == 0)
            begin_audio(far);
        return;
    }
    made = is_v21 ? fsk_tx(far->v21_tx, samples, count) : v17_tx(far->v17_tx, samples, count);
    if (made < count)
        far->signal = SIGNAL_NONE;
}

/* ---- a Class 1 modem ------------------------------------------------------------------------- */

static int on_modem_octets(at_state_t *at, void *user, const uint8_t *octets, size_t length)
{
    struct far *far = user;

    (void)at;
    if (far->session != NULL && !far->over)
        session_post_octets(far->session, octets, length);
    return 0;
}

static int on_modem_control(t31_state_t *t31, void *user, int operation, const char *number)
{
    struct far *far = user;

    (void)t31;
    (void)number;
    if (operation == AT_MODEM_CONTROL_ANSWER)
        far->answered = true;
    return 0;
}

static void on_octets(void *user, const uint8_t *octets, size_t length)
{
    struct far *far = user;
    bool was_answered = far->answered;

    if (far->over)
        return;
    t31_at_rx(far->t31, (const char *)octets, (int)length);
    if (far->answered && !was_answered)
        t31_call_event(far->t31, AT_CALL_EVENT_ANSWERED);
}

static void modem_new(struct far *far)
{
    static const char words[] = "ATE0\rAT+FCLASS=1.0\r";

    far->t31 = t31_init(NULL, on_modem_octets, far, on_modem_control, far, NULL, NULL);
    t31_set_transmit_on_idle(far->t31, TRUE);
    t31_at_rx(far->t31, words, (int)strlen(words));
    t31_call_event(far->t31, AT_CALL_EVENT_ALERTING);
}

/* ---- the session ----------------------------------------------------------------------------- */

static void on_trace(void *user, const char *line)
{
    if (getenv("FAXPOST_TRACE") != NULL)
        fprintf(stderr, "%s: %s\n", ((struct far *)user)->c->name, line);
}

static void take_pages(struct far *far)
{
    struct session_page page;

    while (session_take_page(far->session, &page)) {
        if (page.unconfirmed) {
            far->out->pieces++;
        } else {
            far->out->stored++;
            far->store_generation = page.generation;
            far->store_ms = far->c->store_ms < 0 ? INT64_MAX : far->now_ms + far->c->store_ms;
        }
        free(page.tiff);
    }
}

static void run_session(struct far *far, int16_t *to_far)
{
    if (far->store_ms > 0 && far->now_ms >= far->store_ms) {
        far->store_ms = 0;
        session_post_stored(far->session, far->store_generation, 0);
    }
    switch (session_run(far->session, far->now_ms, to_far)) {
    case SESSION_GOES_ON: break;
    case SESSION_NEEDS_WORKER:
        session_work(far->session);
        take_pages(far);
        break;
    case SESSION_ENDED: far->over = true; break;
    }
}

static void step_audio(struct far *far)
{
    static int16_t to_far[TICK];
    int16_t from_far[TICK];

    make_audio(far, from_far, TICK);
    session_post_audio(far->session, from_far, TICK);
    run_session(far, to_far);
    fsk_rx(far->v21_rx, to_far, TICK);
}

/* The host is asked more often: it answers the modem at once. */
static void step_modem(struct far *far)
{
    int16_t samples[PART];

    for (int i = 0; i < TICK / PART && !far->over; i++) {
        if (far->answered) {
            make_audio(far, samples, PART);
            t31_rx(far->t31, samples, PART);
            t31_tx(far->t31, samples, PART);
            fsk_rx(far->v21_rx, samples, PART);
        }
        run_session(far, NULL);
        far->now_ms += PART / 8;
    }
    far->now_ms -= SESSION_TICK_MS;
}

static void step(struct far *far)
{
    if (far->c->media == SESSION_AUDIO) {
        step_audio(far);
    } else if (far->c->media == SESSION_MODEM) {
        step_modem(far);
    } else {
        step_packets(far);
        run_session(far, NULL);
    }
}

static int64_t longest_ms(const struct end_case *c)
{
    if (c->session_ms_max > 0)
        return c->session_ms_max;
    return c->media == SESSION_T38 ? 1800000 : 450000; /* demodulators cost time */
}

static void far_new(struct far *far)
{
    const struct end_case *c = far->c;
    const struct session_settings settings = {
        .media = c->media,
        .ecm = true,
        .pages_max = c->session_ms_max > 0 ? 9999 : 500,
        .rows_max = 30000,
        .session_ms_max = longest_ms(c),
        .stall_ms_max = 90000,
        .t38_transferred_tcf = true,
        .front_new = front_modem_new,
        .modem = {.class = MODEM_CLASS_1_0,
                  .rates = MODEM_V27TER | MODEM_V29 | MODEM_V17,
                  .has_frs = true,
                  .has_fts = true,
                  .pause_ms = 80,
                  .connect_tries = 30,
                  .frm_tries = 2},
    };
    const struct session_hooks hooks = {
        .user = far, .send_ifp = on_ifp, .send_octets = on_octets, .trace = on_trace};

    far->t38 = t38_core_init(NULL, on_indicator, on_data, on_missing, far, on_far_packet, far);
    far->hdlc_rx = hdlc_rx_init(NULL, FALSE, TRUE, 5, on_far_frame, far);
    far->v21_rx = fsk_rx_init(NULL, &preset_fsk_specs[FSK_V21CH2], FSK_FRAME_MODE_SYNC,
                              (put_bit_func_t)hdlc_rx_put_bit, far->hdlc_rx);
    far->v17_tx = v17_tx_init(NULL, BIT_RATE, FALSE, octets_bit, far);
    if (c->media == SESSION_MODEM)
        modem_new(far);
    if (session_library_init() < 0 || session_new(&far->session, &settings, &hooks) < 0)
        abort();
}

static void far_free(struct far *far)
{
    session_free(far->session);
    far->session = NULL;
    t38_core_free(far->t38);
    fsk_rx_free(far->v21_rx);
    hdlc_rx_free(far->hdlc_rx);
    v17_tx_free(far->v17_tx);
    if (far->hdlc_tx != NULL)
        hdlc_tx_free(far->hdlc_tx);
    if (far->v21_tx != NULL)
        fsk_tx_free(far->v21_tx);
    if (far->t31 != NULL) {
        queue_free(far->t31->rx_queue); /* the library leaves it */
        t31_free(far->t31);
    }
}

void end_run(struct end_result *out, const struct end_case *c)
{
    struct far far = {.c = c, .out = out, .random = 1};
    int64_t last_ms = BEGIN_MS + longest_ms(c) + MORE_MS;

    memset(out, 0, sizeof *out);
    far_new(&far);
    for (far.now_ms = BEGIN_MS; far.now_ms < last_ms && !far.over; far.now_ms += SESSION_TICK_MS) {
        c->far_end(&far);
        step(&far);
    }
    out->ended = far.over;
    out->ms = far.now_ms - BEGIN_MS;
    session_describe(far.session, &out->info);
    far_free(&far);
}
