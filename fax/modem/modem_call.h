/* SPDX-License-Identifier: MIT */
/*
 * modem_call.h - a call that came over a modem: its session drives the modem by octets.
 *
 * What workers say goes to the thread of the modem's line as a struct modem_message.
 */
#ifndef FAXPOST_FAX_MODEM_CALL_H
#define FAXPOST_FAX_MODEM_CALL_H

#include "fax/call.h"
#include "fax/mailbox.h"
#include "fax/modem/modem_ring.h"
#include "fax/modem/serial.h"
#include "fax/t30/modem_traits.h"

enum { MODEM_OUT_MAX = 4096 };

struct modem_call {
    struct call call;        /* first: its driver comes back from there */
    struct mailbox *mailbox; /* of the line; it outlives its calls */
    struct modem_traits traits;

    /* The owner's: what the session has said to the modem; written to the port by the line. */
    uint8_t out[MODEM_OUT_MAX];
    size_t out_length;
};

enum modem_message_kind {
    /* of a call */
    MODEM_OPENED,
    MODEM_WORKED,
    MODEM_STORED,
    MODEM_INFO_WRITTEN,
    /* of the line */
    MODEM_PORT,
    MODEM_SETTINGS,
    MODEM_DRAIN,
    MODEM_HANG_UP,
    MODEM_STOP,
};

struct modem_message {
    enum modem_message_kind kind;
    struct call *call;
    uint32_t generation;            /* STORED */
    int number, error;              /* STORED; number of stores: WORKED; error: OPENED, PORT */
    bool unconfirmed;               /* STORED */
    void *settings;                 /* SETTINGS: the line's own kind, owned */
    int fd;                         /* PORT: the taker's */
    char usb_id[SERIAL_USB_ID_MAX]; /* PORT: "" when it is none */
    char why[SERIAL_WHY_MAX];       /* PORT: what is wrong, or odd, with it */
};

/* Posts to a line; a box that is full is a bug that must not go unseen. False: it is not in. */
bool modem_message_post(struct mailbox *mailbox, const struct modem_message *message);

/* A call with one reference, the chain's. ERROR_MEMORY. */
int modem_call_new(struct modem_call **out, struct mailbox *mailbox, struct call_shared *shared,
                   const struct call_limits *limits, const struct call_line *line,
                   const struct modem_traits *traits);

/* Who calls, as far as the modem has said; called: the line's own number, when it does not say. */
void modem_call_describe(struct modem_call *call, const struct modem_ring *ring,
                         const char *called);

#endif
