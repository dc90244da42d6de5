/* SPDX-License-Identifier: MIT
 * What a step is made of, counted and not measured: operations, bytes and meetings of one
 * configuration, from the shape of the model and from the trainer's own placement, hierarchy and
 * fold plan. A step's time is modelled as the sum of these amounts, each times a coefficient. */
#ifndef DD_COST_AMOUNTS_H
#define DD_COST_AMOUNTS_H

#include "dodeca.h"

typedef struct dd_cost_case {
    dd_shape shape;
    uint32_t batch, seq, lane_depth;
    uint32_t depth, workers;
    dd_reduce reduce; /* none of DD_REDUCE_AUTO */
    dd_barrier barrier;
} dd_cost_case;

/* Of a step's longest worker, where nothing else is said. Workers run side by side: what they
 * share out counts divided by them. */
typedef enum dd_cost_term {
    DD_COST_PRODUCTS,  /* operations of matrix products */
    DD_COST_ATTENTION, /* operations of attention */
    DD_COST_ROWS,      /* bytes of activations */
    DD_COST_WEIGHTS, /* bytes of weights that each run of lanes reads: all workers the same ones */
    DD_COST_GRADIENTS, /* bytes of gradients that runs of lanes write, or add to */
    DD_COST_KEPT,   /* bytes of activations that `owner` keeps of the whole batch and reads again */
    DD_COST_CALLS,  /* calls of kernels */
    DD_COST_FOLDS,  /* bytes of folds, one after another */
    DD_COST_OWNED,  /* bytes folded in registers by `owner` */
    DD_COST_UPDATE, /* bytes of norm and update */
    DD_COST_SHARED, /* bytes of folds and update of all workers together */
    DD_COST_ALONE,  /* sequences, spheres and folds that one thread lists for all */
    DD_COST_STEP,   /* 1 */
    DD_COST_TREE_LEVELS,      /* levels that A, B, V and U cross, by the tree barrier */
    DD_COST_TREE_SIBLINGS,    /* others that meet at a level, summed over levels */
    DD_COST_PTHREAD_LEVELS,   /* the same of pthread barriers */
    DD_COST_PTHREAD_SIBLINGS, /* */
    DD_COST_WOKEN,            /* levels whose controls are woken to fold: `control` */
    DD_COST_TERMS
} dd_cost_term;

typedef struct dd_cost_amounts {
    double of[DD_COST_TERMS];
    double fewest_siblings; /* of DD_COST_*_SIBLINGS, had each level one other at most */
    double lane_bound;      /* tokens / most tokens on one worker */
    double bytes;           /* of gradients, activations and workspaces; not weights and moments */
} dd_cost_amounts;

/* requires a valid shape, 1 <= depth, lane_depth <= 3, 1 <= workers <= 12^depth, non-empty lanes
 *          for all workers
 * errors   DD_ERR_MEMORY                                                                      */
dd_status dd_cost_count(const dd_cost_case *c, dd_cost_amounts *out);

/* Lanes that hold a sequence: min(batch, 12^lane_depth). */
uint32_t dd_cost_lanes(uint32_t batch, uint32_t lane_depth);

/* "products", …; how a coefficient is told: "GFLOP/s", "GB/s", "us", "ns" */
typedef enum dd_cost_unit { DD_COST_GFLOPS, DD_COST_GBS, DD_COST_US, DD_COST_NS } dd_cost_unit;
typedef struct dd_cost_about {
    const char *name, *what;
    dd_cost_unit unit;
} dd_cost_about;
const dd_cost_about *dd_cost_about_term(dd_cost_term term);

#endif
