/* SPDX-License-Identifier: MIT
 * The kernels along rows of a lane, and attention, as cases. */
#include <stdio.h>

#include "bench_case.h"

static void run_gelu(const dd_case *c, const dd_kernels *set, float *const *at, void *scratch)
{
    (void)scratch;
    set->gelu(c->M * c->N, at[0], at[1]);
}

/* Not in place, as the model has it: a gradient multiplied again and again would end in denormals.
 */
static void run_gelu_backward(const dd_case *c, const dd_kernels *set, float *const *at,
                              void *scratch)
{
    (void)scratch;
    set->gelu_backward(c->M * c->N, at[0], at[1], at[2]);
}

static void run_add(const dd_case *c, const dd_kernels *set, float *const *at, void *scratch)
{
    (void)scratch;
    set->add(c->M * c->N, at[0], at[1], at[2]);
}

static void run_layernorm(const dd_case *c, const dd_kernels *set, float *const *at, void *scratch)
{
    (void)scratch;
    set->layernorm(c->M, c->N, at[0], at[2], at[3], at[1], at[4], at[5]);
}

static void run_layernorm_backward(const dd_case *c, const dd_kernels *set, float *const *at,
                                   void *scratch)
{
    (void)scratch;
    set->layernorm_backward(c->M, c->N, at[0], at[1], at[3], at[4], at[5], at[2], at[2]);
}

static void run_layernorm_grad(const dd_case *c, const dd_kernels *set, float *const *at,
                               void *scratch)
{
    (void)scratch;
    set->layernorm_grad(c->M, c->N, at[0], at[1], at[2], at[3], at[4], at[5], DD_STORE);
}

static void run_bias_grad(const dd_case *c, const dd_kernels *set, float *const *at, void *scratch)
{
    (void)scratch;
    set->bias_grad(c->M, c->N, at[0], c->N, at[1], DD_STORE);
}

static const uint32_t *targets(const float *words)
{
    return (const uint32_t *)(const void *)words;
}

static void run_cross_entropy(const dd_case *c, const dd_kernels *set, float *const *at,
                              void *scratch)
{
    (void)scratch;
    set->cross_entropy(c->M, c->N, at[0], targets(at[1]), 0x1p-8f, at[2]);
}

static void run_cross_entropy_loss(const dd_case *c, const dd_kernels *set, float *const *at,
                                   void *scratch)
{
    (void)scratch;
    set->cross_entropy_loss(c->M, c->N, at[0], targets(at[1]), at[2]);
}

/* What a kernel reads of the forward pass is cold in the backward pass only: forward the kernel
 * before has just written it. */
static bool add_rows(dd_case_list *list, const dd_workload *w, const dd_shape *s)
{
    const size_t R = dd_lanes_of_workload(w).rows, C = s->C;
    const dd_array row = {.n = C, .cold = true}, per_row = {.n = R};
    const dd_array spread = {.n = R, .fill = DD_FILL_POSITIVE};
    const dd_array in = {.n = R * C}, kept = {.n = R * C, .cold = true};
    const dd_array out = {.n = R * C, .role = DD_ROLE_OUT, .cold = true};
    const dd_array inout = {.n = R * C, .role = DD_ROLE_INOUT};
    const dd_array row_out = {.n = C, .role = DD_ROLE_OUT, .cold = true};
    const dd_array per_row_out = {.n = R, .role = DD_ROLE_OUT};
    const dd_array wide = {.n = R * 4 * C, .cold = true}, wide_in = {.n = R * 4 * C};
    const dd_array wide_out = {.n = R * 4 * C, .role = DD_ROLE_OUT, .cold = true};
    const dd_array wide_to = {.n = R * 4 * C, .role = DD_ROLE_OUT};
    const dd_array logits = {.n = R * s->V, .role = DD_ROLE_INOUT};
    const dd_array logits_in = {.n = R * s->V};
    const dd_array target = {.n = R, .fill = DD_FILL_TARGETS, .bound = s->V};
    const struct {
        const char *kernel;
        size_t N;
        void (*run)(const dd_case *, const dd_kernels *, float *const *, void *);
        unsigned n_arrays;
        dd_array array[6];
    } kernels[] = {
        {"gelu", 4 * C, run_gelu, 2, {wide_in, wide_out}},
        {"gelu_backward", 4 * C, run_gelu_backward, 3, {wide_in, wide, wide_to}},
        {"add", C, run_add, 3, {kept, in, out}},
        {"layernorm", C, run_layernorm, 6, {in, out, row, row, per_row_out, per_row_out}},
        {"layernorm_backward",
         C,
         run_layernorm_backward,
         6,
         {in, kept, inout, row, per_row, spread}},
        {"layernorm_grad", C, run_layernorm_grad, 6, {in, kept, per_row, spread, row_out, row_out}},
        {"bias_grad",
         4 * C,
         run_bias_grad,
         2,
         {wide_in, {.n = 4 * C, .role = DD_ROLE_OUT, .cold = true}}},
        {"cross_entropy", s->V, run_cross_entropy, 3, {logits, target, per_row_out}},
        {"cross_entropy_loss", s->V, run_cross_entropy_loss, 3, {logits_in, target, per_row_out}},
    };
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        dd_case c = {.kernel = kernels[i].kernel,
                     .workload = *w,
                     .pass = DD_PASS_OTHER,
                     .copies = s->L,
                     .n_arrays = kernels[i].n_arrays,
                     .run = kernels[i].run,
                     .M = R,
                     .N = kernels[i].N};
        for (unsigned a = 0; a < c.n_arrays; a++)
            c.array[a] = kernels[i].array[a];
        (void)snprintf(c.shape, sizeof c.shape, "%zu x %zu", c.M, c.N);
        if (!dd_case_add(list, &c))
            return false;
    }
    return true;
}

