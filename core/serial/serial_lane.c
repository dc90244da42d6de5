/* SPDX-License-Identifier: MIT
 * The oracle's forward and backward pass through one lane, written to be read beside
 * core/model/NUMERICS.md: numbers in brackets are its sections. Every loop that carries a chain has
 * its outputs innermost, so that the compiler may vectorise across outputs but never along a chain.
 * No loop is blocked, unrolled or merged with another by hand. */
#include "serial_lane.h"

#include "platform.h"

#include <string.h>

struct lane_work {
    size_t max_sequences, n_sequences, R; /* R: rows, that is tokens, of the lane now in work */
    uint32_t *tok, *tgt;                  /* (R) input tokens, targets */
    /* layer by layer */
    real *x;            /* (L + 1, R, C) residual stream into each layer, and out of the last */
    real *n1, *m1, *s1; /* (L, R, C) first LayerNorm, (L, R) its mean and rstd */
    real *qkv;          /* (L, R, 3C) */
    real *P;            /* (L, sequences, NH, T, T) attention weights */
    real *att;          /* (L, R, C) */
    real *x2;           /* (L, R, C) residual stream between attention and MLP */
    real *n2, *m2, *s2; /* (L, R, C) second LayerNorm, (L, R) its mean and rstd */
    real *f, *g;        /* (L, R, 4C) before and after GELU */
    /* the end */
    real *nf, *mf, *sf; /* (R, C) last LayerNorm, (R) its mean and rstd */
    real *e;            /* (R, V) logits, then exp(logits - M), then their gradient */
    real *S;            /* (R) row sums of e */
    /* backward */
    real *gx, *gx2, *gn, *gatt; /* (R, C) */
    real *gqkv;                 /* (R, 3C) */
    real *gf;                   /* (R, 4C) */
    /* scratch */
    real *branch;     /* (R, C) */
    real *transposed; /* (K, N) of the matrix product at hand; (d, T) in attention */
    real *row;        /* (2C) in LayerNorm; (T) in attention */
};

/* ---- Sums and products [1] ---- */

/* Sixteen partials to one. */
static real combine(real p[16])
{
    for (int h = 8; h >= 1; h /= 2)
        for (int j = 0; j < h; j++)
            p[j] = p[j] + p[j + h];
    return p[0];
}

static real sum16(size_t n, const real *a)
{
    real p[16] = {0};
    for (size_t i = 0; i < n; i++)
        p[i % 16] = p[i % 16] + a[i];
    return combine(p);
}

static real dot16(size_t n, const real *a, const real *b)
{
    real p[16] = {0};
    for (size_t i = 0; i < n; i++)
        p[i % 16] = real_fma(a[i], b[i], p[i % 16]);
    return combine(p);
}

/* A row that holds a NaN has maximum NaN. */
static real max_of(size_t n, const real *a)
{
    real max = a[0];
    for (size_t i = 1; i < n; i++)
        if (a[i] > max || isnan(a[i]))
            max = a[i];
    return max;
}

/* c[j] = fma(x, b[j], c[j]): one more link of n chains */
static void link_chains(size_t n, real x, const real *restrict b, real *restrict c)
{
    for (size_t j = 0; j < n; j++)
        c[j] = real_fma(x, b[j], c[j]);
}

/* c (M, N) goes on from what it holds: c[i][j] = chain(k < K: a(i, k) * b[k][j]; c[i][j]),
 * a(i, k) = a[i * a_row + k * a_col], b (K, N) */
static void product(size_t M, size_t N, size_t K, const real *a, size_t a_row, size_t a_col,
                    const real *b, real *c)
{
    for (size_t i = 0; i < M; i++)
        for (size_t k = 0; k < K; k++)
            link_chains(N, a[i * a_row + k * a_col], b + k * N, c + i * N);
}

/* out (columns, rows) = in (rows, columns) transposed; in's rows lie `stride` apart */
static void transpose(size_t rows, size_t columns, const real *in, size_t stride, real *out)
{
    for (size_t j = 0; j < columns; j++)
        for (size_t i = 0; i < rows; i++)
            out[j * rows + i] = in[i * stride + j];
}

