/* SPDX-License-Identifier: MIT
 * The fold tree: which gradients are added, left + right, in which order (NUMERICS 7), and the plan
 * by which workers carry it out. Twelve positions make eleven binary folds: (p0+p1)+p2 in each
 * triangle, then (t0+t1) + (t2+t3); operands of empty lanes are pruned. The tree depends on the
 * non-empty lanes alone; the plan also on placement. Owns both, and the counters by which the last
 * arriver at a node is found; knows segments by number only. */
#ifndef DD_FOLD_H
#define DD_FOLD_H

#include "dodeca.h"
#include "spheres.h"

#define DD_NO_SEGMENT UINT32_MAX
#define DD_NO_NODE UINT32_MAX

typedef enum dd_op_kind {
    DD_OP_RUN_STORE, /* run lane `lane`, its gradient into segment `into` */
    DD_OP_RUN_FOLD,  /* run lane `lane`, into = into + its gradient, in the products' epilogue */
    DD_OP_FOLD,      /* into = into + from, both this worker's own */
    DD_OP_POST,      /* `from` is complete: hand it to node `node` as its left or right operand */
} dd_op_kind;

typedef struct dd_op {
    dd_op_kind kind;
    uint32_t lane;
    uint32_t into, from; /* segments, numbered through all workers */
    uint32_t node;       /* POST: a shared node; DD_NO_NODE: the value is the root's */
    bool right;
} dd_op;

/* What each worker does in a step, in order. */
typedef struct dd_plan dd_plan;

/* Plans the folds of one sphere's lanes for shares as made by dd_placement. A worker folds at once
 * whatever subtree is its own; the rest goes to shared nodes. A RUN_FOLD stands wherever a lane is
 * the right operand of a value its own worker holds. Within a step a worker uses a segment again
 * only after folding its value away itself; what it posted stays where it is.
 * requires some weight > 0
 * owns     *out, immutable, released by dd_plan_close
 * errors   DD_ERR_MEMORY                                                                   */
dd_status dd_plan_open(const uint64_t weight[DD_POSITIONS], uint32_t n_workers,
                       const dd_share *share, dd_plan **out);
void dd_plan_close(dd_plan *plan); /* NULL allowed */

uint32_t dd_plan_n_workers(const dd_plan *plan);
const dd_op *dd_plan_ops(const dd_plan *plan, uint32_t worker, uint32_t *n);
/* Segments of worker w: [*first, *first + returned). At most 3 * depth + 1. */
uint32_t dd_plan_segments(const dd_plan *plan, uint32_t worker, uint32_t *first);
uint32_t dd_plan_n_segments(const dd_plan *plan); /* over all workers */
uint32_t dd_plan_n_nodes(const dd_plan *plan);    /* shared nodes, children before parents */
/* The node that a shared node's value goes to, as right or left; DD_NO_NODE: it is the root's. */
uint32_t dd_plan_parent(const dd_plan *plan, uint32_t node, bool *right);

/* Performs a fold, into = into + from, on behalf of `thread`. */
typedef void dd_fold_fn(void *user, uint32_t thread, uint32_t into, uint32_t from);

/* The run-time state of the shared nodes of a plan: for each an arrival counter and two operand
 * places. Between two steps stands at least one point that everybody crosses. */
typedef struct dd_combine dd_combine;

/* owns     *out, released by dd_combine_close; borrows plan
 * errors   DD_ERR_MEMORY                                                                   */
dd_status dd_combine_open(const dd_plan *plan, dd_combine **out);
void dd_combine_close(dd_combine *c); /* NULL allowed */

/* Reduction `tree`: hands segment `from` (DD_NO_SEGMENT: cancelled) to op's node. The second to
 * arrive folds left + right into the left segment and climbs. A node with a cancelled operand is
 * passed on as cancelled, unfolded. *n_folds grows by the folds performed.
 * requires each post of the plan arrives exactly once a step
 * returns  true for the one call of a step that completed the root; *root is then its segment
 *          (DD_NO_SEGMENT when any operand was cancelled)
 * threads  one call at a time per worker; what was written to a segment before its arrival
 *          happens-before the fold that reads it                                            */
bool dd_combine_arrive(dd_combine *c, const dd_op *op, uint32_t from, uint32_t thread,
                       dd_fold_fn *fold, void *user, uint64_t *n_folds, uint32_t *root);

/* Reduction `control`: parks `from` at op's node, not DD_NO_NODE; no counter is touched. */
void dd_combine_park(dd_combine *c, const dd_op *op, uint32_t from);
/* `control`, Node Zero after Point B: folds all shared nodes, children before parents, each as
 * dd_combine_arrive would.
 * requires every post of the plan was parked; the plan has a shared node
 * returns  the root's segment or DD_NO_SEGMENT                                             */
uint32_t dd_combine_fold_parked(dd_combine *c, uint32_t thread, dd_fold_fn *fold, void *user,
                                uint64_t *n_folds);

#endif
