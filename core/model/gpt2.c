/* SPDX-License-Identifier: MIT
 * Forward and backward of one lane. R is the lane's number of rows (tokens); every activation is
 * (R, …), its sequences laid end to end. Owns the workspace's layout; leaves all arithmetic to the
 * kernels. */
#include "gpt2.h"

#include "gradient.h"
#include "platform.h"

#include <assert.h>

/* Activations that one layer keeps for its backward pass. */
typedef struct layer_acts {
    float *x;             /* (R, C) input of the layer */
    float *mean1, *rstd1; /* (R) */
    float *n1;            /* (R, C) LayerNorm of x */
    float *qkv;           /* (R, 3C) */
    float *P;             /* (sequences, NH, T, T) attention weights */
    float *att;           /* (R, C) heads' outputs side by side */
    float *x2;            /* (R, C) after the attention's residual */
    float *mean2, *rstd2; /* (R) */
    float *n2;            /* (R, C) LayerNorm of x2 */
    float *f, *g;         /* (R, 4C) before and after GELU */
} layer_acts;

struct dd_workspace {
    uint64_t bytes;
    uint32_t max_sequences;
    float *memory;         /* all arrays below */
    void *scratch;         /* the kernels' */
    layer_acts *layer;     /* (L) */
    uint32_t *tok, *tgt;   /* (R) input and target tokens */
    float *xf;             /* (R, C) output of the last layer */
    float *meanf, *rstdf;  /* (R) */
    float *nf;             /* (R, C) final LayerNorm */
    float *logits;         /* (R, V), their gradient after the loss */
    float *loss;           /* (R) */
    float *branch;         /* (R, C) a branch's output before it joins the residual stream */
    float *gx, *gn, *gatt; /* (R, C) */
    float *gf;             /* (R, 4C) */
    float *gqkv;           /* (R, 3C) */
    dd_rows lookup;        /* the lane's own lookup rows while it is folded */
};

/* Hands out consecutive pieces of the workspace; with base NULL it only counts. */
typedef struct carver {
    float *base;
    size_t used; /* floats */
} carver;

static float *carve(carver *c, size_t n)
{
    float *p = c->base ? c->base + c->used : NULL;
    c->used += (n + 15) / 16 * 16; /* every array starts on a cache line */
    return p;
}

static void carve_all(dd_workspace *ws, carver *c, const dd_model *m)
{
    const dd_shape *s = &m->layout.shape;
    size_t S = ws->max_sequences, T = m->T, R = S * T, C = s->C, V = s->V;
    for (uint32_t l = 0; l < s->L; l++) {
        layer_acts *a = &ws->layer[l];
        a->x = carve(c, R * C);
        a->mean1 = carve(c, R);
        a->rstd1 = carve(c, R);
        a->n1 = carve(c, R * C);
        a->qkv = carve(c, R * 3 * C);
        a->P = carve(c, S * s->NH * T * T);
        a->att = carve(c, R * C);
        a->x2 = carve(c, R * C);
        a->mean2 = carve(c, R);
        a->rstd2 = carve(c, R);
        a->n2 = carve(c, R * C);
        a->f = carve(c, R * 4 * C);
        a->g = carve(c, R * 4 * C);
    }
    ws->xf = carve(c, R * C);
    ws->meanf = carve(c, R);
    ws->rstdf = carve(c, R);
    ws->nf = carve(c, R * C);
    ws->logits = carve(c, R * V);
    ws->loss = carve(c, R);
    ws->branch = carve(c, R * C);
    ws->gx = carve(c, R * C);
    ws->gn = carve(c, R * C);
    ws->gatt = carve(c, R * C);
    ws->gf = carve(c, R * 4 * C);
    ws->gqkv = carve(c, R * 3 * C);
}