/* y[r][o] = chain(k < K: x[r][k] * W[o][k]; b[o]), W (N, K); b NULL: from +0 */
static void linear(lane_work *a, size_t R, size_t N, size_t K, const real *x, const real *W,
                   const real *b, real *y)
{
    transpose(N, K, W, K, a->transposed);
    for (size_t r = 0; r < R; r++)
        for (size_t o = 0; o < N; o++)
            y[r * N + o] = b ? b[o] : 0;
    product(R, N, K, x, K, 1, a->transposed, y);
}

/* gx[r][k] = chain(o < N: gy[r][o] * W[o][k]; +0), W (N, K) */
static void linear_backward(size_t R, size_t N, size_t K, const real *gy, const real *W, real *gx)
{
    memset(gx, 0, R * K * sizeof *gx);
    product(R, K, N, gy, N, 1, W, gx);
}

/* [6] gW[o][k] = chain(r < R: gy[r][o] * y[r][k]), gb[o] = addchain(r < R: gy[r][o]), both from the
 * +0 they hold; gb NULL: none */
static void linear_gradient(size_t R, size_t N, size_t K, const real *gy, const real *y, real *gW,
                            real *gb)
{
    product(N, K, R, gy, 1, N, y, gW);
    for (size_t r = 0; gb && r < R; r++)
        for (size_t o = 0; o < N; o++)
            gb[o] = gb[o] + gy[r * N + o];
}

/* ---- LayerNorm [4, 5] ---- */

/* y is also the scratch for u = x - mean. */
static void layernorm(size_t R, size_t C, const real *x, const real *w, const real *b, real *y,
                      real *mean, real *rstd)
{
    const real eps = (real)1e-5f;
    for (size_t r = 0; r < R; r++, x += C, y += C) {
        mean[r] = sum16(C, x) / (real)C;
        for (size_t c = 0; c < C; c++)
            y[c] = x[c] - mean[r];
        real var = dot16(C, y, y) / (real)C;
        rstd[r] = 1 / real_sqrt(var + eps);
        for (size_t c = 0; c < C; c++) {
            real xhat = y[c] * rstd[r];
            y[c] = real_fma(xhat, w[c], b[c]);
        }
    }
}

/* out[r][c] = LNB(gy; x), and [6] gw[c] = chain(r: gy * xhat), gb[c] = addchain(r: gy) from the +0
 * they hold. h and xhat are (C) scratch. */
static void layernorm_backward(size_t R, size_t C, const real *gy, const real *x, const real *w,
                               const real *mean, const real *rstd, real *out, real *gw, real *gb,
                               real *h, real *xhat)
{
    for (size_t r = 0; r < R; r++, gy += C, x += C, out += C) {
        for (size_t c = 0; c < C; c++) {
            h[c] = gy[c] * w[c];
            xhat[c] = (x[c] - mean[r]) * rstd[r];
        }
        real s1 = sum16(C, h) / (real)C;
        real s2 = dot16(C, h, xhat) / (real)C;
        for (size_t c = 0; c < C; c++) {
            out[c] = real_fma(-xhat[c], s2, h[c] - s1) * rstd[r];
            gw[c] = real_fma(gy[c], xhat[c], gw[c]);
            gb[c] = gb[c] + gy[c];
        }
    }
}

/* ---- Attention: one head of one sequence [4.2.3, 5.4.6] ---- */

/* q, k, v, gq, gk, gv (T, d) have rows 3C apart, att and gatt rows C apart; P is (T, T). */
typedef struct head {
    size_t T, d, C;
    const real *q, *k, *v;
    real *P;
    real *att;
    const real *gatt;
    real *gq, *gk, *gv;
    real *transposed; /* scratch (d, T) */
    real *row;        /* scratch (T) */
} head;

static real score_scale(size_t d)
{
    return 1 / real_sqrt((real)d);
}

