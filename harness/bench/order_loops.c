/* SPDX-License-Identifier: MIT
 * AVX2: products and row sums in a fixed and in a free order. */
#include "order_loops.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

enum { CHAINS = 12 };

/* rows x 2 vectors, one chain each, from a[k][rows] and b[k][16] */
INLINE void chains(const size_t rows, size_t K, const float *a, const float *b, __m256 *acc)
{
    for (size_t k = 0; k < K; k++, a += rows, b += 16) {
        const __m256 lo = _mm256_load_ps(b), hi = _mm256_load_ps(b + 8);
        for (size_t i = 0; i < rows; i++) {
            const __m256 x = _mm256_broadcast_ss(a + i);
            acc[2 * i] = _mm256_fmadd_ps(x, lo, acc[2 * i]);
            acc[2 * i + 1] = _mm256_fmadd_ps(x, hi, acc[2 * i + 1]);
        }
    }
}

void dd_loop_chain_avx2(size_t M, size_t N, size_t K, const float *a, const float *b, float *c)
{
    enum { ROWS = 6 };
    for (size_t j = 0; j < N; j += 16)
        for (size_t i = 0; i < M; i += ROWS) {
            __m256 acc[CHAINS];
            for (size_t n = 0; n < CHAINS; n++)
                acc[n] = _mm256_setzero_ps();
            chains(ROWS, K, a + i * K, b + j * K, acc);
            for (size_t n = 0; n < CHAINS; n++)
                _mm256_storeu_ps(c + (i + n / 2) * N + j + n % 2 * 8, acc[n]);
        }
}

void dd_loop_halves_avx2(size_t M, size_t N, size_t K, const float *a, const float *b, float *c)
{
    enum { ROWS = 3 };
    for (size_t j = 0; j < N; j += 16)
        for (size_t i = 0; i < M; i += ROWS) {
            const float *a_lower = a + i * K, *a_upper = a_lower + K / 2 * ROWS;
            const float *b_lower = b + j * K, *b_upper = b_lower + K / 2 * 16;
            __m256 lower[CHAINS / 2], upper[CHAINS / 2];
            for (size_t n = 0; n < CHAINS / 2; n++)
                lower[n] = upper[n] = _mm256_setzero_ps();
            for (size_t k = 0; k < K / 2; k++) {
                chains(ROWS, 1, a_lower + k * ROWS, b_lower + k * 16, lower);
                chains(ROWS, 1, a_upper + k * ROWS, b_upper + k * 16, upper);
            }
            for (size_t n = 0; n < CHAINS / 2; n++)
                _mm256_storeu_ps(c + (i + n / 2) * N + j + n % 2 * 8,
                                 _mm256_add_ps(lower[n], upper[n]));
        }
}

INLINE float total(__m256 x)
{
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

void dd_loop_along_avx2(size_t M, size_t N, size_t K, const float *a, const float *b, float *c)
{
    enum { ROWS = 4, COLS = 3 };
    for (size_t j = 0; j < N; j += COLS)
        for (size_t i = 0; i < M; i += ROWS) {
            __m256 acc[CHAINS];
            for (size_t n = 0; n < CHAINS; n++)
                acc[n] = _mm256_setzero_ps();
            for (size_t k = 0; k < K; k += 8) {
                __m256 y[COLS];
                for (size_t s = 0; s < COLS; s++)
                    y[s] = _mm256_load_ps(b + (j + s) * K + k);
                for (size_t r = 0; r < ROWS; r++) {
                    const __m256 x = _mm256_load_ps(a + (i + r) * K + k);
                    for (size_t s = 0; s < COLS; s++)
                        acc[r * COLS + s] = _mm256_fmadd_ps(x, y[s], acc[r * COLS + s]);
                }
            }
            for (size_t n = 0; n < CHAINS; n++)
                c[(i + n / COLS) * N + j + n % COLS] = total(acc[n]);
        }
}

INLINE float sum(const size_t vectors, size_t n, const float *x)
{
    __m256 acc[8];
    for (size_t v = 0; v < vectors; v++)
        acc[v] = _mm256_setzero_ps();
    for (size_t i = 0; i < n; i += 8 * vectors)
        for (size_t v = 0; v < vectors; v++)
            acc[v] = _mm256_add_ps(acc[v], _mm256_load_ps(x + i + 8 * v));
    for (size_t v = vectors; v > 1; v /= 2)
        for (size_t k = 0; k < v / 2; k++)
            acc[k] = _mm256_add_ps(acc[k], acc[k + v / 2]);
    return total(acc[0]);
}

float dd_loop_sum16_avx2(size_t n, const float *x)
{
    return sum(2, n, x);
}

float dd_loop_sum64_avx2(size_t n, const float *x)
{
    return sum(8, n, x);
}
