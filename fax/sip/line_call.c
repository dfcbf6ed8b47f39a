/* SPDX-License-Identifier: MIT */
/*
 * line_call.c - the way of a call from INVITE to BYE.
 *
 *   OPENING  it rings, a worker opens its folder       ── LINE_OPENED: 200 OK ──►
 *   OFFERED  only when the INVITE had no offer: ours went out in the 200 ── ACK ──►
 *   LIVE     a media thread has the channel            ── LINE_ENDED: BYE ──► gone
 *
 * The far side can end the dialog in each of them. The channel is then let go in the way that its
 * place asks for: as soon as it is back (OPENING), at once (OFFERED: it is ours), or by telling the
 * media thread (LIVE).
 */
#include "fax/sip/line_call.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "fax/sip/channel.h"
#include "fax/sip/line_sip.h"
#include "fax/sip/negotiation.h"
#include "fax/sip/party.h"

enum {
    REFUSALS_LOGGED = 5, /* per line in REFUSALS_MS */
    REFUSALS_MS = 10000,
    OFFERS_LOGGED = 20, /* refused ones, per call */
};

enum call_state { CALL_OPENING, CALL_OFFERED, CALL_IS_LIVE };

struct line_call {
    struct line_call *next, **link;
    struct line_calls *calls;
    enum call_state state;
    struct source_call counted;
    struct dialog *dialog;   /* NULL: signalling is over */
    struct channel *channel; /* with a reference */
    struct negotiation talk;
    struct media_plan plan;    /* kind SDP_NOTHING until agreed on */
    char answer[SDP_TEXT_MAX]; /* for the 200; empty: we make the offer */
    size_t answer_length;
    const char *why; /* the dialog ended, in words; a literal */
    int offers_refused;
};

/* ---- the INVITE --------------------------------------------------------------------------------
 */

static uint64_t random_id(void)
{
    uint64_t id = 0;

    if (getrandom(&id, sizeof id, 0) != (ssize_t)sizeof id)
        id = (uint64_t)clock_wall_ms();
    return id >> 2; /* some read it into a signed number */
}

static void read_party(const struct text_span *value, char number[CALL_NUMBER_MAX],
                       char name[CALL_NAME_MAX])
{
    if (number[0] == '\0' && value->at != NULL)
        (void)party_parse(value->at, value->length, number, name);
}

/* The identity that the network vouches for comes before what the caller says. */
static void read_caller(const struct agent_invite *invite, char number[CALL_NUMBER_MAX],
                        char name[CALL_NAME_MAX])
{
    read_party(&invite->asserted, number, name);
    read_party(&invite->from, number, name);
}

void line_call_caller(char out[CALL_NUMBER_MAX], const struct agent_invite *invite)
{
    out[0] = '\0';
    read_caller(invite, out, NULL);
}

static void read_numbers(struct call_info *info, const struct agent_invite *invite)
{
    char peer[NET_TEXT_MAX];
    size_t length = invite->call_id.length;

    read_caller(invite, info->caller, info->caller_name);
    read_party(&invite->target, info->called, NULL);
    read_party(&invite->to, info->called, NULL);
    read_party(&invite->diversion, info->called, NULL);
    text_copy(info->peer, sizeof info->peer, net_text(peer, &invite->source));
    if (length >= sizeof info->call_ref)
        length = sizeof info->call_ref - 1;
    if (length > 0)
        memcpy(info->call_ref, invite->call_id.at, length);
    info->call_ref[length] = '\0';
    text_printable(info->call_ref);
}

/* Our end of the media: as configured, else the address the call came to; of the family that the
 * offer asks for. 0 or a status. */
static int choose_local(struct net_address *out, const struct line_settings *line,
                        const struct agent_invite *invite)
{
    struct net_address remote = invite->source;
    int rc = 0;

    *out = line->has_media_address ? line->media_address : invite->local;
    if (invite->body.length > 0)
        rc = negotiation_look(invite->body.at, invite->body.length, line->t38, &remote);
    if (rc == ERROR_UNSUPPORTED)
        return 488;
    if (rc != 0)
        return 400;
    if (!net_is_any(out) && (out->u.any.sa_family == remote.u.any.sa_family || net_is_any(&remote)))
        return 0;
    return net_local_towards(out, &remote) == 0 ? 0 : 488;
}

