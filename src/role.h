/* SPDX-License-Identifier: MIT */
/*
 * role.h - what supervisor and roles say to each other, and the frame in which a role runs.
 *
 * The channel is a SOCK_SEQPACKET socket pair, descriptor 3 in the role. One datagram is one
 * message. The supervisor trusts nothing that a role says beyond its form: it takes no descriptors
 * from roles, and bounds and escapes their words.
 */
#ifndef FAXPOST_SRC_ROLE_H
#define FAXPOST_SRC_ROLE_H

#include <stdint.h>

#include "src/loop.h"
#include "src/settings.h"

enum { ROLE_CHANNEL_FD = 3, ROLE_TEXT_MAX = 4096 };

enum role_message_type {
    /* to a role */
    ROLE_SETTINGS,       /* number: which of enum settings_file came (bits); a memfd for each */
    ROLE_COMPOSE_SOCKET, /* one descriptor: the socket between deliver and compose */
    ROLE_PING,
    ROLE_RUNNING,       /* all roles are up */
    ROLE_DRAIN,         /* take nothing new */
    ROLE_STOP,          /* end in order */
    ROLE_RELOAD_RESULT, /* number: 0 or an error; text: problems, a line each */
    ROLE_NOTES_OF,      /* number: enum role; text: its notes, for deliver to show */
    ROLE_PORT,          /* a modem's port; text: line TAB usb id TAB why; a descriptor, or none */
    /* from a role */
    ROLE_READY,  /* text: the state of its sandbox */
    ROLE_FAILED, /* text: why it cannot start; it ends */
    ROLE_PONG,
    ROLE_CALLS,         /* number: live calls */
    ROLE_APPLIED,       /* new settings are in force */
    ROLE_REFUSED,       /* text: why they are not */
    ROLE_RELOAD,        /* the operator asks for a reload */
    ROLE_COMPOSE_STUCK, /* compose does not answer: give deliver a new one */
    ROLE_NOTES,         /* text: what `faxpost status` shows of the role, a line each:
                           KIND TAB NAME TAB STATE TAB words. All of it, each time it changes. */
    ROLE_PORT_WANTED,   /* text: name of a modem line */
    ROLE_PORT_CLOSED,   /* the same */
    ROLE_MESSAGE_TYPES,
};

struct role_message {
    enum role_message_type type;
    int64_t number;
    char text[ROLE_TEXT_MAX];
    int fd[SETTINGS_FILES]; /* the receiver's to close */
    int fd_count;
};

/* Sends without waiting; text may be NULL and is cut; descriptors stay the caller's. ERROR_FULL
 * when the other side does not read, ERROR_CLOSED when it is gone. Any thread. */
int role_send(int channel, enum role_message_type type, int64_t number, const char *text,
              const int *fds, int fd_count);

/* Takes a message without waiting. ERROR_TIMEOUT: none there; ERROR_CLOSED; ERROR_FORMAT: no
 * message of this protocol, its descriptors were closed. */
int role_receive(int channel, struct role_message *out);

/* The part of the settings that a role may know, to its channel. */
int role_send_settings(int channel, enum role role, const struct settings *settings);

/* Reads such a message; closes its descriptors. */
int role_take_settings(struct settings **out, struct role_message *message);

/* ---- within a role ----------------------------------------------------------------------------
 */

/* All on the role's main thread. Pointers that a role does not need are NULL. */
struct role_actions {
    /* Before the role is in its sandbox: what it may not do later. As start(). */
    int (*prepare)(const struct settings *settings);
    /* 0 or a negative error, which was logged; then the role ends. */
    int (*start)(struct loop *loop, const struct settings *settings);
    /* New settings: 0, or a negative error, then the old ones are in force. The old ones are freed
     * after it returned 0. */
    int (*reload)(const struct settings *settings);
    void (*compose_socket)(int fd); /* fd is the action's */
    void (*reload_result)(int error, const char *text);
    void (*notes)(enum role role, const char *text); /* of any role; "" when it is down */
    void (*port)(int fd, const char *text);          /* ROLE_PORT; fd is the action's, -1: none */
    void (*running)(void);
    void (*drain)(void);
    void (*stop)(void); /* also after a failed start */
};

extern const struct role_actions role_receive_actions;
extern const struct role_actions role_compose_actions;
extern const struct role_actions role_deliver_actions;

/* The main function of a role: gives the exit code. */
int role_main(enum role role);

/* Says something to the supervisor, from any thread of the role. */
void role_tell(enum role_message_type type, int64_t number, const char *text);

#endif
