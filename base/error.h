/* SPDX-License-Identifier: MIT */
/*
 * error.h - the one error convention of faxpost.
 *
 * A function that can fail returns 0 (or a count) on success and one of these
 * negative codes otherwise; out-parameters are set on success only.
 */
#ifndef FAXPOST_BASE_ERROR_H
#define FAXPOST_BASE_ERROR_H

enum error {
    ERROR_NONE = 0,
    ERROR_MEMORY = -1,       /* allocation failed */
    ERROR_IO = -2,           /* read, write, fsync, rename … failed; errno says why */
    ERROR_FULL = -3,         /* no space or quota left, or a bounded queue is full */
    ERROR_FORMAT = -4,       /* input is not in the form it should have */
    ERROR_LIMIT = -5,        /* input is larger than allowed */
    ERROR_NOT_FOUND = -6,    /* no such thing */
    ERROR_EXISTS = -7,       /* there is one already */
    ERROR_DENIED = -8,       /* not permitted */
    ERROR_BUSY = -9,         /* locked or in use by another */
    ERROR_TIMEOUT = -10,     /* time ran out */
    ERROR_CLOSED = -11,      /* the other side is gone */
    ERROR_UNSUPPORTED = -12, /* well-formed, but not done here */
    ERROR_STATE = -13,       /* not possible in this state */
    ERROR_LIBRARY = -14,     /* a library refused; the log says what */
    ERROR_CONFIG = -15,      /* the settings are wrong */
};

/* A short English text for a code of this file, "unknown error" for any other. Never NULL. */
const char *error_text(int error);

/* The code that fits errno after a failed system call: ENOSPC and EDQUOT are ERROR_FULL, ENOMEM is
 * ERROR_MEMORY, ENOENT is ERROR_NOT_FOUND, EEXIST is ERROR_EXISTS, EACCES and EPERM are
 * ERROR_DENIED, all else ERROR_IO. */
int error_from_errno(int errno_value);

#endif
