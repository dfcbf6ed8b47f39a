/* SPDX-License-Identifier: MIT */
/*
 * agent.h - SIP as a fax line needs it (RFC 3261): the adapter over libre.
 *
 * A loop runs in one thread; an agent in it is a SIP stack of its own on one address (UDP, TCP or
 * both), so that its requests leave from there; a dialog is one call. All functions are the loop
 * thread's, except agent_loop_wake(). Handlers are called on it too and must not block.
 *
 * Requests outside of what a fax line does are answered here: OPTIONS, what must be refused, what
 * is unknown. Descriptions (SDP) are text, both ways: libre's own cannot turn m=audio into m=image
 * in the same place.
 */
#ifndef FAXPOST_FAX_AGENT_H
#define FAXPOST_FAX_AGENT_H

#include <stdbool.h>
#include <stddef.h>

#include "fax/net.h"
#include "fax/sip/door.h"

struct agent_loop;
struct agent;
struct dialog;

/* ---- the loop ----------------------------------------------------------------------------------
 */

/* All on the loop's thread. */
struct agent_loop_handlers {
    void *user;
    void (*woken)(void *user);  /* some time after agent_loop_wake() */
    void (*second)(void *user); /* a second is over */
    struct door_handlers door;  /* who may come in at all; its user is the one above */
};

/* ERROR_LIBRARY, ERROR_MEMORY. One loop per process at a time. */
int agent_loop_open(struct agent_loop **out, const struct agent_loop_handlers *handlers);
void agent_loop_set_limits(struct agent_loop *loop, const struct door_limits *limits);
void agent_loop_run(struct agent_loop *loop); /* until agent_loop_quit() */
void agent_loop_quit(struct agent_loop *loop);
void agent_loop_wake(struct agent_loop *loop); /* from any thread */
void agent_loop_wake_in(struct agent_loop *loop, int ms);
void agent_loop_close(struct agent_loop *loop);

/* ---- agents ------------------------------------------------------------------------------------
 */

struct text_span {
    const char *at; /* not ended by NUL; NULL: not there */
    size_t length;
};

/* An INVITE outside of a dialog; valid during the handler. */
struct agent_invite {
    struct agent *agent;
    const void *message; /* the agent's own */
    struct net_address source, local;
    bool over_tcp;
    struct text_span call_id, target, from, to, asserted, diversion; /* header values as written */
    struct text_span body;                                           /* length 0: no offer in it */
};

struct agent_handlers {
    /* Is this address one that we talk to? */
    bool (*is_welcome)(void *user, const struct net_address *source);
    /* Either dialog_ring() or agent_refuse(), at once; neither: it is to be sent again. */
    void (*invite)(void *user, const struct agent_invite *invite);

    /* Of a dialog, `call` as given to dialog_ring(). */
    /* An offer within the call (text), or the wish for one of ours (length 0). Writes the
     * description to send and gives its length; negative: refused with 488, the call goes on. */
    int (*offer)(void *call, const char *text, size_t length, char *out, size_t size);
    /* The answer to an offer of ours. Negative ends the call, but only when it came in the ACK. */
    int (*answer)(void *call, const char *text, size_t length);
    /* The ACK to our 200 came. */
    void (*acknowledged)(void *call);
    /* The dialog is over, by the far side or because it cannot be reached; it is not valid any
     * more. why is a literal. */
    void (*closed)(void *call, const char *why);
    /* dialog_ring() was DIALOG_RING_MS ago and the call is still not answered. */
    void (*late)(void *call);
};

enum { DIALOG_RING_MS = 20000, AGENT_TEXT_MAX = 4096 };

/* Opens an agent on `address`. trace: each message's first line is logged. ERROR_IO (logged). */
int agent_open(struct agent **out, struct agent_loop *loop, const struct net_address *address,
               bool udp, bool tcp, const struct agent_handlers *handlers, void *user);
void agent_set_trace(struct agent *agent, bool trace);

/* True when no dialog is left, ended ones that wait for an answer included. */
bool agent_is_quiet(const struct agent *agent);

/* Closes it; dialogs that are left are given up. Not within a handler. NULL is fine. */
void agent_close(struct agent *agent);

/* Refuses an INVITE: 400, 403, 415, 480, 486, 488, 500, 503 … */
void agent_refuse(const struct agent_invite *invite, int status);

/* ---- dialogs -----------------------------------------------------------------------------------
 */

/* Takes the INVITE: 180 is sent. ERROR_FORMAT (no usable Contact; refuse it), ERROR_MEMORY. */
int dialog_ring(struct dialog **out, const struct agent_invite *invite, void *call);

/* 200 with a description. ERROR_LIBRARY. */
int dialog_answer(struct dialog *dialog, const char *text, size_t length);

/* Refuses a call that rings. The dialog is freed. */
void dialog_refuse(struct dialog *dialog, int status);

/* Sends an offer within the call (re-INVITE). Refusals other than 408 and 481 leave the call as it
 * is, without a word; 491 (glare) is tried again. ERROR_LIBRARY. */
int dialog_offer(struct dialog *dialog, const char *text, size_t length);

/* Hangs up (BYE, or 480 when it still rings). The dialog is freed. NULL is fine. */
void dialog_end(struct dialog *dialog);

#endif
