/* SPDX-License-Identifier: MIT */
/*
 * party.h - who calls and who is called, out of SIP header values (RFC 3261 20.10, RFC 3966).
 */
#ifndef FAXPOST_FAX_PARTY_H
#define FAXPOST_FAX_PARTY_H

#include <stdbool.h>
#include <stddef.h>

#include "spool/call_info.h"

/* Reads the value of a From, To, P-Asserted-Identity or Diversion header, or a bare URI: the user
 * part of a sip: or tel: URI becomes the number, without parameters, escapes and (for telephone
 * numbers) visual separators. What is too long is cut, what is not printable becomes '?'. False,
 * and both empty, when there is no URI. name may be NULL. */
bool party_parse(const char *value, size_t length, char number[CALL_NUMBER_MAX],
                 char name[CALL_NAME_MAX]);

#endif
