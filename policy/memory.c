/* SPDX-License-Identifier: MIT */
/*
 * memory.c - a delivery's memory as one line of text: `1 at=one rounds=2 … note=two:0:1`.
 *
 * The text comes from our own database, yet whatever it holds, the parse gives a memory within its
 * bounds: at worst a delivery begins anew.
 */
#include "policy/next_step.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

enum { VERSION = 1 };

int policy_memory_format(char out[POLICY_MEMORY_TEXT_MAX], const struct policy_memory *memory)
{
    size_t used;
    int i;

    used = (size_t)snprintf(
        out, POLICY_MEMORY_TEXT_MAX,
        "%d at=%s pinned=%s uncertain=%d rounds=%d warned=%d doublings=%d repeats=%d wait=%d "
        "down=%d since=%" PRId64 " until=%" PRId64 " due=%" PRId64,
        VERSION, memory->at, memory->pinned, memory->uncertain, memory->rounds, memory->warned,
        memory->doublings, memory->repeats, (int)memory->wait, memory->wait_down, memory->since_ms,
        memory->until_ms, memory->due_ms);
    for (i = 0; i < memory->note_count && used < POLICY_MEMORY_TEXT_MAX; i++) {
        const struct policy_note *note = &memory->note[i];

        if (note->temporary == 0 && !note->struck)
            continue;
        used += (size_t)snprintf(out + used, POLICY_MEMORY_TEXT_MAX - used, " note=%s:%d:%d",
                                 note->server, note->temporary, note->struck);
    }
    return used < POLICY_MEMORY_TEXT_MAX ? 0 : ERROR_LIMIT;
}

static void parse_note(struct policy_memory *out, const char *value)
{
    struct policy_note *note = &out->note[out->note_count];
    int struck = 0;

    if (out->note_count == SERVER_COUNT_MAX)
        return;
    if (sscanf(value, "%32[^:]:%d:%d", note->server, &note->temporary, &struck) != 3)
        return;
    note->struck = struck != 0;
    if (note->temporary < 0)
        note->temporary = 0;
    out->note_count++;
}

static int clamp(int64_t value)
{
    return value < 0 ? 0 : value > 1000000 ? 1000000 : (int)value;
}

static void parse_item(struct policy_memory *out, const char *key, const char *value)
{
    int64_t number = 0;

    if (strcmp(key, "note") == 0) {
        parse_note(out, value);
        return;
    }
    if (strcmp(key, "at") == 0)
        text_copy(out->at, sizeof out->at, value);
    else if (strcmp(key, "pinned") == 0)
        text_copy(out->pinned, sizeof out->pinned, value);
    if (text_number(&number, value) < 0)
        return;
    if (strcmp(key, "uncertain") == 0)
        out->uncertain = number != 0;
    else if (strcmp(key, "rounds") == 0)
        out->rounds = clamp(number);
    else if (strcmp(key, "warned") == 0)
        out->warned = number != 0;
    else if (strcmp(key, "doublings") == 0)
        out->doublings = clamp(number);
    else if (strcmp(key, "repeats") == 0)
        out->repeats = clamp(number);
    else if (strcmp(key, "wait") == 0 && number >= 0 && number <= POLICY_WAIT_DOWN)
        out->wait = (enum policy_wait)number;
    else if (strcmp(key, "down") == 0)
        out->wait_down = number != 0;
    else if (strcmp(key, "since") == 0)
        out->since_ms = number;
    else if (strcmp(key, "until") == 0)
        out->until_ms = number;
    else if (strcmp(key, "due") == 0)
        out->due_ms = number;
}

int policy_memory_parse(struct policy_memory *out, const char *text)
{
    char copy[POLICY_MEMORY_TEXT_MAX];
    char *save = NULL;
    char *item;

    memset(out, 0, sizeof *out);
    if (text == NULL || text[0] == '\0')
        return 0;
    if (!text_copy(copy, sizeof copy, text))
        return ERROR_FORMAT;
    item = strtok_r(copy, " ", &save);
    if (item == NULL || strcmp(item, "1") != 0)
        return ERROR_FORMAT;
    while ((item = strtok_r(NULL, " ", &save)) != NULL) {
        char *equals = strchr(item, '=');

        if (equals == NULL) {
            memset(out, 0, sizeof *out);
            return ERROR_FORMAT;
        }
        *equals = '\0';
        parse_item(out, item, equals + 1);
    }
    return 0;
}
