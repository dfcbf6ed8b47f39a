/* SPDX-License-Identifier: MIT */
/*
 * agent.c - the adapter over libre: an address that we listen at, and requests outside dialogs.
 *
 * What libre 1.1 does not do is refused in good form: PRACK, session timers (420, 405). Its last
 * resort for unknown requests prints remote text, so listeners of ours stand before and behind the
 * session layer and nothing gets that far.
 */
#include "fax/sip/agent_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

enum {
    HASH_SIZE = 1024,
    HEADER_MAX = 256,
    ANSWERS_MOST = 65536, /* octets that may wait to be sent by a connection */
};

/* ---- addresses ---------------------------------------------------------------------------------
 */

void agent_address(struct net_address *out, const struct sa *sa)
{
    if (net_from_sockaddr(out, &sa->u.sa) != 0)
        (void)net_parse(out, "0.0.0.0", 0);
}

static struct text_span span_of(const struct pl *text)
{
    return (struct text_span){text->p, text->p == NULL ? 0 : text->l};
}

static struct text_span span_of_header(const struct sip_hdr *header)
{
    return header == NULL ? (struct text_span){NULL, 0} : span_of(&header->val);
}

/* ---- answers without a dialog ------------------------------------------------------------------
 */

const char *agent_reason(int status)
{
    switch (status) {
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 405: return "Method Not Allowed";
    case 415: return "Unsupported Media Type";
    case 420: return "Bad Extension";
    case 480: return "Temporarily Unavailable";
    case 481: return "Call/Transaction Does Not Exist";
    case 486: return "Busy Here";
    case 488: return "Not Acceptable Here";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 603: return "Decline";
    default: return "Server Internal Error";
    }
}

const char *agent_headers(int status)
{
    switch (status) {
    case 405:
    case 501: return AGENT_ALLOW;
    case 415: return "Accept: application/sdp\r\n";
    case 503: return "Retry-After: 30\r\n";
    default: return "";
    }
}

/* Without a transaction (RFC 3261 8.2.7): who floods us, or has another's address, gets one answer
 * per request and costs no memory; a request that is repeated gets its answer again. */
static void reply(const struct agent *agent, const struct sip_msg *msg, int status)
{
    (void)sip_replyf(agent->sip, msg, (uint16_t)status, agent_reason(status), "%s" AGENT_EMPTY,
                     agent_headers(status));
}

void agent_refuse(const struct agent_invite *invite, int status)
{
    reply(invite->agent, invite->message, status);
}

static bool is_method(const struct sip_msg *msg, const char *const *methods)
{
    for (; *methods != NULL; methods++)
        if (pl_strcmp(&msg->met, *methods) == 0)
            return true;
    return false;
}

static bool is_stranger(struct agent *agent, const struct sip_msg *msg)
{
    char text[NET_TEXT_MAX];
    struct net_address source;
    int64_t now_ms = clock_monotonic_ms();

    agent_address(&source, &msg->src);
    if (agent->handlers.is_welcome(agent->user, &source))
        return false;
    if (now_ms >= agent->complain_ms) {
        log_warning("stranger refused peer=%s: not in [line] peers", net_text(text, &source));
        agent->complain_ms = now_ms + 1000;
    }
    return true;
}

/* The far side asks whether the call still lives (RFC 4028 7.4). We do not say that we take UPDATE,
 * so offers come by re-INVITE; but who asks in this way hangs up when it is refused. We keep no
 * session timer: whoever vanishes is missed by its media. */
static void answer_update(const struct agent *agent, const struct sip_msg *msg)
{
    struct dialog *dialog = dialog_find(agent, msg);

    if (dialog == NULL || mbuf_get_left(msg->mb) > 0) {
        reply(agent, msg, dialog == NULL ? 481 : 488);
        return;
    }
    (void)sip_replyf(agent->sip, msg, 200, "OK", "Contact: <%s>\r\n" AGENT_ALLOW AGENT_EMPTY,
                     dialog->contact);
}

/* Stands before the session layer. */
static bool first_handler(const struct sip_msg *msg, void *arg)
{
    static const char *const refused[] = {"PRACK",   "INFO",    "REFER",    "SUBSCRIBE", "NOTIFY",
                                          "MESSAGE", "PUBLISH", "REGISTER", NULL};
    struct agent *agent = arg;

    /* Who does not take our answers gets no more of them. */
    if (msg->tp == SIP_TRANSP_TCP)
        tcp_conn_txqsz_set(sip_msg_tcpconn(msg), ANSWERS_MOST);
    if (pl_strcmp(&msg->met, "ACK") == 0)
        return false;
    if (!pl_isset(&msg->to.tag) && is_stranger(agent, msg)) {
        reply(agent, msg, 403);
        return true;
    }
    if (pl_strcmp(&msg->met, "OPTIONS") == 0) {
        (void)sip_replyf(agent->sip, msg, 200, "OK",
                         AGENT_ALLOW "Accept: application/sdp\r\n" AGENT_EMPTY);
        return true;
    }
    if (pl_strcmp(&msg->met, "UPDATE") == 0) {
        answer_update(agent, msg);
        return true;
    }
    if (is_method(msg, refused)) {
        reply(agent, msg, 405);
        return true;
    }
    return false;
}

/* Stands behind it. */
static bool last_handler(const struct sip_msg *msg, void *arg)
{
    static const char *const ours[] = {"INVITE", "BYE", "CANCEL", NULL};
    struct agent *agent = arg;

    if (pl_strcmp(&msg->met, "ACK") != 0)
        reply(agent, msg, is_method(msg, ours) ? 481 : 501);
    return true;
}

