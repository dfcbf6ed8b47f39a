/* SPDX-License-Identifier: MIT */
/*
 * mails.c - mails a second from the durable queue to a server, sync on: a spool full of composed
 * faxes, the dispatcher with its workers, and a server in this process that takes everything.
 * Usage: mails [FOLDER [MAILS [WORKERS [BYTES]]]]; FOLDER lies on the disk that is to be measured.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "smtp/dispatch.h"
#include "spool/incoming.h"

static atomic_int mails, connections;

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "mails: %s failed\n", what);
    exit(1);
}

/* ---- the server -------------------------------------------------------------------------------
 */

/* After DATA: octets until the dot. It keeps what may be the beginning of the end. */
static bool swallow(int fd, char *buffer, size_t size)
{
    size_t kept = 0;

    for (;;) {
        ssize_t n = recv(fd, buffer + kept, size - kept, 0);

        if (n <= 0)
            return false;
        kept += (size_t)n;
        if (kept >= 5 && memcmp(buffer + kept - 5, "\r\n.\r\n", 5) == 0)
            return true;
        if (kept > 4) {
            memmove(buffer, buffer + kept - 4, 4);
            kept = 4;
        }
    }
}

static void *serve(void *arg)
{
    static const char offers[] = "250-sink\r\n250 PIPELINING\r\n";
    int fd = (int)(intptr_t)arg;
    char *buffer = malloc(65536);
    size_t used = 0;
    bool on = send(fd, "220 sink\r\n", 10, MSG_NOSIGNAL) > 0;

    while (on) {
        char reply[1024];
        size_t length = 0;
        char *line = buffer;
        char *end;
        ssize_t n = recv(fd, buffer + used, 4096 - used, 0);

        if (n <= 0)
            break;
        used += (size_t)n;
        while ((end = memchr(line, '\n', used - (size_t)(line - buffer))) != NULL && on &&
               length < sizeof reply - 100) {
            bool data = strncmp(line, "DATA", 4) == 0;
            const char *text = strncmp(line, "EHLO", 4) == 0 ? offers
                               : data                        ? "354 go\r\n"
                                                             : "250 2.0.0 ok\r\n";

            on = strncmp(line, "QUIT", 4) != 0;
            memcpy(reply + length, text, strlen(text));
            length += strlen(text);
            line = end + 1;
            if (!data)
                continue;
            send(fd, reply, length, MSG_NOSIGNAL);
            on = swallow(fd, buffer, 65536);
            length = (size_t)snprintf(reply, sizeof reply, "250 2.0.0 queued\r\n");
            atomic_fetch_add(&mails, on);
            line = buffer;
            used = 0;
            break;
        }
        used -= (size_t)(line - buffer);
        memmove(buffer, line, used);
        if (length > 0)
            send(fd, reply, length, MSG_NOSIGNAL);
    }
    close(fd);
    free(buffer);
    return NULL;
}

static void *listen_on(void *arg)
{
    int listen_fd = (int)(intptr_t)arg;
    int fd;

    while ((fd = accept(listen_fd, NULL, NULL)) >= 0) {
        pthread_t thread;

        atomic_fetch_add(&connections, 1);
        must(pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0, "thread");
        pthread_detach(thread);
    }
    return NULL;
}

