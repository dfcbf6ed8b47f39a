/* SPDX-License-Identifier: MIT */
/*
 * front_modem.c - T.30 is ours with Class 1, the modem's with Class 2.
 */
#include "fax/modem/front_modem.h"

struct front *front_modem_new(struct session *session, const struct session_settings *settings)
{
    if (settings->modem.class >= MODEM_CLASS_2)
        return front_class2_new(session, settings);
    return front_class1_new(session, &settings->modem);
}
