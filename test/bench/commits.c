/* SPDX-License-Identifier: MIT */
/*
 * commits.c - what the spool makes durable per second, with 1, 8 and 32 threads: single rows, and
 * whole turns of a worker (claim, a row at connecting, the result with its row).
 * Usage: commits [FOLDER [SECONDS]]; FOLDER lies on the disk that is to be measured.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "spool/incoming.h"
#include "spool/spool.h"

enum { THREADS_MAX = 32, LEASE_MS = 600000 };

struct worker {
    struct spool *spool;
    atomic_bool *stop;
    int64_t delivery_id;
    int64_t count, slowest_ms;
};

static void must(int result, const char *what)
{
    if (result >= 0)
        return;
    fprintf(stderr, "commits: %s failed: %d\n", what, result);
    exit(1);
}

static void add_row(struct worker *worker)
{
    struct spool_attempt row = {.delivery_id = worker->delivery_id,
                                .server = "first",
                                .address = "192.0.2.10:25",
                                .step = "S2",
                                .result = "TCP OK"};

    must(spool_attempt_add(worker->spool, &row), "spool_attempt_add");
}

static void take_turn(struct worker *worker)
{
    struct spool_delivery delivery;
    struct spool_attempt row = {.server = "first", .step = "S7", .result = "temporary error"};
    struct spool_result result = {.state = SPOOL_DUE, .policy = "round=1", .attempt = &row};
    int claimed = spool_claim(worker->spool, clock_wall_ms(), LEASE_MS, &delivery, 1);

    must(claimed, "spool_claim");
    if (claimed == 0)
        return;
    worker->delivery_id = result.delivery_id = delivery.id;
    add_row(worker);
    must(spool_finish(worker->spool, &result), "spool_finish");
}

static void *rows_run(void *arg)
{
    struct worker *worker = arg;

    for (; !atomic_load(worker->stop); worker->count++)
        add_row(worker);
    return NULL;
}

static void *turns_run(void *arg)
{
    struct worker *worker = arg;

    for (; !atomic_load(worker->stop); worker->count++) {
        int64_t before = clock_monotonic_ms();
        int64_t took;

        take_turn(worker);
        took = clock_monotonic_ms() - before;
        worker->slowest_ms = took > worker->slowest_ms ? took : worker->slowest_ms;
    }
    return NULL;
}

static void measure(struct spool *spool, const char *what, void *(*run)(void *), int threads,
                    unsigned seconds)
{
    struct worker workers[THREADS_MAX];
    pthread_t ids[THREADS_MAX];
    atomic_bool stop = false;
    int64_t begin = clock_monotonic_ms();
    int64_t count = 0;
    int64_t slowest = 0;
    int64_t took;
    int i;

    for (i = 0; i < threads; i++) {
        workers[i] = (struct worker){.spool = spool, .stop = &stop, .delivery_id = i + 1};
        if (pthread_create(&ids[i], NULL, run, &workers[i]) != 0)
            exit(1);
    }
    sleep(seconds);
    atomic_store(&stop, true);
    for (i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        count += workers[i].count;
        slowest = workers[i].slowest_ms > slowest ? workers[i].slowest_ms : slowest;
    }
    took = clock_monotonic_ms() - begin;
    printf("%-6s threads=%-3d per_second=%-8.0f", what, threads,
           (double)count * 1000 / (double)took);
    printf(slowest > 0 ? " slowest_ms=%lld\n" : "\n", (long long)slowest);
}

int main(int argc, char **argv)
{
    char folder[256];
    char command[300];
    struct spool_recipient to[THREADS_MAX];
    struct call_info info = {.verdict = CALL_COMPLETE, .pages = 1};
    struct incoming *incoming;
    struct spool *spool;
    unsigned seconds = argc > 2 ? (unsigned)atoi(argv[2]) : 3;
    static const int threads[] = {1, 8, 32};
    int i;

    log_open("bench", LOG_LEVEL_WARNING);
    snprintf(folder, sizeof folder, "%.200s/commits-XXXXXX", argc > 1 ? argv[1] : ".");
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 1;
    }
    must(spool_open(&spool, folder, SPOOL_OWN), "spool_open");
    fax_id_new(info.fax_id, clock_wall_ms());
    must(incoming_new(&incoming, folder, &info), "incoming_new");
    must(incoming_store_page(incoming, 1, "x", 1), "incoming_store_page");
    incoming_close(incoming);
    must(spool_take_over(spool, 1), "spool_take_over");
    for (i = 0; i < THREADS_MAX; i++)
        snprintf(to[i].address, sizeof to[i].address, "user%d@example.com", i);
    must(spool_fax_composed(spool, info.fax_id, "r", "m", "op@example.com", 1, to, THREADS_MAX, 0),
         "spool_fax_composed");
    for (i = 0; i < 3; i++)
        measure(spool, "rows", rows_run, threads[i], seconds);
    for (i = 0; i < 3; i++)
        measure(spool, "turns", turns_run, threads[i], seconds);
    spool_close(spool);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : 1;
}
