/* SPDX-License-Identifier: MIT */
/*
 * spool.h - the delivering half of the spool: faxes taken over, deliveries, attempts (the
 * transmission log) and the queue.
 *
 * One struct spool per process, safe from several threads (one lock around the database; no lock is
 * held across a callback). All SQL stands in spool/db_sql.c. Times are wall-clock milliseconds.
 */
#ifndef FAXPOST_SPOOL_SPOOL_H
#define FAXPOST_SPOOL_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spool/call_info.h"

enum {
    SPOOL_ADDRESS_MAX = 256,
    SPOOL_NAME_MAX = 64,
    SPOOL_REPLY_MAX = 512,
    SPOOL_PATH_MAX = 512,
    SPOOL_MESSAGE_ID_MAX = 160,
    SPOOL_SUBJECT_MAX = 128,
    SPOOL_PAGE_BYTES_MAX = 64 * 1024 * 1024, /* a larger page file is not taken over */
};

struct spool;
struct spool_attempt;

enum spool_mode {
    SPOOL_OWN,  /* deliver: takes the lock of the state folder, makes and migrates the database */
    SPOOL_READ, /* the command while no daemon runs: a shared lock, nothing is changed; calls that
                   would change something give ERROR_STATE */
};

/* Opens STATE: folders are made, schema checked or made, leases of a dead owner ended (what may
 * have been sent becomes uncertain). ERROR_BUSY when another process owns it; ERROR_CONFIG for a
 * schema newer than this program; with SPOOL_READ ERROR_NOT_FOUND where there is no spool yet. */
int spool_open(struct spool **out, const char *state_dir, enum spool_mode mode);
void spool_close(struct spool *spool);
const char *spool_state_dir(const struct spool *spool);

/* ---- taking over ---------------------------------------------------------------------------- */

/* What a record is: a fax, or a message that was handed in and has no call. */
enum spool_kind {
    SPOOL_KIND_FAX,
    SPOOL_KIND_MESSAGE, /* by `faxpost send` */
    SPOOL_KIND_REPORT,  /* our own, to the operator: its failure makes no other */
};

/* What a delivery says itself of bypass; it beats the table. */
enum spool_bypass { SPOOL_BYPASS_TABLE, SPOOL_BYPASS_ALLOW, SPOOL_BYPASS_DENY };

struct spool_fax {
    struct call_info call;       /* verdict and pages as found on disk, not as call.ini claims */
    enum spool_kind kind;        /* not SPOOL_KIND_FAX: of the call only fax_id, started_ms */
    char folder[SPOOL_PATH_MAX]; /* absolute: STATE/fax/YYYY/MM/DD/FAX-ID, STATE/mail/… */
    char subject[SPOOL_SUBJECT_MAX];       /* of a message, printable */
    char envelope_from[SPOOL_ADDRESS_MAX]; /* "": that of the settings */
    char message_id[SPOOL_MESSAGE_ID_MAX]; /* without <>; empty until composed */
    char route[SPOOL_NAME_MAX]; /* empty until routed; "operator" when no route matched */
    int state;                  /* enum spool_fax_state */
    int compose_failures;
    char error[SPOOL_REPLY_MAX];
    int64_t taken_ms;
};

enum spool_fax_state {
    SPOOL_FAX_TAKEN,    /* pages are ours, no message yet */
    SPOOL_FAX_COMPOSED, /* message.eml is durable, deliveries exist */
    SPOOL_FAX_EMPTY,    /* a call without a page: recorded, nothing to deliver */
};

/* Takes over every folder of incoming/ that is not locked, at most `most`: copy, fsync, commit,
 * delete the source. Gives the number taken (0: none). Foreign folders and files, links and pages
 * over SPOOL_PAGE_BYTES_MAX are left where they are and reported by spool_incoming_stale(); the
 * good pages beside them are taken over. ERROR_FULL: nothing is lost, it is tried again at the next
 * call. */
int spool_take_over(struct spool *spool, int most);

/* Something lies in incoming/, unlocked, longer than age_ms: the name of the oldest, made
 * printable, into out; ERROR_NOT_FOUND when all is well. For the alarm. */
int spool_incoming_stale(struct spool *spool, int64_t age_ms, char *out, size_t size);

/* Live calls: reads call.ini of every locked folder; at most `most`; gives the number. */
int spool_live_calls(struct spool *spool, struct call_info *out, int most);

/* What is left where the spool lies. */
int spool_free_bytes(struct spool *spool, int64_t *out_bytes);

/* ---- faxes ---------------------------------------------------------------------------------- */

int spool_fax_get(struct spool *spool, const char *fax_id, struct spool_fax *out);

/* Newest first; `before` (a fax id or NULL) continues a list. Gives the number. */
int spool_fax_list(struct spool *spool, const char *before, struct spool_fax *out, int most);

