/* SPDX-License-Identifier: MIT */
/*
 * test_gate.c - the confirmation gate as a table of what happens and what it says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fax/t30/frames.h"
#include "fax/t30/gate.h"

enum event {
    END,
    COMMAND, /* the sender's command; expects enum gate_input */
    OTHER,   /* some other frame: RR, FCD, DCN by `value` */
    HOLD,    /* the core confirms a new page */
    ANSWER,  /* the core answers without a new page */
    STORED,  /* value: 0 done, 1 failed, 2 done but of an older page */
    AT,      /* value ms after the beginning: expects enum gate_action */
    CANCEL,
};

struct step {
    enum event event;
    int value;
    int expected;
};

struct scenario {
    const char *name;
    bool ecm;
    struct step steps[16];
};

/* clang-format off */
static const struct scenario scenarios[] = {
    {"stored at once", true, {{COMMAND, 0, GATE_INPUT_CORE}, {HOLD, 0, 0}, {AT, 20, GATE_NOTHING}, {STORED, 0, 0}, {AT, 40, GATE_RELEASE}, {AT, 60, GATE_NOTHING}, {END, 0, 0}}},
    {"stored just in time", true, {{COMMAND, 0, GATE_INPUT_CORE}, {HOLD, 0, 0}, {AT, 2200, GATE_NOTHING}, {STORED, 0, 0}, {AT, 2200, GATE_RELEASE}, {END, 0, 0}}},
    {"RNR, RR, stored", true, {{COMMAND, 0, GATE_INPUT_CORE}, {HOLD, 0, 0}, {AT, 2220, GATE_SEND_RNR}, {STORED, 0, 0}, {AT, 3000, GATE_NOTHING}, {OTHER, FCF_RR, GATE_INPUT_SWALLOW}, {AT, 4000, GATE_RELEASE}, {END, 0, 0}}},
    {"RNR twice", true, {{COMMAND, 0, GATE_INPUT_CORE}, {HOLD, 0, 0}, {AT, 2220, GATE_SEND_RNR}, {OTHER, FCF_RR, GATE_INPUT_SWALLOW}, {AT, 4500, GATE_SEND_RNR}, {OTHER, FCF_RR, GATE_INPUT_SWALLOW}, {STORED, 0, 0}, {AT, 4600, GATE_RELEASE}, {END, 0, 0}}},
    {"the command again is as good as RR", true, {{COMMAND, 0, GATE_INPUT_CORE}, {HOLD, 0, 0}, {AT, 2220, GATE_SEND_RNR}, {COMMAND, 0, GATE_INPUT_SWALLOW}, {STORED, 0, 0}, {AT, 5000, GATE_RELEASE}, {END, 0, 0}}},
    {"no RR", true, {{COMMAND, 0, GATE_INPUT_CORE}, {HOLD, 0, 0}, {AT, 2220, GATE_SEND_RNR}, {AT, 17000, GATE_NOTHING}, {AT, 17240, GATE_REFUSE}, {END, 0, 0}}},
    {"55 s are over", true, {{COMMAND, 0, GATE_INPUT_CORE}, {HOLD, 0, 0}, {AT, 2220, GATE_SEND_RNR}, {AT, 17000, GATE_NOTHING}, {OTHER, FCF_RR, GATE_INPUT_SWALLOW}, {AT, 56000, GATE_REFUSE}, {END, 0, 0}}},
    {"not storable", true, {{COMMAND, 0, GATE_INPUT_CORE}, {HOLD, 0, 0}, {STORED, 1, 0}, {AT, 20, GATE_REFUSE}, {AT, 40, GATE_NOTHING}, {END, 0, 0}}},
    {"not storable, found out after RNR", true, {{COMMAND, 0, GATE_INPUT_CORE}, {HOLD, 0, 0}, {AT, 2220, GATE_SEND_RNR}, {STORED, 1, 0}, {AT, 2300, GATE_NOTHING}, {OTHER, FCF_RR, GATE_INPUT_SWALLOW}, {AT, 4000, GATE_REFUSE}, {END, 0, 0}}},
    {"no ECM: silence, second command", false, {{COMMAND, 0, GATE_INPUT_CORE}, {HOLD, 0, 0}, {AT, 2220, GATE_NOTHING}, {STORED, 0, 0}, {AT, 2900, GATE_NOTHING}, {COMMAND, 0, GATE_INPUT_SWALLOW}, {AT, 3100, GATE_RELEASE}, {END, 0, 0}}},
    {"no ECM: three commands", false, {{COMMAND, 0, GATE_INPUT_CORE}, {HOLD, 0, 0}, {AT, 2220, GATE_NOTHING}, {AT, 3000, GATE_NOTHING}, {COMMAND, 0, GATE_INPUT_SWALLOW}, {AT, 5220, GATE_NOTHING}, {AT, 6000, GATE_NOTHING}, {COMMAND, 0, GATE_INPUT_SWALLOW}, {AT, 8000, GATE_NOTHING}, {AT, 8220, GATE_REFUSE}, {END, 0, 0}}},
    {"no ECM: RR means nothing", false, {{COMMAND, 0, GATE_INPUT_CORE}, {HOLD, 0, 0}, {AT, 2220, GATE_NOTHING}, {OTHER, FCF_RR, GATE_INPUT_SWALLOW}, {STORED, 0, 0}, {AT, 3000, GATE_NOTHING}, {END, 0, 0}}},
    {"no ECM: no second command", false, {{COMMAND, 0, GATE_INPUT_CORE}, {HOLD, 0, 0}, {AT, 2220, GATE_NOTHING}, {AT, 12240, GATE_REFUSE}, {END, 0, 0}}},
    {"the outcome of an older store", true, {{COMMAND, 0, GATE_INPUT_CORE}, {HOLD, 0, 0}, {STORED, 2, 0}, {AT, 100, GATE_NOTHING}, {STORED, 0, 0}, {AT, 120, GATE_RELEASE}, {END, 0, 0}}},
    {"the sender gives up", true, {{COMMAND, 0, GATE_INPUT_CORE}, {HOLD, 0, 0}, {OTHER, FCF_DCN, GATE_INPUT_CORE}, {STORED, 0, 0}, {AT, 100, GATE_NOTHING}, {END, 0, 0}}},
    {"flushed by the core", true, {{COMMAND, 0, GATE_INPUT_CORE}, {HOLD, 0, 0}, {CANCEL, 0, 0}, {STORED, 0, 0}, {AT, 100, GATE_NOTHING}, {END, 0, 0}}},
    {"the same answer to the same command", true, {{COMMAND, 0, GATE_INPUT_CORE}, {ANSWER, 0, 0}, {COMMAND, 0, GATE_INPUT_REPEAT}, {COMMAND, 0, GATE_INPUT_REPEAT}, {OTHER, FCF_CRP, GATE_INPUT_REPEAT}, {END, 0, 0}}},
    {"RR once more: the answer was lost", true, {{COMMAND, 0, GATE_INPUT_CORE}, {HOLD, 0, 0}, {AT, 2220, GATE_SEND_RNR}, {OTHER, FCF_RR, GATE_INPUT_SWALLOW}, {STORED, 0, 0}, {AT, 4000, GATE_RELEASE}, {OTHER, FCF_RR, GATE_INPUT_REPEAT}, {END, 0, 0}}},
    {"another command is no repeat", true, {{COMMAND, 0, GATE_INPUT_CORE}, {ANSWER, 0, 0}, {COMMAND, 1, GATE_INPUT_CORE}, {END, 0, 0}}},
    {"image data make it a new one", true, {{COMMAND, 0, GATE_INPUT_CORE}, {ANSWER, 0, 0}, {OTHER, FCF_FCD, GATE_INPUT_CORE}, {COMMAND, 0, GATE_INPUT_CORE}, {END, 0, 0}}},
    {"RCP alone does not", true, {{COMMAND, 0, GATE_INPUT_CORE}, {ANSWER, 0, 0}, {OTHER, FCF_RCP, GATE_INPUT_CORE}, {COMMAND, 0, GATE_INPUT_REPEAT}, {END, 0, 0}}},
    {"CRP before anything is the core's", true, {{OTHER, FCF_CRP, GATE_INPUT_CORE}, {END, 0, 0}}},
};
/* clang-format on */

