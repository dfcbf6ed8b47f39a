/* SPDX-License-Identifier: MIT */
/*
 * faxcall.h - what the parts of faxcall share.
 *
 * faxcall_sip.c (main thread, libre's loop) places and answers calls; faxcall_media.c (a few
 * threads, 20 ms ticks) moves packets over a wire (faxcall_wire.c) that may be bad;
 * faxcall_terminal.c is the fax machine, spandsp's own terminals plain as the library has them,
 * which may forge a kind of frame. faxcall_script.c stands in its place and plays what a file says.
 * Main thread and media threads speak by messages only: media_*() posts to a media thread,
 * media_event() comes back in the loop.
 */
#ifndef FAXPOST_TEST_FAXCALL_H
#define FAXPOST_TEST_FAXCALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include "fax/sip/rtp.h"
#include "fax/sip/sdp.h"
#include "fax/sip/udptl.h"

enum { FAXCALL_TICK_MS = 20, FAXCALL_PAGES_MAX = 200, FAXCALL_TEXT_MAX = 64 };

/* ---- options -------------------------------------------------------------------------------- */

enum switching { SWITCH_REFUSE, SWITCH_PEER, SWITCH_SELF };
enum hangup { HANGUP_BYE, HANGUP_NONE, HANGUP_SILENT };
enum kind { KIND_AUDIO, KIND_T38 };

/* What is done to frames of the fax machine before they go out; see forge() in
 * faxcall_terminal.c. */
enum forge {
    FORGE_NOTHING,
    FORGE_DCS_WIDTH,
    FORGE_DCS_RATE,
    FORGE_DCS_LONG,
    FORGE_FCD_SHORT,
    FORGE_FCD_ROWS,
    FORGE_PPS_SHORT,
    FORGE_CTC_SHORT,
    FORGE_CTC_RATE,
    FORGE_EOR_SHORT,
};
extern const char *const forge_words[]; /* by enum forge; NULL at the end */

/* What happens to packets, each way; probabilities from 0 to 1. */
struct wire_options {
    double loss, twice, reorder;
    int delay_ms;
};

struct options {
    bool answer;
    const char *to, *from, *from_name, *file, *out, *json;
    char local_ip[64];
    struct sockaddr_storage listen; /* --answer */
    bool tcp, sip_trace;
    int calls, concurrent, threads, timeout_s;
    double rate;

    enum kind start; /* what the first offer holds */
    enum rtp_law law;
    enum udptl_correction correction;
    int entries, t38_version, switch_after_ms;
    enum switching switching;
    int expect; /* an enum kind, or -1 */

    bool ecm;
    int modems, compressions; /* bits of the library, 0: all it can do */
    const char *station, *subaddress, *sender, *password;

    struct wire_options wire;
    double mutate_ifp, mutate_udptl; /* this share of what is sent is damaged */
    enum forge forge;
    const char *scripts;
    unsigned seed;
    int abort_after_page, abort_in_page; /* 0: none */
    bool abort_silent;
    enum hangup hangup;
    int refresh_ms; /* 0: never */
    bool refresh_by_update;
};

/* Reads the command line; on a mistake, and after --help, says so and ends the program. */
void options_read(struct options *out, int argc, char **argv);

/* ---- the fax machine ------------------------------------------------------------------------ */

struct outcome {
    bool done, ok; /* done: T.30 came to its end; ok: without error */
    char error[128];
    int pages_in_file, pages_sent, pages_confirmed, pages_received;
    int bit_rate, retransmits, trainings;
    bool ecm;
    char far_station[FAXCALL_TEXT_MAX];
    char heard[400];               /* of a script: frames, by name */
    int mcf_ms[FAXCALL_PAGES_MAX]; /* post-message command begun → its answer heard, per page */
};

struct terminal;

/* An IFP packet to be sent `copies` times. */
typedef void terminal_send_handler(void *user, const uint8_t *ifp, size_t length, int copies);

/* file: sent when calling, written when answering. NULL when the library refuses. */
struct terminal *terminal_new(const struct options *options, enum kind kind, const char *file,
                              terminal_send_handler *send, void *user);
void terminal_free(struct terminal *terminal);

/* From audio to T.38: T.30 begins anew. version: as agreed on. */
bool terminal_switch_t38(struct terminal *terminal, int version);

void terminal_take_ifp(struct terminal *terminal, const uint8_t *ifp, size_t length, uint16_t seq);
/* In audio: what comes, and 20 ms that go out. */
void terminal_hear(struct terminal *terminal, int16_t in[RTP_TICK_SAMPLES]);
void terminal_tick_audio(struct terminal *terminal, int16_t out[RTP_TICK_SAMPLES]);
/* In T.38: 20 ms pass. */
void terminal_tick_t38(struct terminal *terminal);

