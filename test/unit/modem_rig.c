/* SPDX-License-Identifier: MIT */
/*
 * modem_rig.c - sender, telephone line, soft modem, its oddities, serial line, disk and clock, in
 * 5 ms steps.
 */
#define SPANDSP_EXPOSE_INTERNAL_STRUCTURES 1

#include "test/unit/modem_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <spandsp.h>

#include "fax/modem/front_modem.h"
#include "fax/t30/frames.h"
#include "test/unit/page_rig.h"

enum {
    STEP_MS = 5,
    STEP = STEP_MS * 8,
    BEGIN_MS = 1000,
    RUN_MOST_MS = 900000,
    PIPE_OCTETS = 65536,
    US_PER_OCTET = 87, /* 115200 bit/s, 10 bits */
    BURSTS_MOST = 8,
    BURST_MS = 25,
    DROPOUT_MS = 300, /* at most */
    SPREAD_MS = 60000 /* in which bursts and drop-outs come */
};

/* One direction of the serial line. */
struct pipe {
    uint8_t octets[PIPE_OCTETS];
    int64_t due_us[PIPE_OCTETS];
    unsigned put, taken;
    int64_t busy_us;
};

struct trouble {
    int64_t at_ms, end_ms;
    bool to_sender;
};

struct modem_rig {
    const struct modem_case *c;
    struct modem_result *out;
    struct session *session;
    fax_state_t *fax;
    t31_state_t *t31;
    struct pipe to_modem, to_host;
    int64_t now_ms, ran_ms;
    uint32_t random;
    bool answered, deaf, dcn_lost, gone;
    bool spoils_page;              /* rows of it, not the carrier */
    bool after_dcs, frm, in_image; /* +FRM has its CONNECT */
    struct trouble bursts[BURSTS_MOST], dropouts[BURSTS_MOST];
    /* disk and worker */
    int64_t store_due_ms;
    uint32_t store_generation;
    int store_error, stores;
    int64_t worker_due_ms; /* 0: idle */
    int64_t confirmed_ms;
    int cfr, tcfs, dcs;
    bool tcf_awaited;
    struct trouble tcf; /* being spoiled */
    /* oddities */
    char command[64];
    size_t command_length;
    bool in_frame; /* the host sends a frame */
    uint8_t sent[300];
    size_t sent_length;
    bool sent_dle, echo_due;
    int tries, responses;
    bool cancelled, pages_begun;
};

static uint32_t next_random(struct modem_rig *rig)
{
    rig->random = rig->random * 1664525u + 1013904223u;
    return rig->random >> 8;
}

/* ---- the serial line ------------------------------------------------------------------------ */

static void pipe_put(struct modem_rig *rig, struct pipe *pipe, const void *octets, size_t length,
                     int extra_ms)
{
    int jitter = rig->c->jitter_ms > 0 ? (int)(next_random(rig) % (uint32_t)rig->c->jitter_ms) : 0;
    int64_t due_us = (rig->now_ms + rig->c->latency_ms + jitter + extra_ms) * 1000;

    for (size_t i = 0; i < length; i++) {
        if (due_us < pipe->busy_us)
            due_us = pipe->busy_us;
        due_us += US_PER_OCTET;
        pipe->busy_us = due_us;
        pipe->octets[pipe->put % PIPE_OCTETS] = ((const uint8_t *)octets)[i];
        pipe->due_us[pipe->put++ % PIPE_OCTETS] = due_us;
    }
}

static size_t pipe_take(struct modem_rig *rig, struct pipe *pipe, uint8_t *octets, size_t size)
{
    size_t n = 0;

    while (n < size && pipe->taken != pipe->put &&
           pipe->due_us[pipe->taken % PIPE_OCTETS] <= rig->now_ms * 1000)
        octets[n++] = pipe->octets[pipe->taken++ % PIPE_OCTETS];
    return n;
}

static void say(struct modem_rig *rig, const char *text, int extra_ms)
{
    char line[64];
    int length = snprintf(line, sizeof line, "\r\n%s\r\n", text);

    pipe_put(rig, &rig->to_host, line, (size_t)length, extra_ms);
}

/* ---- oddities of the modem ------------------------------------------------------------------ */

