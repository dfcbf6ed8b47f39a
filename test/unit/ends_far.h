/* SPDX-License-Identifier: MIT */
/*
 * ends_far.h - far ends for ends_rig.h; what each does stands in ends_far.c and, in words, in
 * test_ends.c. One at a time.
 */
#ifndef FAXPOST_TEST_ENDS_FAR_H
#define FAXPOST_TEST_ENDS_FAR_H

#include "test/unit/ends_rig.h"

void far_end_silent(struct far *far);
void far_end_silent_after_dcs(struct far *far);
void far_end_silent_after_cfr(struct far *far);
void far_end_silent_in_page(struct far *far);
void far_end_silent_after_page(struct far *far);
void far_end_silent_after_last_page(struct far *far);
void far_end_flags(struct far *far);
void far_end_flags_after_dis(struct far *far);
void far_end_flags_after_cfr(struct far *far);
void far_end_flags_after_page(struct far *far);
void far_end_flags_after_last_page(struct far *far);
void far_end_training_check(struct far *far);
void far_end_failing_training(struct far *far);
void far_end_training(struct far *far);
void far_end_ctc(struct far *far);
void far_end_eor(struct far *far);
void far_end_rr(struct far *far);
void far_end_rnr(struct far *far);
void far_end_crp(struct far *far);
void far_end_crp_after_page(struct far *far);
void far_end_dis(struct far *far);
void far_end_tsi(struct far *far);
void far_end_frames_of_noise(struct far *far);
void far_end_missing_frames(struct far *far);
void far_end_repeated_eop(struct far *far);
void far_end_repeated_mps(struct far *far);
void far_end_rr_to_a_slow_disk(struct far *far);
void far_end_mps_without_page(struct far *far);
void far_end_bad_pages(struct far *far);
void far_end_frames_without_end(struct far *far);
void far_end_fill_without_end(struct far *far);
void far_end_rows_without_end(struct far *far);
void far_end_rubbish_without_end(struct far *far);
void far_end_pages(struct far *far);
void far_end_long_pages(struct far *far);
void far_end_blocks(struct far *far);
void far_end_tone_2100(struct far *far);
void far_end_tone_1100(struct far *far);
void far_end_noise(struct far *far);
void far_end_noise_after_cfr(struct far *far);
void far_end_noise_after_page(struct far *far);
void far_end_early_caller(struct far *far);

#endif
