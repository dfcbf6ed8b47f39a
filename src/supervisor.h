/* SPDX-License-Identifier: MIT */
/*
 * supervisor.h - starts the roles, keeps them running, hands them their settings, and ends them in
 * order.
 */
#ifndef FAXPOST_SRC_SUPERVISOR_H
#define FAXPOST_SRC_SUPERVISOR_H

#include "src/privilege.h"
#include "src/settings.h"

struct supervisor_options {
    const char *conf_path;  /* absolute: read again at a reload */
    struct account account; /* of the roles */
    int started_fd;         /* gets one octet when all roles are ready; -1: nobody waits */
};

/* Runs until told to stop; settings become the supervisor's. SIGTERM and SIGINT drain calls and
 * end, a second one ends at once; SIGHUP reloads. One thread; gives the exit code. */
int supervisor_run(struct settings *settings, const struct supervisor_options *options);

#endif
