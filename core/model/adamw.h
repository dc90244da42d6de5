/* SPDX-License-Identifier: MIT
 * The optimiser: learning-rate schedule, clipping, AdamW over a slice of the parameters (NUMERICS
 * 8). */
#ifndef DD_ADAMW_H
#define DD_ADAMW_H

#include "kernels.h"
#include "tensors.h"

/* The learning rate of step `step` (from 0), rounded to float. */
float dd_schedule_lr(const dd_config *config, uint64_t step);
/* The factor gradients are multiplied by before use. */
float dd_clip_factor(double norm, double grad_clip);
/* Everything AdamW needs in its t-th update, t from 1; `decayed` is left false. */
dd_adamw dd_adamw_at(const dd_config *config, uint64_t t, float lr, float clip);

/* Updates canonical elements [first, last): weights, both moments, from the root gradient, and the
 * packed weights (packed.h), a piece of the vector after the other.
 * threads  re-entrant for disjoint slices                                                    */
void dd_adamw_slice(const dd_kernels *kernels, const dd_layout *layout, const dd_adamw *opt,
                    uint64_t first, uint64_t last, float *weights, float *packed, float *m,
                    float *v, const float *gradient);

#endif
