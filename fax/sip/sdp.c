/* SPDX-License-Identifier: MIT */
/*
 * sdp.c - SDP read line by line, and the three texts that a fax call writes: the answer with
 * G.711, the answer with T.38, the offer of a switch between the two.
 *
 * What gateways send is often not what T.38 annex D says; the parser takes what has one meaning.
 */
#include "fax/sip/sdp.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"

enum {
    LINE_MAX_OCTETS = 512,
    OUR_MAX_BUFFER = 2000,
    OUR_MAX_DATAGRAM = 1400, /* with IP and UDP headers still one Ethernet frame */
    OUR_MAX_BIT_RATE = 14400,
    OUR_VERSION = 3,
};

/* ---- reading -------------------------------------------------------------------------------- */

/* The next line without its end into out; false at the end of the text. Lines too long are cut:
 * nothing that is needed here is that long. */
static bool line_next(const char **text, const char *end, char out[LINE_MAX_OCTETS])
{
    size_t length = 0;

    while (*text < end && (**text == '\r' || **text == '\n'))
        (*text)++;
    if (*text == end)
        return false;
    for (; *text < end && **text != '\r' && **text != '\n'; (*text)++)
        if (length < LINE_MAX_OCTETS - 1)
            out[length++] = **text >= 0x20 && **text < 0x7f ? **text : '?';
    while (length > 0 && out[length - 1] == ' ')
        length--;
    out[length] = '\0';
    return true;
}

/* The next word of a line, cut to size. False when there is none. */
static bool word_next(const char **text, char *out, size_t size)
{
    size_t length = 0;

    while (**text == ' ')
        (*text)++;
    for (; **text != '\0' && **text != ' '; (*text)++)
        if (length + 1 < size)
            out[length++] = **text;
    out[length] = '\0';
    return length > 0;
}

/* A decimal number at the beginning of text, clamped; false when there is none. */
static bool number_read(const char *text, uint64_t most, uint64_t *out)
{
    uint64_t value = 0;

    while (*text == ' ')
        text++;
    if (*text < '0' || *text > '9')
        return false;
    for (; *text >= '0' && *text <= '9'; text++)
        if (value <= most)
            value =
                value > (UINT64_MAX - 9) / 10 ? UINT64_MAX : value * 10 + (uint64_t)(*text - '0');
    *out = value > most ? most : value;
    return true;
}

static int number_or(const char *text, int most, int otherwise)
{
    uint64_t value;

    return text != NULL && number_read(text, (uint64_t)most, &value) ? (int)value : otherwise;
}

/* A flag of T.38 is present without a value, or has ":1"; ":0" and "false" are an old habit. */
static bool flag_read(const char *value)
{
    return value == NULL ||
           !(value[0] == '0' || strcasecmp(value, "false") == 0 || strcasecmp(value, "no") == 0);
}

/* RFC 4566 5.7: IN IP4 192.0.2.1/127. Only literals: nothing here asks a name server. */
static void connection_read(const char *text, char out[SDP_ADDRESS_MAX])
{
    char network[8], family[8], address[SDP_ADDRESS_MAX];
    unsigned char binary[16];
    char *slash;

    out[0] = '\0';
    if (!word_next(&text, network, sizeof network) || !word_next(&text, family, sizeof family) ||
        !word_next(&text, address, sizeof address) || strcasecmp(network, "IN") != 0)
        return;
    if ((slash = strchr(address, '/')) != NULL)
        *slash = '\0';
    if (inet_pton(AF_INET, address, binary) == 1 || inet_pton(AF_INET6, address, binary) == 1)
        memcpy(out, address, sizeof address);
}

static bool formats_hold(const char *formats, const char *wanted)
{
    char word[16];

    while (word_next(&formats, word, sizeof word))
        if (strcasecmp(word, wanted) == 0)
            return true;
    return false;
}

/* Which of the two G.711 laws comes first in the formats. */
static void audio_read(struct sdp_media *media)
{
    const char *formats = media->formats;
    char word[16];

    while (word_next(&formats, word, sizeof word)) {
        if (strcmp(word, "8") == 0) {
            media->alaw_first = media->alaw_first || !media->ulaw;
            media->alaw = true;
        }
        if (strcmp(word, "0") == 0)
            media->ulaw = true;
    }
}

