/* SPDX-License-Identifier: MIT */
/*
 * test_sandbox.c - tries to break each rule of the sandbox from within. Every attempt is a process
 * of its own: it enters the sandbox of a role on folders of the test, as a role does, and tries.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <ifaddrs.h>
#include <seccomp.h>

#include "base/error.h"
#include "base/log.h"
#include "src/privilege.h"
#include "src/sandbox.h"

/* ---- the world of the test --------------------------------------------------------------------
 */

static char top[] = "/tmp/faxpost-sandbox-XXXXXX";
static struct settings *plain;    /* no programs */
static struct settings *programs; /* with alarm_command, and a server with files */
static pid_t parent;
static int terminal = -1; /* a serial port, opened by somebody else */
static int listener = -1; /* made before the sandbox */

static const char *in_top(const char *name)
{
    static char path[8][300];
    static unsigned next;
    char *out = path[next++ % 8];

    snprintf(out, sizeof path[0], "%s/%s", top, name);
    return out;
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(in_top(name), "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static struct settings *settings_of(const char *more, const char *servers)
{
    enum log_level level = LOG_LEVEL_ERROR;
    char text[1000];
    char *parts[SETTINGS_FILES] = {text, NULL};
    struct settings *out = NULL;

    snprintf(text, sizeof text, "[gateway]\nstate_dir = %s/state\nrun_dir = %s/run\n%s", top, top,
             more);
    assert_int_equal(settings_from_parts(&out, parts), 0);
    if (servers != NULL)
        assert_int_equal(conf_parse(&out->file[SETTINGS_SERVERS], servers, "servers.ini", top,
                                    conf_keys_servers, settings_log_problem, &level),
                         0);
    return out;
}

static const char one_server[] = "[server one]\nrank = 1\nhost = localhost\nauth = plain\n"
                                 "user = u\npassword_file = secrets/password\n";

/* To be connected to. */
static int listen_here(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};

    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return listener < 0 || bind(listener, (const struct sockaddr *)&address, sizeof address) < 0 ||
                   listen(listener, 128) < 0
               ? -1
               : 0;
}

static int set_up(void **state)
{
    static const char *const folders[] = {"state", "state/incoming", "state/fax",
                                          "run",   "secrets",        "other"};
    int other;
    size_t i;

    (void)state;
    if (mkdtemp(top) == NULL)
        return -1;
    chmod(top, 0755);
    for (i = 0; i < sizeof folders / sizeof folders[0]; i++)
        if (mkdir(in_top(folders[i]), 0700) < 0)
            return -1;
    write_file("state/faxpost.db", "database");
    write_file("state/fax/page.tif", "page");
    write_file("state/incoming/old.tif", "page");
    write_file("secrets/password", "secret\n");
    write_file("other/file", "other\n");
    parent = getpid();
    plain = settings_of("", one_server);
    programs = settings_of("alarm_command = /bin/true\n", one_server);
    return openpty(&other, &terminal, NULL, NULL, NULL) < 0 ? -1 : listen_here();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *place)
{
    (void)st;
    (void)type;
    (void)place;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    settings_free(plain);
    settings_free(programs);
    return nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- one attempt ------------------------------------------------------------------------------
 */

/* 0: it went well; an errno: it failed so. */
typedef int attempt(void);

enum outcome { FINE, REFUSED, DEADLY };

struct trial {
    const char *what;
    attempt *try;
    enum outcome receive, compose, deliver;
};

enum { EXIT_MISSING = 201, EXIT_BROKEN = 202 };

static int tried(attempt *try, enum role role, const struct settings *settings, int abi)
{
    struct sandbox_plan *plan;
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(30);
        if (privileges_drop() < 0 || sandbox_plan_make(&plan, role, settings) < 0 ||
            landlock_enter(plan, abi) < 0 || calls_enter(plan) < 0)
            _exit(EXIT_BROKEN);
        _exit(try());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static bool is_as_wanted(int status, enum outcome wanted)
{
    if (wanted == DEADLY)
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
    if (!WIFEXITED(status))
        return false;
    return wanted == FINE ? WEXITSTATUS(status) == 0
                          : WEXITSTATUS(status) == EPERM || WEXITSTATUS(status) == EACCES ||
                                WEXITSTATUS(status) == EXDEV;
}

static int judge(const struct trial *trials, size_t count, enum role role, int abi)
{
    int wrong = 0;
    size_t i;

    for (i = 0; i < count; i++) {
        enum outcome wanted = role == ROLE_RECEIVE   ? trials[i].receive
                              : role == ROLE_COMPOSE ? trials[i].compose
                                                     : trials[i].deliver;
        int status = tried(trials[i].try, role, plain, abi);

        if (is_as_wanted(status, wanted))
            continue;
        print_error("%s, Landlock %d: %s: status 0x%x, errno %d (%s)\n", role_text(role), abi,
                    trials[i].what, (unsigned)status, WEXITSTATUS(status),
                    strerror(WEXITSTATUS(status)));
        wrong++;
    }
    return wrong;
}

static int done(long result)
{
    return result < 0 ? errno : 0;
}

static int opened(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);

    return fd < 0 ? errno : close(fd);
}

/* ---- files ------------------------------------------------------------------------------------
 */

static int read_database(void)
{
    return opened(in_top("state/faxpost.db"), O_RDONLY);
}

static int write_database(void)
{
    return opened(in_top("state/faxpost.db"), O_WRONLY);
}

static int cut_database_by_opening(void)
{
    return opened(in_top("state/faxpost.db"), O_RDONLY | O_TRUNC);
}

static int cut_database(void)
{
    return done(truncate(in_top("state/faxpost.db"), 4));
}

static int change_mode_of_database(void)
{
    return done(chmod(in_top("state/faxpost.db"), 0600));
}

static int change_time_of_database(void)
{
    return done(utimensat(AT_FDCWD, in_top("state/faxpost.db"), NULL, 0));
}

static int change_owner_of_database(void)
{
    return done(chown(in_top("state/faxpost.db"), getuid(), getgid()));
}

static int set_attribute_of_database(void)
{
    return done(syscall(SYS_setxattr, in_top("state/faxpost.db"), "user.x", "y", 1, 0));
}

static int read_password(void)
{
    return opened(in_top("secrets/password"), O_RDONLY);
}

static int write_password(void)
{
    return opened(in_top("secrets/password"), O_WRONLY);
}

static int read_other(void)
{
    return opened(in_top("other/file"), O_RDONLY);
}

static int read_passwd(void)
{
    return opened("/etc/passwd", O_RDONLY);
}

static int write_etc(void)
{
    return opened("/etc/faxpost-sandbox-test", O_WRONLY | O_CREAT);
}

static int write_tmp(void)
{
    return opened("/tmp/faxpost-sandbox-test", O_WRONLY | O_CREAT);
}

static int list_state(void)
{
    return opened(in_top("state"), O_RDONLY | O_DIRECTORY);
}

static int read_fax(void)
{
    return opened(in_top("state/fax/page.tif"), O_RDONLY);
}

static int read_incoming(void)
{
    return opened(in_top("state/incoming/old.tif"), O_RDONLY);
}

static int make_in_state(void)
{
    return mkdir(in_top("state/new"), 0700) < 0 ? errno : done(rmdir(in_top("state/new")));
}

static int out_of_incoming(void)
{
    return done(rename(in_top("state/incoming/old.tif"), in_top("other/old.tif")));
}

static int link_the_password(void)
{
    return done(link(in_top("secrets/password"), in_top("state/incoming/password")));
}

static int point_to_the_password(void)
{
    return done(symlink(in_top("secrets/password"), in_top("state/incoming/pointer")));
}

static int make_device(void)
{
    return done(mknod(in_top("state/incoming/fifo"), S_IFIFO | 0600, 0));
}

static int memory_of_parent(void)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/mem", (int)parent);
    return opened(path, O_RDWR);
}

static int environment_of_parent(void)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/environ", (int)parent);
    return opened(path, O_RDONLY);
}

