/* SPDX-License-Identifier: MIT */
/*
 * next_step.c - the flow of one delivery, S1 to S13 of spec/failover.md, without any I/O.
 *
 * A turn begins with take_up() or with the end of an attempt, passes through "which server next"
 * (S8, S9) and "has the round failed" (S11), and always ends in an attempt, a wait or an end.
 */
#include "policy/next_step.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum { DOUBLINGS_MAX = 40, RECHECK_MS = 10 };

struct flow {
    const struct policy_input *in;
    struct policy_result *out;
    struct policy_memory *memory; /* of the result */
};

/* ---- ends of a turn ---------------------------------------------------------------------------
 */

static void give_reason(struct flow *flow, const char *reason)
{
    text_copy(flow->out->reason, sizeof flow->out->reason, reason);
}

static void end_failed(struct flow *flow, enum policy_step step, const char *reason)
{
    flow->out->step = step;
    flow->out->action = POLICY_FAIL;
    give_reason(flow, reason);
}

static void connect_to(struct flow *flow, int index, enum policy_step step, const char *reason)
{
    const struct server *server = &flow->in->servers->server[index];

    flow->out->step = step;
    flow->out->action = POLICY_CONNECT;
    text_copy(flow->out->server, sizeof flow->out->server, server->name);
    text_copy(flow->memory->at, sizeof flow->memory->at, server->name);
    give_reason(flow, reason);
}

static int64_t expiry(const struct flow *flow)
{
    return flow->in->created_ms + flow->in->settings->expire_ms;
}

/* Ends the turn with a wait until memory->until_ms, or earlier where due_ms says so; at the age
 * limit the delivery ends instead. */
static void wait_until(struct flow *flow, enum policy_step step, int64_t due_ms, const char *reason)
{
    if (flow->in->now_ms >= expiry(flow)) {
        end_failed(flow, POLICY_S13, "expired: no server took it in time");
        return;
    }
    if (flow->memory->until_ms > expiry(flow))
        flow->memory->until_ms = expiry(flow);
    if (due_ms > flow->memory->until_ms)
        due_ms = flow->memory->until_ms;
    if (due_ms < flow->in->now_ms + RECHECK_MS)
        due_ms = flow->in->now_ms + RECHECK_MS;
    flow->out->step = step;
    flow->out->action = POLICY_WAIT;
    flow->out->due_ms = due_ms;
    flow->memory->due_ms = due_ms;
    give_reason(flow, reason);
}

static void begin_wait(struct flow *flow, enum policy_wait kind, int64_t wait_ms)
{
    flow->memory->wait = kind;
    flow->memory->since_ms = flow->in->now_ms;
    flow->memory->until_ms = flow->in->now_ms + wait_ms;
}

/* ---- which servers ----------------------------------------------------------------------------
 */

static struct policy_note *find_note(struct policy_memory *memory, const char *server)
{
    int i;

    for (i = 0; i < memory->note_count; i++)
        if (strcmp(memory->note[i].server, server) == 0)
            return &memory->note[i];
    return NULL;
}

/* The note of a server, made where there is none. Notes of servers that left the list give way. */
static struct policy_note *make_note(struct flow *flow, const char *server)
{
    struct policy_memory *memory = flow->memory;
    struct policy_note *note = find_note(memory, server);
    int i;

    if (note != NULL)
        return note;
    if (memory->note_count < SERVER_COUNT_MAX) {
        note = &memory->note[memory->note_count++];
    } else {
        note = &memory->note[0];
        for (i = 0; i < memory->note_count; i++)
            if (server_list_find(flow->in->servers, memory->note[i].server) < 0)
                note = &memory->note[i];
    }
    *note = (struct policy_note){.temporary = 0};
    text_copy(note->server, sizeof note->server, server);
    return note;
}

/* The only server that is left after an uncertain end there; "" where all are. The settings of now
 * count: an operator may open the way for those that wait for a server that does not come back. */
static const char *pin(const struct flow *flow)
{
    return flow->in->settings->uncertain_next ? "" : flow->memory->pinned;
}

/* S8: the first server is for everybody, the others for whom the bypass table permits, as far as
 * the authority goes. An uncertain end leaves only the one server. Struck-off ones do not count. */
