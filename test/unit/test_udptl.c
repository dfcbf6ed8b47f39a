/* SPDX-License-Identifier: MIT */
/*
 * test_udptl.c - UDPTL packets octet by octet, and what comes out at the far end of a bad network.
 */
#include "fax/sip/udptl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

enum { GOT_MAX = 4096 };

/* What the handler was given. */
struct got {
    int count;
    uint16_t seq[GOT_MAX];
    size_t length[GOT_MAX];
    uint8_t first[GOT_MAX], last[GOT_MAX];
    uint8_t octets[UDPTL_IFP_MAX]; /* of the newest */
};

static void take(void *user, const uint8_t *ifp, size_t length, uint16_t seq)
{
    struct got *got = user;

    assert_true(got->count < GOT_MAX);
    assert_true(length > 0 && length <= UDPTL_IFP_MAX);
    got->seq[got->count] = seq;
    got->length[got->count] = length;
    got->first[got->count] = ifp[0];
    got->last[got->count] = ifp[length - 1];
    memcpy(got->octets, ifp, length);
    got->count++;
}

static int hex(uint8_t *out, const char *text)
{
    int length = 0;

    for (; *text != '\0'; text += 2) {
        char pair[3];

        while (*text == ' ')
            text++;
        pair[0] = text[0];
        pair[1] = text[1];
        pair[2] = '\0';
        out[length++] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return length;
}

/* ---- octets --------------------------------------------------------------------------------- */

struct vector {
    const char *name, *packet;
    int expected;     /* count handed on, or an error */
    const char *seqs; /* of those handed on, each as "n:first octet" */
};

static const struct vector vectors[] = {
    {"primary alone, empty list", "0000 02 aabb 00 00", 1, "0:aa"},
    {"no error-recovery at all", "0000 02 aabb", 1, "0:aa"},
    {"one secondary of a number before", "0001 01 bb 00 01 01 aa", 2, "0:aa 1:bb"},
    {"secondaries newest first", "0003 01 dd 00 03 01cc 01bb 01aa", 4, "0:aa 1:bb 2:cc 3:dd"},
    {"an empty secondary is skipped", "0002 01 cc 00 02 00 01aa", 2, "0:aa 2:cc"},
    {"numbers before 0 do not exist", "0000 01 aa 00 02 01ee 01ff", 1, "0:aa"},
    {"octets behind the end", "0000 01 aa 00 00 ffff", 1, "0:aa"},
    {"a long length", "0000 8002 aabb 00 00", 1, "0:aa"},
    {"no FEC entries", "0000 01 aa 80 01 00 00", 1, "0:aa"},
    {"FEC of a span of 1 gives the lost one", "0001 01 bb 80 01 01 01 01 aa", 2, "0:aa 1:bb"},
    {"FEC, span of two octets", "0001 01 bb 80 02 0001 01 01 aa", 2, "0:aa 1:bb"},
    {"FEC whose span has two gaps gives nothing", "0002 01 cc 80 01 02 01 01 aa", 1, "2:cc"},
    {"FEC with an absurd span", "0001 01 bb 80 01 ff 01 01 aa", 1, "1:bb"},
    {"nothing", "", ERROR_FORMAT, ""},
    {"one octet", "00", ERROR_FORMAT, ""},
    {"number alone", "0000", ERROR_FORMAT, ""},
    {"no octets in the primary", "0000 00 00 00", ERROR_FORMAT, ""},
    {"primary longer than the packet", "0000 03 aabb", ERROR_FORMAT, ""},
    {"half a long length", "0000 80", ERROR_FORMAT, ""},
    {"a fragment", "0000 c1 aabb 00 00", ERROR_LIMIT, ""},
    {"longer than an IFP packet may be", "0000 9000", ERROR_FORMAT, ""},
    {"the list lacks its count", "0000 01 aa 00", ERROR_FORMAT, ""},
    {"the list lacks an entry", "0000 01 aa 00 02 01bb", ERROR_FORMAT, ""},
    {"FEC without a span", "0000 01 aa 80", ERROR_FORMAT, ""},
    {"FEC, span without octets", "0000 01 aa 80 00 00", ERROR_LIMIT, ""},
    {"FEC, span above 255", "0000 01 aa 80 02 0100 00", ERROR_LIMIT, ""},
    {"FEC lacks its entries", "0000 01 aa 80 01 03 02 01bb", ERROR_FORMAT, ""},
};

static void test_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct udptl *udptl = udptl_new(UDPTL_NONE, 0, 0);
        struct got got = {0};
        uint8_t octets[64], *packet;
        char seqs[64] = "";
        int length = hex(octets, vectors[i].packet), result;

        /* a copy of the right size, so that a sanitizer sees a read beyond it */
        assert_non_null(packet = malloc((size_t)length + 1));
        memcpy(packet + 1, octets, (size_t)length);
        result = udptl_receive(udptl, packet + 1, (size_t)length, take, &got);
        for (int n = 0; n < got.count; n++)
            snprintf(seqs + strlen(seqs), sizeof seqs - strlen(seqs), "%s%d:%02x", n > 0 ? " " : "",
                     got.seq[n], got.first[n]);
        if (result != vectors[i].expected || strcmp(seqs, vectors[i].seqs) != 0)
            fail_msg("%s: gave %d and \"%s\", not %d and \"%s\"", vectors[i].name, result, seqs,
                     vectors[i].expected, vectors[i].seqs);
        free(packet);
        udptl_free(udptl);
    }
}

