/* SPDX-License-Identifier: MIT */
/*
 * role_message.c - datagrams between supervisor and roles, with descriptors on board.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "src/role.h"

enum { PART_BYTES_MAX = 8 << 20 };

struct head {
    int64_t number;
    uint32_t type;
    uint32_t magic;
};

#define MAGIC 0x66617870u /* "faxp" */

union control {
    struct cmsghdr head;
    char space[CMSG_SPACE(SETTINGS_FILES * sizeof(int))];
};

int role_send(int channel, enum role_message_type type, int64_t number, const char *text,
              const int *fds, int fd_count)
{
    struct head head = {.number = number, .type = (uint32_t)type, .magic = MAGIC};
    size_t length = text != NULL ? strnlen(text, ROLE_TEXT_MAX - 1) : 0;
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)(uintptr_t)text, length}};
    union control control = {0};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t n;

    if (fd_count > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE((size_t)fd_count * sizeof(int));
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN((size_t)fd_count * sizeof(int));
        memcpy(CMSG_DATA(&control.head), fds, (size_t)fd_count * sizeof(int));
    }
    do
        n = sendmsg(channel, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return 0;
    return errno == EAGAIN                         ? ERROR_FULL
           : errno == EPIPE || errno == ECONNRESET ? ERROR_CLOSED
                                                   : ERROR_IO;
}

static void take_descriptors(struct role_message *out, struct msghdr *message)
{
    struct cmsghdr *c;

    for (c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || n > SETTINGS_FILES)
            continue;
        memcpy(out->fd, CMSG_DATA(c), n * sizeof(int));
        out->fd_count = (int)n;
    }
}

static void close_descriptors(struct role_message *message)
{
    while (message->fd_count > 0)
        close(message->fd[--message->fd_count]);
}

int role_receive(int channel, struct role_message *out)
{
    struct head head = {0};
    struct iovec parts[2] = {{&head, sizeof head}, {out->text, sizeof out->text - 1}};
    union control control = {0};
    struct msghdr message = {.msg_iov = parts,
                             .msg_iovlen = 2,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t n;

    out->fd_count = 0;
    do
        n = recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? ERROR_TIMEOUT : ERROR_CLOSED;
    take_descriptors(out, &message);
    if (n == 0) {
        close_descriptors(out);
        return ERROR_CLOSED;
    }
    if ((size_t)n < sizeof head || head.magic != MAGIC || head.type >= ROLE_MESSAGE_TYPES ||
        (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        close_descriptors(out);
        return ERROR_FORMAT;
    }
    out->text[(size_t)n - sizeof head] = '\0';
    out->type = (enum role_message_type)head.type;
    out->number = head.number;
    return 0;
}

int role_send_settings(int channel, enum role role, const struct settings *settings)
{
    int fds[SETTINGS_FILES];
    int count = 0;
    int64_t bits = 0;
    int error = 0;
    int i;

    for (i = 0; i < SETTINGS_FILES && error == 0; i++) {
        char *text = NULL;

        error = settings_part(settings, role, (enum settings_file)i, &text);
        if (error == 0 && text != NULL) {
            /* sealed: what the role reads is what was checked */
            fds[count] = file_in_memory("faxpost-settings", text, strlen(text));
            error = fds[count] < 0 ? fds[count] : 0;
            bits |= (int64_t)1 << i;
            count += error == 0;
        }
        free(text);
    }
    if (error == 0)
        error = role_send(channel, ROLE_SETTINGS, bits, NULL, fds, count);
    while (count > 0)
        close(fds[--count]);
    return error;
}

static int part_read(int fd, char **out)
{
    struct buffer buffer;
    char chunk[8192];
    off_t at = 0;
    ssize_t n;
    int error = 0;

    buffer_init(&buffer, PART_BYTES_MAX);
    while (error == 0 && (n = pread(fd, chunk, sizeof chunk, at)) != 0) {
        if (n < 0)
            error = ERROR_IO;
        else
            error = buffer_add(&buffer, chunk, (size_t)n);
        at += n;
    }
    if (error == 0 && (*out = strdup(buffer_string(&buffer))) == NULL)
        error = ERROR_MEMORY;
    buffer_free(&buffer);
    return error;
}

int role_take_settings(struct settings **out, struct role_message *message)
{
    char *parts[SETTINGS_FILES] = {NULL};
    int used = 0;
    int error = 0;
    int i;

    for (i = 0; i < SETTINGS_FILES && error == 0; i++) {
        if ((message->number & ((int64_t)1 << i)) == 0)
            continue;
        error = used < message->fd_count ? part_read(message->fd[used++], &parts[i]) : ERROR_FORMAT;
    }
    if (error == 0)
        error = settings_from_parts(out, parts);
    for (i = 0; i < SETTINGS_FILES; i++)
        free(parts[i]);
    close_descriptors(message);
    return error;
}
