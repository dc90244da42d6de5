/* SPDX-License-Identifier: MIT
 * Arithmetic on whole gradients: the fold, the root, the norm's blocks (NUMERICS 7, 8). */
#ifndef DD_GRADIENT_H
#define DD_GRADIENT_H

#include "kernels.h"
#include "segment.h"
#include "tensors.h"

void dd_zero(size_t n, float *p); /* +0 everywhere */

/* into = into + from, row by row; a row absent on one side is taken from the other */
void dd_rows_fold(const dd_kernels *kernels, dd_rows *into, const dd_rows *from);
/* into = into + from: dense part, lookup rows and loss */
void dd_segment_fold(const dd_kernels *kernels, const dd_layout *layout, dd_segment *into,
                     const dd_segment *from);
/* Adds the lookup rows to the dense part of wte: the gradient is whole then. */
void dd_segment_root(const dd_kernels *kernels, const dd_layout *layout, dd_segment *root);

uint64_t dd_norm_n_blocks(const dd_layout *layout);
/* block_sums[i] = sum of squares of block i, all blocks of the parameter vector */
void dd_norm_blocks(const dd_kernels *kernels, const dd_layout *layout, const float *gradient,
                    double *block_sums);
/* Adds the block sums in a binary tree by index, overwriting them; sqrt of the total. */
double dd_norm_total(double *block_sums, uint64_t n_blocks);

/* The first of elements [first, last) that is not finite, value[0] being element `first`; last if
 * all are finite. */
uint64_t dd_first_nonfinite(const float *value, uint64_t first, uint64_t last);
/* The lowest canonical index at which a lookup row of wte is not finite; P if there is none. */
uint64_t dd_lookup_first_nonfinite(const dd_layout *layout, const dd_rows *rows);
/* The lowest canonical index of a gradient (P) that is not finite; false if all are finite. */
bool dd_gradient_find_nonfinite(const dd_layout *layout, const float *gradient, uint64_t *element);
/* The same of a segment, dense or lookup part. */
bool dd_segment_find_nonfinite(const dd_layout *layout, const dd_segment *segment,
                               uint64_t *element);

#endif
