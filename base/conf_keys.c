/* SPDX-License-Identifier: MIT */
/*
 * conf_keys.c - every setting there is: the tables of faxpost.ini, servers.ini, bypass.ini and
 * modems.ini.
 *
 * The parser, the check (faxpostd -t), the dump (-T) and the tables of the man pages come from
 * here. Keys may be added, never renamed: outside tools rely on them. In these tables a key is
 * written with '_'; a file may write '-' instead.
 */
#include "base/conf.h"

#include <stddef.h>

#define SECOND 1000LL
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define KB     1024LL
#define MB     (1024 * KB)
#define GB     (1024 * MB)

/* section, named, key, type, fallback, required, least, most, choices, text */
#define TEXT(section, named, key, fallback, text)                                                  \
    {                                                                                              \
        section, named, key, CONF_TEXT, fallback, false, 0, 0, NULL, text                          \
    }
#define NEEDED(section, named, key, type, text)                                                    \
    {                                                                                              \
        section, named, key, type, NULL, true, 0, 0, NULL, text                                    \
    }
#define NUMBER(section, named, key, fallback, least, most, text)                                   \
    {                                                                                              \
        section, named, key, CONF_NUMBER, fallback, false, least, most, NULL, text                 \
    }
#define TIME(section, named, key, fallback, least, most, text)                                     \
    {                                                                                              \
        section, named, key, CONF_DURATION, fallback, false, least, most, NULL, text               \
    }
#define SIZE(section, named, key, fallback, least, most, text)                                     \
    {                                                                                              \
        section, named, key, CONF_SIZE, fallback, false, least, most, NULL, text                   \
    }
#define BOOL(section, named, key, fallback, text)                                                  \
    {                                                                                              \
        section, named, key, CONF_BOOL, fallback, false, 0, 0, NULL, text                          \
    }
#define CHOICE(section, named, key, fallback, choices, text)                                       \
    {                                                                                              \
        section, named, key, CONF_CHOICE, fallback, false, 0, 0, choices, text                     \
    }
#define PATH(section, named, key, fallback, text)                                                  \
    {                                                                                              \
        section, named, key, CONF_PATH, fallback, false, 0, 0, NULL, text                          \
    }
#define PATTERN(section, named, key, fallback, text)                                               \
    {                                                                                              \
        section, named, key, CONF_PATTERN, fallback, false, 0, 0, NULL, text                       \
    }
#define OTHER(section, named, key, type, fallback, choices, text)                                  \
    {                                                                                              \
        section, named, key, type, fallback, false, 0, 0, choices, text                            \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, false, NULL, CONF_TEXT, NULL, false, 0, 0, NULL, NULL                                \
    }

