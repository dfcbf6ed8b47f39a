/* SPDX-License-Identifier: MIT */
/*
 * softmodem_line.c - telephone wires, one direction each: delay, noise, drop-outs and bursts; and
 * the sounds that are no fax.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "test/tools/softmodem.h"

enum { DELAY_SAMPLES_MAX = 8 * 2000 };

struct line {
    struct line_options options;
    uint32_t random;
    double noise_rms;
    int drop_left, burst_left; /* samples */
    int64_t next_drop, next_burst, sample;
    int head, delay; /* of the ring, in samples */
    int16_t ring[DELAY_SAMPLES_MAX];
};

/* xorshift: the same seed gives the same line. */
static uint32_t random_next(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* Four evenly spread numbers add up to what is nearly a bell; the sum's variance is 1. */
static double random_bell(uint32_t *state)
{
    double sum = 0;

    for (int i = 0; i < 4; i++)
        sum += random_next(state) / 4294967296.0 - 0.5;
    return sum * 1.7320508;
}

/* 3.14 dBm0 is the power of a sine that fills 16 bits (ITU-T G.711). */
static double rms_of_dbm0(double dbm0)
{
    return 32768 * pow(10, (dbm0 - 3.14 - 3.01) / 20);
}

/* Half to one and a half times the mean; 0: never. */
static int64_t next_time(struct line *line, int every_ms)
{
    if (every_ms == 0)
        return INT64_MAX;
    return line->sample + (int64_t)every_ms * 8 * (500 + random_next(&line->random) % 1000) / 1000;
}

struct line *line_new(const struct line_options *options, unsigned seed)
{
    struct line *line = calloc(1, sizeof *line);

    if (line == NULL)
        abort(); /* a test tool without memory has no result worth having */
    line->options = *options;
    line->random = (options->seed * 2 + seed + 1) * 2654435761u | 1;
    line->noise_rms = options->noise_dbm0 != 0 ? rms_of_dbm0(options->noise_dbm0) : 0;
    line->delay = options->delay_ms * 8;
    line_clear(line);
    return line;
}

void line_free(struct line *line)
{
    free(line);
}

void line_clear(struct line *line)
{
    memset(line->ring, 0, sizeof line->ring);
    line->drop_left = line->burst_left = 0;
    line->next_drop = next_time(line, line->options.drop_every_ms);
    line->next_burst = next_time(line, line->options.burst_every_ms);
}

void line_drop(struct line *line, int ms)
{
    line->drop_left = ms * 8;
}

void line_burst(struct line *line, int ms)
{
    line->burst_left = ms * 8;
}

static void accidents(struct line *line)
{
    if (line->sample >= line->next_drop) {
        line_drop(line, line->options.drop_ms);
        line->next_drop = next_time(line, line->options.drop_every_ms);
    }
    if (line->sample >= line->next_burst) {
        line_burst(line, line->options.burst_ms);
        line->next_burst = next_time(line, line->options.burst_every_ms);
    }
}

static int16_t clipped(double value)
{
    return (int16_t)(value > 32767 ? 32767 : value < -32768 ? -32768 : value);
}

void line_step(struct line *line, int16_t samples[STEP_SAMPLES])
{
    double burst_rms = rms_of_dbm0(-12);

    accidents(line);
    for (int i = 0; i < STEP_SAMPLES; i++, line->sample++) {
        double value = samples[i];

        if (line->delay > 0) {
            value = line->ring[line->head];
            line->ring[line->head] = samples[i];
            line->head = (line->head + 1) % line->delay;
        }
        if (line->drop_left > 0 && line->drop_left-- > 0)
            value = 0;
        if (line->burst_left > 0 && line->burst_left-- > 0)
            value += random_bell(&line->random) * burst_rms;
        if (line->noise_rms > 0)
            value += random_bell(&line->random) * line->noise_rms;
        samples[i] = clipped(value);
    }
}

/* ---- sounds --------------------------------------------------------------------------------- */

/* Speech enough for a modem: low noise in syllables of 300 ms, with a pause after each. */
static double voice_sample(struct sound_state *state)
{
    int64_t in_syllable = state->sample % 4000;
    double noise = random_bell(&state->random);

    state->low += 0.25 * (noise - state->low);
    return in_syllable < 2400 ? state->low * 6000 : 0;
}

/* V.25 4.3: the calling tone of a data modem, 1300 Hz for 0.6 s in every 2.3 s. */
static double data_sample(struct sound_state *state)
{
    state->phase += 2 * 3.14159265358979 * 1300 / 8000;
    return state->sample % 18400 < 4800 ? sin(state->phase) * 6000 : 0;
}

void sound_step(struct sound_state *state, int16_t out[STEP_SAMPLES])
{
    if (state->random == 0)
        state->random = 1;
    for (int i = 0; i < STEP_SAMPLES; i++, state->sample++)
        out[i] = state->sound == SOUND_VOICE  ? clipped(voice_sample(state))
                 : state->sound == SOUND_DATA ? clipped(data_sample(state))
                                              : 0;
}
