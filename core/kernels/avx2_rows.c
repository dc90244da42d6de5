/* SPDX-License-Identifier: MIT
 * AVX2: everything that goes along rows or over flat arrays: LayerNorm, cross-entropy, sums over
 * rows, GELU, folds, norm and AdamW. One element's operations are those of reference.c; sums along
 * a row run in the sixteen partials of NUMERICS.md, which are exactly one dd_v16. */
#include <assert.h>
#include <math.h>

#include "avx2_sets.h"
#include "avx2_vector.h"

/* (x - m) * rstd */
DD_INLINE_ dd_v16 normalized(dd_v16 x, dd_v16 m, dd_v16 rstd)
{
    return dd_v16_mul(dd_v16_sub(x, m), rstd);
}

DD_INLINE_ dd_v16 sink_chain(dd_v16 chain, const float *out, size_t n, dd_sink sink)
{
    return sink == DD_FOLD ? dd_v16_add(dd_v16_load(out, n), chain) : chain;
}

void dd_avx2_layernorm_(size_t R, size_t C, const float *x, const float *w, const float *b,
                        float *y, float *mean, float *rstd)
{
    assert(C);
    for (size_t r = 0; r < R; r++, x += C, y += C) {
        dd_v16 p = dd_v16_set(0.0f);
        for (size_t c = 0; c < C; c += 16)
            p = dd_v16_keep(p, dd_v16_add(p, dd_v16_load(x + c, C - c)), C - c);
        mean[r] = dd_v16_combine(p) / (float)C;

        const dd_v16 m = dd_v16_set(mean[r]);
        p = dd_v16_set(0.0f);
        for (size_t c = 0; c < C; c += 16) {
            const dd_v16 u = dd_v16_sub(dd_v16_load(x + c, C - c), m);
            p = dd_v16_keep(p, dd_v16_fma(u, u, p), C - c);
        }
        rstd[r] = 1.0f / sqrtf(dd_v16_combine(p) / (float)C + 1e-5f);

        const dd_v16 rs = dd_v16_set(rstd[r]);
        for (size_t c = 0; c < C; c += 16) {
            const dd_v16 xhat = normalized(dd_v16_load(x + c, C - c), m, rs);
            const dd_v16 gain = dd_v16_load(w + c, C - c), bias = dd_v16_load(b + c, C - c);
            dd_v16_store(y + c, C - c, dd_v16_fma(xhat, gain, bias));
        }
    }
}

void dd_avx2_layernorm_backward_(size_t R, size_t C, const float *gy, const float *x,
                                 const float *w, const float *mean, const float *rstd, float *gx,
                                 bool add)
{
    assert(C);
    for (size_t r = 0; r < R; r++, gy += C, x += C, gx += C) {
        const dd_v16 m = dd_v16_set(mean[r]), rs = dd_v16_set(rstd[r]);
        dd_v16 p1 = dd_v16_set(0.0f), p2 = p1;
        for (size_t c = 0; c < C; c += 16) {
            const size_t n = C - c;
            const dd_v16 h = dd_v16_mul(dd_v16_load(gy + c, n), dd_v16_load(w + c, n));
            const dd_v16 xhat = normalized(dd_v16_load(x + c, n), m, rs);
            p1 = dd_v16_keep(p1, dd_v16_add(p1, h), n);
            p2 = dd_v16_keep(p2, dd_v16_fma(h, xhat, p2), n);
        }
        const dd_v16 s1 = dd_v16_set(dd_v16_combine(p1) / (float)C);
        const dd_v16 s2 = dd_v16_set(dd_v16_combine(p2) / (float)C);
        for (size_t c = 0; c < C; c += 16) {
            const size_t n = C - c;
            const dd_v16 h = dd_v16_mul(dd_v16_load(gy + c, n), dd_v16_load(w + c, n));
            const dd_v16 xhat = normalized(dd_v16_load(x + c, n), m, rs);
            dd_v16 result = dd_v16_mul(dd_v16_fnma(xhat, s2, dd_v16_sub(h, s1)), rs);
            if (add)
                result = dd_v16_add(dd_v16_load(gx + c, n), result);
            dd_v16_store(gx + c, n, result);
        }
    }
}

void dd_avx2_layernorm_grad_(size_t R, size_t C, const float *gy, const float *x, const float *mean,
                             const float *rstd, float *gw, float *gb, dd_sink sink)
{
    for (size_t c = 0; c < C; c += 16) {
        const size_t n = C - c;
        dd_v16 w = dd_v16_set(0.0f), b = w;
        if (sink == DD_RESUME) {
            w = dd_v16_load(gw + c, n);
            b = dd_v16_load(gb + c, n);
        }
        for (size_t r = 0; r < R; r++) {
            const dd_v16 g = dd_v16_load(gy + r * C + c, n);
            const dd_v16 m = dd_v16_set(mean[r]), rs = dd_v16_set(rstd[r]);
            w = dd_v16_fma(g, normalized(dd_v16_load(x + r * C + c, n), m, rs), w);
            b = dd_v16_add(b, g);
        }
        dd_v16_store(gw + c, n, sink_chain(w, gw + c, n, sink));
        dd_v16_store(gb + c, n, sink_chain(b, gb + c, n, sink));
    }
}

