/* SPDX-License-Identifier: MIT
 * The fold tree: which gradients are added, left + right, in which order (NUMERICS 7), and the plan
 * by which workers carry it out. The twelve positions of every sphere of lanes make eleven binary
 * folds: (p0+p1)+p2 in each triangle, then (t0+t1) + (t2+t3); operands of empty lanes are pruned.
 * The tree depends on the non-empty lanes alone; the plan also on placement and kind. Decides
 * before the first step who runs, folds and posts what, and in which segment; nothing here runs in
 * a step. */
#ifndef DD_PLAN_H
#define DD_PLAN_H

#include "hierarchy.h"
#include "placement.h"

#define DD_NO_SEGMENT UINT32_MAX
#define DD_NO_NODE UINT32_MAX
#define DD_PLAN_SEGMENTS(lane_depth) (3 * (lane_depth) + 1) /* of a worker, where it folds */
#define DD_PLAN_BUNDLE_TOKENS 256 /* of lanes that run together, at most; one may have more */

/* Which folds are nodes, and what segments are for. */
typedef enum dd_plan_kind {
    /* A worker folds at once whatever subtree is its own; the rest goes to shared nodes, which
     * alone are nodes. A RUN_FOLD stands wherever a lane is the right operand of a value its own
     * worker holds. Within a step a worker uses a segment again only after folding its value away
     * itself; what it posted stays where it is. */
    DD_PLAN_FOLDING,
    /* Every fold is a node, a worker has no ops but queues of lanes (queues.h), and holds
     * 3 * lane_depth + 1 segments, which it uses as they are free. Its own lanes, in ascending
     * order, never need more; what it steals may, and is to be left then. */
    DD_PLAN_STEALING,
    /* Nothing is folded before Point B: every fold is a shared node, and each non-empty lane has a
     * segment of its own, numbered as the lanes come, whatever the placement. Consecutive lanes of
     * a worker run together, as many as DD_PLAN_BUNDLE_TOKENS allows, and are posted one by one. */
    DD_PLAN_APART,
    DD_PLAN_APART_STEALING, /* the same from queues, lane by lane; no ops */
} dd_plan_kind;

typedef enum dd_op_kind {
    DD_OP_RUN_STORE, /* run n_lanes non-empty lanes from `lane` on, lane i's gradient into segment
                        into + i */
    DD_OP_RUN_FOLD,  /* run lane `lane`, into = into + its gradient, in the products' epilogue */
    DD_OP_FOLD,      /* into = into + from, both this worker's own */
    DD_OP_POST,      /* `from` is complete: hand it to node `node` as its left or right operand */
} dd_op_kind;

typedef struct dd_op {
    dd_op_kind kind;
    uint32_t lane, n_lanes; /* RUN_STORE, RUN_FOLD; several lanes in DD_PLAN_APART alone */
    uint32_t into, from;    /* segments, numbered through all workers */
    uint32_t node;          /* POST: a node; DD_NO_NODE: the value is the root's */
    bool right;
    dd_place acting; /* POST: the place in lane space whose value is handed over */
} dd_op;

/* A fold at run time, (left operand) + (right operand). */
typedef struct dd_node {
    uint32_t parent;  /* node that the value goes to; DD_NO_NODE: it is the root's */
    bool right;       /* as its right operand */
    uint32_t worker;  /* DD_PLAN_STEALING: whose lanes alone it holds; else, and if there are
                         several, DD_NO_WORKER: shared */
    uint32_t control; /* shared: the control (a sphere of the hierarchy) lowest above all its lanes'
                         workers, which folds it in reduction `control`; else DD_NO_SPHERE */
    dd_place owner;   /* whose words its words are: within a triangle the triangle's first position,
                         above the triangles the sphere itself */
    dd_place acting;  /* on whose behalf the folder goes on to the parent */
} dd_node;

#define DD_NO_WORKER UINT32_MAX

/* A lane's place in the fold tree, where it is an operand by itself: not in DD_PLAN_FOLDING. */
typedef struct dd_leaf {
    uint32_t node; /* DD_NO_NODE: the lane is the root's value; also for an empty lane */
    bool right;
    dd_place acting;  /* the place whose value the lane's is: a sphere's, if it is alone there */
    uint32_t segment; /* its own in the plans that keep lanes apart, else DD_NO_SEGMENT */
} dd_leaf;

typedef struct dd_plan dd_plan;

/* Plans the folds of 12^lane_depth lanes for shares as made by dd_placement.
 * units    weight in tokens, which bundles go by
 * requires some weight > 0; share (hierarchy->n_workers) as made by dd_placement: ascending, nobody
 *          in need of more segments
 * owns     *out, immutable, released by dd_plan_close; borrows nothing
 * errors   DD_ERR_MEMORY                                                                       */
dd_status dd_plan_open(const uint64_t *weight, uint32_t lane_depth, const dd_hierarchy *hierarchy,
                       const dd_share *share, dd_plan_kind kind, dd_plan **out);
void dd_plan_close(dd_plan *plan); /* NULL allowed */

uint32_t dd_plan_n_workers(const dd_plan *plan);
uint32_t dd_plan_n_lanes(const dd_plan *plan); /* non-empty */
/* The ops of a worker, lanes ascending; none when stealing. */
const dd_op *dd_plan_ops(const dd_plan *plan, uint32_t worker, uint32_t *n);
/* The non-empty lanes of a worker's share, ascending. */
const uint32_t *dd_plan_lanes(const dd_plan *plan, uint32_t worker, uint32_t *n);
/* Segments of worker w: [*first, *first + returned). At most DD_PLAN_SEGMENTS, but where lanes are
 * apart: there those of its share's lanes. */
uint32_t dd_plan_segments(const dd_plan *plan, uint32_t worker, uint32_t *first);
uint32_t dd_plan_n_segments(const dd_plan *plan); /* over all workers; apart: dd_plan_n_lanes */
uint32_t dd_plan_n_nodes(const dd_plan *plan);
/* Depth first: right before a node stand those that make its right operand, before these those that
 * make its left one. The last node's value is the root's. */
const dd_node *dd_plan_node(const dd_plan *plan, uint32_t node);
dd_leaf dd_plan_leaf(const dd_plan *plan, uint32_t lane); /* not in DD_PLAN_FOLDING */
uint32_t dd_plan_lane_depth(const dd_plan *plan);
/* For stealing: of the lanes list[0 .. n) (non-empty, ascending, consecutive among the non-empty),
 * how many at the end form one whole subtree of the fold tree in which all right operands are
 * lanes, so that it takes one segment, as a triangle does: the largest such number that is at most
 * `most`; 1 at least. */
uint32_t dd_plan_last_subtree(const dd_plan *plan, const uint32_t *list, uint32_t n, uint32_t most);

#endif
