/* SPDX-License-Identifier: MIT */
/*
 * class1_commands.c - commands out, and what to do when no response comes.
 */
#include "fax/modem/class1_commands.h"

#include <stdio.h>

#include "fax/modem/class1_internal.h"

enum {
    ANSWER_MS = 45000, /* CED takes 4 s; some modems wait for the end of a ring first */
    QUIET_MS = 1500,   /* a noisy line never falls silent */
    OPEN_MS = 3000,    /* the sender waits as long for an answer (T4) */
    CLOSE_MS = 1500,
    PREAMBLE_MS = 1500, /* 1 s ± 15 % (T.30 5.3.1) and what the port delays */
    SEEK_MS = 65000,    /* T.30's own timers and the gate end it long before */
    CROSSED_MS = 1000,  /* until then an OK may belong to what was left */
    FAILURES_MOST = 8,
    V21_BIT_RATE = 300,
    FINAL_BIT = 0x10, /* of the control octet (T.30 5.3.5) */
};

const char class1_no_answers[] =
    "the modem stopped answering commands: look at its cable and power, then run \"faxpost modem "
    "probe\"";
const char class1_only_errors[] =
    "the modem answers commands with ERROR: run \"faxpost modem probe\" and compare the line's "
    "settings";

/* ---- states --------------------------------------------------------------------------------- */

void class1_enter(struct class1 *modem, enum class1_state state, int deadline_ms)
{
    modem->state = state;
    modem->deadline_ms = deadline_ms > 0 ? modem->now_ms + deadline_ms : 0;
}

void class1_give_up(struct class1 *modem, const char *why)
{
    if (modem->state == CLASS1_GIVEN_UP)
        return;
    at_stream_command(&modem->stream);
    class1_enter(modem, CLASS1_GIVEN_UP, 0);
    modem->hooks.given_up(modem->hooks.user, why);
}

void class1_succeed(struct class1 *modem)
{
    modem->failures = 0;
}

/* False: that was one too many. */
bool class1_fail(struct class1 *modem, const char *why)
{
    if (++modem->failures < FAILURES_MOST)
        return true;
    class1_give_up(modem, why);
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
    class1_enter(modem, state, deadline_ms);
}

/* ---- commands ------------------------------------------------------------------------------- */

void class1_answer(struct class1 *modem)
{
    command(modem, "ATA", CLASS1_ANSWERING, ANSWER_MS);
}

void class1_open_carrier(struct class1 *modem)
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
        class1_open_carrier(modem);
    } else if (modem->traits->has_frs) {
        command(modem, "AT+FRS=7", CLASS1_QUIET, QUIET_MS);
    } else if (modem->traits->has_fts) {
        snprintf(text, sizeof text, "AT+FTS=%d", (modem->traits->pause_ms + 9) / 10 & 0xff);
        command(modem, text, CLASS1_QUIET, QUIET_MS);
    } else {
        modem->pausing = true;
        class1_enter(modem, CLASS1_QUIET,
                     modem->traits->pause_ms > 0 ? modem->traits->pause_ms : 1);
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

void class1_trace_octets(struct class1 *modem, const char *direction, size_t octets)
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
    class1_trace_octets(modem, "modem >", length);
    modem->hooks.send(modem->hooks.user, stuffed, n);
    /* address, control and FCS are octets too; flags between, bits stuffed */
    class1_enter(modem, CLASS1_SENDING,
                 2 * PREAMBLE_MS + (int)(length + 6) * 8 * 6 / 5 * 1000 / V21_BIT_RATE);
}

void class1_close(struct class1 *modem)
{
    static const uint8_t end[] = {AT_DLE, AT_ETX};

    modem->hooks.trace(modem->hooks.user, "modem >", "end of carrier");
    modem->hooks.send(modem->hooks.user, end, sizeof end);
    class1_enter(modem, CLASS1_CLOSING, CLOSE_MS);
}

/* Any octet ends a reception (T.31 8.3.3); CAN also ends a transmission, and is none of the octets
 * of flow control. One only: a second would cut off what follows. */
void class1_leave(struct class1 *modem)
{
    static const uint8_t cancel[] = {AT_CAN};
    bool was_answering = modem->state == CLASS1_ANSWERING; /* the CONNECT may be near */

    modem->leaves_sending = modem->state == CLASS1_ANSWERING || modem->state == CLASS1_OPENING;
    modem->hooks.trace(modem->hooks.user, "modem >", "CAN");
    modem->hooks.send(modem->hooks.user, cancel, sizeof cancel);
    class1_enter(modem, CLASS1_LEAVING, was_answering ? CLOSE_MS : CLASS1_LEAVE_MS);
}

/* ---- what comes ----------------------------------------------------------------------------- */

void class1_octets(struct class1 *modem, const uint8_t *octets, size_t length)
{
    at_stream_feed(&modem->stream, octets, length);
}

/* ---- time ----------------------------------------------------------------------------------- */

static void expire(struct class1 *modem)
{
    switch (modem->state) {
    case CLASS1_ANSWERING:
        class1_give_up(modem,
                       "the modem did not answer the call in time (ATA): run \"faxpost modem "
                       "probe\"");
        break;
    case CLASS1_QUIET:
        if (modem->pausing)
            class1_open_carrier(modem);
        else {
            modem->heard = false; /* the line is noisy: go on without */
            class1_leave(modem);
        }
        break;
    case CLASS1_OPENING:
    case CLASS1_CLOSING:
        if (class1_fail(modem, class1_no_answers))
            class1_leave(modem);
        break;
    case CLASS1_OPEN: class1_close(modem); break;
    case CLASS1_SENDING:
        if (class1_fail(modem, class1_no_answers)) {
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
        if (class1_fail(modem, class1_no_answers))
            class1_frame_ends(modem, false);
        break;
    case CLASS1_IMAGE:
        class1_leave(modem);
        modem->heard = true;
        class1_image_over(modem);
        break;
    case CLASS1_IMAGE_END:
        class1_rest(modem);
        class1_image_over(modem);
        break;
    case CLASS1_LEAVING:
        modem->ok_until_ms = modem->now_ms + CROSSED_MS;
        class1_enter(modem, CLASS1_COMMAND, 0);
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
    const struct at_stream_hooks stream = {.user = modem,
                                           .line = class1_on_line,
                                           .data = class1_on_data,
                                           .data_end = class1_on_data_end};

    *modem = (struct class1){.hooks = *hooks, .traits = traits, .now_ms = 1};
    at_stream_init(&modem->stream, &stream);
}
