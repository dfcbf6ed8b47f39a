/* SPDX-License-Identifier: MIT */
/*
 * clock_look.c - the wall clock is set: by hand, by the network after a start without a battery, by
 * a host that wakes its guest. Times in the spool are wall times, which people read; so when the
 * clock jumps they jump with it, and neither an age limit nor a wait is reached sooner or later
 * than it would have been.
 */
#include "spool/inside.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

enum {
    ABSENCE_MS = 3600 * 1000, /* nobody lived: a restart, or the machine was off */
    ALIVE_MS = 5 * 60 * 1000, /* how often it is recorded that we live */
};

struct shift {
    int64_t wall_ms;
    int64_t shift_ms; /* 0: none */
    int64_t made_ms;  /* what is younger was made by another clock */
    bool waits;
};

static int shift_all(struct db *db, void *arg)
{
    const struct shift *shift = arg;
    int error = 0;

    if (shift->shift_ms != 0)
        error = db_clock_shift(db, shift->shift_ms, shift->made_ms, shift->waits);
    return error < 0 ? error : db_alive_set(db, shift->wall_ms);
}

/* The first look of an owner. Forward: the time since another lived, or a clock that went wrong
 * meanwhile, nobody can tell; what waits is due in either case, and has grown no older. Back: as if
 * the clock had been set while we lived. */
static int first_look(struct spool *spool, struct shift *shift)
{
    int64_t alive_ms = 0;
    int64_t gap_ms;
    int error;

    pthread_mutex_lock(&spool->read_lock);
    error = db_alive_get(spool->reader, &alive_ms);
    pthread_mutex_unlock(&spool->read_lock);
    if (error < 0)
        return error;
    gap_ms = alive_ms == 0 ? 0 : shift->wall_ms - alive_ms;
    if (gap_ms > ABSENCE_MS || gap_ms < -CLOCK_JUMP_MS) {
        shift->shift_ms = gap_ms;
        shift->made_ms = alive_ms + ALIVE_MS + CLOCK_JUMP_MS;
        shift->waits = gap_ms < 0;
        log_warning("no faxpost lived here for %lld minutes by the clock: that time does not count "
                    "for the age of deliveries",
                    (long long)gap_ms / 60000);
    }
    return 0;
}

int spool_clock_look(struct spool *spool, int64_t wall_ms, int64_t boot_ms)
{
    struct shift shift = {.wall_ms = wall_ms};
    int64_t offset_ms = wall_ms - boot_ms;
    int error = 0;

    if (spool->mode != SPOOL_OWN)
        return ERROR_STATE;
    if (spool->alive_ms == 0) {
        error = first_look(spool, &shift);
    } else if (llabs(offset_ms - spool->clock_offset_ms) > CLOCK_JUMP_MS) {
        shift.shift_ms = offset_ms - spool->clock_offset_ms;
        shift.made_ms = boot_ms + spool->clock_offset_ms + CLOCK_JUMP_MS;
        shift.waits = true;
        log_warning("the clock was set by %lld seconds: waits and ages of deliveries go along",
                    (long long)shift.shift_ms / 1000);
    } else if (wall_ms - spool->alive_ms < ALIVE_MS) {
        return 0; /* nothing to write; the offset stays, so that slewing does not hide a jump */
    }
    if (error == 0)
        error = spool_change(spool, shift_all, &shift);
    if (error < 0)
        return error; /* at the next look again */
    spool->clock_offset_ms = offset_ms;
    spool->alive_ms = wall_ms;
    return shift.shift_ms != 0;
}
