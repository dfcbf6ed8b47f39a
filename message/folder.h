/* SPDX-License-Identifier: MIT */
/*
 * folder.h - which pages lie in the folder of a fax.
 */
#ifndef FAXPOST_MESSAGE_FOLDER_H
#define FAXPOST_MESSAGE_FOLDER_H

#include <stdbool.h>

enum { FOLDER_PAGES_MAX = 9999, FOLDER_NAME_MAX = 32 };

/* Numbers of the files, rising. */
struct folder_list {
    int *numbers; /* owned */
    int count;
};

/* Reads the names page-NNNN.tif and unconfirmed-NNNN.tif; others are passed over. */
int folder_scan(int dir_fd, struct folder_list *pages, struct folder_list *unconfirmed);

void folder_list_free(struct folder_list *list);
bool folder_list_has(const struct folder_list *list, int number);

/* "page-0003.tif" */
char *folder_page_name(char out[FOLDER_NAME_MAX], int number);

#endif
