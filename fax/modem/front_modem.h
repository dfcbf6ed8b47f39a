/* SPDX-License-Identifier: MIT */
/*
 * front_modem.h - the front ends of a session that has a modem.
 */
#ifndef FAXPOST_FAX_FRONT_MODEM_H
#define FAXPOST_FAX_FRONT_MODEM_H

#include "fax/t30/front.h"
#include "fax/t30/session.h"

/* The one for settings->modem.class; a session_front_maker. */
struct front *front_modem_new(struct session *session, const struct session_settings *settings);

struct front *front_class1_new(struct session *session, const struct modem_traits *modem);
struct front *front_class2_new(struct session *session, const struct session_settings *settings);

#endif
