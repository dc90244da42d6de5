/* SPDX-License-Identifier: MIT
 * Everything that goes along rows or over flat arrays: LayerNorm, cross-entropy, sums over
 * rows, GELU, folds, norm and AdamW. One element's operations are those of reference.c; sums along
 * a row run in the sixteen partials of NUMERICS.md, which are exactly one dd_v16. */
#include <assert.h>
#include <math.h>

#include "set.h"
#include "softmax.h"
#include "vector.h"

/* (x - m) * rstd */
DD_INLINE_ dd_v16 normalized(dd_v16 x, dd_v16 m, dd_v16 rstd)
{
    return dd_v16_mul(dd_v16_sub(x, m), rstd);
}

DD_INLINE_ dd_v16 sink_chain(dd_v16 chain, const float *out, size_t n, dd_sink sink)
{
    return sink == DD_FOLD ? dd_v16_add(dd_v16_load(out, n), chain) : chain;
}

/* LayerNorm takes each step for a few rows before the next, and forward it sums along two rows at a
 * time: the sums of one row wait for one another, those of several rows do not. The second of two
 * rows may be the first again. */
enum { LAYERNORM_ROWS = 4 };

DD_INLINE_ dd_v16 add_terms(dd_v16 p, const float *x, size_t n)
{
    return dd_v16_keep(p, dd_v16_add(p, dd_v16_load(x, n)), n);
}

static inline void two_means(size_t C, const float *x, const float *z, float *x_mean, float *z_mean)
{
    dd_v16 p = dd_v16_set(0.0f), q = p;
    size_t c = 0;
    for (; c + 16 <= C; c += 16) {
        p = add_terms(p, x + c, 16);
        q = add_terms(q, z + c, 16);
    }
    if (c < C) {
        p = add_terms(p, x + c, C - c);
        q = add_terms(q, z + c, C - c);
    }
    *x_mean = dd_v16_combine(p) / (float)C;
    *z_mean = dd_v16_combine(q) / (float)C;
}

DD_INLINE_ dd_v16 add_square(dd_v16 p, const float *x, size_t n, dd_v16 m)
{
    const dd_v16 u = dd_v16_sub(dd_v16_load(x, n), m);
    return dd_v16_keep(p, dd_v16_fma(u, u, p), n);
}

static inline float rstd_of(dd_v16 squares, size_t C)
{
    return 1.0f / sqrtf(dd_v16_combine(squares) / (float)C + 1e-5f);
}

static inline void two_rstds(size_t C, const float *x, const float *z, float x_mean, float z_mean,
                             float *x_rstd, float *z_rstd)
{
    const dd_v16 xm = dd_v16_set(x_mean), zm = dd_v16_set(z_mean);
    dd_v16 p = dd_v16_set(0.0f), q = p;
    size_t c = 0;
    for (; c + 16 <= C; c += 16) {
        p = add_square(p, x + c, 16, xm);
        q = add_square(q, z + c, 16, zm);
    }
    if (c < C) {
        p = add_square(p, x + c, C - c, xm);
        q = add_square(q, z + c, C - c, zm);
    }
    *x_rstd = rstd_of(p, C);
    *z_rstd = rstd_of(q, C);
}

DD_INLINE_ void normalize(const float *x, const float *w, const float *b, size_t n, dd_v16 m,
                          dd_v16 rs, float *y)
{
    const dd_v16 xhat = normalized(dd_v16_load(x, n), m, rs);
    dd_v16_store(y, n, dd_v16_fma(xhat, dd_v16_load(w, n), dd_v16_load(b, n)));
}

static inline void normalize_row(size_t C, const float *x, const float *w, const float *b,
                                 float mean, float rstd, float *y)
{
    const dd_v16 m = dd_v16_set(mean), rs = dd_v16_set(rstd);
    size_t c = 0;
    for (; c + 16 <= C; c += 16)
        normalize(x + c, w + c, b + c, 16, m, rs, y + c);
    if (c < C)
        normalize(x + c, w + c, b + c, C - c, m, rs, y + c);
}

