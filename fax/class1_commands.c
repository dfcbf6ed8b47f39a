/* SPDX-License-Identifier: MIT */
/*
 * class1_commands.c - commands out, responses in, and what to do when none comes.
 */
#include "fax/class1_commands.h"

#include <stdio.h>
#include <string.h>

enum {
    ANSWER_MS = 45000, /* CED takes 4 s; some modems wait for the end of a ring first */
    QUIET_MS = 1500,   /* a noisy line never falls silent */
    OPEN_MS = 3000,    /* the sender waits as long for an answer (T4) */
    HELD_MS = 4500,    /* the modem itself gives up after 5 s (T.31 8.3.4) */
    CLOSE_MS = 1500,
    PREAMBLE_MS = 1500, /* 1 s ± 15 % (T.30 5.3.1) and what the port delays */
    SEEK_MS = 65000,    /* T.30's own timers and the gate end it long before */
    FRAME_MS = 10000,   /* CONNECT comes with the flags; senders hold these for 3 s at most */
    VERDICT_MS = 3000,  /* OK comes when the carrier has gone */
    STALL_MS = 5000,    /* a carrier brings octets all the time */
    LEAVE_MS = 350,     /* OK in 200 ms, or none; and the port's delay both ways */
    CROSSED_MS = 600,   /* an OK before this may belong to what was left */
    PEACE_MS = 500,     /* between tries of a modem that finds nothing */
    FAILURES_MOST = 8,
    V21_BIT_RATE = 300,
    FINAL_BIT = 0x10, /* of the control octet (T.30 5.3.5) */
};

static const char no_answers[] =
    "the modem stopped answering commands: look at its cable and power, then run \"faxpost modem "
    "probe\"";
static const char only_errors[] =
    "the modem answers commands with ERROR: run \"faxpost modem probe\" and compare the line's "
    "settings";

/* ---- states --------------------------------------------------------------------------------- */

static void enter(struct class1 *modem, enum class1_state state, int deadline_ms)
{
    modem->state = state;
    modem->since_ms = modem->now_ms;
    modem->deadline_ms = deadline_ms > 0 ? modem->now_ms + deadline_ms : 0;
}

static void give_up(struct class1 *modem, const char *why)
{
    if (modem->state == CLASS1_GIVEN_UP)
        return;
    at_stream_command(&modem->stream);
    enter(modem, CLASS1_GIVEN_UP, 0);
    modem->hooks.given_up(modem->hooks.user, why);
}

static void succeed(struct class1 *modem)
{
    modem->failures = 0;
}

/* False: that was one too many. */
static bool fail(struct class1 *modem, const char *why)
{
    if (++modem->failures < FAILURES_MOST)
        return true;
    give_up(modem, why);
    return false;
}

static void command(struct class1 *modem, const char *text, enum class1_state state,
                    int deadline_ms)
{
    char line[32];
    int length = snprintf(line, sizeof line, "%s\r", text);

    modem->hooks.trace(modem->hooks.user, "modem >", text);
    at_stream_command(&modem->stream);
    modem->hooks.send(modem->hooks.user, (const uint8_t *)line, (size_t)length);
    enter(modem, state, deadline_ms);
}

/* ---- commands ------------------------------------------------------------------------------- */

void class1_answer(struct class1 *modem)
{
    command(modem, "ATA", CLASS1_ANSWERING, ANSWER_MS);
}

static void open_carrier(struct class1 *modem)
{
    modem->heard = false;
    modem->empty = 0;
    command(modem, "AT+FTH=3", CLASS1_OPENING, OPEN_MS);
}

/* 75 ms of silence lie between the carriers of either side (T.30 5.3.2.2). */
void class1_open(struct class1 *modem)
{
    char text[24];

    modem->pausing = false;
    if (!modem->heard) {
        open_carrier(modem);
    } else if (modem->traits->has_frs) {
        command(modem, "AT+FRS=7", CLASS1_QUIET, QUIET_MS);
    } else if (modem->traits->has_fts) {
        snprintf(text, sizeof text, "AT+FTS=%d", (modem->traits->pause_ms + 9) / 10 & 0xff);
        command(modem, text, CLASS1_QUIET, QUIET_MS);
    } else {
        modem->pausing = true;
        enter(modem, CLASS1_QUIET, modem->traits->pause_ms > 0 ? modem->traits->pause_ms : 1);
    }
}

