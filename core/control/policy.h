/* SPDX-License-Identifier: MIT
 * The policy of `--depth auto`: when a worker becomes a control and when a control becomes a worker
 * again. A deterministic function of what was measured, with hysteresis. Pure: no threads, no
 * clock.
 *
 * Measured is what a lane takes from A to B. With `owner` the weights' gradients are no part of
 * that: their slices even themselves out.
 *
 * - wanted: min(cores, half the non-empty lanes, max_workers) workers, at least one, and no more
 * than leave each of them lanes that take least_ns (a median lane's time times lanes per worker).
 * - expand: with fewer workers than wanted at DD_AUTO_LEAST_NS for DD_AUTO_PATIENCE steps in a row,
 * the lowest-numbered worker of the highest level gets as many children as are lacking, plus one,
 * at most 12.
 * - collapse: with more workers than wanted at half of DD_AUTO_LEAST_NS for as many steps, the
 * deepest, last control that is not the root.
 * - then no change for DD_AUTO_REST steps. */
#ifndef DD_POLICY_H
#define DD_POLICY_H

#include "hierarchy.h"

#define DD_AUTO_PATIENCE 3
#define DD_AUTO_REST 8
#define DD_AUTO_LEAST_NS 200000 /* of lanes a worker has in a step; less is not worth a thread */

/* What the policy remembers from step to step; zeroed at first. */
typedef struct dd_policy {
    uint32_t above, below; /* steps in a row with more, with fewer workers than wanted */
    uint32_t rest;         /* steps still to rest */
} dd_policy;

typedef struct dd_policy_input {
    uint32_t cores, n_lanes; /* this process may use; non-empty */
    uint32_t max_workers, max_depth;
    uint64_t lane_ns; /* median time of a lane, last step; 0: not known, and then no bound */
} dd_policy_input;

typedef enum dd_change { DD_CHANGE_NONE, DD_CHANGE_EXPAND, DD_CHANGE_COLLAPSE } dd_change;

uint32_t dd_policy_wanted(const dd_policy_input *in, uint64_t least_ns);
/* To be asked once after each step. Expansion: *place and *n_children; collapse: *place. */
dd_change dd_policy_decide(dd_policy *policy, const dd_policy_input *in, const dd_hierarchy *h,
                           dd_place *place, uint32_t *n_children);

#endif
