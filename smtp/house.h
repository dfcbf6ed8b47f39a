/* SPDX-License-Identifier: MIT */
/*
 * house.h - what the dispatcher looks after once a minute: strange things in incoming/, disk space,
 * workers that hang, a clock that was set back, old faxes.
 */
#ifndef FAXPOST_SMTP_HOUSE_H
#define FAXPOST_SMTP_HOUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "smtp/pool.h"
#include "smtp/worker.h"

enum { HOUSE_STALE_MAX = 128 };

struct house;

/* Both must outlive it. */
int house_new(struct house **out, struct engine *engine, struct pool *pool);
void house_free(struct house *house); /* NULL is fine */

/* The dispatcher's thread calls it as often as it likes. */
void house_keep(struct house *house);

struct house_status {
    bool space_low;
    int64_t free_bytes;
    char stale[HOUSE_STALE_MAX]; /* see struct dispatch_status */
};
void house_status(struct house *house, struct house_status *out);

#endif
