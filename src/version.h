/* SPDX-License-Identifier: MIT */
/*
 * version.h - what the build knows: configure gives both.
 */
#ifndef FAXPOST_SRC_VERSION_H
#define FAXPOST_SRC_VERSION_H

#ifdef PACKAGE_VERSION
#define FAXPOST_VERSION PACKAGE_VERSION
#else
#define FAXPOST_VERSION "unknown"
#endif

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif

#define DEFAULT_CONF_PATH SYSCONFDIR "/faxpost/faxpost.ini"

#endif
