/* SPDX-License-Identifier: MIT */
/*
 * far_end.h - a session on virtual time for fuzz bodies, with a far end that says whatever it is
 * told, a pretended store, and a watch over what the session promises:
 *
 *   - nothing confirms a page that is not stored, on the wire or in what is told of the call;
 *   - a page to be stored can be read again, and is within the limits;
 *   - memory stays within bounds;
 *   - however the far end ends, the call ends soon after.
 *
 * A broken promise aborts.
 */
#ifndef FAXPOST_TEST_FAR_END_H
#define FAXPOST_TEST_FAR_END_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fax/t30/session.h"

struct far_end_options {
    enum session_media media; /* T38 or AUDIO */
    bool ecm, local_tcf;
    int store_ms;       /* how long a store takes; negative: until far_end_store() */
    int store_fails_at; /* the n-th store fails; 0: none */
    int rows_max;       /* 0: 3000 */
};

struct far_end;

struct far_end *far_end_new(const struct far_end_options *options);

/* The far end falls silent. Lets the call come to its end and frees all. */
void far_end_finish(struct far_end *far_end);

bool far_end_is_over(const struct far_end *far_end);
void far_end_wait(struct far_end *far_end, int ms);

/* Waits up to ms for a whole final frame from the session; its control field, 0 for none. T.38. */
uint8_t far_end_expect(struct far_end *far_end, int ms);

/* ---- T.38 -------------------------------------------------------------------------------------
 */

/* An IFP packet as it is. */
void far_end_ifp(struct far_end *far_end, const uint8_t *ifp, size_t length, uint16_t seq);

/* A frame in V.21, or on the image carrier of `rate` (a T.38 data type); final ends the signal. */
void far_end_v21(struct far_end *far_end, const uint8_t *frame, size_t length, bool final);
void far_end_image_frame(struct far_end *far_end, const uint8_t *frame, size_t length, bool final);
/* Image data outside ECM; end: the carrier goes. The octets go to the line as they are. */
void far_end_image_octets(struct far_end *far_end, const uint8_t *octets, size_t length, bool end);
/* DCS and TCF after the session's DIS; true when CFR came. NULL: V.17 14400, A4, fine, T.6 with
 * ECM, T.4 1-D without. */
bool far_end_train(struct far_end *far_end, const uint8_t *dcs, size_t length);

/* ---- audio ------------------------------------------------------------------------------------
 */

/* Silent, until the session has been so for half a second; at most ms. */
void far_end_listen(struct far_end *far_end, int ms);

/* 20 ms. */
void far_end_audio(struct far_end *far_end, const int16_t samples[SESSION_TICK_SAMPLES]);
/* Nothing came in these 20 ms; the samples are a guess. */
void far_end_no_audio(struct far_end *far_end, const int16_t samples[SESSION_TICK_SAMPLES]);

/* ---- around -----------------------------------------------------------------------------------
 */

/* The outcome of the store that is awaited, if any. */
void far_end_store(struct far_end *far_end, int error);
void far_end_hang_up(struct far_end *far_end);
void far_end_switch_t38(struct far_end *far_end);

#endif
