/* SPDX-License-Identifier: MIT */
/*
 * session.c - one T.30 reception: inbox, guard, gate, ledger and watchdog around the core.
 *
 * The way of a page: the sender's command comes in (session_frame_in), a worker hands it to the
 * core (session_work), the core ends the page (on_page) and wants to confirm it (on_sends), the
 * gate holds the confirmation, the page is stored elsewhere, session_run() lets the confirmation
 * go.
 */
#include "fax/t30/session.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "fax/t30/core.h"
#include "fax/t30/frames.h"
#include "fax/t30/front.h"
#include "fax/t30/gate.h"
#include "fax/t30/guard.h"
#include "fax/t30/inbox.h"
#include "fax/t30/ledger.h"

enum {
    DCN_WAIT_MS = 15000, /* after the last MCF: three repeats of EOP fit in */
    DONE_MS = 60000,     /* … and a sender that repeats it for ever is not waited for */
    IDLE_STALLS = 4,     /* so often stall_ms_max may a sender go on without getting anywhere */
    WATCH_MS = 200,      /* how often the watchdog looks */
    RUN_MOST_MS = 500,   /* a media thread that slept longer does not make the core jump */
};

enum ending {
    ENDING_NOT,
    ENDING_DCN,     /* DCN of our own is to go out, then it is over */
    ENDING_SALVAGE, /* what is left of a page is being encoded by a worker */
    ENDING_OVER,
};

struct session {
    struct session_settings settings; /* station points to the copy below */
    char station[CALL_IDENT_MAX];
    struct session_hooks hooks;
    struct front *front;
    struct core core;
    enum session_media media;
    struct guard guard;
    struct gate gate;
    struct inbox inbox;         /* the media thread's, also while a worker has the session */
    uint32_t stored_generation; /* posted outcome of a store, applied by the next run */
    int stored_error;
    bool stored_posted;
    bool hangup_posted;
    const char *hangup_why;

    int64_t now_ms, begun_ms, progress_ms, watched_ms;
    int64_t advanced_ms;  /* when a page last grew or was confirmed; talk alone does not count */
    int64_t completed_ms; /* when the last MCF went out */
    int last_rows, last_octets;
    uint32_t revision;
    atomic_bool dcs_seen; /* written by the owner, read by anyone */
    bool asked_t38;
    bool heard;       /* a frame came */
    unsigned dropped; /* frames, by the guard */
    const char *dropped_why;
    bool moved_on; /* a DCS or image frames came since the last confirmation */

    struct ledger ledger;
    bool page_attempted; /* a page's carrier was there, as last seen */
    uint8_t last_answer; /* to a command that ended a page: FCF_MCF, FCF_RTN … */

    enum ending ending;
    bool core_ended;
    char error[CALL_ERROR_MAX];
};

static void trace(struct session *session, const char *direction, const uint8_t *frame,
                  size_t length)
{
    char line[96];
    char name[16];

    if (session->hooks.trace == NULL)
        return;
    snprintf(line, sizeof line, "%.3f %s %s %zu",
             (double)(session->now_ms - session->begun_ms) / 1e3, direction,
             frame_name(name, frame, length), length);
    session->hooks.trace(session->hooks.user, line);
}

/* ---- endings -------------------------------------------------------------------------------- */

static void note_error(struct session *session, const char *why)
{
    if (why != NULL && session->error[0] == '\0') {
        text_copy(session->error, sizeof session->error, why);
        session->revision++;
    }
}

/* Keeps what there is of the page that is coming in; once. */
static void salvage(struct session *session)
{
    struct ledger *ledger = &session->ledger;

    if (!ledger->is_salvaged)
        ledger->is_salvaged = core_salvage(&session->core, &ledger->salvaged,
                                           &ledger->salvaged_rows, session->settings.rows_max) == 0;
}

/* Ends without a word on the line: the other side is gone, or the core has said all. */
static void end_now(struct session *session, const char *why)
{
    if (session->ending >= ENDING_SALVAGE)
        return;
    if (!session->ledger.complete)
        note_error(session, why);
    gate_cancel(&session->gate);
    salvage(session);
    session->ending = ENDING_SALVAGE;
}

/* Ends with DCN: the sender is told that what comes is not taken. */
static void end_with_dcn(struct session *session, const char *why)
{
    if (session->ending != ENDING_NOT)
        return;
    note_error(session, why);
    gate_cancel(&session->gate);
    salvage(session);
    session->ending = ENDING_DCN;
}