void class1_seek_frame(struct class1 *modem)
{
    if (modem->now_ms < modem->again_ms)
        return;
    modem->frame_length = 0;
    modem->too_long = false;
    command(modem, "AT+FRH=3", CLASS1_SEEKING_FRAME, SEEK_MS);
}

void class1_seek_image(struct class1 *modem, int code)
{
    char text[24];

    if (modem->now_ms < modem->again_ms)
        return;
    modem->image_code = code;
    modem->image_octets = 0;
    modem->empty = 0;
    snprintf(text, sizeof text, "AT+FRM=%d", code);
    command(modem, text, CLASS1_SEEKING_IMAGE, SEEK_MS);
}

static void trace_octets(struct class1 *modem, const char *direction, size_t octets)
{
    char text[32];

    snprintf(text, sizeof text, "%zu octets", octets);
    modem->hooks.trace(modem->hooks.user, direction, text);
}

void class1_send(struct class1 *modem, const uint8_t *frame, size_t length)
{
    uint8_t stuffed[2 * CLASS1_FRAME_MAX + 2];
    size_t n = at_stuff(stuffed, sizeof stuffed, frame, length, true);

    modem->is_final = length > 1 && (frame[1] & FINAL_BIT) != 0;
    trace_octets(modem, "modem >", length);
    modem->hooks.send(modem->hooks.user, stuffed, n);
    /* address, control and FCS are octets too; flags between, bits stuffed */
    enter(modem, CLASS1_SENDING,
          2 * PREAMBLE_MS + (int)(length + 6) * 8 * 6 / 5 * 1000 / V21_BIT_RATE);
}

void class1_close(struct class1 *modem)
{
    static const uint8_t end[] = {AT_DLE, AT_ETX};

    modem->hooks.trace(modem->hooks.user, "modem >", "end of carrier");
    modem->hooks.send(modem->hooks.user, end, sizeof end);
    enter(modem, CLASS1_CLOSING, CLOSE_MS);
}

/* Any octet ends a reception (T.31 8.3.3); CAN also ends a transmission, and is none of the octets
 * of flow control. One only: a second would cut off what follows. */
void class1_leave(struct class1 *modem)
{
    static const uint8_t cancel[] = {AT_CAN};

    modem->hooks.trace(modem->hooks.user, "modem >", "CAN");
    modem->hooks.send(modem->hooks.user, cancel, sizeof cancel);
    enter(modem, CLASS1_LEAVING, LEAVE_MS);
}

bool class1_is_receiving(const struct class1 *modem)
{
    return modem->state >= CLASS1_SEEKING_FRAME && modem->state <= CLASS1_IMAGE_END;
}

/* ---- responses ------------------------------------------------------------------------------ */

enum response {
    RESPONSE_OTHER,
    RESPONSE_OK,
    RESPONSE_CONNECT,
    RESPONSE_NO_CARRIER,
    RESPONSE_ERROR,
    RESPONSE_FCERROR,
    RESPONSE_FRH3,
    RESPONSE_RING,
    RESPONSE_DATA,
    RESPONSE_VOICE,
    RESPONSE_NOBODY,
};

/* Behind rubbish of the line a response still counts, so the longer ones come first. */
static const struct {
    const char *text;
    enum response response;
} responses[] = {
    {"+FCERROR", RESPONSE_FCERROR},
    {"+FRH:3", RESPONSE_FRH3},
    {"NO CARRIER", RESPONSE_NO_CARRIER},
    {"CONNECT", RESPONSE_CONNECT},
    {"ERROR", RESPONSE_ERROR},
    {"OK", RESPONSE_OK},
    {"RING", RESPONSE_RING},
    {"+FDM", RESPONSE_DATA},
    {"DATA", RESPONSE_DATA},
    {"VCON", RESPONSE_VOICE},
    {"BUSY", RESPONSE_NOBODY},
    {"NO ANSWER", RESPONSE_NOBODY},
    {"NO DIALTONE", RESPONSE_NOBODY},
    {"NO DIAL TONE", RESPONSE_NOBODY},
};

static enum response response_of(const char *line)
{
    enum { RUBBISH_MOST = 8 };
    size_t length = strlen(line);

