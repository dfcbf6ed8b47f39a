/* SPDX-License-Identifier: MIT */
/*
 * test_sdp.c - descriptions as gateways send them, and our answers and offers to the letter.
 */
#include "fax/sip/sdp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

#define HEAD  "v=0\r\no=- 77 3 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
#define AUDIO "m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\n"
#define IMAGE "m=image 4002 udptl t38\r\n"

/* ---- reading -------------------------------------------------------------------------------- */

/* Each offer is described in one line: of every medium its kind, port, address; then the choice
 * with and without T.38. */
struct reading {
    const char *name, *text, *expected;
};

static const struct reading readings[] = {
    {"audio", HEAD AUDIO, "audio:4000@192.0.2.1 AU; 0 0"},
    {"T.38", HEAD IMAGE, "t38:4002@192.0.2.1; 0 -1"},
    {"audio and T.38", HEAD AUDIO IMAGE, "audio:4000@192.0.2.1 AU; t38:4002@192.0.2.1; 1 0"},
    {"T.38 and audio", HEAD IMAGE AUDIO, "t38:4002@192.0.2.1; audio:4000@192.0.2.1 AU; 0 1"},
    {"T.38 with port 0", HEAD AUDIO "m=image 0 udptl t38\r\n",
     "audio:4000@192.0.2.1 AU; t38:0@192.0.2.1; 0 0"},
    {"all ports 0", HEAD "m=audio 0 RTP/AVP 8\r\n", "audio:0@192.0.2.1 A; -1 -1"},
    {"UDPTL and T38 in capitals", HEAD "m=IMAGE 4002 UDPTL T38\r\n", "t38:4002@192.0.2.1; 0 -1"},
    {"T.38 over TCP", HEAD "m=image 4002 tcp t38\r\n", "nothing:4002@192.0.2.1; -1 -1"},
    {"T.38 over RTP", HEAD "m=audio 4002 RTP/AVP 98\r\na=rtpmap:98 t38/8000\r\n",
     "nothing:4002@192.0.2.1; -1 -1"},
    {"an image that is no fax", HEAD "m=image 4002 udptl jpeg\r\n",
     "nothing:4002@192.0.2.1; -1 -1"},
    {"u-law first", HEAD "m=audio 4000 RTP/AVP 18 0 8\r\n", "audio:4000@192.0.2.1 UA; 0 0"},
    {"A-law alone", HEAD "m=audio 4000 RTP/AVP 8\r\n", "audio:4000@192.0.2.1 A; 0 0"},
    {"u-law alone", HEAD "m=audio 4000 RTP/AVP 0 101\r\n", "audio:4000@192.0.2.1 U; 0 0"},
    {"no G.711", HEAD "m=audio 4000 RTP/AVP 18 101\r\n", "nothing:4000@192.0.2.1; -1 -1"},
    {"80 and 108 are not 8 and 0", HEAD "m=audio 4000 RTP/AVP 80 108\r\n",
     "nothing:4000@192.0.2.1; -1 -1"},
    {"SRTP", HEAD "m=audio 4000 RTP/SAVP 8\r\n", "nothing:4000@192.0.2.1; -1 -1"},
    {"c= of the medium", HEAD AUDIO "c=IN IP4 198.51.100.7\r\n" IMAGE,
     "audio:4000@198.51.100.7 AU; t38:4002@192.0.2.1; 1 0"},
    {"c= of the media alone", "v=0\r\ns=-\r\n" IMAGE "c=IN IP4 198.51.100.7\r\n",
     "t38:4002@198.51.100.7; 0 -1"},
    {"no c= at all", "v=0\r\n" IMAGE, "nothing:4002@; -1 -1"},
    {"IPv6", "v=0\r\nc=IN IP6 2001:db8::1\r\n" IMAGE, "t38:4002@2001:db8::1; 0 -1"},
    {"multicast with TTL", "v=0\r\nc=IN IP4 233.252.0.1/127\r\n" AUDIO,
     "audio:4000@233.252.0.1 AU; 0 0"},
    {"a host name", "v=0\r\nc=IN IP4 gw.example.com\r\n" AUDIO, "nothing:4000@; -1 -1"},
    {"bad address", "v=0\r\nc=IN IP4 192.0.2.1;x\r\n" AUDIO, "nothing:4000@; -1 -1"},
    {"bare LF",
     "v=0\nc=IN IP4 192.0.2.1\n"
     "m=audio 4000 RTP/AVP 8\n",
     "audio:4000@192.0.2.1 A; 0 0"},
    {"no line end", "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 8",
     "audio:4000@192.0.2.1 A; 0 0"},
    {"number of ports", HEAD "m=audio 4000/2 RTP/AVP 8\r\n", "audio:4000@192.0.2.1 A; 0 0"},
    {"double blanks", HEAD "m=audio  4000  RTP/AVP  8  0 \r\n", "audio:4000@192.0.2.1 AU; 0 0"},
    {"video besides", HEAD "m=video 5000 RTP/AVP 31\r\n" AUDIO,
     "nothing:5000@192.0.2.1; audio:4000@192.0.2.1 AU; 1 1"},
};

