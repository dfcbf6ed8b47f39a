/* SPDX-License-Identifier: MIT */
/*
 * faxcall_script.c - a far end that is no fax machine: it sends by T.38 what a line of a file says,
 * frame by frame, packet by packet, and writes down what it heard.
 *
 * A line is NAME: STEP; STEP; …, and each call plays one. Bytes are in hexadecimal, least
 * significant bit first on the line, 00*9 meaning nine times 00.
 *
 *   dis                   waits for DIS; "expect MCF 8000": for that frame, but no longer, with RR
 *                         where RNR comes instead
 *   answer MS             waits for any final frame
 *   wait MS
 *   v21 BYTES             one frame in a V.21 signal of its own; "v21- BYTES": the signal goes on
 *   image BYTES           one frame on the image carrier, which goes on
 *   fcd FIRST COUNT BYTE LENGTH   image frames with numbers, LENGTH times BYTE in each
 *   rcp                   three RCP, the image carrier ends
 *   octets BYTES          an image carrier without ECM; "octets- BYTES": it goes on
 *   tcf                   training check
 *   ind N                 indicator N
 *   ifp BYTES             an IFP packet; "udptl BYTES": a UDP packet
 *   noise ifp|udptl|v21|image COUNT   random ones, of up to 300 octets
 *   mark, again N         goes back to the mark, N times
 *   silence               nothing more, until the other side hangs up
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define SPANDSP_EXPOSE_INTERNAL_STRUCTURES 1 /* for the packet numbers that are expected */
#include <spandsp.h>

#include "base/text.h"
#include "fax/t30/frames.h"
#include "test/tools/faxcall.h"

enum {
    PACKETS_A_TICK = 12,
    BYTES_MAX = 70000,
    NOISE_MAX = 300,
    DIS_MS = 20000,
    RNR_MS = 10000, /* for the next answer */
    PART = 256,     /* octets of an image in a packet */
};

static char **lines; /* constant once loaded */
static int line_count;

/* The name stays with the line, for whoever reads the file. */
bool scripts_load(const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t size = 0;
    ssize_t length;

    if (file == NULL)
        return false;
    while ((length = getline(&line, &size, file)) >= 0) {
        if (length < 2 || line[0] == '#')
            continue;
        line[strcspn(line, "\n")] = '\0';
        lines = realloc(lines, sizeof *lines * (size_t)(line_count + 1));
        if (lines == NULL || (lines[line_count++] = strdup(line)) == NULL)
            abort();
    }
    free(line);
    fclose(file);
    return line_count > 0;
}

int scripts_count(void)
{
    return line_count;
}

struct script {
    terminal_send_handler *send;
    script_packet_handler *packet;
    void *user;
    t38_core_state_t *t38; /* packs and unpacks IFP */
    const char *step;      /* the next one */
    const char *mark;
    int again;        /* so often the mark was gone back to */
    int wait_ms;      /* for the frame below, or for time to pass */
    int awaited;      /* control field; -1: any; -2: none */
    bool asks;        /* it was told to wait: RNR */
    int packets;      /* of this tick */
    const char *rest; /* what a step has not yet sent: bytes of an image, */
    size_t rest_at, rest_length;
    bool rest_ends;
    int fcd_next, fcd_left, fcd_length; /* frames, */
    uint8_t fcd_fill;
    int noise_left; /* noise */
    char noise_kind;
    uint64_t random;
    uint8_t frame[512]; /* coming in */
    size_t frame_length;
    uint8_t bytes[BYTES_MAX];
    struct outcome outcome;
};

/* ---- what comes in -------------------------------------------------------------------------- */

static void frame_heard(struct script *script)
{
    struct outcome *outcome = &script->outcome;
    int fcf = frame_fcf(script->frame, script->frame_length);
    size_t used = strlen(outcome->heard);
    char name[16];

    if (script->frame_length >= 3 && script->frame[1] == FRAME_FINAL) {
        snprintf(outcome->heard + used, sizeof outcome->heard - used, "%s%s", used > 0 ? " " : "",
                 frame_name(name, script->frame, script->frame_length));
        if (script->awaited == fcf || script->awaited == -1) {
            script->awaited = -2;
            script->wait_ms = 0;
        } else if (script->awaited > 0 && fcf == FCF_RNR) {
            script->asks = true;
        }
    }
    script->frame_length = 0;
}

