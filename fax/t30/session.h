/* SPDX-License-Identifier: MIT */
/*
 * session.h - one T.30 reception: the core behind its guard, gate and watchdog, over a front end
 * that may change once from audio to T.38.
 *
 * Who may call what. A session has one owner at any time, a media thread or a page worker. The
 * media thread posts events (session_post_*) at any time, also while a worker has the session: they
 * wait in the inbox. Every 20 ms, when it owns the session, it calls session_run(), which feeds the
 * inbox to the core and sends what is due. When that returns SESSION_NEEDS_WORKER the session moves
 * to a page worker, which calls session_work() (the expensive step at a page's end) and gives it
 * back. The page that came out of it is then stored without the session, and the outcome is posted.
 *
 * Time is what the caller says it is, so tests run on virtual time.
 */
#ifndef FAXPOST_FAX_SESSION_H
#define FAXPOST_FAX_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fax/t30/modem_traits.h"
#include "spool/call_info.h"

struct session;

enum { SESSION_TICK_MS = 20, SESSION_TICK_SAMPLES = 160 };

enum session_media { SESSION_AUDIO, SESSION_T38, SESSION_MODEM };

struct session;
struct session_settings;
struct front;

/* NULL: out of memory. */
typedef struct front *session_front_maker(struct session *session,
                                          const struct session_settings *settings);

struct session_settings {
    enum session_media media; /* how the call begins */
    const char *station;      /* CSI, at most 20 characters; NULL or "": none */
    bool ecm;
    int pages_max;          /* then the call is ended (DCN), pages so far are kept */
    int rows_max;           /* of one page */
    int64_t session_ms_max; /* of the whole call */
    int64_t stall_ms_max;   /* without any progress: the watchdog ends the call */
    int t38_version;        /* as answered in SDP */
    int t38_max_datagram;
    bool t38_transferred_tcf; /* rate management agreed on */
    /* SESSION_MODEM only: what the modem is, and who speaks with it (fax/modem/front_modem.h). */
    struct modem_traits modem;
    session_front_maker *front_new;
};

/* Called from session_run() and session_work(), on the thread that owns the session. */
struct session_hooks {
    void *user;
    /* An IFP packet is to be sent as T.38. copies: how often the library would repeat it
     * (indicators 3); with UDPTL the redundancy does that, so send it once for each copy with a new
     * sequence number. */
    void (*send_ifp)(void *user, const uint8_t *ifp, size_t length, int copies);
    /* Now is the time to ask for T.38: CNG was heard, or our first DIS is going out. Called at most
     * once, only for sessions that began as audio. */
    void (*ask_t38)(void *user);
    /* Octets for the modem; SESSION_MODEM only. */
    void (*send_octets)(void *user, const uint8_t *octets, size_t length);
    /* A line for a trace (T.30 frames decoded, times); NULL: none. */
    void (*trace)(void *user, const char *line);
};

/* A page to be stored, or what could be salvaged of one. */
struct session_page {
    int number;          /* from 1 */
    bool unconfirmed;    /* goes to incoming_store_unconfirmed(), nobody waits for the outcome */
    uint32_t generation; /* comes back in session_post_stored() */
    uint8_t *tiff;       /* a single-page TIFF-F file; malloced, the caller's */
    size_t length;
};

enum session_need {
    SESSION_GOES_ON,
    SESSION_NEEDS_WORKER, /* move it to a worker, call session_work() there */
    SESSION_ENDED,        /* T.30 is over: hang up, then describe and free */
};

/* A session in phase A, ready for the first tick. strings are copied. ERROR_MEMORY, ERROR_LIBRARY.
 */
int session_new(struct session **out, const struct session_settings *settings,
                const struct session_hooks *hooks);
void session_free(struct session *session);

/* ---- events, posted by the media thread at any time; what finds no room is lost -------- */

void session_post_ifp(struct session *session, const uint8_t *ifp, size_t length, uint16_t seq);
void session_post_audio(struct session *session, const int16_t *samples, size_t count);
/* The same when nothing came at its time: samples are a guess. In the middle of a page the receiver
 * is kept in step instead, for a fifth of a second. */
void session_post_missing(struct session *session, const int16_t *samples, size_t count);
/* Octets from the modem, as they come. */
void session_post_octets(struct session *session, const uint8_t *octets, size_t length);
/* The outcome of storing a page: 0 or a negative error. Older generations are ignored. */
void session_post_stored(struct session *session, uint32_t generation, int error);
/* The other side hung up, or the call has to end (why: a literal or NULL). Pages stay as they are.
 */
void session_post_hangup(struct session *session, const char *why);

/* ---- the owner's calls -------------------------------------------------------------------------
 */

/* One step. now_ms: monotonic, called every 20 ms; with a modem at once too when octets came.
 * audio_out gets the next 160 samples to send when the session is in audio (may be NULL otherwise).
 */
enum session_need session_run(struct session *session, int64_t now_ms,
                              int16_t audio_out[SESSION_TICK_SAMPLES]);

/* The expensive step: on a worker, after SESSION_NEEDS_WORKER. Afterwards session_take_page() until
 * it gives false, then give the session back to the media thread, then store the pages. */
void session_work(struct session *session);
bool session_take_page(struct session *session, struct session_page *out);

/* True until the first DCS: a switch to T.38 is possible. Readable from any thread. */
bool session_can_switch(const struct session *session);

/* Switches from audio to T.38: the core starts again in phase B. settings: only the t38_ fields are
 * read. ERROR_STATE after the first DCS (answer 488). The owner only, between runs. */
int session_switch_t38(struct session *session, const struct session_settings *settings);

/* Fills what the session knows: media, identities, rate, ecm, compression, pages, unconfirmed,
 * rows, verdict, error. Other fields are left alone. The owner only. */
void session_describe(const struct session *session, struct call_info *info);

/* A number that changes whenever session_describe() would say something new that belongs into
 * call.ini at once (identities, a page, the verdict). The owner only. */
uint32_t session_revision(const struct session *session);

/* How many frames the guard kept from the core as malformed, and in *out_why what was wrong with
 * the last of them (a literal, NULL: none). The owner only. */
unsigned session_dropped(const struct session *session, const char **out_why);

/* True when page `number`, stored, was in the end not confirmed to the sender (gate gave up): the
 * file is to be renamed to unconfirmed-NNNN.tif. */
bool session_page_is_unconfirmed(const struct session *session, int number);

/* Once per process, before the first session: checks the library's version and lays its error
 * output to rest. ERROR_LIBRARY when the library is not the one this was built against. */
int session_library_init(void);

#endif
