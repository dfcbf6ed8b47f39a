/* SPDX-License-Identifier: MIT */
/*
 * test_rtp.c - RTP packets, the reorder buffer, filling, clock skew, and G.711 itself.
 */
#include "fax/sip/rtp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

enum { TICK = RTP_TICK_SAMPLES };

/* ---- packets -------------------------------------------------------------------------------- */

/* A packet of the far side: every sample the same octet, so that a tick can be recognised. */
struct far {
    uint16_t seq;
    uint32_t time, ssrc;
    int samples, type;
};

static size_t far_make(uint8_t *out, const struct far *far, uint8_t octet)
{
    memset(out, octet, 12 + (size_t)far->samples);
    out[0] = 0x80;
    out[1] = (uint8_t)far->type;
    out[2] = (uint8_t)(far->seq >> 8);
    out[3] = (uint8_t)far->seq;
    for (int i = 0; i < 4; i++) {
        out[4 + i] = (uint8_t)(far->time >> (24 - 8 * i));
        out[8 + i] = (uint8_t)(far->ssrc >> (24 - 8 * i));
    }
    return 12 + (size_t)far->samples;
}

static void far_next(struct far *far)
{
    far->seq++;
    far->time += (uint32_t)far->samples;
}

static int far_send(struct far *far, struct rtp *rtp, uint8_t octet)
{
    uint8_t packet[RTP_PACKET_MAX];
    size_t length = far_make(packet, far, octet);

    far_next(far);
    return rtp_receive(rtp, packet, length);
}

/* One tick of a channel: gives the real samples, out the last of what was due. */
static int tick(struct rtp *rtp, int16_t out[TICK])
{
    int real = 0;

    for (int due = rtp_due(rtp); due > 0; due--)
        real += rtp_pull(rtp, out);
    return real;
}

/* The A-law octet that a sample came from, for recognising ticks. */
static uint8_t law_octet(enum rtp_law law, int16_t sample)
{
    struct rtp *rtp = rtp_new(law, 2);
    int16_t samples[TICK] = {sample};
    uint8_t packet[12 + TICK];

    rtp_make(rtp, samples, packet, sizeof packet);
    rtp_free(rtp);
    return packet[12];
}

struct shape {
    const char *name;
    size_t header;      /* octets of header given, the rest is payload */
    uint8_t octets[40]; /* its beginning */
    int payload, trailer, expected;
};

static const struct shape shapes[] = {
    {"plain", 12, {0x80, 8}, 160, -1, 0},
    {"marker", 12, {0x80, 0x88}, 160, -1, 0},
    {"5 ms", 12, {0x80, 8}, 40, -1, 0},
    {"100 ms", 12, {0x80, 8}, 800, -1, 0},
    {"less than 5 ms", 12, {0x80, 8}, 39, -1, ERROR_FORMAT},
    {"more than 100 ms", 12, {0x80, 8}, 801, -1, ERROR_FORMAT},
    {"empty", 12, {0x80, 8}, 0, -1, ERROR_FORMAT},
    {"cut in the header", 11, {0x80, 8}, 0, -1, ERROR_FORMAT},
    {"version 1", 12, {0x40, 8}, 160, -1, ERROR_FORMAT},
    {"other law", 12, {0x80, 0}, 160, -1, ERROR_FORMAT},
    {"telephone-event", 12, {0x80, 101}, 160, -1, ERROR_FORMAT},
    {"RTCP", 12, {0x80, 200}, 160, -1, ERROR_FORMAT},
    {"two CSRC", 20, {0x82, 8}, 160, -1, 0},
    {"CSRC beyond the end", 12, {0x8f, 8}, 40, -1, ERROR_FORMAT},
    {"extension", 20, {0x90, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xbe, 0xde, 0, 1}, 160, -1, 0},
    {"empty extension", 16, {0x90, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xbe, 0xde, 0, 0}, 160, -1, 0},
    {"extension beyond the end",
     16,
     {0x90, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff},
     160,
     -1,
     ERROR_FORMAT},
    {"extension header beyond the end", 12, {0x90, 8}, 2, -1, ERROR_FORMAT},
    {"padding", 12, {0xa0, 8}, 164, 4, 0},
    {"padding of 0", 12, {0xa0, 8}, 164, 0, ERROR_FORMAT},
    {"nothing but padding", 12, {0xa0, 8}, 160, 160, ERROR_FORMAT},
    {"padding into the header", 12, {0xa0, 8}, 160, 180, ERROR_FORMAT},
};

