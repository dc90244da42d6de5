/* SPDX-License-Identifier: MIT
 * The AVX2 kernel set: the table, its scratch memory, and the burst that times the FMA units. */
#include <immintrin.h>

#include "avx2_sets.h"
#include "sets.h"

static size_t scratch_bytes(size_t max_n, size_t max_k, size_t max_T, size_t max_d)
{
    (void)max_n; /* matmul's blocks have their size */
    (void)max_k;
    const size_t matmul = dd_avx2_matmul_scratch_();
    const size_t attention = dd_avx2_attention_scratch_(max_T, max_d);
    return matmul > attention ? matmul : attention;
}

const dd_kernels dd_avx2_ = {
    .name = "avx2",
    .scratch_bytes = scratch_bytes,
    .matmul = dd_avx2_matmul_,
    .attention_forward = dd_avx2_attention_forward_,
    .attention_backward = dd_avx2_attention_backward_,
    .layernorm = dd_avx2_layernorm_,
    .layernorm_backward = dd_avx2_layernorm_backward_,
    .layernorm_grad = dd_avx2_layernorm_grad_,
    .bias_grad = dd_avx2_bias_grad_,
    .gelu = dd_avx2_gelu_,
    .gelu_backward = dd_avx2_gelu_backward_,
    .add = dd_avx2_add_,
    .cross_entropy = dd_avx2_cross_entropy_,
    .cross_entropy_loss = dd_avx2_cross_entropy_loss_,
    .fold = dd_avx2_fold_,
    .sum_squares = dd_avx2_sum_squares_,
    .adamw = dd_avx2_adamw_,
};

float dd_burst_avx2_(size_t n, float seed)
{
    /* unlike starts, lest the compiler take twelve chains for one */
    const __m256 a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(seed);
    __m256 c0 = b, c1 = _mm256_add_ps(c0, a), c2 = _mm256_add_ps(c1, a), c3 = _mm256_add_ps(c2, a);
    __m256 c4 = _mm256_add_ps(c3, a), c5 = _mm256_add_ps(c4, a), c6 = _mm256_add_ps(c5, a);
    __m256 c7 = _mm256_add_ps(c6, a), c8 = _mm256_add_ps(c7, a), c9 = _mm256_add_ps(c8, a);
    __m256 c10 = _mm256_add_ps(c9, a), c11 = _mm256_add_ps(c10, a);
    for (size_t i = 0; i < n; i++) {
        c0 = _mm256_fmadd_ps(c0, a, b);
        c1 = _mm256_fmadd_ps(c1, a, b);
        c2 = _mm256_fmadd_ps(c2, a, b);
        c3 = _mm256_fmadd_ps(c3, a, b);
        c4 = _mm256_fmadd_ps(c4, a, b);
        c5 = _mm256_fmadd_ps(c5, a, b);
        c6 = _mm256_fmadd_ps(c6, a, b);
        c7 = _mm256_fmadd_ps(c7, a, b);
        c8 = _mm256_fmadd_ps(c8, a, b);
        c9 = _mm256_fmadd_ps(c9, a, b);
        c10 = _mm256_fmadd_ps(c10, a, b);
        c11 = _mm256_fmadd_ps(c11, a, b);
    }
    const __m256 left = _mm256_add_ps(_mm256_add_ps(c0, c1), _mm256_add_ps(c2, c3));
    const __m256 middle = _mm256_add_ps(_mm256_add_ps(c4, c5), _mm256_add_ps(c6, c7));
    const __m256 right = _mm256_add_ps(_mm256_add_ps(c8, c9), _mm256_add_ps(c10, c11));
    return _mm256_cvtss_f32(_mm256_add_ps(_mm256_add_ps(left, middle), right));
}
