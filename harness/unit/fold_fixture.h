/* SPDX-License-Identifier: MIT
 * Steps of folding played by one thread: plan, combine and queues are real, gradients are hashes of
 * the expressions that made them, and the order in which workers move is drawn from a seed. */
#ifndef FOLD_FIXTURE_H
#define FOLD_FIXTURE_H

#include "fold.h"
#include "queues.h"

typedef struct fold_player fold_player;

enum { FIXTURE_TOKENS = 100 }; /* of a sequence: two of them may run together */

typedef struct fold_fixture {
    uint32_t lane_depth, n_places; /* 12^lane_depth */
    uint64_t *weight;              /* (n_places) */
    const dd_hierarchy *hierarchy;
    dd_share *share;
    bool stealing;
    dd_reduce reduce;
    dd_plan_kind kind;
    dd_plan *plan;
    dd_combine *combine;
    dd_queues *queues; /* when stealing */
    uint64_t expected; /* the root's hash by NUMERICS 7 */

    /* the step in progress, then the last one */
    fold_player *player; /* (n_workers) */
    uint64_t *value;     /* (n_segments) 0: nothing that matters */
    uint32_t *holder;    /* (n_segments) the thread that may write it, or NOBODY */
    uint8_t *lane_runs;  /* (n_places) */
    uint64_t seed;
    uint64_t n_folds;
    uint32_t n_roots, root;     /* segment, or DD_NO_SEGMENT */
    uint32_t n_stolen, n_fused; /* lanes; those added to a value as they ran */
    uint32_t n_cancelled;       /* operands handed in as cancelled */
    uint32_t highest;           /* `owner`: values at hand at once when the list is followed */
} fold_fixture;

uint32_t random_below(uint64_t *seed, uint32_t n);

/* One thread plays all of them; `slow` workers move only when no other can. */
typedef struct fold_order {
    uint64_t seed;
    uint32_t burst;     /* moves in a row, at most */
    uint32_t slow;      /* of every 8 workers, about */
    uint32_t cancelled; /* of every 64 moves, about one in which a worker cancels; 0: none */
} fold_order;

/* Whether the plan keeps lanes apart. */
bool fold_fixture_apart(const fold_fixture *f);

/* batch: sequences of FIXTURE_TOKENS, dealt to lanes as in NUMERICS 1. Borrows h. */
void fold_fixture_open(fold_fixture *f, uint32_t lane_depth, uint64_t batch, const dd_hierarchy *h,
                       dd_reduce reduce, bool stealing);
void fold_fixture_close(fold_fixture *f);

/* Plays a step and asserts what holds of every step: each non-empty lane ran once, in a segment
 * that was free and writable, one root came, and it is the expected one after (lanes - 1) folds, or
 * cancelled if anything was. */
void fold_fixture_step(fold_fixture *f, const fold_order *order);

#endif
