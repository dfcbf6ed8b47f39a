/* SPDX-License-Identifier: MIT */
/*
 * agent.c - the adapter over libre.
 *
 * All that speaks to libre is here, which makes it longer than other files.
 *
 * What libre 1.1 does not do is refused in good form: PRACK, session timers (420, 405). Its last
 * resort for unknown requests prints remote text, so listeners of ours stand before and behind the
 * session layer and nothing gets that far.
 */
#include "fax/sip/agent.h"

#include <errno.h>
#include <re.h>
#define DEBUG_MODULE "agent" /* asked for by the next header */
#define DEBUG_LEVEL  0
#include <re_dbg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

enum {
    HASH_SIZE = 1024,
    FILES_MOST = 65536,
    HEADER_MAX = 256,
    CONTACT_MAX = NET_TEXT_MAX + 40,
    SECOND_MS = 1000,
    ANSWERS_MOST = 65536, /* octets that may wait to be sent by a connection */
};

#define ALLOW "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS\r\n"
#define EMPTY "Content-Length: 0\r\n\r\n"

struct agent_loop {
    struct mqueue *queue; /* only to be woken: what there is to do lies in the user's mailbox */
    struct dnsc *resolver;
    struct tmr timer, second;
    struct door *door;
    FILE *caught, *stderr_before;
    struct agent_loop_handlers handlers;
};

struct agent {
    struct agent_loop *loop;
    struct net_address address;
    struct sip *sip;
    struct sipsess_sock *sessions;
    struct sip_lsnr *first, *last, *replies;
    struct dialog *dialogs; /* those that are not over */
    struct agent_handlers handlers;
    void *user;
    bool trace;
    int64_t complain_ms; /* no complaint about strangers before */
};

struct dialog {
    struct dialog *next, **link;
    char contact[CONTACT_MAX]; /* what the far side calls us by */
    struct sipsess *session;
    struct agent *agent;
    void *call;
    struct tmr late;
};

/* ---- addresses ---------------------------------------------------------------------------------
 */

static void address_from_sa(struct net_address *out, const struct sa *sa)
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

/* ---- the loop ----------------------------------------------------------------------------------
 */

static void queue_handler(int id, void *data, void *arg)
{
    struct agent_loop *loop = arg;

    (void)id, (void)data;
    loop->handlers.woken(loop->handlers.user);
}

static void debug_handler(int level, const char *text, size_t length, void *arg)
{
    char line[LOG_ESCAPE_MAX];

    (void)arg;
    if (level > DBG_WARNING)
        return;
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r'))
        length--;
    if (length >= sizeof line)
        length = sizeof line - 1;
    memcpy(line, text, length);
    line[length] = '\0';
    log_debug("sip library says=%s", LOG_ESCAPED(line));
}

static ssize_t stray_write(void *cookie, const char *text, size_t length)
{
    debug_handler(DBG_WARNING, text, length, cookie);
    return (ssize_t)length;
}

/* libre writes a line to stderr for every packet that it cannot read: a stranger could fill the log
 * with them. Our own log does not go through stdio. */
static void catch_stderr(struct agent_loop *loop)
{
    cookie_io_functions_t functions = {.write = stray_write};

    loop->caught = fopencookie(NULL, "w", functions);
    if (loop->caught == NULL)
        return;
    setvbuf(loop->caught, NULL, _IOLBF, BUFSIZ);
    loop->stderr_before = stderr;
    stderr = loop->caught;
}

static void release_stderr(struct agent_loop *loop)
{
    if (loop->caught == NULL)
        return;
    stderr = loop->stderr_before;
    fclose(loop->caught);
}

/* The library must see the same struct sa as we do; compiled with other flags it has another size.
 */
static int check_layout(void)
{
    struct {
        struct sa sa;
        uint8_t guard[64];
    } probe;

    memset(&probe, 0x5a, sizeof probe);
    sa_init(&probe.sa, AF_INET6);
    for (size_t i = 0; i < sizeof probe.guard; i++)
        if (probe.guard[i] != 0x5a)
            return ERROR_LIBRARY;
    if (sa_set_str(&probe.sa, "2001:db8::1", 5060) != 0 || sa_af(&probe.sa) != AF_INET6 ||
        probe.sa.u.in6.sin6_port != htons(5060))
        return ERROR_LIBRARY;
    return 0;
}

/* Callers may name their host in Contact. Without a resolver such calls still work; only our BYE
 * and re-INVITE do not reach them. */