static void test_shapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const struct shape *shape = &shapes[i];
        struct rtp *rtp = rtp_new(RTP_PCMA, 2);
        size_t length = shape->header + (size_t)shape->payload;
        uint8_t *packet = calloc(1, length);
        struct rtp_counts counts;

        memcpy(packet, shape->octets, shape->header);
        if (shape->trailer >= 0)
            packet[length - 1] = (uint8_t)shape->trailer;
        if (rtp_is_plausible(rtp, packet, length) != (shape->expected == 0) ||
            rtp_receive(rtp, packet, length) != shape->expected)
            fail_msg("%s", shape->name);
        rtp_counts(rtp, &counts);
        assert_int_equal(counts.malformed, shape->expected != 0);
        free(packet);
        rtp_free(rtp);
    }
}

static void test_sent_header(void **state)
{
    struct rtp *rtp = rtp_new(RTP_PCMU, 2), *other = rtp_new(RTP_PCMU, 2);
    int16_t silence[TICK] = {0};
    uint8_t first[200], second[200], strange[200];

    (void)state;
    assert_int_equal(rtp_make(rtp, silence, first, 12 + TICK - 1), ERROR_LIMIT);
    assert_int_equal(rtp_make(rtp, silence, first, sizeof first), 12 + TICK);
    assert_int_equal(rtp_make(rtp, silence, second, sizeof second), 12 + TICK);
    assert_int_equal(rtp_make(other, silence, strange, sizeof strange), 12 + TICK);
    assert_int_equal(first[0], 0x80);
    assert_int_equal(first[1], 0);
    assert_int_equal(first[12], 0xff);
    assert_int_equal((uint16_t)(first[2] << 8 | first[3]) + 1, second[2] << 8 | second[3]);
    assert_int_equal((uint8_t)(first[7] + TICK), second[7]);
    assert_memory_equal(first + 8, second + 8, 4);
    assert_memory_not_equal(first + 8, strange + 8, 4);
    rtp_free(rtp);
    rtp_free(other);
}

/* ---- G.711 ---------------------------------------------------------------------------------- */

