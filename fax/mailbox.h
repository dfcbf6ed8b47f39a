/* SPDX-License-Identifier: MIT */
/*
 * mailbox.h - a bounded queue of small messages to a thread that sleeps in a loop of its own.
 *
 * Any thread posts, one thread takes. The lock covers the copying of one message, never a callback
 * or a system call: the wake-up is written after it was released, and only when the queue was
 * empty, so a burst costs one.
 */
#ifndef FAXPOST_FAX_MAILBOX_H
#define FAXPOST_FAX_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>

struct mailbox;

/* Called by the posting thread when the first message lies in an empty box. */
typedef void mailbox_wake(void *user);

/* A box for at most `most` messages of `size` octets; its memory grows with use. ERROR_MEMORY. */
int mailbox_new(struct mailbox **out, size_t size, size_t most, mailbox_wake *wake, void *user);
void mailbox_free(struct mailbox *mailbox);

/* Puts a copy at the end. ERROR_FULL or ERROR_MEMORY: it is not in. */
int mailbox_post(struct mailbox *mailbox, const void *message);

/* Takes the oldest. False: it is empty. */
bool mailbox_take(struct mailbox *mailbox, void *message);

#endif
