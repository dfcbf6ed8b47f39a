/* SPDX-License-Identifier: MIT */
/*
 * receive_settings.h - what the telephone side takes from faxpost.ini, read once into plain fields.
 *
 * A set never changes after it was read; a reload makes a new one.
 */
#ifndef FAXPOST_FAX_RECEIVE_SETTINGS_H
#define FAXPOST_FAX_RECEIVE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "fax/callers.h"
#include "fax/modem/modem_models.h"
#include "fax/modem/serial.h"
#include "fax/net.h"
#include "spool/call_info.h"

/* Of each call, whatever line it comes over. */
struct call_limits {
    int pages_max, rows_max;
    int64_t session_ms_max, stall_ms_max, free_bytes_min;
};

enum t38_policy { T38_ASK, T38_ACCEPT, T38_NEVER };

struct line_settings {
    char name[CALL_NAME_MAX];
    struct net_address listen;
    bool udp, tcp;
    bool has_media_address;
    struct net_address media_address;
    unsigned port_least, port_most; /* of media */
    enum t38_policy t38;
    char station[CALL_IDENT_MAX];
    bool ecm, trace;
    struct net_list peers;          /* owned */
    struct caller_list allow, deny; /* owned */
    int calls_max;                  /* 0: no limit of its own */
};

enum { MODEM_LINES_MAX = 128, MODEM_INIT_MAX = 512 };

/* A [line] of type modem. */
struct modem_line_settings {
    char name[CALL_NAME_MAX];
    char station[CALL_IDENT_MAX];
    char called[CALL_NUMBER_MAX]; /* the line's own number */
    char device[SERIAL_PATH_MAX];
    char init[MODEM_INIT_MAX];         /* "": none */
    char caller_id[MODEM_COMMAND_MAX]; /* "": the model's */
    struct serial_settings port;
    enum modem_class class;
    int rings; /* answer at the n-th */
    bool ecm, trace;
    struct caller_list allow, deny; /* owned; numbers only */
};

struct receive_settings {
    char *state_dir; /* owned */
    int sessions_max;
    int requests_max;           /* a second, of one source; 0: no limit */
    int sessions_per_source;    /* 0: no limit of its own */
    int connections_max;        /* of TCP, on all SIP lines */
    int connections_per_source; /* 0: no limit of its own */
    int media_packets_max;      /* a second, of a call */
    int64_t media_octets_max;   /* the same */
    struct call_limits limits;
    int media_threads, page_workers;
    struct line_settings *lines; /* owned; type = sip only */
    size_t line_count;
    struct modem_line_settings *modems; /* owned; type = modem only */
    size_t modem_count;
};

/* ERROR_CONFIG (logged with file and line), ERROR_MEMORY. */
int receive_settings_read(struct receive_settings **out, const struct conf *conf);
void receive_settings_free(struct receive_settings *settings);

/* "20000-29999". ERROR_FORMAT. */
int receive_ports_parse(unsigned *out_least, unsigned *out_most, const char *text);

/* A copy that is the caller's, and its release (what it owns, not the struct). */
int line_settings_copy(struct line_settings *out, const struct line_settings *from);
void line_settings_clear(struct line_settings *line);
int modem_line_settings_copy(struct modem_line_settings *out,
                             const struct modem_line_settings *from);
void modem_line_settings_clear(struct modem_line_settings *line);

#endif