/* G.711 tables 1 and 2, a few rows, as 16-bit samples. */
static void test_g711_values(void **state)
{
    static const struct {
        enum rtp_law law;
        int16_t sample;
        uint8_t octet;
    } rows[] = {
        {RTP_PCMA, 8, 0xd5},      {RTP_PCMA, -8, 0x55},    {RTP_PCMA, 32256, 0xaa},
        {RTP_PCMA, -32256, 0x2a}, {RTP_PCMA, 1008, 0xfa},  {RTP_PCMA, 32767, 0xaa},
        {RTP_PCMA, -32768, 0x2a}, {RTP_PCMU, 0, 0xff},     {RTP_PCMU, 32124, 0x80},
        {RTP_PCMU, -32124, 0x00}, {RTP_PCMU, 32767, 0x80}, {RTP_PCMU, -32768, 0x00},
        {RTP_PCMU, 8, 0xfe},      {RTP_PCMU, -8, 0x7e},    {RTP_PCMU, 132, 0xef},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(law_octet(rows[i].law, rows[i].sample), rows[i].octet);
}

/* Whatever is sent comes out within half a step of what went in; every octet comes back itself. */
static void test_g711_round_trip(void **state)
{
    static const enum rtp_law laws[] = {RTP_PCMA, RTP_PCMU};

    (void)state;
    for (size_t l = 0; l < 2; l++) {
        for (int start = -32768; start <= 32767 - TICK; start += TICK) {
            struct rtp *sender = rtp_new(laws[l], 2), *receiver = rtp_new(laws[l], 2);
            int16_t in[TICK], out[TICK];
            uint8_t packet[200];

            for (int i = 0; i < TICK; i++)
                in[i] = (int16_t)(start + i);
            for (int n = 0; n < 3; n++) {
                int length = rtp_make(sender, in, packet, sizeof packet);

                assert_int_equal(rtp_receive(receiver, packet, (size_t)length), 0);
            }
            rtp_pull(receiver, out);
            rtp_pull(receiver, out);
            assert_int_equal(rtp_pull(receiver, out), TICK);
            for (int i = 0; i < TICK; i++)
                assert_true(abs(in[i] - out[i]) <= 16 + abs(in[i]) / 32);
            rtp_free(sender);
            rtp_free(receiver);
        }
    }
}

static void test_g711_every_octet(void **state)
{
    static const enum rtp_law laws[] = {RTP_PCMA, RTP_PCMU};

    (void)state;
    for (size_t l = 0; l < 2; l++) {
        for (int octet = 0; octet < 256; octet++) {
            struct rtp *rtp = rtp_new(laws[l], 2);
            struct far far = {.seq = 1, .samples = TICK, .type = (int)laws[l]};
            int16_t out[TICK];

            far_send(&far, rtp, (uint8_t)octet);
            for (int n = 0; n < 3; n++)
                rtp_pull(rtp, out);
            if (laws[l] == RTP_PCMU && octet == 0x7f) /* minus nothing */
                assert_int_equal(law_octet(laws[l], out[0]), 0xff);
            else
                assert_int_equal(law_octet(laws[l], out[0]), octet);
            rtp_free(rtp);
        }
    }
}

/* ---- order, loss, gaps ---------------------------------------------------------------------- */

/* Ticks arrive as numbered; 'x' in pulled: filled. */
struct order {
    const char *name;
    const char *arrivals; /* per tick: letters of the packets that arrive, '.' for none */
    const char *pulled;   /* per tick: letter heard, '-' for silence or filling */
    unsigned lost, late, repeated;
};

static const struct order orders[] = {
    {"in order", "a b c d e f", "--abcd", 0, 0, 0},
    {"one lost", "a b . d e f", "--ab-d", 1, 0, 0},
    {"swapped", "a b d c e f", "--abcd", 0, 0, 0},
    {"two late in time", "a . . abc d e", "--abcd", 0, 0, 1},
    {"too late", "a . c d e b", "--a-cd", 0, 1, 0},
    {"doubled", "aa bb cc dd ee ff", "--abcd", 0, 0, 6},
    {"bunched", "ab . cd . ef .", "--abcd", 0, 0, 0},
};

static void order_run(const struct order *order)
{
    struct rtp *rtp = rtp_new(RTP_PCMA, 2);
    const char *at = order->arrivals;
    struct rtp_counts counts;

    for (int t = 0; order->pulled[t] != '\0'; t++) {
        int16_t out[TICK];
        char heard;
        int real;

        for (; *at != ' ' && *at != '\0'; at++) {
            struct far far = {.seq = (uint16_t)(65533 + *at - 'a'),
                              .time = (uint32_t)-320 + (uint32_t)((*at - 'a') * TICK),
                              .ssrc = 1,
                              .samples = TICK,
                              .type = 8};

            if (*at != '.')
                far_send(&far, rtp, (uint8_t)*at);
        }
        at += *at == ' ';
        real = tick(rtp, out);
        assert_true(real == 0 || real == TICK);
        heard = real == 0 ? '-' : (char)law_octet(RTP_PCMA, out[0]);
        if (heard != order->pulled[t])
            fail_msg("%s: tick %d gave %c, not %c", order->name, t, heard, order->pulled[t]);
    }
    rtp_counts(rtp, &counts);
    if (counts.lost != order->lost || counts.late != order->late ||
        counts.repeated != order->repeated || counts.resyncs != 0)
        fail_msg("%s: lost %u late %u repeated %u", order->name, (unsigned)counts.lost,
                 (unsigned)counts.late, (unsigned)counts.repeated);
    rtp_free(rtp);
}

static void test_orders(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++)
        order_run(&orders[i]);
}

/* A lost tick repeats the last one, more softly each time, and is silent after 60 ms. */
static void test_fill_fades(void **state)
{
    struct rtp *rtp = rtp_new(RTP_PCMA, 2);
    struct far far = {.seq = 1, .samples = TICK, .type = 8};
    int16_t out[TICK], before = 32256;
    struct rtp_counts counts;

    (void)state;
    far_send(&far, rtp, 0xaa); /* the loudest */
    rtp_pull(rtp, out);
    rtp_pull(rtp, out);
    assert_int_equal(rtp_pull(rtp, out), TICK);
    for (int t = 0; t < 5; t++) {
        assert_int_equal(rtp_pull(rtp, out), 0);
        for (int i = 0; i < TICK; i++) {
            assert_true(out[i] >= 0 && out[i] <= before);
            before = out[i];
        }
        assert_true(t < 2 ? out[TICK - 1] > 0 : true);
        assert_true(t > 2 ? out[0] == 0 : out[0] > 0);
    }
    rtp_counts(rtp, &counts);
    assert_int_equal(counts.filled_samples, 5 * TICK); /* the lead-in is no loss */
    rtp_free(rtp);
}

