/* SPDX-License-Identifier: MIT */
/*
 * test_sandbox.c - tries to break each rule of the sandbox from within. Every attempt is a process
 * of its own: it enters the sandbox of a role on folders of the test, as a role does, and tries.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <seccomp.h>

#include "base/log.h"
#include "src/privilege.h"
#include "src/sandbox.h"
#include "test/unit/sandbox_rig.h"

/* ---- one attempt ------------------------------------------------------------------------------
 */

enum outcome { FINE, REFUSED, DEADLY };

struct trial {
    const char *what;
    attempt *try;
    enum outcome receive, compose, deliver;
};

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
    {"write in a mailbox elsewhere", write_through_link, REFUSED, REFUSED, FINE},
    {"cut an open file", cut_an_open_file, REFUSED, REFUSED, FINE},
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
    {"F_SETOWN of another", signal_by_descriptor, REFUSED, REFUSED, REFUSED},
    {"F_SETSIG", choose_signal, REFUSED, REFUSED, REFUSED},
    {"O_ASYNC", be_told_by_signal, REFUSED, REFUSED, REFUSED},
    {"F_SETLEASE", take_lease, REFUSED, REFUSED, REFUSED},
    {"flags of a descriptor", change_flags, FINE, FINE, FINE},
    {"SO_LINGER", linger, REFUSED, REFUSED, REFUSED},
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
    {"resolve a name", resolve_name, REFUSED, REFUSED, FINE},
    {"recvmmsg", several_datagrams, FINE, REFUSED, FINE},

    {"waiting", wait_in_many_ways, FINE, FINE, FINE},
    {"inotify", watch_folder, REFUSED, REFUSED, FINE},
    {"serial port", use_serial_port, FINE, FINE, FINE},
    {"TIOCSTI", type_for_others, REFUSED, REFUSED, REFUSED},
    {"TCXONC", stop_terminal, REFUSED, REFUSED, REFUSED},
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
    {"SO_LINGER", linger, REFUSED},
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

    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (fd < 0) {
        print_message("there are no pseudo terminals here: /dev/pts is not mounted\n");
        return 77;
    }
    close(fd);
    log_open("test", LOG_LEVEL_ERROR);
    return cmocka_run_group_tests_name("sandbox", tests, sandbox_set_up, sandbox_tear_down);
}
