/* SPDX-License-Identifier: MIT */
/*
 * storage.h - whether pages can be stored now. What workers find out is kept for the operator, and
 * tried again on a thread of its own until it works, calls or not.
 */
#ifndef FAXPOST_FAX_STORAGE_H
#define FAXPOST_FAX_STORAGE_H

#include <stddef.h>
#include <stdint.h>

struct storage;

enum storage_trouble {
    STORAGE_CALLS, /* calls are refused: no room, or no folder */
    STORAGE_PAGES, /* a page could not be stored */
    STORAGE_TROUBLES,
};

/* Tries once before it returns; what is wrong then is in storage_text(). changed(user) is called,
 * on any thread, when that says something new; NULL: not wanted. Both texts must outlive it.
 * ERROR_MEMORY. */
int storage_start(struct storage **out, const char *state_dir, int64_t least_bytes,
                  void (*changed)(void *user), void *user);

/* Another [spool] min_free. */
void storage_set_least(struct storage *storage, int64_t least_bytes);

/* A negative error. NULL is fine. Any thread; never waits. */
void storage_failed(struct storage *storage, enum storage_trouble trouble, int error);

/* A line each, as in receive_lines_text(): "trouble" TAB name TAB "down" TAB words LF. Nothing when
 * all is well. Characters written. */
size_t storage_text(struct storage *storage, char *out, size_t size);

/* What is left for pages, in octets. Any thread. */
int storage_free_bytes(const char *state_dir, int64_t *out_bytes);

/* Joins the thread. NULL is fine. */
void storage_stop(struct storage *storage);

#endif