static int on_data(t38_core_state_t *t38, void *user, int type, int field, const uint8_t *octets,
                   int length)
{
    struct script *script = user;

    (void)t38;
    (void)type;
    if (field == T38_FIELD_HDLC_DATA &&
        script->frame_length + (size_t)length <= sizeof script->frame) {
        bit_reverse(script->frame + script->frame_length, octets, length);
        script->frame_length += (size_t)length;
    } else if (field == T38_FIELD_HDLC_FCS_OK || field == T38_FIELD_HDLC_FCS_OK_SIG_END) {
        frame_heard(script);
    }
    return 0;
}

static int on_indicator(t38_core_state_t *t38, void *user, int indicator)
{
    (void)t38;
    (void)indicator;
    ((struct script *)user)->frame_length = 0;
    return 0;
}

static int on_missing(t38_core_state_t *t38, void *user, int expected, int seq)
{
    (void)t38;
    (void)expected;
    (void)seq;
    ((struct script *)user)->frame_length = 0;
    return 0;
}

void script_take_ifp(struct script *script, const uint8_t *ifp, size_t length, uint16_t seq)
{
    t38_core_rx_ifp_packet(script->t38, ifp, (int)length, seq);
}

/* ---- what goes out -------------------------------------------------------------------------- */

static int on_packet(t38_core_state_t *t38, void *user, const uint8_t *ifp, int length, int copies)
{
    struct script *script = user;

    (void)t38;
    (void)copies;
    script->packets++;
    script->send(script->user, ifp, (size_t)length, 1);
    return 0;
}

static void frame_send(struct script *script, int type, const uint8_t *frame, size_t length,
                       bool end)
{
    uint8_t reversed[2 * PART];
    size_t at = 0;

    do { /* the library packs no more than 1 kB */
        size_t part = length - at < sizeof reversed ? length - at : sizeof reversed;

        bit_reverse(reversed, frame + at, (int)part);
        t38_core_send_data(script->t38, type, T38_FIELD_HDLC_DATA, reversed, (int)part, 1);
        at += part;
    } while (at < length);
    t38_core_send_data(script->t38, type,
                       end ? T38_FIELD_HDLC_FCS_OK_SIG_END : T38_FIELD_HDLC_FCS_OK, NULL, 0, 1);
    if (end)
        t38_core_send_indicator(script->t38, T38_IND_NO_SIGNAL);
}

static void v21_send(struct script *script, const uint8_t *frame, size_t length, bool end)
{
    t38_core_send_indicator(script->t38, T38_IND_V21_PREAMBLE);
    frame_send(script, T38_DATA_V21, frame, length, end);
}

static void image_send(struct script *script, const uint8_t *frame, size_t length, bool end)
{
    t38_core_send_indicator(script->t38, T38_IND_V17_14400_SHORT_TRAINING);
    frame_send(script, T38_DATA_V17_14400, frame, length, end);
}

static void fcd_send(struct script *script)
{
    uint8_t frame[4 + PART] = {0xff, 0x03, FCF_FCD, (uint8_t)script->fcd_next++};

    memset(frame + 4, script->fcd_fill, PART);
    script->fcd_left--;
    image_send(script, frame, 4 + (size_t)script->fcd_length, false);
}

/* One part of an image without ECM. */
static void octets_send(struct script *script)
{
    size_t left = script->rest_length - script->rest_at;
    size_t part = left < PART ? left : PART;
    uint8_t reversed[PART];

    bit_reverse(reversed, script->bytes + script->rest_at, (int)part);
    t38_core_send_data(script->t38, T38_DATA_V17_14400, T38_FIELD_T4_NON_ECM_DATA, reversed,
                       (int)part, 1);
    script->rest_at += part;
    if (script->rest_at < script->rest_length)
        return;
    script->rest_length = 0;
    if (!script->rest_ends)
        return;
    t38_core_send_data(script->t38, T38_DATA_V17_14400, T38_FIELD_T4_NON_ECM_SIG_END, NULL, 0, 1);
    t38_core_send_indicator(script->t38, T38_IND_NO_SIGNAL);
}

/* xorshift64*: the same noise for the same seed. */
static unsigned random_below(struct script *script, unsigned limit)
{
    script->random ^= script->random >> 12;
    script->random ^= script->random << 25;
    script->random ^= script->random >> 27;
    return (unsigned)((script->random * UINT64_C(2685821657736338717)) >> 33) % limit;
}

