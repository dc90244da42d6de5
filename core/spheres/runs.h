/* SPDX-License-Identifier: MIT
 * What a run of consecutive non-empty lanes amounts to: its tokens, the contacts inside it, and how
 * far it may go before a worker needs more segments than it may hold. For dd_placement, which looks
 * at very many runs. */
#ifndef DD_RUNS_H
#define DD_RUNS_H

#include "dodeca.h"

/* Non-empty lanes are numbered 0 .. n-1; the run [i, j) is lanes i to j - 1. */
typedef struct dd_runs {
    uint32_t n;
    uint32_t *lane;   /* (n) the lane that i is */
    uint64_t *before; /* (n + 1) weight of lanes 0 .. i-1: the run weighs before[j] - before[i] */
    /* Contacts as intervals: one lies inside [i, j) iff its first lane is >= i and its last < j.
     * Those whose last lane is e begin at start[ends[e]], ..., start[ends[e + 1] - 1].          */
    uint32_t *ends;  /* (n + 1) */
    uint32_t *start; /* (ends[n]) */
    /* A worker that runs its lanes in ascending order, folding at once what is its own and keeping
     * what is not, holds at most 3 D + 1 segments on the runs [i, j) with j <= reach[i], no others.
     */
    uint32_t *reach; /* (n) */
    void *memory;
} dd_runs;

/* Of the lanes with weight[l] > 0 among 12^lane_depth.
 * owns     *out, released by dd_runs_close
 * errors   DD_ERR_MEMORY                                                                   */
dd_status dd_runs_open(const uint64_t *weight, uint32_t lane_depth, dd_runs *out);
void dd_runs_close(dd_runs *r);

#endif
