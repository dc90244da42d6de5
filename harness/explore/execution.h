/* SPDX-License-Identifier: MIT
 * One execution of a program, from its start to its end or failure, by a rule that picks every
 * step. Replays, random walks and the shortening of failures are such rules. */
#ifndef DD_EXECUTION_H
#define DD_EXECUTION_H

#include "search.h"

/* An execution of so many steps is given up: nothing that is explored takes a tenth of them. */
#define DD_EXECUTION_STEPS 10000u
#define DD_PICK_NONE UINT32_MAX

/* Forgets which words are shared and learns it anew, by some executions at random, always the same
 * ones: what is an event in a replay was one when its string was written. */
void dd_stage_rehearse(const dd_stage *stage);

/* What a rule picks from: the steps possible now, those of the fibre that moved last foremost, the
 * spurious ones last. */
typedef struct dd_options_now {
    const dd_choice *choice;
    uint32_t n, n_spurious;
    uint32_t last; /* the fibre that moved last */
    uint64_t step; /* taken before */
} dd_options_now;

/* returns  an index into choice, or DD_PICK_NONE to break the execution off                  */
typedef uint32_t dd_pick_fn(void *user, const dd_options_now *now);

typedef enum dd_end {
    DD_END_PASSED,
    DD_END_FAILED,     /* dd_world_failure() tells how */
    DD_END_BROKEN_OFF, /* the rule picked nothing */
} dd_end;

typedef struct dd_execution {
    dd_step *step;
    uint32_t *index; /* what was picked, by step */
    uint64_t n, room;
    uint32_t n_fibres; /* the most at a time */
    uint64_t changes;  /* of thread, at which the thread before could have gone on */
} dd_execution;

/* Runs the program from its start and records its steps in *e, which begins as {0} and may be used
 * again. If a word turns out to be shared that was taken for private, begins anew, after
 * `again(user)`; NULL: the rule needs no such notice. The world stays as it is at the end. */
dd_end dd_execution_run(const dd_stage *stage, dd_pick_fn *pick, void (*again)(void *user),
                        void *user, dd_execution *e);
void dd_execution_release(dd_execution *e);

/* The same steps once more, as recorded: the world is then as it was at their end.           */
dd_end dd_execution_repeat(const dd_stage *stage, const dd_choice *choice, uint64_t n,
                           dd_execution *e);

/* A generator of random numbers (splitmix64), good enough to pick by. */
typedef struct dd_dice {
    uint64_t state;
} dd_dice;

uint64_t dd_dice_roll(dd_dice *d);
uint32_t dd_dice_below(dd_dice *d, uint32_t n); /* n > 0 */

double dd_clock_s(void); /* monotonic */

#endif