static bool reply_handler(const struct sip_msg *msg, void *arg)
{
    (void)msg, (void)arg;
    return true; /* belongs to nothing of ours any more */
}

static void trace_handler(bool sent, enum sip_transp transport, const struct sa *from,
                          const struct sa *to, const uint8_t *packet, size_t length, void *arg)
{
    struct agent *agent = arg;
    struct net_address peer;
    char text[NET_TEXT_MAX];
    char line[LOG_ESCAPE_MAX / 2];
    size_t end = 0;

    if (!agent->trace)
        return;
    while (end < length && end + 1 < sizeof line && packet[end] != '\r' && packet[end] != '\n')
        end++;
    memcpy(line, packet, end);
    line[end] = '\0';
    agent_address(&peer, sent ? to : from);
    log_info("sip %s peer=%s transport=%s bytes=%zu message=%s", sent ? "sent" : "received",
             net_text(text, &peer), sip_transp_name(transport), length, LOG_ESCAPED(line));
}

/* ---- INVITE ------------------------------------------------------------------------------------
 */

/* RFC 3261 8.2.2.3: what the caller insists on and we do not do. */
static bool refuse_extension(const struct agent *agent, const struct sip_msg *msg)
{
    const struct sip_hdr *required = sip_msg_hdr(msg, SIP_HDR_REQUIRE);
    struct pl tag;

    if (required == NULL)
        return false;
    tag = required->val;
    if (tag.l > HEADER_MAX)
        tag.l = HEADER_MAX;
    (void)sip_replyf(agent->sip, msg, 420, agent_reason(420), "Unsupported: %r\r\n" AGENT_EMPTY,
                     &tag);
    return true;
}

bool agent_has_other_body(const struct sip_msg *msg)
{
    return mbuf_get_left(msg->mb) > 0 && !msg_ctype_cmp(&msg->ctyp, "application", "sdp");
}

static void invite_handler(const struct sip_msg *msg, void *arg)
{
    struct agent *agent = arg;
    struct agent_invite invite = {
        .agent = agent,
        .message = msg,
        .over_tcp = msg->tp == SIP_TRANSP_TCP,
        .call_id = span_of(&msg->callid),
        .target = span_of(&msg->ruri),
        .from = span_of(&msg->from.val),
        .to = span_of(&msg->to.val),
        .asserted = span_of_header(sip_msg_hdr(msg, SIP_HDR_P_ASSERTED_IDENTITY)),
        .diversion = span_of_header(sip_msg_xhdr(msg, "Diversion")),
        .body = {(const char *)mbuf_buf(msg->mb), mbuf_get_left(msg->mb)},
    };

    if (refuse_extension(agent, msg))
        return;
    if (agent_has_other_body(msg)) {
        reply(agent, msg, 415);
        return;
    }
    agent_address(&invite.source, &msg->src);
    agent_address(&invite.local, &msg->dst);
    agent->handlers.invite(agent->user, &invite);
}

/* ---- agents ------------------------------------------------------------------------------------
 */

static int agent_listen(struct agent *agent, const struct net_address *address, bool udp, bool tcp)
{
    struct sa sa;
    int err = sa_set_sa(&sa, &address->u.any);

    if (err == 0 && door_add(agent->loop->door, address) != 0)
        err = ENOMEM;
    if (err == 0 && udp)
        err = sip_transp_add(agent->sip, SIP_TRANSP_UDP, &sa);
    if (err == 0 && tcp)
        err = sip_transp_add(agent->sip, SIP_TRANSP_TCP, &sa);
    if (err == 0)
        err = sip_listen(&agent->first, agent->sip, true, first_handler, agent);
    if (err == 0)
        err = sipsess_listen(&agent->sessions, agent->sip, HASH_SIZE, invite_handler, agent);
    if (err == 0)
        err = sip_listen(&agent->last, agent->sip, true, last_handler, agent);
    if (err == 0)
        err = sip_listen(&agent->replies, agent->sip, false, reply_handler, agent);
    return err;
}

int agent_open(struct agent **out, struct agent_loop *loop, const struct net_address *address,
               bool udp, bool tcp, const struct agent_handlers *handlers, void *user)
{
    struct agent *agent = calloc(1, sizeof *agent);
    char text[NET_TEXT_MAX];
    int err;

    if (agent == NULL)
        return ERROR_MEMORY;
    agent->handlers = *handlers;
    agent->user = user;
    agent->loop = loop;
    agent->address = *address;
    err = sip_alloc(&agent->sip, loop->resolver, HASH_SIZE, HASH_SIZE, HASH_SIZE, "faxpost", NULL,
                    agent);
    if (err == 0)
        err = agent_listen(agent, address, udp, tcp);
    if (err != 0) {
        log_error("SIP cannot listen address=%s transport=%s%s: %s; choose another address or end "
                  "what uses it",
                  net_text(text, address), udp ? "udp" : "", tcp ? " tcp" : "", strerror(err));
        agent_close(agent);
        return ERROR_IO;
    }
    sip_set_trace_handler(agent->sip, trace_handler);
    *out = agent;
    return 0;
}

void agent_set_trace(struct agent *agent, bool trace)
{
    agent->trace = trace;
}

bool agent_is_quiet(const struct agent *agent)
{
    return mem_nrefs(agent->sessions) <= 1; /* each session holds one */
}

void agent_close(struct agent *agent)
{
    if (agent == NULL)
        return;
    sipsess_close_all(agent->sessions);
    dialog_leave_all(agent);
    mem_deref(agent->sessions);
    mem_deref(agent->first);
    mem_deref(agent->last);
    mem_deref(agent->replies);
    sip_close(agent->sip, true);
    mem_deref(agent->sip);
    door_remove(agent->loop->door, &agent->address);
    free(agent);
}
