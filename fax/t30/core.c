/* SPDX-License-Identifier: MIT */
/*
 * core.c - the session's adapter to spandsp's T.30 core.
 *
 * The library's own file is a sink that nothing is written to: a row handler takes the decoded rows
 * of a page straight from its memory, at the moment the page ends and before the answer is sent.
 */
#define SPANDSP_EXPOSE_INTERNAL_STRUCTURES 1

#include "fax/t30/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <spandsp.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "fax/t30/frames.h"

/* The library's own numbers, which no header gives: t30_state_t.state … */
enum {
    STATE_ANSWERING = 1,
    STATE_F_TCF = 7,
    STATE_F_FTT = 9,
    STATE_F_DOC_NON_ECM = 10,
    STATE_F_POST_DOC_NON_ECM = 11,
    STATE_F_DOC_ECM = 12,
    STATE_F_POST_DOC_ECM = 13,
    STATE_III_Q = 22, /* has answered a page outside ECM */
};

/* … t30_state_t.phase */
enum { PHASE_B_RX = 3 };

/* … and t30_state_t.timer_t2_t4_is */
enum { TIMER_T2 = 1, TIMER_T1A = 2, TIMER_T2A = 3, TIMER_T2B = 4, TIMER_T4A = 7 };

enum {
    T2_SAMPLES = 7 * 8000,
    LOST_REFUSALS = 2, /* a network that always loses some must not stop every fax */
    T2A_SAMPLES = 3 * 8000,
    LAST_SAMPLES = 600 * 8, /* of a timer: the core may be stepped by 500 ms at a time */
    DELAY_SAMPLES = 500 * 8,
    DELAYS_MOST = 3,
    OPERATION_T4_RX = 1,      /* t30_state_t.operation_in_progress while a document comes in */
    FRAME_ROWS_MAX = 256 * 8, /* rows that one FCD frame can make: a bit each */
};

static int sink_fd = -1; /* written by session_library_init() only, before any thread */

static int no_packet(t38_core_state_t *t38, void *user, const uint8_t *ifp, int length, int copies)
{
    (void)t38;
    (void)user;
    (void)ifp;
    (void)length;
    (void)copies;
    return 0;
}

/* What is set through the library's functions must be found where our headers say: another build of
 * the library with another layout would be written all over by our handlers. */
static bool layout_fits(void)
{
    static const char mark[] = "/proc/self/fd/-layout-";
    t38_terminal_state_t *terminal = t38_terminal_init(NULL, FALSE, no_packet, NULL);
    t30_state_t *t30;
    bool fits;

    if (terminal == NULL)
        return false;
    t30 = t38_terminal_get_t30_state(terminal);
    t30_set_rx_file(t30, mark, 4711);
    t30_set_ecm_capability(t30, TRUE);
    fits = t30 == &terminal->t30 && strcmp(t30->rx_file, mark) == 0 && t30->rx_stop_page == 4711 &&
           t30->ecm_allowed == TRUE && t30->state == STATE_ANSWERING &&
           t30->send_hdlc_user_data == terminal &&
           t38_terminal_get_t38_core_state(terminal) == &terminal->t38_fe.t38;
    t38_terminal_free(terminal);
    return fits;
}

int session_library_init(void)
{
    if (sink_fd >= 0)
        return 0;
    if (!layout_fits()) {
        log_error("library name=spandsp error=\"not the version 0.0.6 that this program was built "
                  "for\" do=\"install libspandsp2 0.0.6 or build again\"");
        return ERROR_LIBRARY;
    }
    sink_fd = memfd_create("t30-sink", MFD_CLOEXEC);
    if (sink_fd < 0) {
        log_error("library name=spandsp error=\"no memfd for its file\"");
        return ERROR_IO;
    }
    page_image_library_init();
    return 0;
}

/* ---- handlers ------------------------------------------------------------------------------- */

static bool is_receiving(const t30_state_t *t30)
{
    return t30->operation_in_progress == OPERATION_T4_RX && t30->t4.rx.tiff.tiff_file != NULL;
}

