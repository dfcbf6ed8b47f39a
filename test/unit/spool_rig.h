/* SPDX-License-Identifier: MIT */
/*
 * spool_rig.h - what the tests of the spool share: a state folder of their own, made and removed
 * around each test, and calls that leave faxes in its incoming/.
 */
#ifndef FAXPOST_TEST_SPOOL_RIG_H
#define FAXPOST_TEST_SPOOL_RIG_H

#include "spool/incoming.h"
#include "spool/spool.h"

struct spool_rig {
    char state_dir[64];
};

/* For cmocka: *state is a struct spool_rig. */
int rig_setup(void **state);
int rig_teardown(void **state);

/* STATE/name, in one of a few static places. */
const char *rig_path(const struct spool_rig *rig, const char *name);

/* Opens the spool or fails the test. */
struct spool *rig_open(const struct spool_rig *rig);

/* An identity some milliseconds after the last one of this process. */
void rig_fax_id(char out[FAX_ID_MAX]);

/* A live call with a fresh identity. */
struct incoming *rig_call(const struct spool_rig *rig, struct call_info *out);

/* A call that has ended with this verdict and pages 1 to count; its identity into out. */
void rig_fax(const struct spool_rig *rig, enum call_verdict verdict, int count,
             char out[FAX_ID_MAX]);

/* The same, taken over and composed for one recipient per name; deliveries due at now_ms. */
void rig_delivery(const struct spool_rig *rig, struct spool *spool, int recipients, int64_t now_ms,
                  char out[FAX_ID_MAX]);

/* Content of page `number` of a fax: differs by both, size_bytes long; static. */
const char *rig_page(const char *fax_id, int number, size_t *out_length);

/* True when STATE/name is a file with that page, whole. */
int rig_page_is_whole(const struct spool_rig *rig, const char *folder, const char *fax_id,
                      int number);

int rig_exists(const struct spool_rig *rig, const char *name);
void rig_write(const struct spool_rig *rig, const char *name, const char *text);

#endif
