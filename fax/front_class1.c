/* SPDX-License-Identifier: MIT */
/*
 * front_class1.c - a Class 1 or 1.0 modem (T.31) before the T.30 core.
 */
#include "fax/front.h"

struct front *front_class1_new(struct session *session, const struct modem_traits *modem)
{
    (void)session, (void)modem;
    return NULL;
}
