/* SPDX-License-Identifier: MIT */
/*
 * test_submit_curl.c - libcurl with TLS from the first octet, and XOAUTH2, against a server that
 * fails on demand. All rows run at the same time, each with a server and a client of its own.
 */
#include "smtp/submit.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "smtp/connect.h"
#include "smtp/login.h"
#include "test/unit/smtp_script.h"

/* A handshake counts as a command, and all rows shake hands at the same time. */
enum { SHORT_MS = 400, COMMAND_MS = 5000, BIG_BYTES = 3000000 };

static char folder[100];
static struct deadline_thread *deadlines;
static struct resolver *resolver;
static char *small_message, *big_message;
static size_t small_length, big_length;

#define OPEN  "TLS good", "S:220 fake ESMTP", "C:EHLO gw.example.com"
#define HELLO OPEN, "S:250-fake", "S:250-ENHANCEDSTATUSCODES", "S:250 SIZE 1000000"
#define MAIL  "C:MAIL FROM:<op@example.com>", "S:250 2.1.0 ok"
#define RCPT  "C:RCPT TO:<a@example.com>", "S:250 2.1.5 ok"
#define DATA_ "C:DATA", "S:354 go", "DATA"
#define BYE   "C:QUIT", "S:221 bye", "CLOSE"
#define OAUTH OPEN, "S:250-fake", "S:250 AUTH LOGIN XOAUTH2"
#define START "S:220 fake", "C:EHLO", "S:250-fake", "S:250 STARTTLS", "C:STARTTLS", "S:220 go"
/* "user=user^Aauth=Bearer first-token^A^A" */
#define FIRST  "C:AUTH XOAUTH2 dXNlcj11c2VyAWF1dGg9QmVhcmVyIGZpcnN0LXRva2VuAQE="
#define SECOND "C:AUTH XOAUTH2 dXNlcj11c2VyAWF1dGg9QmVhcmVyIHNlY29uZC10b2tlbgEB"

struct row {
    const char *name;
    const char *script[40];
    enum failure_stage stage;
    enum failure_event event;
    int code;
    const char *text; /* within the failure's text */
    enum failure_class class;
    enum server_auth auth;
    const char *trust; /* "": the test authority; "none": the system's; else a fingerprint's file */
    bool big, two;     /* message, recipients */
    bool received;     /* the server got the whole message, octet for octet */
    bool starttls;
    bool any_event; /* versions of libcurl differ; the class does not */
    const char *host;
    const char *token; /* file in the folder, or a command behind a '!' */
};

#define OK_  STAGE_FINAL, EVENT_NONE
#define GOOD .class = FAILURE_NONE, .received = true

