/* SPDX-License-Identifier: MIT */
/*
 * session_rig.c - sender, line, disk and clock around a session, in 20 ms steps.
 */
#define SPANDSP_EXPOSE_INTERNAL_STRUCTURES 1

#include "test/unit/session_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <spandsp.h>
#include <tiffio.h>

#include "fax/sip/media_thread.h"
#include "fax/sip/rtp.h"
#include "fax/t30/frames.h"
#include "test/unit/page_rig.h"

enum {
    LATE_MOST = 64,
    TICK = SESSION_TICK_SAMPLES,
    BEGIN_MS = 1000,
    RUN_MOST_MS = 600000,
    GAP_AT_MS = 5000
};

/* ---- documents ------------------------------------------------------------------------------ */

static int rows_of(const struct rig_case *c)
{
    return c->rows > 0 ? c->rows : 300;
}

static int width_of(const struct rig_case *c)
{
    return c->width > 0 ? c->width : 1728;
}

uint64_t rig_page_hash(const struct rig_case *c, int number)
{
    return page_hash(width_of(c), rows_of(c), number);
}

void rig_write_document(const char *path, const struct rig_case *c)
{
    TIFF *tiff = TIFFOpen(path, "w");
    uint8_t row[PAGE_RIG_WIDTH_MAX / 8];

    for (int page = 1; page <= c->pages; page++) {
        TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, width_of(c));
        TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, rows_of(c));
        TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 1);
        TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
        TIFFSetField(tiff, TIFFTAG_COMPRESSION, COMPRESSION_CCITTFAX4);
        TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISWHITE);
        TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, rows_of(c));
        TIFFSetField(tiff, TIFFTAG_XRESOLUTION, c->x_dpi > 0 ? (double)c->x_dpi : 204.0);
        TIFFSetField(tiff, TIFFTAG_YRESOLUTION, c->y_dpi > 0 ? (double)c->y_dpi : 196.0);
        TIFFSetField(tiff, TIFFTAG_RESOLUTIONUNIT, RESUNIT_INCH);
        for (int y = 0; y < rows_of(c); y++) {
            page_draw_row(row, width_of(c), page, y);
            TIFFWriteScanline(tiff, row, (uint32_t)y, 0);
        }
        TIFFWriteDirectory(tiff);
    }
    TIFFClose(tiff);
}

/* ---- a call with the library's sender ------------------------------------------------------- */

struct rig {
    const struct rig_case *c;
    struct rig_result *out;
    struct session *session;
    bool audio;
    struct rtp *far, *rtp; /* the sender's stream, and ours */
    int stalled_ticks;     /* not yet made up for */
    struct {
        uint8_t octets[RTP_PACKET_MAX];
        size_t length;
    } late[LATE_MOST]; /* on the way to us */
    int late_count;
    fax_state_t *fax;
    t38_terminal_state_t *terminal;
    t30_state_t *t30; /* the sender's */
    int64_t now_ms;
    struct {
        int64_t due_ms;
        uint32_t generation;
        int error;
    } store;
    int stores;
    int mcf_seen;
    bool deaf; /* the sender does not hear: what it lost */
    bool dcn_lost;
    int64_t page_ms; /* when the first CFR went out */
    int image_packets;
    uint16_t seq; /* of our packets to the sender */
    uint32_t random;
    bool noise; /* the image is being damaged */
    bool gone;
    int64_t confirmed_ms;
};

static void on_sender_end(t30_state_t *t30, void *user, int code)
{
    struct rig *rig = user;
    t30_stats_t stats;

    t30_get_transfer_statistics(t30, &stats);
    rig->out->sender_ended = true;
    rig->out->sender_code = code;
    rig->out->sender_pages = stats.pages_tx;
}

static void on_sender_frame(t30_state_t *t30, void *user, int incoming, const uint8_t *frame,
                            int length)
{
    struct rig *rig = user;

    (void)t30;
    if (!incoming && frame_fcf(frame, (size_t)length) == FCF_DCN && rig->c->lose_dcn)
        rig->dcn_lost = true;
}

static uint32_t next_random(struct rig *rig)
{
    rig->random = rig->random * 1664525u + 1013904223u;
    return rig->random >> 8;
}