void dd_avx2_bias_grad_(size_t R, size_t N, const float *gy, size_t gy_row, float *gb, dd_sink sink)
{
    assert(gy_row >= N);
    size_t j = 0;
    /* four chains in flight hide the latency of the additions */
    for (; j + 32 <= N; j += 32) {
        dd_v16 p = dd_v16_set(0.0f), q = p;
        if (sink == DD_RESUME) {
            p = dd_v16_load(gb + j, 16);
            q = dd_v16_load(gb + j + 16, 16);
        }
        for (size_t r = 0; r < R; r++) {
            p = dd_v16_add(p, dd_v16_load(gy + r * gy_row + j, 16));
            q = dd_v16_add(q, dd_v16_load(gy + r * gy_row + j + 16, 16));
        }
        dd_v16_store(gb + j, 16, sink_chain(p, gb + j, 16, sink));
        dd_v16_store(gb + j + 16, 16, sink_chain(q, gb + j + 16, 16, sink));
    }
    for (; j < N; j += 16) {
        dd_v16 p = sink == DD_RESUME ? dd_v16_load(gb + j, N - j) : dd_v16_set(0.0f);
        for (size_t r = 0; r < R; r++)
            p = dd_v16_add(p, dd_v16_load(gy + r * gy_row + j, N - j));
        dd_v16_store(gb + j, N - j, sink_chain(p, gb + j, N - j, sink));
    }
}

/* A NaN of the row may be missed here: its own exponential is then a NaN, and with it the sum,
 * every probability and the loss, whatever the maximum was. */
static float row_max(size_t n, const float *a)
{
    dd_v16 M = dd_v16_set(a[0]);
    for (size_t i = 0; i < n; i += 16) {
        const dd_v16 x = dd_v16_load(a + i, n - i);
        const dd_v16 larger = {_mm256_max_ps(M.lo, x.lo), _mm256_max_ps(M.hi, x.hi)};
        M = dd_v16_keep(M, larger, n - i);
    }
    const __m256 by8 = _mm256_max_ps(M.lo, M.hi);
    const __m128 by4 = _mm_max_ps(_mm256_castps256_ps128(by8), _mm256_extractf128_ps(by8, 1));
    const __m128 by2 = _mm_max_ps(by4, _mm_movehl_ps(by4, by4));
    return _mm_cvtss_f32(_mm_max_ss(by2, _mm_movehdup_ps(by2)));
}

/* e = exp(a - M), which may stand where a stood
 * returns  the sum of e in sixteen partials */
static inline float exponentials(size_t n, const float *a, float M, float *e)
{
    const dd_v16 top = dd_v16_set(M);
    dd_v16 p = dd_v16_set(0.0f);
    for (size_t i = 0; i < n; i += 16) {
        const dd_v16 v = dd_v16_exp(dd_v16_sub(dd_v16_load(a + i, n - i), top));
        p = dd_v16_keep(p, dd_v16_add(p, v), n - i);
        if (e)
            dd_v16_store(e + i, n - i, v);
    }
    return dd_v16_combine(p);
}

void dd_avx2_softmax_(size_t n, float *a)
{
    const dd_v16 inv = dd_v16_set(1.0f / exponentials(n, a, row_max(n, a), a));
    for (size_t i = 0; i < n; i += 16)
        dd_v16_store(a + i, n - i, dd_v16_mul(dd_v16_load(a + i, n - i), inv));
}

void dd_avx2_cross_entropy_(size_t R, size_t V, float *logits, const uint32_t *target,
                            float inv_tokens, float *loss)
{
    const dd_v16 scale = dd_v16_set(inv_tokens);
    for (size_t r = 0; r < R; r++, logits += V) {
        assert(target[r] < V);
        const float M = row_max(V, logits);
        const float below = M - logits[target[r]];
        const float S = exponentials(V, logits, M, logits);
        const float inv = 1.0f / S;
        const float hit = logits[target[r]] * inv;
        const dd_v16 invs = dd_v16_set(inv);
        for (size_t v = 0; v < V; v += 16) {
            const dd_v16 p = dd_v16_mul(dd_v16_load(logits + v, V - v), invs);
            dd_v16_store(logits + v, V - v, dd_v16_mul(p, scale));
        }
        logits[target[r]] = (hit - 1.0f) * inv_tokens;
        loss[r] = dd_log(S) + below;
    }
}