static bool may_use(struct flow *flow, int index)
{
    const struct server *server = &flow->in->servers->server[index];
    const struct policy_note *note = find_note(flow->memory, server->name);

    if (note != NULL && note->struck)
        return false;
    if (pin(flow)[0] != '\0')
        return strcmp(pin(flow), server->name) == 0;
    return index == 0 || (flow->in->permitted && server->authority <= flow->in->authority);
}

static bool is_available(const struct flow *flow, int index)
{
    return flow->in->health[index].health != POLICY_DOWN;
}

/* S9: the next server from this place on; those that are down are passed over. -1: none. */
static int next_server(struct flow *flow, int from)
{
    int i;

    for (i = from; i < flow->in->servers->count; i++) {
        if (!may_use(flow, i))
            continue;
        if (is_available(flow, i))
            return i;
        flow->out->passed++;
    }
    return -1;
}

static int count_usable(struct flow *flow)
{
    int i;
    int n = 0;

    for (i = 0; i < flow->in->servers->count; i++)
        n += may_use(flow, i);
    return n;
}

/* Every server that it may use was struck off. A pinned one that left the list is not struck. */
static bool all_struck(struct flow *flow)
{
    const char *pinned = pin(flow);

    if (count_usable(flow) > 0 || flow->in->servers->count == 0)
        return false;
    return pinned[0] == '\0' || server_list_find(flow->in->servers, pinned) >= 0;
}

static bool any_down(struct flow *flow)
{
    int i;

    for (i = 0; i < flow->in->servers->count; i++)
        if (may_use(flow, i) && !is_available(flow, i))
            return true;
    return false;
}

/* ---- waits ------------------------------------------------------------------------------------
 */

/* The wait between rounds; after S13 it doubles from one to the next. */
static int64_t round_wait(struct flow *flow)
{
    const struct policy_settings *settings = flow->in->settings;
    int64_t wait = settings->wait_ms;
    int i;

    if (!flow->memory->warned)
        return wait;
    for (i = 0; i < flow->memory->doublings && wait < settings->wait_max_ms; i++)
        wait *= 2;
    if (wait > settings->wait_max_ms && settings->wait_max_ms > settings->wait_ms)
        wait = settings->wait_max_ms;
    if (flow->memory->doublings < DOUBLINGS_MAX)
        flow->memory->doublings++;
    return wait;
}

/* S11: at the limit the operator is warned, once. True when that is now. */
static bool reach_limit(struct flow *flow)
{
    if (flow->memory->warned || flow->memory->rounds < flow->in->settings->limit)
        return false;
    flow->memory->warned = true;
    flow->out->warn = true;
    return true;
}

/* The round has failed: S11, then S12 or S13. */
static void fail_round(struct flow *flow, const char *reason)
{
    bool warn;

    flow->memory->rounds++;
    warn = reach_limit(flow);
    begin_wait(flow, POLICY_WAIT_ROUND, round_wait(flow));
    flow->memory->wait_down = any_down(flow);
    wait_until(flow, warn ? POLICY_S13 : POLICY_S12, INT64_MAX, reason);
}

/* Nothing to try and no bypass: wait for the probe. The wait goes on where it was not over; what
 * has passed is counted when it is (count_wait). */
static void wait_for_probe(struct flow *flow, const char *reason)
{
    int64_t probe_ms = INT64_MAX;
    bool warn = reach_limit(flow);
    int i;

    for (i = 0; i < flow->in->servers->count; i++)
        if (may_use(flow, i) && flow->in->health[i].probe_ms < probe_ms)
            probe_ms = flow->in->health[i].probe_ms;
    if (flow->memory->wait != POLICY_WAIT_DOWN || flow->in->now_ms >= flow->memory->until_ms)
        begin_wait(flow, POLICY_WAIT_DOWN, round_wait(flow));
    flow->memory->wait_down = true;
    wait_until(flow, warn ? POLICY_S13 : POLICY_S12, probe_ms, reason);
}

