/* SPDX-License-Identifier: MIT */
/*
 * modem_models.c - the table of known modems: read, checked, looked up.
 */
#include "fax/modem/modem_models.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

enum { PATTERN_MAX = 128, WHAT_MAX = 400 };

/* etc/modems.ini, made into C when faxpost is built. */
extern const char modem_shipped_ini[];

struct table {
    struct conf *conf; /* the models' texts are its */
    struct modem_model *model;
    size_t count;
};

struct modem_models {
    atomic_int references;
    struct table own, shipped; /* the administrator's, and faxpost's */
    const struct modem_model *generic;
};

/* ---- words ---------------------------------------------------------------------------------- */

static const char *const class_texts[] = {
    [MODEM_CLASS_AUTO] = "auto", [MODEM_CLASS_1] = "1",     [MODEM_CLASS_1_0] = "1.0",
    [MODEM_CLASS_2] = "2",       [MODEM_CLASS_2_0] = "2.0", [MODEM_CLASS_2_1] = "2.1",
};

const char *modem_class_text(enum modem_class class)
{
    return class_texts[class];
}

bool modem_class_parse(enum modem_class *out, const char *text)
{
    size_t i;

    for (i = 0; i < sizeof class_texts / sizeof class_texts[0]; i++)
        if (strcmp(class_texts[i], text) == 0) {
            *out = (enum modem_class)i;
            return true;
        }
    return false;
}

bool modem_command_next(const char **rest, char out[MODEM_COMMAND_MAX])
{
    while (*rest != NULL && **rest != '\0') {
        size_t n = strcspn(*rest, "|");
        char item[MODEM_COMMAND_MAX];

        snprintf(item, sizeof item, "%.*s", (int)n, *rest);
        *rest += n + ((*rest)[n] == '|');
        text_copy(out, MODEM_COMMAND_MAX, text_trim(item));
        if (strncasecmp(out, "AT", 2) == 0) /* people write it with or without */
            memmove(out, out + 2, strlen(out + 2) + 1);
        if (out[0] != '\0')
            return true;
    }
    return false;
}

const char *modem_commands_fault(const char *list)
{
    int commands = 0;
    size_t length;

    for (; *list != '\0'; list += length + (list[length] == '|')) {
        length = strcspn(list, "|");
        if (length >= MODEM_COMMAND_MAX)
            return "has a command of more than 63 characters: divide them by '|'";
        if (++commands > MODEM_COMMANDS_MAX)
            return "has more than 16 commands: put several into one, as &C1&D2";
        for (size_t i = 0; i < length; i++)
            if (list[i] < ' ' || list[i] > '~')
                return "has a character that no modem takes: use ASCII";
    }
    return NULL;
}

/* ---- reading -------------------------------------------------------------------------------- */

struct reader {
    const struct conf *conf;
    conf_problem_handler *problem;
    void *user;
    int problems;
};

