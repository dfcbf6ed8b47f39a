/* SPDX-License-Identifier: MIT */
/*
 * class2_rig.c - script, modem, disk and clock around a session, in 20 ms steps.
 */
#include "test/unit/class2_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <tiffio.h>

#include "fax/modem/at_stream.h"
#include "fax/modem/class2_bits.h"
#include "fax/modem/front_modem.h"
#include "test/unit/page_rig.h"

enum {
    BEGIN_MS = 1000,
    RUN_MOST_MS = 600000,
    OCTETS_A_TICK = 400,
    RESPONSE_MS = 40,
    PAGE_MAX = 200000,
};

struct rig {
    const struct class2_case *c;
    struct class2_result *out;
    struct session *session;
    int64_t now_ms;
    size_t at; /* in the script */
    char command[128];
    size_t command_length;
    /* what the modem still has to say */
    uint8_t queue[2 * PAGE_MAX];
    size_t head, tail;
    struct {
        size_t offset;
        int ms;
    } pauses[16]; /* before these octets of the queue */
    int pause_count, pause_next;
    int64_t speaks_ms;
    int64_t page_end_ms;
    struct {
        int64_t due_ms;
        uint32_t generation;
        int error;
    } store;
    int stores;
};

static void fault(struct rig *rig, const char *format, ...)
{
    va_list arguments;

    if (rig->out->fault[0] != '\0')
        return;
    va_start(arguments, format);
    vsnprintf(rig->out->fault, sizeof rig->out->fault, format, arguments);
    va_end(arguments);
}

/* ---- pages ------------------------------------------------------------------------------------
 */

static int rows_of(const struct class2_case *c)
{
    return c->rows > 0 ? c->rows : 200;
}

static int width_of(const struct class2_case *c)
{
    return c->width > 0 ? c->width : 1728;
}

uint64_t class2_page_hash(const struct class2_case *c, int number)
{
    return page_hash(width_of(c), rows_of(c), number);
}

/* Zeros before each EOL (T.4 4.1.3). Gives the new length. */
static size_t add_fill(uint8_t *octets, size_t length, int fill)
{
    static uint8_t old[PAGE_MAX];
    size_t used = 0;
    int zeros = 0;

    memcpy(old, octets, length);
    memset(octets, 0, PAGE_MAX);
    for (size_t i = 0; i < length * 8 && used / 8 < PAGE_MAX - 64; i++, used++) {
        bool bit = (old[i / 8] >> (i % 8) & 1) != 0;

        if (bit && zeros >= 11)
            used += (size_t)fill * 8;
        if (bit)
            octets[used / 8] |= (uint8_t)(1 << (used % 8));
        zeros = bit ? 0 : zeros + 1;
    }
    return used / 8 + 1;
}

/* Page n in T.4, the first bit of the line lowest, EOL before each row. Gives the octets. */
static size_t encode_page(uint8_t *out, const struct class2_case *c, int number)
{
    char path[] = "/tmp/faxpost-class2-XXXXXX";
    uint8_t row[PAGE_RIG_WIDTH_MAX / 8];
    tmsize_t length;
    TIFF *tiff;

    close(mkstemp(path));
    tiff = TIFFOpen(path, "w");
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, width_of(c));
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, rows_of(c));
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 1);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, COMPRESSION_CCITTFAX3);
    TIFFSetField(tiff, TIFFTAG_GROUP3OPTIONS, c->two_d ? GROUP3OPT_2DENCODING : 0);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISWHITE);
    TIFFSetField(tiff, TIFFTAG_FILLORDER, FILLORDER_LSB2MSB);
    TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, rows_of(c));
    for (int y = 0; y < rows_of(c); y++) {
        page_draw_row(row, width_of(c), number, y);
        TIFFWriteScanline(tiff, row, (uint32_t)y, 0);
    }
    TIFFClose(tiff);
    tiff = TIFFOpen(path, "r");
    length = TIFFReadRawStrip(tiff, 0, out, PAGE_MAX - 32);
    TIFFClose(tiff);
    unlink(path);
    if (length <= 0)
        abort();
    if (!c->no_rtc) { /* six EOL, with fill before the first (T.4 4.1.4) */
        static const uint8_t rtc1[] = {0, 0, 0x08, 0x80, 0, 0x08, 0x80, 0, 0x08, 0x80};
        static const uint8_t rtc2[] = {0,    0,    0x18, 0,    0x03, 0x60, 0,
                                       0x0c, 0x80, 0x01, 0x30, 0,    0x06};

        memcpy(out + length, c->two_d ? rtc2 : rtc1, c->two_d ? sizeof rtc2 : sizeof rtc1);
        length += c->two_d ? (tmsize_t)sizeof rtc2 : (tmsize_t)sizeof rtc1;
    }
    return c->fill > 0 ? add_fill(out, (size_t)length, c->fill) : (size_t)length;
}

