/* SPDX-License-Identifier: MIT
 * The matrix products of a step as cases: forward, input gradient and weight gradient of each of
 * the five weight matrices, for the rows of one lane. Weights lie packed, as the trainer keeps
 * them. */
#include <stdio.h>

#include "bench_case.h"

/* y (R, N) = x (R, K) W' + b, and, without b, gx (R, N) = gy (R, K) W: each has panels of its own
 */
static void run_panels(const dd_case *c, const dd_kernels *set, float *const *at, void *scratch)
{
    const dd_matmul m = {.M = c->M,
                         .N = c->N,
                         .K = c->K,
                         .a = at[0],
                         .a_row = c->K,
                         .a_col = 1,
                         .panels = at[1],
                         .panel_pitch = 16 * c->K,
                         .bias = c->n_arrays > 3 ? at[3] : NULL,
                         .c = at[2],
                         .c_row = c->N,
                         .sink = DD_STORE};
    set->matmul(&m, scratch);
}

/* gW (M, N) = gy' x, gy (R, M), x (R, N) */
static void run_weight(const dd_case *c, const dd_kernels *set, float *const *at, void *scratch)
{
    const dd_matmul m = {.M = c->M,
                         .N = c->N,
                         .K = c->K,
                         .a = at[0],
                         .a_row = 1,
                         .a_col = c->M,
                         .b = at[1],
                         .b_row = c->N,
                         .b_col = 1,
                         .c = at[2],
                         .c_row = c->N,
                         .sink = c->sink};
    set->matmul(&m, scratch);
}

static size_t panels(size_t columns, size_t rows)
{
    return (columns + 15) / 16 * 16 * rows;
}

/* A weight matrix: whose output goes to a buffer of its layer, and who has a bias. */
typedef struct matrix {
    const char *name;
    size_t outputs, inputs;
    bool output_kept, bias, per_layer;
} matrix;

static bool add_products(dd_case_list *list, const dd_workload *w, const dd_shape *s,
                         const matrix *x)
{
    const dd_lanes_of lanes = dd_lanes_of_workload(w);
    const size_t R = lanes.rows, N = x->outputs, K = x->inputs;
    const double calls = (double)lanes.n_lanes * (x->per_layer ? s->L : 1);
    dd_case c = {.workload = *w,
                 .flops = 2.0 * (double)R * (double)N * (double)K,
                 .copies = dd_cold_copies(s, N * K)};
    if (!x->per_layer && N * K * sizeof(float) >= 32u << 20)
        c.copies = 1; /* sweeps every cache by itself */

    c.kernel = "forward";
    c.pass = DD_PASS_FORWARD;
    c.run = run_panels;
    c.calls = calls;
    c.M = R;
    c.N = N;
    c.K = K;
    c.n_arrays = x->bias ? 4 : 3;
    c.array[0] = (dd_array){.n = R * K};
    c.array[1] = (dd_array){
        .n = panels(N, K), .fill = DD_FILL_PANELS, .bound = K, .columns = N, .cold = true};
    c.array[2] = (dd_array){.n = R * N, .role = DD_ROLE_OUT, .cold = x->output_kept};
    c.array[3] = (dd_array){.n = N, .cold = true};
    (void)snprintf(c.shape, sizeof c.shape, "%s %zu x %zu x %zu", x->name, c.M, c.N, c.K);
    if (!dd_case_add(list, &c))
        return false;

    c.kernel = "input gradient";
    c.pass = DD_PASS_INPUT;
    c.run = run_panels;
    c.N = K;
    c.K = N;
    c.n_arrays = 3;
    c.array[0] = (dd_array){.n = R * N};
    c.array[1] = (dd_array){
        .n = panels(K, N), .fill = DD_FILL_PANELS, .bound = N, .columns = K, .cold = true};
    c.array[2] = (dd_array){.n = R * K, .role = DD_ROLE_OUT};
    (void)snprintf(c.shape, sizeof c.shape, "%s %zu x %zu x %zu", x->name, c.M, c.N, c.K);
    if (!dd_case_add(list, &c))
        return false;

    /* Of two lanes whose gradients meet, one is stored and one folded to it. */
    c.pass = DD_PASS_WEIGHT;
    c.run = run_weight;
    c.calls = calls / 2;
    c.M = N;
    c.N = K;
    c.K = R;
    c.array[1] = (dd_array){.n = R * K, .cold = x->per_layer};
    (void)snprintf(c.shape, sizeof c.shape, "%s %zu x %zu x %zu", x->name, c.M, c.N, c.K);
    for (int folded = 0; folded < 2; folded++) {
        c.kernel = folded ? "weight gradient, folded" : "weight gradient";
        c.sink = folded ? DD_FOLD : DD_STORE;
        c.array[2] =
            (dd_array){.n = N * K, .role = folded ? DD_ROLE_INOUT : DD_ROLE_OUT, .cold = true};
        if (!dd_case_add(list, &c))
            return false;
    }
    return true;
}

bool dd_cases_products_(dd_case_list *list, const dd_workload *w)
{
    dd_shape s;
    if (!dd_shape_named(w->model, &s))
        return false;
    const size_t C = s.C;
    const matrix matrices[] = {
        {"qkv", 3 * C, C, true, true, true},     {"attproj", C, C, false, true, true},
        {"fc", 4 * C, C, true, true, true},      {"fcproj", C, 4 * C, false, true, true},
        {"logits", s.V, C, false, false, false},
    };
    for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++)
        if (!add_products(list, w, &s, &matrices[i]))
            return false;
    return true;
}