static void problem_at(struct reader *r, const char *name, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void problem_at(struct reader *r, const char *name, const char *key, const char *format, ...)
{
    char what[WHAT_MAX];
    size_t used;
    va_list ap;

    r->problems++;
    if (r->problem == NULL)
        return;
    used = (size_t)snprintf(what, sizeof what, "[model %s] %s ", name, key);
    va_start(ap, format);
    vsnprintf(what + used, sizeof what - used, format, ap);
    va_end(ap);
    r->problem(r->user, conf_file(r->conf), conf_line(r->conf, "model", name, key), what);
}

static const char *commands_of(struct reader *r, const char *name, const char *key)
{
    const char *list = conf_text(r->conf, "model", name, key);
    const char *fault = list != NULL ? modem_commands_fault(list) : NULL;

    if (fault != NULL)
        problem_at(r, name, key, "%s", fault);
    return list;
}

/* "0572:1329" */
static bool usb_is_valid(const char *id)
{
    static const char hex[] = "0123456789abcdefABCDEF";

    return strlen(id) == 9 && strspn(id, hex) == 4 && id[4] == ':' && strspn(id + 5, hex) == 4;
}

static const char *usb_of(struct reader *r, const char *name)
{
    const char *list = conf_text(r->conf, "model", name, "usb");
    const char *rest = list;
    char id[32];

    while (rest != NULL && text_list_next(&rest, id, sizeof id))
        if (!usb_is_valid(id))
            problem_at(r, name, "usb", "= %s is no USB id: write it as lsusb does, 0572:1329",
                       LOG_ESCAPED(id));
    return list;
}

/* A pattern that covers everything would make every modem this one. */
static const char *match_of(struct reader *r, const char *name)
{
    const char *list = conf_text(r->conf, "model", name, "match");
    const char *rest = list;
    char pattern[PATTERN_MAX];

    while (rest != NULL && text_list_next(&rest, pattern, sizeof pattern)) {
        const char *colon = strchr(pattern, ':');

        if (text_match_weight(colon != NULL ? colon + 1 : pattern) < 2)
            problem_at(r, name, "match", "= %s fits too much: write more of what the modem says",
                       LOG_ESCAPED(pattern));
        else if (strlen(pattern) + 1 >= sizeof pattern)
            problem_at(r, name, "match", "has a pattern that is too long: at most %d characters",
                       PATTERN_MAX - 2);
    }
    return list;
}

static void classes_of(struct reader *r, struct modem_model *m)
{
    const char *rest = conf_text(r->conf, "model", m->name, "classes");
    char word[16];
    int n = 0;

    while (text_list_next(&rest, word, sizeof word)) {
        if (n == MODEM_CLASS_WISHES || !modem_class_parse(&m->classes[n], word)) {
            problem_at(r, m->name, "classes", "names a class twice: write each once");
            return;
        }
        n++;
    }
}

static int milliseconds(const struct conf *conf, const char *name, const char *key)
{
    return (int)conf_number(conf, "model", name, key);
}

static void model_read(struct reader *r, struct modem_model *m, const char *name)
{
    const struct conf *conf = r->conf;
    const char *text = conf_text(conf, "model", name, "text");

    *m = (struct modem_model){
        .name = name,
        .text = text != NULL ? text : name,
        .note = conf_text(conf, "model", name, "note"),
        .usb = usb_of(r, name),
        .match = match_of(r, name),
        .init = commands_of(r, name, "init"),
        .caller_id = commands_of(r, name, "caller_id"),
        .reset = commands_of(r, name, "reset"),
        .reset_wait_ms = milliseconds(conf, name, "reset_wait"),
        .command_pause_ms = milliseconds(conf, name, "command_pause"),
        .hang_up_wait_ms = milliseconds(conf, name, "hang_up_wait"),
        .speed = (int)conf_number(conf, "model", name, "speed"),
        .has_dtr = conf_bool(conf, "model", name, "dtr"),
        .frs = (enum modem_tri)conf_choice(conf, "model", name, "frs"),
        .fts = (enum modem_tri)conf_choice(conf, "model", name, "fts"),
        .far = (enum modem_tri)conf_choice(conf, "model", name, "far"),
        .pause_ms = milliseconds(conf, name, "pause"),
        .connect_tries = (int)conf_number(conf, "model", name, "connect_tries"),
        .frm_tries = (int)conf_number(conf, "model", name, "frm_tries"),
        .bit_order = (enum modem_bit_order)conf_choice(conf, "model", name, "bit_order"),
        .page_start = conf_choice(conf, "model", name, "page_start") == 0 ? 0x12 : 0x11,
    };
    m->flow[SERIAL_FLOW_RTSCTS] = commands_of(r, name, "flow_rtscts");
    m->flow[SERIAL_FLOW_XONXOFF] = commands_of(r, name, "flow_xonxoff");
    m->flow[SERIAL_FLOW_NONE] = commands_of(r, name, "flow_none");
    if (m->speed != 0 && !serial_speed_is_valid(m->speed))
        problem_at(r, name, "speed", "= %d is no speed that ports have", m->speed);
    classes_of(r, m);
}

/* table->conf is set. */
static int table_read(struct table *table, conf_problem_handler *problem, void *user)
{
    struct reader r = {table->conf, problem, user, 0};
    const char *name;
    size_t count = 0;

    while (conf_section_name(table->conf, "model", count) != NULL)
        count++;
    table->model = calloc(count + 1, sizeof *table->model);
    if (table->model == NULL)
        return ERROR_MEMORY;
    for (; (name = conf_section_name(table->conf, "model", table->count)) != NULL; table->count++)
        model_read(&r, &table->model[table->count], name);
    return r.problems > 0 ? ERROR_CONFIG : 0;
}

static void table_clear(struct table *table)
{
    free(table->model);
    conf_free(table->conf);
}

static const struct modem_model *table_find(const struct table *table, const char *name)
{
    size_t i;

    for (i = 0; i < table->count; i++)
        if (strcmp(table->model[i].name, name) == 0)
            return &table->model[i];
    return NULL;
}

/* A copy, by way of its own text. */
static int conf_copy(struct conf **out, const struct conf *conf)
{
    char *text;
    int error = conf_dump(conf, NULL, &text);

    if (error < 0)
        return error;
    error = conf_parse(out, text, conf_file(conf), "/", conf_keys_modems, NULL, NULL);
    free(text);
    return error;
}

int modem_models_read(struct modem_models **out, const struct conf *conf,
                      conf_problem_handler *problem, void *user)
{
    struct modem_models *models = calloc(1, sizeof *models);
    int error;

    if (models == NULL)
        return ERROR_MEMORY;
    atomic_init(&models->references, 1);
    error = conf_parse(&models->shipped.conf, modem_shipped_ini, "modems.ini as shipped", "/",
                       conf_keys_modems, problem, user);
    if (error == 0)
        error = table_read(&models->shipped, problem, user);
    if (error == 0 && conf != NULL) {
        struct table checked = {.conf = (struct conf *)(uintptr_t)conf};

        error = table_read(&checked, problem, user); /* with the lines of the file */
        free(checked.model);
        if (error == 0)
            error = conf_copy(&models->own.conf, conf);
        if (error == 0)
            error = table_read(&models->own, NULL, NULL);
    }
    models->generic = table_find(&models->own, "generic");
    if (models->generic == NULL)
        models->generic = table_find(&models->shipped, "generic");
    if (error == 0 && models->generic == NULL)
        error = ERROR_CONFIG;
    if (error < 0) {
        modem_models_unref(models);
        return error;
    }
    *out = models;
    return 0;
}

struct modem_models *modem_models_ref(struct modem_models *models)
{
    atomic_fetch_add(&models->references, 1);
    return models;
}

void modem_models_unref(struct modem_models *models)
{
    if (models == NULL || atomic_fetch_sub(&models->references, 1) > 1)
        return;
    table_clear(&models->own);
    table_clear(&models->shipped);
    free(models);
}

/* ---- looking up ----------------------------------------------------------------------------- */

/* Shipped models that the administrator replaced are passed over. */
const struct modem_model *modem_models_at(const struct modem_models *models, size_t i)
{
    size_t at;

    if (i < models->own.count)
        return &models->own.model[i];
    i -= models->own.count;
    for (at = 0; at < models->shipped.count; at++)
        if (table_find(&models->own, models->shipped.model[at].name) == NULL && i-- == 0)
            return &models->shipped.model[at];
    return NULL;
}

const struct modem_model *modem_models_generic(const struct modem_models *models)
{
    return models->generic;
}

const struct modem_model *modem_models_by_usb(const struct modem_models *models, const char *usb)
{
    const struct modem_model *m;
    size_t i;

    for (i = 0; (m = modem_models_at(models, i)) != NULL; i++) {
        const char *rest = m->usb;
        char id[32];

        while (rest != NULL && text_list_next(&rest, id, sizeof id))
            if (strcasecmp(id, usb) == 0)
                return m;
    }
    return NULL;
}

/* How much of an answer a pattern says: 0 when it does not fit. */
static size_t fit(const char *pattern, const struct modem_answer *answer)
{
    const char *colon = strchr(pattern, ':');

    if (colon != NULL) {
        size_t n = (size_t)(colon - pattern);

        if (strlen(answer->query) != n || strncasecmp(answer->query, pattern, n) != 0)
            return 0;
        pattern = colon + 1;
    }
    return text_match(pattern, answer->line) ? text_match_weight(pattern) : 0;
}

/* The best of a table; models that the other one replaces are passed over. */
static const struct modem_model *best_of(const struct table *table, const struct table *other,
                                         const struct modem_answer *answers, size_t count)
{
    const struct modem_model *best = NULL;
    size_t best_fit = 0;
    size_t i;
    size_t a;

    for (i = 0; i < table->count; i++) {
        const char *rest = table->model[i].match;
        char pattern[PATTERN_MAX];

        if (other != NULL && table_find(other, table->model[i].name) != NULL)
            continue;
        while (rest != NULL && text_list_next(&rest, pattern, sizeof pattern))
            for (a = 0; a < count; a++)
                if (fit(pattern, &answers[a]) > best_fit) {
                    best_fit = fit(pattern, &answers[a]);
                    best = &table->model[i];
                }
    }
    return best;
}

const struct modem_model *modem_models_by_answers(const struct modem_models *models,
                                                  const struct modem_answer *answers, size_t count)
{
    const struct modem_model *best = best_of(&models->own, NULL, answers, count);

    return best != NULL ? best : best_of(&models->shipped, &models->own, answers, count);
}
