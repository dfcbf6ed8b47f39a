/* SPDX-License-Identifier: MIT */
/*
 * transmission.c - in the order of a transmission: open, watch, read, conclude, report.
 */
#include "smtp/transmission.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "smtp/login.h"
#include "smtp/trust.h"

enum {
    SCAN_BYTES = 16384,
    QUIT_MS = 1500, /* a server's answer to QUIT changes nothing any more */
};

/* From the page cache, where the transfer finds it next. */
static int look_for_8bit(struct transmission *transmission)
{
    unsigned char block[SCAN_BYTES];
    unsigned char all = 0;
    off_t at = 0;
    ssize_t n;
    ssize_t i;

    while ((n = pread(transmission->message_fd, block, sizeof block, at)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ERROR_IO;
        for (i = 0; i < n; i++)
            all |= block[i];
        at += n;
    }
    transmission->has_8bit = (all & 0x80) != 0;
    return 0;
}

static int open_message(struct transmission *transmission)
{
    const struct submit_request *request = transmission->request;
    struct stat st;

    transmission->message_fd =
        request->message_path != NULL
            ? open(request->message_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
            : fcntl(request->message_fd, F_DUPFD_CLOEXEC, 0); /* it is read by pread() alone */
    if (transmission->message_fd < 0)
        return error_from_errno(errno);
    if (fstat(transmission->message_fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
        return ERROR_FORMAT;
    /* A file that is not as long as when it was made is damaged: no part of it is sent. */
    if (request->message_bytes > 0 && st.st_size != request->message_bytes)
        return ERROR_FORMAT;
    transmission->length = st.st_size;
    return look_for_8bit(transmission);
}

static void report(const struct transmission *transmission, struct submit_request *request,
                   struct submit_result *out)
{
    const struct dialogue *dialogue = &transmission->dialogue;
    int i;

    for (i = 0; i < request->recipient_count; i++)
        if (i < dialogue->recipients_judged)
            request->recipients[i].failure = dialogue->recipient[i];
    out->local_error = transmission->local_error;
    out->greeted = dialogue->greeted;
    out->not_begun = transmission->local_error == 0 && dialogue_is_unbegun(dialogue);
    if (dialogue->accepted) {
        out->failure = (struct failure){.stage = STAGE_FINAL, .code = dialogue->final.code};
        memcpy(out->failure.enhanced, dialogue->final.enhanced, sizeof out->failure.enhanced);
        text_copy(out->failure.text, sizeof out->failure.text, dialogue->final.text);
    } else {
        out->failure = dialogue->failure;
    }
}

/* A message and its recipients, of which nothing is known yet. */
static void begin_request(struct transmission *transmission)
{
    struct submit_request *request = transmission->request;
    int i;

    for (i = 0; i < request->recipient_count; i++)
        request->recipients[i].failure = (struct failure){.stage = STAGE_RCPT};
    if (request->recipient_count > SUBMIT_RECIPIENTS_MAX)
        transmission->local_error = ERROR_LIMIT;
    else
        transmission->local_error = open_message(transmission);
}

static void prepare(struct transmission *transmission, int fd, struct deadline_thread *deadlines)
{
    const struct server *server = transmission->server;

    transmission->deadlines = deadlines;
    transmission->fd = fd;
    transmission->message_fd = -1;
    transmission->dialogue.need_tls = server->tls != SERVER_TLS_NONE;
    transmission->dialogue.need_auth = server->auth != SERVER_AUTH_NONE;
    transmission->dialogue.mechanism = login_mechanism(server->auth);
    transmission->dialogue.recipients = transmission->request->recipient_count;
    dialogue_begin(&transmission->dialogue);
    if (server->tls == SERVER_TLS_IMPLICIT)
        dialogue_tls_first(&transmission->dialogue);
}

void transmission_run(struct transmission *transmission, const struct server *server, int fd,
                      struct deadline_thread *deadlines, struct submit_request *request,
                      struct submit_result *out,
                      void (*transmit)(struct transmission *transmission))
{
    int i;

    *out = (struct submit_result){.local_error = ERROR_MEMORY};
    if (transmission == NULL) {
        for (i = 0; i < request->recipient_count; i++)
            request->recipients[i].failure = (struct failure){.stage = STAGE_RCPT};
        return;
    }
    transmission->server = server;
    transmission->request = request;
    prepare(transmission, fd, deadlines);
    begin_request(transmission);
    transmission->dialogue.message_bytes = transmission->length;
    if (!login_is_safe(server, fd))
        dialogue_fail(&transmission->dialogue, STAGE_AUTH, EVENT_NOT_OFFERED,
                      "a password is not sent in clear over the network: set tls = starttls");
    else if (transmission->local_error == 0)
        transmit(transmission);
    report(transmission, request, out);
    if (transmission->message_fd >= 0)
        close(transmission->message_fd);
    transmission->message_fd = -1;
}

void transmission_begin(struct transmission *transmission)
{
    trust_forget();
    deadline_begin(transmission->deadlines, &transmission->deadline, transmission->fd);
    transmission_watch(transmission);
}

void transmission_conclude(struct transmission *transmission)
{
    struct dialogue *dialogue = &transmission->dialogue;
    bool fired = deadline_end(transmission->deadlines, &transmission->deadline);
    char reason[TRUST_REASON_MAX];

    if (dialogue_stage(dialogue) == STAGE_STARTTLS && !dialogue->failed && !fired) {
        trust_reason(reason);
        dialogue_end(dialogue, EVENT_TLS, reason);
    }
    if (fired)
        dialogue_end(dialogue, EVENT_TIMEOUT, "no answer in time");
    else
        dialogue_end(dialogue, EVENT_LOST, "the connection was lost");
}

bool transmission_next(struct transmission *transmission)
{
    struct submit_request *request = transmission->request;
    struct dialogue *dialogue = &transmission->dialogue;
    struct submit_result result = {.local_error = 0};

    if (request->next == NULL || !dialogue->accepted || transmission->broken ||
        deadline_has_fired(transmission->deadlines, &transmission->deadline))
        return false;
    report(transmission, request, &result);
    if (!request->next(request->user, &result))
        return false;
    close(transmission->message_fd);
    transmission->message_fd = -1;
    transmission->offset = transmission->length = 0;
    transmission->announced_8bit = false;
    begin_request(transmission);
    dialogue_next(dialogue, request->recipient_count, transmission->length);
    return transmission->local_error == 0 && !dialogue->failed;
}

void transmission_cut(struct transmission *transmission)
{
    transmission->broken = true;
    deadline_cut(transmission->deadlines, &transmission->deadline);
}

void transmission_watch(struct transmission *transmission)
{
    const struct submit_timeouts *timeouts = transmission->request->timeouts;
    enum dialogue_command awaited = dialogue_awaited(&transmission->dialogue);
    int count = transmission->dialogue.awaited_count;
    int64_t limit_ms = timeouts->command;

    if (awaited == transmission->timed && count >= transmission->awaited_count) {
        transmission->awaited_count = count;
        return;
    }
    transmission->timed = awaited;
    transmission->awaited_count = count;
    if (awaited == DIALOGUE_GREETING)
        limit_ms = timeouts->greeting;
    else if (awaited == DIALOGUE_FINAL)
        limit_ms = transmission->dialogue.content_done ? timeouts->final : timeouts->data;
    else if (transmission->dialogue.quit)
        limit_ms = timeouts->command < QUIT_MS ? timeouts->command : QUIT_MS;
    deadline_set(transmission->deadlines, &transmission->deadline, limit_ms);
}

static void go_on(struct transmission *transmission, bool permitted)
{
    if (!permitted)
        transmission_cut(transmission);
    else
        transmission_watch(transmission);
}

void transmission_sent(struct transmission *transmission, const char *data, size_t length)
{
    go_on(transmission, dialogue_sent(&transmission->dialogue, data, length));
}

void transmission_received(struct transmission *transmission, char *data, size_t length)
{
    const struct dialogue *dialogue = &transmission->dialogue;
    const struct submit_request *request = transmission->request;
    bool permitted = dialogue_received(&transmission->dialogue, data, length);

    if (dialogue->greeted && !dialogue->failed && !transmission->told_greeting) {
        transmission->told_greeting = true;
        if (request->greeted != NULL)
            request->greeted(request->user);
    }
    go_on(transmission, permitted);
}

void transmission_tls_started(struct transmission *transmission)
{
    dialogue_tls_started(&transmission->dialogue);
    transmission->timed = DIALOGUE_NOTHING;
    transmission_watch(transmission);
}

void transmission_block_done(struct transmission *transmission)
{
    /* Slow links pass, stalls do not. */
    deadline_set(transmission->deadlines, &transmission->deadline,
                 transmission->request->timeouts->data);
}

bool transmission_may_announce_8bit(const struct transmission *transmission)
{
    const struct dialogue *dialogue = &transmission->dialogue;

    return transmission->has_8bit && !transmission->announced_8bit && dialogue->mime8_offered &&
           dialogue->tls == dialogue->need_tls;
}

void transmission_content_done(struct transmission *transmission)
{
    /* Every server of today takes it; one that cuts the eighth bit off would change the text. */
    if (transmission->has_8bit && !transmission->announced_8bit)
        log_info("a message with 8-bit octets goes out unannounced server=%s reason=\"%s\"",
                 transmission->server->name,
                 transmission->dialogue.mime8_offered
                     ? "its transport cannot say BODY=8BITMIME"
                     : "the server does not offer 8BITMIME (RFC 6152)");
    dialogue_content_done(&transmission->dialogue);
    transmission->timed = DIALOGUE_NOTHING;
    transmission_watch(transmission);
}

bool transmission_is_alive(struct transmission *transmission)
{
    struct pollfd poll_fd = {.fd = transmission->fd, .events = POLLRDHUP};

    if (deadline_has_fired(transmission->deadlines, &transmission->deadline)) {
        dialogue_fail(&transmission->dialogue, STAGE_CONTENT, EVENT_TIMEOUT,
                      "the transfer of the message stalled");
        return false;
    }
    if (poll(&poll_fd, 1, 0) > 0 &&
        (poll_fd.revents & (POLLERR | POLLHUP | POLLRDHUP | POLLNVAL)) != 0) {
        dialogue_fail(&transmission->dialogue, STAGE_CONTENT, EVENT_LOST,
                      "the connection was lost within the message");
        return false;
    }
    return true;
}

ssize_t transmission_read(struct transmission *transmission, char *out, size_t size)
{
    ssize_t n;

    do
        n = pread(transmission->message_fd, out, size, transmission->offset);
    while (n < 0 && errno == EINTR);
    if (n < 0 || (n == 0 && transmission->offset != transmission->length)) {
        transmission->local_error = ERROR_IO;
        return -1;
    }
    transmission->offset += n;
    return n;
}
