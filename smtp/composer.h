/* SPDX-License-Identifier: MIT */
/*
 * composer.h - faxes that were taken over become messages: route, compose, deliveries. One thread,
 * for the compose role works on one message at a time.
 */
#ifndef FAXPOST_SMTP_COMPOSER_H
#define FAXPOST_SMTP_COMPOSER_H

#include <stdbool.h>

#include "smtp/dispatch.h"
#include "smtp/worker.h"

struct composer;

int composer_start(struct composer **out, struct engine *engine,
                   const struct dispatch_hooks *hooks);

/* There may be something to do. */
void composer_kick(struct composer *composer);

/* Begins nothing new. */
void composer_drain(struct composer *composer);
bool composer_is_busy(struct composer *composer);

/* Joins the thread; a message that is being made is waited for. NULL is fine. */
void composer_stop(struct composer *composer);

#endif
