/* SPDX-License-Identifier: MIT */
/*
 * fuzz_policy_memory.c - any text as a delivery's memory: it is read within its bounds, can be
 * written again, and every event gives a step. Body for libFuzzer and for replay.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/next_step.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void step(const struct policy_memory *memory, enum policy_event event,
                 enum failure_class class)
{
    static const struct policy_settings settings = {180000, 3600000, 432000000, 10, 3, false};
    struct server_list servers = {.configured = true, .count = 2};
    struct policy_health_entry health[2] = {{POLICY_UP, INT64_MAX}, {POLICY_DOWN, 5000}};
    struct policy_result result;
    struct policy_input input = {
        .settings = &settings,
        .servers = &servers,
        .health = health,
        .memory = memory,
        .now_ms = 1000,
        .permitted = true,
        .event = event,
        .server = "one",
        .class = class,
    };
    char text[POLICY_MEMORY_TEXT_MAX];

    strcpy(servers.server[0].name, "one");
    strcpy(servers.server[1].name, "two");
    policy_next_step(&result, &input);
    if (policy_memory_format(text, &result.memory) != 0)
        abort();
    if (result.action == POLICY_CONNECT && server_list_find(&servers, result.server) < 0)
        abort();
    if (result.action == POLICY_WAIT && result.due_ms <= input.now_ms)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy_memory memory;
    struct policy_memory again;
    char written[POLICY_MEMORY_TEXT_MAX];
    char *text = malloc(size + 1);
    int class;

    if (text == NULL)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    policy_memory_parse(&memory, text);
    if (policy_memory_format(written, &memory) != 0 || policy_memory_parse(&again, written) != 0)
        abort();
    step(&memory, POLICY_BEGIN, FAILURE_NONE);
    step(&memory, POLICY_CRASHED, FAILURE_NONE);
    step(&memory, POLICY_NOT_TRIED, FAILURE_NONE);
    step(&memory, POLICY_LOCAL, FAILURE_NONE);
    for (class = 1; class < FAILURE_CLASS_COUNT; class ++)
        step(&memory, POLICY_FAILED, (enum failure_class) class);
    free(text);
    return 0;
}