static void attention(const head *h)
{
    size_t T = h->T, d = h->d, qkv_row = 3 * h->C;
    real sigma = score_scale(d);
    transpose(T, d, h->k, qkv_row, h->transposed);
    for (size_t t = 0; t < T; t++) {
        size_t n = t + 1; /* s <= t */
        const real *q = h->q + t * qkv_row;
        real *P = h->P + t * T, *att = h->att + t * h->C;

        memset(P, 0, n * sizeof *P);
        for (size_t i = 0; i < d; i++)
            link_chains(n, q[i], h->transposed + i * T, P);
        for (size_t s = 0; s < n; s++)
            P[s] = P[s] * sigma;

        real M = max_of(n, P);
        for (size_t s = 0; s < n; s++)
            P[s] = real_exp(P[s] - M);
        real inv = 1 / sum16(n, P);
        for (size_t s = 0; s < n; s++)
            P[s] = P[s] * inv;

        memset(att, 0, d * sizeof *att);
        for (size_t s = 0; s < n; s++)
            link_chains(d, P[s], h->v + s * qkv_row, att);
    }
}

/* gk and gv hold +0 on entry; t ascends, so each of their chains does. */
static void attention_backward(const head *h)
{
    size_t T = h->T, d = h->d, qkv_row = 3 * h->C;
    real sigma = score_scale(d), *dP = h->row;
    transpose(T, d, h->v, qkv_row, h->transposed);
    for (size_t t = 0; t < T; t++) {
        size_t n = t + 1;
        const real *q = h->q + t * qkv_row, *gatt = h->gatt + t * h->C, *P = h->P + t * T;
        real *gq = h->gq + t * qkv_row;

        memset(dP, 0, n * sizeof *dP);
        for (size_t i = 0; i < d; i++)
            link_chains(n, gatt[i], h->transposed + i * T, dP);
        real D = dot16(n, P, dP);
        memset(gq, 0, d * sizeof *gq);
        for (size_t s = 0; s < n; s++) {
            real G = (P[s] * (dP[s] - D)) * sigma;
            link_chains(d, G, h->k + s * qkv_row, gq);
            link_chains(d, G, q, h->gk + s * qkv_row);
            link_chains(d, P[s], gatt, h->gv + s * qkv_row);
        }
    }
}

/* Runs `one` for every sequence and head of layer l; gqkv (R, 3C) gets gq, gk and gv side by side.
 */
static void for_each_head(const lane_model *m, lane_work *a, size_t l, void (*one)(const head *))
{
    size_t T = m->T, C = m->shape.C, NH = m->shape.NH, d = C / NH, R = a->R;
    for (size_t i = 0; i < a->n_sequences; i++)
        for (size_t h = 0; h < NH; h++) {
            size_t in_qkv = i * T * 3 * C + h * d, in_att = i * T * C + h * d;
            const real *qkv = a->qkv + l * R * 3 * C + in_qkv;
            real *gqkv = a->gqkv + in_qkv;
            one(&(head){
                .T = T,
                .d = d,
                .C = C,
                .q = qkv,
                .k = qkv + C,
                .v = qkv + 2 * C,
                .P = a->P + ((l * a->n_sequences + i) * NH + h) * T * T,
                .att = a->att + l * R * C + in_att,
                .gatt = a->gatt + in_att,
                .gq = gqkv,
                .gk = gqkv + C,
                .gv = gqkv + 2 * C,
                .transposed = a->transposed,
                .row = a->row,
            });
        }
}

/* ---- Forward [4] ---- */

