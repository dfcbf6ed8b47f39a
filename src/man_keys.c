/* SPDX-License-Identifier: MIT */
/*
 * man_keys.c - the tables of conf_keys.c in mdoc(7).
 */
#include "src/man_keys.h"

#include <stdio.h>
#include <string.h>

#include "base/conf.h"
#include "message/template.h"
#include "src/settings.h"

enum { LINE_MAX_COLUMNS = 72 };

/* What a value looks like. */
static const char *form_of(const struct conf_key *k)
{
    switch (k->type) {
    case CONF_TEXT: return "text";
    case CONF_NUMBER: return "number";
    case CONF_DURATION: return "duration";
    case CONF_SIZE: return "size";
    case CONF_BOOL: return "yes | no";
    case CONF_CHOICE: return NULL;
    case CONF_PATH: return "path";
    case CONF_LIST: return k->choices != NULL ? NULL : "list";
    case CONF_ADDRESS: return "ip:port";
    case CONF_RANGE: return "port-port";
    case CONF_NETWORKS: return "networks";
    case CONF_PATTERN: return "pattern";
    }
    return NULL;
}

/* In lines of a good length. */
static void print_text(const char *text)
{
    int column = 0;

    for (; *text != '\0'; text++, column++) {
        if (*text == ' ' && column + (int)strcspn(text + 1, " ") > LINE_MAX_COLUMNS) {
            putchar('\n');
            column = -1;
        } else if (*text == '\\') {
            fputs("\\e", stdout);
        } else if (*text == '\'') {
            fputs("\\(aq", stdout);
            column += 3;
        } else if (*text == '-') {
            fputs("\\-", stdout);
            column++;
        } else {
            putchar(*text);
        }
    }
}

static void print_words(const char *choices)
{
    for (; *choices != '\0'; choices++) {
        if (*choices == '|')
            fputs(" | ", stdout);
        else
            putchar(*choices);
    }
}

static void print_key(const struct conf_key *k)
{
    const char *form = form_of(k);

    fputs(".It ", stdout);
    printf(k->key != NULL ? "Ic %s No = " : "Ar PATTERN No = ", k->key);
    if (form != NULL)
        printf("Ar %s\n", form);
    else
        print_words(k->choices), putchar('\n');
    print_text(k->text);
    putchar('\n');
    if (k->required)
        puts("Required.");
    if (k->fallback != NULL) {
        fputs("Default: ", stdout);
        print_text(k->fallback);
        puts(".");
    }
}

static int print_variables(void)
{
    const char *meaning;
    const char *name;
    size_t i;

    puts(".Bl -tag -width 4n");
    for (i = 0; (name = template_variable(i, &meaning)) != NULL; i++) {
        printf(".It Brq Ic %s\n", name);
        print_text(meaning);
        putchar('\n');
    }
    puts(".El");
    return EXIT_FINE;
}

int man_keys_print(const char *file)
{
    const struct conf_key *keys = strcmp(file, "faxpost.ini") == 0   ? conf_keys_faxpost
                                  : strcmp(file, "servers.ini") == 0 ? conf_keys_servers
                                  : strcmp(file, "bypass.ini") == 0  ? conf_keys_bypass
                                  : strcmp(file, "modems.ini") == 0  ? conf_keys_modems
                                                                     : NULL;
    const struct conf_key *k;

    if (strcmp(file, "templates") == 0)
        return print_variables();
    if (keys == NULL) {
        fprintf(stderr, "faxpostd: no table of keys for: %s\n", file);
        return EXIT_USAGE;
    }
    for (k = keys; k->section != NULL; k++) {
        if (k == keys || strcmp(k[-1].section, k->section) != 0)
            printf("%s.Ss [%s%s]\n.Bl -tag -width 4n\n", k == keys ? "" : ".El\n", k->section,
                   k->named ? " NAME" : "");
        print_key(k);
    }
    puts(".El");
    return EXIT_FINE;
}
