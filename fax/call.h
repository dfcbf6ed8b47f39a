/* SPDX-License-Identifier: MIT */
/*
 * call.h - one call, whatever line it came over: its T.30 session, its folder in incoming/, and
 * what goes on between the thread that drives it and the workers.
 *
 * The driver is the thread that ticks the session: a media thread (channel.h) or a modem's thread
 * (line_modem.c). It owns the call except while a worker has it; worker.h says who has what when.
 * Workers tell the driver by the functions of struct call_driver, which post to its mailbox.
 */
#ifndef FAXPOST_FAX_CALL_H
#define FAXPOST_FAX_CALL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fax/receive.h"
#include "fax/receive_settings.h"
#include "fax/t30/session.h"
#include "fax/worker.h"
#include "spool/call_info.h"
#include "spool/incoming.h"

struct line_sip;
struct media;
struct storage;

/* What all calls share; lives longer than each of them. Constant but for the count. */
struct call_shared {
    struct workers *workers;
    struct storage *storage;
    struct media *media;
    struct line_sip *lines;
    struct receive_hooks hooks;
    const char *state_dir;

    pthread_mutex_t lock; /* of calls */
    pthread_cond_t calls_changed;
    int calls; /* calls that live */
};

/* What workers want of whoever drives the call. They post and never wait. */
struct call_driver {
    /* Makes call->session. 0 or a negative error. On a disk worker. */
    int (*session_new)(struct call *call);
    /* Folder and session are there, or not: a negative error. */
    void (*opened)(struct call *call, int error);
    /* The session is back, `stores` pages are being stored. */
    void (*worked)(struct call *call, int stores);
    void (*stored)(struct call *call, uint32_t generation, int number, bool unconfirmed, int error);
    /* call.ini is written. */
    void (*info_written)(struct call *call);
    /* More for the log line of the end: " packets_in=…". NULL: nothing. */
    void (*end_text)(const struct call *call, char *out, size_t size);
    /* The last reference is gone: frees the driver's part, and the memory. */
    void (*free)(struct call *call);
};

struct call {
    atomic_int references;

    /* Constant from call_init() on. */
    const struct call_driver *driver;
    struct call_shared *shared;
    struct call_limits limits;
    bool ecm, trace;
    char fax_id[FAX_ID_MAX], call_ref[CALL_PEER_MAX]; /* call_ref: set before the chain begins */

    /* The owner's. */
    struct call_info info;
    struct incoming *incoming;
    struct session *session;

    /* The driving thread's alone. */
    bool is_away;     /* a worker has the session */
    bool is_over;     /* the session ended */
    bool info_is_out; /* snapshot is being written */
    int stores_out;
    uint32_t revision; /* of the session, as in the last snapshot */
    int64_t info_ms, hang_up_ms;

    /* Filled by the driving thread before WORKER_INFO, read by the worker. */
    struct call_info snapshot;
    bool snapshot_is_durable;
    /* Highest number of a stored page. Driving thread until WORKER_FINISH, then the worker. */
    int stored_most;

    struct worker_job work_job, info_job, life_job;
};

/* What of a line's settings a call of any kind needs. */
struct call_line {
    const char *name, *station;
    bool ecm, trace;
};

/* Fills a call that is zeroed, with `references` references, one of them the chain's. It counts as
 * living until call_unref() frees it. */
void call_init(struct call *call, const struct call_driver *driver, struct call_shared *shared,
               const struct call_limits *limits, const struct call_line *line, int references);

void call_ref(struct call *call);
void call_unref(struct call *call); /* NULL is fine */

/* What every session is given, whatever its media; for session_new of a driver. */
struct session_settings call_session_settings(const struct call *call);
struct session_hooks call_session_hooks(struct call *call);

/* ---- the driving thread's ---------------------------------------------------------------------
 */

/* The first progress is written a while from now. */
void call_begin(struct call *call, int64_t now_ms);

/* The session wants a worker. */
void call_go_away(struct call *call);

/* Writes progress to call.ini when there is something new, or now and then. */
void call_report(struct call *call, int64_t now_ms);

/* Tells the session to end; once. why: a literal, or NULL. */
void call_hang_up(struct call *call, const char *why, int64_t now_ms);

/* True when the session was told to end long ago and does not: it is to be given up. Logged. */
bool call_is_stuck(const struct call *call, int64_t now_ms);

/* Back from the workers: the session. */
void call_worked(struct call *call, int stores);

/* The session is over; a page is stored or not; call.ini is written. True when this was the last
 * thing that was out: the call has gone to a worker for the last time and is not this thread's any
 * more. */
bool call_over(struct call *call);
bool call_stored(struct call *call, uint32_t generation, int number, bool unconfirmed, int error);
bool call_info_written(struct call *call);

#endif