/* Oldest fax in state SPOOL_FAX_TAKEN whose compose is due. ERROR_NOT_FOUND. */
int spool_fax_to_compose(struct spool *spool, int64_t now_ms, struct spool_fax *out);

/* Compose failed: counted where it was for the fax (and not, say, a full disk); tried again at
 * due_ms. */
int spool_fax_compose_failed(struct spool *spool, const char *fax_id, const char *why,
                             int64_t due_ms, bool counts);

/* message.eml is durable: state COMPOSED and its deliveries, due at once, in one commit. A
 * recipient named twice gets one delivery. ERROR_NOT_FOUND, or ERROR_STATE when it was composed
 * before. */
struct spool_recipient {
    char address[SPOOL_ADDRESS_MAX];
};
int spool_fax_composed(struct spool *spool, const char *fax_id, const char *route,
                       const char *message_id, const char *envelope_from, int64_t message_bytes,
                       const struct spool_recipient *recipients, int count, int64_t now_ms);

/* The same with the bypass decision of its route. */
int spool_fax_composed_as(struct spool *spool, const char *fax_id, const char *route,
                          const char *message_id, const char *envelope_from, int64_t message_bytes,
                          const struct spool_recipient *recipients, int count, int64_t now_ms,
                          enum spool_bypass bypass);

/* ---- messages that were handed in: message.c ---------------------------------------------------
 */

struct spool_message {
    enum spool_kind kind; /* not SPOOL_KIND_FAX */
    const char *message_id, *envelope_from, *subject;
    int64_t bytes;
    enum spool_bypass bypass;
};

/* A new identity and an empty file for its message: a descriptor, the caller's, to be written to.
 * Ends with spool_message_commit() or _abort(). */
int spool_message_begin(struct spool *spool, char out_id[FAX_ID_MAX]);

/* The message is complete: durable, with its deliveries due at once, when this returns 0; removed
 * when it fails. ERROR_FORMAT without a recipient. */
int spool_message_commit(struct spool *spool, const char *id, int fd,
                         const struct spool_message *message,
                         const struct spool_recipient *recipients, int count, int64_t now_ms);
void spool_message_abort(struct spool *spool, const char *id);

/* Removes faxes (rows and folders) taken over before before_ms with no open delivery and nothing in
 * the log since. Gives the number removed, at most `most`. Those that still wait for their message
 * stay. */
int spool_fax_expire(struct spool *spool, int64_t before_ms, int most);

/* ---- deliveries ----------------------------------------------------------------------------- */

enum spool_delivery_state {
    SPOOL_DUE,       /* waits for due_ms, then for a worker */
    SPOOL_SENDING,   /* leased by a worker */
    SPOOL_HELD,      /* by the operator: not tried until released */
    SPOOL_DONE,      /* S4: a server took it, or it is in the mailbox where that is the way */
    SPOOL_FAILED,    /* an end that is not S4: copy in the mailbox, operator told */
    SPOOL_CANCELLED, /* by the operator */
};

struct spool_delivery {
    int64_t id;
    char fax_id[FAX_ID_MAX];
    char recipient[SPOOL_ADDRESS_MAX];
    char envelope_from[SPOOL_ADDRESS_MAX];
    char message_path[SPOOL_PATH_MAX]; /* absolute path of message.eml */
    int64_t message_bytes;
    enum spool_delivery_state state;
    int64_t created_ms, due_ms;
    int attempts; /* rows in the transmission log */
    char last_server[SPOOL_NAME_MAX];
    char last_reply[SPOOL_REPLY_MAX];
    char policy[2048]; /* the policy's memory: rounds, counters, struck-off servers, pins, as text
                          that only policy/ reads and writes (policy_memory_format/_parse) */
    bool uncertain;    /* some attempt ended uncertain: the mark stays for good */
    enum spool_kind kind;
    enum spool_bypass bypass;
};

/* Claims up to `most` due deliveries for lease_ms: state SENDING in one commit, in the order of due
 * time, then of age. Gives the number claimed. Leases that ran out are ended first: such a delivery
 * is due again; where something may have been sent uncertain, with a row in the log. */
int spool_claim(struct spool *spool, int64_t now_ms, int64_t lease_ms, struct spool_delivery *out,
                int most);

/* Extends the lease of a delivery that is being sent. ERROR_STATE when it ran out already. */
int spool_extend(struct spool *spool, int64_t delivery_id, int64_t until_ms);

/* When the next delivery is due or a lease runs out (INT64_MAX: never), so that the dispatcher can
 * wait. */
int64_t spool_next_due(struct spool *spool);

/* The result of one turn of a delivery. Several workers share a commit: the call returns when its
 * own result is durable. */
struct spool_result {
    int64_t delivery_id;
    enum spool_delivery_state state;
    int64_t due_ms;     /* for SPOOL_DUE */
    const char *policy; /* new memory, NULL: unchanged */
    const char *server; /* NULL: unchanged */
    const char *reply;  /* NULL: unchanged */
    bool uncertain;
    const struct spool_attempt *attempt; /* a last row for the log in the same commit, or NULL */
};

