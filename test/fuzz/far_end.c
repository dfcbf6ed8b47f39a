/* SPDX-License-Identifier: MIT */
/*
 * far_end.c - the session first, then what the far end can do.
 */
#define SPANDSP_EXPOSE_INTERNAL_STRUCTURES 1

#include "test/fuzz/far_end.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spandsp.h>

#include "base/log.h"
#include "fax/t30/frames.h"
#include "message/tiff_page.h"

enum {
    STEP_MS = 500, /* of a T.38 session that waits for its end */
    STALL_MS = 60000,
    QUIET_MS = 500,
    ENDS_MS = 240000, /* … after the far end fell silent: gate, repeats and DCN fit in */
    ROWS_MAX = 3000,
    ROWS_OVER = 4096,      /* the watch looks five times a second; a block may be on top of it */
    MEMORY_MAX = 96 << 20, /* of one call: a page of 7,000 rows of 432 octets, coded and not */
};

struct far_end {
    struct far_end_options options;
    struct session *session;
    t38_core_state_t *t38; /* packs and unpacks IFP */
    int64_t now_ms;
    bool over, tells;
    size_t memory_before;
    int quiet_ms;       /* audio: since the session was heard */
    uint8_t frame[300]; /* being received */
    size_t frame_length;
    uint8_t answer; /* control field of the last final frame */
    /* the store */
    bool awaited;
    uint32_t generation;
    int64_t due_ms;
    int stores, stored;
    bool last_is_stored; /* the page handed out last; true before the first */
    bool asked_block;    /* a block within a page may be confirmed: PPS-NULL came since then */
};

static void promise(bool kept, const char *what)
{
    if (kept)
        return;
    fprintf(stderr, "promise broken: %s\n", what);
    abort();
}

/* ---- memory -----------------------------------------------------------------------------------
 */

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t memory_used(void)
{
    struct mallinfo2 about;

    if (__sanitizer_get_current_allocated_bytes != NULL)
        return __sanitizer_get_current_allocated_bytes();
    about = mallinfo2();
    return about.uordblks + about.hblkhd;
}

/* ---- what the session does --------------------------------------------------------------------
 */

static void confirmed(struct far_end *far_end)
{
    promise(far_end->asked_block || (far_end->last_is_stored && far_end->stored > 0),
            "a page is confirmed that is not stored");
}

/* Of the wire, decoded. */
static int on_data(t38_core_state_t *t38, void *user, int type, int field, const uint8_t *octets,
                   int length)
{
    struct far_end *far_end = user;
    uint8_t fcf;

    (void)t38;
    (void)type;
    if (field == T38_FIELD_HDLC_DATA &&
        far_end->frame_length + (size_t)length <= sizeof far_end->frame) {
        bit_reverse(far_end->frame + far_end->frame_length, octets, length);
        far_end->frame_length += (size_t)length;
    }
    if (field != T38_FIELD_HDLC_FCS_OK && field != T38_FIELD_HDLC_FCS_OK_SIG_END)
        return 0;
    fcf = frame_fcf(far_end->frame, far_end->frame_length);
    if (fcf == FCF_MCF || fcf == FCF_RTP)
        confirmed(far_end);
    if (far_end->frame_length > 1 && far_end->frame[1] == FRAME_FINAL)
        far_end->answer = fcf;
    far_end->frame_length = 0;
    return 0;
}

static int on_indicator(t38_core_state_t *t38, void *user, int indicator)
{
    (void)t38;
    (void)user;
    (void)indicator;
    return 0;
}

static int on_missing(t38_core_state_t *t38, void *user, int seq, int expected)
{
    (void)t38;
    (void)user;
    (void)seq;
    (void)expected;
    return 0;
}

static void on_ifp(void *user, const uint8_t *ifp, size_t length, int copies)
{
    struct far_end *far_end = user;

    promise(copies > 0 && copies < 10 && length > 0, "a packet to be sent makes sense");
    t38_core_rx_ifp_packet(far_end->t38, ifp, (int)length,
                           (uint16_t)far_end->t38->rx_expected_seq_no);
}