void dd_avx2_cross_entropy_loss_(size_t R, size_t V, const float *logits, const uint32_t *target,
                                 float *loss)
{
    for (size_t r = 0; r < R; r++, logits += V) {
        assert(target[r] < V);
        const float M = row_max(V, logits);
        const float S = exponentials(V, logits, M, NULL);
        loss[r] = dd_log(S) + (M - logits[target[r]]);
    }
}

void dd_avx2_gelu_(size_t n, const float *x, float *y)
{
    for (size_t i = 0; i < n; i += 16)
        dd_v16_store(y + i, n - i, dd_v16_gelu(dd_v16_load(x + i, n - i)));
}

void dd_avx2_gelu_backward_(size_t n, const float *gy, const float *x, float *gx)
{
    for (size_t i = 0; i < n; i += 16) {
        const dd_v16 slope = dd_v16_dgelu(dd_v16_load(x + i, n - i));
        dd_v16_store(gx + i, n - i, dd_v16_mul(dd_v16_load(gy + i, n - i), slope));
    }
}

void dd_avx2_add_(size_t n, const float *a, const float *b, float *y)
{
    for (size_t i = 0; i < n; i += 16) {
        const dd_v16 sum = dd_v16_add(dd_v16_load(a + i, n - i), dd_v16_load(b + i, n - i));
        dd_v16_store(y + i, n - i, sum);
    }
}

void dd_avx2_fold_(size_t n, float *dst, const float *src)
{
    dd_avx2_add_(n, dst, src, dst);
}

double dd_avx2_sum_squares_(size_t n, const float *g)
{
    assert(n <= DD_NORM_BLOCK);
    __m256d p[4] = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(),
                    _mm256_setzero_pd()};
    /* squares of floats are exact in double, so fma rounds as product and sum do; they are never
     * -0, so adding the square of an absent zero changes no partial */
    for (size_t i = 0; i < n; i += 16) {
        const dd_v16 x = dd_v16_load(g + i, n - i);
        const __m256d d[4] = {_mm256_cvtps_pd(_mm256_castps256_ps128(x.lo)),
                              _mm256_cvtps_pd(_mm256_extractf128_ps(x.lo, 1)),
                              _mm256_cvtps_pd(_mm256_castps256_ps128(x.hi)),
                              _mm256_cvtps_pd(_mm256_extractf128_ps(x.hi, 1))};
        p[0] = _mm256_fmadd_pd(d[0], d[0], p[0]);
        p[1] = _mm256_fmadd_pd(d[1], d[1], p[1]);
        p[2] = _mm256_fmadd_pd(d[2], d[2], p[2]);
        p[3] = _mm256_fmadd_pd(d[3], d[3], p[3]);
    }
    const __m256d by4 = _mm256_add_pd(_mm256_add_pd(p[0], p[2]), _mm256_add_pd(p[1], p[3]));
    const __m128d by2 = _mm_add_pd(_mm256_castpd256_pd128(by4), _mm256_extractf128_pd(by4, 1));
    return _mm_cvtsd_f64(_mm_add_sd(by2, _mm_unpackhi_pd(by2, by2)));
}

void dd_avx2_adamw_(size_t n, float *w, float *m, float *v, const float *g, const dd_adamw *opt)
{
    const dd_v16 clip = dd_v16_set(opt->clip), eps = dd_v16_set(opt->eps);
    const dd_v16 b1 = dd_v16_set(opt->b1), a1 = dd_v16_set(opt->a1), r1 = dd_v16_set(opt->r1);
    const dd_v16 b2 = dd_v16_set(opt->b2), a2 = dd_v16_set(opt->a2), r2 = dd_v16_set(opt->r2);
    const dd_v16 lr = dd_v16_set(opt->lr), decay = dd_v16_set(opt->weight_decay);
    for (size_t i = 0; i < n; i += 16) {
        const size_t left = n - i;
        const dd_v16 h = dd_v16_mul(dd_v16_load(g + i, left), clip);
        const dd_v16 old = dd_v16_load(w + i, left);
        const dd_v16 mi = dd_v16_fma(b1, dd_v16_load(m + i, left), dd_v16_mul(a1, h));
        const dd_v16 hh = dd_v16_mul(h, h);
        const dd_v16 vi = dd_v16_fma(b2, dd_v16_load(v + i, left), dd_v16_mul(a2, hh));
        const dd_v16 root = dd_v16_add(dd_v16_sqrt(dd_v16_mul(vi, r2)), eps);
        dd_v16 u = dd_v16_div(dd_v16_mul(mi, r1), root);
        if (opt->decayed)
            u = dd_v16_fma(decay, old, u);
        dd_v16_store(m + i, left, mi);
        dd_v16_store(v + i, left, vi);
        dd_v16_store(w + i, left, dd_v16_fnma(lr, u, old));
    }
}
