/* SPDX-License-Identifier: MIT */
/*
 * role_deliver.c - owns the spool: dispatcher, control socket, and the way to compose.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "smtp/dispatch.h"
#include "spool/spool.h"
#include "src/compose_client.h"
#include "src/control.h"
#include "src/role.h"

enum { STOP_GRACE_MS = 30000, SETTLE_MS = 5000, SETTLE_LOOK_MS = 20 };

/* The main thread's. */
static struct {
    struct spool *spool;
    struct compose_client *compose;
    struct dispatch *dispatch;
    struct control *control;
    struct handin_settings handin;
    int listener; /* of the control socket, until control_start() has it */
    bool draining;
    char notes[ROLE_COUNT][ROLE_TEXT_MAX];
} self = {.listener = -1};

/* On dispatch's compose thread. */
static void compose_stuck(void)
{
    role_tell(ROLE_COMPOSE_STUCK, 0, NULL);
}

static void status_get(void *user, struct dispatch_status *out)
{
    (void)user;
    dispatch_status(self.dispatch, out);
}

/* "trouble" TAB name TAB state TAB words: words of the line with this name, or NULL. */
static const char *trouble_in(char words[ROLE_TEXT_MAX], const char *text, const char *name)
{
    char head[64];
    const char *at;
    size_t length = (size_t)snprintf(head, sizeof head, "trouble\t%s\t", name);

    for (at = text; at != NULL; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, head, length) != 0)
            continue;
        at = strchr(at + length, '\t');
        if (at == NULL)
            return NULL;
        snprintf(words, ROLE_TEXT_MAX, "%.*s", (int)strcspn(at + 1, "\t\n"), at + 1);
        return words;
    }
    return NULL;
}

/* What receive says of its storage becomes a report. While it is down nothing is known anew. */
static void troubles_take(const char *text)
{
    static const char *const names[] = {"calls", "pages"}; /* fax/storage.c */
    char words[ROLE_TEXT_MAX];

    for (size_t i = 0; text[0] != '\0' && i < sizeof names / sizeof names[0]; i++)
        dispatch_trouble(self.dispatch, names[i], trouble_in(words, text, names[i]),
                         "make room where the state folder lies, or look at its disk; it is tried "
                         "again by itself");
}

static void notes(enum role role, const char *text)
{
    snprintf(self.notes[role], sizeof self.notes[role], "%s", text);
    if (role == ROLE_RECEIVE)
        troubles_take(text);
}

static const char *notes_get(void *user, int role)
{
    (void)user;
    return role < ROLE_COUNT ? self.notes[role] : NULL;
}

static void kick(void *user)
{
    (void)user;
    dispatch_kick(self.dispatch);
}

static void reload_ask(void)
{
    role_tell(ROLE_RELOAD, 0, NULL);
}

static int open_spool(const char *state_dir)
{
    int error = spool_open(&self.spool, state_dir, SPOOL_OWN);

    if (error == ERROR_BUSY)
        log_error("the spool is in use: path=%s; another faxpostd runs on it: end that one, or "
                  "name another state_dir",
                  state_dir);
    else if (error < 0)
        log_error("the spool cannot be opened: path=%s: %s; it must belong to the account that "
                  "faxpost runs as",
                  state_dir, error_text(error));
    return error;
}

static int prepare(const struct settings *settings)
{
    self.listener =
        control_listen(conf_text(settings->file[SETTINGS_FAXPOST], "gateway", NULL, "run_dir"));
    return self.listener < 0 ? self.listener : 0;
}

static int start(struct loop *loop, const struct settings *settings)
{
    const struct conf *conf = settings->file[SETTINGS_FAXPOST];
    struct control_context context = {.status = status_get, .notes = notes_get, .kick = kick};
    struct dispatch_hooks hooks = {.compose = compose_client_ask};
    int error = open_spool(conf_text(conf, "gateway", NULL, "state_dir"));

    if (error == 0)
        error = compose_client_new(&self.compose, settings, compose_stuck);
    if (error < 0)
        return error;
    hooks.user = self.compose;
    error = handin_settings_load(&self.handin, conf);
    if (error < 0)
        return error;
    context.spool = self.spool;
    context.handin = &self.handin;
    error = dispatch_start(&self.dispatch, self.spool, conf, settings->file[SETTINGS_SERVERS],
                           settings->file[SETTINGS_BYPASS], &hooks);
    if (error == 0) {
        error = control_start(&self.control, loop, self.listener,
                              conf_text(conf, "gateway", NULL, "run_dir"), &context, reload_ask);
        self.listener = -1;
    }
    if (error < 0)
        log_error("deliver cannot start: %s", error_text(error));
    return error;
}

static int reload(const struct settings *settings)
{
    int error = dispatch_reload(self.dispatch, settings->file[SETTINGS_FAXPOST],
                                settings->file[SETTINGS_SERVERS], settings->file[SETTINGS_BYPASS]);

    if (error == 0)
        compose_client_settings(self.compose, settings);
    if (error == 0)
        handin_settings_load(&self.handin, settings->file[SETTINGS_FAXPOST]); /* it was checked */
    return error;
}

static void compose_socket(int fd)
{
    compose_client_socket(self.compose, fd);
}

static void reload_result(int error, const char *text)
{
    control_reload_result(self.control, error, text);
}

static void running(void)
{
    if (control_open(self.control) < 0)
        log_error("control socket cannot be served: faxpost commands will not work");
}

/* Before it begins anew with other settings: what comes now is for those. */
static void drain(void)
{
    self.draining = true;
    dispatch_drain(self.dispatch);
}

/* Nothing lies in incoming/, waits for its message, or is due or being sent. */
static bool is_settled(void)
{
    struct spool_counts counts;
    char name[FAX_ID_MAX];

    return dispatch_is_idle(self.dispatch) && spool_count(self.spool, &counts) == 0 &&
           counts.taken == 0 && counts.sending == 0 &&
           spool_next_due(self.spool) > clock_wall_ms() &&
           spool_incoming_stale(self.spool, 0, name, sizeof name) == ERROR_NOT_FOUND;
}

/* The last calls have just ended: their faxes should not have to wait for the next start. */
static void settle(void)
{
    int64_t until_ms = clock_monotonic_ms() + SETTLE_MS;

    dispatch_kick(self.dispatch);
    while (!is_settled() && clock_monotonic_ms() < until_ms)
        usleep(SETTLE_LOOK_MS * 1000);
}

static void stop(void)
{
    control_stop(self.control);
    if (self.dispatch != NULL && !self.draining)
        settle();
    if (self.compose != NULL)
        compose_client_close(self.compose);
    dispatch_stop(self.dispatch, STOP_GRACE_MS);
    compose_client_free(self.compose);
    spool_close(self.spool);
    if (self.listener >= 0)
        close(self.listener);
}

const struct role_actions role_deliver_actions = {
    .prepare = prepare,
    .start = start,
    .reload = reload,
    .compose_socket = compose_socket,
    .reload_result = reload_result,
    .notes = notes,
    .running = running,
    .drain = drain,
    .stop = stop,
};
