/* SPDX-License-Identifier: MIT */
/*
 * report.c - gathers, and every [report] every at most makes one mail and runs the command once.
 */
#include "smtp/report.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "base/thread.h"
#include "smtp/handin.h"
#include "spool/incoming.h"

enum {
    GATHER_MS = 1000, /* trouble seldom comes alone */
    REST_MS = 60000,
    AGAIN_MS = 60000, /* when the spool did not take it */
    COMMAND_MS = 10000,
    COMMAND_LOOK_MS = 20,
    WORDS_MAX = 16,
    BODY_MAX = 512 * 1024,
};

struct entry {
    int64_t time_ms;
    int64_t count;
    char what[REPORT_TEXT_MAX];
    char to_do[REPORT_TEXT_MAX / 2];
};

/* What one mail tells. */
struct bundle {
    int count;
    int64_t more; /* that found no room */
    struct entry entry[REPORT_ENTRIES_MAX];
};

struct report {
    struct spool *spool;
    struct report_hooks hooks;
    pthread_t thread;
    struct bundle going;  /* the thread's own */
    pthread_mutex_t lock; /* all below */
    pthread_cond_t changed;
    struct bundle pending;
    int64_t first_ms; /* monotonic: of the oldest pending */
    bool stopping;
};

void report_add(struct report *report, const char *what, const char *to_do)
{
    struct entry entry = {.time_ms = clock_wall_ms(), .count = 1};
    struct bundle *pending;
    int i;

    if (report == NULL)
        return;
    text_copy(entry.what, sizeof entry.what, what);
    text_copy(entry.to_do, sizeof entry.to_do, to_do);
    text_printable(entry.what);
    text_printable(entry.to_do);
    pending = &report->pending;
    pthread_mutex_lock(&report->lock);
    for (i = 0; i < pending->count; i++)
        if (strcmp(pending->entry[i].what, entry.what) == 0)
            break;
    if (i < pending->count)
        pending->entry[i].count++;
    else if (i < REPORT_ENTRIES_MAX)
        pending->entry[pending->count++] = entry;
    else
        pending->more++;
    if (report->first_ms == 0)
        report->first_ms = clock_monotonic_ms();
    pthread_cond_signal(&report->changed);
    pthread_mutex_unlock(&report->lock);
}

/* ---- the text ---------------------------------------------------------------------------------
 */

static void write_body(struct buffer *body, const struct bundle *bundle, const char *line_end)
{
    char time[CLOCK_TEXT_MAX];
    int i;

    for (i = 0; i < bundle->count; i++) {
        const struct entry *entry = &bundle->entry[i];

        buffer_format(body, "%s  %.900s", clock_local_text(time, entry->time_ms), entry->what);
        if (entry->count > 1)
            buffer_format(body, " (%lld times)", (long long)entry->count);
        buffer_text(body, line_end);
        if (entry->to_do[0] != '\0')
            buffer_format(body, "  To do: %s%s", entry->to_do, line_end);
        buffer_text(body, line_end);
    }
    if (bundle->more > 0)
        buffer_format(body, "And %lld more: see faxpost's log.%s", (long long)bundle->more,
                      line_end);
}

static void write_header(struct buffer *mail, const struct tables *tables, const char *message_id,
                         const char *subject)
{
    const struct route *people = route_list_operator(tables->routes);
    char date[HANDIN_DATE_MAX];
    int i;

    buffer_format(mail, "Date: %s\r\nFrom: faxpost <%s>\r\n", handin_date(date, clock_wall_ms()),
                  tables->envelope_from);
    for (i = 0; i < people->to_count; i++)
        buffer_format(mail, "%s%s%s", i == 0 ? "To: " : "\t", people->to[i],
                      i + 1 < people->to_count ? ",\r\n" : "\r\n");
    buffer_format(mail, "Subject: %s\r\nMessage-ID: <%s>\r\n", subject, message_id);
    buffer_text(mail, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                      "Content-Type: text/plain; charset=us-ascii\r\n"
                      "Content-Transfer-Encoding: 7bit\r\n\r\n");
}

/* ---- the mail ---------------------------------------------------------------------------------
 */

/* A mail and what the spool is to know of it. */
struct mail {
    struct buffer text; /* freed by whoever made it */
    char id[FAX_ID_MAX];
    char message_id[SPOOL_MESSAGE_ID_MAX];
    char subject[SPOOL_SUBJECT_MAX];
};