void DD_SET_NAME(layernorm)(size_t R, size_t C, const float *x, const float *w, const float *b,
                            float *y, float *mean, float *rstd)
{
    assert(C);
    for (size_t r0 = 0; r0 < R; r0 += LAYERNORM_ROWS) {
        const size_t end = R - r0 < LAYERNORM_ROWS ? R : r0 + LAYERNORM_ROWS;
        for (size_t r = r0, next; r < end; r += 2) {
            next = r + 1 < end ? r + 1 : r;
            two_means(C, x + r * C, x + next * C, mean + r, mean + next);
        }
        for (size_t r = r0, next; r < end; r += 2) {
            next = r + 1 < end ? r + 1 : r;
            two_rstds(C, x + r * C, x + next * C, mean[r], mean[next], rstd + r, rstd + next);
        }
        for (size_t r = r0; r < end; r++)
            normalize_row(C, x + r * C, w, b, mean[r], rstd[r], y + r * C);
    }
}

/* One row of LNB: what it reads, and s1, s2 of NUMERICS 5. */
typedef struct lnb_row {
    const float *gy, *x, *w;
    float mean, rstd, s1, s2;
} lnb_row;

/* h and xhat of n <= 16 columns from c on */
DD_INLINE_ void lnb_terms(lnb_row row, size_t c, size_t n, dd_v16 *h, dd_v16 *xhat)
{
    *h = dd_v16_mul(dd_v16_load(row.gy + c, n), dd_v16_load(row.w + c, n));
    *xhat = normalized(dd_v16_load(row.x + c, n), dd_v16_set(row.mean), dd_v16_set(row.rstd));
}

static inline lnb_row lnb_sums(lnb_row row, size_t C)
{
    dd_v16 p1 = dd_v16_set(0.0f), p2 = p1, h, xhat;
    size_t c = 0;
    for (; c + 16 <= C; c += 16) {
        lnb_terms(row, c, 16, &h, &xhat);
        p1 = dd_v16_add(p1, h);
        p2 = dd_v16_fma(h, xhat, p2);
    }
    if (c < C) {
        lnb_terms(row, c, C - c, &h, &xhat);
        p1 = dd_v16_keep(p1, dd_v16_add(p1, h), C - c);
        p2 = dd_v16_keep(p2, dd_v16_fma(h, xhat, p2), C - c);
    }
    row.s1 = dd_v16_combine(p1) / (float)C;
    row.s2 = dd_v16_combine(p2) / (float)C;
    return row;
}

DD_INLINE_ void lnb_step(lnb_row row, size_t c, size_t n, const float *base, float *gx)
{
    dd_v16 h, xhat;
    lnb_terms(row, c, n, &h, &xhat);
    dd_v16 result = dd_v16_fnma(xhat, dd_v16_set(row.s2), dd_v16_sub(h, dd_v16_set(row.s1)));
    result = dd_v16_mul(result, dd_v16_set(row.rstd));
    if (base)
        result = dd_v16_add(dd_v16_load(base + c, n), result);
    dd_v16_store(gx + c, n, result);
}

static inline void lnb_result(lnb_row row, size_t C, const float *base, float *gx)
{
    size_t c = 0;
    for (; c + 16 <= C; c += 16)
        lnb_step(row, c, 16, base, gx);
    if (c < C)
        lnb_step(row, c, C - c, base, gx);
}

void DD_SET_NAME(layernorm_backward)(size_t R, size_t C, const float *gy, const float *x,
                                     const float *w, const float *mean, const float *rstd,
                                     const float *base, float *gx)
{
    assert(C);
    for (size_t r0 = 0; r0 < R; r0 += LAYERNORM_ROWS) {
        const size_t n = R - r0 < LAYERNORM_ROWS ? R - r0 : LAYERNORM_ROWS;
        lnb_row rows[LAYERNORM_ROWS];
        for (size_t i = 0; i < n; i++) {
            const size_t r = r0 + i;
            const lnb_row row = {
                .gy = gy + r * C, .x = x + r * C, .w = w, .mean = mean[r], .rstd = rstd[r]};
            rows[i] = lnb_sums(row, C);
        }
        for (size_t i = 0; i < n; i++)
            lnb_result(rows[i], C, base ? base + (r0 + i) * C : NULL, gx + (r0 + i) * C);
    }
}

/* The chains of n <= 16 columns of the gradients of gain and bias. */
typedef struct gain_bias {
    dd_v16 w, b;
} gain_bias;

DD_INLINE_ gain_bias start_gain_bias(size_t n, const float *gw, const float *gb, dd_sink sink)
{
    if (sink == DD_RESUME)
        return (gain_bias){dd_v16_load(gw, n), dd_v16_load(gb, n)};
    return (gain_bias){dd_v16_set(0.0f), dd_v16_set(0.0f)};
}

