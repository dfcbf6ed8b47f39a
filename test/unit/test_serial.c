/* SPDX-License-Identifier: MIT */
/*
 * test_serial.c - ports and their locks, on pty pairs: who may have one, what is said to those who
 * may not, and that octets pass as they are.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/text.h"
#include "fax/modem/serial.h"

enum { RACERS = 8, NOBODY = 65534 };

static char folder[] = "/tmp/test_serial.XXXXXX";
static const struct serial_settings usual = {115200, SERIAL_FLOW_RTSCTS};

struct pty {
    int master;
    char name[64]; /* of the other end */
};

static void pty_open(struct pty *pty)
{
    pty->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(pty->master >= 0);
    assert_int_equal(grantpt(pty->master), 0);
    assert_int_equal(unlockpt(pty->master), 0);
    assert_int_equal(ptsname_r(pty->master, pty->name, sizeof pty->name), 0);
}

static void path_of(char out[200], const char *name)
{
    snprintf(out, 200, "%s/%s", folder, name);
}

/* Where the lock of a pty lies. */
static void lock_of(char out[200], const struct pty *pty)
{
    snprintf(out, 200, "%s/LCK..pts_%s", folder, strrchr(pty->name, '/') + 1);
}

static void write_file(const char *path, const void *data, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, length), (ssize_t)length);
    close(fd);
}

static bool exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

/* The process id of one that is dead. */
static pid_t dead_pid(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return pid;
}

/* Runs a test in a process without root's rights; it exits with 0 when it is fine. */
static int as_nobody(int (*run)(void *), void *arg)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        if (geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) < 0)
            _exit(99);
        _exit(run(arg));
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100;
}

/* ---- locks ----------------------------------------------------------------------------------- */

static void test_lock(void **state)
{
    char why[SERIAL_WHY_MAX], path[SERIAL_PATH_MAX], again[SERIAL_PATH_MAX] = "";
    char expect[200], link_path[200], text[32] = "", mine[32];
    struct pty pty;
    int fd;

    (void)state;
    pty_open(&pty);
    lock_of(expect, &pty);
    assert_int_equal(serial_lock(path, pty.name, folder, why, sizeof why), 0);
    assert_string_equal(path, expect);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, text, sizeof text), 11);
    close(fd);
    snprintf(mine, sizeof mine, "%10d\n", (int)getpid());
    assert_string_equal(text, mine); /* ten digits, as others read it */

    /* By another name it is the same port. */
    path_of(link_path, "by-id");
    assert_int_equal(symlink(pty.name, link_path), 0);
    assert_int_equal(serial_lock(again, link_path, folder, why, sizeof why), ERROR_BUSY);
    assert_non_null(strstr(why, "by this program already"));
    assert_string_equal(again, "");
    serial_unlock(path);
    assert_false(exists(path));
    assert_int_equal(serial_lock(again, link_path, folder, why, sizeof why), 0);
    assert_string_equal(again, expect);
    serial_unlock(again);
    serial_unlock("");
    unlink(link_path);
    close(pty.master);
}

/* Locks of other programs, as they may lie there. */
static void test_other_locks(void **state)
{
    int dead_binary = (int)dead_pid();
    int live_binary = (int)getppid();
    char dead[16], live[16];
    const struct {
        const char *name;
        const void *data;
        size_t length;
        bool is_old;
        int error;
        const char *why;
    } table[] = {
        {"dead, in digits", dead, 11, false, 0, ""},
        {"dead, binary", &dead_binary, sizeof dead_binary, false, 0, ""},
        {"live, in digits", live, 11, false, ERROR_BUSY, "in use by pid"},
        {"live, binary", &live_binary, sizeof live_binary, false, ERROR_BUSY, "in use by pid"},
        {"live, with the program's name", "         1 init root\n", 21, true, ERROR_BUSY,
         "in use by pid 1"},
        {"empty, being written", "", 0, false, ERROR_BUSY, "no process id stands"},
        {"empty, left behind", "", 0, true, 0, ""},
        {"nonsense, left behind", "hello", 5, true, 0, ""},
        {"a negative number, left behind", "-1\n", 3, true, 0, ""},
    };
    char why[SERIAL_WHY_MAX], path[SERIAL_PATH_MAX], lock[200];
    struct pty pty;
    size_t i;

    (void)state;
    snprintf(dead, sizeof dead, "%10d\n", dead_binary);
    snprintf(live, sizeof live, "%10d\n", live_binary);
    pty_open(&pty);
    lock_of(lock, &pty);
    for (i = 0; i < sizeof table / sizeof table[0]; i++) {
        static const struct timespec old[2] = {{1000000, 0}, {1000000, 0}};
        int error;

        write_file(lock, table[i].data, table[i].length);
        if (table[i].is_old)
            assert_int_equal(utimensat(AT_FDCWD, lock, old, 0), 0);
        error = serial_lock(path, pty.name, folder, why, sizeof why);
        if (error != table[i].error || strstr(why, table[i].why) == NULL)
            fail_msg("%s: %d %s", table[i].name, error, why);
        if (error == 0)
            serial_unlock(path);
        assert_int_equal(exists(lock), error != 0); /* that of another stays */
        unlink(lock);
    }
    close(pty.master);
}

