/* SPDX-License-Identifier: MIT */
/*
 * front_class2.c - a Class 2, 2.0 or 2.1 modem (SP-2388-A, T.32), which speaks T.30 itself: we play
 * the caller to our own core.
 *
 * What the modem reports of the sender becomes the frames that a sender would have sent, and the
 * page's octets become an image without ECM, whatever was on the line. So a page goes the same way
 * through guard, core, gate and store as with any other front end. What the core answers is not
 * sent, but told to the modem: it keeps the sender waiting until the next AT+FDR, which sends MCF,
 * or RTN after AT+FPTS=2.
 *
 *   PREPARING ─► ANSWERING ─► WAITING ─► PAGE ─► AFTER ─► (OVERRIDING) ─► WAITING …
 *                   ATA        AT+FDR   CONNECT  DLE ETX    AT+FPTS=n      AT+FDR
 *
 * No timer of the core runs: the modem has its own. Every state has a deadline instead.
 */
#include "fax/t30/front.h"

#include <stdlib.h>
#include <string.h>

#include <spandsp.h>

#include "fax/modem/class2_bits.h"
#include "fax/modem/class2_front.h"
#include "fax/modem/front_modem.h"
#include "fax/t30/frames.h"

enum {
    /* How long a modem can keep the sender waiting is not said anywhere; a sender repeats its
     * command three times, with 3 s and a frame of 1.5 s between (T.30 T4), and modems wait 30 s
     * for us (T.32 +FCT). */
    PATIENCE_MS = 25000,
    DC2 = 0x12,
    STEPS_MOST = 16,   /* of the core without anything from outside: DIS has four */
    TCF_OCTETS = 2700, /* 1.5 s at 14400 bit/s */
    ROWS_DECIDE = 3,
    SNIFF_FIRST = 64,
    COMMAND_OCTETS = 3,
    LINES_SLACK = 8,
    DCS_2D = 0x80, /* octet 4: T.30 table 2, bit 16 */
};

/* ---- what the core sends -------------------------------------------------------------------- */

/* CFR, DIS and the like have arrived at once. What answers a page is for the modem: the front end
 * looks at it in its next tick, as this may be called on a worker. */
static void on_send_hdlc(void *user, const uint8_t *frame, int length)
{
    struct class2_caller *caller = user;
    uint8_t fcf = length > 0 ? frame_fcf(frame, (size_t)length) : FCF_NULL;

    caller->step_due = length >= 0;
    if (fcf == FCF_MCF || fcf == FCF_RTP || fcf == FCF_RTN || fcf == FCF_DCN)
        caller->answer = fcf;
    if (fcf == FCF_RTN && caller->is_guessed)
        caller->is_reversed = !caller->is_reversed; /* the other order, when the page comes again */
}

static void on_set_rx_type(void *user, int type, int rate, int short_train, int hdlc)
{
    (void)user, (void)type, (void)rate, (void)short_train, (void)hdlc;
}

static void on_set_tx_type(void *user, int type, int rate, int short_train, int hdlc)
{
    struct class2_caller *caller = user;

    (void)rate, (void)short_train, (void)hdlc;
    if (type == T30_MODEM_CED || type == T30_MODEM_PAUSE)
        caller->step_due = true;
}

/* What the core sends has arrived. */
static void arrived(struct class2_caller *caller)
{
    for (int i = 0; i < STEPS_MOST && caller->step_due; i++) {
        caller->step_due = false;
        t30_front_end_status(caller->t30, T30_FRONT_END_SEND_STEP_COMPLETE);
    }
}

/* ---- what the sender says ------------------------------------------------------------------- */

static bool give_frame(struct class2_caller *caller, const uint8_t *frame, size_t length)
{
    if (session_frame_in(caller->session, frame, length) != FRONT_TO_CORE)
        return false;
    t30_hdlc_accept(caller->t30, frame, (int)length, TRUE);
    return true;
}

static void give_ident(struct class2_caller *caller, uint8_t fcf, const char *text)
{
    uint8_t frame[CLASS2_FRAME_MAX];

    if (text[0] != '\0')
        give_frame(caller, frame, class2_ident(frame, fcf, text));
}

static void carrier(struct class2_caller *caller, bool up)
{
    if (up) {
        t30_non_ecm_put_byte(caller->t30, SIG_STATUS_TRAINING_IN_PROGRESS);
        t30_non_ecm_put_byte(caller->t30, SIG_STATUS_TRAINING_SUCCEEDED);
        t30_non_ecm_put_byte(caller->t30, SIG_STATUS_CARRIER_UP);
    } else {
        t30_non_ecm_put_byte(caller->t30, SIG_STATUS_CARRIER_DOWN);
    }
}

