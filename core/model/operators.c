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

void dd_linear(const dd_model *m, dd_workspace *ws, size_t R, dd_tensor k, uint32_t l,
               const float *x, const float *b, float *y)
{
    const dd_matrix W = matrix_of(m, k);
    const dd_matmul product = {
        .M = R, .N = W.N, .K = W.K,
        .a = x, .a_row = W.K, .a_col = 1,
        .panels = m->packed + dd_packed_forward(&m->layout, k, l), .panel_pitch = 16 * (size_t)W.K,
        .bias = b, .c = y, .c_row = W.N, .sink = DD_STORE,
    };
    multiply(m, ws, DD_PROFILE_FORWARD, &product);
}

void dd_linear_input_grad(const dd_model *m, dd_workspace *ws, size_t R, dd_tensor k, uint32_t l,
                          const float *gy, float *gx)
{
    const dd_matrix W = matrix_of(m, k);
    const dd_matmul product = {
        .M = R, .N = W.K, .K = W.N,
        .a = gy, .a_row = W.N, .a_col = 1,
        .panels = m->packed + dd_packed_input(&m->layout, k, l), .panel_pitch = 16 * (size_t)W.N,
        .c = gx, .c_row = W.K, .sink = DD_STORE,
    };
    multiply(m, ws, DD_PROFILE_INPUT_GRAD, &product);
}

void dd_linear_weight_grad(const dd_model *m, dd_workspace *ws, size_t R, dd_tensor k,
                           const float *gy, const float *x, dd_sink sink, float *gW, float *gb)
{
    const dd_matrix W = matrix_of(m, k);
    const dd_matmul product = {
        .M = W.N, .N = W.K, .K = R,
        .a = gy, .a_row = 1, .a_col = W.N,
        .b = x, .b_row = W.K, .b_col = 1,
        .c = gW, .c_row = W.K, .sink = sink,
    };
    multiply(m, ws, DD_PROFILE_WEIGHT_GRAD, &product);
    if (!gb)
        return;
    const uint64_t begin = dd_profile_begin(ws->profile);
    m->kernels->bias_grad(R, W.N, gy, W.N, gb, sink);
    dd_profile_end(ws->profile, DD_PROFILE_BIAS_GRAD, begin, floats(R * W.N));
}

/* ---- Attention ---- */

