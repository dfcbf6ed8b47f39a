/* SPDX-License-Identifier: MIT */
/*
 * fuzz_dialogue.c - any octets as a server's part of an SMTP dialogue, in pieces of any size, with
 * a client that goes on as a library would. The first octet chooses what the settings demand, the
 * second how the rest is cut. Body for libFuzzer and for replay.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smtp/dialogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good)
{
    if (!good)
        abort();
}

static bool say(struct dialogue *dialogue, const char *line)
{
    return dialogue_sent(dialogue, line, strlen(line));
}

/* What the client sends once nothing is awaited. False: the dialogue forbade it. */
static bool go_on(struct dialogue *dialogue, int *step)
{
    static const char *const lines[] = {
        "EHLO x\r\n",
        "STARTTLS\r\n",
        "EHLO x\r\n",
        "AUTH PLAIN AGEAYg==\r\n",
        "MAIL FROM:<a@b>\r\n",
        "RCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\n",
        "DATA\r\n",
        "QUIT\r\n",
    };
    bool permitted;

    if (*step == 1 && !dialogue->need_tls)
        *step = 3;
    if (*step == 3 && !dialogue->need_auth)
        *step = 4;
    if (*step >= 8)
        return false;
    permitted = say(dialogue, lines[*step]);
    if (*step >= 3 && dialogue->need_tls && !dialogue->tls)
        check(!permitted || *step > 4);
    if (*step == 4 && dialogue->need_auth && !dialogue->authenticated)
        check(!permitted);
    ++*step;
    return permitted;
}

static void judge(struct dialogue *dialogue)
{
    enum failure_class class;
    const char *p;

    dialogue_end(dialogue, EVENT_LOST, "lost");
    check(dialogue->accepted || dialogue->failed);
    if (dialogue->accepted) {
        check(dialogue->content_done && dialogue->accepted_recipients > 0);
        check(dialogue->final.code / 100 == 2);
        check(!dialogue->need_tls || dialogue->tls);
        check(!dialogue->need_auth || dialogue->authenticated);
        return;
    }
    class = failure_classify(&dialogue->failure, NULL);
    check(class != FAILURE_NONE);
    check(class != FAILURE_UNCERTAIN || dialogue->content_done);
    for (p = dialogue->failure.text; *p != '\0'; p++)
        check(*p >= 0x20 && *p <= 0x7e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dialogue *dialogue = calloc(1, sizeof *dialogue);
    uint8_t *copy = malloc(size + 1);
    size_t at = 2;
    int step = 0;

    if (dialogue == NULL || copy == NULL || size < 2) {
        free(dialogue);
        free(copy);
        return 0;
    }
    memcpy(copy, data, size);
    dialogue->need_tls = (data[0] & 1) != 0;
    dialogue->need_auth = (data[0] & 2) != 0;
    dialogue->mechanism = "PLAIN";
    dialogue->message_bytes = (data[0] & 4) != 0 ? 100000 : 0;
    dialogue->recipients = 2;
    dialogue_begin(dialogue);
    while (at < size) {
        size_t piece = 1 + (data[1] * at) % 61;

        if (piece > size - at)
            piece = size - at;
        if (!dialogue_received(dialogue, (char *)copy + at, piece))
            break;
        at += piece;
        if (dialogue_awaited(dialogue) == DIALOGUE_STARTTLS && dialogue->last.code / 100 == 2 &&
            step == 2)
            dialogue_tls_started(dialogue);
        if (dialogue->content && !dialogue->content_done)
            dialogue_content_done(dialogue);
        if (dialogue_awaited(dialogue) == DIALOGUE_NOTHING && dialogue->reply_lines == 0 &&
            !go_on(dialogue, &step))
            break;
    }
    judge(dialogue);
    free(dialogue);
    free(copy);
    return 0;
}