static void echo_frame(struct modem_rig *rig)
{
    uint8_t frame[300];
    uint8_t out[620];
    size_t n = 0;
    int length;

    memcpy(frame, rig->sent, rig->sent_length);
    length = crc_itu16_append(frame, (int)rig->sent_length);
    say(rig, "CONNECT", 100);
    for (int i = 0; i < length; i++) {
        if (frame[i] == 0x10)
            out[n++] = 0x10;
        out[n++] = frame[i];
    }
    out[n++] = 0x10;
    out[n++] = 0x03;
    pipe_put(rig, &rig->to_host, out, n, 150);
    say(rig, "OK", 160);
}

/* A command is about to reach the modem. True: it does not. */
static bool odd_command(struct modem_rig *rig, const char *command)
{
    enum { TRIES = 3, WAIT_MS = 60 };
    bool is_frh = strcmp(command, "AT+FRH=3") == 0;
    bool is_frm = strncmp(command, "AT+FRM", 6) == 0;
    bool is_ata = strcmp(command, "ATA") == 0;

    if (is_frm)
        rig->pages_begun = true;
    switch (rig->c->quirk) {
    case QUIRK_FALSE_CONNECT:
        if (!is_frh || rig->tries++ % (TRIES + 1) == TRIES)
            return false;
        say(rig, "CONNECT", 5);
        if (rig->tries % 2 == 0)
            pipe_put(rig, &rig->to_host, "\x10\x03", 2, WAIT_MS);
        say(rig, "NO CARRIER", WAIT_MS);
        return true;
    case QUIRK_NO_CARRIER:
        if (!is_frh || rig->tries++ % (TRIES + 1) == TRIES)
            return false;
        say(rig, "NO CARRIER", 20);
        return true;
    case QUIRK_EARLY_FCERROR:
        if (!is_frm || rig->tries++ % 3 == 2)
            return false;
        say(rig, "+FCERROR", 10);
        return true;
    case QUIRK_NO_FRS:
        if (strncmp(command, "AT+FRS", 6) != 0 && strncmp(command, "AT+FTS", 6) != 0)
            return false;
        say(rig, "ERROR", 5);
        return true;
    case QUIRK_ECHO:
        if (!is_frh || !rig->echo_due)
            return false;
        rig->echo_due = false;
        echo_frame(rig);
        return true;
    case QUIRK_HANGS: return rig->pages_begun;
    case QUIRK_ERRORS:
        if (is_ata)
            return false;
        say(rig, "ERROR", 5);
        return true;
    case QUIRK_RESETS:
        if (!is_frm)
            return false;
        say(rig, "RING", 500);
        return true;
    case QUIRK_ATA_DATA: say(rig, "CONNECT 33600", 4000); return true;
    case QUIRK_ATA_FDM: say(rig, "+FDM", 3000); return true;
    case QUIRK_ATA_VOICE: say(rig, "NO CARRIER", 30000); return true;
    case QUIRK_ATA_ERROR: say(rig, "ERROR", 10); return true;
    case QUIRK_ATA_SILENT: return true;
    default: return false;
    }
}

/* Between the line ends that the modem writes. */
static void put_text(struct modem_rig *rig, const char *text, int extra_ms)
{
    pipe_put(rig, &rig->to_host, text, strlen(text), extra_ms);
}

/* A response comes from the modem. True: it is dealt with. */
static bool odd_response(struct modem_rig *rig, const char *text)
{
    char line[64];

    rig->responses++;
    switch (rig->c->quirk) {
    case QUIRK_ERROR_ON_FRM:
        if (strcmp(text, "+FCERROR") != 0)
            return false;
        put_text(rig, "ERROR", 0);
        return true;
    case QUIRK_NO_FCERROR:
        if (strcmp(text, "+FCERROR") != 0)
            return false;
        put_text(rig, "NO CARRIER", 1500);
        return true;
    case QUIRK_NO_OK:
    case QUIRK_LATE_OK:
        if (!rig->cancelled || strcmp(text, "OK") != 0)
            return false;
        rig->cancelled = false;
        if (rig->c->quirk == QUIRK_LATE_OK)
            put_text(rig, "OK", 500);
        return true;
    case QUIRK_SLOW: put_text(rig, text, 30); return true;
    case QUIRK_JUNK:
        snprintf(line, sizeof line, "\x80\x7f%s", text);
        put_text(rig, line, 0);
        return true;
    case QUIRK_LOSES: return next_random(rig) % 12 == 0;
    case QUIRK_HANGS: return rig->pages_begun;
    default: return false;
    }
}