static void open_resolver(struct agent_loop *loop)
{
    struct sa servers[4];
    uint32_t count = 4;
    char domain[256];

    if (dns_srv_get(domain, sizeof domain, servers, &count) != 0 || count == 0 ||
        dnsc_alloc(&loop->resolver, NULL, servers, count) != 0)
        log_debug("no name servers known: Contact addresses must be numeric");
}

static void second_handler(void *arg)
{
    struct agent_loop *loop = arg;

    tmr_start(&loop->second, SECOND_MS, second_handler, loop);
    door_look(loop->door, clock_monotonic_ms());
    loop->handlers.second(loop->handlers.user);
}

static int open_door(struct agent_loop *loop)
{
    struct door_handlers handlers = loop->handlers.door;

    handlers.user = loop->handlers.user;
    return door_open(&loop->door, &handlers);
}

int agent_loop_open(struct agent_loop **out, const struct agent_loop_handlers *handlers)
{
    struct agent_loop *loop = calloc(1, sizeof *loop);
    struct rlimit files;

    if (loop == NULL)
        return ERROR_MEMORY;
    loop->handlers = *handlers;
    tmr_init(&loop->timer);
    tmr_init(&loop->second);
    dbg_init(DBG_WARNING, DBG_NONE);
    dbg_handler_set(debug_handler, NULL);
    if (libre_init() != 0)
        goto fail;
    /* libre's tables are indexed by descriptor, and the calls' sockets take numbers too. */
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur > FILES_MOST)
        files.rlim_cur = FILES_MOST;
    if (check_layout() != 0 || fd_setsize((int)files.rlim_cur) != 0 ||
        poll_method_set(METHOD_EPOLL) != 0 ||
        mqueue_alloc(&loop->queue, queue_handler, loop) != 0 || open_door(loop) != 0) {
        mem_deref(loop->queue);
        libre_close();
        goto fail;
    }
    tmr_start(&loop->second, SECOND_MS, second_handler, loop);
    open_resolver(loop);
    catch_stderr(loop);
    *out = loop;
    return 0;
fail:
    log_error("the SIP library cannot be used: is it the one this was built with?");
    free(loop);
    return ERROR_LIBRARY;
}

void agent_loop_set_limits(struct agent_loop *loop, const struct door_limits *limits)
{
    door_set_limits(loop->door, limits);
}

void agent_loop_run(struct agent_loop *loop)
{
    int err = re_main(NULL);

    (void)loop;
    if (err != 0)
        log_alert("the SIP loop ended: %s", strerror(err));
}

void agent_loop_quit(struct agent_loop *loop)
{
    (void)loop;
    re_cancel();
}

void agent_loop_wake(struct agent_loop *loop)
{
    (void)mqueue_push(loop->queue, 0, NULL);
}

static void timer_handler(void *arg)
{
    queue_handler(0, NULL, arg);
}

void agent_loop_wake_in(struct agent_loop *loop, int ms)
{
    tmr_start(&loop->timer, (uint64_t)ms, timer_handler, loop);
}

void agent_loop_close(struct agent_loop *loop)
{
    if (loop == NULL)
        return;
    tmr_cancel(&loop->timer);
    tmr_cancel(&loop->second);
    mem_deref(loop->queue);
    mem_deref(loop->resolver);
    libre_close();
    door_close(loop->door);
    dbg_handler_set(NULL, NULL);
    release_stderr(loop);
    free(loop);
}

/* ---- answers without a dialog ------------------------------------------------------------------
 */

static const char *reason_of(int status)
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

static const char *headers_of(int status)
{
    switch (status) {
    case 405:
    case 501: return ALLOW;
    case 415: return "Accept: application/sdp\r\n";
    case 503: return "Retry-After: 30\r\n";
    default: return "";
    }
}

/* Without a transaction (RFC 3261 8.2.7): who floods us, or has another's address, gets one answer
 * per request and costs no memory; a request that is repeated gets its answer again. */
static void reply(const struct agent *agent, const struct sip_msg *msg, int status)
{
    (void)sip_replyf(agent->sip, msg, (uint16_t)status, reason_of(status), "%s" EMPTY,
                     headers_of(status));
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

    address_from_sa(&source, &msg->src);
    if (agent->handlers.is_welcome(agent->user, &source))
        return false;
    if (now_ms >= agent->complain_ms) {
        log_warning("stranger refused peer=%s: not in [line] peers", net_text(text, &source));
        agent->complain_ms = now_ms + 1000;
    }
    return true;
}

static struct dialog *find_dialog(const struct agent *agent, const struct sip_msg *msg)
{
    struct dialog *dialog = agent->dialogs;

