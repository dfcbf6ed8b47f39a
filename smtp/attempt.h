/* SPDX-License-Identifier: MIT */
/*
 * attempt.h - an attempt: one connection to one server, and all messages that go by it. worker.c
 * decides that it is made; it asks for the next step of each delivery by the turn_ functions there.
 */
#ifndef FAXPOST_SMTP_ATTEMPT_H
#define FAXPOST_SMTP_ATTEMPT_H

#include "smtp/worker.h"

/* To the server at index in job->tables, which health_acquire() gave leave for (hold: its); the
 * leave is given back. Blocks until the connection is over; the caller calls turn_go_on()
 * afterwards.
 *
 * job, the lead, stays the caller's: its next step is in job->step (to connect again, where the
 * connection ended before its message), or it is over. Those of job->mates that come along and what
 * is taken from the queue belong to the attempt, which frees them once they are over and puts the
 * others back; where there is no connection at all the mates stay job->mates. */
void attempt_run(struct engine *engine, struct job *job, int index, const struct health_hold *hold);

#endif
