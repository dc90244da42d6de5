/* SPDX-License-Identifier: MIT
 * One SIMD kernel set from the inside: the names that its files share. DD_SET is the set being
 * compiled (avx2, avx512 or neon), given on the command line; kernels.h says what each function
 * does, set.c makes a table of them. */
#ifndef DD_SET_H
#define DD_SET_H

#include "kernels.h"

#define DD_PASTE_NAME_(set, name) dd_##set##_##name##_
#define DD_PASTE_SET_(set, name) DD_PASTE_NAME_(set, name)
/* dd_avx2_name_, dd_avx512_name_, … */
#define DD_SET_NAME(name) DD_PASTE_SET_(DD_SET, name)

size_t DD_SET_NAME(matmul_scratch)(void);
size_t DD_SET_NAME(lanes_scratch)(void);
size_t DD_SET_NAME(attention_scratch)(size_t max_T, size_t max_d);
void DD_SET_NAME(matmul)(const dd_matmul *m, void *scratch);
void DD_SET_NAME(pack)(size_t N, size_t K, size_t first, size_t last, const float *W,
                       float *forward, float *input);
void DD_SET_NAME(matmul_lanes)(const dd_matmul_lanes *m, void *scratch);
void DD_SET_NAME(pack_rows)(size_t R, size_t n, const float *b, size_t b_row, float *panels,
                            size_t panel_pitch);
void DD_SET_NAME(attention_forward)(const dd_attention *a, void *scratch);
void DD_SET_NAME(attention_backward)(const dd_attention *a, void *scratch);
void DD_SET_NAME(attention_kept)(const dd_attention_kept *a, void *scratch);

void DD_SET_NAME(layernorm)(size_t R, size_t C, const float *x, const float *w, const float *b,
                            float *y, float *mean, float *rstd);
void DD_SET_NAME(layernorm_backward)(size_t R, size_t C, const float *gy, const float *x,
                                     const float *w, const float *mean, const float *rstd,
                                     const float *base, float *gx);
void DD_SET_NAME(layernorm_grad)(size_t R, size_t C, const float *gy, const float *x,
                                 const float *mean, const float *rstd, float *gw, float *gb,
                                 dd_sink sink);
void DD_SET_NAME(bias_grad)(size_t R, size_t N, const float *gy, size_t gy_row, float *gb,
                            dd_sink sink);
void DD_SET_NAME(gelu)(size_t n, const float *x, float *y);
void DD_SET_NAME(gelu_backward)(size_t n, const float *gy, const float *x, float *gx);
void DD_SET_NAME(add)(size_t n, const float *a, const float *b, float *y);
void DD_SET_NAME(cross_entropy)(size_t R, size_t V, float *logits, const uint32_t *target,
                                float inv_tokens, float *loss);
void DD_SET_NAME(cross_entropy_loss)(size_t R, size_t V, const float *logits,
                                     const uint32_t *target, float *loss);
void DD_SET_NAME(fold)(size_t n, float *dst, const float *src);
double DD_SET_NAME(sum_squares)(size_t n, const float *g);
void DD_SET_NAME(adamw)(size_t n, float *w, float *m, float *v, const float *g,
                        const dd_adamw *opt);

#endif