    if (strncmp(line, "AT", 2) == 0)
        return RESPONSE_OTHER; /* an echo */
    if (strncmp(line, "CONNECT ", 8) == 0 || strncmp(line, "CARRIER ", 8) == 0)
        return RESPONSE_DATA; /* with a rate behind it: a data call */
    for (size_t i = 0; i < sizeof responses / sizeof responses[0]; i++) {
        size_t n = strlen(responses[i].text);

        if (length >= n && length <= n + RUBBISH_MOST &&
            strcmp(line + length - n, responses[i].text) == 0)
            return responses[i].response;
    }
    return RESPONSE_OTHER;
}

/* A command was refused. Some modems are still in what it was meant to begin. */
static void refused(struct class1 *modem)
{
    if (fail(modem, only_errors))
        class1_leave(modem);
}

/* The reception is over; the next one may begin. */
static void rest(struct class1 *modem)
{
    modem->heard = true;
    enter(modem, CLASS1_COMMAND, 0);
}

/* There was no carrier, or a false CONNECT. Some modems say so many times before it is true. */
static void nothing_came(struct class1 *modem)
{
    if (++modem->empty > modem->traits->connect_tries)
        modem->again_ms = modem->now_ms + PEACE_MS;
    rest(modem);
    modem->hooks.no_frame(modem->hooks.user);
}

static void on_answering(struct class1 *modem, enum response response)
{
    switch (response) {
    case RESPONSE_CONNECT:
        succeed(modem);
        modem->has_answered = true;
        enter(modem, CLASS1_OPEN, HELD_MS);
        modem->hooks.answered(modem->hooks.user);
        break;
    case RESPONSE_DATA:
        give_up(modem, "the modem answered as a data modem: the caller is no fax, or the modem "
                       "does not keep +FCLASS=1; set init strings with S0=0 and +FAE=0");
        break;
    case RESPONSE_VOICE: give_up(modem, "the modem says that this is a voice call"); break;
    case RESPONSE_NO_CARRIER:
    case RESPONSE_NOBODY:
        give_up(modem, "no fax answered to the modem: a voice call, or the caller hung up");
        break;
    case RESPONSE_ERROR:
        give_up(modem, "the modem refused to answer the call (ERROR to ATA): run \"faxpost modem "
                       "probe\"");
        break;
    default: break; /* RING once more, FAX … */
    }
}

static void on_quiet(struct class1 *modem, enum response response)
{
    if (modem->pausing)
        return;
    if (response == RESPONSE_OK)
        open_carrier(modem);
    else if ((response == RESPONSE_ERROR || response == RESPONSE_NO_CARRIER) &&
             fail(modem, only_errors))
        open_carrier(modem); /* it does not know the command */
}

/* An OK to a command that gives none: for what was left before, or the command was taken for the
 * octet that ends a reception, of which we did not know. */
static bool is_late_ok(struct class1 *modem)
{
    bool late = modem->now_ms < modem->ok_until_ms;

    modem->ok_until_ms = 0;
    return late;
}

static void on_opening(struct class1 *modem, enum response response)
{
    switch (response) {
    case RESPONSE_CONNECT:
        succeed(modem);
        enter(modem, CLASS1_OPEN, HELD_MS);
        break;
    case RESPONSE_OK:
        if (!is_late_ok(modem) && fail(modem, only_errors))
            open_carrier(modem);
        break;
    case RESPONSE_ERROR:
    case RESPONSE_NO_CARRIER: refused(modem); break;
    default: break;
    }
}

static void on_sending(struct class1 *modem, enum response response)
{
    switch (response) {
    case RESPONSE_CONNECT:
        if (modem->is_final)
            return; /* some say so once more when the preamble is over */
        enter(modem, CLASS1_OPEN, HELD_MS);
        break;
    case RESPONSE_OK: enter(modem, CLASS1_COMMAND, 0); break;
    case RESPONSE_ERROR:
    case RESPONSE_NO_CARRIER:
        if (!fail(modem, only_errors))
            return;
        enter(modem, CLASS1_COMMAND, 0);
        break;
    default: return;
    }
    modem->hooks.sent(modem->hooks.user);
}

static void begin_frame(struct class1 *modem)
{
    modem->frame_length = 0;
    modem->too_long = false;
    modem->begun_ms = modem->now_ms;
    at_stream_data(&modem->stream);
    enter(modem, CLASS1_FRAME, FRAME_MS);
}

static void on_seeking_frame(struct class1 *modem, enum response response)
{
    switch (response) {
    case RESPONSE_CONNECT: begin_frame(modem); break;
    case RESPONSE_NO_CARRIER: nothing_came(modem); break;
    case RESPONSE_FCERROR:
    case RESPONSE_ERROR:
        modem->again_ms = modem->now_ms + LEAVE_MS;
        refused(modem);
        break;
    case RESPONSE_OK:
        if (!is_late_ok(modem))
            nothing_came(modem);
        break;
    default: break;
    }
}

