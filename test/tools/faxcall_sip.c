/* SPDX-License-Identifier: MIT */
/*
 * faxcall_sip.c - the calls of faxcall, on libre: placed at a set rate or answered, with SDP text
 * of our own, so that a call can go over from audio to T.38. All of it runs on the main thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <re.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "test/tools/faxcall.h"

enum { FLUSH_MS = 400, ANSWER_WAITS_MS = 3000, CLOSE_WAITS_MS = 700, RETRY_MS = 50 };

struct calls {
    const struct options *options;
    FILE *json;
    struct sip *sip;
    struct sipsess_sock *sock;
    struct sip_lsnr *listener;
    struct mqueue *events;
    struct media_pool *pool;
    struct list list; /* of struct call, living */
    struct tmr next, closing;
    int placed, finished, failed;
    bool silent, ending, closed; /* closed: no SIP transaction is left */
};

struct call {
    struct le le;
    struct calls *all;
    struct sipsess *sess; /* NULL once it is over, or left alone (silent) */
    struct media *media;
    struct tmr limit, step, refresh;
    struct sdp remote; /* the other side's last description */
    enum kind kind;    /* as agreed on */
    uint64_t sdp_id, sdp_version;
    int64_t started_ms;
    bool answered, asked_t38, ended, done;
    char file[4096];
    struct result result;
};

/* ---- descriptions --------------------------------------------------------------------------- */

static void local_fill(struct call *call, struct sdp_local *local, enum kind kind)
{
    const struct options *options = call->all->options;

    memset(local, 0, sizeof *local);
    local->address = options->local_ip;
    local->port = media_port(call->media, kind);
    local->session_id = call->sdp_id;
    local->version = ++call->sdp_version;
    local->law = options->law;
}

/* Our offer; before: the description it follows, place: whose m= line it replaces. */
static struct mbuf *offer_make(struct call *call, enum kind kind, const struct sdp *before)
{
    const struct options *options = call->all->options;
    struct sdp_local local;
    char text[SDP_TEXT_MAX];
    struct mbuf *out = mbuf_alloc(SDP_TEXT_MAX);
    int place = before != NULL ? sdp_choose(before, true) : 0, length;

    local_fill(call, &local, kind);
    sdp_t38_offer(&local.t38);
    local.t38.version = options->t38_version;
    local.t38.correction = options->correction;
    length =
        sdp_offer(text, sizeof text, kind == KIND_T38 ? SDP_T38 : SDP_AUDIO, before, place, &local);
    if (out == NULL || length < 0 || mbuf_write_mem(out, (uint8_t *)text, (size_t)length) != 0)
        return mem_deref(out);
    mbuf_set_pos(out, 0);
    return out;
}

/* Begins, or changes over, with what the other side's description says. */
static void media_begin(struct call *call, const struct sdp_media *theirs, enum rtp_law law,
                        const struct sdp_t38 *agreed)
{
    call->kind = theirs->kind == SDP_T38 ? KIND_T38 : KIND_AUDIO;
    media_run(call->media, call->kind, theirs->address, theirs->port, law, agreed);
}

/* An offer of the other side: our answer, or NULL for 488. */
static struct mbuf *answer_make(struct call *call, const struct sdp *offer)
{
    const struct options *options = call->all->options;
    bool t38_wanted = options->switching != SWITCH_REFUSE || call->kind == KIND_T38 ||
                      (options->answer && !call->answered);
    int chosen = sdp_choose(offer, t38_wanted), length;
    const struct sdp_media *theirs = &offer->media[chosen < 0 ? 0 : chosen];
    struct sdp_local local;
    char text[SDP_TEXT_MAX];
    struct mbuf *out;

