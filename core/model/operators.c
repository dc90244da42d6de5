/* SPDX-License-Identifier: MIT
 * Each operator: what it hands to the kernels, and what work that is. */
#include "operators.h"

#include "gradient.h"
#include "packed.h"

#include <assert.h>

static uint64_t floats(uint64_t n)
{
    return n * sizeof(float);
}

/* ---- Products ---- */

static dd_matrix matrix_of(const dd_model *m, dd_tensor k)
{
    dd_matrix W = {0};
    const bool is_matrix = dd_layout_matrix(&m->layout, k, &W);
    assert(is_matrix);
    (void)is_matrix;
    return W;
}

static void multiply(const dd_model *m, dd_workspace *ws, dd_profile_phase phase,
                     const dd_matmul *product)
{
    const uint64_t begin = dd_profile_begin(ws->profile);
    m->kernels->matmul(product, ws->scratch);
    dd_profile_end(ws->profile, phase, begin, 2 * product->M * product->N * product->K);
}

/* clang-format off */

void dd_linear(const dd_model *m, dd_workspace *ws, dd_tensor k, uint32_t l, const float *x,
               const float *b, float *y)
{
    const dd_matrix W = matrix_of(m, k);
    const dd_matmul product = {
        .M = ws->R, .N = W.N, .K = W.K,
        .a = x, .a_row = W.K, .a_col = 1,
        .panels = m->packed + dd_packed_forward(&m->layout, k, l), .panel_pitch = 16 * (size_t)W.K,
        .bias = b, .c = y, .c_row = W.N, .sink = DD_STORE,
    };
    multiply(m, ws, DD_PROFILE_FORWARD, &product);
    if (!ws->keeps)
        return;
    const uint64_t begin = dd_profile_begin(ws->profile);
    m->kernels->pack_rows(ws->R, W.K, x, W.K, dd_acts_operand(&ws->at, k, l), ws->at.panel_pitch);
    dd_profile_end(ws->profile, DD_PROFILE_PACK, begin, floats(2 * ws->R * W.K));
}

void dd_linear_input_grad(const dd_model *m, dd_workspace *ws, dd_tensor k, uint32_t l,
                          const float *gy, float *gx)
{
    const dd_matrix W = matrix_of(m, k);
    const dd_matmul product = {
        .M = ws->R, .N = W.K, .K = W.N,
        .a = gy, .a_row = W.N, .a_col = 1,
        .panels = m->packed + dd_packed_input(&m->layout, k, l), .panel_pitch = 16 * (size_t)W.N,
        .c = gx, .c_row = W.K, .sink = DD_STORE,
    };
    multiply(m, ws, DD_PROFILE_INPUT_GRAD, &product);
}

void dd_linear_weight_grad(const dd_model *m, dd_workspace *ws, const dd_gradients *to, dd_tensor k,
                           uint32_t l, const float *gy, const float *x)
{
    if (to->vectors_only)
        return;
    assert(to->n_lanes == 1);
    const dd_matrix W = matrix_of(m, k);
    const dd_matmul product = {
        .M = W.N, .N = W.K, .K = ws->R,
        .a = gy, .a_row = 1, .a_col = W.N,
        .b = x, .b_row = W.K, .b_col = 1,
        .c = to->at[0].dense + dd_layout_layer(to->layout, k, l), .c_row = W.K, .sink = to->sink,
    };
    multiply(m, ws, DD_PROFILE_WEIGHT_GRAD, &product);
}
/* clang-format on */

/* ---- Lane by lane ---- */

/* A lane among those at work: its rows, and its gradient. */
typedef struct lane_rows {
    size_t first, n;
    dd_segment *gradient;
} lane_rows;

/* The next lane; to begin with i 0 and *lane zeroed. */
static bool next_lane(const dd_model *m, const dd_gradients *to, uint32_t i, lane_rows *lane)
{
    if (i == to->n_lanes)
        return false;
    lane->first += lane->n;
    lane->n = (size_t)to->sequences[i] * m->T;
    lane->gradient = &to->at[i];
    return true;
}

static float *gradient_of(const dd_gradients *to, const lane_rows *lane, dd_tensor k, uint32_t l)
{
    return lane->gradient->dense + dd_layout_layer(to->layout, k, l);
}

void dd_bias_grad(const dd_model *m, dd_workspace *ws, const dd_gradients *to, dd_tensor b,
                  uint32_t l, const float *gy)
{
    const uint64_t begin = dd_profile_begin(ws->profile);
    const size_t N = dd_layout_layer(to->layout, b, 1) - dd_layout_layer(to->layout, b, 0);
    lane_rows lane = {0};
    for (uint32_t i = 0; next_lane(m, to, i, &lane); i++)
        m->kernels->bias_grad(lane.n, N, gy + lane.first * N, N, gradient_of(to, &lane, b, l),
                              to->sink);
    dd_profile_end(ws->profile, DD_PROFILE_BIAS_GRAD, begin, floats(ws->R * N));
}