/* What is to be said in the 200. 0 or a status. */
static int prepare(struct line_call *call, const struct agent_invite *invite)
{
    int rc;

    if (invite->body.length == 0)
        return 0;
    rc = negotiation_answer(&call->talk, invite->body.at, invite->body.length, true, call->answer,
                            sizeof call->answer, &call->plan);
    if (rc < 0)
        return rc == ERROR_UNSUPPORTED ? 488 : 400;
    call->answer_length = (size_t)rc;
    call->channel->plan = call->plan;
    return 0;
}

static void call_link(struct line_call *call, struct line_calls *calls,
                      const struct agent_invite *invite)
{
    sources_call_begin(calls->sources, &call->counted, &invite->source,
                       invite->over_tcp ? SOURCE_BY_CONNECTION : SOURCE_BY_DATAGRAM,
                       clock_monotonic_ms());
    call->calls = calls;
    call->link = &calls->first;
    call->next = calls->first;
    if (call->next != NULL)
        call->next->link = &call->next;
    calls->first = call;
    calls->count++;
}

static void call_free(struct line_call *call)
{
    if (call->link != NULL) {
        *call->link = call->next;
        if (call->next != NULL)
            call->next->link = call->link;
        call->calls->count--;
        sources_call_over(call->calls->sources, &call->counted);
    }
    dialog_end(call->dialog);
    if (call->channel != NULL) {
        call->channel->sip = NULL;
        call_unref(&call->channel->call);
    }
    free(call);
}

static int call_new(struct line_call **out, struct call_shared *shared,
                    const struct receive_settings *settings, const struct line_settings *line,
                    const struct agent_invite *invite)
{
    struct line_call *call = NULL;
    struct net_address local;
    int status = choose_local(&local, line, invite);
    int rc;

    if (status != 0)
        return status;
    call = calloc(1, sizeof *call);
    if (call == NULL)
        return 500;
    rc = channel_new(&call->channel, shared, settings, line, &local);
    if (rc != 0) {
        log_error("no media port line=%s: %s; is media_ports wide enough?", LOG_ESCAPED(line->name),
                  error_text(rc));
        free(call);
        return 503;
    }
    call->channel->sip = call;
    net_set_port(&local, call->channel->port);
    negotiation_begin(&call->talk, line->t38, &local, random_id());
    call->talk.is_from_afar = !net_is_loopback(&invite->source);
    read_numbers(&call->channel->call.info, invite);
    text_copy(call->channel->call.call_ref, sizeof call->channel->call.call_ref,
              call->channel->call.info.call_ref);
    *out = call;
    return 0;
}

int line_call_begin(struct line_calls *calls, struct call_shared *shared,
                    const struct receive_settings *settings, const struct line_settings *line,
                    const struct agent_invite *invite)
{
    struct line_call *call;
    struct channel *channel;
    int status = call_new(&call, shared, settings, line, invite);

    if (status != 0)
        return status;
    channel = call->channel;
    status = prepare(call, invite);
    if (status == 0 && dialog_ring(&call->dialog, invite, call) != 0)
        status = 400;
    if (status != 0) {
        call_unref(&channel->call); /* the chain does not begin */
        call_free(call);
        return status;
    }
    call_link(call, calls, invite);
    log_info("call fax=%s call=%s line=%s peer=%s transport=%s caller=%s name=%s called=%s "
             "offer=%s",
             channel->call.fax_id, LOG_ESCAPED(channel->call.call_ref), LOG_ESCAPED(line->name),
             channel->call.info.peer, invite->over_tcp ? "tcp" : "udp",
             LOG_ESCAPED(channel->call.info.caller), LOG_ESCAPED(channel->call.info.caller_name),
             LOG_ESCAPED(channel->call.info.called),
             call->answer_length == 0     ? "none"
             : call->plan.kind == SDP_T38 ? "t38"
                                          : "audio");
    workers_submit(shared->workers, &channel->call.life_job, WORKER_OPEN, &channel->call);
    return 0;
}