/* The library's own T.31, and so iaxmodem, says CONNECT twice when the frame was there before it
 * was asked for. */
static void drop_second_connect(struct class1 *modem)
{
    static const char connect[] = "\r\nCONNECT\r\n";
    size_t n = sizeof connect - 1;

    if (modem->frame_length < n || memcmp(modem->frame, connect, n) != 0)
        return;
    modem->frame_length -= n;
    memmove(modem->frame, modem->frame + n, modem->frame_length);
}

static void frame_ends(struct class1 *modem, bool good)
{
    modem->empty = 0;
    rest(modem);
    drop_second_connect(modem);
    modem->hooks.frame(modem->hooks.user, modem->frame, modem->frame_length,
                       good && !modem->too_long);
}

static void on_frame_end(struct class1 *modem, enum response response)
{
    switch (response) {
    case RESPONSE_OK:
        succeed(modem);
        frame_ends(modem, true);
        break;
    case RESPONSE_ERROR: frame_ends(modem, false); break;
    case RESPONSE_NO_CARRIER: nothing_came(modem); break;
    default: break;
    }
}

static void no_image(struct class1 *modem)
{
    rest(modem);
    modem->hooks.no_image(modem->hooks.user);
}

static void on_seeking_image(struct class1 *modem, enum response response)
{
    switch (response) {
    case RESPONSE_CONNECT:
        succeed(modem);
        at_stream_data(&modem->stream);
        enter(modem, CLASS1_IMAGE, STALL_MS);
        modem->hooks.image_begins(modem->hooks.user);
        break;
    case RESPONSE_FRH3: /* +FAR=1: CONNECT and the frame follow by themselves (T.31 B.2) */
        enter(modem, CLASS1_SEEKING_FRAME, FRAME_MS);
        modem->hooks.v21_instead(modem->hooks.user, true);
        break;
    case RESPONSE_FCERROR:
        rest(modem);
        modem->hooks.v21_instead(modem->hooks.user, false);
        break;
    case RESPONSE_ERROR: /* what some say for +FCERROR */
        refused(modem);
        if (modem->state != CLASS1_GIVEN_UP)
            modem->hooks.v21_instead(modem->hooks.user, false);
        break;
    case RESPONSE_OK:
        if (!is_late_ok(modem))
            rest(modem);
        break;
    case RESPONSE_NO_CARRIER: no_image(modem); break;
    default: break;
    }
}

static void image_over(struct class1 *modem)
{
    trace_octets(modem, "modem <", modem->image_octets);
    modem->hooks.image_ends(modem->hooks.user);
}

static void on_leaving(struct class1 *modem, enum response response)
{
    switch (response) {
    case RESPONSE_CONNECT: /* it crossed: what comes now is thrown away */
        at_stream_data(&modem->stream);
        break;
    case RESPONSE_OK:
    case RESPONSE_ERROR:
    case RESPONSE_NO_CARRIER: enter(modem, CLASS1_COMMAND, 0); break;
    default: break;
    }
}

static void on_line(void *user, const char *line)
{
    struct class1 *modem = user;
    enum response response = response_of(line);

    modem->hooks.trace(modem->hooks.user, "modem <", line);
    if (response == RESPONSE_RING && modem->has_answered) {
        give_up(modem, "the modem rings in the middle of a call: it hung up by itself; look at its "
                       "power and telephone cable");
        return;
    }
    switch (modem->state) {
    case CLASS1_ANSWERING: on_answering(modem, response); break;
    case CLASS1_QUIET: on_quiet(modem, response); break;
    case CLASS1_OPENING: on_opening(modem, response); break;
    case CLASS1_SENDING: on_sending(modem, response); break;
    case CLASS1_SEEKING_FRAME: on_seeking_frame(modem, response); break;
    case CLASS1_FRAME: /* without DLE ETX: see at_stream */
        if (response == RESPONSE_NO_CARRIER)
            nothing_came(modem);
        break;
    case CLASS1_FRAME_END: on_frame_end(modem, response); break;
    case CLASS1_SEEKING_IMAGE: on_seeking_image(modem, response); break;
    case CLASS1_IMAGE:
        if (response == RESPONSE_NO_CARRIER) {
            rest(modem);
            image_over(modem);
        }
        break;
    case CLASS1_IMAGE_END:
        if (response == RESPONSE_NO_CARRIER || response == RESPONSE_OK ||
            response == RESPONSE_ERROR) {
            rest(modem);
            image_over(modem);
        }
        break;
    case CLASS1_LEAVING: on_leaving(modem, response); break;
    case CLASS1_OPEN: /* held for too long, or the line is gone */
    case CLASS1_CLOSING:
        if (response == RESPONSE_OK || response == RESPONSE_ERROR ||
            response == RESPONSE_NO_CARRIER)
            enter(modem, CLASS1_COMMAND, 0);
        break;
    case CLASS1_COMMAND:
    case CLASS1_GIVEN_UP: break;
    }
}