/* ERROR_STATE when it was not being sent (the lease ran out and another has it); SPOOL_DONE is
 * taken even then, for a server has it. An operator's cancel or hold that came while it was being
 * sent takes the place of SPOOL_DUE. */
int spool_finish(struct spool *spool, const struct spool_result *result);

/* Between two messages of one connection, in one commit: results of the deliveries that were in the
 * message before, rows of those that go on in a further transaction, and the beginning of those in
 * the next message: what was begun and has no end when the process dies is uncertain. A row "TCP
 * OK" marks the beginning too. Results of deliveries that are not being sent (ERROR_STATE,
 * ERROR_NOT_FOUND in spool_finish()) are logged and passed over. ERROR_STATE when one that is to
 * begin is not being sent: then nothing was changed. */
struct spool_relay {
    const struct spool_result *results;
    int result_count;
    const struct spool_attempt *rows;
    int row_count;
    const int64_t *begun; /* deliveries */
    int begun_count;
    const char *server; /* that they go to */
};
int spool_pass_on(struct spool *spool, const struct spool_relay *relay);

/* The operator's commands on all open deliveries of a fax; give the number changed. Cancel and hold
 * of one that is being sent take effect if this turn does not deliver it. Retry makes waiting ones
 * due now, and failed and cancelled ones begin anew, as if just created; what is on hold stays. A
 * fax that still waits for its message is composed at once, as if it had not failed before. */
int spool_retry(struct spool *spool, const char *fax_id, int64_t now_ms);
int spool_cancel(struct spool *spool, const char *fax_id);
int spool_hold(struct spool *spool, const char *fax_id, bool hold, int64_t now_ms);

/* Sets the bypass decision of all deliveries that are not done; gives the number. */
int spool_set_bypass(struct spool *spool, const char *fax_id, enum spool_bypass bypass);

/* One more delivery of a message that exists, due at once. One to the same recipient that has ended
 * begins anew. ERROR_NOT_FOUND; ERROR_STATE without a message yet; ERROR_EXISTS: one is open. */
int spool_resend(struct spool *spool, const char *fax_id, const char *recipient,
                 enum spool_bypass bypass, int64_t now_ms);

/* Makes all waiting deliveries due now (after a change of the tables). Gives the number. */
int spool_wake_all(struct spool *spool, int64_t now_ms);

/* The same for those only that are due later than beyond_ms: where nothing waits so long, the clock
 * was set back since. */
int spool_wake_beyond(struct spool *spool, int64_t now_ms, int64_t beyond_ms);

/* Looks at the wall clock beside one that never jumps (clock_boot_ms()); the one thread that claims
 * calls it before each claim. Where the wall clock was set, the times of all open deliveries and of
 * the faxes go along with it: what has an hour left to wait, or a day until it expires, has that
 * still. Nor does the time count for the age in which no owner lived, beyond an hour. 1: something
 * was shifted. */
int spool_clock_look(struct spool *spool, int64_t wall_ms, int64_t boot_ms);

int spool_delivery_list(struct spool *spool, const char *fax_id, struct spool_delivery *out,
                        int most);

/* ---- the transmission log ------------------------------------------------------------------- */

struct spool_attempt {
    int64_t id; /* rises by time */
    int64_t delivery_id;
    int64_t time_ms;
    char fax_id[FAX_ID_MAX];
    char recipient[SPOOL_ADDRESS_MAX];
    char server[SPOOL_NAME_MAX];
    char address[CALL_PEER_MAX]; /* ip:port, "mailbox" */
    char step[8];                /* S1 … S13: the step of spec that made or followed it */
    char result[SPOOL_NAME_MAX]; /* "TCP OK", "TCP error", "SMTP OK", "server error" … */
    char reply[SPOOL_REPLY_MAX]; /* the server's own words, printable */
};

/* Adds a row (id, fax_id and recipient are filled in from the delivery; time 0 is now), counts it
 * and notes the server as the delivery's last one; durable when it returns, so that after a crash
 * it is known where a message may have gone. Shares commits with spool_finish(). */
int spool_attempt_add(struct spool *spool, const struct spool_attempt *attempt);

/* Rows after the row `after` (0: the oldest kept), oldest first; fax_id and server may be NULL.
 * Gives the number. spool_attempt_tail gives the id after which the last `count` rows come. */
int spool_attempt_list(struct spool *spool, int64_t after, const char *fax_id, const char *server,
                       struct spool_attempt *out, int most);
int64_t spool_attempt_tail(struct spool *spool, int count);

/* ---- counts for `faxpost status` --------------------------------------------------------------
 */

/* faxes: all; taken: those waiting for their message; the rest are deliveries. */
struct spool_counts {
    int64_t faxes, taken, due, sending, held, done, failed;
};
int spool_count(struct spool *spool, struct spool_counts *out);

#endif
