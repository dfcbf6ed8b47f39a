/* SPDX-License-Identifier: MIT */
/*
 * rtp.c - one G.711 stream over RTP.
 *
 * Samples are laid on a ring by their time stamp, so that order, repeats and packet lengths need no
 * further care; rtp_pull() walks along it, 160 samples a tick, delay_ticks behind the newest.
 *
 * A fax is no conversation: its receiver can wait. When a carrier stops coming it is more likely
 * late than lost, so rtp_due() has the receiver wait for it, and go faster behind it until the
 * delay is what it was. A far clock that is off is met in the same way. Only what others have
 * overtaken, or what did not come for long, is filled in.
 */
#include "fax/sip/rtp.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/error.h"

enum {
    HEADER_SIZE = 12,
    PAYLOAD_MIN = 40, /* 5 ms */
    PAYLOAD_MAX = 800,
    RING_SAMPLES = 8192, /* a second: what waits in the socket when we were late fits in */
    SEQ_JUMP = 100,
    LATE_RUN_MAX = 10,   /* so many late packets in a row: the network has become slower for good */
    DRY_TICKS_MAX = 25,  /* so long without a packet: the next one begins anew */
    HOLD_TICKS_MAX = 40, /* waited for a carrier: well below T4, 3 s (T.30 5.4.2) */
    DUE_MAX = 10,        /* a tick's work stays bounded */
    LOUD = 60,           /* mean amplitude of a signal, about -45 dBm0 */
    WINDOW_TICKS = 50,   /* the far clock is judged once a second */
    WINDOWS_SURE = 3,    /* and believed after so many alike */
    FADE_TICKS = 3,      /* filling repeats the last tick, fading to silence in 60 ms */
};

struct rtp {
    enum rtp_law law;
    int target; /* samples kept back */
    uint16_t tx_seq;
    uint32_t tx_time, tx_ssrc;

    bool started;
    uint32_t ssrc, play_time, end_time; /* play_time: next sample to pull; end_time: after newest */
    uint16_t newest_seq;
    uint64_t seen; /* bit n: newest_seq - n has arrived */
    bool pending;  /* a packet of another stream came: its successor makes it ours */
    uint32_t pending_ssrc;
    uint16_t pending_seq;
    int late_run, dry_ticks;
    int window_ticks, window_least; /* the least reserve within this window */
    int windows_low, windows_high;  /* such windows in a row */
    int lead, fill_run;             /* lead: silence before the first sample, not a loss */
    int hold_run, owed;             /* ticks waited for this packet; waited and not made up for */
    struct rtp_counts counts;
    int16_t last[RTP_TICK_SAMPLES]; /* the last tick played, for filling */
    int16_t ring[RING_SAMPLES];
    bool valid[RING_SAMPLES];
};

/* ---- G.711 ---------------------------------------------------------------------------------- */