void line_call_log_refusal(struct line_calls *calls, const char *line,
                           const struct agent_invite *invite, int status, const char *why)
{
    int64_t now_ms = clock_monotonic_ms();
    char caller[CALL_NUMBER_MAX];
    char peer[NET_TEXT_MAX];

    if (now_ms - calls->refusals_ms >= REFUSALS_MS) {
        if (calls->refusals > REFUSALS_LOGGED)
            log_warning("calls refused line=%s count=%d: only the first %d were logged",
                        LOG_ESCAPED(line), calls->refusals, REFUSALS_LOGGED);
        calls->refusals_ms = now_ms;
        calls->refusals = 0;
    }
    if (++calls->refusals > REFUSALS_LOGGED)
        return;
    line_call_caller(caller, invite);
    log_warning("call refused line=%s peer=%s caller=%s status=%d%s%s", LOG_ESCAPED(line),
                net_text(peer, &invite->source), LOG_ESCAPED(caller), status,
                why == NULL ? "" : " by ", why == NULL ? "" : why);
}

/* ---- the channel's ways out --------------------------------------------------------------------
 */

/* The channel is ours: it goes to a worker for the last time. The call is freed. */
static void call_finish(struct line_call *call, const char *why)
{
    struct channel *channel = call->channel;

    text_copy(channel->call.info.error, sizeof channel->call.info.error, why);
    workers_submit(channel->call.shared->workers, &channel->call.life_job, WORKER_FINISH,
                   &channel->call);
    call_free(call);
}

static void on_closed(void *user, const char *why)
{
    struct line_call *call = user;

    call->dialog = NULL;
    call->why = why;
    switch (call->state) {
    case CALL_OPENING: call->why = "the caller gave up before the answer"; break;
    case CALL_OFFERED: call_finish(call, why); break;
    case CALL_IS_LIVE: media_hang_up(call->channel, why); break;
    }
}

static void on_acknowledged(void *user)
{
    struct line_call *call = user;

    atomic_store(&call->channel->is_acknowledged, true);
    sources_call_acknowledged(call->calls->sources, &call->counted);
}

static void on_late(void *user)
{
    struct line_call *call = user;

    dialog_refuse(call->dialog, 503);
    call->dialog = NULL;
    call->why = "the state folder is too slow";
    log_alert("call refused fax=%s: its folder could not be made in time; look at the disk of the "
              "state folder",
              call->channel->call.fax_id);
}

/* ---- answering ---------------------------------------------------------------------------------
 */

static void call_go_live(struct line_call *call)
{
    call->state = CALL_IS_LIVE;
    media_add(call->channel->call.shared->media, call->channel, &call->plan);
}

static void call_answer(struct line_call *call)
{
    struct channel *channel = call->channel;
    bool is_ours = call->answer_length == 0;
    int length = (int)call->answer_length;

    if (is_ours)
        length = negotiation_offer(&call->talk, SDP_AUDIO, call->answer, sizeof call->answer);
    if (length < 0 || dialog_answer(call->dialog, call->answer, (size_t)length) != 0) {
        call_finish(call, "the call could not be answered");
        return;
    }
    channel->call.info.answered_ms = clock_wall_ms();
    log_info("answered fax=%s call=%s with=%s", channel->call.fax_id,
             LOG_ESCAPED(channel->call.call_ref),
             is_ours                      ? "offer"
             : call->plan.kind == SDP_T38 ? "t38"
                                          : "audio");
    if (is_ours)
        call->state = CALL_OFFERED;
    else
        call_go_live(call);
}

void line_call_opened(struct channel *channel, int error)
{
    struct line_call *call = channel->sip;

    if (call->dialog == NULL) {
        call_finish(call, call->why);
        return;
    }
    if (error == 0) {
        call_answer(call);
        return;
    }
    /* Busy: a fax machine dials again by itself; other codes look like a fault of the line. */
    dialog_refuse(call->dialog, error == ERROR_FULL ? 486 : 500);
    call->dialog = NULL;
    call_finish(call, "the fax could not be stored");
}

