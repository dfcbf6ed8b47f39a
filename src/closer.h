/* SPDX-License-Identifier: MIT */
/*
 * closer.h - closes what others have made. To close a socket can take as long as its sender likes
 * (SO_LINGER), and a connection in which descriptors lie unread closes them too. A loop that serves
 * others must not wait for that: a thread does.
 */
#ifndef FAXPOST_SRC_CLOSER_H
#define FAXPOST_SRC_CLOSER_H

#include <stdbool.h>

/* A descriptor that a stranger sent. Does not wait; negative: nothing. */
void closer_close(int fd);

/* A connection of AF_UNIX with a stranger, who can send nothing more by it. Does not wait. */
void closer_close_connection(int fd);

/* So many closings last that no more should be asked for. */
bool closer_is_busy(void);

#endif
