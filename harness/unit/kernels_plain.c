/* SPDX-License-Identifier: MIT
 * Plain forms of the kernels: see kernels_plain.h. Section numbers are those of NUMERICS.md. */
#include "kernels_plain.h"

#include <math.h>
#include <stdlib.h>

#include "elementary.h"

/* sum16 and dot16, combined (1) */
typedef struct partials {
    float p[16];
} partials;

static float combine(partials s)
{
    for (int h = 8; h > 0; h /= 2)
        for (int j = 0; j < h; j++)
            s.p[j] = s.p[j] + s.p[j + h];
    return s.p[0];
}

static float sink_of(dd_sink sink, float held, float chain)
{
    return sink == DD_FOLD ? held + chain : chain;
}

void plain_matmul(const dd_matmul *m)
{
    for (size_t i = 0; i < m->M; i++)
        for (size_t j = 0; j < m->N; j++) {
            float *c = m->c + i * m->c_row + j;
            float acc = m->sink == DD_RESUME ? *c : m->bias ? m->bias[j] : 0.0f;
            for (size_t k = 0; k < m->K; k++)
                acc =
                    fmaf(m->a[i * m->a_row + k * m->a_col], m->b[k * m->b_row + j * m->b_col], acc);
            *c = sink_of(m->sink, *c, acc);
        }
}

void plain_matmul_lanes(const dd_matmul_lanes *m, const float *b, size_t b_row)
{
    for (size_t i = 0; i < m->M; i++)
        for (size_t j = 0; j < m->N; j++) {
            float value[DD_FOLD_VALUES] = {0};
            size_t n = 0, r = 0;
            for (size_t l = 0; l < m->n_lanes; l++) {
                float chain = 0.0f;
                for (const size_t end = r + m->lane[l].n; r < end; r++)
                    chain = fmaf(m->a[r * m->a_row + i], b[r * b_row + j], chain);
                value[n++] = chain;
                for (uint32_t f = 0; f < m->lane[l].folds; f++, n--)
                    value[n - 2] = value[n - 2] + value[n - 1];
            }
            m->c[i * m->c_row + j] = value[0];
        }
}

/* softmax (4) */
static void plain_softmax(size_t n, float *a)
{
    float M = a[0];
    for (size_t s = 0; s < n; s++) {
        if (isnan(a[s])) {
            M = a[s];
            break;
        }
        if (a[s] > M)
            M = a[s];
    }
    partials S = {{0}};
    for (size_t s = 0; s < n; s++) {
        a[s] = dd_exp(a[s] - M);
        S.p[s % 16] = S.p[s % 16] + a[s];
    }
    const float inv = 1.0f / combine(S);
    for (size_t s = 0; s < n; s++)
        a[s] = a[s] * inv;
}

/* 4.2.3 */
void plain_attention_forward(const dd_attention *a)
{
    const float sigma = 1.0f / sqrtf((float)a->d);
    for (size_t t = 0; t < a->T; t++) {
        float *P = a->P + t * a->T;
        for (size_t s = 0; s <= t; s++) {
            float acc = 0.0f;
            for (size_t i = 0; i < a->d; i++)
                acc = fmaf(a->q[t * a->qkv_row + i], a->k[s * a->qkv_row + i], acc);
            P[s] = acc * sigma;
        }
        plain_softmax(t + 1, P);
        for (size_t i = 0; i < a->d; i++) {
            float acc = 0.0f;
            for (size_t s = 0; s <= t; s++)
                acc = fmaf(P[s], a->v[s * a->qkv_row + i], acc);
            a->att[t * a->att_row + i] = acc;
        }
    }
}

/* 5.4.6 */
void plain_attention_backward(const dd_attention *a)
{
    const size_t T = a->T, d = a->d;
    const float sigma = 1.0f / sqrtf((float)d);
    float *G = malloc(T * T * sizeof *G);
    float *dP = malloc(T * sizeof *dP);
    if (!G || !dP)
        abort();
    for (size_t t = 0; t < T; t++) {
        const float *P = a->P + t * T;
        partials D = {{0}};
        for (size_t s = 0; s <= t; s++) {
            dP[s] = 0.0f;
            for (size_t i = 0; i < d; i++)
                dP[s] = fmaf(a->gatt[t * a->att_row + i], a->v[s * a->qkv_row + i], dP[s]);
            D.p[s % 16] = fmaf(P[s], dP[s], D.p[s % 16]);
        }
        const float row = combine(D);
        for (size_t s = 0; s <= t; s++)
            G[t * T + s] = (P[s] * (dP[s] - row)) * sigma;
    }
    for (size_t x = 0; x < T; x++)
        for (size_t i = 0; i < d; i++) {
            float gq = 0.0f, gk = 0.0f, gv = 0.0f;
            for (size_t s = 0; s <= x; s++)
                gq = fmaf(G[x * T + s], a->k[s * a->qkv_row + i], gq);
            for (size_t t = x; t < T; t++) {
                gk = fmaf(G[t * T + x], a->q[t * a->qkv_row + i], gk);
                gv = fmaf(a->P[t * T + x], a->gatt[t * a->att_row + i], gv);
            }
            a->gq[x * a->qkv_row + i] = gq;
            a->gk[x * a->qkv_row + i] = gk;
            a->gv[x * a->qkv_row + i] = gv;
        }
    free(dP);
    free(G);
}