/* The page on the line, from 1, and how much of it is sent, 0 to 1. Page 0: none. */
int terminal_page(const struct terminal *terminal, double *fraction);
/* The outcome so far; final once done is set. */
const struct outcome *terminal_outcome(struct terminal *terminal);
/* The call is over although T.30 is not. */
void terminal_stop(struct terminal *terminal);

/* ---- a script in its place (T.38) -------------------------------------------------------------
 */

struct script;

/* A UDP packet to be sent as it is. */
typedef void script_packet_handler(void *user, const uint8_t *packet, size_t length);

/* Reads a file of scripts, a line for each call; false: there is none. Once. */
bool scripts_load(const char *path);
int scripts_count(void);

/* The script of call `number`, from 1. NULL: out of memory. */
struct script *script_new(int number, unsigned seed, terminal_send_handler *send,
                          script_packet_handler *packet, void *user);
void script_free(struct script *script);
void script_take_ifp(struct script *script, const uint8_t *ifp, size_t length, uint16_t seq);
void script_tick(struct script *script);
const struct outcome *script_outcome(const struct script *script);

/* ---- the wire ------------------------------------------------------------------------------- */

struct held;

struct wire {
    const struct wire_options *options;
    struct held *first; /* by due time */
    int held;
    uint64_t random;
};

typedef void wire_handler(void *user, const uint8_t *packet, size_t length);

/* The same seed gives the same chances. */
void wire_init(struct wire *wire, const struct wire_options *options, uint64_t seed);
/* Loses the packet, hands it on, or keeps it for later. */
void wire_put(struct wire *wire, const uint8_t *packet, size_t length, int64_t now_ms,
              wire_handler *handler, void *user);
/* Hands on what is due; handler NULL: loses it. */
void wire_release(struct wire *wire, int64_t now_ms, wire_handler *handler, void *user);
void wire_clear(struct wire *wire);
/* Cuts, lengthens and garbles this share of packets, in out[size]; gives the length of what stands
 * there. */
size_t wire_mutate(struct wire *wire, double share, const uint8_t *packet, size_t length,
                   uint8_t *out, size_t size);

/* ---- media ---------------------------------------------------------------------------------- */

struct media;
struct media_pool;

enum media_event {
    MEDIA_DONE,    /* T.30 has ended */
    MEDIA_ABORT,   /* the page to abort at is reached; nothing is sent any more */
    MEDIA_STOPPED, /* after media_stop(): the outcome is final, media_free() may be called */
};

/* Called on a media thread; event is an enum media_event. */
typedef void media_event_handler(void *user, void *call, int event);

/* threads: media threads. NULL when they cannot be started. */
struct media_pool *media_pool_new(const struct options *options, int threads,
                                  media_event_handler *handler, void *user);
/* Ends the threads; all media must have been stopped. NULL is fine. */
void media_pool_free(struct media_pool *pool);

/* Two sockets, bound to options->local_ip; nothing runs yet. NULL: no port, memory or library. */
struct media *media_new(struct media_pool *pool, int number, void *call, const char *file);
unsigned media_port(const struct media *media, enum kind kind);
/* Begins to run, or changes over: packets go to this address. kind T.38: agreed holds what the
 * other side's description says. Asked twice for the same kind it only takes the address. */
void media_run(struct media *media, enum kind kind, const char *address, unsigned port,
               enum rtp_law law, const struct sdp_t38 *agreed);
void media_stop(struct media *media); /* MEDIA_STOPPED follows */

/* Both only after MEDIA_STOPPED, or when it never ran. */
const struct outcome *media_outcome(const struct media *media, enum kind *kind);
void media_free(struct media *media);

/* ---- calls ---------------------------------------------------------------------------------- */

struct result {
    int number;
    char called[FAXCALL_TEXT_MAX], caller[FAXCALL_TEXT_MAX];
    struct outcome outcome;
    enum kind kind; /* at the end */
    bool ok, aborted;
    int sip_code;    /* of the INVITE; 0: no answer at all */
    double seconds;  /* from INVITE to the end */
    char error[160]; /* why it is not ok, "" when it is */
};

/* Places or answers all calls; 0 when all went as asked. */
int sip_run(const struct options *options, FILE *json);

/* One JSON object in one line; and one for people. */
void result_json(FILE *out, const struct result *result);
void result_text(FILE *out, const struct result *result);

/* ---- addresses ------------------------------------------------------------------------------ */

/* "192.0.2.1", 5060 → sockaddr; false when it is no literal. */
bool address_make(struct sockaddr_storage *out, const char *address, unsigned port);
socklen_t address_size(const struct sockaddr_storage *address);

#endif