/* ---- Attention ---- */

/* All heads of one sequence; M = T, N = C, K = NH. */
static dd_attention head_of(const dd_case *c, float *const *at, size_t h)
{
    const size_t C = c->N, d = C / c->K;
    const float *qkv = at[0] + h * d;
    return (dd_attention){.T = c->M,
                          .d = d,
                          .q = qkv,
                          .k = qkv + C,
                          .v = qkv + 2 * C,
                          .qkv_row = 3 * C,
                          .P = at[1] + h * c->M * c->M,
                          .att_row = C};
}

static void run_attention_forward(const dd_case *c, const dd_kernels *set, float *const *at,
                                  void *scratch)
{
    for (size_t h = 0; h < c->K; h++) {
        dd_attention head = head_of(c, at, h);
        head.att = at[2] + h * head.d;
        set->attention_forward(&head, scratch);
    }
}

static void run_attention_backward(const dd_case *c, const dd_kernels *set, float *const *at,
                                   void *scratch)
{
    for (size_t h = 0; h < c->K; h++) {
        dd_attention head = head_of(c, at, h);
        head.gatt = at[2] + h * head.d;
        head.gq = at[3] + h * head.d;
        head.gk = head.gq + c->N;
        head.gv = head.gk + c->N;
        set->attention_backward(&head, scratch);
    }
}

static bool add_attention(dd_case_list *list, const dd_workload *w, const dd_shape *s)
{
    const size_t T = w->T, C = s->C, NH = s->NH;
    /* a product over s <= t, of all heads */
    const double product = (double)C * (double)T * (double)(T + 1);
    dd_case c = {.kernel = "attention_forward",
                 .workload = *w,
                 .pass = DD_PASS_OTHER,
                 .flops = 2 * product,
                 .copies = s->L,
                 .n_arrays = 3,
                 .array = {{.n = T * 3 * C},
                           {.n = NH * T * T, .role = DD_ROLE_OUT, .cold = true},
                           {.n = T * C, .role = DD_ROLE_OUT, .cold = true}},
                 .run = run_attention_forward,
                 .M = T,
                 .N = C,
                 .K = NH};
    (void)snprintf(c.shape, sizeof c.shape, "T %zu, %zu heads of %zu", T, NH, C / NH);
    if (!dd_case_add(list, &c))
        return false;
    c.kernel = "attention_backward";
    c.flops = 4 * product;
    c.n_arrays = 4;
    c.array[0].cold = true;
    c.array[1] = (dd_array){.n = NH * T * T, .fill = DD_FILL_POSITIVE, .cold = true};
    c.array[2] = (dd_array){.n = T * C};
    c.array[3] = (dd_array){.n = T * 3 * C, .role = DD_ROLE_OUT};
    c.run = run_attention_backward;
    return dd_case_add(list, &c);
}

bool dd_cases_rows_(dd_case_list *list, const dd_workload *w)
{
    dd_shape s;
    return dd_shape_named(w->model, &s) && add_rows(list, w, &s) && add_attention(list, w, &s);
}