/* clang-format off */
static const struct row rows[] = {
    {"plain", {HELLO, MAIL, RCPT, DATA_, "S:250 2.0.0 queued as 7F3A", BYE, NULL},
     OK_, 250, "250 2.0.0 queued as 7F3A", GOOD},
    {"big", {OPEN, "S:250 fake", MAIL, RCPT, DATA_, "S:250 ok", BYE, NULL},
     OK_, 250, "250 ok", GOOD, .big = true},
    {"by name", {HELLO, MAIL, RCPT, DATA_, "S:250 ok", BYE, NULL}, OK_, 250, "250 ok", GOOD,
     .host = "localhost"},
    {"the SIZE is told", {HELLO, "C:MAIL FROM:<op@example.com> SIZE=", "S:250 ok", RCPT, DATA_,
     "S:250 ok", BYE, NULL}, OK_, 250, "250 ok", GOOD},
    {"two recipients", {HELLO, MAIL, RCPT, "C:RCPT TO:<b@example.com>", "S:250 b", DATA_,
     "S:250 ok", BYE, NULL}, OK_, 250, "250 ok", GOOD, .two = true},
    {"CHUNKING and PIPELINING are not used", {OPEN, "S:250-fake", "S:250-CHUNKING",
     "S:250 PIPELINING", MAIL, RCPT, DATA_, "S:250 ok", BYE, NULL}, OK_, 250, "250 ok", GOOD},
    {"HELO where EHLO is not known", {OPEN, "S:502 what", "C:HELO gw.example.com", "S:250 fake",
     MAIL, RCPT, DATA_, "S:250 ok", BYE, NULL}, OK_, 250, "250 ok", GOOD},
    {"a reply of two lines", {HELLO, MAIL, RCPT, DATA_, "S:250-2.0.0 one", "S:250 2.0.0 two", BYE,
     NULL}, OK_, 250, "250-2.0.0 one / 2.0.0 two", GOOD},
    {"gone without QUIT", {HELLO, MAIL, RCPT, DATA_, "S:250 ok", "CLOSE", NULL},
     OK_, 250, "250 ok", GOOD},
    {"421 after it was taken", {HELLO, MAIL, RCPT, DATA_, "R:250 ok\r\n421 bye\r\n", "HANG", NULL},
     OK_, 250, "250 ok", GOOD},
    {"QUIT is not answered", {HELLO, MAIL, RCPT, DATA_, "S:250 ok", "C:QUIT", "HANG", NULL},
     OK_, 250, "250 ok", GOOD},

    {"greeting 421", {"TLS good", "S:421 4.3.2 busy", "HANG", NULL},
     STAGE_GREETING, EVENT_REPLY, 421, "421 4.3.2 busy", .class = FAILURE_SERVER},
    {"greeting 554", {"TLS good", "S:554 no service", "HANG", NULL},
     STAGE_GREETING, EVENT_REPLY, 554, "554 no service", .class = FAILURE_SERVER},
    {"silent after the handshake", {"TLS good", "HANG", NULL}, STAGE_GREETING, EVENT_TIMEOUT, 0, "",
     .class = FAILURE_TEMPORARY},
    {"closed after the handshake", {"TLS good", "CLOSE", NULL}, STAGE_GREETING, EVENT_LOST, 0, "",
     .class = FAILURE_TEMPORARY},
    {"no SMTP", {"TLS good", "S:SSH-2.0-x", "HANG", NULL}, STAGE_GREETING, EVENT_LOST, 0,
     "without a code", .class = FAILURE_TEMPORARY},
    {"an octet at a time", {"TLS good", "TRICKLE 220 this is a very slow server that will not end",
     "HANG", NULL}, STAGE_GREETING, EVENT_TIMEOUT, 0, "", .class = FAILURE_TEMPORARY},
    {"EHLO refused", {OPEN, "S:550 5.7.1 go away", "HANG", NULL},
     STAGE_EHLO, EVENT_REPLY, 550, "550 5.7.1 go away", .class = FAILURE_SERVER},
    {"EHLO and HELO refused", {OPEN, "S:504 a", "C:HELO", "S:504 b", "HANG", NULL},
     STAGE_EHLO, EVENT_REPLY, 504, "504 b", .class = FAILURE_SERVER},
    {"EHLO 451", {OPEN, "S:451 later", "HANG", NULL},
     STAGE_EHLO, EVENT_REPLY, 451, "451 later", .class = FAILURE_SERVER},
    {"EHLO unanswered", {OPEN, "HANG", NULL}, STAGE_EHLO, EVENT_TIMEOUT, 0, "",
     .class = FAILURE_TEMPORARY},
    {"EHLO half answered", {OPEN, "R:250-fa", "HANG", NULL}, STAGE_EHLO, EVENT_TIMEOUT, 0, "",
     .class = FAILURE_TEMPORARY},
    {"a megabyte", {OPEN, "MEGA", "HANG", NULL}, STAGE_EHLO, EVENT_TIMEOUT, 0, "",
     .class = FAILURE_TEMPORARY, .any_event = true},
    {"lines for ever", {OPEN, "LINES", "HANG", NULL}, STAGE_EHLO, EVENT_LOST, 0,
     "reply without end", .class = FAILURE_TEMPORARY},
    {"two codes", {OPEN, "S:250-x", "S:220 y", "HANG", NULL}, STAGE_EHLO, EVENT_LOST, 0,
     "two codes", .class = FAILURE_TEMPORARY},
    {"too large for it", {OPEN, "S:250-fake", "S:250 SIZE 100", "HANG", NULL},
     STAGE_MAIL, EVENT_TOO_LARGE, 0, "takes 100 octets", .class = FAILURE_TOO_LARGE},
    {"452 on MAIL", {HELLO, "C:MAIL", "S:452 4.3.1 insufficient storage", "HANG", NULL},
     STAGE_MAIL, EVENT_REPLY, 452, "452 4.3.1 insufficient storage", .class = FAILURE_SERVER},
    {"421 on MAIL", {HELLO, "C:MAIL", "S:421 4.3.2 shutting down", "CLOSE", NULL},
     STAGE_MAIL, EVENT_REPLY, 421, "421", .class = FAILURE_SERVER},
    {"552 on MAIL", {HELLO, "C:MAIL", "S:552 5.3.4 too big", "HANG", NULL},
     STAGE_MAIL, EVENT_REPLY, 552, "552", .class = FAILURE_TOO_LARGE},
    {"530 on MAIL", {HELLO, "C:MAIL", "S:530 5.7.0 login", "HANG", NULL},
     STAGE_MAIL, EVENT_REPLY, 530, "530", .class = FAILURE_SERVER},
    {"closed at MAIL", {HELLO, "C:MAIL", "CLOSE", NULL},
     STAGE_MAIL, EVENT_LOST, 0, "", .class = FAILURE_TEMPORARY},
    {"control characters", {HELLO, "C:MAIL", "S:550 5.0.0 a\033[2J\007b\177\302\205c", "HANG",
     NULL}, STAGE_MAIL, EVENT_REPLY, 550, "550 5.0.0 a?[2J?b???c", .class = FAILURE_SERVER},
    {"550 on RCPT", {HELLO, MAIL, "C:RCPT", "S:550 5.1.1 no such user", "HANG", NULL},
     STAGE_RCPT, EVENT_REPLY, 550, "550 5.1.1 no such user", .class = FAILURE_DESTINATION},
    {"450 on all RCPT", {HELLO, MAIL, "C:RCPT", "S:450 4.2.0 grey", "C:RCPT", "S:450 4.2.0 grey",
     "HANG", NULL}, STAGE_RCPT, EVENT_REPLY, 450, "450 4.2.0 grey", .class = FAILURE_TEMPORARY,
     .two = true},
    {"one of two refused", {HELLO, MAIL, "C:RCPT TO:<a", "S:550 5.1.1 no", "C:RCPT TO:<b",
     "S:250 ok", DATA_, "S:250 2.0.0 ok", BYE, NULL},
     STAGE_RCPT, EVENT_REPLY, 550, "550 5.1.1 no", .class = FAILURE_DESTINATION, .two = true,
     .received = true},
    {"too many recipients", {HELLO, MAIL, "C:RCPT", "S:452 4.5.3 too many", "HANG", NULL},
     STAGE_RCPT, EVENT_REPLY, 452, "452 4.5.3", .class = FAILURE_MORE},
    {"relaying denied", {HELLO, MAIL, "C:RCPT", "S:554 5.7.1 Relay access denied", "HANG", NULL},
     STAGE_RCPT, EVENT_REPLY, 554, "Relay", .class = FAILURE_SERVER},
    {"DATA refused", {HELLO, MAIL, RCPT, "C:DATA", "S:451 not now", "HANG", NULL},
     STAGE_DATA, EVENT_REPLY, 451, "451 not now", .class = FAILURE_TEMPORARY},
    {"DATA unanswered", {HELLO, MAIL, RCPT, "C:DATA", "HANG", NULL},
     STAGE_DATA, EVENT_TIMEOUT, 0, "", .class = FAILURE_TEMPORARY},
    {"taken before it was sent", {OPEN, "S:250 x", MAIL, RCPT, "C:DATA", "S:354 go", "SOME 50000",
     "S:250 ok", "HANG", NULL}, STAGE_CONTENT, EVENT_LOST, 0, "before the message",
     .class = FAILURE_TEMPORARY, .big = true},
    {"taken together with the 354", {OPEN, "S:250 x", MAIL, RCPT, "C:DATA",
     "R:354 go\r\n250 ok\r\n", "DATA", "HANG", NULL}, STAGE_FINAL, EVENT_LOST, 0,
     "before the message", .class = FAILURE_UNCERTAIN},
    {"closed in the middle", {OPEN, "S:250 x", MAIL, RCPT, "C:DATA", "S:354 go", "SOME 50000",
     "CLOSE", NULL}, STAGE_CONTENT, EVENT_LOST, 0, "", .class = FAILURE_TEMPORARY, .big = true},
    {"reset in the middle", {OPEN, "S:250 x", MAIL, RCPT, "C:DATA", "S:354 go", "SOME 50000",
     "RESET", NULL}, STAGE_CONTENT, EVENT_LOST, 0, "", .class = FAILURE_TEMPORARY, .big = true},
    {"stalled in the middle", {OPEN, "S:250 x", MAIL, RCPT, "C:DATA", "S:354 go", "SOME 50000",
     "SLEEP 4000", "STALL", NULL}, STAGE_CONTENT, EVENT_TIMEOUT, 0, "", .class = FAILURE_TEMPORARY, .big = true},
    {"a pause, then on", {OPEN, "S:250 x", MAIL, RCPT, "C:DATA", "S:354 go", "SLEEP 250", "DATA",
     "S:250 ok", BYE, NULL}, OK_, 250, "250 ok", GOOD, .big = true},
    {"452 after the dot", {HELLO, MAIL, RCPT, DATA_, "S:452 4.3.1 full", "HANG", NULL},
     STAGE_FINAL, EVENT_REPLY, 452, "452 4.3.1 full", .class = FAILURE_SERVER},
    {"554 after the dot", {HELLO, MAIL, RCPT, DATA_, "S:554 5.7.1 spam", "HANG", NULL},
     STAGE_FINAL, EVENT_REPLY, 554, "554 5.7.1 spam", .class = FAILURE_REFUSED},
    {"421 after the dot", {HELLO, MAIL, RCPT, DATA_, "S:421 4.3.0 bye", "CLOSE", NULL},
     STAGE_FINAL, EVENT_REPLY, 421, "421", .class = FAILURE_SERVER},
    {"dropped after the dot", {HELLO, MAIL, RCPT, DATA_, "CLOSE", NULL},
     STAGE_FINAL, EVENT_LOST, 0, "", .class = FAILURE_UNCERTAIN, .received = true},
    {"reset after the dot", {HELLO, MAIL, RCPT, DATA_, "RESET", NULL},
     STAGE_FINAL, EVENT_LOST, 0, "", .class = FAILURE_UNCERTAIN, .received = true},
    {"silent after the dot", {HELLO, MAIL, RCPT, DATA_, "HANG", NULL},
     STAGE_FINAL, EVENT_TIMEOUT, 0, "", .class = FAILURE_UNCERTAIN, .received = true},
    {"garbage after the dot", {HELLO, MAIL, RCPT, DATA_, "S:okay", "HANG", NULL},
     STAGE_FINAL, EVENT_LOST, 0, "", .class = FAILURE_UNCERTAIN, .received = true},
    {"250 with nothing behind", {HELLO, MAIL, RCPT, DATA_, "S:250", "HANG", NULL},
     OK_, 250, "250", GOOD},

    {"a fingerprint", {"TLS self", "S:220 x", "C:EHLO", "S:250 x", MAIL, RCPT, DATA_, "S:250 ok",
     BYE, NULL}, OK_, 250, "250 ok", GOOD, .trust = "self"},
    {"a fingerprint under another name", {"TLS wrong", "S:220 x", "C:EHLO", "S:250 x", MAIL, RCPT,
     DATA_, "S:250 ok", BYE, NULL}, OK_, 250, "250 ok", GOOD, .trust = "wrong"},
    {"another fingerprint", {"TLS good", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0,
     "fingerprint", .class = FAILURE_SERVER, .trust = "self"},
    {"no TLS at all", {"S:220 fake ESMTP", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0,
     "TLS handshake failed", .class = FAILURE_SERVER},
    {"no handshake", {"HANG", NULL}, STAGE_STARTTLS, EVENT_TIMEOUT, 0, "", .class = FAILURE_SERVER},
    {"closed at once", {"CLOSE", NULL}, STAGE_STARTTLS, EVENT_TLS, 0, "", .class = FAILURE_SERVER},
    {"wrong name", {"TLS wrong", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0,
     "certificate: ", .class = FAILURE_SERVER, .host = "localhost"},
    {"wrong address", {"TLS wrong", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0,
     "certificate: IP address mismatch", .class = FAILURE_SERVER},
    {"self-signed", {"TLS self", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0,
     "certificate: self-signed", .class = FAILURE_SERVER},
    {"expired", {"TLS expired", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0,
     "certificate: certificate has expired", .class = FAILURE_SERVER},
    {"unknown authority", {"TLS good", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0,
     "certificate: unable to get local issuer", .class = FAILURE_SERVER, .trust = "none"},

    {"AUTH PLAIN", {OPEN, "S:250-fake", "S:250 AUTH CRAM-MD5 PLAIN LOGIN",
     "C:AUTH PLAIN AHVzZXIAcDRzcyB3b3Jk", "S:235 2.7.0 in", MAIL, RCPT, DATA_, "S:250 ok", BYE,
     NULL}, OK_, 250, "250 ok", GOOD, .auth = SERVER_AUTH_PLAIN},
    {"AUTH LOGIN", {OPEN, "S:250-fake", "S:250 AUTH PLAIN LOGIN", "C:AUTH LOGIN dXNlcg==",
     "S:334 UGFzc3dvcmQ6", "C:cDRzcyB3b3Jk", "S:235 2.7.0 in", MAIL, RCPT, DATA_, "S:250 ok", BYE,
     NULL}, OK_, 250, "250 ok", GOOD, .auth = SERVER_AUTH_LOGIN},
    {"AUTH 535", {OPEN, "S:250-fake", "S:250 AUTH PLAIN", "C:AUTH PLAIN", "S:535 5.7.8 bad",
     "HANG", NULL}, STAGE_AUTH, EVENT_REPLY, 535, "535 5.7.8 bad", .class = FAILURE_SERVER,
     .auth = SERVER_AUTH_PLAIN},
    {"AUTH not offered", {HELLO, "HANG", NULL}, STAGE_AUTH, EVENT_NOT_OFFERED, 0,
     "does not offer AUTH PLAIN", .class = FAILURE_SERVER, .auth = SERVER_AUTH_PLAIN},
    {"AUTH but only HELO", {OPEN, "S:502 x", "HANG", NULL}, STAGE_EHLO, EVENT_REPLY, 502, "502 x",
     .class = FAILURE_SERVER, .auth = SERVER_AUTH_PLAIN},
    {"another AUTH offered", {OPEN, "S:250-fake", "S:250 AUTH LOGIN ../../tmp/x PLAINER", "HANG",
     NULL}, STAGE_AUTH, EVENT_NOT_OFFERED, 0, "does not offer AUTH PLAIN", .class = FAILURE_SERVER,
     .auth = SERVER_AUTH_PLAIN},

    {"XOAUTH2", {OAUTH, FIRST, "S:235 2.7.0 in", MAIL, RCPT, DATA_, "S:250 ok", BYE, NULL},
     OK_, 250, "250 ok", GOOD, .auth = SERVER_AUTH_XOAUTH2, .token = "token"},
    {"XOAUTH2 by command", {OAUTH, SECOND, "S:235 2.7.0 in", MAIL, RCPT, DATA_, "S:250 ok", BYE,
     NULL}, OK_, 250, "250 ok", GOOD, .auth = SERVER_AUTH_XOAUTH2, .token = "!/bin/echo second-token"},
    {"XOAUTH2 with a long token", {OAUTH, "C:AUTH XOAUTH2", "S:334 ", "C:dXNlcj11c2VyAWF1dGg9",
     "S:235 2.7.0 in", MAIL, RCPT, DATA_, "S:250 ok", BYE, NULL},
     OK_, 250, "250 ok", GOOD, .auth = SERVER_AUTH_XOAUTH2, .token = "long"},
    {"XOAUTH2 after STARTTLS", {START, "TLS good", "C:EHLO", "S:250 AUTH=XOAUTH2",
     "HANG", NULL}, STAGE_AUTH, EVENT_NOT_OFFERED, 0, "does not offer AUTH XOAUTH2",
     .class = FAILURE_SERVER, .auth = SERVER_AUTH_XOAUTH2, .token = "token", .starttls = true},
    {"XOAUTH2 and STARTTLS", {START, "TLS good", "C:EHLO", "S:250-x", "S:250 AUTH XOAUTH2",
     FIRST, "S:235 in", MAIL, RCPT, DATA_, "S:250 ok", BYE, NULL}, OK_, 250, "250 ok", GOOD,
     .auth = SERVER_AUTH_XOAUTH2, .token = "token", .starttls = true, .host = "localhost"},
    {"STARTTLS not offered", {"S:220 x", "C:EHLO", "S:250-x", "S:250 AUTH XOAUTH2", "HANG", NULL},
     STAGE_STARTTLS, EVENT_NOT_OFFERED, 0, "does not offer STARTTLS", .class = FAILURE_SERVER,
     .auth = SERVER_AUTH_XOAUTH2, .token = "token", .starttls = true},
    {"STARTTLS 454", {"S:220 x", "C:EHLO", "S:250-x", "S:250 STARTTLS", "C:STARTTLS",
     "S:454 4.7.0 no", "HANG", NULL}, STAGE_STARTTLS, EVENT_REPLY, 454, "454",
     .class = FAILURE_SERVER, .auth = SERVER_AUTH_XOAUTH2, .token = "token", .starttls = true},
    {"STARTTLS but only HELO", {"S:220 x", "C:EHLO", "S:502 x", "HANG", NULL},
     STAGE_EHLO, EVENT_REPLY, 502, "", .class = FAILURE_SERVER, .auth = SERVER_AUTH_XOAUTH2,
     .token = "token", .starttls = true},
    {"replies put in before TLS", {"S:220 x", "C:EHLO", "S:250-x", "S:250 STARTTLS", "C:STARTTLS",
     "R:220 go\r\n250 x\r\n250 x\r\n", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0, "",
     .class = FAILURE_SERVER, .auth = SERVER_AUTH_XOAUTH2, .token = "token", .starttls = true},
    {"wrong name after STARTTLS", {START, "TLS wrong", "HANG", NULL}, STAGE_STARTTLS, EVENT_TLS, 0,
     "certificate: ", .class = FAILURE_SERVER, .auth = SERVER_AUTH_XOAUTH2, .token = "token",
     .starttls = true, .host = "localhost"},
    {"XOAUTH2 535", {OAUTH, FIRST, "S:535 5.7.3 Authentication unsuccessful", "HANG", NULL},
     STAGE_AUTH, EVENT_REPLY, 535, "535 5.7.3", .class = FAILURE_SERVER,
     .auth = SERVER_AUTH_XOAUTH2, .token = "token"},
    {"XOAUTH2 refused by a challenge", {OAUTH, FIRST,
     "S:334 eyJzdGF0dXMiOiI0MDAiLCJzY2hlbWVzIjoiQmVhcmVyIn0=", "HANG", NULL},
     STAGE_AUTH, EVENT_REPLY, 535, "334 {\"status\":\"400\",\"schemes\":\"Bearer\"}",
     .class = FAILURE_SERVER, .auth = SERVER_AUTH_XOAUTH2, .token = "token"},
    {"XOAUTH2 454", {OAUTH, FIRST, "S:454 4.7.0 later", "HANG", NULL},
     STAGE_AUTH, EVENT_REPLY, 454, "454", .class = FAILURE_SERVER,
     .auth = SERVER_AUTH_XOAUTH2, .token = "token"},
    {"XOAUTH2 unanswered", {OAUTH, FIRST, "HANG", NULL}, STAGE_AUTH, EVENT_TIMEOUT, 0, "",
     .class = FAILURE_TEMPORARY, .auth = SERVER_AUTH_XOAUTH2, .token = "token"},
    {"no token file", {"HANG", NULL}, STAGE_AUTH, EVENT_NOT_OFFERED, 0, "token_file",
     .class = FAILURE_SERVER, .auth = SERVER_AUTH_XOAUTH2, .token = "missing"},
    {"a token that is none", {"HANG", NULL}, STAGE_AUTH, EVENT_NOT_OFFERED, 0, "is no token",
     .class = FAILURE_SERVER, .auth = SERVER_AUTH_XOAUTH2, .token = "password"},
    {"a command that fails", {"HANG", NULL}, STAGE_AUTH, EVENT_NOT_OFFERED, 0, "status 1",
     .class = FAILURE_SERVER, .auth = SERVER_AUTH_XOAUTH2, .token = "!/bin/false"},
    {"a command that is not there", {"HANG", NULL}, STAGE_AUTH, EVENT_NOT_OFFERED, 0, "not found",
     .class = FAILURE_SERVER, .auth = SERVER_AUTH_XOAUTH2, .token = "!/nonexistent/x"},
    {"a command without end", {"HANG", NULL}, STAGE_AUTH, EVENT_NOT_OFFERED, 0, "too large",
     .class = FAILURE_SERVER, .auth = SERVER_AUTH_XOAUTH2, .token = "!yes"},
    {"no shell", {"HANG", NULL}, STAGE_AUTH, EVENT_NOT_OFFERED, 0, "is no token",
     .class = FAILURE_SERVER, .auth = SERVER_AUTH_XOAUTH2, .token = "!echo $(id) ; id"},
};
/* clang-format on */

/* ---- one row ----------------------------------------------------------------------------------
 */

struct trial {
    const struct row *row;
    pthread_t thread;
    bool started;
    char complaint[1200];
};

static void complain(struct trial *trial, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void complain(struct trial *trial, const char *format, ...)
{
    size_t used = strlen(trial->complaint);
    va_list ap;

    va_start(ap, format);
    vsnprintf(trial->complaint + used, sizeof trial->complaint - used, format, ap);
    va_end(ap);
}

static void read_fingerprint(char out[65], const char *name)
{
    char command[300];
    char line[200] = "";
    char *digits;
    FILE *pipe;
    size_t used = 0;

    snprintf(command, sizeof command,
             "openssl x509 -noout -fingerprint -sha256 -in %s/%s.pem 2>/dev/null", folder, name);
    pipe = popen(command, "r");
    if (pipe == NULL)
        return;
    if (fgets(line, sizeof line, pipe) != NULL && (digits = strchr(line, '=')) != NULL)
        for (digits++; *digits != '\0' && used < 64; digits++)
            if (*digits != ':' && *digits != '\n')
                out[used++] = (char)(*digits >= 'A' ? *digits | 0x20 : *digits);
    out[used] = '\0';
    pclose(pipe);
}

static void describe_server(struct server *server, const struct row *row, int port)
{
    memset(server, 0, sizeof *server);
    text_copy(server->name, sizeof server->name, "one");
    text_copy(server->host, sizeof server->host, row->host != NULL ? row->host : "127.0.0.1");
    server->port = port;
    server->tls = row->starttls ? SERVER_TLS_STARTTLS : SERVER_TLS_IMPLICIT;
    server->auth = row->auth;
    text_copy(server->user, sizeof server->user, "user");
    snprintf(server->password_file, sizeof server->password_file, "%s/password", folder);
    if (row->token != NULL && row->token[0] == '!')
        text_copy(server->token_command, sizeof server->token_command, row->token + 1);
    else if (row->token != NULL)
        snprintf(server->token_file, sizeof server->token_file, "%s/%s", folder, row->token);
    if (row->trust == NULL)
        snprintf(server->ca_file, sizeof server->ca_file, "%s/ca.pem", folder);
    else if (strcmp(row->trust, "none") != 0)
        read_fingerprint(server->fingerprint, row->trust);
}

static void check_outcome(struct trial *trial, const struct submit_request *request,
                          const struct submit_result *result)
{
    const struct row *row = trial->row;
    const struct failure *failure = submit_failure_of(request, result, 0);
    enum failure_class class = failure_classify(failure, NULL);

    if (result->again)
        complain(trial, "asks for another try; ");
    if (result->local_error != 0)
        complain(trial, "local error %s; ", error_text(result->local_error));
    if (failure->stage != row->stage || (failure->event != row->event && !row->any_event) ||
        failure->code != row->code || class != row->class ||
        strstr(failure->text, row->text) == NULL)
        complain(trial, "stage %s event %d code %d '%s' class %s; ",
                 failure_stage_text(failure->stage), failure->event, failure->code, failure->text,
                 failure_class_text(class));
}

/* Only the time-out that a row is about is short: nothing else may fail on a slow machine. */
static struct submit_timeouts timeouts_for(const struct row *row)
{
    struct submit_timeouts timeouts = {30000, 30000, 30000, 30000, 30000};

    if (row->event != EVENT_TIMEOUT)
        return timeouts;
    if (row->stage == STAGE_GREETING)
        timeouts.greeting = SHORT_MS;
    else if (row->stage == STAGE_CONTENT)
        timeouts.data = SHORT_MS;
    else if (row->stage == STAGE_FINAL)
        timeouts.final = SHORT_MS;
    else
        timeouts.command = COMMAND_MS;
    return timeouts;
}

static void run_client(struct trial *trial, struct submit_session *session, int port)
{
    const struct row *row = trial->row;
    struct submit_timeouts timeouts = timeouts_for(row);
    struct submit_recipient recipients[2] = {{.address = "a@example.com"},
                                             {.address = "b@example.com"}};
    char path[200];
    struct submit_request request = {
        .message_path = path,
        .message_bytes = (int64_t)(row->big ? big_length : small_length),
        .envelope_from = "op@example.com",
        .hello = "gw.example.com",
        .recipients = recipients,
        .recipient_count = row->two ? 2 : 1,
        .timeouts = &timeouts,
    };
    struct submit_result result;
    char address[CONNECT_ADDRESS_MAX];
    struct failure why;
    int64_t begin_ms = clock_monotonic_ms();
    int fd = connect_open(resolver, "127.0.0.1", port, 5000, -1, address, &why);

    snprintf(path, sizeof path, "%s/%s", folder, row->big ? "big" : "small");
    if (fd < 0) {
        complain(trial, "no connection: %s; ", why.text);
        return;
    }
    submit_curl.send(session, fd, deadlines, &request, &result);
    close(fd);
    check_outcome(trial, &request, &result);
    if (clock_monotonic_ms() - begin_ms > 25000)
        complain(trial, "took %d ms; ", (int)(clock_monotonic_ms() - begin_ms));
}

static void *run_trial(void *arg)
{
    struct trial *trial = arg;
    const struct row *row = trial->row;
    struct smtp_script *script = smtp_script_start(row->script, 1, folder);
    struct submit_session *session = NULL;
    struct server server;
    char complaint[200];
    char name[100];
    char why[200];
    char *message = NULL;
    size_t length = 0;

    describe_server(&server, row, smtp_script_port(script));
    if (submit_curl.open(&session, &server, why, sizeof why) < 0)
        complain(trial, "open: %s; ", why);
    else
        run_client(trial, session, smtp_script_port(script));
    submit_curl.close(session);
    smtp_script_stop(script, &message, &length, complaint, sizeof complaint, name, sizeof name);
    if (complaint[0] != '\0')
        complain(trial, "server: %s; ", complaint);
    if (row->received && (length != (row->big ? big_length : small_length) ||
                          memcmp(message, row->big ? big_message : small_message, length) != 0))
        complain(trial, "the message arrived changed: %zu octets; ", length);
    if (row->host != NULL && strcmp(name, row->host) != 0)
        complain(trial, "SNI '%s'; ", name);
    free(message);
    return NULL;
}

static void test_rows(void **state)
{
    enum { COUNT = sizeof rows / sizeof rows[0] };
    static struct trial trials[COUNT];
    int failed = 0;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT; i++) {
        trials[i].row = &rows[i];
        assert_int_equal(pthread_create(&trials[i].thread, NULL, run_trial, &trials[i]), 0);
    }
    for (i = 0; i < COUNT; i++) {
        pthread_join(trials[i].thread, NULL);
        print_message("  %s%s%s\n", rows[i].name, trials[i].complaint[0] != '\0' ? ": " : "",
                      trials[i].complaint);
        failed += trials[i].complaint[0] != '\0';
    }
    assert_int_equal(failed, 0);
}

/* ---- tokens -----------------------------------------------------------------------------------
 */

/* One sending over a connection of its own. */
static void send_once(struct submit_session *session, const struct server *server,
                      struct submit_result *result)
{
    struct submit_timeouts timeouts = {20000, 20000, 20000, 20000, 20000};
    struct submit_recipient recipient = {.address = "a@example.com"};
    char path[200];
    struct submit_request request = {
        .message_path = path,
        .envelope_from = "op@example.com",
        .hello = "gw.example.com",
        .recipients = &recipient,
        .recipient_count = 1,
        .timeouts = &timeouts,
    };
    char address[CONNECT_ADDRESS_MAX];
    struct failure why;
    int fd = connect_open(resolver, "127.0.0.1", server->port, 5000, -1, address, &why);

    snprintf(path, sizeof path, "%s/small", folder);
    assert_true(fd >= 0);
    submit_curl.send(session, fd, deadlines, &request, result);
    close(fd);
}

static void write_token(const char *name, const char *token)
{
    int fd = file_open_folder(-100 /* AT_FDCWD */, folder);

    assert_true(fd >= 0);
    assert_int_equal(file_write_atomic(fd, name, token, strlen(token), FILE_NO_SYNC), 0);
    close(fd);
}

/* The token command gives one token for ever and counts how often it ran: a refused one is fetched
 * anew once, and a second refusal is the end of it. */
static void test_command_is_asked_again(void **state)
{
    static const char *const refusal[] = {OAUTH, SECOND, "S:535 5.7.8 expired", "HANG", NULL};
    struct smtp_script *script = smtp_script_start(refusal, 3, folder);
    struct submit_session *session = NULL;
    struct submit_result result;
    struct server server;
    char command[300];
    char why[200];
    struct stat st;

    (void)state;
    write_token("count", "");
    snprintf(command, sizeof command, "#!/bin/sh\necho run >>%s/count\necho second-token\n",
             folder);
    write_token("command", command);
    snprintf(command, sizeof command, "!%s/command", folder);
    snprintf(why, sizeof why, "%s/command", folder);
    assert_int_equal(chmod(why, 0700), 0);
    describe_server(&server, &(struct row){.auth = SERVER_AUTH_XOAUTH2, .token = command},
                    smtp_script_port(script));
    assert_int_equal(submit_curl.open(&session, &server, why, sizeof why), 0);
    send_once(session, &server, &result);
    assert_int_equal(result.failure.code, 535);
    assert_false(result.again); /* it was fetched for this very mail */
    send_once(session, &server, &result);
    assert_false(result.again);
    send_once(session, &server, &result);
    submit_curl.close(session);
    smtp_script_stop(script, NULL, NULL, why, sizeof why, NULL, 0);
    assert_string_equal(why, "");
    snprintf(command, sizeof command, "%s/count", folder);
    assert_int_equal(stat(command, &st), 0);
    assert_int_equal(st.st_size, 3 * 4);
}

/* A token that is kept is used again; when it is refused, once more is worth it. */
static void test_kept_token_runs_out(void **state)
{
    static const char *const good[] = {OAUTH, SECOND,     "S:235 in", MAIL, RCPT,
                                       DATA_, "S:250 ok", BYE,        NULL};
    static const char *const bad[] = {OAUTH, SECOND, "S:535 5.7.8 expired", "HANG", NULL};
    static const struct {
        const char *const *script;
        bool again;
    } steps[] = {{good, false}, {good, false}, {bad, true},
                 {good, false}, {bad, true},   {bad, false}};
    struct submit_session *session = NULL;
    struct submit_result result;
    struct server server;
    char why[200];
    size_t i;

    (void)state;
    describe_server(&server,
                    &(struct row){.auth = SERVER_AUTH_XOAUTH2, .token = "!echo second-token"}, 1);
    assert_int_equal(submit_curl.open(&session, &server, why, sizeof why), 0);
    for (i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct smtp_script *script = smtp_script_start(steps[i].script, 1, folder);

        server.port = smtp_script_port(script);
        send_once(session, &server, &result);
        smtp_script_stop(script, NULL, NULL, why, sizeof why, NULL, 0);
        assert_string_equal(why, "");
        assert_int_equal(result.failure.event, steps[i].script == good ? EVENT_NONE : EVENT_REPLY);
        assert_int_equal(result.again, steps[i].again);
    }
    submit_curl.close(session);
}

/* The file is replaced while the server refuses what stood in it. */
static void test_token_file_is_refreshed(void **state)
{
    static const char *const refusal[] = {OAUTH, FIRST, "S:535 5.7.8 expired", "HANG", NULL};
    static const char *const good[] = {OAUTH, SECOND,     "S:235 in", MAIL, RCPT,
                                       DATA_, "S:250 ok", BYE,        NULL};
    struct submit_session *session = NULL;
    struct login_token token = {.text = "first-token"};
    struct smtp_script *script;
    struct submit_result result;
    struct server server;
    struct login *login = NULL;
    char why[200];

    (void)state;
    write_token("changing", "first-token\n");
    describe_server(&server, &(struct row){.auth = SERVER_AUTH_XOAUTH2, .token = "changing"}, 1);
    assert_int_equal(submit_curl.open(&session, &server, why, sizeof why), 0);
    script = smtp_script_start(refusal, 1, folder);
    server.port = smtp_script_port(script);
    send_once(session, &server, &result);
    smtp_script_stop(script, NULL, NULL, why, sizeof why, NULL, 0);
    assert_string_equal(why, "");
    assert_int_equal(result.failure.code, 535);
    assert_false(result.again); /* there is no other one */

    write_token("changing", " second-token \r\nmore\n");
    assert_int_equal(login_new(&login, &server, why, sizeof why), 0);
    assert_true(login_token_refused(login, &token)); /* it was replaced meanwhile */
    assert_int_equal(login_token(login, &token, NULL, NULL, why, sizeof why), 0);
    assert_string_equal(token.text, "second-token");
    assert_false(login_token_refused(login, &token));
    login_free(login);

    script = smtp_script_start(good, 1, folder);
    server.port = smtp_script_port(script);
    send_once(session, &server, &result);
    smtp_script_stop(script, NULL, NULL, why, sizeof why, NULL, 0);
    assert_string_equal(why, "");
    assert_int_equal(result.failure.event, EVENT_NONE);
    submit_curl.close(session);
}

static bool give_up(void *user)
{
    int *asked = user;

    return ++*asked > 2;
}

/* A command that hangs is ended together with what it started. */
static void test_hanging_command(void **state)
{
    struct server server = {.auth = SERVER_AUTH_XOAUTH2};
    struct login_token token;
    struct login *login = NULL;
    int64_t begin_ms = clock_monotonic_ms();
    char why[200];
    int asked = 0;

    (void)state;
    text_copy(server.token_command, sizeof server.token_command, "sleep 100");
    assert_int_equal(login_new(&login, &server, why, sizeof why), 0);
    assert_int_equal(login_token(login, &token, give_up, &asked, why, sizeof why), ERROR_TIMEOUT);
    assert_non_null(strstr(why, "token_command sleep"));
    assert_true(clock_monotonic_ms() - begin_ms < 10000);
    login_free(login);
}

/* Nothing that could become a command of its own is sent. */
static void test_address_with_a_line_end(void **state)
{
    struct submit_timeouts timeouts = {500, 500, 500, 500, 500};
    struct submit_recipient recipient = {.address = "a@example.com>\r\nRCPT TO:<b@example.com"};
    struct submit_session *session = NULL;
    struct submit_result result;
    struct server server;
    char path[200];
    char why[200];
    struct submit_request request = {
        .message_path = path,
        .envelope_from = "a@b",
        .hello = "x",
        .recipients = &recipient,
        .recipient_count = 1,
        .timeouts = &timeouts,
    };

    (void)state;
    snprintf(path, sizeof path, "%s/small", folder);
    describe_server(&server, &(struct row){.name = "x"}, 1);
    assert_int_equal(submit_curl.open(&session, &server, why, sizeof why), 0);
    submit_curl.send(session, -1, deadlines, &request, &result);
    assert_int_equal(result.local_error, ERROR_FORMAT);
    snprintf(path, sizeof path, "%s/missing", folder);
    submit_curl.send(session, -1, deadlines, &request, &result);
    assert_int_equal(result.local_error, ERROR_NOT_FOUND);
    submit_curl.close(session);
}

/* ---- the set-up -------------------------------------------------------------------------------
 */

/* A message with everything that a transfer may get wrong: dots, long lines, 8-bit text. */
static char *make_message(size_t target, size_t *out_length)
{
    static const char head[] = "From: <op@example.com>\r\nTo: <a@example.com>\r\nSubject: x\r\n"
                               "\tfolded\r\nDate: Sat, 21 Nov 2026 10:15:30 +0000\r\n"
                               "Message-ID: <x@example.com>\r\nBcc: kept\r\n\r\n";
    static const char *const lines[] = {
        ".\r\n",
        "..\r\n",
        ".dot\r\n",
        "\r\n",
        "text\r\n",
        "gr\303\274\303\237e\r\n",
        "JVBERi0xLjQKJcOkw7zDtsOfCjIgMCBvYmoKPDwvTGVuZ3RoIDMgMCBSL0ZpbHRlci9GbGF0ZURl\r\n",
    };
    char *text = malloc(target + 2000);
    size_t used = sizeof head - 1;
    size_t i;

    memcpy(text, head, used);
    for (i = 0; used < target; i++) {
        const char *line = lines[i * 7919 % (sizeof lines / sizeof lines[0])];

        memcpy(text + used, line, strlen(line));
        used += strlen(line);
    }
    *out_length = used;
    return text;
}

static int set_up(void **state)
{
    char long_token[3000]; /* as long as Microsoft's */
    int fd;

    (void)state;
    memset(long_token, 'x', sizeof long_token);
    log_open("test", LOG_LEVEL_WARNING);
    snprintf(folder, sizeof folder, "/tmp/test_submit_curl.XXXXXX");
    if (mkdtemp(folder) == NULL || submit_prepare() < 0)
        return -1;
    smtp_script_certificates(folder);
    small_message = make_message(3000, &small_length);
    big_message = make_message(BIG_BYTES, &big_length);
    fd = file_open_folder(-100 /* AT_FDCWD */, folder);
    if (fd < 0 || file_write_atomic(fd, "small", small_message, small_length, FILE_NO_SYNC) < 0 ||
        file_write_atomic(fd, "big", big_message, big_length, FILE_NO_SYNC) < 0 ||
        file_write_atomic(fd, "password", "p4ss word\n", 10, FILE_NO_SYNC) < 0 ||
        file_write_atomic(fd, "token", "first-token\n", 12, FILE_NO_SYNC) < 0 ||
        file_write_atomic(fd, "long", long_token, sizeof long_token, FILE_NO_SYNC) < 0)
        return -1;
    close(fd);
    return deadline_start(&deadlines) < 0 || resolver_start(&resolver) < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {
        "small",    "big",   "password", "ca.pem", "good.pem", "wrong.pem", "expired.pem",
        "self.pem", "token", "long",     "count",  "command",  "changing"};
    char path[300];
    size_t i;

    (void)state;
    deadline_stop(deadlines);
    resolver_stop(resolver);
    free(small_message);
    free(big_message);
    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_command_is_asked_again),
        cmocka_unit_test(test_kept_token_runs_out),
        cmocka_unit_test(test_token_file_is_refreshed),
        cmocka_unit_test(test_hanging_command),
        cmocka_unit_test(test_address_with_a_line_end),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
