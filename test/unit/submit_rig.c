/* SPDX-License-Identifier: MIT */
/*
 * submit_rig.c - the folder first, then one row.
 */
#include "test/unit/submit_rig.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "smtp/connect.h"
#include "test/unit/smtp_script.h"

enum {
    BIG_BYTES = 3000000,
    AT_ONCE = 24, /* all at once would starve each other of time on a slow machine */
};

struct submit_rig rig;

static sem_t places; /* of rows that may run now */

static const char ascii[] = "From: <op@example.com>\r\n\r\ntext\r\n";

/* A message with everything that a transfer may get wrong: dots, long lines, 8-bit text. */
static char *make_message(size_t target, size_t *out_length)
{
    static const char head[] = "From: <op@example.com>\r\nTo: <a@example.com>\r\nSubject: x\r\n"
                               "\tfolded\r\nDate: Sat, 21 Nov 2026 10:15:30 +0000\r\n"
                               "Message-ID: <x@example.com>\r\nBcc: kept\r\n\r\n";
    static const char *const lines[] = {
        ".\r\n",
        "..\r\n",
        ".dot\r\n",
        "\r\n",
        "text\r\n",
        "gr\303\274\303\237e\r\n",
        "JVBERi0xLjQKJcOkw7zDtsOfCjIgMCBvYmoKPDwvTGVuZ3RoIDMgMCBSL0ZpbHRlci9GbGF0ZURl\r\n",
    };
    char *text = malloc(target + 2000);
    size_t used = sizeof head - 1;
    size_t i;

    memcpy(text, head, used);
    for (i = 0; used < target; i++) {
        const char *line = lines[i * 7919 % (sizeof lines / sizeof lines[0])];

        memcpy(text + used, line, strlen(line));
        used += strlen(line);
    }
    *out_length = used;
    return text;
}

/* By openssl, before there are threads: a fork of many is slow. */
static void read_fingerprint(char out[65], const char *name)
{
    char command[300];
    char line[200] = "";
    char *digits;
    FILE *pipe;
    size_t used = 0;

    snprintf(command, sizeof command,
             "openssl x509 -noout -fingerprint -sha256 -in %s/%s.pem 2>/dev/null", rig.folder,
             name);
    pipe = popen(command, "r");
    if (pipe == NULL)
        return;
    if (fgets(line, sizeof line, pipe) != NULL && (digits = strchr(line, '=')) != NULL)
        for (digits++; *digits != '\0' && used < 64; digits++)
            if (*digits != ':' && *digits != '\n')
                out[used++] = (char)(*digits >= 'A' ? *digits | 0x20 : *digits);
    out[used] = '\0';
    pclose(pipe);
}

int submit_rig_open(const struct submit_transport *transport, enum server_tls tls, int command_ms)
{
    char long_token[3000]; /* as long as Microsoft's */
    int fd;

    memset(long_token, 'x', sizeof long_token);
    log_open("test", LOG_LEVEL_WARNING);
    rig.transport = transport;
    rig.tls = tls;
    rig.command_ms = command_ms;
    snprintf(rig.folder, sizeof rig.folder, "/tmp/test_submit.XXXXXX");
    if (mkdtemp(rig.folder) == NULL || submit_prepare() < 0)
        return -1;
    smtp_script_certificates(rig.folder);
    read_fingerprint(rig.self_print, "self");
    read_fingerprint(rig.wrong_print, "wrong");
    rig.small = make_message(3000, &rig.small_length);
    rig.big = make_message(BIG_BYTES, &rig.big_length);
    fd = file_open_folder(AT_FDCWD, rig.folder);
    if (fd < 0 || file_write_atomic(fd, "small", rig.small, rig.small_length, FILE_NO_SYNC) < 0 ||
        file_write_atomic(fd, "big", rig.big, rig.big_length, FILE_NO_SYNC) < 0 ||
        file_write_atomic(fd, "ascii", ascii, sizeof ascii - 1, FILE_NO_SYNC) < 0 ||
        file_write_atomic(fd, "password", "p4ss word\n", 10, FILE_NO_SYNC) < 0 ||
        file_write_atomic(fd, "token", "first-token\n", 12, FILE_NO_SYNC) < 0 ||
        file_write_atomic(fd, "long", long_token, sizeof long_token, FILE_NO_SYNC) < 0)
        return -1;
    close(fd);
    return deadline_start(&rig.deadlines) < 0 || resolver_start(&rig.resolver) < 0 ? -1 : 0;
}

