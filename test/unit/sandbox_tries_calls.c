/* SPDX-License-Identifier: MIT */
/*
 * sandbox_tries_calls.c - programs, other processes, the kernel itself, sockets, waiting.
 */
#include "test/unit/sandbox_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* ---- programs and other processes ---------------------------------------------------------------
 */

int run_program(void)
{
    char name[] = "true";

    execv("/bin/true", (char *[]){name, NULL});
    return errno;
}

int fork_self(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    return done(pid);
}

int vfork_self(void)
{
    pid_t pid = vfork();

    if (pid == 0)
        _exit(0);
    return done(pid);
}

int start_program(void)
{
    pid_t pid;
    char name[] = "true";
    int rc = posix_spawn(&pid, "/bin/true", NULL, NULL, (char *[]){name, NULL}, NULL);
    int status;

    if (rc == 0 && waitpid(pid, &status, 0) == pid)
        return WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
    return rc;
}

int trace_parent(void)
{
    return done(ptrace(PTRACE_ATTACH, sandbox_parent, NULL, NULL));
}

int end_parent(void)
{
    return done(kill(sandbox_parent, 0)); /* the right to, no more */
}

int end_all(void)
{
    return done(kill(-1, 0));
}

int signal_parent_thread(void)
{
    return done(syscall(SYS_tgkill, sandbox_parent, sandbox_parent, 0));
}

int limit_parent(void)
{
    const struct rlimit64 limit = {4096, 4096};

    return done(prlimit64(sandbox_parent, RLIMIT_CORE, &limit, NULL));
}

int read_memory_of_parent(void)
{
    char octet;
    struct iovec iovec = {&octet, 1};

    return done(syscall(SYS_process_vm_readv, sandbox_parent, &iovec, 1, &iovec, 1, 0));
}

int mount_something(void)
{
    return done(mount("none", in_top("other"), "tmpfs", 0, NULL));
}

int new_namespace(void)
{
    return done(unshare(CLONE_NEWUSER));
}

int change_root(void)
{
    return done(chroot(sandbox_top));
}

int load_kernel(void)
{
    return done(syscall(SYS_kexec_load, 0, 0, NULL, 0));
}

int load_module(void)
{
    return done(syscall(SYS_init_module, NULL, 0, ""));
}

int load_bpf(void)
{
    return done(syscall(SYS_bpf, 0, NULL, 0));
}

int use_ring(void)
{
    char parameters[120] = {0};

    return done(syscall(SYS_io_uring_setup, 1, parameters));
}

int add_key(void)
{
    return done(syscall(SYS_add_key, "user", "x", "y", 1, -3));
}

static int *written_by_thread;

static void *thread_run(void *arg)
{
    written_by_thread = arg;
    return NULL;
}

int start_thread(void)
{
    pthread_t thread;
    int mark = 0;
    int rc = pthread_create(&thread, NULL, thread_run, &mark);

    if (rc == 0)
        rc = pthread_join(thread, NULL);
    return rc != 0 ? rc : written_by_thread == &mark ? 0 : EXIT_BROKEN;
}

int make_code(void)
{
    void *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return page == MAP_FAILED ? errno : 0;
}