/* ---- the modem --------------------------------------------------------------------------------
 */

static void say(struct rig *rig, const void *octets, size_t length)
{
    if (rig->tail + length > sizeof rig->queue)
        abort();
    memcpy(rig->queue + rig->tail, octets, length);
    rig->tail += length;
}

/* DLE DLE, or DLE SUB for two of them (T.32). */
static void say_image(struct rig *rig, const uint8_t *octets, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (rig->c->sub && i + 1 < length && octets[i] == AT_DLE && octets[i + 1] == AT_DLE) {
            say(rig, (const uint8_t[]){AT_DLE, AT_SUB}, 2);
            i++;
            continue;
        }
        if (octets[i] == AT_DLE)
            say(rig, &octets[i], 1);
        say(rig, &octets[i], 1);
    }
}

static void say_page(struct rig *rig, const char *item)
{
    static uint8_t page[PAGE_MAX];
    int number = atoi(item);
    char how = item[strlen(item) - 1];
    size_t length = number > 0 ? encode_page(page, rig->c, number) : 0;
    size_t from = how == '>' ? length / 2 : 0;
    size_t to = how == '<' ? length / 2 : length;

    if (how == '%')
        for (size_t i = 40; i < length; i += 90)
            page[i] ^= 0x5a;
    if (rig->c->reversed)
        class2_reverse_bits(page, page, length);
    say_image(rig, page + from, to - from);
    if (how != '<')
        say(rig, (const uint8_t[]){AT_DLE, AT_ETX}, 2);
}

static void respond(struct rig *rig, const char *response)
{
    char items[512];
    char *rest = NULL;

    if (rig->head == rig->tail) {
        rig->head = rig->tail = 0;
        rig->pause_count = rig->pause_next = 0;
    }
    snprintf(items, sizeof items, "%s", response);
    for (char *item = strtok_r(items, "|", &rest); item != NULL;
         item = strtok_r(NULL, "|", &rest)) {
        if (item[0] == '@') {
            say_page(rig, item + 1);
            rig->page_end_ms = 0;
        } else if (item[0] == '~' && rig->pause_count < 16) {
            rig->pauses[rig->pause_count].offset = rig->tail;
            rig->pauses[rig->pause_count++].ms = atoi(item + 1);
        } else if (item[0] == '!') {
            say(rig, item + 1, strlen(item + 1));
        } else {
            say(rig, "\r\n", 2);
            say(rig, item, strlen(item));
            say(rig, "\r\n", 2);
        }
    }
    if (rig->speaks_ms < rig->now_ms + RESPONSE_MS)
        rig->speaks_ms = rig->now_ms + RESPONSE_MS;
}

static void take_command(struct rig *rig, const char *command)
{
    const struct exchange *expected = &rig->c->script[rig->at];

    if (expected->command == NULL) {
        fault(rig, "after the script came %s", command);
    } else if (strcmp(expected->command, command) != 0) {
        fault(rig, "step %zu: %s came, not %s", rig->at, command, expected->command);
    } else {
        if (rig->page_end_ms > 0)
            rig->out->answered_ms = rig->now_ms - rig->page_end_ms;
        rig->at++;
        if (strcmp(command, "CAN") == 0) /* T.32: what was not sent yet is thrown away */
            rig->head = rig->tail;
        respond(rig, expected->response);
    }
}

static void on_octets(void *user, const uint8_t *octets, size_t length)
{
    struct rig *rig = user;

    for (size_t i = 0; i < length; i++) {
        if (octets[i] == '\r' || rig->command_length == sizeof rig->command - 1) {
            rig->command[rig->command_length] = '\0';
            rig->command_length = 0;
            take_command(rig, rig->command);
        } else if (octets[i] == 0x12 || octets[i] == 0x11 || octets[i] == AT_CAN) {
            take_command(rig, octets[i] == 0x12 ? "DC2" : octets[i] == 0x11 ? "DC1" : "CAN");
        } else {
            rig->command[rig->command_length++] = (char)octets[i];
        }
    }
}

/* Some octets of what the modem has to say arrive. */
static void speak(struct rig *rig)
{
    size_t length = rig->tail - rig->head;

    if (rig->now_ms < rig->speaks_ms || length == 0)
        return;
    if (length > OCTETS_A_TICK)
        length = OCTETS_A_TICK;
    if (rig->pause_next < rig->pause_count) {
        size_t until = rig->pauses[rig->pause_next].offset - rig->head;

        if (until == 0) {
            rig->speaks_ms = rig->now_ms + rig->pauses[rig->pause_next++].ms;
            return;
        }
        if (length > until)
            length = until;
    }
    session_post_octets(rig->session, rig->queue + rig->head, length);
    rig->head += length;
    if (rig->head == rig->tail && rig->page_end_ms == 0)
        rig->page_end_ms = rig->now_ms;
}

