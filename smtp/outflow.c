/* SPDX-License-Identifier: MIT */
/*
 * outflow.c - in the order of a message: the replies before it, its octets, what was written.
 */
#include "smtp/outflow.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

void outflow_begin(struct outflow *flow, struct transmission *core)
{
    /* Before the first octet an end of line is assumed. */
    *flow = (struct outflow){.core = core, .last = {'\r', '\n'}};
}

/* Octets that TCP received so far; 0 where it cannot be known. */
static uint64_t count_received(const struct transmission *core)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof info;

    if (getsockopt(core->fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
        return 0;
    return info.tcpi_bytes_received;
}

/* A final reply of which no octet came in after the message was handed over is no answer to it. */
static bool is_premature(struct outflow *flow)
{
    struct transmission *core = flow->core;

    if (dialogue_awaited(&core->dialogue) != DIALOGUE_FINAL || !core->dialogue.content_done)
        return false;
    if (flow->heard == 0 || count_received(core) != flow->heard)
        return false;
    dialogue_fail(&core->dialogue, STAGE_FINAL, EVENT_LOST,
                  "the reply was there before the message was sent");
    return true;
}

/* RFC 5321 3.2: HELO is for a server that does not know EHLO; the library tries it after any
 * refusal. With HELO there is neither STARTTLS nor AUTH. */
static bool is_refused(const struct dialogue *dialogue)
{
    const struct failure *failure = &dialogue->failure;

    if (!dialogue->failed || failure->stage != STAGE_EHLO || failure->event != EVENT_REPLY)
        return false;
    if (dialogue->need_auth || (dialogue->need_tls && !dialogue->tls))
        return true;
    return failure->code != 500 && failure->code != 502 && failure->code != 504;
}

void outflow_received(struct outflow *flow, const char *data, size_t length)
{
    struct transmission *core = flow->core;
    bool had_content = core->dialogue.content;
    char copy[DIALOGUE_LINE_MAX]; /* the dialogue masks what this library need not be kept from */

    if (is_premature(flow)) {
        transmission_cut(core);
        return;
    }
    while (length > 0 && !core->broken) {
        size_t n = length < sizeof copy ? length : sizeof copy;

        memcpy(copy, data, n);
        transmission_received(core, copy, n);
        data += n;
        length -= n;
    }
    if (core->dialogue.content && !had_content)
        flow->heard = count_received(core);
    if (!core->broken && is_refused(&core->dialogue))
        transmission_cut(core);
}

/* With some versions of the library the dot comes by here too. */
void outflow_sent(struct outflow *flow, size_t length)
{
    struct transmission *core = flow->core;

    flow->out += (int64_t)length;
    if (core->dialogue.content_done)
        return;
    if (core->offset == core->length && flow->out >= core->length + flow->dots) {
        transmission_content_done(core);
    } else if (flow->out >= flow->block_end) {
        flow->block_end = flow->out + OUTFLOW_BLOCK_BYTES;
        transmission_block_done(core);
    }
}

static void count_dots(struct outflow *flow, const char *data, size_t length)
{
    char *last = flow->last;
    size_t i;

    for (i = 0; i < length; i++) {
        flow->dots += data[i] == '.' && last[0] == '\r' && last[1] == '\n';
        last[0] = last[1];
        last[1] = data[i];
    }
}

/* Nothing more of the message: the socket first, so that no dot can follow. */
static ssize_t break_off(struct transmission *core)
{
    transmission_cut(core);
    return -1;
}

ssize_t outflow_read(struct outflow *flow, char *out, size_t size)
{
    struct transmission *core = flow->core;
    uint64_t received = count_received(core);
    ssize_t n;

    if (core->broken || !transmission_is_alive(core))
        return break_off(core);
    if (received != flow->heard) {
        dialogue_fail(&core->dialogue, STAGE_CONTENT, EVENT_LOST,
                      "a reply before the message was sent");
        return break_off(core);
    }
    n = transmission_read(core, out, size);
    if (n < 0)
        return break_off(core);
    count_dots(flow, out, (size_t)n);
    return n;
}