/* clang-format off */
const struct conf_key conf_keys_faxpost[] = {
    PATH("gateway", false, "state_dir", "/var/lib/faxpost",
         "Folder of the spool, the database and the mailboxes."),
    PATH("gateway", false, "run_dir", "/run/faxpost",
         "Folder of the control socket."),
    PATH("gateway", false, "lock_dir", "/run/lock",
         "Folder of the lock files (LCK..NAME) that programs at the same modem look at."),
    TEXT("gateway", false, "user", NULL,
         "Account that the roles run as when faxpostd is started by root."),
    TEXT("gateway", false, "operator", "postmaster",
         "Mail address that gets reports, and every fax that no route matches."),
    TEXT("gateway", false, "hostname", NULL,
         "Name of this gateway in Message-ID and headers; the system's name by default."),
    TEXT("gateway", false, "alarm_command", NULL,
         "Program, by its whole path, with its words split by spaces, that gets reports on its standard "
         "input; no shell is involved."),
    CHOICE("gateway", false, "sandbox", "auto", "auto|required|off",
           "Limits on what each part may ask of the kernel (seccomp, Landlock): as many as this kernel "
           "has, required to be whole, or none."),
    CHOICE("gateway", false, "log_level", "info", "alert|error|warning|info|debug",
           "Lowest level that is logged; the roles take a change when they start."),

    CHOICE("line", true, "type", "sip", "sip|modem",
           "Kind of line: calls that come by SIP, or a fax modem at a serial port."),
    OTHER("line", true, "listen", CONF_ADDRESS, "0.0.0.0:5060", NULL,
          "Address and port on which SIP calls are taken."),
    OTHER("line", true, "transport", CONF_LIST, "udp,tcp", "udp|tcp",
          "Transports on which SIP is spoken."),
    TEXT("line", true, "media_address", NULL,
         "IP address told to the other side for media; the one that the route to it uses by default."),
    OTHER("line", true, "media_ports", CONF_RANGE, "20000-29999", NULL,
          "UDP ports for media."),
    CHOICE("line", true, "t38", "ask", "ask|accept|never",
           "T.38: ask for it in an audio call, only accept it, or refuse it."),
    PATH("line", true, "device", NULL,
         "Serial port of a modem; a path in /dev/serial/by-id stays the same when it is plugged in "
         "elsewhere; required with type = modem."),
    NUMBER("line", true, "speed", "115200", 300, 921600, "Bits a second between port and modem."),
    CHOICE("line", true, "flow", "rtscts", "rtscts|xonxoff|none",
           "Flow control between port and modem: by wires, by octets, or none."),
    TEXT("line", true, "init", NULL,
         "Commands for the modem, without AT, divided by '|', sent after its reset."),
    NUMBER("line", true, "rings", "1", 1, 20,
           "Rings until a modem takes a call; the caller's number mostly comes before the second, and "
           "with allow or deny it is waited for until then."),
    CHOICE("line", true, "class", "auto", "auto|1|1.0|2|2.0|2.1",
           "How to drive the modem (+FCLASS); auto: the best it has, where faxpost does T.30 itself."),
    TEXT("line", true, "caller_id", NULL,
         "Command that makes the modem tell who calls, without AT, or none; by its model by default."),
    TEXT("line", true, "called", NULL,
         "Number of this line, for routes; used when the modem does not tell the dialled one."),
    TEXT("line", true, "station", NULL,
         "Own fax identity (CSI) told to senders: at most 20 digits, '+' and spaces."),
    BOOL("line", true, "ecm", "yes", "Offer error correction (ECM)."),
    OTHER("line", true, "peers", CONF_NETWORKS, "0.0.0.0/0,::/0", NULL,
          "Networks from which calls are taken."),
    OTHER("line", true, "allow", CONF_LIST, NULL, NULL,
          "Callers whose calls alone are taken: networks, and patterns of calling numbers ('+1555*'; "
          "anonymous: who tells none), which can be forged; all by default. A modem knows no networks, "
          "and lets others ring."),
    OTHER("line", true, "deny", CONF_LIST, NULL, NULL,
          "Callers whose calls are refused, written alike; it comes before allow."),
    NUMBER("line", true, "max_calls", "0", 0, 100000,
           "Most calls at once on this line; 0: only [limits] sessions counts."),
    BOOL("line", true, "trace", "no", "Log every T.30 frame of the calls of this line, and all that is said to a modem."),

    PATTERN("route", true, "line", "*", "Name of the line the fax came in by; '*' stands for any text."),
    PATTERN("route", true, "called", "*", "Number that was dialled."),
    PATTERN("route", true, "caller", "*", "Calling number; it can be forged."),
    PATTERN("route", true, "station", "*", "Identity the sending machine gave (TSI); it can be forged."),
    PATTERN("route", true, "subaddress", "*", "Subaddress (SUB) the sender gave."),
    NEEDED("route", true, "to", CONF_LIST, "Mail addresses that get the fax."),
    CHOICE("route", true, "attach", "pdf", "pdf|tiff|both", "What the mail carries."),
    CHOICE("route", true, "profile", "F", "F|S", "Profile of the TIFF document (RFC 3949)."),
    CHOICE("route", true, "bypass", "table", "table|allow|deny",
           "Who may use servers other than the first: as bypass.ini says, or this decision for these faxes."),

    TEXT("mail", false, "from", "Fax from {caller} <faxpost@{hostname}>", "Template of the From header."),
    TEXT("mail", false, "subject", "Fax from {caller}, {pages_text}{partial_note}",
         "Template of the Subject header."),
    TEXT("mail", false, "file_name", "fax-{caller}-{date}-{time}",
         "Template of the attachment's name, without its ending."),
    TEXT("mail", false, "envelope_from", NULL,
         "Envelope sender, who gets late bounces; the operator by default."),
    TEXT("mail", false, "hello", NULL, "Name given in EHLO; the gateway's hostname by default."),
    BOOL("mail", false, "mailbox", "yes",
         "File every mail in STATE/mailbox too; no: only where no server is configured, and what could "
         "not be sent."),

    TIME("retry", false, "wait", "3min", 10, DAY, "Wait between rounds, and before the same server again."),
    NUMBER("retry", false, "limit", "10", 1, 1000, "Failed rounds until the operator is warned."),
    NUMBER("retry", false, "same_server_limit", "3", 1, 100,
           "Temporary errors at one server until it counts as a server error."),
    TIME("retry", false, "wait_max", "1h", 10, 7 * DAY, "Longest wait between rounds."),
    TIME("retry", false, "expire", "5d", SECOND, 60 * DAY, "Age at which a delivery fails for good."),
    CHOICE("retry", false, "uncertain", "same", "same|next",
           "After a lost reply to the whole message: only the same server, or also the next."),

    BOOL("report", false, "mail", "yes", "Mail reports to the operator; no: only the log and alarm_command tell."),
    TIME("report", false, "every", "10min", 0, DAY,
         "At most one report in this time; what comes meanwhile is gathered in the next."),

    TIME("timeouts", false, "connect", "30s", 100, 10 * MINUTE, "To connect, over all addresses of a server."),
    TIME("timeouts", false, "greeting", "5min", 100, HOUR, "For the server's greeting (RFC 5321 4.5.3.2)."),
    TIME("timeouts", false, "command", "5min", 100, HOUR, "For the reply to a command."),
    TIME("timeouts", false, "data", "3min", 100, HOUR, "For each block of the message."),
    TIME("timeouts", false, "final", "10min", 100, HOUR, "For the reply to the whole message."),

    NUMBER("limits", false, "sessions", "250", 1, 100000, "Most calls at once."),
    NUMBER("limits", false, "requests", "200", 0, 1000000,
           "Most SIP messages a second from one address (IPv6: from one /64), five times as many at once; "
           "others get no answer, and a TCP connection is closed. By UDP, addresses that never had a call share "
           "five times as much. 0: no limit."),
    NUMBER("limits", false, "sessions_per_source", "0", 0, 100000,
           "Most calls at once from one address (IPv6: from one /64); others get busy. 0: as many as "
           "sessions. Set it where strangers can call: one who calls without a pause takes all sessions "
           "else."),
    NUMBER("limits", false, "connections", "1000", 1, 50000,
           "Most TCP connections on SIP lines at once. When all are taken, those that brought no message "
           "are ended first, then the longest idle of those that never had a call."),
    NUMBER("limits", false, "connections_per_source", "250", 0, 50000,
           "Most TCP connections from one address (IPv6: from one /64). 0: only connections counts."),
    NUMBER("limits", false, "media_packets", "1000", 100, 100000,
           "Most packets of media a second that are taken from the other side of a call; fax needs 50, "
           "or 200 in short packets."),
    SIZE("limits", false, "media_bytes", "256kB", 16 * KB, 64 * MB,
         "Most octets of media a second that are taken from the other side of a call."),
    TIME("limits", false, "session_seconds", "1h", 10 * SECOND, DAY,
         "Longest call; a number without unit counts seconds."),
    NUMBER("limits", false, "pages", "500", 1, 9999, "Most pages of a fax."),
    NUMBER("limits", false, "rows", "30000", 1000, 500000, "Most rows of a page."),
    SIZE("limits", false, "page_bytes", "32MB", 64 * KB, 64 * MB, "Largest page as stored."),
    TIME("limits", false, "stall", "90s", SECOND, HOUR,
         "A call without progress for this long is ended; one that goes on, but in which no page "
         "grows, after four times as long."),
    SIZE("limits", false, "message_bytes", "50MB", 1024, GB, "Largest message that faxpost send takes."),
    NUMBER("limits", false, "workers", "8", 1, 256, "Workers that send mail."),
    NUMBER("limits", false, "queue", "256", 1, 100000, "Most deliveries held in memory; the others wait on disk."),
    TIME("limits", false, "drain", "10min", 0, DAY, "How long calls may go on when faxpostd is stopped."),
    NUMBER("limits", false, "media_threads", "2", 1, 64, "Threads that serve calls."),
    NUMBER("limits", false, "page_workers", "2", 1, 64, "Threads that end and store pages."),

    TIME("spool", false, "keep", "30d", 0, 36500 * DAY, "How long faxes are kept after they were delivered."),
    TIME("spool", false, "stale", "10min", SECOND, DAY,
         "Alarm when something lies in incoming/ for this long and nobody takes it over."),
    SIZE("spool", false, "min_free", "100MB", 0, 1024 * GB,
         "With less free space than this no call is taken."),
    END,
};