static int16_t alaw_samples[256], ulaw_samples[256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void tables_make(void)
{
    for (int i = 0; i < 256; i++) {
        int a = i ^ 0x55, u = ~i & 0xff;
        int mantissa = (a & 0x0f) << 4, segment = (a & 0x70) >> 4;
        int sample = segment == 0 ? mantissa + 8 : (mantissa + 0x108) << (segment - 1);

        alaw_samples[i] = (int16_t)((a & 0x80) != 0 ? sample : -sample);
        sample = ((((u & 0x0f) << 3) + 0x84) << ((u & 0x70) >> 4)) - 0x84;
        ulaw_samples[i] = (int16_t)((u & 0x80) != 0 ? -sample : sample);
    }
}

/* The place of the highest set bit, from 0; value is never 0. */
static int highest_bit(unsigned value)
{
    return 31 - __builtin_clz(value);
}

static uint8_t alaw_encode(int sample)
{
    int mask = 0xd5, segment;

    if (sample < 0) {
        mask = 0x55;
        sample = -sample - 1;
    }
    segment = highest_bit((unsigned)sample | 0xff) - 7;
    return (uint8_t)((segment << 4 | (sample >> (segment == 0 ? 4 : segment + 3) & 0x0f)) ^ mask);
}

static uint8_t ulaw_encode(int sample)
{
    int mask = 0xff, segment;

    if (sample < 0) {
        mask = 0x7f;
        sample = -sample;
    }
    sample = (sample > 32635 ? 32635 : sample) + 0x84;
    segment = highest_bit((unsigned)sample) - 7;
    return (uint8_t)((segment << 4 | (sample >> (segment + 3) & 0x0f)) ^ mask);
}

/* ---- the packet ----------------------------------------------------------------------------- */

struct parsed {
    uint16_t seq;
    uint32_t time, ssrc;
    const uint8_t *payload;
    int length;
};

static uint32_t read_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* RFC 3550 5.1, 5.3.1 */
static int packet_parse(struct parsed *out, enum rtp_law law, const uint8_t *packet, size_t length)
{
    size_t start = HEADER_SIZE, padding = 0;

    if (length < HEADER_SIZE || length > RTP_PACKET_MAX || packet[0] >> 6 != 2 ||
        (packet[1] & 0x7f) != (int)law)
        return ERROR_FORMAT;
    start += 4 * (size_t)(packet[0] & 0x0f);
    if ((packet[0] & 0x10) != 0) {
        if (start + 4 > length)
            return ERROR_FORMAT;
        start += 4 + 4 * (size_t)(packet[start + 2] << 8 | packet[start + 3]);
    }
    if ((packet[0] & 0x20) != 0) {
        padding = packet[length - 1];
        if (padding == 0)
            return ERROR_FORMAT;
    }
    if (start + padding + PAYLOAD_MIN > length || length - start - padding > PAYLOAD_MAX)
        return ERROR_FORMAT;
    out->seq = (uint16_t)(packet[2] << 8 | packet[3]);
    out->time = read_u32(packet + 4);
    out->ssrc = read_u32(packet + 8);
    out->payload = packet + start;
    out->length = (int)(length - start - padding);
    return 0;
}

bool rtp_is_plausible(const struct rtp *rtp, const uint8_t *packet, size_t length)
{
    struct parsed parsed;

    return packet_parse(&parsed, rtp->law, packet, length) == 0;
}

/* ---- receiving ------------------------------------------------------------------------------ */

/* The stream begins (again) with this packet, played target samples from now. */
static void buffer_restart(struct rtp *rtp, const struct parsed *packet)
{
    if (rtp->started)
        rtp->counts.resyncs++;
    rtp->started = true;
    rtp->pending = false;
    rtp->ssrc = packet->ssrc;
    rtp->newest_seq = packet->seq;
    rtp->seen = 1;
    rtp->play_time = packet->time - (uint32_t)rtp->target;
    rtp->end_time = packet->time;
    rtp->lead = rtp->target;
    rtp->late_run = rtp->dry_ticks = rtp->hold_run = rtp->owed = 0;
    rtp->window_ticks = rtp->windows_low = rtp->windows_high = 0;
    memset(rtp->valid, 0, sizeof rtp->valid);
}

/* Not so when much was played at once, because we were late: then it came at once, too. */
static bool is_dry(const struct rtp *rtp)
{
    return rtp->dry_ticks > DRY_TICKS_MAX && (int32_t)(rtp->end_time - rtp->play_time) <= 0;
}

/* It goes on about where we are, or as much later as we waited. */
static bool packet_goes_on(const struct rtp *rtp, const struct parsed *packet)
{
    int ahead = (int32_t)(packet->time - rtp->play_time);

    return ahead >= -HOLD_TICKS_MAX * RTP_TICK_SAMPLES &&
           ahead <= rtp->target + (rtp->owed + 2) * RTP_TICK_SAMPLES;
}

enum place { PLACE_HERE, PLACE_ELSEWHERE, PLACE_ANEW };

/* RFC 3550 A.1: a packet far away or of another source makes itself the stream only when its
 * successor comes right behind it; until then it is dropped. */
static enum place packet_place(struct rtp *rtp, const struct parsed *packet)
{
    int ahead = (int16_t)(uint16_t)(packet->seq - rtp->newest_seq);

    if (!rtp->started || (is_dry(rtp) && !packet_goes_on(rtp, packet)))
        return PLACE_ANEW;
    if (packet->ssrc == rtp->ssrc && ahead > -SEQ_JUMP && ahead < SEQ_JUMP) {
        rtp->pending = false;
        return PLACE_HERE;
    }
    if (rtp->pending && packet->ssrc == rtp->pending_ssrc && packet->seq == rtp->pending_seq)
        return PLACE_ANEW;
    rtp->pending = true;
    rtp->pending_ssrc = packet->ssrc;
    rtp->pending_seq = (uint16_t)(packet->seq + 1);
    return PLACE_ELSEWHERE;
}

/* Counts what is lost and notes the number; true for a packet that was there before. */
static bool packet_is_repeat(struct rtp *rtp, uint16_t seq)
{
    int ahead = (int16_t)(uint16_t)(seq - rtp->newest_seq);

    if (ahead > 0) {
        rtp->counts.lost += (uint64_t)(ahead - 1);
        rtp->seen = (ahead < 64 ? rtp->seen << ahead : 0) | 1;
        rtp->newest_seq = seq;
        return false;
    }
    if (ahead <= -64)
        return false;
    if ((rtp->seen >> -ahead & 1) != 0)
        return true;
    rtp->seen |= UINT64_C(1) << -ahead;
    if (rtp->counts.lost > 0)
        rtp->counts.lost--;
    return false;
}

static void packet_lay(struct rtp *rtp, const struct parsed *packet)
{
    const int16_t *table = rtp->law == RTP_PCMA ? alaw_samples : ulaw_samples;

    for (int i = 0; i < packet->length; i++) {
        uint32_t time = packet->time + (uint32_t)i;

        if ((int32_t)(time - rtp->play_time) < 0)
            continue;
        rtp->ring[time % RING_SAMPLES] = table[packet->payload[i]];
        rtp->valid[time % RING_SAMPLES] = true;
    }
    if ((int32_t)(packet->time + (uint32_t)packet->length - rtp->end_time) > 0)
        rtp->end_time = packet->time + (uint32_t)packet->length;
}

static void owe(struct rtp *rtp, int ticks)
{
    int most = RING_SAMPLES / RTP_TICK_SAMPLES; /* more cannot be waiting */

    rtp->owed = rtp->owed + ticks < most ? rtp->owed + ticks : most;
}

/* All that was played since the stream stopped was filled in: silence, or we would have waited. A
 * packet that belongs there is not too late, the silence was longer. */
static void play_back(struct rtp *rtp, uint32_t time)
{
    int back = (int32_t)(rtp->play_time - time);

    if (back <= 0 || back > HOLD_TICKS_MAX * RTP_TICK_SAMPLES ||
        (int32_t)(time - rtp->end_time) < 0)
        return;
    rtp->play_time = time;
    owe(rtp, back / RTP_TICK_SAMPLES);
    rtp->counts.filled_samples -=
        (uint64_t)back < rtp->counts.filled_samples ? (uint64_t)back : rtp->counts.filled_samples;
}

int rtp_receive(struct rtp *rtp, const uint8_t *packet, size_t length)
{
    struct parsed parsed;
    int error = packet_parse(&parsed, rtp->law, packet, length);
    enum place place;
    int64_t ahead;

    if (error < 0) {
        rtp->counts.malformed++;
        return error;
    }
    rtp->counts.received++;
    place = packet_place(rtp, &parsed);
    if (place == PLACE_ELSEWHERE)
        return 0;
    if (place == PLACE_ANEW)
        buffer_restart(rtp, &parsed);
    else if (packet_is_repeat(rtp, parsed.seq)) {
        rtp->counts.repeated++;
        return 0;
    }
    play_back(rtp, parsed.time);
    ahead = (int32_t)(parsed.time - rtp->play_time);
    if (ahead + parsed.length <= 0 && ahead > -RING_SAMPLES && ++rtp->late_run < LATE_RUN_MAX) {
        rtp->counts.late++;
        return 0;
    }
    if (ahead + parsed.length <= 0 || ahead + parsed.length > RING_SAMPLES)
        buffer_restart(rtp, &parsed); /* the time stamps jumped, or all comes late now */
    rtp->late_run = rtp->dry_ticks = rtp->hold_run = 0;
    packet_lay(rtp, &parsed);
    return 0;
}

/* ---- playing -------------------------------------------------------------------------------- */

/* The far clock against ours: the least reserve of each second says whether the buffer runs full
 * (1: a tick more is due) or dry (-1: one less). */
static int skew(struct rtp *rtp, int reserve)
{
    if (rtp->dry_ticks > FADE_TICKS) /* nobody sends: that says nothing of the clock */
        rtp->window_ticks = 0;
    if (rtp->window_ticks == 0 || reserve < rtp->window_least)
        rtp->window_least = reserve;
    if (++rtp->window_ticks < WINDOW_TICKS)
        return 0;
    rtp->window_ticks = 0;
    rtp->windows_low = rtp->window_least <= rtp->target / 2 ? rtp->windows_low + 1 : 0;
    rtp->windows_high =
        rtp->window_least >= rtp->target + 2 * RTP_TICK_SAMPLES ? rtp->windows_high + 1 : 0;
    if (rtp->windows_high >= WINDOWS_SURE) {
        rtp->windows_high = 0;
        return 1;
    }
    if (rtp->windows_low >= WINDOWS_SURE) {
        rtp->windows_low = 0;
        return -1;
    }
    return 0;
}

static bool is_loud(const int16_t samples[RTP_TICK_SAMPLES])
{
    int32_t sum = 0;

    for (int i = 0; i < RTP_TICK_SAMPLES; i++)
        sum += abs(samples[i]);
    return sum > RTP_TICK_SAMPLES * LOUD;
}

int rtp_due(struct rtp *rtp)
{
    int reserve = (int32_t)(rtp->end_time - rtp->play_time);
    int due;

    if (!rtp->started)
        return 1;
    rtp->dry_ticks++;
    due = 1 + skew(rtp, reserve);
    if (reserve < RTP_TICK_SAMPLES && rtp->fill_run == 0 && rtp->hold_run < HOLD_TICKS_MAX &&
        is_loud(rtp->last)) {
        rtp->hold_run++;
        owe(rtp, 1);
        due = 0;
    }
    while (rtp->owed > 0 && due > 0 && due < DUE_MAX &&
           reserve >= rtp->target + (due + 1) * RTP_TICK_SAMPLES) {
        rtp->owed--;
        due++;
    }
    rtp->counts.held_ticks += due == 0;
    rtp->counts.hastened_ticks += due > 1 ? (uint64_t)(due - 1) : 0;
    return due;
}

/* Fills sample i of a tick: the last tick again, fading out over FADE_TICKS. */
static int16_t sample_fill(const struct rtp *rtp, int i)
{
    int done = rtp->fill_run + i, all = FADE_TICKS * RTP_TICK_SAMPLES;

    return done >= all ? 0 : (int16_t)(rtp->last[i] * (all - done) / all);
}

int rtp_pull(struct rtp *rtp, int16_t out[RTP_TICK_SAMPLES])
{
    int real = 0;

    if (!rtp->started) {
        memset(out, 0, RTP_TICK_SAMPLES * sizeof out[0]);
        return 0;
    }
    for (int i = 0; i < RTP_TICK_SAMPLES; i++) {
        uint32_t place = rtp->play_time++ % RING_SAMPLES;

        out[i] = rtp->valid[place] ? rtp->ring[place] : sample_fill(rtp, i);
        real += rtp->valid[place];
        rtp->valid[place] = false;
    }
    if (rtp->lead > 0)
        rtp->lead -= RTP_TICK_SAMPLES;
    else
        rtp->counts.filled_samples += (uint64_t)(RTP_TICK_SAMPLES - real);
    if (real > 0) {
        memcpy(rtp->last, out, sizeof rtp->last);
        rtp->fill_run = 0;
    } else {
        rtp->fill_run += RTP_TICK_SAMPLES;
    }
    return real;
}

/* ---- sending -------------------------------------------------------------------------------- */

int rtp_make(struct rtp *rtp, const int16_t samples[RTP_TICK_SAMPLES], uint8_t *out, size_t size)
{
    if (size < HEADER_SIZE + RTP_TICK_SAMPLES)
        return ERROR_LIMIT;
    out[0] = 0x80;
    out[1] = (uint8_t)rtp->law;
    out[2] = (uint8_t)(rtp->tx_seq >> 8);
    out[3] = (uint8_t)rtp->tx_seq;
    for (int i = 0; i < 4; i++) {
        out[4 + i] = (uint8_t)(rtp->tx_time >> (24 - 8 * i));
        out[8 + i] = (uint8_t)(rtp->tx_ssrc >> (24 - 8 * i));
    }
    for (int i = 0; i < RTP_TICK_SAMPLES; i++)
        out[HEADER_SIZE + i] =
            rtp->law == RTP_PCMA ? alaw_encode(samples[i]) : ulaw_encode(samples[i]);
    rtp->tx_seq++;
    rtp->tx_time += RTP_TICK_SAMPLES;
    return HEADER_SIZE + RTP_TICK_SAMPLES;
}

/* ---- life ----------------------------------------------------------------------------------- */

struct rtp *rtp_new(enum rtp_law law, int delay_ticks)
{
    struct rtp *rtp = calloc(1, sizeof *rtp);
    uint32_t random[3];

    if (rtp == NULL)
        return NULL;
    pthread_once(&tables_once, tables_make);
    if (getrandom(random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now); /* no secret: it only has to differ (RFC 3550 8.1) */
        random[0] = (uint32_t)now.tv_nsec * 2654435761u ^ (uint32_t)(uintptr_t)rtp;
        random[1] = random[0] * 2654435761u;
        random[2] = random[1] * 2654435761u;
    }
    delay_ticks = delay_ticks < 2 ? 2 : delay_ticks > 10 ? 10 : delay_ticks;
    rtp->law = law;
    rtp->target = delay_ticks * RTP_TICK_SAMPLES;
    rtp->tx_ssrc = random[0];
    rtp->tx_seq = (uint16_t)random[1];
    rtp->tx_time = random[2];
    return rtp;
}

void rtp_free(struct rtp *rtp)
{
    free(rtp);
}

void rtp_counts(const struct rtp *rtp, struct rtp_counts *out)
{
    *out = rtp->counts;
}