    while (dialog != NULL && !sip_dialog_cmp(sipsess_dialog(dialog->session), msg))
        dialog = dialog->next;
    return dialog;
}

/* The far side asks whether the call still lives (RFC 4028 7.4). We do not say that we take UPDATE,
 * so offers come by re-INVITE; but who asks in this way hangs up when it is refused. We keep no
 * session timer: whoever vanishes is missed by its media. */
static void answer_update(const struct agent *agent, const struct sip_msg *msg)
{
    struct dialog *dialog = find_dialog(agent, msg);

    if (dialog == NULL || mbuf_get_left(msg->mb) > 0) {
        reply(agent, msg, dialog == NULL ? 481 : 488);
        return;
    }
    (void)sip_replyf(agent->sip, msg, 200, "OK", "Contact: <%s>\r\n" ALLOW EMPTY, dialog->contact);
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
        (void)sip_replyf(agent->sip, msg, 200, "OK", ALLOW "Accept: application/sdp\r\n" EMPTY);
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
    address_from_sa(&peer, sent ? to : from);
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
    (void)sip_replyf(agent->sip, msg, 420, reason_of(420), "Unsupported: %r\r\n" EMPTY, &tag);
    return true;
}

static bool has_other_body(const struct sip_msg *msg)
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
    if (has_other_body(msg)) {
        reply(agent, msg, 415);
        return;
    }
    address_from_sa(&invite.source, &msg->src);
    address_from_sa(&invite.local, &msg->dst);
    agent->handlers.invite(agent->user, &invite);
}

/* ---- dialogs: what libre tells -----------------------------------------------------------------
 */

static int on_offer(struct mbuf **out, const struct sip_msg *msg, void *arg)
{
    struct dialog *dialog = arg;
    char text[AGENT_TEXT_MAX];
    struct mbuf *body;
    int length;

    if (has_other_body(msg))
        return ENOTSUP;
    length = dialog->agent->handlers.offer(dialog->call, (const char *)mbuf_buf(msg->mb),
                                           mbuf_get_left(msg->mb), text, sizeof text);
    if (length < 0)
        return ENOTSUP;
    body = mbuf_alloc((size_t)length);
    if (body == NULL || mbuf_write_mem(body, (const uint8_t *)text, (size_t)length) != 0) {
        mem_deref(body);
        return ENOMEM;
    }
    body->pos = 0;
    *out = body;
    return 0;
}

static int on_answer(const struct sip_msg *msg, void *arg)
{
    struct dialog *dialog = arg;

    if (has_other_body(msg))
        return EBADMSG;
    return dialog->agent->handlers.answer(dialog->call, (const char *)mbuf_buf(msg->mb),
                                          mbuf_get_left(msg->mb)) < 0
               ? EBADMSG
               : 0;
}

static void dialog_free(struct dialog *dialog)
{
    tmr_cancel(&dialog->late);
    mem_deref(dialog->session);
    *dialog->link = dialog->next;
    if (dialog->next != NULL)
        dialog->next->link = dialog->link;
    free(dialog);
}

static void on_close(int err, const struct sip_msg *msg, void *arg)
{
    struct dialog *dialog = arg;
    struct agent *agent = dialog->agent;
    void *call = dialog->call;
    const char *why = "the call failed";

    if (err == ECONNRESET)
        why = "the caller hung up";
    else if (err == ETIMEDOUT)
        why = "the caller does not answer any more";
    else if (err == EBADMSG)
        why = "no usable answer to our offer";
    else if (msg != NULL && msg->scode == 481)
        why = "the caller does not know the call any more";
    dialog_free(dialog);
    agent->handlers.closed(call, why);
}

static void on_established(const struct sip_msg *msg, void *arg)
{
    struct dialog *dialog = arg;

    (void)msg;
    dialog->agent->handlers.acknowledged(dialog->call);
}

static int on_login(char **user, char **password, const char *realm, void *arg)
{
    (void)user, (void)password, (void)realm, (void)arg;
    return EAUTH; /* a line has no credentials to answer a challenge with */
}

static void late_handler(void *arg)
{
    struct dialog *dialog = arg;

    dialog->agent->handlers.late(dialog->call);
}

/* ---- dialogs: what we do -----------------------------------------------------------------------
 */

/* What the far side calls us by from now on. */
static void contact_of(char *out, size_t size, const struct agent_invite *invite)
{
    char text[NET_TEXT_MAX];

    (void)re_snprintf(out, size, "sip:fax@%s%s", net_text(text, &invite->local),
                      invite->over_tcp ? ";transport=tcp" : "");
}

