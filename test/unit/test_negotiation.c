/* SPDX-License-Identifier: MIT */
/*
 * test_negotiation.c - offers and answers of a call, as RFC 3264 has them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "fax/sip/negotiation.h"

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

#define HEAD      "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
#define AUDIO     "m=audio 4000 RTP/AVP 8 0\r\n"
#define ULAW      "m=audio 4000 RTP/AVP 0 8\r\n"
#define ULAW_ONLY "m=audio 4000 RTP/AVP 0\r\n"
#define NO_AUDIO  "m=audio 0 RTP/AVP 8\r\n"
#define VIDEO     "m=video 4004 RTP/AVP 31\r\n"
#define IMAGE                                                                                      \
    "m=image 4002 udptl t38\r\na=T38FaxVersion:3\r\na=T38FaxMaxDatagram:300\r\n"                   \
    "a=T38FaxUdpEC:t38UDPFEC\r\n"
#define IMAGE_V0                                                                                   \
    "m=image 4002 udptl t38\r\na=T38FaxVersion:0\r\n"                                              \
    "a=T38FaxUdpEC:t38UDPRedundancy\r\n"
#define NO_IMAGE "m=image 0 udptl t38\r\n"

static struct negotiation begin(enum t38_policy policy)
{
    struct negotiation talk;
    struct net_address local;

    assert_int_equal(net_parse(&local, "127.0.0.1", 20000), 0);
    negotiation_begin(&talk, policy, &local, 77);
    return talk;
}

static int answer(struct negotiation *talk, const char *offer, bool can_switch, char *out,
                  struct media_plan *plan)
{
    int rc =
        negotiation_answer(talk, offer, strlen(offer), can_switch, out, SDP_TEXT_MAX - 1, plan);

    if (rc >= 0)
        out[rc] = '\0';
    return rc;
}

static void test_first_offer(void **state)
{
    static const struct {
        const char *name;
        enum t38_policy policy;
        const char *offer;
        int error;
        enum sdp_kind kind;
        const char *in_answer;
    } table[] = {
        {"A-law first", T38_ASK, HEAD AUDIO, 0, SDP_AUDIO, "m=audio 20000 RTP/AVP 8\r\n"},
        {"u-law first", T38_ASK, HEAD ULAW, 0, SDP_AUDIO, "m=audio 20000 RTP/AVP 0\r\n"},
        {"T.38", T38_ASK, HEAD IMAGE, 0, SDP_T38, "m=image 20000 udptl t38\r\n"},
        {"both: T.38", T38_ACCEPT, HEAD AUDIO IMAGE, 0, SDP_T38,
         "m=audio 0 RTP/AVP 8 0\r\nm=image"},
        {"both, never T.38", T38_NEVER, HEAD IMAGE AUDIO, 0, SDP_AUDIO, "m=image 0 udptl t38\r\n"},
        {"T.38 only, never", T38_NEVER, HEAD IMAGE, ERROR_UNSUPPORTED, SDP_NOTHING, NULL},
        {"video only", T38_ASK, HEAD VIDEO, ERROR_UNSUPPORTED, SDP_NOTHING, NULL},
        {"video beside", T38_ASK, HEAD VIDEO AUDIO, 0, SDP_AUDIO,
         "m=video 0 RTP/AVP 31\r\nm=audio"},
        {"audio with port 0", T38_ASK, HEAD NO_AUDIO, ERROR_UNSUPPORTED, SDP_NOTHING, NULL},
        {"nonsense", T38_ASK, "hello", ERROR_FORMAT, SDP_NOTHING, NULL},
    };
    char out[SDP_TEXT_MAX];
    struct media_plan plan;

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct negotiation talk = begin(table[i].policy);
        int rc = answer(&talk, table[i].offer, true, out, &plan);

        print_message("%s\n", table[i].name);
        assert_int_equal(rc < 0 ? rc : 0, table[i].error);
        if (rc < 0) {
            assert_int_equal(talk.now, SDP_NOTHING);
            continue;
        }
        assert_int_equal(plan.kind, table[i].kind);
        assert_int_equal(talk.now, table[i].kind);
        assert_non_null(strstr(out, table[i].in_answer));
    }
}

static void test_t38_terms(void **state)
{
    struct negotiation talk = begin(T38_ASK);
    char out[SDP_TEXT_MAX];
    char text[NET_TEXT_MAX];
    struct media_plan plan;

    (void)state;
    assert_true(answer(&talk, HEAD IMAGE, true, out, &plan) > 0);
    assert_int_equal(plan.correction, UDPTL_FEC);
    assert_int_equal(plan.datagram_max, 300);
    assert_true(plan.transferred_tcf);
    assert_string_equal(net_text(text, &plan.remote), "192.0.2.9:4002");
    assert_non_null(strstr(out, "a=T38FaxUdpEC:t38UDPFEC\r\n"));
    assert_non_null(strstr(out, "o=- 77 1 IN IP4 127.0.0.1\r\n"));
}

static void test_within_call(void **state)
{
    static const struct {
        const char *name;
        enum t38_policy policy;
        const char *first, *then;
        bool can_switch;
        int error;
        enum sdp_kind kind;
    } table[] = {
        {"refresh", T38_ASK, HEAD AUDIO, HEAD AUDIO, true, 0, SDP_AUDIO},
        {"refresh after the first DCS", T38_ASK, HEAD AUDIO, HEAD AUDIO, false, 0, SDP_AUDIO},
        {"to T.38", T38_ACCEPT, HEAD AUDIO, HEAD IMAGE, true, 0, SDP_T38},
        {"to T.38, too late", T38_ACCEPT, HEAD AUDIO, HEAD IMAGE, false, ERROR_UNSUPPORTED,
         SDP_AUDIO},
        {"to T.38, never", T38_NEVER, HEAD AUDIO, HEAD IMAGE, true, ERROR_UNSUPPORTED, SDP_AUDIO},
        {"both, too late: audio", T38_ASK, HEAD AUDIO, HEAD AUDIO IMAGE, false, 0, SDP_AUDIO},
        {"back to audio", T38_ASK, HEAD IMAGE, HEAD AUDIO, false, ERROR_UNSUPPORTED, SDP_T38},
        {"T.38 refreshed", T38_ASK, HEAD IMAGE, HEAD IMAGE, false, 0, SDP_T38},
    };
    char out[SDP_TEXT_MAX];
    struct media_plan plan;

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct negotiation talk = begin(table[i].policy);
        int rc;

        print_message("%s\n", table[i].name);
        assert_true(answer(&talk, table[i].first, true, out, &plan) > 0);
        rc = answer(&talk, table[i].then, table[i].can_switch, out, &plan);
        assert_int_equal(rc < 0 ? rc : 0, table[i].error);
        assert_int_equal(talk.now, table[i].kind);
        assert_int_equal(talk.version, rc < 0 ? 1 : 2);
    }
}

static void test_law_is_kept(void **state)
{
    struct negotiation talk = begin(T38_ASK);
    char out[SDP_TEXT_MAX];
    struct media_plan plan;

    (void)state;
    assert_true(answer(&talk, HEAD AUDIO, true, out, &plan) > 0);
    assert_int_equal(plan.law, RTP_PCMA);
    assert_true(answer(&talk, HEAD ULAW, true, out, &plan) > 0);
    assert_int_equal(plan.law, RTP_PCMA);
}

static void test_our_offers(void **state)
{
    static const struct {
        const char *name, *first;
        enum sdp_kind offered;
        const char *in_offer, *answer;
        int error;
        enum sdp_kind kind;
    } table[] = {
        {"ask, taken", HEAD AUDIO, SDP_T38, "m=image 20000 udptl t38\r\n", HEAD IMAGE_V0, 0,
         SDP_T38},
        {"ask, port 0", HEAD AUDIO, SDP_T38, "m=image 20000", HEAD NO_IMAGE, ERROR_UNSUPPORTED,
         SDP_AUDIO},
        {"ask, audio comes back", HEAD AUDIO, SDP_T38, "m=image 20000", HEAD AUDIO,
         ERROR_UNSUPPORTED, SDP_AUDIO},
        {"ask, nonsense comes back", HEAD AUDIO, SDP_T38, "m=image 20000", "x", ERROR_FORMAT,
         SDP_AUDIO},
        {"the place is kept", HEAD VIDEO AUDIO, SDP_T38, "m=video 0 RTP/AVP 31\r\nm=image 20000",
         HEAD "m=video 0 RTP/AVP 31\r\n" IMAGE_V0, 0, SDP_T38},
        {"an answer too short", HEAD VIDEO AUDIO, SDP_T38, "m=video 0", HEAD NO_AUDIO, ERROR_FORMAT,
         SDP_AUDIO},
        {"no offer in the INVITE", NULL, SDP_AUDIO, "m=audio 20000 RTP/AVP 0\r\n", HEAD ULAW_ONLY,
         0, SDP_AUDIO},
        {"no offer, no answer", NULL, SDP_AUDIO, "m=audio 20000 RTP/AVP 0\r\n", "", ERROR_FORMAT,
         SDP_NOTHING},
    };
    char out[SDP_TEXT_MAX];
    struct media_plan plan;

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct negotiation talk = begin(T38_ASK);
        int rc;

        print_message("%s\n", table[i].name);
        if (table[i].first != NULL)
            assert_true(answer(&talk, table[i].first, true, out, &plan) > 0);
        rc = negotiation_offer(&talk, table[i].offered, out, sizeof out - 1);
        assert_true(rc > 0);
        out[rc] = '\0';
        assert_non_null(strstr(out, table[i].in_offer));
        rc = negotiation_take_answer(&talk, table[i].answer, strlen(table[i].answer), &plan);
        assert_int_equal(rc, table[i].error);
        assert_int_equal(talk.now, table[i].kind);
        assert_int_equal(talk.offered, SDP_NOTHING);
        if (rc == 0)
            assert_int_equal(plan.kind, table[i].kind);
        /* One answer for one offer. */
        assert_int_equal(negotiation_take_answer(&talk, HEAD AUDIO, strlen(HEAD AUDIO), &plan),
                         ERROR_STATE);
    }
}