/* ---- what the core does (core.h) ------------------------------------------------------------ */

static void on_page(void *user, const struct page_bitmap *bitmap)
{
    ledger_add(&((struct session *)user)->ledger, bitmap);
}

static void on_rejected(void *user, const struct page_bitmap *bitmap)
{
    ledger_reject(&((struct session *)user)->ledger, bitmap);
}

static void on_begins(void *user)
{
    struct session *session = user;

    atomic_store(&session->dcs_seen, true);
    session->moved_on = true;
    session->revision++;
}

static void on_ended(void *user, const char *why)
{
    struct session *session = user;

    session->core_ended = true;
    if (why != NULL && !session->heard)
        why = "no fax was heard: a person, a data modem, a very bad line, or nobody";
    if (!session->ledger.complete)
        note_error(session, why);
}

static void on_flushed(void *user)
{
    struct session *session = user;

    gate_cancel(&session->gate);
}

/* May this MCF or RTP go out without a new page behind it? Only as the repeated answer for the page
 * before; the core gives one for nothing to a first PPS that claims page 255. */
static bool is_repeated_confirmation(const struct session *session)
{
    const uint8_t *command = session->gate.command;

    if (session->ledger.confirmed == 0 || session->moved_on)
        return false; /* a DCS or image came after it: the sender had its answer */
    if (frame_fcf(command, session->gate.command_length) == FCF_PPS)
        return command[FRAME_PPS_PAGE] == ((core_pages(&session->core) - 1) & 0xff);
    return session->last_answer == FCF_MCF || session->last_answer == FCF_RTP;
}

/* The core confirms: let it pass, hold it, or refuse the page. */
static bool confirms(struct session *session, const uint8_t *frame, size_t length)
{
    struct ledger *ledger = &session->ledger;

    if (frame_next_step(session->gate.command, session->gate.command_length) == FCF_NULL &&
        session->gate.command_length > 0) {
        gate_answer(&session->gate, frame, length, false); /* a block within a page */
        return true;
    }
    if (!ledger->is_new) {
        if (is_repeated_confirmation(session)) {
            gate_answer(&session->gate, frame, length, false);
            return true;
        }
        end_with_dcn(session, "the sender ended a page that had no content");
        return false;
    }
    ledger->is_new = false;
    if (ledger->failed) {
        end_with_dcn(session, "a page could not be encoded");
    } else if (ledger->produced > session->settings.pages_max) {
        end_with_dcn(session, "the fax has more pages than limits.pages allows");
        ledger_drop(ledger);
    } else {
        ledger_hold(ledger, gate_answer(&session->gate, frame, length, true));
    }
    return false;
}

static bool on_sends(void *user, const uint8_t *frame, size_t length)
{
    struct session *session = user;
    uint8_t fcf = frame_fcf(frame, length);

    if (session->ending != ENDING_NOT)
        return false;
    switch (fcf) {
    case FCF_MCF:
    case FCF_RTP: trace(session, "core", frame, length); return confirms(session, frame, length);
    case FCF_DIS:
        guard_offer(&session->guard, frame, length);
        session->front->wants_cng = false;
        session_cng_in(session); /* the latest moment to ask for T.38 */
        break;
    case FCF_DCN: salvage(session); break;
    case FCF_RTN:
        session->last_answer = fcf;
        ledger_refuse(&session->ledger, frame_next_step(session->gate.command,
                                                        session->gate.command_length) == FCF_EOP);
        break;
    default: break;
    }
    if (session->gate.command_length > 0)
        gate_answer(&session->gate, frame, length, false);
    trace(session, "out", frame, length);
    return true;
}

/* ---- what the front end reports (front.h) --------------------------------------------------- */

/* What comes behind a carrier for a page, even one that brought nothing, belongs to that page. */
static void note_carrier(struct session *session)
{
    bool attempted = core_page_attempted(&session->core) ||
                     (!core_is_ecm(&session->core) && session->front->unread_ms > FRONT_UNREAD_MS);

    if (attempted && !session->page_attempted)
        gate_image_data(&session->gate);
    session->page_attempted = attempted;
}

enum front_frame session_frame_in(struct session *session, const uint8_t *frame, size_t length)
{
    const char *why = NULL;