static void test_too_long_is_refused(void **state)
{
    struct udptl *udptl = udptl_new(UDPTL_NONE, 0, 0);
    struct got got = {0};
    uint8_t packet[UDPTL_PACKET_MAX + 1] = {0, 0, 0x84, 0x01}; /* 1025 octets */
    struct udptl_counts counts;

    (void)state;
    assert_int_equal(udptl_receive(udptl, packet, 1200, take, &got), ERROR_LIMIT);
    packet[2] = 1;
    assert_int_equal(udptl_receive(udptl, packet, sizeof packet, take, &got), ERROR_LIMIT);
    udptl_counts(udptl, &counts);
    assert_int_equal(counts.malformed, 2);
    assert_int_equal(got.count, 0);
    udptl_free(udptl);
}

/* A fresh sender's packets around IFP packets of one octet: 01, 02, 03 … */
struct made {
    enum udptl_correction correction;
    int entries, number; /* of the packet looked at, from 0 */
    const char *expected;
};

static const struct made mades[] = {
    {UDPTL_NONE, 3, 0, "0000 01 01 00 00"},
    {UDPTL_NONE, 3, 4, "0004 01 05 00 00"},
    {UDPTL_REDUNDANCY, 2, 0, "0000 01 01 00 00"},
    {UDPTL_REDUNDANCY, 2, 1, "0001 01 02 00 01 01 01"},
    {UDPTL_REDUNDANCY, 2, 5, "0005 01 06 00 02 01 05 01 04"},
    {UDPTL_FEC, 1, 0, "0000 01 01 80 01 00 00"},
    {UDPTL_FEC, 1, 2, "0002 01 03 80 01 00 00"},
    {UDPTL_FEC, 1, 3, "0003 01 04 80 01 03 01 01 00"},       /* 1^2^3 */
    {UDPTL_FEC, 1, 4, "0004 01 05 80 01 03 01 01 05"},       /* 2^3^4 */
    {UDPTL_FEC, 2, 6, "0006 01 07 80 01 03 02 01 07 01 00"}, /* 1^3^5, 2^4^6 */
};

static void test_sent_octets(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mades / sizeof mades[0]; i++) {
        struct udptl *udptl = udptl_new(mades[i].correction, mades[i].entries, 0);
        uint8_t expected[64], packet[UDPTL_PACKET_MAX];
        int expected_length = hex(expected, mades[i].expected), length = 0;

        for (int n = 0; n <= mades[i].number; n++) {
            uint8_t ifp = (uint8_t)(n + 1);

            length = udptl_send(udptl, &ifp, 1, packet, sizeof packet);
        }
        assert_int_equal(length, expected_length);
        assert_memory_equal(packet, expected, (size_t)length);
        udptl_free(udptl);
    }
}

static void test_long_packets_both_ways(void **state)
{
    static const size_t lengths[] = {1, 126, 127, 128, 129, 300, 1023, 1024};
    struct udptl *sender = udptl_new(UDPTL_REDUNDANCY, 3, 0);
    struct udptl *receiver = udptl_new(UDPTL_NONE, 0, 0);
    struct got got = {0};
    uint8_t ifp[UDPTL_IFP_MAX + 1], packet[UDPTL_PACKET_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof ifp; i++)
        ifp[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        int length = udptl_send(sender, ifp, lengths[i], packet, sizeof packet);

        assert_true(length > (int)lengths[i]);
        assert_int_equal(udptl_receive(receiver, packet, (size_t)length, take, &got), 1);
        assert_int_equal(got.length[i], lengths[i]);
        assert_memory_equal(got.octets, ifp, lengths[i]);
    }
    assert_int_equal(udptl_send(sender, ifp, sizeof ifp, packet, sizeof packet), ERROR_LIMIT);
    assert_int_equal(udptl_send(sender, ifp, 0, packet, sizeof packet), ERROR_FORMAT);
    udptl_free(sender);
    udptl_free(receiver);
}

