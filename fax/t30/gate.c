/* SPDX-License-Identifier: MIT */
/*
 * gate.c - see the picture in gate.h; every number has its reason there.
 */
#include "fax/t30/gate.h"

#include <string.h>

#include "fax/t30/frames.h"

void gate_init(struct gate *gate)
{
    memset(gate, 0, sizeof *gate);
}

/* Equal but for the X bit, which a sender may set differently after EOM. */
static bool is_same_command(const struct gate *gate, const uint8_t *frame, size_t length)
{
    if (gate->command_length == 0 || gate->command_length != length)
        return false;
    return frame_fcf(gate->command, length) == frame_fcf(frame, length) &&
           memcmp(gate->command + FRAME_FCF2, frame + FRAME_FCF2, length - FRAME_FCF2) == 0;
}

static void note_command(struct gate *gate, const uint8_t *frame, size_t length, bool ecm,
                         int64_t now_ms)
{
    gate->ecm = ecm;
    gate->commands = 1;
    gate->first_ms = gate->last_ms = now_ms;
    gate->command_length = length <= sizeof gate->command ? length : 0;
    memcpy(gate->command, frame, gate->command_length);
    gate->answer_length = 0;
}

/* While an answer is held, the sender may only ask again, or give up. */
static enum gate_input receive_while_held(struct gate *gate, const uint8_t *frame, size_t length,
                                          int64_t now_ms)
{
    uint8_t fcf = frame_fcf(frame, length);

    if (fcf == FCF_DCN) {
        gate_cancel(gate);
        return GATE_INPUT_CORE;
    }
    if (gate->phase == GATE_HOLDING) {
        /* an early repeat: it counts, and renews the time we have for the answer */
        if (is_same_command(gate, frame, length) || fcf == FCF_RR) {
            gate->commands++;
            gate->last_ms = now_ms;
        }
        return GATE_INPUT_SWALLOW;
    }
    if (is_same_command(gate, frame, length) || (gate->ecm && fcf == FCF_RR)) {
        gate->commands++;
        gate->last_ms = now_ms;
        gate->phase = GATE_HOLDING;
    }
    return GATE_INPUT_SWALLOW;
}

enum gate_input gate_receive(struct gate *gate, const uint8_t *frame, size_t length, bool ecm,
                             int64_t now_ms)
{
    uint8_t fcf = frame_fcf(frame, length);

    if (gate->phase != GATE_OPEN)
        return receive_while_held(gate, frame, length, now_ms);
    /* RR: the answer that came after RNR in the end was lost (T.30 annex A) */
    if ((fcf == FCF_CRP || fcf == FCF_RR) && gate->command_length > 0 && gate->answer_length > 0)
        return GATE_INPUT_REPEAT;
    if (frame_is_post_message(frame, length)) {
        if (is_same_command(gate, frame, length) && gate->answer_length > 0 &&
            (fcf == FCF_PPS || now_ms - gate->last_ms <= GATE_AGAIN_MS)) {
            gate->last_ms = now_ms;
            return GATE_INPUT_REPEAT;
        }
        note_command(gate, frame, length, ecm, now_ms);
    } else if (fcf != FCF_RCP && fcf != FCF_RR) {
        gate->command_length = 0; /* FCD, DCS, CTC …: the sender went on */
    }
    return GATE_INPUT_CORE;
}

void gate_image_data(struct gate *gate)
{
    if (gate->phase == GATE_OPEN)
        gate->command_length = 0;
}

uint32_t gate_answer(struct gate *gate, const uint8_t *frame, size_t length, bool holds)
{
    gate->answer_length = length <= sizeof gate->answer ? length : 0;
    memcpy(gate->answer, frame, gate->answer_length);
    if (!holds)
        return 0;
    gate->phase = GATE_HOLDING;
    gate->store = GATE_STORE_PENDING;
    return ++gate->generation;
}

void gate_cancel(struct gate *gate)
{
    if (gate->phase == GATE_OPEN)
        return;
    gate->phase = GATE_OPEN;
    gate->store = GATE_STORE_NONE;
    gate->command_length = gate->answer_length = 0;
    gate->generation++;
}

bool gate_stored(struct gate *gate, uint32_t generation, int error)
{
    if (generation != gate->generation || gate->store != GATE_STORE_PENDING)
        return false;
    gate->store = error == 0 ? GATE_STORE_DONE : GATE_STORE_FAILED;
    return true;
}

static enum gate_action refuse(struct gate *gate)
{
    gate_cancel(gate);
    return GATE_REFUSE;
}

/* The sender waits for an answer just now. */
static enum gate_action step_holding(struct gate *gate, int64_t now_ms)
{
    if (gate->store == GATE_STORE_FAILED)
        return refuse(gate);
    if (gate->store == GATE_STORE_DONE) {
        gate->phase = GATE_OPEN;
        gate->store = GATE_STORE_NONE;
        gate->last_ms = now_ms;
        return GATE_RELEASE;
    }
    if (gate->patience_ms > 0)
        return now_ms - gate->first_ms > gate->patience_ms ? refuse(gate) : GATE_NOTHING;
    if (now_ms - gate->last_ms <= GATE_SILENCE_MS)
        return GATE_NOTHING;
    if (gate->ecm && now_ms - gate->first_ms > GATE_ECM_MS)
        return refuse(gate);
    if (!gate->ecm && gate->commands >= GATE_COMMANDS_MOST)
        return refuse(gate);
    gate->left_ms = now_ms;
    gate->phase = gate->ecm ? GATE_WAITING_RR : GATE_LISTENING;
    return gate->ecm ? GATE_SEND_RNR : GATE_NOTHING;
}

enum gate_action gate_step(struct gate *gate, int64_t now_ms)
{
    switch (gate->phase) {
    case GATE_HOLDING: return step_holding(gate, now_ms);
    case GATE_WAITING_RR:
        return now_ms - gate->left_ms > GATE_ECM_RR_MS ? refuse(gate) : GATE_NOTHING;
    case GATE_LISTENING:
        return now_ms - gate->left_ms > GATE_REPEAT_MS ? refuse(gate) : GATE_NOTHING;
    default: return GATE_NOTHING;
    }
}