    if (session->ending != ENDING_NOT)
        return FRONT_SWALLOW;
    if (frame_fcf(frame, length) != FCF_FCD)
        trace(session, "in", frame, length);
    switch (guard_frame(&session->guard, frame, length, &why)) {
    case GUARD_DROP:
        session->dropped++;
        session->dropped_why = why;
        log_debug("frame dropped why=\"%s\" length=%zu", why, length);
        return FRONT_BAD;
    case GUARD_IGNORE: session->heard = true; return FRONT_SWALLOW;
    case GUARD_REFUSE: end_with_dcn(session, why); return FRONT_SWALLOW;
    case GUARD_PASS: break;
    }
    session->heard = true;
    session->progress_ms = session->now_ms;
    if (session->front->responding)
        return FRONT_SWALLOW; /* half duplex: nothing that matters is sent while we speak */
    note_carrier(session);
    switch (
        gate_receive(&session->gate, frame, length, core_is_ecm(&session->core), session->now_ms)) {
    case GATE_INPUT_SWALLOW: return FRONT_SWALLOW;
    case GATE_INPUT_REPEAT:
        trace(session, "again", session->gate.answer, session->gate.answer_length);
        session->front->ops->respond(session->front, session->gate.answer,
                                     session->gate.answer_length);
        return FRONT_SWALLOW;
    case GATE_INPUT_CORE: break;
    }
    if (frame_fcf(frame, length) == FCF_FCD)
        session->moved_on = true;
    if (frame_fcf(frame, length) == FCF_DCN)
        salvage(session);
    if (frame_is_post_message(frame, length))
        return FRONT_TO_WORKER;
    core_note_frame(&session->core, frame, length);
    return FRONT_TO_CORE;
}

void session_image_in(struct session *session)
{
    session->progress_ms = session->now_ms;
    gate_image_data(&session->gate);
}

void session_cng_in(struct session *session)
{
    if (session->asked_t38 || session->media != SESSION_AUDIO || session->hooks.ask_t38 == NULL)
        return;
    session->asked_t38 = true;
    session->hooks.ask_t38(session->hooks.user);
}

void session_octets_out(struct session *session, const uint8_t *octets, size_t length)
{
    session->hooks.send_octets(session->hooks.user, octets, length);
}

void session_trace_modem(struct session *session, const char *direction, const char *text)
{
    char line[320];

    if (session->hooks.trace == NULL)
        return;
    snprintf(line, sizeof line, "%.3f %s %s", (double)(session->now_ms - session->begun_ms) / 1e3,
             direction, text);
    session->hooks.trace(session->hooks.user, line);
}

void session_front_failed(struct session *session, const char *why)
{
    end_now(session, why);
}

void session_ifp_out(struct session *session, const uint8_t *ifp, size_t length, int copies)
{
    session->hooks.send_ifp(session->hooks.user, ifp, length, copies);
}

/* ---- life ----------------------------------------------------------------------------------- */

static int attach(struct session *session, struct front *front)
{
    const struct core_hooks hooks = {
        .user = session,
        .sends = on_sends,
        .flushed = on_flushed,
        .begins = on_begins,
        .page = on_page,
        .rejected = on_rejected,
        .ended = on_ended,
    };

    if (front == NULL)
        return ERROR_MEMORY;
    session->front = front;
    session->gate.patience_ms = front->patience_ms;
    core_attach(&session->core, front->t30, &session->settings, &hooks);
    return 0;
}

static struct front *front_new(struct session *session)
{
    const struct session_settings *settings = &session->settings;

    switch (settings->media) {
    case SESSION_T38: return front_t38_new(session, settings);
    case SESSION_AUDIO: return front_audio_new(session);
    case SESSION_MODEM: return settings->front_new(session, settings);
    }
    return NULL;
}

int session_new(struct session **out, const struct session_settings *settings,
                const struct session_hooks *hooks)
{
    struct session *session = calloc(1, sizeof *session);
    int error;

    if (session == NULL)
        return ERROR_MEMORY;
    session->settings = *settings;
    text_copy(session->station, sizeof session->station, settings->station);
    session->settings.station = session->station;
    session->hooks = *hooks;
    session->media = settings->media;
    atomic_init(&session->dcs_seen, false);
    gate_init(&session->gate);
    error = attach(session, front_new(session));
    if (error < 0) {
        session_free(session);
        return error;
    }
    *out = session;
    return 0;
}