dd_status dd_workspace_open(const dd_model *m, uint32_t max_sequences, dd_workspace **out)
{
    const dd_shape *s = &m->layout.shape;
    *out = NULL;
    /* more floats than carve_all could ask for, in double: no product there wraps below 2^50 */
    double rows = (double)max_sequences * m->T, C = s->C;
    double floats = s->L * rows * ((double)s->NH * m->T + 32 * C) + rows * (s->V + 32 * C);
    if (!(floats < 0x1p50))
        return DD_ERR_MEMORY;
    dd_workspace *ws = dd_alloc(sizeof *ws);
    if (!ws)
        return DD_ERR_MEMORY;
    ws->max_sequences = max_sequences;
    ws->layer = dd_alloc(s->L * sizeof *ws->layer);
    if (!ws->layer)
        goto fail;

    carver count = {0};
    carve_all(ws, &count, m);
    size_t R = (size_t)max_sequences * m->T;
    size_t wide = s->V > 4 * s->C ? s->V : 4 * s->C;
    size_t deep = R > wide ? R : wide;
    size_t scratch_bytes = m->kernels->scratch_bytes(wide, deep, m->T, s->C / s->NH);
    uint32_t capacity = R < s->V ? (uint32_t)R : s->V;

    ws->memory = dd_alloc(count.used * sizeof *ws->memory);
    ws->scratch = dd_alloc(scratch_bytes);
    ws->tok = dd_alloc(R * sizeof *ws->tok);
    ws->tgt = dd_alloc(R * sizeof *ws->tgt);
    if (!ws->memory || !ws->scratch || !ws->tok || !ws->tgt ||
        dd_rows_open(&ws->lookup, capacity, s->C, s->V))
        goto fail;
    carver pieces = {.base = ws->memory};
    carve_all(ws, &pieces, m);
    ws->bytes = sizeof *ws + s->L * sizeof *ws->layer + count.used * sizeof *ws->memory +
                scratch_bytes + 2 * R * sizeof *ws->tok + dd_rows_bytes(&ws->lookup);
    *out = ws;
    return DD_OK;

fail:
    dd_workspace_close(ws);
    return DD_ERR_MEMORY;
}

void dd_workspace_close(dd_workspace *ws)
{
    if (!ws)
        return;
    dd_rows_close(&ws->lookup);
    dd_free(ws->tgt);
    dd_free(ws->tok);
    dd_free(ws->scratch);
    dd_free(ws->memory);
    dd_free(ws->layer);
    dd_free(ws);
}

uint64_t dd_workspace_bytes(const dd_workspace *ws)
{
    return ws->bytes;
}

/* clang-format off */

/* y (R, N) = x (R, K) W' + b, W (N, K); b NULL: none */
static void linear(const dd_model *m, dd_workspace *ws, size_t R, size_t N, size_t K,
                   const float *x, const float *W, const float *b, float *y)
{
    const dd_matmul product = {
        .M = R, .N = N, .K = K,
        .a = x, .a_row = K, .a_col = 1,
        .b = W, .b_row = 1, .b_col = K,
        .bias = b, .c = y, .c_row = N, .sink = DD_STORE,
    };
    m->kernels->matmul(&product, ws->scratch);
}

/* gx (R, K) = gy (R, N) W, W (N, K) */
static void linear_input_grad(const dd_model *m, dd_workspace *ws, size_t R, size_t N, size_t K,
                              const float *gy, const float *W, float *gx)
{
    const dd_matmul product = {
        .M = R, .N = K, .K = N,
        .a = gy, .a_row = N, .a_col = 1,
        .b = W, .b_row = K, .b_col = 1,
        .c = gx, .c_row = K, .sink = DD_STORE,
    };
    m->kernels->matmul(&product, ws->scratch);
}

/* gW (N, K) = gy' x, gy (R, N), x (R, K) */
static void linear_weight_grad(const dd_model *m, dd_workspace *ws, size_t R, size_t N, size_t K,
                               const float *gy, const float *x, dd_sink sink, float *gW)
{
    const dd_matmul product = {
        .M = N, .N = K, .K = R,
        .a = gy, .a_row = 1, .a_col = N,
        .b = x, .b_row = K, .b_col = 1,
        .c = gW, .c_row = K, .sink = sink,
    };
    m->kernels->matmul(&product, ws->scratch);
}

/* One head of one sequence: columns of qkv, att and, for the backward pass, of their gradients. */
static dd_attention head_of(const dd_model *m, const dd_workspace *ws, const layer_acts *a,
                            size_t sequence, size_t h)
{
    size_t C = m->layout.shape.C, NH = m->layout.shape.NH, d = C / NH, T = m->T, row = sequence * T;
    const float *qkv = a->qkv + row * 3 * C + h * d;
    float *gqkv = ws->gqkv + row * 3 * C + h * d;
    return (dd_attention){
        .T = T, .d = d,
        .q = qkv, .k = qkv + C, .v = qkv + 2 * C, .qkv_row = 3 * C,
        .P = a->P + (sequence * NH + h) * T * T,
        .att = a->att + row * C + h * d, .att_row = C,
        .gatt = ws->gatt + row * C + h * d,
        .gq = gqkv, .gk = gqkv + C, .gv = gqkv + 2 * C,
    };
}
/* clang-format on */

