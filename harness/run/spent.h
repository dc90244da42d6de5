/* SPDX-License-Identifier: MIT
 * Where the threads' time went: phases and waits up to some moment, and between two. Adds up what
 * the trainer measured; measures nothing itself. */
#ifndef DD_SPENT_H
#define DD_SPENT_H

#include "dodeca.h"

enum { DD_SPENT_PHASES = 32 }; /* room; the trainer has fewer */

typedef struct dd_spent {
    dd_phase_info phase[DD_SPENT_PHASES];
    uint32_t n_phases;
    uint64_t wait_ns[4]; /* of workers, at A, B, V, U */
    uint64_t at_ns;      /* the moment; of a difference, the time between */
    uint32_t workers;    /* present ones */
    uint64_t n_changes;  /* of membership, up to here */
    bool controls_fold;  /* folds and norm are controls' work, done while workers wait */
} dd_spent;

/* Up to now. Between steps and commands only. */
dd_spent dd_spent_now(const dd_trainer *trainer);
/* From one moment to a later one, with one number of workers. */
dd_spent dd_spent_between(const dd_spent *before, const dd_spent *after);

/* The points as wait_ns has them: "A", "B", "V", "U". */
extern const char *const dd_spent_point[4];
/* Whether the phase is none of the workers' time. */
bool dd_spent_by_controls(const dd_spent *s, const dd_phase_info *phase);
/* Of a difference: what neither a phase nor a wait accounts for; it may come out below 0 by what
 * clocks are off. */
double dd_spent_other_ns(const dd_spent *s);

#endif