    if (chosen < 0 || (call->kind == KIND_T38 && call->answered && theirs->kind != SDP_T38))
        return NULL;
    local_fill(call, &local, theirs->kind == SDP_T38 ? KIND_T38 : KIND_AUDIO);
    if (theirs->kind == SDP_T38)
        sdp_t38_answer(&local.t38, &theirs->t38);
    else
        local.law = theirs->alaw && (theirs->alaw_first || !theirs->ulaw) ? RTP_PCMA : RTP_PCMU;
    if (local.t38.version > options->t38_version)
        local.t38.version = options->t38_version;
    length = sdp_answer(text, sizeof text, offer, chosen, &local);
    out = mbuf_alloc(SDP_TEXT_MAX);
    if (out == NULL || length < 0 || mbuf_write_mem(out, (uint8_t *)text, (size_t)length) != 0)
        return mem_deref(out);
    mbuf_set_pos(out, 0);
    call->remote = *offer;
    local.t38.max_datagram = theirs->t38.max_datagram; /* theirs is the limit of what we send */
    media_begin(call, theirs, local.law, &local.t38);
    return out;
}

static int sdp_of(struct sdp *out, const struct sip_msg *message)
{
    return sdp_parse(out, (const char *)mbuf_buf(message->mb), mbuf_get_left(message->mb));
}

static const char limit_text[] = "timed out";

/* ---- the end of a call ---------------------------------------------------------------------- */

static void call_destroy(void *data)
{
    struct call *call = data;

    tmr_cancel(&call->limit);
    tmr_cancel(&call->step);
    tmr_cancel(&call->refresh);
    list_unlink(&call->le);
    mem_deref(call->sess);
    media_free(call->media);
}

static void closing_handler(void *data)
{
    (void)data;
    re_cancel();
}

/* All is done: let the last BYE be answered, but not for long. */
static void calls_close(struct calls *all)
{
    tmr_cancel(&all->next);
    if (all->silent) {
        re_cancel();
        return;
    }
    tmr_start(&all->closing, CLOSE_WAITS_MS, closing_handler, NULL);
    all->sock = mem_deref(all->sock);
    all->listener = mem_deref(all->listener);
    sip_close(all->sip, false);
}

/* Stops the media; the rest follows when they say so. The session stays: who wants a BYE sends it
 * before. */
static void call_end(struct call *call, const char *why)
{
    if (call->ended)
        return;
    call->ended = true;
    tmr_cancel(&call->limit);
    tmr_cancel(&call->step);
    tmr_cancel(&call->refresh);
    if (why != NULL && call->result.error[0] == '\0')
        text_copy(call->result.error, sizeof call->result.error, why);
    call->result.seconds = (double)(clock_monotonic_ms() - call->started_ms) / 1000;
    media_stop(call->media);
}

static void call_bye(struct call *call, const char *why)
{
    call->sess = mem_deref(call->sess); /* libre sends BYE, or CANCEL */
    call_end(call, why);
}

/* Neither BYE nor another packet; the session is leaked on purpose, since freeing it sends BYE. */
static void call_vanish(struct call *call, const char *why)
{
    call->all->silent = true;
    call->sess = NULL;
    call_end(call, why);
}

static bool result_judge(const struct call *call, struct result *result)
{
    const struct options *options = call->all->options;
    const struct outcome *outcome = &result->outcome;
    const char *why = "";

    if (options->scripts != NULL) /* whoever ends it */
        return call->answered && strcmp(result->error, limit_text) != 0;
    if (result->aborted)
        return options->abort_after_page == 0 ||
               outcome->pages_confirmed == options->abort_after_page;
    if (!outcome->done || !outcome->ok)
        why = outcome->error[0] != '\0' ? outcome->error : "no fax exchanged";
    else if (options->abort_after_page > 0 || options->abort_in_page > 0)
        why = "ended before the page to abort at";
    else if (!options->answer && outcome->pages_confirmed != outcome->pages_in_file)
        why = "not all pages were confirmed";
    else if (options->expect >= 0 && (int)result->kind != options->expect)
        why = options->expect == KIND_T38 ? "the call did not end in T.38"
                                          : "the call did not end in audio";
    else if (result->error[0] == '\0')
        return true;
    if (result->error[0] == '\0')
        text_copy(result->error, sizeof result->error, why);
    return false;
}

