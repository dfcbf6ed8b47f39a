/* SPDX-License-Identifier: MIT */
/*
 * negotiation.c - offer and answer of one call.
 */
#include "fax/sip/negotiation.h"

#include <string.h>

#include "base/error.h"

void negotiation_begin(struct negotiation *talk, enum t38_policy policy,
                       const struct net_address *local, uint64_t id)
{
    memset(talk, 0, sizeof *talk);
    talk->policy = policy;
    talk->local = *local;
    talk->id = id;
    talk->law = RTP_PCMU;
}

/* Where the far side wants its media. A host name is not looked up: its packets will tell. */
static void remote_of(struct net_address *out, const struct sdp_media *media, sa_family_t family)
{
    if (net_parse(out, media->address, media->port) == 0)
        return;
    (void)net_parse(out, family == AF_INET6 ? "::" : "0.0.0.0", media->port);
}

static enum rtp_law choose_law(const struct sdp_media *media, enum sdp_kind now, enum rtp_law law)
{
    bool is_offered = law == RTP_PCMA ? media->alaw : media->ulaw;

    if (now == SDP_AUDIO && is_offered)
        return law; /* what runs goes on */
    if (media->alaw && media->ulaw)
        return media->alaw_first ? RTP_PCMA : RTP_PCMU;
    return media->alaw ? RTP_PCMA : RTP_PCMU;
}

static struct media_plan plan_of(const struct negotiation *talk, const struct sdp_media *media)
{
    struct media_plan plan = {
        .kind = media->kind,
        .law = talk->law,
        .correction = media->t38.correction,
        .t38_version = talk->t38.version,
        .datagram_max = media->t38.max_datagram,
        .transferred_tcf = !talk->t38.local_tcf,
    };

    remote_of(&plan.remote, media, talk->local.u.any.sa_family);
    if (talk->is_from_afar && net_is_loopback(&plan.remote))
        (void)net_parse(&plan.remote, plan.remote.u.any.sa_family == AF_INET6 ? "::" : "0.0.0.0",
                        media->port);
    return plan;
}

static void local_of(struct sdp_local *out, char host[NET_TEXT_MAX], const struct negotiation *talk)
{
    *out = (struct sdp_local){
        .address = net_host_text(host, &talk->local),
        .port = net_port(&talk->local),
        .session_id = talk->id,
        .version = talk->version,
        .law = talk->law,
        .t38 = talk->t38,
    };
}

int negotiation_look(const char *offer, size_t length, enum t38_policy policy,
                     struct net_address *out_remote)
{
    struct sdp sdp;
    int rc = sdp_parse(&sdp, offer, length);
    int place;

    if (rc != 0)
        return rc;
    place = sdp_choose(&sdp, policy != T38_NEVER);
    if (place < 0)
        return ERROR_UNSUPPORTED;
    remote_of(out_remote, &sdp.media[place], AF_INET);
    return 0;
}

/* The medium of an offer that we take now, or -1. */
static int choose(const struct negotiation *talk, const struct sdp *offer, bool can_switch)
{
    bool t38 = talk->policy != T38_NEVER && (talk->now != SDP_AUDIO || can_switch);
    int place = sdp_choose(offer, t38);

    /* There is no way back from T.38: the session began anew in phase B. */
    if (place >= 0 && talk->now == SDP_T38 && offer->media[place].kind != SDP_T38)
        return -1;
    return place;
}

int negotiation_answer(struct negotiation *talk, const char *offer, size_t length, bool can_switch,
                       char *out, size_t size, struct media_plan *plan)
{
    struct negotiation next = *talk;
    const struct sdp_media *media;
    struct sdp_local local;
    struct media_plan agreed;
    char host[NET_TEXT_MAX];
    int rc = sdp_parse(&next.before, offer, length);

    if (rc != 0)
        return rc;
    next.place = choose(talk, &next.before, can_switch);
    if (next.place < 0)
        return ERROR_UNSUPPORTED;
    media = &next.before.media[next.place];
    if (media->kind == SDP_T38)
        sdp_t38_answer(&next.t38, &media->t38);
    else
        next.law = choose_law(media, talk->now, talk->law);
    next.now = media->kind;
    next.version++;
    next.offered = SDP_NOTHING;
    agreed = plan_of(&next, media);
    if (agreed.remote.u.any.sa_family != next.local.u.any.sa_family)
        return ERROR_UNSUPPORTED;
    local_of(&local, host, &next);
    rc = sdp_answer(out, size, &next.before, next.place, &local);
    if (rc < 0)
        return rc;
    *talk = next;
    *plan = agreed;
    return rc;
}

int negotiation_offer(struct negotiation *talk, enum sdp_kind kind, char *out, size_t size)
{
    struct negotiation next = *talk;
    struct sdp_local local;
    char host[NET_TEXT_MAX];
    int rc;

    if (kind == SDP_T38 && talk->now != SDP_T38)
        sdp_t38_offer(&next.t38);
    next.version++;
    next.offered = kind;
    local_of(&local, host, &next);
    rc =
        sdp_offer(out, size, kind, next.before.count > 0 ? &next.before : NULL, next.place, &local);
    if (rc >= 0)
        *talk = next;
    return rc;
}

int negotiation_take_answer(struct negotiation *talk, const char *answer, size_t length,
                            struct media_plan *plan)
{
    enum sdp_kind offered = talk->offered;
    const struct sdp_media *media;
    struct media_plan agreed;
    struct sdp sdp;
    int rc;

    talk->offered = SDP_NOTHING;
    if (offered == SDP_NOTHING)
        return ERROR_STATE;
    rc = sdp_parse(&sdp, answer, length);
    if (rc != 0)
        return rc;
    if (talk->place >= sdp.count)
        return ERROR_FORMAT;
    media = &sdp.media[talk->place];
    if (media->kind != offered || media->port == 0)
        return ERROR_UNSUPPORTED;
    talk->before = sdp;
    talk->now = offered;
    if (offered == SDP_T38 && media->t38.version < talk->t38.version)
        talk->t38.version = media->t38.version;
    if (offered == SDP_AUDIO)
        talk->law = choose_law(media, SDP_AUDIO, talk->law);
    agreed = plan_of(talk, media);
    if (agreed.remote.u.any.sa_family != talk->local.u.any.sa_family)
        return ERROR_UNSUPPORTED;
    *plan = agreed;
    return 0;
}