void session_free(struct session *session)
{
    if (session == NULL)
        return;
    session->ending = ENDING_OVER; /* the library still talks while it is taken down */
    if (session->front != NULL)
        session->front->ops->free(session->front);
    ledger_free(&session->ledger);
    free(session);
}

bool session_can_switch(const struct session *session)
{
    return !atomic_load(&session->dcs_seen);
}

int session_switch_t38(struct session *session, const struct session_settings *settings)
{
    struct front *old = session->front;
    struct front *front;

    if (!session_can_switch(session) || session->ending != ENDING_NOT)
        return ERROR_STATE;
    if (session->media == SESSION_T38)
        return 0;
    session->settings.t38_version = settings->t38_version;
    session->settings.t38_max_datagram = settings->t38_max_datagram;
    session->settings.t38_transferred_tcf = settings->t38_transferred_tcf;
    front = front_t38_new(session, &session->settings);
    if (front == NULL)
        return ERROR_MEMORY;
    session->ending = ENDING_OVER; /* whatever the old core says at its end is not for the line */
    old->ops->free(old);
    session->ending = ENDING_NOT;
    session->core_ended = false;
    session->error[0] = '\0';
    session->media = SESSION_T38;
    memset(&session->inbox, 0, sizeof session->inbox);
    /* The guard keeps what was offered in audio: the new core offers the same, and the sender may
     * already be answering. */
    gate_init(&session->gate);
    session->revision++;
    session->progress_ms = session->advanced_ms = session->now_ms;
    attach(session, front);
    front->ops->begin_phase_b(front);
    return 0;
}

/* ---- events posted -------------------------------------------------------------------------- */

void session_post_ifp(struct session *session, const uint8_t *ifp, size_t length, uint16_t seq)
{
    inbox_put(&session->inbox, INBOX_IFP, seq, ifp, length);
}

void session_post_audio(struct session *session, const int16_t *samples, size_t count)
{
    inbox_put(&session->inbox, INBOX_AUDIO, 0, samples, count * sizeof *samples);
}

void session_post_missing(struct session *session, const int16_t *samples, size_t count)
{
    inbox_put(&session->inbox, INBOX_MISSING, 0, samples, count * sizeof *samples);
}

void session_post_octets(struct session *session, const uint8_t *octets, size_t length)
{
    while (length > 0) {
        size_t part = length < INBOX_RECORD_MAX ? length : INBOX_RECORD_MAX;

        inbox_put(&session->inbox, INBOX_OCTETS, 0, octets, part);
        octets += part;
        length -= part;
    }
}

void session_post_stored(struct session *session, uint32_t generation, int error)
{
    session->stored_posted = true;
    session->stored_generation = generation;
    session->stored_error = error;
}

void session_post_hangup(struct session *session, const char *why)
{
    session->hangup_posted = true;
    session->hangup_why = why;
}

/* ---- running -------------------------------------------------------------------------------- */

/* A modem's answers are wanted as long as the front end is telling it to end the call. */
static bool takes_events(const struct session *session)
{
    if (session->ending == ENDING_NOT)
        return !session->front->needs_worker;
    return session->media == SESSION_MODEM &&
           (session->front->responding || session->front->ops->rest != NULL);
}

/* Feeds the inbox until it is empty or a frame needs the worker. */
static void feed(struct session *session)
{
    struct inbox_record record;
    struct front *front = session->front;

    front->ops->pump(front, false);
    while (takes_events(session) && inbox_take(&session->inbox, &record)) {
        front->frozen = session->gate.phase != GATE_OPEN || session->ending != ENDING_NOT;
        if (record.kind == INBOX_IFP && front->ops->ifp != NULL)
            front->ops->ifp(front, record.data, record.length, record.seq);
        else if (record.kind == INBOX_AUDIO && front->ops->audio != NULL)
            front->ops->audio(front, (int16_t *)(void *)record.data,
                              record.length / sizeof(int16_t));
        else if (record.kind == INBOX_MISSING && front->ops->missing != NULL)
            front->ops->missing(front, (int16_t *)(void *)record.data,
                                record.length / sizeof(int16_t));
        else if (record.kind == INBOX_OCTETS && front->ops->octets != NULL)
            front->ops->octets(front, record.data, record.length);
        core_keep_waiting(&session->core);
        front->ops->pump(front, false);
    }
}

