/* SPDX-License-Identifier: MIT */
/*
 * sandbox.h - what a role may ask of the kernel, once it has its settings: which files (Landlock)
 * and which system calls (seccomp). What each role is left with stands in sandbox.c; the two ways
 * to enforce it in sandbox_files.c and sandbox_calls.c.
 */
#ifndef FAXPOST_SRC_SANDBOX_H
#define FAXPOST_SRC_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "src/settings.h"

enum sandbox_mode { SANDBOX_AUTO, SANDBOX_REQUIRED, SANDBOX_OFF }; /* as [gateway] sandbox */

/* The oldest Landlock that is of use: a mail goes from tmp/ to new/, and the first one (Linux 5.13)
 * lets nobody rename between folders. The newest one that we know: scopes. */
enum { LANDLOCK_ABI_LEAST = 2, LANDLOCK_ABI_MOST = 6, SANDBOX_TEXT_MAX = 200 };

#define SANDBOX_WHOLE "whole" /* so begins the state of one that lacks nothing */

enum sandbox_right {
    SANDBOX_READ,        /* files and folders */
    SANDBOX_RUN,         /* and programs */
    SANDBOX_WRITE,       /* read, make, write, rename, remove files and folders */
    SANDBOX_WRITE_THERE, /* the same, of a folder that need not be there */
    SANDBOX_DEVICE,      /* read and write, nothing else */
};

struct sandbox_path {
    char *path;
    enum sandbox_right right;
    bool of_file; /* path is a file that may be replaced: its folder is meant */
};

struct sandbox_plan {
    enum role role;
    bool programs; /* alarm_command or a token_command is set: it may start programs */
    size_t count;
    struct sandbox_path *paths;
};

/* What a role needs with these settings (all, or the role's part of them). ERROR_MEMORY. */
int sandbox_plan_make(struct sandbox_plan **out, enum role role, const struct settings *settings);
void sandbox_plan_free(struct sandbox_plan *plan);

/* True when a role that runs within the plan of one set of settings can work by another. */
bool sandbox_covers(enum role role, const struct settings *old, const struct settings *new);

/* Limits this process, for good, to the plan: all its threads in their calls, this thread and those
 * it will start in its files. missing says in words what this kernel cannot do ("": it can all).
 * Threads are to be started afterwards. ERROR_MEMORY. */
int sandbox_enter(const struct sandbox_plan *plan, char missing[SANDBOX_TEXT_MAX]);

/* ---- the two ways, for sandbox.c and its tests --------------------------------------------------
 */

/* The newest Landlock that both this kernel and we know; 0: none. */
int landlock_abi(void);

/* Both need no_new_privs. ERROR_UNSUPPORTED: not on this kernel; other errors are logged. */
int landlock_enter(const struct sandbox_plan *plan, int abi);
int calls_enter(const struct sandbox_plan *plan);

#endif