static void test_family(void **state)
{
    static const char v6[] = "v=0\r\no=- 1 1 IN IP6 2001:db8::9\r\ns=-\r\nc=IN IP6 2001:db8::9\r\n"
                             "t=0 0\r\n" AUDIO;
    struct negotiation talk = begin(T38_ASK);
    struct net_address remote;
    char out[SDP_TEXT_MAX];
    struct media_plan plan;

    (void)state;
    assert_int_equal(negotiation_look(v6, strlen(v6), T38_ASK, &remote), 0);
    assert_int_equal(remote.u.any.sa_family, AF_INET6);
    assert_int_equal(answer(&talk, v6, true, out, &plan), ERROR_UNSUPPORTED);
}

/* An SDP with 127.0.0.1 from elsewhere would have us send to services of this machine. */
static void test_loopback(void **state)
{
    static const char near[] = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\n"
                               "c=IN IP4 127.0.0.1\r\nt=0 0\r\n" AUDIO;
    struct negotiation talk = begin(T38_ASK);
    char out[SDP_TEXT_MAX];
    struct media_plan plan;

    (void)state;
    assert_true(answer(&talk, near, true, out, &plan) > 0);
    assert_true(net_is_loopback(&plan.remote));
    talk.is_from_afar = true;
    assert_true(answer(&talk, near, true, out, &plan) > 0);
    assert_true(net_is_any(&plan.remote));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_offer), cmocka_unit_test(test_t38_terms),
        cmocka_unit_test(test_within_call), cmocka_unit_test(test_law_is_kept),
        cmocka_unit_test(test_our_offers),  cmocka_unit_test(test_family),
        cmocka_unit_test(test_loopback),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
