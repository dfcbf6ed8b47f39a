/* SPDX-License-Identifier: MIT */
/*
 * faxcall_terminal.c - the fax machine of faxcall: the library's fax_state and t38_terminal as they
 * are, watched through their own handlers only.
 */
#include <stdlib.h>
#include <string.h>

#define SPANDSP_EXPOSE_INTERNAL_STRUCTURES 1 /* for the progress within a page, read only */
#include <spandsp.h>

#include "base/clock.h"
#include "base/text.h"
#include "test/tools/faxcall.h"

struct terminal {
    const struct options *options;
    const char *file;
    terminal_send_handler *send;
    void *user;
    fax_state_t *fax; /* one of the two */
    t38_terminal_state_t *t38;
    t30_state_t *t30;                    /* of that one */
    t30_send_hdlc_handler_t *send_frame; /* its own, behind forge() */
    void *send_frame_user;
    int command; /* post-message command that waits for its answer, 0: none */
    int64_t command_at_ms;
    struct outcome outcome;
};

/* ---- what T.30 says ------------------------------------------------------------------------- */

static void statistics_note(struct terminal *terminal)
{
    struct outcome *outcome = &terminal->outcome;
    t30_stats_t statistics;
    const char *ident = t30_get_rx_ident(terminal->t30);

    t30_get_transfer_statistics(terminal->t30, &statistics);
    outcome->bit_rate = statistics.bit_rate;
    outcome->ecm = statistics.error_correcting_mode != 0;
    outcome->pages_received = statistics.pages_rx;
    if (statistics.pages_in_file > outcome->pages_in_file)
        outcome->pages_in_file = statistics.pages_in_file;
    if (ident != NULL && ident[0] != '\0') {
        text_copy(outcome->far_station, sizeof outcome->far_station, ident);
        text_printable(outcome->far_station);
    }
}

static int on_phase_b(t30_state_t *t30, void *user, int result)
{
    (void)t30;
    (void)result;
    statistics_note(user);
    return T30_ERR_OK;
}

/* On the sending side this comes with the answer to a post-message command. RTN means the page is
 * not taken; all else confirms it. */
static int on_phase_d(t30_state_t *t30, void *user, int result)
{
    struct terminal *terminal = user;
    struct outcome *outcome = &terminal->outcome;
    int fcf = result & 0xfe;

    (void)t30;
    statistics_note(terminal);
    if (terminal->options->answer || fcf == (T30_RTN & 0xfe) || fcf == (T30_PIN & 0xfe))
        return T30_ERR_OK;
    if (outcome->pages_confirmed < FAXCALL_PAGES_MAX && terminal->command != 0)
        outcome->mcf_ms[outcome->pages_confirmed] =
            (int)(clock_monotonic_ms() - terminal->command_at_ms);
    terminal->command = 0;
    outcome->pages_confirmed++;
    if (outcome->pages_sent < outcome->pages_confirmed)
        outcome->pages_sent = outcome->pages_confirmed;
    return T30_ERR_OK;
}

static void on_phase_e(t30_state_t *t30, void *user, int code)
{
    struct terminal *terminal = user;
    struct outcome *outcome = &terminal->outcome;

    (void)t30;
    if (outcome->done)
        return;
    statistics_note(terminal);
    outcome->done = true;
    outcome->ok = code == T30_ERR_OK;
    if (!outcome->ok)
        text_copy(outcome->error, sizeof outcome->error, t30_completion_code_to_str(code));
}

/* T.30 5.3.6.1.6: what may follow a page. In ECM it stands in the second field of PPS and EOR; 0
 * there is the end of a partial page only. Gives 0 for all other frames. */
static int frame_post_message(const uint8_t *frame, int length)
{
    int fcf = length >= 3 ? frame[2] & 0xfe : 0;

    if (fcf == (T30_MPS & 0xfe) || fcf == (T30_EOM & 0xfe) || fcf == (T30_EOP & 0xfe))
        return fcf;
    if ((fcf == (T30_PPS & 0xfe) || fcf == (T30_EOR & 0xfe)) && length >= 4 && frame[3] != 0)
        return fcf << 8 | frame[3];
    return 0;
}

static void on_frame(t30_state_t *t30, void *user, int incoming, const uint8_t *frame, int length)
{
    struct terminal *terminal = user;
    struct outcome *outcome = &terminal->outcome;
    int fcf = length >= 3 ? frame[2] & 0xfe : 0, command;

    (void)t30;
    if (incoming && fcf == (T30_PPR & 0xfe)) {
        outcome->retransmits++;
        terminal->command = 0; /* frames are sent again, then the command anew */
    }
    if (incoming)
        return;
    if (fcf == (T30_DCS & 0xfe))
        outcome->trainings++;
    if ((command = frame_post_message(frame, length)) == 0)
        return;
    if (command == terminal->command) {
        outcome->retransmits++;
    } else if (terminal->command == 0) {
        outcome->pages_sent = outcome->pages_confirmed + 1;
        terminal->command_at_ms = clock_monotonic_ms(); /* of the first try: all is waiting */
    }
    terminal->command = command;
}