static void on_ask(void *user)
{
    (void)user;
}

/* "SECONDS in|out|again|core NAME LENGTH" */
static void on_trace(void *user, const char *line)
{
    struct far_end *far_end = user;
    char direction[8] = "";
    char name[20] = "";

    if (far_end->tells)
        fprintf(stderr, "%s\n", line);
    if (sscanf(line, "%*s %7s %19s", direction, name) != 2)
        return;
    if (strcmp(direction, "in") == 0 && strcmp(name, "PPS-NULL") == 0)
        far_end->asked_block = true;
    if ((strcmp(direction, "out") == 0 || strcmp(direction, "again") == 0) &&
        (strcmp(name, "MCF") == 0 || strcmp(name, "RTP") == 0))
        confirmed(far_end);
}

/* What the composer will make of it later must be possible. */
static void check_page(const struct far_end *far_end, const struct session_page *page)
{
    struct tiff_page *tiff;
    const struct tiff_page_facts *facts;

    promise(tiff_page_open_memory(&tiff, page->tiff, page->length) == 0, "a page can be opened");
    facts = tiff_page_facts(tiff);
    promise((int64_t)facts->rows <= far_end->options.rows_max + ROWS_OVER,
            "a page is within limits.rows");
    promise(tiff_page_check(tiff) == 0, "a page can be decoded");
    if (far_end->tells)
        fprintf(stderr, "page %d%s: %d rows of %d\n", page->number,
                page->unconfirmed ? " (unconfirmed)" : "", facts->rows, facts->width);
    tiff_page_close(tiff);
}

static void take_pages(struct far_end *far_end)
{
    struct session_page page;

    while (session_take_page(far_end->session, &page)) {
        check_page(far_end, &page);
        free(page.tiff);
        if (page.unconfirmed)
            continue;
        far_end->stores++;
        far_end->awaited = true;
        far_end->last_is_stored = far_end->asked_block = false;
        far_end->generation = page.generation;
        far_end->due_ms = far_end->now_ms + far_end->options.store_ms;
    }
}

void far_end_store(struct far_end *far_end, int error)
{
    if (!far_end->awaited)
        return;
    if (far_end->stores == far_end->options.store_fails_at)
        error = -3;
    far_end->awaited = false;
    far_end->last_is_stored = error == 0;
    far_end->stored += error == 0;
    session_post_stored(far_end->session, far_end->generation, error);
}

static bool is_silent(const int16_t audio[SESSION_TICK_SAMPLES])
{
    for (int i = 0; i < SESSION_TICK_SAMPLES; i++)
        if (audio[i] != 0)
            return false;
    return true;
}

static void step(struct far_end *far_end, int ms)
{
    int16_t audio[SESSION_TICK_SAMPLES] = {0};
    enum session_need need;

    if (far_end->over)
        return;
    far_end->now_ms += ms;
    if (far_end->awaited && far_end->options.store_ms >= 0 && far_end->now_ms >= far_end->due_ms)
        far_end_store(far_end, 0);
    need = session_run(far_end->session, far_end->now_ms, audio);
    far_end->quiet_ms = is_silent(audio) ? far_end->quiet_ms + ms : 0;
    if (need == SESSION_GOES_ON)
        return;
    if (need == SESSION_NEEDS_WORKER) {
        session_work(far_end->session);
        take_pages(far_end);
    }
    far_end->over = need == SESSION_ENDED;
    promise(memory_used() < far_end->memory_before + MEMORY_MAX, "memory is bounded");
}

bool far_end_is_over(const struct far_end *far_end)
{
    return far_end->over;
}