static void play(const struct scenario *s)
{
    struct gate gate;
    uint8_t command[] = {0xff, 0x13, FCF_PPS, FCF_MPS, 0, 0, 9};
    uint8_t mcf[] = {0xff, 0x13, FCF_MCF};
    uint32_t generation = 0;
    int64_t now_ms = 0;

    gate_init(&gate);
    for (const struct step *step = s->steps; step->event != END; step++) {
        uint8_t other[] = {0xff, 0x13, (uint8_t)step->value, 0};
        int got = step->expected;

        switch (step->event) {
        case COMMAND:
            command[FRAME_PPS_PAGE] = (uint8_t)step->value;
            got = gate_receive(&gate, command, sizeof command, s->ecm, now_ms);
            break;
        case OTHER: got = gate_receive(&gate, other, sizeof other, s->ecm, now_ms); break;
        case HOLD: generation = gate_answer(&gate, mcf, sizeof mcf, true); break;
        case ANSWER: gate_answer(&gate, mcf, sizeof mcf, false); break;
        case STORED:
            gate_stored(&gate, step->value == 2 ? generation - 1 : generation,
                        step->value == 1 ? -2 : 0);
            break;
        case AT:
            now_ms = step->value;
            got = gate_step(&gate, now_ms);
            break;
        case CANCEL: gate_cancel(&gate); break;
        case END: break;
        }
        if (got != step->expected)
            fail_msg("%s, step %d: %d instead of %d", s->name, (int)(step - s->steps), got,
                     step->expected);
    }
}

static void test_scenarios(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        play(&scenarios[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_scenarios)};

    return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