static void note_sent(struct modem_rig *rig, uint8_t octet)
{
    if (rig->sent_dle) {
        rig->sent_dle = false;
        if (octet == 0x03) {
            rig->in_frame = rig->sent_length > 1 && (rig->sent[1] & 0x10) == 0;
            rig->echo_due = !rig->in_frame && rig->sent_length > 2;
            if (rig->in_frame)
                rig->sent_length = 0;
            return;
        }
    } else if (octet == 0x10) {
        rig->sent_dle = true;
        return;
    }
    if (rig->sent_length < 290)
        rig->sent[rig->sent_length++] = octet;
}

/* An octet from the host arrives: commands are looked at as a whole. */
static void octet_to_modem(struct modem_rig *rig, uint8_t octet)
{
    char character = (char)octet;

    if (rig->in_frame) {
        note_sent(rig, octet);
        t31_at_rx(rig->t31, &character, 1);
        return;
    }
    if (octet == 0x18) {
        rig->out->aborts++;
        rig->cancelled = true;
    }
    if (rig->command_length == 0 && octet != 'A') {
        t31_at_rx(rig->t31, &character, 1);
        return;
    }
    if (rig->command_length < sizeof rig->command - 1)
        rig->command[rig->command_length++] = character;
    if (octet != '\r')
        return;
    rig->command[rig->command_length - 1] = '\0';
    rig->command_length = 0;
    if (odd_command(rig, rig->command))
        return;
    if (strcmp(rig->command, "AT+FTH=3") == 0 || strcmp(rig->command, "ATA") == 0) {
        rig->in_frame = true;
        rig->sent_length = 0;
    }
    for (const char *p = rig->command; *p != '\0'; p++)
        t31_at_rx(rig->t31, p, 1);
    t31_at_rx(rig->t31, "\r", 1);
}

static bool is_response(const uint8_t *octets, size_t length)
{
    static const char *const known[] = {"OK", "CONNECT", "NO CARRIER", "ERROR", "+FCERROR", "RING"};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strlen(known[i]) == length && memcmp(known[i], octets, length) == 0)
            return true;
    return false;
}

/* What the soft modem sends: a response comes as a write of its own between two line ends. */
static int on_modem_octets(at_state_t *at, void *user, const uint8_t *octets, size_t length)
{
    struct modem_rig *rig = user;
    uint8_t copy[1024];
    char text[16];

    (void)at;
    if (rig->session == NULL || length > sizeof copy)
        return 0;
    if (is_response(octets, length)) {
        memcpy(text, octets, length);
        text[length] = '\0';
        if (odd_response(rig, text))
            return 0;
    }
    memcpy(copy, octets, length);
    if (length > 6 && octets[0] == 0xff && copy[length - 2] == 0x10 && copy[length - 1] == 0x03) {
        bool bad = rig->c->quirk == QUIRK_BAD_FCS && next_random(rig) % 5 == 0;

        if (rig->c->quirk == QUIRK_NO_FCS || bad) { /* two octets less, or one */
            length -= bad ? 1 : 2;
            copy[length - 2] = 0x10;
            copy[length - 1] = 0x03;
        }
    }
    pipe_put(rig, &rig->to_host, copy, length, 0);
    return 0;
}

static int on_modem_control(t31_state_t *t31, void *user, int operation, const char *number)
{
    struct modem_rig *rig = user;

    (void)t31;
    (void)number;
    if (operation == AT_MODEM_CONTROL_ANSWER)
        rig->answered = true;
    return 0;
}

/* ---- the telephone line --------------------------------------------------------------------- */

static void plan_troubles(struct modem_rig *rig, struct trouble *troubles, int count, int most_ms)
{
    for (int i = 0; i < count && i < BURSTS_MOST; i++) {
        troubles[i].at_ms = BEGIN_MS + 4000 + next_random(rig) % SPREAD_MS;
        troubles[i].end_ms = troubles[i].at_ms + 10 + next_random(rig) % (uint32_t)most_ms;
        troubles[i].to_sender = next_random(rig) % 2 == 0;
    }
}

