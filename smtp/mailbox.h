/* SPDX-License-Identifier: MIT */
/*
 * mailbox.h - the embedded way of delivery: a Maildir for each recipient,
 * STATE/mailbox/NAME/{tmp,new,cur}.
 */
#ifndef FAXPOST_SMTP_MAILBOX_H
#define FAXPOST_SMTP_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>

enum { MAILBOX_NAME_MAX = 240, MAILBOX_PATH_MAX = 1024 };

/* The folder of a recipient: the address in lower case, everything but letters, digits and
 * "@.+-_=" as %XX; a long one ends in a hash. */
void mailbox_name(char out[MAILBOX_NAME_MAX], const char *recipient);

/* Files a message, durable when it returns. The file's name comes from the fax, so that the same
 * mail is filed once however often this is called; `repeat` says that it may have been filed before
 * (cur/ is searched too). path (MAILBOX_PATH_MAX, may be NULL) is where it lies. 0, or 1 when it
 * was there already, or a negative error. */
int mailbox_deliver(const char *state_dir, const char *recipient, const char *fax_id,
                    const char *message_path, bool repeat, char *path);

#endif
