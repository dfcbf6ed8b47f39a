/* SPDX-License-Identifier: MIT */
/*
 * test_class2.c - dialogues with modems that speak T.30 themselves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fax/modem/class2_words.h"
#include "test/unit/class2_rig.h"

#define OFFER   "(0,1),(0-5),(0-2),(0-2),(0,1),(0-2),(0),(0-7)"
#define DLE_ETX "!\x10\x03"

/* The way to ATA, and what answers it. */
#define PREPARE_2                                                                                  \
    {"AT+FCR=1", "OK"}, {"AT+FLID=\"+49 30 1\"", "OK"}, {"AT+FDCC=?", OFFER "|OK"},                \
        {"AT+FDCC=1,5,2,2,1,2,0,0", "OK"},                                                         \
    {                                                                                              \
        "AT+FBOR=0", "OK"                                                                          \
    }
#define PREPARE_20                                                                                 \
    {"AT+FCR=1", "OK"}, {"AT+FLI=\"+49 30 1\"", "OK"}, {"AT+FCC=?", "+FCC:" OFFER "|OK"},          \
        {"AT+FCC=1,5,2,2,1,1,0,0", "OK"}, {"AT+FBO=0", "OK"},                                      \
    {                                                                                              \
        "AT+FNR=1,1,1,0", "OK"                                                                     \
    }
#define RINGS_2  "~3000|+FCON|~1500|+FTSI: \"     +1 555 1234    \"|~600"
#define RINGS_20 "~3000|+FCO|~1500|+FTI:\"     +1 555 1234    \"|~600"
#define ANSWER_2                                                                                   \
    {                                                                                              \
        "ATA", RINGS_2 "|+FDCS: 1,5,0,2,0,0,0,0|OK"                                                \
    }
#define ANSWER_2_2D                                                                                \
    {                                                                                              \
        "ATA", RINGS_2 "|+FDCS: 1,5,0,2,1,0,0,0|OK"                                                \
    }
#define ANSWER_20                                                                                  \
    {                                                                                              \
        "ATA", RINGS_20 "|+FCS:1,5,0,2,0,0,0,0,0|OK"                                               \
    }
#define BEGIN_2  PREPARE_2, ANSWER_2
#define BEGIN_20 PREPARE_20, ANSWER_20
#define FDR                                                                                        \
    {                                                                                              \
        "AT+FDR", "CONNECT"                                                                        \
    }
#define EOP_2  "|+FPTS: 1,200|+FET: 2|OK"
#define MPS_2  "|+FPTS: 1,200|+FET: 0|OK"
#define EOP_20 "|+FPS:1,C8,0,0,0|+FET:2|OK"
#define BYE_2                                                                                      \
    {                                                                                              \
        "AT+FDR", "~1200|+FHNG: 0|OK"                                                              \
    }
#define BYE_20                                                                                     \
    {                                                                                              \
        "AT+FDR", "~1200|+FHS:00|OK"                                                               \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, NULL                                                                                 \
    }
#define SCRIPT(...)                                                                                \
    (const struct exchange[])                                                                      \
    {                                                                                              \
        __VA_ARGS__, END                                                                           \
    }

struct row {
    struct class2_case c;
    enum call_verdict verdict;
    int pages, unconfirmed;
    const char *error; /* must be in the error text; NULL: there is none */
};

