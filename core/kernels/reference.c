/* SPDX-License-Identifier: MIT
 * The scalar kernel set: what "SIMD off" means, and the yardstick of SIMD speedups. Plain loops in
 * the order of NUMERICS.md, outputs innermost. Compiled once or twice with the compiler's
 * vectorisers off: on x86-64 DD_VARIANT=portable calls the C library's fmaf, DD_VARIANT=fma has the
 * instruction; elsewhere portable has it where every CPU of the target does. Refuses blocking,
 * packing and every trick. */
#include <assert.h>
#include <math.h>

#include "elementary.h"
#include "sets.h"

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
/* gcc says by __FP_FAST_FMAF that fmaf is an instruction. clang does not say; it is one for every
 * aarch64, and for a riscv64 whose floats are in hardware. */
#if !defined __x86_64__ && (defined __FP_FAST_FMAF || defined __aarch64__ || defined __riscv_flen)
#define NAME_portable "reference+fma"
#else
#define NAME_portable "reference"
#endif
#define NAME_fma "reference+fma"

enum { BLOCK = 64, PANEL = 16 }; /* columns whose chains are held at a time; columns of a panel */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static float combine16(float p[16])
{
    for (size_t h = 8; h >= 1; h /= 2)
        for (size_t j = 0; j < h; j++)
            p[j] = p[j] + p[j + h];
    return p[0];
}

static float sum16(size_t n, const float *a)
{
    float p[16] = {0};
    for (size_t i = 0; i < n; i++)
        p[i % 16] = p[i % 16] + a[i];
    return combine16(p);
}

static float dot16(size_t n, const float *a, const float *b)
{
    float p[16] = {0};
    for (size_t i = 0; i < n; i++)
        p[i % 16] = __builtin_fmaf(a[i], b[i], p[i % 16]);
    return combine16(p);
}

/* NaN if the row holds one. */
static float row_max(size_t n, const float *a)
{
    float M = a[0];
    for (size_t i = 1; i < n; i++)
        M = a[i] > M || a[i] != a[i] ? a[i] : M;
    return M;
}

/* Writes n finished chains to their sink. */
static void sink_chains(size_t n, const float *chain, float *out, dd_sink sink)
{
    for (size_t j = 0; j < n; j++)
        out[j] = sink == DD_FOLD ? out[j] + chain[j] : chain[j];
}

static size_t scratch_bytes(size_t max_n, size_t max_k, size_t max_T, size_t max_d)
{
    (void)max_n;
    (void)max_k;
    (void)max_d;
    return 2 * max_T * sizeof(float); /* attention's row of dP and of G */
}

static void matmul(const dd_matmul *m, void *scratch)
{
    (void)scratch;
    assert(m->M && m->N && m->K);
    assert(m->a_row == 1 || m->a_col == 1);
    assert(m->b ? m->b_row == 1 || m->b_col == 1 : m->panel_pitch % PANEL == 0);
    assert(!(m->sink == DD_RESUME && m->bias));
    /* without b one panel at a time, so that columns are evenly spaced */
    const size_t columns = m->b ? BLOCK : PANEL;
    const size_t b_row = m->b ? m->b_row : PANEL, b_col = m->b ? m->b_col : 1;
    for (size_t i = 0; i < m->M; i++) {
        for (size_t j0 = 0; j0 < m->N; j0 += columns) {
            const size_t n = least(columns, m->N - j0);
            const float *a = m->a + i * m->a_row;
            const float *b = m->b ? m->b + j0 * m->b_col : m->panels + j0 / PANEL * m->panel_pitch;
            float *c = m->c + i * m->c_row + j0;
            float acc[BLOCK];
            for (size_t j = 0; j < n; j++)
                acc[j] = m->sink == DD_RESUME ? c[j] : m->bias ? m->bias[j0 + j] : 0.0f;
            for (size_t k = 0; k < m->K; k++)
                for (size_t j = 0; j < n; j++)
                    acc[j] = __builtin_fmaf(a[k * m->a_col], b[k * b_row + j * b_col], acc[j]);
            sink_chains(n, acc, c, m->sink);
        }
    }
}