/* A Contact without transport means UDP (RFC 3263 4.1), but a caller on TCP that forgot to say so
 * means the connection it has. Writes what is to stand there instead; false: leave it. */
static bool repair_contact(char *out, size_t size, const struct agent_invite *invite,
                           const struct sip_hdr *contact)
{
    struct sip_addr address;
    struct pl value;
    char text[NET_TEXT_MAX];

    if (!invite->over_tcp || contact == NULL || sip_addr_decode(&address, &contact->val) != 0 ||
        msg_param_decode(&address.uri.params, "transport", &value) == 0)
        return false;
    return re_snprintf(out, size, "<sip:%r%s%s;transport=tcp>", &address.uri.user,
                       pl_isset(&address.uri.user) ? "@" : "", net_text(text, &invite->source)) > 0;
}

int dialog_ring(struct dialog **out, const struct agent_invite *invite, void *call)
{
    const struct sip_msg *msg = invite->message;
    struct sip_hdr *contact = (struct sip_hdr *)(uintptr_t)sip_msg_hdr(msg, SIP_HDR_CONTACT);
    struct dialog *dialog = calloc(1, sizeof *dialog);
    struct pl written = {NULL, 0};
    char repaired[HEADER_MAX];
    int err;

    if (dialog == NULL)
        return ERROR_MEMORY;
    dialog->agent = invite->agent;
    dialog->call = call;
    tmr_init(&dialog->late);
    contact_of(dialog->contact, sizeof dialog->contact, invite);
    if (contact != NULL)
        written = contact->val;
    if (repair_contact(repaired, sizeof repaired, invite, contact))
        pl_set_str(&contact->val, repaired);
    err = sipsess_accept(&dialog->session, invite->agent->sessions, msg, 180, "Ringing",
                         dialog->contact, "application/sdp", NULL, on_login, NULL, false, on_offer,
                         on_answer, on_established, NULL, NULL, on_close, dialog, ALLOW);
    if (contact != NULL)
        contact->val = written; /* it lies in the message, which lives on */
    if (err != 0) {
        free(dialog);
        return err == ENOMEM ? ERROR_MEMORY : ERROR_FORMAT;
    }
    dialog->link = &dialog->agent->dialogs;
    dialog->next = *dialog->link;
    if (dialog->next != NULL)
        dialog->next->link = &dialog->next;
    *dialog->link = dialog;
    tmr_start(&dialog->late, DIALOG_RING_MS, late_handler, dialog);
    *out = dialog;
    return 0;
}

static struct mbuf *body_of(const char *text, size_t length)
{
    struct mbuf *body = mbuf_alloc(length + 1);

    if (body != NULL && mbuf_write_mem(body, (const uint8_t *)text, length) != 0)
        return mem_deref(body);
    if (body != NULL)
        body->pos = 0;
    return body;
}

int dialog_answer(struct dialog *dialog, const char *text, size_t length)
{
    struct mbuf *body = body_of(text, length);
    int err = ENOMEM;

    tmr_cancel(&dialog->late);
    if (body != NULL)
        err = sipsess_answer(dialog->session, 200, "OK", body, ALLOW);
    mem_deref(body);
    return err == 0 ? 0 : ERROR_LIBRARY;
}

int dialog_offer(struct dialog *dialog, const char *text, size_t length)
{
    struct mbuf *body = body_of(text, length);
    int err = ENOMEM;

    if (body != NULL)
        err = sipsess_modify(dialog->session, body);
    mem_deref(body);
    return err == 0 ? 0 : ERROR_LIBRARY;
}

void dialog_refuse(struct dialog *dialog, int status)
{
    (void)sipsess_reject(dialog->session, (uint16_t)status, reason_of(status), "%s" EMPTY,
                         headers_of(status));
    dialog_free(dialog);
}

void dialog_end(struct dialog *dialog)
{
    if (dialog == NULL)
        return;
    /* Does nothing unless it still rings. */
    (void)sipsess_reject(dialog->session, 480, reason_of(480), NULL);
    dialog_free(dialog);
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
    for (struct dialog *dialog = agent->dialogs, *next; dialog != NULL; dialog = next) {
        next = dialog->next;
        dialog->next = NULL;
        dialog->link = &dialog->next; /* it may outlive us */
    }
    mem_deref(agent->sessions);
    mem_deref(agent->first);
    mem_deref(agent->last);
    mem_deref(agent->replies);
    sip_close(agent->sip, true);
    mem_deref(agent->sip);
    door_remove(agent->loop->door, &agent->address);
    free(agent);
}