static void layer_forward(const lane_model *m, lane_work *a, size_t l)
{
    size_t C = m->shape.C, R = a->R;
    const tensors *w = &m->w;
    real *x = a->x + l * R * C, *x_next = x + R * C, *x2 = a->x2 + l * R * C;
    real *n1 = a->n1 + l * R * C, *n2 = a->n2 + l * R * C, *att = a->att + l * R * C;
    real *f = a->f + l * R * 4 * C, *g = a->g + l * R * 4 * C;

    layernorm(R, C, x, w->ln1w + l * C, w->ln1b + l * C, n1, a->m1 + l * R, a->s1 + l * R);
    linear(a, R, 3 * C, C, n1, w->qkvw + l * 3 * C * C, w->qkvb + l * 3 * C,
           a->qkv + l * R * 3 * C);
    for_each_head(m, a, l, attention);
    linear(a, R, C, C, att, w->attprojw + l * C * C, w->attprojb + l * C, a->branch);
    for (size_t i = 0; i < R * C; i++)
        x2[i] = x[i] + a->branch[i];

    layernorm(R, C, x2, w->ln2w + l * C, w->ln2b + l * C, n2, a->m2 + l * R, a->s2 + l * R);
    linear(a, R, 4 * C, C, n2, w->fcw + l * 4 * C * C, w->fcb + l * 4 * C, f);
    for (size_t i = 0; i < R * 4 * C; i++)
        g[i] = real_gelu(f[i]);
    linear(a, R, C, 4 * C, g, w->fcprojw + l * C * 4 * C, w->fcprojb + l * C, a->branch);
    for (size_t i = 0; i < R * C; i++)
        x_next[i] = x2[i] + a->branch[i];
}

double lane_forward(const lane_model *m, lane_work *a, const uint16_t *tokens,
                    const uint64_t *first, size_t n, real *token_loss)
{
    size_t T = m->T, C = m->shape.C, V = m->shape.V, L = m->shape.L, R = n * T;
    const tensors *w = &m->w;
    a->n_sequences = n;
    a->R = R;
    for (size_t r = 0; r < R; r++) {
        const uint16_t *at = tokens + first[r / T] + r % T;
        a->tok[r] = at[0];
        a->tgt[r] = at[1];
        for (size_t c = 0; c < C; c++) /* [4.1] */
            a->x[r * C + c] = w->wte[a->tok[r] * C + c] + w->wpe[r % T * C + c];
    }
    for (size_t l = 0; l < L; l++) /* [4.2] */
        layer_forward(m, a, l);
    /* [4.3], [4.4] */
    layernorm(R, C, a->x + L * R * C, w->lnfw, w->lnfb, a->nf, a->mf, a->sf);
    linear(a, R, V, C, a->nf, w->wte, NULL, a->e);

    double sum = 0;                  /* [6] */
    for (size_t r = 0; r < R; r++) { /* [4.5] */
        real *e = a->e + r * V;
        real M = max_of(V, e), target = e[a->tgt[r]];
        for (size_t v = 0; v < V; v++)
            e[v] = real_exp(e[v] - M);
        a->S[r] = sum16(V, e);
        token_loss[r] = real_log(a->S[r]) + (M - target);
        sum = sum + (double)token_loss[r];
    }
    return sum;
}

/* ---- Backward [5] ---- */