static struct page_bitmap bitmap_of(const t30_state_t *t30)
{
    const t4_rx_state_t *t4 = &t30->t4.rx;

    return (struct page_bitmap){
        .rows = t4->image_buffer,
        .width = t4->image_width,
        .length = t4->image_length,
        .bytes_per_row = t4->bytes_per_row,
        .x_per_m = t4->x_resolution,
        .y_per_m = t4->y_resolution,
        .bad_rows = t4->t4_t6_rx.bad_rows,
        .longest_bad_run = t4->t4_t6_rx.longest_bad_row_run,
    };
}

/* Called by t4_rx_end_page() for each row, and with NULL when they are through. */
static int on_row(void *user, const uint8_t row[], size_t length)
{
    struct core *core = user;
    struct page_bitmap page;

    (void)length;
    if (row != NULL)
        return 0;
    page = bitmap_of(core->t30);
    core->page_since_command = true;
    core->hooks.page(core->hooks.user, &page);
    return 0;
}

/* T.30 phase B: the core has taken a DCS. */
static int on_phase_b(t30_state_t *t30, void *user, int fcf)
{
    struct core *core = user;

    (void)t30;
    (void)fcf;
    core->hooks.begins(core->hooks.user);
    return T30_ERR_OK;
}

/* T.30 phase D comes with pages and with RTN; only here can the rows of a bad page be had. */
static int on_phase_d(t30_state_t *t30, void *user, int fcf)
{
    struct core *core = user;
    struct page_bitmap page;

    (void)fcf;
    if (!core->page_since_command && is_receiving(t30) && t30->t4.rx.image_length > 0 &&
        t30->t4.rx.image_buffer != NULL) {
        page = bitmap_of(t30);
        page.bad_rows = core->bad_rows;
        core->hooks.rejected(core->hooks.user, &page);
    }
    return T30_ERR_OK;
}

static void on_phase_e(t30_state_t *t30, void *user, int result)
{
    struct core *core = user;

    (void)t30;
    core->hooks.ended(core->hooks.user,
                      result == T30_ERR_OK ? NULL : t30_completion_code_to_str(result));
}

/* The library takes SUB, SID and PWD but does not say so in its DIS: bits 49 and 50 (T.30 table 2),
 * with the extension bits that lead there. */
static int offer_addressing(uint8_t out[FRAME_MAX], const uint8_t *dis, int length)
{
    enum { ADDRESSING_OCTET = 9, SUBADDRESS = 0x01, PASSWORD = 0x02, EXTENSION = 0x80 };
    int i;

    memcpy(out, dis, (size_t)length);
    for (i = length; i <= ADDRESSING_OCTET; i++)
        out[i] = 0;
    for (i = 5; i < ADDRESSING_OCTET; i++)
        out[i] |= EXTENSION;
    out[ADDRESSING_OCTET] |= SUBADDRESS | PASSWORD;
    return length > ADDRESSING_OCTET ? length : ADDRESSING_OCTET + 1;
}

static void on_send(void *user, const uint8_t *frame, int length)
{
    struct core *core = user;
    uint8_t dis[FRAME_MAX];

    if (length > 5 && length < 64 && frame_fcf(frame, (size_t)length) == FCF_DIS) {
        length = offer_addressing(dis, frame, length);
        frame = dis;
    }
    if (length > 0) {
        /* the document is open from CFR on: its decoder gets our row handler now */
        if (frame_fcf(frame, (size_t)length) == FCF_CFR && is_receiving(core->t30))
            t4_rx_set_row_write_handler(&core->t30->t4.rx, on_row, core);
        if (!core->hooks.sends(core->hooks.user, frame, (size_t)length))
            return;
    } else if (length < 0) {
        core->hooks.flushed(core->hooks.user);
    }
    core->send(core->send_user, frame, length);
}

/* We only receive. Should a frame bring the core to send a page, it has none: its terminal would
 * never come back from looking for one. */