static void describe(char *out, size_t size, const struct sdp *sdp)
{
    size_t used = 0;

    for (int i = 0; i < sdp->count; i++) {
        const struct sdp_media *media = &sdp->media[i];

        used += (size_t)snprintf(out + used, size - used, "%s:%u@%s%s; ",
                                 media->kind == SDP_T38     ? "t38"
                                 : media->kind == SDP_AUDIO ? "audio"
                                                            : "nothing",
                                 media->port, media->address,
                                 media->kind != SDP_AUDIO     ? ""
                                 : media->alaw && media->ulaw ? (media->alaw_first ? " AU" : " UA")
                                                              : (media->alaw ? " A" : " U"));
    }
    snprintf(out + used, size - used, "%d %d", sdp_choose(sdp, true), sdp_choose(sdp, false));
}

static void test_readings(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof readings / sizeof readings[0]; i++) {
        struct sdp sdp;
        char text[512];
        int error = sdp_parse(&sdp, readings[i].text, strlen(readings[i].text));

        if (error != 0)
            fail_msg("%s: %s", readings[i].name, error_text(error));
        describe(text, sizeof text, &sdp);
        if (strcmp(text, readings[i].expected) != 0)
            fail_msg("%s: \"%s\", not \"%s\"", readings[i].name, text, readings[i].expected);
    }
}

static const struct {
    const char *name, *text;
    int expected;
} refusals[] = {
    {"empty", "", ERROR_FORMAT},
    {"line ends alone", "\r\n\r\n", ERROR_FORMAT},
    {"no media", HEAD, ERROR_FORMAT},
    {"no version", "m=audio 4000 RTP/AVP 8\r\n", ERROR_FORMAT},
    {"not SDP", "<html>\r\n", ERROR_FORMAT},
    {"a line without =", HEAD "hello\r\n" AUDIO, ERROR_FORMAT},
    {"no port", HEAD "m=audio RTP/AVP 8\r\n", ERROR_FORMAT},
    {"port too high", HEAD "m=audio 65536 RTP/AVP 8\r\n", ERROR_FORMAT},
    {"port far too high", HEAD "m=audio 99999999999999999999999 RTP/AVP 8\r\n", ERROR_FORMAT},
    {"negative port", HEAD "m=audio -1 RTP/AVP 8\r\n", ERROR_FORMAT},
    {"no formats", HEAD "m=audio 4000 RTP/AVP\r\n", ERROR_FORMAT},
    {"nothing after m=", HEAD "m=\r\n", ERROR_FORMAT},
    {"nine media", HEAD AUDIO AUDIO AUDIO AUDIO AUDIO AUDIO AUDIO AUDIO AUDIO, ERROR_LIMIT},
};

static void test_refusals(void **state)
{
    char *big = calloc(1, SDP_TEXT_MAX + 2);
    struct sdp sdp;

    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        if (sdp_parse(&sdp, refusals[i].text, strlen(refusals[i].text)) != refusals[i].expected)
            fail_msg("%s", refusals[i].name);
    memset(big, 'a', SDP_TEXT_MAX + 1);
    memcpy(big, HEAD AUDIO "a=", strlen(HEAD AUDIO "a="));
    assert_int_equal(sdp_parse(&sdp, big, SDP_TEXT_MAX + 1), ERROR_LIMIT);
    assert_int_equal(sdp_parse(&sdp, big, SDP_TEXT_MAX), 0);
    free(big);
}

