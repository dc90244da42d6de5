/* SPDX-License-Identifier: MIT
 * The matrix products of a step as cases: forward and input gradient of each of the five weight
 * matrices, for the rows of one lane, weights packed as the trainer keeps them; the weight gradient
 * over all lanes, as the reduction `owner` computes it, and beside it one lane's, as the others do.
 */
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

enum { LANES = 12, CHUNK = 384 }; /* lanes at depth 1; rows of a weight matrix taken at a time */

/* The lanes of a workload that are not empty, each of n rows, with the folds of their tree: inside
 * the four triangles, in the two pairs of these, and of the pairs.  returns  their number */
static size_t lane_list(const dd_workload *w, uint32_t n, dd_lane_rows lane[LANES])
{
    size_t n_lanes = 0, begin[4];
    for (uint32_t t = 0; t < 4; t++) {
        begin[t] = n_lanes;
        for (uint32_t l = 3 * t; l < 3 * t + 3; l++)
            if ((l + 1) * w->B / LANES > l * w->B / LANES) {
                lane[n_lanes] = (dd_lane_rows){.n = n, .folds = n_lanes > begin[t]};
                n_lanes++;
            }
        if (t % 2 && n_lanes > begin[t] && begin[t] > begin[t - 1])
            lane[n_lanes - 1].folds++;
    }
    if (n_lanes > begin[2] && begin[2] > 0)
        lane[n_lanes - 1].folds++;
    return n_lanes;
}

static size_t lanes_pitch(size_t R)
{
    return 16 * (R + 1); /* a row more, lest the same row of all panels fall into one cache set */
}

/* gW (M, N) = gy' x over all lanes, gy (K, M), x (K, N) */
static void run_lanes(const dd_case *c, const dd_kernels *set, float *const *at, void *scratch)
{
    dd_lane_rows lane[LANES];
    const dd_lanes_of lanes = dd_lanes_of_workload(&c->workload);
    dd_matmul_lanes m = {.N = c->N,
                         .a_row = c->M,
                         .panels = at[3],
                         .panel_pitch = lanes_pitch(c->K),
                         .lane = lane,
                         .n_lanes = lane_list(&c->workload, (uint32_t)lanes.rows, lane),
                         .c_row = c->N};
    set->pack_rows(c->K, c->N, at[1], c->N, at[3], m.panel_pitch);
    for (size_t i = 0; i < c->M; i += CHUNK) {
        m.M = c->M - i < CHUNK ? c->M - i : CHUNK;
        m.a = at[0] + i;
        m.c = at[2] + i * c->N;
        set->matmul_lanes(&m, scratch);
    }
}

/* gW (M, N) = gy' x of one lane, gy (K, M), x (K, N) */
static void run_lane(const dd_case *c, const dd_kernels *set, float *const *at, void *scratch)
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

    const size_t all = R * lanes.n_lanes;
    c.kernel = "weight gradient";
    c.pass = DD_PASS_WEIGHT;
    c.run = run_lanes;
    c.calls = x->per_layer ? s->L : 1;
    c.flops *= (double)lanes.n_lanes;
    c.M = N;
    c.N = K;
    c.K = all;
    c.n_arrays = 4;
    c.array[0] = (dd_array){.n = all * N, .cold = x->per_layer};
    c.array[1] = (dd_array){.n = all * K, .cold = x->per_layer};
    c.array[2] = (dd_array){.n = N * K, .role = DD_ROLE_OUT, .cold = true};
    c.array[3] = (dd_array){.n = (K + 15) / 16 * lanes_pitch(all), .role = DD_ROLE_OUT};
    (void)snprintf(c.shape, sizeof c.shape, "%s %zu x %zu x %zu", x->name, c.M, c.N, c.K);
    if (!dd_case_add(list, &c))
        return false;

    /* Of two lanes whose gradients meet, one is stored and one folded to it. */
    c.pass = DD_PASS_LANE;
    c.run = run_lane;
    c.calls = calls / 2;
    c.flops /= (double)lanes.n_lanes;
    c.K = R;
    c.n_arrays = 3;
    c.array[0] = (dd_array){.n = R * N};
    c.array[1] = (dd_array){.n = R * K, .cold = x->per_layer};
    (void)snprintf(c.shape, sizeof c.shape, "%s %zu x %zu x %zu", x->name, c.M, c.N, c.K);
    for (int folded = 0; folded < 2; folded++) {
        c.kernel = folded ? "lane's weight gradient, folded" : "lane's weight gradient";
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