static void test_packet_lengths(void **state)
{
    static const int lengths[] = {40, 80, 160, 240, 320, 480, 800};

    (void)state;
    for (size_t n = 0; n < sizeof lengths / sizeof lengths[0]; n++) {
        struct rtp *rtp = rtp_new(RTP_PCMU, 6);
        struct far far = {.time = 7, .samples = lengths[n]};
        int16_t out[TICK];
        struct rtp_counts counts;
        int due = 0;

        for (int t = 0; t < 500; t++) {
            for (due += TICK; due >= lengths[n]; due -= lengths[n])
                assert_int_equal(far_send(&far, rtp, (uint8_t)(far.seq & 1)), 0);
            tick(rtp, out);
        }
        rtp_counts(rtp, &counts);
        if (counts.filled_samples != 0 || counts.lost != 0)
            fail_msg("%d samples a packet: %d filled", lengths[n], (int)counts.filled_samples);
        rtp_free(rtp);
    }
}

/* ---- other streams -------------------------------------------------------------------------- */

/* Pulls `ticks` while far sends one packet each; gives the ticks that were wholly real. */
static int play(struct rtp *rtp, struct far *far, int ticks)
{
    int16_t out[TICK];
    int real = 0;

    for (int i = 0; i < ticks; i++) {
        far_send(far, rtp, 0x11);
        real += tick(rtp, out) == TICK;
    }
    return real;
}