DD_INLINE_ gain_bias add_row(gain_bias sum, size_t n, const float *gy, const float *x, dd_v16 m,
                             dd_v16 rs)
{
    const dd_v16 g = dd_v16_load(gy, n);
    sum.w = dd_v16_fma(g, normalized(dd_v16_load(x, n), m, rs), sum.w);
    sum.b = dd_v16_add(sum.b, g);
    return sum;
}

DD_INLINE_ void sink_gain_bias(gain_bias sum, size_t n, float *gw, float *gb, dd_sink sink)
{
    dd_v16_store(gw, n, sink_chain(sum.w, gw, n, sink));
    dd_v16_store(gb, n, sink_chain(sum.b, gb, n, sink));
}

void DD_SET_NAME(layernorm_grad)(size_t R, size_t C, const float *gy, const float *x,
                                 const float *mean, const float *rstd, float *gw, float *gb,
                                 dd_sink sink)
{
    size_t c = 0;
    /* as in bias_grad */
    for (; c + 32 <= C; c += 32) {
        gain_bias p = start_gain_bias(16, gw + c, gb + c, sink);
        gain_bias q = start_gain_bias(16, gw + c + 16, gb + c + 16, sink);
        for (size_t r = 0; r < R; r++) {
            const size_t at = r * C + c;
            const dd_v16 m = dd_v16_set(mean[r]), rs = dd_v16_set(rstd[r]);
            p = add_row(p, 16, gy + at, x + at, m, rs);
            q = add_row(q, 16, gy + at + 16, x + at + 16, m, rs);
        }
        sink_gain_bias(p, 16, gw + c, gb + c, sink);
        sink_gain_bias(q, 16, gw + c + 16, gb + c + 16, sink);
    }
    for (; c < C; c += 16) {
        gain_bias p = start_gain_bias(C - c, gw + c, gb + c, sink);
        for (size_t r = 0; r < R; r++)
            p = add_row(p, C - c, gy + r * C + c, x + r * C + c, dd_v16_set(mean[r]),
                        dd_v16_set(rstd[r]));
        sink_gain_bias(p, C - c, gw + c, gb + c, sink);
    }
}

void DD_SET_NAME(bias_grad)(size_t R, size_t N, const float *gy, size_t gy_row, float *gb,
                            dd_sink sink)
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

