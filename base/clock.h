/* SPDX-License-Identifier: MIT */
/*
 * clock.h - the two clocks: wall time for what people read, monotonic time for what waits.
 */
#ifndef FAXPOST_BASE_CLOCK_H
#define FAXPOST_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Milliseconds since 1970-01-01 UTC. */
int64_t clock_wall_ms(void);

/* Milliseconds of a clock that never jumps; only differences mean anything. */
int64_t clock_monotonic_ms(void);

/* The same, and it goes on while the machine is suspended: beside it, wall time only jumps when
 * somebody set the clock. */
int64_t clock_boot_ms(void);

/* By so much wall time must have moved beside boot time to have been set; less is slewing. */
enum { CLOCK_JUMP_MS = 60 * 1000 };

enum { CLOCK_TEXT_MAX = 32 };

/* Writes wall time as 2026-11-21T10:15:30.123Z into out[CLOCK_TEXT_MAX]; returns out. */
char *clock_text(char *out, int64_t wall_ms);

/* Writes wall time in the local zone as 2026-11-21 10:15:30, for people; returns out. */
char *clock_local_text(char *out, int64_t wall_ms);

#endif