/* ---- Attention ---- */

/* clang-format off */

/* One head of one sequence: columns of qkv, att and, for the backward pass, of their gradients. */
static dd_attention head_of(const dd_model *m, const dd_workspace *ws, const dd_layer_acts *a,
                            size_t sequence, size_t h)
{
    size_t C = m->layout.shape.C, NH = m->layout.shape.NH, d = C / NH, T = m->T, row = sequence * T;
    const float *qkv = a->qkv + row * 3 * C + h * d;
    float *gqkv = a->gqkv + row * 3 * C + h * d;
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

/* A kernel for the heads of all sequences, each with its next one at hand. */
static void each_head(const dd_model *m, const dd_workspace *ws, const dd_layer_acts *a,
                      void (*kernel)(const dd_attention *head, void *scratch))
{
    const size_t NH = m->layout.shape.NH, n = ws->n_sequences * NH;
    dd_attention next = head_of(m, ws, a, 0, 0);
    for (size_t i = 0; i < n; i++) {
        dd_attention head = next;
        if (i + 1 < n) {
            next = head_of(m, ws, a, (i + 1) / NH, (i + 1) % NH);
            head.next = &next;
        }
        kernel(&head, ws->scratch);
    }
}

/* A product of a T x T triangle, all heads: 2 d operations for each of its T (T + 1) / 2 places. */
static uint64_t triangle_flops(const dd_model *m, const dd_workspace *ws)
{
    return (uint64_t)ws->R * (m->T + 1) * m->layout.shape.C;
}

void dd_attention_all(const dd_model *m, dd_workspace *ws, const dd_layer_acts *a)
{
    const uint64_t begin = dd_profile_begin(ws->profile);
    each_head(m, ws, a, m->kernels->attention_forward);
    dd_profile_end(ws->profile, DD_PROFILE_ATTENTION, begin, 2 * triangle_flops(m, ws));
}

void dd_attention_all_backward(const dd_model *m, dd_workspace *ws, const dd_layer_acts *a)
{
    const uint64_t begin = dd_profile_begin(ws->profile);
    each_head(m, ws, a, m->kernels->attention_backward);
    dd_profile_end(ws->profile, DD_PROFILE_ATTENTION, begin, 4 * triangle_flops(m, ws));
}

/* ---- Rows ---- */

void dd_layernorm(const dd_model *m, dd_workspace *ws, const float *x, const float *w,
                  const float *b, float *y, float *mean, float *rstd)
{
    const size_t C = m->layout.shape.C;
    const uint64_t begin = dd_profile_begin(ws->profile);
    m->kernels->layernorm(ws->R, C, x, w, b, y, mean, rstd);
    dd_profile_end(ws->profile, DD_PROFILE_LAYERNORM, begin, floats(2 * ws->R * C));
}

void dd_layernorm_backward(const dd_model *m, dd_workspace *ws, const dd_gradients *to,
                           dd_tensor gw, dd_tensor gb, uint32_t l, const float *gy, const float *x,
                           const float *w, const float *mean, const float *rstd, const float *base,
                           float *gx)
{
    const size_t C = m->layout.shape.C;
    const uint64_t begin = dd_profile_begin(ws->profile);
    lane_rows lane = {0};
    for (uint32_t i = 0; next_lane(m, to, i, &lane); i++)
        m->kernels->layernorm_grad(lane.n, C, gy + lane.first * C, x + lane.first * C,
                                   mean + lane.first, rstd + lane.first,
                                   gradient_of(to, &lane, gw, l), gradient_of(to, &lane, gb, l),
                                   to->sink);
    m->kernels->layernorm_backward(ws->R, C, gy, x, w, mean, rstd, base, gx);
    dd_profile_end(ws->profile, DD_PROFILE_LAYERNORM, begin, floats((base ? 4 : 3) * ws->R * C));
}

void dd_gelu(const dd_model *m, dd_workspace *ws, const float *x, float *y)
{
    const size_t n = ws->R * 4 * m->layout.shape.C;
    const uint64_t begin = dd_profile_begin(ws->profile);
    m->kernels->gelu(n, x, y);
    dd_profile_end(ws->profile, DD_PROFILE_GELU, begin, floats(2 * n));
}

void dd_gelu_backward(const dd_model *m, dd_workspace *ws, const float *gy, const float *x,
                      float *gx)
{
    const size_t n = ws->R * 4 * m->layout.shape.C;
    const uint64_t begin = dd_profile_begin(ws->profile);
    m->kernels->gelu_backward(n, gy, x, gx);
    dd_profile_end(ws->profile, DD_PROFILE_GELU, begin, floats(3 * n));
}

void dd_residual(const dd_model *m, dd_workspace *ws, const float *x, const float *branch, float *y)
{
    const size_t n = ws->R * m->layout.shape.C;
    const uint64_t begin = dd_profile_begin(ws->profile);
    m->kernels->add(n, x, branch, y);
    dd_profile_end(ws->profile, DD_PROFILE_RESIDUAL, begin, floats(3 * n));
}

/* ---- Both ends ---- */

void dd_embedding(const dd_model *m, dd_workspace *ws, float *x)
{
    const size_t C = m->layout.shape.C, T = m->T;
    const float *wte = m->weights + m->layout.offset[DD_WTE];
    const float *wpe = m->weights + m->layout.offset[DD_WPE];
    const uint64_t begin = dd_profile_begin(ws->profile);
    for (size_t r = 0; r < ws->R; r++)
        m->kernels->add(C, wte + ws->at.tok[r] * C, wpe + r % T * C, x + r * C);
    dd_profile_end(ws->profile, DD_PROFILE_EMBEDDING, begin, floats(3 * ws->R * C));
}

/* Of n sequences: tokens tok and gradient gx of their rows. */
static void lane_embedding_grad(const dd_model *m, dd_workspace *ws, const dd_gradients *to,
                                const lane_rows *lane, const float *gx)
{
    const dd_kernels *k = m->kernels;
    const size_t C = m->layout.shape.C, T = m->T;
    const uint32_t *tok = ws->at.tok + lane->first;
    float *gwpe = gradient_of(to, lane, DD_WPE, 0);
    gx += lane->first * C;
    for (size_t t = 0; t < T; t++)
        k->bias_grad(lane->n / T, C, gx + t * C, T * C, gwpe + t * C, to->sink);
    if (to->sink == DD_STORE) { /* positions beyond T; a fold leaves their +0 as it is */
        const size_t whole = to->layout->offset[DD_WPE + 1] - to->layout->offset[DD_WPE];
        dd_zero(whole - T * C, gwpe + T * C);
    }

    dd_rows *rows = to->sink == DD_FOLD ? &ws->lookup : &lane->gradient->lookup;
    if (to->sink != DD_RESUME)
        dd_rows_clear(rows);
    for (size_t r = 0; r < lane->n; r++) {
        bool fresh;
        float *row = dd_rows_at(rows, tok[r], &fresh);
        if (fresh)
            dd_zero(C, row);
        k->add(C, row, gx + r * C, row);
    }
    if (to->sink == DD_FOLD)
        dd_rows_fold(k, &lane->gradient->lookup, rows);
}

void dd_embedding_grad(const dd_model *m, dd_workspace *ws, const dd_gradients *to, const float *gx)
{
    const uint64_t begin = dd_profile_begin(ws->profile);
    lane_rows lane = {0};
    for (uint32_t i = 0; next_lane(m, to, i, &lane); i++)
        lane_embedding_grad(m, ws, to, &lane, gx);
    dd_profile_end(ws->profile, DD_PROFILE_EMBEDDING, begin,
                   floats((4 * ws->R + m->T) * m->layout.shape.C));
}

static double sum_loss(double sum, const float *loss, size_t R)
{
    for (size_t r = 0; r < R; r++)
        sum += (double)loss[r];
    return sum;
}

double dd_loss(const dd_model *m, dd_workspace *ws, double sum)
{
    const size_t V = m->layout.shape.V;
    const uint64_t begin = dd_profile_begin(ws->profile);
    m->kernels->cross_entropy_loss(ws->R, V, ws->at.logits, ws->at.tgt, ws->at.loss);
    dd_profile_end(ws->profile, DD_PROFILE_LOSS, begin, floats(ws->R * V));
    return sum_loss(sum, ws->at.loss, ws->R);
}

void dd_loss_and_grad(const dd_model *m, dd_workspace *ws, const dd_gradients *to)
{
    const size_t V = m->layout.shape.V;
    const uint64_t begin = dd_profile_begin(ws->profile);
    m->kernels->cross_entropy(ws->R, V, ws->at.logits, ws->at.tgt, m->inv_tokens, ws->at.loss);
    dd_profile_end(ws->profile, DD_PROFILE_LOSS, begin, floats(2 * ws->R * V));
    lane_rows lane = {0};
    for (uint32_t i = 0; next_lane(m, to, i, &lane); i++) {
        double *sum = &lane.gradient->loss;
        const double begun = to->sink == DD_RESUME ? *sum : 0;
        const double loss = sum_loss(begun, ws->at.loss + lane.first, lane.n);
        *sum = to->sink == DD_FOLD ? *sum + loss : loss;
    }
}

void dd_lane_fold(const dd_model *m, dd_workspace *ws, const dd_segment *lane, dd_segment *into)
{
    const uint64_t begin = dd_profile_begin(ws->profile);
    dd_segment_fold(m->kernels, &m->layout, into, lane);
    dd_profile_end(ws->profile, DD_PROFILE_FOLD, begin, floats(3 * dd_layout_size(&m->layout)));
}
