/* SPDX-License-Identifier: MIT */
/*
 * test_ports.c - which ports the supervisor opens for a role: those of modem lines in the settings,
 * and no others; and what becomes of their locks.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "src/ports.h"

static char folder[] = "/tmp/test_ports.XXXXXX";

static int locks(void)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    int count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        count += strncmp(entry->d_name, "LCK..", 5) == 0;
    closedir(dir);
    return count;
}

static struct settings *settings_of(const char *device)
{
    char text[600];
    char *parts[SETTINGS_FILES] = {[SETTINGS_FAXPOST] = text};
    struct settings *settings;

    snprintf(text, sizeof text,
             "[gateway]\nlock_dir = %s\n[line trunk]\n[line desk]\ntype = modem\ndevice = %s\n",
             folder, device);
    assert_int_equal(settings_from_parts(&settings, parts), 0);
    return settings;
}

static void test_only_what_the_settings_name(void **state)
{
    static const char *const lines[] = {"", "trunk", "hall", "DESK", "desk ", "/dev/null"};
    struct settings *settings = settings_of("/dev/null");
    struct ports ports = {.count = 0};
    char usb_id[SERIAL_USB_ID_MAX];
    char why[SERIAL_WHY_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_int_equal(ports_open(&ports, settings, lines[i], usb_id, why), ERROR_NOT_FOUND);
        assert_string_equal(why, "the settings have no such modem line");
    }
    assert_int_equal(ports.count, 0);
    assert_int_equal(locks(), 0);
    settings_free(settings);
}

static void test_locks(void **state)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct ports ports = {.count = 0};
    char usb_id[SERIAL_USB_ID_MAX];
    char why[SERIAL_WHY_MAX];
    struct settings *settings;
    int fd;

    (void)state;
    if (master < 0)
        skip(); /* /dev/pts is not mounted */
    assert_true(grantpt(master) == 0 && unlockpt(master) == 0);
    settings = settings_of(ptsname(master));
    for (int i = 0; i < 2; i++) { /* whoever asks again has lost it */
        fd = ports_open(&ports, settings, "desk", usb_id, why);
        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(ports.count, 1);
        assert_int_equal(locks(), 1);
    }
    ports_close(&ports, "hall");
    assert_int_equal(locks(), 1);
    ports_close(&ports, "desk");
    assert_int_equal(locks(), 0);
    fd = ports_open(&ports, settings, "desk", usb_id, why);
    assert_true(fd >= 0);
    close(fd);
    ports_close_all(&ports);
    assert_int_equal(locks(), 0);
    settings_free(settings);
    close(master);
}

/* A port that cannot be had leaves no lock. */
static void test_no_port(void **state)
{
    struct settings *settings = settings_of("/dev/null");
    struct ports ports = {.count = 0};
    char usb_id[SERIAL_USB_ID_MAX];
    char why[SERIAL_WHY_MAX] = "";

    (void)state;
    assert_true(ports_open(&ports, settings, "desk", usb_id, why) < 0);
    assert_true(why[0] != '\0');
    assert_int_equal(ports.count, 0);
    assert_int_equal(locks(), 0);
    settings_free(settings);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_the_settings_name),
        cmocka_unit_test(test_locks),
        cmocka_unit_test(test_no_port),
    };

    return cmocka_run_group_tests_name("ports", tests, set_up, tear_down);
}