void far_end_wait(struct far_end *far_end, int ms)
{
    static const int16_t silence[SESSION_TICK_SAMPLES];

    for (; ms > 0 && !far_end->over; ms -= SESSION_TICK_MS) {
        if (far_end->options.media == SESSION_AUDIO)
            session_post_audio(far_end->session, silence, SESSION_TICK_SAMPLES);
        step(far_end, SESSION_TICK_MS);
    }
}

void far_end_listen(struct far_end *far_end, int ms)
{
    far_end->quiet_ms = 0;
    for (; ms > 0 && far_end->quiet_ms < QUIET_MS && !far_end->over; ms -= SESSION_TICK_MS)
        far_end_wait(far_end, SESSION_TICK_MS);
}

/* ---- life -------------------------------------------------------------------------------------
 */

static int on_packet(t38_core_state_t *t38, void *user, const uint8_t *ifp, int length, int copies)
{
    (void)copies;
    far_end_ifp(user, ifp, (size_t)length, (uint16_t)t38->tx_seq_no);
    return 0;
}

struct far_end *far_end_new(const struct far_end_options *options)
{
    struct far_end *far_end = calloc(1, sizeof *far_end);
    const struct session_settings settings = {
        .media = options->media,
        .station = "+1 555 2000",
        .ecm = options->ecm,
        .pages_max = 6,
        .rows_max = options->rows_max > 0 ? options->rows_max : ROWS_MAX,
        .session_ms_max = 3600000,
        .stall_ms_max = STALL_MS,
        .t38_transferred_tcf = !options->local_tcf,
    };
    const struct session_hooks hooks = {
        .user = far_end, .send_ifp = on_ifp, .ask_t38 = on_ask, .trace = on_trace};

    log_open("fuzz", LOG_LEVEL_ALERT);
    tiff_page_library_init();
    if (far_end == NULL || session_library_init() < 0)
        abort();
    far_end->memory_before = memory_used();
    if (session_new(&far_end->session, &settings, &hooks) < 0)
        abort();
    far_end->options = *options;
    far_end->tells = getenv("FAR_END_TRACE") != NULL;
    far_end->options.rows_max = settings.rows_max;
    far_end->now_ms = 1000;
    far_end->last_is_stored = true;
    far_end->t38 =
        t38_core_init(NULL, on_indicator, on_data, on_missing, far_end, on_packet, far_end);
    return far_end;
}

void far_end_finish(struct far_end *far_end)
{
    struct call_info info = {0};
    int step_ms = far_end->options.media == SESSION_T38 ? STEP_MS : SESSION_TICK_MS;
    int16_t silence[SESSION_TICK_SAMPLES] = {0};

    if (far_end->options.store_ms < 0)
        far_end->options.store_ms = 0; /* a disk ends at last */
    for (int ms = 0; ms < ENDS_MS && !far_end->over; ms += step_ms) {
        if (far_end->options.media == SESSION_AUDIO)
            session_post_audio(far_end->session, silence, SESSION_TICK_SAMPLES);
        step(far_end, step_ms);
    }
    promise(far_end->over, "the call ends");
    session_describe(far_end->session, &info);
    promise(info.pages <= far_end->stored, "no page is counted as confirmed that is not stored");
    promise(info.verdict != CALL_LIVE, "a call that is over has a verdict");
    session_free(far_end->session);
    t38_core_free(far_end->t38);
    free(far_end);
}

uint8_t far_end_expect(struct far_end *far_end, int ms)
{
    far_end->answer = 0;
    for (; ms > 0 && far_end->answer == 0 && !far_end->over; ms -= SESSION_TICK_MS)
        step(far_end, SESSION_TICK_MS);
    return far_end->answer;
}

/* ---- T.38 -------------------------------------------------------------------------------------
 */

void far_end_ifp(struct far_end *far_end, const uint8_t *ifp, size_t length, uint16_t seq)
{
    session_post_ifp(far_end->session, ifp, length, seq);
}

