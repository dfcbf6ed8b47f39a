/* SPDX-License-Identifier: MIT */
/*
 * faxpostd.c - the daemon's command line: check, dump, or run; in the foreground, under systemd or
 * as a daemon. With --role=NAME, given by the supervisor only, it becomes that role.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "src/man_keys.h"
#include "src/role.h"
#include "src/supervisor.h"
#include "src/version.h"

enum { OPTION_ROLE = 256, OPTION_MAN_KEYS };

struct options {
    const char *conf_path;
    bool foreground, check, dump;
};

static const char usage[] = "usage: faxpostd [-c FILE] [-F | -t | -T | -V | -h]\n"
                            "  -c FILE  settings; servers.ini, bypass.ini, modems.ini lie beside\n"
                            "           (" DEFAULT_CONF_PATH ")\n"
                            "  -F       stay in the foreground and log to standard error\n"
                            "  -t       check the settings and say what is wrong with them\n"
                            "  -T       print the settings in force, defaults included\n"
                            "  -V       print the version\n"
                            "  -h       print this\n"
                            "exit code: 0 fine, 1 trouble, 2 wrong usage, 78 wrong settings\n";

static void print_problem(void *user, const char *file, int line, const char *what)
{
    const char *kind = user;

    if (line > 0)
        fprintf(stderr, "%s:%d: %s%s\n", file, line, kind, what);
    else
        fprintf(stderr, "%s: %s%s\n", file, kind, what);
}

static int check(const struct options *options)
{
    struct settings *settings;
    char none[] = "";
    char warning[] = "warning: ";

    if (settings_load(&settings, options->conf_path, print_problem, none) < 0)
        return EXIT_SETTINGS;
    settings_warn(settings, print_problem, warning);
    settings_free(settings);
    printf("%s: fine\n", options->conf_path);
    return EXIT_FINE;
}

static int dump(const struct options *options)
{
    struct settings *settings;
    char none[] = "";
    int i;

    if (settings_load(&settings, options->conf_path, print_problem, none) < 0)
        return EXIT_SETTINGS;
    for (i = 0; i < SETTINGS_FILES; i++) {
        char *text;

        if (settings->file[i] == NULL || conf_dump(settings->file[i], NULL, &text) < 0)
            continue;
        printf("%s; %s\n%s", i > 0 ? "\n" : "", settings_name((enum settings_file)i), text);
        free(text);
    }
    settings_free(settings);
    return fflush(stdout) == 0 ? EXIT_FINE : EXIT_TROUBLE;
}

/* The descriptor that a daemon logs to: the journal, or a file beside the spool. */
static int daemon_log_open(const struct settings *settings)
{
    char path[PATH_MAX];
    struct stat st;
    int fd = sd_journal_stream_fd("faxpostd", 6, 1);

    if (fd >= 0) {
        setenv("JOURNAL_STREAM", "faxpostd", 1); /* log lines carry their <priority> */
        return fd;
    }
    snprintf(path, sizeof path, "%s/faxpostd.log",
             conf_text(settings->file[SETTINGS_FAXPOST], "gateway", NULL, "state_dir"));
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0640);
    if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
        close(fd);
        errno = EINVAL;
        fd = -1;
    }
    if (fd < 0)
        fprintf(stderr, "faxpostd: there is no journal, and no log file can be made: %s: %s\n",
                path, strerror(errno));
    return fd;
}

/* The process that was called: waits until the daemon is ready, or has failed. */
static int daemon_wait(int started_fd)
{
    char octet;
    ssize_t n;

    do
        n = read(started_fd, &octet, 1);
    while (n < 0 && errno == EINTR);
    if (n == 1)
        return EXIT_FINE;
    fprintf(stderr, "faxpostd: did not start; its log says why, or run it with -F\n");
    return EXIT_TROUBLE;
}

/* Twice a fork, so that no terminal can be had again. Returns in the daemon only, with the
 * descriptor that wants to know when it is ready. */
