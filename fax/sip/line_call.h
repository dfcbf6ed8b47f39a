/* SPDX-License-Identifier: MIT */
/*
 * line_call.h - one SIP call: its signalling, its negotiation, and the channel that carries it.
 *
 * The SIP thread's alone.
 */
#ifndef FAXPOST_FAX_LINE_CALL_H
#define FAXPOST_FAX_LINE_CALL_H

#include <stdint.h>

#include "fax/receive_settings.h"
#include "fax/sip/agent.h"
#include "fax/sip/sources.h"

struct channel;
struct call_shared;
struct line_call;

/* The calls of a line. */
struct line_calls {
    struct line_call *first;
    struct sources *sources; /* of all lines */
    int count;
    int64_t refusals_ms; /* since when refusals are counted */
    int refusals;
};

/* Sets those handlers of an agent that are a call's. */
void line_call_handlers(struct agent_handlers *handlers);

/* Takes a call: it rings, and a worker opens its folder. 0, or the status to refuse it with. */
int line_call_begin(struct line_calls *calls, struct call_shared *shared,
                    const struct receive_settings *settings, const struct line_settings *line,
                    const struct agent_invite *invite);

/* Who calls, as far as that was told; else "". */
void line_call_caller(char out[CALL_NUMBER_MAX], const struct agent_invite *invite);

/* Some lines in ten seconds, not one for each call of a flood. why: a literal, or NULL. */
void line_call_log_refusal(struct line_calls *calls, const char *line,
                           const struct agent_invite *invite, int status, const char *why);

/* What came from other threads, about the call of this channel (which may be gone already). */
void line_call_opened(struct channel *channel, int error);
void line_call_ask_t38(struct channel *channel);
void line_call_switch_failed(struct channel *channel);
void line_call_ended(struct channel *channel);

void line_calls_hang_up(struct line_calls *calls);

#endif