void DD_SET_NAME(cross_entropy)(size_t R, size_t V, float *logits, const uint32_t *target,
                                float inv_tokens, float *loss)
{
    const dd_v16 scale = dd_v16_set(inv_tokens);
    for (size_t r = 0; r < R; r++, logits += V) {
        assert(target[r] < V);
        const float M = dd_row_max(V, logits);
        const float below = M - logits[target[r]];
        const float S = dd_row_exp(V, logits, M, logits);
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

void DD_SET_NAME(cross_entropy_loss)(size_t R, size_t V, const float *logits,
                                     const uint32_t *target, float *loss)
{
    for (size_t r = 0; r < R; r++, logits += V) {
        assert(target[r] < V);
        const float M = dd_row_max(V, logits);
        const float S = dd_row_exp(V, logits, M, NULL);
        loss[r] = dd_log(S) + (M - logits[target[r]]);
    }
}

/* GELU runs in passes over a block: see dd_v16_reduced. */
enum { GELU_BLOCK = 256 };

typedef struct gelu_block {
    float r[GELU_BLOCK], power[GELU_BLOCK];
} gelu_block;

DD_INLINE_ void reduce_block(size_t n, const float *x, gelu_block *block)
{
    float *clamped = block->power;
    for (size_t i = 0; i < n; i += 16)
        dd_v16_store(clamped + i, 16, dd_v16_gelu_clamp(dd_v16_load(x + i, n - i)));
    for (size_t i = 0; i < n; i += 16) {
        const dd_v16_reduced u = dd_v16_gelu_reduce(dd_d16_load(clamped + i, 16));
        dd_v16_store(block->r + i, 16, u.r);
        dd_v16_store(block->power + i, 16, u.power);
    }
}

DD_INLINE_ dd_v16 exp_of_block(const gelu_block *block, size_t i)
{
    return dd_v16_gelu_exp(
        (dd_v16_reduced){dd_v16_load(block->r + i, 16), dd_v16_load(block->power + i, 16)});
}

DD_INLINE_ void gelu_of_block(size_t n, const float *x, float *y)
{
    gelu_block block;
    reduce_block(n, x, &block);
    for (size_t i = 0; i < n; i += 16) {
        const dd_v16 e = exp_of_block(&block, i);
        dd_v16_store(y + i, n - i, dd_v16_gelu_of(dd_v16_load(x + i, n - i), e));
    }
}

void DD_SET_NAME(gelu)(size_t n, const float *x, float *y)
{
    size_t i = 0;
    for (; i + GELU_BLOCK <= n; i += GELU_BLOCK)
        gelu_of_block(GELU_BLOCK, x + i, y + i);
    gelu_of_block(n - i, x + i, y + i);
}

DD_INLINE_ void gelu_backward_of_block(size_t n, const float *gy, const float *x, float *gx)
{
    gelu_block block;
    reduce_block(n, x, &block);
    float *e = block.r;
    for (size_t i = 0; i < n; i += 16)
        dd_v16_store(e + i, 16, exp_of_block(&block, i));
    for (size_t i = 0; i < n; i += 16) {
        const dd_v16 slope = dd_v16_dgelu_of(dd_v16_load(x + i, n - i), dd_v16_load(e + i, 16));
        dd_v16_store(gx + i, n - i, dd_v16_mul(dd_v16_load(gy + i, n - i), slope));
    }
}

void DD_SET_NAME(gelu_backward)(size_t n, const float *gy, const float *x, float *gx)
{
    size_t i = 0;
    for (; i + GELU_BLOCK <= n; i += GELU_BLOCK)
        gelu_backward_of_block(GELU_BLOCK, gy + i, x + i, gx + i);
    gelu_backward_of_block(n - i, gy + i, x + i, gx + i);
}

void DD_SET_NAME(add)(size_t n, const float *a, const float *b, float *y)
{
    for (size_t i = 0; i < n; i += 16) {
        const dd_v16 sum = dd_v16_add(dd_v16_load(a + i, n - i), dd_v16_load(b + i, n - i));
        dd_v16_store(y + i, n - i, sum);
    }
}

void DD_SET_NAME(fold)(size_t n, float *dst, const float *src)
{
    DD_SET_NAME(add)(n, dst, src, dst);
}

/* Norm and update run once over all parameters and wait for memory: each line is asked for so many
 * bytes ahead of its use, further than a CPU looks by itself and across the pages at which its
 * prefetchers stop. */
enum { AHEAD_BYTES = 2048 };

DD_INLINE_ void fetch_ahead(const float *p)
{
    __builtin_prefetch((const char *)p + AHEAD_BYTES, 0, 3);
}

DD_INLINE_ void fetch_ahead_to_write(const float *p)
{
    __builtin_prefetch((const char *)p + AHEAD_BYTES, 1, 3);
}

double DD_SET_NAME(sum_squares)(size_t n, const float *g)
{
    assert(n <= DD_NORM_BLOCK);
    dd_d16 p = dd_d16_set(0.0);
    size_t i = 0;
    /* squares of floats are exact in double, so fma rounds as product and sum do */
    for (; i + 16 <= n; i += 16) {
        fetch_ahead(g + i);
        const dd_d16 x = dd_d16_load(g + i, 16);
        p = dd_d16_fma(x, x, p);
    }
    if (i < n) { /* never -0: adding the square of an absent zero changes no partial */
        const dd_d16 x = dd_d16_load(g + i, n - i);
        p = dd_d16_fma(x, x, p);
    }
    return dd_d16_combine(p);
}

void DD_SET_NAME(adamw)(size_t n, float *w, float *m, float *v, const float *g, const dd_adamw *opt)
{
    const dd_v16 clip = dd_v16_set(opt->clip), eps = dd_v16_set(opt->eps);
    const dd_v16 b1 = dd_v16_set(opt->b1), a1 = dd_v16_set(opt->a1), r1 = dd_v16_set(opt->r1);
    const dd_v16 b2 = dd_v16_set(opt->b2), a2 = dd_v16_set(opt->a2), r2 = dd_v16_set(opt->r2);
    const dd_v16 lr = dd_v16_set(opt->lr), decay = dd_v16_set(opt->weight_decay);
    for (size_t i = 0; i < n; i += 16) {
        const size_t left = n - i;
        fetch_ahead(g + i);
        fetch_ahead_to_write(w + i);
        fetch_ahead_to_write(m + i);
        fetch_ahead_to_write(v + i);
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
