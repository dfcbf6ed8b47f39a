/* SPDX-License-Identifier: MIT */
/*
 * fuzz_conf.c - any octets as each of the three settings files; what is accepted must survive its
 * own dump. Body for libFuzzer and for replay.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void nothing(void *user, const char *file, int line, const char *what)
{
    (void)user;
    (void)file;
    if (line < 0 || strlen(what) == 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct conf_key *const tables[] = {conf_keys_faxpost, conf_keys_servers,
                                             conf_keys_bypass};
    char *text = malloc(size + 1);
    size_t i;

    if (text == NULL)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    for (i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        struct conf *conf;
        struct conf *again;
        char *dump;

        if (conf_parse(&conf, text, "fuzz", "/", tables[i], nothing, NULL) != 0)
            continue;
        if (conf_dump(conf, NULL, &dump) == 0) {
            if (conf_parse(&again, dump, "dump", "/", tables[i], nothing, NULL) != 0)
                abort();
            conf_free(again);
            free(dump);
        }
        conf_free(conf);
    }
    free(text);
    return 0;
}