/* T38FaxMaxDatagram: the repeated packets give way, the primary never. */
static void test_datagram_limit(void **state)
{
    static const enum udptl_correction corrections[] = {UDPTL_REDUNDANCY, UDPTL_FEC};
    uint8_t ifp[200] = {1}, packet[UDPTL_PACKET_MAX];

    (void)state;
    for (size_t c = 0; c < 2; c++) {
        for (int limit = 1; limit < 400; limit++) {
            struct udptl *udptl = udptl_new(corrections[c], 4, limit);

            for (int n = 0; n < 20; n++) {
                int length = udptl_send(udptl, ifp, 60, packet, sizeof packet);

                assert_true(length == ERROR_LIMIT || (length >= 65 && length <= limit));
                assert_true((length == ERROR_LIMIT) == (limit < 65));
            }
            /* and the caller's own room is one as well */
            assert_int_equal(udptl_send(udptl, ifp, 60, packet, 64), ERROR_LIMIT);
            udptl_free(udptl);
        }
    }
}

/* ---- sequences ------------------------------------------------------------------------------ */

static int receive_bare(struct udptl *udptl, int seq, struct got *got)
{
    uint8_t packet[] = {(uint8_t)(seq >> 8), (uint8_t)seq, 1, (uint8_t)seq, 0, 0};

    return udptl_receive(udptl, packet, sizeof packet, take, got);
}

static void test_sequence(void **state)
{
    static const struct {
        int seq, expected;
        const char *name;
    } steps[] = {
        {65533, 1, "begins anywhere"},
        {65533, 0, "repeat"},
        {65535, 1, "one lost"},
        {65534, 0, "late"},
        {0, 1, "wraps"},
        {65535, 0, "late across the wrap"},
        {1999, 1, "a long gap"},
        {0, 0, "long late"},
        {30000, 1, "a jump begins anew"},
        {30001, 1, "and goes on"},
        {5, 1, "a jump back as well"},
        {6, 1, "and goes on from there"},
    };
    struct udptl *udptl = udptl_new(UDPTL_NONE, 0, 0);
    struct got got = {0};
    struct udptl_counts counts;

    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (receive_bare(udptl, steps[i].seq, &got) != steps[i].expected)
            fail_msg("%s", steps[i].name);
    udptl_counts(udptl, &counts);
    assert_int_equal(counts.received, 8);
    assert_int_equal(counts.repeated, 4);
    assert_int_equal(counts.lost, 1 + 1998);
    assert_int_equal(counts.recovered, 0);
    udptl_free(udptl);
}

/* ---- bad networks --------------------------------------------------------------------------- */

struct network {
    const char *name;
    enum udptl_correction correction;
    int entries, loss, twice, reorder; /* of 1000 */
    int most_missing;                  /* of 1000 */
};

static const struct network networks[] = {
    {"clean", UDPTL_NONE, 0, 0, 0, 0, 0},
    {"twice", UDPTL_NONE, 0, 0, 300, 0, 0},
    {"loss alone", UDPTL_NONE, 0, 50, 0, 0, 80},
    {"redundancy 1", UDPTL_REDUNDANCY, 1, 50, 50, 0, 8},
    {"redundancy 3", UDPTL_REDUNDANCY, 3, 50, 50, 50, 1},
    {"redundancy 15", UDPTL_REDUNDANCY, 15, 300, 50, 50, 0},
    {"FEC 1", UDPTL_FEC, 1, 50, 50, 0, 15},
    {"FEC 3", UDPTL_FEC, 3, 50, 50, 50, 8},
    {"FEC 15", UDPTL_FEC, 15, 50, 50, 50, 8},
};

/* IFP packet n: its length and every octet follow from n; never ends in 0, so that what FEC pads
 * is seen. */
static size_t ifp_make(uint8_t *out, int n)
{
    size_t length = 5 + (size_t)(n * 7919 % 60);

    for (size_t i = 0; i < length; i++)
        out[i] = (uint8_t)(1 + (n * 31 + (int)i * 17) % 255);
    return length;
}

struct far {
    int last, count;
    bool fec;
};

static void far_take(void *user, const uint8_t *ifp, size_t length, uint16_t seq)
{
    struct far *far = user;
    uint8_t expected[UDPTL_IFP_MAX] = {0};
    size_t expected_length = ifp_make(expected, seq);

    assert_true(seq > far->last); /* oldest first, each once */
    assert_true(far->fec ? length >= expected_length : length == expected_length);
    assert_memory_equal(ifp, expected, length); /* with zeros behind the end */
    far->last = seq;
    far->count++;
}