static void on_set_tx(void *user, int type, int bit_rate, int short_train, int use_hdlc)
{
    struct core *core = user;

    if (type <= T30_MODEM_V21 || type == T30_MODEM_DONE)
        core->set_tx(core->set_tx_user, type, bit_rate, short_train, use_hdlc);
    else
        core->hooks.ended(core->hooks.user, "the sender asked us to send");
}

/* A modem on a port may not have all of them. */
static int supported_modems(const struct session_settings *settings)
{
    int all = T30_SUPPORT_V27TER | T30_SUPPORT_V29 | T30_SUPPORT_V17;
    unsigned rates = settings->modem.rates;

    if (settings->media != SESSION_MODEM || settings->modem.class >= MODEM_CLASS_2)
        return all;
    return T30_SUPPORT_V27TER | (rates & MODEM_V29 ? T30_SUPPORT_V29 : 0) |
           (rates & MODEM_V17 ? T30_SUPPORT_V17 : 0);
}

void core_attach(struct core *core, struct t30_state_s *t30,
                 const struct session_settings *settings, const struct core_hooks *hooks)
{
    char sink_path[40];

    *core = (struct core){
        .t30 = t30,
        .hooks = *hooks,
        .send = t30->send_hdlc_handler,
        .send_user = t30->send_hdlc_user_data,
        .set_tx = t30->set_tx_type_handler,
        .set_tx_user = t30->set_tx_type_user_data,
    };
    t30->set_tx_type_handler = on_set_tx;
    t30->set_tx_type_user_data = core;
    t30->send_hdlc_handler = on_send;
    t30->send_hdlc_user_data = core;
    /* Never a real path: the library removes a file that it wrote no page to. */
    snprintf(sink_path, sizeof sink_path, "/proc/self/fd/%d", sink_fd);
    t30_set_rx_file(t30, sink_path, -1);
    t30_set_tx_ident(t30, settings->station != NULL ? settings->station : "");
    t30_set_ecm_capability(t30, settings->ecm);
    t30_set_supported_modems(t30, supported_modems(settings));
    t30_set_supported_compressions(t30, T30_SUPPORT_T4_1D_COMPRESSION |
                                            T30_SUPPORT_T4_2D_COMPRESSION |
                                            (settings->ecm ? T30_SUPPORT_T6_COMPRESSION : 0));
    t30_set_supported_resolutions(t30,
                                  T30_SUPPORT_STANDARD_RESOLUTION | T30_SUPPORT_FINE_RESOLUTION |
                                      T30_SUPPORT_SUPERFINE_RESOLUTION | T30_SUPPORT_R8_RESOLUTION |
                                      T30_SUPPORT_R16_RESOLUTION | T30_SUPPORT_300_300_RESOLUTION);
    t30_set_supported_image_sizes(t30, T30_SUPPORT_215MM_WIDTH | T30_SUPPORT_255MM_WIDTH |
                                           T30_SUPPORT_303MM_WIDTH | T30_SUPPORT_UNLIMITED_LENGTH |
                                           T30_SUPPORT_A4_LENGTH | T30_SUPPORT_B4_LENGTH);
    t30_set_supported_t30_features(t30, T30_SUPPORT_IDENTIFICATION | T30_SUPPORT_SUB_ADDRESSING);
    t30_set_rx_encoding(t30, T4_COMPRESSION_ITU_T6);
    t30_set_phase_b_handler(t30, on_phase_b, core);
    t30_set_phase_d_handler(t30, on_phase_d, core);
    t30_set_phase_e_handler(t30, on_phase_e, core);
}

/* A DCS comes once more when its TCF broke off and so got no answer, and after an RTN to the last
 * page. The core calls it unexpected in both places and hangs up; in the state behind an FTT, where
 * a new DCS is what it waits for, it takes it. */
void core_note_frame(struct core *core, const uint8_t *frame, size_t length)
{
    t30_state_t *t30 = core->t30;

    if (frame_fcf(frame, length) == FCF_DCS &&
        (t30->state == STATE_F_TCF || t30->state == STATE_III_Q))
        t30->state = STATE_F_FTT;
}