static void calls_next(void *data);

static void call_stopped(struct call *call)
{
    struct calls *all = call->all;
    struct result *result = &call->result;

    result->outcome = *media_outcome(call->media, &result->kind);
    result->ok = result_judge(call, result);
    if (all->json != NULL)
        result_json(all->json, result);
    if (all->json != stdout)
        result_text(stdout, result);
    all->finished++;
    all->failed += !result->ok;
    mem_deref(call);
    if (all->options->calls > 0 && all->finished >= all->options->calls)
        calls_close(all);
    else if (all->ending && all->list.head == NULL)
        calls_close(all);
}

/* ---- what happens in a call ----------------------------------------------------------------- */

static void flushed_handler(void *data)
{
    struct call *call = data;
    enum hangup hangup = call->all->options->hangup;

    if (hangup == HANGUP_BYE)
        call_bye(call, NULL);
    else if (hangup == HANGUP_SILENT)
        call_vanish(call, NULL);
    /* none: the other side has until the time-out */
}

static void event_handler(int event, void *data, void *user)
{
    struct call *call = data;

    (void)user;
    if (event == MEDIA_STOPPED) {
        call_stopped(call);
    } else if (!call->ended && event == MEDIA_DONE) {
        call->done = true;
        tmr_start(&call->step, call->all->options->answer ? ANSWER_WAITS_MS : FLUSH_MS,
                  flushed_handler, call);
    } else if (!call->ended && event == MEDIA_ABORT) {
        call->result.aborted = true;
        if (call->all->options->abort_silent)
            call_vanish(call, NULL);
        else
            call_bye(call, NULL);
    }
}

/* Media threads call this. A full pipe is waited out: an event lost would hang a call. */
static void event_post(void *user, void *call, int event)
{
    struct calls *all = user;

    while (mqueue_push(all->events, event, call) != 0)
        sys_msleep(1);
}

static void limit_handler(void *data)
{
    call_bye(data, limit_text);
}

static void switch_handler(void *data)
{
    struct call *call = data;
    struct mbuf *offer;

    if (call->kind == KIND_T38 || call->ended || call->done)
        return;
    call->asked_t38 = true;
    offer = offer_make(call, KIND_T38, &call->remote);
    if (offer == NULL || sipsess_modify(call->sess, offer) != 0)
        call_bye(call, "the re-INVITE to T.38 could not be sent");
    mem_deref(offer);
}

/* The answer to our offer, in the 200 OK. */
static int answer_handler(const struct sip_msg *message, void *data)
{
    struct call *call = data;
    const struct sdp_media *theirs;
    struct sdp answer;
    int chosen;

    if (sdp_of(&answer, message) != 0 || (chosen = sdp_choose(&answer, true)) < 0) {
        if (call->answered)
            return 0; /* T.38 refused in this way: the audio goes on */
        text_copy(call->result.error, sizeof call->result.error, "no media in the answer");
        return EPROTO;
    }
    theirs = &answer.media[chosen];
    if (call->kind == KIND_T38 && theirs->kind != SDP_T38)
        return 0;
    if (call->result.sip_code == 0)
        call->result.sip_code = message->scode;
    call->answered = true;
    call->remote = answer;
    media_begin(call, theirs, call->all->options->law, &theirs->t38);
    return 0;
}

static int offer_handler(struct mbuf **out, const struct sip_msg *message, void *data)
{
    struct call *call = data;
    struct sdp offer;

    if (mbuf_get_left(message->mb) == 0)
        *out = offer_make(call, call->kind, &call->remote);
    else
        *out = sdp_of(&offer, message) == 0 ? answer_make(call, &offer) : NULL;
    return *out != NULL ? 0 : ENOTSUP; /* becomes 488 */
}

