/* SPDX-License-Identifier: MIT */
/*
 * class2_bits.c - a reader of T.4 rows that does no more than to measure them.
 */
#include "fax/modem/class2_bits.h"

enum { CODES = 104, TERMINATING = 64, CODE_BITS_MOST = 13, EOL_ZEROS = 11 };

/* T.4 tables 2 and 3: the codes for runs of 0 to 63, of 64, 128 … 2560; each with a 1 before it, so
 * that its length is seen. */
static const uint16_t white_codes[CODES] = {
    0x135,  0x047,  0x017,  0x018,  0x01b,  0x01c,  0x01e,  0x01f,  0x033, 0x034, 0x027,  0x028,
    0x048,  0x043,  0x074,  0x075,  0x06a,  0x06b,  0x0a7,  0x08c,  0x088, 0x097, 0x083,  0x084,
    0x0a8,  0x0ab,  0x093,  0x0a4,  0x098,  0x102,  0x103,  0x11a,  0x11b, 0x112, 0x113,  0x114,
    0x115,  0x116,  0x117,  0x128,  0x129,  0x12a,  0x12b,  0x12c,  0x12d, 0x104, 0x105,  0x10a,
    0x10b,  0x152,  0x153,  0x154,  0x155,  0x124,  0x125,  0x158,  0x159, 0x15a, 0x15b,  0x14a,
    0x14b,  0x132,  0x133,  0x134,  0x03b,  0x032,  0x057,  0x0b7,  0x136, 0x137, 0x164,  0x165,
    0x168,  0x167,  0x2cc,  0x2cd,  0x2d2,  0x2d3,  0x2d4,  0x2d5,  0x2d6, 0x2d7, 0x2d8,  0x2d9,
    0x2da,  0x2db,  0x298,  0x299,  0x29a,  0x058,  0x29b,  0x808,  0x80c, 0x80d, 0x1012, 0x1013,
    0x1014, 0x1015, 0x1016, 0x1017, 0x101c, 0x101d, 0x101e, 0x101f,
};
static const uint16_t black_codes[CODES] = {
    0x437,  0x00a,  0x007,  0x006,  0x00b,  0x013,  0x012,  0x023,  0x045,  0x044,  0x084,  0x085,
    0x087,  0x104,  0x107,  0x218,  0x417,  0x418,  0x408,  0x867,  0x868,  0x86c,  0x837,  0x828,
    0x817,  0x818,  0x10ca, 0x10cb, 0x10cc, 0x10cd, 0x1068, 0x1069, 0x106a, 0x106b, 0x10d2, 0x10d3,
    0x10d4, 0x10d5, 0x10d6, 0x10d7, 0x106c, 0x106d, 0x10da, 0x10db, 0x1054, 0x1055, 0x1056, 0x1057,
    0x1064, 0x1065, 0x1052, 0x1053, 0x1024, 0x1037, 0x1038, 0x1027, 0x1028, 0x1058, 0x1059, 0x102b,
    0x102c, 0x105a, 0x1066, 0x1067, 0x40f,  0x10c8, 0x10c9, 0x105b, 0x1033, 0x1034, 0x1035, 0x206c,
    0x206d, 0x204a, 0x204b, 0x204c, 0x204d, 0x2072, 0x2073, 0x2074, 0x2075, 0x2076, 0x2077, 0x2052,
    0x2053, 0x2054, 0x2055, 0x205a, 0x205b, 0x2064, 0x2065, 0x808,  0x80c,  0x80d,  0x1012, 0x1013,
    0x1014, 0x1015, 0x1016, 0x1017, 0x101c, 0x101d, 0x101e, 0x101f,
};

struct reader {
    const uint8_t *octets;
    size_t bits, at;
    bool reversed;
};

/* The next bit on the line; -1 at the end. */
static int take_bit(struct reader *reader)
{
    size_t i = reader->at++;
    unsigned shift = (unsigned)(reader->reversed ? 7 - i % 8 : i % 8);

    return i < reader->bits ? reader->octets[i / 8] >> shift & 1 : -1;
}

/* Moves behind the next EOL: eleven zeros or more, and a one (T.4 4.1.2, 4.1.3). */
static bool find_eol(struct reader *reader)
{
    int zeros = 0;
    int bit;

    while ((bit = take_bit(reader)) >= 0) {
        if (bit == 1 && zeros >= EOL_ZEROS)
            return true;
        zeros = bit == 0 ? zeros + 1 : 0;
    }
    return false;
}

/* A run of this colour, with its make-up codes; -1 for what is none. */
static int take_run(struct reader *reader, const uint16_t *codes)
{
    int run = 0;

    for (;;) {
        unsigned code = 1;
        int i = CODES;
        int bits;

        for (bits = 0; bits < CODE_BITS_MOST && i == CODES; bits++) {
            int bit = take_bit(reader);

            if (bit < 0)
                return -1;
            code = code << 1 | (unsigned)bit;
            for (i = 0; i < CODES && codes[i] != code; i++)
                ;
        }
        if (i == CODES)
            return -1;
        if (i < TERMINATING)
            return run + i;
        run += (i - TERMINATING + 1) * TERMINATING;
        if (run > UINT16_MAX)
            return -1;
    }
}

/* Reads one row and looks whether an EOL stands right behind it. */
static bool is_row(struct reader *reader, int width)
{
    bool black = false;
    int pixels = 0;
    int zeros = 0;
    int bit;

    for (; pixels < width; black = !black) {
        int run = take_run(reader, black ? black_codes : white_codes);

        if (run < 0)
            return false;
        pixels += run;
        if (run == 0 && black)
            return false; /* no encoder writes that; endless zeros would be read as rows */
    }
    while ((bit = take_bit(reader)) == 0)
        zeros++;
    return pixels == width && bit == 1 && zeros >= EOL_ZEROS;
}

int class2_count_rows(const uint8_t *octets, size_t length, bool reversed, int width, bool is_2d,
                      int most)
{
    struct reader reader = {.octets = octets, .bits = length * 8, .reversed = reversed};
    int rows = 0;

    while (rows < most && find_eol(&reader)) {
        size_t begin = reader.at;

        if (is_2d && take_bit(&reader) != 1)
            continue;
        rows += is_row(&reader, width);
        reader.at = begin; /* the EOL behind it begins another */
    }
    return rows;
}

static uint8_t reverse(uint8_t octet)
{
    octet = (uint8_t)((octet & 0xf0) >> 4 | (octet & 0x0f) << 4);
    octet = (uint8_t)((octet & 0xcc) >> 2 | (octet & 0x33) << 2);
    return (uint8_t)((octet & 0xaa) >> 1 | (octet & 0x55) << 1);
}

void class2_reverse_bits(uint8_t *out, const uint8_t *octets, size_t length)
{
    for (size_t i = 0; i < length; i++)
        out[i] = reverse(octets[i]);
}
