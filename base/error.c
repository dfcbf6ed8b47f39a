/* SPDX-License-Identifier: MIT */
/*
 * error.c - texts for the error codes, and the way from errno to them.
 */
#include "base/error.h"

#include <errno.h>
#include <stddef.h>

static const char *const texts[] = {
    [-ERROR_NONE] = "no error",
    [-ERROR_MEMORY] = "out of memory",
    [-ERROR_IO] = "input/output error",
    [-ERROR_FULL] = "no space left",
    [-ERROR_FORMAT] = "malformed",
    [-ERROR_LIMIT] = "too large",
    [-ERROR_NOT_FOUND] = "not found",
    [-ERROR_EXISTS] = "exists already",
    [-ERROR_DENIED] = "not permitted",
    [-ERROR_BUSY] = "in use",
    [-ERROR_TIMEOUT] = "timed out",
    [-ERROR_CLOSED] = "closed",
    [-ERROR_UNSUPPORTED] = "not supported",
    [-ERROR_STATE] = "not possible now",
    [-ERROR_LIBRARY] = "refused by a library",
    [-ERROR_CONFIG] = "wrong settings",
};

const char *error_text(int error)
{
    size_t i = error <= 0 ? (size_t)-error : sizeof texts;

    if (i >= sizeof texts / sizeof texts[0] || texts[i] == NULL)
        return "unknown error";
    return texts[i];
}

int error_from_errno(int errno_value)
{
    switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return ERROR_FULL;
    case ENOMEM: return ERROR_MEMORY;
    case ENOENT: return ERROR_NOT_FOUND;
    case EEXIST: return ERROR_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS: return ERROR_DENIED;
    case EWOULDBLOCK: return ERROR_BUSY;
    case ETIMEDOUT: return ERROR_TIMEOUT;
    default: return ERROR_IO;
    }
}