/* ---- session refresh (RFC 4028) ------------------------------------------------------------- */

static void update_answered(int error, const struct sip_msg *message, void *data)
{
    struct call *call = data;

    if (error != 0 || message->scode >= 300)
        re_snprintf(call->result.error, sizeof call->result.error, "UPDATE answered with %u (%m)",
                    message != NULL ? message->scode : 0, error);
    mem_deref(call);
}

static int update_send(struct call *call)
{
    return sip_drequestf(NULL, call->all->sip, true, "UPDATE", sipsess_dialog(call->sess), 0, NULL,
                         NULL, update_answered, mem_ref(call),
                         "Supported: timer\r\nSession-Expires: 1800;refresher=uac\r\n"
                         "Content-Length: 0\r\n\r\n");
}

/* The same description with the same version: nothing changes. */
static void refresh_handler(void *data)
{
    struct call *call = data;
    struct mbuf *offer = NULL;
    int error;

    if (call->ended || call->done)
        return;
    tmr_start(&call->refresh, (uint64_t)call->all->options->refresh_ms, refresh_handler, call);
    if (call->all->options->refresh_by_update) {
        error = update_send(call);
    } else {
        call->sdp_version--;
        offer = offer_make(call, call->kind, &call->remote);
        error = offer == NULL ? ENOMEM : sipsess_modify(call->sess, offer);
    }
    if (error != 0)
        re_snprintf(call->result.error, sizeof call->result.error, "refresh not sent: %m", error);
    mem_deref(offer);
}

static void established_handler(const struct sip_msg *message, void *data)
{
    struct call *call = data;

    (void)message;
    call->answered = true;
    if (call->all->options->refresh_ms > 0)
        tmr_start(&call->refresh, (uint64_t)call->all->options->refresh_ms, refresh_handler, call);
    if (call->all->options->switching == SWITCH_SELF && call->kind == KIND_AUDIO)
        tmr_start(&call->step, (uint64_t)call->all->options->switch_after_ms, switch_handler, call);
}

static void close_handler(int error, const struct sip_msg *message, void *data)
{
    struct call *call = data;
    char why[100];

    if (message != NULL && !call->answered)
        call->result.sip_code = message->scode;
    if (call->done)
        why[0] = '\0';
    else if (message != NULL && message->scode >= 300)
        re_snprintf(why, sizeof why, "SIP %u %r", message->scode, &message->reason);
    else if (error == ECONNRESET)
        re_snprintf(why, sizeof why, "%s", "");
    else
        re_snprintf(why, sizeof why, "SIP: %m", error);
    call->sess = mem_deref(call->sess);
    call_end(call, why[0] != '\0' ? why : NULL);
}

static int auth_handler(char **user, char **password, const char *realm, void *data)
{
    (void)user;
    (void)password;
    (void)realm;
    (void)data;
    return ENOSYS;
}

/* ---- new calls ------------------------------------------------------------------------------ */

static struct call *call_new(struct calls *all)
{
    const struct options *options = all->options;
    struct call *call = mem_zalloc(sizeof *call, call_destroy);

    if (call == NULL)
        return NULL;
    call->all = all;
    call->kind = options->start;
    call->sdp_id = rand_u32();
    call->started_ms = clock_monotonic_ms();
    call->result.number = ++all->placed;
    if (options->answer)
        snprintf(call->file, sizeof call->file, "%s/call-%04d.tif", options->out, all->placed);
    else
        text_copy(call->file, sizeof call->file, options->file);
    call->media = media_new(all->pool, all->placed, call, call->file);
    if (call->media == NULL) {
        fprintf(stderr, "faxcall: no media for call %d on %s: too many open files?\n", all->placed,
                options->local_ip);
        return mem_deref(call);
    }
    list_append(&all->list, &call->le, call);
    tmr_start(&call->limit, (uint64_t)options->timeout_s * 1000, limit_handler, call);
    return call;
}

