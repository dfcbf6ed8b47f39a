/* SPDX-License-Identifier: MIT */
/*
 * test_maildir.c - names that are safe, and a mail that is there exactly once.
 */
#include "smtp/mailbox.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"

static char state_dir[100];

static void test_names(void **state)
{
    static const struct {
        const char *recipient, *name;
    } rows[] = {
        {"sales@example.com", "sales@example.com"},
        {"Sales@Example.COM", "sales@example.com"},
        {"a+b=c_d-e.f@g", "a+b=c_d-e.f@g"},
        {"../../etc/passwd@x", "%2E.%2F..%2Fetc%2Fpasswd@x"},
        {".hidden@x", "%2Ehidden@x"},
        {"a/b@x", "a%2Fb@x"},
        {"a b\001@x", "a%20b%01@x"},
        {"m\303\274@x", "m%C3%BC@x"},
        {"50%@x", "50%25@x"},
        {"", "%"},
    };
    char name[MAILBOX_NAME_MAX];
    char other[MAILBOX_NAME_MAX];
    char recipient[300];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mailbox_name(name, rows[i].recipient);
        assert_string_equal(name, rows[i].name);
    }
    memset(recipient, '/', sizeof recipient - 1);
    recipient[sizeof recipient - 1] = '\0';
    mailbox_name(name, recipient);
    assert_true(strlen(name) < MAILBOX_NAME_MAX && strlen(name) < 250);
    recipient[sizeof recipient - 2] = 'x';
    mailbox_name(other, recipient);
    assert_string_not_equal(name, other);
}

static void write_message(char *path, size_t size, const char *text)
{
    int fd = file_open_folder(AT_FDCWD, state_dir);

    assert_true(fd >= 0);
    assert_int_equal(file_write_atomic(fd, "message.eml", text, strlen(text), FILE_NO_SYNC), 0);
    close(fd);
    snprintf(path, size, "%s/message.eml", state_dir);
}

static void check_content(const char *path, const char *text)
{
    char *data = NULL;
    size_t length = 0;

    assert_int_equal(file_read(AT_FDCWD, path, 1000, &data, &length), 0);
    assert_string_equal(data, text);
    free(data);
}

static void test_exactly_once(void **state)
{
    char message[200];
    char path[MAILBOX_PATH_MAX];
    char read_path[MAILBOX_PATH_MAX + 10];
    char again[MAILBOX_PATH_MAX];

    (void)state;
    write_message(message, sizeof message, "Subject: x\r\n\r\nx\r\n");
    assert_int_equal(
        mailbox_deliver(state_dir, "A@b", "20261121T101530123-k7f3", message, false, path), 0);
    assert_non_null(strstr(path, "/mailbox/a@b/new/"));
    check_content(path, "Subject: x\r\n\r\nx\r\n");
    assert_int_equal(
        mailbox_deliver(state_dir, "a@B", "20261121T101530123-k7f3", message, false, again), 1);
    assert_string_equal(path, again);
    /* A reader moves it to cur/ and gives it a flag. */
    snprintf(read_path, sizeof read_path, "%.*s/cur/%s:2,S", (int)(strstr(path, "/new/") - path),
             path, strrchr(path, '/') + 1);
    assert_int_equal(rename(path, read_path), 0);
    assert_int_equal(
        mailbox_deliver(state_dir, "a@b", "20261121T101530123-k7f3", message, true, again), 1);
    assert_int_equal(access(path, F_OK), -1);
    /* Another fax is another mail. */
    assert_int_equal(
        mailbox_deliver(state_dir, "a@b", "20261121T101530123-zzzz", message, true, again), 0);
    check_content(again, "Subject: x\r\n\r\nx\r\n");
}

static void test_refused(void **state)
{
    char message[200];
    char path[MAILBOX_PATH_MAX];

    (void)state;
    write_message(message, sizeof message, "x");
    assert_int_equal(mailbox_deliver(state_dir, "c@d", "../evil", message, false, path),
                     ERROR_FORMAT);
    assert_int_equal(mailbox_deliver(state_dir, "c@d", "good", "/no/such/file", false, path),
                     ERROR_NOT_FOUND);
    assert_true(mailbox_deliver("/proc/self/nowhere", "c@d", "good", message, false, path) < 0);
}

/* Where a link cannot be made (another file system), it is copied by way of tmp/. */
static void test_copy(void **state)
{
    char message[] = "/dev/shm/test_maildir.XXXXXX";
    char path[MAILBOX_PATH_MAX];
    struct stat here, there;
    int fd = mkstemp(message);

    (void)state;
    if (fd < 0)
        skip();
    assert_int_equal(write(fd, "hello", 5), 5);
    close(fd);
    if (stat(message, &there) < 0 || stat(state_dir, &here) < 0 || here.st_dev == there.st_dev) {
        unlink(message);
        skip();
    }
    assert_int_equal(mailbox_deliver(state_dir, "e@f", "copied", message, false, path), 0);
    check_content(path, "hello");
    assert_int_equal(mailbox_deliver(state_dir, "e@f", "copied", message, false, path), 1);
    unlink(message);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(state_dir, sizeof state_dir, "/tmp/test_maildir.XXXXXX");
    return mkdtemp(state_dir) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[200];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", state_dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_exactly_once),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_copy),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
