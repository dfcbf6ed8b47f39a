/* SPDX-License-Identifier: MIT */
/*
 * man_keys.h - the tables of keys as they stand in the manual pages, which a test compares.
 */
#ifndef FAXPOST_SRC_MAN_KEYS_H
#define FAXPOST_SRC_MAN_KEYS_H

/* Prints the list of one file (faxpost.ini, servers.ini, bypass.ini, modems.ini), or of the
 * variables of templates ("templates"), in mdoc. Gives the exit code. */
int man_keys_print(const char *file);

#endif