static int terminal_by_name(void)
{
    return opened("/dev/tty", O_RDWR);
}

/* What receive does in incoming/, and compose in the folder of a fax. */
static int store(const char *folder)
{
    char path[300];
    char renamed[300];
    const char text[] = "page";
    struct statvfs space;
    struct stat st;
    int file;
    int dir;

    snprintf(path, sizeof path, "%s/.call-%d.new", folder, (int)getpid());
    snprintf(renamed, sizeof renamed, "%s/call-%d", folder, (int)getpid());
    if (mkdir(path, 0700) < 0 || (dir = open(path, O_RDONLY | O_DIRECTORY)) < 0 ||
        flock(dir, LOCK_EX | LOCK_NB) < 0)
        return errno;
    file = openat(dir, ".new.tmp", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0 || write(file, text, sizeof text) < 0 || ftruncate(file, 3) < 0 ||
        fsync(file) < 0 || renameat(dir, ".new.tmp", dir, "page-0001.tif") < 0 || fsync(dir) < 0)
        return errno;
    if (rename(path, renamed) < 0 || fstat(file, &st) < 0 || statvfs(folder, &space) < 0 ||
        faccessat(dir, "page-0001.tif", F_OK, AT_SYMLINK_NOFOLLOW) < 0 || futimens(dir, NULL) < 0 ||
        unlinkat(dir, "page-0001.tif", 0) < 0 || rmdir(renamed) < 0)
        return errno;
    return 0;
}

