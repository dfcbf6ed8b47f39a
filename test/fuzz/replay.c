/* SPDX-License-Identifier: MIT */
/*
 * replay.c - runs a fuzz body without libFuzzer: every file of its corpus as it is, and for a while
 * cut and mutated, in a way that is the same each time. The program's own name, replay_NAME, says
 * whose corpus. Arguments, if any, are files, or folders of files, to run as they are: to see a
 * crash again, or what the corpus reaches.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifndef FAXPOST_LIBFUZZER /* it has a main() of its own */

enum {
    INPUT_MAX = 65536,
    MUTATIONS = 2000,        /* of each file */
    MUTATING_MS = 1500,      /* then there is no more of that: it is the campaign's */
    INPUT_SECONDS_MAX = 100, /* SIGALRM ends one that goes on longer */
};

static size_t file_read(const char *path, uint8_t *out)
{
    FILE *file = fopen(path, "rb");
    size_t size;

    if (file == NULL) {
        perror(path);
        exit(1);
    }
    size = fread(out, 1, INPUT_MAX, file);
    fclose(file);
    return size;
}

/* The body gets memory of exactly the input's size, so that a sanitizer sees a read beyond it. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);

    if (copy == NULL)
        abort();
    if (size > 0)
        memcpy(copy, data, size);
    alarm(INPUT_SECONDS_MAX);
    LLVMFuzzerTestOneInput(copy, size);
    alarm(0);
    free(copy);
}

static int run_path(const char *path)
{
    static uint8_t data[INPUT_MAX];
    struct stat about;
    struct dirent **names;
    char inner[4096];
    int count;

    if (stat(path, &about) != 0 || !S_ISDIR(about.st_mode)) {
        run(data, file_read(path, data));
        return 1;
    }
    count = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (names[i]->d_name[0] != '.') {
            snprintf(inner, sizeof inner, "%s/%s", path, names[i]->d_name);
            run_path(inner);
        }
        free(names[i]);
    }
    if (count >= 0)
        free(names);
    return count;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void run_mutation(const uint8_t *data, size_t size)
{
    static uint8_t copy[INPUT_MAX];

    memcpy(copy, data, size);
    for (int changes = 1 + rand() % 5; changes > 0; changes--) {
        size_t place = (size_t)rand() % size;

        if (rand() % 2 == 0)
            copy[place] ^= (uint8_t)(1 << rand() % 8);
        else
            copy[place] = (uint8_t)rand();
    }
    run(copy, rand() % 4 == 0 ? (size_t)rand() % (size + 1) : size);
}

/* A file in turn, so that each has its share of the time. */
static void run_mutations(const char *folder, struct dirent **names, int count)
{
    static uint8_t data[INPUT_MAX];
    char path[8192];
    int64_t begun_ms = now_ms();

    for (int round = 0; round < MUTATIONS; round++) {
        for (int i = 0; i < count; i++) {
            size_t size;

            if (names[i]->d_name[0] == '.')
                continue;
            if (now_ms() > begun_ms + MUTATING_MS)
                return;
            snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
            size = file_read(path, data);
            if (size > 0)
                run_mutation(data, size);
        }
    }
}

int main(int argc, char **argv)
{
    const char *top = getenv("TOP_SRCDIR");
    const char *name = strstr(argv[0], "replay_");
    char folder[4096];
    struct dirent **names;
    int count;
    int files;

    for (int i = 1; i < argc; i++)
        run_path(argv[i]);
    if (argc > 1)
        return 0;
    snprintf(folder, sizeof folder, "%s/test/fuzz/corpus/%s", top != NULL ? top : ".",
             name != NULL ? name + strlen("replay_") : "");
    count = scandir(folder, &names, NULL, alphasort);
    if (count < 0) {
        perror(folder);
        return 1;
    }
    files = run_path(folder) - 2;
    srand(1);
    run_mutations(folder, names, count);
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
    printf("%s: %d files replayed\n", folder, files);
    return files > 0 ? 0 : 1; /* an empty corpus tests nothing */
}

#endif