/* "sip:5551000@192.0.2.1:5060" → "5551000" */
static void uri_user(char *out, size_t size, const char *uri)
{
    const char *begin = strncmp(uri, "sip:", 4) == 0 ? uri + 4 : uri, *end = strchr(begin, '@');

    text_copy(out, size, begin);
    if (end != NULL && (size_t)(end - begin) < size)
        out[end - begin] = '\0';
}

static void call_place(struct calls *all)
{
    const struct options *options = all->options;
    struct call *call = call_new(all);
    char to[300], from[200], number[FAXCALL_TEXT_MAX];
    struct mbuf *offer;
    int error = ENOMEM;

    if (call == NULL) {
        all->finished++;
        all->failed++;
        return;
    }
    uri_user(call->result.called, sizeof call->result.called, options->to);
    snprintf(number, sizeof number, options->scripts != NULL ? "%s%04d" : "%s", options->from,
             call->result.number);
    text_copy(call->result.caller, sizeof call->result.caller, number);
    snprintf(to, sizeof to, "%s%s", options->to, options->tcp ? ";transport=tcp" : "");
    snprintf(from, sizeof from,
             strchr(options->local_ip, ':') != NULL ? "sip:%s@[%s]" : "sip:%s@%s", number,
             options->local_ip);
    offer = offer_make(call, options->start, NULL);
    if (offer != NULL)
        error = sipsess_connect(&call->sess, all->sock, to, options->from_name, from, number, NULL,
                                0, "application/sdp", offer, auth_handler, NULL, false,
                                offer_handler, answer_handler, NULL, established_handler, NULL,
                                NULL, close_handler, call, NULL);
    mem_deref(offer);
    if (error != 0) {
        re_snprintf(call->result.error, sizeof call->result.error, "INVITE not sent: %m", error);
        call_end(call, NULL);
    }
}

/* Places what the rate and the number of calls at once allow. */
static void calls_next(void *data)
{
    struct calls *all = data;
    const struct options *options = all->options;

    if (all->ending || all->placed >= options->calls)
        return;
    if ((int)list_count(&all->list) < options->concurrent) {
        call_place(all);
        tmr_start(&all->next, (uint64_t)(1000 / options->rate), calls_next, all);
        if (all->finished >= options->calls)
            calls_close(all);
    } else {
        tmr_start(&all->next, RETRY_MS, calls_next, all);
    }
}

static void pl_text(char *out, size_t size, const struct pl *text)
{
    (void)pl_strcpy(text, out, size);
    text_printable(out);
}

static void connect_handler(const struct sip_msg *message, void *data)
{
    struct calls *all = data;
    struct call *call = NULL;
    struct mbuf *answer = NULL;
    struct sdp offer;

    if (!all->options->answer || all->ending) {
        (void)sip_treply(NULL, all->sip, message, 486, "Busy Here");
        return;
    }
    if (sdp_of(&offer, message) != 0 || sdp_choose(&offer, true) < 0 ||
        (call = call_new(all)) == NULL) {
        (void)sip_treply(NULL, all->sip, message, 488, "Not Acceptable Here");
        return;
    }
    pl_text(call->result.called, sizeof call->result.called, &message->uri.user);
    pl_text(call->result.caller, sizeof call->result.caller, &message->from.uri.user);
    call->result.sip_code = 200;
    answer = answer_make(call, &offer);
    if (answer == NULL ||
        sipsess_accept(&call->sess, all->sock, message, 200, "OK", "fax", "application/sdp", answer,
                       auth_handler, NULL, false, offer_handler, answer_handler,
                       established_handler, NULL, NULL, close_handler, call, NULL) != 0) {
        (void)sip_treply(NULL, all->sip, message, 500, "Server Internal Error");
        call_end(call, "could not be answered");
    }
    mem_deref(answer);
}

