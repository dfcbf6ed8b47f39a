/* SPDX-License-Identifier: MIT */
/*
 * report_direct.h - a report that the spool cannot take, sent from memory: the disk that fails must
 * not keep the operator from hearing of it.
 */
#ifndef FAXPOST_SMTP_REPORT_DIRECT_H
#define FAXPOST_SMTP_REPORT_DIRECT_H

#include <stdint.h>

#include "smtp/tables.h"

/* user: the engine. message_fd: a message of so many octets, the caller's. To one server after the
 * other until one takes it; nothing is recorded. 0, or a negative error: ERROR_NOT_FOUND without
 * servers. Blocks as long as they do. */
int report_direct_send(void *user, const struct tables *tables, int message_fd,
                       int64_t message_bytes);

#endif
