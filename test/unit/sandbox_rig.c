/* SPDX-License-Identifier: MIT */
/*
 * sandbox_rig.c - folders, settings and descriptors that attempts are made on.
 */
#include "test/unit/sandbox_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

/* ---- the world of the test --------------------------------------------------------------------
 */

char sandbox_top[] = "/tmp/faxpost-sandbox-XXXXXX";
struct settings *plain;    /* no programs */
struct settings *programs; /* with alarm_command, and a server with files */
pid_t sandbox_parent;
int sandbox_terminal = -1; /* a serial port, opened by somebody else */
int sandbox_listener = -1; /* made before the sandbox */

const char *in_top(const char *name)
{
    static char path[8][300];
    static unsigned next;
    char *out = path[next++ % 8];

    snprintf(out, sizeof path[0], "%s/%s", sandbox_top, name);
    return out;
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(in_top(name), "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

struct settings *settings_of(const char *more, const char *servers)
{
    enum log_level level = LOG_LEVEL_ERROR;
    char text[1000];
    char *parts[SETTINGS_FILES] = {text, NULL};
    struct settings *out = NULL;

    snprintf(text, sizeof text, "[gateway]\nstate_dir = %s/state\nrun_dir = %s/run\n%s",
             sandbox_top, sandbox_top, more);
    assert_int_equal(settings_from_parts(&out, parts), 0);
    if (servers != NULL)
        assert_int_equal(conf_parse(&out->file[SETTINGS_SERVERS], servers, "servers.ini",
                                    sandbox_top, conf_keys_servers, settings_log_problem, &level),
                         0);
    return out;
}

const char one_server[] = "[server one]\nrank = 1\nhost = localhost\nauth = plain\n"
                          "user = u\npassword_file = secrets/password\n";

/* To be connected to. */
static int listen_here(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};

    sandbox_listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return sandbox_listener < 0 ||
                   bind(sandbox_listener, (const struct sockaddr *)&address, sizeof address) < 0 ||
                   listen(sandbox_listener, 128) < 0
               ? -1
               : 0;
}

int sandbox_set_up(void **state)
{
    static const char *const folders[] = {"state", "state/incoming", "state/fax", "run",
                                          "disk",  "secrets",        "other"};
    int other;
    size_t i;

    (void)state;
    if (mkdtemp(sandbox_top) == NULL)
        return -1;
    chmod(sandbox_top, 0755);
    for (i = 0; i < sizeof folders / sizeof folders[0]; i++)
        if (mkdir(in_top(folders[i]), 0700) < 0)
            return -1;
    if (symlink(in_top("disk"), in_top("state/mailbox")) < 0)
        return -1;
    write_file("state/faxpost.db", "database");
    write_file("state/fax/page.tif", "page");
    write_file("state/incoming/old.tif", "page");
    write_file("secrets/password", "secret\n");
    write_file("other/file", "other\n");
    sandbox_parent = getpid();
    plain = settings_of("", one_server);
    programs = settings_of("alarm_command = /bin/true\n", one_server);
    return openpty(&other, &sandbox_terminal, NULL, NULL, NULL) < 0 ? -1 : listen_here();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *place)
{
    (void)st;
    (void)type;
    (void)place;
    return remove(path);
}

int sandbox_tear_down(void **state)
{
    (void)state;
    settings_free(plain);
    settings_free(programs);
    return nftw(sandbox_top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int done(long result)
{
    return result < 0 ? errno : 0;
}

int opened(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);

    return fd < 0 ? errno : close(fd);
}