static int store_in_incoming(void)
{
    return store(in_top("state/incoming"));
}

/* As store(), without a touch. */
static int store_in_fax(void)
{
    int dir = open(in_top("state/fax"), O_RDONLY | O_DIRECTORY);
    int file;

    if (dir < 0)
        return errno;
    file = openat(dir, "message.eml.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0 || write(file, "x", 1) < 0 || fsync(file) < 0 ||
        renameat(dir, "message.eml.tmp", dir, "message.eml") < 0 || fsync(dir) < 0 ||
        unlinkat(dir, "message.eml", 0) < 0)
        return errno;
    return 0;
}

/* From tmp/ to new/, as a mail goes. */
static int between_folders(void)
{
    char to[300];

    snprintf(to, sizeof to, "%s.%d", in_top("run/moved"), (int)getpid());
    if (opened(in_top("state/moving"), O_WRONLY | O_CREAT) != 0 ||
        rename(in_top("state/moving"), to) < 0 || unlink(to) < 0)
        return errno;
    return 0;
}

static int memory_file_by_name(void)
{
    char path[64];
    int fd = memfd_create("sink", MFD_CLOEXEC);

    if (fd < 0)
        return errno;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return opened(path, O_RDWR | O_CREAT | O_TRUNC);
}

static int random_device(void)
{
    return opened("/dev/urandom", O_RDONLY);
}

static int zone(void)
{
    return access("/etc/localtime", F_OK) < 0 ? 0 : opened("/etc/localtime", O_RDONLY);
}

/* ---- programs and other processes ---------------------------------------------------------------
 */

static int run_program(void)
{
    char name[] = "true";

    execv("/bin/true", (char *[]){name, NULL});
    return errno;
}

static int fork_self(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    return done(pid);
}

static int vfork_self(void)
{
    pid_t pid = vfork();

    if (pid == 0)
        _exit(0);
    return done(pid);
}

static int start_program(void)
{
    pid_t pid;
    char name[] = "true";
    int rc = posix_spawn(&pid, "/bin/true", NULL, NULL, (char *[]){name, NULL}, NULL);
    int status;

    if (rc == 0 && waitpid(pid, &status, 0) == pid)
        return WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
    return rc;
}

static int trace_parent(void)
{
    return done(ptrace(PTRACE_ATTACH, parent, NULL, NULL));
}

static int end_parent(void)
{
    return done(kill(parent, 0)); /* the right to, no more */
}

