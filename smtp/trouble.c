/* SPDX-License-Identifier: MIT */
/*
 * trouble.c - a short list by name.
 */
#include "smtp/trouble.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

enum { REMIND_MS = 3600000 };

struct trouble {
    char name[TROUBLE_NAME_MAX]; /* "": free */
    char text[TROUBLE_TEXT_MAX];
    int64_t since_ms; /* wall clock */
    int64_t begun_ms; /* monotonic */
    int64_t told_ms;
};

struct troubles {
    struct report *report;
    pthread_mutex_t lock; /* of the list */
    struct trouble list[TROUBLE_MOST];
};

int troubles_new(struct troubles **out, struct report *report)
{
    struct troubles *troubles = calloc(1, sizeof *troubles);

    if (troubles == NULL)
        return ERROR_MEMORY;
    troubles->report = report;
    pthread_mutex_init(&troubles->lock, NULL);
    *out = troubles;
    return 0;
}

void troubles_free(struct troubles *troubles)
{
    if (troubles == NULL)
        return;
    pthread_mutex_destroy(&troubles->lock);
    free(troubles);
}

/* Under the lock. NULL: there is none of that name (and, for "", no room). */
static struct trouble *find(struct troubles *troubles, const char *name)
{
    for (int i = 0; i < TROUBLE_MOST; i++)
        if (strcmp(troubles->list[i].name, name) == 0)
            return &troubles->list[i];
    return NULL;
}

/* Notes it; true when it is to be told. */
static bool note(struct troubles *troubles, const char *name, const char *text)
{
    int64_t now_ms = clock_monotonic_ms();
    struct trouble *trouble = find(troubles, name);
    bool is_news = true;

    if (trouble == NULL) {
        trouble = find(troubles, "");
        if (trouble == NULL)
            return true;
        *trouble = (struct trouble){.since_ms = clock_wall_ms(), .begun_ms = now_ms};
        text_copy(trouble->name, sizeof trouble->name, name);
    } else {
        is_news = strcmp(trouble->text, text) != 0 || now_ms - trouble->told_ms >= REMIND_MS;
    }
    if (!is_news)
        return false;
    text_copy(trouble->text, sizeof trouble->text, text);
    trouble->told_ms = now_ms;
    return true;
}

void trouble_begin(struct troubles *troubles, const char *name, const char *to_do,
                   const char *format, ...)
{
    char text[TROUBLE_TEXT_MAX];
    bool is_news;
    va_list ap;

    if (troubles == NULL)
        return;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    text_printable(text);
    pthread_mutex_lock(&troubles->lock);
    is_news = note(troubles, name, text);
    pthread_mutex_unlock(&troubles->lock);
    if (!is_news)
        return;
    log_alert("%s do=\"%s\"", text, to_do);
    report_add(troubles->report, text, to_do);
}

/* "3 minutes" */
static const char *span_text(char out[32], int64_t ms)
{
    int64_t s = ms / 1000;

    if (s < 120)
        snprintf(out, 32, "%lld seconds", (long long)s);
    else if (s < 7200)
        snprintf(out, 32, "%lld minutes", (long long)s / 60);
    else
        snprintf(out, 32, "%lld hours", (long long)s / 3600);
    return out;
}

void trouble_end(struct troubles *troubles, const char *name)
{
    char text[TROUBLE_TEXT_MAX + 64];
    char span[32];
    struct trouble *trouble;
    struct trouble was = {.name = ""};

    if (troubles == NULL)
        return;
    pthread_mutex_lock(&troubles->lock);
    trouble = find(troubles, name);
    if (trouble != NULL) {
        was = *trouble;
        trouble->name[0] = '\0';
    }
    pthread_mutex_unlock(&troubles->lock);
    if (was.name[0] == '\0')
        return;
    snprintf(text, sizeof text, "over after %s, it works again: %s",
             span_text(span, clock_monotonic_ms() - was.begun_ms), was.text);
    log_warning("%s", text);
    report_add(troubles->report, text, "");
}

bool trouble_text(struct troubles *troubles, size_t i, char *out, size_t size)
{
    char time[CLOCK_TEXT_MAX];
    bool found = false;

    pthread_mutex_lock(&troubles->lock);
    for (int at = 0; at < TROUBLE_MOST && !found; at++) {
        const struct trouble *trouble = &troubles->list[at];

        if (trouble->name[0] == '\0' || i-- > 0)
            continue;
        snprintf(out, size, "%s (since %s)", trouble->text,
                 clock_local_text(time, trouble->since_ms));
        found = true;
    }
    pthread_mutex_unlock(&troubles->lock);
    return found;
}