/* Cuts, lengthens and garbles one packet in some. Gives the new length. */
static int mutate(struct rig *rig, uint8_t *ifp, int length)
{
    if (rig->c->mutate_share == 0 || (int)(next_random(rig) % 1000) >= rig->c->mutate_share)
        return length;
    switch (next_random(rig) % 3) {
    case 0: length = (int)(next_random(rig) % (uint32_t)(length + 1)); break;
    case 1:
        for (int more = (int)(next_random(rig) % 300); more > 0 && length < 1400; more--)
            ifp[length++] = (uint8_t)next_random(rig);
        break;
    default: break;
    }
    for (int flips = (int)(next_random(rig) % 4); flips > 0 && length > 0; flips--)
        ifp[next_random(rig) % (uint32_t)length] = (uint8_t)next_random(rig);
    return length;
}

static bool is_within(const struct rig *rig, int length_ms)
{
    int64_t from_ms = rig->c->gap_at_ms > 0 ? BEGIN_MS + rig->c->gap_at_ms
                      : rig->page_ms > 0    ? rig->page_ms + GAP_AT_MS
                                            : RUN_MOST_MS;

    return rig->now_ms >= from_ms && rig->now_ms < from_ms + length_ms;
}

static bool is_in_gap(const struct rig *rig)
{
    return is_within(rig, rig->c->gap_ms);
}

static bool is_stalled(const struct rig *rig)
{
    return is_within(rig, rig->c->stall_ms);
}

static int on_sender_ifp(t38_core_state_t *t38, void *user, const uint8_t *ifp, int length,
                         int copies)
{
    struct rig *rig = user;

    uint8_t damaged[2048];

    (void)copies;
    if (rig->c->mutate_share > 0 && length < (int)sizeof damaged) {
        memcpy(damaged, ifp, (size_t)length);
        length = mutate(rig, damaged, length);
        ifp = damaged;
    }
    if (rig->noise && length > 20 && length < (int)sizeof damaged) {
        memcpy(damaged, ifp, (size_t)length);
        damaged[length / 2] ^= 0x5a; /* about one row in four */
        if (++rig->image_packets % 3 == 0)
            ifp = damaged;
    }
    if (is_in_gap(rig) && rig->c->gap != RIG_GAP_FROM_US)
        return 0;
    if (rig->session != NULL && !rig->gone && !rig->dcn_lost)
        session_post_ifp(rig->session, ifp, (size_t)length, (uint16_t)t38->tx_seq_no);
    return 0;
}

void rig_prepare_sender(t30_state_t *t30, const char *path, const struct rig_case *c)
{
    t30_set_tx_file(t30, path, -1, -1);
    t30_set_tx_ident(t30, "+1 555 1234");
    t30_set_tx_sub_address(t30, "42");
    t30_set_tx_sender_ident(t30, "SENDER");
    t30_set_tx_password(t30, "SECRET");
    t30->retransmit_capable = !c->never_repeats;
    t30_set_ecm_capability(t30, c->ecm);
    t30_set_supported_compressions(t30, c->compression != 0 ? c->compression : 0xe);
    if (c->modems != 0)
        t30_set_supported_modems(t30, c->modems);
    t30_set_supported_image_sizes(t30, T30_SUPPORT_215MM_WIDTH | T30_SUPPORT_255MM_WIDTH |
                                           T30_SUPPORT_303MM_WIDTH | T30_SUPPORT_UNLIMITED_LENGTH);
    t30_set_supported_resolutions(t30,
                                  T30_SUPPORT_STANDARD_RESOLUTION | T30_SUPPORT_FINE_RESOLUTION |
                                      T30_SUPPORT_SUPERFINE_RESOLUTION | T30_SUPPORT_R8_RESOLUTION |
                                      T30_SUPPORT_R16_RESOLUTION | T30_SUPPORT_300_300_RESOLUTION);
}

static void set_up_sender(struct rig *rig, const char *path, bool audio)
{
    const struct rig_case *c = rig->c;

    rig->audio = audio;
    if (audio) {
        rig->fax = fax_init(NULL, TRUE);
        fax_set_transmit_on_idle(rig->fax, TRUE);
        rig->t30 = fax_get_t30_state(rig->fax);
    } else {
        rig->terminal = t38_terminal_init(NULL, TRUE, on_sender_ifp, rig);
        rig->t30 = t38_terminal_get_t30_state(rig->terminal);
    }
    rig_prepare_sender(rig->t30, path, c);
    t30_set_phase_e_handler(rig->t30, on_sender_end, rig);
    t30_set_real_time_frame_handler(rig->t30, on_sender_frame, rig);
}

