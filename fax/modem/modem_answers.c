/* SPDX-License-Identifier: MIT */
/*
 * modem_answers.c - one reader for numbers and ranges, and what they mean in each answer.
 */
#include "fax/modem/modem_answers.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

enum { NUMBER_MOST = 9999 };

bool modem_answer_is_final(const char *line, bool *out_ok)
{
    line += strspn(line, ". ");
    *out_ok = strcasecmp(line, "OK") == 0;
    return *out_ok || strcasecmp(line, "ERROR") == 0;
}

/* Behind "+FCLASS: " or "+FCLASS=", where an answer repeats its name. */
static const char *value_of(const char *line)
{
    const char *colon;

    if (line[0] != '+')
        return line;
    colon = strpbrk(line, ":=");
    return colon != NULL ? colon + 1 : line;
}

struct number {
    int whole;
    int fraction; /* -1: none */
    int last;     /* of a range of whole numbers; else as whole */
};

static int digits(const char **at)
{
    int n = 0;

    for (; isdigit((unsigned char)**at); (*at)++)
        n = n < NUMBER_MOST ? n * 10 + (**at - '0') : NUMBER_MOST;
    return n;
}

/* The next number or range of a list: "1.0", "24", "0-5". False at the end. */
static bool number_next(const char **at, struct number *out)
{
    *at += strcspn(*at, "0123456789");
    if (**at == '\0')
        return false;
    out->whole = out->last = digits(at);
    out->fraction = -1;
    if (**at == '.' && isdigit((unsigned char)(*at)[1])) {
        (*at)++;
        out->fraction = digits(at);
    } else if (**at == '-' && isdigit((unsigned char)(*at)[1])) {
        (*at)++;
        out->last = digits(at);
    }
    return true;
}

unsigned modem_answer_classes(const char *line, bool *out_any)
{
    const char *at = value_of(line);
    struct number n;
    unsigned classes = 0;

    *out_any = false;
    while (number_next(&at, &n)) {
        *out_any = true;
        if (n.fraction < 0 && n.whole <= 1 && n.last >= 1)
            classes |= 1u << MODEM_CLASS_1;
        if (n.fraction < 0 && n.whole <= 2 && n.last >= 2)
            classes |= 1u << MODEM_CLASS_2;
        if (n.fraction == 0 && n.whole == 1)
            classes |= 1u << MODEM_CLASS_1_0;
        if (n.fraction == 0 && n.whole == 2)
            classes |= 1u << MODEM_CLASS_2_0;
        if (n.fraction == 1 && n.whole == 2)
            classes |= 1u << MODEM_CLASS_2_1;
    }
    return classes;
}

unsigned modem_answer_carriers(const char *line)
{
    static const struct {
        int carrier;
        unsigned rate;
    } carriers[] = {
        {24, MODEM_V27TER}, {48, MODEM_V27TER}, {72, MODEM_V29},  {96, MODEM_V29},
        {73, MODEM_V17},    {74, MODEM_V17},    {97, MODEM_V17},  {98, MODEM_V17},
        {121, MODEM_V17},   {122, MODEM_V17},   {145, MODEM_V17}, {146, MODEM_V17},
    };
    const char *at = value_of(line);
    struct number n;
    unsigned rates = 0;
    size_t i;

    while (number_next(&at, &n))
        for (i = 0; i < sizeof carriers / sizeof carriers[0]; i++)
            if (n.whole <= carriers[i].carrier && n.last >= carriers[i].carrier)
                rates |= carriers[i].rate;
    return rates;
}

/* BR: 0, 1 V.27 ter; 2, 3 V.29 (or V.17); 4, 5 V.17 at 12000 and 14400 (T.32 table 21). */
unsigned modem_answer_bit_rates(const char *line)
{
    const char *at = strchr(value_of(line), '(');
    struct number n;
    unsigned rates = 0;
    char field[32];
    size_t length;

    at = at != NULL ? strchr(at + 1, '(') : NULL;
    if (at == NULL)
        return 0;
    length = strcspn(at, ")");
    if (length >= sizeof field)
        return 0;
    memcpy(field, at, length);
    field[length] = '\0';
    for (at = field; number_next(&at, &n);) {
        rates |= MODEM_V27TER;
        if (n.last >= 2)
            rates |= MODEM_V29;
        if (n.last >= 4)
            rates |= MODEM_V17;
    }
    return rates;
}

void modem_answer_text(char *out, size_t size, const char *line)
{
    const char *begin = value_of(line);
    char *end;

    begin += strspn(begin, " \"");
    text_copy(out, size, begin);
    for (end = out + strlen(out); end > out && strchr(" \"", end[-1]) != NULL; end--)
        end[-1] = '\0';
}
