/* SPDX-License-Identifier: MIT */
/*
 * powerloss_work.h - what is done to a spool while the shim records it, and what must be so of any
 * state that a power cut left.
 */
#ifndef FAXPOST_TEST_POWERLOSS_WORK_H
#define FAXPOST_TEST_POWERLOSS_WORK_H

#include <stdbool.h>
#include <stddef.h>

/* Work below the folder STATE, all of it by the functions of spool/, smtp/mailbox.h and
 * base/file.h. Whatever these have promised is written into the log as a note, after they returned.
 * They exit the process with 3 when something fails. */
void work_life(const char *state);     /* calls, taking over, mails, deliveries, mailboxes */
void work_go_on(const char *state);    /* what is left of another's life, and one more call */
void work_hand_in(const char *state);  /* messages without a call, and the end of old faxes */
void work_settings(const char *state); /* a file of settings is edited, again and again */

/* Opens what is left with the real code and looks whether everything promised is there. NULL when
 * all is well, or what is not. notes: in order, "" ends them. */
const char *check_promises(const char *state, const char *const *notes, int count);

#endif