/* m=image 4000 udptl t38; "4000/2" is a number of ports. */
static int media_read(struct sdp_media *media, const char *text)
{
    char port[16];
    uint64_t number;
    size_t length = 0;

    memset(media, 0, sizeof *media);
    if (!word_next(&text, media->media, sizeof media->media) ||
        !word_next(&text, port, sizeof port) ||
        !word_next(&text, media->proto, sizeof media->proto) ||
        !number_read(port, UINT64_MAX, &number) || number > 65535)
        return ERROR_FORMAT;
    media->port = (unsigned)number;
    while (*text == ' ')
        text++;
    if (*text == '\0')
        return ERROR_FORMAT;
    for (size_t i = 0; text[i] != '\0' && i + 1 < sizeof media->formats; i++) {
        media->formats[i] = text[i];
        if (text[i + 1] == ' ' || text[i + 1] == '\0')
            length = i + 1; /* cut between two formats */
    }
    media->formats[length] = '\0';
    return length > 0 ? 0 : ERROR_FORMAT;
}

static void error_correction_read(struct sdp_t38 *t38, const char *value)
{
    if (value == NULL)
        return;
    if (strcasestr(value, "FEC") != NULL)
        t38->correction = UDPTL_FEC;
    else if (strcasestr(value, "Redundancy") != NULL)
        t38->correction = UDPTL_REDUNDANCY;
    else if (strcasestr(value, "NoEC") != NULL || strcasecmp(value, "none") == 0)
        t38->correction = UDPTL_NONE;
}

/* T.38 table D.1, names without case; value is NULL when there is no colon. */
static void t38_attribute_read(struct sdp_t38 *t38, const char *name, const char *value)
{
    if (strcasecmp(name, "T38FaxVersion") == 0)
        t38->version = number_or(value, OUR_VERSION, t38->version);
    else if (strcasecmp(name, "T38MaxBitRate") == 0 || strcasecmp(name, "T38FaxMaxBitRate") == 0)
        t38->max_bit_rate = number_or(value, 1000000, t38->max_bit_rate);
    else if (strcasecmp(name, "T38FaxFillBitRemoval") == 0)
        t38->fill_bit_removal = flag_read(value);
    else if (strcasecmp(name, "T38FaxTranscodingMMR") == 0)
        t38->transcoding_mmr = flag_read(value);
    else if (strcasecmp(name, "T38FaxTranscodingJBIG") == 0)
        t38->transcoding_jbig = flag_read(value);
    else if (strcasecmp(name, "T38FaxRateManagement") == 0)
        t38->local_tcf = value != NULL && strcasecmp(value, "localTCF") == 0;
    else if (strcasecmp(name, "T38FaxMaxBuffer") == 0)
        t38->max_buffer = number_or(value, 1000000, t38->max_buffer);
    else if (strcasecmp(name, "T38FaxMaxDatagram") == 0)
        t38->max_datagram = number_or(value, 65535, t38->max_datagram);
    else if (strcasecmp(name, "T38FaxUdpEC") == 0)
        error_correction_read(t38, value);
}

static void attribute_read(struct sdp_t38 *t38, struct sdp_media *media, char *text)
{
    char *value = strchr(text, ':');

    if (value != NULL) {
        *value++ = '\0';
        while (*value == ' ')
            value++;
    }
    if (media != NULL && strcasecmp(text, "ptime") == 0)
        media->ptime_ms = number_or(value, 1000, media->ptime_ms);
    t38_attribute_read(t38, text, value);
}

/* o=- 20518 1 IN IP4 203.0.113.1 */
static void origin_read(struct sdp *sdp, const char *text)
{
    char user[64], id[32], version[32];

    if (word_next(&text, user, sizeof user) && word_next(&text, id, sizeof id) &&
        word_next(&text, version, sizeof version)) {
        (void)number_read(id, UINT64_MAX, &sdp->origin_id);
        (void)number_read(version, UINT64_MAX, &sdp->origin_version);
    }
}

