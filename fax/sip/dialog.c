/* SPDX-License-Identifier: MIT */
/*
 * dialog.c - a call's dialog (RFC 3261 12): what libre tells of it, and what we do with it.
 */
#include "fax/sip/agent_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"

enum { REPAIRED_MAX = 256 };

struct dialog *dialog_find(const struct agent *agent, const struct sip_msg *msg)
{
    struct dialog *dialog = agent->dialogs;

    while (dialog != NULL && !sip_dialog_cmp(sipsess_dialog(dialog->session), msg))
        dialog = dialog->next;
    return dialog;
}

/* ---- dialogs: what libre tells -----------------------------------------------------------------
 */

static int on_offer(struct mbuf **out, const struct sip_msg *msg, void *arg)
{
    struct dialog *dialog = arg;
    char text[AGENT_TEXT_MAX];
    struct mbuf *body;
    int length;

    if (agent_has_other_body(msg))
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

    if (agent_has_other_body(msg))
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
    char repaired[REPAIRED_MAX];
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
                         on_answer, on_established, NULL, NULL, on_close, dialog, AGENT_ALLOW);
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
        err = sipsess_answer(dialog->session, 200, "OK", body, AGENT_ALLOW);
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
    (void)sipsess_reject(dialog->session, (uint16_t)status, agent_reason(status), "%s" AGENT_EMPTY,
                         agent_headers(status));
    dialog_free(dialog);
}

void dialog_end(struct dialog *dialog)
{
    if (dialog == NULL)
        return;
    /* Does nothing unless it still rings. */
    (void)sipsess_reject(dialog->session, 480, agent_reason(480), NULL);
    dialog_free(dialog);
}

void dialog_leave_all(struct agent *agent)
{
    for (struct dialog *dialog = agent->dialogs, *next; dialog != NULL; dialog = next) {
        next = dialog->next;
        dialog->next = NULL;
        dialog->link = &dialog->next;
    }
}