static int on_answer(void *user, const char *text, size_t length)
{
    struct line_call *call = user;
    struct channel *channel = call->channel;
    enum sdp_kind before = call->talk.now;
    enum sdp_kind offered = call->talk.offered;
    int rc = negotiation_take_answer(&call->talk, text, length, &call->plan);

    if (call->state == CALL_OFFERED) {
        if (rc == 0)
            call_go_live(call);
        return rc;
    }
    if (call->state != CALL_IS_LIVE)
        return ERROR_STATE;
    if (rc != 0) {
        log_info("offer not taken fax=%s call=%s: %s; the call goes on as it is",
                 channel->call.fax_id, LOG_ESCAPED(channel->call.call_ref), error_text(rc));
        /* A refusal in the answer has closed the stream: open audio again. Only once: who refuses
         * that too would be asked for ever. */
        if (rc == ERROR_UNSUPPORTED && before == SDP_AUDIO && offered == SDP_T38)
            line_sip_post(channel->call.shared->lines, LINE_SWITCH_FAILED, channel, rc);
        return 0;
    }
    if (call->plan.kind == SDP_T38 && before == SDP_AUDIO)
        media_switch_t38(channel, &call->plan);
    else
        media_redirect(channel, &call->plan);
    return 0;
}

/* ---- changes during the call -------------------------------------------------------------------
 */

static int on_offer(void *user, const char *text, size_t length, char *out, size_t size)
{
    struct line_call *call = user;
    struct channel *channel = call->channel;
    enum sdp_kind before = call->talk.now;
    struct media_plan plan;
    int rc;

    if (call->state != CALL_IS_LIVE)
        return ERROR_STATE;
    if (length == 0)
        return negotiation_offer(&call->talk, before, out, size);
    rc = negotiation_answer(&call->talk, text, length, session_can_switch(channel->call.session),
                            out, size, &plan);
    if (rc < 0) {
        if (call->offers_refused++ < OFFERS_LOGGED)
            log_info("re-INVITE refused fax=%s call=%s: %s", channel->call.fax_id,
                     LOG_ESCAPED(channel->call.call_ref),
                     rc == ERROR_UNSUPPORTED ? "not possible now" : error_text(rc));
        return rc;
    }
    call->plan = plan;
    if (plan.kind == SDP_T38 && before == SDP_AUDIO)
        media_switch_t38(channel, &plan);
    else
        media_redirect(channel, &plan);
    return rc;
}

static void call_offer(struct line_call *call, enum sdp_kind kind)
{
    struct channel *channel = call->channel;
    int rc = negotiation_offer(&call->talk, kind, call->answer, sizeof call->answer);

    if (rc >= 0)
        rc = dialog_offer(call->dialog, call->answer, (size_t)rc);
    log_info("re-INVITE fax=%s call=%s for=%s%s%s", channel->call.fax_id,
             LOG_ESCAPED(channel->call.call_ref), kind == SDP_T38 ? "t38" : "audio",
             rc < 0 ? ": " : "", rc < 0 ? error_text(rc) : "");
    if (rc < 0)
        call->talk.offered = SDP_NOTHING;
}

void line_call_ask_t38(struct channel *channel)
{
    struct line_call *call = channel->sip;

    if (call == NULL || call->dialog == NULL || call->state != CALL_IS_LIVE ||
        call->talk.policy != T38_ASK || call->talk.now != SDP_AUDIO ||
        call->talk.offered != SDP_NOTHING || !session_can_switch(channel->call.session))
        return;
    call_offer(call, SDP_T38);
}

/* The far side believes in T.38, but the session has gone on with audio. */
void line_call_switch_failed(struct channel *channel)
{
    struct line_call *call = channel->sip;

    if (call == NULL || call->dialog == NULL)
        return;
    call->talk.now = SDP_AUDIO;
    call_offer(call, SDP_AUDIO);
}

/* ---- the end -----------------------------------------------------------------------------------
 */

void line_call_ended(struct channel *channel)
{
    struct line_call *call = channel->sip;

    if (call != NULL)
        call_free(call); /* BYE, unless the far side was first */
}

void line_calls_hang_up(struct line_calls *calls)
{
    static const char why[] = "the gateway is being stopped";
    struct line_call *next;

    for (struct line_call *call = calls->first; call != NULL; call = next) {
        next = call->next;
        switch (call->state) {
        case CALL_OPENING:
            if (call->dialog == NULL)
                break;
            dialog_refuse(call->dialog, 503);
            call->dialog = NULL;
            call->why = why;
            break;
        case CALL_OFFERED: call_finish(call, why); break;
        case CALL_IS_LIVE: media_hang_up(call->channel, why); break;
        }
    }
}

void line_call_handlers(struct agent_handlers *handlers)
{
    handlers->offer = on_offer;
    handlers->answer = on_answer;
    handlers->acknowledged = on_acknowledged;
    handlers->closed = on_closed;
    handlers->late = on_late;
}
