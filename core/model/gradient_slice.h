/* SPDX-License-Identifier: MIT
 * A slice of the whole gradient, folded, completed and measured while it is in cache: what `sliced`
 * does between Points B and V. The same bits as folding whole segments (gradient.h), for every
 * element goes through the same additions. Writes the root segment's elements of the slice and
 * their block sums, and nothing else. */
#ifndef DD_GRADIENT_SLICE_H
#define DD_GRADIENT_SLICE_H

#include "fold.h"
#include "gradient.h"

/* The folds still to do, into = into + from, depth first (dd_combine_list); the gradient is then in
 * `root`. n 0: it is there already. */
typedef struct dd_fold_list {
    const dd_segment *segment; /* by number */
    const dd_fold_pair *pair;  /* (n) */
    uint32_t n, root;
} dd_fold_list;

/* Memory for intermediate values, a few pieces of cache for each worker. */
typedef struct dd_slice_scratch dd_slice_scratch;
/* max_values: 3 * lane depth + 1.
 * owns     *out, released by dd_slice_scratch_close
 * errors   DD_ERR_MEMORY                                                                     */
dd_status dd_slice_scratch_open(uint32_t max_values, dd_slice_scratch **out);
void dd_slice_scratch_close(dd_slice_scratch *scratch); /* NULL allowed */
uint64_t dd_slice_scratch_bytes(const dd_slice_scratch *scratch);
uint64_t dd_slice_scratch_size(uint32_t max_values); /* what that would be */

/* into[0 .. n) = the fold of the dense elements [first, first + n) of all segments of the list.
 * alias    into may be the root's elements themselves                                       */
void dd_gradient_fold(const dd_kernels *kernels, const dd_fold_list *list, uint64_t first,
                      uint64_t n, dd_slice_scratch *scratch, float *into);
/* Adds the folded lookup rows to elements [first, last) of the gradient, as far as they are wte's.
 */
void dd_gradient_add_lookup(const dd_kernels *kernels, const dd_layout *layout,
                            const dd_fold_list *list, uint64_t first, uint64_t last,
                            dd_slice_scratch *scratch, float *gradient);

/* Blocks [first_block, last_block) of the norm: folds the dense parts into root, adds the folded
 * lookup rows of wte to it, and sets their block_sums.
 * threads  re-entrant for disjoint slices and different scratch; a segment's elements outside the
 *          caller's slice may be changing                                                    */
void dd_gradient_slice(const dd_kernels *kernels, const dd_layout *layout, const dd_fold_list *list,
                       uint64_t first_block, uint64_t last_block, dd_slice_scratch *scratch,
                       double *block_sums);
/* The folded loss; no segment is changed. */
double dd_gradient_loss(const dd_fold_list *list, dd_slice_scratch *scratch);

#endif