static bool in_trouble(const struct modem_rig *rig, const struct trouble *troubles, bool to_sender)
{
    for (int i = 0; i < BURSTS_MOST; i++)
        if (troubles[i].to_sender == to_sender && rig->now_ms >= troubles[i].at_ms &&
            rig->now_ms < troubles[i].end_ms)
            return true;
    return false;
}

static void spoil(struct modem_rig *rig, int16_t *samples, bool to_sender)
{
    int noise = rig->c->noise;

    if (in_trouble(rig, rig->dropouts, to_sender))
        memset(samples, 0, sizeof *samples * STEP);
    if (in_trouble(rig, rig->bursts, to_sender))
        noise += 3000;
    if (!to_sender && rig->spoils_page && rig->in_image && rig->now_ms % 110 < 15)
        noise += 6000;
    if (!to_sender && rig->now_ms >= rig->tcf.at_ms && rig->now_ms < rig->tcf.end_ms)
        noise += 8000;
    for (int i = 0; i < STEP && noise > 0; i++)
        samples[i] =
            (int16_t)(samples[i] + (int)(next_random(rig) % (uint32_t)(2 * noise + 1)) - noise);
}

static void step_line(struct modem_rig *rig)
{
    int16_t from_sender[STEP] = {0};
    int16_t to_sender[STEP] = {0};

    if (!rig->answered)
        return;
    if (!rig->gone)
        fax_tx(rig->fax, from_sender, STEP);
    if (rig->dcn_lost)
        memset(from_sender, 0, sizeof from_sender);
    t31_tx(rig->t31, to_sender, STEP);
    spoil(rig, from_sender, false);
    spoil(rig, to_sender, true);
    t31_rx(rig->t31, from_sender, STEP);
    if (rig->deaf)
        memset(to_sender, 0, sizeof to_sender);
    if (!rig->gone)
        fax_rx(rig->fax, to_sender, STEP);
}

/* ---- the sender ----------------------------------------------------------------------------- */

static void on_sender_end(t30_state_t *t30, void *user, int code)
{
    struct modem_rig *rig = user;
    t30_stats_t stats;

    t30_get_transfer_statistics(t30, &stats);
    rig->out->rig.sender_ended = true;
    rig->out->rig.sender_code = code;
    rig->out->rig.sender_pages = stats.pages_tx;
}

static void on_sender_frame(t30_state_t *t30, void *user, int incoming, const uint8_t *frame,
                            int length)
{
    struct modem_rig *rig = user;

    (void)t30;
    if (!incoming && frame_fcf(frame, (size_t)length) == FCF_DCN && rig->c->call.lose_dcn)
        rig->dcn_lost = true;
}

/* ---- the session ---------------------------------------------------------------------------- */

static void on_octets(void *user, const uint8_t *octets, size_t length)
{
    struct modem_rig *rig = user;

    pipe_put(rig, &rig->to_modem, octets, length, 0);
}

/* The trace tells what goes out, and so which answer the line is to lose. */
static void on_trace(void *user, const char *line)
{
    struct modem_rig *rig = user;
    struct rig_result *out = &rig->out->rig;
    size_t used = strlen(out->trace);

    snprintf(out->trace + used, sizeof out->trace - used, "%s\n", line);
    if (strstr(line, " in ") != NULL)
        rig->deaf = false;
    if (strstr(line, " out MCF") != NULL || strstr(line, " again MCF") != NULL) {
        out->mcf++;
        if (strstr(line, " out MCF") != NULL && rig->out->stored_well < rig->stores)
            rig->out->confirmed_early++;
        rig->confirmed_ms = rig->now_ms;
        if (out->mcf == rig->c->call.lose_mcf)
            rig->deaf = true;
        if (out->mcf == rig->c->lose_training)
            rig->dropouts[0] = (struct trouble){rig->now_ms + 1250, rig->now_ms + 2400, false};
    }
    rig->tcf_awaited = rig->tcf_awaited || strstr(line, " in DCS") != NULL;
    if (rig->tcf_awaited && strstr(line, "< CONNECT") != NULL) {
        rig->tcf_awaited = false;
        if (rig->tcfs++ < rig->c->fail_tcf)
            rig->tcf = (struct trouble){rig->now_ms + 300, rig->now_ms + 900, false};
    }
    if (strstr(line, " in DCS") != NULL && rig->dcs++ == 0 && rig->c->lose_tcf)
        rig->dropouts[0] = (struct trouble){rig->now_ms + 20, rig->now_ms + 3200, false};
    if (strstr(line, " out CFR") != NULL && rig->cfr++ == 0 && rig->c->lose_cfr)
        rig->deaf = true;
    if (strstr(line, "modem > AT") != NULL)
        rig->in_image = false, rig->frm = !rig->after_dcs && strstr(line, "AT+FRM") != NULL;
    if (strstr(line, " in DCS") != NULL || strstr(line, " out CFR") != NULL)
        rig->after_dcs = strstr(line, " in DCS") != NULL;
    if (strstr(line, "< CONNECT") != NULL)
        rig->in_image = rig->frm;
    if (strstr(line, " out CFR") != NULL && rig->c->call.noisy_page && out->rtn == 0)
        rig->spoils_page = true;
    if (strstr(line, " out RTN") != NULL)
        rig->spoils_page = false;
    out->rnr += strstr(line, " out RNR") != NULL;
    out->dcn += strstr(line, " out DCN") != NULL;
    out->rtn += strstr(line, " out RTN") != NULL;
}