static int end_all(void)
{
    return done(kill(-1, 0));
}

static int signal_parent_thread(void)
{
    return done(syscall(SYS_tgkill, parent, parent, 0));
}

static int limit_parent(void)
{
    const struct rlimit64 limit = {4096, 4096};

    return done(prlimit64(parent, RLIMIT_CORE, &limit, NULL));
}

static int read_memory_of_parent(void)
{
    char octet;
    struct iovec iovec = {&octet, 1};

    return done(syscall(SYS_process_vm_readv, parent, &iovec, 1, &iovec, 1, 0));
}

static int mount_something(void)
{
    return done(mount("none", in_top("other"), "tmpfs", 0, NULL));
}

static int new_namespace(void)
{
    return done(unshare(CLONE_NEWUSER));
}

static int change_root(void)
{
    return done(chroot(top));
}

static int load_kernel(void)
{
    return done(syscall(SYS_kexec_load, 0, 0, NULL, 0));
}

static int load_module(void)
{
    return done(syscall(SYS_init_module, NULL, 0, ""));
}

static int load_bpf(void)
{
    return done(syscall(SYS_bpf, 0, NULL, 0));
}

static int use_ring(void)
{
    char parameters[120] = {0};

    return done(syscall(SYS_io_uring_setup, 1, parameters));
}

static int add_key(void)
{
    return done(syscall(SYS_add_key, "user", "x", "y", 1, -3));
}

static int *written_by_thread;

static void *thread_run(void *arg)
{
    written_by_thread = arg;
    return NULL;
}

static int start_thread(void)
{
    pthread_t thread;
    int mark = 0;
    int rc = pthread_create(&thread, NULL, thread_run, &mark);

    if (rc == 0)
        rc = pthread_join(thread, NULL);
    return rc != 0 ? rc : written_by_thread == &mark ? 0 : EXIT_BROKEN;
}

static int make_code(void)
{
    void *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return page == MAP_FAILED ? errno : 0;
}

