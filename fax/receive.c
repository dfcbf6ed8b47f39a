/* SPDX-License-Identifier: MIT */
/*
 * receive.c - starts and stops the telephone side, in the order of who needs whom.
 */
#include "fax/receive.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/error.h"
#include "base/log.h"
#include "base/thread.h"
#include "fax/modem/line_modem.h"
#include "fax/sip/channel.h"
#include "fax/sip/line_sip.h"
#include "fax/storage.h"

enum { PATIENCE_MS = 10000, SIP_TEXT_MAX = 2048 };

struct receive {
    struct call_shared shared;
    struct line_modems *modems;
    char *state_dir;             /* as at the start: a folder is not changed under live calls */
    char sip_text[SIP_TEXT_MAX]; /* for receive_lines_text() */
};

/* A live call has about five files open: its socket, the library's page file, its folder. */
static void allow_files(const struct receive_settings *settings)
{
    rlim_t wanted = (rlim_t)settings->sessions_max * 6 + (rlim_t)settings->connections_max + 256;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
        log_warning("only %llu files can be open at once, too few for [limits] sessions = %d and "
                    "connections = %d; raise LimitNOFILE of the service to %llu",
                    (unsigned long long)limit.rlim_cur, settings->sessions_max,
                    settings->connections_max, (unsigned long long)wanted);
}

static int workers_and_media_start(struct receive *receive, const struct receive_settings *settings)
{
    const struct receive_hooks *hooks = &receive->shared.hooks;
    int rc = storage_start(&receive->shared.storage, receive->state_dir,
                           settings->limits.free_bytes_min, hooks->lines_changed, hooks->user);

    /* Disk workers wait more than they work: more of them than there are cores. */
    if (rc == 0)
        rc = workers_start(&receive->shared.workers, settings->page_workers,
                           settings->page_workers * 2 + 2);
    if (rc == 0)
        rc = media_start(&receive->shared.media, settings->media_threads);
    return rc;
}

static void receive_free(struct receive *receive)
{
    line_modems_stop(receive->modems);
    media_stop(receive->shared.media);
    workers_stop(receive->shared.workers);
    storage_stop(receive->shared.storage);
    pthread_cond_destroy(&receive->shared.calls_changed);
    pthread_mutex_destroy(&receive->shared.lock);
    free(receive->state_dir);
    free(receive);
}

/* The lines that are SIP's, as wanted; what could not be opened at a reload is in the log. */
static void sip_text(struct receive *receive, const struct receive_settings *settings)
{
    size_t length = 0;

    receive->sip_text[0] = '\0';
    for (size_t i = 0; i < settings->line_count; i++) {
        const struct line_settings *line = &settings->lines[i];
        char address[NET_TEXT_MAX];
        int n =
            snprintf(receive->sip_text + length, SIP_TEXT_MAX - length,
                     "line\t%s\topen\tSIP %s%s%s\n", line->name, net_text(address, &line->listen),
                     line->udp ? " udp" : "", line->tcp ? " tcp" : "");

        if (n < 0 || (size_t)n >= SIP_TEXT_MAX - length) {
            receive->sip_text[length] = '\0';
            return;
        }
        length += (size_t)n;
    }
}

static void models_problem(void *user, const char *file, int line, const char *what)
{
    (void)user;
    log_error("settings wrong file=%s line=%d: %s", LOG_ESCAPED(file), line, what);
}

/* All lines; settings are the SIP thread's from here on, also after an error. */
static int lines_start(struct receive *receive, struct receive_settings *settings,
                       const struct conf *modems)
{
    struct modem_models *models = NULL;
    struct line_sip *lines; /* stands in shared from before its thread runs */
    int rc = modem_models_read(&models, modems, models_problem, NULL);

    if (rc == 0)
        rc = line_modems_start(&receive->modems, &receive->shared, settings, models);
    modem_models_unref(models);
    if (rc != 0)
        receive_settings_free(settings);
    else
        rc = line_sip_start(&lines, &receive->shared, settings);
    return rc;
}

