/* SPDX-License-Identifier: MIT */
/*
 * sandbox_calls.c - the system calls of each role, by libseccomp.
 *
 * What is not allowed fails with EPERM, as it would without the right to it; what only a hijacked
 * role would ask for ends the process (SIGSYS), and the supervisor's log tells of it. clone3()
 * hides its flags from any filter: it is said not to exist, and the C library takes clone().
 */
#include "src/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include <linux/netlink.h>

#include "base/error.h"
#include "base/log.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41 /* the C library names its memory */
#endif

/* TCGETS2 and TCSETS2, which newer C libraries take: their struct has 44 octets everywhere. */
#define OF_TERMIOS2(way, number) _IOC((way), 'T', (number), 44)

/* Arguments are compared in 32 bits: of an int, the rest of the register is anything. */
#define INT(n, value)        SCMP_CMP((n), SCMP_CMP_MASKED_EQ, 0xffffffffU, (uint32_t)(value))
#define BITS(n, mask, value) SCMP_CMP((n), SCMP_CMP_MASKED_EQ, (uint64_t)(mask), (uint64_t)(value))

/* ---- lists: names that this architecture or this libseccomp does not have are passed over -------
 */

static const char *const for_all[] = {
    /* memory */
    "brk", "madvise", "membarrier", "memfd_create", "mlock", "mlock2", "mremap", "mseal", "munlock",
    "munmap",
    /* threads, time, signals of one's own */
    "clock_getres", "clock_getres_time64", "clock_gettime", "clock_gettime64", "clock_nanosleep",
    "clock_nanosleep_time64", "exit", "exit_group", "futex", "futex_time64", "futex_waitv",
    "get_robust_list", "getcpu", "gettimeofday", "nanosleep", "restart_syscall", "rseq",
    "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn", "rt_sigsuspend",
    "rt_sigtimedwait", "rt_sigtimedwait_time64", "sched_get_priority_max", "sched_get_priority_min",
    "sched_getaffinity", "sched_getparam", "sched_getscheduler", "sched_yield", "set_robust_list",
    "set_tid_address", "sigaltstack", "sigreturn", "time", "times",
    /* who am I */
    "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32", "getgroups",
    "getgroups32", "getpid", "getppid", "getrandom", "getresgid", "getresgid32", "getresuid",
    "getresuid32", "getrlimit", "getrusage", "gettid", "getuid", "getuid32", "sysinfo",
    "ugetrlimit", "uname",
    /* descriptors, and waiting for them */
    "_llseek", "_newselect", "close", "close_range", "dup", "dup2", "dup3", "epoll_create",
    "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2", "epoll_wait",
    "eventfd", "eventfd2", "lseek", "pipe", "pipe2", "poll", "ppoll", "ppoll_time64", "pread64",
    "preadv", "preadv2", "pselect6", "pselect6_time64", "pwrite64", "pwritev", "pwritev2", "read",
    "readv", "select", "timerfd_create", "timerfd_gettime", "timerfd_gettime64", "timerfd_settime",
    "timerfd_settime64", "write", "writev",
    /* files, as far as Landlock lets it */
    "access", "copy_file_range", "faccessat", "faccessat2", "fadvise64", "fadvise64_64",
    "fdatasync", "flock", "fstat", "fstat64", "fstatat64", "fstatfs", "fstatfs64", "fsync",
    "getcwd", "getdents", "getdents64", "lstat", "lstat64", "mkdir", "mkdirat", "newfstatat",
    "open", "openat", "openat2", "readahead", "readlink", "readlinkat", "rename", "renameat",
    "renameat2", "rmdir", "sendfile", "sendfile64", "stat", "stat64", "statfs", "statfs64", "statx",
    "sync_file_range", "syncfs", "umask", "unlink", "unlinkat",
    /* sockets that are there: the channel, and what came by it */
    "getpeername", "getsockname", "getsockopt", "recv", "recvfrom", "recvmsg", "send", "sendmsg",
    "sendto", "shutdown", NULL};

static const char *const for_receive[] = {"accept",   "accept4",         "bind",
                                          "connect",  "listen",          "recvmmsg",
                                          "sendmmsg", "recvmmsg_time64", NULL};

static const char *const for_deliver[] = {"accept",
                                          "accept4",
                                          "chmod",
                                          "connect",
                                          "fallocate",
                                          "fchmod",
                                          "fchmodat",
                                          "fchmodat2",
                                          "ftruncate",
                                          "ftruncate64",
                                          "inotify_add_watch",
                                          "inotify_init",
                                          "inotify_init1",
                                          "inotify_rm_watch",
                                          "link",
                                          "linkat",
                                          "recvmmsg",
                                          "sendmmsg",
                                          "socketpair",
                                          "truncate",
                                          "truncate64",
                                          "utime",
                                          "utimensat",
                                          "utimensat_time64",
                                          "utimes",
                                          NULL};