static void take_pages(struct modem_rig *rig)
{
    struct session_page page;
    struct rig_result *out = &rig->out->rig;

    while (session_take_page(rig->session, &page)) {
        if (page.unconfirmed) {
            out->unconfirmed++;
        } else {
            rig->stores++;
            out->stored++;
            if (page.number < RIG_PAGES_MAX)
                out->page_hash[page.number] = page_tiff_hash(page.tiff, page.length);
            rig->store_due_ms = rig->now_ms + rig->c->call.store_ms;
            rig->store_generation = page.generation;
            rig->store_error = rig->stores == rig->c->call.store_fails_at ? -3 : 0;
        }
        free(page.tiff);
    }
}

static void step_disk(struct modem_rig *rig)
{
    if (rig->worker_due_ms > 0 && rig->now_ms >= rig->worker_due_ms) {
        rig->worker_due_ms = 0;
        session_work(rig->session);
        take_pages(rig);
    }
    if (rig->store_due_ms > 0 && rig->now_ms >= rig->store_due_ms) {
        rig->store_due_ms = 0;
        rig->out->stored_well += rig->store_error == 0;
        session_post_stored(rig->session, rig->store_generation, rig->store_error);
    }
}

/* False when it is over. */
static bool step_session(struct modem_rig *rig)
{
    uint8_t octets[512];
    size_t length;
    bool came = false;

    while ((length = pipe_take(rig, &rig->to_host, octets, sizeof octets)) > 0) {
        session_post_octets(rig->session, octets, length);
        came = true;
    }
    if (rig->worker_due_ms > 0 || (!came && rig->now_ms - rig->ran_ms < SESSION_TICK_MS))
        return true;
    rig->ran_ms = rig->now_ms;
    switch (session_run(rig->session, rig->now_ms, NULL)) {
    case SESSION_GOES_ON: return true;
    case SESSION_NEEDS_WORKER: rig->worker_due_ms = rig->now_ms + rig->c->worker_ms; return true;
    case SESSION_ENDED:
        rig->out->rig.session_ended = true;
        session_describe(rig->session, &rig->out->rig.info);
        return false;
    }
    return false;
}

static void step_hangup(struct modem_rig *rig)
{
    const struct rig_case *c = &rig->c->call;

    if (rig->c->ended_at_ms > 0 && rig->now_ms == BEGIN_MS + rig->c->ended_at_ms)
        session_post_hangup(rig->session, "the line was closed");
    if (rig->gone)
        return;
    if ((c->hangup_page > 0 && rig->out->rig.mcf >= c->hangup_page &&
         rig->now_ms >= rig->confirmed_ms + c->hangup_ms) ||
        (rig->c->hangup_at_ms > 0 && rig->now_ms >= BEGIN_MS + rig->c->hangup_at_ms))
        rig->gone = true; /* a Class 1 modem does not say so */
}

/* ---- set-up --------------------------------------------------------------------------------- */