static void test_origin_and_ptime(void **state)
{
    static const char text[] = HEAD AUDIO "a=ptime:30\r\n" AUDIO;
    struct sdp sdp;

    (void)state;
    assert_int_equal(sdp_parse(&sdp, text, strlen(text)), 0);
    assert_int_equal(sdp.origin_id, 77);
    assert_int_equal(sdp.origin_version, 3);
    assert_int_equal(sdp.media[0].ptime_ms, 30);
    assert_int_equal(sdp.media[1].ptime_ms, 20);
    assert_string_equal(sdp.media[0].formats, "8 0 101");
}

/* ---- T.38 attributes ------------------------------------------------------------------------ */

#define T38_DEFAULT .max_bit_rate = 14400, .correction = UDPTL_REDUNDANCY

static const struct {
    const char *name, *lines;
    struct sdp_t38 expected;
} attributes[] = {
    {"none given", "", {T38_DEFAULT}},
    {"as the standard has it",
     "a=T38FaxVersion:3\r\na=T38MaxBitRate:9600\r\na=T38FaxFillBitRemoval\r\n"
     "a=T38FaxTranscodingMMR\r\na=T38FaxTranscodingJBIG\r\n"
     "a=T38FaxRateManagement:transferredTCF\r\na=T38FaxMaxBuffer:1800\r\n"
     "a=T38FaxMaxDatagram:400\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n",
     {3, 9600, true, true, true, false, 1800, 400, UDPTL_REDUNDANCY}},
    {"flags with :0", "a=T38FaxFillBitRemoval:0\r\na=T38FaxTranscodingMMR:0\r\n", {T38_DEFAULT}},
    {"flags with :1", "a=T38FaxFillBitRemoval:1\r\n", {T38_DEFAULT, .fill_bit_removal = true}},
    {"flags with : 0", "a=T38FaxFillBitRemoval: 0\r\n", {T38_DEFAULT}},
    {"localTCF", "a=T38FaxRateManagement:localTCF\r\n", {T38_DEFAULT, .local_tcf = true}},
    {"FEC", "a=T38FaxUdpEC:t38UDPFEC\r\n", {.max_bit_rate = 14400, .correction = UDPTL_FEC}},
    {"NoEC", "a=T38FaxUdpEC:t38UDPNoEC\r\n", {.max_bit_rate = 14400, .correction = UDPTL_NONE}},
    {"case", "a=t38faxudpec:T38UDPFEC\r\n", {.max_bit_rate = 14400, .correction = UDPTL_FEC}},
    {"unknown EC", "a=T38FaxUdpEC:t38UDPMagic\r\n", {T38_DEFAULT}},
    {"old spelling",
     "a=T38FaxMaxBitRate:7200\r\n",
     {.max_bit_rate = 7200, .correction = UDPTL_REDUNDANCY}},
    {"blank behind the colon", "a=T38FaxVersion: 2\r\n", {T38_DEFAULT, .version = 2}},
    {"version of the future", "a=T38FaxVersion:99\r\n", {T38_DEFAULT, .version = 3}},
    {"numbers that are none",
     "a=T38FaxVersion:x\r\na=T38MaxBitRate\r\na=T38FaxMaxDatagram:\r\n",
     {T38_DEFAULT}},
    {"numbers far too large",
     "a=T38FaxMaxDatagram:99999999999999999999\r\n",
     {T38_DEFAULT, .max_datagram = 65535}},
};

static void assert_t38(const char *name, const struct sdp_t38 *t38, const struct sdp_t38 *expected)
{
    if (t38->version != expected->version || t38->max_bit_rate != expected->max_bit_rate ||
        t38->fill_bit_removal != expected->fill_bit_removal ||
        t38->transcoding_mmr != expected->transcoding_mmr ||
        t38->transcoding_jbig != expected->transcoding_jbig ||
        t38->local_tcf != expected->local_tcf || t38->max_buffer != expected->max_buffer ||
        t38->max_datagram != expected->max_datagram || t38->correction != expected->correction)
        fail_msg("%s", name);
}