/* ---- frames that no fax machine makes -------------------------------------------------------- */

const char *const forge_words[] = {"nothing",   "dcs-width", "dcs-rate",  "dcs-long",
                                   "fcd-short", "fcd-rows",  "pps-short", "ctc-short",
                                   "ctc-rate",  "eor-short", NULL};

/* Gives the new length. */
static int forge(enum forge kind, uint8_t *frame, int length, int size)
{
    int fcf = frame[2] & 0xfe;

    if (fcf == (T30_DCS & 0xfe) && length >= 6) {
        if (kind == FORGE_DCS_WIDTH)
            frame[5] |= 0x03;
        if (kind == FORGE_DCS_RATE)
            frame[4] |= 0x3c;
        if (kind == FORGE_DCS_LONG)
            while (length < size)
                frame[length++] = 0x80;
    } else if (fcf == (T4_FCD & 0xfe)) {
        if (kind == FORGE_FCD_SHORT)
            return 3;
        if (kind == FORGE_FCD_ROWS)
            memset(frame + 4, 0xff, (size_t)(length - 4));
    } else if (fcf == (T30_PPS & 0xfe)) {
        if (kind == FORGE_PPS_SHORT)
            return 4;
        if (kind == FORGE_CTC_SHORT || kind == FORGE_CTC_RATE) {
            frame[2] = T30_CTC | 1;
            frame[3] = 0;
            frame[4] = 0x3c;
            return kind == FORGE_CTC_SHORT ? 3 : 5;
        }
        if (kind == FORGE_EOR_SHORT) {
            frame[2] = T30_EOR | 1;
            return 3;
        }
    }
    return length;
}

static void on_hdlc(void *user, const uint8_t *frame, int length)
{
    struct terminal *terminal = user;
    uint8_t forged[300];
    int size = 40; /* of a DCS that is too long */

    if (length >= 3 && length <= 260) {
        memcpy(forged, frame, (size_t)length);
        length = forge(terminal->options->forge, forged, length, size);
        frame = forged;
    }
    terminal->send_frame(terminal->send_frame_user, frame, length);
}

/* ---- life ----------------------------------------------------------------------------------- */

static int on_ifp(t38_core_state_t *core, void *user, const uint8_t *ifp, int length, int copies)
{
    struct terminal *terminal = user;

    (void)core;
    terminal->send(terminal->user, ifp, (size_t)length, copies);
    return 0;
}

static void t30_prepare(struct terminal *terminal)
{
    const struct options *options = terminal->options;
    t30_state_t *t30 = terminal->t30;

    if (options->answer)
        t30_set_rx_file(t30, terminal->file, -1);
    else
        t30_set_tx_file(t30, terminal->file, -1, -1);
    t30_set_tx_ident(t30, options->station);
    t30_set_tx_sub_address(t30, options->subaddress);
    t30_set_tx_sender_ident(t30, options->sender);
    t30_set_tx_password(t30, options->password);
    t30_set_ecm_capability(t30, options->ecm);
    if (options->modems != 0)
        t30_set_supported_modems(t30, options->modems);
    t30_set_supported_compressions(t30, options->compressions != 0
                                            ? options->compressions
                                            : T30_SUPPORT_T4_1D_COMPRESSION |
                                                  T30_SUPPORT_T4_2D_COMPRESSION |
                                                  T30_SUPPORT_T6_COMPRESSION);
    t30_set_supported_resolutions(t30,
                                  T30_SUPPORT_STANDARD_RESOLUTION | T30_SUPPORT_FINE_RESOLUTION |
                                      T30_SUPPORT_SUPERFINE_RESOLUTION | T30_SUPPORT_R8_RESOLUTION |
                                      T30_SUPPORT_R16_RESOLUTION | T30_SUPPORT_300_300_RESOLUTION |
                                      T30_SUPPORT_400_400_RESOLUTION);
    t30_set_supported_image_sizes(
        t30, T30_SUPPORT_215MM_WIDTH | T30_SUPPORT_255MM_WIDTH | T30_SUPPORT_303MM_WIDTH |
                 T30_SUPPORT_UNLIMITED_LENGTH | T30_SUPPORT_A4_LENGTH | T30_SUPPORT_B4_LENGTH |
                 T30_SUPPORT_US_LETTER_LENGTH | T30_SUPPORT_US_LEGAL_LENGTH);
    if (options->forge != FORGE_NOTHING) {
        terminal->send_frame = t30->send_hdlc_handler;
        terminal->send_frame_user = t30->send_hdlc_user_data;
        t30->send_hdlc_handler = on_hdlc;
        t30->send_hdlc_user_data = terminal;
    }
    t30_set_phase_b_handler(t30, on_phase_b, terminal);
    t30_set_phase_d_handler(t30, on_phase_d, terminal);
    t30_set_phase_e_handler(t30, on_phase_e, terminal);
    t30_set_real_time_frame_handler(t30, on_frame, terminal);
}

