/* SPDX-License-Identifier: MIT */
/*
 * replay.c - runs a fuzz body without libFuzzer: every file of its corpus as it is, cut at every
 * length, and mutated in a way that is the same each time. FUZZ_NAME says whose corpus;
 * arguments, if any, are files to run as they are, to see a crash again.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 65536, MUTATIONS = 2000 };

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
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void run_mutations(const uint8_t *data, size_t size)
{
    static uint8_t copy[INPUT_MAX];

    for (size_t cut = 0; cut < size; cut++)
        run(data, cut);
    for (int round = 0; round < MUTATIONS && size > 0; round++) {
        memcpy(copy, data, size);
        for (int changes = 1 + rand() % 5; changes > 0; changes--) {
            size_t place = (size_t)rand() % size;

            if (rand() % 2 == 0)
                copy[place] ^= (uint8_t)(1 << rand() % 8);
            else
                copy[place] = (uint8_t)rand();
        }
        run(copy, size);
    }
}

int main(int argc, char **argv)
{
    static uint8_t data[INPUT_MAX];
    const char *top = getenv("TOP_SRCDIR");
    char folder[4096], path[8192];
    struct dirent *entry;
    DIR *dir;
    int files = 0;

    for (int i = 1; i < argc; i++)
        run(data, file_read(argv[i], data));
    if (argc > 1)
        return 0;
    snprintf(folder, sizeof folder, "%s/test/fuzz/corpus/%s", top != NULL ? top : ".", FUZZ_NAME);
    if ((dir = opendir(folder)) == NULL) {
        perror(folder);
        return 1;
    }
    srand(1);
    while ((entry = readdir(dir)) != NULL) {
        size_t size;

        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        size = file_read(path, data);
        run(data, size);
        run_mutations(data, size);
        files++;
    }
    closedir(dir);
    printf("%s: %d files replayed\n", FUZZ_NAME, files);
    return files > 0 ? 0 : 1; /* an empty corpus tests nothing */
}