/* mail->id is set. The buffer's error, or 0. */
static int make_mail(struct mail *mail, const struct bundle *bundle, const struct tables *tables)
{
    snprintf(mail->message_id, sizeof mail->message_id, "%s@%.100s", mail->id, tables->hostname);
    if (bundle->count == 1)
        snprintf(mail->subject, sizeof mail->subject, "faxpost: %.100s", bundle->entry[0].what);
    else
        snprintf(mail->subject, sizeof mail->subject, "faxpost: %lld things to look at on %.60s",
                 (long long)bundle->count + bundle->more, tables->hostname);
    buffer_init(&mail->text, BODY_MAX);
    write_header(&mail->text, tables, mail->message_id, mail->subject);
    write_body(&mail->text, bundle, "\r\n");
    return mail->text.error;
}

static int store_mail(struct report *report, const struct tables *tables, struct mail *mail, int fd)
{
    const struct route *people = route_list_operator(tables->routes);
    struct spool_recipient to[ROUTE_TO_MAX];
    /* A report that the first server is dead has to get past it. */
    struct spool_message message = {.kind = SPOOL_KIND_REPORT,
                                    .message_id = mail->message_id,
                                    .envelope_from = tables->envelope_from,
                                    .subject = mail->subject,
                                    .bypass = SPOOL_BYPASS_ALLOW};
    int error = make_mail(mail, &report->going, tables);

    for (int i = 0; i < people->to_count; i++)
        text_copy(to[i].address, sizeof to[i].address, people->to[i]);
    message.bytes = (int64_t)mail->text.length;
    if (error == 0)
        error = file_write_all(fd, mail->text.data, mail->text.length);
    buffer_free(&mail->text);
    if (error < 0) {
        spool_message_abort(report->spool, mail->id);
        return error;
    }
    return spool_message_commit(report->spool, mail->id, fd, &message, to, people->to_count,
                                clock_wall_ms());
}

static int memory_file(const struct buffer *buffer)
{
    return buffer->error < 0 ? buffer->error
                             : file_in_memory("faxpost-report", buffer->data, buffer->length);
}

static int send_past_spool(struct report *report, const struct tables *tables)
{
    struct mail mail;
    int64_t bytes;
    int error;
    int fd;

    if (report->hooks.send == NULL)
        return ERROR_UNSUPPORTED;
    fax_id_new(mail.id, clock_wall_ms());
    make_mail(&mail, &report->going, tables);
    bytes = (int64_t)mail.text.length;
    fd = memory_file(&mail.text);
    buffer_free(&mail.text);
    if (fd < 0)
        return fd;
    error = report->hooks.send(report->hooks.user, tables, fd, bytes);
    close(fd);
    return error;
}

static int send_mail(struct report *report, const struct tables *tables)
{
    struct mail mail;
    int fd = spool_message_begin(report->spool, mail.id);
    int error = fd;

    if (fd >= 0) {
        error = store_mail(report, tables, &mail, fd);
        close(fd);
    }
    if (error == 0) {
        log_info("report to the operator report=%s count=%d", mail.id, report->going.count);
        report->hooks.kick(report->hooks.user);
        return 0;
    }
    if (send_past_spool(report, tables) == 0)
        return 0;
    log_error("report to the operator can neither be stored nor sent, it is tried again "
              "reports=%d: %s",
              report->going.count, error_text(error));
    return error;
}

/* ---- the command ------------------------------------------------------------------------------
 */

/* No pipe can fill up. */
static int body_file(const struct bundle *bundle)
{
    struct buffer body;
    int fd;

    buffer_init(&body, BODY_MAX);
    write_body(&body, bundle, "\n");
    fd = memory_file(&body);
    buffer_free(&body);
    return fd;
}

