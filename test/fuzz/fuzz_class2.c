/* SPDX-License-Identifier: MIT */
/*
 * fuzz_class2.c - any octets from a modem that speaks T.30 itself, through a whole session: it
 * ends, the modem hears nothing but commands, and no page is confirmed that was not stored. Body
 * for libFuzzer and for replay.
 *
 * The first octet says which modem and disk; then come the modem's octets; 40 ms pass at each LF,
 * and after 0xff so many tenths of a second as the next octet says.
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

enum { STEP_MS = 500, ENDS_MS = 600000, SLOW_MS = 10000, DC1 = 0x11, DC2 = 0x12, CAN = 0x18 };

struct fuzz {
    struct session *session;
    int64_t now_ms;
    bool ended, store_fails, store_is_slow;
    bool pending, failed; /* a page that is not durable */
    int64_t due_ms;
    uint32_t generation;
    int stored;
    char command[100];
    size_t length;
};

/* AT+FDR is what confirms a page. */
static void take_command(struct fuzz *fuzz)
{
    fuzz->command[fuzz->length] = '\0';
    if (strncmp(fuzz->command, "AT", 2) != 0)
        abort();
    if (strcmp(fuzz->command, "AT+FDR") == 0 && (fuzz->pending || fuzz->failed))
        abort();
    fuzz->length = 0;
}

static void on_octets(void *user, const uint8_t *octets, size_t length)
{
    struct fuzz *fuzz = user;

    for (size_t i = 0; i < length; i++) {
        if (fuzz->length == 0 && (octets[i] == DC1 || octets[i] == DC2 || octets[i] == CAN))
            continue;
        if (octets[i] == '\r') {
            take_command(fuzz);
            continue;
        }
        if (octets[i] < 0x20 || octets[i] > 0x7e || fuzz->length == sizeof fuzz->command - 1)
            abort();
        fuzz->command[fuzz->length++] = (char)octets[i];
    }
}

static void take_pages(struct fuzz *fuzz)
{
    struct session_page page;

    while (session_take_page(fuzz->session, &page)) {
        if (!page.unconfirmed) {
            fuzz->pending = true;
            fuzz->due_ms = fuzz->now_ms + (fuzz->store_is_slow ? SLOW_MS : 0);
            fuzz->generation = page.generation;
        }
        free(page.tiff);
    }
}

static void step(struct fuzz *fuzz, int ms)
{
    fuzz->now_ms += ms;
    if (fuzz->pending && fuzz->now_ms >= fuzz->due_ms) {
        fuzz->pending = false;
        fuzz->failed |= fuzz->store_fails;
        fuzz->stored += !fuzz->store_fails;
        session_post_stored(fuzz->session, fuzz->generation, fuzz->store_fails ? -3 : 0);
    }
    switch (session_run(fuzz->session, fuzz->now_ms, NULL)) {
    case SESSION_GOES_ON: break;
    case SESSION_NEEDS_WORKER:
        session_work(fuzz->session);
        take_pages(fuzz);
        break;
    case SESSION_ENDED: fuzz->ended = true; break;
    }
}

static void wait(struct fuzz *fuzz, int ms)
{
    for (; ms > 0 && !fuzz->ended; ms -= STEP_MS)
        step(fuzz, ms < STEP_MS ? ms : STEP_MS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz fuzz = {.now_ms = 1000};
    struct session_settings settings = {
        .media = SESSION_MODEM,
        .front_new = front_modem_new,
        .station = "+1 2",
        .ecm = true,
        .pages_max = 20,
        .rows_max = 2000,
        .session_ms_max = 3600000,
        .stall_ms_max = 90000,
    };
    const struct session_hooks hooks = {.user = &fuzz, .send_octets = on_octets};
    struct call_info info = {0};

    if (size == 0)
        return 0;
    log_open("fuzz", LOG_LEVEL_ALERT);
    settings.modem.class = MODEM_CLASS_2 + (data[0] & 3) % 3;
    settings.modem.bit_order = (data[0] >> 2 & 3) % 3;
    settings.modem.page_start = (data[0] & 0x10) != 0 ? DC1 : DC2;
    fuzz.store_fails = (data[0] & 0x20) != 0;
    fuzz.store_is_slow = (data[0] & 0x40) != 0;
    if (session_library_init() < 0 || session_new(&fuzz.session, &settings, &hooks) < 0)
        abort();
    for (size_t i = 1; i < size && !fuzz.ended; i++) {
        if (data[i] == 0xff && i + 1 < size) {
            wait(&fuzz, data[++i] * 100);
            continue;
        }
        session_post_octets(fuzz.session, &data[i], 1);
        if (data[i] == '\n')
            wait(&fuzz, 40);
    }
    wait(&fuzz, ENDS_MS);
    session_describe(fuzz.session, &info);
    if (!fuzz.ended || info.pages > fuzz.stored)
        abort();
    session_free(fuzz.session);
    return 0;
}
