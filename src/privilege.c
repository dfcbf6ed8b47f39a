/* SPDX-License-Identifier: MIT */
/*
 * privilege.c - gives up what roles do not need.
 */
#include "src/privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

int account_find(struct account *out, const struct conf *faxpost)
{
    const char *name = conf_text(faxpost, "gateway", NULL, "user");
    const struct passwd *entry;

    *out = (struct account){.uid = geteuid(), .gid = getegid()};
    if (geteuid() != 0 || name == NULL || name[0] == '\0')
        return 0;
    entry = getpwnam(name);
    if (entry == NULL) {
        log_error("no such account: user=%s; make it, or name another in [gateway] user",
                  LOG_ESCAPED(name));
        return ERROR_NOT_FOUND;
    }
    out->change = entry->pw_uid != 0;
    text_copy(out->name, sizeof out->name, name);
    out->uid = entry->pw_uid;
    out->gid = entry->pw_gid;
    return 0;
}

/* Those above path that are missing, open to all for passing: only the last one is ours. */
static int make_above(const char *path)
{
    char part[PATH_MAX];
    size_t i;

    if (strlen(path) >= sizeof part)
        return ERROR_LIMIT;
    for (i = 1; path[i] != '\0'; i++) {
        if (path[i] != '/')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return error_from_errno(errno);
    }
    return 0;
}

static int folder_own(int fd, const char *path, const struct account *account)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return ERROR_IO;
    if (geteuid() == 0 && st.st_uid != account->uid) {
        if (st.st_uid != 0) {
            log_error("folder belongs to another: path=%s uid=%u wanted=%u; give it to the account "
                      "of [gateway] user, or name another folder",
                      path, (unsigned)st.st_uid, (unsigned)account->uid);
            return ERROR_DENIED;
        }
        if (fchown(fd, account->uid, account->gid) < 0)
            return error_from_errno(errno);
    }
    return 0;
}

static int folder_prepare(const char *path, mode_t mode, const struct account *account)
{
    int error = make_above(path);
    bool made = error == 0 && mkdir(path, mode) == 0;
    int fd = -1;

    if (error == 0 && !made && errno != EEXIST)
        error = error_from_errno(errno);
    if (error == 0 && (fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        error = error_from_errno(errno);
    if (error < 0)
        log_error("folder cannot be made or opened: path=%s: %s; make it for the account that "
                  "faxpost runs as, or name another in [gateway]",
                  path, strerror(errno));
    else if ((error = folder_own(fd, path, account)) < 0 || (made && fchmod(fd, mode) < 0))
        log_error("folder cannot be given to the account of the roles: path=%s: %s", path,
                  error_text(error));
    if (fd >= 0)
        close(fd);
    return error;
}

int folders_prepare(const struct conf *faxpost, const struct account *account)
{
    int error = folder_prepare(conf_text(faxpost, "gateway", NULL, "state_dir"), 0700, account);

    if (error == 0)
        error = folder_prepare(conf_text(faxpost, "gateway", NULL, "run_dir"), 0750, account);
    return error;
}

int account_become(const struct account *account)
{
    if (!account->change)
        return 0;
    if (setgroups(0, NULL) < 0 || setresgid(account->gid, account->gid, account->gid) < 0 ||
        setresuid(account->uid, account->uid, account->uid) < 0)
        return error_from_errno(errno);
    return setuid(0) == 0 ? ERROR_STATE : 0; /* there must be no way back */
}

/* All sets empty; for a process that is still root, also what an exec could bring back. */
static int capabilities_drop(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];
    unsigned long c;

    if (geteuid() == 0)
        for (c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
            prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
    memset(none, 0, sizeof none);
    return syscall(SYS_capset, &head, none) < 0 ? error_from_errno(errno) : 0;
}

static void limits_set(void)
{
    struct rlimit files;
    struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none); /* a core file would hold faxes and passwords */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

int privileges_drop(void)
{
    limits_set();
#ifndef SANITIZED
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* faxes, passwords: not for others of the same account */
#endif
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || capabilities_drop() < 0) {
        log_error("privileges cannot be given up: %s", strerror(errno));
        return ERROR_DENIED;
    }
    return 0;
}

static int enter(enum role role, const struct settings *settings, bool *programs,
                 char missing[SANDBOX_TEXT_MAX])
{
    struct sandbox_plan *plan;
    int error = sandbox_plan_make(&plan, role, settings);

    if (error < 0)
        return error;
    *programs = plan->programs;
    error = sandbox_enter(plan, missing);
    sandbox_plan_free(plan);
    return error;
}

int role_sandbox(enum role role, const struct settings *settings, char state[SANDBOX_TEXT_MAX])
{
    int mode = conf_choice(settings->file[SETTINGS_FAXPOST], "gateway", NULL, "sandbox");
    char missing[SANDBOX_TEXT_MAX] = "";
    bool programs = false;
    int error = 0;

    text_copy(state, SANDBOX_TEXT_MAX, "off");
    if (mode == SANDBOX_OFF)
        return 0;
    error = enter(role, settings, &programs, missing);
    if (error < 0) {
        log_error("sandbox cannot be made: %s", error_text(error));
        return error;
    }
    if (missing[0] == '\0')
        text_copy(state, SANDBOX_TEXT_MAX,
                  programs ? SANDBOX_WHOLE ", programs may be started" : SANDBOX_WHOLE);
    else
        snprintf(state, SANDBOX_TEXT_MAX, "without %s", missing);
    if (missing[0] == '\0')
        return 0;
    if (mode == SANDBOX_REQUIRED) {
        log_error("sandbox is required and lacks %s; use a kernel that has it, or set [gateway] "
                  "sandbox = auto",
                  missing);
        return ERROR_UNSUPPORTED;
    }
    return 0; /* the supervisor tells it, once for all roles */
}
