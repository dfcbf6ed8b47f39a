/* SPDX-License-Identifier: MIT */
/*
 * class2_script.h - parts of dialogues with a modem that speaks T.30 itself, for class2_rig.h.
 */
#ifndef FAXPOST_TEST_CLASS2_SCRIPT_H
#define FAXPOST_TEST_CLASS2_SCRIPT_H

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

#define RUN(rows)                                                                                  \
    for (size_t i = 0; i < sizeof(rows) / sizeof((rows)[0]); i++)                                  \
    class2_check(&(rows)[i])

#endif
