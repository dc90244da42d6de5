/* SPDX-License-Identifier: MIT
 * The AVX2 kernels, one declaration each: kernels.h says what they do, avx2.c makes a set of them.
 */
#ifndef DD_AVX2_SETS_H
#define DD_AVX2_SETS_H

#include "kernels.h"

size_t dd_avx2_matmul_scratch_(void);
size_t dd_avx2_attention_scratch_(size_t max_T, size_t max_d);
void dd_avx2_matmul_(const dd_matmul *m, void *scratch);
void dd_avx2_attention_forward_(const dd_attention *a, void *scratch);
void dd_avx2_attention_backward_(const dd_attention *a, void *scratch);

void dd_avx2_layernorm_(size_t R, size_t C, const float *x, const float *w, const float *b,
                        float *y, float *mean, float *rstd);
void dd_avx2_layernorm_backward_(size_t R, size_t C, const float *gy, const float *x,
                                 const float *w, const float *mean, const float *rstd, float *gx,
                                 bool add);
void dd_avx2_layernorm_grad_(size_t R, size_t C, const float *gy, const float *x, const float *mean,
                             const float *rstd, float *gw, float *gb, dd_sink sink);
void dd_avx2_bias_grad_(size_t R, size_t N, const float *gy, size_t gy_row, float *gb,
                        dd_sink sink);
void dd_avx2_gelu_(size_t n, const float *x, float *y);
void dd_avx2_gelu_backward_(size_t n, const float *gy, const float *x, float *gx);
void dd_avx2_add_(size_t n, const float *a, const float *b, float *y);
void dd_avx2_cross_entropy_(size_t R, size_t V, float *logits, const uint32_t *target,
                            float inv_tokens, float *loss);
void dd_avx2_cross_entropy_loss_(size_t R, size_t V, const float *logits, const uint32_t *target,
                                 float *loss);
void dd_avx2_fold_(size_t n, float *dst, const float *src);
double dd_avx2_sum_squares_(size_t n, const float *g);
void dd_avx2_adamw_(size_t n, float *w, float *m, float *v, const float *g, const dd_adamw *opt);

/* One row of attention's softmax, in place. */
void dd_avx2_softmax_(size_t n, float *a);

#endif