static const struct row good_rows[] = {
    {{.name = "Class 2, a page",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, {"AT+FDR", "+FCFR|CONNECT"}, {"DC2", "@1" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "Class 2.0, a page",
      .class = MODEM_CLASS_2_0,
      .script = SCRIPT(BEGIN_20, FDR, {"DC2", "@1" EOP_20}, BYE_20)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "Class 2.1, V.34",
      .class = MODEM_CLASS_2_1,
      .two_d = true,
      .script = SCRIPT({"AT+FCR=1", "OK"}, {"AT+FLI=\"+49 30 1\"", "OK"},
                       {"AT+FCC=?", "+FCC: (0-7F),(0-D),(0-4),(0-2),(0-3),(0-3),(0),(0-7),(0)|OK"},
                       {"AT+FCC=7,D,2,2,1,1,0,0", "OK"}, {"AT+FBO=0", "OK"},
                       {"AT+FNR=1,1,1,0", "OK"}, {"ATA", RINGS_20 "|+FCS:1,D,0,2,1,1,0,0,0|OK"},
                       FDR, {"DC2", "@1" EOP_20}, BYE_20)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "2-D",
      .class = MODEM_CLASS_2,
      .two_d = true,
      .script = SCRIPT(PREPARE_2, ANSWER_2_2D, FDR, {"DC2", "@1" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "three pages, parameters told for each",
      .class = MODEM_CLASS_2,
      .script =
          SCRIPT(BEGIN_2, FDR, {"DC2", "@1" MPS_2}, {"AT+FDR", "+FDCS: 1,5,0,2,0,0,0,0|CONNECT"},
                 {"DC2", "@2" MPS_2}, FDR, {"DC2", "@3" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     3,
     0,
     NULL},
    {{.name = "new parameters between pages",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1" MPS_2},
                       {"AT+FDR", "+FDCS: 0,3,0,2,0,0,0,0|CONNECT"}, {"DC2", "@2" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     2,
     0,
     NULL},
    {{.name = "a second document",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1|+FPTS: 1,200|+FET: 1|OK"},
                       {"AT+FDR", "~7000|+FTSI: \"2\"|+FDCS: 0,5,0,2,0,0,0,0|CONNECT"},
                       {"DC2", "@2" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     2,
     0,
     NULL},
    {{.name = "a second document, nothing said of it",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1|+FPTS: 1,200|+FET: 1|OK"}, FDR,
                       {"DC2", "@2" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     2,
     0,
     NULL},
    {{.name = "interrupts wished for (PRI)",
      .class = MODEM_CLASS_2_0,
      .script = SCRIPT(BEGIN_20, FDR, {"DC2", "@1|+FPS:1,1,0,0,0|+FET:4|OK"}, FDR,
                       {"DC2", "@2|+FPS:1,1,0,0,0|+FET:5|OK"}, FDR,
                       {"DC2", "@3|+FPS:1,1,0,0,0|+FET:6|OK"}, BYE_20)},
     CALL_COMPLETE,
     3,
     0,
     NULL},
    {{.name = "wide, very fine",
      .class = MODEM_CLASS_2_0,
      .width = 2432,
      .script = SCRIPT(PREPARE_20, {"ATA", RINGS_20 "|+FCS:2,5,2,2,0,0,0,0,0|OK"}, FDR,
                       {"DC2", "@1" EOP_20}, BYE_20)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "2048 pixels",
      .class = MODEM_CLASS_2,
      .width = 2048,
      .script = SCRIPT(PREPARE_2, {"ATA", RINGS_2 "|+FDCS: 0,5,1,2,0,0,0,0|OK"}, FDR,
                       {"DC2", "@1" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "a long page",
      .class = MODEM_CLASS_2,
      .rows = 3000,
      .two_d = true,
      .script = SCRIPT(PREPARE_2, ANSWER_2_2D, FDR, {"DC2", "@1" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
};

/* Ways that modems differ in, a row each (modems.md). */
static const struct row quirk_rows[] = {
    {{.name = "reversed bits, known",
      .class = MODEM_CLASS_2,
      .reversed = true,
      .bit_order = MODEM_BITS_REVERSED,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "reversed bits, found out",
      .class = MODEM_CLASS_2,
      .reversed = true,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1" MPS_2}, FDR, {"DC2", "@2" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     2,
     0,
     NULL},
    {{.name = "reversed bits, 2-D, few rows",
      .class = MODEM_CLASS_2,
      .reversed = true,
      .rows = 3,
      .two_d = true,
      .script = SCRIPT(PREPARE_2, ANSWER_2_2D, FDR, {"DC2", "@1" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "straight bits, known",
      .class = MODEM_CLASS_2,
      .bit_order = MODEM_BITS_NORMAL,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "no RTC",
      .class = MODEM_CLASS_2,
      .no_rtc = true,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1" MPS_2}, FDR, {"DC2", "@2" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     2,
     0,
     NULL},
    {{.name = "the first draft: DC1",
      .class = MODEM_CLASS_2,
      .page_start = 0x11,
      .script = SCRIPT(BEGIN_2, FDR, {"DC1", "@1" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "DLE SUB",
      .class = MODEM_CLASS_2_0,
      .sub = true,
      .rows = 1000,
      .script = SCRIPT(BEGIN_20, FDR, {"DC2", "@1" EOP_20}, BYE_20)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "OK twice",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1|OK|+FPTS:1|+FET:0|OK"}, FDR,
                       {"DC2", "@2|OK|+FPTS:1|+FET:2|OK"}, BYE_2)},
     CALL_COMPLETE,
     2,
     0,
     NULL},
    {{.name = "OK before the reports only",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1|OK|+FPTS:1|+FET:2"}, BYE_2)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "no OK behind the reports",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1|+FPTS:1|+FET:0"}, FDR,
                       {"DC2", "@2|+FPTS:1|+FET:2"}, BYE_2)},
     CALL_COMPLETE,
     2,
     0,
     NULL},
    {{.name = "the OK comes late",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1|+FPTS:1|+FET:0|~3300|OK"},
                       {"AT+FDR", "~600|CONNECT"}, {"DC2", "@2" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     2,
     0,
     NULL},
    {{.name = "names of both classes",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(PREPARE_2, {"ATA", "+FCO|+FTI:\"1\"|+FDCS:1,5,0,2,0,0,0,0|OK"}, FDR,
                       {"DC2", "@1" EOP_20}, BYE_20)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "numbers in quotes, hexadecimal, with blanks",
      .class = MODEM_CLASS_2_0,
      .script = SCRIPT(PREPARE_20, {"ATA", "+FCO|+FCS: \"01\", \"0D\", 00,02, 0,1 ,0,00|OK"}, FDR,
                       {"DC2", "@1|+FPS: \"01\",\"00C8\"|+FET: \"02\"|OK"},
                       {"AT+FDR", "+FHS: \"00\"|OK"})},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "no colons",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(PREPARE_2, {"ATA", "+FCON|+FTSI \"1\"|+FDCS 1,5,0,2,0,0,0,0|OK"}, FDR,
                       {"DC2", "@1|+FPTS 1|+FET 2|OK"}, {"AT+FDR", "+FHNG 000|OK"})},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "echo and RING",
      .class = MODEM_CLASS_2,
      .script = SCRIPT({"AT+FCR=1", "AT+FCR=1|OK"}, {"AT+FLID=\"+49 30 1\"", "RING|OK"},
                       {"AT+FDCC=?", "AT+FDCC=?|" OFFER "|OK"},
                       {"AT+FDCC=1,5,2,2,1,2,0,0", "AT+FDCC=1,5,2,2,1,2,0,0|OK"},
                       {"AT+FBOR=0", "OK"}, {"ATA", "ATA|RING|+FCON|+FDCS: 1,5,0,2,0,0,0,0|OK"},
                       {"AT+FDR", "AT+FDR|RING|+FCFR|CONNECT"}, {"DC2", "@1" EOP_2},
                       {"AT+FDR", "AT+FDR|+FHNG: 0|OK"})},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "ERROR for a page that is good to us",
      .class = MODEM_CLASS_2_0,
      .script = SCRIPT(BEGIN_20, FDR, {"DC2", "@1|+FPS:2,C8,9,9,0|+FET:2|ERROR"},
                       {"AT+FPS=1", "OK"}, BYE_20)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "a status that is no confirmation",
      .class = MODEM_CLASS_2,
      .script =
          SCRIPT(BEGIN_2, FDR, {"DC2", "@1|+FPTS: 2,200|+FET: 2|OK"}, {"AT+FPTS=1", "OK"}, BYE_2)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "a status that cannot be overridden",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1|+FPTS: 2,200|+FET: 2|OK"}, {"AT+FPTS=1", "ERROR"},
                       BYE_2)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "a page in two pieces (PPS-NULL)",
      .class = MODEM_CLASS_2_0,
      .script = SCRIPT(BEGIN_20, FDR, {"DC2", "@1<|@0|+FPS:1,1,0,0,0|+FET:3|OK"}, FDR,
                       {"DC2", "@1>" EOP_20}, BYE_20)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "no report of the parameters, but asked",
      .class = MODEM_CLASS_2_0,
      .script = SCRIPT(PREPARE_20, {"ATA", "~3000|+FCO|OK"}, {"AT+FCS?", "1,5,0,2,0,0,0,0|OK"},
                       {"AT+FDR", "+FCS:1,5,0,2,0,0,0,0|CONNECT"}, {"DC2", "@1" EOP_20}, BYE_20)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "parameters come after AT+FDR",
      .class = MODEM_CLASS_2_0,
      .script = SCRIPT(PREPARE_20, {"ATA", "~3000|+FCO|OK"}, {"AT+FCS?", "ERROR"},
                       {"AT+FDR", "+FTI:\"1\"|+FCS:1,5,0,2,0,0,0,0|CONNECT"}, {"DC2", "@1" EOP_20},
                       BYE_20)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "refuses all it can",
      .class = MODEM_CLASS_2,
      .script = SCRIPT({"AT+FCR=1", "ERROR"}, {"AT+FLID=\"+49 30 1\"", "ERROR"},
                       {"AT+FLID=\"+49 30 1\"", "ERROR"}, {"AT+FDCC=?", "ERROR"},
                       {"AT+FDCC=1,5,2,2,1,0,0,0", "ERROR"}, {"AT+FDCC=1,5,2,2,1,0,0,0", "ERROR"},
                       {"AT+FDCC=1,3,0,2,0,0,0,0", "ERROR"}, {"AT+FBOR=0", "ERROR"}, ANSWER_2, FDR,
                       {"DC2", "@1" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "no ECM after all",
      .class = MODEM_CLASS_2,
      .script =
          SCRIPT({"AT+FCR=1", "OK"}, {"AT+FLID=\"+49 30 1\"", "OK"}, {"AT+FDCC=?", OFFER "|OK"},
                 {"AT+FDCC=1,5,2,2,1,2,0,0", "ERROR"}, {"AT+FDCC=1,5,2,2,1,0,0,0", "OK"},
                 {"AT+FBOR=0", "OK"}, ANSWER_2, FDR, {"DC2", "@1" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "ECM not wanted",
      .class = MODEM_CLASS_2,
      .no_ecm = true,
      .script = SCRIPT({"AT+FCR=1", "OK"}, {"AT+FLID=\"+49 30 1\"", "OK"},
                       {"AT+FDCC=?", OFFER "|OK"}, {"AT+FDCC=1,5,2,2,1,0,0,0", "OK"},
                       {"AT+FBOR=0", "OK"}, ANSWER_2, FDR, {"DC2", "@1" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "a modem that can little",
      .class = MODEM_CLASS_2,
      .script =
          SCRIPT({"AT+FCR=1", "OK"}, {"AT+FLID=\"+49 30 1\"", "OK"},
                 {"AT+FDCC=?", "(0),(0-3),0,(0-2),0,0,0,(0-7)|OK"},
                 {"AT+FDCC=0,3,0,2,0,0,0,0", "OK"}, {"AT+FBOR=0", "OK"},
                 {"ATA", "+FCON|+FDCS: 0,3,0,2,0,0,0,0|OK"}, FDR, {"DC2", "@1" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "a station with letters",
      .class = MODEM_CLASS_2,
      .station = "FAX \"1\"; 2",
      .script =
          SCRIPT({"AT+FCR=1", "OK"}, {"AT+FLID=\"FAX 1 2\"", "ERROR"}, {"AT+FLID=\" 1 2\"", "OK"},
                 {"AT+FDCC=?", OFFER "|OK"}, {"AT+FDCC=1,5,2,2,1,2,0,0", "OK"}, {"AT+FBOR=0", "OK"},
                 ANSWER_2, FDR, {"DC2", "@1" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "no station",
      .class = MODEM_CLASS_2,
      .station = "",
      .script =
          SCRIPT({"AT+FCR=1", "OK"}, {"AT+FDCC=?", OFFER "|OK"}, {"AT+FDCC=1,5,2,2,1,2,0,0", "OK"},
                 {"AT+FBOR=0", "OK"}, ANSWER_2, FDR, {"DC2", "@1" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "an OK that comes too late",
      .class = MODEM_CLASS_2,
      .script = SCRIPT({"AT+FCR=1", "~3200|OK"}, {"AT+FLID=\"+49 30 1\"", "OK"},
                       {"AT+FDCC=?", "OK"}, {"AT+FDCC=1,5,2,2,1,0,0,0", "OK"}, {"AT+FBOR=0", "OK"},
                       ANSWER_2, FDR, {"DC2", "@1" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "no +FHNG at the end, but OK",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1" EOP_2}, {"AT+FDR", "OK"})},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "nothing at all at the end",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1" EOP_2}, {"AT+FDR", ""})},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "the end of a complete fax goes wrong",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1" EOP_2}, {"AT+FDR", "+FHNG: 102|OK"})},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "AT+FDR gives OK, and the page only when asked again",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, {"AT+FDR", "OK"}, FDR, {"DC2", "@1" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "the page's end is no more than an OK",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1|OK"}, FDR, {"DC2", "@2" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     2,
     0,
     NULL},
    {{.name = "subaddress, and other reports",
      .class = MODEM_CLASS_2_0,
      .script = SCRIPT(PREPARE_20,
                       {"ATA", "+FCO|+FNS:00 00 12|+FSA:\"42\"|+FTI:\"1\"|"
                               "+FCS:1,5,0,2,0,0,0,0|OK"},
                       FDR, {"DC2", "@1" EOP_20}, BYE_20)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
};

/* The page has to be refused, by the right command. */
static const struct row refusal_rows[] = {
    {{.name = "a bad page comes again",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1%" MPS_2}, {"AT+FPTS=2", "OK"},
                       {"AT+FDR", "+FDCS: 1,3,0,2,0,0,0,0|CONNECT"}, {"DC2", "@1" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     1,
     1,
     NULL},
    {{.name = "a bad page comes again, 2.0, nothing said",
      .class = MODEM_CLASS_2_0,
      .script = SCRIPT(BEGIN_20, FDR, {"DC2", "@1%|+FPS:2,C8,9,9,0|+FET:0|ERROR"},
                       {"AT+FPS=2", "OK"}, FDR, {"DC2", "@1" EOP_20}, BYE_20)},
     CALL_COMPLETE,
     1,
     1,
     NULL},
    {{.name = "a bad last page comes again",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1%" EOP_2}, {"AT+FPTS=2", "OK"}, FDR,
                       {"DC2", "@1" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     1,
     1,
     NULL},
    {{.name = "a bad page, and the sender goes on",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@2%" MPS_2}, {"AT+FPTS=2", "OK"}, FDR,
                       {"DC2", "@1" EOP_2}, BYE_2)},
     CALL_DOUBTFUL,
     1,
     1,
     "badly"},
    {{.name = "a bad page, and the sender gives up",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1%" EOP_2}, {"AT+FPTS=2", "OK"},
                       {"AT+FDR", "+FHNG: 100|OK"})},
     CALL_EMPTY,
     0,
     1,
     "phase D"},
    {{.name = "a page without a row",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@0" EOP_2}, {"AT+FPTS=2", "OK"},
                       {"AT+FDR", "+FHNG: 0|OK"})},
     CALL_EMPTY,
     0,
     0,
     ""},
    {{.name = "a bad page that the modem will not refuse",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1%" EOP_2}, {"AT+FPTS=2", "ERROR"},
                       {"AT+FK", "+FHNG: 2|OK"})},
     CALL_EMPTY,
     0,
     1,
     "refused to say so"},
    {{.name = "Class 2, the store fails",
      .class = MODEM_CLASS_2,
      .store_fails_at = 1,
      .script =
          SCRIPT(BEGIN_2, FDR, {"DC2", "@1" EOP_2}, {"AT+FPTS=2", "OK"}, {"AT+FK", "+FHNG: 2|OK"})},
     CALL_EMPTY,
     0,
     1,
     "stored"},
    {{.name = "Class 2.0, the second store fails",
      .class = MODEM_CLASS_2_0,
      .store_fails_at = 2,
      .script = SCRIPT(BEGIN_20, FDR, {"DC2", "@1|+FPS:1|+FET:0|OK"}, FDR, {"DC2", "@2" EOP_20},
                       {"AT+FPS=2", "ERROR"}, {"AT+FKS", "+FHS: 02|OK"})},
     CALL_PARTIAL,
     1,
     1,
     "stored"},
    {{.name = "the store fails, the modem says nothing more",
      .class = MODEM_CLASS_2_0,
      .store_fails_at = 1,
      .script = SCRIPT(BEGIN_20, FDR, {"DC2", "@1" EOP_20}, {"AT+FPS=2", ""}, {"AT+FKS", ""})},
     CALL_EMPTY,
     0,
     1,
     "stored"},
    {{.name = "the store takes 10 s",
      .class = MODEM_CLASS_2,
      .store_ms = 10000,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1" MPS_2}, FDR, {"DC2", "@2" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     2,
     0,
     NULL},
    {{.name = "the store takes 24 s",
      .class = MODEM_CLASS_2,
      .store_ms = 24000,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "the store takes 30 s",
      .class = MODEM_CLASS_2,
      .store_ms = 30000,
      .script =
          SCRIPT(BEGIN_2, FDR, {"DC2", "@1" EOP_2}, {"AT+FPTS=2", "OK"}, {"AT+FK", "+FHNG: 2|OK"})},
     CALL_EMPTY,
     0,
     1,
     "in time"},
    {{.name = "the sender gives up before the store is through",
      .class = MODEM_CLASS_2,
      .store_ms = 20000,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1" EOP_2 "|~9000|+FHNG: 101|OK"})},
     CALL_EMPTY,
     0,
     1,
     "phase D"},
    {{.name = "a page too long",
      .class = MODEM_CLASS_2,
      .rows = 4000,
      .rows_max = 500,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1"}, {"CAN", DLE_ETX "|+FHNG: 2|OK"})},
     CALL_EMPTY,
     0,
     1,
     "limits.rows"},
    {{.name = "a page too long, the modem needs to be told twice",
      .class = MODEM_CLASS_2,
      .rows = 4000,
      .rows_max = 500,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1<"}, {"CAN", ""}, {"AT+FK", "OK"})},
     CALL_EMPTY,
     0,
     1,
     "limits.rows"},
};

/* Calls that end early, or never begin. */
static const struct row broken_rows[] = {
    {{.name = "hang-up in a page",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1<|" DLE_ETX "|+FHNG: 91|OK"})},
     CALL_EMPTY,
     0,
     1,
     "end of line"},
    {{.name = "hang-up in the second page, 2.0",
      .class = MODEM_CLASS_2_0,
      .script = SCRIPT(BEGIN_20, FDR, {"DC2", "@1|+FPS:1|+FET:0|OK"}, FDR,
                       {"DC2", "@2<|" DLE_ETX "|+FPS:2|+FHS:A0|ERROR"})},
     CALL_PARTIAL,
     1,
     1,
     "phase D"},
    {{.name = "NO CARRIER in a page",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1<|" DLE_ETX "|NO CARRIER"})},
     CALL_EMPTY,
     0,
     1,
     "the line broke"},
    {{.name = "ended from above in a page",
      .class = MODEM_CLASS_2,
      .hangup_ms = 8000,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1<"}, {"CAN", ""})},
     CALL_EMPTY,
     0,
     1,
     "stopped"},
    {{.name = "ended from above before a page",
      .class = MODEM_CLASS_2,
      .hangup_ms = 4000,
      .script = SCRIPT(PREPARE_2, ANSWER_2, {"CAN", ""})},
     CALL_EMPTY,
     0,
     0,
     "stopped"},
    {{.name = "ended from above while a page is stored",
      .class = MODEM_CLASS_2,
      .hangup_ms = 8000,
      .store_ms = 9000,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1" EOP_2})},
     CALL_EMPTY,
     0,
     1,
     "stopped"},
    {{.name = "silence in a page",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1<"}, {"CAN", ""})},
     CALL_EMPTY,
     0,
     1,
     "silent"},
    {{.name = "silence behind a page",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1"}, {"AT+FK", ""})},
     CALL_EMPTY,
     0,
     1,
     "+FET"},
    {{.name = "silence instead of the next page",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1" MPS_2}, {"AT+FDR", ""}, {"CAN", ""})},
     CALL_PARTIAL,
     1,
     0,
     "silent"},
    {{.name = "the sender leaves between two pages",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1" MPS_2}, {"AT+FDR", "+FHNG: 73|OK"})},
     CALL_PARTIAL,
     1,
     0,
     "training"},
    {{.name = "a good end that is none",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1" MPS_2}, {"AT+FDR", "+FHNG: 0|OK"})},
     CALL_PARTIAL,
     1,
     0,
     ""},
    {{.name = "AT+FDR refused",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, {"AT+FDR", "ERROR"})},
     CALL_EMPTY,
     0,
     0,
     "refused to receive"},
    {{.name = "AT+FDR refused after a page",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1" MPS_2}, {"AT+FDR", "ERROR"})},
     CALL_PARTIAL,
     1,
     0,
     "next page"},
    {{.name = "AT+FDR gives OK and nothing else",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(BEGIN_2, {"AT+FDR", "OK"}, {"AT+FDR", "OK"}, {"AT+FDR", "OK"}, {"CAN", ""})},
     CALL_EMPTY,
     0,
     0,
     "silent"},
    {{.name = "T.6, which was not asked for",
      .class = MODEM_CLASS_2_0,
      .script = SCRIPT(PREPARE_20, {"ATA", RINGS_20 "|+FCS:1,5,0,2,3,1,0,0|OK"}, {"CAN", ""})},
     CALL_EMPTY,
     0,
     0,
     "compression"},
    {{.name = "JBIG",
      .class = MODEM_CLASS_2_1,
      .script =
          SCRIPT({"AT+FCR=1", "OK"}, {"AT+FLI=\"+49 30 1\"", "OK"}, {"AT+FCC=?", "ERROR"},
                 {"AT+FCC=1,D,2,2,1,0,0,0", "OK"}, {"AT+FBO=0", "OK"}, {"AT+FNR=1,1,1,0", "OK"},
                 {"ATA", "+FCO|+FCS:1,5,0,2,0,1,0,0,1|OK"}, {"CAN", ""})},
     CALL_EMPTY,
     0,
     0,
     "compression"},
    {{.name = "a width that was not asked for",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(PREPARE_2, {"ATA", "+FCON|+FDCS:1,5,4,2,0,0,0,0|OK"}, {"CAN", ""})},
     CALL_EMPTY,
     0,
     0,
     "width"},
    {{.name = "never a word of the parameters",
      .class = MODEM_CLASS_2,
      .script =
          SCRIPT(PREPARE_2, {"ATA", "~3000|+FCON|OK"}, {"AT+FDCS?", "ERROR"}, FDR, {"CAN", ""})},
     CALL_EMPTY,
     0,
     0,
     "class = 1"},
    {{.name = "a data call",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(PREPARE_2, {"ATA", "~9000|CONNECT 9600"})},
     CALL_EMPTY,
     0,
     0,
     "data call"},
    {{.name = "a data call, said",
      .class = MODEM_CLASS_2_0,
      .script = SCRIPT(PREPARE_20, {"ATA", "~9000|+FDM|CONNECT 9600"})},
     CALL_EMPTY,
     0,
     0,
     "data call"},
    {{.name = "a voice call",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(PREPARE_2, {"ATA", "~9000|VOICE"})},
     CALL_EMPTY,
     0,
     0,
     "voice"},
    {{.name = "nobody there",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(PREPARE_2, {"ATA", "~35000|+FHNG: 1|OK"})},
     CALL_EMPTY,
     0,
     0,
     "voice"},
    {{.name = "NO CARRIER",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(PREPARE_2, {"ATA", "~35000|NO CARRIER"})},
     CALL_EMPTY,
     0,
     0,
     "NO CARRIER"},
    {{.name = "no training",
      .class = MODEM_CLASS_2_0,
      .script = SCRIPT(PREPARE_20, {"ATA", "~3000|+FCO|~30000|+FHS:74|OK"})},
     CALL_EMPTY,
     0,
     0,
     "more would follow"},
    {{.name = "ATA refused", .class = MODEM_CLASS_2, .script = SCRIPT(PREPARE_2, {"ATA", "ERROR"})},
     CALL_EMPTY,
     0,
     0,
     "ATA gave ERROR"},
    {{.name = "nothing at all from ATA",
      .class = MODEM_CLASS_2,
      .script = SCRIPT(PREPARE_2, {"ATA", ""}, {"CAN", ""})},
     CALL_EMPTY,
     0,
     0,
     "no fax machine"},
    {{.name = "a mute modem",
      .class = MODEM_CLASS_2,
      .script = SCRIPT({"AT+FCR=1", ""}, {"AT+FLID=\"+49 30 1\"", ""})},
     CALL_EMPTY,
     0,
     0,
     "does not answer"},
};

/* Fill before each EOL (T.4 4.1.3), and pages in which no row is as it should be: then the second
 * try is the other order. */
static const struct row fill_rows[] = {
    {{.name = "fill",
      .class = MODEM_CLASS_2,
      .fill = 4,
      .no_rtc = true,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "fill, reversed",
      .class = MODEM_CLASS_2,
      .fill = 4,
      .no_rtc = true,
      .reversed = true,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "fill, reversed, 2-D",
      .class = MODEM_CLASS_2,
      .fill = 3,
      .no_rtc = true,
      .two_d = true,
      .reversed = true,
      .script = SCRIPT(PREPARE_2, ANSWER_2_2D, FDR, {"DC2", "@1" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     1,
     0,
     NULL},
    {{.name = "damage, reversed",
      .class = MODEM_CLASS_2,
      .reversed = true,
      .script = SCRIPT(BEGIN_2, FDR, {"DC2", "@1%" MPS_2}, {"AT+FPTS=2", "OK"}, FDR,
                       {"DC2", "@1" EOP_2}, BYE_2)},
     CALL_COMPLETE,
     1,
     1,
     NULL},
};

static void run_row(const struct row *row)
{
    static struct class2_result result;
    const struct class2_case *c = &row->c;

    class2_run(&result, c);
    if (getenv("FAXPOST_SHOW") != NULL)
        printf("-- %s\n%s", c->name, result.trace);
    if (!result.ended || result.fault[0] != '\0')
        fail_msg("%s: ended %d, %s\n%s", c->name, result.ended, result.fault, result.trace);
    if (result.info.verdict != row->verdict || result.info.pages != row->pages ||
        result.info.unconfirmed != row->unconfirmed || result.stored < row->pages)
        fail_msg("%s: verdict %d, %d pages, %d unconfirmed, %d stored, error \"%s\"\n%s", c->name,
                 result.info.verdict, result.info.pages, result.info.unconfirmed, result.stored,
                 result.info.error, result.trace);
    if (row->error == NULL ? result.info.error[0] != '\0'
                           : strstr(result.info.error, row->error) == NULL)
        fail_msg("%s: error \"%s\"\n%s", c->name, result.info.error, result.trace);
    for (int i = 1; i <= row->pages; i++)
        if (result.page_hash[i] != class2_page_hash(c, i))
            fail_msg("%s: page %d is not what was sent\n%s", c->name, i, result.trace);
}

#define RUN(rows)                                                                                  \
    for (size_t i = 0; i < sizeof(rows) / sizeof((rows)[0]); i++)                                  \
    run_row(&(rows)[i])

static void test_calls(void **state)
{
    (void)state;
    RUN(good_rows);
}

static void test_quirks(void **state)
{
    (void)state;
    RUN(quirk_rows);
    RUN(fill_rows);
}

static void test_refusals(void **state)
{
    (void)state;
    RUN(refusal_rows);
}

static void test_broken(void **state)
{
    (void)state;
    RUN(broken_rows);
}

/* What a modem knows better than the core, and who called. */
static void test_description(void **state)
{
    static struct class2_result result;

    (void)state;
    class2_run(&result, &good_rows[2].c); /* V.34 */
    assert_int_equal(result.info.bit_rate, 33600);
    assert_true(result.info.ecm);
    assert_int_equal(result.info.media, CALL_MEDIA_MODEM);
    assert_string_equal(result.info.station, "+1 555 1234");
    assert_string_equal(result.info.own_station, "+49 30 1");
    class2_run(&result, &quirk_rows[sizeof quirk_rows / sizeof quirk_rows[0] - 1].c);
    assert_string_equal(result.info.subaddress, "42");
    assert_string_equal(result.info.station, "1");
    assert_false(result.info.ecm);
}

/* The order of bits is found out from whatever page comes first. */
static void test_bit_orders(void **state)
{
    static struct class2_result result;

    (void)state;
    for (int i = 0; i < 160; i++) {
        char page[64];
        const struct exchange script_1d[] = {BEGIN_2, FDR, {"DC2", page}, BYE_2, END};
        const struct exchange script_2d[] = {PREPARE_2,     ANSWER_2_2D, FDR,
                                             {"DC2", page}, BYE_2,       END};
        const struct class2_case c = {
            .class = MODEM_CLASS_2,
            .two_d = i % 2 != 0,
            .reversed = i / 2 % 2 != 0,
            .fill = i / 4 % 2 * 3,
            .no_rtc = true,
            .rows = i % 5 == 0 ? 20 : 120,
            .script = i % 2 != 0 ? script_2d : script_1d,
        };

        snprintf(page, sizeof page, "@%d" EOP_2, i / 8 + 1);
        class2_run(&result, &c);
        if (result.info.verdict != CALL_COMPLETE ||
            result.page_hash[1] != class2_page_hash(&c, i / 8 + 1))
            fail_msg("%d: %s\n%s", i, result.fault, result.trace);
    }
}

/* What is left of a page that broke off are its rows up to there. */
static void test_half_a_page(void **state)
{
    static struct class2_result result;
    struct class2_case c = broken_rows[0].c;
    int match = 0;

    (void)state;
    class2_run(&result, &c);
    for (c.rows = 1; c.rows <= 200; c.rows++)
        if (class2_page_hash(&c, 1) == result.rest_hash)
            match = c.rows;
    assert_in_range(match, 80, 120);
}

static void test_words(void **state)
{
    static const struct {
        const char *line;
        enum class2_word word;
        const char *arguments;
    } table[] = {
        {"OK", CLASS2_OK, ""},
        {"ok", CLASS2_OK, ""},
        {"OKAY", CLASS2_OTHER, ""},
        {"+FCON", CLASS2_FAX, ""},
        {"+FCO", CLASS2_FAX, ""},
        {"+FCONE", CLASS2_OTHER, ""},
        {"+FCS:1,2", CLASS2_PARAMETERS, "1,2"},
        {"+FDCS : 1", CLASS2_PARAMETERS, "1"},
        {"+FDCC: (0)", CLASS2_CAPABILITIES, "(0)"},
        {"+FPS:1", CLASS2_PAGE_STATUS, "1"},
        {"+FPTS 1", CLASS2_PAGE_STATUS, "1"},
        {"+FHS:", CLASS2_HANGUP, ""},
        {"CONNECT 14400/ARQ", CLASS2_CONNECT, "14400/ARQ"},
        {"NO CARRIER", CLASS2_GONE, ""},
        {"NO CARRIER 3", CLASS2_GONE, "3"},
        {"NO DIAL TONE", CLASS2_GONE, ""},
        {"+FCERROR", CLASS2_ERROR, ""},
        {"AT+FDR", CLASS2_OTHER, ""},
        {"", CLASS2_OTHER, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const char *arguments;

        if (class2_word_of(table[i].line, &arguments) != table[i].word ||
            strcmp(arguments, table[i].arguments) != 0)
            fail_msg("\"%s\": \"%s\"", table[i].line, arguments);
    }
    assert_string_equal(class2_name(CLASS2_CAPABILITIES, MODEM_CLASS_2), "+FDCC");
    assert_string_equal(class2_name(CLASS2_CAPABILITIES, MODEM_CLASS_2_1), "+FCC");
    assert_int_equal(class2_number("\" 1a\",3"), 0x1a);
    assert_int_equal(class2_number("ffffffffffff"), 0xfff);
    assert_int_equal(class2_number("?"), -1);
    assert_int_equal(class2_number(""), -1);
}

static void test_hangups(void **state)
{
    static const struct {
        const char *code, *part; /* NULL: a good end */
    } table[] = {
        {"0", NULL},           {"00", NULL},           {"\"00\"", NULL},   {" 000", NULL},
        {"1", "off-hook"},     {"01", "off-hook"},     {"3", "cable"},     {"11", "no fax machine"},
        {"12", "phase A"},     {"70", "phase B"},      {"7F", "phase B"},  {"85", "phase B"},
        {"91", "end of line"}, {"9f", "phase C"},      {"A0", "phase D"},  {"a9", "phase D"},
        {"100", "phase D"},    {"119", "phase D"},     {"B1", "phase D"},  {"20", "its code"},
        {"", "no reason"},     {"70000", "no reason"}, {"?", "no reason"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const char *text = class2_hangup_text(table[i].code);

        if (table[i].part == NULL ? text != NULL
                                  : text == NULL || strstr(text, table[i].part) == NULL)
            fail_msg("\"%s\": %s", table[i].code, text != NULL ? text : "good");
    }
}

static void test_wishes(void **state)
{
    static const struct {
        const char *offer;
        enum modem_class class;
        bool ecm;
        const char *wish;
    } table[] = {
        {OFFER, MODEM_CLASS_2, true, "1,5,2,2,1,2,0,0"},
        {OFFER, MODEM_CLASS_2, false, "1,5,2,2,1,0,0,0"},
        {"(0-3),(0-5),(0-4),(0-2),(0-3),(0,1),(0),(0-7)", MODEM_CLASS_2, true, "1,5,2,2,1,1,0,0"},
        {"(0-5F),(0-5),(0-2),(0-2),(0-3),(0-2),0,0,0", MODEM_CLASS_2_0, true, "7,5,2,2,1,1,0,0"},
        {"+FCC: (00,01),(0-B),(0),(0),(0),(0),(0),(0)", MODEM_CLASS_2_1, true, "1,B,0,2,0,0,0,0"},
        {"(0,1),(0-3)", MODEM_CLASS_2, true, NULL},
        {"(0,1),(0-3),(0,(1", MODEM_CLASS_2, true, NULL},
        {"+FCLASS: (0,1),(0-3),(0),(0),(0)", MODEM_CLASS_2, true, NULL},
        {"0,1,2,2,1", MODEM_CLASS_2, true, NULL},
        {"", MODEM_CLASS_2, true, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct class2_offer offer;
        char wish[CLASS2_WISH_MAX] = "";
        bool has_offer = class2_offer_read(&offer, table[i].offer);

        if (has_offer)
            class2_wish(wish, &offer, table[i].class, table[i].ecm);
        if (has_offer != (table[i].wish != NULL) || (has_offer && strcmp(wish, table[i].wish) != 0))
            fail_msg("\"%s\": %s", table[i].offer, wish);
    }
}

static void test_dcs(void **state)
{
    static const struct {
        const char *parameters;
        uint8_t octets[6]; /* 3 to 8; all 0: refused */
    } table[] = {
        {"0,0,0,2,0,0,0,0", {0x00, 0x02, 0xf8, 0x80, 0x80, 0x00}},
        {"1,1,0,2,0,0,0,0", {0x00, 0x4a, 0xf8, 0x80, 0x80, 0x00}},
        {"1,2,1,2,1,2,0,0", {0x00, 0xce, 0xf9, 0x80, 0x80, 0x00}},
        {"2,3,2,2,0,0,0,0", {0x00, 0x06, 0xfa, 0x80, 0x80, 0x01}},
        {"4,4", {0x00, 0x2a, 0xf8, 0x80, 0x80, 0x04}},
        {"40,5", {0x00, 0x22, 0xf8, 0x80, 0x80, 0x02}},
        {"10,D,0,0,1,1", {0x00, 0xe2, 0xf8, 0x80, 0x80, 0x00}},
        {"0,0,3", {0}},
        {"0,0,0,0,2", {0}},
        {"0,0,0,0,3", {0}},
        {"0,0,0,0,0,0,0,0,1", {0}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct class2_parameters parameters;
        uint8_t frame[CLASS2_FRAME_MAX] = {0};
        const char *why = NULL;
        size_t length;

        assert_true(class2_parameters_read(&parameters, table[i].parameters));
        length = class2_dcs(frame, &parameters, &why);
        if (table[i].octets[1] == 0 ? length != 0 || why == NULL
                                    : length != 9 || memcmp(frame + 3, table[i].octets, 6) != 0)
            fail_msg("%s: %zu octets, %02x %02x %02x … %02x", table[i].parameters, length, frame[3],
                     frame[4], frame[5], frame[8]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),       cmocka_unit_test(test_quirks),
        cmocka_unit_test(test_refusals),    cmocka_unit_test(test_broken),
        cmocka_unit_test(test_description), cmocka_unit_test(test_half_a_page),
        cmocka_unit_test(test_bit_orders),  cmocka_unit_test(test_words),
        cmocka_unit_test(test_hangups),     cmocka_unit_test(test_wishes),
        cmocka_unit_test(test_dcs),
    };

    return cmocka_run_group_tests_name("class2", tests, NULL, NULL);
}
