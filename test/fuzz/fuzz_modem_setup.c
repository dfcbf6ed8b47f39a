/* SPDX-License-Identifier: MIT */
/*
 * fuzz_modem_setup.c - any octets from a modem that is being set up, and while it rings: it ends in
 * time, what is found is sound, and all text is bounded and printable. Body for libFuzzer and for
 * replay.
 *
 * The input: one octet of wishes; then answers, each ended by an octet 0, given to one command
 * after another. One of 'a' stands for OK, so that a few octets lead far.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fax/modem/at_stream.h"
#include "fax/modem/modem_ring.h"
#include "fax/modem/modem_setup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct modem {
    const uint8_t *at;
    size_t left;
    int sent; /* commands without their answer */
};

static void check_text(const char *text, size_t size)
{
    if (memchr(text, '\0', size) == NULL)
        abort();
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~')
            abort();
}

static void send_octets(void *user, const uint8_t *octets, size_t length)
{
    struct modem *modem = user;

    for (; length > 0; length--, octets++)
        modem->sent += *octets == '\r';
}

static void trace(void *user, const char *direction, const char *text)
{
    (void)user;
    check_text(direction, 2);
    check_text(text, 400);
}

static void set(void *user, bool on)
{
    (void)user;
    (void)on;
}

static void set_speed(void *user, int speed)
{
    (void)user;
    if (!serial_speed_is_valid(speed))
        abort();
}

/* The next answer, in two pieces. */
static void answer(struct modem *modem, struct modem_setup *setup, int64_t now_ms)
{
    const uint8_t *end;
    size_t n;

    if (modem->left == 0)
        return;
    end = memchr(modem->at, 0, modem->left);
    n = end != NULL ? (size_t)(end - modem->at) : modem->left;
    if (n == 1 && modem->at[0] == 'a') {
        modem_setup_octets(setup, (const uint8_t *)"\r\nOK\r\n", 6, now_ms);
    } else {
        modem_setup_octets(setup, modem->at, n / 2, now_ms);
        modem_setup_octets(setup, modem->at + n / 2, n - n / 2, now_ms + 1);
    }
    n += end != NULL;
    modem->at += n;
    modem->left -= n;
}

static void check_found(const struct modem_found *f, enum modem_setup_state state)
{
    int i;

    check_text(f->maker, sizeof f->maker);
    check_text(f->product, sizeof f->product);
    check_text(f->firmware, sizeof f->firmware);
    check_text(f->flow, sizeof f->flow);
    check_text(f->caller_id, sizeof f->caller_id);
    check_text(f->problem, sizeof f->problem);
    if (f->model == NULL || f->advice_count < 0 || f->advice_count > MODEM_ADVICE_MAX)
        abort();
    for (i = 0; i < f->advice_count; i++)
        check_text(f->advice[i], sizeof f->advice[i]);
    if ((state == MODEM_SETUP_FAILED) != (f->problem[0] != '\0'))
        abort();
    if (state == MODEM_SETUP_READY &&
        (f->traits.class < MODEM_CLASS_1 || f->traits.class > MODEM_CLASS_2_1 ||
         (f->traits.rates & MODEM_V27TER) == 0))
        abort();
}

static enum modem_setup_state run(struct modem *modem, struct modem_setup *setup, bool quick,
                                  int64_t *now_ms)
{
    int64_t begin_ms = *now_ms;
    enum modem_setup_state state;

    modem_setup_begin(setup, quick, *now_ms);
    while ((state = modem_setup_step(setup, *now_ms)) == MODEM_SETUP_BUSY) {
        if (modem->sent > 0 && modem->left > 0) {
            modem->sent--;
            answer(modem, setup, *now_ms);
            *now_ms += 2;
            continue;
        }
        if (modem_setup_due_ms(setup) > *now_ms)
            *now_ms = modem_setup_due_ms(setup);
        if (*now_ms - begin_ms > MODEM_SETUP_MOST_MS + 1000)
            abort();
    }
    check_found(modem_setup_found(setup), state);
    return state;
}

struct rings {
    struct modem_ring ring;
    int64_t now_ms;
};

static void ring_line(void *user, const char *line)
{
    struct rings *r = user;

    modem_ring_line(&r->ring, line, r->now_ms);
    r->now_ms += 997;
    check_text(r->ring.number, sizeof r->ring.number);
    check_text(r->ring.name, sizeof r->ring.name);
    check_text(r->ring.called, sizeof r->ring.called);
    check_text(r->ring.distinctive, sizeof r->ring.distinctive);
}

static void data(void *user, const uint8_t *octets, size_t length)
{
    (void)user;
    (void)octets;
    (void)length;
}

static void data_end(void *user)
{
    (void)user;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static struct modem_models *models;
    const struct modem_setup_hooks hooks = {
        .send_octets = send_octets, .trace = trace, .set_dtr = set, .set_speed = set_speed};
    struct modem modem = {.at = input + 1, .left = size > 0 ? size - 1 : 0};
    struct modem_wish wish = {.speed = 115200};
    struct rings rings = {.now_ms = 0};
    struct at_stream stream;
    struct modem_setup *setup;
    struct modem_setup_hooks all = hooks;
    int64_t now_ms = 0;

    if (size == 0)
        return 0;
    if (models == NULL && modem_models_read(&models, NULL, NULL, NULL) < 0)
        abort();
    wish.class = (enum modem_class)(input[0] % 6);
    wish.flow = (enum serial_flow)(input[0] / 6 % 3);
    wish.init = (input[0] & 0x80) != 0 ? "S7=60|X3" : NULL;
    modem_ring_clear(&rings.ring);
    all.user = &modem;
    if (modem_setup_new(&setup, models, &wish, (input[0] & 0x40) != 0 ? "0572:1329" : NULL, &all) <
        0)
        return 0;
    if (run(&modem, setup, false, &now_ms) == MODEM_SETUP_READY)
        run(&modem, setup, true, &now_ms);
    modem_setup_free(setup);

    at_stream_init(&stream, &(struct at_stream_hooks){&rings, ring_line, data, data_end});
    at_stream_feed(&stream, input + 1, size - 1);
    return 0;
}