static void free_sender(struct rig *rig)
{
    if (rig->fax != NULL)
        fax_free(rig->fax);
    if (rig->terminal != NULL)
        t38_terminal_free(rig->terminal);
    rig->fax = NULL;
    rig->terminal = NULL;
}

static void on_ifp(void *user, const uint8_t *ifp, size_t length, int copies)
{
    struct rig *rig = user;
    uint16_t seq = rig->seq++;

    (void)copies;
    if (rig->terminal == NULL || rig->deaf || rig->gone ||
        (is_in_gap(rig) && rig->c->gap != RIG_GAP_TO_US))
        return;
    t38_core_rx_ifp_packet(t38_terminal_get_t38_core_state(rig->terminal), ifp, (int)length, seq);
}

static void on_ask(void *user)
{
    ((struct rig *)user)->out->asked_t38++;
}

/* The trace tells what goes out, and so which answer the line is to lose. */
static void on_trace(void *user, const char *line)
{
    struct rig *rig = user;
    struct rig_result *out = rig->out;
    size_t used = strlen(out->trace);

    snprintf(out->trace + used, sizeof out->trace - used, "%s\n", line);
    if (strstr(line, " in ") != NULL)
        rig->deaf = false;
    if (strstr(line, " out MCF") != NULL || strstr(line, " again MCF") != NULL) {
        out->mcf++;
        rig->confirmed_ms = rig->now_ms;
        if (out->mcf == rig->c->lose_mcf)
            rig->deaf = true;
    }
    out->rnr += strstr(line, " out RNR") != NULL;
    out->dcn += strstr(line, " out DCN") != NULL;
    if (strstr(line, " out CFR") != NULL && rig->page_ms == 0)
        rig->page_ms = rig->now_ms;
    if (strstr(line, " out CFR") != NULL && rig->c->noisy_page && out->rtn == 0)
        rig->noise = true;
    if (strstr(line, " out RTN") != NULL) {
        out->rtn++;
        rig->noise = false;
    }
}

static void take_pages(struct rig *rig)
{
    struct session_page page;

    while (session_take_page(rig->session, &page)) {
        if (page.unconfirmed) {
            rig->out->unconfirmed++;
        } else {
            rig->stores++;
            rig->out->stored++;
            if (page.number < RIG_PAGES_MAX)
                rig->out->page_hash[page.number] = page_tiff_hash(page.tiff, page.length);
            rig->store.due_ms = rig->now_ms + rig->c->store_ms;
            rig->store.generation = page.generation;
            rig->store.error = rig->stores == rig->c->store_fails_at ? -3 : 0;
        }
        free(page.tiff);
    }
}

/* One step of the session and of what it needs. False when it is over. */
static bool run_session(struct rig *rig, int64_t now_ms, int16_t *audio_out)
{
    switch (session_run(rig->session, now_ms, audio_out)) {
    case SESSION_GOES_ON: return true;
    case SESSION_NEEDS_WORKER:
        session_work(rig->session);
        take_pages(rig);
        return true;
    case SESSION_ENDED:
        rig->out->session_ended = true;
        session_describe(rig->session, &rig->out->info);
        return false;
    }
    return false;
}

/* The buffer gives to the session what is due, as a channel does. */
static void play_tick(struct rig *rig)
{
    int16_t samples[TICK];

    for (int due = rtp_due(rig->rtp); due > 0; due--)
        if (rtp_pull(rig->rtp, samples) == TICK)
            session_post_audio(rig->session, samples, TICK);
        else
            session_post_missing(rig->session, samples, TICK);
}

static bool is_silent(const int16_t samples[TICK])
{
    for (int i = 0; i < TICK; i++)
        if (samples[i] != 0)
            return false;
    return true;
}

static void step_packet(struct rig *rig, const int16_t *from_sender, bool is_lost)
{
    uint8_t *packet = rig->late[rig->late_count].octets;

    rig->late[rig->late_count].length =
        (size_t)rtp_make(rig->far, from_sender, packet, RTP_PACKET_MAX);
    if (!is_lost && !(rig->c->suppresses && is_silent(from_sender)))
        rig->late_count++;
    if (!is_within(rig, rig->c->late_ms) || rig->late_count == LATE_MOST) {
        for (int i = 0; i < rig->late_count; i++)
            rtp_receive(rig->rtp, rig->late[i].octets, rig->late[i].length);
        rig->late_count = 0;
    }
    if (!is_stalled(rig))
        play_tick(rig);
}