static void noise_send(struct script *script)
{
    uint8_t noise[NOISE_MAX];
    size_t length = random_below(script, random_below(script, 8) == 0 ? NOISE_MAX : 24) + 1;

    for (size_t i = 0; i < length; i++)
        noise[i] = (uint8_t)random_below(script, 256);
    script->noise_left--;
    script->packets++;
    switch (script->noise_kind) {
    case 'i':
        if (random_below(script, 2) == 0)
            noise[0] = 0xc0; /* data of V.21, so that more than the first octet is looked at */
        script->send(script->user, noise, length, 1);
        break;
    case 'u': script->packet(script->user, noise, length); break;
    default:
        noise[0] = 0xff;
        if (length > 1)
            noise[1] = FRAME_FINAL;
        if (script->noise_kind == 'v')
            v21_send(script, noise, length, true);
        else
            image_send(script, noise, length, random_below(script, 4) == 0);
    }
}

/* ---- steps ---------------------------------------------------------------------------------- */

/* "ff13*2 00" → octets in script->bytes. */
static size_t bytes_read(struct script *script, const char *text)
{
    size_t length = 0;
    unsigned octet;
    int used;

    while (*text != '\0' && length < BYTES_MAX) {
        if (isspace((unsigned char)*text)) {
            text++;
        } else if (*text == '*' && length > 0) {
            long count = strtol(text + 1, (char **)(uintptr_t)&text, 10);

            for (; count > 1 && length < BYTES_MAX; count--, length++)
                script->bytes[length] = script->bytes[length - 1];
        } else if (sscanf(text, "%2x%n", &octet, &used) == 1 && used == 2) {
            script->bytes[length++] = (uint8_t)octet;
            text += 2;
        } else {
            fprintf(stderr, "faxcall: no bytes in a script: \"%s\"\n", text);
            exit(2);
        }
    }
    return length;
}

static int fcf_of(const char *name)
{
    static const struct {
        const char *name;
        int fcf;
    } names[] = {{"DIS", FCF_DIS}, {"CFR", FCF_CFR}, {"MCF", FCF_MCF}, {"RTN", FCF_RTN},
                 {"RTP", FCF_RTP}, {"PPR", FCF_PPR}, {"RNR", FCF_RNR}, {"ERR", FCF_ERR},
                 {"DCN", FCF_DCN}, {"FTT", 0x44},    {"CTR", 0xc4}};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i].name, name) == 0)
            return names[i].fcf;
    fprintf(stderr, "faxcall: no frame in a script: \"%s\"\n", name);
    exit(2);
}

static void await(struct script *script, int fcf, int ms)
{
    script->awaited = fcf;
    script->wait_ms = ms;
}

static void image_begin(struct script *script, size_t length, bool ends)
{
    script->rest_length = length;
    script->rest_at = 0;
    script->rest_ends = ends;
    t38_core_send_indicator(script->t38, T38_IND_V17_14400_LONG_TRAINING);
}

static bool sending_step(struct script *script, const char *word, const char *rest)
{
    static const uint8_t rcp[] = {0xff, 0x03, FCF_RCP};
    size_t length;

    if (strcmp(word, "v21") == 0 || strcmp(word, "v21-") == 0) {
        length = bytes_read(script, rest);
        v21_send(script, script->bytes, length, word[3] == '\0');
    } else if (strcmp(word, "image") == 0) {
        length = bytes_read(script, rest);
        image_send(script, script->bytes, length, false);
    } else if (strcmp(word, "rcp") == 0) {
        for (int i = 0; i < 3; i++)
            image_send(script, rcp, sizeof rcp, i == 2);
    } else if (strcmp(word, "octets") == 0 || strcmp(word, "octets-") == 0) {
        length = bytes_read(script, rest);
        image_begin(script, length, word[6] == '\0');
    } else if (strcmp(word, "tcf") == 0) {
        memset(script->bytes, 0, 2700);
        image_begin(script, 2700, true);
    } else if (strcmp(word, "ifp") == 0) {
        length = bytes_read(script, rest);
        script->send(script->user, script->bytes, length, 1);
    } else if (strcmp(word, "udptl") == 0) {
        length = bytes_read(script, rest);
        script->packet(script->user, script->bytes, length);
    } else if (strcmp(word, "ind") == 0) {
        t38_core_send_indicator(script->t38, atoi(rest));
    } else {
        return false;
    }
    script->packets++;
    return true;
}