static void media_judge(struct sdp_media *media, const char *session_address)
{
    if (media->address[0] == '\0')
        memcpy(media->address, session_address, sizeof media->address);
    if (media->ptime_ms == 0)
        media->ptime_ms = 20;
    if (media->address[0] == '\0')
        return;
    if (strcasecmp(media->media, "image") == 0 && strcasecmp(media->proto, "udptl") == 0 &&
        formats_hold(media->formats, "t38"))
        media->kind = SDP_T38;
    if (strcasecmp(media->media, "audio") == 0 && strcasecmp(media->proto, "RTP/AVP") == 0) {
        audio_read(media);
        if (media->alaw || media->ulaw)
            media->kind = SDP_AUDIO;
    }
}

int sdp_parse(struct sdp *out, const char *text, size_t length)
{
    /* What is not said: version 0, and redundancy, which every receiver of UDPTL can read. */
    struct sdp_t38 common = {.max_bit_rate = OUR_MAX_BIT_RATE, .correction = UDPTL_REDUNDANCY};
    struct sdp sdp = {0};
    struct sdp_media *media = NULL;
    char line[LINE_MAX_OCTETS], session_address[SDP_ADDRESS_MAX] = "";
    const char *end = text + length;
    int error;

    if (length > SDP_TEXT_MAX)
        return ERROR_LIMIT;
    if (!line_next(&text, end, line) || strncmp(line, "v=", 2) != 0)
        return ERROR_FORMAT;
    while (line_next(&text, end, line)) {
        if (line[0] == '\0' || line[1] != '=')
            return ERROR_FORMAT;
        if (line[0] == 'm') {
            if (sdp.count == SDP_MEDIA_MAX)
                return ERROR_LIMIT;
            media = &sdp.media[sdp.count++];
            if ((error = media_read(media, line + 2)) < 0)
                return error;
            media->t38 = common;
        } else if (line[0] == 'c') {
            connection_read(line + 2, media != NULL ? media->address : session_address);
        } else if (line[0] == 'o') {
            origin_read(&sdp, line + 2);
        } else if (line[0] == 'a') {
            attribute_read(media != NULL ? &media->t38 : &common, media, line + 2);
        }
    }
    if (sdp.count == 0)
        return ERROR_FORMAT;
    for (int i = 0; i < sdp.count; i++)
        media_judge(&sdp.media[i], session_address);
    *out = sdp;
    return 0;
}

int sdp_choose(const struct sdp *offer, bool t38_allowed)
{
    for (int i = 0; t38_allowed && i < offer->count; i++)
        if (offer->media[i].kind == SDP_T38 && offer->media[i].port != 0)
            return i;
    for (int i = 0; i < offer->count; i++)
        if (offer->media[i].kind == SDP_AUDIO && offer->media[i].port != 0)
            return i;
    return -1;
}

/* ---- writing -------------------------------------------------------------------------------- */

void sdp_t38_offer(struct sdp_t38 *out)
{
    *out = (struct sdp_t38){
        .version = 0, /* version 0 is what every gateway understands */
        .max_bit_rate = OUR_MAX_BIT_RATE,
        .max_buffer = OUR_MAX_BUFFER,
        .max_datagram = OUR_MAX_DATAGRAM,
        .correction = UDPTL_REDUNDANCY,
    };
}

/* T.38 D.2.3: version and rate may be lowered, rate management stays, what we cannot do is left
 * out. */
void sdp_t38_answer(struct sdp_t38 *out, const struct sdp_t38 *offer)
{
    struct sdp_t38 answer;

    sdp_t38_offer(&answer);
    answer.version = offer->version < OUR_VERSION ? offer->version : OUR_VERSION;
    if (offer->max_bit_rate > 0 && offer->max_bit_rate < answer.max_bit_rate)
        answer.max_bit_rate = offer->max_bit_rate;
    answer.local_tcf = offer->local_tcf;
    answer.correction = offer->correction;
    *out = answer;
}

struct writer {
    char *out;
    size_t size, length;
    bool full;
};

__attribute__((format(printf, 2, 3))) static void write_line(struct writer *writer,
                                                             const char *format, ...)
{
    va_list arguments;
    int length;

    if (writer->full)
        return;
    va_start(arguments, format);
    length =
        vsnprintf(writer->out + writer->length, writer->size - writer->length, format, arguments);
    va_end(arguments);
    writer->full = length < 0 || (size_t)length + 2 >= writer->size - writer->length;
    if (writer->full)
        return;
    writer->length += (size_t)length;
    memcpy(writer->out + writer->length, "\r\n", 3);
    writer->length += 2;
}