static void step_line(struct rig *rig, int16_t *to_sender)
{
    int16_t from_sender[TICK] = {0};
    bool gap = is_in_gap(rig);

    if (rig->audio) {
        if (!rig->gone)
            fax_tx(rig->fax, from_sender, TICK);
        if (rig->dcn_lost)
            memset(from_sender, 0, sizeof from_sender);
        if (gap && rig->c->gap != RIG_GAP_FROM_US && !rig->c->rtp)
            memset(from_sender, 0, sizeof from_sender);
        if (rig->c->rtp)
            step_packet(rig, from_sender, gap && rig->c->gap != RIG_GAP_FROM_US);
        else
            session_post_audio(rig->session, from_sender, TICK);
        if (rig->deaf || (gap && rig->c->gap != RIG_GAP_TO_US))
            memset(to_sender, 0, sizeof *to_sender * TICK);
        if (!rig->gone)
            fax_rx(rig->fax, to_sender, TICK);
    } else if (!rig->gone) {
        t38_terminal_send_timeout(rig->terminal, TICK);
    }
}

/* After a stall the ticks that were missed are made up for, as far as a media thread does. Of the
 * packets that go out then, all at once, the sender hears the last. */
static bool step_session(struct rig *rig, int16_t *audio_out)
{
    if (is_stalled(rig)) {
        memset(audio_out, 0, sizeof *audio_out * TICK);
        rig->stalled_ticks++;
        return true;
    }
    if (rig->stalled_ticks > MEDIA_LATE_TICKS_MAX - 1)
        rig->stalled_ticks = MEDIA_LATE_TICKS_MAX - 1;
    for (; rig->stalled_ticks > 0; rig->stalled_ticks--) {
        if (!run_session(rig, rig->now_ms - (int64_t)rig->stalled_ticks * SESSION_TICK_MS,
                         audio_out))
            return false;
        play_tick(rig);
    }
    return run_session(rig, rig->now_ms, audio_out);
}

void rig_run(struct rig_result *out, const struct rig_case *c)
{
    char path[] = "/tmp/faxpost-document-XXXXXX";
    struct rig rig = {.c = c, .out = out, .random = (uint32_t)c->mutate_seed};
    const struct session_settings settings = {
        .media = c->media,
        .station = "+1 555 2000",
        .ecm = true,
        .pages_max = 100,
        .rows_max = 20000,
        .session_ms_max = 3600000,
        .stall_ms_max = 90000,
        .t38_transferred_tcf = true,
    };
    const struct session_hooks hooks = {
        .user = &rig, .send_ifp = on_ifp, .ask_t38 = on_ask, .trace = on_trace};
    int16_t audio[TICK] = {0};

    memset(out, 0, sizeof *out);
    close(mkstemp(path));
    rig_write_document(path, c);
    if (session_library_init() < 0 || session_new(&rig.session, &settings, &hooks) < 0)
        abort();
    set_up_sender(&rig, path, c->media == SESSION_AUDIO);
    if (c->rtp) {
        rig.far = rtp_new(RTP_PCMA, 3);
        rig.rtp = rtp_new(RTP_PCMA, 3);
    }
    for (rig.now_ms = BEGIN_MS; rig.now_ms < RUN_MOST_MS; rig.now_ms += SESSION_TICK_MS) {
        step_line(&rig, audio);
        if (rig.store.due_ms > 0 && rig.now_ms >= rig.store.due_ms) {
            rig.store.due_ms = 0;
            session_post_stored(rig.session, rig.store.generation, rig.store.error);
        }
        if (c->hangup_page > 0 && !rig.gone && out->mcf >= c->hangup_page &&
            rig.now_ms >= rig.confirmed_ms + c->hangup_ms) {
            rig.gone = true;
            session_post_hangup(rig.session, NULL);
        }
        if (c->switch_ms > 0 && rig.audio && rig.now_ms >= c->switch_ms &&
            session_switch_t38(rig.session, &settings) == 0) {
            free_sender(&rig);
            out->sender_ended = false;
            set_up_sender(&rig, path, false);
        }
        if (!step_session(&rig, audio))
            break;
    }
    out->seconds = rig.now_ms / 1000;
    /* let the sender come to its own end */
    for (int i = 0; i < 60000 && !out->sender_ended && !rig.gone; i += SESSION_TICK_MS) {
        memset(audio, 0, sizeof audio);
        if (rig.audio) {
            int16_t lost[TICK];

            fax_tx(rig.fax, lost, TICK);
            fax_rx(rig.fax, audio, TICK);
        } else {
            t38_terminal_send_timeout(rig.terminal, TICK);
        }
    }
    session_free(rig.session);
    rig.session = NULL;
    rtp_free(rig.far);
    rtp_free(rig.rtp);
    free_sender(&rig);
    unlink(path);
}

