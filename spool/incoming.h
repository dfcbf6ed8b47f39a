/* SPDX-License-Identifier: MIT */
/*
 * incoming.h - the receiving half of the spool: STATE/incoming/FAX-ID/, all that receive may write.
 *
 * A page is stored durably under its own name before it is confirmed to the sender; call.ini is
 * replaced at every page. While the call lives its folder is locked (flock); the lock going away is
 * the sign for deliver to take the folder over, whether the call ended or its process died.
 */
#ifndef FAXPOST_SPOOL_INCOMING_H
#define FAXPOST_SPOOL_INCOMING_H

#include <stddef.h>
#include <stdint.h>

#include "spool/call_info.h"

/* A new fax identity, e.g. 20261121T101530123-k7f3a9c2d1e4: sorts by time, unique across nodes
 * (random part), safe as a file name, and the stem of the Message-ID. */
void fax_id_new(char out[FAX_ID_MAX], int64_t wall_ms);

/* The same for a message without a call: its random part begins with 'w', which no fax has. */
void message_id_new(char out[FAX_ID_MAX], int64_t wall_ms);

/* True when text has the form of a fax identity, with a date and time that exist. */
int fax_id_is_valid(const char *text);

/* The time in a valid fax identity; 0 for any other text. */
int64_t fax_id_wall_ms(const char *text);

/* Where deliver keeps a fax, below STATE: fax/YYYY/MM/DD/FAX-ID, or mail/… for a message.
 * ERROR_FORMAT, ERROR_LIMIT. */
int fax_id_folder(char *out, size_t size, const char *fax_id);

struct incoming;

/* Makes and locks STATE/incoming/FAX-ID, with a first call.ini in it. Costs no fsync: the folder is
 * made durable together with its first page. `info` is not kept. ERROR_FORMAT when info->fax_id is
 * no fax identity, ERROR_EXISTS when it is taken. */
int incoming_new(struct incoming **out, const char *state_dir, const struct call_info *info);

/* Stores a single-page TIFF as page-NNNN.tif (number from 1), durable when it returns 0. A page of
 * the same number is replaced. After a failed fsync the octets are written anew under another name,
 * once. ERROR_FULL, ERROR_IO … mean: not stored, do not confirm. Safe from any thread, one call at
 * a time per page. Numbers from 1 to 9999, ERROR_LIMIT else. */
int incoming_store_page(struct incoming *incoming, int number, const void *tiff, size_t length);

/* The same for what was received but not confirmed: unconfirmed-NNNN.tif. */
int incoming_store_unconfirmed(struct incoming *incoming, int number, const void *tiff,
                               size_t length);

/* Replaces call.ini. Durable only when asked: at page ends and at the end of the call. */
int incoming_write_info(struct incoming *incoming, const struct call_info *info, int durable);

/* A stored page that was in the end not confirmed: page-NNNN.tif becomes unconfirmed-NNNN.tif,
 * durably. */
int incoming_unconfirm_page(struct incoming *incoming, int number);

/* Ends the call: the folder is unlocked and touched, so that deliver notices at once. A folder
 * without any page file of an empty call stays too: deliver records the call. Frees. NULL is fine.
 */
void incoming_close(struct incoming *incoming);

#endif
