/* SPDX-License-Identifier: MIT */
/*
 * control.h - the control socket RUN_DIR/control.sock: a request in JSON on a line, a reply in JSON
 * on a line, as often as the client likes. Who asks is known by SO_PEERCRED: root and the daemon's
 * own account may change things, others who can open the socket (its group) may look.
 */
#ifndef FAXPOST_SRC_CONTROL_H
#define FAXPOST_SRC_CONTROL_H

#include "src/control_commands.h"
#include "src/loop.h"

enum {
    CONTROL_CLIENTS_MAX = 32,
    CONTROL_REQUEST_MAX = 20480, /* octets of a line */
    CONTROL_REPLY_MAX = 16 << 20,
    CONTROL_IDLE_MS = 120000, /* then a silent client is sent away */
};

struct control;

/* Makes the socket (mode 0660), still under another name: a descriptor or a negative error, logged.
 * Before the sandbox, where nobody listens any more. */
int control_listen(const char *run_dir);

/* Gives the socket its name; clients wait until control_open(). The spool is ours, so whoever had
 * that name is gone. context is copied, but for may_change, which each client has of its own.
 * reload() asks the supervisor; the client waits until control_reload_result(). listener is the
 * control's from here on. Errors are logged. */
int control_start(struct control **out, struct loop *loop, int listener, const char *run_dir,
                  const struct control_context *context, void (*reload)(void));

/* Serves clients from now on: all of faxpost is up. */
int control_open(struct control *control);

/* The outcome of a reload, to all clients that wait for one. */
void control_reload_result(struct control *control, int error, const char *text);

/* Closes all connections and removes the socket. NULL is fine. */
void control_stop(struct control *control);

#endif