/* LN (4) */
void plain_layernorm(size_t R, size_t C, const float *x, const float *w, const float *b, float *y,
                     float *mean, float *rstd)
{
    for (size_t r = 0; r < R; r++) {
        partials s = {{0}}, q = {{0}};
        for (size_t c = 0; c < C; c++)
            s.p[c % 16] = s.p[c % 16] + x[r * C + c];
        const float m = combine(s) / (float)C;
        for (size_t c = 0; c < C; c++) {
            const float u = x[r * C + c] - m;
            q.p[c % 16] = fmaf(u, u, q.p[c % 16]);
        }
        const float var = combine(q) / (float)C;
        const float root = sqrtf(var + 1e-5f);
        mean[r] = m;
        rstd[r] = 1.0f / root;
        for (size_t c = 0; c < C; c++) {
            const float xhat = (x[r * C + c] - m) * rstd[r];
            y[r * C + c] = fmaf(xhat, w[c], b[c]);
        }
    }
}

/* LNB (5) */
void plain_layernorm_backward(size_t R, size_t C, const float *gy, const float *x, const float *w,
                              const float *mean, const float *rstd, const float *base, float *gx)
{
    for (size_t r = 0; r < R; r++) {
        partials s = {{0}}, q = {{0}};
        for (size_t c = 0; c < C; c++) {
            const float h = gy[r * C + c] * w[c];
            const float xhat = (x[r * C + c] - mean[r]) * rstd[r];
            s.p[c % 16] = s.p[c % 16] + h;
            q.p[c % 16] = fmaf(h, xhat, q.p[c % 16]);
        }
        const float s1 = combine(s) / (float)C, s2 = combine(q) / (float)C;
        for (size_t c = 0; c < C; c++) {
            const float h = gy[r * C + c] * w[c];
            const float xhat = (x[r * C + c] - mean[r]) * rstd[r];
            const float result = fmaf(-xhat, s2, h - s1) * rstd[r];
            gx[r * C + c] = base ? base[r * C + c] + result : result;
        }
    }
}

/* 6 */
void plain_layernorm_grad(size_t R, size_t C, const float *gy, const float *x, const float *mean,
                          const float *rstd, float *gw, float *gb, dd_sink sink)
{
    for (size_t c = 0; c < C; c++) {
        float w = sink == DD_RESUME ? gw[c] : 0.0f, b = sink == DD_RESUME ? gb[c] : 0.0f;
        for (size_t r = 0; r < R; r++) {
            const float xhat = (x[r * C + c] - mean[r]) * rstd[r];
            w = fmaf(gy[r * C + c], xhat, w);
            b = b + gy[r * C + c];
        }
        gw[c] = sink_of(sink, gw[c], w);
        gb[c] = sink_of(sink, gb[c], b);
    }
}

/* 6 */
void plain_bias_grad(size_t R, size_t N, const float *gy, size_t gy_row, float *gb, dd_sink sink)
{
    for (size_t j = 0; j < N; j++) {
        float acc = sink == DD_RESUME ? gb[j] : 0.0f;
        for (size_t r = 0; r < R; r++)
            acc = acc + gy[r * gy_row + j];
        gb[j] = sink_of(sink, gb[j], acc);
    }
}

/* 4.5 and 5.1 */
void plain_cross_entropy(size_t R, size_t V, float *logits, const uint32_t *target,
                         float inv_tokens, float *loss)
{
    for (size_t r = 0; r < R; r++) {
        float *row = logits + r * V;
        float M = row[0];
        for (size_t v = 0; v < V; v++) {
            if (isnan(row[v])) {
                M = row[v];
                break;
            }
            if (row[v] > M)
                M = row[v];
        }
        const float below = M - row[target[r]];
        partials s = {{0}};
        for (size_t v = 0; v < V; v++) {
            row[v] = dd_exp(row[v] - M);
            s.p[v % 16] = s.p[v % 16] + row[v];
        }
        const float S = combine(s);
        loss[r] = dd_log(S) + below;
        const float inv = 1.0f / S;
        for (size_t v = 0; v < V; v++) {
            float p = row[v] * inv;
            if (v == target[r])
                p = p - 1.0f;
            row[v] = p * inv_tokens;
        }
    }
}

/* 8 */
double plain_sum_squares(size_t n, const float *g)
{
    double p[16] = {0};
    for (size_t i = 0; i < n; i++) {
        const double square = (double)g[i] * (double)g[i];
        p[i % 16] = p[i % 16] + square;
    }
    for (int h = 8; h > 0; h /= 2)
        for (int j = 0; j < h; j++)
            p[j] = p[j] + p[j + h];
    return p[0];
}

/* 8 */
void plain_adamw(size_t n, float *w, float *m, float *v, const float *g, const dd_adamw *opt)
{
    for (size_t i = 0; i < n; i++) {
        const float h = g[i] * opt->clip;
        const float a1h = opt->a1 * h;
        const float hh = h * h;
        const float a2hh = opt->a2 * hh;
        m[i] = fmaf(opt->b1, m[i], a1h);
        v[i] = fmaf(opt->b2, v[i], a2hh);
        const float top = m[i] * opt->r1;
        const float root = sqrtf(v[i] * opt->r2);
        float u = top / (root + opt->eps);
        if (opt->decayed)
            u = fmaf(opt->weight_decay, w[i], u);
        w[i] = fmaf(-opt->lr, u, w[i]);
    }
}