static void apply_posted(struct session *session)
{
    if (session->stored_posted) {
        session->stored_posted = false;
        gate_stored(&session->gate, session->stored_generation, session->stored_error);
    }
    if (session->hangup_posted) {
        session->hangup_posted = false;
        end_now(session, session->hangup_why != NULL ? session->hangup_why
                                                     : "the sender hung up before the end");
    }
}

/* The page is confirmed: the held answer goes to the front end, and the core goes on. */
static void confirm(struct session *session)
{
    uint8_t next = frame_next_step(session->gate.command, session->gate.command_length);

    ledger_confirm(&session->ledger, next == FCF_EOP);
    session->moved_on = false;
    session->last_answer = frame_fcf(session->gate.answer, session->gate.answer_length);
    session->progress_ms = session->advanced_ms = session->now_ms;
    session->revision++;
    if (next == FCF_EOP) {
        session->completed_ms = session->now_ms;
        session->error[0] = '\0';
    }
    trace(session, "out", session->gate.answer, session->gate.answer_length);
    core_send(&session->core, session->gate.answer, session->gate.answer_length);
}

/* Why the gate gave up, in words for the operator. */
static const char *refusal(const struct session *session)
{
    switch (session->stored_error) {
    case 0: return "a page could not be stored in time";
    case ERROR_FULL: return "a page could not be stored: no space left";
    default: return "a page could not be stored: the disk failed";
    }
}

static void run_gate(struct session *session)
{
    static const uint8_t rnr[] = {0xff, FRAME_FINAL, FCF_RNR};

    switch (gate_step(&session->gate, session->now_ms)) {
    case GATE_NOTHING: break;
    case GATE_RELEASE: confirm(session); break;
    case GATE_SEND_RNR:
        trace(session, "out", rnr, sizeof rnr);
        session->front->ops->respond(session->front, rnr, sizeof rnr);
        break;
    case GATE_REFUSE: end_with_dcn(session, refusal(session)); break;
    }
    session->front->frozen = session->gate.phase != GATE_OPEN || session->ending != ENDING_NOT;
}

/* Is the page growing? */
static void note_progress(struct session *session)
{
    int rows = core_rows(&session->core);
    int octets = core_block_octets(&session->core);

    if (rows != session->last_rows || octets != session->last_octets)
        session->progress_ms = session->advanced_ms = session->now_ms;
    if (session->front->is_held_up)
        session->progress_ms = session->now_ms;
    session->last_rows = rows;
    session->last_octets = octets;
}

/* All pages are confirmed, but the sender's DCN was lost, or is not meant to come. */
static bool is_done(const struct session *session)
{
    return session->ledger.complete && session->now_ms - session->completed_ms > DCN_WAIT_MS &&
           (session->now_ms - session->progress_ms > DCN_WAIT_MS ||
            session->now_ms - session->advanced_ms > DONE_MS);
}

/* T.30's own timers do not cover every end; and no call lasts for ever. */
static void watch(struct session *session)
{
    const struct session_settings *settings = &session->settings;
    bool is_open = session->gate.phase == GATE_OPEN;

    if (session->ending == ENDING_NOT && session->core_ended) {
        end_now(session, "the call ended early");
        return;
    }
    if (session->now_ms - session->watched_ms < WATCH_MS)
        return;
    session->watched_ms = session->now_ms;
    note_progress(session);
    if (session->ending != ENDING_NOT)
        return;
    if (is_open && is_done(session))
        end_now(session, NULL);
    else if (session->last_rows > settings->rows_max)
        end_with_dcn(session, "a page is longer than limits.rows allows");
    else if (session->now_ms - session->begun_ms > settings->session_ms_max)
        end_with_dcn(session, "the call lasted longer than limits.session_seconds allows");
    else if (is_open && session->now_ms - session->progress_ms > settings->stall_ms_max)
        end_with_dcn(session, "nothing came from the sender any more");
    else if (is_open &&
             session->now_ms - session->advanced_ms > IDLE_STALLS * settings->stall_ms_max)
        end_with_dcn(session, "the sender went on without getting anywhere");
}

/* The last steps: DCN on the line, then the encoding of what was salvaged, then over. */
static enum session_need run_ending(struct session *session)
{
    static const uint8_t dcn[] = {0xff, FRAME_FINAL, FCF_DCN};