int submit_rig_close(void)
{
    char command[200];

    deadline_stop(rig.deadlines);
    resolver_stop(rig.resolver);
    free(rig.small);
    free(rig.big);
    snprintf(command, sizeof command, "rm -rf '%s'", rig.folder);
    return system(command);
}

void submit_rig_send(struct submit_session *session, int fd, const char *name, int64_t bytes,
                     const char *recipient, struct submit_result *result)
{
    struct submit_timeouts timeouts = {20000, 20000, 20000, 20000, 20000};
    struct submit_recipient to = {.address = recipient};
    char path[200];
    struct submit_request request = {
        .message_path = path,
        .message_bytes = bytes,
        .envelope_from = "op@example.com",
        .hello = "gw.example.com",
        .recipients = &to,
        .recipient_count = 1,
        .timeouts = &timeouts,
    };

    snprintf(path, sizeof path, "%s/%s", rig.folder, name);
    rig.transport->send(session, fd, rig.deadlines, &request, result);
}

/* ---- one row ----------------------------------------------------------------------------------
 */

struct trial {
    const struct submit_row *row;
    const char *script[1 + SUBMIT_WORDS_MAX];
    pthread_t thread;
    int greetings; /* that the transport told of */
    char complaint[1200];
};

static void complain(struct trial *trial, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void complain(struct trial *trial, const char *format, ...)
{
    size_t used = strlen(trial->complaint);
    va_list ap;

    va_start(ap, format);
    vsnprintf(trial->complaint + used, sizeof trial->complaint - used, format, ap);
    va_end(ap);
}

void submit_rig_describe(struct server *server, const struct submit_row *row, int port)
{
    memset(server, 0, sizeof *server);
    text_copy(server->name, sizeof server->name, "one");
    text_copy(server->host, sizeof server->host, row->host != NULL ? row->host : "127.0.0.1");
    server->port = port;
    server->tls = row->starttls ? SERVER_TLS_STARTTLS : rig.tls;
    server->auth = row->auth;
    text_copy(server->user, sizeof server->user, "user");
    snprintf(server->password_file, sizeof server->password_file, "%s/password", rig.folder);
    if (row->token != NULL && row->token[0] == '!')
        text_copy(server->token_command, sizeof server->token_command, row->token + 1);
    else if (row->token != NULL)
        snprintf(server->token_file, sizeof server->token_file, "%s/%s", rig.folder, row->token);
    if (row->trust == NULL)
        snprintf(server->ca_file, sizeof server->ca_file, "%s/ca.pem", rig.folder);
    else if (strcmp(row->trust, "none") != 0)
        text_copy(server->fingerprint, sizeof server->fingerprint,
                  strcmp(row->trust, "self") == 0 ? rig.self_print : rig.wrong_print);
}

static void check_outcome(struct trial *trial, const struct submit_request *request,
                          const struct submit_result *result)
{
    const struct submit_row *row = trial->row;
    const struct failure *failure = submit_failure_of(request, result, 0);
    enum failure_class class = failure_classify(failure, NULL);

    if (result->again)
        complain(trial, "asks for another try; ");
    if (result->local_error != 0)
        complain(trial, "local error %s; ", error_text(result->local_error));
    if (failure->stage != row->stage || (failure->event != row->event && !row->any_event) ||
        failure->code != row->code || class != row->class ||
        strstr(failure->text, row->text) == NULL)
        complain(trial, "stage %s event %d code %d '%s' class %s; ",
                 failure_stage_text(failure->stage), failure->event, failure->code, failure->text,
                 failure_class_text(class));
}

/* Only the time-out that a row is about is short: nothing else may fail on a slow machine. */
static struct submit_timeouts timeouts_for(const struct submit_row *row)
{
    struct submit_timeouts timeouts = {60000, 60000, 60000, 60000, 60000};

    if (row->event != EVENT_TIMEOUT)
        return timeouts;
    if (row->stage == STAGE_GREETING)
        timeouts.greeting = RIG_SHORT_MS;
    else if (row->stage == STAGE_CONTENT)
        timeouts.data = RIG_SHORT_MS;
    else if (row->stage == STAGE_FINAL)
        timeouts.final = RIG_SHORT_MS;
    else
        timeouts.command = rig.command_ms;
    return timeouts;
}

static void note_greeting(void *user)
{
    struct trial *trial = user;

    trial->greetings++;
}

static void run_client(struct trial *trial, struct submit_session *session, int port)
{
    const struct submit_row *row = trial->row;
    struct submit_timeouts timeouts = timeouts_for(row);
    struct submit_recipient recipients[2] = {{.address = "a@example.com"},
                                             {.address = "b@example.com"}};
    char path[200];
    struct submit_request request = {
        .message_path = path,
        .message_bytes = (int64_t)(row->ascii ? sizeof ascii - 1
                                   : row->big ? rig.big_length
                                              : rig.small_length),
        .envelope_from = "op@example.com",
        .hello = "gw.example.com",
        .recipients = recipients,
        .recipient_count = row->two ? 2 : 1,
        .timeouts = &timeouts,
        .greeted = note_greeting,
        .user = trial,
    };
    struct submit_result result;
    char address[CONNECT_ADDRESS_MAX];
    struct failure why;
    int64_t begin_ms = clock_monotonic_ms();
    int fd = connect_open(rig.resolver, "127.0.0.1", port, 5000, -1, address, &why);

    snprintf(path, sizeof path, "%s/%s", rig.folder,
             row->ascii ? "ascii"
             : row->big ? "big"
                        : "small");
    if (fd < 0) {
        complain(trial, "no connection: %s; ", why.text);
        return;
    }
    rig.transport->send(session, fd, rig.deadlines, &request, &result);
    close(fd);
    check_outcome(trial, &request, &result);
    if (row->stage == STAGE_GREETING ? trial->greetings != 0
                                     : trial->greetings != (int)result.greeted)
        complain(trial, "told of %d greetings; ", trial->greetings);
    if (clock_monotonic_ms() - begin_ms > 50000)
        complain(trial, "took %d ms; ", (int)(clock_monotonic_ms() - begin_ms));
}

static void *run_trial(void *arg)
{
    struct trial *trial = arg;
    const struct submit_row *row = trial->row;
    struct smtp_script *script = smtp_script_start(trial->script, 1, rig.folder);
    struct submit_session *session = NULL;
    struct server server;
    char complaint[200];
    char name[100];
    char why[200];
    char *message = NULL;
    size_t length = 0;

    submit_rig_describe(&server, row, smtp_script_port(script));
    if (rig.transport->open(&session, &server, why, sizeof why) < 0)
        complain(trial, "open: %s; ", why);
    else
        run_client(trial, session, smtp_script_port(script));
    rig.transport->close(session);
    smtp_script_stop(script, &message, &length, complaint, sizeof complaint, name, sizeof name);
    if (complaint[0] != '\0')
        complain(trial, "server: %s; ", complaint);
    if (row->received && (length != (row->big ? rig.big_length : rig.small_length) ||
                          memcmp(message, row->big ? rig.big : rig.small, length) != 0))
        complain(trial, "the message arrived changed: %zu octets; ", length);
    if (row->host != NULL && strcmp(name, row->host) != 0)
        complain(trial, "SNI '%s'; ", name);
    free(message);
    sem_post(&places);
    return NULL;
}

static void prepare_trial(struct trial *trial, const struct submit_row *row, bool is_common)
{
    bool shakes_hands = is_common && rig.tls == SERVER_TLS_IMPLICIT;

    trial->row = row;
    if (shakes_hands)
        trial->script[0] = "TLS good";
    memcpy(trial->script + shakes_hands, row->script, sizeof row->script);
}

void submit_rig_run(const struct submit_row *rows, size_t row_count)
{
    size_t count = submit_common_row_count + row_count;
    struct trial *trials = calloc(count, sizeof *trials);
    int failed = 0;
    size_t i;

    assert_non_null(trials);
    assert_int_equal(sem_init(&places, 0, AT_ONCE), 0);
    for (i = 0; i < count; i++) {
        sem_wait(&places);
        if (i < submit_common_row_count)
            prepare_trial(&trials[i], &submit_common_rows[i], true);
        else
            prepare_trial(&trials[i], &rows[i - submit_common_row_count], false);
        assert_int_equal(pthread_create(&trials[i].thread, NULL, run_trial, &trials[i]), 0);
    }
    for (i = 0; i < count; i++) {
        pthread_join(trials[i].thread, NULL);
        print_message("  %s%s%s\n", trials[i].row->name, trials[i].complaint[0] != '\0' ? ": " : "",
                      trials[i].complaint);
        failed += trials[i].complaint[0] != '\0';
    }
    sem_destroy(&places);
    free(trials);
    assert_int_equal(failed, 0);
}