static void network_run(const struct network *network, unsigned seed)
{
    enum { PACKETS = 4000, HELD = 3 };
    struct udptl *sender = udptl_new(network->correction, network->entries, 0);
    struct udptl *receiver = udptl_new(UDPTL_NONE, 0, 0);
    struct far far = {.last = -1, .fec = network->correction == UDPTL_FEC};
    uint8_t held[UDPTL_PACKET_MAX];
    int held_length = 0, held_for = 0;
    struct udptl_counts counts;

    srand(seed);
    for (int n = 0; n < PACKETS; n++) {
        uint8_t ifp[UDPTL_IFP_MAX], packet[UDPTL_PACKET_MAX];
        size_t ifp_length = ifp_make(ifp, n);
        int length = udptl_send(sender, ifp, ifp_length, packet, sizeof packet);

        assert_true(length > 0);
        if (held_length > 0 && --held_for == 0) {
            assert_true(udptl_receive(receiver, held, (size_t)held_length, far_take, &far) >= 0);
            held_length = 0;
        }
        if (n < PACKETS - 1 && rand() % 1000 < network->loss)
            continue;
        if (held_length == 0 && rand() % 1000 < network->reorder) {
            memcpy(held, packet, (size_t)length);
            held_length = length;
            held_for = 1 + rand() % HELD;
            continue;
        }
        for (int copies = rand() % 1000 < network->twice ? 2 : 1; copies > 0; copies--)
            assert_true(udptl_receive(receiver, packet, (size_t)length, far_take, &far) >= 0);
    }
    udptl_counts(receiver, &counts);
    if (far.count < PACKETS - PACKETS * network->most_missing / 1000 - (held_length > 0))
        fail_msg("%s: %d of %d packets arrived", network->name, far.count, PACKETS);
    if (network->correction != UDPTL_NONE)
        assert_true(counts.recovered > 0);
    assert_int_equal(counts.received + counts.recovered, far.count);
    assert_int_equal(counts.malformed, 0);
    udptl_free(sender);
    udptl_free(receiver);
}

static void test_networks(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++)
        for (unsigned seed = 1; seed <= 5; seed++)
            network_run(&networks[i], seed);
}

/* FEC with n entries mends a burst of n lost packets from the one packet behind it. */
static void test_fec_burst(void **state)
{
    (void)state;
    for (int entries = 1; entries <= UDPTL_ENTRIES_MAX; entries++) {
        struct udptl *sender = udptl_new(UDPTL_FEC, entries, 0);
        struct udptl *receiver = udptl_new(UDPTL_NONE, 0, 0);
        struct far far = {.last = -1, .fec = true};

        for (int n = 0; n < 200; n++) {
            uint8_t ifp[UDPTL_IFP_MAX], packet[UDPTL_PACKET_MAX];
            size_t ifp_length = ifp_make(ifp, n);
            int length = udptl_send(sender, ifp, ifp_length, packet, sizeof packet);

            if (n >= 100 && n < 100 + entries)
                continue;
            udptl_receive(receiver, packet, (size_t)length, far_take, &far);
        }
        assert_int_equal(far.count, 200);
        udptl_free(sender);
        udptl_free(receiver);
    }
}

/* Every truncation, and many mutations, of real packets: no crash, no wild read (sanitizer). */
static void test_mutations(void **state)
{
    static const enum udptl_correction corrections[] = {UDPTL_REDUNDANCY, UDPTL_FEC};

    (void)state;
    srand(7);
    for (size_t c = 0; c < 2; c++) {
        struct udptl *sender = udptl_new(corrections[c], 3, 0);
        struct udptl *receiver = udptl_new(UDPTL_NONE, 0, 0);
        struct got *got = calloc(1, sizeof *got);

        for (int n = 0; n < 200; n++) {
            uint8_t ifp[UDPTL_IFP_MAX], packet[UDPTL_PACKET_MAX];
            size_t ifp_length = ifp_make(ifp, n);
            int length = udptl_send(sender, ifp, ifp_length, packet, sizeof packet);

            for (int cut = 0; cut < length; cut++) {
                uint8_t *copy = malloc((size_t)cut + 1);

                memcpy(copy + 1, packet, (size_t)cut);
                got->count = 0;
                udptl_receive(receiver, copy + 1, (size_t)cut, take, got);
                free(copy);
            }
            for (int round = 0; round < 100; round++) {
                uint8_t *copy = malloc((size_t)length);

                memcpy(copy, packet, (size_t)length);
                for (int flips = 1 + rand() % 4; flips > 0; flips--)
                    copy[rand() % length] ^= (uint8_t)(1 << rand() % 8);
                got->count = 0;
                udptl_receive(receiver, copy, (size_t)length, take, got);
                free(copy);
            }
        }
        free(got);
        udptl_free(sender);
        udptl_free(receiver);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),        cmocka_unit_test(test_too_long_is_refused),
        cmocka_unit_test(test_sent_octets),    cmocka_unit_test(test_long_packets_both_ways),
        cmocka_unit_test(test_datagram_limit), cmocka_unit_test(test_sequence),
        cmocka_unit_test(test_networks),       cmocka_unit_test(test_fec_burst),
        cmocka_unit_test(test_mutations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
