/* SPDX-License-Identifier: MIT */
/*
 * dispatch_rig.h - a dispatcher with its threads, a real spool, and a compose role that does as it
 * is told; the servers are scripted (smtp_script.h).
 */
#ifndef FAXPOST_TEST_DISPATCH_RIG_H
#define FAXPOST_TEST_DISPATCH_RIG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "smtp/dispatch.h"
#include "test/unit/smtp_script.h"

enum { PATIENCE_MS = 60000 };

/* Scripts of servers: a good one for one mail, and one for as many as come. */
#define HELLO "S:220 fake", "C:EHLO", "S:250 fake"
#define GOOD                                                                                       \
    HELLO, "C:MAIL", "S:250 ok", "C:RCPT", "S:250 ok", "C:DATA", "S:354 go", "DATA",               \
        "S:250 2.0.0 queued", "C:QUIT", "S:221 bye", "CLOSE"
extern const char *const good_script[];
extern const char *const any_script[];

/* Settings by what differs: [retry] and behind it other sections, workers, the greeting's time. */
#define SETTINGS_OF(retry, workers, greeting)                                                      \
    "[gateway]\noperator = op@example.com\nhostname = gw.example.com\n"                            \
    "[route sales]\ncalled = 5552*\nto = sales@example.com\n"                                      \
    "[route both]\ncalled = 5553*\nto = a@example.com, b@example.com\n" retry                      \
    "[timeouts]\nconnect = 2s\ngreeting = " greeting "\ncommand = 5s\ndata = 5s\nfinal = 5s\n"     \
    "[limits]\nworkers = " workers "\n[spool]\nmin_free = 0\n"
#define SETTINGS_FOR(retry, workers) SETTINGS_OF(retry, workers, "5s")
#define SETTINGS_BUT(retry)          SETTINGS_FOR(retry, "4")
#define SETTINGS                     SETTINGS_BUT("[retry]\nwait = 1s\n")

/* A spool, a dispatcher, and what the compose role is told to do. */
struct world {
    char state_dir[100];
    struct spool *spool;
    struct dispatch *dispatch;
    atomic_int compose_failures; /* of the next calls */
    atomic_int compose_error;    /* theirs; 0: ERROR_LIBRARY */
    atomic_int composed, plain;
};

void world_open(struct world *world);
/* With these texts for faxpost.ini, servers.ini, bypass.ini; the last two may be NULL. */
void world_start(struct world *world, const char *faxpost, const char *servers, const char *bypass);
void world_close(struct world *world);

/* The compose role, as world_start() hands it to the dispatcher. */
int world_compose(void *user, const struct spool_fax *fax, const struct route *route,
                  const char *message_id, bool plain, int64_t *out_bytes, char *why, size_t size);

struct conf *parse(const char *text, const char *name, const struct conf_key *keys);

/* servers.ini with one or two servers on these ports; valid until the next call. */
const char *servers_for(int one, int two, int connections);

/* A fax of one page in incoming/; its ID when asked for. */
void receive_fax(struct world *world, const char *called, char *out_id);

/* Waits until so many deliveries are done, or failed. */
void wait_count(struct world *world, int64_t done, int64_t failed);

/* Mails in the mailbox of that recipient. */
int count_mails(const struct world *world, const char *recipient);

/* The transmission log of a fax as "step server result|step server result|…". */
void read_log(struct world *world, const char *fax_id, char *out, size_t size);
void expect_log(struct world *world, const char *fax_id, const char *expected);

#endif