/* No shell, no word from outside, a group and signals of its own. */
static int spawn(pid_t *out, char *const *argv, int input)
{
    static char *const environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t all;
    int rc;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    rc = posix_spawn(out, argv[0], &files, &attributes, argv, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    errno = rc;
    return rc == 0 ? 0 : error_from_errno(rc);
}

/* Waits for its end, for a bounded time. */
static void await(pid_t pid, const char *program)
{
    int64_t until_ms = clock_monotonic_ms() + COMMAND_MS;
    int status = 0;
    pid_t got;

    while ((got = waitpid(pid, &status, WNOHANG)) == 0 && clock_monotonic_ms() < until_ms)
        usleep(COMMAND_LOOK_MS * 1000);
    if (got == 0) {
        kill(-pid, SIGKILL);
        waitpid(pid, &status, 0);
        log_error("alarm_command did not end within %d s and was killed program=%s",
                  COMMAND_MS / 1000, program);
    } else if (got < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        log_error("alarm_command failed program=%s status=0x%x", program, (unsigned)status);
    } else {
        log_info("alarm_command told program=%s", program);
    }
}

static void run_command(const struct report *report, const struct tables *tables)
{
    char line[sizeof tables->alarm_command];
    char *argv[WORDS_MAX + 1];
    char *rest = NULL;
    char *word;
    int count = 0;
    int input;
    int error;
    pid_t pid;

    text_copy(line, sizeof line, tables->alarm_command);
    for (word = strtok_r(line, " ", &rest); word != NULL && count < WORDS_MAX;
         word = strtok_r(NULL, " ", &rest))
        argv[count++] = word;
    argv[count] = NULL;
    if (count == 0)
        return;
    input = body_file(&report->going);
    error = input < 0 ? input : spawn(&pid, argv, input);
    if (error < 0)
        log_error("alarm_command cannot be started program=%s: %s", argv[0], strerror(errno));
    else
        await(pid, argv[0]);
    if (input >= 0)
        close(input);
}

/* ---- the thread -------------------------------------------------------------------------------
 */

/* It could not be sent: back to the others, the oldest first as far as there is room. */
static void put_back(struct report *report)
{
    struct bundle *pending = &report->pending;
    int i;

    pthread_mutex_lock(&report->lock);
    pending->more += report->going.more;
    for (i = 0; i < report->going.count; i++) {
        if (pending->count < REPORT_ENTRIES_MAX)
            pending->entry[pending->count++] = report->going.entry[i];
        else
            pending->more++;
    }
    if (report->first_ms == 0)
        report->first_ms = clock_monotonic_ms();
    pthread_mutex_unlock(&report->lock);
}

/* How long to wait before the next mail; 0: now. Under the lock. */
static int64_t wait_ms(const struct report *report, int64_t last_ms, int64_t every_ms)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t gather_ms = every_ms < GATHER_MS ? every_ms : GATHER_MS;
    int64_t due_ms = report->first_ms + gather_ms;

    if (report->first_ms == 0)
        return REST_MS;
    if (report->stopping)
        return 0;
    if (last_ms != 0 && last_ms + every_ms > due_ms)
        due_ms = last_ms + every_ms;
    if (due_ms <= now_ms)
        return 0;
    return due_ms - now_ms < REST_MS ? due_ms - now_ms : REST_MS;
}

/* False: it is to be tried again. */
static bool tell(struct report *report, const struct tables *tables, bool repeat)
{
    if (!repeat && tables->alarm_command[0] != '\0')
        run_command(report, tables);
    if (tables->report_mail && send_mail(report, tables) < 0) {
        put_back(report);
        return false;
    }
    return true;
}

static void *run(void *arg)
{
    struct report *report = arg;
    int64_t last_ms = 0;
    bool repeat = false;
    bool ended = false;

    while (!ended) {
        struct tables *tables = report->hooks.tables(report->hooks.user);
        int64_t left_ms;

        pthread_mutex_lock(&report->lock);
        left_ms = wait_ms(report, last_ms, repeat ? AGAIN_MS : tables->report_every_ms);
        ended = report->stopping;
        if (left_ms > 0 && !ended)
            thread_condition_wait(&report->changed, &report->lock, (int)left_ms);
        if (left_ms == 0) {
            report->going = report->pending;
            report->pending = (struct bundle){.count = 0};
            report->first_ms = 0;
        }
        pthread_mutex_unlock(&report->lock);
        if (left_ms == 0) {
            repeat = !tell(report, tables, repeat);
            last_ms = clock_monotonic_ms();
        }
        tables_leave(tables);
    }
    return NULL;
}

int report_start(struct report **out, struct spool *spool, const struct report_hooks *hooks)
{
    struct report *report = calloc(1, sizeof *report);
    int error;

    if (report == NULL)
        return ERROR_MEMORY;
    report->spool = spool;
    report->hooks = *hooks;
    pthread_mutex_init(&report->lock, NULL);
    thread_condition_init(&report->changed);
    error = thread_start(&report->thread, "report", run, report);
    if (error < 0) {
        pthread_cond_destroy(&report->changed);
        pthread_mutex_destroy(&report->lock);
        free(report);
        return error;
    }
    *out = report;
    return 0;
}

void report_stop(struct report *report)
{
    if (report == NULL)
        return;
    pthread_mutex_lock(&report->lock);
    report->stopping = true;
    pthread_cond_signal(&report->changed);
    pthread_mutex_unlock(&report->lock);
    thread_join(report->thread);
    pthread_cond_destroy(&report->changed);
    pthread_mutex_destroy(&report->lock);
    free(report);
}
