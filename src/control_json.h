/* SPDX-License-Identifier: MIT */
/*
 * control_json.h - records of the spool as JSON.
 */
#ifndef FAXPOST_SRC_CONTROL_JSON_H
#define FAXPOST_SRC_CONTROL_JSON_H

#include <jansson.h>

#include "smtp/dispatch.h"
#include "spool/spool.h"

/* Text that may be foreign: what is no UTF-8 becomes '?'. */
json_t *json_text(const char *text);

/* Sets KEY (ISO 8601, UTC) and KEY_ms; both null for 0. */
void json_set_time(json_t *object, const char *key, int64_t wall_ms);

json_t *json_call(const struct call_info *call);
json_t *json_fax(const struct spool_fax *fax);
json_t *json_delivery(const struct spool_delivery *delivery);
json_t *json_attempt(const struct spool_attempt *attempt);
json_t *json_counts(const struct spool_counts *counts);
/* Adds what a role says of itself (ROLE_NOTES): {"kind", "name", "state", "text"} for each line. */
void json_notes_add(json_t *array, const char *text);

json_t *json_dispatch(const struct dispatch_status *status);

#endif
