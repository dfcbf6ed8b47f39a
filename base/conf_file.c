/* SPDX-License-Identifier: MIT */
/*
 * conf_file.c - a file of settings from the disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/conf.h"
#include "base/conf_internal.h"
#include "base/error.h"
#include "base/text.h"

enum { FILE_BYTES_MAX = 1 << 20 };

/* A whole file as text; what is wrong with it as such is told to the handler. */
static int file_text(char **out, const char *path, conf_problem_handler *handler, void *user)
{
    char what[CONF_WHAT_MAX] = "";
    struct stat st;
    struct buffer buffer;
    char chunk[8192];
    ssize_t n = 0;
    int error = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    buffer_init(&buffer, FILE_BYTES_MAX);
    if (fd < 0 || fstat(fd, &st) < 0) {
        error = error_from_errno(errno);
        snprintf(what, sizeof what, "cannot be read: %s", strerror(errno));
        if (error == ERROR_NOT_FOUND)
            text_copy(what, sizeof what, "there is no such file: make it, or name another with -c");
    } else if (!S_ISREG(st.st_mode)) {
        error = ERROR_FORMAT;
        text_copy(what, sizeof what, "is no regular file: name a file of settings");
    }
    while (error == 0 && (n = read(fd, chunk, sizeof chunk)) != 0) {
        if (n > 0) {
            error = buffer_add(&buffer, chunk, (size_t)n);
        } else if (errno != EINTR) {
            error = ERROR_IO;
            snprintf(what, sizeof what, "cannot be read: %s", strerror(errno));
        }
    }
    if (error == 0 && strlen(buffer_string(&buffer)) != buffer.length) {
        error = ERROR_FORMAT;
        text_copy(what, sizeof what, "holds octets that are no text: is this the right file?");
    }
    if (error == ERROR_LIMIT)
        snprintf(what, sizeof what, "is too large: at most %d kB", FILE_BYTES_MAX / 1024);
    if (error == 0 && (*out = strdup(buffer_string(&buffer))) == NULL)
        error = ERROR_MEMORY;
    if (what[0] != '\0' && handler != NULL)
        handler(user, path, 0, what);
    if (fd >= 0)
        close(fd);
    buffer_free(&buffer);
    return error == ERROR_LIMIT || error == ERROR_FORMAT ? ERROR_CONFIG : error;
}

/* The folder a path lies in, absolute; malloced. */
static char *folder_of(const char *path)
{
    char current[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int length = slash == NULL ? 0 : slash == path ? 1 : (int)(slash - path);
    char *folder = NULL;
    int n;

    if (path[0] == '/')
        n = asprintf(&folder, "%.*s", length, path);
    else if (getcwd(current, sizeof current) == NULL)
        return NULL;
    else
        n = asprintf(&folder, "%s%s%.*s", current, length > 0 ? "/" : "", length, path);
    return n < 0 ? NULL : folder;
}

int conf_load(struct conf **out, const char *path, const struct conf_key *keys,
              conf_problem_handler *handler, void *user)
{
    char *text = NULL;
    char *folder = NULL;
    int error = file_text(&text, path, handler, user);

    if (error < 0)
        goto out;
    folder = folder_of(path);
    error =
        folder == NULL ? ERROR_MEMORY : conf_parse(out, text, path, folder, keys, handler, user);
out:
    free(folder);
    free(text);
    return error;
}
