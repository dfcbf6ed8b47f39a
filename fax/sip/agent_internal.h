/* SPDX-License-Identifier: MIT */
/*
 * agent_internal.h - what the parts of the adapter over libre share: the loop (agent_loop.c),
 * requests outside dialogs (agent.c), dialogs (dialog.c). Nothing else knows libre.
 */
#ifndef FAXPOST_FAX_SIP_AGENT_INTERNAL_H
#define FAXPOST_FAX_SIP_AGENT_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <re.h>

#include "fax/sip/agent.h"

enum { AGENT_CONTACT_MAX = NET_TEXT_MAX + 40 };

#define AGENT_ALLOW "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS\r\n"
#define AGENT_EMPTY "Content-Length: 0\r\n\r\n"

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
    char contact[AGENT_CONTACT_MAX]; /* what the far side calls us by */
    struct sipsess *session;
    struct agent *agent;
    void *call;
    struct tmr late;
};

void agent_address(struct net_address *out, const struct sa *sa);

/* The words behind a status, and the headers that belong to it. */
const char *agent_reason(int status);
const char *agent_headers(int status);

/* A body that is no SDP. */
bool agent_has_other_body(const struct sip_msg *msg);

/* NULL: none of ours. */
struct dialog *dialog_find(const struct agent *agent, const struct sip_msg *msg);

/* An agent goes; dialogs that are not over may outlive it. */
void dialog_leave_all(struct agent *agent);

#endif