/* One panel of one row of C at a time. */
static void matmul_lanes(const dd_matmul_lanes *m, void *scratch)
{
    (void)scratch;
    assert(m->M && m->N && m->n_lanes);
    assert(m->panel_pitch % PANEL == 0);
    for (size_t i = 0; i < m->M; i++)
        for (size_t j0 = 0; j0 < m->N; j0 += PANEL) {
            const size_t n = least(PANEL, m->N - j0);
            const float *a = m->a + i, *b = m->panels + j0 / PANEL * m->panel_pitch;
            float value[DD_FOLD_VALUES][PANEL];
            size_t n_values = 0;
            for (size_t l = 0; l < m->n_lanes; l++) {
                assert(m->lane[l].n && n_values < DD_FOLD_VALUES && m->lane[l].folds <= n_values);
                float *chain = value[n_values++];
                for (size_t j = 0; j < n; j++)
                    chain[j] = 0.0f;
                for (size_t r = 0; r < m->lane[l].n; r++, a += m->a_row, b += PANEL)
                    for (size_t j = 0; j < n; j++)
                        chain[j] = __builtin_fmaf(*a, b[j], chain[j]);
                for (uint32_t f = 0; f < m->lane[l].folds; f++) {
                    n_values--;
                    for (size_t j = 0; j < n; j++)
                        value[n_values - 1][j] = value[n_values - 1][j] + value[n_values][j];
                }
            }
            assert(n_values == 1);
            for (size_t j = 0; j < n; j++)
                m->c[i * m->c_row + j0 + j] = value[0][j];
        }
}

static void pack_rows(size_t R, size_t n, const float *b, size_t b_row, float *panels,
                      size_t panel_pitch)
{
    assert(panel_pitch % PANEL == 0 && panel_pitch >= PANEL * R);
    for (size_t j0 = 0; j0 < n; j0 += PANEL, panels += panel_pitch)
        for (size_t r = 0; r < R; r++)
            for (size_t j = 0; j < PANEL; j++)
                panels[r * PANEL + j] = j0 + j < n ? b[r * b_row + j0 + j] : 0.0f;
}

static void pack(size_t N, size_t K, size_t first, size_t last, const float *W, float *forward,
                 float *input)
{
    assert(first <= last && last <= N * K);
    for (size_t e = first; e < last; e++) {
        const size_t o = e / K, k = e % K;
        forward[o / PANEL * PANEL * K + PANEL * k + o % PANEL] = W[e];
        input[k / PANEL * PANEL * N + PANEL * o + k % PANEL] = W[e];
    }
}

static void softmax(size_t n, float *a)
{
    const float M = row_max(n, a);
    for (size_t s = 0; s < n; s++)
        a[s] = dd_exp(a[s] - M);
    const float inv = 1.0f / sum16(n, a);
    for (size_t s = 0; s < n; s++)
        a[s] = a[s] * inv;
}

static void attention_forward(const dd_attention *a, void *scratch)
{
    (void)scratch;
    assert(a->T && a->d);
    const size_t T = a->T, d = a->d;
    const float sigma = 1.0f / sqrtf((float)d);
    for (size_t t = 0; t < T; t++) {
        const float *q = a->q + t * a->qkv_row;
        float *P = a->P + t * T;
        float *att = a->att + t * a->att_row;
        for (size_t s = 0; s <= t; s++) {
            float acc = 0.0f;
            for (size_t i = 0; i < d; i++)
                acc = __builtin_fmaf(q[i], a->k[s * a->qkv_row + i], acc);
            P[s] = acc * sigma;
        }
        softmax(t + 1, P);
        for (size_t i = 0; i < d; i++)
            att[i] = 0.0f;
        for (size_t s = 0; s <= t; s++)
            for (size_t i = 0; i < d; i++)
                att[i] = __builtin_fmaf(P[s], a->v[s * a->qkv_row + i], att[i]);
    }
}

