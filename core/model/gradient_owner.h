/* SPDX-License-Identifier: MIT
 * A slice of the whole gradient, computed: what `owner` does between Points B and V. The products
 * of weight matrices are made from the activations of the whole batch, lane after lane, and folded
 * before they are written; what was made lane by lane (dd_gpt2_input_gradients) is folded as in
 * gradient_slice.h. The same bits as folding the lanes' whole gradients. */
#ifndef DD_GRADIENT_OWNER_H
#define DD_GRADIENT_OWNER_H

#include "gpt2.h"
#include "gradient_slice.h"

/* A batch whose input gradients are made. Its non-empty lanes are numbered from 0. */
typedef struct dd_batch_gradient {
    const dd_model *model;
    const dd_acts *acts;
    const uint32_t *sequences; /* (n_lanes) of each lane, laid end to end in acts */
    uint32_t n_lanes;
    const dd_layout *vectors; /* of the lanes' dense parts: dd_layout_make_vectors */
    const dd_segment *lane;   /* (n_lanes) */
} dd_batch_gradient;

/* One worker's own: a few rows of a gradient, lists. */
typedef struct dd_owner_scratch dd_owner_scratch;
/* For batches of n_lanes lanes, folded with max_values values at hand (3 * lane depth + 1).
 * owns     *out, released by dd_owner_scratch_close; borrows the worker's workspace, for what its
 *          kernels need and its profile
 * errors   DD_ERR_MEMORY                                                                     */
dd_status dd_owner_scratch_open(const dd_model *model, uint32_t n_lanes, uint32_t max_values,
                                dd_workspace *workspace, dd_owner_scratch **out);
void dd_owner_scratch_close(dd_owner_scratch *scratch); /* NULL allowed */
uint64_t dd_owner_scratch_bytes(const dd_owner_scratch *scratch);
/* What that would be. */
uint64_t dd_owner_scratch_size(const dd_model *model, uint32_t n_lanes, uint32_t max_values);

/* Blocks [first_block, last_block) of the norm: their elements of the gradient (P) and their
 * block_sums. The folds are those of all lanes by their numbers, depth first.
 * threads  re-entrant for disjoint slices and different scratch                               */
void dd_owner_slice(const dd_batch_gradient *batch, const dd_fold_pair *pair, uint32_t n,
                    uint32_t root, uint64_t first_block, uint64_t last_block,
                    dd_owner_scratch *scratch, float *gradient, double *block_sums);
/* The folded loss. */
double dd_owner_loss(const dd_batch_gradient *batch, const dd_fold_pair *pair, uint32_t n,
                     uint32_t root, dd_owner_scratch *scratch);

/* The lowest canonical index at which the gradient of lane i alone is not finite; false if it is
 * finite everywhere.                                                                        */
bool dd_owner_find_nonfinite(const dd_batch_gradient *batch, uint32_t i, dd_owner_scratch *scratch,
                             uint64_t *element);

#endif