bool class2_caller_begin(struct class2_caller *caller, const char *subaddress, const char *sender,
                         const uint8_t *dcs, size_t length, int width)
{
    if (caller->restart_due) {
        /* After EOM the core would send DIS when T2 is over; after RTN to EOP it would never take
         * another DCS. The sender's words come again below. */
        caller->restart_due = false;
        t30_restart(caller->t30);
        caller->step_due = true; /* CED */
    }
    arrived(caller);
    give_ident(caller, CLASS2_FCF_SUB, subaddress);
    give_ident(caller, CLASS2_FCF_TSI, sender);
    if (!give_frame(caller, dcs, length))
        return false;
    caller->is_2d = (dcs[4] & DCS_2D) != 0;
    caller->width = width;
    carrier(caller, true);
    for (int i = 0; i < TCF_OCTETS; i++)
        t30_non_ecm_put_byte(caller->t30, 0);
    carrier(caller, false);
    arrived(caller);
    return true;
}

void class2_caller_page(struct class2_caller *caller)
{
    arrived(caller);
    session_image_in(caller->session); /* a page begins, even if no octet of it should come */
    carrier(caller, true);
    if (caller->bit_order != MODEM_BITS_AUTO)
        caller->is_reversed = caller->bit_order == MODEM_BITS_REVERSED;
    caller->is_known = caller->bit_order != MODEM_BITS_AUTO;
    caller->sniffed = 0;
    caller->sniff_next = SNIFF_FIRST;
    caller->is_guessed = false;
    caller->answer = FCF_NULL;
}

/* ---- image octets --------------------------------------------------------------------------- */

static void put_image(struct class2_caller *caller, const uint8_t *octets, size_t length)
{
    uint8_t turned[256];

    while (length > 0) {
        size_t part = length < sizeof turned ? length : sizeof turned;

        if (caller->is_reversed)
            class2_reverse_bits(turned, octets, part);
        else
            memcpy(turned, octets, part);
        for (size_t i = 0; i < part; i++)
            t30_non_ecm_put_byte(caller->t30, turned[i]);
        octets += part;
        length -= part;
    }
}

/* Looks in which order of bits the page has rows, and gives the core what was kept. */
static void settle_bit_order(struct class2_caller *caller, bool at_end)
{
    const uint8_t *sniff = caller->sniff;
    size_t length = caller->sniffed;
    int straight;
    int turned;

    if (!at_end && length < caller->sniff_next)
        return;
    straight = class2_count_rows(sniff, length, false, caller->width, caller->is_2d, ROWS_DECIDE);
    turned = class2_count_rows(sniff, length, true, caller->width, caller->is_2d, ROWS_DECIDE);
    caller->sniff_next = length * 2 < CLASS2_SNIFF_OCTETS ? length * 2 : CLASS2_SNIFF_OCTETS;
    if (!at_end && length < CLASS2_SNIFF_OCTETS && straight < ROWS_DECIDE && turned < ROWS_DECIDE)
        return;
    caller->is_guessed = straight == turned;
    if (straight != turned)
        caller->is_reversed = turned > straight; /* else as the page before */
    caller->is_known = true;
    put_image(caller, sniff, length);
    caller->sniffed = 0;
}

void class2_caller_image(struct class2_caller *caller, const uint8_t *octets, size_t length)
{
    session_image_in(caller->session);
    while (!caller->is_known && length > 0) {
        size_t part = CLASS2_SNIFF_OCTETS - caller->sniffed;

        if (part > length)
            part = length;
        memcpy(caller->sniff + caller->sniffed, octets, part);
        caller->sniffed += part;
        octets += part;
        length -= part;
        settle_bit_order(caller, false);
    }
    put_image(caller, octets, length);
}

/* ---- the end of a page, and of the call ----------------------------------------------------- */

static void make_command(uint8_t out[COMMAND_OCTETS], uint8_t fcf)
{
    out[0] = 0xff;
    out[1] = FRAME_FINAL;
    out[2] = fcf | 1; /* X: the sender has had our DIS */
}

/* Six EOL end a page (T.4 4.1.4); behind an RTC that was there the core takes no notice of them. */
static void put_rtc(struct class2_caller *caller)
{
    const char *eol = caller->is_2d ? "0000000000011" : "000000000001";
    uint8_t octet = 0;
    int bits = 0;

    for (int i = 0; i < 6; i++) {
        for (const char *bit = eol; *bit != '\0'; bit++) {
            octet |= (uint8_t)((*bit == '1') << bits);
            if (++bits == 8) {
                t30_non_ecm_put_byte(caller->t30, octet);
                octet = 0;
                bits = 0;
            }
        }
    }
    t30_non_ecm_put_byte(caller->t30, octet);
}

static void give_command(struct class2_caller *caller)
{
    uint8_t frame[COMMAND_OCTETS];

    make_command(frame, caller->command);
    t30_hdlc_accept(caller->t30, frame, sizeof frame, TRUE);
}

/* The modem counted rows that have not come to us: octets were lost between it and us. Some count a
 * little otherwise than we do. */
static bool lacks_rows(const struct class2_caller *caller, int lines)
{
    t30_stats_t stats;

    t30_get_transfer_statistics(caller->t30, &stats);
    return lines - lines / 50 - LINES_SLACK > stats.length;
}

