/* SPDX-License-Identifier: MIT */
/*
 * channel_tick.h - what a media thread does with one channel: the 20 ms tick, and each message.
 *
 * All run on the channel's media thread.
 */
#ifndef FAXPOST_FAX_CHANNEL_TICK_H
#define FAXPOST_FAX_CHANNEL_TICK_H

#include <stdbool.h>
#include <stdint.h>

struct channel;
struct media_plan;
struct media_thread;

/* The channel arrived, with its plan. */
void channel_begin(struct media_thread *thread, struct channel *channel, int64_t now_ms);

/* Packets in, the session's step, packets out. */
void channel_tick(struct media_thread *thread, struct channel *channel, int64_t now_ms);

void channel_want_switch(struct media_thread *thread, struct channel *channel,
                         const struct media_plan *plan);
void channel_want_redirect(struct channel *channel, const struct media_plan *plan);

#endif