/* ---- a call made by hand -------------------------------------------------------------------- */

struct manual {
    struct session *session;
    t38_core_state_t *t38; /* packs and unpacks IFP */
    bool ecm;
    bool ended;
    int64_t now_ms;
    uint8_t frame[300], heard[300];
    size_t frame_length, heard_length;
    int stored, unconfirmed;
};

static int manual_packet(t38_core_state_t *t38, void *user, const uint8_t *ifp, int length,
                         int copies)
{
    struct manual *manual = user;

    (void)copies;
    session_post_ifp(manual->session, ifp, (size_t)length, (uint16_t)t38->tx_seq_no);
    return 0;
}

static int manual_indicator(t38_core_state_t *t38, void *user, int indicator)
{
    (void)t38;
    (void)user;
    (void)indicator;
    return 0;
}

static int manual_data(t38_core_state_t *t38, void *user, int type, int field,
                       const uint8_t *octets, int length)
{
    struct manual *manual = user;

    (void)t38;
    (void)type;
    if (field == T38_FIELD_HDLC_DATA &&
        manual->frame_length + (size_t)length <= sizeof manual->frame) {
        bit_reverse(manual->frame + manual->frame_length, octets, length);
        manual->frame_length += (size_t)length;
    }
    if ((field == T38_FIELD_HDLC_FCS_OK || field == T38_FIELD_HDLC_FCS_OK_SIG_END) &&
        manual->frame_length > 0) {
        memcpy(manual->heard, manual->frame, manual->frame_length);
        manual->heard_length = manual->frame_length;
        manual->frame_length = 0;
    }
    return 0;
}

static int manual_missing(t38_core_state_t *t38, void *user, int seq, int expected)
{
    (void)t38;
    (void)user;
    (void)seq;
    (void)expected;
    return 0;
}

static void manual_ifp(void *user, const uint8_t *ifp, size_t length, int copies)
{
    struct manual *manual = user;

    (void)copies;
    t38_core_rx_ifp_packet(manual->t38, ifp, (int)length,
                           (uint16_t)manual->t38->rx_expected_seq_no);
}

struct manual *manual_new(bool ecm)
{
    struct manual *manual = calloc(1, sizeof *manual);
    const struct session_settings settings = {
        .media = SESSION_T38,
        .ecm = ecm,
        .pages_max = 400,
        .rows_max = 20000,
        .session_ms_max = 3600000,
        .stall_ms_max = 90000,
        .t38_transferred_tcf = true,
    };
    const struct session_hooks hooks = {.user = manual, .send_ifp = manual_ifp};

    if (manual == NULL || session_library_init() < 0 ||
        session_new(&manual->session, &settings, &hooks) < 0)
        abort();
    manual->ecm = ecm;
    manual->now_ms = 1000;
    manual->t38 = t38_core_init(NULL, manual_indicator, manual_data, manual_missing, manual,
                                manual_packet, manual);
    return manual;
}

void manual_free(struct manual *manual)
{
    session_free(manual->session);
    t38_core_free(manual->t38);
    free(manual);
}

void manual_wait(struct manual *manual, int ms)
{
    struct session_page page;

    for (; ms > 0 && !manual->ended; ms -= SESSION_TICK_MS) {
        switch (session_run(manual->session, manual->now_ms, NULL)) {
        case SESSION_GOES_ON: break;
        case SESSION_NEEDS_WORKER:
            session_work(manual->session);
            while (session_take_page(manual->session, &page)) {
                if (page.unconfirmed) {
                    manual->unconfirmed++;
                } else {
                    manual->stored++;
                    session_post_stored(manual->session, page.generation, 0);
                }
                free(page.tiff);
            }
            break;
        case SESSION_ENDED: manual->ended = true; break;
        }
        manual->now_ms += SESSION_TICK_MS;
    }
}

