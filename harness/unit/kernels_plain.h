/* SPDX-License-Identifier: MIT
 * The kernels once more, as NUMERICS.md has them: one element after another, one operation after
 * another. What test_kernels.c and test_matmul.c hold every set to. Shares with them the elementary
 * functions alone. */
#ifndef DD_TEST_KERNELS_PLAIN_H
#define DD_TEST_KERNELS_PLAIN_H

#include "kernels.h"

void plain_matmul(const dd_matmul *m);
/* b as it lies, not in panels */
void plain_matmul_lanes(const dd_matmul_lanes *m, const float *b, size_t b_row);
void plain_attention_forward(const dd_attention *a);
void plain_attention_backward(const dd_attention *a);
void plain_layernorm(size_t R, size_t C, const float *x, const float *w, const float *b, float *y,
                     float *mean, float *rstd);
void plain_layernorm_backward(size_t R, size_t C, const float *gy, const float *x, const float *w,
                              const float *mean, const float *rstd, const float *base, float *gx);
void plain_layernorm_grad(size_t R, size_t C, const float *gy, const float *x, const float *mean,
                          const float *rstd, float *gw, float *gb, dd_sink sink);
void plain_bias_grad(size_t R, size_t N, const float *gy, size_t gy_row, float *gb, dd_sink sink);
void plain_cross_entropy(size_t R, size_t V, float *logits, const uint32_t *target,
                         float inv_tokens, float *loss);
double plain_sum_squares(size_t n, const float *g);
void plain_adamw(size_t n, float *w, float *m, float *v, const float *g, const dd_adamw *opt);

#endif