static bool other_step(struct script *script, const char *word, const char *rest)
{
    unsigned fill;
    char name[16];
    int ms;

    if (strcmp(word, "dis") == 0) {
        await(script, FCF_DIS, DIS_MS);
    } else if (strcmp(word, "expect") == 0 && sscanf(rest, "%15s %d", name, &ms) == 2) {
        await(script, fcf_of(name), ms);
    } else if (strcmp(word, "answer") == 0) {
        await(script, -1, atoi(rest));
    } else if (strcmp(word, "wait") == 0) {
        await(script, -2, atoi(rest));
    } else if (strcmp(word, "silence") == 0) {
        await(script, -2, 1 << 30);
    } else if (strcmp(word, "fcd") == 0 &&
               sscanf(rest, "%d %d %2x %d", &script->fcd_next, &script->fcd_left, &fill,
                      &script->fcd_length) == 4) {
        script->fcd_fill = (uint8_t)fill;
    } else if (strcmp(word, "noise") == 0 &&
               sscanf(rest, "%15s %d", name, &script->noise_left) == 2) {
        script->noise_kind = name[0] == 'i' && name[1] == 'm' ? 'm' : name[0];
    } else if (strcmp(word, "mark") == 0) {
        script->mark = script->step;
        script->again = 0;
    } else if (strcmp(word, "again") == 0 && script->mark != NULL) {
        if (script->again++ < atoi(rest))
            script->step = script->mark;
    } else {
        return false;
    }
    return true;
}

/* False: there is no further one. */
static bool next_step(struct script *script)
{
    size_t length = strcspn(script->step, ";");
    char text[4096], word[16];
    int used = 0;

    if (*script->step == '\0')
        return false;
    if (length >= sizeof text)
        length = sizeof text - 1;
    memcpy(text, script->step, length);
    text[length] = '\0';
    script->step += length;
    if (*script->step == ';')
        script->step++;
    if (sscanf(text, " %15s %n", word, &used) != 1)
        return true;
    if (!sending_step(script, word, text + used) && !other_step(script, word, text + used)) {
        fprintf(stderr, "faxcall: not understood in a script: \"%s\"\n", text);
        exit(2);
    }
    return true;
}

void script_tick(struct script *script)
{
    static const uint8_t rr[] = {0xff, 0x13, 0x6f};

    script->packets = 0;
    if (script->asks) {
        v21_send(script, rr, sizeof rr, true);
        script->asks = false;
        if (script->wait_ms < RNR_MS)
            script->wait_ms = RNR_MS;
    }
    if (script->wait_ms > 0)
        script->wait_ms -= FAXCALL_TICK_MS;
    while (script->wait_ms <= 0 && script->packets < PACKETS_A_TICK) {
        if (script->rest_length > 0)
            octets_send(script);
        else if (script->fcd_left > 0)
            fcd_send(script);
        else if (script->noise_left > 0)
            noise_send(script);
        else if (!next_step(script)) {
            script->outcome.done = script->outcome.ok = true;
            return;
        }
    }
}

const struct outcome *script_outcome(const struct script *script)
{
    return &script->outcome;
}

/* ---- life ----------------------------------------------------------------------------------- */

struct script *script_new(int number, unsigned seed, terminal_send_handler *send,
                          script_packet_handler *packet, void *user)
{
    struct script *script = calloc(1, sizeof *script);
    const char *line = lines[(number - 1) % line_count];
    const char *colon = strchr(line, ':');

    if (script == NULL)
        return NULL;
    script->send = send;
    script->packet = packet;
    script->user = user;
    script->step = colon != NULL ? colon + 1 : line;
    script->awaited = -2;
    script->random = (seed * UINT64_C(1000003) + (uint64_t)number) * UINT64_C(0x9e3779b97f4a7c15);
    script->random |= 1;
    script->t38 = t38_core_init(NULL, on_indicator, on_data, on_missing, script, on_packet, script);
    if (script->t38 != NULL)
        return script;
    free(script);
    return NULL;
}

void script_free(struct script *script)
{
    if (script == NULL)
        return;
    t38_core_free(script->t38);
    free(script);
}
