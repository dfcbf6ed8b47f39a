/* SPDX-License-Identifier: MIT */
/*
 * guard.h - looks at every frame before the T.30 core does, and keeps away those that break it.
 *
 * The packaged core trusts the lengths and codes in frames; each rule in guard.c names the frame
 * and what it would do. A pure function of the frame and of what our DIS offered.
 */
#ifndef FAXPOST_FAX_GUARD_H
#define FAXPOST_FAX_GUARD_H

#include <stddef.h>
#include <stdint.h>

struct guard {
    uint8_t dis[32];   /* our last DIS, what a DCS may ask for */
    size_t dis_length; /* 0: none sent yet */
};

enum guard_verdict {
    GUARD_PASS,
    GUARD_DROP,   /* malformed: treat as a frame with a bad FCS, the sender will repeat */
    GUARD_IGNORE, /* well-formed, and of no use to us: the core need not see it */
    GUARD_REFUSE, /* well-formed, but asks for what we did not offer: answer DCN and end */
};

/* Notes the DIS that goes out. */
void guard_offer(struct guard *guard, const uint8_t *frame, size_t length);

/* Judges a frame with a good FCS. *why is set to a literal for all but GUARD_PASS. */
enum guard_verdict guard_frame(const struct guard *guard, const uint8_t *frame, size_t length,
                               const char **why);

#endif