static void wait_for_same(struct flow *flow, const char *reason)
{
    begin_wait(flow, POLICY_WAIT_SAME, flow->in->settings->wait_ms);
    flow->memory->wait_down = false;
    wait_until(flow, POLICY_S7, INT64_MAX, reason);
}

/* Nothing is left to try: the end, a failed round, or a wait for the only server. */
static void give_up_round(struct flow *flow, bool tried, const char *reason)
{
    if (all_struck(flow))
        end_failed(flow, POLICY_S6, "every server that it may use refused the message");
    else if (!tried && count_usable(flow) <= 1)
        wait_for_probe(flow, reason);
    else
        fail_round(flow, reason);
}

/* ---- a turn -----------------------------------------------------------------------------------
 */

/* A new round, from rank 1; after S13 from rank 2 where bypass is permitted and one of those can be
 * tried. tried: an attempt was made in this turn. */
static void begin_round(struct flow *flow)
{
    int first = flow->memory->warned && flow->in->permitted ? 1 : 0;
    int index = next_server(flow, first);

    if (index < 0 && first == 1)
        index = next_server(flow, 0);
    if (index >= 0)
        connect_to(flow, index, index > first ? POLICY_S10 : POLICY_S1, "a round begins");
    else
        give_up_round(flow, false, "every server that it may use is down");
}

/* S8 to S10 after the server at this place. */
static void try_next(struct flow *flow, int index, bool tried, const char *reason)
{
    int next = pin(flow)[0] != '\0' ? -1 : next_server(flow, index + 1);

    if (next >= 0)
        connect_to(flow, next, POLICY_S10, reason);
    else
        give_up_round(flow, tried, reason);
}

/* The list is empty: from the beginning, then the mailbox is the way; or it was emptied. */
static void go_without_server(struct flow *flow)
{
    struct policy_memory *memory = flow->memory;

    if (!flow->in->had_servers && memory->wait == POLICY_WAIT_NONE && memory->at[0] == '\0') {
        flow->out->step = POLICY_S4;
        flow->out->action = POLICY_MAILBOX;
        give_reason(flow, "no server list: the mailbox is the way of delivery");
        return;
    }
    flow->out->no_server = true;
    wait_for_probe(flow, "the last server was removed: add one");
}

/* A wait that passed without any server to try counts as a failed round. */
static void count_wait(struct flow *flow)
{
    if (flow->memory->wait != POLICY_WAIT_DOWN || flow->in->now_ms < flow->memory->until_ms)
        return;
    flow->memory->rounds++;
}

/* S7: again to the same server, whichever its rank, if it is still there and permitted. */
static void try_same(struct flow *flow)
{
    int index = server_list_find(flow->in->servers, flow->memory->at);

    if (index < 0 || !may_use(flow, index))
        begin_round(flow);
    else if (is_available(flow, index))
        connect_to(flow, index, POLICY_S7, "the same server again");
    else
        try_next(flow, index, false, "the server it waited for is down");
}

/* Woken before its time because a server came back. */
static void wake_early(struct flow *flow)
{
    struct policy_memory *memory = flow->memory;
    int first = memory->warned && flow->in->permitted ? 1 : 0;
    int index = next_server(flow, first);

    if (index < 0 && first == 1)
        index = next_server(flow, 0);
    if (memory->wait == POLICY_WAIT_DOWN && index < 0) {
        wait_for_probe(flow, "every server that it may use is down");
    } else if (memory->wait != POLICY_WAIT_SAME && memory->wait_down && index >= 0 &&
               (memory->wait == POLICY_WAIT_DOWN || flow->in->health[index].health == POLICY_UP)) {
        connect_to(flow, index, POLICY_S1, "a server came back");
    } else {
        wait_until(flow, memory->wait == POLICY_WAIT_SAME ? POLICY_S7 : POLICY_S12,
                   memory->until_ms, "woken before its time");
    }
}