static int daemon_become(const struct settings *settings)
{
    int started[2];
    int log_fd = daemon_log_open(settings);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    pid_t pid;

    if (log_fd < 0 || null < 0 || pipe2(started, O_CLOEXEC) < 0 || (pid = fork()) < 0)
        exit(EXIT_TROUBLE);
    if (pid > 0) {
        close(started[1]);
        _exit(daemon_wait(started[0]));
    }
    close(started[0]);
    setsid();
    pid = fork();
    if (pid != 0)
        _exit(pid < 0 ? EXIT_TROUBLE : EXIT_FINE);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(log_fd, STDERR_FILENO);
    close(null);
    close(log_fd);
    return started[1];
}

/* The daemon leaves the folder it was called in: a reload must still find the file. */
static char *absolute(const char *path)
{
    char current[PATH_MAX];
    char *out;

    if (path[0] == '/')
        return strdup(path);
    if (getcwd(current, sizeof current) == NULL || asprintf(&out, "%s/%s", current, path) < 0)
        return NULL;
    return out;
}

static int run(const struct options *options)
{
    struct supervisor_options supervisor = {.started_fd = -1};
    struct settings *settings;
    char *path = absolute(options->conf_path);
    char none[] = "";
    enum log_level warning = LOG_LEVEL_WARNING;
    int code;

    if (path == NULL)
        return EXIT_TROUBLE;
    if (settings_load(&settings, path, print_problem, none) < 0) {
        free(path);
        return EXIT_SETTINGS;
    }
    log_open("supervisor", (enum log_level)conf_choice(settings->file[SETTINGS_FAXPOST], "gateway",
                                                       NULL, "log_level"));
    umask(022);
    if (chdir("/") < 0 || account_find(&supervisor.account, settings->file[SETTINGS_FAXPOST]) < 0 ||
        folders_prepare(settings->file[SETTINGS_FAXPOST], &supervisor.account) < 0) {
        settings_free(settings);
        free(path);
        return EXIT_TROUBLE;
    }
    if (!options->foreground && getenv("NOTIFY_SOCKET") == NULL)
        supervisor.started_fd = daemon_become(settings);
    log_open("supervisor", (enum log_level)conf_choice(settings->file[SETTINGS_FAXPOST], "gateway",
                                                       NULL, "log_level"));
    log_open("supervisor", (enum log_level)conf_choice(settings->file[SETTINGS_FAXPOST], "gateway",
                                                       NULL, "log_level")); /* now of the daemon */
    settings_warn(settings, settings_log_problem, &warning);
    supervisor.conf_path = path;
    code = supervisor_run(settings, &supervisor);
    free(path);
    return code;
}

static int role_of(const char *name)
{
    int i;

    for (i = 0; i < ROLE_COUNT; i++)
        if (strcmp(role_text((enum role)i), name) == 0)
            return role_main((enum role)i);
    fprintf(stderr, "faxpostd: no such role: %s\n", name);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"role", required_argument, NULL, OPTION_ROLE},
        {"man-keys", required_argument, NULL, OPTION_MAN_KEYS},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    struct options options = {.conf_path = DEFAULT_CONF_PATH};
    int option;

    while ((option = getopt_long(argc, argv, "c:FtTVh", longs, NULL)) >= 0) {
        switch (option) {
        case 'c': options.conf_path = optarg; break;
        case 'F': options.foreground = true; break;
        case 't': options.check = true; break;
        case 'T': options.dump = true; break;
        case 'V': printf("faxpostd %s\n", FAXPOST_VERSION); return EXIT_FINE;
        case 'h': fputs(usage, stdout); return EXIT_FINE;
        case OPTION_ROLE: return role_of(optarg);
        case OPTION_MAN_KEYS: return man_keys_print(optarg);
        default: fputs(usage, stderr); return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "faxpostd: unexpected argument: %s\n%s", argv[optind], usage);
        return EXIT_USAGE;
    }
    if (options.check)
        return check(&options);
    return options.dump ? dump(&options) : run(&options);
}