bool core_expects_page(const struct t30_state_s *t30)
{
    return t30->state >= STATE_F_DOC_NON_ECM && t30->state <= STATE_F_POST_DOC_ECM;
}

bool core_reads_page(const t30_state_t *t30)
{
    return t30->rx_trained && (t30->state == STATE_F_DOC_NON_ECM || t30->state == STATE_F_DOC_ECM);
}

/* A frame that began and does not end makes the core hang up, without a word, after 3 s (its T2A
 * and T4A; T1A with ECM). The packet that was to end it may just be lost: so it gets a little more
 * time, which long frames can do with, and then counts as ended. */
static void end_endless_frame(struct core *core)
{
    t30_state_t *t30 = core->t30;
    int timer = t30->timer_t2_t4_is;

    if ((timer != TIMER_T1A && timer != TIMER_T2A && timer != TIMER_T4A) ||
        t30->timer_t2_t4 > T2A_SAMPLES - LAST_SAMPLES) {
        core->delays = 0;
        return;
    }
    if (t30->timer_t2_t4 > LAST_SAMPLES)
        return;
    if (core->delays++ < DELAYS_MOST) {
        t30->timer_t2_t4 += DELAY_SAMPLES;
        return;
    }
    core->delays = 0;
    t30_front_end_status(t30, T30_FRONT_END_RECEIVE_COMPLETE);
}

/* Flags that come into our CED make the core break it off and listen. But a command comes only
 * behind a DIS, so that goes out now. */
static void answer_after_all(t30_state_t *t30)
{
    if (t30->state == STATE_ANSWERING && t30->phase == PHASE_B_RX)
        t30_front_end_status(t30, T30_FRONT_END_SEND_STEP_COMPLETE);
}

/* When the carrier of a command goes before the command was whole, the core gives the sender 200 ms
 * (its T2B) and then begins anew with a DIS: into the rest of that very command, and nobody can
 * make anything of a DIS between pages. T.30 5.4.2 has the sender repeat a command that was not
 * answered within T4 (3 s), so the time it takes is waited out. */
void core_keep_waiting(struct core *core)
{
    t30_state_t *t30 = core->t30;

    end_endless_frame(core);
    answer_after_all(t30);
    if (t30->timer_t2_t4_is != TIMER_T2B)
        return;
    if (core_expects_page(t30) || t30->state == STATE_F_TCF || t30->state == STATE_F_FTT) {
        t30->timer_t2_t4_is = TIMER_T2;
        t30->timer_t2_t4 = T2_SAMPLES;
    }
}

/* Was the end of the page seen? It ends with an RTC, six EOLs (T.4 4.1.4), of which two in a row
 * will do: nothing else in a page looks like that. Without it the page may have been cut short by a
 * carrier that tore or packets that were lost, and the rows that came, all good, say nothing about
 * those that did not. So the page is refused.
 *
 * A sender that never sends an RTC must get its faxes through nevertheless. It repeats what was
 * refused: when that ends without an RTC again, with no fewer rows, or for the third time, the end
 * was there, and its next pages are believed at once. Not so where the sender was heard after the
 * last row: then rows are missing, however often it comes. The sender decides how often that is. */
static bool end_was_seen(struct core *core, bool is_torn)
{
    const t4_rx_state_t *t4 = &core->t30->t4.rx;

    if (t4->t4_t6_rx.consecutive_eols > 0) {
        core->omits_rtc = false;
        return true;
    }
    if (is_torn)
        return false;
    if (core->refusals >= 2 || (core->refusals == 1 && t4->image_length >= core->refused_rows))
        core->omits_rtc = true;
    return core->omits_rtc;
}

/* How many rows were, in whole or in part, in what was lost. */
static int rows_lost(const t4_rx_state_t *t4, int lost_octets)
{
    int octets = t4->line_image_size / 8;

    if (octets <= 0)
        return 0;
    return (int)(((int64_t)t4->image_length * lost_octets + octets - 1) / octets);
}