bool class2_caller_page_end(struct class2_caller *caller, uint8_t command, bool is_whole, int lines)
{
    uint8_t frame[COMMAND_OCTETS];

    if (!caller->is_known)
        settle_bit_order(caller, true);
    if (is_whole && !lacks_rows(caller, lines))
        put_rtc(caller); /* without it the page counts as cut short */
    carrier(caller, false);
    caller->command = command;
    caller->restart_due = command != FCF_MPS; /* if anything follows */
    caller->answer = FCF_NULL;
    make_command(frame, command);
    switch (session_frame_in(caller->session, frame, sizeof frame)) {
    case FRONT_TO_WORKER: return true;
    case FRONT_TO_CORE: give_command(caller); break;
    default: break;
    }
    return false;
}

void class2_caller_hangup(struct class2_caller *caller)
{
    uint8_t frame[COMMAND_OCTETS];

    arrived(caller);
    make_command(frame, FCF_DCN);
    give_frame(caller, frame, sizeof frame);
    arrived(caller);
}

/* ---- the front end -------------------------------------------------------------------------- */

static void class2_octets(struct front *base, const uint8_t *octets, size_t length)
{
    at_stream_feed(&((struct front_class2 *)base)->stream, octets, length);
}

static void class2_pump(struct front *base, bool on_worker)
{
    struct front_class2 *front = (struct front_class2 *)base;

    if (!on_worker || !base->needs_worker)
        return;
    base->needs_worker = false;
    give_command(&front->caller);
}

/* The modem is at work for the call, and not waiting for a command. */
static bool is_busy(const struct front_class2 *front)
{
    return front->state == CLASS2_ANSWERING || front->state == CLASS2_WAITING ||
           front->state == CLASS2_PAGE;
}

static void class2_tick(struct front *base, int elapsed_ms, int16_t *audio_out)
{
    struct front_class2 *front = (struct front_class2 *)base;

    if (audio_out != NULL)
        memset(audio_out, 0, sizeof *audio_out * SESSION_TICK_SAMPLES);
    if (!front->begun) {
        front->begun = true;
        class2_start(front);
        return;
    }
    if (front->caller.answer == FCF_DCN) { /* the core wants no more of it */
        front->caller.answer = FCF_NULL;
        class2_refuse(front);
        arrived(&front->caller);
    }
    if (base->frozen && !base->responding && is_busy(front))
        class2_refuse(front); /* the session ends, and the modem would hear nothing but that */
    class2_pass_time(front, elapsed_ms);
}

static void class2_respond(struct front *base, const uint8_t *frame, size_t length)
{
    struct front_class2 *front = (struct front_class2 *)base;

    switch (frame_fcf(frame, length)) {
    case FCF_DCN: class2_refuse(front); break;
    case FCF_MCF:
    case FCF_RTP:
    case FCF_RTN: front->caller.answer = frame_fcf(frame, length); break; /* as before */
    default: break; /* RNR: the modem does that by itself, if it can */
    }
}

static void class2_describe(const struct front *base, struct call_info *info)
{
    const struct front_class2 *front = (const struct front_class2 *)base;

    if (!front->has_parameters)
        return;
    info->bit_rate = class2_bit_rate(&front->parameters);
    info->ecm = front->parameters.value[CLASS2_EC] > 0;
}

/* ---- life ----------------------------------------------------------------------------------- */

static bool class2_caller_init(struct class2_caller *caller, struct session *session,
                               enum modem_bit_order bit_order)
{
    *caller = (struct class2_caller){.session = session, .bit_order = bit_order};
    caller->t30 =
        t30_init(NULL, FALSE, on_set_rx_type, caller, on_set_tx_type, caller, on_send_hdlc, caller);
    return caller->t30 != NULL;
}

static void class2_caller_free(struct class2_caller *caller)
{
    if (caller->t30 != NULL)
        t30_free(caller->t30);
    caller->t30 = NULL;
}

static void class2_free(struct front *base)
{
    struct front_class2 *front = (struct front_class2 *)base;

    if (front == NULL)
        return;
    class2_caller_free(&front->caller);
    free(front);
}

static const struct front_ops ops = {
    .free = class2_free,
    .octets = class2_octets,
    .pump = class2_pump,
    .tick = class2_tick,
    .respond = class2_respond,
    .describe = class2_describe,
};

struct front *front_class2_new(struct session *session, const struct session_settings *settings)
{
    struct front_class2 *front = calloc(1, sizeof *front);
    const struct at_stream_hooks hooks = {
        .user = front, .line = class2_line, .data = class2_data, .data_end = class2_data_end};

    if (front == NULL)
        return NULL;
    front->base = (struct front){.ops = &ops, .session = session, .patience_ms = PATIENCE_MS};
    front->class = settings->modem.class;
    front->page_start = settings->modem.page_start != 0 ? settings->modem.page_start : DC2;
    class2_prepare_init(&front->prepare, front->class, settings->station, settings->ecm);
    at_stream_init(&front->stream, &hooks);
    if (!class2_caller_init(&front->caller, session, settings->modem.bit_order)) {
        class2_free(&front->base);
        return NULL;
    }
    front->base.t30 = front->caller.t30;
    return &front->base;
}