/* One of a crowd gets the port, also when a dead program's lock lies there. */
static void test_race(void **state)
{
    struct pty pty;
    char lock[200], text[16];
    int go[2], result[2], round, i;

    (void)state;
    pty_open(&pty);
    lock_of(lock, &pty);
    for (round = 0; round < 20; round++) {
        int winners = 0, losers = 0;
        char octet;

        assert_int_equal(pipe(go), 0);
        assert_int_equal(pipe(result), 0);
        snprintf(text, sizeof text, "%10d\n", (int)dead_pid());
        write_file(lock, text, 11);
        for (i = 0; i < RACERS; i++) {
            if (fork() > 0)
                continue;
            char why[SERIAL_WHY_MAX], path[SERIAL_PATH_MAX];

            close(go[1]);
            octet = serial_lock(path, pty.name, folder, why, sizeof why) == 0 ? 'w' : 'l';
            if (write(result[1], &octet, 1) != 1 || read(go[0], &octet, 1) < 0)
                _exit(1); /* lives until all have tried */
            _exit(0);
        }
        for (i = 0; i < RACERS; i++) {
            assert_int_equal(read(result[0], &octet, 1), 1);
            *(octet == 'w' ? &winners : &losers) += 1;
        }
        close(go[0]);
        close(go[1]);
        close(result[0]);
        close(result[1]);
        for (i = 0; i < RACERS; i++)
            assert_true(wait(NULL) > 0);
        assert_int_equal(winners, 1);
        assert_int_equal(losers, RACERS - 1);
    }
    unlink(lock);
    close(pty.master);
}

static int lock_without_rights(void *arg)
{
    char why[SERIAL_WHY_MAX], path[SERIAL_PATH_MAX];

    return serial_lock(path, arg, folder, why, sizeof why) == ERROR_DENIED &&
                   strstr(why, "lock_dir") != NULL
               ? 0
               : 1;
}

static void test_lock_folder(void **state)
{
    char why[SERIAL_WHY_MAX], path[SERIAL_PATH_MAX] = "", missing[200];
    struct pty pty;

    (void)state;
    pty_open(&pty);
    path_of(missing, "none");
    assert_int_equal(serial_lock(path, pty.name, missing, why, sizeof why), ERROR_NOT_FOUND);
    assert_non_null(strstr(why, "there is no folder"));
    assert_non_null(strstr(why, "lock_dir"));
    assert_int_equal(serial_lock(path, "/dev/ttyNONE7", folder, why, sizeof why), ERROR_NOT_FOUND);
    assert_non_null(strstr(why, "is the modem plugged in? Present are: "));
    assert_int_equal(chmod(folder, 0555), 0);
    assert_int_equal(as_nobody(lock_without_rights, pty.name), 0);
    assert_int_equal(chmod(folder, 0755), 0);
    close(pty.master);
}

/* ---- ports ----------------------------------------------------------------------------------- */