static void set_up_modem(struct modem_rig *rig)
{
    static const char commands[] = "AT+FCLASS=1.0\r";
    static const char no_echo[] = "ATE0\r";
    static const char far[] = "AT+FAR=1\r";

    rig->t31 = t31_init(NULL, on_modem_octets, rig, on_modem_control, rig, NULL, NULL);
    t31_set_transmit_on_idle(rig->t31, TRUE);
    if (rig->c->quirk != QUIRK_COMMAND_ECHO)
        t31_at_rx(rig->t31, no_echo, (int)strlen(no_echo));
    t31_at_rx(rig->t31, commands, (int)strlen(commands));
    if (rig->c->far)
        t31_at_rx(rig->t31, far, (int)strlen(far));
    t31_call_event(rig->t31, AT_CALL_EVENT_ALERTING);
}

static void set_up_session(struct modem_rig *rig)
{
    const struct session_settings settings = {
        .media = SESSION_MODEM,
        .front_new = front_modem_new,
        .station = "+1 555 2000",
        .ecm = true,
        .pages_max = 100,
        .rows_max = 20000,
        .session_ms_max = 3600000,
        .stall_ms_max = 90000,
        .modem = {.class = MODEM_CLASS_1_0,
                  .rates =
                      rig->c->rates != 0 ? rig->c->rates : MODEM_V27TER | MODEM_V29 | MODEM_V17,
                  .has_frs = !rig->c->no_frs,
                  .has_fts = !rig->c->no_fts,
                  .pause_ms = 80,
                  .far = rig->c->far,
                  .connect_tries = 30,
                  .frm_tries = 2},
    };
    const struct session_hooks hooks = {.user = rig, .send_octets = on_octets, .trace = on_trace};

    if (session_library_init() < 0 || session_new(&rig->session, &settings, &hooks) < 0)
        abort();
}

static void answer_when_asked(struct modem_rig *rig)
{
    uint8_t octets[256];
    size_t length = pipe_take(rig, &rig->to_modem, octets, sizeof octets);
    bool was_answered = rig->answered;

    for (size_t i = 0; i < length; i++)
        octet_to_modem(rig, octets[i]);
    if (rig->answered && !was_answered)
        t31_call_event(rig->t31, AT_CALL_EVENT_ANSWERED);
}

/* Lets the sender come to its own end. */
static void run_out(struct modem_rig *rig)
{
    for (int ms = 0; ms < 60000 && !rig->out->rig.sender_ended && !rig->gone; ms += STEP_MS) {
        rig->now_ms += STEP_MS;
        answer_when_asked(rig);
        step_line(rig);
    }
}

void modem_rig_run(struct modem_result *out, const struct modem_case *c)
{
    static struct modem_rig rig; /* the pipes are large */
    char path[] = "/tmp/faxpost-document-XXXXXX";
    t30_state_t *t30;

    memset(out, 0, sizeof *out);
    memset(&rig, 0, sizeof rig);
    rig.c = c;
    rig.out = out;
    rig.random = (uint32_t)c->seed * 2654435761u + 1;
    close(mkstemp(path));
    rig_write_document(path, &c->call);
    rig.fax = fax_init(NULL, TRUE);
    fax_set_transmit_on_idle(rig.fax, TRUE);
    t30 = fax_get_t30_state(rig.fax);
    rig_prepare_sender(t30, path, &c->call);
    t30_set_phase_e_handler(t30, on_sender_end, &rig);
    t30_set_real_time_frame_handler(t30, on_sender_frame, &rig);
    plan_troubles(&rig, rig.bursts, c->bursts, BURST_MS);
    plan_troubles(&rig, rig.dropouts, c->dropouts, DROPOUT_MS);
    set_up_modem(&rig);
    set_up_session(&rig);
    for (rig.now_ms = BEGIN_MS; rig.now_ms < RUN_MOST_MS; rig.now_ms += STEP_MS) {
        answer_when_asked(&rig);
        step_line(&rig);
        step_disk(&rig);
        step_hangup(&rig);
        if (!step_session(&rig))
            break;
    }
    out->rig.seconds = rig.now_ms / 1000;
    out->ending_ms = rig.now_ms - BEGIN_MS - c->ended_at_ms;
    out->in_command_state = rig.t31->at_state.at_rx_mode == AT_MODE_OFFHOOK_COMMAND ||
                            rig.t31->at_state.at_rx_mode == AT_MODE_ONHOOK_COMMAND;
    run_out(&rig);
    session_free(rig.session);
    rig.session = NULL;
    queue_free(rig.t31->rx_queue); /* the library leaves it */
    t31_free(rig.t31);
    fax_free(rig.fax);
    unlink(path);
}