/* ---- the session ------------------------------------------------------------------------------
 */

static void on_trace(void *user, const char *line)
{
    struct class2_result *out = ((struct rig *)user)->out;
    size_t used = strlen(out->trace);

    snprintf(out->trace + used, sizeof out->trace - used, "%s\n", line);
}

static void take_pages(struct rig *rig)
{
    struct session_page page;

    while (session_take_page(rig->session, &page)) {
        uint64_t hash = page_tiff_hash(page.tiff, page.length);

        if (page.unconfirmed) {
            rig->out->unconfirmed++;
            rig->out->rest_hash = hash;
        } else {
            rig->stores++;
            rig->out->stored++;
            if (page.number < CLASS2_PAGES_MAX)
                rig->out->page_hash[page.number] = hash;
            rig->store.due_ms = rig->now_ms + rig->c->store_ms;
            rig->store.generation = page.generation;
            rig->store.error = rig->stores == rig->c->store_fails_at ? -3 : 0;
        }
        free(page.tiff);
    }
}

static void step(struct rig *rig)
{
    if (rig->store.due_ms > 0 && rig->now_ms >= rig->store.due_ms) {
        rig->store.due_ms = 0;
        session_post_stored(rig->session, rig->store.generation, rig->store.error);
    }
    if (rig->c->hangup_ms > 0 && rig->now_ms == BEGIN_MS + rig->c->hangup_ms)
        session_post_hangup(rig->session, "the gateway is being stopped");
    speak(rig);
    switch (session_run(rig->session, rig->now_ms, NULL)) {
    case SESSION_GOES_ON: break;
    case SESSION_NEEDS_WORKER:
        session_work(rig->session);
        take_pages(rig);
        break;
    case SESSION_ENDED: rig->out->ended = true; break;
    }
}

void class2_run(struct class2_result *out, const struct class2_case *c)
{
    static struct rig rig;
    const struct session_settings settings = {
        .media = SESSION_MODEM,
        .front_new = front_modem_new,
        .station = c->station != NULL ? c->station : "+49 30 1",
        .ecm = !c->no_ecm,
        .pages_max = 100,
        .rows_max = c->rows_max > 0 ? c->rows_max : 20000,
        .session_ms_max = 3600000,
        .stall_ms_max = 90000,
        .modem = {.class = c->class, .bit_order = c->bit_order, .page_start = c->page_start},
    };
    const struct session_hooks hooks = {.user = &rig, .send_octets = on_octets, .trace = on_trace};

    memset(out, 0, sizeof *out);
    memset(&rig, 0, sizeof rig);
    rig.c = c;
    rig.out = out;
    if (session_library_init() < 0 || session_new(&rig.session, &settings, &hooks) < 0)
        abort();
    for (rig.now_ms = BEGIN_MS; rig.now_ms < RUN_MOST_MS && !out->ended;
         rig.now_ms += SESSION_TICK_MS)
        step(&rig);
    if (c->script[rig.at].command != NULL)
        fault(&rig, "step %zu: %s never came", rig.at, c->script[rig.at].command);
    out->ms = rig.now_ms - BEGIN_MS;
    session_describe(rig.session, &out->info);
    session_free(rig.session);
}

void class2_check(const struct class2_row *row)
{
    static struct class2_result result;
    const struct class2_case *c = &row->c;

    class2_run(&result, c);
    if (getenv("FAXPOST_SHOW") != NULL)
        printf("-- %s\n%s", c->name, result.trace);
    if (!result.ended || result.fault[0] != '\0')
        fail_msg("%s: ended %d, %s\n%s", c->name, result.ended, result.fault, result.trace);
    if (result.info.verdict != row->verdict || result.info.pages != row->pages ||
        result.info.unconfirmed != row->unconfirmed || result.stored < row->pages)
        fail_msg("%s: verdict %d, %d pages, %d unconfirmed, %d stored, error \"%s\"\n%s", c->name,
                 result.info.verdict, result.info.pages, result.info.unconfirmed, result.stored,
                 result.info.error, result.trace);
    if (row->error == NULL ? result.info.error[0] != '\0'
                           : strstr(result.info.error, row->error) == NULL)
        fail_msg("%s: error \"%s\"\n%s", c->name, result.info.error, result.trace);
    for (int i = 1; i <= row->pages; i++)
        if (result.page_hash[i] != class2_page_hash(c, i))
            fail_msg("%s: page %d is not what was sent\n%s", c->name, i, result.trace);
}