static void test_settings(void **state)
{
    static const struct {
        struct serial_settings settings;
        tcflag_t cts, xon;
        speed_t speed;
    } table[] = {
        {{115200, SERIAL_FLOW_RTSCTS}, CRTSCTS, 0, B115200},
        {{19200, SERIAL_FLOW_XONXOFF}, 0, IXON | IXOFF, B19200},
        {{230400, SERIAL_FLOW_NONE}, 0, 0, B230400},
    };
    char why[SERIAL_WHY_MAX];
    struct termios t;
    struct pty pty;
    size_t i;
    int fd = -1;

    (void)state;
    pty_open(&pty);
    assert_int_equal(serial_open(&fd, pty.name, &usual, why, sizeof why), 0);
    assert_non_null(strstr(why, "has no wires (a pty)")); /* said, but no failure */
    for (i = 0; i < sizeof table / sizeof table[0]; i++) {
        assert_int_equal(serial_setup(fd, &table[i].settings, why, sizeof why), 0);
        assert_int_equal(tcgetattr(fd, &t), 0);
        assert_int_equal(t.c_cflag & CRTSCTS, table[i].cts);
        assert_int_equal(t.c_iflag & (IXON | IXOFF), table[i].xon);
        assert_int_equal(cfgetospeed(&t), table[i].speed);
        assert_int_equal(t.c_cflag & (CSIZE | PARENB), CS8);
        assert_int_equal(t.c_lflag & (ICANON | ECHO | ISIG), 0);
    }
    assert_string_equal(why, "");
    assert_int_equal(
        serial_setup(fd, &(struct serial_settings){12345, SERIAL_FLOW_NONE}, why, sizeof why),
        ERROR_UNSUPPORTED);
    assert_non_null(strstr(why, "try 115200"));
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(serial_set_dtr(fd, false), ERROR_UNSUPPORTED); /* a pty has none */
    serial_close(fd);
    serial_close(-1);
    close(pty.master);
}

/* Every octet passes as it is, both ways, and none comes back. */
static void test_octets(void **state)
{
    uint8_t all[256], got[256];
    char why[SERIAL_WHY_MAX];
    struct pollfd master;
    struct pty pty;
    int fd = -1;
    int i;

    (void)state;
    for (i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    pty_open(&pty);
    assert_int_equal(serial_open(&fd, pty.name, &usual, why, sizeof why), 0);
    assert_int_equal(write(pty.master, all, sizeof all), sizeof all);
    assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 10000), 1);
    assert_int_equal(read(fd, got, sizeof got), sizeof got);
    assert_memory_equal(got, all, sizeof all);
    master = (struct pollfd){.fd = pty.master, .events = POLLIN};
    assert_int_equal(poll(&master, 1, 0), 0); /* no echo */
    assert_int_equal(write(fd, all, sizeof all), sizeof all);
    assert_int_equal(poll(&master, 1, 10000), 1);
    assert_int_equal(read(pty.master, got, sizeof got), sizeof got);
    assert_memory_equal(got, all, sizeof all);
    serial_close(fd);
    close(pty.master);
}

static void test_gone(void **state)
{
    char why[SERIAL_WHY_MAX], octet;
    struct pollfd port;
    struct pty pty;
    int fd = -1;

    (void)state;
    pty_open(&pty);
    assert_int_equal(serial_open(&fd, pty.name, &usual, why, sizeof why), 0);
    port = (struct pollfd){.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&port, 1, 0), 0);
    assert_false(serial_poll_is_gone(port.revents));
    assert_int_equal(read(fd, &octet, 1), -1);
    assert_false(serial_error_is_gone(errno));
    close(pty.master);
    assert_int_equal(poll(&port, 1, 10000), 1);
    assert_true(serial_poll_is_gone(port.revents));
    if (read(fd, &octet, 1) < 0)
        assert_true(serial_error_is_gone(errno));
    assert_int_equal(write(fd, "x", 1), -1);
    assert_true(serial_error_is_gone(errno));
    assert_int_equal(serial_setup(fd, &usual, why, sizeof why), ERROR_CLOSED);
    assert_non_null(strstr(why, "still plugged in?"));
    serial_close(fd);
}

static int open_without_rights(void *arg)
{
    char why[SERIAL_WHY_MAX] = "";
    int fd;

    return serial_open(&fd, arg, &usual, why, sizeof why) == ERROR_DENIED &&
                   strstr(why, "no rights to") != NULL
               ? 0
               : 1;
}

