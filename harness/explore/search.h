/* SPDX-License-Identifier: MIT
 * What the search and the rendering of its traces share. */
#ifndef DD_SEARCH_H
#define DD_SEARCH_H

#include "runtime.h"

/* A step that was taken. */
typedef struct dd_step {
    dd_choice choice;
    dd_event event; /* as it was before */
    uint64_t result;
    char name[16]; /* CREATE: the new thread's */
} dd_step;

/* A program and how it is run. */
typedef struct dd_stage {
    const dd_program *program;
    dd_world_mode mode;
} dd_stage;

/* A growing list of choices. */
typedef struct dd_schedule {
    dd_choice *choice;
    uint64_t n, room;
} dd_schedule;

void dd_schedule_add(dd_schedule *s, dd_choice choice);
void dd_schedule_release(dd_schedule *s);

typedef enum dd_outcome {
    DD_OUTCOME_COMPLETE,
    DD_OUTCOME_FAILED,   /* the world has failed; a schedule holds the steps that led there */
    DD_OUTCOME_GIVEN_UP, /* a limit of the search was reached */
} dd_outcome;

/* Every state once: limits->tier is DD_TIER_EXHAUSTIVE or DD_TIER_BOUNDED. Counts into *result and
 * leaves its verdict alone.
 * until    a time of dd_clock_s(), 0: none
 * errors   an execution that need not end may be found only by looking back over all states: then
 *          *failed is empty                                                                  */
dd_outcome dd_states_search(const dd_stage *stage, const dd_explore_limits *limits, double until,
                            dd_explore_result *result, dd_schedule *failed);

#endif
