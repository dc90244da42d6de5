/* SPDX-License-Identifier: MIT
 * Placement: which lanes a worker runs. Lanes lie in space as spheres do: lane l of 12^D stands at
 * place {D, l}. Knows no threads. */
#ifndef DD_PLACEMENT_H
#define DD_PLACEMENT_H

#include "dodeca.h"
#include "spheres.h"

/* A worker's share: the non-empty lanes among [first, first + count). */
typedef struct dd_share {
    uint32_t first, count; /* lanes, first and last of them non-empty; count 0: idle */
    uint32_t n_lanes;      /* non-empty lanes inside */
    uint64_t tokens;       /* or any other weight, summed */
} dd_share;

/* Places the non-empty lanes (weight[l] > 0) of 12^lane_depth on workers, each a run of consecutive
 * lanes for which it needs at most 3 * lane_depth + 1 segments: least largest load first, then most
 * contacts inside the runs, then the earliest cuts. A load is tokens or, where `speed` is given
 * (relative, > 0), floor(tokens * 2^16 / speed[w]). Workers beyond the number of non-empty lanes
 * get an empty share.
 *   segments  a worker runs its lanes in ascending order, folds at once what is its own, and keeps
 *             every other value until the step ends. Even lanes (a batch's) pay nothing for this
 *             bound at lane depth 1 and 2, and at most 1 % of load, seldom, at 3; very uneven ones
 *             may pay more (a worker that ought to have all lanes but the first)
 * requires 1 <= lane_depth <= 3, n_workers >= 1; with speed, all tokens together < 2^46
 * errors   DD_ERR_MEMORY: nothing is written
 * time     1,728 lanes: some ms; but where a few workers have loads far above the mean, many cuts
 *          are equally good for the others, and finding the best of them may take up to a second
 */
dd_status dd_placement(const uint64_t *weight, uint32_t lane_depth, uint32_t n_workers,
                       const uint32_t *speed, dd_share *share);

/* Contacts inside one run of lanes: pairs of touching children of one sphere, at every level from
 * the lanes up, both of which have non-empty lanes, and all of them in the run. What dd_placement
 * maximises second. */
uint32_t dd_contacts_inside(uint32_t first, uint32_t count, const uint64_t *weight,
                            uint32_t lane_depth);

#endif