/* ---- data ----------------------------------------------------------------------------------- */

static void on_data(void *user, const uint8_t *octets, size_t length)
{
    struct class1 *modem = user;
    size_t room = sizeof modem->frame - modem->frame_length;

    if (modem->state == CLASS1_IMAGE) {
        modem->deadline_ms = modem->now_ms + STALL_MS;
        modem->image_octets += length;
        modem->hooks.image(modem->hooks.user, octets, length);
    } else if (modem->state == CLASS1_FRAME) {
        modem->too_long = modem->too_long || length > room;
        memcpy(modem->frame + modem->frame_length, octets, length < room ? length : room);
        modem->frame_length += length < room ? length : room;
    }
}

static void on_data_end(void *user)
{
    struct class1 *modem = user;

    if (modem->state == CLASS1_IMAGE) {
        enter(modem, CLASS1_IMAGE_END, VERDICT_MS);
    } else if (modem->state == CLASS1_FRAME) {
        trace_octets(modem, "modem <", modem->frame_length);
        enter(modem, CLASS1_FRAME_END, VERDICT_MS);
    }
}

void class1_octets(struct class1 *modem, const uint8_t *octets, size_t length)
{
    at_stream_feed(&modem->stream, octets, length);
}

/* ---- time ----------------------------------------------------------------------------------- */

static void expire(struct class1 *modem)
{
    switch (modem->state) {
    case CLASS1_ANSWERING:
        give_up(modem, "the modem did not answer the call in time (ATA): run \"faxpost modem "
                       "probe\"");
        break;
    case CLASS1_QUIET:
        if (modem->pausing)
            open_carrier(modem);
        else {
            modem->heard = false; /* the line is noisy: go on without */
            class1_leave(modem);
        }
        break;
    case CLASS1_OPENING:
    case CLASS1_CLOSING:
        if (fail(modem, no_answers))
            class1_leave(modem);
        break;
    case CLASS1_OPEN: class1_close(modem); break;
    case CLASS1_SENDING:
        if (fail(modem, no_answers)) {
            class1_leave(modem);
            modem->hooks.sent(modem->hooks.user);
        }
        break;
    case CLASS1_SEEKING_FRAME:
    case CLASS1_SEEKING_IMAGE:
    case CLASS1_FRAME:
        class1_leave(modem);
        modem->heard = true;
        modem->hooks.no_frame(modem->hooks.user);
        break;
    case CLASS1_FRAME_END:
        if (fail(modem, no_answers))
            frame_ends(modem, false);
        break;
    case CLASS1_IMAGE:
        class1_leave(modem);
        modem->heard = true;
        image_over(modem);
        break;
    case CLASS1_IMAGE_END:
        rest(modem);
        image_over(modem);
        break;
    case CLASS1_LEAVING:
        modem->ok_until_ms = modem->now_ms + CROSSED_MS;
        enter(modem, CLASS1_COMMAND, 0);
        break;
    case CLASS1_COMMAND:
    case CLASS1_GIVEN_UP: break;
    }
}

void class1_tick(struct class1 *modem, int elapsed_ms)
{
    modem->now_ms += elapsed_ms;
    if (modem->deadline_ms > 0 && modem->now_ms >= modem->deadline_ms) {
        modem->deadline_ms = 0;
        expire(modem);
    }
}

void class1_init(struct class1 *modem, const struct class1_hooks *hooks,
                 const struct modem_traits *traits)
{
    const struct at_stream_hooks stream = {
        .user = modem, .line = on_line, .data = on_data, .data_end = on_data_end};

    *modem = (struct class1){.hooks = *hooks, .traits = traits, .now_ms = 1};
    at_stream_init(&modem->stream, &stream);
}
