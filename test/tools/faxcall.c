/* SPDX-License-Identifier: MIT */
/*
 * faxcall.c - the caller for tests: places fax calls, or answers them. faxcall --help says how.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "test/tools/faxcall.h"

/* Three descriptors a call; hundreds of calls need more than the usual 1024. */
static void descriptors_raise(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    struct options options;
    FILE *json = NULL;
    int failed;

    options_read(&options, argc, argv);
    if (options.json != NULL && strcmp(options.json, "-") == 0)
        json = stdout;
    else if (options.json != NULL && (json = fopen(options.json, "w")) == NULL) {
        fprintf(stderr, "faxcall: %s: %s\n", options.json, strerror(errno));
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    descriptors_raise();
    failed = sip_run(&options, json);
    if (json != NULL && json != stdout)
        fclose(json);
    return failed;
}