/* No part of any role, nor of any library that they use. */
static const char *const deadly[] = {"acct",
                                     "bpf",
                                     "chroot",
                                     "delete_module",
                                     "finit_module",
                                     "fsconfig",
                                     "fsmount",
                                     "fsopen",
                                     "fspick",
                                     "init_module",
                                     "ioperm",
                                     "iopl",
                                     "kcmp",
                                     "kexec_file_load",
                                     "kexec_load",
                                     "mount",
                                     "mount_setattr",
                                     "move_mount",
                                     "open_by_handle_at",
                                     "open_tree",
                                     "perf_event_open",
                                     "pidfd_getfd",
                                     "pivot_root",
                                     "process_madvise",
                                     "process_vm_readv",
                                     "process_vm_writev",
                                     "ptrace",
                                     "quotactl",
                                     "reboot",
                                     "setns",
                                     "swapoff",
                                     "swapon",
                                     "umount",
                                     "umount2",
                                     "unshare",
                                     "userfaultfd",
                                     NULL};

static const char *const starting_programs[] = {"execve", "execveat", NULL};

/* Where calls are forbidden by name: these too, with EPERM. */
static const char *const forbidden[] = {"add_key",
                                        "adjtimex",
                                        "bind",
                                        "clock_adjtime",
                                        "clock_adjtime64",
                                        "clock_settime",
                                        "clock_settime64",
                                        "io_uring_enter",
                                        "io_uring_register",
                                        "io_uring_setup",
                                        "keyctl",
                                        "listen",
                                        "lookup_dcookie",
                                        "mknod",
                                        "mknodat",
                                        "modify_ldt",
                                        "move_pages",
                                        "name_to_handle_at",
                                        "nfsservctl",
                                        "personality",
                                        "request_key",
                                        "sethostname",
                                        "setdomainname",
                                        "settimeofday",
                                        "stime",
                                        "syslog",
                                        "vhangup",
                                        NULL};

/* ---- building -------------------------------------------------------------------------------- */

struct filter {
    scmp_filter_ctx context;
    int error; /* the first one, negative errno */
};

static void rule(struct filter *filter, uint32_t action, const char *name, unsigned count,
                 const struct scmp_arg_cmp *arguments)
{
    int number = seccomp_syscall_resolve_name(name);
    int rc;

    if (filter->error < 0 || number == __NR_SCMP_ERROR)
        return;
    rc = seccomp_rule_add_array(filter->context, action, number, count, arguments);
    /* Negative numbers stand for calls that other architectures have: EDOM, nothing to filter. */
    if (rc < 0 && rc != -EDOM)
        filter->error = rc;
}

static void rules(struct filter *filter, uint32_t action, const char *const names[])
{
    size_t i;

    for (i = 0; names[i] != NULL; i++)
        rule(filter, action, names[i], 0, NULL);
}

static void rule_int(struct filter *filter, uint32_t action, const char *name, unsigned argument,
                     int64_t value)
{
    rule(filter, action, name, 1, &INT(argument, value));
}

/* A thread, and no process. */
static void allow_threads(struct filter *filter)
{
#ifdef __s390__
    enum { FLAGS = 1 };
#else
    enum { FLAGS = 0 };
#endif
    rule(filter, SCMP_ACT_ALLOW, "clone", 1, &BITS(FLAGS, CLONE_THREAD, CLONE_THREAD));
    rule(filter, SCMP_ACT_ERRNO(ENOSYS), "clone3", 0, NULL);
    rule_int(filter, SCMP_ACT_ALLOW, "tgkill", 0, getpid()); /* abort(), raise() */
}

static void allow_of_oneself(struct filter *filter)
{
    static const int names[] = {PR_SET_NAME, PR_GET_NAME,     PR_SET_PDEATHSIG,   PR_GET_DUMPABLE,
                                PR_SET_VMA,  PR_CAPBSET_READ, PR_GET_NO_NEW_PRIVS};
    size_t i;

    for (i = 0; i < sizeof names / sizeof names[0]; i++)
        rule_int(filter, SCMP_ACT_ALLOW, "prctl", 0, names[i]);
    rule_int(filter, SCMP_ACT_ALLOW, "prlimit64", 0, 0);
    rule(filter, SCMP_ACT_ALLOW, "setrlimit", 0, NULL);
}

/* Locks, copies and flags. No signals to others (F_SETOWN, F_SETSIG, O_ASYNC, F_NOTIFY), which
 * Landlock stops from Linux 6.12 on only, and no leases, for which others would have to wait. */