static int make_data_code(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return page == MAP_FAILED ? EXIT_BROKEN : done(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

static int abort_self(void)
{
    struct sigaction action = {.sa_handler = _exit};

    sigaction(SIGABRT, &action, NULL);
    raise(SIGABRT); /* ends with SIGABRT's number when it gets through */
    return EPERM;
}

static int give_name(void)
{
    return done(prctl(PR_SET_NAME, "name"));
}

static int become_dumpable(void)
{
    return done(prctl(PR_SET_DUMPABLE, 1));
}

/* ---- sockets ------------------------------------------------------------------------------------
 */

static int socket_of(int domain, int type, int protocol)
{
    int fd = socket(domain, type | SOCK_CLOEXEC, protocol);

    return fd < 0 ? errno : close(fd);
}

static int socket_udp(void)
{
    return socket_of(AF_INET, SOCK_DGRAM, 0);
}

static int socket_tcp(void)
{
    return socket_of(AF_INET, SOCK_STREAM, 0);
}

static int socket_local(void)
{
    return socket_of(AF_UNIX, SOCK_STREAM, 0);
}

static int socket_raw(void)
{
    return socket_of(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static int socket_packet(void)
{
    return socket_of(AF_PACKET, SOCK_DGRAM, 0);
}

static int socket_audit(void)
{
    return socket_of(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT);
}

static int socket_virtual(void)
{
    return socket_of(AF_VSOCK, SOCK_STREAM, 0);
}

static int make_pair(void)
{
    int pair[2];

    return done(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
}

static int list_addresses(void)
{
    struct ifaddrs *list = NULL;

    if (getifaddrs(&list) < 0)
        return errno;
    freeifaddrs(list);
    return list != NULL ? 0 : EPERM;
}

static int take_port(int type, bool listens)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        return errno;
    return listens ? done(listen(fd, 1)) : 0;
}

static int bind_udp(void)
{
    return take_port(SOCK_DGRAM, false);
}

static int bind_and_listen(void)
{
    return take_port(SOCK_STREAM, true);
}

/* The kernel would choose a port by itself. */
static int only_listen(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd < 0 ? errno : done(listen(fd, 1));
}

static int connect_tcp(void)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        return errno;
    return done(connect(fd, (const struct sockaddr *)&address, length));
}

static int several_datagrams(void)
{
    char octet;
    struct iovec iovec = {&octet, 1};
    struct mmsghdr messages[2] = {{.msg_hdr = {.msg_iov = &iovec, .msg_iovlen = 1}}};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        return errno;
    return recvmmsg(fd, messages, 1, MSG_DONTWAIT, NULL) < 0 && errno == EAGAIN ? 0 : errno;
}

/* ---- waiting ------------------------------------------------------------------------------------
 */

static int wait_in_many_ways(void)
{
    const struct itimerspec soon = {{0, 0}, {0, 1000}};
    const struct timespec moment = {0, 1000};
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    int wake = eventfd(1, EFD_CLOEXEC);
    char random[8];
    struct tm tm;
    time_t at = time(NULL);

    if (epoll < 0 || timer < 0 || wake < 0 || timerfd_settime(timer, 0, &soon, NULL) < 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event) < 0 ||
        epoll_wait(epoll, &event, 1, 10000) != 1 || nanosleep(&moment, NULL) < 0 ||
        clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL) != 0 ||
        getrandom(random, sizeof random, 0) < 0 || localtime_r(&at, &tm) == NULL)
        return errno;
    return 0;
}

static int watch_folder(void)
{
    int fd = inotify_init1(IN_CLOEXEC);

    return fd < 0 ? errno : done(inotify_add_watch(fd, in_top("state/incoming"), IN_CREATE));
}

/* ---- a serial port that the supervisor opened ---------------------------------------------------
 */

static int use_serial_port(void)
{
    struct termios settings;
    int octets;
    int lines;

    if (tcgetattr(terminal, &settings) < 0)
        return errno;
    cfmakeraw(&settings);
    cfsetspeed(&settings, B115200);
    if (tcsetattr(terminal, TCSANOW, &settings) < 0 ||
        tcsetattr(terminal, TCSAFLUSH, &settings) < 0 || ioctl(terminal, TIOCEXCL) < 0 ||
        ioctl(terminal, FIONREAD, &octets) < 0 || tcflush(terminal, TCIOFLUSH) < 0 ||
        ioctl(terminal, TIOCOUTQ, &octets) < 0 || tcsendbreak(terminal, 0) < 0)
        return errno;
    /* A pty has no lines of a modem; to be asked is not forbidden. */
    return ioctl(terminal, TIOCMGET, &lines) < 0 && errno == EPERM ? EPERM : 0;
}

static int type_for_others(void)
{
    return done(ioctl(terminal, TIOCSTI, "x"));
}

/* ---- the tables ---------------------------------------------------------------------------------
 */

static const struct trial trials[] = {
    /*                                                        receive  compose  deliver */
    {"read the database", read_database, REFUSED, REFUSED, FINE},
    {"write the database", write_database, REFUSED, REFUSED, FINE},
    {"empty the database by O_TRUNC", cut_database_by_opening, REFUSED, REFUSED, FINE},
    {"cut the database", cut_database, REFUSED, REFUSED, FINE},
    {"chmod the database", change_mode_of_database, REFUSED, REFUSED, FINE},
    {"touch the database", change_time_of_database, REFUSED, REFUSED, FINE},
    {"chown the database", change_owner_of_database, REFUSED, REFUSED, REFUSED},
    {"xattr of the database", set_attribute_of_database, REFUSED, REFUSED, REFUSED},
    {"read a password", read_password, REFUSED, REFUSED, FINE},
    {"write a password", write_password, REFUSED, REFUSED, REFUSED},
    {"read another file", read_other, REFUSED, REFUSED, REFUSED},
    {"read /etc/passwd", read_passwd, REFUSED, REFUSED, FINE},
    {"write in /etc", write_etc, REFUSED, REFUSED, REFUSED},
    {"write in /tmp", write_tmp, REFUSED, REFUSED, REFUSED},
    {"list STATE", list_state, REFUSED, REFUSED, FINE},
    {"make a folder in STATE", make_in_state, REFUSED, REFUSED, FINE},
    {"read a fax", read_fax, REFUSED, FINE, FINE},
    {"read in incoming", read_incoming, FINE, REFUSED, FINE},
    {"move out of incoming", out_of_incoming, REFUSED, REFUSED, REFUSED},
    {"link a password", link_the_password, REFUSED, REFUSED, REFUSED},
    {"symlink", point_to_the_password, REFUSED, REFUSED, REFUSED},
    {"make a fifo", make_device, REFUSED, REFUSED, REFUSED},
    {"memory of another process", memory_of_parent, REFUSED, REFUSED, REFUSED},
    {"environment of another process", environment_of_parent, REFUSED, REFUSED, REFUSED},
    {"terminal by name", terminal_by_name, REFUSED, REFUSED, REFUSED},
    {"store in incoming", store_in_incoming, FINE, REFUSED, FINE},
    {"store in fax", store_in_fax, REFUSED, FINE, FINE},
    {"rename between folders", between_folders, REFUSED, REFUSED, FINE},
    {"memory file by its name", memory_file_by_name, FINE, FINE, FINE},
    {"/dev/urandom", random_device, FINE, FINE, FINE},
    {"/etc/localtime", zone, FINE, FINE, FINE},

    {"execve", run_program, DEADLY, DEADLY, DEADLY},
    {"fork", fork_self, REFUSED, REFUSED, REFUSED},
    {"vfork", vfork_self, REFUSED, REFUSED, REFUSED},
    {"posix_spawn", start_program, REFUSED, REFUSED, REFUSED},
    {"ptrace", trace_parent, DEADLY, DEADLY, DEADLY},
    {"kill", end_parent, REFUSED, REFUSED, REFUSED},
    {"kill everybody", end_all, REFUSED, REFUSED, REFUSED},
    {"tgkill of another", signal_parent_thread, REFUSED, REFUSED, REFUSED},
    {"prlimit of another", limit_parent, REFUSED, REFUSED, REFUSED},
    {"process_vm_readv", read_memory_of_parent, DEADLY, DEADLY, DEADLY},
    {"mount", mount_something, DEADLY, DEADLY, DEADLY},
    {"unshare", new_namespace, DEADLY, DEADLY, DEADLY},
    {"chroot", change_root, DEADLY, DEADLY, DEADLY},
    {"kexec", load_kernel, DEADLY, DEADLY, DEADLY},
    {"module", load_module, DEADLY, DEADLY, DEADLY},
    {"bpf", load_bpf, DEADLY, DEADLY, DEADLY},
    {"io_uring", use_ring, REFUSED, REFUSED, REFUSED},
    {"add_key", add_key, REFUSED, REFUSED, REFUSED},
    {"thread", start_thread, FINE, FINE, FINE},
    {"code in memory", make_code, REFUSED, FINE, FINE},
    {"data as code", make_data_code, REFUSED, FINE, FINE},
    {"name of a thread", give_name, FINE, FINE, FINE},
    {"dumpable again", become_dumpable, REFUSED, REFUSED, REFUSED},

    {"UDP socket", socket_udp, FINE, REFUSED, FINE},
    {"TCP socket", socket_tcp, FINE, REFUSED, FINE},
    {"local socket", socket_local, REFUSED, REFUSED, FINE},
    {"raw socket", socket_raw, REFUSED, REFUSED, REFUSED},
    {"packet socket", socket_packet, REFUSED, REFUSED, REFUSED},
    {"netlink of the kernel's events", socket_audit, REFUSED, REFUSED, REFUSED},
    {"vsock", socket_virtual, REFUSED, REFUSED, REFUSED},
    {"socketpair", make_pair, REFUSED, REFUSED, FINE},
    {"getifaddrs", list_addresses, FINE, REFUSED, REFUSED}, /* deliver: bind of netlink */
    {"bind UDP", bind_udp, FINE, REFUSED, REFUSED},
    {"bind and listen", bind_and_listen, FINE, REFUSED, REFUSED},
    {"listen on any port", only_listen, FINE, REFUSED, REFUSED},
    {"connect", connect_tcp, FINE, REFUSED, FINE},
    {"recvmmsg", several_datagrams, FINE, REFUSED, FINE},

    {"waiting", wait_in_many_ways, FINE, FINE, FINE},
    {"inotify", watch_folder, REFUSED, REFUSED, FINE},
    {"serial port", use_serial_port, FINE, FINE, FINE},
    {"TIOCSTI", type_for_others, REFUSED, REFUSED, REFUSED},
};

static bool can_be_tried(void)
{
#ifdef SANITIZED
    print_message("skipped: there is no sandbox in a build with a sanitizer\n");
    return false;
#else
    if (landlock_abi() < LANDLOCK_ABI_LEAST)
        print_message("skipped: this kernel has no Landlock, or one too old\n");
    return landlock_abi() >= LANDLOCK_ABI_LEAST;
#endif
}

/* With what this kernel has, and as older kernels would do it: what their Landlock does not know,
 * the filter of calls must stop. */
static void test_roles(void **state)
{
    int wrong = 0;
    int abi;
    int role;

    (void)state;
    if (!can_be_tried())
        skip();
    for (abi = landlock_abi(); abi >= LANDLOCK_ABI_LEAST; abi--)
        for (role = 0; role < ROLE_COUNT; role++)
            wrong += judge(trials, sizeof trials / sizeof trials[0], (enum role)role, abi);
    assert_int_equal(wrong, 0);
}

/* raise() gets through, with its own number as exit code. */
static void test_signals_of_oneself(void **state)
{
    int status;

    (void)state;
    if (!can_be_tried())
        skip();
    status = tried(abort_self, ROLE_RECEIVE, plain, landlock_abi());
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), SIGABRT);
}

