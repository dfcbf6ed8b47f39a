/* SPDX-License-Identifier: MIT */
/*
 * softmodem.h - what the parts of softmodem share.
 *
 * One thread. softmodem.c holds the clock: every step is 20 ms of the telephone line, and between
 * the steps the modems' ports are served at once. softmodem_exchange.c is the telephone exchange
 * with its two sockets; softmodem_modem.c a modem on a pty, spandsp's T.31; softmodem_line.c the
 * wires between, which may be bad; softmodem_options.c the command line and the commands on
 * standard input. The fax machine that may stand in the place of a modem is faxcall's.
 */
#ifndef FAXPOST_TEST_SOFTMODEM_H
#define FAXPOST_TEST_SOFTMODEM_H

#include "test/tools/faxcall.h"

enum { STEP_MS = FAXCALL_TICK_MS, STEP_SAMPLES = RTP_TICK_SAMPLES, CALLER_LINES_MAX = 8 };

/* ---- options -------------------------------------------------------------------------------- */

/* What a modem may be like; the first is a good one. */
enum mode { MODE_WELL, MODE_ERROR, MODE_MUTE, MODE_GARBAGE, MODE_SELF, MODE_STUCK };

/* Of a line; a time of 0: never. */
struct line_options {
    int delay_ms;
    int noise_dbm0; /* 0: none */
    int drop_every_ms, drop_ms, burst_every_ms, burst_ms;
    unsigned seed;
};

/* What rings: a fax machine of the tool, when file is set, or a sound. */
enum sound { SOUND_NONE, SOUND_VOICE, SOUND_DATA };

struct call_options {
    struct options fax; /* file NULL: a sound */
    enum sound sound;
    int hangup_after_ms; /* of its answer; 0: never */
    int rings;           /* then it gives up */
    char *words;         /* what the texts lie in, to be freed; or NULL */
    char lines[CALLER_LINES_MAX][FAXCALL_TEXT_MAX];
    int line_count;
};

struct softmodem_options {
    const char *pty[2]; /* the second may be NULL */
    mode_t pty_mode;
    enum mode mode; /* of the first */
    int latency_ms; /* of the first modem's port, each way */
    bool xonxoff, deaf, once, control;
    int ring_every_ms, patience_ms;
    const char *trace, *answer_out, *json;
    struct line_options line;
    struct call_options call; /* what --call and the texts for callers ask; defaults of "call" */
    bool call_now;
};

/* Reads the command line; on a mistake, and after --help, says so and ends the program. */
void softmodem_options_read(struct softmodem_options *out, int argc, char **argv);
/* "well", "error", … as an enum mode; -1: none of them. */
int softmodem_mode_of(const char *text);
/* Words "file=x ecm=no number=5551000 …" of a command over the defaults. The texts live as long as
 * words do. false: says on standard error what is wrong. */
bool call_options_read(struct call_options *call, char *words);

/* ---- a modem -------------------------------------------------------------------------------- */

struct modem;

struct modem_hooks {
    void *user;
    /* What its host has asked for. Called in the middle of the modem's work: they only note it. */
    void (*dial)(void *user, int socket, const char *number);
    void (*answer)(void *user, int socket);
    void (*hangup)(void *user, int socket);
};

/* Plugged in. Ends the program when there is no pty. */
struct modem *modem_new(const struct softmodem_options *options, int socket, FILE *trace,
                        const struct modem_hooks *hooks);
void modem_free(struct modem *modem);
void modem_unplug(struct modem *modem); /* pty and symlink vanish, its memory is lost */
void modem_plug(struct modem *modem);
void modem_set_mode(struct modem *modem, enum mode mode);

/* The port to poll for input; -1 while nothing may be read. */
int modem_port(const struct modem *modem);
/* Takes what the host has sent. */
void modem_serve(struct modem *modem);
bool modem_is_off_hook(const struct modem *modem);
/* Does the host still have to read something? For how the tool waits for it. */
bool modem_host_is_behind(const struct modem *modem);

/* 20 ms of the line; silence when on hook. */
void modem_step(struct modem *modem, int16_t in[STEP_SAMPLES], int16_t out[STEP_SAMPLES]);

void modem_ring(struct modem *modem);
void modem_tell_caller(struct modem *modem, const struct call_options *call);
void modem_far_gone(struct modem *modem); /* the other side has hung up */
void modem_answered(struct modem *modem);
void modem_connected(struct modem *modem);
void modem_busy(struct modem *modem);

/* ---- a line --------------------------------------------------------------------------------- */

struct line; /* one direction */

struct line *line_new(const struct line_options *options, unsigned seed);
void line_free(struct line *line);
void line_clear(struct line *line); /* a new call: nothing is under way */
/* In place: what goes in, and what comes out at the other end in the same 20 ms. */
void line_step(struct line *line, int16_t samples[STEP_SAMPLES]);
void line_drop(struct line *line, int ms);
void line_burst(struct line *line, int ms);

struct sound_state {
    enum sound sound;
    int64_t sample;
    uint32_t random;
    double low, phase;
};
void sound_step(struct sound_state *state, int16_t out[STEP_SAMPLES]);

/* ---- the exchange --------------------------------------------------------------------------- */

struct exchange;

struct exchange *exchange_new(const struct softmodem_options *options, FILE *json, FILE *trace);
void exchange_free(struct exchange *exchange);
struct modem *exchange_modem(struct exchange *exchange, int socket); /* or NULL */
void exchange_step(struct exchange *exchange);
/* One line from standard input; false: "quit". */
bool exchange_command(struct exchange *exchange, char *text);
void exchange_call(struct exchange *exchange, const struct call_options *call);
bool exchange_is_talking(const struct exchange *exchange);
int exchange_calls_over(const struct exchange *exchange);
int exchange_calls_failed(const struct exchange *exchange);

/* One JSON object in one line on standard output: {"event": NAME, …}; text may be NULL. */
void event_say(const char *name, const char *key, const char *text);

#endif