const struct conf_key conf_keys_servers[] = {
    {"server", true, "rank", CONF_NUMBER, NULL, true, 1, 10000, NULL,
     "Order in which servers are tried: 1 is the usual one, each rank once."},
    NEEDED("server", true, "host", CONF_TEXT, "Name or IP address of the server."),
    NUMBER("server", true, "port", "25", 1, 65535, "Its port."),
    CHOICE("server", true, "tls", "none", "none|starttls|implicit",
           "Encryption: none, required by STARTTLS, or from the first octet."),
    CHOICE("server", true, "auth", "none", "none|plain|login|cram-md5|xoauth2", "How to log in."),
    TEXT("server", true, "user", NULL, "Name to log in with."),
    PATH("server", true, "password_file", NULL, "File whose first line is the password."),
    PATH("server", true, "token_file", NULL,
         "File whose first line is the token for xoauth2; read anew for each mail."),
    TEXT("server", true, "token_command", NULL,
         "Program and arguments, divided by blanks, that prints the token for xoauth2; no shell."),
    NUMBER("server", true, "connections", "4", 1, 1000,
           "Most connections at once; a server that has not greeted yet gets one."),
    NUMBER("server", true, "authority", "0", 0, 1000000,
           "Least authority a sender needs to use this server for bypass."),
    PATH("server", true, "ca_file", NULL, "Certificates to trust instead of the system's."),
    TEXT("server", true, "fingerprint", NULL, "SHA-256 of the server's certificate, to trust it alone."),
    END,
};