static bool t38_begin(struct terminal *terminal, int version)
{
    terminal->t38 = t38_terminal_init(NULL, !terminal->options->answer, on_ifp, terminal);
    if (terminal->t38 == NULL)
        return false;
    terminal->t30 = t38_terminal_get_t30_state(terminal->t38);
    t38_set_t38_version(t38_terminal_get_t38_core_state(terminal->t38), version);
    t30_prepare(terminal);
    return true;
}

static bool audio_begin(struct terminal *terminal)
{
    terminal->fax = fax_init(NULL, !terminal->options->answer);
    if (terminal->fax == NULL)
        return false;
    terminal->t30 = fax_get_t30_state(terminal->fax);
    fax_set_transmit_on_idle(terminal->fax, TRUE);
    t30_prepare(terminal);
    return true;
}

struct terminal *terminal_new(const struct options *options, enum kind kind, const char *file,
                              terminal_send_handler *send, void *user)
{
    struct terminal *terminal = calloc(1, sizeof *terminal);

    if (terminal == NULL)
        return NULL;
    terminal->options = options;
    terminal->file = file;
    terminal->send = send;
    terminal->user = user;
    if (kind == KIND_T38 ? t38_begin(terminal, options->t38_version) : audio_begin(terminal))
        return terminal;
    free(terminal);
    return NULL;
}

bool terminal_switch_t38(struct terminal *terminal, int version)
{
    fax_state_t *fax = terminal->fax;

    if (fax == NULL)
        return true;
    terminal->fax = NULL;
    fax_free(fax);
    terminal->command = 0;
    return t38_begin(terminal, version);
}

void terminal_free(struct terminal *terminal)
{
    if (terminal == NULL)
        return;
    if (terminal->fax != NULL)
        fax_free(terminal->fax);
    if (terminal->t38 != NULL)
        t38_terminal_free(terminal->t38);
    free(terminal);
}

/* ---- running -------------------------------------------------------------------------------- */

void terminal_take_ifp(struct terminal *terminal, const uint8_t *ifp, size_t length, uint16_t seq)
{
    if (terminal->t38 != NULL)
        t38_core_rx_ifp_packet(t38_terminal_get_t38_core_state(terminal->t38), ifp, (int)length,
                               seq);
}

void terminal_hear(struct terminal *terminal, int16_t in[RTP_TICK_SAMPLES])
{
    fax_rx(terminal->fax, in, RTP_TICK_SAMPLES);
}

void terminal_tick_audio(struct terminal *terminal, int16_t out[RTP_TICK_SAMPLES])
{
    int made = fax_tx(terminal->fax, out, RTP_TICK_SAMPLES);

    if (made < 0)
        made = 0;
    memset(out + made, 0, (size_t)(RTP_TICK_SAMPLES - made) * sizeof out[0]);
}

void terminal_tick_t38(struct terminal *terminal)
{
    t38_terminal_send_timeout(terminal->t38, RTP_TICK_SAMPLES);
}

/* Both counts are at 0 until the page begins and at their end when it is over. */
int terminal_page(const struct terminal *terminal, double *fraction)
{
    const t30_state_t *t30 = terminal->t30;
    int done = t30->t4.tx.t4_t6_tx.bit_ptr, all = t30->t4.tx.image_size;

    *fraction = 0;
    if (terminal->options->answer || terminal->outcome.trainings == 0 || terminal->outcome.done)
        return 0;
    if (t30->error_correcting_mode) { /* of this block of 64 kB; hardly a page has more than one */
        done = t30->ecm_current_tx_frame;
        all = t30->ecm_frames;
    }
    if (all > 0)
        *fraction = (double)done / all;
    return t30->tx_page_number + 1;
}

const struct outcome *terminal_outcome(struct terminal *terminal)
{
    return &terminal->outcome;
}

void terminal_stop(struct terminal *terminal)
{
    if (!terminal->outcome.done)
        t30_terminate(terminal->t30); /* calls on_phase_e */
}