static void take_up(struct flow *flow)
{
    struct policy_memory *memory = flow->memory;

    if (memory->wait != POLICY_WAIT_NONE && flow->in->now_ms >= expiry(flow)) {
        end_failed(flow, POLICY_S13, "expired: no server took it in time");
        return;
    }
    count_wait(flow);
    if (flow->in->servers->count == 0) {
        go_without_server(flow);
    } else if (memory->wait != POLICY_WAIT_NONE && !flow->in->forced &&
               flow->in->now_ms < memory->until_ms) {
        wake_early(flow);
    } else if (memory->wait == POLICY_WAIT_SAME) {
        try_same(flow);
    } else {
        begin_round(flow);
    }
}

/* S5: what the class of the failure at this server means. */
static void judge(struct flow *flow, const char *server, enum failure_class class)
{
    struct policy_note *note = make_note(flow, server);
    int index = server_list_find(flow->in->servers, server);

    if (class != FAILURE_TEMPORARY)
        note->temporary = 0;
    switch (class) {
    case FAILURE_DESTINATION: end_failed(flow, POLICY_S6, "the destination was refused"); return;
    case FAILURE_TEMPORARY:
        if (++note->temporary < flow->in->settings->same_server_limit) {
            wait_for_same(flow, "temporary error");
            return;
        }
        note->temporary = 0;
        try_next(flow, index, true, "as many temporary errors as the limit: a server error");
        return;
    case FAILURE_REFUSED:
    case FAILURE_TOO_LARGE:
        note->struck = true;
        try_next(flow, index, true, "this server does not take the message");
        return;
    case FAILURE_UNCERTAIN:
        flow->memory->uncertain = true;
        if (flow->in->settings->uncertain_next) {
            try_next(flow, index, true, "uncertain, and the settings permit the next server");
            return;
        }
        text_copy(flow->memory->pinned, sizeof flow->memory->pinned, server);
        wait_for_same(flow, "uncertain: only this server from now on");
        return;
    default: try_next(flow, index, true, failure_class_text(class));
    }
}

static void end_attempt(struct flow *flow, const char *server, enum failure_class class)
{
    int index = server_list_find(flow->in->servers, server);

    text_copy(flow->memory->at, sizeof flow->memory->at, server);
    if (class == FAILURE_MORE && index >= 0 && flow->memory->repeats < POLICY_REPEAT_MAX) {
        flow->memory->repeats++;
        connect_to(flow, index, POLICY_S10, "the rest in a further transaction");
        return;
    }
    flow->memory->repeats = 0;
    judge(flow, server, class == FAILURE_MORE ? FAILURE_TEMPORARY : class);
}

/* What was being sent at a crash is uncertain, at the server of the last log row. */
static void after_crash(struct flow *flow, const char *server)
{
    if (flow->in->servers->count == 0) {
        go_without_server(flow);
        return;
    }
    if (server_list_find(flow->in->servers, server) < 0)
        server = flow->memory->at[0] != '\0' ? flow->memory->at : flow->in->servers->server[0].name;
    end_attempt(flow, server, FAILURE_UNCERTAIN);
}

void policy_next_step(struct policy_result *out, const struct policy_input *input)
{
    struct flow flow = {.in = input, .out = out, .memory = &out->memory};
    char server[SERVER_NAME_MAX];

    text_copy(server, sizeof server, input->server);
    *out = (struct policy_result){.memory = *input->memory};
    switch (input->event) {
    case POLICY_BEGIN: take_up(&flow); break;
    case POLICY_SENT:
        out->step = POLICY_S4;
        out->action = POLICY_DONE;
        text_copy(out->memory.at, sizeof out->memory.at, server);
        give_reason(&flow, "sent");
        break;
    case POLICY_FAILED: end_attempt(&flow, server, input->class); break;
    case POLICY_LOCAL: fail_round(&flow, "it failed on this side"); break;
    case POLICY_CRASHED: after_crash(&flow, server); break;
    case POLICY_NOT_TRIED:
        try_next(&flow, server_list_find(input->servers, server), false,
                 "another delivery probes it");
        break;
    }
}

const char *policy_step_text(enum policy_step step)
{
    switch (step) {
    case POLICY_S1: return "S1";
    case POLICY_S4: return "S4";
    case POLICY_S6: return "S6";
    case POLICY_S7: return "S7";
    case POLICY_S10: return "S10";
    case POLICY_S12: return "S12";
    case POLICY_S13: return "S13";
    }
    return "S?";
}