    if (session->ending == ENDING_DCN && !session->front->responding) {
        trace(session, "out", dcn, sizeof dcn);
        session->front->ops->respond(session->front, dcn, sizeof dcn);
        session->ending = ENDING_SALVAGE;
    }
    if (session->ending != ENDING_SALVAGE || (session->front->responding && !session->hangup_why))
        return session->ending == ENDING_OVER ? SESSION_ENDED : SESSION_GOES_ON;
    if (session->ledger.salvaged_rows != NULL)
        return SESSION_NEEDS_WORKER;
    if (session->front->ops->rest != NULL && !session->front->ops->rest(session->front))
        return SESSION_GOES_ON;
    session->ending = ENDING_OVER;
    session->revision++;
    return SESSION_ENDED;
}

enum session_need session_run(struct session *session, int64_t now_ms,
                              int16_t audio_out[SESSION_TICK_SAMPLES])
{
    int64_t elapsed_ms = now_ms - session->now_ms;

    if (session->begun_ms == 0) {
        session->begun_ms = session->progress_ms = session->advanced_ms = now_ms;
        elapsed_ms = SESSION_TICK_MS;
    }
    if (elapsed_ms > RUN_MOST_MS)
        elapsed_ms = RUN_MOST_MS;
    session->now_ms = now_ms;
    apply_posted(session);
    feed(session);
    if (session->front->needs_worker && session->ending == ENDING_NOT) {
        if (audio_out != NULL)
            memset(audio_out, 0, sizeof *audio_out * SESSION_TICK_SAMPLES);
        return SESSION_NEEDS_WORKER;
    }
    run_gate(session);
    session->front->ops->tick(session->front, (int)elapsed_ms, audio_out);
    core_keep_waiting(&session->core);
    note_carrier(session);
    watch(session);
    return session->ending == ENDING_NOT ? SESSION_GOES_ON : run_ending(session);
}

void session_work(struct session *session)
{
    if (session->ending == ENDING_SALVAGE && session->ledger.salvaged_rows != NULL) {
        ledger_encode_salvaged(&session->ledger);
        return;
    }
    if (session->front->needs_worker && session->ending == ENDING_NOT) {
        core_note_command(&session->core, session->front->unread_ms > FRONT_UNREAD_MS,
                          session->front->lost_octets);
        session->ledger.is_new = false;
        if (core_block_fits(&session->core, session->gate.command, session->gate.command_length,
                            session->settings.rows_max))
            session->front->ops->pump(session->front, true);
        else
            end_with_dcn(session, "a page is longer than limits.rows allows");
    }
}

bool session_take_page(struct session *session, struct session_page *out)
{
    return ledger_take(&session->ledger, out);
}

/* ---- what is known -------------------------------------------------------------------------- */

void session_describe(const struct session *session, struct call_info *info)
{
    const struct ledger *ledger = &session->ledger;

    info->media = session->media == SESSION_T38     ? CALL_MEDIA_T38
                  : session->media == SESSION_MODEM ? CALL_MEDIA_MODEM
                                                    : CALL_MEDIA_AUDIO;
    text_copy(info->own_station, sizeof info->own_station, session->station);
    if (session->front != NULL)
        core_describe(&session->core, info);
    if (session->front != NULL && session->front->ops->describe != NULL)
        session->front->ops->describe(session->front, info);
    info->pages = ledger->confirmed;
    info->unconfirmed = ledger->unconfirmed + (ledger->produced - ledger->confirmed);
    /* in ECM the rows come all at once; of a letter some 12 octets make a row */
    info->rows = session->last_rows + session->last_octets / 12;
    info->verdict = session->ending < ENDING_SALVAGE ? CALL_LIVE : ledger_verdict(ledger);
    text_copy(info->error, sizeof info->error, session->error);
    if (info->verdict == CALL_PARTIAL && info->error[0] == '\0')
        text_copy(info->error, sizeof info->error, "the sender did not say that it was through");
    if (info->verdict == CALL_DOUBTFUL)
        text_copy(info->error, sizeof info->error, "a page came in badly and was not sent again");
}

uint32_t session_revision(const struct session *session)
{
    return session->revision;
}

unsigned session_dropped(const struct session *session, const char **out_why)
{
    *out_why = session->dropped_why;
    return session->dropped;
}

bool session_page_is_unconfirmed(const struct session *session, int number)
{
    return number > session->ledger.confirmed;
}
