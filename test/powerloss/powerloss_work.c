/* SPDX-License-Identifier: MIT */
/*
 * powerloss_work.c - the life of faxes as receive, deliver and compose live it, with a note for
 * each promise.
 */
#include "test/powerloss/powerloss_work.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/ini_edit.h"
#include "smtp/mailbox.h"
#include "spool/incoming.h"
#include "spool/spool.h"
#include "test/powerloss/disk_shim.h"
#include "test/powerloss/powerloss_content.h"

enum { NOW = 1000000, LEASE = 60000 };

static void must(bool well, const char *what)
{
    if (well)
        return;
    fprintf(stderr, "power cut test: %s went wrong while nothing was wrong\n", what);
    _exit(3);
}

#define MUST(condition) must(condition, #condition)

/* ---- receiving ---------------------------------------------------------------------------------
 */

struct call {
    struct call_info info;
    struct incoming *incoming;
};

static void call_begin(struct call *call, const char *state)
{
    memset(call, 0, sizeof *call);
    call->info.verdict = CALL_LIVE;
    call->info.started_ms = clock_wall_ms();
    fax_id_new(call->info.fax_id, call->info.started_ms);
    MUST(incoming_new(&call->incoming, state, &call->info) == 0);
}

static void call_page(struct call *call, int number)
{
    char page[CONTENT_MAX];
    size_t length = content_page(page, call->info.fax_id, number);

    MUST(incoming_store_page(call->incoming, number, page, length) == 0);
    disk_note("page %s %d", call->info.fax_id, number);
    call->info.pages = number;
    incoming_write_info(call->incoming, &call->info, number % 2);
}

static void call_end(struct call *call, enum call_verdict verdict)
{
    call->info.verdict = verdict;
    call->info.ended_ms = clock_wall_ms();
    incoming_write_info(call->incoming, &call->info, 1);
    incoming_close(call->incoming);
}

/* Two calls side by side: one whole, the other with a page that was not confirmed at its end. */
static void receive_two(const char *state)
{
    struct call first;
    struct call second;
    char page[CONTENT_MAX];
    size_t length;

    call_begin(&first, state);
    call_page(&first, 1);
    call_begin(&second, state);
    call_page(&second, 1);
    call_page(&first, 2);
    length = content_page(page, second.info.fax_id, 2);
    MUST(incoming_store_page(second.incoming, 2, page, length) == 0);
    MUST(incoming_unconfirm_page(second.incoming, 2) == 0); /* the answer could not be sent */
    length = content_page(page, second.info.fax_id, 3);
    MUST(incoming_store_unconfirmed(second.incoming, 3, page, length) == 0);
    call_end(&second, CALL_PARTIAL);
    call_page(&first, 3);
    call_end(&first, CALL_COMPLETE);
}

/* ---- delivering --------------------------------------------------------------------------------
 */

static struct spool *open_spool(const char *state)
{
    struct spool *spool = NULL;

    MUST(spool_open(&spool, state, SPOOL_OWN) == 0);
    return spool;
}

static void compose_all(struct spool *spool)
{
    static const struct spool_recipient to[] = {{"a@example.com"}, {"b@example.com"}};
    struct spool_fax fax;

    while (spool_fax_to_compose(spool, NOW, &fax) == 0) {
        char text[CONTENT_MAX];
        size_t length = content_message(text, fax.call.fax_id);
        int folder = file_open_folder(AT_FDCWD, fax.folder);

        MUST(folder >= 0);
        MUST(file_write_atomic(folder, "message.eml", text, length, FILE_DURABLE) == 0);
        close(folder);
        MUST(spool_fax_composed(spool, fax.call.fax_id, "sales", "m@example.com", "op@example.com",
                                (int64_t)length, to, 2, NOW) == 0);
        disk_note("composed %s", fax.call.fax_id);
    }
}

/* Into the mailbox, with a row for the log in the commit that ends the delivery. */
static void file_one(struct spool *spool, const struct spool_delivery *delivery)
{
    struct spool_attempt row = {.result = "mailbox"};
    struct spool_result result = {
        .delivery_id = delivery->id, .state = SPOOL_FAILED, .attempt = &row};

    MUST(mailbox_deliver(spool_state_dir(spool), delivery->recipient, delivery->fax_id,
                         delivery->message_path, delivery->attempts > 0, NULL) >= 0);
    disk_note("filed %s %s", delivery->fax_id, delivery->recipient);
    MUST(spool_finish(spool, &result) == 0);
    disk_note("ended %s %s", delivery->fax_id, delivery->recipient);
}

