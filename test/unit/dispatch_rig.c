/* SPDX-License-Identifier: MIT */
/*
 * dispatch_rig.c - the compose role, the dispatcher around it, and what is seen of both.
 */
#include "test/unit/dispatch_rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "spool/incoming.h"

const char *const good_script[] = {GOOD, NULL};
const char *const any_script[] = {HELLO, "MAILS", NULL};

int world_compose(void *user, const struct spool_fax *fax, const struct route *route,
                  const char *message_id, bool plain, int64_t *out_bytes, char *why, size_t size)
{
    struct world *world = user;
    char text[1000];
    int error;
    int fd;

    if (atomic_load(&world->compose_failures) > 0) {
        atomic_fetch_sub(&world->compose_failures, 1);
        text_copy(why, size, "told to fail");
        return atomic_load(&world->compose_error) < 0 ? atomic_load(&world->compose_error)
                                                      : ERROR_LIBRARY;
    }
    atomic_fetch_add(plain ? &world->plain : &world->composed, 1);
    fd = file_open_folder(AT_FDCWD, fax->folder);
    if (fd < 0)
        return fd;
    snprintf(text, sizeof text,
             "From: <op@example.com>\r\nTo: <%s>\r\nSubject: fax %s\r\nMessage-ID: <%s>\r\n"
             "Date: Sat, 21 Nov 2026 10:15:30 +0000\r\n\r\nroute %s\r\n.\r\n",
             route->to[0], fax->call.fax_id, message_id, route->name);
    *out_bytes = (int64_t)strlen(text);
    error = file_write_atomic(fd, "message.eml", text, strlen(text), FILE_DURABLE);
    close(fd);
    return error;
}

struct conf *parse(const char *text, const char *name, const struct conf_key *keys)
{
    struct conf *conf = NULL;

    assert_int_equal(conf_parse(&conf, text, name, NULL, keys, NULL, NULL), 0);
    return conf;
}

void world_open(struct world *world)
{
    memset(world, 0, sizeof *world);
    snprintf(world->state_dir, sizeof world->state_dir, "/tmp/test_dispatch.XXXXXX");
    assert_non_null(mkdtemp(world->state_dir));
    assert_int_equal(spool_open(&world->spool, world->state_dir, SPOOL_OWN), 0);
}

void world_start(struct world *world, const char *faxpost, const char *servers, const char *bypass)
{
    struct dispatch_hooks hooks = {.user = world, .compose = world_compose};
    struct conf *conf[3] = {parse(faxpost, "faxpost.ini", conf_keys_faxpost), NULL, NULL};

    if (servers != NULL)
        conf[1] = parse(servers, "servers.ini", conf_keys_servers);
    if (bypass != NULL)
        conf[2] = parse(bypass, "bypass.ini", conf_keys_bypass);
    assert_int_equal(
        dispatch_start(&world->dispatch, world->spool, conf[0], conf[1], conf[2], &hooks), 0);
    conf_free(conf[0]);
    conf_free(conf[1]);
    conf_free(conf[2]);
}

void world_close(struct world *world)
{
    char command[200];

    dispatch_stop(world->dispatch, 2000);
    spool_close(world->spool);
    snprintf(command, sizeof command, "rm -rf '%s'", world->state_dir);
    assert_int_equal(system(command), 0);
}

void receive_fax(struct world *world, const char *called, char *out_id)
{
    struct call_info info = {.verdict = CALL_COMPLETE, .pages = 1};
    struct incoming *incoming = NULL;

    info.started_ms = clock_wall_ms();
    fax_id_new(info.fax_id, info.started_ms);
    text_copy(info.line, sizeof info.line, "trunk");
    text_copy(info.called, sizeof info.called, called);
    assert_int_equal(incoming_new(&incoming, world->state_dir, &info), 0);
    assert_int_equal(incoming_store_page(incoming, 1, "II*\0not a real page", 20), 0);
    assert_int_equal(incoming_write_info(incoming, &info, 1), 0);
    incoming_close(incoming);
    if (out_id != NULL)
        text_copy(out_id, FAX_ID_MAX, info.fax_id);
}

/* Waits until so many deliveries are done, or failed, ... */
void wait_count(struct world *world, int64_t done, int64_t failed)
{
    int64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
    struct spool_counts counts = {0};

    while (clock_monotonic_ms() < until_ms) {
        assert_int_equal(spool_count(world->spool, &counts), 0);
        if (counts.done == done && counts.failed == failed)
            return;
        usleep(5000);
    }
    fail_msg("done %lld failed %lld due %lld sending %lld taken %lld", (long long)counts.done,
             (long long)counts.failed, (long long)counts.due, (long long)counts.sending,
             (long long)counts.taken);
}

int count_mails(const struct world *world, const char *recipient)
{
    char path[300];
    struct dirent *entry;
    int count = 0;
    DIR *folder;

    snprintf(path, sizeof path, "%s/mailbox/%s/new", world->state_dir, recipient);
    folder = opendir(path);
    if (folder == NULL)
        return 0;
    while ((entry = readdir(folder)) != NULL)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

/* The transmission log of a fax as "step result|step result|…". */
void read_log(struct world *world, const char *fax_id, char *out, size_t size)
{
    struct spool_attempt *rows = calloc(50, sizeof *rows);
    int count = spool_attempt_list(world->spool, 0, fax_id, NULL, rows, 50);
    size_t used = 0;
    int i;

    out[0] = '\0';
    for (i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s %s %s", i > 0 ? "|" : "",
                                 rows[i].step, rows[i].server, rows[i].result);
    free(rows);
}

void expect_log(struct world *world, const char *fax_id, const char *expected)
{
    char log[1000];

    read_log(world, fax_id, log, sizeof log);
    assert_string_equal(log, expected);
}

static char servers_text[1000];

const char *servers_for(int one, int two, int connections)
{
    size_t used = (size_t)snprintf(servers_text, sizeof servers_text,
                                   "[server one]\nrank = 1\nhost = 127.0.0.1\nport = %d\n"
                                   "connections = %d\n",
                                   one, connections);

    if (two > 0)
        snprintf(servers_text + used, sizeof servers_text - used,
                 "[server two]\nrank = 2\nhost = 127.0.0.1\nport = %d\n", two);
    return servers_text;
}