/* Everything up to the logits. Returns R. */
static size_t forward(const dd_model *m, dd_workspace *ws, const dd_lane *lane)
{
    const dd_kernels *k = m->kernels;
    const dd_shape *s = &m->layout.shape;
    const float *w = m->weights;
    size_t C = s->C, T = m->T, R = lane->n_sequences * T;
    assert(lane->n_sequences <= ws->max_sequences);

    for (size_t i = 0, r = 0; i < lane->n_sequences; i++) {
        const uint16_t *text = lane->tokens + lane->first[i];
        for (size_t t = 0; t < T; t++, r++) {
            ws->tok[r] = text[t];
            ws->tgt[r] = text[t + 1];
        }
    }

    float *x = s->L ? ws->layer[0].x : ws->xf;
    const float *wte = w + m->layout.offset[DD_WTE], *wpe = w + m->layout.offset[DD_WPE];
    for (size_t r = 0; r < R; r++)
        k->add(C, wte + ws->tok[r] * C, wpe + r % T * C, x + r * C);

#define W(tensor) (w + dd_layout_layer(&m->layout, tensor, l))
    for (uint32_t l = 0; l < s->L; l++) {
        layer_acts *a = &ws->layer[l];
        float *out = l + 1 < s->L ? ws->layer[l + 1].x : ws->xf;
        k->layernorm(R, C, a->x, W(DD_LN1W), W(DD_LN1B), a->n1, a->mean1, a->rstd1);
        linear(m, ws, R, 3 * C, C, a->n1, W(DD_QKVW), W(DD_QKVB), a->qkv);
        for (size_t i = 0; i < lane->n_sequences; i++)
            for (size_t h = 0; h < s->NH; h++) {
                dd_attention head = head_of(m, ws, a, i, h);
                k->attention_forward(&head, ws->scratch);
            }
        linear(m, ws, R, C, C, a->att, W(DD_ATTPROJW), W(DD_ATTPROJB), ws->branch);
        k->add(R * C, a->x, ws->branch, a->x2);
        k->layernorm(R, C, a->x2, W(DD_LN2W), W(DD_LN2B), a->n2, a->mean2, a->rstd2);
        linear(m, ws, R, 4 * C, C, a->n2, W(DD_FCW), W(DD_FCB), a->f);
        k->gelu(R * 4 * C, a->f, a->g);
        linear(m, ws, R, C, 4 * C, a->g, W(DD_FCPROJW), W(DD_FCPROJB), ws->branch);
        k->add(R * C, a->x2, ws->branch, out);
    }
#undef W
    k->layernorm(R, C, ws->xf, w + m->layout.offset[DD_LNFW], w + m->layout.offset[DD_LNFB], ws->nf,
                 ws->meanf, ws->rstdf);
    linear(m, ws, R, s->V, C, ws->nf, wte, NULL, ws->logits);
    return R;
}

static double sum_loss(const dd_workspace *ws, size_t R)
{
    double sum = 0;
    for (size_t r = 0; r < R; r++)
        sum += (double)ws->loss[r];
    return sum;
}

double dd_gpt2_loss(const dd_model *m, dd_workspace *ws, const dd_lane *lane)
{
    size_t R = forward(m, ws, lane);
    m->kernels->cross_entropy_loss(R, m->layout.shape.V, ws->logits, ws->tgt, ws->loss);
    return sum_loss(ws, R);
}

/* Gradients of wpe and of the lookup rows of wte from gx, the gradient of the embedding's sum. */
static void embedding_grad(const dd_model *m, dd_workspace *ws, size_t n_sequences, dd_sink sink,
                           dd_segment *out)
{
    const dd_kernels *k = m->kernels;
    size_t C = m->layout.shape.C, T = m->T;
    float *gwpe = out->dense + m->layout.offset[DD_WPE];
    for (size_t t = 0; t < T; t++)
        k->bias_grad(n_sequences, C, ws->gx + t * C, T * C, gwpe + t * C, sink);
    if (sink == DD_STORE) /* positions beyond T; a fold leaves their +0 as it is */
        dd_zero((m->layout.shape.T_max - T) * C, gwpe + T * C);

    dd_rows *lane = sink == DD_STORE ? &out->lookup : &ws->lookup;
    dd_rows_clear(lane);
    for (size_t r = 0; r < n_sequences * T; r++) {
        bool fresh;
        float *row = dd_rows_at(lane, ws->tok[r], &fresh);
        if (fresh)
            dd_zero(C, row);
        k->add(C, row, ws->gx + r * C, row);
    }
    if (sink == DD_FOLD)
        dd_rows_fold(k, &out->lookup, lane);
}