static void attention_kept(const dd_attention_kept *a, void *scratch)
{
    assert(a->n && a->d && a->first + a->n <= a->T);
    const size_t d = a->d, key_pitch = PANEL * (d + 1), value_pitch = PANEL * (a->T + 1);
    const float sigma = 1.0f / sqrtf((float)d);
    float *P = scratch;
    for (size_t r = 0; r < a->n; r++) {
        const size_t t = a->first + r;
        const float *q = a->q + r * a->q_row;
        float *att = a->att + r * a->att_row;
        for (size_t s = 0; s <= t; s++) {
            const float *k = a->keys + s / PANEL * key_pitch + s % PANEL;
            float acc = 0.0f;
            for (size_t i = 0; i < d; i++)
                acc = __builtin_fmaf(q[i], k[PANEL * i], acc);
            P[s] = acc * sigma;
        }
        softmax(t + 1, P);
        for (size_t i = 0; i < d; i++)
            att[i] = 0.0f;
        for (size_t s = 0; s <= t; s++)
            for (size_t i = 0; i < d; i++)
                att[i] = __builtin_fmaf(
                    P[s], a->values[i / PANEL * value_pitch + PANEL * s + i % PANEL], att[i]);
    }
}

static void attention_backward(const dd_attention *a, void *scratch)
{
    assert(a->T && a->d);
    const size_t T = a->T, d = a->d, row = a->qkv_row;
    const float sigma = 1.0f / sqrtf((float)d);
    float *dP = scratch;
    float *G = dP + T;
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < d; i++) {
            a->gq[t * row + i] = 0.0f;
            a->gk[t * row + i] = 0.0f;
            a->gv[t * row + i] = 0.0f;
        }
    for (size_t t = 0; t < T; t++) {
        const float *P = a->P + t * T;
        const float *gatt = a->gatt + t * a->att_row;
        for (size_t s = 0; s <= t; s++) {
            float acc = 0.0f;
            for (size_t i = 0; i < d; i++)
                acc = __builtin_fmaf(gatt[i], a->v[s * row + i], acc);
            dP[s] = acc;
        }
        const float D = dot16(t + 1, P, dP);
        for (size_t s = 0; s <= t; s++)
            G[s] = (P[s] * (dP[s] - D)) * sigma;
        for (size_t s = 0; s <= t; s++)
            for (size_t i = 0; i < d; i++) {
                float *gq = a->gq + t * row + i;
                float *gk = a->gk + s * row + i;
                float *gv = a->gv + s * row + i;
                *gq = __builtin_fmaf(G[s], a->k[s * row + i], *gq);
                *gk = __builtin_fmaf(G[s], a->q[t * row + i], *gk);
                *gv = __builtin_fmaf(P[s], gatt[i], *gv);
            }
    }
}

static void layernorm(size_t R, size_t C, const float *x, const float *w, const float *b, float *y,
                      float *mean, float *rstd)
{
    assert(C);
    for (size_t r = 0; r < R; r++, x += C, y += C) {
        const float m = sum16(C, x) / (float)C;
        float p[16] = {0};
        for (size_t c = 0; c < C; c++)
            p[c % 16] = __builtin_fmaf(x[c] - m, x[c] - m, p[c % 16]);
        const float var = combine16(p) / (float)C;
        const float rs = 1.0f / sqrtf(var + 1e-5f);
        for (size_t c = 0; c < C; c++)
            y[c] = __builtin_fmaf((x[c] - m) * rs, w[c], b[c]);
        mean[r] = m;
        rstd[r] = rs;
    }
}