static const struct {
    const char *what;
    attempt *try;
    enum outcome wanted;
} with_programs[] = {
    {"posix_spawn", start_program, FINE},
    {"execve", run_program, FINE},
    {"fork", fork_self, FINE},
    {"read another file", read_other, FINE},
    {"write in /etc", write_etc,
     REFUSED}, /* the folder of the test lies in /tmp, which may be written */
    {"write the database", write_database, FINE},
    {"rename between folders", between_folders, FINE},
    {"ptrace", trace_parent, DEADLY},
    {"process_vm_readv", read_memory_of_parent, DEADLY},
    {"memory of another process", memory_of_parent, REFUSED},
    {"mount", mount_something, DEADLY},
    {"unshare", new_namespace, DEADLY},
    {"kexec", load_kernel, DEADLY},
    {"bpf", load_bpf, DEADLY},
    {"io_uring", use_ring, REFUSED},
    {"raw packets", socket_packet, REFUSED},
    {"vsock", socket_virtual, REFUSED},
    {"bind UDP", bind_udp, REFUSED},
    {"bind and listen", bind_and_listen, REFUSED},
    {"listen on any port", only_listen, REFUSED},
    {"connect", connect_tcp, FINE},
    {"thread", start_thread, FINE},
    {"TIOCSTI", type_for_others, REFUSED},
};

