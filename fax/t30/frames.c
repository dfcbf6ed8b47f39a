/* SPDX-License-Identifier: MIT */
/*
 * frames.c - names of frames for logs and traces (T.30 5.3.6.1).
 */
#include "fax/t30/frames.h"

#include <stdio.h>

static const struct {
    uint8_t fcf;
    const char *name;
} names[] = {
    {FCF_NULL, "NULL"},
    {FCF_DIS, "DIS"},
    {FCF_DCS, "DCS"},
    {FCF_CTC, "CTC"},
    {FCF_CFR, "CFR"},
    {FCF_EOM, "EOM"},
    {FCF_MPS, "MPS"},
    {FCF_EOP, "EOP"},
    {FCF_EOS, "EOS"},
    {FCF_PPS, "PPS"},
    {FCF_PRI_EOM, "PRI-EOM"},
    {FCF_PRI_MPS, "PRI-MPS"},
    {FCF_EOR, "EOR"},
    {FCF_RR, "RR"},
    {FCF_PRI_EOP, "PRI-EOP"},
    {FCF_MCF, "MCF"},
    {FCF_RTP, "RTP"},
    {FCF_RTN, "RTN"},
    {FCF_PPR, "PPR"},
    {FCF_RNR, "RNR"},
    {FCF_ERR, "ERR"},
    {FCF_DCN, "DCN"},
    {FCF_CRP, "CRP"},
    {FCF_FCD, "FCD"},
    {FCF_RCP, "RCP"},
    {0x42, "TSI"},
    {0x40, "CSI"},
    {0xc2, "SUB"},
    {0xa2, "SID"},
    {0x62, "SEP/PWD"},
    {FCF_FTT, "FTT"},
    {FCF_CTR, "CTR"},
    {FCF_NSF, "NSF"},
    {FCF_NSS, "NSS"},
    {0xca, "FNV"},
};

static const char *name_of(uint8_t fcf)
{
    size_t i;

    for (i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].fcf == fcf)
            return names[i].name;
    return "?";
}

const char *frame_name(char out[16], const uint8_t *frame, size_t length)
{
    uint8_t fcf = frame_fcf(frame, length);

    if ((fcf == FCF_PPS || fcf == FCF_EOR) && length > FRAME_FCF2)
        snprintf(out, 16, "%.4s-%.8s", name_of(fcf), name_of(frame[FRAME_FCF2] & FCF_MASK));
    else
        snprintf(out, 16, "%.12s", name_of(fcf));
    return out;
}
