/* SPDX-License-Identifier: MIT
 * Small programs whose outcome is known: what the explorer must find, and what it must not. */
#ifndef DD_TOYS_H
#define DD_TOYS_H

#include "explore.h"

/* As dd_program, with what must come of it. */
typedef struct dd_toy {
    dd_program program;
    dd_explore_verdict verdict;
    uint32_t
        outcomes; /* PASS: bit i, some execution reported outcome i, and no others were reported */
    uint64_t states;   /* PASS: exactly so many, 0: any number */
    double executions; /* the same */
} dd_toy;

extern const dd_toy dd_toys[]; /* ends with program.name NULL */

/* The outcomes reported since it was last cleared. The one mutable global that explored code
 * writes: it gathers from all executions and no execution reads it. */
extern uint32_t dd_toy_outcomes;

#endif