static void layernorm_backward(size_t R, size_t C, const float *gy, const float *x, const float *w,
                               const float *mean, const float *rstd, const float *base, float *gx)
{
    assert(C);
    for (size_t r = 0; r < R; r++, gy += C, x += C, gx += C) {
        const float m = mean[r], rs = rstd[r];
        float p1[16] = {0}, p2[16] = {0};
        for (size_t c = 0; c < C; c++) {
            const float h = gy[c] * w[c];
            p1[c % 16] = p1[c % 16] + h;
            p2[c % 16] = __builtin_fmaf(h, (x[c] - m) * rs, p2[c % 16]);
        }
        const float s1 = combine16(p1) / (float)C;
        const float s2 = combine16(p2) / (float)C;
        for (size_t c = 0; c < C; c++) {
            const float xhat = (x[c] - m) * rs;
            const float result = __builtin_fmaf(-xhat, s2, gy[c] * w[c] - s1) * rs;
            gx[c] = base ? base[r * C + c] + result : result;
        }
    }
}

static void layernorm_grad(size_t R, size_t C, const float *gy, const float *x, const float *mean,
                           const float *rstd, float *gw, float *gb, dd_sink sink)
{
    for (size_t c0 = 0; c0 < C; c0 += BLOCK) {
        const size_t n = least(BLOCK, C - c0);
        float w[BLOCK] = {0}, b[BLOCK] = {0};
        for (size_t c = 0; c < n && sink == DD_RESUME; c++) {
            w[c] = gw[c0 + c];
            b[c] = gb[c0 + c];
        }
        for (size_t r = 0; r < R; r++)
            for (size_t c = 0; c < n; c++) {
                const float g = gy[r * C + c0 + c];
                w[c] = __builtin_fmaf(g, (x[r * C + c0 + c] - mean[r]) * rstd[r], w[c]);
                b[c] = b[c] + g;
            }
        sink_chains(n, w, gw + c0, sink);
        sink_chains(n, b, gb + c0, sink);
    }
}

static void bias_grad(size_t R, size_t N, const float *gy, size_t gy_row, float *gb, dd_sink sink)
{
    assert(gy_row >= N);
    for (size_t j0 = 0; j0 < N; j0 += BLOCK) {
        const size_t n = least(BLOCK, N - j0);
        float acc[BLOCK] = {0};
        for (size_t j = 0; j < n && sink == DD_RESUME; j++)
            acc[j] = gb[j0 + j];
        for (size_t r = 0; r < R; r++)
            for (size_t j = 0; j < n; j++)
                acc[j] = acc[j] + gy[r * gy_row + j0 + j];
        sink_chains(n, acc, gb + j0, sink);
    }
}

static void gelu(size_t n, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = dd_gelu(x[i]);
}

static void gelu_backward(size_t n, const float *gy, const float *x, float *gx)
{
    for (size_t i = 0; i < n; i++)
        gx[i] = gy[i] * dd_dgelu(x[i]);
}

static void add(size_t n, const float *a, const float *b, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

static void cross_entropy(size_t R, size_t V, float *logits, const uint32_t *target,
                          float inv_tokens, float *loss)
{
    for (size_t r = 0; r < R; r++, logits += V) {
        assert(target[r] < V);
        const float M = row_max(V, logits);
        const float below = M - logits[target[r]];
        for (size_t v = 0; v < V; v++)
            logits[v] = dd_exp(logits[v] - M);
        const float S = sum16(V, logits);
        const float inv = 1.0f / S;
        for (size_t v = 0; v < V; v++) {
            const float p = logits[v] * inv;
            logits[v] = (v == target[r] ? p - 1.0f : p) * inv_tokens;
        }
        loss[r] = dd_log(S) + below;
    }
}

static void cross_entropy_loss(size_t R, size_t V, const float *logits, const uint32_t *target,
                               float *loss)
{
    for (size_t r = 0; r < R; r++, logits += V) {
        assert(target[r] < V);
        const float M = row_max(V, logits);
        float p[16] = {0};
        for (size_t v = 0; v < V; v++)
            p[v % 16] = p[v % 16] + dd_exp(logits[v] - M);
        loss[r] = dd_log(combine16(p)) + (M - logits[target[r]]);
    }
}

static void fold(size_t n, float *dst, const float *src)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = dst[i] + src[i];
}