/* a->gx is the gradient of layer l's output on entry and of its input on return. */
static void layer_backward(const lane_model *m, lane_work *a, const tensors *gw, size_t l)
{
    size_t C = m->shape.C, R = a->R;
    const tensors *w = &m->w;
    const real *x = a->x + l * R * C, *x2 = a->x2 + l * R * C;
    const real *n1 = a->n1 + l * R * C, *n2 = a->n2 + l * R * C, *att = a->att + l * R * C;
    const real *f = a->f + l * R * 4 * C, *g = a->g + l * R * 4 * C;
    real *h = a->row, *xhat = a->row + C;

    /* MLP [5.4.1 to 5.4.4] */
    linear_backward(R, C, 4 * C, a->gx, w->fcprojw + l * C * 4 * C, a->gf);
    linear_gradient(R, C, 4 * C, a->gx, g, gw->fcprojw + l * C * 4 * C, gw->fcprojb + l * C);
    for (size_t i = 0; i < R * 4 * C; i++)
        a->gf[i] = a->gf[i] * real_dgelu(f[i]);
    linear_backward(R, 4 * C, C, a->gf, w->fcw + l * 4 * C * C, a->gn);
    linear_gradient(R, 4 * C, C, a->gf, n2, gw->fcw + l * 4 * C * C, gw->fcb + l * 4 * C);
    layernorm_backward(R, C, a->gn, x2, w->ln2w + l * C, a->m2 + l * R, a->s2 + l * R, a->branch,
                       gw->ln2w + l * C, gw->ln2b + l * C, h, xhat);
    for (size_t i = 0; i < R * C; i++)
        a->gx2[i] = a->gx[i] + a->branch[i];

    /* attention [5.4.5 to 5.4.8] */
    linear_backward(R, C, C, a->gx2, w->attprojw + l * C * C, a->gatt);
    linear_gradient(R, C, C, a->gx2, att, gw->attprojw + l * C * C, gw->attprojb + l * C);
    memset(a->gqkv, 0, R * 3 * C * sizeof *a->gqkv);
    for_each_head(m, a, l, attention_backward);
    linear_backward(R, 3 * C, C, a->gqkv, w->qkvw + l * 3 * C * C, a->gn);
    linear_gradient(R, 3 * C, C, a->gqkv, n1, gw->qkvw + l * 3 * C * C, gw->qkvb + l * 3 * C);
    layernorm_backward(R, C, a->gn, x, w->ln1w + l * C, a->m1 + l * R, a->s1 + l * R, a->branch,
                       gw->ln1w + l * C, gw->ln1b + l * C, h, xhat);
    for (size_t i = 0; i < R * C; i++)
        a->gx[i] = a->gx2[i] + a->branch[i];
}

void lane_backward(const lane_model *m, lane_work *a, gradient *out)
{
    size_t T = m->T, C = m->shape.C, V = m->shape.V, L = m->shape.L, R = a->R;
    size_t size[N_TENSORS], P = 0;
    tensors gw;
    lane_tensors_point(&m->shape, out->dense, &gw, size);
    for (size_t k = 0; k < N_TENSORS; k++)
        P += size[k];
    memset(out->dense, 0, P * sizeof *out->dense); /* [6] every chain begins from +0 */
    memset(out->present, 0, V * sizeof *out->present);

    for (size_t r = 0; r < R; r++) { /* [5.1] */
        real *e = a->e + r * V, over_S = 1 / a->S[r];
        for (size_t v = 0; v < V; v++) {
            real p = e[v] * over_S;
            e[v] = (v == a->tgt[r] ? p - 1 : p) * m->inv;
        }
    }
    /* [5.2], [5.3] */
    linear_backward(R, V, C, a->e, m->w.wte, a->gn);
    linear_gradient(R, V, C, a->e, a->nf, gw.wte, NULL);
    layernorm_backward(R, C, a->gn, a->x + L * R * C, m->w.lnfw, a->mf, a->sf, a->gx, gw.lnfw,
                       gw.lnfb, a->row, a->row + C);
    for (size_t l = L; l-- > 0;) /* [5.4] */
        layer_backward(m, a, &gw, l);

    for (size_t r = 0; r < R; r++) { /* [5.5], [6] */
        const real *gx = a->gx + r * C;
        real *position = gw.wpe + r % T * C, *row = out->lookup + a->tok[r] * C;
        if (!out->present[a->tok[r]])
            memset(row, 0, C * sizeof *row);
        out->present[a->tok[r]] = true;
        for (size_t c = 0; c < C; c++) {
            position[c] = position[c] + gx[c];
            row[c] = row[c] + gx[c];
        }
    }
}

/* ---- Memory ---- */

