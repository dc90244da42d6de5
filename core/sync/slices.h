/* SPDX-License-Identifier: MIT
 * Slices: which blocks of the parameter vector each worker folds (`sliced`, `owner`) and updates.
 * Sizes adapt to measured speed; which worker has a block leaves no trace in the bits. Pure
 * arithmetic: no threads, no clock. */
#ifndef DD_SLICES_H
#define DD_SLICES_H

#include "dodeca.h"

typedef struct dd_slices {
    uint32_t n_workers;
    uint64_t n_blocks;
    uint64_t *first; /* (n_workers + 1) worker w has blocks [first[w], first[w + 1]) */
    double *speed;   /* (n_workers) blocks per ns, smoothed; 0: not known */
    uint64_t *next;  /* (n_workers + 1) room for dd_slices_adapt */
} dd_slices;

/* Even slices: worker w's begins at floor(w n_blocks / n_workers).
 * owns     the arrays, released by dd_slices_close, which accepts a zeroed one
 * errors   DD_ERR_MEMORY: *s is zeroed                                                     */
dd_status dd_slices_open(dd_slices *s, uint32_t n_workers, uint64_t n_blocks);
void dd_slices_close(dd_slices *s);

/* Takes in what the last step's slices took, ns[w] (0: not measured), and cuts anew in proportion
 * to smoothed speed. Allocates nothing.
 *   smoothing   a measurement moves a known speed a quarter of the way, and by at most a quarter of
 *               what it was; the first one is taken as it is. A speed not known counts as the mean
 *               of those known; while none is, slices stay
 *   bounds      a worker keeps at least a quarter of an even slice, in whole blocks, one at least;
 *               with fewer blocks than workers slices stay even
 *   hysteresis  cuts that would shorten the slowest slice by less than 5 % are left alone      */
void dd_slices_adapt(dd_slices *s, const uint64_t *ns);

#endif