int receive_start(struct receive **out, const struct conf *conf, const struct conf *modems,
                  const struct receive_hooks *hooks)
{
    struct receive *receive = calloc(1, sizeof *receive);
    struct receive_settings *settings = NULL;
    int rc;

    if (receive == NULL)
        return ERROR_MEMORY;
    pthread_mutex_init(&receive->shared.lock, NULL);
    thread_condition_init(&receive->shared.calls_changed);
    if (hooks != NULL)
        receive->shared.hooks = *hooks;
    rc = session_library_init();
    if (rc == 0)
        rc = receive_settings_read(&settings, conf);
    if (rc != 0)
        goto out;
    allow_files(settings);
    sip_text(receive, settings);
    receive->state_dir = strdup(settings->state_dir);
    receive->shared.state_dir = receive->state_dir;
    rc = receive->state_dir == NULL ? ERROR_MEMORY : workers_and_media_start(receive, settings);
    if (rc != 0)
        goto out;
    rc = lines_start(receive, settings, modems);
    settings = NULL;
out:
    receive_settings_free(settings);
    if (rc != 0)
        receive_free(receive);
    else
        *out = receive;
    return rc;
}

void receive_reload(struct receive *receive, const struct conf *conf, const struct conf *modems)
{
    struct receive_settings *settings = NULL;
    struct modem_models *models = NULL;
    int rc = receive_settings_read(&settings, conf);

    if (rc == 0)
        rc = modem_models_read(&models, modems, models_problem, NULL);
    if (rc != 0) {
        log_error("lines keep their old settings: %s", error_text(rc));
        receive_settings_free(settings);
        return;
    }
    if (strcmp(settings->state_dir, receive->state_dir) != 0)
        log_warning("[gateway] state_dir takes effect at the next start of faxpostd");
    sip_text(receive, settings);
    storage_set_least(receive->shared.storage, settings->limits.free_bytes_min);
    (void)line_modems_reload(receive->modems, settings, models); /* logged, line by line */
    modem_models_unref(models);
    line_sip_reload(receive->shared.lines, settings);
}

void receive_port(struct receive *receive, const char *line, int fd, const char *usb_id,
                  const char *why)
{
    line_modems_port(receive->modems, line, fd, usb_id, why);
}

void receive_lines_text(struct receive *receive, char *out, size_t size)
{
    size_t length = storage_text(receive->shared.storage, out, size);

    length += line_modems_text(receive->modems, out + length, size - length);
    if (strlen(receive->sip_text) < size - length)
        memcpy(out + length, receive->sip_text, strlen(receive->sip_text) + 1);
}

void receive_drain(struct receive *receive)
{
    line_sip_drain(receive->shared.lines);
    line_modems_drain(receive->modems);
}

int receive_calls(const struct receive *receive)
{
    struct call_shared *shared = (struct call_shared *)(uintptr_t)&receive->shared;
    int calls;

    pthread_mutex_lock(&shared->lock);
    calls = shared->calls;
    pthread_mutex_unlock(&shared->lock);
    return calls;
}

/* A call ends when its files are written: on a disk that is stuck this can last, and whoever runs
 * us decides for how long. */
static void wait_for_calls(struct call_shared *shared)
{
    int calls;

    pthread_mutex_lock(&shared->lock);
    while ((calls = shared->calls) > 0)
        if (thread_condition_wait(&shared->calls_changed, &shared->lock, PATIENCE_MS) ==
            ERROR_TIMEOUT) {
            pthread_mutex_unlock(&shared->lock);
            log_alert("%d calls do not end; is the disk of the state folder stuck?", calls);
            pthread_mutex_lock(&shared->lock);
        }
    pthread_mutex_unlock(&shared->lock);
}

void receive_stop(struct receive *receive)
{
    if (receive == NULL)
        return;
    line_sip_hang_up(receive->shared.lines);
    line_modems_hang_up(receive->modems);
    wait_for_calls(&receive->shared);
    line_sip_stop(receive->shared.lines);
    receive_free(receive);
}