static void send_frame(struct far_end *far_end, int type, const uint8_t *frame, size_t length,
                       bool final)
{
    uint8_t reversed[2048];

    if (length > sizeof reversed)
        length = sizeof reversed;
    bit_reverse(reversed, frame, (int)length);
    t38_core_send_data(far_end->t38, type, T38_FIELD_HDLC_DATA, reversed, (int)length, 1);
    t38_core_send_data(far_end->t38, type,
                       final ? T38_FIELD_HDLC_FCS_OK_SIG_END : T38_FIELD_HDLC_FCS_OK, NULL, 0, 1);
    if (final)
        t38_core_send_indicator(far_end->t38, T38_IND_NO_SIGNAL);
    step(far_end, SESSION_TICK_MS);
}

void far_end_v21(struct far_end *far_end, const uint8_t *frame, size_t length, bool final)
{
    t38_core_send_indicator(far_end->t38, T38_IND_V21_PREAMBLE);
    send_frame(far_end, T38_DATA_V21, frame, length, final);
}

void far_end_image_frame(struct far_end *far_end, const uint8_t *frame, size_t length, bool final)
{
    t38_core_send_indicator(far_end->t38, T38_IND_V17_14400_SHORT_TRAINING);
    send_frame(far_end, T38_DATA_V17_14400, frame, length, final);
}

void far_end_image_octets(struct far_end *far_end, const uint8_t *octets, size_t length, bool end)
{
    t38_core_send_indicator(far_end->t38, T38_IND_V17_14400_LONG_TRAINING);
    for (size_t at = 0; at < length; at += 512) {
        size_t part = length - at < 512 ? length - at : 512;

        t38_core_send_data(far_end->t38, T38_DATA_V17_14400, T38_FIELD_T4_NON_ECM_DATA, octets + at,
                           (int)part, 1);
        step(far_end, SESSION_TICK_MS);
    }
    if (!end)
        return;
    t38_core_send_data(far_end->t38, T38_DATA_V17_14400, T38_FIELD_T4_NON_ECM_SIG_END, NULL, 0, 1);
    t38_core_send_indicator(far_end->t38, T38_IND_NO_SIGNAL);
    step(far_end, SESSION_TICK_MS);
}

bool far_end_train(struct far_end *far_end, const uint8_t *dcs, size_t length)
{
    static const uint8_t ecm[] = {0xff, 0x13, 0x83, 0x00, 0x62, 0xf8, 0x44};
    static const uint8_t plain[] = {0xff, 0x13, 0x83, 0x00, 0x62, 0x78};
    static const uint8_t zeros[2700];

    if (dcs == NULL) {
        dcs = far_end->options.ecm ? ecm : plain;
        length = far_end->options.ecm ? sizeof ecm : sizeof plain;
    }
    far_end_v21(far_end, dcs, length, true);
    far_end_wait(far_end, 100);
    far_end_image_octets(far_end, zeros, sizeof zeros, true);
    return far_end_expect(far_end, 5000) == FCF_CFR;
}

/* ---- audio ------------------------------------------------------------------------------------
 */

void far_end_audio(struct far_end *far_end, const int16_t samples[SESSION_TICK_SAMPLES])
{
    session_post_audio(far_end->session, samples, SESSION_TICK_SAMPLES);
    step(far_end, SESSION_TICK_MS);
}

void far_end_no_audio(struct far_end *far_end, const int16_t samples[SESSION_TICK_SAMPLES])
{
    session_post_missing(far_end->session, samples, SESSION_TICK_SAMPLES);
    step(far_end, SESSION_TICK_MS);
}

/* ---- around -----------------------------------------------------------------------------------
 */

void far_end_hang_up(struct far_end *far_end)
{
    session_post_hangup(far_end->session, NULL);
}

void far_end_switch_t38(struct far_end *far_end)
{
    const struct session_settings settings = {.t38_transferred_tcf = true};

    if (far_end->over || session_switch_t38(far_end->session, &settings) != 0)
        return;
    far_end->options.media = SESSION_T38;
}