static void test_deliver_with_programs(void **state)
{
    int wrong = 0;
    size_t i;

    (void)state;
    if (!can_be_tried())
        skip();
    for (i = 0; i < sizeof with_programs / sizeof with_programs[0]; i++) {
        int status = tried(with_programs[i].try, ROLE_DELIVER, programs, landlock_abi());

        if (is_as_wanted(status, with_programs[i].wanted))
            continue;
        print_error("%s: status 0x%x\n", with_programs[i].what, (unsigned)status);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

/* ---- kernels that lack something ----------------------------------------------------------------
 */

/* The call does not exist from here on. */
static int take_away(const char *name)
{
    scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
    int rc =
        seccomp_rule_add(context, SCMP_ACT_ERRNO(ENOSYS), seccomp_syscall_resolve_name(name), 0);

    if (rc == 0)
        rc = seccomp_load(context);
    seccomp_release(context);
    return rc;
}

/* Exit code: 0 went on, 1 refused; the state is what a role would tell. */
static int entered(const char *without, const char *mode, char state[SANDBOX_TEXT_MAX])
{
    char line[64];
    struct settings *settings;
    int pipes[2];
    int status;
    pid_t pid;

    snprintf(line, sizeof line, "sandbox = %s\n", mode);
    settings = settings_of(line, NULL);
    assert_int_equal(pipe(pipes), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(30);
        if (without != NULL && take_away(without) < 0)
            _exit(EXIT_BROKEN);
        status = privileges_drop() < 0 || role_sandbox(ROLE_COMPOSE, settings, state) < 0;
        if (write(pipes[1], state, SANDBOX_TEXT_MAX) < 0)
            _exit(EXIT_BROKEN);
        _exit(status);
    }
    close(pipes[1]);
    memset(state, 0, SANDBOX_TEXT_MAX);
    assert_true(read(pipes[0], state, SANDBOX_TEXT_MAX) > 0);
    close(pipes[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    settings_free(settings);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_modes(void **state)
{
    static const struct {
        const char *without;
        const char *mode;
        int code;
        const char *says;
    } table[] = {
        {NULL, "auto", 0, "whole"},
        {NULL, "required", 0, "whole"},
        {NULL, "off", 0, "off"},
        {"landlock_create_ruleset", "auto", 0, "without Landlock"},
        {"landlock_create_ruleset", "required", 1, "without Landlock"},
        {"landlock_create_ruleset", "off", 0, "off"},
        {"landlock_add_rule", "auto", 0, "without Landlock"},
        {"seccomp", "auto", 0, "without seccomp"},
        {"seccomp", "required", 1, "without seccomp"},
    };
    char text[SANDBOX_TEXT_MAX];
    size_t i;

    (void)state;
    if (!can_be_tried())
        skip();
    for (i = 0; i < sizeof table / sizeof table[0]; i++) {
        int code = entered(table[i].without, table[i].mode, text);

        if (code != table[i].code || strncmp(text, table[i].says, strlen(table[i].says)) != 0)
            fail_msg("row %zu: code %d, state \"%s\"", i, code, text);
    }
}

/* What a reload can give to a deliver that runs, and what needs a new one. */
static void test_new_settings(void **state)
{
    static const struct {
        const char *more;
        const char *servers;
        bool covered;
    } table[] = {
        {"", one_server, true},
        {"operator = a@example.com\n", one_server, true},
        {"", NULL, true},
        {"",
         "[server two]\nrank = 1\nhost = h\nauth = plain\nuser = u\n"
         "password_file = secrets/another\n",
         true},
        {"", "[server two]\nrank = 1\nhost = h\ntls = starttls\nca_file = other/ca\n", false},
        {"alarm_command = /bin/true\n", one_server, false},
        {"",
         "[server two]\nrank = 1\nhost = h\nauth = xoauth2\ntls = implicit\nuser = u\n"
         "token_command = /bin/true\n",
         false},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct settings *new = settings_of(table[i].more, table[i].servers);

        if (sandbox_covers(ROLE_DELIVER, plain, new) != table[i].covered)
            fail_msg("row %zu", i);
        assert_true(sandbox_covers(ROLE_RECEIVE, plain, new));
        assert_true(sandbox_covers(ROLE_COMPOSE, plain, new));
        settings_free(new);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_signals_of_oneself),
        cmocka_unit_test(test_deliver_with_programs),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_new_settings),
    };

    log_open("test", LOG_LEVEL_ERROR);
    return cmocka_run_group_tests_name("sandbox", tests, set_up, tear_down);
}