static int start_server(int *out_fd, pthread_t *out_thread)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *out_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(bind(*out_fd, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    must(listen(*out_fd, 64) == 0, "listen");
    getsockname(*out_fd, (struct sockaddr *)&address, &length);
    must(pthread_create(out_thread, NULL, listen_on, (void *)(intptr_t)*out_fd) == 0, "thread");
    return ntohs(address.sin_port);
}

/* ---- the queue --------------------------------------------------------------------------------
 */

static void leave_due(struct spool *spool, const char *state_dir, const char *message,
                      int64_t bytes)
{
    struct call_info info = {.verdict = CALL_COMPLETE, .pages = 1};
    struct spool_recipient recipient = {"a@example.com"};
    struct incoming *incoming = NULL;
    struct spool_fax fax;
    int fd;

    info.started_ms = clock_wall_ms();
    fax_id_new(info.fax_id, info.started_ms);
    must(incoming_new(&incoming, state_dir, &info) == 0, "incoming_new");
    must(incoming_store_page(incoming, 1, "II*", 4) == 0, "incoming_store_page");
    incoming_write_info(incoming, &info, 1);
    incoming_close(incoming);
    must(spool_take_over(spool, 1) == 1, "spool_take_over");
    must(spool_fax_get(spool, info.fax_id, &fax) == 0, "spool_fax_get");
    fd = file_open_folder(AT_FDCWD, fax.folder);
    must(file_write_atomic(fd, "message.eml", message, (size_t)bytes, FILE_DURABLE) == 0, "write");
    close(fd);
    must(spool_fax_composed(spool, info.fax_id, "r", info.fax_id, "op@example.com", bytes,
                            &recipient, 1, clock_wall_ms()) == 0,
         "spool_fax_composed");
}

static int no_compose(void *user, const struct spool_fax *fax, const struct route *route,
                      const char *message_id, bool plain, int64_t *out_bytes, char *why,
                      size_t size)
{
    (void)user, (void)fax, (void)route, (void)message_id, (void)plain, (void)out_bytes;
    snprintf(why, size, "not here");
    return ERROR_LIBRARY;
}

static struct dispatch *start(struct spool *spool, int workers, int port)
{
    struct dispatch_hooks hooks = {.compose = no_compose};
    struct dispatch *dispatch = NULL;
    struct conf *faxpost = NULL;
    struct conf *servers = NULL;
    char text[1000];

    snprintf(text, sizeof text,
             "[gateway]\noperator = op@example.com\nhostname = gw.example.com\n"
             "[mail]\nmailbox = no\n[limits]\nworkers = %d\n[spool]\nmin_free = 0\n",
             workers);
    must(conf_parse(&faxpost, text, "faxpost.ini", NULL, conf_keys_faxpost, NULL, NULL) == 0,
         "faxpost.ini");
    snprintf(text, sizeof text,
             "[server sink]\nrank = 1\nhost = 127.0.0.1\nport = %d\nconnections = %d\n", port,
             workers);
    must(conf_parse(&servers, text, "servers.ini", NULL, conf_keys_servers, NULL, NULL) == 0,
         "servers.ini");
    must(dispatch_start(&dispatch, spool, faxpost, servers, NULL, &hooks) == 0, "dispatch_start");
    conf_free(faxpost);
    conf_free(servers);
    return dispatch;
}

static double cpu_seconds(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static char *make_message(int64_t bytes)
{
    char *message = malloc((size_t)bytes + 1);
    int64_t at = (int64_t)sprintf(message, "From: <op@example.com>\r\nTo: <a@example.com>\r\n"
                                           "Message-ID: <x@example.com>\r\n"
                                           "Date: Sat, 21 Nov 2026 10:15:30 +0000\r\n\r\n");

    for (; at < bytes; at++)
        message[at] = at % 76 == 74 ? '\r' : at % 76 == 75 ? '\n' : 'x';
    memcpy(message + bytes - 3, "x\r\n", 3);
    return message;
}

int main(int argc, char **argv)
{
    const char *where = argc > 1 ? argv[1] : "/var/tmp";
    int count = argc > 2 ? atoi(argv[2]) : 1000;
    int workers = argc > 3 ? atoi(argv[3]) : 8;
    int64_t bytes = argc > 4 ? atoll(argv[4]) : 60000;
    struct spool_counts counts = {0};
    struct dispatch *dispatch;
    struct spool *spool;
    pthread_t server;
    char *message;
    char folder[300];
    char command[400];
    int64_t begin_ms;
    double cpu;
    int listen_fd;
    int port;
    int i;

    must(count > 0 && workers > 0 && bytes > 1000,
         "usage: mails [FOLDER [MAILS [WORKERS [BYTES]]]]");
    log_open("mails", LOG_LEVEL_ERROR);
    message = make_message(bytes);
    snprintf(folder, sizeof folder, "%s/mails.XXXXXX", where);
    must(mkdtemp(folder) != NULL, "mkdtemp");
    must(spool_open(&spool, folder, SPOOL_OWN) == 0, "spool_open");
    for (i = 0; i < count; i++)
        leave_due(spool, folder, message, bytes);
    port = start_server(&listen_fd, &server);
    begin_ms = clock_monotonic_ms();
    cpu = cpu_seconds();
    dispatch = start(spool, workers, port);
    while (counts.done < count && clock_monotonic_ms() - begin_ms < 300000) {
        usleep(2000);
        must(spool_count(spool, &counts) == 0, "spool_count");
    }
    begin_ms = clock_monotonic_ms() - begin_ms;
    cpu = cpu_seconds() - cpu;
    printf("mails=%d bytes=%lld workers=%d seconds=%.2f mails_per_second=%.0f "
           "cpu_ms_per_mail=%.2f connections=%d\n",
           atomic_load(&mails), (long long)bytes, workers, (double)begin_ms / 1000,
           count * 1000.0 / (double)begin_ms, cpu * 1000 / count, atomic_load(&connections));
    must(counts.done == count && atomic_load(&mails) == count, "each mail once");
    dispatch_stop(dispatch, 2000);
    spool_close(spool);
    shutdown(listen_fd, SHUT_RDWR);
    close(listen_fd);
    pthread_join(server, NULL);
    free(message);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : 1;
}
