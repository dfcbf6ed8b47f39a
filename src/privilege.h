/* SPDX-License-Identifier: MIT */
/*
 * privilege.h - who the roles are and what they may: account, folders, limits, sandbox.
 */
#ifndef FAXPOST_SRC_PRIVILEGE_H
#define FAXPOST_SRC_PRIVILEGE_H

#include <stdbool.h>
#include <sys/types.h>

#include "src/sandbox.h"
#include "src/settings.h"

/* A build with a sanitizer wants more memory than any limit here, and to look into itself. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

struct account {
    bool change; /* false: the roles stay who we are */
    char name[64];
    uid_t uid;
    gid_t gid;
};

/* The account for the roles: [gateway] user when we are root, else nobody else's. ERROR_NOT_FOUND
 * (logged). */
int account_find(struct account *out, const struct conf *faxpost);

/* Makes state_dir (0700) and run_dir (0750) and gives them to the account. Folders that belong to
 * somebody else are an error. Logged. */
int folders_prepare(const struct conf *faxpost, const struct account *account);

/* In the child, before exec: becomes the account for good. */
int account_become(const struct account *account);

/* In the role, first of all: no new privileges, no capabilities, limits. Logged. */
int privileges_drop(void);

/* In the role, when it has its settings and before it has threads: the sandbox (sandbox.h), as
 * [gateway] sandbox wants it. state says what it has come to, in words. ERROR_UNSUPPORTED where it
 * is required and this kernel cannot do all of it. Logged. */
int role_sandbox(enum role role, const struct settings *settings, char state[SANDBOX_TEXT_MAX]);

#endif
