/* SPDX-License-Identifier: MIT */
/*
 * house.h - what the dispatcher looks after once a minute: strange things in incoming/, disk space,
 * workers that hang, a clock that was set back, old faxes. What is wrong is a trouble (trouble.h).
 */
#ifndef FAXPOST_SMTP_HOUSE_H
#define FAXPOST_SMTP_HOUSE_H

#include <stdint.h>

#include "smtp/pool.h"
#include "smtp/worker.h"

struct house;

/* Both must outlive it. */
int house_new(struct house **out, struct engine *engine, struct pool *pool);
void house_free(struct house *house); /* NULL is fine */

/* The dispatcher's thread calls it as often as it likes. */
void house_keep(struct house *house);

/* Where the spool lies, at the last look; 0 before. Any thread. */
int64_t house_free_bytes(struct house *house);

#endif