static void test_new_streams(void **state)
{
    static const struct {
        const char *name;
        struct far next;
        unsigned resyncs;
    } cases[] = {
        {"new SSRC", {.seq = 500, .time = 99999, .ssrc = 2}, 1},
        {"new SSRC, numbers go on", {.seq = 200, .time = 32000, .ssrc = 2}, 1},
        {"jump of the numbers", {.seq = 40000, .time = 32000, .ssrc = 1}, 1},
        {"jump of the time", {.seq = 200, .time = 3000000, .ssrc = 1}, 1},
        {"jump back of the time", {.seq = 200, .time = 0x80000000u, .ssrc = 1}, 1},
        {"nothing new", {.seq = 200, .time = 32000, .ssrc = 1}, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rtp *rtp = rtp_new(RTP_PCMU, 2);
        struct far far = {.ssrc = 1, .samples = TICK};
        struct rtp_counts counts;

        assert_int_equal(play(rtp, &far, 200), 198);
        far = cases[i].next;
        far.samples = TICK;
        play(rtp, &far, 5);
        if (play(rtp, &far, 200) != 200)
            fail_msg("%s: not played", cases[i].name);
        rtp_counts(rtp, &counts);
        if (counts.resyncs != cases[i].resyncs)
            fail_msg("%s: %d resyncs", cases[i].name, (int)counts.resyncs);
        rtp_free(rtp);
    }
}

/* A stray packet of somebody else, and two streams at once, do not disturb the first. */
static void test_stray_packets(void **state)
{
    struct rtp *rtp = rtp_new(RTP_PCMU, 2);
    struct far far = {.ssrc = 1, .samples = TICK}, other = {.seq = 9, .ssrc = 2, .samples = TICK};
    struct rtp_counts counts;

    (void)state;
    play(rtp, &far, 10);
    for (int i = 0; i < 50; i++) {
        far_send(&other, rtp, 0x22);
        assert_int_equal(play(rtp, &far, 1), 1);
    }
    rtp_counts(rtp, &counts);
    assert_int_equal(counts.resyncs, 0);
    rtp_free(rtp);
}

/* The network becomes 100 ms slower for good: nothing is lost. */
static void test_slower_network(void **state)
{
    struct rtp *rtp = rtp_new(RTP_PCMU, 2);
    struct far far = {.ssrc = 1, .samples = TICK};
    int16_t out[TICK];
    struct rtp_counts counts;

    (void)state;
    play(rtp, &far, 100);
    for (int i = 0; i < 5; i++)
        tick(rtp, out);
    assert_int_equal(play(rtp, &far, 120), 120);
    rtp_counts(rtp, &counts);
    assert_int_equal(counts.filled_samples, 0);
    rtp_free(rtp);
}

/* The far side stood still in the middle of a carrier, and what it had to send comes at once: all
 * of it is heard, and the delay is what it was. */
static void test_far_side_late(void **state)
{
    (void)state;
    for (int late = 1; late <= 40; late++) {
        struct rtp *rtp = rtp_new(RTP_PCMU, 3);
        struct far far = {.ssrc = 1, .samples = TICK};
        int16_t out[TICK];
        struct rtp_counts counts;
        int real = 0;

        play(rtp, &far, 100);
        for (int i = 0; i < late; i++)
            real += tick(rtp, out);
        for (int i = 0; i < late; i++)
            far_send(&far, rtp, 0x11);
        for (int i = 0; i < 100; i++) {
            far_send(&far, rtp, 0x11);
            real += tick(rtp, out);
        }
        rtp_counts(rtp, &counts);
        if (real != (100 + late) * TICK || counts.filled_samples != 0 || counts.late != 0 ||
            counts.resyncs != 0 || counts.held_ticks != counts.hastened_ticks)
            fail_msg("%d ticks late: %d real, %d filled, %d late, held %d, hastened %d", late,
                     real / TICK, (int)counts.filled_samples, (int)counts.late,
                     (int)counts.held_ticks, (int)counts.hastened_ticks);
        rtp_free(rtp);
    }
}

/* What was lost and is overtaken is filled in, as long as it was, and the delay is what it was. */
static void test_gap(void **state)
{
    (void)state;
    for (int gap = 1; gap <= 40; gap++) {
        struct rtp *rtp = rtp_new(RTP_PCMU, 3);
        struct far far = {.ssrc = 1, .samples = TICK};
        int16_t out[TICK];
        struct rtp_counts counts;
        int real;

        real = play(rtp, &far, 100);
        for (int i = 0; i < gap; i++) {
            far_next(&far);
            real += tick(rtp, out) / TICK;
        }
        for (int i = 0; i < 100; i++) {
            far_send(&far, rtp, 0x11);
            real += tick(rtp, out) / TICK;
        }
        rtp_counts(rtp, &counts);
        if (real != 197 || (int)counts.filled_samples != gap * TICK || (int)counts.lost != gap ||
            counts.held_ticks != counts.hastened_ticks)
            fail_msg("%d lost: %d real, %d filled, held %d, hastened %d", gap, real,
                     (int)counts.filled_samples / TICK, (int)counts.held_ticks,
                     (int)counts.hastened_ticks);
        rtp_free(rtp);
    }
}

/* Nobody waits for silence: senders may suppress it, and what it means must not come late. */
static void test_suppressed_silence(void **state)
{
    struct rtp *rtp = rtp_new(RTP_PCMA, 3);
    struct far far = {.samples = TICK, .type = 8};
    int16_t out[TICK];
    struct rtp_counts counts;

    (void)state;
    play(rtp, &far, 50);
    far_send(&far, rtp, 0xd5);
    tick(rtp, out);
    for (int i = 0; i < 500; i++) {
        far.time += TICK;
        assert_int_equal(rtp_due(rtp), 1);
        rtp_pull(rtp, out);
    }
    assert_int_equal(play(rtp, &far, 100), 97);
    rtp_counts(rtp, &counts);
    assert_int_equal(counts.held_ticks, 0);
    rtp_free(rtp);
}

/* A sender that says nothing for a while and goes on with its time stamps where it stopped. */
static void test_pause(void **state)
{
    struct rtp *rtp = rtp_new(RTP_PCMU, 2);
    struct far far = {.ssrc = 1, .samples = TICK};
    int16_t out[TICK];

    (void)state;
    play(rtp, &far, 100);
    for (int i = 0; i < 100; i++)
        tick(rtp, out);
    assert_int_equal(play(rtp, &far, 100), 98);
    rtp_free(rtp);
}

/* ---- clock skew ----------------------------------------------------------------------------- */

/* Ten minutes against a far clock that is off by so many parts in a million: not a sample is lost
 * or filled, we are faster or slower no more often than the clock makes needful, and the buffer
 * does not run away. */
static void test_skew(void **state)
{
    static const int ppm[] = {0, 50, -50, 200, -200, 1000, -1000};

    (void)state;
    for (size_t n = 0; n < sizeof ppm / sizeof ppm[0]; n++) {
        struct rtp *rtp = rtp_new(RTP_PCMA, 3);
        struct far far = {.samples = TICK, .type = 8};
        double due = 0;
        int16_t out[TICK];
        struct rtp_counts counts;
        int ticks = 30000, needed;

        for (int t = 0; t < ticks; t++) {
            for (due += 1 + ppm[n] / 1e6; due >= 1; due -= 1)
                far_send(&far, rtp, 0x33);
            tick(rtp, out);
        }
        rtp_counts(rtp, &counts);
        needed = (int)(fabs((double)ppm[n]) * ticks / 1e6);
        if (counts.late != 0 || counts.resyncs != 0 || counts.lost != 0 ||
            counts.filled_samples != 0 || (int)counts.held_ticks > (ppm[n] < 0 ? needed + 1 : 0) ||
            (int)counts.hastened_ticks > (ppm[n] > 0 ? needed + 1 : 0) ||
            (int)(counts.held_ticks + counts.hastened_ticks) < needed - 4)
            fail_msg("%d ppm: filled %d held %d hastened %d needed %d late %d", ppm[n],
                     (int)counts.filled_samples, (int)counts.held_ticks, (int)counts.hastened_ticks,
                     needed, (int)counts.late);
        rtp_free(rtp);
    }
}

/* Jitter of up to two packets within a buffer of four: not one sample is lost or filled. */
static void test_jitter(void **state)
{
    struct rtp *rtp = rtp_new(RTP_PCMA, 4);
    struct far far = {.samples = TICK, .type = 8};
    int16_t out[TICK];
    struct rtp_counts counts;
    int sent = 0;

    (void)state;
    srand(3);
    for (int t = 0; t < 20000; t++) {
        int may = t + 1 - rand() % 3;

        for (; sent < may || sent < 1; sent++)
            far_send(&far, rtp, 0x33);
        tick(rtp, out);
    }
    rtp_counts(rtp, &counts);
    assert_int_equal(counts.filled_samples, 0);
    assert_int_equal(counts.hastened_ticks, 0);
    assert_int_equal(counts.late, 0);
    rtp_free(rtp);
}

/* We were late: half a second came at once and is played at once, and nothing is lost of it or of
 * what follows; nothing is dropped later, either. */
static void test_late(void **state)
{
    struct rtp *rtp = rtp_new(RTP_PCMA, 3);
    struct far far = {.samples = TICK, .type = 8};
    int16_t out[TICK];
    struct rtp_counts counts;

    (void)state;
    play(rtp, &far, 100);
    for (int i = 0; i < 28; i++)
        far_send(&far, rtp, 0x33);
    for (int i = 0; i < 28; i++)
        assert_int_equal(tick(rtp, out), TICK);
    assert_int_equal(play(rtp, &far, 500), 500);
    rtp_counts(rtp, &counts);
    assert_int_equal(counts.filled_samples, 0);
    assert_int_equal(counts.hastened_ticks, 0);
    assert_int_equal(counts.resyncs, 0);
    rtp_free(rtp);
}

static void test_mutations(void **state)
{
    struct rtp *rtp = rtp_new(RTP_PCMA, 3);
    struct far far = {.samples = TICK, .type = 8};
    int16_t out[TICK];

    (void)state;
    srand(5);
    for (int n = 0; n < 20000; n++) {
        size_t length;
        uint8_t made[RTP_PACKET_MAX], *copy;

        far.samples = 40 + rand() % 400;
        length = far_make(made, &far, 0x44);
        far_next(&far);
        if (n % 2 == 0)
            length = (size_t)rand() % (length + 1);
        for (int flips = rand() % 4; flips > 0 && length > 0; flips--)
            made[(size_t)rand() % (length < 20 ? length : 20)] ^= (uint8_t)(1 << rand() % 8);
        copy = malloc(length + 1);
        memcpy(copy + 1, made, length);
        rtp_receive(rtp, copy + 1, length);
        free(copy);
        tick(rtp, out);
    }
    rtp_free(rtp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_sent_header),
        cmocka_unit_test(test_g711_values),
        cmocka_unit_test(test_g711_round_trip),
        cmocka_unit_test(test_g711_every_octet),
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_fill_fades),
        cmocka_unit_test(test_packet_lengths),
        cmocka_unit_test(test_new_streams),
        cmocka_unit_test(test_stray_packets),
        cmocka_unit_test(test_slower_network),
        cmocka_unit_test(test_far_side_late),
        cmocka_unit_test(test_gap),
        cmocka_unit_test(test_suppressed_silence),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_skew),
        cmocka_unit_test(test_jitter),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_mutations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