int make_data_code(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return page == MAP_FAILED ? EXIT_BROKEN : done(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

int abort_self(void)
{
    struct sigaction action = {.sa_handler = _exit};

    sigaction(SIGABRT, &action, NULL);
    raise(SIGABRT); /* ends with SIGABRT's number when it gets through */
    return EPERM;
}

int give_name(void)
{
    return done(prctl(PR_SET_NAME, "name"));
}

int become_dumpable(void)
{
    return done(prctl(PR_SET_DUMPABLE, 1));
}

/* The kernel sends SIGURG, and would any other one, to whom a descriptor is said to belong. */
int signal_by_descriptor(void)
{
    int ends[2];

    if (pipe(ends) < 0)
        return EXIT_BROKEN;
    return done(fcntl(ends[0], F_SETOWN, sandbox_parent));
}

int choose_signal(void)
{
    int ends[2];

    return pipe(ends) < 0 ? EXIT_BROKEN : done(fcntl(ends[0], F_SETSIG, SIGKILL));
}

int be_told_by_signal(void)
{
    int ends[2];

    return pipe(ends) < 0 ? EXIT_BROKEN : done(fcntl(ends[0], F_SETFL, O_ASYNC | O_NONBLOCK));
}

int change_flags(void)
{
    int ends[2];

    if (pipe(ends) < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0 ||
        fcntl(ends[0], F_SETFD, FD_CLOEXEC) < 0 || fcntl(ends[0], F_DUPFD_CLOEXEC, 3) < 0)
        return errno;
    return done(fcntl(ends[0], F_GETFL));
}

/* Whoever opens the file then has to wait, up to 45 seconds. */
int take_lease(void)
{
    int fd = memfd_create("lease", MFD_CLOEXEC);

    return fd < 0 ? EXIT_BROKEN : done(fcntl(fd, F_SETLEASE, F_WRLCK));
}

/* ---- sockets ------------------------------------------------------------------------------------
 */

static int socket_of(int domain, int type, int protocol)
{
    int fd = socket(domain, type | SOCK_CLOEXEC, protocol);

    return fd < 0 ? errno : close(fd);
}

int socket_udp(void)
{
    return socket_of(AF_INET, SOCK_DGRAM, 0);
}

int socket_tcp(void)
{
    return socket_of(AF_INET, SOCK_STREAM, 0);
}

int socket_local(void)
{
    return socket_of(AF_UNIX, SOCK_STREAM, 0);
}

int socket_raw(void)
{
    return socket_of(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

int socket_packet(void)
{
    return socket_of(AF_PACKET, SOCK_DGRAM, 0);
}

int socket_audit(void)
{
    return socket_of(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT);
}

int socket_virtual(void)
{
    return socket_of(AF_VSOCK, SOCK_STREAM, 0);
}

int make_pair(void)
{
    int pair[2];

    return done(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
}

int list_addresses(void)
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

int bind_udp(void)
{
    return take_port(SOCK_DGRAM, false);
}

int bind_and_listen(void)
{
    return take_port(SOCK_STREAM, true);
}

/* The kernel would choose a port by itself. */
int only_listen(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd < 0 ? errno : done(listen(fd, 1));
}

int connect_tcp(void)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || getsockname(sandbox_listener, (struct sockaddr *)&address, &length) < 0)
        return errno;
    return done(connect(fd, (const struct sockaddr *)&address, length));
}

int several_datagrams(void)
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

/* Whoever closes such a socket last, waits. The call itself is passed over. */
int linger(void)
{
    struct linger linger = {1, 100};
    socklen_t length = sizeof linger;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &length) < 0)
        return errno;
    return linger.l_onoff != 0 ? 0 : EPERM;
}

/* By /etc/hosts, with all that the C library loads for it. */
int resolve_name(void)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;

    if (getaddrinfo("localhost", "25", &hints, &list) != 0)
        return EACCES;
    freeaddrinfo(list);
    return 0;
}

/* ---- waiting ------------------------------------------------------------------------------------
 */

int wait_in_many_ways(void)
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

int watch_folder(void)
{
    int fd = inotify_init1(IN_CLOEXEC);

    return fd < 0 ? errno : done(inotify_add_watch(fd, in_top("state/incoming"), IN_CREATE));
}

/* ---- a serial port that the supervisor opened ---------------------------------------------------
 */

int use_serial_port(void)
{
    struct termios settings;
    int octets;
    int lines;

    if (tcgetattr(sandbox_terminal, &settings) < 0)
        return errno;
    cfmakeraw(&settings);
    cfsetspeed(&settings, B115200);
    if (tcsetattr(sandbox_terminal, TCSANOW, &settings) < 0 ||
        tcsetattr(sandbox_terminal, TCSAFLUSH, &settings) < 0 ||
        ioctl(sandbox_terminal, TIOCEXCL) < 0 || ioctl(sandbox_terminal, FIONREAD, &octets) < 0 ||
        tcflush(sandbox_terminal, TCIOFLUSH) < 0 ||
        ioctl(sandbox_terminal, TIOCOUTQ, &octets) < 0 || tcsendbreak(sandbox_terminal, 0) < 0)
        return errno;
    /* A pty has no lines of a modem; to be asked is not forbidden. */
    return ioctl(sandbox_terminal, TIOCMGET, &lines) < 0 && errno == EPERM ? EPERM : 0;
}

int type_for_others(void)
{
    return done(ioctl(sandbox_terminal, TIOCSTI, "x"));
}

/* Who writes to it then waits for ever. */
int stop_terminal(void)
{
    return done(tcflow(sandbox_terminal, TCOON));
}
