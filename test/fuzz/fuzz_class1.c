/* SPDX-License-Identifier: MIT */
/*
 * fuzz_class1.c - what a Class 1 modem says, and when: an octet n below 0x80 is followed by n
 * octets from the modem, 0x80 to 0xef lets time pass (16 ms for each above 0x80), 0xf0 stores the
 * page that waits, 0xf1 fails to, 0xf2 hangs up. Whatever comes, the session ends. Body for
 * libFuzzer and for replay.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "fax/modem/front_modem.h"
#include "fax/t30/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TIME = 0x80, STORED = 0xf0, FAILED, HANGUP };
enum { TIME_UNIT_MS = 16, STEP_MS = 500, ENDS_MS = 1200000 };

struct call {
    struct session *session;
    int64_t now_ms;
    uint32_t generation;
    bool ended;
};

static void on_octets(void *user, const uint8_t *octets, size_t length)
{
    unsigned sum = 0;

    (void)user;
    if (length == 0)
        abort();
    for (size_t i = 0; i < length; i++)
        sum += octets[i];
    if (sum == 0)
        abort(); /* a modem is never sent nothing but zeros */
}

static void run(struct call *call)
{
    struct session_page page;

    if (call->ended)
        return;
    switch (session_run(call->session, call->now_ms, NULL)) {
    case SESSION_GOES_ON: break;
    case SESSION_NEEDS_WORKER:
        session_work(call->session);
        while (session_take_page(call->session, &page)) {
            if (!page.unconfirmed)
                call->generation = page.generation;
            free(page.tiff);
        }
        break;
    case SESSION_ENDED: call->ended = true; break;
    }
}

static void wait_ms(struct call *call, int64_t ms, int step_ms)
{
    for (; ms > 0 && !call->ended; ms -= step_ms) {
        call->now_ms += ms < step_ms ? ms : step_ms;
        run(call);
    }
}

static void feed(struct call *call, const uint8_t *octets, size_t length)
{
    uint8_t *copy = malloc(length + 1); /* of its own, so that a read beyond it is seen */

    if (copy == NULL)
        return;
    memcpy(copy + 1, octets, length);
    session_post_octets(call->session, copy + 1, length);
    free(copy);
    run(call);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct call call = {.now_ms = 1000};
    const struct session_settings settings = {
        .media = SESSION_MODEM,
        .front_new = front_modem_new,
        .ecm = true,
        .pages_max = 4,
        .rows_max = 4000,
        .session_ms_max = 600000,
        .stall_ms_max = 90000,
        .modem = {.class = MODEM_CLASS_1,
                  .rates = MODEM_V27TER | MODEM_V29 | MODEM_V17,
                  .has_frs = true,
                  .connect_tries = 3,
                  .frm_tries = 2},
    };
    const struct session_hooks hooks = {.user = &call, .send_octets = on_octets};

    log_open("fuzz", LOG_LEVEL_ALERT);
    if (session_library_init() < 0 || session_new(&call.session, &settings, &hooks) < 0)
        return 0;
    run(&call);
    while (size > 0 && !call.ended) {
        uint8_t what = *data++;

        size--;
        if (what < TIME) {
            size_t length = what < size ? what : size;

            feed(&call, data, length);
            data += length;
            size -= length;
        } else if (what < STORED) {
            wait_ms(&call, (int64_t)(what - TIME) * TIME_UNIT_MS, SESSION_TICK_MS);
        } else if (what == STORED || what == FAILED) {
            session_post_stored(call.session, call.generation, what == STORED ? 0 : -3);
        } else if (what == HANGUP) {
            session_post_hangup(call.session, NULL);
        }
    }
    wait_ms(&call, ENDS_MS, STEP_MS);
    if (!call.ended)
        abort();
    session_free(call.session);
    return 0;
}