/* The command behind a page outside ECM. The core judges a page by the share of its rows that are
 * bad. Those that were lost are worse than bad, for nothing in the page shows them; so a page that
 * lacks any is refused. A page to be refused gets more bad rows than it has rows. */
static void judge_page(struct core *core, bool is_torn, int lost_octets)
{
    t4_rx_state_t *t4 = &core->t30->t4.rx;
    int lost = rows_lost(t4, lost_octets);
    bool ended = end_was_seen(core, is_torn);

    t4->t4_t6_rx.bad_rows += lost;
    core->bad_rows = t4->t4_t6_rx.bad_rows;
    if (ended && (lost == 0 || core->refusals >= LOST_REFUSALS)) {
        core->refusals = core->refused_rows = 0;
        return;
    }
    log_info("page refused rows=%d lost=%d why=\"%s\"", t4->image_length, lost,
             ended ? "packets were lost" : "its end was not seen");
    core->refusals++;
    if (t4->image_length > core->refused_rows)
        core->refused_rows = t4->image_length;
    t4->t4_t6_rx.bad_rows = t4->image_length + 1;
}

void core_note_command(struct core *core, bool is_torn, int lost_octets)
{
    t30_state_t *t30 = core->t30;

    core->page_since_command = false;
    if (t30->state == STATE_F_POST_DOC_NON_ECM)
        judge_page(core, is_torn, lost_octets);
    /* Nothing came of the page, not even its training. A command that is only repeated, because our
     * answer was lost, does not come as far as this; the core would take it for one. */
    if (t30->state == STATE_F_DOC_NON_ECM)
        t30->image_carrier_attempted = TRUE;
}

void core_send(struct core *core, const uint8_t *frame, size_t length)
{
    core->send(core->send_user, frame, (int)length);
}

/* ---- rows ----------------------------------------------------------------------------------- */

int core_rows(const struct core *core)
{
    return is_receiving(core->t30) ? core->t30->t4.rx.image_length : 0;
}

int core_block_octets(const struct core *core)
{
    const t30_state_t *t30 = core->t30;
    int octets = 0;
    int i;

    if (!is_receiving(t30) || !t30->error_correcting_mode)
        return 0;
    for (i = 0; i < 256; i++)
        octets += t30->ecm_len[i] > 0 ? t30->ecm_len[i] : 0;
    return octets;
}

int core_pages(const struct core *core)
{
    return core->t30->rx_page_number;
}

bool core_is_ecm(const struct core *core)
{
    return core->t30->error_correcting_mode != 0;
}

bool core_page_attempted(const struct core *core)
{
    return core->t30->image_carrier_attempted != 0;
}

/* Lengths of the frames from the start of the block to the first gap. */
static int complete_frames(const t30_state_t *t30, int *out_octets)
{
    int octets = 0;
    int i;

    for (i = 0; i < 256 && t30->ecm_len[i] >= 0; i++)
        octets += t30->ecm_len[i];
    *out_octets = octets;
    return i;
}

/* A decoder of its own in the same state, so that the real one stays untouched. */
static bool probe_open(t4_rx_state_t *probe, const t4_rx_state_t *t4)
{
    size_t runs = ((size_t)t4->image_width + 4) * sizeof(uint32_t);
    size_t row = (size_t)t4->bytes_per_row;

    *probe = *t4;
    probe->cur_runs = malloc(runs);
    probe->ref_runs = malloc(runs);
    /* room for what one frame can make, so that it never grows; the row before is kept for repairs
     */
    probe->image_buffer_size = (int)(row * (FRAME_ROWS_MAX + 16));
    probe->image_buffer = calloc(1, (size_t)probe->image_buffer_size);
    if (probe->cur_runs == NULL || probe->ref_runs == NULL || probe->image_buffer == NULL)
        return false;
    memcpy(probe->cur_runs, t4->cur_runs, runs);
    memcpy(probe->ref_runs, t4->ref_runs, runs);
    return true;
}