/* The same attributes below the m= line, and above it, where some gateways put them. */
static void test_attributes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
        char text[SDP_TEXT_MAX];
        struct sdp sdp;

        snprintf(text, sizeof text, "%s%s%s", HEAD IMAGE, attributes[i].lines, AUDIO);
        assert_int_equal(sdp_parse(&sdp, text, strlen(text)), 0);
        assert_t38(attributes[i].name, &sdp.media[0].t38, &attributes[i].expected);
        snprintf(text, sizeof text, "%s%s%s", HEAD, attributes[i].lines, IMAGE);
        assert_int_equal(sdp_parse(&sdp, text, strlen(text)), 0);
        assert_t38(attributes[i].name, &sdp.media[0].t38, &attributes[i].expected);
    }
}

static void test_t38_answers(void **state)
{
    static const struct {
        const char *name;
        struct sdp_t38 offer, expected;
    } rows[] = {
        {"version 0",
         {0, 14400, .correction = UDPTL_REDUNDANCY},
         {0, 14400, .max_buffer = 2000, .max_datagram = 1400, .correction = UDPTL_REDUNDANCY}},
        {"version 3, FEC, V.34",
         {3, 33600, .correction = UDPTL_FEC},
         {3, 14400, .max_buffer = 2000, .max_datagram = 1400, .correction = UDPTL_FEC}},
        {"slow, none, all extras",
         {1, 9600, true, true, true, true, 100, 72, UDPTL_NONE},
         {1, 9600, .local_tcf = true, .max_buffer = 2000, .max_datagram = 1400,
          .correction = UDPTL_NONE}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sdp_t38 answer;

        sdp_t38_answer(&answer, &rows[i].offer);
        assert_t38(rows[i].name, &answer, &rows[i].expected);
    }
}

/* ---- writing -------------------------------------------------------------------------------- */

static struct sdp parse(const char *text)
{
    struct sdp sdp;

    assert_int_equal(sdp_parse(&sdp, text, strlen(text)), 0);
    return sdp;
}

static void test_answer_audio(void **state)
{
    struct sdp offer = parse(HEAD "m=video 5000 RTP/AVP 31 34\r\n" AUDIO);
    struct sdp_local local = {
        .address = "192.0.2.9", .port = 20000, .session_id = 5, .version = 1, .law = RTP_PCMA};
    char text[SDP_TEXT_MAX];
    int length = sdp_answer(text, sizeof text, &offer, sdp_choose(&offer, true), &local);

    (void)state;
    assert_string_equal(text, "v=0\r\no=- 5 1 IN IP4 192.0.2.9\r\ns=fax\r\n"
                              "c=IN IP4 192.0.2.9\r\nt=0 0\r\n"
                              "m=video 0 RTP/AVP 31 34\r\n"
                              "m=audio 20000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\n"
                              "a=silenceSupp:off - - - -\r\na=sendrecv\r\n");
    assert_int_equal(length, (int)strlen(text));
}

static void test_answer_t38(void **state)
{
    struct sdp offer = parse(HEAD AUDIO "m=image 4002 UDPTL t38\r\na=T38FaxVersion:2\r\n"
                                        "a=T38FaxUdpEC:t38UDPFEC\r\n");
    struct sdp_local local = {
        .address = "2001:db8::9", .port = 20002, .session_id = 5, .version = 2};
    char text[SDP_TEXT_MAX];

    (void)state;
    sdp_t38_answer(&local.t38, &offer.media[1].t38);
    assert_true(sdp_answer(text, sizeof text, &offer, 1, &local) > 0);
    assert_string_equal(text, "v=0\r\no=- 5 2 IN IP6 2001:db8::9\r\ns=fax\r\n"
                              "c=IN IP6 2001:db8::9\r\nt=0 0\r\n"
                              "m=audio 0 RTP/AVP 8 0 101\r\n"
                              "m=image 20002 UDPTL t38\r\na=T38FaxVersion:2\r\n"
                              "a=T38MaxBitRate:14400\r\na=T38FaxRateManagement:transferredTCF\r\n"
                              "a=T38FaxMaxBuffer:2000\r\na=T38FaxMaxDatagram:1400\r\n"
                              "a=T38FaxUdpEC:t38UDPFEC\r\n");
}

/* Our re-INVITE: T.38 in the place of the audio, the video line stays with port 0. */
static void test_offer(void **state)
{
    struct sdp before = parse(HEAD AUDIO "m=video 5000 RTP/AVP 31\r\n"), again;
    struct sdp_local local = {.address = "192.0.2.9", .port = 20002, .session_id = 5, .version = 2};
    char text[SDP_TEXT_MAX];

    (void)state;
    sdp_t38_offer(&local.t38);
    assert_true(sdp_offer(text, sizeof text, SDP_T38, &before, 0, &local) > 0);
    again = parse(text);
    assert_int_equal(again.count, 2);
    assert_int_equal(again.media[0].kind, SDP_T38);
    assert_int_equal(again.media[0].port, 20002);
    assert_t38("offer", &again.media[0].t38, &local.t38);
    assert_string_equal(again.media[1].media, "video");
    assert_int_equal(again.media[1].port, 0);
    local.law = RTP_PCMU;
    assert_true(sdp_offer(text, sizeof text, SDP_AUDIO, NULL, 0, &local) > 0);
    again = parse(text);
    assert_int_equal(again.count, 1);
    assert_true(again.media[0].kind == SDP_AUDIO && again.media[0].ulaw && !again.media[0].alaw);
}

static void test_written_room(void **state)
{
    struct sdp offer = parse(HEAD AUDIO IMAGE);
    struct sdp_local local = {.address = "192.0.2.9", .port = 20002};
    char text[SDP_TEXT_MAX];
    int length;

    (void)state;
    sdp_t38_answer(&local.t38, &offer.media[1].t38);
    length = sdp_answer(text, sizeof text, &offer, 1, &local);
    assert_true(length > 0);
    for (size_t size = 0; size <= (size_t)length; size++) {
        char *exact = malloc(size + 1);

        assert_int_equal(sdp_answer(exact, size, &offer, 1, &local), ERROR_LIMIT);
        assert_int_equal(sdp_offer(exact, size / 2, SDP_T38, NULL, 0, &local), ERROR_LIMIT);
        free(exact);
    }
    assert_int_equal(sdp_answer(text, (size_t)length + 1, &offer, 1, &local), length);
}

/* What a stranger writes into a line that we refuse comes back as text only. */
static void test_refused_line_is_clean(void **state)
{
    static const char bad[] = HEAD "m=audio 4000 RTP/\x01"
                                   "AVP 8\x7f\xff\r\n" IMAGE;
    struct sdp offer = parse(bad);
    struct sdp_local local = {.address = "192.0.2.9", .port = 20002};
    char text[SDP_TEXT_MAX];

    (void)state;
    assert_true(sdp_answer(text, sizeof text, &offer, 1, &local) > 0);
    assert_non_null(strstr(text, "\r\nm=audio 0 RTP/?AVP 8??\r\n"));
}

static void test_mutations(void **state)
{
    static const char text[] =
        HEAD AUDIO "a=ptime:20\r\n" IMAGE "a=T38FaxVersion:0\r\na=T38FaxUdpEC:t38UDPFEC\r\n";
    struct sdp sdp;

    (void)state;
    srand(11);
    for (size_t cut = 0; cut < sizeof text; cut++) {
        char *copy = malloc(cut + 1);

        memcpy(copy + 1, text, cut);
        sdp_parse(&sdp, copy + 1, cut);
        free(copy);
    }
    for (int round = 0; round < 20000; round++) {
        char *copy = malloc(sizeof text - 1), out[SDP_TEXT_MAX];
        struct sdp_local local = {.address = "192.0.2.9", .port = 1};

        memcpy(copy, text, sizeof text - 1);
        for (int flips = 1 + rand() % 6; flips > 0; flips--)
            copy[(size_t)rand() % (sizeof text - 1)] = (char)rand();
        if (sdp_parse(&sdp, copy, sizeof text - 1) == 0) {
            int length = sdp_answer(out, sizeof out, &sdp, sdp_choose(&sdp, true), &local);

            assert_true(length > 0 && length == (int)strlen(out));
        }
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readings),         cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_origin_and_ptime), cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_t38_answers),      cmocka_unit_test(test_answer_audio),
        cmocka_unit_test(test_answer_t38),       cmocka_unit_test(test_offer),
        cmocka_unit_test(test_written_room),     cmocka_unit_test(test_refused_line_is_clean),
        cmocka_unit_test(test_mutations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