static void send_frame(struct manual *manual, int type, const uint8_t *frame, size_t length,
                       bool end)
{
    uint8_t reversed[2048];

    bit_reverse(reversed, frame, (int)length);
    t38_core_send_data(manual->t38, type, T38_FIELD_HDLC_DATA, reversed, (int)length, 1);
    t38_core_send_data(manual->t38, type,
                       end ? T38_FIELD_HDLC_FCS_OK_SIG_END : T38_FIELD_HDLC_FCS_OK, NULL, 0, 1);
    if (end)
        t38_core_send_indicator(manual->t38, T38_IND_NO_SIGNAL);
    manual_wait(manual, SESSION_TICK_MS);
}

void manual_v21(struct manual *manual, const uint8_t *frame, size_t length, bool final)
{
    t38_core_send_indicator(manual->t38, T38_IND_V21_PREAMBLE);
    send_frame(manual, T38_DATA_V21, frame, length, final);
}

void manual_image_frame(struct manual *manual, const uint8_t *frame, size_t length, bool end)
{
    t38_core_send_indicator(manual->t38, T38_IND_V17_14400_SHORT_TRAINING);
    send_frame(manual, T38_DATA_V17_14400, frame, length, end);
}

void manual_image_octets(struct manual *manual, const uint8_t *octets, size_t length, bool end)
{
    static uint8_t reversed[65536];
    size_t at;

    t38_core_send_indicator(manual->t38, T38_IND_V17_14400_LONG_TRAINING);
    bit_reverse(reversed, octets, (int)length);
    for (at = 0; at < length; at += 256) {
        size_t n = length - at < 256 ? length - at : 256;

        t38_core_send_data(manual->t38, T38_DATA_V17_14400, T38_FIELD_T4_NON_ECM_DATA,
                           reversed + at, (int)n, 1);
        manual_wait(manual, SESSION_TICK_MS);
    }
    if (end) {
        t38_core_send_data(manual->t38, T38_DATA_V17_14400, T38_FIELD_T4_NON_ECM_SIG_END, NULL, 0,
                           1);
        t38_core_send_indicator(manual->t38, T38_IND_NO_SIGNAL);
    }
    manual_wait(manual, SESSION_TICK_MS);
}

uint8_t manual_expect(struct manual *manual, int ms)
{
    uint8_t frame[300];

    for (; ms > 0; ms -= SESSION_TICK_MS) {
        size_t length = manual_heard(manual, frame, sizeof frame);

        if (length > 0 && frame[1] == FRAME_FINAL)
            return frame_fcf(frame, length);
        if (manual->ended)
            return 0;
        manual_wait(manual, SESSION_TICK_MS);
    }
    return 0;
}

void manual_begin(struct manual *manual, const uint8_t *dcs, size_t length)
{
    if (manual_expect(manual, 20000) != FCF_DIS)
        abort();
    manual_train(manual, dcs, length);
}

void manual_train(struct manual *manual, const uint8_t *dcs, size_t length)
{
    /* V.17 14400, A4, fine; ECM and T.6 */
    static const uint8_t ecm[] = {0xff, 0x13, 0x83, 0x00, 0x62, 0xf8, 0x44};
    static const uint8_t plain[] = {0xff, 0x13, 0x83, 0x00, 0x62, 0x78};
    static const uint8_t zeros[2700];

    if (dcs == NULL) {
        dcs = manual->ecm ? ecm : plain;
        length = manual->ecm ? sizeof ecm : sizeof plain;
    }
    manual_v21(manual, dcs, length, true);
    manual_wait(manual, 100);
    if (!manual->ended)
        manual_image_octets(manual, zeros, sizeof zeros, true);
}

size_t manual_heard(struct manual *manual, uint8_t *frame, size_t size)
{
    size_t length = manual->heard_length;

    if (length > size)
        length = size;
    memcpy(frame, manual->heard, length);
    manual->heard_length = 0;
    return length;
}

bool manual_ended(const struct manual *manual)
{
    return manual->ended;
}

struct session *manual_session(struct manual *manual)
{
    return manual->session;
}

int manual_stored(const struct manual *manual)
{
    return manual->stored;
}

int manual_unconfirmed(const struct manual *manual)
{
    return manual->unconfirmed;
}
