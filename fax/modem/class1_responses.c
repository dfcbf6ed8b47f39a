/* SPDX-License-Identifier: MIT */
/*
 * class1_responses.c - what a Class 1 modem says, in each state.
 */
#include "fax/modem/class1_internal.h"

#include <string.h>

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
    if (class1_fail(modem, class1_only_errors))
        class1_leave(modem);
}

/* The reception is over; the next one may begin. */
void class1_rest(struct class1 *modem)
{
    modem->heard = true;
    class1_enter(modem, CLASS1_COMMAND, 0);
}

/* There was no carrier, or a false CONNECT. Some modems say so many times before it is true. */
static void nothing_came(struct class1 *modem)
{
    if (++modem->empty > modem->traits->connect_tries)
        modem->again_ms = modem->now_ms + CLASS1_PEACE_MS;
    class1_rest(modem);
    modem->hooks.no_frame(modem->hooks.user);
}

static void on_answering(struct class1 *modem, enum response response)
{
    switch (response) {
    case RESPONSE_CONNECT:
        class1_succeed(modem);
        modem->has_answered = true;
        class1_enter(modem, CLASS1_OPEN, CLASS1_HELD_MS);
        modem->hooks.answered(modem->hooks.user);
        break;
    case RESPONSE_DATA:
        class1_give_up(modem,
                       "the modem answered as a data modem: the caller is no fax, or the modem "
                       "does not keep +FCLASS=1; set init strings with S0=0 and +FAE=0");
        break;
    case RESPONSE_VOICE: class1_give_up(modem, "the modem says that this is a voice call"); break;
    case RESPONSE_NO_CARRIER:
    case RESPONSE_NOBODY:
        class1_give_up(modem, "no fax answered to the modem: a voice call, or the caller hung up");
        break;
    case RESPONSE_ERROR:
        class1_give_up(modem,
                       "the modem refused to answer the call (ERROR to ATA): run \"faxpost modem "
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
        class1_open_carrier(modem);
    else if ((response == RESPONSE_ERROR || response == RESPONSE_NO_CARRIER) &&
             class1_fail(modem, class1_only_errors))
        class1_open_carrier(modem); /* it does not know the command */
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
        class1_succeed(modem);
        class1_enter(modem, CLASS1_OPEN, CLASS1_HELD_MS);
        break;
    case RESPONSE_OK:
        if (!is_late_ok(modem) && class1_fail(modem, class1_only_errors))
            class1_open_carrier(modem);
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
        class1_enter(modem, CLASS1_OPEN, CLASS1_HELD_MS);
        break;
    case RESPONSE_OK: class1_enter(modem, CLASS1_COMMAND, 0); break;
    case RESPONSE_ERROR:
    case RESPONSE_NO_CARRIER:
        if (!class1_fail(modem, class1_only_errors))
            return;
        class1_enter(modem, CLASS1_COMMAND, 0);
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
    class1_enter(modem, CLASS1_FRAME, CLASS1_FRAME_MS);
}

static void on_seeking_frame(struct class1 *modem, enum response response)
{
    switch (response) {
    case RESPONSE_CONNECT: begin_frame(modem); break;
    case RESPONSE_NO_CARRIER: nothing_came(modem); break;
    case RESPONSE_FCERROR:
    case RESPONSE_ERROR:
        modem->again_ms = modem->now_ms + CLASS1_LEAVE_MS;
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

void class1_frame_ends(struct class1 *modem, bool good)
{
    modem->empty = 0;
    class1_rest(modem);
    drop_second_connect(modem);
    modem->hooks.frame(modem->hooks.user, modem->frame, modem->frame_length,
                       good && !modem->too_long);
}

static void on_frame_end(struct class1 *modem, enum response response)
{
    switch (response) {
    case RESPONSE_OK:
        class1_succeed(modem);
        class1_frame_ends(modem, true);
        break;
    case RESPONSE_ERROR: class1_frame_ends(modem, false); break;
    case RESPONSE_NO_CARRIER: nothing_came(modem); break;
    default: break;
    }
}

static void no_image(struct class1 *modem)
{
    class1_rest(modem);
    modem->hooks.no_image(modem->hooks.user);
}

static void on_seeking_image(struct class1 *modem, enum response response)
{
    switch (response) {
    case RESPONSE_CONNECT:
        class1_succeed(modem);
        at_stream_data(&modem->stream);
        class1_enter(modem, CLASS1_IMAGE, CLASS1_STALL_MS);
        modem->hooks.image_begins(modem->hooks.user);
        break;
    case RESPONSE_FRH3: /* +FAR=1: CONNECT and the frame follow by themselves (T.31 B.2) */
        class1_enter(modem, CLASS1_SEEKING_FRAME, CLASS1_FRAME_MS);
        modem->hooks.v21_instead(modem->hooks.user, true);
        break;
    case RESPONSE_FCERROR:
        class1_rest(modem);
        modem->hooks.v21_instead(modem->hooks.user, false);
        break;
    case RESPONSE_ERROR: /* what some say for +FCERROR */
        refused(modem);
        if (modem->state != CLASS1_GIVEN_UP)
            modem->hooks.v21_instead(modem->hooks.user, false);
        break;
    case RESPONSE_OK:
        if (!is_late_ok(modem))
            class1_rest(modem);
        break;
    case RESPONSE_NO_CARRIER: no_image(modem); break;
    default: break;
    }
}

void class1_image_over(struct class1 *modem)
{
    class1_trace_octets(modem, "modem <", modem->image_octets);
    modem->hooks.image_ends(modem->hooks.user);
}

static void on_closing(struct class1 *modem, enum response response)
{
    if (response == RESPONSE_OK || response == RESPONSE_ERROR || response == RESPONSE_NO_CARRIER)
        class1_enter(modem, CLASS1_COMMAND, 0);
    else if (response == RESPONSE_CONNECT && modem->state == CLASS1_CLOSING &&
             class1_fail(modem, class1_only_errors))
        class1_close(modem); /* a stray octet had made a frame of it */
}

static void on_leaving(struct class1 *modem, enum response response)
{
    switch (response) {
    case RESPONSE_CONNECT: /* it crossed */
        if (modem->leaves_sending)
            class1_enter(modem, CLASS1_OPEN, CLASS1_HELD_MS);
        else
            at_stream_data(&modem->stream); /* what comes now is thrown away */
        break;
    case RESPONSE_OK:
    case RESPONSE_ERROR:
    case RESPONSE_NO_CARRIER: class1_enter(modem, CLASS1_COMMAND, 0); break;
    default: break;
    }
}

void class1_on_line(void *user, const char *line)
{
    struct class1 *modem = user;
    enum response response = response_of(line);

    modem->hooks.trace(modem->hooks.user, "modem <", line);
    if (response == RESPONSE_RING && modem->has_answered) {
        class1_give_up(modem,
                       "the modem rings in the middle of a call: it hung up by itself; look at its "
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
            class1_rest(modem);
            class1_image_over(modem);
        }
        break;
    case CLASS1_IMAGE_END:
        if (response == RESPONSE_NO_CARRIER || response == RESPONSE_OK ||
            response == RESPONSE_ERROR) {
            class1_rest(modem);
            class1_image_over(modem);
        }
        break;
    case CLASS1_LEAVING: on_leaving(modem, response); break;
    case CLASS1_OPEN: /* held for too long, or the line is gone */
    case CLASS1_CLOSING: on_closing(modem, response); break;
    case CLASS1_COMMAND:
    case CLASS1_GIVEN_UP: break;
    }
}

/* ---- data ----------------------------------------------------------------------------------- */

void class1_on_data(void *user, const uint8_t *octets, size_t length)
{
    struct class1 *modem = user;
    size_t room = sizeof modem->frame - modem->frame_length;

    if (modem->state == CLASS1_IMAGE) {
        modem->deadline_ms = modem->now_ms + CLASS1_STALL_MS;
        modem->image_octets += length;
        modem->hooks.image(modem->hooks.user, octets, length);
    } else if (modem->state == CLASS1_FRAME) {
        modem->too_long = modem->too_long || length > room;
        memcpy(modem->frame + modem->frame_length, octets, length < room ? length : room);
        modem->frame_length += length < room ? length : room;
    }
}

void class1_on_data_end(void *user)
{
    struct class1 *modem = user;

    if (modem->state == CLASS1_IMAGE) {
        class1_enter(modem, CLASS1_IMAGE_END, CLASS1_VERDICT_MS);
    } else if (modem->state == CLASS1_FRAME) {
        class1_trace_octets(modem, "modem <", modem->frame_length);
        class1_enter(modem, CLASS1_FRAME_END, CLASS1_VERDICT_MS);
    }
}