static void test_refusals(void **state)
{
    static const struct {
        const char *device;
        int error;
        const char *why;
    } table[] = {
        {"/dev/ttyNONE7", ERROR_NOT_FOUND, "is the modem plugged in? Present are: "},
        {"/dev/null", ERROR_FORMAT, "is no serial port"},
        {"/dev", ERROR_FORMAT, "is a folder"},
        {"/etc/passwd", ERROR_FORMAT, "is no device"},
        {"/etc/passwd/x", ERROR_NOT_FOUND, "no such device"},
        {"/dev/a\nb", ERROR_NOT_FOUND, "\\x0a"},
    };
    char why[SERIAL_WHY_MAX];
    struct pty pty;
    size_t i;
    int fd = -1;
    int other = -1;

    (void)state;
    for (i = 0; i < sizeof table / sizeof table[0]; i++) {
        int error = serial_open(&fd, table[i].device, &usual, why, sizeof why);

        if (geteuid() != 0 && error == ERROR_DENIED)
            continue; /* /etc/passwd */
        if (error != table[i].error || strstr(why, table[i].why) == NULL)
            fail_msg("%s: %d %s", table[i].device, error, why);
    }
    pty_open(&pty);
    assert_int_equal(chmod(pty.name, 0), 0);
    assert_int_equal(as_nobody(open_without_rights, pty.name), 0);
    assert_int_equal(chmod(pty.name, 0620), 0);
    assert_int_equal(serial_open(&fd, pty.name, &usual, why, sizeof why), 0);
    assert_int_equal(serial_open(&other, pty.name, &usual, why, sizeof why), ERROR_BUSY);
    assert_non_null(strstr(why, "in use by another program"));
    serial_close(fd);
    assert_int_equal(serial_open(&other, pty.name, &usual, why, sizeof why), 0);
    serial_close(other);
    close(pty.master);
}

/* ---- what there is --------------------------------------------------------------------------- */

static void test_usb_id(void **state)
{
    static const char *const folders[] = {"sys", "sys/class", "sys/class/tty", "sys/1-1",
                                          "sys/1-1/1-1:1.0"};
    char path[200], tty[200], target[] = "../../../1-1/1-1:1.0", id[SERIAL_USB_ID_MAX];
    struct pty pty;
    size_t i;

    (void)state;
    pty_open(&pty);
    for (i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        path_of(path, folders[i]);
        assert_int_equal(mkdir(path, 0755), 0);
    }
    snprintf(tty, sizeof tty, "%s/sys/class/tty/%s", folder, strrchr(pty.name, '/') + 1);
    assert_int_equal(mkdir(tty, 0755), 0);
    strcat(tty, "/device");
    path_of(path, "sys");
    assert_false(serial_usb_id(id, pty.name, path));
    assert_int_equal(symlink(target, tty), 0);
    assert_false(serial_usb_id(id, pty.name, path)); /* not at USB */
    path_of(path, "sys/1-1/idVendor");
    write_file(path, "0572\n", 5);
    path_of(path, "sys/1-1/idProduct");
    write_file(path, "13G9\n", 5);
    path_of(path, "sys");
    assert_false(serial_usb_id(id, pty.name, path)); /* nonsense */
    path_of(path, "sys/1-1/idProduct");
    write_file(path, "1329\n", 5);
    path_of(path, "sys");
    assert_true(serial_usb_id(id, pty.name, path));
    assert_string_equal(id, "0572:1329");
    assert_false(serial_usb_id(id, "/dev/ttyNONE7", path));
    close(pty.master);
}

static void test_present(void **state)
{
    char text[SERIAL_WHY_MAX] = "", little[6];

    (void)state;
    serial_present(text, sizeof text);
    assert_true(strcmp(text, "none") == 0 || strncmp(text, "/dev/", 5) == 0);
    serial_present(little, sizeof little); /* cut */
    assert_true(strlen(little) < sizeof little);
    assert_true(serial_speed_is_valid(115200));
    assert_false(serial_speed_is_valid(0));
    assert_false(serial_speed_is_valid(115201));
    assert_string_equal(serial_flow_text(SERIAL_FLOW_XONXOFF), "xonxoff");
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL || chmod(folder, 0755) < 0;
}

static int tear_down(void **state)
{
    char command[100];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lock),     cmocka_unit_test(test_other_locks),
        cmocka_unit_test(test_race),     cmocka_unit_test(test_lock_folder),
        cmocka_unit_test(test_settings), cmocka_unit_test(test_octets),
        cmocka_unit_test(test_gone),     cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_usb_id),   cmocka_unit_test(test_present),
    };

    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (fd < 0) {
        print_message("there are no pseudo terminals here: /dev/pts is not mounted\n");
        return 77;
    }
    close(fd);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
