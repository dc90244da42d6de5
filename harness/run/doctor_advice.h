/* SPDX-License-Identifier: MIT
 * Judges what `dodeca doctor` found: what would spoil a measurement here, and what to do about it.
 * Pure: no files, no clock. */
#ifndef DD_DOCTOR_ADVICE_H
#define DD_DOCTOR_ADVICE_H

#include "doctor_conditions.h"
#include "doctor_machine.h"
#include "doctor_measure.h"
#include "doctor_team.h"

typedef struct dd_facts {
    dd_found found;
    dd_conditions conditions;
    bool measured;          /* what follows is valid */
    dd_meanwhile meanwhile; /* while it was measured */
    dd_noise noise;
    dd_reached alone, together; /* one thread; all CPUs of this process. threads 0: not measured */
    const char *build_type, *sanitizer;
    const char *unwind_denied; /* "": stacks of a hung cell can be shown */
    bool has_king_james;
} dd_facts;

typedef struct dd_advice {
    size_t n;
    char line[24][320];
} dd_advice;

void dd_advice_weigh(const dd_facts *f, dd_advice *out);

#endif