static double sum_squares(size_t n, const float *g)
{
    assert(n <= DD_NORM_BLOCK);
    double p[16] = {0};
    for (size_t i = 0; i < n; i++)
        p[i % 16] = p[i % 16] + (double)g[i] * (double)g[i];
    for (size_t h = 8; h >= 1; h /= 2)
        for (size_t j = 0; j < h; j++)
            p[j] = p[j] + p[j + h];
    return p[0];
}

static void adamw(size_t n, float *w, float *m, float *v, const float *g, const dd_adamw *opt)
{
    for (size_t i = 0; i < n; i++) {
        const float h = g[i] * opt->clip;
        m[i] = __builtin_fmaf(opt->b1, m[i], opt->a1 * h);
        v[i] = __builtin_fmaf(opt->b2, v[i], opt->a2 * (h * h));
        float u = (m[i] * opt->r1) / (sqrtf(v[i] * opt->r2) + opt->eps);
        if (opt->decayed)
            u = __builtin_fmaf(opt->weight_decay, w[i], u);
        w[i] = __builtin_fmaf(-opt->lr, u, w[i]);
    }
}

const dd_kernels PASTE(dd_reference_, PASTE(DD_VARIANT, _)) = {
    .name = PASTE(NAME_, DD_VARIANT),
    .scratch_bytes = scratch_bytes,
    .matmul = matmul,
    .pack = pack,
    .matmul_lanes = matmul_lanes,
    .pack_rows = pack_rows,
    .attention_forward = attention_forward,
    .attention_backward = attention_backward,
    .attention_kept = attention_kept,
    .layernorm = layernorm,
    .layernorm_backward = layernorm_backward,
    .layernorm_grad = layernorm_grad,
    .bias_grad = bias_grad,
    .gelu = gelu,
    .gelu_backward = gelu_backward,
    .add = add,
    .cross_entropy = cross_entropy,
    .cross_entropy_loss = cross_entropy_loss,
    .fold = fold,
    .sum_squares = sum_squares,
    .adamw = adamw,
};

/* Twelve chains hide the latency of any core of today. */
float PASTE(dd_burst_reference_, PASTE(DD_VARIANT, _))(size_t n, float seed)
{
    float c0 = seed, c1 = c0 + 1, c2 = c0 + 2, c3 = c0 + 3, c4 = c0 + 4, c5 = c0 + 5;
    float c6 = c0 + 6, c7 = c0 + 7, c8 = c0 + 8, c9 = c0 + 9, c10 = c0 + 10, c11 = c0 + 11;
    const float a = 0.5f, b = seed;
    for (size_t i = 0; i < n; i++) {
        c0 = __builtin_fmaf(c0, a, b);
        c1 = __builtin_fmaf(c1, a, b);
        c2 = __builtin_fmaf(c2, a, b);
        c3 = __builtin_fmaf(c3, a, b);
        c4 = __builtin_fmaf(c4, a, b);
        c5 = __builtin_fmaf(c5, a, b);
        c6 = __builtin_fmaf(c6, a, b);
        c7 = __builtin_fmaf(c7, a, b);
        c8 = __builtin_fmaf(c8, a, b);
        c9 = __builtin_fmaf(c9, a, b);
        c10 = __builtin_fmaf(c10, a, b);
        c11 = __builtin_fmaf(c11, a, b);
    }
    return ((c0 + c1) + (c2 + c3)) + ((c4 + c5) + (c6 + c7)) + ((c8 + c9) + (c10 + c11));
}