void dd_gpt2_gradient(const dd_model *m, dd_workspace *ws, const dd_lane *lane, dd_sink sink,
                      dd_segment *out)
{
    assert(sink == DD_STORE || sink == DD_FOLD);
    const dd_kernels *k = m->kernels;
    const dd_shape *s = &m->layout.shape;
    const float *w = m->weights;
    float *g = out->dense;
    size_t C = s->C, V = s->V, R = forward(m, ws, lane);

    k->cross_entropy(R, V, ws->logits, ws->tgt, m->inv_tokens, ws->loss);
    double loss = sum_loss(ws, R);
    out->loss = sink == DD_FOLD ? out->loss + loss : loss;

    const float *wte = w + m->layout.offset[DD_WTE], *lnfw = w + m->layout.offset[DD_LNFW];
    linear_input_grad(m, ws, R, V, C, ws->logits, wte, ws->gn);
    linear_weight_grad(m, ws, R, V, C, ws->logits, ws->nf, sink, g + m->layout.offset[DD_WTE]);
    k->layernorm_grad(R, C, ws->gn, ws->xf, ws->meanf, ws->rstdf, g + m->layout.offset[DD_LNFW],
                      g + m->layout.offset[DD_LNFB], sink);
    k->layernorm_backward(R, C, ws->gn, ws->xf, lnfw, ws->meanf, ws->rstdf, ws->gx, false);

#define W(tensor) (w + dd_layout_layer(&m->layout, tensor, l))
#define G(tensor) (g + dd_layout_layer(&m->layout, tensor, l))
    for (uint32_t l = s->L; l-- > 0;) {
        const layer_acts *a = &ws->layer[l];
        /* gx: gradient of the layer's output */
        linear_input_grad(m, ws, R, C, 4 * C, ws->gx, W(DD_FCPROJW), ws->gf);
        linear_weight_grad(m, ws, R, C, 4 * C, ws->gx, a->g, sink, G(DD_FCPROJW));
        k->bias_grad(R, C, ws->gx, C, G(DD_FCPROJB), sink);
        k->gelu_backward(R * 4 * C, ws->gf, a->f, ws->gf);
        linear_input_grad(m, ws, R, 4 * C, C, ws->gf, W(DD_FCW), ws->gn);
        linear_weight_grad(m, ws, R, 4 * C, C, ws->gf, a->n2, sink, G(DD_FCW));
        k->bias_grad(R, 4 * C, ws->gf, 4 * C, G(DD_FCB), sink);
        k->layernorm_grad(R, C, ws->gn, a->x2, a->mean2, a->rstd2, G(DD_LN2W), G(DD_LN2B), sink);
        k->layernorm_backward(R, C, ws->gn, a->x2, W(DD_LN2W), a->mean2, a->rstd2, ws->gx, true);

        /* gx: gradient of x2 */
        linear_input_grad(m, ws, R, C, C, ws->gx, W(DD_ATTPROJW), ws->gatt);
        linear_weight_grad(m, ws, R, C, C, ws->gx, a->att, sink, G(DD_ATTPROJW));
        k->bias_grad(R, C, ws->gx, C, G(DD_ATTPROJB), sink);
        for (size_t i = 0; i < lane->n_sequences; i++)
            for (size_t h = 0; h < s->NH; h++) {
                dd_attention head = head_of(m, ws, a, i, h);
                k->attention_backward(&head, ws->scratch);
            }
        linear_input_grad(m, ws, R, 3 * C, C, ws->gqkv, W(DD_QKVW), ws->gn);
        linear_weight_grad(m, ws, R, 3 * C, C, ws->gqkv, a->n1, sink, G(DD_QKVW));
        k->bias_grad(R, 3 * C, ws->gqkv, 3 * C, G(DD_QKVB), sink);
        k->layernorm_grad(R, C, ws->gn, a->x, a->mean1, a->rstd1, G(DD_LN1W), G(DD_LN1B), sink);
        k->layernorm_backward(R, C, ws->gn, a->x, W(DD_LN1W), a->mean1, a->rstd1, ws->gx, true);
        /* gx: gradient of the layer's input */
    }
#undef W
#undef G
    embedding_grad(m, ws, lane->n_sequences, sink, out);
}