static void write_session(struct writer *writer, const struct sdp_local *local)
{
    const char *family = strchr(local->address, ':') != NULL ? "IP6" : "IP4";

    write_line(writer, "v=0");
    write_line(writer, "o=- %llu %llu IN %s %s", (unsigned long long)local->session_id,
               (unsigned long long)local->version, family, local->address);
    write_line(writer, "s=fax");
    write_line(writer, "c=IN %s %s", family, local->address);
    write_line(writer, "t=0 0");
}

static void write_audio(struct writer *writer, const struct sdp_local *local)
{
    write_line(writer, "m=audio %u RTP/AVP %d", local->port, (int)local->law);
    write_line(writer, "a=rtpmap:%d %s/8000", (int)local->law,
               local->law == RTP_PCMA ? "PCMA" : "PCMU");
    write_line(writer, "a=ptime:20");
    write_line(writer, "a=silenceSupp:off - - - -"); /* RFC 3108: a modem's pauses are signal too */
    write_line(writer, "a=sendrecv");
}

static const char *correction_text(enum udptl_correction correction)
{
    return correction == UDPTL_FEC          ? "t38UDPFEC"
           : correction == UDPTL_REDUNDANCY ? "t38UDPRedundancy"
                                            : "t38UDPNoEC";
}

/* proto: as the other side wrote it; some compare it with case. */
static void write_t38(struct writer *writer, const struct sdp_local *local, const char *proto)
{
    const struct sdp_t38 *t38 = &local->t38;

    write_line(writer, "m=image %u %s t38", local->port, proto);
    write_line(writer, "a=T38FaxVersion:%d", t38->version);
    write_line(writer, "a=T38MaxBitRate:%d", t38->max_bit_rate);
    if (t38->fill_bit_removal)
        write_line(writer, "a=T38FaxFillBitRemoval");
    if (t38->transcoding_mmr)
        write_line(writer, "a=T38FaxTranscodingMMR");
    if (t38->transcoding_jbig)
        write_line(writer, "a=T38FaxTranscodingJBIG");
    write_line(writer, "a=T38FaxRateManagement:%s", t38->local_tcf ? "localTCF" : "transferredTCF");
    if (t38->max_buffer > 0)
        write_line(writer, "a=T38FaxMaxBuffer:%d", t38->max_buffer);
    if (t38->max_datagram > 0)
        write_line(writer, "a=T38FaxMaxDatagram:%d", t38->max_datagram);
    write_line(writer, "a=T38FaxUdpEC:%s", correction_text(t38->correction));
}

static void write_refused(struct writer *writer, const struct sdp_media *media)
{
    write_line(writer, "m=%s 0 %s %s", media->media, media->proto, media->formats);
}

static int writer_done(const struct writer *writer)
{
    return writer->full ? ERROR_LIMIT : (int)writer->length;
}

int sdp_answer(char *out, size_t size, const struct sdp *offer, int chosen,
               const struct sdp_local *local)
{
    struct writer writer = {.out = out, .size = size};

    if (size == 0)
        return ERROR_LIMIT;
    write_session(&writer, local);
    for (int i = 0; i < offer->count; i++) {
        if (i != chosen)
            write_refused(&writer, &offer->media[i]);
        else if (offer->media[i].kind == SDP_T38)
            write_t38(&writer, local, offer->media[i].proto);
        else
            write_audio(&writer, local);
    }
    return writer_done(&writer);
}

int sdp_offer(char *out, size_t size, enum sdp_kind kind, const struct sdp *before, int place,
              const struct sdp_local *local)
{
    struct writer writer = {.out = out, .size = size};
    int count = before != NULL && before->count > 0 ? before->count : 1;

    if (size == 0)
        return ERROR_LIMIT;
    if (place < 0 || place >= count)
        place = 0;
    write_session(&writer, local);
    for (int i = 0; i < count; i++) {
        if (i != place)
            write_refused(&writer, &before->media[i]);
        else if (kind == SDP_T38)
            write_t38(&writer, local, "udptl");
        else
            write_audio(&writer, local);
    }
    return writer_done(&writer);
}