static bool request_handler(const struct sip_msg *message, void *data)
{
    struct calls *all = data;

    if (pl_strcmp(&message->met, "OPTIONS") != 0)
        return false;
    (void)sip_treplyf(NULL, NULL, all->sip, message, false, 200, "OK",
                      "Allow: INVITE,ACK,BYE,CANCEL,OPTIONS\r\nAccept: application/sdp\r\n"
                      "Content-Length: 0\r\n\r\n");
    return true;
}

/* ---- running -------------------------------------------------------------------------------- */

static struct calls *the_calls; /* for the signal handler, which libre calls in its loop */

static void signal_handler(int number)
{
    struct calls *all = the_calls;
    struct le *le = all->list.head;

    (void)number;
    all->ending = true;
    if (le == NULL)
        calls_close(all);
    while (le != NULL) {
        struct call *call = le->data;

        le = le->next;
        call_bye(call, "interrupted");
    }
}

static void exit_handler(void *data)
{
    ((struct calls *)data)->closed = true;
    re_cancel();
}

static void trace_handler(bool sent, enum sip_transp transport, const struct sa *from,
                          const struct sa *to, const uint8_t *packet, size_t length, void *data)
{
    (void)transport;
    (void)data;
    (void)re_fprintf(stderr, "--- %s %J -> %J\n%b\n", sent ? "sent" : "received", from, to, packet,
                     length);
}

static int sip_open(struct calls *all)
{
    const struct options *options = all->options;
    struct sa address;
    int error;

    if (options->answer)
        error = sa_set_sa(&address, (const struct sockaddr *)&options->listen);
    else
        error = sa_set_str(&address, options->local_ip, 0);
    if (error == 0)
        error = sip_alloc(&all->sip, NULL, 1024, 1024, 1024, "faxcall", exit_handler, all);
    if (error != 0)
        return error;
    if (options->sip_trace)
        sip_set_trace_handler(all->sip, trace_handler);
    if ((error = sip_transp_add(all->sip, SIP_TRANSP_UDP, &address)) != 0 ||
        (error = sip_transp_add(all->sip, SIP_TRANSP_TCP, &address)) != 0 ||
        (error = sip_listen(&all->listener, all->sip, true, request_handler, all)) != 0)
        return error;
    return sipsess_listen(&all->sock, all->sip, 1024, connect_handler, all);
}

int sip_run(const struct options *options, FILE *json)
{
    struct calls all = {.options = options, .json = json};
    int error, failed = 1;

    the_calls = &all;
    list_init(&all.list);
    tmr_init(&all.next);
    tmr_init(&all.closing);
    if ((error = libre_init()) != 0 || (error = fd_setsize(65536)) != 0 ||
        (error = mqueue_alloc(&all.events, event_handler, &all)) != 0 ||
        (error = sip_open(&all)) != 0) {
        fprintf(stderr, "faxcall: no SIP on %s: %s\n", options->local_ip, strerror(error));
        goto out;
    }
    all.pool = media_pool_new(options, options->threads, event_post, &all);
    if (all.pool == NULL) {
        fprintf(stderr, "faxcall: media threads could not be started\n");
        goto out;
    }
    if (!options->answer)
        calls_next(&all);
    if ((error = re_main(signal_handler)) != 0)
        fprintf(stderr, "faxcall: %s\n", strerror(error));
    failed = error != 0 || all.failed > 0 || (options->calls > 0 && all.finished < options->calls);
out:
    media_pool_free(all.pool);
    if (!all.closed) { /* freeing silent sessions would send BYE; old transactions stay for 32 s */
        fflush(NULL);
        _Exit(failed);
    }
    tmr_cancel(&all.next);
    tmr_cancel(&all.closing);
    mem_deref(all.sip);
    mem_deref(all.events);
    libre_close();
    return failed;
}
