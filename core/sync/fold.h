/* SPDX-License-Identifier: MIT
 * The nodes of the fold tree at run time: for each an arrival counter and two operand places. Owns
 * these, and decides who folds; knows segments by number only. Between two steps stands at least
 * one point that everybody crosses. */
#ifndef DD_FOLD_H
#define DD_FOLD_H

#include "plan.h"
#include "timeline.h"

/* How a thread folds. Every thread has its own. */
typedef struct dd_folder {
    void *user;
    uint32_t thread; /* handed through */
    /* into = into + from */
    void (*fold)(void *user, uint32_t thread, uint32_t into, uint32_t from);
    /* the thread is about to hand the segment on and will not write it again; may be NULL */
    void (*let_go)(void *user, uint32_t thread, uint32_t segment);
    dd_timeline *timeline; /* the thread's; NULL: it has none */
    uint64_t n_folds;      /* grows; folds in a lane's products are not counted here */
    /* Stealing: the node at which the last call stopped as the first, with a left operand, and its
     * segment: the next lane may be added to it (dd_combine_resume), if it is that node's right
     * operand. DD_NO_NODE: there is none. The caller says DD_NO_NODE where a step begins. */
    uint32_t waits_at, waiting;
} dd_folder;

/* Told of every segment that is of no more use in this step: right operands folded away, and what
 * cancelled nodes had. It may be another thread's. */
typedef void dd_freed(void *arg, uint32_t segment);

/* The plan that goes with a reduction, which is none of DD_REDUCE_AUTO. */
dd_plan_kind dd_reduce_plan(dd_reduce reduce, bool stealing);
/* Whether every worker does what folds are left after Point B for its slice of the parameters, by
 * dd_combine_list. */
bool dd_reduce_slices(dd_reduce reduce);

typedef struct dd_combine dd_combine;

/* Which nodes are folded on arrival: with DD_REDUCE_TREE all; else those of one worker (stealing),
 * while operands of shared nodes are parked. With DD_REDUCE_OWNER all nodes are shared.
 * requires plan is of the kind dd_reduce_plan
 * owns     *out, released by dd_combine_close; borrows plan
 * errors   DD_ERR_MEMORY                                                                   */
dd_status dd_combine_open(const dd_plan *plan, dd_reduce reduce, dd_combine **out);
void dd_combine_close(dd_combine *c); /* NULL allowed */

/* Hands segment `from` (DD_NO_SEGMENT: cancelled) to a node as its left or right operand, on behalf
 * of place `acting`. The second to arrive folds left + right into the left segment and goes on to
 * the parent; a node with a cancelled operand is passed on as cancelled, unfolded. At a node whose
 * operands are parked it stops. node DD_NO_NODE: the value is the root's already.
 * requires each operand of the plan arrives exactly once a step
 * returns  true for the one call of a step that completed the root; *root is then its segment
 *          (DD_NO_SEGMENT when any operand was cancelled)
 * threads  one call at a time per folder; what was written to a segment before its arrival
 *          happens-before the fold that reads it. freed may be NULL                        */
bool dd_combine_arrive(dd_combine *c, uint32_t node, bool right, dd_place acting, uint32_t from,
                       dd_folder *folder, dd_freed *freed, void *arg, uint32_t *root);

/* Stealing: the caller handed in the left operand of node folder->waits_at, as the first to arrive,
 * and has since added the right one to it (a lane's products did). Goes on from there as the second
 * to arrive would after its fold. With segment DD_NO_SEGMENT, instead of folder->waiting, the node
 * is cancelled.                                                                              */
bool dd_combine_resume(dd_combine *c, uint32_t node, uint32_t segment, dd_folder *folder,
                       dd_freed *freed, void *arg, uint32_t *root);

/* `control`: the control folds the shared nodes that are its own, children before parents, and
 * hands on what they make.
 * requires everything below it has arrived (Point B at this sphere)
 * returns  true if the root is complete, *root as above                                    */
bool dd_combine_fold_control(dd_combine *c, uint32_t control, dd_folder *folder, uint32_t *root);

/* dd_reduce_slices: after Point B, the folds still to do, in order: into = into + from. The order
 * is depth first: right before a fold stand the folds that make its right operand, before these the
 * folds that make its left one, so that 3 * lane depth + 1 values are at hand at most. With `owner`
 * that is the whole tree: take the lanes in order onto a stack, and each fold is that of the two
 * topmost values, once its right operand is there.
 * returns  their number; *root is the segment that then holds the gradient, or DD_NO_SEGMENT if an
 *          operand was cancelled (then the folds must not be done). The list stays until the next
 *          call.
 * threads  one caller; readers of the list after a release by the caller                   */
typedef struct dd_fold_pair {
    uint32_t into, from;
} dd_fold_pair;
uint32_t dd_combine_list(dd_combine *c, const dd_fold_pair **list, uint32_t *root);

#endif