const struct conf_key conf_keys_bypass[] = {
    CHOICE("bypass", false, "combine", "any", "any|all",
           "any: one 'allow' is enough; all: at least one 'allow' and no 'deny'."),
    CHOICE("bypass", false, "default", "deny", "deny|allow", "When no row has an opinion."),
    OTHER("sender", false, NULL, CONF_TEXT, NULL, NULL,
          "PATTERN = allow or deny, for a line, calling number, station or envelope sender; 'allow 2' "
          "gives an authority."),
    OTHER("destination", false, NULL, CONF_CHOICE, NULL, "deny|allow",
          "PATTERN = allow or deny, for a recipient's address."),
    END,
};

const struct conf_key conf_keys_modems[] = {
    TEXT("model", true, "text", NULL, "What people call it."),
    OTHER("model", true, "usb", CONF_LIST, NULL, NULL,
          "USB ids by which it is known, as 0572:1329."),
    OTHER("model", true, "match", CONF_LIST, NULL, NULL,
          "Patterns of what it says of itself: '*' stands for any text; I0:, I3:, +FMI: or the like "
          "before one asks for the answer to that command alone."),
    TEXT("model", true, "init", NULL, "Commands to set it up, without AT, divided by '|'."),
    TEXT("model", true, "flow_rtscts", NULL,
         "Command for flow control by wires; the usual ones are tried by default."),
    TEXT("model", true, "flow_xonxoff", NULL, "The same by octets (XON, XOFF)."),
    TEXT("model", true, "flow_none", NULL, "The same for none."),
    TEXT("model", true, "caller_id", NULL,
         "Command that makes it tell who calls, or none; the usual ones are tried by default."),
    TEXT("model", true, "reset", "Z", "Command to reset it."),
    TIME("model", true, "reset_wait", "3s", 0, 30 * SECOND, "Wait after its answer to the reset."),
    TIME("model", true, "command_pause", "50ms", 0, 2 * SECOND, "Wait between commands of the set-up."),
    TIME("model", true, "hang_up_wait", "0", 0, MINUTE,
         "Wait after a call until it takes commands again."),
    NUMBER("model", true, "speed", "0", 0, 921600, "Speed of the port that it needs; 0: any."),
    BOOL("model", true, "dtr", "yes", "It hangs up when DTR goes off."),
    CHOICE("model", true, "frs", "ask", "ask|yes|no",
           "+FRS may be used; no: a pause does it; ask: the modem says whether it has it."),
    CHOICE("model", true, "fts", "ask", "ask|yes|no", "The same for +FTS."),
    CHOICE("model", true, "far", "ask", "ask|yes|no",
           "+FAR=1 may be used; ask: in class 1.0, when the modem takes it."),
    TIME("model", true, "pause", "80ms", 0, SECOND, "Pause where +FRS or +FTS is not used."),
    NUMBER("model", true, "connect_tries", "30", 0, 100,
           "How often +FRH=3 is repeated after a false CONNECT or NO CARRIER."),
    NUMBER("model", true, "frm_tries", "2", 0, 10, "How often +FRM is repeated after an early +FCERROR."),
    OTHER("model", true, "classes", CONF_LIST, "1.0,1,2.0,2.1,2", "1|1.0|2|2.0|2.1",
          "Classes to be used, the best first."),
    CHOICE("model", true, "bit_order", "auto", "auto|normal|reversed",
           "Order of the bits of images in classes 2 to 2.1; auto: seen by the image."),
    CHOICE("model", true, "page_start", "dc2", "dc2|dc1",
           "Octet that starts a page in classes 2 to 2.1."),
    TEXT("model", true, "note", NULL, "What people should know of it."),
    END,
};
/* clang-format on */