/* One head of one sequence: columns of qkv, att and, for the backward pass, of their gradients. */
static dd_attention head_of(const dd_model *m, const dd_workspace *ws, const dd_layer_acts *a,
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

/* A product of a T x T triangle, all heads: 2 d operations for each of its T (T + 1) / 2 places. */
static uint64_t triangle_flops(const dd_model *m, size_t n_sequences)
{
    return (uint64_t)n_sequences * m->T * (m->T + 1) * m->layout.shape.C;
}

void dd_attention_all(const dd_model *m, dd_workspace *ws, size_t n_sequences,
                      const dd_layer_acts *a)
{
    const uint64_t begin = dd_profile_begin(ws->profile);
    for (size_t i = 0; i < n_sequences; i++)
        for (size_t h = 0; h < m->layout.shape.NH; h++) {
            const dd_attention head = head_of(m, ws, a, i, h);
            m->kernels->attention_forward(&head, ws->scratch);
        }
    dd_profile_end(ws->profile, DD_PROFILE_ATTENTION, begin, 2 * triangle_flops(m, n_sequences));
}

void dd_attention_all_backward(const dd_model *m, dd_workspace *ws, size_t n_sequences,
                               const dd_layer_acts *a)
{
    const uint64_t begin = dd_profile_begin(ws->profile);
    for (size_t i = 0; i < n_sequences; i++)
        for (size_t h = 0; h < m->layout.shape.NH; h++) {
            const dd_attention head = head_of(m, ws, a, i, h);
            m->kernels->attention_backward(&head, ws->scratch);
        }
    dd_profile_end(ws->profile, DD_PROFILE_ATTENTION, begin, 4 * triangle_flops(m, n_sequences));
}

/* ---- Rows ---- */

void dd_layernorm(const dd_model *m, dd_workspace *ws, size_t R, const float *x, const float *w,
                  const float *b, float *y, float *mean, float *rstd)
{
    const size_t C = m->layout.shape.C;
    const uint64_t begin = dd_profile_begin(ws->profile);
    m->kernels->layernorm(R, C, x, w, b, y, mean, rstd);
    dd_profile_end(ws->profile, DD_PROFILE_LAYERNORM, begin, floats(2 * R * C));
}

void dd_layernorm_backward(const dd_model *m, dd_workspace *ws, size_t R, const float *gy,
                           const float *x, const float *w, const float *mean, const float *rstd,
                           float *gx, bool add, float *gw, float *gb, dd_sink sink)
{
    const size_t C = m->layout.shape.C;
    const uint64_t begin = dd_profile_begin(ws->profile);
    m->kernels->layernorm_grad(R, C, gy, x, mean, rstd, gw, gb, sink);
    m->kernels->layernorm_backward(R, C, gy, x, w, mean, rstd, gx, add);
    dd_profile_end(ws->profile, DD_PROFILE_LAYERNORM, begin, floats((3 + add) * R * C));
}

void dd_gelu(const dd_model *m, dd_workspace *ws, size_t n, const float *x, float *y)
{
    const uint64_t begin = dd_profile_begin(ws->profile);
    m->kernels->gelu(n, x, y);
    dd_profile_end(ws->profile, DD_PROFILE_GELU, begin, floats(2 * n));
}

void dd_gelu_backward(const dd_model *m, dd_workspace *ws, size_t n, const float *x, float *gy)
{
    const uint64_t begin = dd_profile_begin(ws->profile);
    m->kernels->gelu_backward(n, gy, x, gy);
    dd_profile_end(ws->profile, DD_PROFILE_GELU, begin, floats(3 * n));
}

void dd_residual(const dd_model *m, dd_workspace *ws, size_t n, const float *x, const float *branch,
                 float *y)
{
    const uint64_t begin = dd_profile_begin(ws->profile);
    m->kernels->add(n, x, branch, y);
    dd_profile_end(ws->profile, DD_PROFILE_RESIDUAL, begin, floats(3 * n));
}

/* ---- Both ends ---- */

void dd_embedding(const dd_model *m, dd_workspace *ws, size_t R, float *x)
{
    const size_t C = m->layout.shape.C, T = m->T;
    const float *wte = m->weights + m->layout.offset[DD_WTE];
    const float *wpe = m->weights + m->layout.offset[DD_WPE];
    const uint64_t begin = dd_profile_begin(ws->profile);
    for (size_t r = 0; r < R; r++)
        m->kernels->add(C, wte + ws->tok[r] * C, wpe + r % T * C, x + r * C);
    dd_profile_end(ws->profile, DD_PROFILE_EMBEDDING, begin, floats(3 * R * C));
}

void dd_embedding_grad(const dd_model *m, dd_workspace *ws, size_t n_sequences, dd_sink sink,
                       dd_segment *out)
{
    const dd_kernels *k = m->kernels;
    size_t C = m->layout.shape.C, T = m->T, R = n_sequences * T;
    const uint64_t begin = dd_profile_begin(ws->profile);
    float *gwpe = out->dense + m->layout.offset[DD_WPE];
    for (size_t t = 0; t < T; t++)
        k->bias_grad(n_sequences, C, ws->gx + t * C, T * C, gwpe + t * C, sink);
    if (sink == DD_STORE) /* positions beyond T; a fold leaves their +0 as it is */
        dd_zero((m->layout.shape.T_max - T) * C, gwpe + T * C);

    dd_rows *lane = sink == DD_STORE ? &out->lookup : &ws->lookup;
    dd_rows_clear(lane);
    for (size_t r = 0; r < R; r++) {
        bool fresh;
        float *row = dd_rows_at(lane, ws->tok[r], &fresh);
        if (fresh)
            dd_zero(C, row);
        k->add(C, row, ws->gx + r * C, row);
    }
    if (sink == DD_FOLD)
        dd_rows_fold(k, &out->lookup, lane);
    dd_profile_end(ws->profile, DD_PROFILE_EMBEDDING, begin, floats((4 * R + T) * C));
}

static double sum_loss(const dd_workspace *ws, size_t R)
{
    double sum = 0;
    for (size_t r = 0; r < R; r++)
        sum += (double)ws->loss[r];
    return sum;
}

double dd_loss(const dd_model *m, dd_workspace *ws, size_t R)
{
    const size_t V = m->layout.shape.V;
    const uint64_t begin = dd_profile_begin(ws->profile);
    m->kernels->cross_entropy_loss(R, V, ws->logits, ws->tgt, ws->loss);
    dd_profile_end(ws->profile, DD_PROFILE_LOSS, begin, floats(R * V));
    return sum_loss(ws, R);
}

double dd_loss_and_grad(const dd_model *m, dd_workspace *ws, size_t R)
{
    const size_t V = m->layout.shape.V;
    const uint64_t begin = dd_profile_begin(ws->profile);
    m->kernels->cross_entropy(R, V, ws->logits, ws->tgt, m->inv_tokens, ws->loss);
    dd_profile_end(ws->profile, DD_PROFILE_LOSS, begin, floats(2 * R * V));
    return sum_loss(ws, R);
}
