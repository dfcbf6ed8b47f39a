/* SPDX-License-Identifier: MIT */
/*
 * front_class2.c - a Class 2, 2.0 or 2.1 modem (T.32), which speaks T.30 itself: we play the caller
 * to our own core.
 */
#include "fax/front.h"

struct front *front_class2_new(struct session *session, const struct session_settings *settings)
{
    (void)session, (void)settings;
    return NULL;
}