void lane_tensors_point(const dd_shape *shape, real *memory, tensors *t, size_t size[N_TENSORS])
{
    size_t L = shape->L, C = shape->C, V = shape->V, T_max = shape->T_max;
    const struct {
        real **to;
        size_t size;
    } order[N_TENSORS] = {
        {&t->wte, V * C},
        {&t->wpe, T_max * C},
        {&t->ln1w, L * C},
        {&t->ln1b, L * C},
        {&t->qkvw, L * 3 * C * C},
        {&t->qkvb, L * 3 * C},
        {&t->attprojw, L * C * C},
        {&t->attprojb, L * C},
        {&t->ln2w, L * C},
        {&t->ln2b, L * C},
        {&t->fcw, L * 4 * C * C},
        {&t->fcb, L * 4 * C},
        {&t->fcprojw, L * C * 4 * C},
        {&t->fcprojb, L * C},
        {&t->lnfw, C},
        {&t->lnfb, C},
    };
    for (size_t k = 0; k < N_TENSORS; k++) {
        *order[k].to = memory;
        memory += order[k].size;
        size[k] = order[k].size;
    }
}

/* The arrays of a lane_work: where each is kept and its extents; a NULL ends the list. */
typedef struct array {
    real **to;
    size_t a, b, c;
} array;

#define N_ARRAYS 28

static void list_arrays(lane_work *w, const lane_model *m, array list[N_ARRAYS])
{
    size_t S = w->max_sequences, T = m->T, R = S * T;
    size_t L = m->shape.L, NH = m->shape.NH, C = m->shape.C, V = m->shape.V, d = C / NH;
    size_t widest = V > 4 * C ? V : 4 * C, in_attention = d * T;
    const array arrays[N_ARRAYS] = {
        {&w->x, L + 1, R, C},
        {&w->n1, L, R, C},
        {&w->m1, L, R, 1},
        {&w->s1, L, R, 1},
        {&w->qkv, L, R, 3 * C},
        {&w->P, L * R, NH, T},
        {&w->att, L, R, C},
        {&w->x2, L, R, C},
        {&w->n2, L, R, C},
        {&w->m2, L, R, 1},
        {&w->s2, L, R, 1},
        {&w->f, L, R, 4 * C},
        {&w->g, L, R, 4 * C},
        {&w->nf, R, C, 1},
        {&w->mf, R, 1, 1},
        {&w->sf, R, 1, 1},
        {&w->e, R, V, 1},
        {&w->S, R, 1, 1},
        {&w->gx, R, C, 1},
        {&w->gx2, R, C, 1},
        {&w->gn, R, C, 1},
        {&w->gatt, R, C, 1},
        {&w->gqkv, R, 3 * C, 1},
        {&w->gf, R, 4 * C, 1},
        {&w->branch, R, C, 1},
        {&w->transposed, widest * C > in_attention ? widest * C : in_attention, 1, 1},
        {&w->row, 2 * C > T ? 2 * C : T, 1, 1},
    };
    memcpy(list, arrays, sizeof arrays);
}

dd_status lane_work_open(const lane_model *m, size_t max_sequences, lane_work **out)
{
    array list[N_ARRAYS];
    lane_work *w = dd_alloc(sizeof *w);
    if (!w)
        return DD_ERR_MEMORY;
    w->max_sequences = max_sequences;
    list_arrays(w, m, list);
    bool ok = true;
    for (const array *a = list; ok && a->to; a++) {
        size_t n;
        ok = !__builtin_mul_overflow(a->a, a->b, &n) && !__builtin_mul_overflow(n, a->c, &n) &&
             !__builtin_mul_overflow(n, sizeof(real), &n) && (*a->to = dd_alloc(n)) != NULL;
    }
    size_t R = max_sequences * m->T;
    w->tok = ok ? dd_alloc(R * sizeof *w->tok) : NULL;
    w->tgt = ok ? dd_alloc(R * sizeof *w->tgt) : NULL;
    if (!w->tok || !w->tgt) {
        lane_work_close(w, m);
        return DD_ERR_MEMORY;
    }
    *out = w;
    return DD_OK;
}

void lane_work_close(lane_work *w, const lane_model *m)
{
    if (!w)
        return;
    array list[N_ARRAYS];
    list_arrays(w, m, list);
    for (const array *a = list; a->to; a++)
        dd_free(*a->to);
    dd_free(w->tok);
    dd_free(w->tgt);
    dd_free(w);
}