static void send_one(struct spool *spool, const struct spool_delivery *delivery)
{
    struct spool_attempt connected = {
        .delivery_id = delivery->id, .server = "first", .result = "TCP OK"};
    struct spool_attempt answer = {.result = "SMTP OK", .reply = "250 taken"};
    struct spool_result result = {
        .delivery_id = delivery->id, .state = SPOOL_DONE, .attempt = &answer};

    MUST(spool_attempt_add(spool, &connected) == 0);
    disk_note("begun %s %s", delivery->fax_id, delivery->recipient);
    MUST(spool_finish(spool, &result) == 0);
    disk_note("ended %s %s", delivery->fax_id, delivery->recipient);
}

static void deliver_all(struct spool *spool)
{
    struct spool_delivery delivery;

    while (spool_claim(spool, INT64_MAX - LEASE, LEASE, &delivery, 1) == 1) {
        if (delivery.recipient[0] == 'b')
            file_one(spool, &delivery);
        else
            send_one(spool, &delivery);
    }
}

static void deliver_everything(struct spool *spool)
{
    int taken;

    while ((taken = spool_take_over(spool, 10)) > 0)
        ;
    MUST(taken == 0);
    compose_all(spool);
    deliver_all(spool);
}

void work_life(const char *state)
{
    struct spool *spool = open_spool(state);

    receive_two(state);
    deliver_everything(spool);
    spool_close(spool);
}

void work_go_on(const char *state)
{
    struct spool *spool = open_spool(state);
    struct call call;

    deliver_everything(spool);
    call_begin(&call, state);
    call_page(&call, 1);
    call_end(&call, CALL_COMPLETE);
    deliver_everything(spool);
    spool_close(spool);
}

/* ---- without a call, and the end ---------------------------------------------------------------
 */

static void hand_in(struct spool *spool, int count)
{
    static const struct spool_recipient to[] = {{"a@example.com"}};
    struct spool_message message = {.kind = SPOOL_KIND_MESSAGE,
                                    .message_id = "m@example.com",
                                    .envelope_from = "op@example.com",
                                    .subject = "Report"};

    while (count-- > 0) {
        char text[CONTENT_MAX];
        char id[FAX_ID_MAX];
        size_t length;
        int fd = spool_message_begin(spool, id);

        MUST(fd >= 0);
        length = content_message(text, id);
        MUST(file_write_all(fd, text, length) == 0);
        message.bytes = (int64_t)length;
        MUST(spool_message_commit(spool, id, fd, &message, to, 1, NOW) == 0);
        close(fd);
        disk_note("composed %s", id);
    }
}

void work_hand_in(const char *state)
{
    struct spool *spool = open_spool(state);
    struct call call;

    hand_in(spool, 2);
    deliver_all(spool);
    call_begin(&call, state);
    call_page(&call, 1);
    call_end(&call, CALL_COMPLETE);
    deliver_everything(spool);
    disk_note("expiring");
    MUST(spool_fax_expire(spool, INT64_MAX, 10) == 3);
    hand_in(spool, 1);
    spool_close(spool);
}

/* ---- settings ----------------------------------------------------------------------------------
 */

void work_settings(const char *state)
{
    int folder = file_open_folder(AT_FDCWD, state);
    char *text = strdup("[server first]\nhost = mail.example.com\n");
    struct stat like;
    int edition;

    MUST(folder >= 0 && text != NULL);
    MUST(file_write_atomic(folder, "servers.ini", text, strlen(text), FILE_DURABLE) == 0);
    disk_note("settings 0");
    MUST(fstatat(folder, "servers.ini", &like, 0) == 0);
    for (edition = 1; edition <= 4; edition++) {
        char name[32];
        struct ini_place place = {.section = "server", .name = name, .key = "host"};
        int i;

        for (i = 0; i < 20; i++) {
            snprintf(name, sizeof name, "edition-%d-%d", edition, i);
            MUST(ini_edit_set(&text, &place, "mail.example.com") == 0);
        }
        MUST(file_replace(folder, "servers.ini", text, strlen(text), &like) == 0);
        disk_note("settings %d", edition);
    }
    free(text);
    close(folder);
}