static void probe_close(t4_rx_state_t *probe)
{
    free(probe->cur_runs);
    free(probe->ref_runs);
    free(probe->image_buffer);
}

bool core_block_fits(struct core *core, const uint8_t *pps, size_t length, int rows_max)
{
    const t30_state_t *t30 = core->t30;
    t4_rx_state_t probe = {0};
    int octets;
    int frames;
    int i;
    bool fits = true;

    if (!is_receiving(t30) || !t30->error_correcting_mode ||
        t30->line_encoding != T4_COMPRESSION_ITU_T6 || length <= FRAME_PPS_FRAMES)
        return true;
    frames = complete_frames(t30, &octets);
    if (t30->t4.rx.image_length + octets * 8 <= rows_max)
        return true; /* not even one row a bit would be too many */
    if (frames < pps[FRAME_PPS_FRAMES] + 1)
        return true; /* the core will ask for the missing frames and take nothing yet */
    if (!probe_open(&probe, &t30->t4.rx)) {
        probe_close(&probe);
        return false;
    }
    for (i = 0; i < frames && fits; i++) {
        probe.image_size = probe.bytes_per_row;
        probe.t4_t6_rx.last_row_starts_at = 0;
        if (t4_rx_put_chunk(&probe, t30->ecm_data[i], t30->ecm_len[i]))
            break;
        fits = probe.image_length <= rows_max;
    }
    probe_close(&probe);
    return fits;
}

int core_salvage(struct core *core, struct page_bitmap *out, uint8_t **out_rows, int rows_max)
{
    t30_state_t *t30 = core->t30;
    t4_rx_state_t *t4 = &t30->t4.rx;
    int octets;
    int frames;
    size_t size;
    uint8_t *rows;
    int i;

    if (!is_receiving(t30) || t4->bytes_per_row <= 0)
        return ERROR_NOT_FOUND;
    if (t30->error_correcting_mode) {
        frames = complete_frames(t30, &octets);
        for (i = 0; i < frames && t4->image_length <= rows_max; i++) {
            if (t4_rx_put_chunk(t4, t30->ecm_data[i], t30->ecm_len[i]))
                break;
            t30->ecm_len[i] = -1;
        }
    }
    if (t4->image_length <= 0 || t4->image_buffer == NULL)
        return ERROR_NOT_FOUND;
    size = (size_t)t4->image_length * (size_t)t4->bytes_per_row;
    if (size > (size_t)t4->image_size)
        return ERROR_NOT_FOUND; /* that page has been taken already */
    rows = malloc(size);
    if (rows == NULL)
        return ERROR_MEMORY;
    memcpy(rows, t4->image_buffer, size);
    *out = bitmap_of(t30);
    out->rows = rows;
    *out_rows = rows;
    t4->image_length = 0;
    t4->image_size = 0;
    return 0;
}

/* ---- what is known -------------------------------------------------------------------------- */

static void take_text(char *out, size_t size, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        text_copy(out, size, text);
        text_printable(out);
    }
}

void core_describe(const struct core *core, struct call_info *info)
{
    t30_state_t *t30 = core->t30;
    t30_stats_t stats;

    take_text(info->station, sizeof info->station, t30_get_rx_ident(t30));
    take_text(info->subaddress, sizeof info->subaddress, t30_get_rx_sub_address(t30));
    take_text(info->sender, sizeof info->sender, t30_get_rx_sender_ident(t30));
    take_text(info->password, sizeof info->password, t30_get_rx_password(t30));
    if (t30->operation_in_progress == 0 || t30->current_fallback < 0)
        return;
    t30_get_transfer_statistics(t30, &stats);
    info->bit_rate = stats.bit_rate;
    info->ecm = stats.error_correcting_mode != 0;
    text_copy(info->compression, sizeof info->compression, t4_encoding_to_str(t30->line_encoding));
    info->width = stats.width;
    info->x_per_m = stats.x_resolution;
    info->y_per_m = stats.y_resolution;
}
