/* SPDX-License-Identifier: MIT */
/*
 * modem_call.c - the session's hooks, and what workers say, on their way to the line's thread.
 */
#include "fax/modem/modem_call.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "fax/modem/front_modem.h"

bool modem_message_post(struct mailbox *mailbox, const struct modem_message *message)
{
    int error = mailbox_post(mailbox, message);

    if (error != 0)
        log_alert("modem thread cannot be told kind=%d: %s; restart faxpostd", (int)message->kind,
                  error_text(error));
    return error == 0;
}

/* ---- the session's hooks: on the thread that owns the session ----------------------------------
 */

/* A command or a frame is a few hundred octets, and the modem takes it before it says something
 * that the next one answers: what finds no room is lost as by a bad line. */
static void hook_send_octets(void *user, const uint8_t *octets, size_t length)
{
    struct modem_call *call = user;

    if (length > sizeof call->out - call->out_length) {
        log_warning("modem does not take what it is sent fax=%s octets=%zu", call->call.fax_id,
                    length);
        return;
    }
    memcpy(call->out + call->out_length, octets, length);
    call->out_length += length;
}

static int modem_session_new(struct call *base)
{
    struct modem_call *call = (struct modem_call *)base;
    struct session_settings settings = call_session_settings(base);
    struct session_hooks hooks = call_session_hooks(base);

    settings.media = SESSION_MODEM;
    settings.modem = call->traits;
    settings.front_new = front_modem_new;
    hooks.send_octets = hook_send_octets;
    return session_new(&base->session, &settings, &hooks);
}

/* ---- what workers say --------------------------------------------------------------------------
 */

static void post(struct call *call, struct modem_message *message)
{
    message->call = call;
    modem_message_post(((struct modem_call *)call)->mailbox, message);
}

static void modem_opened(struct call *call, int error)
{
    struct modem_message message = {.kind = MODEM_OPENED, .error = error};

    post(call, &message);
}

static void modem_worked(struct call *call, int stores)
{
    struct modem_message message = {.kind = MODEM_WORKED, .number = stores};

    post(call, &message);
}

static void modem_stored(struct call *call, uint32_t generation, int number, bool unconfirmed,
                         int error)
{
    struct modem_message message = {.kind = MODEM_STORED,
                                    .generation = generation,
                                    .number = number,
                                    .unconfirmed = unconfirmed,
                                    .error = error};

    post(call, &message);
}

static void modem_info_written(struct call *call)
{
    struct modem_message message = {.kind = MODEM_INFO_WRITTEN};

    post(call, &message);
}

/* ---- life --------------------------------------------------------------------------------------
 */

static void modem_call_free(struct call *call)
{
    free(call); /* it stands first */
}

static const struct call_driver driver = {
    .session_new = modem_session_new,
    .opened = modem_opened,
    .worked = modem_worked,
    .stored = modem_stored,
    .info_written = modem_info_written,
    .free = modem_call_free,
};

int modem_call_new(struct modem_call **out, struct mailbox *mailbox, struct call_shared *shared,
                   const struct call_limits *limits, const struct call_line *line,
                   const struct modem_traits *traits)
{
    struct modem_call *call = calloc(1, sizeof *call);

    if (call == NULL)
        return ERROR_MEMORY;
    call->mailbox = mailbox;
    call->traits = *traits;
    call_init(&call->call, &driver, shared, limits, line, 1);
    /* As unique as a Call-ID is, and as good for finding a call in a log. */
    text_copy(call->call.call_ref, sizeof call->call.call_ref, line->name);
    *out = call;
    return 0;
}

void modem_call_describe(struct modem_call *call, const struct modem_ring *ring, const char *called)
{
    struct call_info *info = &call->call.info;

    text_copy(info->caller, sizeof info->caller, ring->number);
    text_copy(info->caller_name, sizeof info->caller_name, ring->name);
    text_copy(info->called, sizeof info->called, ring->called[0] != '\0' ? ring->called : called);
}