static void allow_fcntl(struct filter *filter)
{
    static const int commands[] = {
        F_DUPFD,
        F_DUPFD_CLOEXEC,
        F_GETFD,
        F_SETFD,
        F_GETFL,
        F_GET_SEALS,
        F_ADD_SEALS,
        F_GETPIPE_SZ,
        F_SETPIPE_SZ,
        5 /* F_GETLK, */,
        6 /* F_SETLK */,
        7 /* F_SETLKW */,
        12 /* the same with 64 bits where a long has 32 */,
        13,
        14,
        F_OFD_GETLK,
        F_OFD_SETLK,
        F_OFD_SETLKW,
    };
    static const char *const names[] = {"fcntl", "fcntl64"};
    size_t i;
    size_t k;

    for (k = 0; k < 2; k++) {
        for (i = 0; i < sizeof commands / sizeof commands[0]; i++)
            rule_int(filter, SCMP_ACT_ALLOW, names[k], 1, commands[i]);
        rule(filter, SCMP_ACT_ALLOW, names[k], 2,
             (const struct scmp_arg_cmp[]){INT(1, F_SETFL), BITS(2, O_ASYNC, 0)});
    }
}

/* All but SO_LINGER, which is passed over in silence, since libre says of every connection that it
 * shall not linger: whoever closes such a socket last waits, and that is who got it sent over a
 * channel. (There is no masked "not equal": it is said bit by bit.) */
static void allow_socket_options(struct filter *filter)
{
    int n;

    rule(filter, SCMP_ACT_ERRNO(0), "setsockopt", 2,
         (const struct scmp_arg_cmp[]){INT(1, SOL_SOCKET), INT(2, SO_LINGER)});
    rule_int(filter, SCMP_ACT_ALLOW, "setsockopt", 1, IPPROTO_IP);
    for (n = 1; n < 32; n++) /* neither 0 nor SOL_SOCKET, which is 1 */
        rule(filter, SCMP_ACT_ALLOW, "setsockopt", 1, &BITS(1, 1U << n, 1U << n));
    for (n = 4; n < 32; n++)
        rule(filter, SCMP_ACT_ALLOW, "setsockopt", 2,
             (const struct scmp_arg_cmp[]){INT(1, SOL_SOCKET), BITS(2, 1U << n, 1U << n)});
    for (n = 0; n < 16; n++)
        if (n != SO_LINGER)
            rule(filter, SCMP_ACT_ALLOW, "setsockopt", 2,
                 (const struct scmp_arg_cmp[]){INT(1, SOL_SOCKET), INT(2, n)});
}

/* Serial ports, and how much there is to be read. Not TIOCSTI, which types for others. */
static void allow_ioctls(struct filter *filter)
{
    static const unsigned long serial[] = {
        FIONREAD,
        FIONBIO,
        TCGETS,
        TCSETS,
        TCSETSW,
        TCSETSF,
        TCFLSH,
        TCSBRK,
        TCSBRKP,
        TIOCEXCL,
        TIOCNXCL,
        TIOCMGET,
        TIOCMSET,
        TIOCMBIS,
        TIOCMBIC,
        TIOCMIWAIT,
        TIOCOUTQ,
        TIOCGWINSZ,
        TIOCSBRK,
        TIOCCBRK,
        TIOCGICOUNT,
        TIOCGSERIAL,
        OF_TERMIOS2(_IOC_READ, 0x2a),
        OF_TERMIOS2(_IOC_WRITE, 0x2b),
        OF_TERMIOS2(_IOC_WRITE, 0x2c),
        OF_TERMIOS2(_IOC_WRITE, 0x2d),
    };
    size_t i;

    for (i = 0; i < sizeof serial / sizeof serial[0]; i++)
        rule_int(filter, SCMP_ACT_ALLOW, "ioctl", 1, (int64_t)(uint32_t)serial[i]);
}

static void allow_internet(struct filter *filter)
{
    static const int domains[] = {AF_INET, AF_INET6};
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
    enum { OF_TYPE = 0xf }; /* without SOCK_NONBLOCK, SOCK_CLOEXEC */
    size_t d;
    size_t t;

    for (d = 0; d < 2; d++)
        for (t = 0; t < 2; t++)
            rule(filter, SCMP_ACT_ALLOW, "socket", 2,
                 (const struct scmp_arg_cmp[]){INT(0, domains[d]), BITS(1, OF_TYPE, types[t])});
}

/* Which addresses this host has: getifaddrs(), and the resolver's order of addresses. */
static void allow_routes(struct filter *filter)
{
    rule(filter, SCMP_ACT_ALLOW, "socket", 2,
         (const struct scmp_arg_cmp[]){INT(0, AF_NETLINK), INT(2, NETLINK_ROUTE)});
}

/* Code is what was loaded at the start. */
static void allow_data_only(struct filter *filter)
{
    static const char *const names[] = {"mmap", "mmap2", "mprotect"};
    size_t i;

    for (i = 0; i < 3; i++)
        rule(filter, SCMP_ACT_ALLOW, names[i], 1, &BITS(2, PROT_EXEC, 0));
}

