/* SPDX-License-Identifier: MIT */
/*
 * gate.h - the confirmation gate: no page is confirmed before it is durable.
 *
 * A state machine without I/O, clock or library: the session tells it what came in, what the core
 * wants to answer and how the store went, and does what it says. The frame that the core handed
 * over as confirmation (MCF or RTP) is kept here while the page is being stored; the core stands
 * still.
 *
 *   command ─► HOLDING ──durable──► release
 *                 │ 2.2 s, still storing
 *                 ├── ECM ────► WAITING_RR: RNR sent; RR (or the command again) ─► HOLDING; 55 s at
 * most └── no ECM ─► LISTENING: silence; the command again ─► HOLDING; three commands at most not
 * storable, or out of time: refuse (DCN)
 *
 * It also answers a repeated command with the answer that it got before, which the core does not.
 */
#ifndef FAXPOST_FAX_GATE_H
#define FAXPOST_FAX_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gate_phase { GATE_OPEN, GATE_HOLDING, GATE_WAITING_RR, GATE_LISTENING };
enum gate_store { GATE_STORE_NONE, GATE_STORE_PENDING, GATE_STORE_DONE, GATE_STORE_FAILED };

enum {
    GATE_SILENCE_MS = 2200, /* the sender's T4 is 3 s ± 15 %, the preamble takes 1 s more */
    GATE_ECM_MS = 55000,    /* below the sender's T5 of 60 s (T.30 5.4.3.1) */
    GATE_ECM_RR_MS = 15000, /* a sender that does not ask again after RNR is gone */
    GATE_REPEAT_MS = 10000, /* nor one that does not repeat its command */
    GATE_COMMANDS_MOST = 3, /* T.30: a command is sent three times */
    /* From our answer on: MCF of 1.4 s, T4 of 3.45 s, a command of 1.35 s. What comes later outside
     * ECM is no repeat: it ends a page of which nothing was heard. */
    GATE_AGAIN_MS = 6500,
    GATE_FRAME_MAX = 40,
};

struct gate {
    enum gate_phase phase;
    enum gate_store store;
    uint32_t generation; /* of the page being stored; older outcomes are ignored */
    bool ecm;
    /* > 0: a modem that speaks T.30 itself keeps the sender waiting so long, and nobody repeats a
     * command to us: HOLDING until then, neither RNR nor LISTENING. */
    int64_t patience_ms;
    int commands;     /* how often this command came */
    int64_t first_ms; /* when it came first */
    int64_t last_ms;  /* when it, or RR, came last, or was answered */
    int64_t left_ms;  /* when RNR was sent or listening began */
    uint8_t command[GATE_FRAME_MAX];
    size_t command_length;          /* 0: none, or image data came since */
    uint8_t answer[GATE_FRAME_MAX]; /* held, or given to the command above */
    size_t answer_length;           /* 0: none yet */
};

/* What to do with a frame that came in. */
enum gate_input {
    GATE_INPUT_CORE,    /* hand it to the core */
    GATE_INPUT_SWALLOW, /* it was meant for the gate */
    GATE_INPUT_REPEAT,  /* swallow it and send gate.answer again, without the core */
};

/* What the session has to do now. */
enum gate_action {
    GATE_NOTHING,
    GATE_RELEASE, /* hand gate.answer to the front end, let the core go on: the page is confirmed */
    GATE_SEND_RNR, /* send RNR without the core */
    GATE_REFUSE,   /* send DCN without the core and end the session */
};

void gate_init(struct gate *gate);

/* A frame with a good FCS came in (the guard let it pass), at now_ms. */
enum gate_input gate_receive(struct gate *gate, const uint8_t *frame, size_t length, bool ecm,
                             int64_t now_ms);

/* Image data outside ECM frames came in: what comes next belongs to a new page. */
void gate_image_data(struct gate *gate);

/* The core answers the last command with this frame. `holds`: it confirms a new page, keep it until
 * the store's outcome; gives the generation that the outcome has to name. Otherwise it is only
 * remembered and 0 is given. */
uint32_t gate_answer(struct gate *gate, const uint8_t *frame, size_t length, bool holds);

/* The core flushed what it had queued: a frame that is held is no longer wanted. */
void gate_cancel(struct gate *gate);

/* The outcome of a store: 0 or a negative error. False when it belongs to an older generation. */
bool gate_stored(struct gate *gate, uint32_t generation, int error);

/* What is due at now_ms. To be asked after every input and at every tick. */
enum gate_action gate_step(struct gate *gate, int64_t now_ms);

#endif
