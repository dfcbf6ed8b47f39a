/* SPDX-License-Identifier: MIT */
/*
 * media.h - the media threads: each owns many calls, ticks their sessions every 20 ms and moves
 * their packets.
 *
 * Who owns a call. What a call is made of (struct channel: socket, session, incoming folder) has
 * one owner at any time, and goes from hand to hand by messages:
 *
 *   SIP thread   INVITE: channel_new(), socket bound        ── WORKER_OPEN ──►
 *   disk worker  makes the folder and the session           ── LINE_OPENED ──►
 *   SIP thread   200 OK (or a refusal: straight to finish)  ── media_add() ──►
 *   media thread ticks the session;  a page ends            ── WORKER_WORK ──►
 *   core worker  session_work(), takes the pages            ── worked      ──►
 *   media thread …; the session is over                     ── WORKER_FINISH ──►
 *   disk worker  last call.ini, closes the folder; the chain ends
 *
 * While a core worker has the session the media thread goes on receiving audio (struct rtp and the
 * session's inbox are its alone), and leaves T.38 packets in the socket. Storing a page needs the
 * incoming folder only, which bears several threads: it goes on beside all this, and the channel is
 * finished only when all stores and writings have come back.
 *
 * The memory is counted: one reference for the chain above, one for the SIP thread's call, one for
 * each message on its way between the two. The session is freed with the last one, so the SIP
 * thread may ask session_can_switch() for as long as it knows the channel.
 *
 * No thread waits for another: messages lie in mailboxes, whose lock covers one copy.
 */
#ifndef FAXPOST_FAX_MEDIA_H
#define FAXPOST_FAX_MEDIA_H

#include <stdbool.h>
#include <stdint.h>

#include "fax/net.h"
#include "fax/sip/rtp.h"
#include "fax/sip/sdp.h"
#include "fax/sip/udptl.h"

struct call;
struct channel;
struct media;

/* What both sides agreed on: how the media of a call go. */
struct media_plan {
    enum sdp_kind kind;        /* SDP_AUDIO or SDP_T38 */
    struct net_address remote; /* from the far side's description; port 0: it wants none */
    enum rtp_law law;          /* audio */
    enum udptl_correction correction;
    int t38_version;
    int datagram_max; /* the far side's; 0: not said */
    bool transferred_tcf;
};

/* Starts the threads. ERROR_MEMORY, ERROR_IO. */
int media_start(struct media **out, int threads);

/* Joins the threads; all channels should be over. NULL is fine. */
void media_stop(struct media *media);

/* Hands the channel over to the thread with the fewest; the session starts. SIP thread. */
void media_add(struct media *media, struct channel *channel, const struct media_plan *plan);

/* From the SIP thread, at any time after media_add(), also when the channel is over already. */
void media_switch_t38(struct channel *channel, const struct media_plan *plan);
void media_redirect(struct channel *channel, const struct media_plan *plan); /* same kind */
void media_hang_up(struct channel *channel, const char *why); /* why: a literal, or NULL */

/* From workers, as struct call_driver has them: the session is back, `stores` pages are being
 * stored; a page is stored or not; call.ini is written. */
void media_worked(struct call *call, int stores);
void media_stored(struct call *call, uint32_t generation, int number, bool unconfirmed, int error);
void media_info_written(struct call *call);

#endif