/* ---- the roles ------------------------------------------------------------------------------- */

static void fill_receive(struct filter *filter)
{
    rules(filter, SCMP_ACT_ALLOW, for_receive);
    allow_socket_options(filter);
    allow_internet(filter);
    allow_routes(filter);
    allow_data_only(filter);
    /* The time of an open descriptor alone: Landlock does not rule over it. */
    rule(filter, SCMP_ACT_ALLOW, "utimensat", 1, &SCMP_CMP(1, SCMP_CMP_EQ, 0, 0));
    rule(filter, SCMP_ACT_ALLOW, "utimensat_time64", 1, &SCMP_CMP(1, SCMP_CMP_EQ, 0, 0));
}

/* Libraries are loaded: character sets, the resolver's plug-ins. */
static void allow_code(struct filter *filter)
{
    static const char *const names[] = {"mmap", "mmap2", "mprotect", NULL};

    rules(filter, SCMP_ACT_ALLOW, names);
}

static void fill_deliver(struct filter *filter)
{
    rules(filter, SCMP_ACT_ALLOW, for_deliver);
    allow_socket_options(filter);
    allow_internet(filter);
    allow_routes(filter);
    rule_int(filter, SCMP_ACT_ALLOW, "socket", 0, AF_UNIX); /* nscd, systemd-resolved, sssd */
    allow_code(filter);
}

/* Calls by name: deliver with programs, which may be anything. */
static void fill_wide(struct filter *filter)
{
    static const int spaces[] = {CLONE_NEWUSER, CLONE_NEWNS,  CLONE_NEWPID,   CLONE_NEWNET,
                                 CLONE_NEWIPC,  CLONE_NEWUTS, CLONE_NEWCGROUP};
    static const int domains[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
    size_t i;
    int domain;

    rules(filter, SCMP_ACT_ERRNO(EPERM), forbidden);
    for (i = 0; i < sizeof spaces / sizeof spaces[0]; i++)
        rule(filter, SCMP_ACT_ERRNO(EPERM), "clone", 1, &BITS(0, spaces[i], spaces[i]));
    rule(filter, SCMP_ACT_ERRNO(ENOSYS), "clone3", 0, NULL);
    rule_int(filter, SCMP_ACT_ERRNO(EPERM), "ioctl", 1, TIOCSTI);
    rule(filter, SCMP_ACT_ERRNO(0), "setsockopt", 2,
         (const struct scmp_arg_cmp[]){INT(1, SOL_SOCKET), INT(2, SO_LINGER)});
    for (domain = 0; domain < 64; domain++) {
        for (i = 0; i < 4 && domains[i] != domain; i++)
            ;
        if (i == 4)
            rule_int(filter, SCMP_ACT_ERRNO(EPERM), "socket", 0, domain);
    }
}

static void fill(struct filter *filter, const struct sandbox_plan *plan)
{
    rules(filter, SCMP_ACT_KILL_PROCESS, deadly);
    if (plan->programs) {
        fill_wide(filter);
        return;
    }
    rules(filter, SCMP_ACT_KILL_PROCESS, starting_programs);
    rules(filter, SCMP_ACT_ALLOW, for_all);
    allow_threads(filter);
    allow_of_oneself(filter);
    allow_fcntl(filter);
    allow_ioctls(filter);
    switch (plan->role) {
    case ROLE_RECEIVE: fill_receive(filter); break;
    case ROLE_COMPOSE: allow_code(filter); break;
    case ROLE_DELIVER: fill_deliver(filter); break;
    case ROLE_COUNT: break;
    }
}

/* Filters of other processes than ours may be there already: they add up. */
static bool kernel_has_filters(void)
{
    return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0 && seccomp_api_get() >= 3;
}

int calls_enter(const struct sandbox_plan *plan)
{
    struct filter filter = {0};

    if (!kernel_has_filters())
        return ERROR_UNSUPPORTED;
    filter.context = seccomp_init(plan->programs ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM));
    if (filter.context == NULL)
        return ERROR_MEMORY;
    filter.error = seccomp_attr_set(filter.context, SCMP_FLTATR_CTL_TSYNC, 1);
    /* A search by halves, not from the first to the last: there are many, and media threads call
     * often. */
    if (filter.error == 0)
        filter.error = seccomp_attr_set(filter.context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    fill(&filter, plan);
    if (filter.error == 0)
        filter.error = seccomp_load(filter.context);
    seccomp_release(filter.context);
    if (filter.error < 0)
        log_error("sandbox: no limits on system calls: %s", strerror(-filter.error));
    return filter.error < 0 ? ERROR_LIBRARY : 0;
}
