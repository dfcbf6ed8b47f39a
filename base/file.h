/* SPDX-License-Identifier: MIT */
/*
 * file.h - files that are either wholly there or not at all, also after a power cut.
 */
#ifndef FAXPOST_BASE_FILE_H
#define FAXPOST_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Paths are relative to the open folder dir_fd (or AT_FDCWD); a name has no '/' unless said.
 * Failures leave errno as the system call set it and return error_from_errno() of it. */

enum file_sync {
    FILE_NO_SYNC, /* atomic, but a power cut may bring back the older content */
    FILE_DURABLE, /* file and folder are fsynced before the function returns 0 */
};

/* Writes name with this content: temporary name, write, (fsync), rename, (fsync of the folder).
 * On failure the old file, if any, is untouched and no temporary file is left; only when the fsync
 * of the folder failed the new one stands there, and may be gone after a power cut. */
int file_write_atomic(int dir_fd, const char *name, const void *data, size_t length,
                      enum file_sync sync);

/* The same, durable, with mode, owner and group of another file: ERROR_DENIED where we may not give
 * it to them. */
int file_replace(int dir_fd, const char *name, const void *data, size_t length,
                 const struct stat *like);

/* Reads a regular file (no symbolic link, no device) of at most limit octets; *out_data is
 * malloced, followed by a NUL that does not count, and the caller's. ERROR_LIMIT when it is larger,
 * ERROR_FORMAT when it is no regular file. */
int file_read(int dir_fd, const char *name, size_t limit, char **out_data, size_t *out_length);

/* Makes a folder and those above it (mode 0700), and makes them durable. An existing one is fine:
 * it is taken for durable, as those are that another thread made in this way. */
int file_make_folders(const char *path);

/* fsync of a folder by its descriptor or path. */
int file_sync_folder(int dir_fd);
int file_sync_folder_path(const char *path);

/* Opens a folder for use as dir_fd: a descriptor, or a negative error. Links are not followed. */
int file_open_folder(int dir_fd, const char *path);

/* Copies one regular file of at most limit octets under the same name into another folder, durable
 * there. Links and anything but regular files with one name are refused (ERROR_FORMAT). */
int file_copy(int from_fd, int to_fd, const char *name, int64_t limit);

/* Removes a folder with the files in it (one level, as the spool has them). ERROR_NOT_FOUND when it
 * was not there. */
int file_remove_folder(int dir_fd, const char *name);

/* A whole write(2): all octets or a negative error. */
int file_write_all(int fd, const void *data, size_t length);

/* What is left for us, in octets, where an open file or folder lies. */
int file_free_bytes(int fd, int64_t *out_bytes);

/* Data as a sealed file in memory, read from its beginning: a descriptor that is the caller's, or a
 * negative error. The name is for /proc. */
int file_in_memory(const char *name, const void *data, size_t length);

/* True for a name that is safe as one path component: not empty, not hidden, at most 100 characters
 * of A-Z a-z 0-9 . _ @ + - = */
int file_name_is_safe(const char *name);

#endif
