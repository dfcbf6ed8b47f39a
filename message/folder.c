/* SPDX-License-Identifier: MIT */
/*
 * folder.c - see folder.h.
 */
#include "message/folder.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

/* The number within PREFIX-NNNN.tif, 0 when the name is none. */
static int name_number(const char *name, const char *prefix)
{
    size_t length = strlen(prefix);
    int number = 0;

    if (strncmp(name, prefix, length) != 0 || strlen(name) != length + 8 ||
        strcmp(name + length + 4, ".tif") != 0)
        return 0;
    for (size_t i = length; i < length + 4; i++) {
        if (!isdigit((unsigned char)name[i]))
            return 0;
        number = number * 10 + name[i] - '0';
    }
    return number;
}

/* 1 or 0; what cannot be looked at is neither: it may be a page. */
static int is_regular(int dir_fd, const char *name)
{
    struct stat status;

    if (fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : error_from_errno(errno);
    return S_ISREG(status.st_mode);
}

static int list_add(struct folder_list *list, int number)
{
    if (number == 0)
        return 0;
    if (list->count == FOLDER_PAGES_MAX)
        return ERROR_LIMIT;
    if (list->numbers == NULL)
        list->numbers = calloc(FOLDER_PAGES_MAX, sizeof *list->numbers);
    if (list->numbers == NULL)
        return ERROR_MEMORY;
    list->numbers[list->count++] = number;
    return 0;
}

static int compare_numbers(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void list_sort(struct folder_list *list)
{
    if (list->count > 1)
        qsort(list->numbers, (size_t)list->count, sizeof *list->numbers, compare_numbers);
}

int folder_scan(int dir_fd, struct folder_list *pages, struct folder_list *unconfirmed)
{
    struct folder_list found = {0}, other = {0};
    struct dirent *entry;
    DIR *dir = NULL;
    int error = 0;
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || (dir = fdopendir(fd)) == NULL) {
        error = error_from_errno(errno);
        if (fd >= 0)
            close(fd);
        return error;
    }
    errno = 0;
    while (error == 0 && (entry = readdir(dir)) != NULL) {
        int regular = is_regular(dir_fd, entry->d_name);

        error = regular < 0 ? regular : 0;
        if (regular > 0)
            error = list_add(&found, name_number(entry->d_name, "page-"));
        if (regular > 0 && error == 0)
            error = list_add(&other, name_number(entry->d_name, "unconfirmed-"));
        errno = 0;
    }
    if (error == 0 && errno != 0)
        error = error_from_errno(errno);
    closedir(dir);
    if (error < 0) {
        folder_list_free(&found);
        folder_list_free(&other);
        return error;
    }
    list_sort(&found);
    list_sort(&other);
    *pages = found;
    *unconfirmed = other;
    return 0;
}

void folder_list_free(struct folder_list *list)
{
    if (list == NULL)
        return;
    free(list->numbers);
    *list = (struct folder_list){0};
}

bool folder_list_has(const struct folder_list *list, int number)
{
    for (int i = 0; i < list->count; i++)
        if (list->numbers[i] == number)
            return true;
    return false;
}

char *folder_page_name(char out[FOLDER_NAME_MAX], int number)
{
    snprintf(out, FOLDER_NAME_MAX, "page-%04d.tif", number);
    return out;
}
